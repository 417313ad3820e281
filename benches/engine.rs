//! The engine alone, on one core, with networks of three sizes: events applied a second, bytes a service, how long a
//! figure, a scrape, an idle tick, a checkpoint and a restore take.
//!
//! `cargo bench --bench engine`, or with the sizes: `cargo bench --bench engine -- 1000 100000`. The peer in the same
//! run is the reading of the same lines into `serde_json::Value`, which any consumer pays at least; that of the sketch
//! of latencies is the crate `sketches-ddsketch`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a bench measures and prints"
)]

use std::hint::black_box;
use std::io::Write;
use std::process::Command;
use std::sync::{Arc, RwLock};
use std::time::Instant as Watch;

use fournines::clock::Clock;
use fournines::config::{Settings, Sources, read_catalog};
use fournines::engine::{Engine, Input};
use fournines::ingest::decode::{Gate, Layout, decode};
use fournines::model::policy::Policy;
use fournines::model::time::{Instant, Span, Window};
use fournines::simulate::Network;
use fournines::views::metrics::EngineCollector;
use prometheus::core::Collector;
use prometheus::{Encoder, TextEncoder};
use sketches_ddsketch::{Config, DDSketch};

const SIZES: [usize; 3] = [1_000, 100_000, 1_000_000];
const EVENTS: usize = 2_000_000;
const BATCH: usize = 1000;
/// Outages of each service in the year whose memory is measured.
const OUTAGES_A_YEAR: i64 = 12;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match &*arguments {
        // Memory is measured in a process of its own, so that what was freed before is not reused unseen.
        [kind, catalogue] if kind == "memory" => memory(catalogue),
        [kind, snapshot, state] if kind == "restored" => restored(snapshot, state),
        [kind, events, at] if kind == "month" => month(events, at.parse().unwrap()),
        sizes => {
            let sizes: Vec<usize> = sizes.iter().map(|size| size.parse().unwrap()).collect();
            let sizes = if sizes.is_empty() { SIZES.to_vec() } else { sizes };
            for size in sizes {
                network(size);
            }
            sketch();
        }
    }
}

fn policy(catalogue: &str) -> Policy {
    let mut policy = Settings::load(&Sources::default()).unwrap().policy;
    policy.services = read_catalog("simulated", catalogue).unwrap();
    // As a network of this size would be run: groups are watched, and each service by its incidents.
    policy.targets.watch_services = policy.services.len() <= 10_000;
    policy
}

fn start() -> Instant {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn line(name: &str, value: f64, unit: &str) {
    println!("  {name:<46}{value:>14.1} {unit}");
}

/// Seconds that something takes.
fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let watch = Watch::now();
    let done = work();
    (watch.elapsed().as_secs_f64(), done)
}

