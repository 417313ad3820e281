//! The laws that the engine keeps, over random small worlds with everything that can be said: outages, updates, ends,
//! maintenance, silence, retractions, samples, late, repeated and out of order. `PROPTEST_CASES` sets how many worlds
//! each law is tried on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod budgets;
mod correlation;
mod drills;
mod feeds;
mod oracle;
mod overview;
mod partitions;
mod retention;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use budgets::{
    DAYS, Firing, Sampled, Trouble, budgets, edges, edges_of_large, ended_late, firing, is_whole, large,
    latency_called_for, latency_firing, promising_latency, sampled, told, troubles,
};
use fournines::engine::{Engine, Input};
use fournines::model::alert::{About, Alert, AlertName, BurnPair, Owner};
use fournines::model::calendar::Range;
use fournines::model::effect::{Effect, EffectKind};
use fournines::model::event::{Body, Outcome};
use fournines::model::event_id::EventId;
use fournines::model::figures::{Figures, State};
use fournines::model::incident::{Action, Clock, Incident, Stage, Status};
use fournines::model::procedure::ClockName;
use fournines::model::time::{Instant, Span, Window};
use oracle::{bitmap, count_group};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use world::{END, GROUPS, HORIZON, SERVICES, Saying, What, arrivals, at, decoded, engine, input, run, world};

/// Where two accounts of what was told differ first.
fn difference(found: &[Effect], expected: &[Effect]) -> String {
    let same = found.iter().zip(expected).take_while(|(found, expected)| found == expected).count();
    format!("effect {same} is {:#?}, not {:#?}", found.get(same), expected.get(same))
}

/// Every figure of every service and group at a few instants.
fn figures(engine: &Engine) -> BTreeMap<(String, &'static str, i64), (Figures, String)> {
    let mut all = BTreeMap::new();
    for seconds in [HORIZON, HORIZON + 977, HORIZON * 2 / 3, 4000, 3600] {
        for window in Window::ALL {
            for view in engine.services() {
                let more = format!("{:?} {:?}", view.state(at(seconds)), view.latency(window, at(seconds)));
                let value = (view.figures(window, at(seconds)), more);
                all.insert((view.name().to_string(), window.name(), seconds), value);
            }
            for view in engine.groups() {
                let value = (view.figures(window, at(seconds)), String::new());
                all.insert((format!("group {}", view.name()), window.name(), seconds), value);
            }
        }
    }
    all
}

/// What no order of arrival may change: everything but when somebody acknowledged, which depends on what was an
/// incident when, and samples.
fn without_acknowledgements<K: Ord + Clone>(
    all: &BTreeMap<K, (Figures, String)>,
) -> BTreeMap<K, (Figures, String)> {
    let plain = |figures: &Figures| {
        let mut figures = *figures;
        (figures.tallies.acknowledged, figures.tallies.acknowledge_sum) = (0, 0);
        figures
    };
    // A sample that was counted is not taken out again when it is taken back, as samples are not kept.
    let state = |more: &str| more.split(' ').next().unwrap_or("").to_owned();
    all.iter().map(|(key, (figures, state_of))| (key.clone(), (plain(figures), state(state_of)))).collect()
}

/// A second of the worlds, often one at which something may be said.
fn second() -> impl Strategy<Value = i64> {
    prop_oneof![(0..=HORIZON / 300).prop_map(|n| n * 300), 0..=HORIZON]
}

/// The effects but for records that say word for word what was last recorded of the incident. A late fact has all that
/// it might be related to grouped anew and recorded anew, also where nothing came of it; what is folded is not there for
/// that any more, and what came late at the same instant of the other tree has more of this one looked at.
fn without_repeats(effects: Vec<Effect>) -> Vec<Effect> {
    let mut last = BTreeMap::new();
    let mut is_news = |effect: &Effect| match &effect.kind {
        EffectKind::Record(incident) => last.insert(incident.id, incident.clone()).as_ref() != Some(incident),
        EffectKind::Fire(_) | EffectKind::Resolve(..) => true,
    };
    effects.into_iter().filter(|effect| is_news(effect)).collect()
}

