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
//!     engine.advance(at, &mut effects)       // that was all of this instant
//!     hand the effects out
//! }
//! ```
//!
//! The one invariant of that loop: instants given to it never go backwards; one that does is taken as the last. What
//! happens at one instant is complete once a later one is given, or `advance` is called with it: only then are
//! incidents looked at, so that a storm that comes in one batch is one incident from the first.
//!
//! Must not enter: async, a clock, I/O, logging, randomness, iteration in an order that is not fixed.

mod alerts;
mod assess;
mod availability;
mod budget;
mod clocks;
mod clusters;
mod counts;
mod crossing;
mod curve;
mod dividing;
mod drills;
mod facts;
mod feeds;
mod folding;
mod groups;
mod history;
mod impact;
mod incidents;
mod lately;
mod latency;
mod ledger;
mod lengths;
mod levels;
mod maintenance;
mod marks;
mod measuring;
mod naming;
mod overview;
mod packed;
mod partitions;
mod pending;
mod period;
mod points;
mod policies;
mod reading;
mod recent;
mod recovery;
mod registry;
mod regroup;
mod repairs;
mod reports;
mod room;
mod settling;
mod sharing;
mod snapshot;
mod sums;
mod timeline;
mod timers;
mod topology;
mod watch;

use borsh::{BorshDeserialize, BorshSerialize};

pub use counts::Counts;
pub use latency::Latency;
pub use overview::{FeedView, MaintenanceState, MaintenanceView, OutageView, Standing, Whom};
pub use partitions::{Done, Head, Partition, Works};
pub use period::{Account, Announcement, CauseShare, Located, OutageFact, Silence};
pub use reading::{GroupView, PeriodFigures, ServiceView};
pub use recovery::Recovery;
pub use snapshot::BadSnapshot;
pub use timers::Timer;

use crate::model::effect::Effect;
use crate::model::event::{About, Body, Event, Outcome};
use crate::model::policy::Policy;
use crate::model::time::Instant;
use drills::Drills;
use feeds::Listener;
use groups::Group;
use incidents::Incidents;
use ledger::Ledger;
use maintenance::Maintenance;
use partitions::Part;
use policies::Policies;
use registry::Registry;
use sharing::Shared;
use timers::{Owner, Timers};

/// All that can come in.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Something happened.
    Event(Event),
    /// People decided something else: catalogue, targets, rules.
    Policy(Box<Policy>),
    /// What is over by the last of these first instants of days becomes sums of whole days.
    Fold(Vec<Instant>),
    /// A whole body begins, known by its source and `Idempotency-Key`.
    Body {
        /// The source that sends it.
        source: Box<str>,
        /// Its key.
        key: Box<str>,
    },
}

impl Input {
    /// Whether it concerns the network as a whole, so that no partition alone can take it in: also what names an incident by
    /// its id, which may be another partition's.
    #[must_use]
    pub fn concerns_all(&self) -> bool {
        match self {
            Self::Event(Event { body: Body::Acted(acted), drill: None, .. }) => {
                matches!(acted.about, About::Incident(_))
            }
            Self::Event(_) => false,
            Self::Policy(_) | Self::Fold(_) | Self::Body { .. } => true,
        }
    }
}

/// The pure core.
#[derive(Clone, Debug)]
pub struct Engine {
    state: State,
    registry: Registry,
    drills: Drills,
    /// Which part of the network it is of, if it is of a partition.
    part: Option<Part>,
}

