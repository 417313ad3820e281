//! Reports: what a period came to, held against every target that was promised in it (R93–R97).
//!
//! A report is a function of the journal up to an instant, the policy in it, and the formulas of this version: the same
//! ones give the same bytes. It shows the period as it stood at its end, by all that was known when it was made; what
//! happened after the end is not in it, and links are without the address, which is the configuration's.
//!
//! Must not enter: a clock, a figure that the engine does not know, and anything that differs from run to run.

mod corrections;
mod facts;
mod figures;
mod incidents;
mod markdown;
mod network;
mod period;
mod revising;
pub mod routes;
mod scorecard;
mod table;
mod verdicts;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::engine::Engine;
use crate::model::calendar::Range;
use crate::model::time::{Instant, Span};

pub use corrections::{Correction, between};
pub use facts::facts;
pub use figures::{Sums, Verdict};
pub use incidents::{ClockLine, DrillLine, IncidentLine, IncidentPart, RanClock, Times};
pub use markdown::markdown;
pub(in crate::views) use markdown::shown;
pub use network::{
    CauseLine, Coverage, FeedLine, MaintenanceLine, MaintenancePart, NetworkPart, RepairPart, UnitLine,
};
pub use period::{BadPeriod, Wanted};
pub use revising::Previous;
pub use scorecard::{Absent, Line, Pillar, Scorecard};
pub use table::csv;
pub use verdicts::{Denominator, TargetLine};

/// The version of the formulas. It changes when the same journal would give another figure; a frozen report keeps its
/// own (R29).
pub const FORMULAS: u32 = 1;

/// From where in the journal a report was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// All that was received by then is known.
    pub known_at: Instant,
    /// The last batch of that.
    pub sequence: u64,
    /// The link of the chain at that batch.
    pub head: Option<String>,
}

/// What a period came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Report {
    /// The period: `2026-03`, `2026-Q1`, `2026`, `2026-03-14`, or two instants with `..` between.
    pub report: String,
    /// The version of the formulas that all figures were made by.
    pub formulas: u32,
    /// The period.
    pub period: ReportPeriod,
    /// From what it was made.
    pub made_from: MadeFrom,
    /// Of a frozen report, which revision it is and what it corrects; absent when it is not frozen.
    pub revision: Option<Revision>,
    /// The headline.
    pub scorecard: Scorecard,
    /// Every target in force at the end, held against what it is about.
    pub targets: Vec<TargetLine>,
    /// All services together.
    pub network: NetworkPart,
    /// The services with the most downtime, the worst first: at most 20.
    pub worst_services: Vec<UnitLine>,
    /// The region with the least availability, however good that is; absent when the catalogue names none.
    pub worst_region: Option<String>,
    /// Every region, the worst first.
    pub regions: Vec<UnitLine>,
    /// Every other group, by name.
    pub groups: Vec<UnitLine>,
    /// Every cause of an outage that counts, what cost the most downtime first.
    pub causes: Vec<CauseLine>,
    /// How long repairs took.
    pub repairs: RepairPart,
    /// From the start to the first acknowledgement, of the incidents acknowledged in the period.
    pub acknowledgements: Times,
    /// Every clock of the procedure that was decided in the period or runs at its end, by name.
    pub clocks: Vec<ClockLine>,
    /// Incidents.
    pub incidents: IncidentPart,
    /// Maintenance.
    pub maintenance: MaintenancePart,
    /// Drills that run; nothing of them counts in any figure. Those that are over are in the export of incidents.
    pub drills: Vec<DrillLine>,
    /// How much is known.
    pub coverage: Coverage,
    /// What a reader may look for and there is no figure of, with the reason.
    pub absent: Vec<Absent>,
}

/// The period of a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReportPeriod {
    /// Its first instant.
    #[schema(format = DateTime)]
    pub from: String,
    /// The first instant after it.
    #[schema(format = DateTime)]
    pub until: String,
    /// The instant of the figures: the end, or before that the instant at which it was made.
    #[schema(format = DateTime)]
    pub as_of: String,
    /// The zone of the network's calendar.
    pub time_zone: String,
    /// Whether it is over. If not, figures are over what has elapsed of it, unless they say otherwise.
    pub over: bool,
}

