//! What is going on now: open incidents with their clocks, what was restored lately, how the network stands, and whether
//! those who speak and those who are paged are there.

use std::cmp::Reverse;
use std::sync::Arc;

use askama::Template;
use axum::extract::State as Shared;
use axum::response::Response;

use super::super::api::Reading;
use super::frame::{Asked, Page, Place};
use super::saying::Budget;
use super::shown;
use crate::engine::{Engine, FeedView};
use crate::model::calendar::{Range, Unit};
use crate::model::delivery::Standing;
use crate::model::figures::{Figures, State};
use crate::model::incident::{Clock, Incident, Stage, Status};
use crate::model::level::{Level, Ratio};
use crate::model::procedure::ClockName;
use crate::model::time::{Instant, Span, Window};

/// Open incidents that are shown whole: with more than that, a list is what helps.
const OPEN_MAX: usize = 50;
/// Restored ones that are shown.
const RESTORED_MAX: usize = 15;

#[derive(Template)]
#[template(path = "now.html")]
struct Now<'a> {
    page: Page,
    by_level: [(Level, usize); 3],
    by_state: [(State, u64); 4],
    services: u64,
    open: Vec<Card<'a>>,
    open_count: usize,
    restored: Vec<Card<'a>>,
    network: Vec<Row>,
    target: Option<Ratio>,
    feeds: Vec<FeedView<'a>>,
    receivers: Vec<Standing>,
    alerts: i64,
}

/// An incident as it is shown among others.
pub(super) struct Card<'a> {
    pub(super) incident: &'a Incident,
    /// Who took it on.
    pub(super) by: Option<&'a str>,
    /// The clocks that everybody asks for, and those that are about to be late or are.
    pub(super) clocks: Vec<&'a Clock>,
    pub(super) lasted: Span,
    /// Whether it was repaired in time; absent while that is not decided.
    pub(super) repair_kept: Option<bool>,
}

/// The figures of a window or a period.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) figures: Figures,
    /// Whether the promise holds over it; absent without one, or where nothing was observed.
    pub(super) is_kept: Option<bool>,
    /// Of what is long enough that a promise of four nines leaves more than seconds.
    pub(super) budget: Option<Budget>,
    /// Downtime of the average user, in microseconds.
    pub(super) down: i128,
}

impl<'a> Card<'a> {
    pub(super) fn of(incident: &'a Incident, at: Instant) -> Self {
        let end = incident.restored.unwrap_or(at);
        let repair = incident.clock(&ClockName::Repair);
        let wanted = |clock: &&Clock| {
            matches!(clock.name, ClockName::Response | ClockName::Repair)
                || clock.stopped.is_none() && (clock.breached.is_some() || clock.warned.is_some())
        };
        Self {
            incident,
            by: incident.reached(Stage::Acknowledged).and_then(|record| record.by.as_deref()),
            clocks: incident.clocks.iter().filter(wanted).collect(),
            lasted: end.since(incident.started),
            repair_kept: repair.and_then(|clock| match (clock.breached, clock.stopped) {
                (Some(_), _) => Some(false),
                (None, Some(_)) => Some(true),
                (None, None) => None,
            }),
        }
    }
}

impl Row {
    fn new(name: String, figures: Figures, target: Option<Ratio>, is_long: bool) -> Self {
        let budget = Budget::of(&figures, target);
        let is_kept = budget.as_ref().map(|budget| budget.is_kept);
        let down = figures.lengths.down / figures.weight.max(1);
        Self { name, figures, is_kept, budget: budget.filter(|_| is_long), down }
    }

    /// The rolling windows, then the calendar's periods so far.
    pub(super) fn all(page: &Page, target: Option<Ratio>, figures: impl Fn(Range) -> Figures) -> Vec<Self> {
        let rolling = Window::ALL.into_iter().map(|window| {
            let range = Range { from: page.now.minus(window.length()), until: page.now };
            Self::new(page.window(window), figures(range), target, window >= Window::Month)
        });
        let calendar = [
            (Unit::Month, page.t("this month", "本月")),
            (Unit::Quarter, page.t("this quarter", "本季度")),
            (Unit::Year, page.t("this year", "本年")),
        ];
        let periods = calendar.into_iter().map(|(unit, name)| {
            let range = Range { until: page.now, ..page.calendar.containing(unit, page.now) };
            Self::new(name.to_owned(), figures(range), target, true)
        });
        rolling.chain(periods).collect()
    }
}

/// What is going on now.
pub(super) async fn now(Shared(reading): Shared<Arc<Reading>>, asked: Asked) -> Response {
    let engine = reading.copy();
    let receivers = reading.deliveries.get().map(|known| known.standing()).unwrap_or_default();
    let alerts = reading.telemetry.alerts_firing.get();
    shown(&of(&engine, asked.page(Place::Now, &reading, &engine), receivers, alerts))
}

fn of(engine: &Engine, page: Page, receivers: Vec<Standing>, alerts: i64) -> Now<'_> {
    let at = page.now;
    let mut open: Vec<&Incident> = engine.recent_incidents().filter(|incident| incident.status.is_open()).collect();
    // The gravest first; of equals those that nobody is on, then the latest.
    open.sort_by_key(|incident| {
        (incident.level.number(), incident.status != Status::Open, Reverse(incident.started), incident.id)
    });
    let mut restored: Vec<&Incident> =
        engine.recent_incidents().filter(|incident| !incident.status.is_open()).collect();
    restored.sort_by_key(|incident| (Reverse(incident.restored), incident.id));
    let standing = engine.standing(at);
    let all = engine.group("all");
    let target = all.and_then(|all| all.target(at));
    let network = all.map(|all| Row::all(&page, target, |range| all.figures_within(range, at)));
    Now {
        by_level: Level::ALL.map(|level| (level, open.iter().filter(|incident| incident.level == level).count())),
        by_state: [
            (State::Down, standing.down),
            (State::Degraded, standing.degraded),
            (State::Maintenance, standing.maintenance),
            (State::Unknown, standing.unknown),
        ],
        services: standing.services,
        open_count: open.len(),
        open: open.into_iter().take(OPEN_MAX).map(|incident| Card::of(incident, at)).collect(),
        restored: restored.into_iter().take(RESTORED_MAX).map(|incident| Card::of(incident, at)).collect(),
        network: network.unwrap_or_default(),
        target,
        feeds: engine.feeds().collect(),
        receivers,
        alerts,
        page,
    }
}
