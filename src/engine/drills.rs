//! Drills (manual §4.5(2), R80): what is played to practise runs through an engine of its own inside this one, by the
//! same code, under the same levels, limits and correlation. So nothing of a drill can get into a figure, a group, a
//! count or an incident of the network, nor the other way round.
//!
//! A drill's engine knows only the services that the drill names, and what they depend on. Its incidents and alerts carry
//! its name; what would page by itself, such as an error budget, is not watched. It is let go of once it has been quiet
//! for a day.

use std::collections::BTreeMap;

use borsh::io::{self, Read, Write};
use borsh::{BorshDeserialize, BorshSerialize};

use super::registry::{Kept, Registry};
use super::sharing::Shared;
use super::timers::{Owner, Timer};
use super::{Engine, State};
use crate::model::alert::Alert;
use crate::model::effect::Effect;
use crate::model::event::{Body, Event, Outcome};
use crate::model::incident::{Incident, IncidentId};
use crate::model::service::{ServiceFacts, ServiceName};
use crate::model::time::{Instant, Span};

/// A drill about which nothing was said for so long, in event time, is over unless something of it still concerns
/// somebody. Longer than any exercise of a day, and short enough that drills do not pile up.
const QUIET: Span = Span::from_hours(24);

/// The drills that run.
#[derive(Clone, Debug, Default)]
pub(super) struct Drills {
    running: BTreeMap<Box<str>, Drill>,
    /// When the first of them is to be looked at next; follows from them.
    due: Option<Instant>,
}

/// One drill. Its engine's time stands still between what is said and what falls due.
#[derive(Clone, Debug)]
struct Drill {
    engine: Engine,
    /// When it is over, or looked at again if it is not.
    over_at: Instant,
    /// Its services are not yet related to each other.
    unrelated: bool,
}

impl Engine {
    /// Takes in an event of a drill.
    pub(super) fn rehearse(&mut self, name: &str, event: &Event, effects: &mut Vec<Effect>) -> Outcome {
        let now = self.state.now;
        let Self { state, registry: network, drills, .. } = self;
        if !drills.running.contains_key(name) {
            // A repetition that comes after the drill is over does not begin it anew.
            if event.time < now.minus(QUIET) {
                return Outcome::TooOld;
            }
            drills.running.insert(name.into(), Drill::begin(name, state));
        }
        let Some(drill) = drills.running.get_mut(name) else { return Outcome::Drill };
        drill.over_at = drill.over_at.max(event.time.plus(QUIET));
        if let Some(service) = event.body.service() {
            drill.enrol(service, network);
        }
        // What is said of maintenance, or taken back of it, concerns all that hangs on a service.
        if matches!(
            event.body,
            Body::MaintenancePlanned { .. } | Body::MaintenanceCancelled { .. } | Body::Retraction { .. }
        ) {
            drill.relate(network);
        }
        drill.engine.pass(now, effects);
        let outcome = drill.engine.take(event, effects);
        drills.look_ahead();
        if outcome == Outcome::Duplicate { outcome } else { Outcome::Drill }
    }

    /// The drills work by the policy that came into force too.
    pub(super) fn adopt_in_drills(&mut self, effects: &mut Vec<Effect>) {
        let Self { state, registry: network, drills, .. } = self;
        for drill in drills.running.values_mut() {
            drill.relate(network);
            drill.engine.pass(state.now, effects);
            drill.engine.state.policies = Shared::new(state.policies.of_drill());
            let services = drill.engine.services().map(|view| ServiceName::known(view.name()));
            let catalogue: BTreeMap<ServiceName, ServiceFacts> =
                services.flat_map(|service| network.with_lineage(&service)).collect();
            drill.engine.registry.adopt(&catalogue.into_iter().collect::<Vec<_>>());
            drill.engine.registry.relate_within(network);
            drill.engine.come_into_force(effects);
        }
        drills.look_ahead();
    }

    /// Lets time pass in the drills up to now, of which more may come.
    pub(super) fn pass_drills(&mut self, effects: &mut Vec<Effect>) {
        let now = self.state.now;
        self.for_due_drills(now, |drill, network| {
            if drill.engine.state.timers.first().is_some_and(|(deadline, ..)| deadline <= now) {
                drill.relate(network);
                drill.engine.pass(now, effects);
            }
        });
    }

    /// Lets time pass in the drills up to `due`, which is complete.
    pub(super) fn advance_drills(&mut self, due: Instant, effects: &mut Vec<Effect>) {
        self.for_due_drills(due, |drill, network| {
            drill.relate(network);
            drill.engine.advance(due, effects);
        });
    }

    /// Looks at all that happened in the drills at this instant, which is complete.
    pub(super) fn conclude_drills(&mut self, effects: &mut Vec<Effect>) {
        let now = self.state.now;
        self.for_due_drills(now, |drill, network| {
            drill.relate(network);
            drill.engine.conclude(effects);
        });
    }

    /// Does something to the drills that are to be looked at by `at`, and lets go of those that are over.
    fn for_due_drills(&mut self, at: Instant, mut act: impl FnMut(&mut Drill, &Registry)) {
        let Self { registry: network, drills, .. } = self;
        if drills.due.is_none_or(|due| due > at) {
            return;
        }
        drills.running.retain(|_, drill| {
            if drill.due() <= at {
                act(drill, network);
            }
            if drill.over_at <= at && drill.is_live() {
                drill.over_at = at.plus(QUIET);
            }
            drill.over_at > at
        });
        drills.look_ahead();
    }

