//! `/oauth/token`: phases that grants go through, in one function: read, client, redeem, record, answer. Those that no consent stands behind, and
//! those that are exchanged, redeem, record and answer in files of their own.

use super::clients::{Reading, Unresolved};
use super::device::is_pending;
use super::fetch::Why;
use super::key_sets::Wanted;
use super::{credential, token_error};
use crate::Gateway;
use crate::listen::OfficeRequest;
use crate::listen::body::Body;
use crate::listen::page::not_allowed;
use crate::signin::is_form;
use doorward_core::audit::outcome::Notice;
use doorward_core::config::login::Tokens;
use doorward_core::id::{ClientId, CredentialId, ServerName, UserId};
use doorward_core::oauth::attempt::{Mark, Step};
use doorward_core::oauth::client::Client;
use doorward_core::oauth::dpop::{BadProof, Header, Thumbprint};
use doorward_core::oauth::exchange;
use doorward_core::oauth::form::Form;
use doorward_core::oauth::scope::server_of;
use doorward_core::oauth::token::{
    AuthenticatedClient, Authentication, Grant, JWT_BEARER, Shown, TokenError, Used, authenticate, grant, shown,
};
use doorward_core::oidc::{self, jose::claimed_kind};
use doorward_core::secret::{AccessToken, PlainToken, RefreshToken, TokenHash};
use doorward_core::time::Timestamp;
use doorward_store::{Keys, NotRedeemed, PresentedCode, PresentedRefresh, StoreError, Successors};
use http::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method, Response};
use serde_json::json;
use std::collections::BTreeSet;

/// Tokens that are about to leave.
pub(super) struct Pair {
    pub(super) access: PlainToken<AccessToken>,
    pub(super) refresh: PlainToken<RefreshToken>,
}

impl Gateway {
    /// `/oauth/token`.
    pub(crate) async fn token(&self, mut request: OfficeRequest) -> Response<Body> {
        if request.method != Method::POST {
            return not_allowed("POST");
        }
        let proves = !Header::of(&request.headers).is_absent();
        let mut response = self.token_response(&mut request).await;
        if proves {
            self.proofs.hand_out(response.headers_mut(), self.env.now());
        }
        response
    }

    async fn token_response(&self, request: &mut OfficeRequest) -> Response<Body> {
        let arrived = self.env.now();
        let (form, shown) = match posted_by_client(request).await {
            // The token in it shows who asks; no client is needed besides (RFC 7521 section 4.1). One of an identity provider is for a client.
            Ok(form) if form.get("grant_type") == Some(JWT_BEARER) && !is_of_enterprise(&form) => {
                return match self.issued_for_a_token(request, &form).await {
                    Ok(response) => response,
                    Err(error) => self.token_refused(request, error, None).await,
                };
            }
            Ok(form) => match shown_by(&request.headers, &form) {
                Ok(shown) => (form, shown),
                Err(error) => return self.token_refused(request, error, None).await,
            },
            Err(error) => return self.token_refused(request, error, None).await,
        };
        match self.answered(request, &form, &shown, arrived).await {
            Ok(response) => response,
            Err(error) if is_pending(&error) => token_error(error, request.headers.contains_key(AUTHORIZATION)),
            Err(error) => {
                self.note_no_tokens(request, &form, &shown, &error);
                self.token_refused(request, error, Some(&shown)).await
            }
        }
    }

    /// What is presented. A grant that the metadata does not name is not served, whatever comes with it.
    fn presented_grant(&self, form: &Form) -> Result<Grant, TokenError> {
        if form.get("grant_type") == Some(exchange::GRANT_TYPE) && !self.clients.has_exchanges() {
            return Err(TokenError::unsupported());
        }
        grant(form)
    }

