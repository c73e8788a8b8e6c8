//! Connections, transactions, parameters and columns of either database. Knows no table and no record.

use crate::dialect::Dialect;
use crate::error::StoreError;
use futures_core::Stream;
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, ColumnIndex, Decode, PgConnection, PgPool, Postgres, Row as _, Sqlite, SqlitePool, Transaction, Type};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::Handle;

/// The pools of one open store.
#[derive(Debug)]
pub(crate) enum Db {
    /// Readers cannot write; the writer is one connection.
    Sqlite { readers: SqlitePool, writer: SqlitePool },
    /// One pool for all.
    Postgres(PgPool),
}

/// A transaction that writes. Dropped without [`Tx::commit`], it leaves nothing behind.
#[derive(Debug)]
pub(crate) enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Loan),
}

/// A parameter. Its type is fixed here, so that a NULL has one as well.
#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    Int(Option<i64>),
    Text(Option<&'a str>),
    Bytes(Option<&'a [u8]>),
}

/// A row as it came.
pub(crate) enum Row {
    Sqlite(sqlx::sqlite::SqliteRow),
    Postgres(sqlx::postgres::PgRow),
}

/// Rows as they come.
type Rows<'a> = BoxStream<'a, Result<Row, sqlx::Error>>;

/// A stream of the driver's rows as rows of ours.
struct Mapped<'a, R>(BoxStream<'a, Result<R, sqlx::Error>>, fn(R) -> Row);

type BoxStream<'a, T> = Pin<Box<dyn Stream<Item = T> + Send + 'a>>;

/// A connection of the pool for one operation, or for one transaction. It goes back by itself.
///
/// A server that fell silent sends neither an answer nor an error (FLT-03). So nobody waits for it longer than [`DEADLINE`],
/// and a connection that does not answer when it is given back is closed; the pool alone would wait for it for ever and
/// count it as taken meanwhile.
#[derive(Debug)]
pub(crate) struct Loan {
    /// Until it goes back.
    connection: Option<PoolConnection<Postgres>>,
    in_transaction: bool,
}

const DEADLINE: Duration = Duration::from_secs(10);
/// For a connection that is given back.
const FAREWELL: Duration = Duration::from_secs(5);

/// Binds parameters in order.
macro_rules! bound {
    ($db:ty, $sql:expr, $values:expr) => {{
        let mut query = sqlx::query::<$db>($sql);
        for value in $values {
            query = match *value {
                Value::Int(int) => query.bind(int),
                Value::Text(text) => query.bind(text.map(str::to_owned)),
                Value::Bytes(bytes) => query.bind(bytes.map(<[u8]>::to_vec)),
            };
        }
        query
    }};
}

// === impl Db ===

// What a statement needs while it runs is boxed: callers, who mostly find the answer in memory, keep no room for it.
impl Db {
    pub(crate) const fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite { .. } => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Rows of a statement that only reads.
    pub(crate) async fn rows(&self, sql: &'static str, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        match self {
            Self::Sqlite { readers, .. } => {
                Box::pin(bound!(Sqlite, sql, values).fetch_all(readers)).await.map(|rows| rows.into_iter().map(Row::Sqlite).collect())
            }
            Self::Postgres(pool) => in_time(bound!(Postgres, sql, values).fetch_all(Loan::of(pool).await?.line()?))
                .await
                .map(|rows| rows.into_iter().map(Row::Postgres).collect()),
        }
        .map_err(|error| StoreError::of(&error))
    }

    /// The same for what may be many rows: each is read and dropped as it comes. All at once they take many times what is read of them,
    /// and each connection's thread keeps that memory (FLT-06).
    pub(crate) async fn each<T>(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let (mut all, mut loan) = (Vec::new(), None);
        let mut rows: Rows<'_> = match self {
            Self::Sqlite { readers, .. } => Box::pin(Mapped(bound!(Sqlite, sql, values).fetch(readers), Row::Sqlite)),
            Self::Postgres(pool) => {
                let line = loan.insert(Loan::of(pool).await?).line()?;
                Box::pin(Mapped(bound!(Postgres, sql, values).fetch(line), Row::Postgres))
            }
        };
        while let Some(row) =
            in_time(async { poll_fn(|cx| rows.as_mut().poll_next(cx)).await.transpose() }).await.map_err(|error| StoreError::of(&error))?
        {
            all.push(read(&row)?);
        }
        Ok(all)
    }

    /// The only row, or none, of a statement that only reads.
    pub(crate) async fn row(&self, sql: &'static str, values: &[Value<'_>]) -> Result<Option<Row>, StoreError> {
        match self {
            Self::Sqlite { readers, .. } => {
                Box::pin(bound!(Sqlite, sql, values).fetch_optional(readers)).await.map(|row| row.map(Row::Sqlite))
            }
            Self::Postgres(pool) => {
                in_time(bound!(Postgres, sql, values).fetch_optional(Loan::of(pool).await?.line()?)).await.map(|row| row.map(Row::Postgres))
            }
        }
        .map_err(|error| StoreError::of(&error))
    }

    /// One statement that writes, on its own. Gives the number of rows it changed.
    pub(crate) async fn execute(&self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite { writer, .. } => Box::pin(bound!(Sqlite, sql, values).execute(writer)).await.map(|done| done.rows_affected()),
            Self::Postgres(pool) => {
                in_time(bound!(Postgres, sql, values).execute(Loan::of(pool).await?.line()?)).await.map(|done| done.rows_affected())
            }
        }
        .map_err(|error| StoreError::of(&error))
    }

    /// Begins a transaction that writes.
    pub(crate) async fn begin(&self) -> Result<Tx, StoreError> {
        match self {
            Self::Sqlite { writer, .. } => Box::pin(writer.begin_with("BEGIN IMMEDIATE")).await.map(Tx::Sqlite),
            Self::Postgres(pool) => return Loan::of(pool).await?.begun().await.map(Tx::Postgres),
        }
        .map_err(|error| StoreError::of(&error))
    }

    /// Closes every connection and waits until they are closed.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { readers, writer } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

