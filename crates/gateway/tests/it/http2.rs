//! HTTP-02 and HTTP-06 over HTTP/2: floods end the connection or cost nothing, and others do not notice.

use super::door::{Door, Event, Folder, SHORT, statuses};
use super::tls::connect;
use bytes::Bytes;
use doorward_gateway::listen::tls::Oldest;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW: u8 = 8;
const CONTINUATION: u8 = 9;

/// A frame (RFC 9113 section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("length").to_be_bytes();
    let mut out = vec![length[1], length[2], length[3], kind, flags];
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}

/// Field lines without indexing (RFC 7541 section 6.2.2).
fn fields(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in pairs {
        out.push(0);
        for text in [name, value] {
            assert!(text.len() < 127);
            out.push(u8::try_from(text.len()).expect("short"));
            out.extend(text.as_bytes());
        }
    }
    out
}

fn request(path: &str, authority: &str) -> Vec<u8> {
    fields(&[(":method", "POST"), (":scheme", "https"), (":path", path), (":authority", authority)])
}

fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("statm");
    text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("pages") * 4096
}

/// Sends the preface and `pieces` until the listener closes or all is sent and acknowledged by a ping; returns what it sent.
async fn flood<S: AsyncRead + AsyncWrite + Unpin>(stream: S, pieces: impl Iterator<Item = Vec<u8>>) -> Vec<(u8, Vec<u8>)> {
    let (mut read, mut write) = tokio::io::split(stream);
    let sending = async move {
        let mut whole = PREFACE.to_vec();
        whole.extend(frame(SETTINGS, 0, 0, &[]));
        for piece in pieces {
            whole.extend(piece);
            if whole.len() > 32 * 1024 {
                if write.write_all(&whole).await.is_err() {
                    return write;
                }
                whole.clear();
            }
        }
        whole.extend(frame(PING, 0, 0, b"the end."));
        let _ = write.write_all(&whole).await;
        let _ = write.flush().await;
        write
    };
    let reading = async move {
        let mut seen = Vec::new();
        loop {
            let mut head = [0; 9];
            if read.read_exact(&mut head).await.is_err() {
                return seen;
            }
            let mut payload = vec![0; usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])];
            if read.read_exact(&mut payload).await.is_err() {
                return seen;
            }
            let end = head[3] == PING && payload == b"the end.";
            if seen.len() < 1000 || head[3] == GOAWAY || end {
                seen.push((head[3], payload));
            }
            if end {
                return seen;
            }
        }
    };
    timeout(Duration::from_secs(60), async { tokio::join!(sending, reading) }).await.expect("the flood ends").1
}

fn is_gone(seen: &[(u8, Vec<u8>)]) -> bool {
    seen.iter().any(|(kind, _)| *kind == GOAWAY) || !seen.iter().any(|(kind, payload)| *kind == PING && payload == b"the end.")
}

