//! Bad input gets the contract's answer, and the good lines beside it are counted in.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use common::{Server, fournines, free_port, get, until};
use fournines::clock::Clock;
use fournines::model::time::{Instant, Span};
use serde_json::{Value, json};

/// The daemon's limit in these tests: small, so that reaching it is quick.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// An answer: its status, its head in lower case, and its body.
struct Answer {
    status: u16,
    head: String,
    body: Value,
}

struct World {
    _folder: tempfile::TempDir,
    daemon: Server,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Room for one body at a time.
        let settings =
            format!("[server]\nmax_body_bytes = {BODY_BYTES_MAX}\nmax_inflight_bytes = {BODY_BYTES_MAX}\n");
        let daemon = fournines(folder.path(), free_port(), &settings);
        Self { _folder: folder, daemon }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.daemon.url.trim_start_matches("http://")).unwrap()
    }

    /// Posts a body as it is.
    fn post(&self, content_type: &str, headers: &str, body: &[u8]) -> Answer {
        let mut stream = self.connect();
        let head = format!(
            "POST /api/v1/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {content_type}\r\n\
             content-length: {}\r\n{headers}\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        // A body that is refused by its head alone may be cut off while it is being written.
        let _ = stream.write_all(body);
        answer(&mut stream)
    }

    fn lines(&self, lines: &[&[u8]]) -> Answer {
        self.post("application/x-ndjson", "", &lines.join(&b'\n'))
    }

    fn outages(&self, service: &str) -> u64 {
        let service = get(&format!("{}/api/v1/services/{service}", self.daemon.url));
        service["windows"]["24h"]["outages"].as_u64().unwrap()
    }
}

fn answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    // After an early refusal the rest of the connection may be reset; what was answered is there by then.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_lowercase(), body: serde_json::from_str(body).unwrap_or(Value::Null) }
}

impl Answer {
    fn accepted(&self) -> u64 {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body["accepted"].as_u64().unwrap()
    }

    /// The lines rejected and why.
    fn rejected(&self) -> Vec<(u64, String)> {
        let all = self.body["rejected"].as_array().unwrap();
        all.iter().map(|r| (r["line"].as_u64().unwrap(), r["error"].as_str().unwrap().to_owned())).collect()
    }

