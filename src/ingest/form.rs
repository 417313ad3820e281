//! What people do about an incident, from a form of the board: the same as over the API, answered with a way back to the
//! incident's page.

use std::sync::Arc;

use axum::extract::rejection::{FormRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::post;
use axum::{Form, Router};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::actions::{Deed, Desk, Improved, carry_out};
use crate::problem::Problem;

/// Says where a request comes from (Fetch Metadata).
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// How long a browser remembers who somebody is: a year.
const NAME_SECONDS: u32 = 365 * 24 * 3600;

/// The fields of every form. What is empty is not said.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    by: String,
    detail: String,
    reason: String,
    cause: String,
    level: String,
    notice: String,
    score: String,
    root_cause: String,
    action: String,
    owner: String,
    due: String,
}

impl Fields {
    fn deed(self) -> Result<Deed, Problem> {
        let said = |text: String| Some(text).filter(|text| !text.trim().is_empty());
        let wrong = |name: &str, text: &str| {
            Problem::new(StatusCode::BAD_REQUEST, format!("`{name}`: {text:?} is not a number"))
        };
        let level = said(self.level).map(|text| text.parse().map_err(|_| wrong("level", &text))).transpose()?;
        let score = said(self.score).map(|text| text.parse().map_err(|_| wrong("score", &text))).transpose()?;
        let improvements =
            said(self.action).map(|action| vec![Improved { action, owner: self.owner, due: self.due }]);
        Ok(Deed {
            by: self.by,
            detail: said(self.detail),
            reason: said(self.reason),
            cause: said(self.cause),
            level,
            notice: said(self.notice),
            score,
            root_cause: said(self.root_cause),
            improvements,
        })
    }
}

/// Where the forms of an incident's page are sent.
pub fn routes() -> Router<Arc<Desk>> {
    Router::new().route("/incidents/{id}/{stage}", post(act_by_form))
}

/// Writes down what somebody said in a form, and shows the incident.
///
/// # Errors
/// As over the API; and when the form was not one of this board, so that no other page can act in somebody's name.
async fn act_by_form(
    State(desk): State<Arc<Desk>>,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
    fields: Result<Form<Fields>, FormRejection>,
) -> Result<Response, Problem> {
    if !is_own(&headers) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "the form was sent from another site"));
    }
    let Path((id, stage)) = path?;
    let Form(fields) = fields.map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
    let deed = fields.deed()?;
    let by = utf8_percent_encode(deed.by.trim(), NON_ALPHANUMERIC).to_string();
    carry_out(&desk, &id, &stage, &headers, &deed).await?;
    let cookie = format!("by={by}; Path=/; Max-Age={NAME_SECONDS}; SameSite=Lax");
    Ok(([(header::SET_COOKIE, cookie)], Redirect::to(&format!("/incidents/{id}"))).into_response())
}

/// Whether a request comes from a page of this daemon, as far as the browser says; what is no browser says nothing.
fn is_own(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get(SITE) {
        return site == "same-origin" || site == "none";
    }
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    match text(header::ORIGIN) {
        None => true,
        Some(origin) => {
            text(header::HOST).is_some_and(|host| origin.split_once("://").is_some_and(|(_, of)| of == host))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_site_cannot_act() {
        let with = |pairs: &[(&'static str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
            is_own(&pairs.collect())
        };
        assert!(with(&[]));
        assert!(with(&[("sec-fetch-site", "same-origin")]));
        assert!(!with(&[("sec-fetch-site", "cross-site")]));
        assert!(!with(&[("sec-fetch-site", "same-site")]));
        assert!(with(&[("origin", "http://noc:9940"), ("host", "noc:9940")]));
        assert!(!with(&[("origin", "http://evil.example"), ("host", "noc:9940")]));
        assert!(!with(&[("origin", "null"), ("host", "noc:9940")]));
    }
}
