//! A server that does not answer is left alone for a short while, so that nobody waits for it and it can come up (FLT-04).
//!
//! Two things are counted apart. That no connection can be made is nobody's doing: it counts for everybody. A request that is
//! sent and not answered in time may be the doing of whoever sent it, for example by a slow tool, so it counts for its own user
//! alone: nobody can close a server to others. Doorward's own requests count as those of a user of their own.
//!
//! After [`FAILURES`] in a row requests are refused for [`REST`]; then one is let through, and another one after each further
//! [`REST`], until one succeeds. What failed although others were answered since it began does not count.

use crate::egress::error::EgressError;
use doorward_core::id::UserId;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Failures in a row.
pub const FAILURES: u32 = 5;
/// How long a server is left alone.
pub const REST: Duration = Duration::from_secs(5);
/// Users whose failures are remembered; beyond that, all are forgotten.
const MOST: usize = 10_000;

/// The breaker of one server.
#[derive(Debug, Default)]
pub struct Breaker {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    connecting: Count,
    answering: HashMap<Option<UserId>, Count>,
}

/// Failures of one kind.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    failures: u32,
    rests_until: Option<Instant>,
    /// The last success.
    well: Option<Instant>,
}

/// A request that was let through. One that is given up without a verdict gives its place to the next: whoever cancels their
/// requests cannot keep a server closed to others.
#[derive(Debug)]
pub struct Begun<'a> {
    breaker: &'a Breaker,
    user: Option<&'a UserId>,
    at: Instant,
    is_judged: bool,
}

/// What a request says of its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// It answered.
    Answered,
    /// It could be reached.
    Reached,
    /// It took the request and was silent.
    Silent,
    /// It could not be reached.
    Unreachable,
    /// Nothing: the fault is ours.
    Nothing,
}

// === impl Breaker ===

impl Breaker {
    /// Lets a request of `user` through, at `now`.
    ///
    /// # Errors
    /// How long the server is left alone.
    pub fn enter<'a>(&'a self, user: Option<&'a UserId>, now: Instant) -> Result<Begun<'a>, Duration> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let Counts { connecting, answering } = &mut *counts;
        // Most servers are well, and nothing is looked up then.
        let mut own = if answering.is_empty() { None } else { answering.get_mut(&user.cloned()) };
        let wait = connecting.wait(now).max(own.as_ref().map_or(Duration::ZERO, |own| own.wait(now)));
        if !wait.is_zero() {
            return Err(wait);
        }
        connecting.try_again(now);
        if let Some(own) = &mut own {
            own.try_again(now);
        }
        Ok(Begun { breaker: self, user, at: now, is_judged: false })
    }
}

impl Begun<'_> {
    /// What came of it, at `now`.
    pub fn learn<T>(mut self, came: &Result<T, EgressError>, now: Instant) {
        let (sign, user, begun) = (Sign::of(came.as_ref().err()), self.user, self.at);
        if sign == Sign::Nothing {
            return;
        }
        self.is_judged = true;
        let mut counts = self.breaker.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let Counts { connecting, answering } = &mut *counts;
        match sign {
            Sign::Nothing => {}
            Sign::Unreachable => connecting.fail(begun, now),
            Sign::Answered | Sign::Reached | Sign::Silent => connecting.succeed(now),
        }
        match sign {
            Sign::Answered => {
                answering.remove(&user.cloned());
            }
            Sign::Silent => {
                if answering.len() >= MOST {
                    answering.clear();
                }
                answering.entry(user.cloned()).or_default().fail(begun, now);
            }
            Sign::Reached | Sign::Unreachable | Sign::Nothing => {}
        }
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if self.is_judged {
            return;
        }
        let mut counts = self.breaker.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.connecting.give_back(self.at);
        if let Some(own) = counts.answering.get_mut(&self.user.cloned()) {
            own.give_back(self.at);
        }
    }
}

