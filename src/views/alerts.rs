//! Alerts, and how far they have come: `GET /api/v1/alerts`, `/api/v1/alerts/suppressed`, `/api/v1/receivers`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::api::{Reading, bad, limit};
use super::words::{DeliveryReason, DeliveryStatus, Time};
use crate::model;
use crate::model::delivery::Progress;
use crate::problem::{self, Problem};

/// One firing of an alert, and who was told.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AlertShown {
    /// Names the firing, in the ids of webhooks too.
    id: String,
    /// Its labels.
    labels: BTreeMap<&'static str, String>,
    /// Why it fires.
    because: String,
    /// Since when it holds.
    starts: Time,
    /// When it was over; absent while it fires.
    ends: Option<Time>,
    /// By receiver, those whose business it is.
    deliveries: Vec<DeliveryShown>,
}

/// How far an alert has come on its way to one receiver.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct DeliveryShown {
    /// The receiver.
    receiver: String,
    status: DeliveryStatus,
    /// Why it waits or is withheld.
    reason: Option<DeliveryReason>,
    /// When the receiver last accepted it, or until when it waits if nothing changes.
    at: Option<Time>,
    /// What the receiver last answered.
    answer: Option<String>,
    /// The silences in this Alertmanager that match it.
    silenced_by: Vec<SilenceShown>,
    /// The alerts that inhibit it there, as name and level.
    inhibited_by: Vec<String>,
}

/// A silence in an Alertmanager.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SilenceShown {
    /// Its id there.
    id: String,
    /// Who made it.
    by: String,
    /// Why.
    comment: String,
    /// Until when it silences.
    until: Option<Time>,
}

/// A page of alerts.
#[derive(Debug, Serialize, ToSchema)]
pub struct AlertPage {
    /// The latest first.
    alerts: Vec<AlertShown>,
    /// What the next page comes `after`; absent on the last one.
    next: Option<String>,
}

/// What a list of alerts is asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AlertQuery {
    /// Those that a delivery of this status belongs to only.
    #[param(value_type = DeliveryStatus, required = false)]
    status: Option<String>,
    /// Those of this receiver only, and its deliveries.
    #[param(value_type = String, required = false)]
    receiver: Option<String>,
    /// The most rows of the page; 100 when it is not said.
    #[param(value_type = usize, required = false, minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The `next` of the page before.
    #[param(value_type = String, required = false, pattern = "^-?[0-9]{1,18}[.][0-9a-f]{16}--?[0-9]{1,18}-[0-9]{1,18}$")]
    after: Option<String>,
}

/// A page that nobody got.
#[derive(Debug, Serialize, ToSchema)]
pub struct SuppressedShown {
    /// When that was certain.
    at: Time,
    /// Who would have got it.
    receiver: String,
    reason: DeliveryReason,
    /// The alert's labels.
    labels: BTreeMap<&'static str, String>,
    /// Since when it held.
    starts: Time,
    /// When it was over.
    ends: Option<Time>,
}

/// The pages that nobody got.
#[derive(Debug, Serialize, ToSchema)]
pub struct SuppressedList {
    /// The newest first, at most 1000 since the daemon started.
    suppressed: Vec<SuppressedShown>,
}

/// How a receiver is doing.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReceiverShown {
    /// What it is called.
    name: String,
    /// Whether the last request to it succeeded; absent before the first.
    up: Option<bool>,
    /// Since when that is so.
    since: Option<Time>,
    /// What failed last, while it is not up.
    error: Option<String>,
    /// Alerts that are to be told to it now.
    pending: usize,
    /// Alerts that wait, to be confirmed or for other reasons.
    waiting: usize,
}

/// The receivers.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReceiverList {
    /// As they are configured.
    receivers: Vec<ReceiverShown>,
}

/// Alerts and who was told of them, the latest first
#[utoipa::path(
    get, path = "/api/v1/alerts", tag = "incidents",
    params(AlertQuery),
    responses(
        (status = 200, description = "A page of alerts: what fires, and what somebody is still told of.", body = AlertPage),
        (status = 400, response = problem::BadRequest),
        (status = 503, response = problem::Unavailable),
    )
)]
pub async fn alerts(
    State(reading): State<Arc<Reading>>,
    query: Result<Query<AlertQuery>, QueryRejection>,
) -> Result<Json<AlertPage>, Problem> {
    let Query(query) = query?;
    let statuses = Progress::NAMES;
    if let Some(other) = query.status.as_deref().filter(|status| !statuses.contains(status)) {
        return Err(bad(format!("status: {other:?} is none of {}", statuses.join(", "))));
    }
    let limit = limit(query.limit)?;
    let after = query.after.as_deref().map(cursor).transpose()?;
    let now = reading.clock.now();
    let mut pages = reading.deliveries.get().map(|known| known.pages(None, now)).unwrap_or_default();
    pages.retain_mut(|page| {
        if let Some(receiver) = &query.receiver {
            page.deliveries.retain(|delivery| delivery.receiver == *receiver);
        }
        let fits = |status: &String| page.deliveries.iter().any(|delivery| delivery.progress.name() == status);
        let of_receiver = query.receiver.is_none() || !page.deliveries.is_empty();
        of_receiver
            && query.status.as_ref().is_none_or(fits)
            && after.as_ref().is_none_or(|after| place(page) > *after)
    });
    pages.sort_unstable_by_key(place);
    let more = pages.len() > limit;
    pages.truncate(limit);
    let next = pages.last().filter(|_| more).map(|last| format!("{}.{}", last.alert.starts.as_micros(), last.id));
    Ok(Json(AlertPage { alerts: pages.iter().map(shown).collect(), next }))
}

