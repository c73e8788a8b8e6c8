//! The station: facts for the decision, the decision, and lists narrowed by the same decision.
//!
//! Facts come from the catalogue and its approvals, never from what a client or server says about itself.

use crate::Gateway;
use crate::catalogue::{Found, View};
use crate::errand::{Approved, Errand, Judged, Opened};
use crate::path::Walk;
use crate::seen::no_memory;
use crate::upstream::fault::Fault;
use crate::upstream::relay::Final;
use doorward_core::blame::{Blame, Known, Refusal, Retry, Station, Wire};
use doorward_core::config::{Selector, Somebody, Through};
use doorward_core::contract::{Measure, Promise};
use doorward_core::id::{ServerName, ToolName};
use doorward_core::identity::caller::{Caller, Door};
use doorward_core::json::RawJson;
use doorward_core::json::write::Edit;
use doorward_core::mcp::call::{Call, Method};
use doorward_core::mcp::error::{HEADER_MISMATCH, wrong};
use doorward_core::mcp::headers;
use doorward_core::mcp::version::Era;
use doorward_core::policy::decide::{Denied, decide, still};
use doorward_core::policy::facts::{Checks, Facts, ToolFacts};
use doorward_core::policy::filter;
use doorward_core::policy::permit::Permit;
use doorward_core::screen;
use doorward_core::session::Bound;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

impl Gateway {
    /// Whether this caller may make exactly this call now.
    ///
    /// # Errors
    /// The denial, or that the server's definitions cannot be read.
    pub(crate) async fn policy(&self, bound: Bound, call: Call, mut opened: Opened, walk: &Walk) -> Result<(Permit, Judged), Refusal> {
        let (mut tool, mut approved) = (None, Approved::default());
        if call.method() == Method::ToolsCall {
            let name = call.target().unwrap_or_default();
            let found = self.tool(&bound, call.era(), name).await;
            let found = found.map_err(|fault| self.fault_at(&fault, &bound, &call))?;
            if let Some(found) = found {
                approved = Approved { mirrors: found.mirrors, promise: found.promise, definition: Some(found.definition) };
                tool = Some(found.facts);
            }
        }
        // A task may be stopped whatever its server says of its tools.
        if !matches!(call.method(), Method::ToolsCall | Method::TasksCancel) {
            let narrowed = Box::pin(self.tool_of_task(&bound, &call, (&mut opened, &mut approved), walk)).await;
            tool = narrowed.map_err(|fault| self.fault_at(&fault, &bound, &call))?;
        }
        let facts = self.facts(&bound, walk, tool, approved.promise.as_ref());
        self.narrow_listen(&bound, &call, &facts, &mut opened);
        let rules = self.rules.load_full();
        let facts = self.having_seen(&rules, facts, &bound, &call).await.map_err(|error| no_memory(&error, bound.asked(&call)))?;
        let permit = decide(&rules, &facts, bound, call).map_err(|denied| at_door(denied, walk.route.door))?;
        let known = || permit.bound().asked(permit.call());
        if permit.call().method() == Method::ToolsCall {
            // Of what they may not call not even the names of its headers are told (I9; RPC-09).
            if permit.call().era() == Era::Modern {
                let checked = headers::check(&approved.mirrors, permit.call().arguments(), permit.call().param_headers());
                checked.map_err(|mismatch| {
                    wrong(Station::Decode, "header_mismatch", 400, HEADER_MISMATCH, mismatch.to_string()).knowing(known())
                })?;
            }
            // Only of what they may call: that a tool has a limit tells that there is one.
            let name = permit.call().target().unwrap_or_default();
            let taken = self.rates.take_tool(permit.bound().caller(), permit.bound().server(), name, self.skew.shared(self.env.now()));
            taken.await.map_err(|wait| too_many(wait).knowing(known()))?;
        }
        self.remember_seen(&permit).await.map_err(|error| no_memory(&error, known()))?;
        Ok((permit, Judged::of(opened, approved)))
    }

    /// The tool of the task that the call is about. Tasks of tools that the caller may not call now are left out of a list and
    /// of a subscription.
    async fn tool_of_task(
        &self,
        bound: &Bound,
        call: &Call,
        (opened, approved): (&mut Opened, &mut Approved),
        walk: &Walk,
    ) -> Result<Option<ToolFacts>, Fault> {
        if let Some(task) = &opened.task {
            let found = self.tool(bound, call.era(), task.tool.as_str()).await?;
            return Ok(found.map(|found| {
                approved.promise = found.promise;
                found.facts
            }));
        }
        let running = opened.own_tasks.iter().map(|task| &task.tool).chain(opened.tasks.tools.values());
        let names: BTreeSet<ToolName> = running.cloned().collect();
        let mut callable = BTreeSet::new();
        let mut promises = HashMap::new();
        for name in names {
            if let Some(found) = self.callable(bound, call.era(), walk, &name).await? {
                promises.extend(found.promise.map(|promise| (name.clone(), promise)));
                callable.insert(name);
            }
        }
        opened.own_tasks.retain(|task| callable.contains(&task.tool));
        opened.tasks.tools.retain(|_, tool| callable.contains(tool));
        let kept = &opened.tasks.tools;
        opened.tasks.promises = kept.iter().filter_map(|(task, tool)| Some((task.clone(), promises.get(tool)?.clone()))).collect();
        opened.tasks.tasks.retain(|task, _| kept.contains_key(task));
        Ok(None)
    }

