//! One open connection. Dropping the last handle closes it at once.
//!
//! An HTTP/1.1 connection has one user at a time and goes on while that user waits for something of it: no task stands between
//! them, and nobody is woken to pass on what is there. While it is kept for the next user nothing happens on it. HTTP/2 has a task.

use super::connect::{Alpn, Wire};
use super::error::EgressError;
use super::pool::Key;
use crate::tasks::Tasks;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// The body of a request. In a box: hyper keeps room for 32 requests beside each connection, whatever they hold (FLT-05).
pub(super) type Payload = Box<Full<Bytes>>;

/// An HTTP/1.1 connection: one request at a time.
pub(super) struct Live {
    sender: http1::SendRequest<Payload>,
    /// What reads and writes, until it ends.
    work: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Whether the other end has taken all that was written.
    behind: Behind,
    key: Arc<Key>,
    _seat: OwnedSemaphorePermit,
}

/// True while the other end of a connection does not take what there is to write.
type Behind = Arc<AtomicBool>;

/// A connection that says whether its other end takes what is written: hyper counts an exchange as over when its own buffer has it.
struct Observed<T> {
    io: T,
    behind: Behind,
}

/// An HTTP/2 connection: many requests at a time.
pub(super) struct Shared {
    sender: http2::SendRequest<Payload>,
    _open: Open,
}

/// While this exists, the task of an HTTP/2 connection runs.
struct Open {
    _alive: oneshot::Sender<Infallible>,
    _seat: OwnedSemaphorePermit,
}

/// A connection of either kind.
pub(super) enum Either {
    Own(Live),
    Shared(Arc<Shared>),
}

/// A request that had no response, and the request itself when not one byte of it was written.
pub(super) struct Failed {
    pub(super) unsent: Option<Box<Request<Payload>>>,
    pub(super) error: EgressError,
}

/// Runs the tasks that HTTP/2 needs.
#[derive(Clone)]
struct Spawner(Tasks);

/// Headers of a reply: number of fields, bytes together.
pub(super) const HEADER_FIELDS: usize = 100;
pub(super) const HEADER_BYTES: usize = 32 * 1024;

/// Speaks HTTP on a new connection.
pub(super) async fn start(wire: Wire, key: Arc<Key>, tasks: &Tasks, seat: OwnedSemaphorePermit) -> Result<Either, EgressError> {
    match wire {
        Wire::Plain(stream) => http_1(stream, key, seat).await,
        Wire::Tls(stream, Alpn::H1) => http_1(*stream, key, seat).await,
        Wire::Tls(stream, Alpn::H2) => http_2(TokioIo::new(*stream), tasks, seat).await,
    }
}

async fn http_1<T>(io: T, key: Arc<Key>, seat: OwnedSemaphorePermit) -> Result<Either, EgressError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_headers(HEADER_FIELDS).max_buf_size(HEADER_BYTES * 2).max_header_size(HEADER_BYTES);
    let behind = Behind::default();
    let io = TokioIo::new(Observed { io, behind: Arc::clone(&behind) });
    let (sender, connection) = builder.handshake(io).await.map_err(|_| EgressError::Broken { sent: false })?;
    let work = Box::pin(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "upstream connection");
        }
    });
    Ok(Either::Own(Live { sender, work: Some(work), behind, key, _seat: seat }))
}

async fn http_2<T>(io: TokioIo<T>, tasks: &Tasks, seat: OwnedSemaphorePermit) -> Result<Either, EgressError>
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http2::Builder::new(Spawner(tasks.clone()));
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(HEADER_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    let (sender, connection) = builder.handshake(io).await.map_err(|_| EgressError::Broken { sent: false })?;
    let open = drive(connection, tasks, seat);
    Ok(Either::Shared(Arc::new(Shared { sender, _open: open })))
}

