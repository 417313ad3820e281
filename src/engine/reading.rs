//! Reading: how what is known looks at an instant, of a service or a group, over a window or a period of the calendar.
//!
//! Any instant may be asked for, past ones too. What is open at it counts as far as it; the targets are those that
//! were promised then.

use std::collections::BTreeSet;

use super::Engine;
use super::budget::{Promise, ServiceAccount};
use super::groups::Group;
use super::policies::Terms;
use super::registry::{Service, index};
use super::repairs::rank;
use super::timeline::{Stand, Timeline};
use super::topology::DEPTH_MAX;
use crate::model::alert::Alert;
use crate::model::calendar::{Calendar, Range};
use crate::model::figures::{Figures, LatencyFigures, Lengths, State, Tallies};
use crate::model::incident::{Incident, IncidentId, Interruption};
use crate::model::level::Ratio;
use crate::model::procedure::Procedure;
use crate::model::service::ServiceName;
use crate::model::target::{AVAILABILITY, Maintenance, Targets, Value};
use crate::model::time::{Instant, Window};

/// A service as it can be read.
#[derive(Clone, Copy, Debug)]
pub struct ServiceView<'a> {
    pub(super) engine: &'a Engine,
    pub(super) service: &'a Service,
    place: u32,
}

/// A group as it can be read.
#[derive(Clone, Copy, Debug)]
pub struct GroupView<'a> {
    engine: &'a Engine,
    name: &'a str,
    pub(super) group: &'a Group,
}

/// The figures of a period of the calendar, over each of its three denominators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeriodFigures {
    /// The period.
    pub range: Range,
    /// What has passed of it.
    pub elapsed: Figures,
    /// What is lost so far, of the whole period.
    pub whole: Figures,
    /// The whole period, if what is open goes on.
    pub projected: Figures,
}

impl Engine {
    /// Every service, in the order in which they were first named.
    pub fn services(&self) -> impl ExactSizeIterator<Item = ServiceView<'_>> {
        let view = |(place, service)| ServiceView { engine: self, service, place: index(place) };
        self.registry.kept.services.iter().enumerate().map(view)
    }

    /// The service of that name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<ServiceView<'_>> {
        self.registry.find(name).map(|place| self.view_at(place))
    }

    pub(super) fn view_at(&self, place: u32) -> ServiceView<'_> {
        ServiceView { engine: self, service: self.registry.service(place), place }
    }

    /// Every group that has services, `all` first.
    pub fn groups(&self) -> impl Iterator<Item = GroupView<'_>> {
        let named = self.registry.group_names().iter().zip(&self.state.groups);
        named.filter(|(name, group)| group.members > 0 || &***name == "all").map(|(name, group)| GroupView {
            engine: self,
            name,
            group,
        })
    }

    /// The group of that name: `all`, one that the catalogue names, or `region:…`, `tier:…`, `kind:…`.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<GroupView<'_>> {
        self.groups().find(|view| view.name == name)
    }

    /// Every incident of the network, by id; those merged or withdrawn among them. Those of drills are in
    /// [`Engine::drill_incidents`].
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.state.incidents.records.values().map(|tracked| &tracked.incident)
    }

    /// The incident of that id, be it of a drill.
    #[must_use]
    pub fn incident(&self, id: IncidentId) -> Option<&Incident> {
        self.home_of(id).state.incidents.records.get(&id).map(|tracked| &tracked.incident)
    }

    /// The regions of those services, by name.
    #[must_use]
    pub fn regions_of(&self, id: IncidentId) -> BTreeSet<&str> {
        let home = self.home_of(id);
        let regions = home.state.incidents.services(id).map(|place| home.registry.region(place));
        regions.filter(|region| !region.is_empty()).collect()
    }

    /// The services that were out in an incident, in the order in which they were first named.
    pub fn services_of(&self, id: IncidentId) -> impl Iterator<Item = &str> {
        let home = self.home_of(id);
        home.state.incidents.services(id).map(|place| home.registry.name(place))
    }

    /// The outages that are part of an incident, by service and start.
    #[must_use]
    pub fn interruptions_of(&self, id: IncidentId) -> Vec<Interruption> {
        let home = self.home_of(id);
        let incidents = &home.state.incidents;
        let own = incidents.records.get(&id).and_then(|tracked| tracked.cluster);
        let mut found = Vec::new();
        for place in incidents.services(id) {
            let Some(history) = home.registry.history(place) else { continue };
            for episode in history.episodes.iter().filter(|episode| Some(episode.cluster) == own) {
                let within = history.outages_within(episode.start, episode.end_or_max());
                found.extend(within.iter().filter(|outage| outage.counts(home.state.now)).map(|outage| {
                    Interruption {
                        service: ServiceName::known(home.registry.name(place)),
                        region: home.registry.region(place).to_owned(),
                        outage: outage.key.clone(),
                        started: outage.start,
                        ended: outage.end.filter(|&end| end <= home.state.now),
                        users: outage.parts.iter().filter_map(|part| part.users).max(),
                        cause: outage.cause,
                        detail: outage.detail.clone(),
                    }
                }));
            }
        }
        found
    }

    /// Every alert that fires, those of drills after the network's own.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.own_alerts().chain(self.drill_alerts())
    }

    pub(super) fn own_alerts(&self) -> impl Iterator<Item = &Alert> {
        let histories = self.registry.kept.services.iter().filter_map(|service| service.history.as_deref());
        let of_incidents = self.state.incidents.records.values().flat_map(|tracked| &tracked.alerts);
        let of_services = of_incidents.chain(histories.flat_map(|history| &history.budget_alerts));
        let samples = self.registry.kept.services.iter().filter_map(|service| service.samples.as_deref());
        let of_samples = samples.flat_map(|samples| &samples.alerts);
        let of_feeds = self.state.feeds.iter().flat_map(|listener| &listener.alerts);
        let of_groups = self.state.groups.iter().flat_map(|group| &group.alerts);
        of_services.chain(of_samples).chain(of_groups).chain(of_feeds)
    }

    /// Whether a service is down at `at`, or all that it could depend on is.
    fn is_out(&self, place: u32, at: Instant, depth: usize) -> bool {
        let history = self.registry.service(place).history.as_deref();
        let down = history.is_some_and(|history| history.timeline.stand(at).state() == State::Down);
        let out = |&parent: &u32| self.is_out(parent, at, depth + 1);
        down || depth < DEPTH_MAX && self.registry.parents_of(place).any(|names| names.iter().all(out))
    }

    /// The targets promised at `at`; before the first ones, those.
    #[must_use]
    pub fn targets(&self, at: Instant) -> &Targets {
        self.state.policies.targets(at)
    }

    /// Who does what by when.
    #[must_use]
    pub fn procedure(&self) -> &Procedure {
        &self.state.policies.procedure
    }

    /// The calendar of the network's zone.
    #[must_use]
    pub fn calendar(&self) -> Calendar {
        self.state.policies.calendar()
    }
}

