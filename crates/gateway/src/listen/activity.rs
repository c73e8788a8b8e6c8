//! When a connection does nothing: since when no request is served, and since when one is on its way.

use super::http::Patience;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// What happens on one connection.
#[derive(Debug)]
pub(super) struct Activity {
    mark: Mutex<Mark>,
}

#[derive(Debug, Clone, Copy)]
struct Mark {
    serving: usize,
    quiet_since: Instant,
    /// Bytes of a request's head have come and no request yet (HTTP/1.1 only).
    head_since: Option<Instant>,
    first: bool,
}

/// One request that is being served.
#[derive(Debug)]
pub(super) struct Serving(Arc<Activity>);

/// Reads that are noticed.
#[derive(Debug)]
pub(super) struct Noticed<T> {
    io: T,
    activity: Arc<Activity>,
}

// === impl Activity ===

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        let mark = Mark { serving: 0, quiet_since: Instant::now(), head_since: None, first: true };
        Arc::new(Self { mark: Mutex::new(mark) })
    }

    /// Counts a request until the value is dropped.
    pub(super) fn serve(self: &Arc<Self>) -> Serving {
        let mut mark = self.mark();
        mark.serving += 1;
        mark.head_since = None;
        mark.first = false;
        Serving(Arc::clone(self))
    }

    /// Resolves when the first request, the head of a further one, or any further one does not come in time.
    pub(super) async fn idle(&self, patience: &Patience) {
        loop {
            let now = Instant::now();
            let tick = now + patience.head / 4;
            let next = match self.due(patience) {
                Some(due) if due <= now => return,
                Some(due) => due.min(tick),
                None => tick,
            };
            tokio::time::sleep_until(next).await;
        }
    }

    fn due(&self, patience: &Patience) -> Option<Instant> {
        let mark = *self.mark();
        if mark.serving > 0 {
            return None;
        }
        let idle = mark.quiet_since + if mark.first { patience.head } else { patience.idle };
        Some(mark.head_since.map_or(idle, |since| idle.min(since + patience.head)))
    }

    fn received(&self) {
        let mut mark = self.mark();
        if mark.serving == 0 && mark.head_since.is_none() {
            mark.head_since = Some(Instant::now());
        }
    }

    fn mark(&self) -> MutexGuard<'_, Mark> {
        self.mark.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let mut mark = self.0.mark();
        mark.serving = mark.serving.saturating_sub(1);
        mark.quiet_since = Instant::now();
    }
}

// === impl Noticed ===

impl<T> Noticed<T> {
    pub(super) const fn new(io: T, activity: Arc<Activity>) -> Self {
        Self { io, activity }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Noticed<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let done = Pin::new(&mut self.io).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.received();
        }
        done
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Noticed<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
