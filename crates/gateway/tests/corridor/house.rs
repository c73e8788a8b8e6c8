//! A gateway as an installation has it, its users, and the oracles.

use super::wire::{Ask, Reply, find};
use doorward_core::audit::verify;
use doorward_core::config::Config;
use doorward_core::config::load::{Form, Inputs, Text, load};
use doorward_core::credential::google::places::Loopback;
use doorward_core::id::{ClientId, CredentialId, GroupName, ServerName, UserId};
use doorward_core::identity::caller::{Audience, Level, Record};
use doorward_core::policy::rules::{Rules, Source};
use doorward_core::secret::{AccessToken, ApiKey, PlainToken};
use doorward_core::time::Timestamp;
use doorward_gateway::Gateway;
use doorward_gateway::catalogue::{self, Family};
use doorward_gateway::credential::Till;
use doorward_gateway::env::{Clock, Env, SystemClock, SystemRandom};
use doorward_gateway::listen::tls::Tls;
use doorward_gateway::setup::{self, PROVIDER_PATIENCE, Parts, SetupError};
use doorward_gateway::sources::Sources;
use doorward_gateway::sources::env::Variables;
use doorward_gateway::tasks::Tasks;
use doorward_store::{NewApiKey, Pin, Store};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::{BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// A running gateway.
pub(crate) struct House {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) address: SocketAddr,
    /// Its certificates, where it has some.
    pub(crate) tls: Option<Tls>,
    pub(crate) state: Directory,
    pub(crate) config: Config,
    pub(crate) env: Env,
    pub(crate) shift: Arc<Shift>,
    /// A second handle on the same database, as another process has.
    pub(crate) store: Store,
}

/// What a user holds.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) id: CredentialId,
    pub(crate) user: UserId,
    pub(crate) path: &'static str,
}

/// The system clock, moved.
#[derive(Debug, Default)]
pub(crate) struct Shift(AtomicI64);

/// A directory that is gone afterwards.
#[derive(Debug)]
pub(crate) struct Directory(PathBuf);

static NEXT: AtomicU64 = AtomicU64::new(1);
static LOG: OnceLock<Mutex<Vec<u8>>> = OnceLock::new();

pub(crate) const LAPTOP: &str = "laptop";

impl House {
    /// A gateway with this configuration (after `[listen]`) and the built-in rules.
    pub(crate) async fn open(toml: &str) -> Self {
        Self::ruled(toml, LAPTOP).await
    }

    /// A gateway with rules of its own.
    pub(crate) async fn ruled(toml: &str, rules: &str) -> Self {
        Self::over(Directory::new(), toml, rules).await
    }

    /// A gateway over an existing state directory.
    pub(crate) async fn over(state: Directory, toml: &str, rules: &str) -> Self {
        Self::built(state, toml, rules, ("", PROVIDER_PATIENCE)).await
    }

    /// With more under `[listen]`.
    pub(crate) async fn over_listening(toml: &str, listen: &str) -> Self {
        Self::built(Directory::new(), toml, LAPTOP, (listen, PROVIDER_PATIENCE)).await
    }

    /// That waits so long for an identity provider.
    pub(crate) async fn waiting(toml: &str, patience: Duration) -> Self {
        Self::built(Directory::new(), toml, LAPTOP, ("", patience)).await
    }

