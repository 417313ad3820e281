//! The points of one block, in half the room where they fit: at instants within some years of each other, of amounts as
//! most are. As bytes, and to whoever asks, they are the plain list.

use borsh::io::{self, Read, Write};
use borsh::{BorshDeserialize, BorshSerialize};

use super::points::Pair;
use super::sharing::length;
use crate::model::time::{Instant, Span};

/// An amount at an instant.
pub(super) type Point = (Instant, Pair);

/// Points in the order of their instants.
#[derive(Clone, Debug)]
pub(super) enum Packed {
    /// All of them fit, as seen from `base`.
    Small { base: Instant, points: Vec<Small> },
    /// Some do not.
    Plain(Vec<Point>),
}

/// A point in 12 bytes instead of 24. Each outage makes several in every group of its service, and they are most of what
/// it costs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Small {
    /// The distance from the base in microseconds: how often 2³² of them, and what is over. Some four years either way.
    coarse: i16,
    b: i16,
    fine: u32,
    a: i32,
}

impl Small {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "what is over is 32 bits")]
    fn new(base: Instant, (at, Pair { a, b }): Point) -> Option<Self> {
        let distance = at.since(base).as_micros();
        let (coarse, fine) = (i16::try_from(distance >> 32).ok()?, distance as u32);
        Some(Self { coarse, b: b.try_into().ok()?, fine, a: a.try_into().ok()? })
    }

    fn point(self, base: Instant) -> Point {
        let distance = i64::from(self.coarse) << 32 | i64::from(self.fine);
        (base.plus(Span::from_micros(distance)), Pair::new(self.a.into(), self.b.into()))
    }
}

impl Default for Packed {
    fn default() -> Self {
        Self::Plain(Vec::new())
    }
}

impl FromIterator<Point> for Packed {
    fn from_iter<I: IntoIterator<Item = Point>>(points: I) -> Self {
        let points: Vec<Point> = points.into_iter().collect();
        let base = points.first().map_or(Instant::MIN, |&(first, _)| first);
        let mut small = Vec::with_capacity(points.len());
        small.extend(points.iter().map_while(|&point| Small::new(base, point)));
        if small.len() == points.len() { Self::Small { base, points: small } } else { Self::Plain(points) }
    }
}

impl Packed {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Small { points, .. } => points.len(),
            Self::Plain(points) => points.len(),
        }
    }

    pub(super) fn get(&self, place: usize) -> Option<Point> {
        match self {
            Self::Small { base, points } => points.get(place).map(|small| small.point(*base)),
            Self::Plain(points) => points.get(place).copied(),
        }
    }

    pub(super) fn first(&self) -> Option<Instant> {
        self.get(0).map(|(at, _)| at)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Point> {
        (0..self.len()).filter_map(|place| self.get(place))
    }

    /// How many lie before `at`.
    pub(super) fn before(&self, at: Instant) -> usize {
        match self {
            Self::Small { base, points } => points.partition_point(|small| small.point(*base).0 < at),
            Self::Plain(points) => points.partition_point(|&(known, _)| known < at),
        }
    }

    pub(super) fn insert(&mut self, place: usize, point: Point) {
        if self.len() == 0 {
            *self = [point].into_iter().collect();
            return;
        }
        if let Self::Small { base, points } = self {
            match Small::new(*base, point) {
                Some(small) => return points.insert(place, small),
                None => *self = Self::Plain(self.iter().collect()),
            }
        }
        if let Self::Plain(points) = self {
            points.insert(place, point);
        }
    }

    pub(super) fn remove(&mut self, place: usize) {
        match self {
            Self::Small { points, .. } => _ = points.remove(place),
            Self::Plain(points) => _ = points.remove(place),
        }
    }

    /// Parts it in two, each as small as may be: what is before `place`, which it keeps, and the rest.
    pub(super) fn split_off(&mut self, place: usize) -> Self {
        let rest = self.iter().skip(place).collect();
        *self = self.iter().take(place).collect();
        rest
    }
}

impl PartialEq for Packed {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl BorshSerialize for Packed {
    fn serialize<W: Write>(&self, writer: &mut W) -> io::Result<()> {
        length(self.len())?.serialize(writer)?;
        self.iter().try_for_each(|point| point.serialize(writer))
    }
}

impl BorshDeserialize for Packed {
    fn deserialize_reader<R: Read>(reader: &mut R) -> io::Result<Self> {
        Ok(Vec::<Point>::deserialize_reader(reader)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Distances and amounts at which something no longer fits, and beside them.
    fn edges() -> impl Strategy<Value = i64> {
        let edge = prop::sample::select(vec![0, 15, 31, 32, 47, 48, 62]);
        (edge, -2_i64..3, any::<bool>()).prop_map(|(bits, by, negative)| {
            let distance = (1_i64 << bits) + by;
            if negative { -distance } else { distance }
        })
    }

    proptest! {
        #[test]
        fn it_is_the_plain_list(
            said in prop::collection::vec((edges(), edges(), edges(), any::<prop::sample::Index>()), 1..40),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut plain: Vec<Point> = Vec::new();
            let mut packed = Packed::default();
            for (at, a, b, gone) in said {
                let at = Instant::from_micros(at);
                let place = plain.partition_point(|&(known, _)| known < at);
                prop_assert_eq!(packed.before(at), place);
                plain.insert(place, (at, Pair::new(a, b)));
                packed.insert(place, (at, Pair::new(a, b)));
                if a > b {
                    let gone = gone.index(plain.len());
                    plain.remove(gone);
                    packed.remove(gone);
                }
                prop_assert!(packed.iter().eq(plain.iter().copied()));
                let bytes = borsh::to_vec(&packed).unwrap();
                prop_assert_eq!(&bytes, &borsh::to_vec(&plain).unwrap());
                prop_assert_eq!(&borsh::from_slice::<Packed>(&bytes).unwrap(), &packed);
            }
            let cut = cut.index(plain.len() + 1);
            let (rest, plain_rest) = (packed.split_off(cut), plain.split_off(cut));
            prop_assert!(packed.iter().eq(plain) && rest.iter().eq(plain_rest));
        }
    }

    #[test]
    fn what_fits_is_small() {
        let hour = 3_600_000_000;
        let at = |hours: i64| Instant::from_micros(1_700_000_000_000_000 + hours * hour);
        let mut packed: Packed = (0..60).map(|n| (at(n * 24), Pair::new(-5_000_000, -1))).collect();
        assert!(matches!(packed, Packed::Small { .. }));
        assert_eq!(size_of::<Small>(), 12);
        packed.insert(0, (at(-9), Pair::new(1, hour)));
        assert!(matches!(packed, Packed::Plain(_)));
        // What is parted from the large ones is small again.
        assert!(matches!(packed.split_off(1), Packed::Small { .. }));
    }
}
