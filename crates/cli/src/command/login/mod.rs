//! `doorward login`, `whoami`, `token` and `logout`: this command line as a client of a gateway, for scripts and for machines without a browser.
//!
//! It asks by a code (device grant, RFC 8628) as the public client `doorward-cli`, for one server at a time, since a token is for one. What it is
//! given stands in the state directory, for this user alone.

mod desk;
mod kept;

use crate::args::Global;
use crate::console::{Console, Form, Sign, inert};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::{house, running, state};
use clap::Args;
use desk::{Answer, Desk, Given};
use doorward_core::id::ServerName;
use doorward_core::oauth::device::{COMMAND_LINE, GRANT_TYPE};
use doorward_core::oauth::scope::resource;
use doorward_gateway::env::Env;
use doorward_gateway::tasks::Tasks;
use kept::{Drawer, SignIn};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Options of `login`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The server's name behind the gateway, or its whole address: https://mcp.example.com/s/crm/mcp
    #[arg(value_name = "SERVER")]
    pub server: String,
    /// The gateway; http:// only on this machine [default: the one that runs on the state directory, else http://127.0.0.1:8417]
    #[arg(long, value_name = "URL")]
    pub gateway: Option<String>,
    /// Ask for more than reading: write, destructive; what you get, you tick on the page
    #[arg(long, value_name = "CLASS")]
    pub ask: Vec<Class>,
    /// Certificate authorities of the gateway besides the system's, PEM
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

/// What a token may be good for, besides reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Class {
    /// Tools that change things.
    Write,
    /// Tools that delete things.
    Destructive,
}

/// Options of `token`.
#[derive(Debug, Args)]
pub struct TokenArguments {
    /// The server's name behind the gateway, or its whole address
    #[arg(value_name = "SERVER")]
    pub server: String,
    /// The gateway, where several have a server of this name
    #[arg(long, value_name = "URL")]
    pub gateway: Option<String>,
}

/// Options of `logout`.
#[derive(Debug, Args)]
pub struct OutArguments {
    /// The server's name behind the gateway, or its whole address [default: everything]
    #[arg(value_name = "SERVER")]
    pub server: Option<String>,
    /// The gateway, where several have a server of this name
    #[arg(long, value_name = "URL")]
    pub gateway: Option<String>,
}

/// Options of `whoami`.
#[derive(Debug, Args)]
pub struct WhoArguments {}

/// A token that ends sooner is renewed before it is handed out.
const FRESH: Duration = Duration::from_secs(60);
/// The pace of polls is held between these.
const PACE: (u64, u64) = (1, 60);
/// Each `slow_down` makes the pace this much slower (RFC 8628 section 3.5).
const SLOWER: Duration = Duration::from_secs(5);
/// Where a gateway of laptop mode listens.
const USUAL: &str = "http://127.0.0.1:8417";
const AGAIN: &str = "sign in: doorward login SERVER";

/// Signs in to one server of a gateway.
///
/// # Errors
/// [`Failure`] when the gateway cannot be reached, does not let this command line ask, or nobody allowed it.
pub fn login(arguments: &Arguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let state = state::directory(global)?;
    let (gateway, server) = meant(&arguments.server, arguments.gateway.as_deref())?;
    let gateway = gateway.unwrap_or_else(|| nearest(&state));
    state::prepare(&state)?;
    let (tasks, env) = (Tasks::new(), Env::system());
    house::runtime()?.block_on(async {
        let desk = Desk::of(&gateway, arguments.ca.as_deref(), &tasks).await?;
        let target = resource(desk.root(), &server);
        let words: Vec<String> =
            std::iter::once("read").chain(arguments.ask.iter().map(|class| class.word())).map(|word| format!("{server}:{word}")).collect();
        let scope = words.join(" ");
        let asked = desk.ask(&[("client_id", COMMAND_LINE), ("resource", &target), ("scope", &scope)]).await?;
        shown(&asked, console);
        let given = waited(&desk, &asked, console).await?;
        let sign_in = SignIn::of(&desk, &server, given, arguments.ca.clone(), env.now());
        let line = format!("signed in to {} at {}: {}", sign_in.server, inert(&sign_in.gateway), inert(&sign_in.scope));
        let document = described(&sign_in);
        let mut drawer = Drawer::open(&state)?;
        let earlier = drawer.replace(sign_in)?;
        drop(drawer);
        if let Some(earlier) = earlier {
            // What it replaces is of no use to anybody; the new one counts even if this fails.
            desk.end(&earlier).await.ok();
        }
        match console.form() {
            Form::Json => console.document(super::config::object(json!({"signed_in": document}))),
            Form::Text => {
                let good = console.sign(Sign::Good);
                console.say(format_args!("{good} {line}"));
                console.say(format_args!("  use it: curl -H \"Authorization: Bearer $(doorward token {server})\" {target}"));
            }
        }
        Ok(Exit::Fine)
    })
}

