//! Hostile servers, authorization servers and browsers.

mod said;
mod tokens;

use super::client::{Auth, UpstreamClient};
use super::server::{AuthorizationServer, Pkce};
use super::trip::{Arrived, BadTrip, Begin, NotArrived, TRIP_LIFE, Trip, TripKey};
use crate::id::{ServerName, UserId};
use crate::oauth::form::Form;
use crate::oidc::journey::JourneyKey;
use crate::oidc::provider::Naming;
use crate::secret::{Secret, sha256};
use crate::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Value, json};
use std::time::Duration;

pub(super) const ISSUER: &str = "https://auth.example";
pub(super) const SERVER: &str = "https://mcp.example/linear/mcp";
pub(super) const REDIRECT: &str = "https://door.example/connect/linear/callback";
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

pub(super) fn bytes(value: &Value) -> Bytes {
    Bytes::from(value.to_string())
}

pub(super) fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(|one| (*one).to_owned()).collect()
}

/// `whole` with other members; null for none.
pub(super) fn with(mut whole: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().expect("an object") {
        match value {
            Value::Null => drop(whole.as_object_mut().expect("an object").remove(name)),
            value => whole[name] = value.clone(),
        }
    }
    whole
}

pub(super) fn metadata() -> Value {
    json!({"issuer": ISSUER, "authorization_endpoint": "https://auth.example/authorize", "token_endpoint": "https://auth.example/token",
        "registration_endpoint": "https://auth.example/register", "revocation_endpoint": "https://auth.example/revoke",
        "response_types_supported": ["code"], "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"], "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic", "none"],
        "authorization_response_iss_parameter_supported": true, "scopes_supported": ["read", "write", "offline_access"]})
}

pub(super) fn server() -> AuthorizationServer {
    AuthorizationServer::parse(&bytes(&metadata()), ISSUER, Pkce::Required).expect("good")
}

pub(super) fn client(secret: Option<&str>) -> UpstreamClient {
    UpstreamClient::configured("the client", None, &server()).expect_err("a blank");
    UpstreamClient::configured("client:1", secret.map(|secret| Secret::new(secret.to_owned())), &server()).expect("good")
}

fn name(text: &str) -> ServerName {
    ServerName::new(text).expect("name")
}

fn user(subject: &str) -> UserId {
    UserId::new("https://idp.example", subject).expect("user")
}

fn b64(byte: u8) -> String {
    URL_SAFE_NO_PAD.encode([byte; 32])
}

fn trip(scopes: &[&str], waiting: Option<&str>) -> Trip {
    let (server_name, alice) = (name("linear"), user("alice"));
    let begin = Begin {
        server: &server_name,
        user: &alice,
        browser: [5; 32],
        at: &server(),
        client: &client(Some("hidden")),
        redirect: REDIRECT,
        scopes: &texts(scopes),
        resource: SERVER,
    };
    Trip::begin(begin, &[[1; 32], [2; 32], [3; 32]], waiting, NOW)
}

pub(super) fn arrived() -> Arrived {
    let answer = Form::parse(&format!("state={}&code=the+code&iss=https%3A%2F%2Fauth.example", b64(1))).expect("a form");
    trip(&["read"], None).arrive(&name("linear"), &user("alice"), &[5; 32], &answer, Naming::Promised).expect("arrived")
}

/// Who was there, in which browser, at which callback, with which answer, and what was promised.
fn comes(at: &str, who: &str, browser: u8, query: &str, naming: Naming) -> Result<Arrived, NotArrived> {
    trip(&["read"], None).arrive(&name(at), &user(who), &[browser; 32], &Form::parse(query).expect("a form"), naming)
}

#[test]
fn oc_03_a_connection_is_of_one_browser_person_server_and_installation() {
    let key = TripKey::derive(&Secret::new([7; 32])).expect("key");
    let sealed = key.seal(&trip(&["read", "write"], Some("ticket")), [9; 12]).expect("sealed");
    let late = NOW.after(TRIP_LIFE);
    let open = key.open(&sealed, late).expect("open");
    assert_eq!((open.server(), open.user(), open.issuer(), open.client()), (&name("linear"), &user("alice"), ISSUER, "client:1"));
    assert_eq!((open.redirect(), open.scopes(), open.resource()), (REDIRECT, texts(&["read", "write"]).as_slice(), SERVER));
    assert_eq!((open.begun(), Trip::short(open.state())), (NOW, Some("AQEBAQEB")));
    assert_eq!(key.open(&sealed, late.after(Duration::from_millis(1))).expect_err("too old"), BadTrip::Unknown);
    assert!(TripKey::derive(&Secret::new([8; 32])).expect("key").open(&sealed, late).is_err(), "another installation");
    assert!(JourneyKey::derive(&Secret::new([7; 32])).expect("key").open(&sealed, NOW).is_err(), "what is no sign-in opens as none");
    for at in 0..sealed.len() {
        let mut text = sealed.clone().into_bytes();
        text[at] = if text[at] == b'A' { b'B' } else { b'A' };
        assert!(key.open(&String::from_utf8(text).expect("ascii"), NOW).is_err(), "changed at {at}");
    }
    assert!(key.open(&"A".repeat(100_000), NOW).is_err() && key.open("", NOW).is_err());
    let ticket = key.open(&sealed, NOW).expect("open").arrive(
        &name("linear"),
        &user("alice"),
        &[5; 32],
        &Form::parse(&format!("state={}&code=c", b64(1))).expect("form"),
        Naming::Open,
    );
    let ticket = ticket.expect("arrived");
    assert!(ticket.leads_to("ticket") && !ticket.leads_to("another") && !arrived().leads_to(""));
    assert_eq!(ticket.once(), arrived().once(), "one state is used up once, whatever waits");
    let long = vec!["s".repeat(500); 8];
    let long: Vec<&str> = long.iter().map(String::as_str).collect();
    assert_eq!(key.seal(&trip(&long, None), [1; 12]).expect_err("no cookie holds it"), BadTrip::TooLong);
    let printed = format!("{:?} {:?} {key:?}", trip(&["read"], None), arrived());
    assert!(!printed.contains(&b64(3)) && !printed.contains(&b64(1)) && !printed.contains("the code"), "{printed}");
}

