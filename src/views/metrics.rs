//! `/metrics`: figures of the engine as a collector that reads one consistent view at each scrape, so that nothing
//! has to be kept up between scrapes and a service that is gone leaves no stale series.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use super::offenders;
use crate::clock::Clock;
use crate::engine::Engine;
use crate::model::event::Cause;
use crate::model::figures::{Figures, State};
use crate::model::incident::{Incident, Status};
use crate::model::level::{Level, Ratio};
use crate::model::procedure::ClockName;
use crate::model::time::{Instant, Window};
use crate::threads;

/// Groups with series of their own. Each has up to 25; a country has less than 3000 counties, which may be regions.
const GROUPS_MAX: usize = 5000;

/// The engine's figures at the time of the scrape.
#[derive(Debug)]
pub struct EngineCollector {
    engine: Arc<RwLock<Engine>>,
    clock: Clock,
    services_max: usize,
    descriptions: Vec<Desc>,
}

impl EngineCollector {
    /// A collector that gives series of their own to `services_max` services at most: the largest offenders where
    /// there are more.
    #[must_use]
    pub fn new(engine: Arc<RwLock<Engine>>, clock: Clock, services_max: usize) -> Self {
        // The registry wants descriptions to tell collectors apart; the families describe themselves.
        let description = Desc::new(
            "fournines_service_up".to_owned(),
            "figures of the engine".to_owned(),
            Vec::new(),
            std::collections::HashMap::new(),
        );
        Self { engine, clock, services_max, descriptions: description.into_iter().collect() }
    }
}

impl Collector for EngineCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // A copy, so that a scrape holds nothing up.
        let engine = self.engine.read().unwrap_or_else(PoisonError::into_inner).to_read();
        // What is left to do may take a second of one core, which events may want.
        threads::give_way();
        let at = self.clock.now().max(engine.now());
        let mut families = services(&engine, at, self.services_max);
        families.extend(incidents(&engine, at));
        families
    }
}

/// A family that is being filled.
struct Family(MetricFamily, Vec<Metric>);

impl Family {
    fn new(name: &str, help: &str, kind: MetricType) -> Self {
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        Self(family, Vec::new())
    }

    fn gauge(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::GAUGE)
    }

    fn counter(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::COUNTER)
    }

    fn push(&mut self, labels: &[(&str, &str)], value: f64) {
        let pairs = labels.iter().map(|&(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name(name.to_owned());
            pair.set_value(value.to_owned());
            pair
        });
        let mut metric = Metric::from_label(pairs.collect());
        if self.0.get_field_type() == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        self.1.push(metric);
    }

    /// The family; none when it is empty, which the text format does not allow.
    fn done(mut self) -> Option<MetricFamily> {
        if self.1.is_empty() {
            return None;
        }
        self.0.set_metric(self.1);
        Some(self.0)
    }
}

/// The names of the figures over windows, in the order of [`Windows`].
const OF_SERVICES: [&str; 5] = [
    "fournines_service_availability_ratio",
    "fournines_service_downtime_seconds",
    "fournines_service_error_budget_remaining_ratio",
    "fournines_service_burn_rate",
    "fournines_service_mttr_seconds",
];
const OF_GROUPS: [&str; 5] = [
    "fournines_group_availability_ratio",
    "fournines_group_downtime_seconds",
    "fournines_group_error_budget_remaining_ratio",
    "fournines_group_burn_rate",
    "fournines_group_mttr_seconds",
];

/// The families of figures over windows, of services or of groups.
struct Windows {
    availability: Family,
    downtime: Family,
    budget: Family,
    burn: Family,
    mttr: Family,
}

impl Windows {
    fn new([availability, downtime, budget, burn, mttr]: [&str; 5]) -> Self {
        Self {
            availability: Family::gauge(
                availability,
                "Availability over the rolling window: 1 - downtime / (window without maintenance and silence). A \
                 group's is by users.",
            ),
            downtime: Family::gauge(
                downtime,
                "Downtime in the rolling window, without maintenance. A group's is its average user's.",
            ),
            budget: Family::gauge(
                budget,
                "The share of the window's error budget that is left; negative when overspent.",
            ),
            burn: Family::gauge(
                burn,
                "How many times as fast as the target allows the error budget was spent in the rolling window.",
            ),
            mttr: Family::gauge(
                mttr,
                "Mean time to repair of the outages that ended in the rolling window; absent when none did.",
            ),
        }
    }

    fn push(&mut self, labels: &[(&str, &str)], figures: &Figures, target: Option<Ratio>) {
        if let Some(value) = figures.availability() {
            self.availability.push(labels, value);
            self.downtime.push(labels, figures.downtime_seconds());
        }
        if let Some(value) = target.and_then(|target| figures.budget_remaining_ratio(target)) {
            self.budget.push(labels, value);
        }
        if let Some(value) = target.and_then(|target| figures.burn_rate(target)) {
            self.burn.push(labels, value);
        }
        if let Some(value) = figures.mttr_seconds() {
            self.mttr.push(labels, value);
        }
    }

    fn done(self) -> impl Iterator<Item = Family> {
        [self.availability, self.downtime, self.budget, self.burn, self.mttr].into_iter()
    }
}

