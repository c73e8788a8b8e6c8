//! `doorward audit purge`: takes away what is older than the retention, under a signed tombstone (AUD-06).

use super::Location;
use super::filter;
use crate::args::Global;
use crate::console::{Console, Form, Sign, counted};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::question::{self, Answer};
use crate::record::{self, Tail};
use crate::{house, settings, state};
use clap::Args;
use doorward_core::config::units;
use doorward_core::time::Timestamp;
use doorward_gateway::audit::key;
use doorward_gateway::audit::purge::{Order, Purge, ours, preview, purge};
use doorward_gateway::audit::recorder::OpenError;
use doorward_gateway::audit::settings::announce;
use doorward_gateway::env::Env;
use serde_json::json;
use std::io;
use std::path::Path;
use std::time::Duration;

/// Options of `audit purge`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Only records older than this go: 2026-11-24 (midnight UTC), 2026-11-24T05:03:31Z, or an age such as 500d [default: the age that [audit] retention says, counted from the newest record; never less than that age. Another retention than at the last start counts, and is put on the record first]
    #[arg(long, value_name = "TIME")]
    pub before: Option<String>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Say what would go, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Where the record is.
    #[command(flatten)]
    pub location: Location,
}

/// Purges the record. No gateway may be running on it.
///
/// # Errors
/// [`Failure`].
pub(super) fn run(arguments: &Arguments, global: &Global, console: &mut Console) -> Result<Exit, Failure> {
    let now = Env::system().now();
    let config = settings::read(global, Vec::new())?.loaded.config.audit;
    let retention = config.retention;
    let oldest = Timestamp::from_millis(now.as_millis().saturating_sub(u64::try_from(retention.as_millis()).unwrap_or(u64::MAX)));
    let path = arguments.location.path(global)?;
    let before = match &arguments.before {
        Some(text) => filter::instant("--before", text, now)?,
        None => by_the_record(&path, retention).map_or(oldest, |before| before.min(oldest)),
    };
    if before > oldest {
        let message = format!("the retention is {}: nothing younger goes", units::written(retention));
        let help = "change [audit] retention, which is put on the record, or name an earlier time";
        return Err(Failure::new(Exit::Usage, "audit.retention", message, help));
    }
    // A file that was named and is not there was mistyped; the one of a gateway that never started has nothing to purge.
    if arguments.location.file.is_none() && path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        said(&path, &Purge { stretch: None, left_over: 0 }, Done::NoRecord, console);
        return Ok(Exit::Fine);
    }
    let directory = state::directory(global)?;
    if !arguments.dry_run {
        ours(&path, &directory, rustix::process::geteuid().as_raw()).map_err(|error| failed(&path, error))?;
    }
    let seen = preview(&path, before).map_err(|error| failed(&path, error))?;
    if seen.stretch.is_none() && seen.left_over == 0 {
        said(&path, &seen, Done::Nothing, console);
        return Ok(Exit::Fine);
    }
    if arguments.dry_run {
        said(&path, &seen, Done::Planned, console);
        return Ok(Exit::Fine);
    }
    let goes = counted(seen.stretch.as_ref().map_or(0, |stone| stone.count).saturating_add(seen.left_over), "record");
    if !arguments.yes && question::confirmed(&format!("Remove {goes} for good?"), Answer::No) == Answer::No {
        let help = "look first: --dry-run; then say --yes";
        return Err(Failure::new(Exit::Findings, "audit.not_confirmed", "nothing was removed", help));
    }
    let no_key = |error: key::KeyError| {
        Failure::new(Exit::Unreachable, "audit.no_key", "the signing key of the record cannot be used", "see doorward doctor")
            .because(error)
    };
    let signers = key::load_all(&directory).map_err(no_key)?;
    let why = match &arguments.reason {
        Some(reason) => format!("older than {before}: retention {}: {reason}", units::written(retention)),
        None => format!("older than {before}: retention {}", units::written(retention)),
    };
    let announced = house::runtime()?.block_on(announce(&path, &config, &directory, now));
    announced.map_err(|error| failed(&path, error))?;
    let done = purge(&path, signers, &Order { before, why: &why, now }).map_err(|error| failed(&path, error))?;
    said(&path, &done, Done::Removed, console);
    Ok(Exit::Fine)
}

