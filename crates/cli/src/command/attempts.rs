//! `doorward attempts`: how far clients came that tried to connect, and where they stopped, of everybody and of nobody.
//!
//! Reads the store beside a gateway that runs (ADR 25). Names and ids are what clients say of themselves: shown quoted, cut and inert.

use super::apikey::unavailable;
use super::clients::shortened;
use crate::args::Global;
use crate::console::{Console, Form, counted, inert};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::house::{self, House};
use clap::{Args, Subcommand};
use doorward_core::id::ServerName;
use doorward_core::oauth::admission::Blocked;
use doorward_core::oauth::attempt::advice::{Advice, advice, habit};
use doorward_core::oauth::attempt::{AttemptId, Mark, Standing};
use doorward_core::secret::sha256;
use doorward_core::time::Timestamp;
use doorward_gateway::admin::attempts::as_json;
use doorward_store::{Attempt, Store};
use serde_json::{Value, json};

/// `attempts`: without a subcommand it lists.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// Which.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// For the list.
    #[command(flatten)]
    pub filter: Filter,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the attempts of the last week, the latest first
    List(Filter),
    /// Show the steps of one, and for the one where it stopped the cause and the cure
    Show(Which),
}

/// Which attempts are listed.
#[derive(Debug, Args)]
pub struct Filter {
    /// Those of a person, as doorward user list shows them; "nobody" for those of nobody
    #[arg(long, value_name = "ISSUER/NAME")]
    pub user: Option<String>,
    /// Those of a client, by its id or "sha256:..." of it
    #[arg(long, value_name = "ID")]
    pub client: Option<String>,
    /// Only those that stopped on the way
    #[arg(long)]
    pub stuck: bool,
}

/// One attempt.
#[derive(Debug, Args)]
pub struct Which {
    /// Its id, see doorward attempts list
    #[arg(value_name = "ID")]
    pub id: String,
}

/// Whose attempts are of nobody.
const NOBODY: &str = "nobody";

/// Runs a subcommand.
///
/// # Errors
/// [`Failure`].
pub fn run(arguments: &Arguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let house = House::open(global)?;
    house::runtime()?.block_on(async {
        let store = house.store().await?;
        let now = house.env.now();
        let done = match &arguments.command {
            None => list(&store, &arguments.filter, now, console).await,
            Some(Command::List(filter)) => list(&store, filter, now, console).await,
            Some(Command::Show(which)) => show(&store, which, now, console).await,
        };
        store.close().await;
        done
    })
}

async fn list(store: &Store, filter: &Filter, now: Timestamp, console: &mut Console) -> Result<Exit, Failure> {
    let digest = filter.client.as_deref().map(digest).transpose()?;
    let all = store.list_attempts(digest.as_ref()).await.map_err(|error| unavailable(&error))?;
    let all: Vec<&Attempt> = all.iter().filter(|attempt| filter.takes(attempt, now)).collect();
    if console.form() == Form::Json {
        let all: Vec<Value> = all.iter().map(|attempt| as_json(attempt, now)).collect();
        console.document(super::config::object(json!({"attempts": all})));
        return Ok(Exit::Fine);
    }
    for attempt in &all {
        for line in lines(attempt, now) {
            console.line(line);
        }
    }
    console.say(counted(u64::try_from(all.len()).unwrap_or(u64::MAX), "attempt"));
    Ok(Exit::Fine)
}

async fn show(store: &Store, which: &Which, now: Timestamp, console: &mut Console) -> Result<Exit, Failure> {
    let unknown = || Failure::new(Exit::Usage, "attempts.unknown", "there is no such attempt", "see doorward attempts list");
    let id = AttemptId::parse(&which.id).ok_or_else(unknown)?;
    let attempt = store.attempt(id).await.map_err(|error| unavailable(&error))?.ok_or_else(unknown)?;
    let stop = match attempt.way.standing(now) {
        Standing::Stopped(step, reason) => Some((step, advice(step, reason))),
        Standing::Arrived | Standing::Declined | Standing::Waiting(_) => None,
    };
    let helps = stop.and_then(|(step, _)| habit(attempt.name.as_deref()?, step));
    if console.form() == Form::Json {
        let mut document = super::config::object(as_json(&attempt, now));
        document.insert("cause".to_owned(), json!(stop.map(|(_, Advice { cause, .. })| cause)));
        document.insert("cure".to_owned(), json!(stop.map(|(_, Advice { cure, .. })| cure)));
        document.insert("habit".to_owned(), json!(helps));
        console.document(document);
        return Ok(Exit::Fine);
    }
    for line in lines(&attempt, now) {
        console.line(line);
    }
    if let Some(id) = &attempt.client {
        console.line(format_args!("    client: {}", inert(id.as_str())));
    }
    if let Some(id) = &attempt.grant {
        console.line(format_args!("    consent: {}", inert(id.as_str())));
    }
    for mark in attempt.way.marks() {
        console.line(format_args!("    {}", step(mark)));
    }
    if let Some((_, Advice { cause, cure })) = stop {
        console.line(format_args!("    cause: {cause}"));
        console.line(format_args!("    cure: {cure}"));
    }
    if let Some(helps) = helps {
        console.line(format_args!("    {helps}"));
    }
    Ok(Exit::Fine)
}

