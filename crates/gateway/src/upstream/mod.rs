//! The servers behind the gateway: which era each speaks, sessions and processes towards them, requests and what comes back.
//!
//! Requests of callers are built from a lease alone (`station`); requests of Doorward's own serve probing and the catalogue.
//! Must not know policy, listeners or where a secret comes from. Protocol 5, 16; house 8.

pub mod back;
pub mod breaker;
pub mod children;
pub mod exchange;
mod farewell;
pub mod fault;
pub mod http;
pub mod own;
pub mod pace;
pub mod pipe;
pub mod relay;
mod renew;
pub mod station;
pub mod stdio;
mod watched;

use self::fault::Fault;
use self::http::HttpServer;
use crate::env::Env;
use crate::replies::Replies;
use doorward_core::config::units::Rate;
use doorward_core::config::{Asking, EraPreference, Server, Stdio};
use doorward_core::id::{ClientId, ServerName, UserId};
use doorward_core::json::RawJson;
use doorward_core::mcp::encode::{Questions, Setting};
use doorward_core::mcp::version::{LEGACY, Version};
use doorward_core::screen::Searcher;
use pipe::Pipe;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use stdio::household::Launcher;
use stdio::restart::RestartBudget;
use tokio::time::Instant;

/// Every server of the configuration.
#[derive(Debug)]
pub struct Upstreams {
    servers: BTreeMap<ServerName, Arc<Upstream>>,
}

/// One server.
#[derive(Debug)]
pub struct Upstream {
    /// As configured.
    pub config: Arc<Server>,
    /// How it is reached.
    pub reach: Reached,
    /// What judges its definitions.
    pub searcher: Arc<Searcher>,
    ids: Arc<AtomicI64>,
    /// Raised whenever this server says that a list changed.
    pub generation: Arc<AtomicU64>,
    modern: Mutex<Option<(Known, Instant)>>,
}

/// How a server is reached.
#[derive(Debug)]
pub enum Reached {
    /// Over HTTP.
    Http(Arc<HttpServer>),
    /// As child processes.
    Stdio(Box<StdioServer>),
}

/// A server whose processes Doorward starts.
#[derive(Debug)]
pub struct StdioServer {
    /// What is started.
    pub command: Stdio,
    /// Values of its environment, resolved at start.
    pub secrets: Vec<(String, Arc<doorward_core::secret::Secret<String>>)>,
    /// Who starts it.
    pub launcher: Launcher,
    /// How fast a process is read, its answers apart.
    pace: Rate,
    /// Where what its processes say is counted.
    replies: Replies,
    /// Where installed packages lie.
    packages: PathBuf,
    since: Instant,
    budgets: Mutex<HashMap<PipeKey, RestartBudget>>,
    /// Processes that belong to no session: one for everybody, or one for each owner.
    pipes: tokio::sync::Mutex<HashMap<PipeKey, Arc<Pipe>>>,
    turns: Mutex<HashMap<PipeKey, Turn>>,
}

/// Whose process it is. `None` stands for everybody, where the administrator declared the server shareable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PipeKey {
    /// The user and client that it serves.
    pub owner: Option<(UserId, ClientId)>,
}

/// Whoever holds it may start the process of its key.
type Turn = Arc<tokio::sync::Mutex<()>>;

/// What a probe found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// It answers `server/discover`.
    Modern,
    /// It does not.
    NotModern,
}

/// How long it is believed that a server is not modern.
const BELIEVED: Duration = Duration::from_secs(60);

// === impl Upstreams ===

impl Upstreams {
    /// From servers that were set up one by one.
    #[must_use]
    pub fn new(servers: impl IntoIterator<Item = Arc<Upstream>>) -> Self {
        Self { servers: servers.into_iter().map(|server| (server.config.name.clone(), server)).collect() }
    }

    /// The server of this name, if it is configured and enabled.
    #[must_use]
    pub fn find(&self, name: &ServerName) -> Option<&Arc<Upstream>> {
        self.servers.get(name).filter(|server| server.config.enabled)
    }

