//! From what was typed to what it means. Every refusal of product 3.6 that this version can meet is made here.
//!
//! Goes on after a problem with a harmless filler, so that all problems are found; the result counts only if there is none.

mod clients;
mod credential;
mod google;
mod issuers;
mod login;
mod screening;
mod server;
mod values;

use super::file::{
    ArgumentsWord, AuditFile, ConfigFile, DurabilityWord, EgressFile, LevelWord, LimitsFile, ListenFile, LogsWord, MinVersionWord,
    PackageRunnersWord, PolicyFile, StoreFile, TelemetryFile, TlsFile,
};
use super::problem::Problem;
use super::reference::SecretRef;
use super::source::Place;
use super::tree::Node;
use super::units::{Rate, Size};
use super::{
    AuditConfig, AuditDurability, Config, Egress, FileGlob, KeptArguments, Limits, Listen, LogForm, LogLevel, PolicyFiles, PublicUrl,
    StoreConfig, StoreTarget, Telemetry, Tls, TlsVersion, ToolLimit,
};
use crate::credential::google::places::Loopback;
use crate::id::{ServerName, ToolName};
use crate::launch::PackageRunners;
use crate::oauth::dpop::Binding;
use crate::screen::Modes;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;
use values::{is_loopback_host, is_private, loopback_default};

/// The version of the format that this program reads.
pub const VERSION: i64 = 1;

/// Finds the meaning of `file`, which was read from `tree` without the `misfits`.
pub(super) fn check(
    file: ConfigFile,
    tree: &Node,
    misfits: &[Vec<String>],
    (default_name, loopback): (&str, Loopback),
) -> (Config, Vec<Problem>, Vec<Problem>) {
    let runners = PackageRunners::Pinned;
    let screening = screening::modes(Modes::DEFAULT, file.screening.unwrap_or_default());
    let mut checker = Checker {
        tree,
        misfits,
        problems: Vec::new(),
        notices: Vec::new(),
        private: Vec::new(),
        runners,
        screening,
        issuers: BTreeMap::new(),
    };
    let public_url = file.public_url.as_deref().and_then(|text| checker.public_url(text));
    // A public_url that is there and wrong must not bring the complaints of laptop mode.
    let laptop = file.public_url.is_none() && !checker.misfit(&["public_url"]);
    let egress = checker.egress(file.egress.unwrap_or_default());
    checker.private.clone_from(&egress.allow_private);
    let (idps, issuers) = checker.providers(file.idp.unwrap_or_default());
    let listen = checker.listen(file.listen.unwrap_or_default(), laptop);
    let store = checker.store(file.store.unwrap_or_default());
    checker.runners = match file.launch.unwrap_or_default().package_runners {
        Some(PackageRunnersWord::Refuse) => PackageRunners::Refuse,
        Some(PackageRunnersWord::Pinned) => PackageRunners::Pinned,
        Some(PackageRunnersWord::Warn) => PackageRunners::Warn,
        None if laptop => PackageRunners::Warn,
        None => PackageRunners::Pinned,
    };
    let servers = checker.servers(file.server.unwrap_or_default());
    let names: Vec<ServerName> = servers.keys().cloned().collect();
    let config = Config {
        name: checker.words(&["name"], file.name).unwrap_or_else(|| default_name.to_owned()),
        public_url,
        listen,
        store,
        login: checker.login(file.login.unwrap_or_default(), &idps),
        issuers: checker.usable(issuers, &names),
        tokens: checker.tokens(file.tokens.unwrap_or_default()),
        clients: checker.clients(file.clients.unwrap_or_default(), &names, &idps),
        idps,
        servers,
        policy: checker.policy(file.policy.unwrap_or_default()),
        screening,
        limits: checker.limits(file.limits.unwrap_or_default(), &names),
        audit: checker.audit(file.audit.unwrap_or_default()),
        telemetry: telemetry(&file.telemetry.unwrap_or_default()),
        egress,
        places: checker.places(file.endpoints.unwrap_or_default(), loopback),
    };
    checker.client_certificates(&config.listen.tls, &config.issuers);
    if config.tokens.dpop == Binding::Off && !config.clients.require_dpop.is_empty() {
        let message = "clients.require_dpop names clients, and tokens.dpop is off".to_owned();
        let help = "leave one of both out: what has to be bound to a key can be given only where tokens are".to_owned();
        checker.bad(&["clients", "require_dpop"], ("config.require_dpop", message, "not possible", help));
    }
    (config, checker.problems, checker.notices)
}

