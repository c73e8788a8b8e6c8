//! API keys: made, looked up, listed, revoked. Keeps digests only; the key itself never comes here.

use crate::Store;
use crate::db::Value;
use crate::epoch::raise;
use crate::error::{Refused, StoreError};
use crate::rows::{Reading, at_most_one, json_list, millis, plain};
use crate::users::{group_list, hold, insert, standing};
use doorward_core::id::{AgentLabel, ClientId, CredentialId, ServerName, UserId};
use doorward_core::identity::caller::{Audience, Level, Record};
use doorward_core::secret::{ApiKey, TokenHash};
use doorward_core::time::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A key to record. Its record has level [`Level::StaticKey`], client `key:<id>` and is not revoked.
#[derive(Debug)]
pub struct NewApiKey {
    /// Digest of the key.
    pub hash: TokenHash<ApiKey>,
    /// What it stands for. Groups count only if the user is new.
    pub record: Record,
    /// A name for people, 1 to 255 bytes without control characters.
    pub label: String,
    /// When it was made.
    pub created: Timestamp,
}

/// A key as it may be shown. There is no way from here to the key or its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyInfo {
    /// Its id.
    pub id: CredentialId,
    /// Its name.
    pub label: String,
    /// Whose it is.
    pub user: UserId,
    /// `key:<id>`.
    pub client: ClientId,
    /// For which servers.
    pub audience: Audience,
    /// `<server>:<class>` each.
    pub granted: BTreeSet<String>,
    /// Made at.
    pub created: Timestamp,
    /// Ends at.
    pub expires: Timestamp,
    /// Revoked at.
    pub revoked: Option<Timestamp>,
    /// Last use, coarse.
    pub last_used: Option<Timestamp>,
}

/// Keys of one user, revoked and expired ones included until the sweep takes them.
const KEYS_PER_USER: i64 = 1_000;

const SELECT: &str = "SELECT k.id, k.issuer, k.subject, k.agent, k.audience_kind, k.audience, k.granted, k.expires, k.revoked, \
                      u.member_of, u.disabled FROM api_keys k JOIN users u ON u.issuer = k.issuer AND u.subject = k.subject \
                      WHERE k.hash = $1";

// === impl Store ===

impl Store {
    /// Records a key. Its user is recorded too if new.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] for an id or digest that exists, [`Refused::TooMany`] at 1,000 keys of the user,
    /// [`Refused::Unfit`] for a record that is not one of a new static key.
    pub async fn create_api_key(&self, key: &NewApiKey) -> Result<(), StoreError> {
        let record = &key.record;
        plain(&key.label, "label")?;
        if record.level != Level::StaticKey {
            return Err(Refused::Unfit("level").into());
        }
        if record.client != client_of(&record.credential)? {
            return Err(Refused::Unfit("client").into());
        }
        let columns = Columns::of(record)?;
        let mut tx = self.db().begin().await?;
        insert(&mut tx, &record.user, &columns.groups, key.created).await?;
        hold(&mut tx, &record.user).await?; // so that the count stays true
        let owner = [Value::text(record.user.issuer()), Value::text(record.user.subject())];
        let count = tx.row("SELECT COUNT(*) AS n FROM api_keys WHERE issuer = $1 AND subject = $2", &owner).await?;
        if count.map_or(Ok(0), |row| row.column::<i64>("n"))? >= KEYS_PER_USER {
            return Err(Refused::TooMany.into());
        }
        let sql = "INSERT INTO api_keys (id, hash, issuer, subject, label, agent, audience_kind, audience, granted, created, expires) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        let values = [
            Value::text(record.credential.as_str()),
            Value::bytes(key.hash.as_bytes()),
            Value::text(record.user.issuer()),
            Value::text(record.user.subject()),
            Value::text(&key.label),
            Value::Text(record.agent.as_ref().map(AgentLabel::as_str)),
            Value::text(columns.audience_kind),
            Value::text(&columns.audience),
            Value::text(&columns.granted),
            Value::int(millis(key.created)?),
            Value::int(millis(record.expires)?),
        ];
        tx.execute(sql, &values).await?;
        tx.commit().await
    }

    /// What is known under the digest of a presented key, whether it still counts or not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn api_key(&self, hash: &TokenHash<ApiKey>) -> Result<Option<Arc<Record>>, StoreError> {
        let Some(row) = self.db().row(SELECT, &[Value::bytes(hash.as_bytes())]).await? else { return Ok(None) };
        let reading = Reading::named(&row, "api_keys", "id")?;
        let credential = reading.parsed("id", CredentialId::new)?;
        let client = client_of(&credential)?;
        record(&reading, credential, Level::StaticKey, client).map(|record| Some(Arc::new(record)))
    }

    /// Keys of one user or of all, oldest first, at most 10,000.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_api_keys(&self, user: Option<&UserId>) -> Result<Vec<ApiKeyInfo>, StoreError> {
        let rows = match user {
            Some(user) => {
                let sql = "SELECT * FROM api_keys WHERE issuer = $1 AND subject = $2 ORDER BY created, id LIMIT 10000";
                self.db().rows(sql, &[Value::text(user.issuer()), Value::text(user.subject())]).await?
            }
            None => self.db().rows("SELECT * FROM api_keys ORDER BY created, id LIMIT 10000", &[]).await?,
        };
        rows.iter().map(|row| Reading::named(row, "api_keys", "id").and_then(|reading| info(&reading))).collect()
    }

    /// A key by its id, whether it still counts or not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn api_key_info(&self, id: &CredentialId) -> Result<Option<ApiKeyInfo>, StoreError> {
        let row = self.db().row("SELECT * FROM api_keys WHERE id = $1", &[Value::text(id.as_str())]).await?;
        row.map(|row| Reading::named(&row, "api_keys", "id").and_then(|reading| info(&reading))).transpose()
    }

    /// Revokes a key and raises the epoch in the same transaction. True if it was there and not revoked before.
    ///
    /// # Errors
    /// [`StoreError`]: the key then still counts.
    pub async fn revoke_api_key(&self, id: &CredentialId, now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.db().begin().await?;
        let sql = "UPDATE api_keys SET revoked = $2 WHERE id = $1 AND revoked IS NULL";
        let changed = at_most_one(tx.execute(sql, &[Value::text(id.as_str()), Value::int(millis(now)?)]).await?, "api_keys")?;
        if changed {
            raise(&mut tx, "API key revoked", now).await?;
        }
        tx.commit().await?;
        Ok(changed)
    }

    /// Notes a use. The caller decides how coarse; an older time than the one noted changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn touch_api_key(&self, id: &CredentialId, now: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE api_keys SET last_used = $2 WHERE id = $1 AND (last_used IS NULL OR last_used < $2)";
        self.db().execute(sql, &[Value::text(id.as_str()), Value::int(millis(now)?)]).await.map(|_| ())
    }
}

