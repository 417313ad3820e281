//! What was taken in before: ids of events and keys of whole bodies, so that redelivery is harmless.

use std::collections::{HashSet, VecDeque};

use borsh::{BorshDeserialize, BorshSerialize};
use xxhash_rust::xxh3::xxh3_128;

/// How many ids of samples are remembered: two million, the contract's `ingest.sample_dedup`. At 32 bytes each
/// that is some 64 MB, and ten minutes of a busy network's samples.
const SAMPLES_MAX: usize = 2_000_000;
/// How many keys of whole bodies are remembered: a day of one body a second.
const BODIES_MAX: usize = 86_400;

/// Ids and keys seen.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Dedup {
    /// Ids of events that change state: remembered as long as their marks.
    facts: HashSet<u128>,
    samples: Recent,
    bodies: Recent,
}

/// The last so many of a kind.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
struct Recent {
    known: HashSet<u128>,
    order: VecDeque<u128>,
}

impl Recent {
    fn is_new(&mut self, hash: u128, max: usize) -> bool {
        if !self.known.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > max
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

impl Dedup {
    /// Whether this is the first fact of that source and id.
    pub(super) fn is_new_fact(&mut self, source: &str, id: &str) -> bool {
        self.facts.insert(hash(source, id))
    }

    /// Whether this is the first sample, of those remembered, of that source and id.
    pub(super) fn is_new_sample(&mut self, source: &str, id: &str) -> bool {
        self.samples.is_new(hash(source, id), SAMPLES_MAX)
    }

    /// Whether this is the first body, of those remembered, of that source and key.
    pub(super) fn is_new_body(&mut self, source: &str, key: &str) -> bool {
        self.bodies.is_new(hash(source, key), BODIES_MAX)
    }
}

/// 128 bits, so that two of 10⁹ ids share a hash with a chance below 10⁻²⁰.
fn hash(source: &str, id: &str) -> u128 {
    let mut text = Vec::with_capacity(source.len() + id.len() + 8);
    text.extend_from_slice(&(source.len() as u64).to_le_bytes());
    text.extend_from_slice(source.as_bytes());
    text.extend_from_slice(id.as_bytes());
    xxh3_128(&text)
}
