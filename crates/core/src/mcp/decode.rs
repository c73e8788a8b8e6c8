//! Reads what a client sent, once and strictly, into a [`Call`] (I4; protocol 3.2 S7 and S8, 3.4; RPC-01 to RPC-06).
//!
//! Two steps, because the era decides how the second reads: [`read`] gives a [`Message`] whose shape is that of JSON-RPC,
//! [`decode`] gives it its one meaning in the era of the session. Must not know sessions or policy.

use super::call::{AnswerBody, Call, Form, LogLevel, Method, Reference, RpcId};
use super::error::{HEADER_MISMATCH, INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, OWN_QUESTION, PARSE, wrong};
use super::headers::{McpHeaders, ParamHeader, Single, decode_value};
use super::version::{Era, Version};
use crate::blame::{Known, Refusal, Station};
use crate::json::write::{Edit, ObjectWriter};
use crate::json::{Fault, RawJson, alike};
use bytes::Bytes;
use std::borrow::Cow;
use std::sync::Arc;

/// Keys of `_meta` that belong to the protocol.
pub const META_PREFIX: &str = "io.modelcontextprotocol/";

/// A JSON-RPC message before its era is known.
#[derive(Debug)]
pub struct Message {
    shape: Shape,
    params: Vec<(String, RawJson)>,
    meta: Vec<(String, RawJson)>,
}

/// What the members of a message make of it.
#[derive(Debug)]
pub enum Shape {
    /// A request.
    Request {
        /// The client's id.
        id: RpcId,
        /// The method as sent.
        method: String,
    },
    /// A notification.
    Notification {
        /// The method as sent.
        method: String,
    },
    /// A response.
    Answer {
        /// The id of the question.
        id: RpcId,
        /// `result` or `error`.
        body: AnswerBody,
    },
}

/// The content of a POST.
#[derive(Debug)]
pub enum Body {
    /// One message.
    One(Box<Message>),
    /// An array: allowed in sessions of 2025-03-26 only (D18).
    Batch(Vec<RawJson>),
}

/// Largest `_meta` of vendor keys in bytes (D19).
const VENDOR_META: usize = 16 * 1024;
/// Longest method, name, URI, cursor or state taken from a client, in bytes.
const LONGEST_METHOD: usize = 128;
const LONGEST_TARGET: usize = 8 * 1024;
const LONGEST_STATE: usize = 64 * 1024;

/// Top-level members that JSON-RPC and MCP know.
const ENVELOPE: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];
/// Members of params that decide something here or at an upstream.
const PARAMS: [&str; 19] = [
    "_meta",
    "name",
    "arguments",
    "uri",
    "cursor",
    "requestState",
    "inputResponses",
    "taskId",
    "task",
    "protocolVersion",
    "capabilities",
    "clientInfo",
    "level",
    "ref",
    "argument",
    "context",
    "notifications",
    "requestId",
    "progressToken",
];
/// Members of params whose own members decide something, and these.
const PARTS: [(&str, &[&str]); 3] = [("ref", &["type", "name", "uri"]), ("argument", &["name", "value"]), ("context", &["arguments"])];

/// What a subscription may ask for: whether something changes, and which ones of a list.
const HEARD: [&str; 3] = ["toolsListChanged", "promptsListChanged", "resourcesListChanged"];
const HEARD_OF: [&str; 2] = ["resourceSubscriptions", "taskIds"];

/// Reads the body of a POST.
///
/// # Errors
/// A [`Refusal`] with 400, echoing the id where it could be read.
pub fn read(body: &Bytes, depth: usize) -> Result<Body, Refusal> {
    let json = RawJson::parse(body, depth).map_err(not_json)?;
    match json.elements() {
        Some(elements) => Ok(Body::Batch(elements)),
        None => message(&json).map(|message| Body::One(Box::new(message))),
    }
}

