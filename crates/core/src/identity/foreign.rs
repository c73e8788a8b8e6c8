//! Recognises other people's credentials by their published prefixes, so that a passthrough attempt is named as one.

use crate::json::RawJson;
use aho_corasick::{AhoCorasick, MatchKind};
use std::sync::LazyLock;

/// Whose credential it looks like. The value itself is never kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ForeignKind {
    /// GitHub (`ghp_`, `gho_`, `ghu_`, `ghs_`, `ghr_`, `github_pat_`).
    GitHub,
    /// GitLab (`glpat-`).
    GitLab,
    /// Slack (`xoxb-` and relatives).
    Slack,
    /// Google OAuth access token (`ya29.`), refresh token (`1//0`) or API key (`AIza`).
    Google,
    /// AWS access key id or session token (`AKIA`, `ASIA`, `FwoG`, `IQoJ`).
    Aws,
    /// Anthropic or OpenAI style secret key (`sk-`).
    ModelProvider,
    /// npm (`npm_`).
    Npm,
    /// Linear (`lin_api_`).
    Linear,
    /// A JSON Web Token of an issuer that is not configured.
    Jwt,
    /// A header that only ever carries somebody else's credential.
    Header,
}

/// Prefix, shortest plausible length of the whole, kind.
const PREFIXES: [(&str, usize, ForeignKind); 22] = [
    ("ghp_", 36, ForeignKind::GitHub),
    ("gho_", 36, ForeignKind::GitHub),
    ("ghu_", 36, ForeignKind::GitHub),
    ("ghs_", 36, ForeignKind::GitHub),
    ("ghr_", 36, ForeignKind::GitHub),
    ("github_pat_", 30, ForeignKind::GitHub),
    ("glpat-", 20, ForeignKind::GitLab),
    ("xoxb-", 15, ForeignKind::Slack),
    ("xoxp-", 15, ForeignKind::Slack),
    ("xoxa-", 15, ForeignKind::Slack),
    ("xoxs-", 15, ForeignKind::Slack),
    ("xapp-", 15, ForeignKind::Slack),
    ("ya29.", 20, ForeignKind::Google),
    ("1//0", 20, ForeignKind::Google),
    ("AIza", 35, ForeignKind::Google),
    ("AKIA", 20, ForeignKind::Aws),
    ("ASIA", 20, ForeignKind::Aws),
    ("FwoG", 100, ForeignKind::Aws),
    ("IQoJ", 100, ForeignKind::Aws),
    ("sk-", 20, ForeignKind::ModelProvider),
    ("npm_", 36, ForeignKind::Npm),
    ("lin_api_", 20, ForeignKind::Linear),
];

/// Finds where a token may begin. There is always one: the test of each prefix below would fail without it.
static BEGINNINGS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let prefixes = PREFIXES.iter().map(|(prefix, ..)| *prefix).chain([JWT]);
    // None begins another, so that all kinds find the same; this one looks at many bytes at once.
    AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(prefixes).ok()
});

/// What the first part of a JSON Web Token begins with: `{"` in base64url.
const JWT: &str = "eyJ";

/// Whose credential `text` looks like; `None` for our own tokens and for anything without a known shape.
#[must_use]
pub fn recognise(text: &str) -> Option<ForeignKind> {
    if is_ours(text) {
        return None;
    }
    let by_prefix = PREFIXES.iter().find(|(prefix, least, _)| text.starts_with(prefix) && text.len() >= *least);
    by_prefix.map(|(_, _, kind)| *kind).or_else(|| is_jwt(text).then_some(ForeignKind::Jwt))
}

/// The first token of somebody else that stands in the texts of a JSON value, keys among them (PT-02). Finds it in whatever
/// text is around it and however it is escaped; not one that is encoded, encrypted or in parts.
#[must_use]
pub fn in_texts(json: &RawJson) -> Option<ForeignKind> {
    let bytes = json.as_bytes();
    // Only these escapes can spell what a token begins with; without them a beginning stands in the bytes as it is.
    let is_spelled = memchr::memchr_iter(b'\\', bytes).any(|at| matches!(bytes.get(at + 1), Some(b'u' | b'/')));
    let begins = |finder: &AhoCorasick| finder.is_match(bytes);
    if !is_spelled && !BEGINNINGS.as_ref().is_none_or(begins) {
        return None;
    }
    json.find_text(within)
}

