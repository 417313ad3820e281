//! Feeds: the sources that are expected to speak, and when they were silent. What a silent feed speaks for is unknown:
//! silence is never counted as up.

use borsh::{BorshDeserialize, BorshSerialize};

use super::availability::{Stretch, Union};
use crate::model::policy::Feed;
use crate::model::time::Instant;

/// One feed.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Listener {
    pub(super) feed: Feed,
    /// The place of the group that it speaks for.
    pub(super) group: u32,
    /// When something of it was known: from each sign of life on for as long as it may be silent.
    heard: Union,
    /// Its present silence was noticed.
    silent: bool,
}

impl Listener {
    /// A feed that is expected from `at` on. It has the length of one silence to speak.
    pub(super) fn new(feed: Feed, group: u32, at: Instant) -> Self {
        let end = Some(at.plus(feed.heartbeat));
        Self { feed, group, heard: Union::of(vec![Stretch { start: at, end }]), silent: false }
    }

    /// The same feed, expected on other terms.
    pub(super) fn expected(self, feed: Feed, group: u32) -> Self {
        Self { feed, group, ..self }
    }

    /// The first instant of its present silence, now or to come.
    pub(super) fn silent_from(&self) -> Instant {
        self.heard.stretches().last().and_then(|stretch| stretch.end).unwrap_or(Instant::MAX)
    }

    /// What a sign of life at `at` leaves to be heard, and the first instant of known silence that it breaks. A sign
    /// of before it was expected says nothing.
    pub(super) fn sign(&self, at: Instant) -> (Option<Stretch>, Option<Instant>) {
        let Some(first) = self.heard.stretches().first() else { return (None, None) };
        let until = at.plus(self.feed.heartbeat);
        if until <= first.start {
            return (None, None);
        }
        let from = at.max(first.start);
        let sign = Stretch { start: from, end: Some(until) };
        let last = self.heard.stretches().last().map_or((from, from), |last| (last.start, last.end_or_max()));
        if from > last.1 {
            // What lies between is silence, though it may be ahead of now.
            return (Some(sign), Some(last.1));
        }
        if from >= last.0 && !self.silent {
            return (Some(sign), None);
        }
        let silences = self.silences();
        let broken = silences.iter().find(|silence| silence.start < until && silence.end_or_max() > from);
        (Some(sign), broken.map(|silence| silence.start.max(from)))
    }

    /// Takes in what [`Self::sign`] found.
    pub(super) fn hear(&mut self, sign: Stretch, now: Instant) {
        self.heard.insert(sign);
        self.silent = self.silent && self.silent_from() <= now;
    }

    /// Its silence has just begun.
    pub(super) fn notice(&mut self) {
        self.silent = true;
    }

    /// When it was silent, as far as that was noticed; the last stretch may be going on.
    pub(super) fn silences(&self) -> Vec<Stretch> {
        let heard = self.heard.stretches();
        let gaps =
            heard.windows(2).filter_map(|pair| Some(Stretch { start: pair[0].end?, end: Some(pair[1].start) }));
        let mut silences: Vec<Stretch> = gaps.collect();
        if self.silent {
            silences.push(Stretch { start: self.silent_from(), end: None });
        }
        silences
    }
}
