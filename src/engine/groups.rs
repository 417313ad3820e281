//! Groups: the sums of their services' figures, kept up event by event, so that reading a group costs the same
//! whether it has ten services or a million.
//!
//! Each service contributes its steps and outages, by its users and once by itself, to every group that it is in.
//! What it contributes follows from its history alone, so taking the same contribution away again is exact.

use std::sync::LazyLock;

use borsh::{BorshDeserialize, BorshSerialize};

use super::folding::{Day, Days, GroupDay, days_after};
use super::history::Brief;
use super::incidents::Acknowledged;
use super::lengths::LengthTable;
use super::points::{Pair, Points};
use super::sharing::{Map, Shared};
use super::timeline::{Stand, Step, Totals};
use super::watch::Watch;
use crate::model::alert::Alert;
use crate::model::figures::{Figures, Lengths, Tallies};
use crate::model::level::Ratio;
use crate::model::target::Maintenance;
use crate::model::time::{Instant, Span};

/// The step functions that are summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Curve {
    /// Observed at all, of services with a `since`.
    Since,
    Excluded,
    Unknown,
    /// Both at once.
    Both,
    /// Down, but for what is unknown.
    Down,
    /// Down in maintenance, but for what is unknown: most of the time nothing.
    Spared,
    Degraded,
    /// The weight of what is degraded, in parts of 10⁹: most of the time nothing.
    Weight,
    /// Users that lose time beyond those of the services that are down: most of the time nothing.
    Lost,
}

const CURVES: usize = 9;
/// From which curve on they are folded: when services are observed has few points, and goes on for ever.
const FOLDED: usize = Curve::Since as usize + 1;
/// Those that a budget is made of.
const BUDGETED: [Curve; 6] =
    [Curve::Since, Curve::Excluded, Curve::Unknown, Curve::Both, Curve::Down, Curve::Spared];

/// One group.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Group {
    /// Its services, and their users. `a` is by users and `b` by services in every curve.
    pub(super) members: u64,
    pub(super) users: u64,
    /// Those without a `since`: observed for all of every window.
    always: Pair,
    /// Whether any of them has a repair target.
    has_limit: bool,
    /// Absent while nothing ever happened to any of them.
    sums: Option<Box<Sums>>,
    /// Whether something is promised to it as such.
    pub(super) watched: bool,
    /// The alerts that fire about its error budget.
    pub(super) alerts: Vec<Alert>,
    /// How soon that may matter; absent when it has to be looked at.
    pub(super) watch: Option<Box<Watch>>,
    /// When it will be looked at.
    pub(super) due: Option<Instant>,
}

/// What happened to the services of a group.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
struct Sums {
    curves: [Points; CURVES],
    /// Starts of outages that were unplanned from their start, and of planned ones.
    starts: Points,
    planned: Points,
    /// Starts of those that overran their maintenance, with when.
    overruns: Map<(Instant, Instant), i64>,
    /// Ends of unplanned ones: `a` counts, `b` sums lengths.
    repairs: Points,
    /// Repairs that took longer than the repair target of their service.
    over: Points,
    lengths: LengthTable,
    /// First acknowledgements: `a` counts, `b` sums the times from the start.
    acknowledged: Points,
    /// What is folded. Points that come later but lie before its end are points like any other, until the next time.
    past: Option<Shared<Days<GroupDay>>>,
}

/// The sums that budgets are made of, over all time before an instant.
pub(super) struct UpTo {
    at: Instant,
    of: [i128; BUDGETED.len()],
}

/// Of a group to which nothing ever happened.
static NOTHING: LazyLock<Sums> = LazyLock::new(Sums::default);

/// A service's part in a group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    /// Its users, nothing when they are not known.
    pub(super) users: u64,
    /// Since when it is observed.
    pub(super) since: Instant,
    /// Its limit on repairs.
    pub(super) repair: Option<Span>,
}

impl Share {
    fn pair(&self) -> Pair {
        Pair::new(people(self.users), 1)
    }
}

impl Group {
    /// Lets everything go but the alerts that fire.
    pub(super) fn empty(&mut self) {
        *self = Self { alerts: std::mem::take(&mut self.alerts), ..Self::default() };
    }

