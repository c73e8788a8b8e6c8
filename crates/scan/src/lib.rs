//! The auditor of Doorward: finds what is wrong in the MCP set-ups that people have, in their files alone.
//!
//! `scan` reads the files of clients (`clients`, `estate`), brings them into one model (`document`, `server`, `launch`), lets
//! each rule look (`rules`) and gives a [`Report`]. It never starts a program and never opens a connection: the crate has no
//! dependency that could, and a test reads its sources and its manifest for it (`tests/it/house.rs`). A secret value is a `Raw`,
//! which cannot be printed; reports hold redacted text only. Must not know the gateway.

mod clients;
mod disk;
mod document;
mod estate;
mod finding;
mod git;
mod inert;
mod launch;
mod layout;
mod manual;
mod raw;
mod report;
mod rules;
mod secrets;
mod server;
mod survey;

pub use clients::Words;
pub use estate::{Computer, Depth, Request, Target};
pub use finding::{Confidence, Finding, Severity};
pub use inert::{inert, strange};
pub use layout::{Layout, MOVES, Moved, Os};
pub use manual::{explain, ids};
pub use report::{Asked, BadBaseline, Color, Grade, Live, NOT_ASKED, NOT_COVERED, Note, Report};
pub use rules::{RULES, Rule};
pub use server::Step;
pub use survey::{
    ANCHORS, CONNECTION, Client, Cover, Entry, Found, Keeper, Language, Nature, Reach, Survey, Text, Unlike, Unread, Value, clients,
    covered_line, covers, language, survey,
};

/// Looks at everything that a request names. Reads files, and does nothing else.
#[must_use]
pub fn scan(request: &Request) -> Report {
    Report::of(&estate::collect(request, estate::Texts::Leave))
}
