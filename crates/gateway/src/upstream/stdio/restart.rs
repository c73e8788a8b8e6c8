//! When a child that died may be started again: a rate and a growing pause. Pure; the owner of the child asks.

use std::collections::VecDeque;
use std::str::FromStr;
use std::time::Duration;

/// The first pause; it doubles with each further start in the window.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// At most so many restarts in so much time: `5/m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    count: u32,
    per: Duration,
}

/// The text is not a rate: `<1 to 1000>/<s, m, h or d>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a rate such as 5/m")]
pub struct NotARate;

/// The restarts of one child so far.
#[derive(Debug)]
pub struct RestartBudget {
    rate: Rate,
    granted: VecDeque<Duration>,
}

/// What to do about a child that died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Start it again after this pause; the restart counts from now on.
    After(Duration),
    /// It dies too often. Ask again after this time; until then the server is down.
    Exhausted(Duration),
}

// === impl Rate ===

impl Rate {
    /// `count` restarts, 1 to 1000, in any window of length `per`, which is not zero.
    ///
    /// # Errors
    /// [`NotARate`].
    pub const fn new(count: u32, per: Duration) -> Result<Self, NotARate> {
        if count == 0 || count > 1000 || per.is_zero() { Err(NotARate) } else { Ok(Self { count, per }) }
    }
}

impl FromStr for Rate {
    type Err = NotARate;

    fn from_str(text: &str) -> Result<Self, NotARate> {
        let (count, unit) = text.split_once('/').ok_or(NotARate)?;
        let per = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return Err(NotARate),
        };
        if !count.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NotARate);
        }
        Self::new(count.parse().map_err(|_| NotARate)?, Duration::from_secs(per))
    }
}

// === impl RestartBudget ===

impl RestartBudget {
    /// Nothing used yet.
    #[must_use]
    pub const fn new(rate: Rate) -> Self {
        Self { rate, granted: VecDeque::new() }
    }

    /// A child died at `now`: monotonic time since any fixed origin.
    pub fn ask(&mut self, now: Duration) -> Verdict {
        while self.granted.front().is_some_and(|then| now.saturating_sub(*then) >= self.rate.per) {
            self.granted.pop_front();
        }
        let used = u32::try_from(self.granted.len()).unwrap_or(u32::MAX);
        if used >= self.rate.count {
            let oldest = self.granted.front().copied().unwrap_or(now);
            return Verdict::Exhausted(self.rate.per.saturating_sub(now.saturating_sub(oldest)));
        }
        self.granted.push_back(now);
        Verdict::After(FIRST_PAUSE.saturating_mul(1 << used.min(16)).min(LONGEST_PAUSE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_strictly() {
        assert_eq!("5/m".parse(), Rate::new(5, Duration::from_secs(60)));
        for bad in ["", "5", "5/", "/m", "0/m", "1001/m", "+5/m", "-1/m", "5/x", "5/m ", " 5/m", "5/mm", "99999999999/m"] {
            assert_eq!(bad.parse::<Rate>(), Err(NotARate), "{bad:?}");
        }
    }

    #[test]
    fn std_06_a_crashing_child_comes_back_more_and_more_slowly_and_then_not_at_all() {
        let mut budget = RestartBudget::new("3/m".parse().expect("rate"));
        let at = Duration::from_secs;
        assert_eq!(budget.ask(at(100)), Verdict::After(Duration::from_millis(250)));
        assert_eq!(budget.ask(at(101)), Verdict::After(Duration::from_millis(500)));
        assert_eq!(budget.ask(at(102)), Verdict::After(Duration::from_millis(1000)));
        assert_eq!(budget.ask(at(103)), Verdict::Exhausted(at(57)));
        assert_eq!(budget.ask(at(159)), Verdict::Exhausted(at(1)));
        assert_eq!(budget.ask(at(160)), Verdict::After(Duration::from_millis(1000)), "one slot is free again");
        assert_eq!(budget.ask(at(161)), Verdict::After(Duration::from_millis(1000)), "and another");
        assert_eq!(budget.ask(at(161)), Verdict::Exhausted(at(1)));
        assert_eq!(budget.ask(at(162)), Verdict::After(Duration::from_millis(1000)), "the refusal itself used nothing");
    }

    #[test]
    fn the_pause_has_an_end() {
        let mut budget = RestartBudget::new("1000/d".parse().expect("rate"));
        let longest = (0..100).map(|s| budget.ask(Duration::from_secs(s))).fold(None, |_, verdict| Some(verdict));
        assert_eq!(longest, Some(Verdict::After(LONGEST_PAUSE)));
    }

    #[test]
    fn a_clock_that_steps_back_grants_nothing_extra() {
        let mut budget = RestartBudget::new("1/m".parse().expect("rate"));
        assert!(matches!(budget.ask(Duration::from_secs(1000)), Verdict::After(_)));
        assert_eq!(budget.ask(Duration::from_secs(10)), Verdict::Exhausted(Duration::from_secs(60)));
    }
}
