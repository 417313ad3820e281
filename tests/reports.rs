//! A report says what independent calculations say, is the same bytes from the daemon and from the journal, and once it is
//! frozen never changes: what is corrected makes another revision with a list of what differs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{Server, answer, fournines, free_port, get, post, refused, text, until};
use fournines::model::time::{Instant, Span, Window};
use serde_json::{Value, json};

/// How near floating point figures must be, relatively: the precision stated beside the references.
const RELATIVE: f64 = 1e-9;
/// The recorded streams are years old; nothing of them is folded here.
const SETTINGS: &str = "[server]\nexternal_url = \"https://noc.example.net\"\n[storage]\nfold_after = \"36500d\"\n";

fn data(set: &str, file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(set).join(file)
}

fn reference(set: &str, file: &str) -> Value {
    serde_json::from_slice(&std::fs::read(data(set, file)).unwrap()).unwrap()
}

/// A daemon that was sent a recorded stream.
fn fed(set: &str) -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let catalog = data(set, "services.csv");
    let named = if catalog.exists() { format!("[catalog]\nfile = {catalog:?}\n") } else { String::new() };
    let daemon = fournines(folder.path(), free_port(), &(SETTINGS.to_owned() + &named));
    let lines = std::fs::read_to_string(data(set, "events.ndjson")).unwrap();
    post(&daemon, &lines);
    (folder, daemon)
}

/// What the daemon answers.
fn asked(daemon: &Server, period: &str, query: &str) -> Vec<u8> {
    answer(&format!("{}/api/v1/reports/{period}?{query}", daemon.url), &[]).1
}

fn report(daemon: &Server, period: &str) -> Value {
    serde_json::from_slice(&asked(daemon, period, "")).unwrap()
}

/// `fournines report` on the storage in `folder`.
fn offline(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fournines"));
    command.arg("report").args(arguments).arg("-c").arg(folder.join("fournines.toml"));
    command.env("FOURNINES__STORAGE__PATH", folder.join("data")).output().unwrap()
}

fn printed(output: Output) -> Vec<u8> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn rows<'v>(report: &'v Value, list: &str) -> &'v Vec<Value> {
    report.pointer(list).unwrap().as_array().unwrap()
}

fn row<'v>(report: &'v Value, list: &str, key: &str, name: &str) -> &'v Value {
    let found = rows(report, list).iter().find(|row| row[key] == name);
    found.unwrap_or_else(|| panic!("{list} has no {name}: {}", report.pointer(list).unwrap()))
}

#[track_caller]
fn same(found: &Value, expected: &Value, what: &str) {
    let near = |a: f64, b: f64| (a - b).abs() <= RELATIVE * a.abs();
    let same = match (expected.as_f64(), found.as_f64()) {
        (Some(a), Some(b)) if what.ends_with("availability") || what.contains("mttr") || what.contains("mean") => {
            near(a, b)
        }
        (Some(a), Some(b)) => a == b,
        (None, None) => true,
        _ => false,
    };
    assert!(same, "{what}: {found} is not {expected}");
}

/// Holds the worst services of a report against what is expected of all. Returns how many figures were compared.
fn services_agree(report: &Value, expected: &serde_json::Map<String, Value>, what: &str) -> usize {
    let listed = rows(report, "/worst_services");
    let down = |figures: &Value| figures["downtime_seconds"].as_f64().unwrap();
    let mut compared = 0;
    for line in listed {
        let name = line["name"].as_str().unwrap();
        for (figure, expected) in expected[name].as_object().unwrap() {
            same(&line["figures"][figure], expected, &format!("{what} {name} {figure}"));
            compared += 1;
        }
    }
    // Whoever is not listed lost nothing, or less than all that are.
    let least = listed.iter().map(|line| down(&line["figures"])).fold(f64::MAX, f64::min);
    let most = if listed.len() < 20 { 0.0 } else { least };
    for (name, figures) in expected.iter().filter(|(name, _)| !listed.iter().any(|line| line["name"] == ***name)) {
        assert!(down(figures) <= most, "{what}: {name} is not among the worst");
    }
    compared
}