/// The pages that nobody got, and why
#[utoipa::path(
    get, path = "/api/v1/alerts/suppressed", tag = "incidents",
    responses(
        (status = 200, description = "Those of the time since the daemon started, the newest first.", body = SuppressedList),
        (status = 503, response = problem::Unavailable),
    )
)]
pub async fn suppressed(State(reading): State<Arc<Reading>>) -> Json<SuppressedList> {
    let known = reading.deliveries.get().map(|known| known.suppressed()).unwrap_or_default();
    let shown = known.into_iter().map(|one| SuppressedShown {
        at: Time(one.at),
        receiver: one.receiver,
        reason: DeliveryReason(one.why.name()),
        labels: one.alert.key.labels().into_iter().collect(),
        starts: Time(one.alert.starts),
        ends: one.ended.map(Time),
    });
    Json(SuppressedList { suppressed: shown.collect() })
}

/// Who is told, and how they are doing
#[utoipa::path(
    get, path = "/api/v1/receivers", tag = "operation",
    responses(
        (status = 200, description = "The receivers, as they are configured.", body = ReceiverList),
        (status = 503, response = problem::Unavailable),
    )
)]
pub async fn receivers(State(reading): State<Arc<Reading>>) -> Json<ReceiverList> {
    let known = reading.deliveries.get().map(|known| known.standing()).unwrap_or_default();
    let shown = known.into_iter().map(|one| ReceiverShown {
        name: one.receiver,
        up: one.is_up,
        since: one.since.map(Time),
        error: one.error,
        pending: one.pending,
        waiting: one.waiting,
    });
    Json(ReceiverList { receivers: shown.collect() })
}

/// A firing, as it is shown.
pub(super) fn shown(page: &model::delivery::Page) -> AlertShown {
    AlertShown {
        id: page.id.clone(),
        labels: page.alert.key.labels().into_iter().collect(),
        because: page.alert.facts.because.to_string(),
        starts: Time(page.alert.starts),
        ends: page.ended.map(Time),
        deliveries: page.deliveries.iter().map(delivery).collect(),
    }
}

fn delivery(delivery: &model::delivery::Delivery) -> DeliveryShown {
    let (reason, at) = match delivery.progress {
        Progress::Waiting(why, until) => (Some(why), until),
        Progress::Withheld(why) => (Some(why), None),
        Progress::Firing(at) | Progress::Resolved(at) => (None, Some(at)),
        Progress::Pending | Progress::Failed => (None, None),
    };
    let silence = |silence: &model::delivery::Silence| SilenceShown {
        id: silence.id.clone(),
        by: silence.by.clone(),
        comment: silence.comment.clone(),
        until: silence.until.map(Time),
    };
    DeliveryShown {
        receiver: delivery.receiver.clone(),
        status: DeliveryStatus(delivery.progress.name()),
        reason: reason.map(|why| DeliveryReason(why.name())),
        at: at.map(Time),
        answer: delivery.answer.as_deref().map(str::to_owned),
        silenced_by: delivery.muted.silences.iter().map(silence).collect(),
        inhibited_by: delivery.muted.inhibited_by.clone(),
    }
}

/// A firing's place in the list, the latest first.
fn place(page: &model::delivery::Page) -> (i64, String) {
    (-page.alert.starts.as_micros(), page.id.clone())
}

/// The place after which the next page begins: an instant and a firing's id, as [`place`] orders them.
fn cursor(text: &str) -> Result<(i64, String), Problem> {
    let digits = |text: &str, most: usize| {
        (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let signed = |text: &str| digits(text.strip_prefix('-').unwrap_or(text), 18);
    let place = text.split_once('.').and_then(|(starts, id)| {
        let (key, rest) = id.split_at_checked(16)?;
        let (began, decided) = rest.strip_prefix('-')?.rsplit_once('-')?;
        let is_key = key.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let is_place = is_key && signed(starts) && signed(began) && digits(decided, 18);
        Some((-starts.parse::<i64>().ok().filter(|_| is_place)?, id.to_owned()))
    });
    place.ok_or_else(|| bad(format!("after: {text:?} is not what a page before gave as `next`")))
}
