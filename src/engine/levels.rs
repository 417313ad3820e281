//! Levels: when each rule comes to hold on an incident, to the microsecond.
//!
//! While an outage is open its length and the user-minutes lost grow in a straight line, so the first instant at
//! which all conditions of a rule hold is solved for, not waited for.

use crate::model::level::{Condition, Level, LevelRules, Ratio, Rule};
use crate::model::time::{Instant, Span};

/// A part of an incident during which something is down and the users affected stay the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) start: Instant,
    /// Absent while it is going on.
    pub(super) end: Option<Instant>,
    pub(super) users: Option<u64>,
    /// Those of the kind of service of which the greatest share is affected, and all users of that kind.
    pub(super) share: (u64, u64),
    /// Topmost services that are down, those of them whose users are known, and those whose users the catalogue says.
    pub(super) counts: [i64; 3],
    /// How long the incident was down before.
    pub(super) down_before: Span,
    /// User-microseconds lost before.
    pub(super) lost_before: i128,
}

/// Since when an incident touches what a condition about its services asks for, if it does.
pub(super) type Touches<'a> = &'a dyn Fn(&Condition) -> Option<Instant>;

/// What the rules make of an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) level: Level,
    /// The exact instant at which the level's rule came to hold.
    pub(super) since: Instant,
    /// The rule, with its citation.
    pub(super) rule: String,
    /// The next graver level and when it will be reached if nothing changes.
    pub(super) next: Option<(Level, Instant)>,
}

/// Judges an incident as it stands at `now`.
pub(super) fn judge(rules: &LevelRules, segments: &[Segment], touches: Touches<'_>, now: Instant) -> Verdict {
    let started = segments.first().map_or(now, |s| s.start);
    let mut next: Option<(Level, Instant)> = None;
    for level in Level::ALL {
        // The earliest of the level's rules; of several at one instant the first in order.
        let earliest = rules
            .of(level)
            .iter()
            .filter_map(|rule| reached(&rule.conditions, segments, touches).map(|at| (at, rule)))
            .min_by_key(|&(at, _)| at);
        match earliest {
            Some((at, rule)) if at <= now => {
                return Verdict { level, since: at, rule: cited(rule), next };
            }
            // The nearest rise is the one to show; at one instant the gravest.
            Some((at, _)) if next.is_none_or(|(_, sooner)| at < sooner) => next = Some((level, at)),
            _ => {}
        }
    }
    Verdict { level: Level::Third, since: started, rule: "third: any confirmed interruption".to_owned(), next }
}

fn cited(rule: &Rule) -> String {
    if rule.cite.is_empty() { rule.name.clone() } else { format!("{}: {}", rule.name, rule.cite) }
}

/// The first instant at which all of some conditions hold, now, before or to come.
pub(super) fn reached(conditions: &[Condition], segments: &[Segment], touches: Touches<'_>) -> Option<Instant> {
    // What is asked of its services is the same for all segments.
    let of_services = conditions.iter().filter(|condition| is_about_services(condition));
    let since = of_services.map(touches).try_fold(Instant::MIN, |since, touched| Some(since.max(touched?)))?;
    segments.iter().find_map(|segment| {
        let mut wait = if since > segment.start { since.since(segment.start) } else { Span::ZERO };
        for condition in conditions.iter().filter(|condition| !is_about_services(condition)) {
            wait = wait.max(wait_for(condition, segment)?);
        }
        let at = segment.start.plus(wait);
        // The end counts in: what lasted exactly an hour lasted at least an hour.
        segment.end.is_none_or(|end| at <= end).then_some(at)
    })
}

const fn is_about_services(condition: &Condition) -> bool {
    matches!(condition, Condition::RegionsAtLeast(_) | Condition::Kind(_) | Condition::Tier(_) | Condition::Tag(_))
}

/// How long into the segment the condition comes to hold, if it would ever.
fn wait_for(condition: &Condition, segment: &Segment) -> Option<Span> {
    let when = |holds: bool| holds.then_some(Span::ZERO);
    match condition {
        Condition::UsersOver(limit) => when(segment.users? > *limit),
        Condition::UsersAtLeast(limit) => when(segment.users? >= *limit),
        Condition::ShareOver(share) => {
            let (users, all) = segment.share;
            let part = u128::from(users) * u128::from(Ratio::WHOLE);
            when(segment.users.is_some() && all > 0 && part > u128::from(all) * u128::from(share.parts()))
        }
        Condition::UserMinutesOver(limit) => until_lost(segment, user_micros(*limit) + 1),
        Condition::UserMinutesAtLeast(limit) => until_lost(segment, user_micros(*limit)),
        Condition::LongerThan(limit) => Some(until_down(segment, limit.plus(Span::TICK))),
        Condition::LastingAtLeast(limit) => Some(until_down(segment, *limit)),
        Condition::RegionsAtLeast(_) | Condition::Kind(_) | Condition::Tier(_) | Condition::Tag(_) => {
            Some(Span::ZERO)
        }
    }
}

