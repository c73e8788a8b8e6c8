//! DW105: a client registers with an address that is not its own, or an answer goes where nobody registered.

use super::{LiveRule, Look};
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
const REDIRECTS: [(&str, &str, Confidence); 5] = [
    ("http://attacker.example/callback", "plain HTTP to another computer", Confidence::High),
    ("javascript:alert(1)//callback", "a scheme that runs as a script", Confidence::High),
    ("data:text/html,callback", "a scheme that is a page of its own", Confidence::High),
    ("https://*.attacker.example/callback", "a wildcard", Confidence::Medium),
    ("https://attacker.example/callback", "any address over https", Confidence::Low),
];
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
