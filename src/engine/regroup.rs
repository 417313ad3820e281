//! Regrouping: putting what changed about the downtime of services into clusters.
//!
//! Nearly all of it is new and comes after everything that it is related to: it is entered where it belongs, which
//! costs little however large the cluster is. What comes late, or was corrected, has all clusters that it may concern
//! dissolved, and their episodes entered anew.

use std::collections::{BTreeMap, BTreeSet};

use super::clusters::{Clusters, Correlator};
use super::history::Episode;
use super::incidents::Touched;
use super::lately::Lately;
use super::registry::Registry;
use crate::model::incident::IncidentId;
use crate::model::policy::Correlation;
use crate::model::time::{Instant, Span};

/// An episode that a record had before, by service.
pub(super) type Former = BTreeMap<u32, Vec<(Instant, Instant, IncidentId)>>;

/// What is to be put into clusters, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Regrouping {
    /// Episodes that are not in any cluster yet: when they began, of which service, and when they ended.
    fresh: BTreeMap<(Instant, u32), Option<Instant>>,
    /// Clusters that do not hold any more as they are.
    unsound: BTreeSet<u32>,
    /// Whose episodes were whose.
    pub(super) former: Former,
    /// Records whose clusters were dissolved.
    pub(super) freed: BTreeSet<IncidentId>,
}

/// Everything that regrouping works on.
pub(super) struct Ground<'a> {
    pub(super) registry: &'a mut Registry,
    pub(super) clusters: &'a mut Clusters,
    pub(super) lately: &'a mut Lately,
    pub(super) rules: Correlation,
    pub(super) now: Instant,
    pub(super) touched: &'a mut Touched,
}

