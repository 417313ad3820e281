//! Tests of `embedded.rs`.

use super::*;

fn batch(text: &str) -> Batch {
    Batch {
        kind: Kind::Events,
        source: "http".into(),
        key: None,
        events: 1,
        payload: crate::journal::compress(text.as_bytes()).unwrap(),
    }
}

fn texts(journal: &Journal) -> Result<Vec<String>, JournalError> {
    let mut found = Vec::new();
    journal.read_after(0, |stored| {
        found.push(String::from_utf8(stored.text).unwrap());
        Ok(())
    })?;
    Ok(found)
}

fn at(micros: i64) -> Instant {
    Instant::from_micros(micros)
}

/// A journal with three batches, closed.
fn written(folder: &Path) -> PathBuf {
    let mut journal = Journal::open(folder).unwrap();
    for (number, text) in ["one", "two", "three"].into_iter().enumerate() {
        journal.append(at(number as i64), [&batch(text)]).unwrap();
    }
    journal.file().to_owned()
}

fn reopen(file: &Path) -> Journal {
    Journal::over(Connection::open(file).unwrap(), file.to_owned(), None).unwrap()
}

#[test]
fn what_was_appended_is_read_back_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let journal = reopen(&written(folder.path()));
    assert_eq!(texts(&journal).unwrap(), ["one", "two", "three"]);
    assert_eq!((journal.sequence(), journal.received()), (3, at(2)));
}

#[test]
fn receive_times_go_on_whatever_the_clock_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = reopen(&written(folder.path()));
    journal.append(at(-5), [&batch("four")]).unwrap();
    assert_eq!(journal.received(), at(3));
}

#[test]
fn a_second_writer_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = Journal::open(folder.path()).unwrap();
    let refused = Journal::open(folder.path()).unwrap_err();
    assert!(matches!(refused, JournalError::Busy { .. }), "{refused}");
    assert!(refused.to_string().contains(&first.file().display().to_string()));
    drop(first);
    assert!(Journal::open(folder.path()).is_ok());
}

#[test]
fn damage_in_the_middle_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(folder.path());
    let connection = Connection::open(&file).unwrap();
    let refused = connection.execute("DELETE FROM batches", []).unwrap_err().to_string();
    assert!(refused.contains("the journal is append-only"), "{refused}");
    connection.execute_batch(WITHOUT_TRIGGERS).unwrap();
    connection.execute("UPDATE batches SET payload = zeroblob(12) WHERE sequence = 2", []).unwrap();
    let error = texts(&reopen(&file)).unwrap_err().to_string();
    assert!(error.contains("damaged at sequence 2: its checksum does not match"), "{error}");
    assert!(error.contains(&file.display().to_string()));
    connection.execute_batch(WITHOUT_TRIGGERS).unwrap();
    connection.execute("DELETE FROM batches WHERE sequence = 2", []).unwrap();
    let error = texts(&reopen(&file)).unwrap_err().to_string();
    assert!(error.contains("damaged at sequence 2: it is missing, the next there is 3"), "{error}");
}

/// Whoever has the file can do that; the checksums and the chain are there for it.
const WITHOUT_TRIGGERS: &str = "DROP TRIGGER IF EXISTS batches_stay; DROP TRIGGER IF EXISTS batches_are_kept;";

#[test]
fn a_batch_that_was_rewritten_with_its_checksum_breaks_the_chain() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(folder.path());
    let connection = Connection::open(&file).unwrap();
    connection.execute_batch(WITHOUT_TRIGGERS).unwrap();
    let forged = batch("forged");
    let received: i64 =
        connection.query_row("SELECT received FROM batches WHERE sequence = 2", [], |row| row.get(0)).unwrap();
    let sum = checksum(2, Instant::from_micros(received), &forged);
    let update = "UPDATE batches SET payload = ?1, checksum = ?2 WHERE sequence = 2";
    connection.execute(update, params![forged.payload, sum]).unwrap();
    let error = texts(&reopen(&file)).unwrap_err().to_string();
    assert!(error.contains("damaged at sequence 2: it is not the one that was chained"), "{error}");
    // The next one is sound by itself.
    let mut wrong = Vec::new();
    let look = |sequence, stored: Result<Stored, String>| wrong.extend(stored.err().map(|_| sequence));
    reopen(&file).examine(look).unwrap();
    assert_eq!(wrong, [2]);
}

