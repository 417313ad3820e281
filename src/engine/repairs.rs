//! Repairs: the outages that ended, by their end, for MTTR and its quantiles.

use borsh::{BorshDeserialize, BorshSerialize};

use super::room::tighten;
use crate::model::time::{Instant, Span};

/// Outages that ended, sorted by end, then start.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Repairs(Vec<Repair>);

/// When an outage ended, and how long it had lasted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
struct Repair {
    end: Instant,
    length: Span,
}

impl Repairs {
    pub(super) fn add(&mut self, start: Instant, end: Instant) {
        let repair = Repair { end, length: end.since(start) };
        let place = self.0.partition_point(|known| *known < repair);
        self.0.insert(place, repair);
    }

    /// Gives back room that nothing needs now.
    pub(super) fn tighten(&mut self) {
        tighten(&mut self.0);
    }

    /// Removes those that began at or after `cut`; none that is older ends after it.
    pub(super) fn truncate(&mut self, cut: Instant) {
        let first = self.0.partition_point(|repair| repair.end < cut);
        let mut rest = self.0.split_off(first);
        rest.retain(|repair| repair.end.minus(repair.length) < cut);
        self.0.append(&mut rest);
    }

    /// The ends and lengths of those that ended before `until`.
    pub(super) fn ended_before(&self, until: Instant) -> impl Iterator<Item = (Instant, Span)> {
        let last = self.0.partition_point(|repair| repair.end < until);
        self.0[..last].iter().map(|repair| (repair.end, repair.length))
    }

    /// The lengths of the repairs whose end lies in `(from, until]`, shortest first.
    pub(super) fn lengths(&self, from: Instant, until: Instant) -> Vec<Span> {
        let first = self.0.partition_point(|repair| repair.end <= from);
        let last = self.0.partition_point(|repair| repair.end <= until);
        let mut lengths: Vec<Span> = self.0[first..last.max(first)].iter().map(|repair| repair.length).collect();
        lengths.sort_unstable();
        lengths
    }
}

/// The place of the smallest of `count` sorted values that at least `percent` of them do not exceed (nearest rank).
pub(super) fn rank(count: usize, percent: usize) -> usize {
    (count * percent).div_ceil(100).max(1) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_actual_repairs() {
        assert_eq!((rank(20, 50), rank(20, 95), rank(1, 95), rank(3, 50)), (9, 18, 0, 1));
    }
}
