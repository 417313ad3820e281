//! Every input of the fuzzers that was worth keeping, found or written by hand, stands up to the same checks in an
//! ordinary test run. `fuzz/` says how to look for more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[allow(unreachable_pub, reason = "it is a crate of its own for the fuzzers")]
#[path = "../fuzz/src/lib.rs"]
mod checks;

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

type Check = fn(&[u8]);

/// Every target.
const TARGETS: [(&str, Check); 7] = [
    ("catalog", checks::catalog),
    ("config", checks::config),
    ("decode", checks::decode),
    ("engine", checks::engine),
    ("journal", checks::journal),
    ("replay", checks::replay),
    ("texts", checks::texts),
];

/// Bytes of all corpora together: they are read in every test run, and copied with every clone.
const BYTES_MAX: u64 = 1 << 20;

fn corpus(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} has nothing in it", folder.display());
    files
}

fn replay(target: &str) {
    let (_, check) = TARGETS.into_iter().find(|(name, _)| *name == target).unwrap();
    let breaks = |file: &PathBuf| {
        let data = fs::read(file).unwrap();
        catch_unwind(|| check(&data)).is_err()
    };
    let broken: Vec<PathBuf> = corpus(target).into_iter().filter(breaks).collect();
    assert!(broken.is_empty(), "{target} does not stand up to {broken:#?}");
}

#[test]
fn catalogues() {
    replay("catalog");
}

#[test]
fn configurations() {
    replay("config");
}

#[test]
fn bodies() {
    replay("decode");
}

#[test]
fn histories() {
    replay("engine");
}

#[test]
fn storage_files() {
    replay("journal");
}

#[test]
fn lines_of_events() {
    replay("replay");
}

#[test]
fn short_texts() {
    replay("texts");
}

#[test]
fn every_target_is_replayed_and_the_corpora_are_small() {
    let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let built: BTreeSet<String> = fs::read_dir(targets)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(built, TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect());
    let files = TARGETS.iter().flat_map(|(name, _)| corpus(name));
    let bytes: u64 = files.map(|file| fs::metadata(file).unwrap().len()).sum();
    assert!(bytes < BYTES_MAX, "{bytes} bytes of corpora: cargo fuzz cmin");
}
