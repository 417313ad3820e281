//! Incidents: which stretches of downtime are one interruption, and which record is whose.
//!
//! What an incident *is* follows from the marks alone and is derived anew whenever they change. What it is *called*
//! is kept: an incident that has paged somebody keeps its id while later facts move its edges.

use borsh::{BorshDeserialize, BorshSerialize};
use xxhash_rust::xxh3::xxh3_64;

use super::alerts;
use super::assess::{self, Group};
use super::availability::Stretch;
use super::counts::Counts;
use super::history::{ActionMark, History};
use super::marks::Outage;
use super::timers::Timer;
use crate::model::alert::Alert;
use crate::model::effect::{Effect, EffectKind, Reason};
use crate::model::event::About;
use crate::model::incident::{Clock, ClockName, Incident, IncidentId, Stage, Status};
use crate::model::level::LevelRules;
use crate::model::service::ServiceName;
use crate::model::time::{Instant, Span};

/// An incident with the alerts that fire for it.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Tracked {
    pub(super) incident: Incident,
    pub(super) alerts: Vec<Alert>,
    /// Whether it is in the count of incidents: from the first confirmed restoration on.
    counted: bool,
    /// The clocks whose breach is in the count of breaches.
    breaches_counted: Vec<ClockName>,
    /// The acknowledgement that is in the figures.
    acknowledged: Option<Acknowledged>,
}

impl Tracked {
    /// The first acknowledgement, as the figures have it: of an incident that is one of its own.
    pub(super) fn acknowledgement(&self) -> Option<Acknowledged> {
        let incident = &self.incident;
        let own = !matches!(incident.status, Status::Merged | Status::Withdrawn);
        let at = incident.reached(Stage::Acknowledged).filter(|_| own)?.at;
        Some((at, at.since(incident.started)))
    }

    /// From when until when there is something of it, if it is over: nothing that begins later can become part of it.
    pub(super) fn reach(&self) -> (Instant, Option<Instant>) {
        let incident = &self.incident;
        if matches!(incident.status, Status::Merged | Status::Withdrawn) {
            return (incident.started, Some(incident.started));
        }
        let acted = incident.actions.iter().map(|record| record.at);
        let (first, last) = (acted.clone().min(), acted.max());
        let over = incident.restored.zip(incident.verified).map(|(restored, verified)| restored.max(verified));
        let begun = first.map_or(incident.started, |first| first.min(incident.started));
        (begun, over.map(|over| last.map_or(over, |last| last.max(over))))
    }

    /// Brings the figures' acknowledgement up to date. Returns what it was and what it is, when they differ.
    fn account(&mut self) -> Option<Accounted> {
        let is = self.acknowledgement();
        let was = std::mem::replace(&mut self.acknowledged, is);
        (was != is).then_some((was, is))
    }
}

/// What a service's incidents are judged by.
pub(super) struct Context<'a> {
    pub(super) now: Instant,
    pub(super) service: &'a str,
    pub(super) kind: &'a str,
    pub(super) region: &'a str,
    pub(super) tier: &'a str,
    pub(super) in_group: &'a dyn Fn(&str) -> bool,
    /// The catalogue's users.
    pub(super) users: Option<u64>,
    pub(super) users_of_kind: u64,
    pub(super) levels: &'a LevelRules,
    pub(super) reopen: Span,
    /// The limits of its clocks, where there are any.
    pub(super) response: Option<Span>,
    pub(super) repair: Option<Span>,
    /// What led here, when the marks alone do not say.
    pub(super) policy_changed: bool,
}

/// A first acknowledgement that is in the figures: when, and how long after the start.
pub(super) type Acknowledged = (Instant, Span);

/// What the figures had of an incident's acknowledgement, and what they have of it now.
pub(super) type Accounted = (Option<Acknowledged>, Option<Acknowledged>);

/// When a service's timers are due; by their place in [`Timer::INCIDENT`].
pub(super) type Deadlines = [Option<Instant>; Timer::INCIDENT.len()];

