//! Days that are old enough are kept as their sums: what can be asked of them stays the same, through restarts, and what
//! comes too late for them is said to, kept, and counted by a replay.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::{Server, fournines, free_port, get, post, post_to, refused, text, until};
use fournines::clock::Clock;
use fournines::config::{Settings, Sources};
use fournines::daemon::Daemon;
use fournines::engine::{Engine, Input};
use fournines::ingest::decode::{Gate, Layout, decode};
use fournines::model::calendar::{Calendar, Unit};
use fournines::model::time::{Instant, Span};
use serde_json::{Value, json};

/// A checkpoint after each event, and with it the folding when it is time.
const SETTINGS: &str = "time_zone = \"UTC\"\n[storage]\nfold_after = \"100d\"\ncheckpoint_events = 1";

/// Noon of the day so many days ago.
fn noon(ago: i64) -> Instant {
    let day = Calendar::default().containing(Unit::Day, Clock::system().now().minus(Span::from_hours(24 * ago)));
    day.from.plus(Span::from_hours(12))
}

fn outage(service: &str, key: &str, start: Instant, minutes: i64) -> String {
    let line = |kind: &str, at: Instant| {
        format!("{{\"type\":\"{kind}\",\"service\":\"{service}\",\"outage\":\"{key}\",\"time\":\"{at}\"}}\n")
    };
    line("outage.started", start) + &line("outage.ended", start.plus(Span::from_mins(minutes)))
}

fn day(at: Instant) -> String {
    at.to_string()[..10].to_owned()
}

/// The figures of a period: of a service or a group.
fn period(daemon: &Server, of: &str, period: &str) -> Value {
    get(&format!("{}/api/v1/{of}?period={period}", daemon.url))["period"]["elapsed"].clone()
}

