//! An engine on its way through a recording: as a whole, or in partitions beside each other on as many threads as the
//! machine has cores.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{available_parallelism, scope};

use super::recording::Batch;
use crate::engine::{Done, Engine, Head, Input, Partition, Works};
use crate::model::alert::{Alert, AlertKey};
use crate::model::effect::{Effect, EffectKind};
use crate::model::event::Outcome;
use crate::model::policy::Policy;
use crate::model::time::Instant;

/// How many inputs are assigned at once: some milliseconds of work, beside which handing it over is little.
const BUNDLE: usize = 2048;
/// How many inputs wait for more: the partitions wait for each other at the end of them.
const WAITING: usize = 16 * BUNDLE;
/// How many bundles wait for a partition, so that one that has more to do in one of them is not waited for at once.
const AHEAD: usize = 4;

/// A network as a whole, or in partitions.
#[derive(Debug)]
enum Network {
    Whole(Box<Engine>),
    Divided(Head, Vec<Partition>),
}

/// The way to a partition that is at work, and back.
struct Lane<'i> {
    work: SyncSender<Works<'i>>,
    done: Receiver<Done>,
}

/// An engine on its way through a recording, with what it told.
#[derive(Debug)]
pub(super) struct Run {
    network: Network,
    /// How many partitions there may be.
    count: usize,
    /// Inputs since the last one that concerned the network as a whole; absent where it cannot be divided.
    quiet: Option<usize>,
    /// What waits for more, while it is in partitions.
    waiting: Vec<(Instant, Input)>,
    told: Told,
}

/// What began and what was over.
#[derive(Debug, Default)]
struct Told {
    changes: Vec<Change>,
    firing: BTreeSet<AlertKey>,
}

/// An alert that began, or with `ended` was over, as it was known at `at`.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) at: Instant,
    pub(super) alert: Alert,
    pub(super) ended: Option<Instant>,
}

/// A run that is at its end.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) engine: Engine,
    /// What began and what was over, in order of time, and of alerts where that is the same.
    pub(super) alerts: Vec<Change>,
}

impl Default for Run {
    fn default() -> Self {
        Self::from(Engine::new())
    }
}

impl Run {
    /// A run under a policy that was in force before anything happened.
    pub(super) fn under(policy: Policy) -> Self {
        let mut run = Self::default();
        run.take(&[(Instant::MIN, Input::Policy(Box::new(policy)))]);
        run
    }

    /// A run that goes on from a state.
    pub(super) fn from(engine: Engine) -> Self {
        let firing = engine.alerts().map(|alert| alert.key.clone()).collect();
        Self {
            network: Network::Whole(Box::new(engine)),
            count: available_parallelism().map_or(1, usize::from),
            quiet: Some(0),
            waiting: Vec::new(),
            told: Told { changes: Vec::new(), firing },
        }
    }

    pub(super) fn apply(&mut self, batch: Batch<'_>) {
        let Batch { source, key, inputs } = batch;
        if key.is_some_and(|key| !self.is_new_body(source, key)) {
            return;
        }
        match self.network {
            Network::Divided(..) if self.waiting.len() + inputs.len() < WAITING => {
                self.waiting.extend_from_slice(inputs);
            }
            _ => {
                self.take_waiting();
                self.take(inputs);
            }
        }
    }

    /// Lets time pass up to `at`, which is the end.
    pub(super) fn finish(mut self, at: Instant) -> Ended {
        self.take_waiting();
        let Self { network, mut told, .. } = self;
        let mut effects = Vec::new();
        let mut engine = match network {
            Network::Whole(engine) => *engine,
            Network::Divided(head, parts) => head.unite(parts),
        };
        engine.advance(at, &mut effects);
        told.note(effects);
        let mut alerts = told.changes;
        // Of one instant the partitions decide in their own order.
        alerts.sort_by(|one, other| one.at.cmp(&other.at).then_with(|| one.alert.key.cmp(&other.alert.key)));
        Ended { engine, alerts }
    }

