//! How many events of a batch, of which type and source, came to what.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::event::{Event, Outcome};

/// An event's type, its source, and what became of it.
type Key = (&'static str, Arc<str>, Outcome);

/// Counts of one batch.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// The last of them and those before it that are like it, which are mostly all.
    alike: Option<(Key, u64)>,
    counts: BTreeMap<Key, u64>,
}

impl Tally {
    pub(super) fn add(&mut self, event: &Event, outcome: Outcome) {
        let kind = event.body.type_name();
        match &mut self.alike {
            Some(((known, source, same), count))
                if *known == kind && *same == outcome && *source == event.source =>
            {
                *count += 1;
            }
            _ => {
                let before = self.alike.replace(((kind, event.source.clone(), outcome), 1));
                self.count(before);
            }
        }
    }

    pub(super) fn counts(mut self) -> BTreeMap<Key, u64> {
        let last = self.alike.take();
        self.count(last);
        self.counts
    }

    fn count(&mut self, alike: Option<(Key, u64)>) {
        if let Some((key, count)) = alike {
            *self.counts.entry(key).or_default() += count;
        }
    }
}