    // ---- what can be read ----

    /// Every incident of every drill that runs, by the drill's name, then id; those merged or withdrawn among them.
    pub fn drill_incidents(&self) -> impl Iterator<Item = &Incident> {
        self.drills.running.values().flat_map(|drill| drill.engine.incidents())
    }

    /// Every alert that fires in a drill.
    pub(super) fn drill_alerts(&self) -> impl Iterator<Item = &Alert> {
        self.drills.running.values().flat_map(|drill| drill.engine.own_alerts())
    }

    /// The engine that has the incident: this one, or a drill's.
    pub(super) fn home_of(&self, id: IncidentId) -> &Self {
        let has = |engine: &&Self| engine.state.incidents.records.contains_key(&id);
        let drills = self.drills.running.values().map(|drill| &drill.engine);
        if has(&self) { self } else { drills.into_iter().find(has).unwrap_or(self) }
    }
}

impl Drill {
    /// A drill of which nothing is known yet, under the policies in force.
    fn begin(name: &str, network: &State) -> Self {
        let mut engine = Engine::new();
        engine.state.now = network.now;
        engine.state.drill = Some(name.into());
        engine.state.policies = Shared::new(network.policies.of_drill());
        let next = engine.state.policies.next_after(network.now);
        engine.state.timers.set(Owner::Policy, Timer::Policy, next);
        Self { engine, over_at: Instant::MIN, unrelated: false }
    }

    /// Takes in a service and what it depends on, as the network knows them.
    fn enrol(&mut self, service: &ServiceName, network: &Registry) {
        let registry = &mut self.engine.registry;
        if registry.find(service.as_str()).is_some() {
            return;
        }
        let mut catalogue = network.with_lineage(service);
        catalogue.retain(|(name, _)| registry.find(name.as_str()).is_none());
        let places = registry.enrol(&catalogue);
        self.engine.grow_groups();
        places.into_iter().for_each(|place| self.engine.join(place));
        self.unrelated = true;
    }

    /// Brings what hangs on what, and the users of each kind, up to date: once for all services that came together.
    fn relate(&mut self, network: &Registry) {
        if std::mem::take(&mut self.unrelated) {
            self.engine.registry.relate_within(network);
        }
    }

    /// When it is to be looked at next.
    fn due(&self) -> Instant {
        self.engine.next_deadline().map_or(self.over_at, |(deadline, _)| deadline.min(self.over_at))
    }

    /// Whether something of it concerns somebody.
    fn is_live(&self) -> bool {
        self.engine.state.incidents.is_pending() || self.engine.incidents().any(Incident::is_live)
    }
}

impl Drills {
    /// When the first of them is to be looked at next.
    pub(super) const fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The first deadline of any of them. That one is over is none: it has no effect.
    pub(super) fn next_deadline(&self) -> Option<(Instant, Timer)> {
        self.running.values().filter_map(|drill| drill.engine.next_deadline()).min_by_key(|&(at, _)| at)
    }

    /// The names of those that run, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.running.keys().map(|name| &**name)
    }

    fn look_ahead(&mut self) {
        self.due = self.running.values().map(Drill::due).min();
    }
}

impl Registry {
    /// A service and all that it depends on, directly or not, with what the catalogue says of each; none if it names no
    /// such service.
    fn with_lineage(&self, service: &ServiceName) -> Vec<(ServiceName, ServiceFacts)> {
        let Some(place) = self.find(service.as_str()) else { return Vec::new() };
        let lineage = self.lineage(place).into_iter().map(|(ancestor, _)| ancestor);
        let known = |place| (ServiceName::known(self.name(place)), self.facts(place));
        [place].into_iter().chain(lineage).map(known).collect()
    }

    /// What the catalogue says of a service.
    fn facts(&self, place: u32) -> ServiceFacts {
        let service = self.service(place);
        ServiceFacts {
            title: self.title(place).to_owned(),
            kind: self.kind(place).to_owned(),
            region: self.region(place).to_owned(),
            tier: self.tier(place).to_owned(),
            users: service.users(),
            groups: self.own_groups(place).map(str::to_owned).collect(),
            depends_on: self.depends_on(place),
            since: Some(service.since).filter(|&since| since > Instant::MIN),
            owner: self.owner(place).to_owned(),
        }
    }
}

impl BorshSerialize for Drills {
    fn serialize<W: Write>(&self, writer: &mut W) -> io::Result<()> {
        let running: Vec<(&State, &Kept, Instant)> = self
            .running
            .values()
            .map(|drill| (&drill.engine.state, &drill.engine.registry.kept, drill.over_at))
            .collect();
        running.serialize(writer)
    }
}

impl BorshDeserialize for Drills {
    fn deserialize_reader<R: Read>(reader: &mut R) -> io::Result<Self> {
        let mut drills = Self::default();
        for (state, kept, over_at) in Vec::<(State, Kept, Instant)>::deserialize_reader(reader)? {
            let name = state.drill.clone().unwrap_or_default();
            let registry = Registry::new(kept);
            let engine = Engine { state, registry, drills: Self::default(), part: None };
            drills.running.insert(name, Drill { engine, over_at, unrelated: true });
        }
        drills.look_ahead();
        Ok(drills)
    }
}
