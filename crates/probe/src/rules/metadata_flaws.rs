//! DW104: resource metadata of another resource, an issuer that is not itself, no PKCE with S256, no `iss`.

use super::{LiveRule, Look};
use crate::door::Stop;
use crate::metadata::Document;
use crate::registration::{Challenge, REDIRECT, answered, authorize};
use crate::visit::{Access, Visit};
use doorward_scan::{Confidence, Finding, Rule, Severity};
use serde_json::Value;
use url::Url;

pub(super) static RULE: LiveRule = LiveRule {
    rule: Rule::live(
        "DW104",
        Severity::Medium,
        "Metadata is missing or wrong",
        "Clients that follow wrong metadata send codes and tokens to the wrong place; without PKCE and iss a stolen or mixed-up code works.",
        "serve metadata that names exactly this resource and issuer, S256 alone, and authorization_response_iss_parameter_supported: true",
    ),
    look: Look::One(|visit| Box::pin(look(visit))),
};

/// Authorizations that no server should grant.
const WEAK: [(Challenge, &str); 2] = [
    (Challenge::Missing, "an authorization without code_challenge was granted"),
    (Challenge::Plain, "an authorization with the method plain was granted"),
];

async fn look(visit: &Visit) -> Result<Vec<Finding>, Stop> {
    let known = visit.seen()?;
    let metadata = &known.metadata;
    if metadata.named.is_none() && metadata.resource.is_none() && metadata.server.is_none() {
        return Err(Stop::Untried("the server offers no OAuth"));
    }
    if metadata.named.is_none() && metadata.resource.is_none() && known.access == Access::Keyed {
        return Err(Stop::Untried("the server lets keys in, and offers no OAuth for this address"));
    }
    let mut found = Vec::new();
    let mut say = |sure, subject: &str, evidence: String| found.push(visit.finding(&RULE.rule, sure, subject, evidence));
    match &metadata.resource {
        None if metadata.named.is_some() => {
            say(Confidence::High, "protected resource metadata", "the document that the challenge names is not there".to_owned());
        }
        None => say(Confidence::Medium, "protected resource metadata", "there is none (RFC 9728)".to_owned()),
        Some(document) => {
            if let Some(evidence) = wrong_resource(document, &visit.url) {
                say(Confidence::High, "protected resource metadata", evidence);
            }
            if document.list("authorization_servers").is_none_or(|servers| servers.is_empty()) {
                say(Confidence::High, "protected resource metadata", "names no authorization server".to_owned());
            }
        }
    }
    let Some(server) = &metadata.server else {
        let issuer = metadata.issuer.as_ref().and_then(|issuer| issuer.parse::<Url>().ok());
        if issuer.is_some_and(|issuer| visit.door.admits(&issuer).is_ok()) {
            say(
                Confidence::High,
                "authorization server metadata",
                "is at none of its well-known addresses (RFC 8414 section 3)".to_owned(),
            );
        }
        return Ok(found);
    };
    for (sure, evidence) in wrong_server(server, metadata.issuer.as_deref()) {
        say(sure, "authorization server metadata", evidence);
    }
    if let Some(client) = visit.client().await? {
        for (challenge, evidence) in WEAK {
            let reply = authorize(visit, client, REDIRECT, challenge).await?;
            if reply.is_some_and(|reply| answered(&reply, REDIRECT, "code").is_some()) {
                say(Confidence::High, "authorization endpoint", evidence.to_owned());
            }
        }
    }
    Ok(found)
}

/// RFC 9728 section 3.3: the resource is the one that was asked, or one above it.
fn wrong_resource(document: &Document, asked: &Url) -> Option<String> {
    let Some(resource) = document.text("resource") else { return Some("names no resource".to_owned()) };
    let Ok(url) = resource.parse::<Url>() else { return Some("resource is no address".to_owned()) };
    let (above, path) = (url.path().trim_end_matches('/'), asked.path());
    let inside = path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    (url.origin() != asked.origin() || !inside).then(|| format!("resource is {resource}, which is not this server"))
}

fn wrong_server(server: &Document, named: Option<&str>) -> Vec<(Confidence, String)> {
    let mut found = Vec::new();
    let issuer = server.text("issuer").unwrap_or_default();
    if let Some(named) = named.filter(|named| *named != issuer) {
        // A slash at the end is what libraries add; clients that compare bytes, as they must, stop there.
        let slash = named.trim_end_matches('/') == issuer.trim_end_matches('/');
        let sure = if slash { Confidence::Low } else { Confidence::High };
        found.push((sure, format!("issuer is {issuer}, not {named} as the resource says (RFC 8414 section 3.3)")));
    }
    match server.list("code_challenge_methods_supported") {
        None => found.push((Confidence::High, "no code_challenge_methods_supported: clients must refuse to go on".to_owned())),
        Some(methods) => {
            if !methods.contains(&"S256") {
                found.push((Confidence::High, "PKCE without S256".to_owned()));
            }
            if methods.contains(&"plain") {
                found.push((Confidence::High, "PKCE with the method plain (RFC 9700 section 2.1.1)".to_owned()));
            }
        }
    }
    if server.value.get("authorization_response_iss_parameter_supported").and_then(Value::as_bool) != Some(true) {
        found.push((Confidence::Medium, "no iss in authorization responses (RFC 9207)".to_owned()));
    }
    for endpoint in ["authorization_endpoint", "token_endpoint", "registration_endpoint"] {
        if server.url.scheme() == "https" && server.address(endpoint).is_some_and(|url| url.scheme() != "https") {
            found.push((Confidence::High, format!("{endpoint} is not https")));
        }
    }
    found
}
