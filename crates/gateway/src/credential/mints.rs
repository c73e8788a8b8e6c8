//! Credentials that were made and are kept in this process for a while: one is made at a time for each key, and whoever waits for it
//! shares its end (credentials 6.2 to 6.4). Nothing expired is ever lent, and no failure is for good.

use arc_swap::ArcSwapOption;
use doorward_core::credential::{Age, Minted, NoLease};
use doorward_core::time::Timestamp;
use quick_cache::sync::Cache;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

/// Credentials by what they are for. The key holds everything that a credential depends on.
#[derive(Debug)]
pub(crate) struct Mints<K> {
    slots: Cache<K, Arc<Slot>>,
}

/// What came of the making.
#[derive(Debug)]
pub(crate) enum Made {
    /// Another one.
    New(Minted),
    /// The one that there was, which still counts: another one could not be made.
    Old(Minted, NoLease),
}

#[derive(Debug, Default)]
struct Slot {
    /// What is lent, without waiting for anybody.
    kept: ArcSwapOption<Minted>,
    /// One at a time makes another; with why and when it could not be made last.
    turn: tokio::sync::Mutex<Option<(NoLease, Timestamp)>>,
}

/// Keys that are kept at most; the one that was not used for longest goes.
const MOST: usize = 20_000;
/// After a failure that may be over at once.
const FAILED: Duration = Duration::from_secs(1);
/// The same while there is one that still counts: nobody is in a hurry.
const PATIENT: Duration = Duration::from_secs(15);

impl<K: Eq + Hash + Clone> Default for Mints<K> {
    fn default() -> Self {
        Self { slots: Cache::new(MOST) }
    }
}

impl<K: Eq + Hash + Clone> Mints<K> {
    /// What is kept for `key`, or what `mint` makes. What could still be used is, where another one cannot be made.
    ///
    /// # Errors
    /// [`NoLease`] of the making, to everybody who waited for it, and for a while after it.
    pub(crate) async fn minted<F>(&self, key: &K, clock: impl Fn() -> Timestamp, mint: impl FnOnce() -> F) -> Result<Arc<Minted>, NoLease>
    where
        F: Future<Output = Result<Made, NoLease>>,
    {
        let slot = self.slot(key);
        if let Some(kept) = slot.good(clock()) {
            return Ok(kept);
        }
        let mut failed = slot.turn.lock().await;
        // Somebody else may have made it meanwhile.
        if let Some(kept) = slot.good(clock()) {
            return Ok(kept);
        }
        slot.make(&mut failed, &clock, mint()).await
    }

    /// What `mint` makes in place of the one of this version, which was not taken; or what took its place meanwhile.
    ///
    /// # Errors
    /// As [`Mints::minted`].
    pub(crate) async fn another<F>(
        &self,
        key: &K,
        version: u64,
        clock: impl Fn() -> Timestamp,
        mint: impl FnOnce() -> F,
    ) -> Result<Arc<Minted>, NoLease>
    where
        F: Future<Output = Result<Made, NoLease>>,
    {
        let slot = self.slot(key);
        let mut failed = slot.turn.lock().await;
        if let Some(kept) = slot.good(clock()).filter(|kept| kept.secret().version() != version) {
            return Ok(kept);
        }
        slot.kept.store(None);
        slot.make(&mut failed, &clock, mint()).await
    }

    /// Whether what is kept for `key` is of this version.
    pub(crate) fn holds(&self, key: &K, version: u64) -> bool {
        let kept = self.slots.get(key).and_then(|slot| slot.kept.load_full());
        kept.is_some_and(|kept| kept.secret().version() == version)
    }

    /// Forgets what is kept for `key`.
    pub(crate) fn forget(&self, key: &K) {
        if let Some(slot) = self.slots.get(key) {
            slot.kept.store(None);
        }
    }

    fn slot(&self, key: &K) -> Arc<Slot> {
        self.slots.get_or_insert_with(key, || Ok::<_, std::convert::Infallible>(Arc::default())).unwrap_or_default()
    }
}

impl Slot {
    /// Makes one, unless that failed just now.
    async fn make(
        &self,
        failed: &mut Option<(NoLease, Timestamp)>,
        clock: &impl Fn() -> Timestamp,
        mint: impl Future<Output = Result<Made, NoLease>>,
    ) -> Result<Arc<Minted>, NoLease> {
        let usable = || self.kept.load_full().filter(|kept| kept.age(clock()) != Age::Over);
        if let Some((why, at)) = failed.as_ref()
            && clock().since(*at) < why.pause().max(if usable().is_some() { PATIENT } else { FAILED })
        {
            return usable().ok_or_else(|| why.clone());
        }
        let why = match mint.await {
            Ok(Made::New(minted) | Made::Old(minted, _)) if minted.age(clock()) == Age::Over => NoLease::Expired,
            Ok(made) => {
                let (minted, why) = match made {
                    Made::New(minted) => (minted, None),
                    Made::Old(minted, why) => (minted, Some(why)),
                };
                let minted = Arc::new(minted);
                self.kept.store(Some(Arc::clone(&minted)));
                *failed = why.map(|why| (why, clock()));
                return Ok(minted);
            }
            // What the person mends is looked up each time: it may have been mended a moment ago.
            Err(why) if why.needs_person() => {
                self.kept.store(None);
                *failed = None;
                return Err(why);
            }
            Err(why) => why,
        };
        *failed = Some((why.clone(), clock()));
        usable().ok_or(why)
    }

    fn good(&self, now: Timestamp) -> Option<Arc<Minted>> {
        self.kept.load_full().filter(|kept| kept.age(now) == Age::Good)
    }
}
