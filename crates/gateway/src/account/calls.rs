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
    if !matches!(record.kind, Kind::Intent | Kind::Refused) || record.method.as_deref() != Some("tools/call") {
        return None;
    }
    let last = entry.outcome.as_ref().unwrap_or(record);
    let why = || last.reason.as_deref().unwrap_or("see the record").to_owned();
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
