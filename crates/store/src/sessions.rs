//! Legacy sessions. There is no look-up by id alone: every reading statement names user, client, credential and server (I7).

use crate::Store;
use crate::db::{Row, Tx, Value};
use crate::error::{Refused, StoreError};
use crate::rows::{Reading, at_most_one, millis, plain};
use crate::seal::Place;
use doorward_core::id::{ClientId, CredentialId, ServerName, UserId};
use doorward_core::mcp::version::Version;
use doorward_core::secret::sha256;
use doorward_core::session::{Stored, UpstreamSessionId};
use doorward_core::time::Timestamp;

/// How many sessions there may be, expired ones included until the sweep takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionCaps {
    /// Of one user, over all replicas, exactly.
    pub per_user: u32,
    /// Of everybody together. Exact on SQLite. On PostgreSQL those who are opening one at the same moment do not see each
    /// other, so that there may be more by as many as all replicas have connections: an exact count would let everybody
    /// wait for everybody, and this cap only bounds what is kept.
    pub of_all: u32,
}

/// Client capabilities, JSON text, in bytes.
const CAPABILITIES: usize = 64 * 1024;

const OWN: &str = "SELECT digest, issuer, subject, client, credential, server, version, capabilities, upstream_id, upstream_revision, \
                   upstream_version, log_level, created, used FROM sessions \
                   WHERE digest = $1 AND issuer = $2 AND subject = $3 AND client = $4 AND credential = $5 AND server = $6 AND ended IS NULL";

// === impl Store ===

impl Store {
    /// Records a session if its owner, and everybody together, have fewer than `caps` allows.
    ///
    /// Counting those of the owner and recording are one step, across replicas too.
    ///
    /// # Errors
    /// [`Refused::TooMany`] at the owner's cap, else [`Refused::Full`] at that of everybody; [`StoreError::Conflict`] for a
    /// digest that exists, [`Refused::Unfit`].
    pub async fn open_session(&self, new: &Stored, caps: SessionCaps) -> Result<(), StoreError> {
        if new.capabilities.len() > CAPABILITIES {
            return Err(Refused::Unfit("capabilities").into());
        }
        let level = new.log_level.as_deref().map(|level| plain(level, "log level")).transpose()?;
        let upstream_id = new.upstream_id.as_ref().map(|id| self.seal_upstream(new, 1, id)).transpose()?;
        let mut tx = self.db().begin().await?;
        tx.lock(owner_lock("sessions", &new.user)).await?;
        let sql = "SELECT COUNT(*) AS n FROM sessions WHERE issuer = $1 AND subject = $2 AND ended IS NULL";
        count_below(&mut tx, sql, &new.user, caps.per_user).await?;
        // Behind the owner's own cap: who is told of everybody's has done nothing wrong.
        let sql = "SELECT COUNT(*) AS n FROM (SELECT 1 AS one FROM sessions WHERE ended IS NULL LIMIT $1) AS all_of_them";
        let row = tx.row(sql, &[Value::int(i64::from(caps.of_all))]).await?;
        if row.map_or(Ok(0), |row| row.column::<i64>("n"))? >= i64::from(caps.of_all) {
            return Err(Refused::Full.into());
        }
        let sql = "INSERT INTO sessions (digest, issuer, subject, client, credential, server, version, capabilities, upstream_id, \
                   upstream_revision, upstream_version, log_level, created, used) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 1, $10, $11, $12, $13)";
        let values = [
            Value::bytes(&new.digest),
            Value::text(new.user.issuer()),
            Value::text(new.user.subject()),
            Value::text(new.client.as_str()),
            Value::text(new.credential.as_str()),
            Value::text(new.server.as_str()),
            Value::text(new.version.as_str()),
            Value::text(&new.capabilities),
            Value::Bytes(upstream_id.as_deref()),
            Value::text(new.upstream_version.as_str()),
            Value::Text(level),
            Value::int(millis(new.created)?),
            Value::int(millis(new.used)?),
        ];
        tx.execute(sql, &values).await?;
        tx.commit().await
    }

