//! What is a secret in a text: by its beginning, by where it stands in a URL, else by the name of its key together with its
//! entropy. References (`${TOKEN}`) and obvious placeholders are none. Reports get [`redact`]ed forms only.

mod kinds;
mod text;

pub(crate) use kinds::{Kind, PLAIN};
pub(crate) use text::claims;

use crate::finding::Confidence;
use crate::raw::Raw;
use kinds::{BASIC, BEARER, JWT, NAMED, PASSWORD, PEM, PREFIXES, SAS, URL_PASSWORD, URL_QUERY};
use text::{Meaning, front, key_means, looks_random, looks_very_random, placeholder, without_references};

/// A secret in a text.
#[derive(Debug, Clone)]
pub(crate) struct Secret {
    pub(crate) kind: &'static Kind,
    pub(crate) value: Raw,
    pub(crate) confidence: Confidence,
}

/// No secret is longer, but for keys in PEM.
const LONGEST: usize = 4096;
/// So often one kind is looked for in one text. Who writes more than that does not want to be read.
const OFTEN: usize = 256;

/// What is longer is not called harmless.
const LONGEST_HARMLESS: usize = 120;

/// Parameters of URLs that hold secrets.
const PARAMETERS: [&str; 18] = [
    "token",
    "access_token",
    "refresh_token",
    "id_token",
    "auth_token",
    "authtoken",
    "key",
    "api_key",
    "apikey",
    "api-key",
    "x-api-key",
    "secret",
    "client_secret",
    "password",
    "passwd",
    "pwd",
    "auth",
    "code",
];

/// The secrets in the value of a key.
pub(crate) fn find(key: &str, whole: &str) -> Vec<Secret> {
    let text = without_references(whole);
    if text.trim().is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    pem(&text, &mut found);
    prefixed(&text, &mut found);
    tokens_of_json(&text, &mut found);
    urls(&text, &mut found);
    if found.is_empty() {
        found.extend(by_scheme(key, &text).or_else(|| by_name(key, &text)));
    }
    found
}

/// Whether something in a text stands for a value that is kept elsewhere.
pub(crate) fn refers(text: &str) -> bool {
    without_references(text) != text
}

/// Whether the value of a key is clearly nothing that anybody would want to have: a switch, a number, a name in words, a place. What
/// is not clear is not called harmless.
pub(crate) fn is_harmless(key: &str, text: &str) -> bool {
    if key_means(key) != Meaning::Nothing || text.len() > LONGEST_HARMLESS || !find(key, text).is_empty() {
        return false;
    }
    if text::is_path(text) && !text.contains(['?', '@', '#', '&', '=']) {
        return !text.split(['/', '\\']).any(looks_random);
    }
    // Letters, then perhaps a few digits: eu-central-1, v2, 2026-01-14.
    let plain = |part: &str| {
        let digits = part.trim_start_matches(|c: char| c.is_ascii_alphabetic());
        part.len() - digits.len() <= 20 && digits.len() <= 6 && digits.bytes().all(|b| b.is_ascii_digit())
    };
    text.split(['-', '_', '.', ':', ',', ' ', '/']).all(plain)
}

/// How a secret may be shown: the public beginning of its kind, two characters more, and its length.
pub(crate) fn redact(kind: &Kind, value: &Raw) -> String {
    let text = value.peek();
    let length = text.chars().count();
    if kind.prefix.is_empty() || length < 20 {
        return format!("...({length})");
    }
    let shown: String = text.chars().take(kind.prefix.chars().count() + 2).collect();
    format!("{shown}...({length})")
}

/// A text with everything that looks like a secret covered, for names and commands that are shown.
pub(crate) fn covered(key: &str, whole: &str) -> String {
    let mut shown = whole.to_owned();
    for secret in find(key, whole) {
        shown = shown.replace(secret.value.peek(), &redact(secret.kind, &secret.value));
    }
    shown
}

fn add(found: &mut Vec<Secret>, kind: &'static Kind, value: &str, confidence: Confidence) {
    let known = found.iter().any(|old| old.value.peek().contains(value));
    if !known {
        found.push(Secret { kind, value: Raw::new(value), confidence });
    }
}

fn pem(text: &str, found: &mut Vec<Secret>) {
    let Some((_, rest)) = text.split_once("-----BEGIN ") else { return };
    let Some((label, body)) = rest.split_once("-----") else { return };
    let body = body.split("-----END").next().unwrap_or_default().trim();
    if label.ends_with("PRIVATE KEY") && body.chars().count() >= 16 {
        add(found, &PEM, body, Confidence::High);
    }
}

fn prefixed(text: &str, found: &mut Vec<Secret>) {
    for kind in PREFIXES {
        for (at, _) in text.match_indices(kind.prefix).take(OFTEN) {
            let before = text.get(..at).and_then(|front| front.chars().next_back());
            let Some(token) = text.get(at..).map(run) else { continue };
            // What is unmistakable may hang on another word: `--token-ghp_..`; `sk-` may not.
            let distinct = kind.prefix.len() >= 4 && kind.prefix.ends_with(['_', '-']);
            let alone = before.is_none_or(|before| !before.is_ascii_alphanumeric() && (distinct || !matches!(before, '_' | '-')));
            let body = token.strip_prefix(kind.prefix).unwrap_or_default();
            if alone && token.len() >= kind.least && !placeholder(body) && varied(body) && fits(kind, token) {
                add(found, kind, token, Confidence::High);
            }
        }
    }
}

