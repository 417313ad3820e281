//! The wiring: builds everything in one straight line, joins it by bounded channels, and takes it down in order.

mod carriers;
mod openapi;
mod readiness;
mod reports;
mod stored;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;

use crate::clock::Clock;
use crate::config::{Settings, to_record, write_record};
use crate::engine::Engine;
use crate::ingest::actions::{Desk, act};
use crate::ingest::form;
use crate::ingest::http::{Intake, post_events};
use crate::journal::{self, Checkpoints, Journal, JournalError, Keep};
use crate::notify::{self, Alertmanager, Outbox, Wire};
use crate::pipeline::{self, CheckpointPace, Checkpointer, Early, INBOX_MAX, Pipeline, Submission};
use crate::problem::Problem;
use crate::server::{self, Listener};
use crate::store::changes::Changes;
use crate::store::{self, Store};
use crate::telemetry::Telemetry;
use crate::threads;
use crate::views::alerts;
use crate::views::api::{self, Reading};
use crate::views::board;
use crate::views::export;
use crate::views::metrics::EngineCollector;
use crate::views::report::routes as report;
use crate::views::runbooks;
use crate::views::scrape::{self, Scraping};
use crate::views::stream::{self, Following};
use crate::views::targets;
use readiness::{Reader, Readiness, readyz, when_ready};
pub use stored::decode_stored;

/// How long receivers are given to take the last news when the daemon stops.
const LAST_NEWS_SECONDS_MAX: u64 = 15;
/// Answers below this fit into a packet as they are.
const PACKED_BYTES_MIN: u16 = 1024;

/// A daemon that runs.
#[derive(Debug)]
pub struct Daemon {
    /// Where it listens.
    pub address: SocketAddr,
    stop: CancellationToken,
    /// Cancelled when it begins to end, asked or not.
    ending: CancellationToken,
    ended: JoinHandle<Result<(), DaemonError>>,
}

/// Why a daemon could not start, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The address cannot be listened on.
    #[error("server.listen: {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        error: std::io::Error,
    },
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The tables beside the journal cannot be used.
    #[error("{file}: {error}")]
    Tables {
        /// The file.
        file: String,
        /// What failed.
        #[source]
        error: rusqlite::Error,
    },
    /// A part of the daemon could not be built.
    #[error("{0}")]
    Build(String),
    /// The hall ended without a word.
    #[error("the pipeline ended unexpectedly")]
    Gone,
}

/// What a daemon stands on: a machine and its network, or simulated ones.
#[derive(Debug)]
pub struct Surroundings<L> {
    /// Where connections come in.
    pub listener: L,
    /// Its address.
    pub address: SocketAddr,
    /// What carries alerts out.
    pub wire: Wire,
    /// Tells the time.
    pub clock: Clock,
    /// The last checkpoint of its storage, if that is being read already.
    pub early: Option<Early>,
}

impl Daemon {
    /// Starts: listens at once, then reads the journal back, and takes events when that is done.
    ///
    /// # Errors
    /// When the address, the journal or a receiver cannot be used.
    pub async fn start(settings: Settings, clock: Clock, early: Option<Early>) -> Result<Self, DaemonError> {
        let address = settings.server.listen;
        let listener = TcpListener::bind(address).await.map_err(|error| DaemonError::Listen { address, error })?;
        let address = listener.local_addr().map_err(|error| DaemonError::Listen { address, error })?;
        Self::start_on(settings, Surroundings { listener, address, wire: Wire::default(), clock, early }).await
    }

