//! A credential that was made or read for somebody, and for how long it counts (credentials 6.1, 6.3, 6.5).

use super::{Principal, UpstreamSecret};
use crate::time::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// A credential with whom it makes of a call. Who acts and until when are always known: the record needs both.
#[derive(Debug)]
pub struct Minted {
    secret: Arc<UpstreamSecret>,
    acting: Principal,
    /// `None` for one that ends only when it is taken back.
    life: Option<Life>,
}

/// The life of a credential that ends by itself: from when another one is made, and when this one ends (credentials 6.3).
#[derive(Debug, Clone, Copy)]
pub struct Life {
    renew: Timestamp,
    ends: Timestamp,
    /// What is left when it counts no more.
    last: Duration,
}

/// How far a credential is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// It is used as it is.
    Good,
    /// Another one is made; where that fails this one still counts.
    Renew,
    /// It is never used again.
    Over,
}

/// What is left when another one is made: the metadata server of Google rotates at five minutes, its libraries at 3:45.
pub const RENEW: Duration = Duration::from_secs(225);
/// What is left when it counts no more, of what lives for a minute or longer: a request is on its way for a while, and clocks differ.
const OVER: Duration = Duration::from_secs(10);

impl Minted {
    /// One that ends only when it is taken back.
    #[must_use]
    pub fn for_good(secret: UpstreamSecret, acting: Principal) -> Self {
        Self { secret: Arc::new(secret), acting, life: None }
    }

    /// One with such a life.
    #[must_use]
    pub fn until_then(secret: UpstreamSecret, acting: Principal, life: Life) -> Self {
        Self { secret: Arc::new(secret), acting, life: Some(life) }
    }

    /// How far it is.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Age {
        self.life.map_or(Age::Good, |life| life.age(now))
    }

    /// What is sent.
    #[must_use]
    pub fn secret(&self) -> Arc<UpstreamSecret> {
        Arc::clone(&self.secret)
    }

    /// Who the server will see.
    #[must_use]
    pub const fn acting(&self) -> &Principal {
        &self.acting
    }

    /// Its end, if it has one.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        self.life.map(|life| life.ends)
    }
}

impl Life {
    /// Of what was asked for at `asked` and ends at `ends`. What lives for less than twice the usual window is renewed in the last third
    /// of its life: else each call would renew it. What lives for less than a minute is used until the last sixth.
    #[must_use]
    pub fn of(asked: Timestamp, ends: Timestamp) -> Self {
        let whole = ends.since(asked);
        let rest = if whole < RENEW * 2 { whole / 3 } else { RENEW };
        Self { renew: asked.after(whole.saturating_sub(rest)), ends, last: OVER.min(whole / 6) }
    }

    /// How far it is at `now`.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Age {
        if self.ends <= now || self.ends.since(now) < self.last {
            Age::Over
        } else if self.renew <= now {
            Age::Renew
        } else {
            Age::Good
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Origin;
    use crate::secret::Secret;

    fn lives(seconds: u64) -> Minted {
        let secret = Secret::new("Bearer something-secret".to_owned());
        let secret = UpstreamSecret::from_source("authorization".to_owned(), secret, Origin::new("https://a.example".to_owned()));
        let asked = Timestamp::from_millis(1_000_000);
        Minted::until_then(secret, Principal::new("p".to_owned()), Life::of(asked, asked.after(Duration::from_secs(seconds))))
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000).after(Duration::from_secs(seconds))
    }

    #[test]
    fn an_hour_is_renewed_in_its_last_minutes_and_never_used_in_its_last_seconds() {
        let minted = lives(3_600);
        for (seconds, age) in
            [(0, Age::Good), (3_374, Age::Good), (3_375, Age::Renew), (3_590, Age::Renew), (3_591, Age::Over), (9_999, Age::Over)]
        {
            assert_eq!(minted.age(at(seconds)), age, "{seconds}");
        }
    }

    #[test]
    fn a_short_life_is_not_renewed_at_each_call() {
        let minted = lives(60);
        for (seconds, age) in [(0, Age::Good), (39, Age::Good), (40, Age::Renew), (50, Age::Renew), (51, Age::Over)] {
            assert_eq!(minted.age(at(seconds)), age, "{seconds}");
        }
        assert_eq!(lives(0).age(at(0)), Age::Over);
        assert!(!format!("{:?}", lives(60)).contains("something-secret"));
    }
}
