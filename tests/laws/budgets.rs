//! What the alerts about error budgets must be at an instant, found by looking at the figures of every instant that
//! matters: written from the definitions, without the engine's way of solving for it.

use std::collections::{BTreeMap, BTreeSet};

use fournines::engine::{Engine, Input};
use fournines::model::alert::{About, AlertName, BurnPair, Owner};
use fournines::model::calendar::Range;
use fournines::model::figures::Lengths;
use fournines::model::level::{LevelRules, Ratio};
use fournines::model::policy::Policy;
use fournines::model::service::{ServiceFacts, ServiceName};
use fournines::model::target::{LatencyTarget, Maintenance, Targets, Value};
use fournines::model::time::{Instant, Span, Window};
use proptest::collection::vec;
use proptest::prelude::*;

use super::world::{HEARTBEAT, SERVICES, Saying, What, at, decoded, policy};

const TICK: Span = Span::from_micros(1);
const SECOND: i64 = 1_000_000;

/// Something that has a budget, as it can be read: its lengths between two instants.
pub(crate) struct Budget<'a> {
    pub(crate) owner: Owner,
    pub(crate) target: Ratio,
    pub(crate) mode: Maintenance,
    pub(crate) lengths: Box<dyn Fn(Instant, Instant) -> Lengths + 'a>,
    /// When it says itself that the budget will be spent.
    pub(crate) breach: Option<Instant>,
    pub(crate) window: Span,
    pub(crate) horizon: Span,
}

/// An alert about a budget: its name, and the pair of a burn rate.
pub(crate) type Name = (AlertName, Option<BurnPair>);
/// What fires, by owner: since when, and when the budget will be spent.
pub(crate) type Firing = BTreeMap<Owner, BTreeMap<Name, (Instant, Option<Instant>)>>;

/// What fires about error budgets.
pub(crate) fn firing(engine: &Engine) -> Firing {
    let mut all = Firing::new();
    for alert in engine.alerts() {
        let (of, pair) = match &alert.key.about {
            About::Budget { of, .. } => (of, None),
            // A service's burn rate is that of its latency, which is another matter.
            About::Burn { of: of @ Owner::Group(_), pair } => (of, Some(*pair)),
            _ => continue,
        };
        let fires = (alert.starts, alert.facts.spent_at);
        all.entry(of.clone()).or_default().insert((alert.key.name, pair), fires);
    }
    all
}

