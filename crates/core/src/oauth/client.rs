//! Who an OAuth client is: what it claims, who vouches for it, and how it proves itself at the token endpoint.
//!
//! A [`Client`] is made by `registration` (RFC 7591), `document` (client id metadata documents), `catalogue` (copies of such
//! documents) and [`Client::approved`] (the configuration), and by nothing else.

use crate::id::{ClientId, CredentialId};
use crate::oauth::redirect::Registered;
use crate::oauth::scope::Scope;
use crate::secret::{ClientSecret, PlainToken, Secret, sha256};
use crate::time::Timestamp;
use std::collections::BTreeSet;
use std::fmt;

/// An OAuth client whose metadata was checked.
#[derive(Debug, Clone)]
pub struct Client {
    id: ClientId,
    name: String,
    identity: Identity,
    document: Option<Document>,
    redirects: Vec<Registered>,
    auth: ClientAuth,
    /// What it may have for itself; nothing is no such client.
    own: BTreeSet<Scope>,
    /// It binds all of its tokens to a key (RFC 9449 section 5.2).
    binds: bool,
    devices: Devices,
    /// The clients whose tokens it may exchange for its own; nobody is no such client.
    exchanges: BTreeSet<ClientId>,
    fingerprint: [u8; 32],
}

/// Whether a client may ask without a browser (RFC 8628). Who does not say so may not: a person would be led to allow something that a client
/// never meant to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Devices {
    /// Its registration names the grant.
    Named,
    /// It does not.
    Unnamed,
}

/// Who says that a client is who it claims to be. The page has one badge for each (product 5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// The owner of `host` published a document that describes it.
    Published {
        /// Host of the client id, in lower case.
        host: String,
        /// Where the document came from this time.
        source: DocumentSource,
        /// When it was read from its host, or copied into the catalogue.
        checked: Timestamp,
    },
    /// The administrator named exactly this client id.
    Approved,
    /// It registered itself; nobody has checked its name.
    SelfClaimed,
}

/// Where a client id metadata document came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentSource {
    /// From its own URL, just now.
    Live,
    /// The copy of the last time that it could be read.
    LastGood,
    /// The copy that came with this program.
    Catalogue,
}

/// Origin of the document that a client was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Document {
    /// Where it came from.
    pub source: DocumentSource,
    /// When it was read from its host, or copied into the catalogue.
    pub checked: Timestamp,
}

/// How a client proves at the token endpoint that it is the one that registered (RFC 7591 `token_endpoint_auth_method`).
/// The registered way is the only one (OAuth 2.1 section 2.4; REG-04).
#[derive(Debug, Clone)]
pub enum ClientAuth {
    /// Not at all: a public client.
    None,
    /// A secret in an `Authorization: Basic` header.
    SecretBasic(SecretDigest),
    /// A secret in the body of the form.
    SecretPost(SecretDigest),
    /// An assertion signed with a key of its own (RFC 7523).
    PrivateKeyJwt(Keys),
    /// Such an assertion, or not at all: a document may name both, and its client chooses by what our metadata offers.
    EitherWay(Keys),
}

/// SHA-256 of a client secret. Secrets of registrations have 256 random bits; one of a configuration is in memory only.
#[derive(Clone)]
pub struct SecretDigest([u8; 32]);

/// Public keys of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// The JWK set of its document, as it stands there.
    Inline(String),
    /// The URL of its JWK set: public https, not fetched yet.
    At(String),
}

/// The issuer of clients that act for themselves (`client_credentials`): their user is `client/<client id>`. Issuers of people are
/// `local` and URLs, so no id of a client is ever one of a person (TK-11); that no provider is called so keeps `user:client/<id>` of the
/// configuration from meaning anything else.
pub const ISSUER: &str = "client";
/// What the names of credentials begin with that no consent stands behind.
pub const OWN_ACCESS: &str = "own_";

/// A client said `dpop_bound_access_tokens: true` of itself (RFC 9449 section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Binds;

/// What a client is made of.
pub(crate) struct Parts {
    pub(crate) id: ClientId,
    pub(crate) name: String,
    pub(crate) identity: Identity,
    pub(crate) redirects: Vec<Registered>,
    pub(crate) auth: ClientAuth,
    pub(crate) devices: Devices,
}

/// Whether no person said yes on our page to what this credential gives.
#[must_use]
pub fn is_without_consent(credential: &CredentialId) -> bool {
    credential.as_str().starts_with(OWN_ACCESS)
}

// === impl Client ===

