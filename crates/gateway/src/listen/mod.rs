//! Inbound sockets: HTTP/1.1 and HTTP/2, TLS, Host and Origin, sizes and rates, before any work is spent.
//!
//! Takes the credential out of the headers ([`Presented`]) so that nothing behind this room can read it. Must not know
//! the store or any other station. House 8; protocol 3.2 steps S1, S2, S4 and S5.

pub mod body;
pub mod guard;
pub mod http;
pub mod route;
pub mod tls;

use ::http::HeaderMap;
use bytes::Bytes;
use doorward_core::id::CorrelationId;
use doorward_core::identity::presented::Presented;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use std::net::IpAddr;
use std::time::Duration;

/// One MCP request at the door: bounded, vetted for Host and Origin, with its credential set apart and its body unread.
#[derive(Debug)]
pub struct Inbound {
    /// Which door and server.
    pub route: route::McpRoute,
    /// POST, GET or DELETE.
    pub verb: route::Verb,
    /// Headers without any credential. Only the MCP headers are ever read from them.
    pub headers: HeaderMap,
    /// What the client showed.
    pub presented: Presented,
    /// The name of this request everywhere.
    pub id: CorrelationId,
    /// The client's address, through configured proxies only.
    pub peer: IpAddr,
    body: Incoming,
}

/// Why a body was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadBody {
    /// Larger than `listen.max_body`.
    TooLarge,
    /// Too slow, or the connection broke.
    Broken,
}

/// A body must arrive whole within this time, whatever its size.
const BODY_PATIENCE: Duration = Duration::from_secs(30);

impl Inbound {
    /// Reads the body. Called only once the caller is known (RPC-03).
    ///
    /// # Errors
    /// [`BadBody`].
    pub async fn read(&mut self, limit: usize) -> Result<Bytes, BadBody> {
        use http_body::Body as _;
        if self.body.size_hint().lower() > limit as u64 {
            return Err(BadBody::TooLarge);
        }
        let whole = Limited::new(&mut self.body, limit).collect();
        match tokio::time::timeout(BODY_PATIENCE, whole).await {
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
            Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => Err(BadBody::TooLarge),
            Ok(Err(_)) | Err(_) => Err(BadBody::Broken),
        }
    }
}
