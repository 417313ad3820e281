//! A recorded stream goes in; a real Prometheus sees the figures, a real Alertmanager holds the pages of each level.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::path::Path;

use common::{Server, alertmanager, fournines, free_port, get, post, prometheus, query, until};
use fournines::clock::Clock;
use fournines::model::time::{Instant, Span};
use serde_json::{Value, json};

/// Levels, limits and patience in seconds instead of minutes and hours.
fn settings(catalog: &Path, alertmanager_port: u16) -> String {
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

fn alert<'v>(alerts: &'v [Value], name: &str, level: &str, scope: &str) -> Option<&'v Value> {
    alerts.iter().find(|alert| {
        let labels = &alert["labels"];
        labels["alertname"] == name && (name == "Watchdog" || labels["level"] == level && labels["scope"] == scope)
    })
}

/// Whether the watchdog fires, as it always must.
fn watched(alerts: &[Value]) -> bool {
    alert(alerts, "Watchdog", "", "").is_some_and(|alert| alert["labels"]["source"] == "fournines")
}

/// The recorded outages of some months, moved so that they ended yesterday.
fn recorded() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/github-status/events.ndjson");
    let text = std::fs::read_to_string(file).unwrap();
    let time = |event: &Value| event["time"].as_str().unwrap().parse::<Instant>().unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let shift = Clock::system().now().minus(Span::from_hours(24)).since(time(events.last().unwrap()));
    events
        .into_iter()
        .map(|mut event| {
            event["time"] = json!(time(&event).plus(shift).to_string());
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
    let catalog = folder.path().join("services.csv");
    std::fs::write(&catalog, "id,region,users\ncore/gz-1,guangdong,500\ncore/gz-2,guangdong,\n").unwrap();
    let (port, alertmanager_port) = (free_port(), free_port());
    let pages = alertmanager(folder.path(), alertmanager_port);
    let daemon = fournines(folder.path(), port, &settings(&catalog, alertmanager_port));
    let scraper = prometheus(folder.path(), port);

    assert_eq!(post(&daemon, &recorded())["accepted"], 3230);
    let started = Clock::system().now();
    post(&daemon, &said("outage.started", "core/gz-1", started, r#","users":120000,"detail":"both uplinks LOS""#));

    // Third level at once, by the labels of the contract.
    let third = until("the third-level page", || {
        let alerts = firing(&pages);
        alert(&alerts, "ServiceInterruption", "third", "core/gz-1").cloned()
    });
    let incident = third["labels"]["incident"].as_str().unwrap().to_owned();
    let expected = json!({
        "alertname": "ServiceInterruption", "source": "fournines", "level": "third", "severity": "warning",
        "incident": incident, "scope": "core/gz-1", "region": "guangdong",
    });
    assert_eq!(third["labels"], expected);
    assert_eq!(third["annotations"]["users"], "120000");
    assert_eq!(third["annotations"]["started"], started.to_string());
    assert!(third["annotations"]["summary"].as_str().unwrap().contains("core/gz-1"));
    assert!(third["annotations"]["description"].as_str().unwrap().contains("both uplinks LOS"));
    assert!(starts(&third) == milliseconds(started), "{third}");

    // Second, then first; each is there, and the one before it is over.
    for (level, severity, after, before) in [("second", "major", 5, "third"), ("first", "critical", 10, "second")] {
        let page = until(&format!("the {level}-level page, and the {before} over"), || {
            let alerts = firing(&pages);
            assert!(watched(&alerts), "the watchdog fires throughout");
            let over = alert(&alerts, "ServiceInterruption", before, "core/gz-1").is_none();
            alert(&alerts, "ServiceInterruption", level, "core/gz-1").filter(|_| over).cloned()
        });
        assert_eq!(page["labels"]["severity"], severity);
        assert_eq!(page["labels"]["incident"], incident.as_str());
        // Longer than so many seconds: one microsecond after, which Alertmanager shows to the millisecond.
        assert_eq!(starts(&page), milliseconds(started.plus(Span::from_secs(after)).plus(Span::from_micros(1))));
    }
    let first = |name: &str| {
        until(&format!("{name} at the first level"), || alert(&firing(&pages), name, "first", "core/gz-1").cloned())
    };
    assert_eq!(starts(&first("ResponseOverdue")), {
        let detected =
            get(&format!("{}/api/v1/incidents/{incident}", daemon.url))["detected"].as_str().unwrap().to_owned();
        milliseconds(detected.parse::<Instant>().unwrap().plus(Span::from_secs(6)))
    });
    assert_eq!(starts(&first("RepairOverdue")), milliseconds(started.plus(Span::from_secs(7))));

    let now = || Clock::system().now();
    post(&daemon, &said("repair.acknowledged", "core/gz-1", now(), r#","by":"li.na""#));
    until("the response is no longer overdue", || {
        let alerts = firing(&pages);
        let over = alert(&alerts, "ResponseOverdue", "first", "core/gz-1").is_none();
        (over && alert(&alerts, "RepairOverdue", "first", "core/gz-1").is_some()).then_some(())
    });
    let down = r#"fournines_service_up{service="core/gz-1"} == 0"#;
    until("Prometheus sees it down", || (!query(&scraper, down).is_empty()).then_some(()));
    let open = r#"fournines_incidents_open{level="first"} == 1"#;
    until("Prometheus sees the incident open", || (!query(&scraper, open).is_empty()).then_some(()));

    post(&daemon, &said("outage.ended", "core/gz-1", now(), r#","cause":"equipment""#));
    // Another one goes on, so that there is something to show of either.
    post(&daemon, &said("outage.started", "core/gz-2", now(), ""));
    until("everything of the incident is gone, and only that", || {
        let alerts = firing(&pages);
        assert!(watched(&alerts));
        let left = alerts.iter().filter(|alert| alert["labels"]["incident"] == incident.as_str()).count();
        let other = alert(&alerts, "ServiceInterruption", "third", "core/gz-2").is_some();
        (left == 0 && other).then_some(())
    });

    let record = get(&format!("{}/api/v1/incidents/{incident}", daemon.url));
    assert_eq!(record["status"], "restored");
    assert!(record["verified"].is_string());
    let levels: Vec<u64> =
        record["levels"].as_array().unwrap().iter().map(|l| l["level"].as_u64().unwrap()).collect();
    assert_eq!(levels, [3, 2, 1]);
    assert!(record["levels"][2]["rule"].as_str().unwrap().contains("ours, a"));
    assert!(record["clocks"].as_array().unwrap().iter().all(|clock| clock["breached"].is_string()));

    figures_by_promql(&daemon, &scraper);
    dashboard_queries_return_data(&scraper);
    assert!(!daemon.log().contains("ERROR"), "{}", daemon.log());
    daemon.stop();
}

/// The metrics, as Prometheus has them.
fn figures_by_promql(daemon: &Server, scraper: &Server) {
    let one = |promql: &str| {
        until(promql, || {
            let found = query(scraper, promql);
            assert!(found.len() <= 1, "{promql}: {found:?}");
            found.first().map(|(_, value)| *value)
        })
    };
    until("it is up again", || (one(r#"fournines_service_up{service="core/gz-1"}"#) == 1.0).then_some(()));
    // Nothing moves any more: what Prometheus has and what the API says are the same number.
    let service = get(&format!("{}/api/v1/services/core%2Fgz-1", daemon.url));
    for (metric, figure) in [
        ("fournines_service_downtime_seconds", "downtime_seconds"),
        ("fournines_service_mttr_seconds", "mttr_seconds"),
    ] {
        let found = one(&format!(r#"{metric}{{service="core/gz-1",window="24h"}}"#));
        assert_eq!(found, service["windows"]["24h"][figure].as_f64().unwrap(), "{metric}");
    }
    let availability = one(r#"fournines_service_availability_ratio{service="core/gz-1",window="1h"}"#);
    let downtime = one(r#"fournines_service_downtime_seconds{service="core/gz-1",window="1h"}"#);
    assert!((availability - (1.0 - downtime / 3600.0)).abs() < 1e-12, "{availability} {downtime}");
    assert!(one(r#"fournines_service_error_budget_remaining_ratio{service="core/gz-1",window="1h"}"#) < 0.0);
    // The recorded outages, by the references beside them, are in the same figures.
    assert!(one(r#"fournines_service_availability_ratio{service="github",window="90d"}"#) < 0.92);

    assert_eq!(one(r#"fournines_incidents_total{level="first",cause="equipment"}"#), 1.0);
    assert_eq!(one(r#"fournines_target{target="repair",clause="2.1.3"}"#), 7.0);
    assert_eq!(one(r#"fournines_target{target="availability"}"#), 0.9999);
    assert!(one(r#"fournines_clock_breaches_total{clock="repair"}"#) >= 1.0);
    assert!(one("sum(fournines_event_to_alert_seconds_count)") > 0.0);
    assert!(one(r#"sum(fournines_alerts_sent_total{outcome="accepted"})"#) > 0.0);
    assert_eq!(one(r#"sum(fournines_events_total{type="outage.started",source="http"})"#), 1615.0 + 2.0);
}

/// Every query of every dashboard returns data.
fn dashboard_queries_return_data(scraper: &Server) {
    let mut queries = Vec::new();
    for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        expressions(&serde_json::from_str(&text).unwrap(), &mut queries);
    }
    assert!(queries.len() > 10, "{queries:?}");
    for promql in queries {
        let promql = promql
            .replace("$window", "1h")
            .replace("$service", ".*")
            .replace("$__rate_interval", "1m")
            .replace("$__range", "5m");
        until(&format!("a dashboard's query returns data: {promql}"), || {
            (!query(scraper, &promql).is_empty()).then_some(())
        });
    }
}

fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if name == "expr" => found.push(text.clone()),
                    value => expressions(value, found),
                }
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| expressions(element, found)),
        _ => {}
    }
}

#[test]
fn a_page_that_could_not_be_delivered_arrives_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = folder.path().join("services.csv");
    std::fs::write(&catalog, "id\ncore/gz-1\n").unwrap();
    let (port, alertmanager_port) = (free_port(), free_port());
    let settings = settings(&catalog, alertmanager_port);
    let daemon = fournines(folder.path(), port, &settings);
    let started = Clock::system().now();
    post(&daemon, &said("outage.started", "core/gz-1", started, ""));
    until("a failed delivery is told", || daemon.log().contains("could not be delivered").then_some(()));
    daemon.stop();
    let _daemon = fournines(folder.path(), port, &settings);
    let pages = alertmanager(folder.path(), alertmanager_port);
    let page =
        until("the page arrives", || alert(&firing(&pages), "ServiceInterruption", "third", "core/gz-1").cloned());
    assert_eq!(starts(&page), milliseconds(started));
}

fn starts(alert: &Value) -> i64 {
    milliseconds(alert["startsAt"].as_str().unwrap().parse().unwrap())
}

/// Alertmanager shows its times to the millisecond.
const fn milliseconds(at: Instant) -> i64 {
    at.as_micros().div_euclid(1000)
}
