//! Effects: all that the engine can cause. Each says when, why, and what; delivering one twice is harmless.

use std::fmt;

use super::alert::Alert;
use super::incident::{Action, Incident};
use super::level::Level;
use super::procedure::ClockName;
use super::time::Instant;

/// One thing for the outside to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// The engine's instant at which it came about.
    pub at: Instant,
    /// Why.
    pub reason: Reason,
    /// What.
    pub kind: EffectKind,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EffectKind {
    /// The alert fires from now on, or fires on with other facts.
    Fire(Alert),
    /// The alert is over since the instant given.
    Resolve(Alert, Instant),
    /// The incident stands like this from now on.
    Record(Box<Incident>),
}

/// Why an effect came about: the log line, the label and the text that the people on call read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A service went down.
    Opened,
    /// It went down again before its restoration was confirmed.
    Reopened,
    /// A rule of a graver level came to hold.
    Escalated(Level),
    /// Somebody did something about it.
    Acted(Action),
    /// A clock's limit passed.
    Breached(ClockName),
    /// Much of a clock's limit has passed.
    Warned(ClockName),
    /// The last outage ended.
    Restored,
    /// The restoration was confirmed.
    Verified,
    /// A late or repeated fact changed what was known.
    Corrected,
    /// It proved to be part of another incident.
    Merged,
    /// The catalogue, the targets or the rules changed.
    PolicyChanged,
    /// An error budget is at risk, spent, spent too fast, or no longer so.
    Budget,
    /// A source that is expected to speak fell silent, spoke again, or proves to have been heard longer.
    Silence,
    /// A measurement, or too large a share of the samples of latency, went beyond its limit or came back.
    Measured,
}

impl Reason {
    /// The reason as one word, for labels.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Reopened => "reopened",
            Self::Escalated(_) => "escalated",
            Self::Acted(action) => action.name(),
            Self::Breached(_) => "breached",
            Self::Warned(_) => "warned",
            Self::Restored => "restored",
            Self::Verified => "verified",
            Self::Corrected => "corrected",
            Self::Merged => "merged",
            Self::PolicyChanged => "policy_changed",
            Self::Budget => "budget",
            Self::Silence => "silence",
            Self::Measured => "measured",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Escalated(level) => write!(f, "escalated to the {} level", level.name()),
            Self::Breached(clock) => write!(f, "the {clock} limit passed"),
            Self::Warned(clock) => write!(f, "the {clock} limit will pass before long"),
            other => f.write_str(other.name()),
        }
    }
}
