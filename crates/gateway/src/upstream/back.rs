//! The way back to an upstream for answers to its questions (legacy), outside any request of ours.

use super::fault::Fault;
use super::http::{HttpServer, Line};
use super::pipe::Pipe;
use crate::tasks::Tasks;
use doorward_core::json::RawJson;
use doorward_core::json::write::ObjectWriter;
use doorward_core::mcp::encode;
use doorward_core::mcp::version::{Era, Version};
use std::sync::Arc;

/// Where an answer goes.
#[derive(Debug, Clone)]
pub enum Back {
    /// A POST in the upstream's session.
    Http {
        /// The server.
        server: Arc<HttpServer>,
        /// As whom, in which session.
        line: Line,
        /// Its negotiated version.
        version: Version,
    },
    /// A line to the child.
    Pipe(Arc<Pipe>),
    /// A modern upstream may not ask: what it asks is dropped.
    Nowhere,
}

impl Back {
    /// Sends an answer; `member` is `result` or `error`.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn answer(&self, id: &RawJson, member: &str, value: &RawJson) -> Result<(), Fault> {
        self.send(encode::answer(id, member, value)).await
    }

    /// Tells that nobody waits for request `id` any more (2025-11-25, basic/utilities/cancellation), in the background: whoever
    /// gives up does not wait for a server that is slow. Nothing for a child, which hears of it when its call is dropped, nor
    /// for a modern server, which sees its connection closed.
    pub fn call_off(&self, id: i64, tasks: &Tasks) {
        if !matches!(self, Self::Http { .. }) {
            return;
        }
        let mut params = ObjectWriter::with_capacity(64);
        params.integer("requestId", id).text("reason", "nobody waits for it any more");
        let (back, notice) = (self.clone(), encode::notification("notifications/cancelled", &params.finish()));
        tasks.spawn(async move {
            if let Err(fault) = back.send(notice).await {
                tracing::debug!(reason = fault.reason(), "a server did not hear that its call is off");
            }
        });
    }

    /// Sends a notification or an answer.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn send(&self, message: RawJson) -> Result<(), Fault> {
        match self {
            Self::Http { server, line, version } => {
                let era = Era::Legacy(*version);
                let headers = encode::own_headers("", era);
                server.post(line, &headers, era, None, message.bytes().clone()).await.map(drop)
            }
            Self::Pipe(pipe) => pipe.send(message.bytes().clone()).await,
            Self::Nowhere => Ok(()),
        }
    }
}
