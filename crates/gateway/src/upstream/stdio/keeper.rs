//! The thread that starts every child and buries whatever they leave behind.
//!
//! One thread, because the parent-death signal follows the *thread* that forked: it lives as long as the launcher or
//! any child. The process is a subreaper, so that a descendant whose parent dies becomes ours. What is then ours and in
//! a session that no living child leads has run away from its child, and is killed.

use super::proc::{self, Entry, Life};
use rustix::process::{Pid, WaitOptions, getpid, set_child_subreaper, waitpid};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::process::Command;
use tokio::sync::oneshot;

/// How often runaways are looked for when nothing else happens.
const SWEEP: Duration = Duration::from_secs(2);
/// Pause between two looks at processes that were killed and are not gone yet, and how many of them.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
const LOOKS: u32 = 300;

/// Direct children of this process that [`super`] started and has not reaped.
///
/// Static because what it describes is: a process has one list of children, however many launchers it has. Held while
/// a process is started and while runaways are looked for, so that a new child is never taken for one.
static HOUSEHOLD: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Asks the thread; cheap to clone. The thread ends with the last of these.
#[derive(Debug, Clone)]
pub(super) struct Keeper {
    jobs: Sender<Job>,
}

/// A process that was started and is in the household until [`Member::bury`].
#[derive(Debug)]
pub(super) struct Member {
    pid: Pid,
}

/// The thread is gone.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the thread that starts processes is gone")]
pub(super) struct KeeperGone;

type Started = io::Result<(tokio::process::Child, Member)>;

enum Job {
    Start { program: PathBuf, answer: oneshot::Sender<Started> },
    Clear { leader: Pid, others: Vec<Entry>, answer: oneshot::Sender<usize> },
    Remove { directory: PathBuf, answer: Option<oneshot::Sender<()>> },
}

// === impl Keeper ===

impl Keeper {
    /// Makes this process a subreaper and starts the thread, inside the running tokio runtime.
    pub(super) fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
        set_child_subreaper(Some(getpid()))?;
        let (jobs, inbox) = channel();
        std::thread::Builder::new().name("stdio-keeper".into()).spawn(move || {
            let _inside = runtime.enter();
            serve(&inbox);
        })?;
        Ok(Self { jobs })
    }

    /// Starts `program` as a launcher with pipes and an empty environment.
    pub(super) async fn start_process(&self, program: &Path) -> Started {
        let (answer, answered) = oneshot::channel();
        let job = Job::Start { program: program.to_owned(), answer };
        self.jobs.send(job).map_err(|_| io::Error::other(KeeperGone))?;
        answered.await.map_err(|_| io::Error::other(KeeperGone))?
    }

    /// Kills what is left of the session of `leader`, which is dead but not yet reaped, and `others`. Returns how many
    /// could not be got rid of in three seconds.
    pub(super) async fn clear(&self, leader: Pid, others: Vec<Entry>) -> usize {
        let (answer, answered) = oneshot::channel();
        // What could not be sent is dropped at once: it holds the other end of what is waited for.
        drop(self.jobs.send(Job::Clear { leader, others, answer }));
        answered.await.unwrap_or(usize::MAX)
    }

    /// Removes a directory with everything in it.
    pub(super) async fn remove(&self, directory: PathBuf) {
        let (answer, answered) = oneshot::channel();
        drop(self.jobs.send(Job::Remove { directory, answer: Some(answer) }));
        let _done = answered.await;
    }

    /// Removes a directory some time soon.
    pub(super) fn remove_later(&self, directory: PathBuf) {
        let _gone = self.jobs.send(Job::Remove { directory, answer: None });
    }
}

// === impl Member ===

impl Member {
    /// The process, which leads its session and its group once the launcher has begun.
    pub(super) const fn pid(&self) -> Pid {
        self.pid
    }

    /// Takes the process out of the household while `reap` reaps it.
    pub(super) fn bury<T>(self, reap: impl FnOnce() -> T) -> T {
        let mut household = household();
        let result = reap();
        household.remove(&self.pid.as_raw_pid());
        std::mem::forget(self);
        result
    }
}

