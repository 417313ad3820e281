//! Drills: those that run, with the incidents that they made. They count in no figure.

use std::cmp::Reverse;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::super::api::Reading;
use super::frame::{Asked, Page, Place};
use super::now::Card;
use super::shown;
use crate::model::incident::{Incident, Status};

#[derive(Template)]
#[template(path = "drills.html")]
struct Drills<'a> {
    page: Page,
    drills: Vec<(&'a str, Vec<Card<'a>>)>,
}

/// The drills that run.
pub(super) async fn drills(State(reading): State<Arc<Reading>>, asked: Asked) -> Response {
    let engine = reading.copy();
    let page = asked.page(Place::Drills, &reading, &engine);
    let of = |name: &str| {
        let own = |incident: &&Incident| {
            incident.drill.as_deref() == Some(name)
                && !matches!(incident.status, Status::Merged | Status::Withdrawn)
        };
        let mut found: Vec<&Incident> = engine.drill_incidents().filter(own).collect();
        found.sort_by_key(|incident| (Reverse(incident.level), Reverse(incident.started), incident.id));
        found.into_iter().map(|incident| Card::of(incident, page.now)).collect()
    };
    let drills = engine.drills().map(|name| (name, of(name))).collect();
    shown(&Drills { drills, page })
}
