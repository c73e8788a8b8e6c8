//! From texts to a checked configuration: read, lay over one another, hold against the form, find the meaning. All problems at once.

use super::Config;
use super::check::{self, VERSION};
use super::file::ConfigFile;
use super::layers::{self, lay, servers_twice};
use super::problem::Problem;
use super::schema;
use super::source::{Kind, Place, Source};
use super::tree::{self, MAX_TEXT, Node, Value};
use crate::credential::google::places::Loopback;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// Everything that a configuration is made of.
#[derive(Debug, Default)]
pub struct Inputs {
    /// The file, then those of `config.d` in byte order of their names. May be empty: then all is default.
    pub files: Vec<Text>,
    /// `DOORWARD_` variables that set values; those with a meaning of their own (`DOORWARD_CONFIG`) are not among them.
    pub environment: Vec<(String, String)>,
    /// Options of the command line that set values.
    pub options: Vec<Given>,
    /// The name of the installation unless one is configured: the name of the host.
    pub default_name: String,
    /// Whether servers on this computer may stand in for those of a cloud: `--insecure-test-endpoints`.
    pub loopback: Loopback,
}

/// A file that was read.
#[derive(Debug)]
pub struct Text {
    /// Its path, for people.
    pub name: String,
    /// Its form.
    pub form: Form,
    /// What is in it.
    pub bytes: Vec<u8>,
    /// The absolute directory that it is in.
    pub base: PathBuf,
}

/// The form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// TOML 1.0
    Toml,
    /// Strict JSON
    Json,
}

/// An option of the command line that sets a value.
#[derive(Debug)]
pub struct Given {
    /// The option, such as `--listen`.
    pub option: &'static str,
    /// The key that it sets.
    pub path: &'static [&'static str],
    /// The text that was given.
    pub text: String,
    /// The directory that relative paths start from.
    pub base: PathBuf,
}

/// A configuration, and where its values came from.
#[derive(Debug)]
pub struct Loaded {
    /// What it means.
    pub config: Config,
    /// Things that are allowed and should be known: literal secrets.
    pub notices: Vec<Problem>,
    tree: Node,
}

/// Reads a whole configuration.
///
/// # Errors
/// Every problem that was found, in the order of files and lines.
pub fn load(inputs: Inputs) -> Result<Loaded, Vec<Problem>> {
    let mut problems = Vec::new();
    let layers = read(inputs.files, inputs.environment, inputs.options, &mut problems);
    let form_is_broken = !problems.is_empty();
    let mut whole = empty();
    for layer in &layers {
        if matches!(layer.place.source().kind(), Kind::Toml | Kind::Json) {
            servers_twice(&whole, layer, &mut problems);
        }
        lay(&mut whole, layer.clone());
    }
    let (found, misfits) = schema::hold(&whole);
    let misfits: Vec<Vec<String>> = misfits.iter().map(|misfit| without_positions(&whole, misfit)).collect();
    for layer in &layers {
        let mut secrets = Vec::new();
        suspicious(layer, &misfits, &mut Vec::new(), &mut secrets);
        layer.place.source().cover(&secrets);
    }
    if let Some(newer) = newer_version(&whole) {
        return Err(vec![newer]);
    }
    problems.extend(found);
    if !matches!(whole.value, Value::Table(_)) {
        return Err(sorted(problems));
    }
    for misfit in &misfits {
        whole.prune(misfit);
    }
    let file: ConfigFile = match serde_json::from_value(whole.to_json()) {
        Ok(file) => file,
        Err(error) => {
            let help = "this is a fault of Doorward: please report it with the key that is named here";
            problems.push(Problem::new("config.form", format!("the configuration has another form than its schema: {error}"), "", help));
            return Err(sorted(problems));
        }
    };
    let (config, complaints, notices) = check::check(file, &whole, &misfits, (&inputs.default_name, inputs.loopback));
    // Of a file that could not be read no key is known, so what seems to be missing may well be in it.
    if !form_is_broken {
        problems.extend(complaints);
    }
    if problems.is_empty() { Ok(Loaded { config, notices, tree: whole }) } else { Err(sorted(problems)) }
}

impl Loaded {
    /// Where the value at a path came from; `None` means that it is a default.
    #[must_use]
    pub fn origin(&self, path: &[&str]) -> Option<Place> {
        let path: Vec<String> = path.iter().map(|step| (*step).to_owned()).collect();
        self.tree.find(&self.as_typed(path)).map(|node| node.place.clone())
    }
}

impl Loaded {
    /// Names of headers may have been typed in another case than the one they are kept in.
    fn as_typed(&self, mut path: Vec<String>) -> Vec<String> {
        if let [_, _, table, last] = path.as_mut_slice()
            && table == "headers"
        {
            let lower = last.clone();
            let (parent, _) = path.split_at(3);
            if let Some(Node { value: Value::Table(members), .. }) = self.tree.find(parent) {
                let typed = members.keys().find(|key| key.eq_ignore_ascii_case(&lower)).cloned();
                path.pop();
                path.push(typed.unwrap_or(lower));
            }
        }
        path
    }
}

fn empty() -> Node {
    let nowhere = Arc::new(Source::new("defaults".to_owned(), Kind::Toml, String::new(), PathBuf::new()));
    Node { value: Value::Table(BTreeMap::new()), place: Place::new(&nowhere, 0..0) }
}

