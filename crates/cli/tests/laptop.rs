//! Laptop mode as a person sees it: a terminal, nothing configured, a second start, a port that is taken.
#![expect(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot set its stage has failed")]

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

/// A home directory with nothing in it.
struct Home(PathBuf);

/// A gateway in laptop mode on a terminal of its own.
struct Laptop {
    child: Child,
    screen: File,
    seen: String,
}

impl Home {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("doorward-test-laptop-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("directory");
        Self(path)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorward"));
        command.args(arguments).env_clear().env("HOME", &self.0).env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("ran")
    }

    fn start(&self) -> Laptop {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("terminal");
        grantpt(&controller).expect("granted");
        unlockpt(&controller).expect("unlocked");
        let name = ptsname(&controller, Vec::new()).expect("name").into_string().expect("text");
        let terminal = || Stdio::from(OpenOptions::new().read(true).write(true).open(&name).expect("terminal"));
        let child = self.command(&["--port", "0"]).stdin(terminal()).stdout(terminal()).stderr(terminal()).spawn().expect("started");
        let mut laptop = Laptop { child, screen: File::from(controller), seen: String::new() };
        laptop.until("ready - Ctrl-C stops");
        laptop
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

impl Laptop {
    /// Reads the screen until a text stands on it; fails when the terminal closes before.
    fn until(&mut self, text: &str) {
        let mut buffer = [0; 4096];
        while !self.seen.contains(text) {
            let read = self.screen.read(&mut buffer).unwrap_or_else(|error| panic!("{error} after {}", self.seen));
            assert!(read > 0, "closed after {}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    }

    /// The secret of the last link on the screen.
    fn link(&self) -> Option<String> {
        let (_, rest) = self.seen.rsplit_once("/setup#")?;
        rest.split_whitespace().next().map(str::to_owned)
    }

    fn stop(mut self) -> (i32, String) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.child.id()).expect("pid")).expect("pid");
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("interrupted");
        let code = self.child.wait().expect("ended").code().expect("code");
        (code, std::mem::take(&mut self.seen))
    }
}

impl Drop for Laptop {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn json_of(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout)))
}

/// One request, without a body or with a form as a page of the gateway sends it; the whole answer.
fn page(address: &str, path: &str, form: Option<&str>) -> String {
    let mut stream = TcpStream::connect(address).expect("connected");
    let verb = if form.is_some() { "POST" } else { "GET" };
    let form = form.unwrap_or_default();
    let head = format!(
        "{verb} {path} HTTP/1.1\r\nHost: {address}\r\nSec-Fetch-Site: same-origin\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answer");
    answer
}

/// The first hidden value of a page.
fn hidden(page: &str) -> &str {
    page.split_once("name=\"csrf\" value=\"").and_then(|(_, rest)| rest.split('"').next()).expect("a form")
}

/// A call in 2026-07-28; the status and the message.
fn call(address: &str, key: &str, tool: &str, arguments: &Value) -> (u16, Value) {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments, "_meta": meta}})
        .to_string();
    let mut stream = TcpStream::connect(address).expect("connected");
    let head = format!(
        "POST /k/demo/mcp HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    stream.write_all(body.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answer");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("status");
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

#[test]
fn a_client_calls_a_tool_with_nothing_configured() {
    let home = Home::new("first");
    let mut laptop = home.start();
    let made = home.run(&["apikey", "create", "--server", "demo"]);
    let key = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    let status = json_of(&home.run(&["--json"]));
    assert_eq!((&status["ok"], &status["state"]), (&true.into(), &"ready".into()), "a second start tells of the first: {status}");
    let address = status["url"].as_str().and_then(|url| url.strip_prefix("http://")).expect("address").to_owned();
    assert!(address.starts_with("127.0.0.1:"), "L1");
    let (code, echoed) = call(&address, &key, "echo", &json!({"text": "hello"}));
    assert_eq!((code, echoed.pointer("/result/content/0/text")), (200, Some(&"hello".into())), "{echoed}");
    let (_, refused) = call(&address, &key, "delete_note", &json!({"id": "1"}));
    assert!(refused.to_string().contains("not granted") || refused.get("error").is_some(), "L11: {refused}");
    assert_eq!(call(&address, "dwk_wrong", "echo", &json!({"text": "hello"})).0, 401, "L3");
    laptop.until("demo__echo");
    laptop.until("demo__delete_note");
    laptop.until("mistyped_credential");
    assert!(laptop.seen.contains("allowed") && laptop.seen.contains("refused"), "{}", laptop.seen);
    let verified = home.run(&["--json", "audit", "verify"]);
    assert_eq!(json_of(&verified)["ok"], true);
    assert_eq!(laptop.stop().0, 0);
}

