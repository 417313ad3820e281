//! The one table of all deadlines. Every entry has a name, so "why did you wake me" has an answer.
//! A healthy service has no entry.

use std::collections::{BTreeMap, BTreeSet};

use borsh::{BorshDeserialize, BorshSerialize};

use crate::model::time::Instant;

/// Why the engine wants to be woken for a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub enum Timer {
    /// A mark that lies ahead of now takes effect.
    Mark,
    /// A rule of a graver level comes to hold.
    Level,
    /// The response limit passes.
    Response,
    /// The repair limit passes.
    Repair,
    /// It has been quiet for long enough to confirm the restoration.
    Quiet,
}

impl Timer {
    /// Every timer.
    pub const ALL: [Self; 5] = [Self::Mark, Self::Level, Self::Response, Self::Repair, Self::Quiet];

    /// The timer's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mark => "mark",
            Self::Level => "level",
            Self::Response => "response",
            Self::Repair => "repair",
            Self::Quiet => "quiet",
        }
    }
}

/// Deadlines by service and name, and in the order in which they are due.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Timers {
    armed: BTreeMap<(u32, Timer), Instant>,
    due: BTreeSet<(Instant, u32, Timer)>,
}

impl Timers {
    /// Arms, moves or (with `None`) stops a timer.
    pub(super) fn set(&mut self, service: u32, timer: Timer, deadline: Option<Instant>) {
        let before = match deadline {
            Some(deadline) => self.armed.insert((service, timer), deadline),
            None => self.armed.remove(&(service, timer)),
        };
        if before == deadline {
            return;
        }
        if let Some(before) = before {
            self.due.remove(&(before, service, timer));
        }
        if let Some(deadline) = deadline {
            self.due.insert((deadline, service, timer));
        }
    }

    /// The earliest deadline.
    pub(super) fn first(&self) -> Option<(Instant, u32, Timer)> {
        self.due.first().copied()
    }
}
