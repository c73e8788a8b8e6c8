//! Inbound sockets: HTTP/1.1 and HTTP/2, TLS, Host and Origin, sizes and rates, before any work is spent.
//!
//! Takes the credential out of the headers ([`Presented`]) so that nothing behind this room can read it. Must not know
//! the store or any other station. House 8; protocol 3.2 steps S1, S2, S4 and S5.

mod activity;
pub mod body;
mod cors;
mod fields;
pub mod guard;
pub mod http;
pub mod metrics;
pub mod page;
pub mod rate;
mod rest;
pub mod room;
pub mod route;
mod stall;
mod starved;
pub mod tls;

use ::http::{HeaderMap, Method};
use bytes::{Bytes, BytesMut};
use doorward_core::id::{CorrelationId, UserId};
use doorward_core::identity::presented::Presented;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use rest::Arriving;
use room::{Full, Room, Taken};
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

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
    body: Arriving,
    patience: http::Patience,
}

/// A request for the front office: vetted for Host and Origin, its body unread.
#[derive(Debug)]
pub struct OfficeRequest {
    /// Which endpoint or page.
    pub office: route::Office,
    /// The method.
    pub method: Method,
    /// Headers as they came, cookies and client authentication among them: never logged, never passed on.
    pub headers: HeaderMap,
    /// The query.
    pub query: Option<String>,
    /// The name of this request everywhere.
    pub id: CorrelationId,
    /// The client's address, through configured proxies only.
    pub peer: IpAddr,
    body: Arriving,
    patience: http::Patience,
}

/// Bodies that the front office takes, in bytes: forms and registrations. As small as what each connection may hold anyway, since
/// whoever sends one is nobody yet.
const OFFICE_BODY: usize = 16 * 1024;

/// A piece of a body below this size, in bytes, is copied to its neighbours.
const SMALL: usize = 4 * 1024;
/// Up to this size of them, in bytes.
const GATHERED: usize = 64 * 1024;
/// Before the minimum rate of a body counts.
const GRACE: Duration = Duration::from_secs(5);

/// Why a body was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadBody {
    /// Larger than `listen.max_body`.
    TooLarge,
    /// Too slow, or the connection broke.
    Broken,
    /// The bodies of others leave no room for it.
    Full,
    /// The other bodies of its user fill their share of the room.
    Share,
}

impl Inbound {
    /// Reads the body for this user. Called only once the caller is known (RPC-03). It must arrive within the body patience of the
    /// listener, and after a grace of five seconds at its minimum rate.
    ///
    /// # Errors
    /// [`BadBody`].
    pub async fn read(&mut self, limit: usize, room: &Room, user: &UserId) -> Result<(Bytes, Taken), BadBody> {
        if self.body.size_hint().lower() > limit as u64 {
            return Err(BadBody::TooLarge);
        }
        let (begun, mut taken) = (Instant::now(), Taken::default());
        let (mut pieces, mut small, mut got): (Vec<Bytes>, BytesMut, usize) = (Vec::new(), BytesMut::new(), 0);
        loop {
            let slowest = GRACE + Duration::from_secs(got as u64 / u64::from(self.patience.body_rate.max(1)));
            let until = begun + slowest.min(self.patience.body);
            let frame = match timeout_at(until, self.body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(None) => break,
                Ok(Some(Err(_))) | Err(_) => return Err(BadBody::Broken),
            };
            let Ok(data) = frame.into_data() else { continue };
            if got + data.len() > limit {
                return Err(BadBody::TooLarge);
            }
            room.grow(&mut taken, user, got + data.len()).map_err(|full| match full {
                Full::All => BadBody::Full,
                Full::Share => BadBody::Share,
            })?;
            got += data.len();
            // Each piece holds the buffer that it came in: small ones are put together, or they would take a multiple of what the
            // room counts (FLT-06).
            if data.len() < SMALL && (got > data.len() || !self.body.is_end_stream()) {
                small.extend_from_slice(&data);
                if small.len() >= GATHERED {
                    pieces.push(small.split().freeze());
                }
            } else {
                if !small.is_empty() {
                    pieces.push(small.split().freeze());
                }
                pieces.push(data);
            }
        }
        if !small.is_empty() {
            pieces.push(small.freeze());
        }
        // What came in one piece is not copied, and the others once: a text that grows would take twice its size.
        if let [_] | [] = pieces.as_slice() {
            return Ok((pieces.pop().unwrap_or_default(), taken));
        }
        let mut whole = BytesMut::with_capacity(got);
        for piece in pieces {
            whole.extend_from_slice(&piece);
        }
        Ok((whole.freeze(), taken))
    }
}

impl OfficeRequest {
    /// Reads the body, at most 16 KiB, within the body patience of the listener.
    ///
    /// # Errors
    /// [`BadBody::TooLarge`] and [`BadBody::Broken`].
    pub async fn read(&mut self) -> Result<Bytes, BadBody> {
        if self.body.size_hint().lower() > OFFICE_BODY as u64 {
            return Err(BadBody::TooLarge);
        }
        let (begun, mut whole) = (Instant::now(), BytesMut::new());
        loop {
            let slowest = GRACE + Duration::from_secs(whole.len() as u64 / u64::from(self.patience.body_rate.max(1)));
            let frame = match timeout_at(begun + slowest.min(self.patience.body), self.body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(None) => return Ok(whole.freeze()),
                Ok(Some(Err(_))) | Err(_) => return Err(BadBody::Broken),
            };
            let Ok(data) = frame.into_data() else { continue };
            if whole.len() + data.len() > OFFICE_BODY {
                return Err(BadBody::TooLarge);
            }
            whole.extend_from_slice(&data);
        }
    }
}
