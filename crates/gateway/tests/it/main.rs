//! The listener against real sockets: hostile bytes, slow clients, floods, TLS. See `door.rs` for the vocabulary.
#![cfg(test)]

mod door;
mod http;
mod http2;
mod slow;
mod smuggling;
mod tls;
