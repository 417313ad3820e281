//! Dropping the oldest batches, and the record of it: what was dropped, when, why, and what the first one kept is chained
//! to. A gap that is not in the record is damage.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use xxhash_rust::xxh3::Xxh3;

use super::{BATCHES, Journal, Link, ROW_BYTES, read_batch, signed};
use crate::journal::{JournalError, Stored};
use crate::model::time::{Instant, Span};

/// A day is one row of the record for each reason, however often something is dropped.
pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS dropped (
    first    INTEGER PRIMARY KEY,
    last     INTEGER NOT NULL,
    bytes    INTEGER NOT NULL,  -- of payloads
    received INTEGER NOT NULL,  -- of the last one
    at       INTEGER NOT NULL,  -- when the last one was dropped
    reason   TEXT NOT NULL,     -- the setting
    chain    BLOB NOT NULL,     -- of the last one
    checksum INTEGER NOT NULL   -- xxh3 of all of the above
) STRICT;
";

/// Nothing is deleted but what the record says was dropped, and the record only grows.
pub(super) const TRIGGERS: &str = "
CREATE TRIGGER IF NOT EXISTS batches_are_kept BEFORE DELETE ON batches
WHEN OLD.sequence > (SELECT ifnull(max(last), 0) FROM dropped) BEGIN
    SELECT RAISE(ABORT, 'the journal is append-only');
END;
CREATE TRIGGER IF NOT EXISTS dropped_is_kept BEFORE DELETE ON dropped BEGIN
    SELECT RAISE(ABORT, 'the record of what was dropped only grows');
END;
CREATE TRIGGER IF NOT EXISTS dropped_grows BEFORE UPDATE ON dropped
WHEN NEW.first <> OLD.first OR NEW.last <= OLD.last OR NEW.reason <> OLD.reason BEGIN
    SELECT RAISE(ABORT, 'the record of what was dropped only grows');
END;
";

/// Batches that go at once, and their bytes unless more came in: half a millisecond mostly, as nothing else goes on
/// meanwhile.
const BATCHES_MAX: i64 = 512;
const BYTES_MAX: u64 = 1 << 20;

const HOUR_MICROS: i64 = 3_600_000_000;
const DAY_MICROS: i64 = 24 * HOUR_MICROS;

const BY_AGE: &str = "storage.keep_for";
const BY_SIZE: &str = "storage.keep_bytes";

/// How much of the log is kept. Without either of them it is all kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// Batches received longer ago may be dropped.
    pub span: Option<Span>,
    /// The oldest are dropped while the log takes more bytes than this.
    pub bytes: Option<u64>,
}

/// What was dropped from the beginning of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// The last batch of it.
    pub last: u64,
    /// When the last batch of it was dropped.
    pub at: Instant,
    /// The settings that it was dropped for.
    pub reasons: String,
    pub(super) link: Link,
}

/// A row of the record.
#[derive(Clone, Debug)]
struct Row {
    first: u64,
    last: u64,
    bytes: u64,
    received: Instant,
    at: Instant,
    reason: String,
    link: Link,
}

impl Row {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Self, i64)> {
        let number = |place| row.get::<_, i64>(place).map(i64::unsigned_abs);
        let instant = |place| row.get(place).map(Instant::from_micros);
        let (first, last, bytes) = (number(0)?, number(1)?, number(2)?);
        let (received, at) = (instant(3)?, instant(4)?);
        Ok((Self { first, last, bytes, received, at, reason: row.get(5)?, link: row.get(6)? }, row.get(7)?))
    }

    fn checksum(&self) -> i64 {
        let mut hash = Xxh3::new();
        let numbers = [signed(self.first), signed(self.last), signed(self.bytes)];
        for number in numbers.into_iter().chain([self.received.as_micros(), self.at.as_micros()]) {
            hash.update(&number.to_le_bytes());
        }
        hash.update(self.reason.as_bytes());
        hash.update(&self.link);
        hash.digest().cast_signed()
    }

    fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut insert = connection.prepare_cached(
            "INSERT INTO dropped VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (first) DO UPDATE SET
             last = excluded.last, bytes = excluded.bytes, received = excluded.received, at = excluded.at,
             chain = excluded.chain, checksum = excluded.checksum",
        )?;
        insert.execute(params![
            signed(self.first),
            signed(self.last),
            signed(self.bytes),
            self.received.as_micros(),
            self.at.as_micros(),
            self.reason,
            self.link,
            self.checksum()
        ])?;
        Ok(())
    }

    /// With what the rows before it say.
    fn after(&self, before: Option<Dropped>) -> Dropped {
        let mut reasons = before.map_or_else(String::new, |before| before.reasons);
        if !reasons.contains(&self.reason) {
            let comma = if reasons.is_empty() { "" } else { ", " };
            reasons = [reasons.as_str(), comma, &self.reason].concat();
        }
        Dropped { last: self.last, at: self.at, reasons, link: self.link }
    }

    /// With what goes after it: in one row if it goes on the same day for the same reason.
    fn and(self, next: Self) -> Self {
        let day = |row: &Self| row.at.as_micros().div_euclid(DAY_MICROS);
        if self.reason == next.reason && day(&self) == day(&next) {
            Self { first: self.first, bytes: self.bytes + next.bytes, ..next }
        } else {
            next
        }
    }
}

