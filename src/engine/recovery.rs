//! What became of a recovery (manual §4.4(3), R77): whether it was in time, whether it held, and what the users say.

use super::Engine;
use crate::model::incident::{Incident, IncidentId};
use crate::model::procedure::ClockName;
use crate::model::time::{Instant, Span};

/// What is down again within this time has not been recovered for good. The manual names no number.
const RECURRENCE: Span = Span::from_hours(72);

/// The assessment of a recovery, as far as it can be told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recovery {
    /// How much of the response limit was used, holds left out: at most 1 if it was kept.
    pub response_used: Option<f64>,
    /// How much of the repair limit was used, holds left out: at most 1 if it was kept.
    pub repair_used: Option<f64>,
    /// Until when another interruption of one of its services is a recurrence.
    pub watched_until: Instant,
    /// The first recurrence: of which incident, and when.
    pub recurrence: Option<(IncidentId, Instant)>,
    /// Whether it held. Absent while it is watched.
    pub effective: Option<bool>,
    /// The mean of the surveys' scores, from 0 to 100. Absent when nobody was asked.
    pub satisfaction: Option<f64>,
}

impl Engine {
    /// The assessment at `at` of an incident of which nothing is out any more.
    #[must_use]
    pub fn recovery(&self, incident: &Incident, at: Instant) -> Option<Recovery> {
        let restored = incident.restored?;
        let watched_until = restored.plus(RECURRENCE);
        let holds = incident.holds();
        let used = |name: &ClockName| {
            let clock = incident.clock(name)?;
            let ran = clock.stopped?.since(clock.started).minus(clock.held(&holds, at));
            (clock.limit > Span::ZERO).then(|| ran.as_secs_f64() / clock.limit.as_secs_f64())
        };
        let recurrence = self.recurrence(incident.id, restored, watched_until.min(at));
        Some(Recovery {
            response_used: used(&ClockName::Response),
            repair_used: used(&ClockName::Repair),
            watched_until,
            recurrence,
            effective: if recurrence.is_some() { Some(false) } else { (at >= watched_until).then_some(true) },
            satisfaction: incident.satisfaction(),
        })
    }

    /// The first interruption of one of an incident's services in `(after, until]` that is another incident.
    fn recurrence(&self, id: IncidentId, after: Instant, until: Instant) -> Option<(IncidentId, Instant)> {
        let home = self.home_of(id);
        let incidents = &home.state.incidents;
        let own = incidents.records.get(&id)?.cluster;
        let again = incidents.services(id).filter_map(|place| {
            let episodes = home.registry.episodes(place);
            let first = episodes.partition_point(|episode| episode.start <= after);
            let others = episodes[first..].iter().take_while(|episode| episode.start <= until);
            others.into_iter().find(|episode| Some(episode.cluster) != own)
        });
        let first = again.min_by_key(|episode| episode.start)?;
        let record = incidents.clusters.all.get(&first.cluster)?.records.first()?;
        Some((*record, first.start))
    }
}
