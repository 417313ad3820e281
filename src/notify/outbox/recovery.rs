//! The outbox after a start: what it was at the last checkpoint, and what receivers were told since.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rusqlite::Connection;
use tokio::sync::watch;

use super::super::decision::{Closed, Entry, Over, Told, page_at};
use super::table::{self, Status};
use super::{ENTRIES_MAX, Firing, Outbox, Shared, State, newest, thing};
use crate::config::Alerting;
use crate::model::alert::{Alert, AlertKey};
use crate::model::delivery::Standing;
use crate::model::time::{Instant, Span};
use crate::telemetry::Telemetry;

impl Outbox {
    /// The outbox as it was at the last checkpoint, with what receivers were told since.
    ///
    /// # Errors
    /// When the database fails.
    pub fn load(connection: Connection, settings: Alerting, telemetry: Telemetry) -> rusqlite::Result<Self> {
        let receivers = &settings.receivers;
        let mut state = State {
            pages: vec![VecDeque::new(); receivers.len()],
            standing: receivers
                .iter()
                .map(|receiver| Standing { receiver: receiver.name.clone(), ..Standing::default() })
                .collect(),
            ..State::default()
        };
        for mut entry in table::read_pages(&connection)? {
            entry.told = vec![Told::default(); receivers.len()];
            entry.address(receivers);
            if let Some(over) = entry.over.filter(|_| settings.damping.hold_down > Span::ZERO) {
                state.ends.insert(thing(&entry.alert.key), over.ended);
            }
            state.entries.insert((entry.alert.key.clone(), entry.since), entry);
        }
        let (state, connection) = (Mutex::new(state), Mutex::new(connection));
        let (unwritten, recovering, news) = (Mutex::default(), AtomicBool::new(true), watch::Sender::new(()));
        let most = ENTRIES_MAX;
        Ok(Self {
            shared: Arc::new(Shared { state, connection, unwritten, recovering, news, settings, most, telemetry }),
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
        let known = table::read_rows(&self.connection())?;
        let mut state = self.state();
        let State { entries, pages, firing: firing_now, gone, .. } = &mut *state;
        self.agree(entries, firing, now);
        let here: BTreeSet<String> = entries.values().map(Entry::page).collect();
        gone.extend(known.keys().map(|(_, page)| page).filter(|&page| !here.contains(page)).cloned());
        let damping = &self.shared.settings.damping;
        for entry in entries.values_mut() {
            let page = entry.page();
            let at = entry.over.map_or(now, |over| over.since);
            let recent = entry.over.is_none_or(|over| now.since(over.since) < lapse);
            for (place, receiver) in self.receivers().iter().enumerate() {
                let may_know = recent && page_at((receiver, damping), entry).0 <= at;
                let mut told = Told { tried: may_know, foreign: entry.told[place].foreign, ..Told::default() };
                if let Some(row) = known.get(&(receiver.name.clone(), page.clone())) {
                    told.tried = true;
                    told.answer.clone_from(&row.answer);
                    match row.status {
                        Status::Firing => {
                            told.firing_at = Some(row.at);
                            pages[place].extend(Some(row.at).filter(|&at| now.since(at) < Span::from_hours(1)));
                        }
                        Status::Resolved if entry.over.is_some() => told.resolved_at = Some(row.at),
                        Status::Resolved => {}
                        Status::Failed => told.closed = Some(Closed::Failed),
                    }
                }
                entry.told[place] = told;
            }
        }
        for pages in pages {
            pages.make_contiguous().sort_unstable();
        }
        self.supersede(entries);
        self.shared.recovering.store(false, Ordering::Release);
        *firing_now = entries.values().filter(|entry| entry.over.is_none()).count();
        self.show_firing(*firing_now);
        drop(state);
        self.wake();
        Ok(())
    }

    /// Makes what fires here what fires in the engine: a version that judges otherwise read the journal back.
    fn agree<'a>(
        &self,
        entries: &mut BTreeMap<Firing, Entry>,
        firing: impl Iterator<Item = &'a Alert>,
        now: Instant,
    ) {
        let firing: BTreeMap<&AlertKey, &Alert> = firing.map(|alert| (&alert.key, alert)).collect();
        for ((key, _), entry) in &mut *entries {
            if entry.over.is_none() && !firing.contains_key(key) {
                entry.over = Some(Over { ended: now.max(entry.alert.starts), since: now });
            }
        }
        for (key, &alert) in &firing {
            if newest(entries, key).is_none_or(|entry| entry.over.is_some()) {
                let entry = self.begun(alert, now, None);
                entries.insert(((*key).clone(), now), entry);
            }
        }
    }

    /// Has Alertmanagers told of the newest firing of each alert only: of one that is over and was not told so, the
    /// newer one's end is owed.
    fn supersede(&self, entries: &mut BTreeMap<Firing, Entry>) {
        let mut older: Option<(&AlertKey, &mut Entry)> = None;
        for ((key, _), entry) in entries {
            if let Some((known, older)) = older.take()
                && known == key
            {
                self.replace(older, entry);
            }
            older = Some((key, entry));
        }
    }
}
