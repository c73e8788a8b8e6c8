//! What each server offers, read whole and kept: tool definitions with their approvals, prompts, templates (protocol 14; I9).
//!
//! Clients see the catalogue, never a list as a server sends it, so that what is listed is what was approved. Read again
//! when a server says that a list changed, and after a minute, whatever the server is; a definition of another content is
//! another digest and counts as not approved. One reader at a time for each server and era.
//!
//! That says nothing of a child process: one command may start another program each time. So each process says for itself
//! how it defines a tool before it runs it, and again after a minute (`proven`); where that is not what the caller was
//! permitted, nothing runs, and the catalogue is read again.

mod reading;

pub use reading::read;

use crate::Gateway;
use crate::errand::Errand;
use crate::upstream::Upstream;
use crate::upstream::fault::Fault;
use crate::upstream::own::Way;
use crate::upstream::pipe::OwnTools;
use crate::upstream::relay::{Final, Owner};
use crate::upstream::station::Reply;
use arc_swap::ArcSwapOption;
use doorward_core::audit::outcome::{Class, Notice};
use doorward_core::contract::{Contract, Promise};
use doorward_core::credential::{Outgoing, UpstreamSecret};
use doorward_core::id::{ServerName, ToolName, UserId};
use doorward_core::json::RawJson;
use doorward_core::json::write::{Edit, ObjectWriter};
use doorward_core::mcp::call::Method;
use doorward_core::mcp::error;
use doorward_core::mcp::headers::Mirrored;
use doorward_core::mcp::reply::RpcError;
use doorward_core::mcp::version::{Era, Version};
use doorward_core::policy::facts::{RiskClass, ToolFacts};
use doorward_core::screen::definition::{Judgement, judge};
use doorward_core::screen::{Means, Searcher};
use doorward_core::session::Bound;
use doorward_core::session::sealed::{Fresh, Purpose};
use quick_cache::sync::Cache;
use reading::{definition, distinct, is_said};
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

/// Catalogues of all servers.
#[derive(Debug)]
pub struct Catalogue {
    slots: Mutex<HashMap<(ServerName, Family), Arc<Slot>>>,
    /// Of servers that show each person something else.
    own: Cache<(ServerName, Family, UserId), Arc<Slot>>,
    /// Compiled schemas by the digest of their definition: a listing that is read again compiles nothing again.
    contracts: Cache<[u8; 32], Arc<Contract>>,
    /// What the screen thinks of definitions, by their digest (POL-03).
    judgements: Cache<[u8; 32], Arc<Judgement>>,
}

/// A server's definitions may differ between the eras.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Up to 2025-11-25.
    Legacy,
    /// 2026-07-28.
    Modern,
}

/// The catalogue of one server in one era.
#[derive(Debug, Default)]
struct Slot {
    /// What whoever reads it holds.
    held: Arc<tokio::sync::Mutex<Held>>,
    /// What calls take as it is, without waiting for one another.
    ready: ArcSwapOption<Ready>,
}

/// A listing with its approvals, and until when it counts.
#[derive(Debug)]
struct Ready {
    listing: Arc<Listing>,
    view: Arc<View>,
    generation: u64,
    read: Instant,
    epoch: u64,
}

#[derive(Debug, Default)]
struct Held {
    kept: Option<Kept>,
    view: Option<(Arc<View>, u64)>,
    /// Why and when the last reading failed: whoever waited for it shares its end instead of trying again in turn (FLT-04).
    failed: Option<(Fault, Instant)>,
}

#[derive(Debug)]
struct Kept {
    listing: Arc<Listing>,
    read: Instant,
    generation: u64,
}

/// What a server offers in one era.
#[derive(Debug)]
pub struct Listing {
    tools: Offered<Definition>,
    prompts: Offered<(String, RawJson)>,
    templates: Offered<RawJson>,
}

/// A list, or the error with which the server refuses it.
#[derive(Debug)]
pub enum Offered<T> {
    /// Its entries.
    Entries(Vec<T>),
    /// It has none.
    Refused(RpcError),
}

