//! Figures of a service or a group, as JSON: over the rolling windows and over periods of the calendar.

use serde::Serialize;
use utoipa::ToSchema;

use super::words::{MaintenanceMode, Time};
use crate::engine::{Engine, PeriodFigures};
use crate::model;
use crate::model::calendar::{Range, Unit};
use crate::model::level::Ratio;
use crate::model::time::{Instant, Span, Window};

/// Figures over a span of time. What is absent is `null`; a length of a group is its average user's.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Figures {
    /// 1 − downtime / (observed without maintenance and silence): the headline.
    availability: Option<f64>,
    /// The same with maintenance neither excused nor removed.
    gross_availability: Option<f64>,
    /// As the headline, each instant counting the greatest weight of what is open at it.
    weighted_availability: Option<f64>,
    /// As the promise in force counts maintenance.
    sla_availability: Option<f64>,
    /// How that is.
    maintenance: MaintenanceMode,
    /// The share of what was observed in which the feed was not silent.
    coverage: Option<f64>,
    /// Defects per million: (1 − availability) × 10⁶.
    dpm: Option<f64>,
    /// How long was looked at.
    observed_seconds: f64,
    /// How much of it was maintenance announced in time.
    excluded_seconds: f64,
    /// How much of it is not known.
    unknown_seconds: f64,
    /// How long it was down, without maintenance.
    downtime_seconds: f64,
    /// How long it was degraded and not down, without maintenance.
    degraded_seconds: f64,
    /// Unplanned outages that began.
    outages: u64,
    /// Outages that began and lie wholly within maintenance.
    planned_outages: u64,
    /// Unplanned outages that ended.
    repairs: u64,
    /// Mean time to repair.
    mttr_seconds: Option<f64>,
    /// Half of the repairs took no longer.
    mttr_p50_seconds: Option<f64>,
    /// 95 % of the repairs took no longer.
    mttr_p95_seconds: Option<f64>,
    /// The longest repair.
    mttr_max_seconds: Option<f64>,
    /// The share of the repairs that kept the repair target.
    mttr_within_target_ratio: Option<f64>,
    /// Mean time between failures.
    mtbf_seconds: Option<f64>,
    /// Mean time to acknowledge.
    mtta_seconds: Option<f64>,
    /// The share of the error budget that is left; negative when overspent.
    budget_remaining_ratio: Option<f64>,
    /// How many times as fast as the target allows the error budget was spent.
    burn_rate: Option<f64>,
    /// Users times minutes lost.
    user_minutes_lost: f64,
}

/// Figures of each rolling window.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Windows<F> {
    #[serde(rename = "1h")]
    hour: F,
    #[serde(rename = "24h")]
    day: F,
    #[serde(rename = "7d")]
    week: F,
    #[serde(rename = "30d")]
    month: F,
    #[serde(rename = "90d")]
    quarter: F,
}

/// Figures of a service over a rolling window.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ServiceWindow {
    #[serde(flatten)]
    pub(super) figures: Figures,
    /// When the error budget is spent if nothing changes; absent when it will not be.
    pub(super) time_to_breach: Option<Time>,
    /// Samples of latency; absent when there are none.
    pub(super) latency: Option<Latency>,
}

/// Figures of a group over a rolling window.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct GroupWindow {
    #[serde(flatten)]
    pub(super) figures: Figures,
    /// When the error budget is spent if nothing changes; absent when it will not be.
    pub(super) time_to_breach: Option<Time>,
}

/// Samples of latency in a window; quantiles are right to 1 %.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Latency {
    /// How many.
    samples: u64,
    /// The share that took no longer than the limit in force when they were taken in.
    within_ratio: Option<f64>,
    /// Half of them took no longer, in milliseconds.
    p50_ms: Option<f64>,
    /// 95 % of them took no longer, in milliseconds.
    p95_ms: Option<f64>,
    /// 99 % of them took no longer, in milliseconds.
    p99_ms: Option<f64>,
}

/// Figures of the periods of the network's calendar that hold the instant asked for.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Calendar {
    day: Period,
    month: Period,
    quarter: Period,
    year: Period,
}

/// Figures of a period of the calendar, over each of its denominators.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Period {
    /// Its first instant.
    from: Time,
    /// The first instant after it.
    until: Time,
    /// Over what has passed of it.
    elapsed: Figures,
    /// Over the whole of it.
    whole: Figures,
    /// Over the whole of it if what is open stays open.
    projected: Figures,
}

impl Figures {
    /// The figures, held against `target` where there is one.
    pub(super) fn of(figures: &model::figures::Figures, target: Option<Ratio>) -> Self {
        let seconds = |span: Option<Span>| span.map(Span::as_secs_f64);
        let (lengths, tallies) = (&figures.lengths, &figures.tallies);
        Self {
            availability: figures.availability(),
            gross_availability: figures.gross_availability(),
            weighted_availability: figures.weighted_availability(),
            sla_availability: figures.sla_availability(),
            maintenance: MaintenanceMode(figures.mode.name()),
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
            budget_remaining_ratio: target.and_then(|target| figures.budget_remaining_ratio(target)),
            burn_rate: target.and_then(|target| figures.burn_rate(target)),
            user_minutes_lost: figures.user_minutes(),
        }
    }
}

impl<F> Windows<F> {
    /// The figures of each window.
    pub(super) fn of(figures: impl Fn(Window) -> F) -> Self {
        Self {
            hour: figures(Window::Hour),
            day: figures(Window::Day),
            week: figures(Window::Week),
            month: figures(Window::Month),
            quarter: figures(Window::Quarter),
        }
    }
}

impl Latency {
    pub(super) fn of(figures: &model::figures::LatencyFigures) -> Self {
        let ms = |span: Option<Span>| span.map(|span| span.as_secs_f64() * 1e3);
        Self {
            samples: figures.samples,
            within_ratio: figures.within_ratio(),
            p50_ms: ms(figures.p50),
            p95_ms: ms(figures.p95),
            p99_ms: ms(figures.p99),
        }
    }
}

impl Calendar {
    /// The figures of each period that holds `at`.
    pub(super) fn of(engine: &Engine, at: Instant, period: impl Fn(Range) -> Period) -> Self {
        let calendar = engine.calendar();
        let containing = |unit| period(calendar.containing(unit, at));
        Self {
            day: containing(Unit::Day),
            month: containing(Unit::Month),
            quarter: containing(Unit::Quarter),
            year: containing(Unit::Year),
        }
    }
}

impl Period {
    /// The figures of a period, held against `target` where there is one.
    pub(super) fn of(period: &PeriodFigures, target: Option<Ratio>) -> Self {
        Self {
            from: period.range.from.into(),
            until: period.range.until.into(),
            elapsed: Figures::of(&period.elapsed, target),
            whole: Figures::of(&period.whole, target),
            projected: Figures::of(&period.projected, target),
        }
    }
}
