//! Token exchange (RFC 8693): an agent that somebody's token was handed to gets one of its own, with no more than that one has.
//!
//! Who may exchange whose tokens is what the administrator wrote into the configuration. Must not know how a token is judged, or pages.

use super::credential;
use super::token::{token_type, unavailable};
use crate::Gateway;
use crate::listen::OfficeRequest;
use crate::listen::body::Body;
use doorward_core::identity::caller::Record;
use doorward_core::oauth::dpop::Proven;
use doorward_core::oauth::exchange::{ACCESS_TOKEN, Asked, Exchange, judge};
use doorward_core::oauth::token::{AuthenticatedClient, TokenError};
use doorward_core::secret::{AccessToken, PlainToken, TokenHash};
use doorward_store::{Refused, StoreError};
use http::Response;
use serde_json::json;
use std::sync::Arc;

impl Gateway {
    /// A token for what another client was given.
    ///
    /// # Errors
    /// [`TokenError`]: `unauthorized_client` for whoever may exchange nobody's tokens, `invalid_request` for a token that buys nothing
    /// (RFC 8693 section 2.2.2).
    pub(super) async fn exchanged(
        &self,
        request: &OfficeRequest,
        client: &AuthenticatedClient,
        presented: &Exchange,
        proof: Option<Proven>,
    ) -> Result<Response<Body>, TokenError> {
        if !client.is_confidential() || !self.clients.exchanges(client.id()) {
            return Err(TokenError::no_exchange());
        }
        let server = self.meant(presented.resource.as_deref())?;
        let subject = self.still_good(&presented.subject).await?.ok_or(TokenError::not_exchanged("unknown_credential"))?;
        let actor = match &presented.actor {
            Some(hash) => Some(self.still_good(hash).await?),
            None => None,
        };
        let now = self.env.now();
        let asked = Asked {
            scopes: presented.scopes.as_ref(),
            server: server.as_ref(),
            bound: proof.as_ref().map(Proven::key),
            life: self.lives.access,
            now,
        };
        let may = |from: &_| self.clients.may_exchange(client.id(), from);
        let actor = actor.as_ref().map(Option::as_deref);
        let delegated = judge(client, may, (presented.subject.clone(), &subject), actor, asked)?;
        let (new, server) = (delegated.record(), delegated.server());
        for through in new.via().iter().chain([client.id()]) {
            if !self.is_offered(server, (&new.user, &new.groups), through) {
                return Err(TokenError::not_visible());
            }
        }
        if let Some(proof) = &proof {
            // Counted by what it is exchanged for: neither a new key nor a new scope is a way around it.
            self.proof_used_up(proof, &subject.credential, now).await?;
        }
        let access = PlainToken::<AccessToken>::mint(&self.env.bytes().map_err(|_| TokenError::unavailable())?);
        match self.store.issue_exchanged(&access.hashed(), &delegated, now).await {
            Ok(true) => {}
            Ok(false) => return Err(TokenError::not_exchanged("revoked_credential")),
            Err(StoreError::Refused(Refused::TooMany)) => return Err(TokenError::too_many_tokens()),
            Err(error) => return Err(unavailable(&error)),
        }
        self.issued(request, client.id(), "token_exchanged", (&new.user, server), (&new.credential, new.bound)).await?;
        let content = json!({
            "access_token": access.reveal(),
            "issued_token_type": ACCESS_TOKEN,
            "token_type": token_type(new.bound),
            "expires_in": new.expires.since(now).as_secs(),
            "scope": new.granted.iter().map(String::as_str).collect::<Vec<_>>().join(" "),
        });
        Ok(credential(200, &content))
    }

    /// What the store holds under a token, unless the configuration or the command line took it away: what could not be used cannot be
    /// exchanged.
    async fn still_good(&self, hash: &TokenHash<AccessToken>) -> Result<Option<Arc<Record>>, TokenError> {
        let Some(record) = self.store.access_token(hash).await.map_err(|error| unavailable(&error))? else { return Ok(None) };
        if !self.may_still(&record) || self.is_any_blocked(&record).await.map_err(|error| unavailable(&error))? {
            return Ok(None);
        }
        Ok(Some(record))
    }
}