    /// The session of exactly this user, client, credential and server. Foreign and absent look the same.
    ///
    /// # Errors
    /// [`StoreError::Integrity`] for a damaged row, [`StoreError::Unavailable`].
    pub async fn session(
        &self,
        digest: &[u8; 32],
        user: &UserId,
        client: &ClientId,
        credential: &CredentialId,
        server: &ServerName,
    ) -> Result<Option<Stored>, StoreError> {
        let values = [
            Value::bytes(digest),
            Value::text(user.issuer()),
            Value::text(user.subject()),
            Value::text(client.as_str()),
            Value::text(credential.as_str()),
            Value::text(server.as_str()),
        ];
        let row = self.db().row(OWN, &values).await?;
        row.map(|row| self.read_session(&row).map(|(stored, _)| stored)).transpose()
    }

    /// Notes a use; an older time than the one noted changes nothing. The caller decides how coarse.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn touch_session(&self, digest: &[u8; 32], user: &UserId, now: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE sessions SET used = $4 WHERE digest = $1 AND issuer = $2 AND subject = $3 AND used < $4";
        let [digest, issuer, subject] = key(digest, user);
        self.db().execute(sql, &[digest, issuer, subject, Value::int(millis(now)?)]).await.map(|_| ())
    }

    /// Sets or clears the log level. True if the session is there and the user's.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_log_level(&self, digest: &[u8; 32], user: &UserId, level: Option<&str>) -> Result<bool, StoreError> {
        let level = level.map(|level| plain(level, "log level")).transpose()?;
        let sql = "UPDATE sessions SET log_level = $4 WHERE digest = $1 AND issuer = $2 AND subject = $3";
        let [digest, issuer, subject] = key(digest, user);
        at_most_one(self.db().execute(sql, &[digest, issuer, subject, Value::Text(level)]).await?, "sessions")
    }

    /// Puts `new` in place of `old`, if `old` is what the session has now: one winner, however many try.
    ///
    /// # Errors
    /// [`StoreError::Integrity`] if the present one does not open.
    pub async fn replace_upstream_session(
        &self,
        digest: &[u8; 32],
        user: &UserId,
        old: Option<&UpstreamSessionId>,
        new: Option<&UpstreamSessionId>,
    ) -> Result<bool, StoreError> {
        let sql = "SELECT digest, issuer, subject, client, credential, server, version, capabilities, upstream_id, upstream_revision, \
                   upstream_version, log_level, created, used FROM sessions WHERE digest = $1 AND issuer = $2 AND subject = $3";
        let mut tx = self.db().begin().await?;
        let Some(row) = tx.row(sql, &key(digest, user)).await? else { return Ok(false) };
        let (stored, revision) = self.read_session(&row)?;
        if stored.upstream_id.as_ref() != old {
            return Ok(false);
        }
        let next = revision.checked_add(1).ok_or(Refused::TooMany)?;
        let sealed = new.map(|id| self.seal_upstream(&stored, next, id)).transpose()?;
        let sql = "UPDATE sessions SET upstream_id = $4, upstream_revision = $5 \
                   WHERE digest = $1 AND issuer = $2 AND subject = $3 AND upstream_revision = $6";
        let [digest, issuer, subject] = key(digest, user);
        let values = [digest, issuer, subject, Value::Bytes(sealed.as_deref()), Value::int(next), Value::int(revision)];
        let won = at_most_one(tx.execute(sql, &values).await?, "sessions")?;
        tx.commit().await?;
        Ok(won)
    }

    /// Ends a session of this user. True exactly once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_session(&self, digest: &[u8; 32], user: &UserId) -> Result<bool, StoreError> {
        let sql = "DELETE FROM sessions WHERE digest = $1 AND issuer = $2 AND subject = $3";
        at_most_one(self.db().execute(sql, &key(digest, user)).await?, "sessions")
    }

    /// Sessions of everybody, expired ones included until the sweep takes them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_sessions(&self) -> Result<u64, StoreError> {
        let row = self.db().row("SELECT COUNT(*) AS n FROM sessions", &[]).await?;
        row.map_or(Ok(0), |row| row.column::<i64>("n")).map(|count| u64::try_from(count).unwrap_or(0))
    }

    /// Every column, and the revision of the upstream's id.
    fn read_session(&self, row: &Row) -> Result<(Stored, i64), StoreError> {
        let digest: Vec<u8> = row.column("digest")?;
        let reading = Reading::digested(row, "sessions", &digest);
        let version = |column| reading.parsed(column, |text| Version::parse(text).ok_or(()));
        let mut stored = Stored {
            digest: reading.digest("digest")?,
            user: reading.user()?,
            client: reading.parsed("client", ClientId::new)?,
            credential: reading.parsed("credential", CredentialId::new)?,
            server: reading.parsed("server", ServerName::new)?,
            version: version("version")?,
            capabilities: reading.text("capabilities")?,
            upstream_id: None,
            upstream_version: version("upstream_version")?,
            log_level: reading.optional_text("log_level")?,
            created: reading.instant("created")?,
            used: reading.instant("used")?,
        };
        let revision = reading.int("upstream_revision")?;
        if let Some(sealed) = reading.optional_bytes("upstream_id")? {
            let opened = placed(&stored, revision, |place| self.sealer().open(place, &sealed));
            let plain = opened.map_err(|_| reading.broken("upstream_id"))?;
            let text = std::str::from_utf8(plain.expose()).map_err(|_| reading.broken("upstream_id"))?;
            stored.upstream_id = Some(UpstreamSessionId::new(text).ok_or_else(|| reading.broken("upstream_id"))?);
        }
        Ok((stored, revision))
    }

    fn seal_upstream(&self, stored: &Stored, revision: i64, id: &UpstreamSessionId) -> Result<Vec<u8>, StoreError> {
        placed(stored, revision, |place| self.sealer().seal(place, id.as_str().as_bytes())).map_err(StoreError::from)
    }
}