/// Makes a folder one of an older layout: its batches in the other file.
fn made_older(folder: &Path, layout: i64) {
    let file = folder.join("journal.db");
    let connection = Connection::open(checkpoints::file_in(folder)).unwrap();
    connection.execute_batch(&schema()).unwrap();
    connection.execute("ATTACH ?1 AS newer", [file.display().to_string()]).unwrap();
    connection.execute_batch("INSERT INTO batches SELECT * FROM newer.batches; DETACH newer").unwrap();
    connection.execute_batch(&[APPEND_ONLY, retention::TRIGGERS].concat()).unwrap();
    if layout == 1 {
        connection.execute_batch(WITHOUT_TRIGGERS).unwrap();
        connection.execute_batch("ALTER TABLE batches DROP COLUMN chain").unwrap();
    }
    connection.pragma_update(None, "user_version", layout).unwrap();
    for name in ["journal.db", "journal.db-wal", "journal.db-shm"] {
        let _ = fs::remove_file(folder.join(name));
    }
}

#[test]
fn a_number_that_is_far_off_is_found_in_no_time() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(folder.path());
    let connection = Connection::open(&file).unwrap();
    connection.execute_batch(WITHOUT_TRIGGERS).unwrap();
    connection.execute("UPDATE batches SET sequence = ?1 WHERE sequence = 3", [i64::MAX]).unwrap();
    let mut found = Vec::new();
    reopen(&file).examine(|sequence, stored| found.push((sequence, stored.err()))).unwrap();
    let gap = format!("it is missing, and the {} after it", i64::MAX - 4);
    let moved = Some("its checksum does not match".to_owned());
    assert_eq!(found, [(1, None), (2, None), (3, Some(gap)), (i64::MAX as u64, moved)]);
}

#[test]
fn files_of_older_layouts_are_brought_up_to_date() {
    for layout in [1, 2] {
        let folder = tempfile::tempdir().unwrap();
        let file = written(folder.path());
        let head = reopen(&file).head();
        made_older(folder.path(), layout);
        assert!(open_reader(folder.path()).is_err_and(|error| error.to_string().contains("up to date")));
        let mut journal = Journal::open(folder.path()).unwrap();
        assert_eq!((texts(&journal).unwrap().len(), journal.head()), (3, head.clone()));
        journal.append(at(9), [&batch("four")]).unwrap();
        assert!(journal.head() != head && texts(&reopen(&file)).unwrap().len() == 4);
        let refused = journal.connection.execute("DELETE FROM batches", []).unwrap_err().to_string();
        assert!(refused.contains("the journal is append-only"), "{refused}");
        let other = Connection::open(checkpoints::file_in(folder.path())).unwrap();
        assert!(other.prepare("SELECT * FROM batches").is_err(), "they are in one file");
    }
}

#[test]
fn a_move_that_was_broken_off_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(folder.path());
    let kept = fs::read(&file).unwrap();
    made_older(folder.path(), 2);
    // As after a crash between the copy and the removal.
    fs::write(&file, kept).unwrap();
    let journal = Journal::open(folder.path()).unwrap();
    assert_eq!(texts(&journal).unwrap(), ["one", "two", "three"]);
    let other = Connection::open(checkpoints::file_in(folder.path())).unwrap();
    assert!(other.prepare("SELECT * FROM batches").is_err());
}

#[test]
fn a_flipped_byte_in_the_file_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let file = written(folder.path());
    let connection = Connection::open(&file).unwrap();
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(connection);
    let mut bytes = fs::read(&file).unwrap();
    let needle = crate::journal::compress(b"two").unwrap();
    let place = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    bytes[place + needle.len() - 1] ^= 1;
    fs::write(&file, bytes).unwrap();
    let error = texts(&reopen(&file)).unwrap_err().to_string();
    assert!(error.contains("damaged at sequence 2"), "{error}");
}

