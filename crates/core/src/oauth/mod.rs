//! The front office: who an OAuth client is, what it asked, and where its answers may go. Pure; house 11.
//!
//! Must not know HTTP handlers, pages, the store or how a document is fetched.

pub mod admission;
pub mod catalogue;
pub mod claims;
pub mod client;
pub mod document;
pub mod redirect;
pub mod registration;
