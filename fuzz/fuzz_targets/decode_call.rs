//! What a client sends: header lines, an empty line, a body; and the same body with the headers that fit it. Whatever
//! decodes is written again for an upstream as strict JSON with the same method, name, arguments and no envelope of the client.
#![no_main]

use bytes::Bytes;
use doorward_core::json::RawJson;
use doorward_core::mcp::call::{Call, Form, Method};
use doorward_core::mcp::decode::{self, Body, Message};
use doorward_core::mcp::encode::{self, Wire};
use doorward_core::mcp::headers::{McpHeaders, Single, decode_value, encode_value};
use doorward_core::mcp::version::{Era, LEGACY, Version};
use doorward_core::session::era;
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use serde_json::value::RawValue;

const DEPTH: usize = 64;
const ID: i64 = 7_700_077;

fuzz_target!(|data: &[u8]| {
    let (head, body) = match data.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&data[..at], &data[at + 2..]),
        None => (&data[..0], data),
    };
    let headers = McpHeaders::read(&header_map(head));
    let body = Bytes::copy_from_slice(body);
    let _ = era::decide_batch(&headers);
    let _ = era::decide_bodiless(&headers);
    match decode::read(&body, DEPTH) {
        Ok(Body::One(_)) => one(&headers, &body),
        Ok(Body::Batch(elements)) => elements.iter().for_each(|element| one(&headers, element.bytes())),
        Err(refusal) => drop(format!("{refusal:?}")),
    }
});

fn one(headers: &McpHeaders, body: &Bytes) {
    let Some(message) = message(body) else { return };
    let derived = fitting(&message);
    for headers in [headers, &derived] {
        let claimed = era::decide(headers, &message);
        if let Ok(era::Claimed::Session(id)) = &claimed {
            assert_eq!(headers.session.once(), Some(id.as_str()), "a session comes from its header alone");
        }
        if let Ok(era::Claimed::Modern) = &claimed {
            assert_eq!(headers.version.once(), Some(Version::V2026_07_28.as_str()));
        }
        for era in LEGACY.into_iter().map(Era::Legacy).chain([Era::Modern]) {
            let again = self::message(body).expect("read before");
            match decode::decode(era, again, headers) {
                Ok(call) => check(&call, headers, body),
                Err(refusal) => drop(format!("{refusal:?}")),
            }
        }
    }
}

fn message(body: &Bytes) -> Option<Message> {
    RawJson::parse(body, DEPTH).ok().and_then(|json| decode::message(&json).ok())
}

/// Headers that mirror a message, as an honest modern client sends them.
fn fitting(message: &Message) -> McpHeaders {
    let target = ["name", "uri", "taskId"].iter().find_map(|key| message.param(key)).and_then(|value| value.as_text());
    let once = |text: &str| Single::Once(text.to_owned());
    McpHeaders {
        version: once(Version::V2026_07_28.as_str()),
        method: message.method().map_or(Single::Absent, once),
        name: target.map_or(Single::Absent, |target| once(&encode_value(&target))),
        ..McpHeaders::default()
    }
}

fn check(call: &Call, headers: &McpHeaders, body: &Bytes) {
    let Form::Request(client_id) = call.form() else { return };
    if call.era() == Era::Modern {
        assert_eq!(headers.method.once(), Some(call.method().as_str()), "Mcp-Method mirrors the method");
        if call.method().has_mirrored_name() {
            assert_eq!(headers.name.once().and_then(decode_value).as_deref(), call.target(), "Mcp-Name mirrors the target");
        }
    }
    let task = matches!(call.method(), Method::TasksGet | Method::TasksUpdate | Method::TasksCancel | Method::TasksResult);
    let wire = Wire {
        era: call.era(),
        id: ID,
        capabilities: RawJson::empty_object(),
        cursor: call.cursor().map(|_| "up\"cursor".to_owned()),
        state: call.request_state().map(|_| "up\nstate".to_owned()),
        task: task.then(|| "up-task".to_owned()),
        replaced: Vec::new(),
    };
    let sent = encode::request(call, &wire);
    let strict = RawJson::parse(sent.bytes(), DEPTH + 2).expect("what goes upstream is strict JSON");
    let params = strict.member("params").expect("params");
    let member = |key: &str| params.member(key);
    assert_eq!(strict.member("id").and_then(|id| id.as_integer()), Some(ID), "an id of our own, not {client_id:?}");
    assert_eq!(strict.member("method").and_then(|method| Some(method.as_text()?.into_owned())).as_deref(), Some(call.method().as_str()));
    assert_eq!(
        member("requestState").and_then(|state| Some(state.as_text()?.into_owned())),
        wire.state,
        "of the gateway, or none: a session has no such state"
    );
    if matches!(call.method(), Method::ToolsCall | Method::PromptsGet) {
        same_for_serde(call, sent.as_bytes(), body);
    }
    if let Some(meta) = member("_meta") {
        let keys: Vec<String> = meta.members().expect("an object").into_iter().map(|(key, _)| key).collect();
        let own = keys.iter().filter(|key| key.starts_with(decode::META_PREFIX)).count();
        assert!(call.era() == Era::Modern || own == 0, "protocol keys in a legacy request: {keys:?}");
        assert!(!keys.iter().any(|key| matches!(key.as_str(), "traceparent" | "tracestate" | "baggage")));
        if let Some(token) = meta.member("progressToken") {
            assert_eq!(token.as_integer(), Some(ID), "a progress token of our own");
        }
    }
    for (name, value) in encode::mcp_headers(call, &wire, &[]) {
        HeaderName::from_bytes(name.as_bytes()).expect("a header name");
        assert!(HeaderValue::from_str(&value).is_ok_and(|value| value.to_str().is_ok()), "{name}: {value:?}");
        assert_eq!(value.trim_matches([' ', '\t']), value, "{name} keeps its white space");
    }
}

/// Legacy eras know no `requestState`: there the member is the client's own parameter and passes like any other.
/// A parser that is not ours sees the name and the arguments that were judged.
fn same_for_serde(call: &Call, sent: &[u8], body: &Bytes) {
    #[derive(Debug)]
    struct Seen {
        name: String,
        arguments: Option<String>,
    }
    let see = |text: &[u8]| {
        let whole: std::collections::BTreeMap<String, Box<RawValue>> = serde_json::from_slice(text).expect("serde_json reads it");
        let params: std::collections::BTreeMap<String, Box<RawValue>> =
            serde_json::from_str(whole.get("params").expect("params").get()).expect("an object");
        Seen {
            name: serde_json::from_str(params.get("name").expect("name").get()).expect("a string"),
            arguments: params.get("arguments").map(|arguments| arguments.get().to_owned()),
        }
    };
    let (theirs, before) = (see(sent), see(body));
    assert_eq!(Some(theirs.name.as_str()), call.target());
    assert_eq!(theirs.name, before.name);
    let ours = call.arguments().map(|arguments| std::str::from_utf8(arguments.as_bytes()).expect("UTF-8").to_owned());
    assert_eq!(theirs.arguments, ours, "the arguments that were judged are those that are sent");
    assert_eq!(theirs.arguments, before.arguments);
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        let sent: Value = serde_json::from_slice(sent).expect("the body was readable, so is this");
        assert_eq!(sent["params"]["arguments"], value["params"]["arguments"]);
    }
}

fn header_map(head: &[u8]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for line in head.split(|byte| *byte == b'\n').take(40) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(line[colon + 1..].trim_ascii()));
        if let (Ok(name), Ok(value)) = (name, value) {
            map.append(name, value);
        }
    }
    map
}
