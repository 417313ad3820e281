//! Chance: the one source of randomness, seeded, and the few shapes of it that a network shows.

use crate::model::time::Span;

/// Seeded chance. What it gives follows from the seed and the order of the questions.
#[derive(Clone, Debug)]
pub(super) struct Chance(fastrand::Rng);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed))
    }

    /// True in `percent` of a hundred cases.
    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.0.u64(0..100) < percent
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn number(&mut self, low: u64, high: u64) -> u64 {
        self.0.u64(low..=high.max(low))
    }

    /// A number from `low` to `high` of which most are small and few are large.
    pub(super) fn skewed(&mut self, low: u64, high: u64) -> u64 {
        let thousandth = self.0.u64(0..=1000);
        low + (high.saturating_sub(low)) * thousandth.pow(3) / 1_000_000_000
    }

    /// A place in a list of `length`, the front of it more often than the back. 0 for an empty list.
    pub(super) fn front_heavy(&mut self, length: usize) -> usize {
        let last = length.saturating_sub(1);
        (0..3).map(|_| self.0.usize(0..=last)).min().unwrap_or(0)
    }

    /// A place in a list of `length`, each as likely. 0 for an empty list.
    pub(super) fn index(&mut self, length: usize) -> usize {
        self.0.usize(0..length.max(1))
    }

    /// One of the list. Lists here are constants, so that an empty one cannot be compiled.
    pub(super) fn pick<T: Copy, const N: usize>(&mut self, list: &[T; N]) -> T {
        const { assert!(N > 0, "nothing to pick from") };
        list[self.0.usize(0..N)]
    }

    /// Brings a list into random order.
    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        self.0.shuffle(list);
    }

    /// A span from `low` to `high`, each as likely.
    pub(super) fn span(&mut self, low: Span, high: Span) -> Span {
        let (low, high) = (low.as_secs_f64(), high.as_secs_f64());
        seconds(low + (high - low) * self.0.f64())
    }

    /// The wait for the next of many independent causes.
    pub(super) fn exponential(&mut self, mean: Span) -> Span {
        seconds(-(1.0 - self.0.f64()).ln() * mean.as_secs_f64())
    }

    /// How long people take: half of them less than `median`, a few very much longer. A `sigma` of 1 makes one in
    /// six take 2.7 times the median.
    pub(super) fn lognormal(&mut self, median: Span, sigma: f64) -> Span {
        // Twelve uniforms are as good as normal out to three deviations, and bounded at six: no repair takes for ever.
        let normal = (0..12).map(|_| self.0.f64()).sum::<f64>() - 6.0;
        seconds(median.as_secs_f64() * (sigma * normal).exp())
    }
}

/// Whole milliseconds, as alarms are stamped, and at least one, so that what follows comes after.
fn seconds(seconds: f64) -> Span {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "cutting off below a millisecond is meant, and `as` saturates"
    )]
    Span::from_millis(((seconds * 1000.0) as i64).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_what_they_are_called() {
        let mut chance = Chance::new(1);
        let mean = Span::from_mins(10);
        let waits: f64 = (0..20_000).map(|_| chance.exponential(mean).as_secs_f64()).sum::<f64>() / 20_000.0;
        assert!((570.0..630.0).contains(&waits), "{waits}");
        let shorter = (0..20_000).filter(|_| chance.lognormal(mean, 1.3) < mean).count();
        assert!((9_700..10_300).contains(&shorter), "{shorter}");
        let small = (0..20_000).filter(|_| chance.skewed(500, 20_000) < 5_000).count();
        assert!(small > 11_000, "{small}");
        let front = (0..20_000).filter(|_| chance.front_heavy(100) < 20).count();
        assert!(front > 9_000, "{front}");
        assert_eq!(chance.front_heavy(0), 0);
    }
}
