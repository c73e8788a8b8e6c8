//! DISC, AZ, UI: how a client finds the front office, and how a person decides there. Nobody else does.

use super::desk::{Browser, CALLBACK, Form, Tokens, administrator, document, error_of, parameter, sent_to};
use super::house::{House, server, within};
use super::speak::{modern, modern_call, text};
use super::wire::Ask;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use serde_json::json;
use std::time::Duration;

async fn office() -> (Lax, House) {
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let house = House::open(&format!("{}{}", server("alpha", &alpha.url(), ""), server("beta", &alpha.url(), ""))).await;
    house.approve().await;
    alpha.forget();
    (alpha, house)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_goes_from_nothing_to_a_call_and_back() {
    let (alpha, house) = office().await;
    let mut browser = Browser::default();
    let client = house.register("Claude Code (alpha)", &[CALLBACK]).await;
    // Nobody is signed in: the request waits in this browser, and nothing is stored.
    let page = browser.open(&house, &house.authorize(&client, "alpha", &[])).await;
    assert_eq!(page.status, 200);
    assert!(page.contains("Sign in") && !page.contains("Claude Code"), "{}", page.text());
    let back = browser.sign_in(&house).await;
    assert_eq!(back.status, 303);
    let page = browser.open(&house, back.field("location").unwrap()).await;
    assert!(page.contains("Claude Code (alpha)") && page.contains("127.0.0.1:61036"), "{}", page.text());
    let left = house.allow(&mut browser, &page, &["alpha:read"]).await;
    assert_eq!(left.status, 200, "a redirect after a form is stopped by browsers");
    let address = sent_to(&left);
    assert!(address.starts_with("http://127.0.0.1:61036/callback?code=dwac_"), "{address}");
    assert_eq!(parameter(&address, "state").as_deref(), Some("st 1&2"));
    assert_eq!(parameter(&address, "iss").as_deref(), Some(format!("http://{}", house.address).as_str()));
    assert_eq!(address.matches("iss=").count(), 1);
    let tokens = Tokens::of(&house.redeem(&client, &parameter(&address, "code").unwrap()).await);
    assert_eq!(tokens.scope, "alpha:read");
    assert!(text(&house.ask(modern_call(&tokens.key(), "alpha", 1, "echo", json!({ "a": 1 }))).await).contains('1'));
    let next = Tokens::of(&house.refresh(&client, &tokens.refresh).await);
    assert!(text(&house.ask(modern_call(&next.key(), "alpha", 1, "echo", json!({ "a": 2 }))).await).contains('2'));
    for reason in ["signed_in", "consent_shown", "consent_given", "tokens_issued", "tokens_refreshed"] {
        assert_eq!(house.recorded("event", reason).len(), 1, "{reason}");
    }
    // Removed by the person: the next call is refused.
    let me = browser.open(&house, "/me").await;
    assert!(me.contains("Claude Code (alpha)"), "{}", me.text());
    let text = me.text();
    let remove = text.split("<form").find(|form| form.contains("remove-grant")).unwrap();
    let mut form = Form::of(&me);
    form.action = "/me".to_owned();
    let id = remove.split("name=\"id\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let done = browser.submit(&house, &form.without("id").with("id", &id).with("action", "remove-grant")).await;
    assert_eq!(done.status, 200, "{}", done.text());
    let dead =
        within(Duration::from_secs(5), async || house.ask(modern(&next.key(), "alpha", 1, "tools/list", json!({}))).await.status == 401);
    assert!(dead.await, "AZ-12: a removed application still calls");
    assert_eq!(error_of(&house.refresh(&client, &next.refresh).await), (400, "invalid_grant".to_owned()));
    drop(alpha);
    house.close(&[&tokens.access, &tokens.refresh, &next.access, &next.refresh, super::desk::VERIFIER]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disc_01_each_server_has_its_own_document_at_its_exact_path() {
    let (_alpha, house) = office().await;
    for name in ["alpha", "beta"] {
        let reply = house.ask(Ask::new("GET", &format!("/s/{name}/mcp"))).await;
        let challenge = reply.field("www-authenticate").unwrap_or_default().to_owned();
        assert_eq!(reply.status, 401);
        assert!(!challenge.contains("error="), "no token was sent: {challenge}");
        let address = challenge.split("resource_metadata=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        let path = address.strip_prefix(&format!("http://{}", house.address)).unwrap();
        let found = document(&house, path).await;
        assert_eq!(found["resource"], house.resource(name));
        assert_eq!(found["authorization_servers"], json!([format!("http://{}", house.address)]));
        assert_eq!(found["scopes_supported"], json!([format!("{name}:read")]));
    }
    for path in ["s/nope/mcp", "s/alpha/mcp/extra", "s/Alpha/mcp", "s/alpha", "s/alpha/mcp/", "", "mcp", "k/alpha/mcp"] {
        let reply = house.ask(Ask::new("GET", &format!("/.well-known/oauth-protected-resource/{path}"))).await;
        assert_eq!(reply.status, 404, "{path}");
    }
    let key = house.ask(Ask::new("GET", "/k/alpha/mcp")).await;
    assert!(!key.field("www-authenticate").unwrap().contains("resource_metadata"));
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disc_02_the_issuer_is_the_same_bytes_everywhere_and_only_what_works_is_advertised() {
    let (_alpha, house) = office().await;
    let issuer = format!("http://{}", house.address);
    let first = house.ask(Ask::new("GET", "/.well-known/oauth-authorization-server")).await;
    for path in [
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server/s/alpha/mcp",
        "/.well-known/openid-configuration/s/alpha/mcp",
        "/s/alpha/mcp/.well-known/openid-configuration",
    ] {
        assert_eq!(house.ask(Ask::new("GET", path)).await.body, first.body, "{path}");
    }
    let found = first.json();
    assert_eq!(found["issuer"], issuer);
    for endpoint in ["authorization_endpoint", "token_endpoint", "revocation_endpoint", "introspection_endpoint", "registration_endpoint"] {
        assert!(found[endpoint].as_str().unwrap().starts_with(&format!("{issuer}/oauth/")), "{endpoint}");
    }
    assert_eq!(found["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(found["authorization_response_iss_parameter_supported"], true);
    assert!(found.get("scopes_supported").is_none());
    for grant in
        ["password", "client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer", "urn:ietf:params:oauth:grant-type:token-exchange"]
    {
        assert!(!found["grant_types_supported"].to_string().contains(grant));
        let client = house.register("c", &[CALLBACK]).await;
        let reply = house.token_request(&[("grant_type", grant), ("client_id", &client)]).await;
        assert_eq!(error_of(&reply), (400, "unsupported_grant_type".to_owned()), "{grant}");
    }
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn az_01_no_client_gets_a_code_that_nobody_allowed_it() {
    let (_alpha, house) = office().await;
    let mut browser = Browser::default();
    browser.sign_in(&house).await;
    let known = house.register("Known", &[CALLBACK]).await;
    house.connected(&mut browser, &known, "alpha", &["alpha:read"]).await;
    // Another client, in the same browser of the same person, with the same name: asked anew, and nothing is sent anywhere.
    let eve = house.register("Known", &["http://localhost:9/cb"]).await;
    let page = browser.open(&house, &house.authorize(&eve, "alpha", &[("redirect_uri", "http://localhost:9/cb")])).await;
    assert_eq!(page.status, 200);
    assert!(page.contains("localhost:9") && page.field("location").is_none() && !page.contains("dwac_"), "{}", page.text());
    assert!(page.contains("Never before by you"), "{}", page.text());
    let refused = browser.submit(&house, &Form::of(&page).with("decision", "cancel")).await;
    let address = sent_to(&refused);
    assert_eq!(parameter(&address, "error").as_deref(), Some("access_denied"));
    assert!(parameter(&address, "iss").is_some() && parameter(&address, "state").is_some() && parameter(&address, "code").is_none());
    assert_eq!(house.recorded("event", "consent_declined").len(), 1);
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn az_02_a_request_is_decided_in_the_browser_that_began_it() {
    let (_alpha, house) = office().await;
    let client = house.register("Eve", &[CALLBACK]).await;
    // Mallory begins, and gives alice the address of the page.
    let mut mallory = Browser::default();
    let page = mallory.open(&house, &house.authorize(&client, "alpha", &[])).await;
    let txn = mallory.jar.get("__Host-dw_waiting").expect("a request that waits").clone();
    assert_eq!(page.status, 200);
    let mut alice = Browser::default();
    alice.sign_in(&house).await;
    let reply = alice.open(&house, &format!("/oauth/consent?txn={txn}")).await;
    assert_eq!(reply.status, 400);
    assert!(reply.contains("another browser") && !reply.contains("<form"), "{}", reply.text());
    // With her form token of another page neither.
    let own = alice.open(&house, &house.authorize(&client, "alpha", &[])).await;
    let form = Form::of(&own).without("txn").with("txn", &txn).with("decision", "allow").with("grant", "alpha:read").with("duration", "8h");
    house.read_the_page();
    assert_eq!(alice.submit(&house, &form).await.status, 400);
    // Nor with the flow cookie alone, without being signed in.
    let stolen = Form::of(&own).with("decision", "allow").with("grant", "alpha:read").with("duration", "8h");
    let mut thief = alice.clone();
    thief.jar.remove("__Host-dw_session");
    let reply = thief.submit(&house, &stolen).await;
    assert!(!reply.contains("dwac_"), "{}", reply.text());
    assert_eq!(house.store.list_grants(None, house.env.now()).await.unwrap(), []);
    assert!(!house.recorded("event", "other_browser").is_empty());
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn az_04_only_a_page_of_ours_in_the_same_session_decides_and_once() {
    let (_alpha, house) = office().await;
    let client = house.register("Client", &[CALLBACK]).await;
    let mut browser = Browser::default();
    browser.sign_in(&house).await;
    let page = browser.open(&house, &house.authorize(&client, "alpha", &[])).await;
    let again = browser.open(&house, &house.authorize(&client, "alpha", &[])).await;
    house.read_the_page();
    let form = Form::of(&page).with("decision", "allow").with("grant", "alpha:read").with("duration", "8h");
    let ask = form.ask();
    let from = |site: &str| ask.clone().field("Sec-Fetch-Site", site);
    let csrf = form.value("csrf").to_owned();
    let other = Form::of(&again).value("csrf").to_owned();
    let fetch = ("Sec-Fetch-Site", "same-origin");
    for (attack, ask) in [
        ("cross-site", from("cross-site")),
        ("same-site", from("same-site")),
        ("typed", from("none")),
        ("nothing says where from", ask.clone()),
        ("null origin alone", ask.clone().field("Origin", "null")),
        ("no token", form.clone().without("csrf").ask().field(fetch.0, fetch.1)),
        ("the token of another request", form.clone().without("csrf").with("csrf", &other).ask().field(fetch.0, fetch.1)),
        ("a later token", form.clone().without("csrf").with("csrf", &csrf.replacen('1', "2", 1)).ask().field(fetch.0, fetch.1)),
        ("text", ask.clone().set("Content-Type", "text/plain").field(fetch.0, fetch.1)),
        ("json", ask.clone().set("Content-Type", "application/json").field(fetch.0, fetch.1)),
    ] {
        let reply = browser.send(&house, ask).await;
        assert!(matches!(reply.status, 400 | 403 | 415), "{attack}: {}", reply.status);
        assert!(!reply.contains("dwac_"), "{attack}");
    }
    let foreign = browser.send(&house, from("same-origin").field("Origin", "https://evil.test")).await;
    assert_eq!(foreign.status, 403);
    let query: Vec<String> =
        form.fields.iter().map(|(name, value)| format!("{name}={}", doorward_core::oauth::form::encoded(value))).collect();
    let by_get = browser.open(&house, &format!("/oauth/consent?{}", query.join("&"))).await;
    assert!(!by_get.contains("dwac_"), "a GET decides nothing");
    assert_eq!(house.store.list_grants(None, house.env.now()).await.unwrap(), []);
    // Both pages still work, each once.
    let first = browser.submit(&house, &form).await;
    assert!(sent_to(&first).contains("code="), "{}", first.text());
    let mut replay = browser.clone();
    let reply = replay.submit(&house, &form).await;
    assert!(matches!(reply.status, 400 | 409) && !reply.contains("dwac_"), "{}", reply.text());
    let second = house.allow(&mut browser, &again, &["alpha:read"]).await;
    assert!(sent_to(&second).contains("code="), "{}", second.text());
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn az_04_a_decision_that_is_replayed_with_all_its_cookies_is_dead() {
    let (_alpha, house) = office().await;
    let client = house.register("Client", &[CALLBACK]).await;
    let mut browser = Browser::default();
    browser.sign_in(&house).await;
    let page = browser.open(&house, &house.authorize(&client, "alpha", &[])).await;
    let before = browser.clone();
    sent_to(&house.allow(&mut browser, &page, &["alpha:read"]).await);
    let mut replay = before.clone();
    let reply = house.allow(&mut replay, &page, &["alpha:read"]).await;
    assert_eq!(reply.status, 409, "{}", reply.text());
    let mut replay = before;
    let reply = replay.submit(&house, &Form::of(&page).with("decision", "cancel")).await;
    assert_eq!(reply.status, 409, "{}", reply.text());
    assert_eq!(house.store.list_grants(None, house.env.now()).await.unwrap().len(), 1);
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn az_05_pages_cannot_be_framed_scripted_or_kept() {
    let (_alpha, house) = office().await;
    let client = house.register("Client", &[CALLBACK]).await;
    let mut browser = Browser::default();
    let sign_in = browser.open(&house, &house.authorize(&client, "alpha", &[])).await;
    browser.sign_in(&house).await;
    let consent = browser.open(&house, &house.authorize(&client, "alpha", &[])).await;
    let (me, home) = (browser.open(&house, "/me").await, browser.open(&house, "/").await);
    let error = browser.open(&house, "/oauth/authorize").await;
    for page in [sign_in, consent, me, home, error] {
        let policy = page.field("content-security-policy").unwrap_or_default().to_owned();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'") && !policy.contains("script"),
            "{policy}"
        );
        assert!(policy.contains("form-action 'self'"), "{policy}");
        assert_eq!(page.field("x-frame-options"), Some("DENY"));
        assert_eq!(page.field("cross-origin-opener-policy"), Some("same-origin"));
        assert_eq!(page.field("referrer-policy"), Some("no-referrer"));
        assert_eq!(page.field("cache-control"), Some("no-store"));
        assert!(!page.text().to_ascii_lowercase().contains("<script"), "{}", page.text());
    }
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn az_06_nobody_is_sent_to_an_address_that_is_not_the_clients() {
    let (_alpha, house) = office().await;
    let client = house.register("Client", &["http://127.0.0.1/callback?x=1"]).await;
    let mut browser = Browser::default();
    browser.sign_in(&house).await;
    let unknown = browser.open(&house, &house.authorize("dwc_unknown", "alpha", &[])).await;
    assert_eq!(unknown.status, 400);
    let plain = |text: String| text.split("correlation").next().unwrap_or_default().chars().take(600).collect::<String>();
    for uri in [
        "http://127.0.0.1/callback",
        "http://127.0.0.1/callback?x=1&y=2",
        "http://127.0.0.1/callback?x=1&x=2",
        "http://127.0.0.1/callback/?x=1",
        "http://127.0.0.1/Callback?x=1",
        "http://127.0.0.1/call%62ack?x=1",
        "http://localhost/callback?x=1",
        "http://127.0.0.2/callback?x=1",
        "http://127.0.0.1:0/callback?x=1",
        "http://127.0.0.1:65536/callback?x=1",
        "https://127.0.0.1/callback?x=1",
        "http://127.0.0.1.evil.test/callback?x=1",
        "http://user@127.0.0.1/callback?x=1",
        "http://127.0.0.1/callback?x=1#f",
        "https://evil.test/",
        "javascript:alert(1)",
    ] {
        let reply = browser.open(&house, &house.authorize(&client, "alpha", &[("redirect_uri", uri)])).await;
        assert_eq!(reply.status, 400, "{uri}");
        assert!(reply.field("location").is_none() && !reply.contains("http-equiv"), "{uri}");
        assert_eq!(plain(reply.text()), plain(unknown.text()), "{uri}: an unknown client and a bad address look alike");
    }
    let good = browser.open(&house, &house.authorize(&client, "alpha", &[("redirect_uri", "http://127.0.0.1:4711/callback?x=1")])).await;
    assert_eq!(good.status, 200);
    let address = sent_to(&house.allow(&mut browser, &good, &["alpha:read"]).await);
    assert!(address.starts_with("http://127.0.0.1:4711/callback?x=1&code="), "{address}");
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn az_08_and_az_09_and_az_14_what_is_not_served_is_told_to_the_client_with_its_state() {
    let (_alpha, house) = office().await;
    let client = house.register("Client", &[CALLBACK]).await;
    let mut browser = Browser::default();
    browser.sign_in(&house).await;
    for (changes, error) in [
        (vec![("code_challenge", "")], "invalid_request"),
        (vec![("code_challenge_method", "")], "invalid_request"),
        (vec![("code_challenge_method", "plain")], "invalid_request"),
        (vec![("code_challenge_method", "s256")], "invalid_request"),
        (vec![("code_challenge", "short")], "invalid_request"),
        (vec![("response_type", "token")], "unsupported_response_type"),
        (vec![("response_type", "id_token")], "unsupported_response_type"),
        (vec![("response_type", "code id_token")], "unsupported_response_type"),
        (vec![("response_type", "CODE")], "unsupported_response_type"),
        (vec![("response_type", "")], "invalid_request"),
        (vec![("response_mode", "fragment")], "invalid_request"),
        (vec![("response_mode", "form_post")], "invalid_request"),
        (vec![("request", "eyJhbGciOiJub25lIn0.e30.")], "request_not_supported"),
        (vec![("request_uri", "https://evil.test/x")], "request_not_supported"),
        (vec![("resource", "")], "invalid_target"),
        (vec![("resource", "https://evil.test/s/alpha/mcp")], "invalid_target"),
        (vec![("prompt", "none")], "consent_required"),
        (vec![("prompt", "nonsense")], "invalid_request"),
    ] {
        let reply = browser.open(&house, &house.authorize(&client, "alpha", &changes)).await;
        assert_eq!(reply.status, 303, "{changes:?}: {}", reply.text());
        let address = reply.field("location").unwrap();
        assert!(address.starts_with(CALLBACK), "{address}");
        assert_eq!(parameter(address, "error").as_deref(), Some(error), "{changes:?}");
        assert_eq!(parameter(address, "state").as_deref(), Some("st 1&2"), "{changes:?}");
        assert_eq!(address.matches("iss=").count(), 1, "{address}");
    }
    let mut nobody = Browser::default();
    let reply = nobody.open(&house, &house.authorize(&client, "alpha", &[("prompt", "none")])).await;
    assert_eq!(parameter(reply.field("location").unwrap(), "error").as_deref(), Some("login_required"));
    // What is repeated or too long is nobody's request.
    let twice = format!("{}&state=x", house.authorize(&client, "alpha", &[]));
    assert_eq!(browser.open(&house, &twice).await.status, 400);
    let long = "s".repeat(3000);
    assert_eq!(browser.open(&house, &house.authorize(&client, "alpha", &[("state", &long)])).await.status, 400);
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn az_11_what_is_granted_was_shown_and_ticked_and_nothing_else() {
    let (_alpha, house) = office().await;
    let client = house.register("Client", &[CALLBACK]).await;
    let mut browser = Browser::default();
    browser.sign_in(&house).await;
    let target = house.authorize(&client, "alpha", &[("scope", "alpha:read alpha:write alpha:destructive admin openid beta:read")]);
    let page = browser.open(&house, &target).await;
    let shown = page.text();
    for line in shown.split("<input").filter(|input| input.contains("name=\"grant\"")) {
        let input = line.split('>').next().unwrap();
        assert_eq!(input.contains("checked"), input.contains("alpha:read"), "only reading is ticked beforehand: {input}");
        assert!(!input.contains("beta"), "{input}");
    }
    for wider in ["beta:read", "alpha:admin", "*:read", "alpha:*"] {
        let reply = house.allow(&mut browser, &page, &["alpha:read", wider]).await;
        assert!(!reply.contains("dwac_"), "{wider}");
    }
    assert_eq!(house.store.list_grants(None, house.env.now()).await.unwrap(), []);
    let address = sent_to(&house.allow(&mut browser, &page, &["alpha:read"]).await);
    let tokens = Tokens::of(&house.redeem(&client, &parameter(&address, "code").unwrap()).await);
    assert_eq!(tokens.scope, "alpha:read");
    // For its own server alone (RS-01).
    let reply = house.ask(modern(&tokens.key(), "beta", 1, "tools/list", json!({}))).await;
    assert_eq!(reply.status, 401);
    assert!(reply.field("www-authenticate").unwrap().contains("/s/beta/mcp"), "{:?}", reply.field("www-authenticate"));
    // Nothing ticked is a no.
    let page = browser.open(&house, &house.authorize(&client, "alpha", &[])).await;
    let address = sent_to(&house.allow(&mut browser, &page, &[]).await);
    assert_eq!(parameter(&address, "error").as_deref(), Some("access_denied"));
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c11_nobody_decides_faster_than_they_can_read() {
    let (_alpha, house) = office().await;
    let client = house.register("Client", &[CALLBACK]).await;
    let mut browser = Browser::default();
    browser.sign_in(&house).await;
    // The time of the page is that of the gateway: a page of the future is no page.
    let page = browser.open(&house, &house.authorize(&client, "alpha", &[])).await;
    house.shift.by(-1);
    let form = Form::of(&page).with("decision", "allow").with("grant", "alpha:read").with("duration", "8h");
    let reply = browser.submit(&house, &form).await;
    assert!(!reply.contains("dwac_") && reply.contains("name=\"decision\""), "{}", reply.text());
    let address = sent_to(&house.allow(&mut browser, &reply, &["alpha:read"]).await);
    assert!(address.contains("code="), "{address}");
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn az_03_a_request_that_is_old_or_altered_is_nobodys() {
    let (_alpha, house) = office().await;
    let client = house.register("Client", &[CALLBACK]).await;
    let mut browser = Browser::default();
    browser.sign_in(&house).await;
    let page = browser.open(&house, &house.authorize(&client, "alpha", &[])).await;
    let form = Form::of(&page);
    house.shift.by(11 * 60);
    let reply = house.allow(&mut browser, &page, &["alpha:read"]).await;
    assert_eq!(reply.status, 400);
    assert!(!reply.contains("dwac_"));
    house.shift.by(-11 * 60);
    let txn = form.value("txn");
    let altered = format!("{}{}", if txn.starts_with('A') { "B" } else { "A" }, txn.get(1..).unwrap());
    let reply = browser.open(&house, &format!("/oauth/consent?txn={altered}")).await;
    assert_eq!(reply.status, 400);
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn az_13_a_sign_in_is_a_new_session_and_a_sign_out_ends_it() {
    let (_alpha, house) = office().await;
    let mut browser = Browser::default();
    browser.jar.insert("__Host-dw_session".to_owned(), "dww_planted".to_owned());
    browser.sign_in(&house).await;
    let first = browser.jar["__Host-dw_session"].clone();
    assert_ne!(first, "dww_planted");
    browser.sign_in(&house).await;
    let second = browser.jar["__Host-dw_session"].clone();
    assert_ne!(first, second);
    let mut old = Browser::default();
    old.jar.insert("__Host-dw_session".to_owned(), first);
    assert!(old.open(&house, "/me").await.contains("Sign in"), "the earlier value of this browser is dead");
    let me = browser.open(&house, "/me").await;
    let mut form = Form::of(&me).without("id");
    form.action = "/logout".to_owned();
    assert_eq!(browser.submit(&house, &form).await.status, 303);
    old.jar.insert("__Host-dw_session".to_owned(), second);
    assert!(old.open(&house, "/me").await.contains("Sign in"), "a signed-out value is dead");
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ui_01_a_sign_in_ends_by_itself() {
    let (_alpha, house) = office().await;
    let mut browser = Browser::default();
    browser.sign_in(&house).await;
    house.shift.by(59 * 60);
    assert!(browser.open(&house, "/me").await.contains("Your account"));
    house.shift.by(61 * 60);
    assert!(browser.open(&house, "/me").await.contains("Sign in"), "an hour without use");
    browser.sign_in(&house).await;
    for _ in 0..12 {
        house.shift.by(59 * 60);
        browser.open(&house, "/me").await;
    }
    house.shift.by(15 * 60);
    assert!(browser.open(&house, "/me").await.contains("Sign in"), "twelve hours, used or not");
    house.close(&[]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ui_04_one_of_many_claims_a_link_once_and_in_time() {
    let (_alpha, house) = office().await;
    assert_eq!(house.ask(Ask::new("GET", "/setup")).await.status, 404, "without a link there is nothing to claim");
    let link = house.gateway.new_link(&administrator()).await.unwrap();
    let page = Browser::default().open(&house, "/setup").await;
    let form = Form::of(&page).with("code", link.reveal());
    let mut tries = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (ask, address) = (form.ask().field("Sec-Fetch-Site", "same-origin"), house.address);
        tries.spawn(async move { ask.at(address).await });
    }
    let replies = tries.join_all().await;
    assert_eq!(replies.iter().filter(|reply| reply.status == 303).count(), 1, "one winner");
    assert!(
        replies.iter().all(|reply| matches!(reply.status, 303 | 403 | 404)),
        "{:?}",
        replies.iter().map(|reply| reply.status).collect::<Vec<_>>()
    );
    assert_eq!(house.store.list_browsers(None, house.env.now()).await.unwrap().len(), 1);
    let late = house.gateway.new_link(&administrator()).await.unwrap();
    let page = Browser::default().open(&house, "/setup").await;
    house.shift.by(601);
    let reply = Browser::default().submit(&house, &Form::of(&page).with("code", late.reveal())).await;
    assert_eq!(reply.status, 404, "ten minutes later it is gone");
    house.close(&[link.reveal(), late.reveal()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disc_03_and_rs_06_a_call_that_lacks_a_scope_says_which_and_asking_again_gives_it() {
    let (alpha, house) = office().await;
    let client = house.register("Client", &[CALLBACK]).await;
    let mut browser = Browser::default();
    browser.sign_in(&house).await;
    let tokens = house.connected(&mut browser, &client, "alpha", &["alpha:read"]).await;
    let offer = browser.open(&house, &house.authorize(&client, "alpha", &[])).await.text();
    let class = if offer.contains("alpha:destructive") { "destructive" } else { "write" };
    let pins = house.store.pins(&doorward_core::id::ServerName::new("alpha").unwrap()).await.unwrap();
    let tool = pins.iter().find(|pin| pin.class.as_str() == class).expect("a tool that changes things").tool.to_string();
    let reply = house.ask(modern_call(&tokens.key(), "alpha", 1, &tool, json!({}))).await;
    assert_eq!(reply.status, 403, "{}", reply.text());
    let challenge = reply.field("www-authenticate").unwrap().to_owned();
    assert!(challenge.contains("error=\"insufficient_scope\"") && challenge.contains(&format!("scope=\"alpha:{class}\"")), "{challenge}");
    assert!(challenge.contains("resource_metadata=") && !challenge.contains("beta"), "{challenge}");
    assert_eq!(reply.json()["result"]["isError"], true, "the model is told, too");
    assert!(alpha.seen_method("tools/call").is_empty());
    let wanted = format!("alpha:read alpha:{class}");
    let page = browser.open(&house, &house.authorize(&client, "alpha", &[("scope", &wanted)])).await;
    let both = ["alpha:read".to_owned(), format!("alpha:{class}")];
    let ticks: Vec<&str> = both.iter().map(String::as_str).collect();
    let address = sent_to(&house.allow(&mut browser, &page, &ticks).await);
    let more = Tokens::of(&house.redeem(&client, &parameter(&address, "code").unwrap()).await);
    house.ask(modern_call(&more.key(), "alpha", 1, &tool, json!({}))).await;
    assert_eq!(alpha.seen_method("tools/call").len(), 1, "what it was granted goes through");
    // A key cannot ask for more: it is told as before.
    let key = house.key("alice", &["alpha"], &["alpha:read"]).await;
    assert_eq!(house.ask(modern_call(&key, "alpha", 1, &tool, json!({}))).await.status, 200);
    house.close(&[]).await;
}
