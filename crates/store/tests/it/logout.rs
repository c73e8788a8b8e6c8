//! UI-01, UI-05, TK-07: somebody signs out at their provider. Exactly what that reaches ends, once, whichever replica hears of it.

use crate::bench::{Bench, NOW, client, later, record, user};
use crate::grants::allow;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_core::id::UserId;
use doorward_core::identity::caller::{Level, Record};
use doorward_core::oidc::jose::{Alg, verify};
use doorward_core::oidc::keys::KeySet;
use doorward_core::oidc::logout::{Expected, LoggedOut, ProviderSession, Reach, log_out};
use doorward_core::secret::{AccessToken, BrowserSecret, PlainToken};
use doorward_core::time::Timestamp;
use doorward_store::{BrowserInfo, CameFrom, SignedOut, Store, StoreUrl};
use serde_json::{Value, json};
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Row as _};
use std::time::Duration;

const ISSUER: &str = "https://idp.example";

/// A logout token of the issuer of these tests, as the core judges it.
fn told(changes: &Value) -> LoggedOut {
    let key = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key");
    let at = NOW.as_millis() / 1_000;
    let mut claims = json!({"iss": ISSUER, "aud": "door", "iat": at, "exp": at + 120,
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}}});
    for (name, value) in changes.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(&json!({"alg": "EdDSA"})), part(&claims));
    let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes())));
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(key.public_key())});
    let keys = KeySet::parse(&json!({"keys": [jwk]}).to_string().into()).expect("keys");
    let signed = verify(&token, &keys, &[Alg::EdDsa]).expect("signed");
    let expected = Expected { issuer: ISSUER, client_id: "door", leeway: Duration::from_secs(30) };
    log_out(&signed, &expected, NOW).expect("a logout")
}

/// A browser of somebody, signed in through a session of their provider, for which they left just after everything else.
async fn signed_in(store: &Store, number: u8, user: &UserId, sid: Option<&str>) {
    assert!(comes(store, number, user, sid, later(1)).await);
}

/// Whether somebody comes in who left for their provider then.
async fn comes(store: &Store, number: u8, user: &UserId, sid: Option<&str>, begun: Timestamp) -> bool {
    let info = BrowserInfo {
        id: format!("b{number}"),
        user: user.clone(),
        groups: Vec::new(),
        email: None,
        label: "Browser".to_owned(),
        created: NOW,
        used: NOW,
        expires: later(3_600),
        disabled: false,
    };
    let session = sid.and_then(|sid| ProviderSession::of(user.issuer(), sid));
    let came = CameFrom { session: session.as_ref(), begun };
    store.put_browser(&PlainToken::<BrowserSecret>::mint(&[number; 32]).hashed(), &info, Some(came)).await.expect("an answer")
}

async fn left(store: &Store) -> Vec<String> {
    let mut ids: Vec<String> = store.list_browsers(None, NOW).await.expect("list").into_iter().map(|browser| browser.id).collect();
    ids.sort();
    ids
}

fn ended(of: &str, sign_ins: u64) -> SignedOut {
    SignedOut { user: user(of), sign_ins, consents: 0, tokens: 0 }
}