impl Budget<'_> {
    /// How much of it is left in the window that ends at `at`, times 10⁹.
    fn left(&self, at: Instant) -> i128 {
        let (lost, of) = self.promised(at.minus(self.window), at);
        self.target.rest() * of - i128::from(Ratio::WHOLE) * lost
    }

    /// What the promise takes for lost, and of how much.
    fn promised(&self, from: Instant, until: Instant) -> (i128, i128) {
        let lengths = (self.lengths)(from, until);
        match self.mode {
            Maintenance::Exclude => (lengths.down, lengths.observed - lengths.blind),
            Maintenance::CountAsUp => (lengths.down, lengths.observed - lengths.unknown),
            Maintenance::Ignore => (lengths.down_gross, lengths.observed - lengths.unknown),
        }
    }

    /// Whether it is overspent.
    fn is_exhausted(&self, at: Instant) -> bool {
        self.left(at) < 0
    }

    /// The last instant at which it is not overspent, if what is open at `at` stays open. Between edges what is left
    /// is a straight line, so the first edge past which it is overspent tells in which stretch that instant lies.
    pub(crate) fn spent_at(&self, at: Instant, edges: &[Instant]) -> Option<Instant> {
        let open = self.promised(at, at.plus(TICK)).0 > 0;
        if !open || self.is_exhausted(at) {
            return None;
        }
        let mut before = at;
        for &edge in edges.iter().filter(|&&edge| edge > at) {
            if self.is_exhausted(edge) {
                let (mut kept, mut spent) = (before.as_micros(), edge.as_micros());
                while spent - kept > 1 {
                    let middle = kept + (spent - kept) / 2;
                    let half = if self.is_exhausted(Instant::from_micros(middle)) { &mut spent } else { &mut kept };
                    *half = middle;
                }
                return Some(Instant::from_micros(kept));
            }
            before = edge;
        }
        None
    }

    /// Whether it is spent so many times too fast over both windows of the pair.
    fn burns(&self, pair: BurnPair, at: Instant) -> bool {
        pair.windows().iter().all(|&window| {
            let lengths = (self.lengths)(at.minus(window), at);
            // downtime / (1 - target) / length, in tenths.
            10 * lengths.down * i128::from(Ratio::WHOLE) > pair.tenths() * self.target.rest() * lengths.observed
        })
    }

    /// What must fire about it at `at`; the pairs are for large groups.
    pub(crate) fn called_for(
        &self,
        at: Instant,
        edges: &[Instant],
        pairs: &[BurnPair],
    ) -> BTreeMap<Name, Option<Instant>> {
        let mut wanted = BTreeMap::new();
        if self.is_exhausted(at) {
            wanted.insert((AlertName::ErrorBudgetExhausted, None), None);
        } else if let Some(spent) = self.spent_at(at, edges)
            && spent.minus(self.horizon) <= at
        {
            wanted.insert((AlertName::ErrorBudgetAtRisk, None), Some(spent));
        }
        let fast = pairs.iter().filter(|&&pair| self.burns(pair, at));
        wanted.extend(fast.map(|&pair| ((AlertName::ErrorBudgetBurn, Some(pair)), None)));
        wanted
    }

    /// Whether an alert that began by itself, with the passing of time, began when it says: at the last instant at
    /// which the limit was just met, or for one at risk at the first instant of that.
    pub(crate) fn began(&self, (name, pair): Name, starts: Instant, edges: &[Instant]) -> bool {
        let holds = |at: Instant| match (name, pair) {
            (AlertName::ErrorBudgetExhausted, _) => self.is_exhausted(at),
            (_, Some(pair)) => self.burns(pair, at),
            _ => self.spent_at(at, edges).is_some_and(|spent| spent.minus(self.horizon) <= at),
        };
        match name {
            AlertName::ErrorBudgetAtRisk => holds(starts) && !holds(starts.minus(TICK)),
            _ => holds(starts.plus(TICK)) && !holds(starts),
        }
    }
}

/// Every budget of an engine: of its services, and of the groups to which something is promised.
pub(crate) fn budgets<'a>(engine: &'a Engine, groups: &[&str]) -> Vec<Budget<'a>> {
    let now = engine.now();
    let targets = engine.targets(now);
    let (name, window, horizon) = (targets.budget_window, targets.budget_window.length(), targets.risk_horizon);
    let services = engine.services().filter(|_| targets.watch_services).map(|view| Budget {
        owner: Owner::Service(ServiceName::new(view.name()).unwrap()),
        target: view.target(now).unwrap(),
        mode: view.maintenance(now),
        lengths: Box::new(move |from, until| view.figures_within(Range { from, until }, now).lengths),
        breach: view.time_to_breach(name, now),
        window,
        horizon,
    });
    let groups = groups.iter().map(|group| engine.group(group).unwrap()).map(|view| Budget {
        owner: Owner::Group(view.name().to_owned()),
        target: view.target(now).unwrap(),
        mode: targets.maintenance_of_group(view.name()),
        lengths: Box::new(move |from, until| view.figures_within(Range { from, until }, now).lengths),
        breach: view.time_to_breach(name, now),
        window,
        horizon,
    });
    services.chain(groups).collect()
}

/// Every instant at which a window of an hour may begin to fill or to empty otherwise.
pub(crate) fn edges(world: &[Saying]) -> Vec<Instant> {
    let mut seconds: Vec<i64> = SERVICES.iter().filter_map(|known| known.since).chain([0, HEARTBEAT]).collect();
    for saying in world {
        seconds.extend([saying.at, saying.at + HEARTBEAT]);
        if let What::Planned(wait, length) = saying.what {
            seconds.extend([saying.at + wait, saying.at + wait + length]);
        }
    }
    with_window(&seconds, Window::Hour)
}

