//! Repairs: the outages that ended, by their end, for MTTR and its quantiles.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::model::time::{Instant, Span};

/// Ends of outages with the outages' lengths, sorted by end.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Repairs(Vec<(Instant, Span)>);

impl Repairs {
    pub(super) fn add(&mut self, start: Instant, end: Instant) {
        let repair = (end, end.since(start));
        let place = self.0.partition_point(|known| *known < repair);
        self.0.insert(place, repair);
    }

    pub(super) fn remove(&mut self, start: Instant, end: Instant) {
        if let Ok(place) = self.0.binary_search(&(end, end.since(start))) {
            self.0.remove(place);
        }
    }

    /// The lengths of the repairs whose end lies in `(from, until]`, shortest first.
    pub(super) fn lengths(&self, from: Instant, until: Instant) -> Vec<Span> {
        let first = self.0.partition_point(|&(end, _)| end <= from);
        let last = self.0.partition_point(|&(end, _)| end <= until);
        let mut lengths: Vec<Span> = self.0[first..last.max(first)].iter().map(|&(_, length)| length).collect();
        lengths.sort_unstable();
        lengths
    }
}

/// The smallest of the sorted `lengths` that at least `percent` of them do not exceed (nearest rank).
pub(super) fn quantile(lengths: &[Span], percent: usize) -> Option<Span> {
    let rank = (lengths.len() * percent).div_ceil(100).max(1);
    lengths.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_actual_repairs() {
        let lengths: Vec<Span> = (1..=20).map(Span::from_secs).collect();
        assert_eq!(quantile(&lengths, 50), Some(Span::from_secs(10)));
        assert_eq!(quantile(&lengths, 95), Some(Span::from_secs(19)));
        assert_eq!(quantile(&lengths[..1], 95), Some(Span::from_secs(1)));
        assert_eq!(quantile(&[], 50), None);
    }
}
