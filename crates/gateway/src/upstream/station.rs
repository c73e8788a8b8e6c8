//! The station: one permitted call to its server, and the first of what comes back.
//!
//! Everything is built from the [`Outgoing`] of a lease. Lists come from the catalogue; what Doorward answers by itself
//! never reaches a server.

use super::back::Back;
use super::exchange::{Exchange, Item};
use super::fault::Fault;
use super::http::Line;
use super::own::{OpenedSession, Way};
use super::relay::{Final, Owner, Relay, Said};
use super::watched::Watch;
use super::{PipeKey, Reached, Upstream};
use crate::Gateway;
use crate::egress::pool::PoolKey;
use crate::errand::Errand;
use crate::limits::Seat;
use crate::live::Session;
use doorward_core::audit::outcome::Class;
use doorward_core::blame::Refusal;
use doorward_core::credential::{Outgoing, UpstreamSecret};
use doorward_core::id::{CorrelationId, UserId};
use doorward_core::json::RawJson;
use doorward_core::json::write::ObjectWriter;
use doorward_core::mcp::call::{AnswerBody, Call, Form, Method, RpcId};
use doorward_core::mcp::encode::{self, Wire};
use doorward_core::mcp::error;
use doorward_core::mcp::version::{Era, LEGACY, Version};
use doorward_core::screen;
use doorward_core::secret::sha256;
use doorward_core::session::Stored;
use doorward_store::{Refused, SessionCaps, StoreError, StoredTask, TASK_LIFE};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What came back first.
#[derive(Debug)]
pub enum Reply {
    /// A status without a body: 202 for what needs no answer, 204 for an ended session.
    Status(u16),
    /// The whole answer, and the id of a session that it opens.
    Whole(Final, Option<String>),
    /// The answer becomes a stream.
    Stream(Box<Streaming>),
    /// The rest of a stream that this session had before.
    Rest(crate::live::replay::Reading),
}

/// An exchange whose messages are passed on as they come.
#[derive(Debug)]
pub struct Streaming {
    /// Where they come from; `None` for a server stream that only waits.
    pub exchange: Exchange,
    /// How they are translated.
    pub relay: Relay,
    /// What came already.
    pub first: First,
    /// Told when the client cancels.
    pub cancel: Option<Arc<tokio::sync::Notify>>,
    /// Its place among the open streams of its user.
    pub seat: Seat,
    /// Without limits of silence: a stream that waits for changes.
    pub waits: Waits,
}

/// What came before the stream was opened.
#[derive(Debug)]
pub enum First {
    /// Nothing.
    Nothing,
    /// A message.
    Said(Said),
    /// The upstream closed its stream and wants to be asked again.
    Paused,
}

/// Whether silence on a stream means anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// A call: silence beyond the server's time limit ends it.
    Answer,
    /// A subscription or server stream: silence is normal.
    Changes,
}

/// Longest wait for the first message before a stream is opened (protocol 15).
const FIRST: Duration = Duration::from_secs(5);

