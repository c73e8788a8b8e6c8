//! A connection that is being made: it leads one person from one browser to one authorization server and back to the same (I6;
//! attacks OC-01 to OC-03).
//!
//! Sealed into a cookie of the browser that began it, like a sign-in ([`crate::oidc::journey`]), and bound to more than that: to the
//! person and to their session here. An account of whoever follows a link of somebody else must never become theirs.
//! [`Trip::arrive`] is the one way from an answer of a browser to a code that may be redeemed.

use super::client::UpstreamClient;
use super::scopes::OFFLINE;
use super::server::AuthorizationServer;
use crate::id::{ServerName, UserId};
use crate::oauth::form::{Form, encoded};
use crate::oidc::callback::{Unanswered, code_of};
use crate::oidc::envelope::Envelope;
use crate::oidc::journey::Journey;
use crate::oidc::provider::Naming;
use crate::secret::{Secret, sha256};
use crate::time::Timestamp;
use aws_lc_rs::aead::NONCE_LEN;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Seals trips. Prints nothing of its key.
pub struct TripKey(Envelope);

/// Where a trip leads, for whom, and what for.
#[derive(Debug, Clone, Copy)]
pub struct Begin<'a> {
    /// The server whose connection it is.
    pub server: &'a ServerName,
    /// Who connects.
    pub user: &'a UserId,
    /// The digest of their session in this browser.
    pub browser: [u8; 32],
    /// Whom it leads to.
    pub at: &'a AuthorizationServer,
    /// As which client.
    pub client: &'a UpstreamClient,
    /// Where the answer comes: an address of this connection alone.
    pub redirect: &'a str,
    /// What is asked for.
    pub scopes: &'a [String],
    /// The name of the server as it says it itself (RFC 8707).
    pub resource: &'a str,
}

/// A connection on its way.
#[derive(Clone)]
pub struct Trip {
    state: String,
    nonce: String,
    verifier: String,
    server: ServerName,
    user: UserId,
    browser: [u8; 32],
    issuer: String,
    client: String,
    redirect: String,
    scopes: Vec<String>,
    resource: String,
    begun: Timestamp,
    waiting: Option<[u8; 32]>,
}

/// A code that came back to where it was sent from, with the person who sent for it. Only [`Trip::arrive`] makes one.
pub struct Arrived {
    trip: Trip,
    code: String,
}

/// Why an answer leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotArrived {
    /// It is not the answer to this trip: another `state` or server.
    #[error("other_connection")]
    Other,
    /// Somebody else is signed in now than the one who began (attack OC-01). The record names both.
    #[error("other_user")]
    OtherUser(UserId),
    /// The same person, in another session than the one in which they began.
    #[error("other_browser")]
    OtherBrowser,
    /// `iss` is another one, or missing where it was promised (RFC 9207 section 2.4).
    #[error("mixed_up")]
    Issuer,
    /// The authorization server says no: its error code, empty where that cannot be repeated.
    #[error("provider_refused")]
    Refused(String),
    /// There is no code, or no usable one.
    #[error("no_code")]
    NoCode,
}

/// Why there is no trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTrip {
    /// Altered, of another installation, or too old.
    #[error("the connection is not known here, or it is too old")]
    Unknown,
    /// Client id, addresses and scopes are together too long for a cookie.
    #[error("what is asked for is too long for a browser to carry")]
    TooLong,
}

/// A connection may take this long.
pub const TRIP_LIFE: Duration = Duration::from_secs(600);
/// Parameters of our authorization requests.
pub(super) const PARAMETERS: [&str; 12] = [
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "resource",
    "nonce",
    "prompt",
    "request",
    "request_uri",
];
/// Longest sealed trip, in bytes: browsers keep 4,096 with the name and attributes of the cookie (RFC 6265bis section 5.7).
const LONGEST: usize = 3_800;
const USE: &[u8] = b"doorward connection trip, AES-256-GCM, 1";

#[derive(Serialize, Deserialize)]
struct Payload {
    s: String,
    n: String,
    v: String,
    m: String,
    u: [String; 2],
    b: String,
    i: String,
    c: String,
    r: String,
    o: Vec<String>,
    a: String,
    t: u64,
    w: Option<String>,
}

// === impl TripKey ===