    /// Takes a service in.
    pub(super) fn join(&mut self, share: &Share) {
        self.watch = None;
        self.has_limit |= share.repair.is_some();
        self.members += 1;
        let pair = share.pair();
        self.users = self.users.saturating_add(pair.a.unsigned_abs());
        if share.since == Instant::MIN {
            self.always = Pair::new(self.always.a + pair.a, self.always.b + pair.b);
        } else {
            self.sums_mut().curves[Curve::Since as usize].add(share.since, pair);
        }
    }

    fn sums(&self) -> &Sums {
        self.sums.as_deref().unwrap_or(&NOTHING)
    }

    fn sums_mut(&mut self) -> &mut Sums {
        self.sums.get_or_insert_default()
    }

    /// Adds (or with `sign` −1 takes away) how a service stood: `before` the first of `steps`, and from each on, as is
    /// known at `now`.
    pub(super) fn stood(&mut self, share: &Share, (before, steps): (Stand, &[Step]), sign: i64, now: Instant) {
        if steps.is_empty() {
            return;
        }
        let pair = share.pair();
        let by_users = self.by_users();
        let (curves, watch) = (&mut self.sums.get_or_insert_default().curves, &mut self.watch);
        let mut last = before;
        for step in steps {
            let at = step.at.max(share.since);
            let next = step.stand;
            let mut change = |curve: Curve, was: i64, is: i64| {
                if was != is {
                    let amount = match curve {
                        Curve::Lost => Pair::new(is - was, 0),
                        _ => Pair::new((is - was) * pair.a, (is - was) * pair.b),
                    };
                    let amount = amount.times(sign);
                    curves[curve as usize].add(at, amount);
                    let weight = i128::from(if by_users { amount.a } else { amount.b });
                    match (curve, &mut *watch) {
                        (Curve::Down, Some(watch)) => watch.change(weight, at, now),
                        (Curve::Spared, Some(watch)) => watch.change(-weight, at, now),
                        (Curve::Degraded | Curve::Weight | Curve::Lost, _) => {}
                        // The bound allows for maintenance and silence to come, not for what was before.
                        (_, Some(watch)) if at >= watch.since() => {}
                        _ => *watch = None,
                    }
                }
            };
            let flag = |holds: bool| i64::from(holds);
            change(Curve::Excluded, flag(last.excluded), flag(next.excluded));
            change(Curve::Unknown, flag(last.unknown), flag(next.unknown));
            change(Curve::Both, flag(last.excluded && last.unknown), flag(next.excluded && next.unknown));
            change(Curve::Down, flag(last.down && !last.unknown), flag(next.down && !next.unknown));
            let spared = |stand: Stand| flag(stand.down && stand.excluded && !stand.unknown);
            change(Curve::Spared, spared(last), spared(next));
            let degraded = |stand: Stand| flag(stand.degraded && !stand.down && !stand.blind());
            change(Curve::Degraded, degraded(last), degraded(next));
            let weight = |stand: Stand| if stand.down || stand.blind() { 0 } else { i64::from(stand.weight) };
            change(Curve::Weight, weight(last), weight(next));
            let lost = |stand: Stand| {
                let own = if stand.down { pair.a } else { 0 };
                if stand.blind() { 0 } else { people(stand.users) - own }
            };
            change(Curve::Lost, lost(last), lost(next));
            last = next;
        }
    }

    /// Adds or takes away an outage.
    pub(super) fn outage(&mut self, share: &Share, outage: Brief, sign: i64) {
        if outage.start >= share.since {
            self.began(outage, sign);
        }
        if let (Some(end), Some(_)) = (outage.end, outage.unplanned) {
            self.repair(share, (end, end.since(outage.start)), sign);
        }
    }

    /// Adds or takes away a repair: its end, and how long it took.
    pub(super) fn repair(&mut self, share: &Share, (end, length): (Instant, Span), sign: i64) {
        if end <= share.since {
            return;
        }
        let sums = self.sums_mut();
        sums.repairs.add(end, Pair::new(sign, length.as_micros() * sign));
        if share.repair.is_some_and(|limit| length > limit) {
            sums.over.add(end, Pair::new(sign, 0));
        }
        sums.lengths.change(end, length, sign);
    }

