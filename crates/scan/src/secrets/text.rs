//! What texts and names look like: references, placeholders, random strings, names of keys. Pure functions on text.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// What the name of a key promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    Secret,
    Perhaps,
    Password,
    Nothing,
}

const SECRET: [&str; 14] = [
    "token",
    "secret",
    "apikey",
    "api_key",
    "access_key",
    "accesskey",
    "private_key",
    "privatekey",
    "authorization",
    "credential",
    "credentials",
    "bearer",
    "secret_key",
    "encryption_key",
];
/// Words that mean a secret as often as not: an identifier, a scheme, a name in a cache.
const PERHAPS: [&str; 6] = ["key", "auth", "pat", "cookie", "signature", "seed"];
const PASSWORD: [&str; 5] = ["password", "passwd", "pwd", "pass", "passphrase"];
/// A key with one of these words names something about a secret.
const ABOUT: [&str; 42] = [
    "file",
    "path",
    "dir",
    "directory",
    "url",
    "uri",
    "endpoint",
    "host",
    "name",
    "id",
    "type",
    "mode",
    "method",
    "limit",
    "max",
    "min",
    "count",
    "ttl",
    "expiry",
    "expires",
    "timeout",
    "env",
    "var",
    "helper",
    "command",
    "cmd",
    "scope",
    "scopes",
    "public",
    "username",
    "user",
    "header",
    "prefix",
    "provider",
    "issuer",
    "audience",
    "algorithm",
    "enabled",
    "tokens",
    "server",
    "schema",
    "version",
];
const PLACEHOLDERS: [&str; 26] = [
    "your",
    "example",
    "placeholder",
    "changeme",
    "change_me",
    "change-me",
    "replace",
    "insert",
    "redacted",
    "dummy",
    "xxxx",
    "****",
    "....",
    "todo",
    "here",
    "sample",
    "my_",
    "my-",
    "<",
    ">",
    "{",
    "}",
    "[",
    "paste",
    "fill",
    "secret-from",
];

/// A text without what stands for a value that is kept elsewhere: `${X}`, `$X`, `%X%`, `{env:X}`, `{{X}}`, `$(command)`.
pub(crate) fn without_references(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = reference(rest);
        if length > 0 {
            rest = rest.get(length..).unwrap_or_default();
        } else {
            out.push(c);
            rest = rest.get(c.len_utf8()..).unwrap_or_default();
        }
    }
    out
}

/// No reference is longer.
const REFERENCE: usize = 256;

/// The beginning of a text, of at most this many bytes.
pub(super) fn front(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

/// The length in bytes of a reference at the beginning of a text, 0 if there is none.
fn reference(text: &str) -> usize {
    let closed = |open: &str, close: &str| {
        // Looked for a short way only: a text of nothing but openings must not be read to its end for each.
        let rest = front(text.strip_prefix(open)?, REFERENCE);
        rest.find(close).filter(|end| *end > 0 && rest.get(..*end).is_some_and(|inside| !inside.contains('\n')))
    };
    for (open, close) in [("${{", "}}"), ("{{", "}}"), ("${", "}"), ("$(", ")")] {
        if let Some(end) = closed(open, close) {
            return open.len() + end + close.len();
        }
    }
    for open in ["{env:", "{file:", "{input:", "op://", "vault://", "keychain://", "env:", "file:/"] {
        if let Some(rest) = text.strip_prefix(open) {
            let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '}' | '"' | '\'')).unwrap_or(rest.len());
            let brace = usize::from(open.starts_with('{') && rest.get(end..).is_some_and(|rest| rest.starts_with('}')));
            return open.len() + end + brace;
        }
    }
    if let Some(rest) = text.strip_prefix("$env:").or_else(|| text.strip_prefix('$')) {
        let name = name_length(rest);
        return if name > 0 && rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            text.len() - rest.len() + name
        } else {
            0
        };
    }
    if let Some(rest) = text.strip_prefix('%') {
        let name = name_length(rest);
        return if name > 1 && rest.get(name..).is_some_and(|rest| rest.starts_with('%')) { name + 2 } else { 0 };
    }
    0
}

