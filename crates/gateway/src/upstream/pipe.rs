//! Many calls over the one pair of pipes of a child: ids and progress tokens are ours, so that nothing is attributed by
//! guesswork (RPC-07; protocol 16.6; STD-06).

use super::fault::Fault;
use super::pace::Pace;
use super::stdio::framing::one_line;
use crate::replies::{Counted, Replies, UNCOUNTED};
use bytes::Bytes;
use doorward_core::id::UserId;
use doorward_core::json::RawJson;
use doorward_core::json::write::ObjectWriter;
use doorward_core::mcp::call::RpcId;
use doorward_core::mcp::encode;
use doorward_core::mcp::reply::{self, Incoming};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// The pipes of one child process.
#[derive(Debug)]
pub struct Pipe {
    input: Mutex<Option<mpsc::Sender<Bytes>>>,
    ended: watch::Receiver<bool>,
    routes: Mutex<Routes>,
    replies: Replies,
    generation: Arc<AtomicU64>,
    used: Mutex<Instant>,
    /// Users share this child: what names no call belongs to nobody.
    shared: AtomicBool,
    tools: tokio::sync::Mutex<Option<OwnTools>>,
}

/// What one process says of its own tools.
#[derive(Debug)]
pub struct OwnTools {
    /// When it said so.
    pub read: Instant,
    /// Under which generation of its server's lists.
    pub generation: u64,
    /// The definitions; `None` where it did not say.
    pub by_name: Option<HashMap<String, RawJson>>,
}

#[derive(Debug, Default)]
struct Routes {
    calls: HashMap<i64, Route>,
    /// Takes what belongs to no call: the server stream of a legacy session.
    rest: Option<(mpsc::Sender<Said>, UserId)>,
    gone: bool,
}

#[derive(Debug)]
struct Route {
    to: mpsc::Sender<Result<Said, Fault>>,
    asks: Asks,
    /// For whom what is large is counted.
    user: Option<UserId>,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    Caller,
    /// Doorward itself, which answers no question: what names no call is never for it.
    Upkeep,
}

/// One call over the pipes. Dropping it before its answer tells the child that it is cancelled.
#[derive(Debug)]
pub struct PipeCall {
    pipe: Arc<Pipe>,
    id: i64,
    messages: mpsc::Receiver<Result<Said, Fault>>,
    answered: bool,
}

/// A message, and what it takes until somebody has taken it.
#[derive(Debug)]
pub struct Said {
    /// The message.
    pub message: Incoming,
    counted: Option<Counted>,
}

/// Messages of one call that its client has not taken yet. More, and the call fails instead of holding up the others.
const WAITING: usize = 256;
/// A child that takes no line for this long is stuck.
const STUCK: Duration = Duration::from_secs(10);
/// Nesting of a child's JSON.
const DEPTH: usize = 128;

impl Pipe {
    /// Pipes over a child: lines for it go to `input`, which is closed to end it; `ended` tells when it is gone.
    /// `generation` is raised when the child says that a list changed. What it says is counted in `replies`. The caller spawns
    /// [`Pipe::read`] with its lines.
    #[must_use]
    pub fn new(input: mpsc::Sender<Bytes>, ended: watch::Receiver<bool>, generation: Arc<AtomicU64>, replies: Replies) -> Arc<Self> {
        Arc::new(Self {
            input: Mutex::new(Some(input)),
            ended,
            routes: Mutex::default(),
            replies,
            generation,
            used: Mutex::new(Instant::now()),
            shared: AtomicBool::new(false),
            tools: tokio::sync::Mutex::default(),
        })
    }

    /// From here on several users share this child: a guess whose call a message belongs to could be another user's.
    pub fn share(&self) {
        self.shared.store(true, Ordering::Release);
    }

