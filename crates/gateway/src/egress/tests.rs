//! The door out against real sockets: hostile upstreams on loopback, scripted resolvers, real TLS.

use super::connect::{Connector, Found, Names, SystemNames};
use super::error::{EgressError, Forbidden};
use super::pool::PoolKey;
use super::reply::{ReplyBody, ReplyLimits};
use super::target::{Reach, Target};
use super::trust::Trust;
use super::{Egress, EgressSettings, Outbound};
use crate::tasks::Tasks;
use bytes::Bytes;
use doorward_core::id::{CredentialId, ServerName, UserId};
use http::{HeaderMap, Method, Response};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

const LIMITS: ReplyLimits = ReplyLimits { headers: Duration::from_secs(20), whole: 1024, stream: 4096, idle: Duration::from_secs(20) };
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

#[derive(Debug)]
struct Script {
    answers: Mutex<Vec<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Names for Script {
    fn addresses(&self, _: &str) -> Found {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().expect("lock");
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        Box::pin(async move { Ok(answer) })
    }
}

fn script(answers: &[&[&str]]) -> Arc<Script> {
    let answers = answers.iter().map(|all| all.iter().map(|ip| ip.parse().expect("ip")).collect()).collect();
    Arc::new(Script { answers: Mutex::new(answers), asked: AtomicUsize::new(0) })
}

fn egress() -> Egress {
    Egress::new(EgressSettings::new(Tasks::new())).expect("egress")
}

fn key(user: &str, version: u64) -> PoolKey {
    PoolKey {
        server: ServerName::new("alpha").expect("name"),
        user: Some(UserId::new("local", user).expect("user")),
        credential: Some(CredentialId::new("c1").expect("id")),
        version,
    }
}

fn post() -> Outbound {
    Outbound { method: Method::POST, headers: HeaderMap::new(), body: Bytes::from_static(b"{}") }
}

fn target(url: &str) -> Target {
    Target::new(url, Reach::Configured).expect(url)
}

async fn send(egress: &Egress, target: &Target) -> Result<Response<ReplyBody>, EgressError> {
    egress.send(target, &key("ann", 1), post(), &LIMITS).await
}

async fn whole(reply: Result<Response<ReplyBody>, EgressError>) -> Result<Bytes, EgressError> {
    reply?.into_body().whole().await
}

/// What a raw upstream saw.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Opened,
    Request(String),
    Closed,
}

/// Answers the n-th request of a connection with the n-th text; an empty text closes, a missing one waits.
async fn upstream(replies: &[&str]) -> (Target, mpsc::UnboundedReceiver<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let target = target(&format!("http://{}/mcp?k=v", listener.local_addr().expect("address")));
    let (tell, seen) = mpsc::unbounded_channel();
    let replies: Vec<String> = replies.iter().map(|reply| (*reply).to_owned()).collect();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = tell.send(Seen::Opened);
            tokio::spawn(answer(stream, replies.clone(), tell.clone()));
        }
    });
    (target, seen)
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, replies: Vec<String>, tell: mpsc::UnboundedSender<Seen>) {
    let mut replies = replies.into_iter();
    while let Some(head) = request(&mut stream).await {
        let _ = tell.send(Seen::Request(head));
        match replies.next() {
            Some(reply) if reply.is_empty() => break,
            Some(reply) => {
                let _ = stream.write_all(reply.as_bytes()).await;
            }
            None => {}
        }
    }
    let _ = stream.shutdown().await;
    let _ = tell.send(Seen::Closed);
}

/// One request with the body `{}`.
async fn request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut got = Vec::new();
    while !got.ends_with(b"\r\n\r\n{}") {
        got.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(got).ok()
}

