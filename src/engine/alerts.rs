//! Alerts: which of them an incident calls for as it stands, and how that differs from what fires.

use crate::model::alert::{About, Alert, AlertFacts, AlertKey, AlertName, IncidentFacts};
use crate::model::effect::{Effect, EffectKind, Reason};
use crate::model::incident::{Incident, Stage};
use crate::model::procedure::ClockName;
use crate::model::time::Instant;

/// Makes what fires agree with what the incident calls for.
pub(super) fn update(
    firing: &mut Vec<Alert>,
    incident: &Incident,
    now: Instant,
    reason: &Reason,
    effects: &mut Vec<Effect>,
) {
    reconcile(firing, wanted(incident), |alert, _| ended(alert, incident, now), (now, reason), effects);
}

/// Makes what fires agree with what is `wanted`. What fires already keeps since when it holds; `ended` says when one
/// that is not wanted any more ceased to hold.
pub(super) fn reconcile(
    firing: &mut Vec<Alert>,
    mut wanted: Vec<Alert>,
    ended: impl Fn(&Alert, &[Alert]) -> Instant,
    (now, reason): (Instant, &Reason),
    effects: &mut Vec<Effect>,
) {
    // The new alert goes out before the old one is taken back: nobody is ever told that nothing is wrong.
    for alert in &mut wanted {
        let known = firing.iter().find(|known| known.key == alert.key);
        if let Some(known) = known {
            alert.starts = known.starts;
        }
        if known != Some(&*alert) {
            effects.push(Effect { at: now, reason: reason.clone(), kind: EffectKind::Fire(alert.clone()) });
        }
    }
    for alert in firing.drain(..) {
        if wanted.iter().all(|other| other.key != alert.key) {
            let ended = ended(&alert, &wanted).min(now).max(alert.starts);
            effects.push(Effect { at: now, reason: reason.clone(), kind: EffectKind::Resolve(alert, ended) });
        }
    }
    *firing = wanted;
}

/// The alerts that the incident calls for. It calls for them until its restoration is confirmed, so that a
/// service that flaps pages once; and for what is owed after that until it is done.
fn wanted(incident: &Incident) -> Vec<Alert> {
    let mut alerts = Vec::new();
    let mut call = |name, about, starts, because| {
        let facts = facts(incident, because);
        alerts.push(Alert { key: AlertKey { name, about }, starts, facts });
    };
    let (id, level, scope) = (incident.id, incident.level, &incident.scope);
    let itself = || {
        let (scope, region, drill) = (scope.clone(), incident.region.clone(), incident.drill.clone());
        About::Incident { id, level, scope, region, drill }
    };
    let live = incident.is_live();
    if let Some(change) = incident.levels.last().filter(|_| live) {
        call(AlertName::ServiceInterruption, itself(), change.at, change.rule.clone());
    }
    for clock in &incident.clocks {
        let of_clock = |used| {
            let (scope, clock, can_wait) = (scope.clone(), clock.name.clone(), clock.until.can_wait());
            About::Clock { id, level, scope, clock, used, can_wait, drill: incident.drill.clone() }
        };
        // A restoration that is not confirmed may be none: what flaps is told of once.
        let runs = clock.stopped.is_none() || live && clock.stopped == incident.restored;
        match (clock.breached, clock.warned) {
            (Some(breached), _) => {
                let because = format!("{} limit of {}", clock.name, clock.limit);
                let unanswered = || incident.reached(Stage::Acknowledged).is_none();
                match clock.name {
                    ClockName::Response if live && unanswered() => {
                        call(AlertName::ResponseOverdue, itself(), breached, because);
                    }
                    ClockName::Repair if live => call(AlertName::RepairOverdue, itself(), breached, because),
                    ClockName::Named(_) if runs => {
                        call(AlertName::ClockOverdue, of_clock(None), breached, because);
                    }
                    _ => {}
                }
            }
            (None, Some((percent, at))) if runs => {
                let because = match clock.deadline {
                    Some(deadline) => {
                        format!(
                            "{percent} % of the {} limit of {} has passed, it ends at {deadline}",
                            clock.name, clock.limit
                        )
                    }
                    None => {
                        format!("{percent} % of the {} limit of {} has passed, it is held", clock.name, clock.limit)
                    }
                };
                call(AlertName::ClockAtRisk, of_clock(Some(percent)), at, because);
            }
            _ => {}
        }
    }
    alerts
}

fn facts(incident: &Incident, because: String) -> AlertFacts {
    AlertFacts {
        started: incident.started,
        because,
        spent_at: None,
        incident: Some(IncidentFacts {
            users: incident.users,
            users_estimated: incident.users_estimated,
            next_level: incident.next_level,
            quiet_since: incident.restored,
            acknowledged_by: incident.reached(Stage::Acknowledged).and_then(|record| record.by.clone()),
            detail: incident.detail.clone(),
        }),
    }
}

/// When what the alert said ceased to be so.
fn ended(alert: &Alert, incident: &Incident, now: Instant) -> Instant {
    let acknowledged = incident.reached(Stage::Acknowledged).map(|record| record.at);
    if let About::Clock { clock, used, .. } = &alert.key.about
        && let Some(clock) = incident.clock(clock)
        && let Some(at) = clock.stopped.or(clock.breached.filter(|_| used.is_some()))
    {
        at
    } else if alert.key.name == AlertName::ResponseOverdue && acknowledged.is_some() {
        acknowledged.unwrap_or(now)
    } else if alert.key.level() != Some(incident.level) {
        incident.levels.last().map_or(now, |change| change.at)
    } else if matches!(alert.key.about, About::Clock { .. }) {
        now
    } else {
        incident.restored.unwrap_or(now)
    }
}
