//! DW050: a server that is reached through the gateway is also configured without it. Who does not use the gateway has no such
//! finding.

use super::Rule;
use super::web::{addresses, is_loopback};
use crate::estate::{Document, Estate};
use crate::finding::{Confidence, Finding, Severity};
use crate::launch::launch;
use crate::server::{Server, State};
use std::collections::BTreeMap;

pub(super) static RULE: Rule = Rule {
    id: "DW050",
    severity: Severity::Info,
    title: "Also configured without the gateway",
    why: "What goes this way is neither decided nor recorded, and the secret of the server is still on this computer.",
    fix: "remove the entry, or let it lead to the gateway",
    check,
};

/// The port of a gateway on this computer.
const PORT: u16 = 8417;

/// How a server of the gateway is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// By signing in.
    Session,
    /// By a static key.
    Key,
    /// By `doorward bridge`.
    Bridge,
}

fn check(estate: &Estate) -> Vec<Finding> {
    let mut behind: BTreeMap<String, (&Document, &Server)> = BTreeMap::new();
    for (document, server) in estate.servers().filter(|(_, server)| server.state == State::Enabled) {
        if let Some((_, name)) = door(server) {
            behind.entry(plain(&name.unwrap_or_else(|| server.name.clone()))).or_insert((document, server));
        }
    }
    let mut found = Vec::new();
    for (document, server) in estate.servers().filter(|(_, server)| server.state == State::Enabled && door(server).is_none()) {
        if let Some((other, through)) = behind.get(&plain(&server.name)) {
            let evidence = format!("{} reaches it through the gateway ({})", other.subject(through), other.shown);
            found.push(Finding::new(&RULE, Confidence::Medium, document.site(server.at), document.subject(server), evidence));
        }
    }
    found
}

/// Whether an entry leads to a Doorward, and to which server of it.
pub(super) fn door(server: &Server) -> Option<(Door, Option<String>)> {
    let launch = launch(server);
    if launch.program == "doorward" && launch.words.get(1).is_some_and(|word| word.text == "bridge") {
        let name = launch.words.iter().skip(2).find(|word| !word.text.starts_with('-'));
        return Some((Door::Bridge, name.map(|word| word.text.clone())));
    }
    let address = addresses(server).into_iter().next()?;
    let parts: Vec<&str> = address.path.split('/').filter(|part| !part.is_empty()).collect();
    let own = address.port == Some(PORT) && is_loopback(&address.host);
    match parts.as_slice() {
        ["s", name, "mcp"] => Some((Door::Session, Some((*name).to_owned()))),
        ["k", name, "mcp"] => Some((Door::Key, Some((*name).to_owned()))),
        ["k", "mcp"] => Some((Door::Key, None)),
        _ if own => Some((Door::Session, None)),
        _ => None,
    }
}

/// A name as people tell servers apart.
fn plain(name: &str) -> String {
    name.split('@').next().unwrap_or_default().to_ascii_lowercase().replace(['-', '_', ' '], "")
}
