//! `doorward server`: the servers behind the gateway, their tool definitions and the approvals of both (I9).

pub(in crate::command) mod add;
mod definitions;
mod diff;
pub(in crate::command) mod file;
pub(in crate::command) mod import;
mod install;
mod own;
mod show;
mod suspicion;

use crate::args::Global;
use crate::command::apikey::unavailable;
use crate::console::{Console, Form, Sign, counted, inert};
use crate::example;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::house::{self, House};
use clap::{Args, Subcommand};
use doorward_core::config::Target;
use doorward_core::contract::{Contract, Measure};
use doorward_core::credential::UpstreamSecret;
use doorward_core::id::ServerName;
use doorward_core::launch::{Problem, Ruling, rule};
use doorward_core::policy::facts::RiskClass;
use doorward_core::screen::definition::judge;
use doorward_core::time::Timestamp;
use doorward_gateway::catalogue::{self, Definition, Family};
use doorward_gateway::setup;
use doorward_gateway::tasks::Tasks;
use doorward_gateway::upstream::fault::Fault;
use doorward_gateway::upstream::stdio::package;
use doorward_gateway::upstream::{Reached, Upstream};
use doorward_store::{Pin, Store};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a server into the configuration, look at it and approve its tools
    Add(add::Arguments),
    /// Write the server of a registry's server.json into the configuration
    Import(import::Arguments),
    /// Keep a checked copy of the package that the command of a server would fetch
    Install(install::Arguments),
    /// Take a server out of the configuration, and back what was approved of it
    Remove(add::RemoveArguments),
    /// List the configured servers and what is approved of them
    List,
    /// Print the configuration of a server and what is approved of it
    Show(NameArguments),
    /// Connect to a server and show what changed since it was approved
    Diff(AsArguments),
    /// Connect to a server and show what it offers; approves nothing
    Test(AsArguments),
    /// Approve the command and the tool definitions of a server as they are now
    Approve(ApproveArguments),
    /// Take back approvals
    Withdraw(NameArguments),
}

/// A server.
#[derive(Debug, Args)]
pub struct NameArguments {
    /// Its name in the configuration
    #[arg(value_name = "NAME")]
    pub name: String,
}

/// A server, and as whom it is asked.
#[derive(Debug, Args)]
pub struct AsArguments {
    /// Its name in the configuration
    #[arg(value_name = "NAME")]
    pub name: String,
    #[command(flatten)]
    pub whose: Whose,
}

/// Whose account a server is asked with, where each person has their own.
#[derive(Debug, Args)]
pub struct Whose {
    /// With the account of this person, where each has their own (IDP/SUBJECT, as doorward users list writes it)
    #[arg(long = "as", value_name = "PERSON")]
    pub person: Option<String>,
}

/// Options of `server approve`.
#[derive(Debug, Args)]
pub struct ApproveArguments {
    /// Its name in the configuration
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Every tool (of a command that is approved already, or with --command)
    #[arg(long, conflicts_with_all = ["read_only", "tools"])]
    pub all: bool,
    /// Only tools that claim to change nothing
    #[arg(long, conflicts_with = "tools")]
    pub read_only: bool,
    /// These tools; repeat for several
    #[arg(long = "tool", value_name = "TOOL")]
    pub tools: Vec<String>,
    /// The command of a stdio server was looked at and may run
    #[arg(long)]
    pub command: bool,
    /// With --tool: the suspicious definition with this digest was read, as `server test` showed it; repeat for several
    #[arg(long, value_name = "DIGEST", requires = "tools")]
    pub reviewed: Vec<String>,
    #[command(flatten)]
    pub whose: Whose,
}

struct Opened {
    house: House,
    store: Store,
    upstream: Upstream,
    secret: Option<Arc<UpstreamSecret>>,
    tasks: Tasks,
    _scratch: Scratch,
    built_in: Option<example::Running>,
}

