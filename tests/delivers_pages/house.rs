//! The house: a daemon or two, a clustered pair of Alertmanagers behind a door each, the pager that both deliver to
//! and the daemon's own webhook, the desk; and what they recorded.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fournines::clock::{Clock, Stopwatch};
use fournines::model::time::Instant;
use ring::hmac;
use serde_json::Value;

use super::common::free_port;
use super::door::{Door, Request, Visit, exchange};
use super::peer::Peer;
use super::records::{Decision, Page, Party, Records, Telling, Trouble, WATCHDOG};
use super::stream::Said;

/// How long an event is tried to be posted.
const POST_SECONDS_MAX: f64 = 60.0;
/// Lines of each log that are shown when something is wrong.
const LOG_LINES_SHOWN: usize = 200;

/// What the desk's messages are signed with.
const SECRET: &str = "the desk's key";

const ALERTING: &str = r#"
correlation.reopen = "1500ms"
targets.response = "8s"
targets.repair = "12s"
targets.watch_services = false
storage.checkpoint_events = 40
[stages.acknowledged]
owner = "operations"
done_when = "somebody has taken it on"
warn_at = [0.5]
[stages.restored]
owner = "field"
done_when = "it is over"
warn_at = [0.5]
[[levels.first]]
users_at_least = 100000
longer_than = "8s"
[[levels.second]]
users_over = 30000
longer_than = "4s"
"#;

pub(crate) struct House {
    folder: tempfile::TempDir,
    daemons: Vec<Peer>,
    a: Peer,
    b: Peer,
    door_a: Door,
    door_b: Door,
    pub(crate) pager: Door,
    pub(crate) desk: Door,
}

impl House {
    /// Starts a house with so many daemons.
    pub(crate) fn start(daemons: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (pager, desk) = (Door::receiver(), Door::receiver());
        let cluster = [free_port(), free_port()];
        let alertmanager = |own: usize| {
            let name = ["a", "b"][own];
            alertmanager(folder.path(), name, (cluster[own], cluster[1 - own]), pager.port)
        };
        let (a, b) = (alertmanager(0), alertmanager(1));
        let (door_a, door_b) = (Door::before(a.port), Door::before(b.port));
        let daemons = (0..daemons)
            .map(|number| daemon(&folder.path().join(number.to_string()), [door_a.port, door_b.port], desk.port))
            .collect();
        Self { folder, daemons, a, b, door_a, door_b, pager, desk }
    }

    pub(crate) fn peer(&self, whom: Party) -> &Peer {
        match whom {
            Party::A => &self.a,
            Party::B => &self.b,
            _ => &self.daemons[0],
        }
    }

    pub(crate) fn door(&self, whom: Party) -> &Door {
        match whom {
            Party::DoorA => &self.door_a,
            Party::DoorB => &self.door_b,
            Party::Desk => &self.desk,
            _ => &self.pager,
        }
    }

    fn data(&self, daemon: usize) -> PathBuf {
        self.folder.path().join(daemon.to_string()).join("data")
    }

    /// Kills the daemon and starts it with nothing.
    pub(crate) fn wipe(&self) {
        self.daemons[0].kill();
        std::fs::remove_dir_all(self.data(0)).unwrap();
        self.daemons[0].begin();
    }

    /// Posts every event when it happens, to every daemon, until each has it.
    pub(crate) fn post(&self, stream: &[Said]) {
        let clock = Clock::system();
        for said in stream {
            std::thread::sleep(clock.until(said.at));
            std::thread::scope(|scope| {
                for daemon in &self.daemons {
                    scope.spawn(|| post(daemon, &said.line));
                }
            });
        }
    }

