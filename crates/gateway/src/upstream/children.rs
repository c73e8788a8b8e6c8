//! Child processes as servers: approved, started, and their lines joined to a [`Pipe`].

use super::fault::Fault;
use super::pipe::Pipe;
use super::{StdioServer, Upstream};
use crate::tasks::Tasks;
use doorward_core::id::ServerName;
use std::sync::Arc;

impl StdioServer {
    /// Digest of the command, for its approval.
    #[must_use]
    pub fn digest(&self, _server: &ServerName) -> Option<[u8; 32]> {
        None
    }

    /// Starts a process. The approval is that of exactly this command (I9).
    ///
    /// # Errors
    /// [`Fault::NotApproved`], [`Fault::Child`].
    #[expect(clippy::unused_async, reason = "joined with the launcher")]
    pub async fn launch(&self, _upstream: &Upstream, _tasks: &Tasks, _approved: Option<[u8; 32]>) -> Result<Arc<Pipe>, Fault> {
        Err(Fault::NotApproved)
    }
}