/// Reads the record, which begins with the first batch and has no gap.
///
/// # Errors
/// With what is wrong with it, and the batch that it is about.
pub(super) fn read(connection: &Connection) -> rusqlite::Result<Result<Option<Dropped>, (u64, String)>> {
    let mut select = connection.prepare("SELECT * FROM dropped ORDER BY first")?;
    let mut rows = select.query([])?;
    let mut dropped: Option<Dropped> = None;
    while let Some(row) = rows.next()? {
        let next = dropped.as_ref().map_or(1, |dropped| dropped.last + 1);
        let (row, checksum) = Row::read(row)?;
        if row.checksum() != checksum {
            return Ok(Err((next, "the record of what was dropped does not match its checksum".to_owned())));
        }
        if row.first != next || row.last < row.first {
            return Ok(Err((next, "the record of what was dropped has a gap there".to_owned())));
        }
        dropped = Some(row.after(dropped));
    }
    Ok(Ok(dropped))
}

impl Journal {
    /// The first batch that is kept.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.dropped.as_ref().map_or(1, |dropped| dropped.last + 1)
    }

    /// What was dropped.
    #[must_use]
    pub const fn dropped(&self) -> Option<&Dropped> {
        self.dropped.as_ref()
    }

    /// That there is no way on from before the first batch kept, or none but `problem`.
    #[must_use]
    pub fn refusal(&self, problem: &str) -> JournalError {
        let (reasons, at) = self
            .dropped
            .as_ref()
            .map_or_else(Default::default, |dropped| (dropped.reasons.clone(), dropped.at.to_string()));
        let (file, first) = (self.file.display().to_string(), self.first());
        JournalError::Dropped { file, first, reasons, at, problem: problem.to_owned() }
    }

    /// The last policy before the first batch kept, which is kept when all around it is dropped.
    ///
    /// # Errors
    /// When it is damaged, or the database fails.
    pub fn policy_before(&self) -> Result<Option<Stored>, JournalError> {
        let sql = format!("{BATCHES} WHERE kind = 1 AND sequence < ?1 ORDER BY sequence DESC LIMIT 1");
        let mut select = self.connection.prepare(&sql).map_err(|error| self.failed(error))?;
        let mut rows = select.query([signed(self.first())]).map_err(|error| self.failed(error))?;
        let Some(row) = rows.next().map_err(|error| self.failed(error))? else { return Ok(None) };
        let sequence = row.get::<_, i64>(0).map_err(|error| self.failed(error))?.unsigned_abs();
        read_batch(row, sequence, &mut None).map(Some).map_err(|problem| self.damaged(sequence, problem))
    }

    /// Drops some of the oldest batches up to `until` that need not be kept, and says how many; none when there are no
    /// more. The last policy stays, and so does the last batch. It need not be durable: what is back after a failure
    /// of the power is dropped again.
    ///
    /// # Errors
    /// When what would be dropped is damaged, which leaves everything as it is, or the database fails.
    pub fn drop_some(&mut self, keep: Keep, until: u64, now: Instant) -> Result<u64, JournalError> {
        self.refuse_if_poisoned()?;
        let until = until.min(self.sequence.saturating_sub(1));
        if self.first() > until {
            return Ok(0);
        }
        let Some((row, policy)) = self.oldest(keep, until, now)? else { return Ok(0) };
        self.follows(&row)?;
        let (batches, freed) = (row.last + 1 - row.first, row.bytes);
        let dropped = row.after(self.dropped.clone());
        let written = self.remove(row, policy);
        // Whoever commits next relies on it.
        let safe = self.connection.pragma_update(None, "synchronous", "FULL");
        self.poisoned |= safe.is_err();
        self.settle(written.and(safe))?;
        self.dropped = Some(dropped);
        self.poisoned |= self.mover.as_mut().is_some_and(|mover| !mover.committed(freed + batches * ROW_BYTES));
        Ok(batches)
    }

    /// The oldest that need not be kept, for one reason, and the last policy among them.
    fn oldest(&self, keep: Keep, until: u64, now: Instant) -> Result<Option<(Row, Option<u64>)>, JournalError> {
        let failed = |error| self.failed(error);
        // By whole hours, so that it is not done for each batch by itself.
        let old = keep.span.map_or(Instant::MIN, |span| {
            let micros = now.minus(span).as_micros();
            Instant::from_micros(micros.saturating_sub(micros.rem_euclid(HOUR_MICROS)))
        });
        let over = keep.bytes.map_or(Ok(0), |most| self.used().map(|used| used.saturating_sub(most)));
        let over = over.map_err(failed)?;
        let most = BYTES_MAX.max(2 * self.taken);
        let mut select = self
            .connection
            .prepare_cached(
                "SELECT sequence, received, kind, length(payload), chain FROM batches
                 WHERE sequence BETWEEN ?1 AND ?2 ORDER BY sequence LIMIT ?3",
            )
            .map_err(failed)?;
        let mut rows = select.query(params![signed(self.first()), signed(until), BATCHES_MAX]).map_err(failed)?;
        let mut found: Option<(Row, Option<u64>)> = None;
        let mut next = self.first();
        while let Some(row) = rows.next().map_err(failed)? {
            let read = || -> rusqlite::Result<_> {
                Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get::<_, i64>(2)?, row.get::<_, i64>(3)?, row.get(4)?))
            };
            let (sequence, received, kind, bytes, link): (_, _, _, _, Link) = read().map_err(failed)?;
            let (sequence, bytes) = (sequence.unsigned_abs(), bytes.unsigned_abs());
            if sequence != next {
                return Err(self.damaged(next, format!("it is missing, the next there is {sequence}")));
            }
            next += 1;
            let received = Instant::from_micros(received);
            let freed = found.as_ref().map_or(0, |(row, _)| row.bytes + (sequence - row.first) * ROW_BYTES);
            let reason = match found.as_ref().map(|(row, _)| &*row.reason) {
                None | Some(BY_AGE) if received < old => BY_AGE,
                None | Some(BY_SIZE) if freed < over => BY_SIZE,
                _ => break,
            };
            if freed >= most {
                break;
            }
            let (mut all, mut policy) = found.unwrap_or_else(|| {
                let reason = reason.to_owned();
                (Row { first: sequence, last: sequence, bytes: 0, received, at: now, reason, link }, None)
            });
            (all.last, all.received, all.link, all.bytes) = (sequence, received, link, all.bytes + bytes);
            policy = if kind == 1 { Some(sequence) } else { policy };
            found = Some((all, policy));
        }
        if next == self.first() {
            return Err(self.damaged(next, "it and all after it are missing".to_owned()));
        }
        Ok(found)
    }

    /// Holds the first one that stays against the link that the record will have.
    fn follows(&self, row: &Row) -> Result<(), JournalError> {
        let sql = format!("{BATCHES} WHERE sequence = ?1");
        let mut select = self.connection.prepare_cached(&sql).map_err(|error| self.failed(error))?;
        let mut rows = select.query([signed(row.last + 1)]).map_err(|error| self.failed(error))?;
        let stays = match rows.next().map_err(|error| self.failed(error))? {
            Some(stays) => read_batch(stays, row.last + 1, &mut Some(row.link)),
            None => Err("it is missing".to_owned()),
        };
        stays.map(drop).map_err(|problem| self.damaged(row.last + 1, problem))
    }

    /// Writes the record and deletes, all or nothing.
    fn remove(&mut self, row: Row, policy: Option<u64>) -> rusqlite::Result<()> {
        self.connection.pragma_update(None, "synchronous", "NORMAL")?;
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let select = "SELECT * FROM dropped ORDER BY first DESC LIMIT 1";
        let before = transaction.query_row(select, [], Row::read).optional()?;
        let last = signed(row.last);
        let row = match before {
            Some((before, _)) => before.and(row),
            None => row,
        };
        row.write(&transaction)?;
        // Of what was dropped before only a policy is there.
        match policy {
            Some(policy) => transaction
                .execute("DELETE FROM batches WHERE sequence <= ?1 AND sequence <> ?2", [last, signed(policy)])?,
            None => transaction.execute("DELETE FROM batches WHERE sequence <= ?1 AND kind <> 1", [last])?,
        };
        transaction.commit()
    }

    /// What the log takes of its file in bytes: the rest is free for what comes.
    fn used(&self) -> rusqlite::Result<u64> {
        let pragma = |name| self.connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
        let pages = pragma("page_count")? - pragma("freelist_count")?;
        Ok((pages * pragma("page_size")?).unsigned_abs())
    }
}
