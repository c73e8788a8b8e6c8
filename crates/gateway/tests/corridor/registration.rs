//! Attacks REG-01 to REG-03 on the registration of clients, at the handler of a whole gateway.

use super::house::House;
use bytes::Bytes;
use doorward_gateway::listen::body::Body;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};

const OPEN: &str = "[clients]\nregistration_rate = \"100000/s\"\ndynamic_registration = \"any\"\n";

fn headers(kind: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))])
}

fn peer(n: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n))
}

async fn read(response: Response<Body>) -> (StatusCode, HeaderMap, Value) {
    let (head, body) = response.into_parts();
    let bytes = body.collect().await.expect("a body").to_bytes();
    let value = serde_json::from_slice(&bytes).expect("JSON");
    for (name, wanted) in [("cache-control", "no-store"), ("content-type", "application/json"), ("x-content-type-options", "nosniff")] {
        assert_eq!(head.headers[name], wanted, "{value}");
    }
    (head.status, head.headers, value)
}

async fn register(house: &House, body: impl Into<Bytes>) -> (StatusCode, Value) {
    let (status, _, value) = read(house.gateway.register(&headers("application/json"), &body.into(), peer(1))).await;
    (status, value)
}

fn with(uri: &str) -> String {
    json!({ "redirect_uris": [uri], "token_endpoint_auth_method": "none" }).to_string()
}

#[tokio::test]
async fn reg_01_dangerous_redirect_uris_are_refused_by_the_handler() {
    let house = House::open(OPEN).await;
    let long = format!("https://good.test/{}", "a".repeat(64 * 1024));
    for bad in [
        "javascript:alert(1)",
        "data:text/html,x",
        "http://evil.test/cb",
        "https://evil.test/cb#f",
        "https://user:pw@good.test/cb",
        "https://good.test/../cb",
        "//evil.test/cb",
        "https://good.test\\@evil.test/",
        "vscode://x",
        "file:///etc/passwd",
        "http://localhost.evil.test/cb",
        "http://127.0.0.1.evil.test/cb",
        "https://*.good.test/cb",
        &long,
    ] {
        let (status, value) = register(&house, with(bad)).await;
        assert_eq!((status, &value["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_redirect_uri")), "{bad}");
        assert!(!value.to_string().contains("evil"), "nothing is repeated: {value}");
    }
    for body in [json!({ "redirect_uris": [] }), json!({ "redirect_uris": vec!["http://[::1]/cb"; 500] })] {
        assert_eq!(register(&house, body.to_string()).await.1["error"], "invalid_redirect_uri");
    }
    let (status, value) = register(&house, with("http://[::1]/cb")).await;
    assert_eq!(status, StatusCode::CREATED, "{value}");
    assert!(value["client_id"].as_str().is_some_and(|id| id.starts_with("dwc_")));
    house.close(&[]).await;
}

#[tokio::test]
async fn reg_01_by_default_only_clients_of_this_computer_register() {
    let house = House::open("").await;
    assert_eq!(register(&house, with("http://127.0.0.1:7777/cb")).await.0, StatusCode::CREATED);
    let (status, value) = register(&house, with("https://good.test/cb")).await;
    assert_eq!((status, &value["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_redirect_uri")));
    house.close(&[]).await;
    let house = House::open("[clients]\ndynamic_registration = \"off\"\n").await;
    let (status, value) = register(&house, with("http://127.0.0.1:7777/cb")).await;
    assert_eq!((status, &value["error"]), (StatusCode::FORBIDDEN, &json!("access_denied")));
    house.close(&[]).await;
}

