//! Whether ids can be computed: a digest of a counter, of the time, of a process or of a name looks like chance and is none.
//! Small spaces are tried against ids that were given, here and not at the server (OWASP ASVS 7.2.3: session tokens come from a
//! random source). Pure; asks nobody.
//!
//! That nothing was found says that none of these spaces held the ids. Not tried: keys (HMAC), counters beyond a million, the
//! nanosecond, floating-point times, and more than two parts.

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use md5::{Digest as _, Md5};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow::{self, Break, Continue};

/// Shorter ids are found otherwise. Bytes.
const LEAST: usize = 8;
/// The beginning of a digest by which an id is looked for; no bit of it is overwritten in a UUID. Bytes.
const KEY: usize = 6;
/// So many ids have to be computed before it is said that they can be: chance does not do it twice.
const NEEDED: usize = 2;
/// What is written between two parts.
const JOINTS: [&str; 5] = ["", "-", ":", "_", "."];
/// What people call a session, and a user whose name is not known.
const WORDS: [&str; 8] = ["session", "sess", "sid", "mcp", "mcp-session", "conn", "client", "id"];
const USERS: [&str; 6] = ["user", "admin", "anonymous", "guest", "default", "test"];
/// Namespaces of names in UUIDs (RFC 9562, 6.6): of DNS, URL, OID and X.500 differ in one byte; and the nil UUID.
const NAMESPACE: [u8; 16] = [0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8];
const SPACES: [Option<u8>; 5] = [Some(0x10), Some(0x11), Some(0x12), Some(0x14), None];
/// Clocks may differ by so much before the `Date` of an answer is needed.
const SECONDS_OFF: u64 = 90;
const MILLISECONDS_OFF: u64 = 1500;

/// An id, and when it was given. Milliseconds since 1970.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) id: String,
    /// When it was asked for.
    pub(crate) from: u64,
    /// When it was there.
    pub(crate) to: u64,
    /// What the server's own clock said, to the second.
    pub(crate) date: Option<u64>,
}

/// How parts become an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mill {
    Md5,
    Sha1,
    Sha256,
    Sha512,
    /// A UUID of version 3 or 5 of a name in a space.
    Named(u8, Option<u8>),
}

/// An id as the bytes that it stands for.
struct Target {
    sample: usize,
    bytes: Vec<u8>,
    /// The version, if it has the form of a UUID.
    uuid: Option<u8>,
}

struct Search {
    targets: Vec<Target>,
    by_key: HashMap<[u8; KEY], Vec<usize>>,
    mills: Vec<Mill>,
    hits: BTreeMap<(&'static str, Mill), BTreeSet<usize>>,
    left: usize,
}

/// Goes on, or breaks: with the recipe, or with none once as much was tried as may be.
type Step = ControlFlow<Option<String>>;

/// What the ids are made of, in words, if they can be computed. `names` are user names that are known, `most` bounds how many
/// texts are tried. Shows no id and no name.
pub(crate) fn recipe(samples: &[Sample], names: &[String], most: usize) -> Option<String> {
    let mut search = Search::new(samples, most);
    if search.mills.is_empty() {
        return None;
    }
    match search.everything(samples, names) {
        Break(found) => found,
        Continue(()) => None,
    }
}

/// The seconds since 1970 of a date as HTTP writes it (RFC 9110, 5.6.7, the preferred form), in milliseconds.
pub(crate) fn http_date(text: &str) -> Option<u64> {
    let mut parts = text.split_once(", ")?.1.split(' ');
    let day: u64 = parts.next()?.parse().ok()?;
    let month = parts.next()?;
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = u64::try_from(months.iter().position(|name| *name == month)?).ok()? + 1;
    let year: u64 = parts.next()?.parse().ok().filter(|year| (1970..10_000).contains(year))?;
    let mut clock = parts.next()?.split(':').map(str::parse::<u64>);
    let (hour, minute, second) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    if day == 0 || day > 31 || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days since 1970 by the calendar of years that begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let days = days.checked_sub(719_468)?;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000)
}

// === impl Sample ===

impl Sample {
    /// The server's clock, where it is not ours.
    fn elsewhere(&self) -> Option<u64> {
        self.date.filter(|date| date.abs_diff(self.to) > 2 * MILLISECONDS_OFF)
    }

    fn seconds(&self) -> impl Iterator<Item = u64> {
        let around = |at: u64| at.saturating_sub(SECONDS_OFF)..=at + SECONDS_OFF;
        around(self.to / 1000).chain(self.elsewhere().map(|date| (date / 1000).saturating_sub(2)..=date / 1000 + 2).into_iter().flatten())
    }

