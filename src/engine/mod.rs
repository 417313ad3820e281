//! The pure core: marks in, figures, incidents and alerts out.
//!
//! An [`Engine`] is a plain value. It is given instants and inputs in the journal's order and fills a buffer with
//! effects; it never fails, never looks at a clock, and never does a thing by itself. The canonical loop:
//!
//! ```text
//! loop {
//!     sleep until engine.next_deadline(), or until a batch of the journal is durable
//!     engine.advance(now, &mut effects)      // fires what fell due, each at its own instant
//!     engine.apply(at, input, &mut effects)  // for each input of the batch
//!     hand the effects out
//! }
//! ```
//!
//! The one invariant of that loop: instants given to it never go backwards; one that does is taken as the last.
//!
//! Must not enter: async, a clock, I/O, logging, randomness, iteration in an order that is not fixed.

mod alerts;
mod assess;
mod availability;
mod clocks;
mod counts;
mod dedup;
mod history;
mod incidents;
mod levels;
mod marks;
mod repairs;
mod snapshot;
mod timers;
mod windows;

use std::collections::{BTreeMap, HashMap};

use borsh::{BorshDeserialize, BorshSerialize};

pub use counts::Counts;
pub use snapshot::BadSnapshot;
pub use timers::Timer;

use crate::model::alert::Alert;
use crate::model::effect::Effect;
use crate::model::event::{Body, Event, Outcome};
use crate::model::figures::{Figures, State as ServiceState};
use crate::model::incident::{Incident, Stage, StageRecord};
use crate::model::policy::Policy;
use crate::model::service::{ServiceFacts, ServiceName};
use crate::model::target::Value;
use crate::model::time::{Instant, Window};
use dedup::Dedup;
use history::{History, StageMark};
use incidents::Context;
use marks::{Said, Start};
use timers::Timers;

/// All that can come in.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Something happened.
    Event(Event),
    /// People decided something else: catalogue, targets, rules.
    Policy(Box<Policy>),
    /// A whole body begins, known by its source and `Idempotency-Key`.
    Body {
        /// The source that sends it.
        source: Box<str>,
        /// Its key.
        key: Box<str>,
    },
}

/// The pure core.
#[derive(Clone, Debug)]
pub struct Engine {
    state: State,
    /// Places in `state.services` by name. Looked up, never iterated.
    places: HashMap<ServiceName, u32>,
    /// Users of all services of a kind, by kind.
    users_of_kind: BTreeMap<String, u64>,
}

/// What a snapshot holds; all else follows from it.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
struct State {
    now: Instant,
    policy: Policy,
    services: Vec<Service>,
    timers: Timers,
    seen: Dedup,
    counts: Counts,
}

#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
struct Service {
    name: ServiceName,
    facts: ServiceFacts,
    /// Absent for a service that never had an outage.
    history: Option<Box<History>>,
}

