//! The corridor of Doorward: from the listener to the answer. See `ARCHITECTURE.md`.

pub mod audit;
pub mod egress;
pub mod env;
pub mod listen;
pub mod sources;
pub mod tasks;
pub mod upstream;
