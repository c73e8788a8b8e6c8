//! The desk at which the record is written: the chain, its key and the file, one line after the other. Whoever sits here is
//! alone; the recorder sees to that.

use super::medium::Medium;
use super::recorder::{Cause, OpenError, Unrecorded};
use doorward_core::audit::bookmark::Bookmark;
use doorward_core::audit::chain::Chain;
use doorward_core::audit::checkpoint::{SealError, Signer};
use doorward_core::audit::event::{Line, Owes};
use doorward_core::audit::intent::OpenIntent;
use doorward_core::audit::outcome::Notice;
use doorward_core::audit::purge::Purgeable;
use doorward_core::audit::recovery::Resumed;
use doorward_core::id::CorrelationId;
use doorward_core::time::Timestamp;
use std::collections::BTreeMap;
use std::fs::File;
use std::sync::{Arc, Mutex};

/// The chain, its key and its file.
pub(super) struct Desk {
    pub(super) chain: Chain,
    signer: Signer,
    medium: Box<dyn Medium>,
    length: u64,
    /// A failed write left bytes behind that could not be cut yet.
    ragged: bool,
    seal_every: u64,
    pub(super) left_over: Vec<OpenIntent>,
    /// Intents without an outcome.
    open: BTreeMap<u64, CorrelationId>,
    /// The newest bookmark, for the thread that syncs: it is kept only after what it speaks of.
    pub(super) bookmark: Arc<Mutex<Option<Marked>>>,
}

/// A desk that goes on behind what an earlier run left, with its open intents settled as unknown.
pub(super) fn continued(found: Resumed, signers: Vec<Signer>, file: File, seal_every: u64, now: Timestamp) -> Result<Desk, OpenError> {
    let chain = found.chain.key();
    let offered = signers.first().map(Signer::public).ok_or(OpenError::NoKey)?;
    let named = signers.into_iter().find(|signer| signer.public() == chain);
    let signer = named.ok_or(SealError::OtherKey { chain, signer: offered })?;
    file.set_len(found.good)?;
    let mut desk = Desk::new(found.chain, signer, Box::new(file), found.good, seal_every);
    let cause = format!("{} open intents, {} bytes of a torn line cut", found.open.len(), found.torn);
    desk.record(|chain| ((), chain.event(&Notice { reason: "record_resumed", cause: Some(&cause), ..Notice::default() }, now)))?;
    for open in &found.open {
        desk.record(|chain| ((), chain.settle_unknown(open, "writer_ended", now)))?;
    }
    desk.seal(now)?;
    Ok(desk)
}

/// A bookmark that is not kept yet.
#[derive(Debug)]
pub(super) struct Marked {
    /// The seal at which it stands.
    pub(super) seq: u64,
    pub(super) text: Vec<u8>,
}

// === impl Desk ===

impl Desk {
    pub(super) fn new(chain: Chain, signer: Signer, medium: Box<dyn Medium>, length: u64, seal_every: u64) -> Self {
        let (left_over, open, bookmark) = (Vec::new(), BTreeMap::new(), Arc::default());
        Self { chain, signer, medium, length, ragged: false, seal_every, left_over, open, bookmark }
    }

    /// All of the line, or nothing of it.
    pub(super) fn put(&mut self, line: &Line) -> Result<(), Unrecorded> {
        let bytes = line.bytes();
        if bytes.is_empty() || (self.ragged && self.medium.cut(self.length).is_err()) {
            return Err(Unrecorded(Cause::Write));
        }
        self.ragged = false;
        let taken = self.medium.append(bytes);
        if matches!(taken, Ok(n) if n == bytes.len()) {
            self.length = self.length.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            match line.owes() {
                Owes::Nothing => {}
                Owes::Outcome(id) => drop(self.open.insert(line.seq(), id)),
                Owes::NoMore(seq) => drop(self.open.remove(&seq)),
            }
            return Ok(());
        }
        self.ragged = self.medium.cut(self.length).is_err();
        tracing::error!(error = ?taken.err(), "the record took no line");
        Err(Unrecorded(Cause::Write))
    }

    /// The witness is handed on only if its line stands in the file; otherwise the chain is as before.
    pub(super) fn record<T>(&mut self, make: impl FnOnce(&mut Chain) -> (T, Line)) -> Result<T, Unrecorded> {
        let tip = self.chain.tip();
        let (made, line) = make(&mut self.chain);
        self.put(&line).map(|()| made).inspect_err(|_| self.chain.roll_back(tip))
    }

    pub(super) fn settle_left_over(&mut self, now: Timestamp) -> Result<(), Unrecorded> {
        while let Some(open) = self.left_over.pop() {
            if let Err(error) = self.record(|chain| ((), chain.settle_unknown(&open, "outcome_not_recorded", now))) {
                self.left_over.push(open);
                return Err(error);
            }
        }
        Ok(())
    }

    pub(super) fn seal_if_due(&mut self, now: Timestamp) -> Result<bool, Unrecorded> {
        let due = self.chain.unsealed() >= self.seal_every;
        if due {
            self.seal(now)?;
        }
        Ok(due)
    }

    pub(super) fn seal(&mut self, now: Timestamp) -> Result<(), Unrecorded> {
        let tip = self.chain.tip();
        let line = self.chain.checkpoint(&self.signer, now).map_err(|_| Unrecorded(Cause::Seal))?;
        let from = self.length;
        self.put(&line).inspect_err(|_| self.chain.roll_back(tip))?;
        self.mark(from);
        Ok(())
    }

    /// Puts a bookmark at the seal that was just written from byte `from` on.
    fn mark(&self, from: u64) {
        match Bookmark::at(&self.chain, from, &self.open).sign(&self.signer) {
            Ok(text) => {
                if let Ok(mut newest) = self.bookmark.lock() {
                    *newest = Some(Marked { seq: self.chain.head().seq, text });
                }
            }
            Err(error) => tracing::warn!(%error, "no bookmark of the record; the next start reads more of it"),
        }
    }

    /// Writes the tombstone of a stretch.
    pub(super) fn bury(&mut self, stretch: Purgeable, by: &str, why: &str, now: Timestamp) -> Result<(), Unrecorded> {
        let tip = self.chain.tip();
        let line = self.chain.bury(stretch, by, why, &self.signer, now).map_err(|_| Unrecorded(Cause::Seal))?;
        self.put(&line).inspect_err(|_| self.chain.roll_back(tip))
    }

    pub(super) fn rotate(&mut self, next: Signer, now: Timestamp) -> Result<(), Unrecorded> {
        let tip = self.chain.tip();
        let line = self.chain.rotate(&self.signer, &next, now).map_err(|_| Unrecorded(Cause::Seal))?;
        let from = self.length;
        self.put(&line).inspect_err(|_| self.chain.roll_back(tip))?;
        self.signer = next;
        self.mark(from);
        Ok(())
    }
}
