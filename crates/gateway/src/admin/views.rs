//! What overseers see: read anew for each, and the same for a page and for the API. Every function asks for the witness.

use super::Away;
use super::known::{self, Known};
use super::overseer::{Administrator, Overseer};
use crate::Gateway;
use crate::audit::reading::{Entry, Part, Unread, Whole};
use crate::audit::recorder::Cause;
use crate::session::LIFETIMES;
use doorward_core::audit::event::{Kind, Record};
use doorward_core::audit::outcome::Notice;
use doorward_core::audit::wanted::{Decision, Wanted};
use doorward_core::config::Target;
use doorward_core::id::{CorrelationId, UserId};
use doorward_core::identity::caller::Standing;
use doorward_core::identity::role::Roles;
use doorward_core::oauth::form::Form;
use doorward_core::policy::facts::RiskClass;
use doorward_store::{ApiKeyInfo, Attempt, BrowserInfo, GrantInfo, SessionInfo, UserInfo};
use std::collections::BTreeMap;

/// Entries of the record in one answer, where nothing else is asked for, and at most.
const ENTRIES: usize = 50;
const MOST_ENTRIES: usize = 200;
/// Clients and attempts on one page.
pub(super) const LISTED: usize = 200;
/// Read for the overview.
const LATEST: usize = 200;
/// Of each kind on the overview.
const SHOWN: usize = 8;

/// How it is, on one page.
pub(super) struct Overview {
    pub(super) people: u64,
    pub(super) disabled: u64,
    /// Clients that somebody allowed something, and clients that are blocked.
    pub(super) clients: usize,
    pub(super) blocked: usize,
    pub(super) servers: usize,
    /// Servers that wait for an approval.
    pub(super) unapproved: usize,
    /// Why nothing can be recorded, if so.
    pub(super) fault: Option<Cause>,
    /// The last record.
    pub(super) head: Option<u64>,
    /// What happened last, where it can be shown.
    pub(super) latest: Result<Latest, NotShown>,
}

/// The latest that was refused, and the latest calls.
pub(super) struct Latest {
    pub(super) refused: Vec<Entry>,
    pub(super) calls: Vec<Entry>,
}

/// A server.
pub(super) struct ServerView {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) state: ServerState,
    /// The origin that it is reached at; a process has none.
    pub(super) origin: Option<String>,
    /// Approved tools of each class.
    pub(super) tools: BTreeMap<RiskClass, usize>,
    pub(super) visible_to: Vec<String>,
}

/// Whether a server can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServerState {
    /// The configuration turns it off.
    Off,
    /// It is a process, and what would start it is not approved.
    CommandNotApproved,
    /// None of its tools is approved.
    NothingApproved,
    /// Something of it is approved.
    Approved,
}

/// A person in a list.
pub(super) struct PersonView {
    pub(super) info: UserInfo,
    pub(super) roles: Roles,
}

/// People, as far as an answer goes.
pub(super) struct People {
    pub(super) people: Vec<PersonView>,
    /// How many more there are that fit.
    pub(super) more: u64,
}

/// Everything of one person.
pub(super) struct PersonDetail {
    pub(super) person: PersonView,
    pub(super) browsers: Vec<BrowserInfo>,
    pub(super) sessions: Vec<SessionInfo>,
    pub(super) consents: Vec<GrantInfo>,
    pub(super) keys: Vec<ApiKeyInfo>,
}

/// Why the record was not shown.
pub(super) enum NotShown {
    /// That somebody reads it could not be recorded.
    Unrecorded,
    /// It could not be read.
    Unread(Unread),
}

/// Which part of the record.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) wanted: Wanted,
    /// Only before this position.
    before: Option<u64>,
    limit: usize,
}

/// A query says what is not understood. A condition that nobody reads would show too much.
pub(super) struct BadQuery;

impl ServerState {
    /// Its name for programs.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::CommandNotApproved => "command_not_approved",
            Self::NothingApproved => "nothing_approved",
            Self::Approved => "approved",
        }
    }

    /// Whether somebody has to approve something before it can be used.
    pub(super) const fn is_waiting(self) -> bool {
        matches!(self, Self::CommandNotApproved | Self::NothingApproved)
    }
}

