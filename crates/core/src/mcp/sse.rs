//! Server-sent events: read with every buffer bounded, and framed again; a field line is never passed on raw (RPC-08).
//!
//! WHATWG HTML, "Server-sent events", 9.2.6. Only complete events are given; what stands before an end of stream is dropped.

use crate::json::RawJson;
use bytes::Bytes;
use std::time::Duration;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// The last event id, if this event set one.
    pub id: Option<String>,
    /// The data, lines joined with a newline.
    pub data: String,
    /// Reconnection time in milliseconds, if this event set one.
    pub retry: Option<u64>,
}

/// Reads a stream piece by piece.
#[derive(Debug)]
pub struct Reader {
    line: Vec<u8>,
    event: Event,
    has_data: bool,
    size: usize,
    limit: usize,
    after_cr: bool,
    first: bool,
}

/// Why a stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadStream {
    /// One event is larger than the limit.
    #[error("an event is larger than the limit")]
    TooLarge,
    /// A line is not UTF-8.
    #[error("a line is not UTF-8")]
    NotUtf8,
}

/// What a reader keeps of its buffer between two lines, in bytes.
const KEPT: usize = 16 * 1024;

// === impl Reader ===

impl Reader {
    /// A reader that holds at most `limit` bytes of one event.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { line: Vec::new(), event: Event::default(), has_data: false, size: 0, limit, after_cr: false, first: true }
    }

    /// Forgets what was begun: a new connection follows.
    pub fn restart(&mut self) {
        *self = Self::new(self.limit);
    }

    /// Bytes of the event that has begun and is not complete.
    #[must_use]
    pub const fn begun(&self) -> usize {
        self.size
    }

    /// Takes the next piece and appends the events that it completes to `events`.
    ///
    /// # Errors
    /// [`BadStream`]; the reader is of no use afterwards.
    pub fn push(&mut self, piece: &[u8], events: &mut Vec<Event>) -> Result<(), BadStream> {
        let mut rest = piece;
        if !piece.is_empty() && std::mem::take(&mut self.after_cr) {
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (head, tail) = rest.split_at(end);
            self.grow(head)?;
            let cr = tail.first() == Some(&b'\r');
            rest = tail.get(if cr && tail.get(1) == Some(&b'\n') { 2 } else { 1 }..).unwrap_or_default();
            self.after_cr = cr && tail.len() == 1;
            self.end_line(events)?;
        }
        self.grow(rest)
    }

    fn grow(&mut self, bytes: &[u8]) -> Result<(), BadStream> {
        self.size = self.size.saturating_add(bytes.len());
        if self.size > self.limit {
            return Err(BadStream::TooLarge);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self, events: &mut Vec<Event>) -> Result<(), BadStream> {
        let line = std::mem::take(&mut self.line);
        let text = std::str::from_utf8(&line).map_err(|_| BadStream::NotUtf8)?;
        let text = if std::mem::take(&mut self.first) { text.strip_prefix('\u{feff}').unwrap_or(text) } else { text };
        if text.is_empty() {
            let event = std::mem::take(&mut self.event);
            self.size = 0;
            // An event without data is not dispatched; its id and retry still count for resumption.
            if std::mem::take(&mut self.has_data) || event.id.is_some() || event.retry.is_some() {
                events.push(event);
            }
            return Ok(());
        }
        let (field, value) = text.split_once(':').unwrap_or((text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.has_data = true;
                self.event.data.push_str(value);
            }
            "id" if !value.contains('\0') => self.event.id = Some(value.to_owned()),
            "retry" if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) => self.event.retry = value.parse().ok(),
            _ => {}
        }
        // Used again unless it is large: a stream is open for hours, and one long line is no reason to hold as much for the next.
        if self.line.capacity() == 0 && line.capacity() <= KEPT {
            self.line = line;
            self.line.clear();
        }
        Ok(())
    }
}

/// One message as an event. `data` is JSON on one line: the strict reader lets no raw newline into a string, but white space
/// between tokens may hold one, so each line gets a field of its own.
#[must_use]
pub fn frame(id: Option<&str>, data: &RawJson) -> Bytes {
    let mut out = Vec::with_capacity(data.as_bytes().len() + 64);
    if let Some(id) = id {
        out.extend_from_slice(b"id: ");
        out.extend_from_slice(id.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"event: message\n");
    for line in data.as_bytes().split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.is_empty()) {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.push(b'\n');
    Bytes::from(out)
}

/// The event that lets a client resume a stream from its beginning: an id, empty data, and when to come back
/// (2025-11-25, basic/transports).
#[must_use]
pub fn priming(id: &str, retry: Option<Duration>) -> Bytes {
    let retry = retry.map(|span| format!("retry: {}\n", span.as_millis())).unwrap_or_default();
    Bytes::from(format!("id: {id}\n{retry}data:\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(pieces: &[&[u8]]) -> Result<Vec<Event>, BadStream> {
        let mut reader = Reader::new(1000);
        let mut events = Vec::new();
        for piece in pieces {
            reader.push(piece, &mut events)?;
        }
        Ok(events)
    }

    #[test]
    fn events_are_read_whatever_the_line_ends_and_pieces() {
        let text = "\u{feff}: hello\r\nevent: message\r\nid: 7\rdata: {\"a\":\ndata:1}\n\nretry: 500\ndata\n\n";
        let whole = read(&[text.as_bytes()]).expect("valid");
        assert_eq!(whole[0], Event { id: Some("7".into()), data: "{\"a\":\n1}".into(), retry: None });
        assert_eq!(whole[1], Event { id: None, data: String::new(), retry: Some(500) });
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(read(&bytes).expect("valid"), whole);
    }

    #[test]
    fn a_newline_that_came_alone_ends_one_line_only() {
        let whole = read(&[b"data: x\r\n\n"]).expect("valid");
        assert_eq!(whole.len(), 1);
        assert_eq!(read(&[b"data: x\r", b"\n", b"\n"]).expect("valid"), whole);
        assert_eq!(read(&[b"data: x\r", b"", b"\n", b"\n"]).expect("valid"), whole);
    }

    #[test]
    fn rpc_08_an_event_without_end_is_cut() {
        assert_eq!(read(&[&[b'x'; 2000]]), Err(BadStream::TooLarge));
        let lines = "data: 0123456789\n".repeat(200);
        assert_eq!(read(&[lines.as_bytes()]), Err(BadStream::TooLarge));
        assert_eq!(read(&[b"data: \xff\n"]), Err(BadStream::NotUtf8));
        let many = "data: 0123456789\n\n".repeat(200);
        assert_eq!(read(&[many.as_bytes()]).expect("each is small").len(), 200);
    }

    #[test]
    fn rpc_08_newlines_in_data_never_become_fields() {
        let data = RawJson::parse(&Bytes::from_static(b"{\n\"a\":\r\n \"id: 1\\n\\ndata: x\"}"), 8).expect("valid");
        let framed = frame(Some("s-1"), &data);
        let events = read(&[&framed]).expect("valid");
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].id.as_deref(), Some("s-1"));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&events[0].data).expect("json"), data.to_value().expect("json"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_cutting_changes_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..300), cut in 0_usize..300) {
            let cut = cut.min(bytes.len());
            prop_assert_eq!(read(&[&bytes]), read(&[&bytes[..cut], &bytes[cut..]]));
        }
    }
}
