//! A storm is one incident and one page, in whatever order and however many at once it is heard of, and a link that flaps
//! all the time is one as well.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fmt::Write;

use fournines::config::{Settings, Sources, read_catalog};
use fournines::engine::{Engine, Input};
use fournines::ingest::decode::{Gate, Layout, decode};
use fournines::model::alert::AlertName;
use fournines::model::effect::{Effect, EffectKind};
use fournines::model::incident::{Incident, Status};
use fournines::model::level::{Condition, Level, Rule};
use fournines::model::time::{Instant, Span, Window};

/// Sites, on a ring by way of so many nodes.
const SITES: usize = 2000;
const NODES: usize = 20;

fn at(seconds: f64) -> Instant {
    #[allow(clippy::cast_possible_truncation, reason = "a day has few microseconds")]
    let micros = (seconds * 1e6) as i64;
    "2026-03-01T00:00:00Z".parse::<Instant>().unwrap().plus(Span::from_micros(micros))
}

/// An engine that knows the ring, and for which half of its users are a major interruption.
fn ring() -> Engine {
    let mut catalogue = "id,kind,region,users,depends_on\nring,transport,north,,\n".to_owned();
    for node in 0..NODES {
        writeln!(catalogue, "node-{node},aggregation,north,,ring").unwrap();
    }
    for site in 0..SITES {
        writeln!(catalogue, "site-{site},mobile,north,50,node-{}", site % NODES).unwrap();
    }
    let mut policy = Settings::load(&Sources::default()).unwrap().policy;
    policy.services = read_catalog("storm", &catalogue).unwrap();
    let conditions = vec![Condition::UsersAtLeast(50_000)];
    policy.levels.first = vec![Rule { name: "first[1]".to_owned(), cite: "half".to_owned(), conditions }];
    let mut engine = Engine::new();
    engine.apply(at(0.0), &Input::Policy(Box::new(policy)), &mut Vec::new());
    engine
}

/// The order in which all sites are heard of: by the number of the shuffle, none of which is that of time.
fn order(shuffle: u64) -> Vec<usize> {
    let mut sites: Vec<usize> = (0..SITES).collect();
    let mut chance = shuffle;
    let mut next = || {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        chance >> 33
    };
    if shuffle > 0 {
        sites.sort_by_cached_key(|_| next());
    }
    sites
}

/// Tells that every site went down, or came back, each at an instant of its own within a second, so many in each batch.
fn tell(engine: &mut Engine, kind: &str, from: f64, (shuffle, batch): (u64, usize), effects: &mut Vec<Effect>) {
    for (number, sites) in order(shuffle).chunks(batch).enumerate() {
        let received = at(from + 1.0 + number as f64 / 1000.0);
        for site in sites {
            let time = at(from + *site as f64 / SITES as f64);
            let line = format!(r#"{{"type":"outage.{kind}","time":"{time}","service":"site-{site}"}}"#);
            let mut decoded = decode(Layout::Lines, line.as_bytes(), &Gate::past("test".into()));
            engine.apply(received, &Input::Event(decoded.events.remove(0)), effects);
        }
        engine.advance(received, effects);
    }
}

fn own(engine: &Engine) -> Vec<&Incident> {
    engine.incidents().filter(|i| !matches!(i.status, Status::Merged | Status::Withdrawn)).collect()
}

/// What was paged, by its labels.
fn pages(effects: &[Effect]) -> BTreeSet<Vec<(&'static str, String)>> {
    let fired = effects.iter().filter_map(|effect| match &effect.kind {
        EffectKind::Fire(alert) if alert.key.name == AlertName::ServiceInterruption => Some(alert.key.labels()),
        _ => None,
    });
    fired.collect()
}

#[test]
fn a_ring_that_is_cut_is_one_major_incident_and_one_page() {
    let mut engine = ring();
    let mut effects = Vec::new();
    tell(&mut engine, "started", 60.0, (0, SITES), &mut effects);
    let found = own(&engine);
    assert_eq!(found.len(), 1);
    let incident = found[0];
    assert_eq!((incident.level, incident.users, incident.services), (Level::First, Some(100_000), SITES as u64));
    assert_eq!(incident.suspected_cause.as_ref().map(|cause| cause.as_str()), Some("ring"));
    // The thousandth of them made half of all users.
    assert_eq!(incident.levels.last().unwrap().at, at(60.0 + 999.0 / SITES as f64));
    assert_eq!(pages(&effects).len(), 1);
    tell(&mut engine, "ended", 3600.0, (0, SITES), &mut effects);
    engine.advance(at(7200.0), &mut effects);
    let found = own(&engine);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].status, found[0].flaps), (Status::Restored, 0));
    assert_eq!(found[0].restored, Some(at(3600.0 + 1999.0 / SITES as f64)));
    assert_eq!(pages(&effects).len(), 1, "one page, and its end");
    // Each was down for just an hour less a minute.
    assert!((found[0].user_minutes(engine.now()) - 100_000.0 * 59.0).abs() < 1e-3);
}