/// The report of each range that a recorded stream has references for.
fn windows_agree(set: &str) {
    let (_folder, daemon) = fed(set);
    let mut compared = 0;
    for computed in reference(set, "reference.json")["computed"].as_array().unwrap() {
        let at: Instant = computed["at"].as_str().unwrap().parse().unwrap();
        for window in Window::ALL {
            let of = |figures: &Value| figures.get(window.name()).cloned();
            let expected: serde_json::Map<String, Value> = computed["services"]
                .as_object()
                .unwrap()
                .iter()
                .filter_map(|(name, figures)| Some((name.clone(), of(figures)?)))
                .collect();
            let range = format!("{}..{at}", at.minus(window.length()));
            compared += services_agree(&report(&daemon, &range), &expected, &format!("{set} {range}"));
        }
    }
    assert!(compared > 30, "{set}: only {compared} figures were compared");
}

#[test]
fn ranges_of_recorded_streams_match_their_references() {
    windows_agree("github-status");
    windows_agree("wireless-alarms");
}

/// Months, quarters and years of a recorded stream.
fn periods_agree(set: &str) {
    let (folder, daemon) = fed(set);
    for expected in reference(set, "periods.json")["computed"].as_array().unwrap() {
        let period = expected["period"].as_str().unwrap();
        let what = format!("{set} {period}");
        let bytes = asked(&daemon, period, "");
        assert_eq!(asked(&daemon, period, ""), bytes, "{what}: the same state gives the same bytes");
        let found: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(found["period"]["over"], true);
        services_agree(&found, expected["services"].as_object().unwrap(), &what);
        let network = &expected["network"];
        same(&found["network"]["services"], &network["services"], &what);
        same(
            &found["network"]["elapsed"]["availability"],
            &network["availability"],
            &format!("{what} availability"),
        );
        same(&found["network"]["elapsed"]["outages"], &network["outages"], &what);
        for figure in ["count", "mean_seconds", "p50_seconds", "p95_seconds", "max_seconds"] {
            let found = &found["repairs"]["times"][figure];
            same(found, &expected["repairs"][figure], &format!("{what} repairs {figure}"));
        }
        for (bucket, count) in rows(&found, "/repairs/buckets").iter().zip(rows(expected, "/repairs/buckets")) {
            assert_eq!(bucket["count"], *count, "{what}: {bucket}");
        }
        let causes = expected["causes"].as_object().unwrap();
        assert_eq!(rows(&found, "/causes").len(), causes.len(), "{what}");
        for (cause, figures) in causes {
            let line = row(&found, "/causes", "cause", cause);
            assert_eq!(line["outages"], figures["outages"], "{what} {cause}");
            assert_eq!(line["downtime_seconds"], figures["downtime_seconds"], "{what} {cause}");
        }
        // Nobody is told that what misses its target meets it.
        let target = row(&found, "/targets", "target", "network_availability");
        let missed = network["availability"].as_f64().unwrap() < 0.9999;
        assert_eq!(target["verdict"], if missed { "missed" } else { "met" }, "{what}");
    }
    let period = "2025";
    let live: Value = serde_json::from_slice(&asked(&daemon, period, "")).unwrap();
    let known = live["made_from"]["known_at"].as_str().unwrap().to_owned();
    let formats: Vec<(&str, Vec<u8>)> =
        ["json", "csv", "md"].map(|format| (format, asked(&daemon, period, &format!("format={format}")))).into();
    daemon.stop();
    for (format, live) in formats {
        let again = printed(offline(folder.path(), &[period, "--format", format, "--as-known-at", &known]));
        assert!(again == live, "{set}: {format} made from the journal differs from the daemon's");
    }
}

#[test]
fn periods_of_one_large_service_match_their_references() {
    periods_agree("github-status");
}

#[test]
fn periods_of_a_computing_centre_match_their_references() {
    periods_agree("lanl-8-13");
}

fn line(kind: &str, service: &str, at: Instant, more: &str) -> String {
    format!("{{\"type\":\"{kind}\",\"service\":\"{service}\",\"time\":\"{at}\"{more}}}\n")
}

