//! What one incident amounts to as it stands now: its record, derived from its episodes.

use super::clocks::Rules;
use super::clusters::confirmed;
use super::impact::{Impact, Scene};
use super::levels;
use crate::model::actions::Actions;
use crate::model::effect::Reason;
use crate::model::event::Cause;
use crate::model::incident::{Clock, Incident, LevelChange, Stage, Status};
use crate::model::level::{Condition, LevelRules};
use crate::model::procedure::ClockRule;
use crate::model::service::ServiceName;
use crate::model::time::{Instant, Span};

/// What incidents are judged by.
pub(super) struct Context<'a> {
    pub(super) now: Instant,
    pub(super) levels: &'a LevelRules,
    pub(super) clocks: &'a [ClockRule],
    pub(super) reopen: Span,
    /// What led here, when the marks alone do not say.
    pub(super) policy_changed: bool,
}

/// The record as it stands now, and when one of its clocks is to be looked at next. `actions` is what was done about it.
pub(super) fn assess(
    before: &Incident,
    (scene, impact): (&Scene<'_>, &Impact),
    actions: Actions,
    cx: &Context<'_>,
) -> (Incident, Option<Instant>) {
    let (registry, cluster) = (scene.registry, scene.cluster);
    let segments = impact.segments();
    let touches: levels::Touches<'_> = &|condition| touches(condition, scene, impact);
    let restored = cluster.restored();
    let verdict = levels::judge(cx.levels, segments, touches, cx.now);
    let peak = segments.last().and_then(|segment| segment.peak.users);
    let open = segments.last().filter(|segment| segment.end.is_none());
    let detail = |(at, place)| registry.history(place).and_then(|history| history.detail(at));
    let suspected = impact.suspected(scene).map(|place| registry.name(place));
    let known = [before.suspected_cause.as_ref(), Some(&before.service)];
    let known = known.into_iter().flatten().find(|known| Some(known.as_str()) == suspected).cloned();
    let mut after = Incident {
        merged_into: None,
        started: cluster.start,
        restored,
        verified: restored.and_then(|end| verified(end, scene, cx)),
        services: cluster.services.len() as u64,
        suspected_cause: known.or_else(|| suspected.map(ServiceName::known)),
        users: peak.map(|(users, _)| users),
        users_estimated: peak.is_some_and(|(_, estimated)| estimated),
        user_micros: segments.last().map_or(0, |segment| segment.lost()),
        accruing: open.and_then(|segment| segment.users.map(|users| (users, segment.start))),
        next_level: verdict.next.filter(|_| restored.is_none()),
        cause: located(&actions).or_else(|| impact.cause()).unwrap_or_default(),
        flaps: impact.flaps(),
        detail: impact.detailed().and_then(detail),
        actions,
        ..before.clone()
    };
    let reached = |stage| after.reached_at(stage).is_some();
    after.status = match (restored, after.verified) {
        (Some(_), Some(_)) if reached(Stage::Reviewed) => Status::Reviewed,
        (Some(_), _) => Status::Restored,
        (None, _) if reached(Stage::Mitigated) => Status::Mitigated,
        (None, _) if reached(Stage::Acknowledged) => Status::Acknowledged,
        (None, _) => Status::Open,
    };
    set_level(&mut after, &verdict, cx);
    let holding: &dyn Fn(&[Condition]) -> Option<Instant> =
        &|conditions| levels::reached(conditions, segments, touches);
    let rules = Rules { clocks: cx.clocks, targets: impact.limits(), holding, now: cx.now };
    let (clocks, next) = rules.run(&after);
    after.clocks = clocks;
    (after, next)
}

/// Since when it touches what a condition about its services asks for.
fn touches(condition: &Condition, scene: &Scene<'_>, impact: &Impact) -> Option<Instant> {
    let registry = scene.registry;
    match condition {
        Condition::RegionsAtLeast(count) => impact.touched_regions(*count),
        Condition::Kind(kind) => impact.first_of(|place| registry.kind(place) == kind),
        Condition::Tier(tier) => impact.first_of(|place| registry.tier(place) == tier),
        Condition::Tag(group) => {
            let group = registry.find_group(group)?;
            impact.first_of(|place| registry.is_in(place, group))
        }
        // Those are about how long it lasts, and for whom.
        _ => None,
    }
}

/// When the restoration was confirmed: by an operator or, once nothing was out for long enough, by that.
fn verified(end: Instant, scene: &Scene<'_>, cx: &Context<'_>) -> Option<Instant> {
    let by_operator = confirmed(scene.registry, scene.number, scene.cluster, end);
    let by_quiet = end.plus(cx.reopen);
    by_operator.into_iter().chain([by_quiet]).min().filter(|&at| at <= cx.now)
}

/// Records a change of level: a rise at the instant at which the rule came to hold, a fall when it became known. What
/// somebody said it is holds until a rule of a graver level comes to hold afterwards.
fn set_level(incident: &mut Incident, verdict: &levels::Verdict, cx: &Context<'_>) {
    let said =
        incident.reclassified().filter(|(level, record)| *level >= verdict.level || record.at >= verdict.since);
    let change = match said {
        Some((level, record)) => {
            let (by, why) =
                (record.by.as_deref().unwrap_or("?"), record.detail.as_deref().unwrap_or("no reason given"));
            LevelChange { at: record.at, level, rule: format!("reclassified by {by}: {why}") }
        }
        None => LevelChange { at: verdict.since, level: verdict.level, rule: verdict.rule.clone() },
    };
    let by_somebody = said.is_some();
    incident.next_level = incident.next_level.filter(|&(next, _)| next > change.level);
    let change = match incident.levels.last() {
        None => {
            incident.first_level = change.level;
            change
        }
        Some(last) if change.level == last.level => return,
        Some(last) if change.level > last.level || by_somebody => change,
        Some(_) => {
            let why = if cx.policy_changed { "the rules changed" } else { "corrected by a later fact" };
            LevelChange { at: cx.now, rule: format!("{} ({why})", change.rule), ..change }
        }
    };
    incident.level = change.level;
    // What fires keeps its labels while the level lasts.
    incident.scope = incident.suspected_cause.clone().unwrap_or_else(|| incident.service.clone());
    // Most have one level for ever.
    incident.levels.reserve_exact(1);
    incident.levels.push(change);
}

/// What it came from, as those found who located it.
fn located(actions: &Actions) -> Option<Cause> {
    actions.telling().rev().filter_map(|record| record.cause).find(|&cause| cause != Cause::Unknown)
}

/// Why the record changed, the weightiest reason first.
pub(super) fn reason(before: &Incident, after: &Incident, cx: &Context<'_>) -> Reason {
    let before_it = |clock: &&Clock| before.clock(&clock.name);
    let breached =
        |clock: &&Clock| clock.breached.is_some() && before_it(clock).is_none_or(|was| was.breached.is_none());
    let warned =
        |clock: &&Clock| clock.stopped.is_none() && clock.warned > before_it(clock).and_then(|was| was.warned);
    if before.levels.is_empty() {
        Reason::Opened
    } else if after.level > before.level {
        Reason::Escalated(after.level)
    } else if let Some(clock) = after.clocks.iter().find(breached) {
        Reason::Breached(clock.name.clone())
    } else if cx.policy_changed {
        Reason::PolicyChanged
    } else if before.restored.is_some() && after.restored.is_none() {
        Reason::Reopened
    } else if before.verified.is_none() && after.verified.is_some() {
        Reason::Verified
    } else if before.restored.is_none() && after.restored.is_some() {
        Reason::Restored
    } else if let Some(record) = after.actions.first_new(&before.actions) {
        Reason::Acted(record.action)
    } else if let Some(clock) = after.clocks.iter().find(warned) {
        Reason::Warned(clock.name.clone())
    } else {
        Reason::Corrected
    }
}
