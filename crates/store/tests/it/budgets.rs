//! Budgets of all replicas together, and the clock that they share.

use crate::bench::{Bench, LIVES, NOW, later};
use doorward_core::time::Timestamp;
use doorward_store::{Budget, Given, StoreUrl};
use std::time::Duration;

const SEVEN: Budget = Budget { most: 7, within: Duration::from_secs(60) };

pub(crate) async fn pol_07_a_budget_is_taken_by_all_replicas_together(bench: &Bench) {
    let ends = later(60);
    let given = |count| Given { count, ends };
    assert_eq!(bench.a.take_budget(&[1; 32], SEVEN, 3, NOW).await.expect("first"), given(3));
    assert_eq!(bench.b.take_budget(&[1; 32], SEVEN, 3, later(59)).await.expect("second"), given(3));
    assert_eq!(bench.a.take_budget(&[1; 32], SEVEN, 3, later(59)).await.expect("what is left"), given(1));
    for store in [&bench.a, &bench.b] {
        assert_eq!(store.take_budget(&[1; 32], SEVEN, 3, later(59)).await.expect("spent"), given(0));
    }
    assert_eq!(bench.b.take_budget(&[2; 32], SEVEN, 99, NOW).await.expect("another's, and no more than there is"), given(7));
    let next = Given { count: 2, ends: later(120) };
    assert_eq!(bench.b.take_budget(&[1; 32], SEVEN, 2, ends).await.expect("the next window"), next);
    assert_eq!(bench.a.take_budget(&[1; 32], SEVEN, 9, later(61)).await.expect("the same"), Given { count: 5, ..next });
}

pub(crate) async fn pol_07_fifty_at_once_take_no_more_than_there_is(bench: &Bench) {
    let answers =
        bench.race(|store, n| async move { store.take_budget(&[3; 32], SEVEN, 1 + u32::try_from(n % 3).expect("small"), NOW).await }).await;
    let taken: u32 = answers.into_iter().map(|answer| answer.expect("an answer").count).sum();
    assert_eq!(taken, 7);
}

pub(crate) async fn pol_07_a_window_of_another_limit_holds_nobody_up(bench: &Bench) {
    let hour = Budget { most: 1, within: Duration::from_secs(3_600) };
    assert_eq!(bench.a.take_budget(&[4; 32], hour, 1, NOW).await.expect("an hour").count, 1);
    assert_eq!(bench.a.take_budget(&[4; 32], SEVEN, 1, later(1)).await.expect("now a minute").ends, later(61));
    // A clock that is half a minute behind goes on in the window that is.
    let behind = Timestamp::from_millis(NOW.as_millis() - 30_000);
    assert_eq!(bench.b.take_budget(&[4; 32], SEVEN, 1, behind).await.expect("the same window").ends, later(61));
    assert_eq!(bench.a.sweep(later(60), LIVES).await.expect("swept").budgets, 0);
    assert_eq!(bench.a.sweep(later(61), LIVES).await.expect("swept").budgets, 1);
}

pub(crate) async fn flt_07_the_databases_own_clock_is_told(bench: &Bench) {
    let told = bench.a.clock().await.expect("an answer");
    match bench.url {
        StoreUrl::Sqlite(_) => assert_eq!(told, None),
        StoreUrl::Postgres(_) => {
            let own = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
            let own = Timestamp::from_millis(u64::try_from(own.as_millis()).expect("in range"));
            let told = told.expect("a clock");
            assert!(own.since(told).max(told.since(own)) < Duration::from_secs(60), "the same machine: {told} and {own}");
        }
    }
}
