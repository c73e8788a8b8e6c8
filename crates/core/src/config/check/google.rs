//! `server.*.credential` of the kinds `gcp-...`, and `[endpoints]`. Nothing is guessed: source, audience, accounts and scopes are written
//! down, or the configuration is refused (credentials 9.9 and 17; I7).

use super::super::file::{CredentialFile, CredentialWord, EndpointsFile, MapRowFile, OneOrMany};
use super::super::schema::{escaped, written};
use super::{Checker, path_of};
use crate::config::google::{GoogleCredential, GoogleSource, Identity, Yields};
use crate::config::units;
use crate::config::{CredentialConfig, Selector};
use crate::credential::google::mapping::{Grant, Looks, Mapping, Row, State, Tools};
use crate::credential::google::places::{Endpoints, Loopback, Places};
use crate::credential::google::{Account, Lifetime, Scopes};
use crate::glob::Glob;
use crate::id::{AgentLabel, ClientId, GroupName, UserId};
use crate::policy::facts::RiskClass;
use http::HeaderName;

/// Headers that can hold an ID token (credentials 9.8).
const HEADERS: [&str; 3] = ["authorization", "x-serverless-authorization", "proxy-authorization"];
/// Rows of a mapping, and accounts in a chain.
const MOST_ROWS: usize = 1_000;
const MOST_DELEGATES: usize = 8;
const LONGEST_AUDIENCE: usize = 2_048;

