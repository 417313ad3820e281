//! The procedure: the stages of the response, who answers for each, by when, and what makes it done (manual §4.3,
//! R19, R70, R137), and the notices that are owed to others while it goes on (R57, R58).

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};

use super::incident::Stage;
use super::level::{Condition, Level};
use super::time::Span;

/// The procedure in force.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Procedure {
    /// Who answers for which stage.
    pub steps: Vec<Step>,
    /// What may take how long.
    pub clocks: Vec<ClockRule>,
}

/// A stage of the procedure, with who answers for it.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Step {
    /// The stage.
    pub stage: Stage,
    /// Who answers for it.
    pub owner: String,
    /// What makes it done.
    pub done_when: String,
}

/// A clock's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub enum ClockName {
    /// Detected to acknowledged (R1).
    Response,
    /// Started to restored (R2).
    Repair,
    /// Any other.
    Named(Box<str>),
}

/// A limit on how long something may take, and when it ticks.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ClockRule {
    /// Its name.
    pub name: ClockName,
    /// What starts it.
    pub from: Milestone,
    /// What stops it.
    pub until: Until,
    /// How long it may run, by level: third, second, first. `response` and `repair` without any run for as long as the
    /// targets say.
    pub limits: [Option<Span>; 3],
    /// It runs once all conditions of one of these hold, and not before they did; empty for always.
    pub when: Vec<Vec<Condition>>,
    /// For a notice that is owed again and again until the restoration.
    pub again: Option<Again>,
    /// The shares of the limit, in percent, after which a warning is given.
    pub warn_at: Vec<u8>,
    /// Where it comes from.
    pub cite: String,
    /// How sure that is.
    pub standing: Standing,
}

/// How often a notice is owed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Again {
    /// For so long the limit is that of the clock.
    pub during: Span,
    /// Later it is this.
    pub then: Span,
}

/// What starts a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Milestone {
    /// The first outage began.
    Started,
    /// A stage was reached.
    Reached(Stage),
}

/// What stops a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum Until {
    /// A stage is reached.
    Reached(Stage),
    /// A notice of the clock's name is sent.
    Notice,
}

/// How sure it is that a rule says what it is said to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Standing {
    /// It was decided here: by the service manual, or in the configuration.
    Own,
    /// The text of the rule was read.
    Read,
    /// From memory: to be checked before anybody relies on it.
    Recall,
}

impl Default for Procedure {
    /// The manual's two limits, and nobody named.
    fn default() -> Self {
        Self { steps: Vec::new(), clocks: vec![ClockRule::response(), ClockRule::repair()] }
    }
}

impl Procedure {
    /// Who answers for a stage.
    #[must_use]
    pub fn step(&self, stage: Stage) -> Option<&Step> {
        self.steps.iter().find(|step| step.stage == stage)
    }
}

impl ClockRule {
    /// The shares of a limit after which a warning is given, if nothing else is said: half of it, and four fifths.
    pub const WARN_AT: [u8; 2] = [50, 80];

    /// A clock that runs for every incident until a stage is reached.
    #[must_use]
    pub fn until_stage(name: ClockName, from: Milestone, stage: Stage) -> Self {
        Self {
            name,
            from,
            until: Until::Reached(stage),
            limits: [None; 3],
            when: Vec::new(),
            again: None,
            warn_at: Self::WARN_AT.to_vec(),
            cite: String::new(),
            standing: Standing::Own,
        }
    }

    /// From detection to the first acknowledgement (R1).
    #[must_use]
    pub fn response() -> Self {
        Self::until_stage(ClockName::Response, Milestone::Reached(Stage::Detected), Stage::Acknowledged)
    }

    /// From the start to the restoration (R2).
    #[must_use]
    pub fn repair() -> Self {
        Self::until_stage(ClockName::Repair, Milestone::Started, Stage::Restored)
    }

    /// How long it may run at a level.
    #[must_use]
    pub const fn limit(&self, level: Level) -> Option<Span> {
        self.limits[3 - level.number() as usize]
    }
}

impl ClockName {
    /// The name in labels and JSON.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Response => "response",
            Self::Repair => "repair",
            Self::Named(name) => name,
        }
    }

    /// Whether a hold stops it. Nothing excuses not to answer, or not to tell.
    #[must_use]
    pub const fn can_be_held(&self) -> bool {
        matches!(self, Self::Repair)
    }
}

impl fmt::Display for ClockName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Milestone {
    /// Its name in configuration: `started`, or the stage's.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Reached(stage) => stage.name(),
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let stages = Stage::ALL.into_iter().map(Self::Reached);
        std::iter::once(Self::Started).chain(stages).find(|milestone| milestone.name() == name)
    }
}

impl Until {
    /// Whether it can wait for the morning: what is owed after the restoration wakes nobody.
    #[must_use]
    pub const fn can_wait(self) -> bool {
        matches!(self, Self::Reached(Stage::Repaired | Stage::Verified | Stage::Reviewed))
    }

    /// Whether a restoration leaves nothing to wait for: nobody is sent to what is up again.
    #[must_use]
    pub const fn ends_with_the_outage(self) -> bool {
        match self {
            Self::Reached(stage) => !self.can_wait() && !matches!(stage, Stage::Detected),
            Self::Notice => false,
        }
    }
}

impl Standing {
    /// Its name, as the sources are marked.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "OWN",
            Self::Read => "READ",
            Self::Recall => "RECALL",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Own, Self::Read, Self::Recall].into_iter().find(|standing| standing.name() == name)
    }
}
