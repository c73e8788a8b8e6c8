//! What a change of client files has to know of them: where each entry stands, what of it is a secret, a reference or plain, and
//! whether a changed file says what it should. Reads like the auditor, and writes as little: nothing. What is changed, and by whom, is
//! not known here (ADR 11).

mod same;

use crate::clients::{CLIENTS, Client as Known, Scope, When, Words};
use crate::disk;
use crate::document::{self, Form, Node};
use crate::estate::{self, Document, Kind, Request, Texts, keyed};
use crate::inert::inert;
use crate::raw::Raw;
use crate::rules::door;
use crate::secrets::{self, redact};
use crate::server::{self, DIRECTORIES, ENVS, HEADERS, Server, State, Step, URLS};
use same::same;
use std::path::PathBuf;

/// Members of an entry that say how a server is reached; everything else in it is how the client treats it.
pub const CONNECTION: &[&str] = &[
    "command",
    "cmd",
    "args",
    "arguments",
    "env",
    "environment",
    "envs",
    "env_keys",
    "env_vars",
    "envFile",
    "env_file",
    "cwd",
    "workingDirectory",
    "working_directory",
    "url",
    "serverUrl",
    "httpUrl",
    "uri",
    "endpoint",
    "server_url",
    "headers",
    "http_headers",
    "httpHeaders",
    "requestHeaders",
    "requestOptions",
    "env_http_headers",
    "bearer_token_env_var",
    "headersHelper",
    "oauth",
    "auth",
    "oauth_resource",
    "scopes",
    "authProviderType",
    "targetAudience",
    "targetServiceAccount",
    "type",
    "transport",
    "source",
];

/// The member in whose place new ones stand: the first of these.
pub const ANCHORS: &[&str] = &["command", "cmd", "url", "serverUrl", "httpUrl", "uri", "endpoint", "server_url"];

/// Members by which a client signs in or finds values itself. What they mean cannot be moved.
const CLIENT_SIDE: [&str; 15] = [
    "env_keys",
    "env_vars",
    "envFile",
    "env_file",
    "requestOptions",
    "env_http_headers",
    "bearer_token_env_var",
    "headersHelper",
    "oauth",
    "auth",
    "oauth_resource",
    "scopes",
    "authProviderType",
    "targetAudience",
    "targetServiceAccount",
];

/// Everything that clients have configured.
#[derive(Debug)]
pub struct Survey {
    /// Their files, in the order of the table of clients.
    pub files: Vec<Found>,
    /// Files that could not be read.
    pub unread: Vec<Unread>,
}

/// A file that could not be read.
#[derive(Debug)]
pub struct Unread {
    /// The path as people write it.
    pub shown: String,
    /// What is wrong with it.
    pub meaning: String,
}

/// A client of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// Stable id: `claude-code`.
    pub id: &'static str,
    /// Its name for people.
    pub name: &'static str,
}

/// Who decides what stands in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeper {
    /// The user.
    User,
    /// Whoever works on this project.
    Project,
    /// An administrator.
    Managed,
    /// A plug-in, whose copy is made anew with each update.
    Plugin,
}

/// The language of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// JSON with comments.
    Json,
    /// TOML.
    Toml,
    /// YAML.
    Yaml,
}

/// A file of a client.
#[derive(Debug)]
pub struct Found {
    /// Whose.
    pub client: Client,
    /// Where it is.
    pub path: PathBuf,
    /// Where it really is, behind links that do not leave the home or project.
    pub real: PathBuf,
    /// The path as people write it.
    pub shown: String,
    /// Its language.
    pub language: Language,
    /// Who decides.
    pub keeper: Keeper,
    /// What stands in it.
    pub text: Text,
    /// Its servers.
    pub entries: Vec<Entry>,
    /// Everything in it that is not shown.
    pub covers: Vec<Cover>,
    root: Node,
}

/// A value that must not be shown, and what stands for it.
#[derive(Debug)]
pub struct Cover {
    /// The way to it.
    pub steps: Vec<Step>,
    /// What is shown.
    pub shown: String,
    /// What it is.
    pub nature: Nature,
}

/// A server in a file.
#[derive(Debug)]
pub struct Entry {
    /// Its name there.
    pub name: String,
    /// The way to it.
    pub steps: Vec<Step>,
    /// Its line, from 1.
    pub line: usize,
    /// Whether it is in use.
    pub enabled: bool,
    /// How the client reaches it.
    pub reach: Reach,
    /// Variables of a program.
    pub env: Vec<Value>,
    /// Headers.
    pub headers: Vec<Value>,
    /// The working directory of a program.
    pub directory: Option<Value>,
    /// Members by which the client itself signs in or finds values.
    pub client_side: Vec<String>,
    /// Places of secrets besides variables and headers.
    pub elsewhere: Vec<String>,
    /// What the entry says of its own transport: `sse`.
    pub says: Option<String>,
    /// The member that says of what kind the new entry is, and its value.
    pub kind: Option<(&'static str, &'static str)>,
    /// Where program and arguments stand in the new entry.
    pub words: Words,
}

