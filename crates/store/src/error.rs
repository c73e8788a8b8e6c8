//! What can go wrong with the records. Owns [`StoreError`]; knows nothing of HTTP, audit or who asked.
//!
//! No variant repeats a value of a row, a parameter or a message of the database: those may hold what must not be printed.

use std::fmt;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, is full, or did not answer in time. The same request may succeed later.
    #[error("the store is unavailable ({cause})")]
    Unavailable {
        /// What the database or the operating system said, as a code or a kind.
        cause: Cause,
    },
    /// A row that cannot exist, or a sealed column that does not open in its place. Never repaired, never guessed.
    #[error("damaged record: table {table}, column {column}, row {id}")]
    Integrity {
        /// The table.
        table: &'static str,
        /// The column that is impossible.
        column: &'static str,
        /// The row: its own id, or the first 8 bytes of its digest in hex.
        id: String,
    },
    /// The database refused a statement for a reason that repeating will not cure, or found itself damaged.
    #[error("the database refused a statement ({cause})")]
    Rejected {
        /// The code of the database.
        cause: Cause,
    },
    /// Something with this id or digest exists already.
    #[error("a record with this identity exists already")]
    Conflict,
    /// The store was sealed under another key-encryption key. Nothing was read or changed.
    #[error("the store is sealed under another key")]
    WrongKey,
    /// The request itself was refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The store cannot be opened as configured.
    #[error("the store cannot be opened: {0}")]
    Setup(&'static str),
    /// The database has migrations that this program does not know, or other ones under the same number.
    #[error("the schema of the store is not one of this release (migration {version})")]
    Schema {
        /// The first migration that differs.
        version: i64,
    },
    /// The random source gave nothing: nothing was sealed.
    #[error(transparent)]
    NoRandom(#[from] crate::seal::NoRandom),
}

/// Why a request was refused without touching a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The owner, or the whole table, is at its cap.
    #[error("too many of these")]
    TooMany,
    /// The rows of everybody together are at their cap, the owner's own are not.
    #[error("too many of everybody")]
    Full,
    /// A value that this table does not take; the text names the field, never the value.
    #[error("not storable: {0}")]
    Unfit(&'static str),
}

/// A kind of failure or the code of a database, without any text that could repeat a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause(String);

// === impl StoreError ===

impl StoreError {
    /// Whether the database ended this transaction because it and another one waited for each other, or for one that was quicker
    /// (SQLSTATE class 40): the same again may succeed at once.
    #[must_use]
    pub fn is_of_two_that_waited(&self) -> bool {
        let Self::Unavailable { cause } = self else { return false };
        // Five characters are a SQLSTATE; what SQLite says is a shorter number.
        cause.0.strip_prefix("code ").is_some_and(|code| code.len() == 5 && code.starts_with("40"))
    }

    pub(crate) fn of(error: &sqlx::Error) -> Self {
        let cause = Cause::of(error);
        match error {
            sqlx::Error::Database(database) => match database.kind() {
                sqlx::error::ErrorKind::UniqueViolation => Self::Conflict,
                _ if crate::dialect::is_passing(database.code().as_deref()) => Self::Unavailable { cause },
                _ => Self::Rejected { cause },
            },
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Protocol(_)
            | sqlx::Error::BeginFailed => Self::Unavailable { cause },
            _ => Self::Rejected { cause },
        }
    }
}

// === impl Cause ===

impl Cause {
    fn of(error: &sqlx::Error) -> Self {
        Self(match error {
            sqlx::Error::Database(database) => format!("code {}", database.code().as_deref().unwrap_or("unknown")),
            sqlx::Error::Io(io) => io.kind().to_string(),
            sqlx::Error::Tls(_) => String::from("TLS"),
            sqlx::Error::PoolTimedOut => String::from("no free connection in time"),
            sqlx::Error::PoolClosed => String::from("closed"),
            sqlx::Error::WorkerCrashed => String::from("worker ended"),
            sqlx::Error::Protocol(_) => String::from("protocol"),
            sqlx::Error::Configuration(_) => String::from("configuration"),
            sqlx::Error::ColumnNotFound(_) => String::from("missing column"),
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => String::from("column type"),
            _ => String::from("driver"),
        })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A value that no version of this program writes.
pub(crate) fn damaged(table: &'static str, column: &'static str) -> StoreError {
    StoreError::Integrity { table, column, id: String::new() }
}
