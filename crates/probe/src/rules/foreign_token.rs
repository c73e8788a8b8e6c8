//! DW102: a token that was made for another server, or by nobody, is let in.

use super::{LiveRule, Look};
use crate::ask::Key;
use crate::door::Stop;
use crate::visit::{Access, Visit};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_scan::{Confidence, Finding, Rule, Severity};
use serde_json::json;

pub(super) static RULE: LiveRule = LiveRule {
    rule: Rule::live(
        "DW102",
        Severity::High,
        "Accepts a token that is not its own",
        "A token for one server then opens this one: whoever receives tokens elsewhere can act here as their users, and often the token is passed on.",
        "check signature, issuer and audience of each token (RFC 9068 section 4); accept only tokens made for this server",
    ),
    look: Look::One(|visit| Box::pin(look(visit))),
};

async fn look(visit: &Visit) -> Result<Vec<Finding>, Stop> {
    if visit.seen()?.access == Access::Open {
        return Err(Stop::Untried("the server asks for no credential"));
    }
    let canary = Key::canary(&format!("dwcanary-{}", visit.word("token")));
    let mut found = Vec::new();
    for (subject, key) in [
        ("a token made up of random letters", canary),
        ("a JWT for another audience that nobody signed", forged(visit)),
        ("the token of another server (--probe-foreign-token)", visit.keys.foreign.clone()),
    ] {
        let Some(key) = key else { continue };
        visit.hide(&key.hidden());
        if let Some(evidence) = visit.lets_in(Some(&key)).await? {
            found.push(visit.finding(&RULE.rule, Confidence::High, subject, evidence));
        }
    }
    Ok(found)
}

/// A JWT that names the right issuer and a wrong audience; its signature is random.
fn forged(visit: &Visit) -> Option<Key> {
    let issuer = visit.known()?.metadata.issuer.clone().unwrap_or_else(|| visit.url.origin().ascii_serialization());
    let head = json!({"alg": "RS256", "typ": "at+jwt", "kid": "doorward-scan"});
    // Until 2100, so that no clock refuses it before anything else does.
    let claims = json!({
        "iss": issuer,
        "aud": "https://another-server.example/mcp",
        "sub": "doorward-scan",
        "client_id": "doorward-scan",
        "scope": "openid",
        "iat": 1_700_000_000,
        "exp": 4_102_444_800_u64,
        "jti": visit.word("jti"),
    });
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    Key::canary(&format!("{}.{}.{}", part(&head.to_string()), part(&claims.to_string()), part(&visit.word("signature").repeat(8))))
}
