//! Changes of incidents as they come about: server-sent events, with `Last-Event-ID` to go on where one left off.
//!
//! Whoever follows is given one change at a time, when there is room on the connection for it: one who is slow holds
//! nobody up, and one who falls behind what is kept is told to read the incidents anew.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::api::Reading;
use super::incident::Incident;
use super::json;
use super::words::Time;
use crate::problem::{self, Problem};
use crate::store::changes::{Change, Changes, Cursor, Next};

/// Those who follow at once: boards and scripts, each on a connection of its own, of which there are 900 at most and
/// some must be left for events.
const FOLLOWERS_MAX: usize = 256;
/// How often a comment is sent while nothing happens, so that nobody between takes the connection for dead.
const KEEP_ALIVE_SECONDS: u64 = 15;

/// What the route works with.
#[derive(Clone, Debug)]
pub struct Following {
    reading: Arc<Reading>,
    changes: Changes,
    places: Arc<Semaphore>,
    stopping: CancellationToken,
}

/// A change of an incident: the data of an event `incident`.
#[derive(Debug, Serialize, ToSchema)]
pub struct IncidentChange {
    /// Why, in one word, such as `opened`, `escalated`, `acknowledged`, `breached`, `restored`, `verified`, `corrected`
    /// or `merged`.
    reason: &'static str,
    /// When it came about.
    at: Time,
    /// The incident as it stood from then on; its services and regions are those known when it is sent.
    incident: Incident,
}

/// That changes were missed: the data of an event `reset`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Reset {
    /// What happened.
    reason: &'static str,
    /// What to read anew.
    read: &'static str,
}

impl Following {
    /// For the changes of `changes`, until `stopping` is cancelled.
    #[must_use]
    pub fn new(reading: Arc<Reading>, changes: Changes, stopping: CancellationToken) -> Self {
        Self { reading, changes, places: Arc::new(Semaphore::new(FOLLOWERS_MAX)), stopping }
    }
}

/// Changes of incidents, as they come about
///
/// Server-sent events. An event `incident` is a change of an incident (`IncidentChange`), sent once what caused it is
/// durable; its `id` is a cursor that means the same after a restart. With the last `id` in `Last-Event-ID` one goes on
/// without loss. Where that is not possible, because too much has happened since, an event `reset` (`Reset`) says to
/// read `/api/v1/incidents` anew, and what changes from then on follows. The first block has only an `id`: open the
/// stream, then read the incidents, and nothing is missed. A comment is sent every 15 s.
#[utoipa::path(
    get, path = "/api/v1/stream", tag = "incidents",
    params((
        "Last-Event-ID" = Option<String>, Header, nullable = false,
        description = "The `id` of the last event that was received."
    )),
    responses(
        (status = 200, description = "The changes, without end.", body = String, content_type = "text/event-stream"),
        (status = 503, response = problem::Unavailable),
    )
)]
pub async fn follow(State(following): State<Arc<Following>>, headers: HeaderMap) -> Response {
    let Ok(place) = following.places.clone().try_acquire_owned() else {
        let detail = format!("{FOLLOWERS_MAX} follow already, which is the most");
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail);
        return problem.header(header::RETRY_AFTER, "5").into_response();
    };
    let begin = match headers.get("last-event-id").map(|id| id.to_str().ok().and_then(|id| id.parse().ok())) {
        None => Begin::Live,
        Some(Some(cursor)) => Begin::After(cursor),
        Some(None) => Begin::Anew,
    };
    let news = following.changes.news();
    let follower = Follower { following, news, _place: place, begin: Some(begin), cursor: Cursor::default() };
    let events = stream::unfold(follower, async |mut follower| {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(event), follower))
    });
    Sse::new(Box::pin(events))
        .keep_alive(KeepAlive::new().interval(Duration::from_secs(KEEP_ALIVE_SECONDS)))
        .into_response()
}

/// Where somebody begins to follow.
#[derive(Clone, Copy)]
enum Begin {
    /// With the next change.
    Live,
    /// After one that was received.
    After(Cursor),
    /// With all of it to be read anew.
    Anew,
}

/// One who follows.
struct Follower {
    following: Arc<Following>,
    news: watch::Receiver<()>,
    _place: OwnedSemaphorePermit,
    /// Where to begin; absent once that is done.
    begin: Option<Begin>,
    /// The last change that was sent.
    cursor: Cursor,
}

impl Follower {
    /// The next event; none when it is the end.
    async fn next(&mut self) -> Option<Event> {
        match self.begin.take() {
            None => {}
            Some(Begin::Live) => {
                self.cursor = self.following.changes.last();
                return Some(Event::default().id(self.cursor.to_string()));
            }
            Some(Begin::Anew) => return Some(self.reset()),
            Some(Begin::After(cursor)) => self.cursor = cursor,
        }
        loop {
            // Seen before it is looked: what comes in between is news again.
            self.news.borrow_and_update();
            match self.following.changes.after(self.cursor) {
                _ if self.following.stopping.is_cancelled() => return None,
                Next::Change(change) => {
                    self.cursor = change.cursor;
                    return Some(self.event(&change));
                }
                Next::Lost => return Some(self.reset()),
                Next::Nothing => {}
            }
            tokio::select! {
                () = self.following.stopping.cancelled() => return None,
                changed = self.news.changed() => changed.ok()?,
            }
        }
    }

    fn event(&self, change: &Change) -> Event {
        let shown = change.shown.get_or_init(|| {
            let engine = self.following.reading.engine();
            let incident = json::incident(&engine, &change.incident, change.at);
            drop(engine);
            let change = IncidentChange { reason: change.reason, at: Time(change.at), incident };
            serde_json::to_string(&change).unwrap_or_default()
        });
        Event::default().event("incident").id(change.cursor.to_string()).data(shown)
    }

    fn reset(&mut self) -> Event {
        self.cursor = self.following.changes.last();
        let reset = Reset {
            reason: "what came after the last event received is not kept any more",
            read: "/api/v1/incidents",
        };
        let data = serde_json::to_string(&reset).unwrap_or_default();
        Event::default().event("reset").id(self.cursor.to_string()).data(data)
    }
}
