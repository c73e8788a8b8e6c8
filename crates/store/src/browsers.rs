//! Browsers in which somebody is signed in, and the one-time links that sign them in. Digests only; ended by deleting.

use crate::Store;
use crate::db::Value;
use crate::error::{Refused, StoreError};
use crate::logout::{CameFrom, has_left, hold_session};
use crate::rows::{Reading, at_most_one, millis, plain};
use crate::users::{hold, insert, standing};
use doorward_core::id::{GroupName, UserId};
use doorward_core::secret::{BrowserSecret, LinkSecret, TokenHash};
use doorward_core::time::Timestamp;
use std::time::Duration;

/// A browser in which somebody is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrowserInfo {
    /// Names it on pages and in records; opens nothing.
    pub id: String,
    /// Who.
    pub user: UserId,
    /// Groups of this person, as last read; of no meaning for a new one.
    pub groups: Vec<GroupName>,
    /// The address that a provider gave for this person; of no meaning for a new one.
    pub email: Option<String>,
    /// What the browser calls itself, cut short.
    pub label: String,
    /// Since when.
    pub created: Timestamp,
    /// Last seen, coarse.
    pub used: Timestamp,
    /// The end, whatever happens.
    pub expires: Timestamp,
    /// Whether this person may not act.
    pub disabled: bool,
}

/// Browsers of one person.
const BROWSERS_PER_USER: i64 = 50;
/// Unused links at once.
const LINKS: i64 = 100;

// === impl Store ===

impl Store {
    /// Records a link that signs somebody in once.
    ///
    /// # Errors
    /// [`Refused::TooMany`] at a hundred unused ones.
    pub async fn put_link(
        &self,
        hash: &TokenHash<LinkSecret>,
        user: &UserId,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.db().begin().await?;
        tx.execute("DELETE FROM links WHERE expires <= $1", &[Value::int(millis(now)?)]).await?;
        let count = tx.row("SELECT COUNT(*) AS n FROM links", &[]).await?;
        if count.map_or(Ok(0), |row| row.column::<i64>("n"))? >= LINKS {
            return Err(Refused::TooMany.into());
        }
        let sql = "INSERT INTO links (hash, issuer, subject, expires) VALUES ($1, $2, $3, $4)";
        let values = [Value::bytes(hash.as_bytes()), Value::text(user.issuer()), Value::text(user.subject()), Value::int(millis(expires)?)];
        tx.execute(sql, &values).await?;
        tx.commit().await
    }

