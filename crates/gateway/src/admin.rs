//! `/admin` and `/api/v1`: what runs here, for those who answer for it (product 5.6; AUD-06).
//!
//! Who may look is an [`Overseer`], who may change an [`Administrator`]: both are made here alone, of a sign-in in a browser. No credential of
//! a program opens this door ([ADR 31](../../../docs/adr/0031-administration-is-done-in-person.md)). A page and the API show the same views
//! and make the same changes. Reading the record and every change stand on the record before they happen. Must not know OAuth.

mod api;
pub mod attempts;
mod changes;
pub mod known;
mod pages;
mod views;

use crate::Gateway;
use crate::signin::Person;
use doorward_core::audit::outcome::Notice;
use doorward_core::config::clients::Clients;
use doorward_core::config::show::Entry;
use doorward_core::id::CorrelationId;
use doorward_core::identity::role::Roles;
use doorward_store::StoreError;
use http::HeaderMap;

/// What the configuration says, for those who may see it.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Every effective value. Secrets stand in it by reference.
    pub(crate) entries: Vec<Entry>,
    /// Which clients it names.
    pub(crate) clients: Clients,
}

/// The store does not answer, or the record takes nothing: nothing was changed.
struct Away;

/// Who asks.
enum Visitor {
    /// Nobody is signed in here.
    Nobody,
    /// Somebody without a role.
    Member,
    /// Somebody with one.
    Overseer(Overseer),
}

/// Somebody who administers or audits, by a sign-in of theirs that counts. Made by [`Gateway::visitor`] alone.
struct Overseer {
    person: Person,
    roles: Roles,
}

/// An overseer who may change something. Made by [`Overseer::administrator`] alone.
#[derive(Clone, Copy)]
struct Administrator<'a>(&'a Overseer);

impl From<StoreError> for Away {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "administrators could not be answered");
        Self
    }
}

impl Overseer {
    /// Auditors see, and change nothing.
    const fn administrator(&self) -> Option<Administrator<'_>> {
        if self.roles.admin { Some(Administrator(self)) } else { None }
    }
}

impl Gateway {
    /// Who asks, by the cookie of their browser. Whoever may not act has no role.
    async fn visitor(&self, headers: &HeaderMap) -> Result<Visitor, Away> {
        let Some(person) = self.person(headers).await? else { return Ok(Visitor::Nobody) };
        let roles = if person.disabled { Roles::MEMBER } else { self.login.roles(&person.user, &person.groups) };
        Ok(if roles.may_look() { Visitor::Overseer(Overseer { person, roles }) } else { Visitor::Member })
    }

    /// The same person again, after their body came: it may take its time, and whoever was disabled or signed out meanwhile changes nothing.
    async fn still(&self, headers: &HeaderMap) -> Result<Option<Overseer>, Away> {
        Ok(match self.visitor(headers).await? {
            Visitor::Overseer(overseer) => Some(overseer),
            Visitor::Nobody | Visitor::Member => None,
        })
    }

    /// Somebody without the role asked for something. They are told no more than that.
    async fn not_theirs(&self, headers: &HeaderMap, id: CorrelationId, what: &str) {
        if let Ok(Some(person)) = self.person(headers).await {
            let (user, cause) = (Some(&person.user), Some(what));
            self.note(&Notice { reason: "administration_refused", id: Some(id), user, cause, ..Notice::default() }).await;
        }
    }
}