#[tokio::test]
async fn http_06_floods_end_the_connection_or_cost_nothing() {
    let folder = Folder::new("floods");
    let mut door = Door::secured(&folder, Oldest::V1_2, |_| {}).await;
    let host = door.host();
    let open = |stream: u32, path: &str| frame(HEADERS, 0x5, stream, &request(path, &host));
    let reset = |stream: u32| frame(RESET, 0, stream, &8u32.to_be_bytes());
    let begin = frame(HEADERS, 0x1, 1, &request("/k/echo/mcp", &host));
    // A table entry of 4,000 bytes, then a thousand one-byte references to it.
    let mut bomb = request("/k/echo/mcp", &host);
    bomb.extend([0x40, 1, b'x', 0x7f]);
    bomb.extend([0xa1, 0x1e]);
    bomb.extend([b'a'; 4000]);
    bomb.extend([0xbe; 10_000]);
    let crumbs: Vec<u8> = request("/k/echo/mcp", &host).into_iter().chain((0..4000).flat_map(|_| fields(&[("cookie", "a")]))).collect();
    let big = |block: &[u8], stream: u32| {
        let mut parts = block.chunks(16_000).peekable();
        let mut out = frame(HEADERS, 0x1, stream, parts.next().expect("block"));
        while let Some(part) = parts.next() {
            out.extend(frame(CONTINUATION, if parts.peek().is_none() { 4 } else { 0 }, stream, part));
        }
        if block.len() <= 16_000 {
            out[4] |= 4;
        }
        out
    };

    let before = resident();
    let mut report = Vec::new();
    let mut run = async |name: &str, must_end: bool, pieces: Box<dyn Iterator<Item = Vec<u8>> + '_>| {
        let stream = connect(&door, &folder, &[b"h2"], &[&rustls::version::TLS13]).await.expect("handshake");
        let seen = flood(stream, pieces).await;
        let grown = resident().saturating_sub(before) / 1024 / 1024;
        let ends = seen.iter().filter(|(kind, _)| *kind == GOAWAY).map(|(_, payload)| String::from_utf8_lossy(&payload[4..]).into_owned());
        let ends: Vec<String> = ends.collect();
        let answers = seen.iter().filter(|(kind, _)| *kind == HEADERS).count();
        let closed = if is_gone(&seen) { "closed" } else { "served" };
        report.push(format!("{name}: {closed} {ends:?}, {answers} answers, {grown} MiB"));
        assert!(!must_end || is_gone(&seen), "{name}");
        assert!(grown <= 64, "{name}: {grown} MiB");
    };
    run("rapid reset", true, Box::new((0..50_000u32).map(|n| [open(2 * n + 1, "/k/wait/mcp"), reset(2 * n + 1)].concat()))).await;
    run(
        "continuation",
        true,
        Box::new(
            std::iter::once(frame(HEADERS, 0, 1, &request("/", &host)))
                .chain((0..20_000).map(|_| frame(CONTINUATION, 0, 1, &fields(&[("x", "y")])))),
        ),
    )
    .await;
    run(
        "empty continuation",
        true,
        Box::new(std::iter::once(frame(HEADERS, 0, 1, &request("/", &host))).chain((0..50_000).map(|_| frame(CONTINUATION, 0, 1, &[])))),
    )
    .await;
    run("table bomb", false, Box::new((0..100u32).map(|n| big(&bomb, 2 * n + 1)))).await;
    run("crumbs", false, Box::new((0..100u32).map(|n| big(&crumbs, 2 * n + 1)))).await;
    run(
        "window overflow",
        false,
        Box::new((0..20_000u32).map(|n| {
            [frame(HEADERS, 0x4, 2 * n + 1, &request("/k/wait/mcp", &host)), frame(WINDOW, 0, 2 * n + 1, &0x7fff_ffffu32.to_be_bytes())]
                .concat()
        })),
    )
    .await;
    run(
        "half-closed data",
        false,
        Box::new((0..20_000u32).map(|n| [open(2 * n + 1, "/k/wait/mcp"), frame(DATA, 0, 2 * n + 1, b"x")].concat())),
    )
    .await;
    run(
        "empty data",
        false,
        Box::new(std::iter::once([&begin[..4], &[4], &begin[5..]].concat()).chain((0..100_000).map(|_| frame(DATA, 0, 1, &[])))),
    )
    .await;
    run("settings", false, Box::new((0..50_000).map(|_| frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 1])))).await;
    run("ping", false, Box::new((0..50_000).map(|_| frame(PING, 0, 0, b"12345678")))).await;
    run("priority", false, Box::new((0..50_000u32).map(|n| frame(PRIORITY, 0, 2 * n + 1, &[0, 0, 0, 0, 1])))).await;
    run("stream ids", true, Box::new([open(0x7fff_ffff, "/k/echo/mcp"), open(1, "/k/echo/mcp")].into_iter())).await;
    run("even stream", true, Box::new(std::iter::once(open(2, "/k/echo/mcp")))).await;
    run("goaway", false, Box::new((0..1000).map(|_| frame(GOAWAY, 0, 0, &[0; 8])))).await;
    eprintln!("{}", report.join("\n"));
    let begun = door.seen().iter().filter(|event| matches!(event, Event::Began)).count();
    assert!(begun < 2000, "{begun} requests were begun");

    let mut stream = connect(&door, &folder, &[], &[&rustls::version::TLS13]).await.expect("the listener lives");
    stream.write_all(format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes()).await.expect("write");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("read");
    assert_eq!(statuses(&String::from_utf8_lossy(&answer)), [200]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_06_others_are_served_while_connections_flood() {
    let folder = Arc::new(Folder::new("others"));
    let door = Arc::new(Door::secured(&folder, Oldest::V1_2, |_| {}).await);
    let host = door.host();
    // Whole requests of an honest client, each with a connection and a handshake of its own.
    let honest = async |count: usize| {
        let mut took = Vec::new();
        for _ in 0..count {
            let begun = std::time::Instant::now();
            let mut stream = connect(&door, &folder, &[], &[&rustls::version::TLS13]).await.expect("handshake");
            let ask = format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            stream.write_all(ask.as_bytes()).await.expect("write");
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.expect("read");
            assert_eq!(statuses(&String::from_utf8_lossy(&answer)), [200]);
            took.push(begun.elapsed());
        }
        took.sort();
        (took[took.len() / 2], took[took.len() - 1])
    };
    let (quiet, _) = honest(30).await;
    let open = |stream: u32| frame(HEADERS, 0x5, stream, &request("/k/wait/mcp", &host));
    let resets: Vec<u8> =
        (0..20_000u32).flat_map(|n| [open(2 * n + 1), frame(RESET, 0, 2 * n + 1, &8u32.to_be_bytes())].concat()).collect();
    let settings: Vec<u8> = (0..20_000).flat_map(|_| frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 1])).collect();
    let pings: Vec<u8> = (0..20_000).flat_map(|_| frame(PING, 0, 0, b"12345678")).collect();
    let overflows: Vec<u8> = (0..20_000u32)
        .flat_map(|n| {
            [frame(HEADERS, 0x4, 2 * n + 1, &request("/k/wait/mcp", &host)), frame(WINDOW, 0, 2 * n + 1, &0x7fff_ffffu32.to_be_bytes())]
                .concat()
        })
        .collect();
    let stop = tokio::sync::watch::Sender::new(false);
    let mut floods = tokio::task::JoinSet::new();
    for bytes in [resets, settings, pings, overflows] {
        let (door, folder, mut stopped) = (Arc::clone(&door), Arc::clone(&folder), stop.subscribe());
        floods.spawn(async move {
            // Each that is ended begins anew.
            let mut rounds = 0;
            let flooding = async {
                loop {
                    let stream = connect(&door, &folder, &[b"h2"], &[&rustls::version::TLS13]).await.expect("handshake");
                    flood(stream, bytes.chunks(16 * 1024).map(<[u8]>::to_vec)).await;
                    rounds += 1;
                }
            };
            tokio::select! { () = flooding => {}, _ = stopped.wait_for(|stop| *stop) => {} }
            rounds
        });
    }
    let (middle, worst) = honest(60).await;
    stop.send_replace(true);
    let rounds = floods.join_all().await;
    assert!(rounds.iter().sum::<usize>() > 3, "they flooded all the while: {rounds:?}");
    assert!(worst < Duration::from_secs(2), "the longest of an honest client: {worst:?}");
    // The flooding clients encrypt on the same processors: what is asked for is that nobody waits for their end.
    assert!(middle < quiet * 20 + Duration::from_millis(300), "the middle one: {middle:?} after {quiet:?}");
}

