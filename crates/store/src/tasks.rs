//! MCP tasks: which upstream task an id of the gateway stands for, and whose it is. Both ids are sealed; the digest finds the row.

use crate::Store;
use crate::db::{Row, Value};
use crate::error::{Refused, StoreError};
use crate::rows::{Reading, at_most_one, millis};
use crate::seal::Place;
use crate::sessions::{count_below, owner_lock};
use doorward_core::id::{ClientId, CredentialId, ServerName, ToolName, UserId};
use doorward_core::secret::sha256;
use doorward_core::time::Timestamp;
use std::fmt;
use std::time::Duration;

/// A task to record.
#[derive(Clone, PartialEq, Eq)]
pub struct NewTask {
    /// SHA-256 of `gateway_id`.
    pub digest: [u8; 32],
    /// The id that the client holds, 1 to 1,024 bytes. Sealed.
    pub gateway_id: String,
    /// Owner.
    pub user: UserId,
    /// Owner's client.
    pub client: ClientId,
    /// The credential under which it was started.
    pub credential: CredentialId,
    /// The server that runs it.
    pub server: ServerName,
    /// The tool that was called, as its server names it.
    pub tool: ToolName,
    /// The id that the server gave, 1 to 1,024 bytes. Sealed.
    pub upstream_id: String,
    /// Started at.
    pub created: Timestamp,
    /// When the server forgets it; without, the gateway forgets it seven days after the start.
    pub expires: Option<Timestamp>,
}

/// A task as its owner may see it listed.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredTask {
    /// The id that the client holds.
    pub gateway_id: String,
    /// The id that the server gave.
    pub upstream_id: String,
    /// The tool that was called.
    pub tool: ToolName,
    /// Started at.
    pub created: Timestamp,
    /// When the server forgets it.
    pub expires: Option<Timestamp>,
    /// When it was seen to be over, and how it ended.
    pub ended: Option<(Timestamp, TaskEnd)>,
}

/// How a task ended: the statuses after which it does not change (MCP 2025-11-25, tasks, "Task Status Lifecycle").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskEnd {
    /// With a result.
    Completed,
    /// With an error.
    Failed,
    /// By its requestor.
    Cancelled,
}

/// Who says how a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Its server, in a status.
    Said,
    /// Nobody in words: it was cancelled, or its result was read.
    Assumed,
}

impl TaskEnd {
    /// The status on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The end with this name.
    #[must_use]
    pub fn parse(status: &str) -> Option<Self> {
        [Self::Completed, Self::Failed, Self::Cancelled].into_iter().find(|end| end.as_str() == status)
    }
}

/// Life of a task whose server names none.
pub const LIFE: Duration = Duration::from_secs(7 * 24 * 3_600);
const ID: usize = 1_024;
/// Tasks of one user that are over and stay for their results; of more, those that ended first go.
const KEPT_ENDED: i64 = 1_000;

// === impl Store ===