    fn began(&mut self, outage: Brief, sign: i64) {
        match outage.unplanned {
            Some(unplanned) if unplanned == outage.start => {
                self.sums_mut().starts.add(outage.start, Pair::new(sign, 0));
            }
            None => self.sums_mut().planned.add(outage.start, Pair::new(sign, 0)),
            Some(unplanned) => self.overran((outage.start, unplanned), sign),
        }
    }

    /// Adds or takes away an outage that overran its maintenance: when it began, and overran it.
    pub(super) fn overran(&mut self, when: (Instant, Instant), sign: i64) {
        let overruns = &mut self.sums_mut().overruns;
        let count = overruns.entry(when).or_default();
        *count += sign;
        if *count == 0 {
            overruns.remove(&when);
        }
    }

    /// Adds or takes away a first acknowledgement.
    pub(super) fn acknowledgement(&mut self, share: &Share, (at, after): Acknowledged, sign: i64) {
        if at < share.since {
            return;
        }
        self.sums_mut().acknowledged.add(at, Pair::new(sign, after.as_micros() * sign));
    }

    // ---- what is folded ----

    /// Folds what is before the last of `days`.
    pub(super) fn fold(&mut self, days: &[Instant]) {
        let (Some(&until), Some(sums)) = (days.last(), &mut self.sums) else { return };
        let begun = sums.curves[FOLDED..].iter().chain([&sums.starts, &sums.planned, &sums.acknowledged]);
        // What ends with a day is a repair of that day.
        let ended =
            [&sums.repairs, &sums.over].into_iter().filter_map(Points::first).map(|at| at.minus(Span::TICK));
        let first = begun.filter_map(Points::first).chain(ended).min();
        let Some(first) = first.filter(|&first| first < until) else { return };
        let mut past = sums.past.take().unwrap_or_default();
        for (from, end) in days_after(days, first) {
            let day = sums.day(from, end);
            if day != GroupDay::default() {
                past.of(from).add(&day);
            }
        }
        past.tighten();
        sums.past = Some(past);
        sums.curves[FOLDED..].iter_mut().for_each(|curve| curve.flatten(until));
        for counts in [&mut sums.starts, &mut sums.planned, &mut sums.acknowledged] {
            counts.forget(until);
        }
        for counts in [&mut sums.repairs, &mut sums.over] {
            counts.forget(until.plus(Span::TICK));
        }
    }

    /// Adds a day of a service that is folded.
    pub(super) fn lived(&mut self, share: &Share, start: Instant, day: &Day) {
        let Pair { a, b } = share.pair();
        let Totals { excluded, unknown, blind, down, down_gross, degraded, weighted, lost } = day.totals;
        let weight = weighted - i128::from(Ratio::WHOLE) * i128::from(down);
        let mut folded = GroupDay {
            starts: i64::from(day.outages),
            planned: i64::from(day.planned),
            acknowledged: (i64::from(day.acknowledged), day.acknowledge_micros),
            ..GroupDay::default()
        };
        for (curve, area) in [
            (Curve::Excluded, i128::from(excluded)),
            (Curve::Unknown, i128::from(unknown)),
            (Curve::Both, i128::from(excluded + unknown - blind)),
            (Curve::Down, i128::from(down_gross)),
            (Curve::Spared, i128::from(down_gross - down)),
            (Curve::Degraded, i128::from(degraded)),
            (Curve::Weight, weight),
        ] {
            folded.add_area(curve as usize, (area * i128::from(a), area * i128::from(b)));
        }
        folded.add_area(Curve::Lost as usize, (lost - i128::from(down) * i128::from(a), 0));
        self.sums_mut().past.get_or_insert_default().of(start).add(&folded);
    }

    /// The days that lie in `[from, until)`.
    fn days(&self, from: Instant, until: Instant) -> &[(Instant, GroupDay)] {
        self.sums().past.as_ref().map_or(&[], |past| past.within(from, until))
    }

    /// The integral of a curve over `[from, until)`.
    fn area(&self, curve: usize, from: Instant, until: Instant) -> (i128, i128) {
        let folded = self.days(from, until).iter().map(|(_, day)| day.area(curve));
        folded.fold(self.sums().curves[curve].integral(from, until), plus)
    }