    /// Whether this is the first body of that source and key.
    fn is_new_body(&mut self, source: &str, key: &str) -> bool {
        match &mut self.network {
            Network::Whole(engine) => {
                let (now, body) = (engine.now(), Input::Body { source: source.into(), key: key.into() });
                let mut effects = Vec::new();
                let outcome = engine.apply(now, &body, &mut effects);
                self.told.note(effects);
                outcome != Outcome::Duplicate
            }
            Network::Divided(head, _) => head.is_new_body(source, key),
        }
    }

    fn take_waiting(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        self.take(&waiting);
    }

    fn take(&mut self, inputs: &[(Instant, Input)]) {
        let mut rest = inputs;
        while !rest.is_empty() {
            let taken = match &mut self.network {
                Network::Whole(engine) => whole(engine, rest, (self.count, &mut self.quiet), &mut self.told),
                Network::Divided(head, parts) => beside(head, parts, rest, &mut self.told),
            };
            rest = &rest[taken..];
            if !rest.is_empty() {
                self.turn();
            }
        }
    }

    /// Divides the network, or unites it.
    fn turn(&mut self) {
        let network = std::mem::replace(&mut self.network, Network::Whole(Box::default()));
        self.network = match network {
            Network::Whole(engine) => match engine.divide(self.count) {
                Ok((head, parts)) => Network::Divided(head, parts),
                Err(engine) => {
                    self.quiet = None;
                    Network::Whole(engine)
                }
            },
            Network::Divided(head, parts) => {
                self.quiet = Some(0);
                Network::Whole(Box::new(head.unite(parts)))
            }
        };
    }
}

/// Takes in the first of `inputs`, at least one, up to where the network can be divided. Returns how many that were.
fn whole(
    engine: &mut Engine,
    inputs: &[(Instant, Input)],
    (count, quiet): (usize, &mut Option<usize>),
    told: &mut Told,
) -> usize {
    let mut effects = Vec::new();
    for (taken, (received, input)) in (1..).zip(inputs) {
        engine.apply(*received, input, &mut effects);
        told.note(effects.drain(..));
        *quiet = match input {
            // It may hang together otherwise now.
            Input::Policy(_) => Some(0),
            input if input.concerns_all() => quiet.map(|_| 0),
            _ => quiet.map(|quiet| quiet + 1),
        };
        // Dividing costs something for each service.
        let is_quiet = count > 1 && quiet.is_some_and(|quiet| quiet > engine.services().len());
        if is_quiet && engine.is_complete() {
            return taken;
        }
    }
    inputs.len()
}

/// Takes in the first of `inputs`, up to one that concerns the network as a whole. Each partition has a thread, and bundles
/// that wait for it. Returns how many inputs that were.
fn beside(head: &mut Head, parts: &mut [Partition], inputs: &[(Instant, Input)], told: &mut Told) -> usize {
    scope(|scope| {
        let lanes = parts.iter_mut().map(|part| {
            let (work, works) = sync_channel(AHEAD);
            let (tell, done) = channel();
            scope.spawn(move || works.iter().try_for_each(|works| tell.send(part.run(&works))));
            Lane { work, done }
        });
        let lanes: Vec<Lane<'_>> = lanes.collect();
        let mut add = |head: &mut Head| {
            // One that panics has all of this panic at its end.
            let done = lanes.iter().map_while(|lane| lane.done.recv().ok()).collect();
            let mut effects = Vec::new();
            head.add(done, &mut effects);
            told.note(effects);
        };
        let (mut from, mut at_work) = (0, 0);
        loop {
            let (works, taken) = head.assign(&inputs[from..inputs.len().min(from + BUNDLE)]);
            if taken == 0 {
                break;
            }
            from += taken;
            at_work += 1;
            for (lane, works) in lanes.iter().zip(works) {
                _ = lane.work.send(works);
            }
            if at_work > AHEAD {
                add(head);
                at_work -= 1;
            }
        }
        (0..at_work).for_each(|_| add(head));
        from
    })
}

