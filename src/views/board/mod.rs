//! The board: what people look at, as pages that the daemon renders. They are complete without scripts; the little one
//! that there is counts clocks, follows the stream, and knows some keys.
//!
//! Must not enter: a figure that the engine does not know, a script or a style from elsewhere.

mod charts;
mod drills;
mod frame;
mod incident;
mod incidents;
mod maintenance;
mod now;
mod policy;
mod reports;
mod saying;
mod service;
mod services;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Query, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use serde::Deserialize;

use super::api::Reading;
use crate::problem::Problem;
use frame::{Asked, Page, Place};
pub(super) use reports::alone;

/// What a page may load, and what it may do: nothing from elsewhere, and nothing inline, so that no text of an event can
/// become a script.
const SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'";

const ICON: &str = include_str!("assets/icon.svg");

/// The same for a document that stands alone, with its style within: a report that is kept or sent on.
const DOCUMENT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// How long a browser may keep a style or a script, whose address changes with its text.
const ASSET_SECONDS: &str = "public, max-age=31536000, immutable";

/// How long a choice is remembered: a year.
const CHOICE_SECONDS: u32 = 365 * 24 * 3600;

/// The pages.
pub fn routes() -> Router<Arc<Reading>> {
    Router::new()
        .route("/", get(now::now))
        .route("/services", get(services::services))
        .route("/services/{service}", get(service::service))
        .route("/incidents", get(incidents::incidents))
        .route("/incidents/{id}", get(incident::incident))
        .route("/maintenance", get(maintenance::maintenance))
        .route("/drills", get(drills::drills))
        .route("/reports", get(reports::reports))
        .route("/reports/{period}", get(reports::report))
        .route("/policy", get(policy::policy))
        .route("/preferences", get(preferences))
}

/// What the pages load.
pub fn assets() -> Router {
    let asset = |kind: &'static str, text: &'static str| {
        get(move || async move {
            ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, ASSET_SECONDS)], text).into_response()
        })
    };
    Router::new()
        .route(&frame::STYLE.path, asset("text/css; charset=utf-8", frame::STYLE.text))
        .route(&frame::SCRIPT.path, asset("text/javascript; charset=utf-8", frame::SCRIPT.text))
        .route("/assets/icon.svg", asset("image/svg+xml", ICON))
        // What browsers ask for by themselves where no page says otherwise.
        .route("/favicon.ico", asset("image/svg+xml", ICON))
}

/// A page as an answer.
fn shown(page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response(),
        Err(error) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the page cannot be made: {error}"))
            .into_response(),
    }
}

/// What went wrong, for people.
#[derive(Template)]
#[template(path = "refusal.html")]
struct Refusal {
    page: Page,
    status: u16,
    detail: String,
}

/// What every page has: the policy that guards it, and a refusal that people can read, also of what was posted from a form,
/// of an address that there is not, and while the daemon starts. Programs ask below `/api/`, or for no HTML, and get theirs
/// as they are.
pub async fn dressed(request: Request, next: Next) -> Response {
    let accepts = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let is_page = !request.uri().path().starts_with("/api/");
    let is_for_people = is_page && accepts.is_some_and(|accept| accept.contains("text/html"));
    let asked = is_for_people.then(|| Asked::by(request.uri(), request.headers()));
    let mut response = next.run(request).await;
    let is_of = |response: &Response, kind: &str| {
        let value = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.starts_with(kind))
    };
    if let Some(asked) = asked.filter(|_| is_of(&response, "application/problem+json")) {
        response = refused(asked, response).await;
    }
    if is_of(&response, "text/html") {
        for (name, value) in [
            (header::CONTENT_SECURITY_POLICY, if is_page { SECURITY_POLICY } else { DOCUMENT_POLICY }),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "same-origin"),
            (header::CACHE_CONTROL, "no-store"),
        ] {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
    }
    response
}

/// A problem's details are short.
const PROBLEM_BYTES_MAX: usize = 64 * 1024;

async fn refused(asked: Asked, response: Response) -> Response {
    #[derive(Deserialize)]
    struct Details {
        detail: String,
    }
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, PROBLEM_BYTES_MAX).await.unwrap_or_default();
    let detail = serde_json::from_slice(&body).map_or_else(|_| String::new(), |Details { detail }| detail);
    let page = asked.plain(Place::Elsewhere);
    let mut page = shown(&Refusal { page, status: parts.status.as_u16(), detail });
    *page.status_mut() = parts.status;
    if parts.status == StatusCode::SERVICE_UNAVAILABLE {
        // It is starting: whoever waits sees it as soon as it is there.
        page.headers_mut().insert(header::REFRESH, HeaderValue::from_static("3"));
    }
    page
}

/// What somebody prefers.
#[derive(Debug, Deserialize)]
struct Preferences {
    lang: Option<String>,
    theme: Option<String>,
    back: Option<String>,
}

/// Remembers a choice in the browser, and goes back.
async fn preferences(Query(chosen): Query<Preferences>) -> Response {
    // A path of this board's own: `//host` would be another one's.
    let own = |path: &String| path.starts_with('/') && !path.starts_with("//") && !path.contains('\\');
    let back = chosen.back.filter(own).unwrap_or_else(|| "/".to_owned());
    let mut response = Redirect::to(&back).into_response();
    let lang = chosen.lang.filter(|lang| ["en", "zh"].contains(&&**lang));
    let theme = chosen.theme.filter(|theme| frame::THEMES.contains(&&**theme));
    for (name, value) in [("lang", lang), ("theme", theme)] {
        if let Some(value) = value
            && let Ok(cookie) = frame::cookie(name, &value).parse()
        {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    response
}
