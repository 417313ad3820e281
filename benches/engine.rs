//! The engine alone: events applied a second, on one core, over a simulated network and over outages only. The
//! peer in the same run is the reading of the same lines into `serde_json::Value`, which any consumer pays at least.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench measures and prints"
)]

use std::hint::black_box;
use std::time::Instant as Watch;

use fournines::config::{Settings, Sources, read_catalog};
use fournines::engine::{Engine, Input};
use fournines::ingest::decode::{Gate, Layout, decode};
use fournines::model::time::{Instant, Window};
use fournines::simulate::Network;

const SITES: usize = 10_000;
const EVENTS: usize = 500_000;

fn main() {
    let network = Network::new(SITES, 7);
    let mut policy = Settings::load(&Sources::default()).unwrap().policy;
    policy.services = read_catalog("simulated", &network.catalog_csv()).unwrap();
    let start: Instant = "2026-01-01T00:00:00Z".parse().unwrap();
    println!("{} services, {EVENTS} events each\n", policy.services.len());
    println!("{:<28}{:>12}{:>14}{:>18}", "stream", "events/s", "ns an event", "times the peer");
    for (name, samples) in [("a network, with latency", true), ("outages and repairs only", false)] {
        let lines: Vec<String> = network
            .events(start, 7)
            .map(|event| event.line)
            .filter(|line| samples || !line.contains(r#""type":"latency""#))
            .take(EVENTS)
            .collect();
        let watch = Watch::now();
        for line in &lines {
            black_box(serde_json::from_str::<serde_json::Value>(line).unwrap());
        }
        let peer = watch.elapsed().as_secs_f64();

        let gate = Gate::past("bench".into());
        let inputs: Vec<Input> = lines
            .iter()
            .flat_map(|line| decode(Layout::Lines, line.as_bytes(), &gate).events)
            .map(Input::Event)
            .collect();
        assert_eq!(inputs.len(), lines.len());
        let mut engine = Engine::new();
        let mut effects = Vec::new();
        engine.apply(start, &Input::Policy(Box::new(policy.clone())), &mut effects);
        let watch = Watch::now();
        for input in &inputs {
            let Input::Event(event) = input else { continue };
            effects.clear();
            black_box(engine.apply(event.time, input, &mut effects));
        }
        let took = watch.elapsed().as_secs_f64();
        let rate = EVENTS as f64 / took;
        println!("{name:<28}{rate:>12.0}{:>14.0}{:>18.2}", took / EVENTS as f64 * 1e9, peer / took);
        if !samples {
            views(&engine);
        }
    }
}

/// What reading and keeping the state costs after all that.
fn views(engine: &Engine) {
    let at = engine.now();
    let watch = Watch::now();
    for view in engine.services() {
        for window in Window::ALL {
            black_box(view.figures(window, at));
        }
    }
    let figures = engine.services().len() * Window::ALL.len();
    println!("\nfigures of one window       {:>12.0} ns", watch.elapsed().as_secs_f64() / figures as f64 * 1e9);
    let watch = Watch::now();
    let snapshot = engine.snapshot();
    println!(
        "snapshot of {:>5.1} MB        {:>12.1} ms",
        snapshot.len() as f64 / 1e6,
        watch.elapsed().as_secs_f64() * 1e3
    );
    let watch = Watch::now();
    black_box(Engine::restore(&snapshot).unwrap());
    println!("restore                     {:>12.1} ms", watch.elapsed().as_secs_f64() * 1e3);
}
