//! From an upstream's message to the client's: every id, token, state, task and cursor becomes Doorward's own (protocol 12).
//!
//! One relay belongs to one call. What it gives passed the screen; what an upstream may not ask or say ends here.

mod notices;
mod questions;
mod screening;
mod tasks;

pub use tasks::{Promised, Room};

use super::Upstream;
use super::back::Back;
use super::fault::Fault;
use crate::env::Env;
use crate::live::Session;
use crate::tasks::Tasks;
use doorward_core::audit::outcome::Class;
use doorward_core::blame::{Blame, Refusal, Wire};
use doorward_core::contract::{Measure, Promise};
use doorward_core::credential::UpstreamSecret;
use doorward_core::flag::{Flag, Half};
use doorward_core::id::{ClientId, CorrelationId, CredentialId, ServerName, ToolName, UserId};
use doorward_core::json::RawJson;
use doorward_core::json::write::{Edit, ObjectWriter};
use doorward_core::mcp::call::{Call, Form, LogLevel, Method, RpcId};
use doorward_core::mcp::encode;
use doorward_core::mcp::error::{self, INTERNAL, MISSING_CAPABILITY};
use doorward_core::mcp::reply::{Incoming, ReplyBody, ResultType, RpcError};
use doorward_core::mcp::version::Era;
use doorward_core::screen::{self, Means, Screen, Screened, Shape};
use doorward_core::session::Bound;
use doorward_core::session::sealed::{Binding, Fresh, Purpose, SealingKeys};
use doorward_store::Store;
use notices::Heard;
use questions::Unasked;
use screening::{Part, Screening, flags};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// What the relays of a gateway share.
#[derive(Debug)]
pub struct Desk {
    /// Clock and randomness.
    pub env: Env,
    /// Tasks.
    pub store: Store,
    /// States and cursors.
    pub sealing: SealingKeys,
    /// Largest message for a client, in bytes.
    pub result_bytes: usize,
    /// Room for tasks that calls in flight may become.
    pub promised: Arc<Promised>,
    /// The rules of the screen, as each server is configured.
    pub screens: BTreeMap<ServerName, Screen>,
}

/// Whose call it is, owned.
#[derive(Debug, Clone)]
pub struct Owner {
    /// The user.
    pub user: UserId,
    /// The client.
    pub client: ClientId,
    /// The credential.
    pub credential: CredentialId,
    /// The server.
    pub server: ServerName,
}

/// One call and how its messages are translated.
#[derive(Debug)]
pub struct Relay {
    desk: Arc<Desk>,
    owner: Owner,
    era: Era,
    method: Method,
    digest: [u8; 32],
    /// The tool that was called.
    tool: Option<ToolName>,
    client_id: Option<RpcId>,
    upstream_id: i64,
    progress: Option<RpcId>,
    level: Option<LogLevel>,
    capabilities: RawJson,
    session: Option<Arc<Session>>,
    secret: Option<Arc<UpstreamSecret>>,
    back: Back,
    /// Upstream task ids that the client may hear of under its own (subscriptions).
    tasks: HashMap<String, String>,
    /// What the results of these tasks are held against (subscriptions), by upstream task id.
    promises: HashMap<String, Promise>,
    /// Resources that the client may hear of (subscriptions).
    resources: Vec<String>,
    generation: Arc<AtomicU64>,
    heard: Heard,
    unasked: Unasked,
    promise: Option<Promise>,
    /// The first result told of a task that is not of the approved form, until it is on the record.
    told: Told,
    /// Room for the task that the call may become.
    room: Option<Room>,
    /// Names the request of the client in what it is told.
    named: Option<CorrelationId>,
    screening: Screening,
}

/// Whether the result that a subscription tells of a task did not keep to what was approved.
#[derive(Debug)]
enum Told {
    Nothing,
    Now(Flag),
    Recorded,
}

/// What becomes of a message.
#[derive(Debug)]
pub enum Said {
    /// Nothing for the client.
    Nothing,
    /// A message on its stream.
    Event(Screened),
    /// The answer.
    Final(Final),
}

/// The answer of a call: a whole JSON-RPC response.
#[derive(Debug)]
pub struct Final {
    /// HTTP status when it is sent alone.
    pub status: u16,
    /// The response.
    pub body: Screened,
    /// For the record.
    pub class: Class,
    /// For the record, when it was not a success.
    pub reason: Option<&'static str>,
    /// For the record: what was seen in it.
    pub flags: Vec<Flag>,
}

