//! Lines out of bytes: one message is one line of UTF-8 (specification 2025-11-25 and 2026-07-28, transports, stdio).
//!
//! Pure. A carriage return inside or at the end of a line stays: to JSON it is white space, to everybody else data.

use bytes::{Bytes, BytesMut};

/// Cuts a stream into lines. After an error it yields nothing more.
#[derive(Debug)]
pub struct Lines {
    buffer: BytesMut,
    searched: usize,
    cap: usize,
    bad: Option<BadLine>,
}

/// The stream is not lines of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadLine {
    /// More bytes than the cap without a line break.
    #[error("a line is longer than the cap")]
    TooLong,
    /// Not UTF-8.
    #[error("a line is not UTF-8")]
    NotText,
}

impl Lines {
    /// Nothing read yet; a line may have `cap` bytes without its line break.
    #[must_use]
    pub fn new(cap: usize) -> Self {
        Self { buffer: BytesMut::new(), searched: 0, cap, bad: None }
    }

    /// Where the next bytes of the stream are to be put.
    pub fn space(&mut self) -> &mut BytesMut {
        if self.buffer.capacity() - self.buffer.len() < 4096 {
            self.buffer.reserve(16 * 1024);
        }
        &mut self.buffer
    }

    /// The next complete line without its line break, or `None` if more bytes are needed.
    ///
    /// # Errors
    /// [`BadLine`]: the stream cannot be followed any further.
    pub fn next_line(&mut self) -> Result<Option<Bytes>, BadLine> {
        match self.bad {
            None => self.cut().inspect_err(|bad| self.bad = Some(*bad)),
            Some(bad) => Err(bad),
        }
    }

    fn cut(&mut self) -> Result<Option<Bytes>, BadLine> {
        let found = self.buffer.iter().skip(self.searched).position(|b| *b == b'\n').map(|at| self.searched + at);
        let Some(end) = found else {
            self.searched = self.buffer.len();
            return if self.buffer.len() > self.cap { Err(BadLine::TooLong) } else { Ok(None) };
        };
        if end > self.cap {
            return Err(BadLine::TooLong);
        }
        let mut line = self.buffer.split_to(end + 1);
        line.truncate(end);
        self.searched = 0;
        if std::str::from_utf8(&line).is_err() {
            return Err(BadLine::NotText);
        }
        Ok(Some(line.freeze()))
    }
}

/// The same JSON without anything that some reader takes for the end of a line: not only LF, also CR (readers with
/// "universal newlines"), NEL, and the line and paragraph separators of Unicode. Otherwise the parts of one message are
/// several messages to such a reader, and the middle one is whatever its writer liked.
///
/// Of valid JSON only: there, CR and LF are white space between tokens, and the others stand inside of strings.
#[must_use]
pub fn one_line(message: Bytes) -> Bytes {
    if !message.iter().any(|byte| matches!(byte, b'\n' | b'\r' | 0xc2 | 0xe2)) {
        return message;
    }
    let mut line = Vec::with_capacity(message.len().saturating_add(16));
    let mut rest = message.as_ref();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        match (first, after) {
            (b'\n' | b'\r', _) => line.push(b' '),
            (0xc2, [0x85, after @ ..]) => {
                line.extend_from_slice(b"\\u0085");
                rest = after;
            }
            (0xe2, [0x80, last @ (0xa8 | 0xa9), after @ ..]) => {
                line.extend_from_slice(if *last == 0xa8 { b"\\u2028" } else { b"\\u2029" });
                rest = after;
            }
            _ => line.push(first),
        }
    }
    line.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(cap: usize, chunks: &[&[u8]]) -> Result<Vec<String>, BadLine> {
        let mut lines = Lines::new(cap);
        let mut out = Vec::new();
        for chunk in chunks {
            lines.space().extend_from_slice(chunk);
            while let Some(line) = lines.next_line()? {
                out.push(String::from_utf8(line.to_vec()).expect("text"));
            }
        }
        Ok(out)
    }

    #[test]
    fn lines_are_found_wherever_the_reads_were_cut() {
        let text = "a\n\nb\u{e9}c\r\nd\re\nrest".as_bytes();
        let want = vec!["a", "", "b\u{e9}c\r", "d\re"];
        for size in 1..=text.len() {
            let chunks: Vec<&[u8]> = text.chunks(size).collect();
            assert_eq!(all(8, &chunks).expect("lines"), want, "{size}");
        }
    }

    #[test]
    fn the_cap_counts_the_line_without_its_break() {
        assert_eq!(all(3, &[b"abc\n"]).expect("fits"), vec!["abc"]);
        assert_eq!(all(3, &[b"abcd\n"]), Err(BadLine::TooLong));
        assert_eq!(all(3, &[b"abcd"]), Err(BadLine::TooLong), "known before the break comes");
    }

    #[test]
    fn other_encodings_are_refused() {
        assert_eq!(all(9, &[b"\xff\n"]), Err(BadLine::NotText));
        assert_eq!(all(9, &[b"\xed\xa0\x80\n"]), Err(BadLine::NotText), "surrogates");
    }

    #[test]
    fn nothing_comes_after_a_bad_line() {
        for (bytes, bad) in [(b"\xff\nmore\n".as_slice(), BadLine::NotText), (b"abcdefghij\nmore\n", BadLine::TooLong)] {
            let mut lines = Lines::new(9);
            lines.space().extend_from_slice(bytes);
            for _ in 0..3 {
                assert_eq!(lines.next_line(), Err(bad));
            }
        }
    }

    #[test]
    fn std_02_one_message_is_one_line_to_every_reader() {
        let smuggled = "{\"a\":\r{\"b\":\"x\u{2028}y\u{2029}z\u{85}\u{e9}\u{20ac}\"}\r\n}";
        let line = one_line(Bytes::from(smuggled));
        let text = std::str::from_utf8(&line).expect("text");
        assert_eq!(text, "{\"a\": {\"b\":\"x\\u2028y\\u2029z\\u0085\u{e9}\u{20ac}\"}  }");
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        assert_eq!(value(text), value(smuggled), "the same to a parser");
    }
}
