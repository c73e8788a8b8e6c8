//! `doorward audit`: the record of what was asked, decided and done.
//!
//! Reads the file itself: neither a running gateway nor the store is needed, and `verify` needs no configuration either.

mod export;
mod filter;
mod lines;
mod purge;
mod search;
mod show;
mod signed;
mod table;
mod tail;
mod verify;

use crate::args::Global;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::{settings, state};
use clap::{Args, Subcommand};
use std::fs::File;
use std::path::PathBuf;

/// Name of the record in the state directory.
pub const FILE: &str = "audit.jsonl";

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the newest records, and go on with --follow
    Tail(tail::Arguments),
    /// Print the records that fit
    Search(search::Arguments),
    /// Print everything about one request or record
    Show(show::Arguments),
    /// Check that the record is whole and as it was written
    Verify(verify::Arguments),
    /// Write the records that fit as JSON lines or CSV, signed if wanted
    Export(export::Arguments),
    /// Take away what is older than the retention; a signed tombstone says so
    Purge(purge::Arguments),
}

/// Where the record is.
#[derive(Debug, Clone, Args)]
pub struct Location {
    /// The record [default: as configured, else audit.jsonl in the state directory]
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// Runs a subcommand.
///
/// # Errors
/// [`Failure`] if the record cannot be read or is not what was written.
pub fn run(command: Command, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    match command {
        Command::Tail(arguments) => tail::run(&arguments, global, console),
        Command::Search(arguments) => search::run(&arguments, global, console),
        Command::Show(arguments) => show::run(&arguments, global, console),
        Command::Verify(arguments) => verify::run(&arguments, global, console),
        Command::Export(arguments) => export::run(&arguments, global, console),
        Command::Purge(arguments) => purge::run(&arguments, global, console),
    }
}

// === impl Location ===

impl Location {
    /// The path of the record.
    fn path(&self, global: &Global) -> Result<PathBuf, Failure> {
        if let Some(path) = &self.file {
            return Ok(path.clone());
        }
        let settings = settings::read(global, Vec::new())?;
        match settings.loaded.config.audit.file {
            Some(path) => Ok(path),
            None => state::directory(global).map(|directory| directory.join(FILE)),
        }
    }

    /// The record, opened for reading.
    fn open(&self, global: &Global) -> Result<(PathBuf, File), Failure> {
        let path = self.path(global)?;
        match File::open(&path) {
            Ok(file) => Ok((path, file)),
            Err(error) => {
                let message = format!("the record {} cannot be read", path.display());
                let help = "say where it is: --file FILE, or --state DIR";
                Err(Failure::new(Exit::Unreachable, "audit.unreadable", message, help).because(settings::reason(&error)))
            }
        }
    }
}
