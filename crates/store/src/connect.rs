//! From a place to open connections: files with narrow modes, TLS for other hosts, durable commits. Knows no table.

use crate::db::Db;
use crate::error::StoreError;
use doorward_core::secret::Secret;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, SqlitePool};
use std::fmt;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

/// Where the records are.
#[derive(Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// A file on a local disk, for one process.
    Sqlite(PathBuf),
    /// `postgres://user@host/database`, for several replicas. Never with a password in it.
    Postgres(String),
}

/// How long a call waits for a lock or a free connection before it is [`StoreError::Unavailable`].
const PATIENCE: Duration = Duration::from_secs(5);

/// Connections that can migrate; SQLite gets its real readers afterwards, see [`with_readers`].
pub(crate) async fn connected(url: &StoreUrl, password: Option<Secret<String>>, pool: u32) -> Result<Db, StoreError> {
    match url {
        StoreUrl::Sqlite(path) => {
            prepare(path).await?;
            let writer = SqlitePoolOptions::new()
                .max_connections(1)
                .acquire_timeout(PATIENCE)
                .idle_timeout(None)
                .max_lifetime(None)
                .after_release(|connection, _| Box::pin(is_outside(connection)))
                .connect_with(file(path).journal_mode(SqliteJournalMode::Wal))
                .await
                .map_err(|error| StoreError::of(&error))?;
            Ok(Db::Sqlite { readers: writer.clone(), writer })
        }
        StoreUrl::Postgres(text) => {
            let options = server(text, password)?;
            PgPoolOptions::new()
                .max_connections(pool)
                .acquire_timeout(PATIENCE)
                .connect_with(options)
                .await
                .map(Db::Postgres)
                .map_err(|error| StoreError::of(&error))
        }
    }
}

/// False for a connection that still counts a transaction once its roll-back has run. A full disk makes SQLite end a
/// transaction by itself, which the driver does not notice: it would refuse every further one on this connection (FLT-02).
async fn is_outside(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// Puts connections that cannot write beside the writer of SQLite.
pub(crate) fn with_readers(db: Db, url: &StoreUrl, pool: u32) -> Db {
    match (db, url) {
        (Db::Sqlite { writer, .. }, StoreUrl::Sqlite(path)) => Db::Sqlite { readers: readers(path, pool), writer },
        (other, _) => other,
    }
}

fn readers(path: &Path, pool: u32) -> SqlitePool {
    SqlitePoolOptions::new()
        .max_connections(pool)
        .acquire_timeout(PATIENCE)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_lazy_with(file(path).pragma("query_only", "ON"))
}

/// `synchronous=FULL`: with less, a power loss takes the last commits, and what was used once could be used again (I3).
fn file(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(PATIENCE)
        .pragma("trusted_schema", "OFF")
        .pragma("secure_delete", "ON")
        .disable_statement_logging()
}

/// Creates the directory (0700) and the file (0600); an existing file loses the rights of group and others.
///
/// SQLite gives its side files the mode of the main file.
async fn prepare(path: &Path) -> Result<(), StoreError> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        let mut directory = tokio::fs::DirBuilder::new();
        directory.recursive(true).mode(0o700);
        directory.create(parent).await.map_err(|_| StoreError::Setup("the directory of the database file cannot be created"))?;
    }
    let file = tokio::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .await
        .map_err(|_| StoreError::Setup("the database file cannot be opened for writing"))?;
    let known = file.metadata().await.map_err(|_| StoreError::Setup("the database file cannot be examined"))?;
    if !known.is_file() {
        return Err(StoreError::Setup("the database is not a regular file"));
    }
    let mut mode = known.permissions();
    if mode.mode() & 0o077 != 0 {
        tracing::warn!("the database file was readable by others; its mode is now 0600");
        mode.set_mode(0o600);
        file.set_permissions(mode).await.map_err(|_| StoreError::Setup("the mode of the database file cannot be made 0600"))?;
    }
    Ok(())
}

