//! Gateways as processes: what one learns of another, what they write on their standard error, what they cost.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot set its stage has failed")]

use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Answer, Behaviour, Quirk};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A directory that is gone afterwards.
struct Place(PathBuf);

/// A gateway process over a state directory of its own; killed when dropped.
struct Gateway {
    child: Child,
    address: String,
    said: Arc<Mutex<String>>,
}

/// A connection that stays open, and what is left of it.
struct Line(BufReader<TcpStream>, String);

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Place {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("doorward-process-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        fs::DirBuilder::new().mode(0o700).create(&path).expect("a directory");
        Self(path)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).expect("a file");
        file.write_all(text.as_bytes()).expect("written");
        path
    }

    /// A configuration of one server over a store of its own or that of others.
    fn configure(&self, url: &str, more: &str) {
        self.file(
            "doorward.toml",
            &format!("version = 1\n{more}\n[listen]\naddress = \"127.0.0.1:0\"\n\n[server.fixture]\nurl = \"{url}\"\n"),
        );
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
        command.env_clear().env("HOME", &self.0).env("LC_ALL", "C.UTF-8").current_dir(&self.0);
        command.arg("--state").arg(self.0.join("state")).arg("--config").arg(self.0.join("doorward.toml")).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).stdin(Stdio::null()).output().expect("it runs");
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn key(&self, user: &str) -> String {
        self.run(&["apikey", "create", "--label", user, "--user", user, "--grant", "read", "--grant", "write", "--grant", "destructive"])
    }

    fn serve(&self, more: &[&str]) -> Gateway {
        let mut child = self.command(&[&["serve"], more].concat()).stderr(Stdio::piped()).spawn().expect("it starts");
        let mut from = BufReader::new(child.stderr.take().expect("piped"));
        let said = Arc::new(Mutex::new(String::new()));
        let mut line = Vec::new();
        let address = loop {
            line.clear();
            assert!(from.read_until(b'\n', &mut line).expect("read") > 0, "it ended before it was ready");
            let text = String::from_utf8_lossy(&line).into_owned();
            if let Some(url) = text.trim().strip_prefix("ready  ") {
                break url.trim_start_matches("http://").trim_end_matches('/').to_owned();
            }
        };
        let kept = Arc::clone(&said);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = from.read(&mut bytes) {
                let text = String::from_utf8_lossy(bytes.get(..read).unwrap_or_default()).into_owned();
                kept.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
            }
        });
        Gateway { child, address, said }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

impl Gateway {
    fn line(&self) -> Line {
        let stream = TcpStream::connect(&self.address).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("socket option");
        stream.set_nodelay(true).expect("socket option");
        Line(BufReader::new(stream), self.address.clone())
    }

    /// Bytes on a connection of their own; what came back until it was closed.
    fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(15))).expect("socket option");
        // It may have seen enough before it has seen everything.
        stream.write_all(bytes).and_then(|()| stream.shutdown(Shutdown::Write)).ok();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Bytes that are resident, and processor time so far.
    fn cost(&self) -> (usize, Duration) {
        let of = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).expect("it lives");
        let pages: usize = of("statm").split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("pages");
        let stat = of("stat");
        // Fields 14 and 15 of proc(5), behind the name in brackets; a tick is ten milliseconds.
        let fields: Vec<u64> =
            stat.rsplit(')').next().expect("fields").split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
        let ticks = fields.get(11).zip(fields.get(12)).map_or(0, |(user, system)| user + system);
        (pages * 4096, Duration::from_millis(ticks * 10))
    }

    fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("it lives").count()
    }

    fn stop(mut self) -> String {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill");
        self.child.wait().expect("waited");
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Line {
    /// Status, head and body of one answer with a length.
    fn ask(&mut self, verb: &str, fields: &str, body: &str) -> (u16, String, String) {
        let Self(stream, host) = self;
        let length = if body.is_empty() && verb != "POST" { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let whole = format!("{verb} /k/fixture/mcp HTTP/1.1\r\nHost: {host}\r\n{fields}{length}\r\n{body}");
        stream.get_mut().write_all(whole.as_bytes()).expect("sent");
        let (mut head, mut line) = (String::new(), String::new());
        while {
            line.clear();
            stream.read_line(&mut line).expect("an answer") > 2
        } {
            head.push_str(&line);
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("an answer: {head:?}"));
        let field =
            |name: &str| head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix(name).map(|value| value.trim().to_owned()));
        let mut text = String::new();
        if field("transfer-encoding:").is_some() {
            loop {
                line.clear();
                stream.read_line(&mut line).expect("a chunk");
                let size = usize::from_str_radix(line.trim(), 16).expect("a size");
                let mut chunk = vec![0; size + 2];
                stream.read_exact(&mut chunk).expect("a chunk");
                if size == 0 {
                    break;
                }
                text.push_str(&String::from_utf8_lossy(&chunk));
            }
        } else {
            let mut bytes = vec![0; field("content-length:").and_then(|length| length.parse().ok()).unwrap_or(0)];
            stream.read_exact(&mut bytes).expect("a body");
            text = String::from_utf8_lossy(&bytes).into_owned();
        }
        (status, head, text)
    }
}

fn modern(key: &str, method: &str, params: Value) -> (String, String) {
    let mut params = params;
    for (name, value) in [("protocolVersion", json!("2026-07-28")), ("clientCapabilities", json!({}))] {
        if let Some(params) = params.as_object_mut() {
            let meta = params.entry("_meta").or_insert_with(|| json!({}));
            if let Some(meta) = meta.as_object_mut() {
                meta.insert(format!("io.modelcontextprotocol/{name}"), value);
            }
        }
    }
    let name = params.get("name").and_then(Value::as_str).map(|name| format!("Mcp-Name: {name}\r\n")).unwrap_or_default();
    let fields = format!("{}MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n{name}", common(key));
    (fields, json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string())
}

fn common(key: &str) -> String {
    format!("Authorization: Bearer {key}\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n")
}

fn initialize(key: &str) -> (String, String) {
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    (common(key), json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params }).to_string())
}

