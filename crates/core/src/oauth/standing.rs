//! What a person allowed a client before, and what is new since (product C14, C15). Decides nothing.

use super::request::AuthRequest;
use super::scope::Scope;
use crate::policy::facts::RiskClass;
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What may be granted for a server: the classes, and the approved tools of each.
pub type Offer = BTreeMap<RiskClass, BTreeSet<String>>;

/// The last consent of a person to a client for a server. One that they took back is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// When it was given.
    pub since: Timestamp,
    /// Until when it counts; `None` until somebody removes it.
    pub ends: Option<Timestamp>,
    /// [`Client::fingerprint`](super::client::Client::fingerprint) of then.
    pub fingerprint: [u8; 32],
    /// Where its answer went.
    pub redirect_uri: String,
    /// What was granted.
    pub granted: BTreeSet<Scope>,
    /// What was offered.
    pub offered: Offer,
}

/// One thing that is not as it was when the person said yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// The client has another name, other keys or another set of redirect URIs.
    Application,
    /// It asks for a class that was not granted.
    More(RiskClass),
    /// A class that was granted and can change or delete things has these new tools.
    NewTools(RiskClass, BTreeSet<String>),
    /// Its time is up.
    Ended,
}

/// What the client asks for of what there is: reading, if it names nothing.
#[must_use]
pub fn wanted(asked: &AuthRequest, offer: &Offer) -> BTreeSet<Scope> {
    let reading = Scope::new(asked.server().clone(), RiskClass::Read);
    let named: BTreeSet<Scope> = asked.scopes().of(asked.server()).filter(|scope| offer.contains_key(&scope.class())).cloned().collect();
    if asked.scopes().is_empty() { BTreeSet::from([reading]) } else { named }
}

// === impl Standing ===

impl Standing {
    /// What a person would have to look at again. Empty if the same is asked for in the same circumstances, or less.
    #[must_use]
    pub fn differences(&self, asked: &AuthRequest, offer: &Offer, now: Timestamp) -> Vec<Difference> {
        let mut all = Vec::new();
        if self.fingerprint != *asked.client().fingerprint() {
            all.push(Difference::Application);
        }
        let more = wanted(asked, offer).into_iter().filter(|scope| !self.granted.contains(scope));
        all.extend(more.map(|scope| Difference::More(scope.class())));
        for scope in self.granted.iter().filter(|scope| scope.class() != RiskClass::Read) {
            let (none, class) = (BTreeSet::new(), scope.class());
            let (before, today) = (self.offered.get(&class).unwrap_or(&none), offer.get(&class).unwrap_or(&none));
            let new: BTreeSet<String> = today.difference(before).cloned().collect();
            if !new.is_empty() {
                all.push(Difference::NewTools(class, new));
            }
        }
        if self.ends.is_some_and(|ends| ends <= now) {
            all.push(Difference::Ended);
        }
        all
    }
}
