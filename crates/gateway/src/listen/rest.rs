//! What is left of a body when its request is answered. Who refuses by the headers alone reads no body, and a client that sends it in a
//! packet of its own would find the connection closed under its next request: RFC 9112 section 9.6 asks to say so, or to read the rest.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// More than this is not read for nothing.
const MOST: u64 = 64 * 1024;

/// The body of a request. What nobody has read of it comes back when it is dropped.
#[derive(Debug)]
pub(super) struct Arriving {
    body: Option<Incoming>,
    back: Option<oneshot::Sender<Incoming>>,
}

/// Where it comes back to.
#[derive(Debug)]
pub(super) struct Rest(oneshot::Receiver<Incoming>);

// === impl Arriving ===

impl Arriving {
    /// A body, and the place that waits for its rest.
    pub(super) fn new(body: Incoming) -> (Self, Rest) {
        let (back, rest) = oneshot::channel();
        (Self { body: Some(body), back: Some(back) }, Rest(rest))
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.body.as_mut().map_or(Poll::Ready(None), |body| Pin::new(body).poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if let (Some(body), Some(back)) = (self.body.take(), self.back.take())
            && !body.is_end_stream()
        {
            // Nobody waits where the connection is gone already.
            let _gone = back.send(body);
        }
    }
}

// === impl Rest ===

impl Rest {
    /// Reads what is left, 64 KiB at most and within `limit`, and throws it away; true when it is gone. False where the connection cannot
    /// be used again: what follows on it would be the rest of this body. A client that waits for `100 Continue` is not made to send it.
    pub(super) async fn exhausted(mut self, limit: Duration, expects: bool) -> bool {
        let Ok(mut body) = self.0.try_recv() else { return true };
        if expects || body.size_hint().lower() > MOST {
            return false;
        }
        let read = async {
            let mut got = 0_u64;
            while let Some(frame) = body.frame().await {
                let Ok(frame) = frame else { return false };
                got = got.saturating_add(frame.data_ref().map_or(0, |data| data.len() as u64));
                if got > MOST {
                    return false;
                }
            }
            true
        };
        timeout(limit, read).await.unwrap_or(false)
    }
}
