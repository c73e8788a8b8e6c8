//! Streamable HTTP towards a server: requests built from a lease alone, replies by content type, nothing else passed on.
//!
//! Protocol 5 to 7, C1 to C7. No redirect is followed; no header of a reply but the session id is looked at further.

use super::breaker::Breaker;
use super::exchange::{DEPTH, Events, Exchange, Whose};
use super::fault::{Effect, Fault};
use crate::egress::pool::PoolKey;
use crate::egress::reply::{ReplyBody, ReplyLimits};
use crate::egress::target::Target;
use crate::egress::{Egress, Outbound};
use crate::replies::{Replies, UNCOUNTED};
use bytes::{Bytes, BytesMut};
use doorward_core::config::Limits;
use doorward_core::config::units::Rate;
use doorward_core::credential::{Origin, Outgoing, UpstreamSecret};
use doorward_core::id::CorrelationId;
use doorward_core::mcp::call::RpcId;
use doorward_core::mcp::encode;
use doorward_core::mcp::reply::{self, Incoming, ReplyBody as Answer};
use doorward_core::mcp::version::{Era, Version};
use doorward_core::session::UpstreamSessionId;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use http::response::Parts;
use http::{Method, Response, StatusCode};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// One HTTP server behind the gateway.
#[derive(Debug)]
pub struct HttpServer {
    egress: Egress,
    target: Target,
    origin: Origin,
    headers: Vec<(HeaderName, HeaderValue)>,
    limit: usize,
    pace: Rate,
    patience: Duration,
    replies: Replies,
    breaker: Breaker,
    reasons: Reasons,
}

/// On whose behalf, with which secret and in which session a request goes.
#[derive(Debug, Clone)]
pub struct Line {
    /// Connections are never shared between keys.
    pub pool: PoolKey,
    /// The leased secret.
    pub secret: Option<Arc<UpstreamSecret>>,
    /// The upstream's session (legacy).
    pub session: Option<UpstreamSessionId>,
    /// The request that it goes for, where the record has one.
    pub why: Option<CorrelationId>,
}

impl Line {
    /// For a call, without a session yet.
    #[must_use]
    pub fn of(outgoing: &Outgoing<'_>, pool: PoolKey) -> Self {
        Self { pool, secret: outgoing.secret(), session: None, why: Some(outgoing.id()) }
    }
}

/// Whether a server is told for which request of the record a call comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reasons {
    /// It is not.
    Untold,
    /// Google: its audit logs name the reason of a request (credentials 14).
    Google,
}

/// What a POST gave.
#[derive(Debug)]
pub struct Posted {
    /// What comes back.
    pub exchange: Exchange,
    /// The session that the upstream gave with it (`initialize`).
    pub session: Option<UpstreamSessionId>,
}

/// How to open the rest of a broken stream, or the server stream.
#[derive(Debug, Clone)]
pub struct Resume {
    server: Arc<HttpServer>,
    line: Line,
    version: Version,
}

const REASON: HeaderName = HeaderName::from_static("x-goog-request-reason");
/// Longest silence on a stream at the level of HTTP; calls have a shorter limit of their own.
const IDLE: Duration = Duration::from_secs(24 * 3600);

impl HttpServer {
    /// A server at `target`. The limits bound one message and the pace of a stream, `patience` the wait for the head of a reply.
    #[must_use]
    pub fn new(
        egress: Egress,
        target: Target,
        headers: Vec<(HeaderName, HeaderValue)>,
        limits: &Limits,
        patience: Duration,
        replies: Replies,
    ) -> Self {
        let (origin, limit, pace) = (target.origin(), limits.result_bytes.as_usize(), limits.stream_messages);
        Self { egress, target, origin, headers, limit, pace, patience, replies, breaker: Breaker::default(), reasons: Reasons::Untold }
    }

    /// The same, which is told the reasons of requests.
    #[must_use]
    pub fn telling(self, reasons: Reasons) -> Self {
        Self { reasons, ..self }
    }

