//! Sessions and sign-ins as an administrator sees and ends them. Session ids are not here, only their digests: what is listed opens nothing.

use crate::Store;
use crate::db::{Tx, Value};
use crate::deeds::{Deed, OnRecord, put};
use crate::epoch::raise;
use crate::error::StoreError;
use crate::rows::{Reading, millis};
use doorward_core::id::{ClientId, ServerName, UserId};
use doorward_core::secret::sha256;
use doorward_core::session::Lifetimes;
use doorward_core::time::Timestamp;
use std::time::Duration;

/// A session of a client at a server, as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// SHA-256 of its id.
    pub digest: [u8; 32],
    /// Whose.
    pub user: UserId,
    /// Through which client.
    pub client: ClientId,
    /// At which server.
    pub server: ServerName,
    /// Since when.
    pub created: Timestamp,
    /// Last used, coarse.
    pub used: Timestamp,
}

/// What is to end.
#[derive(Debug, Clone, Copy)]
pub enum Ending<'a> {
    /// All sessions and sign-ins of a person.
    Of(&'a UserId),
    /// All sessions of a client, whoever uses it.
    Through(&'a ClientId),
    /// The session with this digest.
    Session(&'a [u8; 32]),
    /// The sign-in with this id.
    Browser(&'a str),
}

/// How many ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ended {
    /// Sessions.
    pub sessions: u64,
    /// Sign-ins.
    pub browsers: u64,
}

// === impl Store ===

impl Store {
    /// Sessions that could be used, newest first, at most 1,000.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_sessions(&self, lives: Lifetimes, now: Timestamp) -> Result<Vec<SessionInfo>, StoreError> {
        let sql = "SELECT digest, issuer, subject, client, server, created, used FROM sessions \
                   WHERE ended IS NULL AND used > $1 AND created > $2 ORDER BY created DESC, digest LIMIT 1000";
        let before = |life: Duration| Ok::<_, StoreError>(Value::int(millis(now.before(life))?));
        let rows = self.db().rows(sql, &[before(lives.idle)?, before(lives.absolute)?]).await?;
        rows.iter().map(info).collect()
    }

    /// The same of one person.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sessions_of(&self, user: &UserId, lives: Lifetimes, now: Timestamp) -> Result<Vec<SessionInfo>, StoreError> {
        let sql = "SELECT digest, issuer, subject, client, server, created, used FROM sessions WHERE issuer = $3 AND subject = $4 AND \
                   ended IS NULL AND used > $1 AND created > $2 ORDER BY created DESC, digest LIMIT 1000";
        let before = |life: Duration| Ok::<_, StoreError>(Value::int(millis(now.before(life))?));
        let values = [before(lives.idle)?, before(lives.absolute)?, Value::text(user.issuer()), Value::text(user.subject())];
        self.db().rows(sql, &values).await?.iter().map(info).collect()
    }

    /// How many sessions could be used, listed or not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_usable_sessions(&self, lives: Lifetimes, now: Timestamp) -> Result<u64, StoreError> {
        let sql = "SELECT COUNT(*) AS n FROM sessions WHERE ended IS NULL AND used > $1 AND created > $2";
        let before = |life: Duration| Ok::<_, StoreError>(Value::int(millis(now.before(life))?));
        let row = self.db().row(sql, &[before(lives.idle)?, before(lives.absolute)?]).await?;
        row.map_or(Ok(0), |row| row.column::<i64>("n")).map(|count| u64::try_from(count).unwrap_or(0))
    }

    /// The client that has a session which has not ended, and whose id has this SHA-256. Every client is looked at, some at a time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn client_in_session(&self, digest: &[u8; 32]) -> Result<Option<ClientId>, StoreError> {
        let sql = "SELECT DISTINCT client FROM sessions WHERE ended IS NULL AND client > $1 ORDER BY client LIMIT 1000";
        let mut last = String::new();
        loop {
            let rows = self.db().rows(sql, &[Value::text(&last)]).await?;
            let Some(row) = rows.last() else { return Ok(None) };
            last = Reading { row, table: "sessions", id: String::new() }.text("client")?;
            for row in &rows {
                let client = Reading { row, table: "sessions", id: String::new() }.parsed("client", ClientId::new)?;
                if sha256(client.as_str().as_bytes()) == *digest {
                    return Ok(Some(client));
                }
            }
        }
    }

    /// The sessions whose digest begins with these bytes, at most two: one that is meant, or a beginning that several have.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sessions_beginning(&self, start: &[u8]) -> Result<Vec<SessionInfo>, StoreError> {
        let end: Vec<u8> = start.iter().copied().chain(std::iter::repeat(0xff)).take(32).collect();
        let sql = "SELECT digest, issuer, subject, client, server, created, used FROM sessions \
                   WHERE ended IS NULL AND digest >= $1 AND digest <= $2 ORDER BY digest LIMIT 2";
        let rows = self.db().rows(sql, &[Value::bytes(start), Value::bytes(&end)]).await?;
        rows.iter().map(info).collect()
    }

    /// Ends sessions and sign-ins, and raises the epoch in the same transaction (I8): gateways that have one open learn of it there, and of
    /// which by [`Self::ended_sessions`].
    ///
    /// # Errors
    /// [`StoreError`]: nothing ended then.
    pub async fn end_from_outside(&self, ending: Ending<'_>, on_record: OnRecord, now: Timestamp) -> Result<Ended, StoreError> {
        let mut tx = self.db().begin().await?;
        let at = millis(now)?;
        let ended = match ending {
            Ending::Of(user) => {
                let owner = [Value::int(at), Value::text(user.issuer()), Value::text(user.subject())];
                let sql = "UPDATE sessions SET ended = $1 WHERE issuer = $2 AND subject = $3 AND ended IS NULL";
                let sessions = tx.execute(sql, &owner).await?;
                let [_, issuer, subject] = owner;
                let browsers = tx.execute("DELETE FROM browsers WHERE issuer = $1 AND subject = $2", &[issuer, subject]).await?;
                Ended { sessions, browsers }
            }
            Ending::Through(client) => {
                let sql = "UPDATE sessions SET ended = $1 WHERE client = $2 AND ended IS NULL";
                Ended { sessions: tx.execute(sql, &[Value::int(at), Value::text(client.as_str())]).await?, browsers: 0 }
            }
            Ending::Session(digest) => {
                let sql = "UPDATE sessions SET ended = $1 WHERE digest = $2 AND ended IS NULL";
                Ended { sessions: tx.execute(sql, &[Value::int(at), Value::bytes(digest)]).await?, browsers: 0 }
            }
            Ending::Browser(id) => {
                let sql = "DELETE FROM browsers WHERE id = $1";
                Ended { sessions: 0, browsers: tx.execute(sql, &[Value::text(id)]).await? }
            }
        };
        if ended == Ended::default() {
            return Ok(ended);
        }
        told(&mut tx, (ending, ended), on_record, now).await?;
        tx.commit().await?;
        Ok(ended)
    }

    /// The digests of sessions that were ended from outside and not swept yet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ended_sessions(&self) -> Result<Vec<[u8; 32]>, StoreError> {
        let rows = self.db().rows("SELECT digest FROM sessions WHERE ended IS NOT NULL", &[]).await?;
        let digest = |row| Reading { row, table: "sessions", id: String::new() }.digest("digest");
        // A row that is damaged is nobody's session; it keeps no other one going.
        Ok(rows.iter().filter_map(|row| digest(row).ok()).collect())
    }
}

