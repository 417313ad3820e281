//! The outbox: which alerts fire, which are over, and which receiver was told what.
//!
//! What fires follows from the journal and is there again after any crash. What a receiver was told is a small
//! durable fact, written only after the receiver accepted it; losing one only means that it is told again.
//!
//! Each firing of an alert is an entry of its own. An Alertmanager holds one state by alert, so it is told of the newest
//! only; a webhook is told of each, in order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction};
use tokio::sync::watch;
use xxhash_rust::xxh3::xxh3_64;

use super::decision::{Closed, Entry, Over, Tell, Told, class};
use crate::config::{Alerting, Receiver, ReceiverKind};
use crate::journal::{self, Outlet};
use crate::model::alert::{Alert, AlertKey};
use crate::model::delivery::{Muted, Standing, Suppressed, Why};
use crate::model::effect::{Effect, EffectKind};
use crate::model::incident::{IncidentId, Interruption};
use crate::model::time::{Instant, Span};
use crate::telemetry::Telemetry;
pub(super) use due::Message;
use table::{Row, Rows, Status};

mod due;
mod listing;
mod recovery;
mod table;

/// Firings that are held: ten times a large network's worst day, in some 200 MB. Beyond it those of the lowest
/// priority that nobody was told of are shed, never one of the first level and never an end.
const ENTRIES_MAX: usize = 200_000;
/// Pages that nobody got, as many as are listed.
const SUPPRESSED_MAX: usize = 1_000;

/// Makes the tables, if they are not there yet.
///
/// # Errors
/// When the database fails.
pub fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    table::prepare(connection)
}

/// The outbox. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Outbox {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Its own lock, taken without the other: the hall waits for the entries while it holds the database.
    connection: Mutex<Connection>,
    /// What receivers said and is not written down yet.
    unwritten: Mutex<Rows>,
    /// While the journal is read back nobody knows yet who was told what, so nothing may be forgotten.
    recovering: AtomicBool,
    /// Changes when there is something that receivers should hear of at once.
    news: watch::Sender<()>,
    settings: Alerting,
    /// Firings that are held at most.
    most: usize,
    telemetry: Telemetry,
}

/// A firing: the alert, and when the engine said that it fires.
pub(super) type Firing = (AlertKey, Instant);

#[derive(Debug, Default)]
struct State {
    entries: BTreeMap<Firing, Entry>,
    /// The pages of those that are no longer among them: of which what receivers said is still written down, and of
    /// which it is being forgotten with a checkpoint.
    gone: Vec<String>,
    going: Vec<String>,
    /// By receiver: the pages of the last hour.
    pages: Vec<VecDeque<Instant>>,
    /// When the last one of a thing was over that somebody was told of.
    ends: BTreeMap<String, Instant>,
    suppressed: VecDeque<Suppressed>,
    /// How many fire.
    firing: usize,
    /// By receiver.
    standing: Vec<Standing>,
}

impl Outbox {
    /// A firing that begins.
    fn begun(&self, alert: &Alert, since: Instant, before: Option<Instant>) -> Entry {
        let told = vec![Told::default(); self.receivers().len()];
        let mut entry = Entry { alert: Arc::new(alert.clone()), since, over: None, before, told };
        entry.address(self.receivers());
        entry
    }

    fn replace(&self, older: &mut Entry, newer: &mut Entry) {
        let told = older.told.iter_mut().zip(&mut newer.told).zip(self.receivers());
        for ((older, newer), _) in told.filter(|(_, receiver)| receiver.kind == ReceiverKind::Alertmanager) {
            newer.tried |= older.tried && older.resolved_at.is_none();
            older.closed = older.closed.or(Some(Closed::Superseded));
        }
    }

    /// Changes whenever there is something that should be told at once.
    pub(super) fn news(&self) -> watch::Receiver<()> {
        self.shared.news.subscribe()
    }