async fn asked(door: &Door, folder: &Folder, pairs: &[(&str, &str)]) -> Option<u16> {
    let stream = connect(door, folder, &[b"h2"], &[&rustls::version::TLS13]).await.expect("handshake");
    let (mut client, connection) = h2::client::handshake(stream).await.expect("handshake");
    let driver = tokio::spawn(connection);
    let mut request = http::Request::builder();
    for (name, value) in pairs {
        request = match *name {
            "method" => request.method(*value),
            "uri" => request.uri(*value),
            name => request.header(name, *value),
        };
    }
    let (response, _) = client.send_request(request.body(()).expect("request"), true).expect("send");
    let status = response.await.ok().map(|response| response.status().as_u16());
    driver.abort();
    status
}

#[tokio::test]
async fn http_02_authority_and_host_must_agree() {
    let folder = Folder::new("authority");
    let door = Door::secured(&folder, Oldest::V1_2, |_| {}).await;
    let host = door.host();
    let good = format!("https://{host}/k/echo/mcp");
    assert_eq!(asked(&door, &folder, &[("method", "POST"), ("uri", &good)]).await, Some(200));
    assert_eq!(asked(&door, &folder, &[("method", "POST"), ("uri", &good), ("host", &host)]).await, Some(200));
    assert_eq!(asked(&door, &folder, &[("method", "POST"), ("uri", &good), ("host", "evil.test")]).await, Some(403));
    assert_eq!(asked(&door, &folder, &[("method", "POST"), ("uri", "https://evil.test/k/echo/mcp")]).await, Some(403));
    assert_eq!(asked(&door, &folder, &[("method", "POST"), ("uri", "https://evil.test/k/echo/mcp"), ("host", &host)]).await, Some(403));
    assert_eq!(asked(&door, &folder, &[("method", "POST"), ("uri", &good), ("origin", "https://evil.test")]).await, Some(403));
    assert_eq!(asked(&door, &folder, &[("method", "POST"), ("uri", &good), ("mcp_method", "x")]).await, Some(400));
}