impl TripKey {
    /// Derives the key from the installation's, which replicas share.
    ///
    /// # Errors
    /// [`BadTrip::Unknown`] if the cryptographic library refuses, which it does not for 32 bytes.
    pub fn derive(master: &Secret<[u8; 32]>) -> Result<Self, BadTrip> {
        Envelope::derive(master, USE).map(Self).map_err(|_| BadTrip::Unknown)
    }

    /// Seals a trip. `nonce` is never used twice.
    ///
    /// # Errors
    /// [`BadTrip::TooLong`]; [`BadTrip::Unknown`] only if the cipher fails.
    pub fn seal(&self, trip: &Trip, nonce: [u8; NONCE_LEN]) -> Result<String, BadTrip> {
        let payload = Payload {
            s: trip.state.clone(),
            n: trip.nonce.clone(),
            v: trip.verifier.clone(),
            m: trip.server.as_str().to_owned(),
            u: [trip.user.issuer().to_owned(), trip.user.subject().to_owned()],
            b: URL_SAFE_NO_PAD.encode(trip.browser),
            i: trip.issuer.clone(),
            c: trip.client.clone(),
            r: trip.redirect.clone(),
            o: trip.scopes.clone(),
            a: trip.resource.clone(),
            t: trip.begun.as_millis(),
            w: trip.waiting.map(|digest| URL_SAFE_NO_PAD.encode(digest)),
        };
        let sealed = self.0.seal(&payload, nonce).map_err(|_| BadTrip::Unknown)?;
        if sealed.len() > LONGEST { Err(BadTrip::TooLong) } else { Ok(sealed) }
    }

    /// Opens a trip that is not older than [`TRIP_LIFE`].
    ///
    /// # Errors
    /// [`BadTrip::Unknown`].
    pub fn open(&self, sealed: &str, now: Timestamp) -> Result<Trip, BadTrip> {
        let payload: Payload = self.0.open(sealed, LONGEST).map_err(|_| BadTrip::Unknown)?;
        let digest = |text: &str| URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(BadTrip::Unknown);
        let [issuer, subject] = &payload.u;
        let trip = Trip {
            server: ServerName::new(&payload.m).map_err(|_| BadTrip::Unknown)?,
            user: UserId::new(issuer, subject).map_err(|_| BadTrip::Unknown)?,
            browser: digest(&payload.b)?,
            waiting: payload.w.as_deref().map(digest).transpose()?,
            state: payload.s,
            nonce: payload.n,
            verifier: payload.v,
            issuer: payload.i,
            client: payload.c,
            redirect: payload.r,
            scopes: payload.o,
            resource: payload.a,
            begun: Timestamp::from_millis(payload.t),
        };
        if now.as_millis() > trip.ends().as_millis() { Err(BadTrip::Unknown) } else { Ok(trip) }
    }
}

impl fmt::Debug for TripKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TripKey(..)")
    }
}

// === impl Trip ===

impl Trip {
    /// A new trip. `random` is of this trip alone; `waiting` is the sealed ticket that goes on afterwards.
    #[must_use]
    pub fn begin(begin: Begin<'_>, random: &[[u8; 32]; 3], waiting: Option<&str>, now: Timestamp) -> Self {
        let [state, nonce, verifier] = random.map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
        Self {
            state,
            nonce,
            verifier,
            server: begin.server.clone(),
            user: begin.user.clone(),
            browser: begin.browser,
            issuer: begin.at.issuer.clone(),
            client: begin.client.id.clone(),
            redirect: begin.redirect.to_owned(),
            scopes: begin.scopes.to_vec(),
            resource: begin.resource.to_owned(),
            begun: now,
            waiting: waiting.map(|sealed| sha256(sealed.as_bytes())),
        }
    }

    /// Its `state`.
    #[must_use]
    pub fn state(&self) -> &str {
        &self.state
    }

    /// The server whose connection it is.
    #[must_use]
    pub const fn server(&self) -> &ServerName {
        &self.server
    }

    /// Who began it.
    #[must_use]
    pub const fn user(&self) -> &UserId {
        &self.user
    }

    /// The issuer that it leads to.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The client that it is made with.
    #[must_use]
    pub fn client(&self) -> &str {
        &self.client
    }

    /// Where its answer comes.
    #[must_use]
    pub fn redirect(&self) -> &str {
        &self.redirect
    }

    /// What it asks for.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// The name of the server as it says it itself.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// When it began.
    #[must_use]
    pub const fn begun(&self) -> Timestamp {
        self.begun
    }

    /// When it ends.
    #[must_use]
    pub fn ends(&self) -> Timestamp {
        self.begun.after(TRIP_LIFE)
    }

