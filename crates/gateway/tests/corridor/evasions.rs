//! Ways around the screen through the whole corridor: by places, by the order of messages, by what is not a tool's argument.

use super::house::{House, canary, secretly, server};
use super::scripted::{Scripted, events, tool, whole};
use super::speak::{legacy, modern, modern_as};
use serde_json::{Value, json};

/// A key that nobody gave out.
fn key() -> String {
    let letters = b"Q5Z7WX3KE2RTYU6IP4LSDH";
    let rest: String = (0..16).map(|at| char::from(letters[(at * 7 + at / 5) % letters.len()])).collect();
    format!("AKIA{rest}")
}

/// Flags and cause of the record that ended the last call.
fn ended(house: &House) -> (Value, String) {
    let last = house.records().into_iter().rfind(|record| record["kind"] == "outcome" || record["kind"] == "closed").unwrap_or_default();
    (last["flags"].clone(), last["cause"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pol_04_the_error_of_a_list_passes_the_screen_as_every_other() {
    let refusing = Scripted::at_once(move |asked| {
        let Some(mut message) = asked.plainly(&json!([])) else { return whole(&Value::Null) };
        if matches!(asked.method().as_str(), "tools/list" | "prompts/list" | "resources/templates/list") {
            message.as_object_mut().unwrap().remove("result");
            message["error"] = json!({ "code": -32000, "message": format!("not with {}", key()), "data": { "why": key() } });
        }
        whole(&message)
    })
    .await;
    let house = House::open(&server("alpha", &refusing.url(), "screening = { secrets = \"redact\" }")).await;
    let alice = house.full("alice").await;
    for method in ["tools/list", "prompts/list", "resources/templates/list"] {
        let reply = house.ask(modern(&alice, "alpha", 1, method, json!({}))).await;
        assert!(reply.contains("not with [redacted: aws-access-key]") && !reply.contains(&key()), "{method}: {}", reply.text());
        assert_eq!(ended(&house).1, "aws-access-key redacted", "{method}");
    }
    house.close(&[&key(), &alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pol_04_what_doorward_writes_leaves_no_place_that_nobody_screens() {
    let tools = json!([tool("give")]);
    let sly = Scripted::at_once(move |asked| {
        let Some(mut message) = asked.plainly(&tools) else { return whole(&Value::Null) };
        if asked.method() == "initialize" {
            message["result"]["nextCursor"] = key().into();
            message["result"]["requestState"] = key().into();
        }
        if asked.method() != "tools/call" {
            return whole(&message);
        }
        message["result"]["nextCursor"] = key().into();
        message["result"]["requestState"] = key().into();
        let token = asked.json()["params"]["_meta"]["progressToken"].clone();
        let meta = json!({ "io.modelcontextprotocol/subscriptionId": key() });
        events(&[
            json!({ "jsonrpc": "2.0", "method": "notifications/message",
                "params": { "level": "error", "data": "one", "progressToken": key(), "_meta": meta.clone() } }),
            json!({ "jsonrpc": "2.0", "method": "notifications/progress",
                "params": { "progressToken": token, "progress": 1, "message": "two", "_meta": meta } }),
            message,
        ])
    })
    .await;
    let house = House::open(&server("alpha", &sly.url(), "")).await;
    house.approve().await;
    let alice = house.full("alice").await;
    let opened = house.ask(super::speak::initialize(&alice, "alpha", "2025-11-25", json!({}))).await;
    assert!(opened.contains("[redacted: aws-access-key]") && !opened.contains(&key()), "{}", opened.text());
    let session = house.session(&alice, "alpha").await;
    let params = json!({ "name": "give", "arguments": {},
        "_meta": { "progressToken": "mine", "io.modelcontextprotocol/logLevel": "debug" } });
    for ask in
        [modern_as(&alice, "alpha", 1, "tools/call", params.clone(), json!({})), legacy(&alice, "alpha", &session, 1, "tools/call", params)]
    {
        let reply = house.ask(ask).await;
        assert!(!reply.contains(&key()), "{}", reply.text());
        assert!(reply.contains("\"mine\"") && reply.contains("\"content\""), "its own token passes: {}", reply.text());
        assert_eq!(ended(&house).1, "aws-access-key redacted");
    }
    house.close(&[&key(), &alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pt_03_the_credential_in_an_event_is_on_the_record_and_in_parts_it_is_one() {
    let secret = canary("upstream-secret-");
    let tools = json!([tool("give")]);
    let told = secret.clone();
    let telling = Scripted::at_once(move |asked| {
        let Some(message) = asked.plainly(&tools) else { return whole(&Value::Null) };
        if asked.method() != "tools/call" {
            return whole(&message);
        }
        let log = |data: &str| json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "error", "data": data } });
        let (first, second) = told.split_at(told.len() / 2);
        match asked.json()["params"]["arguments"]["how"].as_str().unwrap_or_default() {
            "whole" => events(&[log(&told), message]),
            "parts" => events(&[log(first), log(second), log("done"), message]),
            _ => {
                let mut message = message;
                message["result"]["content"] = json!([{ "type": "text", "text": first }, { "type": "text", "text": second }]);
                whole(&message)
            }
        }
    })
    .await;
    // Also where no rule is asked.
    let off = "screening = { secrets = \"off\", personal = \"off\", injection = \"off\", arguments = \"off\" }\n";
    for more in ["", off] {
        let house = House::open(&format!("{}{more}", secretly("alpha", &telling.url(), &secret))).await;
        house.approve().await;
        let alice = house.full("alice").await;
        for how in ["whole", "parts", "blocks"] {
            let params = json!({ "name": "give", "arguments": { "how": how }, "_meta": { "io.modelcontextprotocol/logLevel": "debug" } });
            let reply = house.ask(modern_as(&alice, "alpha", 1, "tools/call", params, json!({}))).await;
            let (first, second) = secret.split_at(secret.len() / 2);
            assert!(!reply.contains(&secret), "{how}: {}", reply.text());
            assert!(!reply.contains(first) || !reply.contains(second), "{how}: {}", reply.text());
            assert_eq!(reply.contains("Result blocked"), how == "blocks", "{how}: {}", reply.text());
            assert_eq!(reply.contains("done"), how == "parts", "what comes later passes: {}", reply.text());
            let (flags, cause) = ended(&house);
            assert_eq!(flags, json!(["content_blocked"]), "{how} {more}");
            assert_eq!(cause, "own-credential blocked", "{how} {more}");
        }
        assert!(house.gateway_metrics().contains("doorward_screened_total{rule=\"own-credential\",action=\"blocked\"}"));
        house.close(&[&secret, &alice.text]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pol_04_a_credential_leaves_by_no_other_member_than_an_argument() {
    let tools = json!([tool("give")]);
    let upstream = Scripted::at_once(move |asked| whole(&asked.plainly(&tools).unwrap_or_default())).await;
    let servers = [
        server("soft", &upstream.url(), ""),
        server("hard", &upstream.url(), "screening = { arguments = \"block\" }"),
        server("blind", &upstream.url(), "screening = { arguments = \"off\" }"),
    ];
    let house = House::open(&servers.concat()).await;
    house.approve().await;
    let alice = house.full("alice").await;
    let url = "postgres://svc:Winter77rain@db.internal/app";
    let asks = [
        ("resources/read", json!({ "uri": url })),
        ("prompts/get", json!({ "name": "p", "arguments": { "a": url } })),
        ("completion/complete", json!({ "ref": { "type": "ref/prompt", "name": "p" }, "argument": { "name": "a", "value": url } })),
        (
            "completion/complete",
            json!({ "ref": { "type": "ref/prompt", "name": "p" }, "argument": { "name": "a", "value": "" }, "context": { "arguments": { "b": url } } }),
        ),
        ("tools/call", json!({ "name": "give", "arguments": {}, "_meta": { "com.example/note": url } })),
    ];
    for (method, params) in asks {
        upstream.forget();
        let reply = house.ask(modern(&alice, "hard", 1, method, params.clone())).await;
        assert_eq!(reply.code().1, -32602, "{method} {params}: {}", reply.text());
        assert_eq!(house.last_reason(), "secret_in_arguments", "{method} {params}");
        assert!(upstream.calls(method).is_empty(), "nothing was sent: {method}");
        let flags =
            |house: &House| house.records().into_iter().rfind(|record| record["kind"] == "intent").unwrap_or_default()["flags"].clone();
        house.ask(modern(&alice, "soft", 1, method, params.clone())).await;
        assert_eq!(flags(&house), json!(["secret_in_arguments"]), "{method} {params}");
        house.ask(modern(&alice, "blind", 1, method, params.clone())).await;
        assert!(flags(&house).is_null() || flags(&house) == json!([]), "{method} {params}");
        assert_eq!(upstream.calls(method).len(), 2, "{method}");
    }
    house.close(&[&alice.text, "Winter77rain"]).await;
}
