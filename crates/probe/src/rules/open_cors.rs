//! DW109: the answers to a browser let foreign pages in (CORS).

use super::{LiveRule, Look};
use crate::ask::Ask;
use crate::door::Stop;
use crate::registration::STRANGER;
use crate::visit::{Access, Visit};
use doorward_scan::{Confidence, Finding, Rule, Severity};
use http::Method;
use url::Url;

pub(super) static RULE: LiveRule = LiveRule {
    rule: Rule::live(
        "DW109",
        Severity::Medium,
        "Web pages of others may read answers",
        "A web page that a user visits can then use the server, with the cookies of the user or without any credential.",
        "name the origins that are meant, and never let any origin use credentials (Fetch standard, section 3.2)",
    ),
    look: Look::One(|visit| Box::pin(look(visit))),
};

async fn look(visit: &Visit) -> Result<Vec<Finding>, Stop> {
    let known = visit.seen()?;
    let token = known.metadata.server.as_ref().and_then(|server| server.address("token_endpoint"));
    let mut found = Vec::new();
    for (subject, url, access) in [("MCP endpoint", Some(visit.url.clone()), known.access), ("token endpoint", token, Access::Locked)] {
        let Some(url) = url.filter(|url| visit.door.admits(url).is_ok()) else { continue };
        if let Some(evidence) = lets_pages_in(visit, url, access).await? {
            found.push(visit.finding(&RULE.rule, Confidence::High, subject, evidence));
        }
    }
    Ok(found)
}

/// What a browser would be told before it sends a request of a foreign page.
async fn lets_pages_in(visit: &Visit, url: Url, access: Access) -> Result<Option<&'static str>, Stop> {
    let origin = format!("https://{STRANGER}");
    let ask = Ask::new(Method::OPTIONS, url)
        .field("origin", &origin)
        .field("access-control-request-method", "POST")
        .field("access-control-request-headers", "authorization, content-type, mcp-protocol-version");
    let reply = visit.send(ask).await?;
    let allowed = reply.field("access-control-allow-origin").unwrap_or_default();
    let credentials = reply.field("access-control-allow-credentials").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    Ok(if allowed == origin && credentials {
        Some("every origin may use the cookies of the user")
    } else if allowed == "*" && credentials {
        // Browsers do not take this, but whoever wrote it meant the case above.
        Some("Access-Control-Allow-Origin: * with credentials")
    } else if (allowed == origin || allowed == "*") && access == Access::Open {
        Some("every origin may read answers, and no credential is needed")
    } else {
        None
    })
}
