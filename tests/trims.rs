//! What the journal need not keep is dropped from its beginning: figures, alerts and the proof stay, also when the daemon
//! is killed meanwhile; and what cannot be had any more is refused by the name of the setting.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::path::Path;
use std::process::Command;

use common::{Server, fournines, free_port, get, post, text, until};
use fournines::clock::Clock;
use fournines::model::time::{Instant, Span};
use rusqlite::Connection;
use serde_json::Value;

/// As little is kept as may be. Nobody is there to be paged, so all that fires is waited with.
const SETTINGS: &str = "[storage]\ncheckpoint_events = 20\nkeep_bytes = 1\n[[levels.second]]\nusers_over = 30000\n\
    [[alerting.alertmanagers]]\nurl = \"http://127.0.0.1:9\"\n";

/// What a subcommand says, and whether it succeeded.
fn say(command: &[&str], storage: &Path) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_fournines")).args(command).arg(storage).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

fn metric(daemon: &Server, name: &str) -> f64 {
    let all = text(&format!("{}/metrics", daemon.url));
    let line = all.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

fn event(number: u64, kind: &str) -> String {
    let (now, users) = (Clock::system().now(), number % 7 * 10_000);
    format!(
        r#"{{"type":"outage.{kind}","id":"{kind}-{number}","service":"s{}","outage":"k{number}","users":{users},"time":"{now}"}}"#,
        number % 50
    )
}

/// Outages, of which every fifth goes on, till so many batches were dropped. Returns how many outages.
fn run(daemon: &Server, from: u64, dropped: f64) -> u64 {
    let mut number = from;
    while metric(daemon, "fournines_journal_dropped_batches_total") < dropped {
        for _ in 0..10 {
            post(daemon, &event(number, "started"));
            if !number.is_multiple_of(5) {
                post(daemon, &event(number, "ended"));
            }
            number += 1;
        }
        assert!(number < 5000, "nothing is dropped");
    }
    number
}

/// What there is to know of a time: services, groups, incidents, and what fires. What holds until the present is left out.
fn answers(daemon: &Server, at: Instant) -> Value {
    let of = |path: &str| get(&format!("{}/api/v1/{path}", daemon.url));
    let mut alerts = of("alerts?limit=1000")["alerts"].clone();
    let told = |alert: &Value| serde_json::json!([alert["labels"], alert["because"], alert["starts"]]);
    alerts = alerts.as_array().unwrap().iter().filter(|alert| alert["ends"].is_null()).map(told).collect();
    let incidents = of("incidents?limit=1000")["incidents"].clone();
    let known = |incident: &Value| {
        serde_json::json!([
            incident["id"],
            incident["status"],
            incident["level"],
            incident["services"],
            incident["stages"]
        ])
    };
    let incidents: Value = incidents.as_array().unwrap().iter().map(known).collect();
    let services: Value = (0..50).step_by(7).map(|n| of(&format!("services/s{n}?at={at}"))).collect();
    serde_json::json!([services, of(&format!("groups?at={at}")), incidents, alerts])
}

fn first_kept(storage: &Path) -> u64 {
    let journal = fournines::journal::open_reader(storage).unwrap();
    journal.first()
}

#[test]
fn a_trimmed_journal_gives_the_same_answers_and_its_proof_and_refuses_what_it_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let storage = folder.path().join("data");
    let daemon = fournines(folder.path(), free_port(), SETTINGS);
    let begun = Clock::system().now();
    let number = run(&daemon, 0, 250.0);
    let now = Clock::system().now();
    let at = now.plus(Span::from_secs(1));
    until("the second is over", || (Clock::system().now() > at).then_some(()));
    let before = answers(&daemon, at);
    let counts = [2, 3].map(|part: usize| before[part].as_array().unwrap().len());
    assert!(counts[0] > 10 && counts[1] > 2, "{counts:?}");
    // Killed.
    drop(daemon);
    let first = first_kept(&storage);
    assert!(first > 100, "{first}");
    let daemon = fournines(folder.path(), free_port(), SETTINGS);
    assert!(daemon.log().contains("a checkpoint is loaded"), "{}", daemon.log());
    assert!(metric(&daemon, "fournines_journal_first_sequence") >= first as f64);
    assert_eq!(answers(&daemon, at), before);
    // An id of what was dropped is known.
    assert_eq!(post(&daemon, &event(0, "started"))["duplicates"], 1);
    drop(daemon);

    let (sound, said, errors) = say(&["verify"], &storage);
    let dropped = format!("batches 1 to {} were dropped by retention (storage.keep_bytes)", first - 1);
    assert!(sound && said.contains(&dropped), "{said}{errors}");
    assert!(said.contains(&format!("the chain continues with batch {first}")) && said.contains("head "), "{said}");

    // A replay says of later times what the daemon said.
    let replay = ["replay", "--format", "json", "--at"];
    let (done, said, note) = say(&[&replay[..], &[&at.to_string()]].concat(), &storage);
    assert!(done && note.contains("begins from the checkpoint at"), "{note}");
    let replayed: Value = serde_json::from_str(&said).unwrap();
    for known in before[0].as_array().unwrap() {
        let services = replayed["services"].as_array().unwrap();
        let one = services.iter().find(|one| one["service"] == known["service"]).unwrap();
        assert_eq!(one["windows"], known["windows"]);
    }
    assert_eq!(replayed["incidents"].as_array().unwrap().len(), before[2].as_array().unwrap().len());
    let (done, _, error) = say(&[&replay[..], &[&begun.to_string()]].concat(), &storage);
    assert!(!done && error.contains(&format!("begins with batch {first}")), "{error}");
    assert!(error.contains("dropped by storage.keep_bytes") && error.contains("cannot be told"), "{error}");
    let file = folder.path().join("fournines.toml").display().to_string();
    let (done, _, note) = say(&["backtest", "-c", &file], &storage);
    assert!(done && note.contains(&format!("begins with batch {first} and knows nothing of before")), "{note}");

    // Without checkpoints that can be read there is nothing to start from, and nothing is touched: a version that has other
    // columns makes its tables anew only where it can fill them.
    let database = Connection::open(storage.join("fournines.db")).unwrap();
    let otherwise = "CREATE TABLE kept AS SELECT * FROM checkpoints; UPDATE checkpoints SET snapshot = zeroblob(9);
        ALTER TABLE incidents ADD COLUMN later TEXT";
    database.execute_batch(otherwise).unwrap();
    let rows = || database.query_row("SELECT count(*) FROM incidents", [], |row| row.get::<_, i64>(0)).unwrap();
    let known = rows();
    let output = Command::new(env!("CARGO_BIN_EXE_fournines"))
        .args(["serve", "-c", &file])
        .env("FOURNINES__STORAGE__PATH", &storage)
        .env("FOURNINES__SERVER__LISTEN", "127.0.0.1:0")
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(
        error.contains("dropped by storage.keep_bytes") && error.contains("no checkpoint to begin from"),
        "{error}"
    );
    assert!(known > 10 && rows() == known, "{known}");
    let back = "ALTER TABLE incidents DROP COLUMN later; DELETE FROM checkpoints;
        INSERT INTO checkpoints SELECT * FROM kept; DROP TABLE kept";
    database.execute_batch(back).unwrap();
    let (sound, said, _) = say(&["verify"], &storage);
    assert!(sound, "{said}");

    // A batch that somebody took out is no retention.
    let connection = Connection::open(storage.join("journal.db")).unwrap();
    connection.execute_batch("DROP TRIGGER batches_are_kept").unwrap();
    connection.execute("DELETE FROM batches WHERE sequence = ?1", [first as i64 + 1]).unwrap();
    let (sound, said, _) = say(&["verify"], &storage);
    assert!(!sound && said.contains(&format!("batch {}: it is missing", first + 1)), "{said}");
    drop(connection);
    assert!(number > 50);
}

