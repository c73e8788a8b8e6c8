//! HTTP-03: one request is one request, whatever the framing claims. Each case hides a second request in what could be the
//! first one's body, and sends a harmless third one behind it.

use super::door::{Door, Event, SHORT, statuses};

/// What must happen.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Expect {
    /// One answer from 400 to 499 (or 501, 505), then the connection is closed.
    Refuse,
    /// The request is executed once with one meaning; what follows is executed as it stands, or not at all.
    One,
}
use Expect::{One, Refuse};

/// Framing lines and body; `{H}` is the hidden request, `{N}` the length of the body.
#[rustfmt::skip]
const CASES: &[(Expect, &str, &str)] = &[
    // Two lengths.
    (One, "Content-Length: {N}\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n{H}"),
    (One, "Transfer-Encoding: chunked\r\nContent-Length: {N}\r\n", "0\r\n\r\n{H}"),
    (One, "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n{H}"),
    (One, "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n{H}"),
    (Refuse, "Content-Length: {N}\r\nContent-Length: 0\r\n", "{H}"),
    (Refuse, "Content-Length: 0\r\nContent-Length: {N}\r\n", "{H}"),
    (One, "Content-Length: {N}\r\nContent-Length: {N}\r\n", "{H}"),
    (Refuse, "Content-Length: {N}, {N}\r\n", "{H}"),
    (Refuse, "Content-Length: 0, {N}\r\n", "{H}"),
    (Refuse, "Content-Length: {N}\r\nContent_Length: 0\r\n", "{H}"),
    (Refuse, "Content-Length: {N}\r\nTransfer_Encoding: chunked\r\n", "{H}"),
    // Lengths that are not numbers.
    (Refuse, "Content-Length: +{N}\r\n", "{H}"),
    (Refuse, "Content-Length: -1\r\n", "{H}"),
    (Refuse, "Content-Length: 0x10\r\n", "{H}"),
    (Refuse, "Content-Length: 1e2\r\n", "{H}"),
    (Refuse, "Content-Length: {N}.0\r\n", "{H}"),
    (Refuse, "Content-Length: 1_0\r\n", "{H}"),
    (Refuse, "Content-Length: {N};\r\n", "{H}"),
    (Refuse, "Content-Length: \"{N}\"\r\n", "{H}"),
    (Refuse, "Content-Length: {N} 0\r\n", "{H}"),
    (Refuse, "Content-Length:\r\n", "{H}"),
    (Refuse, "Content-Length: 18446744073709551616\r\n", "{H}"),
    (Refuse, "Content-Length: 18446744073709551615\r\n", "{H}"),
    (Refuse, "Content-Length: \u{663}\r\n", "{H}"),
    (One, "Content-Length: 000{N}\r\n", "{H}"),
    (One, "Content-Length:   {N}  \r\n", "{H}"),
    (One, "Content-Length:\t{N}\t\r\n", "{H}"),
    (One, "cOnTeNt-LeNgTh: {N}\r\n", "{H}"),
    // Names that are not names.
    (Refuse, "Content-Length : {N}\r\n", "{H}"),
    (Refuse, "Content-Length\t: {N}\r\n", "{H}"),
    (Refuse, " Content-Length: {N}\r\n", "{H}"),
    (Refuse, "\tContent-Length: {N}\r\n", "{H}"),
    (Refuse, "X: y\r\n Content-Length: {N}\r\n", "{H}"),
    (Refuse, "Content-Length\0: {N}\r\n", "{H}"),
    (Refuse, "Content Length: {N}\r\n", "{H}"),
    (Refuse, "\u{feff}Content-Length: {N}\r\n", "{H}"),
    (Refuse, ": {N}\r\n", "{H}"),
    (Refuse, "Content-Length\r\n", "{H}"),
    // Transfer codings.
    (Refuse, "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n{H}"),
    (Refuse, "Transfer-Encoding: chunkedx\r\n", "0\r\n\r\n{H}"),
    (Refuse, "Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n{H}"),
    (Refuse, "Transfer-Encoding: identity\r\nContent-Length: {N}\r\n", "{H}"),
    (Refuse, "Transfer-Encoding: identity, chunked\r\n", "0\r\n\r\n{H}"),
    (Refuse, "Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n{H}"),
    (Refuse, "Transfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n{H}"),
    (Refuse, "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n{H}"),
    (Refuse, "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n{H}"),
    (Refuse, "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n{H}"),
    (Refuse, "Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n{H}"),
    (Refuse, "Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n{H}"),
    (Refuse, "Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n{H}"),
    (Refuse, "Transfer-Encoding: chunked,\r\n", "0\r\n\r\n{H}"),
    (Refuse, "Transfer-Encoding:\r\n", "0\r\n\r\n{H}"),
    (Refuse, "Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n{H}"),
    (Refuse, "Transfer-Encoding : chunked\r\n", "0\r\n\r\n{H}"),
    (Refuse, "Transfer-Encoding: chunked\r\n\tX\r\n", "0\r\n\r\n{H}"),
    (Refuse, "X: y\rTransfer-Encoding: chunked\r\n", "0\r\n\r\n{H}"),
    (Refuse, "X: a\0b\r\nContent-Length: {N}\r\n", "{H}"),
    // Chunks.
    (Refuse, "Transfer-Encoding: chunked\r\n", "0x0\r\n\r\n{H}"),
    (Refuse, "Transfer-Encoding: chunked\r\n", "+0\r\n\r\n{H}"),
    (Refuse, "Transfer-Encoding: chunked\r\n", "-0\r\n\r\n{H}"),
    (Refuse, "Transfer-Encoding: chunked\r\n", "_0\r\n\r\n{H}"),
    (Refuse, "Transfer-Encoding: chunked\r\n", "\r\n0\r\n\r\n{H}"),
    (Refuse, "Transfer-Encoding: chunked\r\n", "g\r\n\r\n{H}"),
    (Refuse, "Transfer-Encoding: chunked\r\n", "10000000000000000\r\n\r\n{H}"),
    (Refuse, "Transfer-Encoding: chunked\r\n", "1\r\nZZ\r\n0\r\n\r\n{H}"),
    (Refuse, "Transfer-Encoding: chunked\r\n", "1\r\nZ0\r\n\r\n{H}"),
    (Refuse, "Transfer-Encoding: chunked\r\n", "1\nZ\r\n0\r\n\r\n{H}"),
    (Refuse, "Transfer-Encoding: chunked\r\n", "1\r\nZ\n0\r\n\r\n{H}"),
    (Refuse, "Transfer-Encoding: chunked\r\n", "1;\nZ\r\n0\r\n\r\n{H}"),
    (Refuse, "Transfer-Encoding: chunked\r\n", "1;a=b\nZ\r\n0\r\n\r\n{H}"),
    (Refuse, "Transfer-Encoding: chunked\r\n", "0\n\n{H}"),
    (Refuse, "Transfer-Encoding: chunked\r\n", "0\r\nX\r\n\r\n{H}"),
    (One, "Transfer-Encoding: chunked\r\n", "1;a=\"b\"\r\nZ\r\n0\r\n\r\n"),
    (One, "Transfer-Encoding: chunked\r\n", "001\r\nZ\r\n000\r\n\r\n"),
    (One, "Transfer-Encoding: Chunked\r\n", "1\r\nZ\r\n0\r\n\r\n"),
    (One, "Transfer-Encoding: chunked\r\n", "1\r\nZ\r\n0\r\nHost: evil.test\r\nContent-Length: 9\r\nAuthorization: Bearer x\r\n\r\n"),
    // Expectations, upgrades, options.
    (Refuse, "Expect: 200-ok\r\nContent-Length: {N}\r\n", "{H}"),
    (Refuse, "Expect: 100-continue, x\r\nContent-Length: {N}\r\n", "{H}"),
    (Refuse, "Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: {N}\r\n", "{H}"),
    (Refuse, "Expect : 100-continue\r\nContent-Length: {N}\r\n", "{H}"),
    (Refuse, "Connection: Content-Length\r\nContent-Length: {N}\r\n", "{H}"),
    (Refuse, "Connection: close, Authorization\r\nContent-Length: {N}\r\n", "{H}"),
    (One, "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\nContent-Length: {N}\r\n", "{H}"),
    (One, "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: {N}\r\n", "{H}"),
    (One, "Content-Length: {N}\r\nX: y\r\nx: z\r\n", "{H}"),
];

