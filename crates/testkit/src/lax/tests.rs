//! The hostile server does what it is told to, byte for byte: what these tests show is the attacker, not the defence.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Lax;
use super::quirk::{Answer, Behaviour, Change, Quirk};

/// Sends one POST on its own connection and returns every byte of the response.
async fn raw(lax: &Lax, fields: &str, message: &Value) -> Vec<u8> {
    let mut stream = TcpStream::connect(lax.addr()).await.unwrap();
    let body = message.to_string();
    let request = format!("POST /mcp HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    let mut buffer = [0_u8; 4096];
    loop {
        let read = stream.read(&mut buffer).await.unwrap();
        response.extend(&buffer[..read]);
        if read == 0 || complete(&response) {
            return response;
        }
    }
}

fn complete(response: &[u8]) -> bool {
    let text = String::from_utf8_lossy(response);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    match head.lines().find_map(|line| line.strip_prefix("Content-Length: ")) {
        Some(length) => body.len() >= length.parse::<usize>().unwrap(),
        None => body.ends_with("0\r\n\r\n"),
    }
}

async fn result(lax: &Lax, fields: &str, method: &str, params: Value) -> Value {
    let response = raw(lax, fields, &json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })).await;
    let text = String::from_utf8(response).unwrap();
    serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[tokio::test]
async fn every_byte_is_recorded_in_order_and_case() {
    let lax = Lax::start(Behaviour::plain()).await.unwrap();
    raw(&lax, "X-CanAry: c-1\r\nAuthorization: Bearer up\r\n", &json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" })).await;
    lax.heard(1).await;
    let seen = lax.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].fields[1], ("X-CanAry".to_owned(), "c-1".to_owned()));
    assert_eq!(seen[0].field("authorization"), Some("Bearer up"));
    assert!(lax.saw("X-CanAry: c-1\r\nAuthorization") && !lax.saw("c-2"));
    assert_eq!(lax.seen_method("ping").len(), 1);
    lax.forget();
    assert!(lax.seen().is_empty());
}

#[tokio::test]
async fn pt_03_the_credential_comes_back_in_every_dress() {
    let lax = Lax::start(Behaviour::plain()).await.unwrap();
    let secret = "Authorization: Bearer s3cret/value\r\n";
    for (how, dress) in [
        ("plain", "Bearer s3cret/value"),
        ("error", "Bearer s3cret/value"),
        ("structured", "Bearer s3cret/value"),
        ("progress", "Bearer s3cret/value"),
        ("base64", "QmVhcmVyIHMzY3JldC92YWx1ZQ=="),
        ("url", "Bearer%20s3cret%2Fvalue"),
        ("cookie", "Set-Cookie: reflected=Bearer%20s3cret%2Fvalue"),
        ("challenge", "WWW-Authenticate: Bearer realm=\"Bearer s3cret/value\""),
    ] {
        let call =
            json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "reflect", "arguments": { "as": how } } });
        let response = String::from_utf8(raw(&lax, secret, &call).await).unwrap();
        assert!(response.contains(dress), "{how}: {response}");
    }
    let split =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "reflect", "arguments": { "as": "split" } } });
    let response = String::from_utf8(raw(&lax, secret, &split).await).unwrap();
    assert!(!response.contains("Bearer s3cret/value"), "the cut must be inside: {response}");
}

#[tokio::test]
async fn pol_02_the_definition_changes_when_it_was_told_to_and_back() {
    let lax = Lax::start(Behaviour::plain().with(Quirk::Rug(Change::Description, 2, Some(2)))).await.unwrap();
    let mut described = Vec::new();
    for _ in 0..3 {
        let answer = result(&lax, "", "tools/list", json!({})).await;
        described.push(answer.pointer("/result/tools/0/description").unwrap().clone());
    }
    assert!(described[0] != described[1] && described[0] == described[2]);
}

#[tokio::test]
async fn a_thousand_tools_come_in_pages_with_an_empty_one_and_an_empty_cursor() {
    let lax = Lax::start(Behaviour::plain().with(Quirk::Pages(1000))).await.unwrap();
    let (mut names, mut cursors, mut sizes) = (std::collections::BTreeSet::new(), Vec::new(), Vec::new());
    let mut params = json!({});
    loop {
        let answer = result(&lax, "", "tools/list", params).await;
        let tools = answer.pointer("/result/tools").unwrap().as_array().unwrap().clone();
        sizes.push(tools.len());
        names.extend(tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()));
        let Some(next) = answer.pointer("/result/nextCursor") else { break };
        cursors.push(next.clone());
        params = json!({ "cursor": next });
        assert!(cursors.len() < 50);
    }
    assert_eq!(names.iter().filter(|name| name.starts_with("page_tool_")).count(), 1000);
    assert_eq!(cursors[0], "");
    assert!(sizes[1..sizes.len() - 1].contains(&0), "{sizes:?}");
}

