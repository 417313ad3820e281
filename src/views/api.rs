//! The API for reading. A handler takes the engine's view at one instant and puts it into JSON.

pub mod figures;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::alerts;
use super::incident::Incident as Shown;
use super::json;
use super::words::{self, Time};
use crate::clock::Clock;
use crate::engine::Engine;
use crate::model::delivery::Deliveries;
use crate::model::event::Cause;
use crate::model::incident::{Incident, IncidentId, Status};
use crate::model::level::Level;
use crate::model::time::Instant;
use crate::problem::{self, Problem};
use crate::telemetry::Telemetry;

pub use figures::{group, groups, service, services};

/// Rows of a list when no limit is asked for, and the most that may be.
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1000;

/// What the routes read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The engine, as it stands.
    pub engine: Arc<RwLock<Engine>>,
    /// Tells as of when it is read.
    pub clock: Clock,
    /// The registry, and how far the journal is.
    pub telemetry: Telemetry,
    /// When the daemon started.
    pub started: Instant,
    /// Where it keeps things.
    pub storage: String,
    /// The file with the rows of incidents.
    pub file: PathBuf,
    /// How people reach it, for links.
    pub base_url: String,
    /// How far alerts have come, once that is read back.
    pub deliveries: Arc<OnceLock<Arc<dyn Deliveries>>>,
}

impl Reading {
    pub(super) fn engine(&self) -> RwLockReadGuard<'_, Engine> {
        self.engine.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same as a copy, for what takes long: the engine goes on meanwhile.
    pub(super) fn copy(&self) -> Engine {
        self.engine().to_read()
    }

    /// The incident of that id, as it stands, and as it is shown.
    #[must_use]
    pub fn incident(&self, id: &str) -> Option<(Incident, Shown)> {
        let engine = self.engine();
        let found = id.parse().ok().and_then(|id| engine.incident(id))?;
        let mut shown = json::incident(&engine, found, self.at(&engine));
        let found = found.clone();
        drop(engine);
        if let Some(known) = self.deliveries.get() {
            shown.pages = known.pages(Some(found.id), self.clock.now()).iter().map(alerts::shown).collect();
        }
        Some((found, shown))
    }

    pub(super) fn at(&self, engine: &Engine) -> Instant {
        self.clock.now().max(engine.now())
    }
}

/// How the daemon is doing.
#[derive(Debug, Serialize, ToSchema)]
pub struct DaemonStatus {
    /// Its version.
    version: &'static str,
    /// Its time.
    now: Time,
    /// The network's time zone, by its IANA name.
    time_zone: String,
    /// When it started.
    started: Time,
    /// Where it keeps things.
    storage: String,
    /// How many services it knows.
    services: usize,
    incidents_open: IncidentsOpen,
    /// How many alerts fire.
    alerts_firing: usize,
    /// What is older is kept as sums of whole days.
    kept_in_full_since: Option<Time>,
    /// The last batch in the journal.
    journal_sequence: i64,
    /// The last batch in a checkpoint.
    checkpoint_sequence: i64,
    /// What it waits for next.
    next_deadline: Option<Deadline>,
}

/// How many incidents are not restored, by level.
#[derive(Debug, Serialize, ToSchema)]
pub struct IncidentsOpen {
    first: usize,
    second: usize,
    third: usize,
}

/// An instant at which something will come about if nothing changes.
#[derive(Debug, Serialize, ToSchema)]
pub struct Deadline {
    /// When.
    at: Time,
    /// What, in one word.
    reason: &'static str,
}

