//! Answers that no honest server gives, byte by byte. Owns the bytes; who is answered so is decided in `serve`.

use std::io;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::quirk::Answer;

/// A megabyte.
const MEGABYTE: usize = 1024 * 1024;
/// Size of the result that is too large.
const HUGE: usize = 100 * MEGABYTE;
/// Notifications, fields or hints of an answer that sends too many.
const MANY: usize = 10_000;
/// Between two bytes of the slow answer.
const DRIP: Duration = Duration::from_secs(1);

/// Writes one answer to the request with `id`. The connection is of no use afterwards.
///
/// # Errors
/// When the client closes the connection, which is what it should do.
pub async fn write(answer: Answer, id: &Value, out: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    let good = json!({ "jsonrpc": "2.0", "id": id, "result": { "content": [{ "type": "text", "text": "ok" }] } }).to_string();
    match answer {
        Answer::WrongId => json_body(out, &json!({ "jsonrpc": "2.0", "id": 987_654_321, "result": { "content": [] } }).to_string()).await,
        Answer::TextId => json_body(out, &json!({ "jsonrpc": "2.0", "id": id.to_string(), "result": { "content": [] } }).to_string()).await,
        Answer::Twice => events(out, &[&good, &good.replace("\"ok\"", "\"second\"")]).await,
        Answer::Html => body(out, "Content-Type: text/html\r\n", b"<html><script>alert(1)</script></html>").await,
        Answer::PlainText => body(out, "Content-Type: text/plain\r\n", good.as_bytes()).await,
        Answer::Gzip => body(out, "Content-Type: application/json\r\nContent-Encoding: gzip\r\n", &gzip(good.as_bytes())).await,
        Answer::NoNewline => endless(out, b"data: ", &vec![b'x'; 64 * 1024]).await,
        Answer::BadUtf8 => body(out, "Content-Type: application/json\r\n", &bad_utf8(&good)).await,
        Answer::HugeError => {
            let error = json!({ "code": -32000, "message": "e".repeat(MEGABYTE) });
            json_body(out, &json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string()).await
        }
        Answer::LargeResult => json_body(out, &large(id)).await,
        Answer::LargeEvent => events(out, &[&large(id)]).await,
        Answer::HugeResult => huge(id, out).await,
        Answer::Crash => {
            let half: Vec<u8> = good.bytes().take(good.len() / 2).collect();
            out.write_all(
                format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", good.len()).as_bytes(),
            )
            .await?;
            out.write_all(&half).await
        }
        Answer::Slow => drip(&good, out).await,
        Answer::Never => std::future::pending().await,
        Answer::Flood => {
            let note =
                json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": "flood" } }).to_string();
            let mut all: Vec<&str> = vec![note.as_str(); MANY];
            all.push(&good);
            events(out, &all).await
        }
        Answer::InjectedFields => {
            let text = "one\nevent: endpoint\nid: 7\nretry: 1\ndata: two";
            let injected = json!({ "jsonrpc": "2.0", "id": id, "result": { "content": [{ "type": "text", "text": text }] } });
            let wire = format!("event: endpoint\nid: evil\nretry: 1\n: comment\ndata: {injected}\n\n");
            body(out, "Content-Type: text/event-stream\r\n", wire.as_bytes()).await
        }
        Answer::UnknownType => json_body(out, &good.replace("\"content\"", "\"resultType\":\"surprise\",\"content\"")).await,
        Answer::DuplicateKeys => {
            json_body(out, &good.replace("\"content\"", "\"content\":[{\"type\":\"text\",\"text\":\"first\"}],\"content\"")).await
        }
        Answer::Batch => json_body(out, &format!("[{good}]")).await,
        other => framing(other, &good, out).await,
    }
}

