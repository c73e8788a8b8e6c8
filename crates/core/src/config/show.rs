//! The effective values of a configuration as pairs of key and text, for `config show`. Secrets appear as their references only.

mod google;

use super::clients::{Clients, Jwks, StaticAuth};
use super::login::{KeysAt, TokenIssuer};
use super::reference::SecretRef;
use super::{
    Asking, AuditDurability, Config, CredentialConfig, EraPreference, Grantor, KeptArguments, LogForm, LogLevel, Selector, Server, Share,
    Stdio, StoreTarget, Target, Tls, TlsVersion, ToolRules, units,
};
use crate::contract::Measure;
use crate::identity::issuer::{Forms, Truth, Wanted};
use crate::launch::{PackageRunners, runner};
use crate::oauth::admission::{DeviceGrant, Documents, Registrations};
use crate::oauth::client::Devices;
use crate::oauth::redirect::Registered;
use crate::screen::Modes;
use std::fmt::Display;

/// One effective value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands in the form, as steps.
    pub path: Vec<String>,
    /// The value as TOML would write it.
    pub value: String,
}

/// Collects entries.
struct Sheet {
    entries: Vec<Entry>,
}

impl Config {
    /// Every effective value, defaults included, in the order of the reference.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let mut sheet = Sheet { entries: Vec::new() };
        sheet.text(&["name"], &self.name);
        if let Some(url) = &self.public_url {
            sheet.text(&["public_url"], url.as_str());
        }
        self.listen_entries(&mut sheet);
        self.store_entries(&mut sheet);
        self.login_entries(&mut sheet);
        client_entries(&self.clients, &mut sheet);
        for server in self.servers.values() {
            server_entries(server, &self.screening, &mut sheet);
        }
        self.rule_entries(&mut sheet);
        sheet.text(&["telemetry", "logs"], if self.telemetry.logs == LogForm::Json { "json" } else { "text" });
        sheet.text(&["telemetry", "level"], level(self.telemetry.level));
        if let Some(ca) = &self.egress.ca {
            sheet.text(&["egress", "ca"], ca.display());
        }
        sheet.list(&["egress", "allow_private"], &self.egress.allow_private);
        google::places(&self.places, &mut sheet);
        sheet.entries
    }

    fn listen_entries(&self, sheet: &mut Sheet) {
        let listen = &self.listen;
        sheet.text(&["listen", "address"], listen.address);
        match &listen.tls {
            Tls::Loopback => {}
            Tls::Proxy => sheet.text(&["listen", "tls"], "proxy"),
            Tls::Here { cert, key, min_version, client_ca } => {
                sheet.text(&["listen", "tls", "cert"], cert.display());
                sheet.text(&["listen", "tls", "key"], format_args!("file:{}", key.display()));
                sheet.text(&["listen", "tls", "min_version"], if *min_version == TlsVersion::V1_3 { "1.3" } else { "1.2" });
                if let Some(client_ca) = client_ca {
                    sheet.text(&["listen", "tls", "client_ca"], client_ca.display());
                }
            }
        }
        sheet.list(&["listen", "trusted_proxies"], &listen.trusted_proxies);
        sheet.list(&["listen", "hosts"], &listen.hosts);
        sheet.list(&["listen", "origins"], &listen.origins);
        if let Some(metrics) = listen.metrics {
            sheet.text(&["listen", "metrics"], metrics);
        }
        sheet.text(&["listen", "max_body"], listen.max_body);
    }

    fn login_entries(&self, sheet: &mut Sheet) {
        for (name, idp) in &self.idps {
            let at = |key: &'static str| ["idp", name.as_str(), key];
            sheet.text(&at("kind"), "oidc");
            sheet.text(&at("issuer"), &idp.issuer);
            sheet.text(&at("client_id"), &idp.client_id);
            sheet.text(&at("client_secret"), &idp.client_secret);
            sheet.list(&at("scopes"), &idp.scopes);
            sheet.text(&at("groups_claim"), &idp.groups_claim);
            sheet.text(&at("email_claim"), &idp.email_claim);
            if !idp.domains.is_empty() {
                sheet.list(&at("domains"), &idp.domains);
            }
            sheet.list(&at("algs"), &idp.algs);
            sheet.text(&at("leeway"), units::written(idp.leeway));
        }
        for issuer in &self.issuers {
            issuer_entries(issuer, sheet);
        }
        let login = &self.login;
        if !login.admission.email_domains.is_empty() {
            sheet.list(&["login", "allowed_email_domains"], &login.admission.email_domains);
        }
        if !login.admission.groups.is_empty() {
            sheet.list(&["login", "allowed_groups"], &login.admission.groups);
        }
        if !login.admins.is_empty() {
            sheet.list(&["login", "admins"], &login.admins);
        }
        if !login.auditors.is_empty() {
            sheet.list(&["login", "auditors"], &login.auditors);
        }
        let spans = [
            ("login", "session", login.session),
            ("login", "idle", login.idle),
            ("tokens", "code", self.tokens.code),
            ("tokens", "access", self.tokens.access),
            ("tokens", "refresh_idle", self.tokens.refresh_idle),
            ("tokens", "replay_window", self.tokens.replay_window),
        ];
        for (table, key, span) in spans {
            sheet.text(&[table, key], units::written(span));
        }
        sheet.text(&["tokens", "dpop"], self.tokens.dpop.as_str());
    }

    fn store_entries(&self, sheet: &mut Sheet) {
        match &self.store.target {
            StoreTarget::StateDirectory => sheet.plain(&["store", "url"], "(SQLite in the state directory)"),
            StoreTarget::Sqlite(path) => sheet.text(&["store", "url"], format!("sqlite:{}", path.display())),
            StoreTarget::Postgres(url) => sheet.text(&["store", "url"], url),
        }
        if let Some(password) = &self.store.password {
            sheet.text(&["store", "password"], password);
        }
        match &self.store.encryption_key {
            Some(key) => sheet.text(&["store", "encryption_key"], key),
            None => sheet.plain(&["store", "encryption_key"], "(in the state directory)"),
        }
        sheet.plain(&["store", "pool"], self.store.pool);
    }

    fn rule_entries(&self, sheet: &mut Sheet) {
        match &self.policy.files {
            Some(files) => {
                let files: Vec<String> = files.iter().map(|file| format!("{}/{}", file.directory.display(), file.names.as_str())).collect();
                sheet.list(&["policy", "files"], &files);
            }
            None if self.public_url.is_none() => sheet.plain(&["policy", "files"], "(built-in rules of laptop mode)"),
            None => sheet.plain(&["policy", "files"], "(none: every call is refused)"),
        }
        if let Some(schema) = &self.policy.schema {
            sheet.text(&["policy", "schema"], schema.display());
        }
        if let Some(tests) = &self.policy.tests {
            sheet.text(&["policy", "tests"], format!("{}/{}", tests.directory.display(), tests.names.as_str()));
        }
        for (key, mode) in modes(&self.screening) {
            sheet.text(&["screening", key], mode);
        }
        let limits = &self.limits;
        sheet.text(&["limits", "per_user"], limits.per_user);
        if let Some(rate) = limits.per_client {
            sheet.text(&["limits", "per_client"], rate);
        }
        for limit in &limits.per_tool {
            let tool = limit.tool.as_ref().map_or("*", crate::id::ToolName::as_str);
            sheet.text(&["limits", "per_tool", &format!("{}__{tool}", limit.server)], limit.rate);
        }
        sheet.text(&["limits", "result_bytes"], limits.result_bytes);
        sheet.text(&["limits", "call_timeout"], units::written(limits.call_timeout));
        sheet.plain(&["limits", "sessions"], limits.sessions);
        sheet.plain(&["limits", "sessions_per_user"], limits.sessions_per_user);
        sheet.plain(&["limits", "streams_per_user"], limits.streams_per_user);
        sheet.text(&["limits", "stream_messages"], limits.stream_messages);
        sheet.plain(&["limits", "connections"], limits.connections);
        match &self.audit.file {
            Some(file) => sheet.list(&["audit", "sink"], &[format!("file:{}", file.display())]),
            None => sheet.plain(&["audit", "sink"], "(audit.jsonl in the state directory)"),
        }
        sheet.text(&["audit", "arguments"], if self.audit.arguments == KeptArguments::Hash { "hash" } else { "none" });
        sheet.text(&["audit", "durability"], if self.audit.durability == AuditDurability::Fsync { "fsync" } else { "write" });
        sheet.text(&["audit", "retention"], units::written(self.audit.retention));
    }
}