impl Gateway {
    /// Sends a permitted call.
    ///
    /// # Errors
    /// A [`Refusal`] of this station.
    pub(crate) async fn upstream(&self, outgoing: Outgoing<'_>, errand: &mut Errand) -> Result<Reply, Refusal> {
        let name = outgoing.bound().server().clone();
        let upstream = self.upstreams.find(&name).cloned().ok_or_else(|| Fault::Child("not configured").refusal(name.as_str()))?;
        let call = outgoing.call();
        // In boxes of their own: a call does not carry the room for what it is not.
        let sent = match call.form() {
            Form::Answer { id, body } => Box::pin(self.pass_answer(&upstream, &outgoing, id, body)).await,
            Form::Notification => Box::pin(self.pass_notification(&upstream, &outgoing)).await,
            Form::OpenStream { last_event_id } => {
                return Box::pin(self.open_stream(&upstream, &outgoing, last_event_id.as_deref(), errand.id)).await;
            }
            Form::EndSession => Box::pin(self.end_session(&upstream, &outgoing)).await,
            Form::Request(_) => match call.method() {
                Method::Initialize => Box::pin(self.initialize_renewing(&upstream, &outgoing)).await,
                Method::Ping => Ok(Self::own_answer(call, &RawJson::empty_object())),
                Method::ToolsList | Method::PromptsList | Method::ResourceTemplatesList => self.listed(&outgoing, errand).await,
                Method::TasksList => self.own_tasks(&outgoing, errand),
                _ => self.forward(&upstream, &outgoing, errand).await,
            },
        };
        match sent {
            // The session is of no use any more: the client learns it in the way of its era and begins anew.
            Err(Fault::SessionLost) => {
                if let Some(session) = outgoing.bound().session()
                    && matches!(self.renewed(&outgoing, session).await, Ok(None))
                {
                    // Lost whether or not the store hears of it: it is known by its server's answer.
                    self.forget(&session.digest, outgoing.bound().caller().user()).await.ok();
                }
                let lost = error::wrong(
                    doorward_core::blame::Station::Upstream,
                    "upstream_session_lost",
                    404,
                    error::INVALID_REQUEST,
                    "Session not found. Initialize again.",
                );
                Err(lost)
            }
            other => other.map_err(|fault| self.fault_at(&fault, outgoing.bound(), call)),
        }
    }

    async fn forward(&self, upstream: &Arc<Upstream>, outgoing: &Outgoing<'_>, errand: &mut Errand) -> Result<Reply, Fault> {
        let call = outgoing.call();
        let session = outgoing.bound().session().map(|stored| self.live.session(&stored.digest));
        let declared = match outgoing.bound().session() {
            Some(stored) => RawJson::parse(&bytes::Bytes::from(stored.capabilities.clone()), 64).ok(),
            None => call.capabilities().cloned(),
        };
        // Taken before anything is sent: a call that ran is never answered with "too many". Without a place for a stream the
        // answer comes whole.
        let user = outgoing.bound().caller().user();
        let seat = if errand.accept.takes_events() { self.streams.take(user) } else { None };
        if seat.is_none() && call.method() == Method::Listen {
            return Err(Fault::TooManyStreams);
        }
        let (mut way, era) = self.way(upstream, outgoing).await?;
        let capabilities = if seat.is_some() || era == Era::Modern {
            encode::reduced(declared.as_ref(), era, upstream.questions())
        } else {
            // Nothing could carry a question to this client: it has not declared any.
            RawJson::empty_object()
        };
        let room = self.desk.room_for_task(user, call, &capabilities).await?;
        let id = upstream.next_id();
        let guard = match (&session, call.form()) {
            (Some(session), Form::Request(client)) => {
                let cancel = session.begin(client, id).map_err(|_| Fault::IdInUse)?;
                Some(Entered { session: Arc::clone(session), id: client.clone(), cancel, kept: false })
            }
            _ => None,
        };
        let wire = Wire {
            era,
            id,
            capabilities: capabilities.clone(),
            cursor: errand.spend().cursor.take(),
            state: errand.spend().state.take(),
            task: errand.opened().task.as_ref().map(|task| task.upstream_id.clone()),
            replaced: std::mem::take(&mut errand.spend().replaced),
        };
        let body = encode::request(call, &wire).bytes().clone();
        let request = Request { headers: encode::mcp_headers(call, &wire, &errand.approved().mirrors), era, id, body };
        match &errand.approved().definition {
            Some(definition) => Box::pin(self.proven(upstream, &way, era, definition)).await?,
            // The policy station leaves one with each call of a tool: without it nothing says what may run.
            None if call.method() == Method::ToolsCall => return Err(Fault::Unproven),
            None => {}
        }
        let topics = &mut errand.spend().tasks;
        let (tasks, resources) = (std::mem::take(&mut topics.tasks), std::mem::take(&mut topics.resources));
        let promises = std::mem::take(&mut topics.promises);
        let (promise, errand) = (errand.approved().promise.clone(), &*errand);
        // From before it is sent: a server may take its time until the head of its reply, and send it with the answer.
        let cancel = guard.as_ref().map(|guard| Arc::clone(&guard.cancel));
        let mut watch = Watch::over(outgoing.permit(), errand, cancel, (back(&way, era), id));
        let mut sent = self.watched(&mut watch, send(&way, &request, outgoing.bound().caller().user())).await;
        if matches!(sent, Err(Fault::SessionLost)) {
            // The call did not run: once, in a session restored with the same capabilities (protocol 6.3).
            way = Box::pin(self.restore(upstream, outgoing, &way)).await?;
            watch.through(back(&way, era));
            sent = self.watched(&mut watch, send(&way, &request, outgoing.bound().caller().user())).await;
        }
        let mut secret = outgoing.secret();
        if matches!(sent, Err(Fault::Credential))
            && let Some(another) = self.anew((outgoing.bound().server(), Some(user)), secret.as_ref()).await.map_err(Fault::NoLease)?
        {
            // Refused before it ran: once more, with a younger credential of the same account.
            way = way.lent(&another);
            secret = Some(another);
            watch.through(back(&way, era));
            sent = self.watched(&mut watch, send(&way, &request, user)).await;
        }
        let exchange = sent?;
        let mut relay = Relay::new(Arc::clone(&self.desk), Owner::of(outgoing.bound()), call, id, capabilities, back(&way, era))
            .of(upstream)
            .with_secret(secret)
            .promising(promise)
            .named(errand.id)
            .with_room(room)
            .about(tasks, resources)
            .telling(promises);
        if let Some(session) = session {
            relay = relay.in_session(session);
        }
        let sent = Sent { exchange, relay, guard, seat };
        let reply = self.first(upstream, sent, watch, outgoing.call()).await;
        if call.method() == Method::SetLevel
            && let (Some(stored), Some(level)) = (outgoing.bound().session(), call.log_level())
        {
            self.store.set_log_level(&stored.digest, outgoing.bound().caller().user(), Some(level.as_str())).await.ok();
        }
        reply
    }

