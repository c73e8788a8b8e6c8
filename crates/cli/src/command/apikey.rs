//! `doorward apikey`: static keys for the routes under `/k`, shown once when they are made.

use crate::args::Global;
use crate::console::{Console, Form, Sign, inert};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::house::{self, House};
use clap::{Args, Subcommand};
use doorward_core::config::{Config, units};
use doorward_core::id::{AgentLabel, ClientId, CredentialId, GroupName, ServerName, UserId};
use doorward_core::identity::caller::{Audience, Level, Record};
use doorward_core::policy::facts::RiskClass;
use doorward_core::secret::{ApiKey, PlainToken};
use doorward_core::time::Timestamp;
use doorward_gateway::env::Env;
use doorward_store::{NewApiKey, Store, StoreError};
use serde_json::json;
use std::collections::BTreeSet;

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a key and print it, this once
    Create(CreateArguments),
    /// List keys; the keys themselves are not kept
    List,
    /// End a key at once
    Revoke(RevokeArguments),
}

/// Options of `apikey create`.
#[derive(Debug, Args)]
pub struct CreateArguments {
    /// What the key is for, for your own list
    #[arg(long, value_name = "TEXT", default_value = "key")]
    pub label: String,
    /// Whose key it is
    #[arg(long, value_name = "NAME", default_value = "admin")]
    pub user: String,
    /// Groups of that user, if the key makes the user; those of somebody who is known change with doorward user groups
    #[arg(long = "group", value_name = "NAME")]
    pub groups: Vec<String>,
    /// The agent that uses it
    #[arg(long, value_name = "LABEL")]
    pub agent: Option<String>,
    /// Servers that it opens; repeat for several [default: every server that the rules allow]
    #[arg(long = "server", value_name = "NAME")]
    pub servers: Vec<String>,
    /// Classes of tools that it may call: read, write, destructive
    #[arg(long, value_name = "CLASS", value_delimiter = ',', default_value = "read")]
    pub grant: Vec<String>,
    /// How long it lives, at most 365d
    #[arg(long, value_name = "TIME", default_value = "90d")]
    pub ttl: String,
}

/// Options of `apikey revoke`.
#[derive(Debug, Args)]
pub struct RevokeArguments {
    /// Id of the key, see doorward apikey list
    #[arg(value_name = "ID")]
    pub id: String,
}

const LONGEST: std::time::Duration = std::time::Duration::from_secs(365 * 24 * 3600);

/// Runs a subcommand.
///
/// # Errors
/// [`Failure`].
pub fn run(command: &Command, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let house = House::open(global)?;
    house::runtime()?.block_on(async {
        match command {
            Command::Create(arguments) => create(&house, arguments, console).await,
            Command::List => list(&house, console).await,
            Command::Revoke(arguments) => revoke(&house, arguments, console).await,
        }
    })
}

/// Whether somebody who is known is in other groups than these. A key must not take anybody out of a group, nor put them into one,
/// while it is made: the groups count for all their keys.
async fn is_in_others(store: &Store, user: &UserId, groups: &[GroupName], now: Timestamp) -> Result<bool, Failure> {
    let known = store.change_groups(user, &[], &[], now).await.map_err(|error| unavailable(&error))?;
    let set = |groups: &[GroupName]| groups.iter().map(|group| group.as_str().to_owned()).collect::<BTreeSet<String>>();
    Ok(known.is_some_and(|known| set(&known) != set(groups)))
}

