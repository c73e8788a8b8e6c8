//! Strict JSON: one meaning for every parser, or an error (I4; RPC-01 to RPC-03).
//!
//! A text that passes has no duplicate keys at any level (compared after unescaping), no NUL in a key, no lone surrogates,
//! bounded depth and exactly one document (RFC 8259). Its bytes can therefore be embedded verbatim: every common parser sees
//! the same structure, keys and strings. Numbers keep their text; parsers that read doubles round them beyond 2^53.

mod canonical;
pub mod leaves;
pub mod write;

use bytes::Bytes;
use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

/// A JSON value that passed the strict reader. Cheap to clone: parts share the bytes of the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawJson(Bytes);

/// Why a text is not acceptable JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not UTF-8 (RFC 8259 section 8.1).
    #[error("not UTF-8")]
    NotUtf8,
    /// Not one JSON document; also a byte order mark or anything after the document.
    #[error("not JSON at byte {0}")]
    Syntax(usize),
    /// The same key twice in one object.
    #[error("duplicate key at byte {0}")]
    DuplicateKey(usize),
    /// A `\u` escape that is half of a surrogate pair.
    #[error("lone surrogate at byte {0}")]
    LoneSurrogate(usize),
    /// A key with a NUL in it: parsers in C may cut it there.
    #[error("NUL in the key at byte {0}")]
    NulInKey(usize),
    /// Nested deeper than the limit.
    #[error("nested too deep")]
    TooDeep,
}

/// Receives the members of one object while it is read.
type Members<'a, 'f> = &'f mut dyn FnMut(Cow<'a, str>, Range<usize>);

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    keys: Keys,
}

/// Whether the keys of an object were compared before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    /// A text from outside.
    Compare,
    /// A [`RawJson`]: this reader has passed it, or it was written from such parts.
    Known,
    /// Keys that [`alike`] takes for one count as one.
    Folded,
}

/// The reader calls itself for each level: no configuration may exhaust the stack.
const DEPTH_CEILING: usize = 512;
/// Up to this many keys are compared one by one; more go through a hash set.
const FEW_KEYS: usize = 16;

/// Whether a parser that folds case takes one key for the other.
#[must_use]
pub fn alike(one: &str, other: &str) -> bool {
    if one.is_ascii() && other.is_ascii() {
        return one.eq_ignore_ascii_case(other);
    }
    one.chars().map(folded).eq(other.chars().map(folded))
}

/// Case folding as the most lenient parsers do it: not of ASCII alone, so the long s is an s and the Kelvin sign a k.
fn folded(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    let upper = only(c.to_uppercase()).unwrap_or(c);
    only(upper.to_lowercase()).unwrap_or(upper)
}

/// The one character of a mapping; `None` where it takes several, as no folding of single characters does.
fn only(mut mapped: impl Iterator<Item = char>) -> Option<char> {
    mapped.next().filter(|_| mapped.next().is_none())
}

// === impl RawJson ===

impl RawJson {
    /// Reads one document strictly. `depth` is the number of nested arrays and objects allowed, at most 512.
    ///
    /// # Errors
    /// [`Fault`], with the byte position where there is one.
    pub fn parse(bytes: &Bytes, depth: usize) -> Result<Self, Fault> {
        let text = std::str::from_utf8(bytes).map_err(|_| Fault::NotUtf8)?;
        let mut reader = Reader { text, at: 0, depth: depth.min(DEPTH_CEILING), keys: Keys::Compare };
        let span = reader.value()?;
        reader.space();
        if reader.at == text.len() { Ok(Self(bytes.slice(span))) } else { Err(Fault::Syntax(reader.at)) }
    }

    /// The text as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The members of an array in their order; `None` for any other value.
    #[must_use]
    pub fn elements(&self) -> Option<Vec<Self>> {
        let text = std::str::from_utf8(&self.0).ok()?;
        let mut found = Vec::new();
        let mut reader = Reader { text, at: 0, depth: usize::MAX, keys: Keys::Known };
        reader.array(&mut |span| found.push(Self(self.0.slice(span)))).ok()?;
        Some(found)
    }

