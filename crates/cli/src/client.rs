//! A small MCP client of the command line: one request, one connection, to an address on this machine.

use bytes::Bytes;
use doorward_gateway::tasks::Tasks;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// Largest answer that is read.
const MOST_BYTES: usize = 1024 * 1024;
/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The revision with sessions that this client speaks.
pub const LEGACY: &str = "2025-11-25";
/// The revision without sessions that this client speaks.
pub const MODERN: &str = "2026-07-28";

/// There was no usable answer.
#[derive(Debug, thiserror::Error)]
#[error("no usable answer: {0}")]
pub struct Broken(String);

/// A request to be sent.
#[derive(Debug, Clone)]
pub struct Ask {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Option<String>,
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Status.
    pub status: StatusCode,
    /// Header fields.
    pub headers: HeaderMap,
    /// The body as it came.
    pub body: Bytes,
}

/// An open stream of events.
#[derive(Debug)]
pub struct Events {
    body: Incoming,
    read: Vec<u8>,
}

/// A connection to this machine, and nowhere else: keys go over it without TLS.
///
/// # Errors
/// [`Broken`] for an address of another machine, or where nobody listens.
pub async fn connected(to: SocketAddr) -> Result<TcpStream, Broken> {
    if !to.ip().is_loopback() {
        return Err(Broken("this is not an address of this machine".to_owned()));
    }
    TcpStream::connect(to).await.map_err(|error| Broken(error.to_string()))
}

// === impl Ask ===

impl Ask {
    /// A request without a message.
    #[must_use]
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        Self { method, path: path.into(), headers, body: None }
    }

    /// `initialize` of the older era.
    #[must_use]
    pub fn initialize(path: impl Into<String>) -> Self {
        let info = json!({"name": "doorward", "version": env!("CARGO_PKG_VERSION")});
        let params = json!({"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": info});
        Self::post(path).saying(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}))
    }

    /// A request of the older era; it wants a session.
    #[must_use]
    pub fn legacy(path: impl Into<String>, method: &str, params: &Value) -> Self {
        Self::post(path)
            .field("mcp-protocol-version", LEGACY)
            .saying(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
    }

    /// A notification of the older era.
    #[must_use]
    pub fn notification(path: impl Into<String>, method: &str, params: &Value) -> Self {
        Self::post(path).field("mcp-protocol-version", LEGACY).saying(&json!({"jsonrpc": "2.0", "method": method, "params": params}))
    }

    /// A request of 2026-07-28, which stands alone. This client answers questions.
    #[must_use]
    pub fn modern(path: impl Into<String>, method: &str, params: Value) -> Self {
        let name = params.get("name").and_then(Value::as_str).map(str::to_owned);
        let mut params = params;
        if let Value::Object(members) = &mut params {
            let meta = json!({
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientInfo": {"name": "doorward", "version": env!("CARGO_PKG_VERSION")},
                "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
            });
            members.insert("_meta".to_owned(), meta);
        }
        let mut ask = Self::post(path).field("mcp-protocol-version", MODERN).field("mcp-method", method);
        if let Some(name) = name.filter(|_| method == "tools/call") {
            ask = ask.field("mcp-name", &name);
        }
        ask.saying(&json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
    }

    /// With a key.
    #[must_use]
    pub fn with_key(self, key: &str) -> Self {
        let mut ask = self;
        if let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {key}")) {
            value.set_sensitive(true);
            ask.headers.insert(AUTHORIZATION, value);
        }
        ask
    }

    /// In a session.
    #[must_use]
    pub fn in_session(self, session: &str) -> Self {
        self.field("mcp-session-id", session)
    }

    /// With one more header field. A name or value that is none is left out.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
            self.headers.append(name, value);
        }
        self
    }

    /// A JSON document for another endpoint than MCP.
    #[must_use]
    pub fn json(path: impl Into<String>, body: &Value) -> Self {
        Self::post(path).saying(body)
    }

    /// A form.
    #[must_use]
    pub fn form(path: impl Into<String>, fields: String) -> Self {
        let mut ask = Self::new(Method::POST, path).field(CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded");
        ask.body = Some(fields);
        ask
    }

    /// Whether it sends something.
    #[must_use]
    pub fn is_post(&self) -> bool {
        self.method == Method::POST
    }

    fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path).field(CONTENT_TYPE.as_str(), "application/json")
    }

    fn saying(mut self, body: &Value) -> Self {
        self.body = Some(body.to_string());
        self
    }

    /// Sends it and reads the whole answer.
    ///
    /// # Errors
    /// [`Broken`].
    pub async fn send(self, to: SocketAddr) -> Result<Reply, Broken> {
        tokio::time::timeout(PATIENCE, async {
            let (parts, body) = self.exchange(to).await?.into_parts();
            let body = Limited::new(body, MOST_BYTES).collect().await.map_err(|error| Broken(error.to_string()))?.to_bytes();
            Ok(Reply { status: parts.status, headers: parts.headers, body })
        })
        .await
        .map_err(|_| Broken(format!("nothing within {} s", PATIENCE.as_secs())))?
    }

    /// Sends it and leaves the answer open.
    ///
    /// # Errors
    /// [`Broken`]; also when the answer is no stream of events.
    pub async fn listen(self, to: SocketAddr) -> Result<Events, Broken> {
        let response = tokio::time::timeout(PATIENCE, self.exchange(to)).await;
        let response = response.map_err(|_| Broken("no stream in time".to_owned()))??;
        if response.status() != StatusCode::OK {
            return Err(Broken(format!("no stream but status {}", response.status().as_u16())));
        }
        Ok(Events { body: response.into_body(), read: Vec::new() })
    }

    /// Sends it over a connection that was made before, and reads the whole answer, of at most `most` bytes. How long that may take is for
    /// the caller to say. `host` is the `Host` field.
    ///
    /// # Errors
    /// [`Broken`].
    pub async fn send_over(self, stream: TcpStream, host: &str, most: usize) -> Result<Reply, Broken> {
        let (parts, body) = self.over(stream, host).await?.into_parts();
        let body = Limited::new(body, most).collect().await.map_err(|error| Broken(error.to_string()))?.to_bytes();
        Ok(Reply { status: parts.status, headers: parts.headers, body })
    }

    async fn exchange(self, to: SocketAddr) -> Result<Response<Incoming>, Broken> {
        self.over(connected(to).await?, &to.to_string()).await
    }

    async fn over(self, stream: TcpStream, host: &str) -> Result<Response<Incoming>, Broken> {
        let broken = |error: &dyn std::fmt::Display| Broken(error.to_string());
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
        Tasks::new().spawn(async move {
            // It ends with the answer; what went wrong shows there.
            connection.await.ok();
        });
        let bytes = self.body.map(Bytes::from).unwrap_or_default();
        let mut request = Request::new(Full::new(bytes));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.path.parse().map_err(|error| broken(&error))?;
        *request.headers_mut() = self.headers;
        request.headers_mut().insert(HOST, HeaderValue::from_str(host).map_err(|error| broken(&error))?);
        sender.send_request(request).await.map_err(|error| broken(&error))
    }
}

