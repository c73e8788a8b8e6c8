//! From a reply of the gateway to messages for the client: whole answers, event streams, broken streams picked up again.

use super::far::LARGEST;
use super::legacy::Session;
use super::{Bridge, Call, DEPTH};
use bytes::Bytes;
use doorward_core::json::RawJson;
use doorward_core::json::write::ObjectWriter;
use doorward_core::mcp::call::RpcId;
use doorward_core::mcp::error::{INTERNAL, INVALID_REQUEST, body};
use doorward_core::mcp::sse::Reader;
use doorward_gateway::egress::error::EgressError;
use doorward_gateway::egress::reply::ReplyBody;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Response, StatusCode};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Why a request has no answer of the gateway.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    /// Nothing came back.
    #[error("The gateway did not answer: {0}.")]
    Far(#[from] EgressError),
    /// A status without a message.
    #[error("The gateway answered {status}: {text}")]
    Status { status: u16, text: String },
    /// The key does not open this server.
    #[error("The gateway does not accept the key of this bridge. Make another one with: doorward apikey create")]
    Key,
    /// The gateway does not know the session any more.
    #[error("The session with the gateway has ended. Start this server again in your application.")]
    SessionLost,
    /// There was no `initialize`, and the message names no version.
    #[error("A session begins with initialize; without one every request carries its protocol version in _meta.")]
    NoSession,
    /// The stream ended before the answer.
    #[error("The connection to the gateway broke before the answer came. The call may have been carried out.")]
    Incomplete,
    /// What came back is no message.
    #[error("The gateway answered with something that is no JSON-RPC message.")]
    Bad,
}

/// How often a broken stream is picked up again without an event in between, and the longest wait before that.
const MOST_TRIES: u32 = 5;
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// Words of an answer that is no message.
const LONGEST_TEXT: usize = 300;

impl Bridge {
    /// Passes on what belongs to a request and gives its answer.
    ///
    /// `session` is where a broken stream is picked up again; without one it cannot be.
    pub(super) async fn relay(&self, reply: Response<ReplyBody>, call: &Call, session: Option<&Session>) -> Result<RawJson, Trouble> {
        let (head, body) = reply.into_parts();
        if head.status == StatusCode::OK && body.is_event_stream() {
            return self.follow(body, call, session).await;
        }
        match whole(head.status, &head.headers, body, session).await? {
            Some(message) if is_answer_to(&message, &call.id) => Ok(message),
            Some(message) => with_id(&message, &call.id).ok_or(Trouble::Bad),
            None => Err(Trouble::Incomplete),
        }
    }

    async fn follow(&self, body: ReplyBody, call: &Call, session: Option<&Session>) -> Result<RawJson, Trouble> {
        let mut events = Following::new(body);
        loop {
            match events.next().await? {
                Some(message) if is_answer_to(&message, &call.id) => return Ok(message),
                Some(message) => self.out.send(&message).await,
                None if call.cancelled.load(Ordering::Acquire) => return Err(Trouble::Incomplete),
                None => events.resume(self, session.ok_or(Trouble::Incomplete)?).await?,
            }
        }
    }

    /// A message that tells the client why its request has no answer.
    pub(super) fn sorry(&self, id: &RpcId, trouble: &Trouble) -> RawJson {
        let code = match trouble {
            Trouble::NoSession | Trouble::SessionLost => INVALID_REQUEST,
            _ => INTERNAL,
        };
        self.out.note(&trouble.to_string());
        let mut data = ObjectWriter::with_capacity(48);
        data.text("reason", trouble.reason());
        body_of(id, code, trouble, &data.finish())
    }
}

fn body_of(id: &RpcId, code: i32, trouble: &Trouble, data: &RawJson) -> RawJson {
    body(Some(&id.to_json()), code, &trouble.to_string(), Some(data))
}

impl Trouble {
    /// Stable id for programs.
    const fn reason(&self) -> &'static str {
        match self {
            Self::Far(_) => "gateway_unreachable",
            Self::Status { .. } => "gateway_status",
            Self::Key => "gateway_key",
            Self::SessionLost => "session_lost",
            Self::NoSession => "no_session",
            Self::Incomplete => "connection_broken",
            Self::Bad => "bad_answer",
        }
    }
}

/// The messages of an event stream, one after the other.
#[derive(Debug)]
pub(super) struct Following {
    body: ReplyBody,
    reader: Reader,
    queue: std::collections::VecDeque<RawJson>,
    last_id: Option<String>,
    retry: Duration,
    tries: u32,
}

// === impl Following ===

impl Following {
    pub(super) fn new(body: ReplyBody) -> Self {
        Self {
            body,
            reader: Reader::new(LARGEST),
            queue: std::collections::VecDeque::new(),
            last_id: None,
            retry: Duration::from_secs(1),
            tries: 0,
        }
    }