#[tokio::test]
async fn ssrf_01_no_form_of_a_closed_address_is_connected_to() {
    let honeypot = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = honeypot.local_addr().expect("address").port();
    let egress = egress();
    for host in ["127.0.0.1", "[::1]", "10.0.0.1", "169.254.169.254", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "0.0.0.0", "[::]"] {
        let target = Target::new(&format!("https://{host}:{port}/"), Reach::Public).expect("grammar");
        assert!(matches!(send(&egress, &target).await, Err(EgressError::Forbidden(_))), "{host}");
    }
    for host in ["10.0.0.1", "169.254.169.254", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "[fe80::1]", "100.64.0.1", "8.8.8.8"] {
        let target = target(&format!("http://{host}:{port}/"));
        assert!(matches!(send(&egress, &target).await, Err(EgressError::Forbidden(_))), "{host}");
    }
    tokio::select! {
        biased;
        _ = honeypot.accept() => panic!("a connection was made"),
        () = tokio::task::yield_now() => {}
    }
}

#[tokio::test]
async fn cld_03_link_local_addresses_are_for_the_credential_station_alone() {
    let egress = egress();
    for reach in [Reach::Public, Reach::Configured] {
        for host in ["169.254.169.254", "[fd20:ce::254]", "[fd00:ec2::254]"] {
            let url = format!("{}://{host}/", if reach == Reach::Public { "https" } else { "http" });
            let target = Target::new(&url, reach).expect("grammar");
            assert_eq!(send(&egress, &target).await.map(|_| ()), Err(EgressError::Forbidden(Forbidden::Special)), "{url}");
        }
    }
    let vetted = |host: &str, ip: &str| {
        let connector = Connector {
            allow_private: Vec::new(),
            names: Arc::new(SystemNames::new()),
            trust: Trust::system_and(&[]).expect("trust"),
            patience: LIMITS.headers,
        };
        let target = Target::new(&format!("http://{host}/"), Reach::Metadata).expect("grammar");
        connector.vet(&target, ip.parse().expect("an address"))
    };
    for ip in ["169.254.169.254", "fd20:ce::254", "fd00:ec2::254"] {
        assert_eq!(vetted("metadata.google.internal", ip), Ok(()), "{ip}");
    }
    for ip in ["169.254.169.253", "169.254.170.2", "127.0.0.1", "10.0.0.1", "8.8.8.8", "::1", "fd20:ce::253", "fe80::1"] {
        assert_eq!(vetted("metadata.google.internal", ip), Err(Forbidden::Special), "{ip}: the name was made to lead there");
    }
    assert_eq!(vetted("127.0.0.1:8080", "127.0.0.1"), Ok(()), "a fake of a test");
}

#[tokio::test]
async fn ssrf_02_every_address_of_a_name_is_vetted_and_the_vetted_one_is_used() {
    let (up, mut seen) = upstream(&[OK]).await;
    let settings = |names: &Arc<Script>, open: &[&str]| {
        let mut settings = EgressSettings::new(Tasks::new());
        settings.names = Arc::clone(names) as Arc<dyn Names>;
        settings.allow_private = open.iter().map(|net| net.parse().expect("net")).collect();
        Egress::new(settings).expect("egress")
    };
    let url = format!("http://up.test:{}/", up.port());

    let mixed = script(&[&["8.8.8.8", "127.0.0.1"]]);
    let public = Target::new(&format!("https://up.test:{}/", up.port()), Reach::Public).expect("grammar");
    assert_eq!(send(&settings(&mixed, &[]), &public).await.err(), Some(EgressError::Forbidden(Forbidden::Loopback)));
    assert_eq!(send(&settings(&mixed, &["127.0.0.0/8"]), &public).await.err(), Some(EgressError::Forbidden(Forbidden::Loopback)));

    // First a harmless answer, then another: one connection asks once, the next one is vetted again.
    let names = script(&[&["127.0.0.1"], &["127.0.0.1", "169.254.169.254"]]);
    let egress = settings(&names, &["127.0.0.1/32", "169.254.0.0/16"]);
    assert!(whole(send(&egress, &target(&url)).await).await.is_ok());
    assert_eq!(names.asked.load(Ordering::SeqCst), 1);
    assert_eq!(seen.recv().await, Some(Seen::Opened));
    let Some(Seen::Request(head)) = seen.recv().await else { panic!("no request") };
    assert!(head.contains(&format!("host: up.test:{}\r\n", up.port())), "{head}");
    let other = egress.send(&target(&url), &key("bob", 1), post(), &LIMITS).await;
    assert_eq!(other.err(), Some(EgressError::Forbidden(Forbidden::Special)));
}

