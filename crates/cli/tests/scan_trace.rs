//! `doorward scan` as a program, in a network namespace of its own and under an audit of its system calls: over the whole corpus
//! and over a directory that is made to hurt. Nothing is started, nothing is sent, nothing is read elsewhere, nothing is written
//! but the reports, and no report, in any form and at any verbosity, shows a secret. Attack SCN-03.
//!
//! Needs Linux, strace (`scripts/scan-proof` installs it) and the right to trace. Without them the tests say that they were
//! skipped; with `DOORWARD_TEST_TRACE=required` they fail instead.
#![cfg(test)]
#![cfg(target_os = "linux")]
#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

#[expect(dead_code, reason = "not everything is needed here")]
#[path = "../../scan/tests/it/stage.rs"]
mod stage;

use serde::Deserialize;
use stage::{Planted, Stage};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Whatever a scan may ask of the system. All else is a finding, whether it is known to be bad or not.
const CALLS: [&str; 47] = [
    // Files and what stands in them.
    "access",
    "close",
    "fcntl",
    "fstat",
    "getdents64",
    "ioctl",
    "lseek",
    "lstat",
    "newfstatat",
    "open",
    "openat",
    "pread64",
    "read",
    "readlink",
    "readlinkat",
    "stat",
    "statx",
    "write",
    "writev",
    "getcwd",
    // Memory.
    "brk",
    "madvise",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    // The process itself.
    "arch_prctl",
    "execve",
    "exit",
    "exit_group",
    "futex",
    "getpid",
    "getrandom",
    "gettid",
    "poll",
    "prctl",
    "prlimit64",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "sched_getaffinity",
    "sched_yield",
    "set_robust_list",
    "set_tid_address",
    "sigaltstack",
    "clock_gettime",
    "sysinfo",
];

/// What the linker and the runtime read, whoever starts them.
const SYSTEM: [&str; 9] =
    ["/etc/ld.so.", "/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/", "/proc/", "/sys/fs/cgroup/", "/dev/null", "/etc/localtime"];

#[derive(Debug, Deserialize)]
struct Group {
    case: Vec<Case>,
}

/// A case of the corpus, as far as it is planted.
#[derive(Debug, Deserialize)]
struct Case {
    about: String,
    os: Option<String>,
    path: String,
    text: String,
    mode: Option<String>,
    #[serde(default)]
    tracked: bool,
    #[serde(default)]
    more: Vec<Planted>,
}

/// How the program is run.
struct Audit {
    /// In front of strace.
    namespace: Vec<&'static str>,
}

/// What a run did.
struct Seen {
    exit: i32,
    said: String,
    log: String,
}

/// Where a run may read and write.
struct Bounds<'a> {
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
    /// Nothing in there may even be looked at.
    untouchable: Option<&'a Path>,
}

// === impl Audit ===

