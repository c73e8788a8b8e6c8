//! What `[idp.<name>]`, `[login]` and `[tokens]` mean.

use super::reference::SecretRef;
use super::{Selector, Somebody, Through};
use crate::id::{GroupName, ProviderName, UserId};
use crate::identity::issuer::IssuerRule;
use crate::identity::role::{Roles, is_of_the_terminal};
use crate::oauth::dpop::Binding;
use crate::oidc::admission::Admission;
use crate::oidc::jose::Alg;
use std::path::PathBuf;
use std::time::Duration;

/// `[idp.<name>]` of the kind `oidc`: it signs people in to pages.
#[derive(Debug, Clone)]
pub struct IdentityProvider {
    /// Its name in addresses and on pages.
    pub name: ProviderName,
    /// Its issuer, byte for byte: the first half of whoever it vouches for.
    pub issuer: String,
    /// What we are called there.
    pub client_id: String,
    /// What we prove ourselves with.
    pub client_secret: SecretRef,
    /// What is asked for; `openid` among it.
    pub scopes: Vec<String>,
    /// Where groups stand.
    pub groups_claim: String,
    /// Where the e-mail address stands.
    pub email_claim: String,
    /// Google Workspace domains (`hd`), of which one is needed; empty for no condition.
    pub domains: Vec<String>,
    /// How its tokens may be signed.
    pub algs: Vec<Alg>,
    /// How far its clock may be from ours.
    pub leeway: Duration,
}

/// `[idp.<name>]` of every other kind: its tokens count at `/k/...`.
#[derive(Debug, Clone)]
pub struct TokenIssuer {
    /// What is expected of its tokens.
    pub rule: IssuerRule,
    /// Where its keys are.
    pub keys: KeysAt,
    /// The authorities that its addresses are believed by, where not those of the system.
    pub ca: Option<PathBuf>,
}

/// Where the public keys of an issuer are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeysAt {
    /// Where its metadata says.
    Discovery,
    /// At this address.
    Address(String),
    /// In this file.
    File(PathBuf),
    /// Nowhere: no token of it counts.
    Nowhere,
}

/// `[login]`.
#[derive(Debug, Clone)]
pub struct Login {
    /// Who may come in.
    pub admission: Admission,
    /// Who administers: users and groups.
    pub admins: Vec<Selector>,
    /// Who may look at what administrators see and change nothing: users and groups.
    pub auditors: Vec<Selector>,
    /// A sign-in ends after this long, whatever happens.
    pub session: Duration,
    /// And after this long without use.
    pub idle: Duration,
}

/// `[tokens]`: lives of what the authorization server gives out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tokens {
    /// A code may be redeemed this long.
    pub code: Duration,
    /// An access token is good for this long.
    pub access: Duration,
    /// A refresh token that nobody uses.
    pub refresh_idle: Duration,
    /// A refresh token that comes again this soon gets the same successor.
    pub replay_window: Duration,
    /// Whether tokens are bound to keys of their clients.
    pub dpop: Binding,
}

/// An administrator or auditor is signed out after this long without use, at the latest (product 3.5).
pub const ADMIN_IDLE: Duration = Duration::from_secs(30 * 60);

// === impl Login ===

impl Login {
    /// What a person may do with the installation: what is written here, and everything for whoever came in by a link from its terminal.
    #[must_use]
    pub fn roles(&self, user: &UserId, groups: &[GroupName]) -> Roles {
        let Roles { admin, auditor } = self.written(user, groups);
        Roles { admin: admin || is_of_the_terminal(user), auditor }
    }

    /// How long a person may leave a page alone. The account of the terminal is that of a laptop, too, and has the time of everybody.
    #[must_use]
    pub fn idle_of(&self, user: &UserId, groups: &[GroupName]) -> Duration {
        if self.written(user, groups).may_look() { self.idle.min(ADMIN_IDLE) } else { self.idle }
    }

    fn written(&self, user: &UserId, groups: &[GroupName]) -> Roles {
        let person = Somebody { user, groups, through: Through::None };
        let is_meant = |selectors: &[Selector]| selectors.iter().any(|selector| selector.means(&person));
        Roles { admin: is_meant(&self.admins), auditor: is_meant(&self.auditors) }
    }
}

impl Default for Login {
    fn default() -> Self {
        Self {
            admission: Admission::default(),
            admins: Vec::new(),
            auditors: Vec::new(),
            session: Duration::from_secs(12 * 3_600),
            idle: Duration::from_secs(3_600),
        }
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            code: Duration::from_secs(60),
            access: Duration::from_secs(3_600),
            refresh_idle: Duration::from_secs(14 * 86_400),
            replay_window: Duration::from_secs(30),
            dpop: Binding::default(),
        }
    }
}