#[test]
fn the_same_storm_in_any_order_is_the_same_incident() {
    let storm = |shuffle: u64, batch: usize| {
        let mut engine = ring();
        let mut effects = Vec::new();
        tell(&mut engine, "started", 60.0, (shuffle, batch), &mut effects);
        tell(&mut engine, "ended", 3600.0, (shuffle + 1, batch), &mut effects);
        engine.advance(at(7200.0), &mut effects);
        let found = own(&engine);
        assert_eq!(found.len(), 1, "shuffle {shuffle}, {batch} in a batch");
        let incident = found[0].clone();
        let services: Vec<String> = engine.services_of(incident.id).map(str::to_owned).collect();
        let Incident { started, restored, users, user_micros, level, suspected_cause, .. } = incident;
        (incident.id, (started, restored, users, user_micros, level, suspected_cause, services))
    };
    let (id, expected) = storm(0, SITES);
    for (shuffle, batch) in [(1, SITES), (2, SITES), (3, 500), (4, 37), (0, 1)] {
        let (found, incident) = storm(shuffle, batch);
        assert_eq!(incident, expected, "shuffle {shuffle}, {batch} in a batch");
        // Heard of at once it has the same id as well; else it keeps that of what was heard of first.
        assert!(batch < SITES || found == id);
    }
}

#[test]
fn five_hundred_transitions_in_an_hour_are_one_incident_one_page_and_its_end() {
    let mut engine = ring();
    let mut effects = Vec::new();
    for transition in 0..500 {
        let time = at(60.0).plus(Span::from_millis(i64::from(transition) * 7200));
        let kind = if transition % 2 == 0 { "started" } else { "ended" };
        let line = format!(r#"{{"type":"outage.{kind}","time":"{time}","service":"site-7"}}"#);
        let mut decoded = decode(Layout::Lines, line.as_bytes(), &Gate::past("test".into()));
        engine.apply(time, &Input::Event(decoded.events.remove(0)), &mut effects);
        engine.advance(time, &mut effects);
    }
    engine.advance(at(7200.0), &mut effects);
    let found = own(&engine);
    assert_eq!((found.len(), found[0].flaps, found[0].status), (1, 249, Status::Restored));
    assert_eq!(pages(&effects).len(), 1);
    let resolved = effects.iter().filter(|effect| match &effect.kind {
        EffectKind::Resolve(alert, _) => alert.key.name == AlertName::ServiceInterruption,
        _ => false,
    });
    assert_eq!(resolved.count(), 1);
    // Nobody acknowledges: of that, too, each thing is said once, though each restoration stops the clock.
    let told = |name: AlertName| {
        let fires = effects.iter().filter_map(|effect| match &effect.kind {
            EffectKind::Fire(alert) if alert.key.name == name => Some(&alert.key),
            _ => None,
        });
        let fires: BTreeSet<_> = fires.collect();
        let ends = effects.iter().filter(|effect| match &effect.kind {
            EffectKind::Resolve(alert, _) => alert.key.name == name,
            _ => false,
        });
        (fires.len(), ends.count())
    };
    assert_eq!(told(AlertName::ClockAtRisk), (2, 2));
    assert_eq!(told(AlertName::ResponseOverdue), (1, 1));
    let figures = engine.service("site-7").unwrap().figures(Window::Day, at(7200.0));
    assert_eq!(figures.lengths.down, 250 * 7_200_000, "every microsecond of it");
    assert_eq!(figures.tallies.outages, 250);
}
