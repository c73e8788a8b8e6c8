//! Accounts of people at servers: put, read, renewed by one replica at a time, taken away. Knows neither what a sealed value says nor to
//! whom it is sent.

use crate::Store;
use crate::db::{Tx, Value};
use crate::deeds::{Deed, OnRecord, put};
use crate::epoch::raise;
use crate::error::{Refused, StoreError};
use crate::rows::{Reading, at_most_one, json_list, millis, plain};
use crate::seal::Place;
use crate::sessions::owner_lock;
use crate::vault::next_version;
use doorward_core::id::{ServerName, UserId};
use doorward_core::secret::Secret;
use doorward_core::time::Timestamp;
use std::time::Duration;

/// An account to keep.
#[derive(Debug)]
pub struct NewConnection<'a> {
    /// Whose.
    pub owner: &'a UserId,
    /// At which server.
    pub server: &'a ServerName,
    /// Of which kind.
    pub kind: ConnectionKind,
    /// What the account is called, for people: 1 to 255 bytes without control characters.
    pub label: &'a str,
    /// What the provider allowed.
    pub scopes: &'a [String],
    /// What is kept: at most 64 KiB.
    pub value: &'a Secret<Vec<u8>>,
    /// Under which id what it takes the place of is left, to be taken back at its provider; `None` where that would take this one back, too.
    pub replaced: Option<&'a str>,
}

/// What a connection is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionKind {
    /// A secret that the person entered.
    Entered,
    /// What a provider gave for them (OAuth).
    Granted,
}

/// Whether a connection can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionState {
    /// As far as anybody knows.
    Works,
    /// Its provider or server has said that it is over: the person has to connect again.
    SignInNeeded,
}

/// A connection as it may be shown. There is no way from here to what is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// Whose.
    pub owner: UserId,
    /// At which server.
    pub server: ServerName,
    /// Of which kind.
    pub kind: ConnectionKind,
    /// What the account is called.
    pub label: String,
    /// What the provider allowed.
    pub scopes: Vec<String>,
    /// Whether it can be used.
    pub state: ConnectionState,
    /// Why not, or what was wrong the last time it was renewed: a short stable word.
    pub trouble: Option<String>,
    /// When the person connected.
    pub created: Timestamp,
    /// When what is kept was last changed.
    pub changed: Timestamp,
    /// Last use, coarse.
    pub used: Option<Timestamp>,
}

/// A connection with what it holds.
#[derive(Debug)]
pub struct Connection {
    /// What may be shown.
    pub info: ConnectionInfo,
    /// Of what is kept. No two values of a store share one.
    pub version: u64,
    /// What is kept.
    pub value: Secret<Vec<u8>>,
}

/// Something to be taken back at a provider.
#[derive(Debug)]
pub struct Farewell {
    /// Its name.
    pub id: String,
    /// Whose it was.
    pub owner: UserId,
    /// At which server.
    pub server: ServerName,
    /// How often it was tried.
    pub tries: u32,
    /// Since when.
    pub created: Timestamp,
    /// What the connection held.
    pub value: Secret<Vec<u8>>,
}

/// Bytes of one value.
const SIZE: usize = 64 * 1024;
/// Connections of one person.
const PER_OWNER: i64 = 200;
/// Connections that are listed at most.
const LISTED: i64 = 10_000;
/// A use is written down when the last one is so old.
const COARSE: u64 = 3_600_000;
/// How long a provider is told again that a connection is over.
const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 3_600);

const COLUMNS: &str = "SELECT issuer, subject, server, kind, label, scopes, state, trouble, created, changed, used, version, sealed \
                       FROM connections WHERE issuer = $1 AND subject = $2 AND server = $3";

// === impl ConnectionKind, ConnectionState ===

impl ConnectionKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Entered => "entered",
            Self::Granted => "granted",
        }
    }

    fn parse(text: &str) -> Result<Self, ()> {
        match text {
            "entered" => Ok(Self::Entered),
            "granted" => Ok(Self::Granted),
            _ => Err(()),
        }
    }
}

impl ConnectionState {
    /// The word for records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::SignInNeeded => "sign_in_needed",
        }
    }

    fn parse(text: &str) -> Result<Self, ()> {
        match text {
            "works" => Ok(Self::Works),
            "sign_in_needed" => Ok(Self::SignInNeeded),
            _ => Err(()),
        }
    }
}

// === impl Store ===

