//! What the daemon says of itself: log lines and the metric registry, passed down, never global.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    process_collector::ProcessCollector,
};
use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// Sources with series of their own; those of further ones share the name `other`, so that a sender that makes up
/// names cannot fill the memory.
const SOURCES_MAX: usize = 100;

/// Half-decades from 100 µs to 30 s: a sync of the disk, a request, a page.
const SECONDS: [f64; 12] = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];

/// From 100 µs to half a second: what nothing else goes on during.
const PAUSES: [f64; 12] = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];

/// The daemon's metrics of itself.
#[derive(Clone, Debug)]
pub struct Telemetry {
    /// What `/metrics` shows.
    pub registry: Registry,
    events: IntCounterVec,
    sources: Arc<Mutex<BTreeSet<Arc<str>>>>,
    /// From the first byte of a request's body to its answer.
    pub ingest_seconds: Histogram,
    /// Requests refused before any event was read, by reason.
    pub ingest_refused: IntCounterVec,
    /// One commit, with its sync.
    pub commit_seconds: Histogram,
    /// Batches in one commit.
    pub commit_batches: Histogram,
    /// Commits that failed.
    pub commit_failures: IntCounter,
    /// The last sequence number.
    pub sequence: IntGauge,
    /// The last sequence number that the engine has all of. Read and written under the engine's lock.
    pub applied: IntGauge,
    /// The file's size.
    pub journal_bytes: IntGauge,
    /// The first sequence number kept.
    pub first_sequence: IntGauge,
    /// Batches that were dropped.
    pub dropped_batches: IntCounter,
    /// How long dropping some held everything else up.
    pub drop_pause_seconds: Histogram,
    /// One checkpoint.
    pub checkpoint_seconds: Histogram,
    /// Connections that could not be accepted.
    pub accept_failures: IntCounter,
    /// How far the daemon's time is ahead of the machine's.
    pub clock_ahead: Gauge,
    /// How long one held everything else up.
    pub checkpoint_pause_seconds: Histogram,
    /// Checkpoints that failed.
    pub checkpoint_failures: IntCounter,
    /// The last batch in the last checkpoint.
    pub checkpoint_sequence: IntGauge,
    /// Alerts handed to receivers.
    pub alerts_sent: IntCounterVec,
    /// Pages that nobody got, by receiver and reason.
    pub alerts_suppressed: IntCounterVec,
    /// Alerts that are to be told now, by receiver.
    pub alerts_pending: IntGaugeVec,
    /// Whether the last request to a receiver succeeded.
    pub receiver_up: IntGaugeVec,
    /// Texts of alerts that a user's template failed to make.
    pub wording_failures: IntCounterVec,
    /// Alerts that fire.
    pub alerts_firing: IntGauge,
    /// From the receipt of an event, or the instant of a deadline, to the receiver's answer.
    pub event_to_alert_seconds: Histogram,
    /// Effects by kind and reason.
    pub effects: IntCounterVec,
    /// Reports that were to be frozen, by what became of them.
    pub reports: IntCounterVec,
}

