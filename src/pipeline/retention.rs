//! Lets the journal drop what need not be kept: after each checkpoint, a little at a time, so that nothing waits long.

use crate::clock::Stopwatch;
use crate::journal::{Journal, JournalError, Keep};
use crate::model::time::Instant;
use crate::telemetry::Telemetry;

/// What is being dropped.
#[derive(Debug)]
pub(super) struct Retention {
    keep: Keep,
    /// The last batch that may be, while there is something to do.
    until: Option<u64>,
    /// Since it began.
    batches: u64,
}

impl Retention {
    pub(super) const fn new(keep: Keep) -> Self {
        Self { keep, until: None, batches: 0 }
    }

    /// Batches up to `until` are in both checkpoints: begins to look for what may go.
    pub(super) fn allow(&mut self, until: u64) {
        if self.keep != Keep::default() && until > 0 {
            self.until = Some(until);
        }
    }

    pub(super) const fn is_at_work(&self) -> bool {
        self.until.is_some()
    }

    /// Drops a little.
    ///
    /// # Errors
    /// When the journal failed in a way that only a restart can mend.
    pub(super) fn step(
        &mut self,
        journal: &mut Journal,
        now: Instant,
        telemetry: &Telemetry,
    ) -> Result<(), JournalError> {
        let Some(until) = self.until else { return Ok(()) };
        let watch = Stopwatch::start();
        match journal.drop_some(self.keep, until, now) {
            Ok(0) => self.until = None,
            Ok(batches) => {
                self.batches += batches;
                telemetry.drop_pause_seconds.observe(watch.seconds());
                telemetry.dropped_batches.inc_by(batches);
                telemetry.first_sequence.set(journal.first().cast_signed());
                return Ok(());
            }
            Err(error @ JournalError::Damaged { .. }) => {
                tracing::error!(%error, "nothing is dropped from the journal until it is sound");
                (self.until, self.keep) = (None, Keep::default());
            }
            Err(error) if error.is_passing() => {
                tracing::error!(%error, "old batches could not be dropped; it is tried again after the next checkpoint");
                self.until = None;
            }
            Err(error) => return Err(error),
        }
        if self.batches > 0 {
            let reasons = journal.dropped().map_or("", |dropped| &dropped.reasons);
            let first = journal.first();
            tracing::info!(batches = self.batches, first, reasons, "old batches were dropped from the journal");
            self.batches = 0;
        }
        Ok(())
    }
}
