//! Sealed values of a user, replaced by compare-and-swap. Knows neither what they are nor to whom they are sent.

use crate::Store;
use crate::db::{Tx, Value};
use crate::error::{Refused, StoreError};
use crate::rows::{Reading, at_most_one, plain};
use crate::seal::Place;
use crate::sessions::owner_lock;
use doorward_core::id::UserId;
use doorward_core::secret::Secret;

/// Values of one owner.
const PER_OWNER: i64 = 1_000;
/// Bytes of one value.
const SIZE: usize = 64 * 1024;

// === impl Store ===

impl Store {
    /// Seals a value under a name, in place of any earlier one, and gives its version. No two values of a store share a version.
    ///
    /// # Errors
    /// [`Refused::TooMany`] at 1,000 names of the owner, [`Refused::Unfit`] for a value over 64 KiB, [`StoreError::Unavailable`].
    pub async fn put_secret(&self, owner: &UserId, name: &str, value: &Secret<Vec<u8>>) -> Result<u64, StoreError> {
        fits(name, value)?;
        let mut tx = self.db().begin().await?;
        tx.lock(owner_lock("vault", owner)).await?;
        let version = next_version(&mut tx).await?;
        let sealed = self.sealer().seal(&place(owner, &name.as_bytes(), version), value.expose())?;
        let sql = "INSERT INTO vault (issuer, subject, name, version, sealed) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (issuer, subject, name) DO UPDATE SET version = excluded.version, sealed = excluded.sealed";
        let [issuer, subject, name] = key(owner, name);
        tx.execute(sql, &[issuer, subject, name, Value::int(version), Value::bytes(&sealed)]).await?;
        let sql = "SELECT COUNT(*) AS n FROM vault WHERE issuer = $1 AND subject = $2";
        let row = tx.row(sql, &[Value::text(owner.issuer()), Value::text(owner.subject())]).await?;
        if row.map_or(Ok(0), |row| row.column::<i64>("n"))? > PER_OWNER {
            return Err(Refused::TooMany.into());
        }
        tx.commit().await?;
        u64::try_from(version).map_err(|_| lost())
    }

    /// The value under a name with its version.
    ///
    /// # Errors
    /// [`StoreError::Integrity`] if it does not open in its place: it must not be used.
    pub async fn secret(&self, owner: &UserId, name: &str) -> Result<Option<(Secret<Vec<u8>>, u64)>, StoreError> {
        let sql = "SELECT version, sealed FROM vault WHERE issuer = $1 AND subject = $2 AND name = $3";
        let Some(row) = self.db().row(sql, &key(owner, name)).await? else { return Ok(None) };
        let reading = Reading { row: &row, table: "vault", id: name.to_owned() };
        let version = reading.int("version")?;
        let sealed = reading.bytes("sealed")?;
        let value = self.sealer().open(&place(owner, &name.as_bytes(), version), &sealed).map_err(|_| reading.broken("sealed"))?;
        Ok(Some((value, u64::try_from(version).map_err(|_| reading.broken("version"))?)))
    }

    /// Replaces a value if its version is still `expected`: one winner, however many try.
    ///
    /// # Errors
    /// [`Refused::Unfit`] for a value over 64 KiB, [`StoreError::Unavailable`]. Every error means: not replaced, as far as is known.
    pub async fn swap_secret(&self, owner: &UserId, name: &str, expected: u64, value: &Secret<Vec<u8>>) -> Result<bool, StoreError> {
        fits(name, value)?;
        let Ok(expected) = i64::try_from(expected) else { return Ok(false) };
        let mut tx = self.db().begin().await?;
        // The same order of locks as `put_secret`: owner, counter, row.
        tx.lock(owner_lock("vault", owner)).await?;
        let version = next_version(&mut tx).await?;
        let sealed = self.sealer().seal(&place(owner, &name.as_bytes(), version), value.expose())?;
        let sql = "UPDATE vault SET version = $4, sealed = $5 WHERE issuer = $1 AND subject = $2 AND name = $3 AND version = $6";
        let [issuer, subject, name] = key(owner, name);
        let values = [issuer, subject, name, Value::int(version), Value::bytes(&sealed), Value::int(expected)];
        let won = at_most_one(tx.execute(sql, &values).await?, "vault")?;
        if won {
            tx.commit().await?;
        }
        Ok(won)
    }

    /// Removes the value under a name, if there is one.
    ///
    /// # Errors
    /// [`StoreError`]: it is then still there, as far as is known.
    pub async fn remove_secret(&self, owner: &UserId, name: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM vault WHERE issuer = $1 AND subject = $2 AND name = $3";
        self.db().execute(sql, &key(owner, name)).await.map(|_| ())
    }

    /// Removes every value of an owner and gives their number.
    ///
    /// # Errors
    /// [`StoreError`]: the values are then still there.
    pub async fn destroy_secrets(&self, owner: &UserId) -> Result<u64, StoreError> {
        let mut tx = self.db().begin().await?;
        tx.lock(owner_lock("vault", owner)).await?; // a value being put at the same time is either removed or put afterwards
        let sql = "DELETE FROM vault WHERE issuer = $1 AND subject = $2";
        let gone = tx.execute(sql, &[Value::text(owner.issuer()), Value::text(owner.subject())]).await?;
        tx.commit().await?;
        Ok(gone)
    }
}

fn fits(name: &str, value: &Secret<Vec<u8>>) -> Result<(), StoreError> {
    plain(name, "name")?;
    if value.expose().len() > SIZE { Err(Refused::Unfit("value").into()) } else { Ok(()) }
}

fn key<'a>(owner: &'a UserId, name: &'a str) -> [Value<'a>; 3] {
    [Value::text(owner.issuer()), Value::text(owner.subject()), Value::text(name)]
}

fn place<'a>(owner: &'a UserId, name: &'a &'a [u8], version: i64) -> Place<'a> {
    Place { table: "vault", column: "sealed", row: std::slice::from_ref(name), owner: (owner.issuer(), owner.subject()), version }
}

/// One counter for all, so that a name that was destroyed and put again never repeats a version.
pub(crate) async fn next_version(tx: &mut Tx) -> Result<i64, StoreError> {
    let sql = "UPDATE counters SET value = value + 1 WHERE name = 'vault' RETURNING value";
    tx.row(sql, &[]).await?.ok_or_else(lost)?.column("value")
}

fn lost() -> StoreError {
    StoreError::Integrity { table: "counters", column: "name", id: String::from("vault") }
}
