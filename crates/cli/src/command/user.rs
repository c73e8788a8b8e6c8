//! `doorward user`: who is known and who is disabled (RS-08).

use crate::args::Global;
use crate::command::apikey::unavailable;
use crate::console::{Console, Form, Sign, inert};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::house::{self, House};
use clap::{Args, Subcommand};
use doorward_core::id::UserId;
use serde_json::json;

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the people that are known here
    List,
    /// Take from somebody the right to act, whatever they hold
    Disable(Whom),
    /// Give it back; what was revoked meanwhile stays revoked
    Enable(Whom),
}

/// Somebody.
#[derive(Debug, Args)]
pub struct Whom {
    /// Name of the user, see doorward user list
    #[arg(value_name = "NAME")]
    pub name: String,
    /// Who vouches for the name
    #[arg(long, value_name = "ISSUER", default_value = "local")]
    pub issuer: String,
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
            Command::Disable(whom) => disable(&house, whom, console).await,
            Command::Enable(whom) => enable(&house, whom, console).await,
        }
    })
}

async fn list(house: &House, console: &mut Console) -> Result<Exit, Failure> {
    let users = house.store().await?.list_users().await.map_err(|error| unavailable(&error))?;
    if console.form() == Form::Json {
        let users: Vec<serde_json::Value> = users
            .iter()
            .map(|info| {
                let groups: Vec<&str> = info.groups.iter().map(doorward_core::id::GroupName::as_str).collect();
                json!({"issuer": info.user.issuer(), "name": info.user.subject(), "groups": groups,
                    "disabled": info.disabled.map(|since| since.to_string())})
            })
            .collect();
        console.document(super::config::object(json!({"users": users})));
        return Ok(Exit::Fine);
    }
    for info in &users {
        let groups: Vec<String> = info.groups.iter().map(|group| inert(group.as_str())).collect();
        let standing = info.disabled.map_or_else(|| "active".to_owned(), |since| format!("disabled since {since}"));
        console.line(format_args!("{}  {standing}  {}", inert(&info.user.to_string()), groups.join(" ")).to_string().trim_end());
    }
    if users.is_empty() {
        console.say("nobody yet: doorward apikey create --user NAME");
    }
    Ok(Exit::Fine)
}

async fn disable(house: &House, whom: &Whom, console: &mut Console) -> Result<Exit, Failure> {
    let (store, user) = (house.store().await?, whom.user()?);
    // A name that was mistyped would be disabled, and the one that was meant would not.
    if !store.knows_user(&user).await.map_err(|error| unavailable(&error))? {
        return Err(unknown());
    }
    store.disable_user(&user, house.env.now()).await.map_err(|error| unavailable(&error))?;
    store.close().await;
    let good = console.sign(Sign::Good);
    console.say(format_args!("{good} {} is disabled: calls end within 5 s, streams within 30 s", inert(&user.to_string())));
    Ok(Exit::Fine)
}

async fn enable(house: &House, whom: &Whom, console: &mut Console) -> Result<Exit, Failure> {
    let (store, user) = (house.store().await?, whom.user()?);
    let was_disabled = store.enable_user(&user, house.env.now()).await.map_err(|error| unavailable(&error))?;
    if !was_disabled && !store.knows_user(&user).await.map_err(|error| unavailable(&error))? {
        return Err(unknown());
    }
    store.close().await;
    let good = console.sign(Sign::Good);
    console.say(format_args!("{good} {} may act again", inert(&user.to_string())));
    Ok(Exit::Fine)
}

impl Whom {
    fn user(&self) -> Result<UserId, Failure> {
        UserId::new(&self.issuer, &self.name).map_err(|_| unknown())
    }
}

fn unknown() -> Failure {
    Failure::new(Exit::Usage, "user.unknown", "there is no such user", "see doorward user list")
}
