//! What lies on this machine: files and their modes, secrets that references name, keys, record, store, the running gateway.

use super::{Check, number};
use crate::command::status::{self, Said};
use crate::console::counted;
use crate::failure::Failure;
use crate::record::{self, Tail};
use doorward_core::audit::checkpoint::PublicKey;
use doorward_core::audit::verify::{Why, verify};
use doorward_core::config::reference::SecretRef;
use doorward_core::config::{Config, CredentialConfig, StoreTarget, Target, Tls};
use doorward_gateway::audit::key;
use doorward_gateway::env::Env;
use doorward_gateway::setup::KEY_FILE;
use doorward_gateway::skew;
use doorward_gateway::sources::env::Variables;
use doorward_gateway::sources::{Kind, Reference, Sources};
use doorward_store::Store;
use std::fs::{self, File};
use std::io::{BufReader, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Behind this the clock is certainly wrong: 2026-01-01.
const EARLIEST: u64 = 1_767_225_600_000;
/// A record may be written in between.
const SLACK: u64 = 5_000;

/// Files that the configuration names and that are no secrets.
pub(super) fn files(config: &Config) -> Vec<Check> {
    let mut named: Vec<(String, PathBuf)> = Vec::new();
    named.extend(config.egress.ca.iter().map(|path| ("egress.ca".to_owned(), path.clone())));
    named.extend(config.policy.schema.iter().map(|path| ("policy.schema".to_owned(), path.clone())));
    for server in config.servers.values() {
        named.extend(server.ca.iter().map(|path| (format!("server.{}.tls.ca", server.name), path.clone())));
        if let Target::Stdio(command) = &server.target {
            named.extend(command.argv.first().map(|program| (format!("server.{}.command", server.name), PathBuf::from(program))));
        }
    }
    let mut checks: Vec<Check> = named.iter().filter_map(|(key, path)| missing(key, path)).collect();
    if !named.is_empty() && checks.is_empty() {
        checks.push(Check::good("files", format!("{}, all there", counted(number(named.len()), "file"))));
    }
    checks
}

fn missing(key: &str, path: &Path) -> Option<Check> {
    let error = File::open(path).and_then(|file| file.metadata()).map(|found| found.is_file());
    match error {
        Ok(true) => None,
        Ok(false) => Some(Check::bad("files", format!("{} is not a file", path.display()), key)),
        Err(error) => Some(Check::bad("files", format!("{}: {}", path.display(), crate::settings::reason(&error)), key)),
    }
}

/// Every reference is followed once; values are dropped at once.
pub(super) fn secrets(config: &Config) -> Vec<Check> {
    let mut named: Vec<(String, &SecretRef)> = Vec::new();
    named.extend(config.store.password.iter().map(|reference| ("store.password".to_owned(), reference)));
    named.extend(config.store.encryption_key.iter().map(|reference| ("store.encryption_key".to_owned(), reference)));
    let tls_key = match &config.listen.tls {
        Tls::Here { key, .. } => Some(SecretRef::File(key.clone())),
        Tls::Loopback | Tls::Proxy => None,
    };
    named.extend(tls_key.iter().map(|key| ("listen.tls.key".to_owned(), key)));
    for server in config.servers.values() {
        match &server.credential {
            CredentialConfig::Header { value, .. } => named.push((format!("server.{}.credential", server.name), value)),
            CredentialConfig::Oauth(grantor) => {
                named.extend(grantor.client_secret.iter().map(|value| (format!("server.{}.credential.client_secret", server.name), value)));
            }
            // A credential file is no text of one line; it is read where its server is looked at.
            CredentialConfig::None | CredentialConfig::UserSecret(_) | CredentialConfig::Google(_) => {}
        }
        if let Target::Stdio(command) = &server.target {
            named.extend(command.env.iter().map(|(name, reference)| (format!("server.{}.env.{name}", server.name), reference)));
        }
    }
    let sources = Sources::new(Variables::new(std::env::vars_os()));
    let mut checks: Vec<Check> = Vec::new();
    for (key, reference) in &named {
        // A private key has line breaks, so it is no secret of one line; its file is looked at with the certificate.
        let followed = if key == "listen.tls.key" { Ok(()) } else { follow(reference, &sources) };
        if let Err(why) = followed {
            checks.push(Check::bad("secrets", why, key.clone()));
        }
    }
    if !named.is_empty() && checks.is_empty() {
        checks.push(Check::good("secrets", format!("{}, all lead to something", counted(number(named.len()), "reference"))));
    }
    checks
}

fn follow(reference: &SecretRef, sources: &Sources) -> Result<(), String> {
    let (kind, text) = match reference {
        SecretRef::Env(name) => (Kind::Env, name.clone()),
        SecretRef::File(path) => (Kind::File, path.display().to_string()),
        SecretRef::Cred(name) => (Kind::Cred, name.clone()),
        SecretRef::Plain(_) => return Ok(()),
    };
    let reference = Reference::new(kind, &text).map_err(|bad| bad.to_string())?;
    sources.secret(&reference).map(drop).map_err(|missing| missing.to_string())
}

/// Private keys are for their owner alone.
pub(super) fn keys(state: &Path) -> Vec<Check> {
    let own = rustix::process::geteuid().as_raw();
    let mut checks = Vec::new();
    let mut there = 0_u64;
    for name in [KEY_FILE, key::PRIVATE, key::NEXT] {
        let path = state.join(name);
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        there += 1;
        let shown = path.display();
        if !found.is_file() {
            checks.push(Check::bad("key files", format!("{shown} is not a file"), "put the key back"));
        } else if found.mode() & 0o077 != 0 {
            let text = format!("{shown} is open to others (mode {:04o})", found.mode() & 0o7777);
            checks.push(Check::bad("key files", text, format!("chmod 600 {shown}, and make another key: others may have it")));
        } else if found.uid() != own {
            checks.push(Check::bad("key files", format!("{shown} belongs to another user"), format!("chown {own} {shown}")));
        }
    }
    if state.join(key::NEXT).exists() {
        checks.push(Check::note("key files", "a rotation was not finished", "the next start finishes or drops it"));
    }
    if checks.is_empty() {
        checks.push(match there {
            0 => Check::note("key files", "none yet", "the first doorward serve makes them"),
            _ => Check::good("key files", format!("{}, readable for you alone", counted(there, "file"))),
        });
    }
    checks
}

/// The record, from its first line to its last, and the clock beside it.
pub(super) fn record(config: &Config, state: &Path) -> Vec<Check> {
    let path = record::place(config, state);
    let now = Env::system().now().as_millis();
    let mut checks = Vec::new();
    let tail = record::tail(&path);
    let latest = match &tail {
        Tail::Whole { time, .. } => time.parse::<jiff::Timestamp>().ok().and_then(|time| u64::try_from(time.as_millisecond()).ok()),
        _ => None,
    };
    checks.push(match latest {
        _ if now < EARLIEST => Check::bad("clock", "it is far behind", "set it: times in the record would be wrong"),
        Some(latest) if now.saturating_add(SLACK) < latest => {
            let behind = (latest - now) / 1000;
            Check::bad("clock", format!("{behind} s behind the newest record"), "set it: expiry of keys would be wrong")
        }
        _ => Check::good("clock", "not behind the newest record"),
    });
    if tail == Tail::None {
        checks.push(Check::note("record", "none yet", "the first doorward serve begins it"));
        return checks;
    }
    let Some(key) = public(state) else {
        checks.push(Check::bad("record", "its public key cannot be read", "doorward audit verify --key FILE"));
        return checks;
    };
    // The last line may just be written: then it is whole the second time.
    let found = check(&path, &key).or_else(|bad| if bad.why == Why::Torn { check(&path, &key) } else { Err(bad) });
    checks.push(match found {
        Ok(summary) => {
            let (records, seals) = (counted(summary.records, "record"), counted(summary.seals, "seal"));
            Check::good("record", format!("{records}, {seals}, the chain is whole; key {}", summary.key.id()))
        }
        Err(bad) if bad.why == Why::Torn => Check::note("record", "its last line is cut", "the next start repairs it"),
        Err(bad) => Check::bad("record", format!("line {}: {}", bad.line, bad.why), "doorward audit verify"),
    });
    checks
}

fn public(state: &Path) -> Option<PublicKey> {
    let mut text = String::new();
    File::open(state.join(key::PUBLIC)).ok()?.take(4096).read_to_string(&mut text).ok()?;
    text.parse().ok()
}

fn check(path: &Path, key: &PublicKey) -> Result<doorward_core::audit::verify::Summary, doorward_core::audit::verify::FirstBad> {
    let unreadable = |error: std::io::Error| doorward_core::audit::verify::FirstBad {
        line: 0,
        seq: None,
        why: Why::Unreadable(crate::settings::reason(&error)),
        last_good: 0,
        last_sealed: 0,
    };
    let file = File::open(path).map_err(unreadable)?;
    verify(BufReader::with_capacity(1 << 18, file), key, None)
}

/// Whether a gateway runs and serves.
pub(super) async fn running(config: &Config, state: &Path) -> Result<Check, Failure> {
    let found = status::ask(config, state).await?;
    Ok(match found.said {
        Said::Ready => Check::good("gateway", format!("{} is ready", found.url)),
        Said::NotReady => Check::bad("gateway", format!("{} does not serve", found.url), "is its disk full? see its log"),
        Said::Nothing(_) if found.process.is_none() => Check::note("gateway", "not running", "doorward serve"),
        Said::Nothing(why) => Check::bad("gateway", format!("{} runs and does not answer: {why}", found.url), "see its log"),
    })
}

/// Opening the store checked its schema and that its contents open with the key.
pub(super) async fn store(store: &Store, config: &Config, state: &Path) -> Check {
    let place = match &config.store.target {
        StoreTarget::Sqlite(path) => path.display().to_string(),
        StoreTarget::StateDirectory => state.join("doorward.db").display().to_string(),
        StoreTarget::Postgres(_) => "PostgreSQL".to_owned(),
    };
    match store.ping().await {
        Ok(()) => Check::good("store", format!("{place}: schema of this release, opens with its key")),
        Err(error) => Check::bad("store", format!("{place}: {error}"), "check [store]"),
    }
}

/// Our clock beside that of the database, which all replicas share (FLT-07); nothing on SQLite.
pub(super) async fn shared_clock(store: &Store) -> Option<Check> {
    let env = Env::system();
    let before = env.now();
    let said = store.clock().await.ok()??;
    let ahead = skew::measured(before, said, env.now())?;
    let told = skew::told(ahead);
    Some(if skew::is_far(ahead) {
        Check::bad("shared clock", told, "set it: replicas disagree about what has expired")
    } else {
        Check::good("shared clock", told)
    })
}
