//! `doorward audit show`: everything about one request, by its id or by the position of one of its records.

use super::Location;
use super::lines::Lines;
use crate::args::Global;
use crate::console::{Console, Form, inert};
use crate::exit::Exit;
use crate::failure::Failure;
use clap::Args;
use serde_json::Value;
use std::ops::ControlFlow;

/// Options of `audit show`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Position of a record, or the id of a request as messages name it
    #[arg(value_name = "RECORD|REQUEST")]
    pub which: String,
    /// Where the record is.
    #[command(flatten)]
    pub location: Location,
}

/// Prints the records with all their fields.
///
/// # Errors
/// [`Failure`] if the record cannot be read or has no such request.
pub(super) fn run(arguments: &Arguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let mut lines = Lines::open(&arguments.location, global)?;
    let seq: Option<u64> = arguments.which.parse().ok();
    let mut request = seq.is_none().then(|| arguments.which.clone());
    if seq.is_some() {
        // The other records of the request may stand before the one that was named.
        let mut there = false;
        lines.each(|record, _| {
            if Some(record.seq) != seq {
                return ControlFlow::Continue(());
            }
            there = true;
            request = record.id.as_deref().map(ToOwned::to_owned);
            ControlFlow::Break(())
        })?;
        if !there {
            return Err(unknown(&arguments.which));
        }
        lines = Lines::open(&arguments.location, global)?;
    }
    let mut found: Vec<Vec<u8>> = Vec::new();
    lines.each(|record, line| {
        let of_request = request.is_some() && record.id.as_deref() == request.as_deref();
        if of_request || request.is_none() && Some(record.seq) == seq {
            found.push(line.to_vec());
        }
        ControlFlow::Continue(())
    })?;
    if found.is_empty() {
        return Err(unknown(&arguments.which));
    }
    for (at, line) in found.iter().enumerate() {
        if console.form() == Form::Json {
            console.line(String::from_utf8_lossy(line));
            continue;
        }
        if at > 0 {
            console.line("");
        }
        let members: Value = serde_json::from_slice(line).unwrap_or_default();
        for (key, value) in members.as_object().into_iter().flatten() {
            let text = match value {
                Value::String(text) => inert(text),
                other => inert(&other.to_string()),
            };
            console.line(format_args!("{key:<11} {text}"));
        }
    }
    Ok(lines.end(console))
}

fn unknown(which: &str) -> Failure {
    let message = format!("there is no record {}", inert(which));
    Failure::new(Exit::Findings, "audit.no_record", message, "find it: doorward audit search --since 1d")
}