fn with_window(seconds: &[i64], window: Window) -> Vec<Instant> {
    let behind = seconds.iter().map(|&second| at(second).plus(window.length()));
    let all: BTreeSet<Instant> = seconds.iter().map(|&s| at(s)).chain(behind).collect();
    all.into_iter().collect()
}

// ---- a group that is large enough for burn rates ----

/// How many services it has: as few as burn rates are watched of.
const MANY: usize = 10;
/// How long such a world lasts, in seconds: as long as the longest window of a pair, and some more.
pub(crate) const DAYS: i64 = 5 * 86_400;

/// Several services next to one another that go down together, or whose maintenance was announced.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    first: usize,
    count: usize,
    from: i64,
    until: i64,
    planned: bool,
    /// How much later each end is told; starts are told at once.
    lag: i64,
}

fn trouble() -> impl Strategy<Value = Trouble> {
    let from = prop_oneof![0..DAYS, (0..DAYS / 7200).prop_map(|n| n * 7200), DAYS / 2..DAYS / 2 + 3600];
    let length = prop_oneof![2 => 1..300_i64, 3 => 1..7200_i64, 2 => 1..86_400_i64];
    let lag = prop_oneof![4 => Just(0_i64), 1 => 0..7200_i64];
    (0..MANY, 1..=MANY, from, length, prop::bool::weighted(0.15), lag).prop_map(
        |(first, count, from, length, planned, lag)| Trouble {
            first,
            count: count.min(MANY - first),
            from,
            until: from + length,
            planned,
            lag,
        },
    )
}

/// One that is told at once, but for its end that is told so much later.
pub(crate) fn ended_late(first: usize, count: usize, from: i64, until: i64, lag: i64) -> Trouble {
    Trouble { first, count, from, until, planned: false, lag }
}

pub(crate) fn troubles() -> impl Strategy<Value = Vec<Trouble>> {
    vec(trouble(), 1..14)
}

/// Ten services, that have users or do not, and one of which is not observed from the beginning.
pub(crate) fn large(with_users: bool, budget_window: Window) -> Policy {
    let facts = |n: usize| ServiceFacts {
        users: with_users.then_some(100 * n as u64),
        since: (n == 3).then(|| at(DAYS / 3)),
        ..ServiceFacts::default()
    };
    let plain = policy();
    let mut base = plain.targets.base;
    for target in base.iter_mut().filter(|target| target.name == "availability") {
        target.value = Value::Ratio(Ratio::new(0.99).unwrap());
    }
    Policy {
        services: (0..MANY).map(|n| (ServiceName::new(&format!("s{n}")).unwrap(), facts(n))).collect(),
        levels: LevelRules::default(),
        targets: Targets { base, budget_window, watch_services: false, overrides: Vec::new(), ..plain.targets },
        feeds: Vec::new(),
        ..plain
    }
}

