//! Budgets that all replicas share (POL-07): how much of a limit was taken within its present window. Knows not whose they are.

use crate::Store;
use crate::db::{Row, Tx, Value};
use crate::error::StoreError;
use crate::rows::{Reading, millis};
use doorward_core::time::Timestamp;
use std::time::Duration;

/// So much within so much time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// How many in one window.
    pub most: u32,
    /// How long a window is. It begins with the first that is taken of it; the next begins with the first one afterwards.
    pub within: Duration,
}

/// What was given of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given {
    /// How many; none when all of this window are taken.
    pub count: u32,
    /// When the window ends, and with it what was given.
    pub ends: Timestamp,
}

/// A window that ends so much later than one that began now is one of another limit, or of a clock that was wrong. What clocks
/// may disagree lies below (FLT-07).
const FAR: Duration = Duration::from_secs(60);

// === impl Store ===

impl Store {
    /// Takes up to `count` of a budget, as many as are left of it.
    ///
    /// All replicas together never take more than `most` in one window; from the end of one into the next, up to twice as many
    /// come within the length of one, as with every fixed window. The clocks of those who ask must agree within a minute.
    ///
    /// # Errors
    /// [`StoreError`]: nothing is known of the budget then.
    pub async fn take_budget(&self, id: &[u8; 32], budget: Budget, count: u32, now: Timestamp) -> Result<Given, StoreError> {
        let mut tx = self.db().begin().await?;
        let mut given = Given { count: count.min(budget.most), ends: now };
        if let Some(row) = take(&mut tx, id, budget, given.count, now).await? {
            given.ends = reading(&row).instant("ends")?;
            tx.commit().await?;
            return Ok(given);
        }
        // The row is locked since then, on either database: what is read of it holds until the end.
        let row = tx.row("SELECT ends, taken FROM budgets WHERE id = $1", &[Value::bytes(id)]).await?;
        let Some(row) = row else { return Err(StoreError::Integrity { table: "budgets", column: "id", id: String::new() }) };
        let taken = u32::try_from(reading(&row).int("taken")?).unwrap_or(u32::MAX);
        given = Given { count: budget.most.saturating_sub(taken), ends: reading(&row).instant("ends")? };
        if given.count > 0 {
            take(&mut tx, id, budget, given.count, now).await?.ok_or_else(|| reading(&row).broken("taken"))?;
        }
        tx.commit().await?;
        Ok(given)
    }
}

/// All of `count`, or nothing and no row.
async fn take(tx: &mut Tx, id: &[u8; 32], budget: Budget, count: u32, now: Timestamp) -> Result<Option<Row>, StoreError> {
    let ends = now.after(budget.within);
    let sql = "INSERT INTO budgets (id, ends, taken) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET \
               taken = CASE WHEN budgets.ends <= $4 OR budgets.ends > $5 THEN excluded.taken ELSE budgets.taken + excluded.taken END, \
               ends = CASE WHEN budgets.ends <= $4 OR budgets.ends > $5 THEN excluded.ends ELSE budgets.ends END \
               WHERE budgets.ends <= $4 OR budgets.ends > $5 OR budgets.taken + excluded.taken <= $6 RETURNING ends";
    let values = [
        Value::bytes(id),
        Value::int(millis(ends)?),
        Value::int(i64::from(count)),
        Value::int(millis(now)?),
        Value::int(millis(ends.after(FAR))?),
        Value::int(i64::from(budget.most)),
    ];
    tx.row(sql, &values).await
}

fn reading(row: &Row) -> Reading<'_> {
    Reading { row, table: "budgets", id: String::new() }
}