fn until_down(segment: &Segment, length: Span) -> Span {
    length.minus(segment.down_before).max(Span::ZERO)
}

fn until_lost(segment: &Segment, user_micros: i128) -> Option<Span> {
    let missing = user_micros - segment.lost_before;
    if missing <= 0 {
        return Some(Span::ZERO);
    }
    match segment.users {
        None | Some(0) => None,
        Some(users) => {
            let users = i128::from(users);
            i64::try_from((missing + users - 1) / users).ok().map(Span::from_micros)
        }
    }
}

fn user_micros(user_minutes: u64) -> i128 {
    i128::from(user_minutes) * 60_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Instant {
        Instant::from_micros(micros)
    }

    fn reach(conditions: &[Condition], segments: &[Segment]) -> Option<i64> {
        reached(conditions, segments, &|_| Some(at(500))).map(Instant::as_micros)
    }

    fn segment(start: i64, end: Option<i64>, users: u64) -> Segment {
        Segment {
            start: at(start),
            end: end.map(at),
            users: Some(users),
            share: (users, 1000),
            counts: [1, 1, 0],
            down_before: Span::ZERO,
            lost_before: 0,
        }
    }

    #[test]
    fn strict_and_non_strict_differ_by_a_microsecond() {
        let hour = Span::from_hours(1);
        let open = [segment(0, None, 10)];
        assert_eq!(reach(&[Condition::LastingAtLeast(hour)], &open), Some(3_600_000_000));
        assert_eq!(reach(&[Condition::LongerThan(hour)], &open), Some(3_600_000_001));
        let exactly = [segment(0, Some(3_600_000_000), 10)];
        assert_eq!(reach(&[Condition::LastingAtLeast(hour)], &exactly), Some(3_600_000_000));
        assert_eq!(reach(&[Condition::LongerThan(hour)], &exactly), None);
        assert_eq!(reach(&[Condition::UsersOver(10)], &open), None);
        assert_eq!(reach(&[Condition::UsersAtLeast(10)], &open), Some(0));
    }

    #[test]
    fn user_minutes_are_solved_for() {
        // Seven users lose a user-minute in 60/7 s: the first whole microsecond at which it is reached.
        let open = [segment(0, None, 7)];
        assert_eq!(reach(&[Condition::UserMinutesAtLeast(1)], &open), Some(8_571_429));
        assert_eq!(reach(&[Condition::UserMinutesOver(7)], &open), Some(60_000_001));
        assert_eq!(reach(&[Condition::UserMinutesAtLeast(7)], &open), Some(60_000_000));
        assert_eq!(reach(&[Condition::UserMinutesAtLeast(1)], &[segment(0, None, 0)]), None);
    }

    #[test]
    fn a_share_is_of_the_users_of_that_kind() {
        let share = Condition::ShareOver(Ratio::new(0.15).unwrap());
        assert_eq!(reach(std::slice::from_ref(&share), &[segment(0, None, 150)]), None);
        assert_eq!(reach(&[share], &[segment(0, None, 151)]), Some(0));
    }

    #[test]
    fn what_it_touches_counts_from_when_it_touches_it() {
        let regions = [Condition::RegionsAtLeast(2)];
        assert_eq!(reach(&regions, &[segment(0, None, 1)]), Some(500));
        assert_eq!(reach(&regions, &[segment(0, Some(400), 1), segment(900, None, 1)]), Some(900));
    }

    #[test]
    fn unknown_users_match_no_rule_about_users() {
        let unknown = [Segment { users: None, ..segment(0, None, 0) }];
        assert_eq!(reach(&[Condition::UsersAtLeast(0)], &unknown), None);
        assert_eq!(reach(&[Condition::UserMinutesAtLeast(1)], &unknown), None);
        assert_eq!(reach(&[], &unknown), Some(0));
    }
}
