//! DW010: a server that is reached over HTTP without TLS on another computer (RFC 6750 section 5.3; MCP authorization,
//! "Communication Security"). Loopback is fine.

use super::Rule;
use super::web::{addresses, is_loopback};
use crate::estate::Estate;
use crate::finding::{Confidence, Finding, Severity};

pub(super) static RULE: Rule = Rule {
    id: "DW010",
    severity: Severity::High,
    title: "Plain HTTP to another computer",
    why: "Everybody on the way can read the token and the data, and change what tools are and what they answer.",
    fix: "use https; if the server has no certificate, put it behind the gateway or a tunnel",
    check,
};

fn check(estate: &Estate) -> Vec<Finding> {
    let mut found = Vec::new();
    for (document, server) in estate.servers() {
        for address in
            addresses(server).into_iter().filter(|address| matches!(address.scheme.as_str(), "http" | "ws") && !is_loopback(&address.host))
        {
            let evidence = format!("{} = {}://{}", address.field, address.scheme, address.host);
            found.push(Finding::new(&RULE, Confidence::High, document.site(address.at), document.subject(server), evidence));
        }
    }
    found
}