impl Store {
    /// Keeps an account, in place of any earlier one at this server, and gives the version of what it holds. The epoch rises: nothing that
    /// was read before is used on.
    ///
    /// # Errors
    /// [`Refused::TooMany`] at 200 connections of the person, [`Refused::Unfit`] for a value over 64 KiB or a label that is none,
    /// [`StoreError::Unavailable`]: then nothing was kept.
    pub async fn connect_account(&self, new: &NewConnection<'_>, now: Timestamp) -> Result<u64, StoreError> {
        plain(new.label, "label")?;
        fits(new.value)?;
        let scopes = json_list(new.scopes.iter().map(String::as_str))?;
        let mut tx = self.db().begin().await?;
        tx.lock(owner_lock("connections", new.owner)).await?;
        if let Some(id) = new.replaced {
            self.take_away(&mut tx, (new.owner, new.server), plain(id, "id")?, now).await?;
        }
        end_sessions(&mut tx, (new.owner, new.server), now).await?;
        let version = next_version(&mut tx).await?;
        let sealed = self.sealer().seal(&place("connections", new.owner, &new.server.as_str().as_bytes(), version), new.value.expose())?;
        let sql = "INSERT INTO connections (issuer, subject, server, kind, label, scopes, state, created, changed, version, sealed) \
                   VALUES ($1, $2, $3, $4, $5, $6, 'works', $7, $7, $8, $9) \
                   ON CONFLICT (issuer, subject, server) DO UPDATE SET kind = excluded.kind, label = excluded.label, \
                   scopes = excluded.scopes, state = excluded.state, trouble = NULL, created = excluded.created, \
                   changed = excluded.changed, used = NULL, holder = NULL, held = NULL, version = excluded.version, \
                   sealed = excluded.sealed";
        let [issuer, subject, server] = key(new.owner, new.server);
        let at = Value::int(millis(now)?);
        let values = [
            issuer,
            subject,
            server,
            Value::text(new.kind.as_str()),
            Value::text(new.label),
            Value::text(&scopes),
            at,
            Value::int(version),
            Value::bytes(&sealed),
        ];
        tx.execute(sql, &values).await?;
        let sql = "SELECT COUNT(*) AS n FROM connections WHERE issuer = $1 AND subject = $2";
        let row = tx.row(sql, &[Value::text(new.owner.issuer()), Value::text(new.owner.subject())]).await?;
        if row.map_or(Ok(0), |row| row.column::<i64>("n"))? > PER_OWNER {
            return Err(Refused::TooMany.into());
        }
        raise(&mut tx, "account connected", now).await?;
        tx.commit().await?;
        version_of(version, new.server)
    }

    /// The account of somebody at a server.
    ///
    /// # Errors
    /// [`StoreError::Integrity`] if what is kept does not open in its place: it must not be used.
    pub async fn connection(&self, owner: &UserId, server: &ServerName) -> Result<Option<Connection>, StoreError> {
        let Some(row) = self.db().row(COLUMNS, &key(owner, server)).await? else { return Ok(None) };
        let reading = Reading { row: &row, table: "connections", id: server.to_string() };
        let version = reading.int("version")?;
        let name = server.as_str().as_bytes();
        let place = place("connections", owner, &name, version);
        let value = self.sealer().open(&place, &reading.bytes("sealed")?).map_err(|_| reading.broken("sealed"))?;
        Ok(Some(Connection { info: info(&reading)?, version: version_of(version, server)?, value }))
    }

