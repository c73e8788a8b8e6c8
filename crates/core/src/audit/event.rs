//! One record is one line of ASCII JSON. Owns the field names, the escaping, the caps and the hash.
//!
//! Everything outside printable ASCII is escaped, so that a line is inert in any viewer and cannot be split (AUD-04).

use super::purge::Tombstone;
use crate::flag::Flag;
use crate::id::CorrelationId;
pub(crate) use crate::secret::hex;
use crate::secret::sha256;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use std::io;
use std::str::FromStr;

/// Version of the record format.
pub const VERSION: u8 = 1;

/// No line is longer; a longer one is not a record.
pub const MAX_LINE: usize = 64 * 1024;

/// No text taken from a caller is longer than this many bytes in a record.
pub const MAX_TEXT: usize = 256;

/// No record names more rules than this; the last entry then says how many were left out.
pub const MAX_RULES: usize = 32;

const HASH_PREFIX: &[u8] = b",\"hash\":\"";
const HASH_SUFFIX: &[u8] = b"\"}";

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A permitted call is about to have its effect.
    Intent,
    /// What became of an intent.
    Outcome,
    /// An attempt that was refused before it became an intent.
    Refused,
    /// Something else worth keeping: start, configuration change, upkeep.
    Event,
    /// A signature over everything before it.
    Checkpoint,
    /// Names the next signing key, signed by the one before.
    Key,
    /// The answer to an intent became a stream; the intent stays open.
    Opened,
    /// That stream ended; the outcome of its intent.
    Closed,
    /// A tombstone: records that are older than the retention go, signed.
    Purge,
}

/// A record as it stands in the file, apart from its own hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record<'a> {
    /// Format version, [`VERSION`].
    pub v: u8,
    /// Position in the chain, from 1 without gaps.
    pub seq: u64,
    /// Who wrote it.
    pub writer: Cow<'a, str>,
    /// UTC, RFC 3339 with milliseconds.
    pub time: Cow<'a, str>,
    /// By how much the clock had stepped back behind the record before (AUD-07).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skew_ms: Option<u64>,
    /// What it says.
    pub kind: Kind,
    /// The request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Cow<'a, str>>,
    /// Position of the intent that this record settles or continues.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intent: Option<u64>,
    /// Issuer and subject of the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<User<'a>>,
    /// Issuer and subject of the administrator who did it (events only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<User<'a>>,
    /// The client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<Cow<'a, str>>,
    /// The clients through which the credential came to that one (RFC 8693), the one that was allowed first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<Cow<'a, str>>,
    /// The administrator's label for the agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<Cow<'a, str>>,
    /// Level of authentication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level: Option<Cow<'a, str>>,
    /// Record id of the credential.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<Cow<'a, str>>,
    /// `dpop` if the caller showed the key that the credential is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<Cow<'a, str>>,
    /// First 16 hex digits of SHA-256 of the stored session digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Cow<'a, str>>,
    /// The server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<Cow<'a, str>>,
    /// Protocol revision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub era: Option<Cow<'a, str>>,
    /// MCP method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Cow<'a, str>>,
    /// Tool, prompt, URI or task.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Cow<'a, str>>,
    /// Digest of the arguments, keyed if a key is configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Cow<'a, str>>,
    /// Version of the policy that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<Cow<'a, str>>,
    /// The determining rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Cow<'a, str>>,
    /// Whose downstream identity: planned in an intent, actual in an outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<Cow<'a, str>>,
    /// `permit`, `deny` (policy) or `refuse` (any other station).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Cow<'a, str>>,
    /// Class of the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<Cow<'a, str>>,
    /// Whose side, when it was not a success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blame: Option<Cow<'a, str>>,
    /// The station of the corridor that refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub station: Option<Cow<'a, str>>,
    /// Stable reason id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'a, str>>,
    /// What was seen and let pass, by stable ids; `cause` says where it stands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<Cow<'a, str>>,
    /// The private cause. Never a secret, never shown to a client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cow<'a, str>>,
    /// From the request to this record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u64>,
    /// Digest of the reply that left, keyed like `digest`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply: Option<Cow<'a, str>>,
    /// Which records go (tombstones only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purged: Option<Tombstone>,
    /// Of a key record that hands over: the signature of the next key over the place that it takes over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accept: Option<Cow<'a, str>>,
    /// The signature of a checkpoint, key or purge record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seal: Option<Seal<'a>>,
    /// Hash of the record before, 64 hex digits.
    pub prev: Cow<'a, str>,
}

