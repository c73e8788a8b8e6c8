//! The session of a client that begins with `initialize`: kept by its id, with the server's own stream beside it.
//!
//! Messages leave in the order in which they came, as over stdio; only answers to requests are not waited for.

use super::relay::{Following, Trouble, whole};
use super::{Bridge, Call, Spoken};
use doorward_core::json::RawJson;

use doorward_core::mcp::decode::{self, Message, Shape};
use doorward_core::mcp::error::{INVALID_REQUEST, body};
use http::header::{HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};

/// The session, if there is one, and the queue towards it.
#[derive(Debug)]
pub(super) struct Legacy {
    queue: mpsc::Sender<Item>,
    current: Current,
}

/// A session with the gateway.
#[derive(Debug)]
pub(super) struct Session {
    id: Option<HeaderValue>,
    version: HeaderValue,
    over: Notify,
}

type Current = Arc<Mutex<Option<Arc<Session>>>>;

#[derive(Debug)]
enum Item {
    Request { call: Arc<Call>, json: RawJson, first: First },
    Plain { json: RawJson, first: First },
    Batch { json: RawJson, calls: Vec<Arc<Call>> },
    Sent(oneshot::Sender<()>),
}

/// Whether a message begins something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    /// `initialize` or `notifications/initialized`.
    Yes,
    /// Anything else.
    No,
}

/// Messages that wait to be sent.
const WAITING: usize = 64;
/// For a notification or an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(30);
/// For a session to be ended.
const GOODBYE: Duration = Duration::from_secs(2);
/// Between two attempts to open the server's stream.
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(30);

// === impl Legacy ===

impl Legacy {
    /// No session yet.
    pub(super) fn start(bridge: &Arc<Bridge>) -> Self {
        let (queue, items) = mpsc::channel(WAITING);
        let current = Current::default();
        bridge.tasks.spawn(work(Arc::clone(bridge), items, Arc::clone(&current)));
        Self { queue, current }
    }

    /// A request that came without a version in its `_meta`.
    pub(super) async fn request(&self, bridge: &Bridge, call: Arc<Call>, json: RawJson, message: Message) {
        let first = if message.method() == Some("initialize") { First::Yes } else { First::No };
        if let Err(mpsc::error::SendError(Item::Request { call, .. })) = self.queue.send(Item::Request { call, json, first }).await {
            let answer = bridge.sorry(&call.id, &Trouble::NoSession);
            bridge.end(&call, Some(&answer)).await;
        }
    }

    /// A notification or an answer.
    pub(super) async fn plain(&self, json: RawJson, message: Message) {
        let first = if message.method() == Some("notifications/initialized") { First::Yes } else { First::No };
        drop(self.queue.send(Item::Plain { json, first }).await);
    }

    /// An array of messages, as 2025-03-26 allows; whether this session may is the gateway's to say.
    pub(super) async fn batch(&self, bridge: &Bridge, json: RawJson, elements: &[RawJson]) {
        let mut calls = Vec::new();
        for element in elements {
            let Ok(message) = decode::message(element) else { continue };
            let Shape::Request { id, .. } = message.shape() else { continue };
            match bridge.begin(id, Spoken::Legacy) {
                Ok(call) => calls.push(call),
                Err(what) => {
                    for call in &calls {
                        bridge.end(call, None).await;
                    }
                    return bridge.out.send(&body(None, INVALID_REQUEST, what, None)).await;
                }
            }
        }
        drop(self.queue.send(Item::Batch { json, calls }).await);
    }

    /// Until everything in the queue was sent.
    pub(super) async fn sent(&self) {
        let (tell, told) = oneshot::channel();
        if self.queue.send(Item::Sent(tell)).await.is_ok() {
            drop(told.await);
        }
    }

    /// Ends the session, if there is one.
    pub(super) async fn close(self, bridge: &Bridge) {
        if let Some(session) = replace(&self.current, None) {
            goodbye(bridge, &session).await;
        }
    }
}

// === impl Session ===

impl Session {
    /// What every message of the session carries.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("mcp-protocol-version", self.version.clone());
        if let Some(id) = &self.id {
            headers.insert("mcp-session-id", id.clone());
        }
        headers
    }
}