/// Life of a sealed state and of a sealed cursor (protocol 12).
const STATE_LIFE: Duration = Duration::from_secs(600);
const CURSOR_LIFE: Duration = Duration::from_secs(3600);
const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

impl Final {
    /// An answer with words of an upstream in it, outside any relay: screened like all others, or an error in its place.
    #[must_use]
    pub fn screened(id: &str, body: RawJson, end: (Class, Option<&'static str>), means: &Means<'_>) -> Self {
        match screen::apply(means, Shape::Free, None, body) {
            Ok(body) => Self { status: 200, flags: flags(body.seen()), body, class: end.0, reason: end.1 },
            Err(blocked) => {
                let body = error::body(Some(id), INTERNAL, &format!("Result blocked: {blocked}."), None);
                let (class, reason) = (Class::Blocked, Some(blocked.reason()));
                Self { status: 200, body: screen::own(body), class, reason, flags: flags(blocked.seen()) }
            }
        }
    }
}

impl Owner {
    /// The owner of what a bound call makes.
    #[must_use]
    pub fn of(bound: &Bound) -> Self {
        let caller = bound.caller();
        Self {
            user: caller.user().clone(),
            client: caller.client().clone(),
            credential: caller.credential().clone(),
            server: bound.server().clone(),
        }
    }

    /// Binds a sealed blob to this owner and a request.
    #[must_use]
    pub const fn binding<'a>(&'a self, method: &'a str, digest: &'a [u8; 32]) -> Binding<'a> {
        Binding { user: &self.user, client: &self.client, server: &self.server, method, digest }
    }
}

impl Relay {
    /// A relay for `call` of `owner`, which went to the upstream as request `upstream_id` with these capabilities.
    #[must_use]
    pub fn new(desk: Arc<Desk>, owner: Owner, call: &Call, upstream_id: i64, capabilities: RawJson, back: Back) -> Self {
        let client_id = match call.form() {
            Form::Request(id) => Some(id.clone()),
            _ => None,
        };
        Self {
            desk,
            owner,
            era: call.era(),
            method: call.method(),
            digest: *call.digest(),
            tool: call.target().filter(|_| call.method() == Method::ToolsCall).and_then(|name| ToolName::new(name).ok()),
            client_id,
            upstream_id,
            progress: call.progress_token().cloned(),
            level: call.log_level(),
            capabilities,
            session: None,
            secret: None,
            back,
            tasks: HashMap::new(),
            promises: HashMap::new(),
            resources: Vec::new(),
            generation: Arc::default(),
            heard: Heard::new(),
            unasked: Unasked::No,
            promise: None,
            told: Told::Nothing,
            room: None,
            named: None,
            screening: Screening::default(),
        }
    }

    /// Comes from this server, whose lists are read again when it says that they changed.
    #[must_use]
    pub fn of(mut self, upstream: &Upstream) -> Self {
        self.generation = Arc::clone(&upstream.generation);
        self
    }

    /// Belongs to this legacy session.
    #[must_use]
    pub fn in_session(mut self, session: Arc<Session>) -> Self {
        self.session = Some(session);
        self
    }

    /// Was made with this secret, which must not come back.
    #[must_use]
    pub fn with_secret(mut self, secret: Option<Arc<UpstreamSecret>>) -> Self {
        self.secret = secret;
        self
    }

    /// Its result must keep to this.
    #[must_use]
    pub fn promising(mut self, promise: Option<Promise>) -> Self {
        self.promise = promise;
        self
    }

    /// The client may name this request to an administrator.
    #[must_use]
    pub fn named(mut self, id: CorrelationId) -> Self {
        self.named = Some(id);
        self
    }

    /// May become a task, for which there is room.
    #[must_use]
    pub fn with_room(mut self, room: Option<Room>) -> Self {
        self.room = room;
        self
    }

    /// The client may hear of these tasks and resources.
    #[must_use]
    pub fn about(mut self, tasks: HashMap<String, String>, resources: Vec<String>) -> Self {
        (self.tasks, self.resources) = (tasks, resources);
        self
    }

    /// The results of its tasks must keep to these, by upstream task id.
    #[must_use]
    pub fn telling(mut self, promises: HashMap<String, Promise>) -> Self {
        self.promises = promises;
        self
    }

