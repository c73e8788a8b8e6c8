//! `doorward connect` and `disconnect`: puts servers of MCP clients behind the gateway, and back (product 6.4).
//!
//! Nothing that is configured is started, nothing is approved, nothing is asked over the network. Entries become
//! `doorward bridge SERVER`, so no key stands in a client's file; what stood there moves into Doorward's keeping. Edits are patches of
//! text (`doorward-edit`), held against the scanner's own parser before they are shown; files are written in `exchange` alone.

mod apply;
mod journal;
pub(super) mod keep;
mod plan;
mod restore;
mod server;
mod show;
#[cfg(test)]
mod tests;

use crate::args::Global;
use crate::command::scan::own_layout;
use crate::command::server::file::Draft;
use crate::console::{Console, Sign, inert};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::question::{Answer, confirmed, somebody};
use crate::settings;
use crate::state;
use apply::Order;
use clap::Args;
use doorward_core::policy::facts::RiskClass;
use doorward_gateway::env::Env;
use doorward_scan::{Computer, Depth, Keeper, Os, Request, Target, clients, survey};
use journal::Desk;
use plan::{Wanted, Why};
use restore::{Config, Secrets};
use server::{Given, Known};
use std::path::{Path, PathBuf};

/// Below the state directory: the keys of the bridge, one for each server.
pub(in crate::command) const KEYS: &str = "bridge";

/// Options of `connect`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Whose servers.
    #[command(flatten)]
    pub whose: Whose,
    /// The servers of the project in this directory instead of the user's own
    #[arg(long)]
    pub project: bool,
    /// Take back what the last connect changed
    #[arg(long, conflicts_with_all = ["project", "grant"])]
    pub undo: bool,
    /// With --undo: put the secrets back into the files
    #[arg(long, requires = "undo")]
    pub with_secrets: bool,
    /// Classes of tools that the keys of the bridge may call: read, write, destructive
    #[arg(long, value_name = "CLASS", value_delimiter = ',', default_value = "read")]
    pub grant: Vec<String>,
    /// Whose the keys of the bridge are
    #[arg(long, value_name = "NAME", default_value = "admin")]
    pub user: String,
    /// How to go on.
    #[command(flatten)]
    pub steps: Steps,
}

/// Options of `disconnect`.
#[derive(Debug, Args)]
pub struct BackArguments {
    /// Whose servers.
    #[command(flatten)]
    pub whose: Whose,
    /// Put the secrets back into the files
    #[arg(long)]
    pub with_secrets: bool,
    /// How to go on.
    #[command(flatten)]
    pub steps: Steps,
}

/// Whose servers.
#[derive(Debug, Args)]
pub struct Whose {
    /// The client, by its id: claude-code, codex, cursor ...
    #[arg(value_name = "CLIENT", required_unless_present = "all", conflicts_with = "all")]
    pub client: Option<String>,
    /// Every client that is found
    #[arg(long)]
    pub all: bool,
    /// Only this server, by its name at the gateway
    #[arg(long, value_name = "SERVER")]
    pub server: Option<String>,
}

/// How to go on.
#[derive(Debug, Args)]
pub struct Steps {
    /// Show what would change, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do it without a question; approves no command and no tool
    #[arg(long)]
    pub yes: bool,
}

