//! What a real Alertmanager lost it is told again within seconds; what is silenced there is known here; and it is reached
//! over TLS, by those who know the password.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::path::Path;
use std::process::Command;

use common::{Inbox, Server, alertmanager, alertmanager_behind, ask, fournines, free_port, get, post, until};
use fournines::clock::{Clock, Stopwatch};
use fournines::model::time::Span;
use serde_json::{Value, json};

fn settings(receiver: &str) -> String {
    // A resend after an hour would come too late for anything here.
    format!(
        "correlation.reopen = \"1s\"\ntargets.watch_services = false\n[alerting]\nresend_interval = \"1h\"\n\
         acknowledge_by_silence = \"ACK\"\n[[alerting.alertmanagers]]\n{receiver}\n"
    )
}

fn outage(service: &str) -> String {
    format!(r#"{{"type":"outage.started","service":"{service}","time":"{}"}}"#, Clock::system().now())
}

/// The page of an interruption that it holds.
fn held(alertmanager: &Server) -> Option<Value> {
    let alerts = get(&format!("{}/api/v2/alerts", alertmanager.url));
    let is_it = |alert: &&Value| alert["labels"]["alertname"] == "ServiceInterruption";
    alerts.as_array().unwrap().iter().find(is_it).cloned()
}

#[test]
fn what_fires_is_back_within_seconds_after_it_lost_everything() {
    let folder = tempfile::tempdir().unwrap();
    let (port, inbox) = (free_port(), Inbox::open());
    let pages = alertmanager(folder.path(), port, &inbox);
    let daemon = fournines(folder.path(), free_port(), &settings(&format!("url = \"{}\"", pages.url)));
    post(&daemon, &outage("a"));
    until("it holds the page", || held(&pages));
    // Killed, and with nothing left of what it knew.
    drop(pages);
    std::fs::remove_dir_all(folder.path().join("alertmanager")).unwrap();
    let pages = alertmanager(folder.path(), port, &inbox);
    let watch = Stopwatch::start();
    until("it holds the page again", || held(&pages));
    assert!(watch.seconds() < 20.0, "it took {} s", watch.seconds());
    daemon.stop();
}

#[test]
fn a_silence_is_shown_on_the_incident_and_acknowledges_it_if_it_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let inbox = Inbox::open();
    let pages = alertmanager(folder.path(), free_port(), &inbox);
    let daemon = fournines(folder.path(), free_port(), &settings(&format!("url = \"{}\"", pages.url)));
    post(&daemon, &(outage("a") + "\n" + &outage("b")));
    let incident = |service: &str| {
        let list = get(&format!("{}/api/v1/incidents?service={service}", daemon.url));
        let id = list["incidents"][0]["id"].as_str().unwrap().to_owned();
        get(&format!("{}/api/v1/incidents/{id}", daemon.url))
    };
    until("it holds the pages", || held(&pages));
    let silence = |service: &str, comment: &str| {
        let now = Clock::system().now();
        let matcher = json!({"name": "scope", "value": service, "isRegex": false, "isEqual": true});
        let body = json!({
            "matchers": [matcher], "startsAt": now.to_string(), "endsAt": now.plus(Span::from_hours(1)).to_string(),
            "createdBy": "li.na", "comment": comment,
        });
        assert_eq!(ask(&format!("{}/api/v2/silences", pages.url), &body).0, 200);
    };
    silence("a", "ACK: on my way");
    silence("b", "noisy");
    let acknowledged = until("the incident is acknowledged by who silenced it", || {
        Some(incident("a")).filter(|incident| incident["acknowledged"] != Value::Null)
    });
    let stage = acknowledged["stages"].as_array().unwrap().iter().find(|stage| stage["stage"] == "acknowledged");
    assert_eq!(stage.unwrap()["by"], "li.na");
    assert_eq!(stage.unwrap()["detail"], "ACK: on my way");
    let silenced = until("the other silence is shown and acknowledges nothing", || {
        Some(incident("b"))
            .filter(|incident| incident["pages"][0]["deliveries"][0]["silenced_by"][0] != Value::Null)
    });
    let by = &silenced["pages"][0]["deliveries"][0]["silenced_by"][0];
    assert_eq!((&by["by"], &by["comment"]), (&json!("li.na"), &json!("noisy")));
    assert_eq!(silenced["acknowledged"], Value::Null);
    daemon.stop();
}

/// The password `right`, hashed by bcrypt.
const PASSWORD_HASH: &str = "$2b$04$abcdefghijklmnopqrstuuFmEfrkTQnczNzw475xE2VhDrK1uwJiC";

/// A certificate for the loopback address and its key, which vouches for itself.
fn certificate(folder: &Path) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(folder.join("key.pem"))
        .arg("-out")
        .arg(folder.join("cert.pem"))
        .output()
        .expect("openssl makes a certificate: install openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[test]
fn it_is_reached_over_tls_with_a_password_and_not_without() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let web = format!(
        "tls_server_config: {{cert_file: cert.pem, key_file: key.pem}}\nbasic_auth_users: {{fournines: '{PASSWORD_HASH}'}}\n"
    );
    std::fs::write(folder.path().join("web.yml"), web).unwrap();
    std::fs::write(folder.path().join("password"), "right\n").unwrap();
    let (port, inbox) = (free_port(), Inbox::open());
    let web = format!("--web.config.file={}", folder.path().join("web.yml").display());
    let pages = alertmanager_behind(folder.path(), port, &inbox, &web);
    let url = format!("https://127.0.0.1:{port}");
    let receiver =
        format!("url = \"{url}\"\nca_file = \"cert.pem\"\nusername = \"fournines\"\npassword_file = \"password\"");
    let daemon = fournines(folder.path(), free_port(), &settings(&receiver));
    post(&daemon, &outage("a"));
    until("the page is passed on", || {
        inbox.all().into_iter().find(|alert| alert["labels"]["alertname"] == "ServiceInterruption")
    });
    daemon.stop();

    std::fs::write(folder.path().join("password"), "wrong\n").unwrap();
    let daemon = fournines(folder.path(), free_port(), &settings(&receiver));
    let error = until("a wrong password is told", || {
        let receivers = get(&format!("{}/api/v1/receivers", daemon.url));
        receivers["receivers"][0]["error"].as_str().map(str::to_owned)
    });
    assert!(error.contains("401"), "{error}");
    daemon.stop();
    drop(pages);
}

#[test]
fn check_warns_of_a_resolve_timeout_that_does_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let pages = alertmanager(folder.path(), free_port(), &Inbox::open());
    let check = |interval: &str, url: &str| {
        let file = folder.path().join("check.toml");
        let settings =
            format!("[alerting]\nresend_interval = \"{interval}\"\n[[alerting.alertmanagers]]\nurl = \"{url}\"\n");
        std::fs::write(&file, settings).unwrap();
        let checked =
            Command::new(env!("CARGO_BIN_EXE_fournines")).args(["check", "-c"]).arg(&file).output().unwrap();
        assert!(checked.status.success());
        String::from_utf8(checked.stderr).unwrap()
    };
    assert_eq!(check("1m", &pages.url), "");
    let warned = check("4m", &pages.url);
    assert!(
        warned.contains("its resolve_timeout is 5m") && warned.contains("alerting.resend_interval"),
        "{warned}"
    );
    let url = format!("http://127.0.0.1:{}", free_port());
    assert!(check("1m", &url).contains("could not be asked for its resolve_timeout"));
}
