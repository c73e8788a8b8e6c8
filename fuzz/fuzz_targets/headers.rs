//! Mirrored headers. Input: a text, a tool's schema, arguments, header lines, with `---` between them. Values survive the
//! way through a header; what is mirrored passes the check, what is changed does not.
#![no_main]

use doorward_core::json::RawJson;
use doorward_core::mcp::headers::{
    McpHeaders, Mirrored, MirroredKind, ParamHeader, check, decode_value, encode_value, mirror_value, mirrored,
};
use doorward_fuzz::{sections, strict};
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let parts = sections(data);
    let part = |at: usize| parts.get(at).copied().unwrap_or_default();
    if let Ok(text) = std::str::from_utf8(part(0)) {
        round_trip(text);
    }
    let Some(schema) = strict(part(1), 64).and_then(|schema| schema.to_value().ok()) else { return };
    let Ok(mirrors) = mirrored(&schema) else { return };
    unambiguous(&mirrors);
    let arguments = strict(part(2), 64).filter(RawJson::is_object);
    let honest: Vec<ParamHeader> = mirrors
        .iter()
        .filter_map(|mirror| {
            Some(ParamHeader { name: mirror.header.to_ascii_lowercase(), value: mirror_value(mirror, arguments.as_ref())? })
        })
        .collect();
    if mirrors.iter().all(|mirror| is_typed(mirror, arguments.as_ref())) {
        check(&mirrors, arguments.as_ref(), &honest).expect("what mirrors the arguments passes");
    }
    for at in 0..honest.len().min(4) {
        let mut missing = honest.clone();
        missing.remove(at);
        check(&mirrors, arguments.as_ref(), &missing).expect_err("a header is missing");
        let mut changed = honest.clone();
        changed[at].value.push('x');
        check(&mirrors, arguments.as_ref(), &changed).expect_err("a header differs");
    }
    let sent: Vec<ParamHeader> = McpHeaders::read(&header_map(part(3)))
        .params
        .into_iter()
        .filter_map(|(name, value)| decode_value(&value).map(|value| ParamHeader { name, value: value.into_owned() }))
        .collect();
    let _ = check(&mirrors, arguments.as_ref(), &sent);
});

fn round_trip(text: &str) {
    let encoded = encode_value(text);
    let value = HeaderValue::from_str(&encoded).expect("an encoded value may stand in a header");
    assert_eq!(value.to_str().expect("visible").trim_matches([' ', '\t']), encoded, "nothing is trimmed off");
    assert_eq!(decode_value(&encoded).as_deref(), Some(text));
    if let Some(decoded) = decode_value(text) {
        assert_eq!(decode_value(&encode_value(&decoded)).as_deref(), Some(decoded.as_ref()));
    }
}

fn unambiguous(mirrors: &[Mirrored]) {
    for (at, mirror) in mirrors.iter().enumerate() {
        HeaderName::from_bytes(format!("mcp-param-{}", mirror.header).as_bytes()).expect("a header name");
        assert!(!mirrors[..at].iter().any(|other| other.header.eq_ignore_ascii_case(&mirror.header)), "{}", mirror.header);
    }
}

/// The argument, if there is one, is of the type that its schema names, and an integer is of the safe range.
fn is_typed(mirror: &Mirrored, arguments: Option<&RawJson>) -> bool {
    let Some(text) = mirror_value(mirror, arguments) else { return true };
    match mirror.kind {
        MirroredKind::Text | MirroredKind::Flag => true,
        MirroredKind::Integer => text.parse::<i64>().is_ok_and(|n| n.unsigned_abs() < 1 << 53),
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