/// A service as it can be read.
#[derive(Clone, Copy, Debug)]
pub struct ServiceView<'a> {
    service: &'a Service,
    policy: &'a Policy,
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl Engine {
    /// An engine that knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::with(State { now: Instant::MIN, ..State::default() })
    }

    fn with(state: State) -> Self {
        let mut engine = Self { state, places: HashMap::new(), users_of_kind: BTreeMap::new() };
        for (place, service) in engine.state.services.iter().enumerate() {
            engine.places.insert(service.name.clone(), index(place));
        }
        engine.sum_users();
        engine
    }

    // ---- the world in ----

    /// Takes in one input, received at `at`. Deadlines that fell due by then are met first, each at its own instant.
    pub fn apply(&mut self, at: Instant, input: &Input, effects: &mut Vec<Effect>) -> Outcome {
        self.advance(at, effects);
        match input {
            Input::Event(event) => self.take(event, effects),
            Input::Policy(policy) => {
                self.adopt(policy, effects);
                Outcome::Applied
            }
            Input::Body { source, key } => first_time(self.state.seen.is_new_body(source, key)),
        }
    }

    /// Lets time pass up to `now`, and meets every deadline on the way at its own instant.
    pub fn advance(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        while let Some((deadline, place, _)) = self.state.timers.first()
            && deadline <= now
        {
            self.state.now = deadline.max(self.state.now);
            self.settle(place, self.state.now, false, effects);
        }
        self.state.now = now.max(self.state.now);
    }

    fn take(&mut self, event: &Event, effects: &mut Vec<Effect>) -> Outcome {
        if let Some(id) = &event.id {
            let seen = &mut self.state.seen;
            let new = if event.body.is_sample() {
                seen.is_new_sample(&event.source, id)
            } else {
                seen.is_new_fact(&event.source, id)
            };
            if !new {
                return Outcome::Duplicate;
            }
        }
        if event.drill.is_some() {
            return Outcome::Drill;
        }
        let Some(name) = event.body.service() else { return Outcome::Kept };
        let place = self.place(name);
        match &event.body {
            Body::OutageStarted(started) => {
                let said = Said::Started(Start::new(&started.facts));
                self.mark(place, &started.outage, event.time, said, effects);
                Outcome::Applied
            }
            Body::OutageEnded { outage, cause, .. } => {
                let said = Said::Ended(cause.unwrap_or_default());
                self.mark(place, outage, event.time, said, effects);
                let orphan = self.history(place).is_orphan(outage, event.time);
                if orphan { Outcome::Orphan } else { Outcome::Applied }
            }
            Body::Stage(reached) if matches!(reached.stage, Stage::Acknowledged | Stage::Verified) => {
                let record = StageRecord {
                    stage: reached.stage,
                    at: event.time,
                    by: reached.by.clone(),
                    detail: reached.detail.clone(),
                };
                let history = self.history(place);
                let from = history.concerned_from(&reached.about, event.time);
                if history.report(StageMark { about: reached.about.clone(), record }) {
                    self.settle(place, from, false, effects);
                }
                Outcome::Applied
            }
            _ => Outcome::Kept,
        }
    }

    fn mark(&mut self, place: u32, key: &str, at: Instant, said: Said, effects: &mut Vec<Effect>) {
        if let Some(from) = self.history(place).mark(key, at, said) {
            self.settle(place, from, false, effects);
        }
    }

    /// Works by another policy from now on. What is over keeps the level that it was given.
    fn adopt(&mut self, policy: &Policy, effects: &mut Vec<Effect>) {
        // The catalogue is kept with the services themselves, once.
        let Policy { services: _, levels, targets, reopen } = policy;
        self.state.policy =
            Policy { services: Vec::new(), levels: levels.clone(), targets: targets.clone(), reopen: *reopen };
        // What the catalogue no longer names is known by its events alone.
        for service in &mut self.state.services {
            service.facts = ServiceFacts::default();
        }
        for (name, facts) in &policy.services {
            let place = self.place(name);
            self.state.services[place as usize].facts = facts.clone();
        }
        self.sum_users();
        for place in 0..index(self.state.services.len()) {
            let live = |history: &History| history.incidents.iter().any(|tracked| tracked.incident.is_live());
            if self.state.services[place as usize].history.as_deref().is_some_and(live) {
                self.settle(place, self.state.now, true, effects);
            }
        }
    }

    fn settle(&mut self, place: u32, from: Instant, policy_changed: bool, effects: &mut Vec<Effect>) {
        let state = &mut self.state;
        let Some(service) = state.services.get_mut(place as usize) else { return };
        let Some(history) = service.history.as_deref_mut() else { return };
        let cx = Context {
            now: state.now,
            service: &service.name,
            facts: &service.facts,
            policy: &state.policy,
            users_of_kind: self.users_of_kind.get(&service.facts.kind).copied().unwrap_or(0),
            policy_changed,
        };
        let deadlines = incidents::settle(history, from, &cx, &mut state.counts, effects);
        for (timer, deadline) in Timer::ALL.into_iter().zip(deadlines) {
            state.timers.set(place, timer, deadline);
        }
    }

    /// The service's place; one that is not known yet is taken in.
    fn place(&mut self, name: &ServiceName) -> u32 {
        if let Some(&place) = self.places.get(name) {
            return place;
        }
        let place = index(self.state.services.len());
        self.places.insert(name.clone(), place);
        let service = Service { name: name.clone(), facts: ServiceFacts::default(), history: None };
        self.state.services.push(service);
        place
    }

    fn history(&mut self, place: u32) -> &mut History {
        self.state.services[place as usize].history.get_or_insert_default()
    }

    fn sum_users(&mut self) {
        self.users_of_kind.clear();
        for service in &self.state.services {
            if let Some(users) = service.facts.users {
                let sum = self.users_of_kind.entry(service.facts.kind.clone()).or_default();
                *sum = sum.saturating_add(users);
            }
        }
    }

    // ---- what can be read ----

    /// The last instant it was given.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.state.now
    }

    /// When it wants to be woken next, and why.
    #[must_use]
    pub fn next_deadline(&self) -> Option<(Instant, Timer)> {
        self.state.timers.first().map(|(at, _, timer)| (at, timer))
    }

    /// The policy in force. Its catalogue is with the services, as their facts.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.state.policy
    }

    /// Every service, in the order in which they were first named.
    pub fn services(&self) -> impl ExactSizeIterator<Item = ServiceView<'_>> {
        self.state.services.iter().map(|service| ServiceView { service, policy: &self.state.policy })
    }

    /// The service of that name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<ServiceView<'_>> {
        let place = *self.places.get(name)?;
        Some(ServiceView { service: &self.state.services[place as usize], policy: &self.state.policy })
    }

    /// Every incident, by service, then start.
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.histories().flat_map(|history| &history.incidents).map(|tracked| &tracked.incident)
    }

    /// Every alert that fires.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.histories().flat_map(|history| &history.incidents).flat_map(|tracked| &tracked.alerts)
    }

    /// What happened since the journal began.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.state.counts
    }

    fn histories(&self) -> impl Iterator<Item = &History> {
        self.state.services.iter().filter_map(|service| service.history.as_deref())
    }
}

