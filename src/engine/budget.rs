//! Error budgets: when one is at risk, spent, or spent too fast, for services and groups, to the microsecond.

use super::crossing::{self, Account, Gauge, Next, just_before};
use super::groups::Group;
use super::timeline::{Stand, Timeline};
use super::watch::Watch;
use crate::model::alert::{About, Alert, AlertFacts, AlertKey, AlertName, BurnPair, Owner};
use crate::model::effect::{Effect, EffectKind, Reason};
use crate::model::figures::Lengths;
use crate::model::level::Ratio;
use crate::model::target::Maintenance;
use crate::model::time::{Instant, Span, Window};

/// The burn rate of a smaller group says no more than that one of its services is down.
const BURN_MEMBERS_MIN: u64 = 10;

/// What is promised, as a budget.
#[derive(Clone, Copy, Debug)]
pub(super) struct Promise {
    pub(super) target: Ratio,
    pub(super) mode: Maintenance,
    pub(super) window: Window,
    /// How far ahead its end makes it at risk.
    pub(super) horizon: Span,
}

/// A service's lengths.
pub(super) struct ServiceAccount<'a> {
    pub(super) timeline: &'a Timeline,
    pub(super) since: Instant,
}

/// What an owner's budget calls for, and when to look again.
pub(super) struct Judgement {
    pub(super) wanted: Vec<Alert>,
    pub(super) deadline: Option<Instant>,
}

impl Account for ServiceAccount<'_> {
    fn lengths(&self, from: Instant, until: Instant) -> Lengths {
        let from = from.max(self.since);
        if from < until { self.timeline.lengths(from, until).0 } else { Lengths::default() }
    }

    fn speed(&self, at: Instant) -> Lengths {
        if at < self.since {
            return Lengths::default();
        }
        let stand = self.timeline.stand(at);
        let when = i128::from;
        Lengths {
            observed: 1,
            excluded: when(stand.excluded),
            unknown: when(stand.unknown),
            blind: when(stand.blind()),
            down: when(stand.down && !stand.blind()),
            down_gross: when(stand.down && !stand.unknown),
            ..Lengths::default()
        }
    }

    fn next_after(&self, at: Instant) -> Option<Instant> {
        let since = Some(self.since).filter(|&since| since > at);
        self.timeline.next_after(at).into_iter().chain(since).min()
    }
}

impl ServiceAccount<'_> {
    /// Whether nothing can go wrong by itself: nothing is open and nothing lies ahead.
    fn rests(&self, now: Instant) -> bool {
        self.timeline.stand(now) == Stand::default() && self.next_after(now).is_none()
    }
}

impl Account for Group {
    fn lengths(&self, from: Instant, until: Instant) -> Lengths {
        self.promised(from, until)
    }

    fn speed(&self, at: Instant) -> Lengths {
        Group::speed(self, at)
    }

    fn next_after(&self, at: Instant) -> Option<Instant> {
        Group::next_after(self, at)
    }
}

impl Promise {
    /// When the budget is overspent: how much is lost beyond it, above nothing.
    fn overspent(&self) -> impl Fn(&Lengths) -> i128 + use<> {
        let Self { mode, target, .. } = *self;
        move |lengths| -lengths.budget(mode, target).0
    }

    /// When it will be spent, if nothing changes; `None` when it is, or will not be.
    pub(super) fn spent_at(&self, account: &impl Account, now: Instant) -> Option<Instant> {
        let overspent = self.overspent();
        let gauge = Gauge { window: self.window.length(), of: &overspent };
        if self.target.rest() == 0 || gauge.value(account, now) > 0 || !self.burns(account, now) {
            return None;
        }
        match crossing::next(account, &[gauge], now, true) {
            Next::At(at) => Some(just_before(at)),
            Next::Look(_) | Next::Never => None,
        }
    }

    /// Whether it is being spent.
    fn burns(&self, account: &impl Account, now: Instant) -> bool {
        account.speed(now).promised(self.mode).0 > 0
    }

    fn describe(&self) -> String {
        let budget = self.target.rest() * i128::from(self.window.length().as_micros()) / i128::from(Ratio::WHOLE);
        let budget = Span::from_micros(i64::try_from(budget).unwrap_or(i64::MAX));
        format!("{} of downtime in {} at a target of {}", budget, self.window.name(), percent(self.target))
    }