fn step(mark: &Mark) -> String {
    let guess = if mark.step().is_guess() { " (perhaps: it may have been another)" } else { "" };
    match mark.reason() {
        Some(reason) => format!("{}  {}: {reason}", mark.at(), mark.step().refused()),
        None => format!("{}  {}{guess}", mark.at(), mark.step().done()),
    }
}

/// For people.
fn lines(attempt: &Attempt, now: Timestamp) -> [String; 2] {
    let whose = match (&attempt.user, &attempt.peer) {
        (Some(user), _) => inert(&user.to_string()),
        (None, Some(peer)) => format!("{NOBODY} at {}", inert(peer)),
        (None, None) => NOBODY.to_owned(),
    };
    let server = attempt.server.as_ref().map_or("-", ServerName::as_str);
    let client = attempt.client.as_ref().map_or_else(|| "no client".to_owned(), |id| shortened(id.as_str()));
    let name = attempt.name.as_deref().map(|name| format!("  \"{}\"", inert(name))).unwrap_or_default();
    let vouched = match attempt.identity.as_deref() {
        Some("published") => "by its published document",
        Some("approved") => "named by the administrator",
        Some("self-claimed") => "says so itself",
        _ => "not checked",
    };
    let standing = attempt.way.standing(now);
    let reason = match standing {
        Standing::Stopped(_, Some(reason)) => format!(": {reason}"),
        _ => String::new(),
    };
    [
        format!("{}  {whose}  {server}  {client}{name}  {vouched}", attempt.id),
        format!("    {}  {}{reason}  since {}  begun {}", standing.word(), standing.words(), attempt.last, attempt.begun),
    ]
}

/// What stands for a client here: SHA-256 of its id.
fn digest(text: &str) -> Result<[u8; 32], Failure> {
    match Blocked::parse(text) {
        Ok(Blocked::Digest(digest)) => Ok(digest),
        Ok(Blocked::Id(id)) => Ok(sha256(id.as_str().as_bytes())),
        Err(bad) => Err(Failure::new(Exit::Usage, "clients.id", format!("this is {bad}"), "see doorward clients list")),
    }
}

// === impl Filter ===

impl Filter {
    fn takes(&self, attempt: &Attempt, now: Timestamp) -> bool {
        let is_theirs = self.user.as_deref().is_none_or(|name| match &attempt.user {
            Some(user) => user.to_string() == name,
            None => name == NOBODY,
        });
        is_theirs && (!self.stuck || matches!(attempt.way.standing(now), Standing::Stopped(..)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_core::id::{ClientId, UserId};
    use doorward_core::oauth::attempt::Step;
    use doorward_core::oauth::attempt::Way;

    fn attempt(name: &str, steps: &str) -> Attempt {
        let client = ClientId::new("dwc_x").expect("client");
        Attempt {
            id: AttemptId::of_registration(&client),
            user: None,
            client: Some(client),
            name: Some(name.to_owned()),
            identity: Some("self-claimed".to_owned()),
            server: None,
            peer: Some("192.0.2.1".to_owned()),
            grant: None,
            way: Way::parse(steps).expect("steps"),
            begun: Timestamp::from_millis(0),
            last: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn reg_02_what_a_client_calls_itself_cannot_draw_in_a_terminal() {
        let shown = lines(&attempt("Nice\u{1b}[2J\u{202e}\u{7}", "0 registration\n"), Timestamp::from_millis(1)).join("\n");
        assert!(shown.contains("\"Nice\\u{1b}[2J\\u{202e}\\u{7}\"  says so itself"), "{shown}");
        assert!(shown.contains("nobody at 192.0.2.1") && shown.contains("waiting  It has not asked for access"), "{shown}");
        assert_eq!(shown.lines().count(), 2);
    }

    #[test]
    fn a_list_takes_whose_it_is_asked_for_and_those_that_stopped() {
        let filter = |user: Option<&str>, stuck| Filter { user: user.map(str::to_owned), client: None, stuck };
        let (nobodys, now) = (attempt("x", "0 registration\n"), Timestamp::from_millis(600_000));
        let theirs = Attempt { user: Some(UserId::new("local", "admin").expect("user")), ..attempt("x", "0 token\n1 call\n") };
        assert!(filter(None, false).takes(&nobodys, now) && filter(Some("nobody"), true).takes(&nobodys, now));
        assert!(!filter(Some("local/admin"), false).takes(&nobodys, now));
        assert!(filter(Some("local/admin"), false).takes(&theirs, now) && !filter(None, true).takes(&theirs, now));
        assert!(!filter(None, true).takes(&nobodys, Timestamp::from_millis(1)), "it may be on its way");
        assert!(step(&Mark::refused(Step::Token, now, "foreign_grant")).ends_with("It got no tokens: foreign_grant"));
    }
}
