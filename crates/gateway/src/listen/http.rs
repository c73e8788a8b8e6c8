//! The accept loop and the life of a connection. Nothing here knows what a request means.

use super::Inbound;
use super::body::Body;
use super::guard::{Guard, Turned};
use super::route::{Route, Verb};
use super::tls::Tls;
use crate::env::Env;
use crate::tasks::Tasks;
use ::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use ::http::{Request, Response, StatusCode};
use bytes::Bytes;
use doorward_core::identity::presented::Presented;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Who serves what comes in.
pub trait Serve: Send + Sync + 'static {
    /// An MCP request: the corridor.
    fn mcp(self: Arc<Self>, inbound: Inbound) -> impl Future<Output = Response<Body>> + Send;
    /// Whether calls would be served now.
    fn is_ready(&self) -> bool;
}

/// What a listener needs besides its socket.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Host, Origin, proxies.
    pub guard: Guard,
    /// Certificates; `None` only on loopback or behind a configured proxy.
    pub tls: Option<Tls>,
    /// Open connections at most.
    pub connections: usize,
    /// Clock and randomness.
    pub env: Env,
    /// Owner of the connection tasks.
    pub tasks: Tasks,
}

/// Size of all headers together, number of fields (protocol S2).
const HEADER_BYTES: usize = 32 * 1024;
const HEADER_FIELDS: usize = 100;
/// Time for a TLS handshake and for the headers of a request.
const HEADER_PATIENCE: Duration = Duration::from_secs(10);
/// After shutdown began, open requests have this long.
const DRAIN: Duration = Duration::from_secs(8);

/// Accepts until shutdown begins.
pub async fn accept<S: Serve>(listener: TcpListener, settings: Settings, serve: Arc<S>) {
    let seats = Arc::new(Semaphore::new(settings.connections));
    let settings = Arc::new(settings);
    loop {
        let seat = tokio::select! {
            () = settings.tasks.stopping() => return,
            seat = Arc::clone(&seats).acquire_owned() => seat,
        };
        let accepted = tokio::select! {
            () = settings.tasks.stopping() => return,
            accepted = listener.accept() => accepted,
        };
        match (seat, accepted) {
            (Ok(seat), Ok((stream, peer))) => {
                let (settings, serve) = (Arc::clone(&settings), Arc::clone(&serve));
                let tasks = settings.tasks.clone();
                tasks.spawn(async move {
                    connection(stream, peer, settings, serve).await;
                    drop(seat);
                });
            }
            (_, Err(error)) => {
                // Out of descriptors: give others time to close theirs instead of spinning (HTTP-07).
                tracing::warn!(%error, "cannot accept");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            (Err(_), _) => return,
        }
    }
}

async fn connection<S: Serve>(stream: TcpStream, peer: SocketAddr, settings: Arc<Settings>, serve: Arc<S>) {
    let _nodelay = stream.set_nodelay(true);
    match &settings.tls {
        None => speak(TokioIo::new(stream), peer, settings, serve).await,
        Some(tls) => match tokio::time::timeout(HEADER_PATIENCE, tls.acceptor().accept(stream)).await {
            Ok(Ok(stream)) => speak(TokioIo::new(stream), peer, settings, serve).await,
            Ok(Err(error)) => tracing::debug!(%error, "handshake"),
            Err(_) => tracing::debug!("handshake timed out"),
        },
    }
}

async fn speak<S: Serve, T>(io: TokioIo<T>, peer: SocketAddr, settings: Arc<Settings>, serve: Arc<S>)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_PATIENCE)
        .max_headers(HEADER_FIELDS)
        .max_buf_size(HEADER_BYTES * 2)
        .half_close(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(HEADER_BYTES).unwrap_or(u32::MAX))
        .max_concurrent_streams(128)
        .max_pending_accept_reset_streams(32)
        .max_send_buf_size(256 * 1024)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10));
    let tasks = settings.tasks.clone();
    let service = service_fn(move |request| {
        let (settings, serve) = (Arc::clone(&settings), Arc::clone(&serve));
        async move { Ok::<_, Infallible>(route(request, peer, &settings, serve).await) }
    });
    let connection = builder.serve_connection(io, service);
    tokio::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => if let Err(error) = ended { tracing::debug!(%error, "connection") },
        () = tasks.stopping() => {
            connection.as_mut().graceful_shutdown();
            let _late = tokio::time::timeout(DRAIN, connection).await;
        }
    }
}

async fn route<S: Serve>(request: Request<Incoming>, peer: SocketAddr, settings: &Settings, serve: Arc<S>) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let authority = parts.uri.authority().map(|authority| authority.as_str().to_owned());
    if let Err(turned) = settings.guard.check(authority.as_deref(), &parts.headers) {
        return plain(
            StatusCode::FORBIDDEN,
            match turned {
                Turned::Host => "This address is not served here.",
                Turned::Origin => "Requests from this origin are not served here.",
            },
        );
    }
    if oversized(&parts.headers) {
        return plain(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are too large.");
    }
    let presented = Presented::take(&mut parts.headers, parts.uri.query());
    match Route::of(parts.uri.path()) {
        Route::Health => plain(StatusCode::OK, "ok"),
        Route::Ready if serve.is_ready() && !settings.tasks.is_stopping() => plain(StatusCode::OK, "ready"),
        Route::Ready => plain(StatusCode::SERVICE_UNAVAILABLE, "not ready"),
        Route::Unknown => plain(StatusCode::NOT_FOUND, "There is nothing here."),
        Route::Mcp(route) => {
            let peer = settings.guard.client(peer.ip(), &parts.headers);
            let id = settings.env.correlation();
            serve.mcp(Inbound { route, verb: Verb::of(&parts.method), headers: parts.headers, presented, id, peer, body }).await
        }
    }
}

/// Protocol S2: 8 KiB for each MCP header, 32 KiB and 100 fields in all, counted after decoding (HTTP-06).
fn oversized(headers: &::http::HeaderMap) -> bool {
    let all: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let one = headers.iter().any(|(name, value)| name.as_str().starts_with("mcp-") && value.len() > 8 * 1024);
    all > HEADER_BYTES || headers.len() > HEADER_FIELDS || one
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
