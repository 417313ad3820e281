//! Counts of what happened since the journal began: they only grow, as counters must.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::model::event::Cause;
use crate::model::level::Level;
use crate::model::procedure::ClockName;

/// What happened so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Counts {
    /// Incidents whose restoration was confirmed, by the level and cause that they had then.
    pub incidents: BTreeMap<(Level, Cause), u64>,
    /// Clocks whose limit passed.
    pub breaches: BTreeMap<ClockName, u64>,
}

impl Counts {
    pub(super) fn closed(&mut self, level: Level, cause: Cause) {
        *self.incidents.entry((level, cause)).or_default() += 1;
    }

    /// Adds what happened in another part of the network.
    pub(super) fn add(&mut self, other: Self) {
        for (what, count) in other.incidents {
            *self.incidents.entry(what).or_default() += count;
        }
        for (clock, count) in other.breaches {
            *self.breaches.entry(clock).or_default() += count;
        }
    }

    pub(super) fn breached(&mut self, clock: &ClockName) {
        *self.breaches.entry(clock.clone()).or_default() += 1;
    }
}
