//! Removes what has ended, a bounded batch of each at a time. Decides nothing: what is expired counts for nobody before the sweep either.

use crate::Store;
use crate::db::Value;
use crate::error::StoreError;
use crate::rows::millis;
use doorward_core::oauth::dpop;
use doorward_core::session::Lifetimes;
use doorward_core::time::Timestamp;
use std::time::Duration;

/// How many rows one sweep removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Legacy sessions past their idle or absolute life.
    pub sessions: u64,
    /// Tasks that their server has forgotten.
    pub tasks: u64,
    /// Consumed ids that ended three hours ago or earlier, proofs of possession half an hour ago.
    pub consumed: u64,
    /// Access tokens past their life, revoked ones included.
    pub access_tokens: u64,
    /// API keys that ended 90 days ago or earlier.
    pub api_keys: u64,
    /// Budgets whose window is over.
    pub budgets: u64,
    /// Authorization codes and one-time links past their life, and requests of devices an hour after it.
    pub codes: u64,
    /// Refresh tokens past their life, used ones included.
    pub refresh_tokens: u64,
    /// Browsers past the end of their sign-in.
    pub browsers: u64,
    /// Consents that ended or were taken back 90 days ago or earlier.
    pub grants: u64,
    /// Labels of what was seen that are not remembered any longer.
    pub seen: u64,
    /// Attempts to connect of which nothing was heard for a week.
    pub attempts: u64,
    /// Users not seen for 400 days who are not disabled and have no key, token, consent, browser or sealed value.
    pub users: u64,
}

/// Rows of one table that one sweep removes at most; the statements repeat it.
const BATCH: u64 = 1_000;
/// How long a user without anything stays known.
const REMEMBERED: Duration = Duration::from_secs(400 * 24 * 3_600);
/// How long an ended API key stays listed.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3_600);

/// How long a session that was ended from outside stays: by then every replica that had it open has heard of it.
const HEARD: Duration = Duration::from_secs(600);
/// How long an attempt is shown after its last step.
const SHOWN: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How long the client of a device that nobody answered is told so, and not that it is unknown.
const TOLD: Duration = Duration::from_secs(3_600);
/// How long an id that was used stays used after its end: a replica whose clock is so far behind still thinks it alive (FLT-07).
const REMEMBERED_USED: Duration = Duration::from_secs(3 * 3_600);

/// The same of proofs of possession, of which each request has one: at a replica that is further behind their nonces are of the future.
const REMEMBERED_PROOFS: Duration = Duration::from_secs(1_800);
/// Proofs that one sweep removes at most.
const PROOFS: i64 = 20_000;

// === impl Store ===