/// One tool as its server defines it.
#[derive(Debug)]
pub struct Definition {
    /// The whole definition.
    pub json: RawJson,
    /// Name.
    pub name: ToolName,
    /// Parameters that it mirrors into headers.
    pub mirrors: Vec<Mirrored>,
    /// Digest of the whole.
    pub digest: [u8; 32],
    /// What the server claims, a suggestion.
    pub claimed: RiskClass,
}

/// The approvals of the administrator over a listing.
#[derive(Debug)]
pub struct View {
    /// In the order of the definitions.
    pub tools: Vec<ToolFacts>,
    by_name: HashMap<String, usize>,
}

/// Whether something was known before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Before,
    Now,
}

/// One tool with its approval.
#[derive(Debug, Clone)]
pub struct Found {
    /// For the decision.
    pub facts: ToolFacts,
    /// For the headers.
    pub mirrors: Vec<Mirrored>,
    /// What arguments and results are held against; only for an approved definition, and where anybody looks.
    pub promise: Option<Promise>,
    /// The definition that was approved or not: what a process must say of itself before it runs the tool.
    pub definition: RawJson,
}

/// How old a listing may be, of a server or of one process.
const OLDEST: Duration = Duration::from_secs(60);
/// Entries of one page towards clients.
const PAGE: usize = 100;
/// All lists together may take as long as a call of the server, and at least this long.
const LEAST_READING: Duration = Duration::from_secs(10);
/// Definitions whose schemas stay compiled.
const MOST_CONTRACTS: usize = 4096;
/// Catalogues of single persons that are kept; the one that was not used for longest goes.
const MOST_OWN: usize = 1024;
/// Definitions of one reading that are told of on the record, each once.
const MOST_NOTICES: usize = 100;
const CURSOR_LIFE: Duration = Duration::from_secs(3600);

impl Family {
    /// The family of an era.
    #[must_use]
    pub const fn of(era: Era) -> Self {
        match era {
            Era::Legacy(_) => Self::Legacy,
            Era::Modern => Self::Modern,
        }
    }
}

impl Default for Catalogue {
    fn default() -> Self {
        Self {
            slots: Mutex::default(),
            own: Cache::new(MOST_OWN),
            contracts: Cache::new(MOST_CONTRACTS),
            judgements: Cache::new(MOST_CONTRACTS),
        }
    }
}

impl Catalogue {
    /// The schemas of a definition, compiled when they are first asked for (RPC-12).
    fn contract(&self, definition: &Definition) -> Arc<Contract> {
        if let Some(contract) = self.contracts.get(&definition.digest) {
            return contract;
        }
        let contract = Arc::new(Contract::of(&definition.json));
        for (schema, why) in contract.unusable() {
            tracing::warn!(tool = %definition.name, schema, %why, "a schema that was approved cannot be used");
        }
        self.contracts.insert(definition.digest, Arc::clone(&contract));
        contract
    }

    /// What the screen thinks of a definition, and whether it was not known before.
    fn judged(&self, searcher: &Searcher, definition: &Definition) -> (Arc<Judgement>, Known) {
        if let Some(known) = self.judgements.get(&definition.digest) {
            return (known, Known::Before);
        }
        let judgement = Arc::new(judge(searcher, &definition.json));
        self.judgements.insert(definition.digest, Arc::clone(&judgement));
        (judgement, Known::Now)
    }

    /// What is kept of a server; of what it shows this person, where each is somebody else there.
    fn slot(&self, server: &ServerName, family: Family, of: Option<&UserId>) -> Arc<Slot> {
        if let Some(user) = of {
            let key = (server.clone(), family, user.clone());
            return self.own.get_or_insert_with(&key, || Ok::<_, std::convert::Infallible>(Arc::default())).unwrap_or_default();
        }
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(slots.entry((server.clone(), family)).or_default())
    }
}

impl Slot {
    /// Lets calls take what was read and approved under this epoch.
    fn show(&self, held: &Held, view: &Arc<View>, epoch: u64) {
        let ready = held.kept.as_ref().map(|kept| {
            let (listing, view) = (Arc::clone(&kept.listing), Arc::clone(view));
            Arc::new(Ready { listing, view, generation: kept.generation, read: kept.read, epoch })
        });
        self.ready.store(ready);
    }
}

