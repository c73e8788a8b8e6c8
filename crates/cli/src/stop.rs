//! When the terminal or the system says stop.

use crate::exit::Exit;
use crate::failure::Failure;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Ctrl-C, `SIGTERM` and the end of the terminal. From the moment that it is made none of them ends the process by itself.
#[derive(Debug)]
pub struct Stop {
    int: Signal,
    term: Signal,
    hup: Signal,
}

impl Stop {
    /// Listens from now on. Needs a runtime.
    ///
    /// # Errors
    /// [`Failure`] when signals cannot be heard.
    pub fn new() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::new(Exit::Internal, "signal", "signals cannot be heard", "try again").because(error);
        Ok(Self {
            int: signal(SignalKind::interrupt()).map_err(failed)?,
            term: signal(SignalKind::terminate()).map_err(failed)?,
            hup: signal(SignalKind::hangup()).map_err(failed)?,
        })
    }

    /// Resolves when one of them came.
    pub async fn said(&mut self) {
        tokio::select! {
            _ = self.int.recv() => {}
            _ = self.term.recv() => {}
            _ = self.hup.recv() => {}
        }
    }
}
