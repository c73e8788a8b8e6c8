//! The only door out: every outbound connection is resolved, vetted, pinned and made here, and nowhere else.
//!
//! No redirect is followed, no proxy variable is read, no connection is shared between two users or credentials, and no
//! request that may have reached an upstream is sent twice. Must not know MCP, policy or the store. House 9.2 and 10;
//! security SR-60; attacks SSRF-01, SSRF-02, PT-04, HTTP-04.

pub mod ask;
pub mod connect;
pub mod error;
mod live;
pub mod pool;
pub mod reply;
pub mod target;
#[cfg(test)]
mod tests;
pub mod trust;

use crate::tasks::Tasks;
use bytes::Bytes;
use connect::{Connector, Names, SystemNames};
use error::{BadEgress, EgressError};
use http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, Request, Response, Uri, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use ipnet::IpNet;
use live::{Either, Failed, Payload};
use pool::{Bounds, Kept, Key, Pool, PoolKey};
use reply::{Carrier, ReplyBody, ReplyLimits};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use target::Target;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use trust::Trust;

/// The door out; cheap to clone.
#[derive(Debug, Clone)]
pub struct Egress {
    inner: Arc<Inner>,
}

/// How the door is built.
#[derive(Debug)]
pub struct EgressSettings {
    /// Private and loopback networks that configured targets may lead to. Never opens metadata or other special networks.
    pub allow_private: Vec<IpNet>,
    /// Certificate authorities besides the system's, PEM; empty for none.
    pub extra_ca: Vec<u8>,
    /// The resolver.
    pub names: Arc<dyn Names>,
    /// For resolving, connecting and the TLS handshake together.
    pub connect_time: Duration,
    /// How long an unused connection is kept.
    pub idle_time: Duration,
    /// Unused connections of one key at most.
    pub idle_per_key: usize,
    /// Keys with connections at most; the least recently used gives way.
    pub keys: usize,
    /// Open connections at most, used or not.
    pub connections: usize,
    /// Owner of the connections' tasks.
    pub tasks: Tasks,
}

/// A request to be sent to a [`Target`].
#[derive(Debug)]
pub struct Outbound {
    /// The method.
    pub method: Method,
    /// Headers, without those this room owns: `Host`, lengths, codings and everything hop-by-hop.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Bytes,
}

#[derive(Debug)]
struct Inner {
    connector: Connector,
    pool: Arc<Pool>,
    seats: Arc<Semaphore>,
    tasks: Tasks,
    idle_time: Duration,
    swept: AtomicBool,
}

