//! Impact: whom an incident costs what, and since when, as a step function of time. It is brought up to date where
//! something changed, so that one more outage costs little in an incident of a hundred thousand.
//!
//! Users count at the topmost services that are down: what hangs on one of them adds nothing, for its users are among
//! those of the other.

use std::collections::{BTreeMap, BTreeSet};

use borsh::io::{self, Read, Write};
use borsh::{BorshDeserialize, BorshSerialize};

use super::availability::{Stretch, Union};
use super::clusters::Cluster;
use super::curve::{Amount, Curve, Step, tally};
use super::levels::Segment;
use super::marks::{Outage, Part};
use super::policies::Terms;
use super::registry::{Class, Registry};
use super::reports::Reports;
use super::sharing::Shared;
use super::topology::DEPTH_MAX;
use crate::model::event::{Cause, Severity};
use crate::model::time::{Instant, Span};

/// What an incident costs. It follows from the histories of its services.
#[derive(Clone, Debug, Default)]
pub(super) struct Impact {
    /// What each service adds.
    shares: BTreeMap<u32, Share>,
    /// All of that together.
    curve: Curve,
    /// When the services of each class went down first.
    classes: BTreeMap<Class, BTreeSet<(Instant, u32)>>,
    /// The services whose outages say what they came from, and those that say anything, by start.
    causes: BTreeMap<(Instant, u32), Cause>,
    details: BTreeSet<(Instant, u32)>,
    /// The limits of the clocks of its services, and of how many each is.
    response: BTreeMap<Span, u32>,
    repair: BTreeMap<Span, u32>,
    /// Those of its services and suspects that hang on no other of them, and how many of its services do on each.
    tops: BTreeMap<u32, u32>,
    /// How many suspects it had when those were found.
    suspects: usize,
    /// How often its services came back before it was confirmed to be over.
    flaps: u64,
    /// What was reported about it.
    pub(super) reports: Reports,
}

/// What one service adds.
#[derive(Clone, Debug)]
struct Share {
    class: Class,
    first: Instant,
    flaps: i64,
    edges: Vec<(Instant, Step)>,
    cause: Option<(Instant, Cause)>,
    detail: Option<Instant>,
    terms: (Option<Span>, Option<Span>),
}

/// The impacts of what is live, by cluster. They are in no snapshot, as they follow from what is.
#[derive(Clone, Debug, Default)]
pub(super) struct Impacts(pub(super) BTreeMap<u32, Shared<Impact>>);

impl PartialEq for Impacts {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl BorshSerialize for Impacts {
    fn serialize<W: Write>(&self, _: &mut W) -> io::Result<()> {
        Ok(())
    }
}

impl BorshDeserialize for Impacts {
    fn deserialize_reader<R: Read>(_: &mut R) -> io::Result<Self> {
        Ok(Self::default())
    }
}

/// What an impact is worked out from.
pub(super) struct Scene<'a> {
    pub(super) registry: &'a Registry,
    pub(super) number: u32,
    pub(super) cluster: &'a Cluster,
    pub(super) terms: &'a dyn Fn(u32) -> Terms,
    pub(super) now: Instant,
}

