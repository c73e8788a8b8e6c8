//! The corridor: the one way from a request to an answer, on one page. A station cannot be left out, because the next one
//! takes what the one before made, by value. See `ARCHITECTURE.md`.

use crate::Gateway;
use crate::batch::Batch;
use crate::errand::{Cleared, Errand};
use crate::identify::Stopped;
use crate::listen::body::Body;
use crate::listen::guard::Turned;
use crate::listen::http::plain;
use crate::listen::room::Taken;
use crate::listen::route::{McpRoute, Verb};
use crate::listen::{BadBody, Inbound};
use crate::upstream::station::Reply;
use doorward_core::audit::intent::{Answer, Intent};
use doorward_core::blame::{Blame, Known, Refusal, Retry, Station, Wire};
use doorward_core::id::{CorrelationId, ServerName};
use doorward_core::identity::caller::Caller;
use doorward_core::json::RawJson;
use doorward_core::mcp::call::Call;
use doorward_core::mcp::decode::{self, Message};
use doorward_core::mcp::error::{INVALID_REQUEST, wrong};
use doorward_core::mcp::headers::{Accept, McpHeaders};
use doorward_core::mcp::version::Era;
use doorward_core::policy::permit::Permit;
use doorward_core::session::era::{self, Claimed};
use http::header::{HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// What accompanies one request besides its witnesses. Proves nothing.
#[derive(Debug)]
pub struct Walk {
    /// Names the request everywhere.
    pub id: CorrelationId,
    /// Where it came in.
    pub route: McpRoute,
    /// From where.
    pub peer: IpAddr,
    /// When.
    pub arrived: Instant,
    /// What the client takes.
    pub accept: Accept,
    /// The room of its body.
    pub room: Taken,
    /// Whether the client has hung up before its answer.
    pub gone: Gone,
    /// Each epoch after the one under which the caller was proved: whoever waits for an answer hears of it (I8).
    pub epoch: watch::Receiver<u64>,
    /// The era, once it is known.
    pub era: Option<Era>,
}

/// Tells that nobody waits for the answer any more.
#[derive(Debug, Clone)]
pub struct Gone(Arc<Line>);

/// Tells the walk that its client hung up, when it is dropped before the answer.
#[derive(Debug)]
pub(crate) struct HangUp(Arc<Line>);

#[derive(Debug, Default)]
struct Line {
    is_down: AtomicBool,
    told: Notify,
}

impl Gateway {
    /// One request, from the door to the answer.
    pub async fn serve(self: Arc<Self>, mut inbound: Inbound) -> Response<Body> {
        let (hang_up, gone) = HangUp::pair();
        let mut walk = Walk::new(&inbound, gone, self.epoch.subscribe());
        let entered = match self.enter(&mut inbound, &mut walk).await {
            Ok(Entered { asked: Asked::Batch(elements), caller, server, claimed }) => {
                return Box::pin(self.serve_batch(&inbound, Batch { caller, server, claimed, elements }, walk)).await;
            }
            Ok(entered) => entered,
            Err(stopped) => return self.stopped(stopped, &walk).await,
        };
        let response = self.walk(entered, walk).await;
        drop(hang_up);
        response
    }

    /// The answer to a request that did not come in.
    pub(crate) async fn stopped(self: &Arc<Self>, stopped: Stopped, walk: &Walk) -> Response<Body> {
        match stopped {
            Stopped::Refused(refusal) => self.refuse(refusal, walk).await,
            Stopped::Stranger(wait) => {
                let public = "Too many requests without a valid credential.";
                self.put_off((Turned::Rate, StatusCode::TOO_MANY_REQUESTS), public, wait, walk.peer)
            }
            Stopped::Away(wait) => {
                let public = "Doorward cannot look up credentials at the moment.";
                self.put_off((Turned::Away, StatusCode::SERVICE_UNAVAILABLE), public, wait, walk.peer)
            }
        }
    }

    /// Recorded in sum only.
    fn put_off(
        self: &Arc<Self>,
        (what, status): (Turned, StatusCode),
        public: &'static str,
        wait: Duration,
        peer: IpAddr,
    ) -> Response<Body> {
        self.metrics.turned_away(what);
        self.turn_away(what, peer);
        let mut response = plain(status, public);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().saturating_add(1)));
        response
    }

    /// The way of one message that came in.
    pub(crate) async fn walk(self: &Arc<Self>, entered: Entered, mut walk: Walk) -> Response<Body> {
        match self.admit(entered, &mut walk).await {
            // Supervised: goes on to its outcome record when the client hangs up.
            Ok((permit, cleared)) => {
                let errand = Errand::new(walk, cleared);
                let answer = self.tasks.supervise(Arc::clone(self).perform(permit, errand)).await;
                answer.unwrap_or_else(|_| crate::listen::http::plain(http::StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong here."))
            }
            Err(refusal) => self.refuse(refusal, &walk).await,
        }
    }

    /// Who, at which server, with what in hand.
    async fn enter(&self, inbound: &mut Inbound, walk: &mut Walk) -> Result<Entered, Stopped> {
        let caller = self.identify(inbound).await?;
        self.within_rate(&caller, inbound.route.server.as_ref()).await?;
        let server = self.addressed(inbound, &caller)?;
        let asked = self.read(inbound, &caller, walk).await;
        let (claimed, asked) = asked.map_err(|refusal| refusal.informed(&caller.known(), &server))?;
        Ok(Entered { caller, server, claimed, asked })
    }

    /// In which session, asking what, allowed by which rule.
    async fn admit(&self, entered: Entered, walk: &mut Walk) -> Result<(Permit, Cleared), Refusal> {
        let Entered { caller, server, claimed, asked } = entered;
        let bound = self.session(caller, &server, &claimed).await?;
        walk.era = Some(bound.era());
        let call = asked.decode(bound.era()).map_err(|refusal| refusal.informed(&bound.known(), &server))?;
        let opened = self.resolve(&bound, &call).await?;
        let (permit, judged) = self.policy(bound, call, opened, walk).await?;
        let cleared = self.consume(judged, &permit).await?;
        Ok((permit, cleared))
    }

    /// On the record before and after.
    async fn perform(self: Arc<Self>, permit: Permit, mut errand: Errand) -> Response<Body> {
        let planned = self.plan(&permit);
        let intent = match self.audit.intend(permit, &planned, errand.id, self.env.now()).await {
            Ok(intent) => intent,
            Err(unrecorded) => return unrecorded.response(), // 503, nothing has happened
        };
        let carried = self.carry(&intent, &mut errand).await;
        self.answer(intent, carried, errand, planned).await // settles the intent before anything leaves
    }

    /// As whom, there and back. Each message that comes back passes the screen in its relay.
    async fn carry(&self, intent: &Intent, errand: &mut Errand) -> Result<Reply, Refusal> {
        let lease = self.credential(intent)?;
        self.upstream(lease.outgoing(), errand).await
    }

    /// A refusal is recorded exactly like a success.
    pub(crate) async fn refuse(&self, refusal: Refusal, walk: &Walk) -> Response<Body> {
        self.metrics.refused(refusal.station.as_str(), refusal.reason);
        match self.audit.refused(&refusal, walk.id, self.env.now()).await {
            Ok(receipt) => Answer::new(self.refusal(&refusal, walk, walk.era)).release(receipt),
            Err(unrecorded) => unrecorded.response(),
        }
    }

    /// The server of the route. One that the caller may not know of is answered like one that is not there, before
    /// anything of the request is read: no status or error tells the two apart (RS-05).
    fn addressed(&self, inbound: &Inbound, caller: &Caller) -> Result<ServerName, Refusal> {
        let refuse = |reason| Refusal::new(Station::Policy, reason, Blame::Caller, Wire::Http(404), "There is nothing here.");
        let refusal = match &inbound.route.server {
            Some(server) if self.is_visible(server, caller) => return Ok(server.clone()),
            Some(server) if self.upstreams.find(server).is_some() => refuse("server_not_visible"),
            _ => refuse("unknown_server"),
        };
        Err(refusal.knowing(Known { server: inbound.route.server.clone(), ..caller.known() }))
    }

    /// Reads what is asked, strictly and only now that the caller is known (protocol 3.2 S4 to S8, 3.3, 3.5).
    async fn read(&self, inbound: &mut Inbound, caller: &Caller, walk: &mut Walk) -> Result<(Claimed, Asked), Refusal> {
        let headers = McpHeaders::read(&inbound.headers);
        walk.accept = headers.accept;
        let refuse = |reason, status, public: &str| wrong(Station::Decode, reason, status, INVALID_REQUEST, public);
        match inbound.verb {
            Verb::Other => Err(Refusal::new(
                Station::Listen,
                "method_not_allowed",
                Blame::Caller,
                Wire::NotAllowed { allow: "POST, GET, DELETE" },
                "This method is not served here.",
            )),
            Verb::Get | Verb::Delete => {
                let session = era::decide_bodiless(&headers)?;
                if inbound.verb == Verb::Delete {
                    return Ok((Claimed::Session(session), Asked::End));
                }
                if !walk.accept.takes_events() {
                    return Err(refuse("not_acceptable", 406, "GET gives text/event-stream."));
                }
                let last = match headers.last_event_id {
                    doorward_core::mcp::headers::Single::Absent => None,
                    doorward_core::mcp::headers::Single::Once(id) if id.len() <= 256 => Some(id),
                    _ => return Err(refuse("unknown_event", 400, "Last-Event-ID is not known here.")),
                };
                Ok((Claimed::Session(session), Asked::Stream(last)))
            }
            Verb::Post => {
                if !is_json(&inbound.headers) {
                    return Err(refuse("media_type", 415, "Send application/json without content coding."));
                }
                if walk.accept == Accept::Neither {
                    return Err(refuse("not_acceptable", 406, "Answers are application/json or text/event-stream."));
                }
                let read = inbound.read(self.max_body, &self.room, caller.user()).await;
                let (body, taken) = read.map_err(|bad| match bad {
                    BadBody::TooLarge => refuse("body_too_large", 413, "The body is too large."),
                    BadBody::Broken => refuse("body_broken", 400, "The body did not arrive whole."),
                    BadBody::Full => {
                        let public = "Too much is being read at the moment.";
                        Refusal::new(Station::Listen, "no_room", Blame::Us, Wire::Http(503), public).retry(SOON)
                    }
                    BadBody::Share => {
                        let public = "You send too many large bodies at once.";
                        Refusal::new(Station::Listen, "too_much_at_once", Blame::Caller, Wire::Http(429), public).retry(SOON)
                    }
                })?;
                walk.room = taken;
                let body = decode::read(&body, DEPTH)?;
                // Not what takes something back, or answers a question.
                let begins = !matches!(&body, decode::Body::One(message) if !matches!(message.shape(), decode::Shape::Request { .. }));
                if begins && !self.replies.has_room(caller.user()) {
                    return Err(answers_unread());
                }
                match body {
                    decode::Body::One(message) => Ok((era::decide(&headers, &message)?, Asked::Message(message, Box::new(headers)))),
                    decode::Body::Batch(elements) => Ok((era::decide_batch(&headers)?, Asked::Batch(elements))),
                }
            }
        }
    }
}

/// A verified caller at a server, with what was asked.
#[derive(Debug)]
pub(crate) struct Entered {
    pub(crate) caller: Caller,
    pub(crate) server: ServerName,
    pub(crate) claimed: Claimed,
    pub(crate) asked: Asked,
}

/// What was asked, before its era gives it a meaning.
#[derive(Debug)]
pub(crate) enum Asked {
    Message(Box<Message>, Box<McpHeaders>),
    Batch(Vec<RawJson>),
    Stream(Option<String>),
    End,
}

/// When there may be room for a body again.
const SOON: Retry = Retry::After(Duration::from_secs(1));
/// Nesting of a client's JSON (protocol S7).
const DEPTH: usize = 128;

impl Asked {
    fn decode(self, era: Era) -> Result<Call, Refusal> {
        match self {
            Self::Message(message, headers) => decode::decode(era, *message, &headers),
            Self::Batch(_) => Err(wrong(Station::Decode, "batch", 400, INVALID_REQUEST, "Batches are served in 2025-03-26 only.")),
            Self::Stream(last) => Ok(decode::open_stream(era, last)),
            Self::End => Ok(decode::end_session(era)),
        }
    }
}

impl Walk {
    pub(crate) fn new(inbound: &Inbound, gone: Gone, epoch: watch::Receiver<u64>) -> Self {
        Self {
            id: inbound.id,
            route: inbound.route.clone(),
            peer: inbound.peer,
            arrived: Instant::now(),
            accept: Accept::Both,
            room: Taken::default(),
            gone,
            epoch,
            era: None,
        }
    }

    /// Since the request arrived.
    #[must_use]
    pub fn latency(&self) -> Duration {
        self.arrived.elapsed()
    }
}

impl HangUp {
    pub(crate) fn pair() -> (Self, Gone) {
        let line = Arc::<Line>::default();
        (Self(Arc::clone(&line)), Gone(line))
    }
}

impl Drop for HangUp {
    fn drop(&mut self) {
        self.0.is_down.store(true, Ordering::Release);
        self.0.told.notify_waiters();
    }
}

impl Gone {
    /// Resolves when the client hung up before its answer began.
    pub async fn wait(&self) {
        // Made before the look, it hears of what happens after it.
        let told = self.0.told.notified();
        if !self.is_gone() {
            told.await;
        }
    }

    /// True once it has.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.0.is_down.load(Ordering::Acquire)
    }
}

/// What this client was given, and has not taken, fills its user's part of the memory.
pub(crate) fn answers_unread() -> Refusal {
    let public = "You have not read your other answers yet.";
    Refusal::new(Station::Listen, "answers_unread", Blame::Caller, Wire::Http(429), public).retry(SOON)
}

fn is_json(headers: &http::HeaderMap) -> bool {
    let mut types = headers.get_all(http::header::CONTENT_TYPE).iter();
    let (Some(one), None) = (types.next().and_then(|value| value.to_str().ok()), types.next()) else { return false };
    let mut parts = one.split(';').map(str::trim);
    let json = parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/json"));
    let utf8 = parts.all(|parameter| match parameter.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => value.trim_matches('"').eq_ignore_ascii_case("utf-8"),
        _ => true,
    });
    let identity = headers.get_all(http::header::CONTENT_ENCODING).iter().all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    json && utf8 && identity
}
