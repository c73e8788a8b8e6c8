//! A patch: what stands where afterwards. Applying it and its inverse gives the same bytes again.

use std::ops::Range;

/// What stands in place of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Bytes of the text before.
    pub range: Range<usize>,
    /// What stands there afterwards.
    pub text: String,
}

/// Pieces in order, none over another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patch(Vec<Piece>);

// === impl Patch ===

impl Patch {
    /// From pieces in any order. `None` if two of them overlap, or one is not within characters of `text`.
    #[must_use]
    pub fn new(text: &str, mut pieces: Vec<Piece>) -> Option<Self> {
        pieces.sort_by_key(|piece| (piece.range.start, piece.range.end));
        let mut end = 0;
        for piece in &pieces {
            if piece.range.start < end || text.get(piece.range.clone()).is_none() {
                return None;
            }
            end = piece.range.end;
        }
        Some(Self(pieces))
    }

    /// The patch that makes one text into the other: one piece, from the first byte that differs to the last.
    #[must_use]
    pub fn between(before: &str, after: &str) -> Self {
        if before == after {
            return Self::default();
        }
        let front: usize = before.chars().zip(after.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
        let (rest, new) = (before.get(front..).unwrap_or_default(), after.get(front..).unwrap_or_default());
        let back: usize = rest.chars().rev().zip(new.chars().rev()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
        let text = new.get(..new.len() - back).unwrap_or_default().to_owned();
        Self(vec![Piece { range: front..before.len() - back, text }])
    }

    /// The pieces, in order.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// Several patches of one text as one. `None` if they overlap.
    #[must_use]
    pub fn joined<'a>(text: &str, patches: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        Self::new(text, patches.into_iter().flat_map(|patch| patch.0.iter().cloned()).collect())
    }

    /// The text afterwards.
    #[must_use]
    pub fn apply(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        for piece in &self.0 {
            out.push_str(text.get(at..piece.range.start).unwrap_or_default());
            out.push_str(&piece.text);
            at = piece.range.end;
        }
        out.push_str(text.get(at..).unwrap_or_default());
        out
    }

    /// What makes `apply(before)` into `before` again.
    #[must_use]
    pub fn inverse(&self, before: &str) -> Self {
        let (mut at, mut place) = (0, 0);
        let pieces = self.0.iter().map(|piece| {
            let start = place + (piece.range.start - at);
            (at, place) = (piece.range.end, start + piece.text.len());
            Piece { range: start..place, text: before.get(piece.range.clone()).unwrap_or_default().to_owned() }
        });
        Self(pieces.collect())
    }

    /// Where a range of the text before is afterwards. Each piece has to lie inside of it or outside.
    #[must_use]
    pub fn moved(&self, range: &Range<usize>) -> Range<usize> {
        let (mut before, mut inside) = (range.start, range.len());
        for piece in &self.0 {
            if piece.range.start < range.start {
                before = before + piece.text.len() - piece.range.len();
            } else if piece.range.end <= range.end {
                inside = inside + piece.text.len() - piece.range.len();
            }
        }
        before..before + inside
    }
}
