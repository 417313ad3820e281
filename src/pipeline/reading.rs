//! Reading the journal back: the last checkpoint, and what came after it.

use crate::clock::Stopwatch;
use crate::engine::{Engine, Input};
use crate::journal::{Checkpoint, Checkpoints, Journal, JournalError, Stored};
use crate::model::effect::Effect;
use crate::model::time::Instant;

use super::apply_batch;

/// How far it is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The last batch in the checkpoint that it began from; 0 for none.
    pub from: u64,
    /// The last batch that is read.
    pub sequence: u64,
    /// The last batch there is.
    pub last: u64,
    /// Events read.
    pub events: u64,
}

impl Progress {
    /// How much of what is to be read is, in whole percent.
    #[must_use]
    pub fn percent(&self) -> u64 {
        let all = self.last.saturating_sub(self.from);
        (100 * self.batches()).checked_div(all).unwrap_or(100)
    }

    /// Batches read.
    #[must_use]
    pub const fn batches(&self) -> u64 {
        self.sequence.saturating_sub(self.from)
    }
}

/// The state to begin from: the last checkpoint that can be read and the last batch in it, or nothing. Whoever has tables
/// beside the checkpoints leaves them alone until there is one: what was dropped cannot be made anew.
///
/// # Errors
/// When the checkpoints are not of this journal, or what came before the first batch kept is in none of them.
pub fn begin(journal: &Journal, checkpoints: &Checkpoints) -> Result<(Engine, u64), JournalError> {
    let watch = Stopwatch::start();
    let known = checkpoints.read()?;
    if let Some(ahead) = known.iter().find(|checkpoint| checkpoint.sequence > journal.sequence()) {
        let checkpoints = checkpoints.file().display().to_string();
        // What was dropped is in the checkpoints alone.
        let anew = || format!(", or remove {checkpoints} to have it made anew");
        return Err(JournalError::Behind {
            file: journal.file().display().to_string(),
            sequence: journal.sequence(),
            remedy: if journal.dropped().is_none() { anew() } else { String::new() },
            checkpoints,
            ahead: ahead.sequence,
        });
    }
    let restore = |checkpoint: &Checkpoint| Engine::read_snapshot(checkpoint.snapshot().ok()?).ok();
    let sound = known.iter().find_map(|checkpoint| Some((restore(checkpoint)?, checkpoint)));
    let (engine, after) = match sound {
        Some((engine, checkpoint)) => {
            let (sequence, bytes, seconds) = (checkpoint.sequence, checkpoint.bytes(), watch.seconds());
            tracing::info!(sequence, bytes, seconds, "a checkpoint is loaded");
            (engine, sequence)
        }
        None => (Engine::new(), 0),
    };
    if after + 1 < journal.first() {
        return Err(journal.refusal(
            "there is no checkpoint to begin from that this fournines can read: run the version that wrote them, or \
             restore both files from one backup",
        ));
    }
    Ok((engine, after))
}

/// The engine as the journal says it is: a state to begin from, and all batches after it. `decode` turns a batch's text
/// back into inputs. Effects go to `each` batch by batch, and none before the first.
///
/// # Errors
/// When the journal fails or is damaged.
pub fn recover(
    journal: &Journal,
    (mut engine, after): (Engine, u64),
    decode: &dyn Fn(&Stored) -> Result<Vec<Input>, String>,
    mut each: impl FnMut(&[Effect], Progress),
) -> Result<Engine, JournalError> {
    let mut progress = Progress { from: after, sequence: after, last: journal.sequence(), events: 0 };
    let mut effects = Vec::new();
    let mut last: Option<Instant> = None;
    each(&effects, progress);
    journal.read_after(after, |stored| {
        let inputs = decode(&stored)?;
        last = Some(stored.received);
        progress.sequence = stored.sequence;
        progress.events += inputs.iter().filter(|input| matches!(input, Input::Event(_))).count() as u64;
        apply_batch(
            &mut engine,
            stored.received,
            (&stored.source, stored.key.as_deref()),
            inputs,
            &mut effects,
            |_, _| {},
        );
        each(&effects, progress);
        effects.clear();
        Ok(())
    })?;
    if let Some(received) = last {
        engine.advance(received, &mut effects);
        each(&effects, progress);
    }
    Ok(engine)
}
