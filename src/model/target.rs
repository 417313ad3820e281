//! Targets: the numbers of the service manual that figures are held against.

use borsh::{BorshDeserialize, BorshSerialize};

use super::level::Ratio;
use super::time::{Instant, Span, Window};

/// The name of the availability target of one service (R5).
pub const AVAILABILITY: &str = "availability";
/// The name of the limit from detection to acknowledgement (R1).
pub const RESPONSE: &str = "response";
/// The name of the limit from the start to verified restoration (R2).
pub const REPAIR: &str = "repair";

/// One number of the manual.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Target {
    /// Its name, such as `repair` or `request.acceptance`.
    pub name: String,
    /// The number.
    pub value: Value,
    /// The manual's section.
    pub clause: String,
    /// The requirement that it answers, such as `R2`.
    pub requirement: String,
    /// The manual's words.
    pub phrase: String,
}

/// A target's number, with its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Value {
    /// At least this ratio.
    Ratio(Ratio),
    /// At most this long.
    Limit(Span),
    /// This many.
    Count(u64),
}

impl Value {
    /// The ratio, if it is one.
    #[must_use]
    pub const fn ratio(self) -> Option<Ratio> {
        match self {
            Self::Ratio(ratio) => Some(ratio),
            Self::Limit(_) | Self::Count(_) => None,
        }
    }

    /// The limit, if it is one.
    #[must_use]
    pub const fn limit(self) -> Option<Span> {
        match self {
            Self::Limit(limit) => Some(limit),
            Self::Ratio(_) | Self::Count(_) => None,
        }
    }

    /// The value in base units: a ratio, seconds, or a count.
    #[must_use]
    pub fn base(self) -> f64 {
        match self {
            Self::Ratio(ratio) => ratio.as_f64(),
            Self::Limit(limit) => limit.as_secs_f64(),
            Self::Count(count) => count as f64,
        }
    }
}

/// Which services an override is for.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Scope {
    /// One service.
    Service(String),
    /// The services of a group.
    Group(String),
    /// The services of a tier.
    Tier(String),
}

/// How a promise counts maintenance that was announced in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Maintenance {
    /// It counts neither as up nor as down.
    #[default]
    Exclude,
    /// It counts as up.
    CountAsUp,
    /// It is no excuse: what is down in it is down.
    Ignore,
}

impl Maintenance {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Exclude, Self::CountAsUp, Self::Ignore];

    /// The mode's name in settings and beside figures.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exclude => "exclude",
            Self::CountAsUp => "count_as_up",
            Self::Ignore => "ignore",
        }
    }
}

/// A promise about latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct LatencyTarget {
    /// A sample is good when it took no longer.
    pub limit: Span,
    /// The share of good samples that is promised.
    pub ratio: Ratio,
}

/// Within which limit a configured measurement is in order.
#[derive(Clone, Debug, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct MeasurementLimit {
    /// The measurement's name, such as `packet_loss_ratio`.
    pub metric: String,
    /// Out of range above the limit, or else below it.
    pub above: bool,
    /// The limit.
    pub limit: f64,
    /// Back in range only at this value or better, so that a value around the limit does not page again and again.
    pub clear: f64,
}

impl Eq for MeasurementLimit {}

/// Other numbers for some services.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Override {
    /// For whom.
    pub scope: Scope,
    /// Which target has which number there.
    pub values: Vec<(String, Value)>,
    /// How maintenance counts there.
    pub maintenance: Option<Maintenance>,
    /// What is promised about latency there.
    pub latency: Option<LatencyTarget>,
}

/// All targets in force.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Targets {
    /// The profile's, with what the configuration says otherwise.
    pub base: Vec<Target>,
    /// What differs for some; of several that speak of a service the last one holds.
    pub overrides: Vec<Override>,
    /// How the promise counts maintenance.
    pub maintenance: Maintenance,
    /// How much of a service a degradation takes whose event does not say.
    pub degraded_weight: Ratio,
    /// The rolling window whose error budget is watched.
    pub budget_window: Window,
    /// A budget is at risk when what is open will spend it within this time.
    pub risk_horizon: Span,
    /// Whether each service's own budget raises alerts, beside those of the groups that have a promise.
    pub watch_services: bool,
    /// What is promised about latency, if anything is.
    pub latency: Option<LatencyTarget>,
    /// Limits of measurements.
    pub measurements: Vec<MeasurementLimit>,
    /// Since when these targets are promised; since they were taken in when it is not said (R98).
    pub effective_from: Option<Instant>,
}

