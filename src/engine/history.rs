//! One service's history: its marks and all that follows from them.

use borsh::{BorshDeserialize, BorshSerialize};

use super::availability::{Stretch, Union, covering};
use super::folding::{Day, Days, days_after};
use super::incidents::Acknowledged;
use super::marks::{Marks, Outage, Said};
use super::repairs::Repairs;
use super::room::tighten;
use super::timeline::{Around, Timeline};
use crate::model::alert::Alert;
use crate::model::event::{About, Severity};
use crate::model::event_id::EventId;
use crate::model::incident::{Action, ActionRecord, IncidentId, Stage};
use crate::model::time::{Instant, Span};

/// What is kept of a service that had an outage.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct History {
    marks: Marks,
    /// Every outage, sorted by start, then key.
    outages: Vec<Outage>,
    /// When any outage was open.
    touched: Union,
    /// How it stood, step by step.
    pub(super) timeline: Timeline,
    /// The unplanned ones that ended.
    pub(super) repairs: Repairs,
    /// When it was down, but for what is planned: what incidents are made of.
    pub(super) interrupted: Union,
    /// Planned outages that will have overrun their maintenance: when, and when they began.
    overruns: Vec<(Instant, Instant)>,
    /// What operators reported, sorted by time.
    actions: Vec<ActionMark>,
    /// How many of those name an incident.
    named: u32,
    /// When it was down, as far as that has been put into clusters: sorted, apart from one another.
    pub(super) episodes: Vec<Episode>,
    /// The incidents that began with it, as they were opened; those merged or withdrawn among them.
    pub(super) incidents: Vec<IncidentId>,
    /// The alerts that fire about its error budget.
    pub(super) budget_alerts: Vec<Alert>,
    /// What is folded.
    past: Option<Box<Past>>,
}

/// What is kept by whole days.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
struct Past {
    /// The end of the last of them. Nothing reaches across it.
    until: Instant,
    days: Days<Day>,
    /// Outages that overran their maintenance in a later day than the one in which they began: when they began, and
    /// overran it.
    overran: Vec<(Instant, Instant)>,
}

/// A stretch of time for which a service was down, and the cluster that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Episode {
    pub(super) start: Instant,
    pub(super) end: Option<Instant>,
    pub(super) cluster: u32,
}

impl Episode {
    /// The end, or later than anything.
    pub(super) fn end_or_max(&self) -> Instant {
        self.end.unwrap_or(Instant::MAX)
    }
}

/// An outage as the sums of groups know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Brief {
    pub(super) start: Instant,
    pub(super) end: Option<Instant>,
    pub(super) unplanned: Option<Instant>,
}

/// Outages that became others.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// The first instant at which anything differs.
    pub(super) from: Instant,
    pub(super) gone: Vec<Brief>,
    pub(super) come: Vec<Brief>,
}

impl Brief {
    pub(super) fn of(outage: &Outage) -> Self {
        Self { start: outage.start, end: outage.end, unplanned: outage.unplanned }
    }
}

/// What somebody reported to have done.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct ActionMark {
    pub(super) about: About,
    pub(super) record: ActionRecord,
    pub(super) id: EventId,
    pub(super) retracted: bool,
}

/// The incidents of a service, as far as folding asks.
#[derive(Clone, Debug, Default)]
pub(super) struct Lived {
    /// From when until when there was something of each that it was in, if that is over.
    pub(super) reaches: Vec<(Instant, Option<Instant>)>,
    /// The first acknowledgements of those that began with it.
    pub(super) acknowledged: Vec<Acknowledged>,
}

/// A report as far as it says what it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub(super) struct Reported {
    pub(super) about: About,
    pub(super) at: Instant,
    /// It confirms a restoration.
    pub(super) confirms: bool,
}

impl ActionMark {
    pub(super) fn reported(&self) -> Reported {
        let confirms = self.record.action == Action::Reached(Stage::Verified);
        Reported { about: self.about.clone(), at: self.record.at, confirms }
    }
}

