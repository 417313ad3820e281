//! The latest changes of incidents, in memory, for whoever follows them: each with a cursor after which to go on.
//!
//! A cursor is the engine's instant of the change and its place among those of that instant. Both follow from the
//! journal alone, so it means the same after a restart, and whatever was looked at between two events.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rusqlite::{Connection, OptionalExtension, Transaction};
use tokio::sync::watch;

use crate::journal::{Outlet, Rows};
use crate::model::effect::{Effect, EffectKind};
use crate::model::incident::{Incident, IncidentId, Interruption};
use crate::model::time::Instant;

/// Changes that are kept. An incident has some ten of them in its life: these are those of a thousand incidents, at a
/// few kilobytes each.
pub const CHANGES_MAX: usize = 10_000;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS last_change ( -- of incidents, up to the checkpoint
    only  INTEGER PRIMARY KEY CHECK (only = 1),
    at    INTEGER NOT NULL,
    place INTEGER NOT NULL
) STRICT;
";

/// The place of a change among all changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    at: Instant,
    place: u32,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.at.as_micros(), self.place)
    }
}

/// A text is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no cursor that was given out")]
pub struct BadCursor;

impl FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        let (at, place) = text.split_once('-').ok_or(BadCursor)?;
        let at = at.parse().map(Instant::from_micros).map_err(|_| BadCursor)?;
        Ok(Self { at, place: place.parse().map_err(|_| BadCursor)? })
    }
}

/// A change of an incident.
#[derive(Debug)]
pub struct Change {
    /// Its place among all changes.
    pub cursor: Cursor,
    /// When it came about.
    pub at: Instant,
    /// Why, in one word.
    pub reason: &'static str,
    /// The incident as it stood from then on.
    pub incident: Incident,
    /// As it is shown: made when the first one who follows wants it, for all of them.
    pub shown: OnceLock<String>,
}

/// What comes after a cursor.
#[derive(Clone, Debug)]
pub enum Next {
    /// This change.
    Change(Arc<Change>),
    /// Nothing yet.
    Nothing,
    /// That is not known: what came after the cursor is not kept, or the cursor is none of this history.
    Lost,
}

/// The latest changes of incidents. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    kept: Mutex<Kept>,
    news: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Kept {
    /// By cursor.
    changes: VecDeque<Arc<Change>>,
    /// Every change after this one is among them.
    since: Cursor,
    /// The last one taken, kept or not.
    taken: Option<Cursor>,
}

impl Changes {
    /// Takes up where the last checkpoint left off; makes the table for that, if it is not there yet.
    ///
    /// # Errors
    /// When the database fails.
    pub fn load(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection.execute_batch(SCHEMA)?;
        let last = connection
            .query_row("SELECT at, place FROM last_change", [], |row| {
                Ok(Cursor { at: Instant::from_micros(row.get(0)?), place: row.get(1)? })
            })
            .optional()?;
        self.kept().since = last.unwrap_or_default();
        Ok(())
    }

    /// The cursor of the last change.
    #[must_use]
    pub fn last(&self) -> Cursor {
        self.kept().last()
    }

    /// The first change after a cursor.
    #[must_use]
    pub fn after(&self, cursor: Cursor) -> Next {
        let kept = self.kept();
        if cursor < kept.since || cursor > kept.last() {
            return Next::Lost;
        }
        let place = kept.changes.partition_point(|change| change.cursor <= cursor);
        kept.changes.get(place).map_or(Next::Nothing, |change| Next::Change(change.clone()))
    }

    /// Changes whenever there is another change.
    #[must_use]
    pub fn news(&self) -> watch::Receiver<()> {
        self.shared.news.subscribe()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn last(&self) -> Cursor {
        self.changes.back().map_or(self.since, |change| change.cursor)
    }

    /// Takes a change, if it was not there before.
    fn push(&mut self, effect: &Effect, incident: &Incident) {
        let next = |taken: Cursor| (taken.at == effect.at).then_some(taken.place + 1);
        let cursor = Cursor { at: effect.at, place: self.taken.and_then(next).unwrap_or(0) };
        self.taken = Some(cursor);
        if cursor <= self.last() {
            return;
        }
        if self.changes.len() == CHANGES_MAX
            && let Some(oldest) = self.changes.pop_front()
        {
            self.since = oldest.cursor;
        }
        self.changes.push_back(Arc::new(Change {
            cursor,
            at: effect.at,
            reason: effect.reason.name(),
            incident: incident.clone(),
            shown: OnceLock::new(),
        }));
    }
}

impl Outlet for Changes {
    fn take(&mut self, effects: &[Effect]) {
        let mut kept = self.kept();
        let mut any = false;
        for effect in effects {
            if let EffectKind::Record(incident) = &effect.kind {
                kept.push(effect, incident);
                any = true;
            }
        }
        drop(kept);
        if any {
            self.shared.news.send_replace(());
        }
    }

    fn rows(&mut self) -> Arc<dyn Rows> {
        Arc::new(self.last())
    }

    fn settle(&mut self, _: bool) {}
}

impl Rows for Cursor {
    fn write(
        &self,
        transaction: &Transaction<'_>,
        _: &dyn Fn(IncidentId) -> Vec<Interruption>,
    ) -> rusqlite::Result<()> {
        let Self { at, place } = self;
        let mut insert = transaction.prepare_cached("INSERT OR REPLACE INTO last_change VALUES (1, ?1, ?2)")?;
        insert.execute((at.as_micros(), place))?;
        Ok(())
    }
}