fn read(files: Vec<Text>, environment: Vec<(String, String)>, options: Vec<Given>, problems: &mut Vec<Problem>) -> Vec<Node> {
    let mut layers = Vec::new();
    for file in files {
        match text(file).map_err(|problem| vec![problem]).and_then(|source| tree::parse(&source)) {
            Ok(tree) => layers.push(tree),
            Err(found) => problems.extend(found),
        }
    }
    let mut environment = environment;
    environment.sort();
    for (name, value) in environment {
        match layers::variable(&name, &value) {
            Ok(tree) => layers.push(tree),
            Err(problem) => problems.push(problem),
        }
    }
    layers.extend(options.into_iter().map(|given| layers::option(given.option, given.path, &given.text, &given.base)));
    layers
}

fn text(file: Text) -> Result<Arc<Source>, Problem> {
    let kind = match file.form {
        Form::Toml => Kind::Toml,
        Form::Json => Kind::Json,
    };
    let about =
        |shown: String, span: Range<usize>| Some(Place::new(&Arc::new(Source::new(file.name.clone(), kind, shown, PathBuf::new())), span));
    if file.bytes.len() > MAX_TEXT {
        let message = format!("the file is larger than {} bytes", MAX_TEXT);
        let help = "a configuration is far smaller: is this the right file?";
        return Err(Problem::new("config.too_large", message, "", help).at(about(String::new(), 0..0)));
    }
    let text = match String::from_utf8(file.bytes) {
        Ok(text) => text,
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            let before = error.as_bytes().get(..good).map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default();
            let problem = Problem::new("config.not_utf8", "the file is not UTF-8", "up to here it is", "save it as UTF-8");
            return Err(problem.at(about(before, good.saturating_sub(1)..good)));
        }
    };
    if text.starts_with('\u{feff}') {
        let help = "save the file as UTF-8 without a byte order mark";
        let problem = Problem::new("config.byte_order_mark", "the file begins with a byte order mark", "invisible here", help);
        return Err(problem.at(about(text, 0..3)));
    }
    Ok(Arc::new(Source::new(file.name, kind, text, file.base)))
}

/// Of a list that holds a misfit nothing is used: the path ends at the list.
fn without_positions(tree: &Node, misfit: &[String]) -> Vec<String> {
    let holds =
        |length: usize| misfit.get(..length).and_then(|path| tree.find(path)).is_some_and(|node| matches!(node.value, Value::List(_)));
    let end = (0..misfit.len()).find(|length| holds(*length)).unwrap_or(misfit.len());
    misfit.get(..end).unwrap_or_default().to_vec()
}

fn newer_version(tree: &Node) -> Option<Problem> {
    let node = tree.find(&["version".to_owned()])?;
    let Value::Integer(version) = node.value else { return None };
    if version == VERSION {
        return None;
    }
    let help = if version > VERSION {
        format!("install a newer Doorward, or write version = {VERSION} and only its keys")
    } else {
        format!("write version = {VERSION}, or leave the key out")
    };
    let message = format!("this Doorward reads version {VERSION} of the format, not {version}");
    Some(Problem::new("config.version", message, "another version", help).at(Some(node.place.clone())))
}

/// Collects the values that may not be shown: secrets, and whatever stands under a key that is not known.
fn suspicious(node: &Node, misfits: &[Vec<String>], path: &mut Vec<String>, found: &mut Vec<Range<usize>>) {
    match &node.value {
        Value::Table(members) => {
            for (key, member) in members {
                path.push(key.clone());
                suspicious(&member.node, misfits, path, found);
                path.pop();
            }
        }
        Value::List(items) => {
            for (at, item) in items.iter().enumerate() {
                path.push(at.to_string());
                suspicious(item, misfits, path, found);
                path.pop();
            }
        }
        Value::Text(text) if is_suspicious(text, path) || in_misfit(misfits, path, text) => found.push(node.place.span()),
        _ => {}
    }
}

/// Words that belong to a short list are fit to be shown even when they are wrong; of unknown keys nobody knows.
fn in_misfit(misfits: &[Vec<String>], path: &[String], text: &str) -> bool {
    let inside = misfits.iter().any(|misfit| misfit.len() <= path.len() && misfit.iter().zip(path).all(|(a, b)| a == b));
    inside && text.len() > 16
}

fn is_suspicious(text: &str, path: &[String]) -> bool {
    let step = |at: usize| path.get(at).map(String::as_str).unwrap_or_default();
    let last = path.last().map(String::as_str).unwrap_or_default();
    if text.contains("://") && text.split_once("://").is_some_and(|(_, rest)| rest.contains('@') || rest.contains("password=")) {
        return true;
    }
    let keeps_secrets = match (step(0), step(2)) {
        ("server", "env" | "headers") => true,
        ("server", "credential") => !matches!(last, "kind" | "name"),
        ("server", "command") => last != "0",
        _ => ["password", "encryption_key", "key", "secret", "token", "value"].iter().any(|word| last.to_ascii_lowercase().contains(word)),
    };
    let is_reference = ["env:", "file:", "cred:"].iter().any(|scheme| text.starts_with(scheme));
    keeps_secrets && !is_reference
}

/// In the order of sources and places; what has no place comes last.
fn sorted(mut problems: Vec<Problem>) -> Vec<Problem> {
    let mut order: Vec<String> = Vec::new();
    for place in problems.iter().filter_map(|problem| problem.place.as_ref()) {
        if !order.iter().any(|name| name == place.source().name()) {
            order.push(place.source().name().to_owned());
        }
    }
    problems.sort_by_key(|problem| match &problem.place {
        Some(place) => (order.iter().position(|name| name == place.source().name()).unwrap_or(usize::MAX), place.span().start),
        None => (usize::MAX, 0),
    });
    problems
}
