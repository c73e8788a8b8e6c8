//! Attempts of clients to connect, for people to read (P23). Each is of one user or of nobody; both are bounded in number, oldest first out,
//! and every text in size. Proves nothing: no decision asks here.

use crate::Store;
use crate::db::{Tx, Value};
use crate::error::StoreError;
use crate::rows::{Reading, at_most_one, millis};
use doorward_core::id::{ClientId, CredentialId, ServerName, UserId};
use doorward_core::oauth::attempt::{AttemptId, Mark, Way};
use doorward_core::secret::{AuthorizationCode, TokenHash, sha256};
use doorward_core::time::Timestamp;

/// What is told of an attempt.
#[derive(Debug, Clone)]
pub struct NewAttempt {
    /// Which. It is of this user or of nobody: the id of one is never that of another.
    pub id: AttemptId,
    /// Whose.
    pub user: Option<UserId>,
    /// Who asks, as far as it is known.
    pub client: Option<Named>,
    /// For which server.
    pub server: Option<ServerName>,
    /// From where, for what is nobody's: at most 64 bytes of it are kept, and of one address [`OF_ADDRESS`] attempts.
    pub peer: Option<String>,
    /// The consent that came of it.
    pub grant: Option<CredentialId>,
    /// What happened, in order.
    pub marks: Vec<Mark>,
    /// Nobody's attempts that were this one: their steps come with it, and they are gone.
    pub takes: Vec<AttemptId>,
}

/// A client by its own words and by who vouches for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its id, by its own word until somebody vouches.
    pub id: ClientId,
    /// What it calls itself: the first 60 characters without controls are kept.
    pub name: Option<String>,
    /// `published`, `approved` or `self-claimed`; `None` where nobody looked.
    pub identity: Option<&'static str>,
}

/// Which attempt a later step belongs to.
#[derive(Debug, Clone)]
pub enum HeardOf {
    /// The one that this consent came of.
    Grant(CredentialId),
    /// The one that this code was given for.
    Code(TokenHash<AuthorizationCode>),
}

/// An attempt as it may be shown to its owner and to an administrator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its id.
    pub id: AttemptId,
    /// Whose; `None` is nobody's.
    pub user: Option<UserId>,
    /// The id that the client gave.
    pub client: Option<ClientId>,
    /// What the client calls itself.
    pub name: Option<String>,
    /// Who vouches for that: `published`, `approved`, `self-claimed`.
    pub identity: Option<String>,
    /// For which server.
    pub server: Option<ServerName>,
    /// From which address, if it is nobody's.
    pub peer: Option<String>,
    /// The consent that came of it.
    pub grant: Option<CredentialId>,
    /// Its steps.
    pub way: Way,
    /// When it was first heard of.
    pub begun: Timestamp,
    /// When it was last heard of.
    pub last: Timestamp,
}

/// Attempts of one user that are kept.
const OF_USER: i64 = 50;
/// Attempts of nobody that are kept, all together.
const OF_NOBODY: i64 = 500;
/// Of those, from one address.
const OF_ADDRESS: i64 = 20;
/// Attempts that are listed at once.
const LISTED: i64 = 10_000;
/// Two replicas that tell of the same attempt at once: who comes second finds the row of the first.
const ROUNDS: usize = 2;

// === impl Store ===

impl Store {
    /// Keeps what is told of an attempt, and drops the oldest beyond what its owner has room for. In one transaction.
    ///
    /// # Errors
    /// [`StoreError`]: nothing is kept, and nothing else is wrong.
    pub async fn tell_attempt(&self, new: &NewAttempt) -> Result<(), StoreError> {
        let Some(last) = new.marks.iter().map(Mark::at).max() else { return Ok(()) };
        let mut tx = self.db().begin().await?;
        let mut marks = Vec::new();
        for id in &new.takes {
            let sql = "DELETE FROM attempts WHERE id = $1 AND issuer IS NULL RETURNING id, steps";
            if let Some(row) = tx.row(sql, &[Value::text(&id.to_string())]).await? {
                marks.extend(way(&Reading::named(&row, "attempts", "id")?)?.marks().iter().cloned());
            }
        }
        marks.extend(new.marks.iter().cloned());
        for _ in 0..ROUNDS {
            if added(&mut tx, new, (&marks, last)).await? || begun(&mut tx, new, (&marks, last)).await? {
                break;
            }
        }
        match &new.user {
            Some(user) => {
                let sql = "DELETE FROM attempts WHERE issuer = $1 AND subject = $2 AND id NOT IN \
                           (SELECT id FROM attempts WHERE issuer = $1 AND subject = $2 ORDER BY last DESC, id LIMIT $3)";
                tx.execute(sql, &[Value::text(user.issuer()), Value::text(user.subject()), Value::int(OF_USER)]).await?;
            }
            None => {
                let sql = "DELETE FROM attempts WHERE issuer IS NULL AND peer = $1 AND id NOT IN \
                           (SELECT id FROM attempts WHERE issuer IS NULL AND peer = $1 ORDER BY last DESC, id LIMIT $2)";
                tx.execute(sql, &[Value::text(&new.address()), Value::int(OF_ADDRESS)]).await?;
                let sql = "DELETE FROM attempts WHERE issuer IS NULL AND id NOT IN \
                           (SELECT id FROM attempts WHERE issuer IS NULL ORDER BY last DESC, id LIMIT $1)";
                tx.execute(sql, &[Value::int(OF_NOBODY)]).await?;
            }
        }
        tx.commit().await
    }

