//! Limits by verified user, never by anything a request says about itself (POL-07; SES-07).

mod shared;

pub use shared::Shared;

use crate::listen::guard::Turned;
use doorward_core::config::units::Rate;
use doorward_core::config::{Limits, ToolLimit};
use doorward_core::id::{ClientId, ServerName, ToolName, UserId};
use doorward_core::identity::caller::Caller;
use doorward_core::secret::sha256;
use doorward_core::time::Timestamp;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Requests of each user, of each client, and calls of tools.
#[derive(Debug)]
pub struct Rates {
    by_user: DefaultKeyedRateLimiter<UserId>,
    by_client: Option<DefaultKeyedRateLimiter<ClientId>>,
    by_tool: Vec<(ToolLimit, DefaultKeyedRateLimiter<UserId>)>,
    clock: DefaultClock,
    per_user: Rate,
    per_client: Option<Rate>,
    /// Where several replicas share them.
    shared: Option<Shared>,
}

/// Open streams of each user.
#[derive(Debug, Clone)]
pub struct Streams {
    most: NonZeroU32,
    open: Arc<Mutex<HashMap<UserId, u32>>>,
}

/// One open stream; given back when dropped.
#[derive(Debug)]
pub struct Seat {
    user: UserId,
    open: Arc<Mutex<HashMap<UserId, u32>>>,
}

/// What was turned away at the door goes on the record, but nobody can fill the record by knocking.
#[derive(Debug)]
pub struct Turnings {
    by_kind: DefaultKeyedRateLimiter<Turned>,
}

/// Records of one kind in a minute.
const NOTED: NonZeroU32 = NonZeroU32::new(60).unwrap();

// === impl Rates ===

impl Rates {
    /// As configured, each in bursts of as many. With `shared`, what this process allows counts for all replicas together.
    #[must_use]
    pub fn new(limits: &Limits, shared: Option<Shared>) -> Self {
        let tool = |limit: &ToolLimit| (limit.clone(), RateLimiter::keyed(quota(limit.rate)));
        Self {
            by_user: RateLimiter::keyed(quota(limits.per_user)),
            by_client: limits.per_client.map(|rate| RateLimiter::keyed(quota(rate))),
            by_tool: limits.per_tool.iter().map(tool).collect(),
            clock: DefaultClock::default(),
            per_user: limits.per_user,
            per_client: limits.per_client,
            shared,
        }
    }

    /// Counts one request of a caller. `now` is the time that all replicas share.
    ///
    /// # Errors
    /// How long to wait.
    pub async fn take(&self, caller: &Caller, now: Timestamp) -> Result<(), Duration> {
        let (user, client) = (caller.user(), caller.client());
        self.check(&self.by_user, user)?;
        if let Some(by_client) = &self.by_client {
            self.check(by_client, client)?;
        }
        // The store last: what this process refuses need not be asked there.
        let Some(shared) = &self.shared else { return Ok(()) };
        shared.take(&of_user("user", user, ""), self.per_user, now).await?;
        match self.per_client {
            Some(rate) => shared.take(&id(&["client", client.as_str()]), rate, now).await,
            None => Ok(()),
        }
    }

    /// Counts one call of a tool. `now` is the time that all replicas share.
    ///
    /// # Errors
    /// How long to wait.
    pub async fn take_tool(&self, caller: &Caller, server: &ServerName, tool: &str, now: Timestamp) -> Result<(), Duration> {
        let user = caller.user();
        let is_meant = |of: &ToolLimit| of.server == *server && of.tool.as_ref().is_none_or(|name| name.as_str() == tool);
        let meant = || self.by_tool.iter().filter(|(limit, _)| is_meant(limit));
        meant().try_for_each(|(_, limiter)| self.check(limiter, user))?;
        let Some(shared) = &self.shared else { return Ok(()) };
        for (limit, _) in meant() {
            let of = format!("{}__{}", limit.server, limit.tool.as_ref().map_or("*", ToolName::as_str));
            shared.take(&of_user("tool", user, &of), limit.rate, now).await?;
        }
        Ok(())
    }

    /// Forgets who asked for nothing lately. Between two sweeps there are at most as many as have credentials.
    pub fn sweep(&self) {
        self.by_user.retain_recent();
        if let Some(by_client) = &self.by_client {
            by_client.retain_recent();
        }
        for (_, by_tool) in &self.by_tool {
            by_tool.retain_recent();
        }
    }

    fn check<K: Clone + Eq + std::hash::Hash>(&self, limiter: &DefaultKeyedRateLimiter<K>, key: &K) -> Result<(), Duration> {
        limiter.check_key(key).map_err(|not_until| not_until.wait_time_from(self.clock.now()))
    }
}

/// The name of a budget in the store. No identifier holds control characters, so NUL separates them without doubt.
fn id(parts: &[&str]) -> [u8; 32] {
    sha256(parts.join("\0").as_bytes())
}

fn of_user(kind: &str, user: &UserId, of: &str) -> [u8; 32] {
    id(&[kind, user.issuer(), user.subject(), of])
}

/// So many at once, and again in each period.
pub(crate) fn quota(rate: Rate) -> Quota {
    let each = rate.per.checked_div(rate.count.get()).filter(|each| !each.is_zero()).unwrap_or(Duration::from_nanos(1));
    Quota::with_period(each).unwrap_or_else(|| Quota::per_second(rate.count)).allow_burst(rate.count)
}

// === impl Turnings ===

impl Turnings {
    /// True if this one is recorded.
    #[must_use]
    pub fn is_noted(&self, what: Turned) -> bool {
        self.by_kind.check_key(&what).is_ok()
    }
}

impl Default for Turnings {
    fn default() -> Self {
        Self { by_kind: RateLimiter::keyed(Quota::per_minute(NOTED)) }
    }
}

// === impl Streams ===

impl Streams {
    /// At most `most` streams of one user.
    #[must_use]
    pub fn new(most: NonZeroU32) -> Self {
        Self { most, open: Arc::default() }
    }

    /// Takes a seat, if there is one.
    #[must_use]
    pub fn take(&self, user: &UserId) -> Option<Seat> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(user.clone()).or_insert(0);
        if *count >= self.most.get() {
            return None;
        }
        *count += 1;
        Some(Seat { user: user.clone(), open: Arc::clone(&self.open) })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.user) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::new("local", name).expect("id")
    }

    #[test]
    fn ses_07_a_seat_is_given_back() {
        let streams = Streams::new(NonZeroU32::new(1).expect("positive"));
        let seat = streams.take(&user("alice")).expect("first");
        assert!(streams.take(&user("alice")).is_none());
        assert!(streams.take(&user("bob")).is_some());
        drop(seat);
        assert!(streams.take(&user("alice")).is_some());
    }
}
