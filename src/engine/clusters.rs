//! Clusters: which episodes of downtime have one cause and are one incident, by the topology.
//!
//! Episodes are entered in order of time, as if each were heard of when it began. An episode joins what is live then
//! and holds its service, or something that its service depends on; what went down below it shortly before joins it;
//! and so do several children of one parent that went down shortly one after another. So what is one incident follows
//! from the episodes alone, not from the order in which they became known.

use std::collections::{BTreeMap, BTreeSet};

use borsh::{BorshDeserialize, BorshSerialize};

use super::history::Episode;
use super::incidents::Touched;
use super::lately::{Entry, Lately};
use super::registry::Registry;
use super::sharing::{Map, Shared};
use super::topology::DEPTH_MAX;
use crate::model::incident::IncidentId;
use crate::model::policy::Correlation;
use crate::model::time::Instant;

/// Episodes that are one incident.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Cluster {
    /// The records of it: one, but while two of them are being merged.
    pub(super) records: Vec<IncidentId>,
    /// Its services, and how many of its episodes are of each.
    pub(super) services: BTreeMap<u32, u32>,
    /// When its first episode began.
    pub(super) start: Instant,
    /// When its last episode began.
    last_start: Instant,
    /// When two clusters that had both begun before became one in it.
    bridged: Instant,
    /// Its episodes that go on: when they began, and of which service.
    open: BTreeSet<(Instant, u32)>,
    /// The latest end of those that are over.
    end: Instant,
    /// Services of which enough children are down, and nothing was said.
    pub(super) suspects: BTreeSet<u32>,
    /// Services at which something was reported that may be about it.
    pub(super) acting: BTreeSet<u32>,
}

/// Every cluster.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Clusters {
    pub(super) all: Map<u32, Shared<Cluster>>,
    /// Those that suspect a service.
    pub(super) suspicious: BTreeSet<u32>,
    /// Those that are no more, and whose limits are to be forgotten.
    pub(super) gone: Vec<u32>,
    pub(super) next: u32,
}

/// What is out above a service.
#[derive(Clone, Debug, Default)]
struct Above {
    /// Whether anything is, alternatives considered.
    any: bool,
    clusters: BTreeSet<u32>,
}

/// Enters episodes into clusters.
pub(super) struct Correlator<'a> {
    pub(super) registry: &'a mut Registry,
    pub(super) clusters: &'a mut Clusters,
    pub(super) rules: Correlation,
    pub(super) touched: &'a mut Touched,
    /// Clusters that live on for longer than was known when something related to them was entered that began later.
    pub(super) unsound: &'a mut BTreeSet<u32>,
    /// The services of what lives on for longer, while an episode is entered that began before the last one of all.
    prolonged: Option<BTreeSet<u32>>,
}

impl Cluster {
    /// When its last episode ended, if all of them have.
    pub(super) fn restored(&self) -> Option<Instant> {
        self.open.is_empty().then_some(self.end)
    }

    /// Ends one of its episodes that was open. Returns whether that leaves its other episodes as they are: none of
    /// them needed this one to be a part of it.
    pub(super) fn close(&mut self, place: u32, start: Instant, end: Instant) -> bool {
        // What became one later may have needed it to be still live.
        let spanned =
            self.bridged <= end && self.open.iter().any(|other| *other != (start, place) && other.0 <= end);
        if !self.open.contains(&(start, place)) || !(spanned || end >= self.last_start) {
            return false;
        }
        self.open.remove(&(start, place));
        self.end = self.end.max(end);
        true
    }

    /// Whether one of its episodes began after `at`.
    pub(super) fn goes_on_after(&self, at: Instant) -> bool {
        self.last_start > at
    }
}

impl<'a> Correlator<'a> {
    pub(super) fn new(
        registry: &'a mut Registry,
        clusters: &'a mut Clusters,
        rules: Correlation,
        touched: &'a mut Touched,
        unsound: &'a mut BTreeSet<u32>,
    ) -> Self {
        Self { registry, clusters, rules, touched, unsound, prolonged: None }
    }

