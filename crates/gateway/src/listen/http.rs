//! The accept loop and the life of a connection. Nothing here knows what a request means.

use super::activity::{Activity, Noticed};
use super::body::Body;
use super::fields::{self, HEADER_BYTES, HEADER_FIELDS};
use super::guard::{Guard, Turned};
use super::metrics::Metrics;
use super::page::not_allowed;
use super::rate::AddressLimit;
use super::rest::Arriving;
use super::route::{Origins, Route, Verb};
use super::stall::Stall;
use super::starved::Streams;
use super::tls::{Peer, Tls};
use super::{Inbound, OfficeRequest, cors};
use crate::env::Env;
use crate::tasks::Tasks;
use ::http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, EXPECT, HeaderName, HeaderValue, ORIGIN, REFERRER_POLICY,
    RETRY_AFTER, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use ::http::{Method, Request, Response, StatusCode, Version};
use bytes::Bytes;
use doorward_core::identity::caller::Door;
use doorward_core::identity::issuer::Carrier;
use doorward_core::identity::presented::Presented;
use doorward_core::identity::svid::PeerCertificate;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use ipnet::IpNet;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::server::TlsStream;

/// The other end of a connection, as the connection itself shows it.
#[derive(Clone)]
struct Far {
    address: SocketAddr,
    certificate: Option<Arc<PeerCertificate>>,
}

/// Who serves what comes in.
pub trait Serve: Send + Sync + 'static {
    /// An MCP request: the corridor. Dropped when the client closes its connection or resets the stream.
    fn mcp(self: Arc<Self>, inbound: Inbound) -> impl Future<Output = Response<Body>> + Send;
    /// A request for metadata, an OAuth endpoint or a page.
    fn office(self: Arc<Self>, request: OfficeRequest) -> impl Future<Output = Response<Body>> + Send;
    /// Whether calls would be served now.
    fn is_ready(&self) -> bool;
    /// A request or connection was turned away at the door. Called for each one: the corridor limits how many it records.
    fn turned_away(&self, what: Turned, peer: IpAddr);
}

/// What a listener needs besides its socket.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Host, Origin, proxies.
    pub guard: Guard,
    /// Certificates; `None` only on loopback or behind a configured proxy. Without TLS only HTTP/1.1 is spoken.
    pub tls: Option<Tls>,
    /// Behind a proxy that ends TLS: the only peers that may connect. What comes from elsewhere never had TLS.
    pub only_from: Option<Vec<IpNet>>,
    /// Open connections at most; further ones are answered 503 (closed at once with TLS).
    pub connections: usize,
    /// How long a client may take.
    pub patience: Patience,
    /// Requests without a credential from one address. The corridor counts refused credentials on the same table.
    pub strangers: Arc<AddressLimit>,
    /// Headers in which proxies say who calls: whoever has one shows something, good or not.
    pub carriers: Vec<Carrier>,
    /// Counters.
    pub metrics: Metrics,
    /// Clock and randomness.
    pub env: Env,
    /// Owner of the connection tasks.
    pub tasks: Tasks,
}

/// How long a client may take for each step.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a TLS handshake.
    pub handshake: Duration,
    /// For the headers of a request, and from the handshake to the first request.
    pub head: Duration,
    /// For a whole body.
    pub body: Duration,
    /// Bytes a second that a body must keep up with after five seconds.
    pub body_rate: u32,
    /// For what is left of a body that nobody wanted, before the connection is given up.
    pub rest: Duration,
    /// For a write that makes no progress.
    pub write: Duration,
    /// For an open connection without a request.
    pub idle: Duration,
    /// For open requests after shutdown began.
    pub drain: Duration,
}

impl Default for Patience {
    /// 10 s for handshake and head, 30 s for a body at 500 bytes a second, 1 s for the rest of one, 30 s for a stalled write, 75 s idle,
    /// 8 s to drain.
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(10),
            body: Duration::from_secs(30),
            body_rate: 500,
            rest: Duration::from_secs(1),
            write: Duration::from_secs(30),
            idle: Duration::from_secs(75),
            drain: Duration::from_secs(8),
        }
    }
}

