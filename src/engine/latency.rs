//! Latency: how many samples were within their limit, and quantiles to 1 %, over the rolling windows.
//!
//! Samples are counted into slots at four resolutions, so that ninety days of them take no more room than a day. A
//! window is made of whole slots: of one hour the last 60 minutes, of a day the last 144 pieces of ten minutes, of a
//! week the last 84 of two hours, beyond that days of UTC; the last of them is the one that is going on.

use std::collections::{VecDeque, vec_deque};

use borsh::{BorshDeserialize, BorshSerialize};

use super::repairs::rank;
use crate::model::figures::LatencyFigures;
use crate::model::time::{Instant, Span, Window};

/// The length of a slot in minutes at each resolution, and how many are kept: for the longest window read from it, and
/// one more, as a window that ends with a slot still reaches back to its first one when the next has begun.
const RESOLUTIONS: [(i64, i64); 4] = [(1, 61), (10, 145), (120, 85), (24 * 60, 91)];

/// Samples of one service.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Latency {
    rings: [Ring; 4],
}

/// Samples at one resolution. A slot is named by its number since 1970.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
struct Ring {
    /// Sorted by slot.
    counts: VecDeque<SlotCount>,
    /// How many samples of each class, sorted by slot, then class.
    classes: VecDeque<ClassCount>,
}

#[derive(Clone, Copy, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
struct SlotCount {
    slot: u32,
    samples: u32,
    bad: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
struct ClassCount {
    slot: u32,
    class: u16,
    samples: u32,
}

/// How many samples there were, and how many of them beyond their limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) samples: u64,
    pub(super) bad: u64,
}

/// A window as time goes on: what is counted in it, slot by slot as they leave.
pub(super) struct Leaving<'a> {
    slots: vec_deque::Iter<'a, SlotCount>,
    minutes: i64,
    slots_max: i64,
    pub(super) counted: Counted,
}

impl Latency {
    /// Counts samples of `at` in, and lets go of what no window can reach any more at `now`.
    pub fn add(&mut self, at: Instant, took: Span, count: u64, within: bool, now: Instant) {
        let class = class_of(took);
        let samples = u32::try_from(count).unwrap_or(u32::MAX);
        for (ring, (minutes, kept)) in self.rings.iter_mut().zip(RESOLUTIONS) {
            let oldest = (slot_of(now, minutes) + 1).saturating_sub(u32::try_from(kept).unwrap_or(0));
            ring.add(slot_of(at, minutes), oldest, class, (samples, within));
        }
    }

    /// The figures of the window that ends at `at`.
    #[must_use]
    pub fn figures(&self, window: Window, at: Instant) -> LatencyFigures {
        let resolution = match window {
            Window::Hour => 0,
            Window::Day => 1,
            Window::Week => 2,
            Window::Month | Window::Quarter => 3,
        };
        // A window that ends with a slot does not reach into the next one.
        let (first, last) = reach(resolution, window.length(), at.minus(Span::TICK));
        let ring = &self.rings[resolution];
        let counted = Counted::of(ring.slots(first, last));
        let mut figures = LatencyFigures {
            samples: counted.samples,
            within: counted.samples - counted.bad,
            ..Default::default()
        };
        let Ok(samples) = usize::try_from(counted.samples) else { return figures };
        if samples == 0 {
            return figures;
        }
        let mut counts = [0_u64; CLASSES];
        let from = ring.classes.partition_point(|count| count.slot < first);
        for count in ring.classes.range(from..).take_while(|count| count.slot <= last) {
            counts[usize::from(count.class)] += u64::from(count.samples);
        }
        let quantile = |percent| {
            let wanted = rank(samples, percent) as u64;
            let mut passed = 0;
            let class = counts.iter().position(|&count| {
                passed += count;
                passed > wanted
            });
            class.map(middle_of)
        };
        (figures.p50, figures.p95, figures.p99) = (quantile(50), quantile(95), quantile(99));
        figures
    }

