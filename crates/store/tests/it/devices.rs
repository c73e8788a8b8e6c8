//! DEV: requests of programs without a browser, whichever replica they come to.

use crate::bench::{Bench, LIVES, NOW, client, credential, later, server, user};
use doorward_core::oauth::device::{DeviceName, Poll};
use doorward_core::secret::{AccessToken, DeviceCode, PlainToken, RefreshToken, TokenHash};
use doorward_core::time::Timestamp;
use doorward_store::{
    Asked, Gives, NewDevice, NewGrant, NoTokens, NotRedeemed, Owner, PresentedDevice, Redeemed, Refused, Store, StoreError, Successors,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

fn code(of: u16) -> TokenHash<DeviceCode> {
    PlainToken::<DeviceCode>::mint(&bytes(of)).hashed()
}

fn name(of: u16) -> DeviceName {
    DeviceName(*code(of).as_bytes())
}

fn bytes(of: u16) -> [u8; 32] {
    let mut bytes = [7; 32];
    bytes[..2].copy_from_slice(&of.to_be_bytes());
    bytes
}

async fn ask(store: &Store, of: u16, peer: &str, now: Timestamp) -> Result<Asked, StoreError> {
    let expires = now.after(Duration::from_secs(600));
    let (code, client, server, pace) = (code(of), client("c"), server("alpha"), Duration::from_secs(5));
    let new = NewDevice { code: &code, user_code: &bytes(of), client: &client, server: &server, scope: "alpha:read", peer, expires, pace };
    store.ask_for_device(&new, now).await
}

/// A yes of alice, by the page's request of this number.
async fn allow(store: &Store, of: u16, page: u8, now: Timestamp) -> Result<bool, StoreError> {
    let granted = BTreeSet::from(["alpha:read".to_owned()]);
    let id = credential(&format!("grant-{of}-{page}"));
    let device = name(of);
    let new = NewGrant {
        id: &id,
        user: &user("alice"),
        client: &client("c"),
        fingerprint: &[1; 32],
        name: "Client",
        identity: "self-claimed",
        target: "device",
        server: &server("alpha"),
        granted: &granted,
        offered: Some(&BTreeMap::new()),
        expires: None,
        gives: Gives::Device(&device),
        once: (&[page; 32], now.after(Duration::from_secs(600))),
    };
    store.record_grant(&new, now).await
}

async fn fetch(store: &Store, of: u16, gives: u8, now: Timestamp) -> Result<Redeemed, NoTokens> {
    let access = PlainToken::<AccessToken>::mint(&[gives; 32]).hashed();
    let refresh = PlainToken::<RefreshToken>::mint(&[gives; 32]).hashed();
    let next = Successors { access: &access, access_life: HOUR, refresh: &refresh, refresh_life: 24 * HOUR };
    let device = PresentedDevice { code: &code(of), client: &client("c"), server: None, proof: None };
    store.redeem_device(&device, &next, (now, Duration::from_secs(30)), now).await.expect("an answer")
}

const fn poll(poll: Poll) -> Result<Redeemed, NoTokens> {
    Err(NoTokens::Poll(poll))
}

pub(crate) async fn dev_03_one_of_fifty_fetches_what_was_allowed(bench: &Bench) {
    for round in 0..10_u16 {
        assert_eq!(ask(&bench.a, round, "192.0.2.1", NOW).await.expect("asked"), Asked::Recorded);
        assert!(allow(&bench.b, round, u8::try_from(round).expect("few"), NOW).await.expect("recorded"));
        let answers = bench.race(|store, n| async move { fetch(&store, round, 100 + u8::try_from(n).expect("few"), NOW).await }).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "round {round}");
        let dead = Err(NoTokens::Dead(NotRedeemed::Concurrent));
        assert!(answers.iter().all(|answer| answer.is_ok() || *answer == dead), "round {round}: {answers:?}");
        let id = credential(&format!("grant-{round}-{round}"));
        assert!(bench.a.revoke_grant(&id, Owner::User(&user("alice")), NOW).await.expect("ended"));
        bench.a.sweep(later(100 * 24 * 3600), LIVES).await.expect("swept");
    }
}

pub(crate) async fn dev_05_a_request_is_decided_by_one_of_fifty(bench: &Bench) {
    for round in 0..4_u16 {
        ask(&bench.a, round, "192.0.2.1", NOW).await.expect("asked");
        // Half of them say yes, half no, each on a page of their own.
        let answers = bench
            .race(|store, n| async move {
                let page = u8::try_from(n).expect("few") + u8::try_from(round).expect("few") * 50;
                match n % 2 {
                    0 => allow(&store, round, page, NOW).await.map(|won| (won, true)),
                    _ => store.deny_device(name(round), (&[page; 32], later(600)), NOW).await.map(|won| (won, false)),
                }
            })
            .await;
        let won: Vec<bool> =
            answers.into_iter().map(|answer| answer.expect("an answer")).filter(|(won, _)| *won).map(|(_, yes)| yes).collect();
        assert_eq!(won.len(), 1, "round {round}");
        let told = fetch(&bench.b, round, u8::try_from(round).expect("few"), NOW).await;
        assert_eq!(told.is_ok(), won[0], "round {round}");
        assert!(won[0] || told == poll(Poll::Denied));
        let grants = bench.a.list_grants(None, NOW).await.expect("grants");
        assert_eq!(grants.iter().filter(|grant| grant.id.as_str().starts_with(&format!("grant-{round}-"))).count(), usize::from(won[0]));
        assert!(bench.b.device_of_user_code(&bytes(round), NOW).await.expect("answer").is_none(), "nothing is left to decide");
    }
}

