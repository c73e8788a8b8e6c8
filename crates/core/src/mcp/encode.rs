//! Writes what goes to an upstream from a [`Call`] alone, body and MCP headers alike (protocol 4.3: validate, then rebuild).
//!
//! No id, envelope, session id or progress token of the client is copied: each is Doorward's own.

use super::call::{Call, LogLevel};
use super::headers::{Mirrored, encode_value, mirror_value};
use super::version::{Era, Version};
use crate::json::RawJson;
use crate::json::write::{Edit, ObjectWriter};
use std::borrow::Cow;

/// How one call goes to one upstream.
#[derive(Debug, Clone)]
pub struct Wire {
    /// The era spoken with this upstream.
    pub era: Era,
    /// Our JSON-RPC id, which is our progress token too.
    pub id: i64,
    /// The client capabilities to declare (modern only), already reduced.
    pub capabilities: RawJson,
    /// The upstream's own cursor.
    pub cursor: Option<String>,
    /// The upstream's own `requestState`, byte for byte.
    pub state: Option<String>,
    /// The upstream's own task id, where the call addresses a task.
    pub task: Option<String>,
    /// Members of params that were narrowed or mapped after the decision.
    pub replaced: Vec<(String, RawJson)>,
}

/// Extensions that may pass in either direction (D20).
pub const EXTENSIONS: [&str; 2] = ["io.modelcontextprotocol/tasks", "io.modelcontextprotocol/ui"];

/// What a server lets its questions be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Questions {
    /// `elicitation` setting of the server.
    pub elicitation: Setting,
    /// `sampling` setting of the server.
    pub sampling: Setting,
}

/// Allowed or denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// Passed on if the client declares it.
    Allow,
    /// Never declared, never passed on.
    Deny,
}

/// The JSON-RPC request for an upstream.
#[must_use]
pub fn request(call: &Call, wire: &Wire) -> RawJson {
    // Large arguments are not copied again and again while the text grows, nor twice as much taken as they need (FLT-06).
    let size: usize = call.params().iter().map(|(key, value)| key.len() + value.as_bytes().len() + 4).sum();
    let mut params = ObjectWriter::with_capacity(size + 256);
    for (key, value) in call.params() {
        let replaced = wire.replaced.iter().find_map(|(name, value)| (name == key).then_some(value));
        match (key.as_str(), &wire.task) {
            ("taskId", Some(task)) => params.text(key, task),
            _ => params.raw(key, replaced.unwrap_or(value)),
        };
    }
    if let Some(cursor) = &wire.cursor {
        params.text("cursor", cursor);
    }
    if let Some(state) = &wire.state {
        params.text("requestState", state);
    }
    if let Some(responses) = call.input_responses() {
        params.raw("inputResponses", responses);
    }
    let meta = meta(wire, call.progress_token().is_some(), call.log_level(), call.vendor_meta());
    if let Some(meta) = meta {
        params.raw("_meta", &meta);
    }
    message(Some(wire.id), call.method().as_str(), &params.finish())
}

/// A request of Doorward's own: probing, catalogue, session set-up. `params` is an object without `_meta`.
#[must_use]
pub fn own_request(method: &str, params: &RawJson, wire: &Wire) -> RawJson {
    let params = match meta(wire, false, None, None) {
        Some(meta) => params.edited(|_, _| Edit::Keep, &[("_meta", meta)]),
        None => params.clone(),
    };
    message(Some(wire.id), method, &params)
}

/// `initialize` towards an upstream, with Doorward's own name (protocol 16.2).
#[must_use]
pub fn initialize(id: i64, version: Version, capabilities: &RawJson) -> RawJson {
    let mut params = ObjectWriter::with_capacity(192);
    params.text("protocolVersion", version.as_str()).raw("capabilities", capabilities).raw("clientInfo", &client_info());
    message(Some(id), "initialize", &params.finish())
}

/// A notification for an upstream.
#[must_use]
pub fn notification(method: &str, params: &RawJson) -> RawJson {
    message(None, method, params)
}

/// Doorward's answer to a question of an upstream; `member` is `result` or `error`.
#[must_use]
pub fn answer(id: &RawJson, member: &str, value: &RawJson) -> RawJson {
    let mut out = ObjectWriter::with_capacity(value.as_bytes().len() + 64);
    out.text("jsonrpc", "2.0").raw("id", id).raw(member, value);
    out.finish()
}

/// A message for a client: a question or a notification.
#[must_use]
pub fn downstream(id: Option<&RawJson>, method: &str, params: Option<&RawJson>) -> RawJson {
    let mut out = ObjectWriter::with_capacity(params.map_or(64, |params| params.as_bytes().len() + 96));
    out.text("jsonrpc", "2.0");
    if let Some(id) = id {
        out.raw("id", id);
    }
    out.text("method", method);
    if let Some(params) = params {
        out.raw("params", params);
    }
    out.finish()
}

