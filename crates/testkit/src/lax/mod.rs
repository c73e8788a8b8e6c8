//! An MCP server without any SDK that believes everything, records every byte and misbehaves on demand: the upstream of the attack tests.
//! Owns its state and its record. Knows nothing of Doorward; what it does wrong is listed in [`quirk`].

pub mod hostile;
pub mod mcp;
pub mod quirk;
pub mod serve;
pub mod stdio;

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, oneshot, watch};
use tokio::task::JoinHandle;

use quirk::Behaviour;

/// Messages that a slow GET stream may lag behind.
const BACKLOG: usize = 16_384;

/// One request as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The method.
    pub method: String,
    /// The target.
    pub target: String,
    /// Header fields in order, names in their own case.
    pub fields: Vec<(String, String)>,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// Every byte of head and body, with framing and trailers.
    pub wire: Vec<u8>,
}

impl Heard {
    /// The first value of a header field; names compare without case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Whether the bytes of `needle` came over the wire anywhere in this request.
    #[must_use]
    pub fn contains(&self, needle: &str) -> bool {
        crate::wire::find(&self.wire, needle.as_bytes()).is_some()
    }

    fn shown(&self) -> Value {
        json!({
            "method": self.method,
            "target": self.target,
            "fields": self.fields,
            "body": String::from_utf8_lossy(&self.body),
            "wire": String::from_utf8_lossy(&self.wire),
        })
    }
}

/// What all connections of one server share.
#[derive(Debug)]
pub struct State {
    behaviour: Behaviour,
    seen: Mutex<Vec<Heard>>,
    heard: watch::Sender<usize>,
    lists: AtomicUsize,
    sessions: AtomicUsize,
    tasks: Mutex<Vec<Value>>,
    questions: AtomicUsize,
    waiting: Mutex<HashMap<String, oneshot::Sender<Value>>>,
    authorizations: Mutex<Vec<String>>,
    streams: broadcast::Sender<Value>,
}

impl State {
    /// A fresh state.
    #[must_use]
    pub fn new(behaviour: Behaviour) -> Self {
        Self {
            behaviour,
            seen: Mutex::default(),
            heard: watch::Sender::new(0),
            lists: AtomicUsize::new(0),
            sessions: AtomicUsize::new(0),
            tasks: Mutex::default(),
            questions: AtomicUsize::new(0),
            waiting: Mutex::default(),
            authorizations: Mutex::default(),
            streams: broadcast::Sender::new(BACKLOG),
        }
    }

    fn record(&self, heard: Heard) {
        let count = {
            let mut seen = held(&self.seen);
            seen.push(heard);
            seen.len()
        };
        self.heard.send_replace(count);
    }

    fn forget(&self) {
        held(&self.seen).clear();
        self.heard.send_replace(0);
    }

    /// The next question id, predictable on purpose.
    fn question(&self) -> (String, oneshot::Receiver<Value>) {
        let id = format!("ask-{}", self.questions.fetch_add(1, Ordering::SeqCst) + 1);
        let (sender, receiver) = oneshot::channel();
        held(&self.waiting).insert(id.clone(), sender);
        (id, receiver)
    }

    /// Hands an answer to whoever asked, whoever answers.
    fn answered(&self, message: &Value) {
        let id = message.get("id").map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned)).unwrap_or_default();
        if let Some(waiting) = held(&self.waiting).remove(&id) {
            // The asking call may be gone.
            let _gone = waiting.send(message.clone());
        }
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A running lax server; it ends when this value is dropped.
#[derive(Debug)]
pub struct Lax {
    addr: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<io::Result<()>>,
}

impl Lax {
    /// Starts a server on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(behaviour: Behaviour) -> io::Result<Self> {
        Self::start_on(0, behaviour).await
    }

    /// Starts a server on this port of 127.0.0.1.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start_on(port: u16, behaviour: Behaviour) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let addr = listener.local_addr()?;
        let state = Arc::new(State::new(behaviour));
        let accepting = tokio::spawn(serve::accept(listener, Arc::clone(&state)));
        Ok(Self { addr, state, accepting })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The MCP endpoint.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.addr)
    }

    /// Everything received so far, in order; requests to `/control` are not recorded.
    #[must_use]
    pub fn seen(&self) -> Vec<Heard> {
        held(&self.state.seen).clone()
    }

    /// The requests of one JSON-RPC method received so far.
    #[must_use]
    pub fn seen_method(&self, method: &str) -> Vec<Heard> {
        self.seen().into_iter().filter(|heard| heard.json().get("method").and_then(Value::as_str) == Some(method)).collect()
    }

    /// Whether the bytes of `needle` were received anywhere.
    #[must_use]
    pub fn saw(&self, needle: &str) -> bool {
        held(&self.state.seen).iter().any(|heard| heard.contains(needle))
    }

    /// Waits until at least `count` requests were received in all.
    pub async fn heard(&self, count: usize) {
        let mut heard = self.state.heard.subscribe();
        // The sender lives in our own state.
        let _seen = heard.wait_for(|seen| *seen >= count).await;
    }

    /// Forgets what was received.
    pub fn forget(&self) {
        self.state.forget();
    }

    /// Sends a message on every open GET stream, and says on how many.
    pub fn push(&self, message: Value) -> usize {
        self.state.streams.send(message).unwrap_or(0)
    }

    /// Runs until the server breaks: for the binary.
    ///
    /// # Errors
    /// When the listener breaks.
    pub async fn serve(mut self) -> io::Result<()> {
        (&mut self.accepting).await.map_err(io::Error::other)?
    }
}

impl Drop for Lax {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[cfg(test)]
mod tests;