    /// The content of a string, unescaped; `None` for any other value.
    #[must_use]
    pub fn as_text(&self) -> Option<Cow<'_, str>> {
        let text = std::str::from_utf8(&self.0).ok()?;
        Reader { text, at: 0, depth: 1, keys: Keys::Known }.string().ok()
    }

    /// An integer written without fraction or exponent that fits `i64`; `None` for any other value.
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        std::str::from_utf8(&self.0).ok()?.parse().ok().filter(|_| !self.0.starts_with(b"+"))
    }

    /// True for an object.
    #[must_use]
    pub fn is_object(&self) -> bool {
        self.0.first() == Some(&b'{')
    }

    /// True for `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.0.as_ref() == b"null"
    }

    /// True when an object at any level has two keys that are [`alike`]: parsers that fold case take one for the other.
    #[must_use]
    pub fn has_keys_alike(&self) -> bool {
        let text = std::str::from_utf8(&self.0);
        text.map_or(true, |text| Reader { text, at: 0, depth: usize::MAX, keys: Keys::Folded }.value().is_err())
    }

    /// The text as shared bytes.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The value for readers that do not decide anything, such as a tool's schema. Numbers become doubles.
    ///
    /// # Errors
    /// Only numbers beyond the range of a double.
    pub fn to_value(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::from_slice(&self.0)
    }

    /// The members of an object in their order, unescaped keys first; `None` for any other value.
    #[must_use]
    pub fn members(&self) -> Option<Vec<(String, Self)>> {
        let text = std::str::from_utf8(&self.0).ok()?;
        let mut found = Vec::new();
        let mut reader = Reader { text, at: 0, depth: usize::MAX, keys: Keys::Known };
        reader.object(&mut |key, span| found.push((key.into_owned(), Self(self.0.slice(span))))).ok()?;
        Some(found)
    }

    /// What `look` finds first in the texts of this value, keys among them, each unescaped and in the order of the document.
    pub fn find_text<T>(&self, look: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = std::str::from_utf8(&self.0).ok()?;
        let mut reader = Reader { text, at: 0, depth: 1, keys: Keys::Known };
        // Outside of texts a valid document has no other quotation marks than those that begin one.
        while let Some(next) = text.as_bytes().get(reader.at..).and_then(|rest| memchr::memchr(b'"', rest)) {
            reader.at += next;
            let found = look(&reader.string().ok()?);
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// The member of an object with exactly this key.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<Self> {
        let text = std::str::from_utf8(&self.0).ok()?;
        let mut found = None;
        let mut reader = Reader { text, at: 0, depth: usize::MAX, keys: Keys::Known };
        reader
            .object(&mut |key, span| {
                if found.is_none() && key == name {
                    found = Some(span);
                }
            })
            .ok()?;
        found.map(|span| Self(self.0.slice(span)))
    }
}

