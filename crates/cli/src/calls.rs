//! The calls of a running gateway as lines for people, read from its record while it is written: nothing is shown that is not recorded.

use crate::console::{Console, Paint, inert};
use doorward_core::audit::event::{Kind, MAX_LINE, Record};
use jiff::tz::TimeZone;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Follows a record from where it ends now.
#[derive(Debug)]
pub struct Calls {
    reader: BufReader<File>,
    open: HashMap<u64, Begun>,
    zone: TimeZone,
}

#[derive(Debug)]
struct Begun {
    who: String,
    what: String,
}

/// Open calls that are remembered; more are shown without what they were about.
const MOST_OPEN: usize = 4096;

impl Calls {
    /// From the present end of the record.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn from_now(record: &Path) -> io::Result<Self> {
        let mut file = File::open(record)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { reader: BufReader::new(file), open: HashMap::new(), zone: TimeZone::system() })
    }

    /// The lines of what was recorded since the last time.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub fn news(&mut self, console: &Console) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        let mut bytes = Vec::new();
        let most = u64::try_from(MAX_LINE).unwrap_or(u64::MAX);
        loop {
            bytes.clear();
            let read = self.reader.by_ref().take(most).read_until(b'\n', &mut bytes)?;
            if bytes.last() != Some(&b'\n') {
                // An unfinished line is read again once it is finished.
                self.reader.seek_relative(-i64::try_from(read).unwrap_or(0))?;
                return Ok(lines);
            }
            bytes.pop();
            if let Ok((record, _)) = Record::read(&bytes) {
                lines.extend(self.line(&record, console));
            }
        }
    }

    fn line(&mut self, record: &Record<'_>, console: &Console) -> Option<String> {
        match record.kind {
            Kind::Intent => {
                if self.open.len() < MOST_OPEN {
                    self.open.insert(record.seq, Begun { who: who(record), what: what(record) });
                }
                None
            }
            Kind::Outcome | Kind::Closed => {
                let begun = record.intent.and_then(|intent| self.open.remove(&intent));
                let (who, what) = begun.map_or_else(|| ("?".to_owned(), "?".to_owned()), |begun| (begun.who, begun.what));
                let class = record.class.as_deref().unwrap_or("unknown");
                let (word, paint) = match class {
                    "completed" => ("allowed".to_owned(), Paint::Good),
                    other => (format!("allowed, {}", inert(&other.replace('_', " "))), Paint::Note),
                };
                let time = record.latency_ms.map(|ms| format!("  {ms} ms")).unwrap_or_default();
                Some(self.row(record, &who, &what, &console.paint(paint, &word), &time))
            }
            Kind::Refused => {
                let reason = record.reason.as_deref().map(inert).unwrap_or_default();
                Some(self.row(record, &who(record), &what(record), &console.paint(Paint::Bad, "refused"), &format!("  {reason}")))
            }
            Kind::Event if record.reason.as_deref() == Some("foreign_credential") => {
                let cause = record.cause.as_deref().map(inert).unwrap_or_default();
                Some(self.row(record, "-", &what(record), &console.paint(Paint::Note, "dropped"), &format!("  {cause}")))
            }
            Kind::Event | Kind::Checkpoint | Kind::Key | Kind::Purge | Kind::Opened => None,
        }
    }

    fn row(&self, record: &Record<'_>, who: &str, what: &str, word: &str, rest: &str) -> String {
        format!("  {}  {who:<8}  {what:<24}  {word}{rest}", self.clock(&record.time))
    }

    fn clock(&self, time: &str) -> String {
        match time.parse::<jiff::Timestamp>() {
            Ok(instant) => instant.to_zoned(self.zone.clone()).strftime("%H:%M:%S").to_string(),
            Err(_) => "--:--:--".to_owned(),
        }
    }
}

fn who(record: &Record<'_>) -> String {
    record.user.as_ref().map_or_else(|| "-".to_owned(), |user| inert(&user.sub))
}

/// `server__tool` for calls, else the server and the method.
fn what(record: &Record<'_>) -> String {
    let text = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map(inert);
    match (text(&record.server), text(&record.method), text(&record.name)) {
        (Some(server), Some(method), Some(name)) if method == "tools/call" => format!("{server}__{name}"),
        (server, method, name) => {
            let parts: Vec<String> = [server, method, name].into_iter().flatten().collect();
            if parts.is_empty() { "-".to_owned() } else { parts.join(" ") }
        }
    }
}
