//! Every text and number of a document with its place, so that single texts can be exchanged and all else stays byte for byte.

use super::{Keys, RawJson, Reader};
use bytes::Bytes;
use std::borrow::Cow;
use std::ops::Range;

/// What a leaf is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaf {
    /// The key of a member.
    Key,
    /// A string.
    Text,
    /// A number.
    Number,
}

/// A leaf where it stands.
#[derive(Debug)]
pub struct Placed<'a, 't> {
    /// What it is.
    pub leaf: Leaf,
    /// Its content: unescaped for keys and texts, as written for numbers.
    pub text: Cow<'a, str>,
    /// Its bytes in the document, with the quotation marks of a text.
    pub span: Range<usize>,
    /// The keys of the objects around it, from the outside; the key of the leaf itself comes last. Arrays have none.
    pub trail: &'t [Cow<'a, str>],
    /// Counts arrays: two leaves with the same number stand directly in the same array. Zero outside of any.
    pub array: usize,
}

/// An object or array that is open.
enum Open {
    Object { has_key: bool },
    Array(usize),
}

// === impl RawJson ===

impl RawJson {
    /// Shows every leaf in the order of the document. A value that was not read strictly before ends the walk: it is `None`.
    pub fn leaves<'a>(&'a self, mut look: impl FnMut(Placed<'a, '_>)) -> Option<()> {
        let text = std::str::from_utf8(&self.0).ok()?;
        let mut reader = Reader { text, at: 0, depth: usize::MAX, keys: Keys::Known };
        let (mut open, mut trail, mut arrays) = (Vec::<Open>::new(), Vec::<Cow<'a, str>>::new(), 0_usize);
        while let Some(byte) = {
            reader.space();
            reader.peek()
        } {
            let start = reader.at;
            match byte {
                b'{' => {
                    open.push(Open::Object { has_key: false });
                    reader.at += 1;
                }
                b'[' => {
                    arrays += 1;
                    open.push(Open::Array(arrays));
                    reader.at += 1;
                }
                b'}' | b']' => {
                    if let Some(Open::Object { has_key: true }) = open.pop() {
                        trail.pop();
                    }
                    reader.at += 1;
                }
                b',' => {
                    if let Some(Open::Object { has_key }) = open.last_mut()
                        && std::mem::take(has_key)
                    {
                        trail.pop();
                    }
                    reader.at += 1;
                }
                b':' => reader.at += 1,
                b'"' => {
                    let content = reader.string().ok()?;
                    let span = start..reader.at;
                    if let Some(Open::Object { has_key: has_key @ false }) = open.last_mut() {
                        *has_key = true;
                        trail.push(content.clone());
                        look(Placed { leaf: Leaf::Key, text: content, span, trail: &trail, array: 0 });
                    } else {
                        look(Placed { leaf: Leaf::Text, text: content, span, trail: &trail, array: array_of(&open) });
                    }
                }
                b'-' | b'0'..=b'9' => {
                    reader.skip_to(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r'));
                    let span = start..reader.at;
                    let content = Cow::Borrowed(text.get(span.clone())?);
                    look(Placed { leaf: Leaf::Number, text: content, span, trail: &trail, array: array_of(&open) });
                }
                b't' | b'f' | b'n' => reader.skip_to(|byte| !byte.is_ascii_lowercase()),
                _ => return None,
            }
        }
        Some(())
    }

    /// The document with these texts in place of what stands at these spans, which come from [`RawJson::leaves`], in order and
    /// apart. Everything else stays byte for byte.
    #[must_use]
    pub(crate) fn with_texts(&self, texts: &[(Range<usize>, String)]) -> Self {
        let mut out = Vec::with_capacity(self.0.len());
        let mut at = 0;
        for (span, text) in texts {
            out.extend_from_slice(self.0.get(at..span.start).unwrap_or_default());
            super::write::push_string(&mut out, text);
            at = span.end;
        }
        out.extend_from_slice(self.0.get(at..).unwrap_or_default());
        Self(Bytes::from(out))
    }
}

fn array_of(open: &[Open]) -> usize {
    match open.last() {
        Some(Open::Array(number)) => *number,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_are_told_with_their_places_and_exchanged_there() {
        let text = r#" {"a":{"b":["x","y",{"c":1.5e3}],"d\n":true},"e":"z\"", "f":[[ "q" ],null,{}] } "#;
        let json = RawJson::parse(&Bytes::from_static(text.trim().as_bytes()), 9).expect("json");
        let mut seen = Vec::new();
        let mut spans = Vec::new();
        json.leaves(|placed| {
            let trail: Vec<&str> = placed.trail.iter().map(AsRef::as_ref).collect();
            seen.push((placed.leaf, format!("{}={}", trail.join("/"), placed.text), placed.array));
            if placed.leaf == Leaf::Text {
                spans.push((placed.span, format!("<{}>", placed.text)));
            }
        })
        .expect("valid");
        let of = |leaf| seen.iter().filter(|(kind, ..)| *kind == leaf).map(|(_, text, array)| (text.as_str(), *array)).collect::<Vec<_>>();
        assert_eq!(of(Leaf::Text), [("a/b=x", 1), ("a/b=y", 1), ("e=z\"", 0), ("f=q", 3)]);
        assert_eq!(of(Leaf::Number), [("a/b/c=1.5e3", 0)]);
        assert_eq!(of(Leaf::Key).len(), 6);
        let changed = json.with_texts(&spans);
        let strict = RawJson::parse(changed.bytes(), 9).expect("still strict");
        assert_eq!(strict.member("e").and_then(|e| e.as_text().map(Cow::into_owned)).as_deref(), Some("<z\">"));
        assert_eq!(json.with_texts(&[]), json);
    }
}