    /// The short name of its cookie: some characters of a `state`. `None` for what is no `state` of ours.
    #[must_use]
    pub fn short(state: &str) -> Option<&str> {
        Journey::short(state)
    }

    /// The address that the browser is sent to. `None` where `at` is another server than the one it was begun for.
    #[must_use]
    pub fn authorization(&self, at: &AuthorizationServer) -> Option<String> {
        if at.issuer != self.issuer {
            return None;
        }
        let (scope, challenge) = (self.scopes.join(" "), URL_SAFE_NO_PAD.encode(sha256(self.verifier.as_bytes())));
        let has = |name: &str| self.scopes.iter().any(|scope| scope == name);
        let pairs = [
            ("response_type", Some("code")),
            ("client_id", Some(self.client.as_str())),
            ("redirect_uri", Some(self.redirect.as_str())),
            ("scope", Some(scope.as_str()).filter(|scope| !scope.is_empty())),
            ("state", Some(self.state.as_str())),
            ("code_challenge", Some(challenge.as_str())),
            ("code_challenge_method", Some("S256")),
            ("resource", Some(self.resource.as_str())),
            ("nonce", Some(self.nonce.as_str()).filter(|_| has("openid"))),
            // Without it a provider leaves the scope out (OpenID Connect Core section 11).
            ("prompt", Some("consent").filter(|_| has(OFFLINE))),
        ];
        let query: Vec<String> = pairs.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(value?)))).collect();
        let place = &at.authorization.url;
        let join = if place.ends_with(['?', '&']) {
            ""
        } else if place.contains('?') {
            "&"
        } else {
            "?"
        };
        Some(format!("{place}{join}{}", query.join("&")))
    }

    /// Takes the answer that came to the callback of the connection to `server`, from the browser in whose session `browser` the person
    /// `user` is signed in. `naming` is what its authorization server promised.
    ///
    /// Nothing that the answer says is looked at before it is certain whose answer it is.
    ///
    /// # Errors
    /// [`NotArrived`].
    pub fn arrive(
        self,
        server: &ServerName,
        user: &UserId,
        browser: &[u8; 32],
        answer: &Form,
        naming: Naming,
    ) -> Result<Arrived, NotArrived> {
        let state = answer.get("state").unwrap_or_default();
        let same = verify_slices_are_equal(state.as_bytes(), self.state.as_bytes()).is_ok();
        if !same || *server != self.server {
            return Err(NotArrived::Other);
        }
        if *user != self.user {
            return Err(NotArrived::OtherUser(self.user.clone()));
        }
        if verify_slices_are_equal(browser, &self.browser).is_err() {
            return Err(NotArrived::OtherBrowser);
        }
        let code = code_of(answer, &self.issuer, naming)?;
        Ok(Arrived { trip: self, code })
    }
}

impl fmt::Debug for Trip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trip").field("server", &self.server).field("user", &self.user).field("begun", &self.begun).finish_non_exhaustive()
    }
}

impl Drop for Trip {
    fn drop(&mut self) {
        use zeroize::Zeroize as _;
        self.verifier.zeroize();
    }
}

impl From<Unanswered> for NotArrived {
    fn from(why: Unanswered) -> Self {
        match why {
            Unanswered::Issuer => Self::Issuer,
            Unanswered::Refused(code) => Self::Refused(code),
            Unanswered::NoCode => Self::NoCode,
        }
    }
}

// === impl Arrived ===

impl Arrived {
    /// Where it came from.
    #[must_use]
    pub const fn trip(&self) -> &Trip {
        &self.trip
    }

    /// The code, to be redeemed once.
    pub(super) fn code(&self) -> &str {
        &self.code
    }

    /// The verifier that belongs to it.
    pub(super) fn verifier(&self) -> &str {
        &self.trip.verifier
    }

    /// Its name in the store, where it is used up before the code is redeemed (I3).
    #[must_use]
    pub fn once(&self) -> [u8; 32] {
        sha256(&[b"connection".as_slice(), self.trip.state.as_bytes()].concat())
    }

    /// Whether `sealed` is the ticket that this connection was begun for.
    #[must_use]
    pub fn leads_to(&self, sealed: &str) -> bool {
        self.trip.waiting == Some(sha256(sealed.as_bytes()))
    }
}

/// Nothing of the code.
impl fmt::Debug for Arrived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrived").field("trip", &self.trip).finish_non_exhaustive()
    }
}