fn services(engine: &Engine, at: Instant, services_max: usize) -> Vec<MetricFamily> {
    // The registry sorts all series by their labels, and finds them so.
    let mut windows = Window::ALL;
    windows.sort_unstable_by_key(|window| window.name());
    let mut up =
        Family::gauge("fournines_service_up", "1 when nothing is wrong or it is only degraded, 0 when it is down.");
    let mut of_services = Windows::new(OF_SERVICES);
    for view in offenders::services(engine, at, services_max) {
        let name = view.name();
        let state = view.state(at);
        // Neither up nor down has no sample: it is never shown as up.
        if !matches!(state, State::Unknown | State::Maintenance) {
            up.push(&[("service", name)], f64::from(u8::from(state != State::Down)));
        }
        let target = view.target(at);
        for window in windows {
            let labels = [("service", name), ("window", window.name())];
            of_services.push(&labels, &view.figures(window, at), target);
        }
    }
    let mut of_groups = Windows::new(OF_GROUPS);
    for view in offenders::groups(engine, at, GROUPS_MAX) {
        let target = view.target(at);
        for window in windows {
            let labels = [("group", view.name()), ("window", window.name())];
            of_groups.push(&labels, &view.figures(window, at), target);
        }
    }
    let count = engine.services().len();
    let mut known = Family::gauge("fournines_services", "Services known.");
    known.push(&[], count as f64);
    let mut left_out = Family::gauge("fournines_services_left_out", "Services without series of their own.");
    left_out.push(&[], count.saturating_sub(services_max) as f64);
    let mut groups_left_out = Family::gauge("fournines_groups_left_out", "Groups without series of their own.");
    groups_left_out.push(&[], engine.groups().count().saturating_sub(GROUPS_MAX) as f64);
    let of_all = of_services.done().chain(of_groups.done()).chain([known, left_out, groups_left_out]);
    let families = [up].into_iter().chain(of_all);
    families.filter_map(Family::done).collect()
}

fn incidents(engine: &Engine, at: Instant) -> Vec<MetricFamily> {
    let mut open = Family::gauge("fournines_incidents_open", "Incidents that are not restored, by level.");
    for level in Level::ALL {
        let count = engine.recent_incidents().filter(|i| i.status.is_open() && i.level == level).count();
        open.push(&[("level", level.name())], count as f64);
    }
    let counts = engine.counts();
    let mut total = Family::counter(
        "fournines_incidents_total",
        "Incidents whose restoration was confirmed, by the level and cause that they had then.",
    );
    for level in Level::ALL {
        for cause in Cause::ALL {
            if let Some(&count) = counts.incidents.get(&(level, cause)) {
                total.push(&[("level", level.name()), ("cause", cause.name())], count as f64);
            }
        }
    }
    let mut breaches = Family::counter(
        "fournines_clock_breaches_total",
        "Clocks whose limit passed. One that had passed before the outage was reported counts once its restoration is \
         confirmed.",
    );
    let ruled = engine.procedure().clocks.iter().map(|rule| &rule.name);
    let clocks: BTreeSet<&ClockName> = ruled.chain(counts.breaches.keys()).collect();
    for clock in clocks {
        breaches.push(&[("clock", clock.as_str())], counts.breaches.get(clock).copied().unwrap_or(0) as f64);
    }
    let mut targets =
        Family::gauge("fournines_target", "The targets in force, in base units: ratios, seconds, counts.");
    for target in &engine.targets(at).base {
        targets.push(&[("clause", &target.clause), ("target", &target.name)], target.value.base());
    }
    [open, total, breaches, compliance(engine, at), targets].into_iter().filter_map(Family::done).collect()
}

/// How many of the clocks that were decided in a window were kept: decided is one when it stops, or when its limit passes
/// before that.
fn compliance(engine: &Engine, at: Instant) -> Family {
    let mut windows = Window::ALL;
    windows.sort_unstable_by_key(|window| window.name());
    let mut counts: BTreeMap<&ClockName, [(u64, u64); Window::ALL.len()]> = BTreeMap::new();
    let counted = |incident: &&Incident| !matches!(incident.status, Status::Merged | Status::Withdrawn);
    for clock in engine.incidents().filter(counted).flat_map(|incident| &incident.clocks) {
        let Some(decided) = clock.breached.or(clock.stopped).filter(|&decided| decided < at) else { continue };
        for (window, (kept, all)) in windows.iter().zip(counts.entry(&clock.name).or_default()) {
            let is_in = decided >= at.minus(window.length());
            *all += u64::from(is_in);
            *kept += u64::from(is_in && clock.breached.is_none());
        }
    }
    let mut family = Family::gauge(
        "fournines_clock_compliance_ratio",
        "The share of the clocks decided in the rolling window that stopped within their limit; absent when none was.",
    );
    for (clock, counts) in counts {
        for (window, (kept, all)) in windows.iter().zip(counts).filter(|(_, (_, all))| *all > 0) {
            family.push(&[("clock", clock.as_str()), ("window", window.name())], kept as f64 / all as f64);
        }
    }
    family
}
