//! The JSON objects of the contract: services, groups, incidents, alerts.

use std::str::FromStr;

use serde_json::{Map, Value, json};

use crate::engine::{Engine, GroupView, PeriodFigures, ServiceView};
use crate::model::alert::{Alert, AlertKey};
use crate::model::calendar::{Range, Unit};
use crate::model::figures::{Figures, LatencyFigures};
use crate::model::incident::{Incident, Stage, Status};
use crate::model::level::Ratio;
use crate::model::procedure::{ClockName, ClockRule, Until};
use crate::model::service::ServiceName;
use crate::model::time::{Instant, Span, Window};

/// What figures are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// As of when.
    pub at: Instant,
    /// The targets of which instant they are held against.
    pub under: Instant,
    /// A period of the calendar beside the usual ones.
    pub period: Option<Range>,
}

/// Which targets the figures of the past are held against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Promised {
    /// Those promised at the instant asked for.
    #[default]
    Then,
    /// Those of the last policy known.
    Now,
}

impl Asked {
    /// The usual: as of `at`, under the targets promised then.
    #[must_use]
    pub const fn at(at: Instant) -> Self {
        Self { at, under: at, period: None }
    }
}

impl Promised {
    /// The instant whose targets are meant when figures of `at` are asked for.
    #[must_use]
    pub const fn under(self, at: Instant) -> Instant {
        match self {
            Self::Then => at,
            Self::Now => Instant::MAX,
        }
    }

    /// Its name in queries and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Then => "then",
            Self::Now => "now",
        }
    }
}

impl FromStr for Promised {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = [Self::Then, Self::Now].into_iter().find(|promised| promised.name() == text);
        named.ok_or_else(|| format!("{text:?} is none of then, now"))
    }
}

/// A service as it is asked for.
#[must_use]
pub fn service(engine: &Engine, view: ServiceView<'_>, asked: &Asked) -> Value {
    let &Asked { at, under, .. } = asked;
    let target = view.target(under);
    let windows = windows(|window| {
        let mut figures = figures(&view.figures_within(ending(window, at), under), target);
        figures["time_to_breach"] = json!(view.time_to_breach_under(window, at, under).map(|at| at.to_string()));
        figures["latency"] = json!(view.latency(window, at).map(|latency| self::latency(&latency)));
        figures
    });
    let measurements: Map<String, Value> = view
        .measurements()
        .map(|(metric, value, at, out_since)| {
            let object = json!({
                "value": value, "at": at.to_string(), "out_of_range_since": out_since.map(|at| at.to_string()),
            });
            (metric.to_owned(), object)
        })
        .collect();
    let of = |range| period(&view.period_under(range, at, under), target);
    let mut object = json!({
        "service": view.name(),
        "state": view.state(at).name(),
        "windows": windows,
        "calendar": periods(engine, at, of),
        "measurements": measurements,
        "name": view.title(),
        "kind": view.kind(),
        "region": view.region(),
        "tier": view.tier(),
        "users": view.users(),
        "groups": view.groups(),
        "depends_on": view.depends_on(),
        "since": view.since().map(|since| since.to_string()),
        "owner": view.owner(),
        "target": target.map(Ratio::as_f64),
        "incident": view.incidents().rfind(|incident| was_live(incident, at))
            .map(|incident| incident.id.to_string()),
    });
    if let Some(range) = asked.period {
        object["period"] = of(range);
    }
    object
}

/// A group as it is asked for: its services count by their users where any of them has some.
#[must_use]
pub fn group(engine: &Engine, view: GroupView<'_>, asked: &Asked) -> Value {
    let &Asked { at, under, .. } = asked;
    let target = view.target(under);
    let windows = windows(|window| {
        let mut figures = figures(&view.figures_within(ending(window, at), under), target);
        figures["time_to_breach"] = json!(view.time_to_breach_under(window, at, under).map(|at| at.to_string()));
        figures
    });
    let of = |range| period(&view.period_under(range, at, under), target);
    let mut object = json!({
        "group": view.name(),
        "services": view.members(),
        "users": view.users(),
        "windows": windows,
        "calendar": periods(engine, at, of),
        "target": target.map(Ratio::as_f64),
    });
    if let Some(range) = asked.period {
        object["period"] = of(range);
    }
    object
}

/// Whether the incident concerned somebody at `at`, as far as is known by now.
fn was_live(incident: &Incident, at: Instant) -> bool {
    let over = matches!(incident.status, Status::Merged | Status::Withdrawn);
    !over && incident.started <= at && incident.verified.is_none_or(|verified| verified > at)
}

