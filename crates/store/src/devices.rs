//! Requests of programs without a browser (RFC 8628): asked once, decided once, fetched once, whichever replica each comes to.
//!
//! What a person allowed is a grant like every other (`grants.rs`); here stands who waits for it, and at which pace they may ask.

use crate::Store;
use crate::binding::used_up;
use crate::db::{Tx, Value};
use crate::error::{Refused, StoreError, damaged};
use crate::grants::{DECIDED, Live, NotRedeemed, Redeemed, SKEW, Successors, end};
use crate::once;
use crate::rows::{Reading, at_most_one, millis};
use doorward_core::id::{ClientId, CredentialId, ServerName};
use doorward_core::oauth::device::{DeviceName, Poll, SLOWER};
use doorward_core::oauth::dpop::Proven;
use doorward_core::secret::{DeviceCode, TokenHash};
use doorward_core::time::Timestamp;
use std::time::Duration;

/// A request to record.
#[derive(Debug)]
pub struct NewDevice<'a> {
    /// Digest of the device code.
    pub code: &'a TokenHash<DeviceCode>,
    /// What is kept of the user code.
    pub user_code: &'a [u8; 32],
    /// Who asks.
    pub client: &'a ClientId,
    /// For which server.
    pub server: &'a ServerName,
    /// For what, `<server>:<class>` each; may be empty.
    pub scope: &'a str,
    /// The address that it came from, for the person who decides.
    pub peer: &'a str,
    /// Its end.
    pub expires: Timestamp,
    /// Between two polls at least.
    pub pace: Duration,
}

/// What became of a new request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// It waits.
    Recorded,
    /// Its user code is one that is in use: nothing was recorded.
    CodeInUse,
}

/// A request that waits for its decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Its name: the digest of its device code.
    pub name: DeviceName,
    /// Who asks.
    pub client: ClientId,
    /// For which server.
    pub server: ServerName,
    /// For what.
    pub scope: String,
    /// From which address it was asked.
    pub peer: String,
    /// When.
    pub created: Timestamp,
    /// Until when it can be decided.
    pub expires: Timestamp,
}

/// A device code as it is presented.
#[derive(Debug)]
pub struct PresentedDevice<'a> {
    /// Its digest.
    pub code: &'a TokenHash<DeviceCode>,
    /// By which client.
    pub client: &'a ClientId,
    /// For which server, where the client says so again.
    pub server: Option<&'a ServerName>,
    /// With which proof: what it gives is bound to that key. A poll that gives nothing uses none up.
    pub proof: Option<&'a Proven>,
}

/// Why a device code gave nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoTokens {
    /// As the client is told.
    Poll(Poll),
    /// It is dead, or not this client's.
    Dead(NotRedeemed),
}

/// Requests that wait at a time, of everybody and from one address: whoever asks is nobody yet.
const WAITING: i64 = 2_000;
const WAITING_OF_ONE: i64 = 50;
/// Number of the lock under which they are counted.
const LOCK: i64 = 0x6465_7669_6365;
/// Clocks differ, and a request is on its way for a while: by so much a poll may come too soon.
const EARLY: i64 = 1_000;
/// The slowest pace that polls are held to, in milliseconds.
const SLOWEST: i64 = 60_000;

// === impl Store ===

impl Store {
    /// Records a request.
    ///
    /// # Errors
    /// [`Refused::TooMany`] where as many wait as there is room for, of all or from this address; any [`StoreError`] means that nothing was
    /// recorded.
    pub async fn ask_for_device(&self, new: &NewDevice<'_>, now: Timestamp) -> Result<Asked, StoreError> {
        let mut tx = self.db().begin().await?;
        tx.lock(LOCK).await?; // so that the counts stay true
        let sql = "SELECT COUNT(*) AS n, COALESCE(SUM(CASE WHEN peer = $2 THEN 1 ELSE 0 END), 0) AS own FROM device_requests \
                   WHERE expires > $1 AND decided IS NULL";
        let row = tx.row(sql, &[Value::int(millis(now)?), Value::text(new.peer)]).await?;
        let (all, own) = row.map_or(Ok((0, 0)), |row| Ok::<_, StoreError>((row.column::<i64>("n")?, row.column::<i64>("own")?)))?;
        if all >= WAITING || own >= WAITING_OF_ONE {
            return Err(Refused::TooMany.into());
        }
        let sql = "INSERT INTO device_requests (hash, user_code, client, server, scope, peer, created, expires, pace) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (user_code) DO NOTHING";
        let values = [
            Value::bytes(new.code.as_bytes()),
            Value::bytes(new.user_code),
            Value::text(new.client.as_str()),
            Value::text(new.server.as_str()),
            Value::text(new.scope),
            Value::text(new.peer),
            Value::int(millis(now)?),
            Value::int(millis(new.expires)?),
            Value::int(i64::try_from(new.pace.as_millis()).unwrap_or(SLOWEST)),
        ];
        let is_new = at_most_one(tx.execute(sql, &values).await?, "device_requests")?;
        tx.commit().await?;
        Ok(if is_new { Asked::Recorded } else { Asked::CodeInUse })
    }

