//! The only reader of the machine's clock. It never goes backwards, across steps of the clock and restarts, nor stands
//! still, and it can run faster than real time, for demonstrations.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

// The runtime's: where a simulation stops its time and moves it on by hand, this one goes with it.
use tokio::time::Instant as Monotonic;

use crate::model::time::{Instant, Span};

/// How many times slower than real time it runs while the machine's clock is behind what was told: a deadline is then
/// met at most so much late, and a clock that was set back by an hour is in step again after two.
const SLOWER: u32 = 2;

/// Tells the time.
#[derive(Clone)]
pub struct Clock {
    told: Arc<Mutex<Told>>,
    machine: Arc<dyn Fn() -> Instant + Send + Sync>,
    /// How many times as fast as real time the machine's clock runs.
    speed: u32,
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("told", &self.told).field("speed", &self.speed).finish_non_exhaustive()
    }
}

/// What was told.
#[derive(Clone, Copy, Debug)]
struct Told {
    latest: Instant,
    /// What was told when it was last in step with the machine's clock, and when that was.
    in_step: Instant,
    since: Monotonic,
}

impl Told {
    /// Tells the time of a machine whose clock says `read`.
    fn tell(&mut self, read: Instant, now: Monotonic) -> Instant {
        if read >= self.latest {
            *self = Self { latest: read, in_step: read, since: now };
        } else {
            let passed = now.saturating_duration_since(self.since) / SLOWER;
            let passed = Span::from_micros(i64::try_from(passed.as_micros()).unwrap_or(i64::MAX));
            self.latest = self.latest.max(self.in_step.plus(passed));
        }
        self.latest
    }
}

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::of(|| Instant::from_micros(system_micros()))
    }

    /// A clock that shows now and from then on runs `speed` times as fast as the machine's.
    #[must_use]
    pub fn fast(speed: u32) -> Self {
        let (origin, began, speed) = (system_micros(), monotonic(), speed.max(1));
        let machine = move || {
            let elapsed = i64::try_from(began.elapsed().as_micros()).unwrap_or(i64::MAX);
            Instant::from_micros(origin.saturating_add(elapsed.saturating_mul(i64::from(speed))))
        };
        Self { speed, ..Self::of(machine) }
    }

    /// The clock of a machine whose own shows what `machine` says, a simulated one for example: it may step, what is told
    /// does not.
    #[must_use]
    pub fn of(machine: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        Self { told: Self::told_nothing(), machine: Arc::new(machine), speed: 1 }
    }

    fn told_nothing() -> Arc<Mutex<Told>> {
        Arc::new(Mutex::new(Told { latest: Instant::MIN, in_step: Instant::MIN, since: monotonic() }))
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time. Never earlier than any told before, or than the floor.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.told().tell(self.read(), monotonic())
    }

    /// How many times as fast as real time it runs.
    #[must_use]
    pub const fn speed(&self) -> u32 {
        self.speed
    }

    /// How far what it tells is ahead of the machine's clock, which was set back, or was ahead before a restart.
    #[must_use]
    pub fn ahead(&self) -> Span {
        let read = self.read();
        self.told().tell(read, monotonic()).since(read)
    }

    fn read(&self) -> Instant {
        (self.machine)()
    }

    /// From now on tells no time earlier than `floor`.
    pub fn raise(&self, floor: Instant) {
        let mut told = self.told();
        if floor > told.latest {
            *told = Told { latest: floor, in_step: floor, since: monotonic() };
        }
    }

    /// How long to sleep, in real time, until the clock shows `at`.
    #[must_use]
    pub fn until(&self, at: Instant) -> Duration {
        let wait = at.since(self.now()).max(Span::ZERO).as_micros().unsigned_abs();
        // Rounded up, so that a sleeper does not wake just before.
        Duration::from_micros(wait.div_ceil(u64::from(self.speed)))
    }
}

/// A stopwatch for measurements of the daemon itself, in real time.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Monotonic);

impl Stopwatch {
    /// Starts.
    #[must_use]
    pub fn start() -> Self {
        Self(monotonic())
    }

    /// Seconds since it was started.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

fn monotonic() -> Monotonic {
    #[allow(clippy::disallowed_methods, reason = "this is the clock")]
    Monotonic::now()
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
        assert!(clock.now() >= floor && clock.ahead() > Span::from_mins(59));
        assert_eq!(clock.until(floor), Duration::ZERO);
    }

    #[test]
    fn a_clock_that_is_set_back_runs_on_slower_until_it_is_in_step() {
        let began = monotonic();
        let at = |seconds: i64| Instant::from_micros(0).plus(Span::from_secs(seconds));
        let later = |seconds: u64| began + Duration::from_secs(seconds);
        let mut told = Told { latest: Instant::MIN, in_step: Instant::MIN, since: began };
        assert_eq!(told.tell(at(10_000), later(0)), at(10_000));
        assert_eq!(told.tell(at(10_010), later(10)), at(10_010));
        // Set back by an hour.
        assert_eq!(told.tell(at(6_412), later(12)), at(10_011));
        assert_eq!(told.tell(at(6_510), later(110)), at(10_060));
        assert_eq!(told.tell(at(6_510), later(110)), at(10_060));
        // Two hours later it is in step.
        assert_eq!(told.tell(at(10_000), later(3_600)), at(11_805));
        assert_eq!(told.tell(at(13_608), later(7_208)), at(13_608));
        assert_eq!(told.tell(at(13_610), later(7_210)), at(13_610));
        assert_eq!(told.tell(at(13_620), later(7_220)), at(13_620));
        // Set forward it follows at once.
        assert_eq!(told.tell(at(99_000), later(7_221)), at(99_000));
    }

    #[test]
    fn a_fast_clock_wakes_sleepers_sooner() {
        let clock = Clock::fast(60);
        let wait = clock.until(clock.now().plus(Span::from_mins(1)));
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
    }
}