    /// The same on these surroundings.
    ///
    /// # Errors
    /// When the journal or a receiver cannot be used.
    pub async fn start_on<L: Listener>(
        settings: Settings,
        surroundings: Surroundings<L>,
    ) -> Result<Self, DaemonError> {
        let Surroundings { listener, address, wire, clock, early } = surroundings;
        let build = |error: &dyn std::fmt::Display| DaemonError::Build(error.to_string());
        let telemetry = Telemetry::new().map_err(|error| build(&error))?;
        let engine = Arc::new(RwLock::new(Engine::new()));
        let collector = EngineCollector::new(engine.clone(), clock.clone(), settings.max_services);
        telemetry.registry.register(Box::new(collector)).map_err(|error| build(&error))?;

        let (inbox, submissions) = mpsc::channel(INBOX_MAX);
        let front = CancellationToken::new();
        let ready = Arc::new(Readiness::default());
        let intake = Arc::new(Intake {
            inbox,
            clock: clock.clone(),
            max_future: settings.max_future,
            known: settings.known_services().map(Arc::new),
            max_body_bytes: settings.server.max_body_bytes,
            room: Arc::new(Semaphore::new(settings.server.max_inflight_bytes)),
            telemetry: telemetry.clone(),
            stopping: front.clone(),
        });
        let base_url = settings.server.external_url.clone().unwrap_or_else(|| format!("http://{address}"));
        let reading = Arc::new(Reading {
            engine: engine.clone(),
            clock: clock.clone(),
            telemetry: telemetry.clone(),
            started: clock.now(),
            storage: settings.storage.path.display().to_string(),
            file: journal::file_in(&settings.storage.path),
            base_url: base_url.clone(),
            deliveries: Arc::default(),
        });
        let shown = reading.clone();
        let find = move |id: &str| {
            let (incident, shown) = shown.incident(id)?;
            Some((incident, serde_json::to_value(shown).unwrap_or_default()))
        };
        let desk = Arc::new(Desk { intake: intake.clone(), find: Box::new(find) });
        let changes = Changes::default();
        let following = Following::new(reading.clone(), changes.clone(), front.clone());
        let deliveries = reading.deliveries.clone();
        let routes = routes(intake, desk.clone(), reading.clone(), following, ready.clone());
        let door = tokio::spawn(server::run(listener, routes, telemetry.accept_failures.clone(), front.clone()));

        let alerting = settings.alerting.clone();
        let reader = Reader::new(ready.clone());
        let opened =
            open(settings, engine, changes, clock.clone(), telemetry.clone(), (submissions, reader, early)).await;
        let parts = opened.and_then(|(hall, stop_hall, outbox)| {
            let _ = deliveries.set(Arc::new(outbox.clone()));
            let (carriers, stop_carriers) =
                carriers::start(&alerting, outbox, desk, clock, base_url, wire, &telemetry)?;
            Ok(Parts { hall, stop_hall, carriers, stop_carriers })
        });
        let parts = match parts {
            Ok(parts) => parts,
            Err(error) => {
                front.cancel();
                return Err(error);
            }
        };
        ready.set(true);
        tokio::spawn(reports::keep(reading, front.clone()));
        let stop = CancellationToken::new();
        let ending = front.clone();
        let ended = tokio::spawn(supervise(parts, door, front, ready, stop.clone()));
        Ok(Self { address, stop, ending, ended })
    }

    /// Waits until it begins to end, because it was asked to or because it cannot go on.
    pub async fn ending(&self) {
        self.ending.cancelled().await;
    }

    /// Asks it to stop: nothing more is taken, all that was taken is finished.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// When it ended because it could not go on.
    pub async fn ended(self) -> Result<(), DaemonError> {
        self.ended.await.unwrap_or(Err(DaemonError::Gone))
    }
}

/// Says how the hall ended.
type Hall = oneshot::Receiver<Result<(), JournalError>>;

/// What runs behind the door.
struct Parts {
    hall: Hall,
    stop_hall: CancellationToken,
    carriers: TaskTracker,
    stop_carriers: CancellationToken,
}

/// Opens the storage, reads it back, and sets the hall to work.
async fn open(
    settings: Settings,
    engine: Arc<RwLock<Engine>>,
    changes: Changes,
    clock: Clock,
    telemetry: Telemetry,
    (submissions, reader, early): (mpsc::Receiver<Submission>, Reader, Option<Early>),
) -> Result<(Hall, CancellationToken, Outbox), DaemonError> {
    let (shared, ticking, counts) = (engine.clone(), clock.clone(), telemetry.clone());
    let recovered = threads::aside(move || {
        let recovered = recover(&settings, &shared, changes, ticking, counts, (reader, early));
        (recovered, settings)
    });
    let (recovered, settings) = recovered.await.map_err(|error| DaemonError::Build(error.to_string()))?;
    // Nothing waits until a catalogue of a million is let go of.
    threads::aside(move || drop(settings));
    let (pipeline, outbox) = recovered?;

    let stop_hall = CancellationToken::new();
    let (report, hall) = oneshot::channel();
    let token = stop_hall.clone();
    // A thread of its own, since a sync blocks.
    threads::apart("pipeline", async move {
        let ended = pipeline.run(submissions, token).await;
        let _ = report.send(ended);
    })
    .map_err(|error| DaemonError::Build(format!("no thread for the pipeline: {error}")))?;

    Ok((hall, stop_hall, outbox))
}