    /// What its windows are multiplied by: its users where any service has some, else its services.
    pub(super) fn weight(&self) -> i128 {
        i128::from(self.counted((self.users, self.members)))
    }

    /// Whether its services count by their users: when any of them has some.
    pub(super) const fn by_users(&self) -> bool {
        self.users > 0
    }

    /// Of a pair by users and by services, the one that the group counts by.
    fn counted<T>(&self, (by_users, by_services): (T, T)) -> T {
        if self.by_users() { by_users } else { by_services }
    }

    /// The lengths over `[from, until)`, by users where any service has some, else by services; and by services.
    fn lengths(&self, from: Instant, until: Instant) -> (Lengths, Lengths) {
        let span = i128::from(until.since(from).as_micros());
        let areas: [(i128, i128); CURVES] = std::array::from_fn(|curve| self.area(curve, from, until));
        let pick = |of: fn((i128, i128)) -> i128, always: i64| {
            let area = |curve: Curve| of(areas[curve as usize]);
            let lengths = budgeted(i128::from(always) * span, area);
            let weighted = lengths.down * i128::from(Ratio::WHOLE) + area(Curve::Weight);
            Lengths { degraded: area(Curve::Degraded), weighted, ..lengths }
        };
        let by_services = pick(|pair| pair.1, self.always.b);
        let by_users = if self.by_users() { pick(|pair| pair.0, self.always.a) } else { by_services };
        (by_users, by_services)
    }

    /// The figures of `[from, until)`.
    pub(super) fn figures(&self, from: Instant, until: Instant, mode: Maintenance) -> Figures {
        if from >= until {
            return Figures::default();
        }
        let (lengths, by_services) = self.lengths(from, until);
        let (first, last) = (from.plus(Span::TICK), until.plus(Span::TICK));
        let mut outages = self.sums().starts.sum(from, until).0;
        let mut planned = self.sums().planned.sum(from, until).0;
        for (&(_, unplanned), &count) in self.sums().overruns.range((from, Instant::MIN)..(until, Instant::MIN)) {
            *(if unplanned < until { &mut outages } else { &mut planned }) += i128::from(count);
        }
        let mut repaired = self.sums().repairs.sum(first, last);
        let mut answered = self.sums().acknowledged.sum(from, until);
        let mut over = self.sums().over.sum(first, last).0;
        for (_, day) in self.days(from, until) {
            outages += i128::from(day.starts);
            planned += i128::from(day.planned);
            repaired = plus(repaired, wide(day.repairs));
            answered = plus(answered, wide(day.acknowledged));
            over += i128::from(day.over);
        }
        let ((repairs, repair_sum), (acknowledged, acknowledge_sum)) = (repaired, answered);
        let quantiles = self.sums().lengths.quantiles(from, until);
        // Without users nobody loses time but those that an outage named.
        let own = if self.by_users() { lengths.down } else { 0 };
        let tallies = Tallies {
            outages: count(outages),
            planned_outages: count(planned),
            repairs: count(repairs),
            repair_sum,
            repair_p50: quantiles.map(|(p50, ..)| p50),
            repair_p95: quantiles.map(|(_, p95, _)| p95),
            repair_max: quantiles.map(|(.., max)| max),
            repairs_within: (self.has_limit && repairs > 0).then(|| count(repairs - over)),
            acknowledged: count(acknowledged),
            acknowledge_sum,
            user_micros: own + self.area(Curve::Lost as usize, from, until).0,
        };
        let working = by_services.observed - by_services.blind - by_services.down;
        Figures { lengths, tallies, weight: self.weight(), working, mode }
    }

    /// The lengths that a budget is made of over `[from, until)`: by users where any service has some.
    pub(super) fn promised(&self, from: Instant, until: Instant) -> Lengths {
        let span = i128::from(until.since(from).as_micros());
        let always = self.counted((self.always.a, self.always.b));
        budgeted(i128::from(always) * span, |curve| self.counted(self.area(curve as usize, from, until)))
    }

    /// The sums that budgets are made of, over all time before `at` that is kept in full.
    pub(super) fn up_to(&self, at: Instant) -> UpTo {
        UpTo { at, of: BUDGETED.map(|curve| self.counted(self.sums().curves[curve as usize].total(at))) }
    }

