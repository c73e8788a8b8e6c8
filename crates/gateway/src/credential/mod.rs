//! The station: as whom a call goes to its server. Each kind of credential is a [`Broker`] of its own here.
//!
//! No broker runs without a recorded intent, and no secret is lent but to the origin it is pinned to (I1, I5). Where there is none, there
//! is no other one to fall back to, and what is told is never our own 401: the client's credential is good (product 2.7).

mod entered;
pub mod google;
pub(crate) mod granted;
pub(crate) mod mints;
mod refused;

pub use entered::Entered;
pub use granted::Granted;

use crate::Gateway;
use crate::audit::recorder::Recorder;
use crate::env::Env;
use doorward_core::audit::intent::Intent;
use doorward_core::audit::outcome::Notice;
use doorward_core::blame::Refusal;
use doorward_core::credential::{Lease, Minted, NoLease, Principal, UpstreamSecret};
use doorward_core::id::{ServerName, UserId};
use doorward_core::policy::permit::Permit;
use doorward_store::Store;
use google::Google;
use granted::Goodbye;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Where the credential of a server comes from.
#[derive(Debug)]
pub enum Broker {
    /// The same for everybody, since the start; `None` where the server wants none.
    Fixed(Option<Arc<UpstreamSecret>>, Principal),
    /// What each person entered.
    Entered(Entered),
    /// A token of Google.
    Google(Box<Google>),
    /// What each person allowed at its provider.
    Granted(Arc<Granted>),
}

/// What brokers work with.
#[derive(Debug, Clone, Copy)]
pub struct Till<'a> {
    /// Where connections are kept.
    pub store: &'a Store,
    /// Clock and random source.
    pub env: &'a Env,
    /// Where renewals are told of; none beside a gateway that runs.
    pub audit: Option<&'a Recorder>,
    /// The epoch under which something was read last: under another it is read anew (I8).
    pub epoch: u64,
}

/// For whom a credential is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ForWhom<'a> {
    /// The caller of a permitted call, for that call.
    Call(&'a Permit),
    /// A person, for upkeep on their behalf.
    Person(&'a UserId),
    /// Nobody: Doorward looks itself what there is.
    Nobody,
}

/// What a broker has.
enum Lent {
    Fixed(Option<Arc<UpstreamSecret>>, Principal),
    Minted(Arc<Minted>),
}

/// What providers are told in one round.
const FAREWELLS: i64 = 20;
/// Until one that did not answer is told again.
const FAREWELL_PAUSE: Duration = Duration::from_secs(300);

/// The brokers of all servers.
pub(crate) type Brokers = BTreeMap<ServerName, Broker>;

impl Broker {
    /// What is the same for everybody, for programs that act for nobody; `None` also where each person has their own.
    #[must_use]
    pub fn fixed(&self) -> Option<Arc<UpstreamSecret>> {
        match self {
            Self::Fixed(secret, _) => secret.clone(),
            Self::Entered(_) | Self::Granted(_) | Self::Google(_) => None,
        }
    }

    /// What Doorward itself looks with what tools there are, for a program that acts for nobody; `None` where each person has their own.
    ///
    /// # Errors
    /// [`NoLease`] of what has to be made first.
    pub async fn of_nobody(&self, till: &Till<'_>, server: &ServerName) -> Result<Option<Arc<UpstreamSecret>>, NoLease> {
        if self.is_of_each_person() {
            return Ok(None);
        }
        self.held_for(till, server, ForWhom::Nobody).await.map(Lent::secret)
    }

    /// The credential of a person, for a program that acts with it beside the gateway and says so on the record.
    ///
    /// # Errors
    /// [`NoLease`].
    pub async fn of_person(&self, till: &Till<'_>, server: &ServerName, user: &UserId) -> Result<Option<Arc<UpstreamSecret>>, NoLease> {
        self.held_for(till, server, ForWhom::Person(user)).await.map(Lent::secret)
    }

    /// Whether each person is somebody else at the server, so that what it shows one is nothing for another.
    #[must_use]
    pub const fn is_of_each_person(&self) -> bool {
        match self {
            Self::Fixed(..) | Self::Google(_) => false,
            Self::Entered(_) | Self::Granted(_) => true,
        }
    }

    /// Whose identity a call will have, before anything happened.
    fn planned(&self, permit: &Permit) -> Principal {
        match self {
            Self::Fixed(_, principal) => principal.clone(),
            Self::Entered(entered) => entered.planned(),
            Self::Granted(granted) => granted.planned(),
            Self::Google(google) => google.planned(permit),
        }
    }

    async fn held_for(&self, till: &Till<'_>, server: &ServerName, whom: ForWhom<'_>) -> Result<Lent, NoLease> {
        match self {
            Self::Fixed(secret, principal) => Ok(Lent::Fixed(secret.clone(), principal.clone())),
            Self::Entered(entered) => {
                let user = whom.user().ok_or(NoLease::Missing)?;
                entered.minted(till, (server, user)).await.map(Lent::Minted)
            }
            Self::Granted(granted) => granted.minted(till, whom.user().ok_or(NoLease::Missing)?).await.map(Lent::Minted),
            Self::Google(google) => google.minted(till, whom).await.map(Lent::Minted),
        }
    }
}

impl<'a> ForWhom<'a> {
    fn user(self) -> Option<&'a UserId> {
        match self {
            Self::Call(permit) => Some(permit.bound().caller().user()),
            Self::Person(user) => Some(user),
            Self::Nobody => None,
        }
    }
}