/// Reads the journal back into the engine and the outbox, and makes the configured policy the one in force.
fn recover(
    settings: &Settings,
    engine: &Arc<RwLock<Engine>>,
    changes: Changes,
    clock: Clock,
    telemetry: Telemetry,
    (mut reader, early): (Reader, Option<Early>),
) -> Result<(Pipeline, Outbox), DaemonError> {
    let mut journal = Journal::open(&settings.storage.path)?;
    let checkpoints = Checkpoints::open(&settings.storage.path)?;
    let file = checkpoints.file().display().to_string();
    let tables = |error| DaemonError::Tables { file: file.clone(), error };
    let known = journal.last_policy()?;
    // Of a million services the record takes seconds, as the checkpoint does.
    let (begun, new_record) = std::thread::scope(|scope| {
        let new_record = scope.spawn(|| {
            let write = |writer: &mut dyn io::Write| write_record(&settings.policy, writer);
            (!known.is_some_and(|known| known.says(write))).then(|| to_record(&settings.policy))
        });
        (pipeline::begin(&journal, &checkpoints, early), new_record.join())
    });
    let begun = begun?;
    let new_record = new_record.map_err(|_| DaemonError::Build("the policy has no record".to_owned()))?;
    let connection = checkpoints.second_connection()?;
    store::prepare(&connection)
        .and_then(|()| store::reports::prepare(&connection))
        .and_then(|()| notify::prepare(&connection))
        .and_then(|()| changes.load(&connection))
        .map_err(tables)?;
    let outbox = Outbox::load(connection, settings.alerting.clone(), telemetry.clone()).map_err(tables)?;
    let mut outlets: Vec<Box<dyn crate::journal::Outlet>> =
        vec![Box::new(Store::default()), Box::new(outbox.clone()), Box::new(changes)];
    let mut read_back = pipeline::recover(&journal, begun, &decode_stored, |effects, progress| {
        for outlet in &mut outlets {
            outlet.take(effects);
        }
        reader.tell(progress);
    })?;
    clock.raise(read_back.now().max(journal.received()));
    // What fell due since then was told before the end, or should have been: it is known before the outbox looks at whom
    // it told of what.
    let mut effects = Vec::new();
    let now = clock.now();
    read_back.advance(now, &mut effects);
    if !effects.is_empty() {
        pipeline::note_time(&mut journal, now, &telemetry)?;
    }
    for outlet in &mut outlets {
        outlet.take(&effects);
    }
    reader.done();
    *engine.write().unwrap_or_else(PoisonError::into_inner) = read_back;
    telemetry.sequence.set(journal.sequence().cast_signed());
    telemetry.applied.set(journal.sequence().cast_signed());
    telemetry.first_sequence.set(journal.first().cast_signed());
    telemetry.journal_bytes.set(journal.bytes().cast_signed());

    let pace = CheckpointPace {
        events: settings.storage.checkpoint_events,
        interval: settings.storage.checkpoint_interval,
    };
    let mut pipeline = Pipeline {
        journal,
        checkpointer: Checkpointer::new(checkpoints),
        engine: engine.clone(),
        clock: clock.clone(),
        telemetry,
        outlets,
        pace,
        fold_after: settings.storage.fold_after,
        keep: Keep { span: settings.storage.keep_for, bytes: settings.storage.keep_bytes },
    };
    if let Some(record) = new_record {
        pipeline.adopt(settings.policy.clone(), &record)?;
    }
    let lapse = Alertmanager::lease(settings.alerting.resend_interval);
    let firing = engine.read().unwrap_or_else(PoisonError::into_inner);
    outbox.recovered(clock.now(), lapse, firing.alerts()).map_err(tables)?;
    drop(firing);
    Ok((pipeline, outbox))
}

