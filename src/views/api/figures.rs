//! The routes of services and groups: their figures.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Reading, bad, instant, limit};
use crate::engine::{Engine, GroupView, ServiceView};
use crate::model::calendar::Range;
use crate::model::figures::State as ServiceState;
use crate::model::time::{Instant, Window};
use crate::problem::{self, Problem};
use crate::views::json::{self, Asked, Promised};
use crate::views::service::{Group, Service};
use crate::views::words;

/// As of when, held against which targets, and of which period figures are asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FiguresQuery {
    /// As of when, by all that is known by now: RFC 3339 with an offset (a `+` is written `%2B`), not ahead; now
    /// when it is not said.
    #[param(value_type = String, format = DateTime, required = false)]
    at: Option<String>,
    /// Which targets the figures are held against; `then` when it is not said.
    #[param(value_type = words::Policy, required = false)]
    policy: Option<String>,
    /// A period of the calendar in the network's zone, whose figures are added: `2026-03-14`, `2026-03`, `2026-Q1`
    /// or `2026`.
    #[param(value_type = String, required = false, example = "2026-03")]
    period: Option<String>,
}

impl FiguresQuery {
    /// What it asks for.
    fn asked(&self, reading: &Reading, engine: &Engine) -> Result<Asked, Problem> {
        let now = reading.at(engine);
        let at = instant("at", self.at.as_deref())?.unwrap_or(now);
        if at > now {
            return Err(bad(format!("at: {at} lies ahead; it is {now}")));
        }
        let promised = self.policy.as_deref().map(str::parse).transpose();
        let promised: Promised = promised.map_err(|error| bad(format!("policy: {error}")))?.unwrap_or_default();
        let period = self.period.as_deref().map(|name| engine.calendar().named(name)).transpose();
        let period = period.map_err(|error| bad(format!("period: {error}")))?;
        let exact = |at: Instant| engine.is_exact_at(at);
        if let Some(folded) = engine.folded_until() {
            let by_days = format!("what is older than {folded} is kept by whole days (storage.fold_after)");
            if at < now && !(at >= folded && Window::ALL.iter().all(|window| exact(at.minus(window.length())))) {
                return Err(bad(format!(
                    "at: the windows that end at {at} reach back into days of which only the sums are kept: {by_days}; ask \
                     for a period such as 2026-03 instead"
                )));
            }
            if let Some(Range { from, until }) = period
                && !(exact(from) && exact(until.min(at)))
            {
                return Err(bad(format!("period: {by_days}, and not by those of {}", engine.calendar().zone())));
            }
        }
        Ok(Asked { at, under: promised.under(at), period })
    }
}

/// One service
#[utoipa::path(
    get, path = "/api/v1/services/{service}", tag = "figures",
    params(("service" = String, Path, description = "The name of the service, percent-encoded: a slash is `%2F`."), FiguresQuery),
    responses(
        (status = 200, description = "The service with its figures.", body = Service),
        (status = 400, response = problem::BadRequest),
        (status = 404, response = problem::NotFound),
        (status = 503, response = problem::Unavailable),
    )
)]
pub async fn service(
    State(reading): State<Arc<Reading>>,
    name: Result<Path<String>, PathRejection>,
    query: Result<Query<FiguresQuery>, QueryRejection>,
) -> Result<Json<Service>, Problem> {
    let (Path(name), Query(query)) = (name?, query?);
    let engine = reading.engine();
    let asked = query.asked(&reading, &engine)?;
    match engine.service(&name) {
        Some(view) => Ok(Json(json::service(&engine, view, &asked))),
        None => {
            let hint = if name.contains('%') { "" } else { "; a slash in a name is written %2F" };
            Err(Problem::new(StatusCode::NOT_FOUND, format!("there is no service {name:?}{hint}")))
        }
    }
}

/// One group of services
#[utoipa::path(
    get, path = "/api/v1/groups/{group}", tag = "figures",
    params(("group" = String, Path, description = "The name of the group: `all`, one of the catalogue's, or `region:…`, `tier:…`, `kind:…`."), FiguresQuery),
    responses(
        (status = 200, description = "The group with its figures.", body = Group),
        (status = 400, response = problem::BadRequest),
        (status = 404, response = problem::NotFound),
        (status = 503, response = problem::Unavailable),
    )
)]
pub async fn group(
    State(reading): State<Arc<Reading>>,
    name: Result<Path<String>, PathRejection>,
    query: Result<Query<FiguresQuery>, QueryRejection>,
) -> Result<Json<Group>, Problem> {
    let (Path(name), Query(query)) = (name?, query?);
    let engine = reading.engine();
    let asked = query.asked(&reading, &engine)?;
    match engine.group(&name) {
        Some(view) => Ok(Json(json::group(&engine, view, &asked))),
        None => {
            let hint = "groups are all, those that the catalogue names, and region:…, tier:…, kind:…";
            Err(Problem::new(StatusCode::NOT_FOUND, format!("there is no group {name:?}; {hint}")))
        }
    }
}

