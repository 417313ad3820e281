//! Killed at any instant, the daemon loses nothing that it acknowledged and sends no page that it would not have sent.
//!
//! ```text
//! KILLS=1000 KILL_SEED=7 cargo test --test survives_kill kills -- --nocapture    the long one
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use common::{Server, fournines, free_port, until};
use fournines::clock::Clock;
use fournines::model::time::{Instant, Span};
use serde_json::{Value, json};

/// How often it is killed, if nobody asks for more.
const KILLS: usize = 20;
/// Events in one body.
const BODY_LINES: usize = 20;

/// A receiver that accepts every alert and remembers what it was told: the labels and the start of each, and when it
/// was last said to be over.
#[derive(Clone, Default)]
struct Receiver {
    told: Arc<Mutex<Told>>,
}

#[derive(Default)]
struct Told {
    /// Every alert that was ever sent while it fired.
    fired: BTreeSet<String>,
    /// What it would hold as firing now.
    firing: BTreeMap<String, String>,
}

impl Receiver {
    /// Listens until the test ends.
    fn start() -> (Self, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let receiver = Self::default();
        let told = receiver.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let told = told.clone();
                std::thread::spawn(move || told.serve(stream.unwrap()));
            }
        });
        (receiver, port)
    }

    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut answers = stream.try_clone().ok()?;
        let mut requests = BufReader::new(stream);
        loop {
            let mut length = 0;
            loop {
                let mut line = String::new();
                if requests.read_line(&mut line).ok()? == 0 {
                    return None;
                }
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().ok()?;
                }
                if line == "\r\n" {
                    break;
                }
            }
            let mut body = vec![0; length];
            requests.read_exact(&mut body).ok()?;
            // It takes alerts, and does not say what it holds.
            let Ok(alerts) = serde_json::from_slice(&body) else {
                answers.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").ok()?;
                continue;
            };
            self.take(&alerts);
            answers.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()?;
        }
    }

    fn take(&self, alerts: &Value) {
        let mut told = self.told.lock().unwrap();
        let now = Clock::system().now();
        for alert in alerts.as_array().unwrap() {
            // What is told of an incident holds since an instant of its own. What is told of an error budget holds since
            // it was learned, which differs from run to run.
            if alert["labels"]["incident"].is_null() {
                continue;
            }
            let starts: Instant = alert["startsAt"].as_str().unwrap().parse().unwrap();
            let ends: Instant = alert["endsAt"].as_str().unwrap().parse().unwrap();
            if ends > now {
                told.fired.insert(identity(&alert["labels"], starts));
                told.firing.insert(alert["labels"].to_string(), starts.to_string());
            } else {
                told.firing.remove(&alert["labels"].to_string());
            }
        }
    }

    fn fired(&self) -> BTreeSet<String> {
        self.told.lock().unwrap().fired.clone()
    }

    fn firing(&self) -> BTreeMap<String, String> {
        self.told.lock().unwrap().firing.clone()
    }
}

/// What tells an alert from every other: its labels and since when it holds.
fn identity(labels: &Value, starts: Instant) -> String {
    let labels: BTreeMap<&String, &Value> = labels.as_object().unwrap().iter().collect();
    // Alertmanager and its clients leave empty labels out.
    let labels: Vec<String> = labels
        .into_iter()
        .filter(|(_, value)| *value != "")
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    format!("{} since {starts}", labels.join(","))
}

/// Recorded outages as bodies: dense alarms of many devices, moved so that the last ended an hour ago. Every tenth
/// has users enough for a higher level. Some outages stay open, so that something fires at the end.
fn bodies() -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/wireless-alarms/events.ndjson");
    let text = std::fs::read_to_string(file).unwrap();
    let mut events: Vec<Value> = text.lines().take(6000).map(|line| serde_json::from_str(line).unwrap()).collect();
    let time = |event: &Value| event["time"].as_str().unwrap().parse::<Instant>().unwrap();
    let shift = Clock::system().now().minus(Span::from_hours(1)).since(time(events.last().unwrap()));
    for (number, event) in events.iter_mut().enumerate() {
        event["time"] = json!(time(event).plus(shift).to_string());
        if event["type"] == "outage.started" && number % 10 == 0 {
            event["users"] = json!(if number % 20 == 0 { 200_000 } else { 40_000 });
        }
    }
    let last = time(events.last().unwrap());
    for number in 0..5 {
        events.push(json!({
            "id": format!("open-{number}"), "type": "outage.started", "time": last.to_string(),
            "service": format!("open/{number}"), "users": number * 40_000,
        }));
    }
    let lines: Vec<String> = events.iter().map(|event| event.to_string() + "\n").collect();
    lines.chunks(BODY_LINES).map(<[String]>::concat).collect()
}

