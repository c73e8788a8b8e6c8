//! Which gateway runs on a state directory: a locked file with its process and address. The lock is the truth, the text is a hint.

use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Name of the file in the state directory.
pub const FILE: &str = "running.json";

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The process.
    pub pid: u32,
    /// Where it listens.
    pub address: SocketAddr,
    /// Since when, RFC 3339 in UTC.
    pub since: String,
}

/// The right to run on a state directory. Ends with the process, however it ends.
#[derive(Debug)]
pub struct Claim {
    file: File,
}

/// Who has the state directory.
#[derive(Debug)]
pub enum State {
    /// Nobody had it; now this process does.
    Ours(Claim),
    /// Another process runs on it; `None` while it is starting.
    Theirs(Option<Notice>),
}

/// Takes the state directory, or says who has it.
///
/// # Errors
/// When the file cannot be made or locked.
pub fn claim(state: &Path) -> io::Result<State> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(state.join(FILE))?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0)?;
            Ok(State::Ours(Claim { file }))
        }
        Err(TryLockError::WouldBlock) => Ok(State::Theirs(read(file))),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Who runs on a state directory, without taking it. The outer `None`: nobody.
#[must_use]
pub fn other(state: &Path) -> Option<Option<Notice>> {
    let file = File::open(state.join(FILE)).ok()?;
    match file.try_lock_shared() {
        Ok(()) => None,
        Err(TryLockError::WouldBlock) => Some(read(file)),
        Err(TryLockError::Error(_)) => None,
    }
}

fn read(file: File) -> Option<Notice> {
    let mut text = String::new();
    file.take(4096).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

impl Claim {
    /// Says where this process listens.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn announce(&mut self, notice: &Notice) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(serde_json::to_string(notice)?.as_bytes())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // An empty file says nothing false; the lock goes with the descriptor.
        self.file.set_len(0).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_state_directory_has_one_gateway() {
        let state = std::env::temp_dir().join(format!("doorward-running-{}", std::process::id()));
        std::fs::create_dir_all(&state).expect("directory");
        assert!(other(&state).is_none());
        let State::Ours(mut claim) = super::claim(&state).expect("claim") else { panic!("nobody has it") };
        assert_eq!(other(&state), Some(None), "starting");
        let notice = Notice { pid: 7, address: "127.0.0.1:8417".parse().expect("address"), since: "2026-11-24T10:00:00.000Z".to_owned() };
        claim.announce(&notice).expect("written");
        assert_eq!(other(&state), Some(Some(notice.clone())));
        let State::Theirs(seen) = super::claim(&state).expect("claim") else { panic!("taken twice") };
        assert_eq!(seen, Some(notice));
        drop(claim);
        assert!(other(&state).is_none());
        std::fs::remove_dir_all(&state).expect("removed");
    }
}
