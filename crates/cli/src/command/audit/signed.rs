//! Exports that can be handed to somebody: written to a file, with a signature of the record's key beside it (AUD-06).

use super::Location;
use super::export::Format;
use crate::args::Global;
use crate::console::{Console, Form, Sign, counted};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::{settings, state};
use doorward_core::audit::checkpoint::{PublicKey, Signer};
use doorward_core::audit::event::{Head, Record};
use doorward_core::audit::export::{Contents, Export, Sum};
use doorward_core::audit::purge::Claims;
use doorward_core::audit::verify::{FirstBad, along, verify_with};
use doorward_gateway::audit::key;
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read as _, Seek as _, Write as _};
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// An export that is being written.
pub(super) struct Sink {
    path: PathBuf,
    file: BufWriter<File>,
    sum: Sum,
    records: u64,
    range: (u64, u64),
    /// What signs it, and the head of the chain that was proven before, where it is signed.
    seal: Option<(Signer, Head)>,
}

/// A record that was proven, still the same open file: what takes its name meanwhile is not exported. Only [`prove`] makes one.
#[derive(Debug)]
pub(super) struct Proven {
    path: PathBuf,
    file: File,
    claims: Claims,
    key: PublicKey,
    head: Head,
}

/// The largest signature file that is read.
const LARGEST: u64 = 16 << 10;

impl Sink {
    /// A new file for its owner alone; one that is there is not overwritten.
    ///
    /// # Errors
    /// [`Failure`] if it cannot be made.
    pub(super) fn create(path: &Path, seal: Option<(Signer, Head)>) -> Result<Self, Failure> {
        let file = create(path)?;
        let (sum, file) = (Sum::new(), BufWriter::with_capacity(1 << 18, file));
        Ok(Self { path: path.to_owned(), file, sum, records: 0, range: (0, 0), seal })
    }

    /// Adds text; `seq` is that of the record that it is.
    ///
    /// # Errors
    /// [`Failure`] if the disk takes nothing.
    pub(super) fn put(&mut self, text: &str, seq: Option<u64>) -> Result<(), Failure> {
        self.file.write_all(text.as_bytes()).map_err(|error| unwritable(&self.path, &error))?;
        self.sum.add(text.as_bytes());
        if let Some(seq) = seq {
            self.records = self.records.saturating_add(1);
            self.range = (if self.range.0 == 0 { seq } else { self.range.0 }, seq);
        }
        Ok(())
    }

    /// Finishes the file, and the signature beside it.
    ///
    /// # Errors
    /// [`Failure`]; the file is then not signed.
    pub(super) fn finish(mut self, format: Format, made: &str) -> Result<(), Failure> {
        let ended = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        ended.map_err(|error| unwritable(&self.path, &error))?;
        let Some((signer, head)) = self.seal else { return Ok(()) };
        let format = if format == Format::Csv { "csv" } else { "jsonl" };
        let (sha256, bytes) = self.sum.end();
        let contents = Contents { sha256: &sha256, bytes, format, records: self.records, range: self.range, head, made };
        let text = Export::sign(&contents, &signer).map_err(|error| {
            Failure::new(Exit::Internal, "audit.signature", "the export could not be signed", "try again").because(error)
        })?;
        let path = beside(&self.path);
        let mut file = create(&path)?;
        file.write_all(&text).and_then(|()| file.sync_all()).map_err(|error| unwritable(&path, &error))
    }
}

/// Proves the record, so that nothing is signed that was altered, and gives it with the key that signs.
///
/// # Errors
/// [`Failure`], exit 6 for a record that is not what was written.
pub(super) fn prove(location: &Location, global: &Global) -> Result<(Proven, Signer), Failure> {
    let directory = state::directory(global)?;
    let no_key = |error: key::KeyError| {
        Failure::new(Exit::Unreachable, "audit.no_key", "the signing key of the record cannot be used", "see doorward doctor")
            .because(error)
    };
    let signer = key::load_all(&directory).map_err(no_key)?.into_iter().next();
    let signer = signer.ok_or_else(|| Failure::new(Exit::Unreachable, "audit.no_key", "there is no signing key", "see doorward doctor"))?;
    let (path, file) = location.open(global)?;
    Ok((Proven::new(path, file, signer.public())?, signer))
}

