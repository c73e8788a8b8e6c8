//! `/oauth/register` (RFC 7591). Stores nothing but a bounded note (ADR 26): the answer is the registration. REG-01 to REG-03.

use crate::Gateway;
use crate::limits::quota;
use crate::listen::body::Body;
use crate::listen::rate::AddressLimit;
use bytes::Bytes;
use doorward_core::config::clients::REGISTRATIONS_OF_ALL;
use doorward_core::config::units::Rate;
use doorward_core::oauth::admission::{DeviceGrant, Registrations};
use doorward_core::oauth::registration::{RANDOM, Request};
use governor::RateLimiter;
use governor::clock::{Clock as _, DefaultClock};
use governor::state::{InMemoryState, NotKeyed};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, PRAGMA, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::{Response, StatusCode};
use serde_json::json;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// How often something may be asked by whoever is nobody yet: from one address, and by all together.
pub struct RegistrationRates {
    each: AddressLimit,
    all: RateLimiter<NotKeyed, InMemoryState, DefaultClock>,
    clock: DefaultClock,
}

/// Why a registration is refused before it is read, or whatever it says.
enum Turned {
    TooOften(Duration),
    Off,
    MediaType,
}

// === impl RegistrationRates ===

impl RegistrationRates {
    /// From one address `rate`, from all ten times as many.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        let all = Rate { count: rate.count.saturating_mul(REGISTRATIONS_OF_ALL), ..rate };
        Self { each: AddressLimit::of(quota(rate)), all: RateLimiter::direct(quota(all)), clock: DefaultClock::default() }
    }

    /// Counts one. An address that has had its own does not take from the others.
    ///
    /// # Errors
    /// How long to wait.
    pub fn check(&self, peer: IpAddr) -> Result<(), Duration> {
        self.each.check(peer)?;
        self.all.check().map_err(|until| until.wait_time_from(self.clock.now()))
    }
}

impl fmt::Debug for RegistrationRates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RegistrationRates({:?})", self.each)
    }
}

impl Gateway {
    /// Answers a registration. `body` is at most [`doorward_core::oauth::registration::MAX_BODY`] bytes; a longer one was refused.
    pub fn register(&self, headers: &HeaderMap, body: &Bytes, peer: IpAddr) -> Response<Body> {
        let admission = self.clients.admission();
        if let Err(wait) = self.registrations.check(peer) {
            return Turned::TooOften(wait).answer();
        }
        if admission.registrations == Registrations::Off {
            self.note_registration(peer, Err("access_denied"));
            return Turned::Off.answer();
        }
        if !is_json(headers) {
            return Turned::MediaType.answer();
        }
        let request = match Request::parse(body, &admission.schemes) {
            Ok(request) if admission.device_grant == DeviceGrant::Any => request,
            Ok(request) => request.without_devices(),
            Err(refused) => {
                self.note_registration(peer, Err(refused.code()));
                return error(StatusCode::BAD_REQUEST, refused.code(), &refused.to_string());
            }
        };
        if admission.registrations == Registrations::LoopbackOnly && !request.is_local() {
            let why = "only clients whose redirect URIs lead to the person's own computer may register here; \
                       others need a client id metadata document, or the administrator";
            self.note_registration(peer, Err("invalid_redirect_uri"));
            return error(StatusCode::BAD_REQUEST, "invalid_redirect_uri", why);
        }
        let Ok(random) = self.env.bytes::<RANDOM>() else {
            return error(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", "try again later");
        };
        match self.clients.keys().register(request, random) {
            Ok(made) => {
                self.note_registration(peer, Ok(made.client()));
                answer(StatusCode::CREATED, &made.answer(self.env.now()))
            }
            Err(refused) => error(StatusCode::BAD_REQUEST, refused.code(), &refused.to_string()),
        }
    }
}

impl Turned {
    fn answer(&self) -> Response<Body> {
        match self {
            Self::TooOften(wait) => {
                let mut response =
                    error(StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable", "too many registrations; try again later");
                let seconds = wait.as_secs().saturating_add(1);
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
                response
            }
            Self::Off => error(StatusCode::FORBIDDEN, "access_denied", "clients cannot register themselves here"),
            Self::MediaType => error(StatusCode::BAD_REQUEST, "invalid_client_metadata", "the body must be application/json"),
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let essence = value.to_str().ok().and_then(|value| value.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

fn error(status: StatusCode, code: &str, description: &str) -> Response<Body> {
    answer(status, &json!({ "error": code, "error_description": description }))
}

fn answer(status: StatusCode, value: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(Body::whole(Bytes::from(value.to_string())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
