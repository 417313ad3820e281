//! The API for reading. A handler takes the engine's view at one instant and puts it into JSON.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus::{Encoder, TextEncoder};
use serde::Deserialize;
use serde_json::{Value, json};

use super::json::{self, Asked, Promised};
use crate::clock::Clock;
use crate::engine::{Engine, GroupView, ServiceView};
use crate::model::calendar::Range;
use crate::model::figures::State as ServiceState;
use crate::model::incident::Incident;
use crate::model::level::Level;
use crate::model::time::{Instant, Window};
use crate::problem::Problem;
use crate::telemetry::Telemetry;

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
}

impl Reading {
    pub(super) fn engine(&self) -> RwLockReadGuard<'_, Engine> {
        self.engine.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The incident of that id, as it stands, and as it is shown.
    #[must_use]
    pub fn incident(&self, id: &str) -> Option<(Incident, Value)> {
        let engine = self.engine();
        let found = id.parse().ok().and_then(|id| engine.incident(id))?;
        Some((found.clone(), json::incident(&engine, found, self.at(&engine))))
    }

    fn at(&self, engine: &Engine) -> Instant {
        self.clock.now().max(engine.now())
    }
}

/// `GET /metrics`.
pub async fn metrics(State(reading): State<Arc<Reading>>) -> Response {
    let mut text = Vec::new();
    match TextEncoder::new().encode(&reading.telemetry.registry.gather(), &mut text) {
        Ok(()) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// `GET /api/v1/status`.
pub async fn status(State(reading): State<Arc<Reading>>) -> Json<Value> {
    let engine = reading.engine();
    let open = |level: Level| engine.incidents().filter(|i| i.status.is_open() && i.level == level).count();
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "now": reading.at(&engine).to_string(),
        "started": reading.started.to_string(),
        "storage": reading.storage,
        "services": engine.services().len(),
        "incidents_open": {
            "first": open(Level::First), "second": open(Level::Second), "third": open(Level::Third),
        },
        "alerts_firing": engine.alerts().count(),
        "kept_in_full_since": engine.folded_until().map(|at| at.to_string()),
        "journal_sequence": reading.telemetry.sequence.get(),
        "checkpoint_sequence": reading.telemetry.checkpoint_sequence.get(),
        "next_deadline": engine.next_deadline().map(|(at, timer)| json!({
            "at": at.to_string(), "reason": timer.name(),
        })),
    }))
}

/// As of when, held against which targets, and of which period figures are asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FiguresQuery {
    at: Option<String>,
    policy: Option<String>,
    period: Option<String>,
}

impl FiguresQuery {
    /// What it asks for.
    fn asked(&self, reading: &Reading, engine: &Engine) -> Result<Asked, Problem> {
        let now = reading.at(engine);
        let at = instant("at", self.at.as_deref())?.unwrap_or(now);
        if at > now {
            return Err(bad(format!("at: {at} lies ahead; it is {now}")));
        }
        let promised = self.policy.as_deref().map(str::parse).transpose();
        let promised: Promised = promised.map_err(|error| bad(format!("policy: {error}")))?.unwrap_or_default();
        let period = self.period.as_deref().map(|name| engine.calendar().named(name)).transpose();
        let period = period.map_err(|error| bad(format!("period: {error}")))?;
        let exact = |at: Instant| engine.is_exact_at(at);
        if let Some(folded) = engine.folded_until() {
            let by_days = format!("what is older than {folded} is kept by whole days (storage.fold_after)");
            if at < now && !(at >= folded && Window::ALL.iter().all(|window| exact(at.minus(window.length())))) {
                return Err(bad(format!(
                    "at: the windows that end at {at} reach back into days of which only the sums are kept: {by_days}; ask \
                     for a period such as 2026-03 instead"
                )));
            }
            if let Some(Range { from, until }) = period
                && !(exact(from) && exact(until.min(at)))
            {
                return Err(bad(format!("period: {by_days}, and not by those of {}", engine.calendar().zone())));
            }
        }
        Ok(Asked { at, under: promised.under(at), period })
    }
}

/// `GET /api/v1/services/{service}`.
///
/// # Errors
/// 400 when the query is not understood, 404 when no event or catalogue ever named it.
pub async fn service(
    State(reading): State<Arc<Reading>>,
    Path(name): Path<String>,
    query: Result<Query<FiguresQuery>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(query) = query.map_err(|error| bad(error.body_text()))?;
    let engine = reading.engine();
    let asked = query.asked(&reading, &engine)?;
    match engine.service(&name) {
        Some(view) => Ok(Json(json::service(&engine, view, &asked))),
        None => {
            let hint = if name.contains('%') { "" } else { "; a slash in a name is written %2F" };
            Err(Problem::new(StatusCode::NOT_FOUND, format!("there is no service {name:?}{hint}")))
        }
    }
}

/// `GET /api/v1/groups/{group}`.
///
/// # Errors
/// 400 when the query is not understood, 404 when no service is in such a group.
pub async fn group(
    State(reading): State<Arc<Reading>>,
    Path(name): Path<String>,
    query: Result<Query<FiguresQuery>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(query) = query.map_err(|error| bad(error.body_text()))?;
    let engine = reading.engine();
    let asked = query.asked(&reading, &engine)?;
    match engine.group(&name) {
        Some(view) => Ok(Json(json::group(&engine, view, &asked))),
        None => {
            let hint = "groups are all, those that the catalogue names, and region:…, tier:…, kind:…";
            Err(Problem::new(StatusCode::NOT_FOUND, format!("there is no group {name:?}; {hint}")))
        }
    }
}

