//! The station: which session or sealed state a request belongs to.
//!
//! A session is looked up with its owner, never by its id alone; sealed values open for their own request only. What was
//! opened here is consumed before the intent, so that no state works twice (I3).

use crate::Gateway;
use crate::errand::{Cleared, Judged, Opened};
use crate::upstream::relay::Owner;
use doorward_core::blame::{Blame, Known, Over, Refusal, Station, Wire};
use doorward_core::id::ServerName;
use doorward_core::identity::caller::Caller;
use doorward_core::mcp::call::{Call, Method};
use doorward_core::mcp::error::{INVALID_PARAMS, MISSING_CAPABILITY, wrong};
use doorward_core::mcp::version::Era;
use doorward_core::policy::permit::Permit;
use doorward_core::secret::sha256;
use doorward_core::session::era::Claimed;
use doorward_core::session::sealed::Purpose;
use doorward_core::session::{Bound, Claim, Lifetimes, open};
use doorward_core::time::Timestamp;
use doorward_store::{StoreError, StoredTask};
use std::sync::Arc;
use std::time::Duration;

/// How long legacy sessions live (protocol 12).
pub const LIFETIMES: Lifetimes = Lifetimes { idle: Duration::from_secs(3600), absolute: Duration::from_secs(24 * 3600) };

impl Gateway {
    /// Binds a caller to what its request claims.
    ///
    /// # Errors
    /// 404 for every session that is not theirs; 503 when the store cannot say.
    pub(crate) async fn session(&self, caller: Caller, server: &ServerName, claimed: &Claimed) -> Result<Bound, Refusal> {
        let now = self.env.now();
        let mut named = None;
        let (claim, digest) = match claimed {
            Claimed::Modern | Claimed::NoEffect => (Claim::PerRequest, None),
            Claimed::NewSession(version) => (Claim::New(*version), None),
            Claimed::Session(id) => {
                let digest = sha256(id.as_bytes());
                let live = self.live.find(&digest);
                let fresh = live
                    .as_ref()
                    .and_then(|session| session.record())
                    .filter(|stored| stored.is_of(&caller, server) && !self.was_ended(&digest));
                named = live.and_then(|session| session.last_record());
                // A session of somebody else takes the way of one that never was, and as long: through the store.
                let found = match fresh {
                    Some(stored) => Some(stored),
                    None => {
                        let read = self.store.session(&digest, caller.user(), caller.client(), caller.credential(), server).await;
                        read.map_err(|error| {
                            let public = "Doorward cannot look up sessions at the moment.";
                            Refusal::new(Station::Session, "store_unavailable", Blame::Us, Wire::Http(503), public)
                                .because(error.to_string())
                                .knowing(Known { server: Some(server.clone()), ..caller.known() })
                        })?
                        .map(Arc::new)
                    }
                };
                (Claim::Existing(found), Some(digest))
            }
        };
        let over = match &claim {
            Claim::Existing(Some(stored)) if !stored.is_alive(LIFETIMES, now) => Some(stored.user.clone()),
            _ => None,
        };
        let (user, asked) = (caller.user().clone(), digest);
        let bound = match open(caller, server, claim, LIFETIMES, now) {
            Ok(bound) => bound,
            Err(unknown) => {
                let refusal = unknown.refusal();
                if let (Some(digest), Some(owner)) = (digest, over) {
                    // Over is over: a clock that steps back does not bring it back (FLT-07).
                    self.forget(&digest, &owner).await.ok();
                }
                // For the record alone, where this process knows whose it is (SES-02).
                let Some(theirs) = named else { return Err(refusal) };
                return Err(refusal.because(format!("the session belongs to {} through {}", theirs.user, theirs.client)));
            }
        };
        if let (Some(stored), Some(digest)) = (bound.session_shared(), asked) {
            let live = self.live.session(&digest);
            if live.record().is_none() {
                live.keep(stored);
            }
            if live.should_touch() {
                Box::pin(self.store.touch_session(&digest, &user, now)).await.ok();
            }
        }
        Ok(bound)
    }

    /// Why the session of something that runs is over, if so: ended here, at another replica over the same store, or by its
    /// age. A store that cannot say ends what runs in it, as everywhere.
    pub(crate) async fn session_is_over(&self, bound: &Bound, now: Timestamp) -> Option<Over> {
        let stored = bound.session()?;
        let Some(live) = self.live.find(&stored.digest) else { return Some(Over::taken("session_ended")) };
        // What only this process ends need not be asked for: thousands of streams would ask in vain. What seems too old by what
        // was read last may have been used since.
        let has_heard = self.has_heard().await;
        if self.was_ended(&stored.digest) {
            return Some(Over::taken("session_ended"));
        }
        if has_heard && !self.store.is_shared() && live.last_record().is_some_and(|record| record.is_alive(LIFETIMES, now)) {
            return None;
        }
        let caller = bound.caller();
        match self.store.session(&stored.digest, caller.user(), caller.client(), caller.credential(), bound.server()).await {
            Ok(Some(stored)) if stored.is_alive(LIFETIMES, now) => None,
            Ok(_) => Some(Over::taken("session_ended")),
            Err(_) => Some(Over::UNKNOWN),
        }
    }