    /// Every server.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        self.servers.values()
    }

    /// Begins to end shared processes that nobody has used for their server's `idle` time.
    pub async fn end_idle(&self) {
        for server in self.servers.values() {
            let Reached::Stdio(stdio) = &server.reach else { continue };
            let idle: Vec<Arc<Pipe>> = {
                let mut shared = stdio.pipes.lock().await;
                let (ended, kept) = shared.drain().partition::<HashMap<_, _>, _>(|(_, pipe)| pipe.is_idle(server.config.idle));
                *shared = kept;
                ended.into_values().collect()
            };
            for pipe in idle {
                pipe.hang_up();
            }
        }
    }

    /// Who has processes for themselves.
    pub(crate) async fn owners(&self) -> HashSet<(UserId, ClientId)> {
        let mut owners = HashSet::new();
        for server in self.servers.values() {
            if let Reached::Stdio(stdio) = &server.reach {
                owners.extend(stdio.pipes.lock().await.keys().filter_map(|key| key.owner.clone()));
            }
        }
        owners
    }

    /// Begins to end what somebody has for themselves.
    pub(crate) async fn end_of(&self, owner: &(UserId, ClientId)) {
        let key = PipeKey { owner: Some(owner.clone()) };
        for server in self.servers.values() {
            let Reached::Stdio(stdio) = &server.reach else { continue };
            let pipe = stdio.pipes.lock().await.remove(&key);
            if let Some(pipe) = pipe {
                pipe.hang_up();
            }
        }
    }

    /// Ends the processes of this server that belong to no session.
    pub(crate) async fn end_shared(&self, server: &Upstream) {
        let Reached::Stdio(stdio) = &server.reach else { return };
        for (_, pipe) in stdio.pipes.lock().await.drain() {
            pipe.hang_up();
        }
    }

    /// Ends whatever process is left; gives how many tasks did not end in time.
    pub async fn stop_launcher(&self, patience: Duration) -> usize {
        for server in self.servers.values() {
            if let Reached::Stdio(stdio) = &server.reach {
                return stdio.launcher.stop(patience).await; // all servers share one
            }
        }
        0
    }

    /// Ends every process that belongs to no session.
    pub async fn close(&self) {
        for server in self.servers.values() {
            if let Reached::Stdio(stdio) = &server.reach {
                let pipes: Vec<Arc<Pipe>> = stdio.pipes.lock().await.drain().map(|(_, pipe)| pipe).collect();
                for pipe in pipes {
                    pipe.close().await;
                }
            }
        }
    }
}

// === impl Upstream ===

impl Upstream {
    /// A server. Our request ids begin at a random place, so that replicas that share an upstream session do not collide.
    ///
    /// # Errors
    /// [`crate::env::NoRandomness`].
    pub fn new(config: Arc<Server>, reach: Reached, searcher: Arc<Searcher>, env: &Env) -> Result<Self, crate::env::NoRandomness> {
        let start = i64::from(u32::from_be_bytes(env.bytes()?)) << 16;
        Ok(Self { config, reach, searcher, ids: Arc::new(AtomicI64::new(start)), generation: Arc::default(), modern: Mutex::new(None) })
    }

    /// A JSON-RPC id that this server has not seen from us.
    #[must_use]
    pub fn next_id(&self) -> i64 {
        self.ids.fetch_add(1, Ordering::Relaxed)
    }

    /// Which questions of this server reach clients.
    #[must_use]
    pub fn questions(&self) -> Questions {
        let setting = |asking| if asking == Asking::Allowed { Setting::Allow } else { Setting::Deny };
        Questions { elicitation: setting(self.config.elicitation), sampling: setting(self.config.sampling) }
    }

    /// Refuses an era that the administrator has ruled out.
    ///
    /// # Errors
    /// [`Fault::NoEra`] with the versions that are left.
    pub fn permits(&self, modern: Known) -> Result<(), Fault> {
        match (self.config.era, modern) {
            (EraPreference::Legacy, Known::Modern) => Err(Fault::NoEra(LEGACY.to_vec())),
            (EraPreference::Modern, Known::NotModern) => Err(Fault::NoEra(vec![Version::V2026_07_28])),
            _ => Ok(()),
        }
    }

    /// What the last probe found out, while it is believed.
    #[must_use]
    pub fn known(&self) -> Option<Known> {
        let known = self.modern.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|(known, at)| *known == Known::Modern || at.elapsed() < BELIEVED).map(|(known, _)| known.clone())
    }

    /// Keeps what a probe found out; `None` when an assumption failed.
    pub fn learn(&self, known: Option<Known>) {
        *self.modern.lock().unwrap_or_else(PoisonError::into_inner) = known.map(|known| (known, Instant::now()));
    }
}

// === impl StdioServer ===

impl StdioServer {
    /// A server of this command, whose processes are read at a pace.
    #[must_use]
    pub fn new(
        command: Stdio,
        secrets: Vec<(String, Arc<doorward_core::secret::Secret<String>>)>,
        launcher: Launcher,
        pace: Rate,
        replies: Replies,
    ) -> Self {
        Self {
            command,
            secrets,
            launcher,
            pace,
            replies,
            packages: PathBuf::new(),
            since: Instant::now(),
            budgets: Mutex::default(),
            pipes: tokio::sync::Mutex::default(),
            turns: Mutex::default(),
        }
    }

    /// Takes installed packages from this directory.
    #[must_use]
    pub fn with_packages(self, packages: PathBuf) -> Self {
        Self { packages, ..self }
    }

    /// The turn to start the process of this key. Those that nobody waits for are forgotten.
    fn turn(&self, key: &PipeKey) -> Turn {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(key.clone()).or_default())
    }
}

/// The capabilities that Doorward declares for itself, when no client asks: none.
#[must_use]
pub fn no_capabilities() -> RawJson {
    RawJson::empty_object()
}