    /// Whether a service went down after `at`.
    fn is_down_after(&self, place: u32, at: Instant) -> bool {
        self.registry.episodes(place).last().is_some_and(|last| last.start > at)
    }

    /// The cluster of the episode of a service that began just then.
    fn cluster_of(&self, place: u32, start: Instant) -> Option<u32> {
        let episodes = self.registry.episodes(place);
        let found = episodes.binary_search_by_key(&start, |episode| episode.start).ok()?;
        Some(episodes[found].cluster)
    }

    /// The cluster that a service was in last by `at`, if it is live then.
    fn live_at(&self, place: u32, at: Instant) -> Option<u32> {
        let cluster = self.registry.history(place)?.episode_by(at)?.cluster;
        self.is_live(cluster, at).then_some(cluster)
    }

    /// Whether an episode that begins at `at` can be part of a cluster: something of it is open, or was until less
    /// than the hold-down ago, and nobody has confirmed its restoration since.
    fn is_live(&self, number: u32, at: Instant) -> bool {
        let Some(cluster) = self.clusters.all.get(&number) else { return false };
        let Some(restored) = cluster.restored() else { return true };
        at < restored.plus(self.rules.reopen)
            && confirmed(self.registry, number, cluster, restored).is_none_or(|confirmed| confirmed >= at)
    }

    /// The live clusters that hold something that a service depends on at `at`. Alternatives explain nothing unless
    /// each of them is out, or hangs on something that is. Many ways may lead to one service: each is gone once at a depth.
    fn above(&self, place: u32, at: Instant, depth: usize, known: &mut BTreeMap<(u32, usize), Above>) -> Above {
        let mut found = Above::default();
        if depth == DEPTH_MAX {
            return found;
        }
        if let Some(known) = known.get(&(place, depth)) {
            return known.clone();
        }
        for names in self.registry.parents_of(place) {
            let mut all = BTreeSet::new();
            let out = names.iter().all(|&parent| {
                let own = self.live_at(parent, at);
                let above = self.above(parent, at, depth + 1, known);
                all.extend(own);
                all.extend(above.clusters);
                above.any || own.is_some()
            });
            if out {
                found.any = true;
                found.clusters.extend(all);
            }
        }
        known.insert((place, depth), found.clone());
        found
    }

    /// Enters an episode; every one that it may be related to and that began before is entered already. Returns its
    /// cluster.
    pub(super) fn enter(
        &mut self,
        place: u32,
        (start, end): (Instant, Option<Instant>),
        lately: &mut Lately,
    ) -> u32 {
        self.prolonged = (start < lately.latest).then(BTreeSet::new);
        lately.latest = lately.latest.max(start);
        let mut joins = Vec::from_iter(self.live_at(place, start));
        joins.extend(self.above(place, start, 0, &mut BTreeMap::new()).clusters);
        let cluster = joins.into_iter().reduce(|one, other| self.merge(one, other, start));
        let cluster = cluster.unwrap_or_else(|| self.clusters.open(start));
        self.add(cluster, place, start, end);
        let lineage = self.registry.lineage(place);
        lately.enter(&lineage, place, start, self.rules);
        let mut cluster = self.gather(cluster, place, start, lately);
        for &(parent, _) in lineage.iter().filter(|(_, direct)| *direct) {
            cluster = self.suspect(cluster, parent, (place, start), lately);
        }
        let prolonged = self.prolonged.take().unwrap_or_default();
        if prolonged.into_iter().any(|place| self.is_related_after(place, start, lately)) {
            self.unsound.insert(cluster);
        }
        cluster
    }

    /// Whether anything that a service may be related to began after `at`.
    fn is_related_after(&self, place: u32, at: Instant, lately: &Lately) -> bool {
        let below = |place: u32| lately.last_below(place).is_some_and(|last| last > at);
        let lineage = self.registry.lineage(place);
        let above =
            |&(ancestor, direct): &(u32, bool)| self.is_down_after(ancestor, at) || direct && below(ancestor);
        self.is_down_after(place, at) || below(place) || lineage.iter().any(above)
    }