/// Reads one message: a body, an element of a batch or a line of a child process.
///
/// # Errors
/// As [`read`].
pub fn message(json: &RawJson) -> Result<Message, Refusal> {
    let members = json.members().ok_or_else(|| invalid("A message is a JSON object.", None))?;
    let id = take(&members, "id");
    let echo = id.and_then(rpc_id).map(|id| id.to_json());
    no_variants(&members, &ENVELOPE, echo.as_deref())?;
    if take(&members, "jsonrpc").and_then(RawJson::as_text).as_deref() != Some("2.0") {
        return Err(invalid("jsonrpc must be \"2.0\".", echo.as_deref()));
    }
    let method = match take(&members, "method") {
        None => None,
        Some(method) => {
            let text = method.as_text().filter(|text| (1..=LONGEST_METHOD).contains(&text.len()) && !text.chars().any(char::is_control));
            Some(text.ok_or_else(|| invalid("method must be a short string.", echo.as_deref()))?.into_owned())
        }
    };
    let id = match id {
        None => None,
        Some(id) => Some(rpc_id(id).ok_or_else(|| invalid("id must be a string or an integer.", None))?),
    };
    let (result, error) = (take(&members, "result"), take(&members, "error"));
    let shape = match (method, id, result, error) {
        (Some(method), Some(id), None, None) => Shape::Request { id, method },
        (Some(method), None, None, None) => Shape::Notification { method },
        (None, Some(id), Some(result), None) => Shape::Answer { id, body: AnswerBody::Result(result.clone()) },
        (None, Some(id), None, Some(error)) if error.is_object() => Shape::Answer { id, body: AnswerBody::Error(error.clone()) },
        _ => return Err(invalid("Neither a request nor a notification nor a response.", echo.as_deref())),
    };
    let params = match take(&members, "params") {
        None => Vec::new(),
        // Two keys that differ only in case are one key to some parsers: what policy saw might not be what is used.
        Some(params) if params.has_keys_alike() => return Err(invalid("Two keys differ only in case.", echo.as_deref())),
        Some(params) => params.members().ok_or_else(|| invalid("params must be an object.", echo.as_deref()))?,
    };
    no_variants(&params, &PARAMS, echo.as_deref())?;
    for (part, known) in PARTS {
        let inner = take(&params, part).and_then(RawJson::members).unwrap_or_default();
        no_variants(&inner, known, echo.as_deref())?;
    }
    let meta = match take(&params, "_meta") {
        None => Vec::new(),
        Some(meta) => meta.members().ok_or_else(|| bad_params(400, "_meta must be an object.", echo.as_deref()))?,
    };
    Ok(Message { shape, params, meta })
}

/// Gives a message its one meaning. `era` is that of the session that [`crate::session::open`] bound it to.
///
/// # Errors
/// A [`Refusal`] with the code and status of protocol 6.
pub fn decode(era: Era, message: Message, headers: &McpHeaders) -> Result<Call, Refusal> {
    let Message { shape, params, meta } = message;
    let (form, method) = match shape {
        Shape::Request { id, method } => {
            let found = Method::of_request(&method, era).ok_or_else(|| unknown_method(era, &id, &method))?;
            (Form::Request(id), found)
        }
        Shape::Notification { method } => (Form::Notification, Method::of_notification(&method, era)),
        Shape::Answer { id, body } => (Form::Answer { id, body }, Method::Answer),
    };
    let mut draft = Draft { era, method, echo: echo(&form), params, rest: Vec::new(), call: Call::empty(era, form, method) };
    draft.meta(&meta)?;
    draft.params()?;
    if era == Era::Modern {
        draft.mirrors(headers)?;
    }
    Ok(draft.finish())
}

/// `GET` on the endpoint: the server stream of a legacy session, or the rest of a broken one.
#[must_use]
pub fn open_stream(era: Era, last_event_id: Option<String>) -> Call {
    Call::empty(era, Form::OpenStream { last_event_id }, Method::OpenStream)
}

/// `DELETE` on the endpoint: the end of a legacy session.
#[must_use]
pub fn end_session(era: Era) -> Call {
    Call::empty(era, Form::EndSession, Method::EndSession)
}

struct Draft {
    era: Era,
    method: Method,
    echo: Option<String>,
    params: Vec<(String, RawJson)>,
    rest: Vec<(String, RawJson)>,
    call: Call,
}

// === impl Message ===

impl Message {
    /// Request, notification or answer.
    #[must_use]
    pub const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The method as sent; `None` for an answer.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        match &self.shape {
            Shape::Request { method, .. } | Shape::Notification { method } => Some(method),
            Shape::Answer { .. } => None,
        }
    }

    /// The id to echo in an error, as JSON text.
    #[must_use]
    pub fn echo(&self) -> Option<String> {
        match &self.shape {
            Shape::Request { id, .. } => Some(id.to_json()),
            Shape::Notification { .. } | Shape::Answer { .. } => None,
        }
    }

    /// A member of `params`.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&RawJson> {
        take(&self.params, name)
    }

    /// A protocol key of `params._meta`, without its prefix.
    #[must_use]
    pub fn meta(&self, name: &str) -> Option<&RawJson> {
        self.meta.iter().find_map(|(key, value)| (key.strip_prefix(META_PREFIX) == Some(name)).then_some(value))
    }
}

