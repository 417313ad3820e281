//! A period: what a report says of it beside its figures. Which causes cost what, how long repairs took, what was said of
//! maintenance, when feeds were silent; and the facts that all of that was worked out from, so that a later correction
//! can be told from a changed catalogue.
//!
//! Must not enter: a word for people, and anything that depends on an instant after the period's end.

use std::collections::{BTreeMap, BTreeSet};

use super::Engine;
use super::history::History;
use super::maintenance::Scope;
use super::marks::Outage;
use super::reading::ServiceView;
use crate::model::action::ActionRecord;
use crate::model::calendar::Range;
use crate::model::event::{Cause, Severity};
use crate::model::time::{Instant, Span};

/// What outages of one cause cost a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CauseShare {
    /// Unplanned outages that began.
    pub outages: u64,
    /// Downtime net of maintenance and silence, in microseconds. What is down for several reasons at once counts for the
    /// outage that began first, so that the shares of all causes add up to the downtime.
    pub down: i128,
    /// User-microseconds lost: of each outage its own users.
    pub user_micros: i128,
}

/// What a report says of one service that had an outage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// By cause, in the order of [`Cause::ALL`].
    pub causes: [CauseShare; Cause::ALL.len()],
    /// How long the repairs took whose end lies in the period, shortest first.
    pub repairs: Vec<Span>,
    /// Outages that began in maintenance and overran it.
    pub overran: u64,
    /// The longest unplanned outage that was open in the period, as long as it had lasted by the period's end.
    pub longest: Option<Span>,
}

/// What incidents were located as, by their clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Located(BTreeMap<u32, Cause>);

/// An outage as a fact: what was said of it, as far as the period's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutageFact<'a> {
    /// Its key.
    pub key: &'a str,
    /// When it began.
    pub started: Instant,
    /// When it ended, if it had by the period's end.
    pub ended: Option<Instant>,
    /// What it came from.
    pub cause: Cause,
    /// From when on it was down rather than degraded, with which weight in parts of 10⁹ and how many users.
    pub parts: Vec<(Instant, bool, Option<u64>, Option<u64>)>,
}

/// What was said of maintenance: one announcement of its time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Announcement<'a> {
    /// When it was to begin.
    pub from: Instant,
    /// When it was to end.
    pub until: Instant,
    /// Whether it is for a group of services rather than for one.
    pub of_group: bool,
    /// The service or the group that it is for.
    pub whom: &'a str,
    /// The maintenance's key.
    pub key: &'a str,
    /// When it was announced.
    pub announced: Instant,
    /// When another word about the same maintenance replaced it, and whether that gave it another time rather than
    /// calling it off.
    pub replaced: Option<(Instant, bool)>,
}

/// How long a feed was silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence<'a> {
    /// The source.
    pub source: &'a str,
    /// The group that it speaks for.
    pub group: &'a str,
    /// For how long it may be silent.
    pub heartbeat: Span,
    /// How often it was silent in the period.
    pub count: u64,
    /// For how long, together.
    pub length: Span,
}

impl Announcement<'_> {
    /// Whether it came after the maintenance had begun, and so excuses nothing.
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.announced > self.from
    }
}

impl Engine {
    /// When the first thing took place that is known of any service; absent when nothing is.
    #[must_use]
    pub fn known_since(&self) -> Option<Instant> {
        let folded = self.state.days.first().copied();
        let oldest = self.services().filter_map(|view| view.service.history.as_deref()?.oldest());
        folded.into_iter().chain(oldest).min()
    }

    /// The instants from which targets are or were promised, in order.
    pub fn promised_from(&self) -> impl DoubleEndedIterator<Item = Instant> {
        self.state.policies.promised_from()
    }

    /// What people had found incidents to come from by `until`.
    #[must_use]
    pub fn located(&self, until: Instant) -> Located {
        let cause = |tracked: &super::incidents::Tracked| {
            let told = tracked.incident.actions.telling().rev().filter(|record| record.at < until);
            let cause = told.filter_map(|record| record.cause).find(|&cause| cause != Cause::Unknown)?;
            Some((tracked.cluster?, cause))
        };
        Located(self.state.incidents.records.values().filter_map(|tracked| cause(tracked)).collect())
    }