    /// What went down below a service shortly before it did joins it.
    fn gather(&mut self, mut cluster: u32, place: u32, start: Instant, lately: &mut Lately) -> u32 {
        let Some(near) = lately.near.get_mut(&place) else { return cluster };
        near.forget(start.minus(self.rules.window));
        for entry in near.entries.iter().filter(|entry| entry.at <= start) {
            let Some(other) = self.cluster_of(entry.via, entry.at) else { continue };
            // One that hangs on alternatives may bring in what is out beside this.
            let brings = other != cluster || self.registry.has_alternatives(entry.via);
            if !brings || !self.is_live(other, start) {
                continue;
            }
            let above = self.above(entry.via, start, 0, &mut BTreeMap::new()).clusters;
            if above.contains(&cluster) {
                cluster =
                    above.into_iter().chain([other]).fold(cluster, |one, other| self.merge(one, other, start));
            }
        }
        cluster
    }

    /// Children of one parent that went down shortly one after another join, and the parent is suspected: as if it
    /// had gone down itself, it is counted among the children of its own parents.
    fn suspect(&mut self, mut cluster: u32, parent: u32, (via, start): (u32, Instant), lately: &mut Lately) -> u32 {
        let Some(near) = lately.near.get_mut(&parent) else { return cluster };
        near.forget(start.minus(self.rules.window));
        if (near.children.len() as u64) < self.rules.siblings {
            near.whole = false;
            return cluster;
        }
        let joined = match near.whole.then(|| near.other_than(via)).flatten() {
            // All the others are one cluster: any of them will do.
            Some(entry) => self.cluster_of(entry.via, entry.at).filter(|&other| self.is_live(other, start)),
            None => None,
        };
        cluster = match joined {
            Some(other) => self.merge(cluster, other, start),
            None => {
                let Some(joined) = self.join_children(cluster, parent, start, lately) else { return cluster };
                joined
            }
        };
        if let Some(known) = self.clusters.all.get_mut(&cluster) {
            known.suspects.insert(parent);
            self.clusters.suspicious.insert(cluster);
        }
        let above: Vec<u32> = self.registry.parents_of(parent).flatten().copied().collect();
        for grandparent in above {
            let near = lately.near.entry(grandparent).or_default();
            near.forget(start.minus(self.rules.window));
            if !near.children.contains_key(&parent) {
                near.insert(Entry { at: start, child: Some(parent), via });
                cluster = self.suspect(cluster, grandparent, (via, start), lately);
            }
        }
        cluster
    }

    /// Makes one cluster of all those of a parent's children that went down lately, if there are enough of them.
    fn join_children(&mut self, cluster: u32, parent: u32, start: Instant, lately: &mut Lately) -> Option<u32> {
        let near = lately.near.get_mut(&parent)?;
        let mut live: Vec<(u32, u32)> = Vec::new();
        for entry in near.entries.iter().filter(|entry| entry.at <= start) {
            let Some((child, other)) = entry.child.zip(self.cluster_of(entry.via, entry.at)) else { continue };
            if self.is_live(other, start) {
                live.push((child, other));
            }
        }
        let children: BTreeSet<u32> = live.iter().map(|&(child, _)| child).collect();
        if (children.len() as u64) < self.rules.siblings {
            return None;
        }
        near.whole = live.len() == near.entries.iter().filter(|entry| entry.child.is_some()).count();
        let others: BTreeSet<u32> = live.into_iter().map(|(_, other)| other).collect();
        Some(others.into_iter().fold(cluster, |one, other| self.merge(one, other, start)))
    }

