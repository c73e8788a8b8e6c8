//! Credentials that no single service gives out: keys, tokens in common forms, passwords in addresses, and Doorward's own.

use super::{Rule, Subject, any, credential, random, real, with_digit};
use crate::secret::is_whole;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::ops::Range;

pub(super) const RULES: &[Rule] = &[
    // RFC 7468: how such a key begins. How far it goes is for `key`.
    Rule {
        id: "private-key",
        subject: Subject::Credential,
        words: &["private key-----", "private key block-----"],
        pattern: r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----",
        reach: (64, 0),
        proof: key_body,
        weight: 0,
        of_definitions: false,
        whole: key,
    },
    credential("age-key", &["age-secret-key-1"], r"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}", any),
    // RFC 7519; a JWE (RFC 7516) has five parts.
    Rule {
        reach: (8, 16 << 10),
        ..credential(
            "jwt",
            &["eyj"],
            r"(?:^|[^A-Za-z0-9_-])(?P<s>eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+){0,2})",
            is_jwt,
        )
    },
    credential("doorward-token", &["dwk_", "dwat_", "dwrt_", "dwcs_"], r"dw(?:k|at|rt|cs)_[A-Za-z0-9_-]{49}", is_ours),
    // RFC 3986 section 3.2.1. `user:password@` in front of a host.
    credential(
        "url-password",
        &["://"],
        r#"[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s:/?#@"'<>\\]{0,128}:(?P<s>[^\s/?#@"'<>\\{}$*]{3,128})@[A-Za-z0-9\[]"#,
        is_password,
    ),
    credential("azure-sas", &["sig="], r"[?&;](?:amp;)?sig=(?P<s>[A-Za-z0-9%+/]{40,}(?:=|%3[Dd]){0,2})", with_digit),
    credential("azure-storage-key", &["accountkey="], r"(?i)AccountKey=(?P<s>[A-Za-z0-9+/]{86}==)", real),
    // RFC 6750 and RFC 7617: what follows the scheme in a header that was printed.
    credential(
        "authorization-header",
        &["authorization"],
        r#"(?i)authorization["']?\s*[:=]\s*["']?(?:bearer|basic|token)\s+(?P<s>[A-Za-z0-9+/_.~-]{16,}={0,2})"#,
        with_digit,
    ),
    // A secret by the name beside it. In JSON the name is a key and comes in front with `=`.
    credential(
        "named-secret",
        &[
            "api_key",
            "apikey",
            "api-key",
            "secret_key",
            "secretkey",
            "secret-key",
            "access_key",
            "accesskey",
            "access-key",
            "client_secret",
            "clientsecret",
            "client-secret",
            "access_token",
            "accesstoken",
            "access-token",
            "refresh_token",
            "refreshtoken",
            "refresh-token",
            "auth_token",
            "authtoken",
            "auth-token",
            "private_token",
            "private-token",
            "privatetoken",
            "password",
            "passwd",
        ],
        r#"(?i)(?:^|[^A-Za-z0-9])(?:[a-z0-9]{1,24}[_-])?(?:api[_-]?key|secret[_-]?(?:access[_-]?)?key|client[_-]?secret|access[_-]?token|refresh[_-]?token|auth[_-]?token|private[_-]?token|passw(?:or)?d)\\?["']?\s*(?:[:=]|=>)\s*\\?["']?(?P<s>[A-Za-z0-9+/_.~=-]{20,200})"#,
        random,
    ),
];

/// A key from its first line on. In front of each line there may be its number, a mark of quotation or the name of its file, and
/// its breaks may be escaped, as in JSON that stands in a text. Without an end it goes as far as lines with something of a key.
fn key(text: &[u8], begin: Range<usize>) -> Range<usize> {
    const LONGEST: usize = 16 << 10;
    const LONGEST_LABEL: usize = 64;
    let body = text.get(begin.end..text.len().min(begin.end + LONGEST)).unwrap_or_default();
    // Where another one begins this one is over: who writes nothing but beginnings has each looked at once.
    let next = memchr::memmem::find(body, b"-----BEGIN ").unwrap_or(body.len());
    let body = body.get(..next).unwrap_or_default();
    let length = match memchr::memmem::find(body, b"-----END ") {
        Some(end) => {
            let label = body.get(end + 9..body.len().min(end + 9 + LONGEST_LABEL)).unwrap_or_default();
            end + 9 + memchr::memmem::find(label, b"-----").map_or(0, |label| label + 5)
        }
        None => {
            let (mut last, mut at, mut without) = (0, 0, 0);
            for line in body.split(|byte| matches!(byte, b'\n' | b'\\')) {
                let end = runs(line).filter(|run| run.len() >= SHORTEST_RUN).map(|run| run.end).last();
                match end {
                    Some(end) => (last, without) = (at + end, 0),
                    None => without += 1,
                }
                // Headers in the key and the line behind them have none (RFC 1421).
                if without > 4 {
                    break;
                }
                at += line.len() + 1;
            }
            last
        }
    };
    begin.start..begin.end + length
}

/// As much base64 as is more than a word.
const SHORTEST_RUN: usize = 16;

/// Runs of base64 in a text.
fn runs(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    text.split(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'+' | b'/' | b'=')).map(move |run| {
        let span = at..at + run.len();
        at += run.len() + 1;
        span
    })
}

/// At least a short key between the lines: a header alone, or one with a remark, is none.
fn key_body(found: &[u8]) -> bool {
    runs(found).filter_map(|run| found.get(run)).any(|run| run.len() >= SHORTEST_RUN && real(run))
}

/// The first part is a JSON object that names an algorithm (RFC 7515 section 4.1.1).
fn is_jwt(found: &[u8]) -> bool {
    let Some(head) = found.split(|byte| *byte == b'.').next() else { return false };
    URL_SAFE_NO_PAD.decode(head).is_ok_and(|json| json.starts_with(b"{\"") && memchr::memmem::find(&json, b"\"alg\"").is_some())
}

/// By its checksum: never by chance.
fn is_ours(found: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(found) else { return false };
    ["dwk_", "dwat_", "dwrt_", "dwcs_"].iter().any(|prefix| is_whole(text, prefix))
}

/// Not one of those that stand in every guide.
fn is_password(found: &[u8]) -> bool {
    const COMMON: [&[u8]; 12] =
        [b"password", b"passwd", b"pass", b"pwd", b"postgres", b"root", b"admin", b"user", b"test", b"secret", b"guest", b"token"];
    let lower = found.to_ascii_lowercase();
    let first = lower.first().copied();
    let is_port_like = lower.iter().all(u8::is_ascii_digit) && lower.len() <= 5;
    let mut kinds = lower.clone();
    kinds.sort_unstable();
    kinds.dedup();
    !COMMON.contains(&lower.as_slice())
        && kinds.len() > 2
        && !is_port_like
        && !lower.starts_with(b"your")
        && memchr::memmem::find(&lower, b"redacted").is_none()
        && memchr::memmem::find(&lower, b"example").is_none()
        && !matches!(first, Some(b'[' | b'%'))
}