// === impl Reader ===

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Result<(), Fault> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(Fault::Syntax(self.at))
        }
    }

    /// Reads one value and gives its place, without the white space around it.
    fn value(&mut self) -> Result<Range<usize>, Fault> {
        self.space();
        let start = self.at;
        match self.peek() {
            // Passed before: only its end is of interest.
            _ if self.keys == Keys::Known => self.skip(),
            Some(b'{') => self.object(&mut |_, _| {})?,
            Some(b'[') => self.array(&mut |_| {})?,
            Some(b'"') => drop(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.word("true")?,
            Some(b'f') => self.word("false")?,
            Some(b'n') => self.word("null")?,
            _ => return Err(Fault::Syntax(self.at)),
        }
        Ok(start..self.at)
    }

    /// Goes behind a value that was passed before.
    fn skip(&mut self) {
        let mut open = 0_usize;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => self.skip_string(),
                b'{' | b'[' => (self.at, open) = (self.at + 1, open + 1),
                b'}' | b']' => (self.at, open) = (self.at + 1, open.saturating_sub(1)),
                _ if open == 0 => self.skip_to(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r')),
                _ => self.skip_to(|byte| matches!(byte, b'"' | b'{' | b'[' | b'}' | b']')),
            }
            if open == 0 {
                return;
            }
        }
    }

    fn skip_string(&mut self) {
        self.at += 1;
        loop {
            self.skip_to(|byte| matches!(byte, b'"' | b'\\'));
            match self.peek() {
                // Whatever is escaped ends no string; `\u` is followed by digits.
                Some(b'\\') => self.at += 2,
                Some(_) => break self.at += 1,
                None => break,
            }
        }
    }

    fn skip_to(&mut self, is_wanted: impl Fn(u8) -> bool) {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at += rest.iter().position(|byte| is_wanted(*byte)).unwrap_or(rest.len());
    }

    fn deeper(&mut self) -> Result<(), Fault> {
        self.depth = self.depth.checked_sub(1).ok_or(Fault::TooDeep)?;
        Ok(())
    }

    fn object(&mut self, member: Members<'a, '_>) -> Result<(), Fault> {
        self.take(b'{')?;
        self.deeper()?;
        let (mut few, mut many): (Vec<Cow<'a, str>>, HashSet<Cow<'a, str>>) = (Vec::new(), HashSet::new());
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            self.depth += 1;
            return Ok(());
        }
        loop {
            self.space();
            let place = self.at;
            let key = self.string()?;
            if self.keys != Keys::Known {
                if key.contains('\0') {
                    return Err(Fault::NulInKey(place));
                }
                if !self.is_fresh(key.clone(), &mut few, &mut many) {
                    return Err(Fault::DuplicateKey(place));
                }
            }
            self.space();
            self.take(b':')?;
            let span = self.value()?;
            member(key, span);
            self.space();
            if self.peek() == Some(b',') {
                self.at += 1;
                continue;
            }
            self.take(b'}')?;
            self.depth += 1;
            return Ok(());
        }
    }

    /// Whether an object has no such key yet, which it then has.
    fn is_fresh(&self, key: Cow<'a, str>, few: &mut Vec<Cow<'a, str>>, many: &mut HashSet<Cow<'a, str>>) -> bool {
        let is_folding = self.keys == Keys::Folded;
        if few.iter().any(|known| if is_folding { alike(known, &key) } else { *known == key }) {
            return false;
        }
        if few.len() < FEW_KEYS {
            few.push(key);
            return true;
        }
        many.insert(if is_folding { Cow::Owned(key.chars().map(folded).collect()) } else { key })
    }

    fn array(&mut self, element: &mut dyn FnMut(Range<usize>)) -> Result<(), Fault> {
        self.take(b'[')?;
        self.deeper()?;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            self.depth += 1;
            return Ok(());
        }
        loop {
            let span = self.value()?;
            element(span);
            self.space();
            if self.peek() == Some(b',') {
                self.at += 1;
                continue;
            }
            self.take(b']')?;
            self.depth += 1;
            return Ok(());
        }
    }

    /// A string, unescaped; borrowed where it holds no escape.
    fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.take(b'"')?;
        let mut whole = String::new();
        let mut start = self.at;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            self.at += rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len());
            match self.peek() {
                Some(b'"') => {
                    let tail = self.text.get(start..self.at).ok_or(Fault::Syntax(self.at))?;
                    self.at += 1;
                    if whole.is_empty() {
                        return Ok(Cow::Borrowed(tail));
                    }
                    whole.push_str(tail);
                    return Ok(Cow::Owned(whole));
                }
                Some(b'\\') => {
                    whole.push_str(self.text.get(start..self.at).ok_or(Fault::Syntax(self.at))?);
                    let escaped = self.escape()?;
                    whole.push(escaped);
                    start = self.at;
                }
                _ => return Err(Fault::Syntax(self.at)),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let place = self.at;
        self.take(b'\\')?;
        let byte = self.peek().ok_or(Fault::Syntax(self.at))?;
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.hex()?;
                match first {
                    0xd800..=0xdbff => {
                        self.take(b'\\').and_then(|()| self.take(b'u')).map_err(|_| Fault::LoneSurrogate(place))?;
                        let second = self.hex()?;
                        let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400).ok_or(Fault::LoneSurrogate(place))?;
                        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + low).ok_or(Fault::LoneSurrogate(place))?
                    }
                    other => char::from_u32(other).ok_or(Fault::LoneSurrogate(place))?,
                }
            }
            _ => return Err(Fault::Syntax(place)),
        })
    }

    fn hex(&mut self) -> Result<u32, Fault> {
        let digits = self.text.get(self.at..self.at + 4).ok_or(Fault::Syntax(self.at))?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Fault::Syntax(self.at));
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).map_err(|_| Fault::Syntax(self.at))
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(Fault::Syntax(self.at)) } else { Ok(()) }
    }

    fn number(&mut self) -> Result<(), Fault> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn word(&mut self, word: &str) -> Result<(), Fault> {
        if self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            self.at += word.len();
            Ok(())
        } else {
            Err(Fault::Syntax(self.at))
        }
    }
}

#[cfg(test)]
mod tests;