    /// What a subscription told of a task and should not have, the first time: one record for a subscription.
    pub fn told(&mut self) -> Option<(&Owner, Flag)> {
        match std::mem::replace(&mut self.told, Told::Recorded) {
            Told::Now(flag) => Some((&self.owner, flag)),
            other => {
                self.told = other;
                None
            }
        }
    }

    /// The era of the client.
    #[must_use]
    pub const fn era(&self) -> Era {
        self.era
    }

    /// The client's id of the call.
    #[must_use]
    pub const fn client_id(&self) -> Option<&RpcId> {
        self.client_id.as_ref()
    }

    /// Tells the server that nobody waits for the answer any more.
    pub fn call_off(&self, tasks: &Tasks) {
        self.back.call_off(self.upstream_id, tasks);
    }

    /// Translates the next message.
    ///
    /// # Errors
    /// [`Fault`]: the exchange is over and the call has failed.
    pub async fn take(&mut self, incoming: Incoming) -> Result<Said, Fault> {
        match incoming {
            Incoming::Response { id: RpcId::Number(id), body } if id == self.upstream_id && self.client_id.is_some() => {
                self.answer(body).await.map(Said::Final)
            }
            // RPC-07: an answer to nothing that this call asked.
            Incoming::Response { .. } => Ok(Said::Nothing),
            Incoming::Request { id, method, params } => self.question(&id, method, params).await,
            Incoming::Notification { method, params } => {
                self.heard_of_end(&method, params.as_ref()).await;
                Ok(self.notification(&method, params))
            }
        }
    }

    /// The answer of a call that failed: what the client gets in place of one.
    #[must_use]
    pub fn failed(&mut self, refusal: &Refusal) -> Option<Final> {
        let id = self.client_id.as_ref()?.to_json();
        let (status, code, data) = match &refusal.wire {
            Wire::Rpc { status, code, data } => (*status, *code, data.as_ref().map(RawJson::of)),
            _ => (200, INTERNAL, None),
        };
        let body = error::body(Some(&id), code, &refusal.public, data.as_ref());
        let class = if refusal.blame == Blame::Upstream { Class::UpstreamError } else { Class::Refused };
        Some(Final { status, body: screen::own(body), class, reason: Some(refusal.reason), flags: self.findings() })
    }

    async fn answer(&mut self, body: ReplyBody) -> Result<Final, Fault> {
        let id = self.client_id.as_ref().map(RpcId::to_json).unwrap_or_default();
        let flag = match &body {
            ReplyBody::Result(result) => {
                self.seen_end(result).await;
                self.promised(result)?
            }
            ReplyBody::Error(_) => None,
        };
        let (status, body, class, reason) = match body {
            ReplyBody::Error(rpc) => {
                let (status, body) = self.error(&id, &rpc);
                (status, body, Class::RpcError, Some("upstream_error"))
            }
            ReplyBody::Result(result) => match self.result(result).await? {
                Ok(result) => {
                    let is_error =
                        self.method == Method::ToolsCall && result.member("isError").is_some_and(|flag| flag.as_bytes() == b"true");
                    let (class, reason) = if is_error { (Class::ToolError, Some("tool_error")) } else { (Class::Completed, None) };
                    (200, error::result(&id, &result), class, reason)
                }
                Err(refusal) => return self.failed(&refusal).ok_or(Fault::Incomplete),
            },
        };
        let screened = self.screened(body, Part::Last);
        let mut flags = self.findings();
        flags.extend(flag);
        match screened {
            Ok(body) => Ok(Final { status, body, class, reason, flags }),
            Err(blocked) => Ok(Final { flags, ..self.blocked(&id, &blocked) }),
        }
    }

    /// Holds a result, as its server gave it, against what was approved (RPC-08).
    fn promised(&self, result: &RawJson) -> Result<Option<Flag>, Fault> {
        let Some(Promise { contract, measure }) = &self.promise else { return Ok(None) };
        match Flag::of(Half::Result, &contract.result(self.method, self.era, result)) {
            Some(flag) if *measure == Measure::Refuse => Err(Fault::Broken(flag)),
            flag => Ok(flag.filter(|_| *measure != Measure::Off)),
        }
    }

