//! The end of what one stream said: a text may come in parts, and no part shows what it is.

use std::fmt;
use zeroize::Zeroizing;

/// The last texts of a stream. Wiped when dropped, never shown.
#[derive(Default)]
pub struct Tail(Zeroizing<String>);

/// As much as the longest key in use takes in PEM, twice.
const LONGEST: usize = 8 << 10;

impl Tail {
    /// True while nothing was said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Adds a text behind the others; the oldest go.
    pub(super) fn push(&mut self, text: &str) {
        let add = text.get(text.ceil_char_boundary(text.len().saturating_sub(LONGEST))..).unwrap_or_default();
        let surplus = (self.0.len() + add.len()).saturating_sub(LONGEST);
        // Into a text of its own: growing would leave copies behind.
        let mut next = Zeroizing::new(String::with_capacity(LONGEST + 8));
        next.push_str(self.0.get(self.0.ceil_char_boundary(surplus)..).unwrap_or_default());
        next.push_str(add);
        self.0 = next;
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tail({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_the_end_and_bounded() {
        let mut tail = Tail::default();
        tail.push("one ");
        tail.push("two");
        assert_eq!(tail.text(), "one two");
        tail.push(&"é".repeat(LONGEST));
        assert!(tail.text().len() <= LONGEST && tail.text().ends_with('é'));
        tail.push("end");
        assert!(tail.text().len() <= LONGEST && tail.text().ends_with("éend"));
        assert!(!format!("{tail:?}").contains("end"));
    }
}
