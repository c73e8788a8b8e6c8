//! One form for equal content: keys in the order of RFC 8785, strings escaped minimally, numbers as they were written.
//!
//! RFC 8785 would round numbers to doubles first, so that two different big integers shared one digest. Here every digit
//! counts; `1` and `1.0` are different texts and get different digests, which only ever refuses too much.

use super::RawJson;
use super::write::push_string;

impl RawJson {
    /// Appends the canonical form.
    pub fn canonical(&self, out: &mut Vec<u8>) {
        match self.0.first() {
            Some(b'{') => {
                let mut members = self.members().unwrap_or_default();
                members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
                out.push(b'{');
                for (at, (key, value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    push_string(out, key);
                    out.push(b':');
                    value.canonical(out);
                }
                out.push(b'}');
            }
            Some(b'[') => {
                out.push(b'[');
                for (at, value) in self.elements().unwrap_or_default().iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    value.canonical(out);
                }
                out.push(b']');
            }
            Some(b'"') => push_string(out, &self.as_text().unwrap_or_default()),
            _ => out.extend_from_slice(&self.0),
        }
    }

    /// SHA-256 of the canonical form.
    #[must_use]
    pub fn canonical_digest(&self) -> [u8; 32] {
        let mut text = Vec::with_capacity(self.0.len());
        self.canonical(&mut text);
        crate::secret::sha256(&text)
    }
}
