//! Clocks: the manual's limits on how long something may take, ticking on an incident.
//!
//! A limit is kept when the clock stops no later than it, so a breach is certain one microsecond after the limit,
//! and carries the limit's own instant.

use crate::model::incident::{Clock, ClockName, Hold, Incident, Stage};
use crate::model::time::{Instant, Span};

impl Clock {
    /// The first instant at which a clock that still runs is known to be breached; none while it is held.
    pub(super) fn breach_known(&self) -> Option<Instant> {
        self.deadline.map(|deadline| deadline.plus(Span::TICK))
    }
}

/// The incident's clocks as they stand now.
///
/// `response` runs from detection to the first acknowledgement; a restoration leaves nothing to respond to and
/// stops it as well. `repair` runs from the start to the restoration, but for the time for which it is held. Either
/// takes effect from the instant at which the outage ended: a relapse before that is confirmed makes the clock run on
/// as if it had never stopped.
pub(super) fn run(
    incident: &Incident,
    (response, repair): (Option<Span>, Option<Span>),
    now: Instant,
) -> Vec<Clock> {
    let holds = incident.holds();
    let mut clocks = Vec::with_capacity(ClockName::ALL.len());
    clocks.extend(ClockName::ALL.into_iter().filter_map(|name| {
        let (limit, started, stopped) = match name {
            ClockName::Response => {
                let answered = incident.reached(Stage::Acknowledged).map(|record| record.at);
                let stopped = [answered, incident.restored].into_iter().flatten().min();
                (response?, incident.detected, stopped)
            }
            ClockName::Repair => (repair?, incident.started, incident.restored),
        };
        let deadline = deadline(started, limit, if name.can_be_held() { &holds } else { &[] });
        let breached = deadline.filter(|&deadline| stopped.unwrap_or(now) > deadline);
        Some(Clock { name, limit, started, stopped, deadline, breached })
    }));
    clocks
}

/// When `limit` has passed since `started`, but for the holds, which are in order; none if the last of them goes on.
fn deadline(started: Instant, limit: Span, holds: &[Hold]) -> Option<Instant> {
    let (mut from, mut left) = (started, limit);
    for hold in holds.iter().filter(|hold| hold.until.is_none_or(|until| until > started)) {
        let held = hold.from.max(from);
        // A hold that begins just as the limit passes comes in time.
        if from.plus(left) < held {
            break;
        }
        left = left.minus(held.since(from));
        from = hold.until?;
    }
    Some(from.plus(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Instant {
        Instant::from_micros(0).plus(Span::from_mins(minutes))
    }

    fn deadline_with(holds: &[(i64, Option<i64>)]) -> Option<Instant> {
        let hold = |&(from, until): &(i64, Option<i64>)| Hold {
            from: at(from),
            until: until.map(at),
            reason: None,
            by: None,
            resumed_by: None,
        };
        let holds: Vec<Hold> = holds.iter().map(hold).collect();
        deadline(at(10), Span::from_mins(30), &holds)
    }

    #[test]
    fn a_hold_moves_the_deadline_by_its_length() {
        assert_eq!(deadline_with(&[]), Some(at(40)));
        assert_eq!(deadline_with(&[(20, Some(25))]), Some(at(45)));
        assert_eq!(deadline_with(&[(20, Some(25)), (44, Some(50))]), Some(at(51)));
        assert_eq!(deadline_with(&[(20, None)]), None);
    }

    #[test]
    fn a_hold_counts_from_the_start_and_not_after_the_limit() {
        assert_eq!(deadline_with(&[(0, Some(12))]), Some(at(42)));
        assert_eq!(deadline_with(&[(0, Some(10))]), Some(at(40)));
        assert_eq!(deadline_with(&[(40, Some(50))]), Some(at(50)));
        assert_eq!(deadline_with(&[(41, None)]), Some(at(40)));
    }
}