impl History {
    /// The history of a service of which nothing but its timeline is known.
    pub(super) fn new(timeline: Timeline) -> Self {
        Self { timeline, ..Self::default() }
    }

    /// Takes in a mark of an outage. Returns whether it may change anything.
    pub(super) fn mark(&mut self, key: &str, at: Instant, said: Said, id: EventId, retracted: bool) -> bool {
        self.marks.add(key, at, said, id, retracted)
    }

    /// Takes back what `id` said, or takes that back. Returns the marks concerned, and the reports.
    pub(super) fn retract(&mut self, id: EventId, retracted: bool) -> (Vec<(Box<str>, Instant)>, Vec<Reported>) {
        let mut reports = Vec::new();
        for mark in self.actions.iter_mut().filter(|mark| mark.id == id && mark.retracted != retracted) {
            mark.retracted = retracted;
            reports.push(mark.reported());
        }
        (self.marks.retract(id, retracted), reports)
    }

    /// Pairs the marks of `key` again as far as one at `at` may matter. Returns what became of which outages, or
    /// `None` when they are the same as before.
    pub(super) fn pair_again(&mut self, key: &str, at: Instant, around: &Around) -> Option<Change> {
        // Pairing is unaffected before the start of the outage of this key that `at` may fall into.
        let near = self.outages_within(self.cut(at), at);
        let into = near.iter().rev().find(|outage| *outage.key == *key && outage.end_or_max() >= at);
        let from = into.map_or(at, |outage| outage.start);
        let tail = self.outages.partition_point(|outage| outage.start < from);
        let mut fresh = self.marks.outages(key, from);
        for outage in &mut fresh {
            outage.unplanned = unplanned(outage, &around.excluded);
        }
        let (mut rest, gone): (Vec<Outage>, Vec<Outage>) =
            self.outages.drain(tail..).partition(|outage| *outage.key != *key);
        let change = (gone != fresh).then(|| Change {
            from,
            gone: gone.iter().map(Brief::of).collect(),
            come: fresh.iter().map(Brief::of).collect(),
        });
        if rest.is_empty() {
            self.outages.append(&mut fresh);
        } else {
            rest.append(&mut fresh);
            rest.sort_by(|a, b| (a.start, &a.key).cmp(&(b.start, &b.key)));
            self.outages.append(&mut rest);
        }
        if change.is_some() {
            let outages = &self.outages;
            self.touched.rebuild(from, |at| {
                let first = outages.partition_point(|outage| outage.start < at);
                outages[first..].iter().map(|outage| Stretch { start: outage.start, end: outage.end })
            });
        }
        change
    }

    /// Gives back room that nothing needs now: an incident is over, and most services are not in another one soon.
    pub(super) fn tighten(&mut self) {
        self.marks.tighten();
        tighten(&mut self.outages);
        self.touched.tighten();
        self.timeline.tighten();
        self.repairs.tighten();
        self.interrupted.tighten();
        tighten(&mut self.overruns);
        tighten(&mut self.actions);
        tighten(&mut self.episodes);
        tighten(&mut self.incidents);
    }

    /// The last instant, at or before `from`, across which no outage is open.
    pub(super) fn cut(&self, from: Instant) -> Instant {
        let stretches = self.touched.stretches();
        let place = stretches.partition_point(|stretch| stretch.start <= from);
        let into = place.checked_sub(1).map(|place| stretches[place]).filter(|s| s.end_or_max() >= from);
        into.map_or(from, |stretch| stretch.start)
    }

    /// Judges the outages from `cut` on anew against the maintenance.
    pub(super) fn judge_planned(&mut self, cut: Instant, around: &Around) {
        let first = self.outages.partition_point(|outage| outage.start < cut);
        for outage in &mut self.outages[first..] {
            outage.unplanned = unplanned(outage, &around.excluded);
        }
    }

