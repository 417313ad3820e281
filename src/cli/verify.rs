//! `fournines verify`: checks the journal, its chain, the checkpoints and the rows, and says what is damaged.

use std::io::Read;
use std::path::PathBuf;

use clap::Args;

use super::send::bar;
use super::{Failure, settings};
use crate::daemon::decode_stored;
use crate::engine::{BadSnapshot, Engine};
use crate::journal::{Checkpoint, Checkpoints, Dropped, Stored, integrity, open_reader};
use crate::model::time::Instant;
use crate::pipeline::{apply_batch, restore};
use crate::store;
use crate::store::reports::Reports;

/// Checks a storage folder: every batch of the journal and the chain over them, the checkpoints and the rows of
/// incidents against what the journal says, and frozen reports against
/// their hashes; and names what is damaged
#[derive(Debug, Args)]
#[command(
    after_help = "It only reads, and may look while a daemon writes. The last line is the head of the chain: noted \
    elsewhere, it proves later that nothing up to then was changed.\n\nExample:\n  fournines verify fournines-data"
)]
pub(super) struct Arguments {
    /// The configuration that names the storage folder
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The storage folder, in place of the configured one
    #[arg(value_name = "FOLDER", conflicts_with = "config")]
    folder: Option<PathBuf>,
}

/// What was read so far.
struct Examination {
    engine: Engine,
    changes: store::Changes,
    /// The last batch that the engine has.
    last: Option<Instant>,
    /// What was dropped is in no journal: the first checkpoint that can be read has to be believed, and this is its batch.
    believed: Option<u64>,
    wrong: Vec<String>,
    /// The journal is read back only as far as it is sound.
    broken: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let folder = match &arguments.folder {
        Some(folder) => folder.clone(),
        None => settings(arguments.config.as_ref(), None)?.storage.path,
    };
    let failed = |error: crate::journal::JournalError| Failure::Failed(error.to_string());
    let page = |line: String| format!("the file: {line}");
    let structure = match integrity(&folder) {
        Ok(wrong) => wrong,
        Err(error) => vec![error.to_string()],
    };
    let structure: Vec<String> = structure.into_iter().map(page).collect();
    let journal = open_reader(&folder).inspect_err(|_| structure.iter().for_each(|line| println!("{line}")));
    let journal = journal.map_err(failed)?;
    let file = journal.file().display().to_string();
    let mut examination = Examination::new(structure);
    let kept = Checkpoints::open_reader(&folder).map_err(failed)?;
    let rest = if journal.dropped().is_none() { "; the journal has it all" } else { "" };
    let mut checkpoints = match kept.read() {
        Ok(checkpoints) => checkpoints,
        Err(error) => {
            examination.wrong.push(format!("checkpoints: cannot be read: {error}{rest}"));
            Vec::new()
        }
    };
    match kept.count() {
        Ok(count) if count > checkpoints.len() as u64 => {
            let unreadable = count - checkpoints.len() as u64;
            examination.wrong.push(format!("{unreadable} checkpoint(s): cannot be read{rest}"));
        }
        Ok(_) => {}
        Err(error) => examination.wrong.push(format!("checkpoints: cannot be counted: {error}")),
    }
    checkpoints.sort_by_key(|checkpoint| checkpoint.sequence);
    if journal.dropped().is_some() {
        examination.believe(&checkpoints);
    }
    let bar = bar(journal.sequence(), "{wide_bar} {pos}/{len} batches  {eta} left");
    let mut waiting = checkpoints.iter().peekable();
    while let Some(checkpoint) = waiting.next_if(|checkpoint| checkpoint.sequence < journal.first()) {
        examination.compare(checkpoint, &kept, waiting.peek().is_none());
    }
    let mut read = 0;
    let examined = journal.examine(|sequence, stored| {
        bar.inc(1);
        read = sequence;
        examination.take(sequence, stored);
        while let Some(checkpoint) = waiting.next_if(|checkpoint| checkpoint.sequence <= sequence) {
            examination.compare(checkpoint, &kept, waiting.peek().is_none());
        }
    });
    if let Err(error) = examined {
        examination.wrong.push(format!("batch {}: cannot be read, and none after it: {error}", read + 1));
    }
    bar.finish_and_clear();
    for problem in &examination.wrong {
        println!("{problem}");
    }
    let batches = journal.sequence() + 1 - journal.first();
    if let Some(dropped) = journal.dropped() {
        let Dropped { last, at, reasons, .. } = dropped;
        println!("{file}: batches 1 to {last} were dropped by retention ({reasons}), the last of them on {at}");
        match examination.believed {
            Some(sequence) => println!(
                "{file}: the chain continues with batch {}; figures are checked from the checkpoint at batch {sequence} on",
                last + 1
            ),
            None => println!("{file}: the chain continues with batch {}; no figure can be checked", last + 1),
        }
    }
    if examination.wrong.is_empty() {
        println!("{file}: {batches} batches, {} checkpoints and all rows are sound", checkpoints.len());
        println!("head {}", journal.head());
        return Ok(());
    }
    let count = examination.wrong.len();
    let noun = if count == 1 { "thing is" } else { "things are" };
    Err(Failure::Failed(format!("{file}: {count} {noun} wrong in {batches} batches; restore it from a backup")))
}

