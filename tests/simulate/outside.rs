//! The world around the daemon, which outlives it: its time, its chance, what is noted of it.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use fastrand::Rng;
use fournines::clock::Clock;
use fournines::model::time::{Instant, Span};

use super::Canary;

/// The world around the daemon. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Outside(Arc<Shared>);

struct Shared {
    /// True time, and the runtime's that began then, if one runs.
    began: Mutex<(Instant, Option<tokio::time::Instant>)>,
    /// How far the machine's clock is off, in microseconds.
    off: Arc<AtomicI64>,
    chance: Mutex<Rng>,
    trace: Mutex<Vec<String>>,
    calm: AtomicBool,
    canary: Option<Canary>,
}

impl Outside {
    pub(crate) fn new(seed: u64, origin: Instant, canary: Option<Canary>) -> Self {
        Self(Arc::new(Shared {
            began: Mutex::new((origin, None)),
            off: Arc::default(),
            chance: Mutex::new(Rng::with_seed(seed)),
            trace: Mutex::default(),
            calm: AtomicBool::new(false),
            canary,
        }))
    }

    /// A runtime begins.
    pub(crate) fn begin(&self, at: Instant) {
        *self.0.began.lock().unwrap() = (at, Some(of_runtime()));
    }

    /// It is about to end, and time stands still until the next one begins.
    pub(crate) fn end(&self) -> Instant {
        let now = self.now();
        *self.0.began.lock().unwrap() = (now, None);
        now
    }

    /// True time.
    pub(crate) fn now(&self) -> Instant {
        let (at, began) = *self.0.began.lock().unwrap();
        let passed = began.map_or(0, |began| began.elapsed().as_micros());
        at.plus(Span::from_micros(passed.try_into().unwrap()))
    }

    /// The clock of the machine, as a daemon on it reads it.
    pub(crate) fn clock(&self) -> Clock {
        let outside = self.clone();
        Clock::of(move || outside.now().plus(Span::from_micros(outside.0.off.load(Ordering::Relaxed))))
    }

    /// Puts the machine's clock off by so many seconds.
    pub(crate) fn put_clock_off(&self, seconds: i64) {
        self.0.off.store(seconds * 1_000_000, Ordering::Relaxed);
    }

    /// Draws of its own, each time others.
    pub(crate) fn chance(&self) -> Rng {
        self.0.chance.lock().unwrap().fork()
    }

    /// Whether something that happens once in `often` happens now. Nothing does any more once it is calm.
    pub(crate) fn happens(&self, often: u32) -> bool {
        self.chance().u32(0..often) == 0 && !self.is_calm()
    }

    /// From now on nothing fails any more.
    pub(crate) fn calm_down(&self) {
        self.0.calm.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.0.calm.load(Ordering::Relaxed)
    }

    /// Whether this fault is planted.
    pub(crate) fn is_planted(&self, canary: Canary) -> bool {
        self.0.canary == Some(canary)
    }

    pub(crate) fn note(&self, what: impl std::fmt::Display) {
        let line = format!("{} {what}", self.now());
        self.0.trace.lock().unwrap().push(line);
    }

    pub(crate) fn trace(&self) -> Vec<String> {
        self.0.trace.lock().unwrap().clone()
    }
}

/// The time of the runtime that runs: it stands still while anything is done.
pub(crate) fn of_runtime() -> tokio::time::Instant {
    #[allow(clippy::disallowed_methods, reason = "this is the clock")]
    tokio::time::Instant::now()
}
