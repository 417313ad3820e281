//! Every target in force, with its figure and whether it was kept. What nothing is measured of is said to be so.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Asked;
use super::figures::Verdict;
use super::incidents::ClockLine;
use super::network::{Coverage, Services};
use crate::model::figures::Figures;
use crate::model::level::Ratio;
use crate::model::target::{AVAILABILITY, REPAIR, RESPONSE, Target, Value};

/// The name of the availability target of the network (R4).
pub(super) const NETWORK: &str = "network_availability";

/// A target, held against what it is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TargetLine {
    /// Its name.
    pub target: String,
    /// The requirement that it answers, such as `R2`.
    pub requirement: String,
    /// The manual's section.
    pub clause: String,
    /// The manual's words.
    pub phrase: String,
    /// The number that is promised, in `unit`: at least a `ratio`, at most so many `seconds`, or a `count`.
    pub value: f64,
    /// The unit of that.
    pub unit: String,
    /// Whether it was kept.
    pub verdict: Verdict,
    /// What was measured, in `figure_unit`; absent when nothing was.
    pub figure: Option<f64>,
    /// The unit of the figure.
    pub figure_unit: String,
    /// The figure in percent, where it is a ratio of time, cut and never rounded up.
    pub figure_percent: Option<String>,
    /// How many were held against it, and how many of them kept it; absent where it is not about many things.
    pub measured: Option<u64>,
    /// How many of them kept it.
    pub kept: Option<u64>,
    /// The figure over each denominator of a period that is not over; empty for one that is, or a figure without one.
    pub denominators: Vec<Denominator>,
    /// What the figure is of, or why there is none.
    pub note: String,
}

/// A figure over a denominator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Denominator {
    /// `elapsed`, `whole`, or `projected`: the whole if what is open stays open.
    pub denominator: String,
    /// The figure.
    pub figure: Option<f64>,
    /// The same in percent, cut and never rounded up.
    pub figure_percent: Option<String>,
    /// Whether it was kept.
    pub verdict: Verdict,
}

/// What is known about a target.
#[derive(Default)]
struct Found {
    verdict: Option<Verdict>,
    figure: Option<f64>,
    percent: Option<String>,
    counts: Option<(u64, u64)>,
    denominators: Vec<Denominator>,
    note: String,
}

/// Every target in force at the end, in the order of its profile.
pub(super) fn verdicts(
    asked: &Asked<'_>,
    services: &Services<'_>,
    clocks: &[ClockLine],
    coverage: &Coverage,
) -> Vec<TargetLine> {
    let line = |target: &Target| {
        let found = match (&*target.name, target.value) {
            (NETWORK, Value::Ratio(ratio)) => network(asked, ratio),
            (AVAILABILITY, Value::Ratio(_)) => of_services(services),
            (RESPONSE, Value::Limit(_)) => {
                clock(clocks, "response", "response clocks that were decided in the period")
            }
            (REPAIR, Value::Limit(_)) => clock(
                clocks,
                "repair",
                "repair clocks that were decided in the period, to the verified restoration, holds left out",
            ),
            ("silent_feeds", Value::Count(most)) => feeds(coverage, most),
            ("clock_hours_per_week", Value::Count(hours)) => Found {
                verdict: Some(if hours <= HOURS { Verdict::Met } else { Verdict::Missed }),
                figure: Some(HOURS as f64),
                note: "by construction: every clock runs on wall time, nights and holidays included".to_owned(),
                ..Found::default()
            },
            ("event_to_alert_p99", _) => absent(
                "how long the daemon takes is no part of the journal: see the metric fournines_event_to_alert_seconds",
            ),
            ("satisfaction" | "delivery.satisfaction", _) => absent(
                "surveys are kept where they are about an incident, and a share of content users is not counted",
            ),
            ("support_hours_per_week", _) => absent("who is on duty is not known here"),
            _ => absent("cases (requests, complaints, deliveries) are journalled and not yet counted"),
        };
        shown(target, found)
    };
    asked.engine.targets(asked.under).base.iter().map(line).collect()
}

