//! What people and scripts read over HTTP: lists page by page, filters, one of each.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{Server, fournines, free_port, get, post, refused};
use fournines::clock::Clock;
use fournines::model::time::{Instant, Span};
use serde_json::{Value, json};

/// Nine services, every third of which is down, each with an outage of a minute some hours ago.
fn world() -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let catalog = folder.path().join("services.csv");
    let row = |n: usize| format!("net/{n},{}\n", if n.is_multiple_of(2) { "even;all-of-them" } else { "odd" });
    std::fs::write(&catalog, format!("id,groups\n{}", (0..9).map(row).collect::<String>())).unwrap();
    let daemon = fournines(folder.path(), free_port(), &format!("catalog.file = \"{}\"", catalog.display()));
    let now = Clock::system().now();
    let line = |kind: &str, n: usize, outage: &str, at: Instant| {
        format!("{{\"type\":\"{kind}\",\"service\":\"net/{n}\",\"outage\":\"{outage}\",\"time\":\"{at}\"}}\n")
    };
    let mut lines = String::new();
    for n in 0..9 {
        let start = now.minus(Span::from_hours(3 + n as i64));
        lines += &line("outage.started", n, "past", start);
        lines += &line("outage.ended", n, "past", start.plus(Span::from_mins(1)));
        if n.is_multiple_of(3) {
            lines += &line("outage.started", n, "now", now.minus(Span::from_secs(n as i64 + 1)));
        }
    }
    post(&daemon, &lines);
    (folder, daemon)
}

/// Every page of a list, `limit` at a time: what `name` is in each row.
fn pages(daemon: &Server, list: &str, query: &str, limit: usize, name: fn(&Value) -> String) -> Vec<String> {
    let mut rows = Vec::new();
    let mut after = String::new();
    loop {
        let page = get(&format!("{}/api/v1/{list}?limit={limit}&{query}{after}", daemon.url));
        let found = page[list].as_array().unwrap();
        assert!(found.len() <= limit);
        rows.extend(found.iter().map(name));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={}", next.replace('/', "%2F")),
            None => return rows,
        }
    }
}

#[test]
fn services_are_listed_by_name_and_filtered() {
    let (_folder, daemon) = world();
    let name = |row: &Value| row["service"].as_str().unwrap().to_owned();
    let all: Vec<String> = (0..9).map(|n| format!("net/{n}")).collect();
    for limit in [1, 2, 3, 9, 100] {
        assert_eq!(pages(&daemon, "services", "", limit, name), all, "{limit} at a time");
    }
    assert_eq!(pages(&daemon, "services", "state=down", 2, name), ["net/0", "net/3", "net/6"]);
    assert_eq!(pages(&daemon, "services", "group=odd&state=down", 2, name), ["net/3"]);
    let one = get(&format!("{}/api/v1/services/net%2F3", daemon.url));
    assert_eq!((one["service"].as_str(), one["state"].as_str()), (Some("net/3"), Some("down")));
    assert_eq!(one["windows"]["24h"]["outages"], 2);
    assert_eq!(one["windows"]["24h"]["mttr_seconds"], 60.0);
}

#[test]
fn incidents_are_listed_the_latest_first_and_filtered() {
    let (_folder, daemon) = world();
    let started = |row: &Value| row["started"].as_str().unwrap().to_owned();
    let service = |row: &Value| row["services"][0].as_str().unwrap().to_owned();
    let all = pages(&daemon, "incidents", "", 100, started);
    assert_eq!(all.len(), 12);
    let mut sorted = all.clone();
    sorted.sort_by_key(|text| std::cmp::Reverse(text.parse::<Instant>().unwrap()));
    assert_eq!(all, sorted);
    for limit in [1, 5, 11, 12] {
        assert_eq!(pages(&daemon, "incidents", "", limit, started), all, "{limit} at a time");
    }
    assert_eq!(pages(&daemon, "incidents", "status=open", 2, service), ["net/0", "net/3", "net/6"]);
    assert_eq!(pages(&daemon, "incidents", "status=restored&service=net%2F4", 9, service), ["net/4"]);
    assert_eq!(pages(&daemon, "incidents", "level=3", 100, started).len(), 12);
    assert!(pages(&daemon, "incidents", "level=1", 100, started).is_empty());
    // Those that were open at some instant of the span asked for.
    let now = Clock::system().now();
    let span = format!("from={}&until={}", now.minus(Span::from_mins(330)), now.minus(Span::from_mins(290)));
    assert_eq!(pages(&daemon, "incidents", &span, 100, service), ["net/2"]);
    let id = get(&format!("{}/api/v1/incidents?status=open", daemon.url))["incidents"][0]["id"].clone();
    let one = get(&format!("{}/api/v1/incidents/{}", daemon.url, id.as_str().unwrap()));
    assert_eq!(one["id"], id);
    assert_eq!(get(&format!("{}/api/v1/status", daemon.url))["incidents_open"]["third"], 3);
}

#[test]
fn groups_are_listed_by_name_and_each_can_be_read() {
    let (_folder, daemon) = world();
    let name = |row: &Value| row["group"].as_str().unwrap().to_owned();
    for limit in [1, 3, 100] {
        assert_eq!(pages(&daemon, "groups", "", limit, name), ["all", "all-of-them", "even", "odd"]);
    }
    let odd = get(&format!("{}/api/v1/groups/odd", daemon.url));
    assert_eq!((odd["group"].as_str(), odd["services"].as_u64()), (Some("odd"), Some(4)));
    assert_eq!(odd["windows"]["24h"]["outages"], 5);
    let (status, problem) = refused(&format!("{}/api/v1/groups/nowhere", daemon.url));
    assert!(status == 404 && problem["detail"].as_str().unwrap().contains("nowhere"), "{problem}");
}

