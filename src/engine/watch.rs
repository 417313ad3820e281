//! A bound on how soon a group's budget can come to matter, so that most outages of most services need no look at it.
//!
//! What a group has lost in any window grows no faster than its users that are down now lose time, whatever leaves the
//! window at its trailing edge. From the last exact look on that is a straight line, kept up with each outage that
//! begins or ends; until it meets what is left, no condition can come to hold.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::model::time::{Instant, Span};

/// The shortest window that is watched: what ends counts for the bound for no longer.
const SHORTEST: Span = Span::from_hours(1);

/// The line, as of the last look.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Watch {
    since: Instant,
    /// What may still be lost before the budget is spent, in weight times microseconds, and how long before that it
    /// matters. Absent when it is spent.
    left: Option<(i128, Span)>,
    /// What may still be lost before it is spent too fast, unless it is.
    left_fast: Option<i128>,
    /// The weight that is down.
    down: i128,
    /// The sum of each change of that times its instant.
    down_at: i128,
    /// The line holds no longer: from here on something that was known already, but lay ahead, may have its part; or
    /// something ended, for which it holds for the shortest window only.
    until: Option<Instant>,
    /// Something fires, and ends sooner when less was lost than was known.
    fires: bool,
    /// Something is so near that every change needs a look.
    near: bool,
}

impl Watch {
    pub(super) fn new(since: Instant, down: i128) -> Self {
        let down_at = down * i128::from(since.as_micros());
        Self { since, left: None, left_fast: None, down, down_at, until: None, fires: false, near: false }
    }

    /// The budget is spent when so much more is lost; it is at risk so long before.
    pub(super) fn spent_after(&mut self, left: i128, ahead: Span) {
        self.left = Some((left, ahead));
    }

    /// It may be spent too fast when so much more is lost.
    pub(super) fn fast_after(&mut self, left: i128) {
        self.left_fast = Some(self.left_fast.map_or(left, |known| known.min(left)));
    }

    /// Something fires.
    pub(super) fn fires(&mut self, fires: bool) {
        self.fires |= fires;
    }

    /// From that instant on it does not hold.
    pub(super) fn ends(&mut self, at: Instant) {
        self.until = Some(self.until.map_or(at, |until| until.min(at)));
    }

    /// Every change needs a look from now on.
    pub(super) fn comes_near(&mut self) {
        self.near = true;
    }

    /// From when on it holds.
    pub(super) const fn since(&self) -> Instant {
        self.since
    }

    /// Takes in that so much more (or less) is down from `at` on, as is known at `now`.
    pub(super) fn change(&mut self, weight: i128, at: Instant, now: Instant) {
        // Until what lies ahead begins, a straight line from there would allow for less than nothing.
        let at = if weight > 0 { at.min(now) } else { at };
        if weight < 0 {
            if at < self.since {
                // It may lie before a window, where it counts for less than it seems.
                self.near |= self.fires;
                return;
            }
            self.ends(self.since.plus(SHORTEST));
        }
        self.down += weight;
        self.down_at += weight * i128::from(at.as_micros());
    }

    /// The first instant at which a look is needed; `None` when nothing is lost.
    pub(super) fn due(&self) -> Option<Instant> {
        if self.near {
            return Some(self.since);
        }
        let met = |left: i128| {
            let micros = (left + self.down_at).checked_div_euclid(self.down)?;
            Some(Instant::from_micros(i64::try_from(micros).unwrap_or(i64::MAX)))
        };
        let spent = self.left.and_then(|(left, ahead)| Some(met(left)?.minus(ahead)));
        let fast = self.left_fast.and_then(met);
        spent.into_iter().chain(fast).chain(self.until).min()
    }
}
