//! The record: intent before effect, outcome after, refusals too, in one hash chain per writer (I2).
//!
//! `intent` is the only part that knows policy. `verify` needs only the files and the public key.

pub mod intent;