impl View {
    fn new(
        listing: &Listing,
        pins: &[doorward_store::Pin],
        rules: &doorward_core::config::ToolRules,
        mut judged: impl FnMut(&Definition) -> Arc<Judgement>,
    ) -> Self {
        let Offered::Entries(definitions) = &listing.tools else { return Self { tools: Vec::new(), by_name: HashMap::new() } };
        let tools: Vec<ToolFacts> = definitions
            .iter()
            .map(|tool| {
                let pin = pins.iter().find(|pin| pin.tool == tool.name && pin.digest == tool.digest);
                let class = rules.class(tool.name.as_str()).or_else(|| pin.map(|pin| pin.class)).unwrap_or(tool.claimed);
                // What a rule finds now, and nobody was shown who approved, waits for somebody who is (POL-03).
                let judgement = judged(tool);
                let was_seen = |rule: &&str| pin.is_some_and(|pin| pin.reviewed.iter().any(|seen| seen == rule));
                let is_fit = !judgement.is_high() || (!judgement.findings().is_empty() && judgement.rules().iter().all(was_seen));
                ToolFacts {
                    name: tool.name.clone(),
                    class,
                    approved: pin.is_some() && is_fit && rules.allowed(tool.name.as_str()),
                    digest: tool.digest,
                }
            })
            .collect();
        let by_name = tools.iter().enumerate().map(|(at, tool)| (tool.name.as_str().to_owned(), at)).collect();
        Self { tools, by_name }
    }
}

impl Listing {
    /// The tools, in the order of their names.
    #[must_use]
    pub fn tools(&self) -> &[Definition] {
        match &self.tools {
            Offered::Entries(tools) => tools,
            Offered::Refused(_) => &[],
        }
    }
}

impl Gateway {
    /// One tool of a server, as it is now and as it was approved.
    ///
    /// # Errors
    /// [`Fault`] when the server cannot be read.
    pub(crate) async fn tool(&self, bound: &Bound, era: Era, name: &str) -> Result<Option<Found>, Fault> {
        let server = bound.server();
        let (listing, view) = self.catalogue_of(server, Family::of(era), bound.caller().user()).await?;
        let Some(at) = view.by_name.get(name).copied() else { return Ok(None) };
        let (Some(facts), Some(definition)) = (view.tools.get(at), listing.tools().get(at)) else { return Ok(None) };
        // A tool that the configuration leaves out does not exist.
        let Some(upstream) = self.upstreams.find(server).filter(|upstream| upstream.config.tools.allowed(name)) else { return Ok(None) };
        let measure = upstream.config.arguments;
        // Also where nobody is held to it: what is covered in a result must not break its form.
        let promise = facts.approved.then(|| Promise { contract: self.catalogue.contract(definition), measure });
        Ok(Some(Found { facts: facts.clone(), mirrors: definition.mirrors.clone(), promise, definition: definition.json.clone() }))
    }

