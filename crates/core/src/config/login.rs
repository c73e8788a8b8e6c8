//! What `[idp.<name>]`, `[login]` and `[tokens]` mean.

use super::reference::SecretRef;
use super::{Selector, Somebody, Through};
use crate::id::{GroupName, ProviderName, UserId};
use crate::identity::caller::Standing;
use crate::identity::issuer::IssuerRule;
use crate::identity::role::{Role, Roles, is_of_the_terminal};
use crate::oauth::dpop::Binding;
use crate::oidc::admission::Admission;
use crate::oidc::jose::Alg;
use crate::oidc::logout::Reach;
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
    /// What ends here when somebody signs out there; `None` where it is not listened to.
    pub logout: Option<Reach>,
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
    /// It has none: whose a token is, this address says.
    TokenInfo(String),
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
    /// Nothing for whoever may not act.
    #[must_use]
    pub fn roles(&self, user: &UserId, groups: &[GroupName], standing: Standing) -> Roles {
        if standing == Standing::Disabled {
            return Roles::MEMBER;
        }
        let mut roles = self.written(user, groups);
        roles.extend(is_of_the_terminal(user).then_some(Role::Admin));
        Roles::of(&roles)
    }

    /// How long a person may leave a page alone. The account of the terminal is that of a laptop, too, and has the time of everybody.
    #[must_use]
    pub fn idle_of(&self, user: &UserId, groups: &[GroupName]) -> Duration {
        if Roles::of(&self.written(user, groups)).may_look() { self.idle.min(ADMIN_IDLE) } else { self.idle }
    }

    fn written(&self, user: &UserId, groups: &[GroupName]) -> Vec<Role> {
        let person = Somebody { user, groups, through: Through::None };
        let all = [(&self.admins, Role::Admin), (&self.auditors, Role::Auditor)];
        all.into_iter().filter(|(whom, _)| whom.iter().any(|selector| selector.means(&person))).map(|(_, role)| role).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn login() -> Login {
        let group = |name: &str| Selector::Group(GroupName::new(name).expect("group"));
        let user = Selector::User(UserId::new("https://idp.example", "ann").expect("user"));
        Login { admins: vec![group("security")], auditors: vec![group("audit"), user], ..Login::default() }
    }

    fn roles(issuer: &str, subject: &str, groups: &[&str], standing: Standing) -> Vec<Role> {
        let groups: Vec<GroupName> = groups.iter().map(|name| GroupName::new(name).expect("group")).collect();
        login().roles(&UserId::new(issuer, subject).expect("user"), &groups, standing).iter().collect()
    }

    #[test]
    fn aud_06_a_role_is_written_down_or_of_the_terminal_and_ends_with_its_group() {
        let idp = "https://idp.example";
        assert_eq!(roles(idp, "bob", &["security", "audit"], Standing::Good), [Role::Admin, Role::Auditor]);
        assert_eq!(roles(idp, "bob", &["audit"], Standing::Good), [Role::Auditor]);
        assert_eq!(roles(idp, "bob", &["security "], Standing::Good), []);
        assert_eq!(roles(idp, "ann", &[], Standing::Good), [Role::Auditor]);
        assert_eq!(roles("https://other.example", "ann", &[], Standing::Good), [], "another issuer's ann is somebody else");
        assert_eq!(roles("local", "admin", &[], Standing::Good), [Role::Admin], "whoever has the terminal");
        for (issuer, subject) in [("local", "Admin"), ("local", "root"), (idp, "admin"), ("client", "admin")] {
            assert_eq!(roles(issuer, subject, &[], Standing::Good), [], "{issuer} {subject}");
        }
        assert_eq!(roles("local", "admin", &["security"], Standing::Disabled), []);
    }

    #[test]
    fn ui_01_whoever_has_a_written_role_is_signed_out_after_half_an_hour() {
        let idle = |issuer: &str, groups: &[&str]| {
            let groups: Vec<GroupName> = groups.iter().map(|name| GroupName::new(name).expect("group")).collect();
            login().idle_of(&UserId::new(issuer, "admin").expect("user"), &groups).as_secs() / 60
        };
        assert_eq!((idle("https://idp.example", &["audit"]), idle("https://idp.example", &["security"])), (30, 30));
        assert_eq!((idle("https://idp.example", &[]), idle("local", &[])), (60, 60));
    }
}