#[tokio::test]
async fn reg_02_only_json_registers_and_what_could_run_does_not() {
    let house = House::open(OPEN).await;
    let body = Bytes::from(with("http://127.0.0.1/cb"));
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp", "text/json", ""] {
        let (status, _, value) = read(house.gateway.register(&headers(kind), &body, peer(1))).await;
        assert_eq!((status, &value["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_client_metadata")), "{kind}: a form of a web page");
    }
    let mut twice = headers("application/json");
    twice.append(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    assert_eq!(read(house.gateway.register(&twice, &body, peer(1))).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(read(house.gateway.register(&HeaderMap::new(), &body, peer(1))).await.0, StatusCode::BAD_REQUEST);
    let charset = headers("application/json; charset=utf-8");
    assert_eq!(read(house.gateway.register(&charset, &body, peer(1))).await.0, StatusCode::CREATED);
    for member in ["client_uri", "tos_uri", "policy_uri", "logo_uri"] {
        for bad in ["javascript:alert(1)", "data:text/html,<script>alert(1)</script>"] {
            let body = json!({ "redirect_uris": ["http://127.0.0.1/cb"], member: bad }).to_string();
            let (status, value) = register(&house, body).await;
            assert_eq!((status, &value["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_client_metadata")), "{member} {bad}");
        }
    }
    let body = json!({ "redirect_uris": ["http://127.0.0.1/cb"], "client_name": "x".repeat(10 * 1024) }).to_string();
    assert_eq!(register(&house, body).await.1["error"], "invalid_client_metadata");
    for bad in ["", "{", "[]", "null", "{\"redirect_uris\":[\"http://127.0.0.1/\"],\"redirect_uris\":[\"https://evil.test/\"]}"] {
        assert_eq!(register(&house, bad).await.1["error"], "invalid_client_metadata", "{bad}");
    }
    house.close(&[]).await;
}

#[tokio::test]
async fn reg_03_a_flood_from_one_address_is_turned_away_and_others_still_register() {
    let house = House::open("[clients]\nregistration_rate = \"20/h\"\n").await;
    let body = Bytes::from(with("http://127.0.0.1/cb"));
    let mut created = 0;
    for _ in 0..5_000 {
        let (status, headers, value) = read(house.gateway.register(&headers("application/json"), &body, peer(1))).await;
        match status {
            StatusCode::CREATED => created += 1,
            StatusCode::TOO_MANY_REQUESTS => {
                assert_eq!(value["error"], "temporarily_unavailable");
                let wait: u64 = headers["retry-after"].to_str().expect("text").parse().expect("seconds");
                assert!((1..=3_600).contains(&wait));
            }
            other => panic!("{other}"),
        }
    }
    assert!((20..=22).contains(&created), "twenty an hour, and one more in three minutes: {created}");
    assert_eq!(read(house.gateway.register(&headers("application/json"), &body, peer(2))).await.0, StatusCode::CREATED, "another address");
    let mut all = 0;
    for n in 0..2_000 {
        let (status, ..) = read(house.gateway.register(&headers("application/json"), &body, peer(100 + n))).await;
        all += u32::from(status == StatusCode::CREATED);
    }
    let all = created + 1 + all;
    assert!((200..=220).contains(&all), "everybody together: {all}");
    house.close(&[]).await;
}

#[tokio::test]
async fn reg_03_registrations_leave_nothing_behind_and_differ() {
    let house = House::open(OPEN).await;
    let folder = || -> u64 {
        let entries = std::fs::read_dir(house.state.path()).expect("listing");
        entries.map(|entry| entry.expect("entry").metadata().expect("metadata").len()).sum()
    };
    let body = Bytes::from(with("http://127.0.0.1/cb"));
    let mut ids = std::collections::BTreeSet::new();
    let before = folder();
    for n in 0..500 {
        let (status, _, value) = read(house.gateway.register(&headers("application/json"), &body, peer(n))).await;
        assert_eq!(status, StatusCode::CREATED);
        ids.insert(value["client_id"].as_str().expect("an id").to_owned());
    }
    assert_eq!((ids.len(), folder()), (500, before), "neither the store nor the record has grown");
    house.close(&[]).await;
}

#[tokio::test]
async fn reg_04_a_client_with_a_secret_is_told_it_once() {
    let house = House::open(OPEN).await;
    let body = json!({ "redirect_uris": ["https://good.test/cb"], "token_endpoint_auth_method": "client_secret_post" }).to_string();
    let (one, two) = (register(&house, body.clone()).await.1, register(&house, body).await.1);
    assert_eq!(one["token_endpoint_auth_method"], "client_secret_post");
    assert_eq!(one["client_secret_expires_at"], 0);
    assert!(one["client_secret"].as_str().is_some_and(|secret| secret.starts_with("dwcs_")));
    assert_ne!(one["client_secret"], two["client_secret"]);
    assert!(register(&house, with("http://127.0.0.1/cb")).await.1.get("client_secret").is_none());
    let secrets = [&one, &two].map(|made| made["client_secret"].as_str().expect("a secret"));
    house.close(&secrets).await;
}