/// Brings the service's incidents in line with its marks, as they stand now, from `from` on.
pub(super) fn settle(
    history: &mut History,
    from: Instant,
    cx: &Context<'_>,
    counts: &mut Counts,
    effects: &mut Vec<Effect>,
) -> (Deadlines, Vec<Accounted>) {
    // What lies ahead of now takes effect when its time comes; what is live is always looked at.
    let from = from.min(cx.now);
    let (mut open, region) = candidates(history, from, cx.reopen);
    let groups = groups(history, region, cx);
    let mut live = None;
    let mut touched: Vec<usize> = Vec::new();
    for group in &groups {
        let mut matched: Vec<usize> = Vec::new();
        open.retain(|&i| {
            let incident = &history.incidents[i].incident;
            let touches = incident.started <= group.end_or_max()
                && incident.restored.unwrap_or(Instant::MAX) >= group.start();
            if touches {
                matched.push(i);
            }
            !touches
        });
        matched.sort_by_key(|&i| (history.incidents[i].incident.started, history.incidents[i].incident.id));
        let winner = match matched.first() {
            Some(&winner) => winner,
            None => open_or_revive(history, group, cx),
        };
        let into = history.incidents[winner].incident.id;
        for &loser in matched.iter().skip(1) {
            dismiss(&mut history.incidents[loser], Some(into), cx, effects);
            touched.push(loser);
        }
        touched.push(winner);
        reassess(history, winner, group, cx, counts, effects);
        live = Some(&history.incidents[winner].incident).filter(|incident| incident.is_live()).map(|_| winner);
    }
    for i in open {
        dismiss(&mut history.incidents[i], None, cx, effects);
        touched.push(i);
    }
    let deadlines = deadlines(history, live.map(|place| &history.incidents[place].incident), cx);
    let accounted = touched.iter().filter_map(|&i| history.incidents[i].account()).collect();
    let order = |tracked: &Tracked| (tracked.incident.started, tracked.incident.id);
    // Nothing before what was touched can have lost its place.
    let first = touched.iter().min().map_or(0, |first| first.saturating_sub(1));
    if !history.incidents[first..].is_sorted_by_key(order) {
        history.incidents.sort_by_key(order);
    }
    (deadlines, accounted)
}

/// The incidents that a change at `from` may touch, and when the first of them began. One that ended a short while
/// before another is near enough to become part of it, and so on back.
fn candidates(history: &History, from: Instant, reopen: Span) -> (Vec<usize>, Instant) {
    let mut found = Vec::new();
    let mut region = from;
    for (i, tracked) in history.incidents.iter().enumerate().rev() {
        let incident = &tracked.incident;
        if matches!(incident.status, Status::Merged | Status::Withdrawn) {
            continue;
        }
        if incident.restored.is_some_and(|end| end.plus(reopen) < region) {
            break;
        }
        region = region.min(incident.started);
        found.push(i);
    }
    (found, region)
}

/// The interruptions from `region` on, as they stand now: stretches less than `reopen` apart, unless an operator
/// confirmed the restoration between them.
fn groups(history: &History, region: Instant, cx: &Context<'_>) -> Vec<Group> {
    let stretches = history.interrupted.stretches();
    let near = |a: &Stretch, b: &Stretch| b.start.since(a.end_or_max()) < cx.reopen;
    let mut first = stretches.partition_point(|s| s.end_or_max() < region);
    while first > 0 && stretches.get(first).is_some_and(|s| near(&stretches[first - 1], s)) {
        first -= 1;
    }
    let mut groups: Vec<Group> = Vec::new();
    for stretch in stretches[first..].iter().take_while(|s| s.start <= cx.now) {
        let stretch = Stretch { start: stretch.start, end: stretch.end.filter(|&end| end <= cx.now) };
        if let Some(group) = groups.last_mut()
            && near(&group.last(), &stretch)
            && confirmed(history, group, stretch.start).is_none()
        {
            group.stretches.push(stretch);
        } else {
            if let Some(group) = groups.last_mut() {
                close(history, group, stretch.start, cx);
            }
            groups.push(Group { stretches: vec![stretch], verified: None, next: None });
        }
    }
    if let Some(group) = groups.last_mut() {
        close(history, group, Instant::MAX, cx);
    }
    groups
}

/// Notes when the group's restoration was confirmed. `next` is when the service went down again.
fn close(history: &History, group: &mut Group, next: Instant, cx: &Context<'_>) {
    group.next = (next < Instant::MAX).then_some(next);
    let Some(end) = group.last().end else { return };
    let quiet = end.plus(cx.reopen);
    let by_quiet = (quiet <= next && quiet <= cx.now).then_some(quiet);
    let by_operator =
        confirmed(history, group, next).filter(|mark| mark.record.at <= cx.now).map(|mark| mark.record.at);
    group.verified = by_operator.into_iter().chain(by_quiet).min();
}

/// The first operator's confirmation between the group's end and `before`.
fn confirmed<'h>(history: &'h History, group: &Group, before: Instant) -> Option<&'h ActionMark> {
    let end = group.last().end?;
    history
        .confirmations(end)
        .find(|mark| mark.record.at >= end && mark.record.at < before && concerns(mark, history, group))
}

/// Whether an operator's report is about the group.
pub(super) fn concerns(mark: &ActionMark, history: &History, group: &Group) -> bool {
    match &mark.about {
        About::Service => true,
        About::Outage(key) => {
            let within = history.outages_within(history.cut(group.start()), group.end_or_max());
            within.iter().any(|outage| outage.key == *key && outage.end_or_max() >= group.start())
        }
        About::Incident(id) => history.incidents.iter().any(|tracked| {
            let incident = &tracked.incident;
            incident.id.to_string() == **id
                && incident.started <= group.end_or_max()
                && incident.restored.unwrap_or(Instant::MAX) >= group.start()
        }),
    }
}