proptest! {
    /// Advancing to t1 and then to t2 gives the same state and effects as advancing to t2.
    #[test]
    fn law_1_ticks_do_not_matter(world in world(), ticks in vec(0..HORIZON, 0..30)) {
        let (plain, expected) = run(&world, |_, _, _| {});
        let mut done = 0;
        let (ticked, effects) = run(&world, |engine, received, effects| {
            let mut due: Vec<i64> = ticks.iter().copied().filter(|&tick| done < tick && tick < received).collect();
            due.sort_unstable();
            for tick in due {
                engine.advance(at(tick), effects);
            }
            done = received;
        });
        prop_assert!(effects == expected, "{}", difference(&effects, &expected));
        prop_assert!(plain.snapshot() == ticked.snapshot());
    }

    /// Stop, save, load, go on gives the same future.
    #[test]
    fn law_2_snapshots_do_not_matter(world in world(), restarts in vec(any::<bool>(), 41)) {
        let (plain, expected) = run(&world, |_, _, _| {});
        let mut restarts = restarts.into_iter();
        let (restarted, effects) = run(&world, |engine, _, _| {
            if restarts.next() == Some(true) {
                *engine = Engine::restore(&engine.snapshot()).unwrap();
            }
        });
        prop_assert!(effects == expected, "{}", difference(&effects, &expected));
        prop_assert!(plain.snapshot() == restarted.snapshot());
    }

    /// A copy stays as it was whatever its original goes through, and the original does not feel that there is one.
    #[test]
    fn copies_do_not_matter(world in world(), copied in vec(any::<bool>(), 41)) {
        let (plain, expected) = run(&world, |_, _, _| {});
        let mut copied = copied.into_iter();
        let mut copies = Vec::new();
        let mut read = Vec::new();
        let (original, effects) = run(&world, |engine, _, _| {
            if copied.next() == Some(true) {
                copies.push((engine.clone(), engine.snapshot()));
                read.push((engine.to_read(), figures(engine)));
            }
        });
        prop_assert!(effects == expected, "{}", difference(&effects, &expected));
        prop_assert!(plain.snapshot() == original.snapshot());
        prop_assert!(copies.iter().all(|(copy, then)| copy.snapshot() == *then));
        prop_assert!(read.iter().all(|(copy, then)| figures(copy) == *then));
    }

    /// The same events in any order give the same figures.
    #[test]
    fn law_3_arrival_order_does_not_matter(
        (world, order) in world().prop_flat_map(|world| {
            let numbers: Vec<usize> = (0..world.len()).collect();
            (Just(world), Just(numbers).prop_shuffle())
        })
    ) {
        let (plain, _) = run(&world, |_, _, _| {});
        let mut shuffled = engine();
        for (place, &number) in order.iter().enumerate() {
            let received = HORIZON * place as i64 / order.len() as i64;
            shuffled.apply(at(received), &input(number, &world[number], true), &mut Vec::new());
        }
        shuffled.advance(at(END), &mut Vec::new());
        let expected = without_acknowledgements(&figures(&plain));
        let found = without_acknowledgements(&figures(&shuffled));
        for (key, figures) in &expected {
            prop_assert_eq!(found.get(key), Some(figures), "{:?}", key);
        }
    }

    /// An event that comes again changes nothing, with an id or without; a sample is known again by its id only.
    #[test]
    fn law_4_duplicates_do_not_matter(world in world(), again in vec((0..40_usize, 0..HORIZON), 0..20)) {
        let named = |_: &Saying| true;
        let nameless = |_: &Saying| false;
        // What a retraction without an id takes back has one.
        let retracted_namelessly = |saying: &Saying| !matches!(saying.what, What::Retracted(_));
        for with_id in [&named as &dyn Fn(&Saying) -> bool, &nameless, &retracted_namelessly] {
            let input = |number: usize| input(number, &world[number], with_id(&world[number]));
            let mut order: Vec<(i64, usize)> = arrivals(&world);
            let mut plain = engine();
            let mut expected = Vec::new();
            for &(received, number) in &order {
                plain.apply(at(received), &input(number), &mut expected);
            }
            plain.advance(at(END), &mut expected);
            // Each comes again some time after it came first.
            for &(number, later) in again.iter().filter(|(number, _)| *number < world.len()) {
                if with_id(&world[number]) || !world[number].what.is_sample() {
                    let first = order.iter().find(|(_, n)| *n == number).unwrap().0;
                    order.push((first + later, number));
                }
            }
            order.sort_by_key(|&(received, _)| received);
            let mut repeated = engine();
            let mut effects = Vec::new();
            for &(received, number) in &order {
                repeated.apply(at(received), &input(number), &mut effects);
            }
            repeated.advance(at(END), &mut effects);
            prop_assert!(effects == expected, "{}", difference(&effects, &expected));
            prop_assert_eq!(figures(&plain), figures(&repeated));
            prop_assert!(plain.incidents().eq(repeated.incidents()));
            // Nor is more kept of it.
            prop_assert_eq!(plain.snapshot().len(), repeated.snapshot().len());
        }
    }

    /// Whoever keeps the outages of an incident as they are whenever the incident is told of has them right in the end.
    #[test]
    fn what_is_told_of_an_incident_stays_true(world in world()) {
        let mut engine = engine();
        let mut kept = BTreeMap::new();
        let mut keep = |engine: &Engine, effects: &[Effect]| {
            for effect in effects {
                if let EffectKind::Record(incident) = &effect.kind {
                    kept.insert(incident.id, engine.interruptions_of(incident.id));
                }
            }
        };
        let mut effects = Vec::new();
        for (received, number) in arrivals(&world) {
            engine.apply(at(received), &input(number, &world[number], true), &mut effects);
            engine.advance(at(received), &mut effects);
            keep(&engine, &effects);
            effects.clear();
        }
        engine.advance(at(END), &mut effects);
        keep(&engine, &effects);
        for incident in engine.incidents() {
            prop_assert_eq!(&kept[&incident.id], &engine.interruptions_of(incident.id));
        }
    }

    /// It equals a second-by-second bitmap, however the events came, with restarts on the way.
    #[test]
    fn law_5_it_equals_the_brute_force_answer(
        world in world(),
        restart in 0..40_usize,
        ranges in vec((second(), second()), 6),
    ) {
        let mut arrived = 0;
        let (engine, _) = run(&world, |engine, _, _| {
            if arrived == restart {
                *engine = Engine::restore(&engine.snapshot()).unwrap();
            }
            arrived += 1;
        });
        let maps: Vec<_> = (0..SERVICES.len()).map(|service| bitmap(&world, service)).collect();
        let ranges = ranges.iter().map(|&(a, b)| (a.min(b), a.max(b)));
        for (from, until) in ranges.chain([(HORIZON - 3600, HORIZON), (0, HORIZON), (-7200, 1200), (0, 3600)]) {
            let range = Range { from: at(from), until: at(until) };
            for (map, known) in maps.iter().zip(&SERVICES) {
                let view = engine.service(known.name).unwrap();
                let mut found = view.figures_within(range, at(until));
                (found.tallies.acknowledged, found.tallies.acknowledge_sum) = (0, 0);
                prop_assert_eq!(found, map.count(from, until), "{} from {} until {}", known.name, from, until);
                if until < HORIZON {
                    prop_assert_eq!(view.state(at(until)), map.state(until), "{} at {}", known.name, until);
                }
            }
            for name in GROUPS {
                let mut found = engine.group(name).unwrap().figures_within(range, at(until));
                // What was acknowledged when depends on what was an incident then: that of all services, added up.
                let members = engine.services().filter(|view| view.is_in(name));
                let answered = members.map(|view| view.figures_within(range, at(until)).tallies);
                let answered = answered.fold((0, 0), |sum, tallies| {
                    (sum.0 + tallies.acknowledged, sum.1 + tallies.acknowledge_sum)
                });
                prop_assert_eq!((found.tallies.acknowledged, found.tallies.acknowledge_sum), answered, "{}", name);
                (found.tallies.acknowledged, found.tallies.acknowledge_sum) = (0, 0);
                let expected = if from < until { count_group(&maps, name, from, until) } else { Figures::default() };
                prop_assert_eq!(found, expected, "group {} from {} until {}", name, from, until);
            }
        }
    }

    /// Folding days that are over changes nothing that fires, no figure of whole days, and nothing that comes later,
    /// another policy among it.
    #[test]
    fn folding_changes_no_answer(
        world in world(),
        length in (1..8_i64).prop_map(|n| n * 450),
        folded_at in vec(0..40_usize, 0..4),
        days_at_once in 1..20_usize,
        ends in vec((second(), second()), 6),
    ) {
        let order = arrivals(&world);
        let days: Vec<Instant> = (-4 * HORIZON / length..=END / length).map(|n| at(n * length)).collect();
        let (mut plain, mut folding) = (engine(), engine());
        let (mut expected, mut found) = (Vec::new(), Vec::new());
        // All that is whole by then, and that nothing to come speaks of.
        let fold = |engine: &mut Engine, place: usize, effects: &mut Vec<Effect>| {
            let spoken_of = order[place..].iter().map(|&(_, number)| at(spoken_of(&world, number))).min();
            let until = spoken_of.unwrap_or(Instant::MAX).min(engine.now().minus(Span::from_hours(1)));
            let over: Vec<Instant> = days.iter().copied().filter(|&day| day <= until).collect();
            for days in over.chunks(days_at_once) {
                engine.apply(engine.now(), &Input::Fold(days.to_vec()), effects);
            }
        };
        for (place, &(received, number)) in order.iter().enumerate() {
            let input = input(number, &world[number], true);
            let outcome = plain.apply(at(received), &input, &mut expected);
            prop_assert_eq!(folding.apply(at(received), &input, &mut found), outcome);
            // Folding completes the instant at which it takes place.
            let complete = order.get(place + 1).is_none_or(|&(next, _)| next > received);
            if complete && folded_at.contains(&place) {
                fold(&mut folding, place + 1, &mut found);
            }
        }
        let adopted = Input::Policy(Box::new(world::policy()));
        for (after, readopt) in [(END, false), (END + 1, true), (END + 7200, false)] {
            for (engine, effects) in [(&mut plain, &mut expected), (&mut folding, &mut found)] {
                engine.advance(at(after), effects);
                if readopt {
                    engine.apply(at(after), &adopted, effects);
                }
            }
            let last = folding.folded_until().unwrap_or(Instant::MIN);
            let kept = plain.incidents().filter(|incident| incident.started >= last);
            prop_assert!(kept.eq(folding.incidents().filter(|incident| incident.started >= last)));
            for &(a, b) in &ends {
                let near = |second: i64| at(second / length * length);
                let edge = |second: i64| if folding.is_exact_at(at(second)) { at(second) } else { near(second) };
                let range = Range { from: edge(a.min(b)), until: edge(a.max(b)) };
                for (one, other) in plain.services().zip(folding.services()) {
                    let (one, other) = (one.figures_within(range, last), other.figures_within(range, last));
                    prop_assert_eq!(one, other, "{:?} folded until {}", range, last);
                }
                for name in GROUPS {
                    let (one, other) = (plain.group(name).unwrap(), folding.group(name).unwrap());
                    let (one, other) = (one.figures_within(range, last), other.figures_within(range, last));
                    prop_assert_eq!(one, other, "{} {:?} folded until {}", name, range, last);
                }
            }
            fold(&mut folding, order.len(), &mut found);
            folding = Engine::restore(&folding.snapshot()).unwrap();
        }
        let (found, expected) = (without_repeats(found), without_repeats(expected));
        prop_assert!(found == expected, "{}", difference(&found, &expected));
    }

    /// A world split by root of topology gives, together, what it gives whole: effects, figures and the groups' sums.
    #[test]
    fn law_6_partitions_do_not_matter(world in world()) {
        let (whole, expected) = run(&world, |_, _, _| {});
        let mut parts: Vec<(Engine, Vec<Effect>)> = Vec::new();
        for root in 0..2 {
            let mut part = engine();
            let mut effects = Vec::new();
            for (received, number) in arrivals(&world) {
                let input = input(number, &world[number], true);
                // What is of no service concerns every partition.
                let concerns = match &input {
                    Input::Event(event) => match event.body.service() {
                        Some(name) => SERVICES.iter().any(|s| s.name == name.as_str() && s.root == root),
                        None => true,
                    },
                    _ => true,
                };
                if concerns {
                    part.apply(at(received), &input, &mut effects);
                } else {
                    // It is a sign of life of its source all the same.
                    let Input::Event(mut event) = input else { continue };
                    (event.body, event.id) = (Body::Heartbeat, EventId::NONE);
                    part.apply(at(received), &Input::Event(event), &mut effects);
                }
            }
            part.advance(at(END), &mut effects);
            parts.push((part, effects));
        }
        for known in &SERVICES {
            let part = &parts[known.root].0;
            for window in [Window::Hour, Window::Day] {
                let figures = |engine: &Engine| engine.service(known.name).unwrap().figures(window, at(HORIZON));
                prop_assert_eq!(figures(&whole), figures(part));
            }
            let incidents = |engine: &Engine| -> Vec<_> {
                engine.service(known.name).unwrap().incidents().cloned().collect()
            };
            prop_assert_eq!(incidents(&whole), incidents(part));
        }
        for name in GROUPS {
            let of = |engine: &Engine| engine.group(name).unwrap().figures(Window::Hour, at(HORIZON));
            let (all, one, two) = (of(&whole), of(&parts[0].0), of(&parts[1].0));
            prop_assert_eq!(all.lengths.down, one.lengths.down + two.lengths.down);
            prop_assert_eq!(all.tallies.outages, one.tallies.outages + two.tallies.outages);
            prop_assert_eq!(all.tallies.user_micros, one.tallies.user_micros + two.tallies.user_micros);
        }
        // What is told of incidents is told by the partition that has them, in the same order.
        let told = |effects: &[Effect], root: usize| -> Vec<Effect> {
            let own = |name: &str| SERVICES.iter().any(|s| s.name == name && s.root == root);
            let concerns = |effect: &&Effect| match &effect.kind {
                EffectKind::Fire(alert) | EffectKind::Resolve(alert, _) => own(alert.key.scope()),
                EffectKind::Record(incident) => own(incident.service.as_str()),
            };
            effects.iter().filter(concerns).cloned().collect()
        };
        // What is told of a group's budget is not split: the whole alone has it.
        for (root, (_, effects)) in parts.iter().enumerate() {
            let [found, expected] = [effects, &expected].map(|effects| without_repeats(told(effects, root)));
            prop_assert!(found == expected, "{}", difference(&found, &expected));
        }
    }

    /// Which outages are one incident, and whom it costs what, follows from the outages and the topology, in whatever
    /// order they were told and however many at once.
    #[test]
    fn incidents_are_what_hangs_together((all, order, together) in correlation::storms()) {
        prop_assert_eq!(correlation::found(&all, &order, &together), correlation::expected(&all));
    }

    /// What fires is what the incidents call for: no alert is left over, none is missing, and each began when it says.
    #[test]
    fn alerts_and_incidents_agree(world in world()) {
        let (engine, effects) = run(&world, |_, _, _| {});
        let mut firing = BTreeMap::new();
        for effect in &effects {
            match &effect.kind {
                EffectKind::Fire(alert) => {
                    prop_assert!(alert.starts <= effect.at);
                    firing.insert(alert.key.clone(), alert.clone());
                }
                EffectKind::Resolve(alert, ended) => {
                    prop_assert!(*ended >= alert.starts);
                    prop_assert!(firing.remove(&alert.key).is_some(), "resolved, but never fired");
                }
                EffectKind::Record(_) => {}
            }
        }
        let expected: BTreeMap<_, _> = engine.alerts().map(|alert| (alert.key.clone(), alert.clone())).collect();
        // What they tell of maintenance is of one that goes on or comes.
        for facts in firing.values().filter_map(|alert| alert.facts.incident.as_ref()) {
            prop_assert!(facts.maintenance.is_none_or(|(_, end)| end > at(END)), "told of one that is over: {:?}", facts);
        }
        prop_assert_eq!(firing, expected);
        what_is_down_is_in_an_open_incident(&engine)?;
        for view in engine.services() {
            let own: Vec<_> = view.incidents().filter(|i| !matches!(i.status, Status::Merged | Status::Withdrawn)).collect();
            for pair in own.windows(2).filter(|pair| pair.iter().all(|incident| incident.services == 1)) {
                let apart = pair[0].restored.is_some_and(|end| end < pair[1].started);
                prop_assert!(apart, "two incidents for one interruption: {:?}", pair);
            }
            for incident in view.incidents() {
                let quiet = incident.restored.is_some_and(|end| end.plus(Span::from_mins(10)) <= at(END));
                prop_assert!(!quiet || !incident.is_live(), "watched for too long: {:?}", incident);
            }
        }
    }
}

