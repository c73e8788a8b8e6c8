//! Which server of the gateway an entry of a client means: one that the gateway has, or a new table of its configuration. What an
//! entry says and the gateway could not do is refused with the reason, so that nothing works worse behind the gateway than before.

use super::keep::Shelf;
use super::plan::Hole;
use crate::command::server::add::{command, credential};
use crate::console::inert;
use doorward_core::config::{Config, Target};
use doorward_core::id::ServerName;
use doorward_scan::{Entry, Found, Nature, Reach, Value};
use std::collections::BTreeMap;
use std::path::Path;
use toml_edit::{InlineTable, Table, value};

/// A value is at most as long as the source of a secret.
pub(super) const MAX_VALUE: usize = 64 * 1024;

/// Headers that are credentials whatever stands in them.
const CREDENTIALS: [&str; 6] = ["authorization", "cookie", "proxy-authorization", "x-api-key", "x-auth-token", "api-key"];

/// A server that the gateway is given.
#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) name: ServerName,
    pub(super) table: Table,
    /// Whether it starts a program, which somebody has to approve.
    pub(super) is_command: bool,
    /// What its values are, to tell two of one name apart.
    values: BTreeMap<String, [u8; 32]>,
}

/// An entry, and what else counts for the server that it means.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) entry: &'a Entry,
    pub(super) found: &'a Found,
    /// Where relative paths of it begin.
    pub(super) base: Option<&'a Path>,
    pub(super) holes: &'a [Hole],
    pub(super) naming: Naming,
}

/// Whether a person named the server of the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// On the command line: it is meant, whatever it is.
    Said,
    /// Only the entry has its name.
    Found,
}

/// What the gateway knows, and what it is given by this plan.
pub(super) struct Known<'a> {
    config: &'a Config,
    given: Vec<Given>,
    /// Where values of this plan will be kept.
    pub(super) shelf: Shelf,
    /// Whether the configuration would load with a table more; the first thing that is wrong with it, if not.
    loads: &'a dyn Fn(&[Given]) -> Result<(), String>,
}

// === impl Known ===

impl<'a> Known<'a> {
    pub(super) fn new(config: &'a Config, loads: &'a dyn Fn(&[Given]) -> Result<(), String>) -> Self {
        Self { config, given: Vec::new(), shelf: Shelf::default(), loads }
    }

    /// How many servers are given so far.
    pub(super) fn mark(&self) -> usize {
        self.given.len()
    }

    /// Forgets what was given since.
    pub(super) fn back_to(&mut self, mark: usize) {
        self.given.truncate(mark);
    }

    pub(super) fn take(&mut self) -> Vec<Given> {
        std::mem::take(&mut self.given)
    }

    /// Finds or makes the server that an entry means.
    pub(super) fn resolve(&mut self, name: &ServerName, asked: &Asked<'_>) -> Result<(), String> {
        let Asked { entry, found, base, holes, naming } = *asked;
        if let Some(server) = self.config.servers.get(name) {
            if naming == Naming::Said || means(entry, &server.target, base) {
                return Ok(());
            }
            let what = match &server.target {
                Target::Http { url } => url.to_string(),
                Target::Stdio(stdio) => stdio.argv.join(" "),
            };
            return Err(format!("the gateway's {name} is something else ({}): if it is meant, --server {name}", inert(&what)));
        }
        let given = given(name, entry, found, base, holes)?;
        if let Some(other) = self.given.iter().find(|other| other.name == *name) {
            let is_same = other.table.to_string() == given.table.to_string() && other.values == given.values;
            return if is_same { Ok(()) } else { Err(format!("another entry is called {name} too and says something else: rename one")) };
        }
        let mut all = self.given.clone();
        all.push(given);
        (self.loads)(&all)?;
        self.given = all;
        Ok(())
    }
}

/// Whether an entry leads where a server of the gateway does.
fn means(entry: &Entry, target: &Target, base: Option<&Path>) -> bool {
    match (&entry.reach, target) {
        (Reach::Address(address), Target::Http { url }) => {
            let plain = |text: &str| text.trim_end_matches('/').to_owned();
            plain(address.text.expose()) == plain(url.as_str())
        }
        (Reach::Program(words), Target::Stdio(stdio)) => argv(words, base)
            .ok()
            .and_then(|argv| command(&argv).ok())
            .is_some_and(|array| array.iter().map(|word| word.as_str().unwrap_or_default().to_owned()).eq(stdio.argv.iter().cloned())),
        _ => false,
    }
}

