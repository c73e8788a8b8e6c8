//! DW051: a client reaches the gateway by a static key although it can sign in with OAuth.

use super::Rule;
use super::direct_server::{Door, door};
use crate::clients::Oauth;
use crate::estate::Estate;
use crate::finding::{Confidence, Finding, Severity};

pub(super) static RULE: Rule = Rule {
    id: "DW051",
    severity: Severity::Info,
    title: "Static key where OAuth works",
    why: "A static key is as good as its file; a sign-in gives short-lived tokens, for one person, that can be taken back one by one.",
    fix: "use /s/<server>/mcp without a header, sign in, then doorward apikey revoke",
    check,
};

fn check(estate: &Estate) -> Vec<Finding> {
    let mut found = Vec::new();
    for (document, server) in estate.servers() {
        let Some(client) = document.client().filter(|client| client.oauth == Oauth::Can) else { continue };
        let Some((Door::Key, _)) = door(server) else { continue };
        let at = server.url.as_ref().map_or(server.at, |url| url.at);
        let evidence = format!("{} can sign in, but uses a door for keys", client.name);
        found.push(Finding::new(&RULE, Confidence::High, document.site(at), document.subject(server), evidence));
    }
    found
}