fn issuer_entries(issuer: &TokenIssuer, sheet: &mut Sheet) {
    let rule = &issuer.rule;
    let at = |key: &'static str| ["idp", rule.name.as_str(), key];
    sheet.text(&at("kind"), rule.kind.as_str());
    let is_opaque = matches!(issuer.keys, KeysAt::TokenInfo(_));
    if !is_opaque {
        sheet.text(&at("issuer"), rule.issuer());
    }
    match &issuer.keys {
        KeysAt::Discovery | KeysAt::Nowhere => {}
        KeysAt::Address(url) => sheet.text(&at("jwks"), url),
        KeysAt::File(path) => sheet.text(&at("jwks"), path.display()),
        KeysAt::TokenInfo(url) => {
            sheet.text(&at("tokeninfo"), url);
            sheet.list(&at("client_ids"), &rule.clients);
            sheet.plain(&at("danger_accept_google_access_tokens"), "true");
        }
    }
    if let Some(ca) = &issuer.ca {
        sheet.text(&at("jwks_ca"), ca.display());
    }
    if rule.forms.has_tokens() && !is_opaque {
        sheet.list(&at("algs"), &rule.algs);
        sheet.text(&at("header"), rule.carrier.header());
    }
    match rule.forms {
        Forms::Tokens => {}
        Forms::Certificates => sheet.list(&at("svids"), &["x509"]),
        Forms::Both => sheet.list(&at("svids"), &["jwt", "x509"]),
    }
    let lists: [(&'static str, &[String]); 3] = [("audience", &rule.audience), ("typ", &rule.types), ("domains", &rule.domains)];
    for (key, texts) in lists.into_iter().filter(|(_, texts)| !texts.is_empty()) {
        sheet.list(&at(key), texts);
    }
    for (key, patterns) in [("subject_pattern", &rule.subjects), ("service_accounts", &rule.service_accounts)] {
        if !patterns.is_empty() {
            sheet.list(&at(key), patterns);
        }
    }
    for demand in &rule.require {
        let path = ["idp", rule.name.as_str(), "require", &demand.claim];
        match &demand.wanted {
            Wanted::OneOf(texts) => sheet.list(&path, texts),
            Wanted::Is(truth) => sheet.plain(&path, if *truth == Truth::True { "true" } else { "false" }),
            Wanted::Like(pattern) => sheet.text(&["idp", rule.name.as_str(), "require", &demand.claim, "pattern"], pattern),
        }
    }
    if let Some(claim) = &rule.groups_claim {
        sheet.text(&at("groups_claim"), claim);
    }
    if !is_opaque {
        sheet.text(&at("leeway"), units::written(rule.leeway));
    }
    if let Some(most) = rule.max_age {
        sheet.text(&at("max_age"), units::written(most));
    }
    sheet.text(&at("max_lifetime"), units::written(rule.max_lifetime));
    sheet.list(&at("scopes"), &rule.scopes.iter().collect::<Vec<_>>());
}

fn client_entries(clients: &Clients, sheet: &mut Sheet) {
    let admission = &clients.admission;
    let documents = match admission.documents {
        Documents::Off => "off",
        Documents::List => "list",
        Documents::Known => "known",
        Documents::Any => "any",
    };
    sheet.text(&["clients", "metadata_documents"], documents);
    let registrations = match admission.registrations {
        Registrations::Off => "off",
        Registrations::LoopbackOnly => "loopback-only",
        Registrations::Any => "any",
    };
    sheet.text(&["clients", "dynamic_registration"], registrations);
    let device_grant = match admission.device_grant {
        DeviceGrant::Off => "off",
        DeviceGrant::Known => "known",
        DeviceGrant::Any => "any",
    };
    sheet.text(&["clients", "device_grant"], device_grant);
    sheet.list(&["clients", "allow"], &admission.allow.iter().collect::<Vec<_>>());
    sheet.list(&["clients", "block"], &admission.block.iter().collect::<Vec<_>>());
    sheet.list(&["clients", "custom_schemes"], &admission.schemes.iter().collect::<Vec<_>>());
    sheet.text(&["clients", "registration_rate"], clients.registration_rate);
    if let Some(managed) = &clients.enterprise {
        sheet.text(&["clients", "enterprise_managed", "issuer"], &managed.issuer);
        sheet.list(&["clients", "enterprise_managed", "clients"], &managed.clients.iter().collect::<Vec<_>>());
        sheet.list(&["clients", "enterprise_managed", "scopes"], &managed.scopes.iter().collect::<Vec<_>>());
    }
    if !clients.require_dpop.is_empty() {
        sheet.list(&["clients", "require_dpop"], &clients.require_dpop.iter().collect::<Vec<_>>());
    }
    for (client, agent) in clients.agents.iter() {
        sheet.text(&["clients", "agents", client.as_str()], agent);
    }
    for (at, client) in clients.fixed.iter().enumerate() {
        let at = at.to_string();
        let below = |key: &'static str| ["clients", "static", &at, key];
        sheet.text(&below("id"), &client.id);
        sheet.text(&below("name"), &client.name);
        let auth = |key: &'static str| ["clients", "static", &at, "auth", key];
        let mut secret = |secret: &SecretRef, method: &str| {
            sheet.text(&auth("kind"), "secret");
            sheet.text(&auth("secret"), secret);
            sheet.text(&auth("method"), method);
        };
        match &client.auth {
            StaticAuth::None => sheet.text(&auth("kind"), "none"),
            StaticAuth::Basic(reference) => secret(reference, "basic"),
            StaticAuth::Post(reference) => secret(reference, "post"),
            StaticAuth::PrivateKeyJwt(jwks) => {
                sheet.text(&auth("kind"), "private_key_jwt");
                match jwks {
                    Jwks::File(path) => sheet.text(&auth("jwks"), path.display()),
                    Jwks::At(url) => sheet.text(&auth("jwks"), url.as_str()),
                }
            }
        }
        let uris: Vec<&str> = client.redirects.iter().map(Registered::as_str).collect();
        sheet.list(&below("redirect_uris"), &uris);
        if client.devices == Devices::Named {
            sheet.plain(&below("device_grant"), true);
        }
        if !client.exchanges.is_empty() {
            sheet.list(&below("exchange_from"), &client.exchanges.iter().collect::<Vec<_>>());
        }
        if !client.own.is_empty() {
            sheet.list(&below("scopes"), &client.own.iter().collect::<Vec<_>>());
        }
    }
}

fn server_entries(server: &Server, of_all: &Modes, sheet: &mut Sheet) {
    let name = server.name.as_str();
    let at = |key: &'static str| ["server", name, key];
    match &server.target {
        Target::Http { url } => sheet.text(&at("url"), url),
        Target::Stdio(stdio) => sheet.list(&at("command"), &stdio.argv),
    }
    sheet.text(&at("title"), &server.title);
    if let Some(description) = &server.description {
        sheet.text(&at("description"), description);
    }
    sheet.plain(&at("enabled"), server.enabled);
    if !server.visible_to.is_empty() {
        sheet.list(&at("visible_to"), &server.visible_to);
    }
    match &server.credential {
        CredentialConfig::None => sheet.text(&["server", name, "credential", "kind"], "none"),
        CredentialConfig::Header { name: header, value } => {
            sheet.text(&["server", name, "credential", "kind"], "header");
            sheet.text(&["server", name, "credential", "name"], header);
            sheet.text(&["server", name, "credential", "value"], value);
        }
        CredentialConfig::UserSecret(deposit) => {
            sheet.text(&["server", name, "credential", "kind"], "user-secret");
            sheet.text(&["server", name, "credential", "name"], &deposit.name);
            sheet.text(&["server", name, "credential", "format"], format!("{}{{secret}}{}", deposit.before, deposit.after));
            if let Some(url) = &deposit.help_url {
                sheet.text(&["server", name, "credential", "help_url"], url);
            }
        }
        CredentialConfig::Oauth(grantor) => grantor_entries(name, grantor, sheet),
        CredentialConfig::Google(credential) => google::credential(name, credential, sheet),
    }
    tool_entries(name, &server.tools, sheet);
    sheet.text(
        &at("era"),
        match server.era {
            EraPreference::Auto => "auto",
            EraPreference::Legacy => "2025",
            EraPreference::Modern => "2026",
        },
    );
    for (header, value) in &server.headers {
        sheet.text(&["server", name, "headers", header.as_str()], value.to_str().unwrap_or_default());
    }
    sheet.text(&at("timeout"), units::written(server.timeout));
    sheet.text(&at("idle"), units::written(server.idle));
    if let Some(ca) = &server.ca {
        sheet.text(&["server", name, "tls", "ca"], ca.display());
    }
    if let Target::Stdio(stdio) = &server.target {
        stdio_entries(name, stdio, sheet);
    }
    let word = |asking| if asking == Asking::Allowed { "allow" } else { "deny" };
    sheet.text(&at("elicitation"), word(server.elicitation));
    sheet.text(&at("sampling"), word(server.sampling));
    let measure = |measure, refused| match measure {
        Measure::Refuse => refused,
        Measure::Flag => "flag",
        Measure::Off => "off",
    };
    sheet.text(&at("arguments"), measure(server.arguments, "strict"));
    sheet.text(&at("foreign_tokens"), measure(server.foreign_tokens, "refuse"));
    for ((key, own), (_, of_all)) in modes(&server.screening).into_iter().zip(modes(of_all)) {
        if own != of_all {
            sheet.text(&["server", name, "screening", key], own);
        }
    }
}

/// What is done about each subject of the screen.
const fn modes(modes: &Modes) -> [(&'static str, &'static str); 5] {
    [
        ("secrets", modes.secrets.as_str()),
        ("personal", modes.personal.as_str()),
        ("arguments", modes.arguments.as_str()),
        ("injection", modes.injection.as_str()),
        ("binary", modes.binary.as_str()),
    ]
}

fn grantor_entries(name: &str, grantor: &Grantor, sheet: &mut Sheet) {
    let at = |key: &'static str| ["server", name, "credential", key];
    sheet.text(&at("kind"), "oauth");
    if let Some(client_id) = &grantor.client_id {
        sheet.text(&at("client_id"), client_id);
    }
    if let Some(secret) = &grantor.client_secret {
        sheet.text(&at("client_secret"), secret);
    }
    if let Some(scopes) = &grantor.scopes {
        sheet.list(&at("scopes"), scopes);
    }
    if !grantor.blocked_scopes.is_empty() {
        sheet.list(&at("blocked_scopes"), &grantor.blocked_scopes.iter().collect::<Vec<_>>());
    }
    if let Some(issuer) = &grantor.issuer {
        sheet.text(&at("issuer"), issuer);
    }
    if grantor.pkce_off {
        sheet.plain(&at("danger_pkce_off"), true);
    }
}

fn tool_entries(name: &str, tools: &ToolRules, sheet: &mut Sheet) {
    let lists = [
        ("allow", tools.allow.as_deref().unwrap_or_default()),
        ("deny", &tools.deny),
        ("read", &tools.read),
        ("write", &tools.write),
        ("destructive", &tools.destructive),
    ];
    for (key, globs) in lists {
        if !globs.is_empty() {
            let globs: Vec<&str> = globs.iter().map(crate::glob::Glob::as_str).collect();
            sheet.list(&["server", name, "tools", key], &globs);
        }
    }
}

fn stdio_entries(name: &str, stdio: &Stdio, sheet: &mut Sheet) {
    for (variable, reference) in &stdio.env {
        sheet.text(&["server", name, "env", variable], reference);
    }
    if let Some(cwd) = &stdio.cwd {
        sheet.text(&["server", name, "cwd"], cwd.display());
    }
    if let Some(integrity) = &stdio.integrity {
        sheet.text(&["server", name, "integrity"], integrity);
    }
    if runner(&stdio.argv).is_some() {
        let word = match stdio.runners {
            PackageRunners::Refuse => "refuse",
            PackageRunners::Pinned => "pinned",
            PackageRunners::Warn => "warn",
        };
        sheet.text(&["launch", "package_runners"], word);
    }
    sheet.text(&["server", name, "share"], if stdio.share == Share::All { "all" } else { "none" });
    let limits = &stdio.limits;
    sheet.text(&["server", name, "limits", "memory"], limits.memory);
    let millis = limits.cpu_millis.get();
    let cpu = format!("{}.{:03}", millis / 1_000, millis % 1_000);
    sheet.text(&["server", name, "limits", "cpu"], cpu.trim_end_matches('0').trim_end_matches('.'));
    sheet.plain(&["server", name, "limits", "processes"], limits.processes);
    sheet.text(&["server", name, "limits", "restart"], limits.restart);
}

const fn level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    }
}