    fn milliseconds(&self) -> impl Iterator<Item = u64> {
        // A request of many seconds is no hint.
        let from = self.from.max(self.to.saturating_sub(2 * MILLISECONDS_OFF));
        let here = from.saturating_sub(MILLISECONDS_OFF)..=self.to + MILLISECONDS_OFF;
        here.chain(self.elsewhere().map(|date| date.saturating_sub(MILLISECONDS_OFF)..=date + MILLISECONDS_OFF).into_iter().flatten())
    }

    /// Only where the clocks agree and the answer came at once.
    fn microseconds(&self) -> impl Iterator<Item = u64> {
        let from = self.from.max(self.to.saturating_sub(20));
        (from.saturating_sub(2) * 1000)..(self.to + 2) * 1000
    }
}

// === impl Search ===

impl Search {
    fn new(samples: &[Sample], most: usize) -> Self {
        let targets: Vec<Target> = samples.iter().enumerate().flat_map(|(at, sample)| readings(at, &sample.id)).collect();
        let mut by_key: HashMap<[u8; KEY], Vec<usize>> = HashMap::new();
        for (at, target) in targets.iter().enumerate() {
            if let Some(key) = target.bytes.first_chunk() {
                by_key.entry(*key).or_default().push(at);
            }
        }
        let plain = [(Mill::Md5, 16), (Mill::Sha1, 20), (Mill::Sha256, 32), (Mill::Sha512, 64)];
        let mut mills: Vec<Mill> = plain
            .into_iter()
            .filter(|(_, length)| targets.iter().any(|target| target.bytes.len() <= *length))
            .map(|(mill, _)| mill)
            .collect();
        for version in [3, 5] {
            // One version for all, else they are no names but something of sixteen bytes.
            if !targets.is_empty() && targets.iter().filter(|target| target.uuid.is_some()).all(|target| target.uuid == Some(version)) {
                mills.extend(SPACES.map(|space| Mill::Named(version, space)));
            }
        }
        if !targets.iter().any(|target| target.uuid.is_some()) {
            mills.retain(|mill| !matches!(mill, Mill::Named(..)));
        }
        Self { targets, by_key, mills, hits: BTreeMap::new(), left: most }
    }

    /// Every space, small ones first.
    fn everything(&mut self, samples: &[Sample], names: &[String]) -> Step {
        const COUNTER: &str = "a counter, or the number of a process";
        const NAMED: &str = "a user name and a counter";
        const NAMED_TIME: &str = "a user name and the time";
        const PROCESS: &str = "the number of a process and a counter";
        const PROCESS_TIME: &str = "the number of a process and the time";
        let seconds: BTreeSet<u64> = samples.iter().flat_map(Sample::seconds).collect();
        self.numbers(COUNTER, 0..=20_000)?;
        self.numbers("the time in seconds", seconds.iter().copied())?;
        for sample in samples.iter().take(6) {
            self.numbers("the time in milliseconds", sample.milliseconds())?;
        }
        for sample in samples.iter().take(3) {
            self.numbers("the time in microseconds", sample.microseconds())?;
        }
        for name in names.iter().map(String::as_str).chain(USERS) {
            self.joined(NAMED, name, 0..=2000)?;
            self.joined(NAMED_TIME, name, seconds.iter().copied())?;
        }
        for name in names {
            for sample in samples.iter().take(3) {
                self.joined(NAMED_TIME, name, sample.milliseconds())?;
            }
        }
        for word in WORDS {
            self.joined("a word and a counter", word, 0..=2000)?;
        }
        // In containers processes have small numbers.
        for process in 1..=300_u32 {
            let process = process.to_string();
            self.joined(PROCESS, &process, 0..=300)?;
            self.joined(PROCESS_TIME, &process, seconds.iter().copied())?;
        }
        for sample in samples.first().into_iter().chain(samples.last()) {
            let second = sample.to / 1000;
            for process in 301..=32_768_u32 {
                self.joined(PROCESS_TIME, &process.to_string(), second - 1..=second + 1)?;
            }
        }
        self.numbers(COUNTER, 20_001..=1_000_000)?;
        for number in 0..=65_536_u64 {
            self.attempt("a counter", &number.to_be_bytes())?;
            self.attempt("a counter", &number.to_le_bytes())?;
            self.attempt("a counter", &u32::try_from(number).unwrap_or_default().to_be_bytes())?;
        }
        Continue(())
    }

    fn numbers(&mut self, space: &'static str, numbers: impl IntoIterator<Item = u64>) -> Step {
        numbers.into_iter().try_for_each(|number| self.attempt(space, number.to_string().as_bytes()))
    }

    /// Both ways round.
    fn joined(&mut self, space: &'static str, word: &str, numbers: impl IntoIterator<Item = u64>) -> Step {
        for number in numbers {
            for joint in JOINTS {
                self.attempt(space, format!("{word}{joint}{number}").as_bytes())?;
            }
            self.attempt(space, format!("{number}-{word}").as_bytes())?;
        }
        Continue(())
    }

