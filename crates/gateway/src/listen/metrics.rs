//! Counters for operators, and the listener that shows them. No user, token, tool or session ever becomes a label.
//!
//! Every label has a fixed, small set of values, so that nobody outside can grow the table. Served in the OpenMetrics text
//! format on an address of its own, on loopback unless the administrator binds it elsewhere.

use super::guard::Turned;
use super::http::Patience;
use crate::tasks::Tasks;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// All metrics of a gateway; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    requests: Family<RequestLabels, Counter>,
    refusals: Family<RefusalLabels, Counter>,
    screened: Family<ScreenedLabels, Counter>,
    connections: Gauge,
    streams: Gauge,
    sessions: Gauge,
    clock: Gauge<f64, AtomicU64>,
    upstream: Family<UpstreamLabels, Histogram>,
}

/// Which door a request came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RouteKind {
    /// `/mcp` and `/s/...`: OAuth.
    Oauth,
    /// `/k/...`: API keys.
    Key,
    /// Metadata, OAuth endpoints and pages.
    Office,
    /// `/healthz` and `/readyz`.
    Probe,
    /// No route.
    Unknown,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutcomeClass {
    /// Status below 400.
    Served,
    /// Status 400 to 499: the caller's side.
    Caller,
    /// Status 502 and 504: the upstream's side.
    Upstream,
    /// Any other status from 500: ours.
    Us,
}

/// Something that is open while this exists.
#[derive(Debug)]
pub struct Opened(Gauge);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: RouteKind,
    outcome: OutcomeClass,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    station: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ScreenedLabels {
    rule: &'static str,
    action: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct UpstreamLabels {
    outcome: OutcomeClass,
}

/// Upper bounds of the latency buckets in seconds.
const BUCKETS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];
/// Connections to the metrics listener at a time.
const SCRAPERS: usize = 16;

// === impl Metrics ===

impl Metrics {
    /// All at zero. The help texts are what `/metrics` shows.
    #[must_use]
    pub fn new() -> Self {
        let upstream: Family<UpstreamLabels, Histogram> = Family::new_with_constructor(|| Histogram::new(BUCKETS));
        let mut metrics = Self {
            registry: Arc::default(),
            requests: Family::default(),
            refusals: Family::default(),
            screened: Family::default(),
            connections: Gauge::default(),
            streams: Gauge::default(),
            sessions: Gauge::default(),
            clock: Gauge::default(),
            upstream,
        };
        let mut registry = Registry::with_prefix("doorward");
        registry.register("requests", "Requests answered, by route and by whose side the outcome lies on", metrics.requests.clone());
        registry.register("refusals", "Requests refused, by station and reason", metrics.refusals.clone());
        registry.register(
            "screened",
            "Calls and definitions in which the screen found something, by rule and what was done",
            metrics.screened.clone(),
        );
        registry.register("connections_open", "Client connections that are open", metrics.connections.clone());
        registry.register("streams_open", "Event streams to clients that are open", metrics.streams.clone());
        registry.register("sessions_open", "Sessions of clients up to protocol 2025-11-25 that are open", metrics.sessions.clone());
        registry.register_with_unit(
            "clock_ahead",
            "How far the clock of the database is ahead of this machine's; zero on SQLite",
            Unit::Seconds,
            metrics.clock.clone(),
        );
        registry.register_with_unit(
            "upstream_latency",
            "Time from the arrival of a call to its outcome, streams to their end",
            Unit::Seconds,
            metrics.upstream.clone(),
        );
        metrics.registry = Arc::new(registry);
        metrics
    }

    /// `doorward_requests_total{route,outcome}`: a request was answered with this status.
    pub fn answered(&self, route: RouteKind, status: StatusCode) {
        self.requests.get_or_create(&RequestLabels { route, outcome: OutcomeClass::of(status) }).inc();
    }

    /// `doorward_refusals_total{station,reason}`: both are stable ids of a [`doorward_core::blame::Refusal`].
    pub fn refused(&self, station: &'static str, reason: &'static str) {
        self.refusals.get_or_create(&RefusalLabels { station, reason }).inc();
    }

    /// `doorward_screened_total{rule,action}`: both are stable ids of the screen.
    pub fn screened(&self, rule: &'static str, action: &'static str) {
        self.screened.get_or_create(&ScreenedLabels { rule, action }).inc();
    }

    /// `doorward_refusals_total{station="listen"}`: turned away at the door.
    pub fn turned_away(&self, what: Turned) {
        self.refused("listen", what.as_str());
    }

    /// `doorward_connections_open`: one more until dropped.
    #[must_use]
    pub fn connection(&self) -> Opened {
        Opened::new(&self.connections)
    }

    /// `doorward_streams_open`: one more until dropped.
    #[must_use]
    pub fn stream(&self) -> Opened {
        Opened::new(&self.streams)
    }

