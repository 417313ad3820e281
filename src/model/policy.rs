//! Policy: all that people decided and that a figure or an alert depends on. A change of it enters the journal
//! like any event, so that a replay is exact.

use borsh::{BorshDeserialize, BorshSerialize};

use super::level::LevelRules;
use super::procedure::Procedure;
use super::service::{ServiceFacts, ServiceName};
use super::target::Targets;
use super::time::Span;

/// Everything decided by people that the engine works by.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Policy {
    /// The catalogue.
    pub services: Vec<(ServiceName, ServiceFacts)>,
    /// What gives an incident its level.
    pub levels: LevelRules,
    /// What figures are held against.
    pub targets: Targets,
    /// What makes several outages one incident.
    pub correlation: Correlation,
    /// Who does what by when.
    pub procedure: Procedure,
    /// The zone of calendar days, months, quarters and years.
    pub time_zone: String,
    /// The sources that are expected to speak.
    pub feeds: Vec<Feed>,
}

/// What makes several outages one incident, beside the topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Correlation {
    /// Down again within this time is the same incident; quiet for this long verifies a restoration.
    pub reopen: Span,
    /// What a service depends on joins what went down below it when it goes down itself within this time, and so do
    /// the children of one parent that go down within it.
    pub window: Span,
    /// So many children of one parent that go down within the window are one incident.
    pub siblings: u64,
}

impl Default for Correlation {
    /// What the configuration has when it says nothing.
    fn default() -> Self {
        Self { reopen: Span::from_mins(10), window: Span::from_mins(5), siblings: 5 }
    }
}

/// A source that is expected to speak, and whose silence says nothing good.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Feed {
    /// The source's name, as its events carry it.
    pub source: String,
    /// It is silent when nothing of it happened for longer than this.
    pub heartbeat: Span,
    /// The group of the services that it speaks for, as groups are named in figures.
    pub group: String,
}
