//! What this process knows of legacy sessions beside their records: calls in flight, open questions, streams, the child.
//!
//! Nothing here is a proof: a session is reached only with the digest that [`doorward_core::session::open`] bound to its
//! caller. Every table has a cap; everything of a session ends with it.

pub mod guard;
pub mod replay;

use crate::upstream::pipe::Pipe;
use doorward_core::json::RawJson;
use doorward_core::mcp::call::RpcId;
use doorward_core::session::Stored;
use replay::Replay;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The sessions that this process has seen, by the digest of their id.
#[derive(Debug, Default)]
pub struct Live {
    sessions: Mutex<HashMap<[u8; 32], Arc<Session>>>,
}

/// One session.
#[derive(Debug, Default)]
pub struct Session {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    record: Option<(Arc<Stored>, Instant)>,
    touched: Option<Instant>,
    calls: HashMap<RpcId, Pending>,
    questions: HashMap<Arc<str>, Question>,
    streams: HashMap<String, Arc<Replay>>,
    server_stream: Option<Arc<Replay>>,
    /// Ends the pump of the server stream.
    listening: Option<Arc<Notify>>,
    child: Option<Arc<Pipe>>,
    ended: bool,
}

/// A call in flight.
#[derive(Debug, Clone)]
pub struct Pending {
    /// Our id towards the upstream.
    pub upstream_id: i64,
    /// Told when the client cancels.
    pub cancel: Arc<Notify>,
    /// Where its messages go, once its answer is a stream.
    pub stream: Option<Arc<Replay>>,
}

/// A question of an upstream that waits for the client's answer.
#[derive(Debug, Clone)]
pub struct Question {
    /// The upstream's own id.
    pub upstream_id: RawJson,
    /// What was asked.
    pub method: String,
}

/// The session has as much open as it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// Calls in flight, open questions and kept streams of one session.
const MOST_CALLS: usize = 128;
const MOST_QUESTIONS: usize = 64;
const MOST_STREAMS: usize = 64;
/// Bytes of ended streams that one session keeps besides its open ones.
const MOST_KEPT: usize = 1 << 20;
/// How long a record that was read is believed without asking the store again (I8).
pub const FRESH: std::time::Duration = std::time::Duration::from_secs(5);
/// Longest wait for a server stream to end before the next one begins.
const HANDOVER: std::time::Duration = std::time::Duration::from_secs(1);
/// How often the last use of a session is written down.
const TOUCH: std::time::Duration = std::time::Duration::from_secs(60);

/// Resolves when what may be cancelled was; never for what cannot be.
pub async fn cancelled(cancel: Option<&Arc<Notify>>) {
    match cancel {
        Some(cancel) => cancel.notified().await,
        None => std::future::pending().await,
    }
}

impl Live {
    /// The session of this digest; made on first use.
    #[must_use]
    pub fn session(&self, digest: &[u8; 32]) -> Arc<Session> {
        Arc::clone(self.lock().entry(*digest).or_default())
    }

    /// The session of this digest, if this process has it.
    #[must_use]
    pub fn find(&self, digest: &[u8; 32]) -> Option<Arc<Session>> {
        self.lock().get(digest).cloned()
    }

    /// Forgets a session and ends everything of it.
    pub fn end(&self, digest: &[u8; 32]) -> Option<Arc<Pipe>> {
        let session = self.lock().remove(digest)?;
        session.end()
    }

    /// The digests of sessions unused for `idle`, to be ended.
    pub fn idle(&self, idle: std::time::Duration) -> Vec<[u8; 32]> {
        let now = Instant::now();
        self.lock().iter().filter(|(_, session)| session.is_idle(now, idle)).map(|(digest, _)| *digest).collect()
    }

