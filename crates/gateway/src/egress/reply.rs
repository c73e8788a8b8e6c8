//! What comes back: headers checked for one meaning, a body with limits. Knows nothing of MCP.

use super::error::EgressError;
use super::live::{HEADER_BYTES, HEADER_FIELDS, Live, Shared};
use super::pool::Pool;
use bytes::{Bytes, BytesMut};
use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER, TRANSFER_ENCODING,
};
use http::{StatusCode, response};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long and how large a reply may be.
#[derive(Debug, Clone, Copy)]
pub struct ReplyLimits {
    /// From the start of the request to the headers of the reply, connecting included.
    pub headers: Duration,
    /// Bytes of a whole reply.
    pub whole: u64,
    /// Bytes of an event stream from its beginning to its end.
    pub stream: u64,
    /// Longest silence inside a body.
    pub idle: Duration,
}

/// The body of a reply. Dropping it before its end closes the upstream's connection, or resets the HTTP/2 stream.
pub struct ReplyBody {
    body: Incoming,
    left: u64,
    idle: Duration,
    stream: bool,
    done: bool,
    carrier: Option<Carrier>,
}

/// What carries the body, and where it goes afterwards.
pub(super) enum Carrier {
    Own(Live, Arc<Pool>),
    Shared(#[expect(dead_code, reason = "holding it keeps the connection open")] Arc<Shared>),
}

/// Checks the head of a reply. Anything that two readers could understand differently is refused.
pub(super) fn check(head: &response::Parts) -> Result<(), EgressError> {
    if head.status.is_redirection() {
        return Err(EgressError::Redirect(head.status.as_u16()));
    }
    if head.status.is_informational() || head.status == StatusCode::RESET_CONTENT {
        return Err(EgressError::BadResponse("a status that was not asked for"));
    }
    let headers = &head.headers;
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
    if headers.len() > HEADER_FIELDS || bytes > HEADER_BYTES {
        return Err(EgressError::TooLarge);
    }
    const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
    const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
    for once in [CONTENT_TYPE, CONTENT_LENGTH, TRANSFER_ENCODING, CONTENT_ENCODING, LOCATION, RETRY_AFTER, SESSION, VERSION] {
        if headers.get_all(&once).iter().nth(1).is_some() {
            return Err(EgressError::BadResponse("a header that may stand once stands twice"));
        }
    }
    if headers.contains_key(CONTENT_LENGTH) && headers.contains_key(TRANSFER_ENCODING) {
        return Err(EgressError::BadResponse("two lengths"));
    }
    // A list of equal lengths is legal for a lenient reader (RFC 9110 section 8.6); here a length is one number.
    let digits = |value: &HeaderValue| (1..=18).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_digit);
    if headers.get(CONTENT_LENGTH).is_some_and(|value| !digits(value)) {
        return Err(EgressError::BadResponse("a length that is not a number"));
    }
    if headers.get(TRANSFER_ENCODING).is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Err(EgressError::BadResponse("a transfer coding that was not asked for"));
    }
    if headers.get(CONTENT_ENCODING).is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(EgressError::BadResponse("a content encoding that was not asked for"));
    }
    Ok(())
}

impl ReplyBody {
    pub(super) fn new(body: Incoming, headers: &HeaderMap, limits: &ReplyLimits, carrier: Carrier) -> Result<Self, EgressError> {
        let stream = is_event_stream(headers);
        let left = if stream { limits.stream } else { limits.whole };
        if body.size_hint().lower() > left {
            return Err(EgressError::TooLarge);
        }
        let mut reply = Self { done: body.is_end_stream(), body, left, idle: limits.idle, stream, carrier: Some(carrier) };
        if reply.done {
            reply.settle();
        }
        Ok(reply)
    }

    /// True when the reply is `text/event-stream`.
    #[must_use]
    pub const fn is_event_stream(&self) -> bool {
        self.stream
    }

    /// Bytes of the whole body, where its head tells them.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }

    /// The next bytes, or `None` at the end. Trailers are dropped.
    ///
    /// # Errors
    /// [`EgressError::TooLarge`], [`EgressError::Timeout`] after a silence, [`EgressError::Broken`]. The connection is gone then,
    /// and further calls give `None`.
    pub async fn frame(&mut self) -> Option<Result<Bytes, EgressError>> {
        while !self.done {
            let Ok(next) = tokio::time::timeout(self.idle, next(&mut self.body, self.carrier.as_mut())).await else {
                return Some(Err(self.fail(EgressError::Timeout { sent: true })));
            };
            match next {
                None => self.settle(),
                Some(Err(_)) => return Some(Err(self.fail(EgressError::Broken { sent: true }))),
                Some(Ok(frame)) => {
                    let Ok(bytes) = frame.into_data() else { continue };
                    let Some(left) = self.left.checked_sub(bytes.len() as u64) else {
                        return Some(Err(self.fail(EgressError::TooLarge)));
                    };
                    self.left = left;
                    if self.body.is_end_stream() {
                        self.settle();
                    }
                    return Some(Ok(bytes));
                }
            }
        }
        None
    }

    /// All bytes.
    ///
    /// # Errors
    /// As [`ReplyBody::frame`].
    pub async fn whole(mut self) -> Result<Bytes, EgressError> {
        let Some(first) = self.frame().await.transpose()? else { return Ok(Bytes::new()) };
        let Some(second) = self.frame().await.transpose()? else { return Ok(first) };
        let mut all = BytesMut::from(first);
        all.extend_from_slice(&second);
        while let Some(more) = self.frame().await.transpose()? {
            all.extend_from_slice(&more);
        }
        Ok(all.freeze())
    }

    /// The exchange is over and the connection free.
    fn settle(&mut self) {
        self.done = true;
        if let Some(Carrier::Own(live, pool)) = self.carrier.take() {
            pool.put(live);
        }
    }

    fn fail(&mut self, error: EgressError) -> EgressError {
        self.done = true;
        self.carrier = None;
        error
    }
}

async fn next(body: &mut Incoming, carrier: Option<&mut Carrier>) -> Option<hyper::Result<Frame<Bytes>>> {
    match carrier {
        Some(Carrier::Own(live, _)) => live.carry(body.frame()).await,
        // Without a carrier the body is done.
        Some(Carrier::Shared(_)) | None => body.frame().await,
    }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let essence = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("text/event-stream"))
}

impl fmt::Debug for ReplyBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyBody").field("left", &self.left).field("done", &self.done).finish_non_exhaustive()
    }
}
