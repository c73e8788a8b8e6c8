//! Clients as the store knows them: by what they were given. Judges none, and changes nothing.

use crate::Store;
use crate::db::Value;
use crate::error::StoreError;
use crate::granted::{GrantInfo, info};
use crate::rows::{Reading, millis};
use doorward_core::id::ClientId;
use doorward_core::time::Timestamp;
use std::collections::BTreeMap;

/// What a client was given, in sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownClient {
    /// Its id.
    pub client: ClientId,
    /// Name and identity as the consent page had them the last time; none for one that nobody was asked about.
    pub shown: Option<(String, String)>,
    /// The first consent or token that is still kept.
    pub since: Timestamp,
    /// When a token of it was last fetched, as far as it is known.
    pub used: Option<Timestamp>,
    /// Consents that count now.
    pub consents: u64,
}

// === impl Store ===

impl Store {
    /// Every client that has a consent or a token, or had one that is not swept yet, by id; at most 10,000 of each.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn known_clients(&self, now: Timestamp) -> Result<Vec<KnownClient>, StoreError> {
        let mut known = BTreeMap::new();
        let sql = "SELECT client, MIN(created) AS first, MAX(used) AS used, COUNT(CASE WHEN revoked IS NULL AND \
                   (expires IS NULL OR expires > $1) THEN 1 END) AS n FROM grants GROUP BY client ORDER BY client LIMIT 10000";
        for row in self.db().rows(sql, &[Value::int(millis(now)?)]).await? {
            let reading = Reading::named(&row, "grants", "client")?;
            let client = reading.parsed("client", ClientId::new)?;
            let (since, used) = (reading.instant("first")?, reading.optional_instant("used")?);
            let consents = u64::try_from(reading.int("n")?).unwrap_or(0);
            known.insert(client.clone(), KnownClient { client, shown: None, since, used, consents });
        }
        let sql = "SELECT g.client, g.name, g.identity FROM grants g JOIN (SELECT client, MAX(created) AS latest FROM grants GROUP BY client) l \
                   ON l.client = g.client AND l.latest = g.created ORDER BY g.client, g.id LIMIT 10000";
        for row in self.db().rows(sql, &[]).await? {
            let reading = Reading::named(&row, "grants", "client")?;
            if let Some(known) = known.get_mut(&reading.parsed("client", ClientId::new)?) {
                known.shown = Some((reading.text("name")?, reading.text("identity")?));
            }
        }
        let sql =
            "SELECT client, MIN(created) AS first, MAX(created) AS used FROM access_tokens GROUP BY client ORDER BY client LIMIT 10000";
        for row in self.db().rows(sql, &[]).await? {
            let reading = Reading::named(&row, "access_tokens", "client")?;
            let client = reading.parsed("client", ClientId::new)?;
            let (since, used) = (reading.instant("first")?, reading.optional_instant("used")?);
            let entry = known.entry(client.clone()).or_insert(KnownClient { client, shown: None, since, used, consents: 0 });
            (entry.since, entry.used) = (entry.since.min(since), entry.used.max(used));
        }
        Ok(known.into_values().collect())
    }

    /// The consents of a client that count, newest first, at most 1,000.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn grants_of_client(&self, client: &ClientId, now: Timestamp) -> Result<Vec<GrantInfo>, StoreError> {
        let sql = "SELECT g.*, u.member_of, u.disabled FROM grants g JOIN users u ON u.issuer = g.issuer AND u.subject = g.subject \
                   WHERE g.client = $1 AND g.revoked IS NULL AND (g.expires IS NULL OR g.expires > $2) \
                   ORDER BY g.created DESC, g.id LIMIT 1000";
        let rows = self.db().rows(sql, &[Value::text(client.as_str()), Value::int(millis(now)?)]).await?;
        rows.iter().map(|row| Reading::named(row, "grants", "id").and_then(|reading| info(&reading))).collect()
    }

    /// The client ids of which there is a document that was read here, with when it was.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn read_documents(&self) -> Result<Vec<(ClientId, Timestamp)>, StoreError> {
        let sql = "SELECT url, checked FROM client_documents WHERE document IS NOT NULL ORDER BY url LIMIT 1000";
        let rows = self.db().rows(sql, &[]).await?;
        let read = |row| {
            let reading = Reading::named(row, "client_documents", "url")?;
            Ok((reading.parsed("url", ClientId::new)?, reading.instant("checked")?))
        };
        rows.iter().map(read).collect()
    }
}
