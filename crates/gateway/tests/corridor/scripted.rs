//! A server that answers each request with the bytes of a script, whatever they are.

use doorward_testkit::wire::{Head, Reader, Walk};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) verb: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// The bytes of one answer, once there are any.
pub(crate) type Bytes = Pin<Box<dyn Future<Output = Vec<u8>> + Send>>;
type Script = dyn Fn(Asked) -> Bytes + Send + Sync;

/// A running server; it ends when this value is dropped.
pub(crate) struct Scripted {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Asked>>>,
    accepting: JoinHandle<()>,
}

impl Scripted {
    pub(crate) async fn start(script: impl Fn(Asked) -> Bytes + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, script): (Arc<Mutex<Vec<Asked>>>, Arc<Script>) = (Arc::default(), Arc::new(script));
        let all = Arc::clone(&seen);
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (all, script) = (Arc::clone(&all), Arc::clone(&script));
                connections.spawn(async move {
                    let (read, mut write) = stream.into_split();
                    let mut requests = Reader::new(read);
                    while let Ok(Some(head)) = requests.head().await {
                        let mut walk = Walk::new(head.framing());
                        while let Ok(Some(_)) = requests.piece(&mut walk).await {}
                        let asked = Asked::of(head, walk.payload());
                        all.lock().unwrap_or_else(PoisonError::into_inner).push(asked.clone());
                        // Who leaves is noticed: the rest of the script goes with the connection.
                        let bytes = tokio::select! {
                            bytes = script(asked) => bytes,
                            () = requests.closed() => return,
                        };
                        if write.write_all(&bytes).await.is_err() || !bytes.starts_with(b"HTTP/1.1 ") || closes(&bytes) {
                            return;
                        }
                    }
                });
            }
        });
        Self { address, seen, accepting }
    }

    /// With an answer that is there at once.
    pub(crate) async fn at_once(script: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start(move |asked| {
            let bytes = script(&asked);
            Box::pin(async move { bytes })
        })
        .await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    pub(crate) fn seen(&self) -> Vec<Asked> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn forget(&self) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The requests of one JSON-RPC method.
    pub(crate) fn calls(&self, method: &str) -> Vec<Asked> {
        self.seen().into_iter().filter(|asked| asked.method() == method).collect()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn closes(bytes: &[u8]) -> bool {
    super::wire::find(bytes, b"Connection: close\r\n").is_some()
}

impl Asked {
    fn of(head: Head, body: Vec<u8>) -> Self {
        Self { verb: head.method, fields: head.fields, body }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(crate) fn method(&self) -> String {
        self.json()["method"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// What a plain server of both eras answers, with these tools; `None` for what needs no answer.
    pub(crate) fn plainly(&self, tools: &Value) -> Option<Value> {
        let message = self.json();
        let id = message.get("id").filter(|_| message.get("method").is_some())?;
        let result = match message["method"].as_str().unwrap_or_default() {
            "initialize" => json!({ "protocolVersion": "2025-11-25", "capabilities": { "tools": {}, "resources": {} },
                "serverInfo": { "name": "scripted", "version": "1" } }),
            "server/discover" => json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": { "tools": {} },
                "ttlMs": 0, "cacheScope": "private" }),
            "tools/list" => json!({ "tools": tools }),
            "prompts/list" => json!({ "prompts": [] }),
            "resources/list" => json!({ "resources": [] }),
            "resources/templates/list" => json!({ "resourceTemplates": [] }),
            "tools/call" => json!({ "content": [{ "type": "text", "text": message["params"]["arguments"].to_string() }] }),
            _ => json!({}),
        };
        let mut result = result;
        if message["params"]["_meta"].get("io.modelcontextprotocol/protocolVersion").is_some() {
            result["resultType"] = "complete".into();
        }
        Some(json!({ "jsonrpc": "2.0", "id": id, "result": result }))
    }
}

/// A whole answer; a null is 202 without a body.
pub(crate) fn whole(message: &Value) -> Vec<u8> {
    if message.is_null() {
        return b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".to_vec();
    }
    let text = message.to_string();
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nMcp-Session-Id: up-1\r\nContent-Length: {}\r\n\r\n{text}", text.len())
        .into_bytes()
}

/// An event stream of these messages, ended by the end of the connection.
pub(crate) fn events(messages: &[Value]) -> Vec<u8> {
    let data: String = messages.iter().map(|message| format!("data: {message}\n\n")).collect();
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n{data}").into_bytes()
}

/// An event stream of these messages that stays open.
pub(crate) fn open_events(messages: &[Value]) -> Vec<u8> {
    let data: String = messages.iter().map(|message| format!("data: {message}\n\n")).collect();
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n{data}").into_bytes()
}

/// A tool without any schema to speak of.
pub(crate) fn tool(name: &str) -> Value {
    json!({ "name": name, "description": "scripted", "inputSchema": { "type": "object" } })
}
