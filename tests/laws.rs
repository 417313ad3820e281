//! The laws that the engine keeps, over random small worlds: duplicates, late arrivals, overlaps, restarts, marks a
//! little ahead of now, three time zones. `PROPTEST_CASES` sets how many worlds each law is tried on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write;

use fournines::engine::{Engine, Input};
use fournines::ingest::decode::{Gate, Layout, decode};
use fournines::model::effect::Effect;
use fournines::model::figures::{Figures, State};
use fournines::model::incident::Status;
use fournines::model::level::{Condition, LevelRules, Ratio, Rule};
use fournines::model::policy::Policy;
use fournines::model::service::{ServiceFacts, ServiceName};
use fournines::model::target::{Target, Targets, Value};
use fournines::model::time::{Instant, Span, Window};
use proptest::collection::vec;
use proptest::prelude::*;

/// The worlds' horizon in seconds: longer than the longest window compared.
const HORIZON: i64 = 30 * 3600;
/// Where the worlds begin: an instant with a whole second, in a leap year.
const ORIGIN: i64 = 1_709_164_800;

/// One thing that is said, as small numbers.
#[derive(Clone, Debug)]
struct Saying {
    service: u8,
    key: u8,
    /// Seconds from the origin.
    at: i64,
    what: What,
    /// How long it takes to arrive; negative when the sender's clock runs ahead.
    lag: i64,
    zone: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Down(u16),
    Degraded,
    Ended,
    Acknowledged,
    Verified,
}

fn saying() -> impl Strategy<Value = Saying> {
    let what = prop_oneof![
        4 => (0..4_u16).prop_map(What::Down),
        1 => Just(What::Degraded),
        4 => Just(What::Ended),
        1 => Just(What::Acknowledged),
        1 => Just(What::Verified),
    ];
    // Instants are few, so that equal ones, touching outages and gaps of just the hold-down are common.
    let at = prop_oneof![(0..HORIZON / 300).prop_map(|n| n * 300), 0..HORIZON];
    let lag = prop_oneof![3 => Just(0_i64), 1 => 0..7200_i64, 1 => 0..HORIZON, 1 => -60..0_i64];
    (0..2_u8, 0..3_u8, at, what, lag, 0..3_u8).prop_map(|(service, key, at, what, lag, zone)| Saying {
        service,
        key,
        at,
        what,
        lag,
        zone,
    })
}

fn world() -> impl Strategy<Value = Vec<Saying>> {
    vec(saying(), 1..40)
}

fn at(seconds: i64) -> Instant {
    Instant::from_micros((ORIGIN + seconds) * 1_000_000)
}

fn name(service: u8) -> String {
    format!("s{service}")
}

