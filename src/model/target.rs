//! Targets: the numbers of the service manual that figures are held against.

use borsh::{BorshDeserialize, BorshSerialize};

use super::level::Ratio;
use super::service::ServiceFacts;
use super::time::Span;

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

/// Other numbers for some services.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Override {
    /// For whom.
    pub scope: Scope,
    /// Which target has which number there.
    pub values: Vec<(String, Value)>,
}

/// All targets in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Targets {
    /// The profile's, with what the configuration says otherwise.
    pub base: Vec<Target>,
    /// What differs for some; of several that speak of a service the last one holds.
    pub overrides: Vec<Override>,
}

impl Targets {
    /// The number of target `name` for a service.
    #[must_use]
    pub fn of(&self, name: &str, service: &str, facts: &ServiceFacts) -> Option<Value> {
        let concerns = |scope: &Scope| match scope {
            Scope::Service(id) => id == service,
            Scope::Group(group) => facts.groups.contains(group),
            Scope::Tier(tier) => facts.tier == *tier,
        };
        self.overrides
            .iter()
            .rev()
            .filter(|other| concerns(&other.scope))
            .find_map(|other| other.values.iter().find(|(n, _)| n == name).map(|&(_, value)| value))
            .or_else(|| self.base.iter().find(|target| target.name == name).map(|target| target.value))
    }
}
