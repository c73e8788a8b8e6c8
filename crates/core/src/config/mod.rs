//! What an installation is configured to be: text is parsed once into [`Config`], and nothing later reads files or environment.
//!
//! `source` and `tree` hold what was typed with its places, `file` its form, `check` its meaning, `problem` what is wrong with it.
//! Nothing here opens a file or reads the environment: texts come in with their names. Imports all rooms, imported by none
//! (house 9, 15; product 3).

pub mod check;
pub mod clients;
pub mod file;
pub mod google;
pub mod layers;
pub mod load;
pub mod login;
pub mod problem;
pub mod reference;
pub mod schema;
pub mod selector;
pub mod show;
pub mod source;
pub mod tree;
pub mod units;
pub mod unready;

#[cfg(test)]
mod tests;

use crate::contract::Measure;
use crate::credential::google::places::Places;
use crate::glob::Glob;
use crate::id::{ProviderName, ServerName, ToolName};
use crate::launch::{Integrity, PackageRunners};
use crate::policy::facts::RiskClass;
use crate::screen::Modes;
use clients::Clients;
pub use file::SeenBy;
use google::GoogleCredential;
use http::{HeaderName, HeaderValue};
use ipnet::IpNet;
use login::{IdentityProvider, Login, TokenIssuer, Tokens};
use reference::SecretRef;
pub use selector::{Selector, Somebody, Through};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use units::{Rate, Size};
use url::Url;

/// A whole checked configuration. Made only by [`load::load`]; nothing later checks it again.
#[derive(Debug, Clone)]
pub struct Config {
    /// What people see as the name of this installation.
    pub name: String,
    /// The one root that issuer, resource identifiers and links derive from; absent means laptop mode.
    pub public_url: Option<PublicUrl>,
    /// The sockets.
    pub listen: Listen,
    /// The database.
    pub store: StoreConfig,
    /// Who may sign in.
    pub idps: BTreeMap<ProviderName, Arc<IdentityProvider>>,
    /// Whose tokens count at `/k/...`, by name.
    pub issuers: Vec<TokenIssuer>,
    /// Who of those may come in, and for how long.
    pub login: Login,
    /// Lives of what applications are given.
    pub tokens: Tokens,
    /// The applications that may ask for access.
    pub clients: Clients,
    /// The servers behind the gateway, switched-off ones included.
    pub servers: BTreeMap<ServerName, Arc<Server>>,
    /// Where the rules are.
    pub policy: PolicyFiles,
    /// What is searched for in what passes, where a server says nothing else.
    pub screening: Modes,
    /// How much anybody may use.
    pub limits: Limits,
    /// The record.
    pub audit: AuditConfig,
    /// Logs.
    pub telemetry: Telemetry,
    /// What outbound connections may reach.
    pub egress: Egress,
    /// Where the services of Google are.
    pub places: Places,
}

/// Scheme, host and port, without path or trailing slash: `https://mcp.acme.example`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

/// `[listen]`.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Where MCP and pages are served. Loopback in laptop mode.
    pub address: SocketAddr,
    /// How the bytes are protected.
    pub tls: Tls,
    /// Peers whose forwarded headers count.
    pub trusted_proxies: Vec<IpNet>,
    /// Further accepted `Host` values, lower case.
    pub hosts: Vec<String>,
    /// Browser origins allowed on MCP routes, exact.
    pub origins: Vec<String>,
    /// Where Prometheus text is served, if at all.
    pub metrics: Option<SocketAddr>,
    /// Largest request body, in bytes.
    pub max_body: Size,
}

/// How the listener is protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// Not at all: a loopback address.
    Loopback,
    /// TLS ends here.
    Here {
        /// PEM file with the chain.
        cert: PathBuf,
        /// PEM private key: always a file, so that a renewed one is read again.
        key: PathBuf,
        /// The oldest version spoken.
        min_version: TlsVersion,
        /// PEM file of the authorities of clients, where certificates of clients are asked for.
        client_ca: Option<PathBuf>,
    },
    /// TLS ends in front, at `trusted_proxies`.
    Proxy,
}

/// A version of TLS that is still good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// 1.2
    V1_2,
    /// 1.3
    V1_3,
}

/// `[store]`.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// Which database.
    pub target: StoreTarget,
    /// Its password.
    pub password: Option<SecretRef>,
    /// The key-encryption key; absent means the one in the state directory.
    pub encryption_key: Option<SecretRef>,
    /// Most connections at once.
    pub pool: NonZeroU32,
}

/// Which database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreTarget {
    /// SQLite in the state directory.
    StateDirectory,
    /// SQLite in this file.
    Sqlite(PathBuf),
    /// PostgreSQL; the URL holds no password.
    Postgres(Url),
}

