//! Accounts of people at servers: one owner, one that renews, one end.

use crate::bench::{Bench, NOW, later, of_one, secret, server, session, user};
use doorward_core::secret::Secret;
use doorward_core::session::Stored;
use doorward_store::{ConnectionKind, ConnectionState, NewConnection, OnRecord, Refused, Store, StoreError};
use std::time::Duration;

const CANARY: &str = "canary-of-an-account-0123456789";

async fn connect(store: &Store, who: &str, what: &str, label: &str) -> u64 {
    let (owner, server, value, scopes) = (user(who), server("linear"), secret(what), ["read".to_owned()]);
    let new = NewConnection {
        owner: &owner,
        server: &server,
        kind: ConnectionKind::Granted,
        label,
        scopes: &scopes,
        value: &value,
        replaced: None,
    };
    store.connect_account(&new, NOW).await.expect("connected")
}

async fn value(store: &Store, who: &str) -> Option<(String, u64)> {
    let found = store.connection(&user(who), &server("linear")).await.expect("answer")?;
    Some((String::from_utf8(found.value.expose().clone()).expect("text"), found.version))
}

pub(crate) async fn an_account_comes_back_and_is_its_owners_alone(bench: &Bench) {
    assert!(!bench.b.is_connected(&user("alice"), &server("linear")).await.expect("answer"));
    let version = connect(&bench.a, "alice", "hers", "alice-l").await;
    assert_eq!(value(&bench.b, "alice").await, Some(("hers".to_owned(), version)));
    assert!(value(&bench.b, "bob").await.is_none());
    let info = bench.b.list_connections(Some(&user("alice"))).await.expect("listed").pop().expect("one");
    assert_eq!((info.label.as_str(), info.state, info.kind), ("alice-l", ConnectionState::Works, ConnectionKind::Granted));
    assert_eq!((info.scopes, info.created, info.used), (vec!["read".to_owned()], NOW, None));
    assert!(bench.b.list_connections(Some(&user("bob"))).await.expect("listed").is_empty());
    bench.a.used_connection(&user("alice"), &server("linear"), later(7_300)).await.expect("used");
    let used = bench.b.list_connections(None).await.expect("listed").pop().expect("one").used.expect("used");
    assert!(used <= later(7_300) && later(7_300).since(used) < Duration::from_secs(3_600), "to the hour");
    assert!(!bench.b.disconnect_account((&user("bob"), &server("linear")), "x", OnRecord::Already, NOW).await.expect("answer"));
    assert!(bench.b.is_connected(&user("alice"), &server("linear")).await.expect("answer"));
}

pub(crate) async fn oc_01_another_account_takes_the_place_of_the_first(bench: &Bench) {
    let epoch = bench.b.epoch().await.expect("epoch");
    let first = connect(&bench.a, "alice", "one", "one").await;
    assert!(bench.b.epoch().await.expect("epoch") > epoch, "what was read before counts no more");
    let second = connect(&bench.b, "alice", "two", "two").await;
    assert!(second > first);
    assert_eq!(value(&bench.a, "alice").await, Some(("two".to_owned(), second)));
    let none = bench.a.renew_connection((&user("alice"), &server("linear")), first, (&secret("old"), &[]), NOW).await.expect("answer");
    assert!(none.is_none(), "what the first account became is not the second");
    // What it takes the place of is left for its provider, where that is somebody else's business.
    let (owner, name, value) = (user("alice"), server("linear"), secret("three"));
    let new = NewConnection {
        owner: &owner,
        server: &name,
        kind: ConnectionKind::Granted,
        label: "three",
        scopes: &[],
        value: &value,
        replaced: Some("f3"),
    };
    bench.a.connect_account(&new, later(5)).await.expect("connected");
    let left = bench.b.due_farewells((later(6), later(60)), 10).await.expect("answer").pop().expect("the one before");
    assert_eq!(left.value.expose().as_slice(), b"two");
    assert_eq!(bench.b.connected_since(&owner, &name).await.expect("answer"), Some(later(5)), "another account");
    let value = Secret::new(vec![7; 64 * 1024 + 1]);
    let large = NewConnection {
        owner: &owner,
        server: &name,
        kind: ConnectionKind::Entered,
        label: "l",
        scopes: &[],
        value: &value,
        replaced: None,
    };
    assert!(matches!(bench.a.connect_account(&large, NOW).await, Err(StoreError::Refused(Refused::Unfit("value")))));
}

