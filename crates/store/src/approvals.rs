//! What an administrator approved: definitions of tools and launch profiles, by digest (I9). Decides nothing.

use crate::Store;
use crate::db::{Row, Tx, Value};
use crate::epoch::raise;
use crate::error::{Refused, StoreError};
use crate::rows::{Reading, at_most_one, millis, plain};
use doorward_core::id::{ServerName, ToolName};
use doorward_core::policy::facts::RiskClass;
use doorward_core::time::Timestamp;

/// An approved definition of one tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// As its server names it.
    pub tool: ToolName,
    /// Digest of the approved definition.
    pub digest: [u8; 32],
    /// The class that was approved with it.
    pub class: RiskClass,
    /// Who approved it, 1 to 255 bytes without control characters.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Ids of the rules of the screen whose findings the approver was shown, at most 64 of at most 64 small letters and hyphens.
    pub reviewed: Vec<String>,
}

/// Pins of one server.
const PINS_PER_SERVER: usize = 10_000;
/// Findings that are kept with one pin.
const MOST_REVIEWED: usize = 64;
/// Launch profiles of one server.
const LAUNCHES_PER_SERVER: i64 = 100;

// === impl Store ===

impl Store {
    /// The approved tools of a server, by name.
    ///
    /// # Errors
    /// [`StoreError::Integrity`] for a damaged row, [`StoreError::Unavailable`].
    pub async fn pins(&self, server: &ServerName) -> Result<Vec<Pin>, StoreError> {
        let sql = "SELECT tool, digest, risk, approved_by, approved_at, reviewed FROM pins WHERE server = $1 ORDER BY tool";
        let pin = |row: &Row| {
            let reading = Reading::named(row, "pins", "tool")?;
            Ok(Pin {
                tool: reading.parsed("tool", ToolName::new)?,
                digest: reading.digest("digest")?,
                class: reading.parsed("risk", |text| RiskClass::parse(text).ok_or(()))?,
                by: reading.text("approved_by")?,
                at: reading.instant("approved_at")?,
                reviewed: reading.text("reviewed")?.split_ascii_whitespace().map(str::to_owned).collect(),
            })
        };
        self.db().each(sql, &[Value::text(server.as_str())], pin).await
    }

    /// Approves definitions, in place of earlier ones of the same tools, all or none, and raises the epoch.
    /// A tool may have several: a server's definition differs between the eras.
    ///
    /// # Errors
    /// [`Refused::TooMany`] beyond 10,000 tools of the server, [`Refused::Unfit`], [`StoreError::Unavailable`].
    pub async fn approve(&self, server: &ServerName, pins: &[Pin]) -> Result<(), StoreError> {
        let Some(last) = pins.iter().map(|pin| pin.at).max() else { return Ok(()) };
        let sql = "INSERT INTO pins (server, tool, digest, risk, approved_by, approved_at, reviewed) VALUES ($1, $2, $3, $4, $5, $6, $7) \
                   ON CONFLICT (server, tool, digest) DO UPDATE SET risk = excluded.risk, \
                   approved_by = excluded.approved_by, approved_at = excluded.approved_at, reviewed = excluded.reviewed";
        let mut tx = self.db().begin().await?;
        raise(&mut tx, "tools approved", last).await?; // first, so that approvals wait for one another and the count is true
        for pin in pins {
            let earlier = "DELETE FROM pins WHERE server = $1 AND tool = $2";
            tx.execute(earlier, &[Value::text(server.as_str()), Value::text(pin.tool.as_str())]).await?;
        }
        for pin in pins {
            let reviewed = reviewed(&pin.reviewed)?;
            let values = [
                Value::text(server.as_str()),
                Value::text(pin.tool.as_str()),
                Value::bytes(&pin.digest),
                Value::text(pin.class.as_str()),
                Value::text(plain(&pin.by, "approver")?),
                Value::int(millis(pin.at)?),
                Value::text(&reviewed),
            ];
            tx.execute(sql, &values).await?;
        }
        let count = count(&mut tx, "SELECT COUNT(*) AS n FROM pins WHERE server = $1", server).await?;
        if usize::try_from(count).map_or(true, |count| count > PINS_PER_SERVER) {
            return Err(Refused::TooMany.into());
        }
        tx.commit().await
    }

