//! Folding: what is older than the configuration keeps in full becomes sums of whole days, so that marks, incidents and
//! the points of groups do not pile up with the age of the network.
//!
//! Which days those are, an input says: what a calendar makes of a zone is decided once, and read back from the journal.
//! A service is folded as far as nothing of it reaches across the end of a day: an outage that is still open keeps all
//! that began with it. Questions about whole days, and so about months, quarters and years, have the same answers as
//! before, to the microsecond; the lengths of repairs are kept one by one for their quantiles.

use borsh::{BorshDeserialize, BorshSerialize};

use super::Engine;
use super::history::History;
use super::registry::index;
use super::room::tighten;
use super::timeline::Totals;
use crate::model::calendar::Unit;
use crate::model::event::{Body, Event};
use crate::model::time::{Instant, Span};

/// How far before what is folded first the days begin: an event that is older still is none that anybody waits for.
const BEFORE: Span = Span::from_hours(10 * 366 * 24);
/// No day begins before 1970: an earlier time is a clock that was never set.
const FIRST: Instant = Instant::from_micros(0);
/// What is older than this when it is heard of is part of a history that comes in. No window reaches back so far.
const OLD: Span = Span::from_hours(92 * 24);
/// For how long nothing is folded after that.
const QUIET: Span = Span::from_hours(24);

/// Sums by day, by the first instant of each. A day in which nothing happened has none.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Days<T>(Vec<(Instant, T)>);

/// One day of one service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Day {
    pub(super) totals: Totals,
    /// Unplanned outages, and planned ones, that began in it.
    pub(super) outages: u32,
    pub(super) planned: u32,
    /// First acknowledgements in it, and the times from the starts to them.
    pub(super) acknowledged: u32,
    pub(super) acknowledge_micros: i64,
}

/// One day of one group.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct GroupDay {
    /// The integral of each curve that is not nothing: by users, and by services.
    pub(super) areas: Vec<(u8, i128, i128)>,
    pub(super) starts: i64,
    pub(super) planned: i64,
    /// How many, and their lengths.
    pub(super) repairs: (i64, i64),
    pub(super) over: i64,
    pub(super) acknowledged: (i64, i64),
}

impl<T> Default for Days<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Default> Days<T> {
    /// The sums of the day that begins at `start`.
    pub(super) fn of(&mut self, start: Instant) -> &mut T {
        let place = self.0.partition_point(|&(known, _)| known < start);
        if self.0.get(place).is_none_or(|&(known, _)| known != start) {
            self.0.insert(place, (start, T::default()));
        }
        &mut self.0[place].1
    }

    /// Gives back room that nothing needs now.
    pub(super) fn tighten(&mut self) {
        tighten(&mut self.0);
    }

    /// The days that begin in `[from, until)`.
    pub(super) fn within(&self, from: Instant, until: Instant) -> &[(Instant, T)] {
        let first = self.0.partition_point(|&(start, _)| start < from);
        let last = self.0.partition_point(|&(start, _)| start < until);
        &self.0[first..last.max(first)]
    }
}

impl GroupDay {
    /// The integral of the curve of that number.
    pub(super) fn area(&self, curve: usize) -> (i128, i128) {
        self.areas.iter().find(|area| usize::from(area.0) == curve).map_or((0, 0), |&(_, a, b)| (a, b))
    }

    /// Adds to it.
    pub(super) fn add_area(&mut self, curve: usize, more: (i128, i128)) {
        if more == (0, 0) {
            return;
        }
        match self.areas.iter_mut().find(|area| usize::from(area.0) == curve) {
            Some((_, a, b)) => (*a, *b) = (*a + more.0, *b + more.1),
            None => {
                self.areas.reserve_exact(1);
                self.areas.push((u8::try_from(curve).unwrap_or(u8::MAX), more.0, more.1));
            }
        }
    }

    /// Adds another part of the same day.
    pub(super) fn add(&mut self, other: &Self) {
        for &(curve, a, b) in &other.areas {
            self.add_area(usize::from(curve), (a, b));
        }
        let plus = |one: (i64, i64), other: (i64, i64)| (one.0 + other.0, one.1 + other.1);
        self.starts += other.starts;
        self.planned += other.planned;
        self.repairs = plus(self.repairs, other.repairs);
        self.over += other.over;
        self.acknowledged = plus(self.acknowledged, other.acknowledged);
    }
}

/// The days of `days`, each as `(from, until)`, that end after `from`. Before the first one lies all the time before.
pub(super) fn days_after(days: &[Instant], from: Instant) -> impl Iterator<Item = (Instant, Instant)> {
    let first = days.partition_point(|&end| end <= from);
    let start = move |place: usize| place.checked_sub(1).map_or(Instant::MIN, |before| days[before]);
    (first..days.len()).map(move |place| (start(place), days[place]))
}

