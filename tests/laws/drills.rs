//! Drills: whatever is played in them, the network's figures, incidents and alerts are those of a world without; and what
//! is played is judged as the network would be.

use std::collections::BTreeMap;

use fournines::engine::{Engine, Input};
use fournines::model::effect::{Effect, EffectKind};
use fournines::model::event::Outcome;
use fournines::model::incident::{Incident, IncidentId};
use fournines::model::policy::Policy;
use fournines::model::procedure::Procedure;
use fournines::model::time::Instant;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::world::{END, HORIZON, Saying, arrivals, at, input, policy, run, world};
use crate::{difference, figures};

/// Two drills run at once.
const NAMES: [&str; 2] = ["autumn", "spring"];

/// What is said of drills: of each of them a world of its own.
fn drills() -> impl Strategy<Value = [Vec<Saying>; 2]> {
    [world(), world()]
}

/// A saying as part of a drill. Its id is one that the network's sayings have as well.
fn rehearsed(drill: &str, number: usize, saying: &Saying) -> Input {
    let mut input = input(number, saying, true);
    if let Input::Event(event) = &mut input {
        event.drill = Some(drill.into());
    }
    input
}

/// Everything that arrives, in order: what the drills say comes after what the network says at the same second.
fn mixed(world: &[Saying], drills: &[Vec<Saying>; 2]) -> Vec<(i64, Input)> {
    let mut all: Vec<(i64, Input)> = arrivals(world)
        .into_iter()
        .map(|(received, number)| (received, input(number, &world[number], true)))
        .collect();
    for (name, said) in NAMES.iter().zip(drills) {
        let order = arrivals(said).into_iter();
        all.extend(order.map(|(received, number)| (received, rehearsed(name, number, &said[number]))));
    }
    all.sort_by_key(|&(received, _)| received);
    all
}

/// Plays everything; `between` is called before each arrival.
fn play(
    arrivals: &[(i64, Input)],
    mut between: impl FnMut(&mut Engine, i64, &mut Vec<Effect>),
) -> (Engine, Vec<Effect>) {
    let mut engine = crate::world::engine();
    let mut effects = Vec::new();
    for (received, input) in arrivals {
        between(&mut engine, *received, &mut effects);
        engine.apply(at(*received), input, &mut effects);
    }
    between(&mut engine, END, &mut effects);
    engine.advance(at(END), &mut effects);
    (engine, effects)
}

/// Other levels, limits and correlation, and a catalogue that lacks a service and knows another's users.
fn other_policy() -> Policy {
    let mut policy = policy();
    policy.correlation.siblings = 5;
    policy.services.remove(1);
    policy.services[1].1.users = Some(25_000);
    policy.levels.second.remove(0);
    policy.targets.base.remove(0);
    policy
}

fn drill_of(effect: &Effect) -> Option<&str> {
    match &effect.kind {
        EffectKind::Fire(alert) | EffectKind::Resolve(alert, _) => alert.key.drill(),
        EffectKind::Record(incident) => incident.drill.as_deref(),
    }
}

/// What a drill and the network have in common: all but the id, and that it is a drill.
fn judged(incident: &Incident) -> Incident {
    Incident {
        id: IncidentId(0),
        drill: None,
        merged_into: incident.merged_into.map(|_| IncidentId(0)),
        ..incident.clone()
    }
}

fn by_start<'i>(incidents: impl Iterator<Item = &'i Incident>) -> BTreeMap<(Instant, String, String), Incident> {
    let key = |i: &Incident| (i.started, i.service.to_string(), format!("{:?} {}", i.status, i.detected));
    incidents.map(|incident| (key(incident), judged(incident))).collect()
}

