//! Playing: sends what the scenario says when it says so, shows what comes of it, and leaves nothing behind that pages.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::cli::poster::Poster;
use crate::clock::Clock;
use crate::config::{Scenario, Step};
use crate::model::time::{Instant, Span};

/// How often the daemon is asked what came of it.
const POLL: Duration = Duration::from_millis(500);
/// How often the last question is asked before it is given up: the daemon may be starting.
const TRIES_MAX: u32 = 60;
/// Who ends what is left at the end, as the record shows it.
const BY: &str = "fournines drill";

/// A drill on its way.
pub(super) struct Player<'a> {
    scenario: &'a Scenario,
    poster: &'a Poster,
    clock: Clock,
    /// How many times faster than real time.
    pub(super) speed: u32,
    /// The drill's name and, so that one run is never taken for another, when this one began.
    pub(super) drill: String,
    pub(super) started: Instant,
    /// When the last step was played, or the waiting after it was over; now while it is played.
    ended: Option<Instant>,
    /// What was begun and not yet ended, by service and outage.
    open: BTreeSet<(String, String)>,
    /// What was last shown of each incident.
    shown: BTreeMap<String, String>,
}

/// The event of a step, as it is sent.
pub(super) fn event(step: &Step, time: Instant, drill: &str, number: usize) -> Value {
    let mut event = step.event.clone();
    event.insert("time".to_owned(), json!(time.to_string()));
    event.insert("id".to_owned(), json!(format!("step-{number}")));
    if !drill.is_empty() {
        event.insert("drill".to_owned(), json!(drill));
    }
    Value::Object(event)
}

/// Whether nothing of an incident is left to be done but to write down what was learned.
pub(super) fn is_settled(incident: &Value) -> bool {
    !incident["verified"].is_null() || matches!(incident["status"].as_str(), Some("merged" | "withdrawn"))
}

impl<'a> Player<'a> {
    pub(super) fn new(scenario: &'a Scenario, poster: &'a Poster, speed: u32) -> Self {
        let clock = Clock::system();
        let started = clock.now();
        let stamp = jiff::Timestamp::from_microsecond(started.as_micros())
            .map_or_else(|_| started.to_string(), |at| at.strftime("%Y%m%dT%H%M%S%.3fZ").to_string());
        let drill = format!("{}/{stamp}", scenario.name);
        let (open, shown) = (BTreeSet::new(), BTreeMap::new());
        Self { scenario, poster, clock, speed, drill, started, ended: None, open, shown }
    }

    /// How long it took, in real time.
    pub(super) fn lasted(&self) -> Span {
        self.ended.unwrap_or_else(|| self.clock.now()).since(self.started)
    }

    /// Says what will be played, and of which services the daemon knows nothing.
    ///
    /// # Errors
    /// When the daemon cannot be asked.
    pub(super) async fn look_around(&mut self) -> Result<(), String> {
        let Scenario { name, plan, steps, .. } = self.scenario;
        let services: BTreeSet<&str> = steps.iter().map(|step| step.outage().0).collect();
        self.poster.get::<Value>("/api/v1/status").await?;
        for service in services {
            let path = format!("/api/v1/services/{}", utf8_percent_encode(service, NON_ALPHANUMERIC));
            if self.poster.get::<Value>(&path).await.is_err() {
                eprintln!("the daemon knows no service {service}: nor its users, nor what it depends on");
            }
        }
        eprintln!("drill {name} ({}), {} steps, as {}", plan.name(), steps.len(), self.drill);
        Ok(())
    }

    /// Plays every step, and waits for people.
    ///
    /// # Errors
    /// When the daemon could not be reached, or would not take an event.
    pub(super) async fn play(&mut self) -> Result<(), String> {
        let scenario = self.scenario;
        let numbered: Vec<(usize, &Step)> = scenario.steps.iter().enumerate().collect();
        // What the script says of one instant goes in one body: it is looked at together.
        for together in numbered.chunk_by(|(_, one), (_, next)| one.after == next.after) {
            let Some((_, first)) = together.first() else { continue };
            let due = self.at(first.after);
            while self.clock.now() < due {
                self.watch().await;
                tokio::time::sleep(self.clock.until(due).min(POLL)).await;
            }
            self.send(together, due).await?;
        }
        let last = scenario.steps.last().map_or(Span::ZERO, |step| step.after);
        let until = self.at(last.plus(scenario.wait));
        if self.clock.now() < until {
            eprintln!(
                "every step is played; waiting until all is confirmed to be over, at the longest until {until}"
            );
        }
        loop {
            let settled = self.watch().await;
            if settled || self.clock.now() >= until {
                self.ended = Some(self.clock.now());
                return Ok(());
            }
            tokio::time::sleep(self.clock.until(until).min(POLL)).await;
        }
    }

