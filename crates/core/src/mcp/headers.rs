//! The MCP headers: read, validated, rebuilt; never copied (protocol 7).

use crate::json::RawJson;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::ACCEPT;
use std::borrow::Cow;

/// What the MCP headers of one request say, unjudged. A header that came twice has two values here.
#[derive(Debug, Clone, Default)]
pub struct McpHeaders {
    /// `MCP-Protocol-Version`.
    pub version: Single,
    /// `Mcp-Session-Id`.
    pub session: Single,
    /// `Last-Event-ID`.
    pub last_event_id: Single,
    /// `Mcp-Method`.
    pub method: Single,
    /// `Mcp-Name`.
    pub name: Single,
    /// `Mcp-Param-*`: the part after the prefix in lower case, and the value as sent.
    pub params: Vec<(String, String)>,
    /// What the client takes.
    pub accept: Accept,
}

/// A header that may be given once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Single {
    /// Not there.
    #[default]
    Absent,
    /// Once; optional white space around it removed.
    Once(String),
    /// More than once, or not visible ASCII with spaces and tabs.
    Unusable,
}

/// Media types that the client takes (protocol 3.2 S6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Accept {
    /// Both, or nothing was said.
    #[default]
    Both,
    /// Both, an event stream named first.
    EventsFirst,
    /// Only JSON: no streaming.
    Json,
    /// Only an event stream.
    Events,
    /// Neither.
    Neither,
}

/// One mirrored `Mcp-Param-*` header in parsed form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamHeader {
    /// The part after `Mcp-Param-`, in lower case.
    pub name: String,
    /// The decoded value.
    pub value: String,
}

/// A parameter that its tool mirrors into a header (`x-mcp-header`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirrored {
    /// The header's name after `Mcp-Param-`, as the tool spells it.
    pub header: String,
    /// Keys from the root of the arguments.
    pub path: Vec<String>,
    /// What kind of value is mirrored.
    pub kind: MirroredKind,
}

/// Types that may be mirrored; `number` is not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MirroredKind {
    /// `string`
    Text,
    /// `integer`
    Integer,
    /// `boolean`
    Flag,
}

/// A header does not mirror the body (−32020).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Mismatch(pub String);

/// Annotations that make a whole tool invalid (protocol 7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAnnotation {
    /// Empty, not a string or not an HTTP token.
    #[error("x-mcp-header is not an HTTP token")]
    NotAToken,
    /// The same name twice, ignoring case.
    #[error("x-mcp-header is repeated")]
    Repeated,
    /// On something else than a string, integer or boolean.
    #[error("x-mcp-header stands on a property that is not string, integer or boolean")]
    Type,
    /// Not reachable from the root through `properties` alone.
    #[error("x-mcp-header stands where only properties may lead")]
    Place,
}

const PREFIX: &str = "mcp-param-";
const SENTINEL: (&str, &str) = ("=?base64?", "?=");

// === impl McpHeaders ===

impl McpHeaders {
    /// Reads the MCP headers of a request.
    #[must_use]
    pub fn read(headers: &HeaderMap) -> Self {
        let params = headers
            .iter()
            .filter_map(|(name, value)| {
                let rest = name.as_str().strip_prefix(PREFIX)?;
                // A value that is not text cannot be decoded either: keep a marker that no valid value has.
                Some((rest.to_owned(), value.to_str().map_or_else(|_| "\u{0}".to_owned(), |text| trim(text).to_owned())))
            })
            .collect();
        Self {
            version: Single::of(headers, "mcp-protocol-version"),
            session: Single::of(headers, "mcp-session-id"),
            last_event_id: Single::of(headers, "last-event-id"),
            method: Single::of(headers, "mcp-method"),
            name: Single::of(headers, "mcp-name"),
            params,
            accept: Accept::of(headers),
        }
    }
}

// === impl Single ===

impl Single {
    fn of(headers: &HeaderMap, name: &'static str) -> Self {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Self::Absent,
            (Some(one), None) => one.to_str().map_or(Self::Unusable, |text| Self::Once(trim(text).to_owned())),
            _ => Self::Unusable,
        }
    }

    /// The value, if it came exactly once.
    #[must_use]
    pub fn once(&self) -> Option<&str> {
        match self {
            Self::Once(text) => Some(text),
            Self::Absent | Self::Unusable => None,
        }
    }
}

// === impl Accept ===