/// What is wrong with the name of a server that is not there.
fn unknown_server(server: &ServerName, servers: &[ServerName]) -> Option<Complaint<'static>> {
    let near = super::problem::nearest(server.as_str(), servers.iter().map(ServerName::as_str));
    let help = near.map_or_else(|| "servers are the tables [server.NAME]".to_owned(), |near| format!("did you mean \"{near}\"?"));
    (!servers.contains(server)).then(|| ("config.unknown_server", format!("there is no server \"{server}\""), "unknown server", help))
}

/// Collects what is wrong while the parts are read.
struct Checker<'t> {
    tree: &'t Node,
    misfits: &'t [Vec<String>],
    problems: Vec<Problem>,
    notices: Vec<Problem>,
    private: Vec<ipnet::IpNet>,
    runners: PackageRunners,
    screening: Modes,
    /// Issuers of identity providers by name.
    issuers: BTreeMap<String, String>,
}

/// What is said about a value: stable id, sentence, a few words, what to do.
type Complaint<'a> = (&'static str, String, &'a str, String);

// === impl Checker ===

impl Checker<'_> {
    fn public_url(&mut self, text: &str) -> Option<PublicUrl> {
        let path = ["public_url"];
        let form = "scheme, host and port only: https://mcp.acme.example";
        let Ok(url) = Url::parse(text) else {
            self.bad(&path, ("config.public_url", "public_url is not a URL".to_owned(), "not a URL", form.to_owned()));
            return None;
        };
        let host = url.host_str().unwrap_or_default();
        let origin = url.origin().ascii_serialization();
        let why = match url.scheme() {
            "https" => None,
            "http" if is_loopback_host(host) => None,
            "http" => Some(("http is not protected", "use https; http is for loopback hosts only")),
            _ => Some(("not a web address", form)),
        };
        let why = why.or_else(|| {
            if host.is_empty() {
                Some(("no host", form))
            } else if !url.username().is_empty() || url.password().is_some() {
                Some(("holds a user name", form))
            } else if url.query().is_some() || url.fragment().is_some() {
                Some(("holds a query or fragment", form))
            } else if url.path() != "/" {
                Some(("holds a path", "Doorward has a host of its own: remove the path"))
            } else if text.ends_with('/') {
                Some(("ends with /", "remove the last /"))
            } else {
                None
            }
        });
        if let Some((label, help)) = why {
            self.bad(&path, ("config.public_url", "public_url is not usable".to_owned(), label, help.to_owned()));
        } else if origin != text {
            let help = format!("write {origin}: what clients store is compared byte for byte");
            self.bad(&path, ("config.public_url", "public_url is not in its shortest form".to_owned(), "another form", help));
        }
        Some(PublicUrl(origin))
    }

    fn listen(&mut self, file: ListenFile, laptop: bool) -> Listen {
        let address = file.address.and_then(|text| self.socket(&["listen", "address"], &text)).unwrap_or_else(loopback_default);
        let trusted_proxies =
            self.networks(&["listen", "trusted_proxies"], &file.trusted_proxies.unwrap_or_default(), Checker::proxy_range);
        let tls = self.tls(file.tls, address, trusted_proxies.is_empty());
        let hosts = self.each(&["listen", "hosts"], &file.hosts.unwrap_or_default(), Checker::host);
        let origins = self.each(&["listen", "origins"], &file.origins.unwrap_or_default(), Checker::origin);
        if laptop {
            let here = [
                ("hosts", hosts.iter().all(|host| is_loopback_name(host))),
                ("origins", origins.iter().all(|origin| is_loopback_origin(origin))),
            ];
            self.laptop(address, &tls, here);
        }
        let metrics = file.metrics.and_then(|text| self.socket(&["listen", "metrics"], &text));
        if metrics.is_some_and(|metrics| !metrics.ip().is_loopback()) && tls != Tls::Proxy {
            let help = "use a loopback address, such as 127.0.0.1:9464".to_owned();
            let message = "listen.metrics would be readable from the network without TLS".to_owned();
            self.bad(&["listen", "metrics"], ("config.open_listener", message, "not loopback", help));
        }
        if metrics.is_some_and(|metrics| metrics == address && metrics.port() != 0) {
            let message = "listen.metrics and listen.address are the same".to_owned();
            self.bad(&["listen", "metrics"], ("config.same_address", message, "taken", "give it another port".to_owned()));
        }
        let max_body = self.size(&["listen", "max_body"], file.max_body, Size::bytes(4 << 20), (1 << 10)..=(64 << 20));
        Listen { address, tls, trusted_proxies, hosts, origins, metrics, max_body }
    }

    /// A renewed certificate comes with a renewed key: what is read again has to be a file.
    fn tls_key(&mut self, text: &str) -> Option<PathBuf> {
        let path = ["listen", "tls", "key"];
        match self.secret(&path, text)? {
            SecretRef::File(file) => Some(file),
            _ => {
                let help = "write file:PATH; the file is read again when the certificate is renewed".to_owned();
                self.bad(&path, ("config.tls_key", "listen.tls.key has to be a file".to_owned(), "not a file: reference", help));
                None
            }
        }
    }

    fn tls(&mut self, file: Option<TlsFile>, address: SocketAddr, no_proxies: bool) -> Tls {
        match file {
            None => {
                if !address.ip().is_loopback() && !self.misfit(&["listen", "tls"]) && self.has(&["public_url"]) {
                    let message = format!("{address} would be served to the network without TLS");
                    let help = "add tls = { cert = \"...\", key = \"file:...\" } to [listen], or tls = \"proxy\" with trusted_proxies";
                    self.bad(&["listen", "address"], ("config.open_listener", message, "not loopback", help.to_owned()));
                }
                Tls::Loopback
            }
            Some(TlsFile::Proxy(_)) => {
                if no_proxies && !self.misfit(&["listen", "trusted_proxies"]) {
                    let message = "tls = \"proxy\" needs trusted_proxies".to_owned();
                    let help = "list the networks of your proxy: trusted_proxies = [\"10.0.3.0/24\"]".to_owned();
                    self.bad(&["listen", "tls"], ("config.proxy_untrusted", message, "which proxy?", help));
                }
                Tls::Proxy
            }
            Some(TlsFile::Here(table)) => {
                let cert = self.required(&["listen", "tls"], "cert", table.cert, "the PEM file with the certificate chain");
                let key = self.required(
                    &["listen", "tls"],
                    "key",
                    table.key,
                    "a reference to the private key, such as file:/etc/doorward/tls.key",
                );
                let cert = cert.and_then(|text| self.path(&["listen", "tls", "cert"], &text));
                let key = key.and_then(|text| self.tls_key(&text));
                let min_version = match table.min_version {
                    None | Some(MinVersionWord::V1_2) => TlsVersion::V1_2,
                    Some(MinVersionWord::V1_3) => TlsVersion::V1_3,
                };
                let client_ca = table.client_ca.and_then(|text| self.path(&["listen", "tls", "client_ca"], &text));
                match (cert, key) {
                    (Some(cert), Some(key)) => Tls::Here { cert, key, min_version, client_ca },
                    _ => Tls::Loopback,
                }
            }
        }
    }

    /// Laptop mode cannot be exposed by accident (product 1.3: L1, L8).
    fn laptop(&mut self, address: SocketAddr, tls: &Tls, here: [(&'static str, bool); 2]) {
        let add = "set public_url to the address that people use, such as https://mcp.acme.example, and give [listen] its tls".to_owned();
        if !address.ip().is_loopback() {
            let message = format!("{address} is not a loopback address, and without public_url only those are served");
            self.bad(&["listen", "address"], ("config.laptop_listener", message, "not loopback", add.clone()));
        }
        if *tls != Tls::Loopback {
            let message = "listen.tls has no meaning without public_url".to_owned();
            self.bad(&["listen", "tls"], ("config.laptop_setting", message, "needs public_url", add.clone()));
        }
        let proxies = ("trusted_proxies", self.tree.find(&path_of(&["listen", "trusted_proxies"])).is_none_or(|node| node.is_empty_list()));
        for (key, fits) in here.into_iter().chain([proxies]) {
            if !fits {
                let message = format!("listen.{key} has no meaning without public_url: only loopback names are answered");
                self.bad(&["listen", key], ("config.laptop_setting", message, "needs public_url", add.clone()));
            }
        }
    }

    fn store(&mut self, file: StoreFile) -> StoreConfig {
        let target = file.url.and_then(|text| self.database(&text)).unwrap_or(StoreTarget::StateDirectory);
        let password = file.password.and_then(|text| self.secret(&["store", "password"], &text));
        if password.is_some() && !matches!(target, StoreTarget::Postgres(_)) && !self.misfit(&["store", "url"]) {
            let message = "store.password is for PostgreSQL".to_owned();
            let help = "remove it: SQLite has no password; who may read the file is a matter of its mode".to_owned();
            self.bad(&["store", "password"], ("config.wrong_place", message, "not used", help));
        }
        StoreConfig {
            target,
            password,
            encryption_key: file.encryption_key.and_then(|text| self.secret(&["store", "encryption_key"], &text)),
            pool: file.pool.unwrap_or(count(16)),
        }
    }

    fn database(&mut self, text: &str) -> Option<StoreTarget> {
        let path = ["store", "url"];
        let form = "sqlite:PATH, or postgres://USER@HOST/NAME with the password in store.password";
        if let Some(file) = text.strip_prefix("sqlite:") {
            if file.is_empty() || file.contains([':', '?', '\0']) {
                let message = "store.url does not name a file".to_owned();
                self.bad(&path, ("config.store_url", message, "not a file", form.to_owned()));
                return None;
            }
            return self.path(&path, file.strip_prefix("//").unwrap_or(file)).map(StoreTarget::Sqlite);
        }
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "postgres" | "postgresql"));
        let Some(url) = url else {
            self.bad(&path, ("config.store_url", "store.url is not a database".to_owned(), "unknown form", form.to_owned()));
            return None;
        };
        let in_query = url.query_pairs().any(|(key, _)| key.eq_ignore_ascii_case("password"));
        if url.password().is_some() || in_query {
            let message = "store.url holds a password".to_owned();
            let help = "take it out and name it: password = \"file:/etc/doorward/db-password\"".to_owned();
            self.bad(&path, ("config.literal_secret", message, "a secret", help));
            return None;
        }
        Some(StoreTarget::Postgres(url))
    }

    fn policy(&mut self, file: PolicyFile) -> PolicyFiles {
        let files = file.files.map(|files| {
            if files.is_empty() {
                let help = "name the files, such as [\"policies/*.cedar\"], or leave the key out".to_owned();
                self.bad(&["policy", "files"], ("config.empty", "policy.files is empty".to_owned(), "empty", help));
            }
            self.each(&["policy", "files"], &files, |checker, path, text| checker.file_glob(path, text, ".cedar"))
        });
        PolicyFiles {
            files,
            schema: file.schema.and_then(|text| self.path(&["policy", "schema"], &text)),
            tests: file.tests.and_then(|text| self.file_glob(&["policy", "tests"], &text, ".toml")),
            remember_seen: self.span(
                &["policy", "remember_seen"],
                file.remember_seen,
                Duration::from_secs(24 * 3_600),
                60..=90 * 24 * 3_600,
            ),
            seen_by: file.seen_by.unwrap_or_default(),
        }
    }

    fn file_glob(&mut self, path: &[&str], text: &str, ending: &str) -> Option<FileGlob> {
        let whole = self.path(path, text)?;
        let names =
            whole.file_name().and_then(|name| name.to_str()).filter(|name| name.ends_with(ending)).and_then(crate::glob::Glob::parse);
        let directory = whole.parent().filter(|directory| !directory.to_string_lossy().contains('*')).map(Path::to_owned);
        let (Some(directory), Some(names)) = (directory, names) else {
            let help = format!("one directory, and * only in the name of the file: policies/*{ending}");
            let message = format!("\"{}\" does not name {ending} files", super::schema::escaped(text));
            self.bad(path, ("config.file_glob", message, "not such files", help));
            return None;
        };
        Some(FileGlob { directory, names })
    }

    fn limits(&mut self, file: LimitsFile, servers: &[ServerName]) -> Limits {
        let per_minute = Rate { count: count(300), per: Duration::from_secs(60) };
        let per_second = Rate { count: count(500), per: Duration::from_secs(1) };
        let per_tool: Vec<ToolLimit> =
            file.per_tool.unwrap_or_default().iter().filter_map(|(key, rate)| self.tool_limit(key, rate, servers)).collect();
        let (sessions, sessions_per_user) = self.session_caps(file.sessions, file.sessions_per_user);
        Limits {
            per_user: self.rate(&["limits", "per_user"], file.per_user).unwrap_or(per_minute),
            per_client: self.rate(&["limits", "per_client"], file.per_client),
            per_tool,
            result_bytes: self.size(&["limits", "result_bytes"], file.result_bytes, Size::bytes(1 << 20), (1 << 10)..=(64 << 20)),
            call_timeout: self.span(&["limits", "call_timeout"], file.call_timeout, Duration::from_secs(300), 1..=3_600),
            sessions,
            sessions_per_user,
            streams_per_user: file.streams_per_user.unwrap_or(count(20)),
            stream_messages: self.rate(&["limits", "stream_messages"], file.stream_messages).unwrap_or(per_second),
            connections: file.connections.unwrap_or(count(10_000)),
        }
    }

    /// Sessions of everybody and of one user. One user must not be able to have them all (SES-07).
    fn session_caps(&mut self, of_all: Option<NonZeroU32>, of_one: Option<NonZeroU32>) -> (NonZeroU32, NonZeroU32) {
        let (sessions, per_user) = (of_all.unwrap_or(count(10_000)), of_one.unwrap_or(count(50)));
        if per_user >= sessions {
            let path = if of_all.is_some() { ["limits", "sessions"] } else { ["limits", "sessions_per_user"] };
            let message = format!("one user may have {per_user} sessions, and everybody together {sessions}");
            let help = "limits.sessions must be more than limits.sessions_per_user, or one user can lock out all others".to_owned();
            self.bad(&path, ("config.session_caps", message, "nothing left for others", help));
        }
        (sessions, per_user)
    }

    fn tool_limit(&mut self, key: &str, rate: &str, servers: &[ServerName]) -> Option<ToolLimit> {
        let path = ["limits", "per_tool", key];
        let rate = self.rate(&path, Some(rate.to_owned()))?;
        let parts = key.split_once("__").and_then(|(server, tool)| Some((ServerName::new(server).ok()?, tool)));
        let tool = parts.as_ref().and_then(|(_, tool)| if *tool == "*" { Some(None) } else { ToolName::new(tool).ok().map(Some) });
        let (Some((server, name)), Some(tool)) = (parts, tool) else {
            let message = format!("\"{}\" does not name a tool", super::schema::escaped(key));
            let help = "write SERVER__TOOL, or SERVER__* for all tools of a server together".to_owned();
            self.bad_key(&path, ("config.tool_name", message, "not a tool", help));
            return None;
        };
        if name.contains('*') && name != "*" {
            let message = format!("\"{}\" is a pattern, and a limit is for one tool or all", super::schema::escaped(key));
            self.bad_key(&path, ("config.tool_name", message, "a pattern", format!("write the whole name, or {server}__*")));
            return None;
        }
        if let Some(complaint) = unknown_server(&server, servers) {
            self.bad_key(&path, complaint);
            return None;
        }
        Some(ToolLimit { server, tool, rate })
    }

    fn audit(&mut self, file: AuditFile) -> AuditConfig {
        let path = ["audit", "sink"];
        let sinks = file.sink.as_deref();
        let complaint: Option<Complaint<'_>> = match sinks {
            Some([]) => {
                let help = "write [\"file:/var/log/doorward/audit.jsonl\"], or leave the key out: there is no way to run without a record";
                Some(("config.empty", "audit.sink is empty".to_owned(), "empty", help.to_owned()))
            }
            Some([_, _, ..]) => {
                let message = "more than one audit.sink is not available in this version".to_owned();
                Some(("config.not_available", message, "not available in this version", "keep one file:PATH".to_owned()))
            }
            _ => None,
        };
        if let Some(complaint) = complaint {
            self.bad(&path, complaint);
        }
        let file_of = |checker: &mut Self, path: &[&str], text: &str| match text.split_once(':') {
            Some(("file", rest)) if !rest.is_empty() => checker.path(path, rest.strip_prefix("//").unwrap_or(rest)),
            Some((scheme @ ("syslog" | "otlp" | "gcs" | "s3" | "webhook"), _)) => {
                let message = format!("the audit sink \"{scheme}:\" is not available in this version");
                checker.bad(path, ("config.not_available", message, "not available in this version", "use file:PATH".to_owned()));
                None
            }
            _ => {
                let message = format!("\"{}\" is not an audit sink", super::schema::escaped(text));
                checker.bad(path, ("config.audit_sink", message, "unknown form", "use file:PATH".to_owned()));
                None
            }
        };
        let files = self.each(&path, &file.sink.unwrap_or_default(), file_of);
        AuditConfig {
            file: files.into_iter().next(),
            arguments: match file.arguments {
                Some(ArgumentsWord::None) => KeptArguments::None,
                None | Some(ArgumentsWord::Hash) => KeptArguments::Hash,
            },
            durability: match file.durability {
                None | Some(DurabilityWord::Write) => AuditDurability::Write,
                Some(DurabilityWord::Fsync) => AuditDurability::Fsync,
            },
            retention: self.span(&["audit", "retention"], file.retention, Duration::from_secs(400 * 86_400), 86_400..=36_500 * 86_400),
        }
    }

    fn egress(&mut self, file: EgressFile) -> Egress {
        let ca = file.ca.and_then(|text| self.path(&["egress", "ca"], &text));
        let allow_private = self.networks(&["egress", "allow_private"], &file.allow_private.unwrap_or_default(), |checker, path, net| {
            if is_private(&net) {
                return true;
            }
            let message = format!("{net} is not inside a private range");
            let help = "list only what your servers are in, inside 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10 or fc00::/7; \
                        link-local addresses, where clouds keep their metadata, cannot be opened";
            checker.bad(path, ("config.allow_private", message, "not private", help.to_owned()));
            false
        });
        Egress { ca, allow_private }
    }

    // === places and complaints ===

    fn has(&self, path: &[&str]) -> bool {
        self.tree.find(&path_of(path)).is_some()
    }

    /// Something at or above this path did not have the right form, which was said already.
    fn misfit(&self, path: &[&str]) -> bool {
        self.misfits.iter().any(|misfit| misfit.len() <= path.len() && misfit.iter().zip(path).all(|(a, b)| a == b))
    }

    /// The place of a value, or of the nearest key above it.
    fn place(&self, path: &[&str]) -> Option<Place> {
        let path = path_of(path);
        if let Some(node) = self.tree.find(&path) {
            return Some(node.place.clone());
        }
        (0..path.len()).rev().find_map(|length| self.tree.key(path.get(..length)?).cloned())
    }

    fn bad(&mut self, path: &[&str], (id, message, label, help): Complaint<'_>) {
        let place = self.place(path);
        self.problems.push(Problem::new(id, message, label, help).at(place));
    }

    fn bad_key(&mut self, path: &[&str], (id, message, label, help): Complaint<'_>) {
        let place = self.tree.key(&path_of(path)).cloned();
        self.problems.push(Problem::new(id, message, label, help).at(place));
    }

    /// A key that its table must have.
    fn required<T>(&mut self, table: &[&str], key: &str, value: Option<T>, what: &str) -> Option<T> {
        let path: Vec<&str> = table.iter().copied().chain([key]).collect();
        if value.is_none() && !self.misfit(&path) {
            let place = self.tree.key(&path_of(table)).cloned();
            let message = format!("{} is missing", super::schema::written(&path_of(&path)));
            self.problems
                .push(Problem::new("config.missing_key", message, format!("without {key}"), format!("add {key}: {what}")).at(place));
        }
        value
    }

    /// Every element of a list that passes.
    fn each<T>(&mut self, path: &[&str], items: &[String], mut one: impl FnMut(&mut Self, &[&str], &str) -> Option<T>) -> Vec<T> {
        let mut passed = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            let at = at.to_string();
            let path: Vec<&str> = path.iter().copied().chain([at.as_str()]).collect();
            passed.extend(one(self, &path, item));
        }
        passed
    }

    fn secret(&mut self, path: &[&str], text: &str) -> Option<SecretRef> {
        let base = self.base(path);
        let name = super::schema::written(&path_of(path));
        let where_from = "write where it is: file:PATH, env:NAME or cred:NAME";
        let complaint: Complaint<'_> = match SecretRef::parse(text, &base) {
            Ok(SecretRef::File(file)) if !file.is_absolute() => return self.path(path, &file.to_string_lossy()).map(SecretRef::File),
            Ok(reference) => {
                if matches!(reference, SecretRef::Plain(_)) {
                    let message = format!("{name} is written in the configuration itself");
                    let help = format!("{where_from}; plain: is for values that are no secret");
                    let place = self.place(path);
                    self.notices.push(Problem::new("config.plain_secret", message, "plain", help).at(place));
                }
                return Some(reference);
            }
            Err(super::reference::BadRef::Literal) => {
                let help = format!(
                    "{where_from}; plain:TEXT only if it is no secret. If this was a real secret, replace it: it has been in a file"
                );
                ("config.literal_secret", format!("{name} is not a reference to a secret"), "a literal, or an unknown scheme", help)
            }
            Err(super::reference::BadRef::Unready(scheme)) => {
                let message = format!("{name}: references of the form {scheme}: are not available in this version");
                ("config.not_available", message, "not available in this version", where_from.to_owned())
            }
            Err(super::reference::BadRef::Form { scheme, wants }) => {
                ("config.reference", format!("{name}: this is not a {scheme}: reference"), "wrong form", format!("write {wants}"))
            }
        };
        self.bad(path, complaint);
        None
    }

    fn base(&self, path: &[&str]) -> PathBuf {
        self.place(path).map(|place| place.source().base().to_owned()).unwrap_or_default()
    }
}

fn telemetry(file: &TelemetryFile) -> Telemetry {
    Telemetry {
        logs: match file.logs {
            None | Some(LogsWord::Text) => LogForm::Text,
            Some(LogsWord::Json) => LogForm::Json,
        },
        level: match file.level {
            Some(LevelWord::Error) => LogLevel::Error,
            Some(LevelWord::Warn) => LogLevel::Warn,
            None | Some(LevelWord::Info) => LogLevel::Info,
            Some(LevelWord::Debug) => LogLevel::Debug,
            Some(LevelWord::Trace) => LogLevel::Trace,
        },
    }
}

fn path_of(path: &[&str]) -> Vec<String> {
    path.iter().map(|step| (*step).to_owned()).collect()
}

/// A count that is never zero.
const fn count(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

/// Servers by name, shared by all who serve them.
type Servers = BTreeMap<ServerName, std::sync::Arc<super::Server>>;

/// `127.0.0.1`, `[::1]` or `localhost`, with or without a port: this computer, such as a port that is forwarded.
fn is_loopback_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    matches!(name, "127.0.0.1" | "[::1]" | "localhost")
}

fn is_loopback_origin(origin: &str) -> bool {
    origin.strip_prefix("http://").is_some_and(is_loopback_name)
}
