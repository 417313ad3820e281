//! Incidents: the manual's service interruption events (§4.2), with what their record must hold (R61).

use std::fmt;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};

pub use super::action::{Action, ActionRecord, Improvement, Particulars, Review, Stage};
use super::actions::Actions;
use super::event::Cause;
use super::level::Level;
use super::procedure::{ClockName, Until};
use super::service::ServiceName;
use super::time::{Instant, Span};

/// An incident's id, derived from the first outage that was known of it, so that replays and replicas agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct IncidentId(pub u64);

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A text is no incident's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an incident's id is sixteen digits of 0–9 and a–f")]
pub struct BadIncidentId;

impl FromStr for IncidentId {
    type Err = BadIncidentId;

    fn from_str(text: &str) -> Result<Self, BadIncidentId> {
        let read = u64::from_str_radix(text, 16).map(Self).map_err(|_| BadIncidentId)?;
        if read.to_string() == text { Ok(read) } else { Err(BadIncidentId) }
    }
}

/// A stage as it was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageRecord {
    /// The stage.
    pub stage: Stage,
    /// When.
    pub at: Instant,
    /// Who.
    pub by: Option<Box<str>>,
    /// Free text.
    pub detail: Option<Box<str>>,
    /// Whether a stage that comes after it was reached before it.
    pub out_of_order: bool,
}

/// A time for which the repair clock stood still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Since when.
    pub from: Instant,
    /// Until when; absent while it holds.
    pub until: Option<Instant>,
    /// Why.
    pub reason: Option<Box<str>>,
    /// Who held it.
    pub by: Option<Box<str>>,
    /// Who let it go on.
    pub resumed_by: Option<Box<str>>,
}

/// How far an incident has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum Status {
    /// Something is out, and nobody has taken it on.
    Open,
    /// Something is out, and somebody is on it.
    Acknowledged,
    /// Something is out, and a temporary fix is in.
    Mitigated,
    /// Nothing is out.
    Restored,
    /// Nothing is out, that is confirmed, and what was learned is written down.
    Reviewed,
    /// It proved to be part of another incident.
    Merged,
    /// The facts that made it were corrected away.
    Withdrawn,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::Open,
        Self::Acknowledged,
        Self::Mitigated,
        Self::Restored,
        Self::Reviewed,
        Self::Merged,
        Self::Withdrawn,
    ];

    /// The status's name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Mitigated => "mitigated",
            Self::Restored => "restored",
            Self::Reviewed => "reviewed",
            Self::Merged => "merged",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Whether something is still out.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Acknowledged | Self::Mitigated)
    }
}

/// A change of level, as it was recorded when it was known.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LevelChange {
    /// Since when the incident has the level: the exact instant at which the rule came to hold.
    pub at: Instant,
    /// The level.
    pub level: Level,
    /// The rule that gave it, with its citation, or why it was corrected.
    pub rule: String,
}

/// How a clock stands.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Clock {
    /// Which clock.
    pub name: ClockName,
    /// What stops it.
    pub until: Until,
    /// How long it may run.
    pub limit: Span,
    /// When it started.
    pub started: Instant,
    /// When it stopped.
    pub stopped: Option<Instant>,
    /// When the limit passes, or passed; absent while the clock is held before that.
    pub deadline: Option<Instant>,
    /// When the limit passed, if it passed before the clock stopped.
    pub breached: Option<Instant>,
    /// The last warning before that: after which share of the limit, in percent, and when.
    pub warned: Option<(u8, Instant)>,
}

impl Clock {
    /// How long it had been held by the time it stopped, or by `at` while it runs.
    #[must_use]
    pub fn held(&self, holds: &[Hold], at: Instant) -> Span {
        if !self.name.can_be_held() {
            return Span::ZERO;
        }
        let end = self.stopped.unwrap_or(at);
        let within = |hold: &Hold| hold.until.unwrap_or(end).min(end).since(hold.from.max(self.started));
        holds.iter().map(|hold| within(hold).max(Span::ZERO)).fold(Span::ZERO, Span::plus)
    }
}

