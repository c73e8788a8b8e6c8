//! One question with a whole answer: bounded in time and size, through the guarded door, without following anywhere. What the answer
//! means is for whoever asked.

use super::error::EgressError;
use super::pool::PoolKey;
use super::reply::ReplyLimits;
use super::target::Target;
use super::{Egress, Outbound};
use bytes::Bytes;
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
