//! Latency: how many samples were within their limit, and quantiles to 1 %, over the rolling windows.
//!
//! Samples are counted into slots at four resolutions, so that ninety days of them take no more room than a day. A
//! window is made of whole slots: of one hour the last 60 minutes, of a day the last 144 pieces of ten minutes, of a
//! week the last 84 of two hours, beyond that days of UTC; the last of them is the one that is going on.

use std::collections::VecDeque;

use borsh::{BorshDeserialize, BorshSerialize};

use super::repairs::rank;
use crate::model::figures::LatencyFigures;
use crate::model::time::{Instant, Span, Window};

/// The length of a slot in minutes at each resolution, and how many are kept: for the longest window read from it.
const RESOLUTIONS: [(i64, i64); 4] = [(1, 60), (10, 144), (120, 84), (24 * 60, 90)];

/// Samples of one service.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Latency {
    rings: [VecDeque<Slot>; 4],
}

/// Samples of one slot of time.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
struct Slot {
    /// Slots since 1970.
    number: i64,
    samples: u64,
    within: u64,
    /// How many samples of each class, sorted by class.
    classes: Vec<(u16, u32)>,
}

/// How many samples there were, and how many of them beyond their limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) samples: u64,
    pub(super) bad: u64,
}

impl Latency {
    /// Counts samples in.
    pub(super) fn add(&mut self, at: Instant, took: Span, count: u64, within: bool) {
        let class = class_of(took);
        for (ring, (minutes, kept)) in self.rings.iter_mut().zip(RESOLUTIONS) {
            let number = slot_of(at, minutes);
            let newest = ring.back().map_or(number, |slot| slot.number.max(number));
            if number <= newest - kept {
                continue;
            }
            while ring.front().is_some_and(|slot| slot.number <= newest - kept) {
                ring.pop_front();
            }
            let place = ring.partition_point(|slot| slot.number < number);
            if ring.get(place).is_none_or(|slot| slot.number != number) {
                ring.insert(place, Slot { number, samples: 0, within: 0, classes: Vec::new() });
            }
            ring[place].add(class, count, within);
        }
    }

    /// The figures of the window that ends at `at`.
    pub(super) fn figures(&self, window: Window, at: Instant) -> LatencyFigures {
        let resolution = match window {
            Window::Hour => 0,
            Window::Day => 1,
            Window::Week => 2,
            Window::Month | Window::Quarter => 3,
        };
        let mut counts = [0_u64; CLASSES];
        let mut figures = LatencyFigures::default();
        // A window that ends with a slot does not reach into the next one.
        for slot in self.slots(resolution, window.length(), at.minus(Span::from_micros(1))) {
            figures.samples += slot.samples;
            figures.within += slot.within;
            for &(class, count) in &slot.classes {
                counts[usize::from(class)] += u64::from(count);
            }
        }
        let Ok(samples) = usize::try_from(figures.samples) else { return figures };
        if samples == 0 {
            return figures;
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

    /// How many there were in the `length` up to `at`, that instant included, from slots of that resolution.
    pub(super) fn counted(&self, resolution: usize, length: Span, at: Instant) -> Counted {
        let mut counted = Counted::default();
        for slot in self.slots(resolution, length, at) {
            counted.samples += slot.samples;
            counted.bad += slot.samples - slot.within;
        }
        counted
    }

    /// The first instant after `at` at which a slot leaves that window, or one comes into it.
    pub(super) fn next_moves(&self, resolution: usize, length: Span, at: Instant) -> Option<Instant> {
        let minutes = RESOLUTIONS[resolution].0;
        let count = length.as_micros() / Span::from_mins(minutes).as_micros();
        let leaves = self.slots(resolution, length, at).next().map(|slot| slot.number + count);
        let last = slot_of(at, minutes);
        let comes = self.rings[resolution].iter().rev().map(|slot| slot.number).take_while(|&number| number > last);
        let first = leaves.into_iter().chain(comes).min()?;
        Some(Instant::from_micros(first * minutes * 60_000_000))
    }

    fn slots(&self, resolution: usize, length: Span, at: Instant) -> impl Iterator<Item = &Slot> {
        let minutes = RESOLUTIONS[resolution].0;
        let last = slot_of(at, minutes);
        let count = length.as_micros() / Span::from_mins(minutes).as_micros();
        let ring = &self.rings[resolution];
        let from = ring.partition_point(|slot| slot.number <= last - count);
        ring.range(from..).take_while(move |slot| slot.number <= last)
    }
}

impl Slot {
    fn add(&mut self, class: u16, count: u64, within: bool) {
        self.samples = self.samples.saturating_add(count);
        if within {
            self.within = self.within.saturating_add(count);
        }
        let place = self.classes.partition_point(|&(known, _)| known < class);
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        match self.classes.get_mut(place) {
            Some((known, so_far)) if *known == class => *so_far = so_far.saturating_add(count),
            _ => self.classes.insert(place, (class, count)),
        }
    }
}

fn slot_of(at: Instant, minutes: i64) -> i64 {
    at.as_micros().div_euclid(minutes * 60_000_000)
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
            latency.add(at(n), ms(10 + n % 100), 1, n % 100 < 90);
        }
        let hour = latency.figures(Window::Hour, at(7200));
        assert_eq!((hour.samples, hour.within), (3600, 3240));
        assert!((hour.p50.unwrap().as_secs_f64() - 0.059).abs() < 0.0006, "{hour:?}");
        assert!((hour.p95.unwrap().as_secs_f64() - 0.104).abs() < 0.0011, "{hour:?}");
        assert_eq!(latency.figures(Window::Hour, at(7201)).samples, 3540);
        assert_eq!(latency.figures(Window::Day, at(7200)).samples, 7200);
        // Too old for minutes, but not for days.
        latency.add(at(0), ms(10), 5, true);
        assert_eq!(latency.figures(Window::Hour, at(7200)).samples, 3600);
        assert_eq!(latency.figures(Window::Month, at(7200)).samples, 7205);
        assert_eq!(latency.figures(Window::Hour, at(86_400)), LatencyFigures::default());
        assert_eq!(latency.next_moves(0, Span::from_hours(1), at(7199)), Some(at(7200)));
    }
}
