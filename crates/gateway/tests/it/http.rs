//! HTTP-01, -02, -05, -09, -10: who is answered at all, and what is left of a request.

use super::door::{Door, Event, SHORT, statuses};
use doorward_gateway::listen::guard::Turned;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[tokio::test]
async fn http_01_no_route_answers_a_foreign_origin() {
    let mut door = Door::open().await;
    let (host, port) = (door.host(), door.address.port());
    let shouted = format!("http://LOCALHOST:{port}");
    for path in ["/k/echo/mcp", "/s/echo/mcp", "/mcp", "/k/mcp", "/healthz", "/readyz", "/unknown"] {
        for method in ["POST", "GET", "DELETE", "OPTIONS"] {
            for origin in [
                "https://evil.test",
                "null",
                "https://app.test.evil.test",
                "http://app.test",
                "file://",
                "chrome-extension://x",
                "",
                &shouted,
            ] {
                let lines = format!("Host: {host}\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST\r\n");
                let answer = door.ask(method, path, &lines).await;
                assert_eq!(statuses(&answer), [403], "{method} {path} {origin}: {answer}");
                assert!(!answer.to_ascii_lowercase().contains("access-control"), "{answer}");
                assert!(matches!(door.seen().as_slice(), [Event::Turned(Turned::Origin)]), "{method} {path} {origin}");
            }
        }
    }
    let two = format!("Host: {host}\r\nOrigin: https://app.test\r\nOrigin: https://app.test\r\n");
    assert_eq!(statuses(&door.ask("POST", "/k/echo/mcp", &two).await), [403]);
    for origin in ["https://app.test".to_owned(), format!("http://localhost:{port}")] {
        assert_eq!(statuses(&door.ask("POST", "/k/echo/mcp", &format!("Host: {host}\r\nOrigin: {origin}\r\n")).await), [200], "{origin}");
    }
}

#[tokio::test]
async fn http_02_only_listed_hosts_are_answered() {
    let mut door = Door::open().await;
    let port = door.address.port();
    let refused = [
        format!("Host: evil.test:{port}\r\n"),
        format!("Host: 127.0.0.1.evil.test:{port}\r\n"),
        format!("Host: 127.1:{port}\r\n"),
        format!("Host: 0.0.0.0:{port}\r\n"),
        format!("Host: 2130706433:{port}\r\n"),
        "Host: localhost\r\n".to_owned(),
        format!("Host: localhost.:{port}\r\n"),
        format!("Host: localhost:{port}, evil.test\r\n"),
        format!("Host: localhost:{port}\r\nHost: localhost:{port}\r\n"),
        format!("Host: evil.test\r\nX-Forwarded-Host: localhost:{port}\r\n"),
        format!("X-Forwarded-Host: localhost:{port}\r\n"),
        String::new(),
        "Host:\r\n".to_owned(),
    ];
    for path in ["/k/echo/mcp", "/healthz", "/unknown"] {
        for lines in &refused {
            let answer = door.ask("POST", path, lines).await;
            assert!(matches!(statuses(&answer).as_slice(), [400 | 403 | 421]), "{path} {lines:?}: {answer}");
            assert!(!door.seen().iter().any(|event| matches!(event, Event::Ran(..))), "{lines:?}");
        }
    }
    for target in ["http://evil.test/k/echo/mcp", &format!("http://localhost:{port}@evil.test/k/echo/mcp")] {
        let answer = door.ask("POST", target, &format!("Host: localhost:{port}\r\n")).await;
        assert!(matches!(statuses(&answer).as_slice(), [400 | 403]), "{target}: {answer}");
    }
    for host in ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"] {
        assert_eq!(statuses(&door.ask("POST", "/k/echo/mcp", &format!("Host: {host}:{port}\r\n")).await), [200], "{host}");
    }
}

