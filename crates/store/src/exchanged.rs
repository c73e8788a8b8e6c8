//! Tokens that a client got for those of another one (RFC 8693). They end with what they came from, however far back.

use crate::Store;
use crate::credentials::Columns;
use crate::db::{Tx, Value};
use crate::epoch::raise;
use crate::error::{Refused, StoreError};
use crate::rows::{Reading, at_most_one, millis};
use crate::tokens::put;
use crate::users::hold;
use doorward_core::id::{ClientId, CredentialId};
use doorward_core::identity::caller::Delegation;
use doorward_core::oauth::exchange::{Delegated, LONGEST_CHAIN};
use doorward_core::secret::{AccessToken, TokenHash};
use doorward_core::time::Timestamp;

/// Tokens that one client exchanged of one person: those that still count, and all that the sweep has not taken yet.
const TOKENS_PER_CLIENT: (i64, i64) = (1_000, 10_000);

/// What was exchanged for tokens of a credential, for those, and so on: one statement for each link of the longest chain.
const BELOW: [&str; LONGEST_CHAIN] = [
    "UPDATE access_tokens SET revoked = $2 WHERE revoked IS NULL AND parent = $1",
    "UPDATE access_tokens SET revoked = $2 WHERE revoked IS NULL AND parent IN (SELECT id FROM access_tokens WHERE parent = $1)",
    "UPDATE access_tokens SET revoked = $2 WHERE revoked IS NULL AND parent IN (SELECT id FROM access_tokens WHERE parent IN \
     (SELECT id FROM access_tokens WHERE parent = $1))",
    "UPDATE access_tokens SET revoked = $2 WHERE revoked IS NULL AND parent IN (SELECT id FROM access_tokens WHERE parent IN \
     (SELECT id FROM access_tokens WHERE parent IN (SELECT id FROM access_tokens WHERE parent = $1)))",
];

impl Store {
    /// Ends one access token, if it is of this client, and raises the epoch. The grant stays.
    ///
    /// # Errors
    /// [`StoreError`]: it still counts then.
    pub async fn end_access_token(&self, hash: &TokenHash<AccessToken>, client: &ClientId, now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.db().begin().await?;
        let sql = "UPDATE access_tokens SET revoked = $3 WHERE hash = $1 AND client = $2 AND revoked IS NULL";
        let values = [Value::bytes(hash.as_bytes()), Value::text(client.as_str()), Value::int(millis(now)?)];
        let ended = at_most_one(tx.execute(sql, &values).await?, "access_tokens")?;
        if ended {
            // What others got for it, or for another one of the same consent: nobody told them apart.
            let named = "SELECT id FROM access_tokens WHERE hash = $1";
            if let Some(row) = tx.row(named, &[Value::bytes(hash.as_bytes())]).await? {
                let id = Reading::digested(&row, "access_tokens", hash.as_bytes()).parsed("id", CredentialId::new)?;
                end_exchanged(&mut tx, &id, now).await?;
            }
            raise(&mut tx, "access token revoked", now).await?;
        }
        tx.commit().await?;
        Ok(ended)
    }

    /// Records a token that was exchanged for another one. False if that one counts no more, or its user may not act: nothing is recorded then.
    ///
    /// # Errors
    /// [`Refused::TooMany`] at 1,000 tokens of the person that this client exchanged and that count, or 10,000 that did; [`StoreError::Conflict`] for a digest that exists.
    pub async fn issue_exchanged(&self, hash: &TokenHash<AccessToken>, new: &Delegated, now: Timestamp) -> Result<bool, StoreError> {
        let record = new.record();
        let columns = Columns::of(record)?;
        let mut tx = self.db().begin().await?;
        // The row is held until this is stored, so that whoever ends it sees what came of it.
        let sql = "UPDATE access_tokens SET expires = expires WHERE hash = $1 AND revoked IS NULL AND expires > $2 \
                   AND EXISTS (SELECT 1 FROM users u WHERE u.issuer = access_tokens.issuer AND u.subject = access_tokens.subject \
                   AND u.disabled IS NULL)";
        if tx.execute(sql, &[Value::bytes(new.parent().as_bytes()), Value::int(millis(now)?)]).await? == 0 {
            return Ok(false);
        }
        hold(&mut tx, &record.user).await?; // so that the counts stay true
        // Whatever their keys and scopes: neither is a way around it.
        let sql = "SELECT COUNT(*) AS n, COUNT(CASE WHEN revoked IS NULL AND expires > $4 THEN 1 END) AS living FROM access_tokens \
                   WHERE issuer = $1 AND subject = $2 AND client = $3 AND parent IS NOT NULL";
        let values = [
            Value::text(record.user.issuer()),
            Value::text(record.user.subject()),
            Value::text(record.client.as_str()),
            Value::int(millis(now)?),
        ];
        let (living, all) = match tx.row(sql, &values).await? {
            Some(row) => (row.column::<i64>("living")?, row.column::<i64>("n")?),
            None => (0, 0),
        };
        if living >= TOKENS_PER_CLIENT.0 || all >= TOKENS_PER_CLIENT.1 {
            return Err(Refused::TooMany.into());
        }
        put(&mut tx, hash, record, &columns, now).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// Revokes what was exchanged for tokens of a credential, and what was exchanged for that. True if there was any; the caller raises the epoch.
pub(crate) async fn end_exchanged(tx: &mut Tx, id: &CredentialId, now: Timestamp) -> Result<bool, StoreError> {
    let values = [Value::text(id.as_str()), Value::int(millis(now)?)];
    let mut any = false;
    for sql in BELOW {
        // Until nothing turns up: an exchange under way holds its row, and its token is there for the look after the one that waited.
        while tx.execute(sql, &values).await? > 0 {
            any = true;
        }
    }
    Ok(any)
}

/// Both columns, or neither.
pub(crate) fn delegation(reading: &Reading<'_>) -> Result<Option<Delegation>, StoreError> {
    match (reading.optional_text("parent")?, reading.optional_text("via")?) {
        (None, None) => Ok(None),
        (Some(parent), Some(_)) => {
            let parent = CredentialId::new(&parent).map_err(|_| reading.broken("parent"))?;
            let via: Vec<ClientId> = reading.list("via", ClientId::new)?;
            if via.is_empty() { Err(reading.broken("via")) } else { Ok(Some(Delegation { parent, via })) }
        }
        _ => Err(reading.broken("via")),
    }
}