/// `[server.<name>]`.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its name in URLs, policies and records.
    pub name: ServerName,
    /// For people; the name if none was given.
    pub title: String,
    /// For people.
    pub description: Option<String>,
    /// Switched-off servers answer like unknown ones.
    pub enabled: bool,
    /// Where it is.
    pub target: Target,
    /// Who sees it; empty means everybody who may sign in.
    pub visible_to: Vec<Selector>,
    /// As whom calls go there.
    pub credential: CredentialConfig,
    /// Which tools exist for callers, and what they can do.
    pub tools: ToolRules,
    /// Which protocol era is spoken to it.
    pub era: EraPreference,
    /// Fixed headers, never secret.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// For one call.
    pub timeout: Duration,
    /// For streams, sessions and processes.
    pub idle: Duration,
    /// PEM file of the certificate authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// Whether it may ask the person (`elicitation/create`).
    pub elicitation: Asking,
    /// Whether it may use the client's model (`sampling/createMessage`).
    pub sampling: Asking,
    /// What is done about arguments and results that do not fit the approved schemas of a tool.
    pub arguments: Measure,
    /// What is done about arguments that hold a token of another provider.
    pub foreign_tokens: Measure,
    /// What is searched for in what passes to and from it.
    pub screening: Modes,
}

/// Whether a server's requests reach the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    /// They do.
    Allowed,
    /// They are refused.
    Denied,
}

/// Where a server is.
#[derive(Debug, Clone)]
pub enum Target {
    /// Streamable HTTP.
    Http {
        /// The MCP endpoint.
        url: Url,
    },
    /// A process that speaks over its standard streams.
    Stdio(Stdio),
}

/// A process behind the gateway.
#[derive(Debug, Clone)]
pub struct Stdio {
    /// Absolute program and its arguments; no shell.
    pub argv: Vec<String>,
    /// The whole environment besides `PATH HOME LANG TZ`, and `TMPDIR` where it is not among them.
    pub env: BTreeMap<String, SecretRef>,
    /// Working directory; absent means a private one.
    pub cwd: Option<PathBuf>,
    /// The package that is started instead of the runner that `argv` is.
    pub integrity: Option<Integrity>,
    /// What may be done with commands that are package runners.
    pub runners: PackageRunners,
    /// Who shares a process.
    pub share: Share,
    /// What a process may use.
    pub limits: ProcessLimits,
}

/// Who shares a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Nobody: one process for each user.
    None,
    /// Everybody: stateless servers only.
    All,
}

/// What one process may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessLimits {
    /// Memory in bytes.
    pub memory: Size,
    /// Thousandths of a processor.
    pub cpu_millis: NonZeroU32,
    /// Processes and threads.
    pub processes: NonZeroU32,
    /// How often it may be started again.
    pub restart: Rate,
}

/// As whom calls go to a server.
#[derive(Debug, Clone)]
pub enum CredentialConfig {
    /// Without any credential.
    None,
    /// One header with one shared secret.
    Header {
        /// Name of the header.
        name: HeaderName,
        /// Its whole value.
        value: SecretRef,
    },
    /// One header with a secret that each person enters.
    UserSecret(Deposit),
    /// What each person allows at the provider of the server.
    Oauth(Box<Grantor>),
    /// A token of Google.
    Google(Box<GoogleCredential>),
}

/// A secret that each person enters, and how it is sent.
#[derive(Debug, Clone)]
pub struct Deposit {
    /// Name of the header.
    pub name: HeaderName,
    /// What stands before the secret.
    pub before: String,
    /// What stands behind it.
    pub after: String,
    /// Where a person makes one.
    pub help_url: Option<String>,
}

/// Whom each person asks for what, to reach a server.
#[derive(Debug, Clone)]
pub struct Grantor {
    /// The client that was registered by hand; without one each connection registers its own.
    pub client_id: Option<String>,
    /// Its secret; a public client has none.
    pub client_secret: Option<SecretRef>,
    /// What is asked for, and the ceiling; without it what the server names.
    pub scopes: Option<Vec<String>>,
    /// What is never asked for.
    pub blocked_scopes: std::collections::BTreeSet<String>,
    /// The one authorization server that counts, if it is written.
    pub issuer: Option<String>,
    /// Also without a word of the provider that it checks PKCE.
    pub pkce_off: bool,
}

impl CredentialConfig {
    /// Whether each person needs an account of their own at the server.
    #[must_use]
    pub const fn is_of_each_person(&self) -> bool {
        matches!(self, Self::UserSecret(_) | Self::Oauth(_))
    }
}