/// What a list of groups is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupQuery {
    at: Option<String>,
    policy: Option<String>,
    period: Option<String>,
    limit: Option<usize>,
    after: Option<String>,
}

/// `GET /api/v1/groups`: by name.
///
/// # Errors
/// 400 when the query is not understood.
pub async fn groups(
    State(reading): State<Arc<Reading>>,
    query: Result<Query<GroupQuery>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(GroupQuery { at, policy, period, limit, after }) = query.map_err(|error| bad(error.body_text()))?;
    let limit = limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX);
    let engine = reading.engine();
    let asked = FiguresQuery { at, policy, period }.asked(&reading, &engine)?;
    let follows = |view: &GroupView<'_>| after.as_deref().is_none_or(|after| view.name() > after);
    let mut found: Vec<GroupView<'_>> = engine.groups().filter(follows).collect();
    found.sort_unstable_by_key(GroupView::name);
    let next = (found.len() > limit).then(|| found[limit - 1].name());
    let page: Vec<Value> = found.iter().take(limit).map(|&view| json::group(&engine, view, &asked)).collect();
    Ok(Json(json!({ "groups": page, "next": next })))
}

/// What a list of services is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceQuery {
    group: Option<String>,
    state: Option<String>,
    limit: Option<usize>,
    after: Option<String>,
}

/// `GET /api/v1/services`: by name.
///
/// # Errors
/// 400 when the query is not understood.
pub async fn services(
    State(reading): State<Arc<Reading>>,
    query: Result<Query<ServiceQuery>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(query) = query.map_err(|error| bad(error.body_text()))?;
    let named = |name: &str| ServiceState::ALL.into_iter().find(|state| state.name() == name);
    let state = match query.state.as_deref().map(|name| named(name).ok_or(name)).transpose() {
        Ok(state) => state,
        Err(name) => {
            let names = ServiceState::ALL.map(ServiceState::name).join(", ");
            return Err(bad(format!("state: {name:?} is none of {names}")));
        }
    };
    let limit = query.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX);
    let engine = reading.engine();
    let at = reading.at(&engine);
    let mut found: Vec<ServiceView<'_>> = engine
        .services()
        .filter(|view| {
            query.after.as_deref().is_none_or(|after| view.name() > after)
                && query.group.as_ref().is_none_or(|group| view.is_in(group))
                && state.is_none_or(|state| view.state(at) == state)
        })
        .collect();
    let more = found.len() > limit;
    if more {
        // Only the page is put in order: the network may have a million services.
        found.select_nth_unstable_by_key(limit, |view| view.name());
        found.truncate(limit);
    }
    found.sort_unstable_by_key(|view| view.name());
    let next = found.last().filter(|_| more).map(|last| last.name().to_owned());
    let page: Vec<Value> = found.into_iter().map(|view| json::service(&engine, view, &Asked::at(at))).collect();
    Ok(Json(json!({ "services": page, "next": next })))
}

/// What a list of incidents is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IncidentQuery {
    status: Option<String>,
    level: Option<String>,
    service: Option<String>,
    from: Option<String>,
    until: Option<String>,
    drill: Option<String>,
    limit: Option<usize>,
    after: Option<String>,
}

/// `GET /api/v1/incidents`: the latest first. Those of drills are listed apart: of one by its name, of all with `*`.
///
/// # Errors
/// 400 when the query is not understood.
pub async fn incidents(
    State(reading): State<Arc<Reading>>,
    query: Result<Query<IncidentQuery>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(query) = query.map_err(|error| bad(error.body_text()))?;
    let (from, until) = (instant("from", query.from.as_deref())?, instant("until", query.until.as_deref())?);
    let level = level(query.level.as_deref())?;
    let status = query.status.as_deref();
    if status.is_some_and(|status| !STATUSES.contains(&status)) {
        return Err(bad(format!("status: {:?} is none of {}", status.unwrap_or(""), STATUSES.join(", "))));
    }
    let after = query.after.as_deref().map(cursor).transpose().map_err(bad)?;
    let limit = query.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX);
    let engine = reading.engine();
    let at = reading.at(&engine);
    let wanted = |incident: &&Incident| {
        status.is_none_or(|status| match status {
            "open" => incident.status.is_open(),
            other => incident.status.name() == other,
        }) && level.is_none_or(|level| incident.level == level)
            && from.is_none_or(|from| incident.restored.is_none_or(|restored| restored > from))
            && until.is_none_or(|until| incident.started < until)
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
    let page: Vec<Value> = found.iter().take(limit).map(|incident| json::incident(&engine, incident, at)).collect();
    Ok(Json(json!({ "incidents": page, "next": next })))
}

/// `GET /api/v1/incidents/{id}`.
///
/// # Errors
/// 404 when there is none of that id.
pub async fn incident(State(reading): State<Arc<Reading>>, Path(id): Path<String>) -> Result<Json<Value>, Problem> {
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

/// What `status` may be asked for; `open` is everything not restored.
pub(super) const STATUSES: [&str; 7] =
    ["open", "acknowledged", "mitigated", "restored", "reviewed", "merged", "withdrawn"];

/// An incident's place in a list, the latest first.
fn place(incident: &Incident) -> (i64, String) {
    (-incident.started.as_micros(), incident.id.to_string())
}

/// The place after which the next page begins.
fn cursor(text: &str) -> Result<(i64, String), String> {
    text.split_once('.')
        .and_then(|(started, id)| Some((started.parse::<i64>().ok()?.checked_neg()?, id.to_owned())))
        .ok_or_else(|| format!("after: {text:?} is not a cursor that `next` gave"))
}