#[tokio::test]
async fn i1_connections_are_reused_within_a_key_and_never_across() {
    let (up, mut seen) = upstream(&[OK, OK, OK]).await;
    let egress = egress();
    for _ in 0..3 {
        assert_eq!(whole(send(&egress, &up).await).await.expect("reply"), "{}");
    }
    let mut opened = 0;
    let mut count = |seen: &mut mpsc::UnboundedReceiver<Seen>| {
        while let Ok(event) = seen.try_recv() {
            opened += usize::from(event == Seen::Opened);
        }
        opened
    };
    assert_eq!(count(&mut seen), 1);
    for other in [key("bob", 1), key("ann", 2), PoolKey { user: None, ..key("ann", 1) }, PoolKey { credential: None, ..key("ann", 1) }] {
        assert!(whole(egress.send(&up, &other, post(), &LIMITS).await).await.is_ok());
    }
    assert_eq!(count(&mut seen), 5);
    assert_eq!(egress.idle(), (5, 5));
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_is_replaced_before_anything_is_written() {
    let (up, mut seen) = upstream(&[&OK.replace("\r\n\r\n", "\r\nKeep-Alive: timeout=0\r\n\r\n"), ""]).await;
    let egress = egress();
    assert!(whole(send(&egress, &up).await).await.is_ok());
    // The second request of the connection is read and then the connection closed: it may have had an effect.
    assert_eq!(whole(send(&egress, &up).await).await.err(), Some(EgressError::Broken { sent: true }));
    let mut requests = 0;
    loop {
        match seen.recv().await.expect("event") {
            Seen::Request(_) => requests += 1,
            Seen::Closed => break,
            Seen::Opened => {}
        }
    }
    assert_eq!(requests, 2);
    // That one is gone from the pool: the next call has a new connection.
    assert!(whole(send(&egress, &up).await).await.is_ok());
}

#[tokio::test]
async fn pt_04_redirects_are_errors() {
    for (status, place) in [
        (301, "http://evil.test/"),
        (302, "https://evil.test/"),
        (303, "/other"),
        (307, "http://127.0.0.1:1/"),
        (308, "http://127.0.0.1/"),
        (300, "/"),
        (304, "/"),
    ] {
        let reply = format!("HTTP/1.1 {status} X\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n");
        let (up, mut seen) = upstream(&[&reply]).await;
        assert_eq!(send(&egress(), &up).await.err(), Some(EgressError::Redirect(status)));
        assert_eq!(seen.recv().await, Some(Seen::Opened));
        assert!(matches!(seen.recv().await, Some(Seen::Request(_))));
        assert_eq!(seen.recv().await, Some(Seen::Closed), "the connection is dropped");
    }
}

#[tokio::test]
async fn http_04_replies_with_two_meanings_are_refused_and_their_connection_dropped() {
    let many = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 2\r\n\r\n{{}}", "X: y\r\n".repeat(101));
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 2\r\n\r\n{{}}", "y".repeat(40_000));
    for reply in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nConnection: close\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}XX0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Type: c/d\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nMcp-Session-Id: a\r\nMcp-Session-Id: b\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "{}",
        "\0\u{1}\u{2}\u{3}\r\n\r\n",
        &many,
        &long,
    ] {
        let (up, mut seen) = upstream(&[reply]).await;
        let egress = egress();
        let result = whole(send(&egress, &up).await).await;
        assert!(result.is_err(), "{reply:?} gave {result:?}");
        assert_eq!(egress.idle().0, 0, "{reply:?}");
        while seen.recv().await.expect("event") != Seen::Closed {}
    }
}

#[tokio::test]
async fn early_hints_and_trailers_are_left_out() {
    let reply =
        "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-T: y\r\n\r\n";
    let (up, _seen) = upstream(&[reply]).await;
    let reply = send(&egress(), &up).await.expect("reply");
    assert!(reply.headers().get("link").is_none() && reply.headers().get("x-t").is_none());
    assert_eq!(reply.into_body().whole().await.expect("body"), "{}");
}

