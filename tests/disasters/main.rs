//! What can go wrong with a machine, and what the daemon does then: as `docs/operating.md` says it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod host;
#[path = "../machine/mod.rs"]
mod machine;

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use common::{Inbox, Server, alertmanager, ask, fournines, free_port, get, text, try_ask, until};
use fournines::clock::{Clock, Stopwatch};
use fournines::journal::open_reader;
use fournines::model::time::{Instant, Span};
use host::Machine;
use machine::EROFS;
use machine::power::History;
use serde_json::{Value, json};

fn now() -> Instant {
    Clock::system().now()
}

/// An outage begins. Returns the status of the answer.
fn begin(daemon: &Server, service: &str) -> u16 {
    ask(&format!("{}/api/v1/events", daemon.url), &begun(service)).0
}

fn begun(service: &str) -> Value {
    json!({"type": "outage.started", "id": service, "service": service, "time": now().to_string()})
}

/// Whether an outage that begins is not acknowledged by a daemon that ends: it may have come upon the fault by itself, and
/// be gone.
fn is_refused(daemon: &Server, service: &str) -> bool {
    let answer = try_ask(&format!("{}/api/v1/events", daemon.url), &begun(service));
    answer.map_or_else(|gone| gone.is_request(), |(status, _)| status == 503)
}

/// A metric's value.
fn metric(daemon: &Server, name: &str) -> f64 {
    let all = text(&format!("{}/metrics", daemon.url));
    let line = all.lines().find(|line| line.starts_with(name) && line[name.len()..].starts_with([' ', '{']));
    line.unwrap_or_else(|| panic!("no {name}")).rsplit(' ').next().unwrap().parse().unwrap()
}

fn verify(storage: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fournines")).arg("verify").arg(storage).output().unwrap()
}

fn is_sound(storage: &Path) {
    let verified = verify(storage);
    let said = String::from_utf8_lossy(&verified.stdout).into_owned() + &String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success(), "{said}");
}

/// The services that are down.
fn down(daemon: &Server) -> BTreeSet<String> {
    let listed = get(&format!("{}/api/v1/services?state=down&limit=1000", daemon.url));
    let name = |service: &Value| service["service"].as_str().unwrap().to_owned();
    listed["services"].as_array().unwrap().iter().map(name).collect()
}

fn names(numbers: impl IntoIterator<Item = usize>) -> BTreeSet<String> {
    numbers.into_iter().map(|number| format!("s{number}")).collect()
}

/// Waits until the daemon has ended by itself, with an error. Returns what it said.
fn ended(mut daemon: Server) -> String {
    let status = until("the daemon ends", || daemon.child.try_wait().unwrap());
    assert_eq!(status.code(), Some(1), "{}", daemon.log());
    daemon.log()
}

#[test]
fn a_sync_that_fails_ends_it_and_a_restart_has_all_that_was_acknowledged() {
    let machine = Machine::new();
    let daemon = machine.serve("");
    assert_eq!((begin(&daemon, "s1"), begin(&daemon, "s2")), (200, 200));
    machine.control.let_syncs_fail(true);
    assert!(is_refused(&daemon, "s3"), "what is not on the disk was acknowledged");
    let said = ended(daemon);
    assert!(said.contains("journal.db") && said.contains("disk I/O error"), "{said}");
    machine.control.let_syncs_fail(false);
    let daemon = machine.serve("");
    let found = down(&daemon);
    assert!(found.is_superset(&names([1, 2])), "{found:?}");
    assert_eq!(begin(&daemon, "s3"), 200);
    assert_eq!(down(&daemon), names([1, 2, 3]));
    daemon.stop();
    is_sound(&machine.storage());
}

