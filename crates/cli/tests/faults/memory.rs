//! FLT-06: the real program with little memory. The limit is that of its data, which needs no rights and no control group.

use super::client::Client;
use super::house::House;
use super::within;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

const LIMIT: u64 = 256 << 20;

/// A call with a body of this size, whole; 0 for a connection that ended without an answer.
fn large(client: &Client, size: usize) -> u16 {
    let (head, body) = call(client, size);
    let mut line = connect(client);
    // A refusal may come before everything is written, and a reset may take its answer.
    let length = format!("Content-Length: {}\r\n\r\n", body.len());
    line.write_all(head.as_bytes()).and_then(|()| line.write_all(length.as_bytes())).and_then(|()| line.write_all(body.as_bytes())).ok();
    status(&mut line)
}

fn connect(client: &Client) -> TcpStream {
    let line = TcpStream::connect(&client.address).expect("it lives");
    line.set_read_timeout(Some(Duration::from_secs(60))).expect("socket option");
    line
}

fn status(line: &mut TcpStream) -> u16 {
    let mut answer = Vec::new();
    line.read_to_end(&mut answer).ok();
    String::from_utf8_lossy(answer.get(9..12).unwrap_or_default()).parse().unwrap_or(0)
}

/// Head, but for the fields that say how long the body is, and body of a call.
fn call(client: &Client, size: usize) -> (String, String) {
    let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {} });
    let params = json!({ "name": "echo", "arguments": { "text": "x".repeat(size) }, "_meta": meta });
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string();
    let head = format!(
        "POST /k/fixture/mcp HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\n\
         Mcp-Name: echo\r\nConnection: close\r\n",
        client.address, client.key
    );
    (head, body)
}

/// Kilobytes of memory that a process had at most.
fn peak(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("it lives");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("a size");
    line.split_whitespace().nth(1).and_then(|size| size.parse().ok()).expect("a number")
}

/// What the room counts is what a body takes, in however small pieces it comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_06_a_body_of_tiny_pieces_takes_no_more_than_another() {
    let lax = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.expect("an upstream");
    let house = House::new(&lax.url());
    let gateway = house.serve();
    let said = house.run(&["apikey", "create", "--user", "alice", "--grant", "read,write,destructive"]);
    let client = Client::new(&gateway.url, &said.out);
    // As many pieces as a slow machine takes well within the time for a body: kept one by one they would take thirty megabytes.
    const SIZE: usize = 300_000;
    assert_eq!(large(&client, SIZE), 200);
    let before = peak(gateway.id());
    let (head, body) = call(&client, SIZE);
    let pieces: String = body.chars().map(|byte| format!("1\r\n{byte}\r\n")).collect();
    let request = format!("{head}Transfer-Encoding: chunked\r\n\r\n{pieces}0\r\n\r\n");
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let sent = || {
            let mut line = connect(&client);
            line.write_all(request.as_bytes()).expect("taken");
            status(&mut line)
        };
        let senders: Vec<_> = (0..3).map(|_| scope.spawn(sent)).collect();
        senders.into_iter().map(|sender| sender.join().expect("no panic")).collect()
    });
    assert_eq!(statuses, [200; 3], "nothing of them is lost");
    let after = peak(gateway.id());
    assert!(after < before + 12_000, "{before} kB, then {after} kB");
    gateway.stop();
}

/// Of a process that serves: what the C library reads when it begins (ADR 18). Root alone may look.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_06_large_blocks_go_back_to_the_system() {
    let lax = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.expect("an upstream");
    let house = House::new(&lax.url());
    let gateway = house.serve();
    let environment = match std::fs::read(format!("/proc/{}/environ", gateway.id())) {
        Ok(environment) => String::from_utf8_lossy(&environment).into_owned(),
        Err(error) => return eprintln!("not tested: {error}"),
    };
    let told: Vec<&str> = environment.split('\0').filter(|variable| variable.starts_with("MALLOC_")).collect();
    assert_eq!(told, ["MALLOC_MMAP_THRESHOLD_=262144", "MALLOC_TRIM_THRESHOLD_=1048576"]);
    gateway.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flt_06_with_little_memory_it_refuses_and_lives() {
    let lax = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.expect("an upstream");
    let house = House::empty();
    let limits = "[limits]\nper_user = \"600000/m\"\nsessions_per_user = 1000\n";
    house.file("doorward.toml", &format!("[listen]\naddress = \"127.0.0.1:0\"\n[server.fixture]\nurl = \"{}\"\n{limits}", lax.url()));
    let gateway = house.serve();
    let clients: Vec<Client> = (0..10)
        .map(|n| {
            let said = house.run(&["apikey", "create", "--user", &format!("user{n}"), "--grant", "read,write,destructive"]);
            Client::new(&gateway.url, &said.out)
        })
        .collect();
    assert_eq!(large(&clients[0], 10), 200);
    let limited = Command::new("prlimit").args([&format!("--pid={}", gateway.id()), &format!("--data={LIMIT}")]).status();
    if !limited.is_ok_and(|status| status.success()) {
        return eprintln!("not tested: needs prlimit of util-linux");
    }
    for _ in 0..200 {
        clients[0].session();
    }
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..100).map(|n| &clients[n % 10]).map(|client| scope.spawn(|| large(client, 4_000_000))).collect();
        senders.into_iter().map(|sender| sender.join().expect("no panic")).collect()
    });
    assert!(statuses.iter().all(|status| matches!(status, 0 | 200 | 429 | 503)), "{statuses:?}");
    assert!(statuses.contains(&200) && statuses.contains(&503), "some are served, others are not: {statuses:?}");
    assert_eq!(clients[1].get("/readyz"), 200, "it lives");
    assert!(clients[1].call("echo", json!({ "text": "x" })).is_good());
    assert!(within(Duration::from_secs(10), || large(&clients[1], 4_000_000) == 200), "the room comes back");
    gateway.stop();
    let said = house.run(&["audit", "verify", "--json"]);
    assert!(said.exit == 0 && said.out.contains("\"open\":0"), "{said}");
}
