//! Error budgets: when one is at risk, spent, or spent too fast, for services and groups, to the microsecond.

use super::alerts;
use super::crossing::{self, Account, Gauge, Next, just_before};
use super::groups::{Group, UpTo};
use super::timeline::{Stand, Timeline};
use super::watch::Watch;
use crate::model::alert::{About, Alert, AlertFacts, AlertKey, AlertName, BurnPair, Owner};
use crate::model::because::Because;
use crate::model::effect::{Effect, Reason};
use crate::model::figures::Lengths;
use crate::model::level::Ratio;
use crate::model::target::Maintenance;
use crate::model::time::{Instant, Span, Window};

/// The burn rate of a smaller group says no more than that one of its services is down.
const BURN_MEMBERS_MIN: u64 = 10;
/// What may change sooner than this is solved for exactly; what may not is looked at again when it may.
const NEAR: Span = Span::from_secs(1);

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

    /// How much is lost beyond it at `now`.
    fn overspent_by(&self, account: &impl Account, now: Instant) -> i128 {
        Gauge { window: self.window.length(), of: &self.overspent() }.value(account, now)
    }

    /// When it will be spent, if nothing changes; `None` when it is, or will not be.
    pub(super) fn spent_at(&self, account: &impl Account, now: Instant) -> Option<Instant> {
        let overspent = self.overspent();
        let gauges = [Gauge { window: self.window.length(), of: &overspent }];
        if self.target.rest() == 0 || crossing::holds(account, &gauges, now) || !self.burns(account, now) {
            return None;
        }
        // In a window's length all that is in it now has left it.
        match overspent_from(account, &gauges, now, self.window.length()) {
            Next::At(at) => Some(just_before(at)),
            Next::Look(_) | Next::Never => None,
        }
    }

    /// Whether it is being spent.
    fn burns(&self, account: &impl Account, now: Instant) -> bool {
        account.speed(now).promised(self.mode).0 > 0
    }

    fn because(&self) -> Because {
        let budget = self.target.rest() * i128::from(self.window.length().as_micros()) / i128::from(Ratio::WHOLE);
        let budget = Span::from_micros(i64::try_from(budget).unwrap_or(i64::MAX));
        Because::Budget { budget, window: self.window, target: self.target }
    }

    fn alert(&self, name: AlertName, of: &Owner, starts: Instant, spent_at: Option<Instant>) -> Alert {
        Alert {
            key: AlertKey { name, about: About::Budget { of: of.clone(), window: self.window } },
            starts,
            facts: AlertFacts { started: starts, because: self.because(), spent_at, incident: None },
        }
    }

    /// The alert of a budget that is overspent at `now`.
    fn exhausted(&self, account: &impl Account, of: &Owner, now: Instant) -> Alert {
        // It was met exactly a moment ago, unless it was learned only now.
        let exact = just_before(now);
        let just = self.overspent_by(account, exact) <= 0;
        self.alert(AlertName::ErrorBudgetExhausted, of, if just { exact } else { now }, None)
    }

    /// What the budget calls for at `now`. `before` is what fires.
    fn judge(&self, account: &impl Account, of: &Owner, before: &[Alert], now: Instant) -> Judgement {
        let overspent = self.overspent();
        let gauges = [Gauge { window: self.window.length(), of: &overspent }];
        if self.target.rest() == 0 {
            return Judgement { wanted: Vec::new(), deadline: None };
        }
        if crossing::holds(account, &gauges, now) {
            let alert = self.exhausted(account, of, now);
            let deadline = crossing::next(account, &gauges, now, false).deadline();
            return Judgement { wanted: vec![alert], deadline };
        }
        let at = match overspent_from(account, &gauges, now, self.horizon) {
            Next::At(at) => at,
            // It is not before that instant, so not at risk until so long before it.
            Next::Look(at) => {
                let deadline = Some(just_before(at).minus(self.horizon));
                return Judgement { wanted: Vec::new(), deadline };
            }
            Next::Never => return Judgement { wanted: Vec::new(), deadline: None },
        };
        let spent_at = just_before(at);
        let at_risk_from = spent_at.minus(self.horizon);
        // What is open may be spared before that, or something open no longer be.
        let look = account.next_after(now).into_iter().chain([at]).min();
        if !self.burns(account, now) {
            return Judgement { wanted: Vec::new(), deadline: look };
        }
        if now < at_risk_from {
            return Judgement { wanted: Vec::new(), deadline: Some(at_risk_from) };
        }
        let known = before.iter().find(|alert| alert.key.name == AlertName::ErrorBudgetAtRisk);
        let starts = known.map_or(now, |alert| alert.starts);
        let alert = self.alert(AlertName::ErrorBudgetAtRisk, of, starts, Some(spent_at));
        Judgement { wanted: vec![alert], deadline: look }
    }
}