    /// Waits for the first message that the client gets.
    async fn first(&self, upstream: &Upstream, sent: Sent, mut watch: Watch<'_>, call: &Call) -> Result<Reply, Fault> {
        let Sent { mut exchange, mut relay, mut guard, mut seat } = sent;
        let waits = if call.method() == Method::Listen { Waits::Changes } else { Waits::Answer };
        let begun = Instant::now();
        loop {
            let patience = if seat.is_some() { FIRST.saturating_sub(begun.elapsed()) } else { upstream.config.timeout };
            let item = self.watched(&mut watch, async { Ok(tokio::time::timeout(patience, exchange.next()).await) }).await?;
            let said = match item {
                Ok(item) => match item? {
                    Some(Item::Message(incoming)) => self.translated(&mut relay, incoming, watch.errand()).await?,
                    Some(Item::Paused(_)) => match seat.take() {
                        Some(seat) => return Ok(stream(exchange, relay, First::Paused, guard.take(), (waits, seat))),
                        None => continue,
                    },
                    None => return Err(Fault::Incomplete),
                },
                Err(_) => match seat.take() {
                    Some(seat) => return Ok(stream(exchange, relay, First::Nothing, guard.take(), (waits, seat))),
                    None => return Err(Fault::Silent),
                },
            };
            match said {
                Said::Final(end) => return Ok(Reply::Whole(end, None)),
                Said::Event(_) => {
                    if let Some(seat) = seat.take() {
                        return Ok(stream(exchange, relay, First::Said(said), guard.take(), (waits, seat)));
                    }
                }
                Said::Nothing => {}
            }
            if begun.elapsed() > self.limits.call_timeout {
                return Err(Fault::TooLong);
            }
        }
    }