/// The place of a session's `upstream_id`: another owner, credential, server or revision is another place.
fn placed<T>(stored: &Stored, version: i64, act: impl FnOnce(&Place<'_>) -> T) -> T {
    let row =
        [&stored.digest[..], stored.client.as_str().as_bytes(), stored.credential.as_str().as_bytes(), stored.server.as_str().as_bytes()];
    let owner = (stored.user.issuer(), stored.user.subject());
    act(&Place { table: "sessions", column: "upstream_id", row: &row, owner, version })
}

fn key<'a>(digest: &'a [u8; 32], user: &'a UserId) -> [Value<'a>; 3] {
    [Value::bytes(digest), Value::text(user.issuer()), Value::text(user.subject())]
}

/// Refuses at the cap. The transaction holds the owner's lock, so that the count stays true until it ends.
pub(crate) async fn count_below(tx: &mut Tx, sql: &'static str, user: &UserId, cap: u32) -> Result<(), StoreError> {
    let row = tx.row(sql, &[Value::text(user.issuer()), Value::text(user.subject())]).await?;
    let count = row.map_or(Ok(0), |row| row.column::<i64>("n"))?;
    if count >= i64::from(cap) { Err(Refused::TooMany.into()) } else { Ok(()) }
}

/// A number for the lock of one user's rows of a table. Two users who share one only wait for each other.
pub(crate) fn owner_lock(table: &str, user: &UserId) -> i64 {
    // INVARIANT: identifiers hold no control characters, so NUL separates them without doubt.
    let digest = sha256(format!("{table}\0{}\0{}", user.issuer(), user.subject()).as_bytes());
    digest.iter().take(8).fold(0, |number: i64, byte| (number << 8) | i64::from(*byte))
}
