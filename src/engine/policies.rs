//! What people decided: the rules in force, and every version of the targets with the date from which it is promised,
//! so that history can be asked for under either (R98).

use borsh::{BorshDeserialize, BorshSerialize};

use crate::model::calendar::Calendar;
use crate::model::level::{LevelRules, Ratio};
use crate::model::policy::Policy;
use crate::model::target::{AVAILABILITY, REPAIR, RESPONSE, Subject, Targets, Value};
use crate::model::time::{Instant, Span};

/// All that was decided.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Policies {
    pub(super) levels: LevelRules,
    pub(super) reopen: Span,
    pub(super) time_zone: String,
    /// The targets by the instant from which they are promised.
    versions: Vec<(Instant, Targets)>,
    /// What is promised before anything was said: nothing.
    none: Targets,
}

/// The numbers of the targets that the engine works by, for one service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) availability: Option<Ratio>,
    pub(super) response: Option<Span>,
    pub(super) repair: Option<Span>,
}

impl Policies {
    /// Takes in what was decided at `now`. A version replaces those that would have come into force after it.
    pub(super) fn adopt(&mut self, policy: &Policy, now: Instant) {
        self.levels.clone_from(&policy.levels);
        self.reopen = policy.reopen;
        self.time_zone.clone_from(&policy.time_zone);
        let from = policy.targets.effective_from.unwrap_or(now);
        self.versions.retain(|&(known, _)| known < from);
        self.versions.push((from, policy.targets.clone()));
    }

    /// The targets promised at `at`; before the first ones, those.
    pub(super) fn targets(&self, at: Instant) -> &Targets {
        let after = self.versions.partition_point(|&(from, _)| from <= at);
        self.versions.get(after.saturating_sub(1)).map_or(&self.none, |(_, targets)| targets)
    }

    /// Every version of the targets, with the instant from which it is promised.
    pub(super) fn versions(&self) -> &[(Instant, Targets)] {
        &self.versions
    }

    /// When other targets come into force next.
    pub(super) fn next_after(&self, at: Instant) -> Option<Instant> {
        self.versions.iter().map(|&(from, _)| from).find(|&from| from > at)
    }

    /// The calendar of the network's zone.
    pub(super) fn calendar(&self) -> Calendar {
        // The configuration was refused unless there is such a zone.
        Calendar::new(&self.time_zone).unwrap_or_default()
    }
}

impl Terms {
    /// A service's terms.
    pub(super) fn of(targets: &Targets, subject: &Subject<'_>) -> Self {
        let ratio = |value: Option<Value>| match value {
            Some(Value::Ratio(ratio)) => Some(ratio),
            _ => None,
        };
        let limit = |value: Option<Value>| match value {
            Some(Value::Limit(limit)) => Some(limit),
            _ => None,
        };
        Self {
            availability: ratio(targets.of(AVAILABILITY, subject)),
            response: limit(targets.of(RESPONSE, subject)),
            repair: limit(targets.of(REPAIR, subject)),
        }
    }
}
