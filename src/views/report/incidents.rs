//! Incidents and clocks of a report, as they stood at the end of the period by all that was known when it was made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Asked;
use super::figures::Verdict;
use crate::model::incident::{Clock, Hold, Incident, Particulars, Stage, Status};
use crate::model::level::Level;
use crate::model::procedure::ClockName;
use crate::model::time::{Instant, Span};

/// Lengths of time: how many, their mean, and quantiles that are one of them each (nearest rank).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Times {
    /// How many.
    pub count: u64,
    /// Their mean.
    pub mean_seconds: Option<f64>,
    /// Half of them took no longer.
    pub p50_seconds: Option<f64>,
    /// 95 % of them took no longer.
    pub p95_seconds: Option<f64>,
    /// The longest.
    pub max_seconds: Option<f64>,
}

/// How a clock of the procedure was kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClockLine {
    /// `response`, `repair`, `permanent_fix`, a stage's, or that of a notice.
    pub clock: String,
    /// Where its limit comes from; empty when that is not said.
    pub cite: String,
    /// Those that stopped in time, in the period.
    pub kept: u64,
    /// Those whose limit passed in the period.
    pub breached: u64,
    /// Those that run on at the end, within their limit.
    pub running: u64,
    /// The share kept of those decided in the period, holds left out of the time.
    pub compliance_ratio: Option<f64>,
    /// The same if no hold had stopped any of them.
    pub compliance_without_holds_ratio: Option<f64>,
    /// For how long they were held, of those decided.
    pub held_seconds: f64,
    /// How long those took that stopped in the period, holds left out.
    pub times: Times,
    /// Whether it was kept.
    pub verdict: Verdict,
}

/// Incidents of the period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IncidentPart {
    /// Those that began in it.
    pub began: u64,
    /// Of those, by their level at the end: first, second, third.
    pub first: u64,
    /// Of the second.
    pub second: u64,
    /// Of the third.
    pub third: u64,
    /// Those that were not restored at its end.
    pub open_at_end: u64,
    /// How often they came back before they were confirmed to be over.
    pub flaps: u64,
    /// Answers of those who were asked after an incident, in the period, and their mean score from 0 to 100.
    pub surveys: u64,
    /// Their mean score, from 0 to 100.
    pub survey_mean_score: Option<f64>,
    /// Every one that was going on in the period, by start.
    pub list: Vec<IncidentLine>,
}

/// An incident as it stood at the end of the period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IncidentLine {
    /// Its id.
    pub id: String,
    /// Its page, below the address of the daemon.
    pub link: String,
    /// Its level at the end: 1 is the gravest.
    pub level: u8,
    /// The level that it was first given.
    pub first_level: u8,
    /// `open`, `acknowledged`, `mitigated`, `restored` or `reviewed`.
    pub status: String,
    /// When it began.
    #[schema(format = DateTime)]
    pub started: String,
    /// When the daemon learned of it.
    #[schema(format = DateTime)]
    pub detected: String,
    /// When somebody first took it on.
    #[schema(format = DateTime)]
    pub acknowledged: Option<String>,
    /// When its last outage ended.
    #[schema(format = DateTime)]
    pub restored: Option<String>,
    /// From the start to the restoration, or to the end of the period.
    pub duration_seconds: f64,
    /// The service with which it began.
    pub service: String,
    /// The service on which the others hang.
    pub suspected_cause_service: Option<String>,
    /// How many services were out in it.
    pub services: u64,
    /// The regions of those.
    pub regions: Vec<String>,
    /// The most users affected at any one instant.
    pub users: Option<u64>,
    /// Whether the users come from the catalogue rather than from events.
    pub users_estimated: bool,
    /// User-minutes lost; absent when it was not over at the end.
    pub user_minutes: Option<f64>,
    /// What it came from.
    pub cause: String,
    /// How often it came back before it was confirmed to be over.
    pub flaps: u64,
    /// Its clocks.
    pub clocks: Vec<RanClock>,
}

/// A clock of an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RanClock {
    /// `response`, `repair`, `permanent_fix`, a stage's, or that of a notice.
    pub clock: String,
    /// How long it may run.
    pub limit_seconds: f64,
    /// How long it ran, holds left out; of one that runs on, by the end of the period.
    pub ran_seconds: f64,
    /// How long it was held.
    pub held_seconds: f64,
    /// When the limit passed, if it did.
    #[schema(format = DateTime)]
    pub breached: Option<String>,
    /// Whether it was kept; absent while it runs within its limit.
    pub kept: Option<bool>,
}

/// A drill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DrillLine {
    /// Its name.
    pub name: String,
    /// When it began.
    #[schema(format = DateTime)]
    pub started: String,
    /// How many incidents.
    pub incidents: u64,
}

/// A clock as it stood at an instant.
struct Ran<'c> {
    clock: &'c Clock,
    stopped: Option<Instant>,
    breached: Option<Instant>,
    /// From its start on, with holds.
    took: Span,
    held: Span,
}

