//! How much of what servers said may be in memory at once: what is being read for a call, and answers that their clients have not taken
//! yet. A client that asks much and reads slowly would otherwise fill the memory of everybody (FLT-06, HTTP-07).
//!
//! Each user may have as much as is left free (a "dynamic threshold" as in the buffers of switches): the first at most half of it, and
//! each that fills their part leaves as much to the next. Who has nothing gets one reply beyond all that, up to twice the room.

use bytes::Bytes;
use doorward_core::id::UserId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
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
    /// Everything, and of each user.
    all: Sum,
    by_user: HashMap<UserId, Sum>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    /// Whatever it is for.
    bytes: usize,
    /// Of it, answers that their clients have not taken yet.
    unread: usize,
}

/// What one reply takes, until it is dropped.
#[derive(Debug)]
pub struct Counted {
    of: Replies,
    user: Option<UserId>,
    size: usize,
    is_unread: bool,
}

/// Bytes, and what they take.
struct Held {
    bytes: Bytes,
    _counted: Counted,
}

/// Room for all of them, in bytes, unless a few of the largest need more. As for requests, each takes a multiple of its size for a moment.
const ALL: usize = 32 << 20;
/// How long what has begun to come waits for room.
const SOON: Duration = Duration::from_secs(10);
/// As many of the largest there is room for in any case.
const FEW: usize = 8;
/// What is not counted: the number of connections bounds it.
pub const UNCOUNTED: usize = 16 * 1024;

/// What the answers of a batch take at most, in bytes, where one reply has `result_bytes`: nothing more is begun once they are as large as
/// one may be.
#[must_use]
pub const fn of_batch(result_bytes: usize) -> usize {
    result_bytes.saturating_mul(2)
}

// === impl Replies ===

impl Replies {
    /// Room for 32 MiB, or for eight of the largest replies where that is more.
    #[must_use]
    pub fn of(largest: usize) -> Self {
        Self(Arc::new(Inner { all: ALL.max(largest.saturating_mul(FEW)), used: Mutex::default(), freed: Notify::new() }))
    }

    /// False while what this user has not read yet fills their part: until they read, nothing more is begun for them. Never false for who has
    /// read everything, whatever others do.
    #[must_use]
    pub fn has_room(&self, user: &UserId) -> bool {
        let used = self.used();
        let own = used.by_user.get(user).map_or(0, |own| own.unread);
        own == 0 || own < self.0.all.saturating_sub(used.all.unread)
    }

    /// True while something waits for this user to read it.
    #[must_use]
    pub fn has_unread(&self, user: &UserId) -> bool {
        self.used().by_user.get(user).is_some_and(|own| own.unread > 0)
    }

    /// Waits until a reply of `size` bytes fits, and counts it; in no order among those who wait. Whoever asks, asks once for all that the
    /// reply needs and holds nothing of it meanwhile: so nobody waits for somebody who waits. For nobody in particular with `None`:
    /// what upkeep reads is not refused for what users hold, short of all of it.
    pub async fn admit(&self, user: Option<&UserId>, size: usize) -> Counted {
        loop {
            let freed = self.0.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            {
                let mut used = self.used();
                if self.fits(&used, user, size) {
                    return self.take(&mut used, user, size, false);
                }
            }
            freed.await;
        }
    }

    /// As [`Replies::admit`], for ten seconds: well within the time of a call, which else would blame its server.
    pub async fn admit_soon(&self, user: Option<&UserId>, size: usize) -> Option<Counted> {
        tokio::time::timeout(SOON, self.admit(user, size)).await.ok()
    }

    /// Counts what this user will be given, unless they have something already and their part is too small for this as well.
    #[must_use]
    pub fn reserve(&self, user: &UserId, size: usize) -> Option<Counted> {
        let mut used = self.used();
        let may = used.own(Some(user)) == 0 || self.fits(&used, Some(user), size);
        may.then(|| self.take(&mut used, Some(user), size, false))
    }

    /// Counts what is there already, and must be lost otherwise, for as long as all of it is within the room.
    #[must_use]
    pub fn squeeze(&self, user: &UserId, size: usize) -> Option<Counted> {
        let mut used = self.used();
        let may = used.all.bytes.saturating_add(size) <= self.0.all;
        may.then(|| self.take(&mut used, Some(user), size, false))
    }

    /// Counts what is in memory already, whether it fits or not, until the last part of it is dropped.
    #[must_use]
    pub fn hold(&self, user: &UserId, bytes: Bytes) -> Bytes {
        if bytes.len() <= UNCOUNTED {
            return bytes;
        }
        let counted = self.take(&mut self.used(), Some(user), bytes.len(), true);
        counted.around(bytes)
    }

