//! What people decided: the rules in force, and every version of the targets with the date from which it is promised,
//! so that history can be asked for under either (R98).

use borsh::{BorshDeserialize, BorshSerialize};

use crate::model::calendar::Calendar;
use crate::model::level::{LevelRules, Ratio};
use crate::model::policy::{Correlation, Policy};
use crate::model::procedure::Procedure;
use crate::model::target::{AVAILABILITY, LatencyTarget, Maintenance, REPAIR, RESPONSE, Subject, Targets, Value};
use crate::model::time::{Instant, Span};

/// All that was decided.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
pub(super) struct Policies {
    pub(super) levels: LevelRules,
    pub(super) correlation: Correlation,
    pub(super) procedure: Procedure,
    pub(super) time_zone: String,
    /// The targets by the instant from which they are promised.
    versions: Vec<Version>,
    /// What is promised before anything was said: nothing.
    none: Version,
}

/// One version of the targets.
#[derive(Clone, Debug, Default, PartialEq, BorshSerialize, BorshDeserialize)]
struct Version {
    from: Instant,
    targets: Targets,
    /// The terms of whom no override concerns: of most, so they are looked up once.
    general: Terms,
}

/// What of the targets the engine works by, for one service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(super) struct Terms {
    pub(super) availability: Option<Ratio>,
    pub(super) response: Option<Span>,
    pub(super) repair: Option<Span>,
    pub(super) maintenance: Maintenance,
    pub(super) latency: Option<LatencyTarget>,
}

impl Policies {
    /// Takes in what was decided at `now`. A version replaces those that would have come into force after it.
    pub(super) fn adopt(&mut self, policy: &Policy, now: Instant) {
        self.levels.clone_from(&policy.levels);
        self.correlation = policy.correlation;
        self.procedure.clone_from(&policy.procedure);
        self.time_zone.clone_from(&policy.time_zone);
        let from = policy.targets.effective_from.unwrap_or(now);
        let nobody = Subject { service: "", tier: "", in_group: &|_| false };
        let general = Terms::read(&Targets { overrides: Vec::new(), ..policy.targets.clone() }, &nobody);
        self.versions.retain(|version| version.from < from);
        self.versions.push(Version { from, targets: policy.targets.clone(), general });
    }

    /// What a drill is judged by: the same levels, limits and correlation, and no promise whose breach pages by itself.
    pub(super) fn of_drill(&self) -> Self {
        let mut policies = self.clone();
        // What would still be owed when the drill is over is not owed to anybody.
        policies.procedure.clocks.retain(|rule| rule.until.ends_with_the_outage());
        for Version { targets, general, .. } in &mut policies.versions {
            let promises = |name: &str| name == AVAILABILITY;
            targets.base.retain(|target| !promises(&target.name));
            for other in &mut targets.overrides {
                other.values.retain(|(name, _)| !promises(name));
                other.latency = None;
            }
            (targets.latency, targets.watch_services) = (None, false);
            targets.measurements.clear();
            (general.availability, general.latency) = (None, None);
        }
        policies
    }

    fn version(&self, at: Instant) -> &Version {
        let after = self.versions.partition_point(|version| version.from <= at);
        self.versions.get(after.saturating_sub(1)).unwrap_or(&self.none)
    }

    /// The terms that a service has at `at`. Who it is, is asked for only where that matters.
    pub(super) fn terms<'s>(&self, at: Instant, subject: impl FnOnce() -> Subject<'s>) -> Terms {
        let version = self.version(at);
        if version.targets.overrides.is_empty() {
            return version.general;
        }
        let subject = subject();
        if version.targets.concerns(&subject) { Terms::read(&version.targets, &subject) } else { version.general }
    }

    /// The targets promised at `at`; before the first ones, those.
    pub(super) fn targets(&self, at: Instant) -> &Targets {
        &self.version(at).targets
    }

    /// The instants from which targets are or were promised, in order.
    pub(super) fn promised_from(&self) -> impl DoubleEndedIterator<Item = Instant> {
        self.versions.iter().map(|version| version.from)
    }

    /// When other targets come into force next.
    pub(super) fn next_after(&self, at: Instant) -> Option<Instant> {
        self.versions.iter().map(|version| version.from).find(|&from| from > at)
    }

    /// The calendar of the network's zone.
    pub(super) fn calendar(&self) -> Calendar {
        // The configuration was refused unless there is such a zone.
        Calendar::new(&self.time_zone).unwrap_or_default()
    }
}

impl Terms {
    /// A service's terms.
    fn read(targets: &Targets, subject: &Subject<'_>) -> Self {
        Self {
            availability: targets.of(AVAILABILITY, subject).and_then(Value::ratio),
            response: targets.of(RESPONSE, subject).and_then(Value::limit),
            repair: targets.of(REPAIR, subject).and_then(Value::limit),
            maintenance: targets.maintenance_of(subject),
            latency: targets.latency_of(subject),
        }
    }
}
