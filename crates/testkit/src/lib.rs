//! Fixtures and hostile peers of Doorward; used by tests only.
//!
//! - [`fixture`]: a well-behaved MCP server of both eras on the public SDK (binary `doorward-fixture`).
//! - [`flawed`]: an MCP server with one flaw, and servers that attack, for the auditor.
//! - [`forwarder`]: adds a header to every request on its way (binary `doorward-forwarder`).
//! - [`google`]: the services of Google that give tokens, right until a test tells them otherwise (binary `doorward-google`).
//! - [`lax`]: believes everything, records every byte, misbehaves on demand (binary `doorward-lax`).
//! - [`provider`]: an identity provider, right until a test tells it otherwise.
//! - [`prover`]: a client that proves a key, right until a test tells it otherwise.
//! - [`registry`]: answers npm and pip what a test tells it, and notes who asked.
//! - [`third_party`]: where people have accounts: an authorization server, and an MCP server that takes its tokens.
//! - [`wire`]: HTTP/1.1 as bytes, for the forwarder and for peers without an SDK.

pub mod fixture;
pub mod flawed;
pub mod forwarder;
pub mod google;
pub mod lax;
pub mod prover;
pub mod provider;
pub mod registry;
pub mod third_party;
pub mod wire;
