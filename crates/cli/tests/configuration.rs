//! Configuration files on a disk: where they are found, who may write to them, and every word of what is said about them.

#![expect(clippy::expect_used, reason = "a test that cannot set its stage has failed")]

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A home directory that goes with the test.
struct Home(PathBuf);

/// What a command said and how it ended.
struct Said {
    exit: i32,
    out: String,
    err: String,
}

impl Home {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("doorward-home-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let home = Self(std::env::temp_dir().join(name));
        home.directory("");
        home
    }

    fn directory(&self, path: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(&path).expect("directory");
        fs::set_permissions(&path, Permissions::from_mode(0o700)).expect("mode");
    }

    fn file(&self, path: &str, text: &str) -> PathBuf {
        let path = self.0.join(path);
        fs::write(&path, text).expect("file");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("mode");
        path
    }

    fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.0.join(path), Permissions::from_mode(mode)).expect("mode");
    }

    fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, &[])
    }

    fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
        command.args(arguments).env_clear().env("HOME", &self.0).env("LC_ALL", "C.UTF-8").current_dir(&self.0);
        command.envs(variables.iter().map(|(name, value)| (OsStr::new(name), OsStr::new(value))));
        let output = command.output().expect("ran");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&self.0.display().to_string(), "~");
        Said { exit: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {}\n--- stdout\n{}--- stderr\n{}", self.exit, self.out, self.err)
    }
}

const BROKEN: &str = r#"nam = "Acme"
public_url = "https://mcp.acme.example/"

[listen]
address = "0.0.0.0:8443"

[store]
encryption_key = "hunter2hunter2"

[server.github]
url = "https://api.githubcopilot.com/mcp/"
credental = { kind = "header" }
timeout = 30

[server.linear]
url = "https://mcp.linear.app/mcp"
credential = { kind = "aws" }

[server.My_Files]
command = ["npx", "-y", "files"]
"#;

#[test]
fn flt_13_every_problem_is_rendered_with_its_lines() {
    let home = Home::new();
    home.directory(".config/doorward");
    home.mode(".config", 0o700);
    home.file(".config/doorward/doorward.toml", BROKEN);
    let said = home.run(&["config", "check"]);
    assert!(!said.to_string().contains("hunter2"));
    insta::assert_snapshot!(said);
    insta::assert_snapshot!(home.run(&["config", "check", "--json"]));
    insta::assert_snapshot!(home.run_with(&["config", "check"], &[("LC_ALL", "C")]));
}

#[test]
fn values_are_shown_with_their_origins() {
    let home = Home::new();
    let main = home.file("a.toml", "name = \"Acme\"\n[store]\nencryption_key = \"file:kek\"\n");
    home.directory("config.d");
    home.file("config.d/10-github.toml", "[server.github]\nurl = \"https://api.githubcopilot.com/mcp/\"\n");
    home.file("config.d/.hidden.toml", "nonsense");
    home.file("config.d/README", "nonsense");
    let main = main.to_string_lossy().into_owned();
    insta::assert_snapshot!(
        home.run_with(&["--config", &main, "config", "show", "--origin"], &[("DOORWARD_LISTEN__ADDRESS", "127.0.0.1:9000")])
    );
    let said = home.run(&["--config", &main, "config", "show", "server.github.url", "--json"]);
    assert!(said.out.contains("\"origin\":\"~/config.d/10-github.toml:2:7\""), "{said}");
}

#[test]
fn the_working_directory_defines_nothing() {
    let home = Home::new();
    home.file("doorward.toml", "nonsense");
    let said = home.run(&["config", "check"]);
    assert_eq!(said.exit, 0, "{said}");
    assert!(said.out.contains("no configuration file"), "{said}");
}

