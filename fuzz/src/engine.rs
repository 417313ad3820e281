//! Histories of anybody's making: the engine bears them all, and a restart on the way changes nothing.

use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use fournines::config::{Settings, Sources, read_catalog};
use fournines::engine::{Engine, Input};
use fournines::ingest::decode::{Gate, Layout, decode};
use fournines::model::calendar::{Range, Unit};
use fournines::model::effect::{Effect, EffectKind};
use fournines::model::figures::Figures;
use fournines::model::level::Ratio;
use fournines::model::policy::{Feed, Policy};
use fournines::model::target::{LatencyTarget, Maintenance, MeasurementLimit};
use fournines::model::time::{Instant, Span, Window};

/// When histories begin: a second before a leap day ends in UTC.
const ORIGIN: Instant = Instant::from_micros(1_709_251_199_000_000);
/// How far ahead of its receipt an event may be, as the daemon has it.
const FUTURE_MAX: Span = Span::from_mins(5);
/// How long it goes on after the last input.
const AFTERMATH: Span = Span::from_hours(100 * 24);
/// Operations of one history: more of them find no more, and take longer.
const OPERATIONS_MAX: usize = 60;

/// Of how many partitions it is besides.
const PARTITIONS: usize = 3;
/// How many inputs those are assigned at once.
const BUNDLE: usize = 7;

/// The policies that are taken in, one after the other: of two trees with alternatives, of a ring that depends on itself,
/// and of nothing that is known before it is heard of.
static POLICIES: LazyLock<[Policy; 3]> = LazyLock::new(|| {
    let plain = Settings::load(&Sources::default()).expect("the built-in settings are good").policy;
    let services = |text: &str| read_catalog("catalog", text).expect("it is good");
    let mut trees = Policy {
        services: services(
            "id,kind,region,users,groups,depends_on,since\n\
             p,core,east,2000,,,\n\
             q,core,west,,bare,,\n\
             a,radio,east,30000,gold,p,\n\
             b,wire,east,,,p|q,2024-02-28T00:00:00Z\n\
             c,radio,west,18446744073709551615,gold;bare,q,2024-03-01T00:10:00Z\n",
        ),
        time_zone: "America/New_York".to_owned(),
        feeds: vec![Feed {
            source: "nms".to_owned(),
            heartbeat: Span::from_mins(25),
            group: "kind:radio".to_owned(),
        }],
        ..plain.clone()
    };
    trees.correlation.siblings = 2;
    trees.targets.budget_window = Window::Hour;
    trees.targets.maintenance = Maintenance::CountAsUp;
    trees.targets.latency = Ratio::new(0.9).map(|ratio| LatencyTarget { limit: Span::from_millis(200), ratio });
    trees.targets.measurements =
        vec![MeasurementLimit { metric: "loss".to_owned(), above: true, limit: 0.02, clear: 0.01 }];
    // Without branches: every path that leads into it is walked, for each outage.
    let ring = Policy {
        services: services("id,users,groups,depends_on\na,1,gold,b\nb,1,gold,c\nc,1,bare,a\n"),
        time_zone: "Asia/Shanghai".to_owned(),
        ..plain.clone()
    };
    [trees, ring, plain]
});

/// Reads `data` as a history: what is said, and when that is heard of. Six bytes are one operation.
pub fn engine(data: &[u8]) {
    let mut history = History::new();
    for operation in data.chunks_exact(6).take(OPERATIONS_MAX) {
        history.perform([operation[0], operation[1], operation[2], operation[3], operation[4], operation[5]]);
    }
    history.judge();
}

/// Reads `data` as events, one a line, each heard of a minute after the one before. Those of a future that is not taken
/// are left out.
pub fn replay(data: &[u8]) {
    let mut history = History::new();
    for line in data.split(|&b| b == b'\n').take(OPERATIONS_MAX) {
        history.now = history.now.plus(Span::from_mins(1));
        history.hear(line);
    }
    history.judge();
}

