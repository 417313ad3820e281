//! An Alertmanager is away for an hour, while ten thousand incidents begin: memory stays bounded, and when a real one is
//! there again it is told of the gravest first.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use common::{Inbox, alertmanager, free_port, get, post_to, until};
use fournines::clock::Clock;
use fournines::config::{Settings, Sources};
use fournines::daemon::Daemon;
use fournines::model::time::Span;
use serde_json::Value;

const INCIDENTS: usize = 10_000;
/// Ten seconds for an hour.
const SPEED: u32 = 360;
/// What each incident may take: its service, its record, and the four alerts that it has by the end of the hour. Some
/// 22 KB were seen.
const BYTES_MAX: usize = INCIDENTS * 40_000;

/// What this process takes now, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

type Posts = Arc<Mutex<Vec<Value>>>;

/// Passes every request on to the real one, and keeps which alerts it was told of, in order.
async fn pass_on(State((port, posts)): State<(u16, Posts)>, uri: Uri, body: Bytes) -> (StatusCode, String) {
    let client = reqwest::Client::new();
    let url = format!("http://127.0.0.1:{port}{uri}");
    let request = if body.is_empty() {
        client.get(url)
    } else {
        posts.lock().unwrap().extend(serde_json::from_slice::<Vec<Value>>(&body).unwrap());
        client.post(url).header("content-type", "application/json").body(body)
    };
    let answer = request.send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

#[test]
fn after_an_hour_away_it_is_told_of_the_gravest_first() {
    let folder = tempfile::tempdir().unwrap();
    let (door, port) = (free_port(), free_port());
    let file = folder.path().join("fournines.toml");
    let settings = format!(
        "server.listen = \"127.0.0.1:0\"\nstorage.path = \"{}\"\ntargets.watch_services = false\n\
         correlation.siblings = 100000\nclock.max_future = \"2h\"\n\
         [[levels.first]]\nusers_at_least = 100000\ncite = \"ours\"\n\
         [alerting]\nresend_interval = \"10h\"\n[[alerting.alertmanagers]]\nurl = \"http://127.0.0.1:{door}\"\n",
        folder.path().join("data").display()
    );
    std::fs::write(&file, settings).unwrap();
    let sources = Sources { file: Some(file), catalog: None, environment: Vec::new() };
    let settings = Settings::load(&sources).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let clock = Clock::fast(SPEED);
    let begun = clock.now();
    let daemon = runtime.block_on(Daemon::start(settings, clock.clone(), None)).unwrap();
    let url = format!("http://{}", daemon.address);
    let before = resident();

    // Some begin in each minute of the hour, the gravest among them late.
    for part in 0..50 {
        let lines: String = (0..INCIDENTS / 50)
            .map(|number| {
                let users = if part >= 40 && number % 20 == 0 { 200_000 } else { 10 };
                format!(
                    "{{\"type\":\"outage.started\",\"service\":\"s-{part}-{number}\",\"time\":\"{}\",\"users\":{users}}}\n",
                    clock.now()
                )
            })
            .collect();
        post_to(&url, &lines);
        std::thread::sleep(Duration::from_millis(100));
    }
    until("the hour is over", || (clock.now().since(begun) > Span::from_hours(1)).then_some(()));
    let grown = resident().saturating_sub(before);
    assert!(grown < BYTES_MAX, "{grown} bytes for {INCIDENTS} incidents");
    until("half an hour more is over", || (clock.now().since(begun) > Span::from_mins(90)).then_some(()));
    let later = resident().saturating_sub(before);
    assert!(later < grown + grown / 4, "it grows on though nothing happens: {grown}, {later} bytes");
    let waiting = get(&format!("{url}/api/v1/receivers"));
    assert_eq!(waiting["receivers"][0]["up"], false);
    assert!(waiting["receivers"][0]["pending"].as_u64().unwrap() >= INCIDENTS as u64, "{waiting}");

    let pages = alertmanager(folder.path(), port, &Inbox::open());
    let posts = Posts::default();
    let routes = axum::Router::new().fallback(pass_on).with_state((port, posts.clone()));
    runtime.spawn(async move {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", door)).await.unwrap();
        axum::serve(listener, routes).await
    });
    let is_page = |alert: &&Value| alert["labels"]["alertname"] == "ServiceInterruption";
    let told = until("it is told every page", || {
        let told = posts.lock().unwrap().clone();
        (told.iter().filter(is_page).count() >= INCIDENTS).then_some(told)
    });
    let held = get(&format!("{}/api/v2/alerts?filter=level%3D%22first%22", pages.url));
    assert_eq!(held.as_array().unwrap().iter().filter(is_page).count(), INCIDENTS / 50 / 20 * 10);
    let levels: Vec<&Value> = told.iter().filter(is_page).map(|alert| &alert["labels"]["level"]).collect();
    let first = levels.iter().take_while(|level| **level == "first").count();
    assert_eq!(first, INCIDENTS / 50 / 20 * 10, "the first level goes first");
    assert!(levels[first..INCIDENTS].iter().all(|level| **level == "third"));
    runtime.block_on(async {
        daemon.stop();
        daemon.ended().await.unwrap();
    });
}
