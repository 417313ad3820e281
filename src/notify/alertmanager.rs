//! Carries alerts to an Alertmanager, API v2, as its own clients do: resent while they fire, with an end ahead that
//! lapses if we die; told over with their true end. What it holds is read back, so that one that lost its state has it
//! again within seconds, and what silences or inhibits an alert is known here.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::carrier::{Failure, Post, Told};
use super::outbox::{Message, labels_hash};
use super::peer::{Peer, PeerError, Wire};
use super::words::Wording;
use crate::config::Receiver;
use crate::model::alert::AlertName;
use crate::model::delivery::{Acknowledgement, Muted, Silence};
use crate::model::time::{Instant, Span};

/// An alert's end lies this many resend intervals ahead, so that three lost ones do not end it. Prometheus does the
/// same.
const LEASE_RESENDS: i64 = 4;
/// Alerts in one request: some 500 KB.
const BATCH_MAX: usize = 500;
/// How often it is asked what it holds, and how many times as long as that took is waited at least: a storm's answer is
/// large.
const ASKED_EVERY: Span = Span::from_secs(5);
const ASKED_SHARE: i64 = 20;

/// One Alertmanager.
#[derive(Debug)]
pub struct Alertmanager {
    place: usize,
    peer: Peer,
    resend: Span,
    started: Instant,
    /// A silence whose comment begins so acknowledges.
    acknowledges: Option<String>,
    watchdog_at: Option<Instant>,
    ask_at: Instant,
    asking: Option<oneshot::Receiver<Answer>>,
    /// Since when it runs, as it says.
    runs_since: Option<String>,
    /// It did not answer the last time, so that it may not be the same process any more.
    in_doubt: bool,
}

/// An alert as the API takes it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Posted {
    labels: BTreeMap<&'static str, String>,
    annotations: BTreeMap<&'static str, String>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: String,
}

/// An alert as the API shows it.
#[derive(Debug, Deserialize)]
struct Held {
    labels: BTreeMap<String, String>,
    fingerprint: String,
    status: HeldStatus,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeldStatus {
    #[serde(default)]
    silenced_by: Vec<String>,
    #[serde(default)]
    inhibited_by: Vec<String>,
}

/// A silence as the API shows it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeldSilence {
    id: String,
    #[serde(default)]
    created_by: String,
    #[serde(default)]
    comment: String,
    updated_at: Option<String>,
    ends_at: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Running {
    uptime: String,
    config: RunningConfig,
}

#[derive(Debug, Deserialize)]
struct RunningConfig {
    original: String,
}

/// What it holds, and since when it runs.
#[derive(Debug)]
struct Holds {
    uptime: String,
    alerts: Vec<Held>,
    silences: Vec<HeldSilence>,
}

/// What it said of that.
#[derive(Debug)]
struct Answer {
    asked: Instant,
    took: Span,
    holds: Result<Holds, PeerError>,
}

async fn fetch(peer: &Peer) -> Result<Holds, PeerError> {
    let running: Running = get(peer, "/api/v2/status").await?;
    let alerts: Vec<Held> = get(peer, "/api/v2/alerts?filter=source%3D%22fournines%22").await?;
    let are_silenced = alerts.iter().any(|alert| !alert.status.silenced_by.is_empty());
    let silences = if are_silenced { get(peer, "/api/v2/silences").await? } else { Vec::new() };
    Ok(Holds { uptime: running.uptime, alerts, silences })
}

async fn get<T: serde::de::DeserializeOwned>(peer: &Peer, path: &str) -> Result<T, PeerError> {
    let response = peer.send(peer.request(Method::GET, path)).await?;
    response.json().await.map_err(|error| PeerError::Passing(super::peer::causes(&error)))
}

/// The `resolve_timeout` under which an Alertmanager runs.
///
/// # Errors
/// When it cannot be asked, or does not say.
pub async fn resolve_timeout(receiver: &Receiver) -> Result<Span, String> {
    let peer = Peer::new(&receiver.access, &Wire::default())?;
    let running: Running = get(&peer, "/api/v2/status").await.map_err(|error| error.to_string())?;
    let said = running.config.original.lines().find_map(|line| line.trim().strip_prefix("resolve_timeout:"));
    let said = said.ok_or("it does not say its resolve_timeout")?.trim();
    duration(said).ok_or_else(|| format!("its resolve_timeout of {said:?} is not understood"))
}

/// A duration as Prometheus writes one, such as `1h30m`.
fn duration(text: &str) -> Option<Span> {
    let mut total = Span::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, after) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
        let micros: i64 = match unit {
            "ms" => 1_000,
            "s" => 1_000_000,
            "m" => 60_000_000,
            "h" => 3_600_000_000,
            "d" => 86_400_000_000,
            "w" => 604_800_000_000,
            "y" => 31_536_000_000_000,
            _ => return None,
        };
        total = total.plus(Span::from_micros(micros.checked_mul(number.parse().ok()?)?));
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

impl Alertmanager {
    pub(super) fn new(place: usize, receiver: &Receiver, post: &Post) -> Result<Self, String> {
        let settings = post.outbox.settings();
        Ok(Self {
            place,
            peer: Peer::new(&receiver.access, &post.wire)?,
            resend: settings.resend_interval,
            started: post.clock.now(),
            acknowledges: settings.acknowledge_by_silence.clone(),
            watchdog_at: None,
            ask_at: Instant::MIN,
            asking: None,
            runs_since: None,
            in_doubt: false,
        })
    }

