//! The whole house in a simulated world: the real daemon, its real HTTP server, journal and outbox, on a clock, a network,
//! a disk and receivers that are made up and fail. What it did is held against what it was told. A seed gives the same
//! world to the byte.
//!
//! ```text
//! cargo test --test simulate                                        a short batch, the canaries, and the same seed twice
//! WORLDS=10000 SEED=1 cargo test --release --test simulate worlds -- --nocapture    the long one; it names what failed
//! WORLDS=1 SEED=77 TRACE=trace.txt cargo test --test simulate worlds                all that happened in one world
//! ```
//!
//! A world is a few hours: what is told is that of `tests/laws`, by three producers, somebody on call acts on it, and in
//! some a drill is played meanwhile; a life of the daemon is ended by a kill, a power cut that tears what was not synced,
//! a stop, or a disk that dies in the middle of a commit or fails a sync or is full. In the end nothing fails, and
//! everything must have come right.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a long run tells its progress, and a failed one its seed"
)]

mod house;
mod judge;
#[path = "../machine/mod.rs"]
mod machine;
mod network;
mod operator;
#[path = "../laws/oracle.rs"]
#[allow(dead_code, reason = "the laws use all of it")]
mod oracle;
mod outside;
mod producers;
mod receivers;
#[path = "../laws/world.rs"]
#[allow(dead_code, reason = "the laws use all of it")]
mod world;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use fournines::model::time::Span;
use house::House;
use judge::Verdict;
use network::Network;
use operator::Operator;
use outside::Outside;
use producers::{Producer, Record, Sayings};
use proptest::collection::vec;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use receivers::Receivers;
use world::{HORIZON, arrivals, at, saying};

/// Worlds of the short batch.
const WORLDS: u64 = 40;
/// Worlds in which a planted fault must be found.
const CANARY_WORLDS: u64 = 40;
/// Worlds in which something was wrong once: a page that time alone had decided was forgotten when the clock was set back
/// across a restart, the end of an outage that outlasted its incident was not told of, a page that the journal refused.
const FOUND: [u64; 11] = [104, 108, 484, 704, 1355, 1664, 3414, 3611, 3833, 3934, 4035];
/// Lives with faults, at most.
const LIVES_MAX: usize = 12;

/// A fault that is planted, which a check must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Canary {
    /// Something between producer and daemon answers in its place.
    Swallowed,
    /// The same between somebody on call and the daemon.
    Unwritten,
    /// A disk says that it synced, and did not.
    LyingDisk,
    /// A page has another id each time that it is told.
    Renamed,
    /// A page that is not decided.
    Invented,
    /// Pages get lost.
    PageLost,
    /// Ends get lost.
    EndLost,
    /// An end is told that is not the one decided.
    WrongEnd,
    /// A page comes two seconds late.
    Tardy,
    /// An Alertmanager never hears that something is over.
    Stuck,
    /// The recount knows less than the daemon.
    Miscounted,
    /// What is played in a drill is told as if it had happened.
    Unmarked,
}

/// Each planted fault, and what finds it.
const CANARIES: [(Canary, &str); 12] = [
    (Canary::Swallowed, "is not in the journal"),
    (Canary::Unwritten, "was acknowledged and is there"),
    (Canary::LyingDisk, "is not in the journal"),
    (Canary::Renamed, "paged more than once"),
    (Canary::Invented, "what was never decided"),
    (Canary::PageLost, "never paged"),
    (Canary::EndLost, "its end was never told"),
    (Canary::WrongEnd, "told a wrong end"),
    (Canary::Tardy, "paged late"),
    (Canary::Stuck, "the Alertmanager holds"),
    (Canary::Miscounted, "by the recount"),
    (Canary::Unmarked, "by the recount"),
];