impl Engine {
    /// Folds all that is over by the last of `days`. They are the first instants of days, in order; those that are not
    /// after the last one known say nothing.
    pub(super) fn fold(&mut self, days: &[Instant]) {
        let known = self.state.days.last().copied();
        let fresh = days.iter().copied().filter(|&day| known.is_none_or(|known| day > known));
        self.state.days.extend(fresh);
        let Some(&last) = self.state.days.last() else { return };
        for place in 0..index(self.registry.len()) {
            // Most services had nothing on a day of a year ago: they are not touched.
            if self.registry.history(place).and_then(History::oldest).is_none_or(|oldest| oldest >= last) {
                continue;
            }
            let since = self.registry.service(place).since;
            let Some(mut history) = self.take_history(place) else { continue };
            let lived = self.state.incidents.lived(&history);
            let clusters: Vec<u32> = history.episodes.iter().map(|episode| episode.cluster).collect();
            for id in history.fold(&self.state.days, since, &lived) {
                self.state.ledger.forget(id);
            }
            let kept = history.episodes.iter().map(|episode| episode.cluster);
            let gone = &clusters[..clusters.len() - kept.len()];
            let until = history.folded_until();
            self.state.incidents.forget(place, &mut history, gone, until);
            self.put_history(place, history);
        }
        for group in &mut self.state.groups {
            group.fold(&self.state.days);
        }
    }

    /// The first instants of days that are over by `until` and not folded yet; the last of them is where they end: all up
    /// to the first day of which something is kept in full, and that one. Who folds them asks again, until there are none:
    /// so no fold is long, however much there is. The first time there are those of ten years without anything before,
    /// so that a question about a whole year has an answer. There are none for a day after anything old was heard of: a
    /// history may be on its way in.
    #[must_use]
    pub fn days_over(&self, until: Instant) -> Vec<Instant> {
        if self.state.now < self.state.last_old.plus(QUIET) {
            return Vec::new();
        }
        let calendar = self.calendar();
        let oldest = self.oldest().unwrap_or(Instant::MAX);
        let mut day = match self.folded_until() {
            Some(last) => calendar.containing(Unit::Day, last).until,
            None if oldest < until => {
                calendar.containing(Unit::Year, oldest.min(until.minus(BEFORE)).max(FIRST)).from
            }
            None => return Vec::new(),
        };
        let mut days = Vec::new();
        while day <= until {
            days.push(day);
            if day > oldest {
                break;
            }
            day = calendar.containing(Unit::Day, day).until;
        }
        days
    }

    /// From when on everything is kept in full; absent when all of it is.
    #[must_use]
    pub fn folded_until(&self) -> Option<Instant> {
        self.state.days.last().copied()
    }

    /// Whether figures that begin or end at `at` are exact: it is not folded, or begins a day.
    #[must_use]
    pub fn is_exact_at(&self, at: Instant) -> bool {
        let days = &self.state.days;
        let (Some(&first), Some(&last)) = (days.first(), days.last()) else { return true };
        at < first || at >= last || days.binary_search(&at).is_ok()
    }

    /// The first instant of the day in which `at` lies, of those that are folded.
    pub(super) fn day_of(&self, at: Instant) -> Instant {
        let begun = self.state.days.partition_point(|&day| day <= at);
        begun.checked_sub(1).map_or(Instant::MIN, |place| self.state.days[place])
    }

    /// When the oldest that is known of any service took place.
    fn oldest(&self) -> Option<Instant> {
        let histories = self.registry.kept.services.iter().filter_map(|service| service.history.as_deref());
        histories.filter_map(History::oldest).min()
    }

    /// Whether an instant lies in what is folded. What lies around many services stays as it was there, for those that
    /// are folded so far and for those that are not.
    pub(super) fn is_folded(&self, at: Instant) -> bool {
        self.folded_until().is_some_and(|folded| at < folded)
    }

    /// Takes note of when the last event of a history came in.
    pub(super) fn note_age(&mut self, event: &Event, now: Instant) {
        if event.time < now.minus(OLD) {
            self.state.last_old = now;
        }
    }

    /// Whether the event is about what is folded already, so that no figure can take it in any more.
    pub(super) fn is_too_old(&self, event: &Event, place: Option<u32>) -> bool {
        let (Some(&first), Some(&last)) = (self.state.days.first(), self.state.days.last()) else { return false };
        match (&event.body, place) {
            (Body::Heartbeat, _) => event.time < last,
            // What they change says which instants they are about.
            (Body::MaintenancePlanned { .. } | Body::MaintenanceCancelled { .. }, _) => false,
            (body, Some(place)) if !body.is_sample() => {
                let history = self.registry.service(place).history.as_deref();
                event.time < first || history.is_some_and(|history| event.time < history.folded_until())
            }
            _ => false,
        }
    }
}
