//! DW106: ids of sessions are short, repeated, counted, made of the time, or vary too little.

use super::{LiveRule, Look};
use crate::chance::{LEAST, flaw};
use crate::door::Stop;
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

async fn look(visit: &Visit) -> Result<Vec<Finding>, Stop> {
    let key = visit.with_sessions()?;
    let mut ids = Vec::new();
    let mut refused = 0;
    for _ in 0..visit.door.limits().samples {
        let session = visit.start(key).await?;
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
        ids.push(id);
    }
    if ids.len() < LEAST {
        return Err(Stop::Untried("the server did not open enough sessions to tell"));
    }
    Ok(flaw(&ids).map(|evidence| visit.finding(&RULE.rule, Confidence::High, "Mcp-Session-Id", evidence)).into_iter().collect())
}
