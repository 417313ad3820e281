//! Maintenance: what was announced, moved and cancelled, and when that excuses whom.
//!
//! Of each key the plan in force at an instant is the last one announced in time by then; a cancellation is a plan of
//! nothing. So what is announced too late changes nothing, a plan that is moved while it runs excuses the part that
//! was over, and the order of arrival cannot be told from the result.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};

use super::availability::{Stretch, Union};
use super::sharing::{Map, Shared};
use crate::model::event_id::EventId;
use crate::model::time::Instant;

/// Whom maintenance is for, by place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub(super) enum Scope {
    Service(u32),
    Group(u32),
}

/// All maintenance known.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Maintenance {
    by_scope: Map<Scope, Shared<Plans>>,
}

#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Plans {
    by_key: BTreeMap<Box<str>, Vec<Notice>>,
    /// When something is excused.
    excused: Union,
}

/// What was said of a maintenance, in order of time; of one instant a cancellation is the last word.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
struct Notice {
    at: Instant,
    plan: Plan,
    id: EventId,
    retracted: bool,
}

/// What is to take place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub(super) enum Plan {
    During { from: Instant, until: Instant },
    Nothing,
}

impl Maintenance {
    /// Whether none was ever announced.
    pub(super) fn is_empty(&self) -> bool {
        self.by_scope.is_empty()
    }

    /// What a notice makes of the plans of its scope, and from when on they excuse other things than before, if they
    /// do. `None` when it says nothing new.
    pub(super) fn with_notice(
        &self,
        scope: Scope,
        key: &str,
        (at, plan): (Instant, Plan),
        (id, retracted): (EventId, bool),
    ) -> Option<(Shared<Plans>, Option<Instant>)> {
        let mut plans = self.by_scope.get(&scope).cloned().unwrap_or_default();
        let notices = plans.by_key.entry(key.into()).or_default();
        let notice = Notice { at, plan, id, retracted };
        let place = notices.binary_search(&notice).err()?;
        notices.insert(place, notice);
        Some(self.judged(scope, plans))
    }

    /// The same for taking back what `id` said, or taking that back.
    pub(super) fn with_retraction(
        &self,
        scope: Scope,
        id: EventId,
        retracted: bool,
    ) -> (Shared<Plans>, Option<Instant>) {
        let mut plans = self.by_scope.get(&scope).cloned().unwrap_or_default();
        for notice in plans.by_key.values_mut().flatten().filter(|notice| notice.id == id) {
            notice.retracted = retracted;
        }
        self.judged(scope, plans)
    }

    fn judged(&self, scope: Scope, mut plans: Shared<Plans>) -> (Shared<Plans>, Option<Instant>) {
        plans.sum_up();
        let (before, after) = (self.of(scope), plans.excused.stretches());
        let same = before.iter().zip(after).take_while(|(before, after)| before == after).count();
        let first = match (before.get(same), after.get(same)) {
            // Up to the sooner of the two ends they are the same.
            (Some(one), Some(other)) if one.start == other.start => Some(one.end_or_max().min(other.end_or_max())),
            (one, other) => one.into_iter().chain(other).map(|stretch| stretch.start).min(),
        };
        (plans, first)
    }

    /// Makes those the plans of the scope.
    pub(super) fn put(&mut self, scope: Scope, plans: Shared<Plans>) {
        self.by_scope.insert(scope, plans);
    }

    /// Whom what `id` said is for.
    pub(super) fn scope_of(&self, id: EventId) -> Option<Scope> {
        let said = |plans: &Plans| plans.by_key.values().flatten().any(|notice| notice.id == id);
        self.by_scope.iter().find(|(_, plans)| said(plans)).map(|(&scope, _)| scope)
    }

    /// When maintenance of exactly this scope excuses what is down.
    pub(super) fn of(&self, scope: Scope) -> &[Stretch] {
        self.by_scope.get(&scope).map_or(&[], |plans| plans.excused.stretches())
    }
}