/// The first instant of a month, some months before the one that goes on.
fn months_ago(count: usize) -> (String, Instant, Instant) {
    let calendar = fournines::model::calendar::Calendar::new("Asia/Shanghai").unwrap();
    let unit = fournines::model::calendar::Unit::Month;
    let mut month = calendar.containing(unit, fournines::clock::Clock::system().now());
    for _ in 0..count {
        month = calendar.containing(unit, month.from.minus(Span::TICK));
    }
    (calendar.name(unit, month.from), month.from, month.until)
}

fn listed(daemon: &Server) -> Vec<(String, u64)> {
    let answer = get(&format!("{}/api/v1/reports", daemon.url));
    let named = |row: &Value| (row["period"].as_str().unwrap().to_owned(), row["revision"].as_u64().unwrap());
    answer["reports"].as_array().unwrap().iter().map(named).collect()
}

/// Waits until so many revisions are frozen.
fn frozen(daemon: &Server, count: usize) -> Vec<(String, u64)> {
    until(&format!("{count} revisions are frozen"), || {
        let all = listed(daemon);
        assert!(all.len() <= count, "{all:?}");
        (all.len() == count).then_some(all)
    })
}

#[test]
fn a_frozen_report_is_kept_through_everything_and_a_correction_is_another_revision() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let daemon = fournines(path, free_port(), SETTINGS);
    let (month, from, until_) = months_ago(2);
    let outage = from.plus(Span::from_hours(30));
    let told = line("outage.started", "core-1", outage, ",\"cause\":\"equipment\",\"users\":700,\"id\":\"a\"")
        + &line("repair.acknowledged", "core-1", outage.plus(Span::from_mins(9)), ",\"by\":\"li\"")
        + &line("outage.ended", "core-1", outage.plus(Span::from_hours(1)), ",\"id\":\"b\"")
        // It goes on across the month's end.
        + &line("outage.started", "edge-1", until_.minus(Span::from_hours(1)), "")
        + &line("outage.ended", "edge-1", until_.plus(Span::from_hours(1)), "");
    post(&daemon, &told);
    assert!(listed(&daemon).is_empty(), "nothing was known when it looked");
    daemon.stop();

    // What was missed is caught up after a start: two months, and the quarter if one of them ended it.
    let daemon = fournines(path, free_port(), SETTINGS);
    let expected = if listed_quarter(from) { 3 } else { 2 };
    let all = frozen(&daemon, expected);
    assert!(all.contains(&(month.clone(), 1)) && all.iter().all(|(_, revision)| *revision == 1), "{all:?}");
    let (headers, first) = answer(&format!("{}/api/v1/reports/{month}", daemon.url), &[]);
    assert_eq!(headers["fournines-revision"], "1");
    let report: Value = serde_json::from_slice(&first).unwrap();
    assert_eq!(
        report["revision"],
        json!({"number": 1, "previous_sha256": null, "corrections": [], "corrections_total": 0})
    );
    assert_eq!(row(&report, "/worst_services", "name", "core-1")["figures"]["downtime_seconds"], 3600.0);
    assert_eq!(row(&report, "/worst_services", "name", "edge-1")["figures"]["downtime_seconds"], 3600.0);
    let incident = rows(&report, "/incidents/list").iter().find(|one| one["service"] == "edge-1").unwrap();
    assert_eq!(
        (&incident["status"], &incident["restored"]),
        (&json!("open"), &Value::Null),
        "as it stood at the end"
    );
    assert_eq!(report["incidents"]["open_at_end"], 1);
    assert_eq!(report["acknowledgements"]["max_seconds"], 540.0);
    // The daemon heard of it only after the end, so nobody's answer to it was late or in time.
    assert!(rows(&report, "/clocks").iter().all(|line| line["clock"] != "response"), "{report}");
    assert_eq!(row(&report, "/clocks", "clock", "repair")["kept"], 1);
    assert_eq!(row(&report, "/causes", "cause", "equipment")["user_minutes_lost"], 42_000.0);
    let metrics = text(&format!("{}/metrics", daemon.url));
    assert!(metrics.contains(&format!("fournines_reports_total{{outcome=\"frozen\"}} {expected}")), "{metrics}");

    // Offline the same bytes, in every format.
    for format in ["json", "csv", "md", "html"] {
        let live = asked(&daemon, &month, &format!("format={format}"));
        assert!(printed(offline(path, &[&month, "--format", format])) == live, "{format}");
    }
    let asking = ["report", &month, "--url", &daemon.url, "--format", "json"];
    let output = Command::new(env!("CARGO_BIN_EXE_fournines")).args(asking).output().unwrap();
    assert!(printed(output) == first);

    // Whatever comes that is not about the month changes nothing, nor does a kill.
    post(&daemon, &line("outage.started", "core-2", until_.plus(Span::from_hours(40)), ""));
    drop(daemon);
    let daemon = fournines(path, free_port(), SETTINGS);
    let later = months_ago(1).0;
    let all = until("the month after is revised", || {
        let all = listed(&daemon);
        all.contains(&(later.clone(), 2)).then_some(all)
    });
    assert!(!all.contains(&(month.clone(), 2)), "{all:?}");
    assert!(asked(&daemon, &month, "") == first);

    // A late event about it makes another revision, with what differs.
    post(&daemon, &line("outage.ended", "core-1", outage.plus(Span::from_mins(20)), ",\"id\":\"c\""));
    assert!(asked(&daemon, &month, "") == first, "it is looked at daily");
    daemon.stop();
    let daemon = fournines(path, free_port(), SETTINGS);
    until("the month is revised", || listed(&daemon).contains(&(month.clone(), 2)).then_some(()));
    let second: Value = serde_json::from_slice(&asked(&daemon, &month, "")).unwrap();
    let revision = &second["revision"];
    assert_eq!(revision["number"], 2);
    assert_eq!(revision["previous_sha256"], headers["fournines-sha256"].to_str().unwrap());
    let corrections = revision["corrections"].as_array().unwrap();
    assert_eq!(revision["corrections_total"], corrections.len());
    let correction = |path: &str| {
        let found = corrections.iter().find(|one| one["path"] == path);
        let found = found.unwrap_or_else(|| panic!("{path} is not among {corrections:#?}"));
        (found["before"].clone(), found["after"].clone())
    };
    assert_eq!(correction("worst_services[core-1].figures.downtime_seconds"), (json!(3600.0), json!(1200.0)));
    assert_eq!(correction("causes[equipment].user_minutes_lost"), (json!(42_000.0), json!(14_000.0)));
    let edge = corrections.iter().filter(|one| one["path"].as_str().unwrap().contains("edge-1"));
    assert_eq!(edge.count(), 0, "what was not corrected is not listed: {corrections:#?}");
    assert!(asked(&daemon, &month, "revision=1") == first, "the first revision is what it was");
    let markdown = text(&format!("{}/api/v1/reports/{month}?format=md", daemon.url));
    assert!(
        markdown.contains("Corrections since the revision before") && markdown.contains("worst_services[core-1]")
    );
    assert!(markdown.contains("](https://noc.example.net/incidents/"));
    for (lang, said) in [("en", "Corrections since the revision before"), ("zh", "相对上一修订版的更正")]
    {
        let alone = text(&format!("{}/api/v1/reports/{month}?format=html&lang={lang}", daemon.url));
        assert!(alone.contains(said) && alone.contains("href=\"https://noc.example.net/incidents/"), "{lang}");
        assert!(!alone.contains("<script") && alone.contains("@page"), "it needs nothing and prints");
    }
    let (headers, _) = answer(&format!("{}/api/v1/reports/{month}?format=html", daemon.url), &[]);
    let guarded = headers["content-security-policy"].to_str().unwrap();
    assert!(guarded.contains("style-src 'unsafe-inline'"), "its own style is let in: {guarded}");
    let listing = text(&format!("{}/reports", daemon.url));
    assert!(listing.contains(&format!("href=\"/reports/{month}\"")), "{listing}");
    let page = text(&format!("{}/reports/{month}", daemon.url));
    assert!(page.contains("core-1") && page.contains("href=\"/incidents/"), "{page}");
    assert!(printed(offline(path, &[&month, "--format", "json", "--revision", "1"])) == first);
    let (status, problem) = refused(&format!("{}/api/v1/reports/{month}?revision=3", daemon.url));
    assert!(status == 404 && problem["detail"].as_str().unwrap().contains("no revision 3"), "{problem}");
    daemon.stop();

    // What is frozen is held to its hash.
    let verify =
        || Command::new(env!("CARGO_BIN_EXE_fournines")).arg("verify").arg(path.join("data")).output().unwrap();
    assert!(verify().status.success(), "{}", String::from_utf8_lossy(&verify().stdout));
    let rows = rusqlite::Connection::open(path.join("data/fournines.db")).unwrap();
    assert!(rows.execute("UPDATE reports SET made = 0", []).is_err(), "a frozen report is changed");
    rows.execute_batch("DROP TRIGGER reports_stay_as_they_are").unwrap();
    let forged = zstd::bulk::compress(b"{}", 1).unwrap();
    let of_month = rusqlite::params![forged, month];
    rows.execute("UPDATE reports SET body = ?1 WHERE period = ?2 AND revision = 1", of_month).unwrap();
    drop(rows);
    let output = verify();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        !output.status.success() && said.contains(&format!("report {month}, revision 1: is not what was frozen")),
        "{said}"
    );
    let output = offline(path, &[&month, "--revision", "1"]);
    assert!(!output.status.success(), "a forged report is printed");
}

