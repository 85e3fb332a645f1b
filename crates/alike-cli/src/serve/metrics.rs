//! Counts of what happens, as Prometheus reads them.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram};
use prometheus_client::registry::{Registry, Unit};

/// What requests are counted by. Routes are patterns, not addresses, so that their number is fixed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    route: String,
    method: String,
    status: u16,
}

/// Where the items of a list came from: an index, or all items or those that the request allows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListSource {
    from: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

/// Everything that is counted.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
    lists: Family<ListSource, Counter>,
    memory: Gauge,
    /// Requests being answered.
    pub(crate) in_flight: Gauge,
    /// Open connections.
    pub(crate) connections: Gauge,
    /// Connections that were closed for want of a place.
    pub(crate) refused_connections: Counter,
    /// Requests that wait to be ranked.
    pub(crate) rank_queue: Gauge,
    /// Requests that were ranked together.
    pub(crate) rank_batch: Histogram,
    /// Events that are on disk.
    pub(crate) events: Counter,
    /// Panics that were caught.
    pub(crate) panics: Counter,
    /// Checkpoints that answered so far.
    pub(crate) model_version: Gauge,
    /// Checkpoints that took the place of another.
    pub(crate) swaps: Counter,
    /// Newer checkpoints that could not be loaded.
    pub(crate) failed_loads: Counter,
    /// Seconds since 1970 at which the server started.
    started: Gauge<f64, AtomicU64>,
}

/// Upper ends of the classes of latency, seconds.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

impl Metrics {
    /// Nothing counted yet.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("alike");
        let metrics = Self {
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            lists: Family::default(),
            memory: Gauge::default(),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            refused_connections: Counter::default(),
            rank_queue: Gauge::default(),
            rank_batch: Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]),
            events: Counter::default(),
            panics: Counter::default(),
            model_version: Gauge::default(),
            swaps: Counter::default(),
            failed_loads: Counter::default(),
            started: Gauge::default(),
            registry: Registry::default(),
        };
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        metrics.started.set(now.as_secs_f64());
        registry.register("requests", "Requests by route, method and status", metrics.requests.clone());
        registry.register_with_unit(
            "request_duration",
            "Time to answer, by route",
            Unit::Seconds,
            metrics.seconds.clone(),
        );
        registry.register("requests_in_flight", "Requests being answered", metrics.in_flight.clone());
        registry.register("connections", "Open connections", metrics.connections.clone());
        registry.register(
            "refused_connections",
            "Connections that were closed for want of a place",
            metrics.refused_connections.clone(),
        );
        registry.register("rank_queue", "Requests that wait to be ranked", metrics.rank_queue.clone());
        registry.register("rank_batch", "Requests that were ranked together", metrics.rank_batch.clone());
        registry.register("lists", "Lists by where their items came from", metrics.lists.clone());
        registry.register("events", "Events that are on disk", metrics.events.clone());
        registry.register("panics", "Panics that were caught", metrics.panics.clone());
        registry.register(
            "model_version",
            "Number of the checkpoint that answers",
            metrics.model_version.clone(),
        );
        registry.register(
            "model_failures",
            "Newer checkpoints that could not be loaded",
            metrics.failed_loads.clone(),
        );
        registry.register("model_swaps", "Checkpoints that replaced another", metrics.swaps.clone());
        registry.register_with_unit(
            "resident_memory",
            "Memory of the process, where the system tells",
            Unit::Bytes,
            metrics.memory.clone(),
        );
        registry.register_with_unit(
            "start_time",
            "When the server started",
            Unit::Seconds,
            metrics.started.clone(),
        );
        Self { registry, ..metrics }
    }

    /// Counts an answer.
    pub(crate) fn answered(&self, route: &str, method: &str, status: u16, took: Duration) {
        let (route, method) = (route.to_string(), method.to_string());
        self.seconds.get_or_create(&Route { route: route.clone() }).observe(took.as_secs_f64());
        self.requests.get_or_create(&Request { route, method, status }).inc();
    }

    /// Counts a ranked list.
    pub(crate) fn ranked(&self, by_index: bool) {
        self.lists.get_or_create(&ListSource { from: if by_index { "index" } else { "scan" } }).inc();
    }

    /// The page that Prometheus reads.
    pub(crate) fn page(&self) -> Result<String, std::fmt::Error> {
        self.memory.set(resident_bytes().unwrap_or_default());
        let mut page = String::new();
        text::encode(&mut page, &self.registry)?;
        Ok(page)
    }
}

/// Memory of this process; Linux says it in `/proc`.
fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<i64>().ok().map(|kib| kib * 1024)
}
