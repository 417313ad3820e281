//! A service and a group, as JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::figures::{Calendar, Figures, GroupWindow, Latency, Period, ServiceWindow, Windows};
use super::json::Asked;
use super::words::{State, Time};
use crate::engine::{Engine, GroupView, ServiceView};
use crate::model::calendar::Range;
use crate::model::incident::{Incident, Status};
use crate::model::level::Ratio;
use crate::model::time::{Instant, Window};

/// A service, and its figures as they were asked for.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Service {
    /// The service's name.
    service: String,
    state: State,
    windows: Windows<ServiceWindow>,
    calendar: Calendar,
    /// The last value of each measurement.
    measurements: BTreeMap<String, Measurement>,
    /// A name for people; empty when the catalogue has none.
    name: String,
    /// What sort of service it is.
    kind: String,
    /// Where it is.
    region: String,
    /// How much is promised.
    tier: String,
    /// How many users it has, by the catalogue.
    users: Option<u64>,
    /// The groups that the catalogue puts it in.
    groups: Vec<String>,
    /// What it depends on; alternatives are joined by `|`.
    depends_on: Vec<String>,
    /// Since when it is promised.
    since: Option<Time>,
    /// Who answers for it.
    owner: String,
    /// The availability that is promised, a ratio.
    target: Option<f64>,
    /// The id of the last incident that concerned it at the instant asked for.
    incident: Option<String>,
    /// The period that was asked for; absent when none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    period: Option<Period>,
}

/// The last value of a measurement.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Measurement {
    /// The value, in the measurement's own unit.
    value: f64,
    /// When it was measured.
    at: Time,
    /// Since when it is beyond its limit; absent while it is within.
    out_of_range_since: Option<Time>,
}

/// A group, and its figures as they were asked for: its services count by their users where any of them has some.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Group {
    /// The group's name.
    group: String,
    /// How many services are in it.
    services: u64,
    /// How many users they have.
    users: u64,
    windows: Windows<GroupWindow>,
    calendar: Calendar,
    /// The availability that is promised, a ratio.
    target: Option<f64>,
    /// The period that was asked for; absent when none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    period: Option<Period>,
}

/// A service as it is asked for.
#[must_use]
pub fn service(engine: &Engine, view: ServiceView<'_>, asked: &Asked) -> Service {
    let &Asked { at, under, .. } = asked;
    let target = view.target(under);
    let window = |window| ServiceWindow {
        figures: Figures::of(&view.figures_within(ending(window, at), under), target),
        time_to_breach: view.time_to_breach_under(window, at, under).map(Time),
        latency: view.latency(window, at).map(|latency| Latency::of(&latency)),
    };
    let measurements = view.measurements().map(|(metric, value, at, out_since)| {
        (metric.to_owned(), Measurement { value, at: Time(at), out_of_range_since: out_since.map(Time) })
    });
    let period = |range| Period::of(&view.period_under(range, at, under), target);
    Service {
        service: view.name().to_owned(),
        state: State(view.state(at).name()),
        windows: Windows::of(window),
        calendar: Calendar::of(engine, at, period),
        measurements: measurements.collect(),
        name: view.title().to_owned(),
        kind: view.kind().to_owned(),
        region: view.region().to_owned(),
        tier: view.tier().to_owned(),
        users: view.users(),
        groups: view.groups().into_iter().map(str::to_owned).collect(),
        depends_on: view.depends_on(),
        since: view.since().map(Time),
        owner: view.owner().to_owned(),
        target: target.map(Ratio::as_f64),
        incident: view.incidents().rfind(|incident| was_live(incident, at)).map(|incident| incident.id.to_string()),
        period: asked.period.map(period),
    }
}

/// A group as it is asked for.
#[must_use]
pub fn group(engine: &Engine, view: GroupView<'_>, asked: &Asked) -> Group {
    let &Asked { at, under, .. } = asked;
    let target = view.target(under);
    let window = |window| GroupWindow {
        figures: Figures::of(&view.figures_within(ending(window, at), under), target),
        time_to_breach: view.time_to_breach_under(window, at, under).map(Time),
    };
    let period = |range| Period::of(&view.period_under(range, at, under), target);
    Group {
        group: view.name().to_owned(),
        services: view.members(),
        users: view.users(),
        windows: Windows::of(window),
        calendar: Calendar::of(engine, at, period),
        target: target.map(Ratio::as_f64),
        period: asked.period.map(period),
    }
}

/// Whether the incident concerned somebody at `at`, as far as is known by now.
fn was_live(incident: &Incident, at: Instant) -> bool {
    let over = matches!(incident.status, Status::Merged | Status::Withdrawn);
    !over && incident.started <= at && incident.verified.is_none_or(|verified| verified > at)
}

fn ending(window: Window, at: Instant) -> Range {
    Range { from: at.minus(window.length()), until: at }
}
