//! Which alerts fired in one run and not in the other, or at another instant, or at another level.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::cli::run::Change;
use crate::cli::table::standing;
use crate::model::alert::{About, Alert, AlertKey, AlertName};
use crate::model::incident::IncidentId;
use crate::model::level::Level;
use crate::model::time::{Instant, Span};

/// An alert from when it was first told until it was over.
#[derive(Clone, Debug)]
pub(super) struct Episode {
    pub(super) alert: Alert,
    /// When it was told.
    pub(super) fired: Instant,
    /// When it was told that it is over.
    pub(super) over: Option<Instant>,
    /// Since when it is over.
    pub(super) ended: Option<Instant>,
}

/// An alert that is not the same in both runs.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    pub(super) before: Option<Episode>,
    pub(super) after: Option<Episode>,
}

/// How the two differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    OnlyBefore,
    OnlyAfter,
    Earlier(Span),
    Later(Span),
    Level(Level, Level),
}

/// How often alerts of one name and standing fired.
#[derive(Clone, Debug)]
pub(super) struct Count {
    pub(super) name: AlertName,
    pub(super) standing: String,
    pub(super) before: usize,
    pub(super) after: usize,
}

/// What makes an alert of one run the counterpart of one of the other: its incident, or all of its labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Same {
    name: AlertName,
    incident: Option<IncidentId>,
    about: Option<About>,
}

/// What is counted together: a name, the gravest level first, and what else is said of it.
type Sort = (AlertName, Reverse<Option<Level>>, String);

impl Same {
    fn of(key: &AlertKey) -> Self {
        let incident = key.incident();
        Self { name: key.name, incident, about: incident.is_none().then(|| key.about.clone()) }
    }
}

impl Difference {
    /// How they differ; `None` when they do not.
    pub(super) fn kind(&self) -> Option<Kind> {
        let (before, after) = match (&self.before, &self.after) {
            (Some(before), Some(after)) => (before, after),
            (Some(_), None) => return Some(Kind::OnlyBefore),
            (None, Some(_)) => return Some(Kind::OnlyAfter),
            (None, None) => return None,
        };
        match (before.alert.key.level(), after.alert.key.level()) {
            (Some(was), Some(is)) if was != is => Some(Kind::Level(was, is)),
            _ if after.fired < before.fired => Some(Kind::Earlier(before.fired.since(after.fired))),
            _ if after.fired > before.fired => Some(Kind::Later(after.fired.since(before.fired))),
            _ => None,
        }
    }

    /// The one that says most of both: what would be.
    pub(super) fn either(&self) -> Option<&Episode> {
        self.after.as_ref().or(self.before.as_ref())
    }

    /// When the first of both fired.
    fn first(&self) -> Option<Instant> {
        self.before.iter().chain(&self.after).map(|episode| episode.fired).min()
    }
}

/// Every alert that differs, by the instant from which on it does.
pub(super) fn differences(before: &[Change], after: &[Change]) -> Vec<Difference> {
    let mut both: BTreeMap<Same, [Vec<Episode>; 2]> = BTreeMap::new();
    for (side, changes) in [before, after].into_iter().enumerate() {
        for episode in episodes(changes) {
            both.entry(Same::of(&episode.alert.key)).or_default()[side].push(episode);
        }
    }
    let matched = both.into_iter().flat_map(|(same, [before, after])| match same.incident {
        Some(_) => of_incident(before, after),
        None => overlapping(before, after),
    });
    let mut found: Vec<Difference> = matched.filter(|difference| difference.kind().is_some()).collect();
    found.sort_by_key(Difference::first);
    found
}

/// How often each sort of alert fired.
pub(super) fn counts(before: &[Change], after: &[Change]) -> Vec<Count> {
    let mut counts: BTreeMap<Sort, [usize; 2]> = BTreeMap::new();
    for (side, changes) in [before, after].into_iter().enumerate() {
        for Change { alert, .. } in changes.iter().filter(|change| change.ended.is_none()) {
            let level = Reverse(alert.key.level());
            counts.entry((alert.key.name, level, standing(&alert.key))).or_default()[side] += 1;
        }
    }
    counts
        .into_iter()
        .map(|((name, _, standing), [before, after])| Count { name, standing, before, after })
        .collect()
}

/// What fired, in order, with when it was over.
fn episodes(changes: &[Change]) -> Vec<Episode> {
    let mut found: Vec<Episode> = Vec::new();
    let mut firing: BTreeMap<&AlertKey, usize> = BTreeMap::new();
    for Change { at, alert, ended } in changes {
        if ended.is_none() {
            firing.insert(&alert.key, found.len());
            found.push(Episode { alert: alert.clone(), fired: *at, over: None, ended: None });
        } else if let Some(place) = firing.remove(&alert.key) {
            (found[place].over, found[place].ended) = (Some(*at), *ended);
        }
    }
    found
}

/// Matches what fired about one incident: level by level, and what is left over of one level with what is left over of
/// another.
fn of_incident(before: Vec<Episode>, after: Vec<Episode>) -> Vec<Difference> {
    let mut levels: BTreeMap<Option<Level>, [Vec<Episode>; 2]> = BTreeMap::new();
    for (side, episodes) in [before, after].into_iter().enumerate() {
        for episode in episodes {
            levels.entry(episode.alert.key.level()).or_default()[side].push(episode);
        }
    }
    let mut matched = Vec::new();
    let mut left = [Vec::new(), Vec::new()];
    for [before, after] in levels.into_values() {
        for difference in in_order(before, after) {
            match difference {
                Difference { before: Some(before), after: None } => left[0].push(before),
                Difference { before: None, after: Some(after) } => left[1].push(after),
                both => matched.push(both),
            }
        }
    }
    let [before, after] = left;
    matched.extend(in_order(before, after));
    matched
}

/// Matches the first with the first, and so on.
fn in_order(before: Vec<Episode>, after: Vec<Episode>) -> Vec<Difference> {
    let count = before.len().max(after.len());
    let (mut before, mut after) = (before.into_iter(), after.into_iter());
    (0..count).map(|_| Difference { before: before.next(), after: after.next() }).collect()
}

/// Matches those that fired at the same time at some instant: what comes and goes has no other identity.
fn overlapping(before: Vec<Episode>, after: Vec<Episode>) -> Vec<Difference> {
    let apart = |one: &Episode, other: &Episode| one.over.is_some_and(|over| over <= other.fired);
    let (mut before, mut after) = (before.into_iter().peekable(), after.into_iter().peekable());
    let mut matched = Vec::new();
    loop {
        let (from_before, from_after) = match (before.peek(), after.peek()) {
            (None, None) => return matched,
            (Some(was), Some(is)) if apart(was, is) != apart(is, was) => (apart(was, is), apart(is, was)),
            (was, is) => (was.is_some(), is.is_some()),
        };
        matched.push(Difference {
            before: if from_before { before.next() } else { None },
            after: if from_after { after.next() } else { None },
        });
    }
}
