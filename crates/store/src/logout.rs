//! What ends here when somebody signed out at their identity provider. Judges no token: that it is one, [`LoggedOut`] proves.

use crate::Store;
use crate::db::{Tx, Value};
use crate::epoch::raise;
use crate::error::StoreError;
use crate::once::consumed;
use crate::rows::{Reading, millis};
use crate::users::hold;
use doorward_core::id::UserId;
use doorward_core::oidc::journey::JOURNEY_LIFE;
use doorward_core::oidc::logout::{LoggedOut, ProviderSession, Reach};
use doorward_core::secret::sha256;
use doorward_core::time::Timestamp;

/// Of whom something ended, and how much.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedOut {
    /// Who.
    pub user: UserId,
    /// Sign-ins.
    pub sign_ins: u64,
    /// Consents.
    pub consents: u64,
    /// Access tokens, those of the consents among them.
    pub tokens: u64,
}

/// How somebody who signs in came from their provider.
#[derive(Debug, Clone, Copy)]
pub struct CameFrom<'a> {
    /// Their session there, where it names one.
    pub session: Option<&'a ProviderSession>,
    /// When they left for it.
    pub begun: Timestamp,
}

/// Ids of logout tokens, among all that count once.
const ONCE: &str = "logout token";
/// Who signed out lately: whoever is on their way from their provider meanwhile does not come in.
const LEFT: &str = "signed out at a provider";

/// How often a logout is tried that met somebody who waited for it.
const TURNS: u32 = 5;

// === impl Store ===

impl Store {
    /// Ends what a logout reaches, of everybody whom it names, uses its token up, and raises the epoch, all in one transaction (I3, I8).
    /// `None` for a token that was used before: nothing ends then. Whoever is not signed in is not in the list.
    ///
    /// With a session, sign-ins through that session end; where a person is named besides, theirs through no known session, too: it may be
    /// that one. Without a session, all of that person do.
    ///
    /// # Errors
    /// [`StoreError`]: nothing ended then, and the token may come again.
    pub async fn log_out(&self, told: &LoggedOut, reach: Reach, now: Timestamp) -> Result<Option<Vec<SignedOut>>, StoreError> {
        self.check_room(ONCE, now).await?;
        // Who refreshes or exchanges takes the same rows in another order. The database ends one of two that wait for each other; a provider
        // may never say it again, so it is not this one for good.
        for _ in 1..TURNS {
            match self.log_out_once(told, reach, now).await {
                Err(error) if error.is_of_two_that_waited() => {}
                done => return done,
            }
        }
        self.log_out_once(told, reach, now).await
    }

    async fn log_out_once(&self, told: &LoggedOut, reach: Reach, now: Timestamp) -> Result<Option<Vec<SignedOut>>, StoreError> {
        let mut tx = self.db().begin().await?;
        if !consumed(&mut tx, ONCE, told.once(), now).await? {
            return Ok(None);
        }
        // So that a sign-in of theirs is recorded before this, and ends, or after it, and does not come in.
        for user in &concerned(&mut tx, told).await? {
            hold(&mut tx, user).await?;
        }
        remember(&mut tx, told, now).await?;
        let mut ended = sign_ins(&mut tx, told).await?;
        if reach == Reach::Consents {
            if let Some(user) = told.user().filter(|user| !ended.iter().any(|known| known.user == **user)) {
                ended.push(SignedOut { user: user.clone(), sign_ins: 0, consents: 0, tokens: 0 });
            }
            for one in &mut ended {
                (one.consents, one.tokens) = allowed(&mut tx, &one.user, now).await?;
            }
        }
        ended.retain(|one| one.sign_ins + one.consents + one.tokens > 0);
        // Sign-ins are asked of the store each time; what is remembered elsewhere is what was allowed.
        if ended.iter().any(|one| one.consents + one.tokens > 0) {
            raise(&mut tx, "signed out at a provider", now).await?;
        }
        tx.commit().await?;
        Ok(Some(ended))
    }
}

/// Who is named, or was signed in through the session that is. Nobody comes in through that until the end of the transaction.
async fn concerned(tx: &mut Tx, told: &LoggedOut) -> Result<Vec<UserId>, StoreError> {
    let (None, Some(session)) = (told.user(), told.session()) else { return Ok(told.user().cloned().into_iter().collect()) };
    tx.lock(number(session)).await?;
    let sql = "SELECT DISTINCT issuer, subject FROM browsers WHERE issuer = $1 AND provider_session = $2 ORDER BY issuer, subject";
    let rows = tx.rows(sql, &[Value::text(told.issuer()), Value::bytes(session.as_bytes())]).await?;
    rows.iter().map(|row| Reading { row, table: "browsers", id: String::new() }.user()).collect()
}

