//! What looks alike and is not the same: names, numbers, fields, parsers of other languages.

use super::house::{House, canary, secretly, server};
use super::scripted::{Scripted, tool, whole};
use super::speak::{initialize, legacy, legacy_call, modern, modern_call};
use super::wire::Ask;
use doorward_core::config::load::{Form, Inputs, Text, load};
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use doorward_testkit::lax::{Heard, Lax};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

async fn offering(tools: Value) -> Scripted {
    Scripted::at_once(move |asked| whole(&asked.plainly(&tools).unwrap_or_default())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rpc_11_a_name_is_its_bytes_and_nothing_that_looks_like_it() {
    let long = "e".repeat(200);
    let alike = [
        "Echo",
        "ECHO",
        "echo ",
        " echo",
        "echo\t",
        "ech\u{43e}",
        "\u{435}cho",
        "\u{ff45}cho",
        "echo\u{200b}",
        "e\u{301}cho",
        "\u{e9}cho",
        "beta__echo",
        "alpha__echo",
        "echo__",
        "__echo",
        "echo.x",
        "alpha/echo",
        "echo\u{0}",
        long.as_str(),
    ];
    let tools: Vec<Value> = alike.iter().chain(&["echo"]).map(|name| tool(name)).collect();
    let both = offering(tools.into()).await;
    let rules = r#"
        @id("use") permit (principal, action == Action::"use", resource);
        @id("echo") permit (principal, action == Action::"call", resource == Tool::"alpha__echo");
    "#;
    let house = House::ruled(&format!("{}{}", server("alpha", &both.url(), ""), server("beta", &both.url(), "")), rules).await;
    house.approve().await;
    let alice = house.full("alice").await;
    let session = house.session(&alice, "alpha").await;
    let listed = house.ask(modern(&alice, "alpha", 1, "tools/list", json!({}))).await.result();
    assert_eq!(listed["tools"].as_array().unwrap().len(), 1, "{listed}");
    for name in alike {
        let coded = {
            use base64::Engine as _;
            format!("=?base64?{}?=", base64::engine::general_purpose::STANDARD.encode(name))
        };
        for ask in [
            modern_call(&alice, "alpha", 1, name, json!({})).set("Mcp-Name", &coded),
            legacy_call(&alice, "alpha", &session, 1, name, json!({})),
            modern_call(&alice, "beta", 1, name, json!({})).set("Mcp-Name", &coded),
        ] {
            let reply = house.ask(ask).await;
            let refused = reply.code().1 != 0 || reply.json()["result"]["isError"] == true;
            assert!(refused, "{name:?}: {} {}", reply.status, reply.text());
        }
    }
    let elsewhere = house.ask(modern_call(&alice, "beta", 1, "echo", json!({}))).await;
    assert!(elsewhere.code().1 != 0 || elsewhere.json()["result"]["isError"] == true, "the permit is for alpha");
    assert!(both.calls("tools/call").is_empty(), "nothing that looks like it was called");
    for ask in [modern_call(&alice, "alpha", 1, "echo", json!({})), legacy_call(&alice, "alpha", &session, 1, "echo", json!({}))] {
        assert!(house.ask(ask).await.json().get("result").is_some());
    }
    let called: Vec<Value> = both.calls("tools/call").iter().map(|asked| asked.json()["params"]["name"].clone()).collect();
    assert_eq!(called, ["echo", "echo"]);
    house.close(&[&alice.text]).await;
    // No server can take the separator into its name, so that `x__y` and `z` never meet `x` and `y__z`.
    for name in ["x__y", "__x", "x__", "x_y", "X", "x.y", "x/y", "\u{445}", ""] {
        let text = format!("version = 1\n[server.\"{name}\"]\nurl = \"http://127.0.0.1:1/\"\n");
        let file = Text { name: "doorward.toml".to_owned(), form: Form::Toml, bytes: text.into_bytes(), base: "/".into() };
        assert!(load(Inputs { files: vec![file], default_name: "test".to_owned(), ..Inputs::default() }).is_err(), "{name:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rpc_05_mirrored_numbers_and_flags_are_those_of_the_body() {
    let schema = json!({ "type": "object", "properties": {
        "n": { "type": "integer", "x-mcp-header": "N" }, "on": { "type": "boolean", "x-mcp-header": "On" },
    } });
    let numbered = offering(json!([{ "name": "echo", "description": "d", "inputSchema": schema }])).await;
    let house = House::open(&server("alpha", &numbered.url(), "")).await;
    house.approve().await;
    let alice = house.full("alice").await;
    let ask = |body: &str, fields: &[(&str, &str)]| {
        let call = modern_call(&alice, "alpha", 1, "echo", json!({ "ARGUMENTS": 1 }));
        let text = String::from_utf8(call.body.clone()).unwrap().replace("{\"ARGUMENTS\":1}", body);
        fields.iter().fold(Ask { body: text.into_bytes(), ..call }, |ask, (name, value)| ask.field(name, value))
    };
    for (body, fields) in [
        (r#"{"n":42}"#, vec![]),
        (r#"{"n":42}"#, vec![("Mcp-Param-N", "43")]),
        (r#"{"n":42}"#, vec![("Mcp-Param-N", "42"), ("Mcp-Param-N", "42")]),
        (r#"{"n":42}"#, vec![("Mcp-Param-N", "42, 43")]),
        (r#"{"n":42}"#, vec![("Mcp-Param-N", "0x2a")]),
        (r#"{"n":42}"#, vec![("Mcp-Param-N", "4_2")]),
        (r#"{"n":42}"#, vec![("Mcp-Param-N", "42.5")]),
        (r#"{"n":42}"#, vec![("Mcp-Param-N", "inf")]),
        (r#"{"n":42}"#, vec![("Mcp-Param-N", "NaN")]),
        (r#"{"n":42}"#, vec![("Mcp-Param-N", "")]),
        (r#"{"n":"42"}"#, vec![("Mcp-Param-N", "42")]),
        (r#"{"n":null}"#, vec![("Mcp-Param-N", "42")]),
        (r#"{"n":null}"#, vec![("Mcp-Param-N", "null")]),
        (r#"{}"#, vec![("Mcp-Param-N", "42")]),
        // Above 2^53 two numbers are one for those who count in doubles.
        (r#"{"n":9007199254740993}"#, vec![("Mcp-Param-N", "9007199254740992")]),
        (r#"{"n":9007199254740993}"#, vec![("Mcp-Param-N", "9007199254740993.0")]),
        (r#"{"on":true}"#, vec![("Mcp-Param-On", "True")]),
        (r#"{"on":true}"#, vec![("Mcp-Param-On", "1")]),
        (r#"{"on":true}"#, vec![("Mcp-Param-On", "false")]),
        (r#"{"on":"true"}"#, vec![("Mcp-Param-On", "true")]),
    ] {
        let reply = house.ask(ask(body, &fields)).await;
        assert_eq!(reply.code(), (400, -32020), "{body} {fields:?}: {}", reply.text());
    }
    assert!(numbered.calls("tools/call").is_empty());
    for (body, fields) in [
        (r#"{"n":42}"#, vec![("Mcp-Param-N", "42")]),
        (r#"{"n":42}"#, vec![("Mcp-Param-N", "42.0")]),
        (r#"{"n":42.0}"#, vec![("Mcp-Param-N", "42")]),
        (r#"{"n":-7,"on":false}"#, vec![("Mcp-Param-N", "-7"), ("mcp-param-on", "false")]),
        (r#"{"n":null}"#, vec![]),
        (r#"{}"#, vec![]),
    ] {
        let before = numbered.calls("tools/call").len();
        let reply = house.ask(ask(body, &fields)).await;
        assert_eq!(reply.status, 200, "{body} {fields:?}: {}", reply.text());
        let asked = numbered.calls("tools/call").split_off(before);
        assert_eq!(asked.len(), 1, "{body}");
        // What the server is told in the field is what it reads in the body.
        let told = asked[0].field("mcp-param-n").map(|text| text.parse::<f64>().unwrap());
        assert_eq!(told, asked[0].json()["params"]["arguments"]["n"].as_f64(), "{body}");
    }
    house.close(&[&alice.text]).await;
}

/// Parsers of JSON as other languages have them. Each line in is one message, each line out what it read, or that it did not.
const PYTHON: &str = r#"
import json, sys
def once(pairs):
    keys = [k.casefold() for k, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError("two keys of one name")
    return dict(pairs)
for line in sys.stdin.buffer:
    read = json.loads(line, object_pairs_hook=lambda pairs: dict(pairs))
    message = json.loads(line)
    envelope = once(list(message.items())), once(list(message["params"].items())), once(list(message["params"].get("_meta", {}).items()))
    first = json.loads(line, object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    assert first == read == message, "the first and the last key of a name differ"
    print(json.dumps(read))
"#;
const NODE: &str = r"
const lines = require('fs').readFileSync(0, 'utf8').split('\n').filter(line => line);
for (const line of lines) console.log(JSON.stringify(JSON.parse(line)));
";

fn read_by(program: &str, arguments: &[&str], lines: &[u8]) -> Option<Vec<Value>> {
    let mut child = Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    child.stdin.take()?.write_all(lines).ok()?;
    let output = child.wait_with_output().ok()?;
    assert!(output.status.success(), "{program} does not read it");
    Some(String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rpc_01_what_is_passed_on_reads_alike_in_every_language() {
    let lax = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let house = House::open(&server("alpha", &lax.url(), "")).await;
    house.approve().await;
    let alice = house.full("alice").await;
    let session = house.session(&alice, "alpha").await;
    lax.forget();
    // As strange as they may be and still be passed on: escapes, keys of objects' prototypes, look-alikes, big and exact numbers.
    let strange = [
        r#""name":"ec\u0068o""#,
        r#""n\u0061me":"echo""#,
        "\"name\":\"echo\",\"\u{ff4e}ame\":\"reflect\"",
        "\"name\":\"echo\",\"\u{2028}\":1",
        r#""name":"echo","arguments":{"__proto__":{"name":"reflect"},"constructor":{"prototype":{"name":"reflect"}}}"#,
        r#""name":"echo","arguments":{"":"","toString":1,"hasOwnProperty":2}"#,
        r#""name":"echo","arguments":{"a":"\u2028\u2029\u007f\/\\\"\ud83d\ude00"}"#,
        r#""name":"echo","arguments":{"a":[1,1.0,1e2,-0.5,9007199254740991,0.1]}"#,
        r#""name":"echo","extra":{"name":"reflect"},"x":[{"method":"tools/list"}]"#,
        "\"name\" : \"echo\" ,\r\n\t\"arguments\" : { \"a\" : [ ] }",
    ];
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    let (mut passed, mut refused) = (0, 0);
    for params in strange {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{params},{meta}}}}}"#);
        let ask = modern_call(&alice, "alpha", 1, "echo", json!({}));
        let legacy = legacy(&alice, "alpha", &session, 1, "tools/call", json!({}));
        let without = body.replace(&format!(",{meta}"), "");
        for ask in [Ask { body: body.into_bytes(), ..ask }, Ask { body: without.into_bytes(), ..legacy }] {
            match house.ask(ask).await.status {
                200 => passed += 1,
                400 => refused += 1,
                status => panic!("{params}: {status}"),
            }
        }
    }
    let sent: Vec<Heard> = lax.seen_method("tools/call");
    assert!(passed >= 16 && sent.len() == passed, "{passed} passed, {refused} refused, {} sent", sent.len());
    assert!(sent.iter().all(|heard| !heard.body.contains(&b'\n') && !heard.body.contains(&b'\r')), "one message is one line");
    let lines: Vec<u8> = sent.iter().flat_map(|heard| [&heard.body[..], b"\n"].concat()).collect();
    let here: Vec<Value> = sent.iter().map(Heard::json).collect();
    let python = read_by("/usr/bin/python3", &["-c", PYTHON], &lines).expect("python3 is needed for the stdio servers, too");
    // JavaScript only where it is installed.
    let node = read_by("node", &["-e", NODE], &lines).unwrap_or_else(|| here.clone());
    for ((here, python), node) in here.iter().zip(&python).zip(&node) {
        for read in [here, python, node] {
            assert_eq!((&read["method"], &read["params"]["name"]), (&json!("tools/call"), &json!("echo")), "{read}");
            assert_eq!(
                read["params"]["arguments"].to_string().replace(".0", ""),
                here["params"]["arguments"].to_string().replace(".0", "")
            );
        }
    }
    house.close(&[&alice.text]).await;
}

/// Fields in which proxies say who a client is and what it wants.
const CLAIMS: [&str; 45] = [
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Uri",
    "X-Forwarded-Prefix",
    "X-Forwarded-Server",
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Forwarded-Preferred-Username",
    "Forwarded",
    "X-Real-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "X-Original-URL",
    "X-Original-Host",
    "X-Rewrite-URL",
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
    "X-User",
    "X-User-Id",
    "X-Remote-User",
    "Remote-User",
    "X-Auth-Request-User",
    "X-Auth-Request-Email",
    "X-Authenticated-User",
    "X-WEBAUTH-USER",
    "X-Internal",
    "X-Internal-Request",
    "X-Doorward-User",
    "X-Doorward-Internal",
    "Doorward-User",
    "Mcp-Init-Host",
    "Mcp-Router-Key",
    "X-Mcp-User",
    "X-Envoy-Internal",
    "X-Forwarded-Client-Cert",
    "X-Consumer-Username",
    "X-Debug",
    "Proxy",
    "Via",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_05_what_a_client_says_of_itself_in_fields_changes_nothing() {
    let secret = canary("upstream-secret-");
    let lax = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let house = House::open(&secretly("alpha", &lax.url(), &secret)).await;
    house.approve().await;
    let (alice, word) = (house.full("alice").await, canary("claimed-"));
    let session = house.session(&alice, "alpha").await;
    let mut claims = Vec::new();
    for name in CLAIMS {
        for spelled in [name.to_owned(), name.to_ascii_lowercase(), name.to_ascii_uppercase(), name.replace('-', "_")] {
            for value in [word.clone(), format!("root-{word}"), format!("DELETE, {word}")] {
                claims.push((spelled.clone(), value));
            }
        }
    }
    let calls = || {
        [
            modern_call(&alice, "alpha", 1, "echo", json!({ "a": 1 })),
            legacy_call(&alice, "alpha", &session, 1, "echo", json!({ "a": 1 })),
            initialize(&alice, "alpha", "2025-11-25", json!({})),
        ]
    };
    // What the server hears of the same requests without any claim; ids are counted on.
    let shape = |heard: &Heard| {
        let mut fields: Vec<(String, String)> = heard.fields.clone();
        fields.retain(|(name, _)| !["content-length", "mcp-session-id"].contains(&name.to_ascii_lowercase().as_str()));
        fields.sort();
        let mut body = heard.json();
        body["id"] = Value::Null;
        (heard.method.clone(), heard.target.clone(), fields, body)
    };
    // The first time the server is asked what it offers, too.
    for ask in calls() {
        house.ask(ask).await;
    }
    lax.forget();
    let mut plain = Vec::new();
    for ask in calls() {
        plain.push(house.ask(ask).await.status);
    }
    let expected: Vec<_> = lax.seen().iter().map(shape).collect();
    lax.forget();
    for some in claims.chunks(40) {
        lax.forget();
        let mut statuses = Vec::new();
        for ask in calls() {
            let ask = some.iter().fold(ask, |ask, (name, value)| ask.field(name, value));
            statuses.push(house.ask(ask).await.status);
        }
        let named: Vec<&String> = some.iter().map(|(name, _)| name).collect();
        // A field that is an MCP field in disguise is refused; any other is as if it were not there.
        if statuses.contains(&400) {
            assert!(named.iter().any(|name| name.to_ascii_lowercase().starts_with("mcp_")), "{named:?}");
            assert!(lax.seen().is_empty());
            continue;
        }
        assert_eq!(statuses, plain, "{named:?}");
        assert_eq!(lax.seen().iter().map(shape).collect::<Vec<_>>(), expected, "{named:?}");
        assert!(!lax.saw(&word));
    }
    let one = |name: &str, value: &str| modern_call(&alice, "alpha", 1, "echo", json!({})).field(name, value);
    for name in ["X-Forwarded-User", "X-HTTP-Method-Override", "Authorization", "Mcp-Name"] {
        let reply = house.ask(one("Connection", name).field("X-Forwarded-User", &word)).await;
        assert!(matches!(reply.status, 200 | 400), "{name}: {}", reply.status);
    }
    let users: BTreeMap<String, usize> = house
        .records()
        .iter()
        .filter_map(|record| record["user"]["sub"].as_str().map(str::to_owned))
        .fold(BTreeMap::new(), |mut users, user| {
            *users.entry(user).or_default() += 1;
            users
        });
    assert_eq!(users.keys().collect::<Vec<_>>(), ["alice"], "nobody else was ever there");
    house.close(&[&word, &alice.text, &secret]).await;
}
