//! Whether a caller may make exactly this call. Owns the witness [`permit::Permit`]; Cedar sits behind [`rules`].
//!
//! The same decision guards the call and filters the lists, so that listed and callable cannot drift apart.

pub mod decide;
pub mod facts;
pub mod filter;
pub mod permit;
pub mod rules;