    /// Protocol 6.3 within one era.
    fn error(&self, id: &str, rpc: &RpcError) -> (u16, RawJson) {
        let own = |reason: &str| {
            let mut data = ObjectWriter::with_capacity(64);
            data.text("reason", reason).text("effect", "none");
            error::body(Some(id), INTERNAL, "The server and Doorward disagree about the protocol.", Some(&data.finish()))
        };
        let code = i32::try_from(rpc.code).unwrap_or(INTERNAL);
        let passed = || error::body(Some(id), code, &rpc.message, rpc.data.as_ref());
        match (self.era, code) {
            // Doorward's own mistakes towards the upstream, never the client's.
            (_, error::HEADER_MISMATCH | error::UNSUPPORTED_VERSION | error::PARSE | error::INVALID_REQUEST) => {
                (200, own("upstream_protocol"))
            }
            (Era::Legacy(_), MISSING_CAPABILITY) => (200, own("upstream_protocol")),
            (Era::Modern, error::METHOD_NOT_FOUND) => (404, passed()),
            (Era::Modern, MISSING_CAPABILITY) => (400, passed()),
            (Era::Modern, error::RESOURCE_NOT_FOUND) => {
                (200, error::body(Some(id), error::INVALID_PARAMS, &rpc.message, rpc.data.as_ref()))
            }
            _ => (200, passed()),
        }
    }

    async fn result(&mut self, result: RawJson) -> Result<Result<RawJson, Refusal>, Fault> {
        match self.era {
            Era::Modern => self.modern_result(result).await,
            Era::Legacy(_) => self.legacy_result(result).await.map(Ok),
        }
    }

    async fn modern_result(&mut self, result: RawJson) -> Result<Result<RawJson, Refusal>, Fault> {
        match ResultType::of(&result)? {
            ResultType::Complete => {}
            ResultType::InputRequired if matches!(self.method, Method::ToolsCall | Method::PromptsGet | Method::ResourcesRead) => {
                return self.input_required(&result);
            }
            ResultType::Task if self.method == Method::ToolsCall && tasks::declares_tasks(&self.capabilities) => {
                let Some(upstream) = text(&result, "taskId") else { return Err(Fault::Incomplete) };
                let gateway = Box::pin(self.mint_task(upstream, &result)).await?;
                return Ok(Ok(
                    result.edited(|key, _| if key == "taskId" { Edit::Replace(RawJson::string(&gateway)) } else { Edit::Keep }, &[])
                ));
            }
            _ => return Err(Fault::Bad(doorward_core::mcp::reply::BadReply::ResultType)),
        }
        let cacheable = matches!(self.method, Method::Discover | Method::ResourcesList | Method::ResourcesRead);
        let task = self.own_task();
        let seal = self.sealed_cursor(&result)?;
        let edited = result.edited(
            |key, value| match key {
                "resultType" => Edit::Drop,
                "cacheScope" if cacheable => Edit::Drop,
                "ttlMs" if cacheable => Edit::Replace(RawJson::integer(value.as_integer().unwrap_or(0).clamp(0, 60_000))),
                "supportedVersions" if self.method == Method::Discover => Edit::Replace(RawJson::array([&RawJson::string("2026-07-28")])),
                "capabilities" if self.method == Method::Discover => Edit::Replace(encode::server_capabilities(value)),
                "taskId" => task.clone().map_or(Edit::Keep, Edit::Replace),
                "nextCursor" if self.method.is_list() => seal.clone().map_or(Edit::Drop, Edit::Replace),
                "_meta" => Edit::Replace(self.meta(value)),
                _ => Edit::Keep,
            },
            &[],
        );
        let mut added = vec![("resultType", RawJson::string("complete"))];
        if cacheable {
            added.push(("cacheScope", RawJson::string("private")));
            if edited.member("ttlMs").is_none() {
                added.push(("ttlMs", RawJson::integer(0)));
            }
        }
        if self.method == Method::TasksGet
            && let Some(requests) = edited.member("inputRequests")
            && let Err(refusal) = self.declared(&requests)
        {
            return Ok(Err(refusal));
        }
        Ok(Ok(edited.edited(|_, _| Edit::Keep, &added)))
    }