    /// The receiver accepted `messages` at `now`. That is remembered, and written down by [`Self::write_down`].
    pub(super) fn accepted(&self, place: usize, messages: &[Message], answer: &str, now: Instant) {
        let receiver = &self.receivers()[place];
        let mut rows = Rows::new();
        let mut state = self.state();
        for message in messages {
            if message.tell == Tell::News {
                let seconds = now.since(message.since).max(Span::ZERO).as_secs_f64();
                self.shared.telemetry.event_to_alert_seconds.observe(seconds);
            }
            let status = if message.tell == Tell::End { Status::Resolved } else { Status::Firing };
            let answer = Some(Box::from(answer));
            if let Some(entry) = state.entries.get_mut(&message.firing)
                && let Some(told) = entry.told.get_mut(place)
            {
                match status {
                    Status::Resolved => told.resolved_at = Some(now),
                    _ => (told.firing_at, told.lost, told.missed) = (Some(now), false, 0),
                }
                told.answer.clone_from(&answer);
            }
            rows.insert((receiver.name.clone(), message.page.clone()), Row { status, at: now, answer });
        }
        self.stands(&mut state, place, None, now);
        drop(state);
        self.count(receiver, "accepted", messages.len());
        self.unwritten().extend(rows);
    }

    /// The receiver will never take this message, whatever is tried.
    pub(super) fn refused(&self, place: usize, message: &Message, answer: &str, now: Instant) {
        let receiver = &self.receivers()[place];
        let mut state = self.state();
        if let Some(entry) = state.entries.get_mut(&message.firing)
            && let Some(told) = entry.told.get_mut(place)
        {
            told.closed = Some(Closed::Failed);
            told.answer = Some(answer.into());
        }
        drop(state);
        self.count(receiver, "refused", 1);
        let row = Row { status: Status::Failed, at: now, answer: Some(answer.into()) };
        self.unwritten().insert((receiver.name.clone(), message.page.clone()), row);
    }

    /// The receiver did not take so many messages; they are tried again.
    pub(super) fn failed(&self, place: usize, messages: usize, error: &str, now: Instant) {
        self.stands(&mut self.state(), place, Some(error), now);
        self.count(&self.receivers()[place], "failed", messages);
    }

    /// The receiver answered, or did not.
    fn stands(&self, state: &mut State, place: usize, error: Option<&str>, now: Instant) {
        let standing = &mut state.standing[place];
        let up = error.is_none();
        if standing.is_up != Some(up) {
            (standing.is_up, standing.since) = (Some(up), Some(now));
        }
        standing.error = error.map(str::to_owned);
        let name = &*self.receivers()[place].name;
        self.shared.telemetry.receiver_up.with_label_values(&[name]).set(i64::from(up));
    }

    fn count(&self, receiver: &Receiver, outcome: &str, alerts: usize) {
        let counter = self.shared.telemetry.alerts_sent.with_label_values(&[&*receiver.name, outcome]);
        counter.inc_by(alerts as u64);
    }

    /// What an Alertmanager held at `asked`, by the hash of its labels, with what mutes it. What it accepted before and
    /// does not hold is told again: at once if it has `restarted`, else when it was missing twice, since another replica
    /// may just have told it that it is over. Returns how many are.
    pub(super) fn holds(
        &self,
        place: usize,
        asked: Instant,
        held: &BTreeMap<u64, Muted>,
        restarted: bool,
    ) -> usize {
        let mut lost = 0;
        let mut state = self.state();
        for ((key, _), entry) in &mut state.entries {
            let told = &mut entry.told[place];
            let known = told.firing_at.is_some_and(|at| at < asked);
            if entry.over.is_some() || !known {
                continue;
            }
            match held.get(&labels_hash(&key.labels())) {
                Some(muted) => {
                    told.missed = 0;
                    told.muted = (*muted != Muted::default()).then(|| Box::new(muted.clone()));
                }
                None => {
                    told.missed += 1;
                    if restarted || told.missed > 1 {
                        (told.firing_at, told.lost, told.missed) = (None, true, 0);
                        lost += 1;
                    }
                }
            }
        }
        lost
    }

    /// Whether anything was accepted that is not written down.
    pub(super) fn is_unwritten(&self) -> bool {
        !self.unwritten().is_empty()
    }

