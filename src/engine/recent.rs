//! Recent: the incidents that people look at first, which are those that go on and those that were restored within a day.
//! Finding them costs the same however many there were in a year.

use borsh::io::{self, Read, Write};
use borsh::{BorshDeserialize, BorshSerialize};

use super::Engine;
use super::sharing::Map;
use crate::model::incident::{Incident, IncidentId, Status};
use crate::model::time::{Instant, Span};

/// For how long what is restored is looked at.
const LATELY: Span = Span::from_hours(24);
/// What is older is let go of when there are twice as many as last time, and this many more.
const MORE: usize = 64;

/// Some incidents more than those, none less. It follows from the records, and is no part of a snapshot.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent {
    /// When each was restored; for one that goes on, later than anything.
    until: Map<IncidentId, Instant>,
    /// How many there were when older ones were last let go of.
    swept: usize,
}

impl Recent {
    /// Takes an incident as it stands at `now`.
    pub(super) fn note(&mut self, incident: &Incident, now: Instant) {
        match until(incident) {
            Some(until) if now.since(until) < LATELY => {
                self.until.insert(incident.id, until);
            }
            _ => {
                self.until.remove(&incident.id);
            }
        }
        if self.until.len() > 2 * self.swept + MORE {
            let old: Vec<IncidentId> =
                self.until.iter().filter(|&(_, &until)| now.since(until) >= LATELY).map(|(&id, _)| id).collect();
            for id in old {
                self.until.remove(&id);
            }
            self.swept = self.until.len();
        }
    }

    /// Adds what another part of the network has.
    pub(super) fn add(&mut self, other: Self) {
        self.until.extend(other.until.iter().map(|(&id, &until)| (id, until)));
    }
}

/// When an incident stopped to be looked at first, if it ever was.
const fn until(incident: &Incident) -> Option<Instant> {
    match incident.status {
        Status::Open | Status::Acknowledged | Status::Mitigated => Some(Instant::MAX),
        Status::Restored | Status::Reviewed => incident.restored,
        Status::Merged | Status::Withdrawn => None,
    }
}

impl Engine {
    /// The incidents that go on at `now`, and those that were restored within the day before, by id.
    pub fn recent_incidents(&self) -> impl Iterator<Item = &Incident> {
        let (incidents, now) = (&self.state.incidents, self.state.now);
        let known = incidents.recent.until.keys().filter_map(|id| incidents.records.get(id));
        let is_recent = move |incident: &&Incident| until(incident).is_some_and(|until| now.since(until) < LATELY);
        known.map(|tracked| &tracked.incident).filter(is_recent)
    }

    /// Finds them all again.
    pub(super) fn find_recent(&mut self) {
        let now = self.state.now;
        let incidents = &mut self.state.incidents;
        for tracked in incidents.records.values() {
            incidents.recent.note(&tracked.incident, now);
        }
    }
}

impl PartialEq for Recent {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl BorshSerialize for Recent {
    fn serialize<W: Write>(&self, _: &mut W) -> io::Result<()> {
        Ok(())
    }
}

impl BorshDeserialize for Recent {
    fn deserialize_reader<R: Read>(_: &mut R) -> io::Result<Self> {
        Ok(Self::default())
    }
}
