//! SES-09: tasks belong to who started them. Their room is asked for before a call runs, given back when a task is over, and
//! never the reason to run a call twice.

use super::house::{House, Key, server};
use super::scripted::{Scripted, tool, whole};
use super::sessions::{lax, modern_lax};
use super::speak::{legacy, modern_as};
use super::wire::Reply;
use doorward_core::id::{ClientId, ServerName, ToolName};
use doorward_core::secret::sha256;
use doorward_store::NewTask;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// As many as one user may have running.
const MOST: usize = 1000;

/// Every tool becomes a task, `long` under an id that nobody can keep; each task is over when it is asked for.
async fn upstream() -> Scripted {
    let tools = json!([tool("work"), tool("long")]);
    let started = AtomicUsize::new(0);
    Scripted::at_once(move |asked| {
        let Some(mut message) = asked.plainly(&tools) else { return whole(&Value::Null) };
        let params = asked.json()["params"].clone();
        let number = started.fetch_add(1, Ordering::SeqCst);
        let long = if params["name"] == "long" { "x".repeat(2000) } else { String::new() };
        let mut task = json!({ "taskId": format!("up-{number}{long}"), "status": "working", "createdAt": "2026-11-27T00:00:00Z",
            "lastUpdatedAt": "2026-11-27T00:00:00Z", "ttlMs": null, "ttl": null });
        let is_modern = message["result"]["resultType"].is_string();
        match asked.method().as_str() {
            "tools/call" if is_modern => {
                task["resultType"] = "task".into();
                message["result"] = task;
            }
            "tools/call" => message["result"] = json!({ "task": task }),
            "tasks/get" => {
                (task["taskId"], task["status"]) = (params["taskId"].clone(), "completed".into());
                task["resultType"] = "complete".into();
                task["result"] = json!({ "content": [] });
                message["result"] = task;
            }
            "tasks/result" => message["result"] = json!({ "content": [] }),
            _ => {}
        }
        whole(&message)
    })
    .await
}

async fn house(upstream: &Scripted) -> (House, Key) {
    let house = House::open(&server("alpha", &upstream.url(), "")).await;
    house.approve().await;
    let alice = house.full("alice").await;
    (house, alice)
}

/// Leaves room for `room` more.
async fn fill(house: &House, key: &Key, room: usize) {
    for number in room..MOST {
        let gateway_id = format!("t-filled-{number}");
        let task = NewTask {
            digest: sha256(gateway_id.as_bytes()),
            gateway_id,
            user: key.user.clone(),
            client: ClientId::new("another").expect("client"),
            credential: key.id.clone(),
            server: ServerName::new("alpha").expect("name"),
            tool: ToolName::new("work").expect("name"),
            upstream_id: "up".to_owned(),
            created: house.env.now(),
            expires: None,
        };
        house.store.put_task(&task, u32::MAX).await.expect("put");
    }
}

async fn ask(house: &House, key: &Key, method: &str, params: Value) -> Reply {
    let able = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
    house.ask(modern_as(key, "alpha", 1, method, params, able)).await
}

async fn start(house: &House, key: &Key) -> Reply {
    ask(house, key, "tools/call", json!({ "name": "work", "arguments": {} })).await
}

