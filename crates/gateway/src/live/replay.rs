//! The events of one legacy stream, kept for a client that comes back (2025-11-25, basic/transports, Resumability).
//!
//! Event ids are `<stream>-<n>`; the stream part is 128 random bits, so that nobody guesses another's. What is kept is bounded
//! by number and size. Where that is full, a stream that is being read waits for its reader, as long as it takes anything; what
//! an absent reader leaves behind falls out, and cannot be resumed.

use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// One stream of one session.
#[derive(Debug)]
pub struct Replay {
    id: String,
    state: Mutex<State>,
    /// Told of the end.
    over: Notify,
    /// Told when a reader took an event or left: there may be room.
    room: Notify,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<(u64, Bytes)>,
    last: u64,
    size: usize,
    ended: Option<Instant>,
    /// Raised to make readers leave; a reader of an older turn leaves once it has what there was then.
    turn: u64,
    parted: u64,
    reading: bool,
    /// Who waits for the next event.
    waits: Option<Waker>,
    /// The last event that the present reader took. Nothing behind it falls out while it reads.
    taken: u64,
}

/// The right to read a stream from one event on. One reader at a time.
#[derive(Debug)]
pub struct Reading {
    replay: Arc<Replay>,
    after: u64,
    turn: u64,
}

/// Why a stream cannot be read from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotReadable {
    /// Somebody reads it.
    Taken,
    /// The event is not kept any more, or never was.
    Gone,
}

/// Events kept of one stream.
const MOST_EVENTS: usize = 256;
/// Bytes kept of one stream.
const MOST_BYTES: usize = 1024 * 1024;
/// A reader that takes nothing for this long, while the stream waits for it, is sent away.
const SLOW: Duration = Duration::from_secs(30);
/// How long an ended stream can be resumed.
const KEPT: Duration = Duration::from_secs(600);

impl Replay {
    /// An empty stream. `random` names it.
    #[must_use]
    pub fn new(random: [u8; 16]) -> Self {
        use base64::Engine as _;
        let id = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random).replace('-', ".");
        Self { id, state: Mutex::default(), over: Notify::new(), room: Notify::new() }
    }

    /// The stream's part of its event ids.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Stream and number of an event id.
    #[must_use]
    pub fn split(event_id: &str) -> Option<(&str, u64)> {
        let (stream, number) = event_id.rsplit_once('-')?;
        let plain = number.len() <= 20 && number.bytes().all(|b| b.is_ascii_digit());
        plain.then_some((stream, number.parse().ok()?))
    }

    /// Appends an event; `frame` gets its id. One writer at a time. Waits while what is kept is full of events that the present
    /// reader has not taken yet; false where it took none of them for too long: then it is sent away, and the event is kept
    /// for a client that comes back.
    pub async fn push(&self, frame: impl FnOnce(&str) -> Bytes) -> bool {
        let number = self.lock().last.saturating_add(1);
        let bytes = frame(&format!("{}-{number}", self.id));
        let taken = self.room_for(bytes.len()).await;
        let mut state = self.lock();
        if !taken {
            state.send_away();
        }
        state.make_room(bytes.len());
        state.last = number;
        state.size = state.size.saturating_add(bytes.len());
        state.events.push_back((number, bytes));
        wake(state);
        taken
    }

    /// Resolves once there is room: true, or false after [`SLOW`] without any event taken.
    async fn room_for(&self, size: usize) -> bool {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if self.lock().make_room(size) {
                return true;
            }
            if tokio::time::timeout(SLOW, room).await.is_err() {
                return false;
            }
        }
    }

    /// No event will follow.
    pub fn end(&self) {
        let mut state = self.lock();
        state.ended.get_or_insert_with(Instant::now);
        wake(state);
        self.over.notify_waiters();
    }

    /// Resolves once the stream ended.
    pub async fn ended(&self) {
        loop {
            let over = self.over.notified();
            tokio::pin!(over);
            over.as_mut().enable();
            if self.lock().ended.is_some() {
                return;
            }
            over.await;
        }
    }

    /// Sends the present reader away; the stream goes on and can be resumed.
    pub fn part(&self) {
        let mut state = self.lock();
        state.parted = state.last;
        state.send_away();
        wake(state);
        self.room.notify_waiters();
    }

    /// True while somebody reads.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.lock().reading
    }

    /// Bytes that are kept of it.
    #[must_use]
    pub fn size(&self) -> usize {
        self.lock().size
    }

    /// Since when nothing more comes and nobody reads: only a client that lost its end would want it.
    #[must_use]
    pub fn left_behind(&self) -> Option<Instant> {
        let state = self.lock();
        state.ended.filter(|_| !state.reading)
    }

    /// True once it ended and nobody can want it any more.
    #[must_use]
    pub fn is_over(&self, now: Instant) -> bool {
        let state = self.lock();
        state.ended.is_some_and(|ended| now.saturating_duration_since(ended) >= KEPT)
    }

    /// Takes the right to read what comes after event `after`.
    ///
    /// # Errors
    /// [`NotReadable`].
    pub fn read(self: &Arc<Self>, after: u64) -> Result<Reading, NotReadable> {
        let mut state = self.lock();
        if state.reading {
            return Err(NotReadable::Taken);
        }
        let first = state.events.front().map_or(state.last.saturating_add(1), |(number, _)| *number);
        if after > state.last || after.saturating_add(1) < first {
            return Err(NotReadable::Gone);
        }
        state.reading = true;
        state.taken = after;
        Ok(Reading { replay: Arc::clone(self), after, turn: state.turn })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Lets the oldest events fall out until one of `size` bytes fits. False where what would fall out is still to be read.
    fn make_room(&mut self, size: usize) -> bool {
        while self.events.len() >= MOST_EVENTS || self.size.saturating_add(size) > MOST_BYTES {
            let Some((number, _)) = self.events.front() else { break };
            if self.reading && *number > self.taken {
                return false;
            }
            let gone = self.events.pop_front().map_or(0, |(_, bytes)| bytes.len());
            self.size = self.size.saturating_sub(gone);
        }
        true
    }

    /// The present reader leaves at its next look, with what there was up to `parted`.
    fn send_away(&mut self) {
        self.turn = self.turn.saturating_add(1);
        self.reading = false;
    }

    /// The event that follows `after`, if it is kept.
    fn next(&self, after: u64) -> Option<(u64, Bytes)> {
        let first = self.events.front().map(|(number, _)| *number)?;
        let at = after.saturating_add(1).checked_sub(first)?;
        self.events.get(usize::try_from(at).ok()?).cloned()
    }
}

