//! Figures about requests, without anybody's name in them.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::time::Duration;

/// The figures of one gateway.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    outcomes: Family<Label, Counter>,
    refusals: Family<Label, Counter>,
    streams: Gauge,
    latency: Histogram,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    class: String,
}

impl Metrics {
    /// All at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("doorward");
        let outcomes = Family::<Label, Counter>::default();
        let refusals = Family::<Label, Counter>::default();
        let streams = Gauge::default();
        let latency = Histogram::new([0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0]);
        registry.register("calls", "Calls by class of their outcome", outcomes.clone());
        registry.register("refusals", "Refused requests by reason", refusals.clone());
        registry.register("streams", "Open event streams", streams.clone());
        registry.register("call_seconds", "From request to outcome", latency.clone());
        Self { registry, outcomes, refusals, streams, latency }
    }

    /// A call ended.
    pub fn outcome(&self, class: &str, latency: Duration) {
        self.outcomes.get_or_create(&Label { class: class.to_owned() }).inc();
        self.latency.observe(latency.as_secs_f64());
    }

    /// A request was refused.
    pub fn refused(&self, reason: &str) {
        self.refusals.get_or_create(&Label { class: reason.to_owned() }).inc();
    }

    /// A stream was opened.
    pub fn stream_opened(&self) {
        self.streams.inc();
    }

    /// A stream ended.
    pub fn stream_closed(&self) {
        self.streams.dec();
    }

    /// OpenMetrics text.
    #[must_use]
    pub fn text(self: &Arc<Self>) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).ok();
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
