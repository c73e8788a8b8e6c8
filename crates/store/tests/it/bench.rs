//! The test vocabulary: a fresh database, two replicas on it, and raw statements beside them.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use doorward_core::id::{ClientId, CredentialId, GroupName, ServerName, ToolName, UserId};
use doorward_core::identity::caller::{Audience, Level, Record};
use doorward_core::mcp::version::Version;
use doorward_core::secret::{ApiKey, PlainToken, Secret, sha256};
use doorward_core::session::{Lifetimes, Stored, UpstreamSessionId};
use doorward_core::time::Timestamp;
use doorward_store::{NewApiKey, NewTask, NoRandom, Random, Sealer, SessionCaps, Store, StoreError, StoreUrl};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgPool, SqliteConnection};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Barrier;

/// A database of its own, with two replicas of the gateway's store open on it.
pub(crate) struct Bench {
    pub(crate) a: Store,
    pub(crate) b: Store,
    pub(crate) url: StoreUrl,
    #[expect(dead_code, reason = "kept until the test ends")]
    directory: Directory,
    admin: Option<(PgPool, PgPool, String)>,
}

/// A directory that goes with the test.
pub(crate) struct Directory(PathBuf);

/// Randomness of the operating system.
struct System(SystemRandom);

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
pub(crate) const LIVES: Lifetimes = Lifetimes { idle: Duration::from_secs(3_600), absolute: Duration::from_secs(86_400) };
/// Sessions of one user; everybody may have more than any test opens.
pub(crate) const fn of_one(per_user: u32) -> SessionCaps {
    SessionCaps { per_user, of_all: 100_000 }
}

pub(crate) const RACERS: usize = 50;

static NEXT: AtomicU64 = AtomicU64::new(0);

impl Bench {
    pub(crate) async fn sqlite() -> Self {
        let directory = Directory::new();
        let url = StoreUrl::Sqlite(directory.path().join("data/doorward.db"));
        let (a, b) = (open(&url, 1).await.expect("first"), open(&url, 1).await.expect("second"));
        Self { a, b, url, directory, admin: None }
    }

    /// `None` without a server.
    pub(crate) async fn postgres() -> Option<Self> {
        let server = std::env::var("TEST_POSTGRES_DOORWARD").ok()?;
        let admin = PgPoolOptions::new().max_connections(1).connect(&server).await.expect("test server");
        let name = unique();
        sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&admin).await.expect("database");
        let (head, query) = server.split_once('?').map_or((server.as_str(), None), |(head, query)| (head, Some(query)));
        let (head, _) = head.rsplit_once('/').expect("URL with a database");
        let text = format!("{head}/{name}{}", query.map_or(String::new(), |query| format!("?{query}")));
        let raw = PgPoolOptions::new().max_connections(1).connect(&text).await.expect("raw connection");
        let url = StoreUrl::Postgres(text);
        let (a, b) = (open(&url, 1).await.expect("first"), open(&url, 1).await.expect("second"));
        Some(Self { a, b, url, directory: Directory::new(), admin: Some((admin, raw, name)) })
    }

    /// At the end of a test that passed; a failed one leaves its database to be looked at.
    pub(crate) async fn drop_database(self) {
        self.a.close().await;
        self.b.close().await;
        if let Some((admin, raw, name)) = &self.admin {
            raw.close().await;
            sqlx::query(AssertSqlSafe(format!("DROP DATABASE {name} WITH (FORCE)"))).execute(admin).await.expect("dropped");
        }
    }

    /// 32 bytes out of a number, as each database writes them.
    pub(crate) fn digest_of(&self, number: &str) -> String {
        match self.url {
            StoreUrl::Sqlite(_) => format!("CAST(printf('%032d', {number}) AS BLOB)"),
            StoreUrl::Postgres(_) => format!("convert_to(lpad(({number})::text, 32, '0'), 'UTF8')"),
        }
    }

    /// A statement past the store, as somebody with access to the database would send it. Gives the rows changed.
    pub(crate) async fn raw(&self, sql: &str) -> u64 {
        let sql = AssertSqlSafe(sql.to_owned());
        match (&self.url, &self.admin) {
            (StoreUrl::Sqlite(path), _) => {
                let options = SqliteConnectOptions::new().filename(path).busy_timeout(Duration::from_secs(5)).foreign_keys(false);
                let mut connection = SqliteConnection::connect_with(&options).await.expect("raw connection");
                let done = sqlx::query(sql).execute(&mut connection).await.expect("raw statement").rows_affected();
                connection.close().await.expect("closed");
                done
            }
            (StoreUrl::Postgres(_), Some((_, raw, _))) => sqlx::query(sql).execute(raw).await.expect("raw statement").rows_affected(),
            (StoreUrl::Postgres(_), None) => panic!("no server"),
        }
    }

    /// Everything that the database keeps, as bytes: its files, or every row of every table as text and each column's bytes.
    pub(crate) async fn everything(&self) -> Vec<u8> {
        match (&self.url, &self.admin) {
            (StoreUrl::Sqlite(path), _) => {
                let mut all = Vec::new();
                for entry in std::fs::read_dir(path.parent().expect("directory")).expect("listing") {
                    all.extend(std::fs::read(entry.expect("entry").path()).expect("file"));
                }
                all
            }
            (StoreUrl::Postgres(_), Some((_, raw, _))) => {
                let mut all = Vec::new();
                for (table, sealed) in [
                    ("vault", "sealed"),
                    ("tasks", "gateway_id"),
                    ("tasks", "upstream_id"),
                    ("sessions", "upstream_id"),
                    ("api_keys", "hash"),
                    ("access_tokens", "hash"),
                ] {
                    let sql = format!("SELECT t::text AS row, {sealed} AS bytes FROM {table} t");
                    let rows: Vec<(String, Option<Vec<u8>>)> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(raw).await.expect("rows");
                    for (text, bytes) in rows {
                        all.extend(text.into_bytes());
                        all.extend(bytes.unwrap_or_default());
                    }
                }
                all
            }
            (StoreUrl::Postgres(_), None) => panic!("no server"),
        }
    }

    /// Fifty at once on both replicas; gives the answers in no order.
    pub(crate) async fn race<T, F, Act>(&self, act: Act) -> Vec<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
        Act: Fn(Store, usize) -> F,
    {
        let start = Arc::new(Barrier::new(RACERS));
        let racers: Vec<_> = (0..RACERS)
            .map(|n| {
                let store = if n % 2 == 0 { self.a.clone() } else { self.b.clone() };
                let (start, run) = (Arc::clone(&start), act(store, n));
                tokio::spawn(async move {
                    start.wait().await;
                    run.await
                })
            })
            .collect();
        let mut answers = Vec::with_capacity(RACERS);
        for racer in racers {
            answers.push(racer.await.expect("racer"));
        }
        answers
    }
}

