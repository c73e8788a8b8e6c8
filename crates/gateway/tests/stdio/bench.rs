//! What the tests share: a launcher with its own state directory, python children, and bounded waiting.

use bytes::Bytes;
use doorward_core::id::ServerName;
use doorward_core::secret::Secret;
use doorward_gateway::env::Env;
use doorward_gateway::upstream::stdio::child::Child;
use doorward_gateway::upstream::stdio::ending::Ending;
use doorward_gateway::upstream::stdio::household::{LaunchError, Launcher, Options};
use doorward_gateway::upstream::stdio::profile::{Approved, LaunchProfile, Limits, Variable, approve};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;

/// Nothing in these tests takes longer, even on a slow machine.
pub(crate) const LONG: Duration = Duration::from_secs(30);
pub(crate) const FIXTURE: &str = env!("CARGO_BIN_EXE_doorward-stdio-fixture");

/// A directory that is removed at the end of the test.
pub(crate) struct Scratch(pub(crate) PathBuf);

pub(crate) struct Bench {
    pub(crate) launcher: Launcher,
    pub(crate) state: Scratch,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let random: [u8; 8] = Env::system().bytes().expect("random");
        let path = std::env::temp_dir().join(format!("doorward-stdio-{}-{:x}", std::process::id(), u64::from_be_bytes(random)));
        std::fs::create_dir(&path).expect("scratch");
        Self(path)
    }

    /// A program as a file: an argument cannot hold line breaks.
    pub(crate) fn script(&self, program: &str) -> String {
        let random: [u8; 8] = Env::system().bytes().expect("random");
        let path = self.0.join(format!("{:x}.py", u64::from_be_bytes(random)));
        std::fs::write(&path, program).expect("script");
        path.to_str().expect("text").to_owned()
    }

    pub(crate) fn homes(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.0.join("stdio")).expect("home");
        entries.map(|e| e.expect("entry").path()).filter(|p| p.is_dir()).collect()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Options)) -> Self {
        let state = Scratch::new();
        let mut options = Options::new(state.0.clone());
        options.program = FIXTURE.into();
        change(&mut options);
        Self { launcher: Launcher::start(options, Env::system()).expect("launcher"), state }
    }

    /// A python child that has begun.
    pub(crate) async fn python(&self, program: &str) -> (Child, mpsc::Receiver<Bytes>) {
        self.python_with(program, &[], vec![]).await
    }

    /// The same with arguments and variables.
    pub(crate) async fn python_with(&self, program: &str, arguments: &[&str], env: Vec<Variable>) -> (Child, mpsc::Receiver<Bytes>) {
        let script = self.state.script(program);
        let argv: Vec<&str> = ["/usr/bin/python3", script.as_str()].iter().chain(arguments).copied().collect();
        let mut child = self.launch(&argv, env, None).await.expect("launch");
        let lines = child.take_lines().expect("first time");
        (child, lines)
    }

    pub(crate) async fn launch(&self, argv: &[&str], env: Vec<Variable>, cwd: Option<&Path>) -> Result<Child, LaunchError> {
        self.launcher.launch(approved(argv, env, cwd)).await
    }
}

pub(crate) fn approved(argv: &[&str], env: Vec<Variable>, cwd: Option<&Path>) -> Approved {
    let limits = Limits { memory: 1 << 29, cpu: 1, processes: 4096, restart: "5/m".parse().expect("rate") };
    let argv = argv.iter().map(|a| (*a).to_owned()).collect();
    let server = ServerName::new("test").expect("name");
    let profile = LaunchProfile::new(server, argv, env, cwd.map(Path::to_owned), limits).expect("profile");
    let digest = profile.digest();
    approve(profile, Some(&digest)).expect("approved")
}

pub(crate) fn variable(name: &str, value: &str) -> Variable {
    Variable::new(name.into(), format!("file:/secrets/{name}"), Secret::new(value.into()))
}

pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, what).await.expect("in time")
}

pub(crate) async fn line(lines: &mut mpsc::Receiver<Bytes>) -> String {
    String::from_utf8(soon(lines.recv()).await.expect("a line").to_vec()).expect("text")
}

pub(crate) async fn ended(child: &Child) -> Ending {
    let mut exited = child.exited();
    let ending = soon(exited.wait_for(Option::is_some)).await.expect("watched");
    ending.expect("some")
}

/// True when no process has this id; a zombie has one.
pub(crate) fn is_gone(pid: i32) -> bool {
    !Path::new("/proc").join(pid.to_string()).exists()
}

/// Waits on a pidfd until a process that is not our child is dead.
pub(crate) async fn dead(pid: i32) {
    use rustix::event::{PollFd, PollFlags, poll};
    let Some(id) = rustix::process::Pid::from_raw(pid) else { return };
    let Ok(held) = rustix::process::pidfd_open(id, rustix::process::PidfdFlags::empty()) else { return };
    let wait = rustix::event::Timespec { tv_sec: 30, tv_nsec: 0 };
    let ready = tokio::task::spawn_blocking(move || poll(&mut [PollFd::new(&held, PollFlags::IN)], Some(&wait)));
    assert_eq!(ready.await.expect("poll").expect("poll"), 1, "process {pid} lives on");
}
