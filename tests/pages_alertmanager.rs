//! A recorded stream goes in; a real Prometheus sees the figures, a real Alertmanager holds the pages of each level and
//! passes them on.
//!
//! What Alertmanager holds is polled only where it lasts; what passes within seconds is read from what it passed on,
//! so that a machine that stalls for a moment misses nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use common::{Inbox, Server, alertmanager, fournines, free_port, get, post, prometheus, query, until};
use fournines::clock::Clock;
use fournines::model::time::{Instant, Span};
use serde_json::{Value, json};

const CATALOG: &str = "id,region,users\ncore/gz-1,guangdong,500\ncore/gz-2,guangdong,\n";

/// How often an alert is told again, and how long a receiver believes what it was told last.
const RESEND: Span = Span::from_secs(2);
const LEASE: Span = Span::from_secs(8);

/// Levels, limits and patience in seconds instead of minutes and hours.
fn settings(folder: &Path, alertmanager_port: u16) -> String {
    let catalog = folder.join("services.csv");
    std::fs::write(&catalog, CATALOG).unwrap();
    format!(
        r#"
catalog.file = "{}"
correlation.reopen = "2s"
targets.response = "6s"
targets.repair = "7s"

[alerting]
resend_interval = "2s"
[[alerting.alertmanagers]]
url = "http://127.0.0.1:{alertmanager_port}"

[[levels.first]]
users_at_least = 100000
longer_than = "10s"
cite = "ours, a"
[[levels.second]]
users_over = 30000
longer_than = "5s"
cite = "ours, b"
"#,
        catalog.display()
    )
}

/// What Alertmanager holds as firing.
fn firing(alertmanager: &Server) -> Vec<Value> {
    get(&format!("{}/api/v2/alerts?active=true", alertmanager.url)).as_array().unwrap().clone()
}

/// Those of one incident, by name and level.
fn of_incident<'v>(alerts: &'v [Value], incident: &str) -> BTreeMap<(&'v str, &'v str), &'v Value> {
    let own = alerts.iter().filter(|alert| alert["labels"]["incident"] == incident);
    own.map(|alert| {
        let label = |name: &str| alert["labels"][name].as_str().unwrap();
        ((label("alertname"), label("level")), alert)
    })
    .collect()
}

/// The page of an interruption of `scope`.
fn page(alerts: &[Value], scope: &str) -> Option<Value> {
    let is_it =
        |alert: &&Value| alert["labels"]["alertname"] == "ServiceInterruption" && alert["labels"]["scope"] == scope;
    alerts.iter().find(is_it).cloned()
}

/// The watchdog is there, as it always must be.
fn assert_watched(alerts: &[Value]) {
    let watchdog = alerts.iter().find(|alert| alert["labels"]["alertname"] == "Watchdog");
    let labels = watchdog.map(|alert| &alert["labels"]);
    assert_eq!(labels, Some(&json!({"alertname": "Watchdog", "source": "fournines"})), "{alerts:?}");
}

/// What Alertmanager passed on of each alert of one incident, by name and level: `firing` with its start and
/// `resolved` with its end, to the microsecond.
fn passed_on(inbox: &Inbox, incident: &str) -> BTreeMap<(String, String), Vec<(String, Instant)>> {
    let mut found: BTreeMap<(String, String), Vec<(String, Instant)>> = BTreeMap::new();
    for alert in inbox.all().iter().filter(|alert| alert["labels"]["incident"] == incident) {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let status = text(&alert["status"]);
        let at = instant(&alert[if status == "firing" { "startsAt" } else { "endsAt" }]);
        let key = (text(&alert["labels"]["alertname"]), text(&alert["labels"]["level"]));
        found.entry(key).or_default().push((status, at));
    }
    found
}

/// Waits until the page is told again so often that it would be gone if it were not.
fn outlives_its_lease(alertmanager: &Server, scope: &str) -> Value {
    let held = || page(&firing(alertmanager), scope).unwrap_or_else(|| panic!("the page of {scope} is gone"));
    let ends = instant(&held()["endsAt"]);
    let mut longest = Span::ZERO;
    until("the page is told again and again, with its end ahead by several resend intervals", || {
        let page = held();
        longest = longest.max(instant(&page["endsAt"]).since(instant(&page["updatedAt"])));
        let kept_up = instant(&page["endsAt"]) >= ends.plus(LEASE) && longest > LEASE.minus(RESEND);
        kept_up.then_some(page)
    })
}

