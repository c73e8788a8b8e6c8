//! Payment cards and accounts, told by their check digits, and what else is about a person.

use super::{Rule, Subject};
use std::ops::Range;

/// ISO/IEC 7812: the number of a card, in groups or not. Has no words: its digits are looked for.
static CARD: Rule = number("payment-card");
/// ISO 13616. Has no words: its country and digits are looked for.
static IBAN: Rule = number("iban");

pub(super) const WORDED: &[Rule] = &[Rule {
    // Nine digits alone mean nothing: the words have to be there.
    words: &["ssn", "social security"],
    pattern: r"(?i)(?:\bssn\b|social security)[^0-9\n]{0,40}(?P<s>[0-9]{3}-[0-9]{2}-[0-9]{4})(?:[^0-9-]|$)",
    reach: (32, 96),
    proof: is_ssn,
    ..number("us-ssn")
}];

/// The shortest run of digits and what may stand between them in which a number is looked for.
pub(in super::super) const SHORTEST: usize = 14;
const MOST_DIGITS: usize = 19;

const fn number(id: &'static str) -> Rule {
    Rule {
        id,
        subject: Subject::Personal,
        words: &[],
        pattern: "",
        reach: (0, 0),
        proof: super::any,
        weight: 0,
        of_definitions: false,
        whole: super::itself,
    }
}