fn in_session(key: &str, session: &str) -> String {
    format!("{}MCP-Protocol-Version: 2025-11-25\r\nMcp-Session-Id: {session}\r\n", common(key))
}

fn session_of(head: &str) -> String {
    head.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).unwrap_or_else(|| panic!("a session: {head}")).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_07_a_key_revoked_by_the_command_is_refused_by_the_gateway_within_five_seconds() {
    let lax = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.expect("a server");
    let place = Place::new();
    // A fast machine must not reach the limit of the user before it hears of the revocation.
    place.configure(&lax.url(), "[limits]\nper_user = \"60000000/m\"\n");
    place.run(&["server", "approve", "fixture", "--all"]);
    let (key, other) = (place.key("alice"), place.key("bob"));
    let listed: Value = serde_json::from_str(&place.run(&["apikey", "list", "--json"])).expect("JSON");
    let keys = listed["keys"].as_array().cloned().unwrap_or_else(|| panic!("keys: {listed}"));
    let id = keys.iter().find(|one| one["label"] == "alice").and_then(|one| one["id"].as_str()).unwrap_or_else(|| panic!("{listed}"));
    let gateway = place.serve(&[]);
    let (fields, body) = modern(&key, "tools/list", json!({}));
    let mut line = gateway.line();
    for _ in 0..3 {
        assert_eq!(line.ask("POST", &fields, &body).0, 200, "hot in the cache");
    }
    place.run(&["apikey", "revoke", id]);
    let revoked = Instant::now();
    let (mut last_good, mut refused) = (Duration::ZERO, 0);
    while refused < 50 {
        // A refusal may close its connection, and too many of them from one address are put off.
        let (status, _, text) = gateway.line().ask("POST", &fields, &body);
        match (status, refused) {
            (200, 0) => last_good = revoked.elapsed(),
            (401 | 429, _) => refused += 1,
            _ => panic!("{status} after {refused} refusals: {text}"),
        }
        assert!(revoked.elapsed() < Duration::from_secs(30), "{last_good:?} {refused}");
    }
    assert!(last_good < Duration::from_secs(5), "{last_good:?}");
    let (fields, body) = modern(&other, "tools/list", json!({}));
    assert_eq!(gateway.line().ask("POST", &fields, &body).0, 200, "bob is unaffected");
    gateway.stop();
    let record = fs::read_to_string(place.0.join("state/audit.jsonl")).expect("a record");
    assert!(record.contains("revoked_credential"), "it says why");
}

