//! What people do about an incident, over HTTP: `POST /api/v1/incidents/{id}/{stage}`. It becomes an event like any other.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::decode::CauseName;
use super::http::Intake;
use crate::model::delivery::Acknowledgement;
use crate::model::incident::{Action, Improvement, Incident, Review, Stage, Status};
use crate::model::level::Level;
use crate::problem::{self, Problem};

/// What can be done, as the path names it.
const DEEDS: [(&str, Action); 12] = [
    ("acknowledge", Action::Reached(Stage::Acknowledged)),
    ("dispatch", Action::Reached(Stage::Dispatched)),
    ("locate", Action::Reached(Stage::Located)),
    ("mitigate", Action::Reached(Stage::Mitigated)),
    ("repair", Action::Reached(Stage::Repaired)),
    ("verify", Action::Reached(Stage::Verified)),
    ("review", Action::Reached(Stage::Reviewed)),
    ("hold", Action::Held),
    ("resume", Action::Resumed),
    // To the level that the body says.
    ("reclassify", Action::Reclassified(Level::Third)),
    ("notify", Action::Notified),
    ("survey", Action::Surveyed),
];

/// Finds an incident by its id: as it stands, and as it is shown.
pub type Find = dyn Fn(&str) -> Option<(Incident, Value)> + Send + Sync;

/// What the route works with.
pub struct Desk {
    /// Where the event goes.
    pub intake: Arc<Intake>,
    /// Where incidents are found.
    pub find: Box<Find>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("intake", &self.intake).finish_non_exhaustive()
    }
}

/// Who did it, and what there is to say of it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Deed {
    /// Who did it.
    #[schema(min_length = 1, max_length = 256)]
    pub(super) by: String,
    /// Free text.
    pub(super) detail: Option<String>,
    /// Why: with `hold` and `reclassify` only, and needed there.
    pub(super) reason: Option<String>,
    /// What the outage came from: with `locate` only.
    #[schema(value_type = Option<CauseName>)]
    pub(super) cause: Option<String>,
    /// The level that it has: with `reclassify` only, and needed there.
    #[schema(minimum = 1, maximum = 3)]
    pub(super) level: Option<u64>,
    /// The name of what was sent, which is that of the clock that it stops: with `notify` only, and needed there.
    #[schema(min_length = 1, max_length = 256)]
    pub(super) notice: Option<String>,
    /// How content somebody was: with `survey` only, and needed there.
    #[schema(minimum = 0, maximum = 100)]
    pub(super) score: Option<f64>,
    /// What it came from in the end: with `review` only, and needed there.
    pub(super) root_cause: Option<String>,
    /// What is done about that, at least one thing: with `review` only, and needed there.
    pub(super) improvements: Option<Vec<Improved>>,
}

/// What is done so that it does not happen again.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Improved {
    /// What is done.
    #[schema(min_length = 1)]
    pub(super) action: String,
    /// Who answers for it.
    #[schema(min_length = 1)]
    pub(super) owner: String,
    /// By when: a date such as 2026-04-01.
    #[schema(format = Date)]
    pub(super) due: String,
}

/// What somebody did, as the path names it.
#[derive(Debug)]
pub struct DeedName;

impl PartialSchema for DeedName {
    fn schema() -> RefOr<Schema> {
        let words = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(DEEDS.map(|(name, _)| name)));
        words.description(Some("What somebody did.")).into()
    }
}

impl ToSchema for DeedName {
    fn name() -> Cow<'static, str> {
        "Action".into()
    }
}

/// Writes down what somebody did about an incident
///
/// It becomes an event like any other. The answer is the incident as it stands then, once the event is durable.
#[utoipa::path(
    post, path = "/api/v1/incidents/{id}/{stage}", tag = "incidents",
    params(
        ("id" = String, Path, description = "The incident's id.", pattern = "^[0-9a-f]{16}$"),
        ("stage" = DeedName, Path, description = "What was done."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes it harmless to send the same again.",
         nullable = false, min_length = 1, max_length = 255),
    ),
    request_body(content = Deed),
    responses(
        (status = 200, description = "The incident as it stands then.", body = ref("#/components/schemas/Incident")),
        (status = 400, response = problem::BadRequest),
        (status = 404, response = problem::NotFound),
        (status = 408, response = problem::RequestTimeout),
        (status = 409, response = problem::Conflict),
        (status = 413, response = problem::PayloadTooLarge),
        (status = 415, response = problem::UnsupportedMediaType),
        (status = 422, response = problem::Unprocessable),
        (status = 429, response = problem::TooManyRequests),
        (status = 503, response = problem::Unavailable),
    )
)]
pub async fn act(
    State(desk): State<Arc<Desk>>,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
    deed: Result<Json<Deed>, JsonRejection>,
) -> Result<Json<Value>, Problem> {
    let Path((id, stage)) = path?;
    let Json(deed) = deed?;
    carry_out(&desk, &id, &stage, &headers, &deed).await.map(Json)
}

