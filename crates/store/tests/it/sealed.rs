//! What must be read back and by nobody else (I10).

use crate::bench::{Bench, NOW, damaged, find, new_key, of_one, plain_key, secret, server, session, task, upstream, user};
use base64::Engine as _;
use doorward_core::session::Stored;
use doorward_store::{Refused, StoreError, StoreUrl};

const CANARY: &str = "canary-that-nobody-may-read-0123456789";

async fn read(bench: &Bench, subject: &str, name: &str) -> Result<Option<String>, StoreError> {
    let found = bench.b.secret(&user(subject), name).await?;
    Ok(found.map(|(value, _)| String::from_utf8(value.expose().clone()).expect("text")))
}

pub(crate) async fn a_value_comes_back_with_its_version(bench: &Bench) {
    let alice = user("alice");
    let first = bench.a.put_secret(&alice, "token", &secret("one")).await.expect("put");
    let (value, version) = bench.b.secret(&alice, "token").await.expect("answer").expect("found");
    assert_eq!((value.expose().as_slice(), version), (b"one".as_slice(), first));
    assert!(!bench.a.swap_secret(&alice, "token", first + 100, &secret("no")).await.expect("another version"));
    assert!(!bench.a.swap_secret(&alice, "other", first, &secret("no")).await.expect("another name"));
    assert!(!bench.a.swap_secret(&alice, "token", u64::MAX, &secret("no")).await.expect("no version at all"));
    assert!(bench.a.swap_secret(&alice, "token", first, &secret("two")).await.expect("swapped"));
    assert!(!bench.a.swap_secret(&alice, "token", first, &secret("three")).await.expect("too late"));
    assert_eq!(read(bench, "alice", "token").await.expect("answer").as_deref(), Some("two"));
    bench.a.put_secret(&alice, "empty", &secret("")).await.expect("put");
    assert_eq!(read(bench, "alice", "empty").await.expect("answer").as_deref(), Some(""));
    assert_eq!(bench.a.destroy_secrets(&alice).await.expect("destroyed"), 2);
    assert_eq!(bench.a.destroy_secrets(&alice).await.expect("again"), 0);
    assert!(read(bench, "alice", "token").await.expect("answer").is_none());
}

pub(crate) async fn versions_are_never_repeated(bench: &Bench) {
    let alice = user("alice");
    let first = bench.a.put_secret(&alice, "token", &secret("one")).await.expect("put");
    bench.a.destroy_secrets(&alice).await.expect("destroyed");
    let second = bench.b.put_secret(&alice, "token", &secret("two")).await.expect("put");
    assert!(second > first);
    assert!(!bench.a.swap_secret(&alice, "token", first, &secret("stale")).await.expect("of a value destroyed"));
}

pub(crate) async fn an_owner_sees_their_own_values_alone(bench: &Bench) {
    let version = bench.a.put_secret(&user("alice"), "token", &secret("hers")).await.expect("put");
    assert!(read(bench, "bob", "token").await.expect("answer").is_none());
    assert!(!bench.a.swap_secret(&user("bob"), "token", version, &secret("no")).await.expect("answer"));
    assert_eq!(bench.a.destroy_secrets(&user("bob")).await.expect("answer"), 0);
    assert_eq!(read(bench, "alice", "token").await.expect("answer").as_deref(), Some("hers"));
}

pub(crate) async fn vlt_02_a_ciphertext_moved_to_another_place_does_not_open(bench: &Bench) {
    let (alice, bob) = (user("alice"), user("bob"));
    bench.a.put_secret(&alice, "access", &secret("alice access")).await.expect("put");
    bench.a.put_secret(&alice, "refresh", &secret("alice refresh")).await.expect("put");
    bench.a.put_secret(&bob, "access", &secret("bob access")).await.expect("put");
    // The attacker also copies the version, so that the place alone differs.
    let copy = |from: &str, to: &str| {
        format!(
            "UPDATE vault SET sealed = (SELECT sealed FROM vault WHERE {from}), version = (SELECT version FROM vault WHERE {from}) WHERE {to}"
        )
    };
    let (alices, bobs) = ("subject = 'alice' AND name = 'access'", "subject = 'bob' AND name = 'access'");
    assert_eq!(bench.raw(&copy(alices, bobs)).await, 1);
    assert!(damaged(&read(bench, "bob", "access").await, "vault", "sealed"), "another owner");
    assert_eq!(bench.raw(&copy(alices, "name = 'refresh'")).await, 1);
    assert!(damaged(&read(bench, "alice", "refresh").await, "vault", "sealed"), "another name");
    assert_eq!(read(bench, "alice", "access").await.expect("answer").as_deref(), Some("alice access"), "left alone");
    assert_eq!(bench.raw(&format!("UPDATE vault SET version = version + 1 WHERE {alices}")).await, 1);
    assert!(damaged(&read(bench, "alice", "access").await, "vault", "sealed"), "another version");
    let cut = match bench.url {
        StoreUrl::Sqlite(_) => "substr(sealed, 1, length(sealed) - 1)",
        StoreUrl::Postgres(_) => "substring(sealed from 1 for length(sealed) - 1)",
    };
    assert_eq!(bench.raw(&format!("UPDATE vault SET version = version - 1, sealed = {cut} WHERE {alices}")).await, 1);
    assert!(damaged(&read(bench, "alice", "access").await, "vault", "sealed"), "cut");
}

