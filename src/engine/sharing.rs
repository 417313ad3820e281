//! Values whose copies share all that neither of them changed since, so that a copy of the whole engine costs next to
//! nothing: a checkpoint is written from a copy, and long answers are read from one, while the engine goes on.
//!
//! A copy is paid for by whoever changes a part first while another still has it: that part alone is doubled. As bytes
//! they are the plain values.

use std::fmt::{self, Debug, Formatter};
use std::ops::{Deref, DerefMut, Index, IndexMut};
use std::sync::Arc;

use borsh::io::{self, Read, Write};
use borsh::{BorshDeserialize, BorshSerialize};
use imbl::OrdMap;

/// A value that its copies share until one of them changes it.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize)]
pub(super) struct Shared<T>(Arc<T>);

impl<T> Shared<T> {
    pub(super) fn new(value: T) -> Self {
        Self(Arc::new(value))
    }

    /// The value itself, copied if others still have it.
    pub(super) fn into_inner(self) -> T
    where
        T: Clone,
    {
        Arc::unwrap_or_clone(self.0)
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> DerefMut for Shared<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}

impl<T: BorshDeserialize> BorshDeserialize for Shared<T> {
    fn deserialize_reader<R: Read>(reader: &mut R) -> io::Result<Self> {
        T::deserialize_reader(reader).map(Self::new)
    }
}

/// How many values of a list are shared as one: few enough that doubling them costs microseconds, enough that a
/// million are copied as a few thousand.
const CHUNK: usize = 128;

/// A list that only grows.
#[derive(Clone)]
pub(super) struct Chunks<T> {
    /// All full but the last.
    chunks: Vec<Shared<Vec<T>>>,
}

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self { chunks: Vec::new() }
    }
}

impl<T> Chunks<T> {
    pub(super) fn len(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.len())
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &T> {
        (0..self.len()).map(|place| &self[place])
    }
}

impl<T: Clone> Chunks<T> {
    pub(super) fn push(&mut self, value: T) {
        match self.chunks.last_mut().filter(|last| last.len() < CHUNK) {
            Some(last) => last.push(value),
            None => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(value);
                self.chunks.push(Shared::new(chunk));
            }
        }
    }
}

impl<T> Index<usize> for Chunks<T> {
    type Output = T;

    fn index(&self, place: usize) -> &T {
        &self.chunks[place / CHUNK][place % CHUNK]
    }
}

impl<T: Clone> IndexMut<usize> for Chunks<T> {
    fn index_mut(&mut self, place: usize) -> &mut T {
        &mut self.chunks[place / CHUNK][place % CHUNK]
    }
}

impl<T: PartialEq> PartialEq for Chunks<T> {
    fn eq(&self, other: &Self) -> bool {
        self.chunks == other.chunks
    }
}

impl<T: Debug> Debug for Chunks<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T: BorshSerialize> BorshSerialize for Chunks<T> {
    fn serialize<W: Write>(&self, writer: &mut W) -> io::Result<()> {
        length(self.len())?.serialize(writer)?;
        self.iter().try_for_each(|value| value.serialize(writer))
    }
}

impl<T: BorshDeserialize + Clone> BorshDeserialize for Chunks<T> {
    fn deserialize_reader<R: Read>(reader: &mut R) -> io::Result<Self> {
        let mut list = Self::default();
        for _ in 0..u32::deserialize_reader(reader)? {
            list.push(T::deserialize_reader(reader)?);
        }
        Ok(list)
    }
}

/// Into how many parts what is found by a hash is divided.
const SHARDS: usize = 1024;

/// A table in parts, each shared by itself: what is found by a hash is in the part that the hash names.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Shards<T>(Vec<Shared<T>>);

impl<T: Clone + Default> Default for Shards<T> {
    fn default() -> Self {
        Self(vec![Shared::default(); SHARDS])
    }
}

impl<T: Clone> Shards<T> {
    pub(super) fn of(&self, hash: u64) -> &T {
        &self.0[part(hash)]
    }

    pub(super) fn of_mut(&mut self, hash: u64) -> &mut T {
        &mut self.0[part(hash)]
    }
}