#[test]
fn a_disk_that_becomes_read_only_ends_it_and_a_restart_has_all_that_was_acknowledged() {
    let machine = Machine::new();
    let daemon = machine.serve("");
    assert_eq!(begin(&daemon, "s1"), 200);
    machine.control.let_writes_fail(Some(EROFS));
    assert!(is_refused(&daemon, "s2"), "what is not on the disk was acknowledged");
    let said = ended(daemon);
    assert!(said.contains("journal.db"), "{said}");
    // While it is so it does not start, and says why.
    let output = machine.command(free_port(), "", &[]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("journal.db"), "{said}");
    machine.control.let_writes_fail(None);
    let daemon = machine.serve("");
    assert_eq!(begin(&daemon, "s2"), 200);
    assert_eq!(down(&daemon), names([1, 2]));
}

/// A small disk of its own, in memory.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new(megabytes: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).status();
        assert!(mounted.unwrap().success(), "a tmpfs cannot be mounted: run the tests as root");
        Self(folder)
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.path().join("filler")).unwrap();
        while file.write(&[1; 4096]).is_ok_and(|written| written > 0) {}
    }

    fn make_room(&self) {
        std::fs::remove_file(self.0.path().join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_is_survived_with_pages_and_answers_and_taken_up_again_when_there_is_room() {
    let disk = Disk::new(60);
    let inbox = Inbox::open();
    let pages = alertmanager(disk.0.path(), free_port(), &inbox);
    let levels = "[[levels.first]]\nlonger_than = \"15s\"\n";
    let receiver = format!("[[alerting.alertmanagers]]\nurl = \"{}\"\n", pages.url);
    let storage = "[storage]\ncheckpoint_events = 5\n";
    let daemon = fournines(disk.0.path(), free_port(), &format!("{levels}{receiver}{storage}"));
    assert_eq!(begin(&daemon, "s0"), 200);
    disk.fill();
    // What is left in the files that are there already is used up first.
    let taken = (1..20_000).take_while(|number| begin(&daemon, &format!("s{number}")) == 200).count();
    assert!(taken < 19_000, "the disk never was full");
    assert_eq!(begin(&daemon, "x"), 503);
    assert!(metric(&daemon, "fournines_journal_commit_failures_total") > 0.0);
    // It answers, and pages.
    assert_eq!(get(&format!("{}/api/v1/services/s0", daemon.url))["state"], "down");
    until("the page of the first level", || {
        let told = inbox.all();
        told.iter().any(|message| message.to_string().contains("\"level\":\"first\"")).then_some(())
    });
    disk.make_room();
    assert_eq!(begin(&daemon, "y"), 200);
    daemon.stop();
    let storage = disk.0.path().join("data");
    is_sound(&storage);
    let kept = services(&storage);
    let expected: BTreeSet<String> = names(0..=taken).into_iter().chain(["y".to_owned()]).collect();
    assert_eq!(kept, expected);
}

/// The services whose outages are in a journal.
fn services(storage: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let journal = open_reader(storage).unwrap();
    let read = journal.read_after(0, |stored| {
        for line in String::from_utf8(stored.text).unwrap().lines().filter(|line| line.starts_with('{')) {
            let event: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
            found.extend(event["service"].as_str().map(str::to_owned));
        }
        Ok(())
    });
    read.unwrap();
    found
}

#[test]
fn time_goes_on_when_the_clock_is_set_back_and_follows_when_it_is_set_forward() {
    let machine = Machine::new();
    let inbox = Inbox::open();
    let folder = tempfile::tempdir().unwrap();
    let pages = alertmanager(folder.path(), free_port(), &inbox);
    let levels = "[[levels.first]]\nlonger_than = \"6s\"\n[[levels.second]]\nlonger_than = \"3h\"\n";
    let receiver = format!("[[alerting.alertmanagers]]\nurl = \"{}\"\n", pages.url);
    let daemon = machine.serve(&format!("{levels}{receiver}"));
    let at =
        || -> Instant { get(&format!("{}/api/v1/status", daemon.url))["now"].as_str().unwrap().parse().unwrap() };
    assert_eq!(begin(&daemon, "s1"), 200);
    let before = at();
    machine.control.put_clock_off(-3600);
    let watch = Stopwatch::start();
    // The deadline of six seconds is met after twelve at the latest, not in an hour.
    until("the page of the first level", || {
        let told = inbox.all();
        told.iter().any(|message| message.to_string().contains("\"level\":\"first\"")).then_some(())
    });
    assert!(watch.seconds() < 25.0, "{}", watch.seconds());
    let after = at();
    assert!(after > before && after.since(before) < Span::from_mins(1), "{before} {after}");
    assert!(metric(&daemon, "fournines_clock_ahead_seconds") > 3_000.0);
    assert!(daemon.log().contains("behind what was told"), "{}", daemon.log());
    assert_eq!(begin(&daemon, "s2"), 200);
    // A restart does not take it back either.
    daemon.stop();
    let daemon = machine.serve(&format!("{levels}{receiver}"));
    assert!(metric(&daemon, "fournines_clock_ahead_seconds") > 3_000.0);
    assert_eq!(begin(&daemon, "s3"), 200);
    machine.control.put_clock_off(4 * 3600);
    until("time has followed", || {
        let now: Instant = get(&format!("{}/api/v1/status", daemon.url))["now"].as_str().unwrap().parse().unwrap();
        (now.since(before) > Span::from_hours(3)).then_some(())
    });
    until("it is in step", || (metric(&daemon, "fournines_clock_ahead_seconds").abs() < 1.0).then_some(()));
    assert_eq!(down(&daemon), names([1, 2, 3]));
}

/// A connection that asks and waits for what it is told to.
fn connect(daemon: &Server) -> TcpStream {
    TcpStream::connect(daemon.url.trim_start_matches("http://")).unwrap()
}

#[test]
fn without_open_files_left_it_goes_on_and_takes_connections_again_when_there_are() {
    let machine = Machine::new();
    let daemon = machine.serve_with_files(60, "");
    let mut one = connect(&daemon);
    let mut say = |service: &str| {
        let event = json!({"type": "outage.started", "service": service, "time": now().to_string()}).to_string();
        let head = "POST /api/v1/events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length:";
        one.write_all(format!("{head} {}\r\n\r\n{event}", event.len()).as_bytes()).unwrap();
        let mut answer = [0; 4096];
        let length = one.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..length]).starts_with("HTTP/1.1 200")
    };
    assert!(say("s1"));
    let idle: Vec<TcpStream> = (0..100).map(|_| connect(&daemon)).collect();
    until("a connection is not accepted", || daemon.log().contains("could not be accepted").then_some(()));
    // Whoever is connected is served.
    assert!(say("s2"));
    drop(idle);
    assert_eq!(until("it accepts again", || Some(begin(&daemon, "s3")).filter(|&code| code == 200)), 200);
    assert!(metric(&daemon, "fournines_accept_failures_total") > 0.0);
    assert_eq!(down(&daemon), names([1, 2, 3]));
    daemon.stop();
    is_sound(&machine.storage());
}

