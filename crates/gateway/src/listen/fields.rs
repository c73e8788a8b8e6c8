//! Header fields of a request that could be read in two ways, and fields that proxies set: refused or removed at the door.
//!
//! Attacks HTTP-03 and HTTP-05. hyper decides the framing; what it tolerates beyond one spelling is refused here.

use http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, FORWARDED, HeaderMap, HeaderName, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE,
};
use http::{Method, Version};

/// Bytes of all headers together, and number of fields (protocol S2), counted after decoding (HTTP-06).
pub(super) const HEADER_BYTES: usize = 32 * 1024;
pub(super) const HEADER_FIELDS: usize = 100;
const MCP_HEADER_BYTES: usize = 8 * 1024;

/// Fields that proxies and servers in front set. They mean nothing here, under any spelling.
const FORWARDING: [&str; 10] = [
    "forwarded",
    "x-real-ip",
    "x-original-url",
    "x-rewrite-url",
    "x-original-uri",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-client-ip",
    "true-client-ip",
];

/// Fields that may stand once at most.
const ONCE: [HeaderName; 4] = [CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING, EXPECT];

/// Protocol S2: 8 KiB for each MCP header, 32 KiB and 100 fields in all.
pub(super) fn oversized(headers: &HeaderMap) -> bool {
    let all: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let one = headers.iter().any(|(name, value)| name.as_str().starts_with("mcp-") && value.len() > MCP_HEADER_BYTES);
    all > HEADER_BYTES || headers.len() > HEADER_FIELDS || one
}

/// True when the end or the nature of the body, or the method, could be understood differently by somebody else.
pub(super) fn ambiguous(method: &Method, version: Version, headers: &HeaderMap, has_body: bool) -> bool {
    let repeated = ONCE.iter().any(|name| headers.get_all(name).iter().nth(1).is_some());
    let coding = headers.get(TRANSFER_ENCODING).is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    let lengths = headers.contains_key(CONTENT_LENGTH) && headers.contains_key(TRANSFER_ENCODING);
    let expect = headers.get(EXPECT).is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    let unexpected = has_body && *method != Method::POST;
    let encoded = headers.get(CONTENT_ENCODING).is_some_and(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity"));
    // RFC 9113 section 8.2.2: fields of one HTTP/1.1 connection have no place in HTTP/2.
    let translated = version == Version::HTTP_2 && (headers.contains_key(TRANSFER_ENCODING) || headers.contains_key(UPGRADE));
    let disguised = headers.keys().any(|name| name.as_str().contains('_') && is_meant_by_a_disguise(&dashed(name)));
    let named = headers.get_all(CONNECTION).iter().any(names_another_field);
    repeated || coding || lengths || expect || unexpected || encoded || translated || disguised || named || *method == Method::CONNECT
}

/// Removes what proxies set and what describes the connection, under any spelling.
pub(super) fn remove_foreign(headers: &mut HeaderMap) {
    // What is spelled with `_` goes in any case.
    let foreign = |name: &HeaderName| {
        let name = name.as_str();
        name.contains('_') || name.starts_with("x-forwarded") || FORWARDING.contains(&name)
    };
    let names: Vec<HeaderName> = headers.keys().filter(|name| foreign(name)).cloned().collect();
    for name in names.iter().chain(&[CONNECTION, TE, TRAILER, UPGRADE, EXPECT, FORWARDED]) {
        headers.remove(name);
    }
}

fn dashed(name: &HeaderName) -> String {
    name.as_str().replace('_', "-")
}

fn is_meant_by_a_disguise(plain: &str) -> bool {
    const MEANT: [&str; 8] =
        ["content-length", "transfer-encoding", "host", "origin", "authorization", "connection", "content-type", "expect"];
    MEANT.contains(&plain) || plain.starts_with("mcp-")
}

/// `Connection: <field>` asks intermediaries to remove a field (CVE-2026-54763 is of this kind): only the options of HTTP itself.
fn names_another_field(value: &http::HeaderValue) -> bool {
    const OPTIONS: [&str; 6] = ["close", "keep-alive", "upgrade", "te", "http2-settings", ""];
    value.to_str().map_or(true, |list| list.split(',').any(|option| !OPTIONS.iter().any(|known| option.trim().eq_ignore_ascii_case(known))))
}
