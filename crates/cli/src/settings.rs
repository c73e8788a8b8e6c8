//! Finds and reads the configuration: search order, `config.d`, modes, environment (product 3.2). What the texts mean is decided in core.

use crate::args::Global;
use crate::exit::Exit;
use crate::failure::Failure;
use doorward_core::config::layers::PREFIX;
use doorward_core::config::load::{Form, Given, Inputs, Loaded, Text, load};
use doorward_core::config::tree::MAX_TEXT;
use doorward_core::credential::google::places::Loopback;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Variables with the prefix of the configuration that choose something else than a value of it.
const RESERVED: [&str; 3] = ["DOORWARD_CONFIG", "DOORWARD_STATE", CLIENT_KEY];

/// The variable in which the lines for clients keep a key: it is theirs, and in the way of no command in the same shell.
pub const CLIENT_KEY: &str = "DOORWARD_KEY";

/// No `config.d` has more files.
const MAX_FILES: usize = 256;

/// A configuration, and the file that it came from.
#[derive(Debug)]
pub struct Settings {
    /// The checked values with their origins.
    pub loaded: Loaded,
    /// The main file; `None` if there is none and all is default.
    pub file: Option<PathBuf>,
}

/// Reads the configuration that this command line means.
///
/// # Errors
/// [`Failure`] with every problem of the configuration, or the file that cannot be read.
pub fn read(global: &Global, options: Vec<Given>) -> Result<Settings, Failure> {
    read_else(global, options, Vec::new())
}

/// Reads the configuration that this command line means, and `instead` where there is no file at all.
///
/// # Errors
/// [`Failure`] with every problem of the configuration, or the file that cannot be read.
pub fn read_else(global: &Global, options: Vec<Given>, instead: Vec<Text>) -> Result<Settings, Failure> {
    let file = find(global)?;
    let files = match &file {
        Some(file) => gather(file)?,
        None => instead,
    };
    let name = file.as_ref().map_or_else(|| "the configuration".to_owned(), |file| file.display().to_string());
    let inputs = Inputs { files, environment: environment()?, options, default_name: host_name(), loopback: loopback(global) };
    match load(inputs) {
        Ok(loaded) => Ok(Settings { loaded, file }),
        Err(problems) => Err(Failure::configuration(&name, problems)),
    }
}

/// Whether servers on this computer may stand in for those of a cloud.
const fn loopback(global: &Global) -> Loopback {
    if global.insecure_test_endpoints { Loopback::Allowed } else { Loopback::Refused }
}

/// The file that this command line means, or where the first one would be made.
///
/// # Errors
/// [`Failure`] if nothing says where.
pub fn place(global: &Global) -> Result<PathBuf, Failure> {
    find(global)?.or_else(|| places().into_iter().next()).ok_or_else(|| {
        Failure::new(Exit::Usage, "config.nowhere", "there is no home directory for a configuration", "say where: --config FILE")
    })
}

/// What the configuration would be if the file `main` held `text`.
///
/// # Errors
/// [`Failure`] with every problem that it would have.
pub fn preview(main: &Path, text: &str) -> Result<Loaded, Failure> {
    let base = main.parent().unwrap_or(Path::new("/")).to_owned();
    let first = Text { name: main.display().to_string(), form: Form::Toml, bytes: text.as_bytes().to_vec(), base };
    let mut files = vec![first];
    files.extend(beside(main)?);
    let inputs = Inputs { files, environment: environment()?, options: Vec::new(), default_name: host_name(), loopback: Loopback::Refused };
    load(inputs).map_err(|problems| Failure::configuration(&main.display().to_string(), problems))
}

/// Where configuration files are looked for, in order, when none is named. Never the working directory (L10).
#[must_use]
pub fn places() -> Vec<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let own = variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")));
    own.map(|own| own.join("doorward/doorward.toml")).into_iter().chain([PathBuf::from("/etc/doorward/doorward.toml")]).collect()
}