fn sayings(seed: u64) -> Sayings {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let chance = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), chance);
    let mut some = |most: usize| vec(saying(), 10..most).new_tree(&mut runner).unwrap().current();
    let world = some(80);
    // A drill is not every day; none was in the worlds in which something was wrong once.
    let drill = if seed % 5 == 2 { some(40) } else { Vec::new() };
    Sayings { world, drill }
}

/// Lets a world pass. Returns what came of it, and all that happened.
fn pass(folder: &Path, seed: u64, canary: Option<Canary>) -> (Verdict, Vec<String>) {
    fastrand::seed(seed);
    let told = Arc::new(sayings(seed));
    let world = &told.world;
    // The policy is adopted a tick after the start.
    let origin = at(0).minus(Span::TICK);
    let outside = Outside::new(seed, origin, canary);
    // Some time after the last of it was to arrive, and after the last instant that figures are asked of.
    let last = arrivals(world).into_iter().chain(arrivals(&told.drill)).map(|(seconds, _)| seconds).max();
    let last = last.unwrap_or(0);
    let until = at(last.max(HORIZON) + 600);
    let record = Arc::new(Mutex::new(Record::default()));
    let producers: Vec<_> =
        Producer::all(&told, &record).into_iter().map(|one| Arc::new(tokio::sync::Mutex::new(one))).collect();
    let operator = Arc::new(Mutex::new(Operator::default()));
    let network = Network::new(outside.clone());
    let receivers = Receivers::new(&outside, origin, until);
    let steps = outside.chance().u8(0..4) == 0;
    // It is asked so often what it holds that a world with one takes three times as long.
    let has_alertmanager = outside.chance().u8(0..5) == 0;
    let mut house = House::new(folder, &outside, has_alertmanager);
    let mut now = origin;
    let around = (&outside, &network, &receivers);
    let people = (&*producers, &operator);
    for _ in 0..LIVES_MAX {
        if now >= until {
            break;
        }
        now = house.live(now, around, people, steps).plus(Span::from_secs(outside.chance().i64(0..120)));
    }
    let looked = house.end((now, until), around, people, async || judge::figures(world, &network, &outside).await);
    let (wrong, end) = match looked {
        Ok(looked) => looked,
        Err(error) => return (Verdict { wrong: vec![error], ..Verdict::default() }, outside.trace()),
    };
    let mut verdict = judge::judge(
        &house.storage(),
        end,
        (&record.lock().unwrap(), &operator.lock().unwrap()),
        &receivers,
        &house,
        (steps, has_alertmanager),
    );
    verdict.wrong.extend(wrong);
    if producers.iter().any(|producer| !producer.try_lock().unwrap().is_done()) {
        verdict.wrong.push("not everything was sent".to_owned());
    }
    (verdict, outside.trace())
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}: is no number")))
}

/// Worlds, one after the other, in a process of its own on a machine that fails.
struct Batch {
    first: u64,
    worlds: u64,
    canary: Option<usize>,
    trace: Option<PathBuf>,
}

impl Batch {
    fn start(&self, folder: &Path) -> std::process::Child {
        let built = machine::build(folder);
        machine::Control::new(folder);
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "worlds", "--nocapture"])
            .env("SIMULATE_FOLDER", folder)
            .env("SEED", self.first.to_string())
            .env("WORLDS", self.worlds.to_string())
            .env("SIMULATE_CANARY", self.canary.map_or(String::new(), |place| place.to_string()))
            .env_remove("TRACE")
            .stdout(Stdio::piped());
        if let Some(trace) = &self.trace {
            command.env("TRACE", trace);
        }
        machine::preload(&mut command, &built, folder, &folder.join("data"));
        command.spawn().unwrap()
    }

    /// Lets it pass. Returns what was wrong, a line each.
    fn run(&self) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let output = self.start(folder.path()).wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let lines =
            |mark: &str| said.lines().filter_map(|line| line.strip_prefix(mark).map(str::to_owned)).collect();
        let done: Vec<String> = lines("DONE ");
        assert!(output.status.success() && done.len() == 1, "the process failed: {said}");
        eprintln!("{}", done[0]);
        lines("WRONG ")
    }
}