/// Connects, or takes the last connect back.
///
/// # Errors
/// [`Failure`], which says what was written and what was not.
pub fn connect(arguments: &Arguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let client = known(&arguments.whose)?;
    let state = state::directory(global)?;
    if arguments.undo {
        let secrets = if arguments.with_secrets { Secrets::Return } else { Secrets::Stay };
        let server = arguments.whose.server.as_deref();
        return back(restore::Wanted { client, server, secrets, config: Config::TakeBack }, &state, global, &arguments.steps, console);
    }
    whole(&journal::read(&state)?)?;
    if let Some(class) = arguments.grant.iter().find(|class| RiskClass::parse(class).is_none()) {
        let message = format!("\"{}\" is no class of tools", inert(class));
        return Err(Failure::new(Exit::Usage, "connect.grant", message, "read, write, destructive"));
    }
    let env = Env::system();
    let id = id(&env)?;
    let settings = settings::read(global, Vec::new())?;
    let draft = Draft::open(global)?;
    let program = own_program()?;
    let options = options(&state, &settings.loaded.config);
    let here = std::env::current_dir().ok();
    let loads = |given: &[Given]| loads(global, given);
    let mut servers = Known::new(&settings.loaded.config, &loads);
    let wanted = Wanted {
        client,
        server: arguments.whose.server.as_deref(),
        keeper: if arguments.project { Keeper::Project } else { Keeper::User },
        id: &id,
        state: &state,
        program: &program,
        options: &options,
        here: here.as_deref(),
    };
    let found = survey(&request(arguments.project, here.clone())?);
    let unread: Vec<String> = found.unread.iter().map(|one| format!("{}: {}", inert(&one.shown), one.meaning)).collect();
    let plan = plan::plan(found, &wanted, &mut servers);
    let mut draft = if plan.servers.is_empty() { None } else { Some(draft) };
    if let Some(draft) = &mut draft {
        for given in &plan.servers {
            draft.add(given.name.as_str(), given.table.clone())?;
        }
        settings::preview(draft.path(), &draft.after())?;
    }
    let config = draft.as_ref().map(|draft| {
        let lines = show::lines(draft.path(), draft.before().unwrap_or_default(), &draft.after(), &[]);
        (state::tilde(draft.path()), lines)
    });
    let config = config.as_ref().map(|(shown, lines)| (shown.as_str(), lines.clone()));
    let note = console.sign(Sign::Note);
    if show::is_json(console) {
        if arguments.steps.dry_run || plan.files.is_empty() {
            console.document(super::config::object(show::document(&plan, config.clone())));
        }
    } else {
        unread.iter().for_each(|line| console.say(format_args!("{note} {line}")));
        let backup = |path: &Path| state::tilde(&apply::backup_of(path, &id));
        show::plan(&plan, config.clone(), &backup, &state::tilde(&state.join(keep::SECRETS)), console);
    }
    let stuck = plan.left.iter().any(|one| matches!(one.why, Why::Cannot(_)));
    if plan.files.is_empty() {
        console.say("nothing was changed");
        return Ok(if stuck { Exit::Findings } else { Exit::Fine });
    }
    if arguments.steps.dry_run {
        console.say("a dry run: nothing was written");
        return Ok(Exit::Fine);
    }
    if !agreed(&arguments.steps, "Write this")? {
        console.say("nothing was written");
        return Ok(Exit::Findings);
    }
    state::prepare(&state)?;
    let desk = Desk::open(&state)?;
    whole(&desk.steps()?)?;
    let order = Order { id: &id, state: &state, global, grant: &arguments.grant, user: &arguments.user };
    let done = apply::apply(&plan, draft.as_ref(), &order, &desk)?;
    if show::is_json(console) {
        let mut document = super::config::object(show::document(&plan, config.clone()));
        document.insert("written".to_owned(), done.written.clone().into());
        console.document(document);
    } else {
        told(&plan, &done, console);
    }
    Ok(Exit::Fine)
}

/// No earlier step was interrupted.
fn whole(steps: &[journal::Step]) -> Result<(), Failure> {
    let Some(step) = apply::unfinished(steps) else { return Ok(()) };
    let message = format!("the connect of {} was interrupted", step.id.split('-').take(3).collect::<Vec<_>>().join("-"));
    Err(Failure::new(Exit::Integrity, "connect.interrupted", message, "take it back first: doorward connect --undo --all"))
}

/// Puts entries back as they were.
///
/// # Errors
/// [`Failure`], which says what was written and what was not.
pub fn disconnect(arguments: &BackArguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let client = known(&arguments.whose)?;
    let state = state::directory(global)?;
    let secrets = if arguments.with_secrets { Secrets::Return } else { Secrets::Stay };
    let server = arguments.whose.server.as_deref();
    back(restore::Wanted { client, server, secrets, config: Config::Leave }, &state, global, &arguments.steps, console)
}

fn back(wanted: restore::Wanted<'_>, state: &Path, global: &Global, steps: &Steps, console: &mut Console) -> Result<Exit, Failure> {
    let is_undo = wanted.config == Config::TakeBack;
    let all = journal::read(state)?;
    // An undo takes back the newest step in which something of this client's still counts.
    let of =
        |step: &&journal::Step| step.is_live() && wanted.client.is_none_or(|client| step.files.iter().any(|file| file.client == client));
    let chosen: Vec<journal::Step> = if is_undo { all.iter().rfind(of).cloned().into_iter().collect() } else { all.clone() };
    let plan = restore::plan(&all, wanted, &chosen);
    if show::is_json(console) {
        let files: Vec<_> = plan
            .files
            .iter()
            .map(|file| serde_json::json!({"file": file.shown, "entries": file.entries, "values_kept": file.stay.len()}))
            .collect();
        let left: Vec<_> =
            plan.left.iter().map(|(file, entry, why)| serde_json::json!({"file": file, "entry": entry, "why": why})).collect();
        console.document(super::config::object(serde_json::json!({"files": files, "left": left})));
    } else {
        show::returns(&plan, console);
    }
    let stuck = if plan.left.is_empty() { Exit::Fine } else { Exit::Findings };
    if plan.is_empty() {
        console.say("there is nothing to take back");
        return Ok(stuck);
    }
    if steps.dry_run {
        console.say("a dry run: nothing was written");
        return Ok(stuck);
    }
    if !agreed(steps, "Take this back")? {
        console.say("nothing was written");
        return Ok(Exit::Findings);
    }
    let desk = Desk::open(state)?;
    let known: Vec<String> = all.into_iter().map(|step| step.id).collect();
    let mut all = desk.steps()?;
    if !all.iter().map(|step| &step.id).eq(&known) {
        return Err(Failure::new(Exit::Unreachable, "connect.busy", "another doorward connect came in between", "say it again"));
    }
    let done = restore::apply(&plan, &mut all, global, state, &desk)?;
    let good = console.sign(Sign::Good);
    done.iter().for_each(|shown| console.say(format_args!("{good} as it was: {}", inert(shown))));
    if done.is_empty() {
        console.say(format_args!("{good} nothing had been changed; the step is closed"));
    }
    Ok(stuck)
}

