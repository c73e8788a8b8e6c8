//! What is wrong with a configuration: a stable id, what, where, why, what next (product 2.5). Rendering is the command line's work.

use super::source::Place;

/// One thing that is wrong.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Stable id for machines and documentation: `config.unknown_key`.
    pub id: &'static str,
    /// What is wrong, as a sentence without its full stop. Never a secret.
    pub message: String,
    /// A few words beside the place.
    pub label: String,
    /// What to do.
    pub help: String,
    /// Where, if it is anywhere.
    pub place: Option<Place>,
}

// === impl Problem ===

impl Problem {
    /// A problem with the configuration as a whole.
    #[must_use]
    pub fn new(id: &'static str, message: impl Into<String>, label: impl Into<String>, help: impl Into<String>) -> Self {
        Self { id, message: message.into(), label: label.into(), help: help.into(), place: None }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Some(place) => write!(f, "{place}: {}: {} ({})", self.id, self.message, self.help),
            None => write!(f, "{}: {} ({})", self.id, self.message, self.help),
        }
    }
}

/// The candidate that `typed` was probably meant to be: at most a third of its characters differ.
#[must_use]
pub fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = (typed.chars().count() / 3).max(1);
    let distances = candidates.into_iter().map(|candidate| (distance(typed, candidate), candidate));
    distances.filter(|(distance, _)| *distance <= most).min().map(|(_, candidate)| candidate)
}

/// Edits (insert, remove, replace, swap neighbours) between two names. Long names are cut: nobody mistypes them.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).collect();
    let b: Vec<char> = b.chars().take(64).collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], n: usize| row.get(n).copied().unwrap_or(usize::MAX / 2);
            let replaced = at(&last, j) + usize::from(x != y);
            let mut best = replaced.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped {
                best = best.min(at(&before_last, j - 1) + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let keys = ["credential", "title", "timeout", "tools", "url"];
        assert_eq!(nearest("credental", keys), Some("credential"));
        assert_eq!(nearest("tiemout", keys), Some("timeout"));
        assert_eq!(nearest("ulr", keys), Some("url"));
        assert_eq!(nearest("Url", keys), Some("url"));
        assert_eq!(nearest("policy", keys), None);
        assert_eq!(nearest("", keys), None);
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(distance("", "abc"), 3);
    }
}
