//! Dynamic client registration (RFC 7591) without a table: the client id holds what was registered, and a MAC.
//!
//! `dwc_` + base64url of `version, random value, metadata, MAC`. Anonymous callers therefore store nothing here, every replica
//! knows every client, and none is ever forgotten (product AS10; REG-01 to REG-03). What an id says is checked again by the
//! rules of today whenever it comes back.

use crate::id::ClientId;
use crate::json::RawJson;
use crate::oauth::claims::{BadClaims, Claims, Unusable};
use crate::oauth::client::{Binds, Client, ClientAuth, Devices, Identity, Parts, SecretDigest};
use crate::oauth::device;
use crate::oauth::redirect::{Registered, Schemes};
use crate::secret::{ClientSecret, PlainToken, Secret};
use crate::session::sealed::NoKeys;
use crate::time::Timestamp;
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a client asks for, checked.
#[derive(Debug, Clone)]
pub struct Request {
    name: String,
    redirects: Vec<Registered>,
    auth: Method,
    application: Option<String>,
    binds: Option<Binds>,
    devices: Devices,
}

/// A client that has just registered.
#[derive(Debug)]
pub struct Registration {
    client: Client,
    secret: Option<PlainToken<ClientSecret>>,
    application: Option<String>,
}

/// The keys of all registrations of an installation. Replicas share them.
pub struct RegistrationKeys {
    current: Pair,
    older: Vec<Pair>,
}

/// Why a registration is refused (RFC 7591 section 3.2.2). The texts repeat nothing of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not a JSON object with one meaning.
    #[error("the body must be one JSON object without repeated members")]
    NotJson,
    /// Something in it.
    #[error(transparent)]
    Claims(#[from] BadClaims),
    /// The id would be longer than 1,024 bytes.
    #[error("name and redirect URIs are too long together")]
    TooLong,
}

/// The text is no client id of this installation, or nothing of what it registered is allowed today.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a client that registered here")]
pub struct NotRegistered;

/// How a registered client proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Method {
    #[serde(rename = "n")]
    None,
    #[serde(rename = "b")]
    Basic,
    #[serde(rename = "p")]
    Post,
}

struct Pair {
    ids: hmac::Key,
    secrets: hmac::Key,
}

/// The metadata in an id.
#[derive(Serialize, Deserialize)]
struct Compact {
    n: String,
    r: Vec<String>,
    a: Method,
    /// Its tokens are bound to a key; left out where they need not be, as in ids of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    d: Option<Bound>,
    /// Whether it named the device grant.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    v: bool,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Bound {
    #[serde(rename = "k")]
    ToAKey,
}

struct Length(usize);

/// What every id of a registration begins with.
pub const PREFIX: &str = "dwc_";
/// Bytes of a request that are looked at. A longer one is refused unread.
pub const MAX_BODY: usize = 128 * 1024;
/// Length of the random value.
pub const RANDOM: usize = 12;

const VERSION: u8 = 1;
const TAG: usize = 16;
/// Bytes of an id at most.
const MAX_ID: usize = 1024;
const MAX_DEPTH: usize = 16;

// === impl Request ===

impl Request {
    /// Reads the body of a registration.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn parse(body: &Bytes, schemes: &Schemes) -> Result<Self, Refused> {
        if body.len() > MAX_BODY {
            return Err(Refused::TooLong);
        }
        let json = RawJson::parse(body, MAX_DEPTH).map_err(|_| Refused::NotJson)?;
        let claims = Claims::of(&json).ok_or(Refused::NotJson)?;
        let redirects = claims.redirects(schemes, Unusable::Refused)?;
        claims.check_links()?;
        let devices = claims.check_grants()?;
        let auth = Method::strongest(&claims.auth_methods()?).ok_or(BadClaims::AuthMethod)?;
        let application = claims.text("application_type")?.map(std::borrow::Cow::into_owned);
        Ok(Self { name: claims.name()?.unwrap_or_default(), redirects, auth, application, binds: claims.binds()?, devices })
    }

    /// The same without the device grant: what is not given here is not in the answer, nor in the id.
    #[must_use]
    pub fn without_devices(self) -> Self {
        Self { devices: Devices::Unnamed, ..self }
    }

    /// True when every answer would go to a program on the person's own computer.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.redirects.iter().all(Registered::is_loopback)
    }
}

