//! The lengths of many repairs, for their quantiles over any window.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};

use super::repairs::rank;
use super::sharing::Shared;
use crate::model::time::{Instant, Span};

/// Into how many steps a class is divided to find one of its lengths.
const STEPS: usize = 256;

/// Repairs by length in coarse classes, each sorted by end, so that a quantile over any window is exact and looks at
/// the repairs of one class only.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct LengthTable(BTreeMap<u16, Shared<Vec<(Instant, Span)>>>);

impl LengthTable {
    /// Adds a repair, or with `sign` −1 takes it away.
    pub(super) fn change(&mut self, end: Instant, length: Span, sign: i64) {
        let class = class_of(length);
        let list: &mut Vec<_> = self.0.entry(class).or_default();
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
        let classes = self.0.iter().map(|(&class, list)| {
            let (first, last) = within(list);
            (class, &list[first..last])
        });
        let classes: Vec<(u16, &[(Instant, Span)])> = classes.filter(|(_, list)| !list.is_empty()).collect();
        let count: usize = classes.iter().map(|(_, list)| list.len()).sum();
        let at_rank = |rank: usize| {
            let (place, rank) = locate(classes.iter().map(|(_, list)| list.len()), rank)?;
            let (class, list) = classes[place];
            nth(class, list, rank)
        };
        let longest = classes.last()?.1.iter().map(|&(_, length)| length).max()?;
        Some((at_rank(rank(count, 50))?, at_rank(rank(count, 95))?, longest))
    }
}

/// In which of those that so many are in the one of that rank is, and its rank there.
fn locate(counts: impl Iterator<Item = usize>, mut rank: usize) -> Option<(usize, usize)> {
    for (place, count) in counts.enumerate() {
        if rank < count {
            return Some((place, rank));
        }
        rank -= count;
    }
    None
}

/// The length of that rank among those of one class. They are counted by finer steps first, so that only the few of
/// one step have to be put in order.
fn nth(class: u16, list: &[(Instant, Span)], rank: usize) -> Option<Span> {
    let (doubling, eighth) = (class / 8, i64::from(class % 8));
    let (low, shift) = match doubling.checked_sub(3) {
        Some(scale) => ((8 + eighth) << scale, scale.saturating_sub(8)),
        None => (0, 0),
    };
    let step = |length: Span| usize::try_from((length.as_micros() - low) >> shift).unwrap_or(0).min(STEPS - 1);
    let mut counts = [0_usize; STEPS];
    for &(_, length) in list {
        counts[step(length)] += 1;
    }
    let (wanted, rank) = locate(counts.into_iter(), rank)?;
    let mut lengths: Vec<Span> =
        list.iter().map(|&(_, length)| length).filter(|&length| step(length) == wanted).collect();
    Some(*lengths.select_nth_unstable(rank).1)
}

/// Classes eight to each doubling: an hour's has what took 54 to 60 minutes, or so.
fn class_of(length: Span) -> u16 {
    let micros = length.as_micros().max(1).unsigned_abs();
    let doubling = micros.ilog2();
    let eighth = if doubling >= 3 { (micros >> (doubling - 3)) & 7 } else { 0 };
    u16::try_from(u64::from(doubling) * 8 + eighth).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_all_lengths_in_order() {
        let mut chance = 7_u64;
        let mut next = |below: u64| {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from((chance >> 20) % below).unwrap()
        };
        let (mut table, mut plain) = (LengthTable::default(), Vec::new());
        for n in 0..3000 {
            // From nothing to days, and some of them the same.
            let length = Span::from_micros(next(1 << (1 + n % 38)) / (1 + n % 3));
            let end = Instant::from_micros(next(1000));
            table.change(end, length, 1);
            plain.push((end, length));
        }
        for _ in 0..500 {
            let (gone_end, gone) = plain.swap_remove(usize::try_from(next(plain.len() as u64)).unwrap());
            table.change(gone_end, gone, -1);
        }
        for (from, until) in [(-1, 1000), (0, 10), (300, 800), (990, 999), (5, 5), (1000, 2000)] {
            let (from, until) = (Instant::from_micros(from), Instant::from_micros(until));
            let inside = plain.iter().filter(|&&(end, _)| from < end && end <= until);
            let mut lengths: Vec<Span> = inside.map(|&(_, length)| length).collect();
            lengths.sort_unstable();
            let at = |percent| lengths[rank(lengths.len(), percent)];
            let expected = (!lengths.is_empty()).then(|| (at(50), at(95), at(100)));
            assert_eq!(table.quantiles(from, until), expected, "{from} to {until}");
        }
    }
}
