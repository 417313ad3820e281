//! The durable log: what was taken in, in which order, and when; and the checkpoints that make starting quick.
//!
//! A batch gets a sequence number and a receive time here and nowhere else. Many waiting batches are committed with
//! one sync. A checkpoint is the engine's state at a sequence number, written with the rows of whoever
//! keeps some ([`Outlet`]) in one transaction.
//!
//! Must not enter: what a batch means.

mod chain;
mod embedded;
mod structure;

use rusqlite::Transaction;

pub use embedded::{Journal, file_in, open_reader};
pub use structure::integrity;

use crate::model::effect::Effect;
use crate::model::incident::{IncidentId, Interruption};
use crate::model::time::Instant;

/// What a batch holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Events, one a line.
    Events,
    /// A policy's record.
    Policy,
    /// The first instants of days that are folded, one a line.
    Fold,
}

/// A batch that is to be made durable.
#[derive(Clone, Debug)]
pub struct Batch {
    /// What it holds.
    pub kind: Kind,
    /// By whom it came: the source of events that name none.
    pub source: Box<str>,
    /// The `Idempotency-Key` of the whole, if it has one.
    pub key: Option<Box<str>>,
    /// How many events it holds.
    pub events: u64,
    /// The text, compressed by [`compress`].
    pub payload: Vec<u8>,
}

/// A batch read back.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its place in the log.
    pub sequence: u64,
    /// When it was received.
    pub received: Instant,
    /// What it holds.
    pub kind: Kind,
    /// By whom it came.
    pub source: Box<str>,
    /// The `Idempotency-Key` of the whole.
    pub key: Option<Box<str>>,
    /// The text.
    pub text: Vec<u8>,
}

/// The engine's state at a place in the log.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The last batch in it.
    pub sequence: u64,
    /// The engine's snapshot.
    pub snapshot: Vec<u8>,
}

/// Whoever acts on effects, and keeps rows of what came of them in the journal's file. The rows are written with the
/// checkpoint that they belong to: what an effect before it asked for is in the rows, what one after it asks for is
/// asked for again when the journal is replayed.
pub trait Outlet: Send {
    /// Takes note of effects. Taking the same one twice is harmless.
    fn take(&mut self, effects: &[Effect]);

    /// Looks up, before it writes, the outages of the incidents of which it keeps rows.
    fn look_up(&mut self, _: &dyn Fn(IncidentId) -> Vec<Interruption>) {}

    /// Writes what changed since the last time.
    ///
    /// # Errors
    /// When the database refuses; the checkpoint is then not written either, and everything is tried again later.
    fn write(&mut self, transaction: &Transaction<'_>) -> rusqlite::Result<()>;

    /// What was written is durable.
    fn written(&mut self);
}

/// Why the journal cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The database failed.
    #[error("{file}: {error}")]
    Database {
        /// The file.
        file: String,
        /// What failed.
        #[source]
        error: rusqlite::Error,
    },
    /// The folder cannot be used.
    #[error("{folder}: {error}")]
    Folder {
        /// The folder.
        folder: String,
        /// What failed.
        #[source]
        error: std::io::Error,
    },
    /// Another process has it.
    #[error("{file}: another fournines works on this storage; stop it, or set storage.path to another folder")]
    Busy {
        /// The file.
        file: String,
    },
    /// What is in the middle of the log cannot be trusted.
    #[error(
        "{file}: the journal is damaged at sequence {sequence}: {problem}. Nothing after it was read. Restore the file from a backup"
    )]
    Damaged {
        /// The file.
        file: String,
        /// The first batch that is wrong or missing.
        sequence: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// Another version wrote it.
    #[error(
        "{file}: has layout {found}, this fournines reads {known}; `fournines serve` brings an older one up to date"
    )]
    Layout {
        /// The file.
        file: String,
        /// The layout found.
        found: i64,
        /// The layout known.
        known: i64,
    },
    /// A sync failed before: nobody knows what of the last writes is on the disk.
    #[error("{file}: a write failed before; restart to read back what is durable")]
    Poisoned {
        /// The file.
        file: String,
    },
}

impl JournalError {
    /// Whether the log is as it was before and may be written to again, say when there is room on the disk.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull};
        matches!(self, Self::Database { error: rusqlite::Error::SqliteFailure(failure, _), .. }
            if matches!(failure.code, DiskFull | DatabaseBusy | DatabaseLocked))
    }
}

/// How hard payloads are compressed: level 1 is the fastest of zstd's and keeps a tenth of typical events.
const ZSTD_LEVEL: i32 = 1;

/// A payload as the journal keeps it.
#[must_use]
pub fn compress(text: &[u8]) -> Vec<u8> {
    // Compressing memory into memory cannot fail at a level that exists.
    zstd::bulk::compress(text, ZSTD_LEVEL).unwrap_or_default()
}
