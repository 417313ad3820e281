//! Those who tell the daemon what happened: each sends what has come to its ears, in bodies of a few events, again and
//! again until it is answered that they are taken.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fournines::model::time::{Instant, Span};
use serde_json::Value;

use super::Canary;
use super::network::Network;
use super::outside::Outside;
use super::world::{Saying, arrivals, at, line};

/// How many there are that tell of the network; one more plays a drill.
pub(crate) const PRODUCERS: usize = 3;
/// The number of the first saying of the drill.
pub(crate) const DRILL: usize = 10_000;
/// Events in one body, at most.
const BODY_MAX: usize = 4;

/// What all of them have done.
#[derive(Default)]
pub(crate) struct Record {
    /// The sayings that were answered to be taken.
    pub(crate) acknowledged: BTreeSet<usize>,
    /// What should not have been answered.
    pub(crate) wrong: Vec<String>,
}

/// One of them, which outlives the daemon.
pub(crate) struct Producer {
    name: usize,
    /// When, and what.
    queue: VecDeque<(Instant, usize)>,
    /// What is under way: its sayings, its text, and its idempotency key if it has one.
    body: Option<(Vec<usize>, String, Option<String>)>,
    told: Arc<Sayings>,
    record: Arc<Mutex<Record>>,
}

/// All that is said.
pub(crate) struct Sayings {
    pub(crate) world: Vec<Saying>,
    /// In a drill, which plays at the same time.
    pub(crate) drill: Vec<Saying>,
}

impl Sayings {
    fn line(&self, number: usize, outside: &Outside) -> String {
        let Some(of_drill) = number.checked_sub(DRILL) else { return line(number, &self.world[number], true) };
        let line = line(number, &self.drill[of_drill], true);
        if outside.is_planted(Canary::Unmarked) { line } else { line.replacen('{', r#"{"drill":"storm","#, 1) }
    }
}

impl Producer {
    /// All of them.
    pub(crate) fn all(told: &Arc<Sayings>, record: &Arc<Mutex<Record>>) -> Vec<Self> {
        let one = |name: usize, arrivals: Vec<(i64, usize)>| Self {
            name,
            queue: arrivals.into_iter().map(|(seconds, number)| (at(seconds), number)).collect(),
            body: None,
            told: told.clone(),
            record: record.clone(),
        };
        let mut all: Vec<Self> = (0..PRODUCERS)
            .map(|name| {
                let own = |(_, number): &(i64, usize)| number % PRODUCERS == name;
                one(name, arrivals(&told.world).into_iter().filter(own).collect())
            })
            .collect();
        let played = arrivals(&told.drill).into_iter().map(|(seconds, number)| (seconds, DRILL + number));
        all.push(one(PRODUCERS, played.collect()));
        all
    }

    pub(crate) fn is_done(&self) -> bool {
        self.queue.is_empty() && self.body.is_none()
    }

    /// Has all of them send what is left to send.
    pub(crate) fn send_all(all: &[Arc<tokio::sync::Mutex<Self>>], network: &Network, outside: &Outside) {
        for producer in all {
            tokio::spawn(Self::run(producer.clone(), network.clone(), outside.clone()));
        }
    }

    /// Sends until all is sent.
    async fn run(this: Arc<tokio::sync::Mutex<Self>>, network: Network, outside: Outside) {
        // What was under way when the last daemon ended is sent again at once.
        let mut this = this.try_lock_owned().expect("the one before it is gone");
        let mut pause = 1;
        while !this.is_done() {
            if this.body.is_none() {
                let (due, _) = this.queue[0];
                tokio::time::sleep(until(&outside, due)).await;
                this.pack(&outside);
            }
            let (numbers, text, key) = this.body.clone().unwrap();
            let mut headers = vec![("content-type", "application/x-ndjson")];
            headers.extend(key.as_deref().map(|key| ("idempotency-key", key)));
            let answer = if outside.is_planted(Canary::Swallowed) && outside.happens(4) {
                Ok((200, format!(r#"{{"accepted":{},"duplicates":0,"rejected_total":0}}"#, numbers.len()).into()))
            } else {
                network.ask("POST", "/api/v1/events", &headers, text).await
            };
            match &answer {
                Ok((status, body)) => {
                    outside.note(format_args!(
                        "producer {} {numbers:?}: {status} {}",
                        this.name,
                        String::from_utf8_lossy(body)
                    ));
                }
                Err(error) => outside.note(format_args!("producer {} {numbers:?}: {error}", this.name)),
            }
            if this.heard(&numbers, answer) {
                this.body = None;
                pause = 1;
            } else {
                let wait = outside.chance().u64(pause * 500..pause * 1000);
                tokio::time::sleep(Duration::from_millis(wait)).await;
                pause = (pause * 2).min(16);
            }
        }
    }

    /// Takes what is due into a body.
    fn pack(&mut self, outside: &Outside) {
        let most = outside.chance().usize(1..=BODY_MAX);
        let now = outside.now();
        let mut numbers = Vec::new();
        while numbers.len() < most
            && let Some(&(_, number)) = self.queue.front().filter(|&&(due, _)| due <= now)
        {
            self.queue.pop_front();
            numbers.push(number);
        }
        let text: String = numbers.iter().map(|&number| self.told.line(number, outside) + "\n").collect();
        let key = outside.chance().bool().then(|| format!("body {}", numbers[0]));
        self.body = Some((numbers, text, key));
    }

    /// Whether that is the end of it.
    fn heard(&mut self, numbers: &[usize], answer: Result<(u16, axum::body::Bytes), String>) -> bool {
        let Ok((status, body)) = answer else { return false };
        let mut record = self.record.lock().unwrap();
        match status {
            200 => {
                let said: Value = serde_json::from_slice(&body).unwrap_or_default();
                let count = |name: &str| said[name].as_u64().unwrap_or(0);
                if count("accepted") + count("duplicates") != numbers.len() as u64 {
                    record.wrong.push(format!("of {numbers:?} it says {said}"));
                }
                record.acknowledged.extend(numbers);
                true
            }
            // It starts, stops, has no room, or cannot write: that passes.
            408 | 429 | 503 => false,
            _ => {
                record.wrong.push(format!("{numbers:?} were refused: {status} {}", String::from_utf8_lossy(&body)));
                true
            }
        }
    }
}

fn until(outside: &Outside, at: Instant) -> Duration {
    let wait = at.since(outside.now()).max(Span::ZERO);
    Duration::from_micros(wait.as_micros().unsigned_abs())
}