// === impl Draft ===

impl Draft {
    fn text(&self, key: &str, longest: usize) -> Result<Option<String>, Refusal> {
        let Some(value) = take(&self.params, key) else { return Ok(None) };
        let text = value.as_text().filter(|text| text.len() <= longest);
        text.map(|text| Some(text.into_owned())).ok_or_else(|| self.bad(format!("{key} must be a string.")))
    }

    fn object(&self, key: &str) -> Result<Option<RawJson>, Refusal> {
        match take(&self.params, key) {
            None => Ok(None),
            Some(value) if value.is_object() => Ok(Some(value.clone())),
            Some(_) => Err(self.bad(format!("{key} must be an object."))),
        }
    }

    fn bad(&self, public: impl Into<String>) -> Refusal {
        bad_params(200, public, self.echo.as_deref())
    }

    /// D19: protocol keys are taken apart and rebuilt, vendor keys pass within a limit.
    fn meta(&mut self, meta: &[(String, RawJson)]) -> Result<(), Refusal> {
        let mut vendor = ObjectWriter::with_capacity(64);
        for (key, value) in meta {
            match key.strip_prefix(META_PREFIX) {
                Some("logLevel") if self.era == Era::Modern => {
                    let level = value.as_text().and_then(|text| LogLevel::parse(&text));
                    self.call.log_level = Some(level.ok_or_else(|| self.bad("Unknown log level."))?);
                }
                Some("clientCapabilities") if self.era == Era::Modern => self.call.capabilities = Some(value.clone()),
                Some(_) => {}
                None if key == "progressToken" => {
                    self.call.progress_token =
                        Some(rpc_id(value).ok_or_else(|| self.bad("progressToken must be a string or an integer."))?);
                }
                None if is_reserved(key) || !is_meta_key(key) => {}
                None => {
                    vendor.raw(key, value);
                }
            }
        }
        if !vendor.is_empty() {
            let vendor = vendor.finish();
            if vendor.as_bytes().len() > VENDOR_META {
                return Err(self.bad("_meta is too large."));
            }
            self.call.vendor_meta = Some(vendor);
        }
        Ok(())
    }

    fn params(&mut self) -> Result<(), Refusal> {
        match self.method {
            Method::ToolsCall | Method::PromptsGet => {
                let name = self.text("name", LONGEST_TARGET)?.ok_or_else(|| self.bad("name is missing."))?;
                self.call.target = Some(Arc::from(name));
                self.call.arguments = self.object("arguments")?;
            }
            Method::ResourcesRead | Method::ResourcesSubscribe | Method::ResourcesUnsubscribe => {
                let uri = self.text("uri", LONGEST_TARGET)?.ok_or_else(|| self.bad("uri is missing."))?;
                self.call.target = Some(Arc::from(uri));
            }
            Method::TasksGet | Method::TasksUpdate | Method::TasksCancel | Method::TasksResult => {
                let task = self.text("taskId", LONGEST_TARGET)?.ok_or_else(|| self.bad("taskId is missing."))?;
                self.call.target = Some(Arc::from(task));
            }
            Method::Complete => self.reference()?,
            Method::SetLevel => {
                let level = self.text("level", 32)?.and_then(|text| LogLevel::parse(&text));
                self.call.log_level = Some(level.ok_or_else(|| self.bad("Unknown log level."))?);
            }
            Method::Initialize => self.call.capabilities = self.object("capabilities")?,
            Method::Listen => {
                let heard = self.heard()?;
                self.params.retain(|(key, _)| key != "notifications");
                self.params.push(("notifications".to_owned(), heard));
            }
            Method::Cancelled => {
                let id = take(&self.params, "requestId").and_then(rpc_id);
                self.call.cancels = id;
            }
            _ => {}
        }
        if self.method.is_list() {
            self.call.cursor = self.text("cursor", LONGEST_STATE)?;
        }
        if self.era == Era::Modern {
            self.call.request_state = self.text("requestState", LONGEST_STATE)?;
            self.call.input_responses = self.responses()?;
        }
        self.rest = std::mem::take(&mut self.params);
        // What belongs to another era or revision has no meaning here and must not get one at a server that believes it (T4).
        let tasks = has_legacy_tasks(self.era);
        self.rest.retain(|(key, _)| match key.as_str() {
            "_meta" | "cursor" | "requestState" | "inputResponses" => false,
            "task" => tasks,
            _ => true,
        });
        Ok(())
    }

