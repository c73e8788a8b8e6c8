//! What overseers see: read anew for each, and the same for a page and for the API. Every function asks for the witness.

use super::known::{self, Known};
use super::{Administrator, Away, Overseer};
use crate::Gateway;
use crate::audit::reading::{Entry, Part, Unread, Whole};
use crate::audit::recorder::Cause;
use crate::session::LIFETIMES;
use doorward_core::audit::event::{Kind, Record};
use doorward_core::audit::outcome::Notice;
use doorward_core::audit::wanted::Wanted;
use doorward_core::config::Target;
use doorward_core::id::{CorrelationId, UserId};
use doorward_core::identity::role::Roles;
use doorward_core::policy::facts::RiskClass;
use doorward_store::{ApiKeyInfo, Attempt, BrowserInfo, GrantInfo, SessionInfo, UserInfo};
use std::collections::{BTreeMap, BTreeSet};

/// People on one page.
pub(super) const PEOPLE: usize = 200;
/// Entries of the record on one page.
pub(super) const ENTRIES: usize = 50;
/// Read for the overview.
const LATEST: usize = 200;
/// Of each kind on the overview.
const SHOWN: usize = 8;

/// How it is, on one page.
pub(super) struct Overview {
    pub(super) counts: Counts,
    /// Why nothing can be recorded, if so.
    pub(super) fault: Option<Cause>,
    /// The last record.
    pub(super) head: Option<u64>,
    /// The latest that was refused, and the latest calls.
    pub(super) refused: Vec<Entry>,
    pub(super) calls: Vec<Entry>,
}

/// Numbers of things.
pub(super) struct Counts {
    pub(super) people: usize,
    pub(super) disabled: usize,
    /// Clients that somebody allowed something.
    pub(super) clients: usize,
    pub(super) blocked: usize,
    pub(super) servers: usize,
    /// Servers of which nothing is approved.
    pub(super) unapproved: usize,
}

/// A server.
pub(super) struct ServerView {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) is_enabled: bool,
    pub(super) reached: Reached,
    /// Approved tools of each class.
    pub(super) tools: BTreeMap<RiskClass, u64>,
    pub(super) visible_to: Vec<String>,
}

/// How a server is reached.
pub(super) enum Reached {
    /// At this origin.
    Http(String),
    /// As a process, and whether its command is approved.
    Stdio(Launch),
}

/// Whether a command may be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Launch {
    Approved,
    NotApproved,
}

/// A person in a list.
pub(super) struct PersonView {
    pub(super) info: UserInfo,
    pub(super) roles: Roles,
}

