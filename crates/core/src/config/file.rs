//! The form of a configuration: what may be typed. Its comments are the published JSON Schema.
//!
//! Knows shapes only; every key is optional here and gets its meaning and default in `check`.

mod clients;
mod google;
mod login;

pub use clients::{
    ClientAuthFile, ClientAuthWord, ClientsFile, DeviceGrantWord, DocumentsWord, EnterpriseFile, RegistrationWord, SecretMethodWord,
    StaticClientFile,
};
pub use google::{EndpointsFile, MapRowFile, OneOrMany};
pub use login::{DpopWord, IdpFile, IdpWord, LoginFile, LogoutWord, RequireFile, SvidWord, TokensFile};

use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// Configuration of Doorward. TOML, or JSON with the same keys. Unknown keys are errors.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// For editors; Doorward does not read it.
    #[serde(rename = "$schema")]
    pub schema: Option<String>,
    /// Version of this format. Missing means 1.
    pub version: Option<u32>,
    /// Name of this installation, for people. Default: the name of the host.
    pub name: Option<String>,
    /// The one root that everything public derives from, such as `https://mcp.acme.example`: no path, no trailing slash. Absent: laptop mode, loopback only.
    pub public_url: Option<String>,
    /// The sockets.
    pub listen: Option<ListenFile>,
    /// The database.
    pub store: Option<StoreFile>,
    /// Who may sign in, by name: a-z, 0-9 and -, at most 31 characters, no - first.
    pub idp: Option<BTreeMap<String, IdpFile>>,
    /// Who of those may come in, and for how long.
    pub login: Option<LoginFile>,
    /// How long what applications are given is good for.
    pub tokens: Option<TokensFile>,
    /// Which applications may ask for access.
    pub clients: Option<ClientsFile>,
    /// The servers behind the gateway, by name: a-z, 0-9 and -, at most 31 characters, no - first.
    pub server: Option<BTreeMap<String, ServerFile>>,
    /// Where the rules are.
    pub policy: Option<PolicyFile>,
    /// What is searched for in what passes, and what is done about it.
    pub screening: Option<ScreeningFile>,
    /// How much anybody may use.
    pub limits: Option<LimitsFile>,
    /// What of the commands of servers may be started.
    pub launch: Option<LaunchFile>,
    /// The record.
    pub audit: Option<AuditFile>,
    /// Logs.
    pub telemetry: Option<TelemetryFile>,
    /// What outbound connections may reach.
    pub egress: Option<EgressFile>,
    /// Where the services of Google are, in another universe and in tests.
    pub endpoints: Option<EndpointsFile>,
}

/// The sockets.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenFile {
    /// Address and port. Default: `127.0.0.1:8417`. In laptop mode a loopback address.
    pub address: Option<String>,
    /// Absent: none, for loopback addresses only. `"proxy"`: TLS ends in front, at `trusted_proxies`.
    pub tls: Option<TlsFile>,
    /// Networks of proxies whose forwarded headers are read. Default: none.
    pub trusted_proxies: Option<Vec<String>>,
    /// Further accepted `Host` values, with the port where one is sent. Default: none.
    pub hosts: Option<Vec<String>>,
    /// Browser origins allowed on MCP routes, exact. Default: none.
    pub origins: Option<Vec<String>>,
    /// Address and port for Prometheus. Default: off.
    pub metrics: Option<String>,
    /// Largest request body. Default: `4MiB`.
    pub max_body: Option<String>,
}

/// TLS of the listener.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum TlsFile {
    /// TLS ends in front.
    Proxy(ProxyWord),
    /// TLS ends here.
    Here(TlsTable),
}

/// TLS ends in front of Doorward.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProxyWord {
    /// At a proxy that is listed in `trusted_proxies`.
    Proxy,
}

/// TLS ends here.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsTable {
    /// PEM file with the certificate chain. Required.
    pub cert: Option<String>,
    /// Reference to the PEM private key: `file:PATH`, `env:NAME`, `cred:NAME`. Required.
    pub key: Option<String>,
    /// Oldest version spoken. Default: `1.2`.
    pub min_version: Option<MinVersionWord>,
    /// PEM file of the authorities whose certificates clients may show, and no others: those of the trust domain whose table `[idp.<name>]`
    /// has `x509` among its `svids`. Who shows none is served as ever. Default: none is asked for.
    pub client_ca: Option<String>,
}

/// Version of TLS.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub enum MinVersionWord {
    /// TLS 1.2
    #[serde(rename = "1.2")]
    V1_2,
    /// TLS 1.3
    #[serde(rename = "1.3")]
    V1_3,
}