    fn attempt(&mut self, space: &'static str, text: &[u8]) -> Step {
        if self.left == 0 {
            return Break(None);
        }
        self.left -= 1;
        for mill in &self.mills {
            let (made, length) = mill.grind(text);
            let made = made.get(..length).unwrap_or_default();
            let Some(candidates) = made.first_chunk().and_then(|key: &[u8; KEY]| self.by_key.get(key)) else { continue };
            let fitting = candidates.iter().filter_map(|at| self.targets.get(*at)).filter(|target| target.is(made));
            let hits = self.hits.entry((space, *mill)).or_default();
            hits.extend(fitting.map(|target| target.sample));
            if hits.len() >= NEEDED {
                return Break(Some(format!("each id is made of {space}, by {}: ids were computed without the server", mill.name())));
            }
        }
        Continue(())
    }
}

// === impl Mill ===

impl Mill {
    /// The digest, and how long it is.
    fn grind(self, text: &[u8]) -> ([u8; 64], usize) {
        let of = |algorithm: &'static Algorithm| padded(digest(algorithm, text).as_ref());
        match self {
            Self::Md5 => padded(Md5::digest(text).as_slice()),
            Self::Sha1 => of(&SHA1_FOR_LEGACY_USE_ONLY),
            Self::Sha256 => of(&SHA256),
            Self::Sha512 => of(&SHA512),
            Self::Named(version, space) => {
                let mut name = match space {
                    Some(byte) => NAMESPACE.map(|own| if own == 0x10 { byte } else { own }).to_vec(),
                    None => vec![0; 16],
                };
                name.extend_from_slice(text);
                let (made, _) = if version == 3 { Self::Md5.grind(&name) } else { Self::Sha1.grind(&name) };
                (made, 16)
            }
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha512 => "SHA-512",
            Self::Named(3, _) => "UUID version 3",
            Self::Named(..) => "UUID version 5",
        }
    }
}

fn padded(digest: &[u8]) -> ([u8; 64], usize) {
    let mut out = [0; 64];
    for (to, from) in out.iter_mut().zip(digest) {
        *to = *from;
    }
    (out, digest.len())
}

// === impl Target ===

impl Target {
    /// Whether this digest begins with it; the bits that a UUID overwrites count for nothing.
    fn is(&self, made: &[u8]) -> bool {
        let own = |at: usize| match (self.uuid, at) {
            (Some(_), 6) => 0x0f,
            (Some(_), 8) => 0x3f,
            _ => 0xff,
        };
        made.len() >= self.bytes.len() && self.bytes.iter().zip(made).enumerate().all(|(at, (one, other))| (one ^ other) & own(at) == 0)
    }
}

/// The bytes that an id may stand for: hexadecimal digits at its end, a UUID, or Base64.
fn readings(sample: usize, id: &str) -> Vec<Target> {
    let mut found = Vec::new();
    let digits: Vec<u8> = id.bytes().rev().filter(|byte| *byte != b'-').take_while(u8::is_ascii_hexdigit).take(128).collect();
    let digits: Vec<u8> = digits.into_iter().rev().collect();
    let uuid = uuid(id);
    // Letters of a word in front may be digits as well: a whole number of bytes counts from the end.
    let length = if uuid.is_some() { 32 } else { digits.len() - digits.len() % 2 };
    let tail = digits.get(digits.len().saturating_sub(length)..).unwrap_or_default();
    let bytes: Vec<u8> = tail.chunks_exact(2).filter_map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok()).collect();
    if bytes.len() >= LEAST {
        found.push(Target { sample, bytes, uuid });
    } else if let Some(word) = id.rsplit(['.', ':', '~']).next() {
        let engines = [&URL_SAFE_NO_PAD, &STANDARD_NO_PAD, &URL_SAFE, &STANDARD];
        let decoded = engines.iter().find_map(|engine| engine.decode(word).ok()).filter(|bytes| bytes.len() >= LEAST && bytes.len() <= 64);
        found.extend(decoded.map(|bytes| Target { sample, bytes, uuid: None }));
    }
    found
}

/// The version of a UUID at the end of a text.
fn uuid(text: &str) -> Option<u8> {
    let tail = text.get(text.len().checked_sub(36)?..)?;
    let dashes = tail
        .bytes()
        .enumerate()
        .all(|(at, byte)| (byte == b'-') == matches!(at, 8 | 13 | 18 | 23) && (byte == b'-' || byte.is_ascii_hexdigit()));
    let version = tail.chars().nth(14)?.to_digit(16)?;
    u8::try_from(version).ok().filter(|_| dashes)
}

#[cfg(test)]
mod tests;