/// An outage of a service that is part of an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interruption {
    /// The service.
    pub service: ServiceName,
    /// Its region; empty when unknown.
    pub region: String,
    /// The outage's key.
    pub outage: Box<str>,
    /// When it began.
    pub started: Instant,
    /// When it ended; absent while it goes on.
    pub ended: Option<Instant>,
    /// The most users that were said to be affected.
    pub users: Option<u64>,
    /// What it came from.
    pub cause: Cause,
    /// What was said of it.
    pub detail: Option<Box<str>>,
}

/// An incident as it stands.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Incident {
    /// Its id.
    pub id: IncidentId,
    /// The service whose outage was the first that was known of it.
    pub service: ServiceName,
    /// How many services were out in it.
    pub services: u64,
    /// The service on which the others hang: one of them, or one of which nothing was said while several of its children
    /// are out. Absent for an incident of a single service.
    pub suspected_cause: Option<ServiceName>,
    /// Whom alerts name as concerned, while its level lasts: the suspected cause, or the service.
    pub scope: ServiceName,
    /// The region of the service when the incident was opened.
    pub region: String,
    /// How far it has come.
    pub status: Status,
    /// The incident that it became part of.
    pub merged_into: Option<IncidentId>,
    /// Its level.
    pub level: Level,
    /// The level that it was first given.
    pub first_level: Level,
    /// When its first outage began.
    pub started: Instant,
    /// When the daemon learned of it.
    pub detected: Instant,
    /// When its last outage ended; absent while something is out.
    pub restored: Option<Instant>,
    /// When the restoration was confirmed, by quiet or by an operator.
    pub verified: Option<Instant>,
    /// What was done about it, in order of time.
    pub actions: Actions,
    /// The most users affected at any one instant, where that is known.
    pub users: Option<u64>,
    /// Whether the users come from the catalogue rather than from events.
    pub users_estimated: bool,
    /// Users times time lost in what has ended, in user-microseconds.
    pub user_micros: i128,
    /// How many users lose time now, and since when.
    pub accruing: Option<(u64, Instant)>,
    /// The level it will rise to, and when, if nothing changes.
    pub next_level: Option<(Level, Instant)>,
    /// What it came from.
    pub cause: Cause,
    /// How often it came back before it was confirmed to be over.
    pub flaps: u64,
    /// What the first event said, cut to what a page can show.
    pub detail: Option<Box<str>>,
    /// Its clocks.
    pub clocks: Vec<Clock>,
    /// Its levels so far, in the order in which they became known.
    pub levels: Vec<LevelChange>,
    /// The drill that it belongs to; absent for what happened in the network.
    pub drill: Option<Box<str>>,
}

