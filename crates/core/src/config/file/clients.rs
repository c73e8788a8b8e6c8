//! The form of `[clients]`.

use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Which applications may ask for access.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientsFile {
    /// Whose client id metadata documents are read: nobody's, those of `allow`, those of the catalogue and of `allow`, or any public one. Default: `known`.
    pub metadata_documents: Option<DocumentsWord>,
    /// Which clients may register themselves (RFC 7591): none, those whose answers go to the person's own computer, or any. Default: `loopback-only`.
    pub dynamic_registration: Option<RegistrationWord>,
    /// Which clients may ask without a browser (RFC 8628), of those that name the device grant: none, those of `allow` and of `static` with the
    /// command line of this project, or any. Default: `known`; `off` where neither documents nor registrations are taken.
    pub device_grant: Option<DeviceGrantWord>,
    /// Client ids that may ask, exact; people see them as approved. Default: none.
    pub allow: Option<Vec<String>>,
    /// Client ids that may never ask: exact, or `sha256:` and the digest of one. Default: none.
    pub block: Option<Vec<String>>,
    /// Schemes of applications that redirect URIs may have, such as `cursor`. Default: none.
    pub custom_schemes: Option<Vec<String>>,
    /// Registrations from one address; everybody together may make ten times as many. Default: `20/m`.
    pub registration_rate: Option<String>,
    /// Clients, exact, that need not ask a person again who has allowed the same before: URLs of documents, or ids of `static` ones. It
    /// counts for answers to https addresses only, and only while nothing changes. Default: none.
    pub skip_consent: Option<Vec<String>>,
    /// Clients, exact, whose tokens have to be bound to a key (DPoP, RFC 9449): without a proof they are given none. Default: those that
    /// say so of themselves, by `dpop_bound_access_tokens`.
    pub require_dpop: Option<Vec<String>>,
    /// How long an earlier choice is remembered: what is new since is shown on the page. Default: `30d`.
    pub remember_consent: Option<String>,
    /// Enterprise-managed authorization (ID-JAG): an identity provider that people sign in by decides which of these clients may act for
    /// them, without the page of consent. Default: nobody decides that but people.
    pub enterprise_managed: Option<EnterpriseFile>,
    /// What the agents that come through clients are called, by the exact ids of these: `"https://app.example/client.json" = "etl"`. Policy and
    /// `visible_to` know a label as `agent:LABEL`, and the record names it. `idp:NAME` is every client of an issuer. A label proves no more
    /// than the id does. Default: none.
    pub agents: Option<BTreeMap<String, String>>,
    /// Clients that the administrator describes here.
    #[serde(rename = "static")]
    pub fixed: Option<Vec<StaticClientFile>>,
}

/// Who may say that a client acts for people.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnterpriseFile {
    /// The name of a table `[idp.NAME]` that people sign in by. Required.
    pub issuer: Option<String>,
    /// Client ids that may bring such grants, each of a client that proves itself by a secret or a key. Required.
    pub clients: Option<Vec<String>>,
    /// What they may be granted at most: `SERVER:read`, `SERVER:write` or `SERVER:destructive`. A grant that names no scope is for reading.
    /// Required.
    pub scopes: Option<Vec<String>>,
}

/// A client that the administrator describes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StaticClientFile {
    /// Its client id. Required; no URL, and not beginning with `dwc_` or `key:`.
    pub id: Option<String>,
    /// Its name, for people. Default: its id.
    pub name: Option<String>,
    /// What the agent is called that comes through it, as in `clients.agents`. Default: nothing.
    pub agent: Option<String>,
    /// How it proves itself. Default: not at all.
    pub auth: Option<ClientAuthFile>,
    /// Where its answers may go, exact; the port is free for http on 127.0.0.1, [::1] and localhost. Required, unless it has `scopes`,
    /// `exchange_from` or `device_grant`, or is one of `enterprise_managed`: without any it opens no browser.
    pub redirect_uris: Option<Vec<String>>,
    /// Whether it may ask without a browser (RFC 8628): a person types a code. Default: `false`.
    pub device_grant: Option<bool>,
    /// Ids of clients whose access tokens it may exchange for tokens of its own (RFC 8693), to act for the same users with no more than
    /// those. Such a client proves itself by a secret or a key. Default: none.
    pub exchange_from: Option<Vec<String>>,
    /// What it may have for itself, without a person (`client_credentials`): `SERVER:read`, `SERVER:write` or `SERVER:destructive`, each for
    /// itself. Such a client proves itself by a secret or a key, and is the user `client/ID`. Default: nothing.
    pub scopes: Option<Vec<String>>,
}

/// How a client proves itself at the token endpoint.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientAuthFile {
    /// Required.
    pub kind: Option<ClientAuthWord>,
    /// `secret`: reference to it.
    pub secret: Option<String>,
    /// `secret`: how it is sent, in an `Authorization: Basic` header or in the body. Default: `basic`.
    pub method: Option<SecretMethodWord>,
    /// `private_key_jwt`: its public keys (RFC 7517, at most 64 KiB), a file or the https address of a public host without a query. A file is
    /// read at start, an address when it is needed, as documents of clients are.
    pub jwks: Option<String>,
}

/// Whose documents are read.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DocumentsWord {
    /// Nobody's.
    Off,
    /// Those of `allow`.
    List,
    /// Those of the catalogue and of `allow`.
    Known,
    /// Any public one.
    Any,
}

/// Which clients may register themselves.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RegistrationWord {
    /// None.
    Off,
    /// Those whose answers go to the person's own computer.
    LoopbackOnly,
    /// Any.
    Any,
}

/// Which clients may ask without a browser.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeviceGrantWord {
    /// None.
    Off,
    /// Those that the administrator named, and the command line of this project.
    Known,
    /// Any that names the grant.
    Any,
}

/// How a client proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuthWord {
    /// Not at all.
    None,
    /// By a secret.
    Secret,
    /// By assertions that it signs (RFC 7523).
    PrivateKeyJwt,
}

/// How a secret is sent.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SecretMethodWord {
    /// In an `Authorization: Basic` header.
    Basic,
    /// In the body of the form.
    Post,
}