fn given(name: &ServerName, entry: &Entry, found: &Found, base: Option<&Path>, holes: &[Hole]) -> Result<Given, String> {
    if let Some(place) = entry.elsewhere.first() {
        return Err(format!("there is a secret in {place}, and the gateway gives servers secrets by variables and headers only"));
    }
    if let Some(key) = entry.client_side.first() {
        return Err(format!("{} means something to this client that the gateway cannot do", inert(key)));
    }
    let referring = entry.env.iter().chain(&entry.headers).chain(&entry.directory).find(|value| value.nature == Nature::Reference);
    if let Some(value) = referring {
        let key = inert(&value.key);
        return Err(format!("{key} refers to what only the client finds: doorward server add {name} with a reference, then again"));
    }
    let (mut table, is_command) = (Table::new(), matches!(entry.reach, Reach::Program(_)));
    match &entry.reach {
        Reach::Program(words) => program(words, entry, base, holes, &mut table)?,
        Reach::Address(address) => web(name, address, entry, found, holes, &mut table)?,
        Reach::Doorward(_) => return Err("it goes through a gateway already".to_owned()),
    }
    let values = holes.iter().map(|hole| (hole.key.clone(), hole.text.fingerprint())).collect();
    Ok(Given { name: name.clone(), table, is_command, values })
}

fn argv(words: &[Value], base: Option<&Path>) -> Result<Vec<String>, String> {
    let mut argv = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let text = word.plain().ok_or_else(|| format!("argument {at} holds a secret, or refers to what only the client finds"))?;
        if text.starts_with("~/") {
            return Err(format!("argument {at} begins with ~, which only the client replaces"));
        }
        // A program of the project is found from there.
        match base.filter(|_| at == 0 && text.contains('/')) {
            Some(base) => argv.push(base.join(text).display().to_string()),
            None if at == 0 && text.contains('/') && !text.starts_with('/') => {
                return Err("its program has a relative path, and nobody knows from where".to_owned());
            }
            None => argv.push(text.to_owned()),
        }
    }
    match argv.as_slice() {
        [only] if only.contains(' ') && !Path::new(only).is_file() => {
            Err("its command is one line that the client takes apart: write command and args".to_owned())
        }
        _ => Ok(argv),
    }
}

fn program(words: &[Value], entry: &Entry, base: Option<&Path>, holes: &[Hole], table: &mut Table) -> Result<(), String> {
    let argv = argv(words, base)?;
    let program = argv.first().map_or("", String::as_str);
    let array = command(&argv).map_err(|_| format!("there is no program {} on this computer", inert(program)))?;
    table.insert("command", value(array));
    let directory = match &entry.directory {
        Some(directory) => {
            let text = directory.plain().ok_or("its working directory is not plain")?;
            let path = base.map_or_else(|| Path::new(text).to_owned(), |base| base.join(text));
            Some(path).filter(|path| path.is_absolute()).map(Some).ok_or("its working directory is not absolute")?
        }
        None => base.map(Path::to_owned),
    };
    if let Some(directory) = directory {
        table.insert("cwd", value(directory.display().to_string()));
    }
    let mut env = InlineTable::new();
    for variable in &entry.env {
        let reference = match variable.plain() {
            Some("") => continue,
            Some(text) => format!("plain:{text}"),
            None => reference(&variable.key, holes)?,
        };
        env.insert(&variable.key, reference.into());
    }
    if !env.is_empty() {
        table.insert("env", value(env));
    }
    Ok(())
}

fn web(name: &ServerName, address: &Value, entry: &Entry, found: &Found, holes: &[Hole], table: &mut Table) -> Result<(), String> {
    let url = address.text.expose();
    if address.nature == Nature::Reference {
        return Err("its address refers to what only the client finds".to_owned());
    }
    let parsed = url::Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let parsed = parsed.ok_or("its address is none of HTTP")?;
    let says_old = entry.says.as_deref().is_some_and(|says| says.eq_ignore_ascii_case("sse"));
    let is_geminis = found.client.id == "gemini-cli" && address.key == "url" && entry.says.is_none();
    if says_old || is_geminis || parsed.path().trim_end_matches('/').ends_with("/sse") {
        return Err("it speaks the old transport HTTP+SSE, which the gateway does not".to_owned());
    }
    table.insert("url", value(url));
    let mut fixed = InlineTable::new();
    let mut secret: Option<&Value> = None;
    for header in &entry.headers {
        let is_credential = CREDENTIALS.iter().any(|known| header.key.eq_ignore_ascii_case(known));
        match header.plain().filter(|_| !is_credential) {
            Some(text) => {
                fixed.insert(&header.key, text.into());
            }
            None if secret.replace(header).is_some() => return Err("it has two secret headers, and the gateway gives one".to_owned()),
            None => {}
        }
    }
    if let Some(header) = secret {
        table.insert("credential", value(credential(&header.key, &reference(&header.key, holes)?)));
    } else if !matches!(parsed.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")) {
        let help = format!("if it needs none: doorward server add {name} {}, then again", inert(url));
        return Err(format!("it has no credential in the file, so the client signs in itself, which the gateway cannot yet; {help}"));
    }
    if !fixed.is_empty() {
        table.insert("headers", value(fixed));
    }
    Ok(())
}

/// The reference to a value that moves into Doorward's keeping.
fn reference(key: &str, holes: &[Hole]) -> Result<String, String> {
    let hole = holes.iter().find(|hole| hole.key == key).ok_or_else(|| format!("{} cannot be kept", inert(key)))?;
    Ok(format!("file:{}", hole.kept.display()))
}
