//! `doorward server add` and `remove`: one table of the configuration file, and the approvals that belong to it.

use super::file::Draft;
use super::{BY, Choice, Opened, Pinned, approved, open, pin, unusable};
use crate::args::Global;
use crate::command::apikey::unavailable;
use crate::console::{Console, Sign, counted, inert};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::house::{self, House};
use crate::question::{Answer, ask, confirmed, somebody};
use clap::Args;
use doorward_core::config::Target;
use doorward_core::id::ServerName;
use doorward_core::policy::facts::RiskClass;
use doorward_gateway::upstream::Reached;
use std::path::{Path, PathBuf};
use toml_edit::{Array, InlineTable, Table, Value, value};

/// Options of `server add`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// What it is called: small letters, digits and -
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Its MCP endpoint
    #[arg(value_name = "URL", required_unless_present = "command", conflicts_with = "command")]
    pub url: Option<String>,
    /// Reference to the value of its Authorization header: env:NAME or file:PATH
    #[arg(long, value_name = "REFERENCE", conflicts_with = "command")]
    pub authorization: Option<String>,
    /// A variable for the command, with a reference to its value; repeat for several
    #[arg(long = "env", value_name = "NAME=REFERENCE", requires = "command")]
    pub env: Vec<String>,
    /// How to go on.
    #[command(flatten)]
    pub steps: Steps,
    /// A command that speaks MCP on stdio
    #[arg(value_name = "COMMAND", last = true)]
    pub command: Vec<String>,
}

/// Options of every command that adds a server.
#[derive(Debug, Args)]
pub struct Steps {
    /// Approve every tool as it is now
    #[arg(long, conflicts_with = "read_only")]
    pub all: bool,
    /// Approve the tools that claim to change nothing
    #[arg(long)]
    pub read_only: bool,
    /// The command was looked at and may run
    #[arg(long)]
    pub approve_command: bool,
    /// Show what would be written, and stop
    #[arg(long)]
    pub dry_run: bool,
}

/// Options of `server remove`.
#[derive(Debug, Args)]
pub struct RemoveArguments {
    /// Its name in the configuration
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Show what would be written, and stop
    #[arg(long)]
    pub dry_run: bool,
}

/// Adds a server.
///
/// # Errors
/// [`Failure`]; what was written is said before.
pub(super) fn run(arguments: &Arguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let mut table = Table::new();
    match &arguments.url {
        Some(url) => {
            table.insert("url", value(url));
            if let Some(reference) = &arguments.authorization {
                table.insert("credential", value(credential("Authorization", reference)));
            }
        }
        None => {
            table.insert("command", value(command(&arguments.command)?));
            let mut env = InlineTable::new();
            for pair in &arguments.env {
                let (name, reference) = pair.split_once('=').ok_or_else(|| {
                    Failure::new(Exit::Usage, "server.env", "--env is NAME=REFERENCE", "for example --env GITHUB_TOKEN=env:GITHUB_TOKEN")
                })?;
                env.insert(name, Value::from(reference));
            }
            if !env.is_empty() {
                table.insert("env", value(env));
            }
        }
    }
    put(&arguments.name, table, &arguments.steps, global, console)
}

/// A credential that is one header.
pub(in crate::command) fn credential(name: &str, reference: &str) -> InlineTable {
    let mut credential = InlineTable::new();
    credential.insert("kind", Value::from("header"));
    credential.insert("name", Value::from(name));
    credential.insert("value", Value::from(reference));
    credential
}

/// A command with its program where it is now: the configuration names no program by search path.
pub(in crate::command) fn command(argv: &[String]) -> Result<Array, Failure> {
    let (program, rest) =
        argv.split_first().ok_or_else(|| Failure::new(Exit::Usage, "server.command", "there is no command", "-- COMMAND..."))?;
    let path = if program.contains('/') { std::path::absolute(program).ok() } else { found(program) };
    let path = path.filter(|path| path.is_file()).ok_or_else(|| {
        let message = format!("there is no program \"{}\"", inert(program));
        Failure::new(Exit::Usage, "server.command", message, "install it, or give its absolute path")
    })?;
    let mut array = Array::new();
    array.push(path.display().to_string());
    array.extend(rest.iter().map(String::as_str));
    Ok(array)
}

