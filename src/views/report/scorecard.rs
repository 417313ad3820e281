//! The headline: the manual's four indices (§1.3.2) and three pillars (§4.1). An index without a figure says why it has
//! none.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Asked;
use super::figures::Verdict;
use super::incidents::{ClockLine, IncidentPart, Times};
use super::network::NetworkPart;
use super::verdicts::{NETWORK, TargetLine};
use crate::model::target::{REPAIR, RESPONSE};

/// The headline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Scorecard {
    /// How many targets were met, missed, and not measured.
    pub met: u64,
    /// How many were missed.
    pub missed: u64,
    /// How many nothing tells of.
    pub not_measured: u64,
    /// CSAT, SAA, RT and QSR.
    pub indices: Vec<Line>,
    /// Continuity, quality and satisfaction.
    pub pillars: Vec<Pillar>,
}

/// One of the three pillars.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Pillar {
    /// Its name.
    pub pillar: String,
    /// The manual's word.
    pub phrase: String,
    /// Its figures.
    pub figures: Vec<Line>,
}

/// A figure of the headline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ScorecardLine)]
pub struct Line {
    /// Its name.
    pub figure: String,
    /// Absent when nothing tells; the note says why.
    pub value: Option<f64>,
    /// `ratio`, `seconds`, `count`, `user_minutes` or `score`.
    pub unit: String,
    /// Whether a target about it was kept, where there is one.
    pub verdict: Option<Verdict>,
    /// What it is of, or why there is none.
    pub note: String,
}

/// What there is no figure of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = AbsentFigure)]
pub struct Absent {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
}

/// Makes the headline.
pub(super) fn scorecard(
    targets: &[TargetLine],
    (network, clocks): (&NetworkPart, &[ClockLine]),
    (incidents, acknowledgements): (&IncidentPart, &Times),
) -> Scorecard {
    let count = |verdict| targets.iter().filter(|line| line.verdict == verdict).count() as u64;
    let of_target = |name: &str| targets.iter().find(|line| line.target == name);
    let index = |figure: &str, name: &str, without: &str| {
        let target = of_target(name);
        let note = target.map_or(without, |target| &target.note);
        let line = line(figure, target.and_then(|target| target.figure), "ratio", note);
        Line { verdict: Some(target.map_or(Verdict::NotMeasured, |target| target.verdict)), ..line }
    };
    let unset = "no such target is in force";
    let sums = &network.elapsed;
    let compliance =
        |name: &str| clocks.iter().find(|clock| clock.clock == name).and_then(|clock| clock.compliance_ratio);
    let counted = |figure: &str, value: u64| line(figure, Some(value as f64), "count", "");
    Scorecard {
        met: count(Verdict::Met),
        missed: count(Verdict::Missed),
        not_measured: count(Verdict::NotMeasured),
        indices: vec![
            index("CSAT", "satisfaction", unset),
            index("SAA", NETWORK, unset),
            index("RT", RESPONSE, unset),
            Line {
                verdict: Some(Verdict::NotMeasured),
                ..line("QSR", None, "score", "the manual names no formula for it, and nobody entered a score")
            },
        ],
        pillars: vec![
            Pillar {
                pillar: "continuity".to_owned(),
                phrase: "服務連續性".to_owned(),
                figures: vec![
                    line("mtbf", sums.mtbf_seconds, "seconds", "mean time between failures of a service"),
                    line("longest_outage", network.longest_outage_seconds, "seconds", "of any service"),
                    counted("outages", sums.outages),
                    counted("incidents", incidents.began),
                    counted("flaps", incidents.flaps),
                    line("user_minutes_lost", Some(sums.user_minutes_lost), "user_minutes", ""),
                ],
            },
            Pillar {
                pillar: "quality".to_owned(),
                phrase: "服務質量".to_owned(),
                figures: vec![
                    line("availability", sums.availability, "ratio", "net of maintenance and silence"),
                    line("mttr", sums.mttr_seconds, "seconds", "mean time to repair"),
                    line("mtta", acknowledgements.mean_seconds, "seconds", "mean time to acknowledge an incident"),
                    line("response_kept", compliance(RESPONSE), "ratio", "response clocks within their limit"),
                    line("repair_kept", compliance(REPAIR), "ratio", "repair clocks within their limit"),
                ],
            },
            Pillar {
                pillar: "satisfaction".to_owned(),
                phrase: "用戶滿意度".to_owned(),
                figures: vec![
                    line(
                        "survey_mean_score",
                        incidents.survey_mean_score,
                        "score",
                        "of those who were asked after an incident, from 0 to 100",
                    ),
                    counted("surveys", incidents.surveys),
                ],
            },
        ],
    }
}

fn line(figure: &str, value: Option<f64>, unit: &str, note: &str) -> Line {
    Line { figure: figure.to_owned(), value, unit: unit.to_owned(), verdict: None, note: note.to_owned() }
}

/// What a reader may look for in vain.
pub(super) fn absent(asked: &Asked<'_>, targets: &[TargetLine]) -> Vec<Absent> {
    let absent = |what: &str, why: &str| Absent { what: what.to_owned(), why: why.to_owned() };
    let unmeasured = targets.iter().filter(|line| line.verdict == Verdict::NotMeasured);
    let mut all: Vec<Absent> =
        unmeasured.map(|line| absent(&format!("target {}", line.target), &line.note)).collect();
    all.push(absent("QSR", "the manual names no formula for it, and nobody entered a score"));
    all.push(absent("innovation, compliance (§5.2)", "they are judged by people, and nobody entered a judgement"));
    if asked.engine.targets(asked.under).latency.is_some() {
        all.push(absent("latency", "it is kept over rolling windows only, so there is no figure of a period"));
    }
    if let Some(folded) = asked.engine.folded_until().filter(|&folded| asked.range.from < folded) {
        let why = format!("what is before {folded} is kept as sums of whole days: see the export of incidents");
        all.push(absent("incidents, clocks and causes of the first days", &why));
    }
    all
}