/// How much each part has to hold so that all of them hold at least the last `count` of any: parts fill unevenly, by
/// six standard deviations less than once in 10⁹.
#[allow(clippy::cast_possible_truncation, reason = "it is refused when this is built")]
pub(super) const fn share(count: usize) -> u16 {
    let mean = count / SHARDS + 1;
    let share = mean + 6 * mean.isqrt();
    assert!(share < u16::MAX as usize, "that is more than a part can number");
    share as u16
}

#[allow(clippy::cast_possible_truncation, reason = "it is below the number of parts")]
const fn part(hash: u64) -> usize {
    (hash % SHARDS as u64) as usize
}

/// A map in the order of its keys. Whoever keeps large values in it shares each of them, for those beside a changed one
/// are doubled with it.
#[derive(Clone, PartialEq)]
pub(super) struct Map<K: Ord + Clone, V: Clone + PartialEq>(OrdMap<K, V>);

impl<K: Ord + Clone, V: Clone + PartialEq> Default for Map<K, V> {
    fn default() -> Self {
        Self(OrdMap::new())
    }
}

impl<K: Ord + Clone, V: Clone + PartialEq> Deref for Map<K, V> {
    type Target = OrdMap<K, V>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<K: Ord + Clone, V: Clone + PartialEq> DerefMut for Map<K, V> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<K: Ord + Clone + Debug, V: Clone + PartialEq + Debug> Debug for Map<K, V> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.0.iter()).finish()
    }
}

impl<K: Ord + Clone + BorshSerialize, V: Clone + PartialEq + BorshSerialize> BorshSerialize for Map<K, V> {
    fn serialize<W: Write>(&self, writer: &mut W) -> io::Result<()> {
        length(self.0.len())?.serialize(writer)?;
        self.0.iter().try_for_each(|entry| entry.serialize(writer))
    }
}

impl<K: Ord + Clone + BorshDeserialize, V: Clone + PartialEq + BorshDeserialize> BorshDeserialize for Map<K, V> {
    fn deserialize_reader<R: Read>(reader: &mut R) -> io::Result<Self> {
        let mut map = OrdMap::new();
        for _ in 0..u32::deserialize_reader(reader)? {
            let (key, value) = <(K, V)>::deserialize_reader(reader)?;
            map.insert(key, value);
        }
        Ok(Self(map))
    }
}

/// A length as it stands in the bytes.
pub(super) fn length(length: usize) -> io::Result<u32> {
    u32::try_from(length).map_err(|_| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_shares_all_but_what_changed() {
        let mut list = Chunks::default();
        for number in 0..1000 {
            list.push(number);
        }
        let copy = list.clone();
        list[300] = 0;
        list.push(1000);
        assert_eq!((copy[300], copy.len()), (300, 1000));
        assert_eq!((list[300], list.len()), (0, 1001));
        let is_shared = |place: usize| Arc::ptr_eq(&list.chunks[place].0, &copy.chunks[place].0);
        assert_eq!((0..8).filter(|&place| !is_shared(place)).collect::<Vec<_>>(), [2, 7]);
    }

    #[test]
    fn as_bytes_they_are_the_plain_values() {
        let mut list = Chunks::default();
        let mut map = Map::default();
        let plain: Vec<u64> = (0..300).map(|number| number * 7 % 300).collect();
        for &number in &plain {
            list.push(number);
            map.insert(number, number.to_string());
        }
        let bytes = borsh::to_vec(&list).unwrap();
        assert_eq!(bytes, borsh::to_vec(&plain).unwrap());
        assert_eq!(borsh::from_slice::<Chunks<u64>>(&bytes).unwrap(), list);
        let plain: std::collections::BTreeMap<u64, String> =
            plain.iter().map(|number| (*number, number.to_string())).collect();
        let bytes = borsh::to_vec(&map).unwrap();
        assert_eq!(bytes, borsh::to_vec(&plain).unwrap());
        assert!(borsh::from_slice::<Map<u64, String>>(&bytes).unwrap() == map);
    }

    #[test]
    fn parts_of_equal_shares_hold_the_last_of_all() {
        let all = usize::from(share(2_000_000)) * SHARDS;
        assert!(all > 2_200_000 && all < 2_400_000);
        assert_eq!(share(0), 7);
    }
}