fn found(program: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = std::env::var_os("PATH")?;
    let runs = |path: &Path| std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0);
    std::env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(program))
        .find(|path| runs(path))
}

/// Writes a server into the configuration, connects to it and asks what of it is approved.
pub(super) fn put(name: &str, table: Table, steps: &Steps, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let server = ServerName::new(name).map_err(|_| {
        let message = format!("\"{}\" is no name of a server", inert(name));
        Failure::new(Exit::Usage, "server.name", message, "1 to 31 small letters, digits and -, beginning with a letter or digit")
    })?;
    let mut draft = Draft::open(global)?;
    let present = crate::settings::read(global, Vec::new());
    if draft.path().exists() && present.is_ok_and(|settings| settings.loaded.config.servers.contains_key(&server)) {
        let help = format!("take it out first: doorward server remove {server}");
        return Err(Failure::new(Exit::Usage, "server.twice", format!("there is a server \"{server}\" already"), help));
    }
    draft.add(name, table)?;
    draft.show(console)?;
    if steps.dry_run {
        return Ok(Exit::Fine);
    }
    if confirmed("Write this", Answer::Yes) == Answer::No {
        console.say("nothing was written");
        return Ok(Exit::Findings);
    }
    let path = draft.write()?;
    let good = console.sign(Sign::Good);
    console.say(format_args!("{good} written to {}", path.display()));
    let mut global = global.clone();
    global.config = Some(path);
    let house = House::open(&global)?;
    house::runtime()?.block_on(async { look(open(house, name, Some(&super::Whose { person: None })).await?, steps, console).await })
}

/// Looks at a server and approves what is to be approved: by options, or by a person, never otherwise.
async fn look(opened: Opened, steps: &Steps, console: &mut Console) -> Result<Exit, Failure> {
    let name = opened.upstream.config.name.clone();
    if launch(&opened, steps, console).await? == Answer::No {
        console.say(format_args!("  the command does not run before it is approved: doorward server approve {name} --command"));
        opened.close().await;
        return Ok(Exit::Fine);
    }
    let found = opened.definitions().await.inspect_err(|_| {
        console.say(format_args!("  it stays in the configuration; when it answers: doorward server approve {name} --read-only"));
    })?;
    let mut tools: Vec<(&str, RiskClass)> =
        found.iter().flat_map(|(_, listing)| listing.tools()).map(|tool| (tool.name.as_str(), tool.claimed)).collect();
    tools.sort_unstable();
    tools.dedup();
    let count = counted(u64::try_from(tools.len()).unwrap_or(u64::MAX), "tool");
    console.say(format_args!("  {name} offers {count}; the classes are its own claims"));
    for (tool, class) in &tools {
        console.say(format_args!("    {:<12} {}", class.as_str(), inert(tool)));
    }
    let choice = match (steps.all, steps.read_only) {
        (true, _) => Some(Choice::All),
        (false, true) => Some(Choice::Read),
        (false, false) if somebody() == Answer::Yes => match ask("Approve [a]ll, [r]ead only, [N]one").as_str() {
            "a" | "all" => Some(Choice::All),
            "r" | "read" => Some(Choice::Read),
            _ => None,
        },
        (false, false) => None,
    };
    let mut kept_back = 0;
    match choice {
        Some(choice) => {
            let Pinned { pins, left_out } = pin(&opened, &found, &choice, console).await?;
            kept_back = left_out;
            approved(&name, &pins, console);
            unusable(&opened, &found, &pins, console);
        }
        None => console.say(format_args!("  nothing is approved, so nobody sees a tool of it: doorward server approve {name} --read-only")),
    }
    opened.close().await;
    Ok(if kept_back == 0 { Exit::Fine } else { Exit::Findings })
}

