//! A back-test says which alerts and figures would have differed under another configuration, and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{Server, fournines, free_port, post};
use fournines::clock::Clock;
use fournines::model::time::{Instant, Span};
use serde_json::Value;

const NAMES: [&str; 3] = ["ServiceInterruption", "ResponseOverdue", "RepairOverdue"];

/// A folder with two outages of `a`, which has 50 000 users, and one of `b`, which has 10.
struct World(tempfile::TempDir);

impl World {
    fn new() -> Self {
        let world = Self(tempfile::tempdir().unwrap());
        let event = |kind: &str, service: &str, time: &str| {
            format!("{{\"type\":\"outage.{kind}\",\"service\":\"{service}\",\"time\":\"2026-03-{time}Z\"}}\n")
        };
        let events = [
            event("started", "a", "10T08:00:00"),
            event("ended", "a", "10T08:25:00"),
            event("started", "b", "11T08:00:00"),
            event("ended", "b", "11T08:00:30"),
            event("started", "a", "12T08:00:00"),
            event("ended", "a", "12T08:08:00"),
        ];
        world.write("events.ndjson", &events.concat());
        world.write("services.csv", "id,users\na,50000\nb,10\n");
        world
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Runs a back-test of configurations over the events, as they stand on 20 March.
    fn run(&self, new: &str, arguments: &[&str]) -> Output {
        let new = self.write("new.toml", new);
        let mut command = Command::new(env!("CARGO_BIN_EXE_fournines"));
        command.current_dir(self.0.path()).args(["backtest", "--at", "2026-03-20T00:00:00Z", "-c"]).arg(new);
        command.args(["--catalog", "services.csv", "events.ndjson"]).args(arguments).output().unwrap()
    }

    fn json(&self, new: &str, arguments: &[&str]) -> Value {
        object(&self.run(new, &[arguments, &["--format", "json"]].concat()))
    }

    fn table(&self, new: &str, arguments: &[&str]) -> String {
        let output = self.run(new, arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

fn object(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The alerts of incidents that differ: how, which, of whom, and at which level before and after.
fn of_incidents(found: &Value) -> Vec<[String; 5]> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let rows = found["alerts"].as_array().unwrap().iter();
    rows.filter(|row| NAMES.iter().any(|name| row["alertname"] == *name))
        .map(|row| {
            let level = |side: &str| text(&row[side]["labels"]["level"]);
            let names = ["difference", "alertname", "scope"].map(|name| text(&row[name]));
            let [difference, name, scope] = names;
            [difference, name, scope, level("before"), level("after")]
        })
        .collect()
}

fn count(found: &Value, name: &str, standing: &str) -> (u64, u64) {
    let rows = found["counts"].as_array().unwrap();
    let row = rows.iter().find(|row| row["alertname"] == name && row["standing"] == standing);
    row.map_or((0, 0), |row| (row["before"].as_u64().unwrap(), row["after"].as_u64().unwrap()))
}

const TEN_MINUTES: &str = "[[levels.second]]\nusers_over = 30000\nlonger_than = \"10m\"\ncite = \"ours\"\n";
const NEVER: &str = "[[levels.second]]\nusers_over = 90000\ncite = \"ours\"\n";

#[test]
fn the_same_configuration_would_have_changed_nothing() {
    let world = World::new();
    let same = world.json("", &[]);
    assert_eq!(same["differs"], false);
    assert_eq!(same["events"], 6);
    assert!(same["alerts"].as_array().unwrap().is_empty() && same["figures"].as_array().unwrap().is_empty());
    assert_eq!(count(&same, "ServiceInterruption", "second"), (1, 1));
    assert!(world.table("", &[]).contains("nothing would have differed"));
    world.write("old.toml", TEN_MINUTES);
    assert_eq!(world.json(TEN_MINUTES, &["--base", "old.toml"])["differs"], false);
}

#[test]
fn a_stricter_level_rule_fires_earlier() {
    let world = World::new();
    let found = world.json(TEN_MINUTES, &[]);
    let rows = found["alerts"].as_array().unwrap();
    assert_eq!(of_incidents(&found), [["earlier", "ServiceInterruption", "a", "second", "second"]]);
    assert_eq!(rows[0]["shift_seconds"], -600.0);
    assert_eq!(rows[0]["after"]["fired"], "2026-03-10T08:10:00.000001Z");
    assert!(rows[0]["after"]["because"].as_str().unwrap().contains("ours"));
    let table = world.table(TEN_MINUTES, &[]);
    // People are told times in the network's zone.
    assert!(table.contains("earlier by 10m") && table.contains("2026-03-10T16:10:00.000001"), "{table}");
}

#[test]
fn a_looser_level_rule_drops_pages() {
    let world = World::new();
    let found = world.json(NEVER, &[]);
    assert_eq!(of_incidents(&found), [["only_before", "ServiceInterruption", "a", "second", "-"]]);
    assert_eq!(count(&found, "ServiceInterruption", "second"), (1, 0));
    assert_eq!(count(&found, "ServiceInterruption", "third"), (3, 3));
    let table = world.table(NEVER, &[]);
    assert!(table.contains("only before") && table.contains("1 saved"), "{table}");
    let back = world.write("never.toml", NEVER);
    let found = world.json("", &["--base", back.to_str().unwrap()]);
    assert_eq!(of_incidents(&found), [["only_after", "ServiceInterruption", "a", "-", "second"]]);
}

#[test]
fn another_level_is_told_as_such() {
    let world = World::new();
    let first = "[[levels.first]]\nusers_over = 30000\nlonger_than = \"20m\"\ncite = \"ours\"\n";
    let found = world.json(first, &[]);
    assert_eq!(of_incidents(&found), [["level", "ServiceInterruption", "a", "second", "first"]]);
    assert!(world.table(first, &[]).contains("second → first"));
}

#[test]
fn another_target_changes_verdicts_and_no_alert_of_incidents() {
    let world = World::new();
    let found = world.json("targets.availability = 0.99999", &[]);
    assert!(of_incidents(&found).is_empty(), "{found}");
    let figures = found["figures"].as_array().unwrap();
    let of = |name: &str, over: &str| {
        figures.iter().find(|row| row["service"] == name && row["over"] == over).unwrap_or_else(|| panic!("{name}"))
    };
    for over in ["30d", "month"] {
        // Half a minute in thirty days is within 99.99 %, and beyond 99.999 %.
        let (before, after) = (&of("b", over)["before"], &of("b", over)["after"]);
        assert_eq!((before["verdict"].as_str(), after["verdict"].as_str()), (Some("kept"), Some("missed")));
        assert_eq!((before["target"].as_f64(), after["target"].as_f64()), (Some(0.9999), Some(0.99999)));
        assert_eq!(before["sla_availability"], after["sla_availability"]);
        assert!(before["budget_remaining_ratio"].as_f64() > after["budget_remaining_ratio"].as_f64());
    }
    assert_eq!(of("a", "30d")["after"]["verdict"], "missed");
    assert!(figures.iter().any(|row| row["group"] == "all"));
    assert!(world.table("targets.availability = 0.99999", &[]).contains("kept → missed"));
}

#[test]
fn only_the_first_rows_are_shown_unless_all_are_wanted() {
    let world = World::new();
    let catalog: String = (0..60).map(|n| format!("s{n},1\n")).collect();
    world.write("services.csv", &format!("id,users\n{catalog}"));
    let rows = |table: &str| table.lines().filter(|line| line.starts_with('s')).count();
    let cut = world.table("targets.availability = 0.99", &[]);
    assert!(cut.contains("more: --all shows them"), "{cut}");
    assert_eq!(rows(&cut), 46, "fifty with `a` and `b`");
    assert_eq!(rows(&world.table("targets.availability = 0.99", &["--all"])), 120);
}

/// A daemon that knows a service of 50 000 users.
fn daemon(folder: &Path, settings: &str) -> Server {
    let catalog = folder.join("services.csv");
    std::fs::write(&catalog, "id,users\na,50000\n").unwrap();
    fournines(folder, free_port(), &format!("catalog.file = \"{}\"\n{settings}", catalog.display()))
}

/// A daemon's storage with an outage of 25 minutes, reported half an hour after it began, and when that was.
fn storage(folder: &Path, settings: &str) -> Instant {
    let daemon = daemon(folder, settings);
    let start = Clock::system().now().minus(Span::from_mins(30));
    for (kind, minutes) in [("started", 0), ("ended", 25)] {
        let time = start.plus(Span::from_mins(minutes));
        post(&daemon, &format!("{{\"type\":\"outage.{kind}\",\"service\":\"a\",\"time\":\"{time}\"}}\n"));
    }
    daemon.stop();
    start
}

fn of_storage(folder: &Path, new: &str, arguments: &[&str]) -> Output {
    std::fs::write(folder.join("new.toml"), new).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_fournines"));
    command.current_dir(folder).args(["backtest", "--format", "json", "-c", "new.toml", "data"]);
    command.args(arguments).output().unwrap()
}

#[test]
fn a_storage_directory_is_compared_with_its_own_policies() {
    let folder = tempfile::tempdir().unwrap();
    let start = storage(folder.path(), TEN_MINUTES);
    let same = object(&of_storage(folder.path(), TEN_MINUTES, &[]));
    assert_eq!(same["differs"], false, "a configuration without a catalogue keeps the one in the journal: {same}");
    assert_eq!(same["events"], 2);
    assert_eq!(same["first"], start.to_string());
    assert_eq!(count(&same, "ServiceInterruption", "second"), (1, 1));
    let found = object(&of_storage(folder.path(), NEVER, &[]));
    // Both knew of it half an hour after it began.
    let rows = of_incidents(&found);
    let changed = ["level", "ServiceInterruption", "a", "second", "third"].map(str::to_owned);
    assert!(rows.contains(&changed), "{rows:?}");
    assert!(found["figures"].as_array().unwrap().is_empty());
    // After a change of policy the new one is still in force from the beginning on.
    daemon(folder.path(), &format!("targets.availability = 0.9\n{TEN_MINUTES}")).stop();
    let again = object(&of_storage(folder.path(), NEVER, &[]));
    assert_eq!(of_incidents(&again), rows);
    assert!(again["figures"].as_array().unwrap().iter().any(|row| row["service"] == "a"));
}

#[test]
fn wrong_calls_say_what_would_be_right() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    let said = |output: &Output| (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned());
    let (code, error) = said(&of_storage(folder.path(), "", &["--base", "new.toml"]));
    assert!(code == Some(2) && error.contains("--base") && error.contains("leave it out"), "{error}");
    let (code, error) = said(&of_storage(folder.path(), "[targets]\navailable = 1\n", &[]));
    assert!(code == Some(2) && error.contains("new.toml:2") && error.contains("availability"), "{error}");
    let (code, error) = said(&of_storage(folder.path(), "", &[]));
    assert!(code == Some(1) && error.contains("journal.db"), "{error}");
}