pub(crate) async fn ui_01_a_logout_at_a_provider_ends_what_it_names_and_nothing_else(bench: &Bench) {
    let elsewhere = UserId::new("https://other.example", "alice").expect("user");
    let people = [(1, user("alice"), Some("s1")), (2, user("alice"), Some("s2")), (3, user("alice"), None), (4, user("bob"), Some("s3"))];
    for (number, user, sid) in people {
        signed_in(&bench.a, number, &user, sid).await;
    }
    signed_in(&bench.a, 5, &elsewhere, Some("s1")).await;
    signed_in(&bench.a, 6, &user("bob"), Some("s4")).await;
    let epoch = bench.b.epoch().await.expect("epoch");
    let log_out = async |changes: Value| bench.b.log_out(&told(&changes), Reach::SignIns, NOW).await.expect("an answer");
    // Somebody else's session, nobody's, and nobody: nothing ends, and no replica has anything to look at.
    for changes in [
        json!({"jti": "1", "sub": "bob", "sid": "s1"}),
        json!({"jti": "2", "sid": "s9"}),
        json!({"jti": "3", "sub": "carol"}),
        json!({"jti": "4", "sid": "S1"}),
        json!({"jti": "5", "sub": "alice%"}),
        json!({"jti": "6", "sub": "b2"}),
    ] {
        assert_eq!(log_out(changes.clone()).await, Some(Vec::new()), "{changes}");
    }
    assert_eq!((left(&bench.a).await.len(), bench.a.epoch().await.expect("epoch")), (6, epoch));
    // One session, of whomever it is; that of another issuer has the same name and stays.
    assert_eq!(log_out(json!({"jti": "7", "sid": "s1"})).await, Some(vec![ended("alice", 1)]));
    assert_eq!(
        (left(&bench.a).await, bench.a.epoch().await.expect("epoch")),
        (["b2", "b3", "b4", "b5", "b6"].map(str::to_owned).to_vec(), epoch),
        "nobody remembers sign-ins, so nobody has to be told"
    );
    // The person besides: a sign-in of theirs whose session nobody knows may be the one.
    assert_eq!(log_out(json!({"jti": "8", "sub": "alice", "sid": "s9"})).await, Some(vec![ended("alice", 1)]));
    assert_eq!(left(&bench.a).await, ["b2", "b4", "b5", "b6"]);
    // The person alone: all of theirs.
    assert_eq!(log_out(json!({"jti": "9", "sub": "bob"})).await, Some(vec![ended("bob", 2)]));
    assert_eq!(left(&bench.a).await, ["b2", "b5"]);
}

pub(crate) async fn ui_05_one_of_fifty_that_bring_a_logout_token_ends_something(bench: &Bench) {
    signed_in(&bench.a, 1, &user("alice"), Some("s1")).await;
    let epoch = bench.a.epoch().await.expect("epoch");
    let answers = bench
        .race(|store, _| async move {
            store.log_out(&told(&json!({"jti": "once", "sub": "alice"})), Reach::SignIns, NOW).await.expect("an answer")
        })
        .await;
    let took: Vec<_> = answers.into_iter().flatten().collect();
    assert_eq!(took, [vec![ended("alice", 1)]]);
    assert_eq!(bench.b.epoch().await.expect("epoch"), epoch);
    // Whoever comes back later is not signed out by what was used, however it is turned.
    signed_in(&bench.a, 2, &user("alice"), Some("s1")).await;
    for changes in [json!({"jti": "once", "sub": "alice"}), json!({"jti": "once", "sid": "s1"})] {
        assert_eq!(bench.b.log_out(&told(&changes), Reach::Consents, later(100)).await.expect("an answer"), None);
    }
    assert_eq!(left(&bench.a).await, ["b2"]);
}