#[tokio::test]
async fn a_reply_larger_than_its_limit_is_cut_off() {
    for reply in [
        "HTTP/1.1 200 OK\r\nContent-Length: 1025\r\n\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n401\r\n{}\r\n", "a".repeat(1025)),
        format!("HTTP/1.1 200 OK\r\n\r\n{}", "a".repeat(1025)),
        format!("HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream; a=b\r\n\r\n{}", "a".repeat(4097)),
    ] {
        let (up, mut seen) = upstream(&[&reply]).await;
        assert_eq!(whole(send(&egress(), &up).await).await.err(), Some(EgressError::TooLarge));
        while seen.recv().await.expect("event") != Seen::Closed {}
    }
}

#[tokio::test]
async fn dropping_the_body_of_a_silent_stream_closes_it_at_the_upstream() {
    let (up, mut seen) = upstream(&["HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: hi\n\n"]).await;
    let egress = egress();
    let mut body = send(&egress, &up).await.expect("reply").into_body();
    assert!(body.is_event_stream());
    assert_eq!(body.frame().await, Some(Ok(Bytes::from_static(b": hi\n\n"))));
    drop(body);
    while seen.recv().await.expect("event") != Seen::Closed {}
    assert_eq!(egress.idle(), (0, 0));
}

#[tokio::test]
async fn a_silent_upstream_runs_into_the_limits() {
    let (up, mut seen) = upstream(&[OK, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{", OK]).await;
    let egress = egress();
    assert!(whole(send(&egress, &up).await).await.is_ok());
    let mut body = send(&egress, &up).await.expect("head").into_body();
    assert_eq!(body.frame().await, Some(Ok(Bytes::from_static(b"{"))));
    tokio::time::pause();
    assert_eq!(body.frame().await, Some(Err(EgressError::Timeout { sent: true })));
    assert_eq!(body.frame().await, None);
    tokio::time::resume();
    while seen.recv().await.expect("event") != Seen::Closed {}

    let (silent, _seen) = upstream(&[OK]).await;
    assert!(whole(send(&egress, &silent).await).await.is_ok());
    tokio::time::pause();
    assert_eq!(send(&egress, &silent).await.err(), Some(EgressError::Timeout { sent: true }));
}

#[tokio::test]
async fn idle_connections_are_closed_after_their_time_and_at_shutdown() {
    let (up, mut seen) = upstream(&[OK, OK]).await;
    let tasks = Tasks::new();
    let egress = Egress::new(EgressSettings::new(tasks.clone())).expect("egress");
    assert!(whole(send(&egress, &up).await).await.is_ok());
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(31)).await;
    while seen.recv().await.expect("event") != Seen::Closed {}
    assert_eq!(egress.idle(), (0, 0));
    tokio::time::resume();
    assert!(whole(send(&egress, &up).await).await.is_ok());
    assert_eq!(egress.idle(), (1, 1));
    assert_eq!(tasks.stop(Duration::from_secs(5)).await, 0);
}

#[tokio::test]
async fn a_server_that_answers_before_it_has_read_the_request_gets_the_whole_of_it() {
    // More than the buffers of both ends hold.
    const LENGTH: usize = 24 << 20;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let up = target(&format!("http://{}/", listener.local_addr().expect("address")));
    let (go, told) = oneshot::channel();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("accept");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.expect("a head"));
        }
        stream.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n").await.expect("write");
        told.await.expect("told");
        let mut body = vec![0; LENGTH];
        stream.read_exact(&mut body).await.expect("the whole body");
        // The next request on it.
        assert!(request(&mut stream).await.is_some());
        stream.write_all(OK.as_bytes()).await.expect("write");
    });
    let egress = egress();
    let large = Outbound { body: vec![b'x'; LENGTH].into(), ..post() };
    let reply = egress.send(&up, &key("ann", 1), large, &LIMITS).await.expect("reply");
    assert_eq!(reply.status(), 202);
    assert!(reply.into_body().whole().await.expect("empty").is_empty());
    assert_eq!(egress.idle(), (0, 0), "it is not free yet");
    go.send(()).expect("it waits");
    let kept = async {
        while egress.idle() != (1, 1) {
            tokio::task::yield_now().await;
        }
        whole(send(&egress, &up).await).await.expect("reply")
    };
    assert_eq!(tokio::time::timeout(LIMITS.idle, kept).await.expect("in time"), "{}");
    server.await.expect("served");
}

