//! Sums over time: what changed when, in order, with the sums of everything before, so that the integral of a step
//! function over any window, or the count of what lies in it, is two searches however much lies between.

use borsh::{BorshDeserialize, BorshSerialize};

use super::packed::Packed;
use super::sharing::Shared;
use crate::model::time::{Instant, Span};

/// Points of one block: enough that a late one moves little, few enough that summing them costs little.
const BLOCK_MAX: usize = 128;

/// Two amounts that are kept together: of a step function by users and by services, of repairs their count and length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Pair {
    pub(super) a: i64,
    pub(super) b: i64,
}

impl Pair {
    pub(super) const fn new(a: i64, b: i64) -> Self {
        Self { a, b }
    }

    pub(super) const fn times(self, sign: i64) -> Self {
        Self { a: self.a * sign, b: self.b * sign }
    }

    /// The sum of both, if that is a pair.
    fn plus(self, other: Self) -> Option<Self> {
        Some(Self { a: self.a.checked_add(other.a)?, b: self.b.checked_add(other.b)? })
    }

    /// As much of two sums as a pair holds.
    fn of((a, b): (i128, i128)) -> Self {
        let max = i128::from(i64::MAX);
        let part = |sum: i128| i64::try_from(sum.clamp(-max, max)).unwrap_or(0);
        Self { a: part(a), b: part(b) }
    }
}

/// Sums of points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Sums {
    pub(super) a: i128,
    pub(super) b: i128,
    /// Each point's amount times its instant.
    a_at: i128,
    b_at: i128,
}

impl Sums {
    fn add(&mut self, at: Instant, pair: Pair) {
        let (a, b, at) = (i128::from(pair.a), i128::from(pair.b), i128::from(at.as_micros()));
        self.a += a;
        self.b += b;
        self.a_at += a * at;
        self.b_at += b * at;
    }

    fn plus(self, other: Self) -> Self {
        Self {
            a: self.a + other.a,
            b: self.b + other.b,
            a_at: self.a_at + other.a_at,
            b_at: self.b_at + other.b_at,
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            a: self.a - other.a,
            b: self.b - other.b,
            a_at: self.a_at - other.a_at,
            b_at: self.b_at - other.b_at,
        }
    }

    /// The integral up to `until` of the step function whose changes these are: by `a`, and by `b`.
    fn integral(self, until: Instant) -> (i128, i128) {
        let until = i128::from(until.as_micros());
        (self.a * until - self.a_at, self.b * until - self.b_at)
    }
}

/// Amounts by instant.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Points {
    blocks: Shared<Vec<Block>>,
}

#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
struct Block {
    /// The instant of the first of its points.
    first: Instant,
    points: Shared<Packed>,
    /// The sums of all blocks before.
    before: Sums,
}

impl Points {
    /// Adds an amount at an instant. What comes to nothing is gone.
    pub(super) fn add(&mut self, at: Instant, pair: Pair) {
        if pair == Pair::default() {
            return;
        }
        let blocks: &mut Vec<Block> = &mut self.blocks;
        let after = blocks.partition_point(|block| block.first <= at);
        let place = after.saturating_sub(1);
        if blocks.is_empty() {
            blocks.push(Block::default());
        }
        for block in &mut blocks[place + 1..] {
            block.before.add(at, pair);
        }
        let block = &mut blocks[place];
        let points: &mut Packed = &mut block.points;
        let inside = points.before(at);
        let known = points.get(inside).filter(|&(known, _)| known == at);
        // What is too much for one point of an instant is two.
        let sum = known.and_then(|(_, amount)| amount.plus(pair));
        if sum.is_some() {
            points.remove(inside);
        }
        let sum = sum.unwrap_or(pair);
        if sum != Pair::default() {
            points.insert(inside, (at, sum));
        }
        let count = points.len();
        match points.first() {
            Some(first) => block.first = first,
            None => _ = blocks.remove(place),
        }
        if count > BLOCK_MAX {
            self.split(place);
        }
    }