    /// Adds a step to the attempt that it belongs to. False if there is none.
    ///
    /// # Errors
    /// [`StoreError`]: nothing is kept.
    pub async fn tell_more(&self, of: &HeardOf, mark: &Mark) -> Result<bool, StoreError> {
        let grant = match of {
            HeardOf::Grant(id) => id.to_string(),
            HeardOf::Code(hash) => {
                let sql = "SELECT grant_id FROM codes WHERE hash = $1";
                match self.db().row(sql, &[Value::bytes(hash.as_bytes())]).await? {
                    Some(row) => row.column("grant_id")?,
                    None => return Ok(false),
                }
            }
        };
        // Most consents have none, or an older one that is gone: looked up without the writer.
        let sql = "SELECT 1 AS one FROM attempts WHERE grant_id = $1";
        if self.db().row(sql, &[Value::text(&grant)]).await?.is_none() {
            return Ok(false);
        }
        let mut tx = self.db().begin().await?;
        let sql = "UPDATE attempts SET last = last WHERE grant_id = $1 RETURNING id, steps";
        let Some(row) = tx.row(sql, &[Value::text(&grant)]).await? else { return Ok(false) };
        let reading = Reading::named(&row, "attempts", "id")?;
        let mut way = way(&reading)?;
        way.add(mark.clone());
        let sql = "UPDATE attempts SET steps = $2, last = CASE WHEN last < $3 THEN $3 ELSE last END WHERE id = $1";
        tx.execute(sql, &[Value::text(&reading.id), Value::text(&way.to_string()), Value::int(millis(mark.at())?)]).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The attempts of a user, the latest first, at most [`OF_USER`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn attempts_of(&self, user: &UserId) -> Result<Vec<Attempt>, StoreError> {
        let sql = "SELECT id, issuer, subject, client, name, identity, server, peer, grant_id, steps, begun, last FROM attempts \
                   WHERE issuer = $1 AND subject = $2 ORDER BY last DESC, id LIMIT $3";
        let values = [Value::text(user.issuer()), Value::text(user.subject()), Value::int(OF_USER)];
        self.db().each(sql, &values, attempt).await
    }

    /// One attempt of a user; that of somebody else, and nobody's, is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn attempt_of(&self, user: &UserId, id: AttemptId) -> Result<Option<Attempt>, StoreError> {
        let sql = "SELECT id, issuer, subject, client, name, identity, server, peer, grant_id, steps, begun, last FROM attempts \
                   WHERE id = $1 AND issuer = $2 AND subject = $3";
        let id = id.to_string();
        let values = [Value::text(&id), Value::text(user.issuer()), Value::text(user.subject())];
        self.db().row(sql, &values).await?.as_ref().map(attempt).transpose()
    }

    /// Every attempt, of nobody too, for an administrator: the latest 10,000 of one client or of all, first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_attempts(&self, client: Option<&[u8; 32]>) -> Result<Vec<Attempt>, StoreError> {
        match client {
            Some(digest) => {
                let sql = "SELECT id, issuer, subject, client, name, identity, server, peer, grant_id, steps, begun, last FROM attempts \
                           WHERE digest = $1 ORDER BY last DESC, id LIMIT $2";
                self.db().each(sql, &[Value::bytes(digest), Value::int(LISTED)], attempt).await
            }
            None => {
                let sql = "SELECT id, issuer, subject, client, name, identity, server, peer, grant_id, steps, begun, last FROM attempts \
                           ORDER BY last DESC, id LIMIT $1";
                self.db().each(sql, &[Value::int(LISTED)], attempt).await
            }
        }
    }

    /// One attempt, whosever it is, for an administrator.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn attempt(&self, id: AttemptId) -> Result<Option<Attempt>, StoreError> {
        let sql = "SELECT id, issuer, subject, client, name, identity, server, peer, grant_id, steps, begun, last FROM attempts \
                   WHERE id = $1";
        self.db().row(sql, &[Value::text(&id.to_string())]).await?.as_ref().map(attempt).transpose()
    }
}