#[test]
fn a_torn_tail_is_tolerated() {
    let folder = tempfile::tempdir().unwrap();
    let copy = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path()).unwrap();
    journal.append(at(0), [&batch("one")]).unwrap();
    let whole = journal.bytes();
    journal.append(at(1), [&batch("two")]).unwrap();
    // As after a crash: the files as they are, the last write half there.
    for name in ["journal.db", "journal.db-wal"] {
        fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }
    let wal = copy.path().join("journal.db-wal");
    let main = fs::metadata(copy.path().join("journal.db")).unwrap().len();
    fs::File::options().write(true).open(&wal).unwrap().set_len(whole - main + 100).unwrap();
    assert_eq!(texts(&reopen(&copy.path().join("journal.db"))).unwrap(), ["one"]);
}

/// A journal whose first batch is a policy, with many more of some bytes each, received an hour apart.
fn long(folder: &Path, batches: i64) -> Journal {
    let mut journal = Journal::open(folder).unwrap();
    journal.append(at(0), [&Batch { kind: Kind::Policy, ..batch("policy") }]).unwrap();
    for number in 1..batches {
        journal.append(hours(number), [&batch(&number.to_string().repeat(300))]).unwrap();
    }
    journal
}

fn hours(number: i64) -> Instant {
    at(0).plus(Span::from_hours(number))
}

fn drop_all(journal: &mut Journal, keep: Keep, until: u64, now: Instant) -> u64 {
    let mut dropped = 0;
    while let count @ 1.. = journal.drop_some(keep, until, now).unwrap() {
        dropped += count;
    }
    dropped
}

const BY_AGE: Keep = Keep { span: Some(Span::from_hours(24)), bytes: None };

#[test]
fn what_is_old_enough_is_dropped_and_the_rest_is_chained_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = long(folder.path(), 700);
    let head = journal.head();
    // Batch 600 was received a day and an hour before hour 624.
    assert_eq!(drop_all(&mut journal, BY_AGE, 2000, hours(624).plus(Span::from_mins(59))), 600);
    assert_eq!(drop_all(&mut journal, BY_AGE, 2000, hours(624).plus(Span::from_mins(59))), 0);
    let (first, dropped) = (journal.first(), journal.dropped().unwrap().clone());
    assert_eq!((first, dropped.last, &*dropped.reasons), (601, 600, "storage.keep_for"));
    // A day's is one row.
    let rows: i64 = journal.connection.query_row("SELECT count(*) FROM dropped", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 1);
    let policy = journal.last_policy().unwrap().unwrap();
    let says = |text: &[u8]| policy.says(|writer| writer.write_all(text));
    assert!(says(b"policy") && !says(b"polity") && !says(b"polic") && !says(b"policy ") && !says(b""));
    assert!(!policy.says(|_| Err(std::io::ErrorKind::Other.into())));
    assert_eq!(journal.policy_before().unwrap().unwrap().text, b"policy");
    let file = journal.file().to_owned();
    drop(journal);
    let journal = Journal::open(folder.path()).unwrap();
    assert_eq!((journal.first(), journal.dropped(), journal.head()), (601, Some(&dropped), head));
    let mut read = 0;
    let count = |_| {
        read += 1;
        Ok(())
    };
    journal.read_after(600, count).unwrap();
    journal
        .examine(|sequence, stored| assert!(sequence > 600 && stored.is_ok(), "{sequence}: {stored:?}"))
        .unwrap();
    assert_eq!(read, 100);
    let refused = journal.read_after(599, |_| Ok(())).unwrap_err().to_string();
    assert!(
        refused.contains("begins with batch 601: what was before was dropped by storage.keep_for"),
        "{refused}"
    );
    // Only what is in the record may go, and the record stays.
    for sql in ["DELETE FROM batches WHERE sequence = 601", "DELETE FROM dropped", "UPDATE dropped SET last = 7"] {
        let refused = journal.connection.execute(sql, []).unwrap_err().to_string();
        assert!(refused.contains("append-only") || refused.contains("only grows"), "{refused}");
    }
    // With the last of them gone there is still one to go on from.
    drop(journal);
    let mut journal = Journal::open(folder.path()).unwrap();
    assert_eq!(drop_all(&mut journal, BY_AGE, 700, hours(9000)), 99);
    drop(journal);
    let mut journal = Journal::open(folder.path()).unwrap();
    assert_eq!((journal.first(), journal.sequence()), (700, 700));
    journal.append(hours(9000), [&batch("on")]).unwrap();
    journal.examine(|sequence, stored| assert!(stored.is_ok(), "{sequence}: {stored:?}")).unwrap();
    assert!(reopen(&file).last_policy().unwrap().unwrap().says(|writer| writer.write_all(b"policy")));
}

