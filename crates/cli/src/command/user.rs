//! `doorward user`: who is known, who is disabled, and who is in which group (RS-08).

use crate::args::Global;
use crate::command::apikey::unavailable;
use crate::console::{Console, Form, Sign, inert};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::house::{self, House};
use clap::{Args, Subcommand};
use doorward_core::id::{ClientId, GroupName, UserId};
use doorward_core::oauth::client;
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
    /// Put somebody into groups and out of others; without --add and --remove say which they are in
    Groups(Membership),
    /// List what people were let see, in the words of the rules, while it is remembered
    Seen,
    /// Forget what somebody was let see: rules that read context.seen start anew
    Forget(Forgetting),
}

/// Somebody, and the client whose seeing is forgotten.
#[derive(Debug, Args)]
pub struct Forgetting {
    /// Whose.
    #[command(flatten)]
    pub whom: Whom,
    /// Through this client only, see doorward user seen
    #[arg(long, value_name = "ID")]
    pub client: Option<String>,
}

/// Somebody, and the groups that are theirs from now on.
#[derive(Debug, Args)]
pub struct Membership {
    /// Whose groups.
    #[command(flatten)]
    pub whom: Whom,
    /// A group to put them into; repeat for several
    #[arg(long, value_name = "GROUP")]
    pub add: Vec<String>,
    /// A group to take them out of; repeat for several
    #[arg(long, value_name = "GROUP")]
    pub remove: Vec<String>,
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
            Command::Groups(membership) => groups(&house, membership, console).await,
            Command::Seen => seen(&house, console).await,
            Command::Forget(forgetting) => forget(&house, forgetting, console).await,
        }
    })
}

async fn list(house: &House, console: &mut Console) -> Result<Exit, Failure> {
    let users = house.store().await?.list_users().await.map_err(|error| unavailable(&error))?;
    if console.form() == Form::Json {
        let users: Vec<serde_json::Value> = users
            .iter()
            .map(|info| {
                let groups: Vec<&str> = info.groups.iter().map(GroupName::as_str).collect();
                json!({"issuer": info.user.issuer(), "name": info.user.subject(), "groups": groups,
                    "email": info.email, "disabled": info.disabled.map(|since| since.to_string())})
            })
            .collect();
        console.document(super::config::object(json!({"users": users})));
        return Ok(Exit::Fine);
    }
    for info in &users {
        let groups: Vec<String> = info.groups.iter().map(|group| inert(group.as_str())).collect();
        let standing = info.disabled.map_or_else(|| "active".to_owned(), |since| format!("disabled since {since}"));
        let email = info.email.as_deref().map(|email| format!("  ({})", inert(email))).unwrap_or_default();
        console.line(format_args!("{}{email}  {standing}  {}", inert(&info.user.to_string()), groups.join(" ")).to_string().trim_end());
    }
    if users.is_empty() {
        console.say("nobody yet: doorward apikey create --user NAME");
    }
    Ok(Exit::Fine)
}

async fn disable(house: &House, whom: &Whom, console: &mut Console) -> Result<Exit, Failure> {
    let (store, user) = (house.store().await?, whom.user(house)?);
    // A name that was mistyped would be disabled, and the one that was meant would not. A client of the configuration that acts for itself
    // can be stopped before it ever came.
    if !is_configured(house, &user) && !store.knows_user(&user).await.map_err(|error| unavailable(&error))? {
        return Err(if user.issuer() == client::ISSUER { no_client() } else { unknown() });
    }
    store.disable_user(&user, house.env.now()).await.map_err(|error| unavailable(&error))?;
    store.close().await;
    let good = console.sign(Sign::Good);
    console.say(format_args!("{good} {} is disabled: calls end within 5 s, streams within 30 s", inert(&user.to_string())));
    Ok(Exit::Fine)
}

async fn enable(house: &House, whom: &Whom, console: &mut Console) -> Result<Exit, Failure> {
    let (store, user) = (house.store().await?, whom.user(house)?);
    let was_disabled = store.enable_user(&user, house.env.now()).await.map_err(|error| unavailable(&error))?;
    if !was_disabled && !store.knows_user(&user).await.map_err(|error| unavailable(&error))? {
        return Err(unknown());
    }
    store.close().await;
    let good = console.sign(Sign::Good);
    console.say(format_args!("{good} {} may act again", inert(&user.to_string())));
    Ok(Exit::Fine)
}

