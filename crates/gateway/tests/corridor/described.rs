//! The description of the OAuth API (`docs/oauth-api.json`) beside the gateway: each path answers the methods that it names as it says, and
//! no other. `scripts/api` holds whole answers against it.

use super::house::{House, server};
use super::wire::Ask;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use serde_json::Value;
use std::collections::BTreeSet;

const VERBS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

#[tokio::test]
async fn what_is_described_is_served_and_nothing_besides() {
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let house = House::open(&server("alpha", &alpha.url(), "")).await;
    let described: Value = serde_json::from_str(include_str!("../../../../docs/oauth-api.json")).unwrap();
    let mut operations = 0;
    for (path, item) in described["paths"].as_object().unwrap() {
        let item = match item["$ref"].as_str() {
            Some(place) => described.pointer(place.trim_start_matches('#')).unwrap(),
            None => item,
        };
        let target = path.replace("{server}", "alpha");
        let mut served = BTreeSet::new();
        for verb in VERBS {
            let reply = house.ask(Ask::new(verb, &target)).await;
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
        let refused = house.ask(Ask::new("PUT", &target)).await;
        let allow: BTreeSet<String> = refused.field("allow").unwrap_or_default().split(", ").map(str::to_owned).collect();
        assert_eq!(allow, served, "{path}: RFC 9110 section 10.2.1");
    }
    assert_eq!(operations, 17, "none was lost");
    house.close(&[]).await;
}
