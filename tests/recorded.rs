//! Recorded real outages give the figures that were computed from them without this code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// How near floating point figures must be, relatively: the precision stated beside the references.
const RELATIVE: f64 = 1e-9;

fn folder(set: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(set)
}

fn replay(set: &str, at: &str) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fournines"));
    command.args(["replay", "--format", "json", "--at", at]);
    let catalog = folder(set).join("services.csv");
    if catalog.exists() {
        command.arg("--catalog").arg(catalog);
    }
    let output = command.arg(folder(set).join("events.ndjson")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn reference(set: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder(set).join("reference.json")).unwrap()).unwrap()
}

fn service<'v>(replayed: &'v Value, name: &str) -> &'v Value {
    replayed["services"].as_array().unwrap().iter().find(|service| service["service"] == name).unwrap()
}

fn agrees(set: &str) {
    let reference = reference(set);
    let mut compared = 0;
    for computed in reference["computed"].as_array().unwrap() {
        let at = computed["at"].as_str().unwrap();
        let replayed = replay(set, at);
        assert_eq!(replayed["at"], at);
        let expected = computed["services"].as_object().unwrap();
        assert_eq!(replayed["services"].as_array().unwrap().len(), expected.len(), "{set} at {at}");
        for (name, windows) in expected {
            for (window, figures) in windows.as_object().unwrap() {
                let found = &service(&replayed, name)["windows"][window];
                for (figure, expected) in figures.as_object().unwrap() {
                    let same = match (expected.as_f64(), found[figure].as_f64()) {
                        (Some(a), Some(b)) if matches!(&**figure, "availability" | "mttr_seconds") => {
                            (a - b).abs() <= RELATIVE * a.abs()
                        }
                        (Some(a), Some(b)) => a == b,
                        (None, None) => true,
                        _ => false,
                    };
                    assert!(same, "{set} at {at}: {name} {window} {figure}: {} is not {expected}", found[figure]);
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 100, "{set}: only {compared} figures were compared");
}

#[test]
fn github_status() {
    agrees("github-status");
}

#[test]
fn lanl_8_13() {
    agrees("lanl-8-13");
}

#[test]
fn upptime_curc() {
    agrees("upptime-curc");
}

#[test]
fn wireless_alarms() {
    agrees("wireless-alarms");
}

#[test]
fn github_status_as_others_published_it() {
    let published = &reference("github-status")["published"][0];
    let replayed = replay("github-status", published["at"].as_str().unwrap());
    let window = published["window"].as_str().unwrap();
    let found = service(&replayed, "github")["windows"][window]["availability"].as_f64().unwrap();
    // Published with two decimals of a percent.
    assert!((found * 100.0 - published["availability_percent"].as_f64().unwrap()).abs() < 0.01, "{found}");
}

#[test]
fn upptime_as_it_was_published_agrees_within_a_tenth_of_a_point() {
    let reference = reference("upptime-curc");
    let published = reference["published"].as_array().unwrap();
    let percent = |value: &Value| value.as_str().unwrap().trim_end_matches('%').parse::<f64>().unwrap();
    let mut replayed: Option<(String, Value)> = None;
    for row in published {
        let at = row["at"].as_str().unwrap();
        if replayed.as_ref().is_none_or(|(known, _)| known != at) {
            replayed = Some((at.to_owned(), replay("upptime-curc", at)));
        }
        let (_, figures) = replayed.as_ref().unwrap();
        let windows = &service(figures, row["service"].as_str().unwrap())["windows"];
        for window in ["24h", "7d"] {
            let found = windows[window]["availability"].as_f64().unwrap() * 100.0;
            let stated = percent(&row[window]);
            assert!((found - stated).abs() <= 0.1, "{row}: {window} is {found}");
        }
    }
    assert!(published.len() > 10);
}