    fn reference(&mut self) -> Result<(), Refusal> {
        let reference = self.object("ref")?.ok_or_else(|| self.bad("ref is missing."))?;
        let text = |key: &str| {
            reference.member(key).and_then(|value| value.as_text().map(Cow::into_owned)).filter(|text| text.len() <= LONGEST_TARGET)
        };
        let (kind, target) = match text("type").as_deref() {
            Some("ref/prompt") => (Reference::Prompt, text("name")),
            Some("ref/resource") => (Reference::Template, text("uri")),
            _ => return Err(self.bad("ref must name a prompt or a resource template.")),
        };
        self.call.reference = Some(kind);
        self.call.target = Some(Arc::from(target.ok_or_else(|| self.bad("ref is incomplete."))?));
        Ok(())
    }

    /// SES-12: only what can be narrowed to what the caller may hear of goes on, so nothing passes for its form.
    fn heard(&self) -> Result<RawJson, Refusal> {
        let asked = self.object("notifications")?.and_then(|asked| asked.members());
        let mut heard = ObjectWriter::with_capacity(64);
        for (key, value) in asked.ok_or_else(|| self.bad("notifications is missing."))? {
            let fits = |one: &RawJson| one.as_text().is_some_and(|text| text.len() <= LONGEST_TARGET);
            let texts = || value.elements().is_some_and(|all| all.iter().all(fits));
            let fits = match key.as_str() {
                key if HEARD.contains(&key) => matches!(value.as_bytes(), b"true" | b"false"),
                key if HEARD_OF.contains(&key) => texts(),
                key if HEARD.iter().chain(&HEARD_OF).any(|known| alike(known, key)) => false,
                _ => continue,
            };
            if !fits {
                return Err(self.bad("notifications has a member of another name or type than the protocol gives it."));
            }
            heard.raw(&key, &value);
        }
        Ok(heard.finish())
    }

    fn responses(&self) -> Result<Option<RawJson>, Refusal> {
        let Some(responses) = self.object("inputResponses")? else { return Ok(None) };
        let whole = responses.members().is_some_and(|members| members.iter().all(|(_, value)| value.is_object()));
        if !whole {
            return Err(self.bad("Each input response must be an object."));
        }
        // What Doorward itself asked is no matter of the server.
        let theirs = responses.edited(|key, _| if key == OWN_QUESTION { Edit::Drop } else { Edit::Keep }, &[]);
        let is_empty = theirs.members().is_none_or(|members| members.is_empty());
        Ok(Some(theirs).filter(|_| !is_empty || responses.members().is_some_and(|members| members.is_empty())))
    }

    /// Protocol 3.4: every mirrored header equals the body, or the request is refused.
    fn mirrors(&mut self, headers: &McpHeaders) -> Result<(), Refusal> {
        if !matches!(self.call.form, Form::Request(_)) {
            return Ok(());
        }
        let mismatch = |what: &str| {
            let refusal = wrong(Station::Decode, "header_mismatch", 400, HEADER_MISMATCH, format!("{what} does not match the body."));
            refusal.knowing(Known { rpc_id: self.echo.clone(), method: Some(self.method.as_str().to_owned()), ..Known::default() })
        };
        if headers.method.once() != Some(self.method.as_str()) {
            return Err(mismatch("Mcp-Method"));
        }
        if self.method.has_mirrored_name() {
            let sent = headers.name.once().and_then(decode_value);
            if sent.as_deref() != self.call.target.as_deref() {
                return Err(mismatch("Mcp-Name"));
            }
        } else if headers.name == Single::Unusable {
            return Err(mismatch("Mcp-Name"));
        }
        let mut found: Vec<ParamHeader> = Vec::with_capacity(headers.params.len());
        for (name, value) in &headers.params {
            let value = decode_value(value).ok_or_else(|| mismatch("Mcp-Param"))?;
            if found.iter().any(|other| other.name == *name) {
                return Err(mismatch("Mcp-Param"));
            }
            found.push(ParamHeader { name: name.clone(), value: value.into_owned() });
        }
        self.call.param_headers = found;
        Ok(())
    }

    fn finish(mut self) -> Call {
        self.call.digest = digest(&self.call, &self.rest);
        self.call.params = self.rest;
        self.call
    }
}