#[tokio::test]
async fn a_reset_stream_is_a_cancelled_request() {
    let folder = Folder::new("reset");
    let mut door = Door::secured(&folder, Oldest::V1_2, |_| {}).await;
    let stream = connect(&door, &folder, &[b"h2"], &[&rustls::version::TLS13]).await.expect("handshake");
    let (mut client, connection) = h2::client::handshake(stream).await.expect("handshake");
    let driver = tokio::spawn(connection);
    let request = http::Request::post(format!("https://{}/k/wait/mcp", door.host())).body(()).expect("request");
    let (response, mut body) = client.send_request(request, true).expect("send");
    assert!(matches!(door.event().await, Event::Began));
    body.send_reset(h2::Reason::CANCEL);
    drop(response);
    assert!(matches!(door.event().await, Event::Cancelled));
    driver.abort();
}

/// How a client of HTTP/2 takes an answer.
#[derive(Clone, Copy)]
struct Taker {
    /// `echo` for a body that is known as a whole, `event` for one of a stream.
    kind: &'static str,
    size: usize,
    /// Granted back every 20 ms, of what came, and in all.
    grants: usize,
    most: usize,
}

/// What came, and the error at its end.
async fn taken(door: &Door, client: &h2::client::SendRequest<Bytes>, taker: Taker) -> (usize, Option<h2::Reason>) {
    let mut client = client.clone().ready().await.expect("ready");
    let request = http::Request::post(format!("https://{}/k/{}/mcp", door.host(), taker.kind)).body(()).expect("request");
    let (response, mut body) = client.send_request(request, false).expect("send");
    body.send_data(vec![b'x'; taker.size].into(), true).expect("send");
    let response = response.await.expect("response");
    let (mut body, mut got, mut due, mut left) = (response.into_body(), 0, 0, taker.most);
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let granted = due.min(taker.grants).min(left);
                body.flow_control().release_capacity(granted).expect("release");
                (due, left) = (due - granted, left - granted);
            }
            data = body.data() => match data {
                Some(Ok(data)) => {
                    got += data.len();
                    due += data.len();
                }
                Some(Err(error)) => return (got, error.reason()),
                None => return (got, None),
            }
        }
    }
}

async fn client(door: &Door, folder: &Folder, window: u32) -> (h2::client::SendRequest<Bytes>, tokio::task::JoinHandle<()>) {
    let stream = connect(door, folder, &[b"h2"], &[&rustls::version::TLS13]).await.expect("handshake");
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(window).initial_connection_window_size(8 << 20);
    let (client, connection) = builder.handshake::<_, Bytes>(stream).await.expect("handshake");
    (client, tokio::spawn(async move { drop(connection.await) }))
}

#[tokio::test]
async fn http_07_a_stream_of_http_2_that_takes_nothing_is_reset_and_the_others_go_on() {
    const ALL: usize = 1024 * 1024;
    const WINDOW: u32 = 65_535;
    let folder = Folder::new("starved");
    let door = Door::secured(&folder, Oldest::V1_2, |settings| settings.patience = SHORT).await;
    for kind in ["echo", "event"] {
        let begun = tokio::time::Instant::now();
        let (stubborn, ending) = client(&door, &folder, WINDOW).await;
        let slow = Taker { kind, size: ALL, grants: 16 * 1024, most: usize::MAX };
        let window = WINDOW as usize;
        // On one connection, beside one that is slow: who takes nothing, who leaves the last byte, and who leaves that of a small one.
        let (nothing, last, one, all) = tokio::join!(
            taken(&door, &stubborn, Taker { grants: 0, ..slow }),
            taken(&door, &stubborn, Taker { most: ALL - window - 1, grants: ALL, ..slow }),
            taken(&door, &stubborn, Taker { size: window + 1, grants: 0, ..slow }),
            taken(&door, &stubborn, slow),
        );
        assert_eq!((nothing.0, nothing.1), (window, Some(h2::Reason::CANCEL)), "{kind}");
        assert_eq!((last.0, last.1), (ALL - 1, Some(h2::Reason::CANCEL)), "{kind}");
        assert_eq!((one.0, one.1), (window, Some(h2::Reason::CANCEL)), "{kind}");
        assert_eq!((all.0, all.1), (ALL, None), "{kind}: who is slow gets all of it");
        assert!(begun.elapsed() > SHORT.idle, "{kind}: slower than a connection may be idle");
        ending.abort();
        // A window of nothing, and of one byte.
        for window in [0, 1] {
            let (stubborn, ending) = client(&door, &folder, window).await;
            let (got, why) = taken(&door, &stubborn, Taker { size: 8_000, grants: 0, ..slow }).await;
            assert_eq!((got, why), (window as usize, Some(h2::Reason::CANCEL)), "{kind}");
            ending.abort();
        }
    }
}
