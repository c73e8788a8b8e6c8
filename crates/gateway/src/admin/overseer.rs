//! Who may look, and who may change. The fields are private here, so that nothing else makes either.

use super::Away;
use crate::Gateway;
use crate::signin::Person;
use doorward_core::audit::outcome::Notice;
use doorward_core::id::{CorrelationId, UserId};
use doorward_core::identity::role::Roles;
use http::HeaderMap;

/// Who asks.
pub(super) enum Visitor {
    /// Nobody is signed in here.
    Nobody,
    /// Somebody without a role.
    Member(Box<Person>),
    /// Somebody with one.
    Overseer(Box<Overseer>),
}

/// Somebody who administers or audits, by a sign-in of theirs that counts. Made by [`Gateway::visitor`] alone.
pub(super) struct Overseer {
    person: Person,
    roles: Roles,
}

/// An overseer who may change something. Made by [`Overseer::administrator`] alone.
pub(super) struct Administrator<'a>(&'a Overseer);

impl Overseer {
    /// The person.
    pub(super) const fn person(&self) -> &Person {
        &self.person
    }

    /// Their roles.
    pub(super) const fn roles(&self) -> Roles {
        self.roles
    }

    /// Auditors see, and change nothing.
    pub(super) const fn administrator(&self) -> Option<Administrator<'_>> {
        if self.roles.may_change() { Some(Administrator(self)) } else { None }
    }
}

impl Administrator<'_> {
    /// Who.
    pub(super) const fn user(&self) -> &UserId {
        &self.0.person.user
    }
}

impl Gateway {
    /// Who asks, by the cookie of their browser.
    pub(super) async fn visitor(&self, headers: &HeaderMap) -> Result<Visitor, Away> {
        let Some(person) = self.person(headers).await? else { return Ok(Visitor::Nobody) };
        let roles = self.login.roles(&person.user, &person.groups, person.standing());
        Ok(if roles.may_look() { Visitor::Overseer(Box::new(Overseer { person, roles })) } else { Visitor::Member(Box::new(person)) })
    }

    /// The same person again, after their body came: it may take its time, and whoever was disabled or signed out meanwhile changes nothing.
    pub(super) async fn still(&self, headers: &HeaderMap) -> Result<Option<Box<Overseer>>, Away> {
        Ok(match self.visitor(headers).await? {
            Visitor::Overseer(overseer) => Some(overseer),
            Visitor::Nobody | Visitor::Member(_) => None,
        })
    }

    /// Somebody asked for what is not for them. They are told no more than that.
    pub(super) async fn note_not_theirs(&self, person: &Person, id: CorrelationId, what: &str) {
        let (user, cause) = (Some(&person.user), Some(what));
        self.note(&Notice { reason: "administration_refused", id: Some(id), user, cause, ..Notice::default() }).await;
    }
}
