//! What a gateway does for itself while it serves: it follows what others did to the store, and sweeps it.

use crate::Gateway;
use crate::audit::recorder::Cause;
use crate::session::LIFETIMES;
use doorward_core::audit::outcome::Notice;
use std::sync::Arc;
use std::time::Duration;

/// How often a record that took nothing is tried again.
const RECOVER: Duration = Duration::from_secs(1);
/// Batches that are swept at once at most.
const SWEEPS: usize = 50;

impl Gateway {
    /// Tries again while the record takes nothing: a gateway that is not ready gets no calls that could find out (AUD-02).
    pub(super) async fn keep_recording(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(RECOVER) => {}
                () = self.tasks.stopping() => return,
            }
            if self.audit.fault() == Some(Cause::Write) {
                self.note(&Notice { reason: "record_recovered", ..Notice::default() }).await;
            }
        }
    }

    /// Ends what is over: idle sessions and their processes, and what was revoked. Waits for nothing but the
    /// store: a server that is slow to end would hold up the end of what was revoked meanwhile (I8).
    pub(super) async fn keep_house(self: Arc<Self>) {
        let mut round = tokio::time::interval(Duration::from_secs(60));
        round.reset();
        let mut epoch = self.epoch.subscribe();
        let mut has_heard = self.follow_orders().await;
        loop {
            tokio::select! {
                _ = round.tick() => {}
                () = tokio::time::sleep(RECOVER), if !has_heard => {
                    has_heard = self.follow_orders().await;
                    continue;
                }
                Ok(()) = epoch.changed() => {
                    has_heard = self.follow_orders().await;
                    self.end_unapproved().await;
                    self.end_revoked().await;
                    continue;
                }
                () = self.tasks.stopping() => return,
            }
            self.metrics.sessions(self.live.len());
            self.rates.sweep();
            self.upstreams.end_idle().await;
            // Again: the store may have been away when it was heard of, or a process only being started.
            has_heard = self.follow_orders().await;
            self.end_unapproved().await;
            self.end_revoked().await;
            self.end_idle(LIFETIMES.idle, LIFETIMES).await;
        }
    }

    /// Tells providers what is over: soon after it was taken away, and again each minute. On its own: a slow provider holds up nobody.
    pub(super) async fn keep_telling(self: Arc<Self>) {
        let mut round = tokio::time::interval(Duration::from_secs(60));
        let mut epoch = self.epoch.subscribe();
        loop {
            tokio::select! {
                _ = round.tick() => {}
                Ok(()) = epoch.changed() => {}
                () = self.tasks.stopping() => return,
            }
            self.say_farewells().await;
        }
    }

    /// Sweeps the store. On its own: nobody whose session was ended goes on while rows are deleted.
    pub(super) async fn keep_swept(self: Arc<Self>) {
        let mut round = tokio::time::interval(Duration::from_secs(60));
        round.reset();
        loop {
            tokio::select! {
                _ = round.tick() => {}
                () = self.tasks.stopping() => return,
            }
            self.compare_clocks().await;
            // By the shared clock: one that is wrong must not sweep away what the others use (FLT-07).
            self.sweep_store().await;
        }
    }

    /// In batches, so that nobody waits long for a lock: as many as there are, but not without end.
    async fn sweep_store(&self) {
        for _ in 0..SWEEPS {
            match self.store.sweep(self.skew.shared(self.env.now()), LIFETIMES).await {
                Ok(swept) => {
                    tracing::debug!(?swept, "swept");
                    if !swept.is_partial() || self.tasks.is_stopping() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the store could not be swept");
                    return;
                }
            }
        }
    }
}
