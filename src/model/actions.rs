//! What was done about one incident. A storm of a hundred thousand services may be one incident with as many reports:
//! one more must cost little, and so must every question that is asked of all of them whenever anything changes.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use borsh::io::{self, Read, Write};
use borsh::{BorshDeserialize, BorshSerialize};

use super::action::{Action, ActionRecord, Stage};
use super::event::Cause;

/// How many of the last records are kept apart when the others are put together. The next ones are mostly as late.
const RECENT: usize = 128;

/// What was done about an incident, in order. Copies share it. As bytes it is the plain list.
#[derive(Clone, Default)]
pub struct Actions {
    /// The first of them, of which it is known which ones tell anything; none while there are few.
    settled: Option<Arc<Settled>>,
    /// Those after them.
    recent: Arc<[ActionRecord]>,
}

struct Settled {
    records: Vec<ActionRecord>,
    /// The places of those that tell more than the others do.
    telling: Vec<usize>,
}

impl Actions {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.first().len() + self.recent.len()
    }

    /// Whether nothing was done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &ActionRecord> + Clone {
        self.first().iter().chain(&*self.recent)
    }

    /// Those of them that tell when each stage was first reached, who acknowledged it last, what its cause was found to
    /// be last, and all that is no stage, and the reviews, in order. Others may be among them.
    pub fn telling(&self) -> impl DoubleEndedIterator<Item = &ActionRecord> {
        let settled =
            self.settled.iter().flat_map(|settled| settled.telling.iter().map(|&at| &settled.records[at]));
        settled.chain(&*self.recent)
    }

    /// The same with some more.
    #[must_use]
    pub fn with(&self, mut more: Vec<ActionRecord>) -> Self {
        let is_late = more.iter().min().is_some_and(|first| self.first().last().is_some_and(|last| first < last));
        more.extend_from_slice(&self.recent);
        if is_late {
            more.extend_from_slice(self.first());
            return more.into_iter().collect();
        }
        more.sort();
        Self { settled: self.settled.clone(), recent: more.into() }.settle()
    }

    /// The first that was not among those before.
    #[must_use]
    pub fn first_new(&self, before: &Self) -> Option<&ActionRecord> {
        let same = if self.shares_first_with(before) { self.first().len() } else { 0 };
        let mut before = before.iter().skip(same).peekable();
        self.iter().skip(same).find(|record| {
            while before.next_if(|known| known < record).is_some() {}
            before.next_if(|known| known == record).is_none()
        })
    }

    fn first(&self) -> &[ActionRecord] {
        self.settled.as_ref().map_or(&[], |settled| &settled.records)
    }

    /// Whether the first ones are the very same, which costs nothing to see.
    fn shares_first_with(&self, other: &Self) -> bool {
        match (&self.settled, &other.settled) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// Puts all but the last ones together, if those are many.
    fn settle(mut self) -> Self {
        if self.recent.len() < 2 * RECENT {
            return self;
        }
        let (early, late) = self.recent.split_at(self.recent.len() - RECENT);
        let records = [self.first(), early].concat();
        self.settled = Some(Arc::new(Settled { telling: telling(&records), records }));
        self.recent = late.into();
        self
    }
}

/// The places of those records that tell more than the others do.
fn telling(records: &[ActionRecord]) -> Vec<usize> {
    let last = |wanted: fn(&ActionRecord) -> bool| records.iter().rposition(wanted);
    let acknowledged = last(|record| record.action == Action::Reached(Stage::Acknowledged));
    let located = last(|record| record.cause.is_some_and(|cause| cause != Cause::Unknown));
    let mut reached = BTreeSet::new();
    let mut tells = |&(at, record): &(usize, &ActionRecord)| match record.action {
        Action::Reached(stage) if stage != Stage::Reviewed => {
            reached.insert(stage) || Some(at) == acknowledged || Some(at) == located
        }
        _ => true,
    };
    records.iter().enumerate().filter(|record| tells(record)).map(|(at, _)| at).collect()
}

impl FromIterator<ActionRecord> for Actions {
    fn from_iter<I: IntoIterator<Item = ActionRecord>>(records: I) -> Self {
        let mut records: Vec<ActionRecord> = records.into_iter().collect();
        records.sort();
        Self { settled: None, recent: records.into() }.settle()
    }
}

impl PartialEq for Actions {
    fn eq(&self, other: &Self) -> bool {
        if self.shares_first_with(other) {
            self.recent == other.recent
        } else {
            self.len() == other.len() && self.iter().eq(other.iter())
        }
    }
}

