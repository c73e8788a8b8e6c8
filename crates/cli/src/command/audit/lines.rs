//! Reads a record line by line, whatever stands in it, and counts what is no record.

use super::Location;
use crate::args::Global;
use crate::console::{Console, Sign, counted};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::settings;
use doorward_core::audit::event::{MAX_LINE, Record};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::ops::ControlFlow;
use std::path::PathBuf;

/// The lines of a record.
#[derive(Debug)]
pub(super) struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    bad: u64,
}

impl Lines {
    pub(super) fn open(location: &Location, global: &Global) -> Result<Self, Failure> {
        let (path, file) = location.open(global)?;
        Ok(Self { path, reader: BufReader::with_capacity(1 << 18, file), bad: 0 })
    }

    /// Hands every whole record with its line to `each`, until the end or until `each` has enough.
    pub(super) fn each(&mut self, mut each: impl FnMut(Record<'static>, &[u8]) -> ControlFlow<()>) -> Result<(), Failure> {
        let mut line = Vec::new();
        while self.next(&mut line).map_err(|error| self.unreadable(&error))? {
            match Record::read(&line) {
                Ok((record, _)) => {
                    if each(record, &line).is_break() {
                        return Ok(());
                    }
                }
                Err(_) => self.bad = self.bad.saturating_add(1),
            }
        }
        Ok(())
    }

    /// One line without its newline; false at the end. What stands behind the last newline is not finished and left alone.
    fn next(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        line.clear();
        let limit = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
        let read = self.reader.by_ref().take(limit).read_until(b'\n', line)?;
        if line.last() == Some(&b'\n') {
            line.pop();
            return Ok(true);
        }
        if read >= MAX_LINE {
            self.reader.skip_until(b'\n')?;
            return Ok(true);
        }
        // An unfinished line is read again once it is finished.
        let back = i64::try_from(read).unwrap_or(0);
        self.reader.seek_relative(-back)?;
        Ok(false)
    }

    fn unreadable(&self, error: &io::Error) -> Failure {
        let message = format!("the record {} cannot be read", self.path.display());
        Failure::new(Exit::Unreachable, "audit.unreadable", message, "check the disk, then try again").because(settings::reason(error))
    }

    /// How a command ends that looked at these lines: what is no record was left out, and that is said.
    pub(super) fn end(&self, console: &mut Console) -> Exit {
        if self.bad == 0 {
            return Exit::Fine;
        }
        let sign = console.sign(Sign::Bad);
        console.fail(format_args!("{sign} {} left out: not what was written", counted(self.bad, "line")));
        console.fail("  help: doorward audit verify names the first of them");
        Exit::Integrity
    }
}