impl Store {
    /// Records a task if its owner has fewer than `cap_per_user` that are not over, expired ones included until the sweep takes
    /// them.
    ///
    /// # Errors
    /// [`Refused::TooMany`] at the cap, [`StoreError::Conflict`] for a digest that exists, [`Refused::Unfit`] for an id of
    /// another length or a digest that is not the one of the gateway's id.
    pub async fn put_task(&self, new: &NewTask, cap_per_user: u32) -> Result<(), StoreError> {
        if sha256(new.gateway_id.as_bytes()) != new.digest {
            return Err(Refused::Unfit("digest").into());
        }
        if !(1..=ID).contains(&new.gateway_id.len()) || !(1..=ID).contains(&new.upstream_id.len()) {
            return Err(Refused::Unfit("task id").into());
        }
        let owner = Owner { user: &new.user, client: &new.client, credential: &new.credential, server: &new.server };
        let gateway_id = owner.placed(&new.digest, "gateway_id", |place| self.sealer().seal(place, new.gateway_id.as_bytes()))?;
        let upstream_id = owner.placed(&new.digest, "upstream_id", |place| self.sealer().seal(place, new.upstream_id.as_bytes()))?;
        let mut tx = self.db().begin().await?;
        tx.lock(owner_lock("tasks", &new.user)).await?;
        let sql = "SELECT COUNT(*) AS n FROM tasks WHERE issuer = $1 AND subject = $2 AND ended IS NULL";
        count_below(&mut tx, sql, &new.user, cap_per_user).await?;
        let sql = "DELETE FROM tasks WHERE digest IN (SELECT digest FROM tasks WHERE issuer = $1 AND subject = $2 AND ended IS NOT NULL \
                   ORDER BY ended DESC, digest LIMIT 1000 OFFSET $3)";
        tx.execute(sql, &[Value::text(new.user.issuer()), Value::text(new.user.subject()), Value::int(KEPT_ENDED)]).await?;
        let sql = "INSERT INTO tasks \
                   (digest, issuer, subject, client, credential, server, tool, gateway_id, upstream_id, created, expires, swept_from) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
        let values = [
            Value::bytes(&new.digest),
            Value::text(new.user.issuer()),
            Value::text(new.user.subject()),
            Value::text(new.client.as_str()),
            Value::text(new.credential.as_str()),
            Value::text(new.server.as_str()),
            Value::text(new.tool.as_str()),
            Value::bytes(&gateway_id),
            Value::bytes(&upstream_id),
            Value::int(millis(new.created)?),
            Value::Int(new.expires.map(millis).transpose()?),
            Value::int(millis(new.expires.unwrap_or_else(|| new.created.after(LIFE)))?),
        ];
        tx.execute(sql, &values).await?;
        tx.commit().await
    }

    /// A task of exactly this user, client, credential and server. Foreign and absent look the same.
    ///
    /// # Errors
    /// [`StoreError::Integrity`] if it does not open, [`StoreError::Unavailable`].
    pub async fn task(
        &self,
        digest: &[u8; 32],
        user: &UserId,
        client: &ClientId,
        credential: &CredentialId,
        server: &ServerName,
    ) -> Result<Option<StoredTask>, StoreError> {
        let owner = Owner { user, client, credential, server };
        let sql = "SELECT digest, tool, gateway_id, upstream_id, created, expires, ended, status FROM tasks \
                   WHERE issuer = $1 AND subject = $2 AND client = $3 AND credential = $4 AND server = $5 AND digest = $6";
        let [a, b, c, d, e] = owner.values();
        let row = self.db().row(sql, &[a, b, c, d, e, Value::bytes(digest)]).await?;
        row.map(|row| self.read_task(&row, &owner)).transpose()
    }

    /// The tasks of exactly this user, client, credential and server, oldest first, at most 10,000.
    ///
    /// # Errors
    /// [`StoreError::Integrity`] if one does not open, [`StoreError::Unavailable`].
    pub async fn tasks_of(
        &self,
        user: &UserId,
        client: &ClientId,
        credential: &CredentialId,
        server: &ServerName,
    ) -> Result<Vec<StoredTask>, StoreError> {
        let owner = Owner { user, client, credential, server };
        let sql = "SELECT digest, tool, gateway_id, upstream_id, created, expires, ended, status FROM tasks \
                   WHERE issuer = $1 AND subject = $2 AND client = $3 AND credential = $4 AND server = $5 \
                   ORDER BY created, digest LIMIT 10000";
        self.db().rows(sql, &owner.values()).await?.iter().map(|row| self.read_task(row, &owner)).collect()
    }

