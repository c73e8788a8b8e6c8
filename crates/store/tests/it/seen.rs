//! POL-05: what was seen is found at once, by every replica, and for as long as it is remembered.

use crate::bench::{Bench, LIVES, NOW, later, open, user};
use doorward_core::id::{ClientId, SeenLabel};
use std::collections::BTreeSet;

fn client(name: &str) -> ClientId {
    ClientId::new(name).expect("client")
}

fn labels(names: &[&str]) -> BTreeSet<SeenLabel> {
    names.iter().map(|name| SeenLabel::new(name).expect("label")).collect()
}

pub(crate) async fn pol_05_what_was_seen_is_known_to_every_replica_at_once(bench: &Bench) {
    let (alice, bob, cursor, other) = (user("alice"), user("bob"), client("cursor"), client("other"));
    bench.a.remember_seen(&alice, &cursor, &labels(&["private", "internal"]), later(10)).await.expect("remembered");
    bench.a.remember_seen(&alice, &other, &labels(&["more"]), later(10)).await.expect("remembered");
    bench.b.remember_seen(&bob, &cursor, &labels(&["his"]), later(10)).await.expect("remembered");
    for store in [&bench.a, &bench.b] {
        assert_eq!(store.seen(&alice, Some(&cursor), NOW).await.expect("seen"), labels(&["private", "internal"]));
        assert_eq!(store.seen(&alice, None, NOW).await.expect("seen"), labels(&["private", "internal", "more"]));
        assert_eq!(store.seen(&bob, None, NOW).await.expect("seen"), labels(&["his"]));
        assert!(store.seen(&bob, Some(&other), NOW).await.expect("seen").is_empty());
    }
    let all = bench.b.list_seen(None, NOW).await.expect("list");
    assert_eq!(all.iter().map(|info| info.label.as_str()).collect::<Vec<_>>(), ["internal", "private", "more", "his"]);
    assert_eq!(bench.b.list_seen(Some(&bob), NOW).await.expect("list").len(), 1);
    assert_eq!(bench.b.forget_seen(&alice, Some(&cursor)).await.expect("forgotten"), 2);
    assert_eq!(bench.a.seen(&alice, None, NOW).await.expect("seen"), labels(&["more"]));
    assert_eq!(bench.b.forget_seen(&alice, None).await.expect("forgotten"), 1);
    assert_eq!(bench.a.seen(&bob, None, NOW).await.expect("seen"), labels(&["his"]), "somebody else's stays");
}

pub(crate) async fn pol_05_what_was_seen_is_remembered_from_the_last_time_on(bench: &Bench) {
    let (alice, cursor) = (user("alice"), client("cursor"));
    let private = labels(&["private"]);
    bench.a.remember_seen(&alice, &cursor, &private, later(10)).await.expect("remembered");
    assert_eq!(bench.b.seen(&alice, None, later(9)).await.expect("seen"), private);
    bench.b.remember_seen(&alice, &cursor, &private, later(20)).await.expect("again");
    // A replica whose clock is behind, or whose call came first, does not shorten it.
    bench.a.remember_seen(&alice, &cursor, &private, later(5)).await.expect("late");
    assert_eq!(bench.a.seen(&alice, None, later(19)).await.expect("seen"), private);
    assert_eq!(bench.a.sweep(later(19), LIVES).await.expect("swept").seen, 0);
    assert!(bench.a.seen(&alice, None, later(20)).await.expect("seen").is_empty());
    assert_eq!(bench.a.sweep(later(20), LIVES).await.expect("swept").seen, 1);
}

pub(crate) async fn pol_05_what_was_seen_survives_a_restart(bench: &Bench) {
    bench.a.remember_seen(&user("alice"), &client("cursor"), &labels(&["private"]), later(10)).await.expect("remembered");
    bench.a.close().await;
    bench.b.close().await;
    let again = open(&bench.url, 1).await.expect("reopened");
    assert_eq!(again.seen(&user("alice"), None, NOW).await.expect("seen"), labels(&["private"]));
    again.close().await;
}