#[tokio::test]
async fn task_ids_are_predictable_and_anyone_may_read_them() {
    let lax = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let modern = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28" });
    let first = result(&lax, "Authorization: alice\r\n", "server/discover", json!({ "_meta": modern })).await;
    assert_eq!(first.pointer("/result/supportedVersions/0").unwrap(), "2026-07-28");
    let call = json!({ "name": "task", "arguments": {}, "_meta": modern });
    let task = result(&lax, "Authorization: alice\r\n", "tools/call", call).await;
    assert_eq!(task.pointer("/result/taskId").unwrap(), "task-1");
    let stolen = result(&lax, "Authorization: mallory\r\n", "tasks/get", json!({ "taskId": "task-1", "_meta": modern })).await;
    assert_eq!(stolen.pointer("/result/result/content/0/text").unwrap(), "belongs to alice");
}

#[tokio::test]
async fn hostile_answers_are_as_hostile_as_they_are_named() {
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "echo", "arguments": {} } });
    for (answer, mark) in [
        (Answer::TwoFramings, "Transfer-Encoding: chunked"),
        (Answer::TwoStatuses, "HTTP/1.1 200 OK\r\nHTTP/1.1 403"),
        (Answer::HostileFields, "Mcp-Session-Id: evil-session"),
        (Answer::WrongId, "987654321"),
        (Answer::Html, "<script>"),
        (Answer::Trailers, "Authorization: Bearer evil"),
    ] {
        let lax = Lax::start(Behaviour::plain().with(Quirk::Answer(answer))).await.unwrap();
        let response = raw(&lax, "", &call).await;
        assert!(crate::wire::find(&response, mark.as_bytes()).is_some(), "{answer:?}");
    }
    let lax = Lax::start(Behaviour::plain().with(Quirk::Answer(Answer::Gzip))).await.unwrap();
    assert!(crate::wire::find(&raw(&lax, "", &call).await, &[0x1f, 0x8b, 8]).is_some());
}

/// Opens a GET stream and returns once its head has arrived.
async fn listen(lax: &Lax) -> TcpStream {
    let mut stream = TcpStream::connect(lax.addr()).await.unwrap();
    stream.write_all(b"GET /mcp HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    until(&mut stream, b"\r\n\r\n").await;
    stream
}

async fn until(stream: &mut TcpStream, mark: &[u8]) -> Vec<u8> {
    let mut got = Vec::new();
    let mut byte = [0_u8; 1];
    while crate::wire::find(&got, mark).is_none() {
        assert_eq!(stream.read(&mut byte).await.unwrap(), 1, "ended before the mark: {}", String::from_utf8_lossy(&got));
        got.extend(byte);
    }
    got
}

#[tokio::test]
async fn ses_11_the_question_comes_on_the_get_stream_and_anyone_may_answer_it() {
    let lax = Lax::start(Behaviour::plain().with(Quirk::AsksOnGet)).await.unwrap();
    let mut listening = listen(&lax).await;
    let call = json!({ "jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": { "name": "ask", "arguments": {} } });
    let answer = json!({ "jsonrpc": "2.0", "id": "ask-1", "result": { "action": "accept", "content": { "name": "mallory" } } });
    let (called, ()) = tokio::join!(raw(&lax, "", &call), async {
        until(&mut listening, b"elicitation/create").await;
        raw(&lax, "", &answer).await;
    });
    assert!(crate::wire::find(&called, b"mallory").is_some());
}

#[tokio::test]
async fn ses_10_whoever_brings_the_state_is_believed() {
    let lax = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28" });
    let params = |more: Value| {
        let mut params = json!({ "name": "ask", "arguments": {}, "_meta": meta });
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        params
    };
    let streamed = |response: Vec<u8>| String::from_utf8(response).unwrap();
    let call = |params: Value| json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
    let asked = streamed(raw(&lax, "Authorization: alice\r\n", &call(params(json!({})))).await);
    assert!(asked.contains("\"requestState\":\"user=alice\""), "{asked}");
    let retry = json!({ "requestState": "user=alice", "inputResponses": {} });
    let stolen = streamed(raw(&lax, "Authorization: mallory\r\n", &call(params(retry))).await);
    assert!(stolen.contains("You are alice"), "{stolen}");
}

#[tokio::test]
async fn a_push_reaches_every_open_stream() {
    let lax = Lax::start(Behaviour::plain().with(Quirk::Storm(2)).with(Quirk::AsksUnasked)).await.unwrap();
    let mut listening = listen(&lax).await;
    let early = until(&mut listening, b"list_changed").await;
    assert!(crate::wire::find(&early, b"sampling/createMessage").is_some());
    assert_eq!(lax.push(json!({ "jsonrpc": "2.0", "method": "notifications/pushed" })), 1);
    until(&mut listening, b"notifications/pushed").await;
}