    async fn answered(
        &self,
        request: &OfficeRequest,
        form: &Form,
        shown: &Shown,
        arrived: Timestamp,
    ) -> Result<Response<Body>, TokenError> {
        let client = self.authenticated(shown).await?;
        let presented = self.presented_grant(form)?;
        // What cannot be recorded has no effect (I2): asked before anything is used up.
        if !self.audit.is_healthy() {
            return Err(TokenError::unavailable());
        }
        let now = self.env.now();
        let proof = self.proofs.of_token_request(&request.headers, &client, self.root(), now).map_err(TokenError::proof)?;
        let (redeemed, pair) = match &presented {
            Grant::Code { code, redirect_uri, challenge, resource } => {
                let server = self.meant(resource.as_deref())?;
                let pair = self.new_pair()?;
                let code = PresentedCode {
                    hash: code,
                    client: client.id(),
                    redirect_uri: redirect_uri.as_deref(),
                    challenge: challenge.as_str(),
                    server: server.as_ref(),
                    proof: proof.as_ref(),
                };
                let (access, refresh) = (pair.access.hashed(), pair.refresh.hashed());
                (self.store.redeem_code(&code, &successors(&access, &refresh, &self.lives), arrived, now).await, pair)
            }
            Grant::Device { code, hash, resource } => {
                let pair =
                    Pair { access: self.reception.keys.successor(code.expose()), refresh: self.reception.keys.successor(code.expose()) };
                let presented = (hash, resource.as_deref(), proof.as_ref());
                (Ok(self.redeemed_device(&client, presented, &pair, arrived).await?), pair)
            }
            // Where no client has anything of its own it is not served, as the metadata says.
            Grant::Own { .. } if !self.clients.has_own() => return Err(TokenError::unsupported()),
            Grant::Own { scopes, resource } => {
                return self.issued_to_itself(request, &client, (scopes.as_ref(), resource.as_deref()), proof).await;
            }
            Grant::Exchange(presented) => return self.exchanged(request, &client, presented, proof).await,
            Grant::Assertion { assertion, scopes, resource } => {
                let asked = (assertion, scopes.as_ref(), resource.as_deref());
                return self.issued_by_enterprise(request, &client, asked, proof).await;
            }
            Grant::Refresh { token, hash, scopes, resource } => {
                let server = self.meant(resource.as_deref())?;
                let line = self.still_theirs(hash).await?;
                // Whoever repeats itself within the window is answered alike, and each of its proofs is remembered.
                if proof.is_some() && line.is_some_and(|id| !self.proofs.may_show(&id)) {
                    return Err(TokenError::too_many_proofs());
                }
                let pair =
                    Pair { access: self.reception.keys.successor(token.expose()), refresh: self.reception.keys.successor(token.expose()) };
                let narrowed: Option<BTreeSet<String>> =
                    scopes.as_ref().map(|scopes| scopes.to_string().split_ascii_whitespace().map(str::to_owned).collect());
                // A scope of nothing but foreign words asks for no less (AS4).
                let narrowed = narrowed.filter(|narrowed| !narrowed.is_empty());
                let token = PresentedRefresh {
                    hash,
                    client: client.id(),
                    server: server.as_ref(),
                    narrowed: narrowed.as_ref(),
                    proof: proof.as_ref(),
                    keys: if client.is_confidential() { Keys::Any } else { Keys::Same },
                };
                let (access, refresh) = (pair.access.hashed(), pair.refresh.hashed());
                (self.store.refresh(&token, &successors(&access, &refresh, &self.lives), self.lives.replay_window, now).await, pair)
            }
        };
        let redeemed = match redeemed.map_err(|error| unavailable(&error))? {
            Ok(redeemed) => redeemed,
            Err(why) => {
                if let NotRedeemed::Replayed(id) = &why {
                    self.ended_by_replay(request, &client, id).await;
                }
                return Err(refused(&why));
            }
        };
        let reason = match (&presented, redeemed.again) {
            (Grant::Refresh { .. } | Grant::Device { .. }, true) => "tokens_repeated",
            (Grant::Refresh { .. }, false) => "tokens_refreshed",
            _ => "tokens_issued",
        };
        let what = (&redeemed.id, redeemed.bound);
        self.issued(request, client.id(), reason, (&redeemed.user, &redeemed.server), what).await?;
        if matches!(presented, Grant::Code { .. } | Grant::Device { .. }) {
            self.trace.tell_more(&redeemed.id, Mark::done(Step::Token, now));
        }
        let expires_in = redeemed.access_expires.since(now).as_secs();
        let content = json!({
            "access_token": pair.access.reveal(),
            "token_type": token_type(redeemed.bound),
            "expires_in": expires_in,
            "refresh_token": pair.refresh.reveal(),
            "scope": redeemed.granted.iter().map(String::as_str).collect::<Vec<_>>().join(" "),
        });
        Ok(credential(200, &content))
    }

