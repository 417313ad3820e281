//! A real daemon pages webhooks: signed, once by its id however often it is tried, by label, by who has acknowledged, and
//! within what a receiver wants to hear.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::{fournines, free_port, get, post, text, until};
use fournines::clock::Clock;
use fournines::model::time::{Instant, Span};
use serde_json::Value;

/// A request as it came.
#[derive(Clone, Debug)]
struct Request {
    /// Which of the receivers it came to.
    receiver: String,
    headers: HeaderMap,
    body: Bytes,
    answered: StatusCode,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name}: {self:?}")).to_str().unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// Webhooks that keep what they get; each refuses the first request of a message.
#[derive(Clone)]
struct Gateway {
    kept: Arc<Mutex<Vec<Request>>>,
    port: u16,
    _runtime: Arc<tokio::runtime::Runtime>,
}

impl Gateway {
    fn open() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let kept = Arc::<Mutex<Vec<Request>>>::default();
        type Kept = Arc<Mutex<Vec<Request>>>;
        let keep =
            async |State(kept): State<Kept>, Path(receiver): Path<String>, headers: HeaderMap, body: Bytes| {
                let mut kept = kept.lock().unwrap();
                let is_known = |known: &Request| {
                    known.receiver == receiver && known.headers["webhook-id"] == headers["webhook-id"]
                };
                let answered = if receiver == "picky" {
                    StatusCode::UNPROCESSABLE_ENTITY
                } else if kept.iter().any(is_known) {
                    StatusCode::NO_CONTENT
                } else {
                    StatusCode::BAD_GATEWAY
                };
                kept.push(Request { receiver, headers, body, answered });
                answered
            };
        let routes = axum::Router::new().route("/{receiver}", axum::routing::post(keep)).with_state(kept.clone());
        runtime.spawn(async move { axum::serve(listener, routes).await });
        Self { kept, port, _runtime: Arc::new(runtime) }
    }

    /// What came to a receiver, in order.
    fn of(&self, receiver: &str) -> Vec<Request> {
        self.kept.lock().unwrap().iter().filter(|request| request.receiver == receiver).cloned().collect()
    }

    /// What a receiver took, as type, name and level of each.
    fn taken(&self, receiver: &str) -> Vec<(String, String)> {
        let taken = self.of(receiver).into_iter().filter(|request| request.answered.is_success());
        taken
            .map(|request| {
                let body = request.json();
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let labels = &body["data"]["labels"];
                (text(&body["type"]), format!("{} {}", text(&labels["alertname"]), text(&labels["level"])))
            })
            .collect()
    }
}

