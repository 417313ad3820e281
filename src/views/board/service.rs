//! A service: its figures against the promise, its last ninety days, its outages, and what is measured of it.

use std::sync::Arc;

use askama::Template;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use axum::response::Response;

use super::super::api::Reading;
use super::charts::{self, Day};
use super::frame::{Asked, Page, Place};
use super::now::Row;
use super::saying::Html;
use super::shown;
use crate::engine::{Engine, OutageView, ServiceView};
use crate::model::calendar::Range;
use crate::model::event::Severity;
use crate::model::figures::{LatencyFigures, State};
use crate::model::incident::{Incident, IncidentId};
use crate::model::level::Ratio;
use crate::model::target::{REPAIR, Subject, Value};
use crate::model::time::{Instant, Span, Window};
use crate::problem::Problem;

/// Outages that are listed, the latest first.
const OUTAGES_MAX: usize = 50;

#[derive(Template)]
#[template(path = "service.html")]
struct Service<'a> {
    page: Page,
    view: ServiceView<'a>,
    state: State,
    target: Option<Ratio>,
    breach: Option<Instant>,
    rows: Vec<Row>,
    strip: Html,
    downtime: Option<Html>,
    repairs: Option<Html>,
    outages: Vec<(OutageView<'a>, Option<IncidentId>)>,
    outage_count: usize,
    latency: Vec<(String, LatencyFigures)>,
    measurements: Vec<(&'a str, f64, Instant, Option<Instant>)>,
    incident: Option<&'a Incident>,
    depends_on: Vec<Vec<String>>,
}

impl Service<'_> {
    fn ms(&self, span: &Option<Span>) -> String {
        span.map_or_else(|| "–".to_owned(), |span| format!("{:.1} ms", span.as_secs_f64() * 1e3))
    }

    fn ratio(&self, figures: &LatencyFigures) -> String {
        // Rounded down, as every share is.
        figures
            .within_ratio()
            .map_or_else(|| "–".to_owned(), |ratio| format!("{:.2} %", (ratio * 1e4).floor() / 1e2))
    }

    fn groups(&self) -> String {
        self.view.groups().join(", ")
    }
}

/// A service.
pub(super) async fn service(
    Shared(reading): Shared<Arc<Reading>>,
    asked: Asked,
    name: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let Path(name) = name?;
    let engine = reading.copy();
    let page = asked.page(Place::Services, &reading, &engine);
    match engine.service(&name) {
        Some(view) => Ok(shown(&of(&engine, page, view))),
        None => Err(Problem::new(StatusCode::NOT_FOUND, format!("there is no service {name:?}"))),
    }
}

fn of<'a>(engine: &'a Engine, page: Page, view: ServiceView<'a>) -> Service<'a> {
    let at = page.now;
    let target = view.target(at);
    let days = charts::days(&page.calendar, at);
    let shown = Day::of(view, &days);
    let range = Range { from: days.first().map_or(at, |day| day.from), until: at };
    let outages = view.outages(range);
    let repaired = |outage: &OutageView<'_>| {
        let counts = !outage.planned && outage.severity == Severity::Down;
        outage.ended.filter(|_| counts).map(|ended| ended.since(outage.started))
    };
    let lengths: Vec<Span> = outages.iter().filter_map(repaired).collect();
    let in_group = |group: &str| view.is_in(group);
    let subject = Subject { service: view.name(), tier: view.tier(), in_group: &in_group };
    let limit = engine.targets(at).of(REPAIR, &subject).and_then(Value::limit);
    let is_open = |incident: &&Incident| incident.status.is_open();
    let latency = Window::ALL.into_iter().filter_map(|window| {
        let figures = view.latency(window, at)?;
        (figures.samples > 0).then(|| (page.window(window), figures))
    });
    let alternatives = |one: String| one.split('|').map(str::to_owned).collect();
    Service {
        state: view.state(at),
        target,
        breach: view.time_to_breach(engine.targets(at).budget_window, at),
        rows: Row::all(&page, target, |range| view.figures_within(range, at)),
        strip: charts::strip(&page, &shown),
        downtime: charts::downtime(&page, &shown),
        repairs: (!lengths.is_empty()).then(|| charts::repairs(&page, &lengths, limit)),
        outage_count: outages.len(),
        outages: outages
            .into_iter()
            .rev()
            .take(OUTAGES_MAX)
            .map(|outage| (outage, view.incident_of(outage.started)))
            .collect(),
        latency: latency.collect(),
        measurements: view.measurements().collect(),
        incident: view.incidents().rev().find(is_open),
        depends_on: view.depends_on().into_iter().map(alternatives).collect(),
        view,
        page,
    }
}