    fn used(&self) -> MutexGuard<'_, Used> {
        self.0.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fits(&self, used: &Used, user: Option<&UserId>, size: usize) -> bool {
        let own = used.own(user);
        match own {
            0 => used.all.bytes < self.0.all.saturating_mul(2),
            own => own.saturating_add(size) <= self.0.all.saturating_sub(used.all.bytes),
        }
    }

    fn give_back(&self, user: Option<&UserId>, size: usize, is_unread: bool) {
        let mut used = self.used();
        used.all.remove(size, is_unread);
        if let Some(user) = user
            && let Some(own) = used.by_user.get_mut(user)
        {
            own.remove(size, is_unread);
            if own.bytes == 0 {
                used.by_user.remove(user);
            }
        }
        drop(used);
        self.0.freed.notify_waiters();
    }

    fn take(&self, used: &mut Used, user: Option<&UserId>, size: usize, is_unread: bool) -> Counted {
        used.all.add(size, is_unread);
        if let Some(user) = user {
            used.by_user.entry(user.clone()).or_default().add(size, is_unread);
        }
        Counted { of: self.clone(), user: user.cloned(), size, is_unread }
    }
}

impl Used {
    fn own(&self, user: Option<&UserId>) -> usize {
        user.and_then(|user| self.by_user.get(user)).map_or(0, |own| own.bytes)
    }
}

impl Sum {
    fn add(&mut self, size: usize, is_unread: bool) {
        self.bytes = self.bytes.saturating_add(size);
        self.unread = self.unread.saturating_add(if is_unread { size } else { 0 });
    }

    fn remove(&mut self, size: usize, is_unread: bool) {
        self.bytes = self.bytes.saturating_sub(size);
        self.unread = self.unread.saturating_sub(if is_unread { size } else { 0 });
    }
}

impl Counted {
    /// It turned out to be smaller.
    pub fn shrink(&mut self, size: usize) {
        self.of.give_back(self.user.as_ref(), self.size.saturating_sub(size), self.is_unread);
        self.size = self.size.min(size);
    }

    /// From here on it waits for its client.
    #[must_use]
    pub fn unread(mut self) -> Self {
        if !std::mem::replace(&mut self.is_unread, true) {
            let mut used = self.of.used();
            used.all.unread = used.all.unread.saturating_add(self.size);
            if let Some(own) = self.user.as_ref().and_then(|user| used.by_user.get_mut(user)) {
                own.unread = own.unread.saturating_add(self.size);
            }
        }
        self
    }

    /// These bytes, counted until the last part of them is dropped.
    #[must_use]
    pub fn around(self, bytes: Bytes) -> Bytes {
        Bytes::from_owner(Held { bytes, _counted: self })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.of.give_back(self.user.as_ref(), self.size, self.is_unread);
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
        assert!(replies.has_room(&user("new")), "who has read everything is never turned away");
        assert!(!replies.has_room(&user("a")), "as long as a part of it is there");
        drop(parts);
        assert_eq!(replies.used().all.bytes, 0);
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

    #[tokio::test]
    async fn flt_06_however_many_fill_it_who_has_nothing_gets_one() {
        let replies = Replies::of(MIB);
        let mut held: Vec<Bytes> = (0..40).map(|_| replies.hold(&user("burst"), reply(MIB))).collect();
        assert!(!replies.has_room(&user("burst")) && replies.has_room(&user("other")));
        held.push(replies.admit(Some(&user("other")), MIB).await.around(reply(MIB)));
        assert_eq!(replies.used().all.bytes, 41 * MIB);
    }

    #[tokio::test]
    async fn what_is_being_read_from_a_server_keeps_nobody_from_asking() {
        let replies = Replies::of(MIB);
        let mut reading = Vec::new();
        for _ in 0..16 {
            reading.push(replies.admit(Some(&user("ann")), MIB).await);
        }
        assert!(replies.has_room(&user("ann")));
        for counted in &mut reading {
            counted.shrink(1000);
        }
        assert_eq!(replies.used().all.bytes, 16_000);
        drop(reading);
        assert_eq!(replies.used().all.bytes, 0);
    }

    #[test]
    fn small_ones_are_not_counted() {
        let replies = Replies::of(MIB);
        let small = replies.hold(&user("ann"), reply(UNCOUNTED));
        assert_eq!((small.len(), replies.used().all.bytes), (UNCOUNTED, 0));
    }
}