pub(crate) async fn vlt_02_an_upstream_session_moved_to_another_place_does_not_open(bench: &Bench) {
    let own = session("one", "alice");
    let other = Stored { upstream_id: Some(upstream("of-bob")), ..session("two", "bob") };
    bench.a.open_session(&own, of_one(10)).await.expect("opened");
    bench.a.open_session(&other, of_one(10)).await.expect("opened");
    let copied = "UPDATE sessions SET upstream_id = (SELECT upstream_id FROM sessions WHERE subject = 'alice') WHERE subject = 'bob'";
    assert_eq!(bench.raw(copied).await, 1);
    assert!(damaged(&find(&bench.b, &other).await, "sessions", "upstream_id"), "another owner");
    let swap = bench.b.replace_upstream_session(&other.digest, &other.user, other.upstream_id.as_ref(), None).await;
    assert!(damaged(&swap, "sessions", "upstream_id"), "nor is it replaced");
    assert_eq!(find(&bench.b, &own).await.expect("answer").as_ref(), Some(&own), "left alone");
    for (change, moved) in [
        ("server = 'beta'", Stored { server: server("beta"), ..own.clone() }),
        ("server = 'alpha', subject = 'eve'", Stored { user: user("eve"), ..own.clone() }),
    ] {
        let digest = if change.contains("eve") { "server = 'beta'" } else { "subject = 'alice'" };
        assert_eq!(bench.raw(&format!("UPDATE sessions SET {change} WHERE {digest}")).await, 1);
        assert!(damaged(&find(&bench.b, &moved).await, "sessions", "upstream_id"), "{change}");
    }
}

pub(crate) async fn vlt_02_a_task_moved_to_another_place_does_not_open(bench: &Bench) {
    let own = task("one", "alice");
    bench.a.put_task(&own, 10).await.expect("put");
    assert_eq!(bench.raw("UPDATE tasks SET subject = 'bob'").await, 1);
    let stolen = bench.b.task(&own.digest, &user("bob"), &own.client, &own.credential, &own.server).await;
    assert!(matches!(stolen, Err(StoreError::Integrity { table: "tasks", .. })), "{stolen:?}");
    assert_eq!(bench.raw("UPDATE tasks SET subject = 'alice', upstream_id = gateway_id").await, 1);
    let confused = bench.b.task(&own.digest, &own.user, &own.client, &own.credential, &own.server).await;
    assert!(damaged(&confused, "tasks", "upstream_id"), "another column");
    let listed = bench.b.tasks_of(&own.user, &own.client, &own.credential, &own.server).await;
    assert!(damaged(&listed, "tasks", "upstream_id"));
}

pub(crate) async fn values_have_caps(bench: &Bench) {
    let large = doorward_core::secret::Secret::new(vec![0; 64 * 1024 + 1]);
    assert!(matches!(bench.a.put_secret(&user("alice"), "n", &large).await, Err(StoreError::Refused(Refused::Unfit("value")))));
    assert!(matches!(bench.a.put_secret(&user("alice"), "", &secret("v")).await, Err(StoreError::Refused(Refused::Unfit("name")))));
    bench.a.put_secret(&user("alice"), "n", &secret("v")).await.expect("put");
    let many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999) \
                INSERT INTO vault (issuer, subject, name, version, sealed) SELECT issuer, subject, 'n' || i, 1, sealed FROM n, vault";
    assert_eq!(bench.raw(many).await, 999);
    assert!(matches!(bench.a.put_secret(&user("alice"), "more", &secret("v")).await, Err(StoreError::Refused(Refused::TooMany))));
    bench.a.put_secret(&user("alice"), "n", &secret("w")).await.expect("in place of one");
    bench.a.put_secret(&user("bob"), "n", &secret("v")).await.expect("another owner");
}

pub(crate) async fn vlt_01_nothing_readable_at_rest(bench: &Bench) {
    let key = plain_key(7);
    bench.a.create_api_key(&new_key(7, "k7", "alice")).await.expect("created");
    bench.a.put_secret(&user("alice"), "token", &secret(CANARY)).await.expect("put");
    bench.a.open_session(&Stored { upstream_id: Some(upstream(CANARY)), ..session(CANARY, "alice") }, of_one(10)).await.expect("opened");
    bench.a.put_task(&task(CANARY, "alice"), 10).await.expect("put");
    let _ = bench.a.consume_once("code", &[9; 32], NOW, NOW).await;
    let all = bench.everything().await;
    assert!(find_in(&all, b"label of k7"), "the search sees what is there");
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    for planted in [CANARY, &hex, &hex.to_uppercase(), &base64::engine::general_purpose::STANDARD_NO_PAD.encode(CANARY), key.reveal()] {
        assert!(!find_in(&all, planted.as_bytes()));
    }
    if let StoreUrl::Sqlite(path) = &bench.url {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &std::path::Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
        let directory = path.parent().expect("directory");
        assert_eq!(mode(directory), 0o700);
        let mut files = 0;
        for entry in std::fs::read_dir(directory).expect("listing") {
            assert_eq!(mode(&entry.expect("entry").path()), 0o600);
            files += 1;
        }
        assert!(files >= 2, "the database and its log");
    }
}

fn find_in(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|window| window == part)
}