/// A header of MCP, name and value; what is borrowed is a constant of this program.
pub type McpHeader = (Cow<'static, str>, Cow<'static, str>);

const PROTOCOL_VERSION: &str = "mcp-protocol-version";
const METHOD: &str = "mcp-method";

const fn known(name: &'static str, value: &'static str) -> McpHeader {
    (Cow::Borrowed(name), Cow::Borrowed(value))
}

fn param(name: &str, value: &str) -> McpHeader {
    (Cow::Owned(format!("mcp-param-{name}")), Cow::Owned(encode_value(value).into_owned()))
}

/// The MCP headers of a modern request: name and value, ready to be sent. Legacy requests carry the version alone.
#[must_use]
pub fn mcp_headers(call: &Call, wire: &Wire, mirrors: &[Mirrored]) -> Vec<McpHeader> {
    let mut headers = Vec::with_capacity(4);
    let version = match wire.era {
        Era::Legacy(version) => return vec![known(PROTOCOL_VERSION, version.as_str())],
        Era::Modern => Version::V2026_07_28,
    };
    headers.push(known(PROTOCOL_VERSION, version.as_str()));
    headers.push(known(METHOD, call.method().as_str()));
    if call.method().has_mirrored_name() {
        let name = wire.task.as_deref().or_else(|| call.target()).unwrap_or_default();
        headers.push((Cow::Borrowed("mcp-name"), Cow::Owned(encode_value(name).into_owned())));
    }
    for mirror in mirrors {
        if let Some(value) = mirror_value(mirror, call.arguments()) {
            headers.push(param(&mirror.header.to_ascii_lowercase(), &value));
        }
    }
    // D4: headers that the tool does not mirror are forwarded in their parsed form and otherwise ignored.
    for header in call.param_headers() {
        if !mirrors.iter().any(|mirror| mirror.header.eq_ignore_ascii_case(&header.name)) {
            headers.push(param(&header.name, &header.value));
        }
    }
    headers
}

/// The MCP headers of a request of Doorward's own.
#[must_use]
pub fn own_headers(method: &str, era: Era) -> Vec<McpHeader> {
    match era {
        Era::Legacy(version) => vec![known(PROTOCOL_VERSION, version.as_str())],
        Era::Modern => vec![known(PROTOCOL_VERSION, Version::V2026_07_28.as_str()), (Cow::Borrowed(METHOD), Cow::Owned(method.to_owned()))],
    }
}

/// The client's capabilities as an upstream of this version may hear them: never a superset (D14), minus what the server's
/// settings deny, minus what the version does not know and minus unlisted extensions (D20).
#[must_use]
pub fn reduced(capabilities: Option<&RawJson>, era: Era, questions: Questions) -> RawJson {
    let Some(capabilities) = capabilities else { return RawJson::empty_object() };
    let version = match era {
        Era::Legacy(version) => version,
        Era::Modern => Version::V2026_07_28,
    };
    capabilities.edited(
        |key, value| match key {
            "roots" | "experimental" => Edit::Keep,
            "sampling" if questions.sampling == Setting::Allow => {
                if version >= Version::V2025_11_25 {
                    Edit::Keep
                } else {
                    Edit::Replace(RawJson::empty_object())
                }
            }
            "elicitation" if questions.elicitation == Setting::Allow && version >= Version::V2025_06_18 => {
                if version >= Version::V2025_11_25 { Edit::Keep } else { Edit::Replace(RawJson::empty_object()) }
            }
            "tasks" if version == Version::V2025_11_25 => Edit::Keep,
            "extensions" if version.is_modern() => Edit::Replace(listed_extensions(value)),
            _ => Edit::Drop,
        },
        &[],
    )
}

/// A server's capabilities as a client may see them: unlisted extensions are left out (D20).
#[must_use]
pub fn server_capabilities(capabilities: &RawJson) -> RawJson {
    capabilities.edited(|key, value| if key == "extensions" { Edit::Replace(listed_extensions(value)) } else { Edit::Keep }, &[])
}

/// Doorward as it names itself to upstreams and, in its own answers, to clients.
#[must_use]
pub fn client_info() -> RawJson {
    let mut info = ObjectWriter::with_capacity(48);
    info.text("name", "doorward").text("version", env!("CARGO_PKG_VERSION"));
    info.finish()
}

fn listed_extensions(extensions: &RawJson) -> RawJson {
    extensions.edited(|key, _| if EXTENSIONS.contains(&key) { Edit::Keep } else { Edit::Drop }, &[])
}

