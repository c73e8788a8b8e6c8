//! `[idp.<name>]`, `[login]` and `[tokens]`: who may sign in, and for how long anything lasts.

use super::issuers::{Drafted, kind_of};
use super::values::is_loopback_host;
use super::{Checker, Complaint, path_of};
use crate::config::Selector;
use crate::config::file::{DpopWord, IdpFile, LoginFile, LogoutWord, TokensFile};
use crate::config::login::{IdentityProvider, Login, Tokens};
use crate::config::schema::{escaped, written};
use crate::id::{AgentLabel, ClientId, GroupName, ProviderName, UserId};
use crate::identity::issuer::IssuerKind;
use crate::identity::role::OWN_ISSUER;
use crate::oauth::client;
use crate::oauth::dpop::Binding;
use crate::oidc::admission::Admission;
use crate::oidc::jose::Alg;
use crate::oidc::logout::Reach;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Issuers where anybody can have an account.
pub(super) const PUBLIC: [&str; 6] = [
    "https://accounts.google.com",
    "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
    "https://appleid.apple.com",
    "https://gitlab.com",
    "https://api.login.yahoo.com",
    "https://www.facebook.com",
];
const CLAIM: usize = 255;

/// What a table vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vouching {
    Signing,
    Tokens,
    Opaque,
}

/// Providers by name, shared by all who use them.
pub(super) type Providers = BTreeMap<ProviderName, Arc<IdentityProvider>>;