/// What a snapshot holds beside the services and the drills; all else follows from it.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
struct State {
    now: Instant,
    policies: Shared<Policies>,
    /// By the place of its name in the registry.
    groups: Vec<Shared<Group>>,
    incidents: Incidents,
    maintenance: Maintenance,
    feeds: Vec<Listener>,
    timers: Timers,
    ledger: Ledger,
    counts: Counts,
    /// When the last event of long before was heard of.
    last_old: Instant,
    /// The first instants of days, in order: what is before the last one is folded.
    days: Vec<Instant>,
    /// The drill that this is the engine of; absent for the network's own.
    drill: Option<Box<str>>,
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
        let mut registry = Registry::default();
        registry.group("all");
        let state = State {
            now: Instant::MIN,
            last_old: Instant::MIN,
            groups: vec![Shared::default()],
            ..State::default()
        };
        Self { state, registry, drills: Drills::default(), part: None }
    }

    /// Takes in one input, received at `at`. Deadlines that fell due by then are met first, each at its own instant.
    pub fn apply(&mut self, at: Instant, input: &Input, effects: &mut Vec<Effect>) -> Outcome {
        self.pass(at, effects);
        match input {
            Input::Event(event) => match &event.drill {
                Some(drill) => self.rehearse(drill, event, effects),
                None => self.take(event, effects),
            },
            Input::Policy(policy) => {
                self.adopt(policy, effects);
                self.adopt_in_drills(effects);
                Outcome::Applied
            }
            Input::Fold(days) => {
                // What is not looked at yet must not be forgotten.
                self.conclude(effects);
                self.fold(days);
                Outcome::Applied
            }
            Input::Body { source, key } => {
                if self.state.ledger.is_new_body(source, key) {
                    Outcome::Applied
                } else {
                    Outcome::Duplicate
                }
            }
        }
    }

    /// Lets time pass up to `now`, and meets every deadline on the way at its own instant. All that happened at `now` has
    /// been given.
    pub fn advance(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.pass(now, effects);
        self.conclude(effects);
        self.conclude_drills(effects);
    }

    /// Lets time pass up to `now`, of which more may come, here and in the drills.
    fn pass(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        // At one instant the network comes first.
        while let Some(due) = self.drills.due().filter(|&due| due < now) {
            self.pass_alone(due, effects);
            self.conclude(effects);
            self.advance_drills(due, effects);
        }
        self.pass_alone(now, effects);
        self.pass_drills(effects);
    }

    /// Lets time pass up to `now`, of which more may come, but for the drills.
    fn pass_alone(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let mut met = false;
        loop {
            let first = self.state.timers.first();
            let next = first.map_or(now, |(deadline, ..)| deadline.min(now));
            if next > self.state.now {
                if self.state.incidents.is_pending() {
                    // What is concluded may fall due earlier.
                    self.conclude(effects);
                    continue;
                }
                self.state.now = next;
            }
            let Some((_, owner, timer)) = first.filter(|&(deadline, ..)| deadline <= now) else { break };
            met = true;
            self.meet(owner, timer, effects);
        }
        // What fell due at an instant comes before what is heard of at it.
        if met {
            self.conclude(effects);
        }
    }

    fn meet(&mut self, owner: Owner, timer: Timer, effects: &mut Vec<Effect>) {
        match owner {
            Owner::Policy => self.come_into_force(effects),
            Owner::Feed(place) => self.notice_silence(place),
            Owner::Service(place) if timer == Timer::Budget => self.judge_service(place, effects),
            Owner::Service(place) if timer == Timer::Latency => self.judge_latency(place, effects),
            Owner::Service(place) => self.wake(place),
            Owner::Incident(cluster) => self.fall_due(cluster, timer),
            Owner::Group(place) => self.judge_group(place, effects),
        }
    }

    // ---- what can be read; figures are in `reading` ----

    /// A copy that all can be read from. It forgot which events were taken in: each one changes another part of that, which
    /// would be doubled for it.
    #[must_use]
    pub fn to_read(&self) -> Self {
        let state = State { ledger: Ledger::default(), ..self.state.clone() };
        Self { state, registry: self.registry.clone(), drills: self.drills.clone(), part: None }
    }

    /// The last instant it was given.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.state.now
    }

    /// When it wants to be woken next, and why.
    #[must_use]
    pub fn next_deadline(&self) -> Option<(Instant, Timer)> {
        let own = if self.state.incidents.is_pending() {
            Some((self.state.now, Timer::Look))
        } else {
            self.state.timers.first().map(|(at, _, timer)| (at, timer))
        };
        own.into_iter().chain(self.drills.next_deadline()).min_by_key(|&(at, _)| at)
    }

    /// Whether all that was given is looked at: nothing waits for its instant to be complete.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.next_deadline().is_none_or(|(_, timer)| timer != Timer::Look)
    }

    /// What happened since the journal began.
    #[must_use]
    pub const fn counts(&self) -> &Counts {
        &self.state.counts
    }
}