/// Remembers who left, as long as a sign-in may be under way.
async fn remember(tx: &mut Tx, told: &LoggedOut, now: Timestamp) -> Result<(), StoreError> {
    let sql = "INSERT INTO consumed (kind, id, expires) VALUES ($1, $2, $3) ON CONFLICT (kind, id) DO UPDATE \
               SET expires = CASE WHEN consumed.expires < excluded.expires THEN excluded.expires ELSE consumed.expires END";
    let names = match (told.user(), told.session()) {
        (Some(user), Some(session)) => vec![*session.as_bytes(), name("of no known session", user)],
        (Some(user), None) => vec![name("everywhere", user)],
        (None, Some(session)) => vec![*session.as_bytes()],
        (None, None) => Vec::new(),
    };
    let until = millis(now.after(JOURNEY_LIFE))?;
    for id in &names {
        tx.execute(sql, &[Value::text(LEFT), Value::bytes(id), Value::int(until)]).await?;
    }
    Ok(())
}

/// Holds the session that somebody comes through, before their row is held.
pub(crate) async fn hold_session(tx: &mut Tx, came: &CameFrom<'_>) -> Result<(), StoreError> {
    match came.session {
        Some(session) => tx.lock(number(session)).await,
        None => Ok(()),
    }
}

/// Whether somebody signed out since they left for their provider. Their row and their session are held.
pub(crate) async fn has_left(tx: &mut Tx, user: &UserId, came: &CameFrom<'_>) -> Result<bool, StoreError> {
    let one = match came.session {
        Some(session) => *session.as_bytes(),
        None => name("of no known session", user),
    };
    let sql = "SELECT 1 AS one FROM consumed WHERE kind = $1 AND (id = $2 OR id = $3) AND expires >= $4 LIMIT 1";
    let since = Value::int(millis(came.begun.after(JOURNEY_LIFE))?);
    let row = tx.row(sql, &[Value::text(LEFT), Value::bytes(&one), Value::bytes(&name("everywhere", user)), since]).await?;
    Ok(row.is_some())
}

fn name(what: &str, user: &UserId) -> [u8; 32] {
    sha256(format!("doorward signed out v1\0{what}\0{}\0{}", user.issuer(), user.subject()).as_bytes())
}

/// The number of the lock of a session whose person is not known.
fn number(session: &ProviderSession) -> i64 {
    let [a, b, c, d, e, f, g, h, ..] = *session.as_bytes();
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// Ends sign-ins.
async fn sign_ins(tx: &mut Tx, told: &LoggedOut) -> Result<Vec<SignedOut>, StoreError> {
    let issuer = Value::text(told.issuer());
    let rows = match (told.user(), told.session()) {
        (Some(user), Some(session)) => {
            let sql = "DELETE FROM browsers WHERE issuer = $1 AND subject = $2 AND (provider_session = $3 OR provider_session IS NULL) \
                       RETURNING issuer, subject";
            tx.rows(sql, &[issuer, Value::text(user.subject()), Value::bytes(session.as_bytes())]).await?
        }
        (Some(user), None) => {
            let sql = "DELETE FROM browsers WHERE issuer = $1 AND subject = $2 RETURNING issuer, subject";
            tx.rows(sql, &[issuer, Value::text(user.subject())]).await?
        }
        (None, Some(session)) => {
            let sql = "DELETE FROM browsers WHERE issuer = $1 AND provider_session = $2 RETURNING issuer, subject";
            tx.rows(sql, &[issuer, Value::bytes(session.as_bytes())]).await?
        }
        (None, None) => Vec::new(),
    };
    let mut ended: Vec<SignedOut> = Vec::new();
    for row in &rows {
        let user = Reading { row, table: "browsers", id: String::new() }.user()?;
        match ended.iter_mut().find(|known| known.user == user) {
            Some(known) => known.sign_ins += 1,
            None => ended.push(SignedOut { user, sign_ins: 1, consents: 0, tokens: 0 }),
        }
    }
    Ok(ended)
}

/// Ends every consent of a person, and every access token: those of consents, what was exchanged for them, and those that the provider
/// granted a client. Their keys are the administrator's. Their row is held.
async fn allowed(tx: &mut Tx, user: &UserId, now: Timestamp) -> Result<(u64, u64), StoreError> {
    let owner = [Value::text(user.issuer()), Value::text(user.subject()), Value::int(millis(now)?)];
    // The consents first: whoever redeems a code or refreshes holds the row of its consent until the token is there.
    let sql = "UPDATE grants SET revoked = $3 WHERE issuer = $1 AND subject = $2 AND revoked IS NULL AND (expires IS NULL OR expires > $3)";
    let consents = tx.execute(sql, &owner).await?;
    let sql = "UPDATE access_tokens SET revoked = $3 WHERE issuer = $1 AND subject = $2 AND revoked IS NULL AND expires > $3";
    let mut tokens = 0;
    // Until nothing turns up: an exchange under way holds the row of its token, and what it gives is there for the look after that.
    loop {
        match tx.execute(sql, &owner).await? {
            0 => return Ok((consents, tokens)),
            more => tokens += more,
        }
    }
}
