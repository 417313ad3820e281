//! Events: what the network and its operators say happened. One type for each native event of the contract.

use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};

use super::event_id::EventId;
use super::incident::{Action, Particulars};
use super::level::Ratio;
use super::service::ServiceName;
use super::time::{Instant, Span};

/// One event, read and checked. It says what happened at `time`; when it was received is the journal's to know.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What it is known by, which makes redelivery harmless.
    pub id: EventId,
    /// Who says so.
    pub source: Arc<str>,
    /// When it happened.
    pub time: Instant,
    /// The drill that it belongs to; such an event counts nowhere else.
    pub drill: Option<Box<str>>,
    /// What happened.
    pub body: Body,
}

/// What an event says. What few events say is boxed: most are samples, and all are moved about.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// An outage began.
    OutageStarted(Box<OutageStarted>),
    /// Facts of an open outage changed.
    OutageUpdated {
        /// The service that is out.
        service: ServiceName,
        /// The outage's key.
        outage: Box<str>,
        /// What changed.
        facts: Box<OutageFacts>,
    },
    /// An outage ended.
    OutageEnded {
        /// The service that was out.
        service: ServiceName,
        /// The outage's key.
        outage: Box<str>,
        /// What it came from, where that is known by then.
        cause: Option<Cause>,
    },
    /// Somebody did something about an outage (`repair.acknowledged` … `repair.reviewed`, `repair.held`,
    /// `repair.resumed`, `repair.reclassified`, `notice.sent`, `survey` of an incident).
    Acted(Box<Acted>),
    /// Latency samples.
    Latency {
        /// The service measured.
        service: ServiceName,
        /// How long it took.
        took: Span,
        /// How many samples this stands for.
        count: u64,
    },
    /// A sample of a configured metric.
    Measurement {
        /// The service measured.
        service: ServiceName,
        /// The metric's configured name.
        metric: Box<str>,
        /// The value in the metric's own unit.
        value: f64,
    },
    /// Maintenance was announced.
    MaintenancePlanned {
        /// What is maintained.
        of: Maintained,
        /// The maintenance's key.
        maintenance: Box<str>,
        /// When it begins.
        from: Instant,
        /// When it is over.
        until: Instant,
    },
    /// Announced maintenance will not take place.
    MaintenanceCancelled {
        /// What it was for.
        of: Maintained,
        /// The maintenance's key.
        maintenance: Box<str>,
    },
    /// A complaint, request or delivery moved on.
    Case {
        /// The case's key.
        case: Box<str>,
        /// What sort of case it is; said when it is opened.
        kind: Option<CaseKind>,
        /// How far it has come.
        step: CaseStep,
        /// The service it is about.
        service: Option<ServiceName>,
    },
    /// A user's answer to a satisfaction survey, 0–100.
    Survey {
        /// The score.
        score: f64,
        /// The service it is about.
        service: Option<ServiceName>,
    },
    /// The source is alive.
    Heartbeat,
    /// An earlier event of this source is taken back.
    Retraction {
        /// The id taken back.
        of: Box<str>,
    },
}

/// What maintenance is for: all that hangs on it is excused as well.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum Maintained {
    /// A service, and those that depend on it.
    Service(ServiceName),
    /// A group, as groups are named in figures.
    Group(Box<str>),
}

/// An outage began.
#[derive(Clone, Debug, PartialEq)]
pub struct OutageStarted {
    /// The service that is out.
    pub service: ServiceName,
    /// The outage's key, `""` when the event has none.
    pub outage: Box<str>,
    /// What is known of it.
    pub facts: OutageFacts,
}

/// What an event may say of an outage; absent is unsaid.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutageFacts {
    /// How bad it is.
    pub severity: Option<Severity>,
    /// How much of the service a degradation takes, 0–1.
    pub weight: Option<Ratio>,
    /// How many users it touches.
    pub users: Option<u64>,
    /// What it comes from.
    pub cause: Option<Cause>,
    /// Free text for the people on call.
    pub detail: Option<Box<str>>,
}

/// Somebody did something about an outage.
#[derive(Clone, Debug, PartialEq)]
pub struct Acted {
    /// The service concerned.
    pub service: ServiceName,
    /// What was done.
    pub action: Action,
    /// Which of the service's outages it is about.
    pub about: About,
    /// Who did it.
    pub by: Option<Box<str>>,
    /// Free text; of a hold or another level its reason.
    pub detail: Option<Box<str>>,
    /// What it came from, with `located`.
    pub cause: Option<Cause>,
    /// What belongs to just this action.
    pub particulars: Particulars,
}