impl Gateway {
    pub(super) async fn overview(&self, overseer: &Overseer, id: CorrelationId) -> Result<Overview, Away> {
        let (people, disabled) = self.store.count_users().await?;
        let (clients, servers) = (self.clients_view(overseer, None).await?, self.servers_view(overseer).await?);
        let fault = self.audit.fault();
        let asked = Asked { wanted: Wanted::default(), before: None, limit: LATEST };
        let latest = self.records(overseer, asked, id).await.map(|part| {
            let of = |is_meant: fn(&Record<'_>) -> bool| {
                part.entries.iter().filter(|entry| is_meant(&entry.record)).take(SHOWN).cloned().collect()
            };
            Latest {
                refused: of(|record| record.kind == Kind::Refused),
                calls: of(|record| record.kind == Kind::Intent && record.method.as_deref() == Some("tools/call")),
            }
        });
        Ok(Overview {
            people,
            disabled,
            clients: clients.iter().filter(|client| client.consents > 0).count(),
            blocked: clients.iter().filter(|client| !client.blocked.is_empty()).count(),
            servers: servers.len(),
            unapproved: servers.iter().filter(|server| server.state.is_waiting()).count(),
            fault,
            head: self.audit.head().map(|head| head.seq),
            latest,
        })
    }

    pub(super) async fn servers_view(&self, _: &Overseer) -> Result<Vec<ServerView>, Away> {
        let mut servers = Vec::new();
        for upstream in self.upstreams.iter() {
            let config = &upstream.config;
            let tools = self.approved_tools(config).await?;
            let (origin, may_start) = match &config.target {
                Target::Http { url } => (Some(url.origin().ascii_serialization()), true),
                Target::Stdio(_) => {
                    let launch = self.approved_launch(upstream).await.map_err(|_| {
                        tracing::warn!(server = %config.name, "whether its command is approved could not be read");
                        Away
                    })?;
                    (None, launch.is_some())
                }
            };
            let state = match (config.enabled, may_start, tools.is_empty()) {
                (false, ..) => ServerState::Off,
                (true, false, _) => ServerState::CommandNotApproved,
                (true, true, true) => ServerState::NothingApproved,
                (true, true, false) => ServerState::Approved,
            };
            servers.push(ServerView {
                name: config.name.to_string(),
                title: config.title.clone(),
                state,
                origin,
                tools,
                visible_to: config.visible_to.iter().map(ToString::to_string).collect(),
            });
        }
        Ok(servers)
    }

    /// Clients whose id, name or digest holds `search`: what somebody allowed something or somebody blocked first, then by id.
    pub(super) async fn clients_view(&self, _: &Overseer, search: Option<&str>) -> Result<Vec<Known>, Away> {
        let search = search.unwrap_or_default().to_lowercase();
        let fits = |known: &Known| {
            let texts = [known.id.as_ref().map(|id| id.as_str().to_owned()), known.name.clone(), Some(known.digest_text())];
            texts.into_iter().flatten().any(|text| text.to_lowercase().contains(&search))
        };
        let known = known::read(&self.settings.clients, &self.store, self.env.now()).await?;
        let mut known: Vec<Known> = known.into_values().filter(fits).collect();
        known.sort_by(|one, other| (one.blocked.is_empty(), one.place()).cmp(&(other.blocked.is_empty(), other.place())));
        Ok(known)
    }

    /// People whose subject, issuer or address holds `search`.
    pub(super) async fn people_view(&self, _: &Overseer, search: Option<&str>) -> Result<People, Away> {
        let (people, count) = self.store.search_users(search.unwrap_or_default()).await?;
        let more = count.saturating_sub(people.len() as u64);
        Ok(People { people: people.into_iter().map(|info| self.with_roles(info)).collect(), more })
    }

    pub(super) async fn person_view(&self, _: &Overseer, user: &UserId) -> Result<Option<PersonDetail>, Away> {
        let now = self.env.now();
        let Some(info) = self.store.user(user).await? else { return Ok(None) };
        let mut keys = self.store.list_api_keys(Some(user)).await?;
        keys.retain(|key| key.revoked.is_none() && key.expires > now);
        Ok(Some(PersonDetail {
            person: self.with_roles(info),
            browsers: self.store.list_browsers(Some(user), now).await?,
            sessions: self.store.sessions_of(user, LIFETIMES, now).await?,
            consents: self.store.list_grants(Some(user), now).await?,
            keys,
        }))
    }

    pub(super) async fn attempts_view(&self, _: &Overseer) -> Result<Vec<Attempt>, Away> {
        self.settle_for_page().await;
        Ok(self.store.list_attempts(None).await?)
    }

    /// Every effective value of the configuration.
    pub(super) fn settings_view(&self, _: &Administrator<'_>) -> impl Iterator<Item = (String, &str)> {
        self.settings.entries.iter().map(|entry| (entry.key(), entry.value.as_str()))
    }

    /// A part of the record. That it is read is recorded first: who watches is watched.
    pub(super) async fn records(&self, overseer: &Overseer, asked: Asked, id: CorrelationId) -> Result<Part, NotShown> {
        self.read_by(overseer, &asked.in_words(), id).await?;
        self.record.newest(asked.wanted, asked.before, asked.limit).await.map_err(NotShown::Unread)
    }

