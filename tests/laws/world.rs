//! Small random worlds: a few services that hang together in two trees, and everything that can be said of them.

use std::fmt::Write;

use fournines::engine::{Engine, Input};
use fournines::ingest::decode::{Gate, Layout, decode};
use fournines::model::effect::Effect;
use fournines::model::incident::Stage;
use fournines::model::level::{Condition, LevelRules, Ratio, Rule};
use fournines::model::policy::{Correlation, Feed, Policy};
use fournines::model::procedure::{ClockName, ClockRule, Milestone, Procedure, Until};
use fournines::model::service::{ServiceFacts, ServiceName};
use fournines::model::target::{
    LatencyTarget, Maintenance, MeasurementLimit, Override, Scope, Target, Targets, Value,
};
use fournines::model::time::{Instant, Span, Window};
use proptest::collection::vec;
use proptest::prelude::*;

/// The worlds' horizon in seconds.
pub(crate) const HORIZON: i64 = 3 * 3600;
/// When the last of them has arrived, and what follows has taken place.
pub(crate) const END: i64 = 4 * HORIZON;
/// Where the worlds begin: an instant with a whole second, in a leap year.
pub(crate) const ORIGIN: i64 = 1_709_164_800;
/// How long the feed `nms` may be silent, in seconds.
pub(crate) const HEARTBEAT: i64 = 1500;
/// How much a degradation takes that does not say, in parts of a thousand.
pub(crate) const DEGRADED_WEIGHT: u64 = 250;

/// A service of the worlds.
pub(crate) struct Known {
    pub(crate) name: &'static str,
    pub(crate) users: Option<u64>,
    pub(crate) parents: &'static [&'static str],
    pub(crate) groups: &'static [&'static str],
    pub(crate) kind: &'static str,
    /// Seconds from the origin.
    pub(crate) since: Option<i64>,
    /// Which of the two trees it hangs in.
    pub(crate) root: usize,
}

/// Two trees: `p` with `a` and `b` below it, and `q` with `c`. The feed `nms` speaks for what is of the kind `radio`.
pub(crate) const SERVICES: [Known; 5] = [
    Known { name: "p", users: Some(2000), parents: &[], groups: &[], kind: "core", since: None, root: 0 },
    Known {
        name: "a",
        users: Some(30_000),
        parents: &["p"],
        groups: &["gold"],
        kind: "radio",
        since: None,
        root: 0,
    },
    Known { name: "b", users: None, parents: &["p"], groups: &[], kind: "wire", since: Some(1800), root: 0 },
    Known { name: "q", users: None, parents: &[], groups: &["bare"], kind: "core", since: None, root: 1 },
    Known {
        name: "c",
        users: None,
        parents: &["q"],
        groups: &["gold", "bare"],
        kind: "radio",
        since: Some(600),
        root: 1,
    },
];

/// Every group that has services.
pub(crate) const GROUPS: [&str; 6] = ["all", "gold", "bare", "kind:core", "kind:radio", "kind:wire"];

