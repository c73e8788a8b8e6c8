//! One question with a whole answer: bounded in time and size, through the guarded door, without following anywhere. What the answer
//! means is for whoever asked.

use super::error::EgressError;
use super::pool::PoolKey;
use super::reply::ReplyLimits;
use super::target::Target;
use super::{Egress, Outbound};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use std::time::Duration;

/// A whole answer, unread.
#[derive(Debug)]
pub struct Heard {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// All of its body.
    pub body: Bytes,
}

impl Egress {
    /// Asks and reads the whole answer, of at most `largest` bytes, within `patience` from the name to the last byte.
    ///
    /// # Errors
    /// [`EgressError`]; a timeout may have been sent.
    pub async fn ask(
        &self,
        target: &Target,
        pool: &PoolKey,
        outbound: Outbound,
        (patience, largest): (Duration, u64),
    ) -> Result<Heard, EgressError> {
        let limits = ReplyLimits { headers: patience, whole: largest, stream: 0, idle: patience };
        let asked = async {
            let (head, body) = self.send(target, pool, outbound, &limits).await?.into_parts();
            Ok(Heard { status: head.status, headers: head.headers, body: body.whole().await? })
        };
        tokio::time::timeout(patience, asked).await.unwrap_or(Err(EgressError::Timeout { sent: true }))
    }
}

/// Whether an answer is declared as `application/json`, or as a kind of it: key sets are `application/jwk-set+json` (RFC 7517 section 8.5).
pub fn is_json(headers: &HeaderMap) -> bool {
    let essence = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).and_then(|value| value.split(';').next());
    let kind = essence.map(|essence| essence.trim().to_ascii_lowercase()).unwrap_or_default();
    let suffixed = kind.strip_prefix("application/").and_then(|rest| rest.strip_suffix("+json")).is_some_and(|name| !name.is_empty());
    kind == "application/json" || suffixed
}
