//! What was taken in before, and what was taken back: ids of events and keys of whole bodies, so that redelivery is
//! harmless and a retraction holds whichever of the two came first.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use borsh::io::{self, Read, Write};
use borsh::{BorshDeserialize, BorshSerialize};
use hashbrown::HashTable;

use super::sharing::{Map, Shards, share};
use crate::model::event_id::EventId;

/// How many ids of samples are remembered in each part of the table: two million in all, the contract's
/// `ingest.sample_dedup`. At some 22 bytes each that is 50 MB, and ten minutes of a busy network's samples.
const SAMPLES_SHARE: u16 = share(2_000_000);
/// How many keys of whole bodies are remembered in each part: a day of one body a second in all.
const BODIES_SHARE: u16 = share(86_400);

/// Takes what is a hash already as it is.
#[derive(Clone, Copy, Debug, Default)]
struct Ready(u64);

impl Hasher for Ready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

type ById = BuildHasherDefault<Ready>;

/// Where what an event said is kept, to take it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) enum Kept {
    /// With a service.
    Service(u32),
    /// With the maintenance.
    Maintenance,
    /// It is a retraction, of this.
    Retraction(EventId),
    /// Nowhere: no figure uses it.
    Nowhere,
}

/// Ids and keys seen.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Ledger {
    /// Events that change state: remembered as long as their marks.
    facts: Shards<HashMap<EventId, Kept, ById>>,
    /// The retractions of an event, by what they name.
    retractions: Map<EventId, Vec<EventId>>,
    samples: Shards<Recent>,
    bodies: Shards<Recent>,
}

/// The last so many of a kind.
#[derive(Clone, Debug, Default)]
struct Recent {
    /// At first in the order in which they came. Once they are as many as are remembered, each takes the place of the
    /// oldest.
    ids: Vec<EventId>,
    /// Where the oldest is.
    oldest: u16,
    /// Where each is. Looked up, never iterated.
    places: HashTable<u16>,
}

impl Recent {
    fn is_new(&mut self, id: EventId, max: u16) -> bool {
        let Self { ids, oldest, places } = self;
        if places.find(id.within(), |&place| ids[usize::from(place)] == id).is_some() {
            return false;
        }
        let place = match u16::try_from(ids.len()) {
            Ok(next) if next < max => {
                ids.push(id);
                next
            }
            _ => {
                let place = *oldest;
                let gone = std::mem::replace(&mut ids[usize::from(place)], id);
                if let Ok(known) = places.find_entry(gone.within(), |&known| known == place) {
                    known.remove();
                }
                *oldest = if place + 1 < max { place + 1 } else { 0 };
                place
            }
        };
        places.insert_unique(id.within(), place, |&place| ids[usize::from(place)].within());
        true
    }
}

impl PartialEq for Recent {
    fn eq(&self, other: &Self) -> bool {
        self.ids == other.ids && self.oldest == other.oldest
    }
}

impl BorshSerialize for Recent {
    fn serialize<W: Write>(&self, writer: &mut W) -> io::Result<()> {
        (&self.ids, self.oldest).serialize(writer)
    }
}

impl BorshDeserialize for Recent {
    fn deserialize_reader<R: Read>(reader: &mut R) -> io::Result<Self> {
        let (ids, oldest) = <(Vec<EventId>, u16)>::deserialize_reader(reader)?;
        if ids.len() > usize::from(u16::MAX) || usize::from(oldest) >= ids.len().max(1) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut places = HashTable::with_capacity(ids.len());
        for (place, id) in (0..).zip(&ids) {
            places.insert_unique(id.within(), place, |&place: &u16| ids[usize::from(place)].within());
        }
        Ok(Self { ids, oldest, places })
    }
}

