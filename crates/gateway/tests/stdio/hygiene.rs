//! What a child is given, and what it is not (STD-02, STD-03, STD-05).

use crate::bench::{Bench, Scratch, ended, line, soon, variable};
use bytes::Bytes;
use doorward_gateway::upstream::stdio::child::Gone;
use doorward_gateway::upstream::stdio::ending::Why;
use doorward_gateway::upstream::stdio::household::LaunchError;
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

const DUMP: &str = r#"
import json, os, resource
status = dict(l.split(":", 1) for l in open("/proc/self/status").read().splitlines())
old = os.umask(0); os.umask(old)
try: tty = bool(os.open("/dev/tty", os.O_RDWR))
except OSError: tty = False
fds = [f for f in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + f)]
print(json.dumps({
  "env": {k.decode(): v.decode() for k, v in (e.split(b"=", 1) for e in open("/proc/self/environ","rb").read().split(b"\0") if e)},
  "fds": sorted(fds), "cwd": os.getcwd(), "umask": old, "pid": os.getpid(), "pgid": os.getpgid(0), "sid": os.getsid(0),
  "core": resource.getrlimit(resource.RLIMIT_CORE), "data": resource.getrlimit(resource.RLIMIT_DATA),
  "files": resource.getrlimit(resource.RLIMIT_NOFILE), "nproc": resource.getrlimit(resource.RLIMIT_NPROC),
  "blocked": int(status["SigBlk"], 16), "nnp": int(status["NoNewPrivs"]), "cpus": len(os.sched_getaffinity(0)),
  "argv": [a.decode() for a in open("/proc/self/cmdline","rb").read().split(b"\0")][2:], "tty": tty,
  "mode": os.stat(".").st_mode & 0o7777}), flush=True)
"#;

