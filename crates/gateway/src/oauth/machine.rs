//! Clients that act for themselves (OAuth 2.1 section 4.2): no person, no consent, no refresh token.
//!
//! What they may have is what the administrator wrote into the configuration, and their user is `client/<client id>`, whom policy judges
//! as everybody else. Must not know pages.

use super::credential;
use super::token::{token_type, unavailable};
use crate::Gateway;
use crate::listen::OfficeRequest;
use crate::listen::body::Body;
use doorward_core::id::{ClientId, CredentialId, ServerName, UserId};
use doorward_core::identity::caller::{Audience, Level, Record};
use doorward_core::oauth::client;
use doorward_core::oauth::dpop::{self, BadProof, Proven, Thumbprint};
use doorward_core::oauth::scope::{Scope, Scopes};
use doorward_core::oauth::token::{AuthenticatedClient, TokenError};
use doorward_core::secret::{AccessToken, PlainToken, sha256};
use doorward_core::time::Timestamp;
use doorward_store::{Refused, Standing, StoreError};
use http::Response;
use serde_json::json;
use std::collections::BTreeSet;

impl Gateway {
    /// A token of its own for one server.
    ///
    /// # Errors
    /// [`TokenError`]: `unauthorized_client` for everybody to whom the configuration gives nothing (TK-11).
    pub(super) async fn issued_to_itself(
        &self,
        request: &OfficeRequest,
        client: &AuthenticatedClient,
        (asked, resource): (Option<&Scopes>, Option<&str>),
        proof: Option<Proven>,
    ) -> Result<Response<Body>, TokenError> {
        let own = self.clients.own(client.id()).filter(|_| client.is_confidential()).ok_or(TokenError::unauthorized())?;
        if asked.is_some_and(|asked| asked.iter().any(|scope| !own.contains(scope))) {
            return Err(TokenError::scope());
        }
        let server = match self.meant(resource)? {
            Some(server) => server,
            None => only_server(own, asked).ok_or(TokenError::which_target())?,
        };
        let granted = granted(own, asked, &server)?;
        let user = UserId::new(client::ISSUER, client.id().as_str()).map_err(|_| TokenError::unauthorized())?;
        let groups = self.store.groups_of(&user).await.map_err(|error| unavailable(&error))?;
        if !self.is_offered(&server, (&user, &groups), client.id()) {
            return Err(TokenError::not_visible());
        }
        self.issued_without_consent(request, (&user, client.id()), &server, (granted, "own_token_issued"), proof).await
    }

    /// A token for who was shown to be it, on the record (for this reason) before it leaves.
    pub(super) async fn issued_without_consent(
        &self,
        request: &OfficeRequest,
        (user, client): (&UserId, &ClientId),
        server: &ServerName,
        (granted, reason): (BTreeSet<String>, &'static str),
        proof: Option<Proven>,
    ) -> Result<Response<Body>, TokenError> {
        // The client of an assertion was not looked up before: an issuer vouches for it.
        if self.is_blocked_now(client).await.map_err(|error| unavailable(&error))? {
            return Err(TokenError::grant("client_blocked"));
        }
        let access = PlainToken::<AccessToken>::mint(&self.env.bytes().map_err(|_| TokenError::unavailable())?);
        let bound = proof.as_ref().map(Proven::key);
        let id = credential_of((user, client), server, bound).ok_or(TokenError::unavailable())?;
        let now = self.env.now();
        if let Some(proof) = &proof {
            // Counted without the key: a new one for each request is no way around it.
            let counted = credential_of((user, client), server, None).ok_or(TokenError::unavailable())?;
            self.proof_used_up(proof, &counted, now).await?;
        }
        let record = Record {
            credential: id.clone(),
            level: Level::OAuth,
            user: user.clone(),
            groups: Vec::new(),
            client: client.clone(),
            agent: None,
            audience: Audience::Only(BTreeSet::from([server.clone()])),
            granted: granted.clone(),
            expires: now.after(self.lives.access),
            revoked: None,
            user_disabled: false,
            bound,
            delegation: None,
        };
        match self.store.issue_to_client(&access.hashed(), &record, now).await {
            Ok(Standing::Good) => {}
            Ok(Standing::Disabled) => return Err(TokenError::disabled()),
            Err(StoreError::Refused(Refused::TooMany)) => return Err(TokenError::too_many_tokens()),
            Err(error) => return Err(unavailable(&error)),
        }
        self.issued(request, client, reason, (user, server), (&id, bound)).await?;
        let content = json!({
            "access_token": access.reveal(),
            "token_type": token_type(bound),
            "expires_in": self.lives.access.as_secs(),
            "scope": granted.iter().map(String::as_str).collect::<Vec<_>>().join(" "),
        });
        Ok(credential(200, &content))
    }

    /// A proof counts once, here before what it allows: a machine has proved itself, and can ask again.
    pub(super) async fn proof_used_up(&self, proof: &Proven, id: &CredentialId, now: Timestamp) -> Result<(), TokenError> {
        if !self.proofs.may_show(id) {
            return Err(TokenError::too_many_proofs());
        }
        let (name, until) = proof.once();
        match self.store.consume_once(dpop::ONCE, name, until, now).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(TokenError::proof(BadProof::Replayed)),
            Err(error) => Err(unavailable(&error)),
        }
    }
}

/// What somebody has of a server without a consent is one credential, whichever token carries it: a session goes on when its token is
/// renewed. With a key it is another one, so that no session that began with a key goes on without.
fn credential_of((user, client): (&UserId, &ClientId), server: &ServerName, bound: Option<Thumbprint>) -> Option<CredentialId> {
    let (issuer, subject) = (user.issuer(), user.subject());
    let key = bound.map_or_else(String::new, |key| format!("\0{key}"));
    let digest = sha256(format!("doorward own access v2\0{server}\0{issuer}\0{subject}\0{client}{key}").as_bytes());
    let name: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    CredentialId::new(&format!("{}{name}", client::OWN_ACCESS)).ok()
}

/// The only server that can be meant where none is named.
pub(super) fn only_server(own: &BTreeSet<Scope>, asked: Option<&Scopes>) -> Option<ServerName> {
    let meant = |scope: &&Scope| asked.is_none_or(|asked| asked.contains(scope));
    let servers: BTreeSet<&ServerName> = own.iter().filter(meant).map(Scope::server).collect();
    match (servers.len(), servers.first()) {
        (1, Some(server)) => Some((*server).clone()),
        _ => None,
    }
}

/// What it has of a server, or as much of that as it asks for. What it asks for of another one is refused, not left out: a machine reads no
/// page that would say so.
pub(super) fn granted(own: &BTreeSet<Scope>, asked: Option<&Scopes>, server: &ServerName) -> Result<BTreeSet<String>, TokenError> {
    if asked.is_some_and(|asked| asked.iter().any(|scope| scope.server() != server)) {
        return Err(TokenError::scope());
    }
    let wanted = |scope: &&Scope| scope.server() == server && asked.is_none_or(|asked| asked.contains(scope));
    let granted: BTreeSet<String> = own.iter().filter(wanted).map(Scope::to_string).collect();
    if granted.is_empty() { Err(TokenError::target()) } else { Ok(granted) }
}
