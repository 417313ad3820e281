//! The sending side of `peers/ingest.sh`: facts as lines, and posts of such lines over plain HTTP/1.1 connections that
//! stay open. It knows nothing of this crate, and does as little as it can, since it shares the machine with what it
//! measures.
//!
//! `facts events|samples SERVICES COUNT` writes the same facts as events of this daemon or as Prometheus' text.
//! `post … FILE` sends a file's lines, and prints one line of tab-separated figures.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a bench measures and prints"
)]

use std::fmt::Write as _;
use std::io::{BufWriter, Read, Write};
use std::net::TcpStream;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const USAGE: &str = "send facts events|samples SERVICES COUNT >FILE
send post ADDRESS PATH CONTENT-TYPE PID CONNECTIONS BODY-BYTES FILE
A body is of whole lines, and ends with the first that makes it as long as BODY-BYTES; 1 sends every line by itself.";

/// Threads that send: more connections than that are served in turn by each of them.
const THREADS_MAX: usize = 4;
/// What a server does in the background for what it has answered counts as well.
const SETTLING: Duration = Duration::from_secs(3);
/// The facts lie in the hours before this one.
const HOUR_MS: u64 = 3_600_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["facts", form, services, count] => {
            facts(form == "events", services.parse().expect("SERVICES"), count.parse().expect("COUNT"));
        }
        ["post", address, path, media, pid, connections, bytes, file] => {
            let head =
                format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: {media}\r\nContent-Length: ");
            let text = std::fs::read(file).expect(file);
            let requests = requests(&text, &head, bytes.parse().expect("BODY-BYTES"));
            post(address, pid, connections.parse().expect("CONNECTIONS"), &requests, &text);
        }
        _ => eprintln!("{USAGE}"),
    }
}

