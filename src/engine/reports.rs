//! The reports about an incident, kept by where they were made while it is live: one more costs little in an incident of
//! a hundred thousand services.

use std::collections::{BTreeMap, BTreeSet};

use super::Engine;
use super::incidents::Incidents;
use crate::model::action::ActionRecord;
use crate::model::actions::Actions;
use crate::model::event::About;
use crate::model::incident::IncidentId;
use crate::model::time::Instant;

/// What was reported about an incident. It follows from the histories of the services.
#[derive(Clone, Debug, Default)]
pub(super) struct Reports {
    /// The record that they are about, and when what it is of began.
    of: Option<(IncidentId, Instant)>,
    by_place: BTreeMap<u32, Vec<ActionRecord>>,
    /// Where something names an incident: whose that is depends on more than the history there.
    naming: BTreeSet<u32>,
    /// Where the history is another one since.
    stale: BTreeSet<u32>,
    all: Actions,
}

impl Engine {
    /// Takes note that the history of a service is another one: what was reported there may be about something else.
    pub(super) fn stir(&mut self, place: u32) {
        let Some(history) = self.registry.history(place).filter(|history| history.has_actions()) else { return };
        let Incidents { clusters, impacts, .. } = &mut self.state.incidents;
        // A storm has many that are live, of services that had few outages; otherwise few are.
        if impacts.0.len() < history.episodes.len() {
            let holds =
                |number: &u32| clusters.all.get(number).is_some_and(|known| known.services.contains_key(&place));
            for (_, impact) in impacts.0.iter_mut().filter(|(number, _)| holds(number)) {
                impact.reports.stale.insert(place);
            }
        } else {
            for episode in &history.episodes {
                if let Some(impact) = impacts.0.get_mut(&episode.cluster) {
                    impact.reports.stale.insert(place);
                }
            }
        }
    }

    /// What was done about an incident by now. `kept` is brought up to date for it, where `places` changed and where it
    /// is stale.
    pub(super) fn actions(
        &self,
        (number, id): (u32, IncidentId),
        places: &BTreeSet<u32>,
        kept: &mut Reports,
    ) -> Actions {
        let Some(cluster) = self.state.incidents.clusters.all.get(&number) else { return Actions::default() };
        if kept.of != Some((id, cluster.start)) {
            *kept = Reports { of: Some((id, cluster.start)), ..Reports::default() };
        }
        let mut again = std::mem::take(&mut kept.stale);
        again.extend(&kept.naming);
        again.extend(places);
        again.retain(|place| cluster.acting.contains(place));
        let unknown = again.iter().filter(|place| !kept.by_place.contains_key(place)).count();
        if kept.by_place.len() + unknown != cluster.acting.len() {
            again.extend(cluster.acting.iter().filter(|place| !kept.by_place.contains_key(place)));
        }
        let mut more = Vec::new();
        let mut less = false;
        for place in again {
            let found = self.reported_at(place, (number, id), cluster.start);
            let known = kept.by_place.entry(place).or_default();
            if found.starts_with(known) {
                more.extend_from_slice(&found[known.len()..]);
            } else {
                less = true;
            }
            *known = found;
            let names = self.registry.history(place).is_some_and(|history| history.names_any());
            if names {
                kept.naming.insert(place)
            } else {
                kept.naming.remove(&place)
            };
        }
        if less {
            kept.all = kept.by_place.values().flatten().cloned().collect();
        } else if !more.is_empty() {
            kept.all = kept.all.with(more);
        }
        kept.all.clone()
    }

    /// What was reported at a service about an incident by now, in order of time.
    fn reported_at(&self, place: u32, (number, id): (u32, IncidentId), since: Instant) -> Vec<ActionRecord> {
        let Some(history) = self.registry.history(place) else { return Vec::new() };
        let known = history.actions(since).filter(|mark| mark.record.at <= self.state.now);
        let concerning = known.filter(|mark| match &mark.about {
            About::Incident(named) => {
                named.parse().ok().and_then(|named| self.state.incidents.resolve(named)) == Some(id)
            }
            about => history.cluster_of(about, mark.record.at) == Some(number),
        });
        concerning.map(|mark| mark.record.clone()).collect()
    }
}
