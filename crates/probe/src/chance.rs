//! Whether samples of an id look like chance: their variety, order and steps. Pure; knows no session.
//!
//! An estimate from few samples tells what is certainly too little, not what is enough. 64 bits are the least of OWASP ASVS 7.2.3
//! (session tokens); the estimate is up to an eighth too low with the samples taken here, so that 56 is the line.

use std::collections::{BTreeMap, BTreeSet};

/// Fewer samples tell nothing.
pub(crate) const LEAST: usize = 16;
/// Less variety can be guessed. Bits.
const BITS: f64 = 56.0;

/// What is wrong with the ids, in words; in the order in which they were given. Shows no id.
pub(crate) fn flaw(ids: &[String]) -> Option<String> {
    if ids.len() < LEAST {
        return None;
    }
    let different: BTreeSet<&String> = ids.iter().collect();
    if different.len() < ids.len() {
        return Some(format!("{} of {} sessions had an id that another had", ids.len() - different.len(), ids.len()));
    }
    let shortest = ids.iter().map(|id| id.chars().count()).min().unwrap_or_default();
    let bits = variety(ids);
    let size = format!("{} ids of {shortest} or more characters vary by about {bits:.0} bits", ids.len());
    if let Some(step) = step(ids) {
        return Some(format!("each id is the one before it plus {step}; {size}"));
    }
    if bits >= BITS {
        return None;
    }
    let order = if ids.is_sorted_by_key(|id| (id.len(), id.as_str())) { ", and they rise in order" } else { "" };
    Some(format!("{size}{order}"))
}

/// The entropy of each place, added up. Bits.
fn variety(ids: &[String]) -> f64 {
    let longest = ids.iter().map(|id| id.chars().count()).max().unwrap_or_default();
    let mut columns: Vec<BTreeMap<Option<char>, u32>> = vec![BTreeMap::new(); longest];
    for id in ids {
        let mut letters = id.chars();
        for column in &mut columns {
            *column.entry(letters.next()).or_default() += 1;
        }
    }
    let all = f64::from(u32::try_from(ids.len()).unwrap_or(u32::MAX));
    let of = |column: &BTreeMap<Option<char>, u32>| -> f64 {
        column.values().map(|count| f64::from(*count) / all).map(|share| -share * share.log2()).sum()
    };
    columns.iter().map(of).sum()
}

/// The one distance between neighbours, if the ids are numbers and there is one.
fn step(ids: &[String]) -> Option<u128> {
    for base in [10, 16] {
        let numbers: Option<Vec<u128>> = ids.iter().map(|id| u128::from_str_radix(&tail(id, base), base).ok()).collect();
        let Some(numbers) = numbers else { continue };
        let steps: BTreeSet<u128> = numbers.windows(2).filter_map(|two| Some(two.last()?.wrapping_sub(*two.first()?))).collect();
        if let (1, Some(step)) = (steps.len(), steps.first()) {
            return Some(*step);
        }
    }
    None
}

/// The digits at the end of an id, at most what a number holds; dashes count for nothing.
fn tail(id: &str, base: u32) -> String {
    let digits: Vec<char> = id.chars().rev().filter(|c| *c != '-').take_while(|c| c.is_digit(base)).take(32).collect();
    digits.into_iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorward_core::secret::sha256;

    fn ids(make: impl Fn(u64) -> String) -> Vec<String> {
        (0..64).map(make).collect()
    }

    fn random(number: u64, letters: usize) -> String {
        sha256(&number.to_be_bytes()).iter().flat_map(|byte| format!("{byte:02x}").chars().collect::<Vec<_>>()).take(letters).collect()
    }

    #[test]
    fn what_can_be_guessed_is_seen() {
        for (what, guessable) in [
            ("counter", ids(|n| format!("session-{n}"))),
            ("padded", ids(|n| format!("{:032x}", n + 4096))),
            ("time", ids(|n| format!("{}", 1_790_000_000_000 + n * 37 + n % 5))),
            ("pointer", ids(|n| format!("0x7f3a{:08x}", (n * 2_654_435_761) % 0xffff_ffff))),
            ("short", ids(|n| random(n, 8))),
            ("multiples", ids(|n| format!("{:032x}", 0x1234_5678_9abc_def0_u128.wrapping_mul(u128::from(n + 1))))),
            ("twice", ids(|n| random(n / 2, 32))),
            ("time and a little chance", ids(|n| format!("{:016x}{}", 1_790_000_000_000 + n, random(n, 4)))),
        ] {
            assert!(flaw(&guessable).is_some(), "{what}");
        }
    }

    #[test]
    fn what_cannot_is_left_alone() {
        for (what, good) in [
            (
                "uuid4",
                ids(|n| format!("{}-{}-4{}-8{}-{}", random(n, 8), random(n + 900, 4), random(n, 3), random(n, 3), random(n + 500, 12))),
            ),
            ("uuid7", ids(|n| format!("{:012x}-7{}-8{}", 1_790_000_000_000_u64 + n, random(n, 3), random(n + 77, 15)))),
            ("256 bits", ids(|n| random(n, 64))),
            ("64 bits", ids(|n| random(n, 16))),
        ] {
            assert_eq!(flaw(&good), None, "{what}");
        }
        assert_eq!(flaw(&["1".to_owned(), "2".to_owned()]), None, "too few to tell");
    }
}
