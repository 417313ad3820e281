//! A journal whose oldest batches were dropped amounts to what the whole one does.

use std::path::Path;

use fournines::engine::{Engine, Input};
use fournines::journal::{Batch, Checkpoints, Journal, JournalError, Keep, Kind, Stored, compress, open_reader};
use fournines::model::alert::Alert;
use fournines::model::effect::Effect;
use fournines::model::time::Instant;
use fournines::pipeline::{apply_batch, begin, recover};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::difference;
use super::world::{END, Saying, arrivals, at, decoded, line, policy, world};

fn batch(kind: Kind, text: &str) -> Batch {
    Batch { kind, source: "test".into(), key: None, events: 1, payload: compress(text.as_bytes()).unwrap() }
}

fn decode(stored: &Stored) -> Result<Vec<Input>, String> {
    let text = std::str::from_utf8(&stored.text).map_err(|error| error.to_string())?;
    Ok(vec![if stored.kind == Kind::Policy { Input::Policy(Box::new(policy())) } else { decoded(text) }])
}

/// A journal of the world, with checkpoints after these batches.
fn write(folder: &Path, world: &[Saying], kept: [usize; 2]) -> Journal {
    let mut journal = Journal::open(folder).unwrap();
    let mut checkpoints = Checkpoints::open(folder).unwrap();
    let said = arrivals(world).into_iter().map(|(received, number)| (received, line(number, &world[number], true)));
    let batches = said.map(|(received, text)| (received, batch(Kind::Events, &text)));
    let mut engine = Engine::new();
    for (place, (received, batch)) in [(0, batch(Kind::Policy, "policy"))].into_iter().chain(batches).enumerate() {
        journal.append(at(received), [&batch]).unwrap();
        let text = zstd::decode_all(&*batch.payload).unwrap();
        let (sequence, received, source) = (journal.sequence(), journal.received(), batch.source);
        let stored = Stored { sequence, received, kind: batch.kind, source, key: None, text };
        apply_batch(&mut engine, received, ("test", None), decode(&stored).unwrap(), &mut Vec::new(), |_, _| {});
        if kept.contains(&place) {
            engine.advance(received, &mut Vec::new());
            checkpoints.write(sequence, &compress(&engine.snapshot()).unwrap(), |_| Ok(())).unwrap();
        }
    }
    journal
}

/// What starting from the folder gives, and what it tells after that.
fn started(folder: &Path) -> Result<(Engine, Vec<Effect>), JournalError> {
    let mut told = Vec::new();
    let journal = open_reader(folder)?;
    let begun = begin(&journal, &Checkpoints::open(folder)?, None)?;
    let mut engine = recover(&journal, begun, &decode, |effects, _| told.extend_from_slice(effects))?;
    engine.advance(at(END), &mut told);
    Ok((engine, told))
}

/// How many worlds: each has a real disk synced dozens of times, so that these are enough whatever `PROPTEST_CASES` says.
const WORLDS: u32 = 100;

/// Figures, incidents, what fires and all that is told after a start are the same, from either checkpoint.
#[test]
fn dropping_old_batches_changes_no_answer() {
    let mut runner = TestRunner::new(Config { cases: WORLDS, ..Config::default() });
    let place = any::<prop::sample::Index>;
    let checked = runner.run(&(world(), (place(), place())), |(world, places)| {
        prop_assume!(world.len() >= 3);
        let first = 1 + places.0.index(world.len() - 1);
        let kept = [first, first + places.1.index(world.len() + 1 - first)];
        let [whole, trimmed] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        drop(write(whole.path(), &world, kept));
        let mut journal = write(trimmed.path(), &world, kept);
        let keep = Keep { span: None, bytes: Some(1) };
        let until = first as u64 + 1;
        let mut dropped = 0;
        while let count @ 1.. = journal.drop_some(keep, until, Instant::from_micros(0)).unwrap() {
            dropped += count;
        }
        // The last one stays in any case.
        prop_assert_eq!((dropped, journal.first()), (until.min(journal.sequence() - 1), dropped + 1));
        drop(journal);
        for damaged in [false, true] {
            if damaged {
                for folder in [&whole, &trimmed] {
                    let database = rusqlite::Connection::open(folder.path().join("fournines.db")).unwrap();
                    let last = "UPDATE checkpoints SET snapshot = zeroblob(9) WHERE sequence > (SELECT min(sequence) FROM checkpoints)";
                    database.execute(last, []).unwrap();
                }
            }
            let (plain, expected) = started(whole.path()).unwrap();
            let (engine, found) = started(trimmed.path()).unwrap();
            prop_assert!(found == expected, "{}", difference(&found, &expected));
            prop_assert!(engine.snapshot() == plain.snapshot());
            let firing = |engine: &Engine| engine.alerts().cloned().collect::<Vec<Alert>>();
            prop_assert_eq!(firing(&engine), firing(&plain));
        }
        Ok(())
    });
    checked.unwrap();
}