/// Latencies of services in turn, a day of them up to the last full hour.
fn facts(as_events: bool, services: u64, count: u64) {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let start = u64::try_from(now.as_millis()).unwrap() / HOUR_MS * HOUR_MS - 24 * HOUR_MS;
    for number in 0..count {
        let site = number % services;
        let service = format!("province-{:02}/city-{:03}/site-{site:06}", site % 31, site % 331);
        let ms = start + number * 24 * HOUR_MS / count;
        // 5 to 105 ms, in microseconds.
        let took = 5000 + number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 100_000;
        if as_events {
            let (whole, part) = (took / 1000, took % 1000);
            let time = rfc3339(ms);
            writeln!(out, r#"{{"type":"latency","time":"{time}","service":"{service}","ms":{whole}.{part:03}}}"#)
        } else {
            writeln!(out, r#"service_latency_seconds{{service="{service}"}} 0.{took:06} {ms}"#)
        }
        .unwrap();
    }
}

fn rfc3339(ms: u64) -> String {
    let (mut days, clock) = (ms / 86_400_000, ms % 86_400_000);
    let leap = |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (clock / 3_600_000, clock / 60_000 % 60, clock / 1000 % 60);
    format!("{year}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", days + 1, clock % 1000)
}

/// Whole requests, so that each is one write.
fn requests(text: &[u8], head: &str, body_bytes: usize) -> Vec<Vec<u8>> {
    let mut requests = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let least = body_bytes.min(rest.len()) - 1;
        let end = rest[least..].iter().position(|&byte| byte == b'\n').map_or(rest.len(), |at| least + at + 1);
        let (body, after) = rest.split_at(end);
        requests.push([format!("{head}{}\r\n\r\n", body.len()).as_bytes(), body].concat());
        rest = after;
    }
    requests
}

fn post(address: &str, pid: &str, connections: usize, requests: &[Vec<u8>], text: &[u8]) {
    let threads = connections.min(THREADS_MAX);
    let next = AtomicUsize::new(0);
    let barrier = Barrier::new(threads + 1);
    let (mut begun, mut server, mut client) = (Instant::now(), 0.0, 0.0);
    let mut ended = begun;
    let mut waits: Vec<Duration> = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..threads)
            .map(|thread| {
                let mine = connections / threads + usize::from(thread < connections % threads);
                let (next, barrier) = (&next, &barrier);
                scope.spawn(move || {
                    let mut open: Vec<Connection> = (0..mine).map(|_| Connection::open(address)).collect();
                    barrier.wait();
                    send(&mut open, next, requests)
                })
            })
            .collect();
        (server, client) = (cpu_seconds(pid), cpu_seconds("self"));
        begun = Instant::now();
        barrier.wait();
        let waits = senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect();
        ended = Instant::now();
        waits
    });
    let client = cpu_seconds("self") - client;
    std::thread::sleep(SETTLING);
    let server = cpu_seconds(pid) - server;
    waits.sort_unstable();
    let quantile = |percent: usize| waits[(waits.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    let lines = text.iter().filter(|&&byte| byte == b'\n').count() as f64;
    let seconds = (ended - begun).as_secs_f64();
    let mut line = String::new();
    for (name, value, digits) in [
        ("facts_per_second", lines / seconds, 0),
        ("server_cpu_s_per_million", server / lines * 1e6, 2),
        ("client_cpu_s_per_million", client / lines * 1e6, 2),
        ("peak_mb", peak_mb(pid), 0),
        ("bytes_per_fact", text.len() as f64 / lines, 1),
        ("posts_per_second", requests.len() as f64 / seconds, 0),
        ("p50_ms", quantile(50), 2),
        ("p99_ms", quantile(99), 2),
    ] {
        let _ = write!(line, "{value:.digits$}\t");
        eprint!("{name} {value:.digits$}  ");
    }
    eprintln!();
    println!("{}", line.trim_end());
}

/// Sends over some connections until there is nothing more to send. Each has a request under way at all times; they
/// are waited for in turn. Returns how long each was waited for.
fn send(open: &mut [Connection], next: &AtomicUsize, requests: &[Vec<u8>]) -> Vec<Duration> {
    let mut waits = Vec::with_capacity(requests.len());
    let mut under_way = 0;
    let begin = |connection: &mut Connection| {
        connection.sent = requests.get(next.fetch_add(1, Ordering::Relaxed)).map(|request| {
            let sent = Instant::now();
            connection.stream.write_all(request).expect("the server takes a request");
            sent
        });
        usize::from(connection.sent.is_some())
    };
    for connection in open.iter_mut() {
        under_way += begin(connection);
    }
    while under_way > 0 {
        for connection in open.iter_mut() {
            if let Some(sent) = connection.sent.take() {
                connection.answer();
                waits.push(sent.elapsed());
                under_way -= 1;
                under_way += begin(connection);
            }
        }
    }
    waits
}

struct Connection {
    stream: TcpStream,
    sent: Option<Instant>,
    read: Vec<u8>,
}

impl Connection {
    fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect(address);
        stream.set_nodelay(true).unwrap();
        Self { stream, sent: None, read: Vec::new() }
    }

    /// Reads one answer, and fails when it is not that all of the body was taken.
    fn answer(&mut self) {
        self.read.clear();
        let mut buffer = [0; 4096];
        loop {
            let count = self.stream.read(&mut buffer).expect("an answer");
            assert!(count > 0, "the server closed the connection");
            self.read.extend_from_slice(&buffer[..count]);
            let text = std::str::from_utf8(&self.read).expect("an answer in UTF-8");
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
            });
            if body.len() < length.unwrap_or(0) {
                continue;
            }
            let whole = body.is_empty() || body.contains("\"rejected_total\":0");
            assert!(head.starts_with("HTTP/1.1 20") && whole, "{text}");
            return;
        }
    }
}

/// The seconds of both kinds that a process has used.
fn cpu_seconds(pid: &str) -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process is there");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / TICKS_PER_SECOND
}

/// The most memory that a process has had at once.
fn peak_mb(pid: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0 / 1e6
}
