//! Recognises other people's credentials by their published prefixes, so that a passthrough attempt is named as one.

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

/// Whose credential `text` looks like; `None` for our own tokens and for anything without a known shape.
#[must_use]
pub fn recognise(text: &str) -> Option<ForeignKind> {
    if is_ours(text) {
        return None;
    }
    let by_prefix = PREFIXES.iter().find(|(prefix, least, _)| text.starts_with(prefix) && text.len() >= *least);
    by_prefix.map(|(_, _, kind)| *kind).or_else(|| is_jwt(text).then_some(ForeignKind::Jwt))
}

/// The first token of somebody else that stands in a text, whatever is around it (PT-02). Only at the beginning of a word, so
/// that `task-...` holds no `sk-...`; a word in the way of the common ones that never hold a digit is no secret key.
#[must_use]
pub fn within(text: &str) -> Option<ForeignKind> {
    let mut before = b' ';
    for (at, byte) in text.bytes().enumerate() {
        let begins = matches!(byte, b'g' | b'x' | b'y' | b'1' | b'A' | b'F' | b'I' | b's' | b'n' | b'l' | b'e');
        if begins && !before.is_ascii_alphanumeric() && before != b'_' {
            let rest = text.get(at..).unwrap_or_default();
            let slash = if rest.starts_with("1//0") { "/" } else { "" };
            let in_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '=') || slash.contains(c);
            let end = rest.find(|c| !in_token(c)).unwrap_or(rest.len());
            let word = rest.get(..end).unwrap_or_default().trim_end_matches(['.', '=', '-']);
            let kind = recognise(word);
            if kind.is_some_and(|kind| kind != ForeignKind::ModelProvider || word.bytes().any(|byte| byte.is_ascii_digit())) {
                return kind;
            }
        }
        before = byte;
    }
    None
}

/// True for anything that carries one of our own prefixes, well-formed or not.
#[must_use]
pub fn is_ours(text: &str) -> bool {
    ["dwk_", "dwat_", "dwrt_"].iter().any(|prefix| text.starts_with(prefix))
}

/// Three dot-separated base64url parts (five for JWE) whose first is a JSON object (`eyJ`).
fn is_jwt(text: &str) -> bool {
    let parts = text.split('.').count();
    text.starts_with("eyJ")
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
        for text in ["dwk_abc", "dwat_eyJ.a.b", "hello", "sk-1", "eyJ.x"] {
            assert_eq!(recognise(text), None, "{text}");
        }
    }
}
