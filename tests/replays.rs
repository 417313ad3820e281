//! A replay says how things stood at an instant, over a period of the calendar, under the targets of then or of now.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::path::Path;
use std::process::Command;

use common::{fournines, free_port, post};
use fournines::clock::Clock;
use fournines::model::time::Span;
use serde_json::Value;

fn replay(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fournines"));
    let output = command.current_dir(folder).arg("replay").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn replayed(folder: &Path, arguments: &[&str]) -> Value {
    serde_json::from_str(&replay(folder, &[&["--format", "json"], arguments].concat())).unwrap()
}

/// A folder with an outage of an hour, of one service of a group.
fn world() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let events = ["started\",\"time\":\"2026-03-10T08:00:00Z", "ended\",\"time\":\"2026-03-10T09:00:00Z"];
    let lines = events.map(|event| format!("{{\"service\":\"net/a\",\"type\":\"outage.{event}\"}}\n"));
    std::fs::write(folder.path().join("events.ndjson"), lines.concat()).unwrap();
    std::fs::write(folder.path().join("services.csv"), "id,users,groups\nnet/a,30,core\nnet/b,10,core\n").unwrap();
    folder
}

const WORLD: [&str; 3] = ["--catalog", "services.csv", "events.ndjson"];

#[test]
fn a_period_of_the_calendar_has_three_denominators() {
    let folder = world();
    let at = ["--at", "2026-03-10T16:00:00Z", "--period", "2026-03"];
    let found = replayed(folder.path(), &[&at[..], &WORLD].concat());
    let named = serde_json::json!({
        "name": "2026-03", "from": "2026-02-28T16:00:00Z", "until": "2026-03-31T16:00:00Z"
    });
    assert_eq!(found["period"], named, "in the default zone, eight hours ahead of UTC");
    let (a, core) = (&found["services"][0]["period"], &found["groups"][1]["period"]);
    for (part, hours) in [("elapsed", 240.0), ("whole", 744.0), ("projected", 744.0)] {
        let availability = a[part]["availability"].as_f64().unwrap();
        assert!((availability - (1.0 - 1.0 / hours)).abs() < 1e-12, "{part}: {availability}");
    }
    assert_eq!(core["elapsed"]["downtime_seconds"], 2700.0, "three quarters of the users");
    let table = replay(folder.path(), &[&at[..], &WORLD].concat());
    assert!(
        table.contains("2026-03: from 2026-03-01T00:00:00 until 2026-04-01T00:00:00 (Asia/Shanghai)"),
        "{table}"
    );
    let row = table.lines().find(|line| line.starts_with("group core ")).unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    // Cut off, not rounded.
    assert_eq!(cells[2..6], ["99.6875", "99.8991", "99.8991", "2700"], "{row}");
}

#[test]
fn an_open_outage_is_projected_to_the_end_of_the_period() {
    let folder = world();
    let at = ["--at", "2026-03-10T08:30:00Z", "--period", "2026-03-10"];
    let found = replayed(folder.path(), &[&at[..], &WORLD].concat());
    let down = |part: &str| found["services"][0]["period"][part]["downtime_seconds"].as_f64().unwrap();
    assert_eq!([down("elapsed"), down("whole"), down("projected")], [1800.0, 1800.0, 8.0 * 3600.0]);
}

#[test]
fn the_alerts_are_told_in_order_in_the_networks_zone() {
    let folder = world();
    let table = replay(folder.path(), &[&["--alerts"], &WORLD[..]].concat());
    let (_, alerts) = table.split_once("alerts; times in Asia/Shanghai\n").unwrap();
    let rows: Vec<Vec<&str>> = alerts.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0][..5], ["2026-03-10T16:00:00", "firing", "ServiceInterruption", "net/a", "third"]);
    let overdue = rows.iter().find(|row| row.contains(&"ResponseOverdue")).unwrap();
    assert_eq!(overdue[..2], ["2026-03-10T16:30:00", "firing"], "known as soon as it holds");
    assert!(!replay(folder.path(), &WORLD).contains("ServiceInterruption"));
}

#[test]
fn groups_have_a_table_of_their_own() {
    let folder = world();
    let table = replay(folder.path(), &[&["--at", "2026-03-11T00:00:00Z"], &WORLD[..]].concat());
    let row = table.lines().find(|line| line.starts_with("core ")).unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(cells[..4], ["core", "2", "40", "96.8750"], "{row}");
    assert_eq!(cells[7..12], ["2700", "s", "1", "3600", "s"], "{row}");
}

#[test]
fn a_journal_is_read_under_the_targets_of_then_or_of_now() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = fournines(folder.path(), free_port(), "targets.availability = 0.9999");
    let hour_ago = Clock::system().now().minus(Span::from_hours(1));
    post(&daemon, &format!("{{\"type\":\"outage.started\",\"service\":\"a\",\"time\":\"{hour_ago}\"}}\n"));
    daemon.stop();
    let then = Clock::system().now().to_string();
    fournines(folder.path(), free_port(), "targets.availability = 0.9").stop();
    let target = |arguments: &[&str]| replayed(folder.path(), arguments)["services"][0]["target"].as_f64().unwrap();
    assert_eq!(target(&["--at", &then, "data"]), 0.9999, "a policy decided later was not in force");
    assert_eq!(target(&["--at", &then, "--policy", "now", "data"]), 0.9);
    assert_eq!(target(&["--as-known-at", &then, "--policy", "now", "data"]), 0.9999, "nobody knew of it");
    assert_eq!(target(&["data"]), 0.9);
    let [then, now] = ["then", "now"].map(|policy| {
        let mut found = replayed(folder.path(), &["--at", &then, "--policy", policy, "data"]);
        [found["incidents"].take(), found["alerts"].take()]
    });
    assert_eq!(then, now, "incidents and alerts are what they were");
}
