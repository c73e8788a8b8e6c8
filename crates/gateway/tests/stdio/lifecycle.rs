//! Every end of every child (STD-07): nothing survives, nothing stays a zombie, no descriptor and no directory is left.

use crate::bench::{Bench, FIXTURE, Scratch, dead, is_gone, line, soon};
use doorward_gateway::env::Env;
use doorward_gateway::upstream::stdio::ending::Why;
use doorward_gateway::upstream::stdio::household::{Launcher, Options, StartError};
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Ignores SIGTERM and closed pipes, starts a child of the same kind, a double-forked one in its session, and a daemon
/// in a session of its own; prints all four ids.
const STUBBORN: &str = r#"
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
r, w = os.pipe()
def sleep():
    os.write(w, b"%d\n" % os.getpid())
    while True: time.sleep(600)
if os.fork() == 0: sleep()
if (p := os.fork()) == 0:
    if os.fork() == 0: sleep()
    os._exit(0)
os.waitpid(p, 0)
if (p := os.fork()) == 0:
    os.setsid()
    if os.fork() == 0:
        os.environ.clear(); os.chdir("/"); sleep()
    os._exit(0)
os.waitpid(p, 0)
ids = b""
while ids.count(b"\n") < 3: ids += os.read(r, 100)
print(os.getpid(), *[i.decode() for i in ids.split()], flush=True)
while True: time.sleep(600)
"#;

fn ids(line: &str) -> Vec<i32> {
    line.split(' ').map(|id| id.parse().expect("pid")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn std_07_a_stubborn_child_and_its_runaways_are_gone_after_close() {
    let bench = Bench::new();
    let (child, mut lines) = bench.python(STUBBORN).await;
    let family = ids(&line(&mut lines).await);
    assert_eq!(family.len(), 4);
    let began = Instant::now();
    let ending = soon(child.close()).await.expect("end");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!((ending.why, ending.status.and_then(|s| s.signal())), (Why::Closed, Some(9)));
    for pid in family {
        assert!(is_gone(pid), "{pid} is left");
    }
    assert!(bench.state.homes().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn std_07_a_child_that_ends_by_itself_takes_its_family_along() {
    let bench = Bench::new();
    let program = STUBBORN.strip_suffix("while True: time.sleep(600)\n").expect("the last line");
    let (child, mut lines) = bench.python(program).await;
    let family = ids(&line(&mut lines).await);
    assert_eq!(crate::bench::ended(&child).await.why, Why::Exited);
    for pid in family {
        assert!(is_gone(pid), "{pid} is left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn std_07_dropping_a_child_kills_its_group() {
    let bench = Bench::new();
    let (child, mut lines) = bench.python(STUBBORN).await;
    let family = ids(&line(&mut lines).await);
    let mut exited = child.exited();
    drop(child);
    soon(exited.wait_for(Option::is_some)).await.expect("watched");
    for pid in family {
        assert!(is_gone(pid), "{pid} is left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn std_07_a_polite_child_ends_when_its_input_ends() {
    let bench = Bench::new();
    let (child, mut lines) =
        bench.python("import sys\nprint('up', flush=True)\nsys.stdin.read()\nprint('last', flush=True)\nsys.exit(7)").await;
    assert_eq!(line(&mut lines).await, "up");
    let ending = soon(child.close()).await.expect("end");
    assert_eq!((ending.why, ending.status.and_then(|s| s.code())), (Why::Closed, Some(7)));
    assert_eq!(line(&mut lines).await, "last");
}

/// A gateway in a process of its own with `count` children.
struct Held {
    process: std::process::Child,
    output: BufReader<std::process::ChildStdout>,
    pids: Vec<i32>,
}

fn hold(state: &Scratch, count: u32, program: &str) -> Held {
    let mut process = Command::new(FIXTURE)
        .arg(&state.0)
        .args([&count.to_string(), "/usr/bin/python3", &state.script(program)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("gateway");
    let mut output = BufReader::new(process.stdout.take().expect("pipe"));
    let mut pids = Vec::new();
    loop {
        let mut text = String::new();
        assert_ne!(output.read_line(&mut text).expect("read"), 0, "the gateway ended early");
        match text.trim() {
            "ready" => break,
            pid => pids.push(pid.parse().expect("pid")),
        }
    }
    Held { process, output, pids }
}

#[tokio::test(flavor = "multi_thread")]
async fn std_07_fifty_children_die_with_a_gateway_that_is_killed() {
    let state = Scratch::new();
    let mut held = hold(&state, 50, "import signal,time\nsignal.signal(15, signal.SIG_IGN)\ntime.sleep(600)");
    assert_eq!(held.pids.len(), 50);
    assert!(held.pids.iter().all(|pid| !is_gone(*pid)));
    assert_eq!(state.homes().len(), 50);
    held.process.kill().expect("kill");
    held.process.wait().expect("wait");
    for pid in &held.pids {
        dead(*pid).await;
    }
    // The next gateway cleans up what the killed one could not.
    let mut options = Options::new(state.0.clone());
    options.program = FIXTURE.into();
    let launcher = Launcher::start(options.clone(), Env::system()).expect("the lock went with the process");
    assert!(state.homes().is_empty());
    assert!(matches!(Launcher::start(options, Env::system()), Err(StartError::InUse)));
    drop(launcher);
}

#[tokio::test(flavor = "multi_thread")]
async fn std_07_fifty_children_that_ignore_everything_are_gone_after_a_graceful_stop() {
    let state = Scratch::new();
    let mut held = hold(&state, 50, "import signal,time\nsignal.signal(15, signal.SIG_IGN)\ntime.sleep(600)");
    let began = Instant::now();
    drop(held.process.stdin.take());
    let mut text = String::new();
    held.output.read_line(&mut text).expect("read");
    assert_eq!(text.trim(), "left 0, 0 descriptors more");
    assert!(held.process.wait().expect("wait").success());
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(held.pids.iter().all(|pid| is_gone(*pid)));
    assert!(state.homes().is_empty());
}
