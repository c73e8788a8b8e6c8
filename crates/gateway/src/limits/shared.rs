//! Budgets that all replicas share, in leases (POL-07). Asks the store for a part of a budget, gives it out here, and comes back
//! when it is used up.
//!
//! The bound of the error: in one window all replicas together never allow more than the limit. A replica may hold up to a 32nd
//! of it that its own users do not need; so much less may be left for the others. Limits below 64 are counted one by one.
//! Windows do not slide: from the end of one into the next, up to twice the limit may come within the length of one, which the
//! limit of each process, always asked first, allows as well.
//!
//! While the store does not answer, the limits of this process count alone (security 7: availability degrades by component).
//! That lasts as long as callers can be identified without it: five seconds.

use doorward_core::config::units::Rate;
use doorward_core::time::Timestamp;
use doorward_store::{Budget, Store};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The leases of this process.
#[derive(Debug)]
pub struct Shared {
    store: Store,
    leases: Mutex<HashMap<[u8; 32], Arc<tokio::sync::Mutex<Lease>>>>,
    /// Until then the store is not asked: it did not answer.
    silent: Mutex<Option<Instant>>,
}

/// A part of a budget that this process may give out.
#[derive(Debug, Clone, Copy)]
struct Lease {
    left: u32,
    ends: Timestamp,
    is_spent: bool,
}

/// A lease is such a part of the limit.
const PART: u32 = 32;
/// The store is asked at least once for so many.
const LARGEST: u32 = 1_024;
/// Leases kept at once; beyond that, those that ended are forgotten.
const MOST: usize = 100_000;
/// The store is given so long, and left alone for as long if it did not answer.
const PATIENCE: Duration = Duration::from_secs(1);

// === impl Shared ===

