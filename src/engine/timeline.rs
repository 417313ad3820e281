//! A service's timeline: how it stood from when on, as steps, with the sums of everything before. Every length over
//! every window is the difference of two of them.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};

use super::availability::Stretch;
use super::marks::Outage;
use super::room::tighten;
use crate::model::event::Severity;
use crate::model::figures::{Lengths, State};
use crate::model::level::Ratio;
use crate::model::time::{Instant, Span};

/// The whole of a weight, as [`Ratio`] counts it.
const WHOLE: u32 = 1_000_000_000;
/// After how many steps the sums are kept: reading a window looks at no more than twice as many.
const STRIDE: usize = 32;

/// How a service stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Stand {
    pub(super) down: bool,
    pub(super) degraded: bool,
    pub(super) excluded: bool,
    pub(super) unknown: bool,
    /// The greatest weight of what is open, in parts of 10⁹.
    pub(super) weight: u32,
    /// Users that lose time.
    pub(super) users: u64,
}

impl Stand {
    /// The state's name. A silent feed comes before everything, as neither up nor down is known then.
    pub(super) const fn state(self) -> State {
        if self.unknown {
            State::Unknown
        } else if self.excluded {
            State::Maintenance
        } else if self.down {
            State::Down
        } else if self.degraded {
            State::Degraded
        } else {
            State::Up
        }
    }

    /// Whether the time counts neither as up nor as down.
    pub(super) const fn blind(self) -> bool {
        self.excluded || self.unknown
    }
}

/// From when on it stood how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Step {
    pub(super) at: Instant,
    pub(super) stand: Stand,
}

/// All steps of a service. Before the first one nothing is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Timeline {
    steps: Vec<Step>,
    /// The sums up to every so many-th step.
    sums: Vec<Totals>,
}

/// What lies around the outages of a service.
#[derive(Clone, Debug, Default)]
pub(super) struct Around {
    /// When it is maintained, as announced in time; sorted, apart from one another.
    pub(super) excluded: Vec<Stretch>,
    /// When its feed was silent; sorted, apart from one another.
    pub(super) unknown: Vec<Stretch>,
    /// The weight of a degradation that says none.
    pub(super) degraded_weight: Ratio,
    /// The users of an outage that says none.
    pub(super) users: u64,
}

/// Lengths in microseconds: from the beginning of time, or of a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Totals {
    pub(super) excluded: i64,
    pub(super) unknown: i64,
    pub(super) blind: i64,
    pub(super) down: i64,
    pub(super) down_gross: i64,
    pub(super) degraded: i64,
    pub(super) weighted: i128,
    /// In user-microseconds.
    pub(super) lost: i128,
}

impl Totals {
    /// What came on top of what was before.
    fn since(&self, before: &Self) -> Self {
        Self {
            excluded: self.excluded - before.excluded,
            unknown: self.unknown - before.unknown,
            blind: self.blind - before.blind,
            down: self.down - before.down,
            down_gross: self.down_gross - before.down_gross,
            degraded: self.degraded - before.degraded,
            weighted: self.weighted - before.weighted,
            lost: self.lost - before.lost,
        }
    }

    /// The lengths of something observed for so long.
    pub(super) fn lengths(&self, observed: i128) -> Lengths {
        Lengths {
            observed,
            excluded: i128::from(self.excluded),
            unknown: i128::from(self.unknown),
            blind: i128::from(self.blind),
            down: i128::from(self.down),
            down_gross: i128::from(self.down_gross),
            degraded: i128::from(self.degraded),
            weighted: self.weighted,
        }
    }

    fn add(&mut self, stand: Stand, length: Span) {
        let micros = length.as_micros();
        let when = |holds: bool| if holds { micros } else { 0 };
        let seen = !stand.blind();
        self.excluded += when(stand.excluded);
        self.unknown += when(stand.unknown);
        self.blind += when(!seen);
        self.down += when(stand.down && seen);
        self.down_gross += when(stand.down && !stand.unknown);
        self.degraded += when(stand.degraded && !stand.down && seen);
        if seen {
            self.weighted += i128::from(stand.weight) * i128::from(micros);
            self.lost += i128::from(stand.users) * i128::from(micros);
        }
    }
}

