//! `doorward audit export`: the records that fit, as JSON lines byte for byte, or as CSV for spreadsheets.

use super::Location;
use super::filter::{Conditions, ready};
use super::lines::Lines;
use super::signed::{self, Proven, Sink};
use crate::args::Global;
use crate::console::{Console, Reader, counted};
use crate::exit::Exit;
use crate::failure::Failure;
use clap::{Args, ValueEnum};
use doorward_core::audit::event::Record;
use doorward_gateway::env::Env;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// Options of `audit export`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Form of the output
    #[arg(long, value_name = "FORMAT", default_value = "jsonl")]
    pub format: Format,
    /// Write to a new file instead of stdout
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Prove the record first, and put a signature of its key beside the file: FILE.sig; see audit verify --export
    #[arg(long, requires = "output")]
    pub signed: bool,
    /// What is wanted.
    #[command(flatten)]
    pub conditions: Conditions,
    /// Where the record is.
    #[command(flatten)]
    pub location: Location,
}

/// Form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object a line, as it stands in the record
    Jsonl,
    /// Comma-separated values (RFC 4180) with a heading
    Csv,
}

const COLUMNS: [&str; 24] = [
    "seq",
    "time",
    "kind",
    "id",
    "intent",
    "iss",
    "sub",
    "client",
    "agent",
    "server",
    "method",
    "name",
    "decision",
    "rules",
    "class",
    "blame",
    "station",
    "reason",
    "cause",
    "latency_ms",
    "principal",
    "flags",
    "by_issuer",
    "by_subject",
];

/// Where the records come from.
enum Source {
    /// Whatever stands there; what is no record is counted.
    Lines(Lines),
    /// A record that was proven, up to its proven head.
    Proven(Proven),
}

/// Writes the records to stdout, or to a file.
///
/// # Errors
/// [`Failure`] if the record cannot be read or the file not be written; exit 6 if one that is not whole was to be signed.
pub(super) fn run(arguments: &Arguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let now = Env::system().now();
    let mut filter = ready(arguments.conditions.clone(), now)?;
    let (source, seal) = if arguments.signed {
        let (proven, signer) = signed::prove(&arguments.location, global)?;
        let head = proven.head();
        (Source::Proven(proven), Some((signer, head)))
    } else {
        (Source::Lines(Lines::open(&arguments.location, global)?), None)
    };
    let mut sink = arguments.output.as_deref().map(|path| Sink::create(path, seal)).transpose()?;
    let mut trouble = None;
    if arguments.format == Format::Csv {
        let heading = format!("{}\r\n", COLUMNS.join(","));
        match &mut sink {
            Some(sink) => sink.put(&heading, None)?,
            None => {
                let _ = console.raw(&heading);
            }
        }
    }
    let mut found: u64 = 0;
    let each = |record: Record<'static>, line: &[u8]| {
        if !filter.wants(&record) {
            return ControlFlow::Continue(());
        }
        found += 1;
        let text = match arguments.format {
            Format::Jsonl => format!("{}\n", String::from_utf8_lossy(line)),
            Format::Csv => row(&record),
        };
        let goes_on = match &mut sink {
            Some(sink) => sink.put(&text, Some(record.seq)).map_err(|failure| trouble = Some(failure)).is_ok(),
            None => console.raw(&text) != Reader::Gone,
        };
        if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let lines = match source {
        Source::Proven(proven) => proven.each(each).map(|()| None)?,
        Source::Lines(mut lines) => lines.each(each).map(|()| Some(lines))?,
    };
    if let Some(failure) = trouble {
        return Err(failure);
    }
    let exit = lines.map_or(Exit::Fine, |lines| lines.end(console));
    if let Some(sink) = sink {
        sink.finish(arguments.format, &now.to_string())?;
    }
    console.say(format_args!("{} exported", counted(found, "record")));
    Ok(exit)
}

fn row(record: &Record<'_>) -> String {
    let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    let text = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().unwrap_or_default().to_owned();
    let user = record.user.as_ref();
    let rules: Vec<&str> = record.rules.iter().map(AsRef::as_ref).collect();
    let cells: [String; 24] = [
        record.seq.to_string(),
        record.time.clone().into_owned(),
        record.kind.as_str().to_owned(),
        text(&record.id),
        number(record.intent),
        user.map(|user| user.iss.clone().into_owned()).unwrap_or_default(),
        user.map(|user| user.sub.clone().into_owned()).unwrap_or_default(),
        text(&record.client),
        text(&record.agent),
        text(&record.server),
        text(&record.method),
        text(&record.name),
        text(&record.decision),
        rules.join(" "),
        text(&record.class),
        text(&record.blame),
        text(&record.station),
        text(&record.reason),
        text(&record.cause),
        number(record.latency_ms),
        text(&record.principal),
        record.flags.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" "),
        record.by.as_ref().map(|by| by.iss.clone().into_owned()).unwrap_or_default(),
        record.by.as_ref().map(|by| by.sub.clone().into_owned()).unwrap_or_default(),
    ];
    let cells: Vec<String> = cells.iter().map(|text| cell(text)).collect();
    format!("{}\r\n", cells.join(","))
}

/// One cell. Control characters are escaped, and a cell that a spreadsheet would take for a formula begins with `'`.
fn cell(text: &str) -> String {
    let mut inert = crate::console::inert(text);
    if inert.starts_with(['=', '+', '-', '@']) {
        inert.insert(0, '\'');
    }
    if inert.contains(['"', ',', ';']) { format!("\"{}\"", inert.replace('"', "\"\"")) } else { inert }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aud_04_no_cell_becomes_a_formula_or_a_second_row() {
        assert_eq!(cell("=cmd|'/c calc'!A1"), "'=cmd|'/c calc'!A1");
        assert_eq!(cell("a\r\nb"), "a\\u{d}\\u{a}b");
        assert_eq!(cell("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
