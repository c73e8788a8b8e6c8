//! The bookmark beside the record file, and the thread that proves what lies before it.

use super::desk::Marked;
use super::medium::NO_FOLLOW;
use doorward_core::audit::bookmark::Bookmark;
use doorward_core::audit::checkpoint::PublicKey;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// The largest bookmark that is read: some 50,000 open intents.
const LARGEST: u64 = 4 << 20;

/// Where the bookmark of a record file lies.
pub(super) fn beside(record: &Path) -> PathBuf {
    with(record, ".bookmark")
}

fn with(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// There is no bookmark any more: the next start reads the whole file.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path).or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// The bookmark that one of these keys has signed, if there is one. Whatever else lies there does not count.
pub(super) fn read(path: &Path, keys: &[PublicKey]) -> Option<Bookmark> {
    let file = OpenOptions::new().read(true).custom_flags(NO_FOLLOW).open(path).ok()?;
    let mut text = Vec::new();
    file.take(LARGEST).read_to_end(&mut text).ok()?;
    Bookmark::read(&text, keys)
}

/// Replaces the bookmark. It need not reach the disk: the one before is as good.
pub(super) fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let draft = with(path, "-new");
    remove(&draft)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).custom_flags(NO_FOLLOW).open(&draft)?;
    file.write_all(text)?;
    fs::rename(&draft, path)
}

/// The newest bookmark, once the disk has the record up to it: one that was put while the disk was asked waits for the next time.
pub(super) fn confirmed(newest: &Mutex<Option<Marked>>, up_to: u64) -> Option<Vec<u8>> {
    let mut newest = newest.lock().unwrap_or_else(PoisonError::into_inner);
    newest.take_if(|marked| marked.seq <= up_to).map(|marked| marked.text)
}

/// Keeps a bookmark unless the record was found to be altered.
pub(super) fn keep(path: &Path, text: &[u8], findings: &Findings) {
    if findings.altered.load(Ordering::SeqCst) {
        return;
    }
    if let Err(error) = write(path, text) {
        tracing::warn!(%error, "no bookmark of the record; the next start reads more of it");
    }
    if findings.altered.load(Ordering::SeqCst) {
        remove(path).ok();
    }
}

/// What a proof has to say.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// The file was altered before the bookmark.
    pub(super) altered: AtomicBool,
    /// Nobody needs the answer any more.
    pub(super) given_up: AtomicBool,
}

/// Proves, on a thread of its own, what lies before the bookmark: the start does not wait for it.
pub(super) fn prove(record: &Path, bookmark: Bookmark, findings: &Arc<Findings>) -> io::Result<JoinHandle<()>> {
    let (file, findings, place) = (File::open(record)?, Arc::clone(findings), beside(record));
    std::thread::Builder::new().name("audit-proof".into()).spawn(move || {
        let go_on = || !findings.given_up.load(Ordering::Relaxed);
        match bookmark.prove(BufReader::with_capacity(1 << 18, file), go_on) {
            Ok(Some(())) => tracing::debug!(up_to = bookmark.seq(), "the record is whole"),
            Ok(None) => {}
            Err(bad) => {
                tracing::error!(%bad, "the record was altered; it is not written again, and nothing more is served");
                findings.altered.store(true, Ordering::SeqCst);
                // The next start looks at everything, and refuses.
                remove(&place).ok();
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A power cut must not leave a bookmark of what the disk never had: the next start would take the record for cut (ADR 5).
    #[test]
    fn a_bookmark_that_was_put_while_the_disk_was_asked_waits_for_the_next_time() {
        let newest = Mutex::new(Some(Marked { seq: 9, text: b"nine".to_vec() }));
        assert_eq!(confirmed(&newest, 8), None);
        assert_eq!(confirmed(&newest, 9), Some(b"nine".to_vec()));
        assert_eq!(confirmed(&newest, 10), None, "once");
    }
}