#[test]
fn whoever_never_reads_or_never_finishes_is_let_go_and_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = fournines(folder.path(), free_port(), "");
    for number in 0..400 {
        assert_eq!(begin(&daemon, &format!("s{number}")), 200);
    }
    // Answers far larger than what the system keeps for a connection, asked for again and again and never read.
    let mut deaf: Vec<TcpStream> = (0..20).map(|_| connect(&daemon)).collect();
    for connection in &mut deaf {
        connection.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
        let ask = "GET /api/v1/incidents?limit=1000 HTTP/1.1\r\nhost: x\r\n\r\n".repeat(50);
        let _ = connection.write_all(ask.as_bytes());
    }
    let mut slow = connect(&daemon);
    let head =
        "POST /api/v1/events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n";
    slow.write_all(format!("{head}{{\"type\":").as_bytes()).unwrap();
    let watch = Stopwatch::start();
    assert_eq!(begin(&daemon, "t"), 200);
    assert!(watch.seconds() < 5.0);
    // One that never finishes is told so.
    slow.set_read_timeout(Some(Duration::from_secs(90))).unwrap();
    let mut answer = [0; 4096];
    let length = slow.read(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]);
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(text(&format!("{}/metrics", daemon.url)).contains("fournines_ingest_refused_total{reason=\"slow\"} 1"));
    // By now those that do not read are cut off.
    let is_cut = |connection: &mut TcpStream| {
        connection.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let waits = [ErrorKind::WouldBlock, ErrorKind::TimedOut];
        connection.read_to_end(&mut Vec::new()).map_or_else(|error| !waits.contains(&error.kind()), |_| true)
    };
    assert!(deaf.iter_mut().all(is_cut));
    daemon.stop();
}

