//! The end of the record, looked at without reading all of it: whether its last records are whole and follow one another.

use crate::console::{Sign, counted, grouped};
use crate::settings;
use doorward_core::audit::event::{Head, Record};
use doorward_core::config::Config;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// What the end of a record is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tail {
    /// There is none yet.
    None,
    /// Its last records follow one another.
    Whole {
        /// Position of the last record.
        last: u64,
        /// When that was written.
        time: String,
        /// How many records were looked at.
        checked: u64,
    },
    /// They do not.
    Broken(String),
    /// It cannot be read.
    Unreadable(String),
}

/// How much of the end is looked at, in bytes.
const PIECE: u64 = 1 << 20;

/// Every tombstone holds these bytes.
const SIGN: &[u8] = b"\"kind\":\"purge\"";

/// Where the record of a configuration is.
#[must_use]
pub fn place(config: &Config, state: &Path) -> PathBuf {
    config.audit.file.clone().unwrap_or_else(|| state.join("audit.jsonl"))
}

/// Looks at the end of a record. A last line without its end is not looked at: it may just be written.
#[must_use]
pub fn tail(path: &Path) -> Tail {
    match read(path) {
        Ok(Some((bytes, whole))) => judge(&bytes, whole),
        Ok(None) => Tail::None,
        Err(error) => Tail::Unreadable(settings::reason(&error)),
    }
}

/// Whether a piece begins with the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begins {
    WithTheFile,
    Somewhere,
}

fn read(path: &Path) -> io::Result<Option<(Vec<u8>, Begins)>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    let begins = if length > PIECE { Begins::Somewhere } else { Begins::WithTheFile };
    file.seek(SeekFrom::Start(length.saturating_sub(PIECE)))?;
    let mut bytes = Vec::new();
    file.take(PIECE).read_to_end(&mut bytes)?;
    Ok(Some((bytes, begins)))
}

fn judge(bytes: &[u8], begins: Begins) -> Tail {
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let lines = bytes.get(..end).unwrap_or_default().split_inclusive(|byte| *byte == b'\n');
    let buried = buried(lines.clone());
    let mut before: Option<Head> = None;
    let (mut checked, mut time) = (0_u64, String::new());
    for line in lines.skip(usize::from(begins == Begins::Somewhere)) {
        let Ok((record, hash)) = Record::read(line.strip_suffix(b"\n").unwrap_or(line)) else {
            let after = before.map_or_else(String::new, |head| format!(" after record {}", grouped(head.seq)));
            return Tail::Broken(format!("a line{after} is not what was written"));
        };
        // Of what was purged the seals are left; whether rightly so is for audit verify.
        let is_left = record.seal.is_some() && record.seq <= buried;
        let is_next = |head: Head| record.seq == head.seq.saturating_add(1) && record.prev == hex(&head.hash);
        let follows = before.is_none_or(|head| is_next(head) || is_left && record.seq > head.seq);
        if !follows {
            return Tail::Broken(format!("record {} does not follow the one before it", grouped(record.seq)));
        }
        before = Some(Head { seq: record.seq, hash });
        time = record.time.to_string();
        checked = checked.saturating_add(1);
    }
    before.map_or(Tail::None, |head| Tail::Whole { last: head.seq, time, checked })
}

/// The last position that a tombstone in these lines speaks of, 0 without one. It stands behind what is left of its stretch.
fn buried<'a>(lines: impl Iterator<Item = &'a [u8]>) -> u64 {
    let stone = |line: &[u8]| Record::read(line.strip_suffix(b"\n").unwrap_or(line)).ok().and_then(|(record, _)| record.purged);
    let marked = lines.filter(|line| line.windows(SIGN.len()).any(|piece| piece == SIGN));
    marked.filter_map(stone).map(|stone| stone.last).max().unwrap_or(0)
}

fn hex(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

// === impl Tail ===

impl Tail {
    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::None => "no record yet".to_owned(),
            Self::Whole { last, time, checked } => {
                let time = time.get(..19).unwrap_or(time);
                format!("{}, the last at {time}Z; the last {} follow one another", counted(*last, "record"), grouped(*checked))
            }
            Self::Broken(why) => format!("{why}: doorward audit verify"),
            Self::Unreadable(why) => format!("cannot be read: {why}"),
        }
    }

    /// How good that is.
    #[must_use]
    pub const fn sign(&self) -> Sign {
        match self {
            Self::None => Sign::Note,
            Self::Whole { .. } => Sign::Good,
            Self::Broken(_) | Self::Unreadable(_) => Sign::Bad,
        }
    }

    /// As a member of a JSON document.
    #[must_use]
    pub fn as_json(&self) -> Value {
        match self {
            Self::None => json!({"state": "none"}),
            Self::Whole { last, time, checked } => json!({"state": "whole", "records": last, "time": time, "checked": checked}),
            Self::Broken(why) => json!({"state": "broken", "why": why}),
            Self::Unreadable(why) => json!({"state": "unreadable", "why": why}),
        }
    }
}
