//! Those who are told: a webhook and an Alertmanager, made up, which refuse, hang, fail, or take what they are told and
//! have their answer lost.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fournines::model::time::{Instant, Span};
use fournines::notify::Wire;
use reqwest::{Request, Response};
use serde_json::{Value, json};

use super::Canary;
use super::outside::Outside;

pub(crate) const PAGER: &str = "http://pager";
pub(crate) const ALERTMANAGER: &str = "http://alertmanager";

/// How long the daemon waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is wrong with a receiver for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nobody is there.
    Gone,
    /// It answers 503.
    Failing,
    /// It never answers.
    Hanging,
    /// It takes everything, and its answers get lost.
    Mute,
    /// It answers late.
    Slow,
    /// An Alertmanager that has lost everything.
    Forgetful,
}

/// When, and what.
pub(crate) type Outages = Vec<(Instant, Instant, Trouble)>;

/// Labels as they are told.
pub(crate) type Labels = BTreeMap<String, String>;

/// Something that a webhook took.
#[derive(Clone, Debug)]
pub(crate) struct Telling {
    pub(crate) at: Instant,
    pub(crate) id: String,
    pub(crate) labels: Labels,
    pub(crate) starts: Instant,
    pub(crate) ends: Option<Instant>,
}

/// What an Alertmanager holds of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) starts: Instant,
    pub(crate) ends: Instant,
}

/// What the receivers know.
#[derive(Default)]
pub(crate) struct Told {
    /// By the pager, in order.
    pub(crate) pages: Vec<Telling>,
    /// By the Alertmanager: each as it was first posted as firing.
    pub(crate) posted: Vec<(Instant, Labels, Instant)>,
    pub(crate) held: BTreeMap<Labels, Held>,
    restarts: usize,
}

/// The receivers, which outlive the daemon. Clones are the same ones.
#[derive(Clone)]
pub(crate) struct Receivers {
    outside: Outside,
    pub(crate) told: Arc<Mutex<Told>>,
    /// Of the pager and of the Alertmanager.
    pub(crate) outages: Arc<[Outages; 2]>,
}

impl Receivers {
    /// With troubles until `until`.
    pub(crate) fn new(outside: &Outside, from: Instant, until: Instant) -> Self {
        let outages = [0, 1].map(|place| {
            let mut chance = outside.chance();
            let mut at = from;
            let mut outages = Outages::new();
            loop {
                at = at.plus(Span::from_secs(chance.i64(10..5400)));
                use Trouble::{Failing, Forgetful, Gone, Hanging, Mute, Slow};
                let kinds = [Gone, Failing, Hanging, Mute, Slow, Forgetful];
                let trouble = kinds[chance.usize(0..kinds.len() - 1 + place)];
                // What it takes in again and again makes a world slow.
                let long = if trouble == Mute { 200 } else { 2400 };
                let length = if chance.bool() { chance.i64(1..60) } else { chance.i64(60..long) };
                let end = at.plus(Span::from_secs(length));
                if end >= until {
                    return outages;
                }
                outages.push((at, end, trouble));
                at = end;
            }
        });
        Self { outside: outside.clone(), told: Arc::default(), outages: Arc::new(outages) }
    }

    /// What carries requests to them.
    pub(crate) fn wire(&self) -> Wire {
        let this = self.clone();
        Wire::simulated(move |request| this.clone().take(request))
    }

    fn trouble(&self, place: usize) -> Option<(Instant, Trouble)> {
        let now = self.outside.now();
        let outage = self.outages[place].iter().find(|&&(from, until, _)| from <= now && now < until);
        outage.map(|&(from, _, trouble)| (from, trouble))
    }

