//! The latest calls of a person on `/me` (product 5.5): what the record says of them, and of nobody else.

use crate::Gateway;
use crate::audit::reading::Entry;
use crate::signin::Person;
use crate::ui::me::{Call, CallResult};
use crate::ui::text::Claimed;
use doorward_core::audit::event::{Kind, Record};
use doorward_core::audit::wanted::Wanted;

/// How many are shown.
const LATEST: usize = 10;
/// How many entries of a person are looked at for them: not all are calls.
const LOOKED_AT: usize = 60;
/// Reasons that a caller was not told, since they say that something is there (house rule 12).
const ALIKE: [&str; 3] = ["unknown_target", "policy_denied", "policy_fault"];
/// The same of a server: of one that is not there nothing is said here.
const NO_SERVER: &str = "server_not_visible";

impl Gateway {
    /// The latest few, of what this replica recorded lately. Where it cannot be read, the page goes without them.
    pub(super) async fn latest_calls(&self, person: &Person) -> Vec<Call> {
        let (issuer, subject) = (person.user.issuer(), person.user.subject());
        let wanted = Wanted { user: Some(format!("{issuer}/{subject}")), ..Wanted::default() };
        let part = match self.record.glance(wanted, LOOKED_AT).await {
            Ok(part) => part,
            Err(error) => {
                tracing::warn!(%error, "recent calls could not be read");
                return Vec::new();
            }
        };
        // Told by two parts, not by their text: an administrator who did something for somebody else is found by the same search.
        let is_theirs = |record: &Record<'_>| record.user.as_ref().is_some_and(|user| *user.iss == *issuer && *user.sub == *subject);
        part.entries.iter().filter(|entry| is_theirs(&entry.record)).filter_map(call).take(LATEST).collect()
    }
}

fn call(entry: &Entry) -> Option<Call> {
    let record = &entry.record;
    let is_call = matches!(record.kind, Kind::Intent | Kind::Refused) && record.method.as_deref() == Some("tools/call");
    if !is_call || record.reason.as_deref() == Some(NO_SERVER) {
        return None;
    }
    let last = entry.outcome.as_ref().unwrap_or(record);
    let why = || match last.reason.as_deref() {
        None => "see the record".to_owned(),
        Some(reason) if ALIKE.contains(&reason) => "not there, or not for you".to_owned(),
        Some(reason) => reason.to_owned(),
    };
    let result = match (record.kind, last.class.as_deref()) {
        (Kind::Refused, _) | (_, Some("refused" | "blocked")) => CallResult::Refused(why()),
        (_, Some("completed" | "tool_error" | "rpc_error")) => CallResult::Answered,
        (_, None) => CallResult::UnderWay,
        (_, Some(_)) => CallResult::Failed(why()),
    };
    let (server, name) = (record.server.as_deref().unwrap_or_default(), record.name.as_deref().unwrap_or_default());
    Some(Call {
        when: record.time.get(..19).unwrap_or(&record.time).replace('T', " "),
        application: Claimed::new(record.client.as_deref().unwrap_or_default()),
        tool: Claimed::technical(&format!("{server}__{name}")),
        acts_as: Claimed::new(last.principal.as_deref().or(record.principal.as_deref()).unwrap_or("-")),
        result,
        record: record.id.as_deref().unwrap_or_default().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    fn refused(reason: &'static str) -> Entry {
        let mut record = Record::new(Kind::Refused);
        record.method = Some(Cow::Borrowed("tools/call"));
        (record.name, record.reason) = (Some(Cow::Borrowed("drop")), Some(Cow::Borrowed(reason)));
        Entry { record, outcome: None }
    }

    #[test]
    fn rpc_09_what_may_not_be_known_looks_on_ones_own_page_like_what_is_not_there() {
        let shown = |reason| call(&refused(reason)).map(|call| call.result);
        assert!(shown("unknown_target").is_some());
        assert_eq!(shown("policy_denied"), shown("unknown_target"));
        assert_eq!(shown("policy_fault"), shown("unknown_target"));
        assert_ne!(shown("not_granted"), shown("unknown_target"), "what the caller is told, the person is");
        assert_eq!(shown("server_not_visible"), None);
    }
}
