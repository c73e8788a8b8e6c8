//! What the targets share: cutting an input into sections, and writing JSON another way with the same meaning.

use bytes::Bytes;
use doorward_core::json::RawJson;

/// The sections of an input: text between lines that hold nothing but `---`. Keeps corpora readable and mutable.
#[must_use]
pub fn sections(data: &[u8]) -> Vec<&[u8]> {
    const LINE: &[u8] = b"\n---\n";
    let mut found = Vec::new();
    let mut rest = data;
    while let Some(at) = rest.windows(LINE.len()).position(|window| window == LINE) {
        found.push(&rest[..at]);
        rest = &rest[at + LINE.len()..];
    }
    found.push(rest);
    found
}

/// Reads strictly, as deep as the parser allows.
#[must_use]
pub fn strict(bytes: &[u8], depth: usize) -> Option<RawJson> {
    RawJson::parse(&Bytes::copy_from_slice(bytes), depth).ok()
}

/// The same value written as differently as JSON allows: members backwards, white space everywhere, every character of
/// every string escaped. Numbers keep their text.
pub fn rewritten(json: &RawJson, out: &mut String) {
    out.push_str(" \r\n\t");
    if let Some(members) = json.members() {
        out.push('{');
        for (at, (key, value)) in members.iter().rev().enumerate() {
            if at > 0 {
                out.push(',');
            }
            out.push(' ');
            escaped(key, out);
            out.push_str("\n:");
            rewritten(value, out);
        }
        out.push('}');
    } else if let Some(elements) = json.elements() {
        out.push('[');
        for (at, element) in elements.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            rewritten(element, out);
        }
        out.push(']');
    } else if let Some(text) = json.as_text() {
        escaped(&text, out);
    } else {
        out.push_str(std::str::from_utf8(json.as_bytes()).expect("JSON is UTF-8"));
    }
    out.push('\t');
}

fn escaped(text: &str, out: &mut String) {
    use std::fmt::Write as _;
    out.push('"');
    for (at, unit) in text.encode_utf16().enumerate() {
        if at % 2 == 0 {
            write!(out, "\\u{unit:04x}").expect("a string");
        } else {
            write!(out, "\\u{unit:04X}").expect("a string");
        }
    }
    out.push('"');
}

/// The value as serde_json would hold it, built from the strict reader's own view. `None` for numbers beyond a double.
#[must_use]
pub fn value_of(json: &RawJson) -> Option<serde_json::Value> {
    use serde_json::Value;
    if let Some(members) = json.members() {
        return members.iter().map(|(key, value)| Some((key.clone(), value_of(value)?))).collect::<Option<_>>().map(Value::Object);
    }
    if let Some(elements) = json.elements() {
        return elements.iter().map(value_of).collect::<Option<_>>().map(Value::Array);
    }
    if let Some(text) = json.as_text() {
        return Some(Value::String(text.into_owned()));
    }
    serde_json::from_slice(json.as_bytes()).ok()
}
