//! The log in an SQLite file of its own: write-ahead, synced at every commit.

mod examination;
mod mover;
mod retention;

use std::fs;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};
use xxhash_rust::xxh3::Xxh3;

use super::chain::{self, Link};
use super::{Batch, JournalError, Kind, LAYOUT, Stored, checkpoints, older};
use crate::model::time::{Instant, Span};
use mover::{Mover, PAGES_MAX};
pub use retention::{Dropped, Keep};

/// The file's name in the storage folder.
const FILE: &str = "journal.db";

/// About what a batch takes up beside its payload.
const ROW_BYTES: u64 = 200;

/// Batches as [`read_batch`] reads them.
const BATCHES: &str = "SELECT sequence, received, kind, source, key, events, payload, checksum, chain FROM batches";

/// What is in the log stays as it is.
const APPEND_ONLY: &str = "
CREATE TRIGGER IF NOT EXISTS batches_stay BEFORE UPDATE ON batches BEGIN
    SELECT RAISE(ABORT, 'the journal is append-only');
END;
";

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS batches (
    sequence INTEGER PRIMARY KEY,
    received INTEGER NOT NULL,  -- microseconds since 1970, never going backwards
    kind     INTEGER NOT NULL,  -- 0 events, 1 policy, 2 days folded, 3 nothing but the time
    source   TEXT NOT NULL,
    key      TEXT,
    events   INTEGER NOT NULL,
    payload  BLOB NOT NULL,     -- zstd of the text
    checksum INTEGER NOT NULL,  -- xxh3 of all of the above
    chain    BLOB               -- SHA-256 of the one before and of all of the above but the checksum
) STRICT;
";

/// The log.
pub struct Journal {
    connection: Connection,
    file: PathBuf,
    /// The last sequence number given.
    sequence: u64,
    /// The last receive time given.
    received: Instant,
    /// The last link of the chain.
    chain: Link,
    /// What was dropped from its beginning.
    dropped: Option<Dropped>,
    /// How many bytes the last commit took in.
    taken: u64,
    poisoned: bool,
    /// Absent in one that is only read.
    mover: Option<Mover>,
    /// Held for as long as the log is open for writing; the system frees it however the process ends.
    _lock: Option<fs::File>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("file", &self.file)
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

/// The text of a policy as it stands in the log.
#[derive(Debug)]
pub struct PackedPolicy(Vec<u8>);

impl PackedPolicy {
    /// Whether the text is what `write` writes. Neither of them is ever in memory as a whole.
    #[must_use]
    pub fn says(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> bool {
        let Ok(known) = zstd::Decoder::new(&*self.0) else { return false };
        let mut same = BufWriter::new(Same { known, piece: Vec::new() });
        write(&mut same).is_ok()
            && same.into_inner().is_ok_and(|mut same| matches!(same.known.read(&mut [0]), Ok(0)))
    }
}

/// Takes what is written as long as it is what `known` says.
struct Same<R> {
    known: R,
    piece: Vec<u8>,
}

impl<R: Read> Write for Same<R> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.resize(bytes.len(), 0);
        self.known.read_exact(&mut self.piece)?;
        if self.piece == bytes { Ok(bytes.len()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Journal {
    /// Opens the log in `folder`, which is made if it is not there, for this process alone.
    ///
    /// # Errors
    /// When the folder or the file cannot be used, or another process has it.
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        fs::create_dir_all(folder)
            .map_err(|error| JournalError::Folder { folder: folder.display().to_string(), error })?;
        let file = file_in(folder);
        let failed = |error| JournalError::Database { file: file.display().to_string(), error };
        let lock = hold(folder, &file)?;
        let connection = Connection::open(&file).map_err(failed)?;
        connection.busy_timeout(std::time::Duration::from_secs(10)).map_err(failed)?;
        connection
            .execute_batch(&format!(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = {PAGES_MAX};"
            ))
            .map_err(failed)?;
        let layout: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
        match layout {
            0 => older::take_over(&connection, folder)?,
            3 | 4 => older::bring_up_to_date(&connection).map_err(failed)?,
            LAYOUT => older::let_go(folder)?,
            found => {
                return Err(JournalError::Layout { file: file.display().to_string(), found, known: LAYOUT });
            }
        }
        connection.execute_batch(&[APPEND_ONLY, retention::TRIGGERS].concat()).map_err(failed)?;
        let mover = Mover::start(&file)?;
        Ok(Self { mover: Some(mover), ..Self::over(connection, file.clone(), Some(lock))? })
    }

    fn over(connection: Connection, file: PathBuf, lock: Option<fs::File>) -> Result<Self, JournalError> {
        let last = connection
            .query_row("SELECT sequence, received, chain FROM batches ORDER BY sequence DESC LIMIT 1", [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Link>(2)?))
            })
            .optional()
            .map_err(|error| JournalError::Database { file: file.display().to_string(), error })?;
        let (sequence, received, chain) = last.unwrap_or((0, Instant::MIN.as_micros(), chain::BEGINNING));
        let (sequence, received) = (sequence.unsigned_abs(), Instant::from_micros(received));
        let record = retention::read(&connection)
            .map_err(|error| JournalError::Database { file: file.display().to_string(), error })?;
        let dropped = record.map_err(|(sequence, problem)| JournalError::Damaged {
            file: file.display().to_string(),
            sequence,
            problem,
        })?;
        if let Some(dropped) = dropped.as_ref().filter(|dropped| dropped.last >= sequence) {
            return Err(JournalError::Damaged {
                file: file.display().to_string(),
                sequence: dropped.last + 1,
                problem: "it and all after it are missing".to_owned(),
            });
        }
        let (taken, poisoned, mover) = (0, false, None);
        Ok(Self { connection, file, sequence, received, chain, dropped, taken, poisoned, mover, _lock: lock })
    }