impl Method {
    /// Of those that a client names; what it means by naming none is said by RFC 7591 section 2.
    fn strongest(named: &[String]) -> Option<Self> {
        if named.is_empty() {
            return Some(Self::Basic);
        }
        let known = [("client_secret_basic", Self::Basic), ("client_secret_post", Self::Post), ("none", Self::None)];
        known.into_iter().find(|(name, _)| named.iter().any(|one| one == name)).map(|(_, method)| method)
    }
}

// === impl RegistrationKeys ===

impl RegistrationKeys {
    /// Derives the keys from the installation's sealing key (HKDF-SHA-256, RFC 5869).
    ///
    /// # Errors
    /// [`NoKeys`].
    pub fn derive(master: &Secret<[u8; 32]>) -> Result<Self, NoKeys> {
        Ok(Self { current: Pair::derive(master)?, older: Vec::new() })
    }

    /// The same, and ids and secrets made under an earlier sealing key stay good: clients replay them for ever.
    ///
    /// # Errors
    /// [`NoKeys`].
    pub fn with_older(mut self, master: &Secret<[u8; 32]>) -> Result<Self, NoKeys> {
        self.older.push(Pair::derive(master)?);
        Ok(self)
    }

    /// Registers a client. `random` makes the id one of its own; it is never used twice.
    ///
    /// # Errors
    /// [`Refused::TooLong`].
    pub fn register(&self, request: Request, random: [u8; RANDOM]) -> Result<Registration, Refused> {
        let Request { name, redirects, auth, application, binds, devices } = request;
        let compact = Compact {
            n: name,
            r: redirects.iter().map(|uri| uri.as_str().to_owned()).collect(),
            a: auth,
            d: binds.map(|Binds| Bound::ToAKey),
            v: devices == Devices::Named,
        };
        let metadata = serde_json::to_vec(&compact).map_err(|_| Refused::TooLong)?;
        let mut whole = [&[VERSION], random.as_slice(), &metadata].concat();
        let tag = self.current.tag(&whole);
        whole.extend_from_slice(&tag);
        let id = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(whole));
        if id.len() > MAX_ID {
            return Err(Refused::TooLong);
        }
        let id = ClientId::new(&id).map_err(|_| Refused::TooLong)?;
        let secret = (auth != Method::None).then(|| self.current.secret(&id));
        let client = client((id, compact.n), redirects, auth, secret.as_ref()).binding(binds).with_devices(devices);
        Ok(Registration { client, secret, application })
    }

    /// The client that an id describes, if it was made here.
    ///
    /// # Errors
    /// [`NotRegistered`], whatever is wrong with it.
    pub fn open(&self, id: &str, schemes: &Schemes) -> Result<Client, NotRegistered> {
        let body = id.strip_prefix(PREFIX).filter(|_| id.len() <= MAX_ID).ok_or(NotRegistered)?;
        let whole = URL_SAFE_NO_PAD.decode(body).map_err(|_| NotRegistered)?;
        let (said, tag) = whole.split_at_checked(whole.len().saturating_sub(TAG)).ok_or(NotRegistered)?;
        let mut pairs = std::iter::once(&self.current).chain(&self.older);
        let pair = pairs.find(|pair| pair.made(said, tag)).ok_or(NotRegistered)?;
        let metadata = said.strip_prefix(&[VERSION]).and_then(|rest| rest.get(RANDOM..)).ok_or(NotRegistered)?;
        let compact: Compact = serde_json::from_slice(metadata).map_err(|_| NotRegistered)?;
        let redirects: Vec<Registered> = compact.r.iter().filter_map(|uri| Registered::new(uri, schemes).ok()).collect();
        if redirects.is_empty() {
            return Err(NotRegistered);
        }
        let id = ClientId::new(id).map_err(|_| NotRegistered)?;
        let secret = (compact.a != Method::None).then(|| pair.secret(&id));
        let binds = compact.d.map(|Bound::ToAKey| Binds);
        let devices = if compact.v { Devices::Named } else { Devices::Unnamed };
        Ok(client((id, compact.n), redirects, compact.a, secret.as_ref()).binding(binds).with_devices(devices))
    }
}

