//! The description of everything that is answered over HTTP, from the code that answers it.

use axum::Json;
use utoipa::openapi::schema::{Schema, SchemaType, Type};
use utoipa::openapi::{OpenApi as Description, RefOr};
use utoipa::{Modify, OpenApi};

use crate::ingest::{actions, http};
use crate::problem::{self, Details};
use crate::views::{alerts, api, export, report, runbooks, scrape, stream, targets, words};

/// Everything that is answered over HTTP.
#[derive(OpenApi)]
#[openapi(
    info(title = "fournines"),
    tags(
        (name = "events", description = "What happened, from those who know."),
        (name = "figures", description = "Availability, repairs and budgets, and what they are held against."),
        (name = "reports", description = "What periods came to, held against every target."),
        (name = "incidents", description = "Interruptions, and what is done about them."),
        (name = "operation", description = "The daemon itself."),
    ),
    paths(
        http::post_events,
        api::figures::services,
        api::figures::service,
        api::figures::groups,
        api::figures::group,
        targets::targets,
        report::routes::reports,
        report::routes::report,
        api::incidents,
        export::export,
        api::incident,
        actions::act,
        alerts::alerts,
        alerts::suppressed,
        alerts::receivers,
        stream::follow,
        api::status,
        scrape::metrics,
        runbooks::runbook,
        super::livez,
        super::readiness::readyz,
        serve,
    ),
    components(
        schemas(stream::IncidentChange, stream::Reset, words::Policy, words::WantedLevel, words::ExportFormat, words::ReportFormat, words::ReportLanguage, actions::DeedName, Details),
        responses(
            problem::BadRequest,
            problem::NotFound,
            problem::RequestTimeout,
            problem::Conflict,
            problem::PayloadTooLarge,
            problem::UnsupportedMediaType,
            problem::Unprocessable,
            problem::TooManyRequests,
            problem::Failed,
            problem::Unavailable,
        )
    ),
    modifiers(&AbsentIsNull)
)]
struct Document;

/// Of what is sent in, members may be left out; in answers what is absent is `null`, and its member is there.
struct AbsentIsNull;

/// What is sent in.
const SENT_IN: [&str; 4] = ["Event", "Improvement", "Deed", "Improved"];

impl Modify for AbsentIsNull {
    fn modify(&self, document: &mut Description) {
        let schemas = document.components.iter_mut().flat_map(|components| components.schemas.iter_mut());
        for (_, schema) in schemas.filter(|(name, _)| !SENT_IN.contains(&&***name)) {
            require_nullable(schema);
        }
    }
}

fn require_nullable(schema: &mut RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::AllOf(all)) => all.items.iter_mut().for_each(require_nullable),
        RefOr::T(Schema::Object(object)) => {
            for (name, member) in &mut object.properties {
                if is_nullable(member) && !object.required.contains(name) {
                    object.required.push(name.clone());
                }
                require_nullable(member);
            }
        }
        RefOr::T(_) | RefOr::Ref(_) => {}
    }
}

fn is_nullable(schema: &RefOr<Schema>) -> bool {
    match schema {
        RefOr::T(Schema::Object(object)) => match &object.schema_type {
            SchemaType::Type(one) => *one == Type::Null,
            SchemaType::Array(types) => types.contains(&Type::Null),
            SchemaType::AnyValue => false,
        },
        RefOr::T(Schema::OneOf(one)) => one.items.iter().any(is_nullable),
        RefOr::T(_) | RefOr::Ref(_) => false,
    }
}

/// This description
#[utoipa::path(
    get, path = "/api/openapi.json", tag = "operation",
    responses((status = 200, description = "The description, in OpenAPI 3.1.", body = Object))
)]
pub(super) async fn serve() -> Json<Description> {
    Json(Document::openapi())
}
