//! `doorward server import`: the `server.json` of an MCP registry, turned into one table of the configuration.
//!
//! The file says what a server needs, not how to run it: secrets become references that the administrator fills, values
//! that only a person knows must be given, and nothing of it is approved by being imported.

use super::add::{Steps, command, credential, put};
use crate::args::Global;
use crate::console::{Console, inert};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::settings;
use clap::Args;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;
use toml_edit::{InlineTable, Table, Value, value};

/// Options of `server import`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The server.json
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// What it is called here [default: the last part of its name]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// A value that the file leaves open; repeat for several
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Run its package here even if it can be reached over the network
    #[arg(long)]
    pub package: bool,
    /// How to go on.
    #[command(flatten)]
    pub steps: Steps,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    name: String,
    title: Option<String>,
    description: Option<String>,
    #[serde(default)]
    remotes: Vec<Remote>,
    #[serde(default)]
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Remote {
    #[serde(rename = "type")]
    kind: String,
    url: String,
    #[serde(default)]
    headers: Vec<Input>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Package {
    registry_type: String,
    identifier: String,
    version: Option<String>,
    transport: Option<Transport>,
    #[serde(default)]
    runtime_arguments: Vec<Input>,
    #[serde(default)]
    package_arguments: Vec<Input>,
    #[serde(default)]
    environment_variables: Vec<Input>,
}

#[derive(Debug, Deserialize)]
struct Transport {
    #[serde(rename = "type")]
    kind: String,
}

/// A header, an argument or a variable.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    #[serde(rename = "type")]
    kind: Option<String>,
    name: Option<String>,
    value: Option<String>,
    default: Option<String>,
    value_hint: Option<String>,
    #[serde(default)]
    is_required: bool,
    #[serde(default)]
    is_secret: bool,
}

/// Values that were given, and names of those that are missing.
#[derive(Debug)]
struct Values {
    given: BTreeMap<String, String>,
    missing: Vec<String>,
}

/// Largest file.
const LARGEST: u64 = 1 << 20;

/// Imports a server.
///
/// # Errors
/// [`Failure`] for a file that is no server.json or needs what is not supported.
pub(super) fn run(arguments: &Arguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let entry = read(&arguments.file)?;
    let name = arguments.name.clone().unwrap_or_else(|| short(&entry.name));
    let mut given = BTreeMap::new();
    for pair in &arguments.set {
        let (key, text) = pair
            .split_once('=')
            .ok_or_else(|| Failure::new(Exit::Usage, "import.set", "--set is NAME=VALUE", "for example --set tenant=acme"))?;
        given.insert(key.to_owned(), text.to_owned());
    }
    let mut values = Values { given, missing: Vec::new() };
    let remote = entry.remotes.iter().find(|remote| remote.kind == "streamable-http").filter(|_| !arguments.package);
    let mut notes = Vec::new();
    let mut table = match remote {
        Some(remote) => over_http(remote, &name, &mut values, &mut notes),
        None => over_stdio(&entry, &name, &mut values, &mut notes)?,
    };
    if !values.missing.is_empty() {
        let help = values.missing.iter().map(|name| format!("--set {name}=...")).collect::<Vec<_>>().join(" ");
        let message = format!("{} leaves values open", inert(&entry.name));
        return Err(Failure::new(Exit::Usage, "import.open_values", message, help));
    }
    for (key, text) in [("title", &entry.title), ("description", &entry.description)] {
        if let Some(text) = text.as_deref().filter(|text| !text.is_empty() && !text.chars().any(char::is_control)) {
            table.insert(key, value(text));
        }
    }
    for note in notes {
        console.say(format_args!("  {note}"));
    }
    put(&name, table, &arguments.steps, global, console)
}