/// Loads a history into a daemon in pieces, lets a day pass, and says from when on all is kept in full then.
fn a_day_later(folder: &Path, history: &str) -> Instant {
    let file = folder.join("folding.toml");
    let storage = format!("path = \"{}\"", folder.join("data").display());
    std::fs::write(&file, format!("{SETTINGS}\n{storage}\n[server]\nlisten = \"127.0.0.1:0\"")).unwrap();
    let settings = Settings::load(&Sources { file: Some(file), ..Sources::default() }).unwrap();
    let clock = Clock::system();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let daemon = runtime.block_on(Daemon::start(settings, clock.clone(), None)).unwrap();
    let url = format!("http://{}", daemon.address);
    // A checkpoint comes after each piece; nothing of the history may be too old for it.
    for line in history.lines() {
        post_to(&url, line);
        std::thread::sleep(Duration::from_millis(50));
    }
    let metrics = text(&format!("{url}/metrics"));
    assert!(!metrics.contains("too_old"), "{metrics}");
    assert_eq!(get(&format!("{url}/api/v1/status"))["kept_in_full_since"], Value::Null);
    clock.raise(clock.now().plus(Span::from_hours(25)));
    post_to(&url, &format!(r#"{{"type":"heartbeat","source":"nms","time":"{}"}}"#, clock.now()));
    let oldest_kept = clock.now().minus(Span::from_hours(24 * 101));
    let folded = until("the days are folded", || {
        let since = get(&format!("{url}/api/v1/status"))["kept_in_full_since"].as_str()?.parse().unwrap();
        (since > oldest_kept).then_some(since)
    });
    daemon.stop();
    runtime.block_on(daemon.ended()).unwrap();
    folded
}

#[test]
fn days_are_folded_and_answer_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let (old, recent) = (noon(500), noon(5));
    let history = outage("s", "a", old, 30)
        + &outage("s", "b", old.plus(Span::from_hours(1)), 6)
        + &outage("s", "c", recent, 3);
    let last_folded = a_day_later(folder.path(), &history);
    let port = free_port();
    let daemon = fournines(folder.path(), port, SETTINGS);
    let since = get(&format!("{}/api/v1/status", daemon.url))["kept_in_full_since"].clone();
    assert_eq!(since, json!(last_folded.to_string()));
    let check = |daemon: &Server| {
        for of in ["services/s", "groups/all"] {
            let folded = period(daemon, of, &day(old));
            assert_eq!(folded["downtime_seconds"], json!(36.0 * 60.0), "{of}: {folded}");
            assert_eq!(folded["outages"], json!(2), "{of}");
            assert_eq!(folded["mttr_seconds"], json!(18.0 * 60.0), "{of}");
            assert_eq!(folded["mttr_max_seconds"], json!(30.0 * 60.0), "{of}");
            let month = period(daemon, of, &day(old)[..7]);
            assert_eq!(month["downtime_seconds"], json!(36.0 * 60.0), "{of}");
            let kept = period(daemon, of, &day(recent));
            assert_eq!(kept["downtime_seconds"], json!(3.0 * 60.0), "{of}");
        }
        // The database of record has all incidents, those of the folded day too.
        let exported = text(&format!("{}/api/v1/incidents/export?format=ndjson", daemon.url));
        let began = |line: &str| serde_json::from_str::<Value>(line).unwrap()["started"].clone();
        let began: Vec<Value> = exported.lines().map(began).collect();
        assert_eq!(began, [old, old.plus(Span::from_hours(1)), recent].map(|at| json!(at.to_string())));
        // An instant within such a day has no exact answer any more, and says so.
        let (status, problem) = refused(&format!("{}/api/v1/services/s?at={old}", daemon.url));
        assert_eq!(status, 400);
        assert!(problem["detail"].as_str().unwrap().contains("ask for a period"), "{problem}");
        get(&format!("{}/api/v1/services/s?at={recent}", daemon.url));
    };
    check(&daemon);

    // What comes later still is kept, and said to be too old.
    let late = post(&daemon, &outage("s", "d", old.plus(Span::from_hours(3)), 10));
    assert_eq!(late["accepted"], json!(2));
    check(&daemon);
    let metrics = text(&format!("{}/metrics", daemon.url));
    let counted =
        metrics.lines().find(|line| line.starts_with("fournines_events_total") && line.contains("too_old"));
    assert!(counted.is_some(), "{metrics}");
    daemon.stop();

    // Killed or not, the journal says what was folded when.
    let daemon = fournines(folder.path(), port, SETTINGS);
    check(&daemon);
    daemon.stop();
    // A replay folds nothing, so it counts all that was ever taken.
    let replayed = Command::new(env!("CARGO_BIN_EXE_fournines"))
        .args(["replay", "--format", "json", "--period", &day(old)])
        .arg(folder.path().join("data"))
        .output()
        .unwrap();
    assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));
    let replayed: Value = serde_json::from_slice(&replayed.stdout).unwrap();
    let of_s = &replayed["services"][0]["period"]["elapsed"];
    assert_eq!(of_s["downtime_seconds"], json!(46.0 * 60.0), "{replayed}");
}

#[test]
fn no_fold_takes_more_than_a_day_on_which_anything_happened() {
    let mut engine = Engine::new();
    let mut effects = Vec::new();
    let day = |number: i64| "2026-01-01T00:00:00Z".parse::<Instant>().unwrap().plus(Span::from_hours(24 * number));
    let lines = outage("s", "a", day(3).plus(Span::from_hours(1)), 30)
        + &outage("t", "b", day(3).plus(Span::from_hours(2)), 30)
        + &outage("t", "c", day(40).plus(Span::from_hours(23)), 90);
    for event in decode(Layout::Lines, lines.as_bytes(), &Gate::past("test".into())).events {
        engine.apply(event.time, &Input::Event(event), &mut effects);
    }
    engine.advance(day(200), &mut effects);
    let mut folds = Vec::new();
    loop {
        let days = engine.days_over(day(100));
        let Some(&last) = days.last() else { break };
        folds.push(last);
        engine.apply(engine.now(), &Input::Fold(days), &mut effects);
    }
    // The outage that goes on at midnight is folded with the day on which it ends.
    assert_eq!(folds, [4, 41, 42, 100].map(day));
    assert_eq!(engine.folded_until(), Some(day(100)));
}