/// Answers that are wrong below JSON.
async fn framing(answer: Answer, good: &str, out: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    let chunked = format!("{:x}\r\n{good}\r\n0\r\n", good.len());
    let kind = "Content-Type: application/json\r\n";
    let length = format!("Content-Length: {}\r\n", good.len());
    let wire = match answer {
        Answer::TwoFramings => format!("HTTP/1.1 200 OK\r\n{kind}{length}Transfer-Encoding: chunked\r\n\r\n{chunked}\r\n"),
        Answer::TwoLengths => format!("HTTP/1.1 200 OK\r\n{kind}{length}Content-Length: 3\r\n\r\n{good}"),
        Answer::TwoStatuses => format!("HTTP/1.1 200 OK\r\nHTTP/1.1 403 Forbidden\r\n{kind}{length}\r\n{good}"),
        Answer::HostileFields => format!(
            "HTTP/1.1 200 OK\r\n{kind}{length}Set-Cookie: session=evil; Path=/\r\nStrict-Transport-Security: max-age=0\r\n\
             Clear-Site-Data: \"*\"\r\nLocation: http://evil.test/\r\nAccess-Control-Allow-Origin: *\r\nLink: <http://evil.test>; rel=preload\r\n\
             Alt-Svc: h3=\"evil.test:443\"\r\nMcp-Session-Id: evil-session\r\nServer: evil\r\nX-Evil: yes\r\n\r\n{good}"
        ),
        Answer::NulField => format!("HTTP/1.1 200 OK\r\n{kind}{length}X-Evil: a\0b\r\n\r\n{good}"),
        Answer::ManyFields => {
            let fields: String = (0..MANY).map(|index| format!("X-Field-{index}: value\r\n")).collect();
            format!("HTTP/1.1 200 OK\r\n{kind}{length}{fields}\r\n{good}")
        }
        Answer::Switching => "HTTP/1.1 101 Switching Protocols\r\nUpgrade: evil\r\nConnection: upgrade\r\n\r\n".to_owned(),
        Answer::EarlyHints => {
            let hints = "HTTP/1.1 103 Early Hints\r\nLink: </evil>; rel=preload\r\n\r\n".repeat(MANY);
            format!("{hints}HTTP/1.1 200 OK\r\n{kind}{length}\r\n{good}")
        }
        Answer::Trailers => format!(
            "HTTP/1.1 200 OK\r\n{kind}Transfer-Encoding: chunked\r\nTrailer: Set-Cookie, Authorization\r\n\r\n{chunked}\
             Set-Cookie: session=evil\r\nAuthorization: Bearer evil\r\n\r\n"
        ),
        // Every other answer is written above.
        _ => String::new(),
    };
    out.write_all(wire.as_bytes()).await
}

async fn json_body(out: &mut (impl AsyncWrite + Unpin), text: &str) -> io::Result<()> {
    body(out, "Content-Type: application/json\r\n", text.as_bytes()).await
}

async fn body(out: &mut (impl AsyncWrite + Unpin), fields: &str, bytes: &[u8]) -> io::Result<()> {
    out.write_all(format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n", bytes.len()).as_bytes()).await?;
    out.write_all(bytes).await
}

async fn events(out: &mut (impl AsyncWrite + Unpin), messages: &[&str]) -> io::Result<()> {
    out.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n").await?;
    for message in messages {
        out.write_all(format!("data: {message}\n\n").as_bytes()).await?;
    }
    Ok(())
}

async fn endless(out: &mut (impl AsyncWrite + Unpin), first: &[u8], more: &[u8]) -> io::Result<()> {
    out.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n").await?;
    out.write_all(first).await?;
    loop {
        out.write_all(more).await?;
        tokio::task::yield_now().await;
    }
}

fn large(id: &Value) -> String {
    let result = json!({ "content": [{ "type": "text", "text": "a long tale ".repeat(75_000) }], "resultType": "complete" });
    json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string()
}

async fn huge(id: &Value, out: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    let (before, after) = (format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"type":"text","text":""#), "\"}]}}");
    let length = before.len() + HUGE + after.len();
    out.write_all(format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{before}").as_bytes())
        .await?;
    let piece = vec![b'a'; MEGABYTE];
    for _ in 0..HUGE / MEGABYTE {
        out.write_all(&piece).await?;
    }
    out.write_all(after.as_bytes()).await
}

async fn drip(good: &str, out: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
    out.write_all(format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", good.len()).as_bytes())
        .await?;
    for byte in good.bytes() {
        out.write_all(&[byte]).await?;
        out.flush().await?;
        tokio::time::sleep(DRIP).await;
    }
    Ok(())
}

fn bad_utf8(good: &str) -> Vec<u8> {
    let mut bytes = good.as_bytes().to_vec();
    if let Some(at) = crate::wire::find(&bytes, b"ok")
        && let Some(byte) = bytes.get_mut(at)
    {
        *byte = 0xff;
    }
    bytes
}

/// RFC 1952 with one stored block (RFC 1951 section 3.2.4): valid, and not smaller.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    let bytes: Vec<u8> = bytes.iter().take(usize::from(length)).copied().collect();
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend(&bytes);
    out.extend(crc32(&bytes).to_le_bytes());
    out.extend(u32::from(length).to_le_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checksum_is_the_one_of_the_standard() {
        assert_eq!(super::crc32(b"123456789"), 0xcbf4_3926);
    }
}
