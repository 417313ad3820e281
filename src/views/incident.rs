//! An incident, as JSON.

use serde::Serialize;
use utoipa::ToSchema;

use super::words::{Cause, ClockName, Level, Stage, Status, Time};
use crate::engine::Engine;
use crate::model;
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
    /// The drill that it belongs to.
    drill: Option<String>,
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
}

/// A clock of the service manual, as it runs or ran.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Clock {
    name: ClockName,
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
            })
            .collect(),
        clocks: incident
            .clocks
            .iter()
            .map(|clock| Clock {
                name: ClockName(clock.name.name()),
                limit_seconds: clock.limit.as_secs_f64(),
                started: Time(clock.started),
                deadline: clock.deadline.map(Time),
                held_seconds: clock.held(&holds, at).as_secs_f64(),
                stopped: clock.stopped.map(Time),
                breached: clock.breached.map(Time),
            })
            .collect(),
        levels: incident
            .levels
            .iter()
            .map(|change| LevelChange {
                at: Time(change.at),
                level: change.level.into(),
                rule: change.rule.clone(),
            })
            .collect(),
        drill: None,
    }
}

/// The services that were out in an incident; of one that is none of its own any more, the one with which it began.
fn services(engine: &Engine, incident: &model::incident::Incident) -> Vec<String> {
    let services: Vec<String> = engine.services_of(incident.id).map(str::to_owned).collect();
    if services.is_empty() { vec![ServiceName::as_str(&incident.service).to_owned()] } else { services }
}