#[tokio::test]
async fn http_05_forwarded_and_identity_headers_do_not_get_through() {
    let mut door = Door::open().await;
    let lines = format!(
        "Host: {}\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.test\r\nX-Forwarded-User: root\r\n\
         X-Forwarded-Uri: /admin\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Original-URL: /admin\r\nX-Rewrite-URL: /admin\r\n\
         X-HTTP-Method-Override: DELETE\r\nX_Forwarded_User: root\r\nx_real_ip: 6.6.6.6\r\nTrue-Client-IP: 6.6.6.6\r\nX_Anything: 1\r\n\
         Authorization: Bearer t\r\nCookie: a=b\r\nProxy-Authorization: Basic eA==\r\nMcp-Session-Id: s1\r\nAccept: application/json\r\n",
        door.host()
    );
    assert_eq!(statuses(&door.ask("POST", "/k/echo/mcp", &lines).await), [200]);
    let Event::Ran(_, headers, _, peer) = door.event().await else { panic!("not executed") };
    let mut left: Vec<&str> = headers.keys().map(http::HeaderName::as_str).collect();
    left.sort_unstable();
    assert_eq!(left, ["accept", "host", "mcp-session-id"]);
    assert_eq!(peer.to_string(), "127.0.0.1");
    for disguised in ["Mcp_Session_Id: x", "mcp_method: tools/call", "Authorization_: x", "Content_Type: x"] {
        let answer = door.ask("POST", "/k/echo/mcp", &format!("Host: {}\r\n{disguised}\r\n", door.host())).await;
        let refused = !disguised.starts_with("Authorization");
        assert_eq!(statuses(&answer), [if refused { 400 } else { 200 }], "{disguised}");
    }
}

