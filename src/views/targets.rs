//! The targets in force, as JSON.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::api::Reading;
use super::words::{MaintenanceMode, Time, Unit, Window};
use crate::model;
use crate::model::target::{Scope, Value};
use crate::problem;

/// All targets in force.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Targets {
    /// As of when.
    at: Time,
    /// The profile's, with what the configuration says otherwise.
    targets: Vec<Target>,
    /// What differs for some; of several that speak of a service the last one holds.
    overrides: Vec<Override>,
    /// How the promise counts maintenance.
    maintenance: MaintenanceMode,
    /// How much of a service a degradation takes whose event does not say, a ratio.
    degraded_weight: f64,
    /// The rolling window whose error budget is watched.
    budget_window: Window,
    /// A budget is at risk when what is open will spend it within this time.
    risk_horizon_seconds: f64,
    /// Whether each service's own budget raises alerts.
    watch_services: bool,
    /// What is promised about latency, if anything is.
    latency: Option<LatencyTarget>,
    /// Limits of measurements.
    measurements: Vec<MeasurementLimit>,
    /// Since when these targets are promised; absent when that is since they were taken in.
    effective_from: Option<Time>,
}

/// One number of the service manual.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Target {
    /// Its name, such as `repair` or `request.acceptance`.
    name: String,
    #[serde(flatten)]
    number: Number,
    /// The manual's section.
    clause: String,
    /// The requirement that it answers, such as `R2`.
    requirement: String,
    /// The manual's words.
    phrase: String,
}

/// A number with its unit.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Number {
    /// The number, in that unit.
    value: f64,
    unit: Unit,
}

/// Other numbers for some services. It names exactly one of `service`, `group` and `tier`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Override {
    /// The service that it is for.
    service: Option<String>,
    /// The group that it is for.
    group: Option<String>,
    /// The tier that it is for.
    tier: Option<String>,
    /// Which target has which number there.
    targets: Vec<OtherNumber>,
    /// How maintenance counts there, if otherwise.
    maintenance: Option<MaintenanceMode>,
    /// What is promised about latency there, if anything else is.
    latency: Option<LatencyTarget>,
}

/// Another number for a target.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct OtherNumber {
    /// The target's name.
    name: String,
    #[serde(flatten)]
    number: Number,
}

/// A promise about latency.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct LatencyTarget {
    /// A sample is good when it took no longer.
    limit_seconds: f64,
    /// The share of good samples that is promised.
    ratio: f64,
}

/// Within which limit a measurement is in order. It has exactly one of `over` and `under`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct MeasurementLimit {
    /// The measurement's name.
    metric: String,
    /// Out of range above this value.
    over: Option<f64>,
    /// Out of range below this value.
    under: Option<f64>,
    /// Back in range only at this value or better.
    clear: f64,
}

/// The targets in force
///
/// The service manual's numbers with the clauses that they come from, and what the configuration says otherwise, for
/// all or for some.
#[utoipa::path(
    get, path = "/api/v1/targets", tag = "figures",
    responses(
        (status = 200, description = "The targets in force.", body = Targets),
        (status = 503, response = problem::Unavailable),
    )
)]
pub async fn targets(State(reading): State<Arc<Reading>>) -> Json<Targets> {
    let engine = reading.engine();
    let at = reading.at(&engine);
    let targets = engine.targets(at);
    Json(Targets {
        at: Time(at),
        targets: targets.base.iter().map(Target::from).collect(),
        overrides: targets.overrides.iter().map(Override::from).collect(),
        maintenance: MaintenanceMode(targets.maintenance.name()),
        degraded_weight: targets.degraded_weight.as_f64(),
        budget_window: Window(targets.budget_window.name()),
        risk_horizon_seconds: targets.risk_horizon.as_secs_f64(),
        watch_services: targets.watch_services,
        latency: targets.latency.map(LatencyTarget::from),
        measurements: targets.measurements.iter().map(MeasurementLimit::from).collect(),
        effective_from: targets.effective_from.map(Time),
    })
}

impl From<&model::target::Target> for Target {
    fn from(target: &model::target::Target) -> Self {
        let model::target::Target { name, value, clause, requirement, phrase } = target.clone();
        Self { name, number: value.into(), clause, requirement, phrase }
    }
}

impl From<Value> for Number {
    fn from(value: Value) -> Self {
        let unit = Unit(match value {
            Value::Ratio(_) => "ratio",
            Value::Limit(_) => "seconds",
            Value::Count(_) => "count",
        });
        Self { value: value.base(), unit }
    }
}

impl From<&model::target::Override> for Override {
    fn from(other: &model::target::Override) -> Self {
        let (service, group, tier) = match other.scope.clone() {
            Scope::Service(name) => (Some(name), None, None),
            Scope::Group(name) => (None, Some(name), None),
            Scope::Tier(name) => (None, None, Some(name)),
        };
        let number = |(name, value): &(String, Value)| OtherNumber { name: name.clone(), number: (*value).into() };
        Self {
            service,
            group,
            tier,
            targets: other.values.iter().map(number).collect(),
            maintenance: other.maintenance.map(|mode| MaintenanceMode(mode.name())),
            latency: other.latency.map(LatencyTarget::from),
        }
    }
}

impl From<model::target::LatencyTarget> for LatencyTarget {
    fn from(target: model::target::LatencyTarget) -> Self {
        Self { limit_seconds: target.limit.as_secs_f64(), ratio: target.ratio.as_f64() }
    }
}

impl From<&model::target::MeasurementLimit> for MeasurementLimit {
    fn from(limit: &model::target::MeasurementLimit) -> Self {
        let side = |above| (limit.above == above).then_some(limit.limit);
        Self { metric: limit.metric.clone(), over: side(true), under: side(false), clear: limit.clear }
    }
}