fn meta(wire: &Wire, progress: bool, level: Option<LogLevel>, vendor: Option<&RawJson>) -> Option<RawJson> {
    let mut out = ObjectWriter::with_capacity(256);
    if wire.era == Era::Modern {
        out.text("io.modelcontextprotocol/protocolVersion", Version::V2026_07_28.as_str());
        out.raw("io.modelcontextprotocol/clientInfo", &client_info());
        out.raw("io.modelcontextprotocol/clientCapabilities", &wire.capabilities);
        if let Some(level) = level {
            out.text("io.modelcontextprotocol/logLevel", level.as_str());
        }
    }
    if progress {
        out.integer("progressToken", wire.id);
    }
    for (key, value) in vendor.and_then(RawJson::members).unwrap_or_default() {
        out.raw(&key, &value);
    }
    (!out.is_empty()).then(|| out.finish())
}

fn message(id: Option<i64>, method: &str, params: &RawJson) -> RawJson {
    let mut out = ObjectWriter::with_capacity(params.as_bytes().len() + 96);
    out.text("jsonrpc", "2.0");
    if let Some(id) = id {
        out.integer("id", id);
    }
    out.text("method", method);
    if !(id.is_none() && params.as_bytes() == b"{}") {
        out.raw("params", params);
    }
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::decode;
    use crate::mcp::headers::{McpHeaders, Single};
    use bytes::Bytes;

    fn raw(text: &str) -> RawJson {
        RawJson::parse(&Bytes::copy_from_slice(text.as_bytes()), 32).expect("json")
    }

    fn wire(era: Era) -> Wire {
        Wire {
            era,
            id: 77,
            capabilities: raw(r#"{"roots":{}}"#),
            cursor: None,
            state: Some("up-state".into()),
            task: None,
            replaced: Vec::new(),
        }
    }

    #[test]
    fn rpc_01_what_goes_upstream_is_rebuilt_and_holds_nothing_of_the_clients_envelope() {
        let text = r#"{"jsonrpc":"2.0","id":"canary-id","method":"tools/call","params":{"name":"greet","arguments":{"big":12345678901234567890123},"requestState":"canary-state","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"canary-client"},"io.modelcontextprotocol/clientCapabilities":{"canary":{}},"progressToken":"canary-token","traceparent":"canary-trace"}},"extra":"canary-extra"}"#;
        let headers = McpHeaders { method: Single::Once("tools/call".into()), name: Single::Once("greet".into()), ..McpHeaders::default() };
        let call = decode::decode(Era::Modern, decode::message(&raw(text)).expect("message"), &headers).expect("call");
        let sent = request(&call, &wire(Era::Modern));
        let text = std::str::from_utf8(sent.as_bytes()).expect("utf-8");
        assert!(!text.contains("canary"), "{text}");
        let value = sent.to_value().expect("json");
        assert_eq!(value["id"], 77);
        assert_eq!(value["params"]["_meta"]["progressToken"], 77);
        assert_eq!(value["params"]["requestState"], "up-state");
        assert!(text.contains("12345678901234567890123"), "numbers keep every digit");
        let names: Vec<Cow<'_, str>> = mcp_headers(&call, &wire(Era::Modern), &[]).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["mcp-protocol-version", "mcp-method", "mcp-name"]);
    }

    #[test]
    fn d14_capabilities_shrink_and_never_grow() {
        let declared = raw(
            r#"{"sampling":{"tools":{}},"elicitation":{"form":{},"url":{}},"roots":{"listChanged":true},"tasks":{},"extensions":{"io.modelcontextprotocol/tasks":{},"evil/x":{}},"future":{}}"#,
        );
        let all = Questions { elicitation: Setting::Allow, sampling: Setting::Allow };
        let keys = |json: &RawJson| json.members().expect("object").into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert_eq!(keys(&reduced(Some(&declared), Era::Legacy(Version::V2025_03_26), all)), ["sampling", "roots"]);
        assert_eq!(reduced(Some(&declared), Era::Legacy(Version::V2025_06_18), all).member("elicitation").expect("kept").as_bytes(), b"{}");
        let modern = reduced(Some(&declared), Era::Modern, all);
        assert_eq!(keys(&modern), ["sampling", "elicitation", "roots", "extensions"]);
        assert_eq!(keys(&modern.member("extensions").expect("kept")), ["io.modelcontextprotocol/tasks"]);
        let none = Questions { elicitation: Setting::Deny, sampling: Setting::Deny };
        assert_eq!(keys(&reduced(Some(&declared), Era::Legacy(Version::V2025_11_25), none)), ["roots", "tasks"]);
    }
}
