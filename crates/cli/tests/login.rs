//! `doorward login`, `whoami`, `token` and `logout` from end to end: the program, a gateway process, and a person at a scripted browser.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot set its stage has failed")]

#[expect(dead_code, reason = "not everything is needed here")]
#[path = "it/house.rs"]
mod house;

use doorward_cli::client::{Ask, Reply};
use doorward_core::oauth::form::encoded;
use doorward_testkit::fixture::Era;
use doorward_testkit::fixture::door::Running;
use house::{House, Said};
use http::Method;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Stdio};
use std::time::Duration;

/// The browser of the administrator.
struct Browser {
    at: SocketAddr,
    jar: BTreeMap<String, String>,
}

/// A `login` that waits for its person.
struct Waiting {
    child: Child,
    user_code: String,
    rest: BufReader<std::process::ChildStdout>,
}

impl Browser {
    async fn signed_in(house: &House, gateway: &str) -> Self {
        let at = gateway.strip_prefix("http://").and_then(|at| at.parse().ok()).expect("an address");
        let mut browser = Self { at, jar: BTreeMap::new() };
        let link = house.run(&["admin-link"]);
        let code = link.out.trim().split_once('#').expect("a link").1.to_owned();
        let page = browser.goes("/setup").await;
        let reply = browser.sends(&page, "/setup", &[("code", &code)]).await;
        assert_eq!(reply.status.as_u16(), 303);
        browser
    }

    async fn goes(&mut self, path: &str) -> Reply {
        self.asks(Ask::new(Method::GET, path).field("sec-fetch-site", "none")).await
    }

    /// The hidden fields of a page's form, with these.
    async fn sends(&mut self, page: &Reply, path: &str, fields: &[(&str, &str)]) -> Reply {
        let text = String::from_utf8_lossy(&page.body).into_owned();
        let form = text.split("<form").nth(1).and_then(|rest| rest.split("</form>").next()).unwrap_or_else(|| panic!("no form in {text}"));
        let value =
            |input: &str, name: &str| input.split(&format!("{name}=\"")).nth(1).and_then(|rest| rest.split('"').next()).map(str::to_owned);
        let hidden = form.split("<input").filter(|input| input.contains("type=\"hidden\""));
        let hidden: Vec<(String, String)> = hidden.filter_map(|input| Some((value(input, "name")?, value(input, "value")?))).collect();
        let own = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let pairs: Vec<String> = hidden.into_iter().chain(own).map(|(name, value)| format!("{name}={}", encoded(&value))).collect();
        self.asks(Ask::form(path, pairs.join("&")).field("sec-fetch-site", "same-origin")).await
    }

    async fn asks(&mut self, ask: Ask) -> Reply {
        let cookies: Vec<String> = self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let reply = ask.field("cookie", &cookies.join("; ")).send(self.at).await.expect("an answer");
        for value in reply.headers.get_all("set-cookie") {
            let (name, value) = value.to_str().expect("text").split_once('=').expect("a pair");
            self.jar.insert(name.to_owned(), value.split(';').next().unwrap_or_default().to_owned());
        }
        reply
    }

    /// Types a code and decides.
    async fn decides(&mut self, user_code: &str, decision: &str) -> String {
        let page = self.goes("/device").await;
        let question = self.sends(&page, "/device", &[("user_code", user_code)]).await;
        assert!(String::from_utf8_lossy(&question.body).contains("Doorward command line"), "{}", String::from_utf8_lossy(&question.body));
        // As long as anybody reads: the gateway takes no decision that is quicker.
        tokio::time::sleep(Duration::from_millis(800)).await;
        let fields = [("decision", decision), ("device", "mine"), ("grant", "fixture:read"), ("duration", "8h")];
        let done = self.sends(&question, "/oauth/consent", &fields).await;
        String::from_utf8_lossy(&done.body).into_owned()
    }
}

impl Waiting {
    fn start(house: &House, arguments: &[&str]) -> Self {
        let mut command = house.command(arguments);
        let mut waiting = Self::of(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"));
        let (mut line, mut seen) = (String::new(), String::new());
        while waiting.rest.read_line(&mut line).expect("readable") > 0 {
            seen.push_str(&line);
            if let Some((_, code)) = line.split_once("type this code:") {
                waiting.user_code = code.trim().to_owned();
                return waiting;
            }
            if let Some(code) =
                serde_json::from_str::<Value>(&line).ok().and_then(|line| line.get("user_code")?.as_str().map(str::to_owned))
            {
                waiting.user_code = code;
                return waiting;
            }
            line.clear();
        }
        let mut error = String::new();
        waiting.child.stderr.take().expect("piped").read_to_string(&mut error).ok();
        panic!("no code in {seen}{error}");
    }

    fn of(mut child: Child) -> Self {
        let rest = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, user_code: String::new(), rest }
    }

