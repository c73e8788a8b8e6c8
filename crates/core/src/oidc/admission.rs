//! Who of those that a provider vouches for may come in: `[login]` and the domains of the provider (product 3.5).
//!
//! Everything that is configured must hold. Must not know the provider's answers, only who was vouched for.

use super::logout::ProviderSession;
use super::token::Vouched;
use crate::id::{GroupName, UserId};

/// Conditions of coming in. An empty list is no condition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admission {
    /// Domains of verified e-mail addresses, lower case.
    pub email_domains: Vec<String>,
    /// Groups, of which one is needed.
    pub groups: Vec<GroupName>,
}

/// A person who may come in. Only [`admit`] makes one.
#[derive(Debug)]
pub struct Admitted {
    user: UserId,
    groups: Vec<GroupName>,
    email: Option<String>,
    session: Option<ProviderSession>,
}

/// Why somebody may not come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// The account belongs to none of the domains of the provider's table.
    #[error("domain_not_allowed")]
    Domain,
    /// The address is of another domain, not verified, or there is none.
    #[error("email_not_allowed")]
    Email,
    /// They are in none of the groups.
    #[error("group_not_allowed")]
    Group,
}

/// Lets somebody in, or not. `hosted` are the domains of the provider's table, compared with the account's own (`hd`), not its address.
///
/// # Errors
/// [`NotAdmitted`].
pub fn admit(vouched: &Vouched, hosted: &[String], admission: &Admission) -> Result<Admitted, NotAdmitted> {
    if !hosted.is_empty() && !vouched.hosted().is_some_and(|own| hosted.iter().any(|domain| domain == own)) {
        return Err(NotAdmitted::Domain);
    }
    let domain = || vouched.email().and_then(super::token::Email::verified_domain);
    if !admission.email_domains.is_empty() && !domain().is_some_and(|own| admission.email_domains.contains(&own)) {
        return Err(NotAdmitted::Email);
    }
    if !admission.has_group(vouched.groups()) {
        return Err(NotAdmitted::Group);
    }
    let email = vouched.email().map(|email| email.address().to_owned());
    Ok(Admitted { user: vouched.user().clone(), groups: vouched.groups().to_vec(), email, session: vouched.session().copied() })
}

// === impl Admission ===

impl Admission {
    /// Whether one of these groups is enough to come in, or none is needed.
    #[must_use]
    pub fn has_group(&self, groups: &[GroupName]) -> bool {
        self.groups.is_empty() || self.groups.iter().any(|wanted| groups.contains(wanted))
    }
}

// === impl Admitted ===

impl Admitted {
    /// Who.
    #[must_use]
    pub const fn user(&self) -> &UserId {
        &self.user
    }

    /// Their groups now.
    #[must_use]
    pub fn groups(&self) -> &[GroupName] {
        &self.groups
    }

    /// Their address, for pages.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        self.email.as_deref()
    }

    /// Their session at the provider.
    #[must_use]
    pub const fn session(&self) -> Option<&ProviderSession> {
        self.session.as_ref()
    }
}
