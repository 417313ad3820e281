//! Maintenance: what is ahead, what goes on, and what became of the rest.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::super::api::Reading;
use super::frame::{Asked, Page, Place};
use super::shown;
use crate::engine::{MaintenanceState, MaintenanceView, Whom};

/// What is over and still shown.
const OVER_MAX: usize = 200;

#[derive(Template)]
#[template(path = "maintenance.html")]
struct Listed<'a> {
    page: Page,
    /// What goes on and what is ahead, then what is over.
    current: Vec<MaintenanceView<'a>>,
    past: Vec<MaintenanceView<'a>>,
}

impl Listed<'_> {
    fn state(&self, state: &MaintenanceState) -> &'static str {
        match state {
            MaintenanceState::Planned => self.page.t("○ ahead", "○ 计划中"),
            MaintenanceState::Running => self.page.t("⚙ going on", "⚙ 进行中"),
            MaintenanceState::Over => self.page.t("✓ over", "✓ 已结束"),
            MaintenanceState::Cancelled => self.page.t("✕ called off", "✕ 已取消"),
            MaintenanceState::Late => self.page.t("▲ announced too late: excuses nothing", "▲ 公告过晚：不予免责"),
        }
    }
}

/// The maintenance that was announced.
pub(super) async fn maintenance(State(reading): State<Arc<Reading>>, asked: Asked) -> Response {
    let engine = reading.copy();
    let page = asked.page(Place::Maintenance, &reading, &engine);
    let at = page.now;
    let is_current =
        |view: &MaintenanceView<'_>| view.until > at && !matches!(view.state, MaintenanceState::Cancelled);
    let (mut current, mut past): (Vec<_>, Vec<_>) = engine.maintenance(at).into_iter().partition(is_current);
    current.reverse();
    past.truncate(OVER_MAX);
    shown(&Listed { page, current, past })
}
