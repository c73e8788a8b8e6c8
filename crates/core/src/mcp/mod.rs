//! MCP messages in both eras: read strictly once, written again from what was read.
//!
//! Owns the meaning of a request ([`call::Call`]), of an upstream's message ([`reply`]), of the MCP headers and of
//! server-sent events. Must not know sessions, policy or sockets. Spec: revisions 2025-03-26 to 2026-07-28.

pub mod call;
pub mod decode;
pub mod encode;
pub mod error;
pub mod headers;
pub mod names;
pub mod reply;
pub mod sse;
pub mod version;