/// When every gauge comes to be above nothing: looked for at least so far `ahead`, however much changes until then.
fn overspent_from(account: &impl Account, gauges: &[Gauge<'_>], now: Instant, ahead: Span) -> Next {
    let mut next = crossing::next(account, gauges, now, true);
    while let Next::Look(at) = next
        && just_before(at) <= now.plus(ahead)
    {
        next = crossing::next(account, gauges, at, true);
    }
    next
}

/// What a service's budget calls for.
pub(super) fn of_service(
    promise: Option<Promise>,
    account: &ServiceAccount<'_>,
    of: &Owner,
    before: &[Alert],
    now: Instant,
) -> Judgement {
    // A late fact may have spent it though nothing is open.
    let matters =
        |promise: &Promise| !(before.is_empty() && account.rests(now)) || promise.overspent_by(account, now) > 0;
    match promise.filter(matters) {
        Some(promise) => promise.judge(account, of, before, now),
        None => Judgement { wanted: Vec::new(), deadline: None },
    }
}

/// What a group's budget calls for, when to look again, and how soon other things may matter.
pub(super) fn of_group(
    promise: Option<Promise>,
    group: &Group,
    of: &Owner,
    before: &[Alert],
    now: Instant,
) -> (Judgement, Watch) {
    let mut look = Look::new(promise, group, now);
    if let Some(promise) = promise.filter(|promise| promise.target.rest() > 0) {
        // Of what fires it is asked how long it lasts, and the pairs' windows are the shortest.
        if group.members >= BURN_MEMBERS_MIN {
            BurnPair::ALL.into_iter().for_each(|pair| look.at_pair(pair, &promise, of, before));
        }
        look.at_budget(&promise, of, before);
        // What is known to begin ahead of now; what it spends may matter so long before.
        if let Some(at) = group.next_down_after(now) {
            look.again_at(at);
            look.watch.ends(at.minus(promise.horizon));
        }
    }
    (look.judgement, look.watch)
}

/// A look at a group. Solving for the exact instant costs something with each piece of what leaves a window, so it is
/// done only when the bound says that the instant may be near.
struct Look<'a> {
    group: &'a Group,
    now: Instant,
    known: UpTo,
    /// The weight that is down.
    down: i128,
    /// The weight that may be lost in a microsecond, with what shortens the window.
    losing: i128,
    judgement: Judgement,
    watch: Watch,
}

impl<'a> Look<'a> {
    fn new(promise: Option<Promise>, group: &'a Group, now: Instant) -> Self {
        let rest = promise.map_or(0, |promise| promise.target.rest());
        // Maintenance and silence shorten the window by no more than all of it: each moment takes its part of the
        // budget.
        let shrinks = (group.weight() * rest).div_euclid(i128::from(Ratio::WHOLE)) + 1;
        let down = Group::speed(group, now).down_gross;
        let judgement = Judgement { wanted: Vec::new(), deadline: None };
        let (known, losing) = (group.up_to(now), down + shrinks);
        Self { group, now, known, down, losing, judgement, watch: Watch::new(now, losing) }
    }

    fn again_at(&mut self, at: Instant) {
        self.judgement.deadline = self.judgement.deadline.into_iter().chain([at]).min();
    }

    /// The lengths from `from` until now.
    fn since(&self, from: Instant) -> Lengths {
        self.group.between(&self.group.up_to(from), &self.known)
    }

    /// The soonest instant at which so much more can be lost, when that is not near.
    fn far(&self, left: i128, ahead: Span) -> Option<Instant> {
        let micros = i64::try_from(left.checked_div_euclid(self.losing)?).unwrap_or(i64::MAX);
        Some(self.now.plus(Span::from_micros(micros)).minus(ahead)).filter(|&at| at > self.now.plus(NEAR))
    }

    fn at_budget(&mut self, promise: &Promise, of: &Owner, before: &[Alert]) {
        let overspent = promise.overspent();
        let gauge = Gauge { window: promise.window.length(), of: &overspent };
        let lengths = self.since(self.now.minus(gauge.window));
        let value = overspent(&lengths);
        let left = (-value).div_euclid(i128::from(Ratio::WHOLE));
        if value <= 0 {
            self.watch.spent_after(left, promise.horizon);
            // Where nothing was lost, a shorter window spends nothing either.
            if self.down == 0 && lengths.down_gross == 0 {
                return;
            }
            // What is known to begin has its part in when the budget will be spent.
            let ahead = self.group.next_down_after(self.now).map(|at| at.minus(promise.horizon));
            if let Some(at) = self.far(left, promise.horizon)
                && ahead.is_none_or(|ahead| ahead > self.now.plus(NEAR))
            {
                ahead.into_iter().chain([at]).for_each(|at| self.again_at(at));
                return;
            }
        }
        self.watch.fires(value > 0);
        if value > 0
            && let Some(at) = self.lasts_until(&gauge)
        {
            self.judgement.wanted.push(promise.exhausted(self.group, of, self.now));
            self.again_at(at);
            return;
        }
        self.watch.comes_near();
        let exact = promise.judge(self.group, of, before, self.now);
        self.judgement.wanted.extend(exact.wanted);
        exact.deadline.into_iter().for_each(|at| self.again_at(at));
    }