/// What a list of groups is asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct GroupQuery {
    /// As of when, by all that is known by now: RFC 3339 with an offset (a `+` is written `%2B`), not ahead; now
    /// when it is not said.
    #[param(value_type = String, format = DateTime, required = false)]
    at: Option<String>,
    /// Which targets the figures are held against; `then` when it is not said.
    #[param(value_type = words::Policy, required = false)]
    policy: Option<String>,
    /// A period of the calendar in the network's zone, whose figures are added: `2026-03-14`, `2026-03`, `2026-Q1`
    /// or `2026`.
    #[param(value_type = String, required = false, example = "2026-03")]
    period: Option<String>,
    /// The most rows of the page; 100 when it is not said.
    #[param(value_type = usize, required = false, minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The `next` of the page before.
    #[param(value_type = String, required = false)]
    after: Option<String>,
}

/// A page of groups.
#[derive(Debug, Serialize, ToSchema)]
pub struct GroupPage {
    /// By name.
    groups: Vec<Group>,
    /// What the next page comes `after`; absent on the last one.
    next: Option<String>,
}

/// Groups of services, by name
#[utoipa::path(
    get, path = "/api/v1/groups", tag = "figures",
    params(GroupQuery),
    responses(
        (status = 200, description = "A page of groups with their figures.", body = GroupPage),
        (status = 400, response = problem::BadRequest),
        (status = 503, response = problem::Unavailable),
    )
)]
pub async fn groups(
    State(reading): State<Arc<Reading>>,
    query: Result<Query<GroupQuery>, QueryRejection>,
) -> Result<Json<GroupPage>, Problem> {
    let Query(GroupQuery { at, policy, period, limit, after }) = query?;
    let limit = self::limit(limit)?;
    let engine = reading.copy();
    let asked = FiguresQuery { at, policy, period }.asked(&reading, &engine)?;
    let follows = |view: &GroupView<'_>| after.as_deref().is_none_or(|after| view.name() > after);
    let mut found: Vec<GroupView<'_>> = engine.groups().filter(follows).collect();
    found.sort_unstable_by_key(GroupView::name);
    let next = (found.len() > limit).then(|| found[limit - 1].name().to_owned());
    let groups = found.iter().take(limit).map(|&view| json::group(&engine, view, &asked)).collect();
    Ok(Json(GroupPage { groups, next }))
}

/// What a list of services is asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ServiceQuery {
    /// Those of this group only.
    #[param(value_type = String, required = false)]
    group: Option<String>,
    /// Those that stand so only.
    #[param(value_type = words::State, required = false)]
    state: Option<String>,
    /// The most rows of the page; 100 when it is not said.
    #[param(value_type = usize, required = false, minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The `next` of the page before.
    #[param(value_type = String, required = false)]
    after: Option<String>,
}

/// A page of services.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServicePage {
    /// By name.
    services: Vec<Service>,
    /// What the next page comes `after`; absent on the last one.
    next: Option<String>,
}

/// Services, by name
#[utoipa::path(
    get, path = "/api/v1/services", tag = "figures",
    params(ServiceQuery),
    responses(
        (status = 200, description = "A page of services with their figures.", body = ServicePage),
        (status = 400, response = problem::BadRequest),
        (status = 503, response = problem::Unavailable),
    )
)]
pub async fn services(
    State(reading): State<Arc<Reading>>,
    query: Result<Query<ServiceQuery>, QueryRejection>,
) -> Result<Json<ServicePage>, Problem> {
    let Query(query) = query?;
    let named = |name: &str| ServiceState::ALL.into_iter().find(|state| state.name() == name);
    let state = match query.state.as_deref().map(|name| named(name).ok_or(name)).transpose() {
        Ok(state) => state,
        Err(name) => {
            let names = ServiceState::ALL.map(ServiceState::name).join(", ");
            return Err(bad(format!("state: {name:?} is none of {names}")));
        }
    };
    let limit = limit(query.limit)?;
    let engine = reading.copy();
    let at = reading.at(&engine);
    let mut found: Vec<ServiceView<'_>> = engine
        .services()
        .filter(|view| {
            query.after.as_deref().is_none_or(|after| view.name() > after)
                && query.group.as_ref().is_none_or(|group| view.is_in(group))
                && state.is_none_or(|state| view.state(at) == state)
        })
        .collect();
    let more = found.len() > limit;
    if more {
        // Only the page is put in order: the network may have a million services.
        found.select_nth_unstable_by_key(limit, |view| view.name());
        found.truncate(limit);
    }
    found.sort_unstable_by_key(|view| view.name());
    let next = found.last().filter(|_| more).map(|last| last.name().to_owned());
    let services = found.into_iter().map(|view| json::service(&engine, view, &Asked::at(at))).collect();
    Ok(Json(ServicePage { services, next }))
}
