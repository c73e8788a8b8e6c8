//! AZ, TK: consents, codes, refresh tokens, browsers and links, whichever replica they come to.

use crate::bench::{Bench, NOW, later, user};
use doorward_core::id::{ClientId, CredentialId, ServerName};
use doorward_core::secret::{AccessToken, AuthorizationCode, BrowserSecret, LinkSecret, PlainToken, RefreshToken, TokenHash};
use doorward_core::time::Timestamp;
use doorward_store::{
    BrowserInfo, Gives, Keys, NewGrant, NotRedeemed, Owner, PresentedCode, PresentedRefresh, Redeemed, Store, StoreError, Successors,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const WINDOW: Duration = Duration::from_secs(30);

fn client(name: &str) -> ClientId {
    ClientId::new(name).expect("client")
}

fn alpha() -> ServerName {
    ServerName::new("alpha").expect("name")
}

fn code(of: u8) -> TokenHash<AuthorizationCode> {
    PlainToken::<AuthorizationCode>::mint(&[of; 32]).hashed()
}

fn refresh(of: u8) -> TokenHash<RefreshToken> {
    PlainToken::<RefreshToken>::mint(&[of; 32]).hashed()
}

fn access(of: u8) -> TokenHash<AccessToken> {
    PlainToken::<AccessToken>::mint(&[of; 32]).hashed()
}

/// A consent of alice with the code of this number.
pub(crate) async fn allow(store: &Store, of: u8, expires: Option<Timestamp>) -> Result<bool, StoreError> {
    let granted = BTreeSet::from(["alpha:read".to_owned(), "alpha:write".to_owned()]);
    let (id, code) = (CredentialId::new(&format!("grant-{of}")).expect("id"), code(of));
    let new = NewGrant {
        id: &id,
        user: &user("alice"),
        client: &client("c"),
        fingerprint: &[1; 32],
        name: "Client",
        identity: "self-claimed",
        target: "http://127.0.0.1:1",
        server: &alpha(),
        granted: &granted,
        offered: Some(&BTreeMap::new()),
        expires,
        gives: Gives::Code {
            code: &code,
            redirect_uri: "http://127.0.0.1:1/cb",
            named: true,
            challenge: "challenge",
            expires: later(60),
            key: None,
        },
        once: (&[of; 32], later(600)),
    };
    store.record_grant(&new, NOW).await
}

async fn redeem(store: &Store, of: u8, gives: u8, arrived: Timestamp, now: Timestamp) -> Result<Redeemed, NotRedeemed> {
    let (hash, next) = (code(of), (access(gives), refresh(gives)));
    let presented = PresentedCode {
        hash: &hash,
        client: &client("c"),
        redirect_uri: Some("http://127.0.0.1:1/cb"),
        challenge: "challenge",
        server: None,
        proof: None,
    };
    let next = Successors { access: &next.0, access_life: HOUR, refresh: &next.1, refresh_life: 24 * HOUR };
    store.redeem_code(&presented, &next, arrived, now).await.expect("an answer")
}

async fn renew(store: &Store, of: u8, gives: u8, now: Timestamp) -> Result<Redeemed, NotRedeemed> {
    let (hash, next) = (refresh(of), (access(gives), refresh(gives)));
    let presented = PresentedRefresh { hash: &hash, client: &client("c"), server: None, narrowed: None, proof: None, keys: Keys::Same };
    let next = Successors { access: &next.0, access_life: HOUR, refresh: &next.1, refresh_life: 24 * HOUR };
    store.refresh(&presented, &next, WINDOW, now).await.expect("an answer")
}

async fn counts(store: &Store, of: u8) -> bool {
    store.access_token(&access(of)).await.expect("an answer").is_some_and(|record| record.revoked.is_none())
}

pub(crate) async fn tk_06_one_of_fifty_redeems_a_code_and_stays_signed_in(bench: &Bench) {
    for round in 0..20 {
        assert!(allow(&bench.a, round, None).await.expect("recorded"));
        let answers =
            bench.race(|store, n| async move { redeem(&store, round, 100 + u8::try_from(n).expect("few"), NOW, NOW).await }).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "round {round}");
        assert!(answers.iter().all(|answer| matches!(answer, Ok(_) | Err(NotRedeemed::Concurrent))), "round {round}: {answers:?}");
        let won = answers.iter().position(Result::is_ok).expect("one won");
        assert!(counts(&bench.b, 100 + u8::try_from(won).expect("few")).await, "round {round}: what was won counts");
        bench
            .a
            .revoke_grant(&CredentialId::new(&format!("grant-{round}")).expect("id"), Owner::User(&user("alice")), NOW)
            .await
            .expect("ended");
        bench.a.sweep(later(100 * 24 * 3600), doorward_core::session::Lifetimes { idle: HOUR, absolute: HOUR }).await.expect("swept");
    }
}

