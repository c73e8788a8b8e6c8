//! Name patterns: `*` stands for any run of characters, everything else for itself. No other wildcard exists.

use std::fmt;

/// A compiled pattern. Case counts.
#[derive(Clone, PartialEq, Eq)]
pub struct Glob {
    text: String,
}

/// A pattern is longer than this never: it would not be a name.
const MAX_GLOB: usize = 128;

impl Glob {
    /// 1 to 128 bytes without control characters. `?`, `[`, `{`, `!` and `\` are refused: elsewhere they would be wildcards.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let strange = |c: char| c.is_control() || matches!(c, '?' | '[' | ']' | '{' | '}' | '!' | '\\');
        (!text.is_empty() && text.len() <= MAX_GLOB && !text.contains(strange)).then(|| Self { text: text.to_owned() })
    }

    /// What only the empty text fits.
    pub(crate) const fn empty() -> Self {
        Self { text: String::new() }
    }

    /// Whether `name` fits the whole pattern. Linear in both for every pattern: pieces are sought from left to right.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let Some((first, rest)) = self.text.split_once('*') else { return self.text == name };
        let Some(mut left) = name.strip_prefix(first) else { return false };
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        for piece in middle.split('*').filter(|piece| !piece.is_empty()) {
            match left.split_once(piece) {
                Some((_, after)) => left = after,
                None => return false,
            }
        }
        left.ends_with(last)
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Glob({:?})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_star_is_any_run_and_nothing_else_is_special() {
        let cases = [
            ("get_*", "get_", true),
            ("get_*", "get_me", true),
            ("get_*", "forget_me", false),
            ("*", "", true),
            ("*_issue", "create_issue", true),
            ("*_issue", "create_issues", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "acb", false),
            ("ab*ba", "aba", false),
            ("a**b", "ab", true),
            ("a.c", "abc", false),
            ("Get_*", "get_me", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(Glob::parse(pattern).expect("valid").matches(name), expected, "{pattern} {name}");
        }
        for bad in ["", "get_?", "[a]", "{a,b}", "!x", "a\\*", "a\nb", &"a".repeat(129)] {
            assert!(Glob::parse(bad).is_none(), "{bad:?}");
        }
    }

    fn naive(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => naive(rest, name) || name.split_first().is_some_and(|(_, tail)| naive(pattern, tail)),
            (Some((p, rest)), Some((n, tail))) => p == n && naive(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*]{1,8}", name in "[ab]{0,8}") {
            prop_assert_eq!(Glob::parse(&pattern).expect("valid").matches(&name), naive(pattern.as_bytes(), name.as_bytes()));
        }
    }
}