    /// The lengths that a budget is made of between the two.
    pub(super) fn between(&self, from: &UpTo, until: &UpTo) -> Lengths {
        let span = i128::from(until.at.since(from.at).as_micros());
        let always = i128::from(self.counted((self.always.a, self.always.b)));
        budgeted(always * span, |curve| {
            let place = BUDGETED.iter().position(|&known| known == curve).unwrap_or(0);
            until.of[place] - from.of[place]
        })
    }

    /// How much of `[from, until)` is observed.
    pub(super) fn observed(&self, from: Instant, until: Instant) -> i128 {
        let always = i128::from(self.counted((self.always.a, self.always.b)));
        always * i128::from(until.since(from).as_micros())
            + self.counted(self.area(Curve::Since as usize, from, until))
    }

    /// How fast those lengths grow at `at`: by how much in each microsecond.
    pub(super) fn speed(&self, at: Instant) -> Lengths {
        let always = self.counted((self.always.a, self.always.b));
        budgeted(i128::from(always), |curve| self.counted(self.sums().curves[curve as usize].height(at)))
    }

    /// How many of its services are how at `at`.
    pub(super) fn services_at(&self, at: Instant) -> Lengths {
        let height = |curve: Curve| self.sums().curves[curve as usize].height(at).1;
        Lengths { degraded: height(Curve::Degraded), ..budgeted(i128::from(self.always.b), height) }
    }

    /// The first instant after `at` at which more or less is down.
    pub(super) fn next_down_after(&self, at: Instant) -> Option<Instant> {
        let next = |curve: Curve| self.sums().curves[curve as usize].next_after(at);
        next(Curve::Down).into_iter().chain(next(Curve::Spared)).min()
    }

    /// The first instant after `at` at which those speeds change.
    pub(super) fn next_after(&self, at: Instant) -> Option<Instant> {
        BUDGETED.into_iter().filter_map(|curve| self.sums().curves[curve as usize].next_after(at)).min()
    }
}

impl Sums {
    /// What is not folded yet of a day.
    fn day(&self, from: Instant, end: Instant) -> GroupDay {
        let (first, last) = (from.plus(Span::TICK), end.plus(Span::TICK));
        let mut day = GroupDay {
            starts: small(self.starts.sum(from, end).0),
            planned: small(self.planned.sum(from, end).0),
            repairs: both_small(self.repairs.sum(first, last)),
            over: small(self.over.sum(first, last).0),
            acknowledged: both_small(self.acknowledged.sum(from, end)),
            ..GroupDay::default()
        };
        for (curve, points) in self.curves.iter().enumerate().skip(FOLDED) {
            day.add_area(curve, points.integral(from, end));
        }
        day
    }
}

/// Users, of which there cannot be more than people: so many whole services degraded are still a number of 64 bits.
fn people(users: u64) -> i64 {
    i64::try_from(users).unwrap_or(i64::MAX).min(1 << 33)
}

fn wide(pair: (i64, i64)) -> (i128, i128) {
    (i128::from(pair.0), i128::from(pair.1))
}

/// Counts, and microseconds of repairs: no day has so many.
fn small(sum: i128) -> i64 {
    i64::try_from(sum).unwrap_or(i64::MAX)
}

fn both_small(pair: (i128, i128)) -> (i64, i64) {
    (small(pair.0), small(pair.1))
}

fn plus(one: (i128, i128), other: (i128, i128)) -> (i128, i128) {
    (one.0 + other.0, one.1 + other.1)
}

/// The lengths that a budget is made of, from what the curves amount to. `always` is of services without a `since`.
fn budgeted(always: i128, of: impl Fn(Curve) -> i128) -> Lengths {
    let (excluded, unknown, down) = (of(Curve::Excluded), of(Curve::Unknown), of(Curve::Down));
    Lengths {
        observed: always + of(Curve::Since),
        excluded,
        unknown,
        blind: excluded + unknown - of(Curve::Both),
        down: down - of(Curve::Spared),
        down_gross: down,
        ..Lengths::default()
    }
}

fn count(sum: i128) -> u64 {
    u64::try_from(sum).unwrap_or(0)
}