    /// The request of a user code, if it still waits for a decision.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn device_of_user_code(&self, user_code: &[u8; 32], now: Timestamp) -> Result<Option<DeviceInfo>, StoreError> {
        let sql = "SELECT hash, client, server, scope, peer, created, expires FROM device_requests \
                   WHERE user_code = $1 AND decided IS NULL AND expires > $2";
        let row = self.db().row(sql, &[Value::bytes(user_code), Value::int(millis(now)?)]).await?;
        row.map(|row| info(&Reading::digested(&row, "device_requests", user_code))).transpose()
    }

    /// A request by its name, if it still waits for a decision.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn device(&self, name: DeviceName, now: Timestamp) -> Result<Option<DeviceInfo>, StoreError> {
        let sql = "SELECT hash, client, server, scope, peer, created, expires FROM device_requests \
                   WHERE hash = $1 AND decided IS NULL AND expires > $2";
        let row = self.db().row(sql, &[Value::bytes(&name.0), Value::int(millis(now)?)]).await?;
        row.map(|row| info(&Reading::digested(&row, "device_requests", &name.0))).transpose()
    }

    /// A no to a request: uses up the page's own request, and that of the device with it. False if either was decided before.
    ///
    /// # Errors
    /// [`StoreError`]: it is undecided then.
    pub async fn deny_device(&self, name: DeviceName, once: (&[u8; 32], Timestamp), now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.db().begin().await?;
        if !once::consumed(&mut tx, DECIDED, once, now).await? {
            return Ok(false);
        }
        let sql = "UPDATE device_requests SET decided = $2 WHERE hash = $1 AND decided IS NULL AND expires > $2";
        let won = at_most_one(tx.execute(sql, &[Value::bytes(&name.0), Value::int(millis(now)?)]).await?, "device_requests")?;
        if won {
            tx.commit().await?;
        }
        Ok(won)
    }

    /// Turns a device code into tokens, for exactly one of those who try and only for its client; otherwise says how it stands, and holds the
    /// polls to their pace. Whoever comes again within `window`, since its answer was lost (RFC 8628 section 3.5), is given the same; later a second
    /// use takes back what the first one gave. `arrived` is when this request came in.
    ///
    /// # Errors
    /// [`StoreError`]: the code can still be used.
    pub async fn redeem_device(
        &self,
        device: &PresentedDevice<'_>,
        next: &Successors<'_>,
        (arrived, window): (Timestamp, Duration),
        now: Timestamp,
    ) -> Result<Result<Redeemed, NoTokens>, StoreError> {
        self.room_for(device.proof, now).await?;
        let mut tx = self.db().begin().await?;
        let sql = "UPDATE device_requests SET used = $2 WHERE hash = $1 AND used IS NULL AND grant_id IS NOT NULL AND expires > $2 \
                   AND client = $3 AND ($4 = '' OR server = $4) \
                   AND EXISTS (SELECT 1 FROM grants g WHERE g.id = device_requests.grant_id AND g.revoked IS NULL) RETURNING grant_id";
        let values = [
            Value::bytes(device.code.as_bytes()),
            Value::int(millis(now)?),
            Value::text(device.client.as_str()),
            Value::text(device.server.map(ServerName::as_str).unwrap_or_default()),
        ];
        let Some(row) = tx.row(sql, &values).await? else {
            if let Some(again) = fetched_just_now(&mut tx, device, next, window, now).await? {
                tx.commit().await?;
                return Ok(Ok(again));
            }
            let why = why_none(&mut tx, device, arrived, now).await?;
            tx.commit().await?;
            return Ok(Err(why));
        };
        let ended = || Ok(Err(NoTokens::Dead(NotRedeemed::Ended)));
        let id = CredentialId::new(&row.column::<String>("grant_id")?).map_err(|_| damaged("device_requests", "grant_id"))?;
        let Some(grant) = Live::read(&mut tx, &id, now).await? else { return ended() };
        let Some(grant) = grant.bound_by(&mut tx, device.proof, now).await? else {
            return Ok(Err(NoTokens::Dead(NotRedeemed::ReplayedProof)));
        };
        let Some(redeemed) = grant.issue(&mut tx, next, None, 1, now).await? else { return ended() };
        tx.commit().await?;
        Ok(Ok(redeemed))
    }

    /// The grant that a device code would give, so that it can be decided anew before it does.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn grant_of_device(&self, code: &TokenHash<DeviceCode>) -> Result<Option<CredentialId>, StoreError> {
        let sql = "SELECT grant_id FROM device_requests WHERE hash = $1 AND grant_id IS NOT NULL";
        let row = self.db().row(sql, &[Value::bytes(code.as_bytes())]).await?;
        row.map(|row| Reading::digested(&row, "device_requests", code.as_bytes()).parsed("grant_id", CredentialId::new)).transpose()
    }
}