/// Durable commits, bounded waits, and a verified TLS connection to every other host.
fn server(text: &str, password: Option<Secret<String>>) -> Result<PgConnectOptions, StoreError> {
    if holds_password(text) {
        return Err(StoreError::Setup("the URL of the database holds a password; give it apart"));
    }
    let mut options = PgConnectOptions::from_str(text).map_err(|_| StoreError::Setup("the URL of the database cannot be read"))?;
    if is_remote(&options) && !matches!(options.get_ssl_mode(), PgSslMode::VerifyFull) {
        if text.contains("sslmode=") {
            return Err(StoreError::Setup("a database on another host needs sslmode=verify-full"));
        }
        options = options.ssl_mode(PgSslMode::VerifyFull);
    }
    if let Some(password) = password {
        options = options.password(password.expose());
    }
    Ok(options
        .application_name("doorward")
        .options([
            ("synchronous_commit", "on"),
            ("statement_timeout", "10s"),
            ("lock_timeout", "5s"),
            ("idle_in_transaction_session_timeout", "10s"),
        ])
        .disable_statement_logging())
}

fn is_remote(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let local = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    options.get_socket().is_none() && !host.starts_with('/') && !local
}

/// True for `user:password@` and for a `password` parameter.
fn holds_password(text: &str) -> bool {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let (authority, query) = rest.split_once(['/', '?']).map_or((rest, ""), |(authority, query)| (authority, query));
    let in_userinfo = authority.rsplit_once('@').is_some_and(|(userinfo, _)| userinfo.contains(':'));
    in_userinfo || query.split(['?', '&']).any(|part| part.starts_with("password="))
}

/// The file, or `postgres` alone: a URL may name more than a log should hold.
impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "Sqlite({path:?})"),
            Self::Postgres(_) => f.write_str("Postgres(..)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> bool {
        matches!(server(text, None), Err(StoreError::Setup(_)))
    }

    #[test]
    fn passwords_in_urls_are_refused() {
        for bad in
            ["postgres://u:p@localhost/db", "postgres://u:@h", "postgres://u@localhost/db?password=p", "postgres://h/?a=b&password=p"]
        {
            assert!(holds_password(bad) && refused(bad), "{bad}");
        }
        for good in
            ["postgres://u@localhost/db", "postgres://u@localhost:5432/db", "postgres://[::1]:5432/db", "postgres:///db?host=/run/x"]
        {
            assert!(!holds_password(good) && !refused(good), "{good}");
        }
    }

    #[tokio::test]
    async fn flt_02_a_full_database_takes_transactions_again_once_there_is_room() {
        let directory = std::env::temp_dir().join(format!("doorward-full-{}", std::process::id()));
        let url = StoreUrl::Sqlite(directory.join("full.db"));
        let db = connected(&url, None, 1).await.expect("opened");
        db.execute("CREATE TABLE heap (lump BLOB)", &[]).await.expect("table");
        // As a full disk: no page more than there are. The limit belongs to the connection, as the failed transaction does.
        db.execute("PRAGMA max_page_count = 1", &[]).await.expect("limit");
        let mut tx = db.begin().await.expect("begun");
        let lump = vec![7; 1 << 20];
        let refused = tx.execute("INSERT INTO heap VALUES (?1)", &[crate::db::Value::bytes(&lump)]).await;
        assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
        drop(tx);
        let mut tx = db.begin().await.expect("a transaction after the failed one");
        tx.execute("INSERT INTO heap VALUES (?1)", &[crate::db::Value::bytes(&lump)]).await.expect("room");
        tx.commit().await.expect("kept");
        db.close().await;
        std::fs::remove_dir_all(directory).expect("removed");
    }

    #[test]
    fn another_host_is_verified_or_refused() {
        let plain = server("postgres://u@db.example/x", None).expect("options");
        assert!(matches!(plain.get_ssl_mode(), PgSslMode::VerifyFull));
        for weak in ["disable", "prefer", "require", "verify-ca"] {
            assert!(refused(&format!("postgres://u@db.example/x?sslmode={weak}")), "{weak}");
        }
        assert!(!refused("postgres://u@db.example/x?sslmode=verify-full"));
        assert!(!refused("postgres://u@127.0.0.1/x?sslmode=disable"));
    }

    #[test]
    fn debug_shows_no_url() {
        assert_eq!(format!("{:?}", StoreUrl::Postgres(String::from("postgres://u@h/db"))), "Postgres(..)");
    }
}