    /// Reads what the child says until it ends.
    pub async fn read(self: Arc<Self>, mut lines: mpsc::Receiver<Bytes>, mut pace: Pace) {
        let mut is_known_to_err = false;
        while let Some(line) = lines.recv().await {
            match reply::read(&line, DEPTH) {
                Ok(message) => {
                    let counted = match line.len() {
                        ..=UNCOUNTED => Ok(None),
                        size => self.room(&message, size).await,
                    };
                    let is_answer = match counted {
                        Ok(counted) => self.route(Said { message, counted }).await,
                        Err(fault) => self.dropped(&message, fault).await,
                    };
                    // Answers are as many as were asked for, and others wait for theirs behind them: they do not count.
                    if !is_answer {
                        pace.read(line.len());
                    }
                }
                // A line that is not MCP is the child's mistake alone: it is dropped, the call it may belong to times out.
                Err(bad) => {
                    pace.read(line.len());
                    if std::mem::replace(&mut is_known_to_err, true) {
                        tracing::debug!(%bad, "a line of a child process was dropped");
                    } else {
                        tracing::warn!(%bad, "a line of a child process was dropped; more of it are told at the level debug");
                    }
                }
            }
            pace.rest().await;
        }
        let mut routes = self.lock();
        routes.gone = true;
        routes.calls.clear();
        routes.rest = None;
    }

    /// Sends a request of this user's and gives what comes back for it.
    ///
    /// # Errors
    /// [`Fault::Child`].
    pub async fn call(self: &Arc<Self>, id: i64, line: Bytes, user: Option<&UserId>) -> Result<PipeCall, Fault> {
        self.asked(id, line, (Asks::Caller, user)).await
    }

    /// Sends a request of Doorward's own, beside those of callers.
    ///
    /// # Errors
    /// [`Fault::Child`].
    pub async fn ask(self: &Arc<Self>, id: i64, line: Bytes) -> Result<PipeCall, Fault> {
        self.asked(id, line, (Asks::Upkeep, None)).await
    }

    async fn asked(self: &Arc<Self>, id: i64, line: Bytes, (asks, user): (Asks, Option<&UserId>)) -> Result<PipeCall, Fault> {
        let (send, messages) = mpsc::channel(WAITING);
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        {
            let mut routes = self.lock();
            if routes.gone {
                return Err(Fault::Child("the process has ended"));
            }
            routes.calls.insert(id, Route { to: send, asks, user: user.cloned() });
        }
        let call = PipeCall { pipe: Arc::clone(self), id, messages, answered: false };
        self.send(line).await?;
        Ok(call)
    }

