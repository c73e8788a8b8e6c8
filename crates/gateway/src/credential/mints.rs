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

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_core::credential::{Life, Origin, Principal, UpstreamSecret};
    use doorward_core::secret::Secret;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A clock that is set, and a count of what was made.
    #[derive(Default)]
    struct Bench {
        seconds: AtomicU64,
        made: AtomicU64,
        mints: Mints<&'static str>,
        answers: Mutex<Vec<Result<u64, NoLease>>>,
    }

    impl Bench {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(1_000_000 + self.seconds.load(Ordering::Relaxed) * 1_000)
        }

        fn says(&self, answers: impl IntoIterator<Item = Result<u64, NoLease>>) {
            *self.answers.lock().unwrap() = answers.into_iter().collect();
        }

        /// One of the answers, in order: a credential that lives so many seconds, or none.
        async fn make(&self) -> Result<Made, NoLease> {
            let made = self.made.fetch_add(1, Ordering::Relaxed) + 1;
            tokio::task::yield_now().await;
            let life = self.answers.lock().unwrap().remove(0)?;
            let now = self.now();
            let secret = Secret::new(format!("Bearer number-{made}"));
            let secret = UpstreamSecret::from_source("authorization".to_owned(), secret, Origin::new("https://a.example".to_owned()));
            let ends = now.after(Duration::from_secs(life));
            Ok(Made::New(Minted::until_then(secret.of_version(made), Principal::new("p".to_owned()), Life::of(now, ends))))
        }

        async fn lent(&self) -> Result<u64, NoLease> {
            self.mints.minted(&"key", || self.now(), || self.make()).await.map(|minted| minted.secret().version())
        }

        fn passes(&self, seconds: u64) {
            self.seconds.fetch_add(seconds, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn oc_07_a_hundred_that_wait_share_one_making_and_its_end() {
        let bench = Bench::default();
        bench.says([Ok(3_600)]);
        let all = futures_of(&bench, 100).await;
        assert!(all.iter().all(|lent| *lent == Ok(1)), "{all:?}");
        assert_eq!(bench.made.load(Ordering::Relaxed), 1);
        let bench = Bench::default();
        bench.says([Err(NoLease::Unavailable("away"))]);
        let all = futures_of(&bench, 100).await;
        assert!(all.iter().all(|lent| *lent == Err(NoLease::Unavailable("away"))));
        assert_eq!(bench.made.load(Ordering::Relaxed), 1, "nobody tries again in turn");
    }

    async fn futures_of(bench: &Bench, count: usize) -> Vec<Result<u64, NoLease>> {
        let mut waiting: Vec<_> = (0..count).map(|_| Box::pin(bench.lent())).collect();
        let mut found = Vec::new();
        std::future::poll_fn(|cx| {
            waiting.retain_mut(|one| match one.as_mut().poll(cx) {
                std::task::Poll::Ready(lent) => {
                    found.push(lent);
                    false
                }
                std::task::Poll::Pending => true,
            });
            if waiting.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        found
    }

    #[tokio::test]
    async fn oc_08_what_still_counts_is_lent_while_another_cannot_be_made_and_nothing_expired_ever_is() {
        let bench = Bench::default();
        bench.says([Ok(3_600), Err(NoLease::Unavailable("away")), Err(NoLease::Unavailable("away")), Ok(3_600)]);
        assert_eq!(bench.lent().await, Ok(1));
        bench.passes(3_500);
        assert_eq!(bench.lent().await, Ok(1), "in its last minutes, while nobody answers");
        for _ in 0..10 {
            assert_eq!(bench.lent().await, Ok(1));
        }
        assert_eq!(bench.made.load(Ordering::Relaxed), 2, "who is away is left alone for a while");
        bench.passes(95);
        assert_eq!(bench.lent().await, Err(NoLease::Unavailable("away")), "its last seconds are not used");
        bench.passes(2);
        assert_eq!(bench.lent().await, Ok(4));
    }

    #[tokio::test]
    async fn oc_08_who_refuses_is_left_alone_for_as_long_as_they_say() {
        for (why, pause) in [(NoLease::Refused("no"), 30), (NoLease::Overloaded(120), 120), (NoLease::Overloaded(0), 30)] {
            let bench = Bench::default();
            bench.says([Err(why.clone()), Ok(3_600)]);
            assert_eq!(bench.lent().await, Err(why.clone()));
            bench.passes(pause - 1);
            assert_eq!(bench.lent().await, Err(why.clone()));
            assert_eq!(bench.made.load(Ordering::Relaxed), 1);
            bench.passes(1);
            assert_eq!(bench.lent().await, Ok(2), "and no failure is for good");
        }
        // What a person mends may have been mended a moment ago.
        let bench = Bench::default();
        bench.says([Err(NoLease::NotConnected), Ok(3_600)]);
        assert_eq!(bench.lent().await, Err(NoLease::NotConnected));
        assert_eq!(bench.lent().await, Ok(2));
    }

    #[tokio::test]
    async fn what_was_not_taken_is_replaced_once_by_whoever_comes_first() {
        let bench = Bench::default();
        bench.says([Ok(3_600), Ok(3_600)]);
        assert_eq!(bench.lent().await, Ok(1));
        let another = async |version| {
            let minted = bench.mints.another(&"key", version, || bench.now(), || bench.make()).await;
            minted.map(|minted| minted.secret().version())
        };
        assert_eq!(another(1).await, Ok(2));
        assert_eq!(another(1).await, Ok(2), "the second one finds what the first made");
        bench.mints.forget(&"key");
        bench.says([Err(NoLease::SignInNeeded)]);
        assert_eq!(bench.lent().await, Err(NoLease::SignInNeeded));
    }
}
