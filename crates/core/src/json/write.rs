//! Writes JSON again from what was read: parts stay byte for byte, new parts are escaped.

use super::RawJson;
use bytes::Bytes;

/// Builds one object. A key is written at most once if the caller gives it once: keys are not compared here.
#[derive(Debug)]
pub struct ObjectWriter {
    text: Vec<u8>,
}

// === impl ObjectWriter ===

impl ObjectWriter {
    /// An empty object with room for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let mut text = Vec::with_capacity(capacity.max(16));
        text.push(b'{');
        Self { text }
    }

    /// A member whose value was read strictly.
    pub fn raw(&mut self, key: &str, value: &RawJson) -> &mut Self {
        self.verbatim(key, value.as_bytes())
    }

    /// A string member.
    pub fn text(&mut self, key: &str, value: &str) -> &mut Self {
        self.key(key);
        push_string(&mut self.text, value);
        self
    }

    /// A member with an integer value.
    pub fn integer(&mut self, key: &str, value: i64) -> &mut Self {
        self.verbatim(key, value.to_string().as_bytes())
    }

    /// A member with `true` or `false`.
    pub fn flag(&mut self, key: &str, value: Flag) -> &mut Self {
        self.verbatim(key, if value == Flag::True { b"true".as_slice() } else { b"false".as_slice() })
    }

    /// True while nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.len() == 1
    }

    /// The finished object.
    #[must_use]
    pub fn finish(mut self) -> RawJson {
        self.text.push(b'}');
        RawJson(Bytes::from(self.text))
    }

    /// A member whose value is JSON text that was read or written strictly before.
    pub(crate) fn verbatim(&mut self, key: &str, value: &[u8]) -> &mut Self {
        self.key(key);
        self.text.extend_from_slice(value);
        self
    }

    fn key(&mut self, key: &str) {
        if self.text.len() > 1 {
            self.text.push(b',');
        }
        push_string(&mut self.text, key);
        self.text.push(b':');
    }
}

/// A JSON truth value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// `true`
    True,
    /// `false`
    False,
}

// === impl RawJson ===

impl RawJson {
    /// A JSON string.
    #[must_use]
    pub fn string(text: &str) -> Self {
        let mut out = Vec::with_capacity(text.len() + 2);
        push_string(&mut out, text);
        Self(Bytes::from(out))
    }

    /// An integer.
    #[must_use]
    pub fn integer(value: i64) -> Self {
        Self(Bytes::from(value.to_string()))
    }

    /// The empty object.
    #[must_use]
    pub const fn empty_object() -> Self {
        Self(Bytes::from_static(b"{}"))
    }

    /// An array of values.
    #[must_use]
    pub fn array<'a>(values: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut out = vec![b'['];
        for value in values {
            if out.len() > 1 {
                out.push(b',');
            }
            out.extend_from_slice(value.as_bytes());
        }
        out.push(b']');
        Self(Bytes::from(out))
    }

    /// A value of our own making.
    #[must_use]
    pub fn of(value: &serde_json::Value) -> Self {
        Self(Bytes::from(value.to_string()))
    }

    /// This object with each member kept, replaced or left out as `change` says, and `added` at its end.
    /// Any other value comes back unchanged.
    #[must_use]
    pub fn edited(&self, mut change: impl FnMut(&str, &Self) -> Edit, added: &[(&str, Self)]) -> Self {
        let Some(members) = self.members() else { return self.clone() };
        let mut out = ObjectWriter::with_capacity(self.0.len() + 64);
        for (key, value) in &members {
            match change(key, value) {
                Edit::Keep => out.raw(key, value),
                Edit::Replace(new) => out.raw(key, &new),
                Edit::Drop => &mut out,
            };
        }
        for (key, value) in added {
            out.raw(key, value);
        }
        out.finish()
    }
}

/// What becomes of a member.
#[derive(Debug, Clone)]
pub enum Edit {
    /// It stays as it is.
    Keep,
    /// Another value takes its place.
    Replace(RawJson),
    /// It is left out.
    Drop,
}

/// A string with the escapes that RFC 8259 section 7 demands and no others.
pub(super) fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(plain) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)) {
        let (head, tail) = rest.split_at_checked(plain).unwrap_or_default();
        out.extend_from_slice(head);
        let Some((byte, tail)) = tail.split_first() else { break };
        rest = tail;
        match *byte {
            b'"' => out.extend_from_slice(br#"\""#),
            b'\\' => out.extend_from_slice(br"\\"),
            0x08 => out.extend_from_slice(br"\b"),
            0x0c => out.extend_from_slice(br"\f"),
            b'\n' => out.extend_from_slice(br"\n"),
            b'\r' => out.extend_from_slice(br"\r"),
            b'\t' => out.extend_from_slice(br"\t"),
            other => out.extend_from_slice(format!("\\u{other:04x}").as_bytes()),
        }
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}
