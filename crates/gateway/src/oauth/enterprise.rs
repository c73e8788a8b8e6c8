//! Enterprise-managed authorization (ID-JAG): an identity provider that people sign in by says that one of them may be served through a
//! client, and no page of consent is shown.
//!
//! Whose word counts for which clients, and for how much at most, the administrator wrote into `clients.enterprise_managed`. The person
//! has to be one who may come in. A grant counts once. Must not know pages.

use super::machine::granted;
use super::token::unavailable;
use crate::Gateway;
use crate::idp::NotSignedIn;
use crate::listen::OfficeRequest;
use crate::listen::body::Body;
use doorward_core::id::{ClientId, ServerName, UserId};
use doorward_core::identity::caller::Standing;
use doorward_core::oauth::dpop::Proven;
use doorward_core::oauth::scope::{Scope, Scopes, server_of};
use doorward_core::oauth::token::{AuthenticatedClient, TokenError};
use doorward_core::oidc::admission::admit;
use doorward_core::oidc::grant::Granted;
use doorward_core::policy::facts::RiskClass;
use doorward_core::secret::Secret;
use http::Response;
use std::collections::BTreeSet;

impl Gateway {
    /// A token for a person, through a client that has proved itself.
    ///
    /// # Errors
    /// [`TokenError`]: `invalid_grant` for every grant that is not good here and now.
    pub(super) async fn issued_by_enterprise(
        &self,
        request: &OfficeRequest,
        client: &AuthenticatedClient,
        (assertion, asked, resource): (&Secret<String>, Option<&Scopes>, Option<&str>),
        proof: Option<Proven>,
    ) -> Result<Response<Body>, TokenError> {
        let Some(managed) = &self.enterprise else { return Err(TokenError::unsupported()) };
        if !client.is_confidential() || !managed.clients.contains(client.id()) {
            return Err(TokenError::unauthorized());
        }
        let provider = self.providers.find(&managed.issuer).ok_or(TokenError::unsupported())?;
        let grant = provider.granted(assertion.expose(), (self.root(), client.id()), || self.env.now()).await.map_err(|why| match why {
            NotSignedIn::Trouble(trouble) => {
                tracing::info!(provider = %managed.issuer, %trouble, "nobody knows whether a grant of it is good");
                TokenError::no_issuer_keys()
            }
            other => TokenError::not_attested(other.reason_of_grant()),
        })?;
        let server = server_of(self.root(), grant.resource()).ok_or(TokenError::target())?;
        if self.meant(resource)?.is_some_and(|meant| meant != server) {
            return Err(TokenError::target());
        }
        let may = may(&managed.scopes, &grant)?;
        let granted = granted(&may, asked, &server)?;
        let (name, until) = grant.name();
        let now = self.env.now();
        if !self.store.consume_once("identity grant", name, until, now).await.map_err(|error| unavailable(&error))? {
            return Err(TokenError::not_attested("replayed_assertion"));
        }
        self.issued_to_admitted(request, client, grant, (&server, granted), proof).await
    }

    /// Whether the configuration still lets a client have what a provider granted it for a person.
    pub(crate) fn enterprise_still_gives(&self, client: &ClientId, user: &UserId, granted: &BTreeSet<String>) -> bool {
        let Some(managed) = self.enterprise.as_ref().filter(|managed| managed.clients.contains(client)) else { return false };
        let is_of_provider = self.providers.find(&managed.issuer).is_some_and(|provider| provider.config.issuer == user.issuer());
        let gives: BTreeSet<String> = managed.scopes.iter().map(ToString::to_string).collect();
        is_of_provider && granted.is_subset(&gives)
    }

    /// The person has to be one who may come in, as at a sign-in: conditions of `[login]` and of the provider's table hold here too.
    async fn issued_to_admitted(
        &self,
        request: &OfficeRequest,
        client: &AuthenticatedClient,
        grant: Granted,
        (server, granted): (&ServerName, BTreeSet<String>),
        proof: Option<Proven>,
    ) -> Result<Response<Body>, TokenError> {
        let Some(provider) = self.enterprise.as_ref().and_then(|managed| self.providers.find(&managed.issuer)) else {
            return Err(TokenError::unsupported());
        };
        let vouched = grant.into_vouched();
        let user = vouched.user().clone();
        let (known, standing) = self.store.meet_user(&user, self.env.now()).await.map_err(|error| unavailable(&error))?;
        if standing == Standing::Disabled {
            return Err(TokenError::disabled());
        }
        let names_groups = vouched.names_groups();
        let vouched = vouched.knowing(known);
        if names_groups {
            // Also of whom is refused: they lose at once what they lost (RS-08).
            let now = self.env.now();
            self.store.put_user(&user, vouched.groups(), now).await.map_err(|error| unavailable(&error))?;
        }
        let admitted = admit(&vouched, &provider.config.domains, &self.login.admission)
            .map_err(|_| TokenError::not_attested("sign_in_not_allowed"))?;
        if !self.is_offered(server, (&user, admitted.groups()), client.id()) {
            return Err(TokenError::not_visible());
        }
        self.issued_without_consent(request, (&user, client.id()), server, (granted, "enterprise_token_issued"), proof).await
    }
}

/// What the provider grants of what may be granted at most. One that names nothing grants reading.
fn may(most: &BTreeSet<Scope>, grant: &Granted) -> Result<BTreeSet<Scope>, TokenError> {
    let Some(scope) = grant.scope() else {
        return Ok(most.iter().filter(|scope| scope.class() == RiskClass::Read).cloned().collect());
    };
    let named = Scopes::exact(scope).ok_or(TokenError::scope())?;
    Ok(most.iter().filter(|scope| named.contains(scope)).cloned().collect())
}
