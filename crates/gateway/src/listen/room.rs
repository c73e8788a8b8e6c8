//! How much of all bodies together may be in memory (FLT-06). What one connection may hold in any case is not counted.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// As many of the largest bodies as are in memory at once.
const LARGEST: usize = 64;
/// Bytes of a body that are not counted: the number of connections bounds them.
const UNCOUNTED: usize = 16 * 1024;

/// The room of a listener.
#[derive(Debug, Clone)]
pub struct Room {
    bytes: Arc<Semaphore>,
}

/// What a body takes of it, until it is dropped.
#[derive(Debug, Default)]
pub struct Taken {
    counted: usize,
    permit: Option<OwnedSemaphorePermit>,
}

/// There is no room at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl Room {
    /// Room for 64 bodies of this size, and at least for one.
    #[must_use]
    pub fn for_bodies_of(largest: usize) -> Self {
        let bytes = largest.saturating_mul(LARGEST).clamp(largest.min(Semaphore::MAX_PERMITS), Semaphore::MAX_PERMITS);
        Self { bytes: Arc::new(Semaphore::new(bytes)) }
    }

    /// Makes `taken` enough for a body of `length` bytes.
    ///
    /// # Errors
    /// [`Full`]; nothing more was taken.
    pub fn grow(&self, taken: &mut Taken, length: usize) -> Result<(), Full> {
        let more = length.saturating_sub(UNCOUNTED).saturating_sub(taken.counted);
        if more == 0 {
            return Ok(());
        }
        let count = u32::try_from(more).map_err(|_| Full)?;
        let permit = Arc::clone(&self.bytes).try_acquire_many_owned(count).map_err(|_| Full)?;
        taken.counted += more;
        match &mut taken.permit {
            Some(held) => held.merge(permit),
            none => *none = Some(permit),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_comes_back_and_small_bodies_always_fit() {
        let room = Room::for_bodies_of(100_000);
        let mut taken: Vec<Taken> = Vec::new();
        loop {
            let mut one = Taken::default();
            if (1..=10).any(|part| room.grow(&mut one, part * 10_000).is_err()) {
                break;
            }
            taken.push(one);
        }
        assert_eq!(taken.len(), 64 * 100_000 / (100_000 - UNCOUNTED));
        assert_eq!(room.grow(&mut Taken::default(), UNCOUNTED), Ok(()));
        assert_eq!(room.grow(&mut Taken::default(), 100_000), Err(Full));
        taken.pop();
        assert_eq!(room.grow(&mut Taken::default(), 100_000), Ok(()));
    }
}