impl Ledger {
    /// Notes an event that changes state. Returns whether it is the first of that id.
    pub(super) fn is_new_fact(&mut self, id: EventId, kept: Kept) -> bool {
        match self.facts.of_mut(id.part()).entry(id) {
            std::collections::hash_map::Entry::Occupied(_) => false,
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(kept);
                true
            }
        }
    }

    /// Whether this is the first sample, of those remembered, of that id.
    pub(super) fn is_new_sample(&mut self, id: EventId) -> bool {
        self.samples.of_mut(id.part()).is_new(id, SAMPLES_SHARE)
    }

    /// Whether this is the first body, of those remembered, of that source and key.
    pub(super) fn is_new_body(&mut self, source: &str, key: &str) -> bool {
        let id = EventId::new(source, key);
        self.bodies.of_mut(id.part()).is_new(id, BODIES_SHARE)
    }

    /// Notes a retraction. Returns the events whose standing may have changed: what it names, and if that is a
    /// retraction, what that names, and so on.
    pub(super) fn retract(&mut self, of: EventId, by: EventId) -> Vec<(EventId, Kept)> {
        let known = self.retractions.entry(of).or_default();
        // One without an id that comes again is not known by it.
        if !known.contains(&by) {
            known.push(by);
        }
        let mut concerned = Vec::new();
        let mut next = Some(of);
        while let Some(id) = next {
            let Some(&kept) = self.facts.of(id.part()).get(&id) else { break };
            if concerned.iter().any(|&(known, _)| known == id) {
                break;
            }
            concerned.push((id, kept));
            next = match kept {
                Kept::Retraction(of) => Some(of),
                _ => None,
            };
        }
        concerned
    }

    /// Forgets an event that is folded, and what took it back.
    pub(super) fn forget(&mut self, id: EventId) {
        let mut gone = vec![id];
        while let Some(id) = gone.pop().filter(|&id| id != EventId::NONE) {
            self.facts.of_mut(id.part()).remove(&id);
            gone.extend(self.retractions.remove(&id).into_iter().flatten().filter(|&by| by != EventId::NONE));
        }
    }

    /// Whether an event counts nowhere, because a retraction that itself counts names it.
    pub(super) fn is_retracted(&self, id: EventId) -> bool {
        !self.retractions.is_empty() && self.retracted_within(id, &mut Vec::new())
    }

    /// As above. A circle of retractions is cut where it closes, so that the answer follows from what was said and
    /// not from the order in which it came.
    fn retracted_within(&self, id: EventId, path: &mut Vec<EventId>) -> bool {
        let Some(by) = self.retractions.get(&id) else { return false };
        path.push(id);
        let retracted =
            by.iter().any(|&by| by == EventId::NONE || path.contains(&by) || !self.retracted_within(by, path));
        path.pop();
        retracted
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Also after a restart.
        #[test]
        fn the_last_so_many_are_remembered_and_no_others(
            ids in prop::collection::vec(0_u8..24, 0..200), max in 1_u16..12, restart in 0_usize..200,
        ) {
            let mut recent = Recent::default();
            let mut naive: VecDeque<EventId> = VecDeque::new();
            for (number, id) in ids.into_iter().enumerate() {
                let id = EventId::new("s", &id.to_string());
                let is_new = !naive.contains(&id);
                prop_assert_eq!(recent.is_new(id, max), is_new);
                if is_new {
                    naive.push_back(id);
                    naive.drain(..naive.len().saturating_sub(usize::from(max)));
                }
                if number == restart {
                    let bytes = borsh::to_vec(&recent).unwrap();
                    let restored: Recent = borsh::from_slice(&bytes).unwrap();
                    prop_assert!(restored == recent);
                    recent = restored;
                }
            }
        }
    }

    #[test]
    fn one_whose_oldest_is_nowhere_is_damaged() {
        for (ids, oldest) in [(0, 1), (3, 3), (3, u16::MAX)] {
            let bytes = borsh::to_vec(&(vec![EventId::new("s", "a"); ids], oldest)).unwrap();
            assert!(borsh::from_slice::<Recent>(&bytes).is_err());
        }
    }

    #[test]
    fn a_retraction_may_be_taken_back() {
        let id = |name: &str| EventId::new("s", name);
        let mut ledger = Ledger::default();
        assert!(!ledger.is_retracted(id("a")));
        ledger.is_new_fact(id("a"), Kept::Nowhere);
        ledger.is_new_fact(id("r"), Kept::Retraction(id("a")));
        assert_eq!(ledger.retract(id("a"), id("r")), [(id("a"), Kept::Nowhere)]);
        assert!(ledger.is_retracted(id("a")));
        ledger.is_new_fact(id("q"), Kept::Retraction(id("r")));
        let concerned = ledger.retract(id("r"), id("q"));
        assert_eq!(concerned, [(id("r"), Kept::Retraction(id("a"))), (id("a"), Kept::Nowhere)]);
        assert!(!ledger.is_retracted(id("a")));
        // Two that name each other have an answer, and the same one whichever came first.
        ledger.retract(id("q"), id("r"));
        assert!(!ledger.is_retracted(id("q")) && !ledger.is_retracted(id("r")) && ledger.is_retracted(id("a")));
        // One without an id cannot be taken back.
        ledger.retract(id("b"), EventId::NONE);
        assert!(ledger.is_retracted(id("b")));
    }
}