    /// How it ended. Read on a thread of its own: the person goes on meanwhile.
    async fn end(self) -> Said {
        let Self { mut child, mut rest, .. } = self;
        let ended = tokio::task::spawn_blocking(move || {
            let (mut out, mut err) = (String::new(), String::new());
            rest.read_to_string(&mut out).ok();
            child.stderr.take().expect("piped").read_to_string(&mut err).ok();
            Said { exit: child.wait().ok().and_then(|status| status.code()).unwrap_or(-1), out, err }
        });
        ended.await.expect("joined")
    }
}

fn kept(house: &House) -> Value {
    serde_json::from_str(&std::fs::read_to_string(house.path("state/sign-ins.json")).expect("kept")).expect("JSON")
}

async fn lists(gateway: &str, token: &str) -> u16 {
    let at: SocketAddr = gateway.strip_prefix("http://").and_then(|at| at.parse().ok()).expect("an address");
    let ask = Ask::modern("/s/fixture/mcp", "tools/list", serde_json::json!({})).with_key(token);
    ask.send(at).await.expect("an answer").status.as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_line_signs_in_calls_renews_and_signs_out() {
    let fixture = Running::start(Era::Modern, 0).await.expect("a server");
    let house = House::new(&fixture.url());
    let gateway = house.serve();
    for command in [&["whoami"][..], &["token", "fixture"], &["logout"], &["logout", "fixture"]] {
        let said = house.run(command);
        assert!(said.exit == 5 && said.err.contains("doorward login"), "{command:?}: {said}");
    }
    let mut browser = Browser::signed_in(&house, &gateway.url).await;
    let waiting = Waiting::start(&house, &["login", "fixture", "--ask", "write"]);
    assert!(browser.decides(&waiting.user_code.clone(), "allow").await.contains("Your device goes on"));
    let said = waiting.end().await;
    assert!(said.exit == 0 && said.err.contains("signed in to fixture"), "{said}");
    let file = house.path("state/sign-ins.json");
    assert_eq!(std::fs::metadata(&file).expect("kept").permissions().mode() & 0o7777, 0o600);
    let first = kept(&house);
    let secrets: Vec<String> =
        ["access", "refresh"].iter().filter_map(|key| first.pointer(&format!("/sign_ins/0/{key}"))?.as_str().map(str::to_owned)).collect();
    let who = house.run(&["whoami"]);
    assert!(
        who.exit == 0 && who.out.contains("fixture") && who.out.contains("fixture:read") && !who.out.contains("fixture:write"),
        "{who}"
    );
    for said in [&said, &who] {
        assert!(secrets.iter().all(|secret| !said.out.contains(secret) && !said.err.contains(secret)), "{said}");
    }
    let token = house.run(&["token", "fixture"]);
    assert_eq!(token.out.trim(), secrets[0]);
    assert_eq!(lists(&gateway.url, token.out.trim()).await, 200);
    // One that ends soon is renewed, by one of those who ask at once.
    let mut soon = first.clone();
    *soon.pointer_mut("/sign_ins/0/expires").expect("there") = 0.into();
    house.file("state/sign-ins.json", &soon.to_string());
    let asks: Vec<Child> =
        (0..8).map(|_| house.command(&["token", "fixture"]).stdout(Stdio::piped()).spawn().expect("it starts")).collect();
    let answers: Vec<String> =
        asks.into_iter().map(|child| String::from_utf8_lossy(&child.wait_with_output().expect("ended").stdout).trim().to_owned()).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0] && *answer != secrets[0] && answer.starts_with("dwat_")), "{answers:?}");
    assert_eq!(lists(&gateway.url, &answers[0]).await, 200);
    assert_eq!(house.record().matches("tokens_refreshed").count(), 1);
    // A file that others may read is not believed.
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("opened");
    assert_eq!(house.run(&["token", "fixture"]).exit, 6);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("closed");
    let out = house.run(&["logout"]);
    assert_eq!(out.exit, 0, "{out}");
    assert!(!file.exists() && house.record().contains("consent_revoked_by_client"));
    assert_eq!(house.run(&["token", "fixture"]).exit, 5);
    let status = answered(&gateway.url, &answers[0], 401).await;
    assert_eq!(status, 401, "what was given back is dead");
    gateway.stop();
}

