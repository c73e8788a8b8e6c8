//! The way back to an upstream for answers to its questions (legacy), outside any request of ours.

use super::fault::Fault;
use super::http::{HttpServer, Line};
use super::pipe::Pipe;
use doorward_core::json::RawJson;
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