/// Writes down what somebody did, and gives the incident as it stands then.
pub(super) async fn carry_out(
    desk: &Desk,
    id: &str,
    stage: &str,
    headers: &HeaderMap,
    deed: &Deed,
) -> Result<Value, Problem> {
    let Some((_, action)) = DEEDS.into_iter().find(|(name, _)| *name == stage) else {
        let names = DEEDS.map(|(name, _)| name).join(", ");
        return Err(Problem::new(StatusCode::NOT_FOUND, format!("{stage:?} is none of {names}")));
    };
    let missing = || Problem::new(StatusCode::NOT_FOUND, format!("there is no incident {id:?}"));
    let (incident, _) = (desk.find)(id).ok_or_else(missing)?;
    if let Some(into) = incident.merged_into.filter(|_| incident.status == Status::Merged) {
        let detail = format!("incident {id} was merged into {into}: say it of that one");
        return Err(Problem::new(StatusCode::CONFLICT, detail).with("merged_into", json!(into.to_string())));
    }
    if incident.status == Status::Withdrawn {
        let detail = format!("incident {id} was withdrawn: the facts that made it were corrected away");
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    let event = event(&incident, action, deed, &desk.intake.clock.now().to_string())?;
    desk.intake.say(&event.to_string(), headers).await?;
    (desk.find)(id).map(|(_, shown)| shown).ok_or_else(missing)
}

/// Writes down that somebody acknowledged an incident where it was shown to them.
///
/// # Errors
/// When there is no such incident any more, or nothing can be taken now.
pub async fn acknowledge(desk: &Desk, said: &Acknowledgement) -> Result<(), Problem> {
    let missing = || Problem::new(StatusCode::NOT_FOUND, format!("there is no incident {:?}", said.incident));
    let (incident, _) = (desk.find)(&said.incident.to_string()).ok_or_else(missing)?;
    let action = Action::Reached(Stage::Acknowledged);
    let by = if said.by.trim().is_empty() { "unknown".to_owned() } else { said.by.clone() };
    let detail = Some(said.detail.clone());
    let (reason, cause, level, notice) = (None, None, None, None);
    let (score, root_cause, improvements) = (None, None, None);
    let deed = Deed { by, detail, reason, cause, level, notice, score, root_cause, improvements };
    let mut event = event(&incident, action, &deed, &desk.intake.clock.now().to_string())?;
    event["id"] = json!(said.id);
    desk.intake.say(&event.to_string(), &HeaderMap::new()).await
}

/// The event that says so.
fn event(incident: &Incident, action: Action, deed: &Deed, time: &str) -> Result<Value, Problem> {
    let refuse = |detail: &str| Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    if deed.by.trim().is_empty() {
        return refuse("`by` is empty: say who did it");
    }
    if deed.cause.is_some() && action != Action::Reached(Stage::Located) {
        return refuse("`cause` goes with locate only");
    }
    let reclassifies = matches!(action, Action::Reclassified(_));
    if deed.reason.is_some() && action != Action::Held && !reclassifies {
        return refuse("`reason` goes with hold and reclassify only; say `detail`");
    }
    let unreasoned = deed.reason.as_ref().is_none_or(|reason| reason.trim().is_empty());
    if action == Action::Held && unreasoned {
        return refuse("`reason` is missing: a hold stops the repair clock, so say what it waits for");
    }
    if reclassifies && unreasoned {
        return refuse("`reason` is missing: the rules gave it another level, so say why they are wrong");
    }
    let numbered = deed.level.map(Level::numbered);
    if reclassifies != numbered.is_some() || numbered == Some(None) {
        return refuse("`level` is 1, 2 or 3, and goes with reclassify only");
    }
    if action == Action::Notified && deed.notice.as_ref().is_none_or(|notice| notice.trim().is_empty()) {
        return refuse("`notice` is missing: say which was sent, as the clock that it stops is called");
    }
    if action == Action::Surveyed && deed.score.is_none_or(|score| !(0.0..=100.0).contains(&score)) {
        return refuse("`score` is missing, or not from 0 to 100");
    }
    let own = [
        ("notice", deed.notice.is_some(), Action::Notified, "notify"),
        ("score", deed.score.is_some(), Action::Surveyed, "survey"),
        ("root_cause", deed.root_cause.is_some(), Action::Reached(Stage::Reviewed), "review"),
        ("improvements", deed.improvements.is_some(), Action::Reached(Stage::Reviewed), "review"),
    ];
    for (field, said, its, path) in own {
        if said && action != its {
            return refuse(&format!("`{field}` goes with {path} only"));
        }
    }
    if action == Action::Reached(Stage::Reviewed) && !is_complete(deed) {
        return refuse(
            "a review has a `root_cause` and `improvements`, a list of at least one {\"action\", \"owner\", \"due\"}, \
             due as a date such as 2026-04-01",
        );
    }
    let mut event = json!({
        "type": action.event_type(),
        "time": time,
        "service": incident.service.as_str(),
        "incident": incident.id.to_string(),
        "by": deed.by,
    });
    if let Some(drill) = &incident.drill {
        event["drill"] = json!(drill);
    }
    if let Some(level) = deed.level {
        event["level"] = json!(level);
    }
    if let Some(score) = deed.score {
        event["score"] = json!(score);
    }
    if let Some(improvements) = &deed.improvements {
        event["improvements"] = json!(improvements);
    }
    let texts = [
        ("detail", &deed.detail),
        ("reason", &deed.reason),
        ("cause", &deed.cause),
        ("notice", &deed.notice),
        ("root_cause", &deed.root_cause),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            event[name] = json!(value);
        }
    }
    Ok(event)
}

/// Whether what is said makes a complete review.
fn is_complete(deed: &Deed) -> bool {
    let boxed = |text: &str| Box::from(text);
    let improvements = deed.improvements.iter().flatten().map(|one| Improvement {
        action: boxed(&one.action),
        owner: boxed(&one.owner),
        due: boxed(&one.due),
    });
    let root_cause = deed.root_cause.as_deref().map(boxed).unwrap_or_default();
    Review { root_cause, improvements: improvements.collect() }.is_complete()
}
