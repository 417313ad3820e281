//! What is scraped: either format says the same to a real Prometheus, answers are packed for those who take that, and
//! the largest offenders keep their series where there are too many.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::process::{Command, Stdio};

use common::{Server, answer, block_on, fournines, free_port, get, post, prometheus, query, text, until};
use fournines::clock::Clock;
use fournines::model::time::{Instant, Span};
use serde_json::{Value, json};

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

fn unpacked(bytes: &[u8]) -> String {
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    text
}

/// The lines of a text that are about the network, or count what happens only when something is sent in.
fn steady(text: &str) -> Vec<&str> {
    let names =
        ["service", "group", "incidents", "events", "target", "effects", "clock_breaches", "build", "journal_seq"];
    let is_steady = |line: &&str| {
        line.strip_prefix("fournines_").is_some_and(|rest| names.iter().any(|name| rest.starts_with(name)))
            && !line.contains("le=\"")
    };
    text.lines().filter(is_steady).collect()
}

#[test]
fn a_real_prometheus_prefers_openmetrics_and_reads_what_the_older_format_says() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let daemon = fournines(folder.path(), port, "");
    post(&daemon, &(outage("core/gz-1", 90) + &outage("接入/广州#2", 7)));
    let scraper = prometheus(folder.path(), port);
    // Only OpenMetrics names a counter's family without its ending, and has units.
    let told = until("Prometheus knows the families", || {
        let told = get(&format!("{}/api/v1/targets/metadata", scraper.url))["data"].clone();
        let named = |name: &str| told.as_array()?.iter().find(|family| family["metric"] == name).cloned();
        Some([named("fournines_events")?, named("fournines_service_downtime_seconds")?])
    });
    assert_eq!([&told[0]["type"], &told[0]["unit"]], ["counter", ""], "{told:?}");
    assert_eq!([&told[1]["type"], &told[1]["unit"]], ["gauge", "seconds"], "{told:?}");

    let text = text(&format!("{}/metrics", daemon.url));
    let lines = steady(&text);
    assert!(lines.len() > 80, "{text}");
    let escaped = r#"source="a \"b\" \\c\n{d=\"e\"} 网""#;
    assert!(lines.iter().any(|line| line.contains(escaped)), "{text}");
    let mut names = BTreeSet::new();
    for line in &lines {
        // A line's left side asks for its series.
        let (series, value) = line.rsplit_once(' ').unwrap();
        let found = query(&scraper, series);
        assert_eq!(
            found.iter().map(|(_, value)| *value).collect::<Vec<_>>(),
            [value.parse::<f64>().unwrap()],
            "{line}"
        );
        names.insert(series.split('{').next().unwrap());
    }
    let names = names.into_iter().collect::<Vec<_>>().join("|");
    let count = query(&scraper, &format!("count({{__name__=~\"{names}\"}})"));
    assert_eq!(count[0].1, lines.len() as f64, "it has no others");
    assert_eq!(
        query(&scraper, r#"fournines_service_downtime_seconds{service="core/gz-1",window="24h"}"#)[0].1,
        90.0
    );
}

#[test]
fn promtool_finds_nothing_wrong_with_the_older_format() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = fournines(folder.path(), free_port(), "");
    post(&daemon, &outage("core/gz-1", 90));
    let text = text(&format!("{}/metrics", daemon.url));
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.spawn().expect("promtool of the package prometheus");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{}: {said}", output.status);
}

#[test]
fn a_clock_counts_in_the_windows_in_which_it_was_decided() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = fournines(folder.path(), free_port(), "");
    let now = Clock::system().now();
    let ran = |service: &str, from: i64, until: i64| {
        let event = |kind: &str, ago: i64| {
            let time = now.minus(Span::from_mins(ago)).to_string();
            json!({"type": kind, "service": service, "time": time}).to_string() + "\n"
        };
        event("outage.started", from) + &event("outage.ended", until)
    };
    // Four hours are the limit: one passed it twenty minutes ago, one kept it two hours ago, one half an hour ago.
    post(&daemon, &(ran("late", 260, 5) + &ran("kept", 180, 120) + &ran("also", 60, 30)));
    let text = text(&format!("{}/metrics", daemon.url));
    for (window, ratio) in [("1h", "0.5"), ("24h", "0.6666666666666666"), ("90d", "0.6666666666666666")] {
        let line = format!("fournines_clock_compliance_ratio{{clock=\"repair\",window=\"{window}\"}} {ratio}");
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
}

