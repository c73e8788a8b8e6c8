//! Tasks that calls become: their room, their ids, and when they are over.
//!
//! Room is asked for before a call is sent, so that no call runs whose task cannot be kept for want of it. What goes wrong
//! behind the effect has a fault of its own, which invites nobody to run the call again.

use super::{Desk, Relay, base64, text};
use crate::upstream::fault::Fault;
use doorward_core::id::UserId;
use doorward_core::json::RawJson;
use doorward_core::mcp::call::{Call, Method};
use doorward_core::mcp::version::Era;
use doorward_core::secret::sha256;
use doorward_core::time::Timestamp;
use doorward_store::{NewTask, TaskEnd, Word};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Calls in flight that may become tasks, by user. The store counts the tasks that they have become.
#[derive(Debug, Default)]
pub struct Promised {
    in_flight: Mutex<HashMap<UserId, u32>>,
    counted: Mutex<HashMap<UserId, (Timestamp, u32)>>,
}

/// Room for one task, until it is recorded or its call is over.
#[derive(Debug)]
pub struct Room {
    of: Arc<Promised>,
    user: UserId,
}

/// Tasks of one user that are not over. Exact for one process; over several replicas there may be more by the calls that
/// are in flight elsewhere, for a call that ran is kept.
const MOST_TASKS: u32 = 1000;
/// Far from the cap the store is not asked again for so long, by the tasks that were counted then and began here since.
const COUNTED: Duration = Duration::from_secs(5);
/// Users whose count is remembered; beyond that, all are forgotten.
const MOST_COUNTED: usize = 10_000;

impl Promised {
    /// What was counted lately, if it was.
    fn counted(&self, user: &UserId, now: Timestamp) -> Option<u32> {
        let counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        counted.get(user).filter(|(at, _)| *at <= now && now.since(*at) < COUNTED).map(|(_, running)| *running)
    }

    fn count(&self, user: &UserId, now: Timestamp, running: u32) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.len() >= MOST_COUNTED {
            counted.clear();
        }
        counted.insert(user.clone(), (now, running));
    }

    fn began(&self, user: &UserId) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, running)) = counted.get_mut(user) {
            *running = running.saturating_add(1);
        }
    }
}

impl Room {
    /// Takes room among the calls in flight; says how many of this user are, with this one.
    fn taken(of: &Arc<Promised>, user: &UserId) -> (Self, u32) {
        let mut promised = of.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        let count = promised.entry(user.clone()).or_default();
        *count = count.saturating_add(1);
        (Self { of: Arc::clone(of), user: user.clone() }, *count)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut promised = self.of.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = promised.get_mut(&self.user) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                promised.remove(&self.user);
            }
        }
    }
}

impl Desk {
    /// Room for the task that this call may become, if it may become one: before anything is sent.
    ///
    /// # Errors
    /// [`Fault::TooManyTasks`]; [`Fault::Store`] where nobody can count them.
    pub(crate) async fn room_for_task(&self, user: &UserId, call: &Call, capabilities: &RawJson) -> Result<Option<Room>, Fault> {
        let may_become_one = call.method() == Method::ToolsCall
            && match call.era() {
                Era::Modern => declares_tasks(capabilities),
                Era::Legacy(_) => call.params().iter().any(|(key, _)| key == "task"),
            };
        if !may_become_one {
            return Ok(None);
        }
        // Taken before counting: whoever counts later counts this one too, in flight or in the store.
        let (room, in_flight) = Room::taken(&self.promised, user);
        let now = self.env.now();
        if self.promised.counted(user, now).is_some_and(|running| running.saturating_add(in_flight) < MOST_TASKS / 2) {
            return Ok(Some(room));
        }
        let running = self.store.running_tasks(user, MOST_TASKS).await.map_err(|_| Fault::Store)?;
        self.promised.count(user, now, running);
        if running.saturating_add(in_flight) > MOST_TASKS { Err(Fault::TooManyTasks) } else { Ok(Some(room)) }
    }
}

