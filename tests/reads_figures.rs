//! What people and scripts read over HTTP: lists page by page, filters, one of each.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{Server, fournines, free_port, get, post};
use fournines::clock::Clock;
use fournines::model::time::{Instant, Span};
use serde_json::Value;

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
