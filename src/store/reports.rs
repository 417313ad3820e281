//! Frozen reports: every revision of the report of a period that is over, with its SHA-256. A revision is written once,
//! and nothing changes or removes it: a correction is another one (R93).
//!
//! The rows are not written with a checkpoint but by themselves, and are durable before anybody is told of them. Must not
//! enter: what a report says.

use std::path::Path;

use ring::digest::{SHA256, digest};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};

use crate::journal;
use crate::model::time::Instant;

/// How hard bodies are packed.
const ZSTD_LEVEL: i32 = 9;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS reports ( -- of periods that are over, as they were frozen
    period           TEXT NOT NULL,
    revision         INTEGER NOT NULL,  -- from 1 on
    period_from      INTEGER NOT NULL,  -- microseconds since 1970
    period_until     INTEGER NOT NULL,
    known_at         INTEGER NOT NULL,  -- what was received by then is in it
    journal_sequence INTEGER NOT NULL,  -- the last batch of that
    made             INTEGER NOT NULL,
    corrections      INTEGER NOT NULL,  -- figures that differ from the revision before
    facts            TEXT NOT NULL,     -- a digest of what was said of the period
    sha256           TEXT NOT NULL,     -- of the body
    body             BLOB NOT NULL,     -- zstd of the canonical JSON
    PRIMARY KEY (period, revision)
) STRICT;
CREATE TRIGGER IF NOT EXISTS reports_stay_as_they_are BEFORE UPDATE ON reports
BEGIN SELECT RAISE(ABORT, 'a frozen report is never changed'); END;
CREATE TRIGGER IF NOT EXISTS reports_stay BEFORE DELETE ON reports
BEGIN SELECT RAISE(ABORT, 'a frozen report is never removed'); END;
";

const COLUMNS: &str =
    "period, revision, period_from, period_until, known_at, journal_sequence, made, corrections, facts, sha256";

/// What is known of a revision beside its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen {
    /// The period's name.
    pub period: String,
    /// From 1 on.
    pub revision: u32,
    /// The period's first instant.
    pub from: Instant,
    /// The first instant after it.
    pub until: Instant,
    /// What was received by then is in it.
    pub known_at: Instant,
    /// The last batch of that.
    pub sequence: u64,
    /// When it was made.
    pub made: Instant,
    /// How many figures differ from the revision before.
    pub corrections: u64,
    /// A digest of what was said of the period.
    pub facts: String,
    /// The SHA-256 of the body.
    pub sha256: String,
}

/// The frozen reports of a storage folder.
#[derive(Debug)]
pub struct Reports(Connection);

/// Makes the table, if it is not there yet.
///
/// # Errors
/// When the database fails.
pub fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(SCHEMA)
}

/// The link of the journal's chain at a batch; absent when it was dropped, or cannot be read.
#[must_use]
pub fn head_at(folder: &Path, sequence: u64) -> Option<String> {
    journal::open_reader(folder).ok()?.head_at(sequence).ok().flatten()
}