/// Hours of a week.
const HOURS: u64 = 7 * 24;

fn shown(target: &Target, found: Found) -> TargetLine {
    let unit = match target.value {
        Value::Ratio(_) => "ratio",
        Value::Limit(_) => "seconds",
        Value::Count(_) => "count",
    };
    // Of limits the figure is the share that kept them.
    let figure_unit = if unit == "seconds" { "ratio" } else { unit };
    TargetLine {
        target: target.name.clone(),
        requirement: target.requirement.clone(),
        clause: target.clause.clone(),
        phrase: target.phrase.clone(),
        value: target.value.base(),
        unit: unit.to_owned(),
        verdict: found.verdict.unwrap_or(Verdict::NotMeasured),
        figure: found.figure,
        figure_unit: figure_unit.to_owned(),
        figure_percent: found.percent,
        measured: found.counts.map(|(measured, _)| measured),
        kept: found.counts.map(|(_, kept)| kept),
        denominators: found.denominators,
        note: found.note,
    }
}

fn absent(note: &str) -> Found {
    Found { note: note.to_owned(), ..Found::default() }
}

/// The availability of the whole network (R4).
fn network(asked: &Asked<'_>, ratio: Ratio) -> Found {
    let &Asked { engine, range, whole, under } = asked;
    let Some(all) = engine.group("all") else { return absent("there are no services") };
    let period = all.period_under(whole, range.until, under);
    let one = |name: &str, figures: &Figures| Denominator {
        denominator: name.to_owned(),
        figure: figures.sla_availability(),
        figure_percent: figures.sla_availability_percent(),
        verdict: Verdict::of(figures, Some(ratio)),
    };
    let elapsed = one("elapsed", &period.elapsed);
    let more = [one("whole", &period.whole), one("projected", &period.projected)];
    Found {
        verdict: Some(elapsed.verdict),
        figure: elapsed.figure,
        percent: elapsed.figure_percent.clone(),
        denominators: if range.until < whole.until {
            [elapsed].into_iter().chain(more).collect()
        } else {
            Vec::new()
        },
        note: format!(
            "availability of all services, {}, maintenance: {}",
            if all.users() > 0 { "each by its users" } else { "each counting the same, as no users are known" },
            period.elapsed.mode.name()
        ),
        ..Found::default()
    }
}

/// The availability of each service (R5).
fn of_services(services: &Services<'_>) -> Found {
    let (kept, measured) = (services.kept, services.kept + services.missed);
    Found {
        verdict: Some(Verdict::of_limits(kept, services.missed)),
        figure: (measured > 0).then(|| kept as f64 / measured as f64),
        counts: Some((measured, kept)),
        note: "the share of services of which each kept the availability that it is promised itself".to_owned(),
        ..Found::default()
    }
}

fn clock(clocks: &[ClockLine], name: &str, of: &str) -> Found {
    let Some(line) = clocks.iter().find(|line| line.clock == name) else {
        return absent("no such clock was decided in the period");
    };
    Found {
        verdict: Some(line.verdict),
        figure: line.compliance_ratio,
        counts: Some((line.kept + line.breached, line.kept)),
        note: format!("the share kept of the {of}"),
        ..Found::default()
    }
}

fn feeds(coverage: &Coverage, most: u64) -> Found {
    if coverage.feeds.is_empty() {
        return absent("no feed is expected to speak: see [[sources.feed]]");
    }
    let silent = coverage.feeds.iter().filter(|feed| feed.silences > 0).count() as u64;
    let all = coverage.feeds.len() as u64;
    Found {
        verdict: Some(if silent <= most { Verdict::Met } else { Verdict::Missed }),
        figure: Some(silent as f64),
        counts: Some((all, all - silent)),
        note: "feeds that were silent in the period".to_owned(),
        ..Found::default()
    }
}