fn ending(window: Window, at: Instant) -> Range {
    Range { from: at.minus(window.length()), until: at }
}

fn windows(figures: impl Fn(Window) -> Value) -> Map<String, Value> {
    Window::ALL.into_iter().map(|window| (window.name().to_owned(), figures(window))).collect()
}

fn periods(engine: &Engine, at: Instant, figures: impl Fn(Range) -> Value) -> Map<String, Value> {
    let calendar = engine.calendar();
    Unit::ALL.into_iter().map(|unit| (unit.name().to_owned(), figures(calendar.containing(unit, at)))).collect()
}

/// Figures of a period over each of its denominators: what has passed, the whole period, and what is open going on.
#[must_use]
pub fn period(period: &PeriodFigures, target: Option<Ratio>) -> Value {
    json!({
        "from": period.range.from.to_string(),
        "until": period.range.until.to_string(),
        "elapsed": figures(&period.elapsed, target),
        "whole": figures(&period.whole, target),
        "projected": figures(&period.projected, target),
    })
}

fn latency(figures: &LatencyFigures) -> Value {
    let ms = |span: Option<Span>| span.map(|span| span.as_secs_f64() * 1e3);
    json!({
        "samples": figures.samples,
        "within_ratio": figures.within_ratio(),
        "p50_ms": ms(figures.p50),
        "p95_ms": ms(figures.p95),
        "p99_ms": ms(figures.p99),
    })
}

/// Figures of one window. What is absent is `null`.
fn figures(figures: &Figures, target: Option<Ratio>) -> Value {
    let seconds = |span: Option<Span>| span.map(Span::as_secs_f64);
    let (lengths, tallies) = (&figures.lengths, &figures.tallies);
    json!({
        "availability": figures.availability(),
        "gross_availability": figures.gross_availability(),
        "weighted_availability": figures.weighted_availability(),
        "sla_availability": figures.sla_availability(),
        "maintenance": figures.mode.name(),
        "coverage": figures.coverage(),
        "dpm": figures.dpm(),
        "observed_seconds": figures.seconds(lengths.observed),
        "excluded_seconds": figures.seconds(lengths.excluded),
        "unknown_seconds": figures.seconds(lengths.unknown),
        "downtime_seconds": figures.downtime_seconds(),
        "degraded_seconds": figures.seconds(lengths.degraded),
        "outages": tallies.outages,
        "planned_outages": tallies.planned_outages,
        "repairs": tallies.repairs,
        "mttr_seconds": figures.mttr_seconds(),
        "mttr_p50_seconds": seconds(tallies.repair_p50),
        "mttr_p95_seconds": seconds(tallies.repair_p95),
        "mttr_max_seconds": seconds(tallies.repair_max),
        "mttr_within_target_ratio": figures.mttr_within_target(),
        "mtbf_seconds": figures.mtbf_seconds(),
        "mtta_seconds": figures.mtta_seconds(),
        "budget_remaining_ratio": target.and_then(|target| figures.budget_remaining_ratio(target)),
        "burn_rate": target.and_then(|target| figures.burn_rate(target)),
        "user_minutes_lost": figures.user_minutes(),
    })
}

/// The services that were out in an incident; of one that is none of its own any more, the one with which it began.
fn services<'a>(engine: &'a Engine, incident: &'a Incident) -> Vec<&'a str> {
    let services: Vec<&str> = engine.services_of(incident.id).collect();
    if services.is_empty() { vec![incident.service.as_str()] } else { services }
}

/// The rule of a clock, if it is still one.
fn rule_of<'a>(engine: &'a Engine, name: &ClockName) -> Option<&'a ClockRule> {
    engine.procedure().clocks.iter().find(|rule| rule.name == *name)
}

