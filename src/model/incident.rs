//! Incidents: the manual's service interruption events (§4.2), with what their record must hold (R61).

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};

use super::event::Cause;
use super::level::Level;
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

/// A stage of the response, in the manual's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum Stage {
    /// The daemon learned of it.
    Detected,
    /// Somebody took it on.
    Acknowledged,
    /// Somebody was sent.
    Dispatched,
    /// The fault was found.
    Located,
    /// A temporary fix holds.
    Mitigated,
    /// The permanent fix is in.
    Repaired,
    /// The last outage ended.
    Restored,
    /// It was confirmed to be over.
    Verified,
    /// What was learned is written down.
    Reviewed,
}

impl Stage {
    /// The stage's name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Detected => "detected",
            Self::Acknowledged => "acknowledged",
            Self::Dispatched => "dispatched",
            Self::Located => "located",
            Self::Mitigated => "mitigated",
            Self::Repaired => "repaired",
            Self::Restored => "restored",
            Self::Verified => "verified",
            Self::Reviewed => "reviewed",
        }
    }

    /// The type of the event that reports the stage. `detected` and `restored` follow from outages and have none
    /// of their own.
    #[must_use]
    pub const fn event_type(self) -> &'static str {
        match self {
            Self::Detected => "outage.started",
            Self::Restored => "outage.ended",
            Self::Acknowledged => "repair.acknowledged",
            Self::Dispatched => "repair.dispatched",
            Self::Located => "repair.located",
            Self::Mitigated => "repair.mitigated",
            Self::Repaired => "repair.repaired",
            Self::Verified => "repair.verified",
            Self::Reviewed => "repair.reviewed",
        }
    }
}

/// When a stage was reached, and by whom.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct StageRecord {
    /// The stage.
    pub stage: Stage,
    /// When.
    pub at: Instant,
    /// Who.
    pub by: Option<Box<str>>,
    /// Free text.
    pub detail: Option<Box<str>>,
}

/// How far an incident has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum Status {
    /// Something is out, and nobody has taken it on.
    Open,
    /// Something is out, and somebody is on it.
    Acknowledged,
    /// Nothing is out.
    Restored,
    /// It proved to be part of another incident.
    Merged,
    /// The facts that made it were corrected away.
    Withdrawn,
}

impl Status {
    /// The status's name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Restored => "restored",
            Self::Merged => "merged",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Whether something is still out.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Open | Self::Acknowledged)
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

/// A clock of the manual, ticking on an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub enum ClockName {
    /// Detected to acknowledged (R1).
    Response,
    /// Started to restored (R2).
    Repair,
}

impl ClockName {
    /// Every clock.
    pub const ALL: [Self; 2] = [Self::Response, Self::Repair];

    /// The clock's name in labels and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::Repair => "repair",
        }
    }
}

/// How a clock stands.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Clock {
    /// Which clock.
    pub name: ClockName,
    /// How long it may run.
    pub limit: Span,
    /// When it started.
    pub started: Instant,
    /// When it stopped.
    pub stopped: Option<Instant>,
    /// When the limit passed, if it passed before the clock stopped.
    pub breached: Option<Instant>,
}

impl Clock {
    /// When the limit passes.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.started.plus(self.limit)
    }
}

/// An incident as it stands.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Incident {
    /// Its id.
    pub id: IncidentId,
    /// The service concerned.
    pub service: ServiceName,
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
    /// The first acknowledgement.
    pub acknowledged: Option<StageRecord>,
    /// Who confirmed the restoration, when somebody did.
    pub verified_by: Option<StageRecord>,
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
}

impl Incident {
    /// Whether the incident still concerns somebody: something is out, or was until just now.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        self.status.is_open() || (matches!(self.status, Status::Restored) && self.verified.is_none())
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
    pub fn clock(&self, name: ClockName) -> Option<&Clock> {
        self.clocks.iter().find(|clock| clock.name == name)
    }

    /// The stages reached so far, in order of time, then of the manual.
    #[must_use]
    pub fn stages(&self) -> Vec<StageRecord> {
        let plain = |stage, at| StageRecord { stage, at, by: None, detail: None };
        let mut stages = vec![plain(Stage::Detected, self.detected)];
        stages.extend(self.acknowledged.clone());
        stages.extend(self.restored.map(|at| plain(Stage::Restored, at)));
        stages.extend(self.verified.map(|at| match &self.verified_by {
            Some(record) => StageRecord { at, ..record.clone() },
            None => StageRecord { by: Some("quiet".into()), ..plain(Stage::Verified, at) },
        }));
        stages.sort_by_key(|record| (record.at, record.stage));
        stages
    }
}
