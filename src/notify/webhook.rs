//! Carries alerts to a webhook, as the Standard Webhooks specification (1.0) has it: each page and each end is one POST,
//! with an id that stays the same however often it is tried, a timestamp and a signature.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use ring::hmac;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use tokio::task::JoinSet;

use super::carrier::{Failure, Post, Told};
use super::decision::Tell;
use super::outbox::{Firing, Message};
use super::peer::{Peer, PeerError, Wire};
use crate::config::{Receiver, Secret};
use crate::model::incident::IncidentId;
use crate::model::time::{Instant, Span};

/// Requests at once: enough that a slow gateway keeps up with a storm, few enough not to be one.
const REQUESTS_MAX: usize = 16;
/// So many must have room before more is looked for, which costs a look at all that is told.
const ROOM_LEAST: usize = 8;

/// Finds an incident as the API shows it.
#[derive(Clone)]
pub struct Find(pub Arc<dyn Fn(IncidentId) -> Option<Value> + Send + Sync>);

impl fmt::Debug for Find {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Find")
    }
}

/// A webhook.
#[derive(Debug)]
pub(super) struct Webhook {
    place: usize,
    peer: Peer,
    key: Option<hmac::Key>,
}

/// A message as it is posted.
#[derive(Debug, Serialize)]
struct Posted {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: String,
    data: Data,
}

#[derive(Debug, Serialize)]
struct Data {
    labels: BTreeMap<&'static str, String>,
    annotations: BTreeMap<&'static str, String>,
    starts: String,
    ends: Option<String>,
    generator_url: String,
    /// As `GET /api/v1/incidents/{id}` shows it.
    incident: Option<Value>,
}

impl Webhook {
    pub(super) fn new(
        place: usize,
        receiver: &Receiver,
        secret: Option<Secret>,
        wire: &Wire,
    ) -> Result<Self, String> {
        let key = secret.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, &secret.0));
        Ok(Self { place, peer: Peer::new(&receiver.access, wire)?, key })
    }

    /// Tells everything that is due, several at a time.
    pub(super) async fn tell(&mut self, post: &Post) -> Told {
        let mut requests: JoinSet<(Message, Result<String, PeerError>)> = JoinSet::new();
        let mut flying: BTreeSet<Firing> = BTreeSet::new();
        let mut failure: Option<Failure> = None;
        loop {
            let mut next = None;
            // After a failure what is under way is waited for, and nothing more is tried.
            if failure.is_none() && requests.len() + ROOM_LEAST <= REQUESTS_MAX {
                let due = post.outbox.due(self.place, post.clock.now(), REQUESTS_MAX - requests.len(), &flying);
                next = due.next;
                for message in due.messages {
                    flying.insert(message.firing.clone());
                    let request = self.request(&message, post);
                    let peer = self.peer.clone();
                    requests.spawn(async move {
                        let answer = peer.send(request).await.map(|response| response.status().to_string());
                        (message, answer)
                    });
                }
            }
            // A request never panics, and nothing cancels it.
            let Some(Ok((message, answer))) = requests.join_next().await else {
                return failure.map_or(Ok(next), Err);
            };
            flying.remove(&message.firing);
            let now = post.clock.now();
            match answer {
                Ok(answer) => post.outbox.accepted(self.place, &[message], &answer, now),
                Err(PeerError::Refused(answer)) => {
                    tracing::error!(%answer, page = message.page, "a webhook refused a message for good");
                    post.outbox.refused(self.place, &message, &answer, now);
                }
                Err(PeerError::Passing(error)) => {
                    let messages = failure.map_or(1, |failure| failure.messages + 1);
                    failure = Some(Failure { messages, error });
                }
            }
        }
    }

    fn request(&self, message: &Message, post: &Post) -> reqwest::RequestBuilder {
        let id = id(message);
        // The timestamp of the request is of this try, so that it is fresh when it is checked.
        let now = post.clock.now();
        let seconds = (now.as_micros() / Span::from_secs(1).as_micros()).to_string();
        // A message is plain data: writing it cannot fail.
        let body = serde_json::to_vec(&posted(message, post, now)).unwrap_or_default();
        let request = self
            .peer
            .request(Method::POST, "")
            .header("content-type", "application/json")
            .header("webhook-id", &id)
            .header("idempotency-key", &id)
            .header("webhook-timestamp", &seconds);
        let request = match &self.key {
            Some(key) => request.header("webhook-signature", signature(key, &id, &seconds, &body)),
            None => request,
        };
        request.body(body)
    }
}

/// Names the message: the same for every try, and after a restart.
fn id(message: &Message) -> String {
    match message.tell {
        Tell::End => format!("{}-resolved", message.page),
        Tell::Anew(since) => format!("{}-firing-{}", message.page, since.as_micros()),
        Tell::News | Tell::Again => format!("{}-firing", message.page),
    }
}

fn signature(key: &hmac::Key, id: &str, seconds: &str, body: &[u8]) -> String {
    let mut signed = hmac::Context::with_key(key);
    for part in [id.as_bytes(), b".", seconds.as_bytes(), b".", body] {
        signed.update(part);
    }
    format!("v1,{}", STANDARD.encode(signed.sign()))
}

fn posted(message: &Message, post: &Post, now: Instant) -> Posted {
    let alert = &message.alert;
    let ended = message.ended;
    Posted {
        kind: if message.tell == Tell::End { "alert.resolved" } else { "alert.firing" },
        timestamp: now.to_string(),
        data: Data {
            labels: alert.key.labels().into_iter().collect(),
            annotations: post.wording.annotations(alert, ended),
            starts: alert.starts.to_string(),
            ends: ended.map(|ended| ended.to_string()),
            generator_url: post.wording.generator_url(&alert.key),
            incident: alert.key.incident().and_then(|id| (post.find.0)(id)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification, worked out with its own reference library.
    #[test]
    fn a_signature_is_what_the_specification_says() {
        let secret = STANDARD.decode("plJ3nmyCDGBKInavdOK15jsl").unwrap();
        let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let body = br#"{"event_type":"ping","data":{"success":true}}"#;
        let signed = signature(&key, "msg_loFOjxBNrRLzqYUf", "1731705121", body);
        assert_eq!(signed, "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=");
    }
}
