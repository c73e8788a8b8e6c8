//! The meaning of Doorward: every security fact is a type that only one pure function can make.
//!
//! Owns identities, sessions, MCP messages, policy, credentials and the audit chain as values.
//! Must not know sockets, SQL, clocks, random sources or an async runtime: whoever calls a maker
//! hands it the facts, the time and the randomness. See `ARCHITECTURE.md`, "The corridor".

pub mod abuses;
pub mod audit;
pub mod blame;
pub mod config;
pub mod connection;
pub mod contract;
pub mod credential;
pub mod flag;
pub mod glob;
pub mod id;
pub mod identity;
pub mod json;
pub mod launch;
pub mod mcp;
pub mod network;
pub mod oauth;
pub mod oidc;
pub mod policy;
pub mod screen;
pub mod secret;
pub mod session;
pub mod time;
