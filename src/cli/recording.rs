//! A recording, which is what `EVENTS` on the command line name: NDJSON files, or a storage directory's journal. It is
//! read batch by batch; whoever reads it gives the batches to an engine.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};

use clap::Args;
use indicatif::ProgressBar;

use super::Failure;
use super::send::{bar, open, progress};
use crate::daemon::decode_stored;
use crate::engine::{Engine, Input};
use crate::ingest::decode::{Decoded, Gate, Layout, Rejection, decode};
use crate::journal::{Checkpoints, JournalError, Stored, open_reader};
use crate::model::event::Event;
use crate::model::policy::Policy;
use crate::model::time::Instant;
use crate::pipeline::restore;

/// How much of a file is decoded at once.
const CHUNK_BYTES: usize = 8 * 1024 * 1024;
/// How many pieces are decoded ahead of the engine.
const PIECES_AHEAD: usize = 2;
/// Rejected lines that are named; all of them are counted.
const NAMED_MAX: u64 = 20;

/// What is read, and how far.
#[derive(Debug, Args)]
pub(super) struct Recording {
    /// The instant of the figures; later events are left out. Without it, the time of the last event
    #[arg(long, value_name = "TIME")]
    at: Option<Instant>,
    /// Leave out what was received after this instant
    #[arg(long, value_name = "TIME")]
    as_known_at: Option<Instant>,
    /// NDJSON files, `-` for standard input, or one storage directory
    #[arg(required = true, value_name = "EVENTS")]
    events: Vec<PathBuf>,
}

/// A state to begin with.
#[derive(Debug)]
pub(super) struct Beginning {
    pub(super) engine: Engine,
    /// The last batch in it.
    pub(super) after: u64,
}

/// What the engine is given at once: inputs, each with when it was received.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch<'a> {
    pub(super) source: &'a str,
    pub(super) key: Option<&'a str>,
    pub(super) inputs: &'a [(Instant, Input)],
}

/// A part of a file.
struct Piece {
    /// How much was read for it.
    bytes: u64,
    lines: u64,
    inputs: Vec<(Instant, Input)>,
    /// Its first lines that are no events, and how many there are.
    rejected: Vec<Rejection>,
    rejected_total: u64,
}

/// What a recording held.
#[derive(Debug, Default)]
pub(super) struct Summary {
    /// Events read, and the times of the first and the last of them.
    pub(super) events: u64,
    pub(super) first: Option<Instant>,
    pub(super) last: Option<Instant>,
    /// When the last batch was received.
    pub(super) received: Option<Instant>,
    /// Its sequence number, where it is of a journal.
    pub(super) sequence: u64,
    /// The last policy that was decided after the instant of the figures.
    pub(super) later: Option<Box<Policy>>,
    rejected: u64,
}

impl Recording {
    /// A storage directory's journal, as far as it was received by an instant.
    pub(super) fn of(folder: PathBuf, as_known_at: Option<Instant>) -> Self {
        Self { at: None, as_known_at, events: vec![folder] }
    }

    /// The storage directory, if that is what is read.
    pub(super) fn storage(&self) -> Option<&Path> {
        match &*self.events {
            [folder] if folder.is_dir() => Some(folder),
            _ => None,
        }
    }

    /// What there is to begin with: for a storage directory whose oldest batches were dropped, the earliest state that
    /// is kept.
    pub(super) fn beginning(&self) -> Result<Option<Beginning>, Failure> {
        let Some(folder) = self.storage() else { return Ok(None) };
        let failed = |error: JournalError| Failure::Failed(error.to_string());
        let journal = open_reader(folder).map_err(failed)?;
        let Some(dropped) = journal.dropped() else { return Ok(None) };
        let kept = Checkpoints::open_reader(folder).map_err(failed)?;
        let known = kept.known().map_err(failed)?;
        let mut beginning = None;
        for mark in known.into_iter().rev().filter(|mark| mark.sequence >= dropped.last) {
            let checkpoint = kept.load(mark).map_err(failed)?;
            if let Some(engine) = checkpoint.and_then(|checkpoint| restore(&checkpoint)) {
                beginning = Some(Beginning { engine, after: mark.sequence });
                break;
            }
        }
        let Some(beginning) = beginning else {
            return Err(failed(
                journal.refusal("there is no checkpoint to begin from that this fournines can read"),
            ));
        };
        let now = beginning.engine.now();
        if let Some(asked) = self.at.into_iter().chain(self.as_known_at).find(|&asked| asked < now) {
            let problem = format!("what was at {asked} cannot be told, and what is from {now} on can");
            return Err(failed(journal.refusal(&problem)));
        }
        eprintln!(
            "{}: begins from the checkpoint at {now}, as batches 1 to {} were dropped by {}: alerts before that are not \
             listed",
            folder.display(),
            dropped.last,
            dropped.reasons
        );
        Ok(Some(beginning))
    }