fn network(size: usize) {
    // The network's size is that of its sites; with its cores, cities and aggregations it has a few more services.
    let network = Network::new(size * 9 / 10, 7);
    let catalogue = network.catalog_csv();
    let policy = policy(&catalogue);
    println!("\n{} services", policy.services.len());
    let mut engine = Engine::new();
    let mut effects = Vec::new();
    let count = policy.services.len() as f64;
    let (took, _) = timed(|| engine.apply(start(), &Input::Policy(Box::new(policy.clone())), &mut effects));
    line("taking the catalogue in", took * 1e3, "ms");
    for (name, samples) in [("a network, with latency", true), ("outages and repairs only", false)] {
        let lines: Vec<String> = network
            .events(start(), 7)
            .map(|event| event.line)
            .filter(|line| samples || !line.contains(r#""type":"latency""#))
            .take(if samples { EVENTS } else { EVENTS / 4 })
            .collect();
        stream(name, &lines, &policy);
        if samples {
            for line in &lines {
                let mut decoded = decode(Layout::Lines, line.as_bytes(), &Gate::past("bench".into()));
                let event = decoded.events.remove(0);
                effects.clear();
                engine.apply(event.time, &Input::Event(event), &mut effects);
            }
        }
    }
    figures(&engine);
    let at = engine.now();
    let (took, _) = timed(|| {
        for n in 0..1_000_000 {
            engine.advance(at.plus(Span::from_micros(n % 2)), &mut effects);
        }
    });
    line("an idle tick", took * 1e3, "ns");
    checkpoint(&engine);
    scrape(engine);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(catalogue.as_bytes()).unwrap();
    let output = Command::new(std::env::current_exe().unwrap()).arg("memory").arg(file.path()).output().unwrap();

    print!("{}", String::from_utf8(output.stdout).unwrap());
    line("the catalogue's services", count, "");
}

/// Events applied a second, and how many times as long the peer takes over the same lines. They come in batches of a
/// thousand that were decoded just before, as they do in the pipeline. The first half of them warms up: memory that is
/// touched for the first time costs as much as the work.
fn stream(name: &str, lines: &[String], policy: &Policy) {
    let (warming, lines) = lines.split_at(lines.len() / 2);
    let (peer, ()) = timed(|| {
        for line in lines {
            black_box(serde_json::from_str::<serde_json::Value>(line).unwrap());
        }
    });
    let gate = Gate::past("bench".into());
    let mut engine = Engine::new();
    let mut effects = Vec::new();
    engine.apply(start(), &Input::Policy(Box::new(policy.clone())), &mut effects);
    let mut apply = |lines: &[String]| {
        let events = lines.iter().flat_map(|line| decode(Layout::Lines, line.as_bytes(), &gate).events);
        let inputs: Vec<(Instant, Input)> = events.map(|event| (event.time, Input::Event(event))).collect();
        assert_eq!(inputs.len(), lines.len());
        let (took, ()) = timed(|| {
            for (at, input) in &inputs {
                effects.clear();
                black_box(engine.apply(*at, input, &mut effects));
            }
        });
        took
    };
    for batch in warming.chunks(BATCH) {
        apply(batch);
    }
    let took: f64 = lines.chunks(BATCH).map(&mut apply).sum();
    let (rate, each) = (lines.len() as f64 / took / 1e6, took / lines.len() as f64 * 1e9);
    println!("  {name:<46}{rate:>14.2} million events/s, {each:.0} ns each, {:.2} times the peer", peer / took);
}

/// What any one figure costs, the dearest of each kind.
fn figures(engine: &Engine) {
    let at = engine.now();
    let mut worst = 0.0_f64;
    let mut busiest = engine.services().next().unwrap();
    for view in engine.services().take(100_000) {
        if view.incidents().count() > busiest.incidents().count() {
            busiest = view;
        }
    }
    let repeated = |work: &dyn Fn()| {
        // The first allocation after so much work tidies up the whole heap, once.
        work();
        let (took, ()) = timed(|| (0..1000).for_each(|_| work()));
        took * 1e6
    };
    for window in Window::ALL {
        worst = worst.max(repeated(&|| _ = black_box(busiest.figures(window, at))));
    }
    line("figures of the busiest service, worst window", worst, "ns");
    let month = repeated(&|| _ = black_box(busiest.time_to_breach(Window::Month, at)));
    line("its time to breach", month, "ns");
    let all = engine.group("all").unwrap();
    let of_all = Window::ALL.map(|window| repeated(&|| _ = black_box(all.figures(window, at))));
    line("figures of all, worst window", of_all.into_iter().fold(0.0, f64::max), "ns");
    line("its time to breach", repeated(&|| _ = black_box(all.time_to_breach(Window::Month, at))), "ns");
    let measured = engine.services().find(|view| view.latency(Window::Hour, at).is_some());
    if let Some(view) = measured {
        let worst = Window::ALL.map(|window| repeated(&|| _ = black_box(view.latency(window, at))));
        line("quantiles of latency, worst window", worst.into_iter().fold(0.0, f64::max), "ns");
    }
    let idle: Vec<_> = engine.services().take(100_000).collect();
    let (took, ()) = timed(|| {
        for view in &idle {
            black_box(view.figures(Window::Month, at));
        }
    });
    line("figures of one window, mean over services", took / idle.len() as f64 * 1e9, "ns");
}

fn checkpoint(engine: &Engine) {
    let (took, snapshot) = timed(|| engine.snapshot());
    line("snapshot", took * 1e3, &format!("ms for {:.1} MB", snapshot.len() as f64 / 1e6));
    let (took, restored) = timed(|| Engine::restore(&snapshot).unwrap());
    line("restore", took * 1e3, "ms");
    assert_eq!(restored.now(), engine.now());
}

/// A scrape with 10 000 services' series of their own.
fn scrape(engine: Engine) {
    let collector = EngineCollector::new(Arc::new(RwLock::new(engine)), Clock::system(), 10_000);
    let (took, text) = timed(|| {
        let mut text = Vec::new();
        TextEncoder::new().encode(&collector.collect(), &mut text).unwrap();
        text
    });
    line("a scrape of 10 000 services", took * 1e3, &format!("ms for {:.1} MB", text.len() as f64 / 1e6));
}

/// Resident bytes of this process.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0
}

fn memory(catalogue: &str) {
    let policy = Input::Policy(Box::new(policy(&std::fs::read_to_string(catalogue).unwrap())));
    let mut engine = Engine::new();
    let mut effects = Vec::new();
    engine.apply(start(), &policy, &mut effects);
    measure_restored(&engine, "idle");
    // A year's history of as many services as fit comfortably.
    let names: Vec<_> = engine.services().take(100_000).map(|view| view.name().to_owned()).collect();
    let year = Span::from_hours(24 * 365);
    for outage in 0..OUTAGES_A_YEAR {
        for (place, name) in names.iter().enumerate() {
            let wait = year.as_micros() / OUTAGES_A_YEAR * outage + place as i64 * 1_000_003;
            let began = start().plus(Span::from_micros(wait));
            for (kind, at) in [("started", began), ("ended", began.plus(Span::from_mins(7)))] {
                let line = format!(
                    r#"{{"type":"outage.{kind}","service":"{name}","time":"{at}","id":"{kind}-{outage}-{place}"}}"#
                );
                let mut decoded = decode(Layout::Lines, line.as_bytes(), &Gate::past("bench".into()));
                effects.clear();
                engine.apply(at, &Input::Event(decoded.events.remove(0)), &mut effects);
            }
        }
    }
    measure_restored(&engine, &format!("{} of them with {OUTAGES_A_YEAR} outages", names.len()));
    // All but the last month of it folded.
    let until = start().plus(year).minus(Window::Month.length());
    let (mut all, mut longest) = (0.0, 0.0_f64);
    loop {
        let days = engine.days_over(until);
        if days.is_empty() {
            break;
        }
        let (took, _) = timed(|| engine.apply(engine.now(), &Input::Fold(days), &mut effects));
        (all, longest) = (all + took, longest.max(took));
    }
    line("folding eleven months of it", all * 1e3, "ms");
    line("the longest day of that", longest * 1e3, "ms");
    measure_restored(&engine, "so folded");
}

/// Seconds to take in a file of events, and then, best of three, to say every service's availability over the 30 days
/// up to `at`: for `peers/rolling.sh`.
fn month(events: &str, at: Instant) {
    let lines = std::fs::read(events).unwrap();
    let policy = Settings::load(&Sources::default()).unwrap().policy;
    let (load, engine) = timed(|| {
        let decoded = decode(Layout::Lines, &lines, &Gate::past("bench".into()));
        assert!(decoded.rejected.is_empty());
        let mut engine = Engine::new();
        let mut effects = Vec::new();
        engine.apply(Instant::MIN, &Input::Policy(Box::new(policy)), &mut effects);
        for event in decoded.events {
            effects.clear();
            engine.apply(event.time, &Input::Event(event), &mut effects);
        }
        engine.advance(at, &mut effects);
        engine
    });
    let answer =
        || timed(|| engine.services().filter_map(|view| view.figures(Window::Month, at).availability()).sum());
    let best =
        (0..3).map(|_| answer()).map(|(took, sum): (f64, f64)| (took, black_box(sum)).0).fold(f64::MAX, f64::min);
    println!("{load:.6} {best:.9}");
}

/// The memory of an engine as after a restart, measured in a process that never held more.
fn measure_restored(engine: &Engine, state: &str) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&engine.snapshot()).unwrap();
    let this = std::env::current_exe().unwrap();
    // What the allocator holds back for later is not the engine's.
    let mut child = Command::new(this);
    child.arg("restored").arg(file.path()).arg(state).env("MIMALLOC_PURGE_DELAY", "0");
    let output = child.output().unwrap();
    print!("{}", String::from_utf8(output.stdout).unwrap());
}