impl Scene<'_> {
    /// When a service was down, as far as it is part of this.
    fn down(&self, place: u32) -> Vec<Stretch> {
        if !self.cluster.services.contains_key(&place) {
            return Vec::new();
        }
        let own = self.registry.episodes(place).iter().filter(|episode| episode.cluster == self.number);
        own.map(|episode| Stretch { start: episode.start, end: episode.end }).collect()
    }

    /// When anything that a service depends on was down; of alternatives, when all of them were.
    fn hidden(&self, place: u32, depth: usize, known: &mut BTreeMap<u32, Union>) -> Union {
        let mut all = Vec::new();
        if depth < DEPTH_MAX {
            for names in self.registry.parents_of(place) {
                let mut each = names.iter().map(|&parent| self.out(parent, depth + 1, known));
                let first = each.next().unwrap_or_default();
                let together = each.fold(first, |one, other| one.intersection(&other));
                all.extend_from_slice(together.stretches());
            }
        }
        Union::of(all)
    }

    /// When a service, or anything that it depends on, was down.
    fn out(&self, place: u32, depth: usize, known: &mut BTreeMap<u32, Union>) -> Union {
        if let Some(known) = known.get(&place) {
            return known.clone();
        }
        let mut all = self.down(place);
        all.extend_from_slice(self.hidden(place, depth, known).stretches());
        let out = Union::of(all);
        known.insert(place, out.clone());
        out
    }

    /// The furthest of what a service hangs on that is part of this, and hangs on nothing that is. In a circle nothing
    /// is furthest. `known` is of which that was asked before.
    fn top_of(&self, place: u32, known: &mut BTreeMap<u32, bool>) -> Option<u32> {
        let Cluster { services, suspects, .. } = self.cluster;
        let is_part = |place: u32| services.contains_key(&place) || suspects.contains(&place);
        let lineage = |place: u32| self.registry.lineage(place).into_iter().map(|(ancestor, _)| ancestor);
        // Those furthest up come last.
        lineage(place).rev().find(|&ancestor| {
            is_part(ancestor) && *known.entry(ancestor).or_insert_with(|| !lineage(ancestor).any(is_part))
        })
    }
}

impl Impact {
    /// Brings it up to date where the services of `places` are concerned, and what hangs on them.
    pub(super) fn refresh(&mut self, scene: &Scene<'_>, places: &BTreeSet<u32>) {
        let Cluster { services, suspects, .. } = scene.cluster;
        let everything = self.shares.is_empty();
        let mut concerned: BTreeSet<u32> = if everything {
            services.keys().copied().collect()
        } else {
            places.iter().copied().filter(|place| services.contains_key(place)).collect()
        };
        let above: BTreeSet<u32> =
            concerned.iter().copied().filter(|&place| !scene.registry.children(place).is_empty()).collect();
        if !everything && !above.is_empty() {
            let hangs =
                |place: u32| scene.registry.lineage(place).iter().any(|(ancestor, _)| above.contains(ancestor));
            concerned.extend(services.keys().copied().filter(|&place| hangs(place)));
        }
        let mut from = Instant::MAX;
        let mut known = BTreeMap::new();
        let mut topmost = BTreeMap::new();
        let mut anew = everything || self.suspects != suspects.len();
        for &place in &concerned {
            let Some(share) = Share::of(scene, place, &mut known) else { continue };
            if let Some(before) = self.shares.remove(&place) {
                let changed = before.edges.iter().zip(&share.edges).take_while(|(one, other)| one == other).count();
                let edges = [&before, &share].map(|share| share.edges.get(changed).map(|edge| edge.0));
                from = edges.into_iter().flatten().fold(from, Instant::min);
                self.count(place, &before, -1);
            } else {
                from = share.edges.first().map_or(from, |edge| from.min(edge.0));
                anew = anew || !self.count_to_its_top(scene, place, &mut topmost);
            }
            self.count(place, &share, 1);
            self.shares.insert(place, share);
        }
        if anew {
            self.find_tops(scene, &mut topmost);
        }
        if from < Instant::MAX {
            self.curve.rebuild(from, &|kind| scene.registry.users_of(kind));
        }
    }

    fn count(&mut self, place: u32, share: &Share, sign: i64) {
        self.curve.count(share.class.kind, &share.edges, sign);
        self.flaps = self.flaps.saturating_add_signed(sign * share.flaps);
        share.terms.0.into_iter().for_each(|limit| tally(&mut self.response, limit, sign));
        share.terms.1.into_iter().for_each(|limit| tally(&mut self.repair, limit, sign));
        let class = self.classes.entry(share.class).or_default();
        if sign > 0 {
            class.insert((share.first, place));
            self.causes.extend(share.cause.map(|(at, cause)| ((at, place), cause)));
            self.details.extend(share.detail.map(|at| (at, place)));
        } else {
            class.remove(&(share.first, place));
            if class.is_empty() {
                self.classes.remove(&share.class);
            }
            share.cause.into_iter().for_each(|(at, _)| _ = self.causes.remove(&(at, place)));
            share.detail.into_iter().for_each(|at| _ = self.details.remove(&(at, place)));
        }
    }