/// Says who this command line is signed in as: at which gateways, for which servers, with what.
///
/// # Errors
/// [`Failure`] when what is kept cannot be read, or nobody is signed in.
pub fn whoami(_arguments: &WhoArguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let all = Drawer::open(&state::directory(global)?)?.into_all();
    if console.form() == Form::Json {
        let documents: Vec<_> = all.iter().map(described).collect();
        console.document(super::config::object(json!({"sign_ins": documents})));
    }
    if all.is_empty() {
        return if console.form() == Form::Json { Ok(Exit::SignIn) } else { Err(nobody()) };
    }
    if console.form() == Form::Text {
        for one in &all {
            console.line(format_args!("{}  at {}  {}", one.server, inert(&one.gateway), inert(&one.scope)));
            console
                .line(format_args!("    since {}  this token until {}, renewed by doorward token {}", one.since, one.expires, one.server));
        }
    }
    Ok(Exit::Fine)
}

/// Prints an access token that is good for a minute at least.
///
/// # Errors
/// [`Failure`] when nobody is signed in there, or not any more.
pub fn token(arguments: &TokenArguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let state = state::directory(global)?;
    let (gateway, server) = meant(&arguments.server, arguments.gateway.as_deref())?;
    let env = Env::system();
    // Held until the new one is written: of scripts that run at once one renews, and the others read what it wrote.
    let mut drawer = Drawer::open(&state)?;
    let at = drawer.find(&server, gateway.as_deref())?;
    if drawer.ends(at) <= env.now().after(FRESH) {
        let tasks = Tasks::new();
        house::runtime()?.block_on(renewed(&mut drawer, at, (&tasks, &env)))?;
    }
    let one = drawer.at(at)?;
    match console.form() {
        Form::Json => {
            let document = json!({"access_token": one.access.expose(), "expires": one.expires.to_string(), "server": one.server.as_str()});
            console.document(super::config::object(document));
        }
        Form::Text => console.line(one.access.expose()),
    }
    Ok(Exit::Fine)
}

/// Gives back what was given, and forgets it.
///
/// # Errors
/// [`Failure`] when nobody is signed in there, or the gateway could not be told.
pub fn logout(arguments: &OutArguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let state = state::directory(global)?;
    let mut drawer = Drawer::open(&state)?;
    let gone = match &arguments.server {
        Some(server) => {
            let (gateway, server) = meant(server, arguments.gateway.as_deref())?;
            let at = drawer.find(&server, gateway.as_deref())?;
            vec![drawer.take(at)?]
        }
        None => drawer.take_all()?,
    };
    drop(drawer);
    if gone.is_empty() {
        return Err(nobody());
    }
    let tasks = Tasks::new();
    let untold: Vec<String> = house::runtime()?.block_on(async {
        let mut untold = Vec::new();
        for one in &gone {
            let told = async { Desk::of(&one.gateway, one.ca.as_deref(), &tasks).await?.end(one).await };
            if told.await.is_err() {
                untold.push(format!("{} at {}", one.server, inert(&one.gateway)));
            }
        }
        untold
    });
    if !untold.is_empty() {
        let message = format!("forgotten here, but the gateway could not be told: {}", untold.join(", "));
        return Err(Failure::new(Exit::Unreachable, "login.untold", message, "remove the application on its page /me"));
    }
    let good = console.sign(Sign::Good);
    console.say(format_args!("{good} signed out; the gateway refuses what was given"));
    Ok(Exit::Fine)
}

/// Where to go, and which code to type there.
fn shown(asked: &Answer, console: &mut Console) {
    if console.form() == Form::Json {
        let document = json!({"verification_uri": asked.address, "verification_uri_complete": asked.complete, "user_code": asked.user_code,
            "seconds": asked.life.as_secs()});
        console.document(super::config::object(document));
        return;
    }
    // Results, not talk: without them nobody can go on, also under --quiet.
    console.line(format_args!("Open in any browser:  {}", inert(&asked.address)));
    console.line(format_args!("and type this code:   {}", inert(&asked.user_code)));
    console.say(format_args!("or open {}", inert(&asked.complete)));
}

