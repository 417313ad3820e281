//! The reports about an incident, kept by where they were made while it is live: one more costs little in an incident of
//! a hundred thousand services.

use std::collections::{BTreeMap, BTreeSet};

use super::Engine;
use super::history::History;
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

impl Incidents {
    /// The clusters of what is live that hold a service, looked for among all that is live.
    fn live_with(&self, place: u32) -> BTreeSet<u32> {
        let holds = |number: &&u32| {
            self.clusters.all.get(*number).is_some_and(|cluster| cluster.services.contains_key(&place))
        };
        self.impacts.0.keys().filter(holds).copied().collect()
    }

    /// The same, looked for among all that the service ever was in.
    fn live_of(&self, history: &History) -> BTreeSet<u32> {
        let ever = history.episodes.iter().map(|episode| episode.cluster);
        ever.filter(|number| self.impacts.0.contains_key(number)).collect()
    }
}

impl Engine {
    /// Takes note that the history of a service is another one: what was reported there may be about something else.
    pub(super) fn stir(&mut self, place: u32) {
        let Some(history) = self.registry.history(place).filter(|history| history.has_actions()) else { return };
        let incidents = &mut self.state.incidents;
        // A storm has many that are live, of services that had few outages; otherwise few are.
        let live = if incidents.impacts.0.len() < history.episodes.len() {
            incidents.live_with(place)
        } else {
            incidents.live_of(history)
        };
        for number in live {
            if let Some(impact) = incidents.impacts.0.get_mut(&number) {
                impact.reports.stale.insert(place);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Input;
    use crate::model::event::{Body, Event, OutageFacts, OutageStarted};
    use crate::model::event_id::EventId;
    use crate::model::service::ServiceName;

    #[test]
    fn what_is_live_is_found_either_way() {
        let mut engine = Engine::new();
        let mut effects = Vec::new();
        let minute = |minute: i64| Instant::from_micros(minute * 60_000_000);
        let mut say = |at: i64, body: Body| {
            let (time, source) = (minute(at), "test".into());
            let event = Event { id: EventId::NONE, source, time, drill: None, body };
            engine.apply(time, &Input::Event(event), &mut effects);
        };
        let began = |name: &str| {
            let (service, facts) = (ServiceName::known(name), OutageFacts::default());
            Body::OutageStarted(Box::new(OutageStarted { service, outage: "".into(), facts }))
        };
        let ended =
            |name: &str| Body::OutageEnded { service: ServiceName::known(name), outage: "".into(), cause: None };
        // Ten outages of one service that are long over, and the eleventh; the first one of another.
        for outage in 0..10 {
            say(outage * 1000, began("often"));
            say(outage * 1000 + 10, ended("often"));
        }
        say(20_000, began("often"));
        say(20_001, began("once"));
        engine.advance(minute(20_002), &mut effects);
        let incidents = &engine.state.incidents;
        assert_eq!(incidents.impacts.0.len(), 2);
        for name in ["often", "once"] {
            let place = engine.registry.find(name).unwrap();
            let live = incidents.live_with(place);
            assert_eq!(live.len(), 1, "{name}");
            assert_eq!(live, incidents.live_of(engine.registry.history(place).unwrap()), "{name}");
        }
    }
}
