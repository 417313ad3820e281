//! Dividing: the state of a network as the states of its partitions, and back. Services that hang together, by the
//! topology or by an incident, are of one partition; what concerns everybody is in all of them; and the groups, which
//! are nobody's, stay with the head.

use super::clusters::Clusters;
use super::history::History;
use super::incidents::Incidents;
use super::measuring::Samples;
use super::partitions::Part;
use super::registry::{Registry, Service, index};
use super::sharing::Shared;
use super::timers::{Owner, Timer, Timers};
use super::{Engine, State};
use crate::model::time::Instant;

/// Which partition has which service.
#[derive(Clone, Debug)]
pub(super) struct Owners {
    /// By the place of those that were known when the network was divided.
    of: Vec<u32>,
    count: u32,
}

/// A network that is divided.
pub(super) struct Split {
    /// What is left of the whole.
    pub(super) head: Box<Engine>,
    pub(super) owners: Shared<Owners>,
    pub(super) parts: Vec<Engine>,
}

/// What is known of a service beside the catalogue.
struct Known {
    place: u32,
    history: Option<Shared<History>>,
    samples: Option<Shared<Samples>>,
}

/// Sets of places that hang together: each points to another one of its set, and one of them to itself.
struct Together(Vec<u32>);

impl Together {
    fn of(&mut self, mut place: u32) -> u32 {
        while self.0[place as usize] != place {
            let next = self.0[place as usize];
            self.0[place as usize] = self.0[next as usize];
            place = next;
        }
        place
    }

    fn join(&mut self, all: impl IntoIterator<Item = u32>) {
        let mut first = None;
        for place in all {
            let one = self.of(place);
            let other = *first.get_or_insert(one);
            // The earliest stands for all, so that the same sets are found whatever joined first.
            let (low, high) = (one.min(other), one.max(other));
            self.0[high as usize] = low;
            first = Some(low);
        }
    }
}

impl Owners {
    /// Services by what hangs together, the largest sets first, each to the partition that has the fewest services.
    /// Absent when all of them hang together.
    pub(super) fn new(registry: &Registry, incidents: &Incidents, count: usize) -> Option<Self> {
        let places = 0..index(registry.len());
        let mut together = Together(places.clone().collect());
        for place in places.clone() {
            together.join([place].into_iter().chain(registry.parents_of(place).flatten().copied()));
        }
        incidents.each_set(|all| together.join(all));
        let mut of: Vec<u32> = places.map(|place| together.of(place)).collect();
        let mut sizes = vec![0_u32; of.len()];
        of.iter().for_each(|&set| sizes[set as usize] += 1);
        let mut sets: Vec<u32> = (0..index(of.len())).filter(|&set| sizes[set as usize] > 0).collect();
        if sets.len() < 2 {
            return None;
        }
        sets.sort_by_key(|&set| (std::cmp::Reverse(sizes[set as usize]), set));
        let mut loads = vec![0_u32; count];
        let mut owner = vec![0; of.len()];
        for set in sets {
            let least = (0..count).min_by_key(|&part| loads[part])?;
            loads[least] += sizes[set as usize];
            owner[set as usize] = index(least);
        }
        of.iter_mut().for_each(|set| *set = owner[*set as usize]);
        Some(Self { of, count: index(count) })
    }

    /// How many partitions there are.
    pub(super) fn count(&self) -> usize {
        self.count as usize
    }

    /// The partition that has a service; one that was not known when the network was divided hangs on nothing.
    pub(super) fn of(&self, place: u32) -> u32 {
        self.of.get(place as usize).copied().unwrap_or(place % self.count)
    }
}

