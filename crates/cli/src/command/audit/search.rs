//! `doorward audit search`: the records that fit.

use super::filter::{Conditions, ready};
use super::lines::Lines;
use super::{Location, table};
use crate::args::Global;
use crate::console::{Console, Form, Reader, counted};
use crate::exit::Exit;
use crate::failure::Failure;
use clap::Args;
use doorward_gateway::env::Env;
use std::ops::ControlFlow;

/// Options of `audit search`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// What is wanted.
    #[command(flatten)]
    pub conditions: Conditions,
    /// Stop after so many records
    #[arg(long, short = 'n', value_name = "COUNT")]
    pub limit: Option<u64>,
    /// Where the record is.
    #[command(flatten)]
    pub location: Location,
}

/// Prints the records that fit, oldest first.
///
/// # Errors
/// [`Failure`] if the record cannot be read.
pub(super) fn run(arguments: &Arguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let mut filter = ready(arguments.conditions.clone(), Env::system().now())?;
    let mut lines = Lines::open(&arguments.location, global)?;
    let mut found: u64 = 0;
    let form = console.form();
    lines.each(|record, line| {
        if !filter.wants(&record) {
            return ControlFlow::Continue(());
        }
        if found == 0 && form == Form::Text {
            console.say(table::HEADING);
        }
        found += 1;
        let reader = match form {
            Form::Json => console.raw(&format!("{}\n", String::from_utf8_lossy(line))),
            Form::Text => console.raw(&format!("{}\n", table::line(&record, console))),
        };
        if reader == Reader::Gone || arguments.limit.is_some_and(|limit| found >= limit) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    if form == Form::Text {
        let hint = if found > 0 { "; everything about one: doorward audit show RECORD" } else { "" };
        console.say(format_args!("  {}{hint}", counted(found, "record")));
    }
    Ok(lines.end(console))
}