    /// The last sequence number given; 0 when the log is empty.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The last receive time given.
    #[must_use]
    pub const fn received(&self) -> Instant {
        self.received
    }

    /// The last link of the chain over everything in the log: noted elsewhere, it proves later that nothing of that was
    /// changed since.
    #[must_use]
    pub fn head(&self) -> String {
        chain::shown(&self.chain)
    }

    /// The link of the chain at a batch; absent when it was dropped, or is not there.
    ///
    /// # Errors
    /// When the database fails.
    pub fn head_at(&self, sequence: u64) -> Result<Option<String>, JournalError> {
        Ok(self.link_of(sequence)?.as_ref().map(chain::shown))
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The file's size in bytes, with what is not yet moved into it.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let size = |path: &Path| fs::metadata(path).map_or(0, |data| data.len());
        size(&self.file) + size(&self.file.with_extension("db-wal"))
    }

    /// Makes batches durable with one sync, all or none, as received at `received`.
    ///
    /// # Errors
    /// When they could not be made durable; none of them is then in the log, unless the error is not
    /// [passing](JournalError::is_passing), in which case nothing more is taken until a restart.
    pub fn append<'b>(
        &mut self,
        received: Instant,
        batches: impl IntoIterator<Item = &'b Batch>,
    ) -> Result<(), JournalError> {
        self.refuse_if_poisoned()?;
        // Later than the one before: what was at that instant is complete.
        let received = received.max(self.received.plus(Span::TICK));
        let (mut sequence, mut link, mut bytes) = (self.sequence, self.chain, 0);
        let written = (|| {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                let mut insert = transaction
                    .prepare_cached("INSERT INTO batches VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?;
                for batch in batches {
                    sequence += 1;
                    bytes += batch.payload.len() as u64 + ROW_BYTES;
                    link = chain::link(&link, sequence, received, batch);
                    insert.execute(params![
                        signed(sequence),
                        received.as_micros(),
                        batch.kind.code(),
                        batch.source,
                        batch.key,
                        signed(batch.events),
                        batch.payload,
                        checksum(sequence, received, batch),
                        link
                    ])?;
                }
            }
            transaction.commit()
        })();
        self.settle(written)?;
        (self.sequence, self.received, self.chain, self.taken) = (sequence, received, link, bytes);
        // These are durable, whatever became of what was moved.
        self.poisoned |= self.mover.as_mut().is_some_and(|mover| !mover.committed(bytes));
        Ok(())
    }