    /// Whether the process that is to run a tool defines it as it was permitted: it says so itself (I9).
    ///
    /// # Errors
    /// [`Fault::Changed`] where it does not, or what went wrong on the way. Nothing ran.
    pub(crate) async fn proven(&self, upstream: &Upstream, way: &Way, era: Era, permitted: &RawJson) -> Result<(), Fault> {
        let Way::Pipe(pipe) = way else { return Ok(()) };
        let name = permitted.member("name").and_then(|name| name.as_text().map(std::borrow::Cow::into_owned)).unwrap_or_default();
        let asked = Instant::now();
        let mut said = pipe.tools().await;
        let generation = upstream.generation.load(Ordering::Acquire);
        match said.as_ref().map(|said| (said, &said.by_name)) {
            Some((said, Some(by_name))) if said.generation == generation && said.read.elapsed() < OLDEST => {
                return if is_said(by_name.get(&name), permitted) { Ok(()) } else { Err(Fault::Changed) };
            }
            // Whoever waited for it shares its end instead of trying again in turn (FLT-04).
            Some((said, None)) if said.read >= asked => return Err(Fault::Unproven),
            _ => {}
        }
        let limit = upstream.config.timeout.max(LEAST_READING);
        let reading = upstream.whole_list(way, era, "tools/list", "tools");
        let Ok(Ok(listed)) = tokio::time::timeout(limit, reading).await else {
            *said = Some(OwnTools { read: Instant::now(), generation, by_name: None });
            return Err(Fault::Unproven);
        };
        // One that refuses the list says nothing of itself.
        let mut tools: Vec<Definition> =
            listed.unwrap_or_default().into_iter().filter_map(|json| definition(&upstream.config.name, json)).collect();
        distinct(&mut tools);
        let by_name: HashMap<String, RawJson> = tools.into_iter().map(|tool| (tool.name.as_str().to_owned(), tool.json)).collect();
        let is_proven = is_said(by_name.get(&name), permitted);
        // What one process is, the next ones are likely to be: the catalogue is read again. Once for each reading here, so
        // that nobody makes Doorward start a process for each call.
        let generation = if is_proven { generation } else { upstream.generation.fetch_add(1, Ordering::AcqRel) + 1 };
        *said = Some(OwnTools { read: Instant::now(), generation, by_name: Some(by_name) });
        if is_proven { Ok(()) } else { Err(Fault::Changed) }
    }

    /// The listing of a server in one era with its approvals, as it shows it to this person; read when there is none or it is old.
    ///
    /// # Errors
    /// [`Fault`] when the server cannot be read.
    pub async fn catalogue_of(&self, server: &ServerName, family: Family, user: &UserId) -> Result<(Arc<Listing>, Arc<View>), Fault> {
        let upstream = self.upstreams.find(server).cloned().ok_or(Fault::Internal("a server that is not configured"))?;
        let of = self.shown_to(server, user);
        let slot = self.catalogue.slot(server, family, of);
        let asked = Instant::now();
        if let Some(ready) = &*slot.ready.load()
            && ready.epoch == self.epoch.current()
            && ready.generation == upstream.generation.load(Ordering::Acquire)
            && asked.saturating_duration_since(ready.read) < OLDEST
        {
            return Ok((Arc::clone(&ready.listing), Arc::clone(&ready.view)));
        }
        let mut held = Arc::clone(&slot.held).lock_owned().await;
        if let Some((fault, _)) = held.failed.as_ref().filter(|(_, at)| *at >= asked) {
            return Err(fault.clone());
        }
        let epoch = self.epoch.current();
        // Noted before reading: a change during the reading counts for the next use.
        let generation = upstream.generation.load(Ordering::Acquire);
        let is_fresh = |kept: &&Kept| kept.generation == generation && kept.read.elapsed() < OLDEST;
        let mut fresh = held.kept.as_ref().filter(is_fresh).map(|kept| Arc::clone(&kept.listing));
        if fresh.is_none() {
            // No record, no effect: before a server or a command is touched (I2).
            let notice = Notice { reason: "catalogue_read", server: Some(server), user: of, ..Notice::default() };
            self.audit.event(&notice, self.env.now()).await.map_err(|_| Fault::Store)?;
            let mut secret = self.upkeep(server, of).await.map_err(Fault::NoLease)?;
            let (back, mut read) = self.read_supervised(&upstream, (secret.clone(), family), held).await?;
            held = back;
            if read.as_ref().is_err_and(|fault| *fault == Fault::Credential)
                && let Some(another) = self.anew((server, of), secret.as_ref()).await.map_err(Fault::NoLease)?
            {
                secret = Some(another);
                (held, read) = self.read_supervised(&upstream, (secret, family), held).await?;
            }
            fresh = Some(read?);
        }
        let listing = fresh.ok_or(Fault::Incomplete)?;
        if let Some((view, _)) = held.view.as_ref().filter(|(_, of)| *of == epoch) {
            let view = Arc::clone(view);
            slot.show(&held, &view, epoch);
            return Ok((listing, view));
        }
        let pins = self.store.pins(server).await.map_err(|_| Fault::Store)?;
        let mut suspicious = Vec::new();
        let view = View::new(&listing, &pins, &upstream.config.tools, |tool| {
            let (judgement, known) = self.catalogue.judged(&upstream.searcher, tool);
            if judgement.is_high() && known == Known::Now && suspicious.len() < MOST_NOTICES {
                suspicious.push((tool.name.clone(), Arc::clone(&judgement)));
            }
            judgement
        });
        let view = Arc::new(view);
        for (tool, judgement) in &suspicious {
            for rule in judgement.rules() {
                self.metrics.screened(rule, "quarantined");
            }
            let cause = format!("{tool}: {}", judgement.rules().join(", "));
            self.note(&Notice { reason: "definition_suspicious", server: Some(server), cause: Some(&cause), ..Notice::default() }).await;
        }
        held.view = Some((Arc::clone(&view), epoch));
        slot.show(&held, &view, epoch);
        Ok((listing, view))
    }