#[test]
fn what_is_read_is_packed_for_those_who_take_it() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = fournines(folder.path(), free_port(), "");
    post(&daemon, &(0..60).map(|n| outage(&format!("net/{n}"), 60)).collect::<String>());
    let packed = |path: &str, accepted: &str| {
        let (headers, body) = answer(&format!("{}{path}", daemon.url), &[("accept-encoding", accepted)]);
        let varies = headers.get_all("vary").iter().any(|vary| vary.to_str().unwrap().contains("accept-encoding"));
        (headers.get("content-encoding").map(|coding| coding.to_str().unwrap().to_owned()), varies, body)
    };
    for path in [
        "/api/openapi.json",
        "/api/v1/incidents/export",
        "/api/v1/incidents/export?format=ndjson",
        "/runbooks/ServiceInterruption",
    ] {
        let (coding, varies, body) = packed(path, "br;q=1, gzip;q=0.8");
        assert!(coding.as_deref() == Some("gzip") && varies, "{path}: {coding:?}");
        let (coding, _, plain) = packed(path, "gzip;q=0");
        assert!(coding.is_none() && body.len() * 3 < plain.len() * 2, "{path}: {}, {}", body.len(), plain.len());
        assert_eq!(unpacked(&body), String::from_utf8(plain).unwrap(), "{path}");
    }
    let (coding, _, body) = packed("/api/v1/services?limit=60", "gzip");
    assert_eq!(coding.as_deref(), Some("gzip"));
    let services: Value = serde_json::from_str(&unpacked(&body)).unwrap();
    assert_eq!(services["services"].as_array().unwrap().len(), 60);
    // What is small is not worth it.
    for path in ["/api/v1/status", "/livez", "/api/v1/receivers"] {
        assert_eq!(packed(path, "gzip").0, None, "{path}");
    }

    for (accept, kind, end) in [
        ("*/*", "text/plain; version=0.0.4; charset=utf-8", ""),
        ("application/openmetrics-text", "application/openmetrics-text; version=1.0.0; charset=utf-8", "# EOF\n"),
    ] {
        let url = format!("{}/metrics", daemon.url);
        let (headers, body) = answer(&url, &[("accept", accept), ("accept-encoding", "gzip")]);
        assert_eq!([&headers["content-type"], &headers["content-encoding"]], [kind, "gzip"]);
        assert_eq!(headers["vary"], "accept, accept-encoding");
        let (headers, plain) = answer(&url, &[("accept", accept)]);
        assert!(headers["content-type"] == kind && !headers.contains_key("content-encoding"));
        let (packed, plain) = (unpacked(&body), String::from_utf8(plain).unwrap());
        assert_eq!((packed.ends_with(end), packed.contains("# EOF")), (true, !end.is_empty()));
        assert_eq!(steady(&packed), steady(&plain));
        assert!(body.len() * 5 < plain.len(), "{} of {}", body.len(), plain.len());
    }
}

#[test]
fn the_stream_is_not_held_back_to_be_packed() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = fournines(folder.path(), free_port(), "");
    block_on(async {
        let url = format!("{}/api/v1/stream", daemon.url);
        let request = reqwest::Client::new().get(url).header("accept-encoding", "gzip");
        let mut stream = request.send().await.unwrap();
        assert!(!stream.headers().contains_key("content-encoding"));
        let first = tokio::time::timeout(std::time::Duration::from_secs(10), stream.chunk()).await;
        let first = first.expect("the first block comes at once").unwrap().unwrap();
        assert!(first.starts_with(b"id:"), "{first:?}");
    });
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