impl Relay {
    /// A4O: the task is durable under its own unguessable id before the client hears of it.
    ///
    /// # Errors
    /// [`Fault::TaskNotKept`]: the call ran.
    pub(super) async fn mint_task(&mut self, upstream_id: String, task: &RawJson) -> Result<String, Fault> {
        let random = self.desk.env.bytes::<32>().map_err(|_| Fault::TaskNotKept)?;
        let gateway_id = format!("t-{}", base64(&random));
        let new = NewTask {
            digest: sha256(gateway_id.as_bytes()),
            gateway_id: gateway_id.clone(),
            user: self.owner.user.clone(),
            client: self.owner.client.clone(),
            credential: self.owner.credential.clone(),
            server: self.owner.server.clone(),
            tool: self.tool.clone().ok_or(Fault::Internal("a task of no tool"))?,
            upstream_id,
            created: self.desk.env.now(),
            expires: None,
        };
        // Who has room was counted; a server that makes a task of what asked for none is counted now.
        let most = if self.room.is_some() { u32::MAX } else { MOST_TASKS };
        let kept = self.desk.store.put_task(&new, most).await;
        self.room = None;
        kept.map_err(|error| {
            tracing::error!(%error, "a task could not be kept");
            Fault::TaskNotKept
        })?;
        self.desk.promised.began(&self.owner.user);
        if let Some(how) = end_of(task) {
            self.end_task(&gateway_id, (how, Word::Said)).await;
        }
        Ok(gateway_id)
    }

    /// Notes the end of the task that the call was about, where its result tells.
    pub(super) async fn seen_end(&self, result: &RawJson) {
        let end = match self.method {
            Method::TasksCancel => end_of(result).map(|how| (how, Word::Said)).or(Some((TaskEnd::Cancelled, Word::Assumed))),
            // The result of the call itself, which does not say how its task is; one with an error is that of a task that failed.
            Method::TasksResult if result.member("isError").is_some_and(|flag| flag.as_bytes() == b"true") => {
                Some((TaskEnd::Failed, Word::Assumed))
            }
            Method::TasksResult => Some((TaskEnd::Completed, Word::Assumed)),
            Method::TasksGet => end_of(result).map(|how| (how, Word::Said)),
            _ => None,
        };
        if let (Some(how), Some(task), 1) = (end, self.tasks.values().next(), self.tasks.len()) {
            self.end_task(task, how).await;
        }
    }

    /// Notes the end of a task of which the client may hear, where a notification tells.
    pub(super) async fn heard_of_end(&self, method: &str, params: Option<&RawJson>) {
        let Some(params) = params.filter(|_| matches!(method, "notifications/tasks" | "notifications/tasks/status")) else { return };
        let known = text(params, "taskId").and_then(|id| self.tasks.get(&id));
        if let (Some(task), Some(how)) = (known, end_of(params)) {
            self.end_task(task, (how, Word::Said)).await;
        }
    }

    /// A task that is not marked counts until it is swept: worse for its owner, and no reason to keep an answer back.
    async fn end_task(&self, gateway_id: &str, how: (TaskEnd, Word)) {
        let digest = sha256(gateway_id.as_bytes());
        if let Err(error) = self.desk.store.end_task(&digest, &self.owner.user, how, self.desk.env.now()).await {
            tracing::warn!(%error, "the end of a task could not be noted");
        }
    }
}

/// How a task ended, if its status says that it did (2025-11-25, tasks; the extension of 2026-07-28).
fn end_of(task: &RawJson) -> Option<TaskEnd> {
    TaskEnd::parse(&text(task, "status")?)
}

/// True for a client, or a way to a server, that knows tasks of 2026-07-28.
pub(super) fn declares_tasks(capabilities: &RawJson) -> bool {
    capabilities.member("extensions").is_some_and(|extensions| extensions.member("io.modelcontextprotocol/tasks").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_counted_by_user_and_given_back() {
        let promised = Arc::<Promised>::default();
        let user = |name| UserId::new("local", name).expect("user");
        let (first, one) = Room::taken(&promised, &user("alice"));
        let (_second, two) = Room::taken(&promised, &user("alice"));
        let (his_room, his) = Room::taken(&promised, &user("bob"));
        assert_eq!((one, two, his), (1, 2, 1));
        drop(first);
        assert_eq!(Room::taken(&promised, &user("alice")).1, 2);
        drop(his_room);
        assert_eq!(promised.in_flight.lock().expect("whole").len(), 1, "who has nothing in flight takes no room");
    }
}