/// Runs a subcommand.
///
/// # Errors
/// [`Failure`].
pub fn run(command: &Command, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    match command {
        Command::Add(arguments) => return add::run(arguments, global, console),
        Command::Import(arguments) => return import::run(arguments, global, console),
        Command::Install(arguments) => return install::run(arguments, global, console),
        Command::Remove(arguments) => return add::remove(arguments, global, console),
        _ => {}
    }
    let house = House::open(global)?;
    house::runtime()?.block_on(async {
        match command {
            Command::Add(_) | Command::Import(_) | Command::Install(_) | Command::Remove(_) => Ok(Exit::Fine),
            Command::Show(arguments) => show::run(&house, &arguments.name, console).await,
            Command::Diff(arguments) => diff::run(open(house, &arguments.name, Some(&arguments.whose)).await?, console).await,
            Command::List => list(&house, console).await,
            Command::Test(arguments) => test(open(house, &arguments.name, Some(&arguments.whose)).await?, console).await,
            Command::Approve(arguments) => approve(open(house, &arguments.name, Some(&arguments.whose)).await?, arguments, console).await,
            Command::Withdraw(arguments) => withdraw(open(house, &arguments.name, None).await?, console).await,
        }
    })
}

/// Files of the processes that one command starts, apart from a gateway that may be running on the same state directory. They
/// go with it, also when it fails.
struct Scratch(PathBuf);

