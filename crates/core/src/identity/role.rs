//! What somebody may do with the installation itself: nothing, look, or change (product 3.5, 5.6; AUD-06).

use crate::id::UserId;

/// Vouches for the accounts of this installation itself.
pub const OWN_ISSUER: &str = "local";
/// The account that a link from the terminal signs in: whoever reads the terminal holds the installation anyway.
const OF_THE_TERMINAL: &str = "admin";

/// The roles of a person. Made by [`Login::roles`](crate::config::login::Login::roles) of what is written and who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    admin: bool,
    auditor: bool,
}

/// A role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Sees everything but secrets, and changes what pages can change.
    Admin,
    /// Sees the same but for settings, and changes nothing.
    Auditor,
}

impl Roles {
    /// Those of whoever may only use what they were let into.
    pub const MEMBER: Self = Self { admin: false, auditor: false };

    /// These, of [`Role`]s that were written down.
    pub(crate) fn of(written: &[Role]) -> Self {
        Self { admin: written.contains(&Role::Admin), auditor: written.contains(&Role::Auditor) }
    }

    /// Whether the pages and the API of administrators answer this person.
    #[must_use]
    pub const fn may_look(self) -> bool {
        self.admin || self.auditor
    }

    /// Whether they may change something there, and see the settings.
    #[must_use]
    pub const fn may_change(self) -> bool {
        self.admin
    }

    /// All of them.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        let all = [(self.admin, Role::Admin), (self.auditor, Role::Auditor)];
        all.into_iter().filter_map(|(has, role)| has.then_some(role))
    }
}

impl Role {
    /// Its name for programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Auditor => "auditor",
        }
    }
}

/// Whether this is the account that a link from the terminal signs in.
#[must_use]
pub fn is_of_the_terminal(user: &UserId) -> bool {
    user.issuer() == OWN_ISSUER && user.subject() == OF_THE_TERMINAL
}
