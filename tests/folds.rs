//! Days that are old enough are kept as their sums: what can be asked of them stays the same, through restarts, and what
//! comes too late for them is said to, kept, and counted by a replay.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::process::Command;

use common::{Server, fournines, free_port, get, post, refused, text, until};
use fournines::clock::Clock;
use fournines::model::calendar::{Calendar, Unit};
use fournines::model::time::{Instant, Span};
use serde_json::{Value, json};

/// A checkpoint after each event, and with it the folding.
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

#[test]
fn days_are_folded_and_answer_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let daemon = fournines(folder.path(), port, SETTINGS);
    let (old, recent) = (noon(500), noon(5));
    let lines = outage("s", "a", old, 30)
        + &outage("s", "b", old.plus(Span::from_hours(1)), 6)
        + &outage("s", "c", recent, 3);
    post(&daemon, &lines);
    let last_folded = noon(100).minus(Span::from_hours(12));
    until("the days are folded", || {
        let since = get(&format!("{}/api/v1/status", daemon.url))["kept_in_full_since"].clone();
        (since == json!(last_folded.to_string())).then_some(())
    });
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