impl Told {
    /// Keeps what began and what was over; an alert that fires on with other facts is neither.
    fn note(&mut self, effects: impl IntoIterator<Item = Effect>) {
        for Effect { at, kind, .. } in effects {
            match kind {
                EffectKind::Fire(alert) => {
                    if self.firing.insert(alert.key.clone()) {
                        self.changes.push(Change { at, alert, ended: None });
                    }
                }
                EffectKind::Resolve(alert, ended) => {
                    self.firing.remove(&alert.key);
                    self.changes.push(Change { at, alert, ended: Some(ended) });
                }
                EffectKind::Record(_) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::settings;
    use crate::config::read_catalog;
    use crate::ingest::decode::{Gate, Layout, decode};
    use crate::model::incident::Incident;
    use crate::model::time::Window;
    use crate::simulate::Network as Simulated;

    /// Bodies of a journal, some of which come twice, then a piece of a file; between them a report that names an incident,
    /// and another policy.
    fn played(count: usize, named: &[Incident]) -> (Ended, Instant, bool) {
        let network = Simulated::new(60, 5);
        let mut policy = settings(None, None).unwrap().policy;
        policy.services = read_catalog("simulated", &network.catalog_csv()).unwrap();
        let mut other = policy.clone();
        other.targets.watch_services = !other.targets.watch_services;
        let events = network.events("2026-01-01T00:00:00Z".parse().unwrap(), 5);
        let text: Vec<String> = events.take(160_000).map(|event| event.line + "\n").collect();
        let decoded = decode(Layout::Lines, text.concat().as_bytes(), &Gate::past("test".into()));
        let all: Vec<_> = decoded.events.into_iter().map(|event| (event.time, Input::Event(event))).collect();
        let (bodies, piece) = all.split_at(100_000);
        let mut run = Run::under(policy);
        run.count = count;
        let mut was_divided = false;
        for (number, inputs) in bodies.chunks(700).enumerate() {
            let key = format!("body {}", number - number % 2);
            run.apply(Batch { source: "nms", key: (number % 10 == 1).then_some(&key), inputs });
            run.apply(Batch { source: "nms", key: Some(&key), inputs });
            was_divided |= matches!(run.network, Network::Divided(..));
            let (Some(&(last, _)), Some(Incident { id, service, .. })) = (inputs.last(), named.get(number / 50))
            else {
                continue;
            };
            if number % 50 != 49 {
                continue;
            }
            let report = format!(
                r#"{{"type":"repair.acknowledged","time":"{last}","service":"{service}","incident":"{id}","by":"li"}}"#
            );
            let report = decode(Layout::Lines, report.as_bytes(), &Gate::past("test".into())).events.remove(0);
            run.apply(Batch { source: "nms", key: None, inputs: &[(last, Input::Event(report))] });
            run.apply(Batch {
                source: "config",
                key: None,
                inputs: &[(last, Input::Policy(Box::new(other.clone())))],
            });
        }
        run.apply(Batch { source: "file", key: None, inputs: piece });
        let at = piece.last().unwrap().0;
        (run.finish(at), at, was_divided)
    }

    fn told((Ended { engine, alerts }, at, _): &(Ended, Instant, bool)) -> String {
        let services =
            engine.services().map(|view| format!("{} {:?}", view.name(), view.figures(Window::Day, *at)));
        let groups = engine.groups().map(|view| format!("{} {:?}", view.name(), view.figures(Window::Day, *at)));
        let figures: Vec<String> = services.chain(groups).collect();
        let incidents: Vec<_> = engine.incidents().collect();
        format!("{alerts:#?}\n{incidents:#?}\n{figures:#?}")
    }

    #[test]
    fn any_number_of_partitions_tells_the_same() {
        let named: Vec<Incident> = played(1, &[]).0.engine.incidents().take(2).cloned().collect();
        let whole = played(1, &named);
        assert!(!whole.2);
        let expected = told(&whole);
        for count in [2, 3, 8] {
            let parts = played(count, &named);
            assert!(parts.2, "{count}: never divided");
            let found = told(&parts);
            let difference = expected.lines().zip(found.lines()).find(|(expected, found)| expected != found);
            assert!(expected == found, "{count}: {difference:?}");
        }
    }
}
