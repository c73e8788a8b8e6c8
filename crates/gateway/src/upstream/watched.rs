//! A call is watched from before it is sent until its first message comes: who waits for it may leave or cancel, and what
//! allowed it may be taken back (I8). Then the wait ends, and the server hears that nobody wants the answer any more.

use super::back::Back;
use super::fault::Fault;
use crate::Gateway;
use crate::errand::Errand;
use crate::live::cancelled;
use crate::live::guard::Guard;
use doorward_core::policy::permit::Permit;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::Notify;

/// What ends the wait for one call.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    guard: Guard,
    cancel: Option<Arc<Notify>>,
    errand: &'a Errand,
    permit: &'a Permit,
    back: Back,
    id: i64,
}

impl<'a> Watch<'a> {
    /// Over the call that goes to its server as request `id`. `back` leads there, `cancel` tells that the client cancelled.
    #[must_use]
    pub(super) fn over(permit: &'a Permit, errand: &'a Errand, cancel: Option<Arc<Notify>>, (back, id): (Back, i64)) -> Self {
        let guard = Guard::new(errand.epoch.clone(), permit.bound().caller().expires());
        Self { guard, cancel, errand, permit, back, id }
    }

    /// The request that brought the call.
    #[must_use]
    pub(super) const fn errand(&self) -> &'a Errand {
        self.errand
    }

    /// The server is reached in another way now.
    pub(super) fn through(&mut self, back: Back) {
        self.back = back;
    }
}

impl Gateway {
    /// Waits for `work`, but not longer than somebody waits for the call and may have its answer. Giving up drops `work`,
    /// which closes the connection or tells the child; a legacy server over HTTP is told in words.
    ///
    /// # Errors
    /// [`Fault::Cancelled`], [`Fault::Withdrawn`], [`Fault::Unjudged`], and those of `work`.
    pub(super) async fn watched<T>(&self, watch: &mut Watch<'_>, work: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
        tokio::pin!(work);
        loop {
            let mut done = None;
            let late = watch.guard.late();
            tokio::select! {
                // What ends the call goes before its answer, where both are there: who cancelled gets nothing any more. The
                // right goes before the cancellation: a session that ends with its credential cancels its calls, too.
                biased;
                () = watch.errand.gone.wait() => {
                    watch.back.call_off(watch.id, &self.tasks);
                    return Err(Fault::Cancelled);
                }
                () = watch.guard.revoked() => {}
                // The client's own words went to the server already.
                () = cancelled(watch.cancel.as_ref()) => return Err(Fault::Cancelled),
                // Where a server always has something to say, the clock would never have its turn.
                ended = &mut work => {
                    if !watch.guard.is_due(self.env.now()) {
                        return ended;
                    }
                    done = Some(ended);
                }
                () = late => {}
            }
            watch.guard.looked();
            if let Some(over) = Box::pin(self.must_end(watch.permit, watch.errand)).await {
                watch.back.call_off(watch.id, &self.tasks);
                return Err(Fault::of(over));
            }
            if let Some(done) = done {
                return done;
            }
        }
    }
}