    /// The way to the server for this call, and the era spoken on it.
    pub(super) async fn way(&self, upstream: &Arc<Upstream>, outgoing: &Outgoing<'_>) -> Result<(Way, Era), Fault> {
        let bound = outgoing.bound();
        if let Some(stored) = bound.session() {
            let era = Era::Legacy(stored.upstream_version);
            return match &upstream.reach {
                Reached::Http(server) => {
                    let line = Line { session: stored.upstream_id.clone(), ..Line::of(outgoing, pool_key(outgoing)) };
                    Ok((Way::Http(Arc::clone(server), line), era))
                }
                Reached::Stdio(_) => {
                    // Of every message, not of the launch alone: what was withdrawn answers nobody while it ends (I9).
                    self.approved_launch(upstream).await?.ok_or(Fault::NotApproved)?;
                    let child = self.live.find(&stored.digest).and_then(|session| session.child()).filter(|pipe| !pipe.is_gone());
                    child.map(|pipe| (Way::Pipe(pipe), era)).ok_or(Fault::SessionLost)
                }
            };
        }
        let caller = bound.caller();
        let key = PipeKey { owner: Some((caller.user().clone(), caller.client().clone())) };
        let approved = self.approved_launch(upstream).await?;
        let way = upstream.stateless(&pool_key(outgoing), outgoing.secret(), key, &self.processes, approved).await?;
        upstream.ensure_modern(&way).await?;
        Ok((way.on_record(outgoing.id()), Era::Modern))
    }

    /// Opens a session: `initialize` towards the server, then an id of our own for the client (SES-01).
    pub(super) async fn initialize(
        &self,
        upstream: &Arc<Upstream>,
        outgoing: &Outgoing<'_>,
        secret: Option<Arc<UpstreamSecret>>,
    ) -> Result<Reply, Fault> {
        let (call, bound) = (outgoing.call(), outgoing.bound());
        let Era::Legacy(version) = bound.era() else { return Err(Fault::Internal("initialize without a session to open")) };
        let way = match &upstream.reach {
            Reached::Http(server) => {
                let line = Line::of(outgoing, pool_with(outgoing, secret.as_ref()));
                Way::Http(Arc::clone(server), Line { secret: secret.clone(), ..line })
            }
            Reached::Stdio(stdio) => Way::Pipe(stdio.launch(upstream, &self.processes, self.approved_launch(upstream).await?).await?),
        };
        let means = self.desk.screen_of(bound.server(), secret.as_deref()).ok_or(Fault::Internal("a server without a screen"))?;
        let screened = |id: &str, body, end| Final::screened(id, body, end, &means);
        let capabilities = encode::reduced(call.capabilities(), Era::Legacy(version), upstream.questions());
        // A process that served no session serves nobody: it ends with the attempt.
        let opened = match upstream.open_session(way.clone(), version, &capabilities).await {
            Ok(Ok(opened)) => opened,
            Err(fault) => {
                upstream.close(&way, version).await;
                return Err(fault);
            }
            Ok(Err(rpc)) => {
                upstream.close(&way, version).await;
                let id = call.rpc_id().unwrap_or_default();
                let body = error::body(Some(&id), i32::try_from(rpc.code).unwrap_or(error::INTERNAL), &rpc.message, rpc.data.as_ref());
                return Ok(Reply::Whole(screened(&id, body, (Class::RpcError, Some("upstream_error"))), None));
            }
        };
        let OpenedSession { way, version: spoken, result } = opened;
        let told = if LEGACY.contains(&spoken) { spoken } else { Version::V2025_03_26 };
        let result = result.edited(
            |key, value| match key {
                "protocolVersion" => doorward_core::json::write::Edit::Replace(RawJson::string(told.as_str())),
                "capabilities" => doorward_core::json::write::Edit::Replace(encode::server_capabilities(value)),
                _ => doorward_core::json::write::Edit::Keep,
            },
            &[],
        );
        let rpc_id = call.rpc_id().unwrap_or_default();
        let end = screened(&rpc_id, error::result(&rpc_id, &result), (Class::Completed, None));
        if end.class == Class::Blocked {
            upstream.close(&way, spoken).await;
            return Ok(Reply::Whole(end, None));
        }
        let id = match self.new_session_id() {
            Ok(id) => id,
            Err(fault) => {
                upstream.close(&way, spoken).await;
                return Err(fault);
            }
        };
        let now = self.env.now();
        let caller = bound.caller();
        let stored = Stored {
            digest: sha256(id.as_bytes()),
            user: caller.user().clone(),
            client: caller.client().clone(),
            credential: caller.credential().clone(),
            server: bound.server().clone(),
            version: told,
            capabilities: String::from_utf8_lossy(capabilities.as_bytes()).into_owned(),
            upstream_id: Upstream::session_of(&way),
            upstream_version: spoken,
            log_level: None,
            created: now,
            used: now,
        };
        let caps = SessionCaps { per_user: self.limits.sessions_per_user.get(), of_all: self.limits.sessions.get() };
        if let Err(error) = self.store.open_session(&stored, caps).await {
            upstream.close(&way, spoken).await;
            return Err(match error {
                StoreError::Refused(Refused::TooMany) => Fault::TooManySessions,
                StoreError::Refused(Refused::Full) => Fault::SessionsFull,
                _ => Fault::Store,
            });
        }
        let live = self.live.session(&stored.digest);
        if let Way::Pipe(pipe) = &way {
            live.set_child(Arc::clone(pipe));
        }
        live.keep(Arc::new(stored));
        Ok(Reply::Whole(end, Some(id)))
    }

