//! Streams of HTTP/2 whose client grants no window: each may hold what it was promised for a bounded time only (HTTP-07).
//!
//! Of HTTP/1.1 a write that stalls is seen at the socket (`Stall`). The connection of HTTP/2 goes on while one of its streams stands
//! still (RFC 9113 section 5.2), and a proxy in front may carry many clients on one: only the stream that stands still is reset.

use crate::tasks::Tasks;
use hyper::rt::Executor;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

tokio::task_local! {
    /// Of the stream whose task this is.
    static OFFERED: Offered;
}

/// What a body has for its client: 0 for nothing, and another number with each piece that was taken since. Only the task of its
/// stream looks at it.
#[derive(Debug, Clone, Default)]
pub(super) struct Offered(Arc<AtomicU32>);

/// Runs the streams of a connection, and resets those whose client takes nothing for `limit` of what there is for it.
#[derive(Debug, Clone)]
pub(super) struct Streams {
    pub(super) tasks: Tasks,
    pub(super) limit: Duration,
}

// === impl Offered ===

impl Offered {
    /// Of the stream that this task serves; of HTTP/1.1 there is none.
    pub(super) fn here() -> Option<Self> {
        OFFERED.try_with(Self::clone).ok()
    }

    /// There is, or may be, more than what was just taken.
    pub(super) fn more(&self) {
        let next = self.0.load(Ordering::Relaxed).wrapping_add(1).max(1);
        self.0.store(next, Ordering::Relaxed);
    }

    /// There is nothing to take at the moment.
    pub(super) fn nothing(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    fn at(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

// === impl Streams ===

impl<F> Executor<F> for Streams
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let limit = self.limit;
        let offered = Offered::default();
        self.tasks.spawn(async move {
            let mut stream = pin!(OFFERED.scope(offered.clone(), stream));
            // Where it stood when it was last seen to move, and when it is given up. Rarely set: most answers go out at once.
            let mut stands = (0, None);
            poll_fn(|cx| {
                if stream.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                match offered.at() {
                    0 => stands = (0, None),
                    at if at != stands.0 => stands = (at, Some(Box::pin(tokio::time::sleep_until(Instant::now() + limit)))),
                    _ => {}
                }
                // To drop the stream is to reset it.
                stands.1.as_mut().map_or(Poll::Pending, |end| end.as_mut().poll(cx))
            })
            .await;
        });
    }
}