// === impl Sheet ===

impl Sheet {
    fn plain(&mut self, path: &[&str], value: impl Display) {
        let path = path.iter().map(|step| (*step).to_owned()).collect();
        self.entries.push(Entry { path, value: value.to_string() });
    }

    fn text(&mut self, path: &[&str], value: impl Display) {
        self.plain(path, quoted(&value.to_string()));
    }

    fn list(&mut self, path: &[&str], values: &[impl Display]) {
        let values: Vec<String> = values.iter().map(|value| quoted(&value.to_string())).collect();
        self.plain(path, format!("[{}]", values.join(", ")));
    }
}

// === impl Entry ===

impl Entry {
    /// The key as TOML would write it.
    #[must_use]
    pub fn key(&self) -> String {
        super::schema::written(&self.path)
    }
}

// === impl Selector ===

impl Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User(user) => write!(f, "user:{user}"),
            Self::Group(group) => write!(f, "group:{group}"),
            Self::Client(client) => write!(f, "client:{client}"),
            Self::Agent(agent) => write!(f, "agent:{agent}"),
        }
    }
}

/// A TOML basic string; control and invisible characters are escaped.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if super::schema::is_inert(c) => out.push(c),
            c => out.push_str(&format!("\\U{:08X}", u32::from(c))),
        }
    }
    out.push('"');
    out
}