    /// Opens what is sealed in a call and finds what its ids stand for.
    ///
    /// # Errors
    /// One answer for all that is not valid here: −32602.
    pub(crate) async fn resolve(&self, bound: &Bound, call: &Call) -> Result<Opened, Refusal> {
        let owner = Owner::of(bound);
        let now = self.env.now();
        let refuse = |reason, public: &str| wrong(Station::Session, reason, 200, INVALID_PARAMS, public).knowing(bound.asked(call));
        let mut opened = Opened::nothing();
        if let Some(blob) = call.request_state() {
            let state = self.desk.sealing.open(Purpose::State, owner.binding(call.method().as_str(), call.digest()), blob, now);
            let state = state.map_err(|_| refuse("bad_request_state", "requestState is not valid here."))?;
            opened.once(state.once, state.expires);
            opened.state = Some(state.inner);
        }
        if let Some(blob) = call.cursor() {
            let cursor = self.desk.sealing.open(Purpose::Cursor, owner.binding(call.method().as_str(), &[0; 32]), blob, now);
            opened.cursor = Some(cursor.map_err(|_| refuse("bad_cursor", "The cursor is not valid here."))?.inner);
        }
        let about_tasks = matches!(call.method(), Method::TasksGet | Method::TasksUpdate | Method::TasksCancel | Method::TasksResult);
        if about_tasks {
            if call.era() == Era::Modern && !declares_tasks(call) {
                let data = serde_json::json!({ "requiredCapabilities": { "extensions": { "io.modelcontextprotocol/tasks": {} } } });
                let refusal = refuse("missing_capability", "This request needs the tasks extension.");
                return Err(Refusal { wire: Wire::Rpc { status: 400, code: MISSING_CAPABILITY, data: Some(data) }, ..refusal });
            }
            let gateway_id = call.target().unwrap_or_default();
            let task = self.task_of(&owner, gateway_id).await.map_err(|error| no_tasks(&error, bound.asked(call)))?;
            let task = task.ok_or_else(|| refuse("unknown_task", "Unknown task."))?;
            opened.tasks.tasks.insert(task.upstream_id.clone(), gateway_id.to_owned());
            opened.task = Some(task);
        }
        if call.method() == Method::TasksList {
            let own = self.store.tasks_of(&owner.user, &owner.client, &owner.credential, &owner.server).await;
            opened.own_tasks = own.map_err(|error| no_tasks(&error, bound.asked(call)))?;
        }
        if call.method() == Method::Listen {
            let found = Box::pin(self.resolve_listen(call, &owner, &mut opened)).await;
            found.map_err(|error| no_tasks(&error, bound.asked(call)))?;
        }
        Ok(opened)
    }

    /// Which of the tasks of a subscription are the caller's own; the policy station leaves the others out.
    async fn resolve_listen(&self, call: &Call, owner: &Owner, opened: &mut Opened) -> Result<(), StoreError> {
        let filter = call.params().iter().find_map(|(key, value)| (key == "notifications").then_some(value));
        let Some(ids) = filter.and_then(|filter| filter.member("taskIds")).and_then(|ids| ids.elements()) else { return Ok(()) };
        for id in ids.iter().take(MOST_TASKS_HEARD) {
            let Some(gateway_id) = id.as_text() else { continue };
            if let Some(task) = self.task_of(owner, &gateway_id).await? {
                opened.tasks.tools.insert(task.upstream_id.clone(), task.tool);
                opened.tasks.tasks.insert(task.upstream_id, gateway_id.into_owned());
            }
        }
        Ok(())
    }

    async fn task_of(&self, owner: &Owner, gateway_id: &str) -> Result<Option<StoredTask>, StoreError> {
        let digest = sha256(gateway_id.as_bytes());
        self.store.task(&digest, &owner.user, &owner.client, &owner.credential, &owner.server).await
    }

    /// Consumes a state: it works once, across replicas and restarts (I3; SES-10).
    ///
    /// # Errors
    /// −32602 when it was used before; 503 when the store cannot say.
    pub(crate) async fn consume(&self, judged: Judged, permit: &Permit) -> Result<Cleared, Refusal> {
        let consumed = match judged.once() {
            Some((once, expires)) => self.store.consume_once("state", &once, expires, self.env.now()).await,
            None => Ok(true),
        };
        match consumed {
            Ok(true) => Ok(Cleared::of(judged)),
            Ok(false) => {
                let refusal = wrong(Station::Session, "used_request_state", 200, INVALID_PARAMS, "requestState is not valid here.");
                Err(refusal.knowing(permit.bound().asked(permit.call())))
            }
            Err(error) => {
                let public = "Doorward cannot check this request at the moment.";
                let refusal = Refusal::new(Station::Session, "store_unavailable", Blame::Us, Wire::Http(503), public);
                Err(refusal.because(error.to_string()).knowing(permit.bound().asked(permit.call())))
            }
        }
    }
}

/// Tasks of one subscription.
const MOST_TASKS_HEARD: usize = 100;

fn no_tasks(error: &StoreError, known: Known) -> Refusal {
    let public = "Doorward cannot look up tasks at the moment.";
    Refusal::new(Station::Session, "store_unavailable", Blame::Us, Wire::Http(503), public).because(error.to_string()).knowing(known)
}

fn declares_tasks(call: &Call) -> bool {
    let extensions = call.capabilities().and_then(|capabilities| capabilities.member("extensions"));
    extensions.is_some_and(|extensions| extensions.member("io.modelcontextprotocol/tasks").is_some())
}
