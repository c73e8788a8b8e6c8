//! Clients that act for themselves (OAuth 2.1 section 4.2): no person, no consent, no refresh token.
//!
//! What they may have is what the administrator wrote into the configuration, and their user is `client/<client id>`, whom policy judges
//! as everybody else. Must not know pages.

use super::credential;
use super::token::unavailable;
use crate::Gateway;
use crate::listen::OfficeRequest;
use crate::listen::body::Body;
use doorward_core::audit::outcome::Notice;
use doorward_core::id::{CredentialId, ServerName, UserId};
use doorward_core::identity::caller::{Audience, Level, Record};
use doorward_core::oauth::client;
use doorward_core::oauth::scope::{Scope, Scopes};
use doorward_core::oauth::token::{AuthenticatedClient, TokenError};
use doorward_core::secret::{AccessToken, PlainToken};
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
        asked: Option<&Scopes>,
        resource: Option<&str>,
    ) -> Result<Response<Body>, TokenError> {
        let own = self.clients.own(client.id()).filter(|_| client.is_confidential()).ok_or(TokenError::unauthorized())?;
        let server = match self.meant(resource)? {
            Some(server) => server,
            None => only_server(own, asked).ok_or(TokenError::which_target())?,
        };
        let granted = granted(own, asked, &server)?;
        let user = UserId::new(client::ISSUER, client.id().as_str()).map_err(|_| TokenError::unauthorized())?;
        if !self.is_offered(&server, (&user, &[]), client.id()) {
            return Err(TokenError::target());
        }
        // What cannot be recorded has no effect (I2).
        if !self.audit.is_healthy() {
            return Err(TokenError::unavailable());
        }
        let (Ok(random), Ok(name)) = (self.env.bytes::<32>(), self.env.bytes::<12>()) else { return Err(TokenError::unavailable()) };
        let access = PlainToken::<AccessToken>::mint(&random);
        let id = CredentialId::new(&format!("own_{}", name.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
            .map_err(|_| TokenError::unavailable())?;
        let now = self.env.now();
        let record = Record {
            credential: id.clone(),
            level: Level::OAuth,
            user: user.clone(),
            groups: Vec::new(),
            client: client.id().clone(),
            agent: None,
            audience: Audience::Only(BTreeSet::from([server.clone()])),
            granted: granted.clone(),
            expires: now.after(self.lives.access),
            revoked: None,
            user_disabled: false,
        };
        match self.store.issue_to_client(&access.hashed(), &record, now).await {
            Ok(Standing::Good) => {}
            Ok(Standing::Disabled) => return Err(TokenError::disabled()),
            Err(StoreError::Refused(Refused::TooMany)) => return Err(TokenError::too_many_tokens()),
            Err(error) => return Err(unavailable(&error)),
        }
        let (id_of, client_id) = (Some(request.id), Some(client.id()));
        let cause = Some(id.as_str());
        let notice = Notice { reason: "own_token_issued", id: id_of, user: Some(&user), client: client_id, server: Some(&server), cause };
        self.audit.event(&notice, now).await.map_err(|_| TokenError::unavailable())?;
        let content = json!({
            "access_token": access.reveal(),
            "token_type": "Bearer",
            "expires_in": self.lives.access.as_secs(),
            "scope": granted.iter().map(String::as_str).collect::<Vec<_>>().join(" "),
        });
        Ok(credential(200, &content))
    }
}

/// The only server that can be meant where none is named.
fn only_server(own: &BTreeSet<Scope>, asked: Option<&Scopes>) -> Option<ServerName> {
    let meant = |scope: &&Scope| asked.is_none_or(|asked| asked.contains(scope));
    let servers: BTreeSet<&ServerName> = own.iter().filter(meant).map(Scope::server).collect();
    match (servers.len(), servers.first()) {
        (1, Some(server)) => Some((*server).clone()),
        _ => None,
    }
}

/// What it has of a server, or as much of that as it asks for. More than it has is refused, not left out: a machine reads no page that
/// would say so.
fn granted(own: &BTreeSet<Scope>, asked: Option<&Scopes>, server: &ServerName) -> Result<BTreeSet<String>, TokenError> {
    let granted: BTreeSet<String> = match asked {
        None => own.iter().filter(|scope| scope.server() == server).map(Scope::to_string).collect(),
        Some(asked) if asked.of(server).any(|scope| !own.contains(scope)) => return Err(TokenError::scope()),
        Some(asked) => asked.of(server).map(Scope::to_string).collect(),
    };
    match (granted.is_empty(), asked) {
        (false, _) => Ok(granted),
        (true, None) => Err(TokenError::target()),
        (true, Some(_)) => Err(TokenError::scope()),
    }
}
