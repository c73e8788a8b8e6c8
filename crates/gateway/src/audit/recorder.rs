//! The recorder: every witness that it hands out stands in the file first (I2).
//!
//! A record is one write(2) on the caller's thread, under one lock. With [`Durability::Fsync`] the caller then waits
//! until one thread has synced past its record; all who wait share that sync. After a failed write the chain and the
//! file are as before, and the next write may succeed. After a failed sync nobody knows what the disk holds: the file
//! is not written again. A disk that does not answer costs the one who writes their thread; all others are refused in
//! time, and nothing has an effect until it answers (AUD-02).

use super::desk::{Desk, continued};
use super::medium;
use super::place::{self, Findings};
pub use super::unrecorded::{Cause, Unrecorded};
use doorward_core::audit::chain::{Chain, Digests, WriterId};
use doorward_core::audit::checkpoint::{PublicKey, SealError, Signer};
use doorward_core::audit::event::{Head, Line};
use doorward_core::audit::intent::{Intent, Ongoing, OpenIntent, Receipt};
use doorward_core::audit::outcome::{Notice, Outcome};
use doorward_core::audit::purge::Claims;
use doorward_core::audit::recovery::Found;
use doorward_core::audit::verify::FirstBad;
use doorward_core::blame::Refusal;
use doorward_core::credential::Principal;
use doorward_core::id::CorrelationId;
use doorward_core::policy::permit::Permit;
use doorward_core::time::Timestamp;
use std::io::{self, BufReader, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

/// Pause between two looks at whether a proof has ended, or a turn goes on.
const LOOK: Duration = Duration::from_millis(200);
/// Outcomes that could not be written are remembered up to this number; the rest is found at the next start.
const MAX_LEFT_OVER: usize = 65_536;

/// So long somebody waits for their turn to write, on a thread of the runtime.
const TURN: Duration = Duration::from_secs(1);
/// So long somebody waits until the disk has confirmed their record.
const CONFIRMED: Duration = Duration::from_secs(5);

/// When a record counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The kernel has it: safe when the process dies.
    Write,
    /// The disk has it: safe when the power fails.
    Fsync,
}

/// How to keep the record.
#[derive(Debug)]
pub struct Options {
    /// The file.
    pub path: PathBuf,
    /// When a record counts as written.
    pub durability: Durability,
    /// After how many records a seal follows by itself.
    pub seal_every: u64,
    /// Names a new chain; an existing file keeps its name.
    pub writer: WriterId,
    /// What is kept of arguments and replies.
    pub digests: Digests,
}

/// Writes the record of this process. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
}