impl Incident {
    /// Whether the incident still concerns somebody: something is out, or was until just now.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        self.status.is_open() || (matches!(self.status, Status::Restored) && self.verified.is_none())
    }

    /// Whether anything is still to be done or told by a limit.
    #[must_use]
    pub fn owes(&self) -> bool {
        self.clocks.iter().any(|clock| clock.stopped.is_none())
    }

    /// User-minutes lost up to `at`.
    #[must_use]
    pub fn user_minutes(&self, at: Instant) -> f64 {
        let open = self.accruing.map_or(0, |(users, since)| {
            i128::from(users) * i128::from(at.since(since).max(Span::ZERO).as_micros())
        });
        (self.user_micros + open) as f64 / 60e6
    }

    /// The clock of that name.
    #[must_use]
    pub fn clock(&self, name: &ClockName) -> Option<&Clock> {
        self.clocks.iter().find(|clock| clock.name == *name)
    }

    /// When a stage was first reached, reported or not. A review counts once it is complete.
    #[must_use]
    pub fn reached_at(&self, stage: Stage) -> Option<Instant> {
        match stage {
            Stage::Detected => Some(self.detected),
            Stage::Restored => self.restored,
            Stage::Verified => self.verified,
            Stage::Reviewed => self.review().filter(|(_, review)| review.is_complete()).map(|(at, _)| at.at),
            reported => self.reached(reported).map(|record| record.at),
        }
    }

    /// The last review, whether it is complete or not.
    #[must_use]
    pub fn review(&self) -> Option<(&ActionRecord, &Review)> {
        self.actions.telling().rev().find_map(|record| match &record.particulars {
            Particulars::Review(review) => Some((record, &**review)),
            _ => None,
        })
    }

    /// The notices that were sent, in order of time: when, and of which name.
    pub fn notices(&self) -> impl Iterator<Item = (&ActionRecord, &str)> {
        self.actions.telling().filter_map(|record| match &record.particulars {
            Particulars::Notice(name) => Some((record, &**name)),
            _ => None,
        })
    }

    /// The mean score of those who were asked, from 0 to 100, if any were.
    #[must_use]
    pub fn satisfaction(&self) -> Option<f64> {
        let scores = self.actions.telling().filter_map(|record| match record.particulars {
            Particulars::Score(score) => Some(score),
            _ => None,
        });
        let (count, sum) = scores.fold((0_u32, 0.0), |(count, sum), score| (count + 1, sum + f64::from(score)));
        (count > 0).then(|| sum / f64::from(count) / 100.0)
    }

    /// The first report of a stage.
    #[must_use]
    pub fn reached(&self, stage: Stage) -> Option<&ActionRecord> {
        self.actions.telling().find(|record| record.action == Action::Reached(stage))
    }

    /// The level that somebody gave it last, if anybody did.
    #[must_use]
    pub fn reclassified(&self) -> Option<(Level, &ActionRecord)> {
        self.actions.telling().rev().find_map(|record| match record.action {
            Action::Reclassified(level) => Some((level, record)),
            _ => None,
        })
    }

    /// The stages reached so far, in order of time, then of the manual.
    #[must_use]
    pub fn stages(&self) -> Vec<StageRecord> {
        let plain = |stage, at| StageRecord { stage, at, by: None, detail: None, out_of_order: false };
        let mut stages = vec![plain(Stage::Detected, self.detected)];
        stages.extend(self.actions.iter().filter_map(|record| match record.action {
            Action::Reached(stage) => {
                let (by, detail) = (record.by.clone(), record.detail.clone());
                Some(StageRecord { by, detail, ..plain(stage, record.at) })
            }
            _ => None,
        }));
        stages.extend(self.restored.map(|at| plain(Stage::Restored, at)));
        let by_quiet = self.verified.filter(|&at| !stages.iter().any(|s| (s.stage, s.at) == (Stage::Verified, at)));
        let quiet = |at| StageRecord { by: Some("quiet".into()), ..plain(Stage::Verified, at) };
        stages.extend(by_quiet.map(quiet));
        stages.sort_by_key(|record| (record.at, record.stage));
        // A permanent fix may well follow a restoration by a temporary one.
        let late_fix = stages.iter().any(|record| record.stage == Stage::Mitigated);
        let mut furthest = Stage::Detected;
        for record in stages.iter_mut().filter(|record| record.stage != Stage::Detected) {
            record.out_of_order = record.stage < furthest && !(late_fix && record.stage == Stage::Repaired);
            furthest = furthest.max(record.stage);
        }
        stages
    }

    /// The stages that come before the furthest one reached and were not. One fix is enough, temporary or permanent.
    #[must_use]
    pub fn missing_stages(&self) -> Vec<Stage> {
        let reached: Vec<Stage> = self.stages().iter().map(|record| record.stage).collect();
        let furthest = reached.iter().max().copied().unwrap_or(Stage::Detected);
        let fixed = reached.iter().any(|stage| matches!(stage, Stage::Mitigated | Stage::Repaired));
        let is_due = |stage: &Stage| match stage {
            Stage::Mitigated => false,
            Stage::Repaired => !fixed,
            _ => true,
        };
        let passed = Stage::ALL.into_iter().filter(|stage| *stage < furthest && !reached.contains(stage));
        passed.filter(is_due).collect()
    }

    /// When its repair clock was held. What is held already is not held again.
    #[must_use]
    pub fn holds(&self) -> Vec<Hold> {
        let mut holds: Vec<Hold> = Vec::new();
        for record in self.actions.telling() {
            let open = holds.last_mut().filter(|hold| hold.until.is_none());
            match (record.action, open) {
                (Action::Held, None) => {
                    let (reason, by) = (record.detail.clone(), record.by.clone());
                    holds.push(Hold { from: record.at, until: None, reason, by, resumed_by: None });
                }
                (Action::Resumed, Some(hold)) => {
                    hold.until = Some(record.at);
                    hold.resumed_by.clone_from(&record.by);
                }
                _ => {}
            }
        }
        holds
    }
}