impl Accept {
    fn of(headers: &HeaderMap) -> Self {
        let (mut said, mut first) = (false, false);
        let (mut json, mut events) = (false, false);
        for part in headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')) {
            let media = part.split(';').next().unwrap_or_default().trim();
            let is = |name: &str| media.eq_ignore_ascii_case(name);
            said |= !media.is_empty();
            first |= !json && is("text/event-stream");
            json |= is("application/json") || is("*/*") || is("application/*");
            events |= is("text/event-stream") || is("*/*") || is("text/*");
        }
        match (said, json, events) {
            (_, true, true) if first => Self::EventsFirst,
            (false, ..) | (_, true, true) => Self::Both,
            (_, true, false) => Self::Json,
            (_, false, true) => Self::Events,
            (_, false, false) => Self::Neither,
        }
    }

    /// Whether an event stream may be sent.
    #[must_use]
    pub const fn takes_events(self) -> bool {
        matches!(self, Self::Both | Self::EventsFirst | Self::Events)
    }

    /// Whether even a single answer is sent as an event stream: nothing else is taken, or it was named before JSON.
    #[must_use]
    pub const fn prefers_events(self) -> bool {
        matches!(self, Self::EventsFirst | Self::Events)
    }
}

/// The value of a mirrored header, sentinel decoded strictly (protocol 7.2). `None` if it cannot be decoded.
#[must_use]
pub fn decode_value(text: &str) -> Option<Cow<'_, str>> {
    match text.strip_prefix(SENTINEL.0).and_then(|rest| rest.strip_suffix(SENTINEL.1)) {
        Some(inner) => STANDARD.decode(inner).ok().and_then(|bytes| String::from_utf8(bytes).ok()).map(Cow::Owned),
        None => text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t')).then_some(Cow::Borrowed(text)),
    }
}

/// A value as it may stand in a header: as it is, or in the sentinel where it must be encoded.
#[must_use]
pub fn encode_value(text: &str) -> Cow<'_, str> {
    let plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t'));
    let padded = text.starts_with([' ', '\t']) || text.ends_with([' ', '\t']);
    let sentinel = text.starts_with(SENTINEL.0) && text.ends_with(SENTINEL.1);
    if plain && !padded && !sentinel && !text.is_empty() {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(format!("{}{}{}", SENTINEL.0, STANDARD.encode(text), SENTINEL.1))
    }
}

/// Reads the `x-mcp-header` annotations of a tool's input schema.
///
/// # Errors
/// [`BadAnnotation`]: the tool must be left out of every list.
pub fn mirrored(schema: &serde_json::Value) -> Result<Vec<Mirrored>, BadAnnotation> {
    let mut found = Vec::new();
    if schema.get("x-mcp-header").is_some() {
        return Err(BadAnnotation::Place);
    }
    collect(schema, &mut Vec::new(), &mut found)?;
    let mut names: Vec<String> = found.iter().map(|one: &Mirrored| one.header.to_ascii_lowercase()).collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    if names.len() == all { Ok(found) } else { Err(BadAnnotation::Repeated) }
}

fn collect(schema: &serde_json::Value, path: &mut Vec<String>, found: &mut Vec<Mirrored>) -> Result<(), BadAnnotation> {
    let Some(object) = schema.as_object() else { return Ok(()) };
    for (key, value) in object {
        match key.as_str() {
            "properties" => {
                for (name, property) in value.as_object().into_iter().flatten() {
                    path.push(name.clone());
                    if let Some(annotation) = property.get("x-mcp-header") {
                        found.push(annotated(annotation, property, path)?);
                    }
                    collect(property, path, found)?;
                    path.pop();
                }
            }
            // Content, not schema: nothing in there is an annotation.
            "const" | "enum" | "default" | "examples" | "x-mcp-header" => {}
            _ if mentions(value) => return Err(BadAnnotation::Place),
            _ => {}
        }
    }
    Ok(())
}

fn annotated(annotation: &serde_json::Value, property: &serde_json::Value, path: &[String]) -> Result<Mirrored, BadAnnotation> {
    let header = annotation.as_str().filter(|text| is_token(text)).ok_or(BadAnnotation::NotAToken)?;
    let kind = match property.get("type").and_then(serde_json::Value::as_str) {
        Some("string") => MirroredKind::Text,
        Some("integer") => MirroredKind::Integer,
        Some("boolean") => MirroredKind::Flag,
        _ => return Err(BadAnnotation::Type),
    };
    Ok(Mirrored { header: header.to_owned(), path: path.to_vec(), kind })
}

