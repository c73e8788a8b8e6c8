//! AUD-06, UI-02: the pages and the API of administrators. Who has no role sees nothing, who audits changes nothing, and nothing is done
//! that is not on the record first.

use super::desk::{Browser, CALLBACK, Form, Tokens, other, signed_in};
use super::house::{House, server, within};
use super::speak::{modern_call, text};
use super::wire::{Ask, Reply};
use doorward_core::id::{GroupName, UserId};
use doorward_core::oauth::admission::Blocked;
use doorward_core::oauth::form::encoded;
use doorward_core::secret::sha256;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const READS: [&str; 9] = ["session", "overview", "servers", "clients", "people", "attempts", "records", "records/1", "settings"];
const PAGES: [&str; 8] = ["", "/servers", "/clients", "/people", "/attempts", "/record", "/record/1", "/settings"];

/// `root` administers, `aud` audits, `bob` has no role; `admin` is whoever has the terminal.
async fn office() -> (Lax, House) {
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let login = "[login]\nadmins = [\"user:local/root\", \"group:security\"]\nauditors = [\"user:local/aud\", \"group:audit\"]\n";
    let house = House::open(&format!("{}{login}", server("alpha", &alpha.url(), ""))).await;
    house.approve().await;
    (alpha, house)
}

impl Browser {
    async fn read(&mut self, house: &House, what: &str) -> Reply {
        self.send(house, Ask::new("GET", &format!("/api/v1/{what}")).field("Sec-Fetch-Site", "same-origin")).await
    }

    async fn told(&mut self, house: &House, what: &str) -> Value {
        let reply = self.read(house, what).await;
        assert_eq!(reply.status, 200, "{what}: {}", reply.text());
        reply.json()
    }

    async fn form(&mut self, house: &House) -> String {
        self.told(house, "session").await["form"].as_str().unwrap().to_owned()
    }

    async fn change(&mut self, house: &House, change: &Value) -> Reply {
        let form = self.form(house).await;
        self.send(house, changing(change).field("Doorward-Form", &form)).await
    }
}

fn changing(change: &Value) -> Ask {
    Ask::post("/api/v1/changes", change.to_string()).field("Sec-Fetch-Site", "same-origin")
}

