//! What was approved of a tool, against arguments and results that are something else (RPC-12, RPC-08), and tokens of other
//! providers in arguments (PT-02). Three servers of one upstream: `hard` refuses, `soft` flags as by default, `blind` looks away.

use super::house::{House, Key, canary, server};
use super::scripted::{Scripted, events, whole};
use super::speak::{MODERN, legacy, legacy_call, modern_as, modern_call};
use super::wire::{Ask, find};
use serde_json::{Value, json};

/// Answers with the members of `give` in its result; with `stream`, as events with a notice in front.
async fn upstream() -> Scripted {
    let titled = json!({ "type": "object", "required": ["title"], "additionalProperties": false, "properties": {
        "title": { "type": "string", "maxLength": 10 }, "n": { "type": "integer" }, "labels": { "items": { "type": "string" } } } });
    let numbered = json!({ "type": "object", "required": ["n"], "properties": { "n": { "type": "integer" } } });
    let tools = json!([
        { "name": "titled", "description": "scripted", "inputSchema": titled },
        { "name": "giving", "description": "scripted", "inputSchema": { "type": "object" }, "outputSchema": numbered },
        { "name": "echoing", "description": "scripted", "inputSchema": { "type": "object" } },
        { "name": "away", "description": "scripted", "inputSchema": { "$ref": "https://schemas.example/away.json" } },
        { "name": "astray", "description": "scripted", "inputSchema": { "type": "object" }, "outputSchema": { "type": "objekt" } },
    ]);
    Scripted::at_once(move |asked| {
        let Some(mut message) = asked.plainly(&tools) else { return whole(&Value::Null) };
        let arguments = asked.json()["params"]["arguments"].clone();
        match asked.method().as_str() {
            "tools/call" => message["result"]["content"] = json!([]),
            // A task of either era gives what does not fit.
            "tasks/get" => {
                message["result"] = json!({ "resultType": "complete", "taskId": "up-1", "status": "completed",
                "createdAt": "2026-11-27T00:00:00Z", "lastUpdatedAt": "2026-11-27T00:00:00Z", "ttlMs": null,
                "result": { "content": [], "structuredContent": { "n": "seven" } } })
            }
            "subscriptions/listen" => {
                let news = json!({ "taskId": "up-1", "status": "completed", "result": { "structuredContent": { "n": "seven" } } });
                let news = json!({ "jsonrpc": "2.0", "method": "notifications/tasks", "params": news });
                let known = json!({ "jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": {} });
                return events(&[known, news.clone(), news]);
            }
            "tasks/result" => message["result"] = json!({ "content": [], "structuredContent": { "n": "seven" } }),
            _ => {}
        }
        if let Some(given) = arguments["give"].as_object() {
            message["result"].as_object_mut().unwrap().extend(given.clone());
        }
        if arguments["stream"] == true {
            let notice = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": "first" } });
            return events(&[notice, message]);
        }
        whole(&message)
    })
    .await
}

async fn house(upstream: &Scripted) -> House {
    let url = upstream.url();
    let servers = [
        server("hard", &url, "arguments = \"strict\"\nforeign_tokens = \"refuse\""),
        server("soft", &url, ""),
        server("blind", &url, "arguments = \"off\"\nforeign_tokens = \"off\""),
    ];
    let house = House::open(&servers.concat()).await;
    house.approve().await;
    house
}

/// A call whose arguments are sent letter by letter, in a session or without.
fn written(key: &Key, server: &str, session: Option<&str>, tool: &str, arguments: &str) -> Ask {
    let meta =
        format!(r#""_meta":{{"io.modelcontextprotocol/protocolVersion":"{MODERN}","io.modelcontextprotocol/clientCapabilities":{{}}}}"#);
    let meta = if session.is_some() { r#""_meta":{}"#.to_owned() } else { meta };
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments},{meta}}}}}"#);
    let ask = Ask::post(&key.path(server), body).bearer(&key.text);
    match session {
        Some(session) => ask.field("MCP-Protocol-Version", "2025-11-25").field("Mcp-Session-Id", session),
        None => ask.field("MCP-Protocol-Version", MODERN).field("Mcp-Method", "tools/call").field("Mcp-Name", tool),
    }
}

