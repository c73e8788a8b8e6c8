//! When the rights behind something that runs are looked at again: at once when anything is revoked, and every few seconds.
//!
//! Knows only when; what is looked at is the answer station's (`must_end`).

use doorward_core::time::Timestamp;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};

/// The next look at the rights of one call or stream.
#[derive(Debug)]
pub struct Guard {
    epoch: watch::Receiver<u64>,
    at: Instant,
    expires: Timestamp,
}

/// What runs is looked at this often (I8: 30 s for streams), and at once when anything is revoked.
const CHECK: Duration = Duration::from_secs(10);

impl Guard {
    /// Wakes at each epoch that `epoch` has not seen yet. `expires` is when the credential does.
    #[must_use]
    pub fn new(epoch: watch::Receiver<u64>, expires: Timestamp) -> Self {
        Self { epoch, at: Instant::now() + CHECK, expires }
    }

    /// Resolves when something was revoked, and after a while in any case.
    pub async fn due(&mut self) {
        let late = self.late();
        tokio::select! {
            () = self.revoked() => {}
            () = late => {}
        }
    }

    /// Resolves when something was revoked.
    pub async fn revoked(&mut self) {
        self.epoch.changed().await.ok();
    }

    /// When it is time in any case, for who waits for other times, too.
    #[must_use]
    pub const fn at(&self) -> Instant {
        self.at
    }

    /// Resolves after a while in any case.
    pub fn late(&self) -> Sleep {
        tokio::time::sleep_until(self.at)
    }

    /// Whether it is time, for what is too busy to wait.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.epoch.has_changed().unwrap_or(true) || Instant::now() >= self.at || self.expires <= now
    }

    /// It was looked at.
    pub fn looked(&mut self) {
        self.epoch.mark_unchanged();
        self.at = Instant::now() + CHECK;
    }
}
