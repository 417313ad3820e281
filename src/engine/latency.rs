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

/// How many samples wait to be sorted in.
const FRESH_MAX: usize = 64;

/// Samples of one service.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct Latency {
    rings: [Ring; 4],
    /// The latest samples, which are in no slot yet: many at once are sorted in at less cost.
    fresh: Vec<Fresh>,
}

/// Samples that are not sorted in yet.
#[derive(Clone, Copy, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
struct Fresh {
    minute: u32,
    samples: u32,
    class: u16,
    bad: bool,
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
    /// Counts samples of `at` in.
    pub fn add(&mut self, at: Instant, took: Span, count: u64, within: bool, now: Instant) {
        let samples = u32::try_from(count).unwrap_or(u32::MAX);
        self.fresh.push(Fresh { minute: slot_of(at, 1), class: class_of(took), samples, bad: !within });
        if self.fresh.len() >= FRESH_MAX {
            self.sort_in(now);
        }
    }

    /// Sorts the latest samples into their slots, and lets go of what no window can reach any more at `now`.
    pub(super) fn sort_in(&mut self, now: Instant) {
        let mut fresh = std::mem::take(&mut self.fresh);
        let mut by_class = fresh.clone();
        by_class.sort_unstable_by_key(|sample| sample.class);
        fresh.sort_unstable_by_key(|sample| sample.minute);
        for (ring, (minutes, kept)) in self.rings.iter_mut().zip(RESOLUTIONS) {
            let oldest = (slot_of(now, minutes) + 1).saturating_sub(u32::try_from(kept).unwrap_or(0));
            ring.add((&fresh, &by_class), minutes, oldest);
        }
        fresh.clear();
        self.fresh = fresh;
    }