impl<'a> ServiceView<'a> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.engine.registry.name(self.place)
    }

    /// A name for people; empty when the catalogue has none.
    #[must_use]
    pub fn title(&self) -> &'a str {
        self.engine.registry.title(self.place)
    }

    /// What sort of service it is.
    #[must_use]
    pub fn kind(&self) -> &'a str {
        self.engine.registry.kind(self.place)
    }

    /// The region that it serves.
    #[must_use]
    pub fn region(&self) -> &'a str {
        self.engine.registry.region(self.place)
    }

    /// The tier of promise that it is sold under.
    #[must_use]
    pub fn tier(&self) -> &'a str {
        self.engine.registry.tier(self.place)
    }

    /// Who answers for it.
    #[must_use]
    pub fn owner(&self) -> &'a str {
        self.engine.registry.owner(self.place)
    }

    /// How many users it has, where that is known.
    #[must_use]
    pub const fn users(&self) -> Option<u64> {
        self.service.users()
    }

    /// Since when it is observed, where the catalogue says.
    #[must_use]
    pub fn since(&self) -> Option<Instant> {
        Some(self.service.since).filter(|&since| since > Instant::MIN)
    }

    /// The groups that the catalogue names for it.
    #[must_use]
    pub fn groups(&self) -> Vec<&'a str> {
        self.engine.registry.own_groups(self.place).collect()
    }

    /// Whether it is in the group of that name, built in or not.
    #[must_use]
    pub fn is_in(&self, group: &str) -> bool {
        self.engine.registry.is_in_group(self.place, group)
    }

    /// What it depends on, as the catalogue writes it.
    #[must_use]
    pub fn depends_on(&self) -> Vec<String> {
        self.engine.registry.depends_on(self.place)
    }

    /// How it stands at `at`.
    #[must_use]
    pub fn state(&self, at: Instant) -> State {
        let own = self.own_state(at);
        if own == State::Up && self.has_lost_an_alternative(at) { State::Degraded } else { own }
    }

    /// The same without regard to what it depends on.
    pub(super) fn own_state(&self, at: Instant) -> State {
        self.with_timeline(|timeline| timeline.map_or(Stand::default(), |timeline| timeline.stand(at))).state()
    }

    /// Whether one of several that it could depend on is out at `at`: nothing is wrong with it yet, but less is left.
    pub(super) fn has_lost_an_alternative(&self, at: Instant) -> bool {
        let mut alternatives = self.engine.registry.parents_of(self.place).filter(|names| names.len() > 1);
        alternatives.any(|names| names.iter().any(|&place| self.engine.is_out(place, at, 0)))
    }

    /// Its figures over the window that ends at `at`.
    #[must_use]
    pub fn figures(&self, window: Window, at: Instant) -> Figures {
        self.figures_within(Range { from: at.minus(window.length()), until: at }, at)
    }

    /// Its downtime in the window that ends at `at`, without maintenance, in microseconds. It costs nothing to ask one
    /// that never was out.
    #[must_use]
    pub fn downtime(&self, window: Window, at: Instant) -> i128 {
        if self.service.history.is_none() {
            return 0;
        }
        self.lengths_within(Range { from: at.minus(window.length()), until: at }).0.down
    }

    /// Its figures over the period, as it stands at `at`, under the targets promised at `under`.
    #[must_use]
    pub fn period_under(&self, range: Range, at: Instant, under: Instant) -> PeriodFigures {
        period(range, at, |range| self.figures_within(range, under))
    }

    /// Its figures over a range, under the targets promised at `under`. What is open runs to the range's end.
    #[must_use]
    pub fn figures_within(&self, range: Range, under: Instant) -> Figures {
        let Range { until, .. } = range;
        let from = range.from.max(self.service.since);
        if from >= until {
            return Figures::default();
        }
        let terms = self.terms(under);
        let (lengths, user_micros) = self.lengths_within(range);
        let mut tallies = Tallies { user_micros, ..Tallies::default() };
        if let Some(history) = self.service.history.as_deref() {
            (tallies.outages, tallies.planned_outages) = history.outages_begun(from, until);
            for (_, day) in history.days(self.first_day(range), until) {
                tallies.outages += u64::from(day.outages);
                tallies.planned_outages += u64::from(day.planned);
                tallies.acknowledged += u64::from(day.acknowledged);
                tallies.acknowledge_sum += i128::from(day.acknowledge_micros);
            }
            let repairs = history.repairs.lengths(from, until);
            let at_rank = |percent| repairs.get(rank(repairs.len(), percent)).copied();
            tallies.repairs = repairs.len() as u64;
            tallies.repair_sum = repairs.iter().map(|length| i128::from(length.as_micros())).sum();
            (tallies.repair_p50, tallies.repair_p95) = (at_rank(50), at_rank(95));
            tallies.repair_max = repairs.last().copied();
            let kept = |limit| repairs.partition_point(|&length| length <= limit) as u64;
            tallies.repairs_within = terms.repair.filter(|_| !repairs.is_empty()).map(kept);
            let acknowledged = self.engine.state.incidents.acknowledged(history);
            for (_, after) in acknowledged.filter(|&(at, _)| from <= at && at < until) {
                tallies.acknowledged += 1;
                tallies.acknowledge_sum += i128::from(after.as_micros());
            }
        }
        let working = lengths.observed - lengths.blind - lengths.down;
        Figures { lengths, tallies, weight: 1, working, mode: terms.maintenance }
    }

    /// The lengths over a range, and the user-microseconds lost.
    pub(super) fn lengths_within(&self, range: Range) -> (Lengths, i128) {
        let (from, until) = (range.from.max(self.service.since), range.until);
        if from >= until {
            return <(Lengths, i128)>::default();
        }
        let (mut lengths, mut lost) = self.with_timeline(|timeline| match timeline {
            Some(timeline) => timeline.lengths(from, until),
            None => Timeline::default().lengths(from, until),
        });
        let folded = self.service.history.as_deref().map(|history| history.days(self.first_day(range), until));
        for (_, day) in folded.into_iter().flatten() {
            lengths = lengths.plus(day.totals.lengths(0));
            lost += day.totals.lost;
        }
        (lengths, lost)
    }

    /// The first day of a range of which something may be folded.
    fn first_day(&self, range: Range) -> Instant {
        range.from.max(self.engine.day_of(self.service.since))
    }

    /// Reads its timeline; a service without a history has one only when something lies around it.
    fn with_timeline<T>(&self, read: impl FnOnce(Option<&Timeline>) -> T) -> T {
        match self.service.history.as_deref() {
            Some(history) => read(Some(&history.timeline)),
            None => {
                let around = self.engine.around(self.place);
                if around.excluded.is_empty() && around.unknown.is_empty() {
                    read(None)
                } else {
                    read(Some(&Timeline::undisturbed(&around)))
                }
            }
        }
    }

    /// When the error budget of the window that ends at `at` is spent if what is open stays open; absent when it is
    /// spent, or nothing spends it.
    #[must_use]
    pub fn time_to_breach(&self, window: Window, at: Instant) -> Option<Instant> {
        self.time_to_breach_under(window, at, at)
    }

    /// The same, for the promise of `under`.
    #[must_use]
    pub fn time_to_breach_under(&self, window: Window, at: Instant, under: Instant) -> Option<Instant> {
        let promise = Promise { window, ..self.engine.promise_of(self.place, under)? };
        let since = self.service.since;
        self.with_timeline(|timeline| promise.spent_at(&ServiceAccount { timeline: timeline?, since }, at))
    }

    fn terms(&self, at: Instant) -> Terms {
        self.engine.terms(self.place, at)
    }

    /// The availability that it is promised at `at`.
    #[must_use]
    pub fn target(&self, at: Instant) -> Option<Ratio> {
        self.terms(at).availability
    }

    /// How its promise counts maintenance at `at`.
    #[must_use]
    pub fn maintenance(&self, at: Instant) -> Maintenance {
        self.terms(at).maintenance
    }

    /// Its samples of latency in the window that ends at `at`; absent when it was never measured.
    #[must_use]
    pub fn latency(&self, window: Window, at: Instant) -> Option<LatencyFigures> {
        self.service.samples.as_deref().map(|samples| samples.latency.figures(window, at))
    }

    /// The last value of each other measurement, when it was taken, and since when it is beyond its limit.
    pub fn measurements(&self) -> impl Iterator<Item = (&'a str, f64, Instant, Option<Instant>)> + use<'a> {
        let samples = self.service.samples.as_deref().into_iter();
        samples.flat_map(|s| &s.measured).map(|(metric, last)| (&**metric, last.value, last.at, last.out_since))
    }

    /// The incidents that it is or was in, by start; those merged or withdrawn that began with it among them.
    pub fn incidents(&self) -> impl DoubleEndedIterator<Item = &'a Incident> + use<'a> {
        let history = self.service.history.as_deref().into_iter();
        history
            .flat_map(|history| self.engine.state.incidents.of(history))
            .map(|tracked| &tracked.incident)
            .collect::<Vec<_>>()
            .into_iter()
    }
}