fn known(whose: &Whose) -> Result<Option<&str>, Failure> {
    let Some(client) = whose.client.as_deref() else { return Ok(None) };
    if clients().any(|known| known.id == client) {
        return Ok(Some(client));
    }
    let all: Vec<&str> = clients().map(|client| client.id).collect();
    Err(Failure::new(Exit::Usage, "connect.client", format!("there is no client \"{}\"", inert(client)), all.join(" ")))
}

/// `2026-11-27T100211Z-1f2e3d4c`.
fn id(env: &Env) -> Result<String, Failure> {
    let stamp: String = env.now().to_string().split('.').next().unwrap_or_default().chars().filter(|c| *c != ':').collect();
    let no_random = |_| Failure::new(Exit::Internal, "random", "the system gives no random bytes", "try again");
    let random: String = env.bytes::<4>().map_err(no_random)?.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{stamp}Z-{random}"))
}

fn own_program() -> Result<String, Failure> {
    let unknown = || Failure::new(Exit::Unreachable, "connect.program", "nobody knows where this program is", "start it by its whole path");
    let path = std::env::current_exe().and_then(std::fs::canonicalize).map_err(|_| unknown())?;
    path.into_os_string().into_string().map_err(|_| unknown())
}

/// What the bridge has to be told besides the server, where it is not what it looks for itself.
fn options(state: &Path, config: &doorward_core::config::Config) -> Vec<String> {
    let mut options = Vec::new();
    let usual = std::env::home_dir().map(|home| home.join(".local/share/doorward"));
    if usual.as_deref() != Some(state) {
        options.extend(["--state".to_owned(), state.display().to_string()]);
    }
    if let Some(url) = &config.public_url {
        options.extend(["--gateway".to_owned(), url.as_str().trim_end_matches('/').to_owned()]);
    }
    options
}

fn loads(global: &Global, given: &[Given]) -> Result<(), String> {
    let mut draft = Draft::open(global).map_err(|failure| failure.summary())?;
    for one in given {
        draft.add(one.name.as_str(), one.table.clone()).map_err(|failure| failure.summary())?;
    }
    let wrong = |failure: Failure| format!("the gateway would not take it: {}", failure.first());
    settings::preview(draft.path(), &draft.after()).map(|_| ()).map_err(wrong)
}

fn request(project: bool, here: Option<PathBuf>) -> Result<Request, Failure> {
    let layout = own_layout(Os::here(), here.clone())?;
    let paths = here.filter(|_| project).map(|path| Target { path, depth: Depth::Top }).into_iter().collect();
    Ok(Request { layout, computer: if project { Computer::Leave } else { Computer::Read }, paths })
}

/// Whether somebody agrees. Where nobody sits, only `--yes` does.
fn agreed(steps: &Steps, question: &str) -> Result<bool, Failure> {
    if steps.yes {
        return Ok(true);
    }
    if somebody() == Answer::No {
        let help = "look at it with --dry-run, then say --yes";
        return Err(Failure::new(Exit::Usage, "connect.nobody", "nobody is here to agree, so nothing was written", help));
    }
    Ok(confirmed(question, Answer::No) == Answer::Yes)
}

fn told(plan: &plan::Plan, done: &apply::Done, console: &mut Console) {
    let good = console.sign(Sign::Good);
    done.written.iter().for_each(|shown| console.say(format_args!("{good} written: {}", inert(shown))));
    if !done.keys.is_empty() {
        console.say(format_args!("{good} keys of the bridge, for {}: {}", apply::LIFE, done.keys.join(", ")));
    }
    for given in &plan.servers {
        let command = if given.is_command { " --command" } else { "" };
        console.say(format_args!(
            "  Nothing of {0} is approved, so nobody sees a tool of it: doorward server approve {0}{command} --read-only",
            given.name
        ));
    }
    console.say("  Start the gateway anew, and the client. Take it back: doorward connect --undo --all");
}