impl Engine {
    /// Divides this engine into those of `count` partitions.
    ///
    /// # Errors
    /// This engine as it is, where it cannot be divided now.
    pub(super) fn split(mut self: Box<Self>, count: usize) -> Result<Split, Box<Self>> {
        let incidents = &self.state.incidents;
        // What is folded is not told of in time, and who will be concerned by a report is not known yet.
        if !self.state.days.is_empty() || incidents.is_pending() || incidents.names_unknown() {
            return Err(self);
        }
        let Some(owners) = Owners::new(&self.registry, incidents, count).map(Shared::new) else {
            return Err(self);
        };
        let carried = self.registry.take_known();
        let State { now, incidents, maintenance, feeds, timers, .. } = &mut self.state;
        let (maintenance, feeds) = (std::mem::take(maintenance), std::mem::take(feeds));
        let next = incidents.clusters.next;
        let parted = std::mem::take(incidents).split(&owners, *now);
        incidents.clusters.next = next;
        let owner_of = |owner: Owner| match owner {
            Owner::Service(place) => Some(owners.of(place)),
            Owner::Incident(number) => {
                let has = |incidents: &Incidents| incidents.clusters.all.contains_key(&number);
                parted.iter().position(has).map(index)
            }
            Owner::Policy | Owner::Feed(_) | Owner::Group(_) => None,
        };
        let (mut own, timers) = std::mem::take(timers).split(count, owner_of);
        let mut drills = std::mem::take(&mut self.drills);
        let mut parts = Vec::new();
        for (number, incidents) in parted.into_iter().enumerate() {
            let state = State {
                now: self.state.now,
                policies: self.state.policies.clone(),
                groups: vec![Shared::default(); self.state.groups.len()],
                incidents,
                maintenance: maintenance.clone(),
                feeds: feeds.clone(),
                timers: std::mem::take(&mut own[number]),
                last_old: self.state.last_old,
                ..State::default()
            };
            let part = Some(Part::new(index(number), owners.clone()));
            parts.push(Self { state, registry: self.registry.clone(), drills: std::mem::take(&mut drills), part });
        }
        for known in carried {
            parts[owners.of(known.place) as usize].registry.put_known(known);
        }
        self.state.timers = timers;
        Ok(Split { head: self, owners, parts })
    }

    /// Takes back in what [`Self::split`] gave away; all of them are at the same instant.
    pub(super) fn join_parts(&mut self, parts: Vec<Self>) {
        let first = self.state.incidents.clusters.next;
        for (number, part) in parts.into_iter().enumerate() {
            let Self { state, mut registry, drills, .. } = part;
            let shift = self.state.incidents.clusters.next - first;
            // Those that were opened since have numbers that others gave too.
            let renumber = |cluster: u32| if cluster < first { cluster } else { cluster + shift };
            for mut known in registry.take_known() {
                if let Some(history) = known.history.as_mut().filter(|_| shift > 0) {
                    let history: &mut History = history;
                    history.episodes.iter_mut().for_each(|episode| episode.cluster = renumber(episode.cluster));
                }
                self.registry.put_known(known);
            }
            self.state.incidents.join(state.incidents, &renumber);
            for (owner, timer, at) in state.timers.all() {
                let owner = match owner {
                    Owner::Incident(cluster) => Owner::Incident(renumber(cluster)),
                    // All partitions listen alike.
                    Owner::Feed(_) if number > 0 => continue,
                    other => other,
                };
                self.state.timers.set(owner, timer, Some(at));
            }
            self.state.counts.add(state.counts);
            if number == 0 {
                (self.state.maintenance, self.state.feeds) = (state.maintenance, state.feeds);
                self.drills = drills;
            }
        }
    }
}

impl Registry {
    /// Takes out what is known of services beside the catalogue.
    fn take_known(&mut self) -> Vec<Known> {
        let services = &mut self.kept.services;
        let is_known = |service: &Service| service.history.is_some() || service.samples.is_some();
        let places = (0..index(services.len())).filter(|&place| is_known(&services[place as usize]));
        let places: Vec<u32> = places.collect();
        let take = |place| {
            let service = &mut services[place as usize];
            Known { place, history: service.history.take(), samples: service.samples.take() }
        };
        places.into_iter().map(take).collect()
    }

    fn put_known(&mut self, known: Known) {
        let service = &mut self.kept.services[known.place as usize];
        (service.history, service.samples) = (known.history, known.samples);
    }
}

impl Incidents {
    /// Whether anybody named an incident that is not known.
    fn names_unknown(&self) -> bool {
        self.naming.keys().any(|id| !self.records.contains_key(id))
    }

