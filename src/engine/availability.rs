//! Unions of stretches of time: what overlaps counts once.

use borsh::{BorshDeserialize, BorshSerialize};

use super::room::tighten;
use crate::model::time::Instant;

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

    /// Gives back room that nothing needs now.
    pub(super) fn tighten(&mut self) {
        tighten(&mut self.0);
    }

    /// The stretches, sorted.
    pub(super) fn stretches(&self) -> &[Stretch] {
        &self.0
    }

    /// The union of sorted or unsorted stretches.
    pub(super) fn of(mut stretches: Vec<Stretch>) -> Self {
        stretches.sort_unstable_by_key(|stretch| stretch.start);
        let mut union = Self::default();
        union.rebuild(Instant::MIN, |_| stretches.into_iter());
        union
    }

    /// What lies in both.
    pub(super) fn intersection(&self, other: &Self) -> Self {
        let (mut one, mut two) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut both = Vec::new();
        while let (Some(&a), Some(&b)) = (one.peek(), two.peek()) {
            let (start, end) = (a.start.max(b.start), a.end_or_max().min(b.end_or_max()));
            if start <= end {
                both.push(Stretch { start, end: (end < Instant::MAX).then_some(end) });
            }
            if a.end_or_max() <= b.end_or_max() { _ = one.next() } else { _ = two.next() }
        }
        Self::of(both)
    }

    /// Lets go of what ended before `at`.
    pub(super) fn forget(&mut self, at: Instant) {
        let gone = self.0.partition_point(|stretch| stretch.end_or_max() < at);
        self.0.drain(..gone);
    }

    /// Adds a stretch.
    pub(super) fn insert(&mut self, stretch: Stretch) {
        // All that it touches becomes one.
        let first = self.0.partition_point(|known| known.end_or_max() < stretch.start);
        let last = self.0.partition_point(|known| known.start <= stretch.end_or_max());
        let touched = &self.0[first..last.max(first)];
        let start = touched.first().map_or(stretch.start, |known| known.start.min(stretch.start));
        let end = touched.last().map_or(stretch.end, |known| known.end.zip(stretch.end).map(|(a, b)| a.max(b)));
        self.0.splice(first..last.max(first), [Stretch { start, end }]);
    }
}

/// The stretch that covers `at`, of those sorted and apart from one another.
pub(super) fn covering(stretches: &[Stretch], at: Instant) -> Option<Stretch> {
    let after = stretches.partition_point(|stretch| stretch.start <= at);
    after.checked_sub(1).map(|place| stretches[place]).filter(|stretch| stretch.end_or_max() > at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn overlaps_count_once() {
        let list = [(50, None), (0, Some(10)), (5, Some(20)), (20, Some(30)), (40, Some(40))];
        let down = Union::of(list.iter().map(|&(s, e)| Stretch { start: at(s), end: e.map(at) }).collect());
        let found: Vec<_> = down.stretches().iter().map(|s| (s.start, s.end)).collect();
        assert_eq!(found, [(at(0), Some(at(30))), (at(40), Some(at(40))), (at(50), None)]);
        assert_eq!(covering(down.stretches(), at(30)), None);
        assert_eq!(covering(down.stretches(), at(29)).map(|s| s.start), Some(at(0)));
        assert_eq!(covering(down.stretches(), at(1000)).map(|s| s.start), Some(at(50)));
    }
}
