//! `doorward config`: check it, show what it means and where each value came from, describe its keys.

use crate::args::Global;
use crate::console::{Console, Form, Sign, counted, wrapped};
use crate::exit::Exit;
use crate::failure::{Failure, as_json, rendered};
use crate::settings::{self, Settings};
use clap::{Args, Subcommand};
use doorward_core::config::schema;
use serde_json::{Map, Value, json};

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the whole configuration and print every problem
    Check,
    /// Print the JSON Schema, or the keys of one table
    Schema(SchemaArguments),
    /// Print the effective values; secrets appear as references
    Show(ShowArguments),
}

/// Options of `config schema`.
#[derive(Debug, Args)]
pub struct SchemaArguments {
    /// A table, such as server or listen.tls [default: the whole JSON Schema]
    #[arg(value_name = "TABLE")]
    pub table: Option<String>,
}

/// Options of `config show`.
#[derive(Debug, Args)]
pub struct ShowArguments {
    /// Say where each value came from
    #[arg(long)]
    pub origin: bool,
    /// Only keys that begin so, such as listen or server.github
    #[arg(value_name = "KEY")]
    pub key: Option<String>,
}

/// Where origins begin, in columns.
const ORIGIN_COLUMN: usize = 44;

/// Runs a subcommand.
///
/// # Errors
/// [`Failure`] with every problem of the configuration.
pub fn run(command: Command, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    match command {
        Command::Check => check(&settings::read(global, Vec::new())?, console),
        Command::Schema(arguments) => describe(&arguments, console),
        Command::Show(arguments) => show(&settings::read(global, Vec::new())?, &arguments, console),
    }
    .map(|()| Exit::Fine)
}

fn check(settings: &Settings, console: &mut Console) -> Result<(), Failure> {
    let config = &settings.loaded.config;
    let mode = if config.public_url.is_some() { "public" } else { "laptop" };
    let servers = u64::try_from(config.servers.len()).unwrap_or(u64::MAX);
    if console.form() == Form::Json {
        let notices: Vec<Value> = settings.loaded.notices.iter().map(as_json).collect();
        let file = settings.file.as_ref().map(|file| file.display().to_string());
        console.document(object(json!({"ok": true, "file": file, "mode": mode, "servers": servers, "notices": notices})));
        return Ok(());
    }
    for notice in &settings.loaded.notices {
        console.say(rendered(notice, console));
    }
    let name = settings.file.as_ref().map_or_else(|| "no configuration file, all defaults".to_owned(), |file| file.display().to_string());
    let good = console.sign(Sign::Good);
    console.line(format_args!("{good} {name}: {mode} mode, {}", counted(servers, "server")));
    console.say("  see what it means: doorward config show --origin");
    Ok(())
}

fn describe(arguments: &SchemaArguments, console: &mut Console) -> Result<(), Failure> {
    let Some(table) = &arguments.table else {
        let _ = console.raw(&schema::published());
        return Ok(());
    };
    let steps: Vec<&str> = table.split('.').filter(|step| !step.is_empty()).collect();
    let Some(keys) = schema::keys(&steps) else {
        let names: Vec<String> = schema::keys(&[]).unwrap_or_default().into_iter().map(|key| key.name).collect();
        let help = format!("tables: {}", names.join(", "));
        return Err(Failure::new(Exit::Usage, "config.no_table", format!("there is no table \"{table}\""), help));
    };
    if console.form() == Form::Json {
        let keys: Vec<Value> = keys.iter().map(|key| json!({"key": key.name, "type": key.form, "meaning": key.meaning})).collect();
        console.document(object(json!({"table": table, "keys": keys})));
        return Ok(());
    }
    for key in keys {
        console.line(format_args!("{}  {}", key.name, key.form));
        for line in wrapped(&key.meaning, console.width().saturating_sub(4)) {
            console.line(format_args!("    {line}"));
        }
    }
    Ok(())
}

fn show(settings: &Settings, arguments: &ShowArguments, console: &mut Console) -> Result<(), Failure> {
    let wanted = |key: &str| {
        arguments.key.as_deref().is_none_or(|prefix| key.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    };
    let entries: Vec<(String, String, String)> = settings
        .loaded
        .config
        .entries()
        .into_iter()
        .filter(|entry| wanted(&entry.key()))
        .map(|entry| {
            let path: Vec<&str> = entry.path.iter().map(String::as_str).collect();
            let origin = settings.loaded.origin(&path).map_or_else(|| "default".to_owned(), |place| place.to_string());
            (entry.key(), entry.value, origin)
        })
        .collect();
    if let Some(key) = arguments.key.as_deref().filter(|_| entries.is_empty()) {
        return Err(Failure::new(
            Exit::Usage,
            "config.no_key",
            format!("nothing is set under \"{key}\""),
            "all values: doorward config show",
        ));
    }
    if console.form() == Form::Json {
        let values: Vec<Value> = entries.iter().map(|(key, value, origin)| json!({"key": key, "value": value, "origin": origin})).collect();
        let file = settings.file.as_ref().map(|file| file.display().to_string());
        console.document(object(json!({"file": file, "values": values})));
        return Ok(());
    }
    for (key, value, origin) in entries {
        let text = format!("{key} = {value}");
        if !arguments.origin {
            console.line(text);
        } else if text.chars().count() > ORIGIN_COLUMN {
            console.line(text);
            console.line(format_args!("{:ORIGIN_COLUMN$}  # {origin}", ""));
        } else {
            console.line(format_args!("{text:ORIGIN_COLUMN$}  # {origin}"));
        }
    }
    Ok(())
}

/// The members of an object that was just written down.
pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
