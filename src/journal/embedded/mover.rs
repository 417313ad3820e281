//! Moves what was committed from the write-ahead file into the database, beside whoever commits: that takes the disk
//! tens of milliseconds, in which nobody should wait.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use crate::journal::JournalError;

/// How much is committed before it is moved, and how much at most before whoever commits does it: the file never
/// becomes much longer.
const MOVED_BYTES: u64 = 16 << 20;
pub(super) const PAGES_MAX: u32 = 16_384;
/// How often it is tried to move what was committed while the rest was moved, so that the file begins anew.
const ROUNDS: usize = 5;

/// The thread that does it. It ends with its handle.
#[derive(Debug)]
pub(super) struct Mover {
    /// Absent once it ends.
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    failed: Arc<AtomicBool>,
    /// What was committed since it was woken.
    bytes: u64,
}

impl Mover {
    pub(super) fn start(file: &Path) -> Result<Self, JournalError> {
        let (wake, woken) = sync_channel::<()>(1);
        let failed = Arc::new(AtomicBool::new(false));
        let (file, reports) = (file.to_owned(), failed.clone());
        let folder = file.display().to_string();
        let work = move || {
            let mut connection = None;
            while woken.recv().is_ok() {
                if let Err(error) = shift(&mut connection, &file) {
                    let error = JournalError::Database { file: file.display().to_string(), error };
                    tracing::error!(%error, "what was committed could not be moved into the database");
                    // What a failed sync leaves is unknown; what is in the write-ahead file still stands.
                    reports.fetch_or(!error.is_passing(), Ordering::AcqRel);
                }
            }
        };
        let started = std::thread::Builder::new().name("journal".to_owned()).spawn(work);
        let thread = started.map_err(|error| JournalError::Folder { folder, error })?;
        Ok(Self { wake: Some(wake), thread: Some(thread), failed, bytes: 0 })
    }

    /// So much was committed. Returns whether it may go on.
    pub(super) fn committed(&mut self, bytes: u64) -> bool {
        self.bytes += bytes;
        if self.bytes >= MOVED_BYTES && self.wake.as_ref().is_some_and(|wake| wake.try_send(()).is_ok()) {
            self.bytes = 0;
        }
        !self.failed.load(Ordering::Acquire)
    }
}

impl Drop for Mover {
    fn drop(&mut self) {
        self.wake = None;
        // It has nothing to say: what failed was said.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn shift(connection: &mut Option<Connection>, file: &Path) -> rusqlite::Result<()> {
    let connection = match connection {
        Some(known) => known,
        None => connection.insert(Connection::open(file)?),
    };
    for _ in 0..ROUNDS {
        let (all, moved): (i64, i64) =
            connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| Ok((row.get(1)?, row.get(2)?)))?;
        if all == moved {
            break;
        }
    }
    Ok(())
}
