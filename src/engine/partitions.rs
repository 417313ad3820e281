//! Partitions: an engine for each part of a network, one order for each of them, the same figures and alerts for any
//! number of them.
//!
//! The head sees all inputs in their order and decides what concerns everybody: which events are new, which are taken
//! back, where services are. It assigns each event to the partition that has its service. Partitions run beside each
//! other, each with its own deadlines, and tell what they change about the sums of groups; the head adds that up in
//! order of time and judges the groups' budgets. What concerns the network as a whole, such as another policy, has the
//! partitions united first.

use super::dividing::{Owners, Split};
use super::ledger::Kept;
use super::sharing::Shared;
use super::sums::Change;
use super::{Engine, Input};
use crate::model::effect::Effect;
use crate::model::event::{Body, Event, Maintained};
use crate::model::event_id::EventId;
use crate::model::service::ServiceName;
use crate::model::time::{Instant, Span};

/// What makes an engine that of a partition.
#[derive(Clone, Debug)]
pub(super) struct Part {
    number: u32,
    owners: Shared<Owners>,
    told: Vec<Told>,
    /// Whether what it tells comes before the groups' deadlines of that instant.
    is_first: bool,
}

/// What a partition tells of a service.
#[derive(Clone, Debug)]
struct Told {
    at: Instant,
    is_first: bool,
    place: u32,
    change: Change<'static>,
}