/// The database.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreFile {
    /// `sqlite:PATH` or `postgres://USER@HOST/NAME` without a password. Default: SQLite in the state directory.
    pub url: Option<String>,
    /// Reference to the password.
    pub password: Option<String>,
    /// Reference to the key-encryption key: 32 random bytes in base64. Default: one in the state directory.
    pub encryption_key: Option<String>,
    /// Most connections at once. Default: 16.
    pub pool: Option<NonZeroU32>,
}

/// A server behind the gateway. Exactly one of `url` and `command`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerFile {
    /// The MCP endpoint: https, or http on a loopback host.
    pub url: Option<String>,
    /// An absolute program and its arguments. No shell.
    pub command: Option<Vec<String>>,
    /// For people. Default: the name.
    pub title: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Default: true.
    pub enabled: Option<bool>,
    /// In a file of `config.d`: change single values of a server that an earlier file defines.
    #[serde(rename = "override")]
    pub overrides: Option<bool>,
    /// Who sees it: `user:ISSUER/SUBJECT`, `group:NAME`, `client:ID`, `agent:LABEL`. Default: everybody who may sign in.
    pub visible_to: Option<Vec<String>>,
    /// As whom calls go there. Default: without a credential.
    pub credential: Option<CredentialFile>,
    /// Which tools exist for callers, and how dangerous they are.
    pub tools: Option<ToolsFile>,
    /// Protocol towards the server. Default: `auto`.
    pub era: Option<EraWord>,
    /// Fixed headers that are not secret.
    pub headers: Option<BTreeMap<String, String>>,
    /// For one call. Default: `30s`.
    pub timeout: Option<String>,
    /// What nobody used for this long is ended: sessions, and processes that are not of one session. Default: `10m`.
    pub idle: Option<String>,
    /// TLS towards the server.
    pub tls: Option<ServerTlsFile>,
    /// For commands: references to the values of variables. The process gets nothing else besides `PATH HOME LANG TZ`, and `TMPDIR` where it is not among them.
    pub env: Option<BTreeMap<String, String>>,
    /// For commands: the working directory. Default: a private one.
    pub cwd: Option<String>,
    /// For commands that are package runners: the digest of the package with everything that it needs, as `doorward server install`
    /// writes it. The runner is then never started: a copy of the package is, after all of it was checked.
    pub integrity: Option<String>,
    /// For commands, who shares a process. A client of the revisions up to 2025-11-25 always has one to itself for each session.
    /// For later clients `none` runs one for each user; `all` runs one for everybody, for servers without state. Default: `none`.
    pub share: Option<ShareWord>,
    /// For commands: what a process may use.
    pub limits: Option<ProcessLimitsFile>,
    /// Whether the server may ask the person. Default: `allow`.
    pub elicitation: Option<AskingWord>,
    /// Whether the server may use the client's model. Default: `deny`.
    pub sampling: Option<AskingWord>,
    /// Arguments that do not fit the approved schema of their tool, and results that do not fit its output schema: `strict`
    /// refuses them, `flag` passes them on and says so on the record, `off` does not look. Default: `flag`.
    pub arguments: Option<StrictnessWord>,
    /// Arguments that hold a token of another provider: `refuse`, `flag` them on the record, or `off`. Default: as
    /// `screening.arguments` says of all credentials.
    pub foreign_tokens: Option<ForeignTokensWord>,
    /// What differs here from `[screening]`.
    pub screening: Option<ScreeningFile>,
}

/// As whom calls go to a server.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialFile {
    /// Required.
    pub kind: Option<CredentialWord>,
    /// `header`, `user-secret`: name of the header.
    pub name: Option<String>,
    /// `header`: reference to its whole value.
    pub value: Option<String>,
    /// `user-secret`: what the header holds, with `{secret}` where the person's secret stands. Default: `Bearer {secret}` for
    /// `Authorization`, else `{secret}`.
    pub format: Option<String>,
    /// `user-secret`: the page where a person makes such a secret.
    pub help_url: Option<String>,
    /// `oauth`: the client that was registered at the provider by hand. Default: each connection registers one of its own.
    pub client_id: Option<String>,
    /// `oauth`: reference to its secret.
    pub client_secret: Option<String>,
    /// `oauth`: what is asked for, and the most that may be. Default: what the server names. `gcp-access-token`, `gcp-impersonate`: what
    /// the token may be used for.
    pub scopes: Option<OneOrMany>,
    /// `oauth`: what is never asked for.
    pub blocked_scopes: Option<Vec<String>>,
    /// `oauth`: the one authorization server. Default: what the server names, kept at the first connection of each person.
    pub issuer: Option<String>,
    /// `oauth`: also with a provider that does not say that it checks PKCE with S256. Default false.
    pub danger_pkce_off: Option<bool>,
    /// `gcp-...`: who Doorward is at Google: `adc`, `metadata`, or a reference to a credential file.
    pub source: Option<String>,
    /// `gcp-id-token`: who the token is for.
    pub audience: Option<String>,
    /// `gcp-id-token`, `gcp-impersonate`: the account to become, for every call.
    pub service_account: Option<String>,
    /// `gcp-id-token`: `authorization`, `x-serverless-authorization` or `proxy-authorization`. Default: `authorization`.
    pub header: Option<String>,
    /// `gcp-impersonate`: who becomes which account. The first row that fits counts; none fits: refused.
    pub map: Option<Vec<MapRowFile>>,
    /// `gcp-impersonate`: how long a token counts, 1 minute to 1 hour. Default: 10m.
    pub lifetime: Option<String>,
    /// `gcp-id-token`, `gcp-impersonate`: accounts between the source and the account, in order.
    pub delegates: Option<Vec<String>>,
    /// `gcp-access-token`, `gcp-impersonate`: the project that calls are billed to.
    pub quota_project: Option<String>,
}