/// What a process of its own does.
fn batch(folder: &Path) {
    let canary = std::env::var("SIMULATE_CANARY").ok().and_then(|place| place.parse().ok());
    let canary = canary.map(|place: usize| CANARIES[place]);
    let (first, worlds) = (number("SEED").unwrap(), number("WORLDS").unwrap());
    let mut sum = Verdict::default();
    for seed in first..first + worlds {
        let (verdict, trace) = pass(folder, seed, canary.map(|(canary, _)| canary));
        for wrong in &verdict.wrong {
            println!("WRONG seed {seed}: {}", wrong.replace('\n', " "));
        }
        if let Some(file) = std::env::var_os("TRACE") {
            // Where the folder is differs from run to run.
            let trace = trace.join("\n").replace(folder.to_str().unwrap(), "/folder");
            fs::write(file, trace + "\n").unwrap();
        }
        sum.decisions += verdict.decisions;
        sum.pages += verdict.pages;
        sum.acknowledged += verdict.acknowledged;
        if canary.is_some_and(|(_, finds)| verdict.wrong.iter().any(|wrong| wrong.contains(finds))) {
            break;
        }
    }
    println!(
        "DONE seeds {first} to {}: {} events acknowledged, {} firings decided, {} messages taken by the pager",
        first + worlds - 1,
        sum.acknowledged,
        sum.decisions,
        sum.pages
    );
}

#[test]
fn worlds() {
    if let Some(folder) = std::env::var_os("SIMULATE_FOLDER") {
        return batch(Path::new(&folder));
    }
    let worlds = number("WORLDS").unwrap_or(WORLDS);
    let first = number("SEED").unwrap_or(1);
    let trace = std::env::var_os("TRACE").map(PathBuf::from);
    let processes = std::thread::available_parallelism().unwrap().get() as u64;
    // Small ones, so that a long run tells its progress.
    let size = worlds.div_ceil(processes).clamp(1, 250);
    let starts: Vec<u64> = (first..first + worlds).step_by(size as usize).collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..processes {
            scope.spawn(|| {
                while let Some(&start) = starts.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    let count = size.min(first + worlds - start);
                    let found = Batch { first: start, worlds: count, canary: None, trace: trace.clone() }.run();
                    found.iter().for_each(|line| eprintln!("{line}"));
                    wrong.lock().unwrap().extend(found);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} things are wrong in {worlds} worlds from SEED={first}: {wrong:#?}", wrong.len());
}

#[test]
fn what_was_wrong_once_is_right() {
    for first in FOUND {
        let wrong = Batch { first, worlds: 1, canary: None, trace: None }.run();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

#[test]
fn a_seed_gives_the_same_world_to_the_byte() {
    let folder = tempfile::tempdir().unwrap();
    for seed in 1..6 {
        let traces = ["one", "other"].map(|name| {
            let trace = folder.path().join(name);
            Batch { first: seed, worlds: 1, canary: None, trace: Some(trace.clone()) }.run();
            fs::read_to_string(trace).unwrap()
        });
        let pairs = traces[0].lines().zip(traces[1].lines());
        assert!(traces[0].lines().count() > 50, "little happened: {}", traces[0]);
        let differs = pairs.enumerate().find(|(_, (one, other))| one != other);
        assert!(traces[0] == traces[1], "seed {seed} differs: {differs:?}");
    }
}

#[test]
fn every_planted_fault_is_found() {
    for (place, (canary, finds)) in CANARIES.iter().enumerate() {
        let found = Batch { first: 1, worlds: CANARY_WORLDS, canary: Some(place), trace: None }.run();
        assert!(
            found.iter().any(|line| line.contains(finds)),
            "{canary:?} was not found in {CANARY_WORLDS} worlds: {found:#?}"
        );
    }
}