#[test]
fn oc_03_nothing_arrives_in_another_session_or_at_another_callback() {
    let good = format!("state={}&code=c&iss=https%3A%2F%2Fauth.example", b64(1));
    assert!(comes("linear", "alice", 5, &good, Naming::Promised).is_ok());
    for (at, who, browser, query, why) in [
        ("github", "alice", 5, good.clone(), NotArrived::Other),
        ("linear", "alice", 5, format!("state={}&code=c", b64(4)), NotArrived::Other),
        ("linear", "alice", 5, "code=c".to_owned(), NotArrived::Other),
        ("linear", "alice", 5, format!("state={}A&code=c", b64(1)), NotArrived::Other),
        ("linear", "mallory", 5, good.clone(), NotArrived::OtherUser(user("alice"))),
        ("linear", "alice", 6, good.clone(), NotArrived::OtherBrowser),
        // Of somebody else's answer nothing is said, whatever it holds.
        ("linear", "mallory", 6, format!("state={}&error=access_denied", b64(1)), NotArrived::OtherUser(user("alice"))),
    ] {
        assert_eq!(comes(at, who, browser, &query, Naming::Open).expect_err("refused"), why, "{at} {who} {browser} {query}");
    }
}

#[test]
fn oc_02_the_issuer_of_an_answer_is_compared_byte_for_byte() {
    let answer = |rest: &str| format!("state={}{rest}", b64(1));
    for iss in [
        "https://evil.example",
        "https://auth.example/",
        "https://AUTH.example",
        "https://auth.example:443",
        "http://auth.example",
        "%20https://auth.example",
    ] {
        for naming in [Naming::Promised, Naming::Open] {
            for rest in [format!("&code=c&iss={iss}"), format!("&iss={iss}&error=access_denied&error_description=call+us")] {
                assert_eq!(comes("linear", "alice", 5, &answer(&rest), naming).expect_err("refused"), NotArrived::Issuer, "{rest}");
            }
        }
    }
    for rest in ["&code=c", "&error=access_denied", "&code=c&iss="] {
        assert_eq!(comes("linear", "alice", 5, &answer(rest), Naming::Promised).expect_err("refused"), NotArrived::Issuer, "{rest}");
    }
    assert!(Form::parse(&answer("&code=c&iss=https://auth.example&iss=https://evil.example")).is_err(), "twice is not at all");
    let said = "&iss=https://auth.example";
    for (rest, why) in [
        (format!("&error=access_denied&code=c{said}"), NotArrived::Refused("access_denied".to_owned())),
        (format!("&error=%3Cscript%3E{said}"), NotArrived::Refused(String::new())),
        (said.to_owned(), NotArrived::NoCode),
        (format!("&code=a%0Ab{said}"), NotArrived::NoCode),
        (format!("&code=%C3%A9{said}"), NotArrived::NoCode),
        (format!("&code={}{said}", "c".repeat(4_097)), NotArrived::NoCode),
    ] {
        assert_eq!(comes("linear", "alice", 5, &answer(&rest), Naming::Promised).expect_err("refused"), why, "{rest}");
    }
    assert!(comes("linear", "alice", 5, &answer(&format!("&code={}{said}", "c".repeat(4_096))), Naming::Promised).is_ok());
    assert!(comes("linear", "alice", 5, &answer("&code=c"), Naming::Open).is_ok());
}

#[test]
fn an_authorization_request_says_what_it_is_for() {
    let query = |text: &str| Form::parse(text.split_once('?').expect("a query").1).expect("each once");
    let address = trip(&["openid", "read", "offline_access"], None).authorization(&server()).expect("its own server");
    assert!(address.starts_with("https://auth.example/authorize?response_type=code&"), "{address}");
    let form = query(&address);
    let challenge = URL_SAFE_NO_PAD.encode(sha256(b64(3).as_bytes()));
    for (name, value) in [
        ("client_id", "client:1"),
        ("redirect_uri", REDIRECT),
        ("scope", "openid read offline_access"),
        ("state", &b64(1)),
        ("nonce", &b64(2)),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("resource", SERVER),
        ("prompt", "consent"),
    ] {
        assert_eq!(form.get(name), Some(value), "{name}");
    }
    assert!(!address.contains(&b64(3)), "the verifier stays");
    let plain = query(&trip(&[], None).authorization(&server()).expect("its own server"));
    assert_eq!((plain.get("scope"), plain.get("nonce"), plain.get("prompt")), (None, None, None));
    let mut other = server();
    other.authorization.url = "https://auth.example/authorize?tenant=1".to_owned();
    assert!(
        trip(&[], None).authorization(&other).expect("its own").starts_with("https://auth.example/authorize?tenant=1&response_type=code&")
    );
    other.issuer = "https://evil.example".to_owned();
    assert_eq!(trip(&[], None).authorization(&other), None, "a trip leads to no other server");
    assert_eq!(client(None).auth, Auth::None);
}
