//! The outbox: which alerts fire, which are over, and which receiver was told what.
//!
//! What fires follows from the journal and is there again after any crash. What a receiver was told is a small
//! durable fact, written only after the receiver accepted it; losing one only means that it is told again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use tokio::sync::watch;
use xxhash_rust::xxh3::xxh3_64;

use crate::journal::Outlet;
use crate::model::alert::{Alert, AlertKey};
use crate::model::effect::{Effect, EffectKind};
use crate::model::time::{Instant, Span};
use crate::telemetry::Telemetry;

/// How long the end of an alert is tried to be told. Long before, the receiver has let the alert lapse by itself,
/// since nobody told it any more that it goes on.
const RESOLVED_TRIED_FOR: Span = Span::from_hours(1);

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS outbox (
    alert BLOB PRIMARY KEY,   -- the alert, as the engine's snapshots write it
    ended INTEGER,
    since INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS told (
    receiver TEXT NOT NULL,
    alert    INTEGER NOT NULL, -- hash of the alert's key
    starts   INTEGER NOT NULL,
    resolved INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (receiver, alert)
) STRICT, WITHOUT ROWID;
";

/// Makes the tables, if they are not there yet.
///
/// # Errors
/// When the database fails.
pub fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(SCHEMA)
}

/// The outbox. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Outbox {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    entries: Mutex<Entries>,
    /// Its own lock, taken without the other: the hall waits for the entries while it holds the database.
    connection: Mutex<Connection>,
    /// What receivers accepted and is not written down yet.
    unwritten: Mutex<Unwritten>,
    /// While the journal is read back nobody knows yet who was told what, so nothing may be forgotten.
    recovering: AtomicBool,
    /// Changes when there is something that receivers should hear of at once.
    news: watch::Sender<()>,
    receivers: Vec<String>,
    telemetry: Telemetry,
}

type Entries = BTreeMap<AlertKey, Entry>;

/// By receiver and alert: since when it fires, whether it is over, and when that was accepted.
type Unwritten = BTreeMap<(usize, i64), (Instant, bool, Instant)>;

/// One alert on its way.
#[derive(Clone, Debug)]
struct Entry {
    alert: Alert,
    /// When it was over; absent while it fires.
    ended: Option<Instant>,
    /// When the engine last said that it fires, or is over: since when somebody should know.
    since: Instant,
    /// By receiver.
    told: Vec<Told>,
}

/// What one receiver was told of an alert.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    /// It was sent while it fired, so its end must be told as well. Set before the first try.
    tried: bool,
    /// When it last accepted that the alert fires.
    firing_at: Option<Instant>,
    /// It accepted that the alert is over.
    resolved: bool,
}

impl Told {
    /// What is to be told of an alert that fires again.
    const fn anew(&self) -> Self {
        Self { tried: self.tried && !self.resolved, firing_at: None, resolved: false }
    }
}

/// One thing to tell a receiver now.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) alert: Alert,
    pub(super) ended: Option<Instant>,
    since: Instant,
    /// It was not told of this before.
    news: bool,
}

