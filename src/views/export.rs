//! `GET /api/v1/incidents/export`: all of the database of record, one flat record an incident (R60–R62).

use std::path::Path;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use http_body_util::channel::{Channel, Sender};
use serde::Deserialize;
use utoipa::IntoParams;

use super::api::{Reading, bad, cause, instant, level};
use super::words;
use crate::engine::Engine;
use crate::model::incident::Status;
use crate::model::time::Instant;
use crate::problem::{self, Problem};
use crate::store::{self, Filter, Flat, Rows};

/// Records that are taken from the engine at a time, so that nobody waits for long.
const AT_ONCE: usize = 200;

/// What is to be exported.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// How it is written; CSV when it is not said.
    #[param(value_type = words::ExportFormat, required = false)]
    format: Option<String>,
    /// Those that have come so far only; `open` is everything not restored.
    #[param(value_type = words::Status, required = false)]
    status: Option<String>,
    /// Those of this level only.
    #[param(value_type = words::WantedLevel, required = false)]
    level: Option<String>,
    /// Those of this service only.
    #[param(value_type = String, required = false)]
    service: Option<String>,
    /// Those that touched this region only.
    #[param(value_type = String, required = false)]
    region: Option<String>,
    /// Those of this cause only.
    #[param(value_type = words::Cause, required = false)]
    cause: Option<String>,
    /// Those that were not over by then: RFC 3339 with an offset (a `+` is written `%2B`).
    #[param(value_type = String, format = DateTime, required = false)]
    from: Option<String>,
    /// Those that had begun before: RFC 3339 with an offset.
    #[param(value_type = String, format = DateTime, required = false)]
    until: Option<String>,
}

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Csv,
    Lines,
}

type Error = Box<dyn std::error::Error + Send + Sync>;

/// All incidents as flat records, by start; those of folded days among them
#[utoipa::path(
    get, path = "/api/v1/incidents/export", tag = "incidents",
    params(ExportQuery),
    responses(
        (status = 200, description = "A record an incident, in the same columns in either format.", content(
            (String = "text/csv"),
            (String = "application/x-ndjson"),
        )),
        (status = 400, response = problem::BadRequest),
        (status = 503, response = problem::Unavailable),
    )
)]
pub async fn export(
    State(reading): State<Arc<Reading>>,
    query: Result<Query<ExportQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query?;
    let format = match query.format.as_deref() {
        None | Some("csv") => Format::Csv,
        Some("ndjson") => Format::Lines,
        Some(other) => return Err(bad(format!("format: {other:?} is none of csv, ndjson"))),
    };
    let statuses = Status::ALL.map(Status::name);
    if let Some(other) = query.status.as_deref().filter(|status| !statuses.contains(status)) {
        return Err(bad(format!("status: {other:?} is none of {}", statuses.join(", "))));
    }
    let filter = Filter {
        from: instant("from", query.from.as_deref())?,
        until: instant("until", query.until.as_deref())?,
        level: level(query.level.as_deref())?,
        status: query.status,
        cause: cause(query.cause.as_deref())?,
        service: query.service,
        region: query.region,
    };
    let file = reading.file.clone();
    let broken = |error: rusqlite::Error| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("the storage cannot be read: {error}"))
    };
    let all = tokio::task::spawn_blocking({
        let reading = reading.clone();
        move || listed(&reading, &file)
    });
    let all = all.await.map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let (rows, ids) = all.map_err(broken)?;
    let (sender, body) = Channel::<Bytes, Error>::new(4);
    tokio::task::spawn_blocking(move || send(&reading, &rows, &ids, (&filter, format), sender));
    let (kind, name) = match format {
        Format::Csv => ("text/csv; charset=utf-8; header=present", "incidents.csv"),
        Format::Lines => ("application/x-ndjson", "incidents.ndjson"),
    };
    let disposition = format!("attachment; filename=\"{name}\"");
    let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, disposition.as_str())];
    // Whoever packs it asks again after the end, which a channel alone does not stand.
    Ok((headers, Body::new(body.fuse())).into_response())
}

/// The incidents that there are, by start: those of the engine, and those that are rows only.
fn listed(reading: &Reading, file: &Path) -> rusqlite::Result<(Rows, Vec<(Instant, String)>)> {
    let rows = Rows::open(file)?;
    let mut ids = rows.ids()?;
    let engine = reading.copy();
    ids.retain(|(_, id)| id.parse().ok().and_then(|id| engine.incident(id)).is_none());
    ids.extend(engine.incidents().map(|incident| (incident.started, incident.id.to_string())));
    drop(engine);
    ids.sort_unstable();
    Ok((rows, ids))
}

/// Sends them, some at a time.
fn send(
    reading: &Reading,
    rows: &Rows,
    ids: &[(Instant, String)],
    (filter, format): (&Filter, Format),
    mut sender: Sender<Bytes, Error>,
) {
    let runtime = tokio::runtime::Handle::current();
    let first = if format == Format::Csv { store::header().unwrap_or_default() } else { Vec::new() };
    // A reader that went away wants nothing more.
    if runtime.block_on(sender.send_data(first.into())).is_err() {
        return;
    }
    for some in ids.chunks(AT_ONCE) {
        match written(&reading.engine(), rows, some, (filter, format)) {
            Ok(text) if text.is_empty() => {}
            Ok(text) => {
                if runtime.block_on(sender.send_data(text.into())).is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::error!(%error, "an export of incidents broke off");
                return sender.abort(error);
            }
        }
    }
}

fn written(
    engine: &Engine,
    rows: &Rows,
    ids: &[(Instant, String)],
    (filter, format): (&Filter, Format),
) -> Result<Vec<u8>, Error> {
    let mut text = Vec::new();
    for (_, id) in ids {
        let known = id.parse().ok().and_then(|id| engine.incident(id));
        let flat = match known {
            Some(incident) => Some(Flat::new(incident, &engine.interruptions_of(incident.id))),
            None => rows.get(id)?,
        };
        let Some(flat) = flat.filter(|flat| flat.fits(filter)) else { continue };
        match format {
            Format::Csv => text.extend(flat.to_csv()?),
            Format::Lines => {
                serde_json::to_writer(&mut text, &flat.to_json())?;
                text.push(b'\n');
            }
        }
    }
    Ok(text)
}