    /// Whether there is a link that could be used.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn has_link(&self, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "SELECT 1 AS one FROM links WHERE expires > $1 LIMIT 1";
        Ok(self.db().row(sql, &[Value::int(millis(now)?)]).await?.is_some())
    }

    /// Takes a link, for exactly one of those who try.
    ///
    /// # Errors
    /// [`StoreError`]: it is still there.
    pub async fn take_link(&self, hash: &TokenHash<LinkSecret>, now: Timestamp) -> Result<Option<UserId>, StoreError> {
        let mut tx = self.db().begin().await?;
        let sql = "DELETE FROM links WHERE hash = $1 AND expires > $2 RETURNING issuer, subject";
        let row = tx.row(sql, &[Value::bytes(hash.as_bytes()), Value::int(millis(now)?)]).await?;
        let user = row.map(|row| Reading::digested(&row, "links", hash.as_bytes()).user()).transpose()?;
        tx.commit().await?;
        Ok(user)
    }

    /// Records that somebody is signed in here. False if they signed out at the provider that they came from since they left for it: nothing is
    /// recorded then. Of more than fifty browsers of one person the one longest unused is signed out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_browser(
        &self,
        hash: &TokenHash<BrowserSecret>,
        new: &BrowserInfo,
        came: Option<CameFrom<'_>>,
    ) -> Result<bool, StoreError> {
        plain(&new.id, "id")?;
        plain(&new.label, "label")?;
        let mut tx = self.db().begin().await?;
        if let Some(came) = &came {
            hold_session(&mut tx, came).await?;
        }
        insert(&mut tx, &new.user, "[]", new.created).await?;
        hold(&mut tx, &new.user).await?; // so that the count stays true
        if let Some(came) = &came
            && has_left(&mut tx, &new.user, came).await?
        {
            return Ok(false);
        }
        let owner = [Value::text(new.user.issuer()), Value::text(new.user.subject())];
        let count = tx.row("SELECT COUNT(*) AS n FROM browsers WHERE issuer = $1 AND subject = $2", &owner).await?;
        if count.map_or(Ok(0), |row| row.column::<i64>("n"))? >= BROWSERS_PER_USER {
            let sql = "DELETE FROM browsers WHERE digest = (SELECT digest FROM browsers WHERE issuer = $1 AND subject = $2 \
                       ORDER BY used, digest LIMIT 1)";
            tx.execute(sql, &owner).await?;
        }
        let [issuer, subject] = owner;
        let sql = "INSERT INTO browsers (digest, id, issuer, subject, label, created, used, expires, provider_session) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
        let values = [
            Value::bytes(hash.as_bytes()),
            Value::text(&new.id),
            issuer,
            subject,
            Value::text(&new.label),
            Value::int(millis(new.created)?),
            Value::int(millis(new.used)?),
            Value::int(millis(new.expires)?),
            Value::Bytes(came.and_then(|came| came.session).map(|session| session.as_bytes().as_slice())),
        ];
        tx.execute(sql, &values).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Who is signed in with this cookie: not past its end, and not unused for `idle`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn browser(
        &self,
        hash: &TokenHash<BrowserSecret>,
        idle: Duration,
        now: Timestamp,
    ) -> Result<Option<BrowserInfo>, StoreError> {
        let sql = "SELECT b.id, b.issuer, b.subject, b.label, b.created, b.used, b.expires, u.member_of, u.disabled, u.email \
                   FROM browsers b JOIN users u ON u.issuer = b.issuer AND u.subject = b.subject WHERE b.digest = $1";
        let Some(row) = self.db().row(sql, &[Value::bytes(hash.as_bytes())]).await? else { return Ok(None) };
        let found = info(&Reading::digested(&row, "browsers", hash.as_bytes()))?;
        Ok((found.expires > now && now.since(found.used) < idle).then_some(found))
    }

    /// Notes a use.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn touch_browser(&self, hash: &TokenHash<BrowserSecret>, now: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE browsers SET used = $2 WHERE digest = $1 AND used < $2";
        self.db().execute(sql, &[Value::bytes(hash.as_bytes()), Value::int(millis(now)?)]).await.map(|_| ())
    }

    /// Signs a browser out.
    ///
    /// # Errors
    /// [`StoreError`]: it is still signed in.
    pub async fn end_browser(&self, hash: &TokenHash<BrowserSecret>) -> Result<bool, StoreError> {
        at_most_one(self.db().execute("DELETE FROM browsers WHERE digest = $1", &[Value::bytes(hash.as_bytes())]).await?, "browsers")
    }

    /// Signs a person out of one browser by its id, or of all of them. Gives their number.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_browsers(&self, user: &UserId, id: Option<&str>) -> Result<u64, StoreError> {
        let sql = "DELETE FROM browsers WHERE issuer = $1 AND subject = $2 AND ($3 = '' OR id = $3)";
        self.db().execute(sql, &[Value::text(user.issuer()), Value::text(user.subject()), Value::text(id.unwrap_or_default())]).await
    }

    /// Where a person, or anybody, is signed in, newest first, at most 1,000.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_browsers(&self, user: Option<&UserId>, now: Timestamp) -> Result<Vec<BrowserInfo>, StoreError> {
        let at = Value::int(millis(now)?);
        let rows = match user {
            Some(user) => {
                let sql = "SELECT b.id, b.issuer, b.subject, b.label, b.created, b.used, b.expires, u.member_of, u.disabled, u.email \
                           FROM browsers b JOIN users u ON u.issuer = b.issuer AND u.subject = b.subject \
                           WHERE b.expires > $1 AND b.issuer = $2 AND b.subject = $3 ORDER BY b.created DESC, b.id LIMIT 1000";
                self.db().rows(sql, &[at, Value::text(user.issuer()), Value::text(user.subject())]).await?
            }
            None => {
                let sql = "SELECT b.id, b.issuer, b.subject, b.label, b.created, b.used, b.expires, u.member_of, u.disabled, u.email \
                           FROM browsers b JOIN users u ON u.issuer = b.issuer AND u.subject = b.subject \
                           WHERE b.expires > $1 ORDER BY b.created DESC, b.id LIMIT 1000";
                self.db().rows(sql, &[at]).await?
            }
        };
        rows.iter().map(|row| Reading::named(row, "browsers", "id").and_then(|reading| info(&reading))).collect()
    }
}

fn info(reading: &Reading<'_>) -> Result<BrowserInfo, StoreError> {
    let (groups, disabled) = standing(reading)?;
    Ok(BrowserInfo {
        groups,
        email: Some(reading.text("email")?).filter(|email| !email.is_empty()),
        id: reading.text("id")?,
        user: reading.user()?,
        label: reading.text("label")?,
        created: reading.instant("created")?,
        used: reading.instant("used")?,
        expires: reading.instant("expires")?,
        disabled,
    })
}