    /// The next message; `None` when the stream ends or breaks.
    pub(super) async fn next(&mut self) -> Result<Option<RawJson>, Trouble> {
        loop {
            if let Some(message) = self.queue.pop_front() {
                self.tries = 0;
                return Ok(Some(message));
            }
            let Some(Ok(piece)) = self.body.frame().await else { return Ok(None) };
            let mut events = Vec::new();
            self.reader.push(&piece, &mut events).map_err(|_| Trouble::Bad)?;
            for event in events {
                if let Some(id) = event.id {
                    self.last_id = Some(id).filter(|id| !id.is_empty());
                }
                if let Some(retry) = event.retry {
                    self.retry = Duration::from_millis(retry).min(LONGEST_RETRY);
                }
                if !event.data.is_empty() {
                    self.queue.push_back(RawJson::parse(&Bytes::from(event.data), DEPTH).map_err(|_| Trouble::Bad)?);
                }
            }
        }
    }

    /// The id to go on from.
    pub(super) fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// How long to wait before the stream is asked for again.
    pub(super) const fn retry(&self) -> Duration {
        self.retry
    }

    /// Asks for the rest of the stream, as often as makes sense.
    async fn resume(&mut self, bridge: &Bridge, session: &Session) -> Result<(), Trouble> {
        let last = self.last_id.clone().ok_or(Trouble::Incomplete)?;
        loop {
            if self.tries >= MOST_TRIES {
                return Err(Trouble::Incomplete);
            }
            let wait = self.retry.saturating_mul(1 << self.tries).min(LONGEST_RETRY);
            self.tries += 1;
            tokio::time::sleep(wait).await;
            match bridge.far.stream(session.headers(), Some(&last)).await {
                Ok(reply) if reply.status() == StatusCode::OK && reply.body().is_event_stream() => {
                    self.body = reply.into_body();
                    self.reader.restart();
                    return Ok(());
                }
                Ok(reply) if reply.status() == StatusCode::NOT_FOUND => return Err(Trouble::SessionLost),
                Ok(reply) if reply.status().is_client_error() => return Err(Trouble::Incomplete),
                Ok(_) | Err(_) => {}
            }
        }
    }
}

/// A whole body as a message; `None` where there is nothing to say.
pub(super) async fn whole(
    status: StatusCode,
    headers: &HeaderMap,
    body: ReplyBody,
    session: Option<&Session>,
) -> Result<Option<RawJson>, Trouble> {
    match status {
        StatusCode::UNAUTHORIZED => return Err(Trouble::Key),
        StatusCode::NOT_FOUND if session.is_some() => return Err(Trouble::SessionLost),
        StatusCode::ACCEPTED | StatusCode::NO_CONTENT => return Ok(None),
        _ => {}
    }
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let json = media.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"));
    let bytes = body.whole().await?;
    if json {
        return RawJson::parse(&bytes, DEPTH).map(Some).map_err(|_| Trouble::Bad);
    }
    let text: String = String::from_utf8_lossy(&bytes).trim().chars().take(LONGEST_TEXT).collect();
    Err(Trouble::Status { status: status.as_u16(), text })
}

/// A response, and to this request.
fn is_answer_to(message: &RawJson, id: &RpcId) -> bool {
    if message.member("method").is_some() {
        return false;
    }
    let Some(given) = message.member("id") else { return false };
    match id {
        RpcId::Number(number) => given.as_integer() == Some(*number),
        RpcId::Text(text) => given.as_text().as_deref() == Some(text),
    }
}

/// An error that came without the id that it answers, with it. Anything else is no answer.
fn with_id(message: &RawJson, id: &RpcId) -> Option<RawJson> {
    let bare = message.member("error").is_some_and(|error| error.is_object()) && message.member("id").is_none_or(|id| id.is_null());
    bare.then(|| {
        let edit = |key: &str, _: &RawJson| {
            if key == "id" { doorward_core::json::write::Edit::Drop } else { doorward_core::json::write::Edit::Keep }
        };
        message.edited(edit, &[("id", id.to_raw())])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn json(text: &'static str) -> RawJson {
        RawJson::parse(&Bytes::from_static(text.as_bytes()), 8).expect("valid")
    }

    #[test]
    fn an_answer_belongs_to_its_request() {
        let text = RpcId::Text(Arc::from("7"));
        assert!(is_answer_to(&json(r#"{"id":7,"result":{}}"#), &RpcId::Number(7)));
        assert!(!is_answer_to(&json(r#"{"id":"7","result":{}}"#), &RpcId::Number(7)));
        assert!(is_answer_to(&json(r#"{"id":"7","error":{}}"#), &text));
        assert!(!is_answer_to(&json(r#"{"id":7,"method":"ping"}"#), &RpcId::Number(7)), "a question of the server");
    }

    #[test]
    fn an_error_without_an_id_gets_the_one_of_the_request() {
        let found = with_id(&json(r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"x"}}"#), &RpcId::Number(3)).expect("an error");
        assert!(is_answer_to(&found, &RpcId::Number(3)));
        assert!(with_id(&json(r#"{"id":4,"error":{}}"#), &RpcId::Number(3)).is_none(), "somebody else's");
        assert!(with_id(&json(r#"{"result":{}}"#), &RpcId::Number(3)).is_none());
    }
}