    /// Withdraws the approval of one tool or of every tool of a server and raises the epoch. Gives the number withdrawn.
    ///
    /// # Errors
    /// [`StoreError`]: the approvals then still stand.
    pub async fn withdraw(&self, server: &ServerName, tool: Option<&ToolName>, now: Timestamp) -> Result<u64, StoreError> {
        let mut tx = self.db().begin().await?;
        raise(&mut tx, "tools withdrawn", now).await?;
        let gone = match tool {
            Some(tool) => {
                let sql = "DELETE FROM pins WHERE server = $1 AND tool = $2";
                tx.execute(sql, &[Value::text(server.as_str()), Value::text(tool.as_str())]).await?
            }
            None => tx.execute("DELETE FROM pins WHERE server = $1", &[Value::text(server.as_str())]).await?,
        };
        tx.commit().await?;
        Ok(gone)
    }

    /// Approves a launch profile by its digest and raises the epoch. Approving twice keeps the first approver.
    ///
    /// # Errors
    /// [`Refused::TooMany`] at 100 profiles of the server, [`Refused::Unfit`] for the approver, [`StoreError::Unavailable`].
    pub async fn approve_launch(&self, server: &ServerName, digest: [u8; 32], by: &str, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.db().begin().await?;
        raise(&mut tx, "launch approved", now).await?;
        let sql = "INSERT INTO launches (server, digest, approved_by, approved_at) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (server, digest) DO NOTHING";
        let values = [Value::text(server.as_str()), Value::bytes(&digest), Value::text(plain(by, "approver")?), Value::int(millis(now)?)];
        tx.execute(sql, &values).await?;
        if count(&mut tx, "SELECT COUNT(*) AS n FROM launches WHERE server = $1", server).await? > LAUNCHES_PER_SERVER {
            return Err(Refused::TooMany.into());
        }
        tx.commit().await
    }

    /// True if exactly this launch profile of this server is approved.
    ///
    /// # Errors
    /// [`StoreError`]: nothing may be launched then.
    pub async fn launch_approved(&self, server: &ServerName, digest: &[u8; 32]) -> Result<bool, StoreError> {
        let sql = "SELECT 1 AS one FROM launches WHERE server = $1 AND digest = $2";
        self.db().row(sql, &[Value::text(server.as_str()), Value::bytes(digest)]).await.map(|row| row.is_some())
    }

    /// Withdraws a launch profile and raises the epoch. True if it was approved.
    ///
    /// # Errors
    /// [`StoreError`]: the approval then still stands.
    pub async fn withdraw_launch(&self, server: &ServerName, digest: &[u8; 32], now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.db().begin().await?;
        raise(&mut tx, "launch withdrawn", now).await?;
        let sql = "DELETE FROM launches WHERE server = $1 AND digest = $2";
        let gone = at_most_one(tx.execute(sql, &[Value::text(server.as_str()), Value::bytes(digest)]).await?, "launches")?;
        tx.commit().await?;
        Ok(gone)
    }

    /// Withdraws every launch profile of a server and raises the epoch, for a server that is no more. Says how many there were.
    ///
    /// # Errors
    /// [`StoreError`]: the approvals then still stand.
    pub async fn withdraw_launches(&self, server: &ServerName, now: Timestamp) -> Result<u64, StoreError> {
        let mut tx = self.db().begin().await?;
        raise(&mut tx, "launches withdrawn", now).await?;
        let gone = tx.execute("DELETE FROM launches WHERE server = $1", &[Value::text(server.as_str())]).await?;
        tx.commit().await?;
        Ok(gone)
    }
}

/// The ids in one text.
fn reviewed(rules: &[String]) -> Result<String, StoreError> {
    let is_id = |rule: &String| !rule.is_empty() && rule.len() <= 64 && rule.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    if rules.len() > MOST_REVIEWED || !rules.iter().all(is_id) {
        return Err(Refused::Unfit("findings").into());
    }
    Ok(rules.join(" "))
}

async fn count(tx: &mut Tx, sql: &'static str, server: &ServerName) -> Result<i64, StoreError> {
    tx.row(sql, &[Value::text(server.as_str())]).await?.map_or(Ok(0), |row| row.column("n"))
}