    /// What was said by `until` of maintenance that reaches into the range, by when it was to begin.
    #[must_use]
    pub fn announcements(&self, range: Range) -> Vec<Announcement<'_>> {
        let mut found = Vec::new();
        for (scope, key, notices) in self.state.maintenance.notices() {
            let (of_group, whom) = match scope {
                Scope::Service(place) => (false, self.registry.name(place)),
                Scope::Group(place) => {
                    (true, self.registry.group_names().get(place as usize).map_or("", |name| name))
                }
            };
            for (number, &(announced, plan)) in notices.iter().enumerate() {
                let Some((from, until)) = plan else { continue };
                let later = notices[number + 1..].iter().find(|(at, next)| match next {
                    Some((from, _)) => at <= from,
                    None => true,
                });
                let replaced = later.filter(|(at, _)| *at < range.until && *at < until);
                let touches = from < range.until && until > range.from && announced < range.until;
                if touches && from < until {
                    let replaced = replaced.map(|&(at, next)| (at, next.is_some()));
                    found.push(Announcement { from, until, of_group, whom, key, announced, replaced });
                }
            }
        }
        found.sort_unstable();
        found
    }

    /// How long each feed was silent in the range, in the order of the configuration.
    #[must_use]
    pub fn silences(&self, range: Range) -> Vec<Silence<'_>> {
        let of = |listener: &'_ super::feeds::Listener| {
            let within = listener.silences().into_iter().filter_map(|silence| {
                let length = silence.end_or_max().min(range.until).since(silence.start.max(range.from));
                (length > Span::ZERO).then_some(length)
            });
            within.fold((0, Span::ZERO), |(count, sum), length| (count + 1, sum.plus(length)))
        };
        let silence = |listener| {
            let (count, length) = of(listener);
            let feed = &listener.feed;
            Silence { source: &feed.source, group: &feed.group, heartbeat: feed.heartbeat, count, length }
        };
        self.state.feeds.iter().map(silence).collect()
    }
}

impl<'a> ServiceView<'a> {
    /// Whether anything is known of it beside what the catalogue says: without, its figures are those of a service that
    /// was never out.
    #[must_use]
    pub const fn has_history(&self) -> bool {
        self.service.history.is_some()
    }