    pub(crate) async fn built(state: Directory, toml: &str, rules: &str, means: (&str, Duration)) -> Self {
        Self::try_built(state, toml, rules, means).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same, which may be refused.
    pub(crate) async fn try_built(
        state: Directory,
        toml: &str,
        rules: &str,
        (listen, patience): (&str, Duration),
    ) -> Result<Self, SetupError> {
        log();
        let limits = if toml.contains("[limits]") {
            ""
        } else {
            "[limits]\nper_user = \"60000000/m\"\nstreams_per_user = 1000\nsessions_per_user = 1000\n"
        };
        let text = format!("version = 1\nname = \"test\"\n{toml}\n{limits}[listen]\naddress = \"127.0.0.1:0\"\n{listen}\n");
        let file = Text { name: "doorward.toml".to_owned(), form: Form::Toml, bytes: text.into_bytes(), base: state.0.clone() };
        let loopback = Loopback::Allowed;
        let loaded = load(Inputs { files: vec![file], default_name: "test".to_owned(), loopback, ..Inputs::default() });
        let config = loaded.unwrap_or_else(|problems| panic!("{problems:#?}")).config;
        let rules = if rules == LAPTOP {
            Rules::laptop()
        } else {
            Rules::load(&[Source { name: "test.cedar".to_owned(), text: rules.to_owned() }], None)
        };
        let rules = rules.unwrap_or_else(|errors| panic!("{errors:#?}"));
        let shift = Arc::new(Shift::default());
        let env = Env::new(Arc::clone(&shift) as Arc<dyn Clock>, Arc::new(SystemRandom));
        let parts = Parts {
            config: config.clone(),
            state: state.0.clone(),
            rules,
            sources: sources(),
            env: env.clone(),
            provider_patience: patience,
        };
        let gateway = Gateway::build(parts).await?;
        let serving = gateway.listen(&config).await?;
        let store = setup::open_store(&config, &state.0, &sources(), &env).await.expect("a second handle");
        Ok(Self { gateway, address: serving.address, tls: serving.tls, state, config, env, shift, store })
    }

    /// A key of `user` for these servers (none: every server) with these grants, at the path `/k/<server>/mcp` of the first.
    pub(crate) async fn key(&self, user: &str, servers: &[&str], granted: &[&str]) -> Key {
        self.key_until(user, servers, granted, Duration::from_secs(30 * 24 * 3600)).await
    }

    pub(crate) async fn key_until(&self, user: &str, servers: &[&str], granted: &[&str], life: Duration) -> Key {
        let token = PlainToken::<ApiKey>::mint(&self.env.bytes().expect("random"));
        let record = self.record(user, servers, granted, life, None);
        let (id, owner) = (record.credential.clone(), record.user.clone());
        let key = NewApiKey { hash: token.hashed(), record, label: "test".to_owned(), created: self.env.now() };
        self.store.create_api_key(&key).await.expect("a key");
        Key { text: token.reveal().to_owned(), id, user: owner, path: "/k" }
    }

    /// An access token as an authorization server would have put it in.
    pub(crate) async fn token(&self, user: &str, client: &str, servers: &[&str], granted: &[&str], life: Duration) -> Key {
        let token = PlainToken::<AccessToken>::mint(&self.env.bytes().expect("random"));
        let record = self.record(user, servers, granted, life, Some(client));
        self.store.put_access_token(&token.hashed(), &record, self.env.now()).await.expect("a token");
        Key { text: token.reveal().to_owned(), id: record.credential.clone(), user: record.user.clone(), path: "/s" }
    }

    fn record(&self, user: &str, servers: &[&str], granted: &[&str], life: Duration, client: Option<&str>) -> Record {
        let level = if client.is_some() { Level::OAuth } else { Level::StaticKey };
        let id: String = self.env.bytes::<8>().expect("random").iter().map(|byte| format!("{byte:02x}")).collect();
        let only: BTreeSet<ServerName> = servers.iter().map(|name| ServerName::new(name).expect("name")).collect();
        Record {
            credential: CredentialId::new(&id).expect("id"),
            level,
            user: UserId::new("local", user).expect("user"),
            groups: Vec::<GroupName>::new(),
            client: ClientId::new(&client.map_or_else(|| format!("key:{id}"), str::to_owned)).expect("client"),
            agent: None,
            audience: if only.is_empty() { Audience::Every } else { Audience::Only(only) },
            granted: granted.iter().map(|scope| (*scope).to_owned()).collect(),
            expires: self.env.now().after(life),
            revoked: None,
            user_disabled: false,
            bound: None,
            delegation: None,
        }
    }

    /// A key that may do everything.
    pub(crate) async fn full(&self, user: &str) -> Key {
        self.key(user, &[], &["*:read", "*:write", "*:destructive"]).await
    }

    /// Approves what every server offers now, in both eras.
    pub(crate) async fn approve(&self) {
        self.approve_only(|_, _| true).await;
    }

    pub(crate) async fn approve_only(&self, wanted: impl Fn(&str, &str) -> bool) {
        self.approve_having_seen(wanted, &[]).await;
    }

    /// Approves like somebody who was shown these findings.
    pub(crate) async fn approve_having_seen(&self, wanted: impl Fn(&str, &str) -> bool, reviewed: &[&str]) {
        let reviewed: Vec<String> = reviewed.iter().map(|rule| (*rule).to_owned()).collect();
        let tasks = Tasks::new();
        let servers =
            setup::servers(&self.config, &self.state.0, &self.state.0.join("packages"), &sources(), &self.env, &tasks).expect("servers");
        for (upstream, broker) in servers {
            let name = upstream.config.name.clone();
            let mut pins: Vec<Pin> = Vec::new();
            // Where each person has their own account, it is read with the first that there is.
            let owners = self.store.list_connections(None).await.expect("connections");
            let owner = owners.into_iter().find(|connection| connection.server == name).map(|connection| connection.owner);
            let epoch = self.store.epoch().await.expect("epoch");
            let till = Till { store: &self.store, env: &self.env, audit: None, epoch };
            let secret = match &owner {
                Some(owner) => broker.of_person(&till, &name, owner).await.expect("an account"),
                None => broker.of_nobody(&till, &name).await.unwrap_or_default(),
            };
            for family in [Family::Modern, Family::Legacy] {
                let Ok(listing) = catalogue::read(&upstream, &tasks, secret.clone(), None, family).await else { continue };
                for tool in listing.tools().iter().filter(|tool| wanted(name.as_str(), tool.name.as_str())) {
                    if !pins.iter().any(|pin| pin.tool == tool.name && pin.digest == tool.digest) {
                        let (by, at) = ("test".to_owned(), self.env.now());
                        pins.push(Pin {
                            tool: tool.name.clone(),
                            digest: tool.digest,
                            class: tool.claimed,
                            by,
                            at,
                            reviewed: reviewed.clone(),
                        });
                    }
                }
            }
            self.store.approve(&name, &pins).await.expect("approved");
        }
        // The gateway hears of approvals within a second; the tests begin with them.
        self.heard_of(self.store.epoch().await.expect("epoch")).await;
    }

    /// Waits until this process knows the epoch.
    pub(crate) async fn heard_of(&self, epoch: u64) {
        let mut known = self.gateway.epoch().subscribe();
        tokio::time::timeout(Duration::from_secs(10), known.wait_for(|known| *known >= epoch)).await.expect("in time").expect("open");
    }

    pub(crate) async fn ask(&self, ask: Ask) -> Reply {
        let reply = ask.at(self.address).await;
        assert!(!reply.contains("panicked"), "{}", reply.text());
        reply
    }

    /// What the metrics listener would show.
    pub(crate) fn gateway_metrics(&self) -> String {
        self.gateway.metrics().text()
    }

    /// Every record so far.
    pub(crate) fn records(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.state.0.join("audit.jsonl")).expect("the record");
        text.lines().map(|line| serde_json::from_str(line).expect("one record a line")).collect()
    }