pub(crate) async fn oc_07_one_of_fifty_renews_it_and_what_it_renewed_stays(bench: &Bench) {
    let version = connect(&bench.a, "alice", "spent once", "a").await;
    let won = bench
        .race(move |store, racer| async move {
            let (owner, name) = (user("alice"), server("linear"));
            let holder = [u8::try_from(racer).expect("small") + 1; 16];
            let held = store.hold_connection((&owner, &name), version, &holder, (NOW, later(30))).await.expect("answer");
            if held {
                let renewed = store.renew_connection((&owner, &name), version, (&secret("renewed"), &["read".to_owned()]), NOW).await;
                assert!(renewed.expect("answer").is_some());
            }
            held
        })
        .await;
    assert_eq!(won.into_iter().filter(|held| *held).count(), 1, "a refresh token is spent once");
    assert_eq!(value(&bench.b, "alice").await.expect("there").0, "renewed");
}

pub(crate) async fn oc_07_a_holder_that_died_is_followed_by_another(bench: &Bench) {
    let version = connect(&bench.a, "alice", "x", "a").await;
    let (owner, name) = (user("alice"), server("linear"));
    let of = (&owner, &name);
    assert!(bench.a.hold_connection(of, version, &[1; 16], (NOW, later(30))).await.expect("answer"));
    assert!(!bench.b.hold_connection(of, version, &[2; 16], (later(29), later(60))).await.expect("answer"), "busy is not dead");
    assert!(bench.a.hold_connection(of, version, &[1; 16], (later(29), later(40))).await.expect("answer"), "its own");
    assert!(bench.b.hold_connection(of, version, &[2; 16], (later(40), later(70))).await.expect("answer"), "dead");
    bench.a.let_go_of_connection(of, &[1; 16], "provider_unreachable").await.expect("answer");
    assert!(!bench.a.hold_connection(of, version, &[3; 16], (later(50), later(80))).await.expect("answer"), "only its holder lets go");
    bench.b.let_go_of_connection(of, &[2; 16], "provider_unreachable").await.expect("answer");
    let info = bench.a.list_connections(None).await.expect("listed").pop().expect("one");
    assert_eq!((info.state, info.trouble.as_deref()), (ConnectionState::Works, Some("provider_unreachable")));
    assert!(bench.a.hold_connection(of, version, &[3; 16], (later(50), later(80))).await.expect("answer"));
    assert!(!bench.a.hold_connection(of, version + 1, &[3; 16], (later(50), later(80))).await.expect("answer"), "another version");
}

pub(crate) async fn oc_08_a_connection_that_is_over_says_so_once(bench: &Bench) {
    let version = connect(&bench.a, "alice", "x", "a").await;
    let (owner, name) = (user("alice"), server("linear"));
    assert!(!bench.a.connection_is_over((&owner, &name), version + 9, "invalid_grant", NOW).await.expect("answer"));
    assert!(bench.a.is_connected(&owner, &name).await.expect("answer"));
    assert!(bench.a.connection_is_over((&owner, &name), version, "invalid_grant", NOW).await.expect("answer"));
    assert!(!bench.b.connection_is_over((&owner, &name), version, "invalid_grant", NOW).await.expect("answer"), "told once");
    assert!(!bench.b.is_connected(&owner, &name).await.expect("answer"));
    let info = bench.b.connection(&owner, &name).await.expect("answer").expect("there").info;
    assert_eq!((info.state, info.trouble.as_deref()), (ConnectionState::SignInNeeded, Some("invalid_grant")));
    connect(&bench.b, "alice", "anew", "a").await;
    assert!(bench.a.is_connected(&owner, &name).await.expect("answer"));
}

