//! Which era a request belongs to, from version header, `_meta`, session header and method alone (protocol 3.3).
//!
//! The era is never inferred from anything else: not from `Mcp-Method`, the client's name, the connection or an earlier
//! request. What this function decides is what goes upstream, so gateway and upstream cannot be in different eras.

use crate::blame::{Known, Refusal, Station, Wire};
use crate::mcp::decode::{Message, Shape};
use crate::mcp::error::{HEADER_MISMATCH, INVALID_PARAMS, INVALID_REQUEST, UNSUPPORTED_VERSION, wrong};
use crate::mcp::headers::{McpHeaders, Single};
use crate::mcp::version::{LEGACY, Version, is_modern_dated};
use serde_json::json;

/// What a message claims to belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// 2026-07-28: it stands alone.
    Modern,
    /// `initialize`: a new session in this version.
    NewSession(Version),
    /// A session by its id, not yet looked up.
    Session(String),
    /// A notification for which the era defines no effect: 202 and nothing else.
    NoEffect,
}

/// Decides the era of a message; the first rule that matches wins (E1 to E14).
///
/// # Errors
/// The refusal of the rule that the message breaks.
pub fn decide(headers: &McpHeaders, message: &Message) -> Result<Claimed, Refusal> {
    let refuse = |reason, status, code, public: &str| {
        let known = Known { rpc_id: message.echo(), method: message.method().map(str::to_owned), ..Known::default() };
        wrong(Station::Session, reason, status, code, public).knowing(known)
    };
    if headers.version == Single::Unusable {
        return Err(refuse("version_header", 400, HEADER_MISMATCH, "MCP-Protocol-Version must be given once."));
    }
    let header = headers.version.once();
    if let Some(meta) = message.meta("protocolVersion") {
        let Some(meta) = meta.as_text() else {
            return Err(refuse("bad_meta", 400, INVALID_PARAMS, "The protocol version in _meta must be a string."));
        };
        if header != Some(meta.as_ref()) {
            return Err(refuse("version_mismatch", 400, HEADER_MISMATCH, "MCP-Protocol-Version does not match _meta."));
        }
        if !Version::parse(&meta).is_some_and(Version::is_modern) {
            let public = "This protocol version is not served statelessly. Older versions begin with initialize.";
            return Err(unsupported(refuse("unsupported_version", 400, UNSUPPORTED_VERSION, public), &meta));
        }
        return match (message.shape(), message.meta("clientCapabilities")) {
            (Shape::Answer { .. }, _) => Err(refuse("answer_in_modern", 400, INVALID_REQUEST, "Responses are not accepted here.")),
            (Shape::Request { .. }, Some(capabilities)) if capabilities.is_object() => Ok(Claimed::Modern),
            (Shape::Notification { .. }, _) => Ok(Claimed::NoEffect),
            _ => Err(refuse("bad_meta", 400, INVALID_PARAMS, "_meta must carry the client capabilities.")),
        };
    }
    let initialize = matches!(message.shape(), Shape::Request { method, .. } if method == "initialize");
    if header.is_some_and(is_modern_dated) {
        return match message.shape() {
            Shape::Request { .. } if initialize => {
                let public = "initialize belongs to 2025-03-26, 2025-06-18 and 2025-11-25; the header names a later version.";
                Err(refuse("version_mismatch", 400, HEADER_MISMATCH, public))
            }
            Shape::Notification { .. } => Ok(Claimed::NoEffect),
            Shape::Request { .. } => Err(refuse("bad_meta", 400, INVALID_PARAMS, "_meta must carry the protocol version.")),
            Shape::Answer { .. } => Err(refuse("answer_in_modern", 400, INVALID_REQUEST, "Responses are not accepted here.")),
        };
    }
    if initialize {
        let asked = message.param("protocolVersion").and_then(|version| version.as_text());
        let Some(asked) = asked else {
            return Err(refuse("bad_params", 400, INVALID_PARAMS, "protocolVersion is missing."));
        };
        if header.is_some_and(|header| header != asked) {
            return Err(refuse("version_mismatch", 400, INVALID_REQUEST, "MCP-Protocol-Version does not match protocolVersion."));
        }
        let known = Version::parse(&asked).filter(|version| LEGACY.contains(version));
        return Ok(Claimed::NewSession(known.unwrap_or(Version::V2025_11_25)));
    }
    if let Some(header) = header.filter(|header| !Version::parse(header).is_some_and(|version| LEGACY.contains(&version))) {
        let public = "Unsupported protocol version. Sessions begin with initialize in 2025-03-26, 2025-06-18 or 2025-11-25.";
        return Err(unsupported(refuse("unsupported_version", 400, UNSUPPORTED_VERSION, public), header));
    }
    match headers.session.once() {
        Some(id) => Ok(Claimed::Session(id.to_owned())),
        None => Err(refuse("no_session", 400, INVALID_REQUEST, "Mcp-Session-Id is missing. Begin with initialize.")),
    }
}

/// Decides the session of an array of messages: only a legacy session can have one (D18).
///
/// # Errors
/// 400 in the modern era and without a session.
pub fn decide_batch(headers: &McpHeaders) -> Result<Claimed, Refusal> {
    let refuse = |public: &str| wrong(Station::Session, "batch", 400, INVALID_REQUEST, public);
    if headers.version.once().is_some_and(is_modern_dated) || headers.version == Single::Unusable {
        return Err(refuse("Batches are served in 2025-03-26 only."));
    }
    headers
        .session
        .once()
        .map(|id| Claimed::Session(id.to_owned()))
        .ok_or_else(|| refuse("Batches are served in sessions of 2025-03-26 only."))
}