impl Checker<'_> {
    pub(super) fn google(&mut self, server: &str, kind: CredentialWord, file: CredentialFile) -> Option<CredentialConfig> {
        let table = ["server", server, "credential"];
        let sources = "who Doorward is at Google: \"adc\", \"metadata\", or a reference to a credential file, such as file:PATH";
        let source = self.required(&table, "source", file.source.clone(), sources);
        let source = source.and_then(|text| self.google_source(server, &text));
        let quota = file.quota_project.clone().and_then(|text| self.project(&["server", server, "credential", "quota_project"], text));
        let yields = match kind {
            CredentialWord::GcpIdToken => self.identity(server, file).map(Yields::Identity),
            CredentialWord::GcpImpersonate => self.mapped(server, file),
            _ => {
                let scopes = self.required(&table, "scopes", file.scopes, "what the token may be used for, as addresses of scopes");
                scopes.and_then(|scopes| self.google_scopes(&["server", server, "credential", "scopes"], scopes)).map(Yields::Access)
            }
        };
        Some(CredentialConfig::Google(Box::new(GoogleCredential { source: source?, yields: yields?, quota_project: quota })))
    }

    fn google_source(&mut self, server: &str, text: &str) -> Option<GoogleSource> {
        let path = ["server", server, "credential", "source"];
        match text {
            "adc" => Some(GoogleSource::Adc),
            "metadata" => Some(GoogleSource::Metadata),
            "user" | "gateway-oidc" => {
                let message = format!("{} = \"{text}\" is not available in this version", written(&path_of(&path)));
                let help = "use \"adc\", \"metadata\" or a reference to a credential file".to_owned();
                self.bad(&path, ("config.not_available", message, "not available in this version", help));
                None
            }
            reference => self.secret(&path, reference).map(GoogleSource::File),
        }
    }

    fn identity(&mut self, server: &str, file: CredentialFile) -> Option<Identity> {
        let path = |key: &'static str| ["server", server, "credential", key];
        let audience = self.required(&["server", server, "credential"], "audience", file.audience, "who the token is for, exactly");
        let audience = audience.and_then(|text| {
            if (1..=LONGEST_AUDIENCE).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Some(text);
            }
            let help = "the address of the service or the id of its client, as it compares it: visible ASCII".to_owned();
            self.bad(&path("audience"), ("config.audience", "this is not an audience".to_owned(), "not an audience", help));
            None
        });
        let account = match file.service_account {
            None => Ok(None),
            Some(text) => self.account(&path("service_account"), &text).map(Some).ok_or(()),
        };
        let delegates = self.delegates(server, file.delegates, account.as_ref().is_ok_and(Option::is_some).into());
        let header = match file.header.as_deref() {
            None => Some(http::header::AUTHORIZATION),
            Some(text) if HEADERS.contains(&text) => HeaderName::from_bytes(text.as_bytes()).ok(),
            Some(text) => {
                let message = format!("\"{}\" is not a header for an ID token", escaped(text));
                let help = "the choices: \"authorization\", \"x-serverless-authorization\", \"proxy-authorization\"".to_owned();
                self.bad(&path("header"), ("config.header", message, "none of the choices", help));
                None
            }
        };
        Some(Identity { audience: audience?, account: account.ok()?, delegates, header: header? })
    }

    fn mapped(&mut self, server: &str, file: CredentialFile) -> Option<Yields> {
        let path = |key: &'static str| ["server", server, "credential", key];
        let lifetime = self.lifetime(&path("lifetime"), file.lifetime, Lifetime::DEFAULT);
        let delegates = self.delegates(server, file.delegates, Becoming::Somebody);
        let rows = match (file.service_account, file.map) {
            (Some(_), Some(_)) => {
                let help = "keep service_account for all calls, or the rows of map".to_owned();
                let message = "there is a service_account and a map".to_owned();
                self.bad(&path("service_account"), ("config.two_mappings", message, "and map", help));
                return None;
            }
            // What is wrong with it was said.
            (None, None) if self.misfit(&path("map")) => return None,
            (None, None) => {
                let what = "the account that every call becomes, or [[server.NAME.credential.map]] with rows";
                self.required::<String>(&["server", server, "credential"], "service_account", None, what);
                return None;
            }
            (None, Some(rows)) => {
                if rows.is_empty() || rows.len() > MOST_ROWS {
                    let help = "1 to 1000 rows; without any nobody becomes anybody".to_owned();
                    self.bad(&path("map"), ("config.empty", "map has no rows, or too many".to_owned(), "no rows", help));
                }
                if file.scopes.is_some() {
                    let message = "scopes are for service_account; each row of map has its own".to_owned();
                    let help = "write them into the rows".to_owned();
                    self.bad_key(&path("scopes"), ("config.wrong_place", message, "not used here", help));
                }
                let row = |(at, row)| self.row((server, &usize::to_string(&at)), row, lifetime);
                rows.into_iter().enumerate().map(row).collect::<Vec<_>>()
            }
            (Some(account), None) => {
                let account = self.account(&path("service_account"), &account);
                let what = "what the token may be used for, as addresses of scopes";
                let scopes = self.required(&["server", server, "credential"], "scopes", file.scopes, what);
                let scopes = scopes.and_then(|scopes| self.google_scopes(&path("scopes"), scopes));
                let grant = account.zip(scopes).map(|(account, scopes)| Grant { account, scopes, lifetime });
                vec![grant.map(Row::for_all)]
            }
        };
        let mapping = Mapping::new(rows.into_iter().collect::<Option<Vec<_>>>()?)?;
        if mapping.upkeep().is_err() {
            let message = "no row says as whom Doorward looks what tools there are".to_owned();
            let help =
                "write catalogue = true into a row whose account may only look, or add a row without users, groups, clients and agents"
                    .to_owned();
            self.bad(&path("map"), ("config.catalogue_row", message, "nobody looks", help));
        }
        Some(Yields::Mapped { mapping, delegates })
    }

    fn row(&mut self, (server, at): (&str, &str), file: MapRowFile, lifetime: Lifetime) -> Option<Row> {
        let table = ["server", server, "credential", "map", at];
        let path = |key: &'static str| ["server", server, "credential", "map", at, key];
        let account = self.required(&table, "service_account", file.service_account, "the e-mail address of the account to become");
        let account = account.and_then(|text| self.account(&path("service_account"), &text));
        let scopes = self.required(&table, "scopes", file.scopes, "what the token may be used for, as addresses of scopes");
        let scopes = scopes.and_then(|scopes| self.google_scopes(&path("scopes"), scopes));
        let lifetime = self.lifetime(&path("lifetime"), file.lifetime, lifetime);
        let conditions = (
            self.condition(&path("tools"), file.tools, tools, "\"read\", \"write\", \"destructive\" or a pattern such as \"get_*\""),
            self.people_of(&path("users"), file.users),
            self.condition(&path("groups"), file.groups, |text| GroupName::new(text).ok(), "the name of a group"),
            self.condition(&path("clients"), file.clients, |text| ClientId::new(text).ok(), "the id of a client"),
            self.condition(&path("agents"), file.agents, |text| AgentLabel::new(text).ok(), "a label that [clients.agents] gives"),
        );
        let (tools, users, groups, clients, agents) = conditions;
        let state = if file.enabled.unwrap_or(true) { State::Enabled } else { State::Disabled };
        let grant = Grant { account: account?, scopes: scopes?, lifetime };
        let looks = if file.catalogue.unwrap_or(false) { Looks::Yes } else { Looks::No };
        Some(Row { tools: tools?, users: users?, groups: groups?, clients: clients?, agents: agents?, grant, state, looks })
    }

    /// People by the name of their issuer, as in every list of who may.
    fn people_of(&mut self, path: &[&str], texts: Option<OneOrMany>) -> Option<Vec<UserId>> {
        let Some(texts) = texts.map(OneOrMany::into_vec) else { return Some(Vec::new()) };
        let users = self.each(path, &texts, |checker, path, text| match checker.selector(path, &format!("user:{text}")) {
            Some(Selector::User(user)) => Some(user),
            _ => None,
        });
        if texts.is_empty() {
            return self.condition(path, Some(OneOrMany::Many(texts)), |_| None, "");
        }
        (users.len() == texts.len()).then_some(users)
    }

    /// A list that is there and empty would be no condition, where somebody thought of one.
    fn condition<T>(&mut self, path: &[&str], texts: Option<OneOrMany>, parse: impl Fn(&str) -> Option<T>, wanted: &str) -> Option<Vec<T>> {
        let Some(texts) = texts.map(OneOrMany::into_vec) else { return Some(Vec::new()) };
        if texts.is_empty() {
            let message = format!("{} is empty", written(&path_of(path)));
            let help = "name somebody, leave the key out for everybody, or set enabled = false".to_owned();
            self.bad(path, ("config.empty", message, "empty", help));
            return None;
        }
        let parsed: Option<Vec<T>> = texts.iter().map(|text| parse(text)).collect();
        if parsed.is_none() {
            let message = format!("{} holds something else", written(&path_of(path)));
            self.bad(path, ("config.mapping", message, "not usable", format!("write {wanted}")));
        }
        parsed
    }

    fn account(&mut self, path: &[&str], text: &str) -> Option<Account> {
        let account = Account::named(text).ok();
        if account.is_none() {
            let help = "its e-mail address, such as reader@project.iam.gserviceaccount.com; nothing is filled in".to_owned();
            let message = format!("\"{}\" is not a service account", escaped(text));
            self.bad(path, ("config.service_account", message, "not an account", help));
        }
        account
    }

    fn delegates(&mut self, server: &str, texts: Option<Vec<String>>, becoming: Becoming) -> Vec<Account> {
        let path = ["server", server, "credential", "delegates"];
        let texts = texts.unwrap_or_default();
        if !texts.is_empty() && becoming == Becoming::Nobody {
            let message = "delegates lead to a service_account, and there is none".to_owned();
            let help = "add service_account, or remove delegates".to_owned();
            self.bad_key(&path, ("config.wrong_place", message, "not used here", help));
        }
        if texts.len() > MOST_DELEGATES {
            let help = "8 at most: each of them is a way in".to_owned();
            self.bad(&path, ("config.delegates", "there are too many delegates".to_owned(), "more than 8", help));
        }
        self.each(&path, &texts, |checker, path, text| checker.account(path, text))
    }

    fn google_scopes(&mut self, path: &[&str], texts: OneOrMany) -> Option<Scopes> {
        let texts = texts.into_vec();
        let scopes = Scopes::new(texts.iter().map(String::as_str)).ok();
        if scopes.is_none() {
            let help = "1 to 32 scopes without blanks, such as [\"https://www.googleapis.com/auth/bigquery.readonly\"]".to_owned();
            let message = format!("{} is not a list of scopes", written(&path_of(path)));
            self.bad(path, ("config.scope", message, "not scopes", help));
        }
        scopes
    }

    fn lifetime(&mut self, path: &[&str], text: Option<String>, default: Lifetime) -> Lifetime {
        let Some(text) = text else { return default };
        match units::duration(&text).map(Lifetime::new) {
            Some(Ok(lifetime)) => lifetime,
            Some(Err(_)) => {
                self.out_of_range(path, &escaped(&text), "1m", "1h");
                default
            }
            None => {
                let message = format!("{} is not a duration: \"{}\"", written(&path_of(path)), escaped(&text));
                self.bad(path, ("config.form", message, "wrong form", "write a number and s, m or h: \"10m\"".to_owned()));
                default
            }
        }
    }

    fn project(&mut self, path: &[&str], text: String) -> Option<String> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b':');
        if (1..=128).contains(&text.len()) && text.bytes().all(plain) {
            return Some(text);
        }
        let message = format!("\"{}\" is not a project", escaped(&text));
        self.bad(path, ("config.project", message, "not a project", "the id of a project: corp-data".to_owned()));
        None
    }

    pub(super) fn places(&mut self, file: EndpointsFile, loopback: Loopback) -> Places {
        let endpoints = Endpoints {
            universe_domain: file.universe_domain,
            iamcredentials: file.iamcredentials,
            sts: file.sts,
            oauth2: file.oauth2,
            metadata: file.metadata,
            subject_token_hosts: file.subject_token_hosts.unwrap_or_default(),
        };
        Places::new(&endpoints, loopback).unwrap_or_else(|(key, wanted)| {
            let path = ["endpoints", key];
            let message = format!("{} is {wanted}", written(&path_of(&path)));
            let help = "leave it out for Google itself; servers of tests are on loopback, behind --insecure-test-endpoints".to_owned();
            self.bad(&path, ("config.endpoint", message, "not such an address", help));
            Places::google()
        })
    }
}

/// Whether a credential becomes an account at all.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Becoming {
    Somebody,
    Nobody,
}

impl From<bool> for Becoming {
    fn from(is_somebody: bool) -> Self {
        if is_somebody { Self::Somebody } else { Self::Nobody }
    }
}

fn tools(text: &str) -> Option<Tools> {
    // A class in other letters is a class that somebody meant, and as a pattern it would fit nothing.
    if RiskClass::parse(text).is_none() && RiskClass::parse(&text.to_ascii_lowercase()).is_some() {
        return None;
    }
    RiskClass::parse(text).map(Tools::Class).or_else(|| Glob::parse(text).map(Tools::Named))
}
