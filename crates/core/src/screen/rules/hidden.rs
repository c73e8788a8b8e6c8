//! Characters that people do not see and models read: tags, directions, nothing-wide ones, escapes of terminals.

use super::{Rule, Subject};
use std::ops::Range;

static TAGS: Rule = character("hidden-tag-characters", 10);
static BIDI: Rule = character("hidden-direction", 10);
static ZERO_WIDTH: Rule = character("hidden-zero-width", 6);
static RUN: Rule = character("hidden-zero-width-run", 10);
static TERMINAL: Rule = character("hidden-terminal-escape", 10);
static SELECTORS: Rule = character("hidden-variation-selectors", 10);

/// So many of one kind carry more than they format.
const MANY: usize = 4;
/// So many without anything between them are a text of their own: no format needs two.
const RUN_LENGTH: usize = 8;
/// The regions whose flags are in use (UTS 51, annex B): England, Scotland, Wales, and the states of the USA. Other words in tags are words.
fn is_region(tags: &str) -> bool {
    let is_state = |state: &str| STATES.as_bytes().chunks(2).any(|known| known == state.as_bytes());
    matches!(tags, "gbeng" | "gbsct" | "gbwls") || tags.strip_prefix("us").is_some_and(is_state)
}

/// The states of the USA and its capital, two letters each (ISO 3166-2:US).
const STATES: &str = "akalarazcacoctdcdeflgahiiaidilinkskylamamdmemimnmomsmtncndnenhnjnmnvnyohokorpariscsdtntxutvavtwawiwvwy";

const fn character(id: &'static str, weight: u8) -> Rule {
    Rule {
        id,
        subject: Subject::Injection,
        words: &[],
        pattern: "",
        reach: (0, 0),
        proof: super::any,
        weight,
        of_definitions: false,
        whole: super::itself,
    }
}

/// A character that is not there for a reader: what stands on both of its sides belongs together.
pub(in super::super) const fn is_hidden(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}'
        | '\u{2066}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}' | '\u{e0100}'..='\u{e01ef}')
}

/// The end of the flag of a region that begins behind `text`'s first character, U+1F3F4.
fn flag_end(text: &str, at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    let letters = rest.chars().take_while(|c| matches!(c, '\u{e0061}'..='\u{e007a}'));
    let tags: String = letters.take(8).filter_map(|c| char::from_u32(u32::from(c) - 0xe0000)).collect();
    let last = rest.chars().nth(tags.len()).filter(|c| is_region(&tags) && *c == '\u{e007f}')?;
    Some(at + (tags.len() + 1) * last.len_utf8()) // all of these are of one length
}

/// What is hidden in a text: of each rule the first, which is enough to know it. Legitimate uses are none: marks at the
/// beginning of a file, joiners in emoji and in scripts that need them, flags of regions, directions in a text of a script
/// that is written from the right.
pub(in super::super) fn hidden(text: &str, found: &mut Vec<(&'static Rule, Range<usize>)>) {
    let is_from_right = text.chars().any(|c| matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'));
    let letter = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphabetic());
    let mut see = |rule: &'static Rule, span: Range<usize>| {
        if !found.iter().any(|(known, _)| known.id == rule.id) {
            found.push((rule, span));
        }
    };
    let (mut zero, mut selectors) = (Counted::default(), Counted::default());
    let (mut before, mut flag, mut run) = (None, 0, 0..0);
    let mut length = 0;
    for (at, c) in text.char_indices() {
        let span = at..at + c.len_utf8();
        let after = || text.get(span.end..).and_then(|rest| rest.chars().next());
        match c {
            '\u{1f3f4}' => flag = flag_end(text, span.end).unwrap_or(0),
            '\u{e0000}'..='\u{e007f}' if at < flag => {}
            '\u{e0000}'..='\u{e007f}' => see(&TAGS, span.clone()),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' if !is_from_right || matches!(c, '\u{202d}' | '\u{202e}') => {
                see(&BIDI, span.clone());
            }
            '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{180e}' | '\u{34f}' => zero.add(&span, letter(before) && letter(after())),
            '\u{feff}' if at > 0 => zero.add(&span, letter(before) && letter(after())),
            // Joiners stand between letters of scripts that join, and between emoji.
            '\u{200c}' | '\u{200d}' if before.is_some_and(|c: char| c.is_ascii()) || after().is_some_and(|c| c.is_ascii_alphanumeric()) => {
                zero.add(&span, letter(before) && letter(after()));
            }
            '\u{e0100}'..='\u{e01ef}' => selectors.add(&span, false),
            '\u{fe00}'..='\u{fe0e}' if before.is_some_and(|c: char| c.is_ascii_alphabetic() || is_hidden(c)) => selectors.add(&span, false),
            '\u{1b}' | '\u{9b}' => see(&TERMINAL, span.clone()),
            _ => {}
        }
        // Marks of direction and soft hyphens format alone, and carry in a run as well as others.
        length = if is_hidden(c) && !('\u{e0000}'..='\u{e007f}').contains(&c) { length + 1 } else { 0 };
        run = if length == 1 { span } else { run.start..span.end };
        if length == RUN_LENGTH {
            see(&RUN, run.clone());
        }
        before = Some(c);
    }
    // One between two words is a break for lines; between letters, or many of them, they carry something.
    if let Some(first) = zero.first.filter(|_| zero.count >= MANY || zero.is_in_word) {
        see(&ZERO_WIDTH, first);
    }
    if let Some(first) = selectors.first.filter(|_| selectors.count >= MANY) {
        see(&SELECTORS, first);
    }
}

/// Characters of one kind.
#[derive(Default)]
struct Counted {
    first: Option<Range<usize>>,
    count: usize,
    /// One of them stands between letters.
    is_in_word: bool,
}

impl Counted {
    fn add(&mut self, span: &Range<usize>, is_in_word: bool) {
        self.first.get_or_insert_with(|| span.clone());
        self.count += 1;
        self.is_in_word |= is_in_word;
    }
}