/// What arrives when, in seconds, sorted.
pub(crate) fn told(troubles: &[Trouble]) -> Vec<(i64, Input)> {
    let mut all = Vec::new();
    for (key, trouble) in troubles.iter().enumerate() {
        for service in trouble.first..trouble.first + trouble.count {
            let mut tell = |kind: &str, time: i64, received: i64, rest: String| {
                let head =
                    format!(r#"{{"type":"{kind}","time":"{}","source":"hand","service":"s{service}""#, at(time));
                all.push((received, decoded(&format!("{head},{rest}}}"))));
            };
            let (from, until) = (trouble.from, trouble.until);
            if trouble.planned {
                let during = format!(r#""maintenance":"m{key}","from":"{}","until":"{}""#, at(from), at(until));
                tell("maintenance.planned", from, from, during);
            } else {
                tell("outage.started", from, from, format!(r#""outage":"k{key}""#));
                tell("outage.ended", until, until + trouble.lag, format!(r#""outage":"k{key}""#));
            }
        }
    }
    all.sort_by_key(|&(received, _)| received);
    all
}

/// Every instant at which such a window may begin to fill or to empty otherwise.
pub(crate) fn edges_of_large(troubles: &[Trouble], window: Window) -> Vec<Instant> {
    let ends = troubles.iter().flat_map(|trouble| [trouble.from, trouble.until]);
    let seconds: Vec<i64> = ends.chain([0, DAYS / 3]).collect();
    with_window(&seconds, window)
}

/// Whether the instant is a whole second: only at those something happens, and groups are looked at just after.
pub(crate) fn is_whole(at: Instant) -> bool {
    at.as_micros().rem_euclid(SECOND) == 0
}

// ---- shares of good samples ----

/// Samples of one service: when in seconds they were taken, how many, whether they took too long, and how much later
/// they are told.
#[derive(Clone, Debug)]
pub(crate) struct Sampled {
    pub(crate) at: i64,
    count: u64,
    slow: bool,
    pub(crate) lag: i64,
}

pub(crate) fn sampled() -> impl Strategy<Value = Vec<Sampled>> {
    let when =
        prop_oneof![2 => 0..DAYS, 3 => DAYS / 2..DAYS / 2 + 4000, 1 => (1..DAYS / 7200).prop_map(|n| n * 7200)];
    let count = prop_oneof![1 => Just(1_u64), 2 => 1..24_u64, 2 => 1..300_u64];
    let lag = prop_oneof![4 => Just(0_i64), 1 => 0..7200_i64, 1 => -7200..0_i64];
    let one = (when, count, prop::bool::weighted(0.3), lag).prop_map(|(at, count, slow, lag)| Sampled {
        at,
        count,
        slow,
        lag,
    });
    vec(one, 1..30)
}

impl Sampled {
    pub(crate) fn input(&self) -> Input {
        let ms = if self.slow { 300 } else { 20 };
        let (time, count) = (at(self.at), self.count);
        let head = format!(r#"{{"type":"latency","time":"{time}","source":"hand","service":"a""#);
        decoded(&format!(r#"{head},"ms":{ms},"count":{count}}}"#))
    }
}

/// The policy of the worlds with a promise that 90 % of all samples take no longer than 200 ms.
pub(crate) fn promising_latency() -> Policy {
    let plain = policy();
    let latency = Some(LatencyTarget { limit: Span::from_millis(200), ratio: Ratio::new(0.9).unwrap() });
    Policy { targets: Targets { latency, ..plain.targets }, ..plain }
}

/// What must fire at `now` about the share of good samples, of those that were told.
pub(crate) fn latency_called_for(told: &[&Sampled], now: Instant) -> BTreeSet<Name> {
    // Too many are slow over a window, made of slots of so many minutes of which the last is going on, of so many
    // times what is promised; of fewer than twenty nothing is said.
    let beyond = |minutes: i64, window: Span, tenths: u64| {
        let slot = |at: Instant| at.as_micros().div_euclid(minutes * 60 * SECOND);
        let slots = window.as_micros() / (minutes * 60 * SECOND);
        let inside = told.iter().filter(|one| (slot(now) - slots + 1..=slot(now)).contains(&slot(at(one.at))));
        let (all, slow) =
            inside.fold((0, 0), |(all, slow), one| (all + one.count, slow + if one.slow { one.count } else { 0 }));
        all >= 20 && slow * 100 > tenths * all
    };
    let mut wanted = BTreeSet::new();
    if beyond(1, Span::from_hours(1), 10) {
        wanted.insert((AlertName::LatencyTargetMissed, None));
    }
    for (pair, minutes) in [(BurnPair::Fast, 1), (BurnPair::Slow, 10), (BurnPair::Steady, 120)] {
        let tenths = u64::try_from(pair.tenths()).unwrap();
        if pair.windows().iter().all(|&window| beyond(minutes, window, tenths)) {
            wanted.insert((AlertName::ErrorBudgetBurn, Some(pair)));
        }
    }
    wanted
}

/// What fires about the share of good samples.
pub(crate) fn latency_firing(engine: &Engine) -> BTreeSet<Name> {
    let names = engine.alerts().filter_map(|alert| match &alert.key.about {
        About::Measurement { metric, .. } if metric == "latency" => Some((alert.key.name, None)),
        About::Burn { of: Owner::Service(_), pair } => Some((alert.key.name, Some(*pair))),
        _ => None,
    });
    names.collect()
}