    async fn legacy_result(&mut self, result: RawJson) -> Result<RawJson, Fault> {
        let mut result = result;
        if self.method == Method::ToolsCall
            && let Some(task) = result.member("task").filter(RawJson::is_object)
        {
            let Some(upstream) = text(&task, "taskId") else { return Err(Fault::Incomplete) };
            let gateway = RawJson::string(&Box::pin(self.mint_task(upstream, &task)).await?);
            let task = task.edited(|key, _| if key == "taskId" { Edit::Replace(gateway.clone()) } else { Edit::Keep }, &[]);
            result = result.edited(|key, _| if key == "task" { Edit::Replace(task.clone()) } else { Edit::Keep }, &[]);
        }
        let task = self.own_task();
        let seal = self.sealed_cursor(&result)?;
        Ok(result.edited(
            |key, value| match key {
                "taskId" => task.clone().map_or(Edit::Keep, Edit::Replace),
                "nextCursor" if self.method.is_list() => seal.clone().map_or(Edit::Drop, Edit::Replace),
                "_meta" => Edit::Replace(self.meta(value)),
                _ => Edit::Keep,
            },
            &[],
        ))
    }

    /// SES-11 and protocol 12: only declared questions pass, and the state comes back sealed to this request.
    fn input_required(&mut self, result: &RawJson) -> Result<Result<RawJson, Refusal>, Fault> {
        if let Some(requests) = result.member("inputRequests")
            && let Err(refusal) = self.declared(&requests)
        {
            return Ok(Err(refusal));
        }
        let state = match result.member("requestState") {
            None => None,
            Some(state) => Some(state.as_text().map(std::borrow::Cow::into_owned).ok_or(Fault::Incomplete)?),
        };
        if state.is_none() && result.member("inputRequests").is_none() {
            return Err(Fault::Incomplete);
        }
        let sealed = match state {
            None => None,
            Some(state) => Some(RawJson::string(&self.seal(Purpose::State, &self.digest.clone(), &state, STATE_LIFE)?)),
        };
        Ok(Ok(result.edited(
            |key, value| match key {
                "requestState" => sealed.clone().map_or(Edit::Drop, Edit::Replace),
                "_meta" => Edit::Replace(self.meta(value)),
                _ => Edit::Keep,
            },
            &[],
        )))
    }

    fn meta(&self, meta: &RawJson) -> RawJson {
        meta.edited(
            |key, value| match key {
                SUBSCRIPTION => self.client_id.as_ref().map_or(Edit::Drop, |id| Edit::Replace(id.to_raw())),
                RELATED_TASK => match text(value, "taskId").and_then(|id| self.tasks.get(&id).cloned()) {
                    Some(id) => Edit::Replace(
                        value.edited(|key, _| if key == "taskId" { Edit::Replace(RawJson::string(&id)) } else { Edit::Keep }, &[]),
                    ),
                    None => Edit::Drop,
                },
                _ => Edit::Keep,
            },
            &[],
        )
    }

    /// The gateway's id of the task that the call addressed, where the reply repeats it.
    fn own_task(&self) -> Option<RawJson> {
        self.tasks.values().next().filter(|_| self.tasks.len() == 1).map(|id| RawJson::string(id))
    }

    fn sealed_cursor(&mut self, result: &RawJson) -> Result<Option<RawJson>, Fault> {
        if !self.method.is_list() {
            return Ok(None);
        }
        match result.member("nextCursor").and_then(|cursor| cursor.as_text().map(std::borrow::Cow::into_owned)) {
            None => Ok(None),
            Some(cursor) => Ok(Some(RawJson::string(&self.seal(Purpose::Cursor, &[0; 32], &cursor, CURSOR_LIFE)?))),
        }
    }

    fn seal(&mut self, purpose: Purpose, digest: &[u8; 32], inner: &str, life: Duration) -> Result<String, Fault> {
        let random = |_| Fault::Store;
        let fresh = Fresh { nonce: self.desk.env.bytes().map_err(random)?, jti: self.desk.env.bytes().map_err(random)? };
        let binding = self.owner.binding(self.method.as_str(), digest);
        let sealed = self.desk.sealing.seal(purpose, binding, inner, fresh, self.desk.env.now().after(life)).map_err(|_| Fault::Store)?;
        self.screening.sealed = Some(sealed.clone());
        Ok(sealed)
    }

    fn complete(&self, result: RawJson) -> RawJson {
        match self.era {
            Era::Modern => result.edited(|_, _| Edit::Keep, &[("resultType", RawJson::string("complete"))]),
            Era::Legacy(_) => result,
        }
    }
}

fn text(object: &RawJson, key: &str) -> Option<String> {
    object.member(key).and_then(|value| value.as_text().map(std::borrow::Cow::into_owned))
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}
