//! What somebody may do with the installation itself: nothing, look, or change (product 3.5, 5.6; AUD-06).

use crate::id::UserId;

/// Vouches for the accounts of this installation itself.
pub const OWN_ISSUER: &str = "local";
/// The account that a link from the terminal signs in: whoever reads the terminal holds the installation anyway.
const OF_THE_TERMINAL: &str = "admin";

/// The roles of a person. A member has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// Sees everything but secrets, and changes what pages can change.
    pub admin: bool,
    /// Sees the same but for settings, and changes nothing.
    pub auditor: bool,
}

impl Roles {
    /// Those of whoever may only use what they were let into.
    pub const MEMBER: Self = Self { admin: false, auditor: false };

    /// Whether the pages and the API of administrators answer this person.
    #[must_use]
    pub const fn may_look(self) -> bool {
        self.admin || self.auditor
    }

    /// Their names, for programs.
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        let all = [(self.admin, "admin"), (self.auditor, "auditor")];
        all.into_iter().filter_map(|(has, name)| has.then_some(name)).collect()
    }
}

/// Whether this is the account that a link from the terminal signs in.
#[must_use]
pub fn is_of_the_terminal(user: &UserId) -> bool {
    user.issuer() == OWN_ISSUER && user.subject() == OF_THE_TERMINAL
}