impl Proven {
    fn new(path: PathBuf, mut file: File, key: PublicKey) -> Result<Self, Failure> {
        let claims = claims(&mut file, &path)?;
        let found = verify_with(BufReader::with_capacity(1 << 18, &mut file), &claims, &key, None);
        let head = found.map_err(|bad| altered(&path, bad))?.head;
        Ok(Self { path, file, claims, key, head })
    }

    /// The last record of what was proven.
    pub(super) const fn head(&self) -> Head {
        self.head
    }

    /// Hands every record up to that head with its line to `each`, checked once more along the chain.
    ///
    /// # Errors
    /// [`Failure`], exit 6 if it is not what was proven any more: nothing may be signed then.
    pub(super) fn each(mut self, each: impl FnMut(Record<'static>, &[u8]) -> ControlFlow<()>) -> Result<(), Failure> {
        self.file.rewind().map_err(|error| unreadable(&self.path, &error))?;
        let reader = BufReader::with_capacity(1 << 18, &mut self.file);
        along(reader, &self.claims, &self.key, &self.head, each).map_err(|bad| altered(&self.path, bad))
    }
}

fn altered(path: &Path, bad: FirstBad) -> Failure {
    let message = format!("the record {} is not what was written: it is not exported under a signature", path.display());
    Failure::new(Exit::Integrity, "audit.altered", message, "doorward audit verify says more").because(bad)
}

/// The tombstones of a record, which stands at its beginning again afterwards.
pub(super) fn claims(file: &mut File, path: &Path) -> Result<Claims, Failure> {
    let read = Claims::read(BufReader::with_capacity(1 << 18, &mut *file)).and_then(|claims| file.rewind().map(|()| claims));
    read.map_err(|error| {
        let message = format!("the record {} cannot be read to its end", path.display());
        Failure::new(Exit::Unreachable, "audit.unreadable", message, "check the disk, then try again").because(settings::reason(&error))
    })
}

/// Checks an export against the signature beside it.
///
/// # Errors
/// [`Failure`] if one of the two cannot be read. An export that is not what was signed is reported here and ends with exit 6.
pub(super) fn check(path: &Path, key: &PublicKey, console: &mut Console) -> Result<Exit, Failure> {
    let (sha256, bytes) = summed(path).map_err(|error| unreadable(path, &error))?;
    let beside = beside(path);
    let mut text = Vec::new();
    let read = File::open(&beside).and_then(|file| file.take(LARGEST).read_to_end(&mut text));
    read.map_err(|error| unreadable(&beside, &error))?;
    let signed = Export::read(&text, key);
    let good = signed.as_ref().is_some_and(|export| export.fits(&sha256, bytes));
    let why = match (&signed, good) {
        (None, _) => "the signature was not made by this key, or was altered",
        (Some(_), false) => "the file is not what was signed",
        (Some(_), true) => "",
    };
    if console.form() == Form::Json {
        let export = signed.as_ref().map(|export| {
            json!({"records": export.records, "first": export.first, "last": export.last, "format": export.format, "head": export.head,
                "made": export.made, "key": export.key})
        });
        let file = path.display().to_string();
        let document = if good {
            json!({"ok": true, "file": file, "export": export})
        } else {
            let error = json!({"id": "audit.export", "message": why, "help": ADVICE});
            json!({"ok": false, "exit": Exit::Integrity.code(), "file": file, "export": export, "errors": [error]})
        };
        console.document(super::super::config::object(document));
        return Ok(if good { Exit::Fine } else { Exit::Integrity });
    }
    let Some(export) = signed.filter(|_| good) else {
        let sign = console.sign(Sign::Bad);
        console.fail(format_args!("{sign} {}: {why}", path.display()));
        console.fail(format_args!("  help: {ADVICE}"));
        return Ok(Exit::Integrity);
    };
    let sign = console.sign(Sign::Good);
    let (records, made) = (counted(export.records, "record"), crate::console::inert(&export.made));
    console.line(format_args!("{sign} {records}, from {} to {}, signed by key {} at {made}", export.first, export.last, export.key));
    console.say(format_args!("  the record then ended at {}", crate::console::inert(&export.head)));
    Ok(Exit::Fine)
}

const ADVICE: &str = "name the key that signed it: --key KEY (doorward keys list); else it was altered on its way";

fn summed(path: &Path) -> io::Result<([u8; 32], u64)> {
    let mut file = File::open(path)?;
    let (mut sum, mut piece) = (Sum::new(), vec![0; 1 << 16]);
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok(sum.end());
        }
        sum.add(piece.get(..read).unwrap_or_default());
    }
}

