//! Stdio servers behind a gateway process: what reaches them, and what stays of them.

#![expect(clippy::expect_used, reason = "a test that cannot set its stage has failed")]

#[expect(dead_code, reason = "this file needs no approved tools")]
#[path = "it/house.rs"]
mod house;

use house::House;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

const REFUSES: &str = r#"
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        error = {"code": -32000, "message": "not today"}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": error}), flush=True)
"#;

/// How many processes have this text in their arguments.
fn running(text: &str) -> usize {
    let processes = std::fs::read_dir("/proc").expect("processes").filter_map(Result::ok);
    let arguments = processes.map(|process| std::fs::read(process.path().join("cmdline")).unwrap_or_default());
    arguments.filter(|arguments| String::from_utf8_lossy(arguments).contains(text)).count()
}

/// Reads its input as the official Python SDK does: CR ends a line, too. Each line that is a message is noted.
const SPLITS_AT_CR: &str = r#"
import io, json, os, sys
for line in io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8"):
    try:
        message = json.loads(line)
    except ValueError:
        continue
    method = message.get("method")
    if method == "tools/call":
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "heard"), "a") as heard:
            heard.write(message["params"]["name"] + "\n")
    if "id" not in message:
        continue
    tool = {"name": "late", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}}
    version = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "t", "version": "1"}}
    known = {"initialize": version, "tools/list": {"tools": [tool]}, "tools/call": {"content": []}}
    answer = {"result": known[method]} if method in known else {"error": {"code": -32601, "message": "no such method"}}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer}), flush=True)
"#;

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;

fn post(address: &str, key: &str, session: &str, body: &str) -> String {
    let mut line = TcpStream::connect(address).expect("connected");
    let head = format!(
        "POST /k/fixture/mcp HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n{session}Content-Length: {}\r\n\r\n",
        body.len()
    );
    line.write_all(head.as_bytes()).and_then(|()| line.write_all(body.as_bytes())).expect("sent");
    let mut answer = String::new();
    line.read_to_string(&mut answer).expect("answered");
    answer
}

/// A gateway before a script, its address, and a key that reads.
fn behind(house: &House, script: &str) -> (house::Gateway, String, String) {
    let toml = format!("[listen]\naddress = \"127.0.0.1:0\"\n\n[server.fixture]\ncommand = [\"/usr/bin/python3\", \"{script}\"]\n");
    house.file("doorward.toml", &toml);
    // The command may run; whether it offers anything is another matter.
    let _offers = house.run(&["server", "approve", "fixture", "--command", "--all"]);
    let key = house.run(&["apikey", "create", "--label", "t", "--grant", "read"]).out.trim().to_owned();
    let gateway = house.listen();
    let address = gateway.url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    (gateway, address, key)
}

#[test]
fn sup_01_a_process_that_refused_its_session_does_not_stay() {
    let house = House::empty();
    let script = house.file("refuses.py", REFUSES).display().to_string();
    let (gateway, address, key) = behind(&house, &script);
    for _ in 0..3 {
        let answer = post(&address, &key, "", INITIALIZE);
        assert!(answer.contains("not today"), "it was asked: {answer}");
    }
    assert_eq!(running(&script), 0, "each ended before its refusal was answered");
    gateway.stop();
}

#[test]
fn std_02_a_call_inside_of_a_call_does_not_become_one() {
    let house = House::empty();
    let script = house.file("splits.py", SPLITS_AT_CR).display().to_string();
    let (gateway, address, key) = behind(&house, &script);
    let opened = post(&address, &key, "", INITIALIZE);
    let id = opened.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).expect("a session");
    let session = format!("Mcp-Session-Id: {id}\r\nMCP-Protocol-Version: 2025-11-25\r\n");
    let hidden = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"drop_database","arguments":{}}}"#;
    for ends in ["\r", "\n", "\r\n"] {
        let arguments = format!(r#"{{"a":{ends}{hidden}{ends}}}"#);
        let call = format!(r#"{{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{{"name":"late","arguments":{arguments}}}}}"#);
        let answer = post(&address, &key, &session, &call);
        assert!(answer.contains("\"result\""), "the call itself is good: {answer}");
    }
    let heard = std::fs::read_to_string(house.path("heard")).expect("it was called");
    assert_eq!(heard, "late\nlate\nlate\n");
    gateway.stop();
}
