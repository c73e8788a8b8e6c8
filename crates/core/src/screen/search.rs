//! Finds in one text what the rules name, in every way in which it can be read. Knows no JSON, and decides nothing.

use super::rules::{self, Rule, Subject, hidden, numbers};
use super::views::{self, View};
use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use regex::bytes::{Regex, RegexBuilder};
use std::ops::Range;

/// The rules, ready to be asked. Made once, when a gateway starts; asking it changes nothing.
#[derive(Debug)]
pub struct Searcher {
    /// Words of the rules that decide alone: asked of everything that passes, so there are as few as can be.
    alone: Words,
    /// Words of signs: asked of definitions only.
    signs: Words,
    rules: Vec<(&'static Rule, Regex)>,
    /// What stands so many bytes in front of a part, or further, without a word of a rule in it, can be no beginning of what ends there.
    reach: usize,
}

/// Words, and for each the rules that it may begin.
#[derive(Debug)]
struct Words {
    automaton: AhoCorasick,
    rules: Vec<Vec<usize>>,
}

/// The rules of this program cannot be used: nothing can be screened with them.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the screening rules cannot be compiled: {0}")]
pub struct BadRules(String);

/// Something that was found in a text.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) rule: &'static Rule,
    /// Where it stands in the text as it was given.
    pub(super) span: Range<usize>,
    pub(super) layer: Layer,
    /// The words for it stand in front of an earlier part.
    pub(super) is_rest: bool,
}

/// How it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    /// In the text, perhaps behind what hides it.
    Text,
    /// In what a run of it decodes to.
    Decoded,
}

/// Which rules are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Those that decide alone.
    Alone,
    /// Signs, too.
    Signs,
    /// Only those about credentials.
    Credentials,
}

/// Memory of one compiled pattern, and of what it remembers while it runs.
const PATTERN: usize = 8 << 20;
/// Layers of escapes that are undone: a program puts JSON into the text of JSON, and another one puts that into a text.
const LAYERS: usize = 3;
/// So often a rule may look again inside of what did not prove itself, in one text. Who writes more than that pays for no more time.
const MOST_RETRIES: usize = 16;

/// What a pattern looks at beside what it takes, in bytes, and more.
const AROUND: usize = 64;

// === impl Searcher ===

impl Searcher {
    /// Compiles the rules.
    ///
    /// # Errors
    /// [`BadRules`]: a fault of this program, which a test of it shows.
    pub fn new() -> Result<Self, BadRules> {
        let mut rules = Vec::new();
        for rule in rules::all() {
            let regex = RegexBuilder::new(rule.pattern).unicode(false).size_limit(PATTERN).dfa_size_limit(PATTERN).build();
            rules.push((rule, regex.map_err(|error| BadRules(format!("{}: {error}", rule.id)))?));
        }
        let of = |alone: bool| Words::of(rules.iter().map(|(rule, _)| *rule).enumerate().filter(move |(_, rule)| is_alone(rule) == alone));
        let alone = of(true)?;
        let before = rules.iter().filter(|(rule, _)| is_alone(rule)).map(|(rule, _)| rule.reach.0).max().unwrap_or(0);
        let reach = before + alone.automaton.max_pattern_len() + AROUND;
        Ok(Self { alone, signs: of(false)?, rules, reach })
    }

    /// So many bytes in front of a text can matter for what is found in it, if [`Searcher::is_suspect`] is false of them.
    pub(super) const fn reach(&self) -> usize {
        self.reach
    }

    /// Whether a rule may begin here, or something may be read in another way.
    pub(super) fn is_suspect(&self, text: &str) -> bool {
        views::may_read_otherwise(text) || self.has_words(text.as_bytes())
    }

    /// Whether any word of a rule that decides alone stands in these bytes.
    pub(super) fn has_words(&self, bytes: &[u8]) -> bool {
        self.alone.automaton.is_match(bytes)
    }

