//! Attacks REG-05 to REG-08 against real TLS servers on loopback; what stands in for a document, and what never does.

mod bench;

use super::*;
use crate::egress::error::{EgressError, Forbidden};
use bench::{Bench, Site, at, json, reply};
use doorward_core::oauth::admission::{Blocked, Documents, Registrations};
use doorward_core::oauth::client::Identity;
use doorward_core::oauth::document::BadDocument;
use doorward_core::oauth::redirect::check;
use doorward_core::oidc::keys::BadKeys;
use doorward_core::secret::Secret;

const CLAUDE_CODE: &str = "https://claude.ai/oauth/claude-code-client-metadata";

fn why(answer: Result<Client, Unresolved>) -> Why {
    match answer {
        Err(Unresolved::Unchecked(why)) => why,
        other => panic!("{other:?}"),
    }
}

fn source(client: &Client) -> DocumentSource {
    client.document().expect("a document").source
}

#[tokio::test]
async fn reg_05_a_document_of_another_client_is_refused_and_not_kept() {
    let site = Site::answering("app.test", |id| {
        let other = id.replace("/c.json", "/other.json");
        vec![reply(&json(&other, "https://app.test/cb")), reply(&json(id, "https://app.test/cb"))]
    })
    .await;
    let bench = Bench::new(Documents::Any, &[&site]).await;
    let id = site.id("/c.json");
    assert_eq!(why(bench.clients.resolve(&id, Reading::Allowed, at(0)).await), Why::Invalid(BadDocument::OtherClient));
    assert_eq!(bench.copy(&id).await, None, "nothing was kept");
    assert_eq!(why(bench.clients.resolve(&id, Reading::Allowed, at(1)).await), Why::TooOften, "and nobody is asked again at once");
    let client = bench.clients.resolve(&id, Reading::Allowed, at(20)).await.expect("the right one");
    assert_eq!((source(&client), client.document().expect("read").checked), (DocumentSource::Live, at(20)));
    assert!(bench.copy(&id).await.is_some());
    assert_eq!(site.requests(), 2);
}

#[tokio::test]
async fn reg_06_what_is_no_client_id_is_refused_before_anything_is_fetched() {
    let site = Site::answering("app.test", |id| vec![reply(&json(id, "https://app.test/cb"))]).await;
    let bench = Bench::new(Documents::Any, &[&site]).await;
    let base = site.id("");
    let nine = format!("{base}/{}", "a".repeat(9 * 1024));
    for bad in [
        site.id("/c.json").replace("https://", "http://"),
        base.clone(),
        format!("{base}/"),
        format!("{base}/a/../c.json"),
        base.replace("https://", "https://u:p@") + "/c.json",
        format!("{base}/c.json#x"),
        format!("{base}/c.json?x=1"),
        site.id("/c.json").replace("https://", "HTTPS://"),
        "https://127.0.0.1/c.json\n".to_owned(),
        "dwc_AAAA".to_owned(),
        "nobody".to_owned(),
        String::new(),
        nine,
    ] {
        let answer = bench.clients.resolve(&bad, Reading::Allowed, at(0)).await;
        assert!(matches!(answer, Err(Unresolved::Unknown)), "{bad}: {answer:?}");
    }
    assert_eq!(site.connections(), 0);
    assert_eq!(bench.names.asked(), 0);
}

