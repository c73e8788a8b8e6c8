//! What users were let see through their clients, as rules call it, for as long as it is remembered. Judges nothing (POL-05).

use crate::Store;
use crate::db::Value;
use crate::error::StoreError;
use crate::rows::{Reading, millis};
use doorward_core::id::{ClientId, SeenLabel, UserId};
use doorward_core::time::Timestamp;
use std::collections::BTreeSet;

/// One label that is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenInfo {
    /// Who was let see it.
    pub user: UserId,
    /// Through which client.
    pub client: ClientId,
    /// What.
    pub label: SeenLabel,
    /// Until when that counts.
    pub until: Timestamp,
}

// === impl Store ===

impl Store {
    /// What this user was let see, through one client or through all of theirs.
    ///
    /// Read from the database each time: what another replica remembered a moment ago counts.
    ///
    /// # Errors
    /// [`StoreError::Integrity`] for a damaged row, [`StoreError::Unavailable`].
    pub async fn seen(&self, user: &UserId, client: Option<&ClientId>, now: Timestamp) -> Result<BTreeSet<SeenLabel>, StoreError> {
        let mut values = vec![Value::text(user.issuer()), Value::text(user.subject()), Value::int(millis(now)?)];
        let rows = match client {
            Some(client) => {
                values.push(Value::text(client.as_str()));
                let sql = "SELECT label FROM seen WHERE issuer = $1 AND subject = $2 AND until > $3 AND client = $4";
                self.db().rows(sql, &values).await?
            }
            None => self.db().rows("SELECT label FROM seen WHERE issuer = $1 AND subject = $2 AND until > $3", &values).await?,
        };
        rows.iter().map(|row| Reading::named(row, "seen", "label").and_then(|reading| reading.parsed("label", SeenLabel::new))).collect()
    }

    /// Remembers what a user is about to see through a client. What is remembered for longer already stays so.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]: none of it is remembered.
    pub async fn remember_seen(
        &self,
        user: &UserId,
        client: &ClientId,
        labels: &BTreeSet<SeenLabel>,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO seen (issuer, subject, client, label, until) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (issuer, subject, client, label) DO UPDATE SET until = excluded.until WHERE seen.until < excluded.until";
        let mut tx = self.db().begin().await?;
        for label in labels {
            let values = [
                Value::text(user.issuer()),
                Value::text(user.subject()),
                Value::text(client.as_str()),
                Value::text(label.as_str()),
                Value::int(millis(until)?),
            ];
            tx.execute(sql, &values).await?;
        }
        tx.commit().await
    }

    /// What is remembered of one user or of all, by user, client and label, at most 10,000.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_seen(&self, user: Option<&UserId>, now: Timestamp) -> Result<Vec<SeenInfo>, StoreError> {
        let rows = match user {
            Some(user) => {
                let sql = "SELECT issuer, subject, client, label, until FROM seen WHERE until > $1 AND issuer = $2 AND subject = $3 \
                           ORDER BY client, label LIMIT 10000";
                self.db().rows(sql, &[Value::int(millis(now)?), Value::text(user.issuer()), Value::text(user.subject())]).await?
            }
            None => {
                let sql = "SELECT issuer, subject, client, label, until FROM seen WHERE until > $1 \
                           ORDER BY issuer, subject, client, label LIMIT 10000";
                self.db().rows(sql, &[Value::int(millis(now)?)]).await?
            }
        };
        let info = |row| {
            let reading = Reading::named(row, "seen", "label")?;
            let (client, label) = (reading.parsed("client", ClientId::new)?, reading.parsed("label", SeenLabel::new)?);
            Ok(SeenInfo { user: reading.user()?, client, label, until: reading.instant("until")? })
        };
        rows.iter().map(info).collect()
    }

    /// Forgets what a user was let see, through one client or through all of theirs. How many labels that were.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget_seen(&self, user: &UserId, client: Option<&ClientId>) -> Result<u64, StoreError> {
        let mut values = vec![Value::text(user.issuer()), Value::text(user.subject())];
        match client {
            Some(client) => {
                values.push(Value::text(client.as_str()));
                self.db().execute("DELETE FROM seen WHERE issuer = $1 AND subject = $2 AND client = $3", &values).await
            }
            None => self.db().execute("DELETE FROM seen WHERE issuer = $1 AND subject = $2", &values).await,
        }
    }
}
