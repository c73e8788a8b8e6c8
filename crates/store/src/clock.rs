//! The clock of the database: the one that all replicas share (FLT-07). Knows not what for.

use crate::Store;
use crate::error::StoreError;
use crate::rows::Reading;
use doorward_core::time::Timestamp;

// === impl Store ===

impl Store {
    /// What the clock of the database says; none on SQLite, whose clock is that of this machine.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        let Some(sql) = self.db().dialect().clock() else { return Ok(None) };
        let row = self.db().row(sql, &[]).await?;
        row.map(|row| Reading { row: &row, table: "clock", id: String::new() }.instant("now")).transpose()
    }
}
