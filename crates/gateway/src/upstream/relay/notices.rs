//! What a server says without being asked, and how much of it a client hears: progress, logs, changes and news of tasks.
//!
//! Belongs to the relay of one call and knows its fields. What is not named here ends here (protocol 6.3, 12).

use super::screening::Part;
use super::{Relay, Said, Told, text};
use doorward_core::contract::{Measure, Promise};
use doorward_core::flag::{Flag, Half};
use doorward_core::json::RawJson;
use doorward_core::json::write::Edit;
use doorward_core::mcp::call::{LogLevel, Method};
use doorward_core::mcp::encode;
use doorward_core::mcp::version::Era;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// How much an upstream said lately.
#[derive(Debug)]
pub(super) struct Heard {
    since: Instant,
    count: u32,
}

/// Notifications of one call that pass within a second (D17); more are dropped.
const MOST_A_SECOND: u32 = 500;

impl Relay {
    pub(super) fn notification(&mut self, method: &str, params: Option<RawJson>) -> Said {
        if method.ends_with("/list_changed") {
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
        if !self.heard.pass() {
            return Said::Nothing;
        }
        let Some(params) = self.notice(method, params) else { return Said::Nothing };
        let event = encode::downstream(None, method, params.as_ref());
        self.screened(event, Part::More).map_or(Said::Nothing, Said::Event)
    }

    /// The params of a notification as the client may see them; `None` if it may not see it.
    #[expect(clippy::option_option, reason = "outer: does it pass; inner: does it have params")]
    fn notice(&mut self, method: &str, params: Option<RawJson>) -> Option<Option<RawJson>> {
        let listens = self.method == Method::Listen;
        match method {
            "notifications/progress" => {
                let params = params?;
                let ours = params.member("progressToken").and_then(|token| token.as_integer()) == Some(self.upstream_id);
                let token = self.progress.as_ref().filter(|_| ours)?.to_raw();
                Some(Some(params.edited(|key, _| if key == "progressToken" { Edit::Replace(token.clone()) } else { Edit::Keep }, &[])))
            }
            "notifications/message" => {
                let level = params.as_ref().and_then(|params| text(params, "level")).and_then(|level| LogLevel::parse(&level))?;
                let wanted = match self.era {
                    Era::Modern => self.level.is_some_and(|least| level >= least),
                    Era::Legacy(_) => true,
                };
                wanted.then_some(params)
            }
            "notifications/cancelled" => None,
            _ if self.era == Era::Modern && !listens => None,
            "notifications/subscriptions/acknowledged"
            | "notifications/tools/list_changed"
            | "notifications/prompts/list_changed"
            | "notifications/resources/list_changed"
            | "notifications/elicitation/complete" => Some(params.map(|params| self.tagged(&params))),
            "notifications/resources/updated" => {
                let params = params?;
                self.may_hear_of(&text(&params, "uri")?).then(|| Some(self.tagged(&params)))
            }
            "notifications/tasks" | "notifications/tasks/status" => {
                let params = params?;
                let upstream = text(&params, "taskId")?;
                let known = self.tasks.get(&upstream).cloned()?;
                if !self.may_tell(&upstream, &params) {
                    return None;
                }
                let mapped = params.edited(|key, _| if key == "taskId" { Edit::Replace(RawJson::string(&known)) } else { Edit::Keep }, &[]);
                Some(Some(self.tagged(&mapped)))
            }
            _ => None,
        }
    }

    /// SES-12: a server does not tell of resources that policy left out of the subscription. A legacy session subscribes to
    /// each by a call of its own.
    fn may_hear_of(&self, uri: &str) -> bool {
        self.era != Era::Modern || self.resources.iter().any(|subscribed| subscribed == uri)
    }

    /// `subscriptionId` is the client's own id of its listen request, its type kept.
    pub(super) fn tagged(&self, params: &RawJson) -> RawJson {
        if self.era != Era::Modern {
            return params.clone();
        }
        params.edited(|key, value| if key == "_meta" { Edit::Replace(self.meta(value)) } else { Edit::Keep }, &[])
    }

    /// RPC-08: the result that a notification tells of a task is held against what was approved, as the one that is fetched.
    fn may_tell(&mut self, task: &str, params: &RawJson) -> bool {
        let Some(Promise { contract, measure }) = self.promises.get(task) else { return true };
        let Some(flag) = Flag::of(Half::Result, &contract.result(Method::TasksGet, self.era, params)) else { return true };
        if *measure == Measure::Off {
            return true;
        }
        let refused = *measure == Measure::Refuse;
        if matches!(self.told, Told::Nothing) {
            self.told = Told::Now(flag);
        }
        !refused
    }
}

impl Heard {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), count: 0 }
    }

    fn pass(&mut self) -> bool {
        if self.since.elapsed() >= Duration::from_secs(1) {
            *self = Self { since: Instant::now(), count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count <= MOST_A_SECOND
    }
}