    /// Whether any sample of the window that ends at `at` was beyond its limit.
    pub(super) fn has_bad(&self, resolution: usize, length: Span, at: Instant) -> bool {
        let (first, last) = reach(resolution, length, at);
        let minutes = RESOLUTIONS[resolution].0;
        let inside = |sample: &&Fresh| (first..=last).contains(&sample.slot(minutes));
        self.fresh.iter().filter(inside).any(|sample| sample.bad)
            || self.rings[resolution].slots(first, last).any(|count| count.bad > 0)
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
        let minutes = RESOLUTIONS[resolution].0;
        let fresh = || self.fresh.iter().filter(|sample| (first..=last).contains(&sample.slot(minutes)));
        let counted = fresh().fold(Counted::of(ring.slots(first, last)), |counted, sample| Counted {
            samples: counted.samples + u64::from(sample.samples),
            bad: counted.bad + sample.counted_bad(),
        });
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
        for sample in fresh() {
            counts[usize::from(sample.class)] += u64::from(sample.samples);
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

    /// What the window of that length is at `at`, that instant included, and becomes later. All must be sorted in.
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

impl Fresh {
    fn slot(&self, minutes: i64) -> u32 {
        u32::try_from(minutes).map_or(0, |minutes| self.minute / minutes)
    }

    fn counted_bad(&self) -> u64 {
        if self.bad { u64::from(self.samples) } else { 0 }
    }
}

impl Ring {
    /// Adds samples, given by minute and once more by class, and lets go of what is before the slot `oldest`.
    fn add(&mut self, (by_minute, by_class): (&[Fresh], &[Fresh]), minutes: i64, oldest: u32) {
        let count = |sample: &Fresh| {
            let (slot, samples) = (sample.slot(minutes), sample.samples);
            SlotCount { slot, samples, bad: if sample.bad { samples } else { 0 } }
        };
        let counts: Vec<SlotCount> = by_minute.iter().map(count).collect();
        merge(&mut self.counts, &counts, oldest);
        let class = |sample: &Fresh| {
            let (slot, samples) = (sample.slot(minutes), sample.samples);
            ClassCount { slot, class: sample.class, samples }
        };
        let mut classes: Vec<ClassCount> = by_class.iter().map(class).collect();
        // Those of one slot, and mostly there is no other, are in order as they are.
        classes.sort_unstable_by_key(ClassCount::key);
        merge(&mut self.classes, &classes, oldest);
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

/// A count of something.
trait Count: Copy {
    /// What it counts; slots first.
    fn key(&self) -> u64;
    fn slot(&self) -> u32;
    fn add(&mut self, other: Self);
}

impl Count for SlotCount {
    fn key(&self) -> u64 {
        u64::from(self.slot)
    }

    fn slot(&self) -> u32 {
        self.slot
    }

    fn add(&mut self, other: Self) {
        self.samples = self.samples.saturating_add(other.samples);
        self.bad = self.bad.saturating_add(other.bad);
    }
}

impl Count for ClassCount {
    fn key(&self) -> u64 {
        u64::from(self.slot) << 16 | u64::from(self.class)
    }

    fn slot(&self) -> u32 {
        self.slot
    }

    fn add(&mut self, other: Self) {
        self.samples = self.samples.saturating_add(other.samples);
    }
}

/// Adds sorted counts to sorted ones, and lets go of what is before the slot `oldest`. Most are counted already: they are
/// only counted up, and nothing is moved.
fn merge<T: Count>(counts: &mut VecDeque<T>, fresh: &[T], oldest: u32) {
    while counts.front().is_some_and(|count| count.slot() < oldest) {
        counts.pop_front();
    }
    let fresh = &fresh[fresh.partition_point(|count| count.slot() < oldest)..];
    let Some(first) = fresh.first().map(Count::key) else { return };
    let beyond = counts.back().is_none_or(|last| last.key() < first);
    let from = if beyond { counts.len() } else { counts.partition_point(|count| count.key() < first) };
    let mut more: Vec<T> = Vec::new();
    let known = tail(counts, from);
    let mut at = 0;
    for &next in fresh {
        while known.get(at).is_some_and(|count| count.key() < next.key()) {
            at += 1;
        }
        match known.get_mut(at).filter(|count| count.key() == next.key()) {
            Some(count) => count.add(next),
            None => match more.last_mut().filter(|last| last.key() == next.key()) {
                Some(last) => last.add(next),
                None => more.push(next),
            },
        }
    }
    if more.is_empty() {
        return;
    }
    // From the last one on, each goes to where it belongs in the longer list.
    let (mut old, mut place) = (known.len(), known.len() + more.len());
    counts.extend(more.iter().copied());
    let known = tail(counts, from);
    while let Some(last) = more.last().copied() {
        place -= 1;
        if old > 0 && known[old - 1].key() > last.key() {
            old -= 1;
            known[place] = known[old];
        } else {
            known[place] = last;
            more.pop();
        }
    }
}

/// What is from the place `from` on, in one piece.
fn tail<T>(counts: &mut VecDeque<T>, from: usize) -> &mut [T] {
    let (front, back) = counts.as_slices();
    let first = front.len();
    if from < first && !back.is_empty() {
        return &mut counts.make_contiguous()[from..];
    }
    let (front, back) = counts.as_mut_slices();
    if from < first { &mut front[from..] } else { &mut back[from - first..] }
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
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Wherever in its room the list begins.
        #[test]
        fn merged_counts_are_the_sums_by_key_of_what_is_not_too_old(
            rounds in prop::collection::vec((prop::collection::vec((0_u32..6, 0_u16..6), 0..12), 0_u32..3), 1..12),
            turned in 0_usize..40,
        ) {
            let mut counts: VecDeque<ClassCount> = VecDeque::with_capacity(40);
            for _ in 0..turned {
                counts.push_back(ClassCount { slot: 0, class: 0, samples: 0 });
                counts.pop_front();
            }
            let mut naive: BTreeMap<(u32, u16), u32> = BTreeMap::new();
            let mut oldest = 0;
            for (samples, later) in rounds {
                oldest += later;
                // Some are of before.
                let slots = samples.into_iter().map(|(slot, class)| ((oldest + slot).saturating_sub(2), class));
                let mut fresh: Vec<ClassCount> =
                    slots.map(|(slot, class)| ClassCount { slot, class, samples: 1 + u32::from(class) }).collect();
                fresh.sort_unstable_by_key(ClassCount::key);
                merge(&mut counts, &fresh, oldest);
                for ClassCount { slot, class, samples } in fresh {
                    *naive.entry((slot, class)).or_default() += samples;
                }
                naive.retain(|&(slot, _), _| slot >= oldest);
                let found = counts.iter().map(|count| ((count.slot, count.class), count.samples));
                prop_assert_eq!(found.collect::<BTreeMap<_, _>>(), naive.clone());
                prop_assert!(counts.iter().is_sorted_by(|one, next| one.key() < next.key()));
            }
        }
    }

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
        latency.sort_in(at(7200));
        let mut leaving = latency.leaving(0, Span::from_hours(1), at(7199));
        assert_eq!(leaving.next_leaves(), Some(at(7200)));
        leaving.go_to(at(7260));
        assert_eq!(leaving.counted.samples, 3600 - 120);
        assert_eq!(latency.next_comes(at(7000)), Some(at(7020)));
    }
}