impl Lent {
    fn secret(self) -> Option<Arc<UpstreamSecret>> {
        match self {
            Self::Fixed(secret, _) => secret,
            Self::Minted(minted) => Some(minted.secret()),
        }
    }
}

impl Gateway {
    /// Whose identity a permitted call will have downstream, said before anything happens.
    #[must_use]
    pub(crate) fn plan(&self, permit: &Permit) -> Principal {
        self.brokers.get(permit.bound().server()).map_or_else(|| Principal::new("none".to_owned()), |broker| broker.planned(permit))
    }

    /// Lends the credential of a recorded call.
    ///
    /// # Errors
    /// When there is none although one is configured: never the caller's own 401 (product 2.7).
    pub(crate) async fn credential<'intent>(&self, intent: &'intent Intent) -> Result<Lease<'intent>, Refusal> {
        let permit = intent.permit();
        let (bound, expires) = (permit.bound(), permit.bound().caller().expires());
        match self.held_for(bound.server(), ForWhom::Call(permit)).await {
            Ok(Lent::Fixed(secret, principal)) => Ok(Lease::grant(intent, secret, principal, expires)),
            Ok(Lent::Minted(minted)) => {
                let until = minted.until().map_or(expires, |until| until.min(expires));
                Ok(Lease::grant(intent, Some(minted.secret()), minted.acting().clone(), until))
            }
            Err(why) => Err(self.no_lease(&why, bound, permit.call())),
        }
    }

    /// The credential for upkeep of Doorward's own on behalf of somebody, which is on the record as such (house 6): their catalogue, the
    /// end of their session.
    ///
    /// # Errors
    /// [`NoLease`].
    pub(crate) async fn upkeep(&self, server: &ServerName, user: Option<&UserId>) -> Result<Option<Arc<UpstreamSecret>>, NoLease> {
        self.held_for(server, user.map_or(ForWhom::Nobody, ForWhom::Person)).await.map(Lent::secret)
    }

    /// Another credential in place of the one of this version, which the server did not take; `None` where another one would be the same.
    ///
    /// # Errors
    /// [`NoLease`] where nothing but the person helps.
    pub(crate) async fn anew(
        &self,
        (server, user): (&ServerName, Option<&UserId>),
        refused: Option<&Arc<UpstreamSecret>>,
    ) -> Result<Option<Arc<UpstreamSecret>>, NoLease> {
        let version = refused.map_or(0, |secret| secret.version());
        match (self.brokers.get(server), user) {
            (Some(Broker::Granted(granted)), Some(user)) => {
                let secret = granted.anew(&self.till(), user, version).await?.secret();
                // Another account took its place meanwhile: what was begun with the one is not gone on with by the other.
                match refused.is_none_or(|refused| refused.account() == secret.account()) {
                    true => Ok(Some(secret)),
                    false => Err(NoLease::Unavailable("account_changed")),
                }
            }
            (Some(Broker::Google(google)), _) => {
                google.anew(&self.till(), version).await.map(|minted| minted.map(|minted| minted.secret()))
            }
            (Some(Broker::Entered(entered)), Some(user)) => {
                entered.refused(&self.till(), user, version).await;
                Err(NoLease::SignInNeeded)
            }
            _ => Ok(None),
        }
    }

    /// Tells providers of what is to be taken back there, a few at a time (credentials 8.5). What no provider answers for is tried again
    /// for a week.
    pub(crate) async fn say_farewells(&self) {
        let now = self.env.now();
        let due = match self.store.due_farewells((now, now.after(FAREWELL_PAUSE)), FAREWELLS).await {
            Ok(due) => due,
            Err(error) => return tracing::warn!(%error, "what is to be taken back at providers could not be read"),
        };
        for farewell in due {
            let said = match self.brokers.get(&farewell.server) {
                Some(Broker::Granted(granted)) => granted.say_farewell(&farewell).await,
                // The server is not configured any more, or in another way: nobody here may speak to its provider.
                _ => Goodbye::Later("server_gone"),
            };
            let (reason, cause) = match said {
                Goodbye::Heard => ("account_revoked", None),
                Goodbye::Never(why) => ("account_not_revoked", Some(why)),
                Goodbye::Later(why) if farewell.is_given_up(now) => ("account_not_revoked", Some(why)),
                Goodbye::Later(why) => {
                    tracing::info!(server = %farewell.server, why, "a provider could not be told that an account is over; it is tried again");
                    continue;
                }
            };
            let (user, server) = (Some(&farewell.owner), Some(&farewell.server));
            self.note(&Notice { reason, user, server, cause, ..Notice::default() }).await;
            if self.store.farewell_done(&farewell.id).await.is_err() {
                tracing::warn!("a provider will be told again that an account is over");
            }
        }
    }

    /// Nothing that was read of somebody's account is lent on in this process: it was just changed or taken away. Others hear of it with the
    /// epoch.
    pub(crate) fn forget_account(&self, server: &ServerName, user: &UserId) {
        let epoch = self.epoch.current();
        match self.brokers.get(server) {
            Some(Broker::Entered(entered)) => entered.forget(user, epoch),
            Some(Broker::Granted(granted)) => granted.forget(user, epoch),
            _ => {}
        }
    }

    /// Whether the credential of a server is made or read when it is wanted, and not there since the start.
    pub(crate) fn makes_credentials(&self, server: &ServerName) -> bool {
        self.brokers.get(server).is_some_and(|broker| !matches!(broker, Broker::Fixed(..)))
    }

    /// Of whom what a server shows is: of the person, where each is somebody else there.
    pub(crate) fn shown_to<'user>(&self, server: &ServerName, user: &'user UserId) -> Option<&'user UserId> {
        self.brokers.get(server).is_some_and(Broker::is_of_each_person).then_some(user)
    }

    async fn held_for(&self, server: &ServerName, whom: ForWhom<'_>) -> Result<Lent, NoLease> {
        let broker = self.brokers.get(server).ok_or(NoLease::Missing)?;
        broker.held_for(&self.till(), server, whom).await
    }

    pub(crate) fn till(&self) -> Till<'_> {
        Till { store: &self.store, env: &self.env, audit: Some(&self.audit), epoch: self.epoch.current() }
    }
}
