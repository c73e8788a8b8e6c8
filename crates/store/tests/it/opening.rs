//! Opening: keys, migrations, replicas and endings.

use crate::bench::{Bench, NOW, open, secret, user};
use doorward_store::{StoreError, StoreUrl};

pub(crate) async fn vlt_03_another_key_is_noticed(bench: &Bench) {
    bench.a.put_secret(&user("alice"), "token", &secret("value")).await.expect("put");
    assert!(matches!(open(&bench.url, 2).await, Err(StoreError::WrongKey)));
    let right = open(&bench.url, 1).await.expect("the right key still opens");
    assert!(right.secret(&user("alice"), "token").await.expect("answer").is_some());
    right.close().await;
}

pub(crate) async fn vlt_03_a_removed_marker_is_no_new_store(bench: &Bench) {
    bench.a.put_secret(&user("alice"), "token", &secret("value")).await.expect("put");
    assert_eq!(bench.raw("DELETE FROM marker").await, 1);
    for key in [1, 2] {
        assert!(matches!(open(&bench.url, key).await, Err(StoreError::WrongKey)), "key {key}");
    }
}

pub(crate) async fn migrations_run_once_and_unknown_ones_stop_the_start(bench: &Bench) {
    let epoch = bench.a.raise_epoch("kept", NOW).await.expect("raised");
    let again = open(&bench.url, 1).await.expect("opened again");
    assert_eq!(again.epoch().await.expect("epoch"), epoch, "nothing was made anew");
    again.ping().await.expect("answers");
    again.close().await;
    let empty = match bench.url {
        StoreUrl::Sqlite(_) => "x''",
        StoreUrl::Postgres(_) => "''::bytea",
    };
    assert_eq!(bench.raw(&format!("INSERT INTO schema_history (version, digest) VALUES (9999, {empty})")).await, 1);
    assert!(matches!(open(&bench.url, 1).await, Err(StoreError::Schema { version: 9999 })), "a newer release was here");
    assert_eq!(bench.raw("DELETE FROM schema_history WHERE version = 9999").await, 1);
    assert_eq!(bench.raw(&format!("UPDATE schema_history SET digest = {empty} WHERE version = 1")).await, 1);
    assert!(matches!(open(&bench.url, 1).await, Err(StoreError::Schema { version: 1 })), "another text under the same number");
}

pub(crate) async fn two_programs_may_open_a_new_store_at_once(bench: &Bench) {
    for table in [
        "attempts",
        "blocked_clients",
        "deeds",
        "seen",
        "budgets",
        "marker",
        "vault",
        "connections",
        "farewells",
        "counters",
        "client_documents",
        "grants",
        "codes",
        "device_requests",
        "refresh_tokens",
        "browsers",
        "links",
        "launches",
        "pins",
        "consumed",
        "tasks",
        "sessions",
        "access_tokens",
        "api_keys",
        "users",
        "schema_history",
    ] {
        bench.raw(&format!("DROP TABLE {table}")).await;
    }
    let openers: Vec<_> = (0..4)
        .map(|_| {
            let url = bench.url.clone();
            tokio::spawn(async move { open(&url, 1).await })
        })
        .collect();
    for opener in openers {
        let store = opener.await.expect("opener").expect("opened");
        store.ping().await.expect("answers");
        store.close().await;
    }
}

pub(crate) async fn a_closed_store_is_unavailable(bench: &Bench) {
    bench.a.ping().await.expect("answers");
    bench.a.close().await;
    assert!(matches!(bench.a.ping().await, Err(StoreError::Unavailable { .. })));
    assert!(matches!(bench.a.epoch().await, Err(StoreError::Unavailable { .. })));
    assert!(matches!(bench.a.raise_epoch("late", NOW).await, Err(StoreError::Unavailable { .. })));
}

#[tokio::test]
async fn vlt_01_a_readable_file_is_narrowed_and_a_foreign_one_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::sqlite().await;
    bench.a.close().await;
    bench.b.close().await;
    let StoreUrl::Sqlite(path) = &bench.url else { panic!("a file") };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).expect("mode");
    open(&bench.url, 1).await.expect("opened").close().await;
    assert_eq!(std::fs::metadata(path).expect("there").permissions().mode() & 0o777, 0o600);

    let foreign = path.with_file_name("notes.txt");
    std::fs::write(&foreign, "not a database, but long enough to be looked at as one".repeat(40)).expect("written");
    let answer = open(&StoreUrl::Sqlite(foreign.clone()), 1).await;
    assert!(matches!(answer, Err(StoreError::Rejected { .. })), "{answer:?}");
    assert!(std::fs::read_to_string(&foreign).expect("there").starts_with("not a database"), "left as it was");
    let directory = path.parent().expect("directory").to_owned();
    assert!(matches!(open(&StoreUrl::Sqlite(directory), 1).await, Err(StoreError::Setup(_))));
}
