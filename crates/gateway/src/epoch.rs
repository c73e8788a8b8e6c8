//! The revocation epoch as this process knows it: whatever was cached under an older one counts no more (I8).

use crate::tasks::Tasks;
use doorward_store::Store;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// The epoch. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Epoch {
    current: Arc<watch::Sender<u64>>,
    answered: Arc<AtomicBool>,
}

/// How often the store is asked. Streams and caches of this process hear of a revocation within this time, wherever it
/// was made.
const ASK: Duration = Duration::from_secs(1);

impl Epoch {
    /// Starts from what the store says now and keeps asking.
    #[must_use]
    pub fn watch(first: u64, store: Store, tasks: &Tasks) -> Self {
        let epoch = Self { current: Arc::new(watch::Sender::new(first)), answered: Arc::new(AtomicBool::new(true)) };
        let (current, answered, stopping) = (Arc::clone(&epoch.current), Arc::clone(&epoch.answered), tasks.clone());
        tasks.essential(async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(ASK) => {}
                    () = stopping.stopping() => return,
                }
                // A store that does not answer is noticed where records are read; caches age out by themselves.
                let said = store.epoch().await;
                answered.store(said.is_ok(), Ordering::Relaxed);
                if let Ok(now) = said {
                    current.send_if_modified(|known| {
                        let newer = now != *known;
                        *known = now;
                        newer
                    });
                }
            }
        });
        epoch
    }

    /// The epoch.
    #[must_use]
    pub fn current(&self) -> u64 {
        *self.current.borrow()
    }

    /// False while the store does not answer: then nobody can be identified.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// Hears of each change.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.current.subscribe()
    }
}
