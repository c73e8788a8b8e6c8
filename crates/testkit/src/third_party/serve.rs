//! How the third party travels over HTTP/1.1: reading, answering, and not answering. Meaning is with the peers.

use crate::wire::{Reader, Walk};
use doorward_core::oauth::form::Form;
use serde_json::Value;
use std::future::Future;
use std::io;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

/// One request as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The method.
    pub method: String,
    /// The target without its query, undecoded.
    pub path: String,
    /// The query, undecoded; empty where there is none.
    pub query: String,
    /// Header fields in order, names in their own case.
    pub fields: Vec<(String, String)>,
    /// The body without its framing.
    pub body: Vec<u8>,
}

/// What is sent back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// An answer.
    Whole {
        /// Its status.
        status: u16,
        /// Its header fields, but for the length.
        fields: Vec<(String, String)>,
        /// Its body.
        body: String,
    },
    /// Not a byte: the connection is closed.
    Nothing,
}

/// Somebody who answers.
pub(super) trait Peer: Send + Sync + 'static {
    /// The answer to one request.
    fn answer(&self, heard: Heard) -> impl Future<Output = Answer> + Send;
}

/// Accepts connections until the task is dropped; their tasks end with it.
///
/// # Errors
/// When the listener breaks.
pub(super) async fn accept<P: Peer>(listener: TcpListener, peer: Arc<P>) -> io::Result<()> {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await?;
        let peer = Arc::clone(&peer);
        connections.spawn(async move {
            // A client that leaves is no error of the server.
            let _ended = connection(stream, &*peer).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, peer: &impl Peer) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.into_split();
    let mut requests = Reader::new(read);
    while let Some(head) = requests.head().await? {
        let mut walk = Walk::new(head.framing());
        while requests.piece(&mut walk).await?.is_some() {}
        let (path, query) = head.target.split_once('?').unwrap_or((&head.target, ""));
        let (path, query) = (path.to_owned(), query.to_owned());
        let heard = Heard { method: head.method, path, query, fields: head.fields, body: walk.payload() };
        // What was begun is done, whether or not the client waits: a lost answer is a token that is spent.
        let Answer::Whole { status, fields, body } = peer.answer(heard).await else { return Ok(()) };
        let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let text = format!("HTTP/1.1 {status} Said\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len());
        write.write_all(text.as_bytes()).await?;
        write.flush().await?;
    }
    Ok(())
}

// === impl Heard ===

impl Heard {
    /// The first value of a header field; names compare without case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// A parameter of its form, or of its query where it has no body.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.form().and_then(|form| form.get(name).map(str::to_owned))
    }

    /// The body as JSON; null when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A cookie.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.field("cookie")?.split("; ").find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    pub(super) fn form(&self) -> Option<Form> {
        let text = if self.body.is_empty() { self.query.as_str() } else { std::str::from_utf8(&self.body).ok()? };
        Form::parse(text).ok()
    }
}

// === impl Answer ===

impl Answer {
    /// JSON.
    #[must_use]
    pub fn json(status: u16, content: &Value) -> Self {
        Self::text(status, "application/json", content.to_string())
    }

    /// Any text.
    #[must_use]
    pub fn text(status: u16, media: &str, body: impl Into<String>) -> Self {
        Self::Whole { status, fields: vec![("Content-Type".to_owned(), media.to_owned())], body: body.into() }
    }

    /// The way to somewhere else.
    #[must_use]
    pub fn leading(status: u16, to: &str) -> Self {
        Self::text(status, "text/plain", "").with("Location", to)
    }

    /// The same with another field.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        if let Self::Whole { fields, .. } = &mut self {
            fields.push((name.to_owned(), value.to_owned()));
        }
        self
    }
}