/// Kinds of credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialWord {
    /// None at all.
    None,
    /// One header with one shared secret.
    Header,
    /// One header with a secret that each person enters.
    UserSecret,
    /// What each person allows at the provider of the server.
    Oauth,
    /// An access token of Google, of Doorward's own identity there.
    GcpAccessToken,
    /// An ID token of Google, for one audience.
    GcpIdToken,
    /// An access token of a narrow service account, chosen by who calls what.
    GcpImpersonate,
}

impl CredentialWord {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Header => "header",
            Self::UserSecret => "user-secret",
            Self::Oauth => "oauth",
            Self::GcpAccessToken => "gcp-access-token",
            Self::GcpIdToken => "gcp-id-token",
            Self::GcpImpersonate => "gcp-impersonate",
        }
    }
}

/// Globs over the names that the server gives its tools; `*` is any run of characters.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToolsFile {
    /// Only these exist. Default: all that were approved.
    pub allow: Option<Vec<String>>,
    /// These do not exist, whatever `allow` says.
    pub deny: Option<Vec<String>>,
    /// These change nothing.
    pub read: Option<Vec<String>>,
    /// These add or change.
    pub write: Option<Vec<String>>,
    /// These may destroy.
    pub destructive: Option<Vec<String>>,
}

/// Protocol era.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub enum EraWord {
    /// What the server answers to.
    #[serde(rename = "auto")]
    Auto,
    /// With sessions, up to 2025-11-25.
    #[serde(rename = "2025")]
    Legacy,
    /// 2026-07-28.
    #[serde(rename = "2026")]
    Modern,
}

/// TLS towards a server.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerTlsFile {
    /// PEM file of the certificate authorities to trust instead of the system's.
    pub ca: Option<String>,
}

/// Who shares a process.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ShareWord {
    /// One process for each user.
    None,
    /// One process for everybody.
    All,
}

/// What a process may use.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessLimitsFile {
    /// Default: `512MiB`.
    pub memory: Option<String>,
    /// Processors, such as `"0.5"`; part of one counts as a whole one. Default: `"1"`.
    pub cpu: Option<String>,
    /// Processes and threads. Default: 32.
    pub processes: Option<NonZeroU32>,
    /// How often a process that is not of one session may be started again. Default: `5/m`.
    pub restart: Option<String>,
}

/// Whether requests of a server reach the client.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AskingWord {
    /// They do.
    Allow,
    /// They are refused.
    Deny,
}

/// What is done about arguments and results that do not fit.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StrictnessWord {
    /// They are refused.
    Strict,
    /// They are passed on, and the record says so.
    Flag,
    /// Nobody looks.
    Off,
}

/// What is done about tokens of others in arguments.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ForeignTokensWord {
    /// The call is refused.
    Refuse,
    /// It is passed on, and the record says so.
    Flag,
    /// Nobody looks.
    Off,
}

/// Where the rules are.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyFile {
    /// Globs of `.cedar` files. Default: the built-in rules in laptop mode, else none, and everything is refused.
    pub files: Option<Vec<String>>,
    /// A `.cedarschema` file. Default: the built-in schema.
    pub schema: Option<String>,
    /// A glob of `.toml` files with tests. Default: `tests/*.toml` beside the files.
    pub tests: Option<String>,
    /// How long it counts what a client was let see by a rule with `@seen`, from the last time on: from `1m` to `90d`. Default: `24h`.
    pub remember_seen: Option<String>,
    /// Whose seeing counts together in `context.seen`: all that a `user` was let see, or only what they were let see through the same
    /// `client`. Default: `client`.
    pub seen_by: Option<SeenBy>,
}

/// Whose seeing counts together.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SeenBy {
    /// What this user was let see through this client.
    #[default]
    Client,
    /// What this user was let see through any client.
    User,
}

