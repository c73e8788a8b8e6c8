//! `doorward bridge` from end to end: a client on stdio, the bridge, a gateway process, a public-SDK server; both eras.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "a test that cannot set its stage has failed; JSON is written where it is sent"
)]

#[expect(dead_code, reason = "not everything is needed here")]
#[path = "it/house.rs"]
mod house;

use doorward_testkit::fixture::Era;
use doorward_testkit::fixture::door::Running;
use house::House;
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// A client on stdio.
struct Client {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
}

impl Client {
    fn start(house: &House, gateway: &str) -> Self {
        let key = format!("file:{}", house.key("bridge", "read,write,destructive").display());
        let mut child = Command::new(env!("CARGO_BIN_EXE_doorward"))
            .args(["bridge", "fixture", "--gateway", gateway, "--key", &key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .expect("the bridge starts");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { child, input, output }
    }

    async fn send(&mut self, message: Value) {
        let input = self.input.as_mut().expect("open");
        input.write_all(format!("{message}\n").as_bytes()).await.expect("the bridge reads");
    }

    async fn next(&mut self) -> Value {
        let line = tokio::time::timeout(Duration::from_secs(60), self.output.next_line()).await.expect("in time").expect("readable");
        serde_json::from_str(&line.expect("not the end")).expect("a message a line")
    }

    /// The answer to a request; what comes before it is kept aside.
    async fn answer(&mut self, id: Value) -> (Value, Vec<Value>) {
        let mut before = Vec::new();
        loop {
            let message = self.next().await;
            if message.get("method").is_none() && message["id"] == id {
                return (message, before);
            }
            before.push(message);
        }
    }

    /// Closes stdin and waits for the end.
    async fn finish(mut self) {
        drop(self.input.take());
        let status = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await.expect("it ends").expect("waited");
        assert!(status.success(), "{status}");
    }
}

fn modern(id: Value, method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
        "progressToken": format!("p{id}")
    });
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

fn legacy(id: Value, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

async fn initialize(client: &mut Client) {
    let params =
        json!({"protocolVersion": "2025-11-25", "capabilities": {"elicitation": {}}, "clientInfo": {"name": "test", "version": "1"}});
    client.send(legacy(json!("first"), "initialize", params)).await;
    let (answer, _) = client.answer(json!("first")).await;
    assert_eq!(answer["result"]["protocolVersion"], "2025-11-25", "{answer}");
    client.send(json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
}

fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text in {answer}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_over_stdio_with_a_question_on_the_way() {
    let fixture = Running::start(Era::Legacy, 0).await.expect("a fixture");
    let house = House::new(&fixture.url());
    let gateway = house.serve();
    let mut client = Client::start(&house, &gateway.url);
    initialize(&mut client).await;
    client.send(legacy(json!(1), "tools/list", json!({}))).await;
    let (list, _) = client.answer(json!(1)).await;
    assert!(list["result"]["tools"].as_array().expect("tools").iter().any(|tool| tool["name"] == "test_elicitation"), "{list}");
    client.send(legacy(json!(2), "tools/call", json!({"name": "test_elicitation", "arguments": {"message": "Who?"}}))).await;
    let question = loop {
        let message = client.next().await;
        if message["method"] == "elicitation/create" {
            break message;
        }
    };
    let answer = json!({"action": "accept", "content": {"username": "ann", "email": "ann@example.com", "response": "ann"}});
    client.send(json!({"jsonrpc": "2.0", "id": question["id"], "result": answer})).await;
    let (done, _) = client.answer(json!(2)).await;
    assert!(text(&done).contains("accept"), "{done}");
    // Ids stay what they are, and many calls share the one way.
    for n in 10..20 {
        client
            .send(legacy(json!(n.to_string()), "tools/call", json!({"name": "test_tool_with_progress", "_meta": {"progressToken": n}})))
            .await;
    }
    let mut answers = Vec::new();
    let mut progress = 0;
    while answers.len() < 10 {
        let message = client.next().await;
        if message["method"] == "notifications/progress" {
            progress += 1;
        } else if message.get("result").is_some() {
            answers.push(message["id"].as_str().expect("a text").to_owned());
        }
    }
    answers.sort();
    assert_eq!(answers, (10..20).map(|n: i32| n.to_string()).collect::<Vec<_>>());
    assert_eq!(progress, 30);
    // The server closes this stream before the answer; the bridge picks it up again with Last-Event-ID.
    client.send(legacy(json!(3), "tools/call", json!({"name": "test_reconnection"}))).await;
    let (answer, _) = client.answer(json!(3)).await;
    assert!(answer.get("result").is_some(), "{answer}");
    client.finish().await;
    let record = house.record();
    assert!(record.contains("<end-session>"), "the session is ended at the gateway: {record}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_stand_alone_with_a_question_and_a_mirrored_argument() {
    let fixture = Running::start(Era::Modern, 0).await.expect("a fixture");
    let house = House::new(&fixture.url());
    let gateway = house.serve();
    let mut client = Client::start(&house, &gateway.url);
    // Not listed before: the bridge learns by itself which argument is mirrored.
    client.send(modern(json!(1), "tools/call", json!({"name": "test_custom_header", "arguments": {"value": "größe"}}))).await;
    let (answer, _) = client.answer(json!(1)).await;
    assert!(text(&answer).contains("größe"), "{answer}");
    let call = json!({"name": "test_input_required_result_elicitation", "arguments": {}});
    client.send(modern(json!("q"), "tools/call", call.clone())).await;
    let (asked, _) = client.answer(json!("q")).await;
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    let requests = asked["result"]["inputRequests"].as_object().expect("questions");
    let answers: serde_json::Map<String, Value> =
        requests.keys().map(|key| (key.clone(), json!({"action": "accept", "content": {"name": "ann"}}))).collect();
    let mut again = call;
    again["inputResponses"] = Value::Object(answers);
    if let Some(state) = asked["result"].get("requestState") {
        again["requestState"] = state.clone();
    }
    client.send(modern(json!("q2"), "tools/call", again)).await;
    let (done, _) = client.answer(json!("q2")).await;
    assert!(text(&done).contains("ann"), "{done}");
    client.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_eras_share_one_pipe_and_a_subscription_is_given_up_by_cancelling() {
    let fixture = Running::start(Era::Dual, 0).await.expect("a fixture");
    let house = House::new(&fixture.url());
    let gateway = house.serve();
    let mut client = Client::start(&house, &gateway.url);
    initialize(&mut client).await;
    client.send(modern(json!("listen"), "subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}))).await;
    let acknowledged = client.next().await;
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged", "{acknowledged}");
    client.send(legacy(json!(1), "tools/call", json!({"name": "test_trigger_tool_change"}))).await;
    let mut changed = 0;
    let mut answered = false;
    while changed < 1 || !answered {
        let message = client.next().await;
        changed += i32::from(message["method"] == "notifications/tools/list_changed");
        answered |= message["id"] == json!(1);
    }
    client.send(json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "listen"}})).await;
    // The id is free again, so the stream is gone; the second subscription is not the first.
    client.send(modern(json!("other"), "tools/call", json!({"name": "test_simple_text"}))).await;
    let (answer, before) = client.answer(json!("other")).await;
    assert!(answer.get("result").is_some(), "{answer}");
    assert!(before.iter().all(|message| message["id"] != json!("listen")), "{before:?}");
    client.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_wrong_is_told_to_the_client_as_an_error() {
    let house = House::new("http://127.0.0.1:9/mcp");
    // Nobody listens there.
    let mut client = Client::start(&house, "http://127.0.0.1:9");
    client.send(modern(json!(1), "tools/list", json!({}))).await;
    let (answer, _) = client.answer(json!(1)).await;
    assert_eq!(answer["error"]["data"]["reason"], "gateway_unreachable", "{answer}");
    client.send(legacy(json!(2), "tools/list", json!({}))).await;
    let (answer, _) = client.answer(json!(2)).await;
    assert_eq!(answer["error"]["data"]["reason"], "no_session", "{answer}");
    for (line, code) in [("{", -32700), ("{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"x\"}", -32600), ("{\"a\":1,\"a\":2}", -32700)] {
        client.input.as_mut().expect("open").write_all(format!("{line}\n").as_bytes()).await.expect("written");
        let answer = client.next().await;
        assert_eq!(answer["error"]["code"], code, "{line}: {answer}");
    }
    client.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_outlives_a_gateway_that_is_started_again() {
    let fixture = Running::start(Era::Dual, 0).await.expect("a fixture");
    let house = House::new(&fixture.url());
    let gateway = house.serve();
    let address = gateway.url.trim_start_matches("http://").to_owned();
    let text = std::fs::read_to_string(house.path("doorward.toml")).expect("there").replace("127.0.0.1:0", &address);
    house.file("doorward.toml", &text);
    let mut client = Client::start(&house, &gateway.url);
    initialize(&mut client).await;
    client.send(legacy(json!(1), "tools/list", json!({}))).await;
    client.answer(json!(1)).await;
    gateway.stop();
    // While it is away the client is told so, request by request; nothing hangs.
    client.send(modern(json!(2), "tools/list", json!({}))).await;
    let (answer, _) = client.answer(json!(2)).await;
    assert_eq!(answer["error"]["data"]["reason"], "gateway_unreachable", "{answer}");
    let _again = house.listen();
    client.send(modern(json!(3), "tools/call", json!({"name": "test_simple_text"}))).await;
    let (answer, _) = client.answer(json!(3)).await;
    assert!(answer.get("result").is_some(), "{answer}");
    client.send(legacy(json!(4), "tools/call", json!({"name": "test_simple_text"}))).await;
    let (answer, _) = client.answer(json!(4)).await;
    assert!(answer.get("result").is_some() || answer["error"]["data"]["reason"] == "session_lost", "{answer}");
    client.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_opens_nothing_is_named_as_such() {
    let fixture = Running::start(Era::Dual, 0).await.expect("a fixture");
    let house = House::new(&fixture.url());
    let gateway = house.serve();
    let wrong = house.file("wrong-key", &format!("dwk_{}\n", "A".repeat(43)));
    let said = house.run_with_input(
        &["bridge", "fixture", "--gateway", &gateway.url, "--key", &format!("file:{}", wrong.display())],
        &format!("{}\n", modern(json!(1), "tools/list", json!({}))),
    );
    assert!(said.out.contains("gateway_key") && said.exit == 0, "{said}");
    assert!(!said.to_string().contains(&"A".repeat(43)), "{said}");
}

#[test]
fn pt_03_the_key_never_goes_over_a_network_without_tls() {
    let house = House::new("http://127.0.0.1:9/mcp");
    let key = format!("file:{}", house.file("key", "dwk_x\n").display());
    for (gateway, key, words) in [
        ("http://mcp.example.com", key.as_str(), "without TLS"),
        ("http://10.0.0.1:8417", key.as_str(), "without TLS"),
        ("ftp://127.0.0.1", key.as_str(), "cannot be the gateway"),
        ("http://127.0.0.1:1", "dwk_typed-on-the-command-line", "not a reference"),
    ] {
        let said = house.run(&["bridge", "fixture", "--gateway", gateway, "--key", key]);
        assert!(said.exit == 2 && said.err.contains(words) && said.out.is_empty(), "{said}");
        assert!(!said.to_string().contains("typed-on"), "{said}");
    }
}
