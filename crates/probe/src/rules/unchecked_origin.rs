//! DW108: a request of a foreign web page, or under a foreign name, is answered.

use super::{LiveRule, Look};
use crate::ask::Ask;
use crate::door::Stop;
use crate::registration::STRANGER;
use crate::visit::{Does, Session, Visit};
use doorward_core::network::Network;
use doorward_scan::{Confidence, Finding, Rule, Severity};
use serde_json::json;
use std::net::IpAddr;
use url::Host;

pub(super) static RULE: LiveRule = LiveRule {
    rule: Rule::live(
        "DW108",
        Severity::High,
        "Origin or Host is not checked",
        "A web page that a user visits can talk to the server through the browser (DNS rebinding), past every firewall.",
        "refuse an Origin that is not one's own with 403, and on this computer every Host that is not its name",
    ),
    look: Look::One(|visit| Box::pin(look(visit))),
};

async fn look(visit: &Visit) -> Result<Vec<Finding>, Stop> {
    let local = is_local(visit);
    let mut found = Vec::new();
    let origin = format!("https://{STRANGER}");
    if accepts(visit, "origin", &origin).await? == Does::Yes {
        // A server on the internet is not reached past a firewall; the specification wants the check all the same.
        let sure = if local == Does::Yes { Confidence::High } else { Confidence::Medium };
        found.push(visit.finding(&RULE.rule, sure, "Origin", format!("a request with Origin: {origin} was answered")));
    }
    if local == Does::Yes && accepts(visit, "host", STRANGER).await? == Does::Yes {
        // A page of a foreign name says so in its Origin as well.
        let sure = if found.is_empty() { Confidence::Medium } else { Confidence::High };
        found.push(visit.finding(&RULE.rule, sure, "Host", format!("a request with Host: {STRANGER} was answered")));
    }
    Ok(found)
}

async fn accepts(visit: &Visit, field: &str, value: &str) -> Result<Does, Stop> {
    let key = visit.identity()?;
    let ask = if visit.seen()?.legacy == Does::Yes {
        Ask::initialize(visit.url.clone(), &visit.id())
    } else {
        Ask::modern(visit.url.clone(), &visit.id(), "server/discover", json!({}))
    };
    let reply = visit.send(ask.by(key).field(field, value)).await?;
    if let Some(id) = reply.field("mcp-session-id") {
        visit.hide(id);
        visit.close(&Session { id: Some(id.to_owned()), key: key.cloned(), reply: reply.clone() }).await?;
    }
    Ok(if reply.result().is_some() { Does::Yes } else { Does::No })
}

/// Whether the address is of this computer or of a network of one's own.
fn is_local(visit: &Visit) -> Does {
    let of = |ip: IpAddr| if Network::of(ip) == Network::Public { Does::No } else { Does::Yes };
    match visit.url.host() {
        Some(Host::Ipv4(ip)) => of(ip.into()),
        Some(Host::Ipv6(ip)) => of(ip.into()),
        Some(Host::Domain(name)) if name == "localhost" || name.ends_with(".localhost") => Does::Yes,
        _ => Does::No,
    }
}
