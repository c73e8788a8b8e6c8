//! An installation for a test: a directory of its own with configuration and state, and the program run on it.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// An installation; gone when dropped.
pub(crate) struct House(PathBuf);

/// A gateway process; ended when dropped.
pub(crate) struct Gateway {
    child: Child,
    pub(crate) url: String,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) exit: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl House {
    /// With one server called `fixture`.
    pub(crate) fn new(url: &str) -> Self {
        let house = Self::empty();
        house.file("doorward.toml", &format!("[listen]\naddress = \"127.0.0.1:0\"\n\n[server.fixture]\nurl = \"{url}\"\n"));
        house
    }

    /// Without a configuration.
    pub(crate) fn empty() -> Self {
        // In a container process ids come again, and what a killed run left behind has such a name.
        loop {
            let name = format!("doorward-cli-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let root = std::env::temp_dir().join(name);
            match fs::DirBuilder::new().mode(0o700).create(&root) {
                Ok(()) => return Self(root),
                Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists, "{}", root.display()),
            }
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A file with mode 0600.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        if let Some(parent) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).expect("a directory");
        }
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).expect("a file");
        file.write_all(text.as_bytes()).expect("written");
        path
    }

    /// A key for everything, in a file.
    pub(crate) fn key(&self, label: &str, grant: &str) -> PathBuf {
        let said = self.run(&["apikey", "create", "--label", label, "--grant", grant]);
        assert_eq!(said.exit, 0, "{said}");
        self.file(&format!("key-{label}"), &said.out)
    }

    pub(crate) fn record(&self) -> String {
        fs::read_to_string(self.path("state/audit.jsonl")).expect("a record")
    }

    /// The gateway, with every tool of the fixture approved.
    pub(crate) fn serve(&self) -> Gateway {
        let said = self.run(&["server", "approve", "fixture", "--all"]);
        assert_eq!(said.exit, 0, "{said}");
        self.listen()
    }

    /// The gateway as it is.
    pub(crate) fn listen(&self) -> Gateway {
        self.listen_with(|_| ())
    }

    /// The gateway, started with something more.
    pub(crate) fn listen_with(&self, more: impl FnOnce(&mut Command)) -> Gateway {
        let mut command = self.command(&["serve"]);
        more(&mut command);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let url = lines.by_ref().map_while(Result::ok).find_map(|line| line.strip_prefix("ready  ").map(str::to_owned)).expect("ready");
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| eprintln!("gateway: {line}")));
        Gateway { child, url }
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        self.run_with_input(arguments, "")
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Said {
        self.said(self.command(arguments), input)
    }

    /// With variables.
    pub(crate) fn run_with<'a>(&self, arguments: &[&str], variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Said {
        let mut command = self.command(arguments);
        command.envs(variables);
        self.said(command, "")
    }

    fn said(&self, mut command: Command, input: &str) -> Said {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        child.stdin.take().expect("piped").write_all(input.as_bytes()).ok();
        let output = child.wait_with_output().expect("waited");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&self.0.display().to_string(), "~");
        Said { exit: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
        command.env_clear().env("HOME", &self.0).env("LC_ALL", "C.UTF-8").current_dir(&self.0);
        command.arg("--state").arg(self.path("state"));
        if Path::new(&self.path("doorward.toml")).exists() {
            command.arg("--config").arg(self.path("doorward.toml"));
        }
        command.args(arguments);
        command
    }
}

impl Drop for House {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

impl Gateway {
    /// One that was started otherwise.
    pub(crate) const fn adopted(child: Child, url: String) -> Self {
        Self { child, url }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        Command::new("kill").args([name, &self.child.id().to_string()]).status().expect("kill");
    }

    /// Asks it to stop and waits.
    pub(crate) fn stop(mut self) {
        self.signal("-TERM");
        self.child.wait().expect("waited");
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {}\n--- stdout\n{}--- stderr\n{}", self.exit, self.out, self.err)
    }
}
