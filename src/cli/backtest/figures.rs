//! Which figures differ at the end: availability under the promise, what is left of the budget, and the verdict.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::{Engine, GroupView, ServiceView};
use crate::model::calendar::{Range, Unit};
use crate::model::figures::Figures;
use crate::model::level::Ratio;
use crate::model::time::{Instant, Window};

/// How a service or group stands against its target over a window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) figures: Figures,
    pub(super) target: Option<Ratio>,
}

/// The windows that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// The last thirty days.
    ThirtyDays,
    /// What has passed of the calendar month.
    Month,
}

/// A service's or group's standing that is not the same in both runs.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    pub(super) is_group: bool,
    pub(super) name: String,
    pub(super) over: Over,
    pub(super) before: Option<Standing>,
    pub(super) after: Option<Standing>,
}

impl Over {
    const ALL: [Self; 2] = [Self::ThirtyDays, Self::Month];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::ThirtyDays => "30d",
            Self::Month => "month",
        }
    }

    fn range(self, engine: &Engine, at: Instant) -> Range {
        match self {
            Self::ThirtyDays => Range { from: at.minus(Window::Month.length()), until: at },
            Self::Month => Range { until: at, ..engine.calendar().containing(Unit::Month, at) },
        }
    }
}

impl Standing {
    /// Whether the target is kept; absent without one, or when nothing is known.
    pub(super) fn is_kept(&self) -> Option<bool> {
        let (lengths, mode) = (&self.figures.lengths, self.figures.mode);
        let known = lengths.promised(mode).1 > 0;
        self.target.filter(|_| known).map(|target| lengths.budget(mode, target).0 >= 0)
    }

    /// `kept` or `missed`.
    pub(super) fn verdict(&self) -> Option<&'static str> {
        self.is_kept().map(|kept| if kept { "kept" } else { "missed" })
    }

    /// What it is compared by: ratios to a part in a thousand million, so that rounding makes no difference.
    fn compared(&self) -> impl PartialEq + use<> {
        let (lengths, mode) = (&self.figures.lengths, self.figures.mode);
        let (lost, of) = lengths.promised(mode);
        // The same ratio may be lost of more users.
        let lost = (of > 0).then(|| (lost * i128::from(Ratio::WHOLE)).div_euclid(of));
        let budget = self.target.filter(|_| of > 0).map(|target| {
            let (left, budget) = lengths.budget(mode, target);
            if budget > 0 { (left * 1_000_000).div_euclid(budget) } else { left.signum() }
        });
        (self.target, lost, budget, self.is_kept(), self.figures.mttr_within_target())
    }
}

/// Every standing that differs: services by name, then groups.
pub(super) fn differences(before: &Engine, after: &Engine, at: Instant) -> Vec<Difference> {
    let both = [before, after];
    let views = both.map(|engine| engine.services().map(|view| (view.name(), view)).collect());
    let services = compare(both, views, at, false, |view: &ServiceView<'_>, range| Standing {
        figures: view.figures_within(range, at),
        target: view.target(at),
    });
    let views = both.map(|engine| engine.groups().map(|view| (view.name(), view)).collect());
    let groups = compare(both, views, at, true, |view: &GroupView<'_>, range| Standing {
        figures: view.figures_within(range, at),
        target: view.target(at),
    });
    [services, groups].concat()
}

/// Compares what is of the same name in both runs, and what is in one of them only.
fn compare<View>(
    engines: [&Engine; 2],
    views: [BTreeMap<&str, View>; 2],
    at: Instant,
    is_group: bool,
    standing: impl Fn(&View, Range) -> Standing,
) -> Vec<Difference> {
    let names: BTreeSet<&str> = views.iter().flat_map(BTreeMap::keys).copied().collect();
    let mut found = Vec::new();
    for (name, over) in names.into_iter().flat_map(|name| Over::ALL.map(|over| (name, over))) {
        let of = |side: usize| views[side].get(name).map(|view| standing(view, over.range(engines[side], at)));
        let (before, after) = (of(0), of(1));
        let compared = |standing: &Option<Standing>| standing.map(|standing| standing.compared());
        if compared(&before) != compared(&after) {
            found.push(Difference { is_group, name: name.to_owned(), over, before, after });
        }
    }
    found
}