/// What a partition has to do.
#[derive(Clone, Copy, Debug)]
enum Work<'i> {
    /// The source of an event has spoken.
    Hear(&'i Event),
    /// A service was named for the first time.
    Know(&'i ServiceName),
    /// What an event says is new.
    Learn { event: &'i Event, place: Option<u32>, retracted: bool },
    /// What an event said counts no more, or again.
    Retract { id: EventId, kept: Kept, retracted: bool },
    /// An event is of the drill of that name.
    Rehearse(&'i str, &'i Event),
}

/// What one partition has to do, so that inputs are taken in, and until when time passes by that.
#[derive(Debug)]
pub struct Works<'i> {
    works: Vec<(Instant, Work<'i>)>,
    until: Instant,
}

/// What is left of an engine that is divided: what comes before the partitions and what comes after them.
#[derive(Debug)]
pub struct Head {
    /// Its time is that of its groups.
    engine: Box<Engine>,
    /// How far it has heard.
    now: Instant,
    owners: Shared<Owners>,
    /// Whether any source is expected to speak.
    listens: bool,
}

/// One partition.
#[derive(Debug)]
pub struct Partition(Engine);

/// What a partition has done of an assignment.
#[derive(Debug)]
pub struct Done {
    effects: Vec<Effect>,
    told: Vec<Told>,
    until: Instant,
}

impl Part {
    pub(super) const fn new(number: u32, owners: Shared<Owners>) -> Self {
        Self { number, owners, told: Vec::new(), is_first: false }
    }

    /// Whether it has the service.
    pub(super) fn has(&self, place: u32) -> bool {
        self.owners.of(place) == self.number
    }

    pub(super) fn tell(&mut self, at: Instant, place: u32, change: Change<'_>) {
        self.told.push(Told { at, is_first: self.is_first, place, change: change.into_owned() });
    }
}

impl Engine {
    /// Divides the network into `count` partitions, which can be worked beside each other.
    ///
    /// # Errors
    /// The engine as it is, where all services hang together, or it cannot be divided at this moment.
    pub fn divide(self: Box<Self>, count: usize) -> Result<(Head, Vec<Partition>), Box<Self>> {
        let now = self.state.now;
        let listens = !self.state.feeds.is_empty();
        let Split { head: engine, owners, parts } = self.split(count)?;
        Ok((Head { engine, now, owners, listens }, parts.into_iter().map(Partition).collect()))
    }

    /// Whether the service is of this engine's partition, if it is of one.
    pub(super) fn has(&self, place: u32) -> bool {
        self.part.as_ref().is_none_or(|part| part.has(place))
    }

    /// Whether what everybody is told is told by this engine: of the partitions by the first.
    pub(super) fn speaks_for_all(&self) -> bool {
        self.part.as_ref().is_none_or(|part| part.number == 0)
    }

    /// Whether what comes is before the groups' deadlines of this instant.
    pub(super) fn come_first(&mut self, is_first: bool) {
        if let Some(part) = &mut self.part {
            part.is_first = is_first;
        }
    }
}

impl Head {
    /// Assigns the first of `inputs`, each received at its instant, to the partitions. Returns what each of them has to do
    /// after what it was assigned before, and how many inputs that takes in: the one after those concerns the network as
    /// a whole, which has to be [united](Self::unite) first.
    ///
    /// Bodies are asked about by [`Self::is_new_body`].
    pub fn assign<'i>(&mut self, inputs: &'i [(Instant, Input)]) -> (Vec<Works<'i>>, usize) {
        let count = self.owners.count();
        let mut works: Vec<_> = (0..count).map(|_| Vec::with_capacity(inputs.len() / count)).collect();
        let promised = self.engine.state.policies.next_after(self.now).unwrap_or(Instant::MAX);
        let mut taken = 0;
        for (at, input) in inputs {
            let Input::Event(event) = input else { break };
            if *at >= promised || input.concerns_all() {
                break;
            }
            self.now = self.now.max(*at);
            self.hear(event, &mut works);
            taken += 1;
        }
        (works.into_iter().map(|works| Works { works, until: self.now }).collect(), taken)
    }

    /// Whether this is the first body of that source and key.
    pub fn is_new_body(&mut self, source: &str, key: &str) -> bool {
        self.engine.state.ledger.is_new_body(source, key)
    }

    fn hear<'i>(&mut self, event: &'i Event, works: &mut [Vec<(Instant, Work<'i>)>]) {
        let Self { engine, owners, now, .. } = self;
        let mut assign = |to: Option<u32>, work: Work<'i>| match to {
            Some(part) => works[part as usize].push((*now, work)),
            None => works.iter_mut().for_each(|works| works.push((*now, work))),
        };
        if let Some(drill) = &event.drill {
            assign(Some(0), Work::Rehearse(drill, event));
            return;
        }
        engine.note_age(event, *now);
        if self.listens {
            assign(None, Work::Hear(event));
        }
        let place = event.body.service().map(|name| {
            let known = engine.registry.len();
            let place = engine.registry.place(name);
            if engine.registry.len() > known {
                assign(None, Work::Know(name));
            }
            place
        });
        if !engine.is_new(event, place) {
            return;
        }
        let retracted = engine.is_retracted(event);
        for (id, kept, retracted) in engine.take_back(event) {
            let work = Work::Retract { id, kept, retracted };
            match kept {
                Kept::Service(place) => assign(Some(owners.of(place)), work),
                Kept::Maintenance => assign(None, work),
                Kept::Retraction(_) | Kept::Nowhere => {}
            }
        }
        match &event.body {
            Body::MaintenancePlanned { of, .. } | Body::MaintenanceCancelled { of, .. } => {
                match of {
                    Maintained::Service(name) => _ = engine.registry.place(name),
                    Maintained::Group(name) => _ = engine.registry.group(name),
                }
                assign(None, Work::Learn { event, place, retracted });
            }
            body if retracted && body.is_sample() => {}
            _ => {
                if let Some(place) = place {
                    assign(Some(owners.of(place)), Work::Learn { event, place: Some(place), retracted });
                }
            }
        }
        engine.grow_groups();
    }

    /// Takes in what all partitions have done of one assignment, in the order of assignments. Effects are in order of their
    /// instants for each partition and for the groups.
    pub fn add(&mut self, done: Vec<Done>, effects: &mut Vec<Effect>) {
        let mut all = Vec::new();
        let mut until = self.engine.state.now;
        for done in done {
            until = until.max(done.until);
            effects.extend(done.effects);
            all.extend(done.told);
        }
        all.sort_by_key(|told| (told.at, !told.is_first));
        let engine = &mut self.engine;
        for Told { at, is_first, place, change } in all {
            engine.pass_alone(if is_first { at.minus(Span::TICK) } else { at }, effects);
            engine.state.now = engine.state.now.max(at);
            match change {
                Change::Moved => engine.touch_groups_of(place),
                change => engine.sums().change(place, change),
            }
        }
        engine.pass_alone(until, effects);
    }

    /// The network as a whole again, once all that was assigned is done and added.
    #[must_use]
    pub fn unite(mut self, parts: Vec<Partition>) -> Engine {
        self.engine.join_parts(parts.into_iter().map(|part| part.0).collect());
        *self.engine
    }
}

impl Partition {
    /// Does its part of an assignment.
    pub fn run(&mut self, works: &Works<'_>) -> Done {
        let (engine, mut effects) = (&mut self.0, Vec::new());
        for &(at, work) in &works.works {
            engine.pass(at, &mut effects);
            match work {
                Work::Hear(event) => engine.hear(event),
                Work::Know(name) => _ = engine.place(name),
                Work::Learn { event, place, retracted } => {
                    engine.learn(event, place, retracted, &mut effects);
                }
                Work::Retract { id, kept, retracted } => engine.retract((id, kept), retracted),
                Work::Rehearse(drill, event) => _ = engine.rehearse(drill, event, &mut effects),
            }
        }
        engine.pass(works.until, &mut effects);
        let told = engine.part.as_mut().map(|part| std::mem::take(&mut part.told));
        Done { effects, told: told.unwrap_or_default(), until: works.until }
    }
}