impl Count {
    fn wait(&self, now: Instant) -> Duration {
        self.rests_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// One goes through; others wait another while for what comes of it.
    fn try_again(&mut self, now: Instant) {
        if self.rests_until.is_some() {
            self.rests_until = Some(now + REST);
        }
    }

    /// The one that went through at `begun` tells nothing.
    fn give_back(&mut self, begun: Instant) {
        if self.rests_until == Some(begun + REST) {
            self.rests_until = Some(begun);
        }
    }

    fn fail(&mut self, begun: Instant, now: Instant) {
        if self.well.is_some_and(|well| well > begun) {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES {
            self.rests_until = Some(now + REST);
        }
    }

    fn succeed(&mut self, now: Instant) {
        *self = Self { well: Some(now), ..Self::default() };
    }
}

impl Sign {
    fn of(error: Option<&EgressError>) -> Self {
        match error {
            None => Self::Answered,
            Some(EgressError::Timeout { sent: true }) => Self::Silent,
            Some(EgressError::Redirect(_) | EgressError::TooLarge | EgressError::BadResponse(_) | EgressError::Broken { sent: true }) => {
                Self::Reached
            }
            Some(
                EgressError::Resolve
                | EgressError::Connect(_)
                | EgressError::Tls(_)
                | EgressError::Timeout { sent: false }
                | EgressError::Broken { sent: false },
            ) => Self::Unreachable,
            Some(EgressError::Forbidden(_) | EgressError::BadRequest(_) | EgressError::Busy) => Self::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;

    const GONE: Result<(), EgressError> = Err(EgressError::Connect(ErrorKind::ConnectionRefused));
    const SILENT: Result<(), EgressError> = Err(EgressError::Timeout { sent: true });
    const WELL: Result<(), EgressError> = Ok(());

    fn user(name: &str) -> UserId {
        UserId::new("local", name).expect("id")
    }

    /// One request that ends when it begins.
    fn one(breaker: &Breaker, user: Option<&UserId>, came: &Result<(), EgressError>, now: Instant) -> Result<(), Duration> {
        breaker.enter(user, now).map(|begun| begun.learn(came, now))
    }

    #[test]
    fn flt_04_a_server_that_cannot_be_reached_is_left_alone_and_tried_by_one() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        let (alice, bob) = (user("alice"), user("bob"));
        for n in 0..FAILURES {
            let who = if n % 2 == 0 { &alice } else { &bob };
            assert_eq!(one(&breaker, Some(who), &GONE, start), Ok(()), "{n}");
        }
        for who in [Some(&alice), Some(&bob), None] {
            assert_eq!(one(&breaker, who, &WELL, start + Duration::from_secs(1)), Err(REST - Duration::from_secs(1)));
        }
        // One tries, the others wait for it.
        let probe = breaker.enter(Some(&bob), start + REST).expect("the first one after the rest");
        assert_eq!(breaker.enter(Some(&alice), start + REST).map(drop), Err(REST));
        probe.learn(&GONE, start + REST);
        assert_eq!(breaker.enter(Some(&bob), start + REST + Duration::from_millis(1)).map(drop), Err(REST - Duration::from_millis(1)));
        // A probe of which nothing is heard holds nobody up for ever; one that is given up, not at all.
        drop(breaker.enter(Some(&bob), start + REST * 2).expect("the next one"));
        let _lost = breaker.enter(None, start + REST * 2).expect("in its place");
        assert_eq!(breaker.enter(Some(&alice), start + REST * 2).map(drop), Err(REST));
        assert_eq!(one(&breaker, Some(&alice), &WELL, start + REST * 3), Ok(()));
        for who in [Some(&alice), Some(&bob), None] {
            assert_eq!(one(&breaker, who, &WELL, start + REST * 3), Ok(()), "it is well again");
        }
    }

    #[test]
    fn flt_04_nobody_closes_a_server_to_others() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        let (mallory, alice) = (user("mallory"), user("alice"));
        for _ in 0..FAILURES {
            assert_eq!(one(&breaker, Some(&mallory), &SILENT, start), Ok(()));
        }
        assert_eq!(one(&breaker, Some(&mallory), &SILENT, start), Err(REST), "her own");
        for who in [Some(&alice), None] {
            assert_eq!(one(&breaker, who, &WELL, start), Ok(()));
        }
        assert_eq!(one(&breaker, Some(&mallory), &WELL, start + REST), Ok(()));
        assert_eq!(one(&breaker, Some(&mallory), &WELL, start + REST), Ok(()));
    }

    #[test]
    fn flt_04_failures_count_in_a_row_and_not_against_a_server_that_answers() {
        let (breaker, start) = (Breaker::default(), Instant::now());
        for _ in 0..FAILURES * 2 {
            for _ in 1..FAILURES {
                assert_eq!(one(&breaker, None, &GONE, start), Ok(()));
            }
            assert_eq!(one(&breaker, None, &WELL, start), Ok(()));
        }
        // They began before it answered somebody.
        let old: Vec<Begun<'_>> = (0..20).map(|_| breaker.enter(None, start).expect("let through")).collect();
        assert_eq!(one(&breaker, None, &WELL, start + REST), Ok(()));
        for begun in old {
            begun.learn(&GONE, start + REST * 2);
        }
        assert_eq!(one(&breaker, None, &WELL, start + REST * 2), Ok(()));
    }

    #[test]
    fn flt_04_what_is_ours_or_a_bad_answer_leaves_no_server_alone() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for error in [
            EgressError::Busy,
            EgressError::BadRequest("x"),
            EgressError::Forbidden(crate::egress::error::Forbidden::Private),
            EgressError::TooLarge,
            EgressError::Redirect(302),
            EgressError::BadResponse("x"),
            EgressError::Broken { sent: true },
        ] {
            for _ in 0..FAILURES * 2 {
                assert_eq!(one(&breaker, None, &Err(error.clone()), now), Ok(()), "{error}");
            }
        }
        for error in [EgressError::Resolve, EgressError::Tls(String::new()), EgressError::Timeout { sent: false }] {
            let breaker = Breaker::default();
            let let_through = (0..20).filter(|_| one(&breaker, None, &Err(error.clone()), now).is_ok()).count();
            assert_eq!(let_through, FAILURES as usize, "{error}");
        }
    }
}
