//! A session counts for exactly the caller who opened it, and only while it lives.

use super::*;
use crate::identity::caller::{Audience, Door, Found, Level, Record, Verdict, verify};
use crate::identity::presented::Presented;
use crate::secret::{ApiKey, PlainToken, Secret};
use std::collections::BTreeSet;

type Change = fn(&mut Stored);

const NOW: Timestamp = Timestamp::from_millis(10_000_000);
const LIFETIMES: Lifetimes = Lifetimes { idle: Duration::from_secs(3_600), absolute: Duration::from_secs(86_400) };

fn server() -> ServerName {
    ServerName::new("alpha").expect("name")
}

fn caller() -> Caller {
    let record = Record {
        credential: CredentialId::new("key-1").expect("id"),
        level: Level::StaticKey,
        user: UserId::new("local", "alice").expect("id"),
        groups: Vec::new(),
        client: ClientId::new("key:key-1").expect("id"),
        agent: None,
        audience: Audience::Every,
        granted: BTreeSet::new(),
        expires: Timestamp::from_millis(u64::MAX),
        revoked: None,
        user_disabled: false,
        bound: None,
        delegation: None,
    };
    let key = Presented::bearer(Secret::new(PlainToken::<ApiKey>::mint(&[1; 32]).reveal().to_owned()));
    match verify(&key, Door::Key, Some(&server()), Some(Found::Stored(Arc::new(record))), NOW) {
        Verdict::Verified(caller) => caller,
        other => panic!("{other:?}"),
    }
}

fn stored() -> Stored {
    Stored {
        digest: [7; 32],
        user: UserId::new("local", "alice").expect("id"),
        client: ClientId::new("key:key-1").expect("id"),
        credential: CredentialId::new("key-1").expect("id"),
        server: server(),
        version: Version::V2025_06_18,
        capabilities: "{}".to_owned(),
        upstream_id: UpstreamSessionId::new("canary-upstream-session"),
        upstream_version: Version::V2025_11_25,
        log_level: None,
        created: NOW,
        used: NOW,
    }
}

fn opened(change: impl FnOnce(&mut Stored)) -> Result<Bound, UnknownSession> {
    let mut found = stored();
    change(&mut found);
    open(caller(), &server(), Claim::Existing(Some(found.into())), LIFETIMES, NOW)
}

#[test]
fn ones_own_session_opens_in_its_negotiated_version() {
    let bound = opened(|_| ()).expect("own session");
    assert_eq!(bound.era(), Era::Legacy(Version::V2025_06_18));
    assert!(bound.session().is_some());
}

#[test]
fn ses_02_a_session_of_anybody_or_anything_else_is_answered_like_an_unknown_one() {
    let unknown = open(caller(), &server(), Claim::Existing(None), LIFETIMES, NOW).expect_err("unknown").refusal();
    let changes: [(&str, Change); 5] = [
        ("user", |s| s.user = UserId::new("local", "mallory").expect("id")),
        ("issuer", |s| s.user = UserId::new("https://elsewhere", "alice").expect("id")),
        ("client", |s| s.client = ClientId::new("key:key-2").expect("id")),
        ("credential", |s| s.credential = CredentialId::new("key-2").expect("id")),
        ("server", |s| s.server = ServerName::new("beta").expect("name")),
    ];
    for (what, change) in changes {
        let foreign = opened(change).expect_err(what).refusal();
        assert_eq!((&foreign.wire, &foreign.public, foreign.reason), (&unknown.wire, &unknown.public, unknown.reason), "{what}");
    }
    assert_eq!(unknown.wire, Wire::Rpc { status: 404, code: -32600, data: None });
}

#[test]
fn ses_07_idle_and_absolute_lifetimes_end_a_session() {
    let ago = |span: Duration| Timestamp::from_millis(NOW.as_millis() - u64::try_from(span.as_millis()).expect("fits"));
    let just = Duration::from_millis(1);
    let lived = Lifetimes { idle: Duration::from_secs(60), absolute: Duration::from_secs(600) };
    let with = |used: Timestamp, created: Timestamp| {
        open(caller(), &server(), Claim::Existing(Some(Stored { used, created, ..stored() }.into())), lived, NOW).is_ok()
    };
    assert!(with(ago(lived.idle - just), ago(lived.absolute - just)));
    assert!(!with(ago(lived.idle), NOW));
    assert!(!with(NOW, ago(lived.absolute)));
}

#[test]
fn ses_08_a_stateless_request_and_initialize_have_no_session_to_inherit() {
    assert!(open(caller(), &server(), Claim::PerRequest, LIFETIMES, NOW).expect("modern").session().is_none());
    assert!(open(caller(), &server(), Claim::New(Version::V2025_11_25), LIFETIMES, NOW).expect("new").session().is_none());
}

#[test]
fn the_upstreams_session_id_is_never_printed() {
    assert!(!format!("{:?} {:?}", stored(), opened(|_| ())).contains("canary"));
    for bad in ["", "a b", "a\r\nb", "\u{e9}", &"a".repeat(1025)] {
        assert!(UpstreamSessionId::new(bad).is_none(), "{bad:?}");
    }
}