/// The first second that a saying is about: that of what it takes back, if it takes something back.
fn spoken_of(world: &[Saying], number: usize) -> i64 {
    let saying = &world[number];
    match saying.what {
        What::Planned(wait, _) => saying.at + wait.min(0),
        // It may be of an interruption that is long over.
        What::Acted(_) => 0,
        What::Retracted(back) if back <= number => saying.at.min(spoken_of(world, number - back)),
        _ => saying.at,
    }
}

/// For how long a clock had run by `until`, the repair clock not while it was held; and whether it was held then.
fn ran(incident: &Incident, clock: &Clock, until: Instant) -> (Span, bool) {
    let mut edges = vec![(clock.started, None), (until, None)];
    if clock.name == ClockName::Repair {
        edges.extend(incident.actions.iter().filter_map(|record| match record.action {
            Action::Held => Some((record.at, Some(true))),
            Action::Resumed => Some((record.at, Some(false))),
            _ => None,
        }));
    }
    edges.sort_by_key(|&(at, _)| at);
    let (mut held, mut ran) = (false, Span::ZERO);
    for pair in edges.windows(2) {
        held = pair[0].1.unwrap_or(held);
        let (from, to) = (pair[0].0.max(clock.started), pair[1].0.min(until));
        ran = if held || to < from { ran } else { ran.plus(to.since(from)) };
    }
    let by_then = edges.iter().take_while(|&&(at, _)| at <= until);
    (ran, by_then.filter_map(|&(_, held)| held).last().unwrap_or(false))
}

