//! How far our clock is from that of the database, the one clock that all replicas share (FLT-07).
//!
//! Owns the measure and the alarm. Expiry is judged by our own clock all the same: replicas may disagree about it by as much as
//! their clocks do, so up to [`TOLERATED`] is documented and more is an alarm. Only what replicas do to each other's records,
//! sweeping and shared budgets, goes by the shared clock.

use crate::Gateway;
use doorward_core::audit::outcome::Notice;
use doorward_core::time::Timestamp;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

/// What clocks may disagree without a word.
pub const TOLERATED: Duration = Duration::from_secs(60);

/// An answer that took longer says nothing about clocks.
const PROMPT: u64 = 5_000;

/// What is known of the two clocks. They count as equal until somebody measured.
#[derive(Debug, Default)]
pub struct Skew {
    /// Milliseconds that the shared clock is ahead of ours.
    ahead: AtomicI64,
    is_far: AtomicBool,
}

/// What changed with a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The clocks are further apart than [`TOLERATED`]; they were not before.
    Apart,
    /// They agree again.
    Together,
}

/// Milliseconds that the shared clock is ahead of ours: it said `said` between our `before` and `after`, so the error is at
/// most half of the time between them. `None` when that was more than five seconds.
#[must_use]
pub fn measured(before: Timestamp, said: Timestamp, after: Timestamp) -> Option<i64> {
    let took = u64::try_from(after.since(before).as_millis()).ok().filter(|took| *took <= PROMPT)?;
    let ours = before.as_millis().saturating_add(took / 2);
    Some(i64::try_from(i128::from(said.as_millis()) - i128::from(ours)).unwrap_or(if said.as_millis() > ours {
        i64::MAX
    } else {
        i64::MIN
    }))
}

/// Whether so many milliseconds are more than is tolerated.
#[must_use]
pub fn is_far(ahead: i64) -> bool {
    Duration::from_millis(ahead.unsigned_abs()) > TOLERATED
}

/// For people: `300 s behind` or `ahead of` the database's clock.
#[must_use]
pub fn told(ahead: i64) -> String {
    let seconds = ahead.unsigned_abs() / 1000;
    // What the shared clock is ahead, ours is behind.
    let side = if ahead > 0 { "behind" } else { "ahead of" };
    format!("{seconds} s {side} the clock of the database")
}

// === impl Skew ===

impl Skew {
    /// Keeps a measure, and says what changed with it.
    pub fn note(&self, ahead: i64) -> Option<Turn> {
        self.ahead.store(ahead, Ordering::Relaxed);
        let now = is_far(ahead);
        let turn = if now { Turn::Apart } else { Turn::Together };
        (self.is_far.swap(now, Ordering::Relaxed) != now).then_some(turn)
    }

    /// What the shared clock says when ours says `own`, as of the last measure.
    #[must_use]
    pub fn shared(&self, own: Timestamp) -> Timestamp {
        Timestamp::from_millis(own.as_millis().saturating_add_signed(self.ahead.load(Ordering::Relaxed)))
    }
}

impl Gateway {
    /// Compares our clock with that of the database; on SQLite there is nothing to compare. A change of what is tolerated goes
    /// into the log and onto the record.
    pub(crate) async fn compare_clocks(&self) {
        let before = self.env.now();
        let Ok(Some(said)) = self.store.clock().await else { return };
        let Some(ahead) = measured(before, said, self.env.now()) else { return };
        self.metrics.clock_ahead(ahead);
        let Some(turn) = self.skew.note(ahead) else { return };
        let told = format!("the clock of this machine is {}", told(ahead));
        let reason = match turn {
            Turn::Apart => {
                tracing::warn!("{told}; replicas will disagree about what has expired");
                "clock_skew"
            }
            Turn::Together => {
                tracing::info!("{told}, which is tolerated again");
                "clock_agrees"
            }
        };
        self.note(&Notice { reason, cause: Some(&told), ..Notice::default() }).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn flt_07_the_measure_is_taken_from_the_middle_and_late_answers_say_nothing() {
        assert_eq!(measured(at(10_000), at(10_500), at(11_000)), Some(0));
        assert_eq!(measured(at(10_000), at(310_000), at(10_000)), Some(300_000));
        assert_eq!(measured(at(310_000), at(10_000), at(310_000)), Some(-300_000));
        assert_eq!(measured(at(10_000), at(10_000), at(15_001)), None);
        assert_eq!(measured(at(10_000), at(10_000), at(9_000)), Some(0), "a step back in between is no time");
        assert_eq!(measured(at(0), at(u64::MAX), at(0)), Some(i64::MAX));
    }

    #[test]
    fn flt_07_the_alarm_is_raised_once_and_ends_once() {
        let skew = Skew::default();
        assert_eq!((skew.note(60_000), skew.note(-60_000)), (None, None), "a minute is tolerated");
        assert_eq!((skew.note(60_001), skew.note(-300_000)), (Some(Turn::Apart), None));
        assert_eq!(skew.shared(at(1_000_000)), at(700_000));
        assert_eq!((skew.note(5), skew.note(0)), (Some(Turn::Together), None));
        assert_eq!(skew.shared(at(1_000_000)), at(1_000_000));
        assert_eq!(
            (told(300_900).as_str(), told(-61_000).as_str()),
            ("300 s behind the clock of the database", "61 s ahead of the clock of the database")
        );
    }
}