    fn new_session_id(&self) -> Result<String, Fault> {
        use base64::Engine as _;
        let random = self.env.bytes::<32>().map_err(|_| Fault::Store)?;
        Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random))
    }

    async fn pass_answer(&self, upstream: &Arc<Upstream>, outgoing: &Outgoing<'_>, id: &RpcId, body: &AnswerBody) -> Result<Reply, Fault> {
        let session = outgoing.bound().session().and_then(|stored| self.live.find(&stored.digest));
        // An id that was never given, was given to another session or was answered already: accepted and dropped (SES-03).
        let Some(question) = session.and_then(|session| session.answered(id)) else { return Ok(Reply::Status(202)) };
        let (way, era) = self.way(upstream, outgoing).await?;
        let (member, value) = match body {
            AnswerBody::Result(value) => ("result", value),
            AnswerBody::Error(value) => ("error", value),
        };
        let Era::Legacy(version) = era else { return Ok(Reply::Status(202)) };
        upstream.tell(&way, version, &encode::answer(&question.upstream_id, member, value)).await?;
        Ok(Reply::Status(202))
    }

    async fn pass_notification(&self, upstream: &Arc<Upstream>, outgoing: &Outgoing<'_>) -> Result<Reply, Fault> {
        let call = outgoing.call();
        let Some(stored) = outgoing.bound().session() else { return Ok(Reply::Status(202)) };
        let Some(session) = self.live.find(&stored.digest) else { return Ok(Reply::Status(202)) };
        let params = match call.method() {
            Method::Initialized | Method::RootsChanged => RawJson::empty_object(),
            Method::Cancelled => {
                // Only a call of this very session can be meant (RPC-07).
                let Some(pending) = call.cancels().and_then(|id| session.call(id)) else { return Ok(Reply::Status(202)) };
                pending.cancel.notify_one();
                let mut params = ObjectWriter::with_capacity(64);
                params.integer("requestId", pending.upstream_id);
                if let Some((_, reason)) = call.params().iter().find(|(key, value)| key == "reason" && value.as_text().is_some()) {
                    params.raw("reason", reason);
                }
                params.finish()
            }
            // Progress on a question (sampling): its token is the upstream's own and was never shown, so there is nothing to map.
            _ => return Ok(Reply::Status(202)),
        };
        let (way, era) = self.way(upstream, outgoing).await?;
        if let Era::Legacy(version) = era {
            upstream.tell(&way, version, &encode::notification(call.method().as_str(), &params)).await?;
        }
        Ok(Reply::Status(202))
    }

    async fn open_stream(
        &self,
        upstream: &Arc<Upstream>,
        outgoing: &Outgoing<'_>,
        last: Option<&str>,
        named: CorrelationId,
    ) -> Result<Reply, Refusal> {
        let name = outgoing.bound().server().as_str().to_owned();
        let Some(stored) = outgoing.bound().session() else { return Err(Fault::SessionLost.refusal(&name)) };
        let session = self.live.session(&stored.digest);
        let refuse = |reason, status, public: &str| {
            error::wrong(doorward_core::blame::Station::Session, reason, status, error::INVALID_REQUEST, public)
        };
        if let Some(event) = last {
            // SES-05: an event id of another session is not known here at all.
            let known = crate::live::replay::Replay::split(event).and_then(|(id, after)| session.stream(id).map(|stream| (stream, after)));
            let Some((stream, after)) = known else { return Err(refuse("unknown_event", 400, "Last-Event-ID is not known here.")) };
            return match stream.read(after) {
                Ok(reading) => Ok(Reply::Rest(reading)),
                Err(crate::live::replay::NotReadable::Taken) => Err(refuse("stream_taken", 409, "This stream is being read.")),
                Err(crate::live::replay::NotReadable::Gone) => Err(refuse("unknown_event", 400, "Last-Event-ID is not known here.")),
            };
        }
        if session.server_stream().is_some_and(|stream| stream.is_read()) {
            return Err(refuse("stream_taken", 409, "The server stream of this session is being read."));
        }
        // The stream of before, whose client went away, ends first, and gives its place back.
        session.supersede().await;
        let user = outgoing.bound().caller().user();
        let seat = self.streams.take(user).ok_or_else(|| Fault::TooManyStreams.refusal(&name))?;
        let at = |fault: Fault| self.fault_at(&fault, outgoing.bound(), outgoing.call());
        let (way, era) = self.way(upstream, outgoing).await.map_err(at)?;
        let Era::Legacy(version) = era else { return Err(Fault::SessionLost.refusal(&name)) };
        let exchange = match &way {
            Way::Http(server, line) => match server.listen(line, version, None).await {
                Ok(body) => server.stream(body, line, version),
                Err(Fault::Status(405)) => {
                    let refusal = refuse("no_server_stream", 405, "This server has no stream of its own.");
                    return Err(Refusal { wire: doorward_core::blame::Wire::NotAllowed { allow: "POST, DELETE" }, ..refusal });
                }
                Err(fault) => return Err(at(fault)),
            },
            Way::Pipe(pipe) => Exchange::Rest(pipe.take_rest(user)),
        };
        let capabilities = RawJson::parse(&bytes::Bytes::from(stored.capabilities.clone()), 64).unwrap_or_else(|_| RawJson::empty_object());
        let relay = Relay::new(Arc::clone(&self.desk), Owner::of(outgoing.bound()), outgoing.call(), 0, capabilities, back(&way, era))
            .of(upstream)
            .with_secret(outgoing.secret())
            .named(named)
            .in_session(Arc::clone(&session));
        let cancel = Some(session.listens());
        Ok(Reply::Stream(Box::new(Streaming { exchange, relay, first: First::Nothing, cancel, seat, waits: Waits::Changes })))
    }

    /// The caller's tasks as far as Doorward has seen them, a page at a time (2025-11-25, tasks, "Listing Tasks").
    fn own_tasks(&self, outgoing: &Outgoing<'_>, errand: &Errand) -> Result<Reply, Fault> {
        let after = errand.opened().cursor.as_deref().unwrap_or_default();
        let mut tasks: Vec<(String, &StoredTask)> = errand.opened().own_tasks.iter().map(|task| (position(task), task)).collect();
        tasks.retain(|(position, _)| position.as_str() > after);
        tasks.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        let entries: Vec<RawJson> = tasks.iter().take(TASKS_PAGE).map(|(_, task)| listed_task(task)).collect();
        let mut result = ObjectWriter::with_capacity(64 + entries.len() * 192);
        result.raw("tasks", &RawJson::array(&entries));
        if let Some((last, _)) = tasks.get(TASKS_PAGE - 1).filter(|_| tasks.len() > TASKS_PAGE) {
            result.text("nextCursor", &self.sealed_position(outgoing, last)?);
        }
        Ok(Self::own_answer(outgoing.call(), &result.finish()))
    }

    fn own_answer(call: &Call, result: &RawJson) -> Reply {
        let body = error::result(&call.rpc_id().unwrap_or_default(), result);
        Reply::Whole(whole(body, Class::Completed, None), None)
    }
}

