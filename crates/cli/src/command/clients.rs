//! `doorward clients`: which programs are known, who says who they are, and blocking them.
//!
//! Names are what clients say of themselves: shown quoted and inert. Ids of registrations are long, so they are shown cut, with the digest
//! that stands for them.

mod known;

use super::apikey::unavailable;
use crate::args::Global;
use crate::console::{Console, Form, Sign, counted, inert};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::house::{self, House};
use clap::{Args, Subcommand};
use doorward_core::id::ClientId;
use doorward_core::oauth::admission::Blocked;
use doorward_core::oauth::client::Client;
use doorward_core::oauth::redirect::Registered;
use doorward_core::oauth::scope::Scope;
use doorward_core::secret::sha256;
use doorward_gateway::admin::known::{By, Known};
use doorward_gateway::setup;
use doorward_store::{Block, GrantInfo, OnRecord, Store};
pub(super) use known::shortened;
use serde_json::{Value, json};

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List every client that is known here
    List,
    /// Show one client and who allowed it what
    Show(Which),
    /// Refuse a client from now on, whatever it was given; nothing is deleted
    Block(BlockArguments),
    /// Let a client go on with what it has
    Unblock(Which),
}

/// A client.
#[derive(Debug, Args)]
pub struct Which {
    /// Its id, or "sha256:..." of it, see doorward clients list
    #[arg(value_name = "ID")]
    pub id: String,
}

/// Options of `clients block`.
#[derive(Debug, Args)]
pub struct BlockArguments {
    /// Which.
    #[command(flatten)]
    pub which: Which,
    /// Why, for the list and the record
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Block it also if nobody here has met it
    #[arg(long)]
    pub unseen: bool,
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
            Command::List => list(&house, &store, console).await,
            Command::Show(which) => show(&house, &store, which, console).await,
            Command::Block(arguments) => block(&house, &store, arguments, console).await,
            Command::Unblock(which) => unblock(&house, &store, which, console).await,
        };
        store.close().await;
        done
    })
}

async fn list(house: &House, store: &Store, console: &mut Console) -> Result<Exit, Failure> {
    let mut all: Vec<Known> = known::read(house, store).await?.into_values().collect();
    all.sort_by(|one, other| one.place().cmp(&other.place()));
    if console.form() == Form::Json {
        let all: Vec<Value> = all.iter().map(Known::as_json).collect();
        console.document(super::config::object(json!({"clients": all})));
        return Ok(Exit::Fine);
    }
    for client in &all {
        for line in known::lines(client) {
            console.line(line);
        }
    }
    Ok(Exit::Fine)
}

async fn show(house: &House, store: &Store, which: &Which, console: &mut Console) -> Result<Exit, Failure> {
    let mut all = known::read(house, store).await?;
    let known = all.remove(&which.digest()?).ok_or_else(unknown)?;
    let (consents, said) = match &known.id {
        Some(id) => {
            let consents = store.grants_of_client(id, house.env.now()).await.map_err(|error| unavailable(&error))?;
            (consents, said(house, store, id).await?)
        }
        None => (Vec::new(), Said::default()),
    };
    if console.form() == Form::Json {
        let consents: Vec<Value> = consents
            .iter()
            .map(|grant| {
                json!({"id": grant.id.as_str(), "user": grant.user.to_string(), "server": grant.server.as_str(), "granted": grant.granted,
                    "answers_to": grant.target, "created": grant.created.to_string(), "expires": grant.expires.map(|at| at.to_string()),
                    "last_used": grant.used.map(|at| at.to_string())})
            })
            .collect();
        let mut document = super::config::object(known.as_json());
        document.insert("redirect_uris".to_owned(), json!(said.redirects));
        document.insert("authentication".to_owned(), json!(said.authentication));
        document.insert("scopes".to_owned(), json!(said.own));
        document.insert("granted".to_owned(), json!(consents));
        console.document(document);
        return Ok(Exit::Fine);
    }
    for line in known::lines(&known) {
        console.line(line);
    }
    if let Some(id) = &known.id {
        console.line(format_args!("    id: {}", inert(id.as_str())));
    }
    for uri in &said.redirects {
        console.line(format_args!("    answers to: {}", inert(uri)));
    }
    if let Some(method) = said.authentication {
        console.line(format_args!("    proves itself by: {method}"));
    }
    if !said.own.is_empty() {
        console.line(format_args!("    has for itself: {}", said.own.join(" ")));
    }
    for grant in &consents {
        console.line(format_args!("    {}", consent(grant)));
    }
    Ok(Exit::Fine)
}