/// Checks that nothing that fell due by now was left undone: clocks, levels, restorations and what fires for them.
fn nothing_is_overdue(engine: &Engine) -> Result<(), TestCaseError> {
    let now = engine.now();
    for incident in engine.incidents() {
        let mut expected = BTreeSet::new();
        let level = incident.level;
        let own = !matches!(incident.status, Status::Merged | Status::Withdrawn);
        for clock in incident.clocks.iter().filter(|_| own) {
            let (used, held) = ran(incident, clock, clock.stopped.unwrap_or(now));
            let passed = used > clock.limit;
            prop_assert_eq!(clock.breached.is_some(), passed, "{:?} at {}", clock, now);
            let until = clock.breached.map(|breached| ran(incident, clock, breached).0);
            prop_assert!(until.is_none_or(|until| until == clock.limit), "{:?} at {}", clock, now);
            let share = |percent| Span::from_micros(clock.limit.as_micros() / 100 * i64::from(percent));
            // A hold that begins just as a share has passed comes in time.
            let warned = clock.warned.map(|(percent, _)| percent);
            let given = [50, 80].into_iter().all(|percent| match warned >= Some(percent) {
                true => used >= share(percent),
                false => used <= share(percent) && (used < share(percent) || held),
            });
            prop_assert!(given, "{:?} at {}", clock, now);
            let runs = clock.stopped.is_none() || incident.is_live() && clock.stopped == incident.restored;
            match clock.name {
                _ if !passed && runs && warned.is_some() => {
                    expected.insert((AlertName::ClockAtRisk, level, warned));
                }
                ClockName::Response if passed && incident.reached(Stage::Acknowledged).is_none() => {
                    expected.extend(incident.is_live().then_some((AlertName::ResponseOverdue, level, None)));
                }
                ClockName::Repair if passed => {
                    expected.extend(incident.is_live().then_some((AlertName::RepairOverdue, level, None)));
                }
                ClockName::Named(_) if passed && runs => {
                    expected.insert((AlertName::ClockOverdue, level, None));
                }
                _ => {}
            }
        }
        if let Some(fixed) = incident.reached(Stage::Mitigated).filter(|_| own) {
            let owed = incident.clock(&ClockName::Named("permanent_fix".into())).unwrap();
            prop_assert_eq!(owed.started, fixed.at);
            prop_assert_eq!(owed.stopped, incident.reached(Stage::Repaired).map(|record| record.at));
        }
        if incident.is_live() {
            expected.insert((AlertName::ServiceInterruption, level, None));
            prop_assert!(incident.next_level.is_none_or(|(_, due)| due > now), "{:?} at {}", incident, now);
            let quiet = incident.restored.map(|end| end.plus(Span::from_mins(10)));
            prop_assert!(quiet.is_none_or(|due| due > now), "{:?} at {}", incident, now);
        }
        let own = engine.alerts().filter(|alert| alert.key.incident() == Some(incident.id));
        let used = |alert: &Alert| match alert.key.about {
            About::Clock { used, .. } => used,
            _ => None,
        };
        let fires: BTreeSet<_> =
            own.filter_map(|alert| Some((alert.key.name, alert.key.level()?, used(alert)))).collect();
        prop_assert_eq!(fires, expected, "{:?} at {}", incident, now);
    }
    // A planned outage is one of its own a microsecond after its maintenance.
    if is_whole(now) { Ok(()) } else { what_is_down_is_in_an_open_incident(engine) }
}

