//! stdio: lines in, lines out, both bounded. Human text goes to stderr and nowhere else.

use bytes::Bytes;
use doorward_core::json::RawJson;
use doorward_gateway::tasks::Tasks;
use std::io::{self, Write as _};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::{mpsc, oneshot, watch};

/// Longest line of a client, in bytes.
const LONGEST: usize = 16 << 20;
/// Messages that wait for the client to read.
const WAITING: usize = 64;

/// Lines of the client.
#[derive(Debug)]
pub(super) struct Lines<R> {
    input: BufReader<R>,
    limit: usize,
}

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Without its end.
    Whole(Bytes),
    /// Longer than the limit; it was passed over.
    TooLong,
}

/// Messages for the client; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Out {
    queue: mpsc::Sender<Piece>,
}

#[derive(Debug)]
enum Piece {
    Message(RawJson),
    Flushed(oneshot::Sender<()>),
}

// === impl Lines ===

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input: BufReader::with_capacity(64 * 1024, input), limit: LONGEST }
    }

    /// The next line; `None` at the end. A last line without its end counts.
    pub(super) async fn next(&mut self) -> io::Result<Option<Line>> {
        let mut line = Vec::new();
        let mut too_long = false;
        loop {
            let piece = self.input.fill_buf().await?;
            if piece.is_empty() {
                return Ok(match (too_long, line.is_empty()) {
                    (true, _) => Some(Line::TooLong),
                    (false, true) => None,
                    (false, false) => Some(Line::Whole(Bytes::from(line))),
                });
            }
            let end = piece.iter().position(|byte| *byte == b'\n');
            let part = piece.get(..end.unwrap_or(piece.len())).unwrap_or_default();
            too_long |= line.len() + part.len() > self.limit;
            if too_long {
                line = Vec::new();
            } else {
                line.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_some() {
                return Ok(Some(if too_long { Line::TooLong } else { Line::Whole(Bytes::from(line)) }));
            }
        }
    }
}

/// Starts the one writer; the watch turns true once nobody reads any more.
pub(super) fn writer<W: AsyncWrite + Unpin + Send + 'static>(mut output: W, tasks: &Tasks) -> (Out, watch::Receiver<bool>) {
    let (queue, mut pieces) = mpsc::channel(WAITING);
    let (tell, gone) = watch::channel(false);
    tasks.spawn(async move {
        while let Some(piece) = pieces.recv().await {
            match piece {
                Piece::Message(message) => {
                    if output.write_all(&line(&message)).await.is_err() || output.flush().await.is_err() {
                        break;
                    }
                }
                Piece::Flushed(told) => drop(told.send(())),
            }
        }
        tell.send_replace(true);
    });
    (Out { queue }, gone)
}

/// A message as one line: outside of strings JSON needs no line breaks, and inside it has none.
fn line(message: &RawJson) -> Vec<u8> {
    let mut line: Vec<u8> = message.as_bytes().iter().copied().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect();
    line.push(b'\n');
    line
}

// === impl Out ===

impl Out {
    /// Waits while the client does not read. A client that is gone is noticed by the main loop.
    pub(super) async fn send(&self, message: &RawJson) {
        drop(self.queue.send(Piece::Message(message.clone())).await);
    }

    /// Until everything sent so far is written.
    pub(super) async fn written(&self) {
        let (tell, told) = oneshot::channel();
        if self.queue.send(Piece::Flushed(tell)).await.is_ok() {
            drop(told.await);
        }
    }

    /// A word for people. A closed stderr is no reason to stop.
    #[expect(clippy::unused_self, reason = "beside the other way out")]
    pub(super) fn note(&self, text: &str) {
        drop(writeln!(io::stderr().lock(), "doorward bridge: {}", crate::console::inert(text)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(input: &[u8], limit: usize) -> Vec<Line> {
        let mut lines = Lines { limit, ..Lines::new(input) };
        let mut found = Vec::new();
        while let Some(line) = lines.next().await.expect("memory") {
            found.push(line);
        }
        found
    }

    #[tokio::test]
    async fn rpc_08_a_line_without_end_takes_no_memory() {
        let long = [vec![b'x'; 200_000], b"\n{}\n".to_vec()].concat();
        assert_eq!(read(&long, 1000).await, [Line::TooLong, Line::Whole(Bytes::from_static(b"{}"))]);
        assert_eq!(read(&[b'x'; 200_000], 1000).await, [Line::TooLong]);
        assert_eq!(read(b"{}\n\n[]", 10).await.len(), 3);
        assert_eq!(read(b"", 10).await, []);
    }

    #[test]
    fn a_message_is_one_line() {
        let json = RawJson::parse(&Bytes::from_static(b"{\n \"a\": \"x\\ny\"\r\n}"), 8).expect("valid");
        assert_eq!(line(&json), b"{ \"a\": \"x\\ny\"}\n");
    }
}
