//! Policy: all that people decided and that a figure or an alert depends on. A change of it enters the journal
//! like any event, so that a replay is exact.

use borsh::{BorshDeserialize, BorshSerialize};

use super::level::LevelRules;
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
    /// Down again within this time is the same incident; quiet for this long verifies a restoration.
    pub reopen: Span,
}