    /// When a step is due.
    fn at(&self, after: Span) -> Instant {
        self.started.plus(Span::from_micros(after.as_micros() / i64::from(self.speed)))
    }

    async fn send(&mut self, steps: &[(usize, &Step)], time: Instant) -> Result<(), String> {
        let mut lines = String::new();
        for &(number, step) in steps {
            let (service, outage) = step.outage();
            let key = (service.to_owned(), outage.to_owned());
            // Known to be open before it is sent: it may arrive though the answer does not.
            if step.kind() == "outage.started" {
                self.open.insert(key);
            }
            let of = if outage.is_empty() { String::new() } else { format!(" {outage}") };
            eprintln!("+{}  {} {service}{of}", step.after, step.kind());
            lines += &format!("{}\n", event(step, time, &self.drill, number));
        }
        let answer = self.poster.post(lines.as_bytes()).await?;
        if let Some(rejection) = answer.rejected.first() {
            let place = usize::try_from(rejection.line).ok().and_then(|line| steps.get(line.checked_sub(1)?));
            let (place, number) = place.map_or((String::new(), 0), |(number, step)| (step.place.clone(), *number));
            return Err(format!("{place}: step[{number}]: the daemon would not take it: {}", rejection.error));
        }
        for (_, step) in steps.iter().filter(|(_, step)| step.kind() == "outage.ended") {
            let (service, outage) = step.outage();
            self.open.remove(&(service.to_owned(), outage.to_owned()));
        }
        Ok(())
    }

    /// Shows what changed. Returns whether the daemon said that nothing is left to be done.
    async fn watch(&mut self) -> bool {
        let Ok(incidents) = self.incidents().await else { return false };
        for incident in &incidents {
            let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
            let id = text(&incident["id"]);
            let stages = incident["stages"].as_array().into_iter().flatten();
            let stage = stages.last().map(|stage| {
                let by = stage["by"].as_str().map_or(String::new(), |by| format!(" by {by}"));
                format!("{}{by}", text(&stage["stage"]))
            });
            let services = incident["services"].as_array().map_or(0, Vec::len);
            let now = format!(
                "incident {id}: level {}, {}, {services} services; {}",
                incident["level"],
                text(&incident["status"]),
                stage.unwrap_or_default()
            );
            if self.shown.get(&id) != Some(&now) {
                eprintln!("    {now}");
                self.shown.insert(id, now);
            }
        }
        incidents.iter().all(is_settled) && self.open.is_empty()
    }

    /// The drill's incidents as they stand, however many.
    async fn incidents(&self) -> Result<Vec<Value>, String> {
        let mut found = Vec::new();
        let mut after = String::new();
        loop {
            let drill = utf8_percent_encode(&self.drill, NON_ALPHANUMERIC);
            let mut page: Value =
                self.poster.get(&format!("/api/v1/incidents?drill={drill}&limit=1000{after}")).await?;
            if let Value::Array(incidents) = page["incidents"].take() {
                found.extend(incidents);
            }
            match page["next"].as_str() {
                Some(next) => after = format!("&after={}", utf8_percent_encode(next, NON_ALPHANUMERIC)),
                None => return Ok(found),
            }
        }
    }

    /// The same, asked for until there is an answer.
    ///
    /// # Errors
    /// When there is none for a long time.
    pub(super) async fn incidents_at_last(&mut self) -> Result<Vec<Value>, String> {
        self.ended.get_or_insert_with(|| self.clock.now());
        let mut tries = 1;
        loop {
            match self.incidents().await {
                Err(_) if tries < TRIES_MAX => tries += 1,
                answer => return answer,
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Ends what is still out, and confirms it, so that nothing of the drill goes on paging.
    pub(super) async fn tidy_up(&self, incidents: &[Value]) {
        let now = self.clock.now();
        let mut lines = String::new();
        for (service, outage) in &self.open {
            let mut ended = json!({"type": "outage.ended", "service": service, "time": now.to_string()});
            if !outage.is_empty() {
                ended["outage"] = json!(outage);
            }
            ended["detail"] = json!("the drill is over");
            ended["drill"] = json!(self.drill);
            lines += &format!("{ended}\n");
        }
        for incident in incidents.iter().filter(|incident| !is_settled(incident)) {
            let verified = json!({
                "type": "repair.verified", "service": incident["services"][0], "incident": incident["id"],
                "time": now.plus(Span::TICK).to_string(), "by": BY, "detail": "the drill is over", "drill": self.drill,
            });
            lines += &format!("{verified}\n");
        }
        if lines.is_empty() {
            return;
        }
        eprintln!("ending what the drill left open");
        let answer = self.poster.post(lines.as_bytes()).await;
        let refused = answer.map(|answer| answer.rejected.into_iter().next().map(|rejection| rejection.error));
        if let Err(error) | Ok(Some(error)) = refused {
            eprintln!("what the drill {} left open could not be ended: {error}", self.drill);
        }
    }
}