/// The command of a stdio server, shown exactly as it would run, and approved by option or person.
async fn launch(opened: &Opened, steps: &Steps, console: &mut Console) -> Result<Answer, Failure> {
    let (Target::Stdio(stdio), Reached::Stdio(reached)) = (&opened.upstream.config.target, &opened.upstream.reach) else {
        return Ok(Answer::Yes);
    };
    let name = &opened.upstream.config.name;
    console.say(format_args!("  {name} runs this program on this machine, with your rights:"));
    for (at, argument) in stdio.argv.iter().enumerate() {
        console.say(format_args!("    {at}  {}", inert(argument)));
    }
    for (variable, reference) in &stdio.env {
        console.say(format_args!("    {}={reference}", inert(variable)));
    }
    opened.warn(console)?;
    let asked = somebody() == Answer::Yes && !steps.approve_command;
    if !(steps.approve_command || asked && confirmed("May it run", Answer::No) == Answer::Yes) {
        return Ok(Answer::No);
    }
    let unusable = || Failure::new(Exit::Configuration, "server.command", "the command cannot be run", "see doorward config check");
    let digest = reached.digest(name).ok_or_else(unusable)?;
    opened.store.approve_launch(name, digest, BY, opened.house.env.now()).await.map_err(|error| unavailable(&error))?;
    Ok(Answer::Yes)
}

/// Takes a server out of the configuration.
///
/// # Errors
/// [`Failure`].
pub(super) fn remove(arguments: &RemoveArguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let name = &arguments.name;
    let settings = crate::settings::read(global, Vec::new())?;
    let server = ServerName::new(name).ok().filter(|server| settings.loaded.config.servers.contains_key(server));
    let server = server.ok_or_else(|| {
        Failure::new(Exit::Usage, "server.unknown", format!("there is no server \"{}\"", inert(name)), "see doorward server list")
    })?;
    let mut draft = Draft::open(global)?;
    if !draft.remove(name) {
        let place = settings.loaded.origin(&["server", name]).or_else(|| settings.loaded.origin(&["server", name, "url"]));
        let place = place
            .or_else(|| settings.loaded.origin(&["server", name, "command"]))
            .map_or_else(|| "elsewhere".to_owned(), |place| place.to_string());
        let message = format!("{server} is not defined in {}", draft.path().display());
        return Err(Failure::new(Exit::Configuration, "server.elsewhere", message, format!("it comes from {place}: change it there")));
    }
    draft.show(console)?;
    if arguments.dry_run {
        return Ok(Exit::Fine);
    }
    if confirmed("Write this", Answer::Yes) == Answer::No {
        console.say("nothing was written");
        return Ok(Exit::Findings);
    }
    // Approvals first: a server of the same name that is added later must be looked at anew, whatever happens in between.
    let withdrawn = withdraw(&server, global)?;
    let path = draft.write()?;
    let good = console.sign(Sign::Good);
    console.line(format_args!("{good} {server} is out of {}, {} taken back", path.display(), counted(withdrawn, "approval")));
    console.say("  a running gateway goes on with it until it is started again");
    Ok(Exit::Fine)
}

/// Takes back every approval of a server and of its commands.
pub(in crate::command) fn withdraw(server: &ServerName, global: &Global) -> Result<u64, Failure> {
    let house = House::open(global)?;
    house::runtime()?.block_on(async {
        let store = house.store().await?;
        let now = house.env.now();
        let gone = store.withdraw(server, None, now).await.map_err(|error| unavailable(&error))?;
        let commands = store.withdraw_launches(server, now).await.map_err(|error| unavailable(&error))?;
        store.close().await;
        Ok(gone.saturating_add(commands))
    })
}
