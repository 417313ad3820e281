//! An incident, as JSON.

use serde::Serialize;
use utoipa::ToSchema;

use super::alerts::AlertShown;
use super::words::{Cause, Level, Stage, Standing, Status, Time};
use crate::engine::Engine;
use crate::model;
use crate::model::procedure::Until;
use crate::model::service::ServiceName;
use crate::model::time::Instant;

/// An incident: one interruption, of all services that it takes with it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Incident {
    /// The incident's id, sixteen hexadecimal digits.
    #[schema(pattern = "^[0-9a-f]{16}$")]
    id: String,
    level: Level,
    /// The level that it was first given.
    first_level: Level,
    status: Status,
    /// The id of the incident that it became part of.
    merged_into: Option<String>,
    /// When its first outage began.
    started: Time,
    /// When the daemon learned of it.
    detected: Time,
    /// When somebody first took it on.
    acknowledged: Option<Time>,
    /// When its last outage ended; absent while something is out.
    restored: Option<Time>,
    /// When the restoration was confirmed.
    verified: Option<Time>,
    /// The services that were out in it.
    services: Vec<String>,
    /// How many they are.
    service_count: u64,
    /// The regions of those services.
    regions: Vec<String>,
    /// The region of the service with which it began.
    region: String,
    /// The service on which the others hang.
    suspected_cause_service: Option<String>,
    /// The most users affected at any one instant, where that is known.
    users: Option<u64>,
    /// Whether the users come from the catalogue rather than from events.
    users_estimated: bool,
    /// The level that it will rise to if nothing changes.
    next_level: Option<NextLevel>,
    /// Users times minutes lost.
    user_minutes: f64,
    cause: Cause,
    /// How often it came back before it was confirmed to be over.
    flaps: u64,
    /// What the first event said.
    detail: Option<String>,
    /// The stages reached so far, in order of time.
    stages: Vec<StageReached>,
    /// The stages that come before the furthest one reached and were not.
    missing_stages: Vec<Stage>,
    /// The times for which the repair clock stood still.
    holds: Vec<Hold>,
    clocks: Vec<Clock>,
    /// The levels so far, in the order in which they became known.
    levels: Vec<LevelChange>,
    /// Who outside was told, in order of time.
    notices: Vec<Notice>,
    /// What was learned.
    review: Option<Review>,
    /// What became of the recovery, once nothing is out.
    assessment: Option<Assessment>,
    /// The drill that it belongs to.
    drill: Option<String>,
    /// Its alerts and who was told of them, of a single incident while anything of it is told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) pages: Vec<AlertShown>,
}

/// The level that an incident will rise to if nothing changes.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct NextLevel {
    level: Level,
    /// When.
    at: Time,
}

/// A stage as it was reached.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StageReached {
    stage: Stage,
    /// When.
    at: Time,
    /// Who said so.
    by: Option<String>,
    /// Free text.
    detail: Option<String>,
    /// Whether a stage that comes after it was reached before it.
    out_of_order: bool,
}

/// A time for which the repair clock stood still.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Hold {
    /// Since when.
    from: Time,
    /// Until when; absent while it holds.
    until: Option<Time>,
    /// Why.
    reason: Option<String>,
    /// Who held it.
    by: Option<String>,
    /// Who let it go on.
    resumed_by: Option<String>,
    /// Whether nobody let it go on before the restoration.
    unresumed: bool,
}

/// A clock of the procedure, as it runs or ran.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Clock {
    /// `response`, `repair`, `permanent_fix`, a stage's, or that of a notice.
    name: String,
    /// What stops it: a stage, or `notice`.
    until: String,
    /// How long it may run.
    limit_seconds: f64,
    /// When it started.
    started: Time,
    /// When the limit passes, or passed; absent while the clock is held before that.
    deadline: Option<Time>,
    /// How long it was held.
    held_seconds: f64,
    /// When it stopped.
    stopped: Option<Time>,
    /// When the limit passed, if it passed before the clock stopped.
    breached: Option<Time>,
    /// The last warning before that.
    warned: Option<Warned>,
    /// Where the limit comes from.
    cite: Option<String>,
    /// How sure that is; absent when the clock is no longer configured.
    standing: Option<Standing>,
}

/// A warning before a limit passes.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Warned {
    /// Which share of the limit had passed.
    used_ratio: f64,
    /// When.
    at: Time,
}

/// A notice that was sent.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Notice {
    /// Its name, which is that of the clock that it stops.
    notice: String,
    /// When.
    at: Time,
    /// Who sent it.
    by: Option<String>,
    /// Free text.
    detail: Option<String>,
}

/// What was learned of an incident.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Review {
    /// When it was written down.
    at: Time,
    /// Who wrote it.
    by: Option<String>,
    /// What it came from in the end.
    root_cause: String,
    /// What is done about that.
    improvements: Vec<Improvement>,
    /// Whether it has a root cause and improvements, each with an owner and a due date.
    complete: bool,
}

/// Something that is done so that an incident does not happen again.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ReviewedImprovement)]
pub struct Improvement {
    /// What is done.
    action: String,
    /// Who answers for it.
    owner: String,
    /// By when: a date.
    due: String,
}

/// What became of a recovery.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Assessment {
    /// How much of the response limit was used: at most 1 if it was kept.
    response_used_ratio: Option<f64>,
    /// How much of the repair limit was used, holds left out: at most 1 if it was kept.
    repair_used_ratio: Option<f64>,
    /// Until when another interruption of one of its services is a recurrence.
    watched_until: Time,
    /// The first of those.
    recurrence: Option<Recurrence>,
    /// Whether the recovery held; absent while it is watched.
    effective: Option<bool>,
    /// The mean of the surveys' scores, from 0 to 100.
    satisfaction: Option<f64>,
}