/// Fetch standard: whose pages may embed an answer.
pub(super) const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n\
X-Content-Type-Options: nosniff\r\nRetry-After: 1\r\nContent-Length: 26\r\nConnection: close\r\n\r\nToo many open connections.";

/// What the system holds of an answer that its client does not take, in bytes; it may take twice that. Left alone it would hold four
/// million of each connection (FLT-06), and what it holds nobody counts.
const SEND_BUFFER: usize = 256 * 1024;

/// Bounds what the system holds for the clients of this listener: connections have it from there.
///
/// # Errors
/// The system's.
pub fn narrow(listener: &TcpListener) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_socket_send_buffer_size(listener, SEND_BUFFER)?)
}

/// Accepts until shutdown begins.
pub async fn accept<S: Serve>(listener: TcpListener, settings: Settings, serve: Arc<S>) {
    let seats = Arc::new(Semaphore::new(settings.connections));
    let settings = Arc::new(settings);
    loop {
        let accepted = tokio::select! {
            () = settings.tasks.stopping() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((_, peer)) if settings.only_from.as_ref().is_some_and(|nets| !nets.iter().any(|net| net.contains(&peer.ip()))) => {
                turn_away(&settings, serve.as_ref(), Turned::Peer, peer.ip());
            }
            Ok((stream, peer)) => match Arc::clone(&seats).try_acquire_owned() {
                Ok(seat) => {
                    let (settings, serve) = (Arc::clone(&settings), Arc::clone(&serve));
                    let tasks = settings.tasks.clone();
                    tasks.spawn(async move {
                        let open = settings.metrics.connection();
                        connection(stream, peer, settings, serve).await;
                        drop((open, seat));
                    });
                }
                Err(_) => {
                    turn_away(&settings, serve.as_ref(), Turned::Connections, peer.ip());
                    if settings.tls.is_none() {
                        let _full = stream.try_write(TOO_MANY);
                    }
                }
            },
            Err(error) => {
                // Out of descriptors: give others time to close theirs instead of spinning (HTTP-07).
                tracing::warn!(%error, "cannot accept");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

fn turn_away<S: Serve>(settings: &Settings, serve: &S, what: Turned, peer: IpAddr) {
    settings.metrics.turned_away(what);
    serve.turned_away(what, peer);
}

async fn connection<S: Serve>(stream: TcpStream, peer: SocketAddr, settings: Arc<Settings>, serve: Arc<S>) {
    let _slower = stream.set_nodelay(true);
    let stream = Stall::new(stream, settings.patience.write);
    let far = Far { address: peer, certificate: None };
    match &settings.tls {
        // Each kind of connection in a box of its own: what is never spoken takes no room beside it.
        None => Box::pin(http_1(stream, far, settings, serve)).await,
        Some(tls) => match Box::pin(tokio::time::timeout(settings.patience.handshake, tls.accept(stream))).await {
            Ok(Ok((stream, shown))) => secured(stream, shown, far, settings, serve).await,
            Ok(Err(error)) => tracing::debug!(%error, "handshake"),
            Err(_) => tracing::debug!("handshake timed out"),
        },
    }
}

/// Boxed before anything waits: a connection keeps no second room for what it goes over.
fn secured<S: Serve, T>(stream: TlsStream<T>, shown: Option<Peer>, mut far: Far, settings: Arc<Settings>, serve: Arc<S>) -> Served
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    far.certificate = shown.as_ref().map(|peer| Arc::clone(peer.certificate()));
    let served: Served = if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        Box::pin(http_2(stream, far, settings, serve))
    } else {
        Box::pin(http_1(stream, far, settings, serve))
    };
    let Some(peer) = shown else { return served };
    // With the connection go its calls and streams: whoever is trusted no more has no handshake either.
    Box::pin(async move {
        tokio::select! {
            () = served => {}
            () = peer.distrusted() => tracing::debug!("the authority of its certificate is none any more"),
        }
    })
}

type Served = Pin<Box<dyn Future<Output = ()> + Send>>;

async fn http_1<S: Serve, T>(io: T, far: Far, settings: Arc<Settings>, serve: Arc<S>)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    // A client that closes its side has cancelled: no half-closed connections.
    builder
        // `Activity` sees slow heads, and idle connections, too: no timer is set and taken away for each request.
        .header_read_timeout(None)
        .max_headers(HEADER_FIELDS)
        .max_header_size(HEADER_BYTES)
        .max_buf_size(HEADER_BYTES * 2)
        .auto_date_header(false)
        .half_close(false);
    let activity = Activity::new();
    let io = TokioIo::new(Noticed::new(io, Arc::clone(&activity)));
    let mut connection = Box::pin(builder.serve_connection(io, service(far, &settings, &serve, &activity)));
    tokio::select! {
        // In this order: what happened in the connection is seen right afterwards.
        biased;
        ended = connection.as_mut() => if let Err(error) = ended { tracing::debug!(%error, "connection") },
        () = activity.idle(&settings.patience, Version::HTTP_11) => tracing::debug!("no request"),
        () = settings.tasks.stopping() => {
            connection.as_mut().graceful_shutdown();
            let _late = tokio::time::timeout(settings.patience.drain, connection).await;
        }
    }
}

async fn http_2<S: Serve, T>(io: T, far: Far, settings: Arc<Settings>, serve: Arc<S>)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http2::Builder::new(Streams { tasks: settings.tasks.clone(), limit: settings.patience.write });
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(HEADER_BYTES).unwrap_or(u32::MAX))
        .max_concurrent_streams(128)
        .max_pending_accept_reset_streams(32)
        .max_local_error_reset_streams(128)
        .max_send_buf_size(256 * 1024)
        .auto_date_header(false)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10));
    let activity = Activity::new();
    let mut connection = Box::pin(builder.serve_connection(TokioIo::new(io), service(far, &settings, &serve, &activity)));
    tokio::select! {
        ended = connection.as_mut() => if let Err(error) = ended { tracing::debug!(%error, "connection") },
        () = activity.idle(&settings.patience, Version::HTTP_2) => tracing::debug!("no request"),
        () = settings.tasks.stopping() => {
            connection.as_mut().graceful_shutdown();
            let _late = tokio::time::timeout(settings.patience.drain, connection).await;
        }
    }
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