// === impl Reply ===

impl Reply {
    /// The message in the body: JSON, or the last event of a stream.
    #[must_use]
    pub fn message(&self) -> Option<Value> {
        let events = self.headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        if !events {
            return serde_json::from_slice(&self.body).ok();
        }
        let text = String::from_utf8_lossy(&self.body);
        text.lines().rev().find_map(|line| serde_json::from_str(line.strip_prefix("data:")?.trim()).ok())
    }

    /// A header field as text.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The first text of a tool result.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        self.message()?.pointer("/result/content/0/text")?.as_str().map(str::to_owned)
    }

    /// The message of a JSON-RPC error.
    #[must_use]
    pub fn error(&self) -> Option<String> {
        self.message()?.pointer("/error/message")?.as_str().map(str::to_owned)
    }
}

// === impl Events ===

impl Events {
    /// The next message, if one comes within `patience`.
    pub async fn next(&mut self, patience: Duration) -> Option<Value> {
        tokio::time::timeout(patience, async {
            loop {
                if let Some(message) = self.taken() {
                    return Some(message);
                }
                let frame = self.body.frame().await?.ok()?;
                if let Ok(bytes) = frame.into_data() {
                    self.read.extend_from_slice(&bytes);
                }
                if self.read.len() > MOST_BYTES {
                    return None;
                }
            }
        })
        .await
        .ok()
        .flatten()
    }

    /// The first whole event with a message that was read; events without one are passed over.
    fn taken(&mut self) -> Option<Value> {
        loop {
            let end = self.read.windows(2).position(|two| two == b"\n\n")?;
            let event: Vec<u8> = self.read.drain(..end + 2).collect();
            let text = String::from_utf8_lossy(&event);
            if let Some(message) = text.lines().find_map(|line| serde_json::from_str(line.strip_prefix("data:")?.trim()).ok()) {
                return Some(message);
            }
        }
    }
}
