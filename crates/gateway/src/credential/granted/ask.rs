//! What is asked of a server's provider: public documents, registrations, tokens. Each by its own rule of where it may be.

use crate::egress::ask::{Heard, is_json};
use crate::egress::error::EgressError;
use crate::egress::pool::PoolKey;
use crate::egress::target::{Reach, Target};
use crate::egress::trust::Trust;
use crate::egress::{Egress, Outbound};
use bytes::Bytes;
use doorward_core::connection::given::{BadGiven, Given};
use doorward_core::connection::request::TokenRequest;
use doorward_core::credential::Origin;
use doorward_core::id::{ServerName, UserId};
use doorward_core::oidc::provider::{Endpoint, Place};
use doorward_core::secret::Secret;
use doorward_core::time::Timestamp;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, StatusCode};
use std::time::Duration;

/// Asks for one server.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    pub(super) server: ServerName,
    pub(super) egress: Egress,
    /// For one question, from the name to the last byte.
    pub(super) patience: Duration,
    /// The origin of the server, and the authorities that are believed there alone, where it has its own.
    pub(super) own: (Origin, Option<Trust>),
}

/// Why a question gave nothing. Nothing of what came is repeated but error codes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// Not reached, or not safely, or broken.
    #[error("it could not be reached: {0}")]
    Egress(EgressError),
    /// Another status, with the seconds after which it may be asked again.
    #[error("it answered with status {0}")]
    Status(u16, Option<u64>),
    /// Not declared as JSON.
    #[error("its answer is not declared as JSON")]
    MediaType,
    /// The answer of a token endpoint is of no use.
    #[error("its tokens: {0}")]
    Given(BadGiven),
}

/// Largest document or answer, in bytes.
const LARGEST: u64 = 256 * 1024;
/// What is said to a server that is expected to refuse it.
const KNOCK: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

impl Asker {
    fn target(&self, endpoint: &Endpoint) -> Result<Target, Trouble> {
        // Only what is on an origin that the administrator wrote may be on this machine or in a private network (OC-04, SSRF-03).
        let reach = match endpoint.place {
            Place::Issuer => Reach::Configured,
            Place::Elsewhere => Reach::Public,
        };
        let target = Target::new(&endpoint.url, reach).map_err(|_| unfit("the address"))?;
        Ok(match &self.own {
            (origin, Some(trust)) if target.origin() == *origin => target.trusting(trust.clone()),
            _ => target,
        })
    }

    async fn heard(&self, endpoint: &Endpoint, user: Option<&UserId>, outbound: Outbound) -> Result<Heard, Trouble> {
        let pool = PoolKey { server: self.server.clone(), user: user.cloned(), credential: None, version: 0 };
        let asked = self.egress.ask(&self.target(endpoint)?, &pool, outbound, (self.patience, LARGEST)).await;
        asked.map_err(Trouble::Egress)
    }

    /// A public document; `None` where there is none.
    pub(super) async fn document(&self, endpoint: &Endpoint) -> Result<Option<Bytes>, Trouble> {
        let outbound = Outbound { method: Method::GET, headers: headers(), body: Bytes::new() };
        let heard = self.heard(endpoint, None, outbound).await?;
        match heard.status {
            StatusCode::OK if is_json(&heard.headers) => Ok(Some(heard.body)),
            StatusCode::OK => Err(Trouble::MediaType),
            status if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS => Ok(None),
            _ => Err(status_of(&heard)),
        }
    }

    /// What the server at `endpoint` says to somebody without a credential.
    pub(super) async fn knock(&self, endpoint: &Endpoint) -> Result<Heard, Trouble> {
        let mut headers = headers();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.heard(endpoint, None, Outbound { method: Method::POST, headers, body: Bytes::from_static(KNOCK) }).await
    }

    /// Registers a client: status and body are for the reader of the registration.
    pub(super) async fn register(&self, endpoint: &Endpoint, user: &UserId, body: String) -> Result<(u16, Bytes), Trouble> {
        let mut headers = headers();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let outbound = Outbound { method: Method::POST, headers, body: Bytes::from(body) };
        let heard = self.heard(endpoint, Some(user), outbound).await?;
        if matches!(heard.status.as_u16(), 200 | 201) && !is_json(&heard.headers) {
            return Err(Trouble::MediaType);
        }
        Ok((heard.status.as_u16(), heard.body))
    }

    /// Tokens of a token endpoint, asked for at `began` with these scopes.
    pub(super) async fn tokens(
        &self,
        endpoint: &Endpoint,
        user: &UserId,
        request: &TokenRequest,
        (asked, began): (&[String], Timestamp),
    ) -> Result<Given, Trouble> {
        let heard = self.heard(endpoint, Some(user), form(request)?).await?;
        let is_answer = matches!(heard.status, StatusCode::OK | StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        if !is_answer {
            return Err(status_of(&heard));
        }
        if !is_json(&heard.headers) {
            return Err(if heard.status == StatusCode::OK { Trouble::MediaType } else { status_of(&heard) });
        }
        match Given::parse(&heard.body, asked, began) {
            Ok(given) if heard.status == StatusCode::OK => Ok(given),
            // What only looks like tokens under an error is none.
            Ok(_) => Err(status_of(&heard)),
            Err(why @ BadGiven::Refused(_)) => Err(Trouble::Given(why)),
            Err(why) if heard.status == StatusCode::OK => Err(Trouble::Given(why)),
            Err(_) => Err(status_of(&heard)),
        }
    }

    /// Tells a revocation endpoint (RFC 7009 section 2.2): 200 is all that counts.
    pub(super) async fn revoke(&self, endpoint: &Endpoint, user: &UserId, request: &TokenRequest) -> Result<(), Trouble> {
        let heard = self.heard(endpoint, Some(user), form(request)?).await?;
        if heard.status.is_success() { Ok(()) } else { Err(status_of(&heard)) }
    }
}

fn form(request: &TokenRequest) -> Result<Outbound, Trouble> {
    let mut headers = headers();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    if let Some(value) = request.authorization() {
        headers.insert(AUTHORIZATION, sensitive(value)?);
    }
    Ok(Outbound { method: Method::POST, headers, body: Bytes::from(request.body().expose().clone()) })
}

fn sensitive(value: &Secret<String>) -> Result<HeaderValue, Trouble> {
    let mut value = HeaderValue::try_from(value.expose().as_str()).map_err(|_| unfit("a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static("Doorward"));
    headers
}

fn unfit(what: &'static str) -> Trouble {
    Trouble::Egress(EgressError::BadRequest(what))
}

fn status_of(heard: &Heard) -> Trouble {
    let wait = heard.headers.get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    Trouble::Status(heard.status.as_u16(), wait)
}

impl Trouble {
    /// For records: a short stable word.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::Egress(EgressError::Redirect(_)) => "provider_redirects",
            Self::Egress(EgressError::TooLarge) => "provider_too_large",
            Self::Egress(EgressError::Forbidden(_)) => "provider_forbidden",
            Self::Egress(_) => "provider_unreachable",
            Self::Status(429, _) => "provider_overloaded",
            Self::Status(..) | Self::MediaType => "provider_failed",
            Self::Given(BadGiven::Refused(_)) => "token_refused",
            Self::Given(_) => "bad_tokens",
        }
    }
}
