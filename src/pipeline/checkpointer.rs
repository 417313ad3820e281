//! Writes checkpoints on a thread of their own, one at a time, from a copy of the engine.

use std::io::BufWriter;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use tokio::task::{JoinError, JoinHandle};

use crate::clock::Stopwatch;
use crate::engine::Engine;
use crate::journal::{Checkpoints, JournalError, Outlet, Rows, packer};
use crate::telemetry::Telemetry;
use crate::threads::aside;

/// How much of the state is handed to the packer at once: number by number it took it twice as long as everything else.
const PIECE: usize = 1 << 18;

/// Writes checkpoints.
#[derive(Debug)]
pub struct Checkpointer {
    checkpoints: Arc<Mutex<Checkpoints>>,
    writing: Option<JoinHandle<Written>>,
    written: Option<Result<Written, JoinError>>,
    /// The last two that are written, by this process: of others nobody knows whether they can be read.
    kept: [u64; 2],
}

/// What came of one.
#[derive(Debug)]
struct Written {
    sequence: u64,
    seconds: f64,
    result: Result<(), JournalError>,
}

impl Checkpointer {
    /// One that writes to these.
    #[must_use]
    pub fn new(checkpoints: Checkpoints) -> Self {
        Self { checkpoints: Arc::new(Mutex::new(checkpoints)), writing: None, written: None, kept: [0; 2] }
    }

    /// The last batch that is in both checkpoints kept: what is up to it is needed to start from neither.
    pub(super) const fn settled(&self) -> u64 {
        self.kept[0]
    }

    /// Begins to write the state of `engine` at `sequence`, with the `rows` that belong to it. None is being written.
    pub(super) fn write(&mut self, sequence: u64, engine: Engine, rows: Vec<Arc<dyn Rows>>) {
        let checkpoints = self.checkpoints.clone();
        self.writing = Some(aside(move || {
            let watch = Stopwatch::start();
            let mut checkpoints = checkpoints.lock().unwrap_or_else(PoisonError::into_inner);
            let result = pack(&engine).and_then(|snapshot| {
                checkpoints.write(sequence, &snapshot, |transaction| {
                    rows.iter().try_for_each(|rows| rows.write(transaction, &|id| engine.interruptions_of(id)))
                })
            });
            Written { sequence, seconds: watch.seconds(), result }
        }));
    }

    /// Waits until the one that is being written is, if there is one.
    pub(super) async fn finished(&mut self) {
        if let Some(writing) = self.writing.take() {
            self.written = Some(writing.await);
        }
    }

    /// Takes note of what came of the last one, and tells the outlets. Returns whether another one can be written.
    ///
    /// # Errors
    /// When the disk failed in a way that only a restart can mend.
    pub(super) fn settle(
        &mut self,
        outlets: &mut [Box<dyn Outlet>],
        telemetry: &Telemetry,
    ) -> Result<bool, JournalError> {
        if let Some(mut writing) = self.writing.take_if(|writing| writing.is_finished()) {
            self.written = (&mut writing).now_or_never();
            // The runtime may put off even what is finished.
            self.writing = self.written.is_none().then_some(writing);
        }
        let Some(written) = self.written.take() else { return Ok(self.writing.is_none()) };
        let (result, seconds, sequence) = match written {
            Ok(Written { sequence, seconds, result }) => (result, seconds, sequence),
            Err(error) => (Err(JournalError::Snapshot(error.to_string())), 0.0, 0),
        };
        for outlet in outlets {
            outlet.settle(result.is_ok());
        }
        match result {
            Ok(()) => {
                telemetry.checkpoint_seconds.observe(seconds);
                telemetry.checkpoint_sequence.set(sequence.cast_signed());
                if sequence > self.kept[1] {
                    self.kept = [self.kept[1], sequence];
                }
            }
            Err(error) => {
                telemetry.checkpoint_failures.inc();
                tracing::error!(%error, "a checkpoint failed; the journal has everything, starting will take longer");
                if !error.is_passing() {
                    return Err(error);
                }
            }
        }
        Ok(true)
    }
}

fn pack(engine: &Engine) -> Result<Vec<u8>, JournalError> {
    let failed = |error: std::io::Error| JournalError::Snapshot(error.to_string());
    let mut writer = BufWriter::with_capacity(PIECE, packer().map_err(failed)?);
    engine.write_snapshot(&mut writer).map_err(failed)?;
    writer.into_inner().map_err(|error| failed(error.into_error()))?.finish().map_err(failed)
}