    /// A tool that the caller may call with some arguments, so that they hear of its tasks.
    async fn callable(&self, bound: &Bound, era: Era, walk: &Walk, name: &ToolName) -> Result<Option<Found>, Fault> {
        let Some(found) = self.tool(bound, era, name.as_str()).await? else { return Ok(None) };
        let shown = filter::tools(&self.rules.load(), &self.facts(bound, walk, None, None), bound, std::slice::from_ref(&found.facts));
        Ok((shown == [true]).then_some(found))
    }

    /// Whether what was permitted would be permitted again now (I8): asked for streams.
    pub(crate) async fn still_permits(&self, permit: &Permit, errand: &Errand) -> bool {
        let (bound, call) = (permit.bound(), permit.call());
        // With the account behind it goes what was opened with it.
        if let Some(user) = self.shown_to(bound.server(), bound.caller().user())
            && !matches!(self.store.connected_since(user, bound.server()).await, Ok(since) if since.is_some() && since == errand.account)
        {
            return false;
        }
        let name = match (call.method(), &errand.opened().task) {
            (Method::ToolsCall, _) => call.target(),
            (_, Some(task)) => Some(task.tool.as_str()),
            _ => None,
        };
        let tool = match name {
            Some(name) => match self.tool(bound, call.era(), name).await {
                Ok(found) => found.map(|found| found.facts),
                Err(fault) => return !takes_away(&fault),
            },
            None => None,
        };
        // A subscription ends with any tool whose tasks it tells of; its client comes back for those that are left (SES-09).
        let running: BTreeSet<&ToolName> = errand.opened().tasks.tools.values().collect();
        for name in running {
            match self.callable(bound, call.era(), errand, name).await {
                Ok(Some(_)) => {}
                Ok(None) => return false,
                Err(fault) if takes_away(&fault) => return false,
                Err(_) => {}
            }
        }
        let rules = self.rules.load_full();
        let facts = self.facts(bound, errand, tool, errand.approved().promise.as_ref());
        // What cannot be looked up ourselves ends it.
        let stands = self.having_seen(&rules, facts, bound, call).await.is_ok_and(|facts| still(&rules, &facts, permit));
        // What still comes is still seen.
        stands && self.remember_seen(permit).await.is_ok()
    }

    fn facts(&self, bound: &Bound, walk: &Walk, tool: Option<ToolFacts>, promise: Option<&Promise>) -> Facts {
        let visible = self.is_visible(bound.server(), bound.caller());
        let foreign_tokens = self.upstreams.find(bound.server()).map_or(Measure::Refuse, |upstream| upstream.config.foreign_tokens);
        // Of a server that is not configured nothing is let pass; one is always there for each that is.
        let screen = self.desk.screens.get(bound.server()).cloned();
        let checks = Checks { schemas: promise.cloned(), foreign_tokens, screen };
        let (able, seen) = (Vec::new(), BTreeSet::new());
        Facts { tool, visible, client_verified: false, peer: walk.peer, able, now: self.env.now(), seen, checks }
    }

    /// Counts a request against the budget of its user, before anything of it is read: what is malformed costs as much as
    /// what is not.
    ///
    /// # Errors
    /// 429 beyond the caller's rate.
    pub(crate) async fn within_rate(&self, caller: &Caller, server: Option<&ServerName>) -> Result<(), Refusal> {
        let known = || Known { server: server.cloned(), ..caller.known() };
        self.rates.take(caller, self.skew.shared(self.env.now())).await.map_err(|wait| too_many(wait).knowing(known()))
    }

    /// Whether the server is there for this caller.
    pub(crate) fn is_visible(&self, server: &ServerName, caller: &Caller) -> bool {
        let is_there = |client, agent| {
            let who = Somebody { user: caller.user(), groups: caller.groups(), through: Through::Client(client, agent) };
            self.upstreams.find(server).is_some_and(|upstream| Selector::is_visible(&upstream.config.visible_to, &who))
        };
        // Where a token went through several hands, it is there for all of them or for none.
        is_there(caller.client(), caller.agent()) && caller.via().iter().all(|client| is_there(client, self.agents.of(client)))
    }

    /// Which tools of a listing the caller may see.
    pub(crate) fn shown_tools(&self, bound: &Bound, walk: &Walk, view: &View) -> Vec<bool> {
        filter::tools(&self.rules.load(), &self.facts(bound, walk, None, None), bound, &view.tools)
    }