impl Store {
    /// Removes up to 1,000 ended rows of each table. Each table is swept on its own: what was swept before a failure stays swept.
    ///
    /// # Errors
    /// [`StoreError`] of the first table that could not be swept.
    pub async fn sweep(&self, now: Timestamp, lifetimes: Lifetimes) -> Result<Swept, StoreError> {
        let at = millis(now)?;
        let (idle, absolute, kept) = (before(at, lifetimes.idle), before(at, lifetimes.absolute), before(at, KEPT));
        // The condition stands twice: a row that is touched meanwhile is judged again when its lock is granted.
        let sessions = "DELETE FROM sessions WHERE (used <= $1 OR created <= $2 OR ended <= $3) \
                        AND digest IN (SELECT digest FROM sessions WHERE used <= $1 OR created <= $2 OR ended <= $3 LIMIT 1000)";
        let tasks = "DELETE FROM tasks WHERE swept_from <= $1 \
                     AND digest IN (SELECT digest FROM tasks WHERE swept_from <= $1 LIMIT 1000)";
        let consumed = "DELETE FROM consumed WHERE expires <= $1 \
                        AND (kind, id) IN (SELECT kind, id FROM consumed WHERE expires <= $1 LIMIT 1000)";
        let proofs = "DELETE FROM consumed WHERE kind = $1 AND expires <= $2 \
                      AND (kind, id) IN (SELECT kind, id FROM consumed WHERE kind = $1 AND expires <= $2 LIMIT $3)";
        let of_proofs = [Value::text(dpop::ONCE), Value::int(before(at, REMEMBERED_PROOFS)), Value::int(PROOFS)];
        let access_tokens = "DELETE FROM access_tokens WHERE expires <= $1 \
                             AND hash IN (SELECT hash FROM access_tokens WHERE expires <= $1 LIMIT 1000)";
        let api_keys = "DELETE FROM api_keys WHERE (expires <= $1 OR revoked <= $1) \
                        AND id IN (SELECT id FROM api_keys WHERE expires <= $1 OR revoked <= $1 LIMIT 1000)";
        let budgets = "DELETE FROM budgets WHERE ends <= $1 AND id IN (SELECT id FROM budgets WHERE ends <= $1 LIMIT 1000)";
        let codes = "DELETE FROM codes WHERE expires <= $1 AND hash IN (SELECT hash FROM codes WHERE expires <= $1 LIMIT 1000)";
        let links = "DELETE FROM links WHERE expires <= $1 AND hash IN (SELECT hash FROM links WHERE expires <= $1 LIMIT 1000)";
        let devices = "DELETE FROM device_requests WHERE expires <= $1 \
                       AND hash IN (SELECT hash FROM device_requests WHERE expires <= $1 LIMIT 1000)";
        let refresh_tokens = "DELETE FROM refresh_tokens WHERE expires <= $1 \
                              AND hash IN (SELECT hash FROM refresh_tokens WHERE expires <= $1 LIMIT 1000)";
        let browsers =
            "DELETE FROM browsers WHERE expires <= $1 AND digest IN (SELECT digest FROM browsers WHERE expires <= $1 LIMIT 1000)";
        // What counted is over before its consent goes: no token is left without one.
        let grants = "DELETE FROM grants WHERE (expires <= $1 OR revoked <= $1) \
                      AND id IN (SELECT id FROM grants WHERE expires <= $1 OR revoked <= $1 LIMIT 1000)";
        let seen = "DELETE FROM seen WHERE until <= $1 AND (issuer, subject, client, label) IN \
                    (SELECT issuer, subject, client, label FROM seen WHERE until <= $1 LIMIT 1000)";
        let attempts = "DELETE FROM attempts WHERE last <= $1 AND id IN (SELECT id FROM attempts WHERE last <= $1 LIMIT 1000)";
        let users = "DELETE FROM users WHERE (issuer, subject) IN (SELECT u.issuer, u.subject FROM users u \
                     WHERE u.seen <= $1 AND u.disabled IS NULL \
                     AND NOT EXISTS (SELECT 1 FROM api_keys k WHERE k.issuer = u.issuer AND k.subject = u.subject) \
                     AND NOT EXISTS (SELECT 1 FROM access_tokens t WHERE t.issuer = u.issuer AND t.subject = u.subject) \
                     AND NOT EXISTS (SELECT 1 FROM grants g WHERE g.issuer = u.issuer AND g.subject = u.subject) \
                     AND NOT EXISTS (SELECT 1 FROM browsers b WHERE b.issuer = u.issuer AND b.subject = u.subject) \
                     AND NOT EXISTS (SELECT 1 FROM connections c WHERE c.issuer = u.issuer AND c.subject = u.subject) \
                     AND NOT EXISTS (SELECT 1 FROM vault v WHERE v.issuer = u.issuer AND v.subject = u.subject) LIMIT 1000) \
                     AND seen <= $1 AND disabled IS NULL";
        Ok(Swept {
            sessions: self.db().execute(sessions, &[Value::int(idle), Value::int(absolute), Value::int(before(at, HEARD))]).await?,
            tasks: self.db().execute(tasks, &[Value::int(at)]).await?,
            consumed: self.db().execute(consumed, &[Value::int(before(at, REMEMBERED_USED))]).await?
                + self.db().execute(proofs, &of_proofs).await?,
            access_tokens: self.db().execute(access_tokens, &[Value::int(at)]).await?,
            api_keys: self.db().execute(api_keys, &[Value::int(kept)]).await?,
            budgets: self.db().execute(budgets, &[Value::int(at)]).await?,
            codes: self.db().execute(codes, &[Value::int(at)]).await?
                + self.db().execute(links, &[Value::int(at)]).await?
                + self.db().execute(devices, &[Value::int(before(at, TOLD))]).await?,
            refresh_tokens: self.db().execute(refresh_tokens, &[Value::int(at)]).await?,
            browsers: self.db().execute(browsers, &[Value::int(at)]).await?,
            grants: self.db().execute(grants, &[Value::int(kept)]).await?,
            seen: self.db().execute(seen, &[Value::int(at)]).await?,
            attempts: self.db().execute(attempts, &[Value::int(before(at, SHOWN))]).await?,
            users: self.db().execute(users, &[Value::int(before(at, REMEMBERED))]).await?,
        })
    }
}

// === impl Swept ===

impl Swept {
    /// True if a table filled its batch: there is more to sweep.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        self.sessions >= BATCH
            || self.tasks >= BATCH
            || self.consumed >= BATCH
            || self.access_tokens >= BATCH
            || self.api_keys >= BATCH
            || self.budgets >= BATCH
            || self.codes >= BATCH
            || self.refresh_tokens >= BATCH
            || self.browsers >= BATCH
            || self.grants >= BATCH
            || self.seen >= BATCH
            || self.attempts >= BATCH
            || self.users >= BATCH
    }
}

/// An instant so long ago, negative before the epoch: no row is that old.
fn before(at: i64, span: Duration) -> i64 {
    at.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
}
