//! What is asked for: as little as is known to be needed, and never more than the administrator allows (attack OC-10).
//!
//! A server's word, in a challenge or in its metadata, is a wish. Must not know who consents.

/// What the administrator says of the scopes of one server.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits<'a> {
    /// What is asked for; empty where the server may say it.
    pub scopes: &'a [String],
    /// The most that may be asked for; `None` where nothing is said.
    pub ceiling: Option<&'a [String]>,
    /// What is never asked for.
    pub blocked: &'a [String],
}

/// What the other side says of its scopes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes<'a> {
    /// Those of the challenge.
    pub challenge: Option<&'a [String]>,
    /// Those that the server knows (RFC 9728 section 2).
    pub resource: Option<&'a [String]>,
    /// Those that its authorization server knows (RFC 8414 section 2).
    pub server: Option<&'a [String]>,
}

/// Scopes of one request, challenge or document at most.
pub const MOST_SCOPES: usize = 1_000;
/// With it comes a refresh token (OpenID Connect Core section 11).
pub const OFFLINE: &str = "offline_access";
/// Longest scope, in bytes.
const LONGEST: usize = 512;

/// Whether a text is one scope (RFC 6749 section 3.3).
#[must_use]
pub fn is_scope(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

/// What a new connection asks for (MCP, "Scope Selection Strategy"): what is configured, else what the challenge names, else what the
/// server knows, within the limits. Empty means that nothing is said of scopes and the authorization server chooses.
#[must_use]
pub fn asked(limits: Limits<'_>, wishes: Wishes<'_>) -> Vec<String> {
    let wanted = if limits.scopes.is_empty() { wishes.challenge.or(wishes.resource).unwrap_or_default() } else { limits.scopes };
    let mut found = Vec::new();
    let offline = wishes.server.is_some_and(|known| known.iter().any(|scope| scope == OFFLINE)).then(|| OFFLINE.to_owned());
    // Alone it would be all that is asked for, where the server was to choose.
    let offline = offline.filter(|_| !wanted.is_empty());
    for scope in wanted.iter().chain(&offline) {
        if limits.allow(scope) && !found.contains(scope) {
            found.push(scope.clone());
        }
    }
    found
}

// === impl Limits ===

impl Limits<'_> {
    /// Whether a scope may be asked for.
    #[must_use]
    pub fn allow(&self, scope: &str) -> bool {
        let named = |all: &[String]| all.iter().any(|one| one == scope);
        is_scope(scope) && !named(self.blocked) && self.ceiling.is_none_or(named)
    }
}