fn replace(current: &Current, session: Option<Arc<Session>>) -> Option<Arc<Session>> {
    let old = std::mem::replace(&mut *current.lock().unwrap_or_else(PoisonError::into_inner), session);
    if let Some(old) = &old {
        old.over.notify_one();
    }
    old
}

fn present(current: &Current) -> Option<Arc<Session>> {
    current.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The gateway does not know the session: nothing is sent into it any more.
fn lost(current: &Current, session: &Arc<Session>) {
    let mut slot = current.lock().unwrap_or_else(PoisonError::into_inner);
    if slot.as_ref().is_some_and(|present| Arc::ptr_eq(present, session)) {
        *slot = None;
    }
    session.over.notify_one();
}

async fn goodbye(bridge: &Bridge, session: &Session) {
    if session.id.is_some() {
        // A gateway that is gone ends the session by its own clock.
        drop(tokio::time::timeout(GOODBYE, bridge.far.end(session.headers())).await);
    }
}

async fn work(bridge: Arc<Bridge>, mut items: mpsc::Receiver<Item>, current: Current) {
    while let Some(item) = items.recv().await {
        match item {
            Item::Request { call, json, first: First::Yes } => open(&bridge, &call, &json, &current).await,
            Item::Request { call, json, first: First::No } => {
                let (bridge, current) = (Arc::clone(&bridge), Arc::clone(&current));
                bridge.tasks.clone().spawn(async move { within(&bridge, &call, &json, &current).await });
            }
            Item::Plain { json, first } => match present(&current) {
                None => bridge.out.note("a message outside of a session was dropped"),
                Some(session) => {
                    let taken = tell(&bridge, &json, &session, &current).await;
                    if taken == Taken::Yes && first == First::Yes {
                        let (bridge, current) = (Arc::clone(&bridge), Arc::clone(&current));
                        bridge.tasks.clone().spawn(listen(bridge, session, current));
                    }
                }
            },
            Item::Batch { json, calls } => {
                let (bridge, current) = (Arc::clone(&bridge), Arc::clone(&current));
                bridge.tasks.clone().spawn(async move { together(&bridge, &json, calls, &current).await });
            }
            Item::Sent(told) => drop(told.send(())),
        }
    }
}

/// `initialize`: a new session, in place of an earlier one.
async fn open(bridge: &Arc<Bridge>, call: &Call, json: &RawJson, current: &Current) {
    if let Some(old) = replace(current, None) {
        goodbye(bridge, &old).await;
    }
    let begun = async {
        let reply = bridge.far.post(HeaderMap::new(), json.bytes().clone()).await.map_err(Trouble::from)?;
        let id = session_id(&reply);
        let answer = bridge.relay(reply, call, None).await?;
        Ok::<_, Trouble>((id, answer))
    };
    let answer = match begun.await {
        Err(trouble) => bridge.sorry(&call.id, &trouble),
        Ok((id, answer)) => {
            let version = answer.member("result").and_then(|result| result.member("protocolVersion"));
            let version = version.and_then(|version| version.as_text().and_then(|text| HeaderValue::from_str(&text).ok()));
            if let Some(version) = version {
                replace(current, Some(Arc::new(Session { id, version, over: Notify::new() })));
            }
            answer
        }
    };
    bridge.end(call, Some(&answer)).await;
}

/// One request of the session.
async fn within(bridge: &Bridge, call: &Call, json: &RawJson, current: &Current) {
    let answer = match present(current) {
        None => Err(Trouble::NoSession),
        Some(session) => {
            let answer = match bridge.far.post(session.headers(), json.bytes().clone()).await {
                Ok(reply) => bridge.relay(reply, call, Some(&session)).await,
                Err(error) => Err(error.into()),
            };
            if answer == Err(Trouble::SessionLost) {
                lost(current, &session);
            }
            answer
        }
    };
    let cancelled = call.cancelled.load(std::sync::atomic::Ordering::Acquire);
    let answer = match answer {
        Err(_) if cancelled => None,
        other => Some(other.unwrap_or_else(|trouble| bridge.sorry(&call.id, &trouble))),
    };
    bridge.end(call, answer.as_ref()).await;
}

/// An array of messages and whatever comes back for them.
async fn together(bridge: &Bridge, json: &RawJson, calls: Vec<Arc<Call>>, current: &Current) {
    let done = async {
        let session = present(current).ok_or(Trouble::NoSession)?;
        let reply = bridge.far.post(session.headers(), json.bytes().clone()).await?;
        let (head, body) = reply.into_parts();
        if head.status == StatusCode::OK && body.is_event_stream() {
            let mut events = Following::new(body);
            while let Some(message) = events.next().await? {
                bridge.out.send(&message).await;
            }
        } else if let Some(message) = whole(head.status, &head.headers, body, Some(&session)).await? {
            bridge.out.send(&message).await;
        }
        Ok::<_, Trouble>(())
    };
    let trouble = done.await.err();
    for call in &calls {
        let answer = trouble.as_ref().map(|trouble| bridge.sorry(&call.id, trouble));
        bridge.end(call, answer.as_ref()).await;
    }
}

/// Whether a notification or answer arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Yes,
    No,
}

