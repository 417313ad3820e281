//! Events: the queue of what is to come, and its telling, line by line.
//!
//! What happens is decided in `troubles` and `response`; here it is only put in order. A fact is written down when it
//! is planned, and gets its id and its time when it is told, so that ids count up with time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::chance::Chance;
use super::network::Topology;
use super::rates::{Process, SAMPLE_EVERY};
use crate::model::time::{Instant, Span};

/// What happens to a network, in order of time and without end.
///
/// Memory grows with the network and with what is open, not with the time that passes.
#[derive(Clone, Debug)]
pub struct Events {
    pub(super) topology: Arc<Topology>,
    pub(super) chance: Chance,
    /// Sites and cities, the frail ones first: troubles are not spread evenly over a real network.
    pub(super) frail_sites: Vec<usize>,
    pub(super) frail_cities: Vec<usize>,
    /// Which of the sites is sampled next.
    pub(super) next_sample: usize,
    /// How often the latency of each site is told.
    pub(super) sample_every: Span,
    queue: BinaryHeap<Reverse<Pending>>,
    health: Vec<Health>,
    /// Tells the ids of this run from those of another seed or start.
    run: String,
    planned: u64,
    told: u64,
    tickets: u64,
}

/// One event of the native format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulated {
    /// When it happened: what its `time` says.
    pub time: Instant,
    /// The event as one JSON object, without a line feed.
    pub line: String,
}

/// Something to come. Ordered by time, then by when it was planned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pending {
    at: Instant,
    number: u64,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// A trouble begins, and the next of its sort is waited for.
    Arrival(Process),
    /// A flapping site drops out once more, and `left` times after that.
    Flap { site: usize, left: u64 },
    /// An event, complete but for its id and its time.
    Fact { service: usize, change: Change, fields: String },
}

/// What an event changes in the health of its service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    None,
    Fails,
    Returns,
    Degrades,
    Recovers,
}

/// How many outages of a service are open at the instant that the telling has reached.
#[derive(Clone, Copy, Debug, Default)]
struct Health {
    down: u32,
    degraded: u32,
}

impl Events {
    pub(super) fn new(topology: Arc<Topology>, start: Instant, seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let mut frail_sites = topology.sites.clone();
        let mut frail_cities: Vec<usize> = (0..topology.cities.len()).collect();
        chance.shuffle(&mut frail_sites);
        chance.shuffle(&mut frail_cities);
        let mut events = Self {
            chance,
            frail_sites,
            frail_cities,
            next_sample: 0,
            sample_every: SAMPLE_EVERY,
            queue: BinaryHeap::new(),
            health: vec![Health::default(); topology.services.len()],
            run: format!("sim-{seed:x}-{:x}", start.as_micros()),
            planned: 0,
            told: 0,
            tickets: 0,
            topology,
        };
        for process in Process::ALL {
            let wait = events.first_wait(process);
            events.plan(start.plus(wait), What::Arrival(process));
        }
        events
    }

    /// Tells the latency of each site that often instead of every five minutes. The rest keeps its rates.
    #[must_use]
    pub const fn sampled_every(mut self, span: Span) -> Self {
        self.sample_every = span;
        self
    }

    // ---- what the planning rooms use ----

    /// Plans an event: `fields` are those of the JSON object but for `id` and `time`.
    pub(super) fn say(&mut self, at: Instant, service: usize, change: Change, fields: String) {
        self.plan(at, What::Fact { service, change, fields });
    }

    /// Plans that a flapping site drops out again.
    pub(super) fn plan_flap(&mut self, at: Instant, site: usize, left: u64) {
        self.plan(at, What::Flap { site, left });
    }

    /// The next number of a trouble ticket or a maintenance window.
    pub(super) const fn next_ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    /// Whether the service is down at the instant that the telling has reached.
    pub(super) fn is_down(&self, service: usize) -> bool {
        self.health.get(service).is_some_and(|health| health.down > 0)
    }

    /// Whether the service is degraded at the instant that the telling has reached.
    pub(super) fn is_degraded(&self, service: usize) -> bool {
        self.health.get(service).is_some_and(|health| health.degraded > 0)
    }

    /// The service's id.
    pub(super) fn id(&self, service: usize) -> &str {
        &self.topology.services[service].id
    }

    fn plan(&mut self, at: Instant, what: What) {
        self.planned += 1;
        self.queue.push(Reverse(Pending { at, number: self.planned, what }));
    }

    fn tell(&mut self, time: Instant, service: usize, change: Change, fields: &str) -> Simulated {
        if let Some(health) = self.health.get_mut(service) {
            match change {
                Change::None => {}
                Change::Fails => health.down += 1,
                Change::Returns => health.down = health.down.saturating_sub(1),
                Change::Degrades => health.degraded += 1,
                Change::Recovers => health.degraded = health.degraded.saturating_sub(1),
            }
        }
        self.told += 1;
        // Every text in it comes from the tables of this room, which hold nothing that JSON would have to escape.
        let line = format!(r#"{{"id":"{}-{}","time":"{time}",{fields}}}"#, self.run, self.told);
        Simulated { time, line }
    }
}

impl Iterator for Events {
    type Item = Simulated;

    fn next(&mut self) -> Option<Simulated> {
        // Comes to an end: troubles set in for ever, and each of them plans facts.
        loop {
            let Reverse(Pending { at, what, .. }) = self.queue.pop()?;
            match what {
                What::Fact { service, change, fields } => return Some(self.tell(at, service, change, &fields)),
                What::Flap { site, left } => self.flap(at, site, left),
                What::Arrival(process) => {
                    self.begin(process, at);
                    let wait = self.wait(process).max(Span::from_micros(1));
                    self.plan(at.plus(wait), What::Arrival(process));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use serde_json::Value;

    use super::super::testing::{read, start, stream, text};

    #[test]
    fn the_seed_decides() {
        let lines = |seed| stream(300, seed).take(5_000).map(|event| event.line).collect::<Vec<_>>();
        assert_eq!(lines(7), lines(7));
        assert_ne!(lines(7), lines(8));
    }

    #[test]
    fn time_never_goes_backwards_and_ids_are_unique() {
        let mut ids = HashSet::new();
        let mut last = start();
        for event in stream(300, 7).take(50_000) {
            let read = read(&event);
            assert!(event.time >= last && !event.line.contains('\n'), "{}", event.line);
            assert_eq!(text(&read, "time").parse(), Ok(event.time));
            assert!(ids.insert(text(&read, "id").to_owned()), "{}", event.line);
            assert!(read["service"].is_string() && read["type"].is_string(), "{}", event.line);
            last = event.time;
        }
    }

    #[test]
    fn nothing_is_measured_on_a_service_that_is_down() {
        let mut down = BTreeSet::new();
        for event in stream(300, 5).take(50_000) {
            let read = read(&event);
            let key = |read: &Value| (text(read, "service").to_owned(), text(read, "outage").to_owned());
            match text(&read, "type") {
                "outage.started" if read["severity"].is_null() => assert!(down.insert(key(&read))),
                "outage.ended" => drop(down.remove(&key(&read))),
                "latency" => {
                    let from = (text(&read, "service").to_owned(), String::new());
                    let open = down.range(from.clone()..).next().is_some_and(|(service, _)| *service == from.0);
                    assert!(!open, "{}", event.line);
                }
                _ => {}
            }
        }
    }
}