pub(crate) async fn tk_06_fifty_refreshes_give_one_successor(bench: &Bench) {
    assert!(allow(&bench.a, 1, None).await.expect("recorded"));
    redeem(&bench.a, 1, 1, NOW, NOW).await.expect("redeemed");
    // Everybody works out the same successor; it is recorded once, and all are given it.
    for generation in 1..40_u8 {
        let answers = bench.race(|store, _| async move { renew(&store, generation, generation + 1, NOW).await }).await;
        assert!(answers.iter().all(Result::is_ok), "generation {generation}: {answers:?}");
        assert_eq!(
            answers.iter().filter(|answer| answer.as_ref().is_ok_and(|redeemed| !redeemed.again)).count(),
            1,
            "generation {generation}"
        );
        assert!(counts(&bench.b, generation + 1).await);
    }
}

pub(crate) async fn tk_05_a_refresh_token_that_comes_late_ends_its_line(bench: &Bench) {
    assert!(allow(&bench.a, 1, None).await.expect("recorded"));
    redeem(&bench.a, 1, 1, NOW, NOW).await.expect("redeemed");
    renew(&bench.b, 1, 2, later(1)).await.expect("renewed");
    renew(&bench.b, 2, 3, later(2)).await.expect("renewed");
    assert!(renew(&bench.a, 1, 2, later(31)).await.is_ok_and(|redeemed| redeemed.again), "thirty seconds after its use");
    let before = bench.b.epoch().await.expect("epoch");
    assert!(matches!(renew(&bench.a, 1, 2, later(32)).await, Err(NotRedeemed::Replayed(_))));
    assert!(bench.b.epoch().await.expect("epoch") > before, "every replica hears of it");
    assert!(!counts(&bench.b, 3).await);
    assert_eq!(renew(&bench.b, 3, 4, later(33)).await, Err(NotRedeemed::Ended));
}

pub(crate) async fn tk_01_a_code_that_comes_again_ends_what_it_gave(bench: &Bench) {
    assert!(allow(&bench.a, 1, None).await.expect("recorded"));
    redeem(&bench.a, 1, 1, NOW, later(1)).await.expect("redeemed");
    assert_eq!(redeem(&bench.b, 1, 2, later(2), later(2)).await, Err(NotRedeemed::Concurrent), "clocks may differ by a second");
    assert!(counts(&bench.b, 1).await);
    assert!(matches!(redeem(&bench.b, 1, 2, later(3), later(3)).await, Err(NotRedeemed::Replayed(_))));
    assert!(!counts(&bench.a, 1).await && !counts(&bench.a, 2).await);
}

pub(crate) async fn a_request_is_decided_once_whatever_is_decided(bench: &Bench) {
    let answers = bench
        .race(|store, n| async move {
            if n % 2 == 0 { allow(&store, 7, None).await } else { store.decide_once((&[7; 32], later(600)), NOW).await }
        })
        .await;
    assert_eq!(answers.into_iter().filter(|answer| *answer.as_ref().expect("an answer")).count(), 1);
    assert!(bench.a.list_grants(None, NOW).await.expect("listed").len() <= 1);
}

pub(crate) async fn tk_08_no_token_outlives_the_consent(bench: &Bench) {
    assert!(allow(&bench.a, 1, Some(later(1800))).await.expect("recorded"));
    let given = redeem(&bench.a, 1, 1, NOW, NOW).await.expect("redeemed");
    assert_eq!(given.access_expires, later(1800));
    assert_eq!(renew(&bench.a, 1, 2, later(1700)).await.expect("renewed").access_expires, later(1800));
    assert_eq!(renew(&bench.a, 2, 3, later(1800)).await, Err(NotRedeemed::Ended));
}

pub(crate) async fn tk_07_nothing_is_given_for_somebody_who_may_not_act(bench: &Bench) {
    assert!(allow(&bench.a, 1, None).await.expect("recorded"));
    assert!(allow(&bench.a, 2, None).await.expect("recorded"));
    redeem(&bench.a, 1, 1, NOW, NOW).await.expect("redeemed");
    bench.b.disable_user(&user("alice"), NOW).await.expect("disabled");
    assert_eq!(renew(&bench.a, 1, 2, later(1)).await, Err(NotRedeemed::Ended));
    assert_eq!(redeem(&bench.a, 2, 3, later(1), later(1)).await, Err(NotRedeemed::Ended));
    bench.b.enable_user(&user("alice"), later(2)).await.expect("enabled");
    renew(&bench.a, 1, 2, later(3)).await.expect("renewed");
}

