//! Alerts: which of them an incident calls for as it stands, and how that differs from what fires.

use crate::model::alert::{About, Alert, AlertFacts, AlertKey, AlertName, IncidentFacts};
use crate::model::effect::{Effect, EffectKind, Reason};
use crate::model::incident::{ClockName, Incident, Stage};
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
/// service that flaps pages once.
fn wanted(incident: &Incident) -> Vec<Alert> {
    if !incident.is_live() {
        return Vec::new();
    }
    let alert = |name, starts, because| Alert {
        key: AlertKey {
            name,
            about: About::Incident {
                id: incident.id,
                level: incident.level,
                scope: incident.scope.clone(),
                region: incident.region.clone(),
                drill: incident.drill.clone(),
            },
        },
        starts,
        facts: AlertFacts {
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
        },
    };
    let mut alerts = Vec::new();
    if let Some(change) = incident.levels.last() {
        alerts.push(alert(AlertName::ServiceInterruption, change.at, change.rule.clone()));
    }
    for clock in &incident.clocks {
        let Some(breached) = clock.breached else { continue };
        let because = format!("{} limit of {}", clock.name.name(), clock.limit);
        match clock.name {
            ClockName::Response if incident.reached(Stage::Acknowledged).is_none() => {
                alerts.push(alert(AlertName::ResponseOverdue, breached, because));
            }
            ClockName::Response => {}
            ClockName::Repair => alerts.push(alert(AlertName::RepairOverdue, breached, because)),
        }
    }
    alerts
}

/// When what the alert said ceased to be so.
fn ended(alert: &Alert, incident: &Incident, now: Instant) -> Instant {
    let acknowledged = incident.reached(Stage::Acknowledged).map(|record| record.at);
    if alert.key.name == AlertName::ResponseOverdue && acknowledged.is_some() {
        acknowledged.unwrap_or(now)
    } else if alert.key.level() != Some(incident.level) {
        incident.levels.last().map_or(now, |change| change.at)
    } else {
        incident.restored.unwrap_or(now)
    }
}