    /// Everything about one record.
    pub(super) async fn record_at(&self, overseer: &Overseer, seq: u64, id: CorrelationId) -> Result<Option<Whole>, NotShown> {
        self.read_by(overseer, &format!("record {seq}"), id).await?;
        self.record.whole(seq).await.map_err(NotShown::Unread)
    }

    async fn read_by(&self, overseer: &Overseer, what: &str, id: CorrelationId) -> Result<(), NotShown> {
        let by = Some(&overseer.person().user);
        let notice = Notice { reason: "record_read", id: Some(id), by, cause: Some(what), ..Notice::default() };
        self.audit.event(&notice, self.env.now()).await.map_err(|error| {
            tracing::warn!(%error, "the record is not shown: that it is read could not be recorded");
            NotShown::Unrecorded
        })
    }

    fn with_roles(&self, info: UserInfo) -> PersonView {
        let standing = if info.disabled.is_some() { Standing::Disabled } else { Standing::Good };
        let roles = self.login.roles(&info.user, &info.groups, standing);
        PersonView { info, roles }
    }
}

/// The parameters of a query and no others.
pub(super) fn only<'q>(query: &'q Form, takes: &[&str]) -> Result<&'q Form, BadQuery> {
    if query.pairs().all(|(name, _)| takes.contains(&name)) { Ok(query) } else { Err(BadQuery) }
}

/// Who is meant by a query.
pub(super) fn user(query: &Form) -> Result<UserId, BadQuery> {
    only(query, &["issuer", "subject"])?;
    let (Some(issuer), Some(subject)) = (query.get("issuer"), query.get("subject")) else { return Err(BadQuery) };
    UserId::new(issuer, subject).map_err(|_| BadQuery)
}

impl Asked {
    /// What a query asks for.
    pub(super) fn of(query: &Form) -> Result<Self, BadQuery> {
        only(query, &["user", "client", "server", "tool", "decision", "since", "until", "before", "limit"])?;
        let text = |name: &str| query.get(name).map(str::to_owned);
        let decision = match query.get("decision") {
            None => None,
            Some(name) => Some(Decision::ALL.into_iter().find(|decision| decision.as_str() == name).ok_or(BadQuery)?),
        };
        let time = |name: &str| match query.get(name) {
            None => Ok(None),
            Some(text) if is_time(text) => Ok(Some(text.to_owned())),
            Some(_) => Err(BadQuery),
        };
        let number = |name: &str| query.get(name).map(|text| number(text).ok_or(BadQuery)).transpose();
        let limit = match number("limit")? {
            None => ENTRIES,
            Some(limit) => usize::try_from(limit).ok().filter(|limit| (1..=MOST_ENTRIES).contains(limit)).ok_or(BadQuery)?,
        };
        let (since, until) = (time("since")?, time("until")?);
        let wanted =
            Wanted { user: text("user"), client: text("client"), server: text("server"), tool: text("tool"), decision, since, until };
        Ok(Self { wanted, before: number("before")?, limit })
    }

    fn in_words(&self) -> String {
        let named: Vec<String> = self.named().map(|(name, value)| format!("{name}={value}")).collect();
        let which = if named.is_empty() { "all".to_owned() } else { named.join(" ") };
        self.before.map_or_else(|| which.clone(), |before| format!("{which} before {before}"))
    }

    /// The conditions by the names that they have in a query.
    pub(super) fn named(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let Wanted { user, client, server, tool, decision, since, until } = &self.wanted;
        let texts = [("user", user), ("client", client), ("server", server), ("tool", tool), ("since", since), ("until", until)];
        let decision = decision.map(|decision| ("decision", decision.as_str()));
        texts.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).chain(decision)
    }
}

/// Digits alone.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// A day, or an instant in UTC, as records write it: `2026-11-24`, `2026-11-24T10:02`, `2026-11-24T10:02:11Z`.
fn is_time(text: &str) -> bool {
    const FORM: &[u8] = b"0000-00-00T00:00:00.000";
    let digits = text.strip_suffix('Z').unwrap_or(text);
    let fits = digits.bytes().zip(FORM).all(|(byte, form)| if *form == b'0' { byte.is_ascii_digit() } else { byte == *form });
    fits && match digits.len() {
        10 | 16 => digits.len() == text.len(),
        19 | 23 => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_of_the_form_of_records() {
        for good in ["2026-11-24", "2026-11-24T10:02", "2026-11-24T10:02:11", "2026-11-24T10:02:11Z", "2026-11-24T10:02:11.007Z"] {
            assert!(is_time(good), "{good}");
        }
        for bad in [
            "",
            "2026",
            "2026-11-24Z",
            "2026-11-24 10:02",
            "24.11.2026",
            "2026-11-24T10:02:11+01:00",
            "2026-11-24T10:02:11.007ZZ",
            "zzzz-11-24",
        ] {
            assert!(!is_time(bad), "{bad}");
        }
    }
}
