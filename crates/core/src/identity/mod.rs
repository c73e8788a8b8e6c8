//! Who is calling. Owns the witness [`caller::Caller`] and the only function that makes one, [`caller::verify`].
//!
//! Must not know sessions, MCP messages or where records are kept. `credentials.md` section 5; invariants I1 and I7.

pub mod attested;
pub mod caller;
pub mod foreign;
pub mod issuer;
pub mod presented;
pub mod role;
pub mod svid;
pub mod tokeninfo;
