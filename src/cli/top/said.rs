//! What the daemon says, as far as it is shown: the JSON of its API, read.

use serde::Deserialize;

use crate::model::time::Instant;

/// An instant, in RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Time(pub(super) Instant);

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error: crate::model::time::BadInstant| error.to_string())
    }
}

/// How the daemon is doing: `/api/v1/status`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Status {
    pub(super) now: Time,
    /// Absent from a daemon older than this command.
    pub(super) time_zone: Option<String>,
    pub(super) services: u64,
    pub(super) incidents_open: Open,
    pub(super) alerts_firing: u64,
}

/// Open incidents by level.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Open {
    pub(super) first: u64,
    pub(super) second: u64,
    pub(super) third: u64,
}

/// Who is told: `/api/v1/receivers`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Receivers {
    pub(super) receivers: Vec<Receiver>,
}

/// One who is told.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Receiver {
    pub(super) name: String,
    /// Absent before it was first told something.
    pub(super) up: Option<bool>,
}

/// A page of `/api/v1/incidents`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Page {
    pub(super) incidents: Vec<Incident>,
}

/// The data of an event `incident` of the stream.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Change {
    pub(super) incident: Incident,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Incident {
    pub(super) id: String,
    /// 1 is the gravest.
    pub(super) level: u8,
    pub(super) status: String,
    pub(super) started: Time,
    pub(super) detected: Time,
    pub(super) restored: Option<Time>,
    pub(super) services: Vec<String>,
    pub(super) service_count: u64,
    pub(super) regions: Vec<String>,
    pub(super) suspected_cause_service: Option<String>,
    pub(super) users: Option<u64>,
    pub(super) users_estimated: bool,
    pub(super) user_minutes: f64,
    pub(super) next_level: Option<NextLevel>,
    pub(super) cause: String,
    pub(super) flaps: u64,
    pub(super) detail: Option<String>,
    pub(super) stages: Vec<Stage>,
    pub(super) clocks: Vec<Clock>,
    pub(super) levels: Vec<LevelChange>,
    pub(super) drill: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct NextLevel {
    pub(super) level: u8,
    pub(super) at: Time,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Stage {
    pub(super) stage: String,
    pub(super) at: Time,
    pub(super) by: Option<String>,
    pub(super) detail: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Clock {
    pub(super) name: String,
    pub(super) until: String,
    pub(super) started: Time,
    /// Absent while it is held.
    pub(super) deadline: Option<Time>,
    pub(super) stopped: Option<Time>,
    /// When the limit passed, if it did before the clock stopped.
    pub(super) breached: Option<Time>,
    pub(super) cite: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct LevelChange {
    pub(super) at: Time,
    pub(super) level: u8,
    pub(super) rule: String,
}

impl Incident {
    /// Whether something is still out.
    pub(super) fn is_open(&self) -> bool {
        matches!(&*self.status, "open" | "acknowledged" | "mitigated")
    }

    /// Whether nothing is out any more, and it was an interruption of its own.
    pub(super) fn is_restored(&self) -> bool {
        matches!(&*self.status, "restored" | "reviewed")
    }

    /// Who took it on first, and when.
    pub(super) fn acknowledged(&self) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.stage == "acknowledged")
    }

    /// The clock of that name.
    pub(super) fn clock(&self, name: &str) -> Option<&Clock> {
        self.clocks.iter().find(|clock| clock.name == name)
    }
}
