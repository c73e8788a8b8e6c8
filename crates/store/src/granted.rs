//! What was granted, as it may be shown: to its owner, to an administrator, to the page that asks again. Changes nothing.

use crate::Store;
use crate::db::Value;
use crate::error::{Refused, StoreError};
use crate::rows::{Reading, millis};
use crate::users::standing;
use doorward_core::id::{ClientId, CredentialId, GroupName, ServerName, UserId};
use doorward_core::oauth::dpop::Thumbprint;
use doorward_core::oauth::scope::Scope;
use doorward_core::oauth::standing::{Offer, Standing};
use doorward_core::policy::facts::RiskClass;
use doorward_core::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// A grant as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantInfo {
    /// Its id.
    pub id: CredentialId,
    /// Who allowed it.
    pub user: UserId,
    /// Their groups, as last read.
    pub groups: Vec<GroupName>,
    /// To whom.
    pub client: ClientId,
    /// As the page called it.
    pub name: String,
    /// How it was identified.
    pub identity: String,
    /// Where the answer went.
    pub target: String,
    /// Of which server.
    pub server: ServerName,
    /// What.
    pub granted: BTreeSet<String>,
    /// When.
    pub created: Timestamp,
    /// Until when.
    pub expires: Option<Timestamp>,
    /// When it was taken back.
    pub revoked: Option<Timestamp>,
    /// When a token of it was last fetched.
    pub used: Option<Timestamp>,
    /// The key that its tokens are bound to.
    pub bound: Option<Thumbprint>,
}

pub(crate) const GRANT: &str = "SELECT g.id, g.issuer, g.subject, g.client, g.name, g.identity, g.target, g.server, g.granted, g.created, g.expires, \
                     g.revoked, g.used, g.jkt, u.member_of, u.disabled FROM grants g JOIN users u ON u.issuer = g.issuer AND u.subject = g.subject \
                     WHERE g.id = $1";

// === impl Store ===