impl Audit {
    /// None, with a word, where this system does not let a process be traced.
    fn new() -> Option<Self> {
        let works = |words: &[&str]| {
            let mut command = Command::new(words[0]);
            command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        let strict = std::env::var_os("DOORWARD_TEST_TRACE").is_some_and(|value| value == "required");
        let without = |what: &str| {
            assert!(!strict, "{what}, and DOORWARD_TEST_TRACE=required");
            eprintln!("\n!!!! SKIPPED: {what}. scripts/scan-proof says what it takes. !!!!\n");
        };
        if !works(&["strace", "-f", "-y", "-o", "/dev/null", "true"]) {
            without("no audit of system calls: strace is missing, or may not trace");
            return None;
        }
        let ways: [&[&'static str]; 2] = [&["unshare", "--net"], &["unshare", "--user", "--map-root-user", "--net"]];
        let namespace = ways.into_iter().find(|way| works(&[way, &["true"][..]].concat()));
        if namespace.is_none() {
            without("no network namespace of its own; the system calls are audited all the same");
        }
        let audit = Self { namespace: namespace.unwrap_or_default().to_vec() };
        if !audit.namespace.is_empty() {
            let seen = audit.words(&["cat", "/proc/net/dev"]).output().expect("cat");
            let cards: Vec<String> =
                String::from_utf8_lossy(&seen.stdout).lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect();
            assert_eq!(cards, ["lo"], "only the loopback");
        }
        Some(audit)
    }

    fn words(&self, words: &[&str]) -> Command {
        let all: Vec<&str> = self.namespace.iter().copied().chain(words.iter().copied()).collect();
        let mut command = Command::new(all[0]);
        command.args(&all[1..]);
        command
    }

    fn run(&self, program: &str, arguments: &[&str], home: &Path, here: &Path, log: &Path) -> Seen {
        let log_text = log.to_string_lossy();
        let mut command = self.words(&["strace", "-f", "-y", "-o", &log_text, program]);
        command.args(arguments).env_clear().current_dir(here);
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", home).env("RUST_LOG", "trace").env("RUST_BACKTRACE", "1");
        let output = command.stdin(Stdio::null()).output().expect("it runs");
        let said = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Seen { exit: output.status.code().unwrap_or(-1), said, log: fs::read_to_string(log).expect("a log") }
    }
}

// === impl Seen ===

impl Seen {
    /// Everything that a scan does not do.
    fn faults(&self, bounds: &Bounds<'_>) -> BTreeSet<String> {
        let mut faults = BTreeSet::new();
        let mut started = 0;
        let mut said = 0;
        for line in self.log.lines() {
            // "12345 openat(AT_FDCWD</here>, "x", O_RDONLY) = 3</real/x>", in halves where threads take turns.
            let line = line.split_once(' ').map_or(line, |(_, rest)| rest.trim_start());
            if line.starts_with("+++") {
                continue;
            }
            let name = match line.strip_prefix("<... ") {
                Some(rest) => rest.split_once(' ').map_or(rest, |(name, _)| name),
                None => line.split_once('(').map_or(line, |(name, _)| name),
            };
            let mut fault = |what: &str| faults.insert(format!("{what}: {line}"));
            if !CALLS.contains(&name) {
                fault("a system call that is not due");
            }
            if name == "execve" {
                started += 1;
                if started > 1 {
                    fault("a program is started");
                }
                continue;
            }
            if let Some(never) = bounds.untouchable
                && (line.contains(&format!("\"{}", never.display())) || line.contains(&format!("<{}", never.display())))
                && !(name == "readlink" && line.split_once(", ").is_some_and(|(path, _)| !path.contains(&*never.to_string_lossy())))
            {
                fault("a look where none is allowed");
            }
            let of_system = |path: &Path| SYSTEM.iter().any(|front| path.to_string_lossy().starts_with(front));
            let within = |path: &Path, roots: &[PathBuf]| roots.iter().any(|root| path.starts_with(root));
            match name {
                "open" | "openat" => {
                    let writes = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND"].iter().any(|flag| line.contains(flag));
                    // What was really opened, wherever links led; else what was asked for.
                    let opened =
                        line.rsplit_once(" = ").and_then(|(_, result)| result.split_once('<')?.1.rsplit_once('>')).map(|(path, _)| path);
                    let asked = line.split('"').nth(1);
                    let Some(path) = opened.or(asked).map(Path::new) else { continue };
                    if writes && !within(path, &bounds.write) && path != Path::new("/dev/null") {
                        fault("a file is opened for writing");
                    } else if !writes && opened.is_some() && !of_system(path) && !within(path, &bounds.read) {
                        fault("a file is read elsewhere");
                    }
                }
                "write" | "writev" => {
                    said += 1;
                    let to = line.split_once('(').map_or("", |(_, rest)| rest);
                    let own = to.starts_with("1<") || to.starts_with("2<");
                    let file = to.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(path, _)| path);
                    if !own && !within(Path::new(file), &bounds.write) {
                        fault("something is written elsewhere");
                    }
                }
                _ => {}
            }
        }
        if started == 0 || said == 0 {
            faults.insert(format!("the audit saw {started} starts and {said} writes: it saw nothing"));
        }
        faults
    }
}

fn corpus() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scan/tests/corpus");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).expect("corpus").flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    files.sort();
    let read = |path: &PathBuf| toml::from_str::<Group>(&fs::read_to_string(path).expect("text")).expect("cases").case;
    files.iter().flat_map(read).collect()
}

/// Runs the program in its forms over a stage. What it did that it may not do, and how often it ran.
fn audited(audit: &Audit, stage: &Stage, os: &str, forms: &[&[&str]], untouchable: Option<&Path>) -> (BTreeSet<String>, usize) {
    let out = stage.home().with_file_name("out");
    fs::create_dir_all(&out).expect("made");
    let [sarif, html, log] = ["r.sarif", "r.html", "log"].map(|name| out.join(name).to_string_lossy().into_owned());
    // An index lies there once a scan within this process has written it for the stage.
    stage.scan();
    let managed = ["/etc/claude-code", "/etc/codex", "/etc/opencode", "/etc/gemini-cli", "/etc/doorward"].map(PathBuf::from);
    let bounds = Bounds {
        read: [stage.home(), stage.project(), out.clone()].into_iter().chain(managed).collect(),
        write: vec![out.clone()],
        untouchable,
    };
    let mut faults = BTreeSet::new();
    for form in forms {
        let arguments: Vec<&str> = form
            .iter()
            .map(|word| {
                if *word == "SARIF" {
                    sarif.as_str()
                } else if *word == "HTML" {
                    html.as_str()
                } else {
                    word
                }
            })
            .collect();
        let arguments = [&arguments[..], &["--os", os]].concat();
        let seen = audit.run(env!("CARGO_BIN_EXE_doorward"), &arguments, &stage.home(), &stage.project(), Path::new(&log));
        assert!(seen.exit == 0 || seen.exit == 1, "exit {}: {}", seen.exit, seen.said);
        faults.extend(seen.faults(&bounds));
        stage.assert_no_secret_in(&seen.said, &arguments.join(" "));
        for file in [&sarif, &html].into_iter().filter(|file| Path::new(file).exists()) {
            stage.assert_no_secret_in(&fs::read_to_string(file).expect("a report"), file);
        }
    }
    (faults, forms.len())
}

const FORMS: [&[&str]; 2] =
    [&["scan", "-vv", "--color", "always", "--sarif", "SARIF", "--html", "HTML", "--fail-on", "low"], &["scan", "--json", "-v"]];

#[test]
fn scn_03_the_program_does_nothing_but_read_over_the_whole_corpus() {
    let Some(audit) = Audit::new() else { return };
    let cases = corpus();
    assert!(cases.len() >= 120, "{} cases", cases.len());
    let one = |case: &Case| -> (String, usize) {
        let mut stage = Stage::new();
        let main =
            Planted { path: case.path.clone(), text: case.text.clone(), mode: case.mode.clone(), tracked: case.tracked, above: None };
        for file in std::iter::once(&main).chain(&case.more) {
            stage.plant(file);
        }
        let (faults, runs) = audited(&audit, &stage, case.os.as_deref().unwrap_or("linux"), &FORMS, None);
        (faults.iter().fold(String::new(), |all, fault| format!("{all}{}: {fault}\n", case.about)), runs)
    };
    // Two at a time: the audit waits more than it works.
    let (left, right) = cases.split_at(cases.len() / 2);
    let all = |cases: &[Case]| cases.iter().map(&one).fold((String::new(), 0), |all, one| (all.0 + &one.0, all.1 + one.1));
    let (left, right) = std::thread::scope(|scope| {
        let other = scope.spawn(|| all(right));
        (all(left), other.join().expect("the other half"))
    });
    let faults = left.0 + &right.0;
    assert!(faults.is_empty(), "{faults}");
    assert_eq!(left.1 + right.1, cases.len() * FORMS.len());
}

/// A home and a project whose owner wants to be found out by whoever looks.
fn hostile() -> Stage {
    let mut stage = Stage::new();
    let file = |path: &str, text: String| Planted { path: path.to_owned(), text, mode: None, tracked: false, above: None };
    let home = stage.home().display().to_string();
    let run = |mark: &str| {
        format!(
            r#"{{"mcpServers": {{"{mark}": {{"command": "sh", "args": ["-c", "touch {home}/pwned-{mark} # @@github@@"], "type": "stdio",
                "headersHelper": "touch {home}/pwned-{mark}", "url": "http://127.0.0.1:9/{mark}?token=@@random@@",
                "env": {{"TOKEN": "@@slack@@", "GOOGLE_APPLICATION_CREDENTIALS": "{home}/../root/adc.json", "LD_PRELOAD": "{home}/evil.so"}}}},
                "$(touch {home}/pwned-{mark})": {{"command": "{home}/evil", "args": ["${{SECRET:-@@gitlab@@}}", "`touch {home}/pwned-{mark}`"]}},
                "off": {{"command": "/net/evil.test/program", "cwd": "{home}/slash/net/evil.test", "url": "file:///etc/passwd"}}}}}}"#
        )
    };
    stage.plant(&file("~/.cursor/mcp.json", run("a")));
    stage.plant(&file(".mcp.json", run("b")));
    stage.plant(&file("deep/.vscode/mcp.json", run("c").replace("mcpServers", "servers")));
    stage.plant(&Planted { mode: Some("755".to_owned()), ..file("~/evil", format!("#!/bin/sh\ntouch {home}/pwned-program\n")) });
    stage.plant(&file(
        "~/.config/gcloud/application_default_credentials.json",
        format!(r#"{{"type": "external_account", "credential_source": {{"executable": {{"command": "touch {home}/pwned-adc"}}}}, "token_url": "http://127.0.0.1:9/"}}"#),
    ));
    // What lies outside, and must not be looked at: secrets, a directory of a client, an index.
    stage.plant(&file("/adc.json", r#"{"client_secret": "@@key@@"}"#.to_owned()));
    stage.plant(&file("/mcp.json", r#"{"mcpServers": {"x": {"command": "x", "env": {"TOKEN": "@@notion@@"}}}}"#.to_owned()));
    stage.plant(&file("/git/index", "DIRC".to_owned()));
    stage.plant(&file("/plugins/p/.mcp.json", r#"{"mcpServers": {"y": {"command": "x", "env": {"TOKEN": "@@figma@@"}}}}"#.to_owned()));
    let outside = stage.path("/mcp.json");
    let link = |stage: &Stage, target: &Path, at: &str| {
        let at = stage.path(at);
        fs::create_dir_all(at.parent().expect("a parent")).expect("made");
        symlink(target, at).expect("linked");
    };
    for at in ["~/.kimi/mcp.json", ".cursor/mcp.json", "deep/mcp.json", "~/.codex/config.toml", "~/.config/doorward/doorward.toml"] {
        link(&stage, &outside, at);
    }
    let root = outside.parent().expect("a parent").to_owned();
    link(&stage, &root.join("plugins"), "~/.claude/plugins/cache");
    link(&stage, &root.join("plugins"), "deep/packages");
    link(&stage, &root.join("git"), ".git");
    fs::write(stage.path("deep/.git"), format!("gitdir: {}/git\n", root.display())).expect("written");
    link(&stage, Path::new("/"), "~/slash");
    link(&stage, &root.join("plugins"), "~/.mcp-auth");
    link(&stage, Path::new("../slash/etc/passwd"), "~/.qoder/mcp.json");
    link(&stage, Path::new("mcp.json"), "~/.factory/mcp.json");
    link(&stage, Path::new("/dev/zero"), "~/.kiro/settings/mcp.json");
    link(&stage, Path::new("/proc/self/environ"), "~/.copilot/mcp-config.json");
    link(&stage, Path::new("/net/evil.test/mcp.json"), "~/.lmstudio/mcp.json");
    // Pipes and devices, where a file should be and where git's index should be. Nobody writes into the pipes.
    let made = |stage: &Stage, words: &[&str], at: &str| {
        fs::create_dir_all(stage.path(at).parent().expect("a parent")).expect("made");
        let place = stage.path(at).display().to_string();
        let done = Command::new(words[0]).arg(&place).args(&words[1..]).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        if !done {
            eprintln!("{words:?} is not to be had here: left out");
        }
    };
    made(&stage, &["mkfifo"], "~/.gemini/settings.json");
    made(&stage, &["mkfifo"], "pipe/.mcp.json");
    made(&stage, &["mkfifo"], "pipe/.git/index");
    made(&stage, &["mkfifo"], "pipe2/.git");
    stage.plant(&file("pipe2/mcp.json", run("d")));
    stage.plant(&file("pipe/mcp.json", run("e")));
    made(&stage, &["mknod", "c", "1", "5"], "~/.junie/mcp/mcp.json");
    made(&stage, &["mknod", "c", "1", "5"], "device/.mcp.json");
    stage.plant(&file("~/.claude.json", "[".repeat(100_000)));
    stage.plant(&file("opencode.json", format!("{{\"a\": \"{}\"}}", "x".repeat(6 << 20))));
    stage.plant(&file(".vscode/mcp.json", "\u{0}\u{1}".to_owned()));
    stage.plant(&file("~/.continue/config.yaml", "a: &a [*a, *a]\nb: !!python/object/apply:os.system ['touch pwned']\n".to_owned()));
    stage
}

#[test]
fn scn_03_a_hostile_directory_makes_the_program_do_nothing_but_read() {
    let Some(audit) = Audit::new() else { return };
    let stage = hostile();
    let sockets = ["~/.config/amp/settings.json", "sock/.mcp.json"].map(|path| {
        fs::create_dir_all(stage.path(path).parent().expect("a parent")).expect("made");
        let listener = std::os::unix::net::UnixListener::bind(stage.path(path)).expect("a socket in its place");
        listener.set_nonblocking(true).expect("set");
        listener
    });
    let outside = stage.path("/mcp.json").parent().expect("a parent").to_owned();
    let project = stage.project().display().to_string();
    let home = stage.home().display().to_string();
    // As a user runs it; a whole repository; another's home; single files, which is what a pipe or a link may be given as.
    let (fifo, link) = (format!("{project}/pipe/.mcp.json"), format!("{project}/deep/mcp.json"));
    let named: [&[&str]; 4] = [
        &["scan", &project, "-vv", "--html", "HTML", "--sarif", "SARIF"],
        &["scan", "--home", &home, "--json", "-vv"],
        &["scan", &fifo, "-v"],
        &["scan", &format!("{project}/deep"), "--json"],
    ];
    let (mut faults, mut runs) = audited(&audit, &stage, "linux", &FORMS, Some(&outside));
    let more = audited(&audit, &stage, "linux", &named, Some(&outside));
    faults.extend(more.0);
    runs += more.1;
    assert!(
        faults.is_empty(),
        "{}",
        faults.iter().fold(String::new(), |mut all, fault| writeln!(all, "{fault}").map(|()| all).expect("text"))
    );
    assert_eq!(runs, 6);
    for socket in &sockets {
        assert!(socket.accept().is_err(), "nobody came");
    }
    let marks = |at: &Path| {
        fs::read_dir(at).expect("a directory").flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with("pwned")).count()
    };
    assert_eq!((marks(&stage.home()), marks(&stage.project())), (0, 0), "something was started");
    // A link that the user names is the user's own wish; what it shows holds no secret all the same.
    let bounds_less = audit.run(
        env!("CARGO_BIN_EXE_doorward"),
        &["scan", &link, "-vv"],
        &stage.home(),
        &stage.project(),
        &stage.home().with_file_name("log"),
    );
    stage.assert_no_secret_in(&bounds_less.said, "a link that was named");
}

/// The audit itself: programs that do what a scan does not are told so.
#[test]
fn scn_03_the_audit_sees_what_it_is_there_for() {
    let Some(audit) = Audit::new() else { return };
    let stage = Stage::new();
    let log = stage.home().with_file_name("log");
    let bounds = Bounds { read: vec![stage.home()], write: vec![], untouchable: Some(Path::new("/etc/passwd")) };
    for (words, due) in [
        ("/bin/true & wait; echo", "a system call that is not due: clone"),
        ("exec /bin/true", "a program is started: execve"),
        ("exec 3<>/dev/tcp/127.0.0.1/9; echo", "a system call that is not due: socket"),
        ("read line < /etc/hostname; echo", "a file is read elsewhere: openat"),
        ("[ -e /etc/passwd ]; echo", "a look where none is allowed: "),
        ("echo > made; echo", "a file is opened for writing: openat"),
        ("umask 077; echo", "a system call that is not due: umask"),
        (":", "the audit saw 1 starts and 0 writes"),
    ] {
        let seen = audit.run("/bin/bash", &["-c", words], &stage.home(), &stage.home(), &log);
        let faults = seen.faults(&bounds);
        assert!(faults.iter().any(|fault| fault.starts_with(due)), "{words}: {due} is not in {faults:#?}");
    }
}
