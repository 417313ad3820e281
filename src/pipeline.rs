//! The hall: takes batches, stamps them, makes them durable, applies them, hands the effects out.
//!
//! One task owns journal and engine. Its priorities, in this order:
//! 1. deadlines of the engine that fell due: a page waits for nothing;
//! 2. batches that wait, all of them with one sync;
//! 3. a day that is old enough, folded;
//! 4. a checkpoint that is due, of a copy of the engine and on a thread of its own;
//! 5. a little of what the journal need not keep, dropped;
//! 6. the end, once everything taken in is durable and answered.

mod checkpointer;
mod reading;
mod retention;
mod tally;

use std::borrow::Borrow;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Stopwatch};
use crate::engine::{Engine, Input};
use crate::journal::{Batch, Journal, JournalError, Keep, Kind, Outlet};
use crate::model::calendar::Unit;
use crate::model::effect::{Effect, EffectKind};
use crate::model::event::{Event, Outcome};
use crate::model::policy::Policy;
use crate::model::time::{Instant, Span};
use crate::telemetry::Telemetry;
pub use checkpointer::Checkpointer;
pub use reading::{Early, Progress, begin, recover, restore};
use retention::Retention;
use tally::Tally;

/// Batches that wait for the journal. A body waits with a few hundred kilobytes at most times, and the memory of all
/// of them is bounded by `server.max_inflight_bytes`; this bounds how long the last one waits: 1024 batches are a
/// few commits.
pub const INBOX_MAX: usize = 1024;
/// Batches in one commit: enough that the sync costs little for each, few enough that the first does not wait long.
const GROUP_MAX: usize = 256;
/// The longest sleep, so that a step of the machine's clock is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// From when on it is said that the machine's clock is behind.
const AHEAD: Span = Span::from_secs(1);

/// A batch on its way in.
#[derive(Debug)]
pub struct Submission {
    /// What is to be made durable.
    pub batch: Batch,
    /// The events in it, in order.
    pub events: Vec<Event>,
    /// Who waits for it.
    pub reply: oneshot::Sender<Result<Receipt, Refused>>,
}

/// What became of a batch that is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Events taken.
    pub accepted: u64,
    /// Events that had been taken before.
    pub duplicates: u64,
}

/// The batch could not be made durable; nothing of it was taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal cannot take it: {0}")]
pub struct Refused(pub String);

/// When checkpoints are due.
#[derive(Clone, Copy, Debug)]
pub struct CheckpointPace {
    /// After so many events.
    pub events: u64,
    /// After so long, if there were any.
    pub interval: Span,
}

/// The task that owns journal and engine.
pub struct Pipeline {
    /// Durable log.
    pub journal: Journal,
    /// Writes checkpoints.
    pub checkpointer: Checkpointer,
    /// Read by others between batches; written here alone.
    pub engine: Arc<RwLock<Engine>>,
    /// Tells the time.
    pub clock: Clock,
    /// Counts.
    pub telemetry: Telemetry,
    /// Whoever acts on effects.
    pub outlets: Vec<Box<dyn Outlet>>,
    /// When checkpoints are due.
    pub pace: CheckpointPace,
    /// How old a day is when it is folded.
    pub fold_after: Span,
    /// How much of the journal is kept.
    pub keep: Keep,
}

/// Applies one batch. Live, in recovery and in replay alike: this is the law of determinism.
pub fn apply_batch(
    engine: &mut Engine,
    received: Instant,
    (source, key): (&str, Option<&str>),
    inputs: impl IntoIterator<Item = impl Borrow<Input>>,
    effects: &mut Vec<Effect>,
    mut each: impl FnMut(&Input, Outcome),
) {
    let repeated = key.is_some_and(|key| {
        let body = Input::Body { source: source.into(), key: key.into() };
        engine.apply(received, &body, effects) == Outcome::Duplicate
    });
    for input in inputs {
        let input = input.borrow();
        let outcome = if repeated { Outcome::Duplicate } else { engine.apply(received, input, effects) };
        each(input, outcome);
    }
}