    /// Reads every batch after `after`, in order. `each` may stop it with an error of its own, which then is that
    /// batch's damage.
    ///
    /// # Errors
    /// When a batch is missing, changed or cannot be read, with its sequence number, or some of them were dropped.
    pub fn read_after(
        &self,
        after: u64,
        mut each: impl FnMut(Stored) -> Result<(), String>,
    ) -> Result<(), JournalError> {
        if after + 1 < self.first() {
            return Err(self.refusal("it cannot be read from before that"));
        }
        let mut expected = after + 1;
        let mut before = self.link_of(after)?;
        let mut select = self
            .connection
            .prepare(&format!("{BATCHES} WHERE sequence > ?1 ORDER BY sequence"))
            .map_err(|error| self.failed(error))?;
        let mut rows = select.query([signed(after)]).map_err(|error| self.failed(error))?;
        loop {
            let stored = match rows.next() {
                Ok(None) => break,
                Ok(Some(row)) => read_batch(row, expected, &mut before),
                Err(error) => Err(error.to_string()),
            };
            stored.and_then(&mut each).map_err(|problem| self.damaged(expected, problem))?;
            expected += 1;
        }
        if expected <= self.sequence {
            return Err(self.damaged(expected, "it and all after it are missing".to_owned()));
        }
        Ok(())
    }

    /// The link of a batch; of none, the beginning. Absent when it cannot be read.
    fn link_of(&self, sequence: u64) -> Result<Option<Link>, JournalError> {
        if sequence == 0 {
            return Ok(Some(chain::BEGINNING));
        }
        if let Some(dropped) = self.dropped.as_ref().filter(|dropped| dropped.last == sequence) {
            return Ok(Some(dropped.link));
        }
        let select = "SELECT chain FROM batches WHERE sequence = ?1";
        let link = self.connection.query_row(select, [signed(sequence)], |row| row.get::<_, Link>(0)).optional();
        link.map_err(|error| self.failed(error))
    }

    /// The last policy in the log.
    ///
    /// # Errors
    /// When the database fails.
    pub fn last_policy(&self) -> Result<Option<PackedPolicy>, JournalError> {
        let select = "SELECT payload FROM batches WHERE kind = 1 ORDER BY sequence DESC LIMIT 1";
        let packed = self.connection.query_row(select, [], |row| row.get(0).map(PackedPolicy)).optional();
        packed.map_err(|error| self.failed(error))
    }

    fn refuse_if_poisoned(&self) -> Result<(), JournalError> {
        if self.poisoned {
            return Err(JournalError::Poisoned { file: self.file.display().to_string() });
        }
        Ok(())
    }

    fn settle(&mut self, written: rusqlite::Result<()>) -> Result<(), JournalError> {
        written.map_err(|error| {
            let error = self.failed(error);
            self.poisoned = !error.is_passing();
            error
        })
    }

    fn failed(&self, error: rusqlite::Error) -> JournalError {
        JournalError::Database { file: self.file.display().to_string(), error }
    }

    fn damaged(&self, sequence: u64, problem: String) -> JournalError {
        JournalError::Damaged { file: self.file.display().to_string(), sequence, problem }
    }
}

