//! What is on the disk can be proved to be what was taken in: after any number of kills, and not after a byte was changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use common::{Server, ask, fournines, free_port, get, post};
use fournines::clock::Clock;
use rusqlite::Connection;
use serde_json::json;

/// What `fournines verify` says, and whether it is content.
fn verify(folder: &Path) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_fournines")).arg("verify").arg(folder).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

/// The same numbers every time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Something happens, or somebody does something about it. Returns by what it can be told again, if something was done.
fn operate(daemon: &Server, chance: &mut Chance, number: usize) -> Option<String> {
    let service = format!("s{}", chance.below(6));
    let now = Clock::system().now();
    let kind = match chance.below(4) {
        0 => "outage.started",
        1 => "outage.ended",
        _ => {
            let listed = get(&format!("{}/api/v1/incidents?service={service}", daemon.url));
            let id = listed["incidents"][0]["id"].as_str()?.to_owned();
            let deeds = ["acknowledge", "dispatch", "locate", "mitigate", "repair", "verify", "hold", "resume"];
            let deed = deeds[usize::try_from(chance.below(8)).unwrap()];
            let detail = format!("deed {number}");
            let said = if deed == "hold" { "reason" } else { "detail" };
            let body = json!({ "by": "li", said: detail });
            let (code, answer) = ask(&format!("{}/api/v1/incidents/{id}/{deed}", daemon.url), &body);
            assert_eq!(code, 200, "{answer}");
            return Some(detail);
        }
    };
    post(daemon, &format!(r#"{{"type":"{kind}","id":"e{number}","service":"{service}","time":"{now}"}}"#));
    None
}

#[test]
fn the_chain_verifies_after_a_thousand_operations_with_kills_and_nothing_done_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "[storage]\ncheckpoint_events = 90\n";
    let mut chance = Chance(4);
    let mut done: Vec<String> = Vec::new();
    let mut daemon = fournines(folder.path(), free_port(), settings);
    for number in 0..1000 {
        done.extend(operate(&daemon, &mut chance, number));
        if chance.below(100) == 0 {
            drop(daemon);
            daemon = fournines(folder.path(), free_port(), settings);
        }
    }
    assert!(done.len() > 300, "{}", done.len());
    drop(daemon);
    let storage = folder.path().join("data");
    let (sound, said) = verify(&storage);
    assert!(sound && said.contains("are sound") && said.contains("head "), "{said}");

    // The rows of a checkpoint say what the journal amounts to: all that was answered with 200 is in them, each of it.
    fournines(folder.path(), free_port(), settings).stop();
    let rows = Connection::open(storage.join("fournines.db")).unwrap();
    let mut select = rows.prepare("SELECT detail FROM incident_actions WHERE detail IS NOT NULL").unwrap();
    let details: BTreeSet<String> = select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let lost: Vec<&String> = done.iter().filter(|detail| !details.contains(*detail)).collect();
    assert!(lost.is_empty(), "{lost:?}");
    let journal = Connection::open(storage.join("journal.db")).unwrap();
    let refused = journal.execute("UPDATE batches SET source = 'x'", []).unwrap_err();
    assert!(refused.to_string().contains("append-only"), "{refused}");
}

#[test]
fn a_flipped_byte_is_found_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = fournines(folder.path(), free_port(), "[storage]\ncheckpoint_events = 20\n");
    for number in 0..40 {
        let (kind, time) = (if number % 2 == 0 { "started" } else { "ended" }, Clock::system().now());
        let detail = format!("mark-{number}-{}", "x".repeat(200));
        post(
            &daemon,
            &format!(
                r#"{{"type":"outage.{kind}","service":"s{}","time":"{time}","detail":"{detail}"}}"#,
                number % 3
            ),
        );
    }
    daemon.stop();
    let (storage, copy) = (folder.path().join("data"), tempfile::tempdir().unwrap());
    const FILES: [(&str, &[&str]); 2] = [
        ("journal.db", &["batches"]),
        (
            "fournines.db",
            &[
                "checkpoints",
                "incidents",
                "incident_outages",
                "incident_stages",
                "incident_actions",
                "incident_levels",
                "incident_clocks",
                "incident_changes",
            ],
        ),
    ];
    // All of it is in the files themselves.
    for (name, _) in FILES {
        let whole = Connection::open(storage.join(name)).unwrap();
        whole.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    }
    let (sound, said) = verify(&storage);
    assert!(sound, "{said}");
    let text = |path: &Path, tables: &[&str]| -> Result<Vec<String>, rusqlite::Error> {
        let connection = Connection::open(path)?;
        let mut all = Vec::new();
        for table in tables {
            let mut select = connection.prepare(&format!("SELECT * FROM {table}"))?;
            let count = select.column_count();
            let mut rows = select.query([])?;
            while let Some(row) = rows.next()? {
                for place in 0..count {
                    all.push(format!("{:?}", row.get_ref(place)?));
                }
            }
        }
        Ok(all)
    };
    let whole = FILES.map(|(name, tables)| {
        let path = storage.join(name);
        fs::copy(&path, copy.path().join(name)).unwrap();
        (name, tables, fs::read(&path).unwrap(), text(&path, tables).unwrap())
    });
    let mut chance = Chance(9);
    let mut found = 0;
    for round in 0..300 {
        let (name, tables, bytes, before) = &whole[round % 2];
        let place = usize::try_from(chance.below(bytes.len() as u64)).unwrap();
        let mut changed = bytes.clone();
        changed[place] ^= 1 << chance.below(8);
        let path = copy.path().join(name);
        fs::write(&path, &changed).unwrap();
        let same = text(&path, tables).is_ok_and(|after| after == *before);
        let (sound, said) = verify(copy.path());
        fs::write(&path, bytes).unwrap();
        // A byte that holds nothing may be anything.
        assert!(same || !sound, "byte {place} was changed, and nothing is wrong: {said}");
        // Of a file whose own description of its tables is changed, the database says where, or that it cannot read it.
        let names = [
            "batch ",
            "checkpoint",
            "incident ",
            "the file: ",
            "malformed database schema",
            "database disk image is malformed",
            "not a database",
        ];
        let named = names.iter().any(|name| said.contains(name));
        assert!(same || named, "byte {place} was changed, and all that is said is: {said}");
        found += usize::from(!same);
    }
    assert!(found > 30, "only {found} changed something");

    // One in the middle of a batch is named by that.
    let (name, _, bytes, _) = &whole[0];
    let connection = Connection::open(storage.join(name)).unwrap();
    let payload: Vec<u8> =
        connection.query_row("SELECT payload FROM batches WHERE sequence = 17", [], |row| row.get(0)).unwrap();
    let place = bytes.windows(payload.len()).position(|window| window == payload).unwrap();
    let mut changed = bytes.clone();
    changed[place + payload.len() / 2] ^= 1;
    fs::write(copy.path().join(name), &changed).unwrap();
    let (sound, said) = verify(copy.path());
    assert!(!sound && said.contains("batch 17: its checksum does not match"), "{said}");
    assert!(!said.contains("batch 16:") && !said.contains("batch 18:"), "{said}");
}