/// Raises the epoch, and keeps what was done for a gateway to record.
async fn told(tx: &mut Tx, (ending, ended): (Ending<'_>, Ended), on_record: OnRecord, now: Timestamp) -> Result<(), StoreError> {
    let epoch = raise(tx, "sessions ended", now).await?;
    let (user, client, which) = match ending {
        Ending::Of(user) => (Some(user.clone()), None, String::new()),
        Ending::Through(client) => (None, Some(client.clone()), String::new()),
        Ending::Session(digest) => (None, None, format!(" ({}...)", crate::rows::short(digest))),
        Ending::Browser(id) => (None, None, format!(" ({id})")),
    };
    let cause = format!("sessions: {}, sign-ins: {}{which}", ended.sessions, ended.browsers);
    put(tx, epoch, &Deed { reason: "sessions_ended", user, client, cause, done: now }, on_record).await
}

fn info(row: &crate::db::Row) -> Result<SessionInfo, StoreError> {
    let digest = Reading { row, table: "sessions", id: String::new() }.bytes("digest")?;
    let reading = Reading::digested(row, "sessions", &digest);
    Ok(SessionInfo {
        digest: reading.digest("digest")?,
        user: reading.user()?,
        client: reading.parsed("client", ClientId::new)?,
        server: reading.parsed("server", ServerName::new)?,
        created: reading.instant("created")?,
        used: reading.instant("used")?,
    })
}
