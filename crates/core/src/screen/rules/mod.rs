//! The table of what is looked for: one subject a file, each rule with its words, its pattern and its proof.
//!
//! Facts about the forms of credentials come from their issuers' documentation; several were compared with the rules of
//! gitleaks (MIT). A rule is found by its words first, which stand in whatever it finds, and by its pattern only near them.
//! Patterns are of bytes and run in time that grows with the text alone. Must not know JSON, or what is done about a finding.

mod card;
mod hidden;
mod orders;
mod phrases;
mod secrets;
mod services;
mod sly;

use std::ops::Range;

pub(super) use card::{SHORTEST as SHORTEST_NUMBER, numbers};
pub(super) use hidden::{hidden, is_hidden};
pub(super) use sly::decides as decides_alone;

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A secret that opens something.
    Credential,
    /// Something about a person.
    Personal,
    /// A text that tells a model what to do, or hides from people.
    Injection,
}

/// One thing that is looked for.
#[derive(Debug)]
pub(crate) struct Rule {
    /// Stable id, for records, metrics and what stands in place of what was found.
    pub(crate) id: &'static str,
    /// What it is about.
    pub(crate) subject: Subject,
    /// Small letters; one of them stands in everything that the pattern finds, in whatever case. For a sign, which is one of several:
    /// in what it is meant to find. A space in one may be a break of the line.
    pub(super) words: &'static [&'static str],
    /// Of bytes. What it names `s` is what was found, or else all of it.
    pub(super) pattern: &'static str,
    /// How many bytes before and behind a word the pattern may reach.
    pub(super) reach: (usize, usize),
    /// Whether what fits the pattern is really one.
    pub(super) proof: fn(&[u8]) -> bool,
    /// All of it: where the pattern, or its reach, may end before what was found does.
    pub(super) whole: fn(&[u8], Range<usize>) -> Range<usize>,
    /// For instructions: how much it says. [`HIGH`] and more decides alone, in a definition.
    pub(super) weight: u8,
    /// It is a sign in the definition of a tool, and says nothing in a reply.
    pub(super) of_definitions: bool,
}

/// As much as makes instructions of signs.
pub(super) const HIGH: u8 = 10;
/// As far as a rule reaches unless it says otherwise.
const NEAR: (usize, usize) = (64, 512);

/// Every rule with words.
pub(super) fn all() -> impl Iterator<Item = &'static Rule> {
    secrets::RULES.iter().chain(services::RULES).chain(phrases::RULES).chain(sly::RULES).chain(orders::RULES).chain(card::WORDED)
}

/// Whether a rule is about what another provider gave out: PT-02 has a key of its own for that.
pub(super) fn is_of_provider(id: &str) -> bool {
    matches!(id, "jwt" | "authorization-header") || services::RULES.iter().any(|rule| rule.id == id)
}

const fn credential(id: &'static str, words: &'static [&'static str], pattern: &'static str, proof: fn(&[u8]) -> bool) -> Rule {
    Rule { id, subject: Subject::Credential, words, pattern, reach: NEAR, proof, weight: 0, of_definitions: false, whole: token }
}

const fn sign(id: &'static str, weight: u8, words: &'static [&'static str], pattern: &'static str) -> Rule {
    Rule { id, subject: Subject::Injection, words, pattern, reach: (240, 240), proof: any, weight, of_definitions: false, whole: itself }
}

/// A sign in definitions only: it never decides anything about a reply.
const fn order(id: &'static str, weight: u8, words: &'static [&'static str], pattern: &'static str) -> Rule {
    Rule { of_definitions: true, ..sign(id, weight, words, pattern) }
}

/// What was found and no more.
const fn itself(_: &[u8], found: Range<usize>) -> Range<usize> {
    found
}

/// A token to its end: half of one is not covered.
fn token(text: &[u8], found: Range<usize>) -> Range<usize> {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'/');
    let goes_on = found.end.checked_sub(1).and_then(|last| text.get(last)).is_some_and(is_token);
    let rest = text.get(found.end..).filter(|_| goes_on).unwrap_or_default();
    found.start..found.end + rest.iter().position(|byte| !is_token(byte)).unwrap_or(rest.len())
}

/// Whatever fits is one.
const fn any(_: &[u8]) -> bool {
    true
}

/// Not one of those that stand in documentation.
fn real(found: &[u8]) -> bool {
    const STANDS_FOR: [&[u8]; 14] = [
        b"example",
        b"xxxx",
        b"placeholder",
        b"changeme",
        b"change_me",
        b"change-me",
        b"redacted",
        b"dummy",
        b"your_",
        b"your-",
        b"sample",
        b"****",
        b"....",
        b"insert",
    ];
    let lower = found.to_ascii_lowercase();
    let mut seen = [false; 256];
    let mut kinds = 0_usize;
    for byte in &lower {
        if let Some(known) = seen.get_mut(usize::from(*byte))
            && !std::mem::replace(known, true)
        {
            kinds += 1;
        }
    }
    kinds >= 6 && !STANDS_FOR.iter().any(|word| memchr::memmem::find(&lower, word).is_some())
}

/// Real, and with a digit: words of a language have none.
fn with_digit(found: &[u8]) -> bool {
    found.iter().any(u8::is_ascii_digit) && real(found)
}

/// Real, with a digit, and as random as no word is.
fn random(found: &[u8]) -> bool {
    with_digit(found) && found.iter().any(u8::is_ascii_alphabetic) && entropy(found) >= 3.6
}

/// Shannon entropy of the bytes, in bits for each.
fn entropy(text: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text {
        if let Some(count) = counts.get_mut(usize::from(*byte)) {
            *count += 1;
        }
    }
    let total = f64::from(u32::try_from(text.len()).unwrap_or(u32::MAX).max(1));
    counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / total).map(|share| -share * share.log2()).sum()
}

#[cfg(test)]
pub(crate) mod tests;
