//! Accounts that people connect: OAuth of one person towards the authorization server of one server behind the gateway.
//!
//! Everything that a server, its authorization server and a browser say is read strictly and judged here; nothing here asks them:
//! texts come in, with the time and the randomness. The way of a connection: what a refused call says ([`challenge`]), what the
//! server says of itself ([`resource`]) and its authorization server ([`server`]), as which client we ask there ([`client`]) and for
//! what ([`scopes`]), the person's way there and back ([`trip`]), what comes of it ([`given`]) and what is kept ([`held`]). What is
//! sent to a token endpoint stands in [`request`]. MCP authorization, section "Authorization Server Discovery" and those after it;
//! attacks OC-01 to OC-05, OC-10, SSRF-03.

pub mod challenge;
pub mod client;
pub mod given;
pub mod held;
pub mod request;
pub mod resource;
pub mod scopes;
pub mod server;
pub mod trip;

#[cfg(test)]
mod tests;