    /// Everything in a text, in every reading; by place, and apart from each other.
    pub(super) fn find(&self, text: &str, asked: Asked) -> Vec<Found> {
        let mut found = Vec::new();
        if asked != Asked::Credentials {
            let mut characters = Vec::new();
            if views::may_be_hidden(text) {
                hidden(text, &mut characters);
            }
            found.extend(characters.into_iter().map(|(rule, span)| Found { rule, span, layer: Layer::Text, is_rest: false }));
        }
        self.in_bytes(text.as_bytes(), asked, |rule, span| found.push(Found { rule, span, layer: Layer::Text, is_rest: false }));
        let view = self.readings(text, asked, &mut found);
        let bytes = view.as_ref().map_or(text.as_bytes(), |view| &view.bytes);
        views::decoded(bytes, |decoded| {
            // One of each subject: what is done about another one says nothing about this.
            let mut firsts: Vec<&'static Rule> = Vec::new();
            self.in_bytes(&decoded.bytes, asked, |rule, _| {
                if !firsts.iter().any(|first| first.subject == rule.subject) {
                    firsts.push(rule);
                }
            });
            let span = view.as_ref().map_or(decoded.span.clone(), |view| view.source(&decoded.span));
            found.extend(firsts.into_iter().map(|rule| Found { rule, span: span.clone(), layer: Layer::Decoded, is_rest: false }));
        });
        apart(found)
    }

    /// Reads a text without what hides in it, then with its escapes and then its percent signs undone; the last reading, if there
    /// is another than the text itself.
    fn readings(&self, text: &str, asked: Asked, found: &mut Vec<Found>) -> Option<View> {
        let mut view: Option<View> = View::folded(text);
        if let Some(view) = &view {
            self.in_view(view, asked, found);
        }
        let mut next = |view: &mut Option<View>, next: Option<View>| {
            let Some(next) = next else { return };
            let next = match &view {
                Some(view) => next.of(view),
                None => next,
            };
            self.in_view(&next, asked, found);
            *view = Some(next);
        };
        for _ in 0..LAYERS {
            let bytes = view.as_ref().map_or(text.as_bytes(), |view| &view.bytes);
            if !self.may_be_escaped(bytes, asked) {
                break;
            }
            let Some(undone) = View::unescaped(bytes) else { break };
            // What was escaped may be what hides.
            let shown = std::str::from_utf8(&undone.bytes).ok().and_then(View::folded);
            next(&mut view, Some(undone));
            next(&mut view, shown);
        }
        let undone = View::percent_decoded(view.as_ref().map_or(text.as_bytes(), |view| &view.bytes));
        next(&mut view, undone);
        view
    }

    /// Whether undoing escapes can show more: they spell a letter, or stand beside one of what is looked for.
    fn may_be_escaped(&self, bytes: &[u8], asked: Asked) -> bool {
        memchr::memchr(b'\\', bytes).is_some()
            && (views::spells(bytes)
                || asked == Asked::Signs
                || self.has_words(bytes)
                || views::may_be_number(bytes)
                || views::has_run(bytes))
    }

    fn in_view(&self, view: &View, asked: Asked, found: &mut Vec<Found>) {
        self.in_bytes(&view.bytes, asked, |rule, span| {
            found.push(Found { rule, span: view.source(&span), layer: Layer::Text, is_rest: false })
        });
    }

