//! Whatever may happen once happens once, though fifty tasks on two replicas try at the same moment (FLT-09).

use crate::bench::{Bench, NOW, RACERS, credential, find, later, new_key, of_one, secret, session, task, upstream, user};
use doorward_store::{Refused, StoreError};

/// How many won; an error is a failure of the test.
fn winners(answers: Vec<Result<bool, StoreError>>) -> usize {
    answers.into_iter().filter(|answer| *answer.as_ref().expect("an answer")).count()
}

pub(crate) async fn flt_09_an_id_is_consumed_by_one_of_fifty(bench: &Bench) {
    for id in 0..4 {
        let answers = bench.race(|store, _| async move { store.consume_once("code", &[id; 32], later(10), NOW).await }).await;
        assert_eq!(winners(answers), 1);
    }
}

pub(crate) async fn flt_09_an_expired_id_is_taken_over_by_one_of_fifty(bench: &Bench) {
    assert!(bench.a.consume_once("code", &[1; 32], later(10), NOW).await.expect("first"));
    let answers = bench.race(|store, _| async move { store.consume_once("code", &[1; 32], later(20), later(10)).await }).await;
    assert_eq!(winners(answers), 1);
}

pub(crate) async fn a_value_is_swapped_by_one_of_fifty(bench: &Bench) {
    let version = bench.a.put_secret(&user("alice"), "token", &secret("first")).await.expect("put");
    let answers = bench
        .race(|store, n| async move {
            store.swap_secret(&user("alice"), "token", version, &secret(&format!("racer {n}"))).await.map(|won| (won, n))
        })
        .await;
    let won: Vec<usize> = answers.into_iter().map(|answer| answer.expect("an answer")).filter(|(won, _)| *won).map(|(_, n)| n).collect();
    assert_eq!(won.len(), 1);
    let (value, after) = bench.b.secret(&user("alice"), "token").await.expect("answer").expect("found");
    assert_eq!(value.expose(), format!("racer {}", won[0]).as_bytes());
    assert!(after > version);
}

pub(crate) async fn an_upstream_session_is_replaced_by_one_of_fifty(bench: &Bench) {
    let own = session("one", "alice");
    bench.a.open_session(&own, of_one(10)).await.expect("opened");
    let (digest, old) = (own.digest, own.upstream_id.clone());
    let answers = bench
        .race(|store, n| {
            let old = old.clone();
            async move {
                let new = upstream(&format!("racer-{n}"));
                store.replace_upstream_session(&digest, &user("alice"), old.as_ref(), Some(&new)).await.map(|won| (won, n))
            }
        })
        .await;
    let won: Vec<usize> = answers.into_iter().map(|answer| answer.expect("an answer")).filter(|(won, _)| *won).map(|(_, n)| n).collect();
    assert_eq!(won.len(), 1);
    let found = find(&bench.b, &own).await.expect("answer").expect("found");
    assert_eq!(found.upstream_id, Some(upstream(&format!("racer-{}", won[0]))));
}

pub(crate) async fn a_session_is_ended_by_one_of_fifty(bench: &Bench) {
    let own = session("one", "alice");
    bench.a.open_session(&own, of_one(10)).await.expect("opened");
    let digest = own.digest;
    assert_eq!(winners(bench.race(|store, _| async move { store.end_session(&digest, &user("alice")).await }).await), 1);
}

pub(crate) async fn a_key_is_revoked_by_one_of_fifty(bench: &Bench) {
    bench.a.create_api_key(&new_key(1, "k1", "alice")).await.expect("created");
    let before = bench.a.epoch().await.expect("epoch");
    assert_eq!(winners(bench.race(|store, _| async move { store.revoke_api_key(&credential("k1"), NOW).await }).await), 1);
    assert_eq!(bench.b.epoch().await.expect("epoch"), before + 1);
}

/// Exactly `cap` were let in and the others were told so.
fn capped(answers: Vec<Result<(), StoreError>>, cap: usize) {
    let (entered, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!(entered.len(), cap);
    for answer in refused {
        assert!(matches!(answer, Err(StoreError::Refused(Refused::TooMany))), "{answer:?}");
    }
}

pub(crate) async fn ses_07_the_cap_holds_against_fifty_at_once(bench: &Bench) {
    let answers = bench.race(|store, n| async move { store.open_session(&session(&n.to_string(), "alice"), of_one(7)).await }).await;
    capped(answers, 7);
    assert_eq!(bench.a.count_sessions().await.expect("count"), 7);
}

pub(crate) async fn the_cap_of_tasks_holds_against_fifty_at_once(bench: &Bench) {
    capped(bench.race(|store, n| async move { store.put_task(&task(&n.to_string(), "alice"), 7).await }).await, 7);
}

pub(crate) async fn fifty_raises_are_fifty_epochs(bench: &Bench) {
    let before = bench.a.epoch().await.expect("epoch");
    let answers = bench.race(|store, _| async move { store.raise_epoch("emergency", NOW).await }).await;
    let mut epochs: Vec<u64> = answers.into_iter().map(|answer| answer.expect("raised")).collect();
    epochs.sort_unstable();
    let expected: Vec<u64> = (1..=RACERS as u64).map(|n| before + n).collect();
    assert_eq!(epochs, expected);
}

/// Polls at most so often, then drops the future wherever it stands, as a caller that goes away does.
async fn polled<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut left = times;
    std::future::poll_fn(move |context| {
        if left == 0 {
            return std::task::Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}

pub(crate) async fn a_call_dropped_anywhere_is_done_whole_or_not_at_all(bench: &Bench) {
    let mut finished = false;
    for times in 1..=60 {
        let id = format!("k{times}");
        let key = new_key(times, &id, "alice");
        bench.a.create_api_key(&key).await.expect("created");
        let before = bench.a.epoch().await.expect("epoch");
        finished |= polled(bench.a.revoke_api_key(&credential(&id), NOW), usize::from(times)).await.is_some();
        bench.a.ping().await.expect("the connection is whole");
        // The next writer waits for the one that was dropped.
        bench.a.touch_api_key(&credential(&id), NOW).await.expect("touched");
        let revoked = bench.b.api_key(&key.hash).await.expect("answer").expect("found").revoked.is_some();
        let raised = bench.b.epoch().await.expect("epoch") - before;
        assert_eq!(u64::from(revoked), raised, "dropped after {times} polls");
    }
    assert!(finished, "the last ones were let to their end");
}