/// How a client reaches a server.
#[derive(Debug)]
pub enum Reach {
    /// Through a Doorward, by its name there if that is said.
    Doorward(Option<String>),
    /// By starting a program: program and arguments.
    Program(Vec<Value>),
    /// By an address; the key that it stands under.
    Address(Value),
}

/// A value of an entry.
#[derive(Debug)]
pub struct Value {
    /// The last key: `GITHUB_TOKEN`.
    pub key: String,
    /// The way to it.
    pub steps: Vec<Step>,
    /// What it is.
    pub nature: Nature,
    /// The value. What is not [`Nature::Plain`] is never shown.
    pub text: Text,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nature {
    /// Nothing that anybody would want to have.
    Plain,
    /// It stands for a value that the client finds elsewhere.
    Reference,
    /// A secret of a kind that is known.
    Secret {
        /// What it is, for people.
        title: &'static str,
        /// Where it is taken back; empty if there is no one place.
        revoke: &'static str,
    },
    /// It may be one: it is treated as one.
    Unclear,
}

/// A text of a file that may hold secrets: never printed.
#[derive(Debug, Clone)]
pub struct Text(Raw);

/// How a changed file is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unlike {
    /// It cannot be read any more.
    #[error("it could not be read back")]
    Broken,
    /// Something else changed too.
    #[error("something besides the entry would have changed")]
    Besides,
    /// The entry does not say what it should.
    #[error("the entry would not say what it should")]
    Entry,
}

/// The clients of the table, in its order.
pub fn clients() -> impl Iterator<Item = Client> {
    CLIENTS.iter().filter(|client| !client.files.is_empty()).map(|client| Client { id: client.id, name: client.name })
}

/// Reads the files of clients that a request names.
#[must_use]
pub fn survey(request: &Request) -> Survey {
    let estate = estate::collect(request, Texts::Keep);
    let unread = estate.problems.iter().map(|problem| Unread { shown: problem.file.clone(), meaning: problem.meaning.clone() }).collect();
    Survey { files: estate.documents.into_iter().filter_map(found).collect(), unread }
}

/// What must not be shown of a text of a client, by the name of its file. `None` if it cannot be read.
#[must_use]
pub fn covers(name: &str, text: &str) -> Option<Vec<Cover>> {
    let root = document::parse(Form::of(name), text).ok()?;
    let mut covers = Vec::new();
    cover(&root, &mut Vec::new(), &mut covers);
    Some(covers)
}

/// A line that is shown, with what is known to be a secret covered: also in comments, which no parser reads.
#[must_use]
pub fn covered_line(line: &str) -> String {
    secrets::covered("", line)
}

/// The language of a file, by its name.
#[must_use]
pub fn language(name: &str) -> Language {
    match Form::of(name) {
        Form::Json => Language::Json,
        Form::Toml => Language::Toml,
        Form::Yaml => Language::Yaml,
    }
}

fn found(document: Document) -> Option<Found> {
    let Kind::Client(Some(client)) = document.kind else { return None };
    let name = document.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let is_plugin = document.path.to_string_lossy().contains("/plugins/") && document.scope != Scope::Project;
    let keeper = match document.scope {
        Scope::Managed => Keeper::Managed,
        _ if is_plugin => Keeper::Plugin,
        Scope::Project => Keeper::Project,
        Scope::User | Scope::Named => Keeper::User,
    };
    let entries = document.servers.iter().enumerate().map(|(at, server)| entry(&document, at, server, client)).collect();
    let mut covers = Vec::new();
    cover(&document.root, &mut Vec::new(), &mut covers);
    Some(Found {
        client: Client { id: client.id, name: client.name },
        real: disk::real(&document.path, &document.top).ok()??,
        shown: document.shown,
        language: language(&name),
        keeper,
        text: Text(document.text?),
        entries,
        covers,
        root: document.root,
        path: document.path,
    })
}

