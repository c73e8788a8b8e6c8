//! HTTP/1.1 as bytes, for peers that must see or send exactly what is on the wire. Owns the reading of a request head and the walk over a body.
//! It is no HTTP library: it accepts what a test client sends and keeps every byte of it.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Longest request head that is read.
const HEAD: usize = 1024 * 1024;
/// Bytes asked from the socket at once.
const CHUNK: usize = 16 * 1024;

/// A request head, byte by byte as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// All bytes up to and with the empty line.
    pub raw: Vec<u8>,
    /// The method.
    pub method: String,
    /// The target, undecoded.
    pub target: String,
    /// Header fields in order, names in their own case, values trimmed.
    pub fields: Vec<(String, String)>,
}

impl Head {
    /// The first value of a field; names compare without case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// How the body is framed.
    #[must_use]
    pub fn framing(&self) -> Framing {
        if self.field("transfer-encoding").is_some_and(|value| value.to_ascii_lowercase().contains("chunked")) {
            return Framing::Chunked;
        }
        match self.field("content-length").and_then(|value| value.parse().ok()) {
            None | Some(0) => Framing::None,
            Some(length) => Framing::Length(length),
        }
    }
}

/// How a body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// This many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// A connection with the bytes that were read too far.
#[derive(Debug)]
pub struct Reader<R> {
    inner: R,
    ahead: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// Reads from `inner`.
    pub fn new(inner: R) -> Self {
        Self { inner, ahead: Vec::new() }
    }

    /// The next request head; `None` at the end of the connection.
    ///
    /// # Errors
    /// When the connection breaks, or the head is longer than 1 MiB.
    pub async fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if let Some(end) = find(&self.ahead, b"\r\n\r\n") {
                let raw: Vec<u8> = self.ahead.drain(..end + 4).collect();
                return Ok(Some(parse(raw)));
            }
            if self.ahead.len() > HEAD {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "request head too long"));
            }
            if self.more().await? == 0 {
                return Ok(None);
            }
        }
    }

    /// The next piece of a body, raw (chunk framing included); `None` when the body is complete.
    ///
    /// # Errors
    /// When the connection breaks or ends inside the body.
    pub async fn piece(&mut self, walk: &mut Walk) -> io::Result<Option<Vec<u8>>> {
        loop {
            if walk.done() {
                return Ok(None);
            }
            if !self.ahead.is_empty() {
                let taken = walk.take(&self.ahead);
                if taken > 0 {
                    return Ok(Some(self.ahead.drain(..taken).collect()));
                }
            }
            if self.more().await? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "connection ended inside a body"));
            }
        }
    }

    /// Waits until the peer closes its side; bytes that come meanwhile are kept for the next head.
    pub async fn closed(&mut self) {
        while matches!(self.more().await, Ok(read) if read > 0 && self.ahead.len() <= HEAD) {}
    }

    async fn more(&mut self) -> io::Result<usize> {
        let mut buffer = vec![0_u8; CHUNK];
        let read = self.inner.read(&mut buffer).await?;
        buffer.truncate(read);
        self.ahead.append(&mut buffer);
        Ok(read)
    }
}

/// Where in a body the reader is.
#[derive(Debug)]
pub struct Walk {
    stage: Stage,
    payload: Vec<u8>,
}

#[derive(Debug)]
enum Stage {
    Data(u64),
    Size,
    Chunk(u64),
    ChunkEnd,
    Trailers,
    Done,
}

impl Walk {
    /// At the start of a body.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        let stage = match framing {
            Framing::None => Stage::Done,
            Framing::Length(length) => Stage::Data(length),
            Framing::Chunked => Stage::Size,
        };
        Self { stage, payload: Vec::new() }
    }

    /// What the body carried so far, without chunk framing.
    #[must_use]
    pub fn payload(self) -> Vec<u8> {
        self.payload
    }

    fn done(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// How many bytes of `ahead` belong to the body at this stage; 0 when more is needed.
    fn take(&mut self, ahead: &[u8]) -> usize {
        match self.stage {
            Stage::Done => 0,
            Stage::Data(left) => {
                let taken = self.carry(ahead, left);
                let left = left - taken as u64;
                self.stage = if left == 0 { Stage::Done } else { Stage::Data(left) };
                taken
            }
            Stage::Chunk(left) => {
                let taken = self.carry(ahead, left);
                let left = left - taken as u64;
                self.stage = if left == 0 { Stage::ChunkEnd } else { Stage::Chunk(left) };
                taken
            }
            Stage::ChunkEnd => {
                if ahead.len() < 2 {
                    return 0;
                }
                self.stage = Stage::Size;
                2
            }
            Stage::Size => self.line(ahead, |line| {
                let digits: String = line.chars().take_while(char::is_ascii_hexdigit).collect();
                match u64::from_str_radix(&digits, 16) {
                    Ok(0) | Err(_) => Stage::Trailers,
                    Ok(size) => Stage::Chunk(size),
                }
            }),
            Stage::Trailers => self.line(ahead, |line| if line.is_empty() { Stage::Done } else { Stage::Trailers }),
        }
    }

    fn carry(&mut self, ahead: &[u8], left: u64) -> usize {
        let taken = ahead.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.payload.extend(ahead.iter().take(taken));
        taken
    }

    fn line(&mut self, ahead: &[u8], next: impl FnOnce(&str) -> Stage) -> usize {
        let Some(end) = find(ahead, b"\r\n") else { return 0 };
        let line: Vec<u8> = ahead.iter().take(end).copied().collect();
        self.stage = next(&String::from_utf8_lossy(&line));
        end + 2
    }
}

fn parse(raw: Vec<u8>) -> Head {
    let text = String::from_utf8_lossy(&raw).into_owned();
    let mut lines = text.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ');
    let method = first.next().unwrap_or_default().to_owned();
    let target = first.next().unwrap_or_default().to_owned();
    let fields = lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
    Head { raw, method, target, fields }
}

/// The offset of the first `needle` in `hay`.
#[must_use]
pub fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::{Framing, Reader, Walk};

    #[tokio::test]
    async fn requests_are_read_byte_for_byte_however_they_are_cut() {
        let wire = b"POST /mcp?x HTTP/1.1\r\nhOST: a\r\nX-Two:  b \r\nTransfer-Encoding: chunked\r\n\r\n3;ext\r\nabc\r\n0\r\nTrail: x\r\n\r\nGET / HTTP/1.1\r\n\r\n";
        let mut cut = tokio_test_reader(wire, 5);
        let head = cut.head().await.unwrap().unwrap();
        assert_eq!((head.method.as_str(), head.target.as_str(), head.framing()), ("POST", "/mcp?x", Framing::Chunked));
        assert_eq!(head.fields.first().unwrap(), &("hOST".to_owned(), "a".to_owned()));
        let mut walk = Walk::new(head.framing());
        let mut raw = head.raw.clone();
        while let Some(piece) = cut.piece(&mut walk).await.unwrap() {
            raw.extend(piece);
        }
        assert_eq!(walk.payload(), b"abc");
        assert_eq!(cut.head().await.unwrap().unwrap().method, "GET");
        assert!(wire.starts_with(&raw));
        assert!(cut.head().await.unwrap().is_none());
    }

    fn tokio_test_reader(wire: &'static [u8], step: usize) -> Reader<impl tokio::io::AsyncRead + Unpin> {
        let (mut writer, reader) = tokio::io::duplex(step);
        tokio::spawn(async move {
            tokio::io::AsyncWriteExt::write_all(&mut writer, wire).await.unwrap();
        });
        Reader::new(reader)
    }
}