fn service<S: Serve>(
    far: Far,
    settings: &Arc<Settings>,
    serve: &Arc<S>,
    activity: &Arc<Activity>,
) -> impl hyper::service::Service<Request<Incoming>, Response = Response<Body>, Error = Infallible, Future = Answering> + use<S> {
    let (settings, serve, activity) = (Arc::clone(settings), Arc::clone(serve), Arc::clone(activity));
    service_fn(move |request: Request<Incoming>| -> Answering {
        let (settings, serve, serving) = (Arc::clone(&settings), Arc::clone(&serve), activity.serve());
        let far = far.clone();
        let (version, expects) = (request.version(), request.headers().contains_key(EXPECT));
        let (parts, body) = request.into_parts();
        let (body, rest) = Arriving::new(body);
        Box::pin(async move {
            let mut response = route(Request::from_parts(parts, body), far, &settings, serve).await;
            // HTTP/2 resets a stream that is not wanted, and the others go on.
            if version < Version::HTTP_2 && !rest.exhausted(settings.patience.rest, expects).await {
                response = closing(response, version);
            }
            constant_headers(&mut response, &settings);
            response.body_mut().while_sent(Box::new(serving));
            Ok(response)
        })
    })
}

async fn route<S: Serve>(request: Request<Arriving>, far: Far, settings: &Settings, serve: Arc<S>) -> Response<Body> {
    use http_body::Body as _;
    let (mut parts, body) = request.into_parts();
    let client = settings.guard.client(far.address.ip(), &parts.headers);
    let route = Route::of(parts.uri.path());
    let kind = route.kind();
    let refuse = |what: Turned, status: StatusCode, text: &'static str| {
        turn_away(settings, serve.as_ref(), what, client);
        settings.metrics.answered(kind, status);
        closing(plain(status, text), parts.version)
    };
    let authority = parts.uri.authority().map(::http::uri::Authority::as_str);
    match settings.guard.check(authority, &parts.headers, route.origins()) {
        Ok(()) => {}
        Err(Turned::Origin) => return refuse(Turned::Origin, StatusCode::FORBIDDEN, "Requests from this origin are not served here."),
        Err(_) => return refuse(Turned::Host, StatusCode::FORBIDDEN, "This address is not served here."),
    }
    if fields::oversized(&parts.headers) {
        return refuse(Turned::Headers, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are too large.");
    }
    if fields::ambiguous(&parts.method, parts.version, &parts.headers, !body.is_end_stream()) {
        return refuse(Turned::Ambiguous, StatusCode::BAD_REQUEST, "The request can be read in more than one way.");
    }
    let response = match route {
        Route::Health | Route::Ready if !matches!(parts.method, Method::GET | Method::HEAD) => not_allowed("GET, HEAD"),
        Route::Health => plain(StatusCode::OK, "ok"),
        Route::Ready if serve.is_ready() && !settings.tasks.is_stopping() => plain(StatusCode::OK, "ready"),
        Route::Ready => plain(StatusCode::SERVICE_UNAVAILABLE, "not ready"),
        Route::Office(office) => {
            // Everybody here is a stranger until a cookie or a code says otherwise.
            if office.counts_strangers()
                && let Err(wait) = settings.strangers.check(client)
            {
                let mut response = plain(StatusCode::TOO_MANY_REQUESTS, "Too many requests.");
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().saturating_add(1)));
                turn_away(settings, serve.as_ref(), Turned::Rate, client);
                settings.metrics.answered(kind, response.status());
                return closing(response, parts.version);
            }
            let (open, is_document) = (office.origins() == Origins::Any, office.is_document());
            let mut response = if open && cors::is_preflight(&parts.method, &parts.headers) {
                cors::open_preflight()
            } else {
                let (id, query) = (settings.env.correlation(), parts.uri.query().map(str::to_owned));
                let (method, headers, patience) = (parts.method, parts.headers, settings.patience);
                serve.office(OfficeRequest { office, method, headers, query, id, peer: client, body, patience }).await
            };
            if open {
                cors::mark_open(response.headers_mut(), is_document);
            }
            response
        }
        Route::Unknown => return refuse(Turned::Path, StatusCode::NOT_FOUND, "There is nothing here."),
        Route::Mcp(route) => {
            let asked = cors::is_preflight(&parts.method, &parts.headers);
            let origin = parts.headers.get(ORIGIN).cloned();
            // At the other door a certificate is nobody: what counts there is a token that somebody allowed.
            let certificate = far.certificate.filter(|_| route.door == Door::Key);
            let presented = Presented::take(&mut parts.headers, parts.uri.query()).over(certificate);
            if presented.is_absent()
                && !settings.carriers.iter().any(|carrier| presented.carries(*carrier))
                && let Err(wait) = settings.strangers.check(client)
            {
                let mut response = plain(StatusCode::TOO_MANY_REQUESTS, "Too many requests without a credential.");
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().saturating_add(1)));
                turn_away(settings, serve.as_ref(), Turned::Rate, client);
                settings.metrics.answered(kind, response.status());
                return closing(response, parts.version);
            }
            let mut response = if asked {
                cors::preflight(&parts.headers)
            } else {
                fields::remove_foreign(&mut parts.headers);
                let (id, verb, patience) = (settings.env.correlation(), Verb::of(&parts.method), settings.patience);
                serve.mcp(Inbound { route, verb, headers: parts.headers, presented, id, peer: client, body, patience }).await
            };
            cors::mark(response.headers_mut(), origin);
            response
        }
    };
    settings.metrics.answered(kind, response.status());
    response
}

/// What every answer carries, whoever made it.
fn constant_headers(response: &mut Response<Body>, settings: &Settings) {
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
    headers.entry(RESOURCE_POLICY).or_insert(HeaderValue::from_static("same-origin"));
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    if settings.tls.is_some() {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
}

/// The answer ends the connection: what may follow on it is not trusted.
fn closing(mut response: Response<Body>, version: Version) -> Response<Body> {
    if version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A short text with the headers that every answer carries.
#[must_use]
pub fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::whole(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