    /// The client, as it is registered, having shown exactly that. Its document is not fetched here: who calls is nobody yet.
    pub(super) async fn authenticated(&self, shown: &Shown) -> Result<AuthenticatedClient, TokenError> {
        let now = self.env.now();
        let client = self.clients.resolve(shown.id(), Reading::Withheld, now).await.map_err(|why| match why {
            Unresolved::Store(_) => TokenError::unavailable(),
            Unresolved::Blocked => TokenError::client("client_blocked"),
            _ => TokenError::client("unknown_client"),
        })?;
        let authentication = match self.held_against(&client, shown, Wanted::Known, now).await {
            Err(error) if error.is_of_unknown_key() => self.held_against(&client, shown, Wanted::Newer, now).await?,
            first => first?,
        };
        match authentication {
            Authentication::Done(client) => Ok(client),
            Authentication::Once(once) => {
                if !self.clients.may_assert(once.client()) {
                    return Err(TokenError::too_many_assertions());
                }
                let (name, until) = once.name();
                let is_first = self.store.consume_once("client assertion", name, until, now).await.map_err(|error| unavailable(&error))?;
                once.settled(if is_first { Used::Never } else { Used::Before })
            }
        }
    }

    async fn held_against(&self, client: &Client, shown: &Shown, wanted: Wanted, now: Timestamp) -> Result<Authentication, TokenError> {
        let keys = match shown.wants_keys() {
            // Nobody knows whether it is good: the client keeps what it has, and comes again.
            true => self.clients.keys_of(client, wanted, now).await.map_err(|why| match why {
                Why::Keys(_) | Why::Withdrawn | Why::Unread => TokenError::client("no_usable_keys"),
                _ => TokenError::no_keys(),
            })?,
            false => None,
        };
        // Anew: reading keys took its time, and an assertion that has ended meanwhile has ended.
        let now = self.env.now();
        let endpoint = format!("{}/oauth/token", self.root());
        authenticate(client, shown, keys.as_deref(), (self.root(), &endpoint), now)
    }

    /// A refresh is a decision anew: the server is there, and still for this person and client (TK-07). What is unknown is left to
    /// the statement that redeems. The consent, where it is known.
    async fn still_theirs(&self, hash: &TokenHash<RefreshToken>) -> Result<Option<CredentialId>, TokenError> {
        let Some(id) = self.store.grant_of_refresh_token(hash).await.map_err(|error| unavailable(&error))? else { return Ok(None) };
        self.still_allowed(&id).await?;
        Ok(Some(id))
    }

    /// The same, of the consent that it stands on.
    pub(super) async fn still_allowed(&self, id: &CredentialId) -> Result<(), TokenError> {
        let Some(grant) = self.store.grant(id).await.map_err(|error| unavailable(&error))? else { return Ok(()) };
        if !self.may_come_in(&grant.user, &grant.groups) {
            return Err(TokenError::grant("sign_in_not_allowed"));
        }
        let offered = self.is_offered(&grant.server, (&grant.user, &grant.groups), &grant.client);
        if offered { Ok(()) } else { Err(TokenError::grant("server_not_visible")) }
    }

    /// The server that a `resource` means; another address than one of ours is nobody's.
    pub(super) fn meant(&self, resource: Option<&str>) -> Result<Option<ServerName>, TokenError> {
        resource.map(|resource| server_of(self.root(), resource).ok_or_else(TokenError::target)).transpose()
    }

    pub(super) fn new_pair(&self) -> Result<Pair, TokenError> {
        let (Ok(access), Ok(refresh)) = (self.env.bytes(), self.env.bytes()) else { return Err(TokenError::unavailable()) };
        Ok(Pair { access: PlainToken::mint(&access), refresh: PlainToken::mint(&refresh) })
    }

    /// Whose consent ended because something of it came twice.
    async fn ended_by_replay(&self, request: &OfficeRequest, client: &AuthenticatedClient, id: &CredentialId) {
        let grant = self.store.grant(id).await.ok().flatten();
        let (user, server) = (grant.as_ref().map(|grant| &grant.user), grant.as_ref().map(|grant| &grant.server));
        let (client, cause) = (Some(client.id()), Some(id.as_str()));
        self.note(&Notice { reason: "consent_ended_by_replay", id: Some(request.id), user, client, server, cause, ..Notice::default() })
            .await;
    }

    /// On the record before the tokens leave. What is recorded in the store only is of no use to anybody: nobody knows it.
    pub(super) async fn issued(
        &self,
        request: &OfficeRequest,
        client: &ClientId,
        reason: &'static str,
        (user, server): (&UserId, &ServerName),
        (credential, bound): (&CredentialId, Option<Thumbprint>),
    ) -> Result<(), TokenError> {
        let cause = bound.map_or_else(|| credential.to_string(), |key| format!("{credential}, bound to the key {key}"));
        let (id, client, cause) = (Some(request.id), Some(client), Some(cause.as_str()));
        let notice = Notice { reason, id, user: Some(user), client, server: Some(server), cause, ..Notice::default() };
        self.audit.event(&notice, self.env.now()).await.map_err(|_| TokenError::unavailable())
    }