/// The parts of a [`Record`] that are lists, as columns.
pub(crate) struct Columns {
    pub(crate) groups: String,
    pub(crate) audience_kind: &'static str,
    pub(crate) audience: String,
    pub(crate) granted: String,
}

impl Columns {
    /// Refuses a record that is not one of a fresh credential.
    pub(crate) fn of(record: &Record) -> Result<Self, StoreError> {
        if record.revoked.is_some() || record.user_disabled {
            return Err(Refused::Unfit("standing of a new credential").into());
        }
        let (audience_kind, audience) = match &record.audience {
            Audience::Every => ("every", String::from("[]")),
            Audience::Only(servers) if servers.is_empty() => return Err(Refused::Unfit("audience").into()),
            Audience::Only(servers) => ("only", json_list(servers.iter().map(ServerName::as_str))?),
        };
        Ok(Self {
            groups: group_list(&record.groups)?,
            audience_kind,
            audience,
            granted: json_list(record.granted.iter().map(String::as_str))?,
        })
    }
}

/// The columns that keys and tokens have in common, with those of their user.
pub(crate) fn record(reading: &Reading<'_>, credential: CredentialId, level: Level, client: ClientId) -> Result<Record, StoreError> {
    let (groups, user_disabled) = standing(reading)?;
    Ok(Record {
        credential,
        level,
        user: reading.user()?,
        groups,
        client,
        agent: reading.optional_text("agent")?.map(|text| AgentLabel::new(&text)).transpose().map_err(|_| reading.broken("agent"))?,
        audience: audience(reading)?,
        granted: granted(reading)?,
        expires: reading.instant("expires")?,
        revoked: reading.optional_instant("revoked")?,
        user_disabled,
        bound: None,
        delegation: None,
    })
}

/// Every or some: an empty list is never "every", and "every" has no list.
fn audience(reading: &Reading<'_>) -> Result<Audience, StoreError> {
    let servers: BTreeSet<ServerName> = reading.list("audience", ServerName::new)?;
    match (reading.text("audience_kind")?.as_str(), servers.is_empty()) {
        ("every", true) => Ok(Audience::Every),
        ("only", false) => Ok(Audience::Only(servers)),
        _ => Err(reading.broken("audience_kind")),
    }
}

fn granted(reading: &Reading<'_>) -> Result<BTreeSet<String>, StoreError> {
    reading.list("granted", |text| Ok::<_, std::convert::Infallible>(text.to_owned()))
}

fn info(reading: &Reading<'_>) -> Result<ApiKeyInfo, StoreError> {
    let id = reading.parsed("id", CredentialId::new)?;
    Ok(ApiKeyInfo {
        client: client_of(&id)?,
        id,
        label: reading.text("label")?,
        user: reading.user()?,
        audience: audience(reading)?,
        granted: granted(reading)?,
        created: reading.instant("created")?,
        expires: reading.instant("expires")?,
        revoked: reading.optional_instant("revoked")?,
        last_used: reading.optional_instant("last_used")?,
    })
}

/// A key is its own client.
fn client_of(key: &CredentialId) -> Result<ClientId, StoreError> {
    ClientId::new(&format!("key:{key}")).map_err(|_| Refused::Unfit("key id longer than 251 bytes").into())
}
