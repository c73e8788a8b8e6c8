//! Bodies of answers: whole, or a stream of events with keep-alive comments. Every buffer is bounded.

use super::starved::Offered;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::convert::Infallible;
use std::fmt;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep};

/// The body of an answer.
pub struct Body {
    content: Content,
    /// Held until the body is sent or given up.
    held: Option<Box<dyn std::any::Any + Send>>,
    /// Of HTTP/2: it is given in pieces, one after the other has left.
    paced: Option<Paced>,
}

/// Pieces of a body on their way through a connection of HTTP/2, which would else keep all that it is given until its client grants a
/// window for it.
struct Paced {
    offered: Offered,
    /// What is left of the present frame.
    rest: Bytes,
    /// Resolves when the piece before has left.
    out: Option<oneshot::Receiver<()>>,
}

/// A piece that tells when it has left.
struct Piece {
    bytes: Bytes,
    _left: oneshot::Sender<()>,
}

#[derive(Debug)]
enum Content {
    /// Known as a whole.
    Whole(Option<Bytes>),
    /// Server-sent events.
    Stream(Events),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.content.fmt(f)
    }
}

/// Gives the next frame.
type Next = dyn FnMut(&mut Context<'_>) -> Poll<Option<Bytes>> + Send;

/// Frames of an event stream, with a comment line whenever nothing was sent for a while.
struct Events {
    frames: Box<Next>,
    silence: Pin<Box<Sleep>>,
}

/// Longest silence on an open stream: proxies on the way close what is silent for 30 s and more.
const KEEP_ALIVE: Duration = Duration::from_secs(25);
/// What a stream of HTTP/2 is given at a time, in bytes: the usual size of its frames (RFC 9113 section 6.5.2).
const PIECE: usize = 16 * 1024;
/// A piece of so many bytes is not waited for: a stream costs as much in any case, and most answers are no larger.
const SMALL: usize = 1024;

impl Body {
    /// No content.
    #[must_use]
    pub const fn empty() -> Self {
        Self { content: Content::Whole(None), held: None, paced: None }
    }

    /// These bytes.
    #[must_use]
    pub const fn whole(bytes: Bytes) -> Self {
        Self { content: Content::Whole(Some(bytes)), held: None, paced: None }
    }

    /// Frames as `next` gives them, until it gives none. It is asked by whoever writes to the client, when there is room for more, and is
    /// dropped with the client.
    #[must_use]
    pub fn stream(next: impl FnMut(&mut Context<'_>) -> Poll<Option<Bytes>> + Send + 'static) -> Self {
        let events = Events { frames: Box::new(next), silence: Box::pin(tokio::time::sleep(KEEP_ALIVE)) };
        Self { content: Content::Stream(events), held: None, paced: None }
    }

    /// Holds `guard` until the body is sent or given up; to be called in the task that sends it.
    pub(super) fn while_sent(&mut self, guard: Box<dyn std::any::Any + Send>) {
        self.held = Some(guard);
        self.paced = Offered::here().map(|offered| {
            offered.more();
            Paced { offered, rest: Bytes::new(), out: None }
        });
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Events")
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Self::whole(Bytes::from_static(text.as_bytes()))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        let frame = match &mut this.paced {
            Some(paced) => paced.poll(&mut this.content, cx),
            None => this.content.poll(cx),
        };
        frame.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.content, Content::Whole(None)) && self.paced.as_ref().is_none_or(Paced::is_done)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Content::Stream(_) => SizeHint::default(),
        }
    }
}

impl Content {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match self {
            Self::Whole(bytes) => Poll::Ready(bytes.take()),
            Self::Stream(events) => events.poll(cx),
        }
    }
}

impl Paced {
    fn poll(&mut self, content: &mut Content, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(out) = &mut self.out {
            let _dropped = ready!(Pin::new(out).poll(cx));
            self.out = None;
        }
        if self.rest.is_empty() {
            match content.poll(cx) {
                Poll::Ready(Some(frame)) => self.rest = frame,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {
                    self.offered.nothing();
                    return Poll::Pending;
                }
            }
        }
        self.offered.more();
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        if piece.len() <= SMALL && self.rest.is_empty() {
            return Poll::Ready(Some(piece));
        }
        let (left, out) = oneshot::channel();
        self.out = Some(out);
        Poll::Ready(Some(Bytes::from_owner(Piece { bytes: piece, _left: left })))
    }

    fn is_done(&self) -> bool {
        self.rest.is_empty() && self.out.is_none()
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Events {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let frame = match (self.frames)(cx) {
            Poll::Ready(Some(bytes)) => bytes,
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => {
                ready!(self.silence.as_mut().poll(cx));
                Bytes::from_static(b": keep-alive\n\n")
            }
        };
        self.silence.as_mut().reset(Instant::now() + KEEP_ALIVE);
        Poll::Ready(Some(frame))
    }
}