async fn started(house: &House, key: &Key) -> String {
    let reply = start(house, key).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.result()["taskId"].as_str().unwrap_or_else(|| panic!("{}", reply.text())).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_task_has_no_room_does_not_run() {
    let upstream = upstream().await;
    let (house, alice) = house(&upstream).await;
    let session = house.session(&alice, "alpha").await;
    fill(&house, &alice, 0).await;
    let augmented = json!({ "name": "work", "arguments": {}, "task": {} });
    for reply in [start(&house, &alice).await, house.ask(legacy(&alice, "alpha", &session, 2, "tools/call", augmented)).await] {
        assert_eq!(reply.status, 429, "{}", reply.text());
        assert_eq!(house.last_reason_of_calls(), "too_many_tasks");
        assert!(upstream.calls("tools/call").is_empty(), "nothing ran");
    }
    // Another user has room of their own.
    let bob = house.full("bob").await;
    started(&house, &bob).await;
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_is_over_gives_its_room_back_and_is_still_its_owners() {
    let upstream = upstream().await;
    let (house, alice) = house(&upstream).await;
    let session = house.session(&alice, "alpha").await;
    fill(&house, &alice, 1).await;
    let first = started(&house, &alice).await;
    assert_eq!(start(&house, &alice).await.status, 429);
    let cancelled = ask(&house, &alice, "tasks/cancel", json!({ "taskId": first })).await;
    assert_eq!(cancelled.code(), (200, 0), "{}", cancelled.text());
    let second = started(&house, &alice).await;
    assert_eq!(start(&house, &alice).await.status, 429);
    let got = ask(&house, &alice, "tasks/get", json!({ "taskId": second })).await;
    assert_eq!(got.result()["status"], "completed", "{}", got.text());
    let augmented = json!({ "name": "work", "arguments": {}, "task": {} });
    let reply = house.ask(legacy(&alice, "alpha", &session, 2, "tools/call", augmented)).await;
    let third = reply.result()["task"]["taskId"].as_str().unwrap_or_else(|| panic!("{}", reply.text())).to_owned();
    assert_eq!(start(&house, &alice).await.status, 429);
    let result = house.ask(legacy(&alice, "alpha", &session, 3, "tasks/result", json!({ "taskId": third }))).await;
    assert_eq!(result.code(), (200, 0), "{}", result.text());
    started(&house, &alice).await;
    for task in [first, second] {
        let again = ask(&house, &alice, "tasks/get", json!({ "taskId": task })).await;
        assert_eq!(again.result()["status"], "completed", "what is over can be read: {}", again.text());
    }
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_of_tasks_says_which_are_over_and_has_pages() {
    let upstream = upstream().await;
    let (house, alice) = house(&upstream).await;
    let session = house.session(&alice, "alpha").await;
    let augmented = json!({ "name": "work", "arguments": {}, "task": {} });
    let mut ids = Vec::new();
    for n in 0..205 {
        let reply = house.ask(legacy(&alice, "alpha", &session, n, "tools/call", augmented.clone())).await;
        ids.push(reply.result()["task"]["taskId"].as_str().unwrap_or_else(|| panic!("{}", reply.text())).to_owned());
    }
    house.ask(legacy(&alice, "alpha", &session, 301, "tasks/get", json!({ "taskId": ids[0] }))).await;
    house.ask(legacy(&alice, "alpha", &session, 302, "tasks/cancel", json!({ "taskId": ids[1] }))).await;
    let (mut listed, mut cursor, mut pages) = (Vec::new(), Value::Null, 0);
    loop {
        let params = if cursor.is_null() { json!({}) } else { json!({ "cursor": cursor }) };
        let page = house.ask(legacy(&alice, "alpha", &session, 400 + pages, "tasks/list", params)).await.result();
        listed.extend(page["tasks"].as_array().unwrap_or_else(|| panic!("{page}")).clone());
        (cursor, pages) = (page["nextCursor"].clone(), pages + 1);
        if cursor.is_null() {
            break;
        }
    }
    assert_eq!(pages, 3);
    let status = |id: &String| listed.iter().find(|task| task["taskId"] == id.as_str()).map(|task| task["status"].clone());
    let said: Vec<_> = ids.iter().map(status).collect();
    assert_eq!(said[..3], [Some(json!("completed")), Some(json!("cancelled")), Some(json!("working"))]);
    assert!(said[3..].iter().all(|status| *status == Some(json!("working"))) && listed.len() == ids.len(), "each of them once");
    assert_eq!(listed[0]["ttl"], 7 * 86_400_000, "as long as Doorward keeps it");
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_cannot_be_kept_is_no_invitation_to_run_it_again() {
    let upstream = upstream().await;
    let (house, alice) = house(&upstream).await;
    let reply = ask(&house, &alice, "tools/call", json!({ "name": "long", "arguments": {} })).await;
    assert_eq!(upstream.calls("tools/call").len(), 1);
    assert_eq!(reply.code(), (200, -32603), "{}", reply.text());
    assert_eq!(reply.field("retry-after"), None);
    let data = reply.json()["error"]["data"].clone();
    assert_eq!(data["reason"], "task_not_kept", "{data}");
    assert_eq!(data["effect"], "unknown", "{data}");
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_09_tasks_belong_to_who_started_them() {
    let (lax, house) = lax(modern_lax()).await;
    let (alice, mallory) = (house.full("alice").await, house.full("mallory").await);
    let another = house.full("alice").await;
    let able = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
    let start = |key: &Key| modern_as(key, "alpha", 1, "tools/call", json!({ "name": "task", "arguments": {} }), able.clone());
    let task = house.ask(start(&alice)).await.result()["taskId"].as_str().expect("a task").to_owned();
    assert!(task.starts_with("t-") && task.len() >= 40 && !task.contains("task-"), "{task}");
    let about =
        |key: &Key, method: &str, id: &str| modern_as(key, "alpha", 2, method, json!({ "taskId": id, "inputResponses": {} }), able.clone());
    lax.forget();
    let unknown = house.ask(about(&mallory, "tasks/get", "t-unknown")).await;
    for key in [&mallory, &another] {
        for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
            for id in [task.as_str(), "task-1", "task-2", ""] {
                let reply = house.ask(about(key, method, id)).await;
                assert_eq!((reply.status, reply.text()), (unknown.status, unknown.text()), "{method} {id}: no oracle");
            }
        }
    }
    for id in ["task-1", "task-2", "T-1"] {
        assert_eq!(house.ask(about(&alice, "tasks/get", id)).await.text(), unknown.text(), "ids of the upstream mean nothing");
    }
    assert!(lax.seen().is_empty(), "{:?}", lax.seen());
    let nobody = about(&alice, "tasks/get", &task).without("authorization");
    assert_eq!(house.ask(nobody).await.status, 401);
    let mine = house.ask(about(&alice, "tasks/get", &task)).await;
    assert_eq!(mine.result()["taskId"], task.as_str());
    assert!(!mine.contains("task-1"), "{}", mine.text());
    assert_eq!(lax.seen_method("tasks/get")[0].json()["params"]["taskId"], "task-1");
    // The same client in other hands, and the same hands in another client.
    let hour = Duration::from_secs(3600);
    let grants = ["*:read", "*:write", "*:destructive"];
    let (hers, theirs) = (house.token("alice", "c-1", &[], &grants, hour).await, house.token("mallory", "c-1", &[], &grants, hour).await);
    let elsewhere = house.token("alice", "c-2", &[], &grants, hour).await;
    let of_token = house.ask(start(&hers)).await.result()["taskId"].as_str().expect("a task").to_owned();
    lax.forget();
    for key in [&theirs, &elsewhere, &alice, &mallory] {
        for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
            let reply = house.ask(about(key, method, &of_token)).await;
            assert_eq!((reply.status, reply.text()), (unknown.status, unknown.text()), "{method}: no oracle");
        }
    }
    // Nor through a session, where tasks are spoken of in the words of 2025-11-25.
    let (session, own) = (house.session(&mallory, "alpha").await, house.session(&alice, "alpha").await);
    lax.forget();
    for (key, session) in [(&mallory, &session), (&alice, &own)] {
        for method in ["tasks/get", "tasks/result", "tasks/cancel", "tasks/update", "tasks/list"] {
            for id in [of_token.as_str(), "task-1", "task-2"] {
                let reply = house.ask(legacy(key, "alpha", session, 1, method, json!({ "taskId": id }))).await;
                // She may list what she began with this very key, and that alone.
                let listed = reply.json()["result"]["tasks"].as_array().cloned().unwrap_or_default();
                let own = listed.iter().all(|one| one["taskId"] == task.as_str() && key.id == alice.id);
                assert!(own && !reply.contains(&of_token), "{method} {id}: {}", reply.text());
                assert!(method == "tasks/list" || reply.code().1 != 0, "{method} {id}: {}", reply.text());
            }
        }
    }
    assert!(lax.seen().iter().all(|heard| !heard.contains("taskId")), "{:?}", lax.seen());
    assert_eq!(house.ask(about(&hers, "tasks/get", &of_token)).await.result()["taskId"], of_token.as_str());
    // Not in a subscription either: what is not hers is left out of what the server hears.
    let listen = json!({ "notifications": { "taskIds": [task, "task-1"] } });
    house.ask(modern_as(&mallory, "alpha", 3, "subscriptions/listen", listen, able.clone())).await;
    let heard = lax.seen_method("subscriptions/listen");
    assert!(heard.iter().all(|heard| !heard.contains("task-1") && !heard.contains(&task)), "{heard:?}");
    house.close(&[&alice.text, &mallory.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_09_a_tool_that_was_withdrawn_gives_nothing_of_its_tasks_either() {
    let (lax, house) = lax(modern_lax()).await;
    let alice = house.full("alice").await;
    let able = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
    let ask = |method: &str, params: Value| modern_as(&alice, "alpha", 1, method, params, able.clone());
    let reply = house.ask(ask("tools/call", json!({ "name": "task", "arguments": {} }))).await;
    let task = reply.result()["taskId"].as_str().expect("a task").to_owned();
    let about = |method: &str| ask(method, json!({ "taskId": task, "inputResponses": {} }));
    assert!(house.ask(about("tasks/get")).await.contains("belongs to"), "as long as the tool is approved");
    let unknown = house.ask(ask("tasks/get", json!({ "taskId": "t-unknown" }))).await;

    let (server, tool) = (ServerName::new("alpha").unwrap(), ToolName::new("task").unwrap());
    assert_eq!(house.store.withdraw(&server, Some(&tool), house.env.now()).await.unwrap(), 1);
    house.heard_of(house.store.epoch().await.unwrap()).await;
    lax.forget();
    for method in ["tasks/get", "tasks/update"] {
        let reply = house.ask(about(method)).await;
        assert_eq!((reply.status, reply.text()), (unknown.status, unknown.text()), "{method}");
    }
    let listen = json!({ "notifications": { "taskIds": [task] } });
    house.ask(ask("subscriptions/listen", listen)).await;
    assert!(lax.seen().iter().all(|seen| !seen.contains("task-1")), "{:?}", lax.seen());
    // What runs may still be stopped by whoever started it.
    house.ask(about("tasks/cancel")).await;
    assert_eq!(lax.seen_method("tasks/cancel").len(), 1);
    house.close(&[&alice.text]).await;
}