#[tokio::test]
async fn http_09_what_is_not_http_is_refused_and_closed() {
    let mut door = Door::with(|settings| settings.patience = SHORT).await;
    let host = door.host();
    let long = "a".repeat(70_000);
    let many: String = (0..10_000).map(|n| format!("X{n}: y\r\n")).collect();
    let some: String = (0..101).map(|n| format!("X{n}: y\r\n")).collect();
    for (attack, silent) in [
        ("\0\u{1}\u{2}\u{3}\u{16}\u{3}\u{1}\r\n\r\n".to_owned(), false),
        (format!("{long} / HTTP/1.1\r\nHost: {host}\r\n\r\n"), false),
        (format!("GET /{long} HTTP/1.1\r\nHost: {host}\r\n\r\n"), false),
        (format!("GET /healthz?{long} HTTP/1.1\r\nHost: {host}\r\n\r\n"), false),
        (format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nX: {long}\r\n\r\n"), false),
        (format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nX{long}: y\r\n\r\n"), false),
        (format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n{many}\r\n"), false),
        (format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n{some}\r\n"), false),
        (format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nMcp-Name: {}\r\n\r\n", "a".repeat(9000)), false),
        (format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nX\u{e9}: y\r\n\r\n"), false),
        (format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nX: a\0b\r\n\r\n"), false),
        (format!("GET  /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n"), false),
        ("GET /healthz\r\n\r\n".to_owned(), false),
        (format!("GET /healthz HTTP/3.0\r\nHost: {host}\r\n\r\n"), false),
        (format!("GET /heal\u{e9}thz HTTP/1.1\r\nHost: {host}\r\n\r\n"), false),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u{4}\0\0\0\0\0".to_owned(), true),
        ("GET /healthz HTTP/1.1\r\nHost:".to_owned(), true),
        ("G".to_owned(), true),
    ] {
        let answer = door.raw(attack.as_bytes()).await;
        let short: String = attack.chars().take(60).collect();
        let got = statuses(&answer);
        let closed = silent && got.is_empty();
        assert!(closed || matches!(got.as_slice(), [400..=499 | 505]), "{short:?}: {answer:.200}");
        assert!(!answer.contains("ok"), "{short:?}");
    }
    assert!(!door.seen().iter().any(|event| matches!(event, Event::Ran(..))));
    assert_eq!(statuses(&door.ask("GET", "/healthz", &format!("Host: {host}\r\n")).await), [200], "the listener lives");
}

#[tokio::test]
async fn http_10_preflights_are_answered_for_allowed_origins_only() {
    let mut door = Door::open().await;
    let host = door.host();
    let ask = format!("Host: {host}\r\nOrigin: https://app.test\r\nAccess-Control-Request-Method: POST\r\n");
    let headers = "Access-Control-Request-Headers: content-type, mcp-param-city, x-evil, mcp-param-a b\r\n";
    let answer = door.ask("OPTIONS", "/k/echo/mcp", &format!("{ask}{headers}")).await.to_ascii_lowercase();
    assert_eq!(statuses(&answer.replace("http/", "HTTP/")), [204], "{answer}");
    for line in
        ["access-control-allow-origin: https://app.test\r\n", "vary: origin\r\n", "access-control-allow-methods: get, post, delete\r\n"]
    {
        assert!(answer.contains(line), "{line} in {answer}");
    }
    assert!(answer.contains("mcp-param-city") && !answer.contains("x-evil") && !answer.contains("a b"), "{answer}");
    assert!(!answer.contains("allow-credentials") && !answer.contains('*'), "{answer}");
    assert!(door.seen().is_empty(), "a preflight is no request");

    for path in ["/healthz", "/readyz"] {
        let answer = door.ask("OPTIONS", path, &ask).await.to_ascii_lowercase();
        assert!(!answer.contains("access-control"), "{answer}");
    }
    let answer = door.ask("POST", "/k/echo/mcp", &format!("Host: {host}\r\nOrigin: https://app.test\r\n")).await.to_ascii_lowercase();
    assert!(answer.contains("access-control-allow-origin: https://app.test\r\n") && answer.contains("vary: origin\r\n"), "{answer}");
    let answer = door.ask("POST", "/k/echo/mcp", &format!("Host: {host}\r\n")).await.to_ascii_lowercase();
    assert!(!answer.contains("access-control") && answer.contains("vary: origin\r\n"), "{answer}");
}

#[tokio::test]
async fn every_answer_has_the_constant_headers_and_no_date() {
    let door = Door::open().await;
    for path in ["/healthz", "/readyz", "/k/echo/mcp", "/unknown"] {
        let answer = door.ask("POST", path, &format!("Host: {}\r\n", door.host())).await.to_ascii_lowercase();
        assert!(answer.contains("x-content-type-options: nosniff\r\n") && answer.contains("cache-control: no-store\r\n"), "{answer}");
        assert!(!answer.contains("\r\ndate:") && !answer.contains("\r\nserver:"), "{answer}");
        assert!(!answer.contains("strict-transport-security"), "only over TLS: {answer}");
    }
}

#[tokio::test]
async fn lim_requests_without_a_credential_are_limited_by_address() {
    let limit = doorward_gateway::listen::rate::AddressLimit::new(NonZeroU32::MIN, NonZeroU32::new(3).expect("three"));
    let mut door = Door::with(|settings| settings.strangers = Arc::new(limit)).await;
    let host = format!("Host: {}\r\n", door.host());
    for _ in 0..3 {
        assert_eq!(statuses(&door.ask("POST", "/k/echo/mcp", &host).await), [200]);
    }
    let answer = door.ask("POST", "/k/echo/mcp", &host).await;
    assert_eq!(statuses(&answer), [429]);
    assert!(answer.to_ascii_lowercase().contains("\r\nretry-after: "), "{answer}");
    assert!(door.seen().iter().any(|event| matches!(event, Event::Turned(Turned::Rate))));
    let known = format!("{host}Authorization: Bearer t\r\n");
    assert_eq!(statuses(&door.ask("POST", "/k/echo/mcp", &known).await), [200], "whoever shows a credential is judged by the corridor");
    assert_eq!(statuses(&door.ask("GET", "/healthz", &host).await), [200]);
}

#[tokio::test]
async fn lim_connections_beyond_the_limit_are_told_and_the_seat_is_given_back() {
    let mut door = Door::with(|settings| settings.connections = 1).await;
    let host = format!("Host: {}\r\n", door.host());
    let mut first = door.dial().await;
    first.write_all(format!("POST /k/wait/mcp HTTP/1.1\r\n{host}Content-Length: 0\r\n\r\n").as_bytes()).await.expect("write");
    assert!(matches!(door.event().await, Event::Began));
    let mut second = door.dial().await;
    let mut answer = String::new();
    second.read_to_string(&mut answer).await.expect("read");
    assert_eq!(statuses(&answer), [503]);
    assert!(matches!(door.event().await, Event::Turned(Turned::Connections)));
    assert!(door.metrics.text().contains("doorward_connections_open 1\n"));
    // Closing the socket cancels the request and frees the seat.
    drop(first);
    assert!(matches!(door.event().await, Event::Cancelled));
    while door.metrics.text().contains("doorward_connections_open 1\n") {
        tokio::task::yield_now().await;
    }
    assert_eq!(statuses(&door.ask("GET", "/healthz", &host).await), [200]);
}

#[tokio::test]
async fn a_client_that_closes_its_side_has_cancelled() {
    let mut door = Door::open().await;
    let mut stream = door.dial().await;
    let request = format!("POST /k/wait/mcp HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\n\r\n", door.host());
    stream.write_all(request.as_bytes()).await.expect("write");
    assert!(matches!(door.event().await, Event::Began));
    stream.shutdown().await.expect("shutdown");
    assert!(matches!(door.event().await, Event::Cancelled));
}

#[tokio::test]
async fn shutdown_lets_an_open_request_finish() {
    let mut door = Door::open().await;
    let mut stream = door.dial().await;
    let request = format!("POST /k/late/mcp HTTP/1.1\r\nHost: {}\r\nContent-Length: 2\r\n\r\n{{}}", door.host());
    stream.write_all(request.as_bytes()).await.expect("write");
    assert!(matches!(door.event().await, Event::Began));
    let tasks = door.tasks.clone();
    let stopping = tokio::spawn(async move { tasks.stop(std::time::Duration::from_secs(10)).await });
    door.tasks.stopping().await;
    door.go.notify_one();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("read");
    assert_eq!(statuses(&answer), [200]);
    assert!(answer.ends_with("{}"));
    assert_eq!(stopping.await.expect("join"), 0);
}

#[tokio::test]
async fn the_metrics_listener_shows_counters_and_nothing_else() {
    let door = Door::open().await;
    let _ = door.ask("POST", "/k/echo/mcp", &format!("Host: {}\r\nAuthorization: Bearer canary-token\r\n", door.host())).await;
    let _ = door.ask("POST", "/canary-path", &format!("Host: {}\r\n", door.host())).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    door.tasks.spawn(door.metrics.clone().serve(listener, SHORT, door.tasks.clone()));
    for (path, status) in [("/metrics", 200), ("/", 404), ("/k/echo/mcp", 404)] {
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("connect");
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await.expect("write");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("read");
        assert_eq!(statuses(&answer), [status], "{path}");
        assert!(!answer.contains("canary"), "{answer}");
        if status == 200 {
            assert!(answer.contains("doorward_requests_total{route=\"key\",outcome=\"served\"} 1"), "{answer}");
            assert!(answer.contains("reason=\"unknown_path\"} 1"), "{answer}");
        }
    }
}

/// Reads one answer with a body of a known length; its head.
async fn answer(stream: &mut TcpStream) -> String {
    let mut got = Vec::new();
    while !got.ends_with(b"\r\n\r\n") {
        let byte = timeout(Duration::from_secs(20), stream.read_u8()).await.expect("an answer in time");
        got.push(byte.unwrap_or_else(|error| panic!("{error} after {:?}", String::from_utf8_lossy(&got))));
    }
    String::from_utf8(got).expect("text").to_ascii_lowercase()
}

/// Found with clients that send head and body in two packets: their next request met a closed connection, and nobody had said so.
#[tokio::test]
async fn who_is_refused_before_the_body_was_read_can_ask_again_on_the_same_connection() {
    let door = Door::open().await;
    let host = door.host();
    let mut stream = door.dial().await;
    stream.set_nodelay(true).expect("option");
    for body in ["{\"jsonrpc\":\"2.0\"}".to_owned(), "x".repeat(60_000)] {
        for _ in 0..3 {
            let head = format!("POST /k/refuse/mcp HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).await.expect("the connection is open");
            let early = timeout(Duration::from_millis(20), stream.peek(&mut [0])).await;
            assert!(early.is_err(), "it is answered while the body is on its way");
            stream.write_all(body.as_bytes()).await.expect("the connection is open");
            let head = answer(&mut stream).await;
            assert!(head.starts_with("http/1.1 401") && !head.contains("connection: close"), "{head}");
        }
    }
}

#[tokio::test]
async fn a_connection_that_ends_with_the_answer_says_so() {
    let door = Door::with(|settings| settings.patience = SHORT).await;
    let host = door.host();
    let cases = [
        ("Content-Length: 10\r\n", "abc"),
        ("Content-Length: 100000\r\n", ""),
        ("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n"),
        ("Content-Length: 10\r\nExpect: 100-continue\r\n", ""),
    ];
    for (fields, body) in cases {
        let ask = format!("POST /k/refuse/mcp HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n{body}");
        let got = door.raw(ask.as_bytes()).await.to_ascii_lowercase();
        assert_eq!(statuses(&got.to_ascii_uppercase()), [401], "{fields:?}: {got}");
        assert!(got.contains("connection: close"), "{fields:?}: {got}");
    }
}