    /// Everything in bytes as they are.
    fn in_bytes(&self, bytes: &[u8], asked: Asked, mut look: impl FnMut(&'static Rule, Range<usize>)) {
        let mut near: Vec<(usize, Range<usize>)> = Vec::new();
        self.alone.near(bytes, &self.rules, &mut near);
        if asked == Asked::Signs {
            self.signs.near(bytes, &self.rules, &mut near);
        }
        for (at, place) in near {
            let Some((rule, regex)) = self.rules.get(at) else { continue };
            if asked == Asked::Credentials && rule.subject != Subject::Credential {
                continue;
            }
            let Some(front) = bytes.get(..place.end) else { continue };
            let (mut from, mut retries) = (place.start, 0_usize);
            while let Some(fits) = regex.captures_at(front, from) {
                let Some(whole) = fits.get(0).map(|part| part.range()) else { break };
                let span = (rule.whole)(bytes, fits.name("s").map_or(whole.clone(), |part| part.range()));
                let proven = bytes.get(span.clone()).is_some_and(rule.proof);
                // Behind what was found, or a little on: what does not prove itself must not hide what begins inside of it.
                retries += usize::from(!proven);
                from = if proven || retries > MOST_RETRIES { span.end } else { whole.start + 1 }.max(from + 1);
                if proven {
                    look(rule, span);
                }
                if from >= front.len() {
                    break;
                }
            }
        }
        if asked != Asked::Credentials && views::may_be_number(bytes) {
            let mut found = Vec::new();
            numbers(bytes, &mut found);
            found.into_iter().for_each(|(rule, span)| look(rule, span));
        }
    }
}

// === impl Words ===

impl Words {
    fn of(rules: impl Iterator<Item = (usize, &'static Rule)>) -> Result<Self, BadRules> {
        let (mut words, mut of_word) = (Vec::<String>::new(), Vec::<Vec<usize>>::new());
        for (number, rule) in rules {
            for word in rule.words.iter().flat_map(|word| spaced(word)) {
                match words.iter().position(|known| *known == word) {
                    Some(at) => of_word.get_mut(at).into_iter().for_each(|of| of.push(number)),
                    None => {
                        words.push(word);
                        of_word.push(vec![number]);
                    }
                }
            }
        }
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::DFA))
            .build(words)
            .map_err(|error| BadRules(error.to_string()))?;
        Ok(Self { automaton, rules: of_word })
    }

    /// Where the rules whose words stand in a text have to be asked: places of one rule do not overlap.
    fn near(&self, bytes: &[u8], rules: &[(&'static Rule, Regex)], near: &mut Vec<(usize, Range<usize>)>) {
        if !self.automaton.is_match(bytes) {
            return;
        }
        let mut last: Vec<Option<usize>> = vec![None; rules.len()];
        for hit in self.automaton.find_overlapping_iter(bytes) {
            for at in self.rules.get(hit.pattern().as_usize()).into_iter().flatten() {
                let (Some((rule, _)), Some(last)) = (rules.get(*at), last.get_mut(*at)) else { continue };
                let place = hit.start().saturating_sub(rule.reach.0)..(hit.end() + rule.reach.1).min(bytes.len());
                match last.and_then(|last| near.get_mut(last)) {
                    Some((_, known)) if known.end >= place.start => known.end = known.end.max(place.end),
                    _ => {
                        *last = Some(near.len());
                        near.push((*at, place));
                    }
                }
            }
        }
    }
}

/// What may stand between two words of one: as texts are wrapped, also while the escapes of JSON are still in them, once and twice.
const SPACES: [&str; 8] = [" ", "  ", "\n", "\\n", "\\\\n", "\r\n", "\\r\\n", "\\\\r\\\\n"];

/// A word in the ways in which it is searched for.
fn spaced(word: &str) -> Vec<String> {
    let inner = word.trim();
    let around = |text: &str| word.replacen(inner, text, 1);
    if inner.contains(' ') { SPACES.iter().map(|space| around(&inner.replace(' ', space))).collect() } else { vec![word.to_owned()] }
}

/// Whether a rule needs no other.
fn is_alone(rule: &Rule) -> bool {
    rule.subject != Subject::Injection || rules::decides_alone(rule)
}

/// In the order of the text, each place once for each subject: of two that overlap the one that begins first stays, and grows. A name
/// that says more stands in front of one that says less.
fn apart(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by_key(|found| (found.rule.subject, found.span.start, found.layer == Layer::Decoded, std::cmp::Reverse(found.span.end)));
    let mut kept: Vec<Found> = Vec::with_capacity(found.len());
    for next in found {
        match kept.last_mut().filter(|last| last.rule.subject == next.rule.subject && last.span.end > next.span.start) {
            // Signs add up: another one at the same place is another one.
            Some(last) if next.rule.subject != Subject::Injection || last.rule.id == next.rule.id => {
                last.span.end = last.span.end.max(next.span.end);
                if last.rule.id == "named-secret" && last.span.start == next.span.start {
                    last.rule = next.rule;
                }
            }
            _ => kept.push(next),
        }
    }
    kept
}
