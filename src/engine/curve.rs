//! The curve of an incident: how much is down from when on, summed over its services, and the segments between which
//! that stays the same.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::levels::{Peak, Segment, greater};
use crate::model::time::{Instant, Span};

/// How much is down from when on.
#[derive(Clone, Debug, Default)]
pub(super) struct Curve {
    /// What changes when, by kind of service.
    steps: BTreeMap<(Instant, u32), Step>,
    /// How many of the services are of each kind.
    kinds: BTreeMap<u32, u32>,
    /// How many users of each kind are still without service after all steps.
    users: BTreeMap<u32, i128>,
    /// How it stood from when on.
    pub(super) segments: Vec<Segment>,
}

/// How much more there is from an instant on, and how much there is at that instant alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) from: Amount,
    pub(super) just: Amount,
}

/// An amount of what is down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) users: i128,
    /// Topmost services that are down, those of them whose users are known, and those whose users the catalogue says.
    pub(super) down: i64,
    pub(super) known: i64,
    pub(super) guessed: i64,
}

impl Amount {
    pub(super) fn plus(self, other: Self, sign: i64) -> Self {
        Self {
            users: self.users + other.users * i128::from(sign),
            down: self.down + other.down * sign,
            known: self.known + other.known * sign,
            guessed: self.guessed + other.guessed * sign,
        }
    }
}

impl Curve {
    /// Adds a service of a kind, or with `sign` −1 takes it away.
    pub(super) fn count(&mut self, kind: u32, edges: &[(Instant, Step)], sign: i64) {
        for &(at, step) in edges {
            let known = self.steps.entry((at, kind)).or_default();
            known.from = known.from.plus(step.from, sign);
            known.just = known.just.plus(step.just, sign);
            if *known == Step::default() {
                self.steps.remove(&(at, kind));
            }
            *self.users.entry(kind).or_default() += step.from.users * i128::from(sign);
        }
        tally(&mut self.kinds, kind, sign);
    }

    /// Builds the segments again from `from` on.
    pub(super) fn rebuild(&mut self, mut from: Instant, users_of: &dyn Fn(u32) -> u64) {
        let keep = self.segments.partition_point(|segment| segment.start < from);
        self.segments.truncate(keep);
        // What is there for an instant alone says nothing of what comes after it.
        while let Some(last) = self.segments.pop_if(|last| last.end == Some(last.start)) {
            from = last.start;
        }
        // One that ended by something that is built again goes on until then.
        if let Some(last) = self.segments.last_mut().filter(|last| last.end.is_some_and(|end| end >= from)) {
            last.end = None;
        }
        let mut running = Amount::default();
        let mut by_kind: BTreeMap<u32, i128> = BTreeMap::new();
        let several = self.kinds.len() > 1;
        if let Some(last) = self.segments.last().filter(|last| last.end.is_none()) {
            running = last.amount();
            if several {
                // Mostly there is less after it than before it.
                by_kind.clone_from(&self.users);
                for (&(_, kind), step) in self.steps.range((from, 0)..) {
                    *by_kind.entry(kind).or_default() -= step.from.users;
                }
            }
        }
        let only = self.kinds.keys().next().copied().unwrap_or_default();
        let share = |amount: Amount, by_kind: &BTreeMap<u32, i128>| {
            if !several {
                return (positive(amount.users), users_of(only));
            }
            by_kind.iter().map(|(&kind, &users)| (positive(users), users_of(kind))).fold((0, 0), greater)
        };
        let mut steps = self.steps.range((from, 0)..).peekable();
        while let Some(&(&(at, _), _)) = steps.peek() {
            let mut just = Amount::default();
            let mut just_by_kind = BTreeMap::new();
            while let Some((&(_, kind), step)) = steps.next_if(|&(&(next, _), _)| next == at) {
                running = running.plus(step.from, 1);
                just = just.plus(step.just, 1);
                if several {
                    *by_kind.entry(kind).or_default() += step.from.users;
                    just_by_kind.insert(kind, step.just.users);
                }
            }
            if just.down > 0 {
                let mut together = by_kind.clone();
                just_by_kind.into_iter().for_each(|(kind, users)| *together.entry(kind).or_default() += users);
                let peak = running.plus(just, 1);
                extend(&mut self.segments, at, peak, share(peak, &together));
                if let Some(last) = self.segments.last_mut().filter(|last| last.end.is_none() && last.start == at) {
                    last.end = Some(at);
                }
            }
            extend(&mut self.segments, at, running, share(running, &by_kind));
        }
    }
}

/// Goes on from `at` on with so much.
fn extend(segments: &mut Vec<Segment>, at: Instant, amount: Amount, share: (u64, u64)) {
    if let Some(last) = segments.last_mut().filter(|last| last.end.is_none()) {
        if last.amount() == amount && last.share == share {
            return;
        }
        last.end = Some(at);
    }
    if amount.down == 0 {
        return;
    }
    let (down_before, lost_before, peak) = segments.last().map_or((Span::ZERO, 0, Peak::default()), |last| {
        (last.down_before.plus(last.length()), last.lost(), last.peak)
    });
    let users = (amount.known > 0).then(|| positive(amount.users));
    segments.push(Segment {
        start: at,
        end: None,
        users,
        share,
        counts: [amount.down, amount.known, amount.guessed],
        down_before,
        lost_before,
        peak: peak.and((users, amount.guessed > 0), share),
    });
}

impl Segment {
    fn amount(&self) -> Amount {
        let [down, known, guessed] = self.counts;
        Amount { users: i128::from(self.users.unwrap_or(0)), down, known, guessed }
    }

    /// How long it was, once it is over.
    pub(super) fn length(&self) -> Span {
        self.end.map_or(Span::ZERO, |end| end.since(self.start))
    }

    /// User-microseconds lost by its end, or before it while it is going on.
    pub(super) fn lost(&self) -> i128 {
        self.lost_before + i128::from(self.users.unwrap_or(0)) * i128::from(self.length().as_micros())
    }
}

/// Counts one more, or with `sign` −1 one less.
pub(super) fn tally<K: Ord>(counts: &mut BTreeMap<K, u32>, key: K, sign: i64) {
    match counts.entry(key) {
        Entry::Vacant(vacant) if sign > 0 => _ = vacant.insert(1),
        Entry::Vacant(_) => {}
        Entry::Occupied(mut count) if sign > 0 => *count.get_mut() += 1,
        Entry::Occupied(count) if *count.get() <= 1 => _ = count.remove(),
        Entry::Occupied(mut count) => *count.get_mut() -= 1,
    }
}

fn positive(users: i128) -> u64 {
    u64::try_from(users).unwrap_or(0)
}