impl Plans {
    fn sum_up(&mut self) {
        let mut excused = Vec::new();
        for notices in self.by_key.values() {
            let timely = |notice: &&Notice| match notice.plan {
                _ if notice.retracted => false,
                Plan::During { from, .. } => notice.at <= from,
                Plan::Nothing => true,
            };
            let mut notices = notices.iter().filter(timely).peekable();
            while let Some(notice) = notices.next() {
                let Plan::During { from, until } = notice.plan else { continue };
                let until = notices.peek().map_or(until, |next| next.at.min(until));
                if from < until {
                    excused.push(Stretch { start: from, end: Some(until) });
                }
            }
        }
        self.excused = Union::of(excused);
    }
}

/// When something was said of a maintenance, and the time it was given; none when it was called off.
pub(super) type Said = (Instant, Option<(Instant, Instant)>);

impl Maintenance {
    /// All that was said and not taken back, by whom it is for and the maintenance's key, in order of time.
    pub(super) fn notices(&self) -> impl Iterator<Item = (Scope, &str, Vec<Said>)> {
        let said = |notice: &Notice| match notice.plan {
            Plan::During { from, until } => (notice.at, Some((from, until))),
            Plan::Nothing => (notice.at, None),
        };
        self.by_scope.iter().flat_map(move |(&scope, plans)| {
            plans.by_key.iter().map(move |(key, notices)| {
                let known = notices.iter().filter(|notice| !notice.retracted).map(said);
                (scope, &**key, known.collect())
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Instant {
        Instant::from_micros(minutes * 60_000_000)
    }

    fn said_to(maintenance: &mut Maintenance, time: i64, plan: Plan) {
        let scope = Scope::Group(0);
        let (plans, _) = maintenance.with_notice(scope, "k", (at(time), plan), (EventId::NONE, false)).unwrap();
        maintenance.put(scope, plans);
    }

    fn excused(notices: &[(i64, Option<(i64, i64)>)]) -> Vec<(i64, i64)> {
        let mut forwards = Maintenance::default();
        let mut backwards = Maintenance::default();
        let plan = |plan: Option<(i64, i64)>| {
            plan.map_or(Plan::Nothing, |(from, until)| Plan::During { from: at(from), until: at(until) })
        };
        for &(time, said) in notices {
            said_to(&mut forwards, time, plan(said));
        }
        for &(time, said) in notices.iter().rev() {
            said_to(&mut backwards, time, plan(said));
        }
        assert_eq!(forwards, backwards);
        let minutes = |at: Instant| at.as_micros() / 60_000_000;
        forwards.of(Scope::Group(0)).iter().map(|s| (minutes(s.start), minutes(s.end.unwrap()))).collect()
    }

    #[test]
    fn the_plan_in_force_is_the_last_one_announced_in_time() {
        assert_eq!(excused(&[(0, Some((10, 20)))]), [(10, 20)]);
        assert_eq!(excused(&[(10, Some((10, 20)))]), [(10, 20)], "announced as it begins");
        assert_eq!(excused(&[(11, Some((10, 20)))]), [], "too late");
        assert_eq!(excused(&[(0, Some((10, 20))), (5, None)]), [], "cancelled before");
        assert_eq!(excused(&[(0, Some((10, 20))), (15, None)]), [(10, 15)], "cancelled while it runs");
        assert_eq!(excused(&[(0, Some((10, 20))), (25, None)]), [(10, 20)], "cancelled when it is over");
        assert_eq!(excused(&[(0, Some((10, 20))), (5, Some((30, 40)))]), [(30, 40)], "moved");
        assert_eq!(excused(&[(0, Some((10, 20))), (15, Some((10, 30)))]), [(10, 20)], "made longer too late");
        assert_eq!(excused(&[(0, Some((10, 20))), (5, None), (6, Some((12, 18)))]), [(12, 18)], "planned again");
        assert_eq!(excused(&[(0, Some((10, 20))), (15, Some((16, 30)))]), [(10, 15), (16, 30)]);
    }
}