    /// The origin to which secrets are pinned.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Sends one message. `id` is that of the request, `None` for a notification or an answer.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn post(
        self: &Arc<Self>,
        line: &Line,
        mcp: &[encode::McpHeader],
        era: Era,
        id: Option<i64>,
        body: Bytes,
    ) -> Result<Posted, Fault> {
        let mut headers = self.head(line, mcp, "application/json, text/event-stream")?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // What is not a stream is there whole within the time limit of the server, however slowly it trickles (FLT-04).
        let end = Instant::now() + self.patience;
        let response = self.send(line, Method::POST, headers, body).await?;
        let (parts, body) = response.into_parts();
        let session = session_id(&parts.headers);
        let kind = Kind::of(&parts.headers);
        let exchange = match (parts.status, kind) {
            (StatusCode::OK, Kind::Json) => match id {
                Some(_) => Exchange::Whole(Some(reply::read(&self.whole(line, body, end).await?, DEPTH)?)),
                None => Exchange::Whole(None),
            },
            (StatusCode::OK, Kind::Events) => {
                let resume = match era {
                    Era::Legacy(version) => Some(Resume { server: Arc::clone(self), line: line.clone(), version }),
                    Era::Modern => None,
                };
                Exchange::Events(Box::new(Events::new(body, self.limit, self.pace, resume, self.whose(line))))
            }
            (StatusCode::OK | StatusCode::ACCEPTED | StatusCode::NO_CONTENT, _) if id.is_none() => Exchange::Whole(None),
            _ => Exchange::Whole(Some(self.failed(&parts, line, id, (body, end)).await?)),
        };
        Ok(Posted { exchange, session })
    }

    /// Opens the server stream of a session, or the rest of a broken stream.
    ///
    /// # Errors
    /// [`Fault::Status`] with 405 where the server has no such stream.
    pub async fn listen(&self, line: &Line, version: Version, last_event_id: Option<&str>) -> Result<ReplyBody, Fault> {
        let mcp = encode::own_headers("", Era::Legacy(version));
        let mut headers = self.head(line, &mcp, "text/event-stream")?;
        if let Some(id) = last_event_id {
            headers.insert("last-event-id", HeaderValue::from_str(id).map_err(|_| Fault::Incomplete)?);
        }
        let response = self.send(line, Method::GET, headers, Bytes::new()).await?;
        match (response.status(), Kind::of(response.headers())) {
            (StatusCode::OK, Kind::Events) => Ok(response.into_body()),
            (StatusCode::NOT_FOUND, _) => Err(Fault::SessionLost),
            (StatusCode::UNAUTHORIZED, _) => Err(Fault::Credential),
            (StatusCode::FORBIDDEN, _) => Err(Fault::Denied),
            (status, _) => Err(Fault::Status(status.as_u16())),
        }
    }

    /// Ends the upstream's session. What comes back does not matter: it is gone for us.
    pub async fn end(&self, line: &Line, version: Version) {
        let mcp = encode::own_headers("", Era::Legacy(version));
        if let Ok(headers) = self.head(line, &mcp, "application/json, text/event-stream") {
            let ended = self.send(line, Method::DELETE, headers, Bytes::new()).await;
            tracing::debug!(ok = ended.is_ok(), "upstream session ended");
        }
    }

    /// The server stream as an exchange.
    #[must_use]
    pub fn stream(self: &Arc<Self>, body: ReplyBody, line: &Line, version: Version) -> Exchange {
        let resume = Resume { server: Arc::clone(self), line: line.clone(), version };
        Exchange::Events(Box::new(Events::new(body, self.limit, self.pace, Some(resume), self.whose(line))))
    }

    fn whose(&self, line: &Line) -> Whose {
        Whose { replies: self.replies.clone(), user: line.pool.user.clone() }
    }

    async fn send(&self, line: &Line, method: Method, headers: HeaderMap, body: Bytes) -> Result<Response<ReplyBody>, Fault> {
        let user = line.pool.user.as_ref();
        let begun = self.breaker.enter(user, Instant::now()).map_err(Fault::Resting)?;
        let limits = ReplyLimits { headers: self.patience, whole: self.limit as u64, stream: u64::MAX, idle: IDLE };
        let came = self.egress.send(&self.target, &line.pool, Outbound { method, headers, body }, &limits).await;
        begun.learn(&came, Instant::now());
        Ok(came?)
    }

    /// What a status other than success means. A JSON-RPC error in the body is an answer; everything else is a fault.
    async fn failed(&self, head: &Parts, line: &Line, id: Option<i64>, (body, end): (ReplyBody, Instant)) -> Result<Incoming, Fault> {
        let (status, headers) = (head.status, &head.headers);
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => return Err(Fault::Credential),
            StatusCode::FORBIDDEN => return Err(Fault::Denied),
            StatusCode::NOT_FOUND if line.session.is_some() => return Err(Fault::SessionLost),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
                let ran = if status == StatusCode::TOO_MANY_REQUESTS { Effect::None } else { Effect::Unknown };
                return Err(Fault::Overloaded { seconds, ran });
            }
            _ => {}
        }
        let Some(id) = id.filter(|_| Kind::of(headers) == Kind::Json && status.is_client_error()) else {
            return Err(Fault::Status(status.as_u16()));
        };
        let bytes = self.whole(line, body, end).await?;
        match reply::read(&bytes, DEPTH) {
            Ok(incoming @ Incoming::Response { body: Answer::Error(_), .. }) => Ok(incoming),
            _ => reply::read_bare_error(&bytes, DEPTH)
                .map(|error| Incoming::Response { id: RpcId::Number(id), body: Answer::Error(error) })
                .ok_or(Fault::Status(status.as_u16())),
        }
    }

    /// All of a reply that is no stream, by its time. What may be large is read once there is room for it, so the server waits.
    async fn whole(&self, line: &Line, mut body: ReplyBody, end: Instant) -> Result<Bytes, Fault> {
        let late = |_| Fault::Silent;
        let full = |_| Fault::NoRoom;
        let user = line.pool.user.as_ref();
        let known = body.length();
        if known.is_some_and(|length| length <= UNCOUNTED as u64) {
            return Ok(tokio::time::timeout_at(end, body.whole()).await.map_err(late)??);
        }
        let size = known.and_then(|length| usize::try_from(length).ok()).unwrap_or(self.limit).min(self.limit);
        let mut counted = None;
        let mut all = BytesMut::new();
        let read = async {
            loop {
                if counted.is_none() && (known.is_some() || all.len() > UNCOUNTED) {
                    counted = Some(tokio::time::timeout_at(end, self.replies.admit(user, size)).await.map_err(full)?);
                    all.reserve(size.saturating_sub(all.len()));
                }
                match body.frame().await.transpose()? {
                    Some(piece) => all.extend_from_slice(&piece),
                    None => return Ok::<(), Fault>(()),
                }
            }
        };
        // Waiting for room has its own end, at the same time.
        tokio::time::timeout_at(end + Duration::from_millis(1), read).await.map_err(late)??;
        let bytes = all.freeze();
        Ok(match counted {
            Some(mut counted) if user.is_some() => {
                counted.shrink(bytes.len());
                counted.around(bytes)
            }
            // Catalogues are nobody's, stay for long, and have bounds of their own.
            _ => bytes,
        })
    }

    /// Every header of a request: configured ones, the leased credential at its own origin, and what `mcp` rebuilt.
    fn head(&self, line: &Line, mcp: &[encode::McpHeader], accept: &'static str) -> Result<HeaderMap, Fault> {
        let mut headers = HeaderMap::with_capacity(8 + self.headers.len());
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
        for (name, value) in mcp {
            let bad = || Fault::Bad(reply::BadReply::Shape);
            // What is borrowed is ours, and not copied.
            let name = match name {
                Cow::Borrowed(name) => HeaderName::from_static(name),
                Cow::Owned(name) => HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?,
            };
            let value = match value {
                Cow::Borrowed(value) => HeaderValue::from_static(value),
                Cow::Owned(value) => HeaderValue::from_str(value).map_err(|_| bad())?,
            };
            headers.insert(name, value);
        }
        if let (Reasons::Google, Some(id)) = (self.reasons, line.why) {
            // An id of ours alone: it says nothing of anybody without the record.
            headers.extend(HeaderValue::from_str(&format!("doorward/{id}")).ok().map(|value| (REASON, value)));
        }
        if let Some(session) = &line.session {
            let mut value = HeaderValue::from_str(session.as_str()).map_err(|_| Fault::SessionLost)?;
            value.set_sensitive(true);
            headers.insert("mcp-session-id", value);
        }
        if let Some(secret) = &line.secret {
            let (name, value) = secret.header_for(&self.origin).ok_or(Fault::Credential)?;
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Fault::Credential)?;
            let mut value = HeaderValue::from_str(value).map_err(|_| Fault::Credential)?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(headers)
    }
}

impl Resume {
    /// Opens the stream behind the last event.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn open(&self, last_event_id: Option<&str>) -> Result<ReplyBody, Fault> {
        self.server.listen(&self.line, self.version, last_event_id).await
    }
}

/// Media type of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Json,
    Events,
    Other,
}

impl Kind {
    fn of(headers: &HeaderMap) -> Self {
        let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim();
        if media.eq_ignore_ascii_case("application/json") {
            Self::Json
        } else if media.eq_ignore_ascii_case("text/event-stream") {
            Self::Events
        } else {
            Self::Other
        }
    }
}

fn session_id(headers: &HeaderMap) -> Option<UpstreamSessionId> {
    let mut values = headers.get_all("mcp-session-id").iter();
    match (values.next(), values.next()) {
        (Some(one), None) => one.to_str().ok().and_then(UpstreamSessionId::new),
        _ => None,
    }
}