/// The record for a group that has none: a new one, or the one that the same first outage had before.
fn open_or_revive(history: &mut History, group: &Group, cx: &Context<'_>) -> usize {
    let id = id_of(history, group, cx.service, cx.now);
    let known = history.knows_incident(id);
    match known.then(|| history.incidents.iter().position(|tracked| tracked.incident.id == id)).flatten() {
        Some(known) => {
            let incident = &mut history.incidents[known].incident;
            incident.merged_into = None;
            incident.status = Status::Open;
            known
        }
        None => {
            // One name for all of them.
            let name = history.incidents.last().map(|tracked| tracked.incident.service.clone());
            let name = name.unwrap_or_else(|| ServiceName::known(cx.service));
            let incident = assess::blank(id, name, group, cx);
            history.incidents.push(Tracked {
                incident,
                alerts: Vec::new(),
                counted: false,
                breaches_counted: Vec::new(),
                acknowledged: None,
            });
            history.incidents.len() - 1
        }
    }
}

fn id_of(history: &History, group: &Group, service: &str, now: Instant) -> IncidentId {
    let begins = |outage: &&Outage| group.parts(outage, now).any(|(part, _)| part.from == group.start());
    let key = group.outages(history, now).find(begins).map_or("", |outage| &*outage.key);
    let name = format!("{service}\n{key}\n{}", group.start().as_micros());
    IncidentId(xxh3_64(name.as_bytes()))
}

/// The record is no incident of its own any more: it became part of another one, or its facts are gone.
fn dismiss(tracked: &mut Tracked, into: Option<IncidentId>, cx: &Context<'_>, effects: &mut Vec<Effect>) {
    let reason = if into.is_some() { Reason::Merged } else { Reason::Corrected };
    tracked.incident.status = if into.is_some() { Status::Merged } else { Status::Withdrawn };
    tracked.incident.merged_into = into;
    tracked.incident.next_level = None;
    tracked.incident.accruing = None;
    for alert in tracked.alerts.drain(..) {
        let ended = cx.now.max(alert.starts);
        effects.push(Effect { at: cx.now, reason: reason.clone(), kind: EffectKind::Resolve(alert, ended) });
    }
    let kind = EffectKind::Record(Box::new(tracked.incident.clone()));
    effects.push(Effect { at: cx.now, reason, kind });
}

/// Brings one record in line with its group, and says what changed.
fn reassess(
    history: &mut History,
    place: usize,
    group: &Group,
    cx: &Context<'_>,
    counts: &mut Counts,
    effects: &mut Vec<Effect>,
) {
    let before = &history.incidents[place].incident;
    let after = assess::assess(before, group, history, cx);
    let reason = assess::reason(before, &after, cx);
    // A limit that was seen to pass counts at once. One that had passed before the outage was reported counts when
    // its restoration is confirmed: until then its end may be on the way, and a count cannot be taken back.
    let certain = |clock: &&Clock| {
        let seen_to_pass = before.clock(clock.name).is_some_and(|was| was.breached.is_none());
        clock.breached.is_some() && (seen_to_pass || after.verified.is_some())
    };
    let breached: Vec<ClockName> = after.clocks.iter().filter(certain).map(|clock| clock.name).collect();
    let changed = *before != after;
    let tracked = &mut history.incidents[place];
    for name in breached {
        if !tracked.breaches_counted.contains(&name) {
            tracked.breaches_counted.push(name);
            counts.breached(name);
        }
    }
    tracked.incident = after;
    alerts::update(&mut tracked.alerts, &tracked.incident, cx.now, &reason, effects);
    if changed {
        let kind = EffectKind::Record(Box::new(tracked.incident.clone()));
        effects.push(Effect { at: cx.now, reason, kind });
    }
    if tracked.incident.verified.is_some() && !tracked.counted {
        // It is kept for long, and seldom changes again.
        tracked.incident.levels.shrink_to_fit();
        tracked.incident.clocks.shrink_to_fit();
        tracked.counted = true;
        counts.closed(tracked.incident.level, tracked.incident.cause);
    }
}

/// When to look again. Only the last incident of a service can be live.
fn deadlines(history: &History, live: Option<&Incident>, cx: &Context<'_>) -> Deadlines {
    Timer::INCIDENT.map(|timer| {
        let at = match timer {
            Timer::Mark => history.next_edge(cx.now),
            Timer::Level => live.and_then(|incident| incident.next_level).map(|(_, at)| at),
            Timer::Response => live.and_then(|incident| assess::breach_due(incident, 0)),
            Timer::Repair => live.and_then(|incident| assess::breach_due(incident, 1)),
            Timer::Quiet => live.and_then(|incident| incident.restored).map(|end| end.plus(cx.reopen)),
            // Those of feeds, budgets and policies follow from other things.
            Timer::Policy | Timer::Silence | Timer::Budget | Timer::Latency => None,
        };
        at.filter(|&at| at > cx.now)
    })
}