#[test]
fn ui_04_the_link_is_shown_once_works_once_and_is_kept_nowhere() {
    let home = Home::new("once");
    let mut laptop = home.start();
    let link = laptop.link().expect("a link");
    let status = json_of(&home.run(&["--json"]));
    let address = status["url"].as_str().and_then(|url| url.strip_prefix("http://")).expect("address").to_owned();
    let form = format!("csrf={}&code={link}", hidden(&page(&address, "/setup", None)));
    let claimed = page(&address, "/setup", Some(&form));
    assert!(claimed.starts_with("HTTP/1.1 303 ") && claimed.contains("__Host-dw_session=dww_"), "{claimed}");
    assert!(page(&address, "/setup", Some(&form)).starts_with("HTTP/1.1 404 "), "it works once");
    // L7: whoever looks for a way in on this computer makes the terminal print another one.
    laptop.until(&format!("setup#{link}"));
    assert!(page(&address, "/login", None).contains("has just printed a fresh link"));
    laptop.until("wants to sign in");
    laptop.until("/setup#dwl_");
    while laptop.link().is_none_or(|fresh| fresh == link || fresh.len() < link.len()) {
        let before = laptop.seen.len();
        let mut buffer = [0; 4096];
        let read = laptop.screen.read(&mut buffer).expect("the screen");
        laptop.seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
        assert!(laptop.seen.len() > before, "closed");
    }
    // And the command line does.
    let made = home.run(&["admin-link"]);
    let other = String::from_utf8_lossy(&made.stdout).trim().to_owned();
    assert!(other.starts_with(&format!("http://{address}/setup#dwl_")), "{other}");
    assert_eq!(laptop.stop().0, 0);
    let again = home.start();
    assert_eq!(again.link(), None, "somebody is signed in: {}", again.seen);
    again.stop();
    let key = link;
    let mut files = vec![home.0.clone()];
    let mut read = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).expect("listing").map(|entry| entry.expect("entry").path()));
        } else {
            let bytes = std::fs::read(&path).expect("file");
            assert!(!bytes.windows(key.len()).any(|window| window == key.as_bytes()), "the link stands in {}", path.display());
            read += 1;
        }
    }
    assert!(read >= 4, "database, record and keys are there");
}

#[test]
fn l2_without_a_file_and_a_terminal_it_does_not_start() {
    let home = Home::new("blind");
    let ran = home.run(&["--json"]);
    assert_eq!(ran.status.code(), Some(3));
    assert_eq!(json_of(&ran)["errors"][0]["id"], "laptop.no_terminal");
    let ran = home.run(&["--json", "serve"]);
    assert_eq!(ran.status.code(), Some(3));
    assert_eq!(json_of(&ran)["errors"][0]["id"], "serve.no_configuration");
    assert_eq!(std::fs::read_dir(&home.0).expect("listing").count(), usize::from(home.0.join(".local").exists()), "nothing else was made");
}

#[test]
fn l14_a_taken_port_is_named_with_its_owner_and_never_moved() {
    let home = Home::new("taken");
    let taken = TcpListener::bind("127.0.0.1:0").expect("port");
    let port = taken.local_addr().expect("address").port().to_string();
    std::fs::create_dir_all(home.0.join(".config/doorward")).expect("directory");
    std::fs::write(home.0.join(".config/doorward/doorward.toml"), "").expect("file");
    let ran = home.run(&["--json", "--port", &port]);
    assert_eq!(ran.status.code(), Some(4), "{}", String::from_utf8_lossy(&ran.stdout));
    let error = json_of(&ran)["errors"][0].clone();
    assert_eq!(error["id"], "setup.port_taken");
    let message = error["message"].as_str().expect("message");
    assert!(message.contains(&port) && message.contains(&format!("process {}", std::process::id())), "{message}");
}

#[test]
fn the_variable_for_clients_is_in_the_way_of_no_command() {
    let home = Home::new("variable");
    for arguments in [&["--json", "config", "check"] as &[&str], &["--json", "server", "list"]] {
        let ran = home.command(arguments).env("DOORWARD_KEY", "dwk_x").output().expect("ran");
        assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stdout));
        assert!(!String::from_utf8_lossy(&ran.stdout).contains("dwk_x"));
    }
}

#[test]
fn l1_no_option_opens_it_to_others() {
    let home = Home::new("open");
    let ran = home.command(&["--json"]).env("DOORWARD_LISTEN__ADDRESS", "0.0.0.0:8417").output().expect("ran");
    assert_eq!(ran.status.code(), Some(3), "{}", String::from_utf8_lossy(&ran.stdout));
}

#[test]
fn configurations_in_the_readme_are_good() {
    let home = Home::new("readme");
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).expect("README.md");
    let blocks: Vec<&str> = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!blocks.is_empty());
    for (at, block) in blocks.iter().enumerate() {
        let file = home.0.join(format!("doorward-{at}.toml"));
        std::fs::write(&file, block).expect("file");
        let ran = home.run(&["--json", "--config", file.to_str().expect("path"), "config", "check"]);
        assert_eq!(ran.status.code(), Some(0), "{block}{}", String::from_utf8_lossy(&ran.stdout));
    }
}