/// Checks that every service that is down is in one open incident, and that in every open incident one is.
fn what_is_down_is_in_an_open_incident(engine: &Engine) -> Result<(), TestCaseError> {
    let now = engine.now();
    for view in engine.services() {
        let open = view.incidents().filter(|incident| incident.status.is_open()).count();
        match view.state(now) {
            State::Down => prop_assert_eq!(open, 1, "{} at {}", view.name(), now),
            _ => prop_assert!(open <= 1, "{} at {}", view.name(), now),
        }
    }
    for incident in engine.incidents().filter(|incident| incident.status.is_open()) {
        let states = engine.services_of(incident.id).map(|name| engine.service(name).unwrap().state(now));
        let down = states.into_iter().any(|state| !matches!(state, State::Up | State::Degraded));
        prop_assert!(down, "{:?} at {}", incident, now);
    }
    Ok(())
}

/// Holds what fires about error budgets against what the figures call for as things stand now. `before` is what fired
/// at the last look, when nothing has arrived since then.
fn budgets_are_right(
    engine: &Engine,
    groups: &[&str],
    edges: &[Instant],
    pairs: &[BurnPair],
    before: Option<&Firing>,
) -> Result<(), TestCaseError> {
    let now = engine.now();
    let firing = firing(engine);
    for budget in budgets(engine, groups) {
        let owner = &budget.owner;
        let is_group = matches!(owner, Owner::Group(_));
        if is_group && is_whole(now) {
            // It is looked at a microsecond after what happens.
            continue;
        }
        let found = firing.get(owner).cloned().unwrap_or_default();
        let spent: BTreeMap<_, _> = found.iter().map(|(&name, &(_, spent))| (name, spent)).collect();
        let expected = budget.called_for(now, edges, if is_group { pairs } else { &[] });
        prop_assert_eq!(spent, expected, "{:?} at {}", owner, now);
        prop_assert_eq!(budget.breach, budget.spent_at(now, edges), "{:?} at {}", owner, now);
        let Some(before) = before.map(|before| before.get(owner)) else { continue };
        let fresh = |name| before.is_none_or(|before| !before.contains_key(name));
        for (&name, &(starts, _)) in found.iter().filter(|(name, _)| fresh(name)) {
            // What happened in that second, or for a group a microsecond before, may have begun it.
            let by_itself = !is_whole(starts) && !is_whole(starts.minus(Span::from_micros(1)));
            let began = !by_itself || budget.began(name, starts, edges);
            prop_assert!(began, "{:?} {:?} since {}", owner, name, starts);
        }
    }
    Ok(())
}