impl<'c> Ran<'c> {
    fn at(clock: &'c Clock, holds: &[Hold], at: Instant) -> Option<Self> {
        let stopped = clock.stopped.filter(|&stopped| stopped <= at);
        let known = Clock { stopped, ..clock.clone() };
        // What was heard of only after the end had no clock to keep by then, though it may be over.
        (clock.started < at).then(|| Self {
            clock,
            stopped,
            breached: clock.breached.filter(|&breached| breached <= at),
            took: stopped.unwrap_or(at).since(clock.started).max(Span::ZERO),
            held: known.held(holds, at),
        })
    }

    fn ran(&self) -> Span {
        self.took.minus(self.held)
    }

    fn kept(&self) -> Option<bool> {
        if self.breached.is_some() { Some(false) } else { self.stopped.map(|_| true) }
    }

    /// When it was decided whether it was kept.
    fn decided(&self) -> Option<Instant> {
        self.breached.or(self.stopped)
    }
}

/// The clocks by name, the incidents, and how long acknowledgements took.
pub(super) fn parts(asked: &Asked<'_>) -> (Vec<ClockLine>, IncidentPart, Times) {
    let &Asked { engine, range, .. } = asked;
    let is_own = |incident: &&Incident| {
        !matches!(incident.status, Status::Merged | Status::Withdrawn) && incident.started < range.until
    };
    let mut own: Vec<&Incident> = engine.incidents().filter(is_own).collect();
    own.sort_unstable_by_key(|incident| (incident.started, incident.id));
    let mut gathered: BTreeMap<&ClockName, Gathered> = BTreeMap::new();
    let mut acknowledged = Vec::new();
    let mut scores = Vec::new();
    let inside = |at: Instant| range.from <= at && at < range.until;
    for incident in &own {
        let holds = incident.holds();
        for clock in &incident.clocks {
            if let Some(ran) = Ran::at(clock, &holds, range.until) {
                gathered.entry(&clock.name).or_default().add(&ran, inside);
            }
        }
        let first = incident.reached(Stage::Acknowledged).map(|record| record.at).filter(|&at| inside(at));
        acknowledged.extend(first.map(|at| at.since(incident.started)));
        scores.extend(incident.actions.telling().filter(|record| inside(record.at)).filter_map(|record| {
            match record.particulars {
                Particulars::Score(score) => Some(u64::from(score)),
                _ => None,
            }
        }));
    }
    acknowledged.sort_unstable();
    let rules = &engine.procedure().clocks;
    let cite = |name: &ClockName| rules.iter().find(|rule| rule.name == *name).map(|rule| rule.cite.clone());
    let clocks = gathered.into_iter().filter(|(_, gathered)| !gathered.is_empty());
    let clocks = clocks.map(|(name, gathered)| gathered.line(name, cite(name).unwrap_or_default())).collect();
    let going_on = |incident: &&&Incident| {
        incident.started >= range.from || incident.restored.is_none_or(|restored| restored > range.from)
    };
    let list: Vec<IncidentLine> = own.iter().filter(going_on).map(|incident| line(asked, incident)).collect();
    let began = || own.iter().filter(|incident| incident.started >= range.from);
    let of_level = |level| began().filter(|incident| level_at(incident, range.until) == level).count() as u64;
    let part = IncidentPart {
        began: began().count() as u64,
        first: of_level(Level::First),
        second: of_level(Level::Second),
        third: of_level(Level::Third),
        open_at_end: list.iter().filter(|line| line.restored.is_none()).count() as u64,
        flaps: list.iter().map(|line| line.flaps).sum(),
        surveys: scores.len() as u64,
        survey_mean_score: (!scores.is_empty())
            .then(|| scores.iter().sum::<u64>() as f64 / scores.len() as f64 / 100.0),
        list,
    };
    (clocks, part, times(&acknowledged))
}

/// The level that it had at an instant.
fn level_at(incident: &Incident, at: Instant) -> Level {
    let known = incident.levels.iter().rev().find(|change| change.at < at);
    known.map_or(incident.first_level, |change| change.level)
}

