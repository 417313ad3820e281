//! What people do about an incident: the stages of the response, and what else is reported of it (manual §4.2, R56).

use borsh::{BorshDeserialize, BorshSerialize};

use super::event::Cause;
use super::level::Level;
use super::time::Instant;

/// A stage of the response, in the manual's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
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
    /// Every stage, in the manual's order.
    pub const ALL: [Self; 9] = [
        Self::Detected,
        Self::Acknowledged,
        Self::Dispatched,
        Self::Located,
        Self::Mitigated,
        Self::Repaired,
        Self::Restored,
        Self::Verified,
        Self::Reviewed,
    ];

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
}

/// What somebody did about an incident, as it is reported in `repair.*` events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub enum Action {
    /// A stage was reached.
    Reached(Stage),
    /// The repair clock was stopped: the repair waits for others.
    Held,
    /// The repair clock was let go on.
    Resumed,
    /// Somebody gave it another level than the rules did.
    Reclassified(Level),
    /// Somebody outside was told: a regulator, the users (R57, R58).
    Notified,
    /// Somebody who was touched by it said how content they are (R75).
    Surveyed,
}

impl Action {
    /// The action's name: the stage's, `held`, `resumed`, `reclassified`, `notified` or `surveyed`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reached(stage) => stage.name(),
            Self::Held => "held",
            Self::Resumed => "resumed",
            Self::Reclassified(_) => "reclassified",
            Self::Notified => "notified",
            Self::Surveyed => "surveyed",
        }
    }

    /// The type of the event that reports it. `detected` and `restored` follow from outages and have none of their
    /// own.
    #[must_use]
    pub const fn event_type(self) -> &'static str {
        match self {
            Self::Reached(Stage::Detected) => "outage.started",
            Self::Reached(Stage::Acknowledged) => "repair.acknowledged",
            Self::Reached(Stage::Dispatched) => "repair.dispatched",
            Self::Reached(Stage::Located) => "repair.located",
            Self::Reached(Stage::Mitigated) => "repair.mitigated",
            Self::Reached(Stage::Repaired) => "repair.repaired",
            Self::Reached(Stage::Restored) => "outage.ended",
            Self::Reached(Stage::Verified) => "repair.verified",
            Self::Reached(Stage::Reviewed) => "repair.reviewed",
            Self::Held => "repair.held",
            Self::Resumed => "repair.resumed",
            Self::Reclassified(_) => "repair.reclassified",
            Self::Notified => "notice.sent",
            Self::Surveyed => "survey",
        }
    }
}

/// An action: what, when, who (R56, R61).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct ActionRecord {
    /// When.
    pub at: Instant,
    /// What.
    pub action: Action,
    /// Who.
    pub by: Option<Box<str>>,
    /// Free text; of a hold or another level its reason.
    pub detail: Option<Box<str>>,
    /// What the outage came from, when it was located.
    pub cause: Option<Cause>,
    /// What belongs to just this action.
    pub particulars: Particulars,
}

/// What belongs to one kind of action only.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum Particulars {
    /// Nothing.
    #[default]
    None,
    /// The name of the notice that was sent, which is that of the clock that it stops.
    Notice(Box<str>),
    /// What was learned.
    Review(Box<Review>),
    /// A survey's score, in hundredths: 0 to 10 000.
    Score(u32),
}

/// What was learned of an incident (R59): it is complete, and the incident reviewed, with its root cause and what is
/// done so that it does not happen again.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Review {
    /// What it came from in the end.
    pub root_cause: Box<str>,
    /// What is done about that.
    pub improvements: Vec<Improvement>,
}

/// One thing that is done so that an incident does not happen again.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct Improvement {
    /// What is done.
    pub action: Box<str>,
    /// Who answers for it.
    pub owner: Box<str>,
    /// By when: a date, as `2026-04-01`.
    pub due: Box<str>,
}

impl Review {
    /// Whether it has a root cause and something is done about it, each thing with an owner and a due date.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let said = |text: &str| !text.trim().is_empty();
        let whole = |one: &Improvement| said(&one.action) && said(&one.owner) && said(&one.due);
        said(&self.root_cause) && !self.improvements.is_empty() && self.improvements.iter().all(whole)
    }
}
