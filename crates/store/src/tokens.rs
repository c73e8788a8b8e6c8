//! OAuth access tokens by digest. Their credential id is the grant: a revocation ends every token of it.

use crate::Store;
use crate::credentials::{Columns, record};
use crate::db::{Tx, Value};
use crate::epoch::raise;
use crate::error::{Refused, StoreError};
use crate::exchanged::{delegation, end_exchanged};
use crate::rows::{Reading, json_list, millis};
use crate::users::{hold, insert};
use doorward_core::id::{AgentLabel, ClientId, CredentialId};
use doorward_core::identity::caller::Standing;
use doorward_core::identity::caller::{Level, Record};
use doorward_core::oauth::dpop::Thumbprint;
use doorward_core::secret::{AccessToken, TokenHash};
use doorward_core::time::Timestamp;
use std::sync::Arc;

/// Tokens of one user that the sweep has not taken yet. What was exchanged for them has a number of its own.
const TOKENS_PER_USER: i64 = 10_000;

const SELECT: &str = "SELECT t.id, t.level, t.client, t.issuer, t.subject, t.agent, t.audience_kind, t.audience, t.granted, t.expires, \
                      t.revoked, t.jkt, t.parent, t.via, u.member_of, u.disabled FROM access_tokens t \
                      JOIN users u ON u.issuer = t.issuer AND u.subject = t.subject WHERE t.hash = $1";

// === impl Store ===

impl Store {
    /// Records a token just minted. Its user is recorded too if new; groups of the record count only then.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] for a digest that exists, [`Refused::TooMany`] at 10,000 tokens of the user,
    /// [`Refused::Unfit`] for a record of a static key or one already revoked.
    pub async fn put_access_token(&self, hash: &TokenHash<AccessToken>, new: &Record, now: Timestamp) -> Result<(), StoreError> {
        let columns = Columns::of(new)?;
        let mut tx = self.db().begin().await?;
        insert(&mut tx, &new.user, &columns.groups, now).await?;
        put(&mut tx, hash, new, &columns, now).await?;
        tx.commit().await
    }

    /// Records a token of a client that acts for itself: none for one whom an administrator disabled.
    ///
    /// # Errors
    /// Those of [`Self::put_access_token`].
    pub async fn issue_to_client(&self, hash: &TokenHash<AccessToken>, new: &Record, now: Timestamp) -> Result<Standing, StoreError> {
        let columns = Columns::of(new)?;
        let mut tx = self.db().begin().await?;
        insert(&mut tx, &new.user, &columns.groups, now).await?;
        let owner = [Value::text(new.user.issuer()), Value::text(new.user.subject())];
        let sql = "SELECT 1 AS one FROM users WHERE issuer = $1 AND subject = $2 AND disabled IS NULL";
        if tx.row(sql, &owner).await?.is_none() {
            return Ok(Standing::Disabled);
        }
        put(&mut tx, hash, new, &columns, now).await?;
        tx.commit().await?;
        Ok(Standing::Good)
    }

    /// What is known under the digest of a presented token, whether it still counts or not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn access_token(&self, hash: &TokenHash<AccessToken>) -> Result<Option<Arc<Record>>, StoreError> {
        let Some(row) = self.db().row(SELECT, &[Value::bytes(hash.as_bytes())]).await? else { return Ok(None) };
        let reading = Reading::digested(&row, "access_tokens", hash.as_bytes());
        let credential = reading.parsed("id", CredentialId::new)?;
        let client = reading.parsed("client", ClientId::new)?;
        let level = reading.parsed("level", |text| level_of(text).ok_or(()))?;
        let bound = reading.optional_digest("jkt")?.map(Thumbprint::from_stored);
        let delegation = delegation(&reading)?;
        record(&reading, credential, level, client).map(|record| Some(Arc::new(Record { bound, delegation, ..record })))
    }

    /// Revokes every token of a grant and raises the epoch in the same transaction. True if one was there and not revoked before.
    ///
    /// # Errors
    /// [`StoreError`]: the tokens then still count.
    pub async fn revoke_access_token(&self, id: &CredentialId, now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.db().begin().await?;
        let sql = "UPDATE access_tokens SET revoked = $2 WHERE id = $1 AND revoked IS NULL";
        let changed = tx.execute(sql, &[Value::text(id.as_str()), Value::int(millis(now)?)]).await? > 0;
        if end_exchanged(&mut tx, id, now).await? || changed {
            raise(&mut tx, "access token revoked", now).await?;
        }
        tx.commit().await?;
        Ok(changed)
    }
}

/// Records a token of a known user.
pub(crate) async fn put(
    tx: &mut Tx,
    hash: &TokenHash<AccessToken>,
    new: &Record,
    columns: &Columns,
    now: Timestamp,
) -> Result<(), StoreError> {
    let level = level_name(new.level).ok_or(Refused::Unfit("level"))?;
    hold(tx, &new.user).await?; // so that the count stays true
    let owner = [Value::text(new.user.issuer()), Value::text(new.user.subject())];
    let count = tx.row("SELECT COUNT(*) AS n FROM access_tokens WHERE issuer = $1 AND subject = $2 AND parent IS NULL", &owner).await?;
    if count.map_or(Ok(0), |row| row.column::<i64>("n"))? >= TOKENS_PER_USER {
        return Err(Refused::TooMany.into());
    }
    let sql = "INSERT INTO access_tokens \
               (hash, id, level, issuer, subject, client, agent, audience_kind, audience, granted, created, expires, jkt, parent, via) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
    let via = new.delegation.as_ref().map(|delegation| json_list(delegation.via.iter().map(ClientId::as_str))).transpose()?;
    let values = [
        Value::bytes(hash.as_bytes()),
        Value::text(new.credential.as_str()),
        Value::text(level),
        Value::text(new.user.issuer()),
        Value::text(new.user.subject()),
        Value::text(new.client.as_str()),
        Value::Text(new.agent.as_ref().map(AgentLabel::as_str)),
        Value::text(columns.audience_kind),
        Value::text(&columns.audience),
        Value::text(&columns.granted),
        Value::int(millis(now)?),
        Value::int(millis(new.expires)?),
        Value::Bytes(new.bound.as_ref().map(|key| key.as_bytes().as_slice())),
        Value::Text(new.delegation.as_ref().map(|delegation| delegation.parent.as_str())),
        Value::Text(via.as_deref()),
    ];
    tx.execute(sql, &values).await.map(|_| ())
}

/// A static key is no access token.
const fn level_name(level: Level) -> Option<&'static str> {
    match level {
        Level::StaticKey => None,
        Level::OAuth => Some("oauth"),
        Level::Cloud => Some("cloud"),
        Level::Impersonation => Some("impersonation"),
    }
}

fn level_of(text: &str) -> Option<Level> {
    [Level::OAuth, Level::Cloud, Level::Impersonation].into_iter().find(|level| level_name(*level) == Some(text))
}
