//! `doorward policy`: the rules as they are written, tested and applied. Decides nothing itself: it asks core's one decision.

mod explain;
mod tests;

use crate::args::Global;
use crate::console::{Console, Form, Sign, counted};
use crate::exit::Exit;
use crate::failure::{Failure, as_json};
use crate::policies::{Origin, Policies};
use crate::settings;
use clap::{Args, Subcommand};
use doorward_core::policy::rules::Rules;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check the rules and print every problem with its line
    Check(CheckArguments),
    /// Print the rules in force
    Show(ShowArguments),
    /// Run the tests of the rules
    Test(tests::Arguments),
    /// Say what would be decided, and why, without doing it
    Explain(Box<explain::Arguments>),
}

/// Options of `policy check`.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// Files to check [default: those of the configuration]
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Options of `policy show`.
#[derive(Debug, Args)]
pub struct ShowArguments {
    /// Print the schema instead: which users, tools, actions and facts rules can speak of
    #[arg(long)]
    pub schema: bool,
}

/// Runs a subcommand.
///
/// # Errors
/// [`Failure`].
pub fn run(command: &Command, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    match command {
        Command::Check(arguments) => check(arguments, global, console),
        Command::Show(arguments) => show(arguments, global, console),
        Command::Test(arguments) => tests::run(arguments, global, console),
        Command::Explain(arguments) => explain::run(arguments, global, console),
    }
}

fn check(arguments: &CheckArguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let settings = settings::read(global, Vec::new())?;
    let config = &settings.loaded.config;
    let policies = if arguments.files.is_empty() { Policies::read(config)? } else { Policies::of(&arguments.files, config)? };
    let rules = match policies.rules() {
        Ok(rules) => rules,
        Err(errors) if console.form() == Form::Json => {
            let errors: Vec<Value> = errors.iter().map(|error| as_json(&policies.problem(error))).collect();
            let document = json!({"ok": false, "exit": Exit::Configuration.code(), "errors": errors});
            console.document(super::config::object(document));
            return Ok(Exit::Configuration);
        }
        Err(_) => return policies.usable().map(|_| Exit::Fine),
    };
    if console.form() == Form::Json {
        console.document(super::config::object(facts(&policies, &rules)));
        return Ok(Exit::Fine);
    }
    let good = console.sign(Sign::Good);
    console.line(format_args!("{good} {}", summary(&policies, &rules)));
    if rules.is_empty() {
        let note = console.sign(Sign::Note);
        console.say(format_args!("{note} there is no rule, so everything is refused: write rules and name them in [policy] files"));
    } else {
        console.say("  do they mean what they should? doorward policy test");
    }
    Ok(Exit::Fine)
}

fn show(arguments: &ShowArguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let policies = Policies::read(&settings::read(global, Vec::new())?.loaded.config)?;
    if arguments.schema {
        let own = policies.schema.as_ref().map(|schema| schema.text.clone());
        return Ok(print_text(Rules::schema_text(), own.as_deref(), console));
    }
    let rules = policies.usable()?;
    if console.form() == Form::Json {
        let laptop = (policies.origin == Origin::Laptop).then(|| json!({"name": "built in", "text": Rules::laptop_text()}));
        let texts = policies.sources.iter().map(|source| json!({"name": source.name, "text": source.text}));
        let texts: Vec<Value> = laptop.into_iter().chain(texts).collect();
        let mut document = facts(&policies, &rules);
        if let Some(members) = document.as_object_mut() {
            members.insert("files".to_owned(), Value::Array(texts));
        }
        console.document(super::config::object(document));
        return Ok(Exit::Fine);
    }
    if policies.origin == Origin::Laptop {
        let _ = console.raw(Rules::laptop_text());
    }
    for (at, source) in policies.sources.iter().enumerate() {
        let gap = if at == 0 { "" } else { "\n" };
        console.line(format_args!("{gap}// === {}", short(&source.name)));
        let _ = console.raw(&source.text);
        if !source.text.ends_with('\n') {
            console.line("");
        }
    }
    console.say(format_args!("{}", summary(&policies, &rules)));
    Ok(Exit::Fine)
}

fn print_text(builtin: &str, own: Option<&str>, console: &mut Console) -> Exit {
    if console.form() == Form::Json {
        console.document(super::config::object(json!({"builtin": builtin, "own": own})));
    } else {
        let _ = console.raw(builtin);
        if let Some(own) = own {
            console.line("\n// === the schema of [policy] schema, which rules must fit besides");
            let _ = console.raw(own);
        }
    }
    Exit::Fine
}

fn facts(policies: &Policies, rules: &Rules) -> Value {
    let ids: Vec<&str> = rules.ids().map(doorward_core::id::RuleId::as_str).collect();
    let names: Vec<&str> = policies.sources.iter().map(|source| source.name.as_str()).collect();
    let origin = match policies.origin {
        Origin::Laptop => "built in",
        Origin::Nothing => "none",
        Origin::Files => "files",
    };
    json!({"ok": true, "origin": origin, "files": names, "rules": ids, "version": &*rules.version()})
}

fn summary(policies: &Policies, rules: &Rules) -> String {
    let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let of = match policies.origin {
        Origin::Laptop => "built in for one person (laptop mode)".to_owned(),
        Origin::Nothing => "no files in [policy]".to_owned(),
        Origin::Files => counted(number(policies.sources.len()), "file"),
    };
    format!("{}, {of}, version {}", counted(number(rules.len()), "rule"), rules.version())
}

/// A path as people know it: relative where it lies below the working directory.
fn short(path: &str) -> String {
    let below = std::env::current_dir().ok().and_then(|here| Path::new(path).strip_prefix(here).ok().map(Path::to_owned));
    crate::console::inert(&below.map_or_else(|| path.to_owned(), |below| below.display().to_string()))
}