    fn at_pair(&mut self, pair: BurnPair, promise: &Promise, of: &Owner, before: &[Alert]) {
        let burns = burns(pair, promise);
        let gauges = pair.windows().map(|window| Gauge { window, of: &burns });
        let values = [0, 1].map(|place: usize| burns(&self.since(self.now.minus(gauges[place].window))));
        let holds = values.iter().all(|&value| value > 0);
        if holds {
            self.judgement.wanted.push(burn(pair, promise, self.group, (of, before), self.now));
            self.watch.fires(true);
            let [long, short] = &gauges;
            if let Some(at) = self.lasts_until(short) {
                self.again_at(at);
                if let Some(at) = self.lasts_until(long) {
                    self.again_at(at);
                    return;
                }
            }
        } else {
            // Both must be beyond: that which is further from it says how soon.
            let missing = values.iter().filter(|&&value| value <= 0).map(|&value| -value).max().unwrap_or(0);
            let left = missing.div_euclid(10 * i128::from(Ratio::WHOLE));
            self.watch.fast_after(left);
            if self.down == 0 {
                return;
            }
            if let Some(at) = self.far(left, Span::ZERO) {
                self.again_at(at);
                return;
            }
        }
        self.watch.comes_near();
        let next = crossing::next(self.group, &gauges, self.now, !holds);
        next.deadline().into_iter().for_each(|at| self.again_at(at));
    }

    /// Until when at least the gauge stays above nothing even if nothing is open from now on, when that is not near:
    /// all that was lost has to leave the window first, and it leaves it from its old end.
    fn lasts_until(&self, gauge: &Gauge<'_>) -> Option<Instant> {
        let above = |at: Instant| {
            let from = at.minus(gauge.window);
            let lost = if from < self.now { self.since(from) } else { Lengths::default() };
            let observed = self.group.observed(from, at);
            (gauge.of)(&Lengths { observed, excluded: 0, unknown: 0, blind: 0, ..lost }) > 0
        };
        let (mut lasts, mut over) = (self.now.plus(NEAR), self.now.plus(gauge.window));
        if !above(lasts) {
            return None;
        }
        // There will be a look by then anyway.
        let again = self.judgement.deadline.filter(|&again| lasts < again && again < over);
        if let Some(again) = again.filter(|&again| above(again)) {
            return Some(again);
        }
        over = again.unwrap_or(over);
        // It is looked at again then, so an eighth sooner does no harm, and closer would cost more looks at the past.
        while over.since(lasts) > NEAR && over.since(lasts).as_micros() > lasts.since(self.now).as_micros() / 8 {
            let middle = lasts.plus(Span::from_micros(over.since(lasts).as_micros() / 2));
            *(if above(middle) { &mut lasts } else { &mut over }) = middle;
        }
        Some(lasts)
    }
}

/// How much more is lost in a window than the pair's burn rate allows, times 10¹⁰.
fn burns(pair: BurnPair, promise: &Promise) -> impl Fn(&Lengths) -> i128 + use<> {
    let too_fast = pair.tenths() * promise.target.rest();
    move |lengths| 10 * i128::from(Ratio::WHOLE) * lengths.down - too_fast * lengths.observed
}

/// The alert of a pair that is beyond its rate at `now`.
fn burn(pair: BurnPair, promise: &Promise, group: &Group, (of, before): (&Owner, &[Alert]), now: Instant) -> Alert {
    let key = AlertKey { name: AlertName::ErrorBudgetBurn, about: About::Burn { of: of.clone(), pair } };
    let known = before.iter().find(|alert| alert.key == key);
    let was = || {
        let burns = burns(pair, promise);
        let gauges = pair.windows().map(|window| Gauge { window, of: &burns });
        crossing::holds(group, &gauges, just_before(now))
    };
    let starts = known.map_or_else(|| if was() { now } else { just_before(now) }, |alert| alert.starts);
    let because = Because::Burn { pair, target: promise.target };
    Alert { key, starts, facts: AlertFacts { started: starts, because, spent_at: None, incident: None } }
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
        if let Some(known) = firing.iter().find(|known| known.key == alert.key) {
            alert.facts.started = known.facts.started;
        }
    }
    let ended = |alert: &Alert, wanted: &[Alert]| {
        // What was at risk is spent from the instant at which the last of it was.
        let spent = wanted.iter().find(|other| {
            alert.key.name == AlertName::ErrorBudgetAtRisk && other.key.name == AlertName::ErrorBudgetExhausted
        });
        spent.map_or(now, |spent| spent.starts)
    };
    alerts::reconcile(firing, wanted, ended, (now, reason), effects);
}
