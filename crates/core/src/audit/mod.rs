//! The record: intent before effect, outcome after, refusals too, in one hash chain per writer (I2).
//!
//! `intent` and `chain` know policy. `verify` needs only the file and the public key; `recovery`
//! only the file, or its end and a `bookmark`. `purge` takes away what is old enough; `export` signs what is handed out.
//! Nothing here touches a file or a clock: whoever writes the lines rolls the chain back when the write failed.

pub mod bookmark;
pub mod chain;
pub mod checkpoint;
pub mod event;
pub mod export;
pub mod intent;
mod named;
pub mod outcome;
pub mod purge;
pub mod recovery;
pub mod verify;
pub mod wanted;

#[cfg(test)]
mod purge_tests;
#[cfg(test)]
mod tamper_tests;
#[cfg(test)]
mod tests;