    fn add(&mut self, cluster: u32, place: u32, start: Instant, end: Option<Instant>) {
        let Some(history) = self.registry.history_mut(place) else { return };
        let before = history.episodes.partition_point(|episode| episode.start < start);
        history.episodes.insert(before, Episode { start, end, cluster });
        let acted = history.has_actions();
        let Some(known) = self.clusters.all.get_mut(&cluster) else { return };
        let longer = known.restored().is_some_and(|restored| end.is_none_or(|end| end > restored));
        if let Some(prolonged) = self.prolonged.as_mut().filter(|_| longer) {
            prolonged.extend(known.services.keys());
        }
        *known.services.entry(place).or_default() += 1;
        (known.start, known.last_start) = (known.start.min(start), known.last_start.max(start));
        match end {
            Some(end) => known.end = known.end.max(end),
            None => _ = known.open.insert((start, place)),
        }
        if acted {
            known.acting.insert(place);
        }
        self.touched.entry(cluster).or_default().insert(place);
    }

    /// Makes one cluster of two at `at`: the larger one takes in the other.
    fn merge(&mut self, one: u32, other: u32, at: Instant) -> u32 {
        if one == other {
            return one;
        }
        let size = |cluster: u32| self.clusters.all.get(&cluster).map_or(0, |known| known.services.len());
        let (keep, gone) = if size(one) >= size(other) { (one, other) } else { (other, one) };
        let Some(gone_with) = self.clusters.remove(gone) else { return keep };
        if self.unsound.remove(&gone) {
            self.unsound.insert(keep);
        }
        if !gone_with.suspects.is_empty() {
            self.clusters.suspicious.insert(keep);
        }
        for &place in gone_with.services.keys() {
            let Some(history) = self.registry.history_mut(place) else { continue };
            let first = history.episodes.partition_point(|episode| episode.start < gone_with.start);
            for episode in history.episodes[first..].iter_mut().filter(|episode| episode.cluster == gone) {
                episode.cluster = keep;
            }
        }
        let mut places = self.touched.remove(&gone).unwrap_or_default();
        places.extend(gone_with.services.keys());
        let Some(known) = self.clusters.all.get_mut(&keep) else { return keep };
        if let Some(prolonged) = &mut self.prolonged {
            let ends = [known.restored(), gone_with.restored()].map(|end| end.unwrap_or(Instant::MAX));
            let shorter = if ends[0] < ends[1] { &known.services } else { &gone_with.services };
            if ends[0] != ends[1] {
                prolonged.extend(shorter.keys());
            }
        }
        for (&place, &count) in &gone_with.services {
            *known.services.entry(place).or_default() += count;
        }
        known.records.extend(gone_with.records);
        known.open.extend(gone_with.open);
        known.suspects.extend(gone_with.suspects);
        known.acting.extend(gone_with.acting);
        known.end = known.end.max(gone_with.end);
        known.bridged = known.bridged.max(gone_with.bridged);
        if known.start < at && gone_with.start < at {
            known.bridged = known.bridged.max(at);
        }
        known.start = known.start.min(gone_with.start);
        known.last_start = known.last_start.max(gone_with.last_start);
        self.touched.entry(keep).or_default().extend(places);
        keep
    }

    /// Enters an episode that came late into the cluster of its siblings, if that is where it belongs whatever is known
    /// already: nothing hangs on it, and all its siblings of that time are of one cluster that is open. Returns whether
    /// it did.
    pub(super) fn enter_late(
        &mut self,
        place: u32,
        (start, end): (Instant, Option<Instant>),
        lately: &mut Lately,
    ) -> bool {
        let lineage = self.registry.lineage(place);
        let known = |place: u32| !self.registry.episodes(place).is_empty();
        if known(place)
            || lately.last_below(place).is_some()
            || lineage.iter().any(|&(ancestor, _)| known(ancestor))
        {
            return false;
        }
        let Some(cluster) =
            self.registry.parents_of(place).flatten().find_map(|&parent| self.whole(parent, start, lately))
        else {
            return false;
        };
        let is_open = self.clusters.all.get(&cluster).is_some_and(|known| known.restored().is_none());
        if !is_open || !self.is_settled((place, 0), (start, cluster), lately, &mut BTreeMap::new()) {
            return false;
        }
        self.add(cluster, place, start, end);
        lately.enter(&lineage, place, start, self.rules);
        true
    }

