//! The one table of all deadlines. Every entry has a name, so "why did you wake me" has an answer.
//! A healthy service has no entry.

use borsh::{BorshDeserialize, BorshSerialize};

use super::sharing::Map;
use crate::model::time::Instant;

/// Why the engine wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub enum Timer {
    /// Targets come into force.
    Policy,
    /// A feed has been silent for too long.
    Silence,
    /// A mark that lies ahead of now takes effect, or a planned outage overruns its maintenance.
    Mark,
    /// A rule of a graver level comes to hold.
    Level,
    /// The limit of a clock passes, or much of it, or a maintenance is over that an alert tells of.
    Clock,
    /// It has been quiet for long enough to confirm the restoration.
    Quiet,
    /// What happened at an instant is complete.
    Look,
    /// An error budget comes to be at risk, spent, spent too fast, or no longer so.
    Budget,
    /// Too few samples come to be within the limit, or no longer so.
    Latency,
}

/// Whose deadline it is. At one instant policies come first, then feeds, services, incidents,
/// groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub(super) enum Owner {
    Policy,
    Feed(u32),
    Service(u32),
    /// An incident, by its cluster.
    Incident(u32),
    Group(u32),
}

impl Timer {
    /// The timers of an incident.
    pub(super) const INCIDENT: [Self; 3] = [Self::Level, Self::Clock, Self::Quiet];

    /// The timer's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Silence => "silence",
            Self::Mark => "mark",
            Self::Level => "level",
            Self::Clock => "clock",
            Self::Quiet => "quiet",
            Self::Look => "look",
            Self::Budget => "budget",
            Self::Latency => "latency",
        }
    }
}

/// Deadlines by owner and name, and in the order in which they are due.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Timers {
    pub(super) armed: Map<(Owner, Timer), Instant>,
    due: Map<(Instant, Owner, Timer), ()>,
}

impl Timers {
    /// Arms, moves or (with `None`) stops a timer.
    pub(super) fn set(&mut self, owner: Owner, timer: Timer, deadline: Option<Instant>) {
        let before = match deadline {
            Some(deadline) => self.armed.insert((owner, timer), deadline),
            None => self.armed.remove(&(owner, timer)),
        };
        if before == deadline {
            return;
        }
        if let Some(before) = before {
            self.due.remove(&(before, owner, timer));
        }
        if let Some(deadline) = deadline {
            self.due.insert((deadline, owner, timer), ());
        }
    }

    /// The earliest deadline.
    pub(super) fn first(&self) -> Option<(Instant, Owner, Timer)> {
        self.due.get_min().map(|&(due, ())| due)
    }
}
