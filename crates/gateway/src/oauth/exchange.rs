//! Token exchange (RFC 8693): an agent that somebody's token was handed to gets one of its own, with no more than that one has.
//!
//! Who may exchange whose tokens is what the administrator wrote into the configuration. Must not know how a token is judged, or pages.

use super::credential;
use super::token::{token_type, unavailable};
use crate::Gateway;
use crate::listen::OfficeRequest;
use crate::listen::body::Body;
use doorward_core::audit::outcome::Notice;
use doorward_core::id::{ClientId, ServerName};
use doorward_core::identity::caller::Record;
use doorward_core::oauth::dpop::Proven;
use doorward_core::oauth::exchange::{ACCESS_TOKEN, Actor, Asked, Delegated, Exchange, judge};
use doorward_core::oauth::token::{AuthenticatedClient, TokenError};
use doorward_core::secret::{AccessToken, PlainToken};
use doorward_store::{Refused, StoreError};
use http::Response;
use serde_json::json;

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
        let subject = self.store.access_token(&presented.subject).await.map_err(|error| unavailable(&error))?;
        let subject = subject.ok_or(TokenError::not_exchanged("unknown_credential"))?;
        let delegated = self.delegated(client, presented, (&subject, server.as_ref()), proof.as_ref()).await?;
        let delegated = match delegated {
            Ok(delegated) => delegated,
            Err(why) => {
                self.told_of_subject(request, client, &subject, why).await;
                return Err(why);
            }
        };
        let now = self.env.now();
        let (new, server) = (delegated.record(), delegated.server());
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
        let bound = new.bound.map_or_else(String::new, |key| format!(", bound to the key {key}"));
        let cause = format!("{} for {} of {}{bound}", new.credential, subject.credential, hands(new));
        let (id, user, client, server) = (Some(request.id), Some(&new.user), Some(client.id()), Some(server));
        let notice = Notice { reason: "token_exchanged", id, user, client, server, cause: Some(&cause), ..Notice::default() };
        self.audit.event(&notice, self.env.now()).await.map_err(|_| TokenError::unavailable())?;
        let content = json!({
            "access_token": access.reveal(),
            "issued_token_type": ACCESS_TOKEN,
            "token_type": token_type(new.bound),
            "expires_in": new.expires.since(now).as_secs(),
            "scope": new.granted.iter().map(String::as_str).collect::<Vec<_>>().join(" "),
        });
        Ok(credential(200, &content))
    }

    /// What may come of the token, as it and its clients stand now.
    ///
    /// # Errors
    /// [`TokenError`] of ours; the inner one is about the token.
    async fn delegated(
        &self,
        client: &AuthenticatedClient,
        presented: &Exchange,
        (subject, server): (&Record, Option<&ServerName>),
        proof: Option<&Proven>,
    ) -> Result<Result<Delegated, TokenError>, TokenError> {
        let unavailable = |error| unavailable(&error);
        // What could not be used cannot be exchanged.
        if let Err(why) = self.still_counts(subject).await.map_err(unavailable)? {
            return Ok(Err(TokenError::not_exchanged(why.reason())));
        }
        let actor = match &presented.actor {
            Some(hash) => Some(self.store.access_token(hash).await.map_err(unavailable)?),
            None => None,
        };
        let actor = actor.as_ref().map_or(Actor::NotShown, |found| found.as_deref().map_or(Actor::Unknown, Actor::Known));
        let scopes = presented.scopes.as_ref();
        let asked = Asked { scopes, server, bound: proof.map(Proven::key), life: self.lives.access, now: self.env.now() };
        let may = |from: &_| self.clients.may_exchange(client.id(), from);
        let delegated = match judge(client, may, (presented.subject.clone(), subject), actor, asked) {
            Ok(delegated) => delegated,
            Err(why) => return Ok(Err(why.into())),
        };
        let (new, server) = (delegated.record(), delegated.server());
        let offered = |through| self.is_offered(server, (&new.user, &new.groups), through);
        if !new.via().iter().chain([client.id()]).all(offered) {
            return Ok(Err(TokenError::not_visible()));
        }
        // The client itself, too: it may be one that is disabled.
        match self.still_counts(new).await.map_err(unavailable)? {
            Ok(()) => Ok(Ok(delegated)),
            Err(why) => Ok(Err(TokenError::not_exchanged(why.reason()))),
        }
    }

    /// Whose token it was that a client could not exchange: it may be a stolen one. As often as a client could have a reason to try.
    async fn told_of_subject(&self, request: &OfficeRequest, client: &AuthenticatedClient, subject: &Record, why: TokenError) {
        if self.proofs.may_show(&subject.credential) {
            let cause = format!("{}: it showed {} of {}", why.reason, subject.credential, subject.client);
            let (id, user, client) = (Some(request.id), Some(&subject.user), Some(client.id()));
            self.note(&Notice { reason: "exchange_refused", id, user, client, server: None, cause: Some(&cause), ..Notice::default() })
                .await;
        }
    }
}

/// The clients before, for the record.
fn hands(new: &Record) -> String {
    new.via().iter().map(ClientId::as_str).collect::<Vec<_>>().join(", ")
}