#[tokio::test]
async fn a_server_that_never_reads_the_rest_of_a_request_keeps_its_connection_for_a_time_only() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let up = target(&format!("http://{}/", listener.local_addr().expect("address")));
    let (open, opened) = oneshot::channel();
    let _server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("accept");
        stream.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n").await.expect("write");
        let _ = open.send(stream);
    });
    let tasks = Tasks::new();
    let egress = Egress::new(EgressSettings::new(tasks.clone())).expect("egress");
    let large = Outbound { body: vec![b'x'; 24 << 20].into(), ..post() };
    assert!(whole(egress.send(&up, &key("ann", 1), large, &LIMITS).await).await.is_ok());
    let _stream = opened.await.expect("connected");
    let with_it = tasks.running();
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(25)).await;
    assert_eq!((tasks.running(), egress.idle()), (with_it - 1, (0, 0)));
}

#[tokio::test]
async fn a_kept_connection_that_its_server_closes_is_closed_long_before_its_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let up = target(&format!("http://{}/", listener.local_addr().expect("address")));
    let (go, told) = oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("accept");
        assert!(request(&mut stream).await.is_some());
        stream.write_all(OK.as_bytes()).await.expect("write");
        told.await.expect("told");
    });
    let egress = egress();
    assert!(whole(send(&egress, &up).await).await.is_ok());
    assert_eq!(egress.idle(), (1, 1));
    go.send(()).expect("it waits");
    server.await.expect("closed");
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(egress.idle(), (0, 0));
}