/// The same numbers every time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// How many power cuts are tried.
const CUTS: usize = 80;
/// And on a disk that lies.
const LIES: usize = 10;

/// Cuts the power at many places of a day of work. Returns what was lost, by where.
fn cut_power(history: &History, acknowledged: &[(u64, String)], lazy: bool) -> Vec<String> {
    let places: Vec<u64> = history.places().collect();
    let mut chance = Chance(11);
    let mut lost = Vec::new();
    for _ in 0..if lazy { LIES } else { CUTS } {
        let cut = places[usize::try_from(chance.below(places.len() as u64)).unwrap()];
        // Nearly nothing, half, or nearly all of what was not synced is on the disk.
        let share = [1, 50, 99][usize::try_from(chance.below(3)).unwrap()];
        let folder = tempfile::tempdir().unwrap();
        history.leave(cut, folder.path(), || chance.below(100) < share, lazy);
        let owed: BTreeSet<&str> =
            acknowledged.iter().filter(|(at, _)| *at <= cut).map(|(_, service)| &**service).collect();
        if owed.is_empty() && !folder.path().join("journal.db").exists() {
            continue;
        }
        // The next start makes of it what it can.
        let port = free_port();
        let log = folder.path().join("err.log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_fournines"));
        command
            .arg("serve")
            .env("FOURNINES__STORAGE__PATH", folder.path())
            .env("FOURNINES__SERVER__LISTEN", format!("127.0.0.1:{port}"));
        let mut started = command.stderr(std::fs::File::create(&log).unwrap()).spawn().unwrap();
        let ready = until("it is ready, or has ended", || {
            let ended = started.try_wait().unwrap().is_some();
            let ready = common::status(&format!("http://127.0.0.1:{port}/readyz")) == Some(200);
            (ended || ready).then_some(ready)
        });
        let _ = started.kill();
        let _ = started.wait();
        if !ready {
            lost.push(format!("cut at {cut}: {}", std::fs::read_to_string(&log).unwrap()));
            continue;
        }
        let kept = services(folder.path());
        lost.extend(
            owed.iter().filter(|&&service| !kept.contains(service)).map(|name| format!("cut at {cut}: {name}")),
        );
        let verified = verify(folder.path());
        if !verified.status.success() {
            lost.push(format!("cut at {cut}: {}", String::from_utf8_lossy(&verified.stdout)));
        }
    }
    lost
}

#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged_and_a_disk_that_lies_is_noticed() {
    let machine = Machine::new();
    let daemon = machine.serve("[storage]\ncheckpoint_events = 40\n");
    let mut acknowledged = Vec::new();
    let mut chance = Chance(5);
    for number in 0..240 {
        let service = format!("s{number}");
        // Some of them large, so that the write-ahead file goes round.
        let letters = if number % 4 == 0 { 600_000 } else { 100 };
        let detail: String =
            (0..letters).map(|_| char::from(b'a' + u8::try_from(chance.below(26)).unwrap())).collect();
        let event = json!({
            "type": "outage.started", "service": service, "time": now().to_string(), "note": detail
        });
        let (code, answer) = ask(&format!("{}/api/v1/events", daemon.url), &event);
        assert_eq!(code, 200, "{answer}");
        acknowledged.push((std::fs::metadata(machine.log()).unwrap().len(), service));
    }
    drop(daemon);
    let history = History::read(&machine.log());
    assert!(history.places().len() > 1000);
    assert_eq!(cut_power(&history, &acknowledged, false), Vec::<String>::new());
    assert!(!cut_power(&history, &acknowledged, true).is_empty(), "nothing would be found");
}