/// What was given to an engine, and what came of it.
struct History {
    engine: Engine,
    now: Instant,
    inputs: Vec<(Instant, Input)>,
    effects: Vec<Effect>,
}

impl History {
    fn new() -> Self {
        let mut new = Self { engine: Engine::new(), now: ORIGIN, inputs: Vec::new(), effects: Vec::new() };
        new.give(Input::Policy(Box::new(POLICIES[0].clone())));
        new
    }

    fn give(&mut self, input: Input) {
        self.engine.apply(self.now, &input, &mut self.effects);
        self.inputs.push((self.now, input));
    }

    /// Only what the decoder lets through reaches the engine.
    fn hear(&mut self, line: &[u8]) {
        let gate = Gate::at(self.now, FUTURE_MAX, None, Arc::from("hand"));
        for event in decode(Layout::Lines, line, &gate).events {
            self.give(Input::Event(event));
        }
    }

    fn perform(&mut self, [wait, what, whom, lag, one, two]: [u8; 6]) {
        self.now = self.now.plus(length(wait));
        match what {
            250 => self.give(Input::Policy(Box::new(POLICIES[usize::from(one) % POLICIES.len()].clone()))),
            251 | 252 => {
                let fold_after = Span::from_hours(24 * if what == 251 { 92 } else { 400 });
                let days = self.engine.days_over(self.now.minus(fold_after));
                if !days.is_empty() {
                    self.give(Input::Fold(days));
                }
            }
            253 => self.give(Input::Body { source: "hand".into(), key: format!("{}", one % 4).into() }),
            _ => {
                let time = match lag {
                    255 => self.now.plus(FUTURE_MAX),
                    254 => ORIGIN.minus(Span::from_hours(24 * 365 * 30)),
                    _ => self.now.minus(length(lag)),
                };
                let line = said(self.inputs.len(), time, what, whom, one, two);
                self.hear(line.as_bytes());
            }
        }
    }

    /// Holds a second engine, which is stopped and started again wherever that may be, against the first.
    fn judge(mut self) {
        let end = self.now.plus(AFTERMATH);
        let (mut again, mut effects) = (Engine::new(), Vec::new());
        let mut before = ORIGIN;
        for (at, input) in &self.inputs {
            let between = before.plus(Span::from_micros(at.since(before).as_micros() / 2));
            if between > before && between < *at {
                again.advance(between, &mut effects);
                again = restarted(&again);
            }
            again.apply(*at, input, &mut effects);
            again = restarted(&again);
            before = *at;
        }
        figures_are_figures(&self.engine, self.now);
        self.engine.advance(end, &mut self.effects);
        again.advance(end, &mut effects);
        let same = self.effects.iter().zip(&effects).take_while(|(one, other)| one == other).count();
        assert!(
            self.effects == effects,
            "effect {same} differs: {:#?} and, with restarts, {:#?}",
            self.effects.get(same),
            effects.get(same)
        );
        assert!(self.engine.snapshot() == again.snapshot(), "the states differ");
        figures_are_figures(&again, end);
        let (parts, effects) = divided(&self.inputs, end);
        assert_eq!(told(&effects), told(&self.effects), "it tells otherwise in partitions");
        assert_eq!(shown(&parts, end), shown(&self.engine, end), "it is otherwise in partitions");
    }
}

/// The same in partitions, wherever it can be divided.
fn divided(inputs: &[(Instant, Input)], end: Instant) -> (Engine, Vec<Effect>) {
    let (mut engine, mut effects, mut rest) = (Box::new(Engine::new()), Vec::new(), inputs);
    loop {
        match engine.divide(PARTITIONS) {
            Ok((mut head, mut parts)) => {
                loop {
                    let (works, taken) = head.assign(&rest[..rest.len().min(BUNDLE)]);
                    let done = parts.iter_mut().zip(&works).map(|(part, works)| part.run(works)).collect();
                    head.add(done, &mut effects);
                    rest = &rest[taken..];
                    if taken == 0 {
                        break;
                    }
                }
                engine = Box::new(head.unite(parts));
            }
            Err(whole) => engine = whole,
        }
        let Some(((at, input), later)) = rest.split_first() else { break };
        engine.apply(*at, input, &mut effects);
        rest = later;
    }
    engine.advance(end, &mut effects);
    (*engine, effects)
}

