//! Clients that an administrator blocked beside the configuration. A block takes nothing out of the store: lifting it gives everything back.

use crate::Store;
use crate::db::Value;
use crate::deeds::{Deed, OnRecord, put};
use crate::epoch::raise;
use crate::error::{Refused, StoreError};
use crate::rows::{Reading, at_most_one, millis, plain};
use doorward_core::id::ClientId;
use doorward_core::secret::sha256;
use doorward_core::time::Timestamp;

/// A client that may not act, whatever it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// SHA-256 of its id.
    pub digest: [u8; 32],
    /// Its id, where it was known.
    pub client: Option<ClientId>,
    /// Why, in the words of the administrator: 1 to 255 bytes without control characters.
    pub reason: Option<String>,
    /// Since when.
    pub since: Timestamp,
}

/// Blocks at most: more are a mistake, and each is looked up for calls.
const BLOCKS: i64 = 10_000;

// === impl Store ===

impl Store {
    /// Blocks a client, and raises the epoch in the same transaction (I8). False if it was blocked before: the first reason stays.
    ///
    /// # Errors
    /// [`Refused::Unfit`] for a reason that does not fit or the digest of another id, [`Refused::TooMany`] at 10,000,
    /// [`StoreError::Unavailable`]: nothing changed then.
    pub async fn block_client(&self, new: &Block, on_record: OnRecord) -> Result<bool, StoreError> {
        if new.client.as_ref().is_some_and(|client| digest_of(client) != new.digest) {
            return Err(Refused::Unfit("client").into());
        }
        let reason = new.reason.as_deref().map(|reason| plain(reason, "reason")).transpose()?;
        let mut tx = self.db().begin().await?;
        let count: i64 = tx.row("SELECT COUNT(*) AS n FROM blocked_clients", &[]).await?.map_or(Ok(0), |row| row.column("n"))?;
        if count >= BLOCKS {
            return Err(Refused::TooMany.into());
        }
        let sql = "INSERT INTO blocked_clients (digest, client, reason, since) VALUES ($1, $2, $3, $4) ON CONFLICT (digest) DO NOTHING";
        let client = new.client.as_ref().map(ClientId::as_str);
        let values = [Value::bytes(&new.digest), Value::Text(client), Value::Text(reason), Value::int(millis(new.since)?)];
        if !at_most_one(tx.execute(sql, &values).await?, "blocked_clients")? {
            return Ok(false);
        }
        let epoch = raise(&mut tx, "client blocked", new.since).await?;
        let name = printed(&new.digest);
        let cause = reason.map_or_else(|| name.clone(), |reason| format!("{name}: {reason}"));
        let client = new.client.clone();
        put(&mut tx, epoch, &Deed { reason: "client_block_set", user: None, client, cause, done: new.since }, on_record).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Lifts a block, and raises the epoch in the same transaction. True if there was one.
    ///
    /// # Errors
    /// [`StoreError`]: the client is still blocked then.
    pub async fn unblock_client(&self, digest: &[u8; 32], on_record: OnRecord, now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.db().begin().await?;
        let sql = "DELETE FROM blocked_clients WHERE digest = $1 RETURNING digest, client, reason, since";
        let Some(row) = tx.row(sql, &[Value::bytes(digest)]).await? else { return Ok(false) };
        let Block { client, .. } = block(&Reading::digested(&row, "blocked_clients", digest))?;
        let epoch = raise(&mut tx, "client unblocked", now).await?;
        put(&mut tx, epoch, &Deed { reason: "client_block_lifted", user: None, client, cause: printed(digest), done: now }, on_record)
            .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Whether a client is blocked here, by its id or by the digest of it.
    ///
    /// # Errors
    /// [`StoreError`]: nobody knows, and the caller lets nobody in.
    pub async fn is_client_blocked(&self, client: &ClientId) -> Result<bool, StoreError> {
        let digest = digest_of(client);
        let sql = "SELECT 1 AS one FROM blocked_clients WHERE digest = $1";
        Ok(self.db().row(sql, &[Value::bytes(&digest)]).await?.is_some())
    }

    /// Every block, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_blocks(&self) -> Result<Vec<Block>, StoreError> {
        let sql = "SELECT digest, client, reason, since FROM blocked_clients ORDER BY since DESC, digest LIMIT 10000";
        let rows = self.db().rows(sql, &[]).await?;
        let read = |row| {
            let digest = Reading { row, table: "blocked_clients", id: String::new() }.bytes("digest")?;
            block(&Reading::digested(row, "blocked_clients", &digest))
        };
        rows.iter().map(read).collect()
    }
}

fn block(reading: &Reading<'_>) -> Result<Block, StoreError> {
    let client = reading.optional_text("client")?;
    Ok(Block {
        digest: reading.digest("digest")?,
        client: client.map(|client| ClientId::new(&client).map_err(|_| reading.broken("client"))).transpose()?,
        reason: reading.optional_text("reason")?,
        since: reading.instant("since")?,
    })
}

/// What a client is blocked by.
fn digest_of(client: &ClientId) -> [u8; 32] {
    sha256(client.as_str().as_bytes())
}

fn printed(digest: &[u8; 32]) -> String {
    format!("sha256:{}", digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}