#[test]
fn nothing_is_dropped_that_is_in_one_checkpoint_only_or_without_being_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = long(folder.path(), 50);
    assert_eq!(drop_all(&mut journal, Keep::default(), 50, hours(9000)), 0);
    assert_eq!(drop_all(&mut journal, BY_AGE, 0, hours(9000)), 0);
    assert_eq!(drop_all(&mut journal, BY_AGE, 20, hours(9000)), 20);
    assert_eq!(drop_all(&mut journal, Keep { span: None, bytes: Some(1 << 40) }, 50, hours(9000)), 0);
}

#[test]
fn a_later_policy_takes_the_place_of_the_one_that_was_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = long(folder.path(), 30);
    drop_all(&mut journal, BY_AGE, 20, hours(9000));
    journal.append(hours(31), [&Batch { kind: Kind::Policy, ..batch("other") }]).unwrap();
    journal.append(hours(32), [&batch("last")]).unwrap();
    drop_all(&mut journal, BY_AGE, 31, hours(9000));
    assert_eq!(journal.policy_before().unwrap().unwrap().text, b"other");
    let rows: i64 = journal.connection.query_row("SELECT count(*) FROM batches", [], |row| row.get(0)).unwrap();
    assert_eq!((journal.first(), rows), (32, 2));
}

#[test]
fn a_gap_that_was_not_recorded_is_damage_and_nothing_is_dropped_past_it() {
    for (sql, sequence) in [
        ("DELETE FROM batches WHERE sequence = 11", 11),
        ("DELETE FROM batches WHERE sequence = 25", 25),
        ("DELETE FROM batches WHERE sequence > 10", 11),
        ("DELETE FROM dropped", 2),
        ("UPDATE dropped SET last = 11, chain = zeroblob(32)", 1),
        ("UPDATE dropped SET reason = 'storage.keep_bytes'", 1),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = long(folder.path(), 50);
        assert_eq!(drop_all(&mut journal, BY_AGE, 10, hours(9000)), 10);
        let file = journal.file().to_owned();
        let connection = Connection::open(&file).unwrap();
        connection.execute_batch(WITHOUT_TRIGGERS).unwrap();
        connection.execute_batch("DROP TRIGGER dropped_is_kept; DROP TRIGGER dropped_grows").unwrap();
        connection.execute(sql, []).unwrap();
        let opened = Journal::over(Connection::open(&file).unwrap(), file.clone(), None);
        let read = opened.and_then(|journal| journal.read_after(journal.first() - 1, |_| Ok(())));
        let error = read.unwrap_err().to_string();
        assert!(error.contains(&format!("damaged at sequence {sequence}")), "{sql}: {error}");
        if sequence > 10 {
            let refused = loop {
                match journal.drop_some(BY_AGE, 40, hours(9000)) {
                    Ok(dropped) => assert!(dropped > 0, "{sql}"),
                    Err(error) => break error.to_string(),
                }
            };
            assert!(refused.contains(&format!("damaged at sequence {sequence}")), "{sql}: {refused}");
            assert!(journal.first() <= sequence);
        }
    }
}

#[test]
fn the_file_grows_no_further_than_what_may_be_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path()).unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    let keep = Keep { span: None, bytes: Some(1 << 18) };
    let size = |journal: &Journal| {
        let pages = |name| journal.connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
        pages("page_count").unwrap() * pages("page_size").unwrap()
    };
    let mut largest = 0;
    for number in 0..400 {
        // Some fit into a page and some take many.
        let bytes: Vec<u8> = (0..random.usize(10..30_000)).map(|_| random.u8(..)).collect();
        journal
            .append(hours(number), [&Batch { payload: crate::journal::compress(&bytes).unwrap(), ..batch("") }])
            .unwrap();
        let sequence = journal.sequence();
        drop_all(&mut journal, keep, sequence, hours(number));
        largest = largest.max(size(&journal));
    }
    let kept = journal.sequence() + 1 - journal.first();
    assert!(kept > 8, "{kept}");
    // 6 MB went through it.
    assert!(largest < (1 << 18) + (64 << 10), "{largest}");
    journal.examine(|sequence, stored| assert!(stored.is_ok(), "{sequence}: {stored:?}")).unwrap();
}
