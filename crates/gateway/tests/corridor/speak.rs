//! MCP as clients of both eras speak it.
#![expect(clippy::needless_pass_by_value, reason = "callers write the JSON in place")]

use super::house::{House, Key};
use super::wire::{Ask, Flow, Reply};
use serde_json::{Value, json};

pub(crate) const MODERN: &str = "2026-07-28";

/// One request of 2026-07-28, with its mirrored headers.
pub(crate) fn modern(key: &Key, server: &str, id: impl Into<Value>, method: &str, params: Value) -> Ask {
    modern_as(key, server, id, method, params, json!({}))
}

/// The same with these client capabilities.
pub(crate) fn modern_as(key: &Key, server: &str, id: impl Into<Value>, method: &str, mut params: Value, capabilities: Value) -> Ask {
    if let Some(params) = params.as_object_mut() {
        let meta = params.entry("_meta").or_insert_with(|| json!({}));
        meta["io.modelcontextprotocol/protocolVersion"] = MODERN.into();
        meta["io.modelcontextprotocol/clientCapabilities"] = capabilities;
    }
    let body = json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params });
    let ask = Ask::post(&key.path(server), body.to_string()).bearer(&key.text);
    let ask = ask.field("MCP-Protocol-Version", MODERN).field("Mcp-Method", method);
    let name = match method {
        "tools/call" | "prompts/get" => params.get("name"),
        "resources/read" => params.get("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" => params.get("taskId"),
        _ => None,
    };
    match name.and_then(Value::as_str) {
        Some(name) => ask.field("Mcp-Name", name),
        None => ask,
    }
}

/// A tool call of 2026-07-28.
pub(crate) fn modern_call(key: &Key, server: &str, id: impl Into<Value>, tool: &str, arguments: Value) -> Ask {
    modern(key, server, id, "tools/call", json!({ "name": tool, "arguments": arguments }))
}

/// A request in a session.
pub(crate) fn legacy(key: &Key, server: &str, session: &str, id: impl Into<Value>, method: &str, params: Value) -> Ask {
    let body = json!({ "jsonrpc": "2.0", "id": id.into(), "method": method, "params": params });
    said(key, server, session, &body)
}

/// A message as it is in a session.
pub(crate) fn said(key: &Key, server: &str, session: &str, body: &Value) -> Ask {
    let ask = Ask::post(&key.path(server), body.to_string()).bearer(&key.text);
    ask.field("MCP-Protocol-Version", "2025-11-25").field("Mcp-Session-Id", session)
}

/// A tool call in a session.
pub(crate) fn legacy_call(key: &Key, server: &str, session: &str, id: impl Into<Value>, tool: &str, arguments: Value) -> Ask {
    legacy(key, server, session, id, "tools/call", json!({ "name": tool, "arguments": arguments }))
}

/// `initialize`.
pub(crate) fn initialize(key: &Key, server: &str, version: &str, capabilities: Value) -> Ask {
    let params = json!({ "protocolVersion": version, "capabilities": capabilities, "clientInfo": { "name": "attack", "version": "1" } });
    let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
    Ask::post(&key.path(server), body.to_string()).bearer(&key.text)
}

/// GET on a session.
pub(crate) fn listen(key: &Key, server: &str, session: &str) -> Ask {
    Ask::new("GET", &key.path(server)).bearer(&key.text).field("Accept", "text/event-stream").field("Mcp-Session-Id", session)
}

/// DELETE on a session.
pub(crate) fn end(key: &Key, server: &str, session: &str) -> Ask {
    Ask::new("DELETE", &key.path(server)).bearer(&key.text).field("Mcp-Session-Id", session)
}

impl House {
    /// A session of 2025-11-25 that declares nothing.
    pub(crate) async fn session(&self, key: &Key, server: &str) -> String {
        self.session_as(key, server, json!({})).await
    }

    pub(crate) async fn session_as(&self, key: &Key, server: &str, capabilities: Value) -> String {
        let reply = self.ask(initialize(key, server, "2025-11-25", capabilities)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let session = reply.field("mcp-session-id").expect("a session").to_owned();
        let note = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        assert_eq!(self.ask(said(key, server, &session, &note)).await.status, 202);
        session
    }

    /// Opens a stream.
    pub(crate) async fn flow(&self, ask: Ask) -> Flow {
        ask.flow(self.address).await
    }
}

/// The first text of a tool's result.
pub(crate) fn text(reply: &Reply) -> String {
    reply.result().pointer("/content/0/text").and_then(Value::as_str).unwrap_or_default().to_owned()
}
