//! Measuring: samples of latency and of other measurements, what is promised about them, and the alerts that follow.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};

use super::Engine;
use super::budget;
use super::latency::{Counted, Latency, Leaving};
use super::timers::{Owner as TimerOwner, Timer};
use crate::model::alert::{About, Alert, AlertFacts, AlertKey, AlertName, BurnPair, Owner};
use crate::model::because::Because;
use crate::model::effect::{Effect, Reason};
use crate::model::level::Ratio;
use crate::model::service::ServiceName;
use crate::model::target::{LatencyTarget, MeasurementLimit};
use crate::model::time::{Instant, Span};

/// The window whose share of good samples is promised.
const PROMISED: Span = Span::from_hours(1);
/// Fewer samples than this say nothing about a share: one slow answer at night is no page.
const SAMPLES_MIN: u64 = 20;

/// What is measured of one service.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Samples {
    pub(super) latency: Latency,
    pub(super) measured: BTreeMap<Box<str>, Measured>,
    pub(super) alerts: Vec<Alert>,
}

/// The last value of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Measured {
    pub(super) at: Instant,
    pub(super) value: f64,
    /// Since when it is beyond its limit.
    pub(super) out_since: Option<Instant>,
}

impl Measured {
    /// Takes in a value. One that is older than the last says nothing about now.
    fn take(&mut self, (at, value): (Instant, f64), limit: Option<&MeasurementLimit>, now: Instant) {
        if at < self.at {
            return;
        }
        (self.at, self.value) = (at, value);
        self.judge(limit, now);
    }

    fn judge(&mut self, limit: Option<&MeasurementLimit>, now: Instant) {
        let Some(limit) = limit else {
            self.out_since = None;
            return;
        };
        let beyond = |than: f64| if limit.above { self.value > than } else { self.value < than };
        self.out_since = match self.out_since {
            Some(since) => beyond(limit.clear).then_some(since),
            None => beyond(limit.limit).then_some(self.at.min(now)),
        };
    }
}

impl Engine {
    /// Takes in samples of latency.
    pub(super) fn latency(
        &mut self,
        place: u32,
        at: Instant,
        (took, count): (Span, u64),
        effects: &mut Vec<Effect>,
    ) {
        let target = self.terms(place, self.state.now).latency;
        let within = target.is_none_or(|target| took <= target.limit);
        let samples = self.registry.kept.services[place as usize].samples.get_or_insert_default();
        samples.latency.add(at, took, count, within, self.state.now);
        if target.is_none() {
            return;
        }
        // A good one alarms nobody, unless it is the one that makes them enough to judge the slow ones by.
        let [longest, _] = BurnPair::Steady.windows();
        let slow = !within || samples.latency.has_bad(2, longest, self.state.now);
        if slow || !samples.alerts.is_empty() {
            self.judge_latency(place, effects);
        }
    }

    /// Takes in a value of another measurement.
    pub(super) fn measure(
        &mut self,
        place: u32,
        at: Instant,
        (metric, value): (&str, f64),
        effects: &mut Vec<Effect>,
    ) {
        let limits = &self.state.policies.targets(self.state.now).measurements;
        let limit = limits.iter().find(|limit| limit.metric == metric);
        let samples = self.registry.kept.services[place as usize].samples.get_or_insert_default();
        match samples.measured.get_mut(metric) {
            Some(measured) => measured.take((at, value), limit, self.state.now),
            None => {
                let mut measured = Measured { at, value, out_since: None };
                measured.judge(limit, self.state.now);
                samples.measured.insert(metric.into(), measured);
            }
        }
        let out = samples.measured.get(metric).is_some_and(|measured| measured.out_since.is_some());
        let fires = samples.alerts.iter().any(|alert| is_about(alert, metric));
        if out != fires {
            self.judge_samples(place, effects);
        }
    }

    /// Holds the last values against the limits in force.
    pub(super) fn judge_measured(&mut self, place: u32, effects: &mut Vec<Effect>) {
        let limits = &self.state.policies.targets(self.state.now).measurements;
        let Some(samples) = &mut self.registry.kept.services[place as usize].samples else { return };
        for (metric, measured) in &mut samples.measured {
            measured.judge(limits.iter().find(|limit| *limit.metric == **metric), self.state.now);
        }
        self.judge_latency(place, effects);
    }

    /// Looks at the share of good samples as it stands now.
    pub(super) fn judge_latency(&mut self, place: u32, effects: &mut Vec<Effect>) {
        self.judge_samples(place, effects);
        let now = self.state.now;
        let target = self.terms(place, now).latency;
        let Some(samples) = &self.registry.service(place).samples else { return };
        let due = target.and_then(|target| next_change(&samples.latency, target, now));
        self.state.timers.set(TimerOwner::Service(place), Timer::Latency, due);
    }

