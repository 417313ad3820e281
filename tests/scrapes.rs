//! What is scraped: the largest offenders keep their series where there are too many.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use common::{Server, fournines, free_port, post, text};
use fournines::clock::Clock;
use fournines::model::time::{Instant, Span};
use serde_json::json;

/// A source whose name has all that must not be taken for the end of a label.
const SOURCE: &str = "a \"b\" \\c\n{d=\"e\"} 网";

/// An outage that began three hours ago.
fn outage(service: &str, seconds: i64) -> String {
    let started = Clock::system().now().minus(Span::from_hours(3));
    let event = |kind: &str, at: Instant| {
        json!({"type": kind, "service": service, "time": at.to_string(), "source": SOURCE}).to_string() + "\n"
    };
    event("outage.started", started) + &event("outage.ended", started.plus(Span::from_secs(seconds)))
}

/// The label of each series of a family over a day, with its value.
fn series(text: &str, family: &str) -> Vec<(String, f64)> {
    let lines = text.lines().filter(|line| line.starts_with(&format!("{family}{{")) && line.contains("\"24h\""));
    let read = |line: &str| {
        let label = line.split('"').nth(1).unwrap().to_owned();
        (label, line.rsplit_once(' ').unwrap().1.parse().unwrap())
    };
    lines.map(read).collect()
}

fn value(daemon: &Server, name: &str) -> f64 {
    let all = text(&format!("{}/metrics", daemon.url));
    let line = all.lines().find(|line| line.split(' ').next() == Some(name)).unwrap();
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[test]
fn the_largest_offenders_keep_their_series() {
    let folder = tempfile::tempdir().unwrap();
    // More groups than have series of their own: each service is a region, and so is each of the last thousand a group.
    let mut catalog = "id,region,groups\n".to_owned();
    for n in (0..5500).rev() {
        writeln!(catalog, "net/{n:04},r{n:04},{}", if n >= 4500 { format!("g{n}") } else { String::new() })
            .unwrap();
    }
    std::fs::write(folder.path().join("services.csv"), catalog).unwrap();
    let file = folder.path().join("services.csv").display().to_string();
    let daemon =
        fournines(folder.path(), free_port(), &format!("catalog.file = {file:?}\nmetrics.max_services = 5"));
    let scrape = || text(&format!("{}/metrics", daemon.url));
    let of = |names: &[(&str, f64)]| names.iter().map(|&(name, n)| (name.to_owned(), n)).collect::<Vec<_>>();
    const DOWNTIME: &str = "fournines_service_downtime_seconds";

    // Nobody is an offender: the first by name.
    let healthy: Vec<(String, f64)> = (0..5).map(|n| (format!("net/{n:04}"), 0.0)).collect();
    assert_eq!(series(&scrape(), DOWNTIME), healthy);
    assert_eq!(value(&daemon, "fournines_services"), 5500.0);
    assert_eq!(value(&daemon, "fournines_services_left_out"), 5495.0);

    // Some are: they come first, and the healthy ones fill what is left, by name.
    post(&daemon, &(outage("net/5400", 60) + &outage("net/5499", 1) + &outage("net/0001", 2)));
    let expected = [("net/0000", 0.0), ("net/0001", 2.0), ("net/0002", 0.0), ("net/5400", 60.0), ("net/5499", 1.0)];
    assert_eq!(series(&scrape(), DOWNTIME), of(&expected));

    // More are than may: those that were out for longest, and of equals the first by name.
    let more = ["net/3000", "net/2000", "net/4000", "net/1000"];
    post(&daemon, &more.map(|name| outage(name, 30)).concat());
    let expected =
        [("net/1000", 30.0), ("net/2000", 30.0), ("net/3000", 30.0), ("net/4000", 30.0), ("net/5400", 60.0)];
    for _ in 0..2 {
        assert_eq!(series(&scrape(), DOWNTIME), of(&expected));
    }
    assert_eq!(value(&daemon, "fournines_services_left_out"), 5495.0);

    // Groups likewise. Of 5500 regions, 1000 groups and `all` the offenders have series, and the first by name.
    let groups = series(&scrape(), "fournines_group_downtime_seconds");
    assert_eq!((groups.len(), value(&daemon, "fournines_groups_left_out")), (5000, 1501.0));
    let named: BTreeSet<&str> = groups.iter().map(|(name, _)| &**name).collect();
    let expected =
        ["all", "g5400", "g5499", "region:r5400", "region:r5499", "region:r4000", "g4500", "region:r0000"];
    assert!(expected.iter().all(|name| named.contains(name)) && !named.contains("region:r5498"));
}