/// Adds to the row that is there. The first statement locks it where writers do not exclude one another.
async fn added(tx: &mut Tx, new: &NewAttempt, (marks, last): (&[Mark], Timestamp)) -> Result<bool, StoreError> {
    let (id, user) = (new.id.to_string(), new.owner());
    let sql = "UPDATE attempts SET last = last WHERE id = $1 AND COALESCE(issuer, '') = $2 AND COALESCE(subject, '') = $3 \
               RETURNING id, steps";
    let Some(row) = tx.row(sql, &[Value::text(&id), Value::text(user.0), Value::text(user.1)]).await? else { return Ok(false) };
    let mut way = way(&Reading::named(&row, "attempts", "id")?)?;
    for mark in marks {
        way.add(mark.clone());
    }
    // What is known by now replaces what was claimed before.
    let sql = "UPDATE attempts SET steps = $2, last = CASE WHEN last < $3 THEN $3 ELSE last END, digest = COALESCE($4, digest), \
               client = COALESCE($5, client), name = COALESCE($6, name), identity = COALESCE($7, identity), \
               server = COALESCE($8, server), grant_id = COALESCE($9, grant_id) WHERE id = $1";
    let (digest, name, client, steps) = (new.digest(), new.name(), new.client.as_ref(), way.to_string());
    let values = [
        Value::text(&id),
        Value::text(&steps),
        Value::int(millis(last)?),
        Value::Bytes(digest.as_ref().map(<[u8; 32]>::as_slice)),
        Value::Text(client.map(|client| client.id.as_str())),
        Value::Text(name.as_deref()),
        Value::Text(client.and_then(|client| client.identity)),
        Value::Text(new.server.as_ref().map(ServerName::as_str)),
        Value::Text(new.grant.as_ref().map(CredentialId::as_str)),
    ];
    at_most_one(tx.execute(sql, &values).await?, "attempts")
}

/// Makes the row. False if another replica made it meanwhile.
async fn begun(tx: &mut Tx, new: &NewAttempt, (marks, last): (&[Mark], Timestamp)) -> Result<bool, StoreError> {
    let mut way = Way::default();
    for mark in marks {
        way.add(mark.clone());
    }
    let first = marks.iter().map(Mark::at).min().unwrap_or(last);
    let sql = "INSERT INTO attempts (id, issuer, subject, digest, client, name, identity, server, peer, grant_id, steps, begun, last) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (id) DO NOTHING";
    let (digest, name, client) = (new.digest(), new.name(), new.client.as_ref());
    let (id, steps, peer) = (new.id.to_string(), way.to_string(), new.address());
    let values = [
        Value::text(&id),
        Value::Text(new.user.as_ref().map(UserId::issuer)),
        Value::Text(new.user.as_ref().map(UserId::subject)),
        Value::Bytes(digest.as_ref().map(<[u8; 32]>::as_slice)),
        Value::Text(client.map(|client| client.id.as_str())),
        Value::Text(name.as_deref()),
        Value::Text(client.and_then(|client| client.identity)),
        Value::Text(new.server.as_ref().map(ServerName::as_str)),
        Value::Text(new.user.is_none().then_some(peer.as_str())),
        Value::Text(new.grant.as_ref().map(CredentialId::as_str)),
        Value::text(&steps),
        Value::int(millis(first)?),
        Value::int(millis(last)?),
    ];
    at_most_one(tx.execute(sql, &values).await?, "attempts")
}

fn way(reading: &Reading<'_>) -> Result<Way, StoreError> {
    Way::parse(&reading.text("steps")?).ok_or_else(|| reading.broken("steps"))
}

fn attempt(row: &crate::db::Row) -> Result<Attempt, StoreError> {
    let reading = Reading::named(row, "attempts", "id")?;
    let user = match reading.optional_text("issuer")? {
        Some(_) => Some(reading.user()?),
        None => None,
    };
    let client = reading.optional_text("client")?;
    let server = reading.optional_text("server")?;
    let grant = reading.optional_text("grant_id")?;
    Ok(Attempt {
        id: AttemptId::parse(&reading.id).ok_or_else(|| reading.broken("id"))?,
        user,
        client: client.map(|id| ClientId::new(&id).map_err(|_| reading.broken("client"))).transpose()?,
        name: reading.optional_text("name")?,
        identity: reading.optional_text("identity")?,
        server: server.map(|name| ServerName::new(&name).map_err(|_| reading.broken("server"))).transpose()?,
        peer: reading.optional_text("peer")?,
        grant: grant.map(|id| CredentialId::new(&id).map_err(|_| reading.broken("grant_id"))).transpose()?,
        way: way(&reading)?,
        begun: reading.instant("begun")?,
        last: reading.instant("last")?,
    })
}

// === impl NewAttempt ===

impl NewAttempt {
    fn owner(&self) -> (&str, &str) {
        self.user.as_ref().map_or(("", ""), |user| (user.issuer(), user.subject()))
    }

    fn digest(&self) -> Option<[u8; 32]> {
        self.client.as_ref().map(|client| sha256(client.id.as_str().as_bytes()))
    }

    fn name(&self) -> Option<String> {
        let name = self.client.as_ref()?.name.as_deref()?;
        let name: String = name.chars().filter(|letter| !letter.is_control()).take(60).collect();
        (!name.trim().is_empty()).then_some(name)
    }

    fn address(&self) -> String {
        self.peer.as_deref().unwrap_or_default().chars().filter(char::is_ascii_graphic).take(64).collect()
    }
}
