//! The end of what one stream said: a text may come in parts, and no part shows what it is.

use super::search::Searcher;
use super::views;
use std::fmt;
use zeroize::Zeroizing;

/// The last texts of a stream. Wiped when dropped, never shown.
#[derive(Default)]
pub struct Tail {
    text: Zeroizing<String>,
    /// Something in it may reach far into what comes next, or be read in another way: all of it is looked at again with each part.
    is_suspect: bool,
}

/// As much as the longest key in use takes in PEM, twice.
const LONGEST: usize = 8 << 10;

impl Tail {
    /// True while nothing was said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// From where on it matters for what comes next. Of ten thousand parts each would else be looked for in everything before it.
    pub(super) fn near(&self, searcher: &Searcher) -> usize {
        if self.is_suspect { 0 } else { views::begin_of_end(&self.text, searcher.reach()) }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Adds a text behind the others; the oldest go.
    pub(super) fn push(&mut self, text: &str, searcher: &Searcher) {
        let near = self.near(searcher);
        let add = text.get(text.ceil_char_boundary(text.len().saturating_sub(LONGEST))..).unwrap_or_default();
        let surplus = self.text.ceil_char_boundary((self.text.len() + add.len()).saturating_sub(LONGEST));
        // Into a text of its own: growing would leave copies behind.
        let mut next = Zeroizing::new(String::with_capacity(LONGEST + 8));
        next.push_str(self.text.get(surplus..).unwrap_or_default());
        next.push_str(add);
        // What is suspect may have gone with the oldest.
        let from = if self.is_suspect { 0 } else { near.saturating_sub(surplus) };
        self.is_suspect = next.get(from..).is_none_or(|end| searcher.is_suspect(end));
        self.text = next;
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tail({} bytes)", self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_the_end_and_bounded() {
        let searcher = Searcher::new().expect("the rules of this program");
        let mut tail = Tail::default();
        tail.push("one ", &searcher);
        tail.push("two", &searcher);
        assert_eq!(tail.text(), "one two");
        tail.push(&"é".repeat(LONGEST), &searcher);
        assert!(tail.text().len() <= LONGEST && tail.text().ends_with('é'));
        tail.push("end", &searcher);
        assert!(tail.text().len() <= LONGEST && tail.text().ends_with("éend"));
        assert!(!format!("{tail:?}").contains("end"));
    }

    #[test]
    fn only_the_end_of_plain_text_matters_for_what_comes_next() {
        let searcher = Searcher::new().expect("the rules of this program");
        let plain = "one of many lines of a log\n".repeat(100);
        let near = |text: &str| {
            let mut tail = Tail::default();
            tail.push(text, &searcher);
            (tail.near(&searcher), tail.text.len())
        };
        let (from, len) = near(&plain);
        assert!(from > 0 && len - from <= searcher.reach() + 64, "{from} of {len}");
        // A run of letters or digits matters from its beginning on, with what stands in front of it.
        let run = format!("{plain}<{}", "Zm9v".repeat(300));
        assert_eq!(near(&run).0, plain.len());
        let number = format!("{plain}:{}", "4 1 1 1 ".repeat(150));
        assert_eq!(near(&number).0, plain.len());
        for suspect in ["-----BEGIN PRIVATE KEY-----", "a\\u0041", "%41", "\u{200b}", "\u{1b}[0m", "AKIA"] {
            assert_eq!(near(&format!("{suspect} {plain}")).0, 0, "{suspect}");
        }
        // What is gone is suspect no more.
        let mut tail = Tail::default();
        tail.push("AKIA", &searcher);
        tail.push(&plain.repeat(4), &searcher);
        assert!(tail.near(&searcher) > 0);
    }
}
