//! `doorward login`, `token`, `whoami` and `logout` where the other side means harm, or this side cannot keep what it is given.

#![expect(clippy::expect_used, reason = "a test that cannot set its stage has failed")]

#[expect(dead_code, reason = "not everything is needed here")]
#[path = "it/house.rs"]
mod house;

use house::{House, Said};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A gateway that is none. What it was asked comes out of `asked`, path and body.
struct Fake {
    url: String,
    asked: Receiver<(String, String)>,
}

/// What it answers to one request.
enum Answer {
    Json(u16, String),
    /// A beginning, and then nothing until the other side has gone.
    Never,
}

/// No user of this machine.
const MALLORY: u32 = 4242;
/// Longer than anything here may take, shorter than anybody waits for a test.
const LONG: Duration = Duration::from_secs(25);

impl Fake {
    fn start(answer: impl Fn(&str, &str) -> Answer + Send + Clone + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (tell, asked) = channel();
        let root = url.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (tell, answer, root) = (tell.clone(), answer.clone(), root.clone());
                std::thread::spawn(move || serve(stream, &tell, &root, answer));
            }
        });
        Self { url, asked }
    }

    /// One that gives what is asked for at once.
    fn generous() -> Self {
        Self::start(generous)
    }

    /// The paths that were asked for until now.
    fn paths(&self) -> Vec<String> {
        self.asked.try_iter().map(|(path, _)| path).collect()
    }
}

fn generous(path: &str, root: &str) -> Answer {
    let text = match path {
        "/.well-known/oauth-authorization-server" => format!("{{\"issuer\":\"{root}\"}}"),
        "/oauth/device" => format!(
            "{{\"device_code\":\"d\",\"user_code\":\"BCDF-GHJK\",\"verification_uri\":\"{root}/device\",\"expires_in\":60,\"interval\":1}}"
        ),
        "/oauth/token" => {
            "{\"access_token\":\"new-access\",\"refresh_token\":\"new-refresh\",\"expires_in\":900,\"scope\":\"crm:read\"}".to_owned()
        }
        _ => String::new(),
    };
    Answer::Json(200, text)
}

fn serve(stream: TcpStream, tell: &Sender<(String, String)>, root: &str, answer: impl Fn(&str, &str) -> Answer) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let (mut line, mut length) = (String::new(), 0_usize);
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let answer = answer(&path, root);
    tell.send((path, String::from_utf8_lossy(&body).into_owned())).ok()?;
    let mut stream = stream;
    let head = "Content-Type: application/json\r\nConnection: close\r\n";
    match answer {
        Answer::Json(status, text) => write!(stream, "HTTP/1.1 {status} X\r\n{head}Content-Length: {}\r\n\r\n{text}", text.len()).ok()?,
        Answer::Never => {
            write!(stream, "HTTP/1.1 200 X\r\n{head}Content-Length: 1000\r\n\r\n ").ok()?;
            reader.read_to_end(&mut Vec::new()).ok()?;
        }
    }
    Some(())
}

/// A sign-in as it is kept. `expires` in milliseconds.
fn sign_in(gateway: &str, server: &str, expires: u64) -> String {
    format!(
        "{{\"gateway\":\"{gateway}\",\"server\":\"{server}\",\"scope\":\"{server}:read\",\"access\":\"a-{server}\",\"refresh\":\"r-{server}\",\
         \"expires\":{expires},\"since\":0,\"ca\":null}}"
    )
}

fn keeps(house: &House, all: &[String]) {
    house.file("state/sign-ins.json", &format!("{{\"v\":1,\"sign_ins\":[{}]}}", all.join(",")));
}

/// Far away.
const FRESH: u64 = 40_000_000_000_000;

/// Runs a command, for a bounded time.
fn soon(house: &House, arguments: &[&str]) -> Option<Said> {
    let mut child = house.command(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let (mut out, mut err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let mut texts = (String::new(), String::new());
        out.read_to_string(&mut texts.0).ok();
        err.read_to_string(&mut texts.1).ok();
        tell.send(texts).ok();
    });
    let texts = told.recv_timeout(LONG).ok();
    if texts.is_none() {
        child.kill().ok();
    }
    let status = child.wait().expect("waited");
    texts.map(|(out, err)| Said { exit: status.code().unwrap_or(-1), out, err })
}