/// Wakes whoever waits for an event, and holds no lock meanwhile: what is woken may be the end of the reader.
fn wake(mut state: MutexGuard<'_, State>) {
    let waits = state.waits.take();
    drop(state);
    if let Some(waits) = waits {
        waits.wake();
    }
}

impl Reading {
    /// The next event. `None` when the stream has ended, or this reader has to leave: sent away, or events fell out before it could read
    /// them (a gap must never look like a whole stream).
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.replay.lock();
        let is_present = state.turn == self.turn;
        let next = state.next(self.after).filter(|(number, _)| is_present || *number <= state.parted);
        let Some((number, bytes)) = next else {
            let fell_out = self.after < state.last && is_present;
            if !is_present || fell_out || state.ended.is_some() {
                return Poll::Ready(None);
            }
            // One reader at a time: whoever stood there before has left.
            if !state.waits.as_ref().is_some_and(|waits| waits.will_wake(cx.waker())) {
                state.waits = Some(cx.waker().clone());
            }
            return Poll::Pending;
        };
        self.after = number;
        if is_present {
            // The client has it, as far as anybody here can tell.
            state.taken = number;
            drop(state);
            self.replay.room.notify_waiters();
        }
        Poll::Ready(Some(bytes))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut state = self.replay.lock();
        if state.turn == self.turn {
            state.reading = false;
        }
        drop(state);
        self.replay.room.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn next(reading: &mut Reading) -> Option<Bytes> {
        std::future::poll_fn(|cx| reading.poll_next(cx)).await
    }

    async fn text(replay: &Arc<Replay>, n: u64) -> bool {
        replay.push(|id| Bytes::from(format!("{id}:{n}"))).await
    }