    /// How many sessions this process has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Every session, for shutdown.
    #[must_use]
    pub fn all(&self) -> Vec<[u8; 32]> {
        self.lock().keys().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session {
    /// The record as it was read less than [`FRESH`] ago.
    #[must_use]
    pub fn record(&self) -> Option<Arc<Stored>> {
        let table = self.lock();
        table.record.as_ref().filter(|(_, read)| read.elapsed() < FRESH).map(|(record, _)| record.clone())
    }

    /// The record as it was last read, however long ago: enough to say goodbye to the upstream.
    #[must_use]
    pub fn last_record(&self) -> Option<Arc<Stored>> {
        self.lock().record.as_ref().map(|(record, _)| record.clone())
    }

    /// Keeps a record that was just read or written.
    pub fn keep(&self, record: Arc<Stored>) {
        self.lock().record = Some((record, Instant::now()));
    }

    /// True once in a while: then the use of the session should be written down.
    #[must_use]
    pub fn should_touch(&self) -> bool {
        let mut table = self.lock();
        let due = table.touched.is_none_or(|touched| touched.elapsed() >= TOUCH);
        if due {
            table.touched = Some(Instant::now());
        }
        due
    }

    /// Enters a call.
    ///
    /// # Errors
    /// [`Full`]; also when the id is in use, which JSON-RPC forbids.
    pub fn begin(&self, id: &RpcId, upstream_id: i64) -> Result<Arc<Notify>, Full> {
        let mut table = self.lock();
        if table.calls.len() >= MOST_CALLS || table.calls.contains_key(id) || table.ended {
            return Err(Full);
        }
        let cancel = Arc::new(Notify::new());
        table.calls.insert(id.clone(), Pending { upstream_id, cancel: Arc::clone(&cancel), stream: None });
        Ok(cancel)
    }

    /// The answer of a call became a stream.
    pub fn streams(&self, id: &RpcId, stream: &Arc<Replay>) {
        if let Some(call) = self.lock().calls.get_mut(id) {
            call.stream = Some(Arc::clone(stream));
        }
    }

    /// A call is over.
    pub fn finish(&self, id: &RpcId) {
        self.lock().calls.remove(id);
    }

    /// The call that a client's id names.
    #[must_use]
    pub fn call(&self, id: &RpcId) -> Option<Pending> {
        self.lock().calls.get(id).cloned()
    }

    /// Enters a question under an id that we minted.
    ///
    /// # Errors
    /// [`Full`].
    pub fn ask(&self, id: Arc<str>, question: Question) -> Result<(), Full> {
        let mut table = self.lock();
        if table.questions.len() >= MOST_QUESTIONS || table.ended {
            return Err(Full);
        }
        table.questions.insert(id, question);
        Ok(())
    }

    /// Takes the question that a client answers: each id counts once.
    #[must_use]
    pub fn answered(&self, id: &RpcId) -> Option<Question> {
        match id {
            RpcId::Text(text) => self.lock().questions.remove(text),
            RpcId::Number(_) => None,
        }
    }

    /// Keeps a stream for resumption.
    pub fn add_stream(&self, stream: &Arc<Replay>) {
        let now = Instant::now();
        let mut table = self.lock();
        table.streams.retain(|_, stream| !stream.is_over(now));
        // A client that wants one back that is lost gets 400 and starts anew.
        loop {
            let left = table.streams.iter().filter_map(|(id, stream)| stream.left_behind().map(|since| (since, id, stream.size())));
            let (kept, oldest) = left.fold((0, None), |(kept, oldest): (usize, Option<(Instant, &String)>), (since, id, size)| {
                (kept.saturating_add(size), Some(oldest.map_or((since, id), |oldest| oldest.min((since, id)))))
            });
            let Some((_, oldest)) = oldest.filter(|_| kept > MOST_KEPT) else { break };
            let oldest = oldest.clone();
            table.streams.remove(&oldest);
        }
        if table.streams.len() >= MOST_STREAMS {
            // Of those that nobody reads: the one that ended first, an open one only where none has. What is read has a seat of its
            // user, who has no more of these than `limits.streams_per_user`.
            let unread = table.streams.iter().filter(|(_, stream)| !stream.is_read());
            let first = unread.min_by_key(|(_, stream)| stream.left_behind().map_or((true, now), |since| (false, since)));
            if let Some(id) = first.map(|(id, _)| id.clone()) {
                table.streams.remove(&id);
            }
        }
        table.streams.insert(stream.id().to_owned(), Arc::clone(stream));
    }

    /// The stream of an event id of this session.
    #[must_use]
    pub fn stream(&self, id: &str) -> Option<Arc<Replay>> {
        self.lock().streams.get(id).cloned()
    }

    /// The server stream (`GET`), if it was ever opened.
    #[must_use]
    pub fn server_stream(&self) -> Option<Arc<Replay>> {
        self.lock().server_stream.clone()
    }

    /// Sets the server stream.
    pub fn set_server_stream(&self, stream: Option<Arc<Replay>>) {
        self.lock().server_stream = stream;
    }

    /// What ends the server stream that is about to open.
    #[must_use]
    pub fn listens(&self) -> Arc<Notify> {
        let end = Arc::new(Notify::new());
        let mut table = self.lock();
        if table.ended {
            end.notify_one();
        }
        table.listening = Some(Arc::clone(&end));
        end
    }

    /// Ends the server stream that was open, and waits, but not for long, until it gave its place back.
    pub async fn supersede(&self) {
        let (end, stream) = {
            let mut table = self.lock();
            (table.listening.take(), table.server_stream.take())
        };
        if let Some(end) = end {
            end.notify_one();
        }
        if let Some(stream) = stream {
            tokio::time::timeout(HANDOVER, stream.ended()).await.ok();
        }
    }

    /// The child process that serves this session (ADR 1).
    #[must_use]
    pub fn child(&self) -> Option<Arc<Pipe>> {
        self.lock().child.clone()
    }

    /// Hands a child process to this session.
    pub fn set_child(&self, child: Arc<Pipe>) {
        self.lock().child = Some(child);
    }

    fn end(&self) -> Option<Arc<Pipe>> {
        let mut table = self.lock();
        table.ended = true;
        table.record = None;
        for call in table.calls.values() {
            call.cancel.notify_one();
        }
        if let Some(end) = table.listening.take() {
            end.notify_one();
        }
        for stream in table.streams.values() {
            stream.end();
            stream.part();
        }
        table.questions.clear();
        table.child.take()
    }

    fn is_idle(&self, now: Instant, idle: std::time::Duration) -> bool {
        let table = self.lock();
        let used = table.record.as_ref().map(|(_, read)| *read);
        let busy = !table.calls.is_empty() || table.server_stream.as_ref().is_some_and(|stream| stream.is_read());
        !busy && used.is_none_or(|used| now.saturating_duration_since(used) >= idle)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[tokio::test]
    async fn flt_06_what_a_session_keeps_of_ended_streams_is_bounded_in_bytes() {
        let session = Session::default();
        let large = vec![b'x'; 900_000];
        let mut streams = Vec::new();
        for n in 0..20_u8 {
            let stream = Arc::new(Replay::new([n; 16]));
            stream.push(|_| Bytes::from(large.clone())).await;
            session.add_stream(&stream);
            // Every fourth is open still.
            if n % 4 != 0 {
                stream.end();
            }
            streams.push(stream);
        }
        let kept = |stream: &Arc<Replay>| session.stream(stream.id()).is_some();
        assert!(streams.iter().step_by(4).all(kept), "what is open stays");
        let ended: Vec<bool> = streams.iter().enumerate().filter(|(n, _)| n % 4 != 0).map(|(_, stream)| kept(stream)).collect();
        assert!(ended.iter().filter(|kept| **kept).count() <= 2 && ended.last() == Some(&true), "the last ones: {ended:?}");
    }
}
