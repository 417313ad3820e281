//! Carries alerts to an Alertmanager, API v2, as its own clients do: resent while they fire, with an end ahead that
//! lapses if we die; told over with their true end.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::outbox::{Message, Outbox};
use super::words::Wording;
use crate::clock::Clock;
use crate::model::time::{Instant, Span};
use crate::telemetry::Telemetry;

/// An alert's end lies this many resend intervals ahead, so that three lost ones do not end it. Prometheus does the
/// same.
const LEASE_RESENDS: i64 = 4;
/// Alerts in one request: some 500 KB.
const BATCH_MAX: usize = 500;
/// How long one request may take.
const REQUEST_SECONDS_MAX: u64 = 10;
/// The pause after the first failure; it doubles up to the last.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_LAST: Duration = Duration::from_secs(30);

/// One Alertmanager.
#[derive(Debug)]
pub struct Alertmanager {
    /// Its place among the outbox's receivers.
    pub place: usize,
    /// Its base URL, which is its name as a receiver too.
    pub url: String,
    /// How it is reached.
    pub client: reqwest::Client,
    /// What is to be told.
    pub outbox: Outbox,
    /// What alerts say.
    pub wording: Wording,
    /// How often a firing alert is told again.
    pub resend: Span,
    /// Tells the time.
    pub clock: Clock,
    /// Counts.
    pub telemetry: Telemetry,
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

impl Alertmanager {
    /// How long a receiver goes on believing what it was told last.
    #[must_use]
    pub const fn lease(resend: Span) -> Span {
        Span::from_micros(resend.as_micros().saturating_mul(LEASE_RESENDS))
    }

    /// Tells until `stop` is cancelled, and then once more what is new.
    pub async fn run(self, stop: CancellationToken) {
        let started = self.clock.now();
        let mut news = self.outbox.news();
        let mut watchdog_at: Option<Instant> = None;
        let mut pause = PAUSE_FIRST;
        let mut writing: Option<JoinHandle<()>> = None;
        loop {
            let last_round = stop.is_cancelled();
            // Marked before looking, so that what comes while looking is looked at again.
            news.mark_unchanged();
            let told = self.tell(started, &mut watchdog_at).await;
            // No page waits until what was told before is written down.
            if last_round && let Some(writing) = writing.take() {
                let _ = writing.await;
            }
            if writing.as_ref().is_none_or(JoinHandle::is_finished) {
                writing = Some(self.write_down());
            }
            if last_round {
                if let Some(writing) = writing {
                    let _ = writing.await;
                }
                return;
            }
            match told {
                Ok(()) => {
                    pause = PAUSE_FIRST;
                    // Resends are spread over their interval by when each alert was told; a second is near enough.
                    tokio::select! {
                        () = stop.cancelled() => {}
                        _ = news.changed() => {}
                        () = tokio::time::sleep(Duration::from_secs(1)) => {}
                    }
                }
                Err(error) => {
                    tracing::warn!(receiver = %self.url, %error, retry_in = ?pause, "alerts could not be delivered");
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(pause) => {}
                    }
                    pause = (pause * 2).min(PAUSE_LAST);
                }
            }
        }
    }

    /// Tells everything that is due.
    async fn tell(&self, started: Instant, watchdog_at: &mut Option<Instant>) -> Result<(), String> {
        let now = self.clock.now();
        if watchdog_at.is_none_or(|at| now.since(at) >= self.resend) {
            self.post(&[self.watchdog(started, now)]).await?;
            *watchdog_at = Some(now);
        }
        loop {
            // Looked at anew each time: a page that comes meanwhile goes before a hundred thousand tickets.
            let now = self.clock.now();
            let messages = self.outbox.due(self.place, now, self.resend, BATCH_MAX);
            if messages.is_empty() {
                return Ok(());
            }
            let posted: Vec<Posted> = messages.iter().map(|message| self.posted(message, now)).collect();
            self.post(&posted).await?;
            self.outbox.accepted(self.place, &messages, self.clock.now());
        }
    }

    /// Writes down what was accepted, on a thread that may wait for the database.
    fn write_down(&self) -> JoinHandle<()> {
        let outbox = self.outbox.clone();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = outbox.write_down() {
                tracing::warn!(%error, "what a receiver accepted is not written down yet; it may be told twice");
            }
        })
    }

    async fn post(&self, alerts: &[Posted]) -> Result<(), String> {
        let request = self.client.post(format!("{}/api/v2/alerts", self.url)).json(alerts);
        let sent = request.timeout(Duration::from_secs(REQUEST_SECONDS_MAX)).send().await;
        let outcome = match sent {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => {
                let status = response.status();
                let text: String = response.text().await.unwrap_or_default().chars().take(300).collect();
                Err(format!("{status}: {text}"))
            }
            Err(error) => Err(causes(&error)),
        };
        let name = if outcome.is_ok() { "accepted" } else { "failed" };
        self.telemetry.alerts_sent.with_label_values(&[&*self.url, name]).inc_by(alerts.len() as u64);
        outcome
    }

    fn posted(&self, message: &Message, now: Instant) -> Posted {
        let Message { alert, ended, .. } = message;
        Posted {
            labels: alert.key.labels().into_iter().collect(),
            annotations: self.wording.annotations(alert, *ended),
            starts_at: alert.starts.to_string(),
            ends_at: ended.unwrap_or(now.plus(Self::lease(self.resend))).to_string(),
            generator_url: self.wording.generator_url(&alert.key),
        }
    }

    /// The alert that always fires: its absence means that this daemon or the path is dead.
    fn watchdog(&self, started: Instant, now: Instant) -> Posted {
        Posted {
            labels: BTreeMap::from([("alertname", "Watchdog".to_owned()), ("source", "fournines".to_owned())]),
            annotations: self.wording.alive(),
            starts_at: started.to_string(),
            ends_at: now.plus(Self::lease(self.resend)).to_string(),
            generator_url: self.wording.generator_url_of_daemon(),
        }
    }
}

/// An error with what caused it: the outermost alone says little.
fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
