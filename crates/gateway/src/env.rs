//! What the shell hands down: clock and randomness. Nothing here is static; tests bring their own.

use doorward_core::id::CorrelationId;
use doorward_core::time::Timestamp;
use std::sync::Arc;

/// Wall-clock time.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// Unpredictable bytes.
pub trait Random: Send + Sync + std::fmt::Debug {
    /// Fills `out` with unpredictable bytes.
    ///
    /// # Errors
    /// [`NoRandomness`] when the operating system gives none: the caller must refuse, never continue.
    fn fill(&self, out: &mut [u8]) -> Result<(), NoRandomness>;
}

/// The operating system gave no random bytes.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoRandomness;

/// Clock and randomness, cheap to clone.
#[derive(Debug, Clone)]
pub struct Env {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

/// The clock of the operating system.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

/// The random source of the operating system, through aws-lc.
#[derive(Debug, Clone, Copy)]
pub struct SystemRandom;

impl Env {
    /// An environment from its parts.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { clock, random }
    }

    /// The operating system's clock and randomness.
    #[must_use]
    pub fn system() -> Self {
        Self::new(Arc::new(SystemClock), Arc::new(SystemRandom))
    }

    /// The present instant.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Fills `out` with unpredictable bytes.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn fill(&self, out: &mut [u8]) -> Result<(), NoRandomness> {
        self.random.fill(out)
    }

    /// `N` unpredictable bytes.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn bytes<const N: usize>(&self) -> Result<[u8; N], NoRandomness> {
        let mut out = [0u8; N];
        self.random.fill(&mut out)?;
        Ok(out)
    }

    /// A name for one request. Falls back to a time-only id, since it is a label and not a secret.
    #[must_use]
    pub fn correlation(&self) -> CorrelationId {
        CorrelationId::new(self.now(), self.bytes().unwrap_or_default())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

impl Random for SystemRandom {
    fn fill(&self, out: &mut [u8]) -> Result<(), NoRandomness> {
        aws_lc_rs::rand::fill(out).map_err(|_| NoRandomness)
    }
}