#[test]
fn files_that_others_may_change_are_refused() {
    let home = Home::new();
    home.directory("etc");
    let main = home.file("etc/doorward.toml", "name = \"Acme\"\n").to_string_lossy().into_owned();
    let check = || home.run(&["--config", &main, "config", "check"]);
    assert_eq!(check().exit, 0);
    home.mode("etc/doorward.toml", 0o666);
    let said = check();
    assert!(said.exit == 3 && said.err.contains("can be changed by others (mode 0666)") && said.err.contains("chmod go-w"), "{said}");
    home.mode("etc/doorward.toml", 0o644);
    assert_eq!(check().exit, 0);
    home.mode("etc", 0o777);
    assert_eq!(check().exit, 3);
    home.mode("etc", 0o700);
    home.directory("etc/config.d");
    home.mode("etc/config.d", 0o770);
    assert_eq!(check().exit, 3);
    home.mode("etc/config.d", 0o700);
    home.file("etc/config.d/a.toml", "");
    home.mode("etc/config.d/a.toml", 0o620);
    assert_eq!(check().exit, 3);
}

#[test]
fn files_that_are_not_there_are_named() {
    let home = Home::new();
    insta::assert_snapshot!(home.run(&["--config", "missing.toml", "config", "check"]));
    let said = home.run_with(&["config", "check"], &[("DOORWARD_CONFIG", "missing.toml")]);
    assert_eq!(said.exit, 3, "{said}");
    let said = home.run_with(&["config", "check"], &[("DOORWARD_CONFIG", "")]);
    assert!(said.exit == 3 && said.err.contains("DOORWARD_CONFIG is empty"), "{said}");
    let said = home.run_with(&["config", "check"], &[("DOORWARD_LISTEN_ADDRESS", "127.0.0.1:1")]);
    assert!(said.exit == 3 && said.err.contains("DOORWARD_LISTEN_ADDRESS"), "{said}");
}

#[test]
fn a_file_without_end_is_not_read_to_its_end() {
    let home = Home::new();
    let large = home.file("large.toml", &format!("# {}", "x".repeat(10 << 20))).to_string_lossy().into_owned();
    let said = home.run(&["--config", &large, "config", "check"]);
    assert!(said.exit == 3 && said.err.contains("larger than"), "{said}");
    let said = home.run(&["--config", "/dev/zero", "config", "check"]);
    assert_eq!(said.exit, 3, "{said}");
}

#[test]
fn every_exit_of_the_table_is_in_the_manual_page_and_in_the_version() {
    let home = Home::new();
    let manual = home.run(&["man"]).out;
    let version = home.run(&["version", "--json"]).out;
    for exit in doorward_cli::exit::ALL {
        assert!(manual.contains(&format!(".TP\n\\fB{}\\fR\n{}", exit.code(), exit.meaning())), "{exit:?}");
        assert!(version.contains(&format!("\"{}\":\"{}\"", exit.code(), exit.meaning())), "{exit:?}");
    }
    assert!(manual.contains("doorward audit verify"));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = home.run(&["completions", shell]);
        assert!(said.exit == 0 && said.out.contains("doorward") && said.err.is_empty(), "{shell}");
    }
}

/// What docs/running.md shows is taken as it stands.
#[test]
fn the_installation_of_the_documents_is_a_valid_one() {
    let page = fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/running.md")).expect("the page");
    let block = |name: &str| {
        let from = page.split_once(&format!("<!-- {name} -->\n```")).expect("a block").1;
        from.split_once('\n').and_then(|(_, text)| text.split_once("```")).expect("its end").0.to_owned()
    };
    let home = Home::new();
    home.directory("rules");
    home.file("doorward.toml", &block("doorward.toml"));
    home.file("rules/main.cedar", &block("main.cedar"));
    let said = home.run(&["config", "check", "--config", "doorward.toml"]);
    assert_eq!(said.exit, 0, "{}{}", said.out, said.err);
    let said = home.run(&["policy", "check", "--config", "doorward.toml"]);
    assert_eq!(said.exit, 0, "{}{}", said.out, said.err);
}
