//! How much of what servers said may be in memory at once: what is being read for a call, and answers that their clients have not taken
//! yet. A client that asks much and reads slowly would otherwise fill the memory of everybody (FLT-06, HTTP-07).
//!
//! Each user may have as much as is left free (a "dynamic threshold" as in the buffers of switches): the first at most half of it, and
//! however many fill their part, a part is left for the next. Who has nothing gets one reply as long as anything is left.

use bytes::Bytes;
use doorward_core::id::UserId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// The count of all replies. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Replies(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    all: usize,
    used: Mutex<Used>,
    /// Told when something was freed.
    freed: Notify,
}

#[derive(Debug, Default)]
struct Used {
    total: usize,
    by_user: HashMap<UserId, usize>,
}

/// What one reply takes, until it is dropped.
#[derive(Debug)]
pub struct Counted {
    of: Replies,
    user: Option<UserId>,
    size: usize,
}

/// Bytes, and what they take.
struct Held {
    bytes: Bytes,
    _counted: Counted,
}

/// Room for all of them, in bytes, unless a few of the largest need more. As for requests, each takes a multiple of its size for a moment.
const ALL: usize = 32 << 20;
/// As many of the largest there is room for in any case.
const FEW: usize = 8;
/// What is not counted: the number of connections bounds it.
pub const UNCOUNTED: usize = 16 * 1024;

// === impl Replies ===

impl Replies {
    /// Room for 32 MiB, or for eight of the largest replies where that is more.
    #[must_use]
    pub fn of(largest: usize) -> Self {
        Self(Arc::new(Inner { all: ALL.max(largest.saturating_mul(FEW)), used: Mutex::default(), freed: Notify::new() }))
    }

    /// False while what this user has not read yet fills their part: until they read, nothing more is begun for them.
    #[must_use]
    pub fn has_room(&self, user: &UserId) -> bool {
        self.fits(&self.used(), Some(user), 1)
    }

    /// Waits until a reply of `size` bytes fits, and counts it. Nobody else's turn comes later for that: each asks once for all it needs,
    /// and holds nothing meanwhile. For nobody in particular with `None`.
    pub async fn admit(&self, user: Option<&UserId>, size: usize) -> Counted {
        loop {
            let freed = self.0.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            {
                let mut used = self.used();
                if self.fits(&used, user, size) {
                    return self.take(&mut used, user, size);
                }
            }
            freed.await;
        }
    }

    /// Counts what is in memory already, whether it fits or not, until the last part of it is dropped.
    #[must_use]
    pub fn hold(&self, user: &UserId, bytes: Bytes) -> Bytes {
        if bytes.len() <= UNCOUNTED {
            return bytes;
        }
        let counted = self.take(&mut self.used(), Some(user), bytes.len());
        counted.around(bytes)
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.0.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fits(&self, used: &Used, user: Option<&UserId>, size: usize) -> bool {
        let free = self.0.all.saturating_sub(used.total);
        let own = user.and_then(|user| used.by_user.get(user)).copied().unwrap_or(0);
        free > 0 && (own == 0 || own.saturating_add(size) <= free)
    }

    fn take(&self, used: &mut Used, user: Option<&UserId>, size: usize) -> Counted {
        used.total = used.total.saturating_add(size);
        if let Some(user) = user {
            let own = used.by_user.entry(user.clone()).or_insert(0);
            *own = own.saturating_add(size);
        }
        Counted { of: self.clone(), user: user.cloned(), size }
    }
}

impl Counted {
    /// These bytes, counted until the last part of them is dropped.
    #[must_use]
    pub fn around(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Held { bytes, _counted: self })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut used = self.of.used();
        used.total = used.total.saturating_sub(self.size);
        if let Some(user) = &self.user
            && let Some(own) = used.by_user.get_mut(user)
        {
            *own = own.saturating_sub(self.size);
            if *own == 0 {
                used.by_user.remove(user);
            }
        }
        drop(used);
        self.of.0.freed.notify_waiters();
    }
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn user(name: &str) -> UserId {
        UserId::new("local", name).expect("user")
    }

    fn reply(size: usize) -> Bytes {
        vec![b'x'; size].into()
    }

    #[tokio::test]
    async fn flt_06_nobody_fills_it_and_somebody_new_always_finds_a_part() {
        let replies = Replies::of(MIB);
        let mut held = Vec::new();
        for greedy in ["a", "b", "c", "d"] {
            let mut own = 0;
            while replies.has_room(&user(greedy)) {
                held.push(replies.hold(&user(greedy), reply(MIB)));
                own += MIB;
            }
            assert!((MIB..=16 * MIB).contains(&own), "{greedy} has {own}");
            // Whoever has nothing yet comes in at once.
            drop(replies.admit(Some(&user("new")), MIB).await);
        }
        assert!(held.len() < 32);
        let parts: Vec<Bytes> = held.iter().map(|reply| reply.slice(1..2)).collect();
        drop(held);
        assert!(!replies.has_room(&user("a")), "as long as a part of it is there");
        drop(parts);
        assert_eq!(replies.used().total, 0);
        assert!(replies.used().by_user.is_empty());
    }

    #[tokio::test]
    async fn who_waits_goes_on_when_their_client_reads() {
        let replies = Replies::of(MIB);
        let ann = user("ann");
        let mut held: Vec<Counted> = Vec::new();
        for _ in 0..16 {
            held.push(replies.admit(Some(&ann), MIB).await);
        }
        let waiting = replies.admit(Some(&ann), 2 * MIB);
        tokio::pin!(waiting);
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("half of it is theirs already"),
            () = tokio::task::yield_now() => {}
        }
        held.truncate(14);
        let more = waiting.await;
        assert_eq!(more.size, 2 * MIB);
    }

    #[test]
    fn small_ones_are_not_counted() {
        let replies = Replies::of(MIB);
        let small = replies.hold(&user("ann"), reply(UNCOUNTED));
        assert_eq!((small.len(), replies.used().total), (UNCOUNTED, 0));
    }
}
