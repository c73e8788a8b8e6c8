//! `doorward audit tail`: the newest records, and with `--follow` those that come.

use super::lines::Lines;
use super::{Location, table};
use crate::args::Global;
use crate::console::{Console, Form, Reader};
use crate::exit::Exit;
use crate::failure::Failure;
use clap::Args;
use doorward_core::audit::event::Record;
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::time::Duration;

/// Options of `audit tail`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// How many records
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub lines: u16,
    /// Go on with new records until Ctrl-C
    #[arg(long, short)]
    pub follow: bool,
    /// Where the record is.
    #[command(flatten)]
    pub location: Location,
}

/// How long to wait before looking for new records.
const PAUSE: Duration = Duration::from_millis(250);

/// Prints the newest records.
///
/// # Errors
/// [`Failure`] if the record cannot be read.
pub(super) fn run(arguments: &Arguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let mut lines = Lines::open(&arguments.location, global)?;
    let mut newest: VecDeque<String> = VecDeque::new();
    let most = usize::from(arguments.lines);
    lines.each(|record, line| {
        if newest.len() == most {
            newest.pop_front();
        }
        newest.push_back(text(&record, line, console));
        ControlFlow::Continue(())
    })?;
    if console.form() == Form::Text {
        console.say(table::HEADING);
    }
    for line in newest {
        if console.raw(&line) == Reader::Gone {
            return Ok(Exit::Fine);
        }
    }
    let mut reader = Reader::There;
    while arguments.follow && reader == Reader::There {
        std::thread::sleep(PAUSE);
        lines.each(|record, line| {
            reader = console.raw(&text(&record, line, console));
            if reader == Reader::There { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
    }
    Ok(lines.end(console))
}

fn text(record: &Record<'_>, line: &[u8], console: &Console) -> String {
    match console.form() {
        Form::Json => format!("{}\n", String::from_utf8_lossy(line)),
        Form::Text => format!("{}\n", table::line(record, console)),
    }
}
