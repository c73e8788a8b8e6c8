//! HTTP/1.1 as bytes: requests exactly as an attacker writes them, answers exactly as they come.

use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// No answer of a test takes longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) verb: String,
    pub(crate) target: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// One answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Every byte, framing included.
    pub(crate) raw: Vec<u8>,
}

/// What a connection goes over.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug> Socket for T {}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Line {
    stream: Box<dyn Socket>,
    ahead: Vec<u8>,
    host: String,
    read: Vec<u8>,
}

/// An answer whose body is still coming.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) status: u16,
    line: Line,
    framing: Framing,
    text: Vec<u8>,
    over: bool,
}

#[derive(Debug, Clone, Copy)]
enum Framing {
    Length(usize),
    Chunks,
    Close,
}

impl Ask {
    pub(crate) fn new(verb: &str, target: &str) -> Self {
        Self { verb: verb.to_owned(), target: target.to_owned(), fields: Vec::new(), body: Vec::new() }
    }

    pub(crate) fn post(target: &str, body: impl Into<Vec<u8>>) -> Self {
        let ask = Self { body: body.into(), ..Self::new("POST", target) };
        ask.field("Content-Type", "application/json").field("Accept", "application/json, text/event-stream")
    }

    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Replaces or adds a field.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.field(name, value)
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.set("Authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn bytes(&self, host: &str) -> Vec<u8> {
        let mut out = format!("{} {} HTTP/1.1\r\n", self.verb, self.target).into_bytes();
        let has = |name: &str| self.fields.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        if !has("host") {
            out.extend(format!("Host: {host}\r\n").bytes());
        }
        for (name, value) in &self.fields {
            out.extend(format!("{name}: {value}\r\n").bytes());
        }
        if !has("content-length") && !has("transfer-encoding") && (!self.body.is_empty() || self.verb == "POST") {
            out.extend(format!("Content-Length: {}\r\n", self.body.len()).bytes());
        }
        out.extend(b"\r\n");
        out.extend(&self.body);
        out
    }

    /// On a connection of its own.
    pub(crate) async fn at(&self, address: SocketAddr) -> Reply {
        let mut line = Line::open(address).await;
        line.ask(self).await
    }

    /// On a connection of its own, as a stream.
    pub(crate) async fn flow(&self, address: SocketAddr) -> Flow {
        Line::open(address).await.flows(self).await
    }
}

impl Line {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the gateway listens");
        stream.set_nodelay(true).expect("socket option");
        Self::over(stream, &address.to_string())
    }

    /// Over a connection that is open, to this host.
    pub(crate) fn over(stream: impl Socket + 'static, host: &str) -> Self {
        Self { stream: Box::new(stream), ahead: Vec::new(), host: host.to_owned(), read: Vec::new() }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        // A gateway that has answered already may have closed its side.
        let _closed = self.stream.write_all(bytes).await;
    }

    pub(crate) async fn ask(&mut self, ask: &Ask) -> Reply {
        self.write(&ask.bytes(&self.host.clone())).await;
        self.reply(ask.verb == "HEAD").await
    }

    /// Asks for an answer whose body is still coming.
    pub(crate) async fn flows(mut self, ask: &Ask) -> Flow {
        self.write(&ask.bytes(&self.host.clone())).await;
        self.flow().await
    }

    /// Reads one whole answer.
    pub(crate) async fn reply(&mut self, bodiless: bool) -> Reply {
        self.read.clear();
        let (status, fields) = self.head().await;
        let framing = if bodiless { Framing::Length(0) } else { framing(status, &fields) };
        let mut body = Vec::new();
        match framing {
            Framing::Length(length) => {
                while body.len() < length {
                    let Some(piece) = self.some(length - body.len()).await else { break };
                    body.extend(piece);
                }
            }
            Framing::Chunks => {
                while let Some(piece) = self.chunk().await {
                    body.extend(piece);
                }
            }
            Framing::Close => {
                while let Some(piece) = self.some(usize::MAX).await {
                    body.extend(piece);
                }
            }
        }
        Reply { status, fields, body, raw: std::mem::take(&mut self.read) }
    }

    async fn flow(mut self) -> Flow {
        let (status, fields) = self.head().await;
        let framing = framing(status, &fields);
        Flow { status, line: self, framing, text: Vec::new(), over: false }
    }

    async fn head(&mut self) -> (u16, Vec<(String, String)>) {
        loop {
            if let Some(end) = find(&self.ahead, b"\r\n\r\n") {
                let head: Vec<u8> = self.ahead.drain(..end + 4).collect();
                self.read.extend(&head);
                let text = String::from_utf8_lossy(&head).into_owned();
                let mut lines = text.split("\r\n");
                let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok()).expect("status line");
                let fields = lines.filter_map(|line| line.split_once(':')).map(|(n, v)| (n.to_owned(), v.trim().to_owned())).collect();
                if status == 100 {
                    continue;
                }
                return (status, fields);
            }
            assert!(self.more().await > 0, "the connection ended before an answer: {:?}", String::from_utf8_lossy(&self.ahead));
        }
    }

    async fn some(&mut self, most: usize) -> Option<Vec<u8>> {
        if self.ahead.is_empty() && self.more().await == 0 {
            return None;
        }
        let piece: Vec<u8> = self.ahead.drain(..most.min(self.ahead.len())).collect();
        self.read.extend(&piece);
        Some(piece)
    }

    async fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = loop {
            if let Some(end) = find(&self.ahead, b"\r\n") {
                let line: Vec<u8> = self.ahead.drain(..end + 2).collect();
                break usize::from_str_radix(String::from_utf8_lossy(&line).trim().split(';').next().unwrap_or_default(), 16)
                    .expect("size");
            }
            if self.more().await == 0 {
                return None;
            }
        };
        while self.ahead.len() < size + 2 {
            if self.more().await == 0 {
                return None;
            }
        }
        let mut piece: Vec<u8> = self.ahead.drain(..size + 2).collect();
        piece.truncate(size);
        self.read.extend(&piece);
        (size > 0).then_some(piece)
    }

    /// Whether the other side has closed it without a word.
    pub(crate) async fn is_over(&mut self) -> bool {
        self.more().await == 0 && self.ahead.is_empty()
    }

    async fn more(&mut self) -> usize {
        let mut buffer = vec![0_u8; 16 * 1024];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("an answer in time").unwrap_or(0);
        self.ahead.extend(buffer.get(..read).unwrap_or_default());
        read
    }
}

