//! Which services and groups have series of their own where there are more of them than may have: the largest
//! offenders.

use std::cmp::Reverse;

use crate::engine::{Engine, GroupView, ServiceView};
use crate::model::time::{Instant, Window};

/// Over what offenders are told: the longest rolling window, so that one stays in sight while it is in any window.
const WINDOW: Window = Window::Quarter;

/// The services with series of their own, by name, `max` of them at most: those with the most downtime, and of equals
/// the first by name.
pub(super) fn services(engine: &Engine, at: Instant, max: usize) -> Vec<ServiceView<'_>> {
    let mut chosen = least(engine.services(), max, |view| (Reverse(view.downtime(WINDOW, at)), view.name()));
    chosen.sort_unstable_by_key(ServiceView::name);
    chosen
}

/// The same of groups, by their average user's downtime; `all` is always among them.
pub(super) fn groups(engine: &Engine, at: Instant, max: usize) -> Vec<GroupView<'_>> {
    let groups: Vec<GroupView<'_>> = engine.groups().collect();
    let mut chosen = least(groups.into_iter(), max, |view| {
        let figures = view.figures(WINDOW, at);
        (view.name() != "all", Reverse(figures.lengths.down / figures.weight.max(1)), view.name())
    });
    chosen.sort_unstable_by_key(GroupView::name);
    chosen
}

/// The `max` of them whose keys are least, without putting them in order: there may be a million to choose from.
pub(super) fn least<T, K: Ord>(
    items: impl ExactSizeIterator<Item = T>,
    max: usize,
    key: impl Fn(&T) -> K,
) -> Vec<T> {
    if items.len() <= max {
        return items.collect();
    }
    let Some(last) = max.checked_sub(1) else { return Vec::new() };
    // Twice as many are kept, and the greater half let go of when that is full. From then on the one at `last` is the
    // greatest of those that may still be chosen.
    let full = max * 2;
    let mut kept: Vec<(K, T)> = Vec::with_capacity(full.min(items.len()));
    let mut is_cut = false;
    for item in items {
        let key = key(&item);
        if is_cut && key > kept[last].0 {
            continue;
        }
        kept.push((key, item));
        if kept.len() == full {
            cut(&mut kept, last);
            is_cut = true;
        }
    }
    cut(&mut kept, last);
    kept.into_iter().map(|(_, item)| item).collect()
}

/// Keeps those up to the one of rank `last`.
fn cut<T, K: Ord>(kept: &mut Vec<(K, T)>, last: usize) {
    if last < kept.len() {
        kept.select_nth_unstable_by(last, |(one, _), (other, _)| one.cmp(other));
        kept.truncate(last + 1);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_least_are_those_that_come_first_in_order(items: Vec<u8>, max in 0_usize..40) {
            let mut found = least(items.iter().copied().enumerate(), max, |&(place, key)| (key, place));
            found.sort_unstable_by_key(|&(place, key)| (key, place));
            let mut all: Vec<(usize, u8)> = items.into_iter().enumerate().collect();
            all.sort_unstable_by_key(|&(place, key)| (key, place));
            all.truncate(max);
            prop_assert_eq!(found, all);
        }
    }
}
