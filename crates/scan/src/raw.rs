//! Text as a file has it. Any of it may be a secret, so it can be looked at by rules and never printed: no `Display`, and
//! `Debug` tells the length only. Must not know reports; `crates/scan/tests/it/house.rs` holds the reports to that.

use doorward_core::secret::sha256;
use std::fmt;
use zeroize::Zeroizing;

/// A text from a file, wiped when dropped.
#[derive(Clone)]
pub(crate) struct Raw(Zeroizing<String>);

// === impl Raw ===

impl Raw {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text, for rules alone: what they say about it goes through [`crate::secrets::redact`].
    pub(crate) fn peek(&self) -> &str {
        &self.0
    }

    /// To compare two secrets without keeping either.
    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        sha256(self.0.as_bytes())
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Raw({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Raw::new("hunter2")), "Raw(7 bytes)");
    }
}