/// Why a recorder did not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be opened or written.
    #[error("the record file: {0}")]
    Io(#[from] io::Error),
    /// Another process writes it.
    #[error("the record file is in use by another process")]
    Locked,
    /// It, or the state directory, belongs to somebody else: what is made beside it would not.
    #[error("it belongs to uid {0}")]
    NotOurs(u32),
    /// It was damaged or altered.
    #[error("the record file must not be continued: {0}. Keep it as evidence and start with another file")]
    Bad(#[from] FirstBad),
    /// It goes on with another key.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// There is no key to sign with.
    #[error("there is no key to sign the record with")]
    NoKey,
    /// The first records could not be written.
    #[error(transparent)]
    Unrecorded(#[from] Unrecorded),
}

struct Shared {
    /// The lock itself is never held over a write, so that waiting for the desk can end.
    desk: Mutex<Slot>,
    free: Condvar,
    /// Not at the desk, which may be out of reach.
    owed: Mutex<Vec<OpenIntent>>,
    durability: Durability,
    failing: AtomicBool,
    /// Somebody waited in vain for whoever writes now.
    stuck: AtomicBool,
    /// Whoever wrote panicked.
    broken: AtomicBool,
    /// The last record that was not confirmed in time.
    late: AtomicU64,
    written: Arc<AtomicU64>,
    synced: watch::Receiver<Synced>,
    syncer: Option<Syncer>,
    findings: Arc<Findings>,
    proof: Option<JoinHandle<()>>,
    /// Tells the thread that watches turns when this is over.
    _alive: Sender<()>,
}

/// Where the desk stands between two turns.
struct Slot {
    /// Nothing while somebody writes.
    desk: Option<Box<Desk>>,
    /// How many wait for it: a wake-up that nobody waits for would be a system call all the same.
    waiting: usize,
}

/// Somebody's turn at the desk. It is put back when the turn ends.
struct Turn<'a> {
    shared: &'a Shared,
    desk: Option<Box<Desk>>,
}

/// The thread that syncs, and how to ask it.
struct Syncer {
    wake: SyncSender<()>,
    thread: JoinHandle<()>,
}

/// How far the disk has confirmed.
#[derive(Debug, Clone, Copy)]
struct Synced {
    up_to: u64,
    failed: bool,
}

// === impl Recorder ===

impl Recorder {
    /// Opens the file, locks it, picks up what an earlier run left behind and settles its open intents as unknown.
    ///
    /// # Errors
    /// [`OpenError`]; nothing may be served then.
    pub fn open(options: Options, signer: Signer, now: Timestamp) -> Result<Self, OpenError> {
        Self::open_with(options, vec![signer], now)
    }

    /// As [`Recorder::open`], with the one of `signers` that the record names; the first begins a new record.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open_with(options: Options, signers: Vec<Signer>, now: Timestamp) -> Result<Self, OpenError> {
        let place = place::beside(&options.path);
        let keys: Vec<PublicKey> = signers.iter().map(Signer::public).collect();
        let mut bookmark = place::read(&place, &keys);
        let missing = if options.path.symlink_metadata().is_err() { bookmark.take() } else { None };
        if bookmark.is_none() {
            // Of another record, or of one that is gone: it must not be held against the one that begins now.
            place::remove(&place)?;
        }
        let file = medium::open(&options.path).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => OpenError::Locked,
            _ => OpenError::Io(error),
        })?;
        let syncing = file.try_clone()?;
        let found = match &bookmark {
            Some(bookmark) => {
                (&file).seek(SeekFrom::Start(bookmark.from()))?;
                Found::Chain(Box::new(bookmark.resume(BufReader::new(&file), options.digests)?))
            }
            None => {
                let claims = Claims::read(BufReader::with_capacity(1 << 18, &file))?;
                (&file).rewind()?;
                Chain::resume_with(BufReader::new(&file), &claims, options.digests)?
            }
        };
        let desk = match found {
            Found::Nothing { digests, .. } => {
                file.set_len(0)?;
                let signer = signers.into_iter().next().ok_or(OpenError::NoKey)?;
                let (chain, line) = Chain::begin(options.writer, digests, &signer, now)?;
                let mut desk = Desk::new(chain, signer, Box::new(file), 0, options.seal_every);
                desk.put(&line)?;
                if let Some(missing) = missing {
                    let cause = format!("a record of {} lines was here", missing.seq());
                    desk.record(|chain| {
                        ((), chain.event(&Notice { reason: "record_missing", cause: Some(&cause), ..Notice::default() }, now))
                    })?;
                }
                desk
            }
            Found::Chain(found) => continued(*found, signers, file, options.seal_every, now)?,
        };
        syncing.sync_data()?;
        let findings = Arc::new(Findings::default());
        let proof = bookmark.map(|bookmark| place::prove(&options.path, bookmark, &findings)).transpose()?;
        let (newest, found) = (Arc::clone(&desk.bookmark), Arc::clone(&findings));
        // Behind the confirmation: nobody waits for it.
        let keep = move |up_to| {
            if let Some(newest) = place::confirmed(&newest, up_to) {
                place::keep(&place, &newest, &found);
            }
        };
        let recorder = Self::start_with(desk, options.durability, move || syncing.sync_data(), keep, (findings, proof))?;
        // The seals of this start.
        recorder.shared.announce(recorder.head().map_or(0, |head| head.seq), true);
        Ok(recorder)
    }

    /// Puts a desk to work, with a thread of its own for `sync`.
    #[cfg(test)]
    pub(super) fn start(desk: Desk, durability: Durability, sync: impl FnMut() -> io::Result<()> + Send + 'static) -> io::Result<Self> {
        Self::start_with(desk, durability, sync, |_| {}, (Arc::default(), None))
    }

    /// Puts a desk to work, with a thread of its own for `sync`, and for `keep` after each with the record that the disk has.
    fn start_with(
        desk: Desk,
        durability: Durability,
        sync: impl FnMut() -> io::Result<()> + Send + 'static,
        keep: impl FnMut(u64) + Send + 'static,
        (findings, proof): (Arc<Findings>, Option<JoinHandle<()>>),
    ) -> io::Result<Self> {
        let seq = desk.chain.head().seq;
        let written = Arc::new(AtomicU64::new(seq));
        let (announce, synced) = watch::channel(Synced { up_to: seq, failed: false });
        let (wake, asked) = sync_channel(1);
        let (alive, ended) = channel();
        let counter = Arc::clone(&written);
        let thread =
            std::thread::Builder::new().name("audit-sync".into()).spawn(move || keep_synced(&asked, &counter, &announce, sync, keep))?;
        let shared = Shared {
            desk: Mutex::new(Slot { desk: Some(Box::new(desk)), waiting: 0 }),
            free: Condvar::new(),
            owed: Mutex::default(),
            durability,
            failing: AtomicBool::new(false),
            stuck: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            late: AtomicU64::new(0),
            written,
            synced,
            syncer: Some(Syncer { wake, thread }),
            findings,
            proof,
            _alive: alive,
        };
        let shared = Arc::new(shared);
        watch_turns(&shared, ended)?;
        Ok(Self { shared })
    }

    /// Records that a permitted call is about to have its effect as `principal`.
    ///
    /// # Errors
    /// [`Unrecorded`]: there must be no effect.
    pub async fn intend(&self, permit: Permit, principal: &Principal, id: CorrelationId, now: Timestamp) -> Result<Intent, Unrecorded> {
        self.shared.answers()?;
        let (intent, seq) = self.shared.write(None, now, |chain| chain.intend(permit, principal, id, now))?;
        let durable = self.shared.durable(seq).await;
        durable.inspect_err(|_| self.shared.owe(intent.open())).map(|()| intent)
    }

    /// Records what became of an intent. If that fails it is recorded as unknown as soon as writing works again.
    ///
    /// # Errors
    /// [`Unrecorded`]: the reply must not leave.
    pub async fn settle(&self, intent: Intent, outcome: &Outcome, now: Timestamp) -> Result<Receipt, Unrecorded> {
        let (receipt, seq) = self.shared.write(Some(intent.open()), now, |chain| chain.settle(intent, outcome, now))?;
        self.shared.durable(seq).await.map(|()| receipt)
    }

    /// Records that the answer becomes a stream.
    ///
    /// # Errors
    /// [`Unrecorded`]: the stream must not begin.
    pub async fn opened(&self, intent: Intent, outcome: &Outcome, now: Timestamp) -> Result<(Receipt, Ongoing), Unrecorded> {
        let (witnesses, seq) = self.shared.write(Some(intent.open()), now, |chain| {
            let (receipt, ongoing, line) = chain.opened(intent, outcome, now);
            ((receipt, ongoing), line)
        })?;
        let durable = self.shared.durable(seq).await;
        durable.inspect_err(|_| self.shared.owe(witnesses.1.intent().open())).map(|()| witnesses)
    }

    /// Records how a stream ended.
    ///
    /// # Errors
    /// [`Unrecorded`]; it will be recorded as unknown.
    pub async fn closed(&self, ongoing: Ongoing, outcome: &Outcome, now: Timestamp) -> Result<Receipt, Unrecorded> {
        let open = ongoing.intent().open();
        let (receipt, seq) = self.shared.write(Some(open), now, |chain| chain.closed(ongoing, outcome, now))?;
        self.shared.durable(seq).await.map(|()| receipt)
    }

    /// Records an attempt that was refused before it became an intent.
    ///
    /// # Errors
    /// [`Unrecorded`]: the refusal must not leave either; send [`Unrecorded::response`].
    pub async fn refused(&self, refusal: &Refusal, id: CorrelationId, now: Timestamp) -> Result<Receipt, Unrecorded> {
        self.shared.answers()?;
        let (receipt, seq) = self.shared.write(None, now, |chain| chain.refused(refusal, id, now))?;
        self.shared.durable(seq).await.map(|()| receipt)
    }

    /// Records something that is not a call.
    ///
    /// # Errors
    /// [`Unrecorded`].
    pub async fn event(&self, notice: &Notice<'_>, now: Timestamp) -> Result<(), Unrecorded> {
        self.shared.answers()?;
        let ((), seq) = self.shared.write(None, now, |chain| ((), chain.event(notice, now)))?;
        self.shared.durable(seq).await
    }

    /// Signs everything so far and gives the head to be kept elsewhere. Also the last act before the process ends.
    ///
    /// # Errors
    /// [`Unrecorded`].
    pub async fn checkpoint(&self, now: Timestamp) -> Result<Head, Unrecorded> {
        let head = self.shared.with(|desk| desk.seal(now).map(|()| desk.chain.head()))?;
        self.shared.announce(head.seq, true);
        self.shared.durable(head.seq).await.map(|()| head)
    }

    /// Hands over to the key `next`, which must already be kept where the next start finds it. Waits until the past is proven:
    /// the new key does not vouch for what nobody has looked at.
    ///
    /// # Errors
    /// [`Unrecorded`]; which key goes on is what the record says.
    pub async fn rotate(&self, next: Signer, now: Timestamp) -> Result<(), Unrecorded> {
        while self.shared.proof.as_ref().is_some_and(|proof| !proof.is_finished()) {
            tokio::time::sleep(LOOK).await;
        }
        let seq = self.shared.with(|desk| desk.rotate(next, now).map(|()| desk.chain.head().seq))?;
        self.shared.announce(seq, true);
        self.shared.durable(seq).await
    }

    /// From here on records name this version of the policy.
    pub fn set_policy(&self, version: Option<Arc<str>>) {
        self.shared.turn(|desk| desk.chain.set_policy(version)).ok();
    }

    /// True unless the last write failed or a sync ever did.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.fault().is_none()
    }

    /// Why it is not healthy.
    #[must_use]
    pub fn fault(&self) -> Option<Cause> {
        if self.shared.broken.load(Ordering::Relaxed) {
            Some(Cause::Broken)
        } else if self.shared.synced.borrow().failed {
            Some(Cause::Sync)
        } else if self.shared.findings.altered.load(Ordering::Relaxed) {
            Some(Cause::Altered)
        } else if self.shared.stuck.load(Ordering::Relaxed) || self.shared.answers().is_err() {
            Some(Cause::Stuck)
        } else {
            self.shared.failing.load(Ordering::Relaxed).then_some(Cause::Write)
        }
    }

    /// The last record that was written.
    #[must_use]
    pub fn head(&self) -> Option<Head> {
        self.shared.turn(|desk| desk.chain.head()).ok()
    }

    /// The public key that proves the seals.
    #[must_use]
    pub fn public_key(&self) -> Option<PublicKey> {
        self.shared.turn(|desk| desk.chain.key()).ok()
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("durability", &self.shared.durability).field("fault", &self.fault()).finish_non_exhaustive()
    }
}

