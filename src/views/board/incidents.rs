//! The incidents, the latest first.

use std::cmp::Reverse;
use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::super::api::{Reading, bad, level};
use super::frame::{Asked, Page, Place};
use super::now::Card;
use super::shown;
use crate::engine::Engine;
use crate::model::incident::{Incident, Status};
use crate::model::level::Level;
use crate::problem::Problem;

/// Incidents of a page.
const ROWS: usize = 100;
/// Pages that one may turn to.
const PAGES_MAX: usize = 1000;

/// What is asked for; what is empty is not.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    status: String,
    level: String,
    page: Option<usize>,
}

#[derive(Template)]
#[template(path = "incidents.html")]
struct Incidents<'a> {
    page: Page,
    wanted: Wanted,
    statuses: [Status; 7],
    levels: [Level; 3],
    found: u64,
    turned: usize,
    has_more: bool,
    rows: Vec<Card<'a>>,
    /// What is older is in the export only.
    folded: Option<crate::model::time::Instant>,
}

impl Incidents<'_> {
    fn turned_to(&self, turned: usize) -> String {
        format!("/incidents?status={}&level={}&page={turned}", self.wanted.status, self.wanted.level)
    }

    fn is_level(&self, level: &Level) -> bool {
        self.wanted.level == level.number().to_string() || self.wanted.level == level.name()
    }
}

/// The incidents that were asked for.
pub(super) async fn incidents(
    State(reading): State<Arc<Reading>>,
    asked: Asked,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(wanted) = wanted?;
    let engine = reading.copy();
    let page = asked.page(Place::Incidents, &reading, &engine);
    of(&engine, page, wanted).map(|incidents| shown(&incidents))
}

fn of(engine: &Engine, page: Page, wanted: Wanted) -> Result<Incidents<'_>, Problem> {
    let level = level(Some(wanted.level.as_str()).filter(|level| !level.is_empty()))?;
    let status = match Status::ALL.into_iter().find(|status| status.name() == wanted.status) {
        None if !wanted.status.is_empty() => {
            let names = Status::ALL.map(Status::name).join(", ");
            return Err(bad(format!("status: {:?} is none of {names}", wanted.status)));
        }
        status => status,
    };
    let is_wanted = |incident: &&Incident| {
        level.is_none_or(|level| incident.level == level)
            && match status {
                // As the API has it: everything that is not restored.
                Some(Status::Open) => incident.status.is_open(),
                Some(status) => incident.status == status,
                // What proved to be none is shown to whoever asks for it.
                None => !matches!(incident.status, Status::Merged | Status::Withdrawn),
            }
    };
    let mut found: Vec<&Incident> = engine.incidents().filter(is_wanted).collect();
    let count = found.len();
    let turned = wanted.page.unwrap_or(1).clamp(1, PAGES_MAX);
    let latest = |incident: &&Incident| (Reverse(incident.started), incident.id);
    let end = turned * ROWS;
    if count > end {
        found.select_nth_unstable_by_key(end, latest);
        found.truncate(end);
    }
    found.sort_unstable_by_key(latest);
    let rows = found.into_iter().skip(end - ROWS).map(|incident| Card::of(incident, page.now)).collect();
    Ok(Incidents {
        wanted,
        statuses: Status::ALL,
        levels: Level::ALL,
        found: count as u64,
        turned,
        has_more: count > end && turned < PAGES_MAX,
        rows,
        folded: engine.folded_until(),
        page,
    })
}