/// Whether the quarter that holds `from` is over.
fn listed_quarter(from: Instant) -> bool {
    let calendar = fournines::model::calendar::Calendar::new("Asia/Shanghai").unwrap();
    let quarter = fournines::model::calendar::Unit::Quarter;
    calendar.containing(quarter, from).until <= months_ago(0).1
}

#[test]
fn a_period_that_is_not_over_has_three_denominators() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = fournines(folder.path(), free_port(), SETTINGS);
    let now = fournines::clock::Clock::system().now();
    post(&daemon, &line("outage.started", "core-1", now.minus(Span::from_mins(30)), ",\"users\":10"));
    post(&daemon, &line("latency", "core-2", now.minus(Span::from_mins(30)), ",\"ms\":3"));
    let range = format!("{}..{}", now.minus(Span::from_hours(1)), now.plus(Span::from_hours(1)));
    let found = report(&daemon, &range);
    assert_eq!(found["period"]["over"], false);
    let target = row(&found, "/targets", "target", "network_availability");
    let share = |name: &str| row(target, "/denominators", "denominator", name)["figure"].as_f64().unwrap();
    let (elapsed, whole, projected) = (share("elapsed"), share("whole"), share("projected"));
    assert!(
        (elapsed - 0.75).abs() < 0.01 && (whole - 0.875).abs() < 0.01 && (projected - 0.625).abs() < 0.01,
        "{target}"
    );
    assert_eq!(target["verdict"], "missed");
    assert_eq!(rows(&found, "/clocks").len(), 2, "response and repair run");
    assert_eq!(row(&found, "/targets", "target", "satisfaction")["verdict"], "not_measured");
    // As it was at that instant, made anew from the journal.
    let (known, at) =
        (found["made_from"]["known_at"].as_str().unwrap(), found["period"]["as_of"].as_str().unwrap());
    let again = offline(folder.path(), &[&range, "--format", "json", "--as-known-at", known, "--at", at]);
    assert_eq!(serde_json::from_slice::<Value>(&printed(again)).unwrap(), found);
}

