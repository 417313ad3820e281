//! While the daemon reads its journal back it says how far it is: to whoever asks, and in the log.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use common::{Server, free_port};
use fournines::config::{Settings, Sources, to_record};
use fournines::journal::{Batch, Journal, Kind, compress};
use fournines::model::time::Instant;

/// What takes long to read: one catalogue after another.
fn journal(folder: &Path) {
    let catalog = folder.join("services.csv");
    let mut text = "id,name,kind,region,tier,users,groups,depends_on,since,owner\n".to_owned();
    for number in 0..SERVICES {
        let _ = writeln!(text, "site-{number},,cell,r{},,{number},,,,", number % 30);
    }
    std::fs::write(&catalog, text).unwrap();
    let settings = Settings::load(&Sources { catalog: Some(catalog), ..Sources::default() }).unwrap();
    let payload = compress(to_record(&settings.policy).as_bytes()).unwrap();
    let mut journal = Journal::open(&folder.join("data")).unwrap();
    let policy = Batch { kind: Kind::Policy, source: "config".into(), key: None, events: 1, payload };
    journal.append(Instant::from_micros(0), std::iter::repeat_n(&policy, BATCHES)).unwrap();
}

const SERVICES: usize = 20_000;
const BATCHES: usize = 80;

/// What is answered at `/readyz`, if anything is.
fn asked(url: &str) -> Option<String> {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).ok()?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn how_far_the_journal_is_read_is_told_to_whoever_asks_and_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    journal(folder.path());
    let port = free_port();
    let mut command = Command::new(env!("CARGO_BIN_EXE_fournines"));
    command.arg("serve");
    command.env("FOURNINES__SERVER__LISTEN", format!("127.0.0.1:{port}"));
    command.env("FOURNINES__STORAGE__PATH", folder.path().join("data"));
    command.env("FOURNINES__LOG__FORMAT", "json");
    let percents = RefCell::new(Vec::new());
    let ready = |url: &str| {
        let Some(answer) = asked(url) else { return false };
        if let Some((_, rest)) = answer.split_once("\"it is starting: reading the journal: ") {
            assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1"), "{answer}");
            let (percent, _) = rest.split_once(" %\"").unwrap();
            percents.borrow_mut().push(percent.parse::<u64>().unwrap());
        }
        answer.starts_with("HTTP/1.1 200")
    };
    let log = folder.path().join("fournines.log");
    let daemon = Server::start_when(command, port, ready, &log, "nothing: it is this crate's");
    let percents = percents.take();
    assert!(percents.is_sorted() && percents.iter().any(|percent| (1..100).contains(percent)), "{percents:?}");
    let lines: Vec<serde_json::Value> =
        daemon.log().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = lines.iter().filter(|line| line["message"] == "reading the journal").collect();
    let batches = BATCHES as u64;
    assert!(!told.is_empty() && told.len() < BATCHES / 4, "{}", daemon.log());
    for line in told {
        let (sequence, percent) = (line["sequence"].as_u64().unwrap(), line["percent"].as_u64().unwrap());
        assert_eq!((line["last"].as_u64(), percent), (Some(batches), 100 * sequence / batches), "{line}");
        assert!(line["seconds_left"].as_f64().is_some_and(|seconds| seconds < 600.0), "{line}");
    }
    let read = lines.iter().find(|line| line["message"] == "the journal is read").unwrap();
    assert_eq!((&read["batches"], &read["events"]), (&batches.into(), &0.into()), "{read}");
    assert!(read["seconds"].as_f64().unwrap() > 1.0 && read["events_per_second"].is_number(), "{read}");
    daemon.stop();
    let daemon = common::fournines(folder.path(), free_port(), "");
    assert!(daemon.log().contains("a checkpoint is loaded sequence=81 bytes="), "{}", daemon.log());
    daemon.stop();
}
