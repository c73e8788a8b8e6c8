//! A loopback forwarder that adds one header field to every request, for clients that cannot send one themselves.
//! It owns no HTTP semantics: request bytes pass as they are but for the added line, response bytes pass as they are, an abort passes as an abort.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

use crate::wire::{Head, Reader, Walk};

/// Forwards connections until the task is dropped. `field` is one header line without its end, for example `Authorization: Bearer ...`.
///
/// # Errors
/// When the listener breaks. A broken connection ends by itself.
pub async fn run(listener: TcpListener, target: String, field: String) -> io::Result<()> {
    loop {
        let (client, _) = listener.accept().await?;
        let (target, field) = (target.clone(), field.clone());
        tokio::spawn(async move {
            // One broken connection concerns its client alone.
            let _ended = connection(client, &target, &field).await;
        });
    }
}

async fn connection(client: TcpStream, target: &str, field: &str) -> io::Result<()> {
    client.set_nodelay(true)?;
    carry(client, target, |head| {
        let end = head.raw.len().saturating_sub(2);
        [head.raw.get(..end).unwrap_or_default(), field.as_bytes(), b"\r\n\r\n"].concat()
    })
    .await
}

/// Carries one connection to `target`; every request head is replaced by what `rewrite` makes of it, all other bytes pass as they are.
///
/// # Errors
/// When either side breaks.
pub async fn carry<S>(client: S, target: &str, rewrite: impl Fn(&Head) -> Vec<u8>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (client_read, mut client_write) = tokio::io::split(client);
    let mut requests = Reader::new(client_read);
    // Connected only when there is a request: an idle probe must not reach the target.
    let Some(first) = requests.head().await? else { return Ok(()) };
    let upstream = match TcpStream::connect(target).await {
        Ok(upstream) => upstream,
        Err(error) => {
            client_write.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await?;
            return Err(error);
        }
    };
    upstream.set_nodelay(true)?;
    let (mut upstream_read, mut upstream_write) = upstream.into_split();
    let up = async {
        let mut next = Some(first);
        while let Some(head) = next {
            upstream_write.write_all(&rewrite(&head)).await?;
            let mut walk = Walk::new(head.framing());
            while let Some(piece) = requests.piece(&mut walk).await? {
                upstream_write.write_all(&piece).await?;
            }
            next = requests.head().await?;
        }
        io::Result::Ok(())
    };
    let down = async {
        copy(&mut upstream_read, &mut client_write).await?;
        client_write.shutdown().await
    };
    // Whichever side ends first ends both: that is what carries an abort.
    tokio::select! {
        ended = up => ended,
        ended = down => ended,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use crate::wire::Reader;

    #[tokio::test]
    async fn every_request_gets_the_field_and_keeps_its_bytes_and_an_abort_reaches_the_target() {
        let target = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = door.local_addr().unwrap();
        let forwarder = tokio::spawn(super::run(door, target.local_addr().unwrap().to_string(), "Authorization: Bearer t".to_owned()));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET /a HTTP/1.1\r\nhOsT: x\r\n\r\nPOST /b HTTP/1.1\r\nContent-Length: 4\r\n\r\nGET ").await.unwrap();
        let (upstream, _) = target.accept().await.unwrap();
        let (read, mut write) = upstream.into_split();
        let mut seen = Reader::new(read);
        let first = seen.head().await.unwrap().unwrap();
        assert_eq!(first.raw, b"GET /a HTTP/1.1\r\nhOsT: x\r\nAuthorization: Bearer t\r\n\r\n");
        let second = seen.head().await.unwrap().unwrap();
        assert_eq!(second.field("authorization"), Some("Bearer t"));
        write.write_all(b"partial").await.unwrap();
        let mut answer = [0_u8; 7];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"partial");
        drop(client);
        let mut walk = crate::wire::Walk::new(second.framing());
        assert_eq!(seen.piece(&mut walk).await.unwrap().unwrap(), b"GET ");
        assert!(seen.head().await.unwrap().is_none(), "the abort must arrive");
        forwarder.abort();
    }
}