/// Every byte of these is a line break or printable, and each line is one of the log's own.
fn whole_lines(log: &str, form: &str) {
    for line in log.lines() {
        let clean = line.chars().all(|c| !c.is_control() && !('\u{202a}'..='\u{2069}').contains(&c));
        assert!(clean, "{form}: {line:?}");
        let own = match form {
            // What the command itself says beside the log.
            _ if line == "stopping" => true,
            "json" => serde_json::from_str::<Value>(line).is_ok_and(|line| line.is_object()),
            _ => line.starts_with("20") || line.starts_with("  ") || !line.contains("forged"),
        };
        assert!(own, "{form}: {line:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_09_no_bytes_of_a_peer_break_a_line_of_the_log() {
    let lax = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.expect("a server");
    let forged = "2026-01-01T00:00:00Z  INFO forged: nobody was here";
    for form in ["text", "json"] {
        let place = Place::new();
        place.configure(&lax.url(), &format!("[telemetry]\nlogs = \"{form}\"\n"));
        place.run(&["server", "approve", "fixture", "--all"]);
        let key = place.key("alice");
        let gateway = place.serve(&["-vv"]);
        let host = gateway.address.clone();
        for nasty in [
            format!("\r\n{forged}\r\n"),
            format!("\n{forged}\n"),
            format!("\r{forged}\r"),
            "\u{1b}[2J\u{1b}[1A\u{1b}]0;forged\u{7}".to_owned(),
            format!("\u{85}{forged}\u{2028}{forged}\u{b}\u{c}"),
            "\u{202e}forged\u{2066}\u{200b}".to_owned(),
            format!("\\n{forged}\\u000a\"}}"),
            "\0\u{1}\u{7f}\u{9b}forged".to_owned(),
            "%0d%0aforged%00".to_owned(),
        ] {
            let json_text = Value::from(nasty.as_str()).to_string();
            for bytes in [
                format!("{nasty} / HTTP/1.1\r\nHost: {host}\r\n\r\n"),
                format!("GET /{nasty} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
                format!("GET / {nasty}\r\nHost: {host}\r\n\r\n"),
                format!("GET / HTTP/1.1\r\nHost: {nasty}\r\n\r\n"),
                format!("GET / HTTP/1.1\r\nHost: {host}\r\nOrigin: {nasty}\r\nUser-Agent: {nasty}\r\nReferer: {nasty}\r\n\r\n"),
                format!("GET /k/fixture/mcp HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {nasty}\r\nX{nasty}: y\r\n\r\n"),
                format!("GET /k/{nasty}/mcp HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n\r\n"),
                format!("POST /k/fixture/mcp HTTP/1.1\r\nHost: {host}\r\nContent-Length: {nasty}\r\nTransfer-Encoding: {nasty}\r\n\r\n"),
                nasty.clone(),
            ] {
                gateway.raw(bytes.as_bytes());
            }
            for body in [
                format!(r#"{{"jsonrpc":"2.0","id":{json_text},"method":{json_text},"params":{{{json_text}:1}}}}"#),
                format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":{json_text},"arguments":{{}}}}}}"#),
                nasty.clone(),
            ] {
                let head = format!("POST /k/fixture/mcp HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{}", in_session(&key, "x"));
                gateway.raw(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
            }
        }
        // Not one byte of TLS or HTTP/2 is HTTP here.
        for bytes in
            [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0", b"\xff\xfe\xfd\n\x1b[31m\n"]
        {
            gateway.raw(bytes);
        }
        let (fields, body) = modern(&key, "tools/list", json!({}));
        assert_eq!(gateway.line().ask("POST", &fields, &body).0, 200, "it lives");
        let log = gateway.stop();
        assert!(log.lines().count() > 20, "something was logged: {log}");
        whole_lines(&log, form);
        assert!(!log.contains(&key), "{form}");
    }
}

/// Hostile bodies by name.
fn bodies() -> Vec<(&'static str, String)> {
    let many = |text: &str, n: usize| text.repeat(n);
    let keys = (0..300_000).fold(String::from("{"), |mut text, n| {
        write!(text, "\"k{n}\":1,").expect("text");
        text
    });
    vec![
        ("open brackets", many("[", 3_000_000)),
        ("open objects", many("{\"a\":", 600_000)),
        ("keys", format!("{keys}\"end\":1}}")),
        ("elements", format!("[{}1]", many("1,", 1_900_000))),
        ("a number", many("9", 3_900_000)),
        ("white space", many(" ", 3_900_000)),
        ("escapes", format!("\"{}\"", many("\\u0041", 600_000))),
        ("too large", many("a", 12_000_000)),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rpc_03_hostile_bodies_cost_a_process_neither_memory_nor_time() {
    let lax = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.expect("a server");
    let place = Place::new();
    place.configure(&lax.url(), "");
    place.run(&["server", "approve", "fixture", "--all"]);
    let key = place.key("alice");
    let gateway = place.serve(&[]);
    let host = gateway.address.clone();
    let (good, list) = modern(&key, "tools/list", json!({}));
    assert_eq!(gateway.line().ask("POST", &good, &list).0, 200);
    let post = |fields: &str, body: &str| {
        let head =
            format!("POST /k/fixture/mcp HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{fields}Content-Length: {}\r\n\r\n", body.len());
        gateway.raw(format!("{head}{body}").as_bytes())
    };
    let before = gateway.cost().0;
    let stranger = "Content-Type: application/json\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/list\r\n";
    for (what, body) in bodies() {
        let begun = gateway.cost().1;
        let answer = post(stranger, &body);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 401"), "{what}: {answer:.100}");
        let unread = gateway.cost().1.saturating_sub(begun);
        // Ticks are coarse, and this build is not optimised: what is not parsed costs next to nothing all the same.
        assert!(unread <= Duration::from_millis(100), "{what}: {unread:?} for a stranger");
        let begun = gateway.cost().1;
        let answer = post(&good, &body);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400") || answer.starts_with("HTTP/1.1 413"), "{what}: {answer:.200}");
        let judged = gateway.cost().1.saturating_sub(begun);
        assert!(judged <= Duration::from_millis(1_500), "{what}: {judged:?} unoptimised");
    }
    // Eight at a time, three times over.
    for _ in 0..3 {
        std::thread::scope(|scope| {
            for (_, body) in bodies() {
                scope.spawn(|| {
                    let body = body;
                    post(&good, &body)
                });
            }
        });
    }
    let after = gateway.cost().0;
    assert!(after.saturating_sub(before) < 96 << 20, "eight times twice the limit of 4 MiB, and a half: {before} {after}");
    assert_eq!(gateway.line().ask("POST", &good, &list).0, 200, "it lives");
    assert!(lax.seen().iter().all(|heard| heard.wire.len() < 4096), "no server heard of it");
    gateway.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rpc_08_huge_and_endless_answers_cost_a_process_no_memory() {
    for answer in [Answer::HugeResult, Answer::NoNewline, Answer::Flood, Answer::ManyFields, Answer::EarlyHints] {
        let lax = Lax::start(Behaviour::plain().with(Quirk::Modern).with(Quirk::Answer(answer))).await.expect("a server");
        let place = Place::new();
        place.configure(&lax.url(), "");
        place.run(&["server", "approve", "fixture", "--all"]);
        let key = place.key("alice");
        let gateway = place.serve(&[]);
        let (fields, body) = modern(&key, "tools/call", json!({ "name": "echo", "arguments": {} }));
        let (good, list) = modern(&key, "tools/list", json!({}));
        assert_eq!(gateway.line().ask("POST", &good, &list).0, 200);
        let (before, open) = (gateway.cost().0, gateway.descriptors());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let (status, _, text) = gateway.line().ask("POST", &fields, &body);
                    assert_eq!(status, 200, "{answer:?}: {text:.200}");
                    assert!(text.len() < 4 << 20, "{answer:?}: {}", text.len());
                });
            }
        });
        let after = gateway.cost().0;
        assert!(after.saturating_sub(before) < 96 << 20, "{answer:?}: {before} {after}");
        let closed = Instant::now();
        while gateway.descriptors() > open + 8 {
            assert!(closed.elapsed() < Duration::from_secs(10), "{answer:?}: {} descriptors, {open} before", gateway.descriptors());
            std::thread::park_timeout(Duration::from_millis(20));
        }
        gateway.stop();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ses_07_what_sessions_and_crashed_clients_took_comes_back() {
    let lax = Lax::start(Behaviour::plain()).await.expect("a server");
    let place = Place::new();
    place.configure(&lax.url(), "[limits]\nper_user = \"6000000/m\"\nsessions_per_user = 100\nstreams_per_user = 100\n");
    place.run(&["server", "approve", "fixture", "--all"]);
    let keys: Vec<String> = ["alice", "bob", "carol"].iter().map(|user| place.key(user)).collect();
    let gateway = place.serve(&[]);
    let round = |count: usize| {
        let mut line = gateway.line();
        for key in keys.iter().cycle().take(count) {
            let (fields, body) = initialize(key);
            let (status, head, text) = line.ask("POST", &fields, &body);
            assert_eq!(status, 200, "{text}");
            let session = session_of(&head);
            // A client that opens a stream and is gone without a word.
            let stream = gateway.line();
            let open = format!("GET /k/fixture/mcp HTTP/1.1\r\nHost: {}\r\n{}\r\n", gateway.address, in_session(key, &session));
            let mut socket = stream.0.into_inner();
            socket.write_all(open.as_bytes()).expect("sent");
            let mut some = [0; 12];
            socket.read_exact(&mut some).expect("the head");
            assert_eq!(&some, b"HTTP/1.1 200");
            drop(socket);
            assert_eq!(line.ask("DELETE", &in_session(key, &session), "").0, 204);
            lax.forget();
        }
    };
    let settled = |most: usize| {
        let begun = Instant::now();
        while gateway.descriptors() > most {
            assert!(begun.elapsed() < Duration::from_secs(20), "{} descriptors, {most} would do", gateway.descriptors());
            std::thread::park_timeout(Duration::from_millis(20));
        }
        gateway.cost().0
    };
    let open = gateway.descriptors();
    // Its own connection to the server is kept, and the database opens a few.
    round(300);
    let memory = settled(open + 10);
    round(1_500);
    let after = settled(open + 10);
    // The record and the allocator keep something; 1,500 sessions with a stream each do not.
    assert!(after < memory + memory / 10 + (8 << 20), "{memory} before, {after} after");
    let ended = gateway.stop();
    assert!(!ended.contains("panicked"), "{ended}");
}