/// The first token of somebody else in a text. Only at the beginning of a word, so that `task-...` holds no `sk-...`; a word in
/// the way of the common ones that never hold a digit is no secret key.
fn within(text: &str) -> Option<ForeignKind> {
    let finder = BEGINNINGS.as_ref()?;
    // No beginning holds the boundary before another one, so that none hides behind one before it.
    finder.find_iter(text).find_map(|found| {
        let before = text.get(..found.start())?.bytes().next_back();
        if before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return None;
        }
        let rest = text.get(found.start()..)?;
        let slash = if rest.starts_with("1//0") { "/" } else { "" };
        let in_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '=') || slash.contains(c);
        let end = rest.find(|c| !in_token(c)).unwrap_or(rest.len());
        let word = rest.get(..end)?.trim_end_matches(['.', '=', '-']);
        recognise(word).filter(|kind| *kind != ForeignKind::ModelProvider || word.bytes().any(|byte| byte.is_ascii_digit()))
    })
}

/// True for anything that carries one of our own prefixes, well-formed or not.
#[must_use]
pub fn is_ours(text: &str) -> bool {
    ["dwk_", "dwat_", "dwrt_", "dwcs_"].iter().any(|prefix| text.starts_with(prefix))
}

/// Three dot-separated base64url parts (five for JWE) whose first is a JSON object (`eyJ`).
fn is_jwt(text: &str) -> bool {
    let parts = text.split('.').count();
    text.starts_with(JWT)
        && (parts == 3 || parts == 5)
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'='))
}

impl ForeignKind {
    /// The name in audit records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::Slack => "slack",
            Self::Google => "google",
            Self::Aws => "aws",
            Self::ModelProvider => "model-provider",
            Self::Npm => "npm",
            Self::Linear => "linear",
            Self::Jwt => "jwt",
            Self::Header => "header",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pt_02_names_the_owner_by_prefix() {
        for (text, kind) in [
            ("ghp_012345678901234567890123456789012345", ForeignKind::GitHub),
            ("xoxb-1234567890-abcdef", ForeignKind::Slack),
            ("ya29.a0AfH6SMBabcdefghijklmn", ForeignKind::Google),
            ("AKIAIOSFODNN7EXAMPLE", ForeignKind::Aws),
            ("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", ForeignKind::Jwt),
        ] {
            assert_eq!(recognise(text), Some(kind), "{text}");
        }
    }

    #[test]
    fn pt_02_finds_a_token_in_a_text_at_the_beginning_of_a_word() {
        for (text, kind) in [
            ("curl -H 'Authorization: token ghp_012345678901234567890123456789012345' https://a", ForeignKind::GitHub),
            ("https://a.example/?key=AIzaSy0123456789012345678901234567890123&x=1", ForeignKind::Google),
            ("A=AKIAIOSFODNN7EXAMPLE\nB=2", ForeignKind::Aws),
            ("Use eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln.", ForeignKind::Jwt),
            ("\u{fc}xoxb-1234567890-abcdef", ForeignKind::Slack),
            ("1//0abcdefghijklmnopqrst/uv", ForeignKind::Google),
            ("sk-proj-0123456789abcdef0123", ForeignKind::ModelProvider),
        ] {
            assert_eq!(within(text), Some(kind), "{text}");
        }
        for text in [
            "",
            "task-0123456789-0123456789-0123",
            "sk-learn-for-everyone-and-more",
            "ghp_short",
            "see AKIA",
            "my_ghp_012345678901234567890123456789012345",
        ] {
            assert_eq!(within(text), None, "{text}");
        }
    }

    #[test]
    fn our_own_and_plain_words_are_not_foreign() {
        for text in ["dwk_abc", "dwat_eyJ.a.b", "dwcs_eyJ.a.b", "hello", "sk-1", "eyJ.x"] {
            assert_eq!(recognise(text), None, "{text}");
        }
    }
}
