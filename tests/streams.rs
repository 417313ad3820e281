//! Who follows the changes of incidents sees each of them once and in order, also across a broken connection and a
//! restart; who cannot be told all of them is told so.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use common::{Server, ask, fournines, free_port, get, post, until};
use fournines::clock::{Clock, Stopwatch};
use fournines::model::time::{Instant, Span};
use fournines::store::changes::CHANGES_MAX;
use serde_json::{Value, json};

/// How long an event may take to come: far more than it needs.
const EVENT_SECONDS_MAX: u64 = 20;

/// Somebody who follows, over a plain connection.
struct Follower {
    reader: BufReader<TcpStream>,
    status: u16,
}

/// One block of the stream.
#[derive(Clone, Debug, Default, PartialEq)]
struct Block {
    event: String,
    id: String,
    data: Value,
}

impl Follower {
    fn connect(daemon: &Server, last: Option<&str>) -> Self {
        let mut stream = TcpStream::connect(daemon.url.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(EVENT_SECONDS_MAX))).unwrap();
        let last = last.map(|last| format!("last-event-id: {last}\r\n")).unwrap_or_default();
        stream.write_all(format!("GET /api/v1/stream HTTP/1.1\r\nhost: x\r\n{last}\r\n").as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
        }
        Self { reader, status: head.split(' ').nth(1).unwrap().parse().unwrap() }
    }

    /// The next line of the body: its framing is left out.
    fn line(&mut self) -> Option<String> {
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            // The length of a chunk, or the end of one.
            if line.ends_with("\r\n") {
                continue;
            }
            return Some(line.trim_end_matches('\n').to_owned());
        }
    }

    /// The next block that is more than a comment; none when the stream ended.
    fn next(&mut self) -> Option<Block> {
        let mut block = Block::default();
        let watch = Stopwatch::start();
        loop {
            let line = self.line()?;
            // Comments come for ever.
            assert!(watch.seconds() < EVENT_SECONDS_MAX as f64, "no event came");
            match line.split_once(": ") {
                Some(("event", name)) => block.event = name.to_owned(),
                Some(("id", id)) => block.id = id.to_owned(),
                Some(("data", data)) => block.data = serde_json::from_str(data).unwrap(),
                _ if line.is_empty() && block != Block::default() => return Some(block),
                _ => {}
            }
        }
    }

    /// The next change: its reason and the incident.
    fn change(&mut self) -> (Block, String, Value) {
        let block = self.next().unwrap();
        assert_eq!(block.event, "incident", "{block:?}");
        let (reason, incident) =
            (block.data["reason"].as_str().unwrap().to_owned(), block.data["incident"].clone());
        (block, reason, incident)
    }
}

/// An outage of `service` that began, or ended, at `time`.
fn outage(service: &str, kind: &str, time: Instant) -> String {
    format!("{{\"type\":\"outage.{kind}\",\"service\":\"{service}\",\"time\":\"{time}\"}}\n")
}

fn now() -> Instant {
    Clock::system().now()
}

fn acknowledge(daemon: &Server, id: &Value) {
    let url = format!("{}/api/v1/incidents/{}/acknowledge", daemon.url, id.as_str().unwrap());
    assert_eq!(ask(&url, &json!({ "by": "li" })).0, 200);
}

#[test]
fn each_change_is_seen_once_also_across_a_broken_connection_and_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = fournines(folder.path(), free_port(), "");
    let mut follower = Follower::connect(&daemon, None);
    assert_eq!(follower.status, 200);
    let first = follower.next().unwrap();
    assert!(!first.id.is_empty() && first.event.is_empty(), "{first:?}");

    post(&daemon, &outage("core", "started", now()));
    let (opened, reason, incident) = follower.change();
    assert_eq!((&*reason, &incident["services"]), ("opened", &json!(["core"])));
    assert_eq!(opened.data["at"], incident["detected"]);
    let listed = get(&format!("{}/api/v1/incidents/{}", daemon.url, incident["id"].as_str().unwrap()));
    for (name, value) in incident.as_object().unwrap().iter().filter(|(name, _)| *name != "user_minutes") {
        assert_eq!(&listed[name], value, "{name}");
    }

    // While the connection is broken two things happen: both are there, in order, and nothing else.
    drop(follower);
    acknowledge(&daemon, &incident["id"]);
    post(&daemon, &outage("core", "ended", now()));
    let mut follower = Follower::connect(&daemon, Some(&opened.id));
    let (acknowledged, reason, shown) = follower.change();
    assert_eq!(
        (&*reason, &shown["status"], &shown["restored"]),
        ("acknowledged", &json!("acknowledged"), &Value::Null)
    );
    let (restored, reason, shown) = follower.change();
    assert_eq!((&*reason, &shown["status"]), ("restored", &json!("restored")));

    // After a kill the changes since the last checkpoint are known again, under the same ids.
    drop(daemon);
    let daemon = fournines(folder.path(), free_port(), "");
    let mut follower = Follower::connect(&daemon, Some(&opened.id));
    assert_eq!((follower.change().0, follower.change().0), (acknowledged.clone(), restored.clone()));

    // It ends at once when the daemon is asked to stop.
    let watch = Stopwatch::start();
    daemon.stop();
    assert_eq!(follower.next(), None);
    assert!(watch.seconds() < 10.0, "it took {} s to stop", watch.seconds());

    // After a checkpoint: who had seen everything goes on, who had not reads anew.
    let daemon = fournines(folder.path(), free_port(), "");
    let mut follower = Follower::connect(&daemon, Some(&restored.id));
    let mut behind = Follower::connect(&daemon, Some(&acknowledged.id));
    let reset = behind.next().unwrap();
    assert_eq!((&*reset.event, &reset.data["read"]), ("reset", &json!("/api/v1/incidents")));
    assert_eq!(reset.id, restored.id);
    post(&daemon, &outage("edge", "started", now()));
    let (opened, _, incident) = follower.change();
    assert_eq!(incident["services"], json!(["edge"]));
    assert_eq!(behind.change().0, opened);

    for unknown in ["yesterday", "99999999999999999-0", "", "-1-0"] {
        let mut follower = Follower::connect(&daemon, Some(unknown));
        assert_eq!(follower.next().unwrap().event, "reset", "{unknown:?}");
    }
}

