//! PT: a gateway process before a child process. What the caller holds does not reach the child, what the child holds does
//! not reach the caller, and no command shows what is kept.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot set its stage has failed")]

#[expect(dead_code, reason = "this file needs no server over HTTP")]
#[path = "it/house.rs"]
mod house;

use base64::Engine as _;
use house::House;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// Notes every byte it is given, and says what it was given in whichever way it is asked to.
const TELLTALE: &str = r#"
import base64, binascii, json, os, sys, urllib.parse
here = os.path.dirname(os.path.abspath(__file__))
def note(data):
    with open(os.path.join(here, "heard"), "ab") as heard:
        heard.write(data + b"\n")
note(open("/proc/self/environ", "rb").read())
note(open("/proc/self/cmdline", "rb").read())
secret = os.environ["API_TOKEN"]
def say(message, escaped=False):
    text = json.dumps({"jsonrpc": "2.0", **message})
    if escaped:
        text = text.replace("MARK", "".join("\\u%04x" % ord(c) for c in secret))
    print(text, flush=True)
texts = {
    "plain": secret,
    "env": "\n".join(k + "=" + v for k, v in os.environ.items()),
    "repr": repr(dict(os.environ)),
    "json": json.dumps(dict(os.environ)),
    "json twice": json.dumps(json.dumps(dict(os.environ))),
    "escaped": "MARK",
    "base64": base64.b64encode(secret.encode()).decode(),
    "base64 inside": base64.b64encode(("x" * 50 + secret + "y" * 50).encode()).decode(),
    "base64 lines": base64.encodebytes(("x" * 50 + secret + "y" * 50).encode()).decode(),
    "base64 url": base64.urlsafe_b64encode(("xy" + secret).encode()).decode(),
    "url": urllib.parse.quote(secret, safe=""),
    "url path": urllib.parse.quote(secret),
    "url form": urllib.parse.quote_plus(secret),
    "url twice": urllib.parse.quote(urllib.parse.quote(secret)),
    "hex": binascii.hexlify(secret.encode()).decode(),
}
tools = [{"name": n, "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}} for n in ("echo", "reflect")]
for raw in sys.stdin.buffer:
    note(raw)
    message = json.loads(raw)
    method, params, id = message.get("method"), message.get("params", {}), message.get("id")
    if id is None or method is None:
        continue
    how = params.get("arguments", {}).get("as", "")
    if method == "initialize":
        result = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}, "logging": {}}, "serverInfo": {"name": "t", "version": "1"}}
    elif method == "server/discover":
        result = {"resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}, "ttlMs": 0, "cacheScope": "private"}
    elif method == "tools/list":
        result = {"tools": tools}
    elif method == "tools/call" and params["name"] == "echo":
        result = {"content": [{"type": "text", "text": json.dumps(params["arguments"])}]}
    elif method == "tools/call" and how in texts:
        result = {"content": [{"type": "text", "text": texts[how]}]}
    elif method == "tools/call" and how == "structured":
        result = {"content": [], "structuredContent": {secret: [secret]}}
    elif method == "tools/call" and how in ("messages", "questions"):
        token = params.get("_meta", {}).get("progressToken")
        if how == "questions":
            say({"id": secret, "method": "elicitation/create", "params": {"message": secret}})
        say({"method": "notifications/progress", "params": {"progressToken": token, "progress": 1, "message": secret}})
        say({"method": "notifications/message", "params": {"level": "error", "data": {"token": "MARK"}}}, True)
        say({"method": "notifications/" + secret, "params": {}})
        sys.stderr.write("complaint: " + secret + "\n"); sys.stderr.flush()
        result = {"content": [{"type": "text", "text": "done"}]}
    else:
        say({"id": id, "error": {"code": -32000, "message": secret, "data": {"a": secret}}})
        continue
    say({"id": id, "result": {"resultType": "complete", **result} if "_meta" in params and method != "tools/list" else result}, True)
"#;

/// In no other text, and with characters that every encoding spells differently.
const SECRET: &str = "tok/en+of~the=child\"9f27c1&(4e)!";
const META: &str = "io.modelcontextprotocol/";

/// One request; everything that came back until the gateway closed or was silent for two seconds.
fn ask(address: &str, verb: &str, fields: &[(&str, &str)], body: &str) -> String {
    let mut line = TcpStream::connect(address).expect("connected");
    line.set_read_timeout(Some(Duration::from_secs(2))).expect("socket option");
    let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let head = format!("{verb} /k/fixture/mcp HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{fields}{length}\r\n{body}");
    line.write_all(head.as_bytes()).expect("sent");
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = line.read(&mut piece) {
        answer.extend(&piece[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// The fields of a request of this era.
fn fields<'a>(key: &'a str, session: Option<&'a str>, message: &'a Value) -> Vec<(&'a str, &'a str)> {
    let mut all = vec![("Authorization", key), ("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")];
    match session {
        Some(session) => all.extend([("MCP-Protocol-Version", "2025-11-25"), ("Mcp-Session-Id", session)]),
        None => {
            all.extend([("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", message["method"].as_str().unwrap_or_default())]);
            let target = ["name", "uri", "taskId"].iter().find_map(|member| message["params"][member].as_str());
            all.extend(target.map(|target| ("Mcp-Name", target)));
        }
    }
    all
}

fn modern(method: &str, mut params: Value) -> Value {
    params["_meta"][format!("{META}protocolVersion")] = "2026-07-28".into();
    params["_meta"][format!("{META}clientCapabilities")] = json!({ "elicitation": {} });
    json!({ "jsonrpc": "2.0", "id": 5, "method": method, "params": params })
}

fn legacy(method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 5, "method": method, "params": params })
}

/// A gateway before the telltale child: itself, its address, and a header with a key.
fn behind(house: &House) -> (house::Gateway, String, String) {
    let script = house.file("telltale.py", TELLTALE).display().to_string();
    house.file("token", SECRET);
    let token = house.path("token").display().to_string();
    let toml = format!(
        "[listen]\naddress = \"127.0.0.1:0\"\n\n[server.fixture]\ncommand = [\"/usr/bin/python3\", \"{script}\"]\n\
         env = {{ API_TOKEN = \"file:{token}\", PLACE = \"plain:a-place-that-is-no-secret\" }}\n"
    );
    house.file("doorward.toml", &toml);
    let said = house.run(&["server", "approve", "fixture", "--command", "--all"]);
    assert_eq!(said.exit, 0, "{said}");
    let key = house.run(&["apikey", "create", "--label", "t", "--grant", "read"]).out.trim().to_owned();
    let gateway = house.listen();
    let address = gateway.url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    (gateway, address, format!("Bearer {key}"))
}

fn session(address: &str, key: &str, more: &[(&str, &str)]) -> String {
    let params =
        json!({ "protocolVersion": "2025-11-25", "capabilities": { "elicitation": {} }, "clientInfo": { "name": "t", "version": "1" } });
    let message = legacy("initialize", &params);
    let plain = [("Authorization", key), ("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")];
    let opened = ask(address, "POST", &[&plain[..], more].concat(), &message.to_string());
    opened.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).expect("a session").to_owned()
}

#[test]
fn pt_01_nothing_of_a_callers_own_reaches_a_child_process() {
    let house = House::empty();
    let (gateway, address, key) = behind(&house);
    let word = "inbound-7c1d9e3ab05f";
    let names = [
        "Cookie",
        "DPoP",
        "Proxy-Authorization",
        "X-Api-Key",
        "X-GitHub-Token",
        "X-Forwarded-Access-Token",
        "X-Auth-Request-User",
        "X-Auth-Request-Access-Token",
        "X-Forwarded-For",
        "X-Forwarded-User",
        "X-Client-Cert",
        "Traceparent",
        "Baggage",
        "User-Agent",
        "Referer",
        "Last-Event-ID",
        "X_Api_Key",
        "X-Custom",
    ];
    let carriers: Vec<(&str, &str)> = names.into_iter().filter(|name| *name != "Last-Event-ID").map(|name| (name, word)).collect();
    let of_session = session(&address, &key, &carriers);
    let calls = [
        ("server/discover", json!({})),
        ("tools/list", json!({})),
        ("tools/call", json!({ "name": "echo", "arguments": { "a": "through" } })),
        ("prompts/get", json!({ "name": "greet" })),
        ("resources/list", json!({})),
        ("resources/read", json!({ "uri": "file:///a" })),
        ("completion/complete", json!({ "ref": { "type": "ref/prompt", "name": "greet" }, "argument": { "name": "a", "value": "b" } })),
        ("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } })),
        ("tasks/get", json!({ "taskId": word })),
        ("logging/setLevel", json!({ "level": "info" })),
        ("resources/subscribe", json!({ "uri": "file:///a" })),
        ("notifications/roots/list_changed", json!({})),
        ("notifications/cancelled", json!({ "requestId": word })),
        ("ping", json!({})),
    ];
    for (method, params) in &calls {
        for era in [None, Some(of_session.as_str())] {
            let mut message = if era.is_none() { modern(method, params.clone()) } else { legacy(method, params) };
            for at in ["token", "Authorization", "x-api-key"] {
                message[at] = word.into();
            }
            message["id"] = word.into();
            for at in ["progressToken", "traceparent", "io.modelcontextprotocol/token"] {
                message["params"]["_meta"][at] = word.into();
            }
            ask(&address, "POST", &[fields(&key, era, &message), carriers.clone()].concat(), &message.to_string());
        }
    }
    // In trailers, where a reader that joins them to the head would find them.
    let message = modern("tools/call", json!({ "name": "echo", "arguments": { "a": "through" } }));
    let text = message.to_string();
    let chunked = format!("{:x}\r\n{text}\r\n0\r\nAuthorization: Bearer {word}\r\nX-Api-Key: {word}\r\n\r\n", text.len());
    let mut line = TcpStream::connect(&address).expect("connected");
    let head: String = fields(&key, None, &message).iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!(
        "POST /k/fixture/mcp HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n{head}\r\n{chunked}"
    );
    line.write_all(head.as_bytes()).and_then(|()| line.read_to_end(&mut Vec::new())).expect("answered");
    let stream = [("Authorization", key.as_str()), ("Accept", "text/event-stream"), ("Mcp-Session-Id", of_session.as_str())];
    ask(&address, "GET", &[&stream[..], &carriers[..]].concat(), "");
    ask(&address, "DELETE", &[&stream[..], &carriers[..]].concat(), "");
    gateway.stop();

    let heard = std::fs::read(house.path("heard")).expect("it was started");
    let heard = String::from_utf8_lossy(&heard).into_owned();
    assert!(heard.matches("through").count() >= 2, "both eras were called: {heard}");
    let bare = key.trim_start_matches("Bearer ");
    let coded = |text: &str| base64::engine::general_purpose::STANDARD_NO_PAD.encode(text);
    for canary in [word, bare, &of_session, &coded(bare), &coded(word)] {
        assert!(!heard.contains(canary), "{canary} in {heard}");
    }
    let variables =
        heard.lines().filter(|line| line.contains("API_TOKEN=")).map(|line| line.split('\0').filter(|one| !one.is_empty()).count());
    assert!(variables.clone().count() >= 2, "a process for the session and one beside it");
    assert!(variables.into_iter().all(|count| count == 7), "PATH HOME TMPDIR LANG TZ and what was configured: {heard}");
}

#[test]
fn pt_03_a_child_process_cannot_hand_its_secrets_to_a_client() {
    let house = House::empty();
    let (gateway, address, key) = behind(&house);
    let session = session(&address, &key, &[]);
    let mut blocked = 0;
    let ways = [
        "plain",
        "env",
        "repr",
        "json",
        "json twice",
        "escaped",
        "base64",
        "base64 inside",
        "base64 lines",
        "base64 url",
        "url",
        "url path",
        "url form",
        "url twice",
        "hex",
        "structured",
        "messages",
        "questions",
        "error",
    ];
    let bare = SECRET.as_bytes();
    let hex: String = bare.iter().map(|byte| format!("{byte:02x}")).collect();
    let coded = base64::engine::general_purpose::STANDARD_NO_PAD.encode(bare);
    let percent = "tok%2Fen%2B";
    for how in ways {
        let params = json!({ "name": "reflect", "arguments": { "as": how }, "_meta": { "progressToken": "p" } });
        for (era, message) in [(None, modern("tools/call", params.clone())), (Some(session.as_str()), legacy("tools/call", &params))] {
            let answer = ask(&address, "POST", &fields(&key, era, &message), &message.to_string());
            assert!(answer.starts_with("HTTP/1.1 200"), "{how}: {answer}");
            // Every spelling in it, as a reader gets it.
            for part in
                ["tok/en+of~the", "9f27c1", percent, coded.get(4..30).expect("long"), hex.as_str(), "tok%252Fen", "\\u0074\\u006f\\u006b"]
            {
                assert!(!answer.contains(part), "{how} {era:?}: {part} in {answer}");
            }
            let unbroken = answer.replace("\\n", "");
            let inside = base64::engine::general_purpose::STANDARD.encode(format!("{}{SECRET}", "x".repeat(50)));
            assert!(!unbroken.contains(inside.get(70..95).expect("long")), "{how} {era:?}: {answer}");
            blocked += usize::from(answer.contains("Result blocked"));
        }
    }
    assert_eq!(blocked, 2 * (ways.len() - 2), "all but the two that only say it on the way");
    // What is no secret may be said.
    let place = modern("tools/call", json!({ "name": "echo", "arguments": { "a": "a-place-that-is-no-secret" } }));
    let answer = ask(&address, "POST", &fields(&key, None, &place), &place.to_string());
    assert!(answer.contains("a-place-that-is-no-secret"), "{answer}");
    gateway.stop();
    let record = house.record();
    assert!(record.matches("own_credential_in_reply").count() >= blocked, "each is on the record");
    assert!(!record.contains("9f27c1"));
}

/// Every command that shows something, as an administrator would try them.
const COMMANDS: [&[&str]; 27] = [
    &["status"],
    &["doctor"],
    &["config", "check"],
    &["config", "show"],
    &["config", "schema"],
    &["server", "list"],
    &["server", "show", "fixture"],
    &["server", "show", "web"],
    &["server", "approve", "fixture", "--command", "--all"],
    &["server", "test", "fixture"],
    &["server", "test", "web"],
    &["server", "diff", "fixture"],
    &["server", "withdraw", "web"],
    &["apikey", "list"],
    &["policy", "check"],
    &["policy", "show"],
    &["policy", "explain", "--user", "local/admin", "--tool", "fixture__reflect"],
    &["audit", "tail"],
    &["audit", "search"],
    &["audit", "verify"],
    &["audit", "export"],
    &["audit", "export", "--format", "csv"],
    &["keys", "list"],
    &["keys", "rotate", "audit"],
    &["completions", "bash"],
    &["man"],
    &["version"],
];

#[test]
fn pt_07_no_command_and_no_page_shows_what_is_kept() {
    let house = House::empty();
    // This one tells its secret to whoever reads its definitions, which administrators do.
    let words = TELLTALE.replace("{\"name\": n,", "{\"name\": n, \"description\": \"d \" + secret, \"title\": secret,");
    let script = house.file("telltale.py", &words).display().to_string();
    let kek = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let (header, plain) = ("header-secret-51b0c7aa93", "plain-header-7e04d1f6b2");
    for (name, text) in [("token", SECRET), ("header", header), ("kek", kek)] {
        house.file(name, text);
    }
    let at = |name: &str| house.path(name).display().to_string();
    let toml = format!(
        "[listen]\naddress = \"127.0.0.1:0\"\nmetrics = \"127.0.0.1:0\"\n\n[store]\nencryption_key = \"file:{}\"\n\n\
         [server.fixture]\ncommand = [\"/usr/bin/python3\", \"{script}\"]\nenv = {{ API_TOKEN = \"file:{}\" }}\n\n\
         [server.web]\nurl = \"http://127.0.0.1:9/mcp\"\n\
         credential = {{ kind = \"header\", name = \"Authorization\", value = \"file:{}\" }}\n\n\
         [server.old]\nurl = \"http://127.0.0.1:9/mcp\"\n\
         credential = {{ kind = \"header\", name = \"X-Key\", value = \"plain:{plain}\" }}\n",
        at("kek"),
        at("token"),
        at("header")
    );
    house.file("doorward.toml", &toml);
    let made = house.run(&["apikey", "create", "--label", "t", "--grant", "read"]);
    let key = made.out.trim().to_owned();
    let standard = base64::engine::general_purpose::STANDARD;
    let mut canaries = vec![SECRET.to_owned(), "tok/en+of".to_owned(), header.to_owned(), plain.to_owned(), kek.to_owned(), key.clone()];
    canaries.extend([standard.encode(SECRET), standard.encode(header), "000102030405060708090a0b0c0d0e0f".to_owned()]);
    let clean = |what: &str, said: &str| {
        for canary in &canaries {
            assert!(!said.contains(canary.as_str()), "{what} shows {canary}: {said}");
        }
    };
    let everything = |when: &str| {
        for command in COMMANDS {
            for more in [&[][..], &["--json"], &["-vv"]] {
                let said = house.run(&[command, more].concat());
                clean(&format!("{when}: {command:?} {more:?}"), &said.to_string());
                assert_ne!(said.exit, 2, "{command:?} is a command: {said}");
                assert!(command != ["server", "test", "fixture"] || said.out.contains("reflect"), "it was asked: {said}");
            }
        }
    };
    everything("before");
    let gateway = house.listen();
    let address = gateway.url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let bearer = format!("Bearer {key}");
    let session = session(&address, &bearer, &[]);
    for message in [modern("tools/list", json!({})), modern("tools/call", json!({ "name": "reflect", "arguments": { "as": "env" } }))] {
        clean("the gateway", &ask(&address, "POST", &fields(&bearer, None, &message), &message.to_string()));
    }
    let listed = legacy("tools/list", &json!({}));
    clean("a session", &ask(&address, "POST", &fields(&bearer, Some(&session), &listed), &listed.to_string()));
    everything("meanwhile");
    for path in [
        "/",
        "/healthz",
        "/readyz",
        "/metrics",
        "/config",
        "/debug",
        "/debug/vars",
        "/api/servers",
        "/openapi.json",
        "/k",
        "/k/fixture",
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-protected-resource/s/fixture/mcp",
        "/.env",
        "/state/store-key",
    ] {
        for verb in ["GET", "POST", "OPTIONS"] {
            let mut line = TcpStream::connect(&address).expect("connected");
            let ask = format!(
                "{verb} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: {bearer}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            );
            let mut answer = String::new();
            line.write_all(ask.as_bytes()).and_then(|()| line.read_to_string(&mut answer)).expect("answered");
            clean(path, &answer);
        }
    }
    gateway.stop();
    everything("after");
}

#[test]
fn pt_07_a_configuration_that_is_wrong_in_the_worst_place_is_told_without_it() {
    let house = House::empty();
    let (header, plain, kek) = ("header-secret-51b0c7aa93", "plain-header-7e04d1f6b2", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    house.file("header", header);
    let at = |name: &str| house.path(name).display().to_string();
    for bad in [
        format!("[server.a]\nurl = \"https://x.test/\"\ncredental = {{ value = \"{header}\" }}\n"),
        format!("[server.a]\ncommand = [\"x\", \"--token={header}\"]\nenv = {{ A = \"{plain}\", B = \"file:none\" }}\n"),
        format!("[server.a]\nurl = \"https://user:{header}@x.test/\"\n"),
        format!("[store]\nurl = \"postgres://u:{header}@h/db\"\nencryption_key = \"{kek}\"\n"),
        format!("[store]\nencryption_key = {kek}\n"),
        format!("[store]\nencryption_key = \"file:{}\"\n[server.a]\napi_key = \"{header}\"\n", at("header")),
        format!("token = \"{header}\"\n{plain}\n"),
    ] {
        house.file("doorward.toml", &bad);
        for command in [&["config", "check"][..], &["config", "show"], &["serve"], &["doctor"], &["server", "list"], &["status"]] {
            for more in [&[][..], &["--json"], &["-vv"]] {
                let said = house.run(&[command, more].concat());
                assert_ne!(said.exit, 0, "{bad}: {said}");
                let shown = [header, plain, kek].iter().any(|canary| said.to_string().contains(canary));
                assert!(!shown, "{command:?} {more:?}: {bad}: {said}");
            }
        }
    }
}