/// The saying as a line of NDJSON, its time written in one of three zones.
fn line(saying: &Saying, id: Option<usize>) -> String {
    let (offset, shift) = [("Z", 0), ("+08:00", 8 * 3600), ("-03:30", -(3 * 3600 + 1800))][saying.zone as usize];
    let local = Instant::from_micros((ORIGIN + saying.at + shift) * 1_000_000).to_string();
    let local = local.trim_end_matches('Z');
    let (kind, rest) = match saying.what {
        What::Down(users) => ("outage.started", format!(r#","users":{}"#, u32::from(users) * 20_000)),
        What::Degraded => ("outage.started", r#","severity":"degraded""#.to_owned()),
        What::Ended => ("outage.ended", String::new()),
        What::Acknowledged => ("repair.acknowledged", r#","by":"li""#.to_owned()),
        What::Verified => ("repair.verified", r#","by":"wang""#.to_owned()),
    };
    let mut text = format!(
        r#"{{"type":"{kind}","service":"s{}","outage":"k{}","time":"{local}{offset}"{rest}"#,
        saying.service, saying.key
    );
    if let Some(id) = id {
        let _ = write!(text, r#","id":"e{id}""#);
    }
    text + "}"
}

fn input(saying: &Saying, id: Option<usize>) -> Input {
    let mut decoded = decode(Layout::Lines, line(saying, id).as_bytes(), &Gate::past("test".into()));
    assert!(decoded.rejected.is_empty(), "{:?}", decoded.rejected);
    Input::Event(decoded.events.remove(0))
}

fn policy() -> Policy {
    let rule = |name: &str, conditions| Rule { name: name.to_owned(), cite: String::new(), conditions };
    let target = |name: &str, hours| Target {
        name: name.to_owned(),
        value: Value::Limit(Span::from_mins(hours)),
        clause: String::new(),
        requirement: String::new(),
        phrase: String::new(),
    };
    let share = Ratio::new(0.5).unwrap();
    Policy {
        services: vec![
            (ServiceName::new("s0").unwrap(), ServiceFacts { users: Some(30_000), ..ServiceFacts::default() }),
            (ServiceName::new("s1").unwrap(), ServiceFacts { since: Some(at(3600)), ..ServiceFacts::default() }),
        ],
        levels: LevelRules {
            first: vec![
                rule("first[1]", vec![Condition::UsersOver(20_000), Condition::LongerThan(Span::from_mins(60))]),
                rule("first[2]", vec![Condition::UserMinutesAtLeast(3_000_000)]),
            ],
            second: vec![
                rule("second[1]", vec![Condition::LastingAtLeast(Span::from_mins(30))]),
                rule("second[2]", vec![Condition::ShareOver(share), Condition::LongerThan(Span::from_mins(5))]),
            ],
            third: Vec::new(),
        },
        targets: Targets { base: vec![target("response", 20), target("repair", 240)], overrides: Vec::new() },
        reopen: Span::from_mins(10),
    }
}

/// The sayings in the order in which they arrive, with when, in seconds.
fn arrivals(world: &[Saying]) -> Vec<(i64, usize)> {
    let mut order: Vec<(i64, usize)> =
        world.iter().enumerate().map(|(number, saying)| ((saying.at + saying.lag).max(0), number)).collect();
    order.sort_unstable();
    order
}

fn engine() -> Engine {
    let mut engine = Engine::new();
    engine.apply(at(-1), &Input::Policy(Box::new(policy())), &mut Vec::new());
    engine
}

/// Runs a world as it arrives, doing `between` before each arrival.
fn run(world: &[Saying], mut between: impl FnMut(&mut Engine, i64, &mut Vec<Effect>)) -> (Engine, Vec<Effect>) {
    let mut engine = engine();
    let mut effects = Vec::new();
    for (received, number) in arrivals(world) {
        between(&mut engine, received, &mut effects);
        engine.apply(at(received), &input(&world[number], Some(number)), &mut effects);
    }
    engine.advance(at(HORIZON), &mut effects);
    (engine, effects)
}

/// Every figure of every service at a few instants.
fn figures(engine: &Engine) -> BTreeMap<(String, &'static str, i64), (Figures, &'static str)> {
    let mut all = BTreeMap::new();
    for view in engine.services() {
        for seconds in [HORIZON, HORIZON + 977, HORIZON * 2 / 3, 40_000, 3600] {
            for window in Window::ALL {
                let value = (view.figures(window, at(seconds)), view.state(at(seconds)).name());
                all.insert((view.name().to_string(), window.name(), seconds), value);
            }
        }
    }
    all
}

/// What a second-by-second bitmap says of one service: written without the engine, from the definitions.
struct Bitmap {
    down: Vec<bool>,
    degraded: Vec<bool>,
    /// Start and end of every outage, in seconds.
    outages: Vec<(i64, Option<i64>)>,
}

fn bitmap(world: &[Saying], service: u8) -> Bitmap {
    let seconds = usize::try_from(HORIZON).unwrap();
    let mut map = Bitmap { down: vec![false; seconds], degraded: vec![false; seconds], outages: Vec::new() };
    for key in 0..3 {
        // What was said of this key at a second: down, degraded, ended.
        let mut said: BTreeMap<i64, [bool; 3]> = BTreeMap::new();
        for saying in world.iter().filter(|saying| (saying.service, saying.key) == (service, key)) {
            let [down, degraded, ended] = said.entry(saying.at).or_default();
            match saying.what {
                What::Down(_) => *down = true,
                What::Degraded => *degraded = true,
                What::Ended => *ended = true,
                What::Acknowledged | What::Verified => {}
            }
        }
        let mut since = None;
        let mut is_down = false;
        for second in 0..HORIZON {
            let [down, degraded, ended] = said.get(&second).copied().unwrap_or_default();
            if since.is_none() && (down || degraded) {
                since = Some(second);
                // Said both ways at one instant, it is the graver.
                is_down = down;
            }
            if let Some(start) = since
                && ended
            {
                map.outages.push((start, Some(second)));
                since = None;
            }
            if since.is_some() {
                let place = usize::try_from(second).unwrap();
                if is_down { map.down[place] = true } else { map.degraded[place] = true }
            }
        }
        map.outages.extend(since.map(|start| (start, None)));
    }
    map
}

impl Bitmap {
    /// The figures of `[from, until)`, counted.
    fn count(&self, from: i64, until: i64) -> Figures {
        let place = |second: i64| usize::try_from(second.max(0)).unwrap();
        let (first, last) = (place(from), place(until));
        let seconds = |wanted: &dyn Fn(usize) -> bool| {
            Span::from_secs((first..last).filter(|&second| wanted(second)).count() as i64)
        };
        let mut repairs: Vec<i64> = self
            .outages
            .iter()
            .filter_map(|&(start, end)| end.filter(|&end| from < end && end <= until).map(|end| end - start))
            .collect();
        repairs.sort_unstable();
        let rank = |percent: usize| {
            repairs
                .iter()
                .copied()
                .enumerate()
                .find(|(n, _)| (n + 1) * 100 >= repairs.len() * percent)
                .map(|(_, s)| s)
        };
        Figures {
            observed: Span::from_secs(until - from),
            downtime: seconds(&|second| self.down[second]),
            degraded: seconds(&|second| self.degraded[second] && !self.down[second]),
            outages: self.outages.iter().filter(|&&(start, _)| from <= start && start < until).count() as u64,
            repairs: repairs.len() as u64,
            repair_sum: Span::from_secs(repairs.iter().sum()),
            repair_p50: rank(50).map(Span::from_secs),
            repair_p95: rank(95).map(Span::from_secs),
            repair_max: repairs.last().copied().map(Span::from_secs),
        }
    }
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
        prop_assert_eq!(effects, expected);
        prop_assert!(plain.snapshot() == ticked.snapshot());
    }

    /// Stop, save, load, go on gives the same future.
    #[test]
    fn law_2_snapshots_do_not_matter(world in world(), restarts in vec(any::<bool>(), 40)) {
        let (plain, expected) = run(&world, |_, _, _| {});
        let mut restarts = restarts.into_iter();
        let (restarted, effects) = run(&world, |engine, _, _| {
            if restarts.next() == Some(true) {
                *engine = Engine::restore(&engine.snapshot()).unwrap();
            }
        });
        prop_assert_eq!(effects, expected);
        prop_assert!(plain.snapshot() == restarted.snapshot());
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
            shuffled.apply(at(received), &input(&world[number], Some(number)), &mut Vec::new());
        }
        shuffled.advance(at(HORIZON), &mut Vec::new());
        prop_assert_eq!(figures(&plain), figures(&shuffled));
    }

    /// An event that comes again changes nothing, with an id or without.
    #[test]
    fn law_4_duplicates_do_not_matter(world in world(), again in vec((0..40_usize, 0..HORIZON), 0..20)) {
        for with_ids in [true, false] {
            let id = |number: usize| with_ids.then_some(number);
            let mut order: Vec<(i64, usize)> = arrivals(&world);
            let mut plain = engine();
            let mut expected = Vec::new();
            for &(received, number) in &order {
                plain.apply(at(received), &input(&world[number], id(number)), &mut expected);
            }
            plain.advance(at(HORIZON * 2), &mut expected);
            // Each comes again some time after it came first.
            for &(number, later) in again.iter().filter(|(number, _)| *number < world.len()) {
                let first = order.iter().find(|(_, n)| *n == number).unwrap().0;
                order.push((first + later, number));
            }
            order.sort_by_key(|&(received, _)| received);
            let mut repeated = engine();
            let mut effects = Vec::new();
            for &(received, number) in &order {
                repeated.apply(at(received), &input(&world[number], id(number)), &mut effects);
            }
            repeated.advance(at(HORIZON * 2), &mut effects);
            prop_assert_eq!(&effects, &expected);
            prop_assert_eq!(figures(&plain), figures(&repeated));
            prop_assert!(plain.incidents().eq(repeated.incidents()));
        }
    }

    /// It equals a second-by-second bitmap, however the events came, with restarts on the way.
    #[test]
    fn law_5_it_equals_the_brute_force_answer(world in world(), restart in 0..40_usize) {
        let mut arrived = 0;
        let (engine, _) = run(&world, |engine, _, _| {
            if arrived == restart {
                *engine = Engine::restore(&engine.snapshot()).unwrap();
            }
            arrived += 1;
        });
        for service in 0..2 {
            let map = bitmap(&world, service);
            let view = engine.service(&name(service)).unwrap();
            for until in [HORIZON, HORIZON - 1, 90_000, 86_400, 36_300, 7200, 3601, 300] {
                for (window, length) in [(Window::Hour, 3600), (Window::Day, 86_400)] {
                    let since = if service == 1 { 3600 } else { i64::MIN };
                    let from = (until - length).max(since);
                    let expected = if from < until { map.count(from, until) } else { Figures::default() };
                    prop_assert_eq!(
                        view.figures(window, at(until)), expected, "service {} {} at {}", service, window.name(), until
                    );
                }
                if until < HORIZON {
                    let place = usize::try_from(until).unwrap();
                    let state = match (map.down[place], map.degraded[place]) {
                        (true, _) => State::Down,
                        (false, true) => State::Degraded,
                        (false, false) => State::Up,
                    };
                    prop_assert_eq!(view.state(at(until)), state);
                }
            }
        }
    }

    /// What fires is what the incidents call for: no alert is left over, none is missing, and each began when it says.
    #[test]
    fn alerts_and_incidents_agree(world in world()) {
        let (engine, effects) = run(&world, |_, _, _| {});
        let mut firing = BTreeMap::new();
        for effect in &effects {
            match &effect.kind {
                fournines::model::effect::EffectKind::Fire(alert) => {
                    prop_assert!(alert.starts <= effect.at);
                    firing.insert(alert.key.clone(), alert.clone());
                }
                fournines::model::effect::EffectKind::Resolve(alert, ended) => {
                    prop_assert!(*ended >= alert.starts);
                    prop_assert!(firing.remove(&alert.key).is_some(), "resolved, but never fired");
                }
                fournines::model::effect::EffectKind::Record(_) => {}
            }
        }
        let expected: BTreeMap<_, _> = engine.alerts().map(|alert| (alert.key.clone(), alert.clone())).collect();
        prop_assert_eq!(firing, expected);
        for view in engine.services() {
            let down = view.state(at(HORIZON)) == State::Down;
            let open = view.incidents().filter(|incident| incident.status.is_open()).count();
            prop_assert_eq!(open, usize::from(down));
            let own: Vec<_> = view.incidents().filter(|i| !matches!(i.status, Status::Merged | Status::Withdrawn)).collect();
            for pair in own.windows(2) {
                let apart = pair[0].restored.is_some_and(|end| end < pair[1].started);
                prop_assert!(apart, "two incidents for one interruption: {:?}", pair);
            }
            for incident in view.incidents() {
                let quiet = incident.restored.is_some_and(|end| end.plus(Span::from_mins(10)) <= at(HORIZON));
                prop_assert!(!quiet || !incident.is_live(), "watched for too long: {:?}", incident);
            }
        }
    }
}
