//! Rulings that were made before, for questions whose answer cannot have changed since. Owns the bound on their number.
//!
//! A ruling is a function of the rules and of what Cedar is told. The rules never change under a memory: it is born and
//! dropped with them. What Cedar is told is the key, whole and byte for byte, apart from what no rule in force reads.
//! Questions in which a rule reads arguments, the time or what was seen are never kept.

use super::request::Ruling;
use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Rulings kept at once, about 200 bytes each. When there are as many, all are forgotten and the busy ones come back.
const MOST: usize = 16_384;

/// The same for one caller at one server: who asks for ever new things pushes out nobody else's.
const MOST_OF_ONE: usize = MOST / 4;

/// See the module.
#[derive(Default)]
pub(super) struct Memory {
    all: RwLock<All>,
}

/// Bytes of a question that is kept: a longer one, of an endless URI, is worked out each time.
const LONGEST: usize = 1024;

/// What is kept since all was forgotten last.
#[derive(Default)]
struct All {
    callers: HashMap<Key, Arc<Kept>>,
    /// Rulings of all callers.
    count: Arc<AtomicUsize>,
}

/// What is kept for one caller at one server.
pub(super) struct Kept {
    known: RwLock<HashMap<Key, Known>>,
    count: Arc<AtomicUsize>,
}

/// What is known of a question. It follows from the rules, the caller and the thing, hence is as lasting as a ruling.
#[derive(Debug, Clone)]
pub(super) enum Known {
    /// The answer.
    Ruling(Arc<Ruling>),
    /// A rule reads the address: answers are kept with [`Key::bytes`] of it.
    ByAddress,
}

/// Everything that a ruling depends on besides the rules.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Key(Vec<u8>);

// === impl Memory ===

impl Memory {
    /// What is kept for this caller, who need not be known yet.
    pub(super) fn of(&self, caller: Key) -> Arc<Kept> {
        {
            let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(kept) = all.callers.get(&caller).filter(|_| all.count.load(Ordering::Relaxed) < MOST) {
                return Arc::clone(kept);
            }
        }
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        if all.count.load(Ordering::Relaxed) >= MOST {
            *all = All::default();
        }
        let count = Arc::clone(&all.count);
        let kept = all.callers.entry(caller).or_insert_with(|| {
            // A caller costs about as much as a ruling.
            count.fetch_add(1, Ordering::Relaxed);
            Arc::new(Kept { known: RwLock::default(), count })
        });
        Arc::clone(kept)
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory(..)")
    }
}

// === impl Kept ===

impl Kept {
    pub(super) fn recall(&self, key: &Key) -> Option<Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Keeps a ruling, unless something went wrong with it: a fault is looked at again each time.
    pub(super) fn keep(&self, key: Key, ruling: &Arc<Ruling>) {
        if ruling.faults.is_empty() && ruling.misfit.is_none() {
            self.put(key, Known::Ruling(Arc::clone(ruling)));
        }
    }

    /// Keeps that the answer depends on the address.
    pub(super) fn keep_by_address(&self, key: Key) {
        self.put(key, Known::ByAddress);
    }

    fn put(&self, key: Key, what: Known) {
        if key.0.len() > LONGEST {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_OF_ONE {
            self.count.fetch_sub(known.len(), Ordering::Relaxed);
            known.clear();
        }
        if known.insert(key, what).is_none() {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept(..)")
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

    fn recalled(kept: &Kept, name: &str) -> Option<Vec<usize>> {
        match kept.recall(&key(&[name]))? {
            Known::Ruling(ruling) => Some(ruling.permits.clone()),
            Known::ByAddress => None,
        }
    }

    fn permitted(by: usize) -> Arc<Ruling> {
        Arc::new(Ruling { permits: vec![by], ..Ruling::default() })
    }

    #[test]
    fn faults_are_not_kept() {
        let kept = Memory::default().of(key(&["alice"]));
        kept.keep(key(&["fault"]), &Arc::new(Ruling { faults: vec!["broken".to_owned()], ..Ruling::default() }));
        assert!(kept.recall(&key(&["fault"])).is_none());
    }

    /// 4,096 questions of a caller could take as many bodies of memory.
    #[test]
    fn flt_06_long_questions_are_not_kept() {
        let kept = Memory::default().of(key(&["alice"]));
        let (long, short) = ("u".repeat(LONGEST), "u".repeat(LONGEST - 64));
        kept.keep(key(&[&long]), &permitted(1));
        kept.keep(key(&[&short]), &permitted(2));
        assert!(recalled(&kept, &long).is_none());
        assert_eq!(recalled(&kept, &short), Some(vec![2]));
    }

    #[test]
    fn one_caller_pushes_out_nobody_else() {
        let memory = Memory::default();
        memory.of(key(&["alice"])).keep(key(&["hers"]), &permitted(7));
        let bob = memory.of(key(&["bob"]));
        for number in 0..4 * MOST {
            bob.keep(key(&[&number.to_string()]), &permitted(number));
        }
        assert!(recalled(&bob, "0").is_none(), "the number is bounded");
        assert_eq!(recalled(&memory.of(key(&["bob"])), &(4 * MOST - 1).to_string()), Some(vec![4 * MOST - 1]));
        assert_eq!(recalled(&memory.of(key(&["alice"])), "hers"), Some(vec![7]));
        assert!(recalled(&memory.of(key(&["carol"])), "hers").is_none());
    }

    #[test]
    fn the_number_of_callers_is_bounded() {
        let memory = Memory::default();
        memory.of(key(&["alice"])).keep(key(&["hers"]), &permitted(7));
        for number in 0..MOST {
            drop(memory.of(key(&[&number.to_string()])));
        }
        assert!(recalled(&memory.of(key(&["alice"])), "hers").is_none(), "forgotten with all others");
        assert!(memory.all.read().expect("not poisoned").callers.len() <= MOST);
    }
}