impl Telemetry {
    /// A registry with every metric in it.
    ///
    /// # Errors
    /// Never, as long as no two metrics here have the same name.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let make = Make(&registry);
        let build =
            IntGaugeVec::new(Opts::new("fournines_build_info", "The version that runs; always 1."), &["version"])?;
        registry.register(Box::new(build.clone()))?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        registry.register(Box::new(ProcessCollector::for_self()))?;
        Ok(Self {
            events: make.counters(
                "fournines_events_total",
                "Events by type, source and what became of them.",
                &["type", "source", "outcome"],
            )?,
            sources: Arc::default(),
            ingest_seconds: make.histogram(
                "fournines_ingest_duration_seconds",
                "From the arrival of a request with events to its answer, which is sent once they are durable.",
                &SECONDS,
            )?,
            ingest_refused: make.counters(
                "fournines_ingest_refused_total",
                "Requests with events that were refused as a whole, by reason.",
                &["reason"],
            )?,
            commit_seconds: make.histogram(
                "fournines_journal_commit_duration_seconds",
                "One commit of the journal, with its sync.",
                &SECONDS,
            )?,
            commit_batches: make.histogram(
                "fournines_journal_commit_batches",
                "Batches made durable by one commit.",
                &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0],
            )?,
            commit_failures: make.counter("fournines_journal_commit_failures_total", "Commits that failed.")?,
            sequence: make.gauge("fournines_journal_sequence", "The sequence number of the last durable batch.")?,
            applied: make.gauge(
                "fournines_journal_applied_sequence",
                "The sequence number of the last batch that figures have: behind the last durable one for as long as it is \
                 being taken in.",
            )?,
            journal_bytes: make.gauge("fournines_journal_bytes", "The size of the journal's file.")?,
            first_sequence: make.gauge(
                "fournines_journal_first_sequence",
                "The sequence number of the first batch kept; 1 as long as none was dropped.",
            )?,
            dropped_batches: make.counter(
                "fournines_journal_dropped_batches_total",
                "Batches dropped for storage.keep_for or storage.keep_bytes.",
            )?,
            drop_pause_seconds: make.histogram(
                "fournines_journal_drop_pause_seconds",
                "How long dropping some old batches held everything else up.",
                &PAUSES,
            )?,
            checkpoint_seconds: make.histogram(
                "fournines_checkpoint_duration_seconds",
                "One checkpoint: the snapshot and its commit, beside everything else.",
                &SECONDS,
            )?,
            accept_failures: make.counter(
                "fournines_accept_failures_total",
                "Connections that could not be accepted, for want of open files mostly.",
            )?,
            clock_ahead: make.seconds(
                "fournines_clock_ahead_seconds",
                "How far the time is ahead of the machine's clock, which was set back; it runs at half speed meanwhile.",
            )?,
            checkpoint_pause_seconds: make.histogram(
                "fournines_checkpoint_pause_seconds",
                "How long a checkpoint held everything else up.",
                &PAUSES,
            )?,
            checkpoint_failures: make.counter("fournines_checkpoint_failures_total", "Checkpoints that failed.")?,
            checkpoint_sequence: make.gauge(
                "fournines_checkpoint_sequence",
                "The sequence number of the last batch in the last checkpoint.",
            )?,
            alerts_sent: make.counters(
                "fournines_alerts_sent_total",
                "Alerts handed to a receiver: accepted, failed (and tried again), refused for good, or given up.",
                &["receiver", "outcome"],
            )?,
            alerts_suppressed: make.counters(
                "fournines_alerts_suppressed_total",
                "Alerts of which a receiver was told nothing, by what damped them; brief ones were over within seconds.",
                &["receiver", "reason"],
            )?,
            alerts_pending: make.gauges(
                "fournines_alerts_pending",
                "Alerts that a receiver is to be told of now, those that wait by design not counted.",
                &["receiver"],
            )?,
            receiver_up: make.gauges(
                "fournines_receiver_up",
                "Whether the last request to the receiver succeeded.",
                &["receiver"],
            )?,
            wording_failures: make.counters(
                "fournines_alert_template_failures_total",
                "Texts of alerts that a template of the configuration failed to make; a plain line was told instead.",
                &["template"],
            )?,
            alerts_firing: make.gauge("fournines_alerts_firing", "Alerts that fire, the watchdog not counted.")?,
            event_to_alert_seconds: make.histogram(
                "fournines_event_to_alert_seconds",
                "From the receipt of the event, or the instant of the deadline, that made an alert fire, to the \
                 receiver's acceptance.",
                &SECONDS,
            )?,
            effects: make.counters(
                "fournines_effects_total",
                "What the engine caused, by kind and reason.",
                &["kind", "reason"],
            )?,
            reports: make.counters(
                "fournines_reports_total",
                "Reports of periods that are over: frozen for the first time, revised, or failed and tried again.",
                &["outcome"],
            )?,
            registry,
        })
    }

    /// Counts events of a type and source.
    pub fn count_events(&self, kind: &str, source: &Arc<str>, outcome: &str, count: u64) {
        let known = {
            let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
            sources.contains(source) || sources.len() < SOURCES_MAX && sources.insert(source.clone())
        };
        let source = if known { source } else { "other" };
        self.events.with_label_values(&[kind, source, outcome]).inc_by(count);
    }
}

/// Makes metrics and registers them.
struct Make<'r>(&'r Registry);

impl Make<'_> {
    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        let counter = IntCounter::new(name, help)?;
        self.0.register(Box::new(counter.clone()))?;
        Ok(counter)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
        let counters = IntCounterVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(counters.clone()))?;
        Ok(counters)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        let gauge = IntGauge::new(name, help)?;
        self.0.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }

    fn seconds(&self, name: &str, help: &str) -> prometheus::Result<Gauge> {
        let gauge = Gauge::new(name, help)?;
        self.0.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntGaugeVec> {
        let gauges = IntGaugeVec::new(Opts::new(name, help), labels)?;
        self.0.register(Box::new(gauges.clone()))?;
        Ok(gauges)
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> prometheus::Result<Histogram> {
        let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?;
        self.0.register(Box::new(histogram.clone()))?;
        Ok(histogram)
    }
}

/// Begins to log to standard error.
///
/// # Errors
/// When the level is not understood, or logging has begun before.
pub fn log_to_stderr(format: LogFormat, level: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(level).map_err(|error| format!("log.level: {level:?}: {error}"))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    }
    .map_err(|error| error.to_string())
}