/// The characters that tokens are made of.
fn run(text: &str) -> &str {
    let text = front(text, LONGEST);
    let end =
        text.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-' | '.' | '/' | '+' | '=' | '~')).unwrap_or(text.len());
    text.get(..end).unwrap_or_default().trim_end_matches('.')
}

/// Words in lower case with hyphens, as in `sk-learn-something-of-mine`, are names.
fn varied(body: &str) -> bool {
    body.chars().any(|c| c.is_ascii_digit() || c.is_ascii_uppercase())
}

fn fits(kind: &Kind, token: &str) -> bool {
    match kind.prefix {
        "AKIA" | "ASIA" => token.len() == 20 && token.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()),
        "AIza" => !token.contains(['.', '/', '+', '=']),
        _ => true,
    }
}

fn tokens_of_json(text: &str, found: &mut Vec<Secret>) {
    for (at, _) in text.match_indices(JWT.prefix).take(OFTEN) {
        let before = text.get(..at).and_then(|front| front.chars().next_back());
        let Some(token) = text.get(at..).map(run) else { continue };
        let alone = before.is_none_or(|before| !before.is_ascii_alphanumeric());
        if alone && token.len() >= JWT.least && token.matches('.').count() == 2 && !placeholder(token) {
            add(found, &JWT, token, Confidence::High);
        }
    }
}

fn urls(text: &str, found: &mut Vec<Secret>) {
    for (at, _) in text.match_indices("://").take(OFTEN) {
        let rest = front(text.get(at + 3..).unwrap_or_default(), LONGEST);
        let url = rest.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>')).next().unwrap_or_default();
        let authority = url.split(['/', '?', '#']).next().unwrap_or_default();
        if let Some((user, _)) = authority.rsplit_once('@') {
            let password = user.split_once(':').map_or("", |(_, password)| password);
            // A token alone before the @ is a secret too; a user name is not.
            if password.len() >= 3 && !placeholder(password) && !common(password) {
                add(found, &URL_PASSWORD, password, Confidence::High);
            } else if password.is_empty() && looks_random(user) {
                add(found, &URL_PASSWORD, user, Confidence::Medium);
            }
        }
        let query = url.split_once('?').map_or("", |(_, query)| query).split('#').next().unwrap_or_default();
        let parameters: Vec<(&str, &str)> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        for (name, value) in &parameters {
            if value.len() < 6 || placeholder(value) {
                continue;
            }
            let lower = name.to_ascii_lowercase();
            if lower == "sig" && parameters.iter().any(|(other, _)| matches!(*other, "sv" | "se" | "sp")) {
                add(found, &SAS, value, Confidence::High);
            } else if PARAMETERS.contains(&lower.as_str()) || key_means(&lower) == Meaning::Secret {
                let confidence = if looks_random(value) { Confidence::High } else { Confidence::Medium };
                add(found, &URL_QUERY, value, confidence);
            }
        }
    }
}

/// Passwords of examples that everybody has.
fn common(password: &str) -> bool {
    matches!(
        password.to_ascii_lowercase().as_str(),
        "password" | "pass" | "postgres" | "root" | "admin" | "user" | "test" | "secret" | "guest"
    )
}

/// `Bearer X`, `Basic X` and `token X`, also inside a text such as the JSON of headers.
fn by_scheme(key: &str, text: &str) -> Option<Secret> {
    let lower = text.to_ascii_lowercase();
    for scheme in ["bearer ", "basic ", "token ", "apikey "] {
        for (at, _) in lower.match_indices(scheme).take(OFTEN) {
            let before = lower.get(..at).and_then(|front| front.chars().next_back());
            let Some(value) = text.get(at + scheme.len()..).map(run) else { continue };
            if before.is_some_and(|before| before.is_ascii_alphanumeric()) || placeholder(value) {
                continue;
            }
            let kind = match scheme {
                "bearer " if value.len() >= 12 && (looks_random(value) || value.len() >= 20) => &BEARER,
                "basic " if value.len() >= 8 && text::base64(value).is_some_and(|bytes| bytes.contains(&b':')) => &BASIC,
                "token " | "apikey " if looks_random(value) && key_means(key) == Meaning::Secret => &BEARER,
                _ => continue,
            };
            return Some(Secret { kind, value: Raw::new(value), confidence: Confidence::High });
        }
    }
    None
}

fn by_name(key: &str, text: &str) -> Option<Secret> {
    let value = text.trim().trim_matches(['"', '\'']);
    if value.chars().any(char::is_whitespace) || placeholder(value) || value.contains("://") || text::is_path(value) {
        return None;
    }
    let secret = |kind, confidence| Some(Secret { kind, value: Raw::new(value), confidence });
    match key_means(key) {
        Meaning::Password if value.chars().count() >= 6 && !common(value) && !text::is_plain_word(value) => {
            secret(&PASSWORD, Confidence::Medium)
        }
        Meaning::Secret if looks_random(value) => secret(&NAMED, Confidence::Medium),
        Meaning::Perhaps if looks_very_random(value) => secret(&NAMED, Confidence::Medium),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