proptest! {
    /// Whatever is played in drills, the network is told of, and shows, what it would without them.
    #[test]
    fn drills_touch_nothing_of_the_network(world in world(), drills in drills()) {
        let (plain, expected) = run(&world, |_, _, _| {});
        let (engine, effects) = play(&mixed(&world, &drills), |_, _, _| {});
        let own: Vec<Effect> = effects.into_iter().filter(|effect| drill_of(effect).is_none()).collect();
        prop_assert!(own == expected, "{}", difference(&own, &expected));
        prop_assert_eq!(figures(&engine), figures(&plain));
        prop_assert!(engine.incidents().eq(plain.incidents()));
        prop_assert_eq!(engine.counts(), plain.counts());
        prop_assert!(engine.alerts().filter(|alert| alert.key.drill().is_none()).eq(plain.alerts()));
        prop_assert!(engine.groups().map(|view| view.name()).eq(plain.groups().map(|view| view.name())));
    }

    /// A drill is judged by the same code: as an engine judges that is told the same of the network; under the policy in
    /// force, whichever that is.
    #[test]
    fn a_drill_is_judged_as_the_network_would_be(said in world(), change in 0..HORIZON) {
        // Nothing is silent in a drill, and nothing is owed once it is over.
        let procedure = Procedure::default();
        let plain = |policy| Policy { feeds: Vec::new(), procedure: procedure.clone(), ..policy };
        let decide = |policy: Policy| Input::Policy(Box::new(plain(policy)));
        let play = |of: &dyn Fn(usize) -> Input| {
            let mut engine = Engine::new();
            engine.apply(at(0), &decide(policy()), &mut Vec::new());
            let mut changed = false;
            for (received, number) in arrivals(&said) {
                if received > change && !std::mem::replace(&mut changed, true) {
                    engine.apply(at(change), &decide(other_policy()), &mut Vec::new());
                }
                engine.apply(at(received), &of(number), &mut Vec::new());
            }
            engine.advance(at(END), &mut Vec::new());
            engine
        };
        let plain = play(&|number| input(number, &said[number], true));
        let drilled = play(&|number| rehearsed("spring", number, &said[number]));
        prop_assert_eq!(by_start(drilled.drill_incidents()), by_start(plain.incidents()));
        let of_incidents = |alert: &&fournines::model::alert::Alert| alert.key.incident().is_some();
        prop_assert_eq!(drilled.alerts().count(), plain.alerts().filter(of_incidents).count());
        prop_assert!(drilled.drill_incidents().all(|incident| incident.drill.as_deref() == Some("spring")));
        prop_assert!(drilled.drill_incidents().all(|incident| plain.incident(incident.id).is_none()));
    }

    /// Neither ticks nor restarts matter when drills run, nor that another policy comes into force.
    #[test]
    fn drills_are_deterministic(
        world in world(),
        drills in drills(),
        ticks in vec(0..HORIZON, 0..30),
        restarts in vec(any::<bool>(), 121),
        change in 0..HORIZON,
    ) {
        let mut arrivals = mixed(&world, &drills);
        let place = arrivals.partition_point(|&(received, _)| received <= change);
        arrivals.insert(place, (change, Input::Policy(Box::new(other_policy()))));
        let (plain, expected) = play(&arrivals, |_, _, _| {});
        let (mut done, mut restarts) = (0, restarts.into_iter());
        let (other, effects) = play(&arrivals, |engine, received, effects| {
            let mut due: Vec<i64> = ticks.iter().copied().filter(|&tick| done < tick && tick < received).collect();
            due.sort_unstable();
            for tick in due {
                engine.advance(at(tick), effects);
            }
            done = received;
            if restarts.next() == Some(true) {
                *engine = Engine::restore(&engine.snapshot()).unwrap();
            }
        });
        prop_assert!(effects == expected, "{}", difference(&effects, &expected));
        prop_assert!(plain.snapshot() == other.snapshot());
    }
}

#[test]
fn a_drill_is_let_go_of_a_day_after_it_went_quiet_and_not_begun_anew() {
    let said = |kind: &str, seconds: i64| {
        let line =
            format!(r#"{{"type":"{kind}","service":"a","drill":"spring","id":"{kind}","time":"{}"}}"#, at(seconds));
        crate::world::decoded(&line)
    };
    let mut engine = crate::world::engine();
    let mut effects = Vec::new();
    let (started, ended) = (said("outage.started", 100), said("outage.ended", 200));
    let day = 24 * 3600;
    // The network's feed is silent meanwhile.
    let paging = |engine: &Engine| engine.alerts().filter(|alert| alert.key.drill().is_some()).count();
    assert_eq!(engine.apply(at(100), &started, &mut effects), Outcome::Drill);
    assert_eq!(engine.apply(at(100), &started, &mut effects), Outcome::Duplicate);
    engine.advance(at(100), &mut effects);
    assert_eq!(paging(&engine), 1, "it pages at once");
    // It is kept for as long as it is live.
    engine.advance(at(100 + 3 * day), &mut effects);
    assert_eq!((engine.drill_incidents().count(), paging(&engine)), (1, 3), "an interruption and both clocks");
    assert_eq!(engine.apply(at(100 + 3 * day), &ended, &mut effects), Outcome::Drill);
    engine.advance(at(100 + 4 * day), &mut effects);
    assert_eq!((engine.drill_incidents().count(), paging(&engine)), (0, 0));
    // What comes again long after is no other drill.
    assert_eq!(engine.apply(at(100 + 4 * day), &started, &mut effects), Outcome::TooOld);
    assert_eq!(engine.drill_incidents().count(), 0);
}
