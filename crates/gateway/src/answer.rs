//! From what came back to what leaves: whole answers, streams, refusals. Nothing leaves without its receipt (I2).
//!
//! Streams live on here with their intent, until their end is on the record. A stream never outlives its credential.

mod response;
mod sink;

use self::response::{answer, bare, challenged, events, json, text};
use self::sink::{Sink, Undelivered};
use crate::Gateway;
use crate::errand::Errand;
use crate::listen::body::Body;
use crate::listen::metrics::OutcomeClass;
use crate::live::guard::Guard;
use crate::live::replay::Replay;
use crate::live::{Session, cancelled};
use crate::path::Walk;
use crate::upstream::exchange::Item;
use crate::upstream::fault::Fault;
use crate::upstream::relay::{Final, Relay, Said};
use crate::upstream::station::{First, Reply, Streaming, Waits};
use doorward_core::audit::intent::{Answer, Intent, Ongoing};
use doorward_core::audit::outcome::{Class, Notice, Outcome};
use doorward_core::blame::{Blame, Over, Presence, Refusal, Retry, Wire};
use doorward_core::credential::Principal;
use doorward_core::flag::Flag;
use doorward_core::id::UserId;
use doorward_core::identity::caller::{Door, Why};
use doorward_core::identity::presented::Scheme;
use doorward_core::json::RawJson;
use doorward_core::json::write::{Edit, ObjectWriter};
use doorward_core::mcp::error;
use doorward_core::mcp::reply::Incoming;
use doorward_core::mcp::sse;
use doorward_core::mcp::version::{Era, Version};
use doorward_core::oauth::dpop::{ALG_NAMES, Binding};
use doorward_core::policy::permit::Permit;
use doorward_core::secret::sha256;
use http::Response;
use http::header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

/// A stream that is passed on, with what its end needs.
struct Passing {
    streaming: Streaming,
    sink: Sink,
    ongoing: Ongoing,
    errand: Errand,
    principal: Principal,
}

/// How a stream ended.
struct Ended {
    class: Class,
    blame: Option<Blame>,
    reason: Option<&'static str>,
    flags: Vec<Flag>,
    cause: Option<String>,
    /// Whether the server has answered, as far as this stream saw, or was told already.
    server: Server,
}

/// What a server knows of a stream that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    /// Enough: it answered, broke off, or heard of the end in another way.
    Done,
    /// Nothing: it may still work on the call.
    Unaware,
}

/// Frames that wait for a slow client of a modern stream.
const WAITING: usize = 16;
/// When a client should come back to a broken stream.
const RETRY: Duration = Duration::from_secs(1);

