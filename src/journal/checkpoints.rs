//! Checkpoints, in the file that also holds the rows of whoever keeps some: apart from the log, so that the log is
//! written on while a large checkpoint is.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use xxhash_rust::xxh3::Xxh3;

use super::embedded::signed;
use super::{JournalError, LAYOUT};

/// The file's name in the storage folder.
const FILE: &str = "fournines.db";
/// How much of a snapshot is unpacked at once, and how many such pieces ahead of whoever reads it: 4 MiB in all.
const PIECE_BYTES: usize = 1 << 18;
const PIECES_AHEAD: usize = 16;
/// Checkpoints kept: the last, and one before it in case the last is damaged.
const KEPT: u64 = 2;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS checkpoints (
    sequence INTEGER PRIMARY KEY,
    snapshot BLOB NOT NULL,     -- zstd of the engine's state
    checksum INTEGER NOT NULL
) STRICT;
";

/// What tells a checkpoint from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The last batch in it.
    pub sequence: u64,
    checksum: i64,
}

/// The engine's state at a place in the log.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The last batch in it.
    pub sequence: u64,
    packed: Arc<Vec<u8>>,
}

impl Checkpoint {
    /// How many bytes it takes on the disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.packed.len() as u64
    }

    /// The engine's snapshot. It is unpacked on a thread of its own, ahead of whoever reads it.
    ///
    /// # Errors
    /// When there is no thread for that; reading fails when it cannot be unpacked.
    pub fn snapshot(&self) -> io::Result<impl Read> {
        let (sender, pieces) = sync_channel(PIECES_AHEAD);
        let packed = self.packed.clone();
        std::thread::Builder::new().name("unpack".to_owned()).spawn(move || unpack(&packed, &sender))?;
        Ok(Unpacked { pieces, piece: Vec::new(), at: 0 })
    }
}

/// Unpacks piece by piece, until that is all, it fails, or nobody takes the pieces.
fn unpack(packed: &[u8], sender: &SyncSender<io::Result<Vec<u8>>>) {
    let all = || -> io::Result<()> {
        let mut unpacked = zstd::Decoder::new(packed)?;
        loop {
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            unpacked.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut piece)?;
            if piece.is_empty() || sender.send(Ok(piece)).is_err() {
                return Ok(());
            }
        }
    };
    if let Err(error) = all() {
        // Whoever read it may have gone.
        let _ = sender.send(Err(error));
    }
}