/// Numbers of cards and accounts in a text.
pub(in super::super) fn numbers(text: &[u8], found: &mut Vec<(&'static Rule, Range<usize>)>) {
    let mut at = 0;
    while let Some(byte) = text.get(at).copied() {
        if !byte.is_ascii_alphanumeric() {
            at += 1;
            continue;
        }
        // A word begins: only there a number may.
        let rest = text.get(at..).unwrap_or_default();
        let hit = if byte.is_ascii_digit() {
            // What follows a point is the rest of a fraction.
            let is_fraction = at > 0 && text.get(at - 1) == Some(&b'.');
            card(rest).filter(|_| !is_fraction).map(|length| (&CARD, length))
        } else if byte.is_ascii_uppercase() {
            iban(rest).map(|length| (&IBAN, length))
        } else {
            None
        };
        match hit {
            Some((rule, length)) => {
                found.push((rule, at..at + length));
                at += length;
            }
            None => at += rest.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(rest.len()),
        }
    }
}

/// The length in bytes of the card number that a text begins with.
fn card(text: &[u8]) -> Option<usize> {
    // For each digit its value, the place behind it, and how many groups there are with it.
    let mut digits = [0_u8; MOST_DIGITS];
    let mut ends = [(0_usize, 0_usize); MOST_DIGITS];
    let mut groups = [0_usize; MOST_DIGITS];
    let (mut count, mut group, mut at) = (0, 0, 0);
    while count < MOST_DIGITS {
        match text.get(at) {
            Some(byte) if byte.is_ascii_digit() => {
                *digits.get_mut(count)? = byte - b'0';
                *groups.get_mut(group)? += 1;
                at += 1;
                *ends.get_mut(count)? = (at, group + 1);
                count += 1;
            }
            // No other groups are printed.
            Some(b' ' | b'-') if matches!(groups.get(group), Some(4 | 6)) && text.get(at + 1).is_some_and(u8::is_ascii_digit) => {
                group += 1;
                at += 1;
            }
            _ => break,
        }
    }
    (14..=count).rev().find_map(|length| {
        let (end, of) = *ends.get(length - 1)?;
        let is_over = text.get(end).is_none_or(|byte| !byte.is_ascii_alphanumeric());
        if !is_over || !is_card(digits.get(..length)?) {
            return None;
        }
        let before: usize = groups.get(..of - 1)?.iter().sum();
        let mut printed = groups;
        *printed.get_mut(of - 1)? = length - before;
        is_grouped(printed.get(..of)?).then_some(end)
    })
}

/// As numbers are printed on cards: in one, in fours, or four, six and the rest. Columns of a table are none.
fn is_grouped(groups: &[usize]) -> bool {
    match groups {
        [_] | [4, 6, 4 | 5] => true,
        [fours @ .., last] => fours.len() >= 3 && fours.iter().all(|length| *length == 4) && *last <= 4,
        [] => false,
    }
}

/// Issuer and length as the schemes publish them, and the check digit (ISO/IEC 7812-1, annex B).
fn is_card(digits: &[u8]) -> bool {
    let front = |length: usize| digits.iter().take(length).fold(0_u32, |number, digit| number * 10 + u32::from(*digit));
    let (two, three, four, six) = (front(2), front(3), front(4), front(6));
    let known = match digits.len() {
        14 => matches!(three, 300..=305) || matches!(two, 36 | 38 | 39),
        15 => matches!(two, 34 | 37),
        16 => {
            front(1) == 4
                || matches!(two, 51..=55 | 62 | 65)
                || matches!(four, 2221..=2720 | 3528..=3589 | 6011)
                || matches!(three, 644..=649)
        }
        // Of the longer ones only the scheme that issues them: what else has nineteen digits is an identifier.
        17..=19 => matches!(six, 620_000..=625_999),
        _ => false,
    };
    let kinds = digits.iter().fold(0_u32, |seen, digit| seen | (1 << digit)).count_ones();
    known && kinds >= 2 && luhn(digits)
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            let doubled = u32::from(*digit) * if at % 2 == 1 { 2 } else { 1 };
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// The length in bytes of the account number that a text begins with: the length of its country, and ISO 7064, MOD 97-10.
fn iban(text: &[u8]) -> Option<usize> {
    let wanted = match text.get(..2)? {
        b"NO" => 15,
        b"BE" => 16,
        b"DK" | b"FI" | b"NL" => 18,
        b"AT" | b"LU" | b"LT" | b"EE" => 20,
        b"CH" | b"LI" | b"HR" | b"LV" => 21,
        b"DE" | b"GB" | b"IE" | b"BG" | b"GE" => 22,
        b"AE" => 23,
        b"ES" | b"SE" | b"CZ" | b"SK" | b"RO" | b"SA" => 24,
        b"PT" => 25,
        b"TR" | b"IS" => 26,
        b"FR" | b"IT" | b"GR" | b"MC" | b"SM" => 27,
        b"PL" | b"HU" | b"CY" => 28,
        b"MT" => 31,
        _ => return None,
    };
    let mut compact = Vec::with_capacity(wanted);
    let mut at = 0;
    while compact.len() < wanted {
        match text.get(at)? {
            byte if byte.is_ascii_uppercase() || byte.is_ascii_digit() => compact.push(*byte),
            b' ' if compact.len() >= 4 && compact.len().is_multiple_of(4) && text.get(at - 1) != Some(&b' ') => {}
            _ => return None,
        }
        at += 1;
    }
    let is_over = text.get(at).is_none_or(|byte| !byte.is_ascii_alphanumeric());
    let has_check = compact.get(2..4).is_some_and(|check| check.iter().all(u8::is_ascii_digit));
    let moved = compact.iter().skip(4).chain(compact.iter().take(4));
    let rest = moved.fold(0_u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        letter => (rest * 100 + u32::from(letter.wrapping_sub(b'A')) + 10) % 97,
    });
    (is_over && has_check && rest == 1).then_some(at)
}

/// Ranges that were never given out (ssa.gov, randomisation of 2011): area 000, 666 and 900 to 999, group 00, serial 0000.
fn is_ssn(found: &[u8]) -> bool {
    let part = |at: Range<usize>| found.get(at).unwrap_or_default();
    let (area, group, serial) = (part(0..3), part(4..6), part(7..11));
    area != b"000" && area != b"666" && area.first() != Some(&b'9') && group != b"00" && serial != b"0000" && found != b"123-45-6789"
}
