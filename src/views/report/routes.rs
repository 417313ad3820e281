//! The routes of reports: what is frozen, and what a period comes to as things stand.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Origin, Report, Wanted, csv, make, markdown, sha256};
use crate::engine::Engine;
use crate::model::time::Instant;
use crate::problem::{self, Problem};
use crate::store::reports::{Frozen, Reports, head_at};
use crate::views::api::{Reading, bad};
use crate::views::board::alone;
use crate::views::words::{self, Time};
pub use crate::words::Language;

/// How often it is looked whether the engine has all that is in the journal, and how long between.
const LOOKS_MAX: u32 = 2000;
const BETWEEN: Duration = Duration::from_millis(2);

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The canonical form.
    Json,
    /// One table.
    Csv,
    /// For mail, tickets and wikis.
    Markdown,
    /// A page of its own, which prints well.
    Html,
}

impl Format {
    /// The format of that name.
    ///
    /// # Errors
    /// When there is none.
    pub fn named(name: &str) -> Result<Self, String> {
        match name {
            "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            "md" => Ok(Self::Markdown),
            "html" => Ok(Self::Html),
            other => Err(format!("format: {other:?} is none of json, csv, md, html")),
        }
    }

    /// A report in this format, from its canonical form.
    ///
    /// # Errors
    /// When that is no report.
    pub fn write(self, canonical: &[u8], base: &str, language: Language) -> Result<Vec<u8>, String> {
        match self {
            Self::Json => return Ok(canonical.to_vec()),
            Self::Html => return alone(canonical, base, language).map(String::into_bytes),
            Self::Csv | Self::Markdown => {}
        }
        let report: Report = serde_json::from_slice(canonical).map_err(|error| error.to_string())?;
        match self {
            Self::Csv => csv(&report).map_err(|error| error.to_string()),
            _ => Ok(markdown(&report, base).into_bytes()),
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Markdown => "md",
            Self::Html => "html",
        }
    }

    const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Markdown => "text/markdown; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
        }
    }
}

/// What a report is asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReportQuery {
    /// How it is written; JSON when it is not said. CSV begins with the mark of UTF-8 (BOM), for spreadsheets.
    #[param(value_type = words::ReportFormat, required = false)]
    format: Option<String>,
    /// The language of HTML; English when it is not said.
    #[param(value_type = words::ReportLanguage, required = false)]
    lang: Option<String>,
    /// Which revision of a frozen one, from 1 on; the last one when it is not said.
    #[param(value_type = u32, required = false, minimum = 1)]
    revision: Option<u32>,
}

/// The reports that are frozen.
#[derive(Debug, Serialize, ToSchema)]
pub struct FrozenReports {
    /// By the end of the period; of one period by revision.
    reports: Vec<FrozenReport>,
}

/// A frozen report.
#[derive(Debug, Serialize, ToSchema)]
pub struct FrozenReport {
    /// The period: a month or a quarter.
    period: String,
    /// From 1 on.
    revision: u32,
    /// The period's first instant.
    from: Time,
    /// The first instant after it.
    until: Time,
    /// What was received by then is in it.
    known_at: Time,
    /// The last batch of that.
    journal_sequence: u64,
    /// When it was made.
    made: Time,
    /// How many figures differ from the revision before.
    corrections: u64,
    /// The SHA-256 of its JSON.
    sha256: String,
}

impl From<Frozen> for FrozenReport {
    fn from(frozen: Frozen) -> Self {
        let Frozen { period, revision, from, until, known_at, sequence, made, corrections, sha256, .. } = frozen;
        let (from, until, known_at, made) = (Time(from), Time(until), Time(known_at), Time(made));
        Self { period, revision, from, until, known_at, journal_sequence: sequence, made, corrections, sha256 }
    }
}

/// The engine, and its place in the journal.
#[derive(Debug)]
pub struct Position {
    /// A copy that all can be read from.
    pub engine: Engine,
    /// As of when it is read.
    pub now: Instant,
    /// From where in the journal it is.
    pub origin: Origin,
}

impl Reading {
    /// A copy of the engine that has all of the journal up to a batch, and nothing else. Absent when the pipeline has been
    /// busy for long.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        for _ in 0..LOOKS_MAX {
            let engine = self.engine();
            let applied = self.telemetry.applied.get();
            if let Ok(sequence) = u64::try_from(applied)
                && applied == self.telemetry.sequence.get()
            {
                let (known_at, now) = (engine.now(), self.at(&engine));
                let copy = engine.to_read();
                drop(engine);
                let head = self.file.parent().and_then(|folder| head_at(folder, sequence));
                return Some(Position { engine: copy, now, origin: Origin { known_at, sequence, head } });
            }
            drop(engine);
            std::thread::sleep(BETWEEN);
        }
        None
    }
}

/// The reports that are frozen
///
/// The daemon freezes the report of each month and quarter by itself, an hour after the end, and looks daily whether
/// anything said of the period was corrected: that makes another revision.
#[utoipa::path(
    get, path = "/api/v1/reports", tag = "reports",
    responses(
        (status = 200, description = "Every revision of every period.", body = FrozenReports),
        (status = 503, response = problem::Unavailable),
    )
)]
pub async fn reports(State(reading): State<Arc<Reading>>) -> Result<Json<FrozenReports>, Problem> {
    Ok(Json(FrozenReports { reports: frozen(reading).await?.into_iter().map(FrozenReport::from).collect() }))
}

