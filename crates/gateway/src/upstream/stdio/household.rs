//! The launcher as the gateway sees it: approved profile in, running child out; at the end none is left.
//!
//! Owns the directory under the state directory in which each process without a configured one gets a private one.

use super::child::{Child, Process, Terms};
use super::keeper::{Keeper, remove_tree};
use super::plan::{Checked, Plan};
use super::profile::Approved;
use crate::env::{Env, NoRandomness};
use crate::tasks::Tasks;
use rustix::fs::{FlockOperation, flock};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// The fixed search path of every child.
pub const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// The fixed `LANG` of every child.
pub const LANG: &str = "C.UTF-8";
/// The fixed `TZ` of every child.
pub const TZ: &str = "UTC";

/// How children are started and bounded.
#[derive(Debug, Clone)]
pub struct Options {
    /// The state directory of the gateway; children live in `stdio/` below it.
    pub state: PathBuf,
    /// The binary whose `main` calls [`super::launcher::main`]; `/proc/self/exe` is this one.
    pub program: PathBuf,
    /// How many children may run at a time.
    pub children: usize,
    /// Bytes of one line from a child, without its line break.
    pub line: usize,
    /// How long a sender waits for a child that does not read.
    pub patience: Duration,
}

/// Starts children. Cheap to clone; one state directory belongs to one launcher.
#[derive(Debug, Clone)]
pub struct Launcher {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    options: Options,
    home: PathBuf,
    env: Env,
    tasks: Tasks,
    keeper: Keeper,
    room: Arc<Semaphore>,
    _lock: File,
}

/// The directory of one process, removed with this value.
#[derive(Debug)]
pub(super) struct PrivateDirectory {
    path: Option<PathBuf>,
    keeper: Keeper,
}

/// Why there is no launcher.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process uses this state directory.
    #[error("the state directory is in use by another process")]
    InUse,
    /// The directory, the thread or the subreaper.
    #[error("stdio servers cannot be started: {0}")]
    Io(#[from] io::Error),
}

/// Why a child did not start. Holds no value of its environment.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// As many children as allowed are running.
    #[error("too many child processes")]
    Full,
    /// The gateway is shutting down.
    #[error("the gateway is shutting down")]
    Stopping,
    /// No name for the private directory.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// The private directory or the process.
    #[error("the process could not be started: {0}")]
    Io(#[from] io::Error),
    /// The launcher refused or could not execute the program.
    #[error("the launcher gave up: {0}")]
    Refused(String),
    /// The launcher did not answer in ten seconds.
    #[error("the launcher did not answer")]
    Silent,
}

// === impl Options ===

impl Options {
    /// The own binary, 256 children, lines of 4 MiB, ten seconds of patience.
    #[must_use]
    pub fn new(state: PathBuf) -> Self {
        Self { state, program: "/proc/self/exe".into(), children: 256, line: 4 << 20, patience: Duration::from_secs(10) }
    }
}

// === impl Launcher ===

impl Launcher {
    /// Takes the state directory, removes what an earlier process left there, and starts the keeper thread. Makes this
    /// process a subreaper. To be called inside a tokio runtime that outlives the children.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn start(options: Options, env: Env) -> Result<Self, StartError> {
        let home = options.state.join("stdio");
        DirBuilder::new().recursive(true).mode(0o700).create(&home)?;
        std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700))?;
        let lock = File::create(home.join(".lock"))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(StartError::InUse),
            Err(errno) => return Err(StartError::Io(errno.into())),
        }
        for entry in std::fs::read_dir(&home)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                remove_tree(&entry.path());
            }
        }
        let room = Arc::new(Semaphore::new(options.children));
        let inner = Inner { home, env, tasks: Tasks::new(), keeper: Keeper::start()?, room, options, _lock: lock };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Starts an approved command and waits until it runs. Giving up waiting ends the process.
    ///
    /// # Errors
    /// [`LaunchError`]; nothing is left running then.
    pub async fn launch(&self, approved: Approved) -> Result<Child, LaunchError> {
        let inner = &self.inner;
        if inner.tasks.is_stopping() {
            return Err(LaunchError::Stopping);
        }
        let seat = Arc::clone(&inner.room).try_acquire_owned().map_err(|_| LaunchError::Full)?;
        let directory = self.private_directory()?;
        let plan = plan(&approved, directory.path());
        let (process, member) = inner.keeper.start_process(&inner.options.program).await?;
        let terms = Terms {
            server: approved.profile().server().clone(),
            secrets: super::complaints::Secrets::of(approved.profile().env()),
            line: inner.options.line,
            patience: inner.options.patience,
        };
        let process = Process { process, member, directory, seat, keeper: inner.keeper.clone() };
        Child::begin(process, &plan, terms, inner.tasks.clone()).await
    }

    /// Ends every child and waits for all ends, at most `patience`: each is asked for up to five seconds and then
    /// killed. Returns how many tasks are left, 0 if everything is gone.
    pub async fn stop(&self, patience: Duration) -> usize {
        self.inner.tasks.stop(patience).await
    }

    fn private_directory(&self) -> Result<PrivateDirectory, LaunchError> {
        let name: String = self.inner.env.bytes::<16>()?.iter().map(|b| format!("{b:02x}")).collect();
        let path = self.inner.home.join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(PrivateDirectory { path: Some(path), keeper: self.inner.keeper.clone() })
    }
}

// === impl PrivateDirectory ===

impl PrivateDirectory {
    fn path(&self) -> &Path {
        self.path.as_deref().unwrap_or_else(|| Path::new("/"))
    }

    /// Removes it and waits until that is done.
    pub(super) async fn remove(mut self) {
        if let Some(path) = self.path.take() {
            self.keeper.remove(path).await;
        }
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            self.keeper.remove_later(path);
        }
    }
}

fn plan(approved: &Approved, directory: &Path) -> Plan {
    let profile = approved.profile();
    let limits = profile.limits();
    let private = || directory.as_os_str().as_encoded_bytes().to_vec();
    let fixed = [("PATH", PATH.into()), ("HOME", private()), ("LANG", LANG.into()), ("TZ", TZ.into())];
    // Where users share a directory for temporary files, so they do what servers leave there (STD-05).
    let temporary = ("TMPDIR", private());
    let is_set = profile.env().iter().any(|variable| variable.name() == temporary.0);
    let fixed =
        fixed.into_iter().chain((!is_set).then_some(temporary)).map(|(name, value): (&str, Vec<u8>)| (name.into(), Zeroizing::new(value)));
    let own = profile.env().iter().map(|v| (v.name().into(), Zeroizing::new(v.value().as_bytes().to_vec())));
    Plan {
        parent: std::process::id(),
        memory: limits.memory,
        cpu: limits.cpu,
        processes: u64::from(limits.processes),
        cwd: profile.cwd().unwrap_or(directory).as_os_str().to_owned(),
        argv: profile.argv().iter().map(Into::into).collect(),
        package: profile.package().map(|package| Checked {
            directory: package.directory.as_os_str().to_owned(),
            integrity: *package.integrity.as_bytes(),
            replaces: u64::try_from(package.replaces).unwrap_or(u64::MAX),
        }),
        env: fixed.chain(own).collect(),
    }
}
