//! The station: as whom a call goes to its server. Static headers now; each further level is a broker of its own here.
//!
//! No broker runs without a recorded intent, and no secret is lent but to the origin it is pinned to (I1, I5).

use crate::Gateway;
use crate::upstream::station::principal;
use doorward_core::audit::intent::Intent;
use doorward_core::blame::{Blame, Refusal, Station, Wire};
use doorward_core::credential::{Lease, Principal, UpstreamSecret};
use doorward_core::id::ServerName;
use doorward_core::mcp::error::INTERNAL;
use doorward_core::policy::permit::Permit;
use std::sync::Arc;

impl Gateway {
    /// Whose identity a permitted call will have downstream, said before anything happens.
    #[must_use]
    pub(crate) fn plan(&self, permit: &Permit) -> Principal {
        let server = permit.bound().server();
        Principal::new(self.upstreams.find(server).map_or_else(|| "none".to_owned(), |upstream| principal(&upstream.config)))
    }

    /// Lends the credential of a recorded call.
    ///
    /// # Errors
    /// When there is none although one is configured: never the caller's own 401 (product 2.7).
    pub(crate) fn credential<'intent>(&self, intent: &'intent Intent) -> Result<Lease<'intent>, Refusal> {
        let permit = intent.permit();
        let server = permit.bound().server();
        let secret = match self.secrets.get(server) {
            Some(secret) => secret.clone(),
            None => {
                let wire = Wire::Rpc { status: 200, code: INTERNAL, data: None };
                return Err(Refusal::new(
                    Station::Credential,
                    "credential_missing",
                    Blame::Us,
                    wire,
                    "Doorward holds no credential for this server.",
                ));
            }
        };
        Ok(Lease::grant(intent, secret, self.plan(permit), permit.bound().caller().expires()))
    }

    /// The shared secret of a server, for upkeep of Doorward's own (house 6).
    pub(crate) fn secret_of(&self, server: &ServerName) -> Option<Arc<UpstreamSecret>> {
        self.secrets.get(server).cloned().flatten()
    }
}