/// A key for these servers and classes, kept as its digest.
///
/// # Errors
/// [`Failure`] for what does not fit, or when the store takes nothing.
pub async fn make(
    config: &Config,
    env: &Env,
    store: &Store,
    arguments: &CreateArguments,
) -> Result<(PlainToken<ApiKey>, CredentialId), Failure> {
    let bad = |what: &str, help: &str| Failure::new(Exit::Usage, "apikey.bad", what.to_owned(), help.to_owned());
    let life = units::duration(&arguments.ttl).filter(|life| *life <= LONGEST && !life.is_zero());
    let life = life.ok_or_else(|| bad("--ttl is not a time of at most 365d", "for example --ttl 30d"))?;
    let mut servers = BTreeSet::new();
    for name in &arguments.servers {
        let server = ServerName::new(name).ok().filter(|server| config.servers.contains_key(server));
        servers.insert(server.ok_or_else(|| bad(&format!("there is no server \"{name}\""), "see doorward server list"))?);
    }
    let mut granted = BTreeSet::new();
    for class in &arguments.grant {
        let class = RiskClass::parse(class).ok_or_else(|| bad(&format!("\"{class}\" is no class of tools"), "read, write, destructive"))?;
        if servers.is_empty() {
            granted.insert(format!("*:{}", class.as_str()));
        }
        granted.extend(servers.iter().map(|server| format!("{server}:{}", class.as_str())));
    }
    let no_random = |_| Failure::new(Exit::Internal, "random", "the system gives no random bytes", "try again");
    let token = PlainToken::<ApiKey>::mint(&env.bytes::<32>().map_err(no_random)?);
    let id: String = env.bytes::<8>().map_err(no_random)?.iter().map(|byte| format!("{byte:02x}")).collect();
    let now = env.now();
    let groups: Result<Vec<GroupName>, _> = arguments.groups.iter().map(|group| GroupName::new(group)).collect();
    let unfit = |_| bad("a name is empty, too long or holds control characters", "choose another name");
    let user = UserId::new("local", &arguments.user).map_err(unfit)?;
    let groups = groups.map_err(unfit)?;
    let record = Record {
        credential: CredentialId::new(&id).map_err(unfit)?,
        level: Level::StaticKey,
        user: user.clone(),
        groups: groups.clone(),
        client: ClientId::new(&format!("key:{id}")).map_err(unfit)?,
        agent: arguments.agent.as_deref().map(AgentLabel::new).transpose().map_err(unfit)?,
        audience: if servers.is_empty() { Audience::Every } else { Audience::Only(servers) },
        granted,
        expires: now.after(life),
        revoked: None,
        user_disabled: false,
        bound: None,
        delegation: None,
    };
    let credential = record.credential.clone();
    if !groups.is_empty() {
        if is_in_others(store, &user, &groups, now).await? {
            let message = format!("{} is known already, and in other groups than these", inert(user.subject()));
            let help =
                format!("make the key without --group, and change the groups: doorward user groups {} --add GROUP", inert(user.subject()));
            return Err(Failure::new(Exit::Usage, "apikey.groups", message, help));
        }
        store.put_user(&user, &groups, now).await.map_err(|error| unavailable(&error))?;
    }
    let key = NewApiKey { hash: token.hashed(), record, label: arguments.label.clone(), created: now };
    store.create_api_key(&key).await.map_err(|error| unavailable(&error))?;
    Ok((token, credential))
}

async fn create(house: &House, arguments: &CreateArguments, console: &mut Console) -> Result<Exit, Failure> {
    let store = house.store().await?;
    let (token, id) = make(house.config(), &house.env, &store, arguments).await?;
    store.close().await;
    if console.form() == Form::Json {
        console.document(super::config::object(json!({"id": id.as_str(), "key": token.reveal()})));
    } else {
        console.line(token.reveal());
        let good = console.sign(Sign::Good);
        console.say(format_args!("{good} key {id}: shown this once, kept as a digest only"));
    }
    Ok(Exit::Fine)
}

async fn list(house: &House, console: &mut Console) -> Result<Exit, Failure> {
    let keys = house.store().await?.list_api_keys(None).await.map_err(|error| unavailable(&error))?;
    let now = house.env.now();
    let state = |revoked: bool, expires| {
        if revoked {
            "revoked"
        } else if expires <= now {
            "expired"
        } else {
            "active"
        }
    };
    if console.form() == Form::Json {
        let keys: Vec<serde_json::Value> = keys
            .iter()
            .map(|key| {
                json!({"id": key.id.as_str(), "label": key.label, "user": key.user.to_string(), "granted": key.granted,
                    "created": key.created.to_string(), "expires": key.expires.to_string(),
                    "last_used": key.last_used.map(|used| used.to_string()), "state": state(key.revoked.is_some(), key.expires)})
            })
            .collect();
        console.document(super::config::object(json!({"keys": keys})));
        return Ok(Exit::Fine);
    }
    for key in &keys {
        let granted: Vec<&str> = key.granted.iter().map(String::as_str).collect();
        let used = key.last_used.map_or_else(|| "never used".to_owned(), |used| format!("used {used}"));
        let label = crate::console::inert(&key.label);
        console.line(format_args!("{}  {:<8} {}  {}", key.id, state(key.revoked.is_some(), key.expires), label, granted.join(" ")));
        console.line(format_args!("    {}  until {}  {used}", key.user, key.expires));
    }
    if keys.is_empty() {
        console.say("no keys yet: doorward apikey create");
    }
    Ok(Exit::Fine)
}

async fn revoke(house: &House, arguments: &RevokeArguments, console: &mut Console) -> Result<Exit, Failure> {
    let unknown = || Failure::new(Exit::Usage, "apikey.unknown", "there is no such key", "see doorward apikey list");
    let id = CredentialId::new(&arguments.id).map_err(|_| unknown())?;
    let revoked = house.store().await?.revoke_api_key(&id, house.env.now()).await.map_err(|error| unavailable(&error))?;
    if !revoked {
        return Err(unknown());
    }
    let good = console.sign(Sign::Good);
    console.say(format_args!("{good} key {id} is revoked: calls end within 5 s, streams within 30 s"));
    Ok(Exit::Fine)
}

/// The store did not do what was asked.
#[must_use]
pub fn unavailable(error: &StoreError) -> Failure {
    Failure::new(Exit::Unreachable, "store.unavailable", "the store did not take this", "see doorward doctor").because(error)
}
