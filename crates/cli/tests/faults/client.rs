//! A client of both eras that shares nothing with Doorward's own: blocking, a connection for each request.
#![expect(clippy::needless_pass_by_value, reason = "callers write the JSON in place")]

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Somebody with a key at a server called `fixture`.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) address: String,
    pub(crate) key: String,
}

/// What came back, and how long it took.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
    pub(crate) took: Duration,
}

/// Ids of requests in sessions, which may be open at once.
static NEXT: AtomicU32 = AtomicU32::new(1);

/// No answer of a test takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

impl Client {
    pub(crate) fn new(url: &str, key: &str) -> Self {
        let address = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        Self { address, key: key.trim().to_owned() }
    }

    /// A request of 2026-07-28; this client answers questions and takes tasks.
    pub(crate) fn modern(&self, method: &str, mut params: Value) -> Reply {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": { "elicitation": {}, "extensions": { "io.modelcontextprotocol/tasks": {} } },
        });
        let name = params.get("name").or_else(|| params.get("taskId")).and_then(Value::as_str);
        let name = name.map(|name| format!("Mcp-Name: {name}\r\n")).unwrap_or_default();
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        self.send("POST", &format!("MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n{name}"), &body)
    }

    pub(crate) fn call(&self, tool: &str, arguments: Value) -> Reply {
        self.modern("tools/call", json!({ "name": tool, "arguments": arguments }))
    }

    /// A new session of 2025-11-25.
    pub(crate) fn initialize(&self) -> Reply {
        let info = json!({ "name": "t", "version": "1" });
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info });
        self.send("POST", "", &json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params }).to_string())
    }

    pub(crate) fn session(&self) -> String {
        let reply = self.initialize();
        reply.field("mcp-session-id").unwrap_or_else(|| panic!("a session, not {reply:?}")).to_owned()
    }

    /// A message in a session.
    pub(crate) fn legacy(&self, session: &str, method: &str, params: Value) -> Reply {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string();
        self.send("POST", &in_session(session), &body)
    }

    pub(crate) fn end(&self, session: &str) -> Reply {
        self.send("DELETE", &in_session(session), "")
    }

    /// Opens the stream of a session.
    pub(crate) fn stream(&self, session: &str) -> BufReader<TcpStream> {
        let mut line = self.connect();
        line.write_all(
            self.head("GET", &format!("{}Accept: text/event-stream\r\nConnection: close\r\n\r\n", in_session(session))).as_bytes(),
        )
        .expect("sent");
        let mut reader = BufReader::new(line);
        let mut first = String::new();
        reader.read_line(&mut first).expect("a status");
        assert!(first.contains(" 200 "), "{first}");
        reader
    }

    /// The status of a plain GET, without a credential.
    pub(crate) fn get(&self, path: &str) -> u16 {
        let mut line = self.connect();
        line.write_all(format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address).as_bytes()).expect("sent");
        read(line, Instant::now()).status
    }

    /// A POST with these fields, or whatever verb it is.
    pub(crate) fn send(&self, verb: &str, fields: &str, body: &str) -> Reply {
        let begun = Instant::now();
        let mut line = self.connect();
        let more = format!(
            "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n{fields}Connection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        // Whoever is refused early may find the connection closed while it still writes.
        let _sent = line.write_all(format!("{}{body}", self.head(verb, &more)).as_bytes());
        read(line, begun)
    }

    fn head(&self, verb: &str, more: &str) -> String {
        format!("{verb} /k/fixture/mcp HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\n{more}", self.address, self.key)
    }

    fn connect(&self) -> TcpStream {
        let line = TcpStream::connect(&self.address).expect("the gateway listens");
        line.set_read_timeout(Some(PATIENCE)).expect("socket option");
        line
    }
}

fn in_session(id: &str) -> String {
    format!("Mcp-Session-Id: {id}\r\nMCP-Protocol-Version: 2025-11-25\r\n")
}

fn read(mut line: TcpStream, begun: Instant) -> Reply {
    let mut bytes = Vec::new();
    line.read_to_end(&mut bytes).unwrap_or_else(|error| panic!("no whole answer after {:?}: {error}", begun.elapsed()));
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Reply { status, head: head.to_owned(), body: body.to_owned(), took: begun.elapsed() }
}

impl Reply {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }

    /// The JSON-RPC message: the body, or the last event of it. Chunks are cut between events, so lines stay whole.
    pub(crate) fn json(&self) -> Value {
        let last = self.body.lines().rev().find_map(|line| line.strip_prefix("data: ")).unwrap_or(&self.body);
        serde_json::from_str(last.trim()).unwrap_or_default()
    }

    pub(crate) fn result(&self) -> Value {
        self.json().get("result").cloned().unwrap_or_else(|| panic!("a result, not {self:?}"))
    }

    pub(crate) fn code(&self) -> i64 {
        self.json().pointer("/error/code").and_then(Value::as_i64).unwrap_or(0)
    }

    /// True for a result that is not a tool's error.
    pub(crate) fn is_good(&self) -> bool {
        let json = self.json();
        json.get("result").is_some_and(|result| result["isError"] != true)
    }
}
