//! Problem details (RFC 9457): how every refusal over HTTP reads, and how OpenAPI describes it.

use std::error::Error;
use std::io;

use axum::extract::rejection::{self, BytesRejection, JsonRejection, PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::{ToResponse, ToSchema};

/// A refusal.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    details: Box<Details>,
    headers: Vec<(header::HeaderName, HeaderValue)>,
}

/// Problem details (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Details {
    /// Always `about:blank`: the status says what sort of problem it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong, and what would be right.
    detail: String,
    /// What else there is to say of it.
    #[serde(flatten)]
    members: Map<String, Value>,
}

impl Problem {
    /// A refusal with a sentence that says what is wrong and what would be right.
    #[must_use]
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let details = Box::new(Details {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            members: Map::new(),
        });
        Self { status, details, headers: Vec::new() }
    }

    /// With one more member.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.details.members.insert(name.to_owned(), value);
        self
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: header::HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }
}

impl Problem {
    /// The refusal of a body that broke off on its way, with why. It is no fault of what was sent: whoever has it sends it
    /// again, which 400 would tell them not to do. `None` for what is no body as HTTP has it, such as a chunk whose size
    /// is no number.
    #[must_use]
    pub fn broken_off(error: &(dyn Error + 'static)) -> Option<Self> {
        use io::ErrorKind::{InvalidData, InvalidInput};
        let is = |cause: &io::Error| matches!(cause.kind(), InvalidData | InvalidInput);
        let is_misframed = causes(error).any(|cause| cause.downcast_ref().is_some_and(is));
        let detail = || format!("the body broke off, and nothing of it was taken; send it again: {error}");
        (!is_misframed).then(|| Self::new(StatusCode::REQUEST_TIMEOUT, detail()))
    }
}

/// What caused an error, and what caused that.
pub fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        use BytesRejection::FailedToBufferBody;
        use rejection::FailedToBufferBody::UnknownBodyError;
        let broken_off = match &rejection {
            JsonRejection::BytesRejection(FailedToBufferBody(UnknownBodyError(error))) => Self::broken_off(error),
            _ => None,
        };
        broken_off.unwrap_or_else(|| Self::new(rejection.status(), rejection.body_text()))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_string(&self.details).unwrap_or_default();
        let mut response =
            (self.status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

/// Declares the refusals of a status, for descriptions of routes.
macro_rules! refusals {
    ($($doc:literal $name:ident $(($header:literal, $meaning:literal))?;)*) => {$(
        #[doc = $doc]
        #[derive(Debug, ToResponse)]
        #[response(
            content_type = "application/problem+json"
            $(, headers(($header = String, description = $meaning)))?
        )]
        pub struct $name(#[allow(dead_code, reason = "the body that is described")] Details);
    )*};
}

refusals! {
    "What was asked for is not understood." BadRequest;
    "There is no such thing." NotFound;
    "It cannot be done as things stand." Conflict;
    "The body did not arrive whole, or not in time." RequestTimeout;
    "The body is too large, as sent or unpacked." PayloadTooLarge;
    "The body is not of a media type, or not packed in a way, that is understood." UnsupportedMediaType;
    "The body is JSON, and not what belongs here." Unprocessable;
    "Too much is waiting; nothing of the body was taken." TooManyRequests("Retry-After", "Seconds to wait before the next try.");
    "It is starting or stopping, or cannot take it now." Unavailable("Retry-After", "Seconds to wait before the next try.");
    "It failed." Failed;
}
