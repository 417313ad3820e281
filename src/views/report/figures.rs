//! Figures of a report, and verdicts: exact where they are compared, and floating point once they are shown.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::figures::Figures;
use crate::model::level::Ratio;
use crate::model::time::Span;

/// Whether a target was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was. Nothing is rounded up to that.
    Met,
    /// It was not.
    Missed,
    /// Nothing tells.
    NotMeasured,
}

impl Verdict {
    /// Its name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::NotMeasured => "not_measured",
        }
    }

    /// Of an availability that is promised: told from whole microseconds.
    pub(super) fn of(figures: &Figures, target: Option<Ratio>) -> Self {
        let Some(target) = target else { return Self::NotMeasured };
        let (_, of) = figures.lengths.promised(figures.mode);
        let (left, _) = figures.lengths.budget(figures.mode, target);
        match (of > 0, left >= 0) {
            (false, _) => Self::NotMeasured,
            (true, true) => Self::Met,
            (true, false) => Self::Missed,
        }
    }

    /// Of limits: missed when any was broken, met when some were kept.
    pub(super) const fn of_limits(kept: u64, broken: u64) -> Self {
        match (kept, broken) {
            (0, 0) => Self::NotMeasured,
            (_, 0) => Self::Met,
            _ => Self::Missed,
        }
    }
}

/// Figures over a span of time. A length of a group is its average user's; what is absent is `null`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReportFigures)]
pub struct Sums {
    /// 1 − downtime / (observed without maintenance and silence).
    pub availability: Option<f64>,
    /// The same in percent, cut after four decimals, never rounded up.
    pub availability_percent: Option<String>,
    /// With maintenance neither excused nor removed.
    pub gross_availability: Option<f64>,
    /// Each instant counting the greatest weight of what is open at it.
    pub weighted_availability: Option<f64>,
    /// As the promise counts maintenance.
    pub sla_availability: Option<f64>,
    /// The same in percent, cut after four decimals.
    pub sla_availability_percent: Option<String>,
    /// How that is: `exclude`, `count_as_up` or `ignore`.
    pub maintenance: String,
    /// The known share of what was observed.
    pub coverage: Option<f64>,
    /// Defects per million.
    pub dpm: Option<f64>,
    /// How long was looked at.
    pub observed_seconds: f64,
    /// How much of it was maintenance announced in time.
    pub excluded_seconds: f64,
    /// How much of it is not known.
    pub unknown_seconds: f64,
    /// How long it was down, without maintenance and silence.
    pub downtime_seconds: f64,
    /// How long it was degraded and not down.
    pub degraded_seconds: f64,
    /// Unplanned outages that began.
    pub outages: u64,
    /// Outages that lie wholly within maintenance.
    pub planned_outages: u64,
    /// Unplanned outages that ended.
    pub repairs: u64,
    /// Mean time to repair.
    pub mttr_seconds: Option<f64>,
    /// Half of the repairs took no longer.
    pub mttr_p50_seconds: Option<f64>,
    /// 95 % of the repairs took no longer.
    pub mttr_p95_seconds: Option<f64>,
    /// The longest repair.
    pub mttr_max_seconds: Option<f64>,
    /// The share of the repairs that kept the repair target.
    pub mttr_within_target_ratio: Option<f64>,
    /// Mean time between failures.
    pub mtbf_seconds: Option<f64>,
    /// Mean time to acknowledge.
    pub mtta_seconds: Option<f64>,
    /// The availability that is promised.
    pub target: Option<f64>,
    /// The share of the error budget that is left; negative when overspent.
    pub budget_remaining_ratio: Option<f64>,
    /// Users times minutes lost.
    pub user_minutes_lost: f64,
}

impl Sums {
    /// The figures, held against `target` where there is one.
    pub(super) fn of(figures: &Figures, target: Option<Ratio>) -> Self {
        let seconds = |span: Option<Span>| span.map(Span::as_secs_f64);
        let (lengths, tallies) = (&figures.lengths, &figures.tallies);
        Self {
            availability: figures.availability(),
            availability_percent: figures.availability_percent(),
            gross_availability: figures.gross_availability(),
            weighted_availability: figures.weighted_availability(),
            sla_availability: figures.sla_availability(),
            sla_availability_percent: figures.sla_availability_percent(),
            maintenance: figures.mode.name().to_owned(),
            coverage: figures.coverage(),
            dpm: figures.dpm(),
            observed_seconds: figures.seconds(lengths.observed),
            excluded_seconds: figures.seconds(lengths.excluded),
            unknown_seconds: figures.seconds(lengths.unknown),
            downtime_seconds: figures.downtime_seconds(),
            degraded_seconds: figures.seconds(lengths.degraded),
            outages: tallies.outages,
            planned_outages: tallies.planned_outages,
            repairs: tallies.repairs,
            mttr_seconds: figures.mttr_seconds(),
            mttr_p50_seconds: seconds(tallies.repair_p50),
            mttr_p95_seconds: seconds(tallies.repair_p95),
            mttr_max_seconds: seconds(tallies.repair_max),
            mttr_within_target_ratio: figures.mttr_within_target(),
            mtbf_seconds: figures.mtbf_seconds(),
            mtta_seconds: figures.mtta_seconds(),
            target: target.map(Ratio::as_f64),
            budget_remaining_ratio: target.and_then(|target| figures.budget_remaining_ratio(target)),
            user_minutes_lost: figures.user_minutes(),
        }
    }
}