/// Tasks on one page.
const TASKS_PAGE: usize = 100;

/// Where a task stands in the list, by its age: it stays there whatever becomes of the others.
fn position(task: &StoredTask) -> String {
    format!("{:020}.{}", task.created.as_millis(), task.gateway_id)
}

/// As 2025-11-25 shows a task. What was not seen to end is at work, as far as anybody here knows; `tasks/get` asks its server.
fn listed_task(task: &StoredTask) -> RawJson {
    let (status, changed) = task.ended.map_or(("working", task.created), |(at, how)| (how.as_str(), at));
    let ttl = task.expires.unwrap_or_else(|| task.created.after(TASK_LIFE)).since(task.created);
    let mut entry = ObjectWriter::with_capacity(192);
    entry.text("taskId", &task.gateway_id).text("status", status).text("createdAt", &task.created.to_string());
    entry.text("lastUpdatedAt", &changed.to_string()).integer("ttl", i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX));
    entry.finish()
}

/// A request as it is sent, once or, where it certainly did not run, twice.
struct Request {
    headers: Vec<encode::McpHeader>,
    era: Era,
    id: i64,
    body: bytes::Bytes,
}

/// A request that was sent.
struct Sent {
    exchange: Exchange,
    relay: Relay,
    guard: Option<Entered>,
    seat: Option<Seat>,
}

