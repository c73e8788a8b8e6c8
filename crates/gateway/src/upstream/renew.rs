//! A session towards a server that was lost: opened again, once for all calls that find it lost.

use super::Upstream;
use super::fault::Fault;
use super::http::Line;
use super::own::Way;
use super::station::Reply;
use crate::Gateway;
use doorward_core::credential::Outgoing;
use doorward_core::json::RawJson;
use doorward_core::json::write::ObjectWriter;
use doorward_core::mcp::version::Era;
use doorward_core::session::{Stored, UpstreamSessionId};
use std::sync::Arc;

impl Gateway {
    /// Opens a session; once more with a younger credential of the same account, where the server did not take the one that there was.
    pub(super) async fn initialize_renewing(&self, upstream: &Arc<Upstream>, outgoing: &Outgoing<'_>) -> Result<Reply, Fault> {
        let secret = outgoing.secret();
        match Box::pin(self.initialize(upstream, outgoing, secret.clone())).await {
            Err(Fault::Credential) => {
                let whose = (outgoing.bound().server(), Some(outgoing.bound().caller().user()));
                match self.anew(whose, secret.as_ref()).await.map_err(Fault::NoLease)? {
                    Some(another) => Box::pin(self.initialize(upstream, outgoing, Some(another))).await,
                    None => Err(Fault::Credential),
                }
            }
            opened => opened,
        }
    }

    /// A lost session towards the server is opened again with the same capabilities; the client keeps its own.
    pub(super) async fn restore(&self, upstream: &Arc<Upstream>, outgoing: &Outgoing<'_>, lost: &Way) -> Result<Way, Fault> {
        let (Some(stored), Way::Http(server, line)) = (outgoing.bound().session(), lost) else { return Err(Fault::SessionLost) };
        let over = |renewed: Stored| Way::Http(Arc::clone(server), Line { session: renewed.upstream_id, ..line.clone() });
        if let Some(renewed) = self.renewed(outgoing, stored).await? {
            return Ok(over(renewed));
        }
        let capabilities = RawJson::parse(&bytes::Bytes::from(stored.capabilities.clone()), 64).map_err(|_| Fault::SessionLost)?;
        let fresh = Way::Http(Arc::clone(server), Line { session: None, ..line.clone() });
        let opened = upstream.open_session(fresh, stored.upstream_version, &capabilities).await?.map_err(|_| Fault::SessionLost)?;
        if opened.version != stored.upstream_version {
            upstream.close(&opened.way, opened.version).await;
            return Err(Fault::SessionLost);
        }
        if let Err(fault) = upstream.initialized(&opened.way, opened.version).await {
            upstream.close(&opened.way, opened.version).await;
            return Err(fault);
        }
        let new: Option<UpstreamSessionId> = Upstream::session_of(&opened.way);
        let user = outgoing.bound().caller().user();
        let swapped = self.store.replace_upstream_session(&stored.digest, user, stored.upstream_id.as_ref(), new.as_ref()).await;
        if !matches!(swapped, Ok(true)) {
            // Another call of this session was first: it goes on over that one. Or it was ended.
            upstream.close(&opened.way, opened.version).await;
            return self.renewed(outgoing, stored).await?.map(over).ok_or(Fault::SessionLost);
        }
        self.live.session(&stored.digest).keep(Arc::new(Stored { upstream_id: new, ..stored.clone() }));
        if let Some(level) = &stored.log_level {
            let mut params = ObjectWriter::with_capacity(32);
            params.text("level", level);
            upstream.own(&opened.way, Era::Legacy(opened.version), "logging/setLevel", &params.finish()).await.ok();
        }
        Ok(opened.way)
    }

    /// The session as it is now, if its line to the server was replaced since this call was bound to it.
    pub(super) async fn renewed(&self, outgoing: &Outgoing<'_>, known: &Stored) -> Result<Option<Stored>, Fault> {
        let (caller, server) = (outgoing.bound().caller(), outgoing.bound().server());
        let read = self.store.session(&known.digest, caller.user(), caller.client(), caller.credential(), server);
        let now = Box::pin(read).await.map_err(|_| Fault::Store)?.filter(|now| now.upstream_id != known.upstream_id);
        if let Some(now) = &now {
            self.live.session(&known.digest).keep(Arc::new(now.clone()));
        }
        Ok(now)
    }
}