    /// What the window of that length is at `at`, that instant included, and becomes later.
    pub(super) fn leaving(&self, resolution: usize, length: Span, at: Instant) -> Leaving<'_> {
        let (first, last) = reach(resolution, length, at);
        let slots = self.rings[resolution].slots(first, last);
        let minutes = RESOLUTIONS[resolution].0;
        Leaving {
            counted: Counted::of(slots.clone()),
            slots,
            minutes,
            slots_max: length.as_micros() / Span::from_mins(minutes).as_micros(),
        }
    }

    /// When the first samples that lie ahead of `at` come into their windows.
    pub(super) fn next_comes(&self, at: Instant) -> Option<Instant> {
        let comes = |(ring, (minutes, _)): (&Ring, (i64, i64))| {
            let ahead =
                ring.counts.iter().rev().map(|count| count.slot).take_while(|&slot| slot > slot_of(at, minutes));
            ahead.min().map(|slot| start_of(i64::from(slot), minutes))
        };
        self.rings.iter().zip(RESOLUTIONS).filter_map(comes).min()
    }
}

impl Ring {
    fn add(&mut self, slot: u32, oldest: u32, class: u16, (samples, within): (u32, bool)) {
        while self.counts.front().is_some_and(|count| count.slot < oldest) {
            self.counts.pop_front();
        }
        while self.classes.front().is_some_and(|count| count.slot < oldest) {
            self.classes.pop_front();
        }
        if slot < oldest {
            return;
        }
        let place = last_place(&self.counts, |count| count.slot < slot);
        if self.counts.get(place).is_none_or(|count| count.slot != slot) {
            self.counts.insert(place, SlotCount { slot, samples: 0, bad: 0 });
        }
        let count = &mut self.counts[place];
        count.samples = count.samples.saturating_add(samples);
        count.bad = count.bad.saturating_add(if within { 0 } else { samples });
        let place = last_place(&self.classes, |count| (count.slot, count.class) < (slot, class));
        match self.classes.get_mut(place) {
            Some(count) if (count.slot, count.class) == (slot, class) => {
                count.samples = count.samples.saturating_add(samples);
            }
            _ => self.classes.insert(place, ClassCount { slot, class, samples }),
        }
    }

    /// What is counted from the first slot to the last.
    fn slots(&self, first: u32, last: u32) -> vec_deque::Iter<'_, SlotCount> {
        let from = self.counts.partition_point(|count| count.slot < first);
        let until = self.counts.partition_point(|count| count.slot <= last);
        self.counts.range(from..until)
    }
}

impl Counted {
    fn of<'a>(slots: impl Iterator<Item = &'a SlotCount>) -> Self {
        slots.fold(Self::default(), |counted, slot| Self {
            samples: counted.samples + u64::from(slot.samples),
            bad: counted.bad + u64::from(slot.bad),
        })
    }
}

/// Where what is not `before` begins: mostly at the end, or just before it.
fn last_place<T>(list: &VecDeque<T>, before: impl Fn(&T) -> bool) -> usize {
    if list.back().is_none_or(&before) { list.len() } else { list.partition_point(before) }
}

impl Leaving<'_> {
    /// When the oldest slot leaves.
    pub(super) fn next_leaves(&self) -> Option<Instant> {
        let oldest = self.slots.clone().next()?;
        Some(start_of(i64::from(oldest.slot) + self.slots_max, self.minutes))
    }

    /// Lets go of everything that has left by `at`.
    pub(super) fn go_to(&mut self, at: Instant) {
        while self.next_leaves().is_some_and(|leaves| leaves <= at) {
            if let Some(gone) = self.slots.next() {
                self.counted.samples -= u64::from(gone.samples);
                self.counted.bad -= u64::from(gone.bad);
            }
        }
    }
}

