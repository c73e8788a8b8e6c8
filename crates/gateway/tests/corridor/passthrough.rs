//! PT: nothing of a caller's credentials goes up, nothing of a server's credentials comes down.

use super::house::{House, Key, canary, secretly, server, within};
use super::speak::{end, initialize, legacy, legacy_call, listen, modern, modern_call, said};
use super::wire::{Ask, Line};
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use serde_json::{Value, json};
use std::time::Duration;

fn modern_lax() -> Behaviour {
    Behaviour::plain().with(Quirk::Modern)
}

/// Header fields that carry credentials in the wild.
const CARRIERS: [&str; 22] = [
    "DPoP",
    "Cookie",
    "Proxy-Authorization",
    "X-API-Key",
    "X-GitHub-Token",
    "X-GitLab-Token",
    "X-Forwarded-Access-Token",
    "X-Auth-Request-Access-Token",
    "X-Auth-Request-User",
    "X-Auth-Token",
    "X-Access-Token",
    "X-Amz-Security-Token",
    "X-Goog-Api-Key",
    "X-Forwarded-User",
    "X-Forwarded-Client-Cert",
    "X-Client-Cert",
    "X-SSL-Client-S-DN",
    "Api-Key",
    "Private-Token",
    "X-Custom",
    "Traceparent",
    "User-Agent",
];