    /// Sends a notification or an answer.
    ///
    /// # Errors
    /// [`Fault::Child`].
    pub async fn send(&self, line: Bytes) -> Result<(), Fault> {
        let input = self.input.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(input) = input else { return Err(Fault::Child("the process is being ended")) };
        match tokio::time::timeout(STUCK, input.send(one_line(line))).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Fault::Child("the process takes no more input")),
        }
    }

    /// From here on what belongs to no call goes to the receiver, which is this user's.
    #[must_use]
    pub fn take_rest(&self, user: &UserId) -> mpsc::Receiver<Said> {
        let (send, receive) = mpsc::channel(WAITING);
        self.lock().rest = Some((send, user.clone()));
        receive
    }

    /// What this process says of its own tools. Held while it is asked, so that it is asked once.
    pub async fn tools(&self) -> tokio::sync::MutexGuard<'_, Option<OwnTools>> {
        self.tools.lock().await
    }

    /// True once the child has ended.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.lock().gone
    }

    /// True when nothing runs on it and nothing has for `idle`.
    #[must_use]
    pub fn is_idle(&self, idle: Duration) -> bool {
        self.lock().calls.is_empty() && self.used.lock().unwrap_or_else(PoisonError::into_inner).elapsed() >= idle
    }

    /// Begins to end the child and everything that it started; whoever holds it ends it whether or not anybody waits.
    pub fn hang_up(&self) {
        self.input.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Ends the child and everything that it started, and waits until it is gone.
    pub async fn close(&self) {
        self.hang_up();
        let mut ended = self.ended.clone();
        let _gone = ended.wait_for(|ended| *ended).await;
    }

    /// True for the answer of a call that waited for it.
    async fn route(&self, said: Said) -> bool {
        match &said.message {
            Incoming::Response { id: RpcId::Number(id), .. } => {
                if let Some(call) = self.lock().calls.remove(id) {
                    call.to.try_send(Ok(said)).ok();
                    return true;
                }
            }
            // Doorward gives numbers only: anything else answers nothing that was asked.
            Incoming::Response { .. } => {}
            Incoming::Request { id, method, .. } if method == "ping" => {
                let answer = encode::answer(&id.to_raw(), "result", &RawJson::empty_object());
                self.send(answer.bytes().clone()).await.ok();
            }
            Incoming::Request { id, .. } => {
                let id = id.to_raw();
                if !self.unattributed(said) {
                    self.send(not_found(&id)).await.ok();
                }
            }
            Incoming::Notification { method, params } => {
                if method.ends_with("/list_changed") {
                    self.generation.fetch_add(1, Ordering::AcqRel);
                }
                match params.as_ref().and_then(|params| addressee(method, params)) {
                    Some(id) => self.to_call(id, said),
                    None => {
                        self.unattributed(said);
                    }
                }
            }
        }
        false
    }

    /// Room for a large message, counted for whom it is; none for what is Doorward's own, or nobody's and will be dropped. A process of
    /// one user waits for it, and its lines with it. Behind a line of a process that several share nobody waits: an answer takes what is
    /// left of the whole room, anything else its user's part.
    async fn room(&self, message: &Incoming, size: usize) -> Result<Option<Counted>, Fault> {
        let Some(user) = self.user_of(message) else { return Ok(None) };
        if self.shared.load(Ordering::Acquire) {
            let counted = match message {
                Incoming::Response { .. } => self.replies.squeeze(&user, size),
                _ => self.replies.reserve(&user, size),
            };
            return counted.map(Some).ok_or(Fault::NoRoom);
        }
        self.replies.admit_soon(Some(&user), size).await.map(Some).ok_or(Fault::NoRoom)
    }

    /// Who gets a message, as `route` does it.
    fn user_of(&self, message: &Incoming) -> Option<UserId> {
        let routes = self.lock();
        let call = match message {
            Incoming::Response { id: RpcId::Number(id), .. } => return routes.calls.get(id)?.user.clone(),
            Incoming::Response { .. } => return None,
            Incoming::Notification { method, params } => params.as_ref().and_then(|params| addressee(method, params)),
            Incoming::Request { .. } => None,
        };
        if let Some(id) = call {
            return routes.calls.get(&id)?.user.clone();
        }
        let mut callers = routes.calls.values().filter(|call| call.asks == Asks::Caller);
        match (callers.next(), callers.next(), &routes.rest) {
            (Some(only), None, _) => only.user.clone(),
            (_, _, Some((rest, user))) if !rest.is_closed() => Some(user.clone()),
            _ => None,
        }
    }

    /// A message for which there is no room: a call ends with that, a question is refused, anything else is lost. True for an answer, as
    /// of `route`.
    async fn dropped(&self, message: &Incoming, fault: Fault) -> bool {
        tracing::debug!(reason = fault.reason(), "a large line of a child process was dropped");
        match message {
            Incoming::Response { id: RpcId::Number(id), .. } => {
                let call = self.lock().calls.remove(id);
                call.is_some_and(|call| call.to.try_send(Err(fault)).is_ok())
            }
            Incoming::Request { id, .. } => {
                self.send(not_found(&id.to_raw())).await.ok();
                false
            }
            _ => false,
        }
    }

    fn to_call(&self, id: i64, said: Said) {
        let mut routes = self.lock();
        if routes.calls.get(&id).is_some_and(|call| !beside_the_answer(&call.to, said)) {
            routes.calls.remove(&id);
        }
    }

    /// To the only call in flight, else to the server stream; false where neither can take it.
    fn unattributed(&self, said: Said) -> bool {
        if self.shared.load(Ordering::Acquire) {
            return false;
        }
        let routes = self.lock();
        let mut calls = routes.calls.values().filter(|call| call.asks == Asks::Caller);
        match (calls.next(), calls.next(), &routes.rest) {
            (Some(only), None, _) => beside_the_answer(&only.to, said),
            (_, _, Some((rest, _))) => rest.try_send(said).is_ok(),
            _ => false,
        }
    }

    fn forget(&self, id: i64) -> bool {
        self.lock().calls.remove(&id).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Routes> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands a message to a call, but never takes the last place: that is for its answer, whatever comes before it.
fn beside_the_answer(call: &mpsc::Sender<Result<Said, Fault>>, said: Said) -> bool {
    call.capacity() > 1 && call.try_send(Ok(said)).is_ok()
}

impl PipeCall {
    /// The next message of this call; `None` after its answer.
    ///
    /// # Errors
    /// [`Fault::Child`] when the child ended first, [`Fault::Flood`] when it said more than anybody took, [`Fault::NoRoom`] when
    /// there was no room for what it said.
    pub async fn next(&mut self) -> Result<Option<Incoming>, Fault> {
        if self.answered {
            return Ok(None);
        }
        match self.messages.recv().await {
            Some(Ok(Said { message, counted })) => {
                // Whoever takes it counts it for its user.
                drop(counted);
                self.answered = matches!(message, Incoming::Response { .. });
                Ok(Some(message))
            }
            Some(Err(fault)) => {
                // The child has answered.
                self.answered = true;
                Err(fault)
            }
            None if self.pipe.is_gone() => Err(Fault::Child("the process ended before its answer")),
            None => Err(Fault::Flood),
        }
    }
}

impl Drop for PipeCall {
    fn drop(&mut self) {
        if !self.answered && self.pipe.forget(self.id) {
            let mut params = ObjectWriter::with_capacity(48);
            params.integer("requestId", self.id).text("reason", "the client is gone");
            let line = encode::notification("notifications/cancelled", &params.finish());
            let input = self.pipe.input.lock().unwrap_or_else(PoisonError::into_inner).clone();
            // A child that takes nothing learns of its end in another way.
            if let Some(input) = input {
                input.try_send(line.bytes().clone()).ok();
            }
        }
    }
}

/// The call that a notification names: by progress token, by subscription, or as the subscription that the server ends.
fn addressee(method: &str, params: &RawJson) -> Option<i64> {
    match method {
        "notifications/progress" => Some(params.member("progressToken").and_then(|token| token.as_integer()).unwrap_or(-1)),
        "notifications/cancelled" => Some(params.member("requestId").and_then(|id| id.as_integer()).unwrap_or(-1)),
        _ => params.member("_meta")?.member("io.modelcontextprotocol/subscriptionId")?.as_integer(),
    }
}

fn not_found(id: &RawJson) -> Bytes {
    let mut error = ObjectWriter::with_capacity(96);
    error.integer("code", -32601).text("message", "There is no call that this question belongs to.");
    encode::answer(id, "error", &error.finish()).bytes().clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_core::config::units::Rate;

    fn pace() -> Pace {
        Pace::of(Rate::parse("500/s").expect("a rate"))
    }

    #[tokio::test]
    async fn a_question_is_never_for_doorwards_own_request() {
        let (input, mut sent) = mpsc::channel(8);
        let (_alive, ended) = watch::channel(false);
        let pipe = Pipe::new(input, ended, Arc::default(), Replies::of(1 << 20));
        let (said, lines) = mpsc::channel(8);
        let mut caller = pipe.call(1, Bytes::from_static(b"{}"), None).await.expect("sent");
        let mut own = pipe.ask(2, Bytes::from_static(b"{}")).await.expect("sent");
        said.try_send(Bytes::from_static(br#"{"jsonrpc":"2.0","id":"q","method":"roots/list"}"#)).expect("room");
        said.try_send(Bytes::from_static(br#"{"jsonrpc":"2.0","id":2,"result":{}}"#)).expect("room");
        drop(said);
        Arc::clone(&pipe).read(lines, pace()).await;
        assert!(matches!(caller.next().await, Ok(Some(Incoming::Request { .. }))), "the only caller is asked");
        assert!(matches!(own.next().await, Ok(Some(Incoming::Response { .. }))));
        for _ in 0..2 {
            assert_eq!(sent.recv().await.as_deref(), Some(b"{}".as_slice()), "nothing was answered");
        }
    }

    #[tokio::test]
    async fn std_06_an_answer_has_its_place_whatever_comes_before_it() {
        let (input, _kept) = mpsc::channel(8);
        let (_alive, ended) = watch::channel(false);
        let pipe = Pipe::new(input, ended, Arc::default(), Replies::of(1 << 20));
        let mut call = pipe.call(1, Bytes::from_static(b"{}"), None).await.expect("sent");
        let (said, lines) = mpsc::channel(WAITING * 2);
        for _ in 0..=WAITING {
            said.try_send(Bytes::from_static(br#"{"jsonrpc":"2.0","method":"notifications/x","params":{}}"#)).expect("room");
        }
        said.try_send(Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"result":{}}"#)).expect("room");
        drop(said);
        // All of it is said before anybody takes any of it.
        Arc::clone(&pipe).read(lines, pace()).await;
        let mut last = None;
        while let Some(message) = call.next().await.expect("no flood") {
            last = Some(message);
        }
        assert!(matches!(last, Some(Incoming::Response { id: RpcId::Number(1), .. })), "{last:?}");
    }

    #[tokio::test]
    async fn flt_06_a_large_line_waits_while_the_memory_is_full() {
        let replies = Replies::of(1 << 20);
        let ann = UserId::new("local", "ann").expect("user");
        let held = replies.hold(&ann, vec![b'x'; 20 << 20].into());
        let (input, _kept) = mpsc::channel(8);
        let (_alive, ended) = watch::channel(false);
        let pipe = Pipe::new(input, ended, Arc::default(), replies);
        let (mut small, mut large) = (
            pipe.call(1, Bytes::from_static(b"{}"), Some(&ann)).await.expect("sent"),
            pipe.call(2, Bytes::from_static(b"{}"), Some(&ann)).await.expect("sent"),
        );
        let (said, lines) = mpsc::channel(8);
        said.try_send(Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"result":{}}"#)).expect("room");
        let text = "x".repeat(UNCOUNTED);
        said.try_send(format!(r#"{{"jsonrpc":"2.0","id":2,"result":{{"text":"{text}"}}}}"#).into()).expect("room");
        drop(said);
        let reading = Arc::clone(&pipe).read(lines, pace());
        tokio::pin!(reading);
        assert!(tokio::time::timeout(Duration::ZERO, reading.as_mut()).await.is_err(), "the second line waits");
        assert!(matches!(small.next().await, Ok(Some(Incoming::Response { .. }))));
        drop(held);
        reading.await;
        assert!(matches!(large.next().await, Ok(Some(Incoming::Response { .. }))));
    }

    #[tokio::test]
    async fn flt_06_behind_a_large_line_of_a_shared_process_nobody_waits() {
        let (ann, bob) = (UserId::new("local", "ann").expect("user"), UserId::new("local", "bob").expect("user"));
        let replies = Replies::of(1 << 20);
        // She has all of the room, unread.
        let _held = replies.hold(&ann, vec![b'x'; 32 << 20].into());
        let (input, _kept) = mpsc::channel(8);
        let (_alive, ended) = watch::channel(false);
        let pipe = Pipe::new(input, ended, Arc::default(), replies);
        pipe.share();
        let line = |id, size| Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"text":"{}"}}}}"#, "x".repeat(size)));
        let (said, lines) = mpsc::channel(8);
        let mut calls = Vec::new();
        for (id, user, size) in [(1, &ann, UNCOUNTED), (2, &bob, UNCOUNTED), (3, &ann, 1)] {
            calls.push(pipe.call(id, Bytes::from_static(b"{}"), Some(user)).await.expect("sent"));
            said.try_send(line(id, size)).expect("room");
        }
        drop(said);
        Arc::clone(&pipe).read(lines, pace()).await;
        // What is there already is lost where all of it is full, whoever filled it; small ones never.
        assert_eq!(calls[0].next().await.err(), Some(Fault::NoRoom));
        assert_eq!(calls[1].next().await.err(), Some(Fault::NoRoom));
        assert!(matches!(calls[2].next().await, Ok(Some(Incoming::Response { .. }))));
    }

    #[tokio::test(start_paused = true)]
    async fn flt_04_whatever_a_process_says_unasked_is_read_at_its_pace() {
        tokio::time::advance(Duration::from_secs(60)).await;
        for line in [r#"{"jsonrpc":"2.0","id":999,"result":{}}"#, r#"{"jsonrpc":"2.0","method":"notifications/x"}"#, "no JSON", ""] {
            let (input, _kept) = mpsc::channel(8);
            let (_alive, ended) = watch::channel(false);
            let pipe = Pipe::new(input, ended, Arc::default(), Replies::of(1 << 20));
            let (said, lines) = mpsc::channel(2_000);
            for _ in 0..1_500 {
                said.try_send(Bytes::from_static(line.as_bytes())).expect("room");
            }
            drop(said);
            let begun = Instant::now();
            pipe.read(lines, pace()).await;
            assert!(begun.elapsed() >= Duration::from_millis(1_900), "{line}: {:?}", begun.elapsed());
        }
    }
}
