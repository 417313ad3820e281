//! Alerts: what the people on call are told. Labels are few and stable; what changes is a fact beside them.

use borsh::{BorshDeserialize, BorshSerialize};

use super::event::Cause;
use super::incident::IncidentId;
use super::level::Level;
use super::procedure::ClockName;
use super::service::ServiceName;
use super::time::{Instant, Span, Window};

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub enum AlertName {
    /// An incident of some level is open.
    ServiceInterruption,
    /// Nobody acknowledged within the limit (R1).
    ResponseOverdue,
    /// The service was not restored within the limit (R2).
    RepairOverdue,
    /// Something else that was owed by then was not done or told: a clock of the procedure (R19, R58).
    ClockOverdue,
    /// Much of a clock's limit has passed.
    ClockAtRisk,
    /// The error budget is spent many times as fast as the target allows (SRE workbook, chapter 5).
    ErrorBudgetBurn,
    /// What is open will spend the error budget before long.
    ErrorBudgetAtRisk,
    /// The error budget is spent.
    ErrorBudgetExhausted,
    /// Too few samples of latency are within the limit.
    LatencyTargetMissed,
    /// A measurement is beyond its limit.
    MeasurementOutOfRange,
}

impl AlertName {
    /// The `alertname` label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ServiceInterruption => "ServiceInterruption",
            Self::ResponseOverdue => "ResponseOverdue",
            Self::RepairOverdue => "RepairOverdue",
            Self::ClockOverdue => "ClockOverdue",
            Self::ClockAtRisk => "ClockAtRisk",
            Self::ErrorBudgetBurn => "ErrorBudgetBurn",
            Self::ErrorBudgetAtRisk => "ErrorBudgetAtRisk",
            Self::ErrorBudgetExhausted => "ErrorBudgetExhausted",
            Self::LatencyTargetMissed => "LatencyTargetMissed",
            Self::MeasurementOutOfRange => "MeasurementOutOfRange",
        }
    }
}

/// What makes two alerts the same one: all that its labels are made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct AlertKey {
    /// What it says.
    pub name: AlertName,
    /// Of what.
    pub about: About,
}

/// What an alert is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub enum About {
    /// An incident.
    Incident {
        /// The incident.
        id: IncidentId,
        /// Its level.
        level: Level,
        /// The service out, or the suspected cause.
        scope: ServiceName,
        /// The region concerned; empty when unknown.
        region: String,
        /// The drill that it belongs to: such an alert is never the same as one of the network.
        drill: Option<Box<str>>,
    },
    /// A clock of an incident.
    Clock {
        /// The incident.
        id: IncidentId,
        /// Its level.
        level: Level,
        /// The service out, or the suspected cause.
        scope: ServiceName,
        /// The clock.
        clock: ClockName,
        /// After which share of the limit it warns, in percent; none once the limit passed.
        used: Option<u8>,
        /// It can wait for the morning.
        can_wait: bool,
        /// The drill that it belongs to.
        drill: Option<Box<str>>,
    },
    /// The error budget of a rolling window.
    Budget {
        /// Whose.
        of: Owner,
        /// The window.
        window: Window,
    },
    /// How fast an error budget is spent.
    Burn {
        /// Whose.
        of: Owner,
        /// Over which windows, and how fast.
        pair: BurnPair,
    },
    /// A measurement of a service, `latency` among them.
    Measurement {
        /// The service.
        service: ServiceName,
        /// The measurement's name.
        metric: String,
    },
}

/// Whose figure an alert is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub enum Owner {
    /// A service.
    Service(ServiceName),
    /// A group, as groups are named in figures.
    Group(String),
}

impl Owner {
    fn label(&self) -> (&'static str, String) {
        match self {
            Self::Service(name) => ("service", name.to_string()),
            Self::Group(name) => ("group", name.clone()),
        }
    }

    /// The name of the service or group.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Service(name) => name.as_str(),
            Self::Group(name) => name,
        }
    }
}

/// A pair of windows over both of which the budget must be spent that many times too fast: the long one so that it
/// matters, the short one so that it is still so (SRE workbook, chapter 5, table 5-8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub enum BurnPair {
    /// 14.4 times over 1 h and 5 min: 2 % of a month's budget in an hour.
    Fast,
    /// 6 times over 6 h and 30 min: 5 % of a month's budget in six hours.
    Slow,
    /// As fast as it may over 3 d and 6 h: 10 % of a month's budget in three days.
    Steady,
}

impl BurnPair {
    /// Every pair, fastest first.
    pub const ALL: [Self; 3] = [Self::Fast, Self::Slow, Self::Steady];

    /// The `speed` label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fast => "14.4x1h",
            Self::Slow => "6x6h",
            Self::Steady => "1x3d",
        }
    }

    /// The `severity` label.
    #[must_use]
    pub const fn severity(self) -> &'static str {
        match self {
            Self::Fast | Self::Slow => "page",
            Self::Steady => "ticket",
        }
    }

    /// The burn rate that is too fast, in tenths.
    #[must_use]
    pub const fn tenths(self) -> i128 {
        match self {
            Self::Fast => 144,
            Self::Slow => 60,
            Self::Steady => 10,
        }
    }

    /// The long and the short window.
    #[must_use]
    pub const fn windows(self) -> [Span; 2] {
        match self {
            Self::Fast => [Span::from_hours(1), Span::from_mins(5)],
            Self::Slow => [Span::from_hours(6), Span::from_mins(30)],
            Self::Steady => [Span::from_hours(72), Span::from_hours(6)],
        }
    }
}