/// Which outage of a service an operator's event is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum About {
    /// Whatever was open at the event's time.
    Service,
    /// The outage of this key.
    Outage(Box<str>),
    /// The incident of this id.
    Incident(Box<str>),
}

/// How bad an outage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum Severity {
    /// Worse than promised, but there.
    Degraded,
    /// Not there.
    Down,
}

/// What an outage came from (manual §4.3(2), R67).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub enum Cause {
    /// Not known, or not said.
    #[default]
    Unknown,
    /// Equipment failed.
    Equipment,
    /// Software or configuration failed.
    Technical,
    /// More traffic than there was room for.
    Congestion,
    /// Somebody's mistake.
    Human,
    /// Power, diggers, weather, others' networks.
    External,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 6] =
        [Self::Unknown, Self::Equipment, Self::Technical, Self::Congestion, Self::Human, Self::External];

    /// The cause's name in events, labels and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Equipment => "equipment",
            Self::Technical => "technical",
            Self::Congestion => "congestion",
            Self::Human => "human",
            Self::External => "external",
        }
    }
}

/// What sort of case it is; each has clocks of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaseKind {
    /// A complaint (manual §1.5).
    Complaint,
    /// A service request (manual §2.2.3).
    Request,
    /// A delivery (manual 3/1.1).
    Delivery,
}

/// How far a case has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaseStep {
    /// It was opened.
    Opened,
    /// It was first answered.
    Responded,
    /// It was first dealt with.
    Handled,
    /// It is done.
    Resolved,
}

impl Body {
    /// The event's type as the contract names it, for labels.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::OutageStarted(_) => "outage.started",
            Self::OutageUpdated { .. } => "outage.updated",
            Self::OutageEnded { .. } => "outage.ended",
            Self::Acted(acted) => acted.action.event_type(),
            Self::Latency { .. } => "latency",
            Self::Measurement { .. } => "measurement",
            Self::MaintenancePlanned { .. } => "maintenance.planned",
            Self::MaintenanceCancelled { .. } => "maintenance.cancelled",
            Self::Case { step: CaseStep::Opened, .. } => "case.opened",
            Self::Case { step: CaseStep::Responded, .. } => "case.responded",
            Self::Case { step: CaseStep::Handled, .. } => "case.handled",
            Self::Case { step: CaseStep::Resolved, .. } => "case.resolved",
            Self::Survey { .. } => "survey",
            Self::Heartbeat => "heartbeat",
            Self::Retraction { .. } => "retraction",
        }
    }

    /// The service that the event is about, if it is about one.
    #[must_use]
    pub const fn service(&self) -> Option<&ServiceName> {
        match self {
            Self::OutageStarted(started) => Some(&started.service),
            Self::Acted(acted) => Some(&acted.service),
            Self::OutageUpdated { service, .. }
            | Self::OutageEnded { service, .. }
            | Self::Latency { service, .. }
            | Self::Measurement { service, .. }
            | Self::MaintenancePlanned { of: Maintained::Service(service), .. }
            | Self::MaintenanceCancelled { of: Maintained::Service(service), .. } => Some(service),
            Self::Case { service, .. } | Self::Survey { service, .. } => service.as_ref(),
            Self::MaintenancePlanned { of: Maintained::Group(_), .. }
            | Self::MaintenanceCancelled { of: Maintained::Group(_), .. }
            | Self::Heartbeat
            | Self::Retraction { .. } => None,
        }
    }

    /// Whether this is one sample of very many, which are recognised when repeated only for a while.
    #[must_use]
    pub const fn is_sample(&self) -> bool {
        matches!(self, Self::Latency { .. } | Self::Measurement { .. } | Self::Heartbeat)
    }
}

/// What became of an event that was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum Outcome {
    /// It told something, or repeated in its own words what was known already.
    Applied,
    /// An event of this source and id was taken before.
    Duplicate,
    /// An `outage.ended` whose start is not known yet. Kept: the start may still come.
    Orphan,
    /// Kept in the journal; no figure uses events of its type yet.
    Kept,
    /// Part of a drill: it counts in that, and nowhere else.
    Drill,
    /// Taken back by a retraction that came before it. Kept: the retraction may be taken back as well.
    Retracted,
    /// Maintenance announced after it began. Kept, but it excludes nothing.
    Late,
    /// Older than what is kept in full, or of a drill that is over. The journal has it, and a replay counts it.
    TooOld,
}

impl Outcome {
    /// The outcome's name in labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Duplicate => "duplicate",
            Self::Orphan => "orphan",
            Self::Kept => "kept",
            Self::Drill => "drill",
            Self::Retracted => "retracted",
            Self::Late => "late",
            Self::TooOld => "too_old",
        }
    }
}