/// The token of the forms of a page of administrators: not that of the form that signs out.
fn token_in(page: &Reply) -> String {
    let text = page.text();
    let form = text.split("<form").find(|form| form.contains("action=\"/admin") && form.contains("csrf"));
    let form = form.unwrap_or_else(|| panic!("{text}"));
    form.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

/// A form that is sent to a page.
fn posted(action: &str, fields: &[(&str, &str)]) -> Form {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Form { action: action.to_owned(), fields }
}

fn reason(reply: &Reply) -> (u16, String) {
    (reply.status, reply.json()["reason"].as_str().unwrap_or_default().to_owned())
}

/// A client with a consent of `admin` and its tokens.
async fn client_with_tokens(house: &House) -> (String, Tokens, Browser) {
    let client = house.register("Claude Code", &[CALLBACK]).await;
    let mut browser = signed_in(house).await;
    let code = house.code(&mut browser, &client, "alpha", &["alpha:read"]).await;
    (client.clone(), Tokens::of(&house.redeem(&client, &code).await), browser)
}

async fn call(house: &House, tokens: &Tokens) -> Reply {
    house.ask(modern_call(&tokens.key(), "alpha", 1, "echo", json!({ "a": 1 }))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aud_06_whoever_has_no_role_sees_and_changes_nothing() {
    let (_alpha, house) = office().await;
    let (client, tokens, _) = client_with_tokens(&house).await;
    let mut nobody = Browser::default();
    let mut bob = other(&house, "bob").await;
    for what in READS.iter().map(|what| format!("/api/v1/{what}")).chain(["/api/v1/people/person?issuer=local&subject=admin".to_owned()]) {
        let ask = || Ask::new("GET", &what).field("Sec-Fetch-Site", "same-origin");
        assert_eq!(reason(&nobody.send(&house, ask()).await), (401, "not_signed_in".to_owned()), "{what}");
        assert_eq!(reason(&bob.send(&house, ask()).await), (403, "not_permitted".to_owned()), "{what}");
        // No credential of a program is one of a person.
        let token = ask().field("Authorization", &format!("Bearer {}", tokens.access));
        assert_eq!(house.ask(token).await.status, 401, "{what}");
    }
    for page in PAGES.iter().map(|page| format!("/admin{page}")).chain(["/admin/people/person?issuer=local&subject=admin".to_owned()]) {
        assert!(nobody.open(&house, &page).await.contains("<h1>Sign in</h1>"), "{page}");
        let refused = bob.open(&house, &page).await;
        assert_eq!(refused.status, 403, "{page}");
        assert!(refused.contains("not yours to see") && !refused.contains("Claude Code"), "{page}: {}", refused.text());
    }
    let block = json!({"action": "block-client", "client": client});
    assert_eq!(reason(&bob.send(&house, changing(&block)).await), (403, "not_permitted".to_owned()));
    assert_eq!(reason(&nobody.send(&house, changing(&block)).await), (401, "not_signed_in".to_owned()));
    assert!(house.store.list_blocks().await.unwrap().is_empty());
    assert!(!house.recorded("event", "administration_refused").is_empty(), "bob tried");
    assert!(house.recorded("event", "record_read").is_empty(), "nothing was read");
    // Not on their own page either.
    assert!(!bob.open(&house, "/me").await.contains("href=\"/admin\""));
    // A disabled administrator is a member.
    let mut root = other(&house, "root").await;
    assert_eq!(root.read(&house, "people").await.status, 200);
    house.store.disable_user(&UserId::new("local", "root").unwrap(), house.env.now()).await.unwrap();
    assert_eq!(root.read(&house, "people").await.status, 403);
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aud_06_an_auditor_sees_all_but_settings_and_changes_nothing() {
    let (_alpha, house) = office().await;
    let (client, tokens, _) = client_with_tokens(&house).await;
    assert_eq!(call(&house, &tokens).await.status, 200);
    let mut aud = other(&house, "aud").await;
    for what in READS.iter().filter(|what| **what != "settings") {
        aud.told(&house, what).await;
    }
    assert_eq!(reason(&aud.read(&house, "settings").await), (403, "not_permitted".to_owned()));
    assert_eq!(aud.told(&house, "session").await["roles"], json!(["auditor"]));
    let person = "/people/person?issuer=local&subject=admin";
    for page in PAGES.iter().copied().filter(|page| *page != "/settings").chain([person]) {
        let page = aud.open(&house, &format!("/admin{page}")).await;
        assert_eq!(page.status, 200, "{}", page.text());
        assert!(!page.contains("/admin/settings"), "not in the navigation");
        assert!(!page.contains("name=\"action\""), "nothing to press: {}", page.text());
    }
    assert_eq!(aud.open(&house, "/admin/settings").await.status, 403);
    for change in every_change(&client) {
        assert_eq!(reason(&aud.change(&house, &change).await), (403, "not_permitted".to_owned()), "{change}");
    }
    // The form of an administrator, by somebody who was one when they opened the page: the group is gone.
    let user = UserId::new("local", "temp").unwrap();
    let mut temp = other(&house, "temp").await;
    house.store.put_user(&user, &[GroupName::new("security").unwrap(), GroupName::new("audit").unwrap()], house.env.now()).await.unwrap();
    let csrf = token_in(&temp.open(&house, "/admin/clients").await);
    house.store.put_user(&user, &[GroupName::new("audit").unwrap()], house.env.now()).await.unwrap();
    let form = posted("/admin/clients", &[("csrf", &csrf), ("action", "block-client"), ("client", &client)]);
    let sent = temp.submit(&house, &form).await;
    assert_eq!(sent.status, 403);
    assert!(sent.contains("not yours to see"), "by the role, not by the token: {}", sent.text());
    assert_eq!(call(&house, &tokens).await.status, 200, "nothing happened");
    assert!(house.store.list_blocks().await.unwrap().is_empty());
    house.close(&[]).await;
}

fn every_change(client: &str) -> Vec<Value> {
    vec![
        json!({"action": "block-client", "client": client}),
        json!({"action": "unblock-client", "client": client}),
        json!({"action": "disable-user", "issuer": "local", "subject": "admin"}),
        json!({"action": "enable-user", "issuer": "local", "subject": "admin"}),
        json!({"action": "sign-out-user", "issuer": "local", "subject": "admin"}),
        json!({"action": "revoke-consent", "id": "x"}),
        json!({"action": "revoke-key", "id": "x"}),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_blocks_disables_and_takes_back_and_the_record_says_who_did() {
    let (_alpha, house) = office().await;
    let (client, tokens, mut owner) = client_with_tokens(&house).await;
    assert_eq!(call(&house, &tokens).await.status, 200);
    let mut root = other(&house, "root").await;
    let digest = Blocked::Digest(sha256(client.as_bytes())).to_string();

    let page = root.open(&house, "/admin/clients").await;
    assert!(page.contains("Claude Code") && page.contains("1 consent"), "{}", page.text());
    let block = json!({"action": "block-client", "client": digest, "reason": "phishes"});
    assert_eq!(root.change(&house, &block).await.json(), json!({"changed": true}));
    assert!(within(Duration::from_secs(5), async || call(&house, &tokens).await.status != 200).await, "still let in");
    assert_eq!(root.change(&house, &block).await.json(), json!({"changed": false}), "once");
    let set = house.recorded("event", "client_block_set");
    let [one] = set.as_slice() else { panic!("{set:#?}") };
    assert_eq!((&one["by"]["sub"], one["client"].is_string()), (&json!("root"), true));
    assert!(one["cause"].as_str().unwrap().ends_with(": phishes"));
    let page = root.open(&house, "/admin/clients").await;
    assert!(page.contains("phishes") && page.contains("unblock-client"), "{}", page.text());
    assert_eq!(root.change(&house, &json!({"action": "unblock-client", "client": client})).await.json(), json!({"changed": true}));
    assert!(within(Duration::from_secs(5), async || call(&house, &tokens).await.status == 200).await, "let go on");

    // The forms of the page of a person.
    let target = "/admin/people/person?issuer=local&subject=admin";
    let person = root.open(&house, target).await;
    assert!(person.contains("Claude Code") && person.contains("Apps they allowed"), "{}", person.text());
    let csrf = token_in(&root.open(&house, "/admin/clients").await);
    let form = |action: &str, more: &[(&str, &str)]| {
        let mut fields = vec![("csrf", csrf.as_str()), ("action", action)];
        fields.extend(more);
        Form { action: target.to_owned(), fields: fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect() }
    };
    let who = [("issuer", "local"), ("subject", "admin")];
    assert!(root.submit(&house, &form("disable-user", &who)).await.contains("They may not act any more"));
    assert!(within(Duration::from_secs(5), async || call(&house, &tokens).await.status != 200).await, "disabled, and still let in");
    assert!(root.submit(&house, &form("enable-user", &who)).await.contains("They may act again"));
    assert!(root.submit(&house, &form("sign-out-user", &who)).await.contains("signed out"));
    assert!(owner.open(&house, "/me").await.contains("<h1>Sign in</h1>"));
    let grant = house.store.list_grants(None, house.env.now()).await.unwrap()[0].id.to_string();
    assert!(root.submit(&house, &form("revoke-consent", &[("id", &grant)])).await.contains("The consent is taken back"));
    assert!(within(Duration::from_secs(5), async || call(&house, &tokens).await.status == 401).await, "taken back, and still let in");
    let key = house.key("admin", &["alpha"], &["alpha:read"]).await;
    assert!(root.submit(&house, &form("revoke-key", &[("id", key.id.as_str())])).await.contains("The key is revoked"));
    for done in ["person_disabled", "person_enabled", "sessions_ended", "consent_withdrawn", "api_key_revoked"] {
        let found = house.recorded("event", done);
        assert_eq!(found.len(), 1, "{done}: once: {found:#?}");
        assert_eq!((&found[0]["by"]["sub"], &found[0]["user"]["sub"]), (&json!("root"), &json!("admin")), "{done}");
    }
    // Signed out already.
    let gone = json!({"action": "sign-out-user", "issuer": "local", "subject": "admin"});
    assert_eq!(root.change(&house, &gone).await.json(), json!({"changed": false}), "nothing was left to end");
    assert_eq!(house.recorded("event", "sessions_ended").len(), 1);
    // Nobody locks out themselves, nobody is made up, and what the configuration says stays.
    assert_eq!(
        reason(&root.change(&house, &json!({"action": "disable-user", "issuer": "local", "subject": "root"})).await),
        (409, "yourself".to_owned())
    );
    for nothing in [
        json!({"action": "disable-user", "issuer": "local", "subject": "ghost"}),
        json!({"action": "revoke-consent", "id": "ghost"}),
        json!({"action": "revoke-key", "id": "ghost"}),
    ] {
        assert_eq!(reason(&root.change(&house, &nothing).await), (404, "not_found".to_owned()), "{nothing}");
    }
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ui_02_no_change_without_the_token_of_this_person_and_this_page() {
    let (_alpha, house) = office().await;
    let (client, _, mut admin) = client_with_tokens(&house).await;
    let (mut root, mut aud) = (other(&house, "root").await, other(&house, "aud").await);
    let change = json!({"action": "block-client", "client": client});
    let own = root.form(&house).await;
    let foreign = [aud.form(&house).await, admin.form(&house).await];
    let plain = || Ask::post("/api/v1/changes", change.to_string());
    let from = |ask: Ask, site: &str| ask.field("Sec-Fetch-Site", site);
    for (what, ask) in [
        ("no token", from(plain(), "same-origin")),
        ("of an auditor", from(plain(), "same-origin").field("Doorward-Form", &foreign[0])),
        ("of another administrator", from(plain(), "same-origin").field("Doorward-Form", &foreign[1])),
        ("from another site", from(plain(), "cross-site").field("Doorward-Form", &own)),
        ("from a sibling", from(plain(), "same-site").field("Doorward-Form", &own)),
        ("from nowhere", plain().field("Doorward-Form", &own)),
        ("from no origin", plain().field("Origin", "null").field("Doorward-Form", &own)),
    ] {
        assert_eq!(reason(&root.send(&house, ask).await), (403, "forged".to_owned()), "{what}");
    }
    for media in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
        let mut ask = from(plain(), "same-origin").field("Doorward-Form", &own);
        ask.fields.retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
        assert_eq!(root.send(&house, ask.field("Content-Type", media)).await.status, 415, "{media}");
    }
    let target = format!("/api/v1/changes?action=block-client&client={}", encoded(&client));
    assert_eq!(root.open(&house, &target).await.status, 405, "no change by GET");
    // The right token of the right page, and another site.
    let csrf = token_in(&root.open(&house, "/admin/clients").await);
    let form = posted("/admin/clients", &[("csrf", &csrf), ("action", "block-client"), ("client", &client)]);
    for site in ["cross-site", "same-site", "none"] {
        let sent = root.send(&house, form.ask().field("Sec-Fetch-Site", site).field("Origin", "null")).await;
        assert_eq!(sent.status, 403, "{site}");
    }
    // The token of one page is none of another: that of the account, and of the API in a form.
    let me = Form::of(&root.open(&house, "/me").await);
    for csrf in [me.value("csrf").to_owned(), own.clone()] {
        let form = Form { action: "/admin/clients".to_owned(), fields: vec![("csrf".to_owned(), csrf)] };
        let sent = root.submit(&house, &form.with("action", "block-client").with("client", &client)).await;
        assert_eq!(sent.status, 403, "{}", sent.text());
    }
    assert!(house.recorded("event", "forged_form").len() >= 7, "and somebody should look");
    // That of an earlier sign-in of the same person is another's.
    let mut again = other(&house, "root").await;
    let late = from(plain(), "same-origin").field("Doorward-Form", &own);
    assert_eq!(reason(&again.send(&house, late).await), (403, "forged".to_owned()));
    // Another site may not make this browser read the record either.
    let mut bob = other(&house, "bob").await;
    let (read, refused) = (house.recorded("event", "record_read").len(), house.recorded("event", "administration_refused").len());
    for target in ["/api/v1/records", "/api/v1/overview", "/admin", "/admin/record?user=bob", "/admin/record/1", "/admin/people"] {
        let ask = || Ask::new("GET", target).field("Sec-Fetch-Site", "cross-site").field("Sec-Fetch-Mode", "navigate");
        let led = again.send(&house, ask()).await;
        assert_eq!(led.status, 403, "{target}");
        assert_eq!(led.contains(&format!("href=\"{target}\"")), target.starts_with("/admin"), "one click of theirs: {}", led.text());
        assert_eq!(bob.send(&house, ask()).await.status, 403, "{target}");
    }
    assert_eq!(house.recorded("event", "record_read").len(), read);
    assert_eq!(house.recorded("event", "administration_refused").len(), refused, "nobody is made to look guilty");
    assert!(house.store.list_blocks().await.unwrap().is_empty());
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aud_06_whoever_is_disabled_while_a_change_arrives_does_not_make_it() {
    let (_alpha, house) = office().await;
    let user = UserId::new("local", "root").unwrap();
    let mut root = other(&house, "root").await;
    let cookie = root.jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
    let form = root.form(&house).await;
    other(&house, "bob").await;
    let csrf = token_in(&root.open(&house, "/admin/clients").await);
    let back = json!({"action": "enable-user", "issuer": "local", "subject": "root"});
    let fields = [("csrf", csrf.as_str()), ("action", "enable-user"), ("issuer", "local"), ("subject", "root")];
    let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let page = Form { action: "/admin/people/person?issuer=local&subject=root".to_owned(), fields };
    for ask in [changing(&back).field("Doorward-Form", &form), page.ask().field("Sec-Fetch-Site", "same-origin")] {
        let ask = ask.field("Cookie", &cookie).field("Expect", "100-continue").field("Connection", "close");
        let mut line = TcpStream::connect(house.address).await.unwrap();
        let bytes = ask.bytes(&house.address.to_string());
        let (head, body) = bytes.split_at(bytes.len() - ask.body.len());
        line.write_all(head).await.unwrap();
        // Asked for the body, they were an administrator; when it comes, they are none.
        let mut said = [0; 25];
        line.read_exact(&mut said).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&said), "HTTP/1.1 100 Continue\r\n\r\n");
        house.store.disable_user(&user, house.env.now()).await.unwrap();
        line.write_all(body).await.unwrap();
        let mut answer = String::new();
        line.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
        assert!(house.store.list_users().await.unwrap().iter().any(|known| known.user == user && known.disabled.is_some()));
        house.store.enable_user(&user, house.env.now()).await.unwrap();
    }
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_and_queries_that_are_no_such_change_nothing() {
    let (_alpha, house) = office().await;
    let (client, ..) = client_with_tokens(&house).await;
    let mut root = other(&house, "root").await;
    let form = root.form(&house).await;
    for body in [
        String::new(),
        "[]".to_owned(),
        "null".to_owned(),
        "{}".to_owned(),
        json!({"action": "block-client"}).to_string(),
        json!({"action": "block-client", "client": 5}).to_string(),
        json!({"action": "block-client", "client": client, "unseen": "true"}).to_string(),
        json!({"action": "block-client", "client": client, "reason": {"a": "b"}}).to_string(),
        json!({"action": "drop-everything"}).to_string(),
        format!("{{\"action\":\"block-client\",\"client\":\"{client}\",\"action\":\"unblock-client\"}}"),
        format!("{{\"action\":\"block-client\",\"client\":\"{client}\"}} x"),
    ] {
        let ask = Ask::post("/api/v1/changes", body.clone()).field("Sec-Fetch-Site", "same-origin").field("Doorward-Form", &form);
        assert_eq!(reason(&root.send(&house, ask).await), (400, "bad_change".to_owned()), "{body}");
    }
    let large = Ask::post("/api/v1/changes", " ".repeat(20_000)).field("Sec-Fetch-Site", "same-origin").field("Doorward-Form", &form);
    assert_eq!(root.send(&house, large).await.status, 413);
    // A page asks for nothing that it does not know either.
    for target in
        ["/admin/record?usr=bob", "/admin/record?decision=all", "/admin/record?since=yesterday", "/admin/people?x=1", "/admin?x=1"]
    {
        assert_eq!(root.open(&house, target).await.status, 400, "{target}");
    }
    for query in [
        "records?since=yesterday",
        "records?until=2026-11-24T10:02:11%2B01:00",
        "records?limit=0",
        "records?limit=201",
        "records?limit=-1",
        "records?before=x",
        "records?decision=all",
        "records?usr=bob",
        "records?user=a&user=b",
        "clients?x=1",
        "people/person",
        "people/person?issuer=local",
        "overview?before=1",
    ] {
        assert_eq!(reason(&root.read(&house, query).await), (400, "bad_query".to_owned()), "{query}");
    }
    assert_eq!(reason(&root.read(&house, "records/99999999").await), (404, "not_found".to_owned()));
    assert_eq!(reason(&root.read(&house, "people/person?issuer=local&subject=ghost").await), (404, "not_found".to_owned()));
    assert!(house.store.list_blocks().await.unwrap().is_empty());
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aud_06_the_record_is_searched_by_overseers_and_that_is_on_it() {
    let (_alpha, house) = office().await;
    let (_, tokens, _) = client_with_tokens(&house).await;
    assert!(text(&call(&house, &tokens).await).contains('1'));
    let key = house.key("bob", &["alpha"], &["alpha:read"]).await;
    assert_eq!(house.ask(modern_call(&key, "alpha", 1, "no_such_tool", json!({}))).await.status, 200);
    let mut aud = other(&house, "aud").await;
    let found = aud.told(&house, "records?tool=alpha__echo").await;
    let [one] = found["entries"].as_array().unwrap().as_slice() else { panic!("{found:#}") };
    assert_eq!((&one["record"]["kind"], &one["outcome"]["class"]), (&json!("intent"), &json!("completed")));
    assert_eq!(one["record"]["user"]["sub"], "admin");
    let seq = one["record"]["seq"].as_u64().unwrap();
    let whole = aud.told(&house, &format!("records/{seq}")).await;
    assert_eq!(whole["records"].as_array().unwrap().len(), 2, "with what became of it: {whole:#}");
    assert!(whole["head"].as_str().unwrap().starts_with(&format!("{seq}:")));
    let page = aud.open(&house, &format!("/admin/record/{seq}")).await;
    assert!(page.contains("alpha") && page.contains("doorward audit verify --head"), "{}", page.text());
    // What a search shows is what fits, and pages go on where the last one ended.
    let bobs = aud.told(&house, "records?user=local%2Fbob&limit=1").await;
    assert_eq!(bobs["entries"].as_array().unwrap().len(), 1);
    assert!(bobs["entries"].as_array().unwrap().iter().all(|entry| entry["record"]["user"]["sub"] == "bob"), "{bobs:#}");
    let older = aud.told(&house, &format!("records?limit=5&before={seq}")).await;
    assert_eq!(older["entries"].as_array().unwrap().len(), 5);
    let number = async |browser: &mut Browser, query: &str| browser.told(&house, query).await["entries"].as_array().unwrap().len();
    assert_eq!(number(&mut aud, "records?since=2001-01-01&until=2999-01-01&limit=3").await, 3);
    assert_eq!(number(&mut aud, "records?until=2001-01-01").await, 0);
    assert_eq!(number(&mut aud, "records?since=2999-01-01").await, 0);
    assert!(older["entries"].as_array().unwrap().iter().all(|entry| entry["record"]["seq"].as_u64().unwrap() < seq));
    let page = aud.open(&house, "/admin/record?tool=alpha__echo&decision=permit").await;
    assert!(page.contains("alpha__echo") && page.contains("answered"), "{}", page.text());
    let read = house.recorded("event", "record_read");
    assert!(read.iter().all(|record| record["by"]["sub"] == "aud"), "{read:#?}");
    let causes: Vec<&str> = read.iter().filter_map(|record| record["cause"].as_str()).collect();
    assert!(causes.contains(&"tool=alpha__echo") && causes.contains(&format!("record {seq}").as_str()), "{causes:?}");
    // Nothing of it opens anything.
    for text in [page.text(), found.to_string(), whole.to_string()] {
        assert!(!text.contains(&tokens.access) && !text.contains(&key.text) && !text.contains("dwat_"), "{text}");
    }
    house.close(&[&tokens.access, &key.text]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aud_04_ui_03_what_strangers_wrote_is_inert_on_every_page_of_administrators() {
    let (_alpha, house) = office().await;
    let evil = "<script>alert(1)</script>\u{202e}\"><img src=x onerror=alert(1)>";
    let client = house.register(evil, &[CALLBACK]).await;
    let mut owner = signed_in(&house).await;
    house.code(&mut owner, &client, "alpha", &["alpha:read"]).await;
    let (_, tokens, _) = client_with_tokens(&house).await;
    house.ask(modern_call(&tokens.key(), "alpha", 1, "<img src=x>", json!({}))).await;
    let user = UserId::new("local", "<img src=x onerror=alert(2)>").unwrap();
    house.store.put_user(&user, &[], house.env.now()).await.unwrap();
    let mut root = other(&house, "root").await;
    let person = format!("/people/person?issuer=local&subject={}", encoded(user.subject()));
    let searches = ["/people?search=%3Cscript%3Ealert(1)%3C/script%3E", "/record?user=%22%3E%3Cscript%3E", &person];
    for page in PAGES.iter().copied().chain(searches) {
        let shown = root.open(&house, &format!("/admin{page}")).await;
        assert_eq!(shown.status, 200, "{page}: {}", shown.text());
        let text = shown.text();
        if ["/clients", "/attempts"].contains(&page) {
            assert!(text.contains("&#60;script&#62;alert(1)"), "it is there, and inert: {page}: {text}");
        }
        assert!(
            !text.contains("<script") && !text.contains("<img") && !text.contains('\u{202e}') && !text.contains('\u{1b}'),
            "{page}: {text}"
        );
    }
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rs_11_a_client_is_blocked_before_anybody_met_it_and_the_configuration_keeps_what_it_blocks() {
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let blocked = "https://bad.example/client.json";
    let house = House::open(&format!("{}[clients]\nblock = [\"{blocked}\"]\n", server("alpha", &alpha.url(), ""))).await;
    house.approve().await;
    let mut admin = signed_in(&house).await;
    // One that only registered, which is not kept as a client.
    let client = house.register("Phish", &[CALLBACK]).await;
    let block = json!({"action": "block-client", "client": client});
    assert_eq!(admin.change(&house, &block).await.json(), json!({"changed": true}));
    let page = admin.open(&house, &house.authorize(&client, "alpha", &[])).await;
    assert!(!page.contains("name=\"decision\""), "it asks in vain: {}", page.text());
    // One that the configuration blocks, and an administrator besides.
    let unblock = json!({"action": "unblock-client", "client": blocked});
    assert_eq!(reason(&admin.change(&house, &unblock).await), (409, "by_configuration".to_owned()));
    assert_eq!(admin.change(&house, &json!({"action": "block-client", "client": blocked})).await.json(), json!({"changed": true}));
    let page = admin.open(&house, "/admin/clients").await;
    assert!(page.contains("clients.block of the configuration") && page.contains("blocked just now"), "{}", page.text());
    let csrf = token_in(&page);
    let form = posted("/admin/clients", &[("csrf", &csrf), ("action", "unblock-client"), ("client", blocked)]);
    let sent = admin.submit(&house, &form).await;
    assert!(sent.contains("It stays blocked by clients.block"), "{}", sent.text());
    let known = admin.told(&house, "clients?search=bad.example").await;
    let [theirs] = known["clients"].as_array().unwrap().as_slice() else { panic!("{known:#}") };
    assert_eq!(theirs["blocked"], json!([{"by": "configuration"}]));
    // A key is no client, and a page that is of nobody changes nothing.
    let key = admin.change(&house, &json!({"action": "block-client", "client": "key:k1"})).await;
    assert_eq!(reason(&key), (400, "bad_change".to_owned()));
    for (action, status) in [("/admin/people/person", 400), ("/admin/people/person?issuer=local&subject=ghost", 404)] {
        let form = posted(action, &[("csrf", &csrf), ("action", "block-client"), ("client", "dwc_other")]);
        assert_eq!(admin.submit(&house, &form).await.status, status, "{action}");
    }
    assert_eq!(house.store.list_blocks().await.unwrap().len(), 1);
    house.close(&[]).await;
}
