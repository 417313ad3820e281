//! A storm: an aggregation ring is cut, and all the sites below it go down within a second. How long until it is one
//! incident with the right users, and how long until everything is up again.
//!
//! `cargo bench --bench storm`, or with another number of sites: `cargo bench --bench storm -- 10000`. The peer in the
//! same run is the reading of the same lines into `serde_json::Value`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench measures and prints"
)]

use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant as Watch;

use fournines::config::{Settings, Sources, read_catalog};
use fournines::engine::{Engine, Input};
use fournines::ingest::decode::{Gate, Layout, decode};
use fournines::model::alert::AlertName;
use fournines::model::effect::{Effect, EffectKind};
use fournines::model::incident::Status;
use fournines::model::policy::Policy;
use fournines::model::time::{Instant, Span};

/// Sites below each of the nodes that hang on the ring.
const SITES_A_NODE: usize = 250;
/// Users of each site.
const USERS: usize = 40;

fn main() {
    let sites = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    for (order, told) in [("in order", false), ("shuffled", true)] {
        for batch in [sites, 1000, 100] {
            storm(sites, batch, order, told);
        }
    }
}

fn at(micros: i64) -> Instant {
    "2026-03-01T00:00:00Z".parse::<Instant>().unwrap().plus(Span::from_micros(micros))
}

fn policy(sites: usize) -> Policy {
    let mut text = "id,kind,region,users,depends_on\nring,transport,north,,\n".to_owned();
    for node in 0..sites.div_ceil(SITES_A_NODE) {
        writeln!(text, "node-{node},aggregation,north,,ring").unwrap();
    }
    for site in 0..sites {
        writeln!(text, "site-{site},broadband,north,{USERS},node-{}", site / SITES_A_NODE).unwrap();
    }
    let mut policy = Settings::load(&Sources::default()).unwrap().policy;
    policy.services = read_catalog("storm", &text).unwrap();
    policy.targets.watch_services = false;
    policy
}

/// Events of every site, spread over a second, from `from` on.
fn lines(sites: usize, kind: &str, from: i64, shuffled: bool) -> Vec<String> {
    let mut chance = 7_u64;
    let mut next = || {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        chance >> 33
    };
    let mut when: Vec<(i64, usize)> =
        (0..sites).map(|site| (from + i64::try_from(next() % 1_000_000).unwrap(), site)).collect();
    when.sort_unstable();
    if shuffled {
        when.sort_by_cached_key(|_| next());
    }
    let line = |(time, site): (i64, usize)| {
        format!(r#"{{"type":"outage.{kind}","time":"{}","service":"site-{site}"}}"#, at(time))
    };
    when.into_iter().map(line).collect()
}

/// Plays the events in batches, each at an instant of its own. Returns the seconds of all of it, and of the last batch.
fn play(engine: &mut Engine, lines: &[String], batch: usize, from: i64, effects: &mut Vec<Effect>) -> (f64, f64) {
    let (mut all, mut last) = (0.0, 0.0);
    for (number, lines) in lines.chunks(batch).enumerate() {
        let decoded = decode(Layout::Lines, lines.join("\n").as_bytes(), &Gate::past("bench".into()));
        assert!(decoded.rejected.is_empty());
        let received = at(from + 1_000_000 + i64::try_from(number).unwrap() * 100);
        let watch = Watch::now();
        for event in decoded.events {
            engine.apply(received, &Input::Event(event), effects);
        }
        engine.advance(received, effects);
        last = watch.elapsed().as_secs_f64();
        all += last;
    }
    (all, last)
}

fn storm(sites: usize, batch: usize, order: &str, shuffled: bool) {
    let mut engine = Engine::new();
    let mut effects = Vec::new();
    engine.apply(at(0), &Input::Policy(Box::new(policy(sites))), &mut effects);
    let down = lines(sites, "started", 60_000_000, shuffled);
    let watch = Watch::now();
    for line in &down {
        black_box(serde_json::from_str::<serde_json::Value>(line).unwrap());
    }
    let peer = watch.elapsed().as_secs_f64();
    let (all, last) = play(&mut engine, &down, batch, 60_000_000, &mut effects);
    let pages = |effects: &[Effect]| {
        let fired = effects.iter().filter(|effect| match &effect.kind {
            EffectKind::Fire(alert) => alert.key.name == AlertName::ServiceInterruption,
            _ => false,
        });
        let mut keys: Vec<String> = fired
            .map(|effect| match &effect.kind {
                EffectKind::Fire(alert) => format!("{:?}", alert.key),
                _ => String::new(),
            })
            .collect();
        keys.sort_unstable();
        keys.dedup();
        keys.len()
    };
    let live: Vec<_> =
        engine.incidents().filter(|i| !matches!(i.status, Status::Merged | Status::Withdrawn)).collect();
    let incident = live[0];
    println!(
        "{sites} outages {order}, {batch} at an instant: {:.2} s ({:.1} times the reading of them as JSON), the last batch {:.1} ms; \
         {} incident of {} services, level {}, {} users, cause {}, {} pages",
        all,
        all / peer,
        last * 1e3,
        live.len(),
        incident.services,
        incident.level.name(),
        incident.users.unwrap_or(0),
        incident.suspected_cause.as_ref().map_or("none", |cause| cause.as_str()),
        pages(&effects),
    );
    let up = lines(sites, "ended", 4_000_000_000, shuffled);
    let (all, last) = play(&mut engine, &up, batch, 4_000_000_000, &mut effects);
    let live = engine.incidents().filter(|i| !matches!(i.status, Status::Merged | Status::Withdrawn)).count();
    println!(
        "  up again: {all:.2} s, the last batch {:.1} ms; {live} incident, {} pages in all",
        last * 1e3,
        pages(&effects)
    );
}