/// Opens the log in `folder` for reading only, while another process may write to it.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn open_reader(folder: &Path) -> Result<Journal, JournalError> {
    let file = file_in(folder);
    let failed = |error| JournalError::Database { file: file.display().to_string(), error };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = |file: &Path| {
        let connection = Connection::open_with_flags(file, flags)?;
        let layout: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        Ok((connection, layout))
    };
    // An older one is all in the other file.
    let all = checkpoints::file_in(folder);
    let older = !file.exists() && all.exists();
    let (connection, layout) = open(if older { &all } else { &file }).map_err(failed)?;
    // All of it is as of one moment, whatever is dropped meanwhile.
    connection.execute_batch("BEGIN").map_err(failed)?;
    if layout != LAYOUT {
        return Err(JournalError::Layout { file: file.display().to_string(), found: layout, known: LAYOUT });
    }
    Journal::over(connection, file.clone(), None)
}

/// The tables.
pub(super) fn schema() -> String {
    [SCHEMA, retention::SCHEMA].concat()
}

/// The log's file in a storage folder.
#[must_use]
pub(super) fn file_in(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

/// Takes the folder for one writer.
fn hold(folder: &Path, file: &Path) -> Result<fs::File, JournalError> {
    let failed = |error| JournalError::Folder { folder: folder.display().to_string(), error };
    let lock = fs::File::create(folder.join("lock")).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => Err(JournalError::Busy { file: file.display().to_string() }),
        Err(fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Reads a batch, and holds it against the link `before` it, which becomes its own.
fn read_batch(row: &rusqlite::Row<'_>, expected: u64, before: &mut Option<Link>) -> Result<Stored, String> {
    let text = |error: rusqlite::Error| error.to_string();
    let sequence = row.get::<_, i64>(0).map_err(text)?.unsigned_abs();
    if sequence != expected {
        return Err(format!("it is missing, the next there is {sequence}"));
    }
    let received = Instant::from_micros(row.get(1).map_err(text)?);
    let code: i64 = row.get(2).map_err(text)?;
    let kind = Kind::from_code(code).ok_or_else(|| format!("it is of kind {code}, which nobody knows"))?;
    let batch = Batch {
        kind,
        source: row.get::<_, String>(3).map_err(text)?.into(),
        key: row.get::<_, Option<String>>(4).map_err(text)?.map(Into::into),
        events: row.get::<_, i64>(5).map_err(text)?.unsigned_abs(),
        payload: row.get(6).map_err(text)?,
    };
    if row.get::<_, i64>(7).map_err(text)? != checksum(sequence, received, &batch) {
        return Err("its checksum does not match".to_owned());
    }
    let link: Link = row.get(8).map_err(text)?;
    if before.is_some_and(|before| chain::link(&before, sequence, received, &batch) != link) {
        return Err("it is not the one that was chained to the one before it".to_owned());
    }
    *before = Some(link);
    let unpacked = zstd::decode_all(&*batch.payload).map_err(|error| error.to_string())?;
    Ok(Stored { sequence, received, kind, source: batch.source, key: batch.key, text: unpacked })
}

impl Kind {
    pub(super) const fn code(self) -> i64 {
        match self {
            Self::Events => 0,
            Self::Policy => 1,
            Self::Fold => 2,
            Self::Time => 3,
        }
    }

    pub(super) const fn from_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::Events),
            1 => Some(Self::Policy),
            2 => Some(Self::Fold),
            3 => Some(Self::Time),
            _ => None,
        }
    }
}

fn checksum(sequence: u64, received: Instant, batch: &Batch) -> i64 {
    let mut hash = Xxh3::new();
    for number in [signed(sequence), received.as_micros(), batch.kind.code(), signed(batch.events)] {
        hash.update(&number.to_le_bytes());
    }
    for text in [Some(&batch.source), batch.key.as_ref()] {
        hash.update(&[u8::from(text.is_some())]);
        hash.update(text.map_or(&[], |text| text.as_bytes()));
    }
    hash.update(&batch.payload);
    hash.digest().cast_signed()
}

/// SQLite has no unsigned numbers; these stay far below where that would show.
pub(super) const fn signed(number: u64) -> i64 {
    number.cast_signed()
}

#[cfg(test)]
mod tests;