impl Checker<'_> {
    pub(super) fn providers(&mut self, files: BTreeMap<String, IdpFile>) -> (Providers, Vec<Drafted>) {
        let (mut found, mut drafted) = (Providers::new(), Vec::new());
        for (name, file) in files {
            let path = ["idp", name.as_str()];
            let Some(known) = ProviderName::new(&name).ok().filter(|name| ![OWN_ISSUER, client::ISSUER].contains(&name.as_str())) else {
                let message = format!("\"{}\" cannot be the name of an identity provider", escaped(&name));
                let help = "a-z, 0-9 and -, at most 31 characters, no - first; local and client are Doorward's own".to_owned();
                self.bad_key(&path, ("config.idp_name", message, "not such a name", help));
                continue;
            };
            self.only_of_its_kind(&name, &file);
            if let Some(kind) = kind_of(&file) {
                if let Some(draft) = self.token_issuer(known.clone(), kind, file) {
                    self.issuers.insert(known.as_str().to_owned(), draft.issuer.rule.issuer().to_owned());
                    drafted.push(draft);
                }
            } else if let Some(provider) = self.provider(known.clone(), file) {
                self.issuers.insert(known.as_str().to_owned(), provider.issuer.clone());
                found.insert(known, Arc::new(provider));
            }
        }
        let people = found.iter().map(|(name, provider)| (name, provider.issuer.as_str(), Vouching::Signing));
        let how = |kind| if kind == IssuerKind::GoogleAccessToken { Vouching::Opaque } else { Vouching::Tokens };
        let tokens = drafted.iter().map(|draft| &draft.issuer.rule).map(|rule| (&rule.name, rule.issuer(), how(rule.kind)));
        self.apart(&people.chain(tokens).collect::<Vec<_>>());
        for draft in &drafted {
            let rule = &draft.issuer.rule;
            if rule.groups_claim.is_some() && found.values().any(|provider| provider.issuer == rule.issuer()) {
                let path = ["idp", rule.name.as_str(), "groups_claim"];
                let message = format!("the groups of people of {} are read when they sign in", escaped(rule.issuer()));
                let help = "remove groups_claim here: two places that say who is in a group would contradict each other".to_owned();
                self.bad_key(&path, ("config.wrong_place", message, "said twice", help));
            }
        }
        (found, drafted)
    }

    /// Two providers of one issuer would vouch for the same people under two rules; only signing in and tokens may be two tables. And where
    /// one issuer begins with another, a person of the one could be written like a person of the other.
    fn apart(&mut self, issuers: &[(&ProviderName, &str, Vouching)]) {
        for (name, issuer, what) in issuers {
            let near = issuers.iter().find(|(other, of, how)| {
                let below = of.strip_prefix(issuer).filter(|rest| !rest.is_empty() && (issuer.ends_with('/') || rest.starts_with('/')));
                other != name && ((of == issuer && how == what) || below.is_some())
            });
            if let Some((other, ..)) = near {
                let message = format!("the issuers of {name} and {other} are the same, or one begins with the other");
                let help = "one table for each issuer; whom a user id means must be certain".to_owned();
                self.bad(&["idp", name.as_str(), "issuer"], ("config.idp_issuer", message, "not apart", help));
            }
        }
    }

    fn provider(&mut self, name: ProviderName, file: IdpFile) -> Option<IdentityProvider> {
        let text = name.as_str().to_owned();
        let table = ["idp", text.as_str()];
        let under = |key: &'static str| ["idp", text.as_str(), key];
        let issuer = self.required(&table, "issuer", file.issuer, "exactly as the provider writes it, such as https://acme.okta.com");
        let issuer = issuer.and_then(|issuer| self.issuer(&under("issuer"), issuer));
        let client_id = self.required(&table, "client_id", file.client_id, "what Doorward is called at the provider");
        let client_id = client_id.and_then(|id| self.claim(&under("client_id"), id));
        let secret = self.required(&table, "client_secret", file.client_secret, "a reference to it, such as file:/etc/doorward/idp-secret");
        let secret = secret.and_then(|secret| self.secret(&under("client_secret"), &secret));
        let scopes = self.scopes(&under("scopes"), file.scopes);
        let groups_claim = file.groups_claim.map_or_else(|| Some("groups".to_owned()), |text| self.claim(&under("groups_claim"), text));
        let email_claim = file.email_claim.map_or_else(|| Some("email".to_owned()), |text| self.claim(&under("email_claim"), text));
        let domains = self.domains(&under("domains"), file.domains);
        let algs = self.algs(&under("algs"), file.algs, &[Alg::Rs256]);
        let leeway = self.span(&under("leeway"), file.leeway, Duration::from_secs(30), 0..=60);
        let logout = match file.logout {
            None | Some(LogoutWord::Backchannel) => Some(Reach::SignIns),
            Some(LogoutWord::BackchannelRevoke) => Some(Reach::Consents),
            Some(LogoutWord::None) => None,
        };
        Some(IdentityProvider {
            name,
            issuer: issuer?,
            client_id: client_id?,
            client_secret: secret?,
            scopes,
            groups_claim: groups_claim?,
            email_claim: email_claim?,
            domains,
            algs,
            leeway,
            logout,
        })
    }

    pub(super) fn issuer(&mut self, path: &[&str], text: String) -> Option<String> {
        let url = Url::parse(&text).ok();
        let why = match &url {
            _ if text.contains("{tenantid}")
                || text.contains("microsoftonline.com/common")
                || text.contains("microsoftonline.com/organizations") =>
            {
                let message = "issuers of many tenants are not available in this version".to_owned();
                let help = "write the issuer of your own tenant: https://login.microsoftonline.com/TENANT-ID/v2.0".to_owned();
                self.bad(path, ("config.not_available", message, "many tenants", help));
                return None;
            }
            None => Some("not a URL"),
            Some(url) if url.scheme() == "http" && !is_loopback_host(url.host_str().unwrap_or_default()) => {
                Some("http is for loopback hosts only")
            }
            Some(url) if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none_or(str::is_empty) => Some("not a web address"),
            Some(url) if !url.username().is_empty() || url.password().is_some() => Some("holds a user name"),
            Some(url) if url.query().is_some() || url.fragment().is_some() => Some("holds a query or fragment"),
            Some(url) if url.as_str() != text && url.as_str() != format!("{text}/") => Some("not in its usual form"),
            Some(_) if text.len() > CLAIM => Some("too long"),
            Some(_) => None,
        };
        let Some(why) = why else { return Some(text) };
        let message = format!("{} is not usable", written(&path_of(path)));
        let help = "copy it from \"issuer\" in the provider's /.well-known/openid-configuration: it is compared byte for byte".to_owned();
        self.bad(path, ("config.idp_issuer", message, why, help));
        None
    }

    /// One line of plain text, as it stands in a request or a token.
    pub(super) fn claim(&mut self, path: &[&str], text: String) -> Option<String> {
        if (1..=CLAIM).contains(&text.len()) && !text.contains(char::is_control) && text.trim() == text {
            return Some(text);
        }
        let message = format!("{} is not usable", written(&path_of(path)));
        self.bad(path, ("config.text", message, "empty, too long, or not plain", "at most 255 bytes of plain text".to_owned()));
        None
    }

    fn scopes(&mut self, path: &[&str], items: Option<Vec<String>>) -> Vec<String> {
        let items = items.unwrap_or_else(|| ["openid", "email", "profile"].map(str::to_owned).to_vec());
        let token = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
        let scopes = self.each(path, &items, |checker, path, text| {
            if token(text) {
                return Some(text.to_owned());
            }
            let message = format!("\"{}\" is not a scope", escaped(text));
            checker.bad(path, ("config.scope", message, "not a scope", "one word for each, such as \"openid\"".to_owned()));
            None
        });
        if !items.iter().any(|scope| scope == "openid") {
            let help = "add \"openid\": without it the provider says nothing of who signed in".to_owned();
            self.bad(path, ("config.scope", "openid is not among the scopes".to_owned(), "without openid", help));
        }
        scopes
    }

    pub(super) fn algs(&mut self, path: &[&str], items: Option<Vec<String>>, default: &[Alg]) -> Vec<Alg> {
        let Some(items) = items else { return default.to_vec() };
        if items.is_empty() {
            let help = "name how the provider signs, such as [\"RS256\"], or leave the key out".to_owned();
            self.bad(path, ("config.empty", format!("{} is empty", written(&path_of(path))), "empty", help));
        }
        self.each(path, &items, |checker, path, text| {
            let alg = Alg::named(text);
            if alg.is_none() {
                let message = format!("\"{}\" cannot sign tokens here", escaped(text));
                let names: Vec<&str> = Alg::ALL.iter().map(|alg| alg.as_str()).collect();
                let help = format!("one of {}; never none, and never a shared secret (HS256)", names.join(", "));
                checker.bad(path, ("config.algorithm", message, "not available", help));
            }
            alg
        })
    }

    pub(super) fn domains(&mut self, path: &[&str], items: Option<Vec<String>>) -> Vec<String> {
        if items.as_ref().is_some_and(Vec::is_empty) {
            let help = "name a domain, or leave the key out for no condition".to_owned();
            self.bad(path, ("config.empty", format!("{} is empty", written(&path_of(path))), "empty", help));
        }
        self.each(path, &items.unwrap_or_default(), |checker, path, text| {
            let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
            let good = text.contains('.') && text.bytes().all(plain) && !text.starts_with(['.', '-']) && !text.ends_with('.');
            if !good {
                let message = format!("\"{}\" is not a domain", escaped(text));
                let help = "write acme.example, in lower case and without @ or *; other scripts as xn--".to_owned();
                checker.bad(path, ("config.domain", message, "not a domain", help));
            }
            good.then(|| text.to_owned())
        })
    }

    pub(super) fn login(&mut self, file: LoginFile, providers: &Providers) -> Login {
        let default = Login::default();
        let path = ["login", "allowed_email_domains"];
        let email_domains = self.domains(&path, file.allowed_email_domains);
        if file.allowed_groups.as_ref().is_some_and(Vec::is_empty) {
            let help = "name a group, or leave the key out for no condition".to_owned();
            self.bad(&["login", "allowed_groups"], ("config.empty", "login.allowed_groups is empty".to_owned(), "empty", help));
        }
        let groups = self.each(&["login", "allowed_groups"], &file.allowed_groups.unwrap_or_default(), |checker, path, text| {
            let group = GroupName::new(text).ok();
            if group.is_none() {
                let help = "the name as the provider writes it".to_owned();
                checker.bad(path, ("config.text", "this is not the name of a group".to_owned(), "not a name", help));
            }
            group
        });
        let admins = self.people(&["login", "admins"], file.admins);
        let auditors = self.people(&["login", "auditors"], file.auditors);
        let admission = Admission { email_domains, groups };
        for provider in providers.values().filter(|provider| PUBLIC.contains(&provider.issuer.trim_end_matches('/'))) {
            let says_who = !admission.email_domains.is_empty() || !admission.groups.is_empty() || !provider.domains.is_empty();
            if !says_who && !self.misfit(&path) && !self.misfit(&["login"]) {
                let message = format!("anybody has an account at {}", provider.issuer);
                let help = "say who may come in: allowed_email_domains or allowed_groups in [login], or domains here".to_owned();
                self.bad(&["idp", provider.name.as_str(), "issuer"], ("config.idp_public", message, "open to everybody", help));
            }
        }
        let session = self.span(&["login", "session"], file.session, default.session, 300..=7 * 86_400);
        let idle = self.span(&["login", "idle"], file.idle, default.idle.min(session), 60..=7 * 86_400);
        if idle > session {
            let help = "login.idle is at most login.session".to_owned();
            let complaint: Complaint<'_> = ("config.out_of_range", "login.idle is longer than login.session".to_owned(), "too long", help);
            self.bad(&["login", "idle"], complaint);
        }
        Login { admission, admins, auditors, session, idle }
    }

    /// Who has a role: people, never an application.
    fn people(&mut self, path: &[&str], written: Option<Vec<String>>) -> Vec<Selector> {
        self.each(path, &written.unwrap_or_default(), |checker, path, text| {
            let selector = checker.selector(path, text)?;
            if matches!(selector, Selector::User(_) | Selector::Group(_)) {
                return Some(selector);
            }
            let help = "write user:IDP/SUBJECT or group:NAME".to_owned();
            checker.bad(path, ("config.selector", "an application has no role here".to_owned(), "not a person", help));
            None
        })
    }

    pub(super) fn tokens(&mut self, file: TokensFile) -> Tokens {
        let default = Tokens::default();
        Tokens {
            code: self.span(&["tokens", "code"], file.code, default.code, 10..=600),
            access: self.span(&["tokens", "access"], file.access, default.access, 60..=86_400),
            refresh_idle: self.span(&["tokens", "refresh_idle"], file.refresh_idle, default.refresh_idle, 3_600..=365 * 86_400),
            replay_window: self.span(&["tokens", "replay_window"], file.replay_window, default.replay_window, 0..=300),
            dpop: match file.dpop {
                Some(DpopWord::Off) => Binding::Off,
                None | Some(DpopWord::Optional) => Binding::Optional,
                Some(DpopWord::Required) => Binding::Required,
            },
        }
    }

    /// Somebody in a list of who may. Users are written by the name of their provider, or by its issuer, and kept by the issuer.
    pub(super) fn selector(&mut self, path: &[&str], text: &str) -> Option<Selector> {
        let (kind, rest) = text.split_once(':').unwrap_or_default();
        let selector = match kind {
            // No issuer begins with another one (`apart`), so there is one reading.
            "user" if rest.starts_with("http") => {
                let of = self.issuers.values().find_map(|issuer| Some((issuer, rest.strip_prefix(issuer.as_str())?.strip_prefix('/')?)));
                of.and_then(|(issuer, subject)| UserId::new(issuer, subject).ok()).map(Selector::User)
            }
            "user" => match rest.split_once('/') {
                Some((own @ (OWN_ISSUER | client::ISSUER), subject)) => UserId::new(own, subject).ok().map(Selector::User),
                Some((name, subject)) if !name.is_empty() && !subject.is_empty() => {
                    let Some(issuer) = self.issuers.get(name).cloned() else {
                        if !self.misfit(&["idp"]) {
                            let message = format!("there is no identity provider \"{}\"", escaped(name));
                            let near = super::super::problem::nearest(name, self.issuers.keys().map(String::as_str));
                            let help = near.map_or_else(
                                || {
                                    "write user:IDP/SUBJECT with the name of a table [idp.NAME], user:local/NAME or user:client/ID"
                                        .to_owned()
                                },
                                |near| format!("did you mean \"{near}\"?"),
                            );
                            self.bad(path, ("config.unknown_idp", message, "unknown provider", help));
                        }
                        return None;
                    };
                    UserId::new(&issuer, subject).ok().map(Selector::User)
                }
                _ => None,
            },
            "group" => GroupName::new(rest).ok().map(Selector::Group),
            "client" => ClientId::new(rest).ok().map(Selector::Client),
            "agent" => AgentLabel::new(rest).ok().map(Selector::Agent),
            _ => None,
        };
        if selector.is_none() {
            let message = format!("\"{}\" does not say who", escaped(text));
            let help = "write user:ISSUER/SUBJECT, group:NAME, client:ID or agent:LABEL; no patterns".to_owned();
            self.bad(path, ("config.selector", message, "nobody", help));
        }
        selector
    }
}
