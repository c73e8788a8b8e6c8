//! `[clients]`: who may ask for access.

use super::login::Providers;
use super::{Checker, count, path_of, unknown_server};
use crate::config::clients::{Agents, Clients, Enterprise, Jwks, StaticAuth, StaticClient};
use crate::config::file::{
    ClientAuthFile, ClientAuthWord, ClientsFile, DeviceGrantWord, DocumentsWord, EnterpriseFile, RegistrationWord, SecretMethodWord,
    StaticClientFile,
};
use crate::config::schema::{escaped, written};
use crate::config::units::Rate;
use crate::id::{AgentLabel, ClientId, ServerName};
use crate::identity::attested;
use crate::oauth::admission::{Admission, Blocked, DeviceGrant, Documents, Registrations};
use crate::oauth::client::Devices;
use crate::oauth::document::DocumentUrl;
use crate::oauth::redirect::{Registered, Schemes};
use crate::oauth::registration;
use crate::oauth::scope::Scope;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Beginnings of ids that Doorward gives itself.
const OWN: [&str; 3] = [registration::PREFIX, "key:", attested::PREFIX];

impl Checker<'_> {
    pub(super) fn clients(&mut self, file: ClientsFile, servers: &[ServerName], providers: &Providers) -> Clients {
        let enterprise = file.enterprise_managed.and_then(|file| self.enterprise(file, servers, providers));
        let per_minute = Rate { count: count(20), per: Duration::from_secs(60) };
        let schemes = self.schemes(&file.custom_schemes.unwrap_or_default());
        let documents_off = matches!(file.metadata_documents, Some(DocumentsWord::Off));
        let registrations_off = matches!(file.dynamic_registration, Some(RegistrationWord::Off));
        let admission = Admission {
            documents: match file.metadata_documents {
                Some(DocumentsWord::Off) => Documents::Off,
                Some(DocumentsWord::List) => Documents::List,
                None | Some(DocumentsWord::Known) => Documents::Known,
                Some(DocumentsWord::Any) => Documents::Any,
            },
            registrations: match file.dynamic_registration {
                Some(RegistrationWord::Off) => Registrations::Off,
                None | Some(RegistrationWord::LoopbackOnly) => Registrations::LoopbackOnly,
                Some(RegistrationWord::Any) => Registrations::Any,
            },
            allow: self.each(&["clients", "allow"], &file.allow.unwrap_or_default(), Checker::allowed_client).into_iter().collect(),
            block: self.each(&["clients", "block"], &file.block.unwrap_or_default(), Checker::blocked_client).into_iter().collect(),
            schemes,
            device_grant: match file.device_grant {
                Some(DeviceGrantWord::Off) => DeviceGrant::Off,
                // Where only clients of the configuration may ask, the command line is none of them unless that is said.
                None if documents_off && registrations_off => DeviceGrant::Off,
                None | Some(DeviceGrantWord::Known) => DeviceGrant::Known,
                Some(DeviceGrantWord::Any) => DeviceGrant::Any,
            },
        };
        let registration_rate = self.rate(&["clients", "registration_rate"], file.registration_rate).unwrap_or(per_minute);
        let mut fixed: Vec<StaticClient> = Vec::new();
        let mut agents = self.agents(file.agents.unwrap_or_default());
        for (at, mut client) in file.fixed.unwrap_or_default().into_iter().enumerate() {
            let at = at.to_string();
            let agent = client.agent.take();
            let Some(client) = self.static_client(&at, client, (&admission.schemes, servers, enterprise.as_ref())) else { continue };
            if fixed.iter().any(|other| other.id == client.id) {
                let message = format!("there are two static clients \"{}\"", escaped(client.id.as_str()));
                let help = "give each client an id of its own".to_owned();
                self.bad(&["clients", "static", &at, "id"], ("config.client_id", message, "again", help));
            }
            self.agent(&["clients", "static", &at, "agent"], &client.id, agent, &mut agents);
            fixed.push(client);
        }
        for (at, client) in fixed.iter().enumerate() {
            let at = at.to_string();
            for from in &client.exchanges {
                self.exchanged_client(&["clients", "static", &at, "exchange_from"], from, &fixed);
            }
        }
        let skip_consent = self
            .each(&["clients", "skip_consent"], &file.skip_consent.unwrap_or_default(), |checker, path, text| {
                checker.assured_client(path, text, &fixed)
            })
            .into_iter()
            .collect();
        let require_dpop = self
            .each(&["clients", "require_dpop"], &file.require_dpop.unwrap_or_default(), |checker, path, text| {
                checker.bound_client(path, text, &fixed)
            })
            .into_iter()
            .collect();
        let (month, ends) = (Duration::from_secs(30 * 24 * 3_600), 3_600..=90 * 24 * 3_600);
        let remember_consent = self.span(&["clients", "remember_consent"], file.remember_consent, month, ends);
        Clients { admission, registration_rate, skip_consent, require_dpop, remember_consent, fixed, enterprise, agents }
    }

    fn agents(&mut self, file: BTreeMap<String, String>) -> Agents {
        let mut agents = Agents::default();
        for (id, label) in file {
            let path = ["clients", "agents", &id];
            let is_key = id.starts_with("key:");
            let client = if is_key {
                None
            } else {
                ClientId::new(&id).ok().filter(|_| !DocumentUrl::is_meant(&id) || DocumentUrl::new(&id).is_ok())
            };
            let Some(client) = client else {
                let help = "write the whole id of a client, or idp:NAME of an issuer; a key has no agent".to_owned();
                self.bad_key(
                    &path,
                    ("config.client_id", format!("\"{}\" is no client that has an agent", escaped(&id)), "not a client", help),
                );
                continue;
            };
            // A typo here would leave a rule that forbids something to the agent without anybody to forbid it to.
            let issuer = id.strip_prefix(attested::PREFIX).map(|rest| rest.split_once('/').map_or(rest, |(name, _)| name));
            if let Some(issuer) = issuer.filter(|issuer| !self.has(&["idp", issuer])) {
                let message = format!("there is no issuer \"{}\"", escaped(issuer));
                self.bad_key(&path, ("config.unknown_idp", message, "unknown issuer", "write the NAME of a table [idp.NAME]".to_owned()));
                continue;
            }
            self.agent(&path, &client, Some(label), &mut agents);
        }
        agents
    }

    /// One label of one client, which has none yet.
    fn agent(&mut self, path: &[&str], client: &ClientId, label: Option<String>, agents: &mut Agents) {
        let Some(text) = label else { return };
        let Ok(label) = AgentLabel::new(&text) else {
            let help = "1 to 255 bytes without control characters".to_owned();
            self.bad(path, ("config.text", format!("\"{}\" cannot name an agent", escaped(&text)), "not a label", help));
            return;
        };
        if !agents.give(client.clone(), label) {
            let help = "keep one of the two".to_owned();
            self.bad(path, ("config.duplicate_key", format!("\"{}\" has an agent already", escaped(client.as_str())), "again", help));
        }
    }

    fn enterprise(&mut self, file: EnterpriseFile, servers: &[ServerName], providers: &Providers) -> Option<Enterprise> {
        let table = ["clients", "enterprise_managed"];
        let below = |key: &'static str| ["clients", "enterprise_managed", key];
        let issuer = self.required(&table, "issuer", file.issuer, "the name of a table [idp.NAME] that people sign in by");
        let issuer = issuer.and_then(|text| {
            let known = providers.keys().find(|name| name.as_str() == text).cloned();
            if known.is_none() && !self.misfit(&["idp"]) {
                let message = format!("there is no identity provider \"{}\" that people sign in by", escaped(&text));
                let help = "write the NAME of a table [idp.NAME] of kind \"oidc\"".to_owned();
                self.bad(&below("issuer"), ("config.unknown_idp", message, "unknown provider", help));
            }
            known
        });
        let clients = self.required(&table, "clients", file.clients, "the ids of clients that may bring its grants");
        let clients = clients.map(|ids| {
            if ids.is_empty() {
                let help = "name a client, or leave enterprise_managed out".to_owned();
                self.bad(&below("clients"), ("config.empty", "clients.enterprise_managed.clients is empty".to_owned(), "empty", help));
            }
            self.each(&below("clients"), &ids, Checker::allowed_client).into_iter().collect()
        });
        let scopes = self.required(&table, "scopes", file.scopes, "what may be granted at most, such as [\"SERVER:read\"]");
        let scopes = scopes.and_then(|scopes| self.own_scopes(&below("scopes"), &scopes, servers));
        Some(Enterprise { issuer: issuer?, clients: clients?, scopes: scopes? })
    }

    fn schemes(&mut self, items: &[String]) -> Schemes {
        let passed = self.each(&["clients", "custom_schemes"], items, |checker, path, text| {
            if Schemes::new(vec![text.to_owned()]).is_ok() {
                return Some(text.to_owned());
            }
            let message = format!("\"{}\" cannot be the scheme of an application", escaped(text));
            let help = "write it as it stands before ://, in lower case: \"cursor\"; schemes that browsers run or read, such as \
                        javascript, data, file and http, cannot be listed";
            checker.bad(path, ("config.custom_scheme", message, "not such a scheme", help.to_owned()));
            None
        });
        Schemes::new(passed).unwrap_or_default()
    }

    /// A URL that could be no client id would be a rule that never matches.
    fn allowed_client(&mut self, path: &[&str], text: &str) -> Option<ClientId> {
        let id = ClientId::new(text).ok().filter(|_| !DocumentUrl::is_meant(text) || DocumentUrl::new(text).is_ok());
        if id.is_none() {
            let message = format!("\"{}\" is not a client id", escaped(text));
            let help =
                "write the whole id as the client sends it: https://app.example/client.json, or dwc_... of a registration".to_owned();
            self.bad(path, ("config.client_id", message, "not a client id", help));
        }
        id
    }

    /// Somebody must vouch for a client that need not ask: its domain, or the administrator (AZ-10).
    fn assured_client(&mut self, path: &[&str], text: &str, fixed: &[StaticClient]) -> Option<ClientId> {
        let is_assured = DocumentUrl::new(text).is_ok() || fixed.iter().any(|client| client.id.as_str() == text);
        let id = ClientId::new(text).ok().filter(|_| is_assured);
        if id.is_none() {
            let message = format!("\"{}\" cannot be a client that need not ask again", escaped(text));
            let help = "the URL of its document, or the id of one of [[clients.static]]: nobody vouches for one that registered itself";
            self.bad(path, ("config.client_id", message, "not assured", help.to_owned()));
        }
        id
    }

    /// A name of nobody would be a rule that never matches.
    fn bound_client(&mut self, path: &[&str], text: &str, fixed: &[StaticClient]) -> Option<ClientId> {
        let is_one = DocumentUrl::new(text).is_ok()
            || text.starts_with(registration::PREFIX)
            || fixed.iter().any(|client| client.id.as_str() == text);
        let id = ClientId::new(text).ok().filter(|_| is_one);
        if id.is_none() {
            let message = format!("\"{}\" is not a client id", escaped(text));
            let help = "the URL of its document, dwc_... of a registration, or the id of one of [[clients.static]]";
            self.bad(path, ("config.client_id", message, "not a client id", help.to_owned()));
        }
        id
    }

    /// The same: one of the configuration or of an issuer, a document, or a registration.
    fn exchanged_client(&mut self, path: &[&str], id: &ClientId, fixed: &[StaticClient]) {
        let text = id.as_str();
        let is_one = DocumentUrl::new(text).is_ok()
            || [registration::PREFIX, attested::PREFIX].iter().any(|prefix| text.starts_with(prefix))
            || fixed.iter().any(|client| client.id == *id);
        if !is_one {
            let message = format!("\"{}\" is the id of no client", escaped(text));
            let help = "the id of one of [[clients.static]], the URL of its document, dwc_... of a registration, or idp:NAME of an issuer";
            self.bad(path, ("config.client_id", message, "not a client id", help.to_owned()));
        }
    }

    fn blocked_client(&mut self, path: &[&str], text: &str) -> Option<Blocked> {
        let blocked = Blocked::parse(text).ok();
        if blocked.is_none() {
            let message = format!("\"{}\" is not a client id", escaped(text));
            let help = "write the whole id, or sha256: and the 64 digits of its digest in lower case".to_owned();
            self.bad(path, ("config.client_id", message, "not a client id", help));
        }
        blocked
    }

    fn static_client(
        &mut self,
        at: &str,
        file: StaticClientFile,
        (schemes, servers, enterprise): (&Schemes, &[ServerName], Option<&Enterprise>),
    ) -> Option<StaticClient> {
        let table = ["clients", "static", at];
        let below = |key: &'static str| ["clients", "static", at, key];
        let id = self.required(&table, "id", file.id, "the client_id that it sends").and_then(|text| self.static_id(&below("id"), &text));
        let own = file.scopes.map(|scopes| self.own_scopes(&below("scopes"), &scopes, servers));
        let is_enterprise = id.as_ref().is_some_and(|id| enterprise.is_some_and(|managed| managed.clients.contains(id)));
        let devices = if file.device_grant == Some(true) { Devices::Named } else { Devices::Unnamed };
        // One that acts for itself alone, or for whom its provider says, asks nobody, and a device is asked back by nobody.
        let exchanges = file.exchange_from.map(|ids| self.exchanges(&below("exchange_from"), &ids));
        let needs_none = own.is_some() || exchanges.is_some() || is_enterprise || devices == Devices::Named;
        let uris = match file.redirect_uris {
            None if needs_none => Some(Vec::new()),
            Some(uris) if uris.is_empty() && needs_none => Some(uris),
            uris => self.required(
                &table,
                "redirect_uris",
                uris,
                "where its answers go: [\"https://app.example/callback\"], scopes of its own, exchange_from, or device_grant = true",
            ),
        };
        let redirects = uris.and_then(|uris| {
            if uris.is_empty() && needs_none {
                return Some(Vec::new());
            }
            if uris.is_empty() {
                let message = format!("{} is empty", written(&path_of(&below("redirect_uris"))));
                let help = "list where its answers may go: a client without one can never be answered".to_owned();
                self.bad(&below("redirect_uris"), ("config.empty", message, "empty", help));
            }
            let found = self.each(&below("redirect_uris"), &uris, |checker, path, text| checker.redirect(path, text, schemes));
            (found.len() == uris.len() && !found.is_empty()).then_some(found)
        });
        let name = self.words(&below("name"), file.name);
        let auth = self.static_auth(at, file.auth);
        let (id, redirects, auth) = (id?, redirects?, auth?);
        let own = match own {
            None => BTreeSet::new(),
            Some(own) => own?,
        };
        let exchanges = match exchanges {
            None => BTreeSet::new(),
            Some(exchanges) => exchanges?,
        };
        if !exchanges.is_empty() && matches!(auth, StaticAuth::None) {
            let message = format!("the static client \"{}\" exchanges tokens and proves nothing", escaped(id.as_str()));
            let help = "give it an auth of kind \"secret\" or \"private_key_jwt\": whoever steals a token could act as it".to_owned();
            self.bad_key(&below("exchange_from"), ("config.exchange", message, "by whom?", help));
            return None;
        }
        if is_enterprise && matches!(auth, StaticAuth::None) {
            let message =
                format!("the static client \"{}\" brings grants of an identity provider and proves nothing", escaped(id.as_str()));
            let help = "give it an auth of kind \"secret\" or \"private_key_jwt\": whoever has such a grant could act as it".to_owned();
            self.bad_key(&below("id"), ("config.own_scopes", message, "for whom?", help));
            return None;
        }
        if !own.is_empty() && matches!(auth, StaticAuth::None) {
            let message = format!("the static client \"{}\" has scopes of its own and proves nothing", escaped(id.as_str()));
            let help = "give it an auth of kind \"secret\" or \"private_key_jwt\": whoever knows its id could act as it".to_owned();
            self.bad_key(&below("scopes"), ("config.own_scopes", message, "for whom?", help));
            return None;
        }
        Some(StaticClient { name: name.unwrap_or_else(|| id.as_str().to_owned()), id, auth, redirects, own, devices, exchanges })
    }

    /// At least one.
    fn exchanges(&mut self, path: &[&str], texts: &[String]) -> Option<BTreeSet<ClientId>> {
        if texts.is_empty() {
            let message = format!("{} is empty", written(&path_of(path)));
            let help = "list the ids of the clients whose tokens it may exchange, or leave the key out".to_owned();
            self.bad(path, ("config.empty", message, "empty", help));
        }
        let found = self.each(path, texts, Checker::allowed_client);
        (found.len() == texts.len() && !found.is_empty()).then(|| found.into_iter().collect())
    }

    /// At least one, each of a server that is there.
    pub(super) fn own_scopes(&mut self, path: &[&str], texts: &[String], servers: &[ServerName]) -> Option<BTreeSet<Scope>> {
        if texts.is_empty() {
            let message = format!("{} is empty", written(&path_of(path)));
            let help = "list what it may have for itself, such as \"crm:read\", or leave the key out".to_owned();
            self.bad(path, ("config.empty", message, "empty", help));
        }
        let found = self.each(path, texts, |checker, path, text| {
            let Some(scope) = Scope::parse(text) else {
                let message = format!("\"{}\" is no scope", escaped(text));
                let help = "write SERVER:read, SERVER:write or SERVER:destructive".to_owned();
                checker.bad(path, ("config.own_scopes", message, "not a scope", help));
                return None;
            };
            if let Some(complaint) = unknown_server(scope.server(), servers) {
                checker.bad(path, complaint);
                return None;
            }
            Some(scope)
        });
        (found.len() == texts.len() && !found.is_empty()).then(|| found.into_iter().collect())
    }

    fn static_id(&mut self, path: &[&str], text: &str) -> Option<ClientId> {
        let is_plain = !DocumentUrl::is_meant(text) && !OWN.iter().any(|own| text.starts_with(own));
        let id = ClientId::new(text).ok().filter(|_| is_plain);
        if id.is_none() {
            let message = format!("\"{}\" cannot be the id of a static client", escaped(text));
            let help =
                "a short name without spaces around it; ids that are URLs go to clients.allow, and dwc_, key: and idp: are Doorward's own";
            self.bad(path, ("config.client_id", message, "not such an id", help.to_owned()));
        }
        id
    }

    fn redirect(&mut self, path: &[&str], text: &str, schemes: &Schemes) -> Option<Registered> {
        match Registered::new(text, schemes) {
            Ok(redirect) => Some(redirect),
            Err(error) => {
                let message = format!("\"{}\" cannot be a redirect URI", escaped(text));
                self.bad(path, ("config.redirect_uri", message, "not usable", error.to_string()));
                None
            }
        }
    }

    fn static_auth(&mut self, at: &str, file: Option<ClientAuthFile>) -> Option<StaticAuth> {
        let table = ["clients", "static", at, "auth"];
        let Some(file) = file else { return (!self.misfit(&table)).then_some(StaticAuth::None) };
        if self.misfit(&table) {
            return None;
        }
        let kind = self.required(&table, "kind", file.kind, "\"none\", \"secret\" or \"private_key_jwt\"")?;
        for (key, of) in [("secret", ClientAuthWord::Secret), ("method", ClientAuthWord::Secret), ("jwks", ClientAuthWord::PrivateKeyJwt)] {
            let path = ["clients", "static", at, "auth", key];
            if kind != of && self.has(&path) {
                let message =
                    format!("{key} is for kind = \"{}\"", if of == ClientAuthWord::Secret { "secret" } else { "private_key_jwt" });
                let help = "remove it, or change the kind: what is not used should not be here".to_owned();
                self.bad_key(&path, ("config.wrong_place", message, "not used here", help));
            }
        }
        match kind {
            ClientAuthWord::None => Some(StaticAuth::None),
            ClientAuthWord::Secret => {
                let text = self.required(&table, "secret", file.secret, "a reference to it, such as file:/etc/doorward/client")?;
                let secret = self.secret(&["clients", "static", at, "auth", "secret"], &text)?;
                Some(match file.method {
                    None | Some(SecretMethodWord::Basic) => StaticAuth::Basic(secret),
                    Some(SecretMethodWord::Post) => StaticAuth::Post(secret),
                })
            }
            ClientAuthWord::PrivateKeyJwt => {
                let text = self.required(&table, "jwks", file.jwks, "its public keys: a file, or an https address")?;
                self.jwks(&["clients", "static", at, "auth", "jwks"], &text).map(StaticAuth::PrivateKeyJwt)
            }
        }
    }

    pub(super) fn jwks(&mut self, path: &[&str], text: &str) -> Option<Jwks> {
        // The form of a reference is taken, too: that is how the secret of a client is written.
        let file = text.strip_prefix("file:").map(|rest| rest.strip_prefix("//").filter(|path| path.starts_with('/')).unwrap_or(rest));
        if let Some(file) = file.or(Some(text).filter(|text| !text.contains("://"))) {
            return self.path(path, file).map(Jwks::File);
        }
        let url = DocumentUrl::new(text).ok().map(Jwks::At);
        if url.is_none() {
            let message = format!("\"{}\" cannot be the address of keys", escaped(text));
            let help = "an https address with a path and without a user, a query or a fragment, or the name of a file".to_owned();
            self.bad(path, ("config.jwks", message, "not such an address", help));
        }
        url
    }
}
