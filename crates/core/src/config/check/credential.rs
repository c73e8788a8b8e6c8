//! `server.*.credential`: as whom calls go to a server. Each kind has keys of its own; a key of another kind is refused, since a secret
//! or a limit that is not used should not be read as if it were.

use super::super::file::{CredentialFile, CredentialWord, OneOrMany};
use super::super::schema::written;
use super::{Checker, path_of};
use crate::config::{CredentialConfig, Deposit, Grantor};
use http::HeaderName;
use std::collections::BTreeSet;
use url::Url;

/// Where the secret of a person stands in `format`.
const SECRET: &str = "{secret}";
/// Longest `format`.
const LONGEST_FORMAT: usize = 128;
/// Scopes of one server.
const SCOPES: usize = 100;
/// Longest scope.
const LONGEST_SCOPE: usize = 256;

/// Every key of the table besides `kind`, and the kinds that have it.
const KEYS: &[(&str, &[CredentialWord])] = &[
    ("name", &[CredentialWord::Header, CredentialWord::UserSecret]),
    ("value", &[CredentialWord::Header]),
    ("format", &[CredentialWord::UserSecret]),
    ("help_url", &[CredentialWord::UserSecret]),
    ("client_id", &[CredentialWord::Oauth]),
    ("client_secret", &[CredentialWord::Oauth]),
    ("scopes", &[CredentialWord::Oauth, CredentialWord::GcpAccessToken, CredentialWord::GcpImpersonate]),
    ("blocked_scopes", &[CredentialWord::Oauth]),
    ("issuer", &[CredentialWord::Oauth]),
    ("danger_pkce_off", &[CredentialWord::Oauth]),
    ("source", &[CredentialWord::GcpAccessToken, CredentialWord::GcpIdToken, CredentialWord::GcpImpersonate]),
    ("audience", &[CredentialWord::GcpIdToken]),
    ("header", &[CredentialWord::GcpIdToken]),
    ("service_account", &[CredentialWord::GcpIdToken, CredentialWord::GcpImpersonate]),
    ("delegates", &[CredentialWord::GcpIdToken, CredentialWord::GcpImpersonate]),
    ("quota_project", &[CredentialWord::GcpAccessToken, CredentialWord::GcpImpersonate]),
    ("map", &[CredentialWord::GcpImpersonate]),
    ("lifetime", &[CredentialWord::GcpImpersonate]),
];