impl<'a> ServiceView<'a> {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'a ServiceName {
        &self.service.name
    }

    /// What the catalogue says of it.
    #[must_use]
    pub const fn facts(&self) -> &'a ServiceFacts {
        &self.service.facts
    }

    /// How it stands at `at`.
    #[must_use]
    pub fn state(&self, at: Instant) -> ServiceState {
        windows::state(self.service.history.as_deref(), at)
    }

    /// Its figures over the window that ends at `at`.
    #[must_use]
    pub fn figures(&self, window: Window, at: Instant) -> Figures {
        let history = self.service.history.as_deref();
        windows::figures(history, at.minus(window.length()), at, self.service.facts.since)
    }

    /// The number that target `name` has for it.
    #[must_use]
    pub fn target(&self, name: &str) -> Option<Value> {
        self.policy.targets.of(name, self.service.name.as_str(), &self.service.facts)
    }

    /// Its incidents, by start.
    pub fn incidents(&self) -> impl DoubleEndedIterator<Item = &'a Incident> {
        self.service.history.as_deref().into_iter().flat_map(|history| &history.incidents).map(|t| &t.incident)
    }
}

const fn first_time(new: bool) -> Outcome {
    if new { Outcome::Applied } else { Outcome::Duplicate }
}

/// A place as it is kept. Four thousand million services are more than any network has.
#[allow(clippy::cast_possible_truncation, reason = "a process would run out of memory long before")]
const fn index(place: usize) -> u32 {
    place as u32
}