impl Drop for Member {
    /// Never buried: the task that held it was thrown away with its runtime, or it never got one.
    fn drop(&mut self) {
        let mut household = household();
        let _gone = rustix::process::kill_process_group(self.pid, rustix::process::Signal::KILL);
        let _gone = rustix::process::kill_process(self.pid, rustix::process::Signal::KILL);
        household.remove(&self.pid.as_raw_pid());
    }
}

fn household() -> MutexGuard<'static, BTreeSet<i32>> {
    // A set of numbers is whole whatever panicked beside it.
    HOUSEHOLD.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(inbox: &Receiver<Job>) {
    loop {
        match inbox.recv_timeout(SWEEP) {
            Ok(Job::Start { program, answer }) => {
                // If nobody waits any more, dropping the answer kills what was started.
                let _unwanted = answer.send(start(&program));
            }
            Ok(Job::Clear { leader, others, answer }) => {
                let _unwanted = answer.send(clear(leader, &others));
            }
            Ok(Job::Remove { directory, answer }) => {
                remove_tree(&directory);
                if let Some(answer) = answer {
                    let _unwanted = answer.send(());
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                sweep(&proc::all());
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn start(program: &Path) -> Started {
    let mut household = household();
    let mut command = Command::new(program);
    command.arg0("doorward").arg(super::launcher::ARGUMENT).env_clear().current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let child = command.spawn()?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("a process without an id"))?;
    household.insert(pid.as_raw_pid());
    drop(household);
    Ok((child, Member { pid }))
}

/// Kills runaways and reaps the dead among those that became ours.
fn sweep(all: &[Entry]) {
    let household = household();
    let own = getpid().as_raw_pid();
    // As `/proc` numbers it: 0 where the leader of the session stands outside of this container.
    let session = all.iter().find(|e| e.pid == own).map(|e| e.session);
    for entry in all.iter().filter(|e| e.parent == own && !household.contains(&e.pid)) {
        // Processes of our own session were started by somebody else in this process: none of a child's descendants
        // can be in it, since the launcher opened a session before it became the program.
        if Some(entry.session) == session {
            continue;
        }
        match entry.life {
            Life::Alive if household.contains(&entry.session) => {}
            Life::Alive => entry.kill(),
            Life::Zombie => {
                let _reaped = waitpid(Pid::from_raw(entry.pid), WaitOptions::NOHANG);
            }
        }
    }
}

fn clear(leader: Pid, others: &[Entry]) -> usize {
    let leader = leader.as_raw_pid();
    let mut left = 0;
    for _ in 0..LOOKS {
        let all = proc::all();
        // Those that were below the child when its end began, and everything that they have started since.
        let mut victims: Vec<Entry> = all.iter().filter(|e| e.session == leader && e.pid != leader).copied().collect();
        victims.extend(all.iter().filter(|e| others.iter().any(|o| o.is_same(e))));
        for victim in victims.clone() {
            victims.extend(proc::descendants(&all, victim.pid));
        }
        for victim in victims.iter().filter(|v| v.life == Life::Alive) {
            victim.kill();
        }
        sweep(&all);
        left = victims.len();
        if left == 0 {
            break;
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    left
}

/// Removes a tree even if its owner took away his own right to enter parts of it.
pub(super) fn remove_tree(directory: &Path) {
    if std::fs::remove_dir_all(directory).is_ok() {
        return;
    }
    make_enterable(directory, 0);
    if let Err(error) = std::fs::remove_dir_all(directory)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "a private directory of a child could not be removed");
    }
}

fn make_enterable(directory: &Path, depth: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    let real = directory.symlink_metadata().is_ok_and(|m| m.is_dir());
    if !real || depth > 256 {
        return;
    }
    let _refused = std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700));
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        make_enterable(&entry.path(), depth + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_waits_for_a_keeper_that_is_gone() {
        let (jobs, inbox) = channel();
        drop(inbox);
        let keeper = Keeper { jobs };
        assert!(keeper.start_process(Path::new("/bin/true")).await.is_err());
        assert_eq!(keeper.clear(getpid(), Vec::new()).await, usize::MAX);
        keeper.remove(PathBuf::from("/nowhere")).await;
    }
}