    fn is_problem(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.body);
        assert!(self.head.contains("content-type: application/problem+json"), "{}", self.head);
        assert_eq!(self.body["status"], status);
        assert!(self.body["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
    }
}

fn ago(hours: i64) -> Instant {
    Clock::system().now().minus(Span::from_hours(hours))
}

/// A good event: an outage of `service` that began `hours` ago.
fn good(service: &str, hours: i64) -> Vec<u8> {
    let time = ago(hours);
    format!(r#"{{"type":"outage.started","service":"{service}","outage":"{hours}","time":"{time}"}}"#).into_bytes()
}

#[test]
fn each_bad_line_is_named_and_the_good_ones_beside_it_are_taken() {
    let world = World::new();
    let now = Clock::system().now();
    let ahead = |seconds| now.plus(Span::from_secs(seconds)).to_string();
    let long = "x".repeat(257);
    let deep = format!(r#"{{"type":{}{}}}"#, "[".repeat(50_000), "]".repeat(50_000));
    let cases: [(&str, Vec<u8>, &str); 9] = [
        ("malformed", b"{\"type\":\"outage.started\",".to_vec(), "not JSON"),
        ("no-time", br#"{"type":"outage.started","service":"a"}"#.to_vec(), "`time` is missing"),
        (
            "no-offset",
            br#"{"type":"outage.started","service":"a","time":"2026-01-01T00:00:00"}"#.to_vec(),
            "no offset",
        ),
        (
            "future",
            format!(r#"{{"type":"outage.started","service":"a","time":"{}"}}"#, ahead(600)).into(),
            "too far ahead",
        ),
        (
            "type",
            format!(r#"{{"type":"outage.startet","service":"a","time":"{now}"}}"#).into(),
            "did you mean `outage.started`?",
        ),
        (
            "long",
            format!(r#"{{"type":"outage.started","service":"{long}","time":"{now}"}}"#).into(),
            "at most 256 characters",
        ),
        ("utf8", b"{\"type\":\"outage.started\",\"service\":\"\xff\xfe\"}".to_vec(), "not UTF-8"),
        ("deep", deep.into(), "`type`"),
        ("array", b"[]".to_vec(), "not a JSON object"),
    ];
    for (name, bad, why) in cases {
        let (a, b, c, d) = (good(name, 1), good(name, 2), good(name, 3), good(name, 4));
        let answer = world.lines(&[&a, &b, &bad, &c, &d]);
        assert_eq!(answer.accepted(), 4, "{name}");
        let rejected = answer.rejected();
        assert_eq!((rejected.len(), rejected[0].0), (1, 3), "{name}: {rejected:?}");
        assert!(rejected[0].1.contains(why), "{name}: {rejected:?}");
        assert_eq!(world.outages(name), 4, "{name}");
    }
    // A clock that is half a minute ahead is borne with.
    let ahead = format!(r#"{{"type":"survey","score":90,"time":"{}"}}"#, ahead(30));
    assert_eq!(world.post("application/json", "", ahead.as_bytes()).accepted(), 1);
}

#[test]
fn arrays_and_objects_are_read_as_lines_are() {
    let world = World::new();
    let text = |event: Vec<u8>| String::from_utf8(event).unwrap();
    let array = format!("[{},\n {{\"type\":\"x\"}},\n {}]", text(good("a", 1)), text(good("a", 2)));
    let answer = world.post("application/json; charset=utf-8", "", array.as_bytes());
    assert_eq!((answer.accepted(), answer.rejected()[0].0), (2, 2));
    assert_eq!(world.post("application/json", "", &good("a", 3)).accepted(), 1);
    assert_eq!(world.outages("a"), 3);
    assert_eq!(world.post("application/json", "", b"[]").accepted(), 0);
    assert_eq!(world.post("application/x-ndjson", "", b"").accepted(), 0);
}

#[test]
fn what_cannot_be_read_at_all_is_400_and_takes_nothing() {
    let world = World::new();
    for (content_type, body) in [
        ("application/json", &b""[..]),
        ("application/json", b"{"),
        ("application/json", &[b'['; 100_000]),
        ("application/json", b"\xff\xfe\x00"),
        ("application/x-ndjson", b"nonsense\nmore of it\n"),
    ] {
        let answer = world.post(content_type, "", body);
        answer.is_problem(400);
        assert!(answer.body["rejected_total"].as_u64().unwrap() > 0);
    }
    world.post("application/x-ndjson", "content-encoding: gzip\r\n", b"this is not gzip").is_problem(400);
}

#[test]
fn many_rejections_are_counted_and_the_first_hundred_listed() {
    let world = World::new();
    let mut lines: Vec<&[u8]> = vec![b"{}"; 250];
    let one = good("a", 1);
    lines.push(&one);
    let answer = world.lines(&lines);
    assert_eq!(answer.accepted(), 1);
    assert_eq!((answer.rejected().len(), &answer.body["rejected_total"]), (100, &json!(250)));
}

#[test]
fn media_types_and_encodings_that_are_not_known_are_415() {
    let world = World::new();
    for content_type in ["text/plain", "application/xml", "application/cloudevents+json"] {
        let answer = world.post(content_type, "", &good("a", 1));
        answer.is_problem(415);
        assert!(answer.body["detail"].as_str().unwrap().contains("application/x-ndjson"));
    }
    world.post("application/json", "content-encoding: br\r\n", &good("a", 1)).is_problem(415);
}

#[test]
fn packed_bodies_are_unpacked_up_to_the_limit() {
    let world = World::new();
    let gzip = |bytes: &[u8]| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    };
    let zstd = |bytes: &[u8]| zstd::bulk::compress(bytes, 1).unwrap();
    let ndjson = "application/x-ndjson";
    assert_eq!(world.post(ndjson, "content-encoding: gzip\r\n", &gzip(&good("a", 1))).accepted(), 1);
    assert_eq!(world.post(ndjson, "content-encoding: zstd\r\n", &zstd(&good("a", 2))).accepted(), 1);
    // Small as sent, a hundred times the limit unpacked.
    let bomb = vec![b'\n'; BODY_BYTES_MAX * 100];
    world.post(ndjson, "content-encoding: gzip\r\n", &gzip(&bomb)).is_problem(413);
    world.post(ndjson, "content-encoding: zstd\r\n", &zstd(&bomb)).is_problem(413);
    assert_eq!(world.outages("a"), 2);
}

#[test]
fn a_body_of_100_mib_is_413_with_its_length_announced_or_not() {
    let world = World::new();
    let mut stream = world.connect();
    let head =
        "POST /api/v1/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/x-ndjson\r\n";
    stream.write_all(format!("{head}content-length: {}\r\n\r\n", 100 * 1024 * 1024).as_bytes()).unwrap();
    answer(&mut stream).is_problem(413);

    let mut stream = world.connect();
    stream.write_all(format!("{head}transfer-encoding: chunked\r\n\r\n").as_bytes()).unwrap();
    let mut piece = b"10000\r\n".to_vec();
    piece.extend(vec![b'\n'; 0x10000]);
    piece.extend(b"\r\n");
    // It stops reading once the limit is passed.
    for _ in 0..1600 {
        if stream.write_all(&piece).is_err() {
            break;
        }
    }
    answer(&mut stream).is_problem(413);
    assert_eq!(world.post("application/json", "", &good("a", 1)).accepted(), 1);
}

#[test]
fn what_comes_again_is_a_duplicate() {
    let world = World::new();
    let line = |id: &str| {
        let time = ago(1);
        format!(r#"{{"type":"latency","ms":3,"service":"a","id":"{id}","time":"{time}"}}"#).into_bytes()
    };
    let (one, two) = (line("1"), line("2"));
    assert_eq!(world.lines(&[&one]).accepted(), 1);
    let answer = world.lines(&[&one, &two, &two]);
    assert_eq!((answer.accepted(), &answer.body["duplicates"]), (1, &json!(2)));
    // A whole body by its key, though its events have no ids.
    let body = [good("b", 1), good("b", 2)].join(&b'\n');
    let keyed = || world.post("application/x-ndjson", "idempotency-key: k-1\r\n", &body);
    assert_eq!(keyed().accepted(), 2);
    let again = keyed();
    assert_eq!((again.accepted(), &again.body["duplicates"]), (0, &json!(2)));
    assert_eq!(world.outages("b"), 2);
}

/// An upload that has begun and goes on until its last line is sent.
fn begin_upload(world: &World) -> TcpStream {
    let mut stream = world.connect();
    let head =
        "POST /api/v1/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/x-ndjson\r\n";
    stream.write_all(format!("{head}transfer-encoding: chunked\r\n\r\n1\r\n\n\r\n").as_bytes()).unwrap();
    stream
}

fn end_upload(stream: &mut TcpStream, event: &[u8]) -> Answer {
    stream.write_all(format!("{:x}\r\n", event.len()).as_bytes()).unwrap();
    stream.write_all(event).unwrap();
    stream.write_all(b"\r\n0\r\n\r\n").unwrap();
    answer(stream)
}

#[test]
fn when_it_is_full_nothing_of_a_body_is_taken() {
    let world = World::new();
    // A body that does not say how large it will be holds the room of the largest, which here is all there is.
    let mut slow = until("the room is used up", || {
        let slow = begin_upload(&world);
        std::thread::sleep(std::time::Duration::from_millis(100));
        let answer = world.post("application/json", "", &good("a", 1));
        (answer.status == 429).then(|| {
            answer.is_problem(429);
            assert!(answer.head.contains("retry-after: "), "{}", answer.head);
            slow
        })
    });
    world.post("application/json", "", &good("c", 1)).is_problem(429);
    assert_eq!(end_upload(&mut slow, &good("b", 1)).accepted(), 1);
    // Of what was refused nothing is there; sent again, it is taken.
    assert_eq!(world.post("application/json", "", &good("c", 2)).accepted(), 1);
    assert_eq!(world.outages("c"), 1);
}

#[test]
fn what_is_under_way_when_it_stops_is_finished_and_nothing_new_is_taken() {
    let world = World::new();
    let mut early = begin_upload(&world);
    // This one's head is not complete when the end comes.
    let mut late = world.connect();
    late.write_all(b"POST /api/v1/events HTTP/1.1\r\nhost: x\r\nconnection: close\r\n").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let World { daemon, _folder } = world;
    let stopping = std::thread::spawn(move || daemon.stop());
    std::thread::sleep(std::time::Duration::from_millis(300));
    late.write_all(b"content-type: application/json\r\ncontent-length: 2\r\n\r\n[]").unwrap();
    answer(&mut late).is_problem(503);
    assert_eq!(end_upload(&mut early, &good("b", 1)).accepted(), 1);
    stopping.join().unwrap();
}

#[test]
fn paths_and_methods_that_are_not_there_are_problems_too() {
    let world = World::new();
    let ask = |line: &str| {
        let mut stream = world.connect();
        stream.write_all(format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
        answer(&mut stream)
    };
    ask("GET /nowhere").is_problem(404);
    ask("GET /api/v1/services/nobody").is_problem(404);
    ask("GET /api/v1/incidents/0").is_problem(404);
    let answer = ask("GET /api/v1/events");
    answer.is_problem(405);
    assert!(answer.head.contains("\r\nallow: post\r\n"), "{}", answer.head);
    // Not UTF-8.
    for path in ["services/%FF", "groups/%FF", "incidents/%FF"] {
        ask(&format!("GET /api/v1/{path}")).is_problem(400);
    }
    ask("GET /api/v1/incidents?level=9").is_problem(400);
    ask("GET /api/v1/incidents?from=yesterday").is_problem(400);
    for query in ["after=x", "after=1.x", "limit=0", "limit=1001", "limit=x", "limti=1"] {
        ask(&format!("GET /api/v1/incidents?{query}")).is_problem(400);
    }
    assert_eq!(ask("GET /api/v1/incidents?status=open&limit=5").status, 200);
}

#[test]
fn a_body_that_breaks_off_may_be_sent_again_and_one_that_is_misframed_may_not() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = fournines(folder.path(), free_port(), "");
    let status = |sent: &str| {
        let mut stream = TcpStream::connect(daemon.url.trim_start_matches("http://")).unwrap();
        let head = "POST /api/v1/events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
        stream.write_all(format!("{head}{sent}").as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(status("content-length: 50\r\n\r\n{\"type\":"), "408");
    assert_eq!(status("transfer-encoding: chunked\r\n\r\n8\r\n{\"type\":\r\n"), "408");
    assert_eq!(status("transfer-encoding: chunked\r\n\r\neight\r\n{\"type\":\r\n"), "400");
}
