//! VLT-02 without a database: a ciphertext opens in its own place, under its own key, unchanged, and nowhere else.

use super::*;
use std::sync::atomic::{AtomicU64, Ordering};

struct Counting(AtomicU64);

impl Random for Counting {
    fn fill(&self, out: &mut [u8]) -> Result<(), NoRandom> {
        let next = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        for (to, from) in out.iter_mut().zip(next.iter().cycle()) {
            *to = *from;
        }
        Ok(())
    }
}

struct Dry;

impl Random for Dry {
    fn fill(&self, _: &mut [u8]) -> Result<(), NoRandom> {
        Err(NoRandom)
    }
}

fn sealer(byte: u8) -> Sealer {
    Sealer::new(&Secret::new([byte; 32]), Arc::new(Counting(AtomicU64::new(1)))).expect("key")
}

const ROW: &[&[u8]] = &[b"id", b"alpha"];
const PLACE: Place<'static> = Place { table: "vault", column: "sealed", row: ROW, owner: ("local", "alice"), version: 3 };

#[test]
fn vlt_02_a_value_opens_only_where_it_was_put() {
    let sealer = sealer(1);
    let sealed = sealer.seal(&PLACE, b"canary").expect("sealed");
    assert_eq!(sealer.open(&PLACE, &sealed).expect("opens").expose(), b"canary");
    for (what, place) in [
        ("table", Place { table: "tasks", ..PLACE }),
        ("column", Place { column: "other", ..PLACE }),
        ("row", Place { row: &[b"id2", b"alpha"], ..PLACE }),
        ("server", Place { row: &[b"id", b"beta"], ..PLACE }),
        ("shifted row", Place { row: &[b"ida", b"lpha"], ..PLACE }),
        ("shorter row", Place { row: &[b"id"], ..PLACE }),
        ("subject", Place { owner: ("local", "bob"), ..PLACE }),
        ("shifted owner", Place { owner: ("locala", "lice"), ..PLACE }),
        ("version", Place { version: 4, ..PLACE }),
    ] {
        assert_eq!(sealer.open(&place, &sealed).err(), Some(Unopened), "{what}");
    }
}

#[test]
fn vlt_02_every_changed_bit_and_every_cut_is_noticed() {
    let sealer = sealer(1);
    let sealed = sealer.seal(&PLACE, b"canary").expect("sealed");
    for at in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        assert!(sealer.open(&PLACE, &changed).is_err(), "bit in byte {at}");
        assert!(sealer.open(&PLACE, &sealed[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn vlt_03_another_key_opens_nothing() {
    let sealed = sealer(1).seal(&PLACE, b"canary").expect("sealed");
    assert!(sealer(2).open(&PLACE, &sealed).is_err());
}

#[test]
fn equal_values_look_different_and_nothing_is_printed() {
    let sealer = sealer(1);
    let (one, two) = (sealer.seal(&PLACE, b"canary").expect("sealed"), sealer.seal(&PLACE, b"canary").expect("sealed"));
    assert_ne!(one, two);
    assert!(!one.windows(6).any(|window| window == b"canary"));
    assert_eq!(format!("{sealer:?}"), "Sealer(..)");
}

#[test]
fn nothing_is_sealed_without_randomness() {
    let sealer = Sealer::new(&Secret::new([1; 32]), Arc::new(Dry)).expect("key");
    assert_eq!(sealer.seal(&PLACE, b"canary"), Err(NoRandom));
}
