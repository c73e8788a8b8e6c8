//! `doorward keys`: which keys there are, and a new signing key for the record. Keys themselves are never shown.

use crate::args::Global;
use crate::console::{Console, Form, Sign, inert};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::house::{self, House};
use clap::{Args, Subcommand, ValueEnum};
use doorward_core::audit::checkpoint::PublicKey;
use doorward_core::audit::event::{MAX_LINE, Record};
use doorward_gateway::audit::key;
use doorward_gateway::audit::recorder::OpenError;
use doorward_gateway::setup::{self, SetupError};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List keys: what each is for, since when, and whether it is in use
    List,
    /// Make a new key and go on with it
    Rotate(RotateArguments),
}

/// Options of `keys rotate`.
#[derive(Debug, Args)]
pub struct RotateArguments {
    /// Which key
    #[arg(value_enum, value_name = "USE", default_value_t = Use::Audit)]
    pub key: Use,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Use {
    /// Signs the record.
    Audit,
    /// Encrypts the store and seals what clients hold.
    Store,
}

struct Listed {
    kid: String,
    alg: &'static str,
    purpose: &'static str,
    created: Option<String>,
    state: &'static str,
}

/// Runs a subcommand.
///
/// # Errors
/// [`Failure`].
pub fn run(command: &Command, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let house = House::open(global)?;
    match command {
        Command::List => list(&house, console),
        Command::Rotate(RotateArguments { key: Use::Audit }) => rotate(&house, console),
        Command::Rotate(RotateArguments { key: Use::Store }) => Err(Failure::new(
            Exit::Usage,
            "keys.not_rotatable",
            "the store key cannot be rotated by this version",
            "nothing was changed; only keys rotate audit is there",
        )),
    }
}

fn list(house: &House, console: &mut Console) -> Result<Exit, Failure> {
    let mut keys = signing(house)?;
    keys.push(store(house));
    if console.form() == Form::Json {
        let keys: Vec<Value> = keys
            .iter()
            .map(|key| json!({"kid": key.kid, "alg": key.alg, "use": key.purpose, "created": key.created, "state": key.state}))
            .collect();
        console.document(super::config::object(json!({"keys": keys})));
        return Ok(Exit::Fine);
    }
    console.line(format_args!("{:<18} {:<12} {:<6} {:<21} state", "kid", "alg", "use", "created"));
    for key in &keys {
        // Seconds are enough for people.
        let created = key.created.as_deref().map_or("-", |time| time.get(..19).unwrap_or(time));
        console.line(format_args!("{:<18} {:<12} {:<6} {created:<21} {}", inert(&key.kid), key.alg, key.purpose, key.state));
    }
    console.say("  times are UTC; a retired key still proves what it signed");
    console.say("  rotate: doorward keys rotate audit (the store key cannot be rotated yet)");
    Ok(Exit::Fine)
}

/// The signing keys as the record names them, oldest first. Read, not checked: that is `audit verify`.
fn signing(house: &House) -> Result<Vec<Listed>, Failure> {
    let mut keys: Vec<Listed> = Vec::new();
    let path = house.config().audit.file.clone().unwrap_or_else(|| house.state.join("audit.jsonl"));
    let unreadable = |error: io::Error| {
        let message = format!("the record {} cannot be read", path.display());
        Failure::new(Exit::Unreachable, "keys.record", message, "check [audit] file").because(crate::settings::reason(&error))
    };
    match File::open(&path) {
        Ok(file) => named_in(file, &mut keys).map_err(unreadable)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(unreadable(error)),
    }
    if keys.is_empty() {
        keys.extend(published(&house.state).map(|key| Listed {
            kid: key.id(),
            alg: "Ed25519",
            purpose: "audit",
            created: None,
            state: "active",
        }));
    }
    if house.state.join(key::NEXT).exists() {
        keys.push(Listed { kid: "(unfinished)".to_owned(), alg: "Ed25519", purpose: "audit", created: None, state: "next" });
    }
    Ok(keys)
}

fn named_in(file: File, keys: &mut Vec<Listed>) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let mut line = Vec::new();
    let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
    loop {
        line.clear();
        if reader.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        // Few records name a key; the others need not be understood.
        if !line.windows(7).any(|piece| piece == b"\"next\":") {
            continue;
        }
        let Ok((record, _)) = Record::read(line.strip_suffix(b"\n").unwrap_or(&line)) else { continue };
        let next = record.seal.as_ref().and_then(|seal| seal.next.as_deref()).and_then(|key| key.parse::<PublicKey>().ok());
        if let Some(key) = next {
            keys.iter_mut().for_each(|key| key.state = "retired");
            let created = Some(record.time.to_string());
            keys.push(Listed { kid: key.id(), alg: "Ed25519", purpose: "audit", created, state: "active" });
        }
    }
}

fn published(state: &Path) -> Option<PublicKey> {
    std::fs::read_to_string(state.join(key::PUBLIC)).ok()?.parse().ok()
}

/// The key-encryption key, by where it is: nothing derived from it is shown.
fn store(house: &House) -> Listed {
    let (kid, created, state) = match &house.config().store.encryption_key {
        Some(reference) => (reference.to_string(), None, "active"),
        None => {
            let found = std::fs::metadata(house.state.join(setup::KEY_FILE)).ok();
            let made = found.as_ref().and_then(|found| found.modified().ok()).and_then(|time| jiff::Timestamp::try_from(time).ok());
            let state = if found.is_some() { "active" } else { "not made yet" };
            (setup::KEY_FILE.to_owned(), made.map(|time| time.to_string()), state)
        }
    };
    Listed { kid, alg: "AES-256-GCM", purpose: "store", created, state }
}

fn rotate(house: &House, console: &mut Console) -> Result<Exit, Failure> {
    let rotating = setup::rotate_audit_key(house.config(), &house.state, &house.sources, &house.env);
    let rotated = house::runtime()?.block_on(rotating).map_err(|error| match error {
        SetupError::Audit(OpenError::Locked) => Failure::new(
            Exit::Unreachable,
            "keys.busy",
            "a gateway writes this record, so its key stays",
            "stop it, run doorward keys rotate again, and start it",
        ),
        other => house::failed(other),
    })?;
    if console.form() == Form::Json {
        let document = json!({"use": "audit", "old": rotated.old.id(), "new": rotated.new.id(), "public": rotated.new.to_string()});
        console.document(super::config::object(document));
        return Ok(Exit::Fine);
    }
    let good = console.sign(Sign::Good);
    console.line(format_args!("{good} the record is signed by key {} from here on", rotated.new.id()));
    console.say(format_args!("  key {} is retired; whoever kept it can still check the whole record", rotated.old.id()));
    console.say(format_args!("  the new public key is in {}", house.state.join(key::PUBLIC).display()));
    Ok(Exit::Fine)
}
