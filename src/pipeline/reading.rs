//! Reading the journal back: the last checkpoint, and what came after it.

use std::path::Path;
use std::thread::{Builder, JoinHandle};

use crate::clock::Stopwatch;
use crate::engine::{Engine, Input};
use crate::journal::{Checkpoint, Checkpoints, Journal, JournalError, Mark, Stored};
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
pub fn begin(
    journal: &Journal,
    checkpoints: &Checkpoints,
    early: Option<Early>,
) -> Result<(Engine, u64), JournalError> {
    let watch = Stopwatch::start();
    let mut early = early.and_then(Early::finish);
    let mut begun = None;
    for mark in checkpoints.known()? {
        let sequence = mark.sequence;
        let found = match early.take_if(|found| found.mark == mark) {
            Some(found) => Some(found),
            None => read(checkpoints, mark)?,
        };
        let Some(Found { bytes, engine, .. }) = found else { continue };
        if sequence > journal.sequence() {
            return Err(ahead(journal, checkpoints, sequence));
        }
        if let Some(engine) = engine {
            tracing::info!(sequence, bytes, seconds = watch.seconds(), "a checkpoint is loaded");
            begun = Some((engine, sequence));
            break;
        }
    }
    let (engine, after) = begun.unwrap_or_else(|| (Engine::new(), 0));
    if after + 1 < journal.first() {
        return Err(journal.refusal(
            "there is no checkpoint to begin from that this fournines can read: run the version that wrote them, or \
             restore both files from one backup",
        ));
    }
    Ok((engine, after))
}

/// A checkpoint that is not damaged.
#[derive(Debug)]
struct Found {
    mark: Mark,
    bytes: u64,
    /// Absent when another version wrote it.
    engine: Option<Engine>,
}

fn read(checkpoints: &Checkpoints, mark: Mark) -> Result<Option<Found>, JournalError> {
    let found = |checkpoint: Checkpoint| Found { mark, bytes: checkpoint.bytes(), engine: restore(&checkpoint) };
    Ok(checkpoints.load(mark)?.map(found))
}

/// The engine that a checkpoint is of; absent when another version wrote it.
#[must_use]
pub fn restore(checkpoint: &Checkpoint) -> Option<Engine> {
    Engine::read_snapshot(checkpoint.snapshot().ok()?).ok()
}

/// The last checkpoint, read on a thread of its own while other things are made ready, and before the storage is opened to
/// be written. It is used if it is the last one then, too.
#[derive(Debug)]
pub struct Early(JoinHandle<Option<Found>>);

impl Early {
    /// Begins to read. What cannot be read is read again later, and told of then.
    #[must_use]
    pub fn begin(folder: &Path) -> Option<Self> {
        let folder = folder.to_owned();
        let work = move || {
            let checkpoints = Checkpoints::open_reader(&folder).ok()?;
            let last = checkpoints.known().ok()?.first().copied()?;
            read(&checkpoints, last).ok()?
        };
        Builder::new().name("early".to_owned()).spawn(work).ok().map(Self)
    }

    fn finish(self) -> Option<Found> {
        self.0.join().ok()?
    }
}

/// The checkpoints know more than the journal: they are not of it.
fn ahead(journal: &Journal, checkpoints: &Checkpoints, ahead: u64) -> JournalError {
    let checkpoints = checkpoints.file().display().to_string();
    // What was dropped is in the checkpoints alone.
    let anew = || format!(", or remove {checkpoints} to have it made anew");
    JournalError::Behind {
        file: journal.file().display().to_string(),
        sequence: journal.sequence(),
        remedy: if journal.dropped().is_none() { anew() } else { String::new() },
        checkpoints,
        ahead,
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Batch, Kind, compress};

    #[test]
    fn what_was_read_early_is_used_only_if_it_is_the_last_still() {
        let at = |seconds: i64| Instant::from_micros(seconds * 1_000_000);
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path()).unwrap();
        let mut checkpoints = Checkpoints::open(folder.path()).unwrap();
        let mut engine = Engine::new();
        // As it is begun with nothing read early, with the last checkpoint, and with the last one of before.
        let mut before: Option<Found> = None;
        for (sequence, seconds) in [(1, 10), (2, 20), (2, 30)] {
            if journal.sequence() < sequence {
                let payload = compress(b"").unwrap();
                let batch = Batch { kind: Kind::Time, source: "test".into(), key: None, events: 0, payload };
                journal.append(at(seconds), [&batch]).unwrap();
            }
            engine.advance(at(seconds), &mut Vec::new());
            checkpoints.write(sequence, &compress(&engine.snapshot()).unwrap(), |_| Ok(())).unwrap();
            let stale = before.take().map(|found| Early(std::thread::spawn(|| Some(found))));
            for early in [None, Early::begin(folder.path()), stale] {
                let (begun, after) = begin(&journal, &checkpoints, early).unwrap();
                assert_eq!((begun.now(), after), (at(seconds), sequence));
            }
            before = Early::begin(folder.path()).unwrap().finish();
            assert!(before.is_some());
        }
    }
}
