//! Crossings: the exact instant at which a condition on rolling windows comes to hold, or ceases to.
//!
//! Between what is known to change, every length in a rolling window grows or shrinks in a straight line: at its
//! leading edge by how things stand now, at its trailing edge by how they stood a window ago. So conditions are solved
//! piece by piece, on whole microseconds, and nothing is polled.

use crate::model::figures::Lengths;
use crate::model::time::{Instant, Span};

/// Pieces looked at before it is left for later: a bound on the work of one event. What lies further ahead is looked
/// at when its time comes.
const PIECES_MAX: usize = 64;

/// Something with lengths over windows.
pub(super) trait Account {
    /// The lengths over `[from, until)`.
    fn lengths(&self, from: Instant, until: Instant) -> Lengths;
    /// By how much they grow in a microsecond at `at`.
    fn speed(&self, at: Instant) -> Lengths;
    /// The first instant after `at` at which that changes.
    fn next_after(&self, at: Instant) -> Option<Instant>;
}

/// A sum of lengths, each times a number, over a rolling window.
pub(super) struct Gauge<'a> {
    pub(super) window: Span,
    pub(super) of: &'a dyn Fn(&Lengths) -> i128,
}

/// When a condition changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// At this instant.
    At(Instant),
    /// Not before this instant: look again then.
    Look(Instant),
    /// Not unless something happens.
    Never,
}

impl Next {
    /// When to wake up for it.
    pub(super) const fn deadline(self) -> Option<Instant> {
        match self {
            Self::At(at) | Self::Look(at) => Some(at),
            Self::Never => None,
        }
    }
}

impl Gauge<'_> {
    /// Its value at `at`.
    pub(super) fn value(&self, account: &impl Account, at: Instant) -> i128 {
        (self.of)(&account.lengths(at.minus(self.window), at))
    }
}

/// An edge of a window as it goes along: how fast lengths grow at it, and until when.
struct Edge {
    behind: Span,
    speed: Lengths,
    until: Instant,
}

impl Edge {
    fn new(account: &impl Account, at: Instant, behind: Span) -> Self {
        let mut edge = Self { behind, speed: Lengths::default(), until: at };
        edge.go_to(account, at);
        edge
    }

    fn go_to(&mut self, account: &impl Account, at: Instant) {
        if at >= self.until {
            let here = at.minus(self.behind);
            self.speed = account.speed(here);
            self.until = account.next_after(here).map_or(Instant::MAX, |next| next.plus(self.behind));
        }
    }
}

/// Whether every gauge is above nothing at `at`.
pub(super) fn holds(account: &impl Account, gauges: &[Gauge<'_>], at: Instant) -> bool {
    gauges.iter().all(|gauge| gauge.value(account, at) > 0)
}

/// The first instant at or after `from` at which it is `wanted` that every gauge is above nothing.
pub(super) fn next(account: &impl Account, gauges: &[Gauge<'_>], from: Instant, wanted: bool) -> Next {
    let mut at = from;
    let mut values: Vec<i128> = gauges.iter().map(|gauge| gauge.value(account, at)).collect();
    let mut leading = Edge::new(account, at, Span::ZERO);
    let mut trailing: Vec<Edge> = gauges.iter().map(|gauge| Edge::new(account, at, gauge.window)).collect();
    for _ in 0..PIECES_MAX {
        let end = trailing.iter().map(|edge| edge.until).min().unwrap_or(Instant::MAX).min(leading.until);
        // The part of the piece in which all of them are above nothing.
        let (mut first, mut last) = (at, end);
        for ((gauge, edge), value) in gauges.iter().zip(&trailing).zip(&mut values) {
            let slope = (gauge.of)(&leading.speed) - (gauge.of)(&edge.speed);
            let (above_from, above_until) = above(*value, slope);
            first = first.max(after(at, above_from));
            last = last.min(after(at, above_until));
            // What it is at the end of the piece; nobody asks where there is none.
            *value += slope * i128::from(end.since(at).as_micros());
        }
        let found = match wanted {
            true => (first < last).then_some(first),
            // It is not so from the beginning of the piece, or from where it ceases.
            false if first > at || first >= last => Some(at),
            false => (last < end).then_some(last),
        };
        if let Some(found) = found.filter(|&found| found < end) {
            return Next::At(found);
        }
        if end == Instant::MAX {
            return Next::Never;
        }
        at = end;
        leading.go_to(account, at);
        trailing.iter_mut().for_each(|edge| edge.go_to(account, at));
    }
    Next::Look(at)
}

/// From and until how many microseconds later a line is above nothing; `None` for never, or for ever.
fn above(value: i128, slope: i128) -> (Option<i128>, Option<i128>) {
    match (value > 0, slope) {
        (true, 0..) => (Some(0), None),
        (true, slope) => (Some(0), Some((value - slope - 1) / -slope)),
        (false, 1..) => (Some(-value / slope + 1), None),
        (false, _) => (None, None),
    }
}

fn after(at: Instant, micros: Option<i128>) -> Instant {
    let micros = micros.and_then(|micros| i64::try_from(micros).ok());
    micros.map_or(Instant::MAX, |micros| at.plus(Span::from_micros(micros)))
}

/// The instant just before: at which a limit was met exactly.
pub(super) const fn just_before(at: Instant) -> Instant {
    at.minus(Span::TICK)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Down in the seconds of the list.
    struct Plain(Vec<(i64, i64)>);

    fn at(micros: i64) -> Instant {
        Instant::from_micros(micros)
    }

    impl Account for Plain {
        fn lengths(&self, from: Instant, until: Instant) -> Lengths {
            let (from, until) = (from.as_micros(), until.as_micros());
            let inside = |&(a, b): &(i64, i64)| i128::from((b.min(until) - a.max(from)).max(0));
            Lengths {
                observed: i128::from(until - from),
                down: self.0.iter().map(inside).sum(),
                ..Lengths::default()
            }
        }

        fn speed(&self, at: Instant) -> Lengths {
            let down = self.0.iter().filter(|&&(a, b)| a <= at.as_micros() && at.as_micros() < b).count() as i128;
            Lengths { observed: 1, down, ..Lengths::default() }
        }

        fn next_after(&self, instant: Instant) -> Option<Instant> {
            let edges = self.0.iter().flat_map(|&(a, b)| [a, b]);
            edges.filter(|&edge| edge > instant.as_micros()).min().map(at)
        }
    }

    #[test]
    fn the_instant_found_is_the_first_one_of_all() {
        let plain = Plain(vec![(100, 130), (150, 155), (300, 420), (421, 440), (700, 701)]);
        for (window, tenth) in [(50, 3), (100, 1), (200, 7), (7, 10)] {
            let of = move |lengths: &Lengths| lengths.down * 10 - lengths.observed * tenth;
            let short = move |lengths: &Lengths| lengths.down * 2 - lengths.observed;
            let gauges = [
                Gauge { window: Span::from_micros(window), of: &of },
                Gauge { window: Span::from_micros(20), of: &short },
            ];
            for gauges in [&gauges[..1], &gauges[..]] {
                for from in 0..900 {
                    for wanted in [true, false] {
                        let brute = (from..2000).find(|&t| holds(&plain, gauges, at(t)) == wanted);
                        let expected = brute.map_or(Next::Never, |t| Next::At(at(t)));
                        assert_eq!(next(&plain, gauges, at(from), wanted), expected, "{window} {from} {wanted}");
                    }
                }
            }
        }
    }
}
