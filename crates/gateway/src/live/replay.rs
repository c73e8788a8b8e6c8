//! The events of one legacy stream, kept for a client that comes back (2025-11-25, basic/transports, Resumability).
//!
//! Event ids are `<stream>-<n>`; the stream part is 128 random bits, so that nobody guesses another's. What a slow or absent
//! reader leaves behind is bounded by number and size; what fell out cannot be resumed.

use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

/// One stream of one session.
#[derive(Debug)]
pub struct Replay {
    id: String,
    state: Mutex<State>,
    wake: Notify,
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
/// How long an ended stream can be resumed.
const KEPT: Duration = Duration::from_secs(600);

impl Replay {
    /// An empty stream. `random` names it.
    #[must_use]
    pub fn new(random: [u8; 16]) -> Self {
        use base64::Engine as _;
        let id = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random).replace('-', ".");
        Self { id, state: Mutex::default(), wake: Notify::new() }
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

    /// Appends an event; `frame` gets its id.
    pub fn push(&self, frame: impl FnOnce(&str) -> Bytes) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.last = state.last.saturating_add(1);
        let number = state.last;
        let bytes = frame(&format!("{}-{number}", self.id));
        state.size = state.size.saturating_add(bytes.len());
        state.events.push_back((number, bytes));
        while state.events.len() > MOST_EVENTS || (state.size > MOST_BYTES && state.events.len() > 1) {
            let gone = state.events.pop_front().map_or(0, |(_, bytes)| bytes.len());
            state.size = state.size.saturating_sub(gone);
        }
        drop(state);
        self.wake.notify_waiters();
    }

    /// No event will follow.
    pub fn end(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).ended.get_or_insert_with(Instant::now);
        self.wake.notify_waiters();
    }

    /// Resolves once the stream ended.
    pub async fn ended(&self) {
        loop {
            let wake = self.wake.notified();
            tokio::pin!(wake);
            wake.as_mut().enable();
            if self.state.lock().unwrap_or_else(PoisonError::into_inner).ended.is_some() {
                return;
            }
            wake.await;
        }
    }

    /// Sends the present reader away; the stream goes on and can be resumed.
    pub fn part(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.turn = state.turn.saturating_add(1);
        state.parted = state.last;
        state.reading = false;
        drop(state);
        self.wake.notify_waiters();
    }

    /// True while somebody reads.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).reading
    }

    /// True once it ended and nobody can want it any more.
    #[must_use]
    pub fn is_over(&self, now: Instant) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.ended.is_some_and(|ended| now.saturating_duration_since(ended) >= KEPT)
    }

    /// Takes the right to read what comes after event `after`.
    ///
    /// # Errors
    /// [`NotReadable`].
    pub fn read(self: &Arc<Self>, after: u64) -> Result<Reading, NotReadable> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.reading {
            return Err(NotReadable::Taken);
        }
        let first = state.events.front().map_or(state.last.saturating_add(1), |(number, _)| *number);
        if after > state.last || after.saturating_add(1) < first {
            return Err(NotReadable::Gone);
        }
        state.reading = true;
        Ok(Reading { replay: Arc::clone(self), after, turn: state.turn })
    }
}

impl Reading {
    /// Hands the events to `frames` until the stream ends, the reader is sent away or the client is gone.
    pub async fn run(mut self, frames: mpsc::Sender<Bytes>) {
        loop {
            let wake = self.replay.wake.notified();
            tokio::pin!(wake);
            wake.as_mut().enable();
            let Some((batch, more)) = self.next_events() else { return };
            for (number, bytes) in batch {
                if frames.send(bytes).await.is_err() {
                    return;
                }
                self.after = number;
            }
            if !more {
                return;
            }
            tokio::select! {
                () = wake => {}
                () = frames.closed() => return,
            }
        }
    }

    /// What is there, and whether more may come. `None` when this reader has to leave: sent away, or events fell out before
    /// it could read them (a gap must never look like a whole stream).
    fn next_events(&self) -> Option<(Vec<(u64, Bytes)>, bool)> {
        let state = self.replay.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.turn != self.turn {
            let rest = state.events.iter().filter(|(number, _)| *number > self.after && *number <= state.parted);
            return Some((rest.cloned().collect(), false));
        }
        let first = state.events.front().map_or(state.last.saturating_add(1), |(number, _)| *number);
        if self.after.saturating_add(1) < first {
            return None;
        }
        let batch: Vec<(u64, Bytes)> = state.events.iter().filter(|(number, _)| *number > self.after).cloned().collect();
        let more = state.ended.is_none();
        Some((batch, more))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut state = self.replay.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.turn == self.turn {
            state.reading = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(replay: &Arc<Replay>, n: u64) {
        replay.push(|id| Bytes::from(format!("{id}:{n}")));
    }

    #[tokio::test]
    async fn a_reader_gets_what_was_and_what_comes_then_the_end() {
        let replay = Arc::new(Replay::new([1; 16]));
        text(&replay, 1);
        let (send, mut receive) = mpsc::channel(4);
        let reading = replay.read(0).expect("free");
        assert_eq!(replay.read(0).expect_err("taken"), NotReadable::Taken, "SES-04");
        let run = tokio::spawn(reading.run(send));
        assert!(receive.recv().await.expect("first").ends_with(b":1"));
        text(&replay, 2);
        assert!(receive.recv().await.expect("second").ends_with(b":2"));
        replay.end();
        assert!(receive.recv().await.is_none());
        run.await.expect("ended");
        let event = format!("{}-1", replay.id());
        let (stream, number) = Replay::split(&event).expect("id");
        assert_eq!((stream, number), (replay.id(), 1));
        let (send, mut receive) = mpsc::channel(4);
        replay.read(1).expect("resumable").run(send).await;
        assert!(receive.recv().await.expect("second again").ends_with(b":2"));
    }

    #[tokio::test]
    async fn a_reader_that_is_sent_away_takes_along_what_there_was() {
        let replay = Arc::new(Replay::new([1; 16]));
        text(&replay, 1);
        let reading = replay.read(0).expect("free");
        replay.part();
        text(&replay, 2);
        let (send, mut receive) = mpsc::channel(4);
        reading.run(send).await;
        assert!(receive.recv().await.expect("first").ends_with(b":1"));
        assert!(receive.recv().await.is_none());
        let (send, mut receive) = mpsc::channel(4);
        replay.end();
        replay.read(1).expect("free again").run(send).await;
        assert!(receive.recv().await.expect("second").ends_with(b":2"));
    }

    #[test]
    fn ses_05_what_fell_out_or_never_was_cannot_be_read() {
        let replay = Arc::new(Replay::new([1; 16]));
        for n in 0..300 {
            text(&replay, n);
        }
        assert_eq!(replay.read(3).expect_err("fell out"), NotReadable::Gone);
        assert_eq!(replay.read(301).expect_err("never was"), NotReadable::Gone);
        assert!(replay.read(300).is_ok());
        for bad in ["", "x", "a-", "a-1x", "a-+1", "a-999999999999999999999"] {
            assert!(Replay::split(bad).is_none(), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_slow_reader_that_lost_events_is_sent_away() {
        let replay = Arc::new(Replay::new([1; 16]));
        text(&replay, 0);
        let reading = replay.read(0).expect("free");
        for n in 0..300 {
            text(&replay, n);
        }
        let (send, mut receive) = mpsc::channel(400);
        reading.run(send).await;
        assert!(receive.recv().await.is_none());
        assert!(!replay.is_read());
    }
}
