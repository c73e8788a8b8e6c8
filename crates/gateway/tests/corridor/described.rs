//! The descriptions of the APIs (`docs/oauth-api.json`, `docs/admin-api.json`) beside the gateway: each path answers the methods that it
//! names as it says, and no other. `scripts/api` holds whole answers against them.

use super::desk::{Browser, other, signed_in};
use super::house::{House, server};
use super::wire::Ask;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use serde_json::Value;
use std::collections::BTreeSet;

const VERBS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

/// Asks with every verb at every path that is described; how many operations there are.
async fn hold(house: &House, described: &Value, browser: &mut Browser) -> usize {
    let mut operations = 0;
    for (path, item) in described["paths"].as_object().unwrap() {
        let item = match item["$ref"].as_str() {
            Some(place) => described.pointer(place.trim_start_matches('#')).unwrap(),
            None => item,
        };
        let target = target(path);
        let mut served = BTreeSet::new();
        for verb in VERBS {
            let reply = browser.send(house, Ask::new(verb, &target)).await;
            let operation = item.get(verb.to_ascii_lowercase());
            if let Some(operation) = operation {
                operations += 1;
                let known = operation["responses"].get(reply.status.to_string()).is_some();
                assert!(known, "{verb} {path}: {} is not described", reply.status);
                assert_ne!(reply.status, 405, "{verb} {path}");
            }
            if reply.status != 405 {
                // HEAD is not described: it is answered where GET is, or not at all.
                assert!(operation.is_some() || (verb == "HEAD" && item.get("get").is_some()), "{verb} {path}: {}", reply.status);
                served.insert(verb.to_owned());
            }
        }
        let refused = browser.send(house, Ask::new("PUT", &target)).await;
        let allow: BTreeSet<String> = refused.field("allow").unwrap_or_default().split(", ").map(str::to_owned).collect();
        assert_eq!(allow, served, "{path}: RFC 9110 section 10.2.1");
    }
    operations
}

fn target(path: &str) -> String {
    path.replace("{server}", "alpha").replace("{position}", "1")
}

#[tokio::test]
async fn what_is_described_is_served_and_nothing_besides() {
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let house = House::open(&server("alpha", &alpha.url(), "")).await;
    let described: Value = serde_json::from_str(include_str!("../../../../docs/oauth-api.json")).unwrap();
    assert_eq!(hold(&house, &described, &mut Browser::default()).await, 17, "none was lost");
    house.close(&[]).await;
}

#[tokio::test]
async fn aud_06_what_is_described_of_administration_is_served_to_administrators_alone() {
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let house = House::open(&server("alpha", &alpha.url(), "")).await;
    let described: Value = serde_json::from_str(include_str!("../../../../docs/admin-api.json")).unwrap();
    // Of all that is asked one address may ask 200 times at once.
    let mut admin = signed_in(&house).await;
    assert_eq!(hold(&house, &described, &mut admin).await, 11, "none was lost");
    let mut bob = other(&house, "bob").await;
    for (path, item) in described["paths"].as_object().unwrap() {
        for verb in item.as_object().unwrap().keys() {
            let ask = || Ask::new(&verb.to_ascii_uppercase(), &target(path));
            assert_eq!(Browser::default().send(&house, ask()).await.status, 401, "{verb} {path}: nobody");
            assert_eq!(bob.send(&house, ask()).await.status, 403, "{verb} {path}: somebody without a role");
        }
    }
    house.close(&[]).await;
}