pub(crate) async fn az_12_a_consent_is_taken_back_by_its_owner_alone(bench: &Bench) {
    assert!(allow(&bench.a, 1, None).await.expect("recorded"));
    redeem(&bench.a, 1, 1, NOW, NOW).await.expect("redeemed");
    let id = CredentialId::new("grant-1").expect("id");
    for other in [Owner::User(&user("bob")), Owner::Client(&client("d"))] {
        assert!(!bench.b.revoke_grant(&id, other, NOW).await.expect("an answer"));
    }
    assert!(counts(&bench.a, 1).await);
    assert!(bench.b.revoke_grant(&id, Owner::Client(&client("c")), NOW).await.expect("an answer"));
    assert!(!bench.a.revoke_grant(&id, Owner::User(&user("alice")), NOW).await.expect("an answer"), "once");
    assert!(!counts(&bench.a, 1).await);
    assert!(bench.a.list_grants(Some(&user("alice")), NOW).await.expect("listed").is_empty());
}

pub(crate) async fn az_12_what_is_issued_while_a_consent_is_withdrawn_is_dead_as_well(bench: &Bench) {
    for round in 0..20_u8 {
        assert!(allow(&bench.a, round, None).await.expect("recorded"));
        redeem(&bench.a, round, round, NOW, NOW).await.expect("redeemed");
        let id = CredentialId::new(&format!("grant-{round}")).expect("id");
        let answers = bench
            .race(move |store, n| {
                let id = id.clone();
                async move {
                    if n % 5 == 4 {
                        store.revoke_grant(&id, Owner::User(&user("alice")), NOW).await.map(|_| ())
                    } else {
                        renew(&store, round, 100 + round, NOW).await.map(|_| ()).or(Ok(()))
                    }
                }
            })
            .await;
        assert!(answers.into_iter().all(|answer: Result<(), StoreError>| answer.is_ok()), "round {round}");
        assert!(!counts(&bench.a, round).await && !counts(&bench.b, 100 + round).await, "round {round}: a token outlived its consent");
    }
}

pub(crate) async fn tk_05_one_client_takes_no_room_from_the_others(bench: &Bench) {
    assert!(allow(&bench.a, 1, None).await.expect("recorded"));
    redeem(&bench.a, 1, 1, NOW, NOW).await.expect("redeemed");
    for generation in 1..60_u8 {
        renew(&bench.a, generation, generation + 1, later(u64::from(generation))).await.expect("renewed");
    }
    assert!(counts(&bench.a, 60).await && counts(&bench.a, 45).await, "the last ones count");
    assert!(!counts(&bench.a, 30).await, "older ones have gone");
}

pub(crate) async fn ui_04_a_link_is_taken_by_one_of_fifty(bench: &Bench) {
    let link = PlainToken::<LinkSecret>::mint(&[3; 32]).hashed();
    bench.a.put_link(&link, &user("admin"), later(600), NOW).await.expect("put");
    assert!(bench.b.has_link(later(599)).await.expect("an answer") && !bench.b.has_link(later(600)).await.expect("an answer"));
    let taken = link.clone();
    let answers = bench
        .race(move |store, _| {
            let link = taken.clone();
            async move { store.take_link(&link, later(1)).await.expect("an answer") }
        })
        .await;
    assert_eq!(answers.into_iter().flatten().count(), 1);
    bench.a.put_link(&link, &user("admin"), later(600), NOW).await.expect("put");
    assert_eq!(bench.a.take_link(&link, later(600)).await.expect("an answer"), None, "too late");
}

pub(crate) async fn ui_01_a_browser_is_signed_in_until_it_is_not(bench: &Bench) {
    let cookie = PlainToken::<BrowserSecret>::mint(&[4; 32]).hashed();
    let info = BrowserInfo {
        id: "b1".to_owned(),
        user: user("alice"),
        email: None,
        groups: Vec::new(),
        label: "Firefox on Linux".to_owned(),
        created: NOW,
        used: NOW,
        expires: later(12 * 3600),
        disabled: false,
    };
    bench.a.put_browser(&cookie, &info, None).await.expect("put");
    assert_eq!(bench.b.browser(&cookie, HOUR, later(3599)).await.expect("an answer"), Some(info.clone()));
    assert_eq!(bench.b.browser(&cookie, HOUR, later(3600)).await.expect("an answer"), None, "an hour without use");
    bench.b.touch_browser(&cookie, later(3000)).await.expect("touched");
    assert!(bench.a.browser(&cookie, HOUR, later(6000)).await.expect("an answer").is_some());
    assert_eq!(bench.a.browser(&cookie, 24 * HOUR, later(12 * 3600)).await.expect("an answer"), None, "the end, whatever happens");
    assert_eq!(bench.a.end_browsers(&user("bob"), Some("b1")).await.expect("an answer"), 0, "not theirs");
    assert_eq!(bench.a.end_browsers(&user("alice"), None).await.expect("an answer"), 1);
    assert_eq!(bench.b.browser(&cookie, HOUR, later(1)).await.expect("an answer"), None);
}