/// An incident as it stands at `at`.
#[must_use]
pub fn incident(engine: &Engine, incident: &Incident, at: Instant) -> Value {
    let text = |at: Option<Instant>| at.map(|at| at.to_string());
    let holds = incident.holds();
    json!({
        "id": incident.id.to_string(),
        "level": incident.level.number(),
        "first_level": incident.first_level.number(),
        "status": incident.status.name(),
        "merged_into": incident.merged_into.map(|id| id.to_string()),
        "started": incident.started.to_string(),
        "detected": incident.detected.to_string(),
        "acknowledged": incident.reached(Stage::Acknowledged).map(|record| record.at.to_string()),
        "restored": text(incident.restored),
        "verified": text(incident.verified),
        "services": services(engine, incident),
        "service_count": incident.services,
        "regions": engine.regions_of(incident.id),
        "region": incident.region,
        "suspected_cause_service": incident.suspected_cause.as_ref().map(ServiceName::as_str),
        "users": incident.users,
        "users_estimated": incident.users_estimated,
        "next_level": incident.next_level.map(|(level, at)| json!({ "level": level.number(), "at": at.to_string() })),
        "user_minutes": incident.user_minutes(at),
        "cause": incident.cause.name(),
        "flaps": incident.flaps,
        "detail": incident.detail,
        "stages": incident.stages().iter().map(|record| json!({
            "stage": record.stage.name(),
            "at": record.at.to_string(),
            "by": record.by,
            "detail": record.detail,
            "out_of_order": record.out_of_order,
        })).collect::<Vec<_>>(),
        "missing_stages": incident.missing_stages().into_iter().map(Stage::name).collect::<Vec<_>>(),
        "holds": holds.iter().map(|hold| json!({
            "from": hold.from.to_string(),
            "until": text(hold.until),
            "reason": hold.reason,
            "by": hold.by,
            "resumed_by": hold.resumed_by,
            "unresumed": hold.until.is_none() && incident.restored.is_some(),
        })).collect::<Vec<_>>(),
        "clocks": incident.clocks.iter().map(|clock| json!({
            "name": clock.name.as_str(),
            "until": match clock.until {
                Until::Reached(stage) => stage.name(),
                Until::Notice => "notice",
            },
            "limit_seconds": clock.limit.as_secs_f64(),
            "started": clock.started.to_string(),
            "deadline": text(clock.deadline),
            "held_seconds": clock.held(&holds, at).as_secs_f64(),
            "stopped": text(clock.stopped),
            "breached": text(clock.breached),
            "warned": clock.warned.map(|(percent, at)| json!({
                "used_ratio": f64::from(percent) / 100.0, "at": at.to_string(),
            })),
            "cite": rule_of(engine, &clock.name).map(|rule| &rule.cite).filter(|cite| !cite.is_empty()),
            "standing": rule_of(engine, &clock.name).map(|rule| rule.standing.name()),
        })).collect::<Vec<_>>(),
        "notices": incident.notices().map(|(record, name)| json!({
            "notice": name,
            "at": record.at.to_string(),
            "by": record.by,
            "detail": record.detail,
        })).collect::<Vec<_>>(),
        "review": incident.review().map(|(record, review)| json!({
            "at": record.at.to_string(),
            "by": record.by,
            "root_cause": review.root_cause,
            "improvements": review.improvements.iter().map(|one| json!({
                "action": one.action, "owner": one.owner, "due": one.due,
            })).collect::<Vec<_>>(),
            "complete": review.is_complete(),
        })),
        "assessment": engine.recovery(incident, at).map(|recovery| json!({
            "response_used_ratio": recovery.response_used,
            "repair_used_ratio": recovery.repair_used,
            "watched_until": recovery.watched_until.to_string(),
            "recurrence": recovery.recurrence.map(|(id, at)| json!({ "incident": id.to_string(), "at": at.to_string() })),
            "effective": recovery.effective,
            "satisfaction": recovery.satisfaction,
        })),
        "levels": incident.levels.iter().map(|change| json!({
            "at": change.at.to_string(),
            "level": change.level.number(),
            "rule": change.rule,
        })).collect::<Vec<_>>(),
        "drill": incident.drill,
    })
}

/// An alert's labels.
#[must_use]
pub fn labels(key: &AlertKey) -> Map<String, Value> {
    key.labels().into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect()
}

/// A change of an alert at `at`: that it fires, or with `ended` that it is over.
#[must_use]
pub fn alert(alert: &Alert, at: Instant, ended: Option<Instant>) -> Value {
    json!({
        "at": at.to_string(),
        "status": if ended.is_some() { "resolved" } else { "firing" },
        "labels": labels(&alert.key),
        "annotations": {
            "started": alert.facts.started.to_string(),
            "users": alert.facts.incident.as_ref().and_then(|facts| facts.users).map(|users| users.to_string()),
            "because": alert.facts.because,
        },
        "starts": alert.starts.to_string(),
        "ends": ended.map(|ended| ended.to_string()),
    })
}