/// Other request lines for the same trick; the body is the hidden request with its length.
const LINES: &[(Expect, &str)] = &[
    (Refuse, "GET /k/echo/mcp HTTP/1.1"),
    (Refuse, "HEAD /k/echo/mcp HTTP/1.1"),
    (Refuse, "OPTIONS /k/echo/mcp HTTP/1.1"),
    (Refuse, "DELETE /k/echo/mcp HTTP/1.1"),
    (Refuse, "TRACE /k/echo/mcp HTTP/1.1"),
    (Refuse, "GET /healthz HTTP/1.1"),
    (Refuse, "CONNECT 127.0.0.1:1 HTTP/1.1"),
    (Refuse, "POST  /k/echo/mcp HTTP/1.1"),
    (Refuse, "POST /k/echo/mcp  HTTP/1.1"),
    (Refuse, "POST\t/k/echo/mcp HTTP/1.1"),
    (Refuse, " POST /k/echo/mcp HTTP/1.1"),
    (Refuse, "POST /k/echo/mcp HTTP/1.1 "),
    (Refuse, "POST /k/echo/mcp HTTP/1.1\r"),
    (Refuse, "POST /k/echo/mcp HTTP/1.2"),
    (Refuse, "POST /k/echo/mcp http/1.1"),
    (Refuse, "POST /k/echo/mcp HTTP/2.0"),
    (Refuse, "POST /k/echo/mcp"),
    (Refuse, "POST /k/echo/mcp\0 HTTP/1.1"),
    (Refuse, "POST http://evil.test/k/echo/mcp HTTP/1.1"),
    (Refuse, "POST k/echo/mcp HTTP/1.1"),
    (Refuse, "POST * HTTP/1.1"),
];

