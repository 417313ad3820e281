//! What people do about an incident over HTTP is in its record at once, and still there after a `kill -9`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{Server, ask, fournines, free_port, get, post};
use fournines::clock::Clock;
use fournines::model::time::Span;
use serde_json::{Value, json};

/// The daemon's first incident.
fn incident(daemon: &Server) -> Value {
    get(&format!("{}/api/v1/incidents", daemon.url))["incidents"][0].clone()
}

fn act(daemon: &Server, id: &str, stage: &str, body: &Value) -> (u16, Value) {
    ask(&format!("{}/api/v1/incidents/{id}/{stage}", daemon.url), body)
}

/// Says that `service` went down a minute ago.
fn goes_down(daemon: &Server, service: &str) {
    let time = Clock::system().now().minus(Span::from_mins(1));
    post(daemon, &format!(r#"{{"type":"outage.started","id":"{service}","service":"{service}","time":"{time}"}}"#));
}

#[test]
fn every_stage_is_in_the_record_when_it_is_answered_and_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = fournines(folder.path(), free_port(), "");
    goes_down(&daemon, "guangdong/shenzhen/olt-7");
    let id = incident(&daemon)["id"].as_str().unwrap().to_owned();
    let deeds = [
        ("acknowledge", json!({ "by": "li", "detail": "on it" }), "acknowledged"),
        ("dispatch", json!({ "by": "li" }), "acknowledged"),
        ("hold", json!({ "by": "li", "reason": "no access" }), "acknowledged"),
        ("resume", json!({ "by": "wang" }), "acknowledged"),
        ("locate", json!({ "by": "wang", "cause": "equipment" }), "acknowledged"),
        ("mitigate", json!({ "by": "wang", "detail": "spare route" }), "mitigated"),
        ("repair", json!({ "by": "wang" }), "mitigated"),
        ("reclassify", json!({ "by": "zhao", "level": 1, "reason": "the mayor's line" }), "mitigated"),
    ];
    for (stage, body, status) in deeds {
        let (code, shown) = act(&daemon, &id, stage, &body);
        assert_eq!((code, &shown["status"]), (200, &json!(status)), "{stage}: {shown}");
    }
    let before = incident(&daemon);
    let reached: Vec<&str> =
        before["stages"].as_array().unwrap().iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
    assert_eq!(reached, ["detected", "acknowledged", "dispatched", "located", "mitigated", "repaired"]);
    assert_eq!((&before["cause"], &before["holds"][0]["reason"]), (&json!("equipment"), &json!("no access")));
    assert_eq!(before["holds"][0]["resumed_by"], "wang");
    let levels = before["levels"].as_array().unwrap();
    assert_eq!((&before["level"], &before["first_level"]), (&json!(1), &json!(3)));
    assert_eq!(levels.last().unwrap()["rule"], "reclassified by zhao: the mayor's line");

    // Nothing of it waits for a checkpoint.
    drop(daemon);
    let daemon = fournines(folder.path(), free_port(), "");
    let after = incident(&daemon);
    for part in ["stages", "holds", "cause", "status", "missing_stages", "level", "levels"] {
        assert_eq!(after[part], before[part], "{part}");
    }
}

#[test]
fn what_cannot_be_done_is_refused_with_what_can() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = fournines(folder.path(), free_port(), "");
    goes_down(&daemon, "core");
    let id = incident(&daemon)["id"].as_str().unwrap().to_owned();
    let refusals = [
        ("acknowledge", json!({}), 422, "by"),
        ("acknowledge", json!({ "by": " " }), 400, "say who did it"),
        ("acknowledge", json!({ "by": "li", "detial": "x" }), 422, "detial"),
        ("acknowledge", json!({ "by": "li", "cause": "human" }), 400, "locate"),
        ("locate", json!({ "by": "li", "cause": "gremlins" }), 400, "equipment"),
        ("hold", json!({ "by": "li" }), 400, "reason"),
        ("repair", json!({ "by": "li", "reason": "x" }), 400, "detail"),
        ("reclassify", json!({ "by": "li", "level": 1 }), 400, "reason"),
        ("reclassify", json!({ "by": "li", "level": 4, "reason": "x" }), 400, "1, 2 or 3"),
        ("reclassify", json!({ "by": "li", "reason": "x" }), 400, "level"),
        ("repair", json!({ "by": "li", "level": 1 }), 400, "reclassify only"),
        ("review", json!({ "by": "li", "root_cause": "rain" }), 400, "improvements"),
        ("review", json!({ "by": "li", "root_cause": "rain", "improvements": [] }), 400, "at least one"),
        (
            "review",
            json!({ "by": "li", "root_cause": "rain", "improvements": [{"action": "a", "owner": "b", "due": "soon"}] }),
            400,
            "2026-04-01",
        ),
        ("repair", json!({ "by": "li", "root_cause": "rain" }), 400, "review only"),
        ("notify", json!({ "by": "li" }), 400, "notice"),
        ("survey", json!({ "by": "li", "score": 101 }), 400, "0 to 100"),
        ("repair", json!({ "by": "li", "level": 0 }), 400, "reclassify only"),
        ("acknowlege", json!({ "by": "li" }), 404, "acknowledge"),
    ];
    for (stage, body, code, hint) in refusals {
        let (refused, problem) = act(&daemon, &id, stage, &body);
        let detail = problem["detail"].as_str().unwrap_or_default().to_owned();
        assert!(refused == code && detail.contains(hint), "{stage} {body}: {refused} {problem}");
    }
    let (code, _) = act(&daemon, "0000000000000000", "acknowledge", &json!({ "by": "li" }));
    assert_eq!((code, incident(&daemon)["stages"].as_array().unwrap().len()), (404, 1));

    // It was a false alarm: there is nothing to do any more.
    let now = Clock::system().now();
    post(&daemon, &format!(r#"{{"type":"retraction","of":"core","time":"{now}"}}"#));
    let (code, problem) = act(&daemon, &id, "acknowledge", &json!({ "by": "li" }));
    assert_eq!(code, 409, "{problem}");
}

#[test]
fn what_is_owed_is_told_and_reviewed() {
    let folder = tempfile::tempdir().unwrap();
    let notice = "[[reporting.notice]]\nname = \"customers\"\nlimit = \"2h\"\ncite = \"contract, clause 7\"";
    let daemon = fournines(folder.path(), free_port(), notice);
    goes_down(&daemon, "core");
    let before = incident(&daemon);
    let id = before["id"].as_str().unwrap().to_owned();
    let clock = |incident: &Value, name: &str| {
        let clocks = incident["clocks"].as_array().unwrap().clone();
        clocks.into_iter().find(|clock| clock["name"] == name).unwrap_or_default()
    };
    let owed = clock(&before, "customers");
    assert_eq!((&owed["cite"], &owed["standing"]), (&json!("contract, clause 7"), &json!("OWN")));
    assert_eq!((&owed["stopped"], &owed["until"]), (&Value::Null, &json!("notice")));
    let review = json!({
        "by": "chen",
        "root_cause": "a worn fan",
        "improvements": [{ "action": "check the fans", "owner": "wang", "due": "2027-04-01" }],
    });
    for (stage, body) in [
        ("notify", json!({ "by": "zhao", "notice": "customers", "detail": "by text message" })),
        ("mitigate", json!({ "by": "wang" })),
        ("survey", json!({ "by": "a subscriber", "score": 80 })),
        ("review", review),
    ] {
        let (code, shown) = act(&daemon, &id, stage, &body);
        assert_eq!(code, 200, "{stage}: {shown}");
    }
    let time = Clock::system().now();
    post(&daemon, &format!(r#"{{"type":"outage.ended","service":"core","time":"{time}"}}"#));
    let (_, shown) = act(&daemon, &id, "verify", &json!({ "by": "li" }));
    assert_eq!(shown["status"], "reviewed", "{shown}");
    assert_eq!(shown["notices"][0]["by"], "zhao");
    assert_eq!(clock(&shown, "customers")["stopped"], shown["notices"][0]["at"]);
    assert_eq!(clock(&shown, "permanent_fix")["stopped"], Value::Null, "it is still owed");
    assert_eq!((&shown["review"]["complete"], &shown["review"]["by"]), (&json!(true), &json!("chen")));
    assert_eq!(shown["assessment"]["satisfaction"], 80.0);
    assert!(shown["assessment"]["repair_used_ratio"].as_f64().unwrap() < 0.1);
    drop(daemon);
    let daemon = fournines(folder.path(), free_port(), notice);
    let mut after = incident(&daemon);
    after["assessment"] = shown["assessment"].clone();
    assert_eq!(after, shown, "nothing of it waits for a checkpoint");
}
