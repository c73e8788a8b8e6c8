//! One renewal for each token, whatever the number of replicas and callers (attacks OC-07, OC-08): who holds the connection in the store
//! spends its refresh token, the others wait for what comes. The new one is kept before anything is done with it.

use super::ask::Trouble;
use super::{Granted, Open, Work};
use crate::credential::Till;
use doorward_core::audit::outcome::Notice;
use doorward_core::connection::client::How;
use doorward_core::connection::held::Held;
use doorward_core::connection::request::refresh;
use doorward_core::credential::{Age, NoLease};
use doorward_core::id::UserId;
use doorward_core::secret::Secret;
use std::sync::Arc;
use std::time::Duration;

/// How long one replica may take. Longer than a question to a provider and the keeping of its answer together, by more than the clocks of
/// two replicas may be apart: a busy holder is not a dead one.
const HELD: Duration = Duration::from_secs(150);
/// Looks at what another replica does.
const LOOKS: u32 = 150;
/// Between two of them, with up to a quarter of a second more, so that replicas do not march in step.
const PAUSE: Duration = Duration::from_millis(100);
/// How long what a provider gave is tried to be kept: to lose it is to lose the connection. Well within [`HELD`].
const KEEPING: Duration = Duration::from_secs(120);
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Work {
    fn till(&self) -> Till<'_> {
        // Only what is kept is read: no epoch is asked for.
        Till { store: &self.store, env: &self.env, audit: self.audit.as_ref(), epoch: 0 }
    }

    async fn pause(&self) {
        let more = self.env.bytes::<1>().map_or(0, |[byte]| u64::from(byte));
        tokio::time::sleep(PAUSE + Duration::from_millis(more)).await;
    }

    async fn note(&self, reason: &'static str, (granted, user): (&Granted, &UserId), cause: &str) {
        let Some(audit) = &self.audit else { return };
        let notice = Notice { reason, user: Some(user), server: Some(&granted.server), cause: Some(cause), ..Notice::default() };
        if audit.event(&notice, self.env.now()).await.is_err() {
            tracing::error!(reason, "an event could not be recorded");
        }
    }
}

impl Granted {
    pub(super) async fn renew(&self, work: &Work, user: &UserId, known: Open) -> Result<Open, NoLease> {
        let of = (user, &self.server);
        let holder: [u8; 16] = work.env.bytes().map_err(|_| NoLease::Store)?;
        let mut known = known;
        for _ in 0..LOOKS {
            if !known.held.is_renewable() {
                return self.ends(work, user, &known).await;
            }
            let now = work.env.now();
            let held = work.store.hold_connection(of, known.version, &holder, (now, now.after(HELD))).await;
            if held.map_err(|_| NoLease::Store)? {
                return self.renew_held(work, user, (known, &holder)).await;
            }
            work.pause().await;
            let open = self.opened(&work.till(), user).await?;
            if open.version != known.version && open.held.age(work.env.now()) == Age::Good {
                return Ok(open);
            }
            known = open;
        }
        Err(NoLease::Unavailable("renewal_busy"))
    }

    /// A token that nothing renews: it is used to its end, and then the person is needed.
    async fn ends(&self, work: &Work, user: &UserId, known: &Open) -> Result<Open, NoLease> {
        if known.held.age(work.env.now()) != Age::Over {
            return Err(NoLease::Unavailable("no_refresh_token"));
        }
        self.is_over(work, user, known.version, "expired").await
    }

    async fn is_over(&self, work: &Work, user: &UserId, version: u64, why: &str) -> Result<Open, NoLease> {
        let marked = work.store.connection_is_over((user, &self.server), version, why, work.env.now()).await;
        if marked.map_err(|_| NoLease::Store)? {
            work.note("connection_over", (self, user), why).await;
        }
        Err(NoLease::SignInNeeded)
    }

    async fn renew_held(&self, work: &Work, user: &UserId, (known, holder): (Open, &[u8; 16])) -> Result<Open, NoLease> {
        let of = (user, &self.server);
        let Some(request) = refresh(&known.held) else { return Err(NoLease::SignInNeeded) };
        let asked = known.held.scopes().to_vec();
        let given = self.asker.tokens(&known.held.parts().server.token, user, &request, (&asked, work.env.now())).await;
        let trouble = match given {
            Ok(given) => {
                let wider = given.wider.join(" ");
                let open = self.keep(work, user, (known, given)).await?;
                let cause = if wider.is_empty() { String::new() } else { format!("more than was asked for: {wider}") };
                work.note("credential_renewed", (self, user), &cause).await;
                return Ok(open);
            }
            Err(trouble) => trouble,
        };
        tracing::warn!(server = %self.server, %trouble, "a connection could not be renewed");
        match &trouble {
            Trouble::Given(bad) if bad.is_terminal() => return self.is_over(work, user, known.version, "invalid_grant").await,
            // The provider has forgotten the client that registered itself for this connection: with the next one comes another.
            Trouble::Given(bad) if bad.is_client() && known.held.parts().client.how == How::Registered => {
                self.forget_client(&work.till(), user).await;
                return self.is_over(work, user, known.version, "client_forgotten").await;
            }
            // No matter of the person: an administrator has to look at the client.
            Trouble::Given(bad) if bad.is_client() => {
                work.note("upstream_client_refused", (self, user), &bad.to_string()).await;
                self.let_go(work, of, holder, "client_refused").await;
                return Err(NoLease::Refused("client_refused"));
            }
            _ => self.let_go(work, of, holder, trouble.reason()).await,
        }
        Err(match trouble {
            Trouble::Status(429, wait) => NoLease::Overloaded(wait.unwrap_or_default()),
            trouble => NoLease::Unavailable(trouble.reason()),
        })
    }

    async fn let_go(&self, work: &Work, of: (&UserId, &doorward_core::id::ServerName), holder: &[u8; 16], why: &str) {
        if work.store.let_go_of_connection(of, holder, why).await.is_err() {
            tracing::warn!(server = %self.server, "a connection could not be let go of; it is held until its time is over");
        }
    }

    /// Keeps what came before it is used. Whoever changed the connection meanwhile has won: what came is of no use then.
    async fn keep(
        &self,
        work: &Work,
        user: &UserId,
        (known, given): (Open, doorward_core::connection::given::Given),
    ) -> Result<Open, NoLease> {
        let held: Held = known.held.renewed(given);
        let bytes = held.to_bytes().map_err(|_| NoLease::Damaged)?;
        let value = Secret::new(bytes.to_vec());
        let (begun, mut pause) = (tokio::time::Instant::now(), PAUSE);
        while begun.elapsed() < KEEPING {
            let kept = work.store.renew_connection((user, &self.server), known.version, (&value, held.scopes()), work.env.now()).await;
            match kept {
                Ok(Some(version)) => return Ok(Open { version, held: Arc::new(held), label: known.label, since: known.since }),
                Ok(None) => {
                    // It may have been kept by the very statement whose answer was lost.
                    let open = self.opened(&work.till(), user).await?;
                    return if open.held.age(work.env.now()) == Age::Over { Err(NoLease::Unavailable("renewal_lost")) } else { Ok(open) };
                }
                Err(error) => {
                    tracing::error!(%error, "a renewed connection could not be kept; it is tried again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        Err(NoLease::Store)
    }
}