    /// What the engine of a daemon decided until `at`, by its journal.
    pub(crate) fn decided(&self, daemon: usize, at: Instant) -> Vec<Decision> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fournines"));
        command.args(["replay", "--format", "json", "--at", &at.to_string()]).arg(self.data(daemon));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        let decision = |alert: &Value| {
            let (page, ended) = (page(&alert["labels"], &alert["starts"]), alert["ends"].as_str());
            Decision { page, ended: ended.map(|_| instant(&alert["ends"])), at: instant(&alert["at"]) }
        };
        let mut decisions: Vec<Decision> = answer["alerts"].as_array().unwrap().iter().map(decision).collect();
        // The watchdog is nobody's decision: it fires as long as there is a daemon.
        let labels = serde_json::json!({ "alertname": WATCHDOG, "source": "fournines" });
        decisions.push(Decision { page: page(&labels, &Value::Null), ended: None, at: Instant::MIN });
        decisions
    }

    /// Shows what was made to fail, and what the processes logged of it.
    pub(crate) fn explain(&self, troubles: &[Trouble]) {
        for door in [&self.door_a, &self.door_b, &self.pager, &self.desk] {
            eprintln!("door {}", door.port);
        }
        let mut troubles = troubles.to_owned();
        troubles.sort_by_key(|trouble| trouble.from);
        for Trouble { whom, what, from, until } in troubles {
            eprintln!("{from} .. {until} {whom:?} {what}");
        }
        for peer in self.daemons.iter().chain([&self.a, &self.b]) {
            let log = peer.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("\n{}", lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n"));
        }
    }

    /// What was decided and what was told until `at`.
    pub(crate) fn records(&self, at: Instant) -> Records {
        let mut tellings = Vec::new();
        for (door, to) in [(&self.door_a, Party::A), (&self.door_b, Party::B)] {
            let posts = door.visits().into_iter().filter(|visit| visit.path == "/api/v2/alerts");
            tellings.extend(posts.flat_map(|visit| posted(&visit, to)));
        }
        tellings.extend(self.pager.visits().iter().flat_map(notified));
        tellings.extend(self.desk.visits().iter().map(delivered));
        Records { decisions: self.decided(0, at), tellings, troubles: Vec::new() }
    }
}

fn alertmanager(folder: &Path, name: &str, (own, other): (u16, u16), pager: u16) -> Peer {
    let port = free_port();
    let file = folder.join(format!("{name}.yml"));
    let settings = format!(
        "route: {{receiver: pager, group_by: ['...'], group_wait: 0s, group_interval: 3s, repeat_interval: 24h}}\n\
         receivers: [{{name: pager, webhook_configs: [{{url: 'http://127.0.0.1:{pager}/{name}'}}]}}]\n"
    );
    std::fs::write(&file, settings).unwrap();
    let storage = folder.join(name);
    let make = move || {
        let mut command = Command::new("prometheus-alertmanager");
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.path={}", storage.display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg(format!("--cluster.listen-address=127.0.0.1:{own}"))
            .arg(format!("--cluster.advertise-address=127.0.0.1:{own}"))
            .arg(format!("--cluster.peer=127.0.0.1:{other}"))
            // What takes minutes takes seconds here. A peer that is gone must be seen to be gone before long: until
            // then the other one waits for it with every notification.
            .args(["--data.maintenance-interval=1s", "--cluster.peer-timeout=500ms"])
            .args(["--cluster.gossip-interval=50ms", "--cluster.pushpull-interval=1s"])
            .args(["--cluster.probe-interval=300ms", "--cluster.probe-timeout=200ms"])
            .args(["--cluster.settle-timeout=2s", "--cluster.reconnect-interval=1s"]);
        command
    };
    Peer::start(make, &folder.join(format!("{name}.log")), (port, "/-/ready"))
}

fn daemon(folder: &Path, alertmanagers: [u16; 2], desk: u16) -> Peer {
    std::fs::create_dir(folder).unwrap();
    let (port, file, data) = (free_port(), folder.join("fournines.toml"), folder.join("data"));
    let receivers = alertmanagers
        .map(|port| format!("[[alerting.alertmanagers]]\nurl = \"http://127.0.0.1:{port}\"\n"))
        .concat();
    let secret = folder.join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    let webhook = format!(
        "[[alerting.webhooks]]\nname = \"desk\"\nurl = \"http://127.0.0.1:{desk}/\"\nsecret_file = \"{}\"\n",
        secret.display()
    );
    let settings = format!("{ALERTING}\n[alerting]\nresend_interval = \"4s\"\n{receivers}{webhook}");
    std::fs::write(&file, settings).unwrap();
    let make = move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fournines"));
        command.args(["serve", "-c"]).arg(&file);
        command.env("FOURNINES__SERVER__LISTEN", format!("127.0.0.1:{port}"));
        command.env("FOURNINES__STORAGE__PATH", &data);
        command
    };
    Peer::start(make, &folder.join("fournines.log"), (port, "/readyz"))
}

