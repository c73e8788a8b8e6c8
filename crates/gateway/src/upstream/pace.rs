//! How fast what a server says beside its answers is read (FLT-04): a flood of one stream must not take the processor from everybody.
//!
//! Nothing is dropped: the server is read more slowly, and feels it as back-pressure.

use doorward_core::config::units::Rate;
use std::time::Duration;
use tokio::time::Instant;

/// The pace of one stream, or of one process: as many messages at once as a period has, then one after the other.
#[derive(Debug)]
pub struct Pace {
    each: Duration,
    burst: Duration,
    /// When what was read would have been read at an even pace.
    due: Instant,
}

/// A message counts once more for each of these bytes: reading is paid by both.
const PIECE: usize = 16 << 10;

impl Pace {
    /// Nothing read yet.
    #[must_use]
    pub fn of(rate: Rate) -> Self {
        let each = rate.per.checked_div(rate.count.get()).unwrap_or(rate.per);
        Self { each, burst: rate.per, due: Instant::now() }
    }

    /// Counts a message of so many bytes.
    pub fn read(&mut self, bytes: usize) {
        let counts = u32::try_from(bytes / PIECE).unwrap_or(u32::MAX).saturating_add(1);
        self.due = self.due.max(Instant::now()) + self.each.saturating_mul(counts).min(self.burst);
    }

    /// Resolves when the next message may be read. Counts nothing: may be given up and asked again.
    pub async fn rest(&self) {
        let Some(until) = self.due.checked_sub(self.burst) else { return };
        // A timer costs more than most messages.
        if until > Instant::now() {
            tokio::time::sleep_until(until).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    fn ten_a_second() -> Pace {
        // A clock that has run for a while, as that of a machine has.
        Pace::of(Rate { count: NonZeroU32::new(10).expect("positive"), per: Duration::from_secs(1) })
    }

    #[tokio::test(start_paused = true)]
    async fn flt_04_a_flood_is_read_at_its_pace_after_a_burst() {
        tokio::time::advance(Duration::from_secs(60)).await;
        let (mut pace, begun) = (ten_a_second(), Instant::now());
        for _ in 0..10 {
            pace.rest().await;
            pace.read(100);
        }
        assert_eq!(begun.elapsed(), Duration::ZERO, "the burst waits for nothing");
        for _ in 0..100 {
            pace.rest().await;
            pace.read(100);
        }
        let took = begun.elapsed();
        assert!((Duration::from_millis(9_800)..Duration::from_millis(10_200)).contains(&took), "{took:?}");
        tokio::time::advance(Duration::from_secs(5)).await;
        let rested = Instant::now();
        for _ in 0..10 {
            pace.rest().await;
            pace.read(100);
        }
        assert_eq!(rested.elapsed(), Duration::ZERO, "who was quiet has a burst again, and not more than one");
        pace.read(0);
        pace.rest().await;
        assert!(rested.elapsed() > Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn flt_04_large_messages_count_for_several() {
        tokio::time::advance(Duration::from_secs(60)).await;
        let (mut pace, begun) = (ten_a_second(), Instant::now());
        for _ in 0..6 {
            pace.rest().await;
            pace.read(5 * PIECE);
        }
        pace.rest().await;
        assert!(begun.elapsed() >= Duration::from_millis(2_500), "{:?}", begun.elapsed());
    }
}