    /// Writes down what receivers accepted, so that it is not told again after a restart. It waits for the database,
    /// which may take long while much is written.
    ///
    /// # Errors
    /// When the database refuses; what was not written is kept for the next time.
    pub(super) fn write_down(&self) -> rusqlite::Result<()> {
        let mut connection = self.connection();
        let rows = std::mem::take(&mut *self.unwritten());
        if rows.is_empty() {
            return Ok(());
        }
        let written = table::write_rows(&mut connection, &rows);
        if written.is_err() {
            let mut unwritten = self.unwritten();
            // What was accepted since is newer.
            let newer = std::mem::replace(&mut *unwritten, rows);
            unwritten.extend(newer);
        }
        written
    }

    fn show_firing(&self, firing: usize) {
        self.shared.telemetry.alerts_firing.set(i64::try_from(firing).unwrap_or(i64::MAX));
    }

    /// Makes room: sheds what matters least and nobody was told of, the newest first.
    fn shed(&self, state: &mut State, now: Instant) {
        let untold = |entry: &Entry| entry.over.is_none() && entry.told.iter().all(|told| !told.tried);
        let open = state.entries.iter().filter(|(_, entry)| class(&entry.alert) > 0 && untold(entry));
        let mut least: Vec<(u8, Instant, Firing)> =
            open.map(|(firing, entry)| (class(&entry.alert), entry.since, firing.clone())).collect();
        least.sort_unstable_by(|one, other| other.cmp(one));
        for (.., firing) in least.into_iter().take(self.shared.most.div_ceil(10)) {
            let Some(entry) = state.entries.remove(&firing) else { continue };
            state.gone.push(entry.page());
            state.firing = state.firing.saturating_sub(1);
            let each = self.receivers().iter().zip(&entry.told);
            for (receiver, _) in each.filter(|(_, told)| !told.foreign) {
                self.suppress(&mut state.suppressed, receiver, (&entry, Why::Shed), now);
            }
        }
        tracing::error!(
            most = self.shared.most,
            "more alerts than the outbox holds: those that matter least are shed"
        );
    }

    /// Has every receiver looked at.
    pub(super) fn wake(&self) {
        self.shared.news.send_replace(());
    }

    /// The settings.
    pub(super) fn settings(&self) -> &Alerting {
        &self.shared.settings
    }

    /// The alerts that fire and that this receiver was seen to mute.
    pub(super) fn muted(&self, place: usize) -> Vec<(Alert, Muted)> {
        let state = self.state();
        let open = state.entries.values().filter(|entry| entry.over.is_none());
        open.filter_map(|entry| Some(((*entry.alert).clone(), entry.told[place].muted.as_deref()?.clone())))
            .collect()
    }