    fn split(&mut self, place: usize) {
        let last = place + 1 == self.blocks.len();
        let block = &mut self.blocks[place];
        // Points mostly come at the end: there the block stays nearly full, so that little room is lost.
        let half = if last { BLOCK_MAX - BLOCK_MAX / 8 } else { BLOCK_MAX / 2 };
        let points = block.points.split_off(half);
        let mut before = block.before;
        for (at, pair) in block.points.iter() {
            before.add(at, pair);
        }
        let first = points.first().unwrap_or(block.first);
        self.blocks.insert(place + 1, Block { first, points: Shared::new(points), before });
    }

    /// Lets go of everything before `at`. Returns what it came to.
    pub(super) fn forget(&mut self, at: Instant) -> Sums {
        let gone = self.before(at);
        let begun = self.blocks.partition_point(|block| block.first < at);
        let Some(last) = begun.checked_sub(1) else { return gone };
        self.blocks.drain(..last);
        let block = &mut self.blocks[0];
        block.points = Shared::new(block.points.iter().skip(block.points.before(at)).collect());
        match block.points.first() {
            Some(first) => block.first = first,
            None => _ = self.blocks.remove(0),
        }
        for (place, block) in self.blocks.iter_mut().enumerate() {
            block.before = if place == 0 { Sums::default() } else { block.before.minus(gone) };
        }
        gone
    }

    /// Lets go of the changes before `at` of a step function, but for its height at `at`.
    pub(super) fn flatten(&mut self, at: Instant) {
        let Sums { mut a, mut b, .. } = self.forget(at);
        while (a, b) != (0, 0) {
            let part = Pair::of((a, b));
            self.add(at, part);
            (a, b) = (a - i128::from(part.a), b - i128::from(part.b));
        }
    }

    /// The first instant of all.
    pub(super) fn first(&self) -> Option<Instant> {
        self.blocks.first().map(|block| block.first)
    }

    /// The sums of everything before `at`.
    pub(super) fn before(&self, at: Instant) -> Sums {
        let after = self.blocks.partition_point(|block| block.first < at);
        let Some(block) = after.checked_sub(1).and_then(|place| self.blocks.get(place)) else {
            return Sums::default();
        };
        let mut sums = Sums::default();
        for (known, pair) in block.points.iter().take_while(|&(known, _)| known < at) {
            sums.add(known, pair);
        }
        block.before.plus(sums)
    }

    /// The integral of that step function over all time before `until`.
    pub(super) fn total(&self, until: Instant) -> (i128, i128) {
        if self.blocks.is_empty() { (0, 0) } else { self.before(until).integral(until) }
    }

    /// The integral over `[from, until)` of the step function whose changes these are.
    pub(super) fn integral(&self, from: Instant, until: Instant) -> (i128, i128) {
        let ((a_until, b_until), (a_from, b_from)) = (self.total(until), self.total(from));
        (a_until - a_from, b_until - b_from)
    }

    /// The height of that step function at `at`.
    pub(super) fn height(&self, at: Instant) -> (i128, i128) {
        if self.blocks.is_empty() {
            return (0, 0);
        }
        let sums = self.before(at.plus(Span::TICK));
        (sums.a, sums.b)
    }

    /// The sums of what lies in `[from, until)`.
    pub(super) fn sum(&self, from: Instant, until: Instant) -> (i128, i128) {
        if self.blocks.is_empty() {
            return (0, 0);
        }
        let (first, last) = (self.before(from), self.before(until));
        (last.a - first.a, last.b - first.b)
    }