/// When which alert began or was over, but for the order of what is of one instant.
fn told(effects: &[Effect]) -> Vec<String> {
    let alerts = effects.iter().filter(|effect| !matches!(effect.kind, EffectKind::Record(_)));
    let mut told: Vec<String> = alerts.map(|effect| format!("{} {:?}", effect.at, effect.kind)).collect();
    told.sort();
    told
}

/// What figures and incidents it has.
fn shown(engine: &Engine, at: Instant) -> String {
    let all = |figures: &dyn Fn(Window) -> Figures| format!("{:?}\n", Window::ALL.map(figures));
    let services =
        engine.services().map(|view| format!("{} {}", view.name(), all(&|window| view.figures(window, at))));
    let groups = engine.groups().map(|view| format!("{} {}", view.name(), all(&|window| view.figures(window, at))));
    let incidents = engine.incidents().chain(engine.drill_incidents()).map(|incident| format!("{incident:?}\n"));
    services.chain(groups).chain(incidents).collect()
}

fn restarted(engine: &Engine) -> Engine {
    let bytes = engine.snapshot();
    let restored = Engine::restore(&bytes).expect("it was just written");
    assert!(restored.snapshot() == bytes, "a restart changes the state");
    assert_eq!(restored.next_deadline(), engine.next_deadline(), "a restart changes what is waited for");
    restored
}

/// A length of time: whole ones are common, so that what touches and what is at the same instant are too.
fn length(byte: u8) -> Span {
    match byte {
        0..60 => Span::ZERO,
        60..100 => Span::from_secs(i64::from(byte - 59) * 60),
        100..160 => Span::from_secs(i64::from(byte - 99) * 300),
        160..200 => Span::from_hours(i64::from(byte - 159)),
        200..230 => Span::from_hours(i64::from(byte - 199) * 24),
        230..240 => Span::from_hours(i64::from(byte - 229) * 24 * 31),
        _ => Span::from_micros(i64::from(byte - 239)),
    }
}

