//! Events over HTTP: `POST /api/v1/events`. Answered only once they are durable.

use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Serialize;
use serde_json::json;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::decode::{Decoded, EventBody, Gate, Layout, Rejection, decode};
use crate::clock::{Clock, Stopwatch};
use crate::journal::{Batch, Kind, compress};
use crate::model::event::Event;
use crate::model::service::ServiceName;
use crate::model::time::Span;
use crate::pipeline::{Receipt, Submission};
use crate::problem::{self, Problem};
use crate::telemetry::Telemetry;

/// The source of events that name none.
const SOURCE: &str = "http";
/// How long a body may take to arrive. A sender that stalls would hold memory that others wait for.
const BODY_SECONDS_MAX: u64 = 60;
/// Bodies larger than this are decoded on a thread of their own, so that small requests need not wait.
const INLINE_BYTES_MAX: usize = 64 * 1024;
/// The longest `Idempotency-Key`.
const KEY_BYTES_MAX: usize = 255;
/// What is accepted, for the answers that refuse something else.
const MEDIA_TYPES: &str = "application/json, application/x-ndjson";

/// What the route works with.
#[derive(Clone, Debug)]
pub struct Intake {
    /// Where batches go.
    pub inbox: mpsc::Sender<Submission>,
    /// Tells when events are received.
    pub clock: Clock,
    /// How far ahead of that an event may be.
    pub max_future: Span,
    /// Services that events may name; absent when any may.
    pub known: Option<Arc<HashSet<ServiceName>>>,
    /// The largest body, as sent and as unpacked.
    pub max_body_bytes: usize,
    /// One permit a byte of the bodies in flight.
    pub room: Arc<Semaphore>,
    /// Counts.
    pub telemetry: Telemetry,
    /// Cancelled when nothing more is taken.
    pub stopping: CancellationToken,
}

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    Plain,
    Gzip,
    Zstd,
}

/// What became of the events of a body.
#[derive(Debug, Serialize, ToSchema)]
pub struct Answer {
    /// Events taken.
    accepted: u64,
    /// Events that had been taken before.
    duplicates: u64,
    /// The first hundred of those that are no events, each with why.
    #[schema(max_items = 100)]
    rejected: Vec<Rejection>,
    /// How many of them there are.
    rejected_total: u64,
}

/// Takes events in
///
/// Answered once those that are good are durable; what is wrong with the others is in the answer. A body may be packed,
/// with `Content-Encoding` `gzip` or `zstd`.
#[utoipa::path(
    post, path = "/api/v1/events", tag = "events",
    params(
        ("Idempotency-Key" = Option<String>, Header,
         description = "Makes it harmless to send the whole body again: visible ASCII characters.",
         nullable = false, min_length = 1, max_length = 255),
    ),
    request_body(
        description = "One event, an array of them, or one a line.",
        content((EventBody = "application/json"), (String = "application/x-ndjson"))
    ),
    responses(
        (status = 200, description = "The good events are durable.", body = Answer),
        (status = 400, response = problem::BadRequest),
        (status = 408, response = problem::RequestTimeout),
        (status = 413, response = problem::PayloadTooLarge),
        (status = 415, response = problem::UnsupportedMediaType),
        (status = 429, response = problem::TooManyRequests),
        (status = 503, response = problem::Unavailable),
    )
)]
pub async fn post_events(State(intake): State<Arc<Intake>>, request: Request) -> Response {
    let watch = Stopwatch::start();
    let answer = intake.take(request).await;
    intake.telemetry.ingest_seconds.observe(watch.seconds());
    match answer {
        Ok(answer) => answer,
        Err((reason, problem)) => {
            intake.telemetry.ingest_refused.with_label_values(&[reason]).inc();
            problem.into_response()
        }
    }
}