impl Ground<'_> {
    /// Holds a service's episodes against when it was down, from `from` on. What is said of them may have changed where
    /// they have not, if so `told`.
    pub(super) fn compare(&mut self, place: u32, from: Instant, told: bool, work: &mut Regrouping) {
        let now = self.now;
        let Some(history) = self.registry.history_mut(place) else { return };
        let acted = told && history.has_actions();
        let stretches = history.interrupted.stretches();
        let first = stretches.partition_point(|stretch| stretch.end_or_max() < from);
        // What lies ahead of now takes effect when its time comes.
        let current = stretches[first..].iter().take_while(|stretch| stretch.start <= now);
        let mut current = current.map(|s| (s.start, s.end.filter(|&end| end <= now))).peekable();
        let known = history.episodes.partition_point(|episode| episode.end_or_max() < from);
        let before: Vec<Episode> = history.episodes.drain(known..).collect();
        let mut gone = Vec::new();
        for mut episode in before {
            while let Some((start, end)) = current.next_if(|&(start, _)| start < episode.start) {
                work.fresh.insert((start, place), end);
            }
            match current.next_if(|&(start, _)| start == episode.start) {
                Some((start, end)) => {
                    if told || end != episode.end {
                        self.touched.entry(episode.cluster).or_default().insert(place);
                    }
                    // What was said of an outage before it was known is of its incident now.
                    if acted && let Some(cluster) = self.clusters.all.get_mut(&episode.cluster) {
                        cluster.acting.insert(place);
                    }
                    if end != episode.end {
                        let cluster = self.clusters.all.get_mut(&episode.cluster);
                        let closed =
                            cluster.zip(end).is_some_and(|(cluster, end)| cluster.close(place, start, end));
                        if !closed {
                            work.unsound.insert(episode.cluster);
                        }
                        episode.end = end;
                    }
                    history.episodes.push(episode);
                }
                None => {
                    work.unsound.insert(episode.cluster);
                    work.remember(place, &episode, self.clusters);
                    gone.push(episode.start);
                }
            }
        }
        work.fresh.extend(current.map(|(start, end)| ((start, place), end)));
        if !gone.is_empty() {
            let lineage = self.registry.lineage(place);
            gone.into_iter().for_each(|at| self.lately.remove(&lineage, place, at));
        }
    }

    /// A confirmation of a restoration came or went that is of `at`: what it cuts apart may be otherwise.
    pub(super) fn cut_again(&mut self, place: u32, at: Instant, taken_back: bool, work: &mut Regrouping) {
        let Some(history) = self.registry.history(place) else { return };
        let begun = history.episodes.partition_point(|episode| episode.start <= at);
        let near = &history.episodes[begun.saturating_sub(1)..history.episodes.len().min(begun + 1)];
        for episode in near {
            let Some(cluster) = self.clusters.all.get_mut(&episode.cluster) else { continue };
            // What comes back at the same instant must see it.
            cluster.acting.insert(place);
            if taken_back || cluster.start <= at && cluster.goes_on_after(at) {
                work.unsound.insert(episode.cluster);
            }
        }
    }

    /// Puts everything into clusters.
    pub(super) fn regroup(&mut self, work: &mut Regrouping) {
        let mut fresh = std::mem::take(&mut work.fresh);
        let mut lately = std::mem::take(self.lately);
        let mut unsound = std::mem::take(&mut work.unsound);
        let mut correlator = self.correlator(&mut unsound);
        while correlator.unsound.is_empty()
            && let Some(((start, place), end)) = fresh.pop_first()
        {
            if correlator.is_in_order(place, start, &lately) {
                correlator.enter(place, (start, end), &mut lately);
            } else if !correlator.enter_late(place, (start, end), &mut lately) {
                fresh.insert((start, place), end);
                break;
            }
        }
        *self.lately = lately;
        work.unsound = unsound;
        if fresh.is_empty() && work.unsound.is_empty() {
            return;
        }
        self.dissolve_all(&mut fresh, work);
        let mut own = Lately::default();
        let mut unsound = BTreeSet::new();
        let mut correlator = self.correlator(&mut unsound);
        for ((start, place), end) in fresh {
            correlator.enter(place, (start, end), &mut own);
        }
        self.lately.add(own, self.rules);
    }

    fn correlator<'a>(&'a mut self, unsound: &'a mut BTreeSet<u32>) -> Correlator<'a> {
        let Self { registry, clusters, rules, touched, .. } = self;
        Correlator::new(registry, clusters, *rules, touched, unsound)
    }

    /// Dissolves the clusters that do not hold, and all that their episodes or the new ones may be related to.
    fn dissolve_all(&mut self, fresh: &mut BTreeMap<(Instant, u32), Option<Instant>>, work: &mut Regrouping) {
        loop {
            while let Some(cluster) = work.unsound.pop_first() {
                self.dissolve(cluster, fresh, work);
            }
            self.find_related(fresh, work);
            if work.unsound.is_empty() {
                return;
            }
        }
    }

    fn dissolve(
        &mut self,
        number: u32,
        fresh: &mut BTreeMap<(Instant, u32), Option<Instant>>,
        work: &mut Regrouping,
    ) {
        let Some(cluster) = self.clusters.all.get(&number) else { return };
        for &place in cluster.services.keys() {
            let Some(history) = self.registry.history_mut(place) else { continue };
            let first = history.episodes.partition_point(|episode| episode.start < cluster.start);
            let own = history.episodes.extract_if(first.., |episode| episode.cluster == number);
            let own: Vec<Episode> = own.collect();
            let lineage = self.registry.lineage(place);
            for episode in own {
                work.remember(place, &episode, self.clusters);
                fresh.insert((episode.start, place), episode.end);
                self.lately.remove(&lineage, place, episode.start);
            }
        }
        self.touched.remove(&number);
        work.freed.extend(self.clusters.remove(number).into_iter().flat_map(|cluster| cluster.records));
    }

    /// Finds the clusters that hold anything that any of the episodes may be related to.
    fn find_related(&self, fresh: &BTreeMap<(Instant, u32), Option<Instant>>, work: &mut Regrouping) {
        let Correlation { reopen, window, .. } = self.rules;
        let mut starts: BTreeMap<u32, Vec<Instant>> = BTreeMap::new();
        let (mut from, mut until) = (Instant::MAX, Instant::MIN);
        for (&(start, place), end) in fresh {
            starts.entry(place).or_default().push(start);
            from = from.min(start);
            until = until.max(end.map_or(Instant::MAX, |end| end.plus(reopen)));
        }
        let reach = Span::from_micros(reopen.as_micros().max(window.as_micros()));
        let (from, until) = (from.minus(reach), until.max(from).plus(window));
        let mut near = |place: u32, wanted: &dyn Fn(&Episode) -> bool| {
            let Some(history) = self.registry.history(place) else { return };
            let begun = history.episodes.partition_point(|episode| episode.start <= until);
            // What a service was in later lived on for longer.
            let lives = |episode: &&Episode| {
                let cluster = self.clusters.all.get(&episode.cluster);
                cluster.is_some_and(|cluster| cluster.restored().is_none_or(|end| end >= from))
            };
            let within = history.episodes[..begun].iter().rev().take_while(lives);
            work.unsound.extend(within.filter(|episode| wanted(episode)).map(|episode| episode.cluster));
        };
        // Itself and what it depends on, and what depends on it.
        let mut kin: BTreeSet<u32> = BTreeSet::new();
        let mut parents: BTreeMap<u32, Vec<Instant>> = BTreeMap::new();
        for (&place, starts) in &starts {
            kin.insert(place);
            for (ancestor, direct) in self.registry.lineage(place) {
                kin.insert(ancestor);
                if direct {
                    parents.entry(ancestor).or_default().extend(starts);
                }
            }
            if self.lately.last_below(place).is_some() {
                kin.extend(self.registry.below(place));
            }
        }
        for &place in &kin {
            near(place, &|_| true);
        }
        // The children of its parents that went down at about the same time.
        for (parent, mut starts) in parents {
            starts.sort_unstable();
            let about = |episode: &Episode| {
                let later = starts.partition_point(|&start| start < episode.start.minus(window));
                starts.get(later).is_some_and(|&start| start <= episode.start.plus(window))
            };
            for &child in self.registry.children(parent) {
                near(child, &about);
            }
        }
        // And what suspects a service that hangs on the same as any of those.
        for &number in &self.clusters.suspicious {
            let Some(cluster) = self.clusters.all.get(&number) else { continue };
            let apart = cluster.start > until || cluster.restored().is_some_and(|end| end < from);
            let mut above =
                cluster.suspects.iter().flat_map(|&suspect| self.registry.parents_of(suspect).flatten());
            if !apart && above.any(|parent| kin.contains(parent)) {
                work.unsound.insert(number);
            }
        }
    }
}

impl Regrouping {
    fn remember(&mut self, place: u32, episode: &Episode, clusters: &Clusters) {
        for &record in clusters.all.get(&episode.cluster).iter().flat_map(|cluster| &cluster.records) {
            self.former.entry(place).or_default().push((episode.start, episode.end_or_max(), record));
        }
    }
}