fn name_length(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

/// Text that stands where people are to put something.
pub(crate) fn placeholder(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let letters: std::collections::BTreeSet<char> = lower.chars().filter(|c| !matches!(c, '-' | '_' | '.')).collect();
    let foreign = !text.is_ascii() && text.chars().all(|c| c.is_alphabetic() || matches!(c, '-' | '_'));
    letters.len() <= 2 || foreign || names_itself(text) || PLACEHOLDERS.iter().any(|word| lower.contains(word))
}

/// `bridge-password`, `my_api_token`: words of the language that say what belongs there.
fn names_itself(text: &str) -> bool {
    let plain = text.chars().all(|c| c.is_ascii_lowercase() || matches!(c, '-' | '_' | ' '));
    plain && text.split(['-', '_', ' ']).any(|word| matches!(word, "password" | "passwd" | "token" | "secret" | "key" | "apikey" | "value"))
}

/// What the name of a key promises: by its words, `GITHUB_TOKEN`, `apiKey`, `--api-key`, `X-Api-Key`.
pub(crate) fn key_means(key: &str) -> Meaning {
    let words = words(key);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let pair = words.windows(2).any(|two| SECRET.contains(&two.join("_").as_str()));
    if has(&PASSWORD) && !words.last().is_some_and(|last| ABOUT.contains(&last.as_str())) {
        return Meaning::Password;
    }
    let about = words.last().is_some_and(|last| ABOUT.contains(&last.as_str())) || has(&["max", "public", "limit", "count"]);
    match (has(&SECRET) || pair, has(&PERHAPS)) {
        _ if about => Meaning::Nothing,
        (true, _) => Meaning::Secret,
        (false, true) => Meaning::Perhaps,
        (false, false) => Meaning::Nothing,
    }
}

fn words(key: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut last_lower = false;
    for c in key.chars() {
        let start = !c.is_ascii_alphanumeric() || (c.is_ascii_uppercase() && last_lower);
        if start && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if c.is_ascii_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.push(c.to_ascii_lowercase());
        }
        last_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether a text looks made by a machine: long enough, of several classes of characters, of enough entropy in all.
pub(crate) fn looks_random(text: &str) -> bool {
    let length = text.chars().count();
    if length < 12 || text.chars().any(|c| c.is_whitespace() || !c.is_ascii()) {
        return false;
    }
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let upper = text.chars().any(|c| c.is_ascii_uppercase());
    let lower = text.chars().any(|c| c.is_ascii_lowercase());
    let mixed = (digits > 0 && (upper || lower)) || (upper && lower && length >= 24);
    // A date, a version or a port in a word of the language is no machine's doing.
    mixed && (digits >= 2 || length >= 24) && !is_path(text) && bits(text) >= 40.0
}

/// Random enough to be a secret under a name that says little: long, and no identifier of the usual form.
pub(crate) fn looks_very_random(text: &str) -> bool {
    let uuid = text.len() == 36 && text.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
    looks_random(text) && text.len() >= 20 && bits(text) >= 64.0 && !uuid
}

/// Shannon entropy of the characters, times their number.
fn bits(text: &str) -> f64 {
    let mut counts = std::collections::BTreeMap::<char, f64>::new();
    for c in text.chars() {
        *counts.entry(c).or_default() += 1.0;
    }
    let total: f64 = counts.values().sum();
    counts.values().map(|count| count * (total / count).log2()).sum()
}

pub(crate) fn is_path(text: &str) -> bool {
    text.starts_with(['/', '~', '.'])
        || text.starts_with("\\\\")
        || text.get(1..3).is_some_and(|at| at == ":\\" || at == ":/")
        || text.contains("://")
}

/// `required`, `prompt`, `true`: words that say how, not what.
pub(crate) fn is_plain_word(text: &str) -> bool {
    matches!(
        text.to_ascii_lowercase().as_str(),
        "true"
            | "false"
            | "required"
            | "prompt"
            | "optional"
            | "keyring"
            | "keychain"
            | "disabled"
            | "enabled"
            | "default"
            | "plaintext"
            | "scram-sha-256"
    )
}

/// Base64 in any of its usual spellings.
pub(crate) fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).or_else(|_| URL_SAFE_NO_PAD.decode(text.trim_end_matches('='))).ok()
}

/// The claims of a JSON web token; its signature is not looked at.
pub(crate) fn claims(token: &str) -> Option<serde_json::Value> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&base64(payload)?).ok()
}