    /// Since when somebody has the account at a server that they have now, if it can be used: another time is another account. Opens
    /// nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn connected_since(&self, owner: &UserId, server: &ServerName) -> Result<Option<Timestamp>, StoreError> {
        let sql = "SELECT state, created FROM connections WHERE issuer = $1 AND subject = $2 AND server = $3";
        let Some(row) = self.db().row(sql, &key(owner, server)).await? else { return Ok(None) };
        let reading = Reading { row: &row, table: "connections", id: server.to_string() };
        let works = reading.parsed("state", ConnectionState::parse)? == ConnectionState::Works;
        Ok(if works { Some(reading.instant("created")?) } else { None })
    }

    /// Whether there is one. Opens nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn is_connected(&self, owner: &UserId, server: &ServerName) -> Result<bool, StoreError> {
        Ok(self.connected_since(owner, server).await?.is_some())
    }

    /// The accounts of somebody, or of everybody, in the order of their servers; 10,000 at most.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_connections(&self, owner: Option<&UserId>) -> Result<Vec<ConnectionInfo>, StoreError> {
        let rows = match owner {
            Some(owner) => {
                let sql = "SELECT issuer, subject, server, kind, label, scopes, state, trouble, created, changed, used FROM connections \
                           WHERE issuer = $1 AND subject = $2 ORDER BY server LIMIT $3";
                self.db().rows(sql, &[Value::text(owner.issuer()), Value::text(owner.subject()), Value::int(LISTED)]).await?
            }
            None => {
                let sql = "SELECT issuer, subject, server, kind, label, scopes, state, trouble, created, changed, used FROM connections \
                           ORDER BY server, issuer, subject LIMIT $1";
                self.db().rows(sql, &[Value::int(LISTED)]).await?
            }
        };
        rows.iter().map(|row| info(&Reading::named(row, "connections", "server")?)).collect()
    }

    /// Takes what is kept into one hand until `until`, if it still has this version and nobody else holds it: its holder alone renews it.
    ///
    /// # Errors
    /// [`StoreError`]: it is then not held, as far as is known.
    pub async fn hold_connection(
        &self,
        (owner, server): (&UserId, &ServerName),
        version: u64,
        holder: &[u8; 16],
        (now, until): (Timestamp, Timestamp),
    ) -> Result<bool, StoreError> {
        let Ok(version) = i64::try_from(version) else { return Ok(false) };
        let sql = "UPDATE connections SET holder = $5, held = $6 WHERE issuer = $1 AND subject = $2 AND server = $3 AND version = $4 \
                   AND (held IS NULL OR held <= $7 OR holder = $5)";
        let [issuer, subject, server] = key(owner, server);
        let (now, until) = (Value::int(millis(now)?), Value::int(millis(until)?));
        let values = [issuer, subject, server, Value::int(version), Value::bytes(holder), until, now];
        at_most_one(self.db().execute(sql, &values).await?, "connections")
    }

    /// Lets go of it without a change, and says what was wrong.
    ///
    /// # Errors
    /// [`StoreError`]: it is then held until its time is over.
    pub async fn let_go_of_connection(
        &self,
        (owner, server): (&UserId, &ServerName),
        holder: &[u8; 16],
        trouble: &str,
    ) -> Result<(), StoreError> {
        plain(trouble, "trouble")?;
        let sql = "UPDATE connections SET holder = NULL, held = NULL, trouble = $5 \
                   WHERE issuer = $1 AND subject = $2 AND server = $3 AND holder = $4";
        let [issuer, subject, server] = key(owner, server);
        let values = [issuer, subject, server, Value::bytes(holder), Value::text(trouble)];
        self.db().execute(sql, &values).await.map(|_| ())
    }

    /// Replaces what is kept, if it still has the version that was held, and gives the new version: one winner, however many try.
    ///
    /// # Errors
    /// [`StoreError`]: not replaced, as far as is known.
    pub async fn renew_connection(
        &self,
        (owner, server): (&UserId, &ServerName),
        expected: u64,
        (value, scopes): (&Secret<Vec<u8>>, &[String]),
        now: Timestamp,
    ) -> Result<Option<u64>, StoreError> {
        fits(value)?;
        let Ok(expected) = i64::try_from(expected) else { return Ok(None) };
        let scopes = json_list(scopes.iter().map(String::as_str))?;
        let mut tx = self.db().begin().await?;
        // The same order of locks as `connect_account`: owner, counter, row.
        tx.lock(owner_lock("connections", owner)).await?;
        let version = next_version(&mut tx).await?;
        let sealed = self.sealer().seal(&place("connections", owner, &server.as_str().as_bytes(), version), value.expose())?;
        let sql = "UPDATE connections SET version = $4, sealed = $5, scopes = $6, changed = $7, trouble = NULL, holder = NULL, held = NULL \
                   WHERE issuer = $1 AND subject = $2 AND server = $3 AND version = $8";
        let [issuer, subject, name] = key(owner, server);
        let at = Value::int(millis(now)?);
        let values = [issuer, subject, name, Value::int(version), Value::bytes(&sealed), Value::text(&scopes), at, Value::int(expected)];
        let won = at_most_one(tx.execute(sql, &values).await?, "connections")?;
        if !won {
            return Ok(None);
        }
        tx.commit().await?;
        version_of(version, server).map(Some)
    }

    /// Marks a connection as over, if it still has this version, with a short stable word. The epoch rises.
    ///
    /// # Errors
    /// [`StoreError`]: then it is not marked, as far as is known.
    pub async fn connection_is_over(
        &self,
        (owner, server): (&UserId, &ServerName),
        version: u64,
        trouble: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        plain(trouble, "trouble")?;
        let Ok(version) = i64::try_from(version) else { return Ok(false) };
        let mut tx = self.db().begin().await?;
        tx.lock(owner_lock("connections", owner)).await?;
        let sql = "UPDATE connections SET state = 'sign_in_needed', trouble = $5, changed = $6, holder = NULL, held = NULL \
                   WHERE issuer = $1 AND subject = $2 AND server = $3 AND version = $4 AND state = 'works'";
        let [issuer, subject, server] = key(owner, server);
        let values = [issuer, subject, server, Value::int(version), Value::text(trouble), Value::int(millis(now)?)];
        let marked = at_most_one(tx.execute(sql, &values).await?, "connections")?;
        if marked {
            raise(&mut tx, "connection over", now).await?;
            tx.commit().await?;
        }
        Ok(marked)
    }

    /// Writes down that a connection is used, to the hour.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn used_connection(&self, owner: &UserId, server: &ServerName, now: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE connections SET used = $4 WHERE issuer = $1 AND subject = $2 AND server = $3 AND (used IS NULL OR used < $4)";
        let hour = Timestamp::from_millis(now.as_millis() / COARSE * COARSE);
        let [issuer, subject, server] = key(owner, server);
        self.db().execute(sql, &[issuer, subject, server, Value::int(millis(hour)?)]).await.map(|_| ())
    }

    /// Writes down that a program beside the gateway is about to use somebody's account, before it does: for the gateway's record.
    ///
    /// # Errors
    /// [`StoreError`]: it must not be used then.
    pub async fn account_is_used(&self, owner: &UserId, server: &ServerName, why: &str, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.db().begin().await?;
        let epoch = raise(&mut tx, "account used", now).await?;
        let cause = format!("{server}: {why}");
        let deed = Deed { reason: "account_used", user: Some(owner.clone()), client: None, cause, done: now };
        put(&mut tx, epoch, &deed, OnRecord::Later).await?;
        tx.commit().await
    }

    /// Takes a connection away: it cannot be read by anybody from now on. What a provider granted is left under `id`, to be taken back there.
    /// The epoch rises. False where there was none.
    ///
    /// # Errors
    /// [`StoreError`]: then it is still there, as far as is known.
    pub async fn disconnect_account(
        &self,
        (owner, server): (&UserId, &ServerName),
        id: &str,
        on_record: OnRecord,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        plain(id, "id")?;
        let mut tx = self.db().begin().await?;
        tx.lock(owner_lock("connections", owner)).await?;
        let gone = self.take_away(&mut tx, (owner, server), id, now).await?;
        if gone {
            end_sessions(&mut tx, (owner, server), now).await?;
            let epoch = raise(&mut tx, "account disconnected", now).await?;
            let (user, cause) = (Some(owner.clone()), server.to_string());
            let deed = Deed { reason: "account_disconnected", user, client: None, cause, done: now };
            put(&mut tx, epoch, &deed, on_record).await?;
            tx.commit().await?;
        }
        Ok(gone)
    }

    async fn take_away(&self, tx: &mut Tx, (owner, server): (&UserId, &ServerName), id: &str, now: Timestamp) -> Result<bool, StoreError> {
        let Some(row) = tx.row(COLUMNS, &key(owner, server)).await? else { return Ok(false) };
        let reading = Reading { row: &row, table: "connections", id: server.to_string() };
        let kind = reading.parsed("kind", ConnectionKind::parse)?;
        let old = reading.int("version")?;
        let held = self.sealer().open(&place("connections", owner, &server.as_str().as_bytes(), old), &reading.bytes("sealed")?);
        let sql = "DELETE FROM connections WHERE issuer = $1 AND subject = $2 AND server = $3";
        let gone = at_most_one(tx.execute(sql, &key(owner, server)).await?, "connections")?;
        // What does not open can be taken away all the same; there is nothing to take back then.
        if let (ConnectionKind::Granted, Ok(value)) = (kind, held) {
            let version = next_version(tx).await?;
            let sealed = self.sealer().seal(&place("farewells", owner, &id.as_bytes(), version), value.expose())?;
            let sql = "INSERT INTO farewells (id, issuer, subject, server, due, tries, created, version, sealed) \
                       VALUES ($1, $2, $3, $4, $5, 0, $5, $6, $7)";
            let [issuer, subject, server] = key(owner, server);
            let at = Value::int(millis(now)?);
            tx.execute(sql, &[Value::text(id), issuer, subject, server, at, Value::int(version), Value::bytes(&sealed)]).await?;
        }
        Ok(gone)
    }

    /// What is to be taken back at providers now, `most` of it. Whoever takes it has until `until`; after that another one does.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due_farewells(&self, (now, until): (Timestamp, Timestamp), most: i64) -> Result<Vec<Farewell>, StoreError> {
        let sql = "UPDATE farewells SET due = $2, tries = tries + 1 WHERE due <= $1 AND id IN \
                   (SELECT id FROM farewells WHERE due <= $1 ORDER BY due LIMIT $3) \
                   RETURNING id, issuer, subject, server, tries, created, version, sealed";
        let values = [Value::int(millis(now)?), Value::int(millis(until)?), Value::int(most)];
        let mut found = Vec::new();
        let mut tx = self.db().begin().await?;
        let rows = tx.rows(sql, &values).await?;
        tx.commit().await?;
        for row in rows {
            let reading = Reading::named(&row, "farewells", "id")?;
            match self.farewell(&reading) {
                Ok(farewell) => found.push(farewell),
                // Damaged: nothing can be taken back with it, it would come again each time, and others wait behind it.
                Err(_) => self.farewell_done(&reading.id).await?,
            }
        }
        Ok(found)
    }

    fn farewell(&self, reading: &Reading<'_>) -> Result<Farewell, StoreError> {
        let (owner, version) = (reading.user()?, reading.int("version")?);
        let place = (reading.id.as_bytes(), reading.bytes("sealed")?);
        let value = self.sealer().open(&self::place("farewells", &owner, &place.0, version), &place.1);
        Ok(Farewell {
            id: reading.id.clone(),
            owner,
            server: reading.parsed("server", ServerName::new)?,
            tries: u32::try_from(reading.int("tries")?).unwrap_or(u32::MAX),
            created: reading.instant("created")?,
            value: value.map_err(|_| reading.broken("sealed"))?,
        })
    }

    /// The provider knows, or nobody tells it any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn farewell_done(&self, id: &str) -> Result<(), StoreError> {
        self.db().execute("DELETE FROM farewells WHERE id = $1", &[Value::text(id)]).await.map(|_| ())
    }
}

