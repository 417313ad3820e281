//! Carries what is due to one receiver, for as long as the daemon runs: at once when there is news, again when a try
//! failed, and once more when the end comes.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::alertmanager::Alertmanager;
use super::outbox::Outbox;
use super::peer::Wire;
use super::webhook::{Find, Webhook};
use super::words::Wording;
use crate::clock::Clock;
use crate::config::{Receiver, ReceiverKind};
use crate::model::delivery::Acknowledgement;
use crate::model::time::Instant;
use crate::threads::aside;

/// The pause after the first failure; it doubles up to the last. Each is drawn between half and all of it, so that many
/// receivers behind one broken link do not come back in step.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_LAST: Duration = Duration::from_secs(10);
/// News is tried in spite of a pause, but not sooner than this after the last failure; and what could not be written down.
const PAUSE_LEAST: Duration = Duration::from_millis(500);
/// The longest sleep, so that a step of the machine's clock is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(10);

/// What every carrier works with.
#[derive(Clone, Debug)]
pub struct Post {
    /// What is to be told.
    pub outbox: Outbox,
    /// What alerts say.
    pub wording: Wording,
    /// Tells the time.
    pub clock: Clock,
    /// Where acknowledgements go that were made elsewhere.
    pub acknowledgements: mpsc::Sender<Acknowledgement>,
    /// Where an incident is found as it is shown.
    pub find: Find,
    /// What carries it.
    pub wire: Wire,
}

/// Carries alerts to one receiver.
#[derive(Debug)]
pub struct Carrier {
    /// Its place among the outbox's receivers.
    place: usize,
    name: String,
    way: Way,
    post: Post,
}

#[derive(Debug)]
enum Way {
    Alertmanager(Alertmanager),
    Webhook(Webhook),
}

impl Carrier {
    /// A carrier to the receiver at `place`.
    ///
    /// # Errors
    /// When a certificate or a key cannot be read.
    pub fn new(place: usize, receiver: &Receiver, post: Post) -> Result<Self, String> {
        let way = match &receiver.kind {
            ReceiverKind::Alertmanager => Way::Alertmanager(Alertmanager::new(place, receiver, &post)?),
            ReceiverKind::Webhook { secret } => {
                Way::Webhook(Webhook::new(place, receiver, secret.clone(), &post.wire)?)
            }
        };
        Ok(Self { place, name: receiver.name.clone(), way, post })
    }

    /// Tells until `stop` is cancelled, and then once more what is new.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut news = self.post.outbox.news();
        let mut pause = PAUSE_FIRST;
        let mut writing: Option<JoinHandle<()>> = None;
        loop {
            let last_round = stop.is_cancelled();
            // Marked before looking, so that what comes while looking is looked at again.
            news.mark_unchanged();
            let told = match &mut self.way {
                Way::Alertmanager(way) => way.tell(&self.post).await,
                Way::Webhook(way) => way.tell(&self.post).await,
            };
            // No page waits until what was told before is written down.
            if last_round && let Some(writing) = writing.take() {
                let _ = writing.await;
            }
            if writing.as_ref().is_none_or(JoinHandle::is_finished) && self.post.outbox.is_unwritten() {
                writing = Some(self.write_down());
            }
            if last_round {
                if let Some(writing) = writing {
                    let _ = writing.await;
                }
                return;
            }
            match told {
                Ok(next) => {
                    pause = PAUSE_FIRST;
                    let sleep = next.map_or(SLEEP_MAX, |next| self.post.clock.until(next).min(SLEEP_MAX));
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => {}
                        _ = news.changed() => {}
                        () = tokio::time::sleep(sleep) => {}
                        // What was accepted meanwhile is written down as well.
                        () = finished(&mut writing) => {}
                    }
                }
                Err(failure) => {
                    let now = self.post.clock.now();
                    self.post.outbox.failed(self.place, failure.messages, &failure.error, now);
                    // Counts what waits.
                    self.post.outbox.due(self.place, now, 0, &BTreeSet::new());
                    let drawn = pause.mul_f64(0.5 + fastrand::f64() / 2.0);
                    tracing::warn!(
                        receiver = %self.name, error = %failure.error, retry_in = ?drawn, "alerts could not be delivered"
                    );
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(drawn) => {}
                        () = async {
                            tokio::time::sleep(PAUSE_LEAST).await;
                            let _ = news.changed().await;
                        } => {}
                    }
                    pause = (pause * 2).min(PAUSE_LAST);
                }
            }
        }
    }

    /// Writes down what was accepted, on a thread that may wait for the database.
    fn write_down(&self) -> JoinHandle<()> {
        let outbox = self.post.outbox.clone();
        tokio::spawn(async move {
            let written = aside(move || outbox.write_down()).await;
            if let Ok(Err(error)) = written {
                tracing::warn!(%error, "what a receiver accepted is not written down yet; it may be told twice");
                tokio::time::sleep(PAUSE_LEAST).await;
            }
        })
    }
}

/// When the writing under way is done, if one is and something came after it.
async fn finished(writing: &mut Option<JoinHandle<()>>) {
    match writing {
        Some(handle) if !handle.is_finished() => {
            let _ = handle.await;
            *writing = None;
        }
        _ => std::future::pending().await,
    }
}

/// Something could not be told.
#[derive(Debug)]
pub(super) struct Failure {
    /// So many messages.
    pub(super) messages: usize,
    pub(super) error: String,
}

/// When to look again; absent: when there is news.
pub(super) type Told = Result<Option<Instant>, Failure>;
