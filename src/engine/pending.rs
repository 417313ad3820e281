//! What happened at an instant that is not complete yet, and is looked at once it is.

use std::collections::{BTreeMap, BTreeSet};

use borsh::{BorshDeserialize, BorshSerialize};

use super::history::Reported;
use crate::model::time::Instant;

/// What happened at this instant and is not looked at yet.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Pending {
    /// Services, and from when on their downtime may have changed.
    pub(super) changed: BTreeMap<u32, Instant>,
    /// Reports that came, or were taken back.
    pub(super) reported: Vec<(u32, Reported, bool)>,
    /// Clusters of which a limit passed.
    pub(super) due: BTreeSet<u32>,
    /// Services whose error budget was spent otherwise.
    pub(super) spent: BTreeSet<u32>,
    /// Feeds that fell silent, or were heard in their silence.
    pub(super) feeds: BTreeSet<u32>,
    /// The policy changed: all that is live is looked at.
    pub(super) policy: bool,
}

impl Pending {
    /// Adds what another part of the network has, whose clusters are numbered anew.
    pub(super) fn add(&mut self, other: Self, renumber: impl Fn(u32) -> u32) {
        let Self { changed, reported, due, spent, feeds, policy } = other;
        self.changed.extend(changed);
        self.reported.extend(reported);
        self.due.extend(due.into_iter().map(renumber));
        self.spent.extend(spent);
        self.feeds.extend(feeds);
        self.policy |= policy;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changed.is_empty()
            && self.reported.is_empty()
            && self.due.is_empty()
            && self.spent.is_empty()
            && self.feeds.is_empty()
            && !self.policy
    }
}