/// Ties a yes to the request of the device, inside the transaction that records it: for the client and server that the person was shown, and
/// only while nobody has decided. The row is held before that of the person, as a redemption holds them.
pub(crate) async fn allow(
    tx: &mut Tx,
    (name, grant): (&DeviceName, &CredentialId),
    (client, server): (&ClientId, &ServerName),
    now: Timestamp,
) -> Result<bool, StoreError> {
    let sql = "UPDATE device_requests SET decided = $2, grant_id = $3 \
               WHERE hash = $1 AND decided IS NULL AND expires > $2 AND client = $4 AND server = $5";
    let values = [
        Value::bytes(&name.0),
        Value::int(millis(now)?),
        Value::text(grant.as_str()),
        Value::text(client.as_str()),
        Value::text(server.as_str()),
    ];
    at_most_one(tx.execute(sql, &values).await?, "device_requests")
}

/// What was given for a code just now, to the same client and key.
async fn fetched_just_now(
    tx: &mut Tx,
    device: &PresentedDevice<'_>,
    next: &Successors<'_>,
    window: Duration,
    now: Timestamp,
) -> Result<Option<Redeemed>, StoreError> {
    let sql =
        "SELECT grant_id, used FROM device_requests WHERE hash = $1 AND client = $2 AND used IS NOT NULL AND ($3 = '' OR server = $3)";
    let server = device.server.map(ServerName::as_str).unwrap_or_default();
    let values = [Value::bytes(device.code.as_bytes()), Value::text(device.client.as_str()), Value::text(server)];
    let Some(row) = tx.row(sql, &values).await? else { return Ok(None) };
    let reading = Reading::digested(&row, "device_requests", device.code.as_bytes());
    if now.since(reading.instant("used")?) > window {
        return Ok(None);
    }
    let id = reading.parsed("grant_id", CredentialId::new)?;
    let Some(grant) = Live::read(tx, &id, now).await? else { return Ok(None) };
    if !used_up(tx, device.proof, now).await? {
        return Ok(None);
    }
    Ok(grant.recorded(tx, next, device.proof.map(Proven::key)).await?.ok())
}

async fn why_none(tx: &mut Tx, device: &PresentedDevice<'_>, arrived: Timestamp, now: Timestamp) -> Result<NoTokens, StoreError> {
    let hash = device.code.as_bytes();
    let sql = "SELECT client, server, expires, decided, grant_id, used FROM device_requests WHERE hash = $1";
    let Some(row) = tx.row(sql, &[Value::bytes(hash)]).await? else { return Ok(NoTokens::Dead(NotRedeemed::Unknown)) };
    let reading = Reading::digested(&row, "device_requests", hash);
    if reading.text("client")? != device.client.as_str() {
        return Ok(NoTokens::Dead(NotRedeemed::Mismatch));
    }
    if device.server.is_some_and(|server| reading.text("server").is_ok_and(|kept| kept != server.as_str())) {
        return Ok(NoTokens::Dead(NotRedeemed::OtherResource));
    }
    let grant = reading.optional_text("grant_id")?;
    if let Some(used) = reading.optional_instant("used")? {
        if arrived <= used.after(SKEW) {
            return Ok(NoTokens::Dead(NotRedeemed::Concurrent));
        }
        let id = reading.parsed("grant_id", CredentialId::new)?;
        end(tx, &id, "device code replayed", now).await?;
        return Ok(NoTokens::Dead(NotRedeemed::Replayed(id)));
    }
    match (reading.optional_instant("decided")?, grant) {
        (Some(_), None) => return Ok(NoTokens::Poll(Poll::Denied)),
        _ if reading.instant("expires")? <= now => return Ok(NoTokens::Poll(Poll::Expired)),
        (Some(_), Some(_)) => return Ok(NoTokens::Dead(NotRedeemed::Ended)),
        (None, _) => {}
    }
    let values = [Value::bytes(hash), Value::int(millis(now)?), Value::int(EARLY)];
    let sql = "UPDATE device_requests SET polled = $2 WHERE hash = $1 AND (polled IS NULL OR polled + pace - $3 <= $2)";
    if at_most_one(tx.execute(sql, &values).await?, "device_requests")? {
        return Ok(NoTokens::Poll(Poll::Pending));
    }
    let slower = i64::try_from(SLOWER.as_millis()).unwrap_or(SLOWEST);
    // Up to the slowest pace: whoever polls without end writes nothing more.
    let sql = "UPDATE device_requests SET polled = $2, pace = CASE WHEN pace + $3 > $4 THEN $4 ELSE pace + $3 END \
               WHERE hash = $1 AND pace < $4";
    let values = [Value::bytes(hash), Value::int(millis(now)?), Value::int(slower), Value::int(SLOWEST)];
    tx.execute(sql, &values).await?;
    Ok(NoTokens::Poll(Poll::TooFast))
}

fn info(reading: &Reading<'_>) -> Result<DeviceInfo, StoreError> {
    Ok(DeviceInfo {
        name: DeviceName(reading.digest("hash")?),
        client: reading.parsed("client", ClientId::new)?,
        server: reading.parsed("server", ServerName::new)?,
        scope: reading.text("scope")?,
        peer: reading.text("peer")?,
        created: reading.instant("created")?,
        expires: reading.instant("expires")?,
    })
}
