//! Legacy sessions.

use crate::bench::{Bench, LIVES, NOW, client, credential, find, later, of_one, server, session, upstream, user};
use doorward_core::secret::sha256;
use doorward_core::session::Stored;
use doorward_store::{Refused, SessionCaps, StoreError};
use std::time::Duration;

pub(crate) async fn a_session_comes_back_as_it_was_opened(bench: &Bench) {
    let full = Stored { log_level: Some(String::from("debug")), ..session("one", "alice") };
    let bare = Stored { upstream_id: None, ..session("two", "alice") };
    for stored in [&full, &bare] {
        bench.a.open_session(stored, of_one(10)).await.expect("opened");
        assert_eq!(find(&bench.b, stored).await.expect("answer").as_ref(), Some(stored));
    }
    assert_eq!(bench.b.count_sessions().await.expect("count"), 2);
    assert!(matches!(bench.a.open_session(&full, of_one(10)).await, Err(StoreError::Conflict)));
    for level in [None, Some("error")] {
        assert!(bench.a.set_log_level(&full.digest, &full.user, level).await.expect("set"));
        assert_eq!(find(&bench.b, &full).await.expect("answer").expect("found").log_level.as_deref(), level);
    }
    assert!(bench.a.end_session(&full.digest, &full.user).await.expect("ended"));
    assert!(!bench.a.end_session(&full.digest, &full.user).await.expect("again"));
    assert!(find(&bench.b, &full).await.expect("answer").is_none());
}

pub(crate) async fn ses_02_a_session_is_seen_by_its_owner_alone(bench: &Bench) {
    let own = session("one", "alice");
    bench.a.open_session(&own, of_one(10)).await.expect("opened");
    let strangers = [
        Stored { digest: sha256(b"two"), ..own.clone() },
        Stored { user: user("bob"), ..own.clone() },
        Stored { client: client("other"), ..own.clone() },
        Stored { credential: credential("other"), ..own.clone() },
        Stored { server: server("beta"), ..own.clone() },
    ];
    for stranger in &strangers {
        assert!(find(&bench.a, stranger).await.expect("answer").is_none(), "{stranger:?}");
    }
    let bob = user("bob");
    bench.a.touch_session(&own.digest, &bob, later(9)).await.expect("answer");
    assert!(!bench.a.set_log_level(&own.digest, &bob, Some("debug")).await.expect("answer"));
    assert!(!bench.a.replace_upstream_session(&own.digest, &bob, own.upstream_id.as_ref(), None).await.expect("answer"));
    assert!(!bench.a.end_session(&own.digest, &bob).await.expect("answer"));
    assert_eq!(find(&bench.a, &own).await.expect("answer"), Some(own));
}

pub(crate) async fn a_use_moves_forward_only(bench: &Bench) {
    let own = session("one", "alice");
    bench.a.open_session(&own, of_one(10)).await.expect("opened");
    for (touch, used) in [(later(5), later(5)), (later(2), later(5)), (later(6), later(6))] {
        bench.a.touch_session(&own.digest, &own.user, touch).await.expect("touched");
        assert_eq!(find(&bench.b, &own).await.expect("answer").expect("found").used, used);
    }
}

pub(crate) async fn the_upstream_session_is_replaced_only_from_what_it_is(bench: &Bench) {
    let own = session("one", "alice");
    bench.a.open_session(&own, of_one(10)).await.expect("opened");
    let (first, second) = (own.upstream_id.clone().expect("given"), upstream("second"));
    for (old, new, won) in [
        (None, Some(&second), false),
        (Some(&second), None, false),
        (Some(&first), Some(&second), true),
        (Some(&first), Some(&second), false),
        (Some(&second), None, true),
        (None, Some(&first), true),
    ] {
        assert_eq!(bench.a.replace_upstream_session(&own.digest, &own.user, old, new).await.expect("answer"), won, "{old:?} {new:?}");
        if won {
            assert_eq!(find(&bench.b, &own).await.expect("answer").expect("found").upstream_id.as_ref(), new);
        }
    }
}