#[tokio::test]
async fn the_number_of_connections_is_bounded() {
    let (up, _seen) = upstream(&[OK, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{"]).await;
    let mut settings = EgressSettings::new(Tasks::new());
    settings.connections = 1;
    let egress = Egress::new(settings).expect("egress");
    assert!(whole(send(&egress, &up).await).await.is_ok());
    // An idle connection of another user gives way, one in use does not.
    let reply = egress.send(&up, &key("bob", 1), post(), &LIMITS).await.expect("reply");
    assert_eq!(egress.send(&up, &key("cyd", 1), post(), &LIMITS).await.err(), Some(EgressError::Busy));
    drop(reply);
}

#[tokio::test]
async fn headers_of_the_connection_are_not_the_callers_to_set() {
    let (up, _seen) = upstream(&[OK]).await;
    for name in ["host", "Connection", "transfer-encoding", "content-length", "upgrade", "te", "expect", "accept-encoding", "keep-alive"] {
        let mut outbound = post();
        outbound.headers.insert(http::HeaderName::from_bytes(name.as_bytes()).expect("name"), "x".parse().expect("value"));
        let refused = egress().send(&up, &key("ann", 1), outbound, &LIMITS).await;
        assert!(matches!(refused, Err(EgressError::BadRequest(_))), "{name}");
    }
}

mod tls {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls_pki_types::PrivateKeyDer;

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::new(Vec::new()).expect("params");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().expect("key")).expect("authority")
    }

    async fn secured(
        authority: &CertifiedIssuer<'static, KeyPair>,
        host: &str,
        alpn: &[&[u8]],
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> u16 {
        let leaf = KeyPair::generate().expect("key");
        let cert = CertificateParams::new(vec![host.to_owned()]).expect("params").signed_by(&leaf, authority).expect("signed");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], PrivateKeyDer::try_from(leaf.serialize_der()).expect("key"))
            .expect("config");
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = hyper::service::service_fn(|request: http::Request<hyper::body::Incoming>| async move {
                        let text = format!("{:?} {:?}", request.version(), request.uri());
                        Ok::<_, std::convert::Infallible>(Response::new(http_body_util::Full::new(Bytes::from(text))))
                    });
                    let io = hyper_util::rt::TokioIo::new(stream);
                    let _ = hyper_util::server::conn::auto::Builder::new(hyper_util::rt::TokioExecutor::new())
                        .serve_connection(io, service)
                        .await;
                });
            }
        });
        port
    }

    const BOTH: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

    #[tokio::test]
    async fn http_08_http_2_and_1_by_alpn_over_tls_12_and_13() {
        let authority = authority();
        for (alpn, versions, shown) in [
            (&[&b"h2"[..], b"http/1.1"][..], BOTH, "HTTP/2.0"),
            (&[&b"http/1.1"[..]][..], BOTH, "HTTP/1.1"),
            (&[][..], &[&rustls::version::TLS12][..], "HTTP/1.1"),
            (&[&b"h2"[..]][..], &[&rustls::version::TLS12][..], "HTTP/2.0"),
        ] {
            let port = secured(&authority, "localhost", alpn, versions).await;
            let mut settings = EgressSettings::new(Tasks::new());
            settings.extra_ca = authority.pem().into_bytes();
            let egress = Egress::new(settings).expect("egress");
            let target = target(&format!("https://localhost:{port}/mcp?a=b"));
            for _ in 0..3 {
                let text = whole(send(&egress, &target).await).await.expect("reply");
                assert!(text.starts_with(shown.as_bytes()), "{text:?}");
                assert!(std::str::from_utf8(&text).expect("text").contains("/mcp?a=b"), "{text:?}");
            }
            assert_eq!(egress.idle(), (1, 1));
            assert!(whole(egress.send(&target, &key("bob", 1), post(), &LIMITS).await).await.is_ok());
            assert_eq!(egress.idle(), (2, 2), "another user, another connection");
        }
    }

    #[tokio::test]
    async fn http_08_unknown_authorities_and_other_names_are_refused() {
        let (authority, other) = (authority(), authority());
        let port = secured(&authority, "localhost", &[], BOTH).await;
        let localhost = target(&format!("https://localhost:{port}/"));
        assert!(matches!(send(&egress(), &localhost).await, Err(EgressError::Tls(_))));
        let wrong = localhost.clone().trusting(Trust::only(other.pem().as_bytes()).expect("trust"));
        assert!(matches!(send(&egress(), &wrong).await, Err(EgressError::Tls(_))));
        let right = Trust::only(authority.pem().as_bytes()).expect("trust");
        assert!(whole(send(&egress(), &localhost.trusting(right.clone())).await).await.is_ok());
        let address = target(&format!("https://127.0.0.1:{port}/")).trusting(right);
        assert!(matches!(send(&egress(), &address).await, Err(EgressError::Tls(_))), "the certificate names localhost");
        assert!(Trust::only(b"").is_err() && Trust::only(b"not pem").is_err());
    }
}

/// Prints the time of one exchange over a kept connection; run by hand with `--run-ignored only --no-capture`.
#[tokio::test]
#[ignore = "a measurement, not a test"]
async fn measure_an_exchange_over_a_kept_connection() {
    const ROUNDS: u32 = 20_000;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let up = target(&format!("http://{}/", listener.local_addr().expect("address")));
    let listener = listener.into_std().expect("std");
    // Ends with the connection, after the test.
    let _upstream = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        listener.set_nonblocking(false).expect("blocking");
        let (mut stream, _) = listener.accept().expect("accept");
        stream.set_nodelay(true).expect("nodelay");
        let mut piece = [0; 4096];
        while stream.read(&mut piece).is_ok_and(|n| n > 0) {
            stream.write_all(OK.as_bytes()).expect("write");
        }
    });
    let egress = egress();
    let begun = tokio::time::Instant::now();
    for _ in 0..ROUNDS {
        assert!(whole(send(&egress, &up).await).await.is_ok());
    }
    eprintln!("{:?} for each exchange, the upstream's turn included", begun.elapsed() / ROUNDS);
}
