//! `doorward doctor`: one line for each thing that has to be right, with what to do where it is not. Changes nothing.

mod certificate;
mod installation;
mod servers;

use crate::args::Global;
use crate::console::{Console, Form, Sign, counted, inert, wrapped};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::policies::Policies;
use crate::{house, settings, state};
use clap::Args;
use serde_json::{Value, json};

/// Options of `doctor`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Leave out what needs the network: do not connect to servers
    #[arg(long)]
    pub offline: bool,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Check {
    name: String,
    sign: Sign,
    text: String,
    help: Option<String>,
}

/// Columns of a name.
const NAME: usize = 18;

// === impl Check ===

impl Check {
    fn good(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), sign: Sign::Good, text: text.into(), help: None }
    }

    fn note(name: impl Into<String>, text: impl Into<String>, help: impl Into<String>) -> Self {
        Self { name: name.into(), sign: Sign::Note, text: text.into(), help: Some(help.into()) }
    }

    fn bad(name: impl Into<String>, text: impl Into<String>, help: impl Into<String>) -> Self {
        Self { name: name.into(), sign: Sign::Bad, text: text.into(), help: Some(help.into()) }
    }
}

/// Looks at everything.
///
/// # Errors
/// [`Failure`] if nothing can be looked at.
pub fn run(arguments: &Arguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let checks = match settings::read(global, Vec::new()) {
        Ok(settings) => looked_at(arguments, global, &settings)?,
        Err(failure) => vec![Check::bad("configuration", failure.summary(), "doorward config check")],
    };
    let problems = checks.iter().filter(|check| check.sign == Sign::Bad).count();
    let exit = if problems == 0 { Exit::Fine } else { Exit::Findings };
    if console.form() == Form::Json {
        let checks: Vec<Value> = checks
            .iter()
            .map(|check| json!({"check": check.name, "state": word(check.sign), "text": check.text, "help": check.help}))
            .collect();
        console.document(super::config::object(json!({"ok": problems == 0, "exit": exit.code(), "problems": problems, "checks": checks})));
        return Ok(exit);
    }
    for check in &checks {
        show(check, console);
    }
    match problems {
        0 => console.say("no problem found"),
        1 => console.say("1 problem"),
        many => console.say(format_args!("{many} problems")),
    }
    Ok(exit)
}

fn looked_at(arguments: &Arguments, global: &Global, settings: &settings::Settings) -> Result<Vec<Check>, Failure> {
    let config = &settings.loaded.config;
    let file = settings.file.as_ref().map_or_else(|| "no file, all defaults".to_owned(), |file| file.display().to_string());
    let mode = if config.public_url.is_some() { "public" } else { "laptop" };
    let mut checks = vec![Check::good("configuration", format!("{file}, {mode} mode"))];
    for notice in &settings.loaded.notices {
        checks.push(Check::note("configuration", notice.message.clone(), notice.help.clone()));
    }
    checks.push(rules(config));
    let state = state::directory(global)?;
    checks.extend(installation::files(config));
    checks.extend(installation::secrets(config));
    checks.extend(certificate::checks(config));
    if !state.exists() {
        let text = format!("{} is not made yet", state.display());
        checks.push(Check::note("state directory", text, "the first doorward serve makes it"));
        return Ok(checks);
    }
    if let Err(failure) = state::prepare(&state) {
        checks.push(Check::bad("state directory", failure.summary(), format!("chmod 700 {}", state.display())));
        return Ok(checks);
    }
    checks.push(Check::good("state directory", format!("{}, yours alone", state.display())));
    checks.extend(installation::keys(&state));
    checks.extend(installation::record(config, &state));
    let mut house = house::House::open(global)?;
    let more = house::runtime()?.block_on(async {
        let _built_in = house.serve_built_in()?;
        let mut more = vec![installation::running(house.config(), &house.state).await?];
        match house.store().await {
            Ok(store) => {
                more.push(installation::store(&store, house.config(), &house.state).await);
                more.extend(installation::shared_clock(&store).await);
                if !arguments.offline {
                    more.extend(servers::checks(&house, &store).await);
                }
                store.close().await;
            }
            Err(failure) => more.push(Check::bad("store", failure.summary(), "check [store] and its encryption key")),
        }
        Ok::<_, Failure>(more)
    })?;
    checks.extend(more);
    Ok(checks)
}

fn rules(config: &doorward_core::config::Config) -> Check {
    match Policies::read(config) {
        Err(failure) => Check::bad("rules", failure.summary(), "doorward policy check"),
        Ok(policies) => match policies.rules() {
            Err(errors) => Check::bad("rules", counted(number(errors.len()), "problem"), "doorward policy check"),
            Ok(rules) if rules.is_empty() => {
                Check::note("rules", "none, so everything is refused", "write some and name them in [policy] files")
            }
            Ok(rules) => Check::good("rules", format!("{}, version {}", counted(number(rules.len()), "rule"), rules.version())),
        },
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

const fn word(sign: Sign) -> &'static str {
    match sign {
        Sign::Good => "good",
        Sign::Bad => "bad",
        Sign::Note => "note",
    }
}

fn show(check: &Check, console: &mut Console) {
    let sign = console.sign(check.sign);
    let width = console.width().saturating_sub(NAME + 4).max(20);
    let mut lines = wrapped(&inert(&check.text), width).into_iter();
    console.line(format_args!("{sign} {:<NAME$} {}", check.name, lines.next().unwrap_or_default()));
    for line in lines {
        console.line(format_args!("  {:<NAME$} {line}", ""));
    }
    for line in check.help.iter().flat_map(|help| wrapped(&format!("-> {}", inert(help)), width)) {
        console.line(format_args!("  {:<NAME$} {line}", ""));
    }
}
