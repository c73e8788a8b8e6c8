//! `doorward sessions`: who is signed in with a browser, which clients have a session at a server, and ending both.
//!
//! What is listed opens nothing: sessions are named by the beginning of the digest of their id.

use super::apikey::unavailable;
use crate::args::Global;
use crate::command::clients::shortened;
use crate::console::{Console, Form, Sign, counted, grouped, inert};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::house::{self, House};
use clap::{Args, Subcommand};
use doorward_core::id::{ClientId, UserId};
use doorward_core::oauth::admission::Blocked;
use doorward_gateway::session::LIFETIMES;
use doorward_store::{BrowserInfo, Ended, Ending, OnRecord, SessionInfo, Store};
use serde_json::{Value, json};

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List browsers in which somebody is signed in, and sessions of clients
    List,
    /// End one of them, or all of a person or of a client, with their streams
    End(EndArguments),
}

/// Options of `sessions end`.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct EndArguments {
    /// Id of one, see doorward sessions list
    #[arg(value_name = "ID")]
    pub id: Option<String>,
    /// Everything of a person, as doorward user list shows them
    #[arg(long, value_name = "ISSUER/NAME")]
    pub user: Option<String>,
    /// Every session of a client, by its id or "sha256:..." of it
    #[arg(long, value_name = "ID")]
    pub client: Option<String>,
}

/// What the id of a session of a client begins with, and how much of its digest follows.
const SESSION: &str = "session_";
const BYTES: usize = 8;
/// Slashes of a printed name that are tried.
const SLASHES: usize = 32;

/// Runs a subcommand.
///
/// # Errors
/// [`Failure`].
pub fn run(command: &Command, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let house = House::open(global)?;
    house::runtime()?.block_on(async {
        let store = house.store().await?;
        let done = match command {
            Command::List => list(&house, &store, console).await,
            Command::End(arguments) => end(&house, &store, arguments, console).await,
        };
        store.close().await;
        done
    })
}

async fn list(house: &House, store: &Store, console: &mut Console) -> Result<Exit, Failure> {
    let now = house.env.now();
    let browsers = store.list_browsers(None, now).await.map_err(|error| unavailable(&error))?;
    let login = &house.config().login;
    let browsers: Vec<BrowserInfo> =
        browsers.into_iter().filter(|browser| now.since(browser.used) < login.idle_of(&browser.user, &browser.groups)).collect();
    let sessions = store.list_sessions(LIFETIMES, now).await.map_err(|error| unavailable(&error))?;
    let of = store.count_usable_sessions(LIFETIMES, now).await.map_err(|error| unavailable(&error))?;
    if console.form() == Form::Json {
        let browsers: Vec<Value> = browsers
            .iter()
            .map(|browser| {
                json!({"id": browser.id, "user": browser.user.to_string(), "browser": browser.label, "since": browser.created.to_string(),
                    "last_used": browser.used.to_string(), "expires": browser.expires.to_string()})
            })
            .collect();
        let sessions: Vec<Value> = sessions
            .iter()
            .map(|session| {
                json!({"id": named(session), "user": session.user.to_string(), "client": session.client.as_str(),
                    "server": session.server.as_str(), "since": session.created.to_string(), "last_used": session.used.to_string()})
            })
            .collect();
        console.document(super::config::object(json!({"browsers": browsers, "sessions": sessions, "sessions_of": of})));
        return Ok(Exit::Fine);
    }
    for browser in &browsers {
        let (user, label) = (inert(&browser.user.to_string()), inert(&browser.label));
        console.line(format_args!("{}  {user}  browser \"{label}\"  since {}  used {}", browser.id, browser.created, browser.used));
    }
    for session in &sessions {
        let (user, client) = (inert(&session.user.to_string()), shortened(session.client.as_str()));
        let (id, server) = (named(session), &session.server);
        console.line(format_args!("{id}  {user}  {server}  {client}  since {}  used {}", session.created, session.used));
    }
    if let Some(words) = cut(sessions.len(), of) {
        console.say(words);
    }
    if browsers.is_empty() && sessions.is_empty() {
        console.say("nobody is signed in, and no client has a session");
    }
    Ok(Exit::Fine)
}