/// Asks again and again, at the pace of the gateway, until a person has decided.
async fn waited(desk: &Desk, asked: &Answer, console: &mut Console) -> Result<Given, Failure> {
    let refused = |exit: Exit, id: &'static str, message: &str, help: &str| Err(Failure::new(exit, id, message, help));
    let mut pace = Duration::from_secs(asked.interval.as_secs().clamp(PACE.0, PACE.1));
    let mut waited = Duration::ZERO;
    console.say("waiting until you have decided there");
    while waited < asked.life {
        tokio::time::sleep(pace).await;
        waited += pace;
        let fields = [("grant_type", GRANT_TYPE), ("client_id", COMMAND_LINE), ("device_code", asked.device_code.expose().as_str())];
        match desk.token(&fields).await {
            Ok(given) => return Ok(given),
            Err(desk::Refused::Told(error)) => match error.as_str() {
                "authorization_pending" => {}
                "slow_down" => pace += SLOWER,
                "access_denied" => {
                    return refused(Exit::Findings, "login.denied", "the request was declined", "start again, if it was yours");
                }
                "expired_token" => break,
                other => {
                    let message = format!("the gateway gives no token: {}", inert(other));
                    return refused(Exit::SignIn, "login.refused", &message, "see its record, or start again");
                }
            },
            // The code is good still: a gateway may just be starting again.
            Err(desk::Refused::Away(_)) => pace = (pace + SLOWER).min(Duration::from_secs(PACE.1)),
        }
    }
    refused(Exit::SignIn, "login.expired", "nobody decided in time", "start again: doorward login SERVER")
}

/// Renews a token, and keeps what comes before it is used.
async fn renewed(drawer: &mut Drawer, at: usize, (tasks, env): (&Tasks, &Env)) -> Result<(), Failure> {
    let one = drawer.at(at)?;
    let desk = Desk::of(&one.gateway, one.ca.as_deref(), tasks).await?;
    let fields = [("grant_type", "refresh_token"), ("client_id", COMMAND_LINE), ("refresh_token", one.refresh.expose().as_str())];
    match desk.token(&fields).await {
        Ok(given) => drawer.renew(at, given, env.now()),
        Err(desk::Refused::Away(failure)) => Err(failure),
        Err(desk::Refused::Told(error)) if error == "invalid_grant" => {
            drawer.take(at)?;
            Err(Failure::new(Exit::SignIn, "login.ended", "what was allowed has ended, or was taken back", AGAIN))
        }
        Err(desk::Refused::Told(error)) => {
            let message = format!("the gateway renews no token: {}", inert(&error));
            Err(Failure::new(Exit::SignIn, "login.refused", message, AGAIN))
        }
    }
}

fn described(one: &SignIn) -> serde_json::Value {
    json!({"gateway": one.gateway, "server": one.server.as_str(), "scope": one.scope, "since": one.since.to_string(),
        "token_until": one.expires.to_string()})
}

fn nobody() -> Failure {
    Failure::new(Exit::SignIn, "login.nobody", "nobody is signed in here", AGAIN)
}

/// A server by its name or its whole address, and the gateway if either says it.
fn meant(text: &str, gateway: Option<&str>) -> Result<(Option<String>, ServerName), Failure> {
    let bad = || {
        let message = format!("\"{}\" is no name of a server, nor the address of one", inert(text));
        Failure::new(Exit::Usage, "login.server", message, "doorward login crm --gateway https://mcp.example.com")
    };
    let given = gateway.map(|gateway| gateway.trim_end_matches('/').to_owned());
    if !text.contains("://") {
        return Ok((given, ServerName::new(text).map_err(|_| bad())?));
    }
    let (root, name) = text.strip_suffix("/mcp").and_then(|rest| rest.rsplit_once("/s/")).ok_or_else(bad)?;
    if given.as_deref().is_some_and(|given| given != root) {
        return Err(Failure::new(Exit::Usage, "login.gateway", "the address and --gateway name two gateways", "leave --gateway away"));
    }
    Ok((Some(root.to_owned()), ServerName::new(name).map_err(|_| bad())?))
}

/// The gateway that runs on this state directory, else where one would.
fn nearest(state: &Path) -> String {
    match running::other(state).flatten() {
        Some(notice) if notice.address.ip().is_loopback() => format!("http://{}", notice.address),
        _ => USUAL.to_owned(),
    }
}

// === impl Class ===

impl Class {
    const fn word(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Destructive => "destructive",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_meant_by_its_name_or_its_address() {
        let found = |text: &str, gateway| meant(text, gateway).ok().map(|(gateway, server)| (gateway, server.to_string()));
        let at = |root: &str| Some((Some(root.to_owned()), "crm".to_owned()));
        assert_eq!(found("crm", None), Some((None, "crm".to_owned())));
        assert_eq!(found("crm", Some("https://a.example/")), at("https://a.example"));
        assert_eq!(found("https://a.example/s/crm/mcp", None), at("https://a.example"));
        assert_eq!(found("https://a.example/s/crm/mcp", Some("https://a.example")), at("https://a.example"));
        for bad in
            ["", "CRM", "https://a.example", "https://a.example/k/crm/mcp", "https://a.example/s/crm/mcp/", "https://a.example/s/C/mcp"]
        {
            assert_eq!(found(bad, None), None, "{bad}");
        }
        assert_eq!(found("https://a.example/s/crm/mcp", Some("https://b.example")), None);
    }
}
