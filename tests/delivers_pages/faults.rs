//! Seeded faults, in three lanes at once: the daemon; the pair of Alertmanagers, of which one at a time fails, since a
//! pair promises no more; and the doors before them, before the pager and before the desk.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fastrand::Rng;
use fournines::clock::Clock;

use super::door::Manner;
use super::house::House;
use super::records::{Party, Trouble};

/// How long what was killed stays down, what is paused stays so and a door misbehaves, in milliseconds.
const LASTS_MILLIS: std::ops::Range<u64> = 100..2_000;
/// The pause after a fault of the daemon, of the pair and of a door. The pair's is so long that the one that failed
/// has its peer's log again before the other one fails.
const DAEMON_REST_MILLIS: std::ops::Range<u64> = 500..3_500;
const PAIR_REST_MILLIS: std::ops::Range<u64> = 2_500..4_500;
const DOOR_REST_MILLIS: std::ops::Range<u64> = 200..1_500;
/// How slow an answer is: faster than one Alertmanager ceases to wait for the other.
const SLOW_MILLIS: std::ops::Range<u64> = 50..400;
/// How often the progress is told.
const TOLD_EVERY: usize = 25;

/// Makes `count` faults, and returns what was made to fail and when.
pub(crate) fn run(house: &House, seed: u64, count: usize) -> Vec<Trouble> {
    let faults =
        Faults { house, count, begun: AtomicUsize::new(0), made: Mutex::default(), clock: Clock::system() };
    std::thread::scope(|scope| {
        scope.spawn(|| faults.daemon(&mut Rng::with_seed(seed ^ 1)));
        scope.spawn(|| faults.pair(&mut Rng::with_seed(seed ^ 2)));
        scope.spawn(|| faults.doors(&mut Rng::with_seed(seed ^ 3)));
    });
    faults.made.into_inner().unwrap()
}

struct Faults<'h> {
    house: &'h House,
    count: usize,
    begun: AtomicUsize,
    made: Mutex<Vec<Trouble>>,
    clock: Clock,
}

impl Faults<'_> {
    /// Whether there is another one to be made.
    fn next(&self) -> bool {
        let begun = self.begun.fetch_add(1, Ordering::Relaxed) + 1;
        if begun <= self.count && begun.is_multiple_of(TOLD_EVERY) {
            eprintln!("{begun} of {} faults", self.count);
        }
        begun <= self.count
    }

    fn note(&self, whom: Party, what: &'static str, fault: impl FnOnce()) {
        let from = self.clock.now();
        fault();
        let until = self.clock.now();
        self.made.lock().unwrap().push(Trouble { whom, what, from, until });
    }

    fn daemon(&self, chance: &mut Rng) {
        while self.next() {
            self.process(chance, Party::Daemon);
            sleep(chance.u64(DAEMON_REST_MILLIS));
        }
    }

    fn pair(&self, chance: &mut Rng) {
        while self.next() {
            let whom = [Party::A, Party::B][chance.usize(0..2)];
            self.process(chance, whom);
            sleep(chance.u64(PAIR_REST_MILLIS));
        }
    }

    /// Kills a process and starts it again, or pauses it.
    fn process(&self, chance: &mut Rng, whom: Party) {
        let peer = self.house.peer(whom);
        let lasts = chance.u64(LASTS_MILLIS);
        if chance.bool() {
            self.note(whom, "killed", || {
                peer.kill();
                sleep(lasts);
                peer.begin();
            });
        } else {
            self.note(whom, "paused", || {
                peer.signal("STOP");
                sleep(lasts);
                peer.signal("CONT");
            });
        }
    }

    fn doors(&self, chance: &mut Rng) {
        while self.next() {
            let doors = [Party::Pager, Party::Pager, Party::Desk, Party::Desk, Party::DoorA, Party::DoorB];
            let whom = doors[chance.usize(0..doors.len())];
            let slow = Manner::Slowly(chance.u64(SLOW_MILLIS));
            let (manner, what) = [
                (slow, "slow"),
                (Manner::Refusing, "answered 500"),
                (Manner::HangingUp, "hung up unread"),
                (Manner::Silent, "hung up unanswered"),
                (Manner::Closed, "closed"),
            ][chance.usize(0..5)];
            let lasts = chance.u64(LASTS_MILLIS);
            self.note(whom, what, || {
                let door = self.house.door(whom);
                door.treat(manner);
                sleep(lasts);
                door.treat(Manner::Well);
            });
            sleep(chance.u64(DOOR_REST_MILLIS));
        }
    }
}

fn sleep(millis: u64) {
    std::thread::sleep(Duration::from_millis(millis));
}
