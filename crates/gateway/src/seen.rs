//! What clients were let see (POL-05): looked up where a rule asks for it, remembered before anything is read.
//!
//! What is said in a call was known before the call. So it is enough that a label stands in the store before the call that
//! lets see it goes to its server: every call that could carry on what came back is decided later, and finds it there, on
//! whichever replica. Nothing is kept in between, and a store that does not answer refuses both.

use crate::Gateway;
use doorward_core::blame::{Blame, Known, Refusal, Station, Wire};
use doorward_core::config::SeenBy;
use doorward_core::id::SeenLabel;
use doorward_core::identity::caller::Caller;
use doorward_core::mcp::call::Call;
use doorward_core::policy::decide::asks_what_was_seen;
use doorward_core::policy::facts::Facts;
use doorward_core::policy::permit::Permit;
use doorward_core::policy::rules::Rules;
use doorward_core::session::Bound;
use doorward_store::StoreError;
use std::collections::BTreeSet;
use std::time::Duration;

/// How seeing is remembered, as `[policy]` says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Remembering {
    /// For how long, from the last time on.
    pub(crate) span: Duration,
    /// Whose seeing counts together.
    pub(crate) by: SeenBy,
}

impl Gateway {
    /// The facts with what was seen, where a rule that can concern this call asks for it.
    ///
    /// # Errors
    /// The store does not say.
    pub(crate) async fn having_seen(&self, rules: &Rules, facts: Facts, bound: &Bound, call: &Call) -> Result<Facts, StoreError> {
        if !asks_what_was_seen(rules, &facts, bound, call) {
            return Ok(facts);
        }
        Ok(Facts { seen: self.seen_by(bound.caller()).await?, ..facts })
    }

    async fn seen_by(&self, caller: &Caller) -> Result<BTreeSet<SeenLabel>, StoreError> {
        let now = self.skew.shared(self.env.now());
        if self.remembering.by == SeenBy::User {
            return self.store.seen(caller.user(), None, now).await;
        }
        // Whoever exchanged a token was handed more than that: what the ones before saw may be in it.
        let mut seen = BTreeSet::new();
        for client in caller.via().iter().chain([caller.client()]) {
            seen.extend(self.store.seen(caller.user(), Some(client), now).await?);
        }
        Ok(seen)
    }

    /// Remembers what the caller is let see by this. Before anything of it is sent: it may come back at once.
    ///
    /// # Errors
    /// The store does not keep it, and nothing may be read.
    pub(crate) async fn remember_seen(&self, permit: &Permit) -> Result<(), StoreError> {
        if permit.shows().is_empty() {
            return Ok(());
        }
        let (caller, now) = (permit.bound().caller(), self.skew.shared(self.env.now()));
        // The answer goes back the way that the token came.
        for client in caller.via().iter().chain([caller.client()]) {
            self.store.remember_seen(caller.user(), client, permit.shows(), now.after(self.remembering.span)).await?;
        }
        Ok(())
    }
}

/// Nothing that depends on it is done without it.
pub(crate) fn no_memory(error: &StoreError, known: Known) -> Refusal {
    let public = "Doorward cannot check this request at the moment.";
    Refusal::new(Station::Policy, "store_unavailable", Blame::Us, Wire::Http(503), public).because(error.to_string()).knowing(known)
}
