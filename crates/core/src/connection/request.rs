//! What is sent to a token or revocation endpoint: form pairs, and how the client proves itself beside them (RFC 6749 sections 2.3.1,
//! 4.1.3 and 6; RFC 7009 section 2.1; RFC 8707 section 2.2).
//!
//! Made from what belongs together alone: a code goes to the client that it was asked for with, a token with the client that it is of.
//! Must not know sockets.

use super::client::{Auth, UpstreamClient};
use super::held::Held;
use super::trip::Arrived;
use crate::oauth::form::encoded;
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;

/// One POST. Prints names only.
#[derive(Debug)]
pub struct TokenRequest {
    pairs: Vec<(&'static str, Arc<Secret<String>>)>,
    authorization: Option<Secret<String>>,
}

/// The client is another one than the one that the code was asked for with (attack OC-03).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the code is of another client")]
pub struct OtherClient;

/// The tokens for a code.
///
/// # Errors
/// [`OtherClient`].
pub fn exchange(arrived: &Arrived, client: &UpstreamClient) -> Result<TokenRequest, OtherClient> {
    let trip = arrived.trip();
    if trip.client() != client.id {
        return Err(OtherClient);
    }
    let pairs = [
        ("grant_type", "authorization_code"),
        ("code", arrived.code()),
        ("redirect_uri", trip.redirect()),
        ("code_verifier", arrived.verifier()),
        ("resource", trip.resource()),
    ];
    Ok(TokenRequest::new(pairs.map(|(name, value)| (name, shared(value))).into(), client))
}

/// New tokens for a connection; `None` where it has no refresh token. It asks for the scopes that it has, which is what leaving them
/// out means.
#[must_use]
pub fn refresh(held: &Held) -> Option<TokenRequest> {
    let pairs = vec![
        ("grant_type", shared("refresh_token")),
        ("refresh_token", Arc::clone(held.refresh()?)),
        ("resource", shared(&held.parts().resource)),
    ];
    Some(TokenRequest::new(pairs, &held.parts().client))
}

/// The end of a connection at its authorization server: the refresh token first, with which the rest should go, then the access token,
/// which often does not. Each is good to be sent again until it was answered.
#[must_use]
pub fn revoke(held: &Held) -> Vec<TokenRequest> {
    let tokens =
        held.refresh().map(|token| ("refresh_token", Arc::clone(token))).into_iter().chain([("access_token", Arc::clone(held.access()))]);
    tokens.map(|(hint, token)| TokenRequest::new(vec![("token", token), ("token_type_hint", shared(hint))], &held.parts().client)).collect()
}

fn shared(text: &str) -> Arc<Secret<String>> {
    Arc::new(Secret::new(text.to_owned()))
}

// === impl TokenRequest ===

impl TokenRequest {
    fn new(mut pairs: Vec<(&'static str, Arc<Secret<String>>)>, client: &UpstreamClient) -> Self {
        let mut authorization = None;
        match (client.auth, &client.secret) {
            (Auth::Basic, Some(secret)) => {
                // Both encoded before they are joined (RFC 6749 section 2.3.1).
                let pair = format!("{}:{}", encoded(&client.id), encoded(secret.expose()));
                authorization = Some(Secret::new(format!("Basic {}", STANDARD.encode(pair))));
            }
            (Auth::Post, Some(secret)) => {
                pairs.extend([("client_id", shared(&client.id)), ("client_secret", Arc::clone(secret))]);
            }
            _ => pairs.push(("client_id", shared(&client.id))),
        }
        Self { pairs, authorization }
    }

    /// The body, `application/x-www-form-urlencoded`.
    #[must_use]
    pub fn body(&self) -> Secret<String> {
        let pairs: Vec<String> = self.pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value.expose()))).collect();
        Secret::new(pairs.join("&"))
    }

    /// The value of the `Authorization` field, where the client proves itself there.
    #[must_use]
    pub const fn authorization(&self) -> Option<&Secret<String>> {
        self.authorization.as_ref()
    }

    /// The names of its parameters.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.pairs.iter().map(|(name, _)| *name)
    }
}