/// Another interruption of a service that had been restored.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Recurrence {
    /// Of which incident.
    incident: String,
    /// When it began.
    at: Time,
}

/// A change of level.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LevelChange {
    /// Since when.
    at: Time,
    level: Level,
    /// The rule that gave it, with where that comes from, or who gave it and why.
    rule: String,
}

/// An incident as it stands at `at`.
#[must_use]
pub fn incident(engine: &Engine, incident: &model::incident::Incident, at: Instant) -> Incident {
    let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
    let holds = incident.holds();
    Incident {
        id: incident.id.to_string(),
        level: incident.level.into(),
        first_level: incident.first_level.into(),
        status: Status(incident.status.name()),
        merged_into: incident.merged_into.map(|id| id.to_string()),
        started: Time(incident.started),
        detected: Time(incident.detected),
        acknowledged: incident.reached(model::incident::Stage::Acknowledged).map(|record| Time(record.at)),
        restored: incident.restored.map(Time),
        verified: incident.verified.map(Time),
        services: services(engine, incident),
        service_count: incident.services,
        regions: engine.regions_of(incident.id).into_iter().map(str::to_owned).collect(),
        region: incident.region.clone(),
        suspected_cause_service: incident.suspected_cause.as_ref().map(|name| name.as_str().to_owned()),
        users: incident.users,
        users_estimated: incident.users_estimated,
        next_level: incident.next_level.map(|(level, at)| NextLevel { level: level.into(), at: Time(at) }),
        user_minutes: incident.user_minutes(at),
        cause: Cause(incident.cause.name()),
        flaps: incident.flaps,
        detail: text(&incident.detail),
        stages: incident
            .stages()
            .iter()
            .map(|record| StageReached {
                stage: Stage(record.stage.name()),
                at: Time(record.at),
                by: text(&record.by),
                detail: text(&record.detail),
                out_of_order: record.out_of_order,
            })
            .collect(),
        missing_stages: incident.missing_stages().into_iter().map(|stage| Stage(stage.name())).collect(),
        holds: holds
            .iter()
            .map(|hold| Hold {
                from: Time(hold.from),
                until: hold.until.map(Time),
                reason: text(&hold.reason),
                by: text(&hold.by),
                resumed_by: text(&hold.resumed_by),
                unresumed: hold.until.is_none() && incident.restored.is_some(),
            })
            .collect(),
        clocks: incident.clocks.iter().map(|known| clock(engine, known, &holds, at)).collect(),
        levels: incident
            .levels
            .iter()
            .map(|change| LevelChange {
                at: Time(change.at),
                level: change.level.into(),
                rule: change.rule.clone(),
            })
            .collect(),
        notices: incident
            .notices()
            .map(|(record, name)| Notice {
                notice: name.to_owned(),
                at: Time(record.at),
                by: text(&record.by),
                detail: text(&record.detail),
            })
            .collect(),
        review: incident.review().map(|(record, review)| Review {
            at: Time(record.at),
            by: text(&record.by),
            root_cause: review.root_cause.to_string(),
            improvements: review
                .improvements
                .iter()
                .map(|one| Improvement {
                    action: one.action.to_string(),
                    owner: one.owner.to_string(),
                    due: one.due.to_string(),
                })
                .collect(),
            complete: review.is_complete(),
        }),
        assessment: engine.recovery(incident, at).map(|recovery| Assessment {
            response_used_ratio: recovery.response_used,
            repair_used_ratio: recovery.repair_used,
            watched_until: Time(recovery.watched_until),
            recurrence: recovery.recurrence.map(|(id, at)| Recurrence { incident: id.to_string(), at: Time(at) }),
            effective: recovery.effective,
            satisfaction: recovery.satisfaction,
        }),
        drill: text(&incident.drill),
        pages: Vec::new(),
    }
}

fn clock(engine: &Engine, clock: &model::incident::Clock, holds: &[model::incident::Hold], at: Instant) -> Clock {
    let rule = engine.procedure().clocks.iter().find(|rule| rule.name == clock.name);
    Clock {
        name: clock.name.to_string(),
        until: match clock.until {
            Until::Reached(stage) => stage.name().to_owned(),
            Until::Notice => "notice".to_owned(),
        },
        limit_seconds: clock.limit.as_secs_f64(),
        started: Time(clock.started),
        deadline: clock.deadline.map(Time),
        held_seconds: clock.held(holds, at).as_secs_f64(),
        stopped: clock.stopped.map(Time),
        breached: clock.breached.map(Time),
        warned: clock.warned.map(|(percent, at)| Warned { used_ratio: f64::from(percent) / 100.0, at: Time(at) }),
        cite: rule.map(|rule| rule.cite.clone()).filter(|cite| !cite.is_empty()),
        standing: rule.map(|rule| Standing(rule.standing.name())),
    }
}

/// The services that were out in an incident; of one that is none of its own any more, the one with which it began.
fn services(engine: &Engine, incident: &model::incident::Incident) -> Vec<String> {
    let services: Vec<String> = engine.services_of(incident.id).map(str::to_owned).collect();
    if services.is_empty() { vec![ServiceName::as_str(&incident.service).to_owned()] } else { services }
}
