//! DW106: ids of sessions are short, repeated, counted, made of the time, vary too little, or are a digest of something like that.

use super::{LiveRule, Look};
use crate::chance::{LEAST, flaw};
use crate::door::Stop;
use crate::guess::{Sample, http_date, recipe};
use crate::visit::Visit;
use doorward_scan::{Confidence, Finding, Rule, Severity};

pub(super) static RULE: LiveRule = LiveRule {
    rule: Rule::live(
        "DW106",
        Severity::High,
        "Session ids can be guessed",
        "Who guesses the id of a session takes part in it, where the server asks for nothing more.",
        "make each id of 128 or more bits from the random source of the system",
    ),
    look: Look::One(|visit| Box::pin(look(visit))),
};

/// So many sessions in a row may be refused before sampling ends: servers count.
const REFUSED: usize = 3;
/// So many ids tell of a counter; who has one need not be asked for more.
const ENOUGH: usize = 64;

async fn look(visit: &Visit) -> Result<Vec<Finding>, Stop> {
    let key = visit.with_sessions()?;
    let (mut ids, mut samples) = (Vec::new(), Vec::new());
    let mut refused = 0;
    // One after the other: a server that is in use feels two requests at a time from here, at most.
    for _ in 0..visit.door.limits().samples {
        if ids.len() >= LEAST && (visit.door.runs_short() || (ids.len() == ENOUGH && flaw(&ids).is_some())) {
            break;
        }
        let from = visit.door.now();
        let session = visit.start(key).await?;
        let to = visit.door.now();
        if session.reply.result().is_none() {
            refused += 1;
            if refused >= REFUSED {
                break;
            }
            continue;
        }
        refused = 0;
        let Some(id) = session.id.clone() else { return Err(Stop::Untried("the server gives no session ids")) };
        visit.close(&session).await?;
        let date = session.reply.field("date").and_then(http_date);
        samples.push(Sample { id: id.clone(), from, to, date });
        ids.push(id);
    }
    if ids.len() < LEAST {
        return Err(Stop::Untried("the server did not open enough sessions to tell"));
    }
    let evidence = flaw(&ids).or_else(|| recipe(&samples, &visit.names(), visit.door.limits().guesses));
    Ok(evidence.map(|evidence| visit.finding(&RULE.rule, Confidence::High, "Mcp-Session-Id", evidence)).into_iter().collect())
}