pub(crate) async fn ses_07_the_cap_holds_for_each_user(bench: &Bench) {
    for text in ["one", "two"] {
        bench.a.open_session(&session(text, "alice"), of_one(2)).await.expect("below the cap");
    }
    assert!(matches!(bench.b.open_session(&session("three", "alice"), of_one(2)).await, Err(StoreError::Refused(Refused::TooMany))));
    bench.a.open_session(&session("four", "bob"), of_one(2)).await.expect("another user");
    assert!(bench.a.end_session(&session("one", "alice").digest, &user("alice")).await.expect("ended"));
    bench.b.open_session(&session("three", "alice"), of_one(2)).await.expect("room again");
    assert!(matches!(bench.b.open_session(&session("none", "eve"), of_one(0)).await, Err(StoreError::Refused(Refused::TooMany))));
}

pub(crate) async fn ses_07_everybody_together_has_a_cap_and_the_owners_own_is_told_first(bench: &Bench) {
    let caps = SessionCaps { per_user: 2, of_all: 3 };
    for (text, name) in [("one", "alice"), ("two", "alice"), ("three", "bob")] {
        bench.a.open_session(&session(text, name), caps).await.expect("below both caps");
    }
    assert!(matches!(bench.b.open_session(&session("four", "bob"), caps).await, Err(StoreError::Refused(Refused::Full))));
    assert!(matches!(bench.b.open_session(&session("four", "carol"), caps).await, Err(StoreError::Refused(Refused::Full))));
    assert!(matches!(bench.b.open_session(&session("four", "alice"), caps).await, Err(StoreError::Refused(Refused::TooMany))));
    assert_eq!(bench.a.count_sessions().await.expect("count"), 3, "nothing of them stays");
    assert!(bench.a.end_session(&session("one", "alice").digest, &user("alice")).await.expect("ended"));
    bench.b.open_session(&session("four", "carol"), caps).await.expect("room again");
}

pub(crate) async fn expired_sessions_are_swept_in_batches(bench: &Bench) {
    let idle = session("idle", "alice");
    let old = Stored { used: later(86_400), ..session("old", "alice") };
    let young = Stored { created: later(86_000), used: later(86_000), ..session("young", "alice") };
    for stored in [&idle, &old, &young] {
        bench.a.open_session(stored, of_one(10)).await.expect("opened");
    }
    let early = later(3_600).as_millis() - 1;
    let swept = bench.b.sweep(doorward_core::time::Timestamp::from_millis(early), LIVES).await.expect("swept");
    assert_eq!(swept.sessions, 0, "one millisecond before its time");
    assert_eq!(bench.b.sweep(later(3_600), LIVES).await.expect("swept").sessions, 1);
    assert!(find(&bench.a, &idle).await.expect("answer").is_none());
    assert_eq!(bench.b.sweep(later(86_400), LIVES).await.expect("swept").sessions, 1);
    assert!(find(&bench.a, &old).await.expect("answer").is_none());
    assert!(find(&bench.a, &young).await.expect("answer").is_some());

    // 1,203 more, as the database itself makes them.
    let many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1203) \
                INSERT INTO sessions (digest, issuer, subject, client, credential, server, version, capabilities, upstream_revision, \
                upstream_version, created, used) SELECT ";
    let rest = ", 'i', 's', 'c', 'g', 'alpha', '2025-11-25', '{}', 1, '2025-11-25', 1, 1 FROM n";
    let digest = match bench.url {
        doorward_store::StoreUrl::Sqlite(_) => "CAST(printf('%032d', i) AS BLOB)",
        doorward_store::StoreUrl::Postgres(_) => "convert_to(lpad(i::text, 32, '0'), 'UTF8')",
    };
    assert_eq!(bench.raw(&format!("{many}{digest}{rest}")).await, 1_203);
    let first = bench.a.sweep(later(86_400), LIVES).await.expect("swept");
    assert_eq!((first.sessions, first.is_partial()), (1_000, true));
    let second = bench.a.sweep(later(86_400), LIVES).await.expect("swept");
    assert_eq!((second.sessions, second.is_partial()), (203, false));
    assert_eq!(bench.a.count_sessions().await.expect("count"), 1);
    let forever = doorward_core::session::Lifetimes { idle: Duration::MAX, absolute: Duration::MAX };
    assert_eq!(bench.a.sweep(NOW, forever).await.expect("swept").sessions, 0);
}