/// How the daemon is doing
#[utoipa::path(
    get, path = "/api/v1/status", tag = "operation",
    responses(
        (status = 200, description = "How it is doing.", body = DaemonStatus),
        (status = 503, response = problem::Unavailable),
    )
)]
pub async fn status(State(reading): State<Arc<Reading>>) -> Json<DaemonStatus> {
    let engine = reading.copy();
    let open = |level: Level| engine.recent_incidents().filter(|i| i.status.is_open() && i.level == level).count();
    Json(DaemonStatus {
        version: env!("CARGO_PKG_VERSION"),
        now: Time(reading.at(&engine)),
        time_zone: engine.calendar().zone().to_owned(),
        started: Time(reading.started),
        storage: reading.storage.clone(),
        services: engine.services().len(),
        incidents_open: IncidentsOpen {
            first: open(Level::First),
            second: open(Level::Second),
            third: open(Level::Third),
        },
        alerts_firing: engine.alerts().count(),
        kept_in_full_since: engine.folded_until().map(Time),
        journal_sequence: reading.telemetry.sequence.get(),
        checkpoint_sequence: reading.telemetry.checkpoint_sequence.get(),
        next_deadline: engine.next_deadline().map(|(at, timer)| Deadline { at: Time(at), reason: timer.name() }),
    })
}

/// What a list of incidents is asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct IncidentQuery {
    /// Those that have come so far only; `open` is everything not restored.
    #[param(value_type = words::Status, required = false)]
    status: Option<String>,
    /// Those of this level only.
    #[param(value_type = words::WantedLevel, required = false)]
    level: Option<String>,
    /// Those of this service only.
    #[param(value_type = String, required = false)]
    service: Option<String>,
    /// Those that were not over by then: RFC 3339 with an offset (a `+` is written `%2B`).
    #[param(value_type = String, format = DateTime, required = false)]
    from: Option<String>,
    /// Those that had begun before: RFC 3339 with an offset.
    #[param(value_type = String, format = DateTime, required = false)]
    until: Option<String>,
    /// Those that touched this region only.
    #[param(value_type = String, required = false)]
    region: Option<String>,
    /// Those of this cause only.
    #[param(value_type = words::Cause, required = false)]
    cause: Option<String>,
    /// Those of the drill of this name, or with `*` of all drills, instead of the network's own.
    #[param(value_type = String, required = false)]
    drill: Option<String>,
    /// The most rows of the page; 100 when it is not said.
    #[param(value_type = usize, required = false, minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The `next` of the page before.
    #[param(value_type = String, required = false, pattern = "^-?[0-9]{1,18}[.][0-9a-f]{16}$")]
    after: Option<String>,
}

/// A page of incidents.
#[derive(Debug, Serialize, ToSchema)]
pub struct IncidentPage {
    /// The latest first.
    incidents: Vec<Shown>,
    /// What the next page comes `after`; absent on the last one.
    next: Option<String>,
}

/// Incidents, the latest first
#[utoipa::path(
    get, path = "/api/v1/incidents", tag = "incidents",
    params(IncidentQuery),
    responses(
        (status = 200, description = "A page of incidents.", body = IncidentPage),
        (status = 400, response = problem::BadRequest),
        (status = 503, response = problem::Unavailable),
    )
)]
pub async fn incidents(
    State(reading): State<Arc<Reading>>,
    query: Result<Query<IncidentQuery>, QueryRejection>,
) -> Result<Json<IncidentPage>, Problem> {
    let Query(query) = query?;
    let (from, until) = (instant("from", query.from.as_deref())?, instant("until", query.until.as_deref())?);
    let level = level(query.level.as_deref())?;
    let status = query.status.as_deref();
    let statuses = Status::ALL.map(Status::name);
    if let Some(other) = status.filter(|status| !statuses.contains(status)) {
        return Err(bad(format!("status: {other:?} is none of {}", statuses.join(", "))));
    }
    let cause = cause(query.cause.as_deref())?;
    let after = query.after.as_deref().map(cursor).transpose().map_err(bad)?;
    let limit = limit(query.limit)?;
    let engine = reading.copy();
    let at = reading.at(&engine);
    let wanted = |incident: &&Incident| {
        status.is_none_or(|status| match status {
            "open" => incident.status.is_open(),
            other => incident.status.name() == other,
        }) && level.is_none_or(|level| incident.level == level)
            && from.is_none_or(|from| incident.restored.is_none_or(|restored| restored > from))
            && until.is_none_or(|until| incident.started < until)
            && cause.is_none_or(|cause| incident.cause == cause)
            && query.region.as_deref().is_none_or(|region| engine.regions_of(incident.id).contains(region))
            && after.as_ref().is_none_or(|after| place(incident) > *after)
    };
    let all: Box<dyn Iterator<Item = &Incident>> = match (query.drill.as_deref(), query.service.as_deref()) {
        (Some(drill), service) => {
            let engine: &Engine = &engine;
            let of_service = move |id| service.is_none_or(|name| engine.services_of(id).any(|known| known == name));
            let of_drill = move |incident: &Incident| drill == "*" || incident.drill.as_deref() == Some(drill);
            Box::new(
                engine.drill_incidents().filter(move |&incident| of_drill(incident) && of_service(incident.id)),
            )
        }
        (None, Some(service)) => Box::new(engine.service(service).into_iter().flat_map(|view| view.incidents())),
        (None, None) => Box::new(engine.incidents()),
    };
    let mut found: Vec<&Incident> = all.filter(wanted).collect();
    found.sort_unstable_by_key(|incident| place(incident));
    let next = (found.len() > limit)
        .then(|| found[limit - 1])
        .map(|last| format!("{}.{}", last.started.as_micros(), last.id));
    let incidents = found.iter().take(limit).map(|incident| json::incident(&engine, incident, at)).collect();
    Ok(Json(IncidentPage { incidents, next }))
}

