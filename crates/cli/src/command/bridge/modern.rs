//! Requests that stand alone (2026-07-28): headers mirrored from the body, and one stream for each.

use super::relay::Trouble;
use super::{Bridge, Call, Spoken};
use doorward_core::json::RawJson;
use doorward_core::json::write::{Edit, ObjectWriter};
use doorward_core::mcp::call::RpcId;
use doorward_core::mcp::decode::{META_PREFIX, Message};
use doorward_core::mcp::error::HEADER_MISMATCH;
use doorward_core::mcp::headers::{Mirrored, encode_value, mirror_value, mirrored};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Which arguments of which tools are mirrored, as far as lists have told.
#[derive(Debug, Default)]
pub(super) struct Mirrors {
    tools: Mutex<HashMap<String, Vec<Mirrored>>>,
}

/// Tools that are remembered, and pages of a list that the bridge asks for itself.
const MOST_TOOLS: usize = 10_000;
const MOST_PAGES: usize = 100;

impl Bridge {
    /// Carries one request; cancelling it closes its stream.
    pub(super) async fn alone(self: Arc<Self>, call: Arc<Call>, json: RawJson, message: Message) {
        let answer = tokio::select! {
            answer = self.carried(&call, &json, &message) => answer,
            () = call.cancel.notified() => return self.end(&call, None).await,
        };
        let answer = answer.unwrap_or_else(|trouble| self.sorry(&call.id, &trouble));
        self.end(&call, Some(&answer)).await;
    }

    async fn carried(&self, call: &Call, json: &RawJson, message: &Message) -> Result<RawJson, Trouble> {
        let answer = self.once(call, json, message).await?;
        match message.method() {
            Some("tools/list") => {
                self.mirrors.learn(&answer);
            }
            // The gateway compared header and body before it did anything: the call may be made again.
            Some("tools/call") if is_mismatch(&answer) && self.list(message).await? == Learnt::Something => {
                return self.once(call, json, message).await;
            }
            _ => {}
        }
        Ok(answer)
    }

    async fn once(&self, call: &Call, json: &RawJson, message: &Message) -> Result<RawJson, Trouble> {
        let reply = self.far.post(self.mirrors.headers(message), json.bytes().clone()).await?;
        self.relay(reply, call, None).await
    }

    /// Reads the list of tools for a client that calls without having listed, in that client's name and version.
    async fn list(&self, message: &Message) -> Result<Learnt, Trouble> {
        let keep = |key: &str, _: &RawJson| if key.starts_with(META_PREFIX) { Edit::Keep } else { Edit::Drop };
        let meta = message.param("_meta").map_or_else(RawJson::empty_object, |meta| meta.edited(keep, &[]));
        let mut cursor: Option<RawJson> = None;
        let mut learnt = Learnt::Nothing;
        for page in 0..MOST_PAGES {
            let id = RpcId::Text(Arc::from(format!("doorward-bridge-tools-{page}")));
            let mut params = ObjectWriter::with_capacity(256);
            params.raw("_meta", &meta);
            if let Some(cursor) = &cursor {
                params.raw("cursor", cursor);
            }
            let mut body = ObjectWriter::with_capacity(384);
            body.text("jsonrpc", "2.0").raw("id", &id.to_raw()).text("method", "tools/list").raw("params", &params.finish());
            let own = Call { id, era: Spoken::Modern, cancel: Notify::new(), cancelled: AtomicBool::new(false) };
            let mut headers = self.mirrors.headers(message);
            headers.insert("mcp-method", HeaderValue::from_static("tools/list"));
            headers.remove("mcp-name");
            for name in headers.keys().filter(|name| name.as_str().starts_with("mcp-param-")).cloned().collect::<Vec<_>>() {
                headers.remove(name);
            }
            let reply = self.far.post(headers, body.finish().bytes().clone()).await?;
            let answer = self.relay(reply, &own, None).await?;
            if self.mirrors.learn(&answer) == Learnt::Something {
                learnt = Learnt::Something;
            }
            cursor = answer.member("result").and_then(|result| result.member("nextCursor")).filter(|cursor| !cursor.is_null());
            if cursor.is_none() {
                break;
            }
        }
        Ok(learnt)
    }
}

