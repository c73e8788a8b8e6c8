//! The revocation epoch (I8): a number that every replica reads to learn that something was taken away. Knows not what.

use crate::Store;
use crate::db::{Tx, Value};
use crate::error::StoreError;
use crate::rows::{Reading, millis, plain};
use doorward_core::time::Timestamp;

// === impl Store ===

impl Store {
    /// The revocation epoch: one indexed read. Whoever reads `n` here and a record afterwards sees every revocation up to `n`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: the caller then knows nothing about revocations.
    pub async fn epoch(&self) -> Result<u64, StoreError> {
        let row = self.db().row("SELECT value FROM counters WHERE name = 'epoch'", &[]).await?;
        let row = row.ok_or_else(|| lost("epoch"))?;
        let reading = Reading { row: &row, table: "counters", id: String::from("epoch") };
        u64::try_from(reading.int("value")?).map_err(|_| reading.broken("value"))
    }

    /// Raises the epoch by one and gives the new one. `reason` is a short fixed text for people, 1 to 255 bytes.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for an unfit reason or time, [`StoreError::Unavailable`].
    pub async fn raise_epoch(&self, reason: &str, now: Timestamp) -> Result<u64, StoreError> {
        plain(reason, "reason")?;
        let mut tx = self.db().begin().await?;
        let epoch = raise(&mut tx, reason, now).await?;
        tx.commit().await?;
        u64::try_from(epoch).map_err(|_| lost("epoch"))
    }
}

/// Raises the epoch inside the transaction that takes something away: both are seen at once.
pub(crate) async fn raise(tx: &mut Tx, reason: &str, now: Timestamp) -> Result<i64, StoreError> {
    next(tx, "epoch", reason, now).await
}

/// The next number of a counter.
pub(crate) async fn next(tx: &mut Tx, name: &'static str, reason: &str, now: Timestamp) -> Result<i64, StoreError> {
    let sql = "UPDATE counters SET value = value + 1, reason = $2, raised = $3 WHERE name = $1 RETURNING value";
    let values = [Value::text(name), Value::text(reason), Value::int(millis(now)?)];
    tx.row(sql, &values).await?.ok_or_else(|| lost(name))?.column("value")
}

fn lost(name: &str) -> StoreError {
    StoreError::Integrity { table: "counters", column: "name", id: name.to_owned() }
}
