//! Events are taken, and pages sent, while a checkpoint is written, however long that takes; one that fails is made up
//! for by the next.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::process::Command;

use common::{fournines, free_port, get, post, text, until};
use fournines::clock::Clock;
use fournines::model::time::Span;
use rusqlite::Connection;

/// A metric's value.
fn metric(url: &str, name: &str) -> f64 {
    let all = text(&format!("{url}/metrics"));
    let line = all.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_checkpoint_that_waits_or_fails_holds_nothing_up_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = fournines(folder.path(), free_port(), "[storage]\ncheckpoint_events = 4\n");
    let storage = folder.path().join("data");
    let tell = |kind: &str, service: usize| {
        let time = Clock::system().now();
        let answer =
            post(&daemon, &format!(r#"{{"type":"outage.{kind}","service":"s{service}","time":"{time}"}}"#));
        assert_eq!(answer["accepted"], 1);
        Clock::system().now().since(time)
    };
    tell("started", 0);
    let other = Connection::open(storage.join("fournines.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // Ten times as many events as a checkpoint takes, with another hand on the file for longer than one waits for it.
    let slowest = (1..40).map(|service| tell("started", service)).max().unwrap();
    assert!(slowest < Span::from_secs(5), "{slowest:?}");
    until("the checkpoint has failed", || {
        (metric(&daemon.url, "fournines_checkpoint_failures_total") > 0.0).then_some(())
    });
    other.execute_batch("ROLLBACK").unwrap();
    (0..8).for_each(|service| _ = tell("ended", service));
    until("a checkpoint is written", || {
        let done = metric(&daemon.url, "fournines_checkpoint_sequence");
        let at = metric(&daemon.url, "fournines_journal_sequence");
        (at - done < 8.0).then_some(())
    });
    let open = get(&format!("{}/api/v1/incidents?status=open", daemon.url));
    assert_eq!(open["incidents"].as_array().unwrap().len(), 32);
    daemon.stop();
    let count: i64 = other.query_row("SELECT count(*) FROM incidents", [], |row| row.get(0)).unwrap();
    assert_eq!(count, 40);
    let verified = Command::new(env!("CARGO_BIN_EXE_fournines")).arg("verify").arg(&storage).output().unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}