/// Waits for the end, and takes everything down in order: the door, the hall, the carriers.
async fn supervise(
    parts: Parts,
    door: JoinHandle<()>,
    front: CancellationToken,
    ready: Arc<Readiness>,
    stop: CancellationToken,
) -> Result<(), DaemonError> {
    let Parts { mut hall, stop_hall, carriers, stop_carriers } = parts;
    let early = tokio::select! {
        biased;
        () = stop.cancelled() => None,
        ended = &mut hall => Some(ended),
    };
    ready.set(false);
    front.cancel();
    if door.await.is_err() {
        tracing::error!("the server ended unexpectedly");
    }
    stop_hall.cancel();
    let ended = match early {
        Some(ended) => ended,
        None => hall.await,
    };
    stop_carriers.cancel();
    if tokio::time::timeout(Duration::from_secs(LAST_NEWS_SECONDS_MAX), carriers.wait()).await.is_err() {
        tracing::warn!("a receiver did not take the last alerts in time; they are told after the next start");
    }
    ended.map_err(|_| DaemonError::Gone)?.map_err(DaemonError::Journal)
}

/// Everything that is answered over HTTP.
fn routes(
    intake: Arc<Intake>,
    desk: Arc<Desk>,
    reading: Arc<Reading>,
    following: Following,
    ready: Arc<Readiness>,
) -> Router {
    let scraping = Scraping::new(reading.telemetry.registry.clone());
    let working = Router::new()
        .route("/api/v1/incidents/{id}/{stage}", post(act))
        .merge(form::routes())
        .with_state(desk)
        .merge(
            Router::new()
                .merge(board::routes())
                .route("/api/v1/status", get(api::status))
                .route("/api/v1/services", get(api::services))
                .route("/api/v1/services/{service}", get(api::service))
                .route("/api/v1/groups", get(api::groups))
                .route("/api/v1/groups/{group}", get(api::group))
                .route("/api/v1/incidents", get(api::incidents))
                .route("/api/v1/incidents/export", get(export::export))
                .route("/api/v1/incidents/{id}", get(api::incident))
                .route("/api/v1/alerts", get(alerts::alerts))
                .route("/api/v1/alerts/suppressed", get(alerts::suppressed))
                .route("/api/v1/receivers", get(alerts::receivers))
                .route("/api/v1/targets", get(targets::targets))
                .route("/api/v1/reports", get(report::reports))
                .route("/api/v1/reports/{period}", get(report::report))
                .with_state(reading)
                .layer(packing()),
        )
        .route("/api/v1/stream", get(stream::follow).with_state(Arc::new(following)))
        .layer(middleware::from_fn_with_state(ready.clone(), when_ready));
    // On the hottest path, and for programs alone: it does without what dresses a page.
    let events = Router::new()
        .route("/api/v1/events", post(post_events).with_state(intake))
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(ready.clone(), when_ready));
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz).with_state(ready))
        .route("/metrics", get(scrape::metrics).with_state(scraping))
        .merge(
            Router::new()
                .route("/api/openapi.json", get(openapi::serve))
                .route("/runbooks/{alertname}", get(runbooks::runbook))
                .merge(board::assets())
                .layer(packing()),
        )
        .merge(working)
        .method_not_allowed_fallback(wrong_method)
        .fallback(async || {
            Problem::new(StatusCode::NOT_FOUND, "there is nothing here; /api/openapi.json lists what there is")
        })
        .layer(middleware::from_fn(board::dressed))
        .merge(events)
}

async fn wrong_method() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this path is not for that method")
}

/// Packs what is read, where whoever asks takes that and it is worth it. Not what is posted, whose answers are small and
/// on the hottest path; nor the stream, of which each event is wanted at once; nor a scrape, which packs itself on its own
/// thread.
fn packing() -> CompressionLayer<SizeAbove> {
    // The fastest level: see the views' scrape.
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(SizeAbove::new(PACKED_BYTES_MIN))
}

/// Whether it runs
#[utoipa::path(
    get, path = "/livez", tag = "operation",
    responses((status = 200, description = "It runs.", body = String))
)]
async fn livez() -> &'static str {
    "alive\n"
}
