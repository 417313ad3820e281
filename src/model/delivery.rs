//! Deliveries: how far an alert has come on its way to those who are told of it.

use std::fmt;

use super::alert::Alert;
use super::incident::IncidentId;
use super::time::Instant;

/// Why somebody is not told of an alert, or not yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// It must fire for a while first.
    Confirm,
    /// The last one of the same thing was over only a short while before.
    HoldDown,
    /// The receiver has had as many pages in an hour as it wants.
    Budget,
    /// Somebody has acknowledged, or nobody has failed to for long enough.
    Acknowledged,
    /// There is maintenance.
    Maintenance,
    /// There were more alerts than the outbox holds.
    Shed,
    /// It was over again before it could be told.
    Brief,
}

impl Why {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Confirm,
        Self::HoldDown,
        Self::Budget,
        Self::Acknowledged,
        Self::Maintenance,
        Self::Shed,
        Self::Brief,
    ];

    /// The reason as one word, for labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::HoldDown => "hold_down",
            Self::Budget => "budget",
            Self::Acknowledged => "acknowledged",
            Self::Maintenance => "maintenance",
            Self::Shed => "shed",
            Self::Brief => "brief",
        }
    }
}

/// How far an alert has come on its way to one receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is to be told now.
    Pending,
    /// It waits, until then if nothing changes.
    Waiting(Why, Option<Instant>),
    /// The receiver accepted, last at this instant, that it fires.
    Firing(Instant),
    /// The receiver accepted, at this instant, that it is over.
    Resolved(Instant),
    /// It was over before it was told, or is not told at all.
    Withheld(Why),
    /// It was not taken: refused by the receiver, or tried for too long.
    Failed,
}

impl Progress {
    /// The name of every one.
    pub const NAMES: [&str; 6] = ["pending", "waiting", "firing", "resolved", "withheld", "failed"];

    /// How far, in one word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Waiting(..) => "waiting",
            Self::Firing(_) => "firing",
            Self::Resolved(_) => "resolved",
            Self::Withheld(_) => "withheld",
            Self::Failed => "failed",
        }
    }
}

/// An alert on its way to one receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The receiver.
    pub receiver: String,
    /// How far it has come.
    pub progress: Progress,
    /// What the receiver last answered.
    pub answer: Option<Box<str>>,
    /// What was last seen to keep an Alertmanager from passing it on.
    pub muted: Muted,
}

/// What keeps an Alertmanager from passing an alert on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Muted {
    /// Silences that match it.
    pub silences: Vec<Silence>,
    /// The alerts that inhibit it, as name and level or severity.
    pub inhibited_by: Vec<String>,
}

/// A silence in an Alertmanager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Its id.
    pub id: String,
    /// Who made it.
    pub by: String,
    /// Why.
    pub comment: String,
    /// When it was made or last changed.
    pub updated: Option<Instant>,
    /// Until when it silences.
    pub until: Option<Instant>,
}

/// One firing of an alert, and who was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Names the firing, the same after a restart.
    pub id: String,
    /// The alert.
    pub alert: Alert,
    /// When it was over; absent while it fires.
    pub ended: Option<Instant>,
    /// By receiver; of those whose business it is.
    pub deliveries: Vec<Delivery>,
}

/// A page that nobody got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppressed {
    /// When that was certain.
    pub at: Instant,
    /// Who would have got it.
    pub receiver: String,
    /// Why not.
    pub why: Why,
    /// The alert.
    pub alert: Alert,
    /// When it was over, if it is.
    pub ended: Option<Instant>,
}

/// How a receiver is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What it is called.
    pub receiver: String,
    /// Whether the last request to it succeeded; absent before the first.
    pub is_up: Option<bool>,
    /// Since when that is so.
    pub since: Option<Instant>,
    /// What failed last, while it is not up.
    pub error: Option<String>,
    /// Alerts that are to be told to it now.
    pub pending: usize,
    /// Alerts that wait for a reason of ours.
    pub waiting: usize,
}

/// Whoever knows how far alerts have come.
pub trait Deliveries: fmt::Debug + Send + Sync {
    /// The firings that somebody is still told of, or all of one incident, in order of their keys.
    fn pages(&self, of: Option<IncidentId>, now: Instant) -> Vec<Page>;
    /// The pages that nobody got, the newest first.
    fn suppressed(&self) -> Vec<Suppressed>;
    /// How the receivers are doing.
    fn standing(&self) -> Vec<Standing>;
}

/// Somebody acknowledged an incident where it was shown to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The incident.
    pub incident: IncidentId,
    /// Names it, so that the same one is not taken twice.
    pub id: String,
    /// Who.
    pub by: String,
    /// What they said.
    pub detail: String,
}