    fn alert(&self, name: AlertName, of: &Owner, starts: Instant, spent_at: Option<Instant>) -> Alert {
        Alert {
            key: AlertKey { name, about: About::Budget { of: of.clone(), window: self.window } },
            starts,
            facts: AlertFacts { started: starts, because: self.describe(), spent_at, incident: None },
        }
    }

    /// What the budget calls for at `now`. `before` is what fires.
    fn judge(&self, account: &impl Account, of: &Owner, before: &[Alert], now: Instant) -> Judgement {
        let overspent = self.overspent();
        let gauges = [Gauge { window: self.window.length(), of: &overspent }];
        if self.target.rest() == 0 {
            return Judgement { wanted: Vec::new(), deadline: None };
        }
        if crossing::holds(account, &gauges, now) {
            // It was met exactly a moment ago, unless it was learned only now.
            let exact = just_before(now);
            let just = gauges[0].value(account, exact) <= 0;
            let alert = self.alert(AlertName::ErrorBudgetExhausted, of, if just { exact } else { now }, None);
            let deadline = crossing::next(account, &gauges, now, false).deadline();
            return Judgement { wanted: vec![alert], deadline };
        }
        let next = crossing::next(account, &gauges, now, true);
        let Next::At(at) = next else { return Judgement { wanted: Vec::new(), deadline: next.deadline() } };
        let spent_at = just_before(at);
        let at_risk_from = spent_at.minus(self.horizon);
        if !self.burns(account, now) {
            // Something lies ahead; nothing is open yet.
            return Judgement { wanted: Vec::new(), deadline: account.next_after(now).or(Some(at)) };
        }
        if now < at_risk_from {
            return Judgement { wanted: Vec::new(), deadline: Some(at_risk_from) };
        }
        let known = before.iter().find(|alert| alert.key.name == AlertName::ErrorBudgetAtRisk);
        let starts = known.map_or(now, |alert| alert.starts);
        let alert = self.alert(AlertName::ErrorBudgetAtRisk, of, starts, Some(spent_at));
        Judgement { wanted: vec![alert], deadline: Some(at) }
    }
}

/// What a service's budget calls for.
pub(super) fn of_service(
    promise: Option<Promise>,
    account: &ServiceAccount<'_>,
    of: &Owner,
    before: &[Alert],
    now: Instant,
) -> Judgement {
    match promise {
        Some(promise) if !(before.is_empty() && account.rests(now)) || promise_broken(&promise, account, now) => {
            promise.judge(account, of, before, now)
        }
        _ => Judgement { wanted: Vec::new(), deadline: None },
    }
}

/// Whether more is lost than the budget, which a late fact may make so though nothing is open.
fn promise_broken(promise: &Promise, account: &ServiceAccount<'_>, now: Instant) -> bool {
    let overspent = promise.overspent();
    Gauge { window: promise.window.length(), of: &overspent }.value(account, now) > 0
}

/// What a group's budget calls for: it is watched for how fast it is spent as well.
pub(super) fn of_group(
    promise: Option<Promise>,
    group: &Group,
    of: &Owner,
    before: &[Alert],
    now: Instant,
) -> Judgement {
    let Some(promise) = promise.filter(|promise| promise.target.rest() > 0) else {
        return Judgement { wanted: Vec::new(), deadline: None };
    };
    let mut judgement = promise.judge(group, of, before, now);
    if group.members < BURN_MEMBERS_MIN {
        return judgement;
    }
    for pair in BurnPair::ALL {
        let (wanted, deadline) = burn(pair, &promise, group, of, before, now);
        judgement.wanted.extend(wanted);
        judgement.deadline = judgement.deadline.into_iter().chain(deadline).min();
    }
    judgement
}