/// A caller, never an e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User<'a> {
    /// Issuer.
    pub iss: Cow<'a, str>,
    /// Subject.
    pub sub: Cow<'a, str>,
}

/// An Ed25519 signature over position, time and the hash of everything before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal<'a> {
    /// Id of the signing key.
    pub key: Cow<'a, str>,
    /// The next public key (key records only), 64 hex digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<Cow<'a, str>>,
    /// The signature, 128 hex digits.
    pub sig: Cow<'a, str>,
}

/// A finished line with its newline. Empty if it could not be encoded: an empty line is never written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    bytes: Vec<u8>,
    seq: u64,
    owes: Owes,
}

/// What a record changes about the intents without an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owes {
    /// Nothing.
    Nothing,
    /// The record is an intent of this request: an outcome is owed.
    Outcome(CorrelationId),
    /// The record is the outcome of the intent at this position.
    NoMore(u64),
}

/// A position in a chain and the hash that stands there; kept elsewhere it proves that the tail was not cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Position of the last record.
    pub seq: u64,
    /// Its hash.
    pub hash: [u8; 32],
}

/// A text is not `<seq>:<64 hex digits>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a head has the form <seq>:<64 hex digits>")]
pub struct BadHead;

/// Escapes everything that is not printable ASCII.
struct Ascii;

// === impl Kind ===

impl Kind {
    /// The name in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Outcome => "outcome",
            Self::Refused => "refused",
            Self::Event => "event",
            Self::Checkpoint => "checkpoint",
            Self::Key => "key",
            Self::Opened => "opened",
            Self::Closed => "closed",
            Self::Purge => "purge",
        }
    }
}

// === impl Record ===

impl<'a> Record<'a> {
    /// A record without facts yet; the chain fills in position, time and link.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        Self {
            v: VERSION,
            seq: 0,
            writer: Cow::Borrowed(""),
            time: Cow::Borrowed(""),
            skew_ms: None,
            kind,
            id: None,
            intent: None,
            user: None,
            by: None,
            client: None,
            via: Vec::new(),
            agent: None,
            level: None,
            credential: None,
            proof: None,
            session: None,
            server: None,
            era: None,
            method: None,
            name: None,
            digest: None,
            policy: None,
            rules: Vec::new(),
            principal: None,
            decision: None,
            class: None,
            blame: None,
            station: None,
            reason: None,
            flags: Vec::new(),
            cause: None,
            latency_ms: None,
            reply: None,
            purged: None,
            seal: None,
            accept: None,
            prev: Cow::Borrowed(""),
        }
    }

    /// Adds the determining rules, at most [`MAX_RULES`] of them.
    #[must_use]
    pub fn ruled(mut self, rules: impl ExactSizeIterator<Item = &'a str>) -> Self {
        let left_out = rules.len().saturating_sub(MAX_RULES);
        self.rules = rules.take(MAX_RULES).map(cap).collect();
        if left_out > 0 {
            self.rules.push(Cow::Owned(format!("[+{left_out} rules]")));
        }
        self
    }

    /// Adds what was seen and let pass: its ids, and where it stands to the cause.
    #[must_use]
    pub(super) fn flagged(mut self, flags: &[Flag]) -> Self {
        let details: Vec<&str> = self.cause.as_deref().into_iter().chain(flags.iter().map(Flag::detail)).collect();
        if !details.is_empty() {
            self.cause = Some(Cow::Owned(cap(&details.join("; ")).into_owned()));
        }
        self.flags = flags.iter().map(|flag| Cow::Borrowed(flag.reason())).collect();
        self
    }

    /// Reads a line without its newline. The hash of the line is returned beside the record, after it was checked.
    ///
    /// # Errors
    /// [`NotARecord`] says whether the form or the hash is wrong.
    pub fn read(line: &[u8]) -> Result<(Record<'static>, [u8; 32]), NotARecord> {
        let rest = line.strip_suffix(HASH_SUFFIX).ok_or(NotARecord::Form)?;
        let (rest, hash) = rest.split_at_checked(rest.len().wrapping_sub(64)).ok_or(NotARecord::Form)?;
        let hash = std::str::from_utf8(hash).ok().and_then(unhex).ok_or(NotARecord::Form)?;
        let mut body = rest.strip_suffix(HASH_PREFIX).ok_or(NotARecord::Form)?.to_vec();
        body.push(b'}');
        let record: Record<'static> = serde_json::from_slice(&body).map_err(|_| NotARecord::Form)?;
        let prev = unhex(&record.prev).ok_or(NotARecord::Form)?;
        if hash_of(&prev, &body) == hash { Ok((record, hash)) } else { Err(NotARecord::Hash { seq: record.seq }) }
    }

    /// The finished line, and its hash over `prev` and everything but the hash itself.
    pub(super) fn finish(&self, prev: &[u8; 32]) -> (Line, [u8; 32]) {
        let mut bytes = Vec::with_capacity(1024);
        let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Ascii);
        if self.serialize(&mut serializer).is_err() {
            return (Line { bytes: Vec::new(), seq: self.seq, owes: Owes::Nothing }, [0; 32]);
        }
        let hash = hash_of(prev, &bytes);
        bytes.pop();
        bytes.extend_from_slice(HASH_PREFIX);
        bytes.extend_from_slice(hex(&hash).as_bytes());
        bytes.extend_from_slice(HASH_SUFFIX);
        bytes.push(b'\n');
        if bytes.len() > MAX_LINE {
            bytes.clear();
        }
        (Line { bytes, seq: self.seq, owes: Owes::Nothing }, hash)
    }
}

