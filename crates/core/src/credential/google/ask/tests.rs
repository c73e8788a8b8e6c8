//! Requests as they leave, to the byte.

use super::*;
use crate::credential::google::file::{CredentialFile, Kind};
use crate::credential::google::places::{Endpoints, Loopback};
use bytes::Bytes;
use serde_json::{Value, json};

fn file(value: &Value) -> Kind {
    CredentialFile::parse(&Bytes::from(value.to_string()), &Places::google()).expect("a credential file").kind
}

fn form(ask: &Ask) -> &str {
    match &ask.body {
        Body::Form(text) => text.expose(),
        Body::None | Body::Json(_) => panic!("no form"),
    }
}

fn body(ask: &Ask) -> Value {
    match &ask.body {
        Body::Json(text) => serde_json::from_slice(text.as_bytes()).expect("json"),
        Body::None | Body::Form(_) => panic!("no JSON"),
    }
}

fn header<'a>(ask: &'a Ask, name: &str) -> Option<&'a str> {
    ask.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.expose().as_str())
}

#[test]
fn a_person_is_refreshed_by_a_form_with_scope_and_not_scopes() {
    let Kind::User(user) = file(&json!({"type": "authorized_user", "client_id": "c", "client_secret": "s&s", "refresh_token": "r/1"}))
    else {
        panic!("another kind")
    };
    let ask = refresh(&user, Some(&Scopes::new(["b", "a"]).expect("scopes")));
    assert_eq!((ask.method, ask.url.as_str()), (Method::Post, "https://oauth2.googleapis.com/token"));
    assert_eq!(form(&ask), "grant_type=refresh_token&client_id=c&client_secret=s%26s&refresh_token=r%2F1&scope=a%20b");
    assert_eq!(form(&refresh(&user, None)), "grant_type=refresh_token&client_id=c&client_secret=s%26s&refresh_token=r%2F1");
}

#[test]
fn a_person_of_a_workforce_pool_shows_the_client_in_a_header_of_standard_base64() {
    let Kind::ExternalUser(user) = file(&json!({
        "type": "external_account_authorized_user", "client_id": "c", "client_secret": "s???>", "refresh_token": "r",
        "token_url": "https://sts.googleapis.com/v1/oauthtoken",
    })) else {
        panic!("another kind")
    };
    let ask = refresh_external(&user, user.refresh_token());
    assert_eq!(form(&ask), "grant_type=refresh_token&refresh_token=r");
    assert_eq!(header(&ask, "authorization"), Some("Basic YzpzPz8/Pg=="), "plus and slash are the standard alphabet");
}

