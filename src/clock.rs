//! The only reader of the machine's clock. It never goes backwards, across steps of the clock and restarts, and it
//! can run faster than real time, for demonstrations.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant as Monotonic, SystemTime};

use crate::model::time::{Instant, Span};

/// Tells the time.
#[derive(Clone, Debug)]
pub struct Clock {
    /// The latest instant told.
    latest: Arc<AtomicI64>,
    fast: Option<Fast>,
}

/// Time that runs faster than real time, from an origin on.
#[derive(Clone, Copy, Debug)]
struct Fast {
    origin: Instant,
    began: Monotonic,
    speed: u32,
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self { latest: Arc::new(AtomicI64::new(i64::MIN)), fast: None }
    }

    /// A clock that shows now and from then on runs `speed` times as fast as the machine's.
    #[must_use]
    pub fn fast(speed: u32) -> Self {
        let origin = Self::system().now();
        #[allow(clippy::disallowed_methods, reason = "this is the clock")]
        let began = Monotonic::now();
        Self { latest: Arc::new(AtomicI64::new(i64::MIN)), fast: Some(Fast { origin, began, speed: speed.max(1) }) }
    }

    /// The time. Never earlier than any told before, or than the floor.
    #[must_use]
    pub fn now(&self) -> Instant {
        let read = match self.fast {
            Some(fast) => {
                let elapsed = i64::try_from(fast.began.elapsed().as_micros()).unwrap_or(i64::MAX);
                fast.origin.as_micros().saturating_add(elapsed.saturating_mul(i64::from(fast.speed)))
            }
            None => system_micros(),
        };
        Instant::from_micros(self.latest.fetch_max(read, Ordering::AcqRel).max(read))
    }

    /// From now on tells no time earlier than `floor`.
    pub fn raise(&self, floor: Instant) {
        self.latest.fetch_max(floor.as_micros(), Ordering::AcqRel);
    }

    /// How long to sleep, in real time, until the clock shows `at`.
    #[must_use]
    pub fn until(&self, at: Instant) -> Duration {
        let wait = at.since(self.now()).max(Span::ZERO).as_micros().unsigned_abs();
        let speed = self.fast.map_or(1, |fast| fast.speed);
        // Rounded up, so that a sleeper does not wake just before.
        Duration::from_micros(wait.div_ceil(u64::from(speed)))
    }
}

/// A stopwatch for measurements of the daemon itself, in real time.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Monotonic);

impl Stopwatch {
    /// Starts.
    #[must_use]
    pub fn start() -> Self {
        #[allow(clippy::disallowed_methods, reason = "this is the clock")]
        Self(Monotonic::now())
    }

    /// Seconds since it was started.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

fn system_micros() -> i64 {
    #[allow(clippy::disallowed_methods, reason = "this is the clock")]
    let now = SystemTime::now();
    match now.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_goes_back_below_the_floor() {
        let clock = Clock::system();
        let floor = clock.now().plus(Span::from_hours(1));
        clock.raise(floor);
        assert_eq!(clock.now(), floor);
        assert_eq!(clock.until(floor), Duration::ZERO);
    }

    #[test]
    fn a_fast_clock_wakes_sleepers_sooner() {
        let clock = Clock::fast(60);
        let wait = clock.until(clock.now().plus(Span::from_mins(1)));
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
    }
}
