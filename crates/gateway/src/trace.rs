//! Notes for people on how clients get on: which step of connecting was done, and where it stopped (P23; ADR 26).
//!
//! Best effort, and beside the way: who tells waits for nothing, what finds no room in the queue is gone, and one task writes. A note
//! proves nothing, no decision reads it, and it never stands in for the record. What strangers do is counted by address before it is
//! queued, kept in bounded memory or bounded rows, and shown to nobody but the administrator. Must not know pages.

use crate::Gateway;
use crate::listen::rate::{AddressLimit, network};
use doorward_core::blame::Refusal;
use doorward_core::id::{CredentialId, ServerName};
use doorward_core::identity::caller::{Caller, Door, Level};
use doorward_core::oauth::attempt::{AttemptId, Mark, Step};
use doorward_core::time::Timestamp;
use doorward_store::{HeardOf, NewAttempt};
use governor::clock::DefaultClock;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use quick_cache::sync::Cache;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// What was told and not written yet, and what need not be told again.
pub(crate) struct Trace {
    queue: mpsc::Sender<Told>,
    /// Until the task that writes takes it.
    told: Mutex<Option<mpsc::Receiver<Told>>>,
    of_each: AddressLimit,
    of_all: RateLimiter<NotKeyed, InMemoryState, DefaultClock>,
    /// Who asked without a token, or read metadata, lately: by address, for one server or (`None`) for the gateway.
    heard: Cache<(IpAddr, Option<ServerName>), Heard>,
    /// Consents of which a call was let in: their next calls tell nothing.
    called: Cache<CredentialId, ()>,
    /// Why a call of a consent was refused last.
    refused: Cache<CredentialId, &'static str>,
}

/// Something for the task that writes.
enum Told {
    Of(Box<NewAttempt>),
    More(HeardOf, Mark, Option<Box<NewAttempt>>),
    /// Answered once everything before it was written.
    Settle(oneshot::Sender<()>),
}

/// What somebody at an address did lately.
#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    challenge: Option<Timestamp>,
    metadata: Option<Timestamp>,
}

/// What waits to be written at most, in notes.
const QUEUE: usize = 1024;
/// Notes on strangers: of one address, and of all.
const OF_EACH: (NonZeroU32, NonZeroU32) = (NonZeroU32::new(30).unwrap(), NonZeroU32::new(20).unwrap());
const OF_ALL: Quota = Quota::per_minute(NonZeroU32::new(300).unwrap());
/// Addresses whose steps are remembered; the oldest are forgotten first.
const ADDRESSES: usize = 4096;
/// How long it is remembered that somebody at an address asked.
const LATELY: Duration = Duration::from_secs(600);
/// Consents that are remembered as having called.
const CONSENTS: usize = 100_000;
/// How long a page waits for what was told before it.
const SETTLING: Duration = Duration::from_secs(1);
/// The one reason for refusing a call that is told after a first call, too: the client has to ask for more, and may not know how.
const WANTS_MORE: &str = "not_granted";

// === impl Trace ===

impl Trace {
    /// The attempt of everybody at a network who came without an id.
    pub(crate) fn place_id(&self, peer: IpAddr) -> AttemptId {
        AttemptId::of_address(&place(peer))
    }

    /// Nothing was told yet.
    #[must_use]
    pub(crate) fn new() -> Self {
        let (queue, told) = mpsc::channel(QUEUE);
        Self {
            queue,
            told: Mutex::new(Some(told)),
            of_each: AddressLimit::new(OF_EACH.0, OF_EACH.1),
            of_all: RateLimiter::direct(OF_ALL),
            heard: Cache::new(ADDRESSES),
            called: Cache::new(CONSENTS),
            refused: Cache::new(CONSENTS),
        }
    }

    /// Tells of an attempt of somebody who is known.
    pub(crate) fn tell(&self, new: NewAttempt) {
        self.put(Told::Of(Box::new(new)));
    }

    /// Tells of an attempt of nobody, as long as there is room for such. Says from which network it is.
    pub(crate) fn tell_of_stranger(&self, peer: IpAddr, new: NewAttempt) {
        if self.has_room_for(peer) {
            self.tell(NewAttempt { peer: Some(place(peer)), ..new });
        }
    }