/// People, as far as a page goes.
pub(super) struct People {
    pub(super) people: Vec<PersonView>,
    /// How many more there are that fit.
    pub(super) more: usize,
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
pub(super) enum Hidden {
    /// That somebody reads it could not be recorded.
    Unrecorded,
    /// It could not be read.
    Unread(Unread),
}

impl Gateway {
    pub(super) async fn overview(&self, overseer: &Overseer, id: CorrelationId) -> Result<Result<Overview, Hidden>, Away> {
        let (users, clients) = (self.store.list_users().await?, self.clients_view(overseer).await?);
        let servers = self.servers_view(overseer).await?;
        let counts = Counts {
            people: users.len(),
            disabled: users.iter().filter(|user| user.disabled.is_some()).count(),
            clients: clients.iter().filter(|client| client.consents > 0).count(),
            blocked: clients.iter().filter(|client| !client.blocked.is_empty()).count(),
            servers: servers.len(),
            unapproved: servers.iter().filter(|server| server.is_enabled && server.tools.is_empty()).count(),
        };
        let part = match self.records(overseer, Asked { wanted: Wanted::default(), before: None, limit: LATEST }, id).await {
            Ok(part) => part,
            Err(hidden) => return Ok(Err(hidden)),
        };
        let of =
            |is_meant: fn(&Record<'_>) -> bool| part.entries.iter().filter(|entry| is_meant(&entry.record)).take(SHOWN).cloned().collect();
        Ok(Ok(Overview {
            counts,
            fault: self.audit.fault(),
            head: self.audit.head().map(|head| head.seq),
            refused: of(|record| record.kind == Kind::Refused),
            calls: of(|record| record.kind == Kind::Intent && record.method.as_deref() == Some("tools/call")),
        }))
    }

    pub(super) async fn servers_view(&self, _: &Overseer) -> Result<Vec<ServerView>, Away> {
        let mut servers = Vec::new();
        for upstream in self.upstreams.iter() {
            let config = &upstream.config;
            let mut tools: BTreeMap<RiskClass, BTreeSet<String>> = BTreeMap::new();
            for pin in self.store.pins(&config.name).await?.iter().filter(|pin| config.tools.allowed(pin.tool.as_str())) {
                let class = config.tools.class(pin.tool.as_str()).unwrap_or(pin.class);
                tools.entry(class).or_default().insert(pin.tool.as_str().to_owned());
            }
            let reached = match &config.target {
                Target::Http { url } => Reached::Http(url.origin().ascii_serialization()),
                Target::Stdio(_) => {
                    let launch = self.approved_launch(upstream).await.map_err(|_| Away)?;
                    Reached::Stdio(if launch.is_some() { Launch::Approved } else { Launch::NotApproved })
                }
            };
            servers.push(ServerView {
                name: config.name.to_string(),
                title: config.title.clone(),
                is_enabled: config.enabled,
                reached,
                tools: tools.into_iter().map(|(class, tools)| (class, tools.len() as u64)).collect(),
                visible_to: config.visible_to.iter().map(ToString::to_string).collect(),
            });
        }
        Ok(servers)
    }

    /// What somebody allowed something first, then by id.
    pub(super) async fn clients_view(&self, _: &Overseer) -> Result<Vec<Known>, Away> {
        let known = known::read(&self.settings.clients, &self.store, self.env.now()).await?;
        let mut known: Vec<Known> = known.into_values().collect();
        known.sort_by(|one, other| one.place().cmp(&other.place()));
        Ok(known)
    }

    /// People whose subject, issuer or address holds `search`, in the order of the store.
    pub(super) async fn people_view(&self, _: &Overseer, search: Option<&str>) -> Result<People, Away> {
        let search = search.unwrap_or_default().to_lowercase();
        let fits = |info: &UserInfo| {
            let texts = [Some(info.user.subject()), Some(info.user.issuer()), info.email.as_deref()];
            texts.into_iter().flatten().any(|text| text.to_lowercase().contains(&search))
        };
        let mut all: Vec<UserInfo> = self.store.list_users().await?.into_iter().filter(fits).collect();
        let more = all.len().saturating_sub(PEOPLE);
        all.truncate(PEOPLE);
        Ok(People { people: all.into_iter().map(|info| self.with_roles(info)).collect(), more })
    }

    pub(super) async fn person_view(&self, _: &Overseer, user: &UserId) -> Result<Option<PersonDetail>, Away> {
        let now = self.env.now();
        let Some(info) = self.store.known_user(user).await? else { return Ok(None) };
        let mut sessions = self.store.list_sessions(LIFETIMES, now).await?;
        sessions.retain(|session| session.user == *user);
        let mut keys = self.store.list_api_keys(Some(user)).await?;
        keys.retain(|key| key.revoked.is_none() && key.expires > now);
        Ok(Some(PersonDetail {
            person: self.with_roles(info),
            browsers: self.store.list_browsers(Some(user), now).await?,
            sessions,
            consents: self.store.list_grants(Some(user), now).await?,
            keys,
        }))
    }

    pub(super) async fn attempts_view(&self, _: &Overseer) -> Result<Vec<Attempt>, Away> {
        self.settle_for_page().await;
        Ok(self.store.list_attempts(None).await?)
    }

    /// Every effective value of the configuration.
    pub(super) fn settings_view(&self, _: Administrator<'_>) -> impl Iterator<Item = (String, &str)> {
        self.settings.entries.iter().map(|entry| (entry.key(), entry.value.as_str()))
    }

    /// A part of the record. That it is read is recorded first: who watches is watched.
    pub(super) async fn records(&self, overseer: &Overseer, asked: Asked, id: CorrelationId) -> Result<Part, Hidden> {
        self.read_by(overseer, &asked.in_words(), id).await?;
        self.record.newest(asked.wanted, asked.before, asked.limit).await.map_err(Hidden::Unread)
    }

    /// Everything about one record.
    pub(super) async fn record_at(&self, overseer: &Overseer, seq: u64, id: CorrelationId) -> Result<Option<Whole>, Hidden> {
        self.read_by(overseer, &format!("record {seq}"), id).await?;
        self.record.whole(seq).await.map_err(Hidden::Unread)
    }

    async fn read_by(&self, overseer: &Overseer, what: &str, id: CorrelationId) -> Result<(), Hidden> {
        let notice =
            Notice { reason: "record_read", id: Some(id), by: Some(&overseer.person.user), cause: Some(what), ..Notice::default() };
        self.audit.event(&notice, self.env.now()).await.map_err(|_| Hidden::Unrecorded)
    }

    fn with_roles(&self, info: UserInfo) -> PersonView {
        let roles = self.login.roles(&info.user, &info.groups);
        PersonView { info, roles }
    }
}

/// Which part of the record.
pub(super) struct Asked {
    pub(super) wanted: Wanted,
    /// Only before this position.
    pub(super) before: Option<u64>,
    pub(super) limit: usize,
}

impl Asked {
    fn in_words(&self) -> String {
        let Wanted { user, client, server, tool, decision, since, until } = &self.wanted;
        let decision = decision.map(|decision| decision.as_str().to_owned());
        let named = [
            ("user", user),
            ("client", client),
            ("server", server),
            ("tool", tool),
            ("decision", &decision),
            ("since", since),
            ("until", until),
        ];
        let named: Vec<String> = named.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value.as_deref()?))).collect();
        let which = if named.is_empty() { "all".to_owned() } else { named.join(" ") };
        self.before.map_or_else(|| which.clone(), |before| format!("{which} before {before}"))
    }
}