impl Scratch {
    fn of(house: &House) -> Self {
        Self(house.state.join(format!("once-{}", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// `whose` is there where the server is going to be asked.
async fn open(house: House, name: &str, whose: Option<&Whose>) -> Result<Opened, Failure> {
    let mut house = house;
    let built_in = house.serve_built_in()?;
    let tasks = Tasks::new();
    let store = house.store().await?;
    let scratch = Scratch::of(&house);
    let servers = setup::servers(house.config(), &scratch.0, &package::home(&house.state), &house.sources, &house.env, &tasks)
        .map_err(house::failed)?;
    let found = servers.into_iter().find(|(upstream, _)| upstream.config.name.as_str() == name);
    let (upstream, broker) = found.ok_or_else(|| {
        Failure::new(Exit::Usage, "server.unknown", format!("there is no server \"{}\"", inert(name)), "see doorward server list")
    })?;
    let secret = match whose {
        Some(whose) => own::secret(&house, &store, (&upstream.config.name, &broker), whose).await?,
        None => None,
    };
    Ok(Opened { house, store, upstream, secret, tasks, _scratch: scratch, built_in })
}

async fn list(house: &House, console: &mut Console) -> Result<Exit, Failure> {
    let store = house.store().await?;
    let mut rows = Vec::new();
    for server in house.config().servers.values() {
        let pins = store.pins(&server.name).await.map_err(|error| unavailable(&error))?;
        let mut tools: Vec<&str> = pins.iter().map(|pin| pin.tool.as_str()).collect();
        tools.sort_unstable();
        tools.dedup();
        let place = match &server.target {
            Target::Http { url } => url.to_string(),
            Target::Stdio(command) => command.argv.join(" "),
        };
        rows.push((server.name.clone(), place, tools.len(), server.enabled));
    }
    if console.form() == Form::Json {
        let rows: Vec<serde_json::Value> = rows
            .iter()
            .map(|(name, place, tools, on)| json!({"name": name.as_str(), "target": place, "approved_tools": tools, "enabled": on}))
            .collect();
        console.document(super::config::object(json!({"servers": rows})));
        return Ok(Exit::Fine);
    }
    for (name, place, tools, enabled) in &rows {
        let off = if *enabled { "" } else { "  (disabled)" };
        console.line(format_args!("{:<16} {tools:>4} approved  {}{off}", name.as_str(), inert(place)));
    }
    if rows.is_empty() {
        console.say("no servers yet: doorward server add NAME URL");
    }
    Ok(Exit::Fine)
}

impl Opened {
    /// Whether the policy lets its command start. What it lets start with a warning comes back (STD-08).
    fn may_start(&self) -> Result<Option<Problem>, Failure> {
        let Target::Stdio(command) = &self.upstream.config.target else { return Ok(None) };
        match rule(command.runners, self.upstream.config.name.as_str(), &command.argv, command.integrity.as_ref()) {
            Ruling::Fine => Ok(None),
            Ruling::Warned(problem) => Ok(Some(problem)),
            Ruling::Refused(Problem { what, fix }) => Err(Failure::new(Exit::Findings, "server.unpinned", inert(&what), inert(&fix))),
        }
    }

    /// Says what a person should know before they approve the command.
    fn warn(&self, console: &mut Console) -> Result<(), Failure> {
        if let Some(Problem { what, fix }) = self.may_start()? {
            let note = console.sign(Sign::Note);
            console.say(format_args!("{note} {}", inert(&what)));
            console.say(format_args!("  help: {}", inert(&fix)));
        }
        Ok(())
    }

    /// What the server offers. A command that nobody approved does not run for it (I9).
    async fn definitions(&self) -> Result<Vec<(Family, catalogue::Listing)>, Failure> {
        self.may_start()?;
        let name = &self.upstream.config.name;
        let approved = match &self.upstream.reach {
            Reached::Http(_) => None,
            Reached::Stdio(stdio) => {
                let digest = stdio.digest(name);
                let known = match &digest {
                    Some(digest) => self.store.launch_approved(name, digest).await.map_err(|error| unavailable(&error))?,
                    None => false,
                };
                if !known {
                    let help =
                        format!("look at it: doorward server show {name}, then: doorward server approve {name} --command --read-only");
                    return Err(Failure::new(Exit::Findings, "server.not_approved", "the command of this server is not approved", help));
                }
                digest
            }
        };
        definitions(&self.upstream, self.secret.as_ref(), &self.tasks, approved).await
    }

    async fn close(self) {
        if let Reached::Stdio(stdio) = &self.upstream.reach {
            stdio.launcher.stop(Duration::from_secs(10)).await;
        }
        drop(self.built_in);
        self.tasks.stop(Duration::from_secs(5)).await;
        self.store.close().await;
    }
}

/// Definitions in each era that the server speaks.
async fn definitions(
    upstream: &Upstream,
    secret: Option<&Arc<UpstreamSecret>>,
    tasks: &Tasks,
    approved: Option<[u8; 32]>,
) -> Result<Vec<(Family, catalogue::Listing)>, Failure> {
    let name = &upstream.config.name;
    let mut found = Vec::new();
    let mut last = None;
    for family in [Family::Modern, Family::Legacy] {
        match catalogue::read(upstream, tasks, secret.cloned(), approved, family).await {
            Ok(listing) => found.push((family, listing)),
            Err(fault) => last = Some(fault),
        }
    }
    match last {
        Some(fault) if found.is_empty() => Err(unreachable(name, &fault)),
        _ => Ok(found),
    }
}

/// Approves every tool of the named servers as it is now, in the name of `by`: for servers whose definitions are our own.
///
/// # Errors
/// [`Failure`] when one cannot be read, or the store takes nothing.
pub async fn approve_own(house: &House, store: &Store, names: &[&str], by: &str) -> Result<(), Failure> {
    let tasks = Tasks::new();
    let scratch = Scratch::of(house);
    let servers = setup::servers(house.config(), &scratch.0, &package::home(&house.state), &house.sources, &house.env, &tasks)
        .map_err(house::failed)?;
    for (upstream, broker) in servers.iter().filter(|(upstream, _)| names.contains(&upstream.config.name.as_str())) {
        let found = definitions(upstream, broker.fixed().as_ref(), &tasks, None).await?;
        let pins = pins(&found, by, house.env.now(), |_| true);
        store.approve(&upstream.config.name, &pins).await.map_err(|error| unavailable(&error))?;
    }
    tasks.stop(Duration::from_secs(5)).await;
    Ok(())
}

/// Approvals of the definitions that are wanted, each once.
fn pins(found: &[(Family, catalogue::Listing)], by: &str, at: Timestamp, wanted: impl Fn(&Definition) -> bool) -> Vec<Pin> {
    let mut pins: Vec<Pin> = Vec::new();
    for tool in found.iter().flat_map(|(_, listing)| listing.tools()).filter(|tool| wanted(tool)) {
        if !pins.iter().any(|pin| pin.tool == tool.name && pin.digest == tool.digest) {
            pins.push(Pin {
                tool: tool.name.clone(),
                digest: tool.digest,
                class: tool.claimed,
                by: by.to_owned(),
                at,
                reviewed: Vec::new(),
            });
        }
    }
    pins
}

async fn test(opened: Opened, console: &mut Console) -> Result<Exit, Failure> {
    let name = opened.upstream.config.name.clone();
    let pins = opened.store.pins(&name).await.map_err(|error| unavailable(&error))?;
    let found = opened.definitions().await?;
    for (family, listing) in &found {
        let good = console.sign(Sign::Good);
        let era = match family {
            Family::Modern => "2026-07-28",
            Family::Legacy => "up to 2025-11-25",
        };
        console.line(format_args!("{good} {name} speaks {era}: {} tools", listing.tools().len()));
        for tool in listing.tools() {
            let state = if pins.iter().any(|pin| pin.tool == tool.name && pin.digest == tool.digest) {
                "approved"
            } else if pins.iter().any(|pin| pin.tool == tool.name) {
                "changed since it was approved"
            } else {
                "not approved"
            };
            console.line(format_args!("    {:<40} {:<12} {state}", inert(tool.name.as_str()), tool.claimed.as_str()));
            suspicion::tell(&judge(&opened.upstream.searcher, &tool.json), tool, console);
        }
    }
    opened.close().await;
    Ok(Exit::Fine)
}

async fn approve(opened: Opened, arguments: &ApproveArguments, console: &mut Console) -> Result<Exit, Failure> {
    let now = opened.house.env.now();
    let name = opened.upstream.config.name.clone();
    opened.warn(console)?;
    if let (Target::Stdio(command), Reached::Stdio(stdio)) = (&opened.upstream.config.target, &opened.upstream.reach) {
        let digest = stdio
            .digest(&name)
            .ok_or_else(|| Failure::new(Exit::Configuration, "server.command", "the command cannot be run", "see doorward config check"))?;
        if !arguments.command && !matches!(opened.store.launch_approved(&name, &digest).await, Ok(true)) {
            console.say(format_args!("{name} would run:\n    {}", inert(&command.argv.join(" "))));
            let help = format!("look at it, then: doorward server approve {name} --command --read-only");
            return Err(Failure::new(Exit::Findings, "server.not_approved", "the command of this server is not approved", help));
        }
        opened.store.approve_launch(&name, digest, BY, now).await.map_err(|error| unavailable(&error))?;
    }
    let found = opened.definitions().await?;
    let choice = match (arguments.all, arguments.read_only) {
        (true, _) => Choice::All,
        (false, true) => Choice::Read,
        (false, false) => Choice::Named { names: &arguments.tools, reviewed: &arguments.reviewed },
    };
    let Pinned { pins, left_out } = pin(&opened, &found, &choice, console).await?;
    approved(&name, &pins, console);
    unusable(&opened, &found, &pins, console);
    opened.close().await;
    Ok(if left_out == 0 { Exit::Fine } else { Exit::Findings })
}

/// Which tools are approved.
#[derive(Debug)]
enum Choice<'a> {
    All,
    Read,
    Named { names: &'a [String], reviewed: &'a [String] },
}

/// What was approved, and how many definitions were not for what they say.
struct Pinned {
    pins: Vec<Pin>,
    left_out: usize,
}

/// Approves the tools that were chosen, as the server defines them now, and keeps the text of their definitions.
/// One that tells a model what to do is approved only by its digest, which whoever was shown it has (POL-03).
async fn pin(
    opened: &Opened,
    found: &[(Family, catalogue::Listing)],
    choice: &Choice<'_>,
    console: &mut Console,
) -> Result<Pinned, Failure> {
    let now = opened.house.env.now();
    let name = &opened.upstream.config.name;
    let wanted = |tool: &Definition| match choice {
        Choice::All => true,
        Choice::Read => tool.claimed == RiskClass::Read,
        Choice::Named { names, .. } => names.iter().any(|wanted| wanted == tool.name.as_str()),
    };
    let reviewed: &[String] = if let Choice::Named { reviewed, .. } = choice { reviewed } else { &[] };
    let mut pins: Vec<Pin> = Vec::new();
    let mut left_out: BTreeSet<[u8; 32]> = BTreeSet::new();
    for tool in found.iter().flat_map(|(_, listing)| listing.tools()).filter(|tool| wanted(tool)) {
        if !pins.iter().any(|pin| pin.tool == tool.name && pin.digest == tool.digest) {
            let judgement = judge(&opened.upstream.searcher, &tool.json);
            if judgement.is_high() && !reviewed.iter().any(|digest| suspicion::names(digest, &tool.digest)) {
                if left_out.insert(tool.digest) {
                    suspicion::left_out(name, &judgement, tool, console);
                }
                continue;
            }
            // Nobody was shown what is not enough to keep a tool back.
            let shown = if judgement.is_high() { judgement.rules() } else { Vec::new() };
            let reviewed = shown.into_iter().map(str::to_owned).collect();
            definitions::keep(&opened.house.state, name, &tool.digest, &tool.json).map_err(|error| {
                Failure::new(Exit::Unreachable, "server.definitions", "the definitions cannot be kept", "check the state directory")
                    .because(crate::settings::reason(&error))
            })?;
            pins.push(Pin { tool: tool.name.clone(), digest: tool.digest, class: tool.claimed, by: BY.to_owned(), at: now, reviewed });
        }
    }
    opened.store.approve(name, &pins).await.map_err(|error| unavailable(&error))?;
    Ok(Pinned { pins, left_out: left_out.len() })
}

/// Who approves here.
const BY: &str = "command line";

fn approved(name: &ServerName, pins: &[Pin], console: &mut Console) {
    let mut names: Vec<&str> = pins.iter().map(|pin| pin.tool.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let good = console.sign(Sign::Good);
    if console.form() == Form::Json {
        console.document(super::config::object(json!({"server": name.as_str(), "approved": names})));
    } else {
        let tools = counted(u64::try_from(names.len()).unwrap_or(u64::MAX), "tool");
        console.line(format_args!("{good} approved of {name}, as it defines them now: {tools}"));
        let mut shown: Vec<&Pin> = Vec::new();
        for pin in pins {
            if !shown.iter().any(|other| other.tool == pin.tool) {
                console.say(format_args!("    {:<12} {}", pin.class.as_str(), inert(pin.tool.as_str())));
                shown.push(pin);
            }
        }
    }
    if names.is_empty() {
        console.say(format_args!("  nothing was chosen: doorward server approve {name} --all, --read-only or --tool NAME"));
    }
}

/// Schemas that were approved and cannot be used: nothing is held against them, and with `arguments = "strict"` no call of their
/// tools is served (RPC-12).
fn unusable(opened: &Opened, found: &[(Family, catalogue::Listing)], pins: &[Pin], console: &mut Console) {
    let what = match opened.upstream.config.arguments {
        Measure::Refuse => "its calls are refused",
        Measure::Flag => "its calls are flagged",
        Measure::Off => return,
    };
    let mut told = BTreeSet::new();
    for tool in found.iter().flat_map(|(_, listing)| listing.tools()) {
        let is_approved = pins.iter().any(|pin| pin.tool == tool.name && pin.digest == tool.digest);
        if !is_approved || !told.insert(tool.digest) {
            continue;
        }
        for (schema, why) in Contract::of(&tool.json).unusable() {
            let note = console.sign(Sign::Note);
            console.say(format_args!("{note} {}: {schema} cannot be used, {why}: {what}", inert(tool.name.as_str())));
        }
    }
}

async fn withdraw(opened: Opened, console: &mut Console) -> Result<Exit, Failure> {
    let now = opened.house.env.now();
    let name = opened.upstream.config.name.clone();
    let gone = opened.store.withdraw(&name, None, now).await.map_err(|error| unavailable(&error))?;
    if let Reached::Stdio(stdio) = &opened.upstream.reach
        && let Some(digest) = stdio.digest(&name)
    {
        opened.store.withdraw_launch(&name, &digest, now).await.map_err(|error| unavailable(&error))?;
    }
    let good = console.sign(Sign::Good);
    console.line(format_args!("{good} {gone} approvals of {name} taken back"));
    opened.close().await;
    Ok(Exit::Fine)
}

fn unreachable(server: &ServerName, fault: &Fault) -> Failure {
    let refusal = fault.refusal(server.as_str());
    let why = refusal.private.unwrap_or(refusal.public);
    Failure::new(
        Exit::Unreachable,
        "server.unreachable",
        format!("{server} cannot be read"),
        "check its url or command, its credential and its era",
    )
    .because(why)
}