fn mentions(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Object(members) => members.iter().any(|(key, value)| key == "x-mcp-header" || mentions(value)),
        serde_json::Value::Array(values) => values.iter().any(mentions),
        _ => false,
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Compares the mirrored headers of a call with its arguments (protocol 7.3).
///
/// # Errors
/// [`Mismatch`] when a header is missing, superfluous or different. Headers that the tool does not mirror are no error.
pub fn check(mirrors: &[Mirrored], arguments: Option<&RawJson>, sent: &[ParamHeader]) -> Result<(), Mismatch> {
    for mirror in mirrors {
        let header = sent.iter().find(|header| header.name.eq_ignore_ascii_case(&mirror.header));
        let expected = mirror_value(mirror, arguments);
        let same = match (&expected, header) {
            (None, None) => true,
            (Some(expected), Some(header)) if mirror.kind == MirroredKind::Integer => same_integer(expected, &header.value),
            (Some(expected), Some(header)) => *expected == header.value,
            _ => false,
        };
        if !same {
            return Err(Mismatch(format!("Mcp-Param-{} does not mirror the argument {}", mirror.header, mirror.path.join("."))));
        }
    }
    Ok(())
}

/// The value that the header of a mirrored parameter must carry; `None` where the body has none.
#[must_use]
pub fn mirror_value(mirror: &Mirrored, arguments: Option<&RawJson>) -> Option<String> {
    let mut value = arguments?.clone();
    for key in &mirror.path {
        value = value.member(key)?;
    }
    match mirror.kind {
        MirroredKind::Text => value.as_text().map(Cow::into_owned),
        MirroredKind::Integer | MirroredKind::Flag if value.is_null() => None,
        MirroredKind::Integer | MirroredKind::Flag => std::str::from_utf8(value.as_bytes()).ok().map(str::to_owned),
    }
}

/// Numerically equal integers of the safe range: `42.0` is `42`.
fn same_integer(a: &str, b: &str) -> bool {
    let read = |text: &str| text.parse::<f64>().ok().filter(|n| n.fract() == 0.0 && n.abs() <= 9_007_199_254_740_991.0);
    matches!((read(a), read(b)), (Some(a), Some(b)) if a.total_cmp(&b).is_eq())
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rpc_05_the_sentinel_is_decoded_strictly_and_only_when_complete() {
        assert_eq!(decode_value("=?base64?SGVsbG8sIOS4lueVjA==?=").as_deref(), Some("Hello, 世界"));
        assert_eq!(decode_value("=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=").as_deref(), Some("=?base64?literal?="));
        for literal in ["=?base64?abc", "abc?=", "=?BASE64?YQ==?=", "plain"] {
            assert_eq!(decode_value(literal).as_deref(), Some(literal));
        }
        for bad in ["=?base64?YQ?=", "=?base64?Y Q==?=", "=?base64?!!!!?=", "=?base64?/w==?=", "\u{0}"] {
            assert_eq!(decode_value(bad), None, "{bad:?}");
        }
        for text in [" padded ", "", "=?base64?literal?=", "é", "plain", "a\nb"] {
            assert_eq!(decode_value(&encode_value(text)).as_deref(), Some(text));
        }
    }

    #[test]
    fn annotations_count_only_where_properties_lead() {
        let good = json!({"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},
            "deep":{"type":"object","properties":{"n":{"type":"integer","x-mcp-header":"N"}}}}});
        let found = mirrored(&good).expect("valid");
        assert_eq!(found.iter().map(|m| m.path.join(".")).collect::<Vec<_>>(), ["region", "deep.n"]);
        for (bad, why) in [
            (json!({"properties":{"a":{"type":"string","x-mcp-header":""}}}), BadAnnotation::NotAToken),
            (json!({"properties":{"a":{"type":"string","x-mcp-header":"a b"}}}), BadAnnotation::NotAToken),
            (json!({"properties":{"a":{"type":"number","x-mcp-header":"A"}}}), BadAnnotation::Type),
            (
                json!({"properties":{"a":{"type":"string","x-mcp-header":"A"},"b":{"type":"string","x-mcp-header":"a"}}}),
                BadAnnotation::Repeated,
            ),
            (json!({"properties":{"a":{"items":{"type":"string","x-mcp-header":"A"}}}}), BadAnnotation::Place),
            (json!({"allOf":[{"properties":{"a":{"type":"string","x-mcp-header":"A"}}}]}), BadAnnotation::Place),
            (json!({"x-mcp-header":"A"}), BadAnnotation::Place),
        ] {
            assert_eq!(mirrored(&bad), Err(why), "{bad}");
        }
    }

    #[test]
    fn rpc_05_headers_mirror_the_arguments_or_the_call_is_refused() {
        let mirrors = [
            Mirrored { header: "Region".into(), path: vec!["region".into()], kind: MirroredKind::Text },
            Mirrored { header: "N".into(), path: vec!["n".into()], kind: MirroredKind::Integer },
        ];
        let json = |text: &str| RawJson::parse(&bytes::Bytes::copy_from_slice(text.as_bytes()), 8).expect("valid");
        let sent =
            |pairs: &[(&str, &str)]| pairs.iter().map(|(n, v)| ParamHeader { name: (*n).into(), value: (*v).into() }).collect::<Vec<_>>();
        let full = json(r#"{"region":"eu","n":42}"#);
        assert!(check(&mirrors, Some(&full), &sent(&[("region", "eu"), ("n", "42.0"), ("other", "x")])).is_ok());
        for bad in [vec![("region", "eu")], vec![("region", "EU"), ("n", "42")], vec![("region", "eu"), ("n", "43")]] {
            assert!(check(&mirrors, Some(&full), &sent(&bad)).is_err(), "{bad:?}");
        }
        assert!(check(&mirrors, Some(&json(r#"{"region":null}"#)), &[]).is_ok());
        assert!(check(&mirrors, None, &sent(&[("region", "eu")])).is_err());
    }
}
