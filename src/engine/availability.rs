//! The union of outages, and how much of it lies in a window.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::model::time::{Instant, Span};

/// A stretch of time, `[start, end)`; without an end it is still going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Stretch {
    pub(super) start: Instant,
    pub(super) end: Option<Instant>,
}

impl Stretch {
    /// The end, or later than anything.
    pub(super) fn end_or_max(&self) -> Instant {
        self.end.unwrap_or(Instant::MAX)
    }
}

/// A union of stretches: sorted, apart from one another.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Union(Vec<Stretch>);

impl Union {
    /// Builds the part at and after `from` again, from everything that begins there or is still going on then.
    /// `stretches` yields, sorted by start, all that begin at or after the instant it is given.
    pub(super) fn rebuild<I: Iterator<Item = Stretch>>(
        &mut self,
        from: Instant,
        stretches: impl FnOnce(Instant) -> I,
    ) {
        // What ended before `from` cannot touch anything that begins at or after it.
        let kept = self.0.partition_point(|s| s.end.is_some_and(|end| end < from));
        let resume = self.0.get(kept).map_or(from, |s| s.start.min(from));
        self.0.truncate(kept);
        for next in stretches(resume) {
            match self.0.last_mut() {
                Some(last) if next.start <= last.end_or_max() => {
                    last.end = match (last.end, next.end) {
                        (Some(a), Some(b)) => Some(a.max(b)),
                        _ => None,
                    };
                }
                _ => self.0.push(next),
            }
        }
    }

    /// The stretches, sorted.
    pub(super) fn stretches(&self) -> &[Stretch] {
        &self.0
    }

    /// How much of `[from, until)` is covered. What is still going on runs to `until`.
    pub(super) fn within(&self, from: Instant, until: Instant) -> Span {
        let first = self.0.partition_point(|s| s.end_or_max() <= from);
        let mut covered = Span::ZERO;
        for stretch in self.0[first..].iter().take_while(|s| s.start < until) {
            covered = covered.plus(stretch.end_or_max().min(until).since(stretch.start.max(from)));
        }
        covered
    }

    /// Whether `at` is covered.
    pub(super) fn covers(&self, at: Instant) -> bool {
        let after = self.0.partition_point(|s| s.start <= at);
        after > 0 && self.0[after - 1].end_or_max() > at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    fn union(list: &[(i64, Option<i64>)]) -> Union {
        let mut union = Union::default();
        let list: Vec<Stretch> = list.iter().map(|&(s, e)| Stretch { start: at(s), end: e.map(at) }).collect();
        union.rebuild(Instant::MIN, |_| list.into_iter());
        union
    }

    #[test]
    fn overlaps_count_once() {
        let down = union(&[(0, Some(10)), (5, Some(20)), (20, Some(30)), (40, Some(40)), (50, None)]);
        assert_eq!(down.stretches().len(), 3);
        assert_eq!(down.within(at(0), at(60)), Span::from_secs(40));
        assert_eq!(down.within(at(25), at(55)), Span::from_secs(10));
        assert!(!down.covers(at(30)) && down.covers(at(29)) && down.covers(at(1000)));
    }
}