fn last(house: &House, kind: &str) -> Value {
    house.records().into_iter().rfind(|record| record["kind"] == kind).unwrap_or_default()
}

/// The flags of the last record of a kind, and its cause.
fn flags(house: &House, kind: &str) -> (Value, String) {
    let record = last(house, kind);
    (record["flags"].clone(), record["cause"].as_str().unwrap_or_default().to_owned())
}

/// What does not fit `titled`: the arguments, and where.
fn misfits(word: &str) -> Vec<(String, &'static str)> {
    vec![
        ("{}".into(), "/title (required)"),
        (r#"{"title":7}"#.into(), "/title (type)"),
        (r#"{"title":null}"#.into(), "/title (type)"),
        (format!(r#"{{"title":"a","{word}":1}}"#), "/ (additionalProperties)"),
        (r#"{"title":"a","__proto__":{"admin":true}}"#.into(), "/ (additionalProperties)"),
        (r#"{"title":"a","constructor":{"prototype":{}}}"#.into(), "/ (additionalProperties)"),
        (format!(r#"{{"title":"{word}{}"}}"#, "x".repeat(1 << 20)), "/title (maxLength)"),
        (format!(r#"{{"title":"a","n":"{word}"}}"#), "/n (type)"),
        (r#"{"title":"a","n":1.5}"#.into(), "/n (type)"),
        (format!(r#"{{"title":"a","labels":["x",{{"{word}":1}}]}}"#), "/labels/1 (type)"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rpc_12_arguments_outside_the_approved_schema_reach_no_strict_server() {
    let (upstream, word) = (upstream().await, canary("word-"));
    let house = house(&upstream).await;
    let alice = house.full("alice").await;
    let session = house.session(&alice, "hard").await;
    for (arguments, place) in misfits(&word) {
        for session in [None, Some(session.as_str())] {
            let reply = house.ask(written(&alice, "hard", session, "titled", &arguments)).await;
            assert_eq!(reply.code(), (200, -32602), "{place}: {}", reply.text());
            let said = reply.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
            assert_eq!(said, format!("The arguments do not fit the approved schema of this tool: {place}."));
            assert_eq!(reply.json()["id"], 1);
            let refused = house.refused();
            assert_eq!((refused["reason"].as_str(), refused["decision"].as_str()), (Some("arguments_misfit"), Some("deny")));
            assert!(refused["cause"].as_str().is_some_and(|cause| cause.ends_with(place)), "{refused}");
        }
    }
    let absent = json!({ "name": "titled" });
    let reply = house.ask(super::speak::modern(&alice, "hard", 1, "tools/call", absent)).await;
    assert_eq!(reply.code(), (200, -32602), "absent arguments are an empty object");
    let broad = format!(r#"{{"title":"a","labels":[""{}]}}"#, r#","""#.repeat(150_000));
    assert_eq!(house.ask(written(&alice, "hard", None, "titled", &broad)).await.code(), (200, -32602));
    assert_eq!(house.last_reason(), "arguments_unchecked");
    assert!(upstream.calls("tools/call").is_empty(), "nothing of it was sent");
    // What fits passes letter by letter.
    for fitting in [r#"{"title":"\u0061\ud83d\ude00","n":123456789012345678901234567890}"#, r#"{ "n" : 1e2,"title":"a" }"#] {
        for session in [None, Some(session.as_str())] {
            assert_eq!(house.ask(written(&alice, "hard", session, "titled", fitting)).await.result()["isError"], Value::Null);
            let sent = upstream.calls("tools/call");
            let body = &sent.last().unwrap().body;
            assert!(find(body, fitting.as_bytes()).is_some(), "{}", String::from_utf8_lossy(body));
        }
    }
    assert_eq!(flags(&house, "intent").0, Value::Null);
    // Who may not call the tool does not learn its schema.
    let carol = house.key("carol", &[], &[]).await;
    let reply = house.ask(written(&carol, "hard", None, "titled", "{}")).await;
    assert!(!reply.contains("title (required)"), "{}", reply.text());
    assert_eq!(house.last_reason(), "not_granted");
    house.close(&[&word, &alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rpc_12_where_they_are_only_flagged_arguments_pass_letter_by_letter_and_the_record_says_where() {
    let (upstream, word) = (upstream().await, canary("word-"));
    let house = house(&upstream).await;
    let alice = house.full("alice").await;
    let session = house.session(&alice, "soft").await;
    for (arguments, place) in misfits(&word) {
        for session in [None, Some(session.as_str())] {
            let reply = house.ask(written(&alice, "soft", session, "titled", &arguments)).await;
            assert_eq!((reply.status, reply.code().1), (200, 0), "{place}: {}", reply.text());
            assert!(find(&upstream.calls("tools/call").last().unwrap().body, arguments.as_bytes()).is_some(), "{place}");
            assert_eq!(flags(&house, "intent"), (json!(["arguments_misfit"]), place.to_owned()));
            assert_eq!(flags(&house, "outcome").0, Value::Null, "the result is in order");
        }
    }
    house.ask(written(&alice, "soft", None, "titled", r#"{"title":"a"}"#)).await;
    assert_eq!(flags(&house, "intent"), (Value::Null, String::new()));
    let blind = house.session(&alice, "blind").await;
    for (arguments, place) in misfits(&word) {
        assert_eq!(house.ask(written(&alice, "blind", Some(&blind), "titled", &arguments)).await.code().1, 0, "{place}");
        assert_eq!(flags(&house, "intent"), (Value::Null, String::new()));
    }
    house.close(&[&word, &alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rpc_12_a_schema_that_cannot_be_used_holds_up_strict_calls_and_is_flagged_else() {
    let upstream = upstream().await;
    let house = house(&upstream).await;
    let alice = house.full("alice").await;
    for (tool, why) in [
        ("away", "inputSchema: it refers to something outside itself"),
        ("astray", "outputSchema: it is not a schema that can be compiled"),
    ] {
        let reply = house.ask(modern_call(&alice, "hard", 1, tool, json!({}))).await;
        assert_eq!(reply.code(), (200, -32602), "{}", reply.text());
        let refused = house.refused();
        assert_eq!((refused["reason"].as_str(), refused["blame"].as_str()), (Some("schema_unusable"), Some("us")));
        assert!(refused["cause"].as_str().is_some_and(|cause| cause.ends_with(why)), "{refused}");
        assert!(upstream.calls("tools/call").is_empty(), "not even called: its result could not be told");
        let reply = house.ask(modern_call(&alice, "soft", 1, tool, json!({ "give": { "structuredContent": {} } }))).await;
        assert_eq!(reply.code().1, 0, "{}", reply.text());
        let kind = if tool == "away" { "intent" } else { "outcome" };
        assert_eq!(flags(&house, kind), (json!(["schema_unusable"]), why.to_owned()));
        assert_eq!(house.ask(modern_call(&alice, "blind", 1, tool, json!({}))).await.code().1, 0);
        upstream.forget();
    }
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rpc_08_a_result_that_is_not_of_the_approved_form_is_kept_back_or_flagged() {
    let (upstream, word) = (upstream().await, canary("word-"));
    let house = house(&upstream).await;
    let alice = house.full("alice").await;
    let sessions = [("hard", house.session(&alice, "hard").await), ("soft", house.session(&alice, "soft").await)];
    let call = |server: &str, modern: bool, arguments: &Value| {
        let session = sessions.iter().find(|(name, _)| *name == server).map(|(_, session)| session.clone()).unwrap_or_default();
        match modern {
            true => modern_call(&alice, server, 1, "giving", arguments.clone()),
            false => legacy_call(&alice, server, &session, 1, "giving", arguments.clone()),
        }
    };
    let hostile = [
        (json!({ "structuredContent": { "n": word } }), "/n (type)"),
        (json!({ "structuredContent": { word.as_str(): 1 } }), "/n (required)"),
        (json!({ "structuredContent": [word] }), "/ (type)"),
        (json!({ "structuredContent": null }), "/ (type)"),
        (json!({ "structuredContent": { "n": word }, "isError": true }), "/n (type)"),
        (json!({ "note": word }), "/ (absent)"),
    ];
    for (modern, stream) in [(true, false), (true, true), (false, false), (false, true)] {
        let (kind, about) = (if stream && !modern { "closed" } else { "outcome" }, format!("modern {modern}, stream {stream}"));
        for (give, place) in &hostile {
            let arguments = json!({ "give": give, "stream": stream });
            let reply = house.ask(call("hard", modern, &arguments)).await;
            assert_eq!(reply.code(), (200, -32603), "{about}, {place}: {}", reply.text());
            assert!(!reply.contains(&word), "{about}: nothing of it reaches the client");
            assert_eq!(reply.json()["error"]["data"]["reason"], "result_misfit");
            assert_eq!(reply.json()["error"]["data"]["effect"], "unknown", "the call has run");
            let ended = settled(&house, kind).await;
            assert_eq!((ended["class"].as_str(), ended["blame"].as_str()), (Some("upstream_error"), Some("upstream")), "{about}");
            assert_eq!((ended["reason"].as_str(), ended["cause"].as_str()), (Some("result_misfit"), Some(*place)), "{about}");

            let reply = house.ask(call("soft", modern, &arguments)).await;
            assert_eq!(reply.code(), (200, 0), "{about}, {place}: {}", reply.text());
            for (key, value) in give.as_object().unwrap() {
                assert_eq!(&reply.result()[key], value, "{about}: passed on as it is");
            }
            settled(&house, kind).await;
            assert_eq!(flags(&house, kind), (json!(["result_misfit"]), (*place).to_owned()), "{about}");
        }
        let good = json!({ "give": { "structuredContent": { "n": 7 } }, "stream": stream });
        for server in ["hard", "soft"] {
            assert_eq!(house.ask(call(server, modern, &good)).await.result()["structuredContent"]["n"], 7, "{about}");
            assert_eq!(settled(&house, kind).await["flags"], Value::Null, "{about}");
        }
        let error = json!({ "give": { "isError": true }, "stream": stream });
        assert_eq!(house.ask(call("hard", modern, &error)).await.result()["isError"], true, "an error promises nothing");
    }
    house.close(&[&word, &alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rpc_08_a_task_does_not_give_what_its_tool_may_not() {
    let upstream = upstream().await;
    let house = house(&upstream).await;
    let alice = house.full("alice").await;
    for name in ["hard", "soft"] {
        let session = house.session(&alice, name).await;
        let able = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
        let ask = |method: &str, params: Value| modern_as(&alice, name, 1, method, params, able.clone());
        let give = json!({ "resultType": "task", "taskId": "up-1", "status": "working", "createdAt": "2026-11-27T00:00:00Z",
            "lastUpdatedAt": "2026-11-27T00:00:00Z", "ttlMs": null });
        let started = house.ask(ask("tools/call", json!({ "name": "giving", "arguments": { "give": give } }))).await;
        let task = started.result()["taskId"].as_str().unwrap_or_else(|| panic!("{}", started.text())).to_owned();
        let got = house.ask(ask("tasks/get", json!({ "taskId": task }))).await;
        assert_eq!(got.code(), (200, if name == "hard" { -32603 } else { 0 }), "{}", got.text());
        check_task(&house, name);
        let listen = ask("subscriptions/listen", json!({ "notifications": { "taskIds": [task] } }));
        let told = house.flow(listen).await.rest().await;
        assert!(told.contains("notifications/subscriptions/acknowledged"), "{told}");
        let times = if name == "hard" { 0 } else { 2 };
        assert_eq!(told.matches("notifications/tasks").count(), times, "{told}");
        let events = house.recorded("event", "result_misfit");
        let of_it: Vec<_> = events.iter().filter(|event| event["server"] == name).collect();
        assert_eq!((of_it.len(), of_it[0]["cause"].as_str()), (1, Some("/n (type)")), "one record, however often it is told");

        let give = json!({ "task": { "taskId": "up-1", "status": "working", "createdAt": "2026-11-27T00:00:00Z", "ttl": null } });
        let params = json!({ "name": "giving", "arguments": { "give": give }, "task": {} });
        let started = house.ask(legacy(&alice, name, &session, 1, "tools/call", params)).await;
        let task = started.result()["task"]["taskId"].as_str().unwrap_or_else(|| panic!("{}", started.text())).to_owned();
        let got = house.ask(legacy(&alice, name, &session, 2, "tasks/result", json!({ "taskId": task }))).await;
        assert_eq!(got.code(), (200, if name == "hard" { -32603 } else { 0 }), "{}", got.text());
        check_task(&house, name);
    }
    house.close(&[&alice.text, "seven"]).await;
}

fn check_task(house: &House, name: &str) {
    let ended = last(house, "outcome");
    assert_eq!(ended["cause"], "/n (type)");
    let (member, value) = if name == "hard" { ("reason", json!("result_misfit")) } else { ("flags", json!(["result_misfit"])) };
    assert_eq!(ended[member], value);
}

/// The record of the end of the last call, once it is there: that of a stream follows its last message.
async fn settled(house: &House, kind: &str) -> Value {
    let begun = last(house, "intent")["seq"].clone();
    let there = super::house::within(std::time::Duration::from_secs(10), async || last(house, kind)["intent"] == begun).await;
    assert!(there, "the call {begun} has its {kind}");
    last(house, kind)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pt_02_tokens_of_others_in_arguments_are_refused_or_flagged_and_never_kept() {
    let upstream = upstream().await;
    let house = house(&upstream).await;
    let alice = house.full("alice").await;
    let mark = canary("");
    let tokens = [
        (format!("ghp_{mark}0123456789ABCDEF"), "github"),
        (format!("xoxb-123456789012-{mark}"), "slack"),
        (format!("ya29.{mark}0123456789"), "google"),
        (format!("AIzaSy{mark}0123456789012"), "google"),
        (format!("sk-ant-{mark}"), "model-provider"),
        (format!("eyJhbGciOiJSUzI1NiJ9.{mark}.c2ln"), "jwt"),
    ];
    for (token, owner) in &tokens {
        let escaped: String = token.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
        for arguments in [
            json!({ "text": token }).to_string(),
            json!({ "a": [{ "b": format!("curl -H 'Authorization: Bearer {token}' https://a.example") }] }).to_string(),
            json!({ token.as_str(): 1 }).to_string(),
            format!(r#"{{"text":"{escaped}"}}"#),
            json!({ "body": json!({ "token": token }).to_string() }).to_string(),
        ] {
            upstream.forget();
            let reply = house.ask(written(&alice, "hard", None, "astray_not", &arguments)).await;
            assert!(!reply.contains("what looks like"), "an unknown tool is unknown first");
            let reply = house.ask(written(&alice, "hard", None, "echoing", &arguments)).await;
            assert_eq!(reply.code(), (200, -32602), "{}", reply.text());
            assert!(reply.contains(&format!("what looks like a token of {owner}")), "{}", reply.text());
            assert_eq!(house.last_reason(), "foreign_token");
            assert!(upstream.calls("tools/call").is_empty(), "nothing was sent");

            let reply = house.ask(written(&alice, "soft", None, "echoing", &arguments)).await;
            assert_eq!(reply.code(), (200, 0), "{}", reply.text());
            assert!(find(&upstream.calls("tools/call").last().unwrap().body, arguments.as_bytes()).is_some(), "as it is");
            assert_eq!(flags(&house, "intent"), (json!(["foreign_token"]), format!("a token of {owner}")));

            assert_eq!(house.ask(written(&alice, "blind", None, "echoing", &arguments)).await.code(), (200, 0));
            assert_eq!(flags(&house, "intent").0, Value::Null);
        }
    }
    house.ask(written(&alice, "hard", None, "echoing", r#"{"text":"task-0123456789-0123456789, and a plain text"}"#)).await.result();
    house.close(&[&mark, &alice.text]).await;
}
