//! How many requests without a valid credential one address may make. Bounded whatever the number of addresses.

use governor::clock::{Clock as _, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

/// A limit for each address; an IPv6 network of 64 bits counts as one.
pub struct AddressLimit {
    each: RateLimiter<IpAddr, HashMapStateStore<IpAddr>, DefaultClock>,
    /// For addresses that are new while the table is full: they share this one.
    rest: RateLimiter<governor::state::NotKeyed, governor::state::InMemoryState, DefaultClock>,
    capacity: usize,
    clock: DefaultClock,
}

/// Addresses remembered at a time.
const CAPACITY: usize = 50_000;

impl AddressLimit {
    /// `per_minute` requests of one address, `burst` of them at once.
    #[must_use]
    pub fn new(per_minute: NonZeroU32, burst: NonZeroU32) -> Self {
        Self::with_capacity(per_minute, burst, CAPACITY)
    }

    /// As [`AddressLimit::new`], with another number of addresses remembered at a time.
    #[must_use]
    pub fn with_capacity(per_minute: NonZeroU32, burst: NonZeroU32, capacity: usize) -> Self {
        Self::sized(Quota::per_minute(per_minute).allow_burst(burst), capacity)
    }

    /// As many of one address as the quota says.
    #[must_use]
    pub(crate) fn of(quota: Quota) -> Self {
        Self::sized(quota, CAPACITY)
    }

    fn sized(quota: Quota, capacity: usize) -> Self {
        Self { each: RateLimiter::hashmap(quota), rest: RateLimiter::direct(quota), capacity, clock: DefaultClock::default() }
    }

    /// Counts one request.
    ///
    /// # Errors
    /// How long the address has to wait.
    pub fn check(&self, ip: IpAddr) -> Result<(), Duration> {
        let key = network(ip);
        if self.each.len() >= self.capacity {
            self.each.retain_recent();
        }
        let full = self.each.len() >= self.capacity;
        let allowed = if full { self.rest.check() } else { self.each.check_key(&key) };
        allowed.map_err(|until| until.wait_time_from(self.clock.now()))
    }
}

impl fmt::Debug for AddressLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AddressLimit({} of {})", self.each.len(), self.capacity)
    }
}

/// What counts as one address: all of IPv4, 64 bits of IPv6.
#[must_use]
pub(crate) fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(capacity: usize) -> AddressLimit {
        AddressLimit::with_capacity(NonZeroU32::MIN, NonZeroU32::new(2).expect("two"), capacity)
    }

    #[test]
    fn an_address_has_its_burst_and_a_network_of_64_bits_is_one_address() {
        let limit = limit(10);
        let ip = |text: &str| text.parse::<IpAddr>().expect("ip");
        assert!(limit.check(ip("192.0.2.1")).is_ok() && limit.check(ip("192.0.2.1")).is_ok());
        assert!(limit.check(ip("192.0.2.1")).is_err_and(|wait| wait > Duration::from_secs(1)));
        assert!(limit.check(ip("::ffff:192.0.2.1")).is_err());
        assert!(limit.check(ip("192.0.2.2")).is_ok());
        assert!(limit.check(ip("2001:db8::1")).is_ok() && limit.check(ip("2001:db8::2")).is_ok());
        assert!(limit.check(ip("2001:db8::3")).is_err());
        assert!(limit.check(ip("2001:db8:0:1::3")).is_ok());
    }

    #[test]
    fn a_full_table_does_not_grow_and_does_not_open() {
        let limit = limit(100);
        let passed = (0..10_000u32).filter(|n| limit.check(IpAddr::from(n.to_be_bytes())).is_ok()).count();
        assert!(limit.each.len() <= 100);
        assert_eq!(passed, 102);
    }
}
