//! What one interruption amounts to as it stands now: its record, derived from the marks.

use std::collections::BTreeMap;

use super::availability::Stretch;
use super::clocks;
use super::history::History;
use super::incidents::{Context, concerns};
use super::levels::{self, Segment, Subject};
use super::marks::{Outage, Part};
use crate::model::effect::Reason;
use crate::model::event::{About, Cause, Severity};
use crate::model::incident::{ActionRecord, Clock, ClockName, Incident, IncidentId, LevelChange, Stage, Status};
use crate::model::level::Level;
use crate::model::service::ServiceName;
use crate::model::time::{Instant, Span};

/// Stretches of downtime that are one interruption, as they stand now. Never empty.
pub(super) struct Group {
    pub(super) stretches: Vec<Stretch>,
    /// When the restoration was confirmed, by an operator or by quiet.
    pub(super) verified: Option<Instant>,
    /// When the next interruption of the service began.
    pub(super) next: Option<Instant>,
}

impl Group {
    pub(super) fn start(&self) -> Instant {
        self.stretches.first().map_or(Instant::MAX, |s| s.start)
    }

    pub(super) fn last(&self) -> Stretch {
        self.stretches.last().copied().unwrap_or(Stretch { start: Instant::MAX, end: None })
    }

    pub(super) fn end_or_max(&self) -> Instant {
        self.last().end_or_max()
    }

    /// The parts of an outage that belong to it: in which the service was down, as far as they have begun.
    pub(super) fn parts(&self, outage: &Outage, now: Instant) -> impl Iterator<Item = (Part, Option<Instant>)> {
        let (start, end) = (self.start(), self.end_or_max());
        outage.stretches().filter(move |&(part, until)| {
            let touches = part.from <= end && until.is_none_or(|until| until >= start);
            part.severity == Severity::Down && part.from <= now && touches
        })
    }

    /// The outages that it is made of.
    pub(super) fn outages<'h>(&self, history: &'h History, now: Instant) -> impl Iterator<Item = &'h Outage> {
        let within = history.outages_within(history.cut(self.start()), self.end_or_max().min(now));
        within.iter().filter(move |outage| outage.counts(now) && self.parts(outage, now).next().is_some())
    }
}

/// A record that nothing is known of yet but when it began.
pub(super) fn blank(id: IncidentId, service: ServiceName, group: &Group, cx: &Context<'_>) -> Incident {
    Incident {
        id,
        service,
        region: cx.region.to_owned(),
        status: Status::Open,
        merged_into: None,
        level: Level::Third,
        first_level: Level::Third,
        started: group.start(),
        detected: cx.now,
        restored: None,
        verified: None,
        actions: Vec::new(),
        users: None,
        users_estimated: false,
        user_micros: 0,
        accruing: None,
        next_level: None,
        cause: Cause::Unknown,
        flaps: 0,
        detail: None,
        clocks: Vec::new(),
        levels: Vec::new(),
    }
}

/// The record as it stands now.
pub(super) fn assess(before: &Incident, group: &Group, history: &History, cx: &Context<'_>) -> Incident {
    let outages: Vec<&Outage> = group.outages(history, cx.now).collect();
    let parts: Vec<(Part, Option<Instant>)> =
        outages.iter().flat_map(|outage| group.parts(outage, cx.now)).collect();
    let segments = segments(group, &parts, cx);
    let restored = group.last().end;
    let actions = actions(history, group, cx.now);
    let subject = Subject { kind: cx.kind, tier: cx.tier, in_group: cx.in_group, users_of_kind: cx.users_of_kind };
    let verdict = levels::judge(cx.levels, &segments, &subject, cx.now);
    let peak = segments.iter().filter_map(|s| s.users).max();
    let said = parts.iter().filter_map(|(part, _)| part.users).max();
    let open = segments.last().filter(|s| s.end.is_none());
    let mut after = Incident {
        merged_into: None,
        started: group.start(),
        restored,
        verified: group.verified,
        users: peak,
        users_estimated: peak.is_some() && said != peak,
        user_micros: segments.last().map_or(0, |s| s.lost_before + lost(s)),
        accruing: open.and_then(|s| s.users.map(|users| (users, s.start))),
        next_level: verdict.next.filter(|_| restored.is_none()),
        cause: located(&actions)
            .or_else(|| outages.iter().map(|o| o.cause).find(|&c| c != Cause::Unknown))
            .unwrap_or_default(),
        flaps: group.stretches.len() as u64 - 1,
        detail: outages.iter().find_map(|outage| outage.detail.clone()),
        actions,
        ..before.clone()
    };
    let reached = |stage| after.reached(stage).is_some();
    after.status = match (restored, group.verified) {
        (Some(_), Some(_)) if reached(Stage::Reviewed) => Status::Reviewed,
        (Some(_), _) => Status::Restored,
        (None, _) if reached(Stage::Mitigated) => Status::Mitigated,
        (None, _) if reached(Stage::Acknowledged) => Status::Acknowledged,
        (None, _) => Status::Open,
    };
    after.clocks = clocks::run(&after, cx);
    set_level(&mut after, &verdict, cx);
    after
}