/// Headers that describe the connection rather than the request, or that this room sets itself.
const OWNED: [HeaderName; 11] = [
    HOST,
    CONNECTION,
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
    TE,
    TRAILER,
    UPGRADE,
    EXPECT,
    ACCEPT_ENCODING,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

// === impl EgressSettings ===

impl EgressSettings {
    /// Nothing private opened, the system's roots and resolver, 10 s to connect, 20 s idle, 64 idle connections per key,
    /// 4,096 keys, 8,192 connections.
    #[must_use]
    pub fn new(tasks: Tasks) -> Self {
        Self {
            allow_private: Vec::new(),
            extra_ca: Vec::new(),
            names: Arc::new(SystemNames::new()),
            connect_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(20),
            idle_per_key: 64,
            keys: 4096,
            connections: 8192,
            tasks,
        }
    }
}

// === impl Egress ===

impl Egress {
    /// A door with no open connection.
    ///
    /// # Errors
    /// [`BadEgress`] if the additional authorities cannot be used.
    pub fn new(settings: EgressSettings) -> Result<Self, BadEgress> {
        let trust = Trust::system_and(&settings.extra_ca)?;
        let bounds = Bounds { keys: settings.keys, idle_per_key: settings.idle_per_key, idle_time: settings.idle_time };
        let connector = Connector { allow_private: settings.allow_private, names: settings.names, trust, patience: settings.connect_time };
        Ok(Self {
            inner: Arc::new(Inner {
                connector,
                pool: Arc::new(Pool::new(bounds, settings.tasks.clone())),
                seats: Arc::new(Semaphore::new(settings.connections)),
                tasks: settings.tasks,
                idle_time: settings.idle_time,
                swept: AtomicBool::new(false),
            }),
        })
    }

    /// Sends one request and waits for the head of its reply. Dropping the future cancels the exchange.
    ///
    /// A request is tried a second time only when a kept connection turned out to be closed before a byte was written.
    ///
    /// # Errors
    /// [`EgressError`]; `sent` tells whether the upstream may have acted.
    pub async fn send(
        &self,
        target: &Target,
        pool: &PoolKey,
        outbound: Outbound,
        limits: &ReplyLimits,
    ) -> Result<Response<ReplyBody>, EgressError> {
        if outbound.headers.keys().any(|name| OWNED.contains(name)) {
            return Err(EgressError::BadRequest("a header that describes the connection"));
        }
        let written = AtomicBool::new(false);
        match tokio::time::timeout(limits.headers, self.exchange(target, pool, outbound, limits, &written)).await {
            Ok(done) => done,
            Err(_) => Err(EgressError::Timeout { sent: written.load(Ordering::Relaxed) }),
        }
    }

    /// Kept connections, and the keys they belong to.
    #[must_use]
    pub fn idle(&self) -> (usize, usize) {
        self.inner.pool.size()
    }

    async fn exchange(
        &self,
        target: &Target,
        pool: &PoolKey,
        outbound: Outbound,
        limits: &ReplyLimits,
        written: &AtomicBool,
    ) -> Result<Response<ReplyBody>, EgressError> {
        let key = Key { origin: target.origin(), trust: target.trust().cloned(), pool: pool.clone() };
        let mut request = compose(target, outbound)?;
        if let Some(kept) = self.inner.kept(&key).await {
            match self.through(kept, target, request, limits, written).await {
                Ok(reply) => return Ok(reply),
                Err(Failed { unsent: Some(unsent), .. }) => request = *unsent,
                Err(failed) => return Err(failed.error),
            }
            written.store(false, Ordering::Relaxed);
        }
        // Rare and large: those that find an open connection do not carry the room for a new one about.
        let fresh = Box::pin(self.inner.open(target, Arc::new(key))).await?;
        self.through(fresh, target, request, limits, written).await.map_err(|failed| failed.error)
    }

    async fn through(
        &self,
        either: Either,
        target: &Target,
        mut request: Request<Payload>,
        limits: &ReplyLimits,
        written: &AtomicBool,
    ) -> Result<Response<ReplyBody>, Failed> {
        let (response, carrier) = match either {
            Either::Own(mut live) => {
                address_http_1(&mut request, target);
                written.store(true, Ordering::Relaxed);
                let response = live.send(request).await?;
                (response, Carrier::Own(live, Arc::clone(&self.inner.pool)))
            }
            Either::Shared(shared) => {
                address_http_2(&mut request, target).map_err(|error| Failed { unsent: None, error })?;
                written.store(true, Ordering::Relaxed);
                let response = shared.send(request).await?;
                (response, Carrier::Shared(shared))
            }
        };
        received(response, limits, carrier).map_err(|error| Failed { unsent: None, error })
    }
}

fn received(response: Response<Incoming>, limits: &ReplyLimits, carrier: Carrier) -> Result<Response<ReplyBody>, EgressError> {
    let (head, body) = response.into_parts();
    reply::check(&head)?;
    let body = ReplyBody::new(body, &head.headers, limits, carrier)?;
    Ok(Response::from_parts(head, body))
}

fn compose(target: &Target, outbound: Outbound) -> Result<Request<Payload>, EgressError> {
    let mut request = Request::new(Box::new(Full::new(outbound.body)));
    *request.method_mut() = outbound.method;
    *request.headers_mut() = outbound.headers;
    *request.uri_mut() = Uri::from(target.path().clone());
    if *request.method() == Method::CONNECT {
        return Err(EgressError::BadRequest("the method"));
    }
    Ok(request)
}

/// Origin form with `Host` (RFC 9112 section 3.2.1).
fn address_http_1(request: &mut Request<Payload>, target: &Target) {
    *request.version_mut() = Version::HTTP_11;
    *request.uri_mut() = Uri::from(target.path().clone());
    if let Ok(host) = HeaderValue::from_str(target.authority().as_str()) {
        request.headers_mut().insert(HOST, host);
    }
}

/// `:scheme` and `:authority` (RFC 9113 section 8.3.1).
fn address_http_2(request: &mut Request<Payload>, target: &Target) -> Result<(), EgressError> {
    let uri = Uri::builder()
        .scheme(target.scheme().as_str())
        .authority(target.authority().clone())
        .path_and_query(target.path().clone())
        .build()
        .map_err(|_| EgressError::BadRequest("the address"))?;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = uri;
    request.headers_mut().remove(HOST);
    Ok(())
}

// === impl Inner ===

impl Inner {
    async fn kept(&self, key: &Key) -> Option<Either> {
        loop {
            match self.pool.take(key)? {
                Kept::Shared(shared) => return Some(Either::Shared(shared)),
                Kept::Own(mut live) => {
                    if live.ready().await {
                        return Some(Either::Own(live));
                    }
                }
            }
        }
    }

    async fn open(self: &Arc<Self>, target: &Target, key: Arc<Key>) -> Result<Either, EgressError> {
        let seat = self.seat()?;
        let wire = self.connector.connect(target).await?;
        let either = live::start(wire, Arc::clone(&key), &self.tasks, seat).await?;
        if let Either::Shared(shared) = &either {
            self.pool.share(&key, shared);
        }
        self.keep_swept();
        Ok(either)
    }

    /// The right to one more connection; when all are taken, unused ones are closed.
    fn seat(&self) -> Result<OwnedSemaphorePermit, EgressError> {
        let seat = || Arc::clone(&self.seats).try_acquire_owned();
        if let Ok(seat) = seat() {
            return Ok(seat);
        }
        self.pool.clear();
        seat().map_err(|_| EgressError::Busy)
    }

    /// Starts the task that closes unused connections, once.
    fn keep_swept(self: &Arc<Self>) {
        if self.swept.swap(true, Ordering::Relaxed) {
            return;
        }
        let (door, tasks, every): (Weak<Self>, Tasks, Duration) = (Arc::downgrade(self), self.tasks.clone(), self.idle_time / 2);
        self.tasks.spawn(async move {
            loop {
                let stopping = tokio::select! {
                    () = tasks.stopping() => true,
                    () = tokio::time::sleep(every.max(Duration::from_millis(100))) => false,
                };
                let Some(door) = door.upgrade() else { return };
                if stopping {
                    door.pool.close();
                    return;
                }
                door.pool.sweep();
            }
        });
    }
}