/// What is searched for in what passes, and what is done about it.
#[derive(Debug, Default, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScreeningFile {
    /// Credentials in what servers say: `off`, `flag` them on the record, `redact` them, or `block` the message. Where words
    /// cannot stand in their place, `redact` blocks. Default: `redact`.
    pub secrets: Option<ScreenWord>,
    /// Numbers of payment cards, accounts and persons in what servers say: the same. Default: `flag`.
    pub personal: Option<ScreenWord>,
    /// Credentials in the arguments of callers: `off`, `flag`, or `block` the call. Default: `flag`.
    pub arguments: Option<FlagWord>,
    /// Hidden text and instructions to a model in what servers say: `off`, `flag`, or `block` the message. Definitions of tools
    /// that hold them are approved only by who was shown them, whatever stands here. Default: `flag`.
    pub injection: Option<FlagWord>,
    /// Images, audio, and blobs that are no text: `allow` or `block`. Default: `allow`.
    pub binary: Option<BinaryWord>,
}

/// What is done about what can be covered.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ScreenWord {
    /// Nobody looks.
    Off,
    /// It passes, and the record says so.
    Flag,
    /// Words stand in its place.
    Redact,
    /// It does not pass.
    Block,
}

/// What is done about what cannot be covered.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FlagWord {
    /// Nobody looks.
    Off,
    /// It passes, and the record says so.
    Flag,
    /// It does not pass.
    Block,
}

/// What is done about content that is no text.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BinaryWord {
    /// It passes.
    Allow,
    /// It does not.
    Block,
}

/// How much anybody may use.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsFile {
    /// Requests of one user; over PostgreSQL at all replicas together. Default: `300/m`.
    pub per_user: Option<String>,
    /// Requests of one client; over PostgreSQL at all replicas together. Default: unlimited.
    pub per_client: Option<String>,
    /// Calls of single tools by one user: `SERVER__TOOL` or `SERVER__*`; over PostgreSQL at all replicas together. Default: unlimited.
    pub per_tool: Option<BTreeMap<String, String>>,
    /// Largest result. Default: `1MiB`.
    pub result_bytes: Option<String>,
    /// Longest call. Default: `5m`.
    pub call_timeout: Option<String>,
    /// Legacy sessions of everybody together; more than of one user. Default: 10000.
    pub sessions: Option<NonZeroU32>,
    /// Default: 50.
    pub sessions_per_user: Option<NonZeroU32>,
    /// Default: 20.
    pub streams_per_user: Option<NonZeroU32>,
    /// How fast one stream of a server is read: so many messages at once and in each period; one counts once more for each 16 KiB.
    /// Of a process, which may serve several calls, ten times as many, its answers apart. Nothing is lost, the server waits.
    /// Default: `500/s`.
    pub stream_messages: Option<String>,
    /// Connections of everybody. Default: 10000.
    pub connections: Option<NonZeroU32>,
}

/// What of the commands of servers may be started.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LaunchFile {
    /// Commands that fetch what they run, such as `npx`, `uvx` and `docker run`: `refuse` starts none, `pinned` only exact versions
    /// with an `integrity` and images by digest, `warn` all of them, with a warning and a record. Default: `warn` in laptop mode,
    /// else `pinned`.
    pub package_runners: Option<PackageRunnersWord>,
}

/// What may be done with package runners.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PackageRunnersWord {
    /// None starts.
    Refuse,
    /// Those that are pinned start.
    Pinned,
    /// All start; what is not pinned is warned of and recorded.
    Warn,
}

/// The record.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditFile {
    /// Where the record is kept: one `file:PATH`. Default: `audit.jsonl` in the state directory.
    pub sink: Option<Vec<String>>,
    /// What is kept of arguments and replies. Default: `hash`.
    pub arguments: Option<ArgumentsWord>,
    /// When a record counts as written: with `write` the kernel has it, with `fsync` the disk. Default: `write`.
    pub durability: Option<DurabilityWord>,
    /// How old records may become before `doorward audit purge` takes them away; never younger ones. Default: `400d`.
    pub retention: Option<String>,
}

/// What is kept of arguments.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ArgumentsWord {
    /// Nothing.
    None,
    /// A keyed digest.
    Hash,
}

/// When a record counts as written.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DurabilityWord {
    /// The kernel has it: safe when the process dies.
    Write,
    /// The disk has it: safe when the power fails.
    Fsync,
}

/// Logs. They never hold user ids, session ids or arguments.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TelemetryFile {
    /// Default: `text`.
    pub logs: Option<LogsWord>,
    /// Default: `info`.
    pub level: Option<LevelWord>,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogsWord {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LevelWord {
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

/// What outbound connections may reach.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EgressFile {
    /// PEM file of certificate authorities to trust besides the system's.
    pub ca: Option<String>,
    /// Private networks that servers may be in. Default: none.
    pub allow_private: Option<Vec<String>>,
}
