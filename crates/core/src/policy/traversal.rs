//! Texts that name a place in more than one way. A rule with a slash in it reads a path; it must not be walked around.

/// True when `text`, compared by a rule as a path, has one reading for every common server.
///
/// Refused are dot segments and empty segments, percent-encoded dots, slashes, backslashes and percent signs, control
/// characters, and characters that look like or fold to a slash or a dot (NFKC). `://` is allowed.
pub(super) fn is_plain_path(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() || is_look_alike(c)) && !has_encoded_separator(text) && !has_bent_segment(text)
}

/// True when the path of a URI has dot segments, written plainly or percent-encoded up to three times.
///
/// Such a URI is not normalised (RFC 3986 section 6.2.2.3); what a server makes of it cannot be known.
pub(super) fn has_dot_segments(uri: &str) -> bool {
    let path = uri.split(['?', '#']).next().unwrap_or(uri);
    let mut text = path.to_owned();
    for _ in 0..3 {
        if text.split(['/', '\\']).any(is_dots) {
            return true;
        }
        let decoded = decode_separators(&text);
        if decoded == text {
            return false;
        }
        text = decoded;
    }
    // Still changing after three rounds: nobody writes that by accident.
    true
}

fn has_bent_segment(text: &str) -> bool {
    let mut segments = without_scheme(text).split(['/', '\\']).enumerate().peekable();
    while let Some((at, segment)) = segments.next() {
        let inner = at > 0 && segments.peek().is_some();
        if is_dots(segment) || (segment.is_empty() && inner) {
            return true;
        }
    }
    false
}

/// What follows `scheme://` (RFC 3986 section 3.1), or the whole text.
fn without_scheme(text: &str) -> &str {
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
    };
    text.split_once("://").map_or(text, |(scheme, rest)| if is_scheme(scheme) { rest } else { text })
}

fn is_dots(segment: &str) -> bool {
    matches!(segment, "." | "..")
}

fn has_encoded_separator(text: &str) -> bool {
    text.as_bytes().windows(3).any(|window| encoded(window).is_some())
}

/// The separator, dot or percent sign that three bytes stand for.
fn encoded(bytes: &[u8]) -> Option<char> {
    match bytes {
        [b'%', b'2', b'e' | b'E'] => Some('.'),
        [b'%', b'2', b'f' | b'F'] => Some('/'),
        [b'%', b'5', b'c' | b'C'] => Some('\\'),
        [b'%', b'2', b'5'] => Some('%'),
        _ => None,
    }
}

fn decode_separators(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (step, c) = match rest.as_bytes().get(..3).and_then(encoded) {
            Some(decoded) => (3, decoded),
            None => (c.len_utf8(), c),
        };
        out.push(c);
        rest = rest.get(step..).unwrap_or_default();
    }
    out
}

/// Division and fraction slashes, set minus and other backslashes, leaders and full stops of other widths.
const fn is_look_alike(c: char) -> bool {
    matches!(
        c,
        '\u{2044}'
            | '\u{2215}'
            | '\u{29f8}'
            | '\u{ff0f}'
            | '\u{2216}'
            | '\u{29f5}'
            | '\u{29f9}'
            | '\u{fe68}'
            | '\u{ff3c}'
            | '\u{2024}'
            | '\u{2025}'
            | '\u{2026}'
            | '\u{fe52}'
            | '\u{ff0e}'
            | '\u{ff05}'
            | '\u{fe6a}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rs_06_a_path_has_one_reading_or_is_refused() {
        for good in ["acme/x", "acme", "", "/a/b/", "https://acme.example/a", "file:///public/a", "a..b/c", "a.b", "x y", "grüße/x", "100%"]
        {
            assert!(is_plain_path(good), "{good:?}");
        }
        for bad in [
            "acme/../other/x",
            "..",
            "./acme",
            "acme\\..\\x",
            "acme//x",
            "acme/x://../y",
            "https://acme.example//a",
            "acme/%2e%2e/x",
            "acme%2Fx",
            "acme/%252e%252e/x",
            "acme\u{2215}x",
            "acme/\u{ff0e}\u{ff0e}/x",
            "acme/\u{2025}/x",
            "acme/x\0",
            "acme/x\n",
        ] {
            assert!(!is_plain_path(bad), "{bad:?}");
        }
    }

    #[test]
    fn rs_06_dot_segments_of_uris_are_found_under_encodings() {
        for bad in ["file:///a/../b", "file:///a/%2e%2E/b", "file:///a%2f..%2fb", "file:///a/%252e%252e/b", "file:///a\\..\\b"] {
            assert!(has_dot_segments(bad), "{bad:?}");
        }
        for good in ["file:///a/b", "git://r/diff/a..b", "file:///a%2Fb", "x:y?p=../z", "file:///a%20b", "notes://.hidden/x"] {
            assert!(!has_dot_segments(good), "{good:?}");
        }
        assert!(has_dot_segments("file:///%25252525252e"), "endless encoding");
    }
}