/// How a call with this token is answered, once it is answered so, else after five seconds.
async fn answered(gateway: &str, token: &str, wanted: u16) -> u16 {
    let mut status = 0;
    for _ in 0..50 {
        status = lists(gateway, token).await;
        if status == wanted {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_11_a_client_that_is_blocked_by_the_command_is_out_in_time_and_comes_back() {
    let fixture = Running::start(Era::Modern, 0).await.expect("a server");
    let house = House::new(&fixture.url());
    let gateway = house.serve();
    let mut browser = Browser::signed_in(&house, &gateway.url).await;
    let waiting = Waiting::start(&house, &["login", "fixture"]);
    assert!(browser.decides(&waiting.user_code.clone(), "allow").await.contains("Your device goes on"));
    assert_eq!(waiting.end().await.exit, 0);
    let token = house.run(&["token", "fixture"]).out.trim().to_owned();
    assert_eq!(lists(&gateway.url, &token).await, 200);
    // The page of the person has what was told before it; so has the list.
    assert!(String::from_utf8_lossy(&browser.goes("/me").await.body).contains("Connection attempts"));
    let listed = house.run(&["attempts", "--user", "local/admin", "--client", "doorward-cli"]);
    assert!(listed.out.contains("local/admin  fixture  doorward-cli  \"Doorward command line\""), "{listed}");
    assert!(listed.out.contains("connected  Its first call was let in") && listed.err.contains("1 attempt"), "{listed}");
    let id = listed.out.split_whitespace().next().unwrap_or_default().to_owned();
    let shown = house.run(&["attempts", "show", &id]);
    for step in ["The question was shown", "It was allowed", "It fetched its tokens", "consent: grant_"] {
        assert!(shown.out.contains(step), "{step}: {shown}");
    }
    let document: Value = serde_json::from_str(&house.run(&["attempts", "show", &id, "--json"]).out).expect("JSON");
    assert_eq!(document.pointer("/standing").and_then(Value::as_str), Some("connected"), "{document}");
    assert_eq!(document.pointer("/came_to").and_then(Value::as_str), Some("first call"), "{document}");
    for none in [&["attempts", "--stuck"][..], &["attempts", "list", "--user", "nobody"], &["attempts", "--client", "https://x.test/c"]] {
        assert_eq!(house.run(none).out, "", "{none:?}");
    }
    let listed = house.run(&["clients", "list"]);
    assert!(listed.out.contains("doorward-cli  \"Doorward command line\"  built in, says so itself"), "{listed}");
    let shown = house.run(&["clients", "show", "doorward-cli"]);
    assert!(shown.out.contains("1 consent") && shown.out.contains("local/admin  fixture  fixture:read"), "{shown}");
    for (wrong, id) in [
        (&["clients", "block", "doorward-clo"][..], "clients.unknown"),
        (&["clients", "block", "sha256:12"], "clients.id"),
        (&["clients", "block", "a\nb"], "clients.id"),
        (&["clients", "block", "doorward-cli", "--reason", "a\u{1b}[2J"], "clients.reason"),
        (&["clients", "unblock", "doorward-cli"], "clients.not_blocked"),
        (&["clients", "show", "nobody"], "clients.unknown"),
        (&["attempts", "show", "000000000000000000000000"], "attempts.unknown"),
        (&["attempts", "show", "\u{1b}[2J"], "attempts.unknown"),
        (&["clients", "block", "key:1", "--unseen"], "clients.key"),
        (&["sessions", "end", "session_0011223344556677"], "sessions.unknown"),
        (&["sessions", "end", "session_zz"], "sessions.unknown"),
        (&["sessions", "end", "0011"], "sessions.unknown"),
        (&["sessions", "end", "--user", "local/adnim"], "user.unknown"),
        (&["sessions", "end", "--client", "doorward-clo"], "sessions.none"),
        (&["sessions", "end", "--client", &format!("sha256:{}", "0".repeat(64))], "sessions.none"),
    ] {
        let said = house.run(&[wrong, &["--json"]].concat());
        assert!(said.exit == 2 && said.out.contains(id) && !said.out.contains('\u{1b}'), "{wrong:?}: {said}");
    }
    let said = house.run(&["clients", "block", "doorward-cli", "--reason", "a lost laptop"]);
    assert!(said.exit == 0 && said.err.contains("doorward-cli is blocked") && said.err.contains("keeps 1 consent"), "{said}");
    assert!(said.out.starts_with("grant_"), "and which: {said}");
    assert_eq!(answered(&gateway.url, &token, 401).await, 401);
    let said = house.run(&["clients", "list"]);
    assert!(said.out.contains("blocked since 20") && said.out.contains(": a lost laptop"), "{said}");
    let document: Value = serde_json::from_str(&house.run(&["clients", "show", "doorward-cli", "--json"]).out).expect("JSON");
    assert_eq!(document.pointer("/blocked/0/reason").and_then(Value::as_str), Some("a lost laptop"), "{document}");
    assert_eq!(document.pointer("/granted/0/user").and_then(Value::as_str), Some("local/admin"), "{document}");
    let digest = document.get("digest").and_then(Value::as_str).expect("a digest").to_owned();
    let said = house.run(&["clients", "unblock", &digest]);
    assert!(said.exit == 0 && said.err.contains("may go on with what it has"), "{said}");
    assert_eq!(answered(&gateway.url, &token, 200).await, 200);
    // Signed out from outside: the browser, whose person is found by name.
    let said = house.run(&["sessions", "list"]);
    assert!(said.out.contains("local/admin  browser"), "{said}");
    assert!(String::from_utf8_lossy(&browser.goes("/me").await.body).contains("Signed-in browsers"));
    let said = house.run(&["sessions", "end", "--user", "local/admin"]);
    assert!(said.exit == 0 && said.err.contains("1 sign-in ended"), "{said}");
    assert!(!String::from_utf8_lossy(&browser.goes("/me").await.body).contains("Signed-in browsers"));
    assert!(house.run(&["sessions", "list", "--json"]).out.contains("\"browsers\":[]"));
    let said = house.run(&["sessions", "end", "--user", "local/admin"]);
    assert!(said.exit == 2 && said.err.contains("nothing ended"), "what is not there cannot end: {said}");
    // What nobody met is blocked when that is meant.
    assert_eq!(house.run(&["clients", "block", "https://app.test/c.json", "--unseen"]).exit, 0);
    assert!(house.run(&["clients", "list"]).out.contains("https://app.test/c.json  document, published by app.test"));
    gateway.stop();
    let record = house.record();
    for reason in ["client_block_set", "client_block_lifted", "sessions_ended", "client_blocked", "a lost laptop"] {
        assert!(record.contains(reason), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_no_and_a_wrong_address_are_said_as_such() {
    let fixture = Running::start(Era::Modern, 0).await.expect("a server");
    let house = House::new(&fixture.url());
    let gateway = house.serve();
    let mut browser = Browser::signed_in(&house, &gateway.url).await;
    let waiting = Waiting::start(&house, &["login", &format!("{}/s/fixture/mcp", gateway.url), "--json"]);
    assert!(browser.decides(&waiting.user_code.clone(), "cancel").await.contains("Not allowed"));
    let said = waiting.end().await;
    assert!(said.exit == 1 && said.out.contains("login.denied"), "{said}");
    assert!(!house.path("state/sign-ins.json").exists());
    browser.goes("/me").await;
    let listed = house.run(&["attempts", "list"]);
    assert!(listed.out.contains("declined  It was declined"), "{listed}");
    for (arguments, exit, words) in [
        (&["login", "Fixture"][..], 2, "login.server"),
        (&["login", "fixture", "--gateway", "http://mcp.example.com"], 4, "without TLS"),
        (&["login", "fixture", "--gateway", "http://127.0.0.1:1"], 4, "login.gateway"),
        (&["login", "fixture", "--gateway", &gateway.url.replace("127.0.0.1", "localhost")], 2, "calls itself"),
        (&["login", "https://a.example/s/fixture/mcp", "--gateway", "https://b.example"], 2, "two gateways"),
    ] {
        let said = house.run(&[arguments, &["--json"]].concat());
        assert!(said.exit == exit && said.out.contains(words), "{arguments:?}: {said}");
    }
    gateway.stop();
}