type Refusal = (&'static str, Problem);

impl Intake {
    async fn take(&self, request: Request) -> Result<Response, Refusal> {
        if self.stopping.is_cancelled() {
            return Err(unavailable("it is stopping"));
        }
        let (parts, body) = request.into_parts();
        let layout = layout(&parts.headers)?;
        let packing = packing(&parts.headers)?;
        let key = idempotency_key(&parts.headers)?;
        let announced = announced(&parts.headers);
        if announced.is_some_and(|bytes| bytes > self.max_body_bytes) {
            return Err(self.too_large());
        }
        // A body that does not say how large it will be is counted as the largest that it may be.
        let bytes = announced.filter(|_| packing == Packing::Plain).unwrap_or(self.max_body_bytes);
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        let _room = self.room.try_acquire_many(permits).map_err(|_| full())?;
        let bytes = self.receive(body).await?;
        let place = self.reserve()?;
        let gate = Gate::at(self.clock.now(), self.max_future, self.known.clone(), SOURCE.into());
        let bytes_max = self.max_body_bytes;
        let passed = gate.clone();
        let work = move || -> Result<(Decoded, Vec<u8>), Unpack> {
            let body = unpack(packing, bytes, bytes_max)?;
            let mut decoded = decode(layout, &body, &passed);
            let payload = compress(&std::mem::take(&mut decoded.lines)).map_err(Unpack::Memory)?;
            Ok((decoded, payload))
        };
        let large = packing != Packing::Plain || announced.is_none_or(|bytes| bytes > INLINE_BYTES_MAX);
        let done = if large { tokio::task::spawn_blocking(work).await } else { Ok(work()) };
        let (decoded, payload) = match done {
            Ok(Ok(done)) => done,
            Ok(Err(Unpack::TooLarge)) => return Err(self.too_large()),
            Ok(Err(Unpack::Broken(error))) => {
                return Err(unreadable(format!("the body is not what Content-Encoding says: {error}")));
            }
            Ok(Err(Unpack::Memory(error))) => return Err(unavailable(&error.to_string())),
            Err(_) => return Err(unavailable("it failed to read this body")),
        };
        if decoded.is_unreadable() {
            let (reason, problem) = unreadable("nothing in the body could be read as an event".to_owned());
            let problem = problem.with("rejected", json!(decoded.rejected));
            return Err((reason, problem.with("rejected_total", json!(decoded.rejected_total))));
        }
        if decoded.rejected_total > 0 {
            self.telemetry.count_events("unknown", &gate.source, "rejected", decoded.rejected_total);
        }
        if decoded.events.is_empty() {
            return Ok(answer(Receipt::default(), decoded.rejected, decoded.rejected_total));
        }
        let (rejected, rejected_total) = (decoded.rejected, decoded.rejected_total);
        let receipt = submit(place, decoded.events, payload, key).await?;
        Ok(answer(receipt, rejected, rejected_total))
    }

    /// Takes in one event that was written here, and waits until it is durable and applied.
    ///
    /// # Errors
    /// When it is no event of the contract, or cannot be taken now.
    pub(super) async fn say(&self, line: &str, headers: &HeaderMap) -> Result<(), Problem> {
        let plain = |(_, problem): Refusal| problem;
        if self.stopping.is_cancelled() {
            return Err(plain(unavailable("it is stopping")));
        }
        let key = idempotency_key(headers).map_err(plain)?;
        let place = self.reserve().map_err(plain)?;
        let gate = Gate::at(self.clock.now(), self.max_future, self.known.clone(), SOURCE.into());
        let Decoded { events, mut lines, rejected, .. } = decode(Layout::Lines, line.as_bytes(), &gate);
        if let Some(rejection) = rejected.first() {
            return Err(Problem::new(StatusCode::BAD_REQUEST, rejection.error.clone()));
        }
        let payload =
            compress(&std::mem::take(&mut lines)).map_err(|error| plain(unavailable(&error.to_string())))?;
        submit(place, events, payload, key).await.map_err(plain)?;
        Ok(())
    }

    fn reserve(&self) -> Result<mpsc::Permit<'_, Submission>, Refusal> {
        self.inbox.try_reserve().map_err(|error| match error {
            mpsc::error::TrySendError::Full(()) => full(),
            mpsc::error::TrySendError::Closed(()) => unavailable("it is stopping"),
        })
    }

    async fn receive(&self, body: Body) -> Result<Bytes, Refusal> {
        let received = axum::body::to_bytes(body, self.max_body_bytes);
        match tokio::time::timeout(Duration::from_secs(BODY_SECONDS_MAX), received).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(error)) if is_length_limit(&error) => Err(self.too_large()),
            Ok(Err(error)) => Err(match Problem::broken_off(&error) {
                Some(problem) => ("broken", problem),
                None => unreadable(format!("the body is misframed: {error}")),
            }),
            Err(_) => {
                let detail = format!("the body did not arrive within {BODY_SECONDS_MAX} s");
                Err(("slow", Problem::new(StatusCode::REQUEST_TIMEOUT, detail)))
            }
        }
    }

    fn too_large(&self) -> Refusal {
        let limit = self.max_body_bytes;
        let detail = format!(
            "a body has at most {limit} bytes, sent and unpacked: send it in parts, or raise server.max_body_bytes"
        );
        ("too_large", Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail))
    }
}