/// Levels by users alone and limits that are not reached: what is sent does not hang on how fast this machine is.
fn settings(receiver_port: u16) -> String {
    format!(
        r#"
storage.checkpoint_events = 500
targets.response = "1000h"
targets.repair = "1000h"

[alerting]
resend_interval = "15s"
[[alerting.alertmanagers]]
url = "http://127.0.0.1:{receiver_port}"

[[levels.first]]
users_at_least = 100000
cite = "by users"
[[levels.second]]
users_over = 30000
cite = "by users"
"#
    )
}

/// Posts a body and gives the answer, or nothing when the daemon is gone before it answered. With `cut` it is killed
/// that many microseconds after the body was sent.
fn post(daemon: &mut Option<Server>, body: &str, cut: Option<u64>) -> Option<Value> {
    let server = daemon.as_ref().unwrap();
    let mut stream = TcpStream::connect(server.url.trim_start_matches("http://")).ok()?;
    let head = format!(
        "POST /api/v1/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/x-ndjson\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    // Some kills come when only half of the body is there.
    let half = cut.is_some_and(|micros| micros % 4 == 0);
    stream.write_all(&body.as_bytes()[..if half { body.len() / 2 } else { body.len() }]).ok()?;
    if let Some(micros) = cut {
        std::thread::sleep(std::time::Duration::from_micros(micros));
        // Dropping it kills it.
        *daemon = None;
    }
    let mut answer = String::new();
    // A reset after the answer is no loss of it.
    let _ = stream.read_to_string(&mut answer);
    let (head, body) = answer.split_once("\r\n\r\n")?;
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    serde_json::from_str(body).ok()
}

/// By the number of a body: how many microseconds after it was sent the daemon is killed, each time that it is sent.
type Kills = BTreeMap<usize, Vec<u64>>;

/// The whole stream, with these kills. Returns how many
/// bodies were answered by the first try and how many duplicates there were.
fn run(folder: &Path, bodies: &[String], receiver: (&Receiver, u16), kills: &Kills) -> (usize, u64) {
    let settings = settings(receiver.1);
    let mut daemon = Some(fournines(folder, free_port(), &settings));
    let (mut answered, mut duplicates) = (0, 0);
    for (number, body) in bodies.iter().enumerate() {
        let mut cuts = kills.get(&number).cloned().unwrap_or_default();
        let mut first = true;
        loop {
            let answer = post(&mut daemon, body, cuts.pop());
            if daemon.is_none() {
                daemon = Some(fournines(folder, free_port(), &settings));
            }
            if let Some(answer) = answer {
                assert_eq!(answer["rejected_total"], 0);
                answered += usize::from(first);
                duplicates += answer["duplicates"].as_u64().unwrap();
                if cuts.is_empty() {
                    break;
                }
            }
            first = false;
        }
    }
    // What is open at the end: five outages, each at its level, and whatever the stream left open.
    until("the receiver holds what fires", || {
        let firing = receiver.0.firing();
        let open = |n: usize| firing.keys().any(|labels| labels.contains(&format!("\"open/{n}\"")));
        (0..5).all(open).then_some(())
    });
    let daemon = daemon.unwrap();
    assert!(!daemon.log().contains("ERROR"), "{}", daemon.log());
    daemon.stop();
    (answered, duplicates)
}

/// What the journal in `folder` amounts to at `at`.
fn replay(folder: &Path, at: Instant) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_fournines"))
        .args(["replay", "--format", "json", "--at", &at.to_string()])
        .arg(folder.join("data"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Every alert of a replay that ever fired.
fn alerts(replayed: &Value) -> BTreeSet<String> {
    let of_incidents = |alert: &&Value| alert["status"] == "firing" && !alert["labels"]["incident"].is_null();
    let fired = replayed["alerts"].as_array().unwrap().iter().filter(of_incidents);
    fired.map(|alert| identity(&alert["labels"], alert["starts"].as_str().unwrap().parse().unwrap())).collect()
}

/// The incidents in the database of record: what SQL gives.
fn rows(folder: &Path) -> BTreeSet<String> {
    let database = rusqlite::Connection::open(folder.join("data/fournines.db")).unwrap();
    let sql = "SELECT id || ' ' || service || ' ' || level || ' ' || started || ' ' || ifnull(restored, '-') FROM incidents";
    let mut select = database.prepare(sql).unwrap();
    select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// The incidents of a replay, written in the same way.
fn incidents(replayed: &Value) -> BTreeSet<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let one = |i: &Value| {
        format!(
            "{} {} {} {} {}",
            text(&i["id"]),
            text(&i["services"][0]),
            i["level"],
            text(&i["started"]),
            text(&i["restored"])
        )
    };
    replayed["incidents"].as_array().unwrap().iter().map(one).collect()
}

#[test]
fn kills_change_no_figure_and_send_no_page() {
    let bodies = bodies();
    let seed = std::env::var("KILL_SEED").map_or_else(|_| fastrand::u64(..), |seed| seed.parse().unwrap());
    println!("KILL_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let count = std::env::var("KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    // One comes with half of a body for certain.
    let mut kills = Kills::from([(bodies.len() / 2, vec![0])]);
    for _ in 1..count {
        // From before anything is read to after the answer is there, which takes about a millisecond.
        kills.entry(random.usize(0..bodies.len())).or_default().push(random.u64(0..2000));
    }
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (calm, calm_port) = Receiver::start();
    let (hit, hit_port) = Receiver::start();
    let (answered, duplicates) = run(folders[0].path(), &bodies, (&calm, calm_port), &Kills::new());
    assert_eq!((answered, duplicates), (bodies.len(), 0));
    let (answered, duplicates) = run(folders[1].path(), &bodies, (&hit, hit_port), &kills);
    let untold = bodies.len() - answered;
    println!("{count} kills: {untold} bodies had no answer at the first try, {duplicates} events came twice");
    assert!(answered < bodies.len(), "every kill came too late to matter");

    let at = Clock::system().now();
    let [undisturbed, killed] = [0, 1].map(|n: usize| replay(folders[n].path(), at));
    for (folder, replayed) in folders.iter().zip([&undisturbed, &killed]) {
        assert_eq!(rows(folder.path()), incidents(replayed), "the rows say what the journal amounts to");
    }
    assert!(undisturbed["services"].as_array().unwrap().len() > 20);
    assert_eq!(undisturbed["services"], killed["services"]);
    assert_eq!(undisturbed["groups"], killed["groups"]);

    let allowed = alerts(&undisturbed);
    assert!(allowed.len() > 100, "the stream is meant to page often: {}", allowed.len());
    let needless: Vec<String> = hit.fired().difference(&allowed).cloned().collect();
    assert!(needless.is_empty(), "sent, though nothing called for it: {needless:#?}");
    assert!(hit.fired().len() > 10, "{:?}", hit.fired());
    let held = |receiver: &Receiver| receiver.firing().into_keys().collect::<BTreeSet<_>>();
    assert_eq!(held(&calm), held(&hit), "what is still firing at the end");
}

#[test]
fn a_page_that_a_kill_interrupted_is_delivered_after_the_restart() {
    let folder = tempfile::tempdir().unwrap();
    // Nobody listens there yet.
    let port = free_port();
    let daemon_port = free_port();
    let mut daemon = Some(fournines(folder.path(), daemon_port, &settings(port)));
    let started = Clock::system().now();
    let event = json!({"type": "outage.started", "time": started.to_string(), "service": "a"}).to_string();
    assert_eq!(post(&mut daemon, &event, None).unwrap()["accepted"], 1);
    drop(daemon);
    let (receiver, port) = Receiver::start();
    let daemon = fournines(folder.path(), daemon_port, &settings(port));
    until("the page arrives", || (receiver.fired().len() == 1).then_some(()));
    assert!(receiver.fired().first().unwrap().ends_with(&format!("since {started}")), "{:?}", receiver.fired());
    daemon.stop();
}

#[test]
fn a_damaged_journal_is_refused_with_its_file_and_place() {
    let folder = tempfile::tempdir().unwrap();
    let (_receiver, port) = Receiver::start();
    let mut daemon = Some(fournines(folder.path(), free_port(), &settings(port)));
    for service in ["a", "b", "c"] {
        let time = Clock::system().now();
        let event = json!({"type": "outage.started", "time": time.to_string(), "service": service}).to_string();
        post(&mut daemon, &event, None).unwrap();
    }
    // Killed, so that no checkpoint spares it the reading.
    drop(daemon);
    let file = folder.path().join("data/journal.db");
    let database = rusqlite::Connection::open(&file).unwrap();
    // The first batch is the policy; the third is the second event.
    database.execute_batch("DROP TRIGGER batches_stay").unwrap();
    database.execute("UPDATE batches SET payload = zeroblob(40) WHERE sequence = 3", []).unwrap();
    drop(database);
    let output = Command::new(env!("CARGO_BIN_EXE_fournines"))
        .args(["serve", "-c"])
        .arg(folder.path().join("fournines.toml"))
        .env("FOURNINES__STORAGE__PATH", folder.path().join("data"))
        .env("FOURNINES__SERVER__LISTEN", "127.0.0.1:0")
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains(&format!("{}: the journal is damaged at sequence 3", file.display())), "{error}");
}