    fn judge_samples(&mut self, place: u32, effects: &mut Vec<Effect>) {
        let now = self.state.now;
        if let Some(samples) = &mut self.registry.kept.services[place as usize].samples {
            samples.latency.sort_in(now);
        }
        let target = self.terms(place, now).latency;
        let limits = &self.state.policies.targets(now).measurements;
        let service = &ServiceName::known(self.registry.name(place));
        let Some(samples) = &self.registry.service(place).samples else { return };
        let mut wanted = Vec::new();
        for (metric, measured) in &samples.measured {
            let Some(since) = measured.out_since else { continue };
            let limit = limits.iter().find(|limit| *limit.metric == **metric);
            let because = limit.map_or_else(
                || Because::Rule(String::new()),
                |limit| {
                    let metric = metric.to_string();
                    Because::Beyond { metric, above: limit.above, limit: limit.limit.to_string() }
                },
            );
            wanted.push(alert(AlertName::MeasurementOutOfRange, service, metric, since, because));
        }
        if let Some(target) = target {
            let conditions = conditions(target);
            for condition in conditions.iter().filter(|condition| condition.holds(&samples.latency, now)) {
                wanted.push(condition.alert(service, target, now));
            }
        }
        let mut alerts = samples.alerts.clone();
        budget::update(&mut alerts, wanted, now, &Reason::Measured, effects);
        if let Some(samples) = &mut self.registry.kept.services[place as usize].samples {
            samples.alerts = alerts;
        }
    }
}

fn is_about(alert: &Alert, name: &str) -> bool {
    alert.key.name == AlertName::MeasurementOutOfRange
        && matches!(&alert.key.about, About::Measurement { metric, .. } if metric == name)
}

fn alert(name: AlertName, service: &ServiceName, metric: &str, starts: Instant, because: Because) -> Alert {
    let about = About::Measurement { service: service.clone(), metric: metric.to_owned() };
    let facts = AlertFacts { started: starts, because, spent_at: None, incident: None };
    Alert { key: AlertKey { name, about }, starts, facts }
}

/// A condition on the share of bad samples: over each of its windows it is more than so many times what is allowed.
struct Condition {
    pair: Option<BurnPair>,
    /// Resolution and length.
    windows: Vec<(usize, Span)>,
    /// Ten times as often as allowed is 100.
    tenths: i128,
    rest: i128,
}

fn conditions(target: LatencyTarget) -> [Condition; 4] {
    let rest = target.ratio.rest();
    let of = |pair: BurnPair, resolutions: [usize; 2]| {
        let windows = resolutions.into_iter().zip(pair.windows()).collect();
        Condition { pair: Some(pair), windows, tenths: pair.tenths(), rest }
    };
    [
        Condition { pair: None, windows: vec![(0, PROMISED)], tenths: 10, rest },
        of(BurnPair::Fast, [0, 0]),
        of(BurnPair::Slow, [1, 1]),
        of(BurnPair::Steady, [2, 2]),
    ]
}

impl Condition {
    fn holds(&self, latency: &Latency, at: Instant) -> bool {
        self.windows
            .iter()
            .all(|&(resolution, length)| self.beyond(latency.leaving(resolution, length, at).counted))
    }

    fn beyond(&self, counted: Counted) -> bool {
        let (bad, samples) = (i128::from(counted.bad), i128::from(counted.samples));
        counted.samples >= SAMPLES_MIN && 10 * i128::from(Ratio::WHOLE) * bad > self.tenths * self.rest * samples
    }

    fn alert(&self, service: &ServiceName, target: LatencyTarget, now: Instant) -> Alert {
        match self.pair {
            None => alert(AlertName::LatencyTargetMissed, service, "latency", now, Because::Slow(target)),
            Some(pair) => {
                let because = Because::SlowBurn { pair, promise: target };
                let key = AlertKey {
                    name: AlertName::ErrorBudgetBurn,
                    about: About::Burn { of: Owner::Service(service.clone()), pair },
                };
                Alert {
                    key,
                    starts: now,
                    facts: AlertFacts { started: now, because, spent_at: None, incident: None },
                }
            }
        }
    }
}

/// The first instant at which a slot that leaves its window, or comes into it, may change any of the conditions.
fn next_change(latency: &Latency, target: LatencyTarget, now: Instant) -> Option<Instant> {
    let change = |condition: &Condition| {
        let window = |&(resolution, length): &(usize, Span)| latency.leaving(resolution, length, now);
        let mut windows: Vec<Leaving<'_>> = condition.windows.iter().map(window).collect();
        let holds = |windows: &[Leaving<'_>]| windows.iter().all(|window| condition.beyond(window.counted));
        let held = holds(&windows);
        loop {
            let at = windows.iter().filter_map(Leaving::next_leaves).min()?;
            windows.iter_mut().for_each(|window| window.go_to(at));
            if holds(&windows) != held {
                return Some(at);
            }
        }
    };
    conditions(target).iter().filter_map(change).chain(latency.next_comes(now)).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_value_says_nothing_about_now() {
        let at = |minutes: i64| Instant::from_micros(minutes * 60_000_000);
        let limit = MeasurementLimit { metric: "loss".to_owned(), above: true, limit: 2.0, clear: 1.0 };
        let mut measured = Measured { at: at(10), value: 3.0, out_since: None };
        measured.judge(Some(&limit), at(10));
        measured.take((at(5), 0.0), Some(&limit), at(11));
        assert_eq!((measured.value, measured.out_since), (3.0, Some(at(10))), "an older one");
        measured.take((at(20), 1.5), Some(&limit), at(20));
        assert_eq!((measured.value, measured.out_since), (1.5, Some(at(10))), "not yet clear");
        measured.take((at(30), 1.0), Some(&limit), at(30));
        assert_eq!((measured.value, measured.out_since), (1.0, None));
    }
}
