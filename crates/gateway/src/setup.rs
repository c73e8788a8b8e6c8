//! From a configuration to a gateway that serves. Wiring only: every decision was made in the configuration.

mod clients;
mod providers;
mod servers;
mod upkeep;

pub use providers::PROVIDER_PATIENCE;
pub use servers::{Configured, servers};

use crate::Gateway;
use crate::admin::Settings;
use crate::audit::key;
use crate::audit::medium;
use crate::audit::reading::Reader;
use crate::audit::recorder::{Durability, OpenError, Options, Recorder};
use crate::audit::settings as audit_settings;
use crate::catalogue::Catalogue;
use crate::credential::google::Unopened;
use crate::egress::error::BadEgress;
use crate::egress::target::BadTarget;
use crate::env::{Env, NoRandomness};
use crate::epoch::Epoch;
use crate::identify::Records;
use crate::limits::{Rates, Shared, Streams, Turnings};
use crate::listen::body::Body;
use crate::listen::guard::Guard;
use crate::listen::guard::Turned;
use crate::listen::http::{self, Serve};
use crate::listen::metrics::Metrics;
use crate::listen::rate::AddressLimit;
use crate::listen::room::Room;
use crate::listen::tls::{BadTls, Tls};
use crate::listen::{Inbound, OfficeRequest, tls};
use crate::live::Live;
use crate::oauth::Consents;
use crate::oauth::device::DeviceRates;
use crate::oauth::register::RegistrationRates;
use crate::orders::Blocks;
use crate::proof::Proofs;
use crate::replies::{Replies, of_batch};
use crate::seen::Remembering;
use crate::signin::Reception;
use crate::skew::Skew;
use crate::sources::{Kind, NoSecret, Reference, Sources};
use crate::tasks::Tasks;
use crate::trace::Trace;
use crate::upstream::children::unpinned;
use crate::upstream::relay::Desk;
use crate::upstream::stdio::household::StartError;
use crate::upstream::stdio::package;
use crate::upstream::{Upstream, Upstreams};
use arc_swap::ArcSwap;
use doorward_core::audit::chain::{DigestKey, Digests, WriterId};
use doorward_core::audit::checkpoint::PublicKey;
use doorward_core::audit::outcome::Notice;
use doorward_core::config::reference::SecretRef;
use doorward_core::config::{self, AuditDurability, Config, KeptArguments, StoreTarget};
use doorward_core::connection::trip::TripKey;
use doorward_core::id::ClientId;
use doorward_core::launch::Problem;
use doorward_core::oauth::client::Client;
use doorward_core::oauth::dpop::Nonces;
use doorward_core::oauth::keys::OfficeKeys;
use doorward_core::policy::rules::Rules;
use doorward_core::screen::Screen;
use doorward_core::secret::Secret;
use doorward_core::session::sealed::SealingKeys;
use doorward_store::{Random, Sealer, Store, StoreError, StoreUrl};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// What a gateway is built from.
#[derive(Debug)]
pub struct Parts {
    /// The checked configuration.
    pub config: Config,
    /// The state directory: it exists and belongs to this user alone.
    pub state: PathBuf,
    /// The checked rules.
    pub rules: Rules,
    /// Where secret references lead.
    pub sources: Sources,
    /// Clock and randomness.
    pub env: Env,
    /// How long one question to an identity provider may take: [`PROVIDER_PATIENCE`], but for tests.
    pub provider_patience: Duration,
}