#[tokio::test]
async fn reg_06_only_whom_the_administrator_lets_in_is_read() {
    let site = Site::answering("app.test", |id| vec![reply(&json(id, "https://app.test/cb"))]).await;
    for documents in [Documents::Off, Documents::List, Documents::Known] {
        let bench = Bench::new(documents, &[&site]).await;
        let answer = bench.clients.resolve(&site.id("/c.json"), Reading::Allowed, at(0)).await;
        assert!(matches!(answer, Err(Unresolved::NotAllowed)), "{documents:?}: {answer:?}");
    }
    assert_eq!(site.connections(), 0);
    let id = ClientId::new(&site.id("/c.json")).expect("id");
    let mut admission = bench::admission(Documents::List);
    admission.allow.insert(id.clone());
    let bench = Bench::admitting(admission.clone(), &[&site]).await;
    let client = bench.clients.resolve(id.as_str(), Reading::Allowed, at(0)).await.expect("named");
    assert_eq!((client.identity(), client.publisher()), (&Identity::Approved, Some("app.test")));
    admission.block.insert(Blocked::Id(id.clone()));
    let bench = Bench::admitting(admission, &[&site]).await;
    assert!(matches!(bench.clients.resolve(id.as_str(), Reading::Allowed, at(0)).await, Err(Unresolved::Blocked)));
    assert_eq!(site.requests(), 1);
}