async fn dump(bench: &Bench, arguments: &[&str]) -> Value {
    let (child, mut lines) = bench.python_with(DUMP, arguments, vec![variable("API_KEY", "s3cret\nvalue")]).await;
    let found = serde_json::from_str(&line(&mut lines).await).expect("json");
    assert_eq!(ended(&child).await.why, Why::Exited);
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn std_03_a_child_has_exactly_what_it_was_given() {
    let bench = Bench::new();
    // This process has an environment, sockets, and a descriptor that is not close-on-exec.
    assert!(std::env::vars().count() > 4);
    let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("socket");
    let leaky = rustix::io::dup(&socket).expect("dup");
    assert!(!rustix::io::fcntl_getfd(&leaky).expect("flags").contains(rustix::io::FdFlags::CLOEXEC));

    let found = dump(&bench, &[]).await;
    let env: BTreeMap<String, String> = serde_json::from_value(found["env"].clone()).expect("env");
    let cwd = found["cwd"].as_str().expect("cwd").to_owned();
    let want = [
        ("API_KEY", "s3cret\nvalue"),
        ("HOME", cwd.as_str()),
        ("LANG", "C.UTF-8"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("TMPDIR", cwd.as_str()),
        ("TZ", "UTC"),
    ];
    assert_eq!(env, want.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
    assert_eq!(found["fds"], serde_json::json!(["0", "1", "2"]));
    assert!(cwd.starts_with(bench.state.0.to_str().expect("text")), "{cwd}");
    assert_eq!((found["umask"].as_u64(), found["mode"].as_u64()), (Some(0o077), Some(0o700)));
    assert_eq!((&found["pgid"], &found["sid"]), (&found["pid"], &found["pid"]));
    assert_eq!(found["core"], serde_json::json!([0, 0]));
    assert_eq!(found["data"], serde_json::json!([1 << 29, 1 << 29]));
    assert_eq!(found["nproc"][0], found["nproc"][1]);
    assert!(found["nproc"][0].as_u64().is_some_and(|n| (4096..1_000_000).contains(&n)), "{}", found["nproc"]);
    assert!(found["files"][1].as_u64().is_some_and(|n| n <= 1024));
    assert_eq!((found["blocked"].as_u64(), found["nnp"].as_u64(), found["cpus"].as_u64()), (Some(0), Some(1), Some(1)));
    assert_eq!(found["tty"], false);
    assert!(bench.state.homes().is_empty(), "the private directory went with the process");
}

#[tokio::test(flavor = "multi_thread")]
async fn std_02_arguments_arrive_as_they_are() {
    let arguments = ["; id", "$(id)", "`id`", "*", "@file", "-o", "--config=/etc/x", "a  b", "", "\u{e9}"];
    let found = dump(&Bench::new(), &arguments).await;
    let mut argv: Vec<String> = serde_json::from_value(found["argv"].clone()).expect("argv");
    assert_eq!(argv.pop().as_deref(), Some(""), "cmdline ends with NUL");
    assert_eq!(argv, arguments);
}

#[tokio::test(flavor = "multi_thread")]
async fn std_02_a_line_to_the_child_cannot_become_two() {
    let bench = Bench::new();
    let (child, mut lines) = bench.python("import sys\nfor l in sys.stdin: print(repr(l), flush=True)").await;
    assert_eq!(child.send(Bytes::from_static(b"{}\n{}")).await, Err(Gone::NotOneLine));
    assert_eq!(child.send(Bytes::from_static(b"{}\r{}")).await, Err(Gone::NotOneLine));
    child.send(Bytes::from_static(b"{}")).await.expect("one line");
    assert_eq!(line(&mut lines).await, r"'{}\n'");
    assert_eq!(soon(child.close()).await.expect("end").why, Why::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn std_03_a_program_that_cannot_run_is_an_error_and_leaves_nothing() {
    let bench = Bench::new();
    let script = bench.state.0.join("script");
    std::fs::write(&script, "echo from a shell\n").expect("script");
    let cases = [("/nonexistent/program", None), ("/etc/passwd", None), ("/usr/bin/python3", Some("/nonexistent/dir"))];
    for (program, cwd) in cases {
        let refused = bench.launch(&[program], vec![], cwd.map(std::path::Path::new)).await.err();
        assert!(matches!(refused, Some(LaunchError::Refused(_))), "{program}: {refused:?}");
    }
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("mode");
    let script = script.to_str().expect("text");
    let refused = bench.launch(&[script], vec![], None).await.err();
    assert!(matches!(refused, Some(LaunchError::Refused(_))), "execvp would give it to a shell: {refused:?}");
    std::fs::write(script, "#!/nonexistent/interpreter\n").expect("script");
    let child = bench.launch(&[script], vec![], None).await.expect("the kernel says no only in execve");
    assert_eq!(ended(&child).await.why, Why::NotStarted);
    assert!(bench.state.homes().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn std_05_two_users_have_two_processes_and_two_directories() {
    let bench = Bench::new();
    let program = "import os,sys\nopen('mine','w').write(os.environ['KEY'])\nprint(os.getcwd(), open('mine').read(), len(os.listdir('.')), flush=True)\nsys.stdin.read()";
    let (alice, mut of_alice) = bench.python_with(program, &[], vec![variable("KEY", "alice")]).await;
    let (bob, mut of_bob) = bench.python_with(program, &[], vec![variable("KEY", "bob")]).await;
    let (a, b) = (line(&mut of_alice).await, line(&mut of_bob).await);
    assert!(a.ends_with(" alice 1") && b.ends_with(" bob 1"), "{a} {b}");
    assert_ne!(a.split(' ').next(), b.split(' ').next());
    assert_ne!(alice.pid(), bob.pid());
}

#[tokio::test(flavor = "multi_thread")]
async fn std_03_a_configured_directory_is_used_and_kept() {
    let bench = Bench::new();
    let given = Scratch::new();
    let argv = ["/usr/bin/python3", "-c", "import os; print(os.getcwd(), flush=True)"];
    let mut child = bench.launch(&argv, vec![], Some(&given.0)).await.expect("launch");
    assert_eq!(line(&mut child.take_lines().expect("first")).await, given.0.to_str().expect("text"));
    ended(&child).await;
    assert!(given.0.is_dir());
}