/// What is too old by the clock of the record: a clock that jumped ahead while nobody wrote makes nothing old by itself.
fn by_the_record(path: &Path, retention: Duration) -> Option<Timestamp> {
    let Tail::Whole { time, .. } = record::tail(path) else { return None };
    let newest = u64::try_from(time.parse::<jiff::Timestamp>().ok()?.as_millisecond()).ok()?;
    Some(Timestamp::from_millis(newest.saturating_sub(u64::try_from(retention.as_millis()).ok()?)))
}

/// How far it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    NoRecord,
    Nothing,
    Planned,
    Removed,
}

fn said(path: &Path, purge: &Purge, done: Done, console: &mut Console) {
    if console.form() == Form::Json {
        let stone = purge.stretch.as_ref().map(|stone| {
            json!({"first": stone.first, "last": stone.last, "records": stone.count, "bytes": stone.bytes, "newest": stone.newest,
                "sha256": stone.removed})
        });
        let document = json!({
            "file": path.display().to_string(), "removed": done == Done::Removed, "stretch": stone, "left_over": purge.left_over,
        });
        console.document(super::super::config::object(document));
        return;
    }
    let sign = console.sign(if done == Done::Planned { Sign::Note } else { Sign::Good });
    let verb = if done == Done::Planned { "would go" } else { "gone" };
    if done == Done::NoRecord {
        console.line(format_args!("{sign} no record yet: nothing to purge"));
    }
    if done == Done::Nothing {
        console.line(format_args!("{sign} nothing is old enough"));
    }
    if purge.left_over > 0 {
        console.line(format_args!("{sign} {} of a purge that was cut off: {verb}", counted(purge.left_over, "record")));
    }
    if let Some(stone) = &purge.stretch {
        let records = counted(stone.count, "record");
        console.line(format_args!("{sign} {records} from {} to {}, {} KiB: {verb}", stone.first, stone.last, stone.bytes.div_ceil(1_024)));
        console.line(format_args!("    the newest of {}; their seals stay", stone.newest));
    }
    if done == Done::Removed {
        console.say("  a tombstone in the record says so: doorward audit verify");
    }
}

fn failed(path: &Path, error: OpenError) -> Failure {
    let path = path.display();
    match error {
        OpenError::Locked => {
            let help = "stop the gateway, purge, and start it again; with systemd: ExecStartPre=doorward audit purge --yes";
            Failure::new(Exit::Unreachable, "audit.in_use", format!("the record {path} is in use"), help)
        }
        OpenError::NotOurs(uid) => {
            let message = format!("the record {path} or the state directory belongs to uid {uid}");
            let help =
                format!("run it as that user, else the gateway could not read its record: setpriv --reuid {uid}, or User= of a unit");
            Failure::new(Exit::Integrity, "audit.owner", message, help)
        }
        OpenError::Bad(bad) => {
            let help = "nothing is purged from it; doorward audit verify says more";
            Failure::new(Exit::Integrity, "audit.altered", format!("the record {path} is not what was written"), help).because(bad)
        }
        OpenError::Seal(error) => {
            let help = "name the state directory whose key goes on with this record: --state DIR";
            Failure::new(Exit::Integrity, "audit.other_key", "this key does not sign this record", help).because(error)
        }
        error => {
            let help = "the record is whole: doorward audit verify; where a purge was cut off, the next one finishes it";
            Failure::new(Exit::Unreachable, "audit.unpurged", format!("the record {path} could not be purged"), help).because(error)
        }
    }
}