impl Flow {
    /// The next event with data; `None` at the end of the stream.
    pub(crate) async fn event(&mut self) -> Option<Event> {
        loop {
            while let Some(end) = find(&self.text, b"\n\n") {
                let block: Vec<u8> = self.text.drain(..end + 2).collect();
                let event = Event::of(&String::from_utf8(block).expect("utf-8"));
                if event.data.is_some() || event.id.is_some() {
                    return Some(event);
                }
            }
            if self.over || !self.pull().await {
                return None;
            }
        }
    }

    /// The next message.
    pub(crate) async fn message(&mut self) -> Option<Value> {
        loop {
            let event = self.event().await?;
            if let Some(data) = event.data.filter(|data| !data.is_empty()) {
                return Some(serde_json::from_str(&data).expect("a message"));
            }
        }
    }

    /// Everything until the stream ends.
    pub(crate) async fn rest(&mut self) -> String {
        while !self.over && self.pull().await {}
        String::from_utf8_lossy(&self.text).into_owned()
    }

    async fn pull(&mut self) -> bool {
        let piece = match self.framing {
            Framing::Chunks => self.line.chunk().await,
            Framing::Length(0) => None,
            Framing::Length(left) => {
                let piece = self.line.some(left).await;
                self.framing = Framing::Length(left - piece.as_ref().map_or(0, Vec::len));
                piece
            }
            Framing::Close => self.line.some(usize::MAX).await,
        };
        match piece {
            Some(piece) => self.text.extend(piece),
            None => self.over = true,
        }
        !self.over
    }
}

/// One server-sent event.
#[derive(Debug, Clone, Default)]
pub(crate) struct Event {
    pub(crate) id: Option<String>,
    pub(crate) data: Option<String>,
    pub(crate) other: Vec<String>,
}

impl Event {
    fn of(block: &str) -> Self {
        let mut event = Self::default();
        for line in block.lines().filter(|line| !line.is_empty() && !line.starts_with(':')) {
            match line.split_once(':').map(|(field, value)| (field, value.strip_prefix(' ').unwrap_or(value))) {
                Some(("id", value)) => event.id = Some(value.to_owned()),
                Some(("data", value)) => event.data = Some(event.data.map_or_else(|| value.to_owned(), |data| data + "\n" + value)),
                _ => event.other.push(line.to_owned()),
            }
        }
        event
    }
}

impl Reply {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The JSON-RPC message: the body, or the last event of it.
    pub(crate) fn json(&self) -> Value {
        let text = self.text();
        if self.field("content-type") == Some("text/event-stream") {
            let last = text.split("\n\n").map(Event::of).filter_map(|event| event.data).filter(|data| !data.is_empty()).last();
            return last.and_then(|data| serde_json::from_str(&data).ok()).unwrap_or_default();
        }
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// Status and code of a JSON-RPC error; code 0 where there is none.
    pub(crate) fn code(&self) -> (u16, i64) {
        (self.status, self.json().pointer("/error/code").and_then(Value::as_i64).unwrap_or(0))
    }

    pub(crate) fn result(&self) -> Value {
        self.json().get("result").cloned().unwrap_or_else(|| panic!("a result, not {}: {}", self.status, self.text()))
    }

    pub(crate) fn contains(&self, needle: &str) -> bool {
        find(&self.raw, needle.as_bytes()).is_some()
    }
}

fn framing(status: u16, fields: &[(String, String)]) -> Framing {
    let field = |name: &str| fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str());
    if status == 204 || status == 304 {
        return Framing::Length(0);
    }
    if field("transfer-encoding").is_some() {
        return Framing::Chunks;
    }
    field("content-length").and_then(|length| length.parse().ok()).map_or(Framing::Close, Framing::Length)
}

pub(crate) fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(hay, needle)
}
