//! DW105: a client registers with an address that is not its own, or an answer goes where nobody registered.

use super::{LiveRule, Look};
use crate::ask::Reply;
use crate::door::Stop;
use crate::registration::{Challenge, STRANGER, authorize, leads_to, register};
use crate::visit::Visit;
use doorward_scan::{Confidence, Finding, Rule, Severity};

pub(super) static RULE: LiveRule = LiveRule {
    rule: Rule::live(
        "DW105",
        Severity::High,
        "Anybody may register any redirect",
        "An attacker registers a client whose codes come to them, and one click of a user who is signed in gives them away.",
        "refuse http to other computers, script schemes and wildcards, compare redirect URIs exactly, and ask for consent of each new client",
    ),
    look: Look::One(|visit| Box::pin(look(visit))),
};

/// Redirect URIs that no server should take; the last is what hosted clients have, so that consent is all that is left.
const REDIRECTS: [(&str, &str, Confidence); 4] = [
    ("http://attacker.example/callback", "plain HTTP to another computer", Confidence::High),
    ("javascript:alert(1)//callback", "a scheme that runs as a script", Confidence::High),
    ("data:text/html,callback", "a scheme that is a page of its own", Confidence::High),
    ("https://attacker.example/callback", "any address over https", Confidence::Low),
];
/// A pattern, an address that it means, and one that it does not.
const WILDCARD: [&str; 3] =
    ["https://*.attacker.example/callback", "https://x.attacker.example/callback", "https://attacker.test/callback"];
/// Addresses that look like the registered one, and lead to somebody else.
const TRICKS: [(&str, &str); 4] = [
    ("http://attacker.example/callback", "another address"),
    ("http://127.0.0.1:33418.attacker.example/callback", "the registered host as the beginning of another"),
    ("http://127.0.0.1:33418@attacker.example/callback", "the registered host as a user name"),
    ("http://attacker.example/?http://127.0.0.1:33418/callback", "the registered address inside another"),
];

async fn look(visit: &Visit) -> Result<Vec<Finding>, Stop> {
    let Some(server) = &visit.seen()?.metadata.server else { return Err(Stop::Untried("no authorization server is known")) };
    if server.address("registration_endpoint").is_none() {
        return Err(Stop::Untried("the authorization server registers nobody by itself"));
    }
    let mut found = Vec::new();
    for (redirect, what, sure) in REDIRECTS {
        if register(visit, redirect).await?.is_some() {
            let evidence = format!("a client was registered with {what}: {redirect}");
            found.push(visit.finding(&RULE.rule, sure, "registration endpoint", evidence));
        }
    }
    if let Some(evidence) = wildcard(visit).await? {
        found.push(visit.finding(&RULE.rule, Confidence::High, "authorization endpoint", evidence));
    }
    let Some(client) = visit.client().await? else { return Ok(found) };
    for (redirect, what) in TRICKS {
        let Some(reply) = authorize(visit, client, redirect, Challenge::S256).await? else { break };
        let stranger = leads_to(&reply, &visit.url).filter(|to| to.host_str().is_some_and(|host| host.ends_with(STRANGER)));
        if stranger.is_some() {
            let evidence = format!("an answer goes to what was not registered, {what}: {redirect}");
            found.push(visit.finding(&RULE.rule, Confidence::High, "authorization endpoint", evidence));
        }
    }
    Ok(found)
}

/// Whether a registered pattern counts as one: what it means is judged otherwise than what it does not mean. One that is only kept,
/// and then compared like any other text, harms nobody.
async fn wildcard(visit: &Visit) -> Result<Option<String>, Stop> {
    let [pattern, inside, outside] = WILDCARD;
    let Some(client) = register(visit, pattern).await? else { return Ok(None) };
    let (inside, outside) =
        (authorize(visit, &client, inside, Challenge::S256).await?, authorize(visit, &client, outside, Challenge::S256).await?);
    let taken = |reply: &Option<Reply>| reply.as_ref().and_then(|reply| reply.status).is_some_and(|status| status.as_u16() < 400);
    Ok((taken(&inside) && !taken(&outside)).then(|| format!("a wildcard in a redirect URI counts: {pattern}")))
}