impl Outbox {
    /// The outbox as it was at the last checkpoint, with what receivers were told since.
    ///
    /// # Errors
    /// When the database fails.
    pub fn load(connection: Connection, receivers: Vec<String>, telemetry: Telemetry) -> rusqlite::Result<Self> {
        let mut entries = BTreeMap::new();
        {
            let mut select = connection.prepare("SELECT alert, ended, since FROM outbox")?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                // An alert of another version's layout comes back with the replay that its snapshot needs anyway.
                let Ok(alert) = borsh::from_slice::<Alert>(row.get_ref(0)?.as_blob()?) else { continue };
                let ended = row.get::<_, Option<i64>>(1)?.map(Instant::from_micros);
                let since = Instant::from_micros(row.get(2)?);
                let told = vec![Told::default(); receivers.len()];
                entries.insert(alert.key.clone(), Entry { alert, ended, since, told });
            }
        }
        let (entries, connection) = (Mutex::new(entries), Mutex::new(connection));
        Ok(Self {
            shared: Arc::new(Shared {
                entries,
                connection,
                unwritten: Mutex::default(),
                recovering: AtomicBool::new(true),
                news: watch::Sender::new(()),
                receivers,
                telemetry,
            }),
        })
    }

    /// Ends the recovery at `now`: what fires is what the engine says, and receivers were told what is written
    /// down. One that fires, or ended a short while ago, may have been told to a receiver whose answer was lost, so
    /// its end is told in any case.
    ///
    /// # Errors
    /// When the database fails.
    pub fn recovered<'a>(
        &self,
        now: Instant,
        lapse: Span,
        firing: impl Iterator<Item = &'a Alert>,
    ) -> rusqlite::Result<()> {
        let mut known: BTreeMap<(String, i64), (Instant, bool, Instant)> = BTreeMap::new();
        {
            let connection = self.connection();
            let mut select = connection.prepare("SELECT receiver, alert, starts, resolved, at FROM told")?;
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                let starts = Instant::from_micros(row.get(2)?);
                let at = Instant::from_micros(row.get(4)?);
                known.insert((row.get(0)?, row.get(1)?), (starts, row.get(3)?, at));
            }
        }
        let mut entries = self.entries();
        self.agree(&mut entries, firing, now);
        for (key, entry) in &mut *entries {
            for (receiver, told) in self.shared.receivers.iter().zip(&mut entry.told) {
                let (starts, resolved, at) = match known.get(&(receiver.clone(), hash(key))) {
                    Some(&known) => known,
                    None => (Instant::MIN, false, Instant::MIN),
                };
                let same = starts == entry.alert.starts;
                *told = Told {
                    // Told that it fires, and of no end: whichever time it fired, its end is owed.
                    tried: same
                        || starts > Instant::MIN && !resolved
                        || entry.ended.is_none()
                        || now.since(entry.since) < lapse,
                    firing_at: (same && !resolved).then_some(at),
                    resolved: same && resolved && entry.ended.is_some(),
                };
            }
        }
        self.shared.recovering.store(false, Ordering::Release);
        self.tidy(&mut entries);
        drop(entries);
        self.shared.news.send_replace(());
        Ok(())
    }

    /// Makes what fires here what fires in the engine: a version that judges otherwise read the journal back.
    fn agree<'a>(&self, entries: &mut Entries, firing: impl Iterator<Item = &'a Alert>, now: Instant) {
        let firing: BTreeMap<&AlertKey, &Alert> = firing.map(|alert| (&alert.key, alert)).collect();
        for (key, entry) in &mut *entries {
            if entry.ended.is_none() && !firing.contains_key(key) {
                entry.ended = Some(now.max(entry.alert.starts));
                entry.since = now;
            }
        }
        for (key, &alert) in &firing {
            if entries.get(*key).is_none_or(|entry| entry.ended.is_some()) {
                let told = vec![Told::default(); self.shared.receivers.len()];
                entries.insert((*key).clone(), Entry { alert: alert.clone(), ended: None, since: now, told });
            }
        }
    }

    /// Changes whenever there is something that should be told at once.
    pub(super) fn news(&self) -> watch::Receiver<()> {
        self.shared.news.subscribe()
    }

    /// What the receiver should be told at `now`: what is new, and what fires and was last told `resend` ago. At most so
    /// many, those about incidents first.
    pub(super) fn due(&self, receiver: usize, now: Instant, resend: Span, most: usize) -> Vec<Message> {
        let mut due = Vec::new();
        for entry in self.entries().values_mut() {
            if due.len() == most {
                break;
            }
            let Some(told) = entry.told.get_mut(receiver) else { continue };
            let (send, news) = match (entry.ended, told.firing_at) {
                (Some(_), _) => (told.tried && !told.resolved, true),
                (None, Some(at)) => (now.since(at) >= resend, false),
                (None, None) => (true, true),
            };
            if entry.ended.is_some() && send && now.since(entry.since) > RESOLVED_TRIED_FOR {
                told.resolved = true;
                self.shared
                    .telemetry
                    .alerts_sent
                    .with_label_values(&[&self.shared.receivers[receiver], "given_up"])
                    .inc();
            } else if send {
                told.tried = true;
                due.push(Message { alert: entry.alert.clone(), ended: entry.ended, since: entry.since, news });
            }
        }
        due
    }

    /// The receiver accepted `messages` at `now`. That is remembered, and written down by [`Self::write_down`].
    pub(super) fn accepted(&self, receiver: usize, messages: &[Message], now: Instant) {
        let mut entries = self.entries();
        for message in messages {
            if message.news && message.ended.is_none() {
                self.shared.telemetry.event_to_alert_seconds.observe(now.since(message.since).as_secs_f64());
            }
            let Some(entry) = entries.get_mut(&message.alert.key) else { continue };
            // It may have begun anew, or ended, while the message was under way.
            if entry.alert.starts == message.alert.starts
                && let Some(told) = entry.told.get_mut(receiver)
            {
                match message.ended {
                    None => told.firing_at = Some(now),
                    Some(_) => told.resolved = entry.ended.is_some(),
                }
            }
        }
        self.tidy(&mut entries);
        drop(entries);
        let told = |message: &Message| {
            let what = (message.alert.starts, message.ended.is_some(), now);
            ((receiver, hash(&message.alert.key)), what)
        };
        self.unwritten().extend(messages.iter().map(told));
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
        let written = self.write_rows(&mut connection, &rows);
        if written.is_err() {
            let mut unwritten = self.unwritten();
            // What was accepted since is newer.
            let newer = std::mem::replace(&mut *unwritten, rows);
            unwritten.extend(newer);
        }
        written
    }

    fn write_rows(&self, connection: &mut Connection, rows: &Unwritten) -> rusqlite::Result<()> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let insert = "INSERT OR REPLACE INTO told VALUES (?1, ?2, ?3, ?4, ?5)";
        for (&(receiver, alert), &(starts, resolved, at)) in rows {
            transaction.prepare_cached(insert)?.execute(params![
                self.shared.receivers[receiver],
                alert,
                starts.as_micros(),
                resolved,
                at.as_micros()
            ])?;
        }
        transaction.commit()
    }

    /// Forgets what is over and needs no more telling.
    fn tidy(&self, entries: &mut Entries) {
        if self.shared.recovering.load(Ordering::Acquire) {
            return;
        }
        entries
            .retain(|_, entry| entry.ended.is_none() || entry.told.iter().any(|told| told.tried && !told.resolved));
        let firing = entries.values().filter(|entry| entry.ended.is_none()).count();
        self.shared.telemetry.alerts_firing.set(i64::try_from(firing).unwrap_or(i64::MAX));
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.shared.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unwritten(&self) -> MutexGuard<'_, Unwritten> {
        self.shared.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.shared.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outlet for Outbox {
    fn take(&mut self, effects: &[Effect]) {
        let mut entries = self.entries();
        let mut news = false;
        for effect in effects {
            match &effect.kind {
                EffectKind::Fire(alert) => match entries.get_mut(&alert.key) {
                    // It fires on; what changed of it is told with the next resend.
                    Some(entry) if entry.ended.is_none() => entry.alert = alert.clone(),
                    known => {
                        // A receiver that was told of it before and not yet of its end must still be told that.
                        let told = match known {
                            Some(before) => before.told.iter().map(Told::anew).collect(),
                            None => vec![Told::default(); self.shared.receivers.len()],
                        };
                        let entry = Entry { alert: alert.clone(), ended: None, since: effect.at, told };
                        entries.insert(alert.key.clone(), entry);
                        news = true;
                    }
                },
                EffectKind::Resolve(alert, ended) => {
                    if let Some(entry) = entries.get_mut(&alert.key) {
                        entry.alert = alert.clone();
                        entry.ended = Some(*ended);
                        entry.since = effect.at;
                        news = true;
                    }
                }
                EffectKind::Record(_) => {}
            }
        }
        if news {
            self.tidy(&mut entries);
            drop(entries);
            self.shared.news.send_replace(());
        }
    }

    fn write(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let entries = self.entries();
        transaction.execute("DELETE FROM outbox", [])?;
        let mut insert = transaction.prepare_cached("INSERT INTO outbox VALUES (?1, ?2, ?3)")?;
        for entry in entries.values() {
            // Writing into memory cannot fail.
            let alert = borsh::to_vec(&entry.alert).unwrap_or_default();
            insert.execute(params![alert, entry.ended.map(Instant::as_micros), entry.since.as_micros()])?;
        }
        // What happened before this checkpoint is not replayed, so nobody asks for it again.
        let kept: BTreeMap<i64, ()> = entries.keys().map(|key| (hash(key), ())).collect();
        let mut gone = Vec::new();
        let mut select = transaction.prepare_cached("SELECT DISTINCT alert FROM told")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            gone.extend(Some(row.get::<_, i64>(0)?).filter(|alert| !kept.contains_key(alert)));
        }
        let mut delete = transaction.prepare_cached("DELETE FROM told WHERE alert = ?1")?;
        for alert in gone {
            delete.execute([alert])?;
        }
        Ok(())
    }

    fn written(&mut self) {}
}

fn hash(key: &AlertKey) -> i64 {
    xxh3_64(&borsh::to_vec(key).unwrap_or_default()).cast_signed()
}

#[cfg(test)]
mod tests;