impl Gateway {
    /// Records the outcome of a call and lets its answer go.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        intent: Intent,
        carried: Result<Reply, Refusal>,
        errand: Errand,
        principal: Principal,
    ) -> Response<Body> {
        let era = intent.permit().call().era();
        let now = self.env.now();
        let (response, outcome) = match carried {
            Ok(Reply::Stream(streaming)) => {
                return Box::pin(self.stream(intent, *streaming, errand, principal)).await;
            }
            Ok(Reply::Rest(reading)) => {
                let mut reading = reading;
                (events(Body::stream(move |cx| reading.poll_next(cx))), Outcome::new(Class::Completed, errand.latency()))
            }
            Ok(Reply::Status(status)) => (bare(status), Outcome::new(Class::Completed, errand.latency())),
            Ok(Reply::Whole(end, session)) => {
                let end = self.narrowed(intent.permit(), &errand, end);
                let mut outcome = Outcome::new(end.class, errand.latency());
                outcome.reason = end.reason;
                outcome.flags.clone_from(&end.flags);
                outcome.reply_digest = Some(sha256(end.body.content().as_bytes()));
                (self.whole(end, session.as_deref(), intent.permit().bound().caller().user(), &errand), outcome)
            }
            Err(refusal) => {
                let refusal = Refusal { known: intent.permit().bound().asked(intent.permit().call()), ..refusal };
                let mut outcome = Outcome::refused(&refusal, None, errand.latency());
                if errand.gone.is_gone() {
                    outcome.class = Class::Cancelled;
                }
                (self.refusal(&refusal, &errand, Some(era)), outcome)
            }
        };
        let outcome = Outcome { principal: Some(principal), ..outcome };
        self.metrics.upstream(metric_class(&outcome), errand.arrived.elapsed());
        self.count_findings(&outcome.flags);
        match self.audit.settle(intent, &outcome, now).await {
            Ok(receipt) => Answer::new(response).release(receipt),
            Err(unrecorded) => unrecorded.response(),
        }
    }

    /// `doorward_screened_total{rule,action}`: once for each call and rule.
    fn count_findings(&self, flags: &[Flag]) {
        for (rule, action) in flags.iter().filter_map(Flag::rule) {
            self.metrics.screened(rule, action.as_str());
        }
    }

    fn whole(&self, end: Final, session: Option<&str>, user: &UserId, walk: &Walk) -> Response<Body> {
        let body = end.body.into_content();
        let mut response = if walk.accept.prefers_events() && end.status == 200 {
            let mut frame = Some(self.replies.hold(user, sse::frame(None, &body)));
            events(Body::stream(move |_| Poll::Ready(frame.take())))
        } else {
            answer(end.status, Body::whole(self.replies.hold(user, body.bytes().clone())), "application/json")
        };
        if let Some(value) = session.and_then(|session| HeaderValue::from_str(session).ok()) {
            response.headers_mut().insert("mcp-session-id", value);
        }
        response
    }

    /// The answer becomes a stream: recorded as opened now and as closed at its end.
    async fn stream(self: &Arc<Self>, intent: Intent, streaming: Streaming, errand: Errand, principal: Principal) -> Response<Body> {
        let era = intent.permit().call().era();
        let session = intent.permit().bound().session().map(|stored| self.live.session(&stored.digest));
        let (client_id, finish) = (streaming.relay.client_id().cloned(), session.clone());
        // What was entered for this stream must not outlive it where the stream never begins.
        let never_begins = move || {
            if let (Some(session), Some(id)) = (&finish, &client_id) {
                session.finish(id);
            }
        };
        let Ok(random) = self.env.bytes() else {
            never_begins();
            let refusal = Refusal {
                known: intent.permit().bound().asked(intent.permit().call()),
                ..Fault::Store.refusal(intent.permit().bound().server().as_str())
            };
            let outcome = Outcome::refused(&refusal, Some(principal), errand.latency());
            let response = self.refusal(&refusal, &errand, Some(era));
            return match self.audit.settle(intent, &outcome, self.env.now()).await {
                Ok(receipt) => Answer::new(response).release(receipt),
                Err(unrecorded) => unrecorded.response(),
            };
        };
        let (sink, body) = match (&session, era) {
            (Some(session), Era::Legacy(version)) => {
                let replay = Arc::new(Replay::new(random));
                if version >= Version::V2025_11_25 {
                    replay.push(|id| sse::priming(id, Some(RETRY))).await;
                }
                session.add_stream(&replay);
                match streaming.relay.client_id() {
                    Some(id) => session.streams(id, &replay),
                    None => session.set_server_stream(Some(Arc::clone(&replay))),
                }
                // Nobody else can have it yet.
                let mut reading = replay.read(0).ok();
                let next = move |cx: &mut Context<'_>| reading.as_mut().map_or(Poll::Ready(None), |reading| reading.poll_next(cx));
                (Sink::Kept(replay), Body::stream(next))
            }
            _ => {
                let (send, mut receive) = mpsc::channel(WAITING);
                let user = intent.permit().bound().caller().user().clone();
                (Sink::Direct(send, self.replies.clone(), user), Body::stream(move |cx| receive.poll_recv(cx)))
            }
        };
        let outcome = Outcome { principal: Some(principal.clone()), ..Outcome::new(Class::Completed, errand.latency()) };
        let opened = self.audit.opened(intent, &outcome, self.env.now()).await;
        match opened {
            Ok((receipt, ongoing)) => {
                let gateway = Arc::clone(self);
                let open = self.metrics.stream();
                // In one box: a future keeps room for each of its arguments twice, and a thousand quiet streams are held for hours.
                let passing = Box::new(Passing { streaming, sink, ongoing, errand, principal });
                self.tasks.spawn(async move {
                    let _open = open;
                    gateway.pump(passing).await;
                });
                Answer::new(events(body)).release(receipt)
            }
            Err(unrecorded) => {
                never_begins();
                unrecorded.response()
            }
        }
    }

    /// Passes the messages of one stream on until it ends, and records the end.
    async fn pump(self: Arc<Self>, mut passing: Box<Passing>) {
        let Passing { streaming, sink, ongoing, errand, .. } = &mut *passing;
        let session = ongoing.intent().permit().bound().session().map(|stored| self.live.session(&stored.digest));
        let ended = self.pass_on(streaming, sink, ongoing, errand).await;
        Box::pin(self.passed(*passing, session, ended)).await;
    }

    async fn passed(&self, passing: Passing, session: Option<Arc<Session>>, ended: Ended) {
        let Passing { mut streaming, sink, ongoing, errand, principal } = passing;
        if let (Some(session), Some(id)) = (&session, streaming.relay.client_id()) {
            session.finish(id);
        }
        if ended.server == Server::Unaware && streaming.waits == Waits::Answer {
            streaming.relay.call_off(&self.tasks);
        }
        // What was found in messages of a stream that ended without an answer.
        let late = streaming.relay.findings();
        drop(streaming); // tells the upstream, where the call was not answered, and gives the place back
        if let Sink::Kept(replay) = &sink {
            replay.end();
        }
        let mut outcome = Outcome { principal: Some(principal), ..Outcome::new(ended.class, errand.latency()) };
        outcome.blame = ended.blame;
        outcome.reason = ended.reason;
        outcome.flags = ended.flags.into_iter().chain(late).collect();
        outcome.private = ended.cause;
        self.metrics.upstream(metric_class(&outcome), errand.arrived.elapsed());
        self.count_findings(&outcome.flags);
        if self.audit.closed(ongoing, &outcome, self.env.now()).await.is_err() {
            tracing::error!("the end of a stream could not be recorded; it will be recorded as unknown");
        }
    }

    /// A message as the client may have it. A question that was refused on the way is on the record (SES-11), and so is
    /// the result of a task that is not of the approved form (RPC-08).
    pub(crate) async fn translated(&self, relay: &mut Relay, incoming: Incoming, walk: &Walk) -> Result<Said, Fault> {
        let said = relay.take(incoming).await;
        if let Some(owner) = relay.refused_question() {
            let (user, client, server) = (Some(&owner.user), Some(&owner.client), Some(&owner.server));
            self.note(&Notice { reason: "undeclared_question", id: Some(walk.id), user, client, server, ..Notice::default() }).await;
        }
        if let Some((owner, flag)) = relay.told() {
            let (user, client, server, cause) = (Some(&owner.user), Some(&owner.client), Some(&owner.server), Some(flag.detail()));
            self.note(&Notice { reason: flag.reason(), id: Some(walk.id), user, client, server, cause, ..Notice::default() }).await;
        }
        said
    }

    /// By its client, or with its session by an administrator.
    fn cancelled_by(&self, ongoing: &Ongoing) -> Ended {
        let session = ongoing.intent().permit().bound().session();
        match session.is_some_and(|stored| self.was_ended(&stored.digest)) {
            true => Ended::over(Over::taken("session_ended")),
            false => Ended::of(Class::Cancelled, Some("cancelled")),
        }
    }

    async fn pass_on(&self, streaming: &mut Streaming, sink: &Sink, ongoing: &Ongoing, errand: &Errand) -> Ended {
        let timeout = self.timeout_of(ongoing);
        let mut guard = Guard::new(errand.epoch.clone(), ongoing.intent().permit().bound().caller().expires());
        match std::mem::replace(&mut streaming.first, First::Nothing) {
            First::Nothing => {}
            First::Said(said) => {
                let say = self.say_guarded(said, sink, (&mut guard, streaming.cancel.as_ref()), ongoing, errand);
                if let Some(ended) = Box::pin(say).await {
                    return ended;
                }
            }
            First::Paused => sink.part(),
        }
        let begun = Instant::now();
        let mut heard = Instant::now();
        loop {
            let item = {
                let next = streaming.exchange.next();
                tokio::pin!(next);
                loop {
                    let silent = heard + if streaming.waits == Waits::Changes { Duration::from_secs(365 * 24 * 3600) } else { timeout };
                    tokio::select! {
                        // What ends the stream goes before a message that is there, too. A busy stream is looked at below.
                        biased;
                        () = sink.closed() => return Ended::of(Class::Cancelled, Some("client_gone")),
                        () = cancelled(streaming.cancel.as_ref()) => return self.cancelled_by(ongoing),
                        () = self.tasks.stopping() => return Ended::shutdown(),
                        item = &mut next => break item,
                        // One timer for both ends.
                        () = tokio::time::sleep_until(silent.min(guard.at())) => {
                            if Instant::now() >= silent {
                                break Err(Fault::Silent);
                            }
                        }
                        () = guard.revoked() => {}
                    }
                    guard.looked();
                    if let Some(over) = Box::pin(self.must_end(ongoing.intent().permit(), errand)).await {
                        return Ended::over(over);
                    }
                    if streaming.waits == Waits::Answer && begun.elapsed() > self.limits.call_timeout {
                        break Err(Fault::TooLong);
                    }
                }
            };
            // A busy stream is looked at as often as a quiet one: nothing passes after a revocation that is known here.
            if guard.is_due(self.env.now()) {
                guard.looked();
                if let Some(over) = Box::pin(self.must_end(ongoing.intent().permit(), errand)).await {
                    return Ended::over(over);
                }
            }
            let too_long = streaming.waits == Waits::Answer && begun.elapsed() > self.limits.call_timeout;
            let said = match if too_long { Err(Fault::TooLong) } else { item } {
                Ok(Some(Item::Message(incoming))) => Box::pin(self.translated(&mut streaming.relay, incoming, errand)).await,
                Ok(Some(Item::Paused(_))) => {
                    // The upstream lets its client poll: so does Doorward, from its own buffer.
                    sink.part();
                    heard = Instant::now();
                    continue;
                }
                Ok(None) if streaming.waits == Waits::Changes => {
                    Box::pin(self.goodbye(&streaming.relay, sink)).await;
                    return Ended::of(Class::Completed, Some("upstream_closed"));
                }
                Ok(None) => Err(Fault::Incomplete),
                Err(fault) => Err(fault),
            };
            match said {
                Ok(said) => {
                    // In boxes, as all that a stream does now and then: at rest it keeps no room for it.
                    let say = self.say_guarded(said, sink, (&mut guard, streaming.cancel.as_ref()), ongoing, errand);
                    if let Some(ended) = Box::pin(say).await {
                        return ended;
                    }
                    // Only now: while a client reads slowly its server is not asked, and not silent.
                    heard = Instant::now();
                }
                Err(fault) => {
                    let refusal = fault.refusal(ongoing.intent().permit().bound().server().as_str());
                    let mut flags = Vec::new();
                    if let Some(end) = streaming.relay.failed(&refusal) {
                        flags.clone_from(&end.flags);
                        let end = Said::Final(end);
                        Box::pin(self.say_guarded(end, sink, (&mut guard, streaming.cancel.as_ref()), ongoing, errand)).await;
                    }
                    let (class, server) = match fault {
                        Fault::Silent | Fault::TooLong => (Class::TimedOut, Server::Unaware),
                        Fault::NoRoom => (Class::NotDelivered, Server::Unaware),
                        _ => (Class::UpstreamError, Server::Done),
                    };
                    let (blame, reason) = (Some(refusal.blame), Some(refusal.reason));
                    return Ended { class, blame, reason, flags, cause: refusal.private, server };
                }
            }
        }
    }

    /// Says it, and looks at the rights meanwhile: a client that reads slowly holds up its messages, but no end (I8).
    async fn say_guarded(
        &self,
        said: Said,
        sink: &Sink,
        (guard, cancel): (&mut Guard, Option<&Arc<Notify>>),
        ongoing: &Ongoing,
        errand: &Errand,
    ) -> Option<Ended> {
        let say = self.say(said, sink, ongoing, errand);
        tokio::pin!(say);
        loop {
            tokio::select! {
                biased;
                ended = &mut say => return ended,
                () = cancelled(cancel) => return Some(Ended::of(Class::Cancelled, Some("cancelled"))),
                () = self.tasks.stopping() => return Some(Ended::shutdown()),
                () = guard.due() => guard.looked(),
            }
            if let Some(over) = Box::pin(self.must_end(ongoing.intent().permit(), errand)).await {
                return Some(Ended::over(over));
            }
        }
    }

    async fn say(&self, said: Said, sink: &Sink, ongoing: &Ongoing, errand: &Errand) -> Option<Ended> {
        match said {
            Said::Nothing => None,
            Said::Event(event) => {
                sink.send(event.content()).await.err().map(|why| Ended::undelivered(Class::Cancelled, why).unknown_to_its_server())
            }
            Said::Final(end) => {
                let end = self.narrowed(ongoing.intent().permit(), errand, end);
                let ended = match sink.send(end.body.content()).await {
                    Ok(()) => Ended::of(end.class, end.reason),
                    Err(why) => Ended::undelivered(Class::NotDelivered, why),
                };
                Some(Ended { flags: end.flags, ..ended })
            }
        }
    }

    /// A subscription whose server went away ends in order: the result, then the end of the stream (protocol 15).
    async fn goodbye(&self, relay: &Relay, sink: &Sink) {
        let Some(id) = relay.client_id().filter(|_| relay.era() == Era::Modern) else { return };
        let mut meta = ObjectWriter::with_capacity(64);
        meta.raw("io.modelcontextprotocol/subscriptionId", &id.to_raw());
        let mut result = ObjectWriter::with_capacity(96);
        result.text("resultType", "complete").raw("_meta", &meta.finish());
        sink.send(&error::result(&id.to_json(), &result.finish())).await.ok();
    }

    /// Why what was permitted may not go on, if so: its credential ended, was revoked, or its owner may not act (I8; SES-06).
    pub(crate) async fn must_end(&self, permit: &Permit, errand: &Errand) -> Option<Over> {
        let bound = permit.bound();
        let now = self.env.now();
        if bound.caller().expires() <= now {
            return Some(Over::taken(Why::Expired.reason()));
        }
        if let Some(over) = self.has_changed(bound.caller(), bound.server(), now).await {
            return Some(over);
        }
        if let Some(over) = self.session_is_over(bound, now).await {
            return Some(over);
        }
        (!self.still_permits(permit, errand).await).then_some(Over::taken("no_longer_permitted"))
    }

    fn timeout_of(&self, ongoing: &Ongoing) -> Duration {
        let server = ongoing.intent().permit().bound().server();
        self.upstreams.find(server).map_or(Duration::from_secs(30), |upstream| upstream.config.timeout)
    }

    /// A refusal in the form that its client understands.
    pub(crate) fn refusal(&self, refusal: &Refusal, walk: &Walk, era: Option<Era>) -> Response<Body> {
        let id = refusal.known.rpc_id.as_deref();
        let mut response = match &refusal.wire {
            Wire::Http(status) => text(*status, &refusal.public),
            Wire::Rpc { status, code, data } => {
                json(*status, &error::body(id, *code, &refusal.public, data.as_ref().map(RawJson::of).as_ref()))
            }
            Wire::ToolResult => self.tool_refusal(200, refusal, walk, era),
            Wire::InputRequired { requests } => {
                let mut result = ObjectWriter::with_capacity(256);
                result.text("resultType", "input_required").raw("inputRequests", &RawJson::of(requests));
                json(200, &error::result(id.unwrap_or("null"), &result.finish()))
            }
            Wire::InsufficientScope { scope } => {
                let mut response = self.tool_refusal(403, refusal, walk, era);
                // The grammar of scopes has neither quotes nor backslashes.
                let challenge =
                    if walk.scheme == Scheme::Dpop { self.proof_challenge(walk) } else { self.challenge(walk, Presence::Absent) };
                let value = format!("{challenge}, error=\"insufficient_scope\", scope=\"{scope}\"");
                if let Ok(value) = HeaderValue::from_str(&value) {
                    response.headers_mut().insert(WWW_AUTHENTICATE, value);
                }
                response
            }
            Wire::Challenge { presented } => {
                let challenge = match (self.speaks_of_proofs(walk), presented) {
                    (false, presented) => self.challenge(walk, *presented),
                    (true, Presence::Absent) => self.proof_challenge(walk),
                    (true, Presence::Presented) => format!("{}, error=\"invalid_token\"", self.proof_challenge(walk)),
                };
                challenged(&refusal.public, &challenge)
            }
            Wire::BadProof { error, description } => {
                let challenge = format!("{}, error=\"{error}\", error_description=\"{description}\"", self.proof_challenge(walk));
                challenged(&refusal.public, &challenge)
            }
            Wire::NotAllowed { allow } => {
                let mut response = text(405, &refusal.public);
                response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
                response
            }
        };
        if let Retry::After(wait) = refusal.retry {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        response
    }

    /// What the model should see of a refusal.
    fn tool_refusal(&self, status: u16, refusal: &Refusal, walk: &Walk, era: Option<Era>) -> Response<Body> {
        let result = error::tool_refusal(&format!("{} (audit {})", refusal.public, walk.id));
        let result = match era {
            Some(Era::Modern) => result.edited(|_, _| Edit::Keep, &[("resultType", RawJson::string("complete"))]),
            _ => result,
        };
        json(status, &error::result(refusal.known.rpc_id.as_deref().unwrap_or("null"), &result))
    }

    /// Whether the challenge is one of the scheme `DPoP`: where nothing else counts, and for whoever used it. Others are told what they were
    /// always told: that proofs are taken stands in the metadata, and a second challenge is more than some clients can read.
    fn speaks_of_proofs(&self, walk: &Walk) -> bool {
        walk.route.door == Door::OAuth
            && match self.proofs.binding() {
                Binding::Off => false,
                Binding::Optional => walk.scheme == Scheme::Dpop,
                Binding::Required => true,
            }
    }

    /// RFC 9449 section 7.1, with where the metadata stands as in the other one.
    fn proof_challenge(&self, walk: &Walk) -> String {
        format!("DPoP {}, algs=\"{ALG_NAMES}\"", self.whereabouts(walk))
    }

    /// RFC 6750 section 3, RFC 9728 section 5.1: OAuth routes name their metadata, `/k` never does.
    fn challenge(&self, walk: &Walk, presented: Presence) -> String {
        let error = if presented == Presence::Presented { ", error=\"invalid_token\"" } else { "" };
        format!("Bearer {}{error}", self.whereabouts(walk))
    }

    fn whereabouts(&self, walk: &Walk) -> String {
        match (walk.route.door, &walk.route.server) {
            (Door::OAuth, Some(server)) => {
                format!("resource_metadata=\"{}/.well-known/oauth-protected-resource/s/{server}/mcp\"", self.root())
            }
            // Servers have metadata; the joined endpoint, which is not there yet, has none.
            _ => "realm=\"doorward\"".to_owned(),
        }
    }
}

