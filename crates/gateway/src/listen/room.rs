//! How much of all bodies together may be in memory, and how much of it one user may have (FLT-06). What one connection may hold
//! in any case is not counted.

use doorward_core::id::UserId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// As many of the largest bodies as are in memory at once, where these are small.
const LARGEST: usize = 64;
/// Room for all bodies, in bytes, unless a few of the largest need more. A body is put together, read and written anew, three
/// times its size for a moment: a gateway with 256 MiB of memory must bear all of them at once.
const ALL: usize = 32 << 20;
/// One user has at most such a part of it, and room for one body at least.
const PARTS: usize = 4;
/// Bytes of a body that are not counted: the number of connections bounds them.
const UNCOUNTED: usize = 16 * 1024;

type Shares = Arc<Mutex<HashMap<UserId, usize>>>;

/// The room of a listener.
#[derive(Debug, Clone)]
pub struct Room {
    bytes: Arc<Semaphore>,
    share: usize,
    by_user: Shares,
}

/// What a body takes of it, until it is dropped.
#[derive(Debug, Default)]
pub struct Taken {
    counted: usize,
    permit: Option<OwnedSemaphorePermit>,
    of: Option<(UserId, Shares)>,
}

/// There is no room at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The bodies of everybody fill it.
    All,
    /// The bodies of this user fill their share.
    Share,
}

// === impl Room ===

impl Room {
    /// Room for 64 bodies of this size or 32 MiB, whichever is less, and at least for four of them; a quarter of it for each user.
    #[must_use]
    pub fn for_bodies_of(largest: usize) -> Self {
        let few = largest.saturating_mul(PARTS);
        let bytes = largest.saturating_mul(LARGEST).min(ALL.max(few)).clamp(1, Semaphore::MAX_PERMITS);
        Self { bytes: Arc::new(Semaphore::new(bytes)), share: (bytes / PARTS).max(largest), by_user: Shares::default() }
    }

    /// Makes `taken` enough for a body of `length` bytes. All of it is for the same user.
    ///
    /// # Errors
    /// [`Full`]; nothing more was taken.
    pub fn grow(&self, taken: &mut Taken, user: &UserId, length: usize) -> Result<(), Full> {
        let more = length.saturating_sub(UNCOUNTED).saturating_sub(taken.counted);
        if more == 0 {
            return Ok(());
        }
        let count = u32::try_from(more).map_err(|_| Full::All)?;
        let mut shares = self.by_user.lock().unwrap_or_else(PoisonError::into_inner);
        let own = shares.get(user).copied().unwrap_or(0).saturating_add(more);
        if own > self.share {
            return Err(Full::Share);
        }
        let permit = Arc::clone(&self.bytes).try_acquire_many_owned(count).map_err(|_| Full::All)?;
        shares.insert(user.clone(), own);
        taken.counted += more;
        taken.of.get_or_insert_with(|| (user.clone(), Arc::clone(&self.by_user)));
        match &mut taken.permit {
            Some(held) => held.merge(permit),
            none => *none = Some(permit),
        }
        Ok(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let Some((user, shares)) = self.of.take() else { return };
        let mut shares = shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = shares.get_mut(&user) {
            *own = own.saturating_sub(self.counted);
            if *own == 0 {
                shares.remove(&user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::new("local", name).expect("id")
    }

    /// As many bodies of this user as fit, each growing as it arrives.
    fn filled(room: &Room, name: &str) -> (Vec<Taken>, Full) {
        let mut taken = Vec::new();
        loop {
            let mut one = Taken::default();
            if let Err(full) = (1..=10).try_for_each(|part| room.grow(&mut one, &user(name), part * 10_000)) {
                return (taken, full);
            }
            taken.push(one);
        }
    }

    #[test]
    fn flt_06_what_was_taken_comes_back_and_small_bodies_always_fit() {
        let room = Room::for_bodies_of(100_000);
        let most = 64 * 100_000 / 4 / (100_000 - UNCOUNTED);
        let mut all: Vec<(Vec<Taken>, Full)> = ["alice", "bob", "carol", "dave"].map(|name| filled(&room, name)).into();
        for (taken, full) in &all {
            assert_eq!((taken.len(), *full), (most, Full::Share));
        }
        let one = |name: &str, length| room.grow(&mut Taken::default(), &user(name), length);
        assert_eq!(one("alice", UNCOUNTED), Ok(()));
        assert_eq!(one("alice", 100_000), Err(Full::Share));
        let (mut rest, full) = filled(&room, "erin");
        assert_eq!(full, Full::All, "what four leave of their shares, and no more: {}", rest.len());
        assert_eq!(one("erin", UNCOUNTED), Ok(()));
        all.remove(0);
        assert_eq!((one("alice", 100_000), one("erin", 100_000)), (Ok(()), Ok(())));
        rest.clear();
        all.clear();
        assert_eq!(filled(&room, "alice").0.len(), most, "everything came back");
        assert!(room.by_user.lock().expect("whole").is_empty(), "and nobody is remembered");
    }

    #[test]
    fn flt_06_the_room_is_bounded_and_holds_one_of_each_user_at_least() {
        for (largest, bytes, share) in [(128 << 10, 8 << 20, 2 << 20), (4 << 20, 32 << 20, 8 << 20), (32 << 20, 128 << 20, 32 << 20)] {
            let room = Room::for_bodies_of(largest);
            assert_eq!((room.bytes.available_permits(), room.share), (bytes, share), "{largest}");
        }
    }
}
