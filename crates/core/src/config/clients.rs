//! What `[clients]` means.

use super::reference::SecretRef;
use super::units::Rate;
use crate::id::{AgentLabel, ClientId, ProviderName};
use crate::identity::attested::vouching;
use crate::oauth::admission::Admission;
use crate::oauth::client::Devices;
use crate::oauth::document::DocumentUrl;
use crate::oauth::redirect::Registered;
use crate::oauth::scope::Scope;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// `[clients]`.
#[derive(Debug, Clone)]
pub struct Clients {
    /// Who may ask.
    pub admission: Admission,
    /// Registrations from one address; of everybody together [`REGISTRATIONS_OF_ALL`] times as many.
    pub registration_rate: Rate,
    /// Clients that need not ask again while nothing changes.
    pub skip_consent: BTreeSet<ClientId>,
    /// Clients whose tokens have to be bound to a key.
    pub require_dpop: BTreeSet<ClientId>,
    /// How long an earlier choice is remembered.
    pub remember_consent: Duration,
    /// `[[clients.static]]`, in their order.
    pub fixed: Vec<StaticClient>,
    /// Which provider decides for people, where one does.
    pub enterprise: Option<Enterprise>,
    /// What the administrator calls the agents that come through clients.
    pub agents: Agents,
}

/// `clients.agents` and `clients.static.agent`: labels of agents, by the ids of their clients.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agents(BTreeMap<ClientId, AgentLabel>);

/// `clients.enterprise_managed`.
#[derive(Debug, Clone)]
pub struct Enterprise {
    /// The provider.
    pub issuer: ProviderName,
    /// Who may bring its grants.
    pub clients: BTreeSet<ClientId>,
    /// What may be granted at most.
    pub scopes: BTreeSet<Scope>,
}

/// An entry of `[[clients.static]]`.
#[derive(Debug, Clone)]
pub struct StaticClient {
    /// Its client id.
    pub id: ClientId,
    /// Its name, for people.
    pub name: String,
    /// How it proves itself.
    pub auth: StaticAuth,
    /// Where its answers may go; none if it asks nobody.
    pub redirects: Vec<Registered>,
    /// What it may have for itself; none if it acts for people only.
    pub own: BTreeSet<Scope>,
    /// Whether it may ask without a browser.
    pub devices: Devices,
    /// The clients whose tokens it may exchange for its own (RFC 8693); none for most.
    pub exchanges: BTreeSet<ClientId>,
}

/// How such a client proves itself.
#[derive(Debug, Clone)]
pub enum StaticAuth {
    /// Not at all.
    None,
    /// By a secret in an `Authorization: Basic` header.
    Basic(SecretRef),
    /// By a secret in the body of the form.
    Post(SecretRef),
    /// By assertions signed with one of these keys.
    PrivateKeyJwt(Jwks),
}

/// Where the public keys of such a client stand.
#[derive(Debug, Clone)]
pub enum Jwks {
    /// In a file, read at start.
    File(PathBuf),
    /// At an https address.
    At(DocumentUrl),
}

// === impl Agents ===

impl Agents {
    /// The label of a client: its own, or that of the issuer that names it (`idp:<name>`).
    #[must_use]
    pub fn of(&self, client: &ClientId) -> Option<&AgentLabel> {
        self.0.get(client).or_else(|| self.0.get(&vouching(client)))
    }

    /// Gives a label. False if this client has one.
    #[must_use]
    pub(super) fn give(&mut self, client: ClientId, label: AgentLabel) -> bool {
        let is_new = !self.0.contains_key(&client);
        self.0.entry(client).or_insert(label);
        is_new
    }

    /// All of them, by client.
    pub fn iter(&self) -> impl Iterator<Item = (&ClientId, &AgentLabel)> {
        self.0.iter()
    }
}

/// Registrations of everybody together, for each that one address may make.
pub const REGISTRATIONS_OF_ALL: NonZeroU32 = NonZeroU32::new(10).unwrap();