    /// Reads a server, in a task that holds the slot: a caller that hangs up leaves neither a session nor a process behind.
    async fn read_supervised(
        &self,
        upstream: &Arc<Upstream>,
        (secret, family): (Option<Arc<UpstreamSecret>>, Family),
        mut held: OwnedMutexGuard<Held>,
    ) -> Result<(OwnedMutexGuard<Held>, Result<Arc<Listing>, Fault>), Fault> {
        let (audit, env, of, generation) =
            (self.audit.clone(), self.env.clone(), Arc::clone(upstream), upstream.generation.load(Ordering::Acquire));
        let (tasks, approved) = (self.processes.clone(), self.approved_launch(upstream).await?);
        let reading = Box::pin(self.tasks.run(async move {
            held.view = None;
            let read = read(&of, &tasks, secret, approved, family).await.map(Arc::new);
            match &read {
                Ok(listing) => {
                    held.kept = Some(Kept { listing: Arc::clone(listing), read: Instant::now(), generation });
                    held.failed = None;
                }
                Err(fault) => {
                    held.failed = Some((fault.clone(), Instant::now()));
                    let (server, cause) = (Some(&of.config.name), Some(fault.reason()));
                    let notice = Notice { reason: "catalogue_failed", server, cause, ..Notice::default() };
                    if audit.event(&notice, env.now()).await.is_err() {
                        tracing::error!(reason = notice.reason, "an event could not be recorded");
                    }
                }
            }
            (held, read)
        }));
        reading.await.map_err(|_| Fault::Internal("a task that failed"))
    }

