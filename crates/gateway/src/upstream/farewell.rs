//! The end of a session: by its client, by idleness, or because its server lost it. Here, in the store, and towards the server.
//!
//! Only who asked for an end waits for it. What upkeep ends, ends beside it: processes by the task that holds each, servers in
//! a bounded number of goodbyes at once.

use super::fault::Fault;
use super::http::{HttpServer, Line};
use super::station::Reply;
use super::{Reached, Upstream};
use crate::Gateway;
use crate::egress::pool::PoolKey;
use doorward_core::audit::outcome::Notice;
use doorward_core::credential::Outgoing;
use doorward_core::id::UserId;
use doorward_core::mcp::version::Era;
use doorward_core::session::{Lifetimes, Stored};
use doorward_store::StoreError;
use std::sync::Arc;
use std::time::Duration;

impl Gateway {
    /// Ends the session of a call that asks for it.
    ///
    /// # Errors
    /// [`Fault::Store`]: it has ended in this process and at its server, and the next request may find it alive. To be asked for again.
    pub(super) async fn end_session(&self, upstream: &Arc<Upstream>, outgoing: &Outgoing<'_>) -> Result<Reply, Fault> {
        let Some(stored) = outgoing.bound().session() else { return Ok(Reply::Status(204)) };
        if let Ok((way, Era::Legacy(version))) = self.way(upstream, outgoing).await {
            upstream.close(&way, version).await;
        }
        self.forget(&stored.digest, outgoing.bound().caller().user()).await.map_err(|_| Fault::Store)?;
        Ok(Reply::Status(204))
    }

    /// Ends the sessions that nobody used through this process for as long as `unused`, towards their servers too, unless
    /// another replica serves their clients now: by these lifetimes, the store knows.
    pub async fn end_idle(self: &Arc<Self>, unused: Duration, lifetimes: Lifetimes) {
        for digest in self.live.idle(unused) {
            let Some(session) = self.live.find(&digest) else { continue };
            if let Some(last) = session.last_record() {
                match self.store.session(&digest, &last.user, &last.client, &last.credential, &last.server).await {
                    Ok(Some(stored)) => {
                        let is_alive = stored.is_alive(lifetimes, self.skew.shared(self.env.now()));
                        // With the id that its server gave it last, through whichever replica.
                        session.keep(Arc::new(stored));
                        if is_alive {
                            continue;
                        }
                    }
                    // Swept, or ended elsewhere: a goodbye too many is answered with 404.
                    Ok(None) => {}
                    // Nobody knows: the next round asks again.
                    Err(error) => {
                        tracing::warn!(%error, "an idle session could not be looked up");
                        continue;
                    }
                }
            }
            self.end_here(&digest);
        }
    }

    /// Ends a session in this process, and towards its server.
    pub(crate) fn end_here(self: &Arc<Self>, digest: &[u8; 32]) {
        let stored = self.live.find(digest).and_then(|session| session.last_record());
        if let Some(child) = self.live.end(digest) {
            child.hang_up();
        }
        let Some(stored) = stored else { return };
        let upstream = self.upstreams.find(&stored.server).cloned();
        if let Some(Reached::Http(server)) = upstream.as_ref().map(|upstream| &upstream.reach)
            && stored.upstream_id.is_some()
        {
            self.say_goodbye(Arc::clone(server), stored);
        }
    }

    /// Tells a server that its session is over, when it is its turn. Shutdown waits for no goodbye.
    fn say_goodbye(self: &Arc<Self>, server: Arc<HttpServer>, stored: Arc<Stored>) {
        let (farewells, tasks, gateway) = (Arc::clone(&self.farewells), self.tasks.clone(), Arc::clone(self));
        self.tasks.spawn(async move {
            let goodbye = async {
                let Ok(_turn) = farewells.acquire().await else { return };
                // On the record, where a credential may have to be made for it.
                if gateway.makes_credentials(&stored.server) {
                    let (user, client, server) = (Some(&stored.user), Some(&stored.client), Some(&stored.server));
                    gateway.note(&Notice { reason: "session_goodbye", user, client, server, ..Notice::default() }).await;
                }
                // Whoever has no account there any more has nothing to say goodbye with.
                let Ok(secret) = gateway.upkeep(&stored.server, Some(&stored.user)).await else { return };
                let pool = PoolKey {
                    server: stored.server.clone(),
                    user: Some(stored.user.clone()),
                    credential: Some(stored.credential.clone()),
                    version: secret.as_ref().map_or(0, |secret| secret.version()),
                };
                let line = Line { pool, secret, session: stored.upstream_id.clone(), why: None };
                server.end(&line, stored.upstream_version).await;
            };
            tokio::select! {
                () = goodbye => {}
                () = tasks.stopping() => {}
            }
        });
    }

    /// Ends sessions and processes whose credential counts no more: nobody can use them, and a process would go on (STD-07).
    pub(crate) async fn end_revoked(self: &Arc<Self>) {
        for owner in self.upstreams.owners().await {
            if self.are_over(&owner).await {
                self.upstreams.end_of(&owner).await;
            }
        }
        for digest in self.live.all() {
            if self.tasks.is_stopping() {
                return;
            }
            let Some(stored) = self.live.find(&digest).and_then(|session| session.last_record()) else { continue };
            if self.is_over(&stored.credential).await {
                self.end_here(&digest);
                // Said there; the next round tries again.
                self.forget(&digest, &stored.user).await.ok();
            }
        }
    }

    /// Ends the processes of commands that are not approved any more (I9). Their sessions stay, for the refusal that says why.
    pub(crate) async fn end_unapproved(&self) {
        for upstream in self.upstreams.iter().filter(|upstream| matches!(upstream.reach, Reached::Stdio(_))) {
            // Where the store cannot say, calls are refused meanwhile, and the next round asks again.
            if !matches!(self.approved_launch(upstream).await, Ok(None)) {
                continue;
            }
            self.upstreams.end_shared(upstream).await;
            for session in self.live.all().iter().filter_map(|digest| self.live.find(digest)) {
                if session.last_record().is_some_and(|stored| stored.server == upstream.config.name)
                    && let Some(child) = session.child()
                {
                    child.hang_up();
                }
            }
        }
    }

    /// Ends a session here and in the store.
    ///
    /// # Errors
    /// [`StoreError`]: here alone.
    pub(crate) async fn forget(&self, digest: &[u8; 32], user: &UserId) -> Result<(), StoreError> {
        if let Some(child) = self.live.end(digest) {
            child.close().await;
        }
        let ended = self.store.end_session(digest, user).await;
        ended.map(|_| ()).inspect_err(|error| tracing::error!(%error, "a session could not be ended in the store"))
    }
}