/// The recorded outages of some years, moved so that they ended a minute ago.
fn recorded() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/github-status/events.ndjson");
    let text = std::fs::read_to_string(file).unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let shift = now().minus(Span::from_mins(1)).since(instant(&events.last().unwrap()["time"]));
    events
        .into_iter()
        .map(|mut event| {
            event["time"] = json!(instant(&event["time"]).plus(shift).to_string());
            event.to_string() + "\n"
        })
        .collect()
}

fn said(kind: &str, service: &str, at: Instant, more: &str) -> String {
    format!(r#"{{"type":"{kind}","service":"{service}","time":"{at}"{more}}}"#)
}

#[test]
fn levels_rise_and_resolve_in_a_real_alertmanager_and_figures_show_in_a_real_prometheus() {
    let folder = tempfile::tempdir().unwrap();
    let (port, alertmanager_port) = (free_port(), free_port());
    let inbox = Inbox::open();
    let pages = alertmanager(folder.path(), alertmanager_port, &inbox);
    let daemon = fournines(folder.path(), port, &settings(folder.path(), alertmanager_port));
    let scraper = prometheus(folder.path(), port);

    assert_eq!(post(&daemon, &recorded())["accepted"], 3230);
    let breaches_before = breaches(&scraper);

    let started = now();
    post(&daemon, &said("outage.started", "core/gz-1", started, r#","users":120000,"detail":"both uplinks LOS""#));
    let third = until("the third-level page is passed on", || page(&inbox.all(), "core/gz-1"));
    let incident = third["labels"]["incident"].as_str().unwrap().to_owned();
    assert_eq!(third["labels"], labels("ServiceInterruption", "third", "warning", &incident));
    assert_annotations(&third, started);

    // Longer than so many seconds holds one microsecond after.
    let longer_than = |seconds: i64| started.plus(Span::from_secs(seconds)).plus(Span::from_micros(1));
    let detected = instant(&get(&format!("{}/api/v1/incidents/{incident}", daemon.url))["detected"]);
    let unanswered = detected.plus(Span::from_secs(6));
    let unrepaired = started.plus(Span::from_secs(7));
    let held = until("the first-level page, both clocks overdue, and nothing of the lower levels", || {
        let alerts = firing(&pages);
        assert_watched(&alerts);
        let names: Vec<_> = of_incident(&alerts, &incident).into_keys().collect();
        let wanted =
            ["RepairOverdue", "ResponseOverdue", "ServiceInterruption"].map(|name| (name, "first")).to_vec();
        (names == wanted).then(|| alerts.clone())
    });
    for (name, since) in
        [("ServiceInterruption", longer_than(10)), ("ResponseOverdue", unanswered), ("RepairOverdue", unrepaired)]
    {
        let alert = of_incident(&held, &incident)[&(name, "first")];
        assert_eq!(alert["labels"], labels(name, "first", "critical", &incident));
        // This API shows the millisecond; what is passed on shows the microsecond and is looked at below.
        assert_eq!(milliseconds(instant(&alert["startsAt"])), milliseconds(since), "{alert}");
        assert_annotations(alert, started);
        let link = get(alert["generatorURL"].as_str().unwrap());
        assert_eq!(link["id"], incident.as_str(), "the alert links to its incident");
    }
    outlives_its_lease(&pages, "core/gz-1");

    let acknowledged = now();
    post(&daemon, &said("repair.acknowledged", "core/gz-1", acknowledged, r#","by":"li.na""#));
    until("the response is no longer overdue, and nothing else is over", || {
        let alerts = firing(&pages);
        let names: Vec<_> = of_incident(&alerts, &incident).into_keys().collect();
        (names == [("RepairOverdue", "first"), ("ServiceInterruption", "first")]).then_some(())
    });
    let down = r#"fournines_service_up{service="core/gz-1"} == 0"#;
    until("Prometheus sees it down", || (!query(&scraper, down).is_empty()).then_some(()));
    let open = r#"fournines_incidents_open{level="first"} == 1"#;
    until("Prometheus sees the incident open", || (!query(&scraper, open).is_empty()).then_some(()));
    let closed = query(&scraper, r#"fournines_incidents_total{cause="equipment"}"#);
    assert!(closed.is_empty(), "it does not count before it is confirmed to be over: {closed:?}");

    let ended = now();
    post(&daemon, &said("outage.ended", "core/gz-1", ended, r#","cause":"equipment""#));
    until("everything of the incident is gone, and only that", || {
        let alerts = firing(&pages);
        assert_watched(&alerts);
        of_incident(&alerts, &incident).is_empty().then_some(())
    });

    // Each alert was passed on once as firing and once as over, with its true start and its true end: what merely
    // lapsed would have another end.
    let once = |from: Instant, to: Instant| vec![("firing".to_owned(), from), ("resolved".to_owned(), to)];
    let key = |name: &str, level: &str| (name.to_owned(), level.to_owned());
    let expected = BTreeMap::from([
        (key("ServiceInterruption", "third"), once(started, longer_than(5))),
        (key("ServiceInterruption", "second"), once(longer_than(5), longer_than(10))),
        (key("ServiceInterruption", "first"), once(longer_than(10), ended)),
        (key("ResponseOverdue", "second"), once(unanswered, longer_than(10))),
        (key("ResponseOverdue", "first"), once(unanswered, acknowledged)),
        (key("RepairOverdue", "second"), once(unrepaired, longer_than(10))),
        (key("RepairOverdue", "first"), once(unrepaired, ended)),
    ]);
    let mut seen = BTreeMap::new();
    until("every end is passed on", || {
        seen = passed_on(&inbox, &incident);
        // Warnings before a limit passes go the same way, as tickets.
        seen.retain(|(name, _), _| name != "ClockAtRisk");
        let ends = |told: &Vec<(String, Instant)>| told.iter().any(|(status, _)| status == "resolved");
        (seen.len() >= expected.len() && seen.values().all(ends)).then_some(())
    });
    assert_eq!(seen, expected);
    let warned: BTreeSet<String> = inbox
        .all()
        .iter()
        .filter(|alert| alert["labels"]["alertname"] == "ClockAtRisk")
        .map(|alert| format!("{} {}", alert["labels"]["clock"], alert["labels"]["used"]).replace('"', ""))
        .collect();
    let shares = ["repair 50%", "repair 80%", "response 50%", "response 80%"];
    assert_eq!(warned, shares.map(str::to_owned).into());
    for alert in inbox.all() {
        let labels = &alert["labels"];
        assert_eq!(labels["source"], "fournines");
        if labels["alertname"].as_str().unwrap().starts_with("ErrorBudget") {
            assert!([Value::Null, json!("ticket"), json!("page")].contains(&labels["severity"]), "{alert}");
            continue;
        }
        let warning = labels["alertname"] == "ClockAtRisk";
        let severity = match labels["level"].as_str() {
            _ if warning => json!("ticket"),
            Some("third") => json!("warning"),
            Some("second") => json!("major"),
            Some(_) => json!("critical"),
            None => Value::Null,
        };
        assert_eq!(labels["severity"], severity, "{alert}");
        // What was over before it was reported pages nobody, and the watchdog never ends.
        let expected = labels["incident"] == incident.as_str()
            || labels["alertname"] == "Watchdog" && alert["status"] == "firing";
        assert!(expected, "{alert}");
    }

    assert_record(&daemon, &incident, [started, longer_than(5), longer_than(10)], [acknowledged, ended]);
    let increase = [("response", 1.0), ("repair", 1.0)].map(|(clock, by)| (clock, breaches_before[clock] + by));
    figures_by_promql(&daemon, &scraper, ended.since(started), BTreeMap::from(increase));

    // Another one goes on, so that there is something to show of either.
    post(&daemon, &said("outage.started", "core/gz-2", now(), ""));
    let open = r#"fournines_incidents_open{level="third"} == 1"#;
    until("Prometheus sees the next incident open", || (!query(&scraper, open).is_empty()).then_some(()));
    assert!(!daemon.log().contains("ERROR"), "{}", daemon.log());
    daemon.stop();
}

/// The labels of the contract, neither more nor less, for an incident of `core/gz-1`.
fn labels(name: &str, level: &str, severity: &str, incident: &str) -> Value {
    let mut labels = json!({
        "alertname": name, "source": "fournines", "level": level, "severity": severity,
        "incident": incident, "scope": "core/gz-1",
    });
    if name == "ServiceInterruption" {
        labels["region"] = json!("guangdong");
    }
    labels
}

/// The annotations of the contract that this incident has.
fn assert_annotations(alert: &Value, started: Instant) {
    let annotations = &alert["annotations"];
    assert_eq!(annotations["users"], "120000");
    assert_eq!(annotations["started"], started.to_string());
    assert!(annotations["summary"].as_str().unwrap().contains("core/gz-1"), "{annotations}");
    assert!(annotations["description"].as_str().unwrap().contains("both uplinks LOS"), "{annotations}");
}

/// The incident's own record says the same as the pages did.
fn assert_record(daemon: &Server, incident: &str, levels: [Instant; 3], [acknowledged, ended]: [Instant; 2]) {
    let record = get(&format!("{}/api/v1/incidents/{incident}", daemon.url));
    assert_eq!(record["status"], "restored");
    assert_eq!(record["restored"], ended.to_string());
    assert_eq!(record["verified"], ended.plus(Span::from_secs(2)).to_string());
    assert_eq!(record["cause"], "equipment");
    let rises = record["levels"].as_array().unwrap();
    assert_eq!(rises.len(), 3, "{rises:?}");
    for ((rise, at), (level, rule)) in rises.iter().zip(levels).zip([(3, "third"), (2, "ours, b"), (1, "ours, a")])
    {
        assert_eq!((&rise["level"], &rise["at"]), (&json!(level), &json!(at.to_string())));
        assert!(rise["rule"].as_str().unwrap().contains(rule), "{rise}");
    }
    let clocks = record["clocks"].as_array().unwrap();
    let names: Vec<&Value> = clocks.iter().map(|clock| &clock["name"]).collect();
    assert_eq!(names, ["response", "repair"]);
    for (clock, stopped) in clocks.iter().zip([acknowledged, ended]) {
        assert_eq!(clock["stopped"], stopped.to_string());
        assert_eq!(clock["breached"], clock["deadline"]);
    }
}

/// How many clocks were breached, by clock, once Prometheus has seen the recorded outages.
fn breaches(scraper: &Server) -> BTreeMap<String, f64> {
    // The batch is one step of the engine, so a scrape that has its services has its incidents as well.
    let seen = "fournines_services > 2";
    until("Prometheus sees the recorded outages", || (!query(scraper, seen).is_empty()).then_some(()));
    let found = query(scraper, "fournines_clock_breaches_total");
    found.into_iter().map(|(labels, count)| (labels["clock"].as_str().unwrap().to_owned(), count)).collect()
}

/// The metrics, as Prometheus has them once `core/gz-1` was down for `down` and is up again.
fn figures_by_promql(daemon: &Server, scraper: &Server, down: Span, breaches: BTreeMap<&str, f64>) {
    let one = |promql: &str| {
        until(promql, || {
            let found = query(scraper, promql);
            assert!(found.len() <= 1, "{promql}: {found:?}");
            found.first().map(|(_, value)| *value)
        })
    };
    // It counts once it is confirmed to be over; a scrape that has that has all else too.
    assert_eq!(one(r#"fournines_incidents_total{level="first",cause="equipment"}"#), 1.0);
    assert_eq!(one(r#"fournines_service_up{service="core/gz-1"}"#), 1.0);
    for level in ["first", "second", "third"] {
        assert_eq!(one(&format!(r#"fournines_incidents_open{{level="{level}"}}"#)), 0.0, "{level}");
    }
    for (clock, count) in breaches {
        assert_eq!(one(&format!(r#"fournines_clock_breaches_total{{clock="{clock}"}}"#)), count, "{clock}");
    }

    // Nothing moves any more: what Prometheus has and what the API says are the same number.
    let service = get(&format!("{}/api/v1/services/core%2Fgz-1", daemon.url));
    for (metric, figure) in [
        ("fournines_service_downtime_seconds", "downtime_seconds"),
        ("fournines_service_mttr_seconds", "mttr_seconds"),
    ] {
        let found = one(&format!(r#"{metric}{{service="core/gz-1",window="24h"}}"#));
        assert_eq!(found, service["windows"]["24h"][figure].as_f64().unwrap(), "{metric}");
        assert_eq!(found, down.as_secs_f64(), "{metric}");
    }
    let availability = one(r#"fournines_service_availability_ratio{service="core/gz-1",window="1h"}"#);
    assert!(availability < 1.0, "{availability}");
    for expected in [service["windows"]["1h"]["availability"].as_f64().unwrap(), 1.0 - down.as_secs_f64() / 3600.0]
    {
        assert!((availability / expected - 1.0).abs() < 1e-6, "{availability} {expected}");
    }
    assert!(one(r#"fournines_service_error_budget_remaining_ratio{service="core/gz-1",window="1h"}"#) < 0.0);
    // The recorded outages, by the references beside them, are in the same figures.
    assert!(one(r#"fournines_service_availability_ratio{service="github",window="90d"}"#) < 0.92);

    assert_eq!(one(r#"fournines_target{target="repair",clause="2.1.3"}"#), 7.0);
    assert_eq!(one(r#"fournines_target{target="availability"}"#), 0.9999);
    assert!(one("sum(fournines_event_to_alert_seconds_count)") > 0.0);
    assert!(one(r#"sum(fournines_alerts_sent_total{outcome="accepted"})"#) > 0.0);
    assert_eq!(one(r#"sum(fournines_events_total{type="outage.started",source="http"})"#), 1615.0 + 1.0);
}

#[test]
fn a_page_that_could_not_be_delivered_arrives_after_a_restart_once() {
    let folder = tempfile::tempdir().unwrap();
    let (port, alertmanager_port) = (free_port(), free_port());
    let settings = settings(folder.path(), alertmanager_port);
    let failed = |daemon: &Server| daemon.log().matches("could not be delivered").count();
    let daemon = fournines(folder.path(), port, &settings);
    let started = now();
    post(&daemon, &said("outage.started", "core/gz-2", started, ""));
    // The first failure may have come before the page was there. The log goes on after the restart.
    until("the page's delivery fails", || (failed(&daemon) >= 2).then_some(()));
    let before = failed(&daemon);
    daemon.stop();
    let daemon = fournines(folder.path(), port, &settings);
    until("it fails again after the restart", || (failed(&daemon) > before).then_some(()));

    let inbox = Inbox::open();
    let pages = alertmanager(folder.path(), alertmanager_port, &inbox);
    let arrived = until("the page arrives", || page(&firing(&pages), "core/gz-2"));
    let incident = arrived["labels"]["incident"].as_str().unwrap().to_owned();
    let expected = json!({
        "alertname": "ServiceInterruption", "source": "fournines", "level": "third", "severity": "warning",
        "incident": incident, "scope": "core/gz-2", "region": "guangdong",
    });
    assert_eq!(arrived["labels"], expected);
    assert_eq!(arrived["annotations"]["started"], started.to_string());
    assert!(arrived["annotations"].get("users").is_none(), "nobody said how many: {arrived}");
    outlives_its_lease(&pages, "core/gz-2");
    assert_watched(&firing(&pages));

    let ended = now();
    post(&daemon, &said("outage.ended", "core/gz-2", ended, ""));
    let key = ("ServiceInterruption".to_owned(), "third".to_owned());
    let told = until("its end is passed on", || {
        let told = passed_on(&inbox, &incident).remove(&key)?;
        told.iter().any(|(status, _)| status == "resolved").then_some(told)
    });
    assert_eq!(told, [("firing".to_owned(), started), ("resolved".to_owned(), ended)]);
    daemon.stop();
}

fn now() -> Instant {
    Clock::system().now()
}

fn instant(text: &Value) -> Instant {
    text.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("not a time: {text}"))
}

const fn milliseconds(at: Instant) -> i64 {
    at.as_micros().div_euclid(1000)
}

/// A database that is busy for long holds up no page that needs nothing of it: one that a deadline calls for.
#[test]
fn a_page_does_not_wait_until_what_was_told_before_is_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let inbox = Inbox::open();
    let pages = alertmanager(folder.path(), free_port(), &inbox);
    let levels = "[[levels.first]]\nlonger_than = \"4s\"\n[[levels.second]]\nlonger_than = \"2s\"\n";
    let receiver = format!("[[alerting.alertmanagers]]\nurl = \"{}\"\n", pages.url);
    let daemon = fournines(folder.path(), free_port(), &format!("{levels}{receiver}"));
    post(&daemon, &said("outage.started", "core/gz-1", now(), ""));
    let file = rusqlite::Connection::open(folder.path().join("data").join("fournines.db")).unwrap();
    until("the first page is written down", || {
        let count: i64 = file.query_row("SELECT count(*) FROM deliveries", [], |row| row.get(0)).ok()?;
        (count > 0).then_some(())
    });
    file.execute_batch("BEGIN IMMEDIATE").unwrap();
    until("the page of the first level arrives while the database is busy", || {
        firing(&pages).iter().any(|alert| alert["labels"]["level"] == "first").then_some(())
    });
    assert!(!daemon.log().contains("not written down"), "it waited for the database: {}", daemon.log());
    file.execute_batch("ROLLBACK").unwrap();
    until("what was told is written down after all", || {
        let count: i64 = file.query_row("SELECT count(*) FROM deliveries", [], |row| row.get(0)).ok()?;
        (count > 2).then_some(())
    });
    daemon.stop();
}
