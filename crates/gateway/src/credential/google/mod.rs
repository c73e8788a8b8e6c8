//! Tokens of Google (levels 3 and 4): an access or ID token of Doorward's own identity, or an access token of the narrow account that a
//! row of the mapping says (credentials 9).
//!
//! What a call becomes is worked out from permit and configuration alone, before anything is asked. No row, a row that is switched off, a
//! denied account: nobody is anybody else then. Must not know tokens of callers. Attacks CLD-01 to CLD-04, CLD-06.

pub mod carry;
mod held;
mod open;
mod source;

pub use open::{Opened, Opening, Unopened};

use super::mints::{Made, Mints};
use super::{ForWhom, Till};
use doorward_core::config::google::{Identity, Yields};
use doorward_core::credential::google::Account;
use doorward_core::credential::google::answer::Token;
use doorward_core::credential::google::mapping::{Calling, Grant, NoGrant, State};
use doorward_core::credential::google::trouble::{Trouble, Why};
use doorward_core::credential::{Life, Minted, NoLease, Origin, Principal, UpstreamSecret};
use doorward_core::id::ServerName;
use doorward_core::policy::permit::Permit;
use doorward_core::secret::{Secret, sha256};
use doorward_core::time::Timestamp;
use source::Source;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The broker of one server.
#[derive(Debug)]
pub struct Google {
    source: Arc<Source>,
    yields: Yields,
    origin: Origin,
    server: ServerName,
    /// By what is asked for. What is kept is nobody's in particular: who may have it is decided anew for each call.
    mints: Mints<Key>,
    /// When a token was made in place of one that the server did not take.
    replaced: Mutex<Option<Timestamp>>,
}

/// Whether Google gives a token of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// Of which account, in words.
    pub whom: String,
    /// Why not.
    pub trouble: Option<String>,
    /// What an administrator can run to allow it, where that is known.
    pub command: Option<String>,
}

/// A server that takes no token of this minute takes none.
const YOUNG: Duration = Duration::from_secs(60);

/// What a token of one server depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    /// Doorward's own identity.
    Own,
    /// An account that a row says.
    Granted(Grant),
}

impl Google {
    /// As whom a call will go, without asking anybody.
    pub(super) fn planned(&self, permit: &Permit) -> Principal {
        let words = match &self.yields {
            Yields::Access(_) | Yields::Identity(Identity { account: None, .. }) => self.source.described(),
            Yields::Identity(Identity { account: Some(account), .. }) => self.by(account),
            Yields::Mapped { .. } => match self.grant(ForWhom::Call(permit)) {
                Ok(grant) => self.by(&grant.account),
                Err(_) => "nobody: no account is mapped".to_owned(),
            },
        };
        Principal::new(words)
    }

    /// The token of a call, made or kept.
    ///
    /// # Errors
    /// [`NoLease`].
    pub(super) async fn minted(&self, till: &Till<'_>, whom: ForWhom<'_>) -> Result<Arc<Minted>, NoLease> {
        let key = match &self.yields {
            Yields::Access(_) | Yields::Identity(_) => Key::Own,
            Yields::Mapped { .. } => Key::Granted(self.grant(whom).map_err(NoLease::from)?.clone()),
        };
        self.mints.minted(&key, || till.env.now(), || self.mint(&key, till)).await
    }

    /// Another token in place of the one of this version, which the server did not take; `None` where another one was made in its place a
    /// moment ago: then it is not the token.
    ///
    /// # Errors
    /// [`NoLease`].
    pub(super) async fn anew(&self, till: &Till<'_>, version: u64) -> Result<Option<Arc<Minted>>, NoLease> {
        let Some(key) = self.keys().into_iter().find(|key| self.mints.holds(key, version)) else { return Ok(None) };
        {
            let (now, mut last) = (till.env.now(), self.replaced.lock().unwrap_or_else(PoisonError::into_inner));
            if last.is_some_and(|last| now.since(last) < YOUNG) {
                return Ok(None);
            }
            *last = Some(now);
        }
        self.mints.another(&key, version, || till.env.now(), || self.mint(&key, till)).await.map(Some)
    }