    /// The cluster of a service's children that went down lately, if they are all of one and `at` is within the same
    /// window.
    fn whole(&self, parent: u32, at: Instant, lately: &Lately) -> Option<u32> {
        let near = lately.near.get(&parent).filter(|near| near.whole)?;
        let (first, last) = (near.entries.front()?, near.entries.back()?);
        let within = at.max(last.at).since(at.min(first.at)) <= self.rules.window
            && near.is_known_from(at.minus(self.rules.window));
        let enough = near.children.len() as u64 >= self.rules.siblings;
        near.entries
            .iter()
            .rev()
            .find(|entry| entry.child.is_some() && within && enough)
            .and_then(|entry| self.cluster_of(entry.via, entry.at))
    }

    /// Whether one more child changes nothing for any service that one hangs on: its children are of that cluster
    /// already, or it is still one too few.
    fn is_settled(
        &self,
        (place, depth): (u32, usize),
        (at, cluster): (Instant, u32),
        lately: &Lately,
        known: &mut BTreeMap<(u32, usize), bool>,
    ) -> bool {
        if let Some(known) = known.get(&(place, depth)) {
            return *known;
        }
        let settled = depth < DEPTH_MAX
            && self.registry.parents_of(place).flatten().all(|&parent| {
                lately.is_one_too_few(parent, at, self.rules)
                    || self.whole(parent, at, lately) == Some(cluster)
                        && self.is_settled((parent, depth + 1), (at, cluster), lately, known)
            });
        known.insert((place, depth), settled);
        settled
    }

    /// Whether all that an episode may be related to, and that is known, began no later than it.
    pub(super) fn is_in_order(&self, place: u32, start: Instant, lately: &Lately) -> bool {
        let lineage = self.registry.lineage(place);
        // A parent that it may make suspect counts among the children of its own parents.
        let suspects =
            lineage.iter().any(|&(parent, direct)| direct && !lately.is_one_too_few(parent, start, self.rules));
        !self.is_down_after(place, start)
            && lately.last_below(place).is_none_or(|last| last <= start)
            && lineage.iter().all(|&(ancestor, direct)| {
                let counts = direct || suspects;
                !(self.is_down_after(ancestor, start)
                    || counts && lately.any_after(ancestor, start, self.rules.window))
            })
    }
}

impl Clusters {
    /// Takes one out.
    pub(super) fn remove(&mut self, number: u32) -> Option<Cluster> {
        self.suspicious.remove(&number);
        let cluster = self.all.remove(&number)?;
        self.gone.push(number);
        Some(cluster.into_inner())
    }

    /// Those that were touched and are still there, in order of their starts.
    pub(super) fn in_order(&self, touched: &Touched) -> Vec<u32> {
        let start = |&number: &u32| Some((self.all.get(&number)?.start, number));
        let mut order: Vec<(Instant, u32)> = touched.keys().filter_map(start).collect();
        order.sort_unstable();
        order.into_iter().map(|(_, number)| number).collect()
    }

    fn open(&mut self, start: Instant) -> u32 {
        let number = self.next;
        self.next += 1;
        let cluster =
            Cluster { start, last_start: start, end: Instant::MIN, bridged: Instant::MIN, ..Cluster::default() };
        self.all.insert(number, Shared::new(cluster));
        number
    }
}

/// The first confirmation of a restoration at or after `from` by somebody at one of the cluster's services.
pub(super) fn confirmed(registry: &Registry, number: u32, cluster: &Cluster, from: Instant) -> Option<Instant> {
    let at_service = |&place: &u32| {
        let history = registry.history(place)?;
        // It is about what the service was in last by then.
        let about = |&at: &Instant| history.episode_by(at).is_some_and(|episode| episode.cluster == number);
        history.confirmations(from).map(|mark| mark.record.at).find(about)
    };
    cluster.acting.iter().filter_map(at_service).min()
}
