//! HTTP NDJSON to durable answer, with the daemon and its senders on this machine; and what the parts of that cost
//! by themselves, on one core. The peer in the same run is the sync alone: the same bodies written to a file, each
//! group synced.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench measures and prints"
)]

use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant as Watch;

use fournines::clock::Clock;
use fournines::config::{Settings, Sources};
use fournines::daemon::Daemon;
use fournines::engine::{Engine, Input};
use fournines::ingest::decode::{Gate, Layout, decode};
use fournines::journal::{Batch, Journal, Kind, compress};
use fournines::model::time::{Instant, Span};
use fournines::simulate::Network;

const SITES: usize = 1000;
const EVENTS: usize = 600_000;
/// Lines in one body: some 300 KB.
const BODY_LINES: usize = 2000;
/// Bodies under way at once.
const SENDERS: usize = 4;

fn main() {
    // On the disk that the build is on: a temporary folder may be in memory, where a sync costs nothing.
    let disk = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let bodies = bodies();
    let bytes: usize = bodies.iter().map(Vec::len).sum();
    println!("{EVENTS} events, {:.0} MB, {} bodies, {SENDERS} at once\n", bytes as f64 / 1e6, bodies.len());
    let whole = over_http(disk.path(), &bodies);
    let parts = parts(disk.path(), &bodies);
    let sum: f64 = parts.iter().map(|(_, seconds)| seconds).sum();
    for (name, seconds) in &parts {
        println!(
            "{name:<24}{:>12.0} events/s alone{:>8.1} % of the parts",
            EVENTS as f64 / seconds,
            seconds / sum * 100.0
        );
    }
    let peer = file_synced(disk.path(), &bodies);
    println!("\nHTTP to durable answer  {:>12.0} events/s", EVENTS as f64 / whole);
    println!("file, synced (peer)     {:>12.0} events/s", EVENTS as f64 / peer);
    println!("peer / daemon           {:>12.2}", whole / peer);
}

/// The simulated network's events of the last hours, so that none lies ahead.
fn bodies() -> Vec<Vec<u8>> {
    let start = Clock::system().now().minus(Span::from_hours(24 * 30));
    let lines: Vec<String> = Network::new(SITES, 7).events(start, 7).map(|e| e.line + "\n").take(EVENTS).collect();
    lines.chunks(BODY_LINES).map(|chunk| chunk.concat().into_bytes()).collect()
}

fn over_http(disk: &Path, bodies: &[Vec<u8>]) -> f64 {
    let mut settings = Settings::load(&Sources::default()).unwrap();
    settings.server.listen = "127.0.0.1:0".parse().unwrap();
    settings.storage.path = disk.join("http");
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let daemon = Daemon::start(settings, Clock::system()).await.unwrap();
        let url = format!("http://{}/api/v1/events", daemon.address);
        let client = reqwest::Client::new();
        let bodies: Arc<Vec<bytes::Bytes>> = Arc::new(bodies.iter().map(|body| body.clone().into()).collect());
        let watch = Watch::now();
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let (bodies, client, url) = (bodies.clone(), client.clone(), url.clone());
                tokio::spawn(async move {
                    for body in bodies.iter().skip(sender).step_by(SENDERS) {
                        let request = client.post(&url).header("content-type", "application/x-ndjson");
                        let response = request.body(body.clone()).send().await.unwrap();
                        assert!(response.status().is_success());
                        let answer: serde_json::Value = response.json().await.unwrap();
                        assert_eq!(answer["rejected_total"], 0);
                    }
                })
            })
            .collect();
        for sender in senders {
            sender.await.unwrap();
        }
        let took = watch.elapsed().as_secs_f64();
        daemon.stop();
        daemon.ended().await.unwrap();
        took
    })
}

/// Seconds that each part takes for all events, by itself on one core.
fn parts(disk: &Path, bodies: &[Vec<u8>]) -> Vec<(&'static str, f64)> {
    let gate = Gate::past("bench".into());
    let watch = Watch::now();
    let decoded: Vec<_> = bodies.iter().map(|body| decode(Layout::Lines, body, &gate)).collect();
    let parsing = watch.elapsed().as_secs_f64();

    let watch = Watch::now();
    let payloads: Vec<Vec<u8>> = decoded.iter().map(|decoded| compress(&decoded.lines).unwrap()).collect();
    let compression = watch.elapsed().as_secs_f64();

    let batch = |payload| Batch { kind: Kind::Events, source: "bench".into(), key: None, events: 1, payload };
    let batches: Vec<Batch> = payloads.into_iter().map(batch).collect();
    let mut journal = Journal::open(&disk.join("parts")).unwrap();
    let watch = Watch::now();
    for group in batches.chunks(SENDERS) {
        journal.append(Instant::from_micros(0), group).unwrap();
    }
    let sync = watch.elapsed().as_secs_f64();

    let mut engine = Engine::new();
    let mut effects = Vec::new();
    let inputs: Vec<Input> = decoded.into_iter().flat_map(|decoded| decoded.events).map(Input::Event).collect();
    let watch = Watch::now();
    for input in &inputs {
        if let Input::Event(event) = input {
            effects.clear();
            black_box(engine.apply(event.time, input, &mut effects));
        }
    }
    let applying = watch.elapsed().as_secs_f64();
    vec![("parsing", parsing), ("compression", compression), ("journal, with sync", sync), ("engine", applying)]
}

/// The peer: the same bodies appended to a file, each group synced.
fn file_synced(disk: &Path, bodies: &[Vec<u8>]) -> f64 {
    let mut file = std::fs::File::create(disk.join("peer")).unwrap();
    let watch = Watch::now();
    for group in bodies.chunks(SENDERS) {
        for body in group {
            file.write_all(body).unwrap();
        }
        file.sync_data().unwrap();
    }
    watch.elapsed().as_secs_f64()
}