async fn tell(bridge: &Bridge, json: &RawJson, session: &Arc<Session>, current: &Current) -> Taken {
    let sent = tokio::time::timeout(PATIENCE, bridge.far.post(session.headers(), json.bytes().clone())).await;
    let what = match sent {
        Ok(Ok(reply)) if reply.status().is_success() => return Taken::Yes,
        Ok(Ok(reply)) if reply.status() == StatusCode::NOT_FOUND => {
            lost(current, session);
            Trouble::SessionLost.to_string()
        }
        Ok(Ok(reply)) => format!("the gateway did not take a message: status {}", reply.status().as_u16()),
        Ok(Err(error)) => format!("a message was not delivered: {error}"),
        Err(_) => "a message was not delivered: timed out".to_owned(),
    };
    bridge.out.note(&what);
    Taken::No
}

/// The server's own stream, for as long as the session lives.
async fn listen(bridge: Arc<Bridge>, session: Arc<Session>, current: Current) {
    let mut last: Option<String> = None;
    let mut wait = SHORTEST;
    loop {
        let opened = tokio::select! {
            opened = bridge.far.stream(session.headers(), last.as_deref()) => opened,
            () = session.over.notified() => return,
        };
        match opened {
            Ok(reply) if reply.status() == StatusCode::OK && reply.body().is_event_stream() => {
                let mut events = Following::new(reply.into_body());
                loop {
                    tokio::select! {
                        message = events.next() => match message {
                            Ok(Some(message)) => bridge.out.send(&message).await,
                            Ok(None) | Err(_) => break,
                        },
                        () = session.over.notified() => return,
                    }
                }
                last = events.last_id().map(str::to_owned).or(last);
                wait = events.retry();
            }
            Ok(reply) => match reply.status() {
                // A server without a stream of its own.
                StatusCode::METHOD_NOT_ALLOWED => return,
                StatusCode::NOT_FOUND => return lost(&current, &session),
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return bridge.out.note(&Trouble::Key.to_string()),
                // The rest of the stream is gone; a fresh one is better than none.
                StatusCode::BAD_REQUEST if last.is_some() => last = None,
                _ => wait = wait.saturating_mul(2),
            },
            Err(_) => wait = wait.saturating_mul(2),
        }
        tokio::select! {
            () = tokio::time::sleep(wait.clamp(SHORTEST, LONGEST)) => {}
            () = session.over.notified() => return,
        }
    }
}

fn session_id<B>(reply: &Response<B>) -> Option<HeaderValue> {
    let mut id = reply.headers().get("mcp-session-id").cloned()?;
    id.set_sensitive(true);
    Some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_of_a_session_names_it() {
        let session =
            Session { id: Some(HeaderValue::from_static("abc")), version: HeaderValue::from_static("2025-11-25"), over: Notify::new() };
        let headers = session.headers();
        assert_eq!(headers.get("mcp-session-id").and_then(|value| value.to_str().ok()), Some("abc"));
        assert_eq!(headers.get("mcp-protocol-version").and_then(|value| value.to_str().ok()), Some("2025-11-25"));
        let without = Session { id: None, ..session };
        assert!(!without.headers().contains_key("mcp-session-id"));
    }
}
