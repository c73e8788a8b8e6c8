//! Where lines go: an append-only file, or a stand-in with faults in tests.

use rustix::fs::{FlockOperation, OFlags, flock};
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// A symbolic link is not followed: nobody redirects the record or the key.
#[expect(clippy::cast_possible_wrap, reason = "open flags are a C int")]
pub(super) const NO_FOLLOW: i32 = OFlags::NOFOLLOW.bits() as i32;

/// Something that takes lines at its end.
pub(super) trait Medium: Send {
    /// One write; says how many bytes were taken.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Takes back what lies behind `length`.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

impl Medium for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

/// Opens or makes the file, for its owner only, and locks out a second writer (`WouldBlock`).
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).custom_flags(NO_FOLLOW).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    // Whoever held the lock until now may have put another file in this one's place (a purge does): that one would be written by nobody.
    let (here, there) = (file.metadata()?, path.metadata()?);
    if (here.dev(), here.ino()) != (there.dev(), there.ino()) {
        return Err(io::Error::new(io::ErrorKind::WouldBlock, "the file was replaced"));
    }
    file.set_permissions(Permissions::from_mode(0o600))?;
    if let Some(directory) = path.parent() {
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        File::open(directory)?.sync_all()?;
    }
    Ok(file)
}