    /// Records of a kind with a reason.
    pub(crate) fn recorded(&self, kind: &str, reason: &str) -> Vec<Value> {
        self.records().into_iter().filter(|record| record["kind"] == kind && record["reason"] == reason).collect()
    }

    /// The last record that refused something.
    pub(crate) fn refused(&self) -> Value {
        self.records().into_iter().rfind(|record| record["kind"] == "refused").unwrap_or_default()
    }

    pub(crate) fn last_reason(&self) -> String {
        self.refused()["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// Why the last call that began gave nothing.
    pub(crate) fn last_reason_of_calls(&self) -> String {
        let last = self.records().into_iter().rfind(|record| record["kind"] == "outcome").unwrap_or_default();
        last["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// Stops the gateway; the record must be whole, and nothing that was kept or logged may hold a canary.
    pub(crate) async fn close(self, canaries: &[&str]) -> verify::Summary {
        self.store.close().await;
        self.gateway.stop().await;
        let public = std::fs::read_to_string(self.state.0.join("audit-key.pub")).expect("public key");
        let file = std::fs::File::open(self.state.0.join("audit.jsonl")).expect("the record");
        let summary = verify::verify(BufReader::new(file), &public.parse().expect("a key"), None);
        let summary = summary.unwrap_or_else(|bad| panic!("the record is broken: {bad:?}"));
        assert_eq!(summary.open, 0, "every intent has its outcome");
        self.kept_nothing_of(canaries, &[]);
        summary
    }
}

impl House {
    /// Looks for canaries in every file and in the log, but in the files named.
    pub(crate) fn kept_nothing_of(&self, canaries: &[&str], but: &[&str]) {
        for entry in std::fs::read_dir(&self.state.0).expect("the state directory") {
            let path = entry.expect("entry").path();
            if but.iter().any(|name| path.ends_with(name)) {
                continue;
            }
            let Ok(bytes) = std::fs::read(&path) else { continue };
            for canary in canaries {
                assert!(find(&bytes, canary.as_bytes()).is_none(), "{canary} is in {}", path.display());
            }
        }
        let log = log().lock().unwrap_or_else(PoisonError::into_inner);
        for canary in canaries {
            if let Some(at) = find(&log, canary.as_bytes()) {
                let line = log.get(at.saturating_sub(300)..(at + 100).min(log.len())).unwrap_or_default();
                panic!("{canary} is in the log: {}", String::from_utf8_lossy(line));
            }
        }
    }
}

impl Key {
    pub(crate) fn path(&self, server: &str) -> String {
        format!("{}/{server}/mcp", self.path)
    }
}

/// A server of the configuration: an HTTP upstream with a shared secret.
pub(crate) fn server(name: &str, url: &str, more: &str) -> String {
    format!("[server.{name}]\nurl = \"{url}\"\n{more}\n")
}

/// With a secret in `Authorization`.
pub(crate) fn secretly(name: &str, url: &str, secret: &str) -> String {
    server(name, url, &format!("credential = {{ kind = \"header\", name = \"Authorization\", value = \"plain:Bearer {secret}\" }}"))
}

/// A random word that is nowhere else.
pub(crate) fn canary(of: &str) -> String {
    let random = Env::system().bytes::<12>().expect("random");
    format!("{of}{}", random.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

fn sources() -> Sources {
    Sources::new(Variables::new([]))
}

fn log() -> &'static Mutex<Vec<u8>> {
    LOG.get_or_init(|| {
        let level = if std::env::var_os("DOORWARD_TEST_TRACE").is_some() {
            tracing_subscriber::filter::LevelFilter::TRACE
        } else {
            tracing_subscriber::filter::LevelFilter::DEBUG
        };
        // Another test of this process may have been first.
        let _set = tracing_subscriber::fmt().with_ansi(false).with_max_level(level).with_writer(|| Kept).try_init();
        Mutex::default()
    })
}

struct Kept;

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if let Some(log) = LOG.get() {
            log.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Shift {
    pub(crate) fn by(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

impl Clock for Shift {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(SystemClock.now().as_millis().saturating_add_signed(self.0.load(Ordering::SeqCst)))
    }
}

impl Directory {
    pub(crate) fn new() -> Self {
        let name = format!("doorward-corridor-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::SeqCst));
        let path = std::env::temp_dir().join(name);
        std::fs::DirBuilder::new().mode(0o700).create(&path).expect("a fresh directory");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The same files under another name, for the next process: this one goes with its owner.
    pub(crate) fn taken_over(&self) -> Self {
        let next = Self::new();
        for entry in std::fs::read_dir(&self.0).expect("a listing") {
            let path = entry.expect("entry").path();
            if path.is_file() {
                std::fs::copy(&path, next.0.join(path.file_name().expect("a name"))).expect("copied");
            }
        }
        next
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _left = std::fs::remove_dir_all(&self.0);
    }
}

/// Asks again until it holds, at most this long.
pub(crate) async fn within(limit: Duration, mut holds: impl AsyncFnMut() -> bool) -> bool {
    let end = tokio::time::Instant::now() + limit;
    let mut turn = tokio::time::interval(Duration::from_millis(50));
    loop {
        turn.tick().await;
        if holds().await {
            return true;
        }
        if tokio::time::Instant::now() >= end {
            return false;
        }
    }
}
