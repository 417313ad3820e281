//! One service's history: its marks and all that follows from them without looking at the clock.

use borsh::{BorshDeserialize, BorshSerialize};

use super::availability::{Stretch, Union};
use super::incidents::Tracked;
use super::marks::{Marks, Outage, Said};
use super::repairs::Repairs;
use crate::model::event::{About, Severity};
use crate::model::incident::{Stage, StageRecord};
use crate::model::time::Instant;

/// What is kept of a service that had an outage.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct History {
    marks: Marks,
    /// Every outage, sorted by start, then key.
    outages: Vec<Outage>,
    pub(super) repairs: Repairs,
    /// When it was down.
    pub(super) down: Union,
    /// When it was down or degraded.
    pub(super) impaired: Union,
    /// What operators reported, sorted by time.
    stages: Vec<StageMark>,
    /// Its incidents, sorted by start; those merged or withdrawn among them.
    pub(super) incidents: Vec<Tracked>,
}

/// A stage that an operator reported.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct StageMark {
    pub(super) about: About,
    pub(super) record: StageRecord,
}

impl History {
    /// Takes in a mark of an outage. Returns the instant from which things may have changed, or `None` when
    /// nothing new was said.
    pub(super) fn mark(&mut self, key: &str, at: Instant, said: Said) -> Option<Instant> {
        let known = self.marks.knows(key);
        let at = self.marks.add(key, at, said)?;
        // Pairing is unaffected before the start of the outage of this key that `at` may fall into. Most keys are
        // new and have none; looking for it would go through all outages.
        let before = |outage: &&Outage| *outage.key == *key && outage.start <= at;
        let into = if known { self.outages.iter().rev().find(before) } else { None };
        let from = into.map_or(at, |outage| outage.start);
        self.pair_again(key, from);
        Some(from)
    }

    fn pair_again(&mut self, key: &str, from: Instant) {
        let tail = self.outages.partition_point(|outage| outage.start < from);
        let repairs = &mut self.repairs;
        let mut rest = self.outages.split_off(tail);
        rest.retain(|outage| {
            let gone = *outage.key == *key;
            if gone && let Some(end) = outage.end {
                repairs.remove(outage.start, end);
            }
            !gone
        });
        for outage in self.marks.outages(key, from) {
            if let Some(end) = outage.end {
                self.repairs.add(outage.start, end);
            }
            rest.push(outage);
        }
        rest.sort_by(|a, b| (a.start, &a.key).cmp(&(b.start, &b.key)));
        self.outages.append(&mut rest);
        let outages = &self.outages;
        self.down.rebuild(from, |at| stretches_from(outages, at, Severity::Down));
        self.impaired.rebuild(from, |at| stretches_from(outages, at, Severity::Degraded));
    }

    /// Whether an `outage.ended` of that key and instant closes nothing as things are known.
    pub(super) fn is_orphan(&self, key: &str, at: Instant) -> bool {
        !self.outages.iter().rev().any(|outage| *outage.key == *key && outage.end == Some(at))
    }

    /// Takes in an operator's report. Returns whether it is new.
    pub(super) fn report(&mut self, mark: StageMark) -> bool {
        let key = |m: &StageMark| (m.record.at, m.record.stage);
        let place = self.stages.partition_point(|known| key(known) < key(&mark));
        let known = self.stages[place..].iter().take_while(|m| key(m) == key(&mark)).any(|m| *m == mark);
        if !known {
            // Among equals the place must not depend on the order of arrival.
            let equals = &self.stages[place..];
            let after = equals
                .iter()
                .take_while(|m| key(m) == key(&mark) && (&m.about, &m.record.by) < (&mark.about, &mark.record.by))
                .count();
            self.stages.insert(place + after, mark);
        }
        !known
    }

    /// From when on an operator's report made at `at` may change something: what it names may be long over.
    pub(super) fn concerned_from(&self, about: &About, at: Instant) -> Instant {
        let named = match about {
            About::Service => None,
            About::Outage(key) => {
                self.outages.iter().rev().find(|o| o.key == *key && o.start <= at).map(|outage| outage.start)
            }
            About::Incident(id) => {
                let named = |tracked: &&Tracked| tracked.incident.id.to_string() == **id;
                self.incidents.iter().find(named).map(|tracked| tracked.incident.started)
            }
        };
        named.unwrap_or(at).min(at)
    }

    /// What operators reported of that stage, in order of time.
    pub(super) fn reports(&self, stage: Stage) -> impl Iterator<Item = &StageMark> {
        self.stages.iter().filter(move |mark| mark.record.stage == stage)
    }

    /// The outages whose start lies in `[from, until]`, sorted by start.
    pub(super) fn outages_within(&self, from: Instant, until: Instant) -> &[Outage] {
        let first = self.outages.partition_point(|outage| outage.start < from);
        let last = self.outages.partition_point(|outage| outage.start <= until);
        &self.outages[first..last.max(first)]
    }

    /// How many outages began in `[from, until)`.
    pub(super) fn outages_begun(&self, from: Instant, until: Instant) -> usize {
        let first = self.outages.partition_point(|outage| outage.start < from);
        let last = self.outages.partition_point(|outage| outage.start < until);
        last.saturating_sub(first)
    }

    /// The next instant after `now` at which what is already known of an interruption takes effect.
    pub(super) fn next_edge(&self, now: Instant) -> Option<Instant> {
        let stretches = self.down.stretches();
        let begun = stretches.partition_point(|s| s.start <= now);
        let open_from = stretches[..begun].last().filter(|s| s.end_or_max() > now).map_or(now, |s| s.start);
        let edges = self
            .outages_within(open_from, Instant::MAX)
            .iter()
            .filter(|outage| outage.about.severity == Severity::Down)
            .filter_map(|outage| if outage.start > now { Some(outage.start) } else { outage.end });
        let reports = self.stages.iter().rev().map(|mark| mark.record.at).take_while(|&at| at > now);
        edges.chain(reports).filter(|&at| at > now).min()
    }
}

/// The outages that begin at or after `from` and are at least that severe.
fn stretches_from(outages: &[Outage], from: Instant, least: Severity) -> impl Iterator<Item = Stretch> {
    let first = outages.partition_point(|outage| outage.start < from);
    outages[first..]
        .iter()
        .filter(move |outage| outage.about.severity >= least)
        .map(|outage| Stretch { start: outage.start, end: outage.end })
}