    #[tokio::test]
    async fn a_reader_gets_what_was_and_what_comes_then_the_end() {
        let replay = Arc::new(Replay::new([1; 16]));
        assert!(text(&replay, 1).await);
        let mut reading = replay.read(0).expect("free");
        assert_eq!(replay.read(0).expect_err("taken"), NotReadable::Taken, "SES-04");
        assert!(next(&mut reading).await.expect("first").ends_with(b":1"));
        let (second, _) = tokio::join!(next(&mut reading), text(&replay, 2));
        assert!(second.expect("it waited").ends_with(b":2"));
        let (end, ()) = tokio::join!(next(&mut reading), async { replay.end() });
        assert!(end.is_none());
        drop(reading);
        let event = format!("{}-1", replay.id());
        let (stream, number) = Replay::split(&event).expect("id");
        assert_eq!((stream, number), (replay.id(), 1));
        assert!(next(&mut replay.read(1).expect("resumable")).await.expect("second again").ends_with(b":2"));
    }

    #[tokio::test]
    async fn a_reader_that_is_sent_away_takes_along_what_there_was() {
        let replay = Arc::new(Replay::new([1; 16]));
        assert!(text(&replay, 1).await);
        let mut reading = replay.read(0).expect("free");
        replay.part();
        assert!(text(&replay, 2).await);
        assert!(next(&mut reading).await.expect("first").ends_with(b":1"));
        assert!(next(&mut reading).await.is_none());
        replay.end();
        let mut another = replay.read(1).expect("free again");
        assert!(next(&mut reading).await.is_none());
        drop(reading);
        assert!(replay.is_read(), "it left before, and takes nobody's place along");
        assert!(next(&mut another).await.expect("second").ends_with(b":2"));
    }

    #[tokio::test]
    async fn a_reader_that_waits_is_told_to_leave() {
        let replay = Arc::new(Replay::new([1; 16]));
        let mut reading = replay.read(0).expect("free");
        let (end, ()) = tokio::join!(next(&mut reading), async { replay.part() });
        assert!(end.is_none());
    }

    #[tokio::test]
    async fn ses_05_what_fell_out_or_never_was_cannot_be_read() {
        let replay = Arc::new(Replay::new([1; 16]));
        for n in 0..300 {
            assert!(text(&replay, n).await);
        }
        assert_eq!(replay.read(3).expect_err("fell out"), NotReadable::Gone);
        assert_eq!(replay.read(301).expect_err("never was"), NotReadable::Gone);
        assert!(replay.read(300).is_ok());
        for bad in ["", "x", "a-", "a-1x", "a-+1", "a-999999999999999999999"] {
            assert!(Replay::split(bad).is_none(), "{bad}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_takes_nothing_is_waited_for_and_then_sent_away() {
        let replay = Arc::new(Replay::new([1; 16]));
        let mut reading = replay.read(0).expect("free");
        let begun = Instant::now();
        for n in 1..=MOST_EVENTS as u64 {
            assert!(text(&replay, n).await);
        }
        assert_eq!(begun.elapsed(), Duration::ZERO, "as long as there is room nobody waits");
        assert!(!text(&replay, 0).await, "the answer that fell on deaf ears was not delivered");
        assert_eq!(begun.elapsed(), SLOW);
        assert!(!replay.is_read());
        assert!(text(&replay, 0).await, "nobody waits for who was sent away");
        assert!(next(&mut reading).await.is_none(), "a gap never looks like a whole stream");
        assert_eq!(replay.read(0).expect_err("fell out"), NotReadable::Gone);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_is_slow_gets_everything_in_order() {
        let replay = Arc::new(Replay::new([1; 16]));
        let mut reading = replay.read(0).expect("free");
        let writer = Arc::clone(&replay);
        let written = tokio::spawn(async move {
            for n in 1..=3 * MOST_EVENTS as u64 {
                assert!(text(&writer, n).await, "{n}");
            }
            writer.end();
        });
        for n in 1..=3 * MOST_EVENTS as u64 {
            tokio::time::advance(SLOW / 2).await;
            assert!(next(&mut reading).await.expect("more").ends_with(format!(":{n}").as_bytes()), "{n}");
        }
        assert!(next(&mut reading).await.is_none());
        written.await.expect("written");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_reader_that_left() {
        let replay = Arc::new(Replay::new([1; 16]));
        let reading = replay.read(0).expect("free");
        for n in 1..=MOST_EVENTS as u64 {
            assert!(text(&replay, n).await);
        }
        let begun = Instant::now();
        let (kept, ()) = tokio::join!(text(&replay, 0), async { drop(reading) });
        assert!(kept && begun.elapsed() == Duration::ZERO);
    }
}