fn entry(document: &Document, number: usize, server: &Server, client: &Known) -> Entry {
    let nothing = Node { value: document::Value::Null, at: document::Position::START };
    let node = walk(&document.root, &server.steps).unwrap_or(&nothing);
    // Zed once wrote program, arguments and variables below `command`.
    let (inner, front) = match node.child("command").filter(|command| !command.members().is_empty()) {
        Some(command) => (command, to(&server.steps, "command")),
        None => (node, server.steps.clone()),
    };
    let mut odd = Vec::new();
    let mut values = |names: &[&str]| -> Vec<Value> {
        let mut found = Vec::new();
        for member in inner.members().iter().filter(|member| names.contains(&member.key.as_str())) {
            let front = to(&front, &member.key);
            if member.node.members().is_empty() && !matches!(&member.node.value, document::Value::Map(_) | document::Value::Null) {
                odd.push(member.key.clone());
            }
            for one in member.node.members() {
                match scalar(&one.node) {
                    Some(text) => found.push(value(&one.key, to(&front, &one.key), &text)),
                    None => odd.push(format!("{}.{}", member.key, inert(&one.key))),
                }
            }
        }
        found
    };
    let (env, headers) = (values(&ENVS), values(&HEADERS));
    let directory = DIRECTORIES.iter().find_map(|key| Some(value(key, to(&front, key), &scalar(inner.child(key)?)?)));
    let local = client.local();
    let present = |key: &str| node.child(key).is_some();
    let kind = match local.when {
        When::Always => Some(local.kind),
        When::Kept => present(local.kind.0).then_some(local.kind),
    };
    let own = |path: &str| ENVS.iter().chain(&HEADERS).any(|key| path.starts_with(&format!("{key}.")));
    let mut elsewhere: Vec<String> = document
        .sightings
        .iter()
        .filter(|sighting| sighting.server == Some(number) && !own(&sighting.path))
        .map(|sighting| inert(&sighting.path))
        .collect();
    elsewhere.dedup();
    odd.extend(CLIENT_SIDE.iter().filter(|key| present(key)).map(|key| (*key).to_owned()));
    Entry {
        name: server.name.clone(),
        line: server.at.line,
        enabled: server.state == State::Enabled,
        reach: reach(server, node, &server.steps),
        env,
        headers,
        directory,
        client_side: odd,
        elsewhere,
        says: ["type", "transport"].iter().find_map(|key| scalar(node.child(key)?)).map(|text| text.peek().to_owned()),
        kind,
        words: local.words,
        steps: server.steps.clone(),
    }
}

fn reach(server: &Server, node: &Node, steps: &[Step]) -> Reach {
    if let Some(name) = door(server) {
        return Reach::Doorward(name);
    }
    if let Some(url) = &server.url {
        let key = URLS.iter().find(|key| node.child(key).is_some()).copied().unwrap_or("url");
        return Reach::Address(value(key, to(steps, key), &url.text));
    }
    let mut before = String::new();
    let words = server.words().map(|field| {
        let (key, text) = keyed(field.text.peek(), &before);
        let nature = nature_of_word(key, text);
        let word = Value { key: field.key.clone(), steps: Vec::new(), nature, text: Text(field.text.clone()) };
        field.text.peek().clone_into(&mut before);
        word
    });
    Reach::Program(words.collect())
}

fn to(steps: &[Step], key: &str) -> Vec<Step> {
    steps.iter().cloned().chain([Step::Key(key.to_owned())]).collect()
}

fn walk<'a>(root: &'a Node, steps: &[Step]) -> Option<&'a Node> {
    steps.iter().try_fold(root, |node, step| match step {
        Step::Key(key) => node.child(key),
        Step::At(at) => node.items().get(*at),
    })
}

fn scalar(node: &Node) -> Option<Raw> {
    match &node.value {
        document::Value::Text(text) | document::Value::Number(text) => Some(text.clone()),
        document::Value::Bool(truth) => Some(Raw::new(truth.to_string())),
        _ => None,
    }
}

fn value(key: &str, steps: Vec<Step>, text: &Raw) -> Value {
    Value { key: key.to_owned(), steps, nature: nature(key, text.peek()), text: Text(text.clone()) }
}

/// What a value of a variable or header is. What is not clearly harmless is not called so: a short key under a name that says little
/// is known to nobody else.
fn nature(key: &str, text: &str) -> Nature {
    if let Some(secret) = secrets::find(key, text).first() {
        return Nature::Secret { title: secret.kind.title, revoke: secret.kind.revoke };
    }
    if secrets::refers(text) {
        return Nature::Reference;
    }
    if secrets::is_harmless(key, text) { Nature::Plain } else { Nature::Unclear }
}