/// What the bytes say, as a line of NDJSON.
fn said(number: usize, time: Instant, what: u8, whom: u8, one: u8, two: u8) -> String {
    const SERVICES: [&str; 6] = ["p", "q", "a", "b", "c", "new"];
    const USERS: [&str; 5] = ["0", "999", "30001", "100000", "18446744073709551615"];
    const STAGES: [&str; 9] = [
        "acknowledged",
        "dispatched",
        "located",
        "mitigated",
        "repaired",
        "verified",
        "reviewed",
        "held",
        "resumed",
    ];
    let of_service = format!(r#","service":"{}""#, SERVICES[usize::from(whom) % 6]);
    let of_outage = format!(r#"{of_service},"outage":"k{}""#, whom / 6 % 3);
    let facts = || {
        let mut facts = String::new();
        if one & 1 == 1 {
            facts += r#","severity":"degraded""#;
        }
        if one & 2 == 2 {
            let _ = write!(facts, r#","weight":{}"#, f64::from(two) / 255.0);
        }
        if one & 4 == 4 {
            let _ = write!(facts, r#","users":{}"#, USERS[usize::from(two) % USERS.len()]);
        }
        facts
    };
    let of_maintenance = match whom / 6 % 3 {
        0 => format!(r#","maintenance":"m"{of_service}"#),
        1 => r#","maintenance":"m","group":"gold""#.to_owned(),
        _ => r#","maintenance":"m","group":"all""#.to_owned(),
    };
    let (kind, rest) = match what {
        0..60 => ("outage.started", of_outage + &facts()),
        60..80 => ("outage.updated", of_outage + &facts()),
        80..130 => ("outage.ended", of_outage),
        130..160 => {
            let stage = STAGES[usize::from(one) % STAGES.len()];
            (
                &*format!("repair.{stage}"),
                format!(r#"{},"by":"li""#, if two < 128 { of_outage } else { of_service }),
            )
        }
        160..165 => ("repair.reclassified", format!(r#"{of_outage},"level":{},"by":"li""#, one % 3 + 1)),
        165..170 => ("notice.sent", format!(r#"{of_outage},"notice":"n","by":"li""#)),
        170..195 => {
            let from = if two & 1 == 1 { time.plus(length(one)) } else { time.minus(length(one)) };
            let until = from.plus(length(two).plus(Span::TICK));
            ("maintenance.planned", format!(r#"{of_maintenance},"from":"{from}","until":"{until}""#))
        }
        195..200 => {
            let during = r#""from":"0001-01-01T00:00:00Z","until":"9999-12-30T00:00:00Z""#;
            ("maintenance.planned", format!("{of_maintenance},{during}"))
        }
        200..210 => ("maintenance.cancelled", of_maintenance),
        210..230 => ("retraction", format!(r#","of":"e{}""#, number.saturating_sub(usize::from(one % 16)))),
        230..237 => {
            let count = if two == 255 { u64::MAX } else { u64::from(two) + 1 };
            ("latency", format!(r#"{of_service},"ms":{},"count":{count}"#, u32::from(one) * 4))
        }
        237..243 => ("measurement", format!(r#"{of_service},"metric":"loss","value":{}"#, f64::from(one) / 5000.0)),
        243..246 => ("survey", format!(r#"{of_outage},"score":{}"#, one.min(100))),
        _ => ("heartbeat", String::new()),
    };
    let source = if what & 1 == 1 { "nms" } else { "hand" };
    let drill = if whom >= 240 { r#","drill":"practice""# } else { "" };
    format!(r#"{{"type":"{kind}","id":"e{number}","time":"{time}","source":"{source}"{drill}{rest}}}"#)
}

/// Everything that can be read of it at `at` can be, and shares are shares.
fn figures_are_figures(engine: &Engine, at: Instant) {
    let month = engine.calendar().containing(Unit::Month, at);
    let ranges = [month, Range { from: ORIGIN.minus(Span::from_hours(48)), until: at }];
    for view in engine.services() {
        let _ =
            (view.state(at), view.target(at), view.time_to_breach(Window::Day, at), view.measurements().count());
        for window in Window::ALL {
            are_shares(&view.figures(window, at), view.name());
            let _ = view.latency(window, at);
        }
        for range in ranges {
            are_shares(&view.figures_within(range, at), view.name());
            let _ = view.period_under(range, at, at);
        }
    }
    for view in engine.groups() {
        let _ = (view.users(), view.target(at), view.time_to_breach(Window::Day, at));
        for window in Window::ALL {
            are_shares(&view.figures(window, at), view.name());
        }
        for range in ranges {
            are_shares(&view.figures_within(range, at), view.name());
        }
    }
    for incident in engine.incidents().chain(engine.drill_incidents()) {
        let _ = (incident.user_minutes(at), incident.stages(), incident.missing_stages(), incident.holds());
        let _ =
            (engine.recovery(incident, at), engine.regions_of(incident.id), engine.interruptions_of(incident.id));
        assert!(
            incident.restored.is_none_or(|restored| restored >= incident.started),
            "{incident:?} ends before it begins"
        );
    }
    for alert in engine.alerts() {
        assert!(!alert.key.labels().is_empty());
    }
}

fn are_shares(figures: &Figures, name: &str) {
    let shares = [
        figures.availability(),
        figures.gross_availability(),
        figures.sla_availability(),
        figures.weighted_availability(),
        figures.coverage(),
    ];
    for share in shares.into_iter().flatten() {
        assert!((0.0..=1.0).contains(&share), "{name}: {share} is no share: {figures:?}");
    }
    assert!(figures.downtime_seconds() >= 0.0 && figures.user_minutes() >= 0.0, "{name}: {figures:?}");
}