#[test]
fn deadlines_that_are_met_between_events_are_changes_too() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = fournines(folder.path(), free_port(), "targets.response = \"2s\"");
    let mut follower = Follower::connect(&daemon, None);
    follower.next();
    post(&daemon, &outage("core", "started", now()));
    let (opened, ..) = follower.change();
    // Warned of at half and at four fifths of the limit.
    assert_eq!([follower.change().1, follower.change().1], ["warned", "warned"]);
    let (breached, reason, _) = follower.change();
    assert_eq!(reason, "breached");
    // Read back from the journal, in which no event stands for it.
    drop(daemon);
    let daemon = fournines(folder.path(), free_port(), "targets.response = \"2s\"");
    until("the change is known again", || {
        let mut follower = Follower::connect(&daemon, Some(&opened.id));
        let known = [follower.change().0, follower.change().0, follower.change().0];
        (known[2] == breached).then_some(())
    });
}

#[test]
fn one_who_does_not_read_holds_nobody_up_and_is_told_what_was_missed() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = fournines(folder.path(), free_port(), "");
    let mut slow = Follower::connect(&daemon, None);
    let begun = slow.next().unwrap();
    // Far more than is kept, and far more than a connection holds.
    let services = CHANGES_MAX + CHANGES_MAX / 2;
    let watch = Stopwatch::start();
    for part in 0..30 {
        let numbers = part * services / 30..(part + 1) * services / 30;
        let lines: String =
            numbers.map(|n| outage(&format!("s{n}"), "started", now().minus(Span::from_secs(1)))).collect();
        post(&daemon, &lines);
    }
    assert!(watch.seconds() < 60.0, "{services} outages took {} s", watch.seconds());
    let read = |follower: &mut Follower| {
        let (mut changes, mut last) = (0, Block::default());
        let mut resets = 0;
        loop {
            let block = follower.next().unwrap();
            assert!(block.event == "reset" || last.id.is_empty() || is_after(&block.id, &last.id), "{block:?}");
            resets += usize::from(block.event == "reset");
            changes += usize::from(block.event == "incident");
            let done =
                block.event == "reset" || block.data["incident"]["services"][0] == format!("s{}", services - 1);
            last = block;
            if done {
                return (changes, resets);
            }
        }
    };
    let (changes, resets) = read(&mut slow);
    assert!(changes < services && resets == 1, "{changes} changes, {resets} resets");
    // What comes after is told again.
    post(&daemon, &outage("later", "started", now()));
    assert_eq!(slow.change().2["services"], json!(["later"]));
    let mut late = Follower::connect(&daemon, Some(&begun.id));
    assert_eq!(late.next().unwrap().event, "reset");
    assert_eq!(get(&format!("{}/api/v1/status", daemon.url))["incidents_open"]["third"], services + 1);
}

fn is_after(one: &str, other: &str) -> bool {
    let place = |id: &str| {
        id.split_once('-').map(|(at, place)| (at.parse::<i64>().unwrap(), place.parse::<u32>().unwrap()))
    };
    place(one) > place(other)
}

#[test]
fn no_more_follow_than_there_is_room_for() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = fournines(folder.path(), free_port(), "");
    let mut followers = Vec::new();
    let mut refused = loop {
        let follower = Follower::connect(&daemon, None);
        if follower.status != 200 {
            break follower;
        }
        followers.push(follower);
        assert!(followers.len() < 900);
    };
    assert_eq!((refused.status, followers.len()), (503, 256));
    let mut body = vec![0; 200];
    let length = refused.reader.read(&mut body).unwrap();
    assert!(String::from_utf8_lossy(&body[..length]).contains("256 follow already"));
    // Once somebody goes there is room again.
    followers.truncate(200);
    until("there is room again", || (Follower::connect(&daemon, None).status == 200).then_some(()));
}
