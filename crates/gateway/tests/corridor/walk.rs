//! Every route, one after the other: what is common to all answers, and what a form of another site can do (UI-02, UI-08).

use super::desk::{Browser, CALLBACK};
use super::house::{House, server};
use super::speak::modern;
use super::wire::{Ask, Reply};
use doorward_gateway::listen::route::ROUTES;
use doorward_testkit::lax::Lax;
use doorward_testkit::lax::quirk::{Behaviour, Quirk};
use serde_json::json;

/// So that no answer is that one has to wait.
const AT_A_TIME: usize = 8;

/// Paths of all routes, as many at a time as one address may ask before it is told to wait: that answer would hide all others.
fn targets() -> Vec<Vec<String>> {
    let named = |path: &str| {
        path.replace("{server}", "alpha")
            .replace("{idp}", "corp")
            .replace("{attempt}", "00112233445566778899aabb")
            .replace("{position}", "1")
    };
    let all: Vec<String> = ROUTES
        .iter()
        .map(move |(path, _)| named(path))
        .chain(["/nothing", "/me/", "/s/none/mcp", "/%2e%2e/me"].map(str::to_owned))
        .collect();
    all.chunks(AT_A_TIME).map(<[String]>::to_vec).collect()
}

async fn office() -> (Lax, House) {
    let alpha = Lax::start(Behaviour::plain().with(Quirk::Modern)).await.unwrap();
    let house = House::open(&server("alpha", &alpha.url(), "")).await;
    house.approve().await;
    (alpha, house)
}

fn common(reply: &Reply, what: &str) {
    let field = |name: &str| reply.field(name).unwrap_or_default().to_owned();
    assert_eq!(field("x-content-type-options"), "nosniff", "{what}");
    assert!(reply.field("server").is_none() && reply.field("x-powered-by").is_none(), "{what}");
    let media = field("content-type");
    let is_page = media.starts_with("text/html");
    let policy = field("content-security-policy");
    if is_page {
        assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{what}: {policy}");
        assert!(policy.contains("form-action 'self'") && policy.contains("base-uri 'none'"), "{what}: {policy}");
        assert!(!policy.contains("unsafe") && (what.contains("/setup") || !policy.contains("script-src")), "{what}: {policy}");
        assert_eq!((field("x-frame-options"), field("cache-control")), ("DENY".to_owned(), "no-store".to_owned()), "{what}");
        assert_eq!(
            (field("referrer-policy"), field("cross-origin-opener-policy")),
            ("no-referrer".to_owned(), "same-origin".to_owned()),
            "{what}"
        );
        assert!(reply.field("access-control-allow-origin").is_none(), "{what}: no other site reads a page");
    }
    assert!(
        media.is_empty()
            || is_page
            || ["application/json", "application/problem+json", "text/", "image/"].iter().any(|kind| media.starts_with(kind)),
        "{what}: {media}"
    );
    assert_ne!(reply.field("access-control-allow-credentials"), Some("true"), "{what}");
    for cookie in reply.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")).map(|(_, value)| value) {
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=") && cookie.contains("Path=/"), "{what}: {cookie}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ui_08_every_answer_of_every_route_has_the_headers_of_its_class() {
    let mut pages = 0;
    for some in targets() {
        pages += headers_of(some).await;
    }
    assert!(pages >= 20, "{pages}: there are pages among them");
}

/// How many pages there were.
async fn headers_of(targets: Vec<String>) -> usize {
    let (_alpha, house) = office().await;
    let mut browser = Browser::default();
    browser.sign_in(&house).await;
    let mut pages = 0;
    for target in targets {
        for verb in ["GET", "HEAD", "POST", "PUT", "OPTIONS"] {
            let nobody = house.ask(Ask::new(verb, &target)).await;
            assert_ne!(nobody.status, 429, "{verb} {target}: nothing was looked at");
            common(&nobody, &format!("{verb} {target}, nobody, {}", nobody.status));
            // A browser of its own each time: some answers sign it out.
            let mut own = browser.clone();
            let signed_in = own.send(&house, Ask::new(verb, &target)).await;
            common(&signed_in, &format!("{verb} {target}, signed in, {}", signed_in.status));
            pages += usize::from(signed_in.field("content-type").is_some_and(|media| media.starts_with("text/html")));
        }
        let foreign = house.ask(Ask::new("GET", &target).set("Host", "evil.example")).await;
        common(&foreign, &format!("GET {target}, another host, {}", foreign.status));
        assert_eq!(foreign.status, 403, "{target}");
    }
    house.close(&[]).await;
    pages
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ui_02_what_another_site_makes_a_browser_send_changes_nothing_at_any_route() {
    for some in targets() {
        sent_by_another_site(some).await;
    }
}

async fn sent_by_another_site(targets: Vec<String>) {
    let (_alpha, house) = office().await;
    let client = house.register("Client", &[CALLBACK]).await;
    let mut browser = Browser::default();
    browser.sign_in(&house).await;
    let tokens = house.connected(&mut browser, &client, "alpha", &["alpha:read"]).await;
    let before = (house.store.list_browsers(None, house.env.now()).await.unwrap().len(), grants(&house).await);
    let body = "action=sign-out-everywhere&decision=allow&grant=alpha:read&csrf=x&txn=x&token=x&user_code=BCDF-GHJK&device=mine&id=x";
    for target in targets {
        for origin in [Some("https://evil.example"), Some("null"), None] {
            for verb in ["POST", "GET"] {
                let mut ask = Ask { body: if verb == "POST" { body.into() } else { Vec::new() }, ..Ask::new(verb, &target) };
                ask = ask.field("Sec-Fetch-Site", "cross-site");
                if verb == "POST" {
                    ask = ask.field("Content-Type", "application/x-www-form-urlencoded");
                }
                if let Some(origin) = origin {
                    ask = ask.field("Origin", origin);
                }
                let reply = browser.clone().send(&house, ask).await;
                assert_ne!(reply.status, 429, "{verb} {target}: nothing was looked at");
                let is_done = verb == "POST" && (200..300).contains(&reply.status) && target != "/oauth/revoke";
                assert!(!is_done, "{verb} {target} from {origin:?}: {}", reply.status);
            }
        }
    }
    let after = (house.store.list_browsers(None, house.env.now()).await.unwrap().len(), grants(&house).await);
    assert_eq!(after, before);
    assert!(browser.open(&house, "/me").await.contains("Signed-in browsers"), "still signed in");
    assert_eq!(house.ask(modern(&tokens.key(), "alpha", 1, "tools/list", json!({}))).await.status, 200, "and the application, too");
    house.close(&[&tokens.access]).await;
}

/// What people allowed.
async fn grants(house: &House) -> Vec<String> {
    let all = house.store.list_grants(None, house.env.now()).await.unwrap();
    all.iter().map(|grant| format!("{} {:?}", grant.id, grant.granted)).collect()
}