/// Hands events over, and waits until they are durable.
async fn submit(
    place: mpsc::Permit<'_, Submission>,
    events: Vec<Event>,
    payload: Vec<u8>,
    key: Option<Box<str>>,
) -> Result<Receipt, Refusal> {
    let batch = Batch { kind: Kind::Events, source: SOURCE.into(), key, events: events.len() as u64, payload };
    let (reply, receipt) = oneshot::channel();
    place.send(Submission { batch, events, reply });
    match receipt.await {
        Ok(Ok(receipt)) => Ok(receipt),
        Ok(Err(refused)) => Err(unavailable(&refused.to_string())),
        Err(_) => Err(unavailable("it stopped before the events were durable; send them again")),
    }
}

fn answer(receipt: Receipt, rejected: Vec<Rejection>, rejected_total: u64) -> Response {
    let Receipt { accepted, duplicates } = receipt;
    Json(Answer { accepted, duplicates, rejected, rejected_total }).into_response()
}

fn layout(headers: &HeaderMap) -> Result<Layout, Refusal> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = value.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    match &*essence {
        "application/json" => Ok(Layout::Json),
        "application/x-ndjson" => Ok(Layout::Lines),
        other => {
            let given = if other.is_empty() {
                "there is no Content-Type".to_owned()
            } else {
                format!("Content-Type {other:?} is not known")
            };
            let problem =
                Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("{given}; send one of {MEDIA_TYPES}"));
            Err(("media_type", problem.header(header::ACCEPT, MEDIA_TYPES)))
        }
    }
}

fn packing(headers: &HeaderMap) -> Result<Packing, Refusal> {
    let value = headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("identity");
    match &*value.trim().to_ascii_lowercase() {
        "identity" | "" => Ok(Packing::Plain),
        "gzip" | "x-gzip" => Ok(Packing::Gzip),
        "zstd" => Ok(Packing::Zstd),
        other => {
            let detail = format!("Content-Encoding {other:?} is not known; send gzip, zstd, or none");
            let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail);
            Err(("media_type", problem.header(header::ACCEPT_ENCODING, "gzip, zstd")))
        }
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<Box<str>>, Refusal> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= KEY_BYTES_MAX => Ok(Some(key.into())),
        _ => Err(unreadable(format!("Idempotency-Key has 1 to {KEY_BYTES_MAX} visible ASCII characters"))),
    }
}

fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn unreadable(detail: String) -> Refusal {
    ("unreadable", Problem::new(StatusCode::BAD_REQUEST, detail))
}

fn full() -> Refusal {
    let detail = "too much is waiting; nothing of this body was taken, send it again a little later";
    ("full", Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).header(header::RETRY_AFTER, "1"))
}

fn unavailable(detail: &str) -> Refusal {
    ("unavailable", Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).header(header::RETRY_AFTER, "5"))
}

fn is_length_limit(error: &axum::Error) -> bool {
    problem::causes(error).any(|cause| cause.is::<http_body_util::LengthLimitError>())
}

/// Why a body could not be unpacked, or packed for the journal.
enum Unpack {
    TooLarge,
    Broken(std::io::Error),
    Memory(std::io::Error),
}

fn unpack(packing: Packing, body: Bytes, bytes_max: usize) -> Result<Bytes, Unpack> {
    match packing {
        Packing::Plain => Ok(body),
        Packing::Gzip => limited(flate2::read::MultiGzDecoder::new(&*body), bytes_max),
        Packing::Zstd => limited(zstd::Decoder::new(&*body).map_err(Unpack::Broken)?, bytes_max),
    }
}

/// Unpacks no more than `bytes_max`, however small what was sent is.
fn limited(reader: impl Read, bytes_max: usize) -> Result<Bytes, Unpack> {
    let mut unpacked = Vec::new();
    reader.take(bytes_max as u64 + 1).read_to_end(&mut unpacked).map_err(Unpack::Broken)?;
    if unpacked.len() > bytes_max { Err(Unpack::TooLarge) } else { Ok(unpacked.into()) }
}
