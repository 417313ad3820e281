//! Sums: what changes about a service changes the sums of its groups. The engine of a whole network changes them at once;
//! that of a partition tells of it, as the groups are nobody's partition.

use std::borrow::Cow;

use super::Engine;
use super::groups::{Group, Share};
use super::history::Brief;
use super::incidents::Acknowledged;
use super::partitions::Part;
use super::registry::Registry;
use super::sharing::Shared;
use super::timeline::{Stand, Step};
use crate::model::time::Instant;

/// What changes about a service.
#[derive(Clone, Debug)]
pub(super) enum Change<'a> {
    /// It is a member from now on.
    Joined(Share),
    /// How it stood: before the first step, and by the steps that were known `before` and are known `after`; and
    /// outages that are known (1), or not any more (−1).
    Stood {
        share: Share,
        stood: Stand,
        before: Cow<'a, [Step]>,
        after: Cow<'a, [Step]>,
        outages: Cow<'a, [(Brief, i64)]>,
    },
    /// The first acknowledgement of an incident that began with it.
    Acknowledged { share: Share, was: Option<Acknowledged>, is: Option<Acknowledged> },
    /// The error budgets of its groups are to be looked at.
    Moved,
}

/// The sums of all groups, or the way to them.
pub(super) struct Sums<'a> {
    pub(super) registry: &'a Registry,
    pub(super) groups: &'a mut Vec<Shared<Group>>,
    pub(super) part: &'a mut Option<Part>,
    pub(super) now: Instant,
}

impl Sums<'_> {
    /// Takes in what changed about a service.
    pub(super) fn change(&mut self, place: u32, change: Change<'_>) {
        if let Some(part) = self.part {
            part.tell(self.now, place, change);
            return;
        }
        for group in self.registry.groups_of(place) {
            self.groups[group as usize].take(&change, self.now);
        }
    }
}

impl Group {
    fn take(&mut self, change: &Change<'_>, now: Instant) {
        match change {
            Change::Joined(share) => self.join(share),
            Change::Stood { share, stood, before, after, outages } => {
                self.stood(share, (*stood, before), -1, now);
                self.stood(share, (*stood, after), 1, now);
                for &(outage, sign) in &**outages {
                    self.outage(share, outage, sign);
                }
            }
            Change::Acknowledged { share, was, is } => {
                was.iter().for_each(|&was| self.acknowledgement(share, was, -1));
                is.iter().for_each(|&is| self.acknowledgement(share, is, 1));
            }
            Change::Moved => {}
        }
    }
}

impl Change<'_> {
    /// The same, to be kept.
    pub(super) fn into_owned(self) -> Change<'static> {
        match self {
            Self::Joined(share) => Change::Joined(share),
            Self::Stood { share, stood, before, after, outages } => Change::Stood {
                share,
                stood,
                before: before.into_owned().into(),
                after: after.into_owned().into(),
                outages: outages.into_owned().into(),
            },
            Self::Acknowledged { share, was, is } => Change::Acknowledged { share, was, is },
            Self::Moved => Change::Moved,
        }
    }
}

impl Engine {
    pub(super) fn sums(&mut self) -> Sums<'_> {
        let Self { registry, state, part, .. } = self;
        Sums { registry, groups: &mut state.groups, part, now: state.now }
    }
}