impl Directory {
    fn new() -> Self {
        let path = std::env::temp_dir().join(unique());
        std::fs::create_dir_all(&path).expect("temporary directory");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Random for System {
    fn fill(&self, out: &mut [u8]) -> Result<(), NoRandom> {
        self.0.fill(out).map_err(|_| NoRandom)
    }
}

/// A name that no other test has.
fn unique() -> String {
    format!("doorward_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Opens under the key that is this byte 32 times.
pub(crate) async fn open(url: &StoreUrl, key: u8) -> Result<Store, StoreError> {
    let sealer = Sealer::new(&Secret::new([key; 32]), Arc::new(System(SystemRandom::new()))).expect("sealer");
    Store::open(url, None, 4, sealer).await
}

pub(crate) fn later(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

pub(crate) fn user(subject: &str) -> UserId {
    UserId::new("https://idp.example", subject).expect("user")
}

pub(crate) fn server(name: &str) -> ServerName {
    ServerName::new(name).expect("server")
}

pub(crate) fn client(name: &str) -> ClientId {
    ClientId::new(name).expect("client")
}

pub(crate) fn credential(name: &str) -> CredentialId {
    CredentialId::new(name).expect("credential")
}

pub(crate) fn group(name: &str) -> GroupName {
    GroupName::new(name).expect("group")
}

pub(crate) fn upstream(text: &str) -> UpstreamSessionId {
    UpstreamSessionId::new(text).expect("upstream session id")
}

/// A record of a fresh key of this user.
pub(crate) fn record(id: &str, subject: &str) -> Record {
    Record {
        credential: credential(id),
        level: Level::StaticKey,
        user: user(subject),
        groups: vec![group("staff")],
        client: client(&format!("key:{id}")),
        agent: None,
        audience: Audience::Only(BTreeSet::from([server("alpha"), server("beta")])),
        granted: BTreeSet::from([String::from("alpha:read"), String::from("*:write")]),
        expires: later(1_000),
        revoked: None,
        user_disabled: false,
        bound: None,
        delegation: None,
    }
}

/// The key whose 32 random bytes are all this one.
pub(crate) fn plain_key(byte: u8) -> PlainToken<ApiKey> {
    PlainToken::mint(&[byte; 32])
}

pub(crate) fn new_key(byte: u8, id: &str, subject: &str) -> NewApiKey {
    NewApiKey { hash: plain_key(byte).hashed(), record: record(id, subject), label: format!("label of {id}"), created: NOW }
}

/// A session of this user on `alpha`, found under the digest of its text.
pub(crate) fn session(text: &str, subject: &str) -> Stored {
    Stored {
        digest: sha256(text.as_bytes()),
        user: user(subject),
        client: client("client"),
        credential: credential("grant"),
        server: server("alpha"),
        version: Version::V2025_11_25,
        capabilities: String::from("{\"roots\":{}}"),
        upstream_id: Some(upstream("upstream-session")),
        upstream_version: Version::V2024_11_05,
        log_level: None,
        created: NOW,
        used: NOW,
    }
}

/// The session as its owner looks it up.
pub(crate) async fn find(store: &Store, of: &Stored) -> Result<Option<Stored>, StoreError> {
    store.session(&of.digest, &of.user, &of.client, &of.credential, &of.server).await
}

pub(crate) fn task(text: &str, subject: &str) -> NewTask {
    NewTask {
        digest: sha256(text.as_bytes()),
        gateway_id: text.to_owned(),
        user: user(subject),
        client: client("client"),
        credential: credential("grant"),
        server: server("alpha"),
        tool: ToolName::new("transcode").expect("a name"),
        upstream_id: format!("upstream of {text}"),
        created: NOW,
        expires: Some(later(100)),
    }
}

pub(crate) fn secret(text: &str) -> Secret<Vec<u8>> {
    Secret::new(text.as_bytes().to_vec())
}

/// True for a damaged row of exactly this table and column.
pub(crate) fn damaged<T>(answer: &Result<T, StoreError>, in_table: &str, in_column: &str) -> bool {
    matches!(answer, Err(StoreError::Integrity { table, column, .. }) if *table == in_table && *column == in_column)
}
