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
use doorward_core::credential::google::mapping::{Calling, Grant, NoGrant};
use doorward_core::credential::google::trouble::{Trouble, Why};
use doorward_core::credential::{Minted, NoLease, Origin, Principal, UpstreamSecret};
use doorward_core::id::ServerName;
use doorward_core::policy::permit::Permit;
use doorward_core::secret::{Secret, sha256};
use source::Source;
use std::sync::Arc;

/// The broker of one server.
#[derive(Debug)]
pub struct Google {
    source: Arc<Source>,
    yields: Yields,
    origin: Origin,
    server: ServerName,
    /// By what is asked for. What is kept is nobody's in particular: who may have it is decided anew for each call.
    mints: Mints<Key>,
}

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
        self.mints.minted(&key, || till.env.now(), || async { self.mint(&key, till).await.map(Made::New) }).await
    }

    async fn mint(&self, key: &Key, till: &Till<'_>) -> Result<Minted, NoLease> {
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
        let secret = UpstreamSecret::from_source(header.to_owned(), value, self.origin.clone()).of_version(version(&acting));
        Ok(Minted::until_then(secret, Principal::new(acting), (asked, token.expires)))
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

/// Connections of one identity are not used by another one.
fn version(acting: &str) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = sha256(acting.as_bytes());
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}