    async fn take(self, request: Request) -> Result<Response, String> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let is_page = request.url().host_str() == Some("pager");
        let place = usize::from(!is_page);
        let (from, trouble) = self.trouble(place).unzip();
        match trouble {
            Some(Trouble::Gone) => return Err("connection refused".to_owned()),
            Some(Trouble::Failing) => return Ok(answer(503, "later".to_owned())),
            Some(Trouble::Hanging) => {
                tokio::time::sleep(PATIENCE).await;
                return Err("no answer in time".to_owned());
            }
            Some(Trouble::Slow) => tokio::time::sleep(Duration::from_secs(3)).await,
            Some(Trouble::Forgetful) => self.forget(from.unwrap()),
            Some(Trouble::Mute) | None => {}
        }
        let taken = if is_page { self.page(&request) } else { self.alertmanager(&request) };
        if trouble == Some(Trouble::Mute) {
            tokio::time::sleep(Duration::from_secs(1)).await;
            return Err("connection reset".to_owned());
        }
        Ok(taken)
    }

    /// Loses everything, once an outage.
    fn forget(&self, from: Instant) {
        let mut told = self.told.lock().unwrap();
        let nth =
            self.outages[1].iter().filter(|outage| outage.2 == Trouble::Forgetful && outage.0 <= from).count();
        if told.restarts < nth {
            told.restarts = nth;
            told.held.clear();
            self.outside.note("the Alertmanager loses everything");
        }
    }

    fn page(&self, request: &Request) -> Response {
        let posted: Value = serde_json::from_slice(body(request)).unwrap();
        let mut id = request.headers()["webhook-id"].to_str().unwrap().to_owned();
        let instant = |value: &Value| value.as_str().map(|text| text.parse().unwrap());
        if self.outside.is_planted(Canary::Renamed) && id.ends_with("-firing") {
            id = format!("{}-{}", self.outside.chance().u8(..), id);
        }
        let mut telling = Telling {
            at: self.outside.now(),
            id,
            labels: labels(&posted["data"]["labels"]),
            starts: instant(&posted["data"]["starts"]).unwrap(),
            ends: instant(&posted["data"]["ends"]),
        };
        self.outside.note(format_args!("pager: {} {:?} ends {:?}", telling.id, telling.labels, telling.ends));
        let is_end = telling.ends.is_some();
        let swallowed = |canary, of: bool| of && self.outside.is_planted(canary);
        if swallowed(Canary::PageLost, !is_end) || swallowed(Canary::EndLost, is_end) {
            return answer(204, String::new());
        }
        if self.outside.is_planted(Canary::WrongEnd) {
            telling.ends = telling.ends.map(|ends| ends.plus(Span::from_secs(1)));
        }
        if self.outside.is_planted(Canary::Invented) {
            telling.labels.insert("service".to_owned(), "nobody's".to_owned());
        }
        if self.outside.is_planted(Canary::Tardy) {
            telling.at = telling.at.plus(Span::from_secs(2));
        }
        self.told.lock().unwrap().pages.push(telling);
        answer(204, String::new())
    }

    fn alertmanager(&self, request: &Request) -> Response {
        let now = self.outside.now();
        let mut told = self.told.lock().unwrap();
        match request.url().path() {
            "/api/v2/alerts" if request.method() == reqwest::Method::POST => {
                let posted: Value = serde_json::from_slice(body(request)).unwrap();
                for alert in posted.as_array().unwrap() {
                    let instant = |name: &str| alert[name].as_str().unwrap().parse().unwrap();
                    let (labels, held) =
                        (labels(&alert["labels"]), Held { starts: instant("startsAt"), ends: instant("endsAt") });
                    if labels["alertname"] == "Watchdog" {
                        continue;
                    }
                    let known =
                        told.held.get(&labels).is_some_and(|known| known.starts == held.starts && known.ends > now);
                    if held.ends > now && !known {
                        self.outside.note(format_args!("alertmanager: fires {labels:?} since {}", held.starts));
                        told.posted.push((now, labels.clone(), held.starts));
                    } else if held.ends <= now && known {
                        self.outside.note(format_args!("alertmanager: over {labels:?} {}", held.ends));
                    }
                    let is_stuck = self.outside.is_planted(Canary::Stuck) && held.ends <= now;
                    let ends = if is_stuck { Instant::MAX } else { held.ends };
                    told.held.insert(labels, Held { ends, ..held });
                }
                answer(200, String::new())
            }
            "/api/v2/status" => {
                let uptime = format!("restart {}", told.restarts);
                answer(200, json!({"uptime": uptime, "config": {"original": ""}}).to_string())
            }
            "/api/v2/alerts" => {
                let active = told.held.iter().filter(|(_, held)| held.ends > now);
                let shown = active.map(|(labels, _)| {
                    json!({"labels": labels, "fingerprint": "0", "status": {"silencedBy": [], "inhibitedBy": []}})
                });
                answer(200, Value::Array(shown.collect()).to_string())
            }
            _ => answer(200, "[]".to_owned()),
        }
    }
}

fn body(request: &Request) -> &[u8] {
    request.body().and_then(|body| body.as_bytes()).unwrap_or_default()
}

fn answer(status: u16, body: String) -> Response {
    axum::http::Response::builder().status(status).body(body).unwrap().into()
}

/// As an Alertmanager takes them: an empty label is none.
fn labels(said: &Value) -> Labels {
    let said = said.as_object().unwrap().iter();
    let said = said.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
    said.filter(|(_, value)| !value.is_empty()).collect()
}