impl Default for Targets {
    fn default() -> Self {
        Self {
            base: Vec::new(),
            overrides: Vec::new(),
            maintenance: Maintenance::Exclude,
            degraded_weight: Ratio::default(),
            budget_window: Window::Month,
            risk_horizon: Span::from_hours(1),
            watch_services: true,
            latency: None,
            measurements: Vec::new(),
            effective_from: None,
        }
    }
}

/// Whom targets are asked for.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The service.
    pub service: &'a str,
    /// Its tier.
    pub tier: &'a str,
    /// Whether it is in a group of that name.
    pub in_group: &'a dyn Fn(&str) -> bool,
}

impl std::fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subject").field("service", &self.service).field("tier", &self.tier).finish_non_exhaustive()
    }
}

impl Targets {
    /// The number of target `name` for a service.
    #[must_use]
    pub fn of(&self, name: &str, subject: &Subject<'_>) -> Option<Value> {
        self.for_subject(subject)
            .find_map(|other| other.values.iter().find(|(n, _)| n == name).map(|&(_, value)| value))
            .or_else(|| self.general(name))
    }

    /// The number of target `name` where nothing else is said.
    fn general(&self, name: &str) -> Option<Value> {
        self.base.iter().find(|target| target.name == name).map(|target| target.value)
    }

    /// What differs for a group, as groups are named in figures: what the targets say of it by name.
    fn for_group<'t>(&'t self, group: &'t str) -> impl Iterator<Item = &'t Override> {
        self.overrides.iter().rev().filter(move |other| match &other.scope {
            Scope::Service(_) => false,
            Scope::Group(name) => name == group,
            Scope::Tier(tier) => group.strip_prefix("tier:") == Some(tier),
        })
    }

    /// Whether something is promised to a group as such: to all, and to those that the targets name.
    #[must_use]
    pub fn names_group(&self, group: &str) -> bool {
        group == "all" || self.for_group(group).next().is_some()
    }

    /// The number of target `name` for a group.
    #[must_use]
    pub fn of_group(&self, name: &str, group: &str) -> Option<Value> {
        self.for_group(group)
            .find_map(|other| other.values.iter().find(|(n, _)| n == name).map(|&(_, value)| value))
            .or_else(|| self.general(name))
    }

    /// How maintenance counts for a group.
    #[must_use]
    pub fn maintenance_of_group(&self, group: &str) -> Maintenance {
        self.for_group(group).find_map(|other| other.maintenance).unwrap_or(self.maintenance)
    }

    /// How maintenance counts for a service.
    #[must_use]
    pub fn maintenance_of(&self, subject: &Subject<'_>) -> Maintenance {
        self.for_subject(subject).find_map(|other| other.maintenance).unwrap_or(self.maintenance)
    }

    /// What is promised about a service's latency.
    #[must_use]
    pub fn latency_of(&self, subject: &Subject<'_>) -> Option<LatencyTarget> {
        self.for_subject(subject).find_map(|other| other.latency).or(self.latency)
    }

    /// Whether any override is for a service.
    #[must_use]
    pub fn concerns(&self, subject: &Subject<'_>) -> bool {
        self.for_subject(subject).next().is_some()
    }

    /// What differs for a service, what holds before others first.
    fn for_subject<'t>(&'t self, subject: &'t Subject<'_>) -> impl Iterator<Item = &'t Override> {
        self.overrides.iter().rev().filter(|other| match &other.scope {
            Scope::Service(id) => id == subject.service,
            Scope::Group(group) => (subject.in_group)(group),
            Scope::Tier(tier) => subject.tier == tier,
        })
    }
}
