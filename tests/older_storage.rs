//! Whatever an older fournines left on the disk is read for ever, and written on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{fournines, free_port, get, post};
use serde_json::{Value, json};

/// They are not folded, however old they get.
const SETTINGS: &str = "[storage]\nfold_after = \"36500d\"";

/// What both incidents of every fixture are.
fn expected() -> Value {
    json!([
        ["bef6b3e424ddfcbf", "site-7", "2026-11-21T01:00:00Z", null],
        ["9ce640534904ad29", "core-1", "2026-11-20T08:00:00Z", "2026-11-20T09:30:00Z"]
    ])
}

#[test]
fn every_layout_is_read_brought_up_to_date_and_written_on() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let folders: Vec<_> = fs::read_dir(fixtures).unwrap().map(|entry| entry.unwrap().path()).collect();
    let folders: Vec<_> = folders.into_iter().filter(|path| path.is_dir()).collect();
    assert!(folders.len() >= 2);
    for fixture in folders {
        let folder = tempfile::tempdir().unwrap();
        let storage = folder.path().join("data");
        fs::create_dir(&storage).unwrap();
        for file in fs::read_dir(&fixture).unwrap().map(|entry| entry.unwrap().path()) {
            fs::copy(&file, storage.join(file.file_name().unwrap())).unwrap();
        }
        let daemon = fournines(folder.path(), free_port(), SETTINGS);
        let listed = get(&format!("{}/api/v1/incidents", daemon.url));
        let told = |one: &Value| json!([one["id"], one["services"][0], one["started"], one["restored"]]);
        let found: Vec<Value> = listed["incidents"].as_array().unwrap().iter().map(told).collect();
        assert_eq!(Value::from(found), expected(), "{}", fixture.display());
        let again = r#"{"type":"outage.started","id":"e5","service":"site-7","time":"2026-11-21T01:00:00Z"}"#;
        assert_eq!(post(&daemon, again)["duplicates"], 1, "{}: an id is forgotten", fixture.display());
        post(&daemon, r#"{"type":"outage.ended","id":"e7","service":"site-7","time":"2026-11-21T02:00:00Z"}"#);
        daemon.stop();
        let verified = Command::new(env!("CARGO_BIN_EXE_fournines")).arg("verify").arg(&storage).output().unwrap();
        assert!(verified.status.success(), "{}: {}", fixture.display(), String::from_utf8_lossy(&verified.stdout));
    }
}