impl Timeline {
    /// The timeline of a service that never had an outage.
    pub(super) fn undisturbed(around: &Around) -> Self {
        let mut timeline = Self::default();
        timeline.rebuild(Instant::MIN, &[], around);
        timeline
    }

    /// Builds the part from `cut` on again. `outages` are all that begin at or after it; none is open across it.
    pub(super) fn rebuild(&mut self, cut: Instant, outages: &[Outage], around: &Around) {
        let kept = self.steps.partition_point(|step| step.at < cut);
        self.steps.truncate(kept);
        self.sums.truncate(kept.div_ceil(STRIDE));
        let mut edges: Vec<(Instant, Edge)> = Vec::with_capacity(outages.len() * 2 + 4);
        let mut stretch = |from: Instant, until: Option<Instant>, edge: fn(i32) -> Edge| {
            if until.is_none_or(|until| until > cut) {
                edges.push((from.max(cut), edge(1)));
                edges.extend(until.map(|until| (until, edge(-1))));
            }
        };
        for &Stretch { start, end } in tail(&around.excluded, cut) {
            stretch(start, end, Edge::Excluded);
        }
        for &Stretch { start, end } in tail(&around.unknown, cut) {
            stretch(start, end, Edge::Unknown);
        }
        for (part, until) in outages.iter().flat_map(Outage::stretches) {
            let change = |sign| match part.severity {
                Severity::Down => Edge::Down(sign, part.users.unwrap_or(around.users)),
                Severity::Degraded => Edge::Degraded(sign, part.weight.unwrap_or(around.degraded_weight)),
            };
            edges.push((part.from, change(1)));
            edges.extend(until.map(|until| (until, change(-1))));
        }
        edges.sort_unstable_by_key(|&(at, _)| at);
        if edges.first().is_none_or(|&(at, _)| at > cut) {
            // Whatever stood before ended here.
            self.push(Step { at: cut, stand: Stand::default() });
        }
        let mut sweep = Sweep::default();
        let mut rest = &*edges;
        while let Some(&(at, _)) = rest.first() {
            let together = rest.iter().take_while(|&&(other, _)| other == at).count();
            for &(_, edge) in &rest[..together] {
                sweep.apply(edge);
            }
            rest = &rest[together..];
            self.push(Step { at, stand: sweep.stand() });
        }
    }

    /// Gives back room that nothing needs now.
    pub(super) fn tighten(&mut self) {
        tighten(&mut self.steps);
        tighten(&mut self.sums);
    }

    fn push(&mut self, step: Step) {
        let last = self.steps.last().copied();
        if last.map_or(Stand::default(), |last| last.stand) == step.stand {
            return;
        }
        if self.steps.len().is_multiple_of(STRIDE) {
            let totals = self.totals(step.at);
            self.sums.push(totals);
        }
        self.steps.push(step);
    }

    /// The sums of everything before `until`.
    fn totals(&self, until: Instant) -> Totals {
        let after = self.steps.partition_point(|step| step.at < until);
        let Some(last) = after.checked_sub(1) else { return Totals::default() };
        let first = last / STRIDE * STRIDE;
        let mut totals = self.sums.get(last / STRIDE).copied().unwrap_or_default();
        for place in first..after {
            let end = self.steps[..after].get(place + 1).map_or(until, |next| next.at);
            totals.add(self.steps[place].stand, end.since(self.steps[place].at));
        }
        totals
    }

    /// The lengths over `[from, until)`, and the user-microseconds lost. What goes on runs to `until`.
    pub(super) fn lengths(&self, from: Instant, until: Instant) -> (Lengths, i128) {
        let observed = i128::from(until.since(from).as_micros());
        if self.steps.is_empty() {
            return (Lengths { observed, ..Lengths::default() }, 0);
        }
        let totals = self.within(from, until);
        (totals.lengths(observed), totals.lost)
    }

    /// The sums over `[from, until)`.
    pub(super) fn within(&self, from: Instant, until: Instant) -> Totals {
        self.totals(until).since(&self.totals(from))
    }

    /// Lets go of the steps before `at`, but for how it stands then.
    pub(super) fn forget(&mut self, at: Instant) {
        let (stood, rest) = self.tail(at);
        let begins = Step { at, stand: stood };
        let kept: Vec<Step> = [begins]
            .into_iter()
            .filter(|_| rest.first().is_none_or(|step| step.at > at))
            .chain(rest.iter().copied())
            .collect();
        *self = Self::default();
        kept.into_iter().for_each(|step| self.push(step));
    }