    /// How many tasks of this user are not over, counted up to `most`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn running_tasks(&self, user: &UserId, most: u32) -> Result<u32, StoreError> {
        let sql = "SELECT COUNT(*) AS n FROM (SELECT 1 AS one FROM tasks \
                   WHERE issuer = $1 AND subject = $2 AND ended IS NULL LIMIT $3) AS running";
        let values = [Value::text(user.issuer()), Value::text(user.subject()), Value::int(i64::from(most))];
        let count = self.db().row(sql, &values).await?.map_or(Ok(0), |row| row.column::<i64>("n"))?;
        Ok(u32::try_from(count).unwrap_or(most))
    }

    /// Notes that a task of this user is over: it counts no more, and is there for its result as long as before. What its server says
    /// goes before what was assumed. False where there is no such task, or nothing new of it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_task(
        &self,
        digest: &[u8; 32],
        user: &UserId,
        (how, word): (TaskEnd, Word),
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = match word {
            Word::Assumed => {
                "UPDATE tasks SET ended = $4, status = $5 WHERE digest = $1 AND issuer = $2 AND subject = $3 AND ended IS NULL"
            }
            Word::Said => {
                "UPDATE tasks SET ended = COALESCE(ended, $4), status = $5 WHERE digest = $1 AND issuer = $2 AND subject = $3 \
                 AND (ended IS NULL OR status IS NULL OR status <> $5)"
            }
        };
        let (issuer, subject) = (Value::text(user.issuer()), Value::text(user.subject()));
        let values = [Value::bytes(digest), issuer, subject, Value::int(millis(now)?), Value::text(how.as_str())];
        at_most_one(self.db().execute(sql, &values).await?, "tasks")
    }

    fn read_task(&self, row: &Row, owner: &Owner<'_>) -> Result<StoredTask, StoreError> {
        let digest: Vec<u8> = row.column("digest")?;
        let reading = Reading::digested(row, "tasks", &digest);
        let open = |column| {
            let sealed = reading.bytes(column)?;
            let plain = owner.placed(&digest, column, |place| self.sealer().open(place, &sealed));
            let plain = plain.map_err(|_| reading.broken(column))?;
            std::str::from_utf8(plain.expose()).map(str::to_owned).map_err(|_| reading.broken(column))
        };
        let gateway_id = open("gateway_id")?;
        if sha256(gateway_id.as_bytes()) != reading.digest("digest")? {
            return Err(reading.broken("gateway_id"));
        }
        let status: Option<String> = row.column("status")?;
        let how = match status.as_deref() {
            None => TaskEnd::Completed,
            Some(status) => TaskEnd::parse(status).ok_or_else(|| reading.broken("status"))?,
        };
        Ok(StoredTask {
            gateway_id,
            upstream_id: open("upstream_id")?,
            tool: ToolName::new(&row.column::<String>("tool")?).map_err(|_| reading.broken("tool"))?,
            created: reading.instant("created")?,
            expires: reading.optional_instant("expires")?,
            ended: reading.optional_instant("ended")?.map(|at| (at, how)),
        })
    }
}

/// Whose task, and where it runs.
struct Owner<'a> {
    user: &'a UserId,
    client: &'a ClientId,
    credential: &'a CredentialId,
    server: &'a ServerName,
}

impl Owner<'_> {
    fn values(&self) -> [Value<'_>; 5] {
        [
            Value::text(self.user.issuer()),
            Value::text(self.user.subject()),
            Value::text(self.client.as_str()),
            Value::text(self.credential.as_str()),
            Value::text(self.server.as_str()),
        ]
    }

    fn placed<T>(&self, digest: &[u8], column: &'static str, act: impl FnOnce(&Place<'_>) -> T) -> T {
        let row = [digest, self.client.as_str().as_bytes(), self.credential.as_str().as_bytes(), self.server.as_str().as_bytes()];
        act(&Place { table: "tasks", column, row: &row, owner: (self.user.issuer(), self.user.subject()), version: 1 })
    }
}

/// Whoever holds an id can use the task: neither is printed.
impl fmt::Debug for NewTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewTask").field("user", &self.user).field("server", &self.server).finish_non_exhaustive()
    }
}

impl fmt::Debug for StoredTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredTask").field("created", &self.created).field("expires", &self.expires).finish_non_exhaustive()
    }
}
