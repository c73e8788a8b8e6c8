//! The authorization server as facts and decisions: who asks, where answers go, what is granted, what a code and a token stand for.
//!
//! OAuth 2.1 with PKCE, RFC 8414, 8707, 9207 and 9728, client id metadata documents and RFC 7591 (protocol 9; house 11). Pure:
//! handlers load, ask, save and render; what happens next is decided here. Must not know sockets, the store or pages.

pub mod admission;
pub mod assertion;
pub mod attempt;
pub mod catalogue;
pub mod claims;
pub mod client;
pub mod device;
pub mod document;
pub mod dpop;
pub mod exchange;
pub mod flow;
pub mod form;
pub mod keys;
pub mod metadata;
pub mod pkce;
pub mod redirect;
pub mod registration;
pub mod request;
pub mod scope;
pub mod standing;
pub mod token;
