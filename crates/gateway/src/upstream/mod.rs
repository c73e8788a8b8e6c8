//! The servers behind the gateway.

pub mod stdio;