impl<'a> GroupView<'a> {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'a str {
        self.name
    }

    /// How many services are in it.
    #[must_use]
    pub const fn members(&self) -> u64 {
        self.group.members
    }

    /// How many users they have, as far as that is known.
    #[must_use]
    pub const fn users(&self) -> u64 {
        self.group.users
    }

    /// Its figures over the window that ends at `at`: by users where any of its services has some.
    #[must_use]
    pub fn figures(&self, window: Window, at: Instant) -> Figures {
        self.figures_within(Range { from: at.minus(window.length()), until: at }, at)
    }

    /// Its figures over the period, as it stands at `at`, under the targets promised at `under`.
    #[must_use]
    pub fn period_under(&self, range: Range, at: Instant, under: Instant) -> PeriodFigures {
        period(range, at, |range| self.figures_within(range, under))
    }

    /// Its figures over a range, under the targets promised at `under`.
    #[must_use]
    pub fn figures_within(&self, range: Range, under: Instant) -> Figures {
        let mode = self.engine.targets(under).maintenance_of_group(self.name);
        self.group.figures(range.from, range.until, mode)
    }

    /// When the error budget of the window that ends at `at` is spent if what is open stays open; absent when it is
    /// spent, or nothing spends it.
    #[must_use]
    pub fn time_to_breach(&self, window: Window, at: Instant) -> Option<Instant> {
        self.time_to_breach_under(window, at, at)
    }

    /// The same, for the promise of `under`.
    #[must_use]
    pub fn time_to_breach_under(&self, window: Window, at: Instant, under: Instant) -> Option<Instant> {
        Promise { window, ..self.engine.promise_of_group(self.name, under)? }.spent_at(self.group, at)
    }

    /// The availability that it is promised at `at`.
    #[must_use]
    pub fn target(&self, at: Instant) -> Option<Ratio> {
        self.engine.targets(at).of_group(AVAILABILITY, self.name).and_then(Value::ratio)
    }
}

fn period(range: Range, at: Instant, figures: impl Fn(Range) -> Figures) -> PeriodFigures {
    let elapsed = figures(Range { from: range.from, until: at.min(range.until).max(range.from) });
    let projected = figures(range);
    let mut whole = elapsed;
    whole.lengths.observed = projected.lengths.observed;
    whole.lengths.excluded = projected.lengths.excluded;
    whole.lengths.unknown = elapsed.lengths.unknown;
    // What is in maintenance to come is known; silence to come is not expected.
    whole.lengths.blind = elapsed.lengths.blind + projected.lengths.excluded - elapsed.lengths.excluded;
    whole.weight = projected.weight;
    whole.mode = projected.mode;
    PeriodFigures { range, elapsed, whole, projected }
}
