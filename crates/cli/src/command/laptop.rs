//! `doorward` without a command: laptop mode. A gateway for this computer alone with nothing to configure, or, where one is
//! running, what it is doing (product 1.3, 1.4).
//!
//! The link with which its administrator signs in is printed to a terminal only (L4); while it runs, a sign-in page of this computer
//! makes it print another one (L7).

use super::apikey::unavailable;
use super::{admin_link, serve, server, status};
use crate::args::Global;
use crate::calls::Calls;
use crate::console::{Console, Form, Paint, inert};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::house::{self, DEMO, House};
use crate::running;
use crate::settings;
use crate::state;
use crate::stop::Stop;
use doorward_core::config::load::Given;
use doorward_core::config::{Config, KeptArguments, Target};
use doorward_core::policy::facts::RiskClass;
use doorward_gateway::Gateway;
use doorward_gateway::env::Env;
use doorward_store::Store;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// In whose name the built-in definitions are approved.
const BUILT_IN: &str = "built in";
/// How often the record is looked at for new calls.
const LOOK: Duration = Duration::from_millis(200);

/// Starts laptop mode, or prints the status of the gateway that runs.
///
/// # Errors
/// [`Failure`] when it cannot start.
pub fn run(port: Option<u16>, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let options = || port.map(listen_on).into_iter().collect::<Vec<Given>>();
    let settings = settings::read(global, options())?;
    let directory = state::directory(global)?;
    if running::other(&directory).is_some() {
        return status::run(&status::Arguments {}, global, console);
    }
    if settings.loaded.config.public_url.is_some() {
        let help = "start it with: doorward serve";
        return Err(Failure::new(Exit::Configuration, "laptop.public", "this configuration is for a public address", help));
    }
    if settings.file.is_none() && !io::stdin().is_terminal() {
        let help = "write a configuration and use: doorward serve --config FILE";
        let message = "there is no configuration, and no terminal to start laptop mode in";
        return Err(Failure::new(Exit::Configuration, "laptop.no_terminal", message, help));
    }
    let house = House::open_with(global, options)?;
    serve::logs(&house.config().telemetry, global.verbose, console);
    house::runtime()?.block_on(start(house, global, console))
}

fn listen_on(port: u16) -> Given {
    Given { option: "--port", path: &["listen", "address"], text: format!("127.0.0.1:{port}"), base: PathBuf::from("/") }
}

async fn start(mut house: House, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let mut stop = Stop::new()?;
    let mut claim = serve::claim(&house.state)?;
    let is_new = !house.state.join("doorward.db").exists();
    let built_in = house.serve_built_in()?;
    let store = house.store().await?;
    if built_in.is_some() {
        approve_built_in(&house, &store, is_new).await?;
    }
    store.close().await;
    let (config, env, directory) = (house.config().clone(), house.env.clone(), house.state.clone());
    let gateway = Gateway::build(house.parts()?).await.map_err(house::failed)?;
    let serving = gateway.listen(&config).await.map_err(serve::taken)?;
    serve::announce(&mut claim, serving.address, &env);
    let record = config.audit.file.clone().unwrap_or_else(|| directory.join(super::audit::FILE));
    let calls = Calls::from_now(&record).map_err(|error| {
        Failure::new(Exit::Unreachable, "audit.unreadable", "the record cannot be read", "check the disk").because(settings::reason(&error))
    });
    let screen = Screen { config: &config, address: serving.address, directory: &directory, global };
    let shown = match calls {
        Ok(calls) => screen.show(&gateway, &env, console).await.map(|()| calls),
        Err(failure) => Err(failure),
    };
    let ended = match shown {
        Ok(calls) => until_stopped(&gateway, calls, &mut stop, global, console).await,
        Err(failure) => Err(failure),
    };
    let clean = gateway.stop().await;
    drop((built_in, claim));
    ended.map(|()| if clean { Exit::Fine } else { Exit::Findings })
}

/// Our own definitions are approved as they are in this version. Where somebody took the approvals back, they stay taken.
async fn approve_built_in(house: &House, store: &Store, is_new: bool) -> Result<(), Failure> {
    let Some(name) = house.config().servers.keys().find(|name| name.as_str() == DEMO) else { return Ok(()) };
    let pins = store.pins(name).await.map_err(|error| unavailable(&error))?;
    if is_new || !pins.is_empty() {
        server::approve_own(house, store, &[DEMO], BUILT_IN).await?;
    }
    Ok(())
}

/// Passes on what is recorded until the terminal or the system says stop.
async fn until_stopped(
    gateway: &Gateway,
    mut calls: Calls,
    stop: &mut Stop,
    global: &Global,
    console: &mut Console,
) -> Result<(), Failure> {
    let mut tick = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            () = stop.said() => break,
            () = gateway.link_wanted(), if shows_secrets(global) => {
                console.say("  Somebody at this computer wants to sign in. If that is you, open this (valid 10 min, works one time):");
                if link(gateway, console).await.is_err() {
                    console.say("  no link can be made at the moment: doorward admin-link");
                }
            }
            _ = tick.tick() => match calls.news(console) {
                Ok(lines) => lines.iter().for_each(|line| console.say(line)),
                Err(error) => {
                    let message = "the record cannot be read any more";
                    return Err(Failure::new(Exit::Unreachable, "audit.unreadable", message, "check the disk").because(settings::reason(&error)));
                }
            },
        }
    }
    console.say("  stopping");
    Ok(())
}