#[test]
fn regions_maintenance_and_holds_are_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = folder.path().join("services.csv");
    std::fs::write(&catalog, "id,region,users,tier\na/1,north,900,gold\na/2,north,100,\nb/1,south,1000,\n")
        .unwrap();
    let daemon = fournines(folder.path(), free_port(), &format!("{SETTINGS}[catalog]\nfile = {catalog:?}\n"));
    let day: Instant = "2026-03-02T00:00:00+08:00".parse().unwrap();
    let hour = |hour: i64| day.plus(Span::from_hours(hour));
    let plan = |key: &str, at: i64, from: i64, until: i64| {
        let more = format!(",\"maintenance\":\"{key}\",\"from\":\"{}\",\"until\":\"{}\"", hour(from), hour(until));
        line("maintenance.planned", "b/1", hour(at), &more)
    };
    let told = line("outage.started", "a/1", hour(1), ",\"outage\":\"x\",\"cause\":\"human\"")
        + &line("repair.held", "a/1", hour(2), ",\"reason\":\"access refused\",\"by\":\"wu\"")
        + &line("repair.resumed", "a/1", hour(5), ",\"by\":\"wu\"")
        + &line("repair.located", "a/1", hour(6), ",\"cause\":\"external\",\"by\":\"wu\"")
        + &line("outage.ended", "a/1", hour(6), ",\"outage\":\"x\"")
        + &plan("p", 0, 8, 10)
        + &plan("late", 13, 12, 14)
        + &line("outage.started", "b/1", hour(9), ",\"outage\":\"y\"")
        + &line("outage.ended", "b/1", hour(11), ",\"outage\":\"y\"");
    post(&daemon, &told);
    let found = report(&daemon, "2026-03-02");
    let regions: Vec<&str> = rows(&found, "/regions").iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(regions, ["region:north", "region:south"], "the worst first");
    assert_eq!(found["worst_region"], "region:north");
    let north = &row(&found, "/regions", "name", "region:north")["figures"];
    same(&north["availability"], &json!(1.0 - 0.9 * 5.0 / 24.0), "availability");
    assert_eq!(row(&found, "/groups", "name", "tier:gold")["services"], 1);
    let repair = row(&found, "/clocks", "clock", "repair");
    assert_eq!((&repair["kept"], &repair["held_seconds"]), (&json!(2), &json!(10_800.0)), "{repair}");
    assert_eq!(repair["compliance_without_holds_ratio"], 0.5);
    // What people found counts before what was said first.
    assert_eq!(row(&found, "/causes", "cause", "external")["downtime_seconds"], 18_000.0);
    let maintenance = &found["maintenance"];
    assert_eq!((&maintenance["overran"], &maintenance["late"]), (&json!(1), &json!(1)), "{maintenance}");
    assert_eq!(row(maintenance, "/list", "name", "late service b/1")["late"], true);
    let csv = asked(&daemon, "2026-03-02", "format=csv");
    assert!(csv.starts_with(b"\xef\xbb\xbfsection,item,figure,value,unit\r\n"));
    let csv = String::from_utf8(csv).unwrap();
    assert!(csv.contains("\r\nworst_services,a/1 / figures,downtime_seconds,18000.0,seconds\r\n"), "{csv}");
    assert!(csv.contains("\r\ntargets,response,value,1800.0,seconds\r\n"), "{csv}");
    assert!(csv.contains("\r\nclocks,repair,kept,2,count\r\n"), "{csv}");
}

#[test]
fn what_is_asked_for_wrongly_is_refused_with_what_would_be_right() {
    let folder = tempfile::tempdir().unwrap();
    let daemon = fournines(folder.path(), free_port(), SETTINGS);
    for (path, said) in [
        ("march", "2026-Q1"),
        ("2999-01", "has not begun"),
        ("2026-03?format=pdf", "json, csv"),
        ("2026-03?style=long", "style"),
        ("2026-03-02..2026-03-01", "ends before it begins"),
    ] {
        let (status, problem) = refused(&format!("{}/api/v1/reports/{path}", daemon.url));
        assert_eq!(status, 400, "{path}");
        assert!(problem["detail"].as_str().unwrap().contains(said), "{path}: {problem}");
    }
    let output = offline(folder.path(), &["march"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("2026-Q1"));
    // A period without anything in it is a report too.
    assert_eq!(report(&daemon, "2026-03")["incidents"]["began"], 0);
}
