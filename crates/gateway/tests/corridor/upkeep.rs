//! Upkeep: what Doorward asks of a server for itself is on the record before, and costs no caller more than an answer.

use super::house::{House, server, within};
use super::scripted::{Scripted, tool, whole};
use super::speak::{legacy, legacy_call, modern, text};
use doorward_gateway::session::LIFETIMES;
use doorward_testkit::wire::{Reader, Walk};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A server that answers each message with what `answer` makes of it: a status line, fields and a body; its URL.
async fn scripted(answer: impl Fn(&Value) -> (u16, Value) + Send + Sync + 'static) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let (read, mut write) = stream.split();
                let mut reader = Reader::new(read);
                while let Ok(Some(head)) = reader.head().await {
                    let mut walk = Walk::new(head.framing());
                    while let Ok(Some(_)) = reader.piece(&mut walk).await {}
                    let (status, json) = answer(&serde_json::from_slice(&walk.payload()).unwrap_or_default());
                    let text = json.to_string();
                    let head = format!(
                        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nMcp-Session-Id: s\r\nContent-Length: {}\r\n\r\n",
                        text.len()
                    );
                    if write.write_all(format!("{head}{text}").as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (url, task)
}

/// A result that answers every method of both eras.
fn well(message: &Value) -> (u16, Value) {
    if message["id"].is_null() {
        return (202, Value::Null);
    }
    let result = json!({
        "protocolVersion": "2025-11-25", "capabilities": { "tools": {} }, "serverInfo": { "name": "x", "version": "1" },
        "tools": [], "prompts": [], "resourceTemplates": [], "resultType": "complete",
    });
    (200, json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aud_02_a_catalogue_is_read_only_after_the_record_says_so() {
    let house = Arc::new(std::sync::OnceLock::<std::path::PathBuf>::new());
    let record = Arc::clone(&house);
    let unrecorded = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&unrecorded);
    let (url, server_task) = scripted(move |message| {
        let text = record.get().and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        if !text.contains("catalogue_read") {
            count.fetch_add(1, Ordering::SeqCst);
        }
        well(message)
    })
    .await;
    let (toml, gone) = (server("alpha", &url, ""), server("gone", "http://127.0.0.1:9/mcp", ""));
    let open = House::open(&format!("{toml}{gone}")).await;
    house.set(open.state.path().join("audit.jsonl")).unwrap();
    let alice = open.full("alice").await;
    assert_eq!(open.ask(modern(&alice, "alpha", 1, "tools/list", json!({}))).await.status, 200);
    assert_eq!(unrecorded.load(Ordering::SeqCst), 0, "nothing reached the server before the record");
    // One that fails is on the record from its beginning to its end.
    open.ask(modern(&alice, "gone", 1, "tools/list", json!({}))).await;
    for reason in ["catalogue_read", "catalogue_failed"] {
        let said = open.recorded("event", reason);
        assert!(said.iter().any(|record| record["server"] == "gone"), "{reason}: {said:?}");
    }
    assert_eq!(open.recorded("event", "catalogue_failed").len(), 1, "and only one failed");
    server_task.abort();
    open.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_04_a_moment_of_weakness_does_not_make_a_server_old() {
    for (status, is_old) in [(500, false), (502, false), (504, false), (400, true), (404, true), (405, true)] {
        let heard = AtomicUsize::new(0);
        let (url, task) =
            scripted(move |message| if heard.fetch_add(1, Ordering::SeqCst) == 0 { (status, json!("<html>")) } else { well(message) })
                .await;
        let house = House::open(&server("alpha", &url, "")).await;
        let alice = house.full("alice").await;
        let list = || modern(&alice, "alpha", 1, "tools/list", json!({}));
        let first = house.ask(list()).await;
        assert!(first.json().get("error").is_some(), "{status}: {}", first.text());
        let second = house.ask(list()).await;
        assert_eq!(second.json().get("error").is_some(), is_old, "{status}: {}", second.text());
        task.abort();
        house.close(&[&alice.text]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_a_session_of_doorwards_own_takes_no_callers_with_it() {
    let (url, task) = scripted(|message| if message["method"] == "tools/list" { (404, json!("gone")) } else { well(message) }).await;
    let house = House::open(&server("alpha", &url, "")).await;
    let alice = house.full("alice").await;
    let session = house.session(&alice, "alpha").await;
    let reply = house.ask(legacy(&alice, "alpha", &session, 1, "tools/list", json!({}))).await;
    assert_eq!(reply.code(), (200, -32603), "{}", reply.text());
    let reply = house.ask(legacy(&alice, "alpha", &session, 2, "ping", json!({}))).await;
    assert_eq!(reply.status, 200, "her session lives: {}", reply.text());
    task.abort();
    house.close(&[&alice.text]).await;
}

/// Calls of one session that find its line to the server lost at the same moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_01_calls_that_find_a_lost_session_together_go_on_in_the_one_that_was_restored() {
    let (opened, known) = (Arc::new(AtomicUsize::new(0)), Arc::new(std::sync::Mutex::new(Vec::<String>::new())));
    let together = Arc::new(tokio::sync::Barrier::new(3));
    let sessions = Arc::clone(&known);
    let upstream = Scripted::start(move |asked| {
        let (opened, known, together) = (Arc::clone(&opened), Arc::clone(&known), Arc::clone(&together));
        Box::pin(async move {
            let named = asked.field("mcp-session-id").map(str::to_owned);
            if asked.method() == "initialize" {
                let id = format!("up-{}", opened.fetch_add(1, Ordering::SeqCst));
                known.lock().unwrap().push(id.clone());
                let text = asked.plainly(&json!([])).unwrap().to_string();
                let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nMcp-Session-Id: ";
                return format!("{head}{id}\r\nContent-Length: {}\r\n\r\n{text}", text.len()).into_bytes();
            }
            let is_known = named.is_none_or(|id| known.lock().unwrap().contains(&id));
            if !is_known {
                if asked.method() == "tools/call" {
                    together.wait().await;
                }
                return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec();
            }
            asked.plainly(&json!([tool("put")])).map_or_else(|| whole(&Value::Null), |answer| whole(&answer))
        })
    })
    .await;
    let house = House::open(&server("files", &upstream.url(), "tools = { write = [\"*\"] }")).await;
    house.approve().await;
    let alice = house.full("alice").await;
    let session = house.session(&alice, "files").await;
    let call = |id: u32| house.ask(legacy_call(&alice, "files", &session, id, "put", json!({ "n": id })));
    assert_eq!(call(1).await.status, 200);
    sessions.lock().unwrap().clear();
    let (first, second, third) = tokio::join!(call(2), call(3), call(4));
    for (n, reply) in [(2, first), (3, second), (4, third)] {
        assert_eq!((reply.status, text(&reply)), (200, format!("{{\"n\":{n}}}")));
    }
    let last = call(5).await;
    assert_eq!((last.status, text(&last)), (200, "{\"n\":5}".to_owned()), "the session of the client goes on");
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn std_07_a_server_that_is_slow_to_say_goodbye_holds_up_no_other_end() {
    let tools = json!([tool("x")]);
    let slow = Scripted::start(move |asked| {
        let answer = whole(&asked.plainly(&tools).unwrap_or_default());
        Box::pin(async move {
            if asked.verb == "DELETE" {
                std::future::pending::<()>().await;
            }
            answer
        })
    })
    .await;
    let house = House::open(&server("alpha", &slow.url(), "")).await;
    let alice = house.full("alice").await;
    for _ in 0..4 {
        house.session(&alice, "alpha").await;
    }
    assert!(house.store.revoke_api_key(&alice.id, house.env.now()).await.expect("revoked"));
    let goodbyes = || slow.seen().iter().filter(|asked| asked.verb == "DELETE").count();
    assert!(within(Duration::from_secs(5), async || goodbyes() == 4).await, "{} of 4", goodbyes());
    house.close(&[&alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_used_through_another_replica_is_not_ended_here() {
    let tools = json!([tool("x")]);
    let upstream = Scripted::at_once(move |asked| whole(&asked.plainly(&tools).unwrap_or_default())).await;
    let house = House::open(&server("alpha", &upstream.url(), "")).await;
    let alice = house.full("alice").await;
    let session = house.session(&alice, "alpha").await;
    let goodbyes = || upstream.seen().iter().filter(|asked| asked.verb == "DELETE").count();
    // This process has not heard of it for so long; the store knows that somebody has.
    house.gateway.end_idle(Duration::ZERO, LIFETIMES).await;
    let reply = house.ask(legacy(&alice, "alpha", &session, 1, "resources/list", json!({}))).await;
    assert_eq!(reply.code(), (200, 0), "{}", reply.text());
    assert_eq!(goodbyes(), 0);
    house.shift.by(2 * 3600);
    house.gateway.end_idle(Duration::ZERO, LIFETIMES).await;
    assert!(within(Duration::from_secs(5), async || goodbyes() == 1).await, "{} of 1", goodbyes());
    house.close(&[&alice.text]).await;
}