/// What a word of a command is: arguments are shown wherever processes are, so only what is known counts.
fn nature_of_word(key: &str, text: &str) -> Nature {
    match secrets::find(key, text).first() {
        Some(secret) => Nature::Secret { title: secret.kind.title, revoke: secret.kind.revoke },
        None if secrets::refers(text) => Nature::Reference,
        None => Nature::Plain,
    }
}

/// Everything that must not be shown, wherever it stands.
fn cover(node: &Node, steps: &mut Vec<Step>, found: &mut Vec<Cover>) {
    let keys = || steps.iter().filter_map(|step| if let Step::Key(key) = step { Some(key.as_str()) } else { None });
    match &node.value {
        document::Value::Map(members) => {
            for member in members {
                steps.push(Step::Key(member.key.clone()));
                cover(&member.node, steps, found);
                steps.pop();
            }
        }
        document::Value::List(items) => {
            let mut before = String::new();
            for (at, item) in items.iter().enumerate() {
                steps.push(Step::At(at));
                if let Some(text) = item.text() {
                    let (key, value) = keyed(text.peek(), &before);
                    let key = if key.is_empty() { keys_last(steps) } else { key.to_owned() };
                    if !secrets::find(&key, value).is_empty() {
                        found.push(covered(steps, &key, text));
                    }
                    text.peek().clone_into(&mut before);
                } else {
                    cover(item, steps, found);
                }
                steps.pop();
            }
        }
        document::Value::Text(text) | document::Value::Number(text) => {
            let key = keys().next_back().unwrap_or_default().to_owned();
            let around = keys().rev().nth(1).unwrap_or_default().to_owned();
            let is_value = ENVS.contains(&around.as_str()) || HEADERS.contains(&around.as_str());
            let is_secret = !secrets::find(&key, text.peek()).is_empty();
            if is_secret || is_value && nature(&key, text.peek()) == Nature::Unclear {
                found.push(covered(steps, &key, text));
            }
        }
        document::Value::Null | document::Value::Bool(_) => {}
    }
}

fn covered(steps: &[Step], key: &str, text: &Raw) -> Cover {
    let nature = match nature(key, text.peek()) {
        Nature::Plain | Nature::Reference => Nature::Unclear,
        other => other,
    };
    Cover { steps: steps.to_vec(), shown: shown(key, text), nature }
}

fn keys_last(steps: &[Step]) -> String {
    steps.iter().rev().find_map(|step| if let Step::Key(key) = step { Some(key.clone()) } else { None }).unwrap_or_default()
}

/// What stands for a secret: the beginning of its kind and its length.
fn shown(key: &str, text: &Raw) -> String {
    let length = text.peek().chars().count();
    secrets::find(key, text.peek()).first().map_or_else(|| format!("...({length})"), |secret| redact(secret.kind, &secret.value))
}

// === impl Text ===

impl Text {
    /// A piece of a file.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(Raw::new(text))
    }

    /// The text, for what is written and compared. Call sites are listed in the tidy test (T4).
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.peek()
    }

    /// To compare two texts without keeping either.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        self.0.fingerprint()
    }
}

// === impl Value ===

impl Value {
    /// The value, if anybody may see it.
    #[must_use]
    pub fn plain(&self) -> Option<&str> {
        (self.nature == Nature::Plain).then(|| self.text.0.peek())
    }
}

// === impl Found ===

impl Found {
    /// Holds a changed text against this one: it must be readable, everything besides the entries at `changed` must be as it was, and
    /// those must start `words`.
    ///
    /// # Errors
    /// [`Unlike`].
    pub fn reads_back(&self, after: &str, changed: &[(&Entry, &[String])]) -> Result<(), Unlike> {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let root = document::parse(Form::of(&name), after).map_err(|_| Unlike::Broken)?;
        let paths: Vec<&[Step]> = changed.iter().map(|(entry, _)| entry.steps.as_slice()).collect();
        if !same(&self.root, &root, &mut Vec::new(), &paths) {
            return Err(Unlike::Besides);
        }
        for (entry, words) in changed {
            let node = walk(&root, &entry.steps).ok_or(Unlike::Entry)?;
            let written = server::read(&entry.name, node).ok_or(Unlike::Entry)?;
            let found: Vec<&str> = written.words().map(|field| field.text.peek()).collect();
            let bare = written.env.is_empty() && written.headers.is_empty() && written.url.is_none() && written.directory.is_none();
            if !bare || found.len() != words.len() || !found.iter().zip(*words).all(|(a, b)| a == b) {
                return Err(Unlike::Entry);
            }
        }
        Ok(())
    }

    /// Whether a text is readable in the language of this file.
    #[must_use]
    pub fn is_readable(&self, text: &str) -> bool {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        document::parse(Form::of(&name), text).is_ok()
    }
}