/// The first and the last slot of a window that ends in the slot of `at`.
fn reach(resolution: usize, length: Span, at: Instant) -> (u32, u32) {
    let minutes = RESOLUTIONS[resolution].0;
    let last = slot_of(at, minutes);
    let count = length.as_micros() / Span::from_mins(minutes).as_micros();
    ((last + 1).saturating_sub(u32::try_from(count).unwrap_or(u32::MAX)), last)
}

fn start_of(slot: i64, minutes: i64) -> Instant {
    Instant::from_micros(slot * minutes * 60_000_000)
}

/// The slot that an instant lies in. What was measured before 1970 was so in the first one.
fn slot_of(at: Instant, minutes: i64) -> u32 {
    u32::try_from(at.as_micros().div_euclid(minutes * 60_000_000).max(0)).unwrap_or(u32::MAX / 2)
}

/// Classes to each doubling: their middle is off by less than 1/128 of any value in them.
const PER_DOUBLING: u64 = 64;
/// Microseconds up to which each value has a class of its own, and doublings beyond.
const CLASSES: usize = (64 + 64 * (63 - 6 + 1)) as usize;

/// The class of a value: whole numbers only, so that replicas agree to the bit whatever machine they run on.
fn class_of(took: Span) -> u16 {
    let micros = took.as_micros().max(0).unsigned_abs();
    if micros < PER_DOUBLING {
        return u16::try_from(micros).unwrap_or(0);
    }
    let doubling = u64::from(micros.ilog2()) - 6;
    let part = (micros >> doubling) - PER_DOUBLING;
    u16::try_from(PER_DOUBLING + doubling * PER_DOUBLING + part).unwrap_or(u16::MAX)
}

/// The middle of a class.
fn middle_of(class: usize) -> Span {
    let class = class as u64;
    let micros = if class < PER_DOUBLING {
        class
    } else {
        let (doubling, part) = ((class - PER_DOUBLING) / PER_DOUBLING, (class - PER_DOUBLING) % PER_DOUBLING);
        ((PER_DOUBLING + part) << doubling) + ((1 << doubling) >> 1)
    };
    Span::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_off_by_less_than_one_percent() {
        for micros in (0..200).chain((0..4000).map(|n| n * n * 37 + n)).chain([320_000_000_000_000]) {
            let found = middle_of(usize::from(class_of(Span::from_micros(micros)))).as_micros();
            assert!((found - micros).abs() * 128 <= micros, "{micros} became {found}");
        }
    }

    #[test]
    fn windows_are_whole_slots_and_what_is_late_counts_where_it_belongs() {
        let at = |seconds: i64| Instant::from_micros(seconds * 1_000_000);
        let mut latency = Latency::default();
        let ms = Span::from_millis;
        for n in 0..7200 {
            latency.add(at(n), ms(10 + n % 100), 1, n % 100 < 90, at(n));
        }
        let hour = latency.figures(Window::Hour, at(7200));
        assert_eq!((hour.samples, hour.within), (3600, 3240));
        assert!((hour.p50.unwrap().as_secs_f64() - 0.059).abs() < 0.0006, "{hour:?}");
        assert!((hour.p95.unwrap().as_secs_f64() - 0.104).abs() < 0.0011, "{hour:?}");
        assert_eq!(latency.figures(Window::Hour, at(7201)).samples, 3540);
        assert_eq!(latency.figures(Window::Day, at(7200)).samples, 7200);
        // Too old for minutes, but not for days.
        latency.add(at(0), ms(10), 5, true, at(7200));
        assert_eq!(latency.figures(Window::Hour, at(7200)).samples, 3600);
        assert_eq!(latency.figures(Window::Month, at(7200)).samples, 7205);
        assert_eq!(latency.figures(Window::Hour, at(86_400)), LatencyFigures::default());
        let mut leaving = latency.leaving(0, Span::from_hours(1), at(7199));
        assert_eq!(leaving.next_leaves(), Some(at(7200)));
        leaving.go_to(at(7260));
        assert_eq!(leaving.counted.samples, 3600 - 120);
        assert_eq!(latency.next_comes(at(7000)), Some(at(7020)));
    }
}