/// Why a gateway could not be built. Texts name references and paths, never values.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A reference gave no secret.
    #[error(transparent)]
    Secret(#[from] NoSecret),
    /// The key-encryption key is not 32 bytes in base64, or not readable for its owner alone.
    #[error("the key-encryption key: {0}")]
    Key(String),
    /// The store cannot be opened.
    #[error("the store: {0}")]
    Store(#[from] StoreError),
    /// Another gateway serves over the database, which is a file for one.
    #[error("another gateway serves over {0}; several need PostgreSQL")]
    Served(PathBuf),
    /// The record cannot be continued.
    #[error("the audit record: {0}")]
    Audit(#[from] OpenError),
    /// Its signing key cannot be used.
    #[error(transparent)]
    AuditKey(#[from] key::KeyError),
    /// The way out cannot be built.
    #[error("outbound connections: {0}")]
    Egress(#[from] BadEgress),
    /// The URL of a server cannot be used.
    #[error("server {server}: {cause}")]
    Target {
        /// The server.
        server: String,
        /// Why.
        cause: BadTarget,
    },
    /// The credential of a server cannot be used.
    #[error("server {server}: {cause}")]
    Credential {
        /// The server.
        server: String,
        /// Why.
        cause: Unopened,
    },
    /// A file of the configuration cannot be read.
    #[error("{path}: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// Processes of stdio servers cannot be started.
    #[error(transparent)]
    Launcher(#[from] StartError),
    /// Certificate or key.
    #[error(transparent)]
    Tls(#[from] BadTls),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        cause: io::Error,
    },
    /// No randomness.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// Anything else at start.
    #[error("{0}")]
    Other(String),
}

/// A gateway that listens.
#[derive(Debug)]
pub struct Serving {
    /// The gateway.
    pub gateway: Arc<Gateway>,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its certificates, to be reloaded.
    pub tls: Option<Tls>,
}

/// Keys derived from the key-encryption key.
struct Keys {
    master: Secret<[u8; 32]>,
}

/// Name of the key-encryption key in the state directory, where none is configured.
pub const KEY_FILE: &str = "store-key";
/// After so many records a seal follows.
const SEAL_EVERY: u64 = 1000;
/// Records of credentials that are kept in memory.
const RECORDS: usize = 10_000;
/// Requests without a good credential from one address: in a minute, and at once.
const STRANGERS: NonZeroU32 = NonZeroU32::new(600).unwrap();
const STRANGERS_BURST: NonZeroU32 = NonZeroU32::new(200).unwrap();
/// Tokens of one address about which somebody else has to be asked: in a minute, and at once.
const ASKING: NonZeroU32 = NonZeroU32::new(300).unwrap();
const ASKING_BURST: NonZeroU32 = NonZeroU32::new(60).unwrap();
/// After shutdown began, calls have this long.
const DRAIN: Duration = Duration::from_secs(10);

/// Opens the store of an installation.
///
/// # Errors
/// [`SetupError`].
pub async fn open_store(config: &Config, state: &Path, sources: &Sources, env: &Env) -> Result<Store, SetupError> {
    let keys = Keys::load(config, state, sources, env)?;
    keys.store(config, state, sources, env).await
}

/// A client as it describes itself: by its registration, by the last copy of its document that was read, or by the catalogue. For the command
/// line: nobody is asked, and whether the client may come in is not said.
///
/// # Errors
/// [`SetupError`].
pub async fn describe(house: (&Config, &Path, &Sources, &Env), store: &Store, id: &ClientId) -> Result<Option<Client>, SetupError> {
    let (config, state, sources, env) = house;
    let keys = Keys::load(config, state, sources, env)?;
    clients::described(config, &keys.master, store, id).await
}

impl Gateway {
    /// Builds everything but the listener.
    ///
    /// # Errors
    /// [`SetupError`]: nothing is served then.
    pub async fn build(parts: Parts) -> Result<Arc<Self>, SetupError> {
        let Parts { config, state, rules, sources, env, provider_patience } = parts;
        let tasks = Tasks::new();
        let keys = Keys::load(&config, &state, &sources, &env)?;
        let store = keys.store(&config, &state, &sources, &env).await?;
        let durability = match config.audit.durability {
            AuditDurability::Write => Durability::Write,
            AuditDurability::Fsync => Durability::Fsync,
        };
        let audit = keys.recorder(&config, &state, &env, durability)?;
        let alone = database(&config.store.target, &state).map(alone).transpose()?;
        audit_settings::declare(&audit, &config.audit, &state, env.now()).await?;
        for (server, reason, Problem { what, fix }) in unpinned(&config) {
            tracing::warn!(%server, reason, %what, %fix, "a package runner");
            let notice = Notice { reason, server: Some(&server), cause: Some(&what), ..Notice::default() };
            audit.event(&notice, env.now()).await.map_err(OpenError::from)?;
        }
        audit.set_policy(Some(rules.version()));
        let epoch = Epoch::watch(store.epoch().await?, store.clone(), &tasks);
        let (mut servers, mut brokers) = (Vec::new(), BTreeMap::new());
        let replies = Replies::of(config.limits.result_bytes.as_usize());
        let means = (&tasks, &replies, provider_patience * 2);
        for (upstream, broker) in servers::counting(&config, &state, &package::home(&state), &sources, &env, means)? {
            brokers.insert(upstream.config.name.clone(), broker);
            servers.push(Arc::new(upstream));
        }
        let clients = clients::clients(&config, &keys.master, &store, &sources, &tasks)?;
        let providers = providers::providers(&config, (&keys.master, &sources), provider_patience, &tasks)?;
        let issuers = providers::issuers(&config, provider_patience, &tasks)?;
        let sealing = SealingKeys::derive(&keys.master).map_err(|error| SetupError::Other(error.to_string()))?;
        let office = OfficeKeys::derive(&keys.master).map_err(|error| SetupError::Other(error.to_string()))?;
        let trips = TripKey::derive(&keys.master).map_err(|error| SetupError::Other(error.to_string()))?;
        let nonces = Nonces::derive(&keys.master).map_err(|error| SetupError::Other(error.to_string()))?;
        // A file is for one process: its own limits are all there are.
        let shared = matches!(config.store.target, StoreTarget::Postgres(_)).then(|| Shared::new(store.clone()));
        let result_bytes = config.limits.result_bytes.as_usize();
        let screen = |server: &Arc<Upstream>| Screen::new(Arc::clone(&server.searcher), server.config.screening);
        let screens = servers.iter().map(|server| (server.config.name.clone(), screen(server))).collect();
        let desk = Arc::new(Desk { env: env.clone(), store: store.clone(), sealing, result_bytes, promised: Arc::default(), screens });
        let settings = Settings { entries: config.entries(), clients: config.clients.clone() };
        let gateway = Arc::new(Self {
            env,
            tasks: tasks.clone(),
            processes: Tasks::new(),
            audit,
            store,
            epoch,
            records: Records::new(RECORDS),
            blocks: Blocks::new(RECORDS),
            live: Live::default(),
            rules: ArcSwap::from_pointee(rules),
            remembering: Remembering { span: config.policy.remember_seen, by: config.policy.seen_by },
            rates: Rates::new(&config.limits, shared),
            streams: Streams::new(config.limits.streams_per_user),
            catalogue: Catalogue::default(),
            brokers,
            trips,
            upstreams: Upstreams::new(servers),
            desk,
            reception: Reception::new(office, config.name.clone()),
            root: OnceLock::new(),
            providers,
            issuers,
            enterprise: config.clients.enterprise.clone(),
            login: config.login,
            agents: settings.clients.agents.clone(),
            settings,
            record: Reader::of(audit_settings::file(&config.audit, &state)),
            lives: config.tokens,
            proofs: Proofs::new(config.tokens.dpop, config.clients.require_dpop.clone(), nonces),
            clients,
            consents: Consents { need_not_ask: config.clients.skip_consent.clone(), remembered: config.clients.remember_consent },
            registrations: RegistrationRates::new(config.clients.registration_rate),
            devices: DeviceRates::new(),
            trace: Trace::new(),
            max_body: config.listen.max_body.as_usize(),
            room: Room::for_bodies_of(config.listen.max_body.as_usize()),
            replies,
            batches: Replies::of(of_batch(result_bytes)),
            skew: Skew::default(),
            limits: config.limits,
            metrics: Metrics::new(),
            strangers: Arc::new(AddressLimit::new(STRANGERS, STRANGERS_BURST)),
            untold: AddressLimit::new(STRANGERS, STRANGERS_BURST),
            asking: AddressLimit::new(ASKING, ASKING_BURST),
            turned: Turnings::default(),
            farewells: Arc::new(Semaphore::new(FAREWELLS)),
            _alone: alone,
        });
        gateway.compare_clocks().await;
        tasks.essential(Arc::clone(&gateway).keep_house());
        tasks.essential(Arc::clone(&gateway).keep_swept());
        tasks.essential(Arc::clone(&gateway).keep_telling());
        tasks.essential(Arc::clone(&gateway).keep_recording());
        tasks.essential(Arc::clone(&gateway).keep_deeds());
        tasks.spawn(Arc::clone(&gateway).keep_trace());
        Ok(gateway)
    }

    /// Opens the listener and serves until [`Gateway::stop`].
    ///
    /// # Errors
    /// [`SetupError::Listen`], [`SetupError::Tls`].
    pub async fn listen(self: &Arc<Self>, config: &Config) -> Result<Serving, SetupError> {
        let wanted = config.listen.address;
        let listener = TcpListener::bind(wanted).await.map_err(|cause| SetupError::Listen { address: wanted, cause })?;
        http::narrow(&listener).map_err(|cause| SetupError::Listen { address: wanted, cause })?;
        let address = listener.local_addr().map_err(|cause| SetupError::Listen { address: wanted, cause })?;
        let _again = self.root.set(root(config, address));
        let tls = match &config.listen.tls {
            config::Tls::Here { cert, key, min_version, client_ca } => {
                let only_13 = if *min_version == config::TlsVersion::V1_3 { tls::Oldest::V1_3 } else { tls::Oldest::V1_2 };
                let tls = Tls::load(cert, key, only_13)?;
                Some(match client_ca {
                    Some(authorities) => tls.asking(authorities, &self.env)?,
                    None => tls,
                })
            }
            config::Tls::Loopback | config::Tls::Proxy => None,
        };
        let public = config.public_url.as_ref().map(config::PublicUrl::as_str);
        let guard = Guard::new(address, public, &config.listen.hosts, &config.listen.origins, &config.listen.trusted_proxies);
        let settings = http::Settings {
            guard,
            tls: tls.clone(),
            connections: usize::try_from(config.limits.connections.get()).unwrap_or(usize::MAX),
            only_from: (config.listen.tls == config::Tls::Proxy).then(|| config.listen.trusted_proxies.clone()),
            patience: http::Patience::default(),
            strangers: Arc::clone(&self.strangers),
            carriers: self.issuers.carriers(),
            metrics: self.metrics.clone(),
            env: self.env.clone(),
            tasks: self.tasks.clone(),
        };
        if let Some(wanted) = config.listen.metrics {
            let failed = |cause| SetupError::Listen { address: wanted, cause };
            let listener = TcpListener::bind(wanted).await.map_err(failed)?;
            self.tasks.spawn(self.metrics.clone().serve(listener, http::Patience::default(), self.tasks.clone()));
        }
        self.tasks.spawn(http::accept(listener, settings, Arc::new(Door(Arc::clone(self)))));
        Ok(Serving { gateway: Arc::clone(self), address, tls })
    }

    /// Ends streams and calls in order, processes after them, and seals the record. True when nothing was left behind.
    pub async fn stop(&self) -> bool {
        let left = self.tasks.stop(DRAIN).await;
        for digest in self.live.all() {
            if let Some(child) = self.live.end(&digest) {
                child.close().await;
            }
        }
        self.upstreams.close().await;
        let processes = self.processes.stop(DRAIN).await + self.upstreams.stop_launcher(DRAIN).await;
        // What was done since the last look belongs on this record rather than on the next one.
        self.record_deeds().await;
        let sealed = self.audit.checkpoint(self.env.now()).await.is_ok();
        self.store.close().await;
        left == 0 && processes == 0 && sealed
    }

    /// Whether calls would be served now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.audit.is_healthy() && self.epoch.is_answered() && self.tasks.are_well()
    }

    /// The store, for the command line of this process.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The counters of this process.
    #[must_use]
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The revocation epoch as this process knows it.
    #[must_use]
    pub const fn epoch(&self) -> &Epoch {
        &self.epoch
    }
}

/// The database, where it is a file.
fn database(target: &StoreTarget, state: &Path) -> Option<PathBuf> {
    match target {
        StoreTarget::Sqlite(path) => Some(path.clone()),
        StoreTarget::StateDirectory => Some(state.join("doorward.db")),
        StoreTarget::Postgres(_) => None,
    }
}

/// The lock beside a database; held as long as the gateway. Commands that change it beside a gateway need none.
fn alone(database: PathBuf) -> Result<fs::File, SetupError> {
    let mut path = database.clone().into_os_string();
    path.push(".serving");
    let path = PathBuf::from(path);
    medium::open(&path).map_err(|cause| match cause.kind() {
        io::ErrorKind::WouldBlock => SetupError::Served(database),
        _ => SetupError::File { path, cause },
    })
}

/// Hands the record over to a new signing key, inside its chain; no gateway may be running. A crash on the way leaves
/// either the old key or the new one in force, never none: the next start finishes or drops what was begun.
///
/// # Errors
/// [`SetupError`]; [`OpenError::Locked`] while a gateway writes the record.
pub async fn rotate_audit_key(config: &Config, state: &Path, sources: &Sources, env: &Env) -> Result<Rotated, SetupError> {
    let keys = Keys::load(config, state, sources, env)?;
    let recorder = keys.recorder(config, state, env, Durability::Fsync)?;
    let unrecorded = |error| SetupError::Audit(OpenError::Unrecorded(error));
    let old = recorder.public_key().ok_or(SetupError::Audit(OpenError::NoKey))?;
    let next = key::prepare(state)?;
    let new = next.public();
    recorder.rotate(next, env.now()).await.map_err(unrecorded)?;
    key::settle(state, new)?;
    recorder.checkpoint(env.now()).await.map_err(unrecorded)?;
    Ok(Rotated { old, new })
}

/// One key after another.
#[derive(Debug, Clone, Copy)]
pub struct Rotated {
    /// It signed until now; auditors who hold it can still check the whole record.
    pub old: PublicKey,
    /// It signs from here on.
    pub new: PublicKey,
}

/// Servers that are told goodbye at once.
const FAREWELLS: usize = 32;

/// The corridor behind the listener.
#[derive(Debug)]
struct Door(Arc<Gateway>);

impl Serve for Door {
    /// Boxed: the connection keeps no room for the corridor while it waits, and the whole is not moved again.
    fn mcp(self: Arc<Self>, inbound: Inbound) -> impl Future<Output = ::http::Response<Body>> + Send {
        Box::pin(Arc::clone(&self.0).serve(inbound))
    }

    fn office(self: Arc<Self>, request: OfficeRequest) -> impl Future<Output = ::http::Response<Body>> + Send {
        Box::pin(Arc::clone(&self.0).attend(request))
    }

    fn is_ready(&self) -> bool {
        self.0.is_ready()
    }

    fn turned_away(&self, what: Turned, peer: IpAddr) {
        self.0.turn_away(what, peer);
    }
}

impl Keys {
    fn load(config: &Config, state: &Path, sources: &Sources, env: &Env) -> Result<Self, SetupError> {
        use base64::Engine as _;
        if let Some(reference) = &config.store.encryption_key {
            let text = secret(reference, sources)?;
            let bytes = base64::engine::general_purpose::STANDARD.decode(text.expose().trim()).ok();
            let key = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
            let key = key.ok_or_else(|| SetupError::Key("32 random bytes in base64 are wanted".to_owned()))?;
            return Ok(Self { master: Secret::new(key) });
        }
        let path = state.join(KEY_FILE);
        if !path.exists() {
            create_key(&path, &env.bytes::<32>()?).map_err(|cause| SetupError::File { path: path.clone(), cause })?;
        }
        let file = fs::File::open(&path).map_err(|cause| SetupError::File { path: path.clone(), cause })?;
        let mode = file.metadata().map_err(|cause| SetupError::File { path: path.clone(), cause })?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(SetupError::Key(format!("{} has mode {mode:04o}; make it 0600", path.display())));
        }
        let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(33));
        file.take(33).read_to_end(&mut bytes).map_err(|cause| SetupError::File { path: path.clone(), cause })?;
        let key =
            <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| SetupError::Key(format!("{} does not hold 32 bytes", path.display())))?;
        Ok(Self { master: Secret::new(key) })
    }

    async fn store(&self, config: &Config, state: &Path, sources: &Sources, env: &Env) -> Result<Store, SetupError> {
        let url = match (&config.store.target, database(&config.store.target, state)) {
            (_, Some(file)) => StoreUrl::Sqlite(file),
            (StoreTarget::Postgres(url), None) => StoreUrl::Postgres(url.to_string()),
            (_, None) => return Err(SetupError::Other("there is no database".to_owned())),
        };
        let password = config.store.password.as_ref().map(|reference| secret(reference, sources)).transpose()?;
        let sealer = Sealer::new(&self.master, Arc::new(FromEnv(env.clone()))).map_err(|error| SetupError::Key(error.to_string()))?;
        Ok(Store::open(&url, password, config.store.pool.get(), sealer).await?)
    }

    fn recorder(&self, config: &Config, state: &Path, env: &Env, durability: Durability) -> Result<Recorder, SetupError> {
        let digests = match config.audit.arguments {
            KeptArguments::None => Digests::None,
            KeptArguments::Hash => Digests::Keyed(DigestKey::new(&doorward_core::secret::sha256(
                &[b"doorward audit digests v1".as_slice(), self.master.expose().as_slice()].concat(),
            ))),
        };
        let random: [u8; 8] = env.bytes()?;
        let writer = WriterId::new(&format!("w{}", random.iter().map(|byte| format!("{byte:02x}")).collect::<String>()));
        let options = Options {
            path: audit_settings::file(&config.audit, state),
            durability,
            seal_every: SEAL_EVERY,
            writer: writer.map_err(|error| SetupError::Other(error.to_string()))?,
            digests,
        };
        let recorder = Recorder::open_with(options, key::load_all(state)?, env.now())?;
        // Opening synced the file: what it says of its key will not be taken back.
        if let Some(chain) = recorder.public_key() {
            key::settle(state, chain)?;
        }
        Ok(recorder)
    }
}

/// Random bytes for the store.
struct FromEnv(Env);

impl Random for FromEnv {
    fn fill(&self, out: &mut [u8]) -> Result<(), doorward_store::NoRandom> {
        self.0.fill(out).map_err(|_| doorward_store::NoRandom)
    }
}

fn secret(reference: &SecretRef, sources: &Sources) -> Result<Secret<String>, SetupError> {
    let (kind, text) = match reference {
        SecretRef::Env(name) => (Kind::Env, name.clone()),
        SecretRef::File(path) => (Kind::File, path.display().to_string()),
        SecretRef::Cred(name) => (Kind::Cred, name.clone()),
        SecretRef::Plain(value) => return Ok(Secret::new(value.expose().clone())),
    };
    let reference = Reference::new(kind, &text).map_err(|bad| SetupError::Other(bad.to_string()))?;
    Ok(sources.secret(&reference)?)
}

/// Whole under another name first, so that no crash leaves half a key; of two racing makers one wins.
fn create_key(path: &Path, key: &[u8; 32]) -> io::Result<()> {
    // Not by process id, which comes again: the draft of a killed maker must not stand in the way.
    let mut random = [0_u8; 8];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| io::Error::other("no randomness"))?;
    let draft = path.with_extension(format!("{:016x}", u64::from_be_bytes(random)));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let linked = file.write_all(key).and_then(|()| file.sync_all()).and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// The one derived root: links and metadata never come from a request.
fn root(config: &Config, bound: SocketAddr) -> String {
    config.public_url.as_ref().map_or_else(|| format!("http://{bound}"), |url| url.as_str().to_owned())
}
