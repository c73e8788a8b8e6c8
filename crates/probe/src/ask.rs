//! One question and one answer, as values. Knows the forms of MCP over HTTP in both eras; opens nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_core::secret::Secret;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::fmt;
use url::Url;
use zeroize::Zeroizing;

/// The revision with sessions that is spoken.
pub(crate) const LEGACY: &str = "2025-11-25";
/// The revision without sessions that is spoken.
pub(crate) const MODERN: &str = "2026-07-28";

/// A bearer token, as a header alone.
#[derive(Clone)]
pub(crate) struct Key {
    header: HeaderValue,
    text: Zeroizing<String>,
}

/// A question.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// The id of the message that is waited for in a stream.
    pub(crate) wanted: Option<String>,
    pub(crate) wait: Wait,
}

/// How long an answer is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Until it ends; what does not end in time counts against the server.
    Ends,
    /// A little while: an open stream may well say nothing.
    Lingers,
}

/// What came back.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    /// None where nothing came.
    pub(crate) status: Option<StatusCode>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// The message: of the wanted id where there was one.
    pub(crate) message: Option<Value>,
}

// === impl Key ===

impl Key {
    /// None if no header can hold it.
    pub(crate) fn new(token: &Secret<String>) -> Option<Self> {
        let text = Zeroizing::new(token.expose().trim().to_owned());
        let mut header = HeaderValue::from_str(&format!("Bearer {}", text.as_str())).ok().filter(|_| !text.is_empty())?;
        header.set_sensitive(true);
        Some(Self { header, text })
    }

    /// Texts among the claims of a JWT, of these names. Nothing is verified: it is a hint and no identity.
    pub(crate) fn claims(&self, names: &[&str]) -> Vec<String> {
        let claims = self.text.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
        let Some(Value::Object(claims)) = claims.and_then(|claims| serde_json::from_slice(&claims).ok()) else { return Vec::new() };
        names.iter().filter_map(|name| claims.get(*name)?.as_str().map(str::to_owned)).collect()
    }

    /// Of a token that the probe made itself and that opens nothing.
    pub(crate) fn canary(text: &str) -> Option<Self> {
        Self::new(&Secret::new(text.to_owned()))
    }

    /// What no report may show.
    pub(crate) fn hidden(&self) -> Zeroizing<String> {
        self.text.clone()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

// === impl Ask ===

impl Ask {
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: Vec::new(), wanted: None, wait: Wait::Ends }
    }

    pub(crate) fn read(url: Url) -> Self {
        Self::new(Method::GET, url).field(ACCEPT.as_str(), "application/json")
    }

    /// A message to an MCP endpoint.
    pub(crate) fn message(url: Url, message: &Value) -> Self {
        let mut ask = Self::new(Method::POST, url)
            .field(ACCEPT.as_str(), "application/json, text/event-stream")
            .field(CONTENT_TYPE.as_str(), "application/json");
        ask.wanted = message.get("id").and_then(Value::as_str).map(str::to_owned);
        ask.body = message.to_string().into_bytes();
        ask
    }

    /// `initialize` of the older era.
    pub(crate) fn initialize(url: Url, id: &str) -> Self {
        let params = json!({"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": info()});
        Self::message(url, &json!({"jsonrpc": "2.0", "id": id, "method": "initialize", "params": params}))
    }

    /// A request of the older era.
    pub(crate) fn legacy(url: Url, id: &str, method: &str, params: &Value) -> Self {
        Self::message(url, &json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})).field("mcp-protocol-version", LEGACY)
    }

    /// A request of 2026-07-28, which stands alone.
    pub(crate) fn modern(url: Url, id: &str, method: &str, mut params: Value) -> Self {
        if let Some(members) = params.as_object_mut() {
            let meta = json!({
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientInfo": info(),
                "io.modelcontextprotocol/clientCapabilities": {},
            });
            members.insert("_meta".to_owned(), meta);
        }
        Self::message(url, &json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
            .field("mcp-protocol-version", MODERN)
            .field("mcp-method", method)
    }

    /// With a token, if there is one.
    pub(crate) fn by(mut self, key: Option<&Key>) -> Self {
        if let Some(key) = key {
            self.headers.insert(AUTHORIZATION, key.header.clone());
        }
        self
    }

    pub(crate) fn in_session(self, session: Option<&str>) -> Self {
        match session {
            Some(session) => self.field("mcp-session-id", session),
            None => self,
        }
    }

    /// With a header field; one of the same name is replaced. What no header can hold is left out.
    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_str(value)) {
            self.headers.insert(name, value);
        }
        self
    }

    pub(crate) fn lingering(mut self) -> Self {
        self.wait = Wait::Lingers;
        self
    }
}

fn info() -> Value {
    json!({"name": "doorward-scan", "version": env!("CARGO_PKG_VERSION")})
}

// === impl Reply ===

impl Reply {
    /// A status in the 200s.
    pub(crate) fn is_success(&self) -> bool {
        self.status.is_some_and(|status| status.is_success())
    }

    /// A JSON-RPC result: the server did what it was asked.
    pub(crate) fn result(&self) -> Option<&Value> {
        self.message.as_ref().filter(|_| self.is_success())?.get("result")
    }

    pub(crate) fn is(&self, status: StatusCode) -> bool {
        self.status == Some(status)
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn is_stream(&self) -> bool {
        self.field("content-type").is_some_and(|kind| kind.trim().to_ascii_lowercase().starts_with("text/event-stream"))
    }

    /// The body as text; what is no text is replaced.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The status in words, for evidence.
    pub(crate) fn told(&self) -> String {
        self.status.map_or_else(|| "no answer".to_owned(), |status| format!("status {}", status.as_u16()))
    }

    /// Where it wants its reader to go on.
    pub(crate) fn location(&self) -> Option<&str> {
        self.field("location").filter(|_| self.status.is_some_and(|status| status.is_redirection()))
    }

    /// The ids of the events in a stream, in order.
    pub(crate) fn event_ids(&self) -> Vec<String> {
        let text = self.text();
        text.lines().filter_map(|line| line.strip_prefix("id:")).map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()).collect()
    }
}
