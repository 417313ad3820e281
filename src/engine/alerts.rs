//! Alerts: which of them an incident calls for as it stands, and how that differs from what fires.

use super::Engine;
use crate::model::alert::{About, Alert, AlertFacts, AlertKey, AlertName, IncidentFacts};
use crate::model::because::Because;
use crate::model::effect::{Effect, EffectKind, Reason};
use crate::model::incident::{Action, Clock, Incident, Stage};
use crate::model::procedure::ClockName;
use crate::model::service::ServiceName;
use crate::model::time::Instant;

/// What lies around an incident that its alerts tell of.
pub(super) struct Surroundings {
    /// The groups of whom it concerns.
    pub(super) groups: Vec<Box<str>>,
    /// The maintenance that goes on where it began, or the next one there.
    pub(super) maintenance: Option<(Instant, Instant)>,
}

impl Engine {
    /// What its alerts tell of what lies around it.
    pub(super) fn surroundings(&self, incident: &Incident) -> Surroundings {
        let now = self.state.now;
        let place = |name: &ServiceName| self.registry.find(name.as_str());
        let groups = place(&incident.scope).map(|place| self.registry.own_groups(place).map(Box::from).collect());
        let excluded = place(&incident.service).map(|place| self.excluded(place)).unwrap_or_default();
        let next = excluded.iter().find(|stretch| stretch.end.is_none_or(|end| end > now));
        let maintenance = next.map(|stretch| (stretch.start, stretch.end_or_max()));
        Surroundings { groups: groups.unwrap_or_default(), maintenance }
    }
}

impl Surroundings {
    /// When the maintenance is over that those of its alerts tell of that fire: another one may follow.
    pub(super) fn over(&self, firing: &[Alert]) -> Option<Instant> {
        self.maintenance.map(|(_, end)| end).filter(|&end| !firing.is_empty() && end < Instant::MAX)
    }
}

/// Makes what fires agree with what the incident calls for.
pub(super) fn update(
    firing: &mut Vec<Alert>,
    (incident, around): (&Incident, &Surroundings),
    now: Instant,
    reason: &Reason,
    effects: &mut Vec<Effect>,
) {
    reconcile(firing, wanted(incident, around), |alert, _| ended(alert, incident, now), (now, reason), effects);
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
fn wanted(incident: &Incident, around: &Surroundings) -> Vec<Alert> {
    let mut alerts = Vec::new();
    let mut call = |name, about, starts, because| {
        let facts = facts((incident, around), because);
        alerts.push(Alert { key: AlertKey { name, about }, starts, facts });
    };
    let (id, level, scope) = (incident.id, incident.level, &incident.scope);
    let itself = || {
        let (scope, region, drill) = (scope.clone(), incident.region.clone(), incident.drill.clone());
        About::Incident { id, level, scope, region, drill }
    };
    let live = incident.is_live();
    if let Some(change) = incident.levels.last().filter(|_| live) {
        call(AlertName::ServiceInterruption, itself(), change.at, Because::Rule(change.rule.clone()));
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
                let because = Because::Passed { clock: clock.name.clone(), limit: clock.limit };
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
                let (limit, deadline) = (clock.limit, clock.deadline);
                let because = Because::Used { percent, clock: clock.name.clone(), limit, deadline };
                call(AlertName::ClockAtRisk, of_clock(Some(percent)), at, because);
            }
            _ => {}
        }
    }
    alerts
}

fn facts((incident, around): (&Incident, &Surroundings), because: Because) -> AlertFacts {
    let acknowledged =
        incident.actions.telling().rfind(|record| record.action == Action::Reached(Stage::Acknowledged));
    let runs = |clock: &&Clock| clock.stopped.is_none() && clock.breached.is_none();
    let clocks = incident.clocks.iter().filter(runs);
    AlertFacts {
        started: incident.started,
        because,
        spent_at: None,
        incident: Some(IncidentFacts {
            users: incident.users,
            users_estimated: incident.users_estimated,
            next_level: incident.next_level,
            quiet_since: incident.restored,
            detected: incident.detected,
            acknowledged: acknowledged.map(|record| record.at),
            acknowledged_by: acknowledged.and_then(|record| record.by.clone()),
            services: incident.services,
            region: incident.region.clone(),
            groups: around.groups.clone(),
            cause: incident.cause,
            clocks: clocks.filter_map(|clock| Some((clock.name.clone(), clock.deadline?))).collect(),
            maintenance: around.maintenance,
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
