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
    /// The most by then.
    pub(super) peak: Peak,
}

/// The most that an incident came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Peak {
    /// Users, where they are known, and whether some of them are the catalogue's whenever they were so many.
    pub(super) users: Option<(u64, bool)>,
    /// The greatest share of the users of a kind, as both of them.
    pub(super) share: (u64, u64),
}

impl Peak {
    /// Goes on with what there is from then on.
    pub(super) fn and(self, (users, is_estimated): (Option<u64>, bool), share: (u64, u64)) -> Self {
        let users = match (self.users, users) {
            (Some((most, estimated)), Some(users)) if users == most => Some((most, estimated && is_estimated)),
            (Some((most, estimated)), users) if users.is_none_or(|users| users < most) => Some((most, estimated)),
            (_, users) => users.map(|users| (users, is_estimated)),
        };
        Self { users, share: greater(self.share, share) }
    }
}

/// The greater one of two shares, each a part and its whole; where there is nothing, none of nothing.
pub(super) fn greater(one: (u64, u64), other: (u64, u64)) -> (u64, u64) {
    // a / b > c / d when a * d > c * b.
    let is_more = u128::from(other.0) * u128::from(one.1.max(1)) > u128::from(one.0) * u128::from(other.1);
    if other.1 > 0 && is_more { other } else { one }
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
    // An incident may have thousands of segments, and most conditions have not held by most of them.
    let too_early = |segment: &Segment| {
        segment.end.is_some_and(|end| end < since)
            || !conditions.iter().all(|condition| may_hold_by(condition, segment))
    };
    let first = segments.partition_point(too_early);
    segments[first..].iter().find_map(|segment| holds_in(segment, conditions, since))
}

/// The first instant of a segment from `since` on at which all of some conditions hold.
fn holds_in(segment: &Segment, conditions: &[Condition], since: Instant) -> Option<Instant> {
    let mut wait = if since > segment.start { since.since(segment.start) } else { Span::ZERO };
    for condition in conditions.iter().filter(|condition| !is_about_services(condition)) {
        wait = wait.max(wait_for(condition, segment)?);
    }
    let at = segment.start.plus(wait);
    // The end counts in: what lasted exactly an hour lasted at least an hour.
    segment.end.is_none_or(|end| at <= end).then_some(at)
}

/// Whether a condition may hold in a segment, or in one before it: once it may, it may in all that follow.
fn may_hold_by(condition: &Condition, segment: &Segment) -> bool {
    let most = segment.peak.users.map(|(users, _)| users);
    let lost_over = |least: i128| segment.end.is_none() || segment.lost() > least;
    let down_over = |least: Span| segment.end.is_none() || segment.down_before.plus(segment.length()) > least;
    match condition {
        Condition::UsersOver(limit) => most.is_some_and(|users| users > *limit),
        Condition::UsersAtLeast(limit) => most.is_some_and(|users| users >= *limit),
        Condition::ShareOver(share) => is_over(segment.peak.share, *share),
        Condition::UserMinutesOver(limit) => lost_over(user_micros(*limit)),
        Condition::UserMinutesAtLeast(limit) => lost_over(user_micros(*limit) - 1),
        Condition::LongerThan(limit) => down_over(*limit),
        Condition::LastingAtLeast(limit) => down_over(limit.minus(Span::TICK)),
        Condition::RegionsAtLeast(_) | Condition::Kind(_) | Condition::Tier(_) | Condition::Tag(_) => true,
    }
}

/// Whether a part of a whole is more than a share.
fn is_over((part, whole): (u64, u64), share: Ratio) -> bool {
    let part = u128::from(part) * u128::from(Ratio::WHOLE);
    whole > 0 && part > u128::from(whole) * u128::from(share.parts())
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
        Condition::ShareOver(share) => when(segment.users.is_some() && is_over(segment.share, *share)),
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
    use proptest::prelude::*;

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
            peak: Peak::default().and((Some(users), true), (users, 1000)),
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
        let unknown = [Segment { users: None, peak: Peak::default(), ..segment(0, None, 0) }];
        assert_eq!(reach(&[Condition::UsersAtLeast(0)], &unknown), None);
        assert_eq!(reach(&[Condition::UserMinutesAtLeast(1)], &unknown), None);
        assert_eq!(reach(&[], &unknown), Some(0));
    }

    fn condition() -> impl Strategy<Value = Condition> {
        let users = 0..40_u64;
        let span = (0..40_i64).prop_map(Span::from_micros);
        prop_oneof![
            users.clone().prop_map(Condition::UsersOver),
            users.prop_map(Condition::UsersAtLeast),
            (0.0..0.05).prop_map(|share| Condition::ShareOver(Ratio::new(share).unwrap())),
            (0..2_u64).prop_map(Condition::UserMinutesOver),
            (0..2_u64).prop_map(Condition::UserMinutesAtLeast),
            span.clone().prop_map(Condition::LongerThan),
            span.prop_map(Condition::LastingAtLeast),
            Just(Condition::RegionsAtLeast(2)),
        ]
    }

    proptest! {
        /// What is left out because it is too early would not have held.
        #[test]
        fn nothing_is_left_out(
            parts in prop::collection::vec((0..9_i64, 0..9_i64, prop::option::of(0..40_u64), any::<bool>()), 0..9),
            goes_on in any::<bool>(),
            conditions in prop::collection::vec(condition(), 0..4),
            since in 0..80_i64,
        ) {
            let mut segments: Vec<Segment> = Vec::new();
            let last = parts.len().saturating_sub(1);
            let mut start = 0;
            for (place, (gap, length, users, estimated)) in parts.into_iter().enumerate() {
                start += gap;
                let end = (place < last || !goes_on).then_some(start + length);
                let before = segments.last();
                let share = (users.unwrap_or(0), 1000);
                // So that minutes are lost within microseconds.
                let users = users.map(|users| users * 1_000_000);
                segments.push(Segment {
                    users,
                    share,
                    down_before: before.map_or(Span::ZERO, |before| before.down_before.plus(before.length())),
                    lost_before: before.map_or(0, Segment::lost),
                    peak: before.map_or(Peak::default(), |before| before.peak).and((users, estimated), share),
                    ..segment(start, end, 0)
                });
                start += length;
            }
            let conditions: Vec<Condition> = conditions.into_iter().map(|condition| match condition {
                Condition::UsersOver(users) => Condition::UsersOver(users * 1_000_000),
                Condition::UsersAtLeast(users) => Condition::UsersAtLeast(users * 1_000_000),
                other => other,
            }).collect();
            let of_services = conditions.iter().any(is_about_services);
            let from = if of_services { at(since) } else { Instant::MIN };
            let all = segments.iter().find_map(|segment| holds_in(segment, &conditions, from));
            prop_assert_eq!(reached(&conditions, &segments, &|_| Some(at(since))), all);
            let most = segments.iter().filter_map(|segment| segment.users).max();
            prop_assert_eq!(segments.last().and_then(|last| last.peak.users).map(|(users, _)| users), most);
        }
    }
}
