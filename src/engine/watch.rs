//! A bound on how soon a group's budget can come to matter, so that most outages of most services need no look at it.
//!
//! What a group has lost in any window grows no faster than its users that are down now lose time, whatever leaves the
//! window at its trailing edge. From the last exact look on that is a straight line, kept up with each outage that
//! begins or ends; until it meets what is left, no condition can come to hold.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::model::time::{Instant, Span};

/// The shortest window that is watched: what ends counts for the bound for no longer.
const SHORTEST: Span = Span::from_hours(1);

/// The line, as of the last exact look.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Watch {
    since: Instant,
    /// What may still be lost before the budget is spent, in weight times microseconds, and how long before that it
    /// matters.
    left: i128,
    ahead: Span,
    /// What may still be lost before it is spent too fast.
    left_fast: i128,
    /// The weight that is down.
    down: i128,
    /// The sum of each change of that times its instant.
    down_at: i128,
    /// Something ended since: the line holds for the shortest window only.
    ended: bool,
}

impl Watch {
    pub(super) fn new(since: Instant, (left, ahead): (i128, Span), left_fast: i128, down: i128) -> Self {
        let down_at = down * i128::from(since.as_micros());
        Self { since, left, ahead, left_fast, down, down_at, ended: false }
    }

    /// From when on it holds.
    pub(super) const fn since(&self) -> Instant {
        self.since
    }

    /// Takes in that so much more (or less) is down from `at` on.
    pub(super) fn change(&mut self, weight: i128, at: Instant) {
        if weight < 0 {
            if at < self.since {
                // It may lie before a window, where it counts for less than it seems.
                return;
            }
            self.ended = true;
        }
        self.down += weight;
        self.down_at += weight * i128::from(at.as_micros());
    }

    /// The first instant at which a condition may hold; `None` when nothing is lost.
    pub(super) fn due(&self) -> Option<Instant> {
        let met = |left: i128| {
            let micros = (left + self.down_at).checked_div_euclid(self.down)?;
            Some(Instant::from_micros(i64::try_from(micros).unwrap_or(i64::MAX)))
        };
        let spent = met(self.left).map(|at| at.minus(self.ahead));
        let holds_until = self.ended.then(|| self.since.plus(SHORTEST));
        spent.into_iter().chain(met(self.left_fast)).chain(holds_until).min()
    }
}
