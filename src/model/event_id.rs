//! What events are known by, so that one that comes again counts once.

use std::hash::{Hash, Hasher};

use borsh::{BorshDeserialize, BorshSerialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

/// An event's identity: 128 bits of its source and id, so that two of 10⁹ share one with a chance below 10⁻²⁰.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub struct EventId([u8; 16]);

impl EventId {
    /// The identity of what has none: it cannot be repeated by name, nor taken back.
    pub const NONE: Self = Self([0; 16]);

    /// The identity of what that source calls by that id.
    #[must_use]
    pub fn new(source: &str, id: &str) -> Self {
        // Usual ones are put together here, and not on the heap.
        let mut text = [0; 128];
        let parts = [&(source.len() as u64).to_le_bytes()[..], source.as_bytes(), id.as_bytes()];
        let length = parts.iter().map(|part| part.len()).sum();
        let hash = if length <= text.len() {
            let mut rest = &mut text[..];
            for part in parts {
                let (start, after) = rest.split_at_mut(part.len());
                start.copy_from_slice(part);
                rest = after;
            }
            xxh3_128(&text[..length])
        } else {
            let mut hasher = Xxh3::new();
            parts.iter().for_each(|part| hasher.update(part));
            hasher.digest128()
        };
        Self(hash.to_le_bytes())
    }

    /// Half of it, which is a hash already and says in which part of a table it is.
    #[must_use]
    pub const fn part(self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// The other half, by which it is found within that part.
    #[must_use]
    pub const fn within(self) -> u64 {
        let [.., a, b, c, d, e, f, g, h] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

/// The half that does not say in which part of a table it is.
impl Hash for EventId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.within());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_short_ones_are_hashed_alike() {
        for length in 0..300 {
            let (source, id) = ("s".repeat(length / 3), "i".repeat(length));
            let text = [&(source.len() as u64).to_le_bytes()[..], source.as_bytes(), id.as_bytes()].concat();
            assert_eq!(EventId::new(&source, &id).0, xxh3_128(&text).to_le_bytes());
        }
    }
}