impl Eq for Actions {}

impl fmt::Debug for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl BorshSerialize for Actions {
    fn serialize<W: Write>(&self, writer: &mut W) -> io::Result<()> {
        u32::try_from(self.len()).map_err(|_| io::ErrorKind::InvalidData)?.serialize(writer)?;
        self.iter().try_for_each(|record| record.serialize(writer))
    }
}

impl BorshDeserialize for Actions {
    fn deserialize_reader<R: Read>(reader: &mut R) -> io::Result<Self> {
        Vec::deserialize_reader(reader).map(Self::from_iter)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::action::Particulars;
    use crate::model::time::{Instant, Span};

    /// What is reported about one time, of few kinds: so that some kinds are rare or long ago.
    fn part() -> impl Strategy<Value = Vec<ActionRecord>> {
        let stage = || (0..Stage::ALL.len()).prop_map(|stage| Action::Reached(Stage::ALL[stage]));
        let other = prop_oneof![Just(Action::Held), Just(Action::Notified), Just(Action::Surveyed)];
        let cause = prop_oneof![Just(None), Just(Some(Cause::Unknown)), Just(Some(Cause::External))];
        let few = (stage(), stage(), other, cause);
        few.prop_flat_map(|(one, two, three, cause)| {
            let action = prop_oneof![10 => Just(one), 5 => Just(two), 1 => Just(three)];
            prop::collection::vec((0..300_i64, action, "[ab]?", any::<bool>()), 0..90).prop_map(move |records| {
                let record = |(at, action, by, says): (i64, Action, String, bool)| ActionRecord {
                    at: Instant::from_micros(at),
                    action,
                    by: Some(by.into()),
                    detail: None,
                    cause: cause.filter(|_| says),
                    particulars: match action {
                        Action::Reached(Stage::Reviewed) => Particulars::Review(Box::default()),
                        _ => Particulars::None,
                    },
                };
                records.into_iter().map(record).collect()
            })
        })
    }

    /// What is asked of the records, of a plain list of them.
    fn answers<'a>(records: impl DoubleEndedIterator<Item = &'a ActionRecord>) -> Vec<&'a ActionRecord> {
        let records: Vec<&ActionRecord> = records.collect();
        let first = |action: Action| records.iter().find(|record| record.action == action);
        let last = |wanted: fn(&ActionRecord) -> bool| records.iter().rfind(|record| wanted(record));
        let firsts = Stage::ALL.into_iter().filter_map(|stage| first(Action::Reached(stage)));
        let lasts = [
            last(|record| record.action == Action::Reached(Stage::Acknowledged)),
            last(|record| record.cause.is_some_and(|cause| cause != Cause::Unknown)),
        ];
        let is_other =
            |record: &&&ActionRecord| !matches!(record.action, Action::Reached(stage) if stage != Stage::Reviewed);
        firsts.chain(lasts.into_iter().flatten()).chain(records.iter().filter(is_other)).copied().collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// However they came in, they are a sorted list, and what tells of them answers as the whole list does.
        #[test]
        fn they_are_a_list(parts in prop::collection::vec((part(), 0..20), 0..16)) {
            let mut plain: Vec<ActionRecord> = Vec::new();
            let mut actions = Actions::default();
            for (time, (mut part, late)) in parts.into_iter().enumerate() {
                // Mostly it is about what came last.
                let time = if late == 0 { 0 } else { 150 * i64::try_from(time).unwrap() };
                part.iter_mut().for_each(|record| record.at = record.at.plus(Span::from_micros(time)));
                let before = actions.clone();
                plain.extend_from_slice(&part);
                plain.sort();
                actions = actions.with(part);
                prop_assert!(actions.iter().eq(&plain));
                prop_assert_eq!(actions.len(), plain.len());
                prop_assert_eq!(answers(actions.telling()), answers(plain.iter()));
                let mut left: Vec<&ActionRecord> = before.iter().collect();
                let new = plain.iter().find(|record| match left.iter().position(|known| known == record) {
                    Some(at) => { left.remove(at); false }
                    None => true,
                });
                prop_assert_eq!(actions.first_new(&before), new);
                prop_assert_eq!(&actions, &plain.iter().cloned().collect());
                prop_assert_eq!(actions == before, plain.len() == before.len());
            }
            let bytes = borsh::to_vec(&plain).unwrap();
            prop_assert_eq!(&borsh::to_vec(&actions).unwrap(), &bytes);
            prop_assert_eq!(borsh::from_slice::<Actions>(&bytes).unwrap(), actions);
        }
    }
}