/// Wakes a worker of the runtime now and then while a turn goes on for long.
///
/// A write that hangs holds its worker, and that may be the one that listens for all: nobody else takes its place by
/// themselves, and even a request that needs no record would wait for the disk.
fn watch_turns(shared: &Arc<Shared>, ended: Receiver<()>) -> io::Result<()> {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return Ok(()) };
    let shared = Arc::downgrade(shared);
    std::thread::Builder::new().name("audit-watch".into()).spawn(move || {
        while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
            let Some(shared) = shared.upgrade() else { return };
            let is_out = shared.desk.try_lock().is_ok_and(|slot| slot.desk.is_none());
            drop(shared);
            if is_out {
                drop(runtime.spawn(async {}));
            }
        }
    })?;
    Ok(())
}

/// Syncs whenever asked, for everybody who wrote before. Ends with the recorder, or with the first failure.
fn keep_synced(
    asked: &Receiver<()>,
    written: &AtomicU64,
    announce: &watch::Sender<Synced>,
    mut sync: impl FnMut() -> io::Result<()>,
    mut keep: impl FnMut(u64),
) {
    while asked.recv().is_ok() {
        let up_to = written.load(Ordering::Acquire);
        if let Err(error) = sync() {
            tracing::error!(%error, "the record could not be synced; nothing more is served");
            announce.send_modify(|synced| synced.failed = true);
            return;
        }
        announce.send_modify(|synced| synced.up_to = up_to);
        keep(up_to);
    }
}

