//! Tokens for tokens of other issuers (RFC 7523 section 2.1): a workload shows what its platform signed, and gets an access token of this
//! server, which is for one resource and ends when its user is disabled.
//!
//! No person, no consent, no refresh token: the administrator wrote into `[idp.<name>]` whose tokens count and what for. Must not know
//! pages, or how a token is judged.

use super::machine::{granted, only_server};
use super::token::unavailable;
use crate::Gateway;
use crate::idp::{NotAttested, Shown};
use crate::listen::OfficeRequest;
use crate::listen::body::Body;
use doorward_core::identity::attested::Purpose;
use doorward_core::identity::caller::{Record, Standing};
use doorward_core::oauth::form::Form;
use doorward_core::oauth::token::{Grant, TokenError, grant};
use http::Response;
use http::header::AUTHORIZATION;
use std::sync::Arc;

impl Gateway {
    /// A token for one server, for whom the assertion is about.
    ///
    /// # Errors
    /// [`TokenError`]: `invalid_grant` for every assertion that shows nobody who may come in.
    pub(super) async fn issued_for_a_token(&self, request: &OfficeRequest, form: &Form) -> Result<Response<Body>, TokenError> {
        if !self.issuers.take_grants() {
            return Err(TokenError::unsupported());
        }
        // What cannot be recorded has no effect (I2).
        if !self.audit.is_healthy() {
            return Err(TokenError::unavailable());
        }
        // A client id alone proves nothing and changes nothing; two proofs are one too many (OAuth 2.1 section 2.4).
        let proves = |name: &str| form.get(name).is_some();
        if request.headers.contains_key(AUTHORIZATION) || proves("client_secret") || proves("client_assertion") {
            return Err(TokenError::request("the assertion shows who asks; authenticate no client besides"));
        }
        let Grant::Assertion { assertion, scopes: asked, resource } = grant(form)? else { return Err(TokenError::unsupported()) };
        let shown = Shown::Form(assertion.expose());
        let issuer = self.issuers.meant(shown).ok().flatten().ok_or(TokenError::not_attested("no_issuer"))?;
        let attested = issuer.attest(shown, Purpose::Grant(self.root()), self.env.now()).await.map_err(|why| match why {
            NotAttested::Token(why) => TokenError::not_attested(why.reason()),
            NotAttested::Keys(trouble) => {
                tracing::info!(issuer = %issuer.rule.name, %trouble, "nobody knows whether an assertion is good");
                TokenError::no_issuer_keys()
            }
        })?;
        let own = &issuer.rule.scopes;
        if asked.as_ref().is_some_and(|asked| asked.iter().any(|scope| !own.contains(scope))) {
            return Err(TokenError::scope());
        }
        let server = match self.meant(resource.as_deref())? {
            Some(server) => server,
            None => only_server(own, asked.as_ref()).ok_or(TokenError::which_target())?,
        };
        let granted = granted(own, asked.as_ref(), &server)?;
        let attested = Arc::new(attested);
        let (groups, standing) = self.store.meet_user(attested.user(), self.env.now()).await.map_err(|error| unavailable(&error))?;
        let identity = attested.standing(groups, standing);
        if standing == Standing::Disabled {
            return Err(TokenError::disabled());
        }
        let (user, client, groups) = (attested.user(), attested.client(), &identity.record().groups);
        let as_asked = Record { granted: granted.clone(), ..(**identity.record()).clone() };
        if !self.is_attested_here(user, groups) || !self.may_still(&as_asked) {
            return Err(TokenError::not_attested("sign_in_not_allowed"));
        }
        if !self.is_offered(&server, (user, groups), client) {
            return Err(TokenError::not_visible());
        }
        if issuer.rule.groups_claim.is_some() {
            // As at a sign-in: who may see and do what is judged by the groups that the issuer names now.
            self.store.put_user(user, groups, self.env.now()).await.map_err(|error| unavailable(&error))?;
        }
        let proof = self.proofs.of_grant(&request.headers, client, self.root(), self.env.now()).map_err(TokenError::proof)?;
        self.issued_without_consent(request, (user, client), &server, (granted, "own_token_issued"), proof).await
    }
}