    /// Builds all that follows from the outages again, from `cut` on, as things stand at `now`.
    pub(super) fn rebuild(&mut self, cut: Instant, around: &Around, now: Instant) {
        let cut = cut.max(self.folded_until());
        let first = self.outages.partition_point(|outage| outage.start < cut);
        let tail = &self.outages[first..];
        self.timeline.rebuild(cut, tail, around);
        self.repairs.truncate(cut);
        self.overruns.retain(|&(_, start)| start < cut);
        for outage in tail {
            if let (Some(_), Some(end)) = (outage.unplanned, outage.end) {
                self.repairs.add(outage.start, end);
            }
            if let Some(at) = outage.overruns_at().filter(|&at| at > now) {
                self.overruns.push((at, outage.start));
            }
        }
        self.overruns.sort_unstable();
        self.interrupt(cut, now);
    }

    fn interrupt(&mut self, cut: Instant, now: Instant) {
        let outages = &self.outages;
        self.interrupted.rebuild(cut, |at| {
            let first = outages.partition_point(|outage| outage.start < at);
            let mut stretches: Vec<Stretch> = outages[first..]
                .iter()
                .filter(|outage| outage.counts(now))
                .flat_map(Outage::stretches)
                .filter(|(part, _)| part.severity == Severity::Down)
                .map(|(part, end)| Stretch { start: part.from, end })
                .collect();
            stretches.sort_unstable_by_key(|stretch| stretch.start);
            stretches.into_iter()
        });
    }

    /// Takes note of the planned outages that have overrun their maintenance by `now`. Returns when the first of
    /// them began.
    pub(super) fn overrun(&mut self, now: Instant) -> Option<Instant> {
        let due = self.overruns.partition_point(|&(at, _)| at <= now);
        let first = self.overruns.drain(..due).map(|(_, start)| start).min()?;
        let cut = self.cut(first);
        self.interrupt(cut, now);
        Some(cut)
    }

    /// Whether an `outage.ended` of that key and instant closes nothing as things are known.
    pub(super) fn is_orphan(&self, key: &str, at: Instant) -> bool {
        let from = self.cut(at);
        !self.outages_within(from, at).iter().rev().any(|outage| *outage.key == *key && outage.end == Some(at))
    }

    /// Takes in an operator's report. Returns whether it is new.
    pub(super) fn report(&mut self, mark: ActionMark) -> bool {
        let order = |mark: &ActionMark| (mark.record.clone(), mark.about.clone(), mark.id);
        let key = |mark: &ActionMark| (mark.record.at, mark.record.action);
        let first = self.actions.partition_point(|known| key(known) < key(&mark));
        // Among equals the place must not depend on the order of arrival.
        let after = self.actions[first..]
            .iter()
            .take_while(|known| key(known) == key(&mark) && order(known) < order(&mark));
        let place = first + after.count();
        if self.actions.get(place).is_some_and(|known| order(known) == order(&mark)) {
            return false;
        }
        self.named += u32::from(matches!(mark.about, About::Incident(_)));
        self.actions.insert(place, mark);
        true
    }

    /// The cluster that a report made at `at` is about, if it does not name an incident: that of the last episode begun by
    /// then, or of the outage that it names.
    pub(super) fn cluster_of(&self, about: &About, at: Instant) -> Option<u32> {
        let until = match about {
            About::Outage(key) => {
                let begun = self.outages.partition_point(|outage| outage.start <= at);
                let outage = self.outages[..begun].iter().rev().find(|outage| outage.key == *key)?;
                let last = self.episode_by(at.min(outage.end_or_max()));
                return last.filter(|episode| episode.end_or_max() >= outage.start).map(|last| last.cluster);
            }
            About::Service | About::Incident(_) => at,
        };
        self.episode_by(until).map(|episode| episode.cluster)
    }

    /// The last episode that began by `until`.
    pub(super) fn episode_by(&self, until: Instant) -> Option<&Episode> {
        let begun = self.episodes.partition_point(|episode| episode.start <= until);
        begun.checked_sub(1).map(|last| &self.episodes[last])
    }

    /// What the first outage that begins at `start` and says anything says.
    pub(super) fn detail(&self, start: Instant) -> Option<Box<str>> {
        self.outages_within(start, start).iter().find_map(|outage| outage.detail.clone())
    }