/// Records a change of level: a rise at the instant at which the rule came to hold, a fall when it became known.
fn set_level(incident: &mut Incident, verdict: &levels::Verdict, cx: &Context<'_>) {
    let change = match incident.levels.last() {
        None => {
            incident.first_level = verdict.level;
            LevelChange { at: verdict.since, level: verdict.level, rule: verdict.rule.clone() }
        }
        Some(last) if verdict.level > last.level => {
            LevelChange { at: verdict.since, level: verdict.level, rule: verdict.rule.clone() }
        }
        Some(last) if verdict.level < last.level => {
            let why = if cx.policy_changed { "the rules changed" } else { "corrected by a later fact" };
            LevelChange { at: cx.now, level: verdict.level, rule: format!("{} ({why})", verdict.rule) }
        }
        Some(_) => return,
    };
    incident.level = change.level;
    // Most have one level for ever.
    incident.levels.reserve_exact(1);
    incident.levels.push(change);
}

/// What was done about this interruption, in order of time.
fn actions(history: &History, group: &Group, now: Instant) -> Vec<ActionRecord> {
    let until = group.next.unwrap_or(Instant::MAX);
    let marks = history.actions(group.start()).filter(|mark| {
        let at = mark.record.at;
        // One that names the incident is about it whenever it was said; any other is about what was open last.
        let timely = at >= group.start() && at < until || matches!(mark.about, About::Incident(_));
        timely && at <= now && concerns(mark, history, group)
    });
    let mut actions: Vec<ActionRecord> = marks.map(|mark| mark.record.clone()).collect();
    actions.shrink_to_fit();
    actions
}

/// What it came from, as those found who located it.
fn located(actions: &[ActionRecord]) -> Option<Cause> {
    actions.iter().rev().filter_map(|record| record.cause).find(|&cause| cause != Cause::Unknown)
}

/// Why the record changed, the weightiest reason first.
pub(super) fn reason(before: &Incident, after: &Incident, cx: &Context<'_>) -> Reason {
    let breached = |name: ClockName| {
        let was = before.clock(name).is_some_and(|clock| clock.breached.is_some());
        !was && after.clock(name).is_some_and(|clock| clock.breached.is_some())
    };
    if before.levels.is_empty() {
        Reason::Opened
    } else if after.level > before.level {
        Reason::Escalated(after.level)
    } else if let Some(name) = ClockName::ALL.into_iter().find(|&name| breached(name)) {
        Reason::Breached(name)
    } else if cx.policy_changed {
        Reason::PolicyChanged
    } else if before.restored.is_some() && after.restored.is_none() {
        Reason::Reopened
    } else if before.verified.is_none() && after.verified.is_some() {
        Reason::Verified
    } else if before.restored.is_none() && after.restored.is_some() {
        Reason::Restored
    } else if let Some(record) = after.actions.iter().find(|record| !before.actions.contains(record)) {
        Reason::Acted(record.action)
    } else {
        Reason::Corrected
    }
}

/// When the clock at `place` would be breached, while it runs.
pub(super) fn breach_due(incident: &Incident, place: usize) -> Option<Instant> {
    incident.clocks.get(place).filter(|clock| clock.stopped.is_none()).and_then(Clock::breach_known)
}

fn lost(segment: &Segment) -> i128 {
    let length = segment.end.map_or(Span::ZERO, |end| end.since(segment.start));
    i128::from(segment.users.unwrap_or(0)) * i128::from(length.as_micros())
}

/// Cuts the interruption where the users affected change. Of several outages of one service at once the largest
/// figure counts: they touch the same users. An outage that says nothing of users has the catalogue's.
fn segments(group: &Group, parts: &[(Part, Option<Instant>)], cx: &Context<'_>) -> Vec<Segment> {
    let mut edges: Vec<(Instant, bool, Option<u64>)> = Vec::with_capacity(parts.len() * 2);
    for &(part, end) in parts {
        edges.push((part.from, false, part.users));
        // An end ahead of now is not known to hold yet.
        edges.extend(end.filter(|&end| end <= cx.now).map(|end| (end, true, part.users)));
    }
    // Starts come before ends of the same instant, so that what continues is not cut.
    edges.sort_unstable();
    let mut segments: Vec<Segment> = Vec::with_capacity(group.stretches.len());
    let mut open: BTreeMap<Option<u64>, usize> = BTreeMap::new();
    let figure = |open: &BTreeMap<Option<u64>, usize>| open.last_key_value().map(|(said, _)| said.or(cx.users));
    for (at, is_end, users) in edges {
        let before = figure(&open);
        if is_end {
            if let Some(count) = open.get_mut(&users) {
                *count -= 1;
                if *count == 0 {
                    open.remove(&users);
                }
            }
        } else {
            *open.entry(users).or_default() += 1;
        }
        let after = figure(&open);
        if before == after {
            continue;
        }
        if let (Some(_), Some(last)) = (before, segments.last_mut()) {
            last.end = Some(at);
        }
        if let Some(users) = after {
            let (down_before, lost_before) = segments.last().map_or((Span::ZERO, 0), |last| {
                let length = last.end.map_or(Span::ZERO, |end| end.since(last.start));
                (last.down_before.plus(length), last.lost_before + lost(last))
            });
            segments.push(Segment { start: at, end: None, users, down_before, lost_before });
        }
    }
    segments
}
