//! `doorward login`, `whoami`, `token` and `logout`: this command line as a client of a gateway, for scripts and for machines without a browser.
//!
//! It asks by a code (device grant, RFC 8628) as the public client `doorward-cli`, for one server at a time, since a token is for one. What it is
//! given stands in the state directory, for this user alone.

mod desk;
mod kept;
mod listener;
#[cfg(test)]
mod tests;

use crate::args::Global;
use crate::console::{Console, Form, Sign, inert};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::{house, running, state};
use clap::Args;
use desk::{Answer, Desk, Given, Place};
use doorward_core::id::ServerName;
use doorward_core::oauth::device::{COMMAND_LINE, GRANT_TYPE, SLOWER};
use doorward_core::oauth::scope::resource;
use doorward_gateway::env::Env;
use doorward_gateway::tasks::Tasks;
use kept::{Drawer, Kept, Lost, SignIn, Turn};
use listener::{Look, Trusted};
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
    /// User that the gateway at http:// runs as, where that is not you and not root; remembered
    #[arg(long, value_name = "USER")]
    pub served_by: Option<String>,
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
    /// Print the whole header field, for curl -H @-
    #[arg(long, conflicts_with = "json")]
    pub header: bool,
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

/// How long anything may take.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// An answer of a gateway, from connecting to its last byte.
    answer: Duration,
    /// Waiting for another process of this program.
    turn: Duration,
}

/// What a command works with.
#[derive(Debug)]
struct Means {
    state: PathBuf,
    tasks: Tasks,
    env: Env,
    bounds: Bounds,
    /// Who listens on this machine.
    look: Look,
}

/// Longer than a renewal takes, which is two answers.
const BOUNDS: Bounds = Bounds { answer: Duration::from_secs(10), turn: Duration::from_secs(30) };
/// A token that ends sooner is renewed before it is handed out.
const FRESH: Duration = Duration::from_secs(60);
/// The pace of polls is held between these.
const PACE: (u64, u64) = (1, 60);
/// Where a gateway of laptop mode listens.
const USUAL: &str = "http://127.0.0.1:8417";
const AGAIN: &str = "sign in: doorward login SERVER";

/// Signs in to one server of a gateway.
///
/// # Errors
/// [`Failure`] when the gateway cannot be reached, does not let this command line ask, or nobody allowed it.
pub fn login(arguments: &Arguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let means = Means::of(state::directory(global)?);
    let (gateway, server) = meant(&arguments.server, arguments.gateway.as_deref())?;
    let gateway = gateway.unwrap_or_else(|| nearest(&means.state));
    let served_by = arguments.served_by.as_deref().map(listener::user).transpose()?;
    let place = Place { gateway, ca: arguments.ca.clone(), served_by };
    state::prepare(&means.state)?;
    house::runtime()?.block_on(async {
        // Nobody is asked for what could not be kept.
        Drawer::open(&means.state, means.bounds.turn).await?.rehearse()?;
        let desk = Desk::of(&place, &means).await?;
        let target = resource(desk.root(), &server);
        let words: Vec<String> =
            std::iter::once("read").chain(arguments.ask.iter().map(|class| class.word())).map(|word| format!("{server}:{word}")).collect();
        let scope = words.join(" ");
        let asked = desk.ask(&[("client_id", COMMAND_LINE), ("resource", &target), ("scope", &scope)]).await?;
        shown(&asked, console);
        let given = waited(&desk, &asked, console).await?;
        let sign_in = SignIn::of(&desk, &server, given, means.env.now());
        let line = format!("signed in to {} at {}: {}", sign_in.server, inert(desk.root()), inert(&sign_in.scope));
        let document = described(&sign_in);
        if let Some(earlier) = kept(&desk, sign_in, &means).await? {
            replaced(&earlier, &means).await;
        }
        match console.form() {
            Form::Json => console.document(super::config::object(json!({"signed_in": document}))),
            Form::Text => {
                let good = console.sign(Sign::Good);
                console.say(format_args!("{good} {line}"));
                // Through a pipe: arguments are read by every user of the machine.
                console.say(format_args!("  use it: doorward token {server} --header | curl -H @- {target}"));
            }
        }
        Ok(Exit::Fine)
    })
}

/// Gives back what was replaced: it is of no use to anybody, and what replaced it counts even if this fails. Where it was given, as it was reached
/// then: who answers now may be somebody else.
async fn replaced(earlier: &SignIn, means: &Means) {
    if let Ok(desk) = Desk::of(&earlier.place, means).await {
        desk.end(&earlier.refresh).await.ok();
    }
}

/// Keeps a sign-in, or gives back what cannot be kept: nobody would know of it.
async fn kept(desk: &Desk, sign_in: SignIn, means: &Means) -> Result<Option<SignIn>, Failure> {
    let lost = match Drawer::open(&means.state, means.bounds.turn).await {
        Ok(drawer) => match drawer.replace(sign_in) {
            Ok(earlier) => return Ok(earlier),
            Err(lost) => *lost,
        },
        Err(failure) => Lost { failure, sign_in },
    };
    desk.end(&lost.sign_in.refresh).await.ok();
    Err(lost.failure)
}