impl Farewell {
    /// Whether it was tried for so long that it is not tried again: a week.
    #[must_use]
    pub fn is_given_up(&self, now: Timestamp) -> bool {
        now.since(self.created) > REMEMBERED
    }
}

/// With an account end the sessions that were opened with it: what a server knows them by is of that account.
async fn end_sessions(tx: &mut Tx, (owner, server): (&UserId, &ServerName), now: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE sessions SET ended = $4 WHERE issuer = $1 AND subject = $2 AND server = $3 AND ended IS NULL";
    let [issuer, subject, server] = key(owner, server);
    tx.execute(sql, &[issuer, subject, server, Value::int(millis(now)?)]).await.map(|_| ())
}

fn info(reading: &Reading<'_>) -> Result<ConnectionInfo, StoreError> {
    Ok(ConnectionInfo {
        owner: reading.user()?,
        server: reading.parsed("server", ServerName::new)?,
        kind: reading.parsed("kind", ConnectionKind::parse)?,
        label: reading.text("label")?,
        scopes: reading.list("scopes", |text| Ok::<_, ()>(text.to_owned()))?,
        state: reading.parsed("state", ConnectionState::parse)?,
        trouble: reading.optional_text("trouble")?,
        created: reading.instant("created")?,
        changed: reading.instant("changed")?,
        used: reading.optional_instant("used")?,
    })
}

fn fits(value: &Secret<Vec<u8>>) -> Result<(), StoreError> {
    if value.expose().len() > SIZE { Err(Refused::Unfit("value").into()) } else { Ok(()) }
}

fn key<'a>(owner: &'a UserId, server: &'a ServerName) -> [Value<'a>; 3] {
    [Value::text(owner.issuer()), Value::text(owner.subject()), Value::text(server.as_str())]
}

fn place<'a>(table: &'static str, owner: &'a UserId, row: &'a &'a [u8], version: i64) -> Place<'a> {
    Place { table, column: "sealed", row: std::slice::from_ref(row), owner: (owner.issuer(), owner.subject()), version }
}

fn version_of(version: i64, server: &ServerName) -> Result<u64, StoreError> {
    u64::try_from(version).map_err(|_| StoreError::Integrity { table: "connections", column: "version", id: server.to_string() })
}