    /// Reads all of it, or what comes after the `beginning`. Policies are only in a journal; with NDJSON the reader brings
    /// its own.
    pub(super) fn read(
        &self,
        beginning: Option<(u64, Instant)>,
        mut each: impl FnMut(Batch<'_>),
    ) -> Result<Summary, Failure> {
        let mut summary = Summary { received: beginning.map(|(_, now)| now), ..Summary::default() };
        match self.storage() {
            Some(folder) => self.journal(folder, beginning.map(|(after, _)| after), &mut summary, &mut each)?,
            None => {
                let bar = progress(&self.events);
                for path in &self.events {
                    self.file(path, &bar, &mut summary, &mut each)?;
                }
                bar.finish_and_clear();
            }
        }
        Ok(summary)
    }

    /// The instant of the figures.
    pub(super) fn at(&self, summary: &Summary) -> Instant {
        let last = summary.last.max(summary.received);
        self.at.or(last).unwrap_or(Instant::from_micros(0))
    }

    /// Reads a storage directory's journal: after a batch, or all of it that is kept.
    fn journal(
        &self,
        folder: &Path,
        after: Option<u64>,
        summary: &mut Summary,
        each: &mut dyn FnMut(Batch<'_>),
    ) -> Result<(), Failure> {
        let failed = |error: JournalError| Failure::Failed(error.to_string());
        let journal = open_reader(folder).map_err(failed)?;
        if let (None, Some(dropped)) = (after, journal.dropped()) {
            eprintln!(
                "{}: begins with batch {} and knows nothing of before: the rest was dropped by {}",
                folder.display(),
                journal.first(),
                dropped.reasons
            );
            let policy = journal.policy_before().map_err(failed)?;
            let taken = policy.map_or(Ok(()), |policy| self.batch(&policy, summary, each));
            taken.map_err(|problem| failed(journal.refusal(&problem)))?;
        }
        let bar = bar(journal.sequence(), "{wide_bar} {pos}/{len} batches  {per_sec}  {eta} left");
        let read = journal.read_after(after.unwrap_or(journal.first() - 1), |stored| {
            bar.set_position(stored.sequence);
            if self.as_known_at.is_none_or(|known| stored.received <= known) {
                self.batch(&stored, summary, each)?;
            }
            Ok(())
        });
        bar.finish_and_clear();
        read.map_err(failed)
    }

    fn batch(&self, stored: &Stored, summary: &mut Summary, each: &mut dyn FnMut(Batch<'_>)) -> Result<(), String> {
        // What was received after the instant asked for is known, but the figures stay those of that instant.
        let received = self.at.map_or(stored.received, |at| stored.received.min(at));
        let mut inputs = Vec::new();
        for input in decode_stored(stored)? {
            match input {
                Input::Event(event) if self.wants(&event) => {
                    summary.count(&event);
                    inputs.push((received, Input::Event(event)));
                }
                Input::Event(_) => {}
                // What was decided later was in force at no instant that is asked for.
                Input::Policy(policy) if self.at.is_some_and(|at| stored.received > at) => {
                    summary.later = Some(policy);
                }
                // Figures of any instant are exact here, and what came too late for the daemon counts.
                Input::Fold(_) => {}
                other => inputs.push((received, other)),
            }
        }
        summary.received = summary.received.max(Some(stored.received));
        summary.sequence = stored.sequence;
        each(Batch { source: &stored.source, key: stored.key.as_deref(), inputs: &inputs });
        Ok(())
    }

    /// Reads an NDJSON file, piece by piece, the next ones while the engine has the one before.
    fn file(
        &self,
        path: &Path,
        bar: &ProgressBar,
        summary: &mut Summary,
        each: &mut dyn FnMut(Batch<'_>),
    ) -> Result<(), Failure> {
        let name = path.display().to_string();
        let failed = |error: io::Error| Failure::Failed(format!("{name}: {error}"));
        if path.is_dir() {
            return Err(Failure::Wrong(format!("{name}: is a folder: a storage directory is given alone")));
        }
        let input = open(path).map_err(failed)?;
        let gate = Gate::past(name.as_str().into());
        let mut line = 0;
        std::thread::scope(|scope| {
            let (sender, pieces) = sync_channel(PIECES_AHEAD);
            let (spent, used) = channel();
            scope.spawn(move || decode_pieces(input, &gate, &sender, &used));
            for piece in pieces {
                let Piece { bytes, lines, mut inputs, rejected, rejected_total } = piece.map_err(failed)?;
                bar.inc(bytes);
                summary.reject((&rejected, rejected_total), |number, error| {
                    bar.suspend(|| eprintln!("{name}:{}: {error}", line + number));
                });
                inputs.retain(|(time, input)| {
                    let Input::Event(event) = input else { return false };
                    let wanted = self.as_known_at.is_none_or(|known| *time <= known) && self.wants(event);
                    if wanted {
                        summary.count(event);
                    }
                    wanted
                });
                each(Batch { source: &name, key: None, inputs: &inputs });
                line += lines;
                // Whoever made them lets go of them at less cost; without it nobody needs to.
                let _ = spent.send(inputs);
            }
            Ok(())
        })
    }

    fn wants(&self, event: &Event) -> bool {
        self.at.is_none_or(|at| event.time <= at)
    }
}

/// Cuts a file into pieces of whole lines, and decodes each, until there is no more or nobody takes them; and lets go of
/// what is used.
fn decode_pieces(
    mut input: impl Read,
    gate: &Gate,
    sender: &SyncSender<io::Result<Piece>>,
    used: &Receiver<Vec<(Instant, Input)>>,
) {
    let mut text = Vec::new();
    loop {
        used.try_iter().for_each(drop);
        let read = match input.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut text) {
            Ok(read) => read,
            Err(error) => {
                // Whoever took them has ended.
                let _ = sender.send(Err(error));
                return;
            }
        };
        let end = match memchr::memrchr(b'\n', &text) {
            Some(last) if read > 0 => last + 1,
            None if read > 0 => 0,
            _ => text.len(),
        };
        let Decoded { events, rejected, rejected_total, .. } = decode(Layout::Lines, &text[..end], gate);
        let piece = Piece {
            bytes: read as u64,
            lines: memchr::memchr_iter(b'\n', &text[..end]).count() as u64,
            inputs: events.into_iter().map(|event| (event.time, Input::Event(event))).collect(),
            rejected,
            rejected_total,
        };
        text.drain(..end);
        if sender.send(Ok(piece)).is_err() || read == 0 {
            return;
        }
    }
}

impl Summary {
    fn count(&mut self, event: &Event) {
        self.events += 1;
        self.first = Some(self.first.map_or(event.time, |first| first.min(event.time)));
        self.last = self.last.max(Some(event.time));
    }

    fn reject(&mut self, (rejected, total): (&[Rejection], u64), tell: impl Fn(u64, &str)) {
        for rejection in rejected {
            if self.rejected < NAMED_MAX {
                tell(rejection.line, &rejection.error);
            }
            self.rejected += 1;
        }
        self.rejected += total - rejected.len() as u64;
    }

    /// Fails when something was rejected: it is in no figure.
    pub(super) fn complete(&self) -> Result<(), Failure> {
        if self.rejected > 0 {
            return Err(Failure::Failed(format!("{} events were rejected and are in no figure", self.rejected)));
        }
        Ok(())
    }
}