fn restored(snapshot: &str, state: &str) {
    let bytes = std::fs::read(snapshot).unwrap();
    let before = resident();
    let engine = Engine::restore(&bytes).unwrap();
    line(&format!("bytes of a service, {state}"), (resident() - before) / engine.services().len() as f64, "");
}

/// The sketch of latencies against a well-known one: a million samples, spread as latencies are.
fn sketch() {
    let mut chance = fastrand::Rng::with_seed(7);
    let samples: Vec<f64> = (0..1_000_000).map(|_| (chance.f64() * 6.0 - 3.0).exp() * 20.0).collect();
    let mut sorted = samples.clone();
    sorted.sort_unstable_by(f64::total_cmp);
    let exact = |percent: usize| sorted[sorted.len() * percent / 100 - 1];
    println!(
        "\na sketch of a million latencies: one slot of one resolution, and the p95's distance from the exact one"
    );
    let (took, sketch) = timed(|| {
        let mut sketch = DDSketch::new(Config::new(0.01, 4096, 1.0e-9));
        samples.iter().for_each(|&ms| sketch.add(ms));
        sketch
    });
    let found = sketch.quantile(0.95).unwrap().unwrap();
    println!(
        "  {:<46}{:>14.1} ns, {:.2} %, {} buckets",
        "sketches-ddsketch",
        took * 1e3,
        (found / exact(95) - 1.0).abs() * 100.0,
        sketch.length()
    );
    let spans: Vec<Span> = samples.iter().map(|ms| Span::from_micros((ms * 1e3) as i64)).collect();
    let (took, latency) = timed(|| {
        let mut latency = fournines::engine::Latency::default();
        spans.iter().for_each(|&took| latency.add(start(), took, 1, true, start()));
        latency
    });
    let found = latency.figures(Window::Hour, start().plus(Span::from_secs(1))).p95.unwrap().as_secs_f64() * 1e3;
    println!(
        "  {:<46}{:>14.1} ns, {:.2} %, four resolutions at once",
        "this one",
        took * 1e3,
        (found / exact(95) - 1.0).abs() * 100.0
    );
}