    /// The key of the outage for which the service went down at `start`.
    pub(super) fn key_of(&self, start: Instant) -> Option<&str> {
        let begins = |outage: &&Outage| {
            outage.stretches().any(|(part, _)| part.severity == Severity::Down && part.from == start)
        };
        self.outages_within(self.cut(start), start).iter().find(begins).map(|outage| &*outage.key)
    }

    /// Whether anybody ever reported anything.
    pub(super) fn has_actions(&self) -> bool {
        !self.actions.is_empty()
    }

    /// Whether any report names an incident.
    pub(super) const fn names_any(&self) -> bool {
        self.named > 0
    }

    /// What was reported from `from` on, in order of time. What names an incident may have been said before it began.
    pub(super) fn actions(&self, from: Instant) -> impl Iterator<Item = &ActionMark> {
        let first = self.actions.partition_point(|mark| mark.record.at < from);
        let early = if self.named > 0 { &self.actions[..first] } else { &[] };
        let early = early.iter().filter(|mark| matches!(mark.about, About::Incident(_)));
        early.chain(&self.actions[first..]).filter(|mark| !mark.retracted)
    }

    /// The confirmations of a restoration from `from` on.
    pub(super) fn confirmations(&self, from: Instant) -> impl Iterator<Item = &ActionMark> {
        let first = self.actions.partition_point(|mark| mark.record.at < from);
        let marks = self.actions[first..].iter().filter(|mark| !mark.retracted);
        marks.filter(|mark| mark.record.action == Action::Reached(Stage::Verified))
    }

    /// The outages whose start lies in `[from, until]`, sorted by start.
    pub(super) fn outages_within(&self, from: Instant, until: Instant) -> &[Outage] {
        let first = self.outages.partition_point(|outage| outage.start < from);
        let last = self.outages.partition_point(|outage| outage.start <= until);
        &self.outages[first..last.max(first)]
    }

    /// The outages that begin at or after `from`.
    pub(super) fn outages_from(&self, from: Instant) -> &[Outage] {
        self.outages_within(from, Instant::MAX)
    }

    /// How many outages, and how many planned ones, began in `[from, until)`, as they stand at `until`.
    pub(super) fn outages_begun(&self, from: Instant, until: Instant) -> (u64, u64) {
        let first = self.outages.partition_point(|outage| outage.start < from);
        let last = self.outages.partition_point(|outage| outage.start < until);
        let begun = &self.outages[first..last.max(first)];
        let unplanned = begun.iter().filter(|outage| outage.unplanned.is_some_and(|at| at < until)).count() as u64;
        let planned = begun.len() as u64 - unplanned;
        let overran = self.overran().iter().filter(|&&(start, _)| from <= start && start < until);
        overran.fold((unplanned, planned), |(unplanned, planned), &(_, at)| {
            if at < until { (unplanned + 1, planned) } else { (unplanned, planned + 1) }
        })
    }

    // ---- what is folded ----

    /// The end of what is kept by whole days only; of nothing, the beginning of time.
    pub(super) fn folded_until(&self) -> Instant {
        self.past.as_ref().map_or(Instant::MIN, |past| past.until)
    }

    /// The folded days in `[from, until)`.
    pub(super) fn days(&self, from: Instant, until: Instant) -> &[(Instant, Day)] {
        self.past.as_ref().map_or(&[], |past| past.days.within(from, until))
    }

    /// The folded outages that overran their maintenance in a later day: when they began, and overran it.
    pub(super) fn overran(&self) -> &[(Instant, Instant)] {
        self.past.as_ref().map_or(&[], |past| &past.overran)
    }

    /// When the oldest that is known in full took place.
    pub(super) fn oldest(&self) -> Option<Instant> {
        let acted = self.actions.first().map(|mark| mark.record.at);
        self.marks.first().into_iter().chain(self.timeline.next_after(Instant::MIN)).chain(acted).min()
    }

