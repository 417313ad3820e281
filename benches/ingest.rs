//! What the parts of the write path cost by themselves, on one core, in nanoseconds an event. The peer in the same run is
//! `serde_json::Value` over the same lines. The whole path, over HTTP, is `peers/ingest.sh`.
//!
//! ```text
//! cargo bench --bench ingest                    latencies of 1 000 and of 100 000 services, and a network of 1 000 sites
//! cargo bench --bench ingest -- FILE            the events of a file, one a line
//! ```
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench measures and prints"
)]

use std::hint::black_box;
use std::path::Path;
use std::time::Instant as Watch;

use fournines::clock::Clock;
use fournines::engine::{Engine, Input};
use fournines::ingest::decode::{Gate, Layout, decode};
use fournines::journal::{Batch, Journal, Kind, compress};
use fournines::model::time::{Instant, Span};
use fournines::simulate::Network;

const EVENTS: usize = 1_000_000;
/// Bytes of one body, as `peers/ingest.sh` sends them.
const BODY_BYTES: usize = 250_000;
/// Bodies in one commit.
const GROUP: usize = 4;
/// Each part is run so often, and its best counts.
const RUNS: usize = 3;

fn main() {
    let files: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let disk = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    println!(
        "| ns an event | reading | packing | journal | engine | `serde_json::Value` | reading, times the peer |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|");
    let row = |name: &str, lines: Vec<String>| {
        let row = measure(disk.path(), &bodies(&lines), lines.len());
        println!("| {name} | {row}");
    };
    if files.is_empty() {
        row("1 000 services", latencies(1000));
        row("100 000 services", latencies(100_000));
        row("network of 1 000 sites", network());
    }
    for file in files {
        row(&file, std::fs::read_to_string(&file).unwrap().lines().map(str::to_owned).collect());
    }
}

/// The same latencies as `send.rs` makes.
fn latencies(services: usize) -> Vec<String> {
    let start = Clock::system().now().minus(Span::from_hours(24));
    let line = |number: usize| {
        let site = number % services;
        let time = start.plus(Span::from_millis((number * 24 * 3_600_000 / EVENTS) as i64));
        let took = 5000 + number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 100_000;
        format!(
            r#"{{"type":"latency","time":"{time}","service":"province-{:02}/city-{:03}/site-{site:06}","ms":{}.{:03}}}"#,
            site % 31,
            site % 331,
            took / 1000,
            took % 1000
        )
    };
    (0..EVENTS).map(line).collect()
}

/// The simulated network's events of the last month.
fn network() -> Vec<String> {
    let start = Clock::system().now().minus(Span::from_hours(24 * 30));
    Network::new(1000, 7).events(start, 7).map(|event| event.line).take(EVENTS).collect()
}

fn bodies(lines: &[String]) -> Vec<Vec<u8>> {
    let mut bodies = vec![Vec::with_capacity(BODY_BYTES + 500)];
    for line in lines {
        if bodies.last().unwrap().len() >= BODY_BYTES {
            bodies.push(Vec::with_capacity(BODY_BYTES + 500));
        }
        let body = bodies.last_mut().unwrap();
        body.extend_from_slice(line.as_bytes());
        body.push(b'\n');
    }
    bodies
}

/// A row of nanoseconds.
fn measure(disk: &Path, bodies: &[Vec<u8>], events: usize) -> String {
    let gate = Gate::past("bench".into());
    let each = |seconds: f64| seconds * 1e9 / events as f64;
    let reading = each(best(|| {
        for body in bodies {
            black_box(decode(Layout::Lines, body, &gate));
        }
    }));
    let packing = each(best(|| {
        for body in bodies {
            black_box(compress(body).unwrap());
        }
    }));
    let payloads = bodies.iter().map(|body| compress(body).unwrap());
    let batch = |payload| Batch { kind: Kind::Events, source: "bench".into(), key: None, events: 1, payload };
    let batches: Vec<Batch> = payloads.map(batch).collect();
    let folder = tempfile::tempdir_in(disk).unwrap();
    let mut journal = Journal::open(folder.path()).unwrap();
    let journal = each(best(|| {
        for group in batches.chunks(GROUP) {
            journal.append(Instant::from_micros(0), group).unwrap();
        }
    }));
    let decoded = bodies.iter().flat_map(|body| decode(Layout::Lines, body, &gate).events);
    let inputs: Vec<Input> = decoded.map(Input::Event).collect();
    let engine = each(best(|| {
        let mut engine = Engine::new();
        let mut effects = Vec::new();
        for input in &inputs {
            if let Input::Event(event) = input {
                effects.clear();
                black_box(engine.apply(event.time, input, &mut effects));
            }
        }
        std::mem::forget(engine);
    }));
    let peer = each(best(|| {
        for line in bodies.iter().flat_map(|body| body.split(|&byte| byte == b'\n')) {
            black_box(serde_json::from_slice::<serde_json::Value>(line).ok());
        }
    }));
    format!("{reading:.0} | {packing:.0} | {journal:.0} | {engine:.0} | {peer:.0} | {:.2} |", reading / peer)
}

fn best(mut work: impl FnMut()) -> f64 {
    let once = |()| {
        let watch = Watch::now();
        work();
        watch.elapsed().as_secs_f64()
    };
    std::iter::repeat_n((), RUNS).map(once).fold(f64::INFINITY, f64::min)
}