    /// Which prompts the caller may see.
    pub(crate) fn shown_prompts(&self, bound: &Bound, walk: &Walk, names: &[&str]) -> Vec<bool> {
        filter::prompts(&self.rules.load(), &self.facts(bound, walk, None, None), bound, names)
    }

    /// SES-09, SES-12: tasks that are not the caller's, and resources that they may not read, are left out of a subscription.
    fn narrow_listen(&self, bound: &Bound, call: &Call, facts: &Facts, opened: &mut Opened) {
        if call.method() != Method::Listen {
            return;
        }
        let Some(filter) = call.params().iter().find_map(|(key, value)| (key == "notifications").then_some(value)) else { return };
        if let Some(uris) = filter.member("resourceSubscriptions").and_then(|uris| uris.elements()) {
            let texts: Vec<Cow<'_, str>> = uris.iter().filter_map(RawJson::as_text).take(MOST_SUBSCRIPTIONS).collect();
            let names: Vec<&str> = texts.iter().map(Cow::as_ref).collect();
            let shown = filter::resources(&self.rules.load(), facts, bound, &names);
            opened.tasks.resources = names.iter().zip(shown).filter(|(_, shown)| *shown).map(|(uri, _)| (*uri).to_owned()).collect();
        }
        let list = |texts: Vec<&String>| RawJson::array(&texts.into_iter().map(|text| RawJson::string(text)).collect::<Vec<_>>());
        let tasks = list(opened.tasks.tasks.keys().collect());
        let resources = list(opened.tasks.resources.iter().collect());
        let narrowed = filter.edited(
            |key, _| match key {
                "taskIds" => Edit::Replace(tasks.clone()),
                "resourceSubscriptions" => Edit::Replace(resources.clone()),
                _ => Edit::Keep,
            },
            &[],
        );
        opened.replaced.push(("notifications".to_owned(), narrowed));
    }

    /// Leaves out of a list of resources, or of their templates, what the caller may not read. A template counts by its text.
    pub(crate) fn narrowed(&self, permit: &Permit, walk: &Walk, end: Final) -> Final {
        let (list, place) = match permit.call().method() {
            Method::ResourcesList => ("resources", "uri"),
            Method::ResourceTemplatesList => ("resourceTemplates", "uriTemplate"),
            _ => return end,
        };
        let Some(result) = end.body.content().member("result") else { return end };
        let Some(resources) = result.member(list).and_then(|list| list.elements()) else { return end };
        let texts: Vec<String> = resources
            .iter()
            .map(|entry| entry.member(place).and_then(|uri| uri.as_text().map(Cow::into_owned)).unwrap_or_default())
            .collect();
        let uris: Vec<&str> = texts.iter().map(String::as_str).collect();
        let shown = filter::resources(&self.rules.load(), &self.facts(permit.bound(), walk, None, None), permit.bound(), &uris);
        if shown.iter().all(|shown| *shown) {
            return end;
        }
        let kept: Vec<&RawJson> = resources.iter().zip(shown).filter(|(_, shown)| *shown).map(|(entry, _)| entry).collect();
        let kept = RawJson::array(kept);
        let result = result.edited(|key, _| if key == list { Edit::Replace(kept.clone()) } else { Edit::Keep }, &[]);
        let body = end.body.content().edited(|key, _| if key == "result" { Edit::Replace(result.clone()) } else { Edit::Keep }, &[]);
        Final { body: screen::own(body), ..end }
    }
}

/// At a door where a client can ask for more, a call that only lacks a scope says which one: all that this call needs, no more
/// (DISC-03). Keys cannot be widened by asking.
fn at_door(denied: Denied, door: Door) -> Refusal {
    let scope = denied.missing().map(str::to_owned);
    let refusal = denied.refusal();
    match (scope, door, &refusal.wire) {
        (Some(scope), Door::OAuth, Wire::ToolResult) => Refusal { wire: Wire::InsufficientScope { scope }, ..refusal },
        _ => refusal,
    }
}

/// A server that does not answer now takes no right away; its stream ends by its own fault. What we cannot look up
/// ourselves, or what is not approved any more, ends it.
const fn takes_away(fault: &Fault) -> bool {
    match fault {
        Fault::Store | Fault::NotApproved => true,
        Fault::NoLease(why) => why.needs_person(),
        _ => false,
    }
}

fn too_many(wait: Duration) -> Refusal {
    let seconds = wait.as_secs().saturating_add(1);
    let refusal = Refusal::new(Station::Policy, "rate_limited", Blame::Caller, Wire::Http(429), "Too many requests. Slow down.");
    refusal.retry(Retry::After(Duration::from_secs(seconds)))
}

/// URIs of one subscription (SES-12).
const MOST_SUBSCRIPTIONS: usize = 1000;