pub(crate) async fn ui_05_whoever_is_on_their_way_when_they_sign_out_does_not_come_in(bench: &Bench) {
    let log_out = async |changes: Value| bench.a.log_out(&told(&changes), Reach::SignIns, later(10)).await.expect("an answer");
    let (alice, bob, carol) = (user("alice"), user("bob"), user("carol"));
    assert_eq!(log_out(json!({"jti": "1", "sid": "s1"})).await, Some(Vec::new()));
    assert_eq!(log_out(json!({"jti": "2", "sub": "bob"})).await, Some(Vec::new()));
    assert_eq!(log_out(json!({"jti": "3", "sub": "carol", "sid": "s3"})).await, Some(Vec::new()));
    let comes = async |number: u8, user: &UserId, sid: Option<&str>, begun: u64| comes(&bench.b, number, user, sid, later(begun)).await;
    // The session that ended; the person who left everywhere; of whom left one session, that one, and one that nobody knows.
    assert!(!comes(1, &alice, Some("s1"), 9).await && !comes(1, &alice, Some("s1"), 10).await);
    assert!(!comes(2, &bob, Some("s2"), 9).await && !comes(2, &bob, None, 9).await);
    assert!(!comes(3, &carol, Some("s3"), 9).await && !comes(3, &carol, None, 9).await);
    assert!(left(&bench.a).await.is_empty());
    // Others, and whoever left for their provider afterwards.
    assert!(comes(4, &alice, Some("s4"), 9).await && comes(5, &alice, None, 9).await && comes(6, &carol, Some("s4"), 9).await);
    assert!(comes(7, &alice, Some("s1"), 11).await && comes(8, &bob, None, 11).await && comes(9, &carol, Some("s3"), 11).await);
    let elsewhere = UserId::new("https://other.example", "bob").expect("user");
    assert!(comes(10, &elsewhere, Some("s1"), 9).await, "another issuer's session of that name");
    // A later logout counts from later on, an earlier one takes nothing back.
    assert_eq!(
        bench.a.log_out(&told(&json!({"jti": "4", "sid": "s9"})), Reach::SignIns, later(50)).await.expect("an answer"),
        Some(Vec::new())
    );
    assert_eq!(log_out(json!({"jti": "5", "sid": "s9"})).await, Some(Vec::new()));
    assert!(!comes(11, &alice, Some("s9"), 50).await && comes(11, &alice, Some("s9"), 51).await);
}

/// Whoever comes first: when both are done, nobody is signed in through a session that ended.
pub(crate) async fn ui_05_a_sign_in_that_meets_its_end_is_none(bench: &Bench) {
    for round in 0..30u8 {
        let (sid, changes) = (
            format!("s{round}"),
            match round % 3 {
                0 => json!({"sid": format!("s{round}")}),
                1 => json!({"sub": "alice", "sid": format!("s{round}")}),
                _ => json!({"sub": "alice"}),
            },
        );
        let mut changes = changes;
        changes["jti"] = json!(format!("j{round}"));
        // The user is there: somebody was vouched for before.
        bench.a.put_user(&user("alice"), &[], NOW).await.expect("known");
        let (a, b) = (bench.a.clone(), bench.b.clone());
        let enters = tokio::spawn(async move { comes(&a, round, &user("alice"), Some(&sid), NOW).await });
        let leaves = tokio::spawn(async move { b.log_out(&told(&changes), Reach::SignIns, NOW).await.expect("an answer") });
        let (entered, ended) = (enters.await.expect("done"), leaves.await.expect("done").expect("once"));
        assert_eq!(entered, ended.iter().map(|one| one.sign_ins).sum::<u64>() == 1, "round {round}: whoever came in was put out");
        assert!(left(&bench.a).await.is_empty(), "round {round}");
    }
}

pub(crate) async fn tk_07_a_logout_that_reaches_consents_takes_back_all_that_its_person_allowed(bench: &Bench) {
    for of in [1, 2] {
        assert!(allow(&bench.a, of, None).await.expect("allowed"));
    }
    let token = |number: u8| PlainToken::<AccessToken>::mint(&[number; 32]).hashed();
    let record = |id: &str, of: &str| Record { level: Level::OAuth, client: client("c"), ..record(id, of) };
    // Of a consent, of a grant of the provider, and of somebody else.
    for (number, id, of) in [(1, "grant-1", "alice"), (2, "own_1", "alice"), (3, "grant-9", "bob")] {
        bench.a.put_access_token(&token(number), &record(id, of), NOW).await.expect("put");
    }
    signed_in(&bench.a, 1, &user("alice"), Some("s1")).await;
    let consents = async || bench.a.list_grants(Some(&user("alice")), NOW).await.expect("list").len();
    let dead = async |number: u8| bench.b.access_token(&token(number)).await.expect("read").expect("there").revoked.is_some();
    // Where only sign-ins are reached, what was allowed has its own end.
    let first = bench.b.log_out(&told(&json!({"jti": "1", "sub": "alice", "sid": "s1"})), Reach::SignIns, NOW).await.expect("an answer");
    assert_eq!(first, Some(vec![ended("alice", 1)]));
    assert!(consents().await == 2 && !dead(1).await && !dead(2).await);
    // A session that is nobody's here names nobody.
    let nobody = bench.b.log_out(&told(&json!({"jti": "2", "sid": "s1"})), Reach::Consents, NOW).await.expect("an answer");
    assert_eq!((nobody, consents().await), (Some(Vec::new()), 2));
    // The person does, signed in here or not.
    let second = bench.b.log_out(&told(&json!({"jti": "3", "sub": "alice"})), Reach::Consents, NOW).await.expect("an answer");
    assert_eq!(second, Some(vec![SignedOut { user: user("alice"), sign_ins: 0, consents: 2, tokens: 2 }]));
    assert!(consents().await == 0 && dead(1).await && dead(2).await && !dead(3).await);
    // And so does whoever was signed in through the session.
    signed_in(&bench.a, 2, &user("bob"), Some("s2")).await;
    let third = bench.b.log_out(&told(&json!({"jti": "4", "sid": "s2"})), Reach::Consents, NOW).await.expect("an answer");
    assert_eq!(third, Some(vec![SignedOut { user: user("bob"), sign_ins: 1, consents: 0, tokens: 1 }]));
    assert!(dead(3).await);
}