/// Fields that an upstream may see.
pub(crate) const ALLOWED: [&str; 10] = [
    "accept",
    "content-type",
    "content-length",
    "host",
    "authorization",
    "mcp-protocol-version",
    "mcp-method",
    "mcp-name",
    "mcp-session-id",
    "last-event-id",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pt_01_no_credential_of_a_caller_reaches_a_server() {
    let (with, without) = (Lax::start(modern_lax()).await.unwrap(), Lax::start(modern_lax()).await.unwrap());
    let secret = canary("upstream-secret-");
    let house = House::open(&format!("{}{}", secretly("alpha", &with.url(), &secret), server("beta", &without.url(), ""))).await;
    house.approve().await;
    with.forget();
    without.forget();
    let word = canary("inbound-");
    let token = house.token("alice", "client", &[], &["*:read", "*:write", "*:destructive"], Duration::from_secs(3600)).await;
    let key = house.full("alice").await;
    for key in [&key, &token] {
        for name in ["alpha", "beta"] {
            let session = house.session(key, name).await;
            for ask in every_call(key, name, &session) {
                let mut ask = ask;
                for carrier in CARRIERS {
                    ask = ask.field(carrier, &format!("{word}-{carrier}"));
                }
                house.flow(ask.field("X-Forwarded-For", &word)).await;
            }
        }
    }
    for (lax, expected) in [(&with, Some(format!("Bearer {secret}"))), (&without, None)] {
        let seen = lax.seen();
        assert!(seen.len() > 20, "{}", seen.len());
        for heard in seen {
            assert!(!heard.contains(&word), "{}", String::from_utf8_lossy(&heard.wire));
            assert!(!heard.contains(&key.text) && !heard.contains(&token.text));
            assert_eq!(heard.field("authorization").map(str::to_owned), expected, "only the server's own");
            for (field, _) in &heard.fields {
                assert!(ALLOWED.contains(&field.to_ascii_lowercase().as_str()), "{field}");
            }
        }
    }
    house.close(&[&word, &key.text, &token.text, &secret]).await;
}

fn every_call(key: &Key, name: &str, session: &str) -> Vec<Ask> {
    let mut all = Vec::new();
    for (method, params) in [
        ("server/discover", json!({})),
        ("tools/list", json!({})),
        ("tools/call", json!({ "name": "echo", "arguments": { "text": "x" } })),
        ("prompts/list", json!({})),
        ("prompts/get", json!({ "name": "greet" })),
        ("resources/list", json!({})),
        ("resources/templates/list", json!({})),
        ("resources/read", json!({ "uri": "file:///a" })),
        ("completion/complete", json!({ "ref": { "type": "ref/prompt", "name": "greet" }, "argument": { "name": "a", "value": "b" } })),
        ("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } })),
    ] {
        all.push(modern(key, name, 1, method, params.clone()));
        all.push(legacy(key, name, session, 1, method, params));
    }
    for method in ["ping", "logging/setLevel", "resources/subscribe"] {
        all.push(legacy(key, name, session, 1, method, json!({ "level": "info", "uri": "file:///a" })));
    }
    all.push(said(key, name, session, &json!({ "jsonrpc": "2.0", "method": "notifications/roots/list_changed" })));
    all.push(initialize(key, name, "2025-11-25", json!({})));
    all.push(listen(key, name, session));
    all.push(end(key, name, session));
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pt_01_trailers_and_named_fields_go_nowhere() {
    let lax = Lax::start(modern_lax()).await.unwrap();
    let house = House::open(&server("alpha", &lax.url(), "")).await;
    house.approve().await;
    let alice = house.full("alice").await;
    lax.forget();
    let word = canary("inbound-");
    let ask = modern_call(&alice, "alpha", 1, "echo", json!({ "text": "x" }));
    let body = ask.body.clone();
    let chunked = Ask { body: Vec::new(), ..ask.clone() }.field("Transfer-Encoding", "chunked").field("Trailer", "Authorization, X-Evil");
    let mut line = Line::open(house.address).await;
    line.write(&chunked.bytes(&house.address.to_string())).await;
    line.write(format!("{:x}\r\n", body.len()).as_bytes()).await;
    line.write(&body).await;
    line.write(format!("\r\n0\r\nAuthorization: Bearer {word}\r\nX-Evil: {word}\r\nMcp-Name: {word}\r\n\r\n").as_bytes()).await;
    let status = line.reply(false).await.status;
    assert!(matches!(status, 200 | 400), "{status}");
    for named in ["authorization", "mcp-name", "x-custom", "host", "content-length"] {
        let reply = house.ask(ask.clone().field("Connection", named).field("X-Custom", &word)).await;
        assert!(matches!(reply.status, 200 | 400), "{named}: {}", reply.status);
    }
    assert!(!lax.saw(&word), "{:?}", lax.seen());
    house.close(&[&word, &alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pt_02_tokens_of_others_are_no_credentials_here() {
    let lax = Lax::start(modern_lax()).await.unwrap();
    let house = House::open(&server("alpha", &lax.url(), "")).await;
    house.approve().await;
    let alice = house.full("alice").await;
    lax.forget();
    let mark = canary("");
    let tokens = [
        format!("ghp_{mark}0123456789ABCDEF"),
        format!("github_pat_{mark}_0123456789"),
        format!("glpat-{mark}"),
        format!("xoxb-123456789012-{mark}"),
        format!("ya29.{mark}0123456789"),
        format!("AIzaSy{mark}0123456789012"),
        format!("sk-ant-{mark}"),
        format!("eyJhbGciOiJSUzI1NiJ9.{mark}.c2ln"),
        format!("npm_{mark}01234567890123"),
    ];
    for token in &tokens {
        for path in ["/k", "/s"] {
            let thief = Key { text: token.clone(), path, ..alice.clone() };
            let reply = house.ask(modern_call(&thief, "alpha", 1, "echo", json!({}))).await;
            assert_eq!(reply.status, 401, "{token}");
            assert_eq!(house.last_reason(), "foreign_credential", "{token}");
        }
        let before = house.recorded("event", "foreign_credential").len();
        let reply = house.ask(modern_call(&alice, "alpha", 1, "echo", json!({})).field("X-GitHub-Token", token)).await;
        assert_eq!(reply.status, 200, "with her own key beside it");
        assert_eq!(house.recorded("event", "foreign_credential").len(), before + 1, "on the record");
        let mut ask = modern_call(&alice, "alpha", 1, "echo", json!({}));
        ask.target = format!("{}?q={token}", ask.target);
        assert_eq!(house.ask(ask).await.status, 400, "{token}");
    }
    let many = (0..50).fold(modern_call(&alice, "alpha", 1, "echo", json!({})), |ask, _| ask.field("X-Api-Key", &tokens[0]));
    let before = house.recorded("event", "foreign_credential").len();
    assert_eq!(house.ask(many.without("authorization")).await.status, 401);
    assert_eq!(house.recorded("event", "foreign_credential").len(), before + 1, "one record, whatever a stranger repeats");
    assert!(!lax.saw(&mark));
    house.close(&[&mark, &alice.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pt_03_a_server_cannot_hand_its_credential_to_a_client() {
    // With characters that are spelled differently in JSON, in URLs and in base64.
    let secret = format!("{}+/=\\u0022&x", canary("upstream-secret-"));
    let lax = Lax::start(modern_lax()).await.unwrap();
    let house = House::open(&format!(
        "[server.alpha]\nurl = \"{}\"\ncredential = {{ kind = \"header\", name = \"Authorization\", value = 'plain:Bearer {secret}' }}\n",
        lax.url()
    ))
    .await;
    house.approve().await;
    let alice = house.full("alice").await;
    let session = house.session(&alice, "alpha").await;
    use base64::Engine as _;
    let mut forms = vec![secret.clone(), secret.replace('\\', "\\\\"), canary_part(&secret)];
    for engine in [base64::engine::general_purpose::STANDARD_NO_PAD, base64::engine::general_purpose::URL_SAFE_NO_PAD] {
        forms.push(engine.encode(&secret));
        forms.push(engine.encode(format!("Bearer {secret}")));
    }
    for how in ["plain", "error", "structured", "progress", "base64", "url", "split", "cookie", "challenge"] {
        let arguments = json!({ "as": how });
        let with_token = json!({ "name": "reflect", "arguments": arguments, "_meta": { "progressToken": 9 } });
        for ask in [
            modern_call(&alice, "alpha", 1, "reflect", arguments.clone()),
            legacy_call(&alice, "alpha", &session, 1, "reflect", arguments.clone()),
            modern(&alice, "alpha", 1, "tools/call", with_token.clone()),
            legacy(&alice, "alpha", &session, 1, "tools/call", with_token.clone()),
        ] {
            let reply = house.ask(ask).await;
            let bytes = String::from_utf8_lossy(&reply.raw).into_owned();
            for form in &forms {
                assert!(!bytes.contains(form.as_str()), "{how}: {form} in {bytes}");
            }
            assert!(reply.field("set-cookie").is_none() && !bytes.contains("reflected="), "{how}");
            assert!(reply.field("www-authenticate").is_none(), "{how}");
            assert!(reply.status < 500 && reply.json()["jsonrpc"] == "2.0", "{how}: {bytes}");
        }
    }
    let blocked = house.records().into_iter().filter(|record| record["reason"] == "own_credential_in_reply").count();
    assert!(blocked >= 12, "each is on the record: {blocked}");
    house.close(&[&canary_part(&secret), &alice.text]).await;
}

/// The part of a secret that every plain spelling has.
fn canary_part(secret: &str) -> String {
    secret.split('+').next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pt_03_nor_by_any_other_message() {
    let secret = canary("upstream-secret-");
    let lax = Lax::start(modern_lax()).await.unwrap();
    let house = House::open(&secretly("alpha", &lax.url(), &secret)).await;
    house.approve().await;
    let alice = house.full("alice").await;
    let session = house.session_as(&alice, "alpha", json!({ "elicitation": {}, "sampling": {} })).await;
    let mut stream = house.flow(listen(&alice, "alpha", &session)).await;
    for message in [
        json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": secret } }),
        json!({ "jsonrpc": "2.0", "method": "notifications/resources/updated", "params": { "uri": format!("x://{secret}") } }),
        json!({ "jsonrpc": "2.0", "id": secret, "method": "elicitation/create", "params": { "message": secret } }),
        json!({ "jsonrpc": "2.0", "id": 1, "method": "elicitation/create", "params": { "message": format!("Bearer {secret}") } }),
        json!({ "jsonrpc": "2.0", "method": format!("notifications/{secret}"), "params": {} }),
        json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": "end" } }),
    ] {
        lax.push(message);
    }
    loop {
        let message = stream.message().await.expect("the last one");
        assert!(!message.to_string().contains(&secret), "{message}");
        if message["params"]["data"] == "end" {
            break;
        }
    }
    house.close(&[&secret]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pt_04_redirects_are_not_followed() {
    let secret = canary("upstream-secret-");
    let trap = Lax::start(modern_lax()).await.unwrap();
    for (status, location) in [
        (301, trap.url()),
        (302, trap.url()),
        (303, trap.url()),
        (307, trap.url()),
        (308, trap.url()),
        (307, format!("//{}/mcp", trap.addr())),
        (307, "https://evil.test/".to_owned()),
        (307, "/elsewhere".to_owned()),
    ] {
        let lax = Lax::start(modern_lax().with(Quirk::Redirect(status, location.clone()))).await.unwrap();
        let house = House::open(&secretly("alpha", &lax.url(), &secret)).await;
        house.approve().await;
        let alice = house.full("alice").await;
        let session = house.session(&alice, "alpha").await;
        for ask in [modern_call(&alice, "alpha", 1, "echo", json!({})), legacy_call(&alice, "alpha", &session, 1, "echo", json!({}))] {
            let reply = house.ask(ask).await;
            assert_eq!(reply.code().1, -32603, "{status} {location}: {}", reply.text());
            assert!(reply.field("location").is_none() && !reply.contains(&trap.addr().to_string()));
        }
        assert_eq!(lax.seen_method("tools/call").len(), 2, "asked once each, never again");
        assert!(!house.recorded("outcome", "upstream_redirect").is_empty());
        house.close(&[&secret, &alice.text]).await;
    }
    assert!(trap.seen().is_empty(), "nobody followed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pt_06_a_shared_key_does_not_share_sessions() {
    let secret = canary("upstream-secret-");
    let lax = Lax::start(Behaviour::plain()).await.unwrap();
    let house = House::open(&secretly("alpha", &lax.url(), &secret)).await;
    house.approve().await;
    let (alice, bob) = (house.full("alice").await, house.full("bob").await);
    lax.forget();
    let (of_alice, of_bob) = (house.session(&alice, "alpha").await, house.session(&bob, "alpha").await);
    let slow = json!({ "name": "slow", "arguments": { "count": 10, "ms": 50 }, "_meta": { "progressToken": 1 } });
    let mut hers = house.flow(legacy(&alice, "alpha", &of_alice, 1, "tools/call", slow.clone())).await;
    let mut his = house.flow(legacy(&bob, "alpha", &of_bob, 1, "tools/call", slow)).await;
    let calls = lax.seen_method("tools/call");
    let session = |at: usize| calls[at].field("mcp-session-id").expect("a session").to_owned();
    assert_ne!(session(0), session(1), "a session of each towards the server");
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } });
    assert_eq!(house.ask(said(&bob, "alpha", &of_bob, &cancel)).await.status, 202);
    his.rest().await;
    let mut last = Value::Null;
    while let Some(message) = hers.message().await {
        last = message;
    }
    assert!(last["result"]["content"].is_array(), "alice's call ran to its end: {last}");
    let told = lax.seen_method("notifications/cancelled");
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].field("mcp-session-id"), Some(session(1).as_str()));
    for id in [session(0), session(1)] {
        let reply = house.ask(legacy(&bob, "alpha", &id, 2, "ping", json!({}))).await;
        assert_eq!(reply.status, 404, "a server's own session id is none of ours");
    }
    let ended = within(Duration::from_secs(5), async || house.records().iter().filter(|record| record["kind"] == "closed").count() >= 2);
    assert!(ended.await);
    house.close(&[&secret, &of_alice, &of_bob]).await;
}

/// A server that puts the credential it is called with into everything it says; `\uXXXX` for each character if `escaped`.
async fn telltale(escaped: bool) -> (std::net::SocketAddr, tokio::task::JoinHandle<()>) {
    use doorward_testkit::wire::{Reader, Walk};
    use tokio::io::AsyncWriteExt as _;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (read, mut write) = stream.into_split();
                let mut requests = Reader::new(read);
                while let Ok(Some(head)) = requests.head().await {
                    let mut walk = Walk::new(head.framing());
                    while let Ok(Some(_)) = requests.piece(&mut walk).await {}
                    let message: Value = serde_json::from_slice(&walk.payload()).unwrap_or_default();
                    let own = head.field("authorization").unwrap_or_default().to_owned();
                    let mark = if escaped { "MARK".to_owned() } else { own.clone() };
                    let body = tell(&message, &mark).to_string();
                    let spelled: String = own.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
                    let body = body.replace("MARK", &spelled);
                    let status = if message.get("id").is_some() { "200 OK" } else { "202 Accepted" };
                    let body = if message.get("id").is_some() { body } else { String::new() };
                    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
                    if write.write_all(format!("{head}{body}").as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, serving)
}

fn tell(message: &Value, mark: &str) -> Value {
    let name = message.pointer("/params/name").and_then(Value::as_str).unwrap_or_default();
    let result = match message["method"].as_str().unwrap_or_default() {
        "initialize" => {
            json!({ "protocolVersion": "2025-11-25", "capabilities": { "tools": {}, "prompts": {}, "experimental": { mark: {} } },
            "serverInfo": { "name": "telltale", "version": "1", "title": mark }, "instructions": mark })
        }
        "server/discover" => json!({ "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": { "tools": {} },
            "instructions": mark }),
        "tools/list" => json!({ "tools": [{ "name": "echo", "description": mark, "inputSchema": { "type": "object" } }] }),
        "prompts/list" => json!({ "prompts": [{ "name": "greet", "description": mark }] }),
        "resources/list" => json!({ "resources": [{ "uri": format!("x://{}", mark.replace(' ', "")), "name": mark }] }),
        "resources/templates/list" => json!({ "resourceTemplates": [{ "uriTemplate": "x://{a}", "name": mark }] }),
        "tools/call" if name == "echo" => json!({ "content": [{ "type": "text", "text": mark }], mark: 1 }),
        "ping" => json!({}),
        _ => return json!({ "jsonrpc": "2.0", "id": message["id"], "error": { "code": -32000, "message": mark, "data": { mark: mark } } }),
    };
    json!({ "jsonrpc": "2.0", "id": message["id"], "result": result })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pt_03_nor_in_any_answer_of_any_method_however_it_is_escaped() {
    for escaped in [false, true] {
        let secret = canary("upstream-secret-");
        let (address, serving) = telltale(escaped).await;
        let house = House::open(&secretly("alpha", &format!("http://{address}/mcp"), &secret)).await;
        house.approve().await;
        let alice = house.full("alice").await;
        let mut asks = vec![initialize(&alice, "alpha", "2025-11-25", json!({})), initialize(&alice, "alpha", "2025-03-26", json!({}))];
        asks.extend(every_call(&alice, "alpha", "none"));
        for ask in asks {
            let what = String::from_utf8_lossy(&ask.body).into_owned();
            let reply = house.ask(ask).await;
            // As a client reads it: escapes undone.
            for text in [String::from_utf8_lossy(&reply.raw).into_owned(), format!("{:?}", reply.json())] {
                assert!(!text.contains(&secret), "{escaped} {what}: {text}");
            }
        }
        assert!(!house.recorded("outcome", "own_credential_in_reply").is_empty());
        serving.abort();
        house.close(&[&secret, &alice.text]).await;
    }
}