    /// How it stands at `at`.
    pub(super) fn stand(&self, at: Instant) -> Stand {
        let after = self.steps.partition_point(|step| step.at <= at);
        after.checked_sub(1).map_or(Stand::default(), |place| self.steps[place].stand)
    }

    /// The steps from `from` on, and how it stood before.
    pub(super) fn tail(&self, from: Instant) -> (Stand, &[Step]) {
        let first = self.steps.partition_point(|step| step.at < from);
        let before = first.checked_sub(1).map_or(Stand::default(), |place| self.steps[place].stand);
        (before, &self.steps[first..])
    }

    /// The first step after `at`.
    pub(super) fn next_after(&self, at: Instant) -> Option<Instant> {
        self.steps.get(self.steps.partition_point(|step| step.at <= at)).map(|step| step.at)
    }
}

/// What may change at an instant.
#[derive(Clone, Copy)]
enum Edge {
    Excluded(i32),
    Unknown(i32),
    Down(i32, u64),
    Degraded(i32, Ratio),
}

/// What is open while going through the edges.
#[derive(Default)]
struct Sweep {
    excluded: i32,
    unknown: i32,
    down: i32,
    users: u64,
    degraded: BTreeMap<Ratio, i32>,
}

impl Sweep {
    fn apply(&mut self, edge: Edge) {
        match edge {
            Edge::Excluded(sign) => self.excluded += sign,
            Edge::Unknown(sign) => self.unknown += sign,
            Edge::Down(sign, users) => {
                self.down += sign;
                // Edges of one instant come in any order, so the sum may pass below nothing on the way.
                self.users = if sign > 0 { self.users.wrapping_add(users) } else { self.users.wrapping_sub(users) };
            }
            Edge::Degraded(sign, weight) => {
                let open = self.degraded.entry(weight).or_default();
                *open += sign;
                if *open == 0 {
                    self.degraded.remove(&weight);
                }
            }
        }
    }

    fn stand(&self) -> Stand {
        let degraded = self.degraded.last_key_value().map(|(weight, _)| weight.parts());
        Stand {
            down: self.down > 0,
            degraded: degraded.is_some(),
            excluded: self.excluded > 0,
            unknown: self.unknown > 0,
            weight: if self.down > 0 { WHOLE } else { degraded.map_or(0, |w| u32::try_from(w).unwrap_or(WHOLE)) },
            users: self.users,
        }
    }
}

/// The stretches that end after `cut`.
fn tail(stretches: &[Stretch], cut: Instant) -> &[Stretch] {
    &stretches[stretches.partition_point(|stretch| stretch.end_or_max() <= cut)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    /// The lengths of what is excluded, over many steps and however often a part of them is built again.
    #[test]
    fn sums_that_are_kept_equal_the_plain_sum() {
        let mut chance = 7_u64;
        let mut next = |below: i64| {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from(chance >> 33).unwrap() % below
        };
        let mut timeline = Timeline::default();
        let mut lengths: Vec<i64> = vec![5; 200];
        for round in 0..400 {
            // Each stretch begins ten seconds after the one before; from a changed one on they are built again.
            let changed = if round < 200 { round } else { next(200) };
            lengths[usize::try_from(changed).unwrap()] = 1 + next(9);
            let stretch = |(n, &length): (usize, &i64)| {
                let start = i64::try_from(n).unwrap() * 10;
                Stretch { start: at(start), end: Some(at(start + length)) }
            };
            let count = if round < 200 { usize::try_from(round).unwrap() + 1 } else { 200 };
            let excluded: Vec<Stretch> = lengths[..count].iter().enumerate().map(stretch).collect();
            timeline.rebuild(at(changed * 10), &[], &Around { excluded, ..Around::default() });
            let (from, until) = (next(2000), next(2000));
            let (from, until) = (from.min(until), from.max(until));
            let inside = |n: usize| {
                let start = i64::try_from(n).unwrap() * 10;
                ((start + lengths[n]).min(until) - start.max(from)).max(0)
            };
            let expected: i64 = (0..count).map(inside).sum();
            let (found, _) = timeline.lengths(at(from), at(until));
            assert_eq!(found.excluded, i128::from(expected) * 1_000_000, "round {round}");
        }
    }
}