    /// How long a receiver goes on believing what it was told last.
    #[must_use]
    pub const fn lease(resend: Span) -> Span {
        Span::from_micros(resend.as_micros().saturating_mul(LEASE_RESENDS))
    }

    /// Tells everything that is due, and asks what it holds when it is time for that.
    pub(super) async fn tell(&mut self, post: &Post) -> Told {
        let told = self.tell_all(post).await;
        self.in_doubt |= told.is_err();
        told
    }

    async fn tell_all(&mut self, post: &Post) -> Told {
        let now = post.clock.now();
        let watchdog_due = self.watchdog_at.map(|at| at.plus(self.resend)).filter(|&due| due > now);
        if watchdog_due.is_none() {
            let watchdog = self.watchdog(&post.wording, now);
            self.post(&[watchdog]).await.map_err(|error| Failure { messages: 1, error: error.to_string() })?;
            self.watchdog_at = Some(now);
        }
        loop {
            // Looked at anew each time: a page that comes meanwhile goes before a hundred thousand tickets.
            let now = post.clock.now();
            let due = post.outbox.due(self.place, now, BATCH_MAX, &Default::default());
            if due.messages.is_empty() {
                match self.asking.as_mut().map(oneshot::Receiver::try_recv) {
                    Some(Ok(answer)) => {
                        self.asking = None;
                        self.heard(answer, post);
                        continue;
                    }
                    Some(Err(oneshot::error::TryRecvError::Closed)) => self.asking = None,
                    Some(Err(oneshot::error::TryRecvError::Empty)) | None => {}
                }
                if self.asking.is_none() && now >= self.ask_at {
                    self.ask(post, now);
                }
                let ask_at = self.asking.is_none().then_some(self.ask_at);
                let others = [self.watchdog_at.map(|at| at.plus(self.resend)), ask_at, due.next];
                return Ok(others.into_iter().flatten().min());
            }
            let posted: Vec<Posted> =
                due.messages.iter().map(|message| self.posted(message, &post.wording, now)).collect();
            match self.post(&posted).await {
                Ok(answer) => post.outbox.accepted(self.place, &due.messages, &answer, post.clock.now()),
                Err(PeerError::Passing(error)) => return Err(Failure { messages: due.messages.len(), error }),
                Err(PeerError::Refused(answer)) => self.one_by_one(&due.messages, posted, &answer, post).await?,
            }
        }
    }

    /// It refused them together, and takes those that nothing is wrong with one by one.
    async fn one_by_one(
        &self,
        messages: &[Message],
        posted: Vec<Posted>,
        answer: &str,
        post: &Post,
    ) -> Result<(), Failure> {
        tracing::warn!(%answer, alerts = messages.len(), "alerts were refused together and are tried one by one");
        for (message, posted) in messages.iter().zip(posted) {
            match self.post(&[posted]).await {
                Ok(answer) => {
                    let message = std::slice::from_ref(message);
                    post.outbox.accepted(self.place, message, &answer, post.clock.now());
                }
                Err(PeerError::Refused(answer)) => {
                    tracing::error!(%answer, page = message.page, "an Alertmanager refused an alert for good");
                    post.outbox.refused(self.place, message, &answer, post.clock.now());
                }
                Err(PeerError::Passing(error)) => return Err(Failure { messages: 1, error }),
            }
        }
        Ok(())
    }

    async fn post(&self, alerts: &[Posted]) -> Result<String, PeerError> {
        let request = self.peer.request(Method::POST, "/api/v2/alerts").json(alerts);
        self.peer.send(request).await.map(|response| response.status().to_string())
    }

    /// Asks what it holds, beside the telling: no page waits for the answer.
    fn ask(&mut self, post: &Post, asked: Instant) {
        let (answer, asking) = oneshot::channel();
        let (peer, clock, outbox) = (self.peer.clone(), post.clock.clone(), post.outbox.clone());
        tokio::spawn(async move {
            let holds = fetch(&peer).await;
            // Whoever no longer waits does not miss it.
            let _ = answer.send(Answer { asked, took: clock.now().since(asked), holds });
            outbox.wake();
        });
        self.asking = Some(asking);
    }

