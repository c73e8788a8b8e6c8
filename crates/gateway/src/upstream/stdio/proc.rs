//! Processes as `/proc` shows them (proc_pid_stat(5)), and killing one of them without hitting another.

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::collections::BTreeSet;
use std::path::Path;

/// One process at the moment of reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its id.
    pub(super) pid: i32,
    /// Its parent.
    pub(super) parent: i32,
    /// Its session.
    pub(super) session: i32,
    /// Whether it is dead and waits to be reaped.
    pub(super) life: Life,
    /// Its threads.
    threads: u64,
    /// When it was started, in clock ticks since boot: tells a process from a later one with the same id.
    started: u64,
}

/// Dead or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// It runs, sleeps or is stopped.
    Alive,
    /// Dead, not yet reaped.
    Zombie,
}

impl Entry {
    /// Whether `other` is this process, not a later one with the same id.
    pub(super) const fn is_same(&self, other: &Self) -> bool {
        self.pid == other.pid && self.started == other.started
    }

    /// Kills this process and no later one with the same id.
    pub(super) fn kill(&self) {
        let Some(pid) = Pid::from_raw(self.pid) else { return };
        // The descriptor holds on to a process; only then is it compared with what was seen.
        let Ok(held) = pidfd_open(pid, PidfdFlags::empty()) else { return };
        if read(self.pid).is_some_and(|now| now.started == self.started) {
            let _gone = pidfd_send_signal(&held, Signal::KILL);
        }
    }
}

/// Every process that can be seen.
pub(super) fn all() -> Vec<Entry> {
    let Ok(directory) = std::fs::read_dir("/proc") else { return Vec::new() };
    directory.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).filter_map(read).collect()
}

/// The descendants of `root`, itself not included.
pub(super) fn descendants(all: &[Entry], root: i32) -> Vec<Entry> {
    let mut family = BTreeSet::from([root]);
    let mut found: Vec<Entry> = Vec::new();
    loop {
        let before = found.len();
        for entry in all {
            if family.contains(&entry.parent) && family.insert(entry.pid) {
                found.push(*entry);
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// Processes and threads that belong to the user of this process.
pub(super) fn tasks_of_this_user() -> u64 {
    use std::os::unix::fs::MetadataExt;
    let own = rustix::process::getuid().as_raw();
    let mine = |entry: &Entry| Path::new("/proc").join(entry.pid.to_string()).metadata().is_ok_and(|m| m.uid() == own);
    all().iter().filter(|entry| mine(entry)).map(|entry| entry.threads).sum()
}

fn read(pid: i32) -> Option<Entry> {
    parse(pid, &std::fs::read(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?)
}

/// The name of a program stands in parentheses and may hold anything, so the fields are counted from the last one.
fn parse(pid: i32, stat: &[u8]) -> Option<Entry> {
    let close = stat.iter().rposition(|b| *b == b')')?;
    let (_, rest) = stat.split_at_checked(close + 1)?;
    let fields: Vec<&str> = std::str::from_utf8(rest).ok()?.split_ascii_whitespace().collect();
    let field = |at: usize| fields.get(at).copied();
    Some(Entry {
        pid,
        life: if matches!(field(0)?, "Z" | "X" | "x") { Life::Zombie } else { Life::Alive },
        parent: field(1)?.parse().ok()?,
        session: field(3)?.parse().ok()?,
        threads: field(17)?.parse().ok()?,
        started: field(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_cannot_forge_its_fields_by_its_name() {
        let line = b"7 (a) Z 1 1 1 0) S 3 4 5 0 -1 6 0 0 0 0 0 0 0 0 20 0 9 0 777 0 0\n";
        let entry = parse(7, line).expect("entry");
        assert_eq!((entry.parent, entry.session, entry.life, entry.threads, entry.started), (3, 5, Life::Alive, 9, 777));
    }

    #[test]
    fn this_process_is_found_below_its_parent() {
        let own = i32::try_from(std::process::id()).expect("pid");
        let everybody = all();
        let entry = everybody.iter().find(|e| e.pid == own).expect("this process");
        assert!(descendants(&everybody, entry.parent).iter().any(|e| e.pid == own));
        assert!(!descendants(&everybody, own).iter().any(|e| e.pid == own));
        assert!(tasks_of_this_user() >= 1);
    }
}