#[test]
fn kills_while_batches_are_dropped_leave_a_sound_journal_and_lose_nothing() {
    let seed = std::env::var("KILL_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("KILL_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let storage = folder.path().join("data");
    let (mut number, mut dropped) = (0, 0);
    for round in 0..12 {
        let daemon = fournines(folder.path(), free_port(), SETTINGS);
        // Two checkpoints, and then a kill at any of the next batches: each has something dropped after it.
        let told = 60 + random.u64(0..40);
        for _ in 0..told {
            post(&daemon, &event(number, if number.is_multiple_of(2) { "started" } else { "ended" }));
            number += 1;
        }
        std::thread::sleep(std::time::Duration::from_micros(random.u64(0..3000)));
        drop(daemon);
        let (sound, said, errors) = say(&["verify"], &storage);
        assert!(sound, "round {round}: {said}{errors}");
        let first = first_kept(&storage);
        assert!(first >= dropped, "{first} after {dropped}");
        dropped = first;
    }
    assert!(dropped > 300, "{dropped}");
    let daemon = fournines(folder.path(), free_port(), SETTINGS);
    for known in 0..number {
        let kind = if known.is_multiple_of(2) { "started" } else { "ended" };
        assert_eq!(post(&daemon, &event(known, kind))["duplicates"], 1, "{known}");
    }
    assert!(!daemon.log().contains("ERROR"), "{}", daemon.log());
    daemon.stop();
}
