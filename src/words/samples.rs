//! An alert of every kind, with all that can be known and with as little as there can be, while it fires and when it is
//! over: what a template is tried on before it is used.

use crate::model::alert::{About, Alert, AlertFacts, AlertKey, AlertName, BurnPair, IncidentFacts, Owner};
use crate::model::because::Because;
use crate::model::event::Cause;
use crate::model::incident::IncidentId;
use crate::model::level::{Level, Ratio};
use crate::model::procedure::ClockName;
use crate::model::service::ServiceName;
use crate::model::target::LatencyTarget;
use crate::model::time::{Instant, Span, Window};

/// Where the samples lie: 2026-03-01T06:00:00Z.
pub(super) const BEGAN: Instant = Instant::from_micros(1_772_344_800_000_000);

/// Every sample, with its end where it is over.
pub(super) fn all() -> impl Iterator<Item = (Alert, Option<Instant>)> {
    let known = [false, true].into_iter();
    let kinds = known.flat_map(|rich| AlertName::ALL.into_iter().map(move |name| sample(name, rich)));
    kinds.flat_map(|alert| [(alert.clone(), None), (alert, Some(BEGAN.plus(Span::from_mins(90))))])
}

/// One alert; `rich` when all that can be known is.
pub(super) fn sample(name: AlertName, rich: bool) -> Alert {
    let (about, because) = (about(name, rich), because(name, rich));
    let is_of_incident = matches!(about, About::Incident { .. } | About::Clock { .. });
    let facts = AlertFacts {
        started: BEGAN,
        because,
        spent_at: rich.then(|| after(50)),
        incident: is_of_incident.then(|| if rich { rich_facts() } else { bare_facts() }),
    };
    Alert { key: AlertKey { name, about }, starts: after(5), facts }
}

const fn after(minutes: i64) -> Instant {
    BEGAN.plus(Span::from_mins(minutes))
}

fn about(name: AlertName, rich: bool) -> About {
    let (id, level) = (IncidentId(1), if rich { Level::Second } else { Level::Third });
    let scope = ServiceName::known("core/gz-1");
    let drill: Option<Box<str>> = rich.then(|| "ring-cut/1".into());
    let of = if rich { Owner::Group("gold".to_owned()) } else { Owner::Service(scope.clone()) };
    match name {
        AlertName::ServiceInterruption | AlertName::ResponseOverdue | AlertName::RepairOverdue => {
            let region = if rich { "guangzhou".to_owned() } else { String::new() };
            About::Incident { id, level, scope, region, drill }
        }
        AlertName::ClockOverdue | AlertName::ClockAtRisk => {
            let used = (name == AlertName::ClockAtRisk).then_some(80);
            let clock = if rich { ClockName::Named("cn.oral".into()) } else { ClockName::Repair };
            About::Clock { id, level, scope, clock, used, can_wait: false, drill }
        }
        AlertName::ErrorBudgetBurn => About::Burn { of, pair: BurnPair::Fast },
        AlertName::ErrorBudgetAtRisk | AlertName::ErrorBudgetExhausted => {
            About::Budget { of, window: Window::Month }
        }
        AlertName::LatencyTargetMissed => About::Measurement { service: scope, metric: "latency".to_owned() },
        AlertName::MeasurementOutOfRange => {
            About::Measurement { service: scope, metric: "packet_loss_ratio".to_owned() }
        }
        AlertName::SourceSilent => About::Feed { input: "nms-1".to_owned() },
    }
}

fn because(name: AlertName, rich: bool) -> Because {
    let (clock, limit) = (ClockName::Repair, Span::from_hours(2));
    let target = Ratio::new(0.9999).unwrap_or_default();
    let promise = LatencyTarget { limit: Span::from_millis(100), ratio: Ratio::new(0.95).unwrap_or_default() };
    match name {
        AlertName::ServiceInterruption => Because::Rule("second[1]: manual §4.1".to_owned()),
        AlertName::ResponseOverdue | AlertName::RepairOverdue | AlertName::ClockOverdue => {
            Because::Passed { clock, limit }
        }
        AlertName::ClockAtRisk => Because::Used { percent: 80, clock, limit, deadline: rich.then(|| after(120)) },
        AlertName::ErrorBudgetBurn if rich => Because::Burn { pair: BurnPair::Fast, target },
        AlertName::ErrorBudgetBurn => Because::SlowBurn { pair: BurnPair::Fast, promise },
        AlertName::ErrorBudgetAtRisk | AlertName::ErrorBudgetExhausted => {
            Because::Budget { budget: Span::from_millis(259_200), window: Window::Month, target }
        }
        AlertName::LatencyTargetMissed => Because::Slow(promise),
        AlertName::MeasurementOutOfRange => {
            Because::Beyond { metric: "packet_loss_ratio".to_owned(), above: true, limit: "0.01".to_owned() }
        }
        AlertName::SourceSilent => Because::Silence(Span::from_mins(5)),
    }
}

fn rich_facts() -> IncidentFacts {
    IncidentFacts {
        users: Some(32_000),
        users_estimated: true,
        next_level: Some((Level::First, after(60))),
        quiet_since: None,
        detected: after(1),
        acknowledged: Some(after(6)),
        acknowledged_by: Some("li".into()),
        services: 12,
        region: "guangzhou".to_owned(),
        groups: vec!["gold".into(), "backbone".into()],
        cause: Cause::External,
        clocks: vec![(ClockName::Repair, after(120)), (ClockName::Named("cn.oral".into()), after(60))],
        maintenance: Some((after(240), after(360))),
        detail: Some("both uplinks LOS".into()),
    }
}

const fn bare_facts() -> IncidentFacts {
    IncidentFacts {
        users: None,
        users_estimated: false,
        next_level: None,
        quiet_since: Some(after(30)),
        detected: BEGAN,
        acknowledged: None,
        acknowledged_by: None,
        services: 1,
        region: String::new(),
        groups: Vec::new(),
        cause: Cause::Unknown,
        clocks: Vec::new(),
        maintenance: None,
        detail: None,
    }
}
