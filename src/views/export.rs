//! `GET /api/v1/incidents/export`: all of the database of record, one flat record an incident (R60–R62).

use std::path::Path;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::channel::{Channel, Sender};
use serde::Deserialize;

use super::api::{Reading, STATUSES, bad, instant, level};
use crate::engine::Engine;
use crate::model::event::Cause;
use crate::model::time::Instant;
use crate::problem::Problem;
use crate::store::{self, Filter, Flat, Rows};

/// Records that are taken from the engine at a time, so that nobody waits for long.
const AT_ONCE: usize = 200;

/// What is to be exported.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportQuery {
    format: Option<String>,
    status: Option<String>,
    level: Option<String>,
    service: Option<String>,
    region: Option<String>,
    cause: Option<String>,
    from: Option<String>,
    until: Option<String>,
}

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Csv,
    Lines,
}

type Error = Box<dyn std::error::Error + Send + Sync>;

/// `GET /api/v1/incidents/export`: by start; those of folded days among them.
///
/// # Errors
/// 400 when the query is not understood, 503 when the storage cannot be read, as before the journal is.
pub async fn export(
    State(reading): State<Arc<Reading>>,
    query: Result<Query<ExportQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|error| bad(error.body_text()))?;
    let format = match query.format.as_deref() {
        None | Some("csv") => Format::Csv,
        Some("ndjson") => Format::Lines,
        Some(other) => return Err(bad(format!("format: {other:?} is none of csv, ndjson"))),
    };
    if let Some(status) = query.status.as_deref().filter(|status| !STATUSES.contains(status)) {
        return Err(bad(format!("status: {status:?} is none of {}", STATUSES.join(", "))));
    }
    if let Some(cause) = &query.cause
        && !Cause::ALL.iter().any(|known| known.name() == cause)
    {
        return Err(bad(format!("cause: {cause:?} is none of {}", Cause::ALL.map(Cause::name).join(", "))));
    }
    let filter = Filter {
        from: instant("from", query.from.as_deref())?,
        until: instant("until", query.until.as_deref())?,
        level: level(query.level.as_deref())?,
        status: query.status,
        cause: query.cause,
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
    Ok((headers, Body::new(body)).into_response())
}

/// The incidents that there are, by start: those of the engine, and those that are rows only.
fn listed(reading: &Reading, file: &Path) -> rusqlite::Result<(Rows, Vec<(Instant, String)>)> {
    let rows = Rows::open(file)?;
    let mut ids = rows.ids()?;
    let engine = reading.engine();
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
