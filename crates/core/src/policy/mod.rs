//! Whether a caller may make exactly this call. Owns the witness [`permit::Permit`]; Cedar sits behind [`rules`].
//!
//! The same decision guards the call and filters the lists, so that listed and callable cannot drift apart. Must not know
//! where files, catalogues or approvals are kept: they come in as [`facts`]. `docs/adr/0003`; invariants I7 and I9.

mod arguments;
pub mod cases;
pub mod decide;
mod depth;
pub mod explain;
mod expr;
pub mod facts;
pub mod filter;
mod inspect;
mod judge;
mod load;
mod memory;
pub mod permit;
mod relax;
mod request;
pub mod rules;
mod schema;
mod slices;
mod traversal;