    /// `doorward_sessions_open`: as the session table counts them.
    pub fn sessions(&self, open: usize) {
        self.sessions.set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    /// `doorward_clock_ahead_seconds`: the clock of the database against ours, in milliseconds; negative when it is behind.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a skew, for a graph")]
    pub fn clock_ahead(&self, ahead: i64) {
        self.clock.set(ahead as f64 / 1_000.0);
    }

    /// `doorward_upstream_latency_seconds{outcome}`.
    pub fn upstream(&self, outcome: OutcomeClass, took: Duration) {
        self.upstream.get_or_create(&UpstreamLabels { outcome }).observe(took.as_secs_f64());
    }

    /// All metrics in the OpenMetrics text format.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        match text::encode(&mut out, &self.registry) {
            Ok(()) => out,
            Err(fmt::Error) => String::new(),
        }
    }

    /// Serves `GET /metrics` until shutdown begins; every other path is 404.
    pub async fn serve(self, listener: TcpListener, patience: Patience, tasks: Tasks) {
        let seats = Arc::new(Semaphore::new(SCRAPERS));
        loop {
            let accepted = tokio::select! {
                () = tasks.stopping() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let Ok(seat) = Arc::clone(&seats).try_acquire_owned() else { continue };
                    let (metrics, stop) = (self.clone(), tasks.clone());
                    tasks.spawn(async move {
                        tokio::select! {
                            () = stop.stopping() => {}
                            () = metrics.connection_of_a_scraper(stream, patience) => {}
                        }
                        drop(seat);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept on the metrics address");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn connection_of_a_scraper(&self, stream: TcpStream, patience: Patience) {
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(patience.head).max_headers(32).auto_date_header(false);
        let service = service_fn(|request| async move { Ok::<_, Infallible>(self.scraped(&request)) });
        let stream = super::stall::Stall::new(stream, patience.write);
        if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
            tracing::debug!(%error, "metrics connection");
        }
    }

    fn scraped(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let found = *request.method() == Method::GET && request.uri().path() == "/metrics";
        let body = if found { Bytes::from(self.text()) } else { Bytes::from_static(b"There is nothing here.") };
        let mut response = Response::new(Full::new(body));
        if !found {
            *response.status_mut() = StatusCode::NOT_FOUND;
        }
        let kind = if found { "application/openmetrics-text; version=1.0.0; charset=utf-8" } else { "text/plain; charset=utf-8" };
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        response
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

// === impl Opened ===

impl Opened {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.dec();
    }
}

// === impl OutcomeClass ===

impl OutcomeClass {
    /// The class of a status.
    #[must_use]
    pub fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            ..400 => Self::Served,
            400..500 => Self::Caller,
            502 | 504 => Self::Upstream,
            _ => Self::Us,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Caller => "caller",
            Self::Upstream => "upstream",
            Self::Us => "us",
        }
    }
}

impl RouteKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Oauth => "oauth",
            Self::Key => "key",
            Self::Office => "office",
            Self::Probe => "probe",
            Self::Unknown => "unknown",
        }
    }
}

impl EncodeLabelValue for OutcomeClass {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        self.as_str().encode(encoder)
    }
}

impl EncodeLabelValue for RouteKind {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        self.as_str().encode(encoder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_shown_with_its_labels() {
        let metrics = Metrics::new();
        metrics.answered(RouteKind::Key, StatusCode::OK);
        metrics.answered(RouteKind::Key, StatusCode::BAD_GATEWAY);
        metrics.turned_away(Turned::Origin);
        metrics.refused("policy", "policy_denied");
        metrics.screened("aws-access-key", "redacted");
        metrics.sessions(3);
        metrics.clock_ahead(-1_500);
        metrics.upstream(OutcomeClass::Served, Duration::from_millis(3));
        let (open, stream) = (metrics.connection(), metrics.stream());
        let text = metrics.text();
        for line in [
            "doorward_requests_total{route=\"key\",outcome=\"served\"} 1",
            "doorward_requests_total{route=\"key\",outcome=\"upstream\"} 1",
            "doorward_refusals_total{station=\"listen\",reason=\"origin\"} 1",
            "doorward_refusals_total{station=\"policy\",reason=\"policy_denied\"} 1",
            "doorward_screened_total{rule=\"aws-access-key\",action=\"redacted\"} 1",
            "doorward_connections_open 1",
            "doorward_streams_open 1",
            "doorward_sessions_open 3",
            "doorward_clock_ahead_seconds -1.5",
            "doorward_upstream_latency_seconds_count{outcome=\"served\"} 1",
            "# EOF",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} in {text}");
        }
        drop((open, stream));
        assert!(metrics.text().contains("doorward_connections_open 0\n"));
    }
}