/// Lets the engine go on to `until` by way of the instants of `looks`, and of each deadline and the two microseconds
/// before it, of which one is no whole second, and checks it at each of them. What fired at the look before goes with
/// it.
fn look_often(
    engine: &mut Engine,
    until: Instant,
    looks: &BTreeSet<Instant>,
    check: impl Fn(&Engine, Option<&Firing>) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    let tick = Span::from_micros(1);
    let mut last = None;
    while engine.now() < until {
        let now = engine.now();
        let deadline =
            engine.next_deadline().into_iter().flat_map(|(at, _)| [at.minus(tick).minus(tick), at.minus(tick), at]);
        let chosen = looks.range(now.plus(tick)..).next().copied();
        let after = is_whole(now).then(|| now.plus(tick));
        let next = deadline.chain(chosen).chain(after).filter(|&at| now < at && at < until).min().unwrap_or(until);
        engine.advance(next, &mut Vec::new());
        check(engine, last.as_ref())?;
        last = Some(firing(engine));
    }
    Ok(())
}

/// Plays a world, and looks at the budgets at those microseconds and wherever something falls due.
fn look_at_budgets(world: &[Saying], looks: &[i64]) -> Result<(), TestCaseError> {
    let looks = looks.iter().map(|&micros| at(0).plus(Span::from_micros(micros))).collect();
    let edges = edges(world);
    let check =
        |engine: &Engine, last: Option<&Firing>| budgets_are_right(engine, &["all", "bare"], &edges, &[], last);
    let mut engine = engine();
    for (received, number) in arrivals(world) {
        look_often(&mut engine, at(received), &looks, check)?;
        engine.apply(at(received), &input(number, &world[number], true), &mut Vec::new());
        engine.advance(at(received), &mut Vec::new());
        check(&engine, None)?;
    }
    look_often(&mut engine, at(HORIZON + 2 * 3600), &looks, check)
}

