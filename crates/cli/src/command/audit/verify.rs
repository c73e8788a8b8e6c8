//! `doorward audit verify`: is the record whole, and as it was written? Needs the file and the public key, nothing else.

use super::Location;
use super::signed;
use crate::args::Global;
use crate::console::{Console, Form, Sign, counted, grouped, wrapped};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::{settings, state};
use clap::Args;
use doorward_core::audit::checkpoint::PublicKey;
use doorward_core::audit::event::Head;
use doorward_core::audit::verify::{FirstBad, Summary, Why, verify_with};
use doorward_gateway::audit::key::PUBLIC;
use serde_json::json;
use std::fs::File;
use std::io::{self, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};

/// Options of `audit verify`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Where the record is.
    #[command(flatten)]
    pub location: Location,
    /// The public key: a file, or 64 hex digits [default: audit-key.pub in the state directory]
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// A head that an earlier verify printed: also prove that nothing up to it was cut or put back
    #[arg(long, value_name = "SEQ:HASH")]
    pub head: Option<String>,
    /// Check this export against the signature beside it, and not the record
    #[arg(long, value_name = "FILE", conflicts_with_all = ["head", "file"])]
    pub export: Option<PathBuf>,
}

/// Checks the record.
///
/// # Errors
/// [`Failure`] if file or key cannot be read. A record that is not whole is reported here and ends with exit 6.
pub(super) fn run(arguments: &Arguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let head = arguments.head.as_deref().map(head).transpose()?;
    let key = key(arguments.key.as_deref(), global)?;
    if let Some(export) = &arguments.export {
        return signed::check(export, &key, console);
    }
    let (path, mut file) = arguments.location.open(global)?;
    let claims = signed::claims(&mut file, &path)?;
    let length = file.metadata().map_or(0, |found| found.len());
    let watched = Watched { file, read: 0, length, shown: 0, drawing: console.progress() && console.form() == Form::Text };
    let mut reader = BufReader::with_capacity(1 << 18, watched);
    let found = verify_with(&mut reader, &claims, &key, head.as_ref());
    reader.get_mut().clear();
    match found {
        Ok(summary) => {
            whole(&path, &summary, head.is_some(), console);
            Ok(Exit::Fine)
        }
        Err(FirstBad { why: Why::Unreadable(why), .. }) => {
            let message = format!("the record {} cannot be read to its end", path.display());
            Err(Failure::new(Exit::Unreachable, "audit.unreadable", message, "check the disk, then try again").because(why))
        }
        Err(bad) => {
            broken(&path, &bad, console);
            Ok(Exit::Integrity)
        }
    }
}

fn head(text: &str) -> Result<Head, Failure> {
    text.parse()
        .map_err(|error| Failure::new(Exit::Usage, "audit.head", "--head is not a head", "copy it as verify printed it").because(error))
}

fn key(given: Option<&str>, global: &Global) -> Result<PublicKey, Failure> {
    if let Some(key) = given.and_then(|text| text.parse().ok()) {
        return Ok(key);
    }
    let path = match given {
        Some(path) => PathBuf::from(path),
        None => state::directory(global)?.join(PUBLIC),
    };
    let help = "name the file or the key itself: --key FILE; the gateway keeps it as audit-key.pub in its state directory";
    let mut text = String::new();
    let read = File::open(&path).and_then(|file| file.take(4_096).read_to_string(&mut text));
    if let Err(error) = read {
        let message = format!("the public key {} cannot be read", path.display());
        return Err(Failure::new(Exit::Unreachable, "audit.no_key", message, help).because(settings::reason(&error)));
    }
    text.parse()
        .map_err(|error| Failure::new(Exit::Usage, "audit.key", format!("{} is not a public key", path.display()), help).because(error))
}

fn whole(path: &Path, summary: &Summary, with_head: bool, console: &mut Console) {
    if console.form() == Form::Json {
        let document = json!({
            "ok": true, "file": path.display().to_string(), "records": summary.records, "seals": summary.seals,
            "unsealed": summary.unsealed, "open": summary.open, "backward_steps": summary.backward_steps,
            "key": summary.key.id(), "head": summary.head.to_string(), "head_checked": with_head && !summary.anchor_is_gone,
            "purged": summary.purged, "purged_to": summary.purged_to,
        });
        console.document(super::super::config::object(document));
        return;
    }
    let good = console.sign(Sign::Good);
    let note = console.sign(Sign::Note);
    let (records, seals) = (counted(summary.records, "record"), counted(summary.seals, "seal"));
    console.line(format_args!("{good} {records}, {seals}, signed by key {}: the chain is whole", summary.key.id()));
    if summary.purged > 0 {
        let gone = is_or_are(summary.purged, "record");
        console.line(format_args!("{note} {gone} gone, up to {}, under signed tombstones", grouped(summary.purged_to)));
    }
    if summary.anchor_is_gone {
        console.line(format_args!("{note} the head that you kept is of a record that was purged: it proves nothing any more"));
    } else if with_head {
        console.line(format_args!("{good} it contains the head that you kept: nothing up to it was cut"));
    }
    if summary.unsealed > 0 {
        console.line(format_args!("{note} {} not under a seal yet: chained, but not signed", is_or_are(summary.unsealed, "record")));
    }
    if summary.open > 0 {
        console.line(format_args!("{note} {} without an outcome: running now, or cut off", is_or_are(summary.open, "call")));
    }
    if summary.backward_steps > 0 {
        console.line(format_args!("{note} the clock stepped back {}", counted(summary.backward_steps, "time")));
    }
    console.say(format_args!("  head {}", summary.head));
    console.say("  keep it elsewhere: with --head it proves later that nothing was cut");
}