fn said(kind: &str, service: &str, at: Instant, more: &str) -> String {
    format!(r#"{{"type":"{kind}","service":"{service}","time":"{at}"{more}}}"#) + "\n"
}

fn pair(kind: &str, alert: &str) -> (String, String) {
    (format!("alert.{kind}"), alert.to_owned())
}

#[test]
fn a_webhook_gets_each_page_and_each_end_signed_and_once_by_its_id() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::open();
    let secret = STANDARD.encode(b"a secret of some bytes");
    std::fs::write(folder.path().join("secret"), format!("whsec_{secret}\n")).unwrap();
    std::fs::write(folder.path().join("token"), "the token\n").unwrap();
    let settings = format!(
        r#"
correlation.reopen = "1s"
targets.watch_services = false
[[levels.first]]
users_at_least = 100000
cite = "ours"
[[levels.second]]
users_at_least = 1000
longer_than = "1h"
cite = "ours"
[[alerting.webhooks]]
name = "desk"
url = "http://127.0.0.1:{port}/desk"
secret_file = "secret"
token_file = "token"
match.alertname = "ServiceInterruption"
[[alerting.webhooks]]
name = "management"
url = "http://127.0.0.1:{port}/management"
match.level = "first"
match.alertname = ["ServiceInterruption"]
[[alerting.webhooks]]
name = "backup"
url = "http://127.0.0.1:{port}/backup"
unacknowledged_for = "4s"
[[alerting.webhooks]]
name = "picky"
url = "http://127.0.0.1:{port}/picky"
match.service = "a"
match.alertname = "ServiceInterruption"
"#,
        port = gateway.port
    );
    let port = free_port();
    let daemon = fournines(folder.path(), port, &settings);
    let now = || Clock::system().now();

    let started = now();
    post(&daemon, &said("outage.started", "a", started, r#","users":10,"detail":"no light""#));
    let firing = until("the desk takes the page", || {
        gateway.of("desk").into_iter().find(|request| request.answered.is_success())
    });
    let (body, id) = (firing.json(), firing.header("webhook-id").to_owned());
    assert_eq!(body["type"], "alert.firing");
    assert_eq!(body["data"]["labels"]["level"], "third");
    assert_eq!(body["data"]["starts"], started.to_string());
    assert_eq!(body["data"]["ends"], Value::Null);
    assert_eq!(body["data"]["incident"]["id"], body["data"]["labels"]["incident"]);
    assert_eq!(body["data"]["incident"]["detail"], "no light");
    assert_eq!(body["data"]["incident"]["pages"], Value::Null, "who else is told is nobody's business");
    assert!(body["data"]["annotations"]["summary"].as_str().unwrap().contains('a'), "{body}");
    assert_eq!(firing.header("authorization"), "Bearer the token");
    assert_eq!(firing.header("idempotency-key"), id);
    assert_eq!(firing.header("content-type"), "application/json");
    // The first try was refused, and the second has the same id; each is signed as it is.
    let tries: Vec<Request> =
        gateway.of("desk").into_iter().filter(|request| request.header("webhook-id") == id).collect();
    assert_eq!(tries.len(), 2);
    for request in &tries {
        assert_signed(request);
    }

    // Somebody else acknowledges one of two in time.
    post(&daemon, &said("outage.started", "b", now(), r#","users":200000"#));
    let acknowledged = said("repair.acknowledged", "b", now(), r#","by":"li.na""#);
    post(&daemon, &acknowledged);
    until("the backup is told of what nobody acknowledged", || {
        (gateway.taken("backup") == [pair("firing", "ServiceInterruption third")]).then_some(())
    });
    assert_eq!(gateway.taken("management"), [pair("firing", "ServiceInterruption first")]);
    let told =
        get(&format!("{}/api/v1/incidents/{}", daemon.url, body["data"]["labels"]["incident"].as_str().unwrap()));
    let deliveries = told["pages"][0]["deliveries"].as_array().unwrap();
    let stands: BTreeMap<&str, &str> = deliveries
        .iter()
        .map(|delivery| (delivery["receiver"].as_str().unwrap(), delivery["status"].as_str().unwrap()))
        .collect();
    assert_eq!(stands, BTreeMap::from([("backup", "firing"), ("desk", "firing"), ("picky", "failed")]));

    let ended = now();
    post(&daemon, &(said("outage.ended", "a", ended, "") + &said("outage.ended", "b", ended, "")));
    until("every end is told", || {
        let ends =
            |receiver: &str| gateway.taken(receiver).iter().filter(|(kind, _)| kind == "alert.resolved").count();
        (ends("desk") == 2 && ends("management") == 1 && ends("backup") == 1).then_some(())
    });
    let of_a = gateway
        .of("desk")
        .into_iter()
        .map(|request| request.json())
        .find(|body| body["type"] == "alert.resolved" && body["data"]["starts"] == started.to_string());
    assert_eq!(of_a.unwrap()["data"]["ends"], ended.to_string());
    let firing = |level: &str| pair("firing", &format!("ServiceInterruption {level}"));
    let resolved = |level: &str| pair("resolved", &format!("ServiceInterruption {level}"));
    let desk: BTreeSet<(String, String)> = gateway.taken("desk").into_iter().collect();
    assert_eq!(desk, [firing("third"), firing("first"), resolved("third"), resolved("first")].into());
    assert_eq!(gateway.taken("desk").len(), 4, "each once");
    assert_eq!(gateway.taken("backup"), [firing("third"), resolved("third")]);
    // What one refused for good is not tried again, and told in no other way.
    assert_eq!(gateway.of("picky").len(), 1);

    let metrics = text(&format!("{}/metrics", daemon.url));
    for line in [
        r#"fournines_alerts_sent_total{outcome="accepted",receiver="desk"} 4"#,
        r#"fournines_alerts_sent_total{outcome="refused",receiver="picky"} 1"#,
        r#"fournines_alerts_suppressed_total{reason="acknowledged",receiver="backup"} 1"#,
        r#"fournines_receiver_up{receiver="desk"} 1"#,
    ] {
        assert!(metrics.lines().any(|known| known == line), "{line} is not in\n{metrics}");
    }
    let suppressed = get(&format!("{}/api/v1/alerts/suppressed", daemon.url));
    assert_eq!(suppressed["suppressed"][0]["labels"]["scope"], "b");
    assert_eq!(suppressed["suppressed"][0]["reason"], "acknowledged");
    let receivers = get(&format!("{}/api/v1/receivers", daemon.url));
    assert_eq!(receivers["receivers"].as_array().unwrap().len(), 4);
    daemon.stop();
}

/// The signature is that of what was sent, by a key that both sides know, and fresh.
fn assert_signed(request: &Request) {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"a secret of some bytes");
    let mut signed =
        format!("{}.{}.", request.header("webhook-id"), request.header("webhook-timestamp")).into_bytes();
    signed.extend_from_slice(&request.body);
    let tag = request.header("webhook-signature").strip_prefix("v1,").unwrap();
    ring::hmac::verify(&key, &signed, &STANDARD.decode(tag).unwrap()).expect("the signature fits");
    let seconds: i64 = request.header("webhook-timestamp").parse().unwrap();
    let at = Instant::from_micros(seconds * 1_000_000);
    assert!(Clock::system().now().since(at) < Span::from_mins(1), "{seconds}");
}

#[test]
fn pages_that_are_damped_wait_or_are_listed_and_the_first_level_waits_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::open();
    let settings = format!(
        r#"
correlation.reopen = "1s"
targets.watch_services = false
alerting.confirm = "3s"
[[levels.first]]
users_at_least = 100000
cite = "ours"
[[alerting.webhooks]]
name = "desk"
url = "http://127.0.0.1:{}/desk"
pages_per_hour = 1
match.alertname = "ServiceInterruption"
"#,
        gateway.port
    );
    let daemon = fournines(folder.path(), free_port(), &settings);
    let now = || Clock::system().now();
    post(&daemon, &said("outage.started", "brief", now(), r#","users":10"#));
    post(&daemon, &said("outage.ended", "brief", now(), ""));
    post(&daemon, &said("outage.started", "one", now(), r#","users":10"#));
    post(&daemon, &said("outage.started", "two", now(), r#","users":10"#));
    until("one of two is told, the budget is spent, and the brief one is withheld", || {
        let pages = get(&format!("{}/api/v1/alerts", daemon.url));
        let stands: BTreeSet<String> = pages["alerts"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|page| page["deliveries"].as_array()?.first())
            .map(|delivery| {
                format!("{} {}", delivery["status"].as_str().unwrap(), delivery["reason"].as_str().unwrap_or("-"))
            })
            .collect();
        let withheld = get(&format!("{}/api/v1/alerts/suppressed", daemon.url));
        let brief = withheld["suppressed"][0]["labels"]["scope"] == "brief";
        (stands == ["firing -".to_owned(), "waiting budget".to_owned()].into() && brief).then_some(())
    });
    assert_eq!(gateway.taken("desk"), [pair("firing", "ServiceInterruption third")]);
    post(&daemon, &said("outage.started", "three", now(), r#","users":200000"#));
    until("the first level is told all the same", || {
        gateway.taken("desk").contains(&pair("firing", "ServiceInterruption first")).then_some(())
    });
    daemon.stop();
}

#[test]
fn nobody_is_called_while_it_is_worked_on_and_what_is_still_down_when_that_ends_pages() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = Gateway::open();
    let settings = format!(
        r#"
correlation.reopen = "1s"
targets.watch_services = false
[[alerting.webhooks]]
name = "next"
url = "http://127.0.0.1:{}/next"
unacknowledged_for = "2s"
"#,
        gateway.port
    );
    let daemon = fournines(folder.path(), free_port(), &settings);
    let now = Clock::system().now();
    post(&daemon, &said("outage.started", "a", now, ""));
    let (from, until_then) = (now.plus(Span::from_secs(1)), now.plus(Span::from_secs(7)));
    let plan = format!(r#","maintenance":"m","from":"{from}","until":"{until_then}","reason":"new card""#);
    post(&daemon, &said("maintenance.planned", "a", now, &plan));
    let waits = until("the page waits for the end of the maintenance", || {
        let pages = get(&format!("{}/api/v1/alerts?receiver=next", daemon.url));
        let delivery = pages["alerts"].as_array()?.first()?["deliveries"][0].clone();
        (delivery["reason"] == "maintenance").then_some(delivery)
    });
    assert_eq!(waits["at"], until_then.to_string());
    let first = until("it is told then", || gateway.of("next").into_iter().next());
    let told: Instant = first.json()["timestamp"].as_str().unwrap().parse().unwrap();
    assert!(told >= until_then, "{told} is before {until_then}");
    daemon.stop();
}