/// One incident
#[utoipa::path(
    get, path = "/api/v1/incidents/{id}", tag = "incidents",
    params(("id" = String, Path, description = "The incident's id.", pattern = "^[0-9a-f]{16}$")),
    responses(
        (status = 200, description = "The incident as it stands.", body = Shown),
        (status = 400, response = problem::BadRequest),
        (status = 404, response = problem::NotFound),
        (status = 503, response = problem::Unavailable),
    )
)]
pub async fn incident(
    State(reading): State<Arc<Reading>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Shown>, Problem> {
    let Path(id) = id?;
    match reading.incident(&id) {
        Some((_, shown)) => Ok(Json(shown)),
        None => {
            let folded = reading
                .engine()
                .folded_until()
                .map(|at| format!("; those before {at} are rows of the storage only"));
            let detail = format!("there is no incident {id:?}{}", folded.unwrap_or_default());
            Err(Problem::new(StatusCode::NOT_FOUND, detail))
        }
    }
}

/// The cause that is asked for.
pub(super) fn cause(name: Option<&str>) -> Result<Option<Cause>, Problem> {
    let Some(name) = name else { return Ok(None) };
    let known = Cause::ALL.into_iter().find(|cause| cause.name() == name);
    let names = || Cause::ALL.map(Cause::name).join(", ");
    known.map(Some).ok_or_else(|| bad(format!("cause: {name:?} is none of {}", names())))
}

/// The level that is asked for.
pub(super) fn level(name: Option<&str>) -> Result<Option<Level>, Problem> {
    match name {
        None => Ok(None),
        Some("1" | "first") => Ok(Some(Level::First)),
        Some("2" | "second") => Ok(Some(Level::Second)),
        Some("3" | "third") => Ok(Some(Level::Third)),
        Some(other) => Err(bad(format!("level: {other:?} is none of 1, 2, 3"))),
    }
}

pub(super) fn instant(name: &str, text: Option<&str>) -> Result<Option<Instant>, Problem> {
    text.map(str::parse).transpose().map_err(|error| bad(format!("{name}: {error}")))
}

pub(super) fn bad(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

/// How many rows a page has.
pub(super) fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked.unwrap_or(LIMIT) {
        limit @ 1..=LIMIT_MAX => Ok(limit),
        limit => Err(bad(format!("limit: {limit} is not from 1 to {LIMIT_MAX}"))),
    }
}

/// An incident's place in a list, the latest first.
fn place(incident: &Incident) -> (i64, String) {
    (-incident.started.as_micros(), incident.id.to_string())
}

/// The place after which the next page begins.
fn cursor(text: &str) -> Result<(i64, String), String> {
    let place = text.split_once('.').and_then(|(started, id)| {
        let (at, id): (i64, IncidentId) = (started.parse().ok()?, id.parse().ok()?);
        Some((at.checked_neg()?, id.to_string()))
    });
    place.ok_or_else(|| format!("after: {text:?} is not a cursor that `next` gave"))
}