    /// Folds what is over by the last of `days` that nothing reaches across; a day that began before `since` counts
    /// from then on. `lived` is when there was something of its incidents. Returns the ids of the events that are forgotten.
    pub(super) fn fold(&mut self, days: &[Instant], since: Instant, lived: &Lived) -> Vec<EventId> {
        let Some(until) = self.foldable(days, lived) else { return Vec::new() };
        let Some(oldest) = self.oldest().filter(|&oldest| oldest < until) else { return Vec::new() };
        let empty = || Box::new(Past { until: Instant::MIN, days: Days::default(), overran: Vec::new() });
        let mut past = self.past.take().unwrap_or_else(empty);
        for (from, end) in days_after(days, past.until.max(oldest)).take_while(|&(_, end)| end <= until) {
            // A day that was over before it is kept whole: the catalogue may be corrected.
            let observed = if since < end { from.max(since) } else { from };
            let day = self.day(observed, end, lived, &mut past.overran);
            if day != Day::default() {
                *past.days.of(from) = day;
            }
        }
        past.days.tighten();
        past.until = until;
        self.past = Some(past);
        self.forget(until)
    }

    /// The sums of `[from, end)`.
    fn day(&self, from: Instant, end: Instant, lived: &Lived, overran: &mut Vec<(Instant, Instant)>) -> Day {
        if from >= end {
            return Day::default();
        }
        let mut day = Day { totals: self.timeline.within(from, end), ..Day::default() };
        for outage in self.outages_within(from, end.minus(Span::TICK)) {
            match outage.unplanned {
                Some(unplanned) if unplanned >= end => overran.push((outage.start, unplanned)),
                Some(_) => day.outages += 1,
                None => day.planned += 1,
            }
        }
        for &(at, after) in &lived.acknowledged {
            if from <= at && at < end {
                day.acknowledged += 1;
                day.acknowledge_micros += after.as_micros();
            }
        }
        day
    }

    /// The last of `days` that nothing reaches across: no outage is open, and no incident may go on.
    fn foldable(&self, days: &[Instant], lived: &Lived) -> Option<Instant> {
        let mut until = *days.last()?;
        loop {
            let reaches = lived.reaches.iter();
            let spanning = reaches.filter(|(begun, over)| *begun < until && over.is_none_or(|over| over >= until));
            let whole = spanning.map(|&(begun, _)| begun).min().unwrap_or(until).min(self.cut(until));
            if whole >= until {
                return Some(until);
            }
            until = days[days.partition_point(|&day| day <= whole).checked_sub(1)?];
        }
    }

    fn forget(&mut self, until: Instant) -> Vec<EventId> {
        let mut gone = self.marks.forget(until);
        self.outages.drain(..self.outages.partition_point(|outage| outage.start < until));
        self.touched.forget(until);
        self.interrupted.forget(until);
        self.timeline.forget(until);
        self.episodes.drain(..self.episodes.partition_point(|episode| episode.start < until));
        let reported = self.actions.partition_point(|mark| mark.record.at < until);
        gone.extend(self.actions.drain(..reported).map(|mark| mark.id));
        let named = self.actions.iter().filter(|mark| matches!(mark.about, About::Incident(_))).count();
        self.named = u32::try_from(named).unwrap_or(u32::MAX);
        gone
    }

    /// The next instant after `now` at which what is already known of an interruption takes effect.
    pub(super) fn next_edge(&self, now: Instant) -> Option<Instant> {
        let from = self.cut(now);
        let ahead = self.outages_from(from).iter().flat_map(|outage| {
            let edges = outage.stretches().flat_map(|(part, end)| [Some(part.from), end]);
            edges.chain([outage.overruns_at()])
        });
        let reports = self.actions.iter().rev().map(|mark| mark.record.at).take_while(|&at| at > now);
        ahead.flatten().chain(reports).filter(|&at| at > now).min()
    }
}

/// The first instant of the outage that lies in no maintenance.
fn unplanned(outage: &Outage, excluded: &[Stretch]) -> Option<Instant> {
    match covering(excluded, outage.start) {
        None => Some(outage.start),
        Some(maintenance) => maintenance.end.filter(|&end| end < outage.end_or_max()),
    }
}