/// How soon a group's budget may call for something that it does not call for at `now`.
pub(super) fn watch(promise: Option<Promise>, group: &Group, now: Instant) -> Watch {
    let Some(promise) = promise.filter(|promise| promise.target.rest() > 0) else {
        return Watch::new(now, (i128::MAX / 4, Span::ZERO), i128::MAX / 4, 0);
    };
    let whole = i128::from(Ratio::WHOLE);
    let overspent = promise.overspent();
    let spent = Gauge { window: promise.window.length(), of: &overspent }.value(group, now);
    let fast = BurnPair::ALL.into_iter().map(|pair| {
        let [long, _] = pair.windows();
        let value = Gauge { window: long, of: &burns(pair, &promise) }.value(group, now);
        (-value).div_euclid(10 * whole)
    });
    // Maintenance and silence shorten the window, by no more than all of it: each moment takes its part of the budget.
    let shrinks = (group.weight() * promise.target.rest()).div_euclid(whole) + 1;
    let down = Account::speed(group, now).down_gross + shrinks;
    Watch::new(now, ((-spent).div_euclid(whole), promise.horizon), fast.min().unwrap_or(0), down)
}

/// How much more is lost in a window than the pair's burn rate allows, times 10¹⁰.
fn burns(pair: BurnPair, promise: &Promise) -> impl Fn(&Lengths) -> i128 + use<> {
    let too_fast = pair.tenths() * promise.target.rest();
    move |lengths| 10 * i128::from(Ratio::WHOLE) * lengths.down - too_fast * lengths.observed
}

fn burn(
    pair: BurnPair,
    promise: &Promise,
    group: &Group,
    of: &Owner,
    before: &[Alert],
    now: Instant,
) -> (Option<Alert>, Option<Instant>) {
    let burns = burns(pair, promise);
    let gauges = pair.windows().map(|window| Gauge { window, of: &burns });
    let holds = crossing::holds(group, &gauges, now);
    let deadline = crossing::next(group, &gauges, now, !holds).deadline();
    let alert = holds.then(|| {
        let key = AlertKey { name: AlertName::ErrorBudgetBurn, about: About::Burn { of: of.clone(), pair } };
        let known = before.iter().find(|alert| alert.key == key);
        let was = || crossing::holds(group, &gauges, just_before(now));
        let starts = known.map_or_else(|| if was() { now } else { just_before(now) }, |alert| alert.starts);
        let [long, short] = pair.windows();
        let speed = pair.tenths();
        let because = format!(
            "more than {}.{} times as fast as {} allows, over {long} and over {short}",
            speed / 10,
            speed % 10,
            percent(promise.target)
        );
        Alert { key, starts, facts: AlertFacts { started: starts, because, spent_at: None, incident: None } }
    });
    (alert, deadline)
}

/// A ratio in percent, with no more digits than it has.
pub(super) fn percent(ratio: Ratio) -> String {
    let parts = ratio.parts();
    let digits = format!("{}.{:07}", parts / 10_000_000, parts % 10_000_000);
    format!("{} %", digits.trim_end_matches('0').trim_end_matches('.'))
}

/// Makes what fires agree with what is called for.
pub(super) fn update(
    firing: &mut Vec<Alert>,
    mut wanted: Vec<Alert>,
    now: Instant,
    reason: &Reason,
    effects: &mut Vec<Effect>,
) {
    for alert in &mut wanted {
        let known = firing.iter().find(|known| known.key == alert.key);
        if let Some(known) = known {
            alert.starts = known.starts;
            alert.facts.started = known.facts.started;
        }
        if known != Some(&*alert) {
            effects.push(Effect { at: now, reason: reason.clone(), kind: EffectKind::Fire(alert.clone()) });
        }
    }
    for alert in firing.drain(..) {
        if wanted.iter().any(|other| other.key == alert.key) {
            continue;
        }
        // What was at risk is spent from the instant at which the last of it was.
        let spent = wanted.iter().find(|other| {
            alert.key.name == AlertName::ErrorBudgetAtRisk && other.key.name == AlertName::ErrorBudgetExhausted
        });
        let ended = spent.map_or(now, |spent| spent.starts).max(alert.starts);
        effects.push(Effect { at: now, reason: reason.clone(), kind: EffectKind::Resolve(alert, ended) });
    }
    *firing = wanted;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_written_with_the_digits_that_it_has() {
        assert_eq!(percent(Ratio::new(0.9999).unwrap()), "99.99 %");
        assert_eq!(percent(Ratio::new(0.5).unwrap()), "50 %");
        assert_eq!(percent(Ratio::new(1.0).unwrap()), "100 %");
        assert_eq!(percent(Ratio::new(0.99995).unwrap()), "99.995 %");
    }
}
