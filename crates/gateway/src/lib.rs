//! The corridor of Doorward: from the listener to the answer. See `ARCHITECTURE.md`.

mod account;
pub mod admin;
pub mod answer;
pub mod audit;
mod batch;
pub mod catalogue;
pub mod credential;
pub mod egress;
pub mod env;
pub mod epoch;
mod errand;
pub mod identify;
mod idp;
pub mod limits;
pub mod listen;
pub mod live;
pub mod oauth;
mod office;
pub mod orders;
pub mod path;
mod policy;
pub mod proof;
pub mod replies;
mod seen;
pub mod session;
pub mod setup;
mod signin;
pub mod skew;
pub mod sources;
mod standing;
pub mod tasks;
mod trace;
pub mod ui;
pub mod upstream;
mod when;

use arc_swap::ArcSwap;
use audit::recorder::Recorder;
use catalogue::Catalogue;
use doorward_core::audit::outcome::Notice;
use doorward_core::config::clients::{Agents, Enterprise};
use doorward_core::config::login::{Login, Tokens};
use doorward_core::config::{Limits, Server};
use doorward_core::policy::facts::RiskClass;
use doorward_core::policy::rules::Rules;
use doorward_store::{Store, StoreError};
use env::Env;
use epoch::Epoch;
use identify::Records;
use limits::{Rates, Streams, Turnings};
use listen::metrics::Metrics;
use listen::rate::AddressLimit;
use live::Live;
use oauth::clients::Clients;
use oauth::device::DeviceRates;
use oauth::register::RegistrationRates;
use proof::Proofs;
pub use signin::LINK_LIFE;
use skew::Skew;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use tasks::Tasks;
use upstream::fault::Fault;
use upstream::relay::Desk;
use upstream::{Reached, Upstream, Upstreams};

/// Everything that serves requests. Built by [`setup`], handed down, never static.
#[derive(Debug)]
pub struct Gateway {
    pub(crate) env: Env,
    pub(crate) tasks: Tasks,
    /// Tasks that live as long as child processes; they end after the calls.
    pub(crate) processes: Tasks,
    pub(crate) audit: Recorder,
    pub(crate) store: Store,
    pub(crate) epoch: Epoch,
    pub(crate) records: Records,
    pub(crate) blocks: orders::Blocks,
    pub(crate) live: Live,
    pub(crate) rules: ArcSwap<Rules>,
    pub(crate) remembering: seen::Remembering,
    pub(crate) rates: Rates,
    pub(crate) streams: Streams,
    pub(crate) catalogue: Catalogue,
    pub(crate) brokers: credential::Brokers,
    /// Seals what is under way to the providers of accounts.
    pub(crate) trips: doorward_core::connection::trip::TripKey,
    pub(crate) upstreams: Upstreams,
    pub(crate) desk: Arc<Desk>,
    pub(crate) skew: Skew,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    pub(crate) strangers: Arc<AddressLimit>,
    pub(crate) untold: AddressLimit,
    /// Tokens about which somebody else has to be asked, by address.
    pub(crate) asking: AddressLimit,
    pub(crate) turned: Turnings,
    pub(crate) reception: signin::Reception,
    /// The one derived root; known once the listener is bound, since a laptop may ask for a free port.
    pub(crate) root: OnceLock<String>,
    /// Who signs people in, who of those may come in, and how long what they allow is good for.
    pub(crate) providers: idp::Providers,
    /// Whose tokens count at `/k/...`.
    pub(crate) issuers: idp::Issuers,
    /// Which provider decides for people which clients may act for them, where one does.
    pub(crate) enterprise: Option<Enterprise>,
    pub(crate) login: Login,
    pub(crate) lives: Tokens,
    pub(crate) clients: Clients,
    /// What the administrator calls the agents that come through them.
    pub(crate) agents: Agents,
    pub(crate) proofs: Proofs,
    pub(crate) consents: oauth::Consents,
    pub(crate) registrations: RegistrationRates,
    pub(crate) devices: DeviceRates,
    /// What administrators see of the configuration, and of the record.
    pub(crate) settings: admin::Settings,
    pub(crate) record: audit::reading::Reader,
    /// How clients get on, for people.
    pub(crate) trace: trace::Trace,
    pub(crate) max_body: usize,
    pub(crate) room: listen::room::Room,
    pub(crate) replies: replies::Replies,
    /// What batches gather, apart from single replies: a batch that waits for room for its next one does not wait for itself.
    pub(crate) batches: replies::Replies,
    /// Turns to say goodbye to servers.
    pub(crate) farewells: Arc<tokio::sync::Semaphore>,
    /// Keeps a second gateway away from the database, where that is a file: what is not shared is believed to be changed by nobody else.
    pub(crate) _alone: Option<std::fs::File>,
}

impl Gateway {
    /// Scheme, host and port that clients reach this installation at, without a slash. Empty before it listens.
    #[must_use]
    pub fn root(&self) -> &str {
        self.root.get().map(String::as_str).unwrap_or_default()
    }

    /// Records something that is not a call. A failure shows in the health of the record and in the next call.
    pub(crate) async fn note(&self, notice: &Notice<'_>) {
        if self.audit.event(notice, self.env.now()).await.is_err() {
            tracing::error!(reason = notice.reason, "an event could not be recorded");
        }
    }

    /// How many tools of a server are approved, of each class: those that exist for callers, in the class that the configuration says.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(crate) async fn approved_tools(&self, server: &Server) -> Result<BTreeMap<RiskClass, usize>, StoreError> {
        let pins = self.store.pins(&server.name).await?;
        let mut tools: BTreeMap<RiskClass, BTreeSet<&str>> = BTreeMap::new();
        for pin in pins.iter().filter(|pin| server.tools.allowed(pin.tool.as_str())) {
            let class = server.tools.class(pin.tool.as_str()).unwrap_or(pin.class);
            tools.entry(class).or_default().insert(pin.tool.as_str());
        }
        Ok(tools.into_iter().map(|(class, tools)| (class, tools.len())).collect())
    }

    /// The approval of the command of a server, if it was given for exactly this command (I9).
    ///
    /// # Errors
    /// [`Fault::Store`]: nobody knows, so nothing may be launched and nothing answers.
    pub(crate) async fn approved_launch(&self, upstream: &Upstream) -> Result<Option<[u8; 32]>, Fault> {
        let Reached::Stdio(stdio) = &upstream.reach else { return Ok(None) };
        let Some(digest) = stdio.digest(&upstream.config.name) else { return Ok(None) };
        let is_approved = self.store.launch_approved(&upstream.config.name, &digest).await.map_err(|_| Fault::Store)?;
        Ok(is_approved.then_some(digest))
    }
}