impl AlertKey {
    /// The labels, as `alertname` and the contract's others.
    #[must_use]
    pub fn labels(&self) -> Vec<(&'static str, String)> {
        let mut labels = vec![("alertname", self.name.name().to_owned()), ("source", "fournines".to_owned())];
        match &self.about {
            About::Incident { id, level, scope, region, drill } => {
                labels.push(("level", level.name().to_owned()));
                labels.push(("severity", level.severity().to_owned()));
                labels.push(("incident", id.to_string()));
                labels.push(("scope", scope.to_string()));
                if self.name == AlertName::ServiceInterruption {
                    labels.push(("region", region.clone()));
                }
                labels.extend(drill.as_ref().map(|drill| ("drill", drill.to_string())));
            }
            About::Clock { id, level, scope, clock, used, can_wait, drill } => {
                let severity = if used.is_some() || *can_wait { "ticket" } else { level.severity() };
                labels.push(("level", level.name().to_owned()));
                labels.push(("severity", severity.to_owned()));
                labels.push(("incident", id.to_string()));
                labels.push(("scope", scope.to_string()));
                labels.push(("clock", clock.to_string()));
                labels.extend(used.map(|percent| ("used", format!("{percent}%"))));
                labels.extend(drill.as_ref().map(|drill| ("drill", drill.to_string())));
            }
            About::Budget { of, window } => {
                labels.push(of.label());
                labels.push(("window", window.name().to_owned()));
                if self.name == AlertName::ErrorBudgetAtRisk {
                    labels.push(("severity", "ticket".to_owned()));
                }
            }
            About::Burn { of, pair } => {
                labels.push(of.label());
                labels.push(("severity", pair.severity().to_owned()));
                labels.push(("speed", pair.name().to_owned()));
            }
            About::Measurement { service, metric } => {
                labels.push(("service", service.to_string()));
                labels.push(("severity", "ticket".to_owned()));
                labels.push(("metric", metric.clone()));
            }
        }
        labels
    }

    /// The incident that it is about, if it is about one.
    #[must_use]
    pub const fn incident(&self) -> Option<IncidentId> {
        match &self.about {
            About::Incident { id, .. } | About::Clock { id, .. } => Some(*id),
            _ => None,
        }
    }

    /// The drill that it belongs to, if it belongs to one.
    #[must_use]
    pub fn drill(&self) -> Option<&str> {
        match &self.about {
            About::Incident { drill, .. } | About::Clock { drill, .. } => drill.as_deref(),
            _ => None,
        }
    }

    /// Whom it concerns: the service, the suspected cause, or the group.
    #[must_use]
    pub fn scope(&self) -> &str {
        match &self.about {
            About::Incident { scope, .. } | About::Clock { scope, .. } => scope.as_str(),
            About::Budget { of, .. } | About::Burn { of, .. } => of.name(),
            About::Measurement { service, .. } => service.as_str(),
        }
    }

    /// The incident's level, if it is about one.
    #[must_use]
    pub const fn level(&self) -> Option<Level> {
        match &self.about {
            About::Incident { level, .. } | About::Clock { level, .. } => Some(*level),
            _ => None,
        }
    }
}

/// An alert that fires, with what its text is made of.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Alert {
    /// What it is.
    pub key: AlertKey,
    /// The exact instant since which it holds.
    pub starts: Instant,
    /// What its text is made of.
    pub facts: AlertFacts,
}

/// What an alert's text is made of.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct AlertFacts {
    /// When it began: the incident, or that the condition holds.
    pub started: Instant,
    /// The rule that gave the level, the limit that passed, or the figure that is beyond its limit.
    pub because: String,
    /// When the budget will be spent if nothing changes, where that is what it is about.
    pub spent_at: Option<Instant>,
    /// What is known of the incident, where it is about one.
    pub incident: Option<IncidentFacts>,
}

/// What an alert's text says of an incident.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct IncidentFacts {
    /// Users affected, where that is known.
    pub users: Option<u64>,
    /// Whether that figure is the catalogue's.
    pub users_estimated: bool,
    /// The level it will rise to, and when, if nothing changes.
    pub next_level: Option<(Level, Instant)>,
    /// Since when nothing has been out, while that is being watched.
    pub quiet_since: Option<Instant>,
    /// When the daemon learned of it.
    pub detected: Instant,
    /// When it was last acknowledged, once it was.
    pub acknowledged: Option<Instant>,
    /// Who acknowledged last.
    pub acknowledged_by: Option<Box<str>>,
    /// How many services were out in it.
    pub services: u64,
    /// The region that it concerns; empty when unknown.
    pub region: Box<str>,
    /// The groups of whom it concerns, as the catalogue names them.
    pub groups: Vec<Box<str>>,
    /// What it came from, as far as that is known.
    pub cause: Cause,
    /// The clocks that run, each with when its limit passes.
    pub clocks: Vec<(ClockName, Instant)>,
    /// The maintenance that goes on where it began, or the next that is planned there: from when until when.
    pub maintenance: Option<(Instant, Instant)>,
    /// What the first event said.
    pub detail: Option<Box<str>>,
}