/// A process that does not outlive its test, however that ends.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A gateway of another user on this machine; what it is sent comes out.
fn mallory(port: u16) -> (Killed, BufReader<std::process::ChildStdout>) {
    let code = "import sys,http.server as h\n\
        class H(h.BaseHTTPRequestHandler):\n\
        \x20def do_GET(s):\n\
        \x20 t=b'{\"issuer\":\"http://127.0.0.1:%d\"}'%s.server.server_port\n\
        \x20 print('GOT',s.path,flush=True);s.send_response(200);s.send_header('Content-Length',str(len(t)));s.end_headers();s.wfile.write(t)\n\
        \x20def do_POST(s):\n\
        \x20 print('GOT',s.rfile.read(int(s.headers['Content-Length'])),flush=True);s.send_response(400);s.end_headers()\n\
        \x20def log_message(s,*a): pass\n\
        w=h.HTTPServer(('127.0.0.1',int(sys.argv[1])),H);print(w.server_port,flush=True);w.serve_forever()\n";
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", code, &port.to_string()]).current_dir("/").uid(MALLORY).gid(MALLORY);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
    let out = BufReader::new(child.stdout.take().expect("piped"));
    (Killed(child), out)
}

#[test]
fn a_listener_of_another_user_gets_no_token_and_one_that_was_named_does() {
    if !is_root() || !Path::new("/usr/bin/python3").exists() || !Path::new("/proc/net/tcp").exists() {
        eprintln!("not tried: only root can listen as somebody else, with /usr/bin/python3, where the system says who listens");
        return;
    }
    let (child, mut out) = mallory(0);
    let mut line = String::new();
    out.read_line(&mut line).expect("a port");
    let url = format!("http://127.0.0.1:{}", line.trim());
    let house = House::empty();
    keeps(&house, &[sign_in(&url, "crm", 0)]);
    let said = house.run(&["token", "crm"]);
    assert!(said.exit == 6 && said.err.contains("uid 4242") && said.err.contains("nothing was sent"), "{said}");
    let said = house.run(&["login", "crm", "--gateway", &url, "--json"]);
    assert!(said.exit == 6 && said.out.contains("login.listener"), "{said}");
    let said = house.run(&["logout"]);
    assert!(said.exit == 4 && said.err.contains("could not be told"), "{said}");
    // Named once, at the sign-in, that user is asked.
    let named = sign_in(&url, "crm", 0).replace("\"ca\":null", "\"ca\":null,\"served_by\":4242");
    keeps(&house, &[named]);
    let said = house.run(&["token", "crm"]);
    assert_eq!(said.exit, 4, "{said}");
    let said = house.run(&["login", "crm", "--gateway", &url, "--served-by", "4243"]);
    assert!(said.exit == 6 && said.err.contains("uid 4242"), "another one is not: {said}");
    for wrong in ["nobody", "65534", "no-such-user", "-1", ""] {
        let said = house.run(&["login", "crm", "--gateway", &url, &format!("--served-by={wrong}"), "--json"]);
        assert!(said.exit == 2 && said.out.contains("login.served_by"), "{wrong}: {said}");
    }
    let said = house.run(&["login", "crm", "--gateway", "https://127.0.0.1:1", "--served-by", "4242", "--json"]);
    assert!(said.exit == 2 && said.out.contains("login.served_by"), "a certificate says who serves: {said}");
    drop(child);
    let got: Vec<String> = out.lines().map_while(Result::ok).collect();
    assert_eq!(got.len(), 2, "{got:?}");
    assert!(got[0].contains("/.well-known/oauth-authorization-server") && got[1].contains("refresh_token=r-crm"), "{got:?}");
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|found| std::os::unix::fs::MetadataExt::uid(&found) == 0)
}