#[test]
fn figures_are_read_as_of_any_instant_and_over_any_period() {
    let (_folder, daemon) = world();
    let now = Clock::system().now();
    for path in ["services/net%2F3", "groups/odd"] {
        let figures = |query: &str| get(&format!("{}/api/v1/{path}?{query}", daemon.url));
        let before = figures(&format!("at={}", now.minus(Span::from_hours(24))));
        assert_eq!(before["windows"]["24h"]["outages"], 0, "{path}");
        let day = figures(&format!("at={now}"))["calendar"]["day"].clone();
        // The daemon's zone by default: the day is the one in Shanghai.
        let name = &now.plus(Span::from_hours(8)).to_string()[..10];
        assert_eq!(figures(&format!("at={now}&period={name}"))["period"], day, "{path}");
        assert_eq!(figures("period=1999")["period"]["elapsed"]["downtime_seconds"], 0.0);
        assert!(figures("")["period"].is_null());
    }
    let down = format!("{}/api/v1/services/net%2F3", daemon.url);
    assert!(get(&down)["incident"].is_string());
    assert!(get(&format!("{down}?at={}", now.minus(Span::from_hours(24))))["incident"].is_null());
}

#[test]
fn history_is_held_against_the_targets_of_then_or_of_now() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = fournines(folder.path(), free_port(), "targets.availability = 0.9999");
    let hour_ago = Clock::system().now().minus(Span::from_hours(1));
    let minute = hour_ago.plus(Span::from_mins(1));
    let line = |kind: &str, at| format!("{{\"type\":\"{kind}\",\"service\":\"a\",\"time\":\"{at}\"}}\n");
    post(&daemon, &(line("outage.started", hour_ago) + &line("outage.ended", minute)));
    let then = Clock::system().now();
    daemon.stop();
    let daemon = fournines(folder.path(), free_port(), "targets.availability = 0.9");
    for path in ["services/a", "groups/all"] {
        let target = |query: &str| {
            let object = get(&format!("{}/api/v1/{path}?{query}", daemon.url));
            (
                object["target"].as_f64().unwrap(),
                object["windows"]["24h"]["budget_remaining_ratio"].as_f64().unwrap(),
            )
        };
        let (strict, lax) = (target(&format!("at={then}")), target(&format!("at={then}&policy=now")));
        assert!(strict.0 == 0.9999 && strict.1 < 0.0, "{path}: {strict:?}");
        assert!(lax.0 == 0.9 && lax.1 > 0.99, "{path}: {lax:?}");
        assert_eq!(target(&format!("at={then}&policy=then")), strict);
        assert_eq!(target("").0, 0.9);
    }
}

#[test]
fn the_targets_in_force_are_listed_with_their_clauses() {
    let folder = tempfile::tempdir().unwrap();
    let settings = r#"
        [targets]
        repair = "3h"
        maintenance = "count_as_up"
        latency = { limit = "100ms", ratio = 0.95 }
        override = [{ tier = "gold", availability = 0.99995 }]
        measurement = [{ metric = "packet_loss_ratio", over = 0.02, clear = 0.01 }]
    "#;
    let daemon = fournines(folder.path(), free_port(), settings);
    let targets = get(&format!("{}/api/v1/targets", daemon.url));
    let named = |name: &str| {
        let found = targets["targets"].as_array().unwrap().iter().find(|target| target["name"] == name);
        found.unwrap_or_else(|| panic!("{name}: {targets}")).clone()
    };
    let availability = named("availability");
    assert_eq!((&availability["value"], &availability["unit"]), (&json!(0.9999), &json!("ratio")));
    let repair = named("repair");
    assert_eq!((&repair["value"], &repair["unit"]), (&json!(10_800.0), &json!("seconds")));
    assert_eq!(repair["requirement"], "R2");
    assert!(!repair["clause"].as_str().unwrap().is_empty() && !repair["phrase"].as_str().unwrap().is_empty());
    assert_eq!(targets["maintenance"], "count_as_up");
    assert_eq!(targets["latency"], json!({ "limit_seconds": 0.1, "ratio": 0.95 }));
    assert_eq!(
        targets["overrides"],
        json!([{
            "service": null, "group": null, "tier": "gold",
            "targets": [{ "name": "availability", "value": 0.99995, "unit": "ratio" }],
            "maintenance": null, "latency": null,
        }])
    );
    let limit = json!({ "metric": "packet_loss_ratio", "over": 0.02, "under": null, "clear": 0.01 });
    assert_eq!(targets["measurements"], json!([limit]));
}

#[test]
fn what_is_asked_for_wrongly_is_refused_with_what_would_be_right() {
    let (_folder, daemon) = world();
    let cases = [
        ("policy=never", "then, now"),
        ("period=march", "2026-Q1"),
        ("at=yesterday", "RFC 3339"),
        ("at=2999-01-01T00:00:00Z", "lies ahead"),
        ("when=now", "when"),
    ];
    for path in ["services/net%2F3", "groups", "groups/odd"] {
        for (query, said) in cases {
            let (status, problem) = refused(&format!("{}/api/v1/{path}?{query}", daemon.url));
            assert_eq!(status, 400, "{path}?{query}");
            assert!(problem["detail"].as_str().unwrap().contains(said), "{path}?{query}: {problem}");
        }
    }
}
