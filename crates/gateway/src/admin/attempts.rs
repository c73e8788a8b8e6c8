//! Attempts to connect, for programs.

use doorward_core::id::{ClientId, CredentialId, ServerName};
use doorward_core::oauth::admission::Blocked;
use doorward_core::oauth::attempt::{Standing, Step};
use doorward_core::secret::sha256;
use doorward_core::time::Timestamp;
use doorward_store::Attempt;
use serde_json::{Value, json};

/// For programs: ids whole, the words of the documents.
#[must_use]
pub fn as_json(attempt: &Attempt, now: Timestamp) -> Value {
    let standing = attempt.way.standing(now);
    let (at, reason) = match standing {
        Standing::Arrived | Standing::Declined => (None, None),
        Standing::Waiting(step) => (Some(step), None),
        Standing::Stopped(step, reason) => (Some(step), reason),
    };
    let steps: Vec<Value> = attempt
        .way
        .marks()
        .iter()
        .map(|mark| {
            json!({"step": mark.step().as_str(), "at": mark.at().to_string(), "reason": mark.reason(), "certain": !mark.step().is_guess()})
        })
        .collect();
    json!({"id": attempt.id.to_string(), "user": attempt.user.as_ref().map(ToString::to_string), "from": attempt.peer,
        "client": attempt.client.as_ref().map(ClientId::as_str),
        "digest": attempt.client.as_ref().map(|id| Blocked::Digest(sha256(id.as_str().as_bytes())).to_string()),
        "name": attempt.name, "identity": attempt.identity, "server": attempt.server.as_ref().map(ServerName::as_str),
        "consent": attempt.grant.as_ref().map(CredentialId::as_str), "begun": attempt.begun.to_string(), "last": attempt.last.to_string(),
        "came_to": attempt.way.furthest().map(|step| step.stage().as_str()), "standing": standing.word(), "at": at.map(Step::as_str),
        "reason": reason, "steps": steps})
}