    // ---- what can be read ----

    /// How it stood from when on.
    pub(super) fn segments(&self) -> &[Segment] {
        &self.curve.segments
    }

    /// How many episodes of downtime it has more than services.
    pub(super) const fn flaps(&self) -> u64 {
        self.flaps
    }

    /// What it came from, as the first outage that knows says.
    pub(super) fn cause(&self) -> Option<Cause> {
        self.causes.first_key_value().map(|(_, &cause)| cause)
    }

    /// When the first outage that says what it is about began, and of which service it is.
    pub(super) fn detailed(&self) -> Option<(Instant, u32)> {
        self.details.first().copied()
    }

    /// The shortest limits of any of its services.
    pub(super) fn limits(&self) -> (Option<Span>, Option<Span>) {
        let first = |limits: &BTreeMap<Span, u32>| limits.first_key_value().map(|(&limit, _)| limit);
        (first(&self.response), first(&self.repair))
    }

    /// When the first service that `fits` went down.
    pub(super) fn first_of(&self, fits: impl Fn(u32) -> bool) -> Option<Instant> {
        let firsts = self.classes.values().filter_map(BTreeSet::first);
        firsts.filter(|&&(_, place)| fits(place)).map(|&(at, _)| at).min()
    }

    /// When it came to touch so many regions.
    pub(super) fn touched_regions(&self, count: u64) -> Option<Instant> {
        let mut firsts: BTreeMap<u32, Instant> = BTreeMap::new();
        for (class, services) in &self.classes {
            if let Some(&(at, _)) = services.first() {
                let first = firsts.entry(class.region).or_insert(at);
                *first = at.min(*first);
            }
        }
        let mut firsts: Vec<Instant> = firsts.into_values().collect();
        firsts.sort_unstable();
        let last = usize::try_from(count).ok()?.saturating_sub(1);
        firsts.get(last).copied()
    }

    /// The service on which most of it hangs, of several the first by name; none if it is of one alone.
    pub(super) fn suspected(&self, scene: &Scene<'_>) -> Option<u32> {
        if self.shares.len() == 1 && self.suspects == 0 {
            return None;
        }
        let most = self.tops.values().max()?;
        let tops = self.tops.iter().filter(|(_, count)| *count == most).map(|(&place, _)| place);
        tops.min_by_key(|&place| scene.registry.name(place))
    }

    // ---- topmost services ----

    /// Counts a service that became part of it to its top. Returns whether there is one: without, it is above others
    /// itself, and theirs may be another one now.
    fn count_to_its_top(&mut self, scene: &Scene<'_>, place: u32, known: &mut BTreeMap<u32, bool>) -> bool {
        let top = scene.top_of(place, known);
        top.map(|top| *self.tops.entry(top).or_default() += 1).is_some()
    }

    fn find_tops(&mut self, scene: &Scene<'_>, known: &mut BTreeMap<u32, bool>) {
        self.suspects = scene.cluster.suspects.len();
        self.tops.clear();
        for &place in scene.cluster.services.keys() {
            let top = scene.top_of(place, known).unwrap_or(place);
            *self.tops.entry(top).or_default() += 1;
        }
    }
}

