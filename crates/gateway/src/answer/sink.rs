//! Where the messages of a stream go: to a client that waits for them, or to one that may come back.

use crate::live::replay::Replay;
use crate::replies::{Replies, UNCOUNTED};
use bytes::Bytes;
use doorward_core::id::UserId;
use doorward_core::json::RawJson;
use doorward_core::mcp::sse;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Where the messages of a stream go.
#[derive(Debug)]
pub(super) enum Sink {
    /// To the one client of a modern request: gone when it is gone. What is large waits for room.
    Direct(mpsc::Sender<Bytes>, Replies, UserId),
    /// Kept for a client that comes back.
    Kept(Arc<Replay>),
}

/// Why a message did not go to its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undelivered {
    /// The client is gone, or takes nothing for too long.
    Gone,
    /// Other answers that were not read leave no room for it.
    NoRoom,
}

/// A client that takes nothing for this long is gone.
const SLOW: Duration = Duration::from_secs(30);

// === impl Sink ===

impl Sink {
    /// Waits for room, and for the client, a while each.
    ///
    /// # Errors
    /// [`Undelivered`].
    pub(super) async fn send(&self, message: &RawJson) -> Result<(), Undelivered> {
        match self {
            Self::Direct(frames, replies, user) => {
                let mut frame = sse::frame(None, message);
                if frame.len() > UNCOUNTED {
                    let room = replies.admit(Some(user), frame.len());
                    frame = tokio::time::timeout(SLOW, room).await.map_err(|_| Undelivered::NoRoom)?.unread().around(frame);
                }
                let sent = tokio::time::timeout(SLOW, frames.send(frame)).await;
                sent.ok().and_then(Result::ok).ok_or(Undelivered::Gone)
            }
            Self::Kept(replay) => replay.push(|id| sse::frame(Some(id), message)).await.then_some(()).ok_or(Undelivered::Gone),
        }
    }

    /// Lets a legacy client poll: it is sent away and comes back with its last event.
    pub(super) fn part(&self) {
        if let Self::Kept(replay) = self {
            replay.part();
        }
    }

    /// Resolves when the client of a modern stream is gone; a legacy client may come back.
    pub(super) async fn closed(&self) {
        match self {
            Self::Direct(frames, ..) => frames.closed().await,
            Self::Kept(_) => std::future::pending().await,
        }
    }
}
