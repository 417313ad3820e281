//! Law 6 in use: a network that is worked in partitions, beside each other, is the same as one that is worked as a whole:
//! the same figures, incidents and alerts, to the instant, for any number of them and however inputs are bundled.

use std::collections::BTreeMap;

use fournines::engine::{Done, Engine, Head, Input, Partition, Works};
use fournines::model::alert::AlertKey;
use fournines::model::effect::{Effect, EffectKind};
use fournines::model::incident::{Incident, IncidentId};
use fournines::model::policy::Policy;
use fournines::model::target::Maintenance;
use fournines::model::time::{Instant, Span};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::world::{END, HORIZON, Saying, arrivals, at, decoded, input, line, policy, world};
use crate::{figures, without_repeats};

/// What comes beside what is said of the network: none of it is in every world.
#[derive(Clone, Debug)]
enum Beside {
    /// Of a drill.
    Drill(Saying),
    /// Of a service that the catalogue does not name, by a number.
    Stranger(Saying, u8),
    /// Somebody at a service acknowledges an incident by its id: of those of the whole, one by its number.
    Named { service: usize, number: usize },
    /// Another policy, under which what hangs together is other than before, or targets come into force later.
    Policy { hangs: Hangs, later: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hangs {
    AsBefore,
    /// The trees are one.
    Together,
    /// A tree is two.
    Apart,
}

/// A network as a whole, or in partitions.
enum Network {
    Whole(Box<Engine>),
    Divided(Head, Vec<Partition>),
}

impl Network {
    /// Divides it if it can be.
    fn divide(self, count: usize) -> Self {
        match self {
            Self::Whole(engine) => match engine.divide(count) {
                Ok((head, parts)) => Self::Divided(head, parts),
                Err(engine) => Self::Whole(engine),
            },
            divided @ Self::Divided(..) => divided,
        }
    }

    fn unite(self) -> Engine {
        match self {
            Self::Whole(engine) => *engine,
            Self::Divided(head, parts) => head.unite(parts),
        }
    }
}

fn beside() -> impl Strategy<Value = (i64, Beside)> {
    let saying = || crate::world::saying();
    let what = prop_oneof![
        1 => saying().prop_map(Beside::Drill),
        4 => (saying(), 0..3_u8).prop_map(|(saying, number)| Beside::Stranger(saying, number)),
        1 => (0..5_usize, 0..9_usize).prop_map(|(service, number)| Beside::Named { service, number }),
        1 => (proptest::sample::select(&[Hangs::AsBefore, Hangs::Together, Hangs::Apart]), any::<bool>())
            .prop_map(|(hangs, later)| Beside::Policy { hangs, later }),
    ];
    (0..HORIZON, what)
}

/// Another policy than that of the worlds.
fn other_policy(received: i64, hangs: Hangs, later: bool) -> Policy {
    let mut policy = policy();
    policy.targets.maintenance = Maintenance::Ignore;
    policy.targets.effective_from = later.then(|| at(received + 700));
    let (name, parents): (_, &[&str]) = match hangs {
        Hangs::AsBefore => ("a", &["p"]),
        Hangs::Together => ("q", &["p"]),
        Hangs::Apart => ("a", &[]),
    };
    let (_, facts) = policy.services.iter_mut().find(|(known, _)| known.as_str() == name).unwrap();
    facts.depends_on = parents.iter().map(|&parent| parent.to_owned()).collect();
    policy
}

/// All inputs in their order; those that name incidents name those of `known`.
fn inputs(world: &[Saying], others: &[(i64, Beside)], known: &[IncidentId]) -> Vec<(Instant, Input)> {
    let mut all: Vec<(i64, Input)> = arrivals(world)
        .into_iter()
        .map(|(received, number)| (received, input(number, &world[number], true)))
        .collect();
    for (number, (received, other)) in others.iter().enumerate() {
        let line = |saying: &Saying| line(1000 + number, saying, true);
        let input = match other {
            Beside::Drill(saying) => decoded(&line(saying).replacen('{', r#"{"drill":"storm","#, 1)),
            Beside::Stranger(saying, stranger) => {
                let name = format!(r#""service":"s{stranger}""#);
                let known = ["p", "a", "b", "q", "c"].map(|name| format!(r#""service":"{name}""#));
                decoded(&known.iter().fold(line(saying), |line, known| line.replace(known, &name)))
            }
            Beside::Named { service, number } => {
                let Some(id) = known.get(number % known.len().max(1)) else { continue };
                let service = ["p", "a", "b", "q", "c"][*service];
                let time = at(*received);
                decoded(&format!(
                    r#"{{"type":"repair.acknowledged","time":"{time}","source":"hand","service":"{service}","incident":"{id}","by":"li"}}"#
                ))
            }
            Beside::Policy { hangs, later } => Input::Policy(Box::new(other_policy(*received, *hangs, *later))),
        };
        all.push((*received, input));
    }
    all.sort_by_key(|&(received, _)| received);
    all.into_iter().map(|(received, input)| (at(received), input)).collect()
}

fn begun() -> Engine {
    let mut engine = crate::world::engine();
    engine.advance(at(0), &mut Vec::new());
    engine
}

fn whole(inputs: &[(Instant, Input)]) -> (Engine, Vec<Effect>) {
    let (mut engine, mut effects) = (begun(), Vec::new());
    for (received, input) in inputs {
        engine.apply(*received, input, &mut effects);
    }
    engine.advance(at(END), &mut effects);
    (engine, effects)
}

/// How many inputs are bundled, whether what comes next is assigned before they are added up, and whether the network is
/// united after them.
type Bundle = (usize, bool, bool);

/// The same in partitions.
fn in_partitions(inputs: &[(Instant, Input)], count: usize, bundles: &[Bundle]) -> (Engine, Vec<Effect>) {
    let (mut network, mut effects) = (Network::Whole(Box::new(begun())), Vec::new());
    let mut rest = inputs;
    let mut bundles = bundles.iter().cycle();
    while !rest.is_empty() {
        let &(size, ahead, unite) = bundles.next().unwrap();
        let (bundle, later) = rest.split_at(size.min(rest.len()));
        rest = later;
        let mut bundle = bundle;
        while !bundle.is_empty() {
            network = network.divide(count);
            let mut taken = 0;
            if let Network::Divided(head, parts) = &mut network {
                let half = if ahead { bundle.len().div_ceil(2) } else { bundle.len() };
                let (works, assigned) = head.assign(&bundle[..half]);
                let mut run = |works: Vec<Works<'_>>| -> Vec<Done> {
                    parts.iter_mut().zip(&works).map(|(part, works)| part.run(works)).collect()
                };
                let done = run(works);
                if ahead {
                    let (works, more) = head.assign(&bundle[assigned..]);
                    head.add(done, &mut effects);
                    head.add(run(works), &mut effects);
                    taken = assigned + more;
                } else {
                    head.add(done, &mut effects);
                    taken = assigned;
                }
            }
            if let Some((received, input)) = bundle.get(taken).filter(|_| taken == 0) {
                let mut engine = network.unite();
                engine.apply(*received, input, &mut effects);
                network = Network::Whole(Box::new(engine));
                taken += 1;
            }
            bundle = &bundle[taken..];
        }
        if unite {
            network = Network::Whole(Box::new(network.unite()));
        }
    }
    let mut engine = network.unite();
    engine.advance(at(END), &mut effects);
    (engine, effects)
}

/// What was told of each alert and each incident, in order.
fn told(effects: Vec<Effect>) -> (BTreeMap<AlertKey, Vec<Effect>>, BTreeMap<IncidentId, Vec<Effect>>) {
    let (mut alerts, mut records) = (BTreeMap::new(), BTreeMap::new());
    for effect in without_repeats(effects) {
        let of: &mut Vec<Effect> = match &effect.kind {
            EffectKind::Fire(alert) | EffectKind::Resolve(alert, _) => alerts.entry(alert.key.clone()).or_default(),
            EffectKind::Record(incident) => records.entry(incident.id).or_default(),
        };
        of.push(effect);
    }
    (alerts, records)
}

proptest! {
    #[test]
    fn law_6_holds_for_partitions_beside_each_other(
        world in world(), others in vec(beside(), 0..12), count in 2..5_usize,
        bundles in vec((1..12_usize, any::<bool>(), prop::bool::weighted(0.2)), 1..6),
    ) {
        let (first, _) = whole(&inputs(&world, &[], &[]));
        let known: Vec<IncidentId> = first.incidents().map(|incident| incident.id).collect();
        let inputs = inputs(&world, &others, &known);
        let (expected, expected_effects) = whole(&inputs);
        let (found, effects) = in_partitions(&inputs, count, &bundles);
        let ((alerts, records), (expected_alerts, expected_records)) = (told(effects), told(expected_effects));
        for (key, told) in &expected_alerts {
            prop_assert_eq!(alerts.get(key), Some(told));
        }
        prop_assert_eq!(alerts.len(), expected_alerts.len());
        for (id, told) in &expected_records {
            prop_assert_eq!(records.get(id), Some(told));
        }
        prop_assert_eq!(records.len(), expected_records.len());
        prop_assert_eq!(figures(&found), figures(&expected));
        let incidents = |engine: &Engine| -> Vec<Incident> { engine.incidents().cloned().collect() };
        prop_assert_eq!(incidents(&found), incidents(&expected));
        let recent = |engine: &Engine| -> Vec<IncidentId> { engine.recent_incidents().map(|one| one.id).collect() };
        prop_assert_eq!(recent(&found), recent(&expected));
        prop_assert_eq!(found.counts(), expected.counts());
        prop_assert_eq!(found.now(), expected.now());
        prop_assert_eq!(found.next_deadline(), expected.next_deadline());
        prop_assert_eq!(found.snapshot().len(), expected.snapshot().len());
        // They go on alike.
        let (mut found, mut expected) = (found, expected);
        let ends = [&mut found, &mut expected].map(|engine| {
            let mut effects = Vec::new();
            for service in ["a", "c", "s1"] {
                let line = format!(
                    r#"{{"type":"outage.started","time":"{}","source":"hand","service":"{service}","outage":"last"}}"#,
                    at(END)
                );
                engine.apply(at(END).plus(Span::from_secs(5)), &decoded(&line), &mut effects);
            }
            engine.advance(at(2 * END), &mut effects);
            told(effects)
        });
        prop_assert!(ends[0] == ends[1]);
    }
}
