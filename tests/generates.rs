//! A simulated stream is the same for the same options, is what the daemon takes, and is as long as was asked for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use fournines::config::{Settings, Sources};
use fournines::ingest::decode::{Decoded, Gate, Layout, decode};
use fournines::model::event::Body;
use fournines::model::time::Instant;

fn generate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fournines")).arg("generate").args(arguments).output().unwrap()
}

fn generated(arguments: &[&str]) -> Vec<u8> {
    let output = generate(arguments);
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn decoded(lines: &[u8]) -> Decoded {
    let decoded = decode(Layout::Lines, lines, &Gate::past("test".into()));
    assert_eq!(decoded.rejected, []);
    decoded
}

fn instant(text: &str) -> Instant {
    text.parse().unwrap()
}

#[test]
fn the_same_options_give_the_same_bytes() {
    let first = generated(&["--seed", "7", "--events", "20000"]);
    assert_eq!(first.iter().filter(|&&byte| byte == b'\n').count(), 20_000);
    assert!(first == generated(&["--seed", "7", "--events", "20000"]));
    assert!(first != generated(&["--seed", "8", "--events", "20000"]));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.ndjson");
    assert!(generated(&["--seed", "7", "--events", "20000", "--output", file.to_str().unwrap()]).is_empty());
    assert!(first == std::fs::read(file).unwrap());
}

#[test]
fn every_event_is_taken_and_is_of_the_catalogue() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = folder.path().join("services.csv");
    let lines = generated(&["--sites", "40", "--events", "50000", "--catalog", catalog.to_str().unwrap()]);
    let settings = Settings::load(&Sources { catalog: Some(catalog), ..Sources::default() }).unwrap();
    let known = settings.policy.services.iter().map(|(name, _)| name.clone()).collect();
    let gate = Gate { known: Some(Arc::new(known)), ..Gate::past("test".into()) };
    let found = decode(Layout::Lines, &lines, &gate);
    assert_eq!((found.rejected, found.events.len()), (vec![], 50_000));
    assert!(found.lines == lines);
}

#[test]
fn it_lasts_as_long_as_was_asked_for() {
    let start = instant("2026-03-01T00:00:00Z");
    for end in [["--for", "90m"], ["--until", "2026-03-01T01:30:00Z"]] {
        let found = decoded(&generated(&[&["--start", "2026-03-01T08:00:00+08:00"], &end[..]].concat())).events;
        assert!(found.iter().all(|event| (start..instant("2026-03-01T01:30:00Z")).contains(&event.time)));
        assert!(found.last().unwrap().time > instant("2026-03-01T01:29:00Z"));
    }
}

#[test]
fn samples_come_as_often_as_was_asked_for() {
    let samples = |every: &str| {
        let found = decoded(&generated(&["--sites", "100", "--for", "10h", "--sample-every", every])).events;
        let (samples, others): (Vec<_>, Vec<_>) =
            found.iter().partition(|event| matches!(event.body, Body::Latency { .. }));
        assert!(others.len() > 20, "{}", others.len());
        samples.len()
    };
    let (often, usual, hardly) = (samples("1m"), samples("5m"), samples("30d"));
    assert!((50_000..=60_000).contains(&often), "{often}");
    assert!((10_000..=12_000).contains(&usual), "{usual}");
    assert!(hardly <= 2, "{hardly}");
}

#[test]
fn whoever_has_read_enough_ends_it_quietly() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_fournines"))
        .args(["generate", "--events", "100000000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    assert!(reader.read_line(&mut String::new()).unwrap() > 0);
    drop(reader);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_wrong_call_says_what_is_wrong() {
    let wrong = |arguments: &[&str], code: i32, said: &str| {
        let output = generate(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(code) && error.contains(said), "{arguments:?}: {error}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    };
    wrong(&[], 2, "--events <N>|--for <DURATION>|--until <TIME>");
    wrong(&["--events", "1", "--for", "1h"], 2, "cannot be used with");
    wrong(&["--for", "soon"], 2, "is not a duration");
    wrong(&["--until", "2025-12-31T00:00:00Z"], 2, "the end is not after --start 2026-01-01T00:00:00Z");
    wrong(&["--events", "1", "--sample-every", "0s"], 2, "--sample-every");
    let nowhere = Path::new("/nowhere/events.ndjson").to_str().unwrap();
    wrong(&["--events", "1", "--output", nowhere], 1, "/nowhere/events.ndjson: No such file");
    wrong(&["--events", "1", "--catalog", nowhere], 1, "/nowhere/events.ndjson: No such file");
}