async fn end(house: &House, store: &Store, arguments: &EndArguments, console: &mut Console) -> Result<Exit, Failure> {
    let now = house.env.now();
    let ended = match (&arguments.user, &arguments.client, &arguments.id) {
        (Some(user), ..) => {
            let user = person(store, user).await?;
            store.end_from_outside(Ending::Of(&user), OnRecord::Later, now).await
        }
        (None, Some(client), _) => {
            let client = program(store, client).await?;
            store.end_from_outside(Ending::Through(&client), OnRecord::Later, now).await
        }
        (None, None, id) => {
            let id = id.as_deref().unwrap_or_default();
            match id.strip_prefix(SESSION) {
                Some(digits) => {
                    let digest = session(store, digits).await?;
                    store.end_from_outside(Ending::Session(&digest), OnRecord::Later, now).await
                }
                None => store.end_from_outside(Ending::Browser(id), OnRecord::Later, now).await,
            }
        }
    };
    let ended = ended.map_err(|error| unavailable(&error))?;
    if ended == Ended::default() {
        return Err(nothing(arguments));
    }
    if console.form() == Form::Json {
        console.document(super::config::object(json!({"sessions": ended.sessions, "browsers": ended.browsers})));
        return Ok(Exit::Fine);
    }
    let good = console.sign(Sign::Good);
    let (sessions, browsers) = (counted(ended.sessions, "session"), counted(ended.browsers, "sign-in"));
    console.say(format_args!("{good} {sessions} and {browsers} ended: within 5 s, with their streams"));
    console.say("  whoever still holds a credential may begin anew: doorward grant revoke, clients block, user disable");
    Ok(Exit::Fine)
}

/// The digest of the session with this short id.
async fn session(store: &Store, digits: &str) -> Result<[u8; 32], Failure> {
    let pair = |at: usize| digits.get(at..at + 2).filter(|pair| pair.bytes().all(|c| c.is_ascii_hexdigit()));
    let byte = |at: usize| pair(at).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let start: Option<Vec<u8>> = (0..BYTES).map(|at| byte(at * 2)).collect();
    let start = start.filter(|_| digits.len() == BYTES * 2).ok_or_else(no_session)?;
    let found = store.sessions_beginning(&start).await.map_err(|error| unavailable(&error))?;
    match found.as_slice() {
        [one] => Ok(one.digest),
        _ => Err(no_session()),
    }
}

/// Somebody who is known, by their printed name: each slash may be the one between issuer and name.
async fn person(store: &Store, name: &str) -> Result<UserId, Failure> {
    let mut found = Vec::new();
    for (at, _) in name.match_indices('/').take(SLASHES) {
        let (issuer, subject) = (name.get(..at).unwrap_or_default(), name.get(at + 1..).unwrap_or_default());
        let Ok(user) = UserId::new(issuer, subject) else { continue };
        if store.knows_user(&user).await.map_err(|error| unavailable(&error))? {
            found.push(user);
        }
    }
    match found.as_slice() {
        [user] => Ok(user.clone()),
        [] => Err(Failure::new(Exit::Usage, "user.unknown", "there is no such user", "write them as doorward user list does")),
        // The printed form is not injective: two users can look alike, and nobody is ended by mistake.
        _ => {
            Err(Failure::new(Exit::Usage, "user.ambiguous", "several users are written like this", "end their sessions one by one, by id"))
        }
    }
}

/// A client by its id, or by the digest of it where it has a session.
async fn program(store: &Store, text: &str) -> Result<ClientId, Failure> {
    let unknown = || Failure::new(Exit::Usage, "clients.unknown", "there is no such client", "see doorward clients list");
    match Blocked::parse(text) {
        Ok(Blocked::Id(id)) => Ok(id),
        Ok(Blocked::Digest(digest)) => {
            let found = store.client_in_session(&digest).await.map_err(|error| unavailable(&error))?;
            found.ok_or_else(no_session_of_client)
        }
        Err(_) => Err(unknown()),
    }
}

fn named(session: &SessionInfo) -> String {
    let digits: String = session.digest.iter().take(BYTES).map(|byte| format!("{byte:02x}")).collect();
    format!("{SESSION}{digits}")
}

/// What a list leaves out, if it does.
fn cut(listed: usize, of: u64) -> Option<String> {
    let listed = u64::try_from(listed).unwrap_or(u64::MAX);
    (listed < of).then(|| format!("the newest {} of {}: end others with --user or --client", grouped(listed), counted(of, "session")))
}

/// Nothing ended, since there is nothing of what was named.
fn nothing(arguments: &EndArguments) -> Failure {
    if arguments.client.is_some() {
        return no_session_of_client();
    }
    if arguments.user.is_some() {
        let message = "nothing ended: this person is not signed in with a browser, and no client has a session for them";
        return Failure::new(Exit::Usage, "sessions.none", message, "see doorward sessions list");
    }
    no_session()
}

fn no_session_of_client() -> Failure {
    let help = "see doorward sessions list, and doorward clients list for ids";
    Failure::new(Exit::Usage, "sessions.none", "nothing ended: no client of this id has a session", help)
}

fn no_session() -> Failure {
    Failure::new(Exit::Usage, "sessions.unknown", "there is no such session", "see doorward sessions list")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_leaves_something_out_says_so() {
        assert_eq!(cut(1_000, 1_002).as_deref(), Some("the newest 1,000 of 1,002 sessions: end others with --user or --client"));
        assert_eq!((cut(0, 0), cut(1_000, 1_000)), (None, None));
    }
}