// === impl Mapped ===

impl<R> Stream for Mapped<'_, R> {
    type Item = Result<Row, sqlx::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let row = self.1;
        self.0.as_mut().poll_next(cx).map(|next| next.map(|came| came.map(row)))
    }
}

// === impl Loan ===

impl Loan {
    async fn of(pool: &PgPool) -> Result<Self, StoreError> {
        let connection = Box::pin(pool.acquire()).await.map_err(|error| StoreError::of(&error))?;
        Ok(Self { connection: Some(connection), in_transaction: false })
    }

    fn line(&mut self) -> Result<&mut PgConnection, StoreError> {
        self.connection.as_deref_mut().ok_or_else(|| StoreError::of(&sqlx::Error::PoolClosed))
    }

    async fn begun(mut self) -> Result<Self, StoreError> {
        // Before the statement: one that was cancelled on its way may have arrived.
        self.in_transaction = true;
        let begin = sqlx::raw_sql("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE");
        in_time(begin.execute(self.line()?)).await.map_err(|error| StoreError::of(&error))?;
        Ok(self)
    }

    async fn commit(mut self) -> Result<(), StoreError> {
        in_time(sqlx::raw_sql("COMMIT").execute(self.line()?)).await.map_err(|error| StoreError::of(&error))?;
        self.in_transaction = false;
        Ok(())
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let (Some(mut connection), Ok(_runtime)) = (self.connection.take(), Handle::try_current()) else { return };
        let is_open = self.in_transaction;
        // What is not back in time is closed, and what was not committed is taken back with it.
        connection.close_on_drop();
        tokio::spawn(tokio::time::timeout(FAREWELL, async move {
            if !is_open || sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await.is_ok() {
                connection.return_to_pool().await;
            }
        }));
    }
}

async fn in_time<T>(act: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    tokio::time::timeout(DEADLINE, Box::pin(act)).await.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
}

// === impl Tx ===

impl Tx {
    const fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// The only row, or none.
    pub(crate) async fn row(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<Option<Row>, StoreError> {
        match self {
            Self::Sqlite(tx) => Box::pin(bound!(Sqlite, sql, values).fetch_optional(&mut **tx)).await.map(|row| row.map(Row::Sqlite)),
            Self::Postgres(tx) => in_time(bound!(Postgres, sql, values).fetch_optional(tx.line()?)).await.map(|row| row.map(Row::Postgres)),
        }
        .map_err(|error| StoreError::of(&error))
    }

    /// All rows.
    pub(crate) async fn rows(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        match self {
            Self::Sqlite(tx) => {
                Box::pin(bound!(Sqlite, sql, values).fetch_all(&mut **tx)).await.map(|rows| rows.into_iter().map(Row::Sqlite).collect())
            }
            Self::Postgres(tx) => {
                in_time(bound!(Postgres, sql, values).fetch_all(tx.line()?)).await.map(|rows| rows.into_iter().map(Row::Postgres).collect())
            }
        }
        .map_err(|error| StoreError::of(&error))
    }

    /// Number of rows changed.
    pub(crate) async fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(tx) => Box::pin(bound!(Sqlite, sql, values).execute(&mut **tx)).await.map(|done| done.rows_affected()),
            Self::Postgres(tx) => in_time(bound!(Postgres, sql, values).execute(tx.line()?)).await.map(|done| done.rows_affected()),
        }
        .map_err(|error| StoreError::of(&error))
    }

    /// Several statements of a migration.
    pub(crate) async fn script(&mut self, text: String) -> Result<(), StoreError> {
        let script = sqlx::raw_sql(AssertSqlSafe(text));
        match self {
            Self::Sqlite(tx) => script.execute(&mut **tx).await.map(|_| ()),
            Self::Postgres(tx) => script.execute(tx.line()?).await.map(|_| ()),
        }
        .map_err(|error| StoreError::of(&error))
    }

    /// Waits until no other transaction holds the lock of this number, then holds it to the end.
    pub(crate) async fn lock(&mut self, number: i64) -> Result<(), StoreError> {
        match self.dialect().lock() {
            Some(sql) => self.row(sql, &[Value::int(number)]).await.map(|_| ()),
            None => Ok(()),
        }
    }

    /// Makes it last.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(tx) => Box::pin(tx.commit()).await,
            Self::Postgres(tx) => return tx.commit().await,
        }
        .map_err(|error| StoreError::of(&error))
    }
}

// === impl Value ===

impl<'a> Value<'a> {
    pub(crate) const fn int(int: i64) -> Self {
        Self::Int(Some(int))
    }

    pub(crate) const fn text(text: &'a str) -> Self {
        Self::Text(Some(text))
    }

    pub(crate) const fn bytes(bytes: &'a [u8]) -> Self {
        Self::Bytes(Some(bytes))
    }
}

// === impl Row ===

impl Row {
    /// A column of an exact type; NULL only as an `Option`.
    pub(crate) fn column<T>(&self, name: &'static str) -> Result<T, StoreError>
    where
        T: for<'r> Decode<'r, Sqlite> + Type<Sqlite> + for<'r> Decode<'r, Postgres> + Type<Postgres>,
        &'static str: ColumnIndex<sqlx::sqlite::SqliteRow> + ColumnIndex<sqlx::postgres::PgRow>,
    {
        match self {
            Self::Sqlite(row) => row.try_get(name),
            Self::Postgres(row) => row.try_get(name),
        }
        .map_err(|error| StoreError::of(&error))
    }
}