fn read(path: &std::path::Path) -> Result<Entry, Failure> {
    let shown = path.display();
    let mut text = String::new();
    let file = std::fs::File::open(path).and_then(|file| file.take(LARGEST).read_to_string(&mut text));
    file.map_err(|error| {
        Failure::new(Exit::Unreachable, "import.unreadable", format!("{shown} cannot be read"), "name a server.json")
            .because(settings::reason(&error))
    })?;
    // A registry's answer wraps what an author writes.
    let parsed: serde_json::Value = serde_json::from_str(&text).map_err(|error| {
        Failure::new(Exit::Configuration, "import.bad", format!("{shown} is not JSON"), "name a server.json").because(error)
    })?;
    let inner = parsed.get("server").filter(|inner| inner.is_object()).unwrap_or(&parsed).clone();
    serde_json::from_value(inner).map_err(|error| {
        Failure::new(Exit::Configuration, "import.bad", format!("{shown} is not a server.json"), "see the MCP registry for its form")
            .because(error)
    })
}

/// `io.github.someone/Some_Server` becomes `some-server`.
pub(in crate::command) fn short(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    let plain: String = last.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let cut: String = plain.trim_matches('-').chars().take(31).collect();
    cut.trim_end_matches('-').to_owned()
}

/// `github` and `API_KEY` become `GITHUB_API_KEY`: the variable that a secret is expected in.
fn variable(server: &str, name: &str) -> String {
    let plain =
        |text: &str| -> String { text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect() };
    let (server, name) = (plain(server), plain(name));
    let joined = if name.starts_with(&server) { name } else { format!("{server}_{name}") };
    if joined.starts_with(|c: char| c.is_ascii_digit()) { format!("_{joined}") } else { joined }
}

fn over_http(remote: &Remote, server: &str, values: &mut Values, notes: &mut Vec<String>) -> Table {
    let mut table = Table::new();
    table.insert("url", value(values.filled(&remote.url)));
    let mut headers = InlineTable::new();
    let mut secret = false;
    for header in &remote.headers {
        let Some(name) = &header.name else { continue };
        let is_secret = header.is_secret || name.eq_ignore_ascii_case("authorization");
        if is_secret && !secret {
            let variable = variable(server, name);
            let form = header.value.as_deref().filter(|form| form.contains('{'));
            let form = form.map_or_else(String::new, |form| format!(", in the form \"{}\"", inert(form)));
            notes.push(format!("put the whole value of {} into the variable {variable}{form}", inert(name)));
            table.insert("credential", value(credential(name, &format!("env:{variable}"))));
            secret = true;
        } else if is_secret {
            notes.push(format!("a second secret header, {}, is left out: a server has one credential", inert(name)));
        } else if let Some(text) = values.of(header, name) {
            headers.insert(name, Value::from(text));
        }
    }
    if !headers.is_empty() {
        table.insert("headers", value(headers));
    }
    table
}