impl Share {
    fn of(scene: &Scene<'_>, place: u32, known: &mut BTreeMap<u32, Union>) -> Option<Self> {
        let history = scene.registry.history(place)?;
        let episodes = scene.down(place);
        let (first, last) = (episodes.first()?.start, episodes.last()?.end_or_max());
        let now = scene.now;
        let within = history.outages_within(history.cut(first), last.min(now));
        let parts = |outage: &Outage| -> Vec<(Part, Option<Instant>)> {
            let touches = |&(part, until): &(Part, Option<Instant>)| {
                part.from <= last && until.is_none_or(|until| until >= first)
            };
            let begun = |(part, _): &(Part, Option<Instant>)| part.severity == Severity::Down && part.from <= now;
            outage.stretches().filter(touches).filter(begun).collect()
        };
        let counted = within.iter().filter(|outage| outage.counts(now));
        let outages: Vec<_> =
            counted.map(|outage| (outage, parts(outage))).filter(|(_, parts)| !parts.is_empty()).collect();
        let all: Vec<(Part, Option<Instant>)> =
            outages.iter().flat_map(|(_, parts)| parts.iter().copied()).collect();
        let hidden = scene.hidden(place, 0, known);
        let users = scene.registry.service(place).users();
        let mut edges: BTreeMap<Instant, Step> = BTreeMap::new();
        for (from, until, said) in steps_of(&all, now) {
            let users_now = said.or(users);
            let amount = Amount {
                users: i128::from(users_now.unwrap_or(0)),
                down: 1,
                known: i64::from(users_now.is_some()),
                guessed: i64::from(users_now.is_some() && said.is_none()),
            };
            for (from, until) in without(from, until, hidden.stretches()) {
                if until == Some(from) {
                    let step = edges.entry(from).or_default();
                    step.just = step.just.plus(amount, 1);
                    continue;
                }
                let step = edges.entry(from).or_default();
                step.from = step.from.plus(amount, 1);
                if let Some(until) = until {
                    let step = edges.entry(until).or_default();
                    step.from = step.from.plus(amount, -1);
                }
            }
        }
        let Terms { response, repair, .. } = (scene.terms)(place);
        let cause = outages.iter().find(|(outage, _)| outage.cause != Cause::Unknown);
        Some(Self {
            class: scene.registry.class(place),
            first,
            flaps: episodes.len() as i64 - 1,
            edges: edges.into_iter().filter(|(_, step)| *step != Step::default()).collect(),
            cause: cause.map(|(outage, _)| (outage.start, outage.cause)),
            detail: outages.iter().find(|(outage, _)| outage.detail.is_some()).map(|(outage, _)| outage.start),
            terms: (response, repair),
        })
    }
}

/// A service's users from when until when. Of several outages of one service at once the largest figure counts: they
/// touch the same users.
fn steps_of(parts: &[(Part, Option<Instant>)], now: Instant) -> Vec<(Instant, Option<Instant>, Option<u64>)> {
    let mut edges: Vec<(Instant, bool, Option<u64>)> = Vec::with_capacity(parts.len() * 2);
    for &(part, end) in parts {
        edges.push((part.from, false, part.users));
        // An end ahead of now is not known to hold yet.
        edges.extend(end.filter(|&end| end <= now).map(|end| (end, true, part.users)));
    }
    // Starts come before ends of the same instant, so that what continues is not cut.
    edges.sort_unstable();
    let mut steps: Vec<(Instant, Option<Instant>, Option<u64>)> = Vec::new();
    let mut open: BTreeMap<Option<u64>, usize> = BTreeMap::new();
    for (at, is_end, users) in edges {
        let before = open.last_key_value().map(|(&said, _)| said);
        if is_end {
            if let Some(count) = open.get_mut(&users) {
                *count -= 1;
                if *count == 0 {
                    open.remove(&users);
                }
            }
        } else {
            *open.entry(users).or_default() += 1;
        }
        let after = open.last_key_value().map(|(&said, _)| said);
        if before == after {
            continue;
        }
        if let (Some(_), Some(last)) = (before, steps.last_mut()) {
            last.1 = Some(at);
        }
        steps.extend(after.map(|said| (at, None, said)));
    }
    steps
}

/// What is left of `[from, until)` without the stretches, which are sorted and apart from one another. What lasts no
/// time is left unless it lies in one of them.
fn without(from: Instant, until: Option<Instant>, stretches: &[Stretch]) -> Vec<(Instant, Option<Instant>)> {
    let end = until.unwrap_or(Instant::MAX);
    let first = stretches.partition_point(|stretch| stretch.end_or_max() <= from);
    let mut left = Vec::with_capacity(1);
    let mut at = from;
    for stretch in stretches[first..].iter().take_while(|stretch| stretch.start < end || stretch.start == from) {
        if stretch.start > at {
            left.push((at, Some(stretch.start)));
        }
        at = at.max(stretch.end_or_max());
    }
    if at < end || at == from && stretches.get(first).is_none_or(|stretch| stretch.start > from) {
        left.push((at, until));
    }
    left
}