/// Why a line is not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotARecord {
    /// Not a line of this format.
    Form,
    /// It does not hash to the hash it carries.
    Hash {
        /// The position it claims.
        seq: u64,
    },
}

// === impl Line ===

impl Line {
    /// The bytes to append in one write, newline included.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Position of the record.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// What changes about the intents without an outcome once the line stands in the file.
    #[must_use]
    pub const fn owes(&self) -> Owes {
        self.owes
    }

    pub(super) fn owing(self, owes: Owes) -> Self {
        Self { owes, ..self }
    }
}

// === impl Head ===

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, hex(&self.hash))
    }
}

impl FromStr for Head {
    type Err = BadHead;

    fn from_str(text: &str) -> Result<Self, BadHead> {
        let (seq, hash) = text.split_once(':').ok_or(BadHead)?;
        Ok(Self { seq: seq.parse().map_err(|_| BadHead)?, hash: unhex(hash).ok_or(BadHead)? })
    }
}

// === impl Ascii ===

impl serde_json::ser::Formatter for Ascii {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        if fragment.bytes().all(|b| matches!(b, b' '..=b'~')) {
            return writer.write_all(fragment.as_bytes());
        }
        for c in fragment.chars() {
            if matches!(c, ' '..='~') {
                write!(writer, "{c}")?;
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

/// At most [`MAX_TEXT`] bytes of a text; a cut one says how much is missing.
pub(super) fn cap(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_TEXT {
        return Cow::Borrowed(text);
    }
    let kept = text.get(..text.floor_char_boundary(MAX_TEXT - 32)).unwrap_or_default();
    Cow::Owned(format!("{kept}[+{} bytes]", text.len() - kept.len()))
}

/// A client id, whole or with its digest instead of its end: `sha256:` and this digest is what `clients.block` takes.
pub(super) fn whole_or_digest(id: &str) -> Cow<'_, str> {
    if id.len() <= MAX_TEXT {
        return Cow::Borrowed(id);
    }
    let kept = id.get(..id.floor_char_boundary(MAX_TEXT / 2)).unwrap_or_default();
    Cow::Owned(format!("{kept}[sha256:{}]", hex(&sha256(id.as_bytes()))))
}

fn hash_of(prev: &[u8; 32], body: &[u8]) -> [u8; 32] {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    context.update(prev);
    context.update(body);
    <[u8; 32]>::try_from(context.finish().as_ref()).unwrap_or_else(|_| sha256(&[]))
}

/// `N` bytes from exactly `2 N` lower-case hex digits.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let mut out = [0; N];
    let mut digits = text.bytes();
    for byte in &mut out {
        *byte = digit(digits.next()?)? << 4 | digit(digits.next()?)?;
    }
    digits.next().is_none().then_some(out)
}
