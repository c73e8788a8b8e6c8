//! Child processes that speak MCP over their standard input and output (protocol section 16.6; C17; SR-56).
//!
//! The way of a command: [`profile::LaunchProfile`] says what is to run, [`profile::approve`] compares it with the
//! digest that an administrator approved (I9), [`household::Launcher`] starts the own binary again as
//! [`launcher::main`], which narrows itself and becomes the program, and [`child::Child`] carries lines both ways
//! until the process and everything that it started is gone. Must not know what a line means, whose call it belongs
//! to or where a secret comes from. Linux only: it leans on `/proc`, pidfds and the parent-death signal.

pub mod child;
mod complaints;
pub mod ending;
pub mod framing;
pub mod household;
mod keeper;
pub mod launcher;
pub mod package;
mod plan;
mod proc;
pub mod profile;
pub mod restart;
