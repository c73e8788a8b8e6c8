//! DW113: a version below 1.2 is spoken, the certificate is not to be believed, or there is no TLS towards another computer.

use super::{LiveRule, Look};
use crate::door::{Stop, Trouble};
use crate::hello::Old;
use crate::is_here;
use crate::visit::Visit;
use doorward_core::secret::sha256;
use doorward_scan::{Confidence, Finding, Rule, Severity};

pub(super) static RULE: LiveRule = LiveRule {
    rule: Rule::live(
        "DW113",
        Severity::Medium,
        "TLS is old, broken or missing",
        "Somebody on the way can read tokens and answers, or be the server.",
        "offer TLS 1.2 and 1.3 alone (RFC 8996), with a certificate for this name, and no plain HTTP",
    ),
    look: Look::One(|visit| Box::pin(look(visit))),
};

async fn look(visit: &Visit) -> Result<Vec<Finding>, Stop> {
    let one = |sure, evidence: &str| Ok(vec![visit.finding(&RULE.rule, sure, "connection", evidence)]);
    if visit.url.scheme() != "https" {
        return if is_here(&visit.url) {
            Err(Stop::Untried("the server is on this computer, without TLS"))
        } else {
            one(Confidence::High, "plain HTTP")
        };
    }
    match visit.trouble() {
        Some(Trouble::Certificate) => return one(Confidence::High, "the certificate is not to be believed; nothing was sent"),
        Some(Trouble::Tls) => return one(Confidence::Medium, "no handshake of TLS 1.2 or 1.3 was possible; nothing was sent"),
        Some(_) => return Ok(Vec::new()),
        None => {}
    }
    let mut found = Vec::new();
    for old in Old::ALL {
        let random = sha256(visit.word(old.name()).as_bytes());
        let Some(hello) = old.hello(visit.url.host_str().unwrap_or_default(), &random) else { continue };
        if old.taken_up(&visit.door.raw(&visit.url, &hello).await?) {
            found.push(visit.finding(&RULE.rule, Confidence::High, "connection", format!("{} is accepted", old.name())));
        }
    }
    Ok(found)
}
