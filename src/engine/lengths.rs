//! The lengths of many repairs, for their quantiles over any window.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};

use super::repairs::rank;
use crate::model::time::{Instant, Span};

/// Repairs by length in coarse classes, each sorted by end, so that a quantile over any window is exact and looks at
/// the repairs of one class only.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct LengthTable(BTreeMap<u16, Vec<(Instant, Span)>>);

impl LengthTable {
    /// Adds a repair, or with `sign` −1 takes it away.
    pub(super) fn change(&mut self, end: Instant, length: Span, sign: i64) {
        let class = class_of(length);
        let list = self.0.entry(class).or_default();
        let place = list.partition_point(|known| *known < (end, length));
        if sign > 0 {
            list.insert(place, (end, length));
        } else if list.get(place) == Some(&(end, length)) {
            list.remove(place);
            if list.is_empty() {
                self.0.remove(&class);
            }
        }
    }

    /// The median, the 95th percentile and the greatest of the lengths whose end lies in `(from, until]`.
    pub(super) fn quantiles(&self, from: Instant, until: Instant) -> Option<(Span, Span, Span)> {
        let within = |list: &[(Instant, Span)]| {
            let first = list.partition_point(|&(end, _)| end <= from);
            let last = list.partition_point(|&(end, _)| end <= until);
            (first, last.max(first))
        };
        let classes: Vec<(&[(Instant, Span)], usize)> = self
            .0
            .values()
            .map(|list| {
                let (first, last) = within(list);
                (&list[first..last], last - first)
            })
            .filter(|&(_, count)| count > 0)
            .collect();
        let count: usize = classes.iter().map(|&(_, count)| count).sum();
        let at_rank = |mut rank: usize| {
            let &(list, _) = classes.iter().find(|&&(_, count)| {
                let here = rank < count;
                if !here {
                    rank -= count;
                }
                here
            })?;
            let mut lengths: Vec<Span> = list.iter().map(|&(_, length)| length).collect();
            Some(*lengths.select_nth_unstable(rank).1)
        };
        if count == 0 {
            return None;
        }
        Some((at_rank(rank(count, 50))?, at_rank(rank(count, 95))?, at_rank(count - 1)?))
    }
}

/// Classes eight to each doubling: an hour's has what took 54 to 60 minutes, or so.
fn class_of(length: Span) -> u16 {
    let micros = length.as_micros().max(1).unsigned_abs();
    let doubling = micros.ilog2();
    let eighth = if doubling >= 3 { (micros >> (doubling - 3)) & 7 } else { 0 };
    u16::try_from(u64::from(doubling) * 8 + eighth).unwrap_or(u16::MAX)
}