impl Client {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { id, name, identity, redirects, auth, devices } = parts;
        let document = match &identity {
            Identity::Published { source, checked, .. } => Some(Document { source: *source, checked: *checked }),
            Identity::Approved | Identity::SelfClaimed => None,
        };
        let fingerprint = fingerprint(&name, &redirects, &auth);
        Self {
            id,
            name,
            identity,
            document,
            redirects,
            auth,
            own: BTreeSet::new(),
            binds: false,
            devices,
            exchanges: BTreeSet::new(),
            fingerprint,
        }
    }

    /// A client of the configuration (`[[clients.static]]`).
    #[must_use]
    pub fn configured(id: ClientId, name: String, redirects: Vec<Registered>, auth: ClientAuth) -> Self {
        Self::new(Parts { id, name, identity: Identity::Approved, redirects, auth, devices: Devices::Unnamed })
    }

    /// The same client with what it may have for itself, without a person: the administrator says so, and nobody else can.
    #[must_use]
    pub fn acting_for_itself(self, own: BTreeSet<Scope>) -> Self {
        Self { own, ..self }
    }

    /// The same client with those whose tokens it may exchange (RFC 8693): the administrator says so, and nobody else can.
    #[must_use]
    pub fn exchanging(self, exchanges: BTreeSet<ClientId>) -> Self {
        Self { exchanges, ..self }
    }

    /// The same client, which says that it binds all of its tokens to a key: it is given no others. A consent to it is one to that.
    #[must_use]
    pub(crate) fn binding(self, said: Option<Binds>) -> Self {
        match said {
            Some(Binds) => {
                let fingerprint = sha256(&[b"doorward client that binds v1".as_slice(), &self.fingerprint].concat());
                Self { binds: true, fingerprint, ..self }
            }
            None => self,
        }
    }

    /// The same client with the device grant, or without it.
    #[must_use]
    pub fn with_devices(self, devices: Devices) -> Self {
        Self { devices, ..self }
    }

    /// The same client, named by the administrator (`clients.allow`). What it was read from stays known.
    #[must_use]
    pub fn approved(self) -> Self {
        Self { identity: Identity::Approved, ..self }
    }

    /// Its client id.
    #[must_use]
    pub const fn id(&self) -> &ClientId {
        &self.id
    }

    /// The name it gives itself. A raw claim: any characters, never shown without being cleaned and quoted (REG-02).
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who vouches for it.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The document it was read from, if it was; also for one that the administrator approved.
    #[must_use]
    pub const fn document(&self) -> Option<Document> {
        self.document
    }

    /// Host of the document that describes it.
    #[must_use]
    pub fn publisher(&self) -> Option<&str> {
        match &self.identity {
            Identity::Published { host, .. } => Some(host),
            Identity::Approved | Identity::SelfClaimed => {
                let rest = self.document.and_then(|_| self.id.as_str().strip_prefix("https://"))?;
                rest.split(['/', ':', '?']).next()
            }
        }
    }

    /// Where its answers may go, in the order of its registration.
    #[must_use]
    pub fn redirects(&self) -> &[Registered] {
        &self.redirects
    }

    /// How it proves itself.
    #[must_use]
    pub const fn auth(&self) -> &ClientAuth {
        &self.auth
    }

    /// Whether it says that it binds all of its tokens to a key.
    #[must_use]
    pub const fn binds(&self) -> bool {
        self.binds
    }

    /// What it may have for itself (OAuth 2.1 section 4.2).
    #[must_use]
    pub const fn own(&self) -> &BTreeSet<Scope> {
        &self.own
    }

    /// The clients whose tokens it may exchange for its own.
    #[must_use]
    pub const fn exchanges(&self) -> &BTreeSet<ClientId> {
        &self.exchanges
    }

    /// Whether it may ask without a browser.
    #[must_use]
    pub const fn devices(&self) -> Devices {
        self.devices
    }

    /// Digest of name, redirect URIs, way to prove itself and keys. A consent is bound to it: when it changes, the person is
    /// asked again (product R4, C15). The order of redirect URIs does not count, nor does where a document came from.
    #[must_use]
    pub const fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }
}

fn fingerprint(name: &str, redirects: &[Registered], auth: &ClientAuth) -> [u8; 32] {
    let mut uris: Vec<&str> = redirects.iter().map(Registered::as_str).collect();
    uris.sort_unstable();
    uris.dedup();
    let mut text = b"doorward client v1".to_vec();
    let mut part = |part: &str| {
        text.extend_from_slice(&(part.len() as u64).to_be_bytes());
        text.extend_from_slice(part.as_bytes());
    };
    part(name);
    part(auth.method());
    part(match auth {
        ClientAuth::PrivateKeyJwt(Keys::Inline(keys)) | ClientAuth::EitherWay(Keys::Inline(keys)) => keys,
        ClientAuth::PrivateKeyJwt(Keys::At(url)) | ClientAuth::EitherWay(Keys::At(url)) => url,
        // A new secret of the same client is the same client.
        ClientAuth::None | ClientAuth::SecretBasic(_) | ClientAuth::SecretPost(_) => "",
    });
    for uri in uris {
        part(uri);
    }
    sha256(&text)
}

// === impl ClientAuth ===

impl ClientAuth {
    /// Its keys.
    #[must_use]
    pub const fn keys(&self) -> Option<&Keys> {
        match self {
            Self::PrivateKeyJwt(keys) | Self::EitherWay(keys) => Some(keys),
            Self::None | Self::SecretBasic(_) | Self::SecretPost(_) => None,
        }
    }

    /// Its name in metadata, for one way; in words, for two.
    #[must_use]
    pub const fn method(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SecretBasic(_) => "client_secret_basic",
            Self::SecretPost(_) => "client_secret_post",
            Self::PrivateKeyJwt(_) => "private_key_jwt",
            Self::EitherWay(_) => "none or private_key_jwt",
        }
    }
}

// === impl SecretDigest ===

impl SecretDigest {
    pub(super) fn of_token(secret: &PlainToken<ClientSecret>) -> Self {
        Self(*secret.hashed().as_bytes())
    }

    /// Of a secret of the configuration.
    #[must_use]
    pub fn of(secret: &Secret<String>) -> Self {
        Self(sha256(secret.expose().as_bytes()))
    }

    /// Whether `presented` is the secret; the time it takes tells nothing about it.
    #[must_use]
    pub fn is_of(&self, presented: &str) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(&self.0, &sha256(presented.as_bytes())).is_ok()
    }
}

impl fmt::Debug for SecretDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretDigest(..)")
    }
}
