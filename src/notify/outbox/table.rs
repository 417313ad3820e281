//! The outbox's tables: the alerts, rewritten with each checkpoint, and what receivers accepted, written beside it.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::super::decision::{Entry, Over};
use crate::model::alert::Alert;
use crate::model::time::Instant;

const SCHEMA: &str = "
DROP TABLE IF EXISTS outbox;
DROP TABLE IF EXISTS told;
CREATE TABLE IF NOT EXISTS pages (
    alert      BLOB NOT NULL,     -- the alert, as the engine's snapshots write it
    since      INTEGER NOT NULL,  -- when the engine said that it fires
    ended      INTEGER,           -- when it was over, and when the engine said so
    over_since INTEGER,
    before     INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS deliveries (
    receiver TEXT NOT NULL,
    page     TEXT NOT NULL,       -- names one firing of one alert
    status   TEXT NOT NULL,       -- firing, resolved, or failed: what the receiver accepted last, or does not take
    at       INTEGER NOT NULL,
    answer   TEXT,
    PRIMARY KEY (receiver, page)
) STRICT, WITHOUT ROWID;
";

/// Makes the tables, if they are not there yet.
pub(super) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(SCHEMA)
}

/// What a receiver accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) status: Status,
    pub(super) at: Instant,
    pub(super) answer: Option<Box<str>>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Firing,
    Resolved,
    Failed,
}

impl Status {
    const fn name(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
            Self::Failed => "failed",
        }
    }
}

/// What is not written down yet, or was: by receiver and page.
pub(super) type Rows = BTreeMap<(String, String), Row>;

/// The alerts as they were at the last checkpoint.
pub(super) fn read_pages(connection: &Connection) -> rusqlite::Result<Vec<Entry>> {
    let mut select = connection.prepare("SELECT alert, since, ended, over_since, before FROM pages")?;
    let mut rows = select.query([])?;
    let mut entries = Vec::new();
    let instant = |micros: Option<i64>| micros.map(Instant::from_micros);
    while let Some(row) = rows.next()? {
        // An alert of another version's layout comes back with the replay that its snapshot needs anyway.
        let Ok(alert) = borsh::from_slice::<Alert>(row.get_ref(0)?.as_blob()?) else { continue };
        let over = instant(row.get(2)?).zip(instant(row.get(3)?)).map(|(ended, since)| Over { ended, since });
        let since = Instant::from_micros(row.get(1)?);
        let alert = Arc::new(alert);
        entries.push(Entry { alert, since, over, before: instant(row.get(4)?), told: Vec::new() });
    }
    Ok(entries)
}

/// Makes the alerts those of a checkpoint, and forgets what receivers said of those that are `gone`.
pub(super) fn write_pages<'a>(
    transaction: &Transaction<'_>,
    entries: impl Iterator<Item = &'a Entry>,
    gone: &[String],
) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM pages", [])?;
    let mut insert = transaction.prepare_cached("INSERT INTO pages VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for entry in entries {
        // Writing into memory cannot fail.
        let alert = borsh::to_vec(&entry.alert).unwrap_or_default();
        insert.execute(params![
            alert,
            entry.since.as_micros(),
            entry.over.map(|over| over.ended.as_micros()),
            entry.over.map(|over| over.since.as_micros()),
            entry.before.map(Instant::as_micros)
        ])?;
    }
    // What happened before this checkpoint is not replayed, so nobody asks for it again.
    let mut delete = transaction.prepare_cached("DELETE FROM deliveries WHERE page = ?1")?;
    for page in gone {
        delete.execute([page])?;
    }
    Ok(())
}

/// What receivers said.
pub(super) fn read_rows(connection: &Connection) -> rusqlite::Result<Rows> {
    let mut select = connection.prepare("SELECT receiver, page, status, at, answer FROM deliveries")?;
    let mut rows = select.query([])?;
    let mut known = Rows::new();
    while let Some(row) = rows.next()? {
        let status: String = row.get(2)?;
        let status = [Status::Firing, Status::Resolved].into_iter().find(|known| known.name() == status);
        let at = Instant::from_micros(row.get(3)?);
        let answer = row.get::<_, Option<String>>(4)?.map(Into::into);
        known.insert((row.get(0)?, row.get(1)?), Row { status: status.unwrap_or(Status::Failed), at, answer });
    }
    Ok(known)
}

/// Writes down what receivers said.
pub(super) fn write_rows(connection: &mut Connection, rows: &Rows) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut insert =
            transaction.prepare_cached("INSERT OR REPLACE INTO deliveries VALUES (?1, ?2, ?3, ?4, ?5)")?;
        for ((receiver, page), row) in rows {
            insert.execute(params![receiver, page, row.status.name(), row.at.as_micros(), row.answer])?;
        }
    }
    transaction.commit()
}
