//! Whether somebody still waits for an answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;

/// Tells that nobody waits for the answer any more.
#[derive(Debug, Clone)]
pub struct Gone(Arc<Line>);

/// Tells the walk that its client hung up, when it is dropped before the answer.
#[derive(Debug)]
pub(crate) struct HangUp(Arc<Line>);

#[derive(Debug, Default)]
struct Line {
    is_down: AtomicBool,
    told: Notify,
}

impl HangUp {
    pub(crate) fn pair() -> (Self, Gone) {
        let line = Arc::<Line>::default();
        (Self(Arc::clone(&line)), Gone(line))
    }
}

impl Drop for HangUp {
    fn drop(&mut self) {
        self.0.is_down.store(true, Ordering::Release);
        self.0.told.notify_waiters();
    }
}

impl Gone {
    /// Resolves when the client hung up before its answer began.
    pub async fn wait(&self) {
        // Made before the look, it hears of what happens after it.
        let told = self.0.told.notified();
        if !self.is_gone() {
            told.await;
        }
    }

    /// True once it has.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.0.is_down.load(Ordering::Acquire)
    }
}