/// Where the signature of an export lies.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

fn create(path: &Path) -> Result<File, Failure> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let help = "name a file that is not there yet, in a directory that you may write";
    let message = format!("{} cannot be written", path.display());
    Failure::new(Exit::Unreachable, "audit.unwritable", message, help).because(settings::reason(error))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let help = "an export is checked together with the file .sig beside it";
    let message = format!("{} cannot be read", path.display());
    Failure::new(Exit::Unreachable, "audit.unreadable", message, help).because(settings::reason(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_core::audit::chain::{Digests, WriterId};
    use doorward_core::audit::outcome::Notice;
    use doorward_core::time::Timestamp;
    use doorward_gateway::audit::recorder::{Durability, Options, Recorder};
    use std::fs;
    use std::os::unix::fs::DirBuilderExt as _;

    const NOW: Timestamp = Timestamp::from_millis(1_795_496_611_007);

    struct Room(PathBuf);

    impl Room {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("doorward-signed-{name}-{}", std::process::id()));
            fs::DirBuilder::new().mode(0o700).create(&path).expect("a directory");
            Self(path)
        }

        fn open(&self) -> Recorder {
            let (path, writer) = (self.file(), WriterId::new("node-1").expect("id"));
            let options = Options { path, durability: Durability::Write, seal_every: 100, writer, digests: Digests::None };
            Recorder::open_with(options, key::load_all(&self.0).expect("keys"), NOW).expect("opened")
        }

        fn file(&self) -> PathBuf {
            self.0.join("audit.jsonl")
        }

        fn proven(&self) -> Proven {
            let key = key::load_all(&self.0).expect("keys")[0].public();
            Proven::new(self.file(), File::open(self.file()).expect("opened"), key).expect("whole")
        }
    }

    impl Drop for Room {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).ok();
        }
    }

    fn exported(proven: Proven) -> Result<String, Failure> {
        let mut out = String::new();
        let done = proven.each(|_, line| {
            out.push_str(std::str::from_utf8(line).expect("text"));
            out.push('\n');
            ControlFlow::Continue(())
        });
        done.map(|()| out)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn aud_06_what_changes_between_proof_and_export_is_not_signed() {
        let room = Room::new("between");
        let recorder = room.open();
        let tick = Notice { reason: "tick", ..Notice::default() };
        recorder.event(&tick, NOW).await.expect("recorded");
        recorder.checkpoint(NOW).await.expect("sealed");
        let whole = fs::read_to_string(room.file()).expect("read");
        // A gateway goes on writing: what is behind the proven head is not in the export.
        let proven = room.proven();
        let head = proven.head();
        recorder.event(&Notice { reason: "late", ..Notice::default() }, NOW).await.expect("recorded");
        assert_eq!(exported(proven).expect("exported"), whole);
        assert_eq!(Some(head.seq), u64::try_from(whole.lines().count()).ok());
        drop(recorder);
        // Another file takes the name: the one that was proven is exported.
        let (proven, longer) = (room.proven(), fs::read_to_string(room.file()).expect("read"));
        fs::write(room.0.join("other"), "{}\n").expect("written");
        fs::rename(room.0.join("other"), room.file()).expect("renamed");
        assert_eq!(exported(proven).expect("exported"), longer);
        // The file itself is altered.
        fs::write(room.file(), &longer).expect("written");
        let proven = room.proven();
        fs::write(room.file(), longer.replacen("tick", "tock", 1)).expect("written");
        let failure = exported(proven).expect_err("altered");
        assert!(failure.summary().contains("not what was written"), "{}", failure.summary());
    }
}
