//! Lately: what went down below each service within the window in which outages are taken for related.

use std::collections::{BTreeMap, VecDeque};

use borsh::{BorshDeserialize, BorshSerialize};

use crate::model::policy::Correlation;
use crate::model::time::{Instant, Span};

/// What happened below a service lately.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Near {
    pub(super) entries: VecDeque<Entry>,
    /// Its children among them, and how often each.
    pub(super) children: BTreeMap<u32, u32>,
    /// When the last episode below it began.
    last: Instant,
    /// When the last one of those began that were let go of.
    forgotten: Option<Instant>,
    /// All its children among them are one cluster.
    pub(super) whole: bool,
}

/// Something that went down below a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub(super) struct Entry {
    pub(super) at: Instant,
    /// A child of the service, itself down or suspected to be; else something further below.
    pub(super) child: Option<u32>,
    /// Whose episode it is that began then.
    pub(super) via: u32,
}

/// What happened below which service.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Lately {
    pub(super) near: BTreeMap<u32, Near>,
    /// When the last episode of all began.
    pub(super) latest: Instant,
}

impl Near {
    pub(super) fn insert(&mut self, entry: Entry) {
        let place = self.entries.partition_point(|known| *known < entry);
        if self.entries.get(place) == Some(&entry) {
            return;
        }
        self.entries.insert(place, entry);
        if let Some(child) = entry.child {
            *self.children.entry(child).or_default() += 1;
        }
        self.last = self.last.max(entry.at);
    }

    /// The last of its children that went down, by an episode of another service than that.
    pub(super) fn other_than(&self, via: u32) -> Option<Entry> {
        self.entries.iter().rev().find(|entry| entry.child.is_some() && entry.via != via).copied()
    }

    /// Lets go of what began before `from`.
    pub(super) fn forget(&mut self, from: Instant) {
        while let Some(entry) = self.entries.front().filter(|entry| entry.at < from) {
            let Entry { at, child, .. } = *entry;
            self.entries.pop_front();
            self.forgotten = self.forgotten.max(Some(at));
            child.into_iter().for_each(|child| self.discount(child));
        }
    }

    /// Whether nothing was let go of that began after `from`.
    pub(super) fn is_known_from(&self, from: Instant) -> bool {
        self.forgotten < Some(from)
    }

    fn discount(&mut self, child: u32) {
        if let Some(count) = self.children.get_mut(&child) {
            *count -= 1;
            if *count == 0 {
                self.children.remove(&child);
            }
        }
    }
}

impl Lately {
    /// When the last episode below a service began.
    pub(super) fn last_below(&self, place: u32) -> Option<Instant> {
        self.near.get(&place).map(|near| near.last)
    }

    /// Whether one more of a service's children that goes down at `at` is not yet enough of them.
    pub(super) fn is_one_too_few(&self, place: u32, at: Instant, rules: Correlation) -> bool {
        self.near.get(&place).is_none_or(|near| {
            near.is_known_from(at.minus(rules.window)) && near.children.len() as u64 + 1 < rules.siblings
        })
    }

    /// Takes in an episode of a service of that lineage, and lets go of what is too long before it.
    pub(super) fn enter(&mut self, lineage: &[(u32, bool)], via: u32, at: Instant, rules: Correlation) {
        for &(ancestor, direct) in lineage {
            let near = self.near.entry(ancestor).or_default();
            near.forget(at.minus(rules.window));
            near.insert(Entry { at, child: direct.then_some(via), via });
        }
    }

    /// Lets go of an episode of a service of that lineage, and of what it made suspect.
    pub(super) fn remove(&mut self, lineage: &[(u32, bool)], via: u32, at: Instant) {
        for (ancestor, _) in lineage {
            let Some(near) = self.near.get_mut(ancestor) else { continue };
            let mut place = near.entries.partition_point(|entry| entry.at < at);
            while let Some(entry) = near.entries.get(place).copied().filter(|entry| entry.at == at) {
                if entry.via == via {
                    near.entries.remove(place);
                    entry.child.into_iter().for_each(|child| near.discount(child));
                } else {
                    place += 1;
                }
            }
        }
    }

    /// Whether something below a service began within a window after `at`; also if what began within one before `at`
    /// is not known any more.
    pub(super) fn any_after(&self, place: u32, at: Instant, window: Span) -> bool {
        self.near.get(&place).is_some_and(|near| {
            let later = near.entries.partition_point(|entry| entry.at <= at);
            let within = near.entries.get(later).is_some_and(|entry| entry.at <= at.plus(window));
            near.last > at && (within || !near.is_known_from(at.minus(window)))
        })
    }

    /// Adds what another account has.
    pub(super) fn add(&mut self, other: Self, rules: Correlation) {
        self.latest = self.latest.max(other.latest);
        for (place, more) in other.near {
            let near = self.near.entry(place).or_default();
            let count = more.entries.len();
            for entry in more.entries {
                near.insert(entry);
            }
            near.last = near.last.max(more.last);
            near.forgotten = near.forgotten.max(more.forgotten);
            // All of them are one cluster if those of the other account are, and there are no others.
            near.whole = more.whole && near.entries.len() == count;
            let from = near.last.minus(rules.window);
            near.forget(from);
        }
    }
}