/// Says who this command line is signed in as: at which gateways, for which servers, with what.
///
/// # Errors
/// [`Failure`] when what is kept cannot be read, or nobody is signed in.
pub fn whoami(_arguments: &WhoArguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let all = Kept::read(&state::directory(global)?)?.into_all();
    if console.form() == Form::Json {
        let documents: Vec<_> = all.iter().map(described).collect();
        console.document(super::config::object(json!({"sign_ins": documents})));
    }
    if all.is_empty() {
        return if console.form() == Form::Json { Ok(Exit::SignIn) } else { Err(nobody()) };
    }
    if console.form() == Form::Text {
        for one in &all {
            console.line(format_args!("{}  at {}  {}", one.server, inert(&one.place.gateway), inert(&one.scope)));
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
    let means = Means::of(state::directory(global)?);
    let (gateway, server) = meant(&arguments.server, arguments.gateway.as_deref())?;
    let one = house::runtime()?.block_on(fresh(&server, gateway.as_deref(), &means))?;
    match console.form() {
        Form::Json => {
            let document = json!({"access_token": one.access.expose(), "expires": one.expires.to_string(), "server": one.server.as_str()});
            console.document(super::config::object(document));
        }
        Form::Text if arguments.header => console.line(format_args!("Authorization: Bearer {}", one.access.expose())),
        Form::Text => console.line(one.access.expose()),
    }
    Ok(Exit::Fine)
}

/// Gives back what was given, and forgets it.
///
/// # Errors
/// [`Failure`] when nobody is signed in there, or the gateway could not be told.
pub fn logout(arguments: &OutArguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let means = Means::of(state::directory(global)?);
    let server = arguments.server.as_deref().map(|server| meant(server, arguments.gateway.as_deref())).transpose()?;
    let untold = house::runtime()?.block_on(given_back(server.as_ref(), &means))?;
    if let Some((_, why)) = untold.first() {
        let which: Vec<&str> = untold.iter().map(|(which, _)| which.as_str()).collect();
        let message = format!("forgotten here, but the gateway could not be told: {}", which.join(", "));
        let help = "remove the application on its page /me";
        return Err(Failure::new(Exit::Unreachable, "login.untold", message, help).because(why));
    }
    let good = console.sign(Sign::Good);
    console.say(format_args!("{good} signed out; the gateway refuses what was given"));
    Ok(Exit::Fine)
}

/// Forgets one sign-in, or all, and tells the gateways. Gives those that could not be told, and why.
async fn given_back(which: Option<&(Option<String>, ServerName)>, means: &Means) -> Result<Vec<(String, String)>, Failure> {
    let mut drawer = Drawer::open(&means.state, means.bounds.turn).await?;
    let gone = match which {
        Some((gateway, server)) => vec![drawer.take(server, gateway.as_deref())?],
        None => drawer.take_all()?,
    };
    drop(drawer);
    if gone.is_empty() {
        return Err(nobody());
    }
    let mut untold = Vec::new();
    for one in &gone {
        let told = async { Desk::of(&one.place, means).await?.end(&one.refresh).await };
        if let Err(failure) = told.await {
            untold.push((format!("{} at {}", one.server, inert(&one.place.gateway)), failure.summary()));
        }
    }
    Ok(untold)
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

/// A sign-in whose token is good for a while. Of several processes that ask at once one renews it, and the others read what it wrote.
async fn fresh(server: &ServerName, gateway: Option<&str>, means: &Means) -> Result<SignIn, Failure> {
    let is_fresh = |one: &SignIn| one.expires > means.env.now().after(FRESH);
    let one = Kept::read(&means.state)?.find(server, gateway)?;
    if is_fresh(&one) {
        return Ok(one);
    }
    let _turn = Turn::wait(&means.state, &one.place.gateway, means.bounds.turn).await?;
    let one = Kept::read(&means.state)?.find(server, Some(&one.place.gateway))?;
    if is_fresh(&one) { Ok(one) } else { renewed(&one, means).await }
}

/// Renews a token, and keeps what comes before it is used.
async fn renewed(one: &SignIn, means: &Means) -> Result<SignIn, Failure> {
    let drawer = || Drawer::open(&means.state, means.bounds.turn);
    // The old one counts no longer once it is answered: the new one must have its place.
    drawer().await?.rehearse()?;
    let desk = Desk::of(&one.place, means).await?;
    let fields = [("grant_type", "refresh_token"), ("client_id", COMMAND_LINE), ("refresh_token", one.refresh.expose().as_str())];
    match desk.token(&fields).await {
        Ok(given) => drawer().await?.renew(one, given, means.env.now()),
        Err(desk::Refused::Away(failure)) => Err(failure),
        Err(desk::Refused::Told(error)) if error == "invalid_grant" => {
            drawer().await?.forget(one)?;
            Err(Failure::new(Exit::SignIn, "login.ended", "what was allowed has ended, or was taken back", AGAIN))
        }
        Err(desk::Refused::Told(error)) => {
            let message = format!("the gateway renews no token: {}", inert(&error));
            Err(Failure::new(Exit::SignIn, "login.refused", message, AGAIN))
        }
    }
}

fn described(one: &SignIn) -> serde_json::Value {
    json!({"gateway": one.place.gateway, "server": one.server.as_str(), "scope": one.scope, "since": one.since.to_string(),
        "token_until": one.expires.to_string(), "served_by": one.place.served_by})
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

// === impl Means ===

impl Means {
    fn of(state: PathBuf) -> Self {
        Self { state, tasks: Tasks::new(), env: Env::system(), bounds: BOUNDS, look: listener::look }
    }

    /// Whom this command line talks to without a certificate.
    fn trusting(&self, served_by: Option<u32>) -> Trusted {
        Trusted { own: rustix::process::geteuid().as_raw(), served_by, state: self.state.clone(), look: self.look }
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
