//! Strict JSON: one meaning for every parser, or an error.

use bytes::Bytes;

/// A JSON value that passed the strict reader: it can be embedded verbatim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawJson(Bytes);

impl RawJson {
    /// The text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