/// Which protocol era is spoken to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EraPreference {
    /// What the server answers to.
    Auto,
    /// Sessions, up to 2025-11-25.
    Legacy,
    /// 2026-07-28.
    Modern,
}

/// `server.<name>.tools`: which tools exist for callers, and which class the administrator gives them.
#[derive(Debug, Clone, Default)]
pub struct ToolRules {
    allow: Option<Vec<Glob>>,
    deny: Vec<Glob>,
    read: Vec<Glob>,
    write: Vec<Glob>,
    destructive: Vec<Glob>,
}

/// `[policy]`.
#[derive(Debug, Clone)]
pub struct PolicyFiles {
    /// Where `.cedar` files are; `None` means the built-in rules (laptop mode) or none at all (everything is refused).
    pub files: Option<Vec<FileGlob>>,
    /// A `.cedarschema` file instead of the built-in schema.
    pub schema: Option<PathBuf>,
    /// Where the tests of the rules are; `None` means `tests/*.toml` beside the files.
    pub tests: Option<FileGlob>,
    /// How long it counts what was seen.
    pub remember_seen: Duration,
    /// Whose seeing counts together.
    pub seen_by: SeenBy,
}

/// Files of one directory whose names fit a glob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileGlob {
    /// The directory, absolute.
    pub directory: PathBuf,
    /// Which names.
    pub names: Glob,
}

/// `[limits]`.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Calls of one user.
    pub per_user: Rate,
    /// Calls of one client.
    pub per_client: Option<Rate>,
    /// Calls of single tools.
    pub per_tool: Vec<ToolLimit>,
    /// Largest result, in bytes.
    pub result_bytes: Size,
    /// Longest call, streams included.
    pub call_timeout: Duration,
    /// Legacy sessions of everybody together, over all replicas; always more than [`Limits::sessions_per_user`], so that no
    /// single user can have all of them (SES-07).
    pub sessions: NonZeroU32,
    /// Sessions of one user.
    pub sessions_per_user: NonZeroU32,
    /// Streams of one user.
    pub streams_per_user: NonZeroU32,
    /// Messages of one stream of a server, or of one process, answers apart.
    pub stream_messages: Rate,
    /// Connections of everybody.
    pub connections: NonZeroU32,
}

/// An entry of `limits.per_tool`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolLimit {
    /// The server; it is configured.
    pub server: ServerName,
    /// One tool, or all of the server together.
    pub tool: Option<ToolName>,
    /// How often.
    pub rate: Rate,
}

/// `[audit]`.
#[derive(Debug, Clone)]
pub struct AuditConfig {
    /// The file of the record; absent means `audit.jsonl` in the state directory.
    pub file: Option<PathBuf>,
    /// What is kept of arguments and replies.
    pub arguments: KeptArguments,
    /// When a record counts as written.
    pub durability: AuditDurability,
    /// Records that are younger are not purged.
    pub retention: Duration,
}

/// What the record keeps of arguments and replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptArguments {
    /// Nothing.
    None,
    /// A keyed digest.
    Hash,
}

/// When a record counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditDurability {
    /// The kernel has it.
    Write,
    /// The disk has it.
    Fsync,
}

/// `[telemetry]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Telemetry {
    /// Form of the log.
    pub logs: LogForm,
    /// How much is logged.
    pub level: LogLevel,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogForm {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Only failures.
    Error,
    /// And what may become one.
    Warn,
    /// And what happens.
    Info,
    /// And how.
    Debug,
    /// And every step.
    Trace,
}

/// `[egress]`.
#[derive(Debug, Clone)]
pub struct Egress {
    /// PEM file of certificate authorities to trust besides the system's.
    pub ca: Option<PathBuf>,
    /// Private ranges that upstream servers may be in.
    pub allow_private: Vec<IpNet>,
}

// === impl PublicUrl ===

impl PublicUrl {
    /// The text, without a trailing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// === impl ToolRules ===

impl ToolRules {
    /// Whether callers may know of a tool: `deny` wins over `allow`, and without `allow` every tool that is not denied is there.
    #[must_use]
    pub fn allowed(&self, tool: &str) -> bool {
        let in_any = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(tool));
        !in_any(&self.deny) && self.allow.as_deref().is_none_or(in_any)
    }

    /// The class that the administrator gives a tool; of several the most dangerous one. `None`: what was approved counts.
    #[must_use]
    pub fn class(&self, tool: &str) -> Option<RiskClass> {
        [(&self.destructive, RiskClass::Destructive), (&self.write, RiskClass::Write), (&self.read, RiskClass::Read)]
            .into_iter()
            .find_map(|(globs, class)| globs.iter().any(|glob| glob.matches(tool)).then_some(class))
    }
}
