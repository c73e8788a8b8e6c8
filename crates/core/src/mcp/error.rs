//! JSON-RPC errors as MCP uses them: the codes, refusals with a code, and the body that goes out.
//!
//! No code of our own exists; detail goes into `data` (protocol 6.1).

use crate::blame::{Blame, Refusal, Station, Wire};
use crate::json::RawJson;
use crate::json::write::ObjectWriter;

/// Not JSON.
pub const PARSE: i32 = -32700;
/// Not a JSON-RPC message of MCP.
pub const INVALID_REQUEST: i32 = -32600;
/// Unknown or removed method.
pub const METHOD_NOT_FOUND: i32 = -32601;
/// Unknown tool, prompt, cursor, state or task, or bad parameters.
pub const INVALID_PARAMS: i32 = -32602;
/// The upstream failed or Doorward did.
pub const INTERNAL: i32 = -32603;
/// Resource not found (legacy only).
pub const RESOURCE_NOT_FOUND: i32 = -32002;
/// An address has to be shown to a person first (2025-11-25).
pub const URL_ELICITATION_REQUIRED: i32 = -32042;
/// Header and body disagree (2026-07-28).
pub const HEADER_MISMATCH: i32 = -32020;
/// A client capability is needed that this request did not declare (2026-07-28).
pub const MISSING_CAPABILITY: i32 = -32021;
/// Unsupported protocol version (2026-07-28).
pub const UNSUPPORTED_VERSION: i32 = -32022;

/// Name of the one question that Doorward itself asks within a call (protocol 16.7). No server is shown its answer.
pub const OWN_QUESTION: &str = "doorward-connect";

/// A refusal for which the client is to blame, as a JSON-RPC error under an HTTP status.
#[must_use]
pub fn wrong(station: Station, reason: &'static str, status: u16, code: i32, public: impl Into<String>) -> Refusal {
    Refusal::new(station, reason, Blame::Caller, Wire::Rpc { status, code, data: None }, public)
}

/// The body of a JSON-RPC error. `id` is JSON text; without one the member is left out, never `null` (protocol 3.2).
#[must_use]
pub fn body(id: Option<&str>, code: i32, message: &str, data: Option<&RawJson>) -> RawJson {
    let mut error = ObjectWriter::with_capacity(message.len() + 64);
    error.integer("code", i64::from(code)).text("message", message);
    if let Some(data) = data {
        error.raw("data", data);
    }
    envelope(id, "error", &error.finish())
}

/// The body of a JSON-RPC response with a result.
#[must_use]
pub fn result(id: &str, result: &RawJson) -> RawJson {
    envelope(Some(id), "result", result)
}

/// A tool result that carries a refusal to the model (product 2.7).
#[must_use]
pub fn tool_refusal(public: &str) -> RawJson {
    let mut block = ObjectWriter::with_capacity(public.len() + 32);
    block.text("type", "text").text("text", public);
    let mut out = ObjectWriter::with_capacity(public.len() + 96);
    out.raw("content", &RawJson::array([&block.finish()])).flag("isError", crate::json::write::Flag::True);
    out.finish()
}

fn envelope(id: Option<&str>, member: &str, value: &RawJson) -> RawJson {
    let mut out = ObjectWriter::with_capacity(value.as_bytes().len() + 64);
    out.text("jsonrpc", "2.0");
    if let Some(id) = id {
        out.verbatim("id", id.as_bytes());
    }
    out.raw(member, value);
    out.finish()
}