/// Runs `connection` until it ends or nobody holds it any more. hyper alone would not notice a dropped body while the
/// upstream is silent.
fn drive(connection: impl Future<Output = hyper::Result<()>> + Send + 'static, tasks: &Tasks, seat: OwnedSemaphorePermit) -> Open {
    let (alive, dropped) = oneshot::channel();
    tasks.spawn(async move {
        tokio::select! {
            ended = connection => if let Err(error) = ended { tracing::debug!(%error, "upstream connection") },
            _ = dropped => {}
        }
    });
    Open { _alive: alive, _seat: seat }
}

impl Live {
    pub(super) fn key(&self) -> Arc<Key> {
        Arc::clone(&self.key)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Waits until the previous exchange is settled. False if the connection is gone, or its other end has closed it.
    pub(super) async fn ready(&mut self) -> bool {
        let Self { sender, work, .. } = self;
        poll_fn(|cx| {
            turn(work, cx);
            sender.poll_ready(cx)
        })
        .await
        .is_ok()
    }

    pub(super) async fn send(&mut self, request: Request<Payload>) -> Result<Response<Incoming>, Failed> {
        let sent = self.sender.try_send_request(request);
        self.carry(sent).await.map_err(failed)
    }

    /// Waits for something that comes through this connection, and carries it on meanwhile.
    pub(super) async fn carry<T>(&mut self, wanted: impl Future<Output = T>) -> T {
        let mut wanted = pin!(wanted);
        poll_fn(|cx| {
            // Asked first, it says what it wants; then the connection can give it.
            if let Poll::Ready(done) = wanted.as_mut().poll(cx) {
                return Poll::Ready(done);
            }
            turn(&mut self.work, cx);
            wanted.as_mut().poll(cx)
        })
        .await
    }

    /// Finishes what needs no waiting, before nobody looks at it for a while: it wakes nobody any more. False if the last request has
    /// not left whole, which a server that answers early need not have read.
    pub(super) fn rest(&mut self) -> bool {
        turn(&mut self.work, &mut Context::from_waker(Waker::noop()));
        !self.is_behind()
    }

    /// Waits until all has left, or the connection has ended.
    pub(super) async fn finish(&mut self) {
        poll_fn(|cx| {
            turn(&mut self.work, cx);
            if self.is_behind() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    fn is_behind(&self) -> bool {
        self.work.is_some() && self.behind.load(Ordering::Relaxed)
    }
}

/// Reads and writes what can be.
fn turn(work: &mut Option<Pin<Box<dyn Future<Output = ()> + Send>>>, cx: &mut Context<'_>) {
    if work.as_mut().is_some_and(|work| work.as_mut().poll(cx).is_ready()) {
        *work = None;
    }
}

impl Shared {
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    pub(super) async fn send(&self, request: Request<Payload>) -> Result<Response<Incoming>, Failed> {
        self.sender.clone().try_send_request(request).await.map_err(failed)
    }
}

fn failed(mut error: hyper::client::conn::TrySendError<Request<Payload>>) -> Failed {
    let unsent = error.take_message().map(Box::new);
    let error = error.into_error();
    let error = if unsent.is_some() {
        EgressError::Broken { sent: false }
    } else if error.is_parse_too_large() {
        EgressError::TooLarge
    } else if error.is_parse() {
        EgressError::BadResponse("not an HTTP response")
    } else {
        EgressError::Broken { sent: true }
    };
    Failed { unsent, error }
}

impl<T> Observed<T> {
    fn saw<R>(&self, poll: Poll<R>) -> Poll<R> {
        // Read by whoever turned the connection, after they did: no other order is needed.
        self.behind.store(poll.is_pending(), Ordering::Relaxed);
        poll
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Observed<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, into)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Observed<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.io).poll_write(cx, bytes);
        self.saw(poll)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.io).poll_write_vectored(cx, pieces);
        self.saw(poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.io).poll_flush(cx);
        self.saw(poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Spawner {
    fn execute(&self, work: F) {
        self.0.spawn(work);
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Live({:?})", self.key)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}
