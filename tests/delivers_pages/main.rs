//! Pages arrive, once, whatever crashes: a daemon, two clustered Alertmanagers and a webhook's server are killed,
//! paused, made slow and made to fail, at random and over a stream of incidents. At the end every receiver was told
//! every page and every end as the engine decided them, by its own journal, and no page twice.
//!
//! ```text
//! cargo test --test delivers_pages                                             a batch of less than a minute
//! CRASHES=1000 SEED=7 cargo test --test delivers_pages crashes -- --nocapture    the long one
//! ```
//!
//! The batch makes the same choices every time; the long one makes others each time, unless a seed is given. The
//! choices follow from the seed, the moments hang on the machine. What is excused, and why, is in `checker`: limits
//! of a pair of Alertmanagers, of which one fails at a time. The wait for the peer is a sixth of the group interval here,
//! a twentieth by Alertmanager's defaults: the races that hang on it are more frequent than they are out there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(
    clippy::print_stderr,
    reason = "a long run tells its progress, and a failed one its seed and what was done"
)]

mod checker;
#[path = "../common/mod.rs"]
mod common;
mod door;
mod faults;
mod house;
mod peer;
mod records;
mod stream;

use std::time::Duration;

use checker::Verdict;
use door::Manner;
use fournines::clock::{Clock, Stopwatch};
use fournines::model::time::Span;
use house::House;
use records::Records;

/// Faults of a batch, and what they are chosen by: a batch that is red by chance would stop everybody's work.
const CRASHES: usize = 20;
const SEED: u64 = 5;
/// How long a fault takes, with the pause after it, divided by the lanes; for the length of the stream.
const FAULT_MILLIS: i64 = 1_000;
/// How long is waited for what comes too often.
const AFTERMATH_SECONDS: u64 = 5;
/// How long is waited for what was lost on purpose.
const CANARY_SECONDS_MAX: f64 = 6.0;
/// How long everything may take to arrive when nothing fails any more: the longest pause of the daemon before it tries
/// again, that of an Alertmanager, and as much again for a busy machine.
const ARRIVES_SECONDS_MAX: f64 = 30.0;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// The records and what they come to, when nothing more is missing or after so many seconds.
fn settled(seconds: f64, look: impl Fn() -> Records, judge: Judge) -> (Records, Vec<Verdict>) {
    let begun = Stopwatch::start();
    loop {
        let records = look();
        let verdicts = judge(&records);
        if begun.seconds() > seconds || verdicts.iter().all(|verdict| verdict.missing.is_empty()) {
            // What comes too often comes a little later.
            std::thread::sleep(Duration::from_secs(AFTERMATH_SECONDS));
            let records = look();
            let verdicts = judge(&records);
            return (records, verdicts);
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

type Judge = fn(&Records) -> Vec<Verdict>;

/// Judges every receiver.
fn all(records: &Records) -> Vec<Verdict> {
    vec![records.pair(), records.desk()]
}

#[test]
fn crashes_lose_no_page_and_double_none() {
    let asked = number("CRASHES");
    let crashes = asked.map_or(CRASHES, |crashes| crashes.try_into().unwrap());
    let seed = number("SEED").unwrap_or_else(|| if asked.is_some() { fastrand::u64(..) } else { SEED });
    eprintln!("CRASHES={crashes} SEED={seed}");
    let house = House::start(1);
    let from = Clock::system().now();
    let lasts = Span::from_millis(FAULT_MILLIS * i64::try_from(crashes).unwrap()).plus(Span::from_secs(5));
    let stream = stream::stream(seed, from, from.plus(lasts));
    let troubles = std::thread::scope(|scope| {
        scope.spawn(|| house.post(&stream));
        faults::run(&house, seed, crashes)
    });
    let look = || Records { troubles: troubles.clone(), ..house.records(Clock::system().now()) };
    let (records, verdicts) = settled(ARRIVES_SECONDS_MAX, look, all);
    for (receiver, verdict) in ["pager", "desk"].into_iter().zip(&verdicts) {
        eprintln!("{} faults, the {receiver}: {verdict}", troubles.len());
        if !verdict.is_good() {
            eprintln!("\n{}", records.history(&verdict.about));
            house.explain(&troubles);
        }
    }
    assert!(verdicts.iter().all(Verdict::is_good), "CRASHES={crashes} SEED={seed}");
}

#[test]
fn two_daemons_fed_the_same_page_once() {
    let house = House::start(2);
    let from = Clock::system().now();
    // Always the same stream: whether an acknowledgement comes just before a limit or just after must not hang on luck.
    house.post(&stream::stream(1, from, from.plus(Span::from_secs(25))));
    let look = || {
        let at = Clock::system().now();
        let mut records = house.records(at);
        records.merge(&house.decided(1, at));
        records
    };
    let (_, verdicts) = settled(ARRIVES_SECONDS_MAX, look, |records| vec![records.pair()]);
    eprintln!("two daemons: {}", verdicts[0]);
    assert!(verdicts[0].is_good() && verdicts[0].pages > 10, "{}", verdicts[0]);
}

/// The harness can fail: one notification is lost, one doubled, and then the daemon forgets what it decided.
#[test]
fn what_is_lost_doubled_or_never_decided_is_found() {
    let house = House::start(1);
    let from = Clock::system().now();
    let stream = stream::stream(2, from, from.plus(Span::from_secs(28)));
    std::thread::scope(|scope| {
        scope.spawn(|| house.post(&stream));
        for (door, canary) in
            [(&house.pager, Manner::Losing), (&house.desk, Manner::Losing), (&house.pager, Manner::Doubling)]
        {
            std::thread::sleep(Duration::from_secs(5));
            door.treat_one(canary);
        }
    });
    let look = || house.records(Clock::system().now());
    let (records, verdicts) = settled(CANARY_SECONDS_MAX, look, all);
    for verdict in &verdicts {
        assert!(!verdict.missing.is_empty(), "what was lost is not missed: {verdict}");
    }
    assert!(verdicts[0].wrong.iter().any(|line| line.contains(" came from ")), "no double: {}", verdicts[0]);
    assert!(verdicts[0].wrong.len() < 4, "more is wrong than was made to be: {}", verdicts[0]);

    house.wipe();
    let forgotten = Records { decisions: house.decided(0, Clock::system().now()), ..records };
    let verdict = forgotten.pair();
    assert!(verdict.wrong.iter().any(|line| line.contains(" told ")), "what nobody decided is not seen: {verdict}");
}