impl Reports {
    /// Those in the `file` of rows, for reading only. Where no report was ever frozen there are none.
    ///
    /// # Errors
    /// When the database fails.
    pub fn open(file: &Path) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(file, flags)?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        let there = connection.query_row(
            "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'reports'",
            [],
            |row| row.get::<_, i64>(0),
        )?;
        if there == 0 {
            let empty = Connection::open_in_memory()?;
            prepare(&empty)?;
            return Ok(Self(empty));
        }
        Ok(Self(connection))
    }

    /// Those in the `file` of rows, to freeze more.
    ///
    /// # Errors
    /// When the database fails.
    pub fn open_to_write(file: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(file)?;
        // A checkpoint of a large network takes its time.
        connection.busy_timeout(std::time::Duration::from_secs(60))?;
        connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;")?;
        prepare(&connection)?;
        Ok(Self(connection))
    }

    /// Freezes a revision. It is durable when this returns.
    ///
    /// # Errors
    /// When the database fails, or there is such a revision already.
    pub fn freeze(&self, frozen: &Frozen, body: &[u8]) -> rusqlite::Result<()> {
        let packed = zstd::bulk::compress(body, ZSTD_LEVEL).map_err(|error| other(&error))?;
        self.0.execute(
            &format!("INSERT INTO reports ({COLUMNS}, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"),
            params![
                frozen.period,
                frozen.revision,
                frozen.from.as_micros(),
                frozen.until.as_micros(),
                frozen.known_at.as_micros(),
                frozen.sequence.cast_signed(),
                frozen.made.as_micros(),
                frozen.corrections.cast_signed(),
                frozen.facts,
                frozen.sha256,
                packed
            ],
        )?;
        Ok(())
    }

    /// Every revision of every period, by period, then revision.
    ///
    /// # Errors
    /// When the database fails.
    pub fn all(&self) -> rusqlite::Result<Vec<Frozen>> {
        let mut select =
            self.0.prepare(&format!("SELECT {COLUMNS} FROM reports ORDER BY period_until, period, revision"))?;
        select.query_map([], frozen)?.collect()
    }

    /// A revision of a period, or its last one, with its body.
    ///
    /// # Errors
    /// When the database fails, or the body cannot be unpacked.
    pub fn get(&self, period: &str, revision: Option<u32>) -> rusqlite::Result<Option<(Frozen, Vec<u8>)>> {
        let found = self
            .0
            .query_row(
                &format!(
                    "SELECT {COLUMNS}, body FROM reports WHERE period = ?1 AND (?2 IS NULL OR revision = ?2)
                     ORDER BY revision DESC LIMIT 1"
                ),
                params![period, revision],
                |row| Ok((frozen(row)?, row.get::<_, Vec<u8>>(10)?)),
            )
            .optional()?;
        let unpack = |(frozen, packed): (Frozen, Vec<u8>)| {
            zstd::decode_all(&*packed).map(|body| (frozen, body)).map_err(|error| other(&error))
        };
        found.map(unpack).transpose()
    }

    /// What is wrong with any of them: bodies that are not what their hash says, and revisions that are missing.
    ///
    /// # Errors
    /// When the database fails.
    pub fn differences(&self) -> rusqlite::Result<Vec<String>> {
        let mut wrong = Vec::new();
        let mut last: Option<Frozen> = None;
        for frozen in self.all()? {
            let expected = last.filter(|last| last.period == frozen.period).map_or(1, |last| last.revision + 1);
            let name = format!("report {}, revision {}", frozen.period, frozen.revision);
            if frozen.revision != expected {
                wrong.push(format!("{name}: revision {expected} before it is missing"));
            }
            match self.get(&frozen.period, Some(frozen.revision)) {
                Ok(Some((_, body))) => {
                    let is: String =
                        digest(&SHA256, &body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
                    if is != frozen.sha256 {
                        wrong.push(format!(
                            "{name}: is not what was frozen: its SHA-256 is {is}, not {}",
                            frozen.sha256
                        ));
                    }
                }
                Ok(None) => wrong.push(format!("{name}: has no body")),
                Err(error) => wrong.push(format!("{name}: cannot be unpacked: {error}")),
            }
            last = Some(frozen);
        }
        Ok(wrong)
    }
}

fn frozen(row: &Row<'_>) -> rusqlite::Result<Frozen> {
    let instant = |place: usize| row.get(place).map(Instant::from_micros);
    let count = |place: usize| row.get::<_, i64>(place).map(i64::unsigned_abs);
    Ok(Frozen {
        period: row.get(0)?,
        revision: row.get(1)?,
        from: instant(2)?,
        until: instant(3)?,
        known_at: instant(4)?,
        sequence: count(5)?,
        made: instant(6)?,
        corrections: count(7)?,
        facts: row.get(8)?,
        sha256: row.get(9)?,
    })
}

fn other(error: &std::io::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(error.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(revision: u32, body: &[u8]) -> Frozen {
        Frozen {
            period: "2026-03".to_owned(),
            revision,
            from: Instant::from_micros(1),
            until: Instant::from_micros(2),
            known_at: Instant::from_micros(3),
            sequence: 4,
            made: Instant::from_micros(5),
            corrections: 0,
            facts: "f".to_owned(),
            sha256: digest(&SHA256, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    #[test]
    fn what_is_frozen_is_read_back_and_never_changed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rows.db");
        let reports = Reports::open_to_write(&file).unwrap();
        reports.freeze(&row(1, b"one"), b"one").unwrap();
        reports.freeze(&row(2, b"two"), b"two").unwrap();
        assert!(reports.freeze(&row(2, b"three"), b"three").is_err());
        assert_eq!(reports.get("2026-03", None).unwrap().unwrap(), (row(2, b"two"), b"two".to_vec()));
        assert_eq!(reports.get("2026-03", Some(1)).unwrap().unwrap().1, b"one");
        assert_eq!(reports.get("2026-03", Some(3)).unwrap(), None);
        assert!(reports.0.execute("UPDATE reports SET revision = 7", []).is_err());
        assert!(reports.0.execute("DELETE FROM reports", []).is_err());
        assert_eq!(Reports::open(&file).unwrap().differences().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_body_that_was_changed_or_removed_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rows.db");
        let reports = Reports::open_to_write(&file).unwrap();
        for revision in 1..=3 {
            reports.freeze(&row(revision, b"same"), b"same").unwrap();
        }
        reports.0.execute_batch("DROP TRIGGER reports_stay; DROP TRIGGER reports_stay_as_they_are").unwrap();
        let forged = zstd::bulk::compress(b"other", 1).unwrap();
        reports.0.execute("UPDATE reports SET body = ?1 WHERE revision = 3", [forged]).unwrap();
        reports.0.execute("DELETE FROM reports WHERE revision = 2", []).unwrap();
        let wrong = reports.differences().unwrap();
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(wrong[0].contains("revision 2 before it is missing") && wrong[1].contains("not what was frozen"));
    }
}