    /// Tells of a step of the attempt that a consent came of.
    pub(crate) fn tell_more(&self, grant: &CredentialId, mark: Mark) {
        self.put(Told::More(HeardOf::Grant(grant.clone()), mark, None));
    }

    /// Tells of something that somebody tried who is nobody yet: of the attempt that it belongs to, or else of nobody's.
    pub(crate) fn tell_tried(&self, peer: IpAddr, of: Option<HeardOf>, mark: Mark, else_of: NewAttempt) {
        if !self.has_room_for(peer) {
            return;
        }
        let else_of = NewAttempt { peer: Some(place(peer)), ..else_of };
        match of {
            Some(of) => self.put(Told::More(of, mark, Some(Box::new(else_of)))),
            None => self.tell(else_of),
        }
    }

    /// What somebody at this address did lately for this server: perhaps the client that asks now.
    pub(crate) fn lately_at(&self, peer: IpAddr, server: &ServerName, now: Timestamp) -> Vec<Mark> {
        let own = self.heard.get(&(network(peer), Some(server.clone()))).unwrap_or_default();
        let general = self.heard.get(&(network(peer), None)).unwrap_or_default();
        let is_late = |at: &Timestamp| *at <= now && now.since(*at) < LATELY;
        let challenge = own.challenge.filter(is_late).map(|at| Mark::done(Step::Challenge, at));
        let metadata = own.metadata.or(general.metadata).filter(is_late).map(|at| Mark::done(Step::Metadata, at));
        challenge.into_iter().chain(metadata).collect()
    }

    /// Remembers that somebody at this address read metadata, of one server or of the gateway.
    pub(crate) fn metadata_read(&self, peer: IpAddr, server: Option<&ServerName>, now: Timestamp) {
        let key = (network(peer), server.cloned());
        let heard = self.heard.get(&key).unwrap_or_default();
        self.heard.insert(key, Heard { metadata: Some(now), ..heard });
    }

    fn challenged(&self, peer: IpAddr, server: &ServerName, now: Timestamp) {
        let key = (network(peer), Some(server.clone()));
        let heard = self.heard.get(&key).unwrap_or_default();
        self.heard.insert(key, Heard { challenge: Some(now), ..heard });
    }

    /// Waits until what was told before is written, or can no longer be: a full queue is not waited for.
    async fn written(&self) {
        let (tell, told) = oneshot::channel();
        if self.queue.try_send(Told::Settle(tell)).is_ok() {
            let _gone = told.await;
        }
    }

    fn has_room_for(&self, peer: IpAddr) -> bool {
        self.of_each.check(peer).is_ok() && self.of_all.check().is_ok()
    }

    fn put(&self, told: Told) {
        if self.queue.try_send(told).is_err() {
            tracing::debug!("a note on an attempt found no room");
        }
    }

    fn receiver(&self) -> Option<mpsc::Receiver<Told>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Default for Trace {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trace({} waiting)", QUEUE.saturating_sub(self.queue.capacity()))
    }
}

/// A network as it is kept: an address of IPv4, 64 bits of IPv6.
fn place(peer: IpAddr) -> String {
    match network(peer) {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("{ip}/64"),
    }
}

impl Gateway {
    /// Writes what is told, one note after another, until the gateway stops. What the store does not take is gone.
    pub(crate) async fn keep_trace(self: Arc<Self>) {
        let Some(mut told) = self.trace.receiver() else { return };
        loop {
            tokio::select! {
                next = told.recv() => match next {
                    Some(next) => self.write_note(next).await,
                    None => return,
                },
                () = self.tasks.stopping() => break,
            }
        }
        // What is there already, and nothing that comes later.
        told.close();
        while let Ok(next) = told.try_recv() {
            self.write_note(next).await;
        }
    }

    async fn write_note(&self, told: Told) {
        let written = match told {
            Told::Of(new) => self.store.tell_attempt(&new).await,
            Told::More(of, mark, else_of) => match (self.store.tell_more(&of, &mark).await, else_of) {
                (Ok(false), Some(new)) => self.store.tell_attempt(&new).await,
                (done, _) => done.map(|_| ()),
            },
            Told::Settle(waiting) => {
                let _gone = waiting.send(());
                Ok(())
            }
        };
        if let Err(error) = written {
            tracing::debug!(%error, "a note on an attempt was not written");
        }
    }