    /// Has told again what it lost, and acknowledges what it was silenced for.
    fn heard(&mut self, answer: Answer, post: &Post) {
        let pause = Span::from_micros(answer.took.as_micros().saturating_mul(ASKED_SHARE));
        self.ask_at = post.clock.now().plus(pause.max(ASKED_EVERY));
        let holds = match answer.holds {
            Ok(holds) => holds,
            // That holds up no page: whether it takes what it is told is seen when it is told.
            Err(error) => {
                if !self.in_doubt {
                    tracing::warn!(receiver = %self.peer.url(), %error, "it does not say what it holds");
                }
                self.in_doubt = true;
                return;
            }
        };
        let restarted = self.runs_since.as_ref().is_some_and(|known| *known != holds.uptime);
        self.runs_since = Some(holds.uptime);
        let held = muted(&holds.alerts, holds.silences);
        let lost = post.outbox.holds(self.place, answer.asked, &held, restarted || self.in_doubt);
        if lost > 0 {
            tracing::warn!(receiver = %self.peer.url(), alerts = lost, restarted, "it lost alerts, and is told them again");
        }
        if let Some(prefix) = &self.acknowledges {
            for acknowledgement in post.outbox.acknowledged_by_silence(self.place, prefix) {
                // Tried again with the next look if there is no room.
                let _ = post.acknowledgements.try_send(acknowledgement);
            }
        }
        self.in_doubt = false;
    }

    fn posted(&self, message: &Message, wording: &Wording, now: Instant) -> Posted {
        let alert = &message.alert;
        Posted {
            labels: alert.key.labels().into_iter().collect(),
            annotations: wording.annotations(alert, message.ended),
            starts_at: alert.starts.to_string(),
            ends_at: message.ended.unwrap_or(now.plus(Self::lease(self.resend))).to_string(),
            generator_url: wording.generator_url(&alert.key),
        }
    }

    /// The alert that always fires: its absence means that this daemon or the path is dead.
    fn watchdog(&self, wording: &Wording, now: Instant) -> Posted {
        Posted {
            labels: BTreeMap::from([("alertname", "Watchdog".to_owned()), ("source", "fournines".to_owned())]),
            annotations: wording.alive(),
            starts_at: self.started.to_string(),
            ends_at: now.plus(Self::lease(self.resend)).to_string(),
            generator_url: wording.generator_url_of_daemon(),
        }
    }
}

/// By the hash of an alert's labels: what mutes it.
fn muted(held: &[Held], silences: Vec<HeldSilence>) -> BTreeMap<u64, Muted> {
    let instant = |text: Option<String>| text.and_then(|text| text.parse().ok());
    let silences: BTreeMap<String, Silence> = silences
        .into_iter()
        .map(|held| {
            let (updated, until) = (instant(held.updated_at), instant(held.ends_at));
            let silence =
                Silence { id: held.id.clone(), by: held.created_by, comment: held.comment, updated, until };
            (held.id, silence)
        })
        .collect();
    let names: BTreeMap<&str, String> = held
        .iter()
        .map(|alert| {
            let label = |name: &str| alert.labels.get(name).map(String::as_str);
            let of = label("level").or(label("severity")).unwrap_or_default();
            let name = format!("{} {of}", label("alertname").unwrap_or_default());
            (alert.fingerprint.as_str(), name.trim_end().to_owned())
        })
        .collect();
    let unknown = |id: &String| Silence {
        id: id.clone(),
        by: String::new(),
        comment: String::new(),
        updated: None,
        until: None,
    };
    let muted = |alert: &Held| Muted {
        silences: alert
            .status
            .silenced_by
            .iter()
            .map(|id| silences.get(id).cloned().unwrap_or_else(|| unknown(id)))
            .collect(),
        inhibited_by: alert
            .status
            .inhibited_by
            .iter()
            // One that is not ours is named by its fingerprint.
            .map(|by| names.get(by.as_str()).cloned().unwrap_or_else(|| by.clone()))
            .collect(),
    };
    held.iter()
        .map(|alert| {
            let labels: Vec<(&str, String)> =
                alert.labels.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
            (labels_hash(&labels), muted(alert))
        })
        .collect()
}

impl super::outbox::Outbox {
    /// The incidents that a silence of this Alertmanager acknowledges: one on the page of the interruption, whose comment
    /// begins with `prefix`, made after the last acknowledgement.
    fn acknowledged_by_silence(&self, place: usize, prefix: &str) -> Vec<Acknowledgement> {
        let mut found = Vec::new();
        for (alert, muted) in self.muted(place) {
            let (Some(incident), Some(facts)) = (alert.key.incident(), &alert.facts.incident) else { continue };
            if alert.key.name != AlertName::ServiceInterruption {
                continue;
            }
            let later = |silence: &&Silence| {
                let after = facts.acknowledged.is_none_or(|at| silence.updated.is_some_and(|made| made > at));
                silence.comment.starts_with(prefix) && after
            };
            if let Some(silence) = muted.silences.iter().find(later) {
                found.push(Acknowledgement {
                    incident,
                    id: format!("silence {} of {incident}", silence.id),
                    by: silence.by.clone(),
                    detail: silence.comment.clone(),
                });
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_read_as_prometheus_writes_it() {
        assert_eq!(duration("5m"), Some(Span::from_mins(5)));
        assert_eq!(duration("1h30m"), Some(Span::from_mins(90)));
        assert_eq!(duration("1d500ms"), Some(Span::from_micros(86_400_500_000)));
        for wrong in ["", "m", "5", "5 m", "5x"] {
            assert_eq!(duration(wrong), None, "{wrong:?}");
        }
    }
}
