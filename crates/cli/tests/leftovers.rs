//! Processes of a stdio server that never served a session: none of them stays.

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

fn initialize(address: &str, key: &str) -> String {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
    let mut line = TcpStream::connect(address).expect("connected");
    let head = format!(
        "POST /k/fixture/mcp HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    line.write_all(head.as_bytes()).and_then(|()| line.write_all(body.as_bytes())).expect("sent");
    let mut answer = String::new();
    line.read_to_string(&mut answer).expect("answered");
    answer
}

#[test]
fn sup_01_a_process_that_refused_its_session_does_not_stay() {
    let house = House::empty();
    let script = house.file("refuses.py", REFUSES).display().to_string();
    let toml = format!("[listen]\naddress = \"127.0.0.1:0\"\n\n[server.fixture]\ncommand = [\"/usr/bin/python3\", \"{script}\"]\n");
    house.file("doorward.toml", &toml);
    // The command may run; that it offers nothing is another matter.
    let _offers_nothing = house.run(&["server", "approve", "fixture", "--command", "--all"]);
    let key = house.run(&["apikey", "create", "--label", "t", "--grant", "read"]).out;
    let gateway = house.listen();
    let address = gateway.url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    for _ in 0..3 {
        let answer = initialize(&address, key.trim());
        assert!(answer.contains("not today"), "it was asked: {answer}");
    }
    assert_eq!(running(&script), 0, "each ended before its refusal was answered");
    gateway.stop();
}