/// What a period came to
///
/// Of a month or a quarter that is over, the frozen report: its last revision, or the one asked for. Of any other period
/// the report as things stand. The same state of the journal gives the same bytes; `fournines report -c` gives them
/// offline.
#[utoipa::path(
    get, path = "/api/v1/reports/{period}", tag = "reports",
    params(
        ("period" = String, Path, description = "`2026-03`, `2026-Q1`, `2026`, `2026-03-14`, or `FROM..UNTIL`: two dates of the network's zone or RFC 3339 instants (a `+` is written `%2B`), the second one not in it.", example = "2026-03"),
        ReportQuery,
    ),
    responses(
        (status = 200, description = "The report.", content(
            (Report = "application/json"),
            (String = "text/csv"),
            (String = "text/markdown"),
            (String = "text/html"),
        ), headers(
            ("ETag" = String, description = "The SHA-256 of its JSON, and the format."),
            ("Fournines-Sha256" = String, description = "The SHA-256 of its JSON."),
            ("Fournines-Revision" = u32, description = "Which revision of a frozen one it is; absent when it is not frozen."),
        )),
        (status = 400, response = problem::BadRequest),
        (status = 404, response = problem::NotFound),
        (status = 500, response = problem::Failed),
        (status = 503, response = problem::Unavailable),
    )
)]
pub async fn report(
    State(reading): State<Arc<Reading>>,
    period: Result<Path<String>, PathRejection>,
    query: Result<Query<ReportQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let (Path(period), Query(query)) = (period?, query?);
    let format = query.format.as_deref().map_or(Ok(Format::Json), Format::named).map_err(bad)?;
    let language = query.lang.as_deref().map_or(Ok(Language::English), language).map_err(bad)?;
    aside(move || answer(&reading, &period, (format, language), query.revision)).await?
}

/// The language of that name.
///
/// # Errors
/// When there is none.
pub fn language(name: &str) -> Result<Language, String> {
    match name {
        "en" => Ok(Language::English),
        "zh" => Ok(Language::Chinese),
        other => Err(format!("lang: {other:?} is none of en, zh")),
    }
}

/// Every revision that is frozen.
pub(in crate::views) async fn frozen(reading: Arc<Reading>) -> Result<Vec<Frozen>, Problem> {
    aside(move || Reports::open(&reading.file)?.all()).await?.map_err(|error| broken(&error))
}

fn answer(
    reading: &Reading,
    period: &str,
    (format, language): (Format, Language),
    revision: Option<u32>,
) -> Result<Response, Problem> {
    let (body, revision, name) = body(reading, period, revision)?;
    let hash = sha256(&body);
    let written = format.write(&body, &reading.base_url, language);
    let written = written.map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error))?;
    let kind = format.media_type();
    let tag = format!("\"{hash}-{}\"", format.name());
    let mut response = ([(header::CONTENT_TYPE, kind), (header::ETAG, &tag)], written).into_response();
    let headers = response.headers_mut();
    headers.extend(hash.parse().ok().map(|hash| (HeaderName::from_static("fournines-sha256"), hash)));
    headers.extend(revision.map(|number| (HeaderName::from_static("fournines-revision"), number.into())));
    if format == Format::Csv {
        let safe: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect();
        let disposition = format!("attachment; filename=\"report-{safe}.csv\"").parse().ok();
        headers.extend(disposition.map(|value| (header::CONTENT_DISPOSITION, value)));
    }
    Ok(response)
}

/// The canonical form of a report, which revision it is, and the period's name.
pub(in crate::views) fn body(
    reading: &Reading,
    period: &str,
    revision: Option<u32>,
) -> Result<(Vec<u8>, Option<u32>, String), Problem> {
    let wanted = {
        let engine = reading.engine();
        Wanted::read(&engine.calendar(), period).map_err(|error| bad(format!("period: {error}")))?
    };
    if wanted.is_frozen() {
        let found = Reports::open(&reading.file).and_then(|reports| reports.get(&wanted.name, revision));
        if let Some((frozen, body)) = found.map_err(|error| broken(&error))? {
            return Ok((body, Some(frozen.revision), wanted.name));
        }
    }
    if let Some(number) = revision {
        let detail = format!("{} has no revision {number}; GET /api/v1/reports lists what is frozen", wanted.name);
        return Err(Problem::new(StatusCode::NOT_FOUND, detail));
    }
    let Some(position) = reading.position() else {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "it is too busy; ask again")
            .header(header::RETRY_AFTER, "1"));
    };
    let name = wanted.name.clone();
    let report = live(position, &wanted)?;
    let body =
        report.to_json().map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok((body, None, name))
}

/// A report as things stand.
fn live(position: Position, wanted: &Wanted) -> Result<Report, Problem> {
    let Position { engine, now, origin } = position;
    possible(&engine, wanted, now).map_err(|problem| bad(format!("period: {problem}")))?;
    Ok(make(engine, wanted, now, &origin))
}

/// Whether there can be a report of the period.
///
/// # Errors
/// With why not.
pub fn possible(engine: &Engine, wanted: &Wanted, now: Instant) -> Result<(), String> {
    let range = wanted.range;
    if range.from >= now {
        return Err(format!("{} has not begun: it is {now}", wanted.name));
    }
    let ends = [range.from, range.until.min(now)];
    match ends.into_iter().find(|&at| !engine.is_exact_at(at)) {
        Some(at) => Err(format!(
            "{at} lies within a day of which only the sum is kept (storage.fold_after): ask for whole days"
        )),
        None => Ok(()),
    }
}

/// The storage cannot be read.
fn broken(error: &rusqlite::Error) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("the storage cannot be read: {error}"))
        .header(header::RETRY_AFTER, "1")
}

/// Does what takes long beside what the runtime does.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}
