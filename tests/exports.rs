//! The database of record, as people take it elsewhere: every incident with the columns that R61 asks for, as CSV and
//! as lines of JSON, those of folded days among them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{Server, fournines, free_port, get, post, refused, text, until};
use fournines::clock::Clock;
use fournines::model::time::{Instant, Span};
use rusqlite::Connection;
use serde_json::Value;

/// Three outages of services in two regions, one of them open, and what was done about one.
fn world() -> (tempfile::TempDir, Server, Instant) {
    let folder = tempfile::tempdir().unwrap();
    let catalog = folder.path().join("services.csv");
    std::fs::write(&catalog, "id,region,users\na,north,100\nb,north,200\nc,south,\n").unwrap();
    let settings = format!("catalog.file = \"{}\"\n[storage]\ncheckpoint_interval = \"1s\"", catalog.display());
    let daemon = fournines(folder.path(), free_port(), &settings);
    let now = Clock::system().now();
    let ago = |minutes: i64| now.minus(Span::from_mins(minutes));
    let event = |kind: &str, service: &str, at: Instant, more: &str| {
        format!("{{\"type\":\"{kind}\",\"service\":\"{service}\",\"time\":\"{at}\"{more}}}\n")
    };
    let detail = r#","detail":"card 7, \"left\"; replaced","by":"li, on call""#;
    post(
        &daemon,
        &[
            event("outage.started", "a", ago(300), r#","cause":"equipment""#),
            event("repair.acknowledged", "a", ago(260), r#","by":"li""#),
            event("repair.mitigated", "a", ago(250), detail),
            event("outage.ended", "a", ago(240), ""),
            event("outage.started", "b", ago(100), ""),
            event("outage.ended", "b", ago(90), ""),
            event("outage.started", "c", ago(1), ""),
        ]
        .concat(),
    );
    (folder, daemon, now)
}

fn lines(daemon: &Server, query: &str) -> Vec<Value> {
    let url = format!("{}/api/v1/incidents/export?format=ndjson{query}", daemon.url);
    text(&url).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn services(found: &[Value]) -> Vec<&str> {
    found.iter().map(|row| row["service"].as_str().unwrap()).collect()
}

#[test]
fn every_incident_is_exported_with_what_the_manual_asks_for() {
    let (folder, daemon, now) = world();
    let all = lines(&daemon, "");
    assert_eq!(services(&all), ["a", "b", "c"]);
    let first = &all[0];
    let id = first["id"].as_str().unwrap();
    let shown = get(&format!("{}/api/v1/incidents/{id}", daemon.url));
    for part in ["started", "detected", "acknowledged", "restored", "verified", "level", "users", "cause", "status"]
    {
        assert_eq!(first[part], shown[part], "{part}");
    }
    assert_eq!((&first["service_names"], &first["regions"]), (&"a".into(), &"north".into()));
    // It was acknowledged before it was heard of.
    assert_eq!((&first["response_kept"], &first["repair_kept"]), (&true.into(), &true.into()));
    assert_eq!(first["user_minutes"], 6000.0);
    let process = first["process"].as_str().unwrap();
    assert!(
        process.contains("acknowledged by li; ") && process.contains("card 7, \"left\"; replaced"),
        "{process}"
    );
    assert!(first["temporary_fix"].is_string() && first["permanent_fix"].is_null() && first["reviewed"].is_null());

    // CSV says the same, in the same columns.
    let csv = text(&format!("{}/api/v1/incidents/export", daemon.url));
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let columns: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows: Vec<csv::StringRecord> = reader.records().collect::<Result<_, _>>().unwrap();
    assert_eq!(rows.len(), 3);
    for (row, object) in rows.iter().zip(&all) {
        for (column, field) in columns.iter().zip(row) {
            let expected = match &object[column.as_str()] {
                Value::Null => String::new(),
                Value::Bool(flag) => u8::from(*flag).to_string(),
                Value::String(text) => text.clone(),
                Value::Number(number) => number.as_f64().unwrap().to_string(),
                other => panic!("{other}"),
            };
            assert_eq!(field, expected, "{column}");
        }
    }
    let own: Vec<String> = first.as_object().unwrap().keys().cloned().collect();
    assert_eq!(columns, own);

    // What is asked for is all that comes.
    assert_eq!(services(&lines(&daemon, "&region=north")), ["a", "b"]);
    assert_eq!(services(&lines(&daemon, "&cause=equipment")), ["a"]);
    assert_eq!(services(&lines(&daemon, "&service=c")), ["c"]);
    assert_eq!(services(&lines(&daemon, "&status=open")), ["c"]);
    for (query, count) in [("region=north", 2), ("region=south&cause=unknown", 1), ("cause=equipment", 1)] {
        let listed = get(&format!("{}/api/v1/incidents?{query}", daemon.url));
        assert_eq!(listed["incidents"].as_array().unwrap().len(), count, "{query}: {listed}");
    }
    let after = now.minus(Span::from_mins(95));
    assert_eq!(services(&lines(&daemon, &format!("&from={after}"))), ["b", "c"]);
    assert_eq!(services(&lines(&daemon, &format!("&until={after}&level=3"))), ["a", "b"]);
    for (query, hint) in [
        ("format=pdf", "csv, ndjson"),
        ("cause=gremlins", "equipment"),
        ("level=9", "1, 2, 3"),
        ("status=x", "open"),
        ("form=csv", "form"),
    ] {
        let (code, problem) = refused(&format!("{}/api/v1/incidents/export?{query}", daemon.url));
        assert!(code == 400 && problem["detail"].as_str().unwrap().contains(hint), "{query}: {problem}");
    }

    // The same is in the rows for SQL, once there was a checkpoint.
    let file = folder.path().join("data").join("fournines.db");
    until("the rows are written", || {
        let connection = Connection::open(&file).ok()?;
        let count = |table: &str| -> Option<i64> {
            connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).ok()
        };
        let rows = [count("incidents")?, count("incident_outages")?, count("incident_stages")?];
        (rows == [3, 3, 9] && count("incident_changes")? >= 3).then_some(())
    });
}
