//! Whether the daemon takes events and answers, and while it does not yet, how far the journal is read: for whoever asks,
//! on the terminal, and in the log.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use indicatif::{ProgressBar, ProgressStyle};

use crate::clock::Stopwatch;
use crate::pipeline::Progress;
use crate::problem::{self, Problem};

/// How often the log says how far it is.
const SECONDS: f64 = 3.0;

/// Whether it is ready.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    ready: AtomicBool,
    /// Absent when the journal is not being read.
    reading: Mutex<Option<Progress>>,
}

impl Readiness {
    pub(super) fn set(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }

    fn is(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    fn reading(&self) -> MutexGuard<'_, Option<Progress>> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refusal(&self) -> Problem {
        let detail = match *self.reading() {
            Some(progress) => format!("it is starting: reading the journal: {} %", progress.percent()),
            None => "it is starting or stopping; ask again in a moment".to_owned(),
        };
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).header(header::RETRY_AFTER, "1")
    }
}

/// Whether it takes events and answers
#[utoipa::path(
    get, path = "/readyz", tag = "operation",
    responses(
        (status = 200, description = "It does.", body = String),
        (status = 503, response = problem::Unavailable),
    )
)]
pub(super) async fn readyz(State(readiness): State<Arc<Readiness>>) -> Response {
    if readiness.is() { "ready\n".into_response() } else { readiness.refusal().into_response() }
}

/// Lets a request through once it is.
pub(super) async fn when_ready(State(readiness): State<Arc<Readiness>>, request: Request, next: Next) -> Response {
    if readiness.is() { next.run(request).await } else { readiness.refusal().into_response() }
}

/// Tells how far the journal is read: on a terminal by a bar, else by lines in the log.
pub(super) struct Reader {
    readiness: Arc<Readiness>,
    watch: Stopwatch,
    /// When the log is told next, in seconds.
    next: f64,
    bar: Option<ProgressBar>,
    progress: Progress,
}

impl Reader {
    pub(super) fn new(readiness: Arc<Readiness>) -> Self {
        Self { readiness, watch: Stopwatch::start(), next: SECONDS, bar: None, progress: Progress::default() }
    }

    /// It is read so far.
    pub(super) fn tell(&mut self, progress: Progress) {
        self.progress = progress;
        *self.readiness.reading() = Some(progress);
        let (batches, all) = (progress.batches(), progress.last.saturating_sub(progress.from));
        if batches == 0 && all > 0 {
            // What the checkpoint took is not part of the pace.
            self.watch = Stopwatch::start();
            self.bar = std::io::stderr().is_terminal().then(|| bar(all));
        }
        if let Some(bar) = &self.bar {
            return bar.set_position(batches);
        }
        let seconds = self.watch.seconds();
        if seconds < self.next || batches == 0 {
            return;
        }
        self.next = seconds + SECONDS;
        let seconds_left = (seconds * (all - batches) as f64 / batches as f64).round();
        let Progress { sequence, last, .. } = progress;
        tracing::info!(sequence, last, percent = progress.percent(), seconds_left, "reading the journal");
    }

    /// All of it is read.
    pub(super) fn done(self) {
        *self.readiness.reading() = None;
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        let seconds = self.watch.seconds();
        let Progress { last, events, .. } = self.progress;
        let events_per_second = (events as f64 / seconds.max(0.001)).round();
        let batches = self.progress.batches();
        tracing::info!(sequence = last, batches, events, seconds, events_per_second, "the journal is read");
    }
}

fn bar(batches: u64) -> ProgressBar {
    let style = "reading the journal {wide_bar} {pos}/{len} batches  {percent} %  {per_sec}  {eta} left";
    let bar = ProgressBar::new(batches);
    bar.with_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()))
}