// === impl Shared ===

impl Shared {
    /// Writes one record; `owed` is the intent that stays open should that fail.
    fn write<T>(
        &self,
        owed: Option<OpenIntent>,
        now: Timestamp,
        make: impl FnOnce(&mut Chain) -> (T, Line),
    ) -> Result<(T, u64), Unrecorded> {
        let result = self.with(|desk| {
            let made = desk.record(make)?;
            let seq = desk.chain.head().seq;
            desk.left_over.append(&mut self.owed.lock().unwrap_or_else(PoisonError::into_inner));
            // The record stands; what is owed besides it can wait for the next one.
            let sealed = desk.settle_left_over(now).and_then(|()| desk.seal_if_due(now)).unwrap_or(false);
            Ok((made, seq, desk.chain.head().seq, sealed))
        });
        if let (Err(_), Some(open)) = (&result, owed) {
            self.owe(open);
        }
        result.map(|(made, seq, last, sealed)| {
            self.announce(last, sealed);
            (made, seq)
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Desk) -> Result<T, Unrecorded>) -> Result<T, Unrecorded> {
        if self.synced.borrow().failed {
            return Err(Unrecorded(Cause::Sync));
        }
        if self.findings.altered.load(Ordering::Relaxed) {
            return Err(Unrecorded(Cause::Altered));
        }
        self.turn(|desk| {
            let result = act(desk);
            self.failing.store(result.is_err(), Ordering::Relaxed);
            if result.is_ok() {
                self.written.fetch_max(desk.chain.head().seq, Ordering::Release);
            }
            result
        })?
    }

    /// Waits for the desk, not for ever: a thread that waits here does nothing else.
    fn turn<T>(&self, act: impl FnOnce(&mut Desk) -> T) -> Result<T, Unrecorded> {
        let broken = Unrecorded(Cause::Broken);
        let mut slot = self.desk.lock().map_err(|_| broken)?;
        if slot.desk.is_none() && !self.stuck.load(Ordering::Relaxed) {
            let is_taken = |slot: &mut Slot| slot.desk.is_none() && !self.broken.load(Ordering::Relaxed);
            slot.waiting += 1;
            slot = self.free.wait_timeout_while(slot, TURN, is_taken).map_err(|_| broken)?.0;
            slot.waiting -= 1;
        }
        let Some(desk) = slot.desk.take() else {
            self.stuck.store(true, Ordering::Relaxed);
            return Err(Unrecorded(if self.broken.load(Ordering::Relaxed) { Cause::Broken } else { Cause::Stuck }));
        };
        drop(slot);
        let mut turn = Turn { shared: self, desk: Some(desk) };
        turn.desk.as_deref_mut().map(act).ok_or(broken)
    }

    /// What is open although nobody will settle it any more becomes unknown with the next record.
    fn owe(&self, open: OpenIntent) {
        let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        if owed.len() < MAX_LEFT_OVER {
            owed.push(open);
        }
    }

    /// Refuses what is new while a confirmation is overdue, so that nobody has to wait for the next one.
    fn answers(&self) -> Result<(), Unrecorded> {
        let is_in_time = self.late.load(Ordering::Relaxed) <= self.synced.borrow().up_to;
        is_in_time.then_some(()).ok_or(Unrecorded(Cause::Stuck))
    }

    /// Asks for a sync where somebody waits for it, and after every seal.
    fn announce(&self, seq: u64, sealed: bool) {
        tracing::trace!(seq, sealed, "recorded");
        if sealed || self.durability == Durability::Fsync {
            // Full means that a sync is due anyway, and it will read the counter afterwards.
            if let Some(syncer) = &self.syncer {
                syncer.wake.try_send(()).ok();
            }
        }
    }

    async fn durable(&self, seq: u64) -> Result<(), Unrecorded> {
        if self.durability == Durability::Write {
            return Ok(());
        }
        let mut synced = self.synced.clone();
        match tokio::time::timeout(CONFIRMED, synced.wait_for(|synced| synced.failed || synced.up_to >= seq)).await {
            Ok(Ok(synced)) if synced.up_to >= seq => Ok(()),
            Ok(_) => Err(Unrecorded(Cause::Sync)),
            Err(_) => {
                self.late.fetch_max(seq, Ordering::Relaxed);
                Err(Unrecorded(Cause::Stuck))
            }
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut slot = self.shared.desk.lock().unwrap_or_else(PoisonError::into_inner);
        // After a panic nobody knows what stands in the file: the desk is not used again.
        slot.desk = self.desk.take().filter(|_| !std::thread::panicking());
        self.shared.broken.store(slot.desk.is_none(), Ordering::Relaxed);
        self.shared.stuck.store(false, Ordering::Relaxed);
        if slot.waiting > 0 {
            self.shared.free.notify_one();
        }
    }
}

/// Waits for a sync that is under way, so that the file and its lock are free afterwards.
impl Drop for Shared {
    fn drop(&mut self) {
        self.findings.given_up.store(true, Ordering::Relaxed);
        if let Some(proof) = self.proof.take() {
            proof.join().ok();
        }
        if let Some(Syncer { wake, thread }) = self.syncer.take() {
            drop(wake);
            thread.join().ok();
        }
    }
}
