//! Characters that people do not see and models read: tags, directions, nothing-wide ones, escapes of terminals.

use super::{Rule, Subject};
use std::ops::Range;

static TAGS: Rule = character("hidden-tag-characters", 10);
static BIDI: Rule = character("hidden-direction", 10);
static ZERO_WIDTH: Rule = character("hidden-zero-width", 6);
static TERMINAL: Rule = character("hidden-terminal-escape", 10);
static SELECTORS: Rule = character("hidden-variation-selectors", 10);

/// So many of one kind carry more than they format.
const MANY: usize = 4;

const fn character(id: &'static str, weight: u8) -> Rule {
    Rule { id, subject: Subject::Injection, words: &[], pattern: "", reach: (0, 0), proof: super::any, weight }
}

/// A character that is not there for a reader: what stands on both of its sides belongs together.
pub(in super::super) const fn is_hidden(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}'
        | '\u{2066}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}' | '\u{e0100}'..='\u{e01ef}')
}

/// What is hidden in a text. Legitimate uses are none: marks at the beginning of a file, joiners in emoji and in scripts that
/// need them, flags of regions, directions in a text of a script that is written from the right.
pub(in super::super) fn hidden(text: &str, found: &mut Vec<(&'static Rule, Range<usize>)>) {
    let is_from_right = text.chars().any(|c| matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'));
    let (mut zero, mut selectors, mut before) = (Vec::new(), Vec::new(), None);
    let mut flag = false;
    for (at, c) in text.char_indices() {
        let span = at..at + c.len_utf8();
        let after = || text.get(span.end..).and_then(|rest| rest.chars().next());
        match c {
            // U+1F3F4 begins the flag of a region, and U+E007F ends it (UTS 51).
            '\u{1f3f4}' => flag = true,
            '\u{e007f}' if flag => flag = false,
            '\u{e0000}'..='\u{e007f}' if flag => {}
            '\u{e0000}'..='\u{e007f}' => found.push((&TAGS, span.clone())),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' if !is_from_right || matches!(c, '\u{202d}' | '\u{202e}') => {
                found.push((&BIDI, span.clone()));
            }
            '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{180e}' | '\u{34f}' => zero.push(span.clone()),
            '\u{feff}' if at > 0 => zero.push(span.clone()),
            // Joiners stand between letters of scripts that join, and between emoji.
            '\u{200c}' | '\u{200d}' if before.is_some_and(|c: char| c.is_ascii()) || after().is_some_and(|c| c.is_ascii_alphanumeric()) => {
                zero.push(span.clone());
            }
            '\u{e0100}'..='\u{e01ef}' => selectors.push(span.clone()),
            '\u{fe00}'..='\u{fe0e}' if before.is_some_and(|c: char| c.is_ascii_alphabetic() || is_hidden(c)) => {
                selectors.push(span.clone())
            }
            '\u{1b}' | '\u{9b}' => found.push((&TERMINAL, span.clone())),
            _ => flag = false,
        }
        before = Some(c);
    }
    // One between two words is a break for lines; between letters, or many of them, they carry something.
    let between_letters = |span: &Range<usize>| {
        let letter = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphabetic());
        letter(text.get(..span.start).and_then(|front| front.chars().next_back()))
            && letter(text.get(span.end..).and_then(|rest| rest.chars().next()))
    };
    if zero.len() >= MANY || zero.iter().any(between_letters) {
        found.extend(zero.into_iter().map(|span| (&ZERO_WIDTH, span)));
    }
    if selectors.len() >= MANY {
        found.extend(selectors.into_iter().map(|span| (&SELECTORS, span)));
    }
}
