//! Stdio servers with real processes (attacks.md STD-01, 02, 03, 05, 06, 07). The children are python3 programs.
#![cfg(test)]

mod bench;
mod hostile;
mod hygiene;
mod lifecycle;
mod shared;