fn post(daemon: &Peer, line: &str) {
    let headers = BTreeMap::from([("content-type".to_owned(), "application/x-ndjson".to_owned())]);
    let (method, path) = ("POST".to_owned(), "/api/v1/events".to_owned());
    let request = Request { method, path, headers, body: line.as_bytes().to_owned() };
    let begun = Stopwatch::start();
    loop {
        if let Ok((200, answer)) = exchange(daemon.port, &request) {
            let answer: Value = serde_json::from_str(&answer).unwrap();
            assert_eq!(answer["rejected_total"], 0, "{line}: {answer}");
            return;
        }
        assert!(begun.seconds() < POST_SECONDS_MAX, "it was not taken: {line}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The alerts of a post to an Alertmanager.
fn posted(visit: &Visit, to: Party) -> Vec<Telling> {
    let alerts: Vec<Value> = serde_json::from_slice(&visit.body).unwrap();
    let ended = |alert: &Value| Some(instant(&alert["endsAt"])).filter(|&ends| ends <= visit.arrived);
    alerts.iter().map(|alert| telling(visit, (Party::Daemon, to), alert, ended(alert))).collect()
}

/// The alerts of an Alertmanager's notification.
fn notified(visit: &Visit) -> Vec<Telling> {
    let from = if visit.path == "/a" { Party::A } else { Party::B };
    let body: Value = serde_json::from_slice(&visit.body).unwrap();
    let ended = |alert: &Value| (alert["status"] == "resolved").then(|| instant(&alert["endsAt"]));
    let alerts = body["alerts"].as_array().unwrap();
    alerts.iter().map(|alert| telling(visit, (from, Party::Pager), alert, ended(alert))).collect()
}

/// A message to the desk, by the Standard Webhooks specification. One that is not signed well has no id.
fn delivered(visit: &Visit) -> Telling {
    let body: Value = serde_json::from_slice(&visit.body).unwrap();
    let data = &body["data"];
    let header = |name: &str| visit.headers.get(name).map_or("", String::as_str);
    let (id, timestamp) = (header("webhook-id"), header("webhook-timestamp"));
    let signed = [format!("{id}.{timestamp}.").as_bytes(), &visit.body].concat();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = format!("v1,{}", STANDARD.encode(hmac::sign(&key, &signed)));
    let fires = body["type"] == "alert.firing";
    assert!(fires || body["type"] == "alert.resolved", "{body}");
    let Visit { arrived, answered, taken, acknowledged, .. } = *visit;
    Telling {
        from: Party::Daemon,
        to: Party::Desk,
        page: page(&data["labels"], &data["starts"]),
        ended: (!fires).then(|| instant(&data["ends"])),
        arrived,
        answered,
        taken,
        acknowledged,
        id: (!id.is_empty() && header("webhook-signature") == signature).then(|| id.to_owned()),
    }
}

fn telling(visit: &Visit, (from, to): (Party, Party), alert: &Value, ended: Option<Instant>) -> Telling {
    let page = page(&alert["labels"], &alert["startsAt"]);
    let &Visit { arrived, answered, taken, acknowledged, .. } = visit;
    Telling { from, to, page, ended, arrived, answered, taken, acknowledged, id: None }
}

fn page(labels: &Value, starts: &Value) -> Page {
    // Alertmanager and its clients leave empty labels out.
    let labels: BTreeMap<String, String> = labels
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    // Every start of the daemon begins the watchdog anew; it is one page all the same.
    let starts = if labels["alertname"] == WATCHDOG { Instant::MIN } else { instant(starts) };
    Page { labels, starts }
}

fn instant(text: &Value) -> Instant {
    text.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("not a time: {text}"))
}