// === impl Ended ===

impl Ended {
    const fn of(class: Class, reason: Option<&'static str>) -> Self {
        Self { class, blame: None, reason, flags: Vec::new(), cause: None, server: Server::Done }
    }

    /// What allowed it is not there any more.
    fn over(over: Over) -> Self {
        Self { blame: Some(over.blame), ..Self::of(Class::Refused, Some(over.reason)) }.unknown_to_its_server()
    }

    fn shutdown() -> Self {
        Self { blame: Some(Blame::Us), ..Self::of(Class::NotDelivered, Some("shutdown")) }
    }

    fn undelivered(class: Class, why: Undelivered) -> Self {
        match why {
            Undelivered::Gone => Self::of(class, Some("client_gone")),
            Undelivered::NoRoom => Self { blame: Some(Blame::Us), ..Self::of(Class::NotDelivered, Some(Fault::NoRoom.reason())) },
        }
    }

    /// It ended from here, while its server was at work.
    fn unknown_to_its_server(self) -> Self {
        Self { server: Server::Unaware, ..self }
    }
}

fn metric_class(outcome: &Outcome) -> OutcomeClass {
    match outcome.blame {
        None => OutcomeClass::Served,
        Some(Blame::Caller) => OutcomeClass::Caller,
        Some(Blame::Upstream) => OutcomeClass::Upstream,
        Some(Blame::Us) => OutcomeClass::Us,
    }
}
