//! DW107: a session that one identity opened is used by another one, or by nobody.

use super::{LiveRule, Look};
use crate::door::Stop;
use crate::visit::{Access, Does, Visit};
use doorward_scan::{Confidence, Finding, Rule, Severity};

pub(super) static RULE: LiveRule = LiveRule {
    rule: Rule::live(
        "DW107",
        Severity::High,
        "A session works for somebody else",
        "A session id that was seen or guessed is then as good as the credential of its user.",
        "bind each session to the identity that opened it, and check both on every request",
    ),
    look: Look::One(|visit| Box::pin(look(visit))),
};

async fn look(visit: &Visit) -> Result<Vec<Finding>, Stop> {
    let own = visit.with_sessions()?;
    if visit.seen()?.access == Access::Open {
        return Err(Stop::Untried("the server tells no identities apart"));
    }
    let session = visit.open(own).await?;
    let Some(id) = session.id.clone() else { return Err(Stop::Untried("the server gives no session ids")) };
    let mut found = Vec::new();
    if visit.list(None, Some(&id)).await?.result().is_some() {
        found.push(visit.finding(&RULE.rule, Confidence::High, "no credential", "tools/list was answered in a session of somebody"));
    }
    let untried = match &visit.keys.second {
        None => Some("another identity was not tried: it wants a second credential, --probe-second-token"),
        Some(second) => {
            let theirs = visit.start(Some(second)).await?;
            visit.close(&theirs).await?;
            if theirs.reply.result().is_none() {
                Some("another identity was not tried: the server refuses the second credential")
            } else {
                // Where any id works there are no sessions to take over.
                let takes_any = visit.takes_any_session(Some(second)).await? == Does::Yes;
                if !takes_any && visit.list(Some(second), Some(&id)).await?.result().is_some() {
                    let evidence = "tools/list was answered in a session of the first credential";
                    found.push(visit.finding(&RULE.rule, Confidence::High, "the second credential", evidence));
                }
                None
            }
        }
    };
    visit.close(&session).await?;
    match untried {
        Some(why) if found.is_empty() => Err(Stop::Untried(why)),
        _ => Ok(found),
    }
}