/// Has the journal know that it became so late, because something was decided by that: otherwise, after a restart with
/// the clock set back, nobody would know any more what was told, and it would never end. Returns how many batches that
/// took: none where there is no room on the disk now.
///
/// # Errors
/// When the journal failed in a way that only a restart can mend.
pub fn note_time(journal: &mut Journal, now: Instant, telemetry: &Telemetry) -> Result<u64, JournalError> {
    match journal_own(journal, now, (Kind::Time, "fournines", 0), "") {
        Ok(()) => {
            telemetry.sequence.set(journal.sequence().cast_signed());
            Ok(1)
        }
        Err(error) if error.is_passing() => {
            telemetry.commit_failures.inc();
            tracing::error!(%error, "something that fell due is not in the journal");
            Ok(0)
        }
        Err(error) => Err(error),
    }
}

/// Journals something that did not come from outside.
fn journal_own(
    journal: &mut Journal,
    received: Instant,
    (kind, source, events): (Kind, &str, u64),
    text: &str,
) -> Result<(), JournalError> {
    let payload =
        crate::journal::compress(text.as_bytes()).map_err(|error| JournalError::Snapshot(error.to_string()))?;
    journal.append(received, [&Batch { kind, source: source.into(), key: None, events, payload }])
}

impl Pipeline {
    /// Makes another policy the one in force, through the journal.
    ///
    /// # Errors
    /// When it cannot be made durable.
    pub fn adopt(&mut self, policy: Policy, record: &str) -> Result<(), JournalError> {
        let input = Input::Policy(Box::new(policy));
        self.say(self.clock.now(), (Kind::Policy, "config", 1), record, input)
    }

    /// Takes in something of its own: journals its `text`, and applies it.
    fn say(
        &mut self,
        now: Instant,
        (kind, source, events): (Kind, &str, u64),
        text: &str,
        input: Input,
    ) -> Result<(), JournalError> {
        let received = now.max(self.after_now());
        journal_own(&mut self.journal, received, (kind, source, events), text)?;
        self.telemetry.sequence.set(self.journal.sequence().cast_signed());
        let received = self.journal.received();
        let mut effects = Vec::new();
        {
            let mut engine = write(&self.engine);
            apply_batch(&mut engine, received, (source, None), [input], &mut effects, |_, _| {});
            engine.advance(received, &mut effects);
            self.telemetry.applied.set(self.journal.sequence().cast_signed());
        }
        self.hand_out(&effects);
        Ok(())
    }