    /// Gives `each` set of services that an incident holds together.
    fn each_set(&self, mut each: impl FnMut(Vec<u32>)) {
        for cluster in self.clusters.all.values() {
            let services = cluster.services.keys();
            each(services.chain(&cluster.suspects).chain(&cluster.acting).copied().collect());
        }
        for (id, tracked) in self.records.iter() {
            let into = tracked.incident.merged_into.and_then(|into| self.records.get(&into));
            let naming = self.naming.get(id).into_iter().flatten();
            let own = [tracked.place].into_iter().chain(into.map(|into| into.place));
            let cluster = tracked.cluster.and_then(|number| self.clusters.all.get(&number));
            let first = cluster.and_then(|cluster| cluster.services.keys().next());
            each(own.chain(naming.copied()).chain(first.copied()).collect());
        }
        for (&place, near) in &self.lately.near {
            each([place].into_iter().chain(near.entries.iter().map(|entry| entry.via)).collect());
        }
    }

    fn split(self, owners: &Owners, now: Instant) -> Vec<Self> {
        let mut parts: Vec<Self> = Vec::new();
        parts.resize_with(owners.count(), Self::default);
        for part in &mut parts {
            part.clusters.next = self.clusters.next;
            part.lately.latest = self.lately.latest;
        }
        let owner = |place: u32| owners.of(place) as usize;
        for (&number, cluster) in self.clusters.all.iter() {
            let part = &mut parts[cluster.services.keys().next().map_or(0, |&place| owner(place))];
            part.clusters.all.insert(number, cluster.clone());
            if self.clusters.suspicious.contains(&number) {
                part.clusters.suspicious.insert(number);
            }
            if let Some(impact) = self.impacts.0.get(&number) {
                part.impacts.0.insert(number, impact.clone());
            }
        }
        for (&id, tracked) in self.records.iter() {
            let part = &mut parts[owner(tracked.place)];
            part.recent.note(&tracked.incident, now);
            part.records.insert(id, tracked.clone());
            if let Some(places) = self.naming.get(&id) {
                part.naming.insert(id, places.clone());
            }
        }
        for (place, near) in self.lately.into_inner().near {
            parts[owner(place)].lately.near.insert(place, near);
        }
        parts
    }

    fn join(&mut self, part: Self, renumber: &dyn Fn(u32) -> u32) {
        let Self { clusters, impacts, lately, records, naming, pending, recent } = part;
        let Clusters { all, suspicious, gone, next } = clusters;
        self.clusters.next = renumber(next).max(self.clusters.next);
        self.clusters.all.extend(all.iter().map(|(&number, cluster)| (renumber(number), cluster.clone())));
        self.clusters.suspicious.extend(suspicious.into_iter().map(renumber));
        self.clusters.gone.extend(gone.into_iter().map(renumber));
        self.impacts.0.extend(impacts.0.into_iter().map(|(number, impact)| (renumber(number), impact)));
        let lately = lately.into_inner();
        self.lately.latest = self.lately.latest.max(lately.latest);
        self.lately.near.extend(lately.near);
        for (&id, tracked) in records.iter() {
            let mut tracked = tracked.clone();
            if let Some(number) = tracked.cluster.filter(|&number| renumber(number) != number) {
                tracked.cluster = Some(renumber(number));
            }
            self.records.insert(id, tracked);
        }
        self.naming.extend(naming.iter().map(|(&id, places)| (id, places.clone())));
        self.pending.add(pending, renumber);
        self.recent.add(recent);
    }
}

impl Timers {
    /// Deadlines by their partition; what is nobody's is in all of them, or stays with the groups and the policy.
    fn split(self, count: usize, owner_of: impl Fn(Owner) -> Option<u32>) -> (Vec<Self>, Self) {
        let mut parts = vec![Self::default(); count];
        let mut rest = Self::default();
        for (owner, timer, at) in self.all() {
            match (owner, owner_of(owner)) {
                (_, Some(part)) => parts[part as usize].set(owner, timer, Some(at)),
                (Owner::Feed(_), None) => parts.iter_mut().for_each(|part| part.set(owner, timer, Some(at))),
                (_, None) => rest.set(owner, timer, Some(at)),
            }
        }
        (parts, rest)
    }

    /// Every deadline.
    fn all(&self) -> impl Iterator<Item = (Owner, Timer, Instant)> {
        self.armed.iter().map(|(&(owner, timer), &at)| (owner, timer, at))
    }
}
