//! The hash chain of one writer: gives every record its place, its time and its link to the one before.
//!
//! Pure. The caller writes each line before the next is asked for; if the write failed it takes the chain back to the
//! [`Tip`] it noted before, and the witness that came with the line must be dropped unseen.

use super::checkpoint::{PublicKey, SealError, Signer};
use super::event::{Head, Kind, Line, Owes, Record, User, cap, hex, whole_or_digest};
use super::intent::{Intent, Ongoing, OpenIntent, Receipt};
use super::named::named;
use super::outcome::{Class, Notice, Outcome};
use crate::blame::{Refusal, Station};
use crate::credential::Principal;
use crate::id::{CorrelationId, UserId};
use crate::policy::permit::Permit;
use crate::secret::sha256;
use crate::time::Timestamp;
use aws_lc_rs::hmac;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Names the writer of a chain: `[a-z0-9-]{1,64}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriterId(Arc<str>);

/// A text is not a writer id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a writer id is 1 to 64 of a-z, 0-9 and -")]
pub struct BadWriter;

/// What records keep of arguments and replies. Whoever starts a chain says it; there is no default.
#[derive(Debug)]
pub enum Digests {
    /// Nothing.
    None,
    /// SHA-256. Short secrets can be guessed from it.
    Plain,
    /// HMAC-SHA-256 over the SHA-256, with a key that the file does not hold (AUD-05).
    Keyed(DigestKey),
}

/// The key of [`Digests::Keyed`].
pub struct DigestKey(Box<hmac::Key>);

/// Where a chain stands. Noted before a write, so that a failed one can be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    pub(super) seq: u64,
    pub(super) hash: [u8; 32],
    pub(super) unsealed: u64,
    pub(super) latest: Timestamp,
    pub(super) key: PublicKey,
}

/// The chain of one writer.
#[derive(Debug)]
pub struct Chain {
    writer: WriterId,
    digests: Digests,
    policy: Option<Arc<str>>,
    tip: Tip,
}

// === impl WriterId ===

impl WriterId {
    /// Checks the grammar.
    ///
    /// # Errors
    /// [`BadWriter`].
    pub fn new(text: &str) -> Result<Self, BadWriter> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(plain) { Ok(Self(Arc::from(text))) } else { Err(BadWriter) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// === impl Digests ===

impl Digests {
    fn of(&self, digest: &[u8; 32]) -> Option<Cow<'static, str>> {
        match self {
            Self::None => None,
            Self::Plain => Some(Cow::Owned(hex(digest))),
            Self::Keyed(key) => Some(Cow::Owned(hex(hmac::sign(&key.0, digest).as_ref()))),
        }
    }
}

impl DigestKey {
    /// From 32 secret bytes.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(Box::new(hmac::Key::new(hmac::HMAC_SHA256, key)))
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey(..)")
    }
}

// === impl Chain ===

impl Chain {
    /// A new chain. Its first record names the key that signs, signed by that key.
    ///
    /// # Errors
    /// [`SealError::Signing`].
    pub fn begin(writer: WriterId, digests: Digests, signer: &Signer, now: Timestamp) -> Result<(Self, Line), SealError> {
        let key = signer.public();
        let tip = Tip { seq: 0, hash: [0; 32], unsealed: 0, latest: now, key };
        let mut chain = Self { writer, digests, policy: None, tip };
        let line = chain.seal(Record::new(Kind::Key), signer, Some(key), now)?;
        Ok((chain, line))
    }

    pub(super) const fn at(writer: WriterId, digests: Digests, tip: Tip) -> Self {
        Self { writer, digests, policy: None, tip }
    }

    /// From here on records name this version of the policy.
    pub fn set_policy(&mut self, version: Option<Arc<str>>) {
        self.policy = version;
    }

    /// Records that a permitted call is about to have its effect as `principal`.
    #[must_use]
    pub fn intend(&mut self, permit: Permit, principal: &Principal, id: CorrelationId, now: Timestamp) -> (Intent, Line) {
        let policy = self.policy.clone();
        let line = {
            let mut record = permitted(&permit).flagged(permit.flags());
            record.id = Some(Cow::Owned(id.to_string()));
            record.digest = self.digests.of(permit.call().digest());
            record.policy = policy.as_deref().map(cap);
            record.principal = Some(cap(principal.as_str()));
            self.append(record, now).owing(Owes::Outcome(id))
        };
        (Intent { permit, id, seq: line.seq() }, line)
    }

    /// Records what became of an intent.
    #[must_use]
    pub fn settle(&mut self, intent: Intent, outcome: &Outcome, now: Timestamp) -> (Receipt, Line) {
        self.end(Kind::Outcome, intent, outcome, now)
    }

    /// Records that the answer became a stream. The intent lives on in it.
    #[must_use]
    pub fn opened(&mut self, intent: Intent, outcome: &Outcome, now: Timestamp) -> (Receipt, Ongoing, Line) {
        let line = self.conclude(Kind::Opened, &intent.open(), outcome, now);
        (Receipt { seq: line.seq() }, Ongoing { intent }, line)
    }

    /// Records how the stream of an intent ended.
    #[must_use]
    pub fn closed(&mut self, ongoing: Ongoing, outcome: &Outcome, now: Timestamp) -> (Receipt, Line) {
        self.end(Kind::Closed, ongoing.intent, outcome, now)
    }

    /// Settles an intent whose outcome never reached the file.
    #[must_use]
    pub fn settle_unknown(&mut self, open: &OpenIntent, reason: &'static str, now: Timestamp) -> Line {
        let mut record = Record::new(Kind::Outcome);
        record.id = Some(cap(&open.id));
        record.intent = Some(open.seq);
        record.class = Some(Cow::Borrowed(Class::Unknown.as_str()));
        record.reason = Some(Cow::Borrowed(reason));
        self.append(record, now).owing(Owes::NoMore(open.seq))
    }

    /// Records an attempt that was refused before it became an intent.
    #[must_use]
    pub fn refused(&mut self, refusal: &Refusal, id: CorrelationId, now: Timestamp) -> (Receipt, Line) {
        let known = &refusal.known;
        let policy = self.policy.clone();
        let mut record = Record::new(Kind::Refused).ruled(known.rule.as_deref().into_iter().collect::<Vec<_>>().into_iter());
        record.id = Some(Cow::Owned(id.to_string()));
        record.user = known.user.as_ref().map(user);
        record.client = known.client.as_ref().map(|client| whole_or_digest(client.as_str()));
        record.via = known.via.iter().map(|client| whole_or_digest(client.as_str())).collect();
        record.agent = known.agent.as_ref().map(|agent| cap(agent.as_str()));
        record.level = known.level.map(|level| Cow::Borrowed(level.as_str()));
        record.credential = known.credential.as_ref().map(|credential| cap(credential.as_str()));
        record.session = known.session.as_ref().map(session);
        record.era = known.era.map(|version| Cow::Borrowed(version.as_str()));
        record.server = known.server.as_ref().map(|server| cap(server.as_str()));
        record.method = known.method.as_deref().map(cap);
        record.name = known.name.as_deref().map(named);
        record.digest = known.digest.as_ref().and_then(|digest| self.digests.of(digest));
        record.policy = policy.as_deref().map(cap);
        record.decision = Some(Cow::Borrowed(if refusal.station == Station::Policy { "deny" } else { "refuse" }));
        record.class = Some(Cow::Borrowed(Class::Refused.as_str()));
        record.blame = Some(Cow::Borrowed(refusal.blame.as_str()));
        record.station = Some(Cow::Borrowed(refusal.station.as_str()));
        record.reason = Some(Cow::Borrowed(refusal.reason));
        record.cause = refusal.private.as_deref().map(cap);
        let line = self.append(record, now);
        (Receipt { seq: line.seq() }, line)
    }

    /// Records something that is not a call.
    #[must_use]
    pub fn event(&mut self, notice: &Notice<'_>, now: Timestamp) -> Line {
        let mut record = Record::new(Kind::Event);
        record.id = notice.id.map(|id| Cow::Owned(id.to_string()));
        record.user = notice.user.map(user);
        record.by = notice.by.map(user);
        record.client = notice.client.map(|client| whole_or_digest(client.as_str()));
        record.server = notice.server.map(|server| cap(server.as_str()));
        record.reason = Some(Cow::Borrowed(notice.reason));
        record.cause = notice.cause.map(cap);
        self.append(record, now)
    }

    /// Signs everything so far.
    ///
    /// # Errors
    /// [`SealError`] if the signer is not the one that the chain names; the chain is unchanged then.
    pub fn checkpoint(&mut self, signer: &Signer, now: Timestamp) -> Result<Line, SealError> {
        self.seal(Record::new(Kind::Checkpoint), signer, None, now)
    }

    /// Hands over to the key `next`, signed by the present one. The next one signs that it takes over this very past: nobody without it
    /// can put a past of their own in front of it.
    ///
    /// # Errors
    /// [`SealError`] if `signer` is not the present one; the chain is unchanged then.
    pub fn rotate(&mut self, signer: &Signer, next: &Signer, now: Timestamp) -> Result<Line, SealError> {
        let (seq, prev) = (self.tip.seq.saturating_add(1), hex(&self.tip.hash));
        let record = Record { accept: Some(Cow::Owned(next.accept(&self.writer.0, seq, &prev)?)), ..Record::new(Kind::Key) };
        self.seal(record, signer, Some(next.public()), now)
    }

    /// Where the chain stands, to come back to.
    #[must_use]
    pub const fn tip(&self) -> Tip {
        self.tip
    }

    /// Undoes everything since `tip` was noted: nothing of it reached the file.
    pub const fn roll_back(&mut self, tip: Tip) {
        self.tip = tip;
    }

    /// The last record.
    #[must_use]
    pub const fn head(&self) -> Head {
        Head { seq: self.tip.seq, hash: self.tip.hash }
    }

    /// How many records no seal covers yet.
    #[must_use]
    pub const fn unsealed(&self) -> u64 {
        self.tip.unsealed
    }

    /// The key that signs the next seal.
    #[must_use]
    pub const fn key(&self) -> PublicKey {
        self.tip.key
    }

    /// Who writes.
    #[must_use]
    pub const fn writer(&self) -> &WriterId {
        &self.writer
    }

    #[expect(clippy::needless_pass_by_value, reason = "one intent, one outcome: the witness ends here")]
    fn end(&mut self, kind: Kind, intent: Intent, outcome: &Outcome, now: Timestamp) -> (Receipt, Line) {
        let line = self.conclude(kind, &intent.open(), outcome, now);
        (Receipt { seq: line.seq() }, line)
    }

    fn conclude(&mut self, kind: Kind, open: &OpenIntent, outcome: &Outcome, now: Timestamp) -> Line {
        let mut record = Record::new(kind);
        record.id = Some(cap(&open.id));
        record.intent = Some(open.seq);
        record.principal = outcome.principal.as_ref().map(|principal| cap(principal.as_str()));
        record.class = Some(Cow::Borrowed(outcome.class.as_str()));
        record.blame = outcome.blame.map(|blame| Cow::Borrowed(blame.as_str()));
        record.reason = outcome.reason.map(Cow::Borrowed);
        record.cause = outcome.private.as_deref().map(cap);
        record.latency_ms = Some(u64::try_from(outcome.latency.as_millis()).unwrap_or(u64::MAX));
        record.reply = outcome.reply_digest.as_ref().and_then(|digest| self.digests.of(digest));
        let record = record.flagged(&outcome.flags);
        let owes = if kind == Kind::Opened { Owes::Nothing } else { Owes::NoMore(open.seq) };
        self.append(record, now).owing(owes)
    }

    /// Signs a record without a place yet and gives it one.
    pub(super) fn seal(&mut self, record: Record<'_>, signer: &Signer, next: Option<PublicKey>, now: Timestamp) -> Result<Line, SealError> {
        if signer.public() != self.tip.key {
            return Err(SealError::OtherKey { chain: self.tip.key, signer: signer.public() });
        }
        let writer = Arc::clone(&self.writer.0);
        let mut record = self.stamp(record, &writer, now);
        signer.seal(&mut record, next)?;
        let line = self.link(&record, now);
        self.tip.unsealed = 0;
        self.tip.key = next.unwrap_or(self.tip.key);
        Ok(line)
    }

    fn append(&mut self, record: Record<'_>, now: Timestamp) -> Line {
        let writer = Arc::clone(&self.writer.0);
        let record = self.stamp(record, &writer, now);
        self.link(&record, now)
    }

    fn stamp<'a>(&self, record: Record<'a>, writer: &'a str, now: Timestamp) -> Record<'a> {
        let skew = self.tip.latest.since(now).as_millis();
        Record {
            seq: self.tip.seq.saturating_add(1),
            writer: Cow::Borrowed(writer),
            time: Cow::Owned(now.to_string()),
            skew_ms: u64::try_from(skew).ok().filter(|ms| *ms > 0),
            prev: Cow::Owned(hex(&self.tip.hash)),
            ..record
        }
    }

    fn link(&mut self, record: &Record<'_>, now: Timestamp) -> Line {
        let (line, hash) = record.finish(&self.tip.hash);
        self.tip = Tip { seq: record.seq, hash, unsealed: self.tip.unsealed.saturating_add(1), latest: now, key: self.tip.key };
        line
    }
}

fn permitted(permit: &Permit) -> Record<'_> {
    let (bound, call) = (permit.bound(), permit.call());
    let caller = bound.caller();
    let mut record = Record::new(Kind::Intent).ruled(permit.rules().iter().map(crate::id::RuleId::as_str));
    record.user = Some(user(caller.user()));
    record.client = Some(whole_or_digest(caller.client().as_str()));
    record.via = caller.via().iter().map(|client| whole_or_digest(client.as_str())).collect();
    record.agent = caller.agent().map(|agent| cap(agent.as_str()));
    record.level = Some(Cow::Borrowed(caller.level().as_str()));
    record.credential = Some(cap(caller.credential().as_str()));
    record.proof = caller.bound().map(|_| Cow::Borrowed("dpop"));
    record.session = bound.session().map(|stored| session(&stored.digest));
    record.server = Some(cap(bound.server().as_str()));
    record.era = Some(Cow::Borrowed(bound.era().version().as_str()));
    record.method = Some(Cow::Borrowed(call.method().as_str()));
    record.name = call.target().map(named);
    record.decision = Some(Cow::Borrowed("permit"));
    record
}

/// A name for a session that leads to nothing: the digest of what the store finds it by, in part.
fn session(digest: &[u8; 32]) -> Cow<'static, str> {
    let mut short = hex(&sha256(digest));
    short.truncate(16);
    Cow::Owned(short)
}

fn user(user: &UserId) -> User<'_> {
    User { iss: cap(user.issuer()), sub: cap(user.subject()) }
}
