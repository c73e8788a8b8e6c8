//! `doorward policy test`: what administrators expect of their rules, compared with what the rules decide.

use super::short;
use crate::args::Global;
use crate::console::{Console, Form, Sign, counted, inert, wrapped};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::policies::{Policies, files, source};
use crate::settings;
use clap::Args;
use doorward_core::config::{Config, FileGlob};
use doorward_core::glob::Glob;
use doorward_core::policy::cases::{TestCase, TestResult};
use doorward_core::policy::rules::Rules;
use doorward_gateway::env::Env;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Options of `policy test`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Files with tests [default: [policy] tests, else tests/*.toml beside the rules]
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

struct Ran {
    file: String,
    result: TestResult,
}

/// Runs the tests.
///
/// # Errors
/// [`Failure`] when rules or tests cannot be read.
pub(super) fn run(arguments: &Arguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let settings = settings::read(global, Vec::new())?;
    let config = &settings.loaded.config;
    let rules = Policies::read(config)?.usable()?;
    let paths = if arguments.files.is_empty() { configured(config)? } else { arguments.files.clone() };
    let mut ran = Vec::new();
    for path in &paths {
        ran.extend(one(path, &rules)?);
    }
    let failed = ran.iter().filter(|ran| !ran.result.differences.is_empty()).count();
    if console.form() == Form::Json {
        let tests: Vec<Value> = ran.iter().map(as_json).collect();
        let document = json!({"ok": failed == 0, "passed": ran.len() - failed, "failed": failed, "tests": tests});
        console.document(super::super::config::object(document));
        return Ok(verdict(failed));
    }
    for ran in ran.iter().filter(|ran| !ran.result.differences.is_empty()) {
        show(ran, console);
    }
    let sign = console.sign(if failed == 0 { Sign::Good } else { Sign::Bad });
    let files = counted(u64::try_from(paths.len()).unwrap_or(u64::MAX), "file");
    console.line(format_args!("{sign} {} passed, {failed} failed ({files})", ran.len() - failed));
    if ran.is_empty() {
        console.say("  no test found: write some into tests/*.toml beside the rules");
    }
    Ok(verdict(failed))
}

const fn verdict(failed: usize) -> Exit {
    if failed == 0 { Exit::Fine } else { Exit::Findings }
}

fn configured(config: &Config) -> Result<Vec<PathBuf>, Failure> {
    if let Some(glob) = &config.policy.tests {
        return files(glob);
    }
    let mut found: Vec<PathBuf> = Vec::new();
    for rules in config.policy.files.iter().flatten() {
        let directory = rules.directory.join("tests");
        let Some(names) = Glob::parse("*.toml").filter(|_| directory.is_dir()) else { continue };
        found.extend(files(&FileGlob { directory, names })?);
    }
    found.dedup();
    Ok(found)
}

fn one(path: &std::path::Path, rules: &Rules) -> Result<Vec<Ran>, Failure> {
    let source = source(path)?;
    let cases = TestCase::read(&source.text, Env::system().now()).map_err(|bad| {
        let message = format!("{} is not a file of tests", short(&source.name));
        Failure::new(
            Exit::Configuration,
            "policy.bad_test",
            message,
            "what a test holds: given (user, groups, client, tool, class, arguments, granted) and expect (decision, rule, obligations)",
        )
        .because(bad.to_string().trim_end().replace('\n', "; "))
    })?;
    Ok(cases.iter().map(|case| Ran { file: source.name.clone(), result: case.run(rules) }).collect())
}

fn show(ran: &Ran, console: &mut Console) {
    let bad = console.sign(Sign::Bad);
    console.line(format_args!("{bad} {}: {}", short(&ran.file), inert(&ran.result.name)));
    for difference in &ran.result.differences {
        for line in wrapped(&inert(difference), console.width().saturating_sub(4)) {
            console.line(format_args!("    {line}"));
        }
    }
    for line in super::explain::lines(&ran.result.explanation, console.width().saturating_sub(4)) {
        console.line(format_args!("    {line}"));
    }
}

fn as_json(ran: &Ran) -> Value {
    let rules: Vec<&str> = ran.result.explanation.rules.iter().map(|rule| rule.id.as_str()).collect();
    json!({"file": ran.file, "name": ran.result.name, "ok": ran.result.differences.is_empty(), "differences": ran.result.differences,
        "decision": if ran.result.explanation.denied.is_some() { "deny" } else { "allow" }, "rules": rules})
}