/// A logout takes the person first and what they allowed then; whoever refreshes or exchanges comes the other way round. The database ends
/// one of two that wait for each other, and the provider does not say it again.
pub(crate) async fn tk_07_a_logout_that_the_database_ended_for_another_is_done_all_the_same(bench: &Bench) {
    // SQLite has one writer at a time: nobody waits for two things there.
    let StoreUrl::Postgres(url) = &bench.url else { return };
    assert!(allow(&bench.a, 1, None).await.expect("allowed"));
    let token = PlainToken::<AccessToken>::mint(&[1; 32]).hashed();
    let held = Record { level: Level::OAuth, client: client("c"), ..record("grant-1", "alice") };
    bench.a.put_access_token(&token, &held, NOW).await.expect("put");
    signed_in(&bench.a, 1, &user("alice"), Some("s1")).await;

    let mut other = PgConnection::connect(url).await.expect("another one");
    let mut watch = PgConnection::connect(url).await.expect("a look at them");
    // It is never the one that is ended: nobody but the logout looks for what cannot go on.
    sqlx::query("SET deadlock_timeout = '1h'").execute(&mut other).await.expect("patience");
    let mut tx = other.begin().await.expect("begun");
    sqlx::query("UPDATE access_tokens SET expires = expires").execute(&mut *tx).await.expect("the token is held");
    let store = bench.b.clone();
    let leaves = tokio::spawn(async move { store.log_out(&told(&json!({"jti": "1", "sub": "alice"})), Reach::Consents, NOW).await });
    let waits = async {
        let sql = "SELECT COUNT(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while sqlx::query(sql).fetch_one(&mut watch).await.expect("a look").get::<i64, _>("n") == 0 {}
    };
    tokio::time::timeout(Duration::from_secs(20), waits).await.expect("the logout holds its person and waits for the token");
    // The cycle is closed; this goes on as soon as the logout was ended.
    sqlx::query("UPDATE users SET issuer = issuer").execute(&mut *tx).await.expect("the person is held");
    tx.commit().await.expect("done");
    let ended = leaves.await.expect("done").expect("the provider is not told to come again");
    assert_eq!(ended, Some(vec![SignedOut { user: user("alice"), sign_ins: 1, consents: 1, tokens: 1 }]), "and all of it, once");
    let sql = "SELECT deadlocks AS n FROM pg_stat_database WHERE datname = current_database()";
    let waited = async { while sqlx::query(sql).fetch_one(&mut watch).await.expect("a look").get::<i64, _>("n") == 0 {} };
    tokio::time::timeout(Duration::from_secs(20), waited).await.expect("they waited for each other");
    assert!(left(&bench.a).await.is_empty());
    other.close().await.expect("closed");
    watch.close().await.expect("closed");
}