#[tokio::test]
async fn http_03_no_case_smuggles_a_second_request() {
    let mut door = Door::with(|settings| settings.patience = SHORT).await;
    let host = door.host();
    let hidden = format!("POST /k/smuggled/mcp HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n");
    assert!(CASES.len() + LINES.len() >= 100);
    for (expect, lines, body) in CASES {
        let body = body.replace("{H}", &hidden);
        let lines = lines.replace("{N}", &body.len().to_string());
        case(&mut door, *expect, &format!("POST /k/echo/mcp HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n{body}")).await;
    }
    for (expect, line) in LINES {
        let length = hidden.len();
        case(&mut door, *expect, &format!("{line}\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{hidden}")).await;
    }
    // HTTP/1.0 knows no chunks.
    let old = format!("POST /k/echo/mcp HTTP/1.0\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}");
    case(&mut door, Refuse, &old).await;
}

async fn case(door: &mut Door, expect: Expect, attack: &str) {
    let follower = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", door.host());
    let answers = door.raw(format!("{attack}{follower}").as_bytes()).await;
    let got: Vec<u16> = statuses(&answers);
    let mut ran = 0;
    for event in door.seen() {
        if let Event::Ran(server, _, body, _) = event {
            assert_ne!(server, "smuggled", "{attack:?} gave {answers:?}");
            // A body that broke off is no execution: the corridor refuses it.
            ran += usize::from(body.is_ok());
        }
    }
    match expect {
        Refuse => {
            assert!(matches!(got.as_slice(), [400..=499 | 501 | 505]), "{attack:?} gave {answers:?}");
            assert_eq!(ran, 0, "{attack:?} was executed");
        }
        One => {
            assert!(matches!(got.as_slice(), [200] | [200, 200]), "{attack:?} gave {answers:?}");
            assert_eq!(ran, 1, "{attack:?}");
            assert!(got.len() == 1 || answers.ends_with("ok"), "{attack:?} gave {answers:?}");
        }
    }
}
