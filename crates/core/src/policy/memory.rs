//! Rulings that were made before, for questions whose answer cannot have changed since. Owns the bound on their number.
//!
//! A ruling is a function of the rules and of what Cedar is told. The rules never change under a memory: it is born and
//! dropped with them. What Cedar is told is the key, whole and byte for byte, apart from what no rule in force reads.
//! Questions in which a rule reads arguments or the time are never kept.

use super::request::Ruling;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// Rulings kept at once, about 300 bytes each. When there are as many, all are forgotten and the busy ones come back.
const MOST: usize = 16_384;

/// See the module.
#[derive(Default)]
pub(super) struct Memory {
    rulings: RwLock<HashMap<Key, Arc<Ruling>>>,
}

/// Everything that a ruling depends on besides the rules.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Key(Vec<u8>);

// === impl Memory ===

impl Memory {
    pub(super) fn recall(&self, key: &Key) -> Option<Ruling> {
        let rulings = self.rulings.read().unwrap_or_else(PoisonError::into_inner);
        rulings.get(key).map(|ruling| Ruling::clone(ruling))
    }

    /// Keeps a ruling, unless something went wrong with it: a fault is looked at again each time.
    pub(super) fn keep(&self, key: Key, ruling: &Ruling) {
        if !ruling.faults.is_empty() || ruling.misfit.is_some() {
            return;
        }
        let mut rulings = self.rulings.write().unwrap_or_else(PoisonError::into_inner);
        if rulings.len() >= MOST {
            rulings.clear();
        }
        rulings.insert(key, Arc::new(ruling.clone()));
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory(..)")
    }
}

// === impl Key ===

impl Key {
    /// One part. Each is preceded by its length, so that no two lists of parts give one key.
    pub(super) fn part(&mut self, part: &str) -> &mut Self {
        self.bytes(part.as_bytes())
    }

    /// The same for a part that is no text.
    pub(super) fn bytes(&mut self, part: &[u8]) -> &mut Self {
        self.0.extend_from_slice(&part.len().to_be_bytes());
        self.0.extend_from_slice(part);
        self
    }

    /// A list of parts, preceded by how many there are.
    pub(super) fn parts<'a>(&mut self, parts: impl ExactSizeIterator<Item = &'a str>) -> &mut Self {
        self.0.extend_from_slice(&parts.len().to_be_bytes());
        for part in parts {
            self.part(part);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(parts: &[&str]) -> Key {
        let mut key = Key::default();
        key.parts(parts.iter().copied());
        key
    }

    #[test]
    fn parts_cannot_run_into_one_another() {
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
        assert_ne!(key(&["", "a"]), key(&["a", ""]));
        let (mut one, mut other) = (key(&["a"]), key(&["a", "b"]));
        one.part("b").part("c");
        other.part("c");
        assert_ne!(one, other);
    }

    #[test]
    fn faults_are_not_kept_and_the_number_is_bounded() {
        let memory = Memory::default();
        memory.keep(key(&["fault"]), &Ruling { faults: vec!["broken".to_owned()], ..Ruling::default() });
        assert!(memory.recall(&key(&["fault"])).is_none());
        for number in 0..=MOST {
            memory.keep(key(&[&number.to_string()]), &Ruling { permits: vec![number], ..Ruling::default() });
        }
        assert!(memory.recall(&key(&["0"])).is_none());
        assert_eq!(memory.recall(&key(&[&MOST.to_string()])).expect("kept").permits, [MOST]);
    }
}