    /// Refusals count against their address, and are on the record as long as it has room for strangers.
    pub(super) async fn token_refused(&self, request: &OfficeRequest, error: TokenError, shown: Option<&Shown>) -> Response<Body> {
        let basic = request.headers.contains_key(AUTHORIZATION);
        // Whom nobody could judge is no stranger, but may be one: they leave no more records than strangers do.
        let limit = if error.status == 503 { &self.untold } else { self.strangers.as_ref() };
        if let Err(wait) = limit.check(request.peer) {
            self.turn_away_office(request.peer);
            let mut response = token_error(TokenError::too_many(), basic);
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().saturating_add(1)));
            return response;
        }
        let client = shown.and_then(|shown| ClientId::new(shown.id()).ok());
        let notice = Notice {
            reason: error.reason,
            id: Some(request.id),
            client: client.as_ref(),
            cause: Some(request.office.endpoint()),
            ..Notice::default()
        };
        self.note(&notice).await;
        token_error(error, basic)
    }
}

/// Whether the token of a form is an identity provider's grant for a client, by what it says of itself: it decides who judges it.
fn is_of_enterprise(form: &Form) -> bool {
    form.get("assertion").and_then(claimed_kind).is_some_and(|kind| kind == oidc::grant::KIND)
}

/// What a client sends to one of its endpoints, and how it shows itself there.
pub(super) async fn presented(request: &mut OfficeRequest) -> Result<(Form, Shown), TokenError> {
    let form = posted_by_client(request).await?;
    let shown = shown_by(&request.headers, &form)?;
    Ok((form, shown))
}

/// Reads the body of a client: a form, nothing in the query (TK-12).
async fn posted_by_client(request: &mut OfficeRequest) -> Result<Form, TokenError> {
    let media = TokenError { status: 415, ..TokenError::request("send application/x-www-form-urlencoded") };
    if !is_form(&request.headers) {
        return Err(media);
    }
    if request.query.as_deref().is_some_and(|query| !query.is_empty()) {
        return Err(TokenError::request("parameters belong into the body"));
    }
    let body = request.read().await.map_err(|bad| match bad {
        crate::listen::BadBody::TooLarge => TokenError { status: 413, ..TokenError::request("the body is too large") },
        _ => TokenError::request("the body did not arrive whole"),
    })?;
    let text = std::str::from_utf8(&body).map_err(|_| TokenError::request("the body is not UTF-8"))?;
    Form::parse(text).map_err(|_| TokenError::request("the body is malformed, or repeats a parameter"))
}

/// How a client shows itself.
fn shown_by(headers: &HeaderMap, form: &Form) -> Result<Shown, TokenError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => shown(None, form),
        (Some(one), None) => shown(Some(one.to_str().map_err(|_| TokenError::client("malformed_basic"))?), form),
        _ => Err(TokenError::request("send one Authorization header")),
    }
}

pub(super) const fn successors<'a>(
    access: &'a TokenHash<AccessToken>,
    refresh: &'a TokenHash<RefreshToken>,
    lives: &Tokens,
) -> Successors<'a> {
    Successors { access, access_life: lives.access, refresh, refresh_life: lives.refresh_idle }
}

/// RFC 9449 section 5: what only the holder of a key may use is no bearer token.
pub(super) const fn token_type(bound: Option<Thumbprint>) -> &'static str {
    if bound.is_some() { "DPoP" } else { "Bearer" }
}

pub(super) const fn unavailable(_: &StoreError) -> TokenError {
    TokenError::unavailable()
}

/// To the client dead is dead; the record has the reason.
const fn refused(why: &NotRedeemed) -> TokenError {
    match why {
        NotRedeemed::Unknown => TokenError::grant("unknown_grant"),
        NotRedeemed::Expired => TokenError::grant("expired_grant"),
        NotRedeemed::Concurrent => TokenError::grant("concurrent_use"),
        NotRedeemed::Replayed(_) => TokenError::grant("replayed_grant"),
        NotRedeemed::Mismatch => TokenError::grant("foreign_grant"),
        NotRedeemed::Ended => TokenError::grant("ended_grant"),
        NotRedeemed::OtherResource => TokenError::target(),
        NotRedeemed::WiderScope => TokenError::scope(),
        NotRedeemed::Unproven => TokenError::proof(BadProof::Missing),
        NotRedeemed::OtherKey => TokenError::other_key(),
        NotRedeemed::ReplayedProof => TokenError::proof(BadProof::Replayed),
    }
}