fn find(global: &Global) -> Result<Option<PathBuf>, Failure> {
    if let Some(named) = global.config.clone().map(Ok).or_else(|| chosen("DOORWARD_CONFIG")).transpose()? {
        return std::path::absolute(&named).map(Some).map_err(|error| unreadable(&named, &error));
    }
    for place in places() {
        // An unreadable first hit must not silently make way for the next one.
        match place.symlink_metadata() {
            Ok(_) => return Ok(Some(place)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => return Err(unreadable(&place, &error)),
        }
    }
    Ok(None)
}

/// A path that a variable chooses. An empty one chooses nothing, and whoever set it meant something.
pub(crate) fn chosen(variable: &str) -> Option<Result<PathBuf, Failure>> {
    let value = std::env::var_os(variable)?;
    if value.is_empty() {
        return Some(Err(Failure::new(
            Exit::Configuration,
            "config.empty",
            format!("{variable} is empty"),
            "set it to a path, or unset it",
        )));
    }
    Some(Ok(PathBuf::from(value)))
}

fn gather(main: &Path) -> Result<Vec<Text>, Failure> {
    let mut texts = vec![text(main)?];
    texts.extend(beside(main)?);
    Ok(texts)
}

/// The files of `config.d`.
fn beside(main: &Path) -> Result<Vec<Text>, Failure> {
    let mut texts = Vec::new();
    let directory = main.with_file_name("config.d");
    let listing = match std::fs::read_dir(&directory) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(texts),
        Err(error) => return Err(unreadable(&directory, &error)),
    };
    let found = std::fs::metadata(&directory).map_err(|error| unreadable(&directory, &error))?;
    writable_by_others(&directory, &found)?;
    let mut more = Vec::new();
    for entry in listing {
        let path = entry.map_err(|error| unreadable(&directory, &error))?.path();
        let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|ending| ending == "toml" || ending == "json") {
            more.push(path);
        }
    }
    if more.len() > MAX_FILES {
        let message = format!("{} holds more than {MAX_FILES} files", directory.display());
        return Err(Failure::new(Exit::Configuration, "config.too_many_files", message, "merge some of them"));
    }
    more.sort();
    for path in more {
        texts.push(text(&path)?);
    }
    Ok(texts)
}

fn text(path: &Path) -> Result<Text, Failure> {
    let form = match path.extension().and_then(|ending| ending.to_str()) {
        Some("json") => Form::Json,
        _ => Form::Toml,
    };
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let found = file.metadata().map_err(|error| unreadable(path, &error))?;
    if !found.is_file() {
        let message = format!("{} is not a file", path.display());
        return Err(Failure::new(Exit::Configuration, "config.not_a_file", message, "name a TOML or JSON file: --config FILE"));
    }
    writable_by_others(path, &found)?;
    // Whoever may replace files in the directory may replace this one.
    let directory = path.parent().unwrap_or(Path::new("/"));
    let around = std::fs::metadata(directory).map_err(|error| unreadable(directory, &error))?;
    if around.mode() & 0o1000 == 0 {
        writable_by_others(directory, &around)?;
    }
    let mut bytes = Vec::new();
    let most = u64::try_from(MAX_TEXT).unwrap_or(u64::MAX).saturating_add(1);
    file.take(most).read_to_end(&mut bytes).map_err(|error| unreadable(path, &error))?;
    Ok(Text { name: path.display().to_string(), form, bytes, base: directory.to_owned() })
}

/// Only the user who runs Doorward and root may decide what it does.
fn writable_by_others(path: &Path, found: &std::fs::Metadata) -> Result<(), Failure> {
    let own = rustix::process::geteuid().as_raw();
    let shown = path.display();
    if found.uid() != 0 && found.uid() != own {
        let message = format!("{shown} belongs to another user");
        let help = format!("give it to the user who runs doorward: chown {own} {shown}");
        return Err(Failure::new(Exit::Configuration, "config.owner", message, help));
    }
    if found.mode() & 0o022 != 0 {
        let message = format!("{shown} can be changed by others (mode {:04o})", found.mode() & 0o7777);
        let help = format!("take that right away: chmod go-w {shown}");
        return Err(Failure::new(Exit::Configuration, "config.mode", message, help));
    }
    Ok(())
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let message = format!("{} cannot be read", path.display());
    let help = match error.kind() {
        io::ErrorKind::NotFound => "name another file with --config, or write one",
        io::ErrorKind::PermissionDenied => "let the user who runs doorward read it, or name another file with --config",
        _ => "name another file with --config",
    };
    Failure::new(Exit::Configuration, "config.unreadable", message, help).because(reason(error))
}

/// The cause in the words of the system, without the number.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

fn environment() -> Result<Vec<(String, String)>, Failure> {
    let mut pairs = Vec::new();
    for (name, value) in std::env::vars_os() {
        if !name.as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
            continue;
        }
        match (name.into_string(), value.into_string()) {
            (Ok(name), _) if RESERVED.contains(&name.as_str()) => {}
            (Ok(name), Ok(value)) => pairs.push((name, value)),
            (Ok(name), Err(_)) => {
                let help = "set it to text, or unset it";
                return Err(Failure::new(Exit::Configuration, "config.not_utf8", format!("{name} is not UTF-8"), help));
            }
            (Err(name), _) => {
                let message = format!("the variable {} is not UTF-8", name.to_string_lossy());
                return Err(Failure::new(Exit::Configuration, "config.not_utf8", message, "unset it"));
            }
        }
    }
    Ok(pairs)
}

fn host_name() -> String {
    let names = rustix::system::uname();
    let name = names.nodename().to_string_lossy();
    let plain: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    if plain.trim().is_empty() { "Doorward".to_owned() } else { plain }
}