impl Store {
    /// A consent by its id, whether it still counts or not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn grant(&self, id: &CredentialId) -> Result<Option<GrantInfo>, StoreError> {
        let row = self.db().row(GRANT, &[Value::text(id.as_str())]).await?;
        row.map(|row| Reading::named(&row, "grants", "id").and_then(|reading| info(&reading))).transpose()
    }

    /// Grants of one person or of all that count, newest first, at most 1,000.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_grants(&self, user: Option<&UserId>, now: Timestamp) -> Result<Vec<GrantInfo>, StoreError> {
        let rows = match user {
            Some(user) => {
                let sql = "SELECT g.*, u.member_of, u.disabled FROM grants g JOIN users u ON u.issuer = g.issuer AND u.subject = g.subject \
                           WHERE g.issuer = $1 AND g.subject = $2 AND g.revoked IS NULL AND (g.expires IS NULL OR g.expires > $3) \
                           ORDER BY g.created DESC, g.id LIMIT 1000";
                let values = [Value::text(user.issuer()), Value::text(user.subject()), Value::int(millis(now)?)];
                self.db().rows(sql, &values).await?
            }
            None => {
                let sql = "SELECT g.*, u.member_of, u.disabled FROM grants g JOIN users u ON u.issuer = g.issuer AND u.subject = g.subject \
                           WHERE g.revoked IS NULL AND (g.expires IS NULL OR g.expires > $1) ORDER BY g.created DESC, g.id LIMIT 1000";
                self.db().rows(sql, &[Value::int(millis(now)?)]).await?
            }
        };
        rows.iter().map(|row| Reading::named(row, "grants", "id").and_then(|reading| info(&reading))).collect()
    }

    /// How often this person, and how many others, ever allowed this client (product C18).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn seen_client(&self, client: &ClientId, user: &UserId) -> Result<(Option<Timestamp>, u64), StoreError> {
        let values = [Value::text(client.as_str()), Value::text(user.issuer()), Value::text(user.subject())];
        let sql = "SELECT MAX(created) AS at FROM grants WHERE client = $1 AND issuer = $2 AND subject = $3";
        let own = match self.db().row(sql, &values).await? {
            Some(row) => Reading { row: &row, table: "grants", id: String::new() }.optional_instant("at")?,
            None => None,
        };
        let sql = "SELECT COUNT(*) AS n FROM (SELECT DISTINCT issuer, subject FROM grants WHERE client = $1 \
                   AND NOT (issuer = $2 AND subject = $3)) AS others";
        let others = self.db().row(sql, &values).await?.map_or(Ok(0), |row| row.column::<i64>("n"))?;
        Ok((own, u64::try_from(others).unwrap_or(0)))
    }

    /// The last consent that this person gave on the page to this client for this server, if it was given after `since` and not taken back. Whether it
    /// still counts is another question.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn standing(
        &self,
        user: &UserId,
        client: &ClientId,
        server: &ServerName,
        since: Timestamp,
    ) -> Result<Option<Standing>, StoreError> {
        let sql = "SELECT id, fingerprint, granted, offered, redirect_uri, created, expires, revoked FROM grants \
                   WHERE issuer = $1 AND subject = $2 AND client = $3 AND server = $4 AND offered IS NOT NULL ORDER BY created DESC, id DESC LIMIT 1";
        let values = [Value::text(user.issuer()), Value::text(user.subject()), Value::text(client.as_str()), Value::text(server.as_str())];
        let Some(row) = self.db().row(sql, &values).await? else { return Ok(None) };
        let reading = Reading::named(&row, "grants", "id")?;
        let created = reading.instant("created")?;
        let (offered, redirect_uri) = (reading.optional_text("offered")?, reading.optional_text("redirect_uri")?);
        let (Some(offered), Some(redirect_uri)) = (offered, redirect_uri) else { return Ok(None) };
        if reading.optional_instant("revoked")?.is_some() || created <= since {
            return Ok(None);
        }
        Ok(Some(Standing {
            since: created,
            ends: reading.optional_instant("expires")?,
            fingerprint: reading.digest("fingerprint")?,
            redirect_uri,
            granted: reading.list("granted", |text| Scope::parse(text).ok_or(()))?,
            offered: read(&offered).ok_or_else(|| reading.broken("offered"))?,
        }))
    }
}

/// An offer as a row keeps it: tools by the name of their class.
pub(crate) fn written(offer: &Offer) -> Result<String, StoreError> {
    let by_name: BTreeMap<&str, &BTreeSet<String>> = offer.iter().map(|(class, tools)| (class.as_str(), tools)).collect();
    serde_json::to_string(&by_name).map_err(|_| Refused::Unfit("offered").into())
}

fn read(text: &str) -> Option<Offer> {
    let by_name: BTreeMap<String, BTreeSet<String>> = serde_json::from_str(text).ok()?;
    by_name.into_iter().map(|(class, tools)| Some((RiskClass::parse(&class)?, tools))).collect()
}

pub(crate) fn info(reading: &Reading<'_>) -> Result<GrantInfo, StoreError> {
    let (groups, _) = standing(reading)?;
    Ok(GrantInfo {
        groups,
        id: reading.parsed("id", CredentialId::new)?,
        user: reading.user()?,
        client: reading.parsed("client", ClientId::new)?,
        name: reading.text("name")?,
        identity: reading.text("identity")?,
        target: reading.text("target")?,
        server: reading.parsed("server", ServerName::new)?,
        granted: reading.list("granted", |text| Ok::<_, std::convert::Infallible>(text.to_owned()))?,
        created: reading.instant("created")?,
        expires: reading.optional_instant("expires")?,
        revoked: reading.optional_instant("revoked")?,
        used: reading.optional_instant("used")?,
        bound: reading.optional_digest("jkt")?.map(Thumbprint::from_stored),
    })
}