/// What the first screen is made of.
struct Screen<'a> {
    config: &'a Config,
    address: SocketAddr,
    directory: &'a Path,
    global: &'a Global,
}

impl Screen<'_> {
    async fn show(&self, gateway: &Gateway, env: &Env, console: &mut Console) -> Result<(), Failure> {
        let version = env!("CARGO_PKG_VERSION");
        if console.form() == Form::Json {
            console.document(super::config::object(json!({"ready": true, "version": version, "address": self.address.to_string()})));
            return Ok(());
        }
        let title = format!("doorward {version} - MCP security gateway");
        console.say(format_args!("{}{:>width$}", console.paint(Paint::Strong, &title), "laptop mode", width = 80 - title.len()));
        console.say("");
        console.say(format_args!("  Gateway    http://{:<32} this computer only", self.address));
        console.say(format_args!("  State      {}", inert(&state::tilde(self.directory))));
        self.servers(gateway.store(), console).await?;
        let policy = if self.config.policy.files.is_some() {
            "the rules of the configuration"
        } else {
            "reading allowed; writing and deleting where you tick it, or with a key for it"
        };
        console.say(format_args!("  Policy     {policy}"));
        let kept = if self.config.audit.arguments == KeptArguments::None { "" } else { ", arguments as digests" };
        console.say(format_args!("  Record     every call and refusal{kept}: doorward audit tail"));
        console.say("");
        self.way_in(gateway, env, console).await?;
        console.say("");
        console.say("  ready - Ctrl-C stops - doorward --help");
        Ok(())
    }

    /// Name, approved tools by class, and what is in the way.
    async fn servers(&self, store: &Store, console: &mut Console) -> Result<(), Failure> {
        let mut heading = "Servers";
        for server in self.config.servers.values() {
            let pins = store.pins(&server.name).await.map_err(|error| unavailable(&error))?;
            // A tool that reads the same in both eras is approved once for each.
            let tools: BTreeMap<&str, RiskClass> = pins.iter().map(|pin| (pin.tool.as_str(), pin.class)).collect();
            let of = |class: RiskClass| tools.values().filter(|found| **found == class).count();
            let classes: Vec<String> = [(RiskClass::Read, "read"), (RiskClass::Write, "write"), (RiskClass::Destructive, "destructive")]
                .into_iter()
                .filter(|(class, _)| of(*class) > 0)
                .map(|(class, word)| format!("{} {word}", of(class)))
                .collect();
            let what = match (&server.target, tools.is_empty()) {
                _ if !server.enabled => "switched off".to_owned(),
                (_, true) => format!("nothing approved: doorward server approve {}", server.name),
                (Target::Http { .. } | Target::Stdio(_), false) => classes.join(", "),
            };
            let names = tools.keys().copied().collect::<Vec<_>>().join(", ");
            let names = if names.len() <= 46 && !names.is_empty() { format!("   ({})", inert(&names)) } else { String::new() };
            console.say(format_args!("  {heading:<9}  {:<6} {what}{names}", server.name.as_str()));
            heading = "";
        }
        Ok(())
    }

    /// How somebody gets in: once by the link, then every client by itself.
    async fn way_in(&self, gateway: &Gateway, env: &Env, console: &mut Console) -> Result<(), Failure> {
        let browsers = gateway.store().list_browsers(None, env.now()).await.map_err(|error| unavailable(&error))?;
        // Never into a file or a pipe: a log would keep what is meant to be seen once (L4).
        if !shows_secrets(self.global) {
            console.say("  Sign in    doorward admin-link, in a terminal, prints a link that works once");
        } else if browsers.is_empty() {
            console.say(console.paint(Paint::Strong, "  Open this once to become its administrator (valid 10 min, works one time)"));
            link(gateway, console).await?;
        } else {
            console.say("  Sign in    you are signed in already; doorward admin-link prints another link");
        }
        let Some(server) = self.config.servers.values().find(|server| server.enabled) else {
            console.say("  There is no server yet: add [server.NAME] to the configuration");
            return Ok(());
        };
        let (name, address) = (&server.name, self.address);
        console.say("");
        console.say("  Then give a client the address. It asks, you decide in the browser:");
        console.say("");
        console.say(format_args!("claude mcp add --transport http {name} http://{address}/s/{name}/mcp"));
        console.say(format_args!("codex mcp add {name} --url http://{address}/s/{name}/mcp"));
        console.say("");
        console.say("  For VS Code, Cursor and others: the page behind the link. For scripts: doorward apikey create");
        Ok(())
    }
}

/// Whether what is shown goes to somebody who sits there.
fn shows_secrets(global: &Global) -> bool {
    io::stderr().is_terminal() && !global.quiet
}

/// Makes a link for the administrator and shows it.
async fn link(gateway: &Gateway, console: &mut Console) -> Result<(), Failure> {
    let link = gateway.new_link(&admin_link::administrator()?).await.map_err(|error| unavailable(&error))?;
    console.say(format_args!("  -> {}", gateway.setup_address(&link)));
    Ok(())
}
