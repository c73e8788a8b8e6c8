//! `doorward grant`: what people allowed to which application, and taking it back.

use super::apikey::unavailable;
use crate::args::Global;
use crate::console::{Console, Form, Sign, inert};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::house::{self, House};
use clap::{Args, Subcommand};
use doorward_core::id::CredentialId;
use doorward_store::Owner;
use serde_json::json;

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List what counts now, newest first
    List,
    /// Take one back: its tokens are refused at once, its streams end
    Revoke(RevokeArguments),
}

/// Options of `grant revoke`.
#[derive(Debug, Args)]
pub struct RevokeArguments {
    /// Id of the grant, see doorward grant list
    #[arg(value_name = "ID")]
    pub id: String,
}

/// Runs a subcommand.
///
/// # Errors
/// [`Failure`].
pub fn run(command: &Command, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let house = House::open(global)?;
    house::runtime()?.block_on(async {
        match command {
            Command::List => list(&house, console).await,
            Command::Revoke(arguments) => revoke(&house, arguments, console).await,
        }
    })
}

async fn list(house: &House, console: &mut Console) -> Result<Exit, Failure> {
    let store = house.store().await?;
    let grants = store.list_grants(None, house.env.now()).await.map_err(|error| unavailable(&error))?;
    store.close().await;
    if console.form() == Form::Json {
        let grants: Vec<serde_json::Value> = grants
            .iter()
            .map(|grant| {
                json!({"id": grant.id.as_str(), "user": grant.user.to_string(), "client": grant.client.as_str(), "name": grant.name,
                    "identity": grant.identity, "answers_to": grant.target, "server": grant.server.as_str(), "granted": grant.granted,
                    "created": grant.created.to_string(), "expires": grant.expires.map(|at| at.to_string()),
                    "last_used": grant.used.map(|at| at.to_string())})
            })
            .collect();
        console.document(super::config::object(json!({"grants": grants})));
        return Ok(Exit::Fine);
    }
    for grant in &grants {
        let granted: Vec<&str> = grant.granted.iter().map(String::as_str).collect();
        let ends = grant.expires.map_or_else(|| "until it is removed".to_owned(), |at| format!("until {at}"));
        let used = grant.used.map_or_else(|| "never used".to_owned(), |at| format!("used {at}"));
        console.line(format_args!("{}  \"{}\" ({})  {}", grant.id, inert(&grant.name), grant.identity, granted.join(" ")));
        console.line(format_args!("    {}  answers to {}  {ends}  {used}", inert(&grant.user.to_string()), inert(&grant.target)));
    }
    if grants.is_empty() {
        console.say("nothing was allowed to any application");
    }
    Ok(Exit::Fine)
}

async fn revoke(house: &House, arguments: &RevokeArguments, console: &mut Console) -> Result<Exit, Failure> {
    let (store, now) = (house.store().await?, house.env.now());
    let found = match CredentialId::new(&arguments.id) {
        Ok(id) => store.grant(&id).await.map_err(|error| unavailable(&error))?,
        Err(_) => None,
    };
    let found = found.filter(|grant| grant.revoked.is_none() && grant.expires.is_none_or(|end| end > now));
    let Some(grant) = found else {
        store.close().await;
        let help = "see doorward grant list; what was taken back or has ended is not listed";
        return Err(Failure::new(Exit::Usage, "grant.unknown", "there is no such grant that counts", help));
    };
    let ended = store.revoke_grant(&grant.id, Owner::User(&grant.user), now).await;
    store.close().await;
    ended.map_err(|error| unavailable(&error))?;
    let good = console.sign(Sign::Good);
    console.say(format_args!("{good} {} is taken back: calls end within 5 s, streams within 30 s", grant.id));
    Ok(Exit::Fine)
}
