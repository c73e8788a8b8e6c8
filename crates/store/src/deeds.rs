//! What the command line did to a store that a gateway serves from, until that gateway has put it on its record. A gateway records what its
//! own pages do before it does it, and keeps no deed.
//!
//! The record has one writer, and beside a running gateway the command line is not it. So the deed is kept in the transaction of its effect and
//! handed over: none is lost, and one that two replicas take at once is on the records of both. Judges nothing.

use crate::Store;
use crate::db::{Tx, Value};
use crate::error::StoreError;
use crate::rows::{Reading, millis};
use doorward_core::id::{ClientId, UserId};
use doorward_core::time::Timestamp;

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// What, one of a few words.
    pub reason: &'static str,
    /// To whom.
    pub user: Option<UserId>,
    /// To which client.
    pub client: Option<ClientId>,
    /// What else there is to say. Never a secret.
    pub cause: String,
    /// When.
    pub done: Timestamp,
}

/// When something that was done comes onto a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRecord {
    /// A gateway has recorded it, and does it now.
    Already,
    /// By a gateway that hears of it: the one who does it writes no record.
    Later,
}

/// Every word that a deed may have.
const REASONS: [&str; 5] = ["account_disconnected", "account_used", "client_block_set", "client_block_lifted", "sessions_ended"];

// === impl Store ===

impl Store {
    /// The oldest deeds that no gateway has recorded, with their numbers; at most 100. What cannot be read is `deed_not_understood`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn deeds(&self) -> Result<Vec<(i64, Deed)>, StoreError> {
        let sql = "SELECT epoch, reason, issuer, subject, client, cause, done FROM deeds ORDER BY epoch LIMIT 100";
        let rows = self.db().rows(sql, &[]).await?;
        let read = |row| {
            let epoch = Reading { row, table: "deeds", id: String::new() }.int("epoch")?;
            let reading = Reading { row, table: "deeds", id: epoch.to_string() };
            // One that nobody here can read keeps no other one off the record: a newer program may know more words.
            Ok((epoch, deed(&reading).unwrap_or_else(|error| unknown(&reading, &error))))
        };
        rows.iter().map(read).collect()
    }

    /// A deed is on a record: it need not be kept.
    ///
    /// # Errors
    /// [`StoreError`]: it will be recorded once more.
    pub async fn deed_recorded(&self, epoch: i64) -> Result<(), StoreError> {
        self.db().execute("DELETE FROM deeds WHERE epoch = $1", &[Value::int(epoch)]).await.map(|_| ())
    }
}

/// Keeps a deed together with its effect, under the epoch that it raised, where it is not on a record.
pub(crate) async fn put(tx: &mut Tx, epoch: i64, deed: &Deed, on_record: OnRecord) -> Result<(), StoreError> {
    if on_record == OnRecord::Already {
        return Ok(());
    }
    let sql = "INSERT INTO deeds (epoch, reason, issuer, subject, client, cause, done) VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let values = [
        Value::int(epoch),
        Value::text(deed.reason),
        Value::Text(deed.user.as_ref().map(UserId::issuer)),
        Value::Text(deed.user.as_ref().map(UserId::subject)),
        Value::Text(deed.client.as_ref().map(ClientId::as_str)),
        Value::text(&deed.cause),
        Value::int(millis(deed.done)?),
    ];
    tx.execute(sql, &values).await.map(|_| ())
}

/// What can be said of a deed that cannot be read.
fn unknown(reading: &Reading<'_>, error: &StoreError) -> Deed {
    let word: String = reading.text("reason").unwrap_or_default().chars().filter(char::is_ascii_graphic).take(60).collect();
    let said = reading.text("cause").unwrap_or_default();
    let client = reading.optional_text("client").ok().flatten().map_or_else(String::new, |client| format!(" of {client}"));
    let cause = format!("number {} (\"{word}\"){client}: {said}: {error}", reading.id);
    Deed {
        reason: "deed_not_understood",
        user: None,
        client: None,
        cause,
        done: reading.instant("done").unwrap_or(Timestamp::from_millis(0)),
    }
}

fn deed(reading: &Reading<'_>) -> Result<Deed, StoreError> {
    let client = reading.optional_text("client")?;
    Ok(Deed {
        reason: reading.parsed("reason", |text| REASONS.into_iter().find(|reason| *reason == text).ok_or(()))?,
        user: reading.optional_text("issuer")?.map(|_| reading.user()).transpose()?,
        client: client.map(|client| ClientId::new(&client).map_err(|_| reading.broken("client"))).transpose()?,
        cause: reading.text("cause")?,
        done: reading.instant("done")?,
    })
}