    fn receivers(&self) -> &[Receiver] {
        &self.shared.settings.receivers
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unwritten(&self) -> MutexGuard<'_, Rows> {
        self.shared.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.shared.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outlet for Outbox {
    fn take(&mut self, effects: &[Effect]) {
        let mut state = self.state();
        let mut news = false;
        for effect in effects {
            match &effect.kind {
                EffectKind::Fire(alert) => news |= self.fire(&mut state, alert, effect.at),
                EffectKind::Resolve(alert, ended) => {
                    news |= self.resolve(&mut state, alert, Over { ended: *ended, since: effect.at });
                }
                EffectKind::Record(_) => {}
            }
        }
        if news {
            self.show_firing(state.firing);
            drop(state);
            self.wake();
        }
    }

    fn rows(&mut self) -> Arc<dyn journal::Rows> {
        let mut state = self.state();
        state.going = std::mem::take(&mut state.gone);
        let entries = state.entries.values().map(Entry::begun).collect();
        Arc::new(Pages { entries, gone: state.going.clone() })
    }

    fn settle(&mut self, written: bool) {
        let mut state = self.state();
        let going = std::mem::take(&mut state.going);
        if !written {
            state.gone.extend(going);
        }
    }
}

/// The firings as of a checkpoint.
struct Pages {
    entries: Vec<Entry>,
    gone: Vec<String>,
}

impl journal::Rows for Pages {
    fn write(
        &self,
        transaction: &Transaction<'_>,
        _: &dyn Fn(IncidentId) -> Vec<Interruption>,
    ) -> rusqlite::Result<()> {
        table::write_pages(transaction, self.entries.iter(), &self.gone)
    }
}

impl Outbox {
    /// It fires, or fires on with other facts. Returns whether that is new to anybody.
    fn fire(&self, state: &mut State, alert: &Alert, at: Instant) -> bool {
        if let Some(entry) = newest_mut(&mut state.entries, &alert.key)
            && entry.over.is_none()
        {
            // What changed of it is told with the next resend; only whom it waits for may change at once.
            let waits =
                |alert: &Alert| alert.facts.incident.as_ref().map(|facts| (facts.acknowledged, facts.maintenance));
            let changed = waits(&entry.alert) != waits(alert);
            entry.alert = Arc::new(alert.clone());
            entry.address(&self.shared.settings.receivers);
            return changed;
        }
        if state.entries.len() >= self.shared.most {
            self.shed(state, at);
        }
        let damped = self.shared.settings.damping.hold_down > Span::ZERO;
        let before = damped.then(|| state.ends.get(&thing(&alert.key)).copied()).flatten();
        let mut entry = self.begun(alert, at, before);
        if let Some(older) = newest_mut(&mut state.entries, &alert.key) {
            self.replace(older, &mut entry);
        }
        state.entries.insert((alert.key.clone(), at), entry);
        state.firing += 1;
        true
    }

    fn resolve(&self, state: &mut State, alert: &Alert, over: Over) -> bool {
        let State { entries, ends, firing, .. } = state;
        let Some(entry) = newest_mut(entries, &alert.key).filter(|entry| entry.over.is_none()) else {
            return false;
        };
        entry.alert = Arc::new(alert.clone());
        entry.over = Some(over);
        *firing = firing.saturating_sub(1);
        let told = entry.told.iter().any(|told| told.tried) || self.shared.recovering.load(Ordering::Acquire);
        let hold_down = self.shared.settings.damping.hold_down;
        if told && hold_down > Span::ZERO {
            ends.retain(|_, end| end.plus(hold_down) > over.since);
            ends.insert(thing(&alert.key), over.ended);
        }
        if self.receivers().is_empty() {
            let firing = (alert.key.clone(), entry.since);
            entries.remove(&firing);
        }
        true
    }
}

impl Entry {
    /// The same, told to nobody.
    fn begun(&self) -> Self {
        Self { alert: self.alert.clone(), told: Vec::new(), ..*self }
    }

    /// Names the firing, the same after a restart: by the alert, since when it holds, and when that was decided, as facts
    /// that are taken back may come again.
    fn page(&self) -> String {
        let key = xxh3_64(&borsh::to_vec(&self.alert.key).unwrap_or_default());
        format!("{key:016x}-{}-{}", self.alert.starts.as_micros(), self.since.as_micros())
    }
}

fn newest<'e>(entries: &'e BTreeMap<Firing, Entry>, key: &AlertKey) -> Option<&'e Entry> {
    entries.range((key.clone(), Instant::MIN)..=(key.clone(), Instant::MAX)).next_back().map(|(_, entry)| entry)
}

fn newest_mut<'e>(entries: &'e mut BTreeMap<Firing, Entry>, key: &AlertKey) -> Option<&'e mut Entry> {
    entries.range_mut((key.clone(), Instant::MIN)..=(key.clone(), Instant::MAX)).next_back().map(|(_, entry)| entry)
}

/// What an alert is of, whichever incident: two of the same soon after one another are one page.
fn thing(key: &AlertKey) -> String {
    let labels = key.labels();
    let own = labels.iter().filter(|(name, _)| *name != "incident");
    own.map(|(name, value)| format!("{name}={value}\n")).collect()
}

/// The hash of an alert's labels, whoever holds it: an Alertmanager takes an empty one for none.
pub(super) fn labels_hash<N: AsRef<str>>(labels: &[(N, String)]) -> u64 {
    let said = labels.iter().filter(|(_, value)| !value.is_empty());
    let mut lines: Vec<String> = said.map(|(name, value)| format!("{}={value}\n", name.as_ref())).collect();
    lines.sort_unstable();
    xxh3_64(lines.concat().as_bytes())
}

#[cfg(test)]
mod tests;