/// What is unpacked meanwhile.
struct Unpacked {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    /// How much of the piece is read.
    at: usize,
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() {
            let Ok(piece) = self.pieces.recv() else { return Ok(0) };
            (self.piece, self.at) = (piece?, 0);
        }
        let count = buffer.len().min(self.piece.len() - self.at);
        buffer[..count].copy_from_slice(&self.piece[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// The checkpoints.
#[derive(Debug)]
pub struct Checkpoints {
    connection: Connection,
    file: PathBuf,
}

impl Checkpoints {
    /// Opens those in `folder`, which a [`super::Journal`] holds.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn open(folder: &Path) -> Result<Self, JournalError> {
        let file = file_in(folder);
        let open = || -> rusqlite::Result<(Connection, i64)> {
            let connection = Connection::open(&file)?;
            connection.busy_timeout(std::time::Duration::from_secs(10))?;
            connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
            let layout = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
            if layout < LAYOUT {
                connection.pragma_update(None, "user_version", LAYOUT)?;
            }
            connection.execute_batch(SCHEMA)?;
            Ok((connection, layout))
        };
        let (connection, found) = open().map_err(|error| failed(&file, error))?;
        if found > LAYOUT {
            return Err(JournalError::Layout { file: file.display().to_string(), found, known: LAYOUT });
        }
        Ok(Self { connection, file })
    }

    /// Opens those in `folder` for reading only, while another process may write to them.
    ///
    /// # Errors
    /// When there is no such file, or it cannot be read.
    pub fn open_reader(folder: &Path) -> Result<Self, JournalError> {
        let file = file_in(folder);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&file, flags).map_err(|error| failed(&file, error))?;
        Ok(Self { connection, file })
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Writes a checkpoint, its `snapshot` as [`super::compress`] packs it, and the `rows` that belong to it in one
    /// transaction.
    ///
    /// # Errors
    /// When it could not be made durable; the one before is then still there.
    pub fn write(
        &mut self,
        sequence: u64,
        snapshot: &[u8],
        rows: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>,
    ) -> Result<(), JournalError> {
        let write = || -> rusqlite::Result<()> {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            rows(&transaction)?;
            transaction.execute(
                "INSERT OR REPLACE INTO checkpoints VALUES (?1, ?2, ?3)",
                params![signed(sequence), snapshot, checksum(sequence, snapshot)],
            )?;
            transaction.execute(
                "DELETE FROM checkpoints WHERE sequence NOT IN
                 (SELECT sequence FROM checkpoints ORDER BY sequence DESC LIMIT ?1)",
                [signed(KEPT)],
            )?;
            transaction.commit()
        };
        write().map_err(|error| failed(&self.file, error))
    }

    /// The checkpoints that can be read, the latest first. One that is damaged is left out: the log has it all.
    ///
    /// # Errors
    /// When the database fails.
    pub fn read(&self) -> Result<Vec<Checkpoint>, JournalError> {
        self.known()?.into_iter().filter_map(|mark| self.load(mark).transpose()).collect()
    }

    /// Those that there are, the latest first, be they readable or not.
    ///
    /// # Errors
    /// When the database fails.
    pub fn known(&self) -> Result<Vec<Mark>, JournalError> {
        let read = || -> rusqlite::Result<Vec<Mark>> {
            let mut select =
                self.connection.prepare("SELECT sequence, checksum FROM checkpoints ORDER BY sequence DESC")?;
            let mark =
                |row: &Row<'_>| Ok(Mark { sequence: row.get::<_, i64>(0)?.unsigned_abs(), checksum: row.get(1)? });
            select.query_map([], mark)?.collect()
        };
        read().map_err(|error| failed(&self.file, error))
    }

    /// A checkpoint; absent when it is damaged, or is there no more.
    ///
    /// # Errors
    /// When the database fails.
    pub fn load(&self, mark: Mark) -> Result<Option<Checkpoint>, JournalError> {
        let Mark { sequence, checksum: expected } = mark;
        let found: Option<Vec<u8>> = self
            .connection
            .query_row(
                "SELECT snapshot FROM checkpoints WHERE sequence = ?1 AND checksum = ?2",
                params![signed(sequence), expected],
                |row| row.get(0),
            )
            .optional()
            .map_err(|error| failed(&self.file, error))?;
        let sound = found.filter(|packed| checksum(sequence, packed) == expected);
        Ok(sound.map(|packed| Checkpoint { sequence, packed: Arc::new(packed) }))
    }

    /// How many there are, be they readable or not.
    ///
    /// # Errors
    /// When the database fails.
    pub fn count(&self) -> Result<u64, JournalError> {
        let count = self.connection.query_row("SELECT count(*) FROM checkpoints", [], |row| row.get::<_, i64>(0));
        count.map(i64::unsigned_abs).map_err(|error| failed(&self.file, error))
    }

    /// A second connection to the same file, for rows that need not wait for a checkpoint.
    ///
    /// # Errors
    /// When the database fails.
    pub fn second_connection(&self) -> Result<Connection, JournalError> {
        let open = || {
            let connection = Connection::open(&self.file)?;
            connection.busy_timeout(std::time::Duration::from_secs(10))?;
            // What this connection writes may be lost to a power failure: it only says what need not be done again.
            connection.execute_batch("PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0;")?;
            Ok(connection)
        };
        open().map_err(|error| failed(&self.file, error))
    }
}

/// The file of checkpoints and rows in a storage folder.
#[must_use]
pub fn file_in(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

fn failed(file: &Path, error: rusqlite::Error) -> JournalError {
    JournalError::Database { file: file.display().to_string(), error }
}

fn checksum(sequence: u64, packed: &[u8]) -> i64 {
    let mut hash = Xxh3::new();
    hash.update(&sequence.to_le_bytes());
    hash.update(packed);
    hash.digest().cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_checkpoint_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let mut checkpoints = Checkpoints::open(folder.path()).unwrap();
        for (sequence, state) in [(3, "state at three"), (4, "state at four")] {
            checkpoints.write(sequence, &super::super::compress(state.as_bytes()).unwrap(), |_| Ok(())).unwrap();
        }
        checkpoints
            .connection
            .execute("UPDATE checkpoints SET snapshot = zeroblob(9) WHERE sequence = 4", [])
            .unwrap();
        let found = checkpoints.read().unwrap();
        assert_eq!((found.len(), found[0].sequence, checkpoints.count().unwrap()), (1, 3, 2));
        assert_eq!(std::io::read_to_string(found[0].snapshot().unwrap()).unwrap(), "state at three");
    }

    #[test]
    fn rows_that_are_refused_leave_the_checkpoint_before() {
        let folder = tempfile::tempdir().unwrap();
        let mut checkpoints = Checkpoints::open(folder.path()).unwrap();
        checkpoints.write(1, b"one", |_| Ok(())).unwrap();
        let refused = |_: &Transaction<'_>| Err(rusqlite::Error::InvalidQuery);
        assert!(checkpoints.write(2, b"two", refused).is_err());
        assert_eq!(checkpoints.read().unwrap().iter().map(|known| known.sequence).collect::<Vec<_>>(), [1]);
    }
}