impl Examination {
    fn new(wrong: Vec<String>) -> Self {
        let changes = store::Changes::after(Instant::MIN);
        Self { engine: Engine::new(), changes, last: None, believed: None, wrong, broken: false }
    }

    /// Begins from the first of these that can be read.
    fn believe(&mut self, checkpoints: &[Checkpoint]) {
        let begun = |checkpoint: &Checkpoint| Some((checkpoint.sequence, restore(checkpoint)?));
        match checkpoints.iter().find_map(begun) {
            Some((sequence, engine)) => {
                self.believed = Some(sequence);
                self.changes = store::Changes::after(engine.now());
                self.engine = engine;
            }
            None => {
                let problem =
                    "checkpoints: none can be read, and what was dropped from the journal is in none else";
                self.wrong.push(problem.to_owned());
            }
        }
    }

    fn take(&mut self, sequence: u64, stored: Result<Stored, String>) {
        let inputs = stored.and_then(|stored| Ok((decode_stored(&stored)?, stored)));
        match inputs {
            // It is in the checkpoint that is believed.
            Ok(_) if self.believed.is_some_and(|believed| sequence <= believed) => {}
            Ok((inputs, stored)) if !self.broken => {
                let mut effects = Vec::new();
                self.last = Some(stored.received);
                let source = (&*stored.source, stored.key.as_deref());
                apply_batch(&mut self.engine, stored.received, source, inputs, &mut effects, |_, _| {});
                self.changes.take(&effects);
            }
            Ok(_) => {}
            Err(problem) => {
                self.broken = true;
                self.wrong.push(format!("batch {sequence}: {problem}"));
            }
        }
    }

    /// Holds a checkpoint, and with the last one the rows that were written with it, against what the journal says.
    fn compare(&mut self, checkpoint: &Checkpoint, kept: &Checkpoints, with_rows: bool) {
        let sequence = checkpoint.sequence;
        if self.broken {
            self.wrong.push(format!("checkpoint {sequence}: not compared, as the journal is damaged before it"));
            return;
        }
        let mut snapshot = Vec::new();
        if let Err(error) = checkpoint.snapshot().and_then(|mut reader| reader.read_to_end(&mut snapshot)) {
            return self.wrong.push(format!("checkpoint {sequence}: cannot be unpacked: {error}"));
        }
        let restored = match Engine::restore(&snapshot) {
            Ok(restored) => restored,
            // It is made anew by the next start.
            Err(BadSnapshot::OtherVersion) => return,
            Err(error) => return self.wrong.push(format!("checkpoint {sequence}: {error}")),
        };
        let mut effects = Vec::new();
        self.engine.advance(restored.now().max(self.last.unwrap_or(Instant::MIN)), &mut effects);
        self.changes.take(&effects);
        if self.engine.snapshot() != snapshot {
            self.wrong.push(format!("checkpoint {sequence}: is not what the journal up to it amounts to"));
        }
        if with_rows {
            let known = self.engine.folded_until().unwrap_or(Instant::MIN);
            let incidents = self.engine.incidents().chain(self.engine.drill_incidents());
            let outages = |id| self.engine.interruptions_of(id);
            match store::differences(kept.file(), incidents, &outages, &self.changes, known) {
                Ok(wrong) => self.wrong.extend(wrong),
                Err(error) => self.wrong.push(format!("the rows of incidents: {error}")),
            }
            match Reports::open(kept.file()).and_then(|reports| reports.differences()) {
                Ok(wrong) => self.wrong.extend(wrong),
                Err(error) => self.wrong.push(format!("the frozen reports: {error}")),
            }
        }
    }
}