/// A call that stands in the table of its session until it is over.
#[derive(Debug)]
struct Entered {
    session: Arc<Session>,
    id: RpcId,
    cancel: Arc<tokio::sync::Notify>,
    kept: bool,
}

impl Drop for Entered {
    fn drop(&mut self) {
        if !self.kept {
            self.session.finish(&self.id);
        }
    }
}

fn stream(exchange: Exchange, relay: Relay, first: First, guard: Option<Entered>, (waits, seat): (Waits, Seat)) -> Reply {
    let cancel = guard.map(|mut guard| {
        guard.kept = true; // the stream ends it
        Arc::clone(&guard.cancel)
    });
    Reply::Stream(Box::new(Streaming { exchange, relay, first, cancel, seat, waits }))
}

/// A body of Doorward's own making.
const fn whole(body: RawJson, class: Class, reason: Option<&'static str>) -> Final {
    Final { status: 200, body: screen::own(body), class, reason, flags: Vec::new() }
}

async fn send(way: &Way, request: &Request, user: &UserId) -> Result<Exchange, Fault> {
    let Request { headers, era, id, body } = request;
    match way {
        Way::Http(server, line) => server.post(line, headers, *era, Some(*id), body.clone()).await.map(|posted| posted.exchange),
        Way::Pipe(pipe) => pipe.call(*id, body.clone(), Some(user)).await.map(Exchange::Pipe),
    }
}

fn back(way: &Way, era: Era) -> Back {
    match (era, way) {
        (Era::Legacy(version), Way::Http(server, line)) => Back::Http { server: Arc::clone(server), line: line.clone(), version },
        (Era::Legacy(_), Way::Pipe(pipe)) => Back::Pipe(Arc::clone(pipe)),
        (Era::Modern, _) => Back::Nowhere,
    }
}

/// Connections are never shared between users, servers or credentials (house 8, typed keys).
fn pool_key(outgoing: &Outgoing<'_>) -> PoolKey {
    pool_with(outgoing, outgoing.secret().as_ref())
}

/// The same with another credential of the same account.
fn pool_with(outgoing: &Outgoing<'_>, secret: Option<&Arc<UpstreamSecret>>) -> PoolKey {
    let bound = outgoing.bound();
    PoolKey {
        server: bound.server().clone(),
        user: Some(bound.caller().user().clone()),
        credential: Some(bound.caller().credential().clone()),
        version: secret.map_or(0, |secret| secret.version()),
    }
}