fn client((id, name): (ClientId, String), redirects: Vec<Registered>, auth: Method, secret: Option<&PlainToken<ClientSecret>>) -> Client {
    let auth = match (auth, secret) {
        (Method::Basic, Some(secret)) => ClientAuth::SecretBasic(SecretDigest::of_token(secret)),
        (Method::Post, Some(secret)) => ClientAuth::SecretPost(SecretDigest::of_token(secret)),
        _ => ClientAuth::None,
    };
    Client::new(Parts { id, name, identity: Identity::SelfClaimed, redirects, auth, devices: Devices::Unnamed })
}

impl fmt::Debug for RegistrationKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RegistrationKeys({} older)", self.older.len())
    }
}

// === impl Pair ===

impl Pair {
    fn derive(master: &Secret<[u8; 32]>) -> Result<Self, NoKeys> {
        let prk = Salt::new(HKDF_SHA256, b"doorward client registration v1").extract(master.expose());
        let key = |label: &[u8]| {
            let mut bytes = zeroize::Zeroizing::new([0u8; 32]);
            prk.expand(&[label], Length(32)).and_then(|okm| okm.fill(&mut *bytes)).map_err(|_| NoKeys)?;
            Ok(hmac::Key::new(hmac::HMAC_SHA256, &*bytes))
        };
        Ok(Self { ids: key(b"client id")?, secrets: key(b"client secret")? })
    }

    /// HMAC-SHA-256, cut to 128 bits: ids are short, and a guess can only be tried here.
    fn tag(&self, said: &[u8]) -> [u8; TAG] {
        let whole = hmac::sign(&self.ids, said);
        let mut tag = [0u8; TAG];
        for (to, from) in tag.iter_mut().zip(whole.as_ref()) {
            *to = *from;
        }
        tag
    }

    fn made(&self, said: &[u8], tag: &[u8]) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.tag(said), tag).is_ok()
    }

    fn secret(&self, id: &ClientId) -> PlainToken<ClientSecret> {
        let mut bytes = zeroize::Zeroizing::new([0u8; 32]);
        for (to, from) in bytes.iter_mut().zip(hmac::sign(&self.secrets, id.as_str().as_bytes()).as_ref()) {
            *to = *from;
        }
        PlainToken::mint(&bytes)
    }
}

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

// === impl Registration ===

impl Registration {
    /// The client.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The answer (RFC 7591 section 3.2.1): what holds, which may be less than what was asked. It has the client's secret.
    #[must_use]
    pub fn answer(&self, now: Timestamp) -> serde_json::Value {
        let uris: Vec<&str> = self.client.redirects().iter().map(Registered::as_str).collect();
        let device = (self.client.devices() == Devices::Named).then_some(device::GRANT_TYPE);
        let grants: Vec<&str> = ["authorization_code", "refresh_token"].into_iter().chain(device).collect();
        let mut answer = serde_json::json!({
            "client_id": self.client.id().as_str(),
            "client_id_issued_at": now.as_millis() / 1000,
            "client_name": self.client.name(),
            "redirect_uris": uris,
            "grant_types": grants,
            "response_types": ["code"],
            "token_endpoint_auth_method": self.client.auth().method(),
        });
        if let Some(members) = answer.as_object_mut() {
            if let Some(application) = &self.application {
                members.insert("application_type".to_owned(), application.as_str().into());
            }
            if self.client.binds() {
                members.insert("dpop_bound_access_tokens".to_owned(), true.into());
            }
            if let Some(secret) = &self.secret {
                members.insert("client_secret".to_owned(), secret.reveal().into());
                members.insert("client_secret_expires_at".to_owned(), 0.into());
            }
        }
        answer
    }
}

// === impl Refused ===

impl Refused {
    /// The `error` of the answer.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Claims(BadClaims::Redirect(_) | BadClaims::Redirects | BadClaims::WebOnLoopback) => "invalid_redirect_uri",
            Self::NotJson | Self::Claims(_) | Self::TooLong => "invalid_client_metadata",
        }
    }
}

#[cfg(test)]
mod tests;