    /// The outages that were open within the range, as facts.
    #[must_use]
    pub fn outage_facts(&self, range: Range) -> Vec<OutageFact<'a>> {
        let fact = |outage: &'a Outage| OutageFact {
            key: &outage.key,
            started: outage.start,
            ended: outage.end.filter(|&end| end <= range.until),
            cause: outage.cause,
            parts: outage
                .parts
                .iter()
                .filter(|part| part.from < range.until)
                .map(|part| {
                    (
                        part.from,
                        part.severity == Severity::Down,
                        part.weight.map(|weight| weight.parts()),
                        part.users,
                    )
                })
                .collect(),
        };
        self.outages_open_in(range).map(fact).collect()
    }

    /// What people reported about it within the range, in order of time.
    pub fn reports_in(&self, range: Range) -> impl Iterator<Item = &'a ActionRecord> + use<'a> {
        let history = self.service.history.as_deref();
        let marks = history.into_iter().flat_map(move |history| history.actions(range.from));
        marks.map(|mark| &mark.record).filter(move |record| range.from <= record.at && record.at < range.until)
    }

    /// What a report says of it; absent when it never had an outage.
    #[must_use]
    pub fn account(&self, range: Range, located: &Located) -> Option<Account> {
        let history = self.service.history.as_deref()?;
        let range = Range { from: range.from.max(self.service.since), ..range };
        if range.from >= range.until {
            return Some(Account::default());
        }
        let mut account = Account {
            causes: self.by_cause(range, located),
            repairs: history.repairs.lengths(range.from, range.until),
            ..Account::default()
        };
        for outage in self.outages_open_in(range) {
            let Some(unplanned) = outage.unplanned.filter(|&at| at < range.until) else { continue };
            let length = outage.end_or_max().min(range.until).since(outage.start);
            account.longest = account.longest.max(Some(length));
            if outage.start >= range.from {
                account.causes[place(cause_of(history, outage, range.until, located))].outages += 1;
                account.overran += u64::from(unplanned > outage.start);
            }
        }
        Some(account)
    }

    fn outages_open_in(&self, range: Range) -> impl Iterator<Item = &'a Outage> + use<'a> {
        let history = self.service.history.as_deref();
        let within = history.map(|history| history.outages_within(history.cut(range.from), range.until));
        let open = move |outage: &&Outage| {
            outage.start < range.until && (outage.end_or_max() > range.from || outage.start >= range.from)
        };
        within.into_iter().flatten().filter(open)
    }

    /// What each cause cost within the range: a sweep over the instants at which anything changes.
    fn by_cause(&self, range: Range, located: &Located) -> [CauseShare; Cause::ALL.len()] {
        let mut shares = [CauseShare::default(); Cause::ALL.len()];
        let Some(history) = self.service.history.as_deref() else { return shares };
        // What is down, by when it is: the outage's start and key say which began first.
        let mut down: Vec<(Instant, Instant, &Outage, u64)> = Vec::new();
        let cause = |outage| place(cause_of(history, outage, range.until, located));
        for outage in self.outages_open_in(range) {
            for (part, end) in outage.stretches().filter(|(part, _)| part.severity == Severity::Down) {
                let (from, until) = (part.from.max(range.from), end.unwrap_or(Instant::MAX).min(range.until));
                if from < until {
                    down.push((from, until, outage, part.users.or(self.users()).unwrap_or(0)));
                }
            }
        }
        if down.is_empty() {
            return shares;
        }
        let (before, steps) = history.timeline.tail(range.from);
        let steps: Vec<_> = steps.iter().take_while(|step| step.at < range.until).collect();
        let mut cuts: Vec<Instant> = down.iter().flat_map(|&(from, until, ..)| [from, until]).collect();
        cuts.extend(steps.iter().map(|step| step.at));
        cuts.sort_unstable();
        cuts.dedup();
        down.sort_unstable_by_key(|&(from, until, outage, _)| (from, until, outage.start));
        let (mut next_step, mut next_down, mut stand) = (0, 0, before);
        let mut open: BTreeSet<(Instant, &str, usize)> = BTreeSet::new();
        for pair in cuts.windows(2) {
            let (at, length) = (pair[0], i128::from(pair[1].since(pair[0]).as_micros()));
            while let Some(step) = steps.get(next_step).filter(|step| step.at <= at) {
                (stand, next_step) = (step.stand, next_step + 1);
            }
            while let Some(&(_, _, outage, _)) = down.get(next_down).filter(|(from, ..)| *from <= at) {
                open.insert((outage.start, &outage.key, next_down));
                next_down += 1;
            }
            open.retain(|&(.., number)| down[number].1 > at);
            if stand.blind() {
                continue;
            }
            if let Some(&(.., first)) = open.first() {
                shares[cause(down[first].2)].down += length;
            }
            for &(.., number) in &open {
                let (_, _, outage, users) = down[number];
                shares[cause(outage)].user_micros += i128::from(users) * length;
            }
        }
        shares
    }
}

/// What an outage came from: what its incident was found to come from, or else what was said of it.
fn cause_of(history: &History, outage: &Outage, until: Instant, located: &Located) -> Cause {
    let last = history.episode_by(outage.end_or_max().min(until));
    let episode = last.filter(|episode| episode.end_or_max() >= outage.start);
    let found = episode.and_then(|episode| located.0.get(&episode.cluster).copied());
    found.unwrap_or(outage.cause)
}

/// Where a cause stands in [`Cause::ALL`].
fn place(cause: Cause) -> usize {
    Cause::ALL.iter().position(|&known| known == cause).unwrap_or(0)
}