/// One thing that is said, as small numbers.
#[derive(Clone, Debug)]
pub(crate) struct Saying {
    pub(crate) service: usize,
    pub(crate) key: u8,
    /// Seconds from the origin.
    pub(crate) at: i64,
    pub(crate) what: What,
    /// How long it takes to arrive; negative when the sender's clock runs ahead.
    pub(crate) lag: i64,
    pub(crate) zone: u8,
    /// It comes from the feed that is expected to speak.
    pub(crate) by_feed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The users in thousands, where that is said.
    Down(Option<u64>),
    /// The weight in parts of a thousand, where that is said.
    Degraded(Option<u64>),
    /// Whether it is down from now on, and the users in thousands.
    Updated(Option<bool>, Option<u64>),
    Ended,
    /// Somebody did something about an outage: what the event's type says after `repair.`.
    Acted(&'static str),
    /// Begins so many seconds later, and lasts so many. The key says which maintenance.
    Planned(i64, i64),
    Cancelled,
    /// Takes back the saying that stands so many places before.
    Retracted(usize),
    /// Milliseconds.
    Latency(u16),
    /// Parts of a thousand.
    Loss(u16),
    Heartbeat,
}

/// Whom a maintenance is for: of each key another.
pub(crate) const MAINTAINED: [&str; 3] = ["the service", "gold", "kind:radio"];

impl What {
    pub(crate) fn is_sample(self) -> bool {
        matches!(self, Self::Latency(_) | Self::Loss(_) | Self::Heartbeat)
    }
}

fn what() -> impl Strategy<Value = What> {
    let users = || prop_oneof![Just(None), (0..80_u64).prop_map(Some)];
    prop_oneof![
        5 => users().prop_map(What::Down),
        2 => prop_oneof![Just(None), (0..=1000_u64).prop_map(Some)].prop_map(What::Degraded),
        2 => (prop_oneof![Just(None), any::<bool>().prop_map(Some)], users())
            .prop_map(|(down, users)| What::Updated(down, users)),
        5 => Just(What::Ended),
        1 => Just(What::Acted("acknowledged")),
        1 => Just(What::Acted("verified")),
        2 => prop_oneof![Just("held"), Just("resumed")].prop_map(What::Acted),
        1 => Just(What::Acted("reclassified")),
        1 => proptest::sample::select(&["dispatched", "located", "mitigated", "repaired", "reviewed"])
            .prop_map(What::Acted),
        2 => (-1200..3600_i64, prop_oneof![1..3600_i64, (1..12_i64).prop_map(|n| n * 300)])
            .prop_map(|(wait, length)| What::Planned(wait / 300 * 300, length)),
        1 => Just(What::Cancelled),
        2 => (1..12_usize).prop_map(What::Retracted),
        1 => (0..400_u16).prop_map(What::Latency),
        1 => (0..30_u16).prop_map(What::Loss),
        1 => Just(What::Heartbeat),
    ]
}

pub(crate) fn saying() -> impl Strategy<Value = Saying> {
    // Instants are few, so that equal ones, touching outages and gaps of just the hold-down are common.
    let at = prop_oneof![(0..HORIZON / 300).prop_map(|n| n * 300), 0..HORIZON];
    let lag = prop_oneof![3 => Just(0_i64), 1 => 0..1800_i64, 1 => 0..HORIZON, 1 => -60..0_i64];
    (0..SERVICES.len(), 0..3_u8, at, what(), lag, 0..3_u8, any::<bool>()).prop_map(
        |(service, key, at, what, lag, zone, by_feed)| Saying { service, key, at, what, lag, zone, by_feed },
    )
}

pub(crate) fn world() -> impl Strategy<Value = Vec<Saying>> {
    vec(saying(), 1..40)
}

pub(crate) fn at(seconds: i64) -> Instant {
    Instant::from_micros((ORIGIN + seconds) * 1_000_000)
}

/// The number of the saying that number `number` takes back; `None` when there is none that far back.
pub(crate) fn taken_back(number: usize, places: usize) -> Option<usize> {
    number.checked_sub(places)
}

/// The saying as a line of NDJSON, its time written in one of three zones.
pub(crate) fn line(number: usize, saying: &Saying, with_id: bool) -> String {
    let written = |seconds: i64| {
        let (offset, shift) =
            [("Z", 0), ("+08:00", 8 * 3600), ("-03:30", -(3 * 3600 + 1800))][saying.zone as usize];
        let local = Instant::from_micros((ORIGIN + seconds + shift) * 1_000_000).to_string();
        format!("{}{offset}", local.trim_end_matches('Z'))
    };
    let of_outage = format!(r#""service":"{}","outage":"k{}""#, SERVICES[saying.service].name, saying.key);
    let of_service = format!(r#""service":"{}""#, SERVICES[saying.service].name);
    let of_maintenance = match MAINTAINED[saying.key as usize] {
        "the service" => format!(r#""maintenance":"m",{of_service}"#),
        group => format!(r#""maintenance":"m","group":"{group}""#),
    };
    let users = |users: Option<u64>| users.map_or(String::new(), |users| format!(r#","users":{}"#, users * 1000));
    let source = if saying.by_feed { "nms" } else { "hand" };
    let (kind, rest) = match saying.what {
        What::Down(said) => ("outage.started", of_outage + &users(said)),
        What::Degraded(weight) => {
            let weight = weight.map_or(String::new(), |weight| format!(r#","weight":{}"#, weight as f64 / 1000.0));
            ("outage.started", format!(r#"{of_outage},"severity":"degraded"{weight}"#))
        }
        What::Updated(down, said) => {
            let severity = match down {
                None => "",
                Some(true) => r#","severity":"down""#,
                Some(false) => r#","severity":"degraded""#,
            };
            ("outage.updated", of_outage + severity + &users(said))
        }
        What::Ended => ("outage.ended", of_outage),
        What::Acted(action) => {
            // Some name no outage.
            let about = if saying.key == 2 { of_service } else { of_outage };
            let level = if action == "reclassified" {
                format!(r#","level":{},"reason":"known better""#, saying.key + 1)
            } else {
                String::new()
            };
            (&*format!("repair.{action}"), about + r#","by":"li""# + &level)
        }
        What::Planned(wait, length) => {
            let (from, until) = (saying.at + wait, saying.at + wait + length);
            let during = format!(r#""from":"{}","until":"{}""#, written(from), written(until));
            ("maintenance.planned", format!("{of_maintenance},{during}"))
        }
        What::Cancelled => ("maintenance.cancelled", of_maintenance),
        What::Retracted(places) => {
            // A retraction is of its own source: the number tells which one that is.
            let of = taken_back(number, places).map_or("nothing".to_owned(), |of| format!("e{of}"));
            ("retraction", format!(r#""of":"{of}""#))
        }
        What::Latency(ms) => ("latency", format!(r#"{of_service},"ms":{ms}"#)),
        What::Loss(parts) => {
            ("measurement", format!(r#"{of_service},"metric":"loss","value":{}"#, f64::from(parts) / 1000.0))
        }
        What::Heartbeat => ("heartbeat", String::new()),
    };
    let mut text = format!(r#"{{"type":"{kind}","time":"{}","source":"{source}""#, written(saying.at));
    if !rest.is_empty() {
        let _ = write!(text, ",{rest}");
    }
    if with_id {
        let _ = write!(text, r#","id":"e{number}""#);
    }
    text + "}"
}

pub(crate) fn input(number: usize, saying: &Saying, with_id: bool) -> Input {
    decoded(&line(number, saying, with_id))
}

/// What a line of NDJSON says.
pub(crate) fn decoded(line: &str) -> Input {
    let mut decoded = decode(Layout::Lines, line.as_bytes(), &Gate::past("test".into()));
    assert!(decoded.rejected.is_empty(), "{line}: {:?}", decoded.rejected);
    Input::Event(decoded.events.remove(0))
}

pub(crate) fn policy() -> Policy {
    let rule = |name: &str, conditions| Rule { name: name.to_owned(), cite: String::new(), conditions };
    let target = |name: &str, value| Target {
        name: name.to_owned(),
        value,
        clause: String::new(),
        requirement: String::new(),
        phrase: String::new(),
    };
    let share = Ratio::new(0.5).unwrap();
    let facts = |known: &Known| ServiceFacts {
        kind: known.kind.to_owned(),
        users: known.users,
        groups: known.groups.iter().map(|&group| group.to_owned()).collect(),
        depends_on: known.parents.iter().map(|&parent| parent.to_owned()).collect(),
        since: known.since.map(at),
        ..ServiceFacts::default()
    };
    let own = Override {
        scope: Scope::Group("bare".to_owned()),
        values: vec![("availability".to_owned(), Value::Ratio(Ratio::new(0.5).unwrap()))],
        maintenance: Some(Maintenance::Ignore),
        latency: Some(LatencyTarget { limit: Span::from_millis(200), ratio: Ratio::new(0.5).unwrap() }),
    };
    let named = |name: &str, from, stage, limit| ClockRule {
        limits: [Some(Span::from_mins(limit)); 3],
        ..ClockRule::until_stage(ClockName::Named(name.into()), Milestone::Reached(from), stage)
    };
    let mut procedure = Procedure::default();
    procedure.clocks.push(named("permanent_fix", Stage::Mitigated, Stage::Repaired, 40));
    procedure.clocks.push(ClockRule {
        until: Until::Notice,
        when: vec![vec![Condition::LongerThan(Span::from_mins(25))]],
        ..named("report", Stage::Detected, Stage::Reviewed, 10)
    });
    Policy {
        procedure,
        services: SERVICES.iter().map(|known| (ServiceName::new(known.name).unwrap(), facts(known))).collect(),
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
        targets: Targets {
            base: vec![
                target("response", Value::Limit(Span::from_mins(20))),
                target("repair", Value::Limit(Span::from_mins(60))),
                target("availability", Value::Ratio(Ratio::new(0.9).unwrap())),
            ],
            overrides: vec![own],
            degraded_weight: Ratio::new(DEGRADED_WEIGHT as f64 / 1000.0).unwrap(),
            budget_window: Window::Hour,
            risk_horizon: Span::from_mins(3),
            measurements: vec![MeasurementLimit {
                metric: "loss".to_owned(),
                above: true,
                limit: 0.02,
                clear: 0.01,
            }],
            ..Targets::default()
        },
        correlation: Correlation { siblings: 2, ..Correlation::default() },
        time_zone: "Asia/Shanghai".to_owned(),
        feeds: vec![Feed {
            source: "nms".to_owned(),
            heartbeat: Span::from_secs(HEARTBEAT),
            group: "kind:radio".to_owned(),
        }],
    }
}

/// The sayings in the order in which they arrive, with when, in seconds.
pub(crate) fn arrivals(world: &[Saying]) -> Vec<(i64, usize)> {
    let mut order: Vec<(i64, usize)> =
        world.iter().enumerate().map(|(number, saying)| ((saying.at + saying.lag).max(0), number)).collect();
    order.sort_unstable();
    order
}

/// An engine that was told the policy.
pub(crate) fn engine() -> Engine {
    let mut engine = Engine::new();
    engine.apply(at(0), &Input::Policy(Box::new(policy())), &mut Vec::new());
    engine
}

/// Plays the world to its horizon; `between` is called before each arrival.
pub(crate) fn run(
    world: &[Saying],
    mut between: impl FnMut(&mut Engine, i64, &mut Vec<Effect>),
) -> (Engine, Vec<Effect>) {
    let mut engine = engine();
    let mut effects = Vec::new();
    for (received, number) in arrivals(world) {
        between(&mut engine, received, &mut effects);
        engine.apply(at(received), &input(number, &world[number], true), &mut effects);
    }
    between(&mut engine, END, &mut effects);
    engine.advance(at(END), &mut effects);
    (engine, effects)
}
