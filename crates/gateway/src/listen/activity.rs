//! When a connection does nothing: since when no request is served, and since when one is on its way.

use super::http::Patience;
use http::Version;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
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

/// Reads and writes that are noticed.
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
    ///
    /// A connection that serves sets no timer: a stream is open for hours, and ten thousand of them would do little else. Of HTTP/1.1 all
    /// that happens is seen at once, by whoever polls the connection just before; requests of HTTP/2 end in tasks of their own, so
    /// there it is looked at now and then.
    pub(super) async fn idle(&self, patience: &Patience, version: Version) {
        let sleep = tokio::time::sleep_until(Instant::now() + patience.head);
        tokio::pin!(sleep);
        let mut is_set = true;
        poll_fn(|cx| {
            loop {
                let due = self.due(patience);
                if is_set {
                    if let Some(due) = due.filter(|due| *due < sleep.deadline()) {
                        sleep.as_mut().reset(due);
                    }
                    ready!(sleep.as_mut().poll(cx));
                    is_set = false;
                }
                let now = Instant::now();
                let next = match due {
                    Some(due) if due <= now => return Poll::Ready(()),
                    Some(due) => due,
                    None if version == Version::HTTP_2 => now + patience.head / 4,
                    None => return Poll::Pending,
                };
                sleep.as_mut().reset(next);
                is_set = true;
            }
        })
        .await;
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

    /// An answer that was given to the connection whole may take longer than an idle connection may.
    fn sent(&self) {
        let mut mark = self.mark();
        if mark.serving == 0 {
            mark.quiet_since = Instant::now();
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

    fn noticed(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.activity.sent();
        }
        written
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
        let done = Pin::new(&mut self.io).poll_write(cx, buf);
        self.noticed(done)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.noticed(done)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn http_07_who_asks_nothing_is_sent_away() {
        let (activity, begun, patience) = (Activity::new(), Instant::now(), Patience::default());
        activity.idle(&patience, Version::HTTP_11).await;
        assert_eq!(begun.elapsed(), patience.head);
    }

    #[tokio::test(start_paused = true)]
    async fn http_07_the_rests_and_heads_of_a_connection_have_their_times() {
        for version in [Version::HTTP_11, Version::HTTP_2] {
            let (activity, patience) = (Activity::new(), Patience::default());
            let idle = activity.idle(&patience, version);
            tokio::pin!(idle);
            let serving = activity.serve();
            let hour = tokio::time::timeout(Duration::from_secs(3600), idle.as_mut());
            assert!(hour.await.is_err(), "what is served lasts");
            drop(serving);
            // A request in between moves the end.
            assert!(tokio::time::timeout(Duration::from_secs(60), idle.as_mut()).await.is_err());
            drop(activity.serve());
            let quiet = Instant::now();
            idle.as_mut().await;
            assert_eq!(quiet.elapsed().as_secs(), patience.idle.as_secs(), "{version:?}");
            // The first bytes of a head come, and the rest does not.
            let idle = activity.idle(&patience, version);
            tokio::pin!(idle);
            drop(activity.serve());
            assert!(tokio::time::timeout(Duration::from_secs(1), idle.as_mut()).await.is_err());
            activity.received();
            let head = Instant::now();
            idle.as_mut().await;
            assert_eq!(head.elapsed(), patience.head, "{version:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn http_07_a_stream_that_ends_in_another_task_is_noticed_soon() {
        let (activity, patience) = (Activity::new(), Patience::default());
        let serving = activity.serve();
        let ends = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(1000)).await;
            drop(serving);
        });
        let begun = Instant::now();
        activity.idle(&patience, Version::HTTP_2).await;
        ends.await.expect("ended");
        let late = begun.elapsed() - Duration::from_secs(1000) - patience.idle;
        assert!(late <= patience.head / 4, "{late:?}");
    }
}
