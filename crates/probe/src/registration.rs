//! Registering a client (RFC 7591) and asking for an authorization (RFC 6749 section 4.1.1), as rules need it. What was
//! registered is taken back where the server lets us (RFC 7592 section 2.3). Nobody signs in: no answer can carry a user's code.

use crate::ask::{Ask, Key, Reply};
use crate::door::Stop;
use crate::visit::Visit;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_core::secret::sha256;
use http::Method;
use serde_json::{Value, json};
use std::fmt;
use url::Url;

/// A client that the probe registered.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) id: String,
    /// Where it may be managed, and the key to it.
    manage: Option<(Url, Key)>,
}

/// Where answers to the probe's own client would go: a port of this computer where nobody listens.
pub(crate) const REDIRECT: &str = "http://127.0.0.1:33418/callback";
/// A host that belongs to nobody (RFC 2606).
pub(crate) const STRANGER: &str = "attacker.example";

/// Whether a request for an authorization has a challenge (RFC 7636).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Challenge {
    S256,
    Plain,
    Missing,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client(..)")
    }
}

/// Registers a client with this redirect URI. None where that is not offered, or refused.
///
/// # Errors
/// [`Stop`] once a limit is reached.
pub(crate) async fn register(visit: &Visit, redirect: &str) -> Result<Option<Client>, Stop> {
    let Some(url) = visit.seen()?.metadata.server.as_ref().and_then(|server| server.address("registration_endpoint")) else {
        return Ok(None);
    };
    if visit.door.admits(&url).is_err() {
        return Ok(None);
    }
    let wish = json!({
        "client_name": "doorward scan, may be deleted",
        "redirect_uris": [redirect],
        "application_type": "native",
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
    });
    let reply = visit.send(Ask::message(url, &wish).field("accept", "application/json")).await?;
    let Some(made) = reply.message.as_ref().filter(|_| reply.is_success()) else { return Ok(None) };
    let text = |key: &str| made.get(key).and_then(Value::as_str);
    let Some(id) = text("client_id") else { return Ok(None) };
    for secret in ["client_secret", "registration_access_token"].iter().filter_map(|key| text(key)) {
        visit.hide(secret);
    }
    let manage =
        text("registration_client_uri").and_then(|uri| uri.parse().ok()).zip(text("registration_access_token").and_then(Key::canary));
    let client = Client { id: id.to_owned(), manage };
    visit.registered(client.clone());
    // A server may take a registration and leave out what it does not like (RFC 7591 section 3.2.1).
    let kept = made.get("redirect_uris").and_then(Value::as_array).is_none_or(|kept| kept.iter().any(|one| one.as_str() == Some(redirect)));
    Ok(kept.then_some(client))
}

/// Takes a registration back.
///
/// # Errors
/// [`Stop`] once a limit is reached.
pub(crate) async fn unregister(visit: &Visit, client: &Client) -> Result<(), Stop> {
    if let Some((url, key)) = &client.manage
        && visit.door.admits(url).is_ok()
    {
        visit.send(Ask::new(Method::DELETE, url.clone()).by(Some(key))).await?;
    }
    Ok(())
}

/// What the authorization endpoint says to a request. None where it is not to be asked.
///
/// # Errors
/// [`Stop`] once a limit is reached.
pub(crate) async fn authorize(visit: &Visit, client: &Client, redirect: &str, challenge: Challenge) -> Result<Option<Reply>, Stop> {
    let Some(mut url) = visit.seen()?.metadata.server.as_ref().and_then(|server| server.address("authorization_endpoint")) else {
        return Ok(None);
    };
    if visit.door.admits(&url).is_err() {
        return Ok(None);
    }
    let verifier = format!("{}{}", visit.word("verifier"), visit.word("verifier-2"));
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &client.id)
        .append_pair("redirect_uri", redirect)
        .append_pair("state", &visit.word("state"))
        .append_pair("resource", &visit.shown());
    match challenge {
        Challenge::S256 => {
            let digest = URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes()));
            url.query_pairs_mut().append_pair("code_challenge", &digest).append_pair("code_challenge_method", "S256");
        }
        Challenge::Plain => {
            url.query_pairs_mut().append_pair("code_challenge", &verifier).append_pair("code_challenge_method", "plain");
        }
        Challenge::Missing => {}
    }
    let ask = Ask::new(Method::GET, url).field("accept", "text/html");
    visit.send(ask).await.map(Some)
}

/// The address that an answer leads to, if it leads anywhere.
pub(crate) fn leads_to(reply: &Reply, from: &Url) -> Option<Url> {
    from.join(reply.location()?).ok()
}

/// A parameter of the answer to the client, where the answer goes to this redirect URI.
pub(crate) fn answered(reply: &Reply, redirect: &str, parameter: &str) -> Option<String> {
    let location = reply.location()?.strip_prefix(redirect).map(|_| reply.location())??;
    let url: Url = location.parse().ok()?;
    url.query_pairs().find(|(name, _)| name == parameter).map(|(_, value)| value.into_owned())
}