    /// A request of a client was let in. After the first one of a consent this is one look into memory.
    pub(crate) fn note_call(&self, caller: &Caller) {
        if caller.level() == Level::OAuth && self.trace.called.get(caller.credential()).is_none() {
            self.trace.called.insert(caller.credential().clone(), ());
            self.trace.tell_more(caller.credential(), Mark::done(Step::Call, self.env.now()));
        }
    }

    /// A request was refused: one without a token is remembered for its address, one with the token of a client is told of its consent,
    /// each reason once in a row.
    pub(crate) fn note_refusal(&self, refusal: &Refusal, (door, server): (Door, Option<&ServerName>), peer: IpAddr) {
        if door != Door::OAuth {
            return;
        }
        let known = &refusal.known;
        match (&known.credential, known.level) {
            (None, _) if refusal.reason == "no_credential" => {
                if let Some(server) = server.filter(|server| self.upstreams.find(server).is_some()) {
                    self.trace.challenged(peer, server, self.env.now());
                }
            }
            (Some(credential), Some(Level::OAuth)) => {
                let is_over = self.trace.called.get(credential).is_some() && refusal.reason != WANTS_MORE;
                if is_over || self.trace.refused.get(credential) == Some(refusal.reason) {
                    return;
                }
                self.trace.refused.insert(credential.clone(), refusal.reason);
                self.trace.tell_more(credential, Mark::refused(Step::Call, self.env.now(), refusal.reason));
            }
            _ => {}
        }
    }

    /// Waits until what was told of attempts before is written, for as long as that takes.
    pub async fn settle_attempts(&self) {
        self.trace.written().await;
    }

    /// The same for a page, which waits a second at most: so whoever opens it sees what they just did.
    pub(crate) async fn settle_for_page(&self) {
        let _late = tokio::time::timeout(SETTLING, self.settle_attempts()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("ip")
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn what_is_known_by_an_address_is_of_its_server_and_of_a_short_time() {
        let trace = Trace::new();
        let (alpha, beta) = (ServerName::new("alpha").expect("name"), ServerName::new("beta").expect("name"));
        trace.challenged(ip("192.0.2.1"), &alpha, at(1000));
        trace.metadata_read(ip("192.0.2.1"), None, at(1001));
        let steps = |peer, server, now| trace.lately_at(ip(peer), server, at(now)).iter().map(Mark::step).collect::<Vec<_>>();
        assert_eq!(steps("192.0.2.1", &alpha, 1002), [Step::Challenge, Step::Metadata]);
        assert_eq!(steps("192.0.2.1", &beta, 1002), [Step::Metadata], "another server's is not told");
        assert_eq!(steps("192.0.2.2", &alpha, 1002), []);
        assert_eq!(steps("192.0.2.1", &alpha, 1601), [], "ten minutes");
        assert_eq!(steps("192.0.2.1", &alpha, 999), [], "a clock that stepped back");
    }

    #[test]
    fn strangers_fill_neither_the_queue_nor_the_memory() {
        let trace = Trace::new();
        let room = (0..10_000u32).filter(|n| trace.has_room_for(IpAddr::from(n.to_be_bytes()))).count();
        assert!(room <= 302, "{room}");
        assert_eq!((0..1_000).filter(|_| Trace::new().has_room_for(ip("192.0.2.1"))).count(), 1_000);
        let one = Trace::new();
        assert!((0..1_000).filter(|_| one.has_room_for(ip("192.0.2.1"))).count() <= 21);
        let alpha = ServerName::new("alpha").expect("name");
        (0..100_000u32).for_each(|n| trace.challenged(IpAddr::from(n.to_be_bytes()), &alpha, at(1)));
        assert!(trace.heard.len() <= ADDRESSES);
    }

    #[test]
    fn a_full_queue_drops_and_waits_for_nobody() {
        let trace = Trace::new();
        let grant = CredentialId::new("grant_1").expect("id");
        for _ in 0..QUEUE * 2 {
            trace.tell_more(&grant, Mark::done(Step::Call, at(1)));
        }
        assert_eq!(trace.queue.capacity(), 0);
    }

    #[test]
    fn networks_are_kept_not_addresses_of_ipv6() {
        assert_eq!((place(ip("::ffff:192.0.2.1")), place(ip("2001:db8::1:2"))), ("192.0.2.1".to_owned(), "2001:db8::/64".to_owned()));
    }
}