fn line(asked: &Asked<'_>, incident: &Incident) -> IncidentLine {
    let (engine, end) = (asked.engine, asked.range.until);
    let by_end = |at: &Instant| *at <= end;
    let reached = |stage| incident.reached_at(stage).filter(by_end);
    let restored = incident.restored.filter(by_end);
    let status = match restored {
        Some(_) if reached(Stage::Reviewed).is_some() => Status::Reviewed,
        Some(_) => Status::Restored,
        None if reached(Stage::Mitigated).is_some() => Status::Mitigated,
        None if reached(Stage::Acknowledged).is_some() => Status::Acknowledged,
        None => Status::Open,
    };
    let holds = incident.holds();
    let clocks = incident.clocks.iter().filter_map(|clock| Ran::at(clock, &holds, end));
    // What it cost by then is known once it is over, or while it is looked at.
    let goes_on = incident.restored.is_none()
        && engine.now() <= end
        && incident.accruing.is_none_or(|(_, since)| since <= end);
    IncidentLine {
        id: incident.id.to_string(),
        link: format!("/incidents/{}", incident.id),
        level: level_at(incident, end).number(),
        first_level: incident.first_level.number(),
        status: status.name().to_owned(),
        started: incident.started.to_string(),
        detected: incident.detected.to_string(),
        acknowledged: reached(Stage::Acknowledged).as_ref().map(Instant::to_string),
        restored: restored.as_ref().map(Instant::to_string),
        duration_seconds: restored.unwrap_or(end).since(incident.started).as_secs_f64(),
        service: incident.service.as_str().to_owned(),
        suspected_cause_service: incident.suspected_cause.as_ref().map(|name| name.as_str().to_owned()),
        services: incident.services,
        regions: engine.regions_of(incident.id).into_iter().map(str::to_owned).collect(),
        users: incident.users,
        users_estimated: incident.users_estimated,
        user_minutes: (restored.is_some() || goes_on).then(|| incident.user_minutes(end)),
        cause: incident.cause.name().to_owned(),
        flaps: incident.flaps,
        clocks: clocks
            .map(|ran| RanClock {
                clock: ran.clock.name.to_string(),
                limit_seconds: ran.clock.limit.as_secs_f64(),
                ran_seconds: ran.ran().as_secs_f64(),
                held_seconds: ran.held.as_secs_f64(),
                breached: ran.breached.as_ref().map(Instant::to_string),
                kept: ran.kept(),
            })
            .collect(),
    }
}

/// What is gathered of the clocks of one name.
#[derive(Default)]
struct Gathered {
    kept: u64,
    breached: u64,
    running: u64,
    kept_without_holds: u64,
    held: Span,
    took: Vec<Span>,
}

impl Gathered {
    fn add(&mut self, ran: &Ran<'_>, inside: impl Fn(Instant) -> bool) {
        let Some(decided) = ran.decided() else {
            self.running += 1;
            return;
        };
        if ran.stopped.is_some_and(&inside) {
            self.took.push(ran.ran());
        }
        if inside(decided) {
            let kept = ran.breached.is_none();
            *(if kept { &mut self.kept } else { &mut self.breached }) += 1;
            self.kept_without_holds += u64::from(kept && ran.took <= ran.clock.limit);
            self.held = self.held.plus(ran.held);
        }
    }

    fn is_empty(&self) -> bool {
        self.kept + self.breached + self.running == 0 && self.took.is_empty()
    }

    fn line(mut self, name: &ClockName, cite: String) -> ClockLine {
        self.took.sort_unstable();
        let decided = self.kept + self.breached;
        let ratio = |part: u64| (decided > 0).then(|| part as f64 / decided as f64);
        ClockLine {
            clock: name.to_string(),
            cite,
            kept: self.kept,
            breached: self.breached,
            running: self.running,
            compliance_ratio: ratio(self.kept),
            compliance_without_holds_ratio: ratio(self.kept_without_holds),
            held_seconds: self.held.as_secs_f64(),
            times: times(&self.took),
            verdict: Verdict::of_limits(self.kept, self.breached),
        }
    }
}

/// What sorted lengths amount to.
pub(super) fn times(sorted: &[Span]) -> Times {
    let rank = |percent: usize| {
        let place = (sorted.len() * percent).div_ceil(100).max(1) - 1;
        sorted.get(place).map(|span| span.as_secs_f64())
    };
    let sum: i128 = sorted.iter().map(|span| i128::from(span.as_micros())).sum();
    Times {
        count: sorted.len() as u64,
        mean_seconds: (!sorted.is_empty()).then(|| sum as f64 / sorted.len() as f64 / 1e6),
        p50_seconds: rank(50),
        p95_seconds: rank(95),
        max_seconds: sorted.last().map(|span| span.as_secs_f64()),
    }
}

/// The drills that run and had begun by the end.
pub(super) fn drills(asked: &Asked<'_>) -> Vec<DrillLine> {
    let mut by_name: BTreeMap<&str, (Instant, u64)> = BTreeMap::new();
    let begun = asked.engine.drill_incidents().filter(|incident| incident.started < asked.range.until);
    for incident in begun {
        let Some(name) = incident.drill.as_deref() else { continue };
        let (started, count) = by_name.entry(name).or_insert((incident.started, 0));
        (*started, *count) = (incident.started.min(*started), *count + 1);
    }
    let line = |(name, (started, incidents)): (&str, (Instant, u64))| DrillLine {
        name: name.to_owned(),
        started: started.to_string(),
        incidents,
    };
    by_name.into_iter().map(line).collect()
}