fn over_stdio(entry: &Entry, server: &str, values: &mut Values, notes: &mut Vec<String>) -> Result<Table, Failure> {
    let stdio = |package: &&Package| package.transport.as_ref().is_none_or(|transport| transport.kind == "stdio");
    let package = entry.packages.iter().filter(stdio).find(|package| matches!(package.registry_type.as_str(), "npm" | "pypi" | "oci"));
    let package = package.ok_or_else(|| {
        let message = format!("{} offers neither streamable HTTP nor a package from npm, PyPI or a container registry", inert(&entry.name));
        Failure::new(Exit::Configuration, "import.unsupported", message, "add it by hand: doorward server add NAME -- COMMAND...")
    })?;
    let version = package.version.as_deref().filter(|version| !version.is_empty() && *version != "latest");
    if version.is_none() && package.registry_type != "oci" {
        notes.push("the file names no version: whatever is newest would run".to_owned());
    }
    let at = |sign: &str| format!("{}{}", package.identifier, version.map_or_else(String::new, |version| format!("{sign}{version}")));
    let runtime = arguments(&package.runtime_arguments, values);
    let mut names: Vec<&str> = Vec::new();
    let mut env = InlineTable::new();
    for input in &package.environment_variables {
        let Some(name) = input.name.as_deref() else { continue };
        let fixed =
            values.given.get(name).cloned().or_else(|| input.value.clone()).or_else(|| input.default.clone()).filter(|_| !input.is_secret);
        match fixed {
            Some(text) => {
                env.insert(name, Value::from(format!("plain:{text}")));
            }
            None if input.is_secret || input.is_required => {
                let variable = variable(server, name);
                notes.push(format!("put the value of {} into the variable {variable}", inert(name)));
                env.insert(name, Value::from(format!("env:{variable}")));
            }
            None => continue,
        }
        names.push(name);
    }
    let mut argv: Vec<String> = match package.registry_type.as_str() {
        "npm" => [vec!["npx".to_owned(), "-y".to_owned()], runtime, vec![at("@")]].concat(),
        "pypi" => [vec!["uvx".to_owned()], runtime, vec![at("==")]].concat(),
        _ => {
            let passed = names.iter().flat_map(|name| ["-e".to_owned(), (*name).to_owned()]);
            let start = ["docker", "run", "-i", "--rm"].into_iter().map(str::to_owned);
            let image = if package.identifier.contains('@') || package.identifier.rsplit('/').next().is_some_and(|last| last.contains(':'))
            {
                package.identifier.clone()
            } else {
                at(":")
            };
            start.chain(passed).chain(runtime).chain([image]).collect()
        }
    };
    argv.extend(arguments(&package.package_arguments, values));
    let mut table = Table::new();
    table.insert("command", value(command(&argv)?));
    if !env.is_empty() {
        table.insert("env", value(env));
    }
    Ok(table)
}

fn arguments(inputs: &[Input], values: &mut Values) -> Vec<String> {
    let mut argv = Vec::new();
    for input in inputs {
        let name = input.name.clone().or_else(|| input.value_hint.clone()).unwrap_or_else(|| "argument".to_owned());
        let text = values.of(input, name.trim_start_matches('-'));
        match (input.kind.as_deref(), text) {
            (Some("named"), Some(text)) => argv.extend([name, text]),
            (Some("named"), None) if input.is_required => argv.push(name),
            (_, Some(text)) => argv.push(text),
            (_, None) => {}
        }
    }
    argv
}

// === impl Values ===

impl Values {
    /// The value of an input; one that is required and has none is noted as missing.
    fn of(&mut self, input: &Input, name: &str) -> Option<String> {
        if let Some(given) = self.given.get(name) {
            return Some(given.clone());
        }
        let text = input.value.clone().or_else(|| input.default.clone()).filter(|text| !text.is_empty());
        match text {
            Some(text) => Some(self.filled(&text)),
            None => {
                // A flag without a value is complete as it is.
                if input.is_required && input.kind.as_deref() != Some("named") {
                    self.missing.push(name.to_owned());
                }
                None
            }
        }
    }

    /// A text with its `{variables}` replaced.
    fn filled(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, behind)) = after.split_once('}') else { break };
            out.push_str(before);
            match self.given.get(name) {
                Some(given) => out.push_str(given),
                None => self.missing.push(name.to_owned()),
            }
            rest = behind;
        }
        out.push_str(rest);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_made_usable() {
        assert_eq!(short("io.github.someone/Some_Server.v2"), "some-server-v2");
        assert_eq!(short("x/-----"), "");
        assert_eq!(variable("github", "Authorization"), "GITHUB_AUTHORIZATION");
        assert_eq!(variable("my-srv", "MY_SRV_KEY"), "MY_SRV_KEY");
        let mut values = Values { given: BTreeMap::from([("tenant".to_owned(), "acme".to_owned())]), missing: Vec::new() };
        assert_eq!(values.filled("https://{tenant}.example/{region}/mcp"), "https://acme.example//mcp");
        assert_eq!(values.missing, ["region"]);
    }
}
