//! Naming: which record is whose. A record that has paged somebody goes on with the service that it began with, whatever
//! later facts make of its edges; one whose episodes went into another incident is merged into that.

use std::collections::{BTreeMap, BTreeSet};

use xxhash_rust::xxh3::xxh3_64;

use super::Engine;
use super::incidents::{Touched, Tracked};
use super::regroup::Regrouping;
use super::sharing::Shared;
use crate::model::actions::Actions;
use crate::model::effect::Effect;
use crate::model::event::Cause;
use crate::model::incident::{Incident, IncidentId, Status};
use crate::model::level::Level;
use crate::model::service::ServiceName;

impl Engine {
    /// Gives every cluster its record: of those that had any of its episodes before, the oldest. What is left over of
    /// them was merged; the ids of those whose facts are gone are returned.
    pub(super) fn name(
        &mut self,
        touched: &Touched,
        mut work: Regrouping,
        effects: &mut Vec<Effect>,
    ) -> Vec<IncidentId> {
        let mut into: BTreeMap<IncidentId, IncidentId> = BTreeMap::new();
        for number in self.state.incidents.clusters.in_order(touched) {
            let candidates = self.candidates(number, &work);
            let cluster = self.state.incidents.clusters.all.get(&number);
            let own = cluster.map_or(Vec::new(), |cluster| cluster.records.clone());
            // One stays with the service that it began with.
            let began = |id: &IncidentId| self.state.incidents.records.get(id).map(|tracked| tracked.place);
            let began_here = |id: &IncidentId| {
                began(id).is_some_and(|place| self.were_whose(place, number, &work).any(|former| former == *id))
            };
            let free = |id: &&IncidentId| own.contains(*id) || work.freed.contains(*id) && began_here(id);
            let record = match candidates.iter().find(free) {
                Some(&record) => record,
                None => self.open(number),
            };
            work.freed.remove(&record);
            for &loser in candidates.iter().filter(|&&id| id != record) {
                if own.contains(&loser) {
                    work.freed.insert(loser);
                }
                if work.freed.contains(&loser) {
                    into.entry(loser).or_insert(record);
                }
            }
            let incidents = &mut self.state.incidents;
            if let Some(cluster) = incidents.clusters.all.get_mut(&number) {
                cluster.records = vec![record];
                cluster.acting.extend(incidents.naming.get(&record).into_iter().flatten());
            }
            if let Some(tracked) = incidents.records.get_mut(&record) {
                tracked.cluster = Some(number);
            }
        }
        let (merged, withdrawn): (Vec<IncidentId>, Vec<IncidentId>) =
            work.freed.iter().partition(|id| into.contains_key(id));
        for id in merged {
            self.dismiss(id, into.get(&id).copied(), effects);
        }
        withdrawn
    }

    /// The records that had any of a service's episodes before which are in a cluster now.
    fn were_whose(&self, place: u32, number: u32, work: &Regrouping) -> impl Iterator<Item = IncidentId> {
        let own = self.registry.episodes(place).iter().filter(move |episode| episode.cluster == number);
        let former = work.former.get(&place).map_or(&[][..], |former| former);
        own.flat_map(move |episode| {
            let touches =
                former.iter().filter(|(start, end, _)| *start <= episode.end_or_max() && *end >= episode.start);
            touches.map(|&(_, _, id)| id)
        })
    }

    /// The records that had any of a cluster's episodes before, the oldest first.
    fn candidates(&self, number: u32, work: &Regrouping) -> Vec<IncidentId> {
        let Some(cluster) = self.state.incidents.clusters.all.get(&number) else { return Vec::new() };
        let mut found: BTreeSet<IncidentId> = cluster.records.iter().copied().collect();
        for &place in work.former.keys().filter(|place| cluster.services.contains_key(place)) {
            found.extend(self.were_whose(place, number, work));
        }
        let records = &self.state.incidents.records;
        let mut found: Vec<IncidentId> = found.into_iter().filter(|id| records.contains_key(id)).collect();
        found.sort_by_key(|id| (records.get(id).map(|tracked| tracked.incident.started), *id));
        found
    }

    /// A record for a cluster that has none: a new one, or the one that the same first outage had before.
    fn open(&mut self, number: u32) -> IncidentId {
        let Some(cluster) = self.state.incidents.clusters.all.get(&number) else { return IncidentId(0) };
        let begins = |place: &u32| {
            let first = self.registry.episodes(*place).iter().find(|episode| episode.cluster == number);
            first.is_some_and(|episode| episode.start == cluster.start)
        };
        // Of several that began at once the one furthest up.
        let first = cluster.services.keys().copied().filter(begins);
        let first = first.min_by_key(|&place| (self.registry.lineage(place).len(), self.registry.name(place)));
        let place = first.unwrap_or_default();
        let service = ServiceName::known(self.registry.name(place));
        let key = self.registry.history(place).and_then(|history| history.key_of(cluster.start));
        let mut name = format!("{service}\n{}\n{}", key.unwrap_or(""), cluster.start.as_micros());
        if let Some(drill) = &self.state.drill {
            name = format!("{name}\n{drill}");
        }
        let mut id = IncidentId(xxh3_64(name.as_bytes()));
        let records = &mut self.state.incidents.records;
        // One of that id may go on under it while its edges have moved away from that outage.
        while records.get(&id).is_some_and(|tracked| tracked.cluster.is_some()) {
            id = IncidentId(xxh3_64(format!("{name}\n{id}").as_bytes()));
        }
        if let Some(tracked) = records.get_mut(&id) {
            (tracked.incident.merged_into, tracked.incident.status) = (None, Status::Open);
            return id;
        }
        let incident = Incident {
            id,
            services: 1,
            suspected_cause: None,
            scope: service.clone(),
            region: self.registry.region(place).to_owned(),
            service,
            status: Status::Open,
            merged_into: None,
            level: Level::Third,
            first_level: Level::Third,
            started: cluster.start,
            detected: self.state.now,
            restored: None,
            verified: None,
            actions: Actions::default(),
            users: None,
            users_estimated: false,
            user_micros: 0,
            accruing: None,
            next_level: None,
            cause: Cause::Unknown,
            flaps: 0,
            detail: None,
            clocks: Vec::new(),
            levels: Vec::new(),
            drill: self.state.drill.clone(),
        };
        records.insert(id, Shared::new(Tracked::new(incident, place)));
        if let Some(history) = self.registry.history_mut(place) {
            history.incidents.push(id);
        }
        id
    }
}