/// The same for a group that is large enough for burn rates.
fn look_at_large(
    troubles: &[Trouble],
    with_users: bool,
    window: Window,
    looks: &[i64],
) -> Result<(), TestCaseError> {
    let looks = looks.iter().map(|&micros| at(0).plus(Span::from_micros(micros))).collect();
    let edges = edges_of_large(troubles, window);
    let check =
        |engine: &Engine, last: Option<&Firing>| budgets_are_right(engine, &["all"], &edges, &BurnPair::ALL, last);
    let mut engine = Engine::new();
    engine.apply(at(0), &Input::Policy(Box::new(large(with_users, window))), &mut Vec::new());
    for (received, input) in told(troubles) {
        look_often(&mut engine, at(received), &looks, check)?;
        engine.apply(at(received), &input, &mut Vec::new());
        engine.advance(at(received), &mut Vec::new());
    }
    look_often(&mut engine, at(DAYS + 4 * 86_400), &looks, check)
}

proptest! {
    /// Whenever one looks, what fell due is done: no clock, no rise of level and no restoration waits for something
    /// else to happen.
    #[test]
    fn what_falls_due_is_done(world in world(), looks in vec(0..END * 1_000_000, 0..60)) {
        let looks = looks.into_iter().map(|micros| at(0).plus(Span::from_micros(micros))).collect();
        let check = |engine: &Engine, _: Option<&Firing>| nothing_is_overdue(engine);
        let mut engine = engine();
        for (received, number) in arrivals(&world) {
            look_often(&mut engine, at(received), &looks, check)?;
            engine.apply(at(received), &input(number, &world[number], true), &mut Vec::new());
            engine.advance(at(received), &mut Vec::new());
            nothing_is_overdue(&engine)?;
        }
        look_often(&mut engine, at(END), &looks, check)?;
    }

    /// What fires about an error budget is what the figures call for, whenever one looks.
    #[test]
    fn budget_alerts_are_what_the_figures_call_for(
        world in world(),
        looks in vec(0..HORIZON * 1_000_000, 0..40),
    ) {
        look_at_budgets(&world, &looks)?;
    }

    /// So is what fires about the share of good samples.
    #[test]
    fn latency_alerts_are_what_the_samples_call_for(
        samples in sampled(),
        looks in vec(0..DAYS * 1_000_000, 0..40),
    ) {
        let looks = looks.into_iter().map(|micros| at(0).plus(Span::from_micros(micros))).collect();
        let mut engine = Engine::new();
        engine.apply(at(0), &Input::Policy(Box::new(promising_latency())), &mut Vec::new());
        let mut order: Vec<&Sampled> = samples.iter().collect();
        order.sort_by_key(|sample| sample.at + sample.lag);
        let check = |engine: &Engine, told: &[&Sampled]| {
            let now = engine.now();
            prop_assert_eq!(latency_firing(engine), latency_called_for(told, now), "at {}", now);
            Ok(())
        };
        for (place, sample) in order.iter().enumerate() {
            look_often(&mut engine, at(sample.at + sample.lag), &looks, |engine, _| check(engine, &order[..place]))?;
            engine.apply(at(sample.at + sample.lag), &sample.input(), &mut Vec::new());
            engine.advance(at(sample.at + sample.lag), &mut Vec::new());
            check(&engine, &order[..=place])?;
        }
        look_often(&mut engine, at(DAYS + 4 * 86_400), &looks, |engine, _| check(engine, &order))?;
    }
}

/// So is what fires about a large group, how fast its budget is spent among it. Each look counts days anew, so this is
/// tried on a tenth of the worlds; the macro would take all of them.
#[test]
fn burn_rate_alerts_are_what_the_figures_call_for() {
    let all = ProptestConfig::default();
    let config = ProptestConfig { cases: (all.cases / 10).max(1), source_file: Some(file!()), ..all };
    let window = prop_oneof![Just(Window::Hour), Just(Window::Month)];
    let worlds = (troubles(), any::<bool>(), window, vec(0..DAYS * 1_000_000, 0..60));
    let found = TestRunner::new(config)
        .run(&worlds, |(troubles, with_users, window, looks)| look_at_large(&troubles, with_users, window, &looks));
    assert!(found.is_ok(), "{found:?}");
}

/// Worlds of outages that the law above seldom draws.
#[test]
fn incidents_are_what_hangs_together_also_when() {
    for (all, order, together) in correlation::rare() {
        assert_eq!(correlation::found(&all, &order, &together), correlation::expected(&all), "{all:?}");
    }
}

