//! The JSON objects of the contract: services, groups, incidents, alerts.

use serde_json::{Map, Value, json};

use crate::engine::{Engine, ServiceView};
use crate::model::alert::Alert;
use crate::model::figures::Figures;
use crate::model::incident::Incident;
use crate::model::level::Ratio;
use crate::model::target::{AVAILABILITY, Value as TargetValue};
use crate::model::time::{Instant, Window};

/// A service as it stands at `at`.
#[must_use]
pub fn service(view: ServiceView<'_>, at: Instant) -> Value {
    let target = match view.target(AVAILABILITY) {
        Some(TargetValue::Ratio(ratio)) => Some(ratio),
        _ => None,
    };
    let windows: Map<String, Value> = Window::ALL
        .into_iter()
        .map(|window| (window.name().to_owned(), figures(&view.figures(window, at), target)))
        .collect();
    let facts = view.facts();
    json!({
        "service": view.name().as_str(),
        "state": view.state(at).name(),
        "windows": windows,
        "name": facts.title,
        "kind": facts.kind,
        "region": facts.region,
        "tier": facts.tier,
        "users": facts.users,
        "groups": facts.groups,
        "depends_on": facts.depends_on,
        "since": facts.since.map(|since| since.to_string()),
        "owner": facts.owner,
        "target": target.map(Ratio::as_f64),
        "incident": view.incidents().next_back().filter(|incident| incident.is_live())
            .map(|incident| incident.id.to_string()),
    })
}

/// Figures of one window. What is not computed yet is `null`, as what is absent is.
fn figures(figures: &Figures, target: Option<Ratio>) -> Value {
    let seconds = |span: Option<crate::model::time::Span>| span.map(|span| span.as_secs_f64());
    json!({
        "availability": figures.availability(),
        "gross_availability": figures.availability(),
        "weighted_availability": null,
        "coverage": figures.availability().map(|_| 1.0),
        "downtime_seconds": figures.downtime.as_secs_f64(),
        "degraded_seconds": figures.degraded.as_secs_f64(),
        "outages": figures.outages,
        "planned_outages": null,
        "repairs": figures.repairs,
        "mttr_seconds": figures.mttr_seconds(),
        "mttr_p50_seconds": seconds(figures.repair_p50),
        "mttr_p95_seconds": seconds(figures.repair_p95),
        "mttr_max_seconds": seconds(figures.repair_max),
        "mtbf_seconds": figures.mtbf_seconds(),
        "mtta_seconds": null,
        "budget_remaining_ratio": target.and_then(|target| figures.budget_remaining_ratio(target)),
        "user_minutes_lost": null,
    })
}

/// The built-in group `all`: availability weighted by users, where any service has some.
#[must_use]
pub fn group_all(engine: &Engine, at: Instant) -> Value {
    let weighted = engine.services().any(|view| view.facts().users.is_some());
    let mut windows = Map::new();
    for window in Window::ALL {
        let (mut observed, mut down, mut outages, mut repairs, mut repair_sum) = (0_i128, 0_i128, 0, 0, 0_i128);
        for view in engine.services() {
            let weight = if weighted { i128::from(view.facts().users.unwrap_or(0)) } else { 1 };
            let figures = view.figures(window, at);
            observed += weight * i128::from(figures.observed.as_micros());
            down += weight * i128::from(figures.downtime.as_micros());
            outages += figures.outages;
            repairs += figures.repairs;
            repair_sum += i128::from(figures.repair_sum.as_micros());
        }
        let object = json!({
            "availability": (observed > 0).then(|| (observed - down) as f64 / observed as f64),
            "outages": outages,
            "repairs": repairs,
            "mttr_seconds": (repairs > 0).then(|| repair_sum as f64 / repairs as f64 / 1e6),
        });
        windows.insert(window.name().to_owned(), object);
    }
    json!({ "group": "all", "windows": windows })
}

/// An incident as it stands at `at`.
#[must_use]
pub fn incident(incident: &Incident, at: Instant) -> Value {
    let text = |at: Option<Instant>| at.map(|at| at.to_string());
    json!({
        "id": incident.id.to_string(),
        "level": incident.level.number(),
        "first_level": incident.first_level.number(),
        "status": incident.status.name(),
        "merged_into": incident.merged_into.map(|id| id.to_string()),
        "started": incident.started.to_string(),
        "detected": incident.detected.to_string(),
        "acknowledged": incident.acknowledged.as_ref().map(|record| record.at.to_string()),
        "restored": text(incident.restored),
        "verified": text(incident.verified),
        "services": [incident.service.as_str()],
        "region": incident.region,
        "suspected_cause_service": null,
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
        })).collect::<Vec<_>>(),
        "clocks": incident.clocks.iter().map(|clock| json!({
            "name": clock.name.name(),
            "limit_seconds": clock.limit.as_secs_f64(),
            "started": clock.started.to_string(),
            "deadline": clock.deadline().to_string(),
            "stopped": text(clock.stopped),
            "breached": text(clock.breached),
        })).collect::<Vec<_>>(),
        "levels": incident.levels.iter().map(|change| json!({
            "at": change.at.to_string(),
            "level": change.level.number(),
            "rule": change.rule,
        })).collect::<Vec<_>>(),
        "drill": null,
    })
}

/// A change of an alert at `at`: that it fires, or with `ended` that it is over.
#[must_use]
pub fn alert(alert: &Alert, at: Instant, ended: Option<Instant>) -> Value {
    let labels: Map<String, Value> =
        alert.key.labels().into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect();
    json!({
        "at": at.to_string(),
        "status": if ended.is_some() { "resolved" } else { "firing" },
        "labels": labels,
        "annotations": {
            "started": alert.facts.started.to_string(),
            "users": alert.facts.users.map(|users| users.to_string()),
            "because": alert.facts.because,
        },
        "starts": alert.starts.to_string(),
        "ends": ended.map(|ended| ended.to_string()),
    })
}