/// SHA-256 over the canonical form of what identifies the request (protocol 12.1).
fn digest(call: &Call, params: &[(String, RawJson)]) -> [u8; 32] {
    let mut out = ObjectWriter::with_capacity(128);
    match call.method {
        Method::ToolsCall | Method::PromptsGet => {
            out.text("name", call.target().unwrap_or_default());
            if let Some(arguments) = &call.arguments {
                out.raw("arguments", arguments);
            }
        }
        Method::ResourcesRead => {
            out.text("uri", call.target().unwrap_or_default());
        }
        _ => {
            for (key, value) in params {
                out.raw(key, value);
            }
        }
    }
    out.finish().canonical_digest()
}

fn take<'a>(members: &'a [(String, RawJson)], name: &str) -> Option<&'a RawJson> {
    members.iter().find_map(|(key, value)| (key == name).then_some(value))
}

fn rpc_id(value: &RawJson) -> Option<RpcId> {
    let safe = |n: &i64| n.unsigned_abs() <= 9_007_199_254_740_991;
    let text = || value.as_text().filter(|text| text.len() <= 256).map(|text| RpcId::Text(Arc::from(text.as_ref())));
    value.as_integer().filter(safe).map(RpcId::Number).or_else(text)
}

fn echo(form: &Form) -> Option<String> {
    match form {
        Form::Request(id) => Some(id.to_json()),
        _ => None,
    }
}

/// RPC-01: a key that some parsers would take for a known one is refused, never promoted and never passed on.
fn no_variants(members: &[(String, RawJson)], known: &[&str], echo: Option<&str>) -> Result<(), Refusal> {
    let variant = |key: &str| !known.contains(&key) && known.iter().any(|name| alike(name, key));
    match members.iter().find(|(key, _)| variant(key)) {
        None => Ok(()),
        Some(_) => Err(invalid("A key differs from a known key only in its case.", echo)),
    }
}

/// Prefixes whose second label is `modelcontextprotocol` or `mcp` belong to the protocol; so do the trace keys (D19). In any
/// case, since a server may fold it: what follows lets only ASCII pass.
fn is_reserved(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let prefix = key.split_once('/').map(|(prefix, _)| prefix);
    let second = prefix.and_then(|prefix| prefix.split('.').nth(1));
    matches!(second, Some("modelcontextprotocol" | "mcp"))
        || matches!(key.as_str(), "traceparent" | "tracestate" | "baggage" | "progresstoken")
}

/// The grammar of `_meta` keys (basic/index, `_meta`): optional dotted prefix and `/`, then a name.
fn is_meta_key(key: &str) -> bool {
    let name = key.split_once('/').map_or(key, |(_, name)| name);
    key.len() <= 256 && !name.contains('/') && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'/'))
}

fn not_json(fault: Fault) -> Refusal {
    let code = match fault {
        Fault::DuplicateKey(_) | Fault::NulInKey(_) | Fault::TooDeep => INVALID_REQUEST,
        Fault::NotUtf8 | Fault::Syntax(_) | Fault::LoneSurrogate(_) => PARSE,
    };
    wrong(Station::Decode, "not_json", 400, code, format!("The body is not acceptable JSON: {fault}."))
}

fn invalid(public: &str, echo: Option<&str>) -> Refusal {
    wrong(Station::Decode, "not_json_rpc", 400, INVALID_REQUEST, public)
        .knowing(Known { rpc_id: echo.map(str::to_owned), ..Known::default() })
}

fn bad_params(status: u16, public: impl Into<String>, echo: Option<&str>) -> Refusal {
    wrong(Station::Decode, "bad_params", status, INVALID_PARAMS, public)
        .knowing(Known { rpc_id: echo.map(str::to_owned), ..Known::default() })
}

fn unknown_method(era: Era, id: &RpcId, method: &str) -> Refusal {
    let status = if era == Era::Modern { 404 } else { 200 };
    wrong(Station::Decode, "unknown_method", status, METHOD_NOT_FOUND, "Method not found.").knowing(Known {
        rpc_id: Some(id.to_json()),
        method: Some(method.to_owned()),
        ..Known::default()
    })
}

/// True where a revision knows the tasks of 2025-11-25.
pub(super) const fn has_legacy_tasks(era: Era) -> bool {
    matches!(era, Era::Legacy(Version::V2025_11_25))
}

#[cfg(test)]
mod tests;
