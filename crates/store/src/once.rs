//! Consume-once (I3): an id is used by exactly one of those who try, across replicas and restarts. Knows not what the ids are.

use crate::Store;
use crate::db::{Tx, Value};
use crate::error::{Refused, StoreError};
use crate::rows::{at_most_one, millis, plain};
use doorward_core::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// When the ids of a kind were last counted, and with which result. Counting each time would cost more than consuming.
#[derive(Debug, Default)]
struct Gauge {
    uses: AtomicU64,
    full: AtomicBool,
    /// The second of the last count, of whoever's clock it was.
    counted: AtomicU64,
}

/// A gauge for each kind: who uses up many ids of one takes no room from another. Kinds are words of this program, and few.
#[derive(Debug, Default)]
pub(crate) struct Gauges(Mutex<BTreeMap<String, Arc<Gauge>>>);

/// Ids of one kind that the sweep has not taken yet. Each replica may overshoot by [`BETWEEN`].
const CAP: i64 = 1_000_000;
/// Uses between two counts.
const BETWEEN: u64 = 1_024;

const CONSUME: &str = "INSERT INTO consumed (kind, id, expires) VALUES ($1, $2, $3) \
                       ON CONFLICT (kind, id) DO UPDATE SET expires = excluded.expires WHERE consumed.expires <= $4";

/// The same inside the transaction that records what the use allows. Room was looked for before.
pub(crate) async fn consumed(
    tx: &mut Tx,
    kind: &'static str,
    (id, expires): (&[u8; 32], Timestamp),
    now: Timestamp,
) -> Result<bool, StoreError> {
    if expires <= now {
        return Ok(false);
    }
    let values = [Value::text(kind), Value::bytes(id), Value::int(millis(expires)?), Value::int(millis(now)?)];
    at_most_one(tx.execute(CONSUME, &values).await?, "consumed")
}

// === impl Store ===

impl Store {
    /// Uses up the id: true for exactly one caller until `expires`; afterwards it may be used again, and the clock of whoever
    /// tries decides when that is. The sweep leaves it for three hours more, for those whose clock is behind (FLT-07).
    ///
    /// `kind` keeps ids of different uses apart, 1 to 255 bytes. A life that has ended already is never won.
    ///
    /// # Errors
    /// Any [`StoreError`] means: not won. [`Refused::TooMany`] at a million live ids of this kind.
    pub async fn consume_once(&self, kind: &str, id: &[u8; 32], expires: Timestamp, now: Timestamp) -> Result<bool, StoreError> {
        plain(kind, "kind")?;
        if expires <= now {
            return Ok(false);
        }
        self.check_room(kind, now).await?;
        let values = [Value::text(kind), Value::bytes(id), Value::int(millis(expires)?), Value::int(millis(now)?)];
        at_most_one(self.db().execute(CONSUME, &values).await?, "consumed")
    }

    /// Counts at the first use, at every 1,024th, and once a second while full: a million rows are counted then, whoever asks.
    pub(crate) async fn check_room(&self, kind: &str, now: Timestamp) -> Result<(), StoreError> {
        let gauge = self.inner.once.of(kind);
        let due = gauge.uses.fetch_add(1, Ordering::Relaxed).is_multiple_of(BETWEEN);
        let second = now.as_millis() / 1_000;
        if due || (gauge.full.load(Ordering::Relaxed) && gauge.counted.swap(second, Ordering::Relaxed) != second) {
            let sql = "SELECT COUNT(*) AS n FROM (SELECT 1 AS one FROM consumed WHERE kind = $1 LIMIT 1000000) AS live";
            let count = self.db().row(sql, &[Value::text(kind)]).await?.map_or(Ok(0), |row| row.column::<i64>("n"))?;
            gauge.full.store(count >= CAP, Ordering::Relaxed);
        }
        if gauge.full.load(Ordering::Relaxed) { Err(Refused::TooMany.into()) } else { Ok(()) }
    }
}

impl Gauges {
    fn of(&self, kind: &str) -> Arc<Gauge> {
        let mut gauges = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(gauges.entry(kind.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_is_full_takes_no_room_from_another() {
        let gauges = Gauges::default();
        gauges.of("client assertion").full.store(true, Ordering::Relaxed);
        assert!(gauges.of("client assertion").full.load(Ordering::Relaxed), "one gauge for a kind");
        assert!(!gauges.of("state").full.load(Ordering::Relaxed));
    }
}