impl Shared {
    /// Over this store, with nothing leased yet.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, leases: Mutex::default(), silent: Mutex::default() }
    }

    /// Takes one of the budget `id`. `now` is the time that all replicas share.
    ///
    /// # Errors
    /// How long to wait, when all of it is taken.
    pub async fn take(&self, id: &[u8; 32], rate: Rate, now: Timestamp) -> Result<(), Duration> {
        let lease = self.lease(id, now);
        // One at a time asks for each budget: others would lease parts that nobody needs.
        let mut lease = lease.lock().await;
        if now < lease.ends {
            if let Some(left) = lease.left.checked_sub(1) {
                lease.left = left;
                return Ok(());
            }
            if lease.is_spent {
                return Err(lease.ends.since(now));
            }
        }
        if self.is_silent() {
            return Ok(());
        }
        let budget = Budget { most: rate.count.get(), within: rate.per };
        let count = (budget.most / PART).clamp(1, LARGEST);
        match tokio::time::timeout(PATIENCE, self.store.take_budget(id, budget, count, now)).await {
            Ok(Ok(given)) => {
                *lease = Lease { left: given.count.saturating_sub(1), ends: given.ends, is_spent: given.count < count };
                if given.count == 0 { Err(given.ends.since(now)) } else { Ok(()) }
            }
            Ok(Err(_)) | Err(_) => {
                *self.silent.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + PATIENCE);
                tracing::debug!("the store does not answer for budgets; the limits of this process count alone");
                Ok(())
            }
        }
    }

    fn lease(&self, id: &[u8; 32], now: Timestamp) -> Arc<tokio::sync::Mutex<Lease>> {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        if leases.len() > MOST {
            leases.retain(|_, lease| lease.try_lock().map_or(true, |lease| lease.ends > now));
        }
        let none = Lease { left: 0, ends: Timestamp::from_millis(0), is_spent: false };
        Arc::clone(leases.entry(*id).or_insert_with(|| Arc::new(tokio::sync::Mutex::new(none))))
    }

    fn is_silent(&self) -> bool {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| Instant::now() < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_core::secret::Secret;
    use doorward_store::{Sealer, StoreUrl};
    use std::num::NonZeroU32;
    use std::os::unix::fs::DirBuilderExt as _;
    use std::path::PathBuf;

    struct Folder(PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).ok();
        }
    }

    struct Zero;

    impl doorward_store::Random for Zero {
        fn fill(&self, out: &mut [u8]) -> Result<(), doorward_store::NoRandom> {
            out.fill(0);
            Ok(())
        }
    }

    async fn store(name: &str) -> (Folder, Store) {
        let folder = Folder(std::env::temp_dir().join(format!("doorward-budgets-{}-{name}", std::process::id())));
        std::fs::DirBuilder::new().mode(0o700).create(&folder.0).expect("a fresh directory");
        let sealer = Sealer::new(&Secret::new([7; 32]), Arc::new(Zero)).expect("a sealer");
        let store = Store::open(&StoreUrl::Sqlite(folder.0.join("s.db")), None, 1, sealer).await.expect("a store");
        (folder, store)
    }

    const fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + seconds * 1_000)
    }

    fn rate(count: u32) -> Rate {
        Rate { count: NonZeroU32::new(count).expect("positive"), per: Duration::from_secs(60) }
    }

    #[tokio::test]
    async fn pol_07_two_processes_give_out_one_budget() {
        let (_folder, store) = store("one").await;
        for count in [10, 64, 640] {
            let (id, rate) = ([u8::try_from(count % 251).expect("small"); 32], rate(count));
            let both = [Shared::new(store.clone()), Shared::new(store.clone())];
            let mut allowed = 0;
            for turn in 0..count as usize * 2 {
                let answer = both[turn % 2].take(&id, rate, at(1)).await;
                allowed += u32::from(answer.is_ok());
                assert!(answer.is_ok() || answer == Err(Duration::from_secs(60)), "{answer:?}");
            }
            assert_eq!(allowed, count, "both needed it, so nothing is left over");
            assert_eq!(both[0].take(&[0; 32], rate, at(1)).await, Ok(()), "another's");
            assert_eq!(both[1].take(&id, rate, at(61)).await, Ok(()), "the next window");
        }
    }

    #[tokio::test]
    async fn pol_07_one_process_that_is_asked_alone_gives_out_all() {
        let (_folder, store) = store("alone").await;
        let (one, idle) = (Shared::new(store.clone()), Shared::new(store.clone()));
        assert_eq!(idle.take(&[1; 32], rate(640), at(0)).await, Ok(()));
        let mut allowed = 1;
        while one.take(&[1; 32], rate(640), at(0)).await.is_ok() {
            allowed += 1;
        }
        assert_eq!(allowed, 640 - 640 / 32 + 1, "but for what the other one holds");
    }

    #[tokio::test]
    async fn pol_07_the_store_is_asked_once_for_a_lease() {
        let (_folder, store) = store("lease").await;
        let shared = Shared::new(store.clone());
        let budget = Budget { most: 640, within: Duration::from_secs(60) };
        for _ in 0..20 {
            assert_eq!(shared.take(&[1; 32], rate(640), at(0)).await, Ok(()));
        }
        assert_eq!(store.take_budget(&[1; 32], budget, 640, at(0)).await.expect("the rest").count, 620);
        for _ in 0..100 {
            assert_eq!(shared.take(&[1; 32], rate(640), at(20)).await, Err(Duration::from_secs(40)), "known here from the first time on");
        }
    }

    #[tokio::test]
    async fn pol_07_without_the_store_the_limits_of_this_process_count_alone() {
        let (_folder, store) = store("away").await;
        let shared = Shared::new(store.clone());
        while shared.take(&[1; 32], rate(2), at(0)).await.is_ok() {}
        store.close().await;
        assert!(shared.take(&[1; 32], rate(2), at(0)).await.is_err(), "what was spent stays spent");
        for _ in 0..5 {
            assert_eq!(shared.take(&[2; 32], rate(2), at(0)).await, Ok(()));
        }
    }
}
