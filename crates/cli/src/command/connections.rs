//! `doorward connections`: the accounts that people have connected at servers, and taking one away. What is listed opens nothing.

use super::apikey::unavailable;
use crate::args::Global;
use crate::console::{Console, Form, Sign, inert};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::house::{self, House};
use clap::{Args, Subcommand};
use doorward_core::id::ServerName;
use doorward_core::secret::hex;
use doorward_store::{ConnectionInfo, OnRecord, Store};
use serde_json::{Value, json};

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the accounts of people at servers, and whether they can be used
    List(ListArguments),
    /// Take one away: nobody can use it from then on, and its provider is told
    Revoke(RevokeArguments),
}

/// Options of `connections list`.
#[derive(Debug, Args)]
pub struct ListArguments {
    /// Only those of a person, as doorward user list shows them
    #[arg(long, value_name = "ISSUER/NAME")]
    pub user: Option<String>,
    /// Only those at a server
    #[arg(long, value_name = "NAME")]
    pub server: Option<String>,
}

/// Options of `connections revoke`.
#[derive(Debug, Args)]
pub struct RevokeArguments {
    /// The server, by its name in the configuration
    #[arg(value_name = "NAME")]
    pub server: String,
    /// Whose, as doorward user list shows them
    #[arg(long, value_name = "ISSUER/NAME")]
    pub user: String,
}

/// Runs a subcommand.
///
/// # Errors
/// [`Failure`].
pub fn run(command: &Command, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let house = House::open(global)?;
    house::runtime()?.block_on(async {
        let store = house.store().await?;
        let done = match command {
            Command::List(arguments) => list(&store, arguments, console).await,
            Command::Revoke(arguments) => revoke(&house, &store, arguments, console).await,
        };
        store.close().await;
        done
    })
}

async fn list(store: &Store, arguments: &ListArguments, console: &mut Console) -> Result<Exit, Failure> {
    let all = store.list_connections(None).await.map_err(|error| unavailable(&error))?;
    let is_meant = |connection: &&ConnectionInfo| {
        arguments.user.as_ref().is_none_or(|user| connection.owner.to_string() == *user)
            && arguments.server.as_ref().is_none_or(|server| connection.server.as_str() == server)
    };
    let found: Vec<&ConnectionInfo> = all.iter().filter(is_meant).collect();
    if console.form() == Form::Json {
        let rows: Vec<Value> = found
            .iter()
            .map(|connection| {
                json!({"server": connection.server.as_str(), "user": connection.owner.to_string(), "account": connection.label,
                    "state": connection.state.as_str(), "trouble": connection.trouble, "scopes": connection.scopes,
                    "since": connection.created.to_string(), "changed": connection.changed.to_string(),
                    "last_used": connection.used.map(|used| used.to_string())})
            })
            .collect();
        console.document(super::config::object(json!({"connections": rows})));
        return Ok(Exit::Fine);
    }
    for connection in &found {
        let (user, label) = (inert(&connection.owner.to_string()), inert(&connection.label));
        let state = match &connection.trouble {
            Some(trouble) => format!("{} ({})", connection.state.as_str(), inert(trouble)),
            None => connection.state.as_str().to_owned(),
        };
        let used = connection.used.map_or_else(|| "never".to_owned(), |used| used.to_string());
        console.line(format_args!("{}  {user}  {label}  {state}  since {}  used {used}", connection.server, connection.created));
    }
    if found.is_empty() {
        console.say("nobody has connected an account");
    }
    Ok(Exit::Fine)
}

async fn revoke(house: &House, store: &Store, arguments: &RevokeArguments, console: &mut Console) -> Result<Exit, Failure> {
    let none = || Failure::new(Exit::Usage, "connections.none", "there is no such account", "see doorward connections list");
    let server = ServerName::new(&arguments.server).map_err(|_| none())?;
    let all = store.list_connections(None).await.map_err(|error| unavailable(&error))?;
    let mut meant = all.into_iter().filter(|connection| connection.server == server && connection.owner.to_string() == arguments.user);
    // The printed form of a person is not injective: nobody loses an account by mistake.
    let (Some(connection), None) = (meant.next(), meant.next()) else { return Err(none()) };
    let id: [u8; 16] = house
        .env
        .bytes()
        .map_err(|_| Failure::new(Exit::Integrity, "connections.random", "the operating system gives no random bytes", "try again"))?;
    let id = hex(&id);
    let gone = store.disconnect_account((&connection.owner, &server), &id, OnRecord::Later, house.env.now()).await;
    if !gone.map_err(|error| unavailable(&error))? {
        return Err(none());
    }
    let good = console.sign(Sign::Good);
    console.say(format_args!("{good} the account of {} at {server} cannot be used any more: within 5 s", inert(&arguments.user)));
    console.say("  its provider is told by the gateway as soon as it answers, for a week");
    Ok(Exit::Fine)
}
