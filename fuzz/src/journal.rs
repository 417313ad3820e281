//! Storage of anybody's making: what was changed is named, and nothing is handed out that was not written.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use fournines::journal::{
    Batch, Checkpoints, Journal, JournalError, Kind, Stored, compress, file_in, integrity, open_reader,
};
use fournines::model::time::Instant;

/// The log's file in its folder.
const LOG: &str = "journal.db";
/// What every file of SQLite begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// A batch by what is in it.
type Content = (Instant, Kind, String, Option<String>, Vec<u8>);

/// The file of a small sound journal, and what its batches hold.
static SOUND: LazyLock<(Vec<u8>, Vec<Content>)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut journal = Journal::open(folder.path()).expect("an empty folder can be used");
    for number in 0..5 {
        journal.append(Instant::from_micros(number), [&batch(number)]).expect("there is room");
    }
    drop(journal);
    let bytes = fs::read(folder.path().join(LOG)).expect("the file is there");
    let (_, contents) = examine(&open_reader(folder.path()).expect("it is sound"));
    (bytes, contents.into_iter().map(|(_, content)| content).collect())
});

fn batch(number: i64) -> Batch {
    Batch {
        kind: [Kind::Policy, Kind::Events, Kind::Fold][usize::try_from(number % 3).unwrap_or(0)],
        source: format!("source {number}").into(),
        key: (number == 1).then(|| "key".into()),
        events: 1,
        payload: compress(format!("{{\"number\":{number}}}").as_bytes()).expect("there is memory"),
    }
}

/// Reads `data` as the journal's file: all of it when it begins as such files do, as each of the two, or else as changes
/// of a sound one, three bytes each: where, where, what.
pub fn journal(data: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    if data.starts_with(MAGIC) {
        let other = tempfile::tempdir().expect("a temporary folder");
        for (folder, file) in [(&folder, folder.path().join(LOG)), (&other, file_in(other.path()))] {
            fs::write(file, data).expect("it can be written to");
            stands_up(folder.path());
        }
        return;
    }
    let (sound, written) = &*SOUND;
    drop(Checkpoints::open(folder.path()).expect("an empty folder can be used"));
    let mut bytes = sound.clone();
    for change in data.chunks_exact(3) {
        let place = usize::from(u16::from_le_bytes([change[0], change[1]])) % bytes.len();
        bytes[place] = change[2];
    }
    fs::write(folder.path().join(LOG), &bytes).expect("it can be written to");
    for (sequence, content) in stands_up(folder.path()) {
        let original = usize::try_from(sequence).ok().and_then(|sequence| written.get(sequence.wrapping_sub(1)));
        assert_eq!(Some(&content), original, "batch {sequence} passes for sound");
    }
}

/// Reads what is in the folder in every way there is, and then writes to it. What reads as sound is handed back.
fn stands_up(folder: &Path) -> Vec<(u64, Content)> {
    let is_whole = integrity(folder).is_ok_and(|wrong| wrong.is_empty());
    let mut sound = Vec::new();
    if let Ok(journal) = open_reader(folder) {
        let _ = journal.last_policy();
        let (first, found) = examine(&journal);
        let mut read = Vec::new();
        let ended = journal.read_after(0, |stored| {
            read.push((stored.sequence, content(stored)));
            Ok(())
        });
        assert!(read.iter().map(|(sequence, _)| *sequence).eq(1..=read.len() as u64), "it skips what is missing");
        if is_whole {
            match ended {
                Ok(()) => {
                    assert_eq!((first, &read), (None, &found), "one way of reading it finds damage, one does not");
                }
                Err(JournalError::Damaged { sequence, .. }) => {
                    assert_eq!(first, Some(sequence), "two ways of reading it find other damage");
                    assert!(found.starts_with(&read), "two ways of reading it find other batches");
                }
                Err(_) => {}
            }
        }
        sound = found;
    }
    if let Ok(mut journal) = Journal::open(folder) {
        let (before, at) = (journal.sequence(), journal.received());
        if journal.append(Instant::from_micros(7), [&batch(7)]).is_ok() {
            assert!(journal.sequence() == before + 1 && journal.received() >= at, "it goes backwards");
        }
    }
    if let Ok(mut checkpoints) = Checkpoints::open(folder) {
        let known = checkpoints.read().map(|known| known.len() as u64);
        assert!(known.is_ok_and(|known| checkpoints.count().is_ok_and(|count| known <= count)) || !is_whole);
        let _ = checkpoints.write(1, b"another state", |_| Ok(()));
    }
    sound
}

/// The first batch that is damaged, and those that are sound.
fn examine(journal: &Journal) -> (Option<u64>, Vec<(u64, Content)>) {
    let (mut first, mut sound) = (None, Vec::new());
    let ended = journal.examine(|sequence, stored| match stored {
        Ok(stored) => sound.push((sequence, content(stored))),
        Err(problem) => {
            assert!(!problem.is_empty(), "damage without a name");
            first = first.or(Some(sequence));
        }
    });
    assert!(
        first.is_some() || ended.is_err() || sound.len() as u64 == journal.sequence(),
        "it stops before the end"
    );
    (first, sound)
}

fn content(stored: Stored) -> Content {
    let Stored { received, kind, source, key, text, .. } = stored;
    (received, kind, source.into(), key.map(Into::into), text)
}