#[test]
fn cld_01_iam_is_asked_for_exactly_the_configured_scopes_and_lifetime() {
    let (target, delegate) =
        (Account::named("ro@p.iam.gserviceaccount.com").expect("a"), Account::named("mid@p.iam.gserviceaccount.com").expect("a"));
    let (places, bearer) = (Places::google(), Secret::new("ya29.source".to_owned()));
    let becoming = Becoming { target: &target, delegates: &[] };
    let scopes = Scopes::new(["https://www.googleapis.com/auth/bigquery.readonly"]).expect("scopes");
    let ask = access_token(&places, &becoming, &scopes, Lifetime::DEFAULT, &bearer);
    let base = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/ro%40p.iam.gserviceaccount.com";
    assert_eq!(ask.url, format!("{base}:generateAccessToken"));
    assert_eq!(header(&ask, "authorization"), Some("Bearer ya29.source"));
    assert_eq!(body(&ask), json!({"scope": ["https://www.googleapis.com/auth/bigquery.readonly"], "lifetime": "600s"}));
    let through = Becoming { target: &target, delegates: std::slice::from_ref(&delegate) };
    let ask = access_token(&places, &through, &scopes, Lifetime::DEFAULT, &bearer);
    assert_eq!(body(&ask)["delegates"], json!(["projects/-/serviceAccounts/mid@p.iam.gserviceaccount.com"]));
    let ask = id_token(&places, &becoming, "https://x.run.app", &bearer);
    assert_eq!(ask.url, format!("{base}:generateIdToken"));
    assert_eq!(body(&ask), json!({"audience": "https://x.run.app", "includeEmail": true}));
    let claims = RawJson::parse(&Bytes::from_static(br#"{"iss":"a"}"#), 4).expect("claims");
    let ask = sign_jwt(&places, &becoming, &claims, &bearer);
    assert_eq!(
        (ask.url, body(&sign_jwt(&places, &becoming, &claims, &bearer))),
        (format!("{base}:signJwt"), json!({"payload": "{\"iss\":\"a\"}"}))
    );
}

#[test]
fn cld_03_the_metadata_server_is_asked_with_its_header() {
    let places = Places::google();
    let scopes = Scopes::new(["https://a/b", "c"]).expect("scopes");
    let base = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default";
    for (ask, url) in [
        (metadata_token(&places, None), format!("{base}/token")),
        (metadata_token(&places, Some(&scopes)), format!("{base}/token?scopes=c,https%3A%2F%2Fa%2Fb")),
        (metadata_identity(&places, "https://x.run.app"), format!("{base}/identity?audience=https%3A%2F%2Fx.run.app&format=full")),
        (metadata_email(&places), format!("{base}/email")),
    ] {
        assert_eq!((ask.url.as_str(), ask.method, ask.to), (url.as_str(), Method::Get, To::Metadata));
        assert_eq!(header(&ask, "metadata-flavor"), Some("Google"));
    }
}

#[test]
fn a_federated_token_is_asked_for_with_the_parameters_of_the_file() {
    let provider = "//iam.googleapis.com/locations/global/workforcePools/p/providers/x";
    let workforce = json!({
        "type": "external_account", "audience": provider, "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token", "credential_source": {"file": "/run/token"}, "workforce_pool_user_project": "p1",
    });
    let Kind::External(external) = file(&workforce) else { panic!("another kind") };
    let ask = exchange_subject(&external, &Secret::new("subject".to_owned()), &Scopes::iam());
    let expected = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange\
        &audience=%2F%2Fiam.googleapis.com%2Flocations%2Fglobal%2FworkforcePools%2Fp%2Fproviders%2Fx\
        &scope=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fiam\
        &requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token\
        &subject_token=subject&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt\
        &options=%7B%22userProject%22%3A%22p1%22%7D";
    assert_eq!(form(&ask), expected);
    assert_eq!(header(&ask, "authorization"), None);
    let mut with_client = workforce;
    with_client["client_id"] = json!("c");
    with_client["client_secret"] = json!("s");
    let Kind::External(external) = file(&with_client) else { panic!("another kind") };
    let ask = exchange_subject(&external, &Secret::new("subject".to_owned()), &Scopes::iam());
    assert!(!form(&ask).contains("options"), "the client says whose project it is");
    assert_eq!(header(&ask, "authorization"), Some("Basic Yzpz"));
}

#[test]
fn nothing_is_printed_of_a_request_but_where_it_goes() {
    let user = json!({"type": "authorized_user", "client_id": "c", "client_secret": "canary1", "refresh_token": "canary2"});
    let Kind::User(user) = file(&user) else { panic!("another kind") };
    let target = Account::named("ro@p.iam.gserviceaccount.com").expect("an account");
    let becoming = Becoming { target: &target, delegates: &[] };
    let iam = access_token(&Places::google(), &becoming, &Scopes::cloud(), Lifetime::DEFAULT, &Secret::new("canary3".to_owned()));
    let shown = format!("{:?} {:?} {iam:?} {user:?}", refresh(&user, None), refresh(&user, None).body);
    assert!(!shown.contains("canary"), "{shown}");
    assert_eq!(iam.host(), "iamcredentials.googleapis.com");
}

#[test]
fn another_universe_is_asked_elsewhere() {
    let endpoints = Endpoints { universe_domain: Some("cloud.example".to_owned()), ..Endpoints::default() };
    let places = Places::new(&endpoints, Loopback::Refused).expect("places");
    let target = Account::named("ro@p.iam.gserviceaccount.com").expect("an account");
    let ask = id_token(&places, &Becoming { target: &target, delegates: &[] }, "a", &Secret::new("t".to_owned()));
    assert_eq!(ask.host(), "iamcredentials.cloud.example");
}