/// Sixty services go down one after the other, the lowest first, of which each hangs on two that hang on two: one
/// incident, and no more work than there are services and layers.
#[test]
fn many_ways_up_cost_no_more_than_what_is_there() {
    let (mut engine, names) = correlation::layered(30);
    for (number, name) in names.iter().rev().enumerate() {
        let time = at(i64::try_from(number).unwrap());
        let line = format!(r#"{{"type":"outage.started","service":"{name}","time":"{time}"}}"#);
        engine.apply(time, &decoded(&line), &mut Vec::new());
    }
    engine.advance(at(100), &mut Vec::new());
    assert_eq!(engine.incidents().filter(|incident| incident.status.is_open()).count(), 1);
}

/// Worlds in which a look at a budget is easily missed, as what spends it is known before it begins.
#[test]
fn budgets_are_looked_at_in_time() {
    let say = |service, at, what| Saying { service, key: 0, at, what, lag: 0, zone: 0, by_feed: false };
    let early = |lag: i64, saying: Saying| Saying { lag: -lag, ..saying };
    let by_feed = |saying: Saying| Saying { by_feed: true, ..saying };
    let alive = |at| by_feed(say(0, at, What::Updated(None, None)));
    let down = What::Down(None);
    let worlds = [
        // Maintenance lies ahead of what goes down: the group's bound must not count on it before it begins.
        vec![say(0, 0, What::Planned(2400, 2269)), say(1, 1, down)],
        // Maintenance begins just when the budget is met: nothing spends it any more.
        vec![say(0, 5948, What::Planned(3000, 3471)), say(0, 8588, down)],
        // Maintenance shrinks the window until more is lost than is allowed, before it is over.
        vec![say(0, 0, down), say(0, 300, What::Planned(0, 601)), say(0, 1093, What::Ended)],
        // What goes down is told of ahead of time, and silence begins with it.
        vec![early(11, say(0, 3300, down)), alive(1800)],
        // A feed is heard again while something is down, of which nothing was known for long.
        vec![
            say(0, 7734, down),
            early(2, by_feed(say(0, 7735, What::Acted("acknowledged")))),
            alive(2707),
            say(1, 4500, down),
        ],
        // What is known to go down before long puts what is down now at risk.
        vec![say(0, 8373, down), early(28, say(1, 8400, down)), alive(6899)],
        // Many short outages leave the window while a long one spends what they left.
        (0..40)
            .flat_map(|n| [say(0, n * 6, down), say(0, n * 6 + 1, What::Ended)])
            .chain([say(0, 3500, down)])
            .collect(),
    ];
    for world in worlds {
        let found = look_at_budgets(&world, &[]);
        assert!(found.is_ok(), "{found:?} in {world:?}");
    }
    // An end of long ago is told just after a look, and takes nothing off what was lost within the hour.
    let troubles =
        [ended_late(0, 1, 0, 600, 7200), ended_late(1, 9, 7000, 7400, 0), ended_late(1, 4, 7900, 12_000, 0)];
    let found = look_at_large(&troubles, false, Window::Month, &[]);
    assert!(found.is_ok(), "{found:?}");
}

/// A body that comes again is known by its source and key, in an engine that was restarted as well.
#[test]
fn a_body_that_comes_again_is_known() {
    let body = |source: &str, key: &str| Input::Body { source: source.into(), key: key.into() };
    let mut engine = engine();
    let mut outcome = |body: &Input| {
        engine = Engine::restore(&engine.snapshot()).unwrap();
        engine.apply(at(0), body, &mut Vec::new())
    };
    assert_eq!(outcome(&body("nms", "1")), Outcome::Applied);
    assert_eq!(outcome(&body("nms", "2")), Outcome::Applied);
    assert_eq!(outcome(&body("nms", "1")), Outcome::Duplicate);
    assert_eq!(outcome(&body("hand", "1")), Outcome::Applied, "of another source");
}

/// The worlds hold what they are meant to hold; one that lost a kind of event would prove less than it says.
#[test]
fn the_worlds_hold_every_kind_of_event() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut kinds = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let world: Vec<Saying> = world().new_tree(&mut runner).unwrap().current();
        for (number, saying) in world.iter().enumerate() {
            let Input::Event(event) = input(number, saying, true) else { continue };
            kinds.insert(event.body.type_name());
        }
        assert!(world.iter().all(|saying| !matches!(saying.what, What::Retracted(0))));
    }
    let expected = [
        "heartbeat",
        "latency",
        "maintenance.cancelled",
        "maintenance.planned",
        "measurement",
        "outage.ended",
        "outage.started",
        "outage.updated",
        "repair.acknowledged",
        "repair.dispatched",
        "repair.held",
        "repair.located",
        "repair.mitigated",
        "repair.reclassified",
        "repair.repaired",
        "repair.resumed",
        "repair.reviewed",
        "repair.verified",
        "retraction",
    ];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), expected);
}