    /// The first instant after `at` at which something changes.
    pub(super) fn next_after(&self, at: Instant) -> Option<Instant> {
        let after = self.blocks.partition_point(|block| block.first <= at);
        let inside = after.checked_sub(1).and_then(|place| {
            let points = &self.blocks[place].points;
            points.get(points.before(at.plus(Span::TICK)))
        });
        inside.map(|(known, _)| known).or_else(|| self.blocks.get(after).map(|block| block.first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Instant {
        Instant::from_micros(seconds)
    }

    #[test]
    fn it_equals_the_plain_sum_over_all_points() {
        let mut chance = 7_u64;
        let mut next = |below: u64| {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from((chance >> 33) % below).unwrap()
        };
        let mut points = Points::default();
        let mut plain: Vec<(i64, i64, i64)> = Vec::new();
        for round in 0..4000 {
            let point = if round % 3 == 2 && !plain.is_empty() {
                // Taken back: what was added must be gone.
                let gone = plain.swap_remove(usize::try_from(next(plain.len() as u64)).unwrap());
                (gone.0, -gone.1, -gone.2)
            } else {
                let point = (next(3000), next(9) - 4, next(5));
                plain.push(point);
                point
            };
            points.add(at(point.0), Pair::new(point.1, point.2));
            if round % 97 != 0 {
                continue;
            }
            let (from, until) = (next(3200), next(3200));
            let (from, until) = (from.min(until), from.max(until));
            let inside = |t: i64| from <= t && t < until;
            let sum: i128 = plain.iter().filter(|p| inside(p.0)).map(|p| i128::from(p.1)).sum();
            assert_eq!(points.sum(at(from), at(until)).0, sum);
            let area = |t: i64| i128::from((until - t).max(0) - (from - t).max(0));
            let integral: i128 = plain.iter().map(|p| i128::from(p.2) * area(p.0)).sum();
            assert_eq!(points.integral(at(from), at(until)).1, integral);
            let height: i128 = plain.iter().filter(|p| p.0 <= from).map(|p| i128::from(p.1)).sum();
            assert_eq!(points.height(at(from)).0, height);
        }
        for (t, a, b) in plain {
            points.add(at(t), Pair::new(-a, -b));
        }
        assert!(points.blocks.is_empty());
    }

    #[test]
    fn what_is_forgotten_leaves_the_rest_as_it_was() {
        let mut plain = Points::default();
        for n in 0..1000 {
            plain.add(at(n * 2), Pair::new(n % 7 - 3, 1));
        }
        for cut in [0, 1, 2, 130, 131, 777, 1500, 1998, 1999, 3000] {
            let (mut counts, mut steps) = (plain.clone(), plain.clone());
            let gone = counts.forget(at(cut));
            steps.flatten(at(cut));
            assert_eq!(gone.b, plain.sum(at(-1), at(cut)).1, "before {cut}");
            for (from, until) in [(cut, cut + 1), (cut, cut + 300), (cut + 5, 2500), (cut + 400, cut + 401)] {
                let (from, until) = (at(from), at(until.max(from)));
                assert_eq!(counts.sum(from, until), plain.sum(from, until), "before {cut}");
                assert_eq!(steps.integral(from, until), plain.integral(from, until), "before {cut}");
                assert_eq!(steps.height(from), plain.height(from), "before {cut}");
            }
            assert!(counts.first().is_none_or(|first| first >= at(cut)));
            // What comes later, before it as well, is added to the rest.
            steps.add(at(cut - 10), Pair::new(5, 0));
            assert_eq!(steps.height(at(3000)).0, plain.height(at(3000)).0 + 5, "before {cut}");
        }
    }

    #[test]
    fn more_than_one_point_holds_is_summed_as_well() {
        let (most, plain) = (i64::MAX - 1, i128::from(i64::MAX - 1));
        let mut points = Points::default();
        for _ in 0..3 {
            points.add(at(10), Pair::new(most, 1));
            points.add(at(20), Pair::new(-most, -1));
        }
        assert_eq!(points.height(at(10)), (3 * plain, 3));
        assert_eq!(points.integral(at(0), at(15)), (15 * plain, 15));
        assert_eq!(points.height(at(20)), (0, 0));
        let mut rest = points.clone();
        rest.flatten(at(15));
        assert_eq!(rest.height(at(15)), (3 * plain, 3));
        assert_eq!(rest.integral(at(15), at(30)), (15 * plain, 15));
        for _ in 0..3 {
            points.add(at(10), Pair::new(-most, -1));
        }
        assert_eq!(points.height(at(15)), (0, 0));
        assert_eq!(points.height(at(20)), (-3 * plain, -3));
    }

    #[test]
    fn the_next_change_is_found() {
        let mut points = Points::default();
        for n in 0..1000 {
            points.add(at(n * 2), Pair::new(1, 0));
        }
        assert_eq!(points.next_after(at(-5)), Some(at(0)));
        assert_eq!(points.next_after(at(500)), Some(at(502)));
        assert_eq!(points.next_after(at(501)), Some(at(502)));
        assert_eq!(points.next_after(at(1998)), None);
        assert_eq!(points.next_after(at(1998).minus(Span::from_micros(1))), Some(at(1998)));
    }
}
