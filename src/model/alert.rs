//! Alerts: what the people on call are told. Labels are few and stable; what changes is a fact beside them.

use borsh::{BorshDeserialize, BorshSerialize};

use super::incident::IncidentId;
use super::level::Level;
use super::service::ServiceName;
use super::time::Instant;

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub enum AlertName {
    /// An incident of some level is open.
    ServiceInterruption,
    /// Nobody acknowledged within the limit (R1).
    ResponseOverdue,
    /// The service was not restored within the limit (R2).
    RepairOverdue,
}

impl AlertName {
    /// The `alertname` label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ServiceInterruption => "ServiceInterruption",
            Self::ResponseOverdue => "ResponseOverdue",
            Self::RepairOverdue => "RepairOverdue",
        }
    }
}

/// What makes two alerts the same one: all that its labels are made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct AlertKey {
    /// What it is about.
    pub name: AlertName,
    /// The incident.
    pub incident: IncidentId,
    /// The incident's level.
    pub level: Level,
    /// The service out, or the suspected cause.
    pub scope: ServiceName,
    /// The region concerned; empty when unknown.
    pub region: String,
}

impl AlertKey {
    /// The labels, as `alertname` and the contract's others.
    #[must_use]
    pub fn labels(&self) -> Vec<(&'static str, String)> {
        let mut labels = vec![
            ("alertname", self.name.name().to_owned()),
            ("source", "fournines".to_owned()),
            ("level", self.level.name().to_owned()),
            ("severity", self.level.severity().to_owned()),
            ("incident", self.incident.to_string()),
            ("scope", self.scope.to_string()),
        ];
        if self.name == AlertName::ServiceInterruption {
            labels.push(("region", self.region.clone()));
        }
        labels
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
    /// When the incident began.
    pub started: Instant,
    /// Users affected, where that is known.
    pub users: Option<u64>,
    /// Whether that figure is the catalogue's.
    pub users_estimated: bool,
    /// The level it will rise to, and when, if nothing changes.
    pub next_level: Option<(Level, Instant)>,
    /// Since when nothing has been out, while that is being watched.
    pub quiet_since: Option<Instant>,
    /// Who acknowledged, once somebody did.
    pub acknowledged_by: Option<Box<str>>,
    /// The rule that gave the level, or the limit that passed.
    pub because: String,
    /// What the first event said.
    pub detail: Option<Box<str>>,
}