#[tokio::test]
async fn reg_07_misbehaving_hosts_give_nothing() {
    let honeypot = Site::answering("honeypot.test", |id| vec![reply(&json(id, "https://evil.test/cb"))]).await;
    let ok = |extra: &str, body: &str| format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{extra}\r\n{body}");
    let deep = "[".repeat(2_000);
    let large = format!("{{\"x\":\"{}\"}}", "a".repeat(6 * 1024));
    let moved = |to: &str| format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
    let chunk = format!("2000\r\n{}\r\n", "a".repeat(0x2000));
    let cases: Vec<(&str, String)> = vec![
        ("6 KB", ok(&format!("Content-Length: {}\r\n", large.len()), &large)),
        ("chunks without end", ok("Transfer-Encoding: chunked\r\n", &chunk.repeat(8))),
        ("1 GB is promised", ok("Content-Length: 1073741824\r\n", "{")),
        ("gzip", ok("Content-Encoding: gzip\r\nContent-Length: 4\r\n", "\u{1f}abc")),
        ("brotli", ok("Content-Encoding: br\r\nContent-Length: 2\r\n", "{}")),
        ("to another host", moved(&honeypot.id("/c.json"))),
        ("to a metadata service", moved("http://169.254.169.254/latest/meta-data/")),
        ("308", "HTTP/1.1 308 Permanent Redirect\r\nLocation: /d.json\r\nContent-Length: 0\r\n\r\n".to_owned()),
        ("HTML", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\n{}".to_owned()),
        ("no media type", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".to_owned()),
        ("events", "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 2\r\n\r\n{}".to_owned()),
        ("not JSON", ok("Content-Length: 5\r\n", "<html")),
        ("empty", ok("Content-Length: 0\r\n", "")),
        ("too deep", ok(&format!("Content-Length: {}\r\n", deep.len()), &deep)),
        ("a challenge", "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}".to_owned()),
        ("206", "HTTP/1.1 206 Partial Content\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}".to_owned()),
        ("500", "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n".to_owned()),
        ("cut off", ok("Content-Length: 500\r\n", "{")),
        ("not HTTP", "220 smtp.test ESMTP\r\n".to_owned()),
        ("nothing", String::new()),
    ];
    for (what, text) in cases {
        let site = Site::answering("app.test", |_| vec![text.clone()]).await;
        let bench = Bench::new(Documents::Any, &[&site, &honeypot]).await;
        let id = site.id("/c.json");
        let why = why(bench.clients.resolve(&id, Reading::Allowed, at(0)).await);
        assert!(!why.to_string().contains("honeypot") && !why.to_string().contains("169.254"), "{what}: {why}");
        assert_eq!(bench.copy(&id).await, None, "{what}: {why}");
        assert_eq!((site.requests(), honeypot.connections()), (1, 0), "{what}: {why}");
    }
}

#[tokio::test]
async fn reg_07_slow_hosts_are_left() {
    for (what, head) in [
        ("drip of the body", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n"),
        ("drip of the head", "HTTP/1.1 200 OK\r\nX-A: "),
        ("silence", ""),
    ] {
        let site = Site::dripping("app.test", head).await;
        let bench = Bench::new(Documents::Any, &[&site]).await;
        let begun = tokio::time::Instant::now();
        let why = why(bench.clients.resolve(&site.id("/c.json"), Reading::Allowed, at(0)).await);
        assert!(matches!(why, Why::TimedOut | Why::Unreachable(EgressError::Timeout { .. })), "{what}: {why}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{what}");
    }
}

#[tokio::test]
async fn reg_07_only_a_valid_certificate_of_the_host_counts() {
    let good = |id: &str| vec![reply(&json(id, "https://app.test/cb"))];
    let own = Site::certified("app.test", "app.test", bench::Certificate::OtherAuthority, good).await;
    let old = Site::certified("app.test", "app.test", bench::Certificate::Expired, good).await;
    let wrong = Site::certified("app.test", "other.test", bench::Certificate::Good, good).await;
    for site in [own, old, wrong] {
        let bench = Bench::new(Documents::Any, &[&site]).await;
        let why = why(bench.clients.resolve(&site.id("/c.json"), Reading::Allowed, at(0)).await);
        assert!(matches!(why, Why::Unreachable(EgressError::Tls(_))), "{why}");
        assert_eq!(site.requests(), 0);
    }
}

#[tokio::test]
async fn ssrf_01_documents_are_on_the_public_internet_only() {
    let site = Site::answering("app.test", |id| vec![reply(&json(id, "https://app.test/cb"))]).await;
    for (ip, closed) in [
        ("127.0.0.1", Forbidden::Loopback),
        ("::1", Forbidden::Loopback),
        ("10.0.0.1", Forbidden::Private),
        ("192.168.1.1", Forbidden::Private),
        ("fd00::1", Forbidden::Private),
        ("169.254.169.254", Forbidden::Special),
        ("fd00:ec2::254", Forbidden::Special),
        ("::ffff:127.0.0.1", Forbidden::Special),
        ("64:ff9b::7f00:1", Forbidden::Special),
        ("0.0.0.0", Forbidden::Special),
    ] {
        // The door of production, with a resolver that answers so; nothing that is opened for servers is open for documents.
        let bench = Bench::public(ip.parse().expect("ip")).await;
        let why = why(bench.clients.resolve(&site.id("/c.json"), Reading::Allowed, at(0)).await);
        assert_eq!(why, Why::Unreachable(EgressError::Forbidden(closed)), "{ip}");
    }
    let bench = Bench::public("127.0.0.1".parse().expect("ip")).await;
    for (at_second, literal) in
        ["127.0.0.1:8443", "10.0.0.1", "169.254.169.254", "localhost", "printer.local", "app.test:22"].iter().enumerate()
    {
        let id = format!("https://{literal}/c.json");
        let answer = bench.clients.resolve(&id, Reading::Allowed, at(at_second as u64)).await;
        assert!(matches!(answer, Err(Unresolved::Unchecked(Why::Unreachable(_)))), "{literal}: {answer:?}");
    }
    assert_eq!(site.connections(), 0);
}

#[tokio::test]
async fn reg_08_nobody_makes_us_ask_before_somebody_is_signed_in() {
    let victim = Site::answering("victim.test", |id| vec![reply(&json(id, "https://victim.test/cb"))]).await;
    let bench = Bench::new(Documents::Any, &[&victim]).await;
    for n in 0..2_000 {
        let answer = bench.clients.resolve(&victim.id(&format!("/{n}")), Reading::Withheld, at(0)).await;
        assert!(matches!(answer, Err(Unresolved::NeedsFetch)), "{answer:?}");
    }
    assert_eq!((victim.connections(), bench.names.asked()), (0, 0));
    assert_eq!(bench.clients.flights.0.lock().expect("lock").len(), 0);
}

#[tokio::test]
async fn reg_08_a_host_is_asked_ten_times_a_minute_whatever_the_ids() {
    let victim = Site::answering("victim.test", |_| vec!["HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned()]).await;
    let bench = Bench::new(Documents::Any, &[&victim]).await;
    for n in 0..1_000 {
        let answer = bench.clients.resolve(&victim.id(&format!("/{n}")), Reading::Allowed, at(n / 20)).await;
        assert!(matches!(answer, Err(Unresolved::Unchecked(Why::Status(404) | Why::TooOften))), "{answer:?}");
    }
    assert_eq!(victim.requests(), 10);
    let again = bench.clients.resolve(&victim.id("/again"), Reading::Allowed, at(61)).await;
    assert_eq!(why(again), Why::Status(404), "the next minute");
}

#[tokio::test]
async fn reg_08_a_dead_host_is_asked_once_and_the_tables_stay_small() {
    let dead = Bench::new(Documents::Any, &[]).await;
    let first = dead.clients.resolve("https://dead.test/1", Reading::Allowed, at(0)).await;
    assert_eq!(why(first), Why::Unreachable(EgressError::Resolve));
    for n in 2..500 {
        assert_eq!(why(dead.clients.resolve(&format!("https://dead.test/{n}"), Reading::Allowed, at(1)).await), Why::TooOften);
    }
    assert_eq!(dead.names.asked(), 1);
    for n in 0..2_000 {
        let _answer = dead.clients.resolve(&format!("https://h{n}.test/c"), Reading::Allowed, at(2)).await;
    }
    assert!(dead.names.asked() <= 121, "all hosts together: {}", dead.names.asked());
    assert!(dead.clients.fetcher.remembered() <= 3_000);
    assert_eq!(dead.clients.flights.0.lock().expect("lock").len(), 0);
}

#[tokio::test]
async fn reg_08_fifty_at_once_are_one_request() {
    let site = Site::answering("app.test", |id| vec![reply(&json(id, "https://app.test/cb"))]).await;
    let bench = Bench::new(Documents::Any, &[&site]).await;
    let id = site.id("/c.json");
    let all = (0..50).map(|_| bench.clients.resolve(&id, Reading::Allowed, at(0)));
    for answer in bench::together(all).await {
        assert_eq!(source(&answer.expect("the one document")), DocumentSource::Live);
    }
    assert_eq!(site.requests(), 1);
    assert_eq!(bench.clients.flights.0.lock().expect("lock").len(), 0);
}

#[tokio::test]
async fn a_fresh_copy_is_not_read_again_and_an_older_one_is() {
    let with = |id: &str, control: &str, name: &str| {
        let body = json(id, "https://app.test/cb").replace("\"App\"", &format!("\"{name}\""));
        reply(&body).replace("\r\n\r\n", &format!("\r\nCache-Control: {control}\r\n\r\n"))
    };
    let site = Site::answering("app.test", |id| {
        vec![with(id, "max-age=90", "one"), with(id, "no-store", "two"), with(id, "max-age=999999", "three")]
    })
    .await;
    let bench = Bench::new(Documents::Any, &[&site]).await;
    let id = site.id("/c.json");
    let mut names = Vec::new();
    for second in [0, 89, 91, 150, 152, 3_700, 3_753] {
        names.push(bench.clients.resolve(&id, Reading::Allowed, at(second)).await.expect("read").name().to_owned());
    }
    assert_eq!(names, ["one", "one", "two", "two", "three", "three", "three"]);
    assert_eq!(site.requests(), 4, "within a minute at least, and an hour at most");
    let unsigned = bench.clients.resolve(&id, Reading::Withheld, at(3_754)).await.expect("fresh for everybody");
    assert_eq!(source(&unsigned), DocumentSource::Live);
}

#[tokio::test]
async fn the_last_good_copy_stands_in_while_a_host_fails_and_not_for_ever() {
    let site = Site::answering("app.test", |id| {
        vec![reply(&json(id, "https://app.test/cb")), "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n".to_owned()]
    })
    .await;
    let bench = Bench::new(Documents::Any, &[&site]).await;
    let id = site.id("/c.json");
    let first = bench.clients.resolve(&id, Reading::Allowed, at(0)).await.expect("live");
    let later = bench.clients.resolve(&id, Reading::Allowed, at(400)).await.expect("a copy");
    assert_eq!((source(&later), later.document().expect("read").checked), (DocumentSource::LastGood, at(0)));
    assert_eq!(first.fingerprint(), later.fingerprint(), "the consent still holds");
    assert!(bench.clients.resolve(&id, Reading::Withheld, at(500)).await.is_ok(), "at the token endpoint too");
    let month = 30 * 24 * 3_600;
    assert_eq!(why(bench.clients.resolve(&id, Reading::Allowed, at(month)).await), Why::Status(503));
    assert!(matches!(bench.clients.resolve(&id, Reading::Withheld, at(month)).await, Err(Unresolved::NeedsFetch)));
}

#[tokio::test]
async fn what_a_publisher_takes_away_is_gone() {
    let last = "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n".to_owned();
    let site = Site::answering("app.test", |id| {
        vec![reply(&json(id, "https://app.test/cb")), last.clone(), "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n".to_owned()]
    })
    .await;
    let bench = Bench::new(Documents::Any, &[&site]).await;
    let id = site.id("/c.json");
    assert!(bench.clients.resolve(&id, Reading::Allowed, at(0)).await.is_ok());
    assert_eq!(why(bench.clients.resolve(&id, Reading::Allowed, at(400)).await), Why::Withdrawn);
    assert_eq!(why(bench.clients.resolve(&id, Reading::Withheld, at(401)).await), Why::Withdrawn);
    assert_eq!(why(bench.clients.resolve(&id, Reading::Allowed, at(500)).await), Why::Status(503), "no copy stands in");
}

#[tokio::test]
async fn a_document_of_its_own_that_cannot_be_accepted_lets_nobody_in_and_an_error_page_is_none() {
    let site = Site::answering("app.test", |id| {
        let good = json(id, "https://app.test/cb");
        let secret = good.replace("\"App\"", "\"App\",\"client_secret\":\"x\"");
        vec![reply(&good), reply(&secret), reply("{\"error\":\"busy\"}"), reply("<html>")]
    })
    .await;
    let bench = Bench::new(Documents::Any, &[&site]).await;
    let id = site.id("/c.json");
    assert!(bench.clients.resolve(&id, Reading::Allowed, at(0)).await.is_ok());
    assert_eq!(why(bench.clients.resolve(&id, Reading::Allowed, at(400)).await), Why::Invalid(BadDocument::Secret), "no copy stands in");
    assert_eq!(
        source(&bench.clients.resolve(&id, Reading::Withheld, at(401)).await.expect("what was given goes on")),
        DocumentSource::LastGood
    );
    for second in [500, 600] {
        assert_eq!(source(&bench.clients.resolve(&id, Reading::Allowed, at(second)).await.expect("a copy")), DocumentSource::LastGood);
    }
    assert_eq!(site.requests(), 4);
}

#[tokio::test]
async fn the_catalogue_stands_in_where_nothing_else_does_and_widens_nothing() {
    let bench = Bench::new(Documents::Known, &[]).await;
    let client = bench.clients.resolve(CLAUDE_CODE, Reading::Allowed, at(0)).await.expect("known by heart");
    assert_eq!(source(&client), DocumentSource::Catalogue);
    assert!(check(&client, Some("http://localhost:3118/callback")).is_ok());
    assert_eq!(source(&bench.clients.resolve(CLAUDE_CODE, Reading::Withheld, at(0)).await.expect("known")), DocumentSource::Catalogue);
    // The publisher has said less since: that is what holds, however long ago.
    bench.keep(CLAUDE_CODE, Some(&json(CLAUDE_CODE, "https://claude.ai/new")), at(10)).await;
    let client = bench.clients.resolve(CLAUDE_CODE, Reading::Allowed, at(90 * 24 * 3_600)).await.expect("a copy");
    assert_eq!(source(&client), DocumentSource::LastGood);
    assert!(check(&client, Some("http://localhost:3118/callback")).is_err());
    bench.keep(CLAUDE_CODE, None, at(20)).await;
    assert_eq!(why(bench.clients.resolve(CLAUDE_CODE, Reading::Withheld, at(30)).await), Why::Withdrawn);
    // A copy from before the catalogue was written is the older word.
    let bench = Bench::new(Documents::Known, &[]).await;
    bench.keep(CLAUDE_CODE, Some(&json(CLAUDE_CODE, "https://claude.ai/old")), Timestamp::from_millis(1_700_000_000_000)).await;
    assert_eq!(source(&bench.clients.resolve(CLAUDE_CODE, Reading::Allowed, at(0)).await.expect("known")), DocumentSource::Catalogue);
}

#[tokio::test]
async fn reg_01_registered_and_configured_clients_are_found_without_a_look_up() {
    use doorward_core::oauth::redirect::{Registered, Schemes};
    use doorward_core::oauth::registration::{RANDOM, Request};
    let register = |uri: &str| {
        let body = format!(r#"{{"redirect_uris":["{uri}"],"token_endpoint_auth_method":"none"}}"#);
        let keys = RegistrationKeys::derive(&Secret::new([7; 32])).expect("keys");
        let request = Request::parse(&Bytes::from(body), &Schemes::default()).expect("request");
        keys.register(request, [1; RANDOM]).expect("made").client().id().as_str().to_owned()
    };
    let (local, web) = (register("http://127.0.0.1/cb"), register("https://good.test/cb"));
    let mut admission = bench::admission(Documents::Off);
    admission.registrations = Registrations::LoopbackOnly;
    let bench = Bench::admitting(admission.clone(), &[]).await;
    assert_eq!(*bench.clients.resolve(&local, Reading::Withheld, at(0)).await.expect("registered").identity(), Identity::SelfClaimed);
    assert!(matches!(bench.clients.resolve(&web, Reading::Withheld, at(0)).await, Err(Unresolved::NotAllowed)));
    admission.registrations = Registrations::Off;
    admission.allow.insert(ClientId::new(&web).expect("id"));
    let digest = doorward_core::secret::sha256(local.as_bytes());
    admission.block.insert(Blocked::Digest(digest));
    let bench = Bench::admitting(admission, &[]).await;
    assert_eq!(*bench.clients.resolve(&web, Reading::Withheld, at(0)).await.expect("named").identity(), Identity::Approved);
    assert!(matches!(bench.clients.resolve(&local, Reading::Withheld, at(0)).await, Err(Unresolved::Blocked)));
    let redirects = vec![Registered::new("https://portal.test/cb", &Schemes::default()).expect("uri")];
    assert!(bench.clients.resolve("portal", Reading::Withheld, at(0)).await.is_ok(), "{redirects:?}");
}

/// A public key (RFC 7517) under an id: the point of RFC 7515, appendix A.3.
fn public_key(kid: &str) -> String {
    format!(
        r#"{{"kty":"EC","crv":"P-256","kid":"{kid}","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}}"#
    )
}

fn signing(id: &str) -> String {
    let jwks = id.replace("/c.json", "/jwks.json");
    format!(
        r#"{{"client_id":"{id}","client_name":"App","redirect_uris":["https://app.test/cb"],"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"{jwks}"}}"#
    )
}

#[tokio::test]
async fn reg_08_keys_of_a_client_are_read_when_they_are_wanted_and_not_more_often() {
    let (first, second) = (public_key("a"), [public_key("a"), public_key("b")].join(","));
    let site = Site::answering("app.test", |id| {
        let sets = [&first, &second, &first].map(|set| reply(&format!("{{\"keys\":[{set}]}}")));
        let [one, two, three] = sets;
        vec![reply(&signing(id)), one, two, reply("no keys"), reply("no keys"), three]
    })
    .await;
    let bench = Bench::new(Documents::Any, &[&site]).await;
    let client = bench.clients.resolve(&site.id("/c.json"), Reading::Allowed, at(0)).await.expect("a client");
    let keys = async |wanted, seconds| bench.clients.keys_of(&client, wanted, at(seconds)).await;
    let count = async |wanted, seconds| keys(wanted, seconds).await.expect("keys").expect("of a client that signs").count();
    assert_eq!(site.requests(), 1, "the document alone");
    assert_eq!((count(Wanted::Known, 1).await, count(Wanted::Known, 299).await, site.requests()), (1, 1, 2));
    // A key that nobody has seen is a reason to look, at most each half minute.
    assert_eq!((count(Wanted::Newer, 300).await, site.requests()), (2, 3));
    assert_eq!((count(Wanted::Newer, 329).await, site.requests()), (2, 3));
    // What cannot be read takes nothing away for a day. It rests for fifteen seconds after each failure, however often it is asked for.
    for (seconds, requests) in [(601, 4), (605, 4), (610, 4), (615, 4), (617, 5), (622, 5), (631, 5)] {
        assert_eq!((count(Wanted::Known, seconds).await, site.requests()), (2, requests), "{seconds}");
    }
    assert_eq!((count(Wanted::Known, 633).await, site.requests()), (1, 6), "and is there again");
}

#[tokio::test]
async fn reg_08_what_cannot_be_read_counts_a_day_and_what_was_taken_away_not_at_all() {
    let gone = "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n".to_owned();
    for (answer, kept) in [(reply("no keys"), true), (reply("{\"keys\":[]}"), false), (gone, false)] {
        let site = Site::answering("app.test", |id| {
            vec![reply(&signing(id)), reply(&format!("{{\"keys\":[{}]}}", public_key("a"))), answer.clone()]
        })
        .await;
        let bench = Bench::new(Documents::Any, &[&site]).await;
        let client = bench.clients.resolve(&site.id("/c.json"), Reading::Allowed, at(0)).await.expect("a client");
        let keys = async |seconds| bench.clients.keys_of(&client, Wanted::Known, at(seconds)).await;
        keys(1).await.expect("keys");
        assert_eq!(keys(302).await.is_ok(), kept, "{answer}");
        assert_eq!(keys(86_400).await.is_ok(), kept, "{answer}");
        keys(1 + 86_400).await.expect_err("a day later nobody knows");
    }
}

#[tokio::test]
async fn reg_08_nobody_makes_the_gateway_ask_for_the_keys_of_a_copy() {
    let bench = Bench::new(Documents::Known, &[]).await;
    let client = bench.clients.resolve("https://chatgpt.com/oauth/client.json", Reading::Withheld, at(0)).await.expect("a copy");
    assert_eq!(bench.clients.keys_of(&client, Wanted::Known, at(0)).await.expect_err("not read"), Why::Unread);
    assert_eq!(bench.names.asked(), 0);
}

#[tokio::test]
async fn reg_08_keys_that_are_private_or_too_long_are_none() {
    for (set, wanted) in [
        (public_key("a").replace("\"x\"", "\"d\":\"AA\",\"x\""), Why::Keys(BadKeys::Private)),
        (r#"{"kty":"oct","k":"AAAA"}"#.to_owned(), Why::Keys(BadKeys::Empty)),
        (public_key(&"k".repeat(70_000)), Why::TooLong),
    ] {
        let site = Site::answering("app.test", |id| vec![reply(&signing(id)), reply(&format!("{{\"keys\":[{set}]}}"))]).await;
        let bench = Bench::new(Documents::Any, &[&site]).await;
        let client = bench.clients.resolve(&site.id("/c.json"), Reading::Allowed, at(0)).await.expect("a client");
        assert_eq!(bench.clients.keys_of(&client, Wanted::Known, at(1)).await.expect_err("no keys"), wanted);
    }
}