#[test]
fn a_gateway_that_does_not_answer_holds_up_no_other() {
    let slow = Fake::start(|path, root| if path == "/oauth/token" { Answer::Never } else { generous(path, root) });
    let quick = Fake::generous();
    let house = House::empty();
    keeps(&house, &[sign_in(&slow.url, "slow", 0), sign_in(&quick.url, "stale", 0), sign_in(&quick.url, "crm", FRESH)]);
    let hung = house.command(&["token", "slow"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut hung = Killed(hung);
    let asked = (0..2).map(|_| slow.asked.recv_timeout(LONG).expect("asked").0).collect::<Vec<_>>();
    assert_eq!(asked.last().map(String::as_str), Some("/oauth/token"));
    for (arguments, wanted) in
        [(&["whoami"][..], "slow"), (&["token", "crm"], "a-crm"), (&["token", "stale"], "new-access"), (&["logout", "stale"], "")]
    {
        let said = soon(&house, arguments).expect("an answer in time");
        assert!(said.exit == 0 && said.out.contains(wanted), "{arguments:?}: {said}");
        assert!(hung.0.try_wait().expect("asked").is_none(), "{arguments:?} did not wait for it");
    }
}

#[test]
fn nobody_is_asked_for_what_cannot_be_kept() {
    let fake = Fake::generous();
    let house = House::empty();
    keeps(&house, &[sign_in(&fake.url, "other", FRESH)]);
    let file = house.path("state/sign-ins.json");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).expect("opened");
    let said = house.run(&["login", "crm", "--gateway", &fake.url, "--json"]);
    assert!(said.exit == 6 && said.out.contains("login.mode"), "{said}");
    assert_eq!(fake.paths(), Vec::<String>::new(), "the person was not asked, nor the gateway");
}

#[test]
fn what_could_not_be_kept_is_given_back() {
    // Something comes in the way while the person decides: of reading, and of writing.
    for (of_reading, id) in [(true, "login.mode"), (false, "login.file")] {
        let house = House::empty();
        let process = Arc::new(OnceLock::new());
        let (state, of) = (house.path("state"), Arc::clone(&process));
        let fake = Fake::start(move |path, root| {
            if path == "/oauth/token" {
                let draft = format!(".sign-ins.json.{}", of.wait());
                std::fs::create_dir_all(state.join(if of_reading { "sign-ins.json" } else { &draft })).expect("made");
            }
            generous(path, root)
        });
        let mut command = house.command(&["login", "crm", "--gateway", &fake.url, "--json"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        process.set(child.id()).expect("once");
        let output = child.wait_with_output().expect("ended");
        let out = String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success() && out.contains(id) && !out.contains("new-refresh"), "{out}");
        let asked: Vec<(String, String)> = fake.asked.try_iter().collect();
        let revokes: Vec<&str> = asked.iter().filter(|(path, _)| path == "/oauth/revoke").map(|(_, body)| body.as_str()).collect();
        assert_eq!(revokes.len(), 1, "{asked:?}");
        assert!(revokes[0].contains("token=new-refresh"), "{revokes:?}");
        assert!(!house.run(&["whoami"]).out.contains("crm"));
    }
}

#[test]
fn a_token_is_never_put_where_other_users_read_it() {
    let fake = Fake::generous();
    let house = House::empty();
    let said = house.run(&["login", "crm", "--gateway", &fake.url]);
    assert!(said.exit == 0 && said.err.contains("doorward token crm --header | curl -H @- "), "{said}");
    let said = house.run(&["token", "crm", "--header"]);
    assert_eq!((said.exit, said.out.as_str()), (0, "Authorization: Bearer new-access\n"), "{said}");
    assert_eq!(house.run(&["token", "crm", "--header", "--json"]).exit, 2);
    // Arguments of a process are read by every user of a machine.
    let bad = concat!("$(door", "ward token");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut waiting = vec![root.join("docs"), root.join("crates"), root.join("README.md"), root.join("CHANGELOG.md")];
    let mut seen = 0;
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(std::fs::read_dir(&path).expect("listed").map(|entry| entry.expect("an entry").path()));
        } else if path.extension().is_some_and(|end| ["md", "rs", "html", "trycmd"].iter().any(|known| end == *known)) {
            seen += 1;
            let text = std::fs::read_to_string(&path).expect("text");
            assert!(!text.contains(bad), "{}: every user of a machine reads arguments", path.display());
        }
    }
    assert!(seen > 100, "{seen}");
}
