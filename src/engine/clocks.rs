//! Clocks: the limits on how long something may take, ticking on an incident.
//!
//! A limit is kept when the clock stops no later than it, so a breach is certain one microsecond after the limit,
//! and carries the limit's own instant.

use crate::model::incident::{Clock, Hold, Incident};
use crate::model::level::{Condition, Level};
use crate::model::procedure::{Again, ClockName, ClockRule, Milestone, Until};
use crate::model::time::{Instant, Span};

impl Clock {
    /// The first instant at which a clock that still runs is known to be breached; none while it is held.
    fn breach_known(&self) -> Option<Instant> {
        self.deadline.map(|deadline| deadline.plus(Span::TICK))
    }
}

/// What an incident's clocks are run by.
pub(super) struct Rules<'a> {
    pub(super) clocks: &'a [ClockRule],
    /// What the targets say of `response` and `repair`.
    pub(super) targets: (Option<Span>, Option<Span>),
    /// Since when, or from when on, all of some conditions hold.
    pub(super) holding: &'a dyn Fn(&[Condition]) -> Option<Instant>,
    pub(super) now: Instant,
}

/// Where a clock stands that may still run.
struct Running {
    started: Instant,
    limit: Span,
    deadline: Option<Instant>,
    /// Since when the limit is the one that counts.
    since: Instant,
}

impl Rules<'_> {
    /// The incident's clocks as they stand now, and when to look at them next.
    ///
    /// `response` runs from detection to the first acknowledgement; a restoration leaves nothing to respond to and
    /// stops it as well. `repair` runs from the start to the restoration, but for the time for which it is held. Either
    /// takes effect from the instant at which the outage ended: a relapse before that is confirmed makes the clock run
    /// on as if it had never stopped.
    ///
    /// A clock that runs on some conditions, or at some levels only, starts no earlier than they held. A limit that
    /// comes with a graver level does not pass before the incident has that level.
    pub(super) fn run(&self, incident: &Incident) -> (Vec<Clock>, Option<Instant>) {
        let holds = incident.holds();
        let mut clocks = Vec::with_capacity(2);
        let mut next = None;
        let mut look_at = |at: Option<Instant>| {
            let at = at.filter(|&at| at > self.now);
            next = next.into_iter().chain(at).min();
        };
        for rule in self.clocks {
            let Some(from) = rule.from.reached(incident) else { continue };
            let holding = rule.when.iter().filter_map(|all| (self.holding)(all)).min();
            let since = if rule.when.is_empty() { Some(from) } else { holding };
            let Some(since) = since else { continue };
            if since > self.now {
                look_at(Some(since));
                continue;
            }
            let holds = if rule.name.can_be_held() { &holds[..] } else { &[] };
            let started = from.max(since);
            let (running, stopped, missed) = match rule.again {
                Some(again) => self.run_again(rule, again, (incident, started)),
                None => (self.tightest(rule, incident, started, holds), rule.stopped(incident), None),
            };
            let Some(Running { started, limit, deadline, since }) = running else { continue };
            let end = stopped.unwrap_or(self.now);
            let breached = missed.or_else(|| deadline.filter(|&deadline| end > deadline));
            let warnings = rule.warn_at.iter().filter_map(|&percent| {
                let share = Span::from_micros(limit.as_micros() / 100 * i64::from(percent));
                let at = self::deadline(started, share, holds)?.max(since);
                deadline.is_none_or(|deadline| at < deadline).then_some((percent, at))
            });
            let warnings: Vec<(u8, Instant)> = warnings.collect();
            let warned = warnings.iter().copied().rfind(|&(_, at)| at <= end);
            let (name, until) = (rule.name.clone(), rule.until);
            let clock = Clock { name, until, limit, started, stopped, deadline, breached, warned };
            if stopped.is_none() {
                warnings.iter().for_each(|&(_, at)| look_at(Some(at)));
                look_at(clock.breach_known());
            }
            clocks.push(clock);
        }
        clocks.shrink_to_fit();
        (clocks, next)
    }

    /// The limit that passes first, of those of the levels that the incident has had, up to the one that it has.
    fn tightest(&self, rule: &ClockRule, incident: &Incident, from: Instant, holds: &[Hold]) -> Option<Running> {
        let target = match rule.name {
            ClockName::Response => self.targets.0,
            ClockName::Repair => self.targets.1,
            ClockName::Named(_) => None,
        };
        let levels = Level::ALL.into_iter().rev().filter(|&level| level <= incident.level);
        let mut first = None;
        let found = levels.filter_map(|level| {
            let limit = rule.limit(level).or(target)?;
            let grave = incident.levels.iter().filter(|change| change.level >= level);
            let since = grave.map(|change| change.at).min().filter(|_| level > Level::Third).unwrap_or(from);
            let started = *first.get_or_insert(from.max(since));
            let deadline = deadline(started, limit, holds).map(|deadline| deadline.max(since));
            Some(Running { started, limit, deadline, since })
        });
        found.min_by_key(|running| (running.deadline.is_none(), running.deadline))
    }

    /// A notice that is owed again and again until the restoration: how the last one stands, when that was, and the
    /// first limit that was missed.
    fn run_again(
        &self,
        rule: &ClockRule,
        again: Again,
        (incident, from): (&Incident, Instant),
    ) -> (Option<Running>, Option<Instant>, Option<Instant>) {
        let Some(first) = rule.limit(incident.level) else { return (None, None, None) };
        let limit_at = |at: Instant| if at.since(from) < again.during { first } else { again.then };
        let sent = incident.notices().filter(|(_, name)| *name == rule.name.as_str()).map(|(record, _)| record.at);
        let (mut started, mut missed) = (from, None);
        for at in sent.filter(|&at| at >= from) {
            missed = missed.or(Some(started.plus(limit_at(started))).filter(|&deadline| at > deadline));
            started = at;
        }
        let limit = limit_at(started);
        let deadline = Some(started.plus(limit));
        (Some(Running { started, limit, deadline, since: started }), incident.restored, missed)
    }
}

impl Milestone {
    /// When an incident passed it.
    fn reached(self, incident: &Incident) -> Option<Instant> {
        match self {
            Self::Started => Some(incident.started),
            Self::Reached(stage) => incident.reached_at(stage),
        }
    }
}

impl ClockRule {
    /// When it stopped.
    fn stopped(&self, incident: &Incident) -> Option<Instant> {
        let done = match self.until {
            Until::Reached(stage) => incident.reached_at(stage),
            Until::Notice => {
                let named = |(_, name): &(_, &str)| *name == self.name.as_str();
                incident.notices().find(named).map(|(record, _)| record.at)
            }
        };
        let over = incident.restored.filter(|_| self.until.ends_with_the_outage());
        done.into_iter().chain(over).min()
    }
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