fn is_or_are(number: u64, noun: &str) -> String {
    format!("{} {}", counted(number, noun), if number == 1 { "is" } else { "are" })
}

fn broken(path: &Path, bad: &FirstBad, console: &mut Console) {
    let doubtful = bad.last_good.saturating_sub(bad.last_sealed);
    if console.form() == Form::Json {
        let error = json!({"id": id(&bad.why), "message": bad.why.to_string(), "help": advice(&bad.why)});
        let document = json!({
            "ok": false, "exit": Exit::Integrity.code(), "file": path.display().to_string(), "line": bad.line, "record": bad.seq,
            "last_good": bad.last_good, "last_sealed": bad.last_sealed, "in_doubt": doubtful, "errors": [error],
        });
        console.document(super::super::config::object(document));
        return;
    }
    let sign = console.sign(Sign::Bad);
    let subject = match (&bad.why, bad.seq) {
        (Why::Empty | Why::Short { .. }, _) => "the record is not whole".to_owned(),
        (Why::Sequence { expected }, _) => format!("record {} is not where it should be", grouped(*expected)),
        (Why::OtherKey, _) => "the record was not made with this key".to_owned(),
        (_, Some(seq)) => format!("record {} is not what was written", grouped(seq)),
        (_, None) => format!("line {} is not what was written", grouped(bad.line)),
    };
    console.fail(format_args!("{sign} {subject}"));
    console.fail(format_args!("  where        {}:{}", path.display(), bad.line));
    console.fail(format_args!("  why          {}", bad.why));
    console.fail(format_args!("  last good    {}", named(bad.last_good)));
    console.fail(format_args!("  last sealed  {}", named(bad.last_sealed)));
    if doubtful > 0 {
        console.fail(format_args!("  in doubt     {} after the last seal", counted(doubtful, "record")));
    }
    let lines = wrapped(advice(&bad.why), console.width().saturating_sub(8));
    console.fail(format_args!("  help: {}", lines.join("\n        ")));
}

fn named(seq: u64) -> String {
    if seq == 0 { "none".to_owned() } else { format!("record {}", grouped(seq)) }
}

const fn id(why: &Why) -> &'static str {
    match why {
        Why::Unreadable(_) => "audit.unreadable",
        Why::Empty => "audit.empty",
        Why::TooLong => "audit.too_long",
        Why::Torn => "audit.torn",
        Why::NotARecord => "audit.not_a_record",
        Why::Edited => "audit.edited",
        Why::Sequence { .. } => "audit.sequence",
        Why::Unlinked => "audit.unlinked",
        Why::OtherWriter => "audit.other_writer",
        Why::NoKey => "audit.names_no_key",
        Why::BadSeal => "audit.bad_seal",
        Why::OtherKey => "audit.other_key",
        Why::NoIntent => "audit.no_intent",
        Why::Short { .. } => "audit.short",
        Why::OtherHead => "audit.other_head",
        Why::Tombstone(_) => "audit.tombstone",
    }
}

const fn advice(why: &Why) -> &'static str {
    match why {
        Why::Torn => "if the gateway is running, try again; else the last line was cut, and the next start repairs it",
        Why::OtherKey => "use the key that was kept when the record began: --key; a key from the same host proves little",
        Why::Empty => "is this the right file? A record begins when the gateway starts, and is never emptied by it",
        Why::Short { .. } => "the end was cut, or an old copy was put back: keep this file, and look for the newer one",
        _ => "keep this file as it is, stop what writes to it, and compare it with a copy from elsewhere",
    }
}

/// Shows on a terminal how far the reading is.
struct Watched {
    file: File,
    read: u64,
    length: u64,
    shown: u64,
    drawing: bool,
}

/// Below this length nobody waits.
const LONG: u64 = 64 << 20;

impl Watched {
    fn draw(&mut self) {
        let percent = self.read.saturating_mul(100).checked_div(self.length).unwrap_or(100).min(100);
        if !self.drawing || self.length < LONG || percent == self.shown {
            return;
        }
        self.shown = percent;
        let full = usize::try_from(percent / 5).unwrap_or_default();
        let bar = format!("{}{}", "#".repeat(full), ".".repeat(20 - full.min(20)));
        drop(write!(io::stderr().lock(), "\rChecking  {bar}  {percent:>3} %  of {} MiB", self.length >> 20));
    }

    fn clear(&mut self) {
        if self.shown > 0 {
            drop(write!(io::stderr().lock(), "\r{:60}\r", ""));
        }
    }
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.read = self.read.saturating_add(u64::try_from(read).unwrap_or_default());
        self.draw();
        Ok(read)
    }
}