    /// Runs until `stop` is cancelled and everything taken in before is durable and answered.
    ///
    /// # Errors
    /// When the journal failed in a way that only a restart can mend.
    pub async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Submission>,
        stop: CancellationToken,
    ) -> Result<(), JournalError> {
        let mut group: Vec<Submission> = Vec::with_capacity(GROUP_MAX);
        let mut since_checkpoint = 0;
        let mut next_checkpoint = self.clock.now().plus(self.pace.interval);
        let mut next_fold = self.clock.now();
        let mut is_folding = false;
        let mut is_ahead = false;
        let mut retention = Retention::new(self.keep);
        loop {
            since_checkpoint += self.meet_deadlines()?;
            if group.is_empty() {
                is_ahead = self.watch_clock(is_ahead);
                let checkpoint = if since_checkpoint > 0 { next_checkpoint } else { Instant::MAX };
                let at_work = is_folding || retention.is_at_work();
                let sleep = if at_work { Duration::ZERO } else { self.sleep(checkpoint) };
                tokio::select! {
                    biased;
                    taken = inbox.recv_many(&mut group, GROUP_MAX) => {
                        if taken == 0 {
                            break;
                        }
                    }
                    () = stop.cancelled(), if !inbox.is_closed() => inbox.close(),
                    () = tokio::time::sleep(sleep) => {}
                }
            }
            if !group.is_empty() {
                since_checkpoint += self.commit(&mut group)?;
            }
            let idle = self.checkpointer.settle(&mut self.outlets, &self.telemetry)?;
            let now = self.clock.now();
            let due = since_checkpoint >= self.pace.events || now >= next_checkpoint;
            // While a checkpoint is being written, whatever is folded would be doubled.
            let may_fold = idle && now >= next_fold;
            is_folding = may_fold && self.fold(now)?;
            if may_fold && !is_folding {
                next_fold = read(&self.engine).calendar().containing(Unit::Day, now).until;
            }
            if due && idle && since_checkpoint > 0 {
                self.checkpoint();
                since_checkpoint = 0;
            }
            if due && idle {
                next_checkpoint = self.clock.now().plus(self.pace.interval);
                retention.allow(self.checkpointer.settled());
            }
            retention.step(&mut self.journal, self.clock.now(), &self.telemetry)?;
        }
        self.checkpointer.finished().await;
        self.checkpointer.settle(&mut self.outlets, &self.telemetry)?;
        self.checkpoint();
        self.checkpointer.finished().await;
        self.checkpointer.settle(&mut self.outlets, &self.telemetry)?;
        Ok(())
    }

    /// The time, and later than all that the engine was told is complete.
    fn after_now(&self) -> Instant {
        self.clock.now().max(read(&self.engine).now().plus(Span::TICK))
    }

    /// Meets the deadlines that fell due. What is decided by that is told once the journal has that it became so late.
    /// Returns how many batches that took.
    fn meet_deadlines(&mut self) -> Result<u64, JournalError> {
        let now = self.clock.now();
        if read(&self.engine).next_deadline().is_none_or(|(at, _)| at > now) {
            return Ok(0);
        }
        let mut effects = Vec::new();
        {
            let mut engine = write(&self.engine);
            engine.advance(now, &mut effects);
            if effects.is_empty() {
                return Ok(0);
            }
            // It is at no place in the journal until that says how late it became.
            self.telemetry.applied.set(-1);
        }
        let noted = note_time(&mut self.journal, now, &self.telemetry);
        self.telemetry.applied.set(self.journal.sequence().cast_signed());
        // A page does not depend on the disk.
        self.hand_out(&effects);
        noted
    }

    /// Says so when the machine's clock was set back, and when that is over. Returns whether it is behind.
    fn watch_clock(&self, was_ahead: bool) -> bool {
        let ahead = self.clock.ahead();
        self.telemetry.clock_ahead.set(ahead.as_secs_f64());
        let is_ahead = ahead > AHEAD;
        if is_ahead != was_ahead {
            let seconds = ahead.as_secs_f64();
            if is_ahead {
                tracing::warn!(
                    seconds,
                    "the machine's clock is behind what was told: time runs at half speed until it is not"
                );
            } else {
                tracing::info!("in step with the machine's clock again");
            }
        }
        is_ahead
    }

    fn sleep(&self, checkpoint: Instant) -> Duration {
        let deadline = read(&self.engine).next_deadline().map_or(Instant::MAX, |(at, _)| at);
        self.clock.until(deadline.min(checkpoint)).min(SLEEP_MAX)
    }

    /// Makes a group durable with one sync, applies it, and answers. Returns how many events it held.
    fn commit(&mut self, group: &mut Vec<Submission>) -> Result<u64, JournalError> {
        let watch = Stopwatch::start();
        let appended = self.journal.append(self.after_now(), group.iter().map(|submission| &submission.batch));
        if let Err(error) = appended {
            self.telemetry.commit_failures.inc();
            tracing::error!(%error, batches = group.len(), "a commit failed; its batches were refused");
            for submission in group.drain(..) {
                // Whoever no longer waits does not miss the answer.
                let _ = submission.reply.send(Err(Refused(error.to_string())));
            }
            return if error.is_passing() { Ok(0) } else { Err(error) };
        }
        self.telemetry.commit_seconds.observe(watch.seconds());
        self.telemetry.commit_batches.observe(group.len() as f64);
        self.telemetry.sequence.set(self.journal.sequence().cast_signed());
        let received = self.journal.received();
        let mut effects = Vec::new();
        let mut events = 0;
        let mut answers = Vec::with_capacity(group.len());
        for submission in group.drain(..) {
            let receipt = self.apply(received, &submission.batch, submission.events, &mut effects);
            events += receipt.accepted + receipt.duplicates;
            if effects.is_empty() && read(&self.engine).is_complete() {
                // All that comes of it can be read already: whoever sent it makes the next one ready meanwhile.
                let _ = submission.reply.send(Ok(receipt));
            } else {
                answers.push((submission.reply, receipt));
            }
        }
        {
            let mut engine = write(&self.engine);
            engine.advance(received, &mut effects);
            self.telemetry.applied.set(self.journal.sequence().cast_signed());
        }
        self.hand_out(&effects);
        // Whoever asks next sees what became of it.
        for (reply, receipt) in answers {
            let _ = reply.send(Ok(receipt));
        }
        Ok(events)
    }

    fn apply(
        &mut self,
        received: Instant,
        batch: &Batch,
        events: Vec<Event>,
        effects: &mut Vec<Effect>,
    ) -> Receipt {
        let mut receipt = Receipt::default();
        let mut tally = Tally::default();
        let each = |input: &Input, outcome: Outcome| {
            match outcome {
                Outcome::Duplicate => receipt.duplicates += 1,
                _ => receipt.accepted += 1,
            }
            if let Input::Event(event) = input {
                tally.add(event, outcome);
            }
        };
        let inputs = events.into_iter().map(Input::Event);
        let key = batch.key.as_deref();
        apply_batch(&mut write(&self.engine), received, (&batch.source, key), inputs, effects, each);
        let counts = tally.counts();
        let too_old = counts.iter().filter(|((.., outcome), _)| *outcome == Outcome::TooOld);
        let too_old: u64 = too_old.map(|(_, count)| count).sum();
        if too_old > 0 {
            tracing::warn!(
                events = too_old, source = %batch.source,
                "events about days of which only the sums are kept, or of drills that are over: nothing has them; a replay of \
                 the storage has"
            );
        }
        for ((kind, source, outcome), count) in counts {
            self.telemetry.count_events(kind, &source, outcome.name(), count);
        }
        receipt
    }

    fn hand_out(&mut self, effects: &[Effect]) {
        if effects.is_empty() {
            return;
        }
        for effect in effects {
            let kind = match &effect.kind {
                EffectKind::Fire(_) => "fire",
                EffectKind::Resolve(..) => "resolve",
                EffectKind::Record(incident) => {
                    tracing::info!(
                        incident = %incident.id, service = %incident.service, level = incident.level.name(),
                        status = incident.status.name(), drill = incident.drill.as_deref(), at = %effect.at,
                        "incident: {}", effect.reason
                    );
                    "record"
                }
            };
            self.telemetry.effects.with_label_values(&[kind, effect.reason.name()]).inc();
        }
        for outlet in &mut self.outlets {
            outlet.take(effects);
        }
    }

    /// Folds the next day that is old enough, through the journal. Returns whether there are more.
    fn fold(&mut self, now: Instant) -> Result<bool, JournalError> {
        let limit = now.minus(self.fold_after);
        let days = read(&self.engine).days_over(limit);
        let Some(&last) = days.last() else { return Ok(false) };
        let text: Vec<String> = days.iter().map(Instant::to_string).collect();
        match self.say(now, (Kind::Fold, "fournines", 0), &text.join("\n"), Input::Fold(days)) {
            Ok(()) => {
                let are_more = read(&self.engine).calendar().containing(Unit::Day, last).until <= limit;
                if !are_more {
                    tracing::info!(until = %last, "what is older is kept by whole days from now on");
                }
                Ok(are_more)
            }
            Err(error) if error.is_passing() => {
                self.telemetry.commit_failures.inc();
                tracing::error!(%error, "days could not be folded; it is tried again tomorrow");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Has a checkpoint written. One that fails is no loss: the journal has it all, and the next one is tried in its time.
    fn checkpoint(&mut self) {
        let watch = Stopwatch::start();
        let engine = read(&self.engine).clone();
        let rows = self.outlets.iter_mut().map(|outlet| outlet.rows()).collect();
        self.checkpointer.write(self.journal.sequence(), engine, rows);
        self.telemetry.checkpoint_pause_seconds.observe(watch.seconds());
        self.telemetry.journal_bytes.set(self.journal.bytes().cast_signed());
    }
}

fn read(engine: &RwLock<Engine>) -> std::sync::RwLockReadGuard<'_, Engine> {
    engine.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(engine: &RwLock<Engine>) -> std::sync::RwLockWriteGuard<'_, Engine> {
    engine.write().unwrap_or_else(PoisonError::into_inner)
}