/// What a report was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MadeFrom {
    /// All that was received by then is in it.
    #[schema(format = DateTime)]
    pub known_at: String,
    /// The last batch of the journal in it.
    pub journal_sequence: u64,
    /// The head of the chain at that batch; absent when it was dropped since.
    pub head: Option<String>,
    /// Since when the targets were promised that it is held against; absent when there never were any.
    #[schema(format = DateTime)]
    pub targets_since: Option<String>,
    /// The instants within the period at which other targets came into force.
    pub targets_changed: Vec<String>,
    /// A SHA-256 of what was said of the period: outages, reports, maintenance, silence. Another one is a correction.
    pub facts: String,
}

/// Which revision a frozen report is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Revision {
    /// From 1 on.
    pub number: u32,
    /// The SHA-256 of the revision before.
    pub previous_sha256: Option<String>,
    /// What is different from the revision before, the first thousand.
    pub corrections: Vec<Correction>,
    /// How many figures are.
    pub corrections_total: u64,
}

/// The context in which the parts of a report are made.
struct Asked<'a> {
    engine: &'a Engine,
    /// The whole period.
    whole: Range,
    /// What has passed of it.
    range: Range,
    /// The instant whose targets hold.
    under: Instant,
}

/// Makes the report of a period from a copy of the engine, as it is read at `now`. The period must have begun.
#[must_use]
pub fn make(mut engine: Engine, wanted: &Wanted, now: Instant, origin: &Origin) -> Report {
    let as_of = wanted.range.until.min(now);
    if as_of > engine.now() {
        // What falls due by then follows from what is known; nobody is told of it here.
        engine.advance(as_of, &mut Vec::new());
    }
    let range = Range { from: wanted.range.from, until: as_of };
    let asked = Asked { engine: &engine, whole: wanted.range, range, under: as_of.minus(Span::TICK) };
    let services = network::services(&asked);
    let (clocks, incidents, acknowledgements) = incidents::parts(&asked);
    let network = network::network(&asked, &services);
    let coverage = network::coverage(&asked);
    let targets = verdicts::verdicts(&asked, &services, &clocks, &coverage);
    let repairs = network::repairs(&services);
    let regions = network::regions(&asked);
    let promised: Vec<Instant> = engine.promised_from().collect();
    let since = promised.iter().rev().find(|&&from| from <= asked.under);
    let changed = promised.iter().filter(|&&from| range.from < from && from < range.until);
    Report {
        report: wanted.name.clone(),
        formulas: FORMULAS,
        period: ReportPeriod {
            from: range.from.to_string(),
            until: wanted.range.until.to_string(),
            as_of: as_of.to_string(),
            time_zone: engine.calendar().zone().to_owned(),
            over: as_of >= wanted.range.until,
        },
        made_from: MadeFrom {
            known_at: origin.known_at.to_string(),
            journal_sequence: origin.sequence,
            head: origin.head.clone(),
            targets_since: since.map(Instant::to_string),
            targets_changed: changed.map(Instant::to_string).collect(),
            facts: facts(&engine, range),
        },
        revision: None,
        scorecard: scorecard::scorecard(&targets, (&network, &clocks), (&incidents, &acknowledgements)),
        worst_services: network::worst(&asked, &services),
        worst_region: regions.first().map(|region| region.name.clone()),
        regions,
        groups: network::groups(&asked),
        causes: network::causes(&services),
        drills: incidents::drills(&asked),
        maintenance: network::maintenance(&asked, &network, &services),
        absent: scorecard::absent(&asked, &targets),
        targets,
        network,
        repairs,
        acknowledgements,
        clocks,
        incidents,
        coverage,
    }
}

impl Report {
    /// The canonical form: one line of JSON.
    ///
    /// # Errors
    /// When it cannot be written, which is never so.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// A SHA-256, in hexadecimal digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