/// Whether a list told something new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Learnt {
    Nothing,
    Something,
}

fn is_mismatch(answer: &RawJson) -> bool {
    let code = answer.member("error").and_then(|error| error.member("code")).and_then(|code| code.as_integer());
    code == Some(i64::from(HEADER_MISMATCH))
}

// === impl Mirrors ===

impl Mirrors {
    /// The headers of a request. What cannot be a header is left out: the gateway then says what is wrong.
    fn headers(&self, message: &Message) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let text = |name: &str| message.param(name).and_then(|value| value.as_text().map(std::borrow::Cow::into_owned));
        let mut put = |name: &str, value: &str| {
            if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
                headers.insert(name, value);
            }
        };
        if let Some(version) = message.meta("protocolVersion").and_then(RawJson::as_text) {
            put("mcp-protocol-version", &version);
        }
        let method = message.method().unwrap_or_default();
        put("mcp-method", &encode_value(method));
        let name = match method {
            "tools/call" | "prompts/get" => text("name"),
            "resources/read" => text("uri"),
            "tasks/get" | "tasks/update" | "tasks/cancel" => text("taskId"),
            _ => None,
        };
        if let Some(name) = &name {
            put("mcp-name", &encode_value(name));
        }
        if let Some(mirrors) = name.filter(|_| method == "tools/call").and_then(|name| self.lock().get(&name).cloned()) {
            for mirror in &mirrors {
                if let Some(value) = mirror_value(mirror, message.param("arguments")) {
                    put(&format!("mcp-param-{}", mirror.header.to_ascii_lowercase()), &encode_value(&value));
                }
            }
        }
        headers
    }

    /// Notes the tools of an answer to `tools/list`.
    fn learn(&self, answer: &RawJson) -> Learnt {
        let tools = answer.member("result").and_then(|result| result.member("tools")).and_then(|tools| tools.elements());
        let mut known = self.lock();
        let mut learnt = Learnt::Nothing;
        for tool in tools.into_iter().flatten() {
            let name = tool.member("name").and_then(|name| name.as_text().map(std::borrow::Cow::into_owned));
            let schema = tool.member("inputSchema").and_then(|schema| schema.to_value().ok());
            let (Some(name), Some(schema)) = (name, schema) else { continue };
            let mirrors = mirrored(&schema).unwrap_or_default();
            if known.get(&name) == Some(&mirrors) || (mirrors.is_empty() && !known.contains_key(&name)) {
                continue;
            }
            if known.len() < MOST_TOOLS || known.contains_key(&name) {
                known.insert(name, mirrors);
                learnt = Learnt::Something;
            }
        }
        learnt
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Mirrored>>> {
        self.tools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use doorward_core::mcp::decode;

    fn json(text: &str) -> RawJson {
        RawJson::parse(&Bytes::copy_from_slice(text.as_bytes()), 32).expect("valid")
    }

    fn headers(mirrors: &Mirrors, text: &str) -> Vec<(String, String)> {
        let message = decode::message(&json(text)).expect("a message");
        let headers = mirrors.headers(&message);
        headers.iter().map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned())).collect()
    }

    #[test]
    fn headers_mirror_the_body_once_the_tool_was_listed() {
        let mirrors = Mirrors::default();
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"größe","arguments":{"region":"eu"},
            "_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
        let before = headers(&mirrors, call);
        assert_eq!(before.len(), 3, "{before:?}");
        assert!(before.contains(&("mcp-name".to_owned(), "=?base64?Z3LDtsOfZQ==?=".to_owned())), "{before:?}");
        let list = json(
            r#"{"result":{"tools":[{"name":"größe","inputSchema":{"properties":{"region":{"type":"string","x-mcp-header":"Region"}}}},
            {"name":"plain","inputSchema":{}}]}}"#,
        );
        assert_eq!(mirrors.learn(&list), Learnt::Something);
        assert_eq!(mirrors.learn(&list), Learnt::Nothing, "the same again");
        assert!(headers(&mirrors, call).contains(&("mcp-param-region".to_owned(), "eu".to_owned())));
    }
}