/// Decides the session of a `GET` or `DELETE` (protocol 3.5).
///
/// # Errors
/// 405 in the modern era, 400 without a session id.
pub fn decide_bodiless(headers: &McpHeaders) -> Result<String, Refusal> {
    if headers.version.once().is_some_and(is_modern_dated) {
        let refusal = wrong(Station::Session, "method_not_allowed", 405, INVALID_REQUEST, "This version knows only POST.");
        return Err(Refusal { wire: Wire::NotAllowed { allow: "POST" }, ..refusal });
    }
    if headers.version == Single::Unusable {
        return Err(wrong(Station::Session, "version_header", 400, HEADER_MISMATCH, "MCP-Protocol-Version must be given once."));
    }
    headers
        .session
        .once()
        .map(str::to_owned)
        .ok_or_else(|| wrong(Station::Session, "no_session", 400, INVALID_REQUEST, "Mcp-Session-Id is missing. Begin with initialize."))
}

fn unsupported(mut refusal: Refusal, requested: &str) -> Refusal {
    if let Wire::Rpc { data, .. } = &mut refusal.wire {
        *data = Some(json!({ "supported": [Version::V2026_07_28.as_str()], "requested": requested }));
    }
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::RawJson;
    use crate::mcp::decode;

    const META: &str = r#""io.modelcontextprotocol/clientCapabilities":{}"#;

    fn headers(version: Option<&str>, session: Option<&str>) -> McpHeaders {
        let single = |text: Option<&str>| text.map_or(Single::Absent, |text| Single::Once(text.to_owned()));
        McpHeaders { version: single(version), session: single(session), ..McpHeaders::default() }
    }

    fn judged(version: Option<&str>, session: Option<&str>, body: &str) -> Result<Claimed, (u16, i32)> {
        let json = RawJson::parse(&bytes::Bytes::copy_from_slice(body.as_bytes()), 16).expect("json");
        let message = decode::message(&json).expect("message");
        decide(&headers(version, session), &message).map_err(|refusal| match refusal.wire {
            Wire::Rpc { status, code, .. } => (status, code),
            other => panic!("{other:?}"),
        })
    }

    fn modern(version: &str, method: &str) -> String {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"_meta":{{"io.modelcontextprotocol/protocolVersion":"{version}",{META}}}}}}}"#
        )
    }

    fn plain(method: &str) -> String {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"protocolVersion":"2025-06-18"}}}}"#)
    }

    #[test]
    fn t4_each_row_of_the_desync_table_has_one_answer() {
        let list = modern("2026-07-28", "tools/list");
        assert_eq!(judged(Some("2026-07-28"), None, &list), Ok(Claimed::Modern));
        assert_eq!(judged(Some("2026-07-28"), Some("abc"), &list), Ok(Claimed::Modern), "SES-08: a session is ignored");
        assert_eq!(judged(Some("2025-11-25"), None, &modern("2025-11-25", "tools/list")), Err((400, UNSUPPORTED_VERSION)));
        assert_eq!(judged(None, None, &list), Err((400, HEADER_MISMATCH)));
        assert_eq!(judged(Some("2025-11-25"), None, &list), Err((400, HEADER_MISMATCH)));
        assert_eq!(judged(Some("1999-01-01"), None, &plain("tools/list")), Err((400, UNSUPPORTED_VERSION)));
        assert_eq!(judged(Some("2026-07-28"), None, &plain("initialize")), Err((400, HEADER_MISMATCH)));
        assert_eq!(judged(Some("2026-07-28"), None, &plain("tools/list")), Err((400, INVALID_PARAMS)));
        assert_eq!(judged(Some("2025-11-25"), None, &plain("tools/list")), Err((400, INVALID_REQUEST)));
        assert_eq!(judged(None, Some("abc"), &plain("tools/list")), Ok(Claimed::Session("abc".into())));
        assert_eq!(judged(Some("2025-03-26"), Some("abc"), &plain("tools/list")), Ok(Claimed::Session("abc".into())));
    }

    #[test]
    fn initialize_never_inherits_a_session_and_never_echoes_an_unknown_version() {
        assert_eq!(judged(None, Some("fixed"), &plain("initialize")), Ok(Claimed::NewSession(Version::V2025_06_18)));
        assert_eq!(judged(Some("2025-11-25"), None, &plain("initialize")), Err((400, INVALID_REQUEST)));
        for asked in ["2030-01-01", "2024-11-05", "x"] {
            let body = plain("initialize").replace("2025-06-18", asked);
            assert_eq!(judged(None, None, &body), Ok(Claimed::NewSession(Version::V2025_11_25)), "{asked}");
        }
    }

    #[test]
    fn modern_requests_need_their_envelope_and_take_no_answers() {
        let bare =
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
        assert_eq!(judged(Some("2026-07-28"), None, bare), Err((400, INVALID_PARAMS)));
        let note = modern("2026-07-28", "notifications/cancelled").replace("\"id\":1,", "");
        assert_eq!(judged(Some("2026-07-28"), None, &note), Ok(Claimed::NoEffect));
        assert_eq!(judged(Some("2026-07-28"), None, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#), Err((400, INVALID_REQUEST)));
        assert_eq!(decide_bodiless(&headers(Some("2026-07-28"), Some("s"))).expect_err("405").wire, Wire::NotAllowed { allow: "POST" });
    }
}
