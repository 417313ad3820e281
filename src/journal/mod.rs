//! The durable log: what was taken in, in which order, and when; and the checkpoints that make starting quick.
//!
//! A batch gets a sequence number and a receive time here and nowhere else. Many waiting batches are committed with
//! one sync. A checkpoint is the engine's state at a sequence number, written with the rows of whoever
//! keeps some ([`Outlet`]) in one transaction, while the log goes on.
//!
//! Must not enter: what a batch means.

mod chain;
mod checkpoints;
mod embedded;
mod older;
mod structure;

use std::cell::RefCell;
use std::sync::Arc;

use rusqlite::Transaction;
use zstd::bulk::Compressor;

pub use checkpoints::{Checkpoint, Checkpoints, Mark, file_in};
pub use embedded::{Dropped, Journal, Keep, PackedPolicy, open_reader};
pub use structure::integrity;

use crate::model::effect::Effect;
use crate::model::incident::{IncidentId, Interruption};
use crate::model::time::Instant;

/// The layout of the files. It changes when an older fournines could no longer read them.
const LAYOUT: i64 = 5;

/// What a batch holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Events, one a line.
    Events,
    /// A policy's record.
    Policy,
    /// The first instants of days that are folded, one a line.
    Fold,
    /// Nothing but when it was received: something was decided because it had become so late.
    Time,
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

/// Whoever acts on effects, and keeps rows of what came of them beside the checkpoints. The rows are written with the
/// checkpoint that they belong to: what an effect before it asked for is in the rows, what one after it asks for is
/// asked for again when the journal is replayed.
pub trait Outlet: Send {
    /// Takes note of effects. Taking the same one twice is harmless.
    fn take(&mut self, effects: &[Effect]);

    /// The rows as of now, to be written while more effects are taken.
    fn rows(&mut self) -> Arc<dyn Rows>;

    /// What came of writing them: what was not written belongs to the next ones.
    fn settle(&mut self, written: bool);
}

/// Rows that belong to a checkpoint.
pub trait Rows: Send + Sync {
    /// Writes them. `outages` tells those of an incident, as of the checkpoint.
    ///
    /// # Errors
    /// When the database refuses; the checkpoint is then not written either, and everything is tried again later.
    fn write(
        &self,
        transaction: &Transaction<'_>,
        outages: &dyn Fn(IncidentId) -> Vec<Interruption>,
    ) -> rusqlite::Result<()>;
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
    /// What would be needed was dropped.
    #[error(
        "{file}: begins with batch {first}: what was before was dropped by {reasons}, the last of it on {at}; {problem}"
    )]
    Dropped {
        /// The file.
        file: String,
        /// The first batch kept.
        first: u64,
        /// The settings that the rest was dropped for.
        reasons: String,
        /// When the last of it was dropped.
        at: String,
        /// What cannot be done, and what can.
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
    /// The log ends before the state that was kept with it.
    #[error(
        "{file}: ends at sequence {sequence}, and {checkpoints} has the state at {ahead}: they are not of one another. Restore \
         both from one backup{remedy}"
    )]
    Behind {
        /// The log's file.
        file: String,
        /// Its last batch.
        sequence: u64,
        /// The checkpoints' file.
        checkpoints: String,
        /// The batch of a checkpoint.
        ahead: u64,
        /// What else can be done, if anything.
        remedy: String,
    },
    /// The engine's state, or a batch, could not be made into bytes.
    #[error("it could not be packed: {0}")]
    Snapshot(String),
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
        match self {
            Self::Snapshot(_) => true,
            Self::Database { error: rusqlite::Error::SqliteFailure(failure, _), .. } => {
                matches!(failure.code, DiskFull | DatabaseBusy | DatabaseLocked)
            }
            _ => false,
        }
    }
}

/// How hard payloads are compressed: level 1 is the fastest of zstd's and keeps a tenth of typical events.
const ZSTD_LEVEL: i32 = 1;
/// How hard those of a single event are: hardly at all. Of 110 bytes level 1 saves five, and takes eight times as long.
const ZSTD_LEVEL_SMALL: i32 = -5;
/// Up to how many bytes those are.
const SMALL_BYTES_MAX: usize = 256;

/// A writer that packs what it is given as [`compress`] does.
///
/// # Errors
/// When the packer cannot be made, for want of memory.
pub fn packer() -> std::io::Result<zstd::Encoder<'static, Vec<u8>>> {
    zstd::Encoder::new(Vec::new(), ZSTD_LEVEL)
}

thread_local! {
    /// Made once a thread: making one takes longer than packing a small body does.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

/// A payload as the journal keeps it.
///
/// # Errors
/// When there is no memory for it.
pub fn compress(text: &[u8]) -> std::io::Result<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|kept| {
        let compressor = match kept {
            Some(compressor) => compressor,
            None => kept.insert(Compressor::new(ZSTD_LEVEL)?),
        };
        let level = if text.len() > SMALL_BYTES_MAX { ZSTD_LEVEL } else { ZSTD_LEVEL_SMALL };
        compressor.set_compression_level(level)?;
        compressor.compress(text)
    })
}
