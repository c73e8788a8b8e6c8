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
}