pub(crate) async fn dev_04_polls_keep_one_pace_on_all_replicas(bench: &Bench) {
    ask(&bench.a, 1, "192.0.2.1", NOW).await.expect("asked");
    assert_eq!(fetch(&bench.a, 1, 1, NOW).await, poll(Poll::Pending));
    assert_eq!(fetch(&bench.b, 1, 1, later(3)).await, poll(Poll::TooFast));
    assert_eq!(fetch(&bench.a, 1, 1, later(9)).await, poll(Poll::TooFast), "ten seconds now");
    assert_eq!(fetch(&bench.b, 1, 1, later(24)).await, poll(Poll::Pending), "fifteen");
    assert!(allow(&bench.a, 1, 1, later(25)).await.expect("recorded"));
    assert!(fetch(&bench.b, 1, 1, later(25)).await.is_ok(), "what was allowed is not held back");
    assert!(matches!(fetch(&bench.a, 1, 2, later(30)).await, Err(NoTokens::Dead(NotRedeemed::Replayed(_)))));
    // Fifty polls at once: one of them kept the pace.
    ask(&bench.a, 2, "192.0.2.1", NOW).await.expect("asked");
    let answers = bench.race(|store, _| async move { fetch(&store, 2, 2, later(1)).await }).await;
    assert_eq!(answers.iter().filter(|answer| **answer == poll(Poll::Pending)).count(), 1);
    assert_eq!(answers.iter().filter(|answer| **answer == poll(Poll::TooFast)).count(), 49);
    assert_eq!(fetch(&bench.a, 2, 2, later(70)).await, poll(Poll::Pending), "never slower than a minute");
    // Its time is over: nothing is decided any more, and it is told for an hour.
    assert!(!allow(&bench.a, 2, 2, later(600)).await.expect("answer"));
    assert!(bench.a.device(name(2), later(600)).await.expect("answer").is_none());
    assert_eq!(fetch(&bench.b, 2, 2, later(600)).await, poll(Poll::Expired));
    bench.a.sweep(later(4_199), LIVES).await.expect("swept");
    assert_eq!(fetch(&bench.b, 2, 2, later(4_199)).await, poll(Poll::Expired));
    assert!(bench.a.sweep(later(4_200), LIVES).await.expect("swept").codes >= 2);
    assert_eq!(fetch(&bench.b, 2, 2, later(4_200)).await, Err(NoTokens::Dead(NotRedeemed::Unknown)));
}

pub(crate) async fn dev_04_those_that_wait_have_a_cap(bench: &Bench) {
    let answers = bench.race(|store, n| async move { ask(&store, u16::try_from(n).expect("few"), "192.0.2.1", NOW).await }).await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok(Asked::Recorded))), "fifty of one address");
    let refused = |answer| matches!(answer, Err(StoreError::Refused(Refused::TooMany)));
    assert!(refused(ask(&bench.b, 60, "192.0.2.1", NOW).await));
    assert_eq!(ask(&bench.b, 60, "192.0.2.2", NOW).await.expect("another address"), Asked::Recorded);
    assert!(bench.a.deny_device(name(3), (&[1; 32], later(600)), NOW).await.expect("denied"));
    assert_eq!(ask(&bench.b, 61, "192.0.2.1", NOW).await.expect("room again"), Asked::Recorded);
    assert_eq!(ask(&bench.b, 62, "192.0.2.1", later(600)).await.expect("the others have ended"), Asked::Recorded);
    // A user code is one request's, also of one that is over.
    let (code, pace) = (code(99), Duration::from_secs(5));
    let (client, server, expires) = (client("c"), server("alpha"), later(1_200));
    let same =
        NewDevice { code: &code, user_code: &bytes(3), client: &client, server: &server, scope: "", peer: "192.0.2.9", expires, pace };
    assert_eq!(bench.a.ask_for_device(&same, later(600)).await.expect("answer"), Asked::CodeInUse);
    assert_eq!(fetch(&bench.a, 99, 1, later(600)).await, Err(NoTokens::Dead(NotRedeemed::Unknown)), "nothing was recorded");
    // Of everybody together two thousand.
    for at in 0..2_000_u16 {
        if refused(ask(&bench.a, 1_000 + at, &format!("198.51.100.{}", at % 200), later(600)).await) {
            assert_eq!(at, 1_999, "one waits already");
            return;
        }
    }
    panic!("there is no end");
}
