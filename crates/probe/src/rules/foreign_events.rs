//! DW112: events of one session are given to another one that names the last event id.

use super::{LiveRule, Look};
use crate::ask::{Ask, Key, LEGACY};
use crate::door::Stop;
use crate::visit::{Does, Visit};
use doorward_scan::{Confidence, Finding, Rule, Severity};
use http::Method;
use serde_json::json;

pub(super) static RULE: LiveRule = LiveRule {
    rule: Rule::live(
        "DW112",
        Severity::High,
        "A stream resumes for somebody else",
        "Event ids are often counted; whoever names one reads what the server told somebody else.",
        "bind event ids to session and identity; what belongs to another stream is unknown",
    ),
    look: Look::One(|visit| Box::pin(look(visit))),
};

async fn look(visit: &Visit) -> Result<Vec<Finding>, Stop> {
    let own = visit.with_sessions()?;
    let session = visit.open(own).await?;
    // The id of the request comes back in the event, so that a replay is known by it.
    let mark = format!("dw-{}", visit.word("event"));
    let ask = Ask::legacy(visit.url.clone(), &mark, "tools/list", &json!({})).by(own).in_session(session.id.as_deref());
    let ids = visit.send(ask).await?.event_ids();
    for id in &ids {
        visit.hide(id);
    }
    let Some(first) = ids.first() else {
        visit.close(&session).await?;
        return Err(Stop::Untried("the server gives no event ids"));
    };
    let second = visit.keys.second.as_ref();
    let (other, who) = if second.is_some() { (second, "a session of the second credential") } else { (own, "another session") };
    let mut found = Vec::new();
    let elsewhere = visit.open(other).await?;
    if replays(visit, other, elsewhere.id.as_deref(), first, &mark).await? == Does::Yes {
        found.push(visit.finding(&RULE.rule, Confidence::High, who, "events of the first session were replayed"));
    } else if second.is_some()
        // Where the session itself is shared, that is what is wrong (DW107).
        && visit.list(second, session.id.as_deref()).await?.result().is_none()
        && replays(visit, second, session.id.as_deref(), first, &mark).await? == Does::Yes
    {
        let evidence = "events of the first session were replayed to its id alone";
        found.push(visit.finding(&RULE.rule, Confidence::High, "the second credential", evidence));
    }
    visit.close(&elsewhere).await?;
    visit.close(&session).await?;
    Ok(found)
}

async fn replays(visit: &Visit, key: Option<&Key>, session: Option<&str>, after: &str, mark: &str) -> Result<Does, Stop> {
    let mut ask = Ask::new(Method::GET, visit.url.clone())
        .field("accept", "text/event-stream")
        .field("mcp-protocol-version", LEGACY)
        .field("last-event-id", after)
        .by(key)
        .in_session(session)
        .lingering();
    ask.wanted = Some(mark.to_owned());
    let reply = visit.send(ask).await?;
    Ok(if reply.is_success() && reply.text().contains(mark) { Does::Yes } else { Does::No })
}
