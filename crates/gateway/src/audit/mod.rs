//! Writes the record to disk. Owns the file, its lock, durability and the signing key file.
//!
//! What a record says and how the chain is linked is `doorward_core::audit`; nothing here looks into a record.

mod desk;
pub mod key;
pub(crate) mod medium;
mod place;
pub mod purge;
pub(crate) mod reading;
pub mod recorder;
pub mod settings;
#[cfg(test)]
mod tests;
mod unrecorded;
