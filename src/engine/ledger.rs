//! What was taken in before, and what was taken back: ids of events and keys of whole bodies, so that redelivery is
//! harmless and a retraction holds whichever of the two came first.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hash, Hasher};

use borsh::{BorshDeserialize, BorshSerialize};
use xxhash_rust::xxh3::xxh3_128;

use super::sharing::{Map, Shards, share};

/// How many ids of samples are remembered: two million, the contract's `ingest.sample_dedup`. At 32 bytes each
/// that is some 64 MB, and ten minutes of a busy network's samples.
const SAMPLES_MAX: usize = 2_000_000;
/// How many keys of whole bodies are remembered: a day of one body a second.
const BODIES_MAX: usize = 86_400;

/// An event's identity: 128 bits of its source and id, so that two of 10⁹ share one with a chance below 10⁻²⁰.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub(super) struct Id([u8; 16]);

impl Id {
    /// The identity of what has none: it cannot be repeated by name, nor taken back.
    pub(super) const NONE: Self = Self([0; 16]);

    pub(super) fn new(source: &str, id: &str) -> Self {
        let mut text = Vec::with_capacity(source.len() + id.len() + 8);
        text.extend_from_slice(&(source.len() as u64).to_le_bytes());
        text.extend_from_slice(source.as_bytes());
        text.extend_from_slice(id.as_bytes());
        Self(xxh3_128(&text).to_le_bytes())
    }

    /// Says in which part of a table it is: half of it, which is a hash already.
    fn part(self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

/// The half that does not say in which part of a table it is.
impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [.., a, b, c, d, e, f, g, h] = self.0;
        state.write_u64(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
    }
}

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
    Retraction(Id),
    /// Nowhere: no figure uses it.
    Nowhere,
}

/// Ids and keys seen.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Ledger {
    /// Events that change state: remembered as long as their marks.
    facts: Shards<HashMap<Id, Kept, ById>>,
    /// The retractions of an event, by what they name.
    retractions: Map<Id, Vec<Id>>,
    samples: Shards<Recent>,
    bodies: Shards<Recent>,
}

/// The last so many of a kind.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
struct Recent {
    known: HashSet<Id, ById>,
    order: VecDeque<Id>,
}

impl Recent {
    fn is_new(&mut self, id: Id, max: usize) -> bool {
        if !self.known.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > max
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

impl Ledger {
    /// Notes an event that changes state. Returns whether it is the first of that id.
    pub(super) fn is_new_fact(&mut self, id: Id, kept: Kept) -> bool {
        match self.facts.of_mut(id.part()).entry(id) {
            std::collections::hash_map::Entry::Occupied(_) => false,
            std::collections::hash_map::Entry::Vacant(place) => {
                place.insert(kept);
                true
            }
        }
    }

    /// Whether this is the first sample, of those remembered, of that id.
    pub(super) fn is_new_sample(&mut self, id: Id) -> bool {
        self.samples.of_mut(id.part()).is_new(id, share(SAMPLES_MAX))
    }

    /// Whether this is the first body, of those remembered, of that source and key.
    pub(super) fn is_new_body(&mut self, source: &str, key: &str) -> bool {
        let id = Id::new(source, key);
        self.bodies.of_mut(id.part()).is_new(id, share(BODIES_MAX))
    }

    /// Notes a retraction. Returns the events whose standing may have changed: what it names, and if that is a
    /// retraction, what that names, and so on.
    pub(super) fn retract(&mut self, of: Id, by: Id) -> Vec<(Id, Kept)> {
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
    pub(super) fn forget(&mut self, id: Id) {
        let mut gone = vec![id];
        while let Some(id) = gone.pop().filter(|&id| id != Id::NONE) {
            self.facts.of_mut(id.part()).remove(&id);
            gone.extend(self.retractions.remove(&id).into_iter().flatten().filter(|&by| by != Id::NONE));
        }
    }

    /// Whether an event counts nowhere, because a retraction that itself counts names it.
    pub(super) fn is_retracted(&self, id: Id) -> bool {
        !self.retractions.is_empty() && self.retracted_within(id, &mut Vec::new())
    }

    /// As above. A circle of retractions is cut where it closes, so that the answer follows from what was said and
    /// not from the order in which it came.
    fn retracted_within(&self, id: Id, path: &mut Vec<Id>) -> bool {
        let Some(by) = self.retractions.get(&id) else { return false };
        path.push(id);
        let retracted =
            by.iter().any(|&by| by == Id::NONE || path.contains(&by) || !self.retracted_within(by, path));
        path.pop();
        retracted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retraction_may_be_taken_back() {
        let id = |name: &str| Id::new("s", name);
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
        ledger.retract(id("b"), Id::NONE);
        assert!(ledger.is_retracted(id("b")));
    }
}