    /// Answers a list of the catalogue, filtered by the same decision that guards the call.
    pub(crate) async fn listed(&self, outgoing: &Outgoing<'_>, errand: &Errand) -> Result<Reply, Fault> {
        let (call, bound) = (outgoing.call(), outgoing.bound());
        let (listing, view) = self.catalogue_of(bound.server(), Family::of(call.era()), bound.caller().user()).await?;
        let id = call.rpc_id().unwrap_or_default();
        let secret = outgoing.secret();
        // Pages are bounded by their number of entries and by what a catalogue may hold.
        let means = self.desk.screen_of(bound.server(), secret.as_deref()).ok_or(Fault::Incomplete)?;
        // Definitions of tools were judged before they were approved: whoever sees them sees what was approved, to the byte.
        let approved = means.screen.for_approved();
        let means = Means { limit: usize::MAX, ..means };
        let refused = |error: &RpcError| {
            let status = if call.era() == Era::Modern && error.code == i64::from(error::METHOD_NOT_FOUND) { 404 } else { 200 };
            let body = error::body(Some(&id), i32::try_from(error.code).unwrap_or(error::INTERNAL), &error.message, error.data.as_ref());
            // Nobody approved the words of an error, whatever was asked.
            Final { status, ..Final::screened(&id, body, (Class::RpcError, Some("upstream_error")), &means) }
        };
        let after = errand.opened().cursor.as_deref();
        let (member, entries) = match call.method() {
            Method::ToolsList => match &listing.tools {
                Offered::Refused(error) => return Ok(Reply::Whole(refused(error), None)),
                Offered::Entries(tools) => {
                    let shown = self.shown_tools(bound, errand, &view);
                    let entries = tools.iter().zip(&view.tools).zip(shown).filter(|((_, facts), shown)| *shown && facts.approved);
                    ("tools", entries.map(|((tool, _), _)| (tool.name.as_str(), shaped(&tool.json, call.era()))).collect::<Vec<_>>())
                }
            },
            Method::PromptsList => match &listing.prompts {
                Offered::Refused(error) => return Ok(Reply::Whole(refused(error), None)),
                Offered::Entries(prompts) => {
                    let names: Vec<&str> = prompts.iter().map(|(name, _)| name.as_str()).collect();
                    let shown = self.shown_prompts(bound, errand, &names);
                    (
                        "prompts",
                        prompts
                            .iter()
                            .zip(shown)
                            .filter(|(_, shown)| *shown)
                            .map(|((name, json), _)| (name.as_str(), json.clone()))
                            .collect(),
                    )
                }
            },
            _ => match &listing.templates {
                Offered::Refused(error) => return Ok(Reply::Whole(refused(error), None)),
                Offered::Entries(templates) => ("resourceTemplates", templates.iter().map(|json| ("", json.clone())).collect()),
            },
        };
        let (page, next) = page(entries, after);
        let mut result = ObjectWriter::with_capacity(256 + page.iter().map(|json| json.as_bytes().len() + 1).sum::<usize>());
        result.raw(member, &RawJson::array(&page));
        let next = next.map(|next| self.sealed_position(outgoing, &next)).transpose()?;
        if let Some(next) = &next {
            result.text("nextCursor", next);
        }
        if call.era() == Era::Modern {
            result.text("resultType", "complete").integer("ttlMs", 0).text("cacheScope", "private");
        }
        let ours: Vec<&str> = next.as_deref().into_iter().collect();
        let screen = if call.method() == Method::ToolsList { &approved } else { means.screen };
        let means = Means { screen, ours: &ours, ..means };
        Ok(Reply::Whole(Final::screened(&id, error::result(&id, &result.finish()), (Class::Completed, None), &means), None))
    }

    pub(crate) fn sealed_position(&self, outgoing: &Outgoing<'_>, position: &str) -> Result<String, Fault> {
        let owner = Owner::of(outgoing.bound());
        let random = |_| Fault::Store;
        let fresh = Fresh { nonce: self.env.bytes().map_err(random)?, jti: self.env.bytes().map_err(random)? };
        let binding = owner.binding(outgoing.call().method().as_str(), &[0; 32]);
        self.desk.sealing.seal(Purpose::Cursor, binding, position, fresh, self.env.now().after(CURSOR_LIFE)).map_err(|_| Fault::Store)
    }
}

/// The entries after a position, at most a page of them, and the position of the last where more follow. A position is a
/// name, not an index, so that it survives changes of the list; entries without names are never cut.
fn page(entries: Vec<(&str, RawJson)>, after: Option<&str>) -> (Vec<RawJson>, Option<String>) {
    let rest: Vec<(&str, RawJson)> = entries.into_iter().filter(|(name, _)| after.is_none_or(|after| *name > after)).collect();
    let next = rest.get(PAGE - 1).filter(|(name, _)| rest.len() > PAGE && !name.is_empty()).map(|(name, _)| (*name).to_owned());
    let take = if next.is_some() { PAGE } else { rest.len() };
    (rest.into_iter().take(take).map(|(_, json)| json).collect(), next)
}

/// A definition as a client of this version may read it (protocol 16.2, result shape by revision).
fn shaped(json: &RawJson, era: Era) -> RawJson {
    match era {
        Era::Legacy(version) if version < Version::V2025_11_25 => {
            json.edited(|key, _| if matches!(key, "icons" | "execution") { Edit::Drop } else { Edit::Keep }, &[])
        }
        _ => json.clone(),
    }
}
