//! HTTP-07: who is slow loses the connection, and nobody else waits.

use super::door::{Door, Event, Folder, SHORT, statuses};
use doorward_gateway::listen::BadBody;
use doorward_gateway::listen::tls::Oldest;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// Sends a byte of `text` every 20 ms until the listener closes; returns what it said.
async fn trickle(stream: TcpStream, text: &str) -> String {
    drip(stream, text, Duration::from_millis(20)).await
}

async fn drip(mut stream: TcpStream, text: &str, pause: Duration) -> String {
    let mut ticks = tokio::time::interval(pause);
    let (mut bytes, mut got, mut piece) = (text.bytes().cycle(), Vec::new(), [0; 1024]);
    loop {
        tokio::select! {
            read = stream.read(&mut piece) => match read {
                Ok(n @ 1..) => got.extend_from_slice(&piece[..n]),
                _ => return String::from_utf8_lossy(&got).into_owned(),
            },
            _ = ticks.tick() => if stream.write_all(&[bytes.next().expect("cycle")]).await.is_err() {
                return String::from_utf8_lossy(&got).into_owned();
            },
        }
    }
}

#[tokio::test]
async fn http_07_slow_headers_bodies_and_silent_clients_are_cut_off() {
    let mut door = Door::with(|settings| settings.patience = SHORT).await;
    let host = door.host();
    let within = |work| timeout(Duration::from_secs(5), work);

    // 200 slow heads at a time, and one honest client in between.
    let mut slow = Vec::new();
    for _ in 0..200 {
        slow.push(tokio::spawn(trickle(door.dial().await, "GET /healthz HTTP/1.1\r\nX-Slow: abcdefghijklmnopqrstuvwxyz")));
    }
    let begun = Instant::now();
    assert_eq!(statuses(&door.ask("GET", "/healthz", &format!("Host: {host}\r\n")).await), [200]);
    assert!(begun.elapsed() < Duration::from_secs(2));
    for one in slow {
        let answer = timeout(Duration::from_secs(5), one).await.expect("cut off").expect("join");
        assert!(matches!(statuses(&answer).as_slice(), [] | [408]), "{answer}");
    }

    // A silent client, and one that is silent after a request.
    let mut silent = door.dial().await;
    assert_eq!(within(silent.read_u8()).await.expect("cut off").map_err(|error| error.kind()), Err(std::io::ErrorKind::UnexpectedEof));
    let mut later = door.dial().await;
    later.write_all(format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).await.expect("write");
    let mut answer = String::new();
    timeout(Duration::from_secs(5), later.read_to_string(&mut answer)).await.expect("cut off").expect("read");
    assert_eq!(statuses(&answer), [200]);

    // The head of a second request has the time of a head, not that of an idle connection.
    let mut second = door.dial().await;
    second.write_all(format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\nG").as_bytes()).await.expect("write");
    timeout(Duration::from_secs(5), second.read_to_end(&mut Vec::new())).await.expect("cut off").expect("read");

    // A body that does not come.
    let mut body = door.dial().await;
    body.write_all(format!("POST /k/echo/mcp HTTP/1.1\r\nHost: {host}\r\nContent-Length: 10\r\n\r\nabc").as_bytes()).await.expect("write");
    let Event::Ran(_, _, Err(BadBody::Broken), _) = door.event().await else { panic!("a body out of nothing") };
    let mut answer = String::new();
    timeout(Duration::from_secs(5), body.read_to_string(&mut answer)).await.expect("cut off").expect("read");
    assert_eq!(statuses(&answer), [408]);
}

#[tokio::test]
async fn http_07_a_reader_that_never_reads_loses_its_stream_only() {
    let mut door = Door::with(|settings| settings.patience = SHORT).await;
    let host = door.host();
    let mut never = door.dial().await;
    never.write_all(format!("POST /k/events/mcp HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n").as_bytes()).await.expect("write");
    assert!(matches!(door.event().await, Event::Ran(..)));
    assert_eq!(statuses(&door.ask("GET", "/healthz", &format!("Host: {host}\r\n")).await), [200]);
    assert!(matches!(door.event().await, Event::StreamEnded));
}

#[tokio::test]
async fn http_07_a_slow_reader_has_the_time_that_it_needs() {
    const ALL: usize = 4 * 1024 * 1024;
    let door = Door::with(|settings| settings.patience = SHORT).await;
    let host = door.host();
    let socket = tokio::net::TcpSocket::new_v4().expect("socket");
    // What the system takes for it is little, so most of it waits in the gateway.
    socket.set_recv_buffer_size(64 * 1024).expect("buffer");
    let mut slow = socket.connect(door.address).await.expect("connect");
    let head = format!("POST /k/echo/mcp HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {ALL}\r\n\r\n");
    slow.write_all(head.as_bytes()).await.expect("write");
    slow.write_all(&vec![b'x'; ALL]).await.expect("write");
    let (begun, mut got, mut piece) = (Instant::now(), 0, vec![0; 64 * 1024]);
    let mut ticks = tokio::time::interval(Duration::from_millis(40));
    loop {
        ticks.tick().await;
        match slow.read(&mut piece).await.expect("read") {
            0 => break,
            n => got += n,
        }
    }
    assert!(begun.elapsed() > SHORT.idle * 2, "slower than a connection may be idle: {:?}", begun.elapsed());
    assert!(got > ALL, "all of it: {got}");
}

#[tokio::test]
async fn http_07_a_stalled_handshake_and_a_slow_preface_are_cut_off() {
    let folder = Folder::new("handshake");
    let door = Door::secured(&folder, Oldest::V1_2, |settings| settings.patience = SHORT).await;
    let mut stalled = door.dial().await;
    stalled.write_all(&[0x16, 0x03, 0x01]).await.expect("write");
    timeout(Duration::from_secs(5), stalled.read_to_end(&mut Vec::new())).await.expect("cut off").expect("read");

    for first in [
        &b""[..],
        b"PRI * HT",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x10\x01\0\0\0\0\x01\x82",
    ] {
        let mut stream = super::tls::connect(&door, &folder, &[b"h2"], &[&rustls::version::TLS13]).await.expect("handshake");
        stream.write_all(first).await.expect("write");
        stream.flush().await.expect("flush");
        let mut rest = Vec::new();
        let _ended = timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await.expect("cut off");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_07_a_thousand_slow_clients_hold_up_nobody_and_leave_nothing() {
    let door = Door::with(|settings| settings.patience = SHORT).await;
    let host = door.host();
    let healthy = async |count: usize| {
        let mut took = Vec::new();
        for _ in 0..count {
            let begun = Instant::now();
            assert_eq!(statuses(&door.ask("GET", "/healthz", &format!("Host: {host}\r\n")).await), [200]);
            took.push(begun.elapsed());
        }
        took.sort();
        (took[took.len() / 2], took[took.len() - 1])
    };
    let (quiet, _) = healthy(50).await;
    let kinds = [
        "GET /healthz HTTP/1.1\r\nX-Slow: abcdefghijklmnopqrstuvwxyz".to_owned(),
        format!("POST /k/echo/mcp HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100000\r\n\r\n"),
        format!("POST /k/events/mcp HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"),
        String::new(),
    ];
    let mut slow = tokio::task::JoinSet::new();
    for n in 0..1_000 {
        let (text, mut stream) = (kinds[n % 4].clone(), door.dial().await);
        slow.spawn(async move {
            match n % 4 {
                0 => drop(drip(stream, &text, Duration::from_millis(100)).await),
                // The head at once, then the body byte by byte.
                1 => {
                    stream.write_all(text.as_bytes()).await.ok();
                    drip(stream, "x", Duration::from_millis(100)).await;
                }
                // Never reads what it asked for; ends when the other side resets it.
                2 => {
                    stream.write_all(text.as_bytes()).await.ok();
                    stream.ready(tokio::io::Interest::ERROR).await.ok();
                }
                _ => drop(stream.read_u8().await),
            }
        });
    }
    let (middle, worst) = healthy(100).await;
    assert!(worst < Duration::from_secs(2), "the longest of a healthy client: {worst:?}");
    assert!(middle < quiet * 20 + Duration::from_millis(50), "the middle one: {middle:?} after {quiet:?}");
    let all_gone = async {
        // What never reads may never hear of its end; the listener is rid of it all the same.
        while !door.metrics.text().contains("doorward_connections_open 0\n") {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), all_gone).await.expect("every seat is given back");
    slow.shutdown().await;
    healthy(10).await;
}