async fn groups(house: &House, membership: &Membership, console: &mut Console) -> Result<Exit, Failure> {
    let named = |names: &[String]| -> Result<Vec<GroupName>, Failure> {
        let unfit = |name: &str| {
            let help = "a group has 1 to 255 bytes and no control characters";
            let start: String = name.chars().take(64).collect();
            let more = if start.len() < name.len() { "..." } else { "" };
            Failure::new(Exit::Usage, "user.group", format!("\"{}{more}\" is no name of a group", inert(&start)), help)
        };
        names.iter().map(|name| GroupName::new(name).map_err(|_| unfit(name))).collect()
    };
    let (add, remove) = (named(&membership.add)?, named(&membership.remove)?);
    if let Some(both) = add.iter().find(|group| remove.contains(group)) {
        let message = format!("{} is to be added and removed", inert(both.as_str()));
        return Err(Failure::new(Exit::Usage, "user.group", message, "say one of the two"));
    }
    let (store, user) = (house.store().await?, membership.whom.user(house)?);
    let after = store.change_groups(&user, &add, &remove, house.env.now()).await.map_err(|error| unavailable(&error))?;
    let after = after.ok_or_else(unknown)?;
    store.close().await;
    let names: Vec<&str> = after.iter().map(GroupName::as_str).collect();
    if console.form() == Form::Json {
        console.document(super::config::object(json!({"issuer": user.issuer(), "name": user.subject(), "groups": names})));
        return Ok(Exit::Fine);
    }
    for name in &names {
        console.line(inert(name));
    }
    if !(add.is_empty() && remove.is_empty()) {
        let good = console.sign(Sign::Good);
        console.say(format_args!("{good} {}: counts for calls within 5 s, for streams within 30 s", inert(&user.to_string())));
    } else if names.is_empty() {
        console.say(format_args!("{} is in no group", inert(&user.to_string())));
    }
    Ok(Exit::Fine)
}

async fn seen(house: &House, console: &mut Console) -> Result<Exit, Failure> {
    let store = house.store().await?;
    let all = store.list_seen(None, house.env.now()).await.map_err(|error| unavailable(&error))?;
    store.close().await;
    if console.form() == Form::Json {
        let all: Vec<serde_json::Value> = all
            .iter()
            .map(|info| {
                json!({"issuer": info.user.issuer(), "name": info.user.subject(), "client": info.client.as_str(),
                    "label": info.label.as_str(), "until": info.until.to_string()})
            })
            .collect();
        console.document(super::config::object(json!({"seen": all})));
        return Ok(Exit::Fine);
    }
    for info in &all {
        let (user, client) = (inert(&info.user.to_string()), inert(info.client.as_str()));
        console.line(format_args!("{user}  {}  until {}  {client}", info.label, info.until));
    }
    if all.is_empty() {
        console.say("nothing is remembered: rules say with @seen what is");
    }
    Ok(Exit::Fine)
}

async fn forget(house: &House, forgetting: &Forgetting, console: &mut Console) -> Result<Exit, Failure> {
    let (store, user) = (house.store().await?, forgetting.whom.user(house)?);
    let unfit = |_| Failure::new(Exit::Usage, "user.client", "--client is no id of a client", "see doorward user seen");
    let client = forgetting.client.as_deref().map(ClientId::new).transpose().map_err(unfit)?;
    if !store.knows_user(&user).await.map_err(|error| unavailable(&error))? {
        return Err(unknown());
    }
    let labels = store.forget_seen(&user, client.as_ref()).await.map_err(|error| unavailable(&error))?;
    store.close().await;
    let good = console.sign(Sign::Good);
    let words = if labels == 1 { "1 label" } else { &format!("{labels} labels") };
    console.say(format_args!("{good} {}: {words} forgotten; what the agent itself has kept is not", inert(&user.to_string())));
    Ok(Exit::Fine)
}

impl Whom {
    /// The issuer may be written as the name of its table `[idp.NAME]`.
    fn user(&self, house: &House) -> Result<UserId, Failure> {
        let config = house.config();
        let people = config.idps.values().map(|provider| (&provider.name, provider.issuer.as_str()));
        let tokens = config.issuers.iter().map(|issuer| (&issuer.rule.name, issuer.rule.issuer()));
        let found = people.chain(tokens).find(|(name, _)| name.as_str() == self.issuer);
        let issuer = found.map_or(self.issuer.as_str(), |(_, issuer)| issuer);
        UserId::new(issuer, &self.name).map_err(|_| unknown())
    }
}

/// Whether this is a client of the configuration that has access of its own.
fn is_configured(house: &House, user: &UserId) -> bool {
    let fixed = &house.config().clients.fixed;
    user.issuer() == client::ISSUER && fixed.iter().any(|client| client.id.as_str() == user.subject() && !client.own.is_empty())
}

fn no_client() -> Failure {
    let help = "write the id of a [[clients.static]] that has scopes, as it stands in the configuration";
    Failure::new(Exit::Usage, "user.unknown", "there is no such client that acts for itself", help)
}

fn unknown() -> Failure {
    let help = "see doorward user list; doorward apikey create --user NAME makes one";
    Failure::new(Exit::Usage, "user.unknown", "there is no such user", help)
}