async fn block(house: &House, store: &Store, arguments: &BlockArguments, console: &mut Console) -> Result<Exit, Failure> {
    let (digest, now) = (arguments.which.digest()?, house.env.now());
    let reason = arguments.reason.as_deref().map(fitting).transpose()?;
    let known = known::read(house, store).await?.remove(&digest);
    if known.is_none() && !arguments.unseen {
        return Err(unknown());
    }
    let named = match Blocked::parse(&arguments.which.id) {
        Ok(Blocked::Id(id)) => Some(id),
        Ok(Blocked::Digest(_)) | Err(_) => known.as_ref().and_then(|known| known.id.clone()),
    };
    if named.as_ref().is_some_and(|id| id.as_str().starts_with("key:")) {
        let help = "doorward apikey revoke ends a key";
        return Err(Failure::new(Exit::Usage, "clients.key", "a static key is no client that could be blocked", help));
    }
    let new = Block { digest, client: named.clone(), reason: reason.map(str::to_owned), since: now };
    let is_new = store.block_client(&new, OnRecord::Later).await.map_err(|error| unavailable(&error))?;
    let consents = match &named {
        Some(id) => store.grants_of_client(id, now).await.map_err(|error| unavailable(&error))?,
        None => Vec::new(),
    };
    if console.form() == Form::Json {
        let consents: Vec<&str> = consents.iter().map(|grant| grant.id.as_str()).collect();
        console.document(super::config::object(json!({"client": named.as_ref().map(ClientId::as_str),
            "digest": Blocked::Digest(digest).to_string(), "blocked": true, "was_blocked": !is_new, "consents": consents})));
        return Ok(Exit::Fine);
    }
    let good = console.sign(Sign::Good);
    let name = named.as_ref().map_or_else(|| Blocked::Digest(digest).to_string(), |id| shortened(id.as_str()));
    if is_new {
        console.say(format_args!("{good} {name} is blocked: calls end within 5 s, streams within 30 s"));
    } else {
        console.say(format_args!("{good} {name} was blocked before; the first reason stays"));
    }
    if consents.is_empty() {
        console.say("  nobody has allowed it anything that counts");
    } else {
        let number = counted(u64::try_from(consents.len()).unwrap_or(u64::MAX), "consent");
        console.say(format_args!("  it keeps {number}, for when it is unblocked; for good: doorward grant revoke ID"));
        for grant in &consents {
            console.line(consent(grant));
        }
    }
    Ok(Exit::Fine)
}

async fn unblock(house: &House, store: &Store, which: &Which, console: &mut Console) -> Result<Exit, Failure> {
    let digest = which.digest()?;
    let known = known::read(house, store).await?.remove(&digest);
    let was_blocked = store.unblock_client(&digest, OnRecord::Later, house.env.now()).await.map_err(|error| unavailable(&error))?;
    let by_configuration = known.as_ref().is_some_and(|known| known.blocked.contains(&By::Configuration));
    if !was_blocked {
        let help = if by_configuration { "take it out of clients.block and start anew" } else { "see doorward clients list" };
        return Err(Failure::new(Exit::Usage, "clients.not_blocked", "no command has blocked this client", help));
    }
    let name = known.and_then(|known| known.id).map_or_else(|| Blocked::Digest(digest).to_string(), |id| shortened(id.as_str()));
    if console.form() == Form::Json {
        let digest = Blocked::Digest(digest).to_string();
        console.document(super::config::object(json!({"digest": digest, "blocked": by_configuration})));
        return Ok(Exit::Fine);
    }
    if by_configuration {
        let note = console.sign(Sign::Note);
        console.say(format_args!("{note} {name} stays blocked by clients.block of the configuration"));
    } else {
        let good = console.sign(Sign::Good);
        console.say(format_args!("{good} {name} may go on with what it has, within 5 s"));
    }
    Ok(Exit::Fine)
}

/// What a client says of itself, or the configuration of it.
#[derive(Debug, Default)]
struct Said {
    redirects: Vec<String>,
    authentication: Option<&'static str>,
    own: Vec<String>,
}

async fn said(house: &House, store: &Store, id: &ClientId) -> Result<Said, Failure> {
    let redirects = |all: &[Registered]| all.iter().map(|uri| uri.as_str().to_owned()).collect();
    if let Some(fixed) = house.config().clients.fixed.iter().find(|client| client.id == *id) {
        let own = fixed.own.iter().map(Scope::to_string).collect();
        return Ok(Said { redirects: redirects(&fixed.redirects), authentication: Some(known::method(&fixed.auth)), own });
    }
    let parts = (house.config(), house.state.as_path(), &house.sources, &house.env);
    let client: Option<Client> = setup::describe(parts, store, id).await.map_err(house::failed)?;
    Ok(client.map_or_else(Said::default, |client| Said {
        redirects: redirects(client.redirects()),
        authentication: Some(client.auth().method()),
        own: Vec::new(),
    }))
}

fn consent(grant: &GrantInfo) -> String {
    let granted: Vec<&str> = grant.granted.iter().map(String::as_str).collect();
    let used = grant.used.map_or_else(|| "never used".to_owned(), |at| format!("used {at}"));
    format!("{}  {}  {}  {}  {used}", grant.id, inert(&grant.user.to_string()), grant.server, granted.join(" "))
}

impl Which {
    /// What stands for the client here: SHA-256 of its id.
    fn digest(&self) -> Result<[u8; 32], Failure> {
        match Blocked::parse(&self.id) {
            Ok(Blocked::Digest(digest)) => Ok(digest),
            Ok(Blocked::Id(id)) => Ok(sha256(id.as_str().as_bytes())),
            Err(bad) => Err(Failure::new(Exit::Usage, "clients.id", format!("this is {bad}"), "see doorward clients list")),
        }
    }
}

/// A reason as the store takes it.
fn fitting(reason: &str) -> Result<&str, Failure> {
    let fits = !reason.is_empty() && reason.len() <= 255 && !reason.chars().any(char::is_control);
    let help = "1 to 255 bytes without control characters";
    fits.then_some(reason).ok_or_else(|| Failure::new(Exit::Usage, "clients.reason", "--reason does not fit", help))
}

fn unknown() -> Failure {
    let help = "see doorward clients list; to block one that nobody here has met: doorward clients block ID --unseen";
    Failure::new(Exit::Usage, "clients.unknown", "there is no such client", help)
}