impl Checker<'_> {
    pub(super) fn credential(&mut self, server: &str, file: Option<CredentialFile>, is_command: bool) -> CredentialConfig {
        let table = ["server", server, "credential"];
        let Some(file) = file else { return CredentialConfig::None };
        if self.misfit(&table) {
            return CredentialConfig::None;
        }
        let kinds = "\"none\", \"header\", \"user-secret\", \"oauth\", \"gcp-access-token\", \"gcp-id-token\" or \"gcp-impersonate\"";
        let Some(kind) = self.required(&table, "kind", file.kind, kinds) else { return CredentialConfig::None };
        if is_command && kind != CredentialWord::None {
            let message = "a process has no headers".to_owned();
            let help = "give it its secret by env = { NAME = \"file:PATH\" }".to_owned();
            self.bad(&table, ("config.wrong_place", message, "not used here", help));
            return CredentialConfig::None;
        }
        for (key, kinds) in KEYS {
            let path = ["server", server, "credential", key];
            if !kinds.contains(&kind) && self.has(&path) {
                let of: Vec<String> = kinds.iter().map(|kind| format!("\"{}\"", kind.as_str())).collect();
                let message = format!("{key} is for kind = {}", of.join(" or "));
                let help = "remove it, or change the kind: a secret that is not used should not be here".to_owned();
                self.bad_key(&path, ("config.wrong_place", message, "not used here", help));
            }
        }
        let found = match kind {
            CredentialWord::None => None,
            CredentialWord::Header => self.shared_header(server, file),
            CredentialWord::UserSecret => self.deposit(server, file),
            CredentialWord::Oauth => self.grantor(server, file),
            CredentialWord::GcpAccessToken | CredentialWord::GcpIdToken | CredentialWord::GcpImpersonate => self.google(server, kind, file),
        };
        found.unwrap_or(CredentialConfig::None)
    }

    fn shared_header(&mut self, server: &str, file: CredentialFile) -> Option<CredentialConfig> {
        let table = ["server", server, "credential"];
        let name = self.required(&table, "name", file.name, "the header, such as Authorization or X-Api-Key");
        let value = self.required(&table, "value", file.value, "a reference to the whole value of the header, such as file:PATH");
        let name = name.and_then(|text| self.header_name(&["server", server, "credential", "name"], &text));
        let value = value.and_then(|text| self.secret(&["server", server, "credential", "value"], &text));
        Some(CredentialConfig::Header { name: name?, value: value? })
    }

    fn deposit(&mut self, server: &str, file: CredentialFile) -> Option<CredentialConfig> {
        let table = ["server", server, "credential"];
        let name = self.required(&table, "name", file.name, "the header, such as Authorization or X-Api-Key");
        let name: HeaderName = name.and_then(|text| self.header_name(&["server", server, "credential", "name"], &text))?;
        let usual = if name == http::header::AUTHORIZATION { "Bearer {secret}" } else { SECRET };
        let format = file.format.unwrap_or_else(|| usual.to_owned());
        let parts: Vec<&str> = format.split(SECRET).collect();
        let good = format.len() <= LONGEST_FORMAT && format.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        let [before, after] = parts.as_slice() else {
            self.bad_format(server);
            return None;
        };
        if !good {
            self.bad_format(server);
            return None;
        }
        let help_url = file.help_url.and_then(|text| self.help_url(&["server", server, "credential", "help_url"], text));
        Some(CredentialConfig::UserSecret(Deposit { name, before: (*before).to_owned(), after: (*after).to_owned(), help_url }))
    }

    fn bad_format(&mut self, server: &str) {
        let path = ["server", server, "credential", "format"];
        let message = format!("{} does not say where the secret stands", written(&path_of(&path)));
        let help = "write {secret} once, such as \"Bearer {secret}\"; visible ASCII and spaces, 128 bytes at most".to_owned();
        self.bad(&path, ("config.credential_format", message, "no place for the secret", help));
    }

    fn help_url(&mut self, path: &[&str], text: String) -> Option<String> {
        let good = Url::parse(&text).is_ok_and(|url| url.scheme() == "https" && url.username().is_empty() && url.password().is_none());
        if good && text.bytes().all(|byte| byte.is_ascii_graphic()) && text.len() <= 2_048 {
            return Some(text);
        }
        let message = format!("{} is no https address", written(&path_of(path)));
        let help = "the page where a person makes a key, such as https://linear.app/settings/api".to_owned();
        self.bad(path, ("config.help_url", message, "not an https URL", help));
        None
    }

    fn grantor(&mut self, server: &str, file: CredentialFile) -> Option<CredentialConfig> {
        let path = |key: &'static str| ["server", server, "credential", key];
        if file.client_secret.is_some() && file.client_id.is_none() {
            let help = "add client_id, or leave both out: then each connection registers a client of its own".to_owned();
            self.bad(&path("client_secret"), ("config.missing_key", "client_secret is of no client".to_owned(), "without client_id", help));
        }
        if file.client_id.is_some() && file.issuer.is_none() {
            let message = "client_id is of no issuer".to_owned();
            let help = "add issuer, the authorization server that the client was registered at: it is sent nowhere else".to_owned();
            self.bad(&path("client_id"), ("config.missing_key", message, "without issuer", help));
        }
        let client_id = file.client_id.and_then(|text| self.upstream_client(&path("client_id"), text));
        let client_secret = file.client_secret.and_then(|text| self.secret(&path("client_secret"), &text));
        let issuer = file.issuer.and_then(|text| self.issuer(&path("issuer"), text));
        let asked = file.scopes.map(OneOrMany::into_vec);
        let asks_nothing = asked.as_ref().is_some_and(Vec::is_empty);
        let scopes = asked.map(|scopes| self.each(&path("scopes"), &scopes, Self::upstream_scope));
        let blocked = file.blocked_scopes.unwrap_or_default();
        let blocked = self.each(&path("blocked_scopes"), &blocked, Self::upstream_scope);
        for (key, list) in [("scopes", scopes.as_ref()), ("blocked_scopes", Some(&blocked))] {
            if list.is_some_and(|list| list.len() > SCOPES) {
                let help = "100 at most; many providers have one scope for several rights".to_owned();
                self.bad(&path(key), ("config.scope", "there are too many scopes".to_owned(), "more than 100", help));
            }
        }
        if asks_nothing {
            let message = "scopes is empty".to_owned();
            let help = "write what is asked for, or leave it out: a provider that is asked for nothing chooses itself".to_owned();
            self.bad(&path("scopes"), ("config.empty", message, "empty", help));
        }
        let blocked_scopes: BTreeSet<String> = blocked.into_iter().collect();
        if let Some(both) = scopes.iter().flatten().find(|scope| blocked_scopes.contains(*scope)) {
            let message = format!("{both} is asked for and blocked");
            let help = "remove it from one of the two lists".to_owned();
            self.bad(&path("blocked_scopes"), ("config.scope", message, "in both lists", help));
        }
        let pkce_off = file.danger_pkce_off.unwrap_or(false);
        Some(CredentialConfig::Oauth(Box::new(Grantor { client_id, client_secret, scopes, blocked_scopes, issuer, pkce_off })))
    }

    fn upstream_client(&mut self, path: &[&str], text: String) -> Option<String> {
        if (1..=2_048).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Some(text);
        }
        let message = format!("{} is no client id", written(&path_of(path)));
        let help = "as the provider gave it: visible ASCII, 2,048 bytes at most".to_owned();
        self.bad(path, ("config.client_id", message, "not a client id", help));
        None
    }

    /// RFC 6749 section 3.3: visible ASCII without quotes and backslash.
    fn upstream_scope(&mut self, path: &[&str], text: &str) -> Option<String> {
        let good = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        if (1..=LONGEST_SCOPE).contains(&text.len()) && text.bytes().all(good) {
            return Some(text.to_owned());
        }
        let message = format!("{} is no scope", written(&path_of(path)));
        let help = "one scope for each entry, as the provider writes it, without spaces".to_owned();
        self.bad(path, ("config.scope", message, "not a scope", help));
        None
    }
}