    /// Makes a token for each account that calls can go as: whether Google allows it.
    pub async fn trials(&self, till: &Till<'_>) -> Vec<Trial> {
        let mut all = Vec::new();
        for key in self.keys() {
            let whom = match &key {
                Key::Own => self.source.described(),
                Key::Granted(grant) => grant.account.to_string(),
            };
            let trouble = self.token(&key, till).await.err();
            let member = self.source.member();
            let command = match (&trouble, &key) {
                (Some(trouble), Key::Granted(grant)) if trouble.is_denial() => member.map(|member| {
                    format!(
                        "gcloud iam service-accounts add-iam-policy-binding {} --member={member} --role=roles/iam.serviceAccountTokenCreator",
                        grant.account
                    )
                }),
                _ => None,
            };
            all.push(Trial { whom, trouble: trouble.map(|trouble| trouble.to_string()), command });
        }
        all
    }

    /// Everything that tokens are made for.
    fn keys(&self) -> Vec<Key> {
        let Yields::Mapped { mapping, .. } = &self.yields else { return vec![Key::Own] };
        let mut all: Vec<Key> = Vec::new();
        for row in mapping.rows().iter().filter(|row| row.state == State::Enabled) {
            let key = Key::Granted(row.grant.clone());
            if !all.contains(&key) {
                all.push(key);
            }
        }
        all
    }

    async fn mint(&self, key: &Key, till: &Till<'_>) -> Result<Made, NoLease> {
        let asked = till.env.now();
        let (token, acting) = match self.token(key, till).await {
            Ok(made) => made,
            Err(trouble) => {
                // Once for each try, not for each call: the end of a try is kept for a while.
                tracing::warn!(server = %self.server, %trouble, help = trouble.help().unwrap_or_default(), "Google gives no token");
                return Err(NoLease::from(&trouble));
            }
        };
        let header = match &self.yields {
            Yields::Identity(identity) => identity.header.as_str(),
            Yields::Access(_) | Yields::Mapped { .. } => "authorization",
        };
        let value = Secret::new(format!("Bearer {}", token.secret.expose()));
        let secret = UpstreamSecret::from_source(header.to_owned(), value, self.origin.clone()).of_version(version(&token.secret));
        Ok(Made::New(Minted::until_then(secret, Principal::new(acting), Life::of(asked, token.expires))))
    }

    /// A token, and who it makes of a call.
    async fn token(&self, key: &Key, till: &Till<'_>) -> Result<(Token, String), Trouble> {
        match (&self.yields, key) {
            (Yields::Mapped { delegates, .. }, Key::Granted(grant)) => {
                let token = self.source.become_granted(grant, delegates, till).await?;
                Ok((token, self.by(&grant.account)))
            }
            (Yields::Identity(identity), _) => {
                let account = identity.account.as_ref().map(|account| (account, identity.delegates.as_slice()));
                let token = self.source.identity(&identity.audience, account, till).await?;
                let acting = identity.account.as_ref().map_or_else(|| self.source.described(), |account| self.by(account));
                Ok((token, acting))
            }
            (Yields::Access(scopes), _) => Ok((self.source.access(scopes, till).await?, self.source.described())),
            (Yields::Mapped { .. }, Key::Own) => Err(Trouble::new("here".to_owned(), Why::Here("no account is mapped".to_owned()))),
        }
    }

    /// What the mapping grants; nothing where there is none.
    fn grant(&self, whom: ForWhom<'_>) -> Result<&Grant, NoGrant> {
        let Yields::Mapped { mapping, .. } = &self.yields else { return Err(NoGrant::NoRow) };
        match whom {
            ForWhom::Person(_) | ForWhom::Nobody => mapping.upkeep(),
            ForWhom::Call(permit) => {
                let caller = permit.bound().caller();
                mapping.grant(&Calling {
                    user: Some(caller.user()),
                    groups: caller.groups(),
                    client: Some(caller.client()),
                    agent: caller.agent(),
                    tool: permit.tool(),
                })
            }
        }
    }

    /// Who acts, and who became them.
    fn by(&self, account: &Account) -> String {
        format!("{account} by way of {}", self.source.described())
    }
}

/// Connections of one token are not used with another one.
fn version(token: &Secret<String>) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = sha256(token.expose().as_bytes());
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}