pub(crate) async fn oc_09_what_is_taken_away_is_told_to_its_provider(bench: &Bench) {
    connect(&bench.a, "alice", "to be revoked", "a").await;
    let (owner, name) = (user("alice"), server("linear"));
    let opened = Stored { server: name.clone(), ..session("s", "alice") };
    bench.a.open_session(&opened, of_one(10)).await.expect("opened");
    let epoch = bench.b.epoch().await.expect("epoch");
    assert!(bench.a.disconnect_account((&owner, &name), "f1", OnRecord::Already, NOW).await.expect("answer"));
    assert!(bench.b.connection(&owner, &name).await.expect("answer").is_none());
    assert!(bench.b.epoch().await.expect("epoch") > epoch);
    assert_eq!(bench.b.ended_sessions().await.expect("read"), [opened.digest], "what was opened with it ends with it");
    assert!(!bench.b.disconnect_account((&owner, &name), "f2", OnRecord::Already, NOW).await.expect("answer"));
    let taken = bench.race(|store, _| async move { store.due_farewells((NOW, later(60)), 10).await.expect("answer").len() }).await;
    assert_eq!(taken.iter().sum::<usize>(), 1, "one replica tells the provider");
    let again = bench.b.due_farewells((later(60), later(120)), 10).await.expect("answer").pop().expect("until it is known there");
    assert_eq!((again.value.expose().as_slice(), again.tries), (b"to be revoked".as_slice(), 2));
    assert!(!again.is_given_up(later(3_600)) && again.is_given_up(later(8 * 86_400)));
    bench.b.farewell_done(&again.id).await.expect("done");
    assert!(bench.a.due_farewells((later(900), later(960)), 10).await.expect("answer").is_empty());
}

pub(crate) async fn vlt_02_what_is_kept_opens_in_its_own_place_alone(bench: &Bench) {
    connect(&bench.a, "alice", "hers", "a").await;
    connect(&bench.a, "mallory", "his", "m").await;
    let copy = "UPDATE connections SET sealed = (SELECT sealed FROM connections WHERE subject = 'alice'), \
                version = (SELECT version FROM connections WHERE subject = 'alice') WHERE subject = 'mallory'";
    assert_eq!(bench.raw(copy).await, 1);
    let stolen = bench.b.connection(&user("mallory"), &server("linear")).await;
    assert!(matches!(stolen, Err(StoreError::Integrity { table: "connections", column: "sealed", .. })), "{stolen:?}");
    assert!(
        bench
            .b
            .disconnect_account((&user("mallory"), &server("linear")), "f", OnRecord::Already, NOW)
            .await
            .expect("what is damaged can go")
    );
    assert!(bench.b.due_farewells((NOW, later(60)), 10).await.expect("answer").is_empty());
    assert_eq!(bench.raw("UPDATE connections SET server = 'other' WHERE subject = 'alice'").await, 1);
    assert!(bench.b.connection(&user("alice"), &server("other")).await.is_err(), "nor at another server");
}

pub(crate) async fn vlt_01_nothing_of_it_is_readable(bench: &Bench) {
    connect(&bench.a, "alice", CANARY, "a").await;
    bench.a.disconnect_account((&user("alice"), &server("linear")), "f", OnRecord::Already, NOW).await.expect("answer");
    connect(&bench.a, "alice", CANARY, "a").await;
    let found = bench.b.connection(&user("alice"), &server("linear")).await.expect("answer").expect("there");
    assert!(!format!("{found:?}").contains(CANARY));
    let farewells = bench.b.due_farewells((NOW, later(60)), 10).await.expect("answer");
    assert!(!format!("{farewells:?}").contains(CANARY));
    let all = bench.everything().await;
    assert!(!all.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));
}
